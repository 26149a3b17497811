"""One time step of each kind of cell, opened: its gates, and a place for a change of its states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from kerasrnn import cells
from kerasrnn.layers.rnn import has_halves
from kerasrnn.recurrence import bind, bind_weights

# The lecture's names of what is computed in a step, by the names that the cells of this package
# give it. Γr tells how relevant the old value is.
GATE_NAMES = {
    "update": "update",
    "reset": "relevance",
    "forget": "forget",
    "candidate": "candidate",
    "output": "output",
}
SYMBOLS = {
    "update": "Γu",
    "relevance": "Γr",
    "forget": "Γf",
    "output": "Γo",
    "candidate": "c̃",
    "a": "a",
    "c": "c",
}


class Step(NamedTuple):
    """What a step computes.

    Attributes:
        output: `(batch, units)`.
        states: the new states, as the cell's, in a list.
        gates: activations `(batch, units)` by the names of `SYMBOLS`; none of a cell that has
            none or is not known.
    """

    output: Any
    states: list
    gates: dict[str, Any]


class OpenedCell:
    """A cell whose steps can be looked into.

    It computes what the cell computes. A change `delta` of a state after a step acts on all that
    follows from that state: on the output of the step, where the output is made of it, and on all
    later steps. The derivative of a loss by `delta` at 0 is thus the total ∂L/∂a<t> or ∂L/∂c<t>.

    Args:
        cell: a cell of this package or of Keras, or any other that Keras's `RNN` takes. Of the
            latter nothing is known: `gates` is empty, and `delta` acts on the output only if the
            output is one of the states.

    Attributes:
        is_known: whether its equations are.
    """

    def __init__(self, cell: Any) -> None:
        kind = _kind(cell)
        self.is_known = kind is not None
        halves: tuple[Callable | None, Callable] = (None, _any)
        self._project, self._step = halves if kind is None else _HALVES[kind]
        if kind in _OURS:
            cell = bind_weights(cell)
            cell = bind(cell, recurrent_weights=cell.recurrent_weights)
        self.cell = cell

    def project(self, inputs: Any) -> Any:
        """What can be computed of all time steps at once: `(…, input_dim)` to `(…, columns)`."""
        return inputs if self._project is None else self._project(self.cell, inputs)

    def step(self, projected: Any, states: list, deltas: list | None = None) -> Step:
        """One step.

        Args:
            projected: what `project` returned for this step.
            states: the states before the step.
            deltas: what to add to each state after it; None for nothing.
        """
        return self._step(self.cell, projected, states, deltas or [None] * len(states))


def state_names(cell: Any) -> tuple[str, ...]:
    """What the states of a cell are called: `a`, or `a` and `c` of an LSTM.

    The memory of a GRU is its activation, c = a.
    """
    size = cell.state_size
    count = len(size) if isinstance(size, list | tuple) else 1
    if count == 1:
        return ("a",)
    if count == 2 and isinstance(cell, cells.LSTMCell | keras.layers.LSTMCell):
        return ("a", "c")
    return tuple(f"state {number}" for number in range(count))


def _plus(state: Any, delta: Any) -> Any:
    return state if delta is None else state + delta


# === The cells of this package ===


def _project_ours(cell: Any, inputs: Any) -> Any:
    flat = ops.reshape(inputs, (-1, inputs.shape[-1]))
    projected = cell.project(flat)
    return ops.reshape(projected, (*ops.shape(inputs)[:-1], projected.shape[-1]))


def _ours(cell: Any, projected: Any, states: list, deltas: list) -> Step:
    gates = cell.gates(projected, tuple(states))
    _, (a,) = cell.update(gates, tuple(states))
    a = _plus(a, deltas[0])
    found = {GATE_NAMES[name]: x for name, x in gates._asdict().items() if name in GATE_NAMES}
    return Step(a, [a], found)


def _our_lstm(cell: Any, projected: Any, states: list, deltas: list) -> Step:
    gates = cell.gates(projected, tuple(states))
    c = _plus(gates.update * gates.candidate + gates.forget * states[1], deltas[1])
    a = _plus(gates.output * cell.activation(c), deltas[0])
    return Step(a, [a, c], {GATE_NAMES[name]: x for name, x in gates._asdict().items()})


# === Those of Keras ===


def _project_keras(cell: Any, inputs: Any) -> Any:
    projected = ops.matmul(inputs, cell.kernel)
    bias = cell.bias
    if bias is None:
        return projected
    return projected + (bias[0] if len(bias.shape) == 2 else bias)


def _keras_simple(cell: Any, projected: Any, states: list, deltas: list) -> Step:
    a = projected + ops.matmul(states[0], cell.recurrent_kernel)
    a = _plus(a if cell.activation is None else cell.activation(a), deltas[0])
    return Step(a, [a], {})


def _keras_gru(cell: Any, projected: Any, states: list, deltas: list) -> Step:
    before, H, σ = states[0], cell.units, cell.recurrent_activation
    x_z, x_r, x_h = ops.split(projected, 3, axis=-1)
    W = ops.convert_to_tensor(cell.recurrent_kernel)
    if cell.reset_after:
        recurrent = ops.matmul(before, W)
        if cell.use_bias:
            recurrent = recurrent + cell.bias[1]
        s_z, s_r, s_h = ops.split(recurrent, 3, axis=-1)
        z, r = σ(x_z + s_z), σ(x_r + s_r)
        candidate = x_h + r * s_h
    else:
        s_z, s_r = ops.split(ops.matmul(before, W[:, : 2 * H]), 2, axis=-1)
        z, r = σ(x_z + s_z), σ(x_r + s_r)
        candidate = x_h + ops.matmul(r * before, W[:, 2 * H :])
    candidate = candidate if cell.activation is None else cell.activation(candidate)
    a = _plus(z * before + (1 - z) * candidate, deltas[0])
    # Keras's z keeps the old value.
    return Step(a, [a], {"update": 1 - z, "relevance": r, "candidate": candidate})


def _keras_lstm(cell: Any, projected: Any, states: list, deltas: list) -> Step:
    σ, g = cell.recurrent_activation, cell.activation or (lambda x: x)
    z = projected + ops.matmul(states[0], cell.recurrent_kernel)
    z_u, z_f, z_c, z_o = ops.split(z, 4, axis=-1)
    update, forget, candidate, output = σ(z_u), σ(z_f), g(z_c), σ(z_o)
    c = _plus(update * candidate + forget * states[1], deltas[1])
    a = _plus(output * g(c), deltas[0])
    gates = {"update": update, "forget": forget, "candidate": candidate, "output": output}
    return Step(a, [a, c], gates)


# === Any other ===


def _any(cell: Any, inputs: Any, states: list, deltas: list) -> Step:
    if has_halves(cell):
        output, new_states = cell.step(cell.project(inputs), tuple(states))
    else:
        options = {"training": False} if getattr(cell, "_call_has_training_arg", False) else {}
        output, new_states = cell(inputs, states, **options)
    new_states = tree.flatten(new_states)
    changed = [_plus(*pair) for pair in zip(new_states, deltas, strict=True)]
    for old, new in zip(new_states, changed, strict=True):
        if output is old:
            output = new
            break
    return Step(output, changed, {})


_OURS = {
    cells.SimpleRNNCell: _ours,
    cells.SimplifiedGRUCell: _ours,
    cells.GRUCell: _ours,
    cells.LSTMCell: _our_lstm,
}
_HALVES: dict[type, tuple[Callable | None, Callable]] = {
    **{kind: (_project_ours, step) for kind, step in _OURS.items()},
    keras.layers.SimpleRNNCell: (_project_keras, _keras_simple),
    keras.layers.GRUCell: (_project_keras, _keras_gru),
    keras.layers.LSTMCell: (_project_keras, _keras_lstm),
}


def _kind(cell: Any) -> type | None:
    """The class whose equations a cell has: its own, or one that it has them from."""
    for kind in type(cell).__mro__:
        if kind in _HALVES:
            steps = ("call", "project", "step", "gates", "update")
            same = all(getattr(type(cell), n, None) is getattr(kind, n, None) for n in steps)
            return kind if same else None
    return None
