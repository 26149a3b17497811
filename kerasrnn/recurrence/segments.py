"""Unfolding with memory for √T of T steps: segments whose inside is computed twice."""

import math
from typing import Any

import keras
from keras import ops

from kerasrnn.recurrence.bind import bind
from kerasrnn.recurrence.derivative import flat, nested, with_gradient
from kerasrnn.recurrence.scan import backend_module, scan_with_hints
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
        cell, inputs, initial_states: see `unfold`, and so for the others.
        unroll: applies to the steps of a segment.
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

    def forward(arguments):
        carry, segments, valid, values, recurrent_mask = arguments

        def step(carry, xs):
            segment, valid = xs
            new_carry, sequence = run(carry, segment, valid, values, recurrent_mask, False)
            return new_carry, (carry, sequence)

        last, (carries, sequences) = scan_with_hints(
            step, carry, (segments, valid), reverse=reverse, turns="single"
        )
        return (last, sequences), (carries, arguments)

    def backward(kept, d_outputs):
        carries, (_, segments, valid, values, recurrent_mask) = kept
        d_last, d_sequences = d_outputs

        def step(carried, xs):
            d_carry, d_values = carried
            carry, segment, valid, d_sequence = xs
            point = (carry, segment, values)

            def segment_again(*tensors):
                carry, segment, values = nested(point, tensors)
                return flat(run(carry, segment, valid, values, recurrent_mask, True))

            gradients = backend_module().vector_jacobian_product(
                segment_again, flat(point), flat((d_carry, d_sequence))
            )
            d_carry, d_segment, d_more = nested(point, gradients)
            return (d_carry, [d + m for d, m in zip(d_values, d_more, strict=True)]), d_segment

        (d_carry, d_values), d_segments = scan_with_hints(
            step,
            (d_last, [ops.zeros_like(v) for v in values]),
            (carries, segments, valid, d_sequences),
            reverse=not reverse,
            turns="single",
        )
        return d_carry, d_segments, None, d_values, None

    values = [backend_module().tensor_of(w) for w in weights]
    carry = initial_carry(cell, inputs, tuple(initial_states))
    carry, sequence = with_gradient(
        forward, backward, (carry, segments, valid_segments, values, recurrent_mask)
    )
    if sequence is not None:
        sequence = ops.reshape(sequence, (-1, *ops.shape(sequence)[2:]))[:time]
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
