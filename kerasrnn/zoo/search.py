"""Searching for the most probable sequence of a model that writes one piece after the other.

Both searches are loops of TensorFlow operations, which run inside of an exported graph. A row's
result depends on no other row: the loop goes on until the last row has ended, and leaves those that
have as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

# What ends a sequence, and what stands before it.
END_ID = 0
# The logarithm of what cannot be. No sum of ordinary logarithms comes near it, and thousands of
# them add up to a finite float32.
NEVER = -1e9
# Below this, a score is that of a sequence that there is not.
NO_SCORE = -1e8

# `step(previous, states)` returns the logarithms of probabilities `(rows, pieces)`, the new states,
# and something more for each row, `(rows, …)`, such as weights of an attention.
Step = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any, tf.Tensor]]


class Greedy(NamedTuple):
    """What `greedy_search` returns.

    Attributes:
        ids: `(batch, steps)`, 0 behind the end.
        lengths: how many pieces each row has, int32 `(batch,)`.
        log_probabilities: of the whole sequence, its end included; float32 `(batch,)`.
        extra: what the steps returned besides, `(batch, steps, …)`.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    log_probabilities: tf.Tensor
    extra: tf.Tensor


class Beams(NamedTuple):
    """What `beam_search` returns, the best sequence of each row first.

    Attributes:
        ids: `(batch, beam_size, steps)`, 0 behind the end.
        lengths: how many pieces each has, int32 `(batch, beam_size)`.
        scores: what they are ranked by; float32 `(batch, beam_size)`. About -1e9 where there are
            fewer sequences than `beam_size`.
        log_probabilities: of the whole sequences, their ends included; `(batch, beam_size)`.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor
    log_probabilities: tf.Tensor


def length_penalty(lengths: Any, strength: Any) -> tf.Tensor:
    r"""What a logarithm is divided by, so that long sequences are not at a disadvantage.

    .. math:: lp(y) = \left(\frac{5 + |y|}{6}\right)^\alpha

    Wu et al. (2016), "Google's Neural Machine Translation System", equation 14.

    Args:
        lengths: |y|, the number of pieces, the end included.
        strength: α; 0 for none, and so is what is no number or infinite.

    Returns:
        Float32, of the shape of `lengths`.

    Example:

    >>> from kerasrnn.zoo.search import length_penalty
    >>> length_penalty([1, 7], 1.0).numpy().tolist()
    [1.0, 2.0]
    """
    strength = tf.convert_to_tensor(strength, tf.float32)
    strength = tf.where(tf.math.is_finite(strength), strength, 0.0)
    return tf.pow((5.0 + tf.cast(lengths, tf.float32)) / 6.0, strength)


def greedy_search(
    step: Step, states: Any, *, batch: Any, max_length: int, extra: tf.TensorSpec
) -> Greedy:
    """Take the most probable piece at each step, until it is the end.

    Args:
        step: one step of the model; see `Step`.
        states: the states before the first step, nested tensors with the batch as first axis.
        batch: how many rows there are.
        max_length: how many pieces a row has at most; what is longer is cut off.
        extra: shape, without the batch, and dtype of what the steps return besides.

    Returns:
        A `Greedy`.
    """
    ids = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=(None,))
    extras = tf.TensorArray(
        extra.dtype, size=0, dynamic_size=True, element_shape=(None, *extra.shape)
    )
    carried = (
        tf.constant(0),
        tf.zeros([batch], tf.int32),
        tf.zeros([batch], tf.bool),
        tf.zeros([batch], tf.int32),
        tf.zeros([batch]),
        states,
        ids,
        extras,
    )

    def go_on(turn, previous, ended, *_):
        # One step at least: without rows all have ended, and arrays that nothing was written to
        # cannot be stacked.
        return (turn < max_length) & ((turn < 1) | ~tf.reduce_all(ended))

    def advance(turn, previous, ended, lengths, total, states, ids, extras):
        log_probabilities, states, more = step(previous, states)
        best = tf.argmax(log_probabilities, axis=-1, output_type=tf.int32)
        gained = tf.reduce_max(log_probabilities, axis=-1)
        total += tf.where(ended, 0.0, gained)
        best = tf.where(ended, END_ID, best)
        ended |= tf.equal(best, END_ID)
        lengths += tf.cast(~ended, tf.int32)
        return (
            turn + 1,
            best,
            ended,
            lengths,
            total,
            states,
            ids.write(turn, best),
            extras.write(turn, more),
        )

    _, _, _, lengths, total, _, ids, extras = tf.while_loop(go_on, advance, carried)
    return Greedy(_batch_first(ids.stack()), lengths, total, _batch_first(extras.stack()))


def _batch_first(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])


def beam_search(
    step: Step,
    states: Any,
    *,
    batch: Any,
    beam_size: Any,
    max_length: int,
    strength: Any = 0.0,
) -> Beams:
    """Follow the most probable beginnings of each row, and keep the best sequences that ended.

    At each step every beginning is prolonged by every piece. The `beam_size` best of those that
    do not end are followed further; those that end compete, by their logarithm divided by the
    `length_penalty`, for one of `beam_size` places. A row is finished when no beginning can come to
    a better score than the worst of these. With a beam as wide as there are sequences, the search
    is exact.

    Args:
        step: one step of the model for `batch · beam_size` rows; see `Step`.
        states: the states before the first step, nested tensors with the batch as first axis.
        batch: how many rows there are.
        beam_size: how many beginnings are followed.
        max_length: how many pieces a sequence has at most. A beginning of that length that has not
            ended ranks behind all that have.
        strength: α of the length penalty, at least 0.

    Returns:
        A `Beams`.
    """
    rows = batch * beam_size
    alive_total = tf.where(tf.range(beam_size) == 0, 0.0, NEVER)
    carried = (
        tf.constant(0),
        tf.repeat(tf.reshape(alive_total, [1, -1]), batch, axis=0),  # (batch, beam)
        tf.zeros([batch, beam_size, max_length], tf.int32),
        tf.nest.map_structure(lambda x: tf.repeat(x, beam_size, axis=0), states),
        tf.fill([batch, beam_size], NEVER),  # scores of those that ended
        tf.fill([batch, beam_size], NEVER),  # their logarithms
        tf.zeros([batch, beam_size], tf.int32),  # their lengths
        tf.zeros([batch, beam_size, max_length], tf.int32),  # their pieces
    )
    first_row = tf.range(batch)[:, None] * beam_size
    # Logarithms are negative: nothing divides them by more than the greatest length.
    greatest_penalty = length_penalty(max_length, strength)

    def go_on(turn, alive_total, alive_ids, states, scores, *_):
        reachable = alive_total[:, 0] / greatest_penalty
        return (turn < max_length) & tf.reduce_any(reachable > scores[:, -1])

    def advance(turn, alive_total, alive_ids, states, scores, totals, lengths, ids):
        previous = tf.reshape(alive_ids[:, :, tf.maximum(turn - 1, 0)], [rows])
        log_probabilities, states, _ = step(previous, states)
        pieces = tf.shape(log_probabilities)[-1]
        log_probabilities = tf.reshape(log_probabilities, [batch, beam_size, pieces])
        candidates = alive_total[:, :, None] + log_probabilities  # (batch, beam, pieces)

        # Those that end here.
        ending = candidates[:, :, END_ID]  # (batch, beam)
        ending_scores = ending / length_penalty(turn + 1, strength)
        ending_scores = tf.where(ending > NO_SCORE, ending_scores, NEVER)
        scores, chosen = tf.math.top_k(tf.concat([scores, ending_scores], axis=1), beam_size)

        def choose(old, new):
            return tf.gather(tf.concat([old, new], axis=1), chosen, batch_dims=1)

        totals = choose(totals, ending)
        lengths = choose(lengths, tf.fill([batch, beam_size], turn))
        ids = choose(ids, alive_ids)

        # Those that go on.
        going_on = tf.concat(
            [tf.fill([batch, beam_size, 1], NEVER), candidates[:, :, END_ID + 1 :]], axis=-1
        )
        alive_total, best = tf.math.top_k(
            tf.reshape(going_on, [batch, beam_size * pieces]), beam_size
        )
        # Two impossible ones must not add up to less than float32 can hold.
        alive_total = tf.maximum(alive_total, NEVER)
        parents, taken = best // pieces, best % pieces  # (batch, beam)
        alive_ids = tf.gather(alive_ids, parents, batch_dims=1)
        here = tf.range(max_length) == turn
        alive_ids = tf.where(here, taken[:, :, None], alive_ids)
        from_rows = tf.reshape(first_row + parents, [rows])
        states = tf.nest.map_structure(lambda x: tf.gather(x, from_rows), states)
        return turn + 1, alive_total, alive_ids, states, scores, totals, lengths, ids

    turn, alive_total, alive_ids, _, scores, totals, lengths, ids = tf.while_loop(
        go_on, advance, carried
    )
    # Where too few have ended, beginnings that were cut off fill the places behind them, in their
    # own order, which `top_k` keeps among equals.
    there = (turn == max_length) & (alive_total > NO_SCORE)
    cut_off = tf.where(there, alive_total, NEVER)
    cut_off_scores = tf.where(there, alive_total / greatest_penalty, NEVER)
    ranks = tf.concat([scores, tf.where(there, NEVER / 2, NEVER)], axis=1)
    _, chosen = tf.math.top_k(ranks, beam_size)

    def choose(old, new):
        return tf.gather(tf.concat([old, new], axis=1), chosen, batch_dims=1)

    lengths = choose(lengths, tf.fill([batch, beam_size], max_length))
    steps = tf.maximum(1, tf.reduce_max(lengths))
    return Beams(
        choose(ids, alive_ids)[:, :, :steps],
        lengths,
        choose(scores, cut_off_scores),
        choose(totals, cut_off),
    )
