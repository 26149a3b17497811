"""The recurrent operators of ONNX in onnxruntime, for inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.cases import Case, onnx_layout

CLASSES = {"simple": "RNN", "gru": "GRU", "lstm": "LSTM", "bidirectional": "LSTM"}
OPSET = 17
IR_VERSION = 9


class OnnxOperators:
    """ONNX's `RNN`, `GRU` and `LSTM` on onnxruntime's CPU provider.

    Args:
        threads: threads within an operator.
    """

    def __init__(self, threads: int) -> None:
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        # After a run, threads that spin would take the cores from the other peers.
        self._options.add_session_config_entry("session.force_spinning_stop", "1")

    def modes(self) -> tuple[str, ...]:
        return ("session",)

    def versions(self) -> dict[str, str]:
        return {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}

    def warm_up(self, mode: str) -> None:
        return None

    def runner(self, case: Case, mode: str) -> OnnxRunner:
        if case.trains:
            raise NotImplementedError("onnxruntime is measured for inference only.")
        return OnnxRunner(case, self._options)

    def export(self, case: Case, path: str) -> None:
        raise NotImplementedError("onnxruntime writes no SavedModel.")


class OnnxRunner:
    """One session with its inputs at hand."""

    def __init__(self, case: Case, options: Any) -> None:
        self._session = onnxruntime.InferenceSession(
            onnx_model(case).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._feeds = {"x": case.data().inputs}

    def __call__(self) -> Any:
        return self._session.run(None, self._feeds)

    def results(self) -> dict[str, np.ndarray]:
        return {"output": self()[0]}


def onnx_model(case: Case) -> onnx.ModelProto:
    """The network of a case, `(batch, time, input_dim)` to `(batch, time, directions · units)`."""
    _, _, input_dim, units = case.point
    names = ("W", "R", "B")
    arrays = dict(zip(names, onnx_layout(case.cell, case.weights()), strict=True))
    arrays["shape"] = np.array([0, 0, case.directions * units], "int64")
    attributes: dict[str, Any] = {"hidden_size": units}
    if case.directions == 2:
        attributes["direction"] = "bidirectional"
    if case.cell == "gru":
        attributes["linear_before_reset"] = 0  # the reset gate before the matrix product
    nodes = [
        helper.make_node("Transpose", ["x"], ["x_time_first"], perm=[1, 0, 2]),
        helper.make_node(CLASSES[case.cell], ["x_time_first", *names], ["a"], **attributes),
        # (time, directions, batch, units) -> (batch, time, directions, units)
        helper.make_node("Transpose", ["a"], ["a_batch_first"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["a_batch_first", "shape"], ["y"]),
    ]
    sizes: list[Any] = ["batch", "time"]
    graph = helper.make_graph(
        nodes,
        case.cell,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [*sizes, input_dim])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*sizes, case.directions * units])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    return model
