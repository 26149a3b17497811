"""Back-propagation through time, derived by hand; see docs/backpropagation.md for the derivation.

The forward loop computes the states. The backward loop carries ∂L/∂states from the last step to the
first and computes nothing but that and dz, the gradient of the pre-activations. The products that
need no recurrence stay outside of both loops, where each is one for all time steps: the input's
product and the gradients of the weights.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from kerasrnn.recurrence.bind import bind
from kerasrnn.recurrence.scan import backend_module, scan


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
    def arguments(self) -> list:
        """All tensors that a loop uses, so that no backend differentiates a captured one."""
        constants = [x for x in (self.cell.recurrent_mask, self.mask) if x is not None]
        constants += [vars(self.cell)[name] for name in self.frozen]
        return [self.projected, *self.states, *self.cell.recurrent_weights, *constants]

    @property
    def frozen(self) -> tuple[str, ...]:
        """Names of the cell's further weights that do not learn; those that do are recurrent."""
        return vars(self.cell).get("frozen_names", ())

    def filled(self, arguments: Iterator) -> "Lane":
        """This lane with tensors taken from others' `arguments`."""
        projected = next(arguments)
        states = tuple(next(arguments) for _ in self.states)
        weights = tuple(next(arguments) for _ in self.cell.recurrent_weights)
        recurrent_mask = None if self.cell.recurrent_mask is None else next(arguments)
        mask = None if self.mask is None else next(arguments)
        frozen = {name: next(arguments) for name in self.frozen}
        cell = bind(self.cell, recurrent_weights=weights, recurrent_mask=recurrent_mask, **frozen)
        return Lane(cell, projected, states, mask)

    def gradients(self, dz: Any, d_states: tuple, d_weights: Sequence) -> list:
        """Gradients, or None, in the order of `arguments`."""
        given = [dz, *d_states, *d_weights]
        return [*given, *(None for _ in range(len(self.arguments) - len(given)))]

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
    # Computed once: within a transformation of JAX nothing may be computed from tensors outside it.
    given = tuple(lane._replace(cell=_with_tensors(lane.cell)) for lane in lanes)

    def fill(arguments):
        arguments = iter(arguments)
        return [lane.filled(arguments) for lane in given]

    def run(lanes, keep):
        """Final states, (gates and states before of every step), first states after."""

        def step(states, xs):
            kept, after, outputs = [], [], []
            for lane, old, (projected, valid) in zip(lanes, states, xs, strict=True):
                gates, new = lane.step(old, projected, valid)
                kept.append((tuple(gates), old))
                after.append(new)
                outputs.append(new[0] if return_sequences else None)
            return tuple(after), (tuple(kept), tuple(outputs)) if keep else tuple(outputs)

        likes = tuple(lane.states[0] if return_sequences else None for lane in lanes)
        if keep:
            kept_likes = tuple(((s[0],) * _number_of_gates(c), s) for c, _, s, _ in lanes)
            likes = (kept_likes, likes)
        states, outputs = scan(
            step,
            tuple(lane.states for lane in lanes),
            tuple((lane.projected, lane.mask) for lane in lanes),
            reverse=reverse,
            unroll=unroll,
            outputs_like=likes,
            loose=keep,
            turns="short" if keep else "long",
        )
        kept, sequences = outputs if keep else ((), outputs)
        flat = [x for gates, before in kept for x in (*gates, *before)]
        return states, flat, sequences

    def forward(*arguments):
        states, kept, sequences = run(fill(arguments), keep_gates)
        outputs = [x for x in (*sequences, *_flat(states)) if x is not None]
        return tuple(outputs), (*arguments, *_flat(states), *kept)

    def backward(kept, d_outputs):
        rest = iter(kept)
        lanes = [lane.filled(rest) for lane in given]
        finals = tuple(tuple(next(rest) for _ in lane.states) for lane in lanes)
        if not keep_gates:
            finals, again, _ = run(lanes, True)
            rest = iter(again)
        gates, befores = [], []
        for lane in lanes:
            gates.append(tuple(next(rest) for _ in range(_number_of_gates(lane.cell))))
            befores.append(tuple(next(rest) for _ in lane.states))
        d_outputs = iter(d_outputs)
        d_sequences = [next(d_outputs) if return_sequences else None for _ in lanes]
        d_finals = [tuple(next(d_outputs) for _ in lane.states) for lane in lanes]
        transposed = [
            tuple(ops.swapaxes(W, -1, -2) for W in lane.cell.recurrent_weights) for lane in lanes
        ]

        def step(carried, xs):
            dzs, new_carried = [], []
            for lane, W_T, (d_states, after), (gates, before, d_output, valid) in zip(
                lanes, transposed, carried, xs, strict=True
            ):
                if d_output is not None:
                    d_states = (d_states[0] + d_output, *d_states[1:])
                gates = lane.cell.gates_type(*gates)
                dz, d_states = lane.step_back(d_states, gates, before, after, W_T, valid)
                dzs.append(dz)
                # The states before this step are those after the one that comes next.
                new_carried.append((d_states, before))
            return tuple(new_carried), tuple(dzs)

        carried, dzs = scan(
            step,
            tuple(zip(d_finals, finals, strict=True)),
            tuple(zip(gates, befores, d_sequences, (lane.mask for lane in lanes), strict=True)),
            reverse=not reverse,
            unroll=unroll,
            outputs_like=tuple(lane.projected[0] for lane in lanes),
            over=tuple(lane.projected for lane in lanes),
        )
        gradients = []
        stack = backend_module().stack
        for lane, dz, own_gates, before, (d_initial, _) in zip(
            lanes, dzs, gates, befores, carried, strict=True
        ):
            named = lane.cell.gates_type(*map(stack, own_gates))
            pairs = lane.cell.recurrent_gradients(dz, named, tuple(map(stack, before)))
            d_weights = [_product_over_time(left, right) for left, right in pairs]
            gradients += lane.gradients(dz, d_initial, d_weights)
        return tuple(gradients)

    outputs = iter(
        backend_module().with_gradient(forward, backward)(
            *(x for lane in given for x in lane.arguments)
        )
    )
    sequences = [next(outputs) if return_sequences else None for _ in given]
    return [
        (sequence, tuple(next(outputs) for _ in lane.states))
        for sequence, lane in zip(sequences, given, strict=True)
    ]


def _with_tensors(cell):
    """The cell with tensors in the place of all weights that its step may read."""
    frozen = {
        name: ops.convert_to_tensor(backend_module().tensor_of(value))
        for name, value in vars(cell).items()
        if isinstance(value, keras.Variable)
        and not value.trainable
        and keras.backend.is_float_dtype(value.dtype)
    }
    weights = tuple(cell.recurrent_weights)
    return bind(cell, recurrent_weights=weights, frozen_names=tuple(frozen), **frozen)


def _number_of_gates(cell):
    return len(cell.gates_type._fields)


def _flat(states):
    return [state for of_lane in states for state in of_lane]


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
