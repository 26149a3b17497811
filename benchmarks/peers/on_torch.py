"""`torch.nn` on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.cases import Case, from_torch_layout, gradients_by_name, torch_layout

CLASSES = {"simple": "RNN", "gru": "GRU", "lstm": "LSTM", "bidirectional": "LSTM"}


class TorchModules:
    """`torch.nn.RNN`, `GRU` and `LSTM`.

    The GRU is PyTorch's own, with the reset gate after the matrix product: another cell of as
    many weights, timed but not compared.

    Args:
        threads: threads within an op.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(threads)

    def modes(self) -> tuple[str, ...]:
        return ("eager",)

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def warm_up(self, mode: str) -> None:
        weights = torch.ones((4, 4), requires_grad=True)
        torch.tanh(torch.ones((2, 4)) @ weights).sum().backward()

    def runner(self, case: Case, mode: str) -> TorchRunner:
        return TorchRunner(case)

    def export(self, case: Case, path: str) -> None:
        raise NotImplementedError("PyTorch writes no SavedModel.")


class TorchRunner:
    """One module with its inputs at hand."""

    def __init__(self, case: Case) -> None:
        self._case = case
        _, _, input_dim, units = case.point
        self._module = getattr(torch.nn, CLASSES[case.cell])(
            input_dim, units, batch_first=True, bidirectional=case.directions == 2
        )
        arrays = [array for weights in case.weights() for array in torch_layout(weights)]
        with torch.no_grad():
            # In PyTorch's order: weight_ih, weight_hh, bias_ih, bias_hh, and those of the reverse.
            for parameter, array in zip(self._module.parameters(), arrays, strict=True):
                parameter.copy_(torch.from_numpy(array))
        data = case.data()
        self._inputs = torch.from_numpy(data.inputs).requires_grad_(case.trains)
        self._upstream = torch.from_numpy(data.upstream)
        self._module.train(case.trains)

    def __call__(self) -> Any:
        if not self._case.trains:
            with torch.inference_mode():
                return self._module(self._inputs)[0]
        output = self._module(self._inputs)[0]
        wanted = [self._inputs, *self._module.parameters()]
        return torch.autograd.grad(output, wanted, self._upstream)

    def results(self) -> dict[str, np.ndarray]:
        if not self._case.trains:
            return {"output": self().numpy()}
        d_inputs, *d_weights = (gradient.numpy() for gradient in self())
        return gradients_by_name(
            d_inputs,
            [from_torch_layout(d_weights[4 * i : 4 * i + 4]) for i in range(self._case.directions)],
        )
