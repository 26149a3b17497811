"""What is wrong with a gradient, and what helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasrnn import cells
from kerasrnn.lens.meter import LayerFigures
from kerasrnn.lens.steps import SYMBOLS

# The gradient of a weight is a sum over the steps, in numbers of 24 binary digits: a term that is
# smaller than this share of another changes no digit of it.
VANISHED = 2.0**-23

# A hundredfold, as the horizon is a hundredth. A step whose memory is lost nowhere can grow with
# the number of the steps behind it; ten times as much is growth.
EXPLODED = 100.0

_PLAIN = (cells.SimpleRNNCell, keras.layers.SimpleRNNCell)
_OURS = (cells.LSTMCell, cells.GRUCell, cells.SimplifiedGRUCell)
_GATED = (*_OURS, keras.layers.LSTMCell, keras.layers.GRUCell)
_BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign")


class GradientWarning(UserWarning):
    """A gradient vanishes, explodes or is not a number; see `LensCallback`."""


def has_vanished(figures: LayerFigures) -> bool:
    """Whether nothing that the first step does can be learnt.

    The norm there is below `VANISHED`, 2⁻²³, of the largest.
    """
    norms = figures.by_lag
    if norms is None or not figures.is_finite or not len(norms) or not figures.last > 0:
        return False
    return figures.first < VANISHED * float(np.nanmax(norms))


def has_exploded(figures: LayerFigures) -> bool:
    """Whether the norm at some lag k is above 100, and above 10 (k + 1), times that at lag 0."""
    norms = figures.by_lag
    if norms is None or not figures.is_finite or not figures.last > 0:
        return False
    lags = np.arange(len(norms))
    limits = np.maximum(EXPLODED, 10.0 * (lags + 1)) * norms[0]
    return bool((np.nan_to_num(norms) > limits).any())


def on_vanishing(figures: LayerFigures, cell: Any, model: Any, of: str) -> str:
    """What to say of a layer whose gradient vanishes."""
    steps = len(figures.by_lag) if figures.by_lag is not None else 0
    norm = _norm(figures, of)
    left = "nothing" if not figures.first else f"{figures.first / figures.last:.1g} of it"
    helps = []
    if isinstance(cell, _PLAIN):
        helps.append("a gated cell, LSTM or GRU, with bias_initializer=" + _chrono(steps))
    elif isinstance(getattr(cell, "bias_initializer", None), cells.Chrono):
        longest = cell.bias_initializer.max_length
        if longest < steps:
            helps.append(f"{_chrono(steps)} in place of Chrono({longest})")
        helps.append("shorter sequences first, and longer ones when these are learnt")
    elif isinstance(cell, _OURS):
        helps.append(f"bias_initializer={_chrono(steps)}, for gates that stay open for so long")
    elif isinstance(cell, _GATED):
        name = type(cell).__name__.removesuffix("Cell")
        helps.append(f"kerasrnn.layers.{name} with bias_initializer={_chrono(steps)}")
    reach = max(1, round(figures.horizon))
    helps.append(
        f"if so much memory is not needed, sequences cut to some {2 * reach} steps, which cost less"
    )
    return (
        f"The gradient vanishes in '{figures.name}': {norm} is down to a hundredth {reach} "
        f"step{'s' if reach > 1 else ''} back, and {left} is left at the first of {steps} steps. "
        f"What was read there cannot be learnt. What helps: {_list(helps)}."
    )


def on_explosion(figures: LayerFigures, cell: Any, model: Any, of: str) -> str:
    """What to say of a layer whose gradient explodes."""
    norms = figures.by_lag if figures.by_lag is not None else np.zeros(1)
    lag = int(np.nanargmax(norms))
    helps = [*_clipping(model)]
    if isinstance(cell, _PLAIN):
        helps.append("a gated cell, LSTM or GRU")
    if _is_unbounded(cell):
        helps.append("activation='tanh'")
    helps.append("shorter truncation: sequences cut to fewer steps")
    if not _clipping(model):
        helps.append("a smaller learning rate")
    return (
        f"The gradient explodes in '{figures.name}': {_norm(figures, of)} is "
        f"{norms[lag] / figures.last:.3g} times as large {lag} steps back as where the {of} is "
        f"read. What helps: {_list(helps)}."
    )


def on_no_number(figures: LayerFigures, cell: Any, model: Any, of: str) -> str:
    """What to say of a layer whose gradient is NaN or infinite."""
    policy = getattr(getattr(cell, "dtype_policy", None), "compute_dtype", "")
    helps = ["a smaller learning rate", *_clipping(model)]
    if _is_unbounded(cell):
        helps.append("activation='tanh'")
    if policy == "float16":
        helps.append("the policy mixed_bfloat16 in place of mixed_float16")
    helps.append("a look for NaN in the data")
    return (
        f"The gradient of '{figures.name}' is not a finite number: {_norm(figures, of)} is NaN or "
        f"infinite at some step. What helps: {_list(helps)}."
    )


def _norm(figures: LayerFigures, of: str) -> str:
    of_what = {"loss": "L", "output": "ŷ"}[of]
    return f"‖∂{of_what}/∂{SYMBOLS.get(figures.state, figures.state)}<t>‖"


def _chrono(steps: int) -> str:
    return f"kerasrnn.cells.Chrono({max(3, steps)})"


def _is_unbounded(cell: Any) -> bool:
    activation = getattr(cell, "activation", None)
    known = isinstance(cell, (*_PLAIN, *_GATED))
    return known and getattr(activation, "__name__", "") not in _BOUNDED


def _clipping(model: Any) -> list[str]:
    """Clipping, unless the optimizer does it already."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    names = ("clipnorm", "global_clipnorm", "clipvalue")
    if optimizer is None or any(getattr(optimizer, name, None) is not None for name in names):
        return []
    return [f"gradient clipping, {type(optimizer).__name__}(global_clipnorm=1.0)"]


def _list(helps: Sequence[str]) -> str:
    return "; ".join(helps)


KINDS: Mapping[str, Any] = {
    "vanishing": on_vanishing,
    "exploding": on_explosion,
    "not finite": on_no_number,
}
