"""The scan over time and its gradient on TensorFlow."""

from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

try:
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext as _in_xla
except ImportError:  # not a public name; without it XLA is only slower to compile

    def _in_xla(graph):
        return False


try:
    from tensorflow.compiler.tf2xla.ops.gen_xla_ops import xla_optimization_barrier
except ImportError:  # not a public name; without it XLA's products are only slower

    def xla_optimization_barrier(input):
        return input


# What a turn of a loop costs in a TensorFlow graph is shared by this many time steps. XLA compiles
# the loop, so that one step a turn is as fast there and compiles sooner.
# Where no gradient is expected, as in an export, tracing a longer turn pays.
STEPS_PER_TURN = {"single": 1, "short": 4, "long": 16}
# How many turns a graph may have begun at a time: what waits for no other turn is done early.
TURNS_AT_ONCE = 10
# XLA's product of a transposed matrix is slower than transposing and multiplying, from here on.
WIDTH_WORTH_TRANSPOSING = 128


def scan(
    step,
    initial_states,
    inputs,
    *,
    reverse=False,
    outputs_like=None,
    loose=False,
    over=None,
    turns="short",
):
    """The scan of `kerasrnn.recurrence`, told what makes it faster or smaller.

    Args:
        step, initial_states, inputs, reverse: see `kerasrnn.recurrence.scan`.
        outputs_like: nested tensors with the structure, shapes and dtypes of a step's outputs,
            which spares a trace.
        loose: if true, a step's outputs are a pair, and the sequences of its first part are left
            unstacked, which spares a copy: for another scan to read, or for `stack`.
        over: nested tensors with the structure, shapes and dtypes of the stacked outputs, which
            nobody needs any more: XLA may put the outputs into their memory.
        turns: how many steps a graph takes in a turn of its loop: "short" for a few; "long" for
            many, which is quicker to run and slower to trace, for inference; "single" for one, and
            one turn at a time, where a step is so large that memory must do for one.
    """
    sequences = tf.nest.flatten(inputs)
    whole = [*sequences, *tf.nest.flatten(over)]
    tensor = next(x for x in whole if isinstance(x, tf.Tensor))
    static_length = tensor.shape[0]
    length = tf.shape(tensor)[0] if static_length is None else static_length

    def flat_step(states, slices):
        new_states, outputs = step(
            tf.nest.pack_sequence_as(initial_states, states),
            tf.nest.pack_sequence_as(inputs, slices),
        )
        return tf.nest.flatten(new_states), outputs

    states = tf.nest.flatten(initial_states)
    if outputs_like is None and over is not None:
        outputs_like = tf.nest.map_structure(lambda x: x[0], over)
    if outputs_like is None:
        outputs_like = _outputs_of(flat_step, states, sequences)
    likes = tf.nest.flatten(outputs_like)
    arrays = [_new_array(y.dtype, length, y.shape) for y in likes if y is not None]
    if over is not None and _inside_xla():
        # XLA fills a new array with zeros, but writes into one that it has where it is free.
        arrays = [a.unstack(x) for a, x in zip(arrays, tf.nest.flatten(over), strict=True)]

    steps = STEPS_PER_TURN[turns]
    if tf.executing_eagerly() or _inside_xla():
        steps = 1
    if static_length is not None:
        steps = min(steps, max(1, static_length))
    at_once = 1 if turns == "single" else TURNS_AT_ONCE
    whole = length - length % steps  # what is left over comes after the whole turns

    def advance(turn, states, arrays, slices_at):
        t = length - 1 - turn if reverse else turn
        new_states, outputs = flat_step(states, slices_at(t))
        outputs = [y for y in tf.nest.flatten(outputs) if y is not None]
        arrays = [a.write(t, y) for a, y in zip(arrays, outputs, strict=True)]
        for old, new in zip(states, new_states, strict=True):
            new.set_shape(old.shape)
        return turn + 1, new_states, arrays

    carried: Any = (0 if tf.executing_eagerly() else tf.constant(0), states, arrays)
    if steps > 1:
        start = length - whole if reverse else 0
        blocks = [_in_blocks(x, start, whole // steps, steps) for x in sequences]

        def turn_of_many(turn, states, arrays):
            block = turn // steps
            if reverse:
                block = whole // steps - 1 - block
            read = [_read_block(x, block, steps) for x in blocks]
            for step in reversed(range(steps)) if reverse else range(steps):

                def slices_at(t, step=step):
                    return [x[step] if isinstance(x, list) else _read(x, t) for x in read]

                turn, states, arrays = advance(turn, states, arrays, slices_at)
            return turn, states, arrays

        carried = _while(turn_of_many, carried, whole, static_length, at_once)
    if steps == 1 or static_length is None or static_length % steps > 0:
        start = 0 if reverse or steps == 1 else whole
        end = length - whole if reverse and steps > 1 else length
        singles = [_in_slices(x, start, end) for x in sequences]

        def slices_at(t):
            return [
                _read(x, t - start if isinstance(given, tf.Tensor) else t)
                for x, given in zip(singles, sequences, strict=True)
            ]

        def turn_of_one(turn, states, arrays):
            return advance(turn, states, arrays, slices_at)

        carried = _while(turn_of_one, carried, length, static_length, at_once)
    _, states, arrays = carried

    # Stacking copies. What only another scan reads can do without.
    left_loose = len(tf.nest.flatten(outputs_like[0])) if loose else 0
    stacked = [stack(a) for a in arrays[left_loose:]]
    for y in stacked:
        y.set_shape([static_length, *y.shape[1:]])
    remaining = iter([*arrays[:left_loose], *stacked])
    outputs = [None if y is None else next(remaining) for y in likes]
    return (
        tf.nest.pack_sequence_as(initial_states, states),
        tf.nest.pack_sequence_as(outputs_like, outputs),
    )


def _new_array(dtype, length, element_shape):
    return tf.TensorArray(dtype, size=length, element_shape=element_shape, clear_after_read=False)


class _Blocks(NamedTuple):
    array: tf.TensorArray


def _in_slices(x, start, end):
    """The steps of a tensor from `start` to `end` as an array."""
    if not isinstance(x, tf.Tensor):
        return x
    return _new_array(x.dtype, end - start, x.shape[1:]).unstack(x[start:end])


def _in_blocks(x, start, number, steps):
    """A tensor's steps from `start` on as an array of blocks, which is quicker to read."""
    if not isinstance(x, tf.Tensor):
        return x
    blocks = tf.reshape(
        x[start : start + number * steps], tf.concat([[number, steps], tf.shape(x)[1:]], axis=0)
    )
    return _Blocks(_new_array(x.dtype, number, [steps, *x.shape[1:]]).unstack(blocks))


def _read_block(x, block, steps):
    """The slices of a block as a list; a sequence that has none is read step by step."""
    if x is None or not isinstance(x, _Blocks):
        return x
    return tf.unstack(x.array.read(block), num=steps)


def _read(x, t):
    return None if x is None else x.read(t)


def is_loose(x):
    """Whether `x` is a sequence that a scan has left unstacked."""
    return isinstance(x, tf.TensorArray)


def stack(x):
    """A sequence that a scan has left unstacked as a tensor."""
    return x.stack() if is_loose(x) else x


def _while(body, carried, end, maximum, at_once):
    if maximum is None and _inside_xla():
        maximum = end  # a number by the time XLA compiles, which must know it for the gradient
    return tf.while_loop(
        lambda turn, *_: turn < end,
        body,
        carried,
        maximum_iterations=maximum,
        parallel_iterations=at_once,
    )


def _inside_xla():
    return not tf.executing_eagerly() and _in_xla(tf.compat.v1.get_default_graph())


def one_scan_is_faster():
    return _inside_xla()


def stacks_lanes():
    """Whether lanes of one kind are faster as one with larger tensors: not as two products."""
    return False


def longest(mask):
    """How many steps of a mask `(time, batch)` the longest row needs, at least 1.

    None inside XLA, where every length must be known when the graph is compiled.
    """
    if _inside_xla():
        return None
    return tf.maximum(1, tf.reduce_max(tf.where(mask, _steps(mask) + 1, 0)))


def _steps(mask):
    return tf.range(tf.shape(mask)[0])[:, None]


def _outputs_of(flat_step, states, sequences):
    """Structure, shapes and dtypes of a step's outputs, from a trace in a graph of its own."""
    present = [x for x in sequences if x is not None]

    def step(states, present):
        present = iter(present)
        return flat_step(states, [None if x is None else next(present) for x in sequences])

    traced = tf.function(step, autograph=False).get_concrete_function(
        [tf.TensorSpec(x.shape, x.dtype) for x in states],
        [tf.TensorSpec(x.shape[1:], x.dtype) for x in present],
    )
    return traced.structured_outputs[1]


def at_least_one(x, axis=0):
    """`x` with one element of zeros along `axis` where it has none."""
    if x.shape[axis] is not None and x.shape[axis] > 0:
        return x

    def with_zeros(missing):
        shape = tf.unstack(tf.shape(x))
        shape[axis] = missing
        return tf.concat([x, tf.zeros(tf.stack(shape), x.dtype)], axis=axis)

    missing = tf.maximum(0, 1 - tf.shape(x)[axis])
    if _inside_xla():  # whose branches would need one shape
        return with_zeros(missing)
    return tf.cond(missing > 0, lambda: with_zeros(1), lambda: tf.identity(x))


def with_batch_size(x, size, message):
    """`x`, whose first axis must turn out to have the length `size` when the graph runs."""
    received, known = tf.shape(x)[0], isinstance(size, int)
    says = [f"{message} {size}, received"] if known else [message, size, "received"]
    right = tf.raw_ops.Assert(
        condition=tf.equal(received, size),
        data=[*map(tf.convert_to_tensor, says), received],
        summarize=1,
    )
    # XLA leaves assertions out, but compiles no shape that cannot be.
    with tf.control_dependencies([right]):
        if known:
            return tf.ensure_shape(x, [size, *x.shape[1:]])
        return tf.reshape(x, [size, *tf.unstack(tf.shape(x))[1:]])


def with_gradient(forward, backward):
    """A function that computes `forward(*arguments)[0]` and is differentiated by `backward`.

    `forward` returns `(outputs, kept)`; `backward(kept, d_outputs)` returns a gradient, or None,
    for each argument.
    """

    @tf.custom_gradient
    def function(*arguments):
        outputs, kept = forward(*arguments)

        def gradient(*d_outputs):
            differentiable: list[bool] = []

            @tf.custom_gradient
            def first_order(*both):
                gradients = backward(kept, d_outputs)
                differentiable[:] = [g is not None for g in gradients]

                def second_order(*d_gradients):
                    # What the forward pass kept is not connected to its arguments: once more.
                    with tf.GradientTape() as tape:
                        tape.watch([x for x in both if x.dtype.is_floating])
                        arguments, d_outputs = both[: -len(outputs)], both[-len(outputs) :]
                        again = _present(backward(forward(*arguments)[1], d_outputs))
                    return tape.gradient(again, both, d_gradients)

                return tuple(_present(gradients)), second_order

            known = iter(first_order(*arguments, *d_outputs))
            return [next(known) if d else None for d in differentiable]

        return tuple(outputs), gradient

    return function


def _present(tensors):
    return [x for x in tensors if x is not None]


def tensor_of(variable):
    """A Keras variable's value as a tensor; Keras itself hands the variable on."""
    return tf.convert_to_tensor(variable.value)


def product(x, W):
    """`x W` for many rows x."""
    if not _inside_xla() or len(x.shape) != 2:
        return ops.matmul(x, W)

    @tf.custom_gradient
    def multiply(x, W):
        def gradient(d):
            return tf.matmul(d, W, transpose_b=True), sum_of_outer_products(x, d)

        return tf.matmul(x, W), gradient

    return multiply(x, ops.convert_to_tensor(W))


def sum_of_outer_products(left, right):
    """`leftᵀ right` of two matrices with many rows."""
    if not _inside_xla() or left.shape[-1] < WIDTH_WORTH_TRANSPOSING:
        return tf.matmul(left, right, transpose_a=True)
    return tf.matmul(_held(tf.transpose(left)), right)


@tf.custom_gradient
def _held(x):
    """x, kept by XLA as it is: otherwise a transposed x becomes part of a slower product."""
    return xla_optimization_barrier(input=[x])[0], lambda d: d


def vector_jacobian_product(function, arguments, d_outputs):
    """The gradient of each argument from those of the outputs of `function(*arguments)`."""
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        outputs = function(*arguments)
    return tape.gradient(
        outputs, arguments, d_outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
