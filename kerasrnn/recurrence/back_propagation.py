"""Back-propagation through time, derived by hand; see docs/backpropagation.md for the derivation.

The forward loop computes the states. The backward loop carries ∂L/∂states from the last step to the
first and computes nothing but that and dz, the gradient of the pre-activations. The products that
need no recurrence stay outside of both loops, where each is one for all time steps: the input's
product and the gradients of the weights.
"""

from typing import Any

from keras import ops

from kerasrnn.recurrence.bind import bind
from kerasrnn.recurrence.scan import backend_module, scan


def scan_with_step_gradient(
    cell: Any,
    projected: Any,
    initial_states: tuple,
    *,
    mask: Any = None,
    reverse: bool = False,
    return_sequences: bool = True,
    unroll: bool = False,
    keep_gates: bool = True,
) -> tuple[Any, tuple]:
    """Carry a cell's states through time, differentiated by the cell's own derivative.

    Args:
        cell: a cell with `gates`, `update`, `step_gradient` and `recurrent_gradients`,
            whose output is its first state.
        projected: tensor `(time, batch, columns)`, what `project` returned for every step. All
            tensors may have an axis of directions before that of the batch, the weights in front.
        initial_states: tuple of tensors `(batch, units)`.
        mask: boolean `(time, batch)`; the states stay as they are where it is false.
        reverse: if true, the last time step comes first.
        return_sequences: whether the first state of every step is returned.
        unroll: if true, no loop remains in the graph.
        keep_gates: whether the forward pass stores the gates for the backward pass, which
            otherwise computes them again.

    Returns:
        The first state after every step `(time, batch, units)`, or None, and the final states.
    """
    number_of_states = len(initial_states)
    number_of_gates = len(cell.gates_type._fields)
    weights = tuple(cell.recurrent_weights)
    recurrent_mask = cell.recurrent_mask
    # Everything the loops use is an argument, so that no backend differentiates a captured tensor.
    constants = [x for x in (recurrent_mask, mask) if x is not None]
    number_of_constants = len(constants)

    def unpack(arguments):
        arguments = list(arguments)
        projected = arguments.pop(0)
        states = tuple(arguments.pop(0) for _ in range(number_of_states))
        constants = [arguments.pop(0) for _ in range(number_of_constants)]
        bound_mask = constants.pop(0) if recurrent_mask is not None else None
        valid = ops.expand_dims(constants.pop(0), -1) if mask is not None else None
        bound = bind(cell, recurrent_weights=tuple(arguments), recurrent_mask=bound_mask)
        return bound, projected, states, valid

    def run(arguments, keep):
        bound, projected, states, valid = unpack(arguments)
        like = states[0]

        def step(states, xs):
            inputs, valid = xs
            gates = bound.gates(inputs, states)
            _, new_states = bound.update(gates, states)
            if valid is not None:
                new_states = tuple(
                    ops.where(valid, new, old) for new, old in zip(new_states, states, strict=True)
                )
            if keep:
                return new_states, (tuple(gates), new_states)
            return new_states, (new_states[0] if return_sequences else None)

        kept_like = ((like,) * number_of_gates, states) if keep else None
        outputs_like = kept_like if keep else (like if return_sequences else None)
        return scan(
            step,
            states,
            (projected, valid),
            reverse=reverse,
            unroll=unroll,
            outputs_like=outputs_like,
            loose=keep,
        )

    def forward(*arguments):
        if keep_gates:
            states, (gates, sequences) = run(arguments, keep=True)
            sequence = sequences[0] if return_sequences else None
            return _join(sequence, states), (*gates, *sequences, *arguments)
        states, sequence = run(arguments, keep=False)
        return _join(sequence, states), arguments

    def backward(kept, d_outputs):
        if not keep_gates:
            _, (gates, sequences) = run(kept, keep=True)
            kept = (*gates, *sequences, *kept)
        gates = cell.gates_type(*kept[:number_of_gates])
        kept = kept[number_of_gates:]
        new_states, arguments = kept[:number_of_states], kept[number_of_states:]
        bound, projected, initial_states, valid = unpack(arguments)
        d_outputs = list(d_outputs)
        d_sequence = d_outputs.pop(0) if return_sequences else None

        states = tuple(
            _states_before(after, initial, reverse)
            for after, initial in zip(new_states, initial_states, strict=True)
        )
        transposed = tuple(ops.swapaxes(W, -1, -2) for W in bound.recurrent_weights)

        def step(d_states, xs):
            (gates, states, new_states), d_output, valid = xs
            gates = cell.gates_type(*gates)
            if d_output is not None:
                d_states = (d_states[0] + d_output, *d_states[1:])
            if valid is None:
                dz, d_states = bound.step_gradient(d_states, gates, states, new_states, transposed)
                return d_states, dz
            # A masked step hands the gradient on as it is.
            handed_on = tuple(ops.where(valid, ops.zeros_like(d), d) for d in d_states)
            d_states = tuple(d - h for d, h in zip(d_states, handed_on, strict=True))
            dz, d_states = bound.step_gradient(d_states, gates, states, new_states, transposed)
            return tuple(d + h for d, h in zip(d_states, handed_on, strict=True)), dz

        d_initial, dz = scan(
            step,
            tuple(d_outputs),
            ((tuple(gates), states, new_states), d_sequence, valid),
            reverse=not reverse,
            unroll=unroll,
            outputs_like=projected[0],
        )
        gates = cell.gates_type(*(backend_module().stack(gate) for gate in gates))
        d_weights = tuple(
            _product_over_time(left, right)
            for left, right in bound.recurrent_gradients(dz, gates, states)
        )
        return (dz, *d_initial, *(None for _ in constants), *d_weights)

    outputs = backend_module().with_gradient(forward, backward)(
        projected, *initial_states, *constants, *weights
    )
    if return_sequences:
        return outputs[0], tuple(outputs[1:])
    return None, tuple(outputs)


def _join(sequence, states):
    return states if sequence is None else (sequence, *states)


def _states_before(after, initial, reverse):
    """The states before every step from those after it."""
    if reverse:
        return ops.concatenate([after[1:], initial[None]], axis=0)
    return ops.concatenate([initial[None], after[:-1]], axis=0)


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
    return ops.matmul(ops.transpose(left), right)
