"""Choosing what comes next, one unit after the other, inside of a TensorFlow graph.

Every row is on its own: neither the size of a batch nor the other rows change its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerasrnn.text.units import BOUNDARY_ID, UNKNOWN_ID

# `step(ids, states)`: ids `(batch,)` to scores `(batch, size)` and new states.
Step = Callable[[tf.Tensor, Sequence[tf.Tensor]], tuple[tf.Tensor, Sequence[tf.Tensor]]]


def random_numbers(seeds: tf.Tensor, *shape: Any) -> tf.Tensor:
    """Numbers from 0 to 1 that depend on each row's seed alone.

    Args:
        seeds: integers `(batch,)`.
        *shape: how many numbers a row gets, along each axis.

    Returns:
        float32 `(batch, *shape)`; the same on every device and in every version of TensorFlow.
    """

    def row(seed: tf.Tensor) -> tf.Tensor:
        pair = tf.stack([tf.cast(seed, tf.int64), tf.constant(0, tf.int64)])
        return tf.random.stateless_uniform(shape, seed=pair, alg="philox")

    known = [size if isinstance(size, int) else None for size in shape]
    # The results of no rows cannot be stacked: there is one more than there are, and it is dropped.
    rows = tf.concat([seeds, tf.zeros([1], seeds.dtype)], axis=0)
    return tf.map_fn(row, rows, fn_output_signature=tf.TensorSpec(known, tf.float32))[:-1]


def without_unknown(scores: tf.Tensor) -> tf.Tensor:
    """Scores `(…, size)` with which the unknown unit is never chosen."""
    unknown = tf.range(tf.shape(scores)[-1]) == UNKNOWN_ID
    return tf.where(unknown, -float("inf"), scores)


def choose(
    scores: tf.Tensor,
    number: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
) -> tf.Tensor:
    """One unit for each row, by chance.

    Args:
        scores: float32 `(batch, size)`.
        number: float32 `(batch,)` from 0 to 1, the chance.
        temperature: float32 `(batch,)`, by which scores are divided; 0 takes the most likely unit,
            and so does what is below 0 or no number (NaN); with infinity all are as likely.
        top_k: int32 `(batch,)`: only as many of the most likely units are left; 0, and less, for
            all.
        top_p: float32 `(batch,)`: of these, only the most likely ones that together reach this
            probability (Holtzman et al. 2020, nucleus sampling); 1, and more, for all, and so is
            what is no number; 0, and less, for the most likely one.

    Returns:
        int32 ids `(batch,)`. A row whose scores are no numbers gets some unit, and the others
        theirs.
    """
    scores = without_unknown(scores)
    size = tf.shape(scores)[-1]
    # Not below what a float32 holds to full precision: zero divided by less would be no number.
    # TensorFlow turns "not at least" into "less", which a NaN is not.
    greedy = tf.math.is_nan(temperature) | (temperature < 1.2e-38)
    # With the likeliest at zero, no quotient overflows but to what is never chosen.
    scaled = scores - tf.reduce_max(scores, axis=-1, keepdims=True)
    scaled = without_unknown(scaled / tf.where(greedy, 1.0, temperature)[:, None])
    top_p = tf.where(tf.math.is_nan(top_p), 1.0, top_p)
    ranked, ids = tf.math.top_k(scaled, k=size)  # (batch, size); of equals, the first id first
    probabilities = tf.nn.softmax(ranked)

    limit = tf.where(top_k > 0, top_k, size)[:, None]
    kept = tf.where(tf.range(size)[None] < limit, probabilities, 0.0)
    kept /= tf.reduce_sum(kept, axis=-1, keepdims=True)
    # What the more likely ones have already: the first is always in.
    before = tf.cumsum(kept, axis=-1, exclusive=True)
    inside = before < tf.maximum(top_p, 1e-9)[:, None]
    kept = tf.where(inside, kept, 0.0)

    reached = tf.cumsum(kept, axis=-1)
    place = tf.reduce_sum(tf.cast(reached <= number[:, None] * reached[:, -1:], tf.int32), axis=-1)
    last = tf.reduce_sum(tf.cast(kept > 0, tf.int32), axis=-1) - 1
    place = tf.where(greedy, 0, tf.clip_by_value(place, 0, tf.maximum(last, 0)))
    return tf.gather(ids, place, batch_dims=1)


def sample(
    step: Step,
    scores: tf.Tensor,
    states: Sequence[tf.Tensor],
    *,
    seeds: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
    limits: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Go on with texts by chance, until the boundary or a limit is reached.

    Args:
        step: what gives the scores after a unit.
        scores: float32 `(batch, size)`, those after the prompts.
        states: the states behind the prompts.
        seeds: integers `(batch,)`.
        temperature: see `choose`, as for `top_k` and `top_p`.
        top_k: int32 `(batch,)`.
        top_p: float32 `(batch,)`.
        limits: int32 `(batch,)`, the most units of each row.

    Returns:
        int32 ids `(batch, time)`, the boundary behind the end; and float32 `(batch,)`, the
        logarithm of their probability (that of the boundary included) with temperature 1.
    """
    most = tf.maximum(0, tf.reduce_max(tf.concat([[0], limits], axis=0)))
    numbers = random_numbers(seeds, most)  # (batch, most)
    # The column of boundaries in front is dropped at the end: an array without any has no shape.
    begin = tf.zeros_like(limits)
    array = tf.TensorArray(tf.int32, size=1, dynamic_size=True, element_shape=(None,))
    array = array.write(0, begin)

    def go_on(turn, done, *_):
        return (turn < most) & ~tf.reduce_all(done)

    def turn_once(turn, done, scores, states, total, array):
        ids = choose(scores, numbers[:, turn], temperature, top_k, top_p)
        done |= turn >= limits
        ids = tf.where(done, BOUNDARY_ID, ids)
        gained = tf.gather(tf.nn.log_softmax(without_unknown(scores)), ids, batch_dims=1)
        total += tf.where(done, 0.0, gained)
        done |= ids == BOUNDARY_ID
        array = array.write(turn + 1, ids)
        new_scores, new_states = step(ids, states)
        return turn + 1, done, new_scores, list(new_states), total, array

    done = tf.zeros_like(limits, tf.bool)
    total = tf.zeros_like(limits, tf.float32)
    carried = (tf.constant(0), done, scores, list(states), total, array)
    *_, total, array = tf.while_loop(go_on, turn_once, carried)
    return tf.transpose(array.stack()[1:]), total


