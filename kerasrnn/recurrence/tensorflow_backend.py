"""The scan over time on TensorFlow."""

import tensorflow as tf


def scan(step, initial_states, inputs, *, reverse=False):
    states = tf.nest.flatten(initial_states)
    sequences = tf.nest.flatten(inputs)
    length = tf.shape(sequences[0])[0]

    def flat_step(states, slices):
        new_states, outputs = step(
            tf.nest.pack_sequence_as(initial_states, states),
            tf.nest.pack_sequence_as(inputs, slices),
        )
        return tf.nest.flatten(new_states), outputs

    # A first trace in a graph of its own tells the structure, shapes and dtypes of the outputs.
    traced = tf.function(flat_step, autograph=False).get_concrete_function(
        [tf.TensorSpec(x.shape, x.dtype) for x in states],
        [tf.TensorSpec(x.shape[1:], x.dtype) for x in sequences],
    )
    output_specs = traced.structured_outputs[1]
    arrays = [
        tf.TensorArray(spec.dtype, size=length, element_shape=spec.shape)
        for spec in tf.nest.flatten(output_specs)
    ]

    def body(turn, states, arrays):
        t = length - 1 - turn if reverse else turn
        new_states, outputs = flat_step(states, [x[t] for x in sequences])
        arrays = [a.write(t, y) for a, y in zip(arrays, tf.nest.flatten(outputs), strict=True)]
        for old, new in zip(states, new_states, strict=True):
            new.set_shape(old.shape)
        return turn + 1, new_states, arrays

    static_length = sequences[0].shape[0]
    _, states, arrays = tf.while_loop(
        lambda turn, *_: turn < length,
        body,
        (0, states, arrays),
        maximum_iterations=static_length,
    )
    outputs = [a.stack() for a in arrays]
    for y in outputs:
        y.set_shape([static_length, *y.shape[1:]])
    return (
        tf.nest.pack_sequence_as(initial_states, states),
        tf.nest.pack_sequence_as(output_specs, outputs),
    )
