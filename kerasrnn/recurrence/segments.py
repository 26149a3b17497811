"""Unfolding with memory for √T of T steps: segments whose inside is computed twice."""

import math
from typing import Any

import keras
from keras import ops, tree

from kerasrnn.recurrence.bind import bind
from kerasrnn.recurrence.scan import backend_module, scan
from kerasrnn.recurrence.unfolding import (
    Unfolded,
    advance,
    as_given,
    finish,
    initial_carry,
    some_steps,
)


def unfold_in_segments(
    cell: Any,
    inputs: Any,
    initial_states: tuple,
    *,
    segment_length: int | str,
    mask: Any = None,
    reverse: bool = False,
    return_sequences: bool = True,
    zero_output_for_mask: bool = False,
    unroll: bool = False,
) -> Unfolded:
    """As `unfold`, but the backward pass keeps only the states between segments.

    The forward pass stores the states before each segment. The backward pass takes the segments in
    the opposite order, unfolds each again, with all it needs kept for the length of the segment,
    and adds its share to the gradient of the weights (Chen et al. 2016, "Training deep nets with
    sublinear memory cost").

    Args:
        cell, inputs, initial_states, mask, reverse, return_sequences, zero_output_for_mask,
            unroll: see `unfold`; `unroll` applies to the steps of a segment.
        segment_length: time steps of a segment, or "sqrt" for the square root of their number.

    Returns:
        An `Unfolded`.
    """
    given = ops.shape(inputs)[0]
    inputs, mask = some_steps(inputs, mask)
    time = ops.shape(inputs)[0]
    length: Any = _sqrt(time) if segment_length == "sqrt" else segment_length
    segments = _split(inputs, length)
    # The last segment is filled up with steps that leave the states as they are.
    ragged = not (isinstance(time, int) and time % length == 0)
    valid = ops.ones(ops.shape(inputs)[:2], dtype="bool") if mask is None and ragged else mask
    valid_segments = None if valid is None else _split(valid, length)

    # Frozen ones too: what is differentiated by hand may take no variable but as an argument.
    weights = [v for v in cell.variables if keras.backend.is_float_dtype(v.dtype)]
    recurrent_mask = getattr(cell, "recurrent_mask", None)
    carry_like = initial_carry(cell, inputs, tuple(initial_states))

    def run(carry, segment, valid, weight_values, recurrent_mask, training):
        bound = cell if recurrent_mask is None else bind(cell, recurrent_mask=recurrent_mask)
        with keras.StatelessScope(list(zip(weights, weight_values, strict=True))):
            carry, sequence = advance(
                bound,
                segment,
                carry,
                mask=valid,
                reverse=reverse,
                return_sequences=return_sequences,
                zero_output_for_mask=zero_output_for_mask,
                unroll=unroll,
                training=training,
            )
        return carry, sequence

    # Flat lists of tensors, None left out, are what `with_gradient` takes.
    values = [backend_module().tensor_of(w) for w in weights]
    arguments = (carry_like, segments, valid_segments, values, recurrent_mask)

    def unpack(flat):
        flat = iter(flat)
        return tree.map_structure(lambda x: None if x is None else next(flat), arguments)

    def forward(*flat):
        carry, segments, valid, values, recurrent_mask = unpack(flat)

        def step(carry, xs):
            segment, valid = xs
            new_carry, sequence = run(carry, segment, valid, values, recurrent_mask, False)
            return new_carry, (carry, sequence)

        last, (carries, sequences) = scan(
            step, carry, (segments, valid), reverse=reverse, turns="single"
        )
        outputs = [*tree.flatten(last), *([] if sequences is None else [sequences])]
        return tuple(outputs), (*tree.flatten(carries), *flat)

    number_carried = len(tree.flatten(carry_like))

    def backward(kept, d_outputs):
        carries = tree.pack_sequence_as(carry_like, kept[:number_carried])
        _, segments, valid, values, recurrent_mask = unpack(kept[number_carried:])
        d_outputs = list(d_outputs)
        d_carry = d_outputs[:number_carried]
        d_sequences = d_outputs[number_carried] if return_sequences else None

        def step(carried, xs):
            d_carry, d_values = carried
            carry, segment, valid, d_sequence = xs
            flat_carry = tree.flatten(carry)

            def segment_again(*tensors):
                carry = tree.pack_sequence_as(carry_like, tensors[:number_carried])
                segment, *values = tensors[number_carried:]
                new_carry, sequence = run(carry, segment, valid, values, recurrent_mask, True)
                return (*tree.flatten(new_carry), *([] if sequence is None else [sequence]))

            gradients = backend_module().vector_jacobian_product(
                segment_again,
                (*flat_carry, segment, *values),
                (*d_carry, *([] if d_sequence is None else [d_sequence])),
            )
            d_carry = list(gradients[:number_carried])
            d_segment, *d_more = gradients[number_carried:]
            return (d_carry, [d + m for d, m in zip(d_values, d_more, strict=True)]), d_segment

        (d_carry, d_values), d_segments = scan(
            step,
            (d_carry, [ops.zeros_like(v) for v in values]),
            (carries, segments, valid, d_sequences),
            reverse=not reverse,
            turns="single",
        )
        nothing = [None for x in (valid, recurrent_mask) if x is not None]
        d_valid, d_mask = nothing[: valid is not None], nothing[valid is not None :]
        return (*d_carry, d_segments, *d_valid, *d_values, *d_mask)

    flat_arguments = [ops.convert_to_tensor(x) for x in tree.flatten(arguments) if x is not None]
    outputs = backend_module().with_gradient(forward, backward)(*flat_arguments)
    carry = tree.pack_sequence_as(carry_like, list(outputs[:number_carried]))
    sequence = None
    if return_sequences:
        joined = outputs[number_carried]
        sequence = ops.reshape(joined, (-1, *ops.shape(joined)[2:]))[:time]
    unfolded = finish(cell, carry, sequence, mask, reverse, zero_output_for_mask)
    return as_given(unfolded, given, initial_states)


def _sqrt(time):
    if isinstance(time, int):
        return max(1, math.isqrt(time))
    return ops.cast(ops.ceil(ops.sqrt(ops.cast(time, "float32"))), "int32")


def _split(x, length):
    """`(time, …)` to `(segments, length, …)`, filled up with zeros."""
    time = ops.shape(x)[0]
    count = (time + length - 1) // length
    padding = count * length - time
    x = ops.concatenate([x, ops.zeros((padding, *ops.shape(x)[1:]), dtype=x.dtype)], axis=0)
    return ops.reshape(x, (count, length, *ops.shape(x)[1:]))
