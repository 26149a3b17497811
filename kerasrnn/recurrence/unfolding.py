"""Unfolding a cell over time: masks, directions and the choice of the backward pass."""

from typing import Any, NamedTuple

from keras import ops, tree

from kerasrnn.recurrence.back_propagation import Lane, scan_with_step_gradient
from kerasrnn.recurrence.bind import bind, bind_weights
from kerasrnn.recurrence.scan import backend_module, scan_with_hints


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
    inputs: Any,
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
        cell: the cell, with the dropout mask of its state bound to it.
        inputs: tensor `(time, batch, input_dim)`.
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
    given = ops.shape(inputs)[0]
    inputs, mask = some_steps(inputs, mask)
    length, whole_mask = ops.shape(inputs)[0], mask
    steps = None if mask is None or unroll else backend_module().longest(mask)
    if steps is not None:
        # No row needs the steps after; they are neither projected nor unfolded.
        inputs, mask = inputs[:steps], mask[:steps]
    carry = initial_carry(cell, inputs, tuple(initial_states))
    carry, sequence = advance(
        cell,
        inputs,
        carry,
        mask=mask,
        reverse=reverse,
        return_sequences=return_sequences,
        zero_output_for_mask=zero_output_for_mask,
        unroll=unroll,
        training=training,
    )
    unfolded = finish(cell, carry, sequence, mask, reverse, zero_output_for_mask)
    if steps is None:
        return as_given(unfolded, given, initial_states)
    outputs, last = unfolded.outputs, unfolded.last_output
    if zero_output_for_mask and not reverse:
        last = ops.where(ops.expand_dims(whole_mask[-1], -1), last, ops.zeros_like(last))
    if outputs is not None:
        held = outputs[-1:]
        held = ops.zeros_like(held) if zero_output_for_mask or reverse else held
        missing = ops.broadcast_to(held, (length - steps, *ops.shape(held)[1:]))
        outputs = ops.concatenate([outputs, missing], axis=0)
        outputs = ops.reshape(outputs, (length, *ops.shape(outputs)[1:]))
    unfolded = unfolded._replace(outputs=outputs, last_output=last)
    return as_given(unfolded, given, initial_states)


def some_steps(inputs: Any, mask: Any) -> tuple[Any, Any]:
    """Inputs and mask with a step of zeros if there is no step: a loop needs one to begin with."""
    if inputs.shape[0]:
        return inputs, mask
    one = backend_module().at_least_one
    return one(inputs), None if mask is None else one(mask)


def as_given(unfolded: Unfolded, length: Any, initial_states: Any) -> Unfolded:
    """What was unfolded after `some_steps`: without any step nothing is read and nothing said."""
    if isinstance(length, int) and length > 0:
        return unfolded
    read = ops.greater(length, 0)
    outputs, last, states = unfolded
    states = tree.pack_sequence_as(
        states,
        [
            ops.where(read, new, old)
            for new, old in zip(tree.flatten(states), tree.flatten(initial_states), strict=True)
        ],
    )
    outputs = None if outputs is None else outputs[:length]
    return Unfolded(outputs, ops.where(read, last, ops.zeros_like(last)), states)


def one_scan_is_faster() -> bool:
    """Whether `unfold_both` is faster here than two calls of `unfold`.

    XLA runs two loops one after the other. In a TensorFlow graph the loops of two calls run beside
    each other, which measured faster at every size.
    """
    return backend_module().one_scan_is_faster()


def unfold_both(
    cells: tuple[Any, Any],
    inputs: tuple[Any, Any],
    initial_states: tuple[Any, Any],
    *,
    mask: Any = None,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
    training: bool = False,
) -> tuple[Unfolded, Unfolded]:
    """Run two cells of one kind over time in a single scan, the second from the end.

    Args:
        cells: the cell that reads forwards and the one that reads backwards, with `step_gradient`
            and the same class, units and activations.
        inputs, initial_states: what `unfold` takes, one for each cell.
        mask, return_sequences, zero_output_for_mask, unroll, training: see `unfold`.

    Returns:
        An `Unfolded` for each cell, both in the order of time.
    """
    given = ops.shape(inputs[0])[0]
    padded = [some_steps(x, mask) for x in inputs]
    inputs, mask = (padded[0][0], padded[1][0]), padded[0][1]
    bound = tuple(bind_weights(cell) for cell in cells)
    # Turned round in time, the backward cell's steps are those of a forward cell.
    forward = project_over_time(bound[0], inputs[0])
    backward = ops.flip(project_over_time(bound[1], inputs[1]), axis=0)
    masks = (None, None) if mask is None else (mask, ops.flip(mask, axis=0))
    lanes = [
        Lane(cell, projected, tuple(states), mask_)
        for cell, projected, states, mask_ in zip(
            bound, (forward, backward), initial_states, masks, strict=True
        )
    ]
    stacked = backend_module().stacks_lanes()
    results = scan_with_step_gradient(
        [_stack(lanes)] if stacked else lanes,
        return_sequences=return_sequences,
        unroll=unroll,
        keep_gates=training,
    )
    if stacked:
        results = _unstack(*results)
    unfolded = []
    for direction, (cell, (sequence, states)) in enumerate(zip(bound, results, strict=True)):
        if direction == 1 and sequence is not None:
            sequence = ops.flip(sequence, axis=0)
        both = finish(cell, states, sequence, mask, bool(direction), zero_output_for_mask)
        unfolded.append(as_given(both, given, initial_states[direction]))
    return unfolded[0], unfolded[1]