def beam_search(
    step: Step,
    scores: tf.Tensor,
    states: Sequence[tf.Tensor],
    *,
    width: int,
    limits: tf.Tensor,
    length_penalty: float = 0.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Go on with texts by what is most likely as a whole, as far as a beam can see.

    At each step the `width` most likely beginnings of each row are kept. A text that has ended
    stays among them as it is. With `width` 1 it is the greedy search.

    Args:
        step: what gives the scores after a unit.
        scores: float32 `(batch, size)`, those after the prompts.
        states: the states behind the prompts.
        width: how many beginnings are kept.
        limits: int32 `(batch,)`, the most units of each row.
        length_penalty: α of Wu et al. (2016): the texts kept are compared at the end by the
            logarithm of their probability over ((5 + length) / 6)^α. With 0, the likeliest wins.

    Returns:
        int32 ids `(batch, time)`, the boundary behind the end; and float32 `(batch,)`, the
        logarithm of their probability, that of the boundary included.
    """
    batch, size = tf.shape(scores)[0], tf.shape(scores)[1]
    most = tf.maximum(0, tf.reduce_max(tf.concat([[0], limits], axis=0)))
    minus_infinity = -float("inf")
    # All beams of a row begin alike: but for the first, they are out at first.
    first = tf.concat([[0.0], tf.fill([width - 1], minus_infinity)], axis=0)
    frozen = tf.where(tf.range(size) == BOUNDARY_ID, 0.0, minus_infinity)

    def spread(x):
        return tf.repeat(x, width, axis=0)  # (batch · width, …)

    def go_on(turn, done, *_):
        return (turn < most) & ~tf.reduce_all(done)

    def turn_once(turn, done, scores, states, total, lengths, paths):
        done |= (turn >= limits)[:, None]  # (batch, width)
        gained = tf.nn.log_softmax(without_unknown(scores))
        gained = tf.reshape(gained, [batch, width, size])
        gained = tf.where(done[:, :, None], frozen, gained)
        every = tf.reshape(total[:, :, None] + gained, [batch, width * size])
        total, places = tf.math.top_k(every, k=width)  # (batch, width)
        parents, ids = places // size, places % size
        done = tf.gather(done, parents, batch_dims=1)
        lengths = tf.gather(lengths, parents, batch_dims=1) + tf.cast(~done, tf.int32)
        paths = tf.gather(paths, parents, batch_dims=1)
        paths = tf.concat([paths, ids[:, :, None]], axis=-1)
        done |= ids == BOUNDARY_ID
        rows = tf.reshape(tf.range(batch)[:, None] * width + parents, [-1])
        new_scores, new_states = step(
            tf.reshape(ids, [-1]), [tf.gather(state, rows) for state in states]
        )
        return turn + 1, done, new_scores, list(new_states), total, lengths, paths

    none = tf.zeros([batch, width], tf.int32)
    carried = (
        tf.constant(0),
        tf.zeros([batch, width], tf.bool),
        spread(scores),
        [spread(state) for state in states],
        tf.repeat(first[None], batch, axis=0),
        none,
        tf.zeros([batch, width, 0], tf.int32),
    )
    shapes = tf.nest.map_structure(lambda x: x.shape, carried)
    shapes = (
        shapes[0],
        tf.TensorShape([None, width]),
        tf.TensorShape([None, scores.shape[-1]]),
        [tf.TensorShape([None, *state.shape[1:]]) for state in states],
        tf.TensorShape([None, width]),
        tf.TensorShape([None, width]),
        tf.TensorShape([None, width, None]),
    )
    _, _, _, _, total, lengths, paths = tf.while_loop(
        go_on, turn_once, carried, shape_invariants=shapes
    )
    penalty = ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** length_penalty
    best = tf.argmax(total / penalty, axis=-1, output_type=tf.int32)
    return tf.gather(paths, best, batch_dims=1), tf.gather(total, best, batch_dims=1)
