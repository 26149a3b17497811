"""Back-propagation through time, derived by hand; see docs/backpropagation.md for the derivation.

The forward loop computes the states. The backward loop carries ∂L/∂states from the last step to the
first and computes nothing but that and dz, the gradient of the pre-activations. The products that
need no recurrence stay outside of both loops, where each is one for all time steps: the input's
product and the gradients of the weights.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kerasrnn.recurrence.bind import bind
from kerasrnn.recurrence.derivative import with_gradient
from kerasrnn.recurrence.scan import backend_module, scan_with_hints


class Tensors(NamedTuple):
    """All tensors that a lane's loops use, or a gradient, or None, for each."""

    projected: Any
    states: tuple
    recurrent_weights: tuple
    recurrent_mask: Any
    mask: Any
    frozen: dict[str, Any]  # the cell's further weights, which do not learn, by name


class Lane(NamedTuple):
    """One recurrence of those that run side by side in a loop.

    Args:
        cell: a cell with `gates`, `update`, `step_gradient` and `recurrent_gradients`,
            whose output is its first state.
        projected: tensor `(time, batch, columns)`, what `project` returned for every step. All
            tensors may have an axis of directions before that of the batch, the weights in front.
        states: tuple of tensors `(batch, units)`, those before the first step.
        mask: boolean `(time, batch)` or None; the states stay as they are where it is false.
    """

    cell: Any
    projected: Any
    states: tuple
    mask: Any = None

    @property
    def tensors(self) -> Tensors:
        """What the loops use, computed from the cell's variables."""
        frozen = {
            name: ops.convert_to_tensor(backend_module().tensor_of(value))
            for name, value in vars(self.cell).items()
            if isinstance(value, keras.Variable)
            and not value.trainable
            and keras.backend.is_float_dtype(value.dtype)
        }
        weights, recurrent_mask = self.cell.recurrent_weights, self.cell.recurrent_mask
        return Tensors(
            self.projected, self.states, tuple(weights), recurrent_mask, self.mask, frozen
        )

    def holding(self, tensors: Tensors) -> "Lane":
        """This lane with others in the place of its tensors."""
        cell = bind(
            self.cell,
            recurrent_weights=tensors.recurrent_weights,
            recurrent_mask=tensors.recurrent_mask,
            **tensors.frozen,
        )
        return Lane(cell, tensors.projected, tensors.states, tensors.mask)

    def step(self, states: tuple, projected: Any, valid: Any) -> tuple[Any, tuple]:
        """The gates of a step and the states after it."""
        gates = self.cell.gates(projected, states)
        _, new_states = self.cell.update(gates, states)
        if valid is not None:
            valid = ops.expand_dims(valid, -1)
            new_states = tuple(
                ops.where(valid, new, old) for new, old in zip(new_states, states, strict=True)
            )
        return gates, new_states

    def step_back(
        self, d_states: tuple, gates: Any, states: tuple, new_states: tuple, W_T: Any, valid: Any
    ) -> tuple[Any, tuple]:
        """∂L/∂z of a step and ∂L/∂states before it, from ∂L/∂states after it."""
        if valid is None:
            return self.cell.step_gradient(d_states, gates, states, new_states, W_T)
        # A masked step hands the gradient on as it is.
        valid = ops.expand_dims(valid, -1)
        handed_on = tuple(ops.where(valid, ops.zeros_like(d), d) for d in d_states)
        d_states = tuple(d - h for d, h in zip(d_states, handed_on, strict=True))
        dz, d_states = self.cell.step_gradient(d_states, gates, states, new_states, W_T)
        return dz, tuple(d + h for d, h in zip(d_states, handed_on, strict=True))