def _stack(lanes):
    """Two lanes as one whose tensors have an axis of directions, in front of that of the batch."""
    cells, projected, states, masks = zip(*lanes, strict=True)
    dropped = [getattr(cell, "recurrent_mask", None) for cell in cells]
    weights = zip(*(cell.recurrent_weights for cell in cells), strict=True)
    cell = bind(
        cells[0],
        recurrent_weights=tuple(map(ops.stack, weights)),
        recurrent_mask=None if dropped[0] is None else ops.stack(dropped),
    )
    return Lane(
        cell,
        ops.stack(projected, axis=1),  # (time, 2, batch, columns)
        tuple(map(ops.stack, zip(*states, strict=True))),
        None if masks[0] is None else ops.stack(masks, axis=1),
    )


def _unstack(result):
    sequence, states = result
    return [
        (
            None if sequence is None else sequence[:, direction],
            tuple(state[direction] for state in states),
        )
        for direction in range(2)
    ]


def initial_carry(cell: Any, inputs: Any, states: tuple) -> Any:
    """What a scan carries: the states, and the output before where it is not one of them."""
    if uses_step_gradient(cell):
        return states
    output, _ = cell.step(cell.project(inputs[0]), states)
    return states, ops.zeros_like(output)


def advance(
    cell: Any,
    inputs: Any,
    carry: Any,
    *,
    mask: Any,
    reverse: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
    unroll: bool,
    training: bool,
) -> tuple[Any, Any]:
    """Carry states through `inputs`; returns what is carried, and the sequence or None."""
    cell = bind_weights(cell)
    projected = project_over_time(cell, inputs)
    if uses_step_gradient(cell):
        ((sequence, states),) = scan_with_step_gradient(
            [Lane(cell, projected, tuple(carry), mask)],
            reverse=reverse,
            return_sequences=return_sequences,
            unroll=unroll,
            keep_gates=training,
        )
        return states, sequence

    def step(carried, xs):
        states, held = carried
        inputs, valid = xs
        output, new_states = cell.step(inputs, states)
        new_states = tree.pack_sequence_as(states, tree.flatten(new_states))
        if valid is not None:
            valid = ops.expand_dims(valid, -1)
            new_states = tree.map_structure(
                lambda new, old: ops.where(valid, new, old), new_states, states
            )
            held = ops.where(valid, output, held)
            output = (
                ops.where(valid, output, ops.zeros_like(output)) if zero_output_for_mask else held
            )
        else:
            held = output
        return (new_states, held), (output if return_sequences else None)

    return scan_with_hints(
        step,
        carry,
        (projected, mask),
        reverse=reverse,
        unroll=unroll,
        turns="short" if training else "long",
    )


def finish(
    cell: Any, carry: Any, sequence: Any, mask: Any, reverse: bool, zero_output_for_mask: bool
) -> Unfolded:
    """Outputs and states from what `advance` returned for a whole sequence."""
    if not uses_step_gradient(cell):
        states, last = carry
        if mask is not None and zero_output_for_mask:
            last_mask = ops.expand_dims(mask[0] if reverse else mask[-1], -1)
            last = ops.where(last_mask, last, ops.zeros_like(last))
        return Unfolded(sequence, last, states)
    outputs, last = _outputs_from_states(sequence, carry, mask, reverse, zero_output_for_mask)
    return Unfolded(outputs, last, carry)


def project_over_time(cell: Any, inputs: Any) -> Any:
    """`cell.project` for all time steps of `(time, batch, …)` in one product."""
    time, batch = ops.shape(inputs)[:2]
    projected = cell.project(ops.reshape(inputs, (-1, *inputs.shape[2:])))
    return tree.map_structure(lambda x: ops.reshape(x, (time, batch, *x.shape[1:])), projected)


def _outputs_from_states(sequence, states, mask, reverse, zero_output_for_mask):
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
