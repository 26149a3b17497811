"""Unfolding a cell over time: masks, directions and the choice of the backward pass."""

from typing import Any, NamedTuple

from keras import ops, tree

from kerasrnn.recurrence.back_propagation import scan_with_step_gradient
from kerasrnn.recurrence.scan import scan


class Unfolded(NamedTuple):
    """The outputs `(time, batch, units)`, or None if not asked for, the last one, the states."""

    outputs: Any
    last_output: Any
    states: Any


def defining_class(cell: Any, name: str) -> type | None:
    """The class that defines a method of a cell, None if none does."""
    return next((c for c in type(cell).__mro__ if name in vars(c)), None)


def uses_step_gradient(cell: Any) -> bool:
    """Whether a cell's hand-written derivative belongs to the equations it runs.

    A subclass that changes `step`, `gates` or `update` but not `step_gradient` is differentiated
    automatically, for the derivative it inherits is that of other equations.
    """
    if not getattr(cell, "has_step_gradient", False):
        return False
    gradient_class = defining_class(cell, "step_gradient")
    return gradient_class is not None and all(
        issubclass(gradient_class, defining_class(cell, name) or object)
        for name in ("step", "gates", "update", "dropped")
    )


def unfold(
    cell: Any,
    projected: Any,
    initial_states: Any,
    *,
    mask: Any = None,
    reverse: bool = False,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
    training: bool = False,
) -> Unfolded:
    """Run a cell with `project` and `step` over time.

    Args:
        cell: the cell; its `project` has been applied already.
        projected: `(time, batch, ...)`, nested if `project` returns nested tensors.
        initial_states: tuple of tensors, the states before the first step.
        mask: boolean `(time, batch)`; where false, the states stay as they are and the output is
            the one before, or zero.
        reverse: if true, the last time step comes first. Outputs stay at the time of their inputs.
        return_sequences: whether the outputs of all time steps are needed.
        zero_output_for_mask: whether outputs are zero where the mask is false.
        unroll: if true, no loop remains in the graph; the length must be known.
        training: if true, what the backward pass needs is kept; otherwise it is computed again
            should a gradient be asked for.

    Returns:
        An `Unfolded`.
    """
    if uses_step_gradient(cell):
        sequence, states = scan_with_step_gradient(
            cell,
            projected,
            tuple(initial_states),
            mask=mask,
            reverse=reverse,
            return_sequences=return_sequences,
            unroll=unroll,
            keep_gates=training,
        )
        outputs, last = _outputs_from_states(
            sequence, states, initial_states, mask, reverse, zero_output_for_mask
        )
        return Unfolded(outputs, last, states)
    return _unfold_automatically(
        cell, projected, initial_states, mask, reverse, zero_output_for_mask, unroll
    )


def _outputs_from_states(sequence, states, initial_states, mask, reverse, zero_output_for_mask):
    """Outputs of a cell whose output is its first state, which a masked step leaves as it is."""
    last = states[0]
    if mask is None:
        return sequence, last
    mask = ops.expand_dims(mask, -1)  # (time, batch, 1)
    if zero_output_for_mask:
        last_mask = mask[0] if reverse else mask[-1]
        visible = mask
    else:
        # As in Keras, an output is zero until the first step that is not masked.
        counted = ops.cast(ops.flip(mask, axis=0) if reverse else mask, "int32")
        seen = ops.cumsum(counted, axis=0) > 0
        visible = ops.flip(seen, axis=0) if reverse else seen
        last_mask = ops.any(mask, axis=0)
    last = ops.where(last_mask, last, ops.zeros_like(last))
    if sequence is not None:
        sequence = ops.where(visible, sequence, ops.zeros_like(sequence))
    return sequence, last


def _unfold_automatically(
    cell, projected, initial_states, mask, reverse, zero_output_for_mask, unroll
):
    first_inputs = tree.map_structure(lambda x: x[0], projected)
    output, _ = cell.step(first_inputs, initial_states)
    output = ops.zeros_like(output)

    def step(carried, xs):
        states, held = carried
        inputs, valid = xs
        output, new_states = cell.step(inputs, states)
        new_states = tree.pack_sequence_as(states, tree.flatten(new_states))
        if valid is None:
            return (new_states, output), output
        valid = ops.expand_dims(valid, -1)
        new_states = tree.map_structure(
            lambda new, old: ops.where(valid, new, old), new_states, states
        )
        otherwise = ops.zeros_like(output) if zero_output_for_mask else held
        output = ops.where(valid, output, otherwise)
        return (new_states, output), output

    (states, last), outputs = scan(
        step, (initial_states, output), (projected, mask), reverse=reverse, unroll=unroll
    )
    return Unfolded(outputs, last, states)