def scan_with_step_gradient(
    lanes: Sequence[Lane],
    *,
    reverse: bool = False,
    return_sequences: bool = True,
    unroll: bool = False,
    keep_gates: bool = True,
) -> list[tuple[Any, tuple]]:
    """Carry cells' states through time, differentiated by the cells' own derivatives.

    Args:
        lanes: what to run, all of one length.
        reverse: if true, the last time step comes first.
        return_sequences: whether the first state of every step is returned.
        unroll: if true, no loop remains in the graph.
        keep_gates: whether the forward pass stores the gates for the backward pass, which
            otherwise computes them again.

    Returns:
        For each lane the first state after every step `(time, batch, units)`, or None, and the
        final states.
    """

    def run(tensors, keep):
        """Final states, the first states after all steps; gates and states before, if kept."""
        held = [lane.holding(t) for lane, t in zip(lanes, tensors, strict=True)]

        def step(states, xs):
            kept, after, outputs = [], [], []
            for lane, old, (projected, valid) in zip(held, states, xs, strict=True):
                gates, new = lane.step(old, projected, valid)
                kept.append((tuple(gates), old))
                after.append(new)
                outputs.append(new[0] if return_sequences else None)
            return tuple(after), (tuple(kept), tuple(outputs)) if keep else tuple(outputs)

        likes: tuple = tuple(t.states[0] if return_sequences else None for t in tensors)
        if keep:
            gates = [(lane.states[0],) * _number_of_gates(lane.cell) for lane in held]
            likes = (tuple((g, t.states) for g, t in zip(gates, tensors, strict=True)), likes)
        states, outputs = scan_with_hints(
            step,
            tuple(t.states for t in tensors),
            tuple((t.projected, t.mask) for t in tensors),
            reverse=reverse,
            unroll=unroll,
            outputs_like=likes,
            loose=keep,
            turns="short" if keep else "long",
        )
        kept, sequences = outputs if keep else (None, outputs)
        return states, sequences, kept

    def forward(tensors):
        states, sequences, kept = run(tensors, keep_gates)
        return (sequences, states), (tensors, states, kept)

    def backward(kept, d_outputs):
        tensors, finals, steps = kept
        d_sequences, d_finals = d_outputs
        if not keep_gates:
            finals, _, steps = run(tensors, True)
        gates, befores = zip(*steps, strict=True)
        held = [lane.holding(t) for lane, t in zip(lanes, tensors, strict=True)]
        transposed = [tuple(ops.swapaxes(W, -1, -2) for W in t.recurrent_weights) for t in tensors]

        def step(carried, xs):
            dzs, new_carried = [], []
            for lane, W_T, (d_states, after), (gates, before, d_output, valid) in zip(
                held, transposed, carried, xs, strict=True
            ):
                if d_output is not None:
                    d_states = (d_states[0] + d_output, *d_states[1:])
                gates = lane.cell.gates_type(*gates)
                dz, d_states = lane.step_back(d_states, gates, before, after, W_T, valid)
                dzs.append(dz)
                # The states before this step are those after the one that comes next.
                new_carried.append((d_states, before))
            return tuple(new_carried), tuple(dzs)

        carried, dzs = scan_with_hints(
            step,
            tuple(zip(d_finals, finals, strict=True)),
            tuple(zip(gates, befores, d_sequences, (t.mask for t in tensors), strict=True)),
            reverse=not reverse,
            unroll=unroll,
            over=tuple(t.projected for t in tensors),
        )
        gradients = []
        stack = backend_module().stack
        for lane, given, dz, own_gates, before, (d_initial, _) in zip(
            held, tensors, dzs, gates, befores, carried, strict=True
        ):
            named = lane.cell.gates_type(*map(stack, own_gates))
            pairs = lane.cell.recurrent_gradients(dz, named, tuple(map(stack, before)))
            d_weights = tuple(_product_over_time(left, right) for left, right in pairs)
            frozen = dict.fromkeys(given.frozen)
            gradients.append(Tensors(dz, d_initial, d_weights, None, None, frozen))
        return tuple(gradients)

    outputs = with_gradient(forward, backward, tuple(lane.tensors for lane in lanes))
    return list(zip(*outputs, strict=True))


def _number_of_gates(cell):
    return len(cell.gates_type._fields)


def _product_over_time(left, right):
    """Σ over time and batch of the outer products.

    `(time, batch, m)` and `(time, batch, n)` to `(m, n)`; an axis of directions before that of the
    batch comes first in the result.
    """
    if len(left.shape) == 4:
        left, right = ops.swapaxes(left, 0, 1), ops.swapaxes(right, 0, 1)
        left = ops.reshape(left, (left.shape[0], -1, left.shape[-1]))
        right = ops.reshape(right, (right.shape[0], -1, right.shape[-1]))
        return ops.matmul(ops.swapaxes(left, 1, 2), right)
    left = ops.reshape(left, (-1, left.shape[-1]))
    right = ops.reshape(right, (-1, right.shape[-1]))
    return backend_module().sum_of_outer_products(left, right)
