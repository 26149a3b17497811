"""Writing a sequence token by token, by what is likeliest or by chance.

All of it is made of TensorFlow operations, which run inside of an exported graph. A row's result
depends on no other row: a loop goes on until the last row is done, and leaves those that are as
they are.

What writes is a `Step`: it takes the token before and states, and returns scores of what comes
next. A sequence ends with the id 0. The id 1, the unknown token, is never written: probabilities
are those among the others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasrnn.text.units import UNKNOWN_ID

# What ends a sequence.
END_ID = 0
# The logarithm of what cannot be. No sum of ordinary logarithms comes near it.
NEVER = -1e9
# Below this, a score is that of a sequence that there is not.
NO_SCORE = -1e8

# `step(previous, states)`: ids `(rows,)` and nested tensors `(rows, …)` to scores `(rows, size)`,
# the new states in the same structure, and, if wanted, more `(rows, …)`, such as the weights of an
# attention.
Step = Callable[[tf.Tensor, Any], tuple[Any, ...]]


class Written(NamedTuple):
    """One sequence for each row: what `greedy_search` and `sample` return.

    Attributes:
        ids: int32 `(batch, steps)`, 0 behind the end; at least one step.
        lengths: how many tokens each row has, without the end, int32 `(batch,)`.
        log_probabilities: of the whole sequence, and of its end unless it was cut off; float32
            `(batch,)`.
        extra: what else the steps returned, `(batch, steps, …)` each.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    log_probabilities: tf.Tensor
    extra: tuple[tf.Tensor, ...]


class Beams(NamedTuple):
    """What `beam_search` returns, the best sequence of each row first.

    Attributes:
        ids: int32 `(batch, beam_size, steps)`, 0 behind the end; at least one step.
        lengths: how many tokens each has, without the end, int32 `(batch, beam_size)`.
        scores: their logarithms over their length penalties; float32 `(batch, beam_size)`. -1e9
            where there are fewer sequences than `beam_size`.
        log_probabilities: of the whole sequences, and of their ends unless they were cut off;
            float32 `(batch, beam_size)`.
    """

    ids: tf.Tensor
    lengths: tf.Tensor
    scores: tf.Tensor
    log_probabilities: tf.Tensor


def without_unknown(scores: tf.Tensor) -> tf.Tensor:
    """Scores `(…, size)` with which the unknown token is never chosen."""
    unknown = tf.range(tf.shape(scores)[-1]) == UNKNOWN_ID
    return tf.where(unknown, -float("inf"), scores)


def _log_probabilities(scores: tf.Tensor) -> tf.Tensor:
    return tf.nn.log_softmax(without_unknown(scores))


def length_penalty(lengths: Any, strength: Any) -> tf.Tensor:
    r"""What a logarithm is divided by, so that long sequences are not at a disadvantage.

    .. math:: lp(y) = \left(\frac{5 + |y|}{6}\right)^\alpha

    Wu et al. (2016), "Google's Neural Machine Translation System", equation 14.

    Args:
        lengths: |y|, the number of tokens, the end included.
        strength: α; 0 for none, and so is what is no number or infinite.

    Returns:
        Float32, of the shape of `lengths`.

    Example:

    >>> from kerasrnn.zoo.decoding import length_penalty
    >>> length_penalty([1, 7], 1.0).numpy().tolist()
    [1.0, 2.0]
    """
    strength = tf.convert_to_tensor(strength, tf.float32)
    strength = tf.where(tf.math.is_finite(strength), strength, 0.0)
    return tf.pow((5.0 + tf.cast(lengths, tf.float32)) / 6.0, strength)


# === By chance ===


def seeds_of(seed: int | Sequence[int] | None, count: int, what: str) -> list[int]:
    """A seed for each of some things that are drawn.

    Args:
        seed: one for each, or one that is counted up from thing to thing; None draws one.
        count: how many things.
        what: what they are called in an error, such as `prompts`.

    Returns:
        `count` seeds.

    Raises:
        ValueError: if there is another number of seeds.
    """
    if seed is None:
        seed = random.randrange(2**31)
    if isinstance(seed, int | np.integer):
        return [int(seed) + number for number in range(count)]
    seeds = [int(number) for number in seed]
    if len(seeds) != count:
        raise ValueError(
            f"`seed` must be one integer, or one for each of {count} {what}. Received {len(seeds)}."
        )
    return seeds


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


def choose(
    scores: tf.Tensor,
    number: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
) -> tf.Tensor:
    """One token for each row, by chance.

    Args:
        scores: float32 `(batch, size)`.
        number: float32 `(batch,)` from 0 to 1, the chance.
        temperature: float32 `(batch,)`, by which scores are divided; 0 takes the most likely token,
            and so does what is below 0 or no number (NaN); with infinity all are as likely.
        top_k: int32 `(batch,)`: only as many of the most likely units are left; 0, and less, for
            all.
        top_p: float32 `(batch,)`: of these, only the most likely ones that together reach this
            probability (Holtzman et al. 2020, nucleus sampling); 1, and more, for all, and so is
            what is no number; 0, and less, for the most likely one.

    Returns:
        int32 ids `(batch,)`. A row whose scores are no numbers gets some token, and the others
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
    previous: tf.Tensor,
    states: Any,
    *,
    seeds: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
    limits: tf.Tensor | int,
) -> Written:
    """Go on by chance, until the end or a limit is reached.

    Args:
        step: one step of the model; see `Step`.
        previous: the last token that is there, int32 `(batch,)`; 0 where there is none.
        states: the states before that token, nested tensors with the batch as first axis.
        seeds: integers `(batch,)`.
        temperature: see `choose`, as for `top_k` and `top_p`.
        top_k: int32 `(batch,)`.
        top_p: float32 `(batch,)`.
        limits: the most tokens of each row, int32 `(batch,)`, or of all rows.

    Returns:
        A `Written`, with probabilities as of temperature 1.
    """
    limits = _of_each_row(limits, previous)
    numbers = random_numbers(seeds, _longest(limits))  # (batch, steps)

    def take(scores: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
        return choose(scores, numbers[:, turn], temperature, top_k, top_p)

    return _one_by_one(take, step, previous, states, limits)


# === By what is likeliest ===


def greedy_search(
    step: Step,
    previous: tf.Tensor,
    states: Any,
    *,
    limits: tf.Tensor | int,
    extra: Sequence[tf.TensorSpec] = (),
) -> Written:
    """Take the most probable token at each step, until it is the end or a limit is reached.

    Args:
        step: one step of the model; see `Step`.
        previous: the last token that is there, int32 `(batch,)`; 0 where there is none.
        states: the states before that token, nested tensors with the batch as first axis.
        limits: the most tokens of each row, int32 `(batch,)`, or of all rows.
        extra: shape, without the batch, and dtype of what else to keep of what the steps return.

    Returns:
        A `Written`.
    """

    def take(scores: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
        return tf.argmax(without_unknown(scores), axis=-1, output_type=tf.int32)

    return _one_by_one(take, step, previous, states, _of_each_row(limits, previous), extra)


def beam_search(
    step: Step,
    previous: tf.Tensor,
    states: Any,
    *,
    beam_size: tf.Tensor | int,
    limits: tf.Tensor | int,
    strength: tf.Tensor | float = 0.0,
    cut_off_last: bool = False,
) -> Beams:
    """Follow the most probable beginnings of each row, and keep the best sequences.

    At each step every beginning is prolonged by every token. The `beam_size` best of those that
    do not end are followed further; those that end, or reach their limit, compete for one of
    `beam_size` places by their logarithm, divided by the `length_penalty`. A row is finished when
    no beginning can come to a better score than the worst of these. With a beam as wide as there
    are sequences, the search is exact; with a beam of 1 it is not always the greedy one, for an
    end must beat all that its rival may become.

    Args:
        step: one step of the model for `batch · beam_size` rows, those of a beam behind each other;
            see `Step`.
        previous: the last token that is there, int32 `(batch,)`; 0 where there is none.
        states: the states before that token, nested tensors with the batch as first axis.
        beam_size: how many beginnings are followed.
        limits: the most tokens of each row, int32 `(batch,)`, or of all rows.
        strength: α of the length penalty.
        cut_off_last: whether what reaches its limit ranks behind all that have ended. If not, that
            is an end like the other.

    Returns:
        A `Beams`.
    """
    batch = tf.shape(previous)[0]
    rows = batch * beam_size
    limits = _of_each_row(limits, previous)
    longest = _longest(limits)
    # Logarithms are negative: nothing divides them by more than this.
    greatest_penalty = tf.maximum(1.0, length_penalty(limits, strength))  # (batch,)
    # The beginnings of a row are all alike: but for the first, they are none.
    first = (tf.range(beam_size) == 0)[None]
    begins = limits[:, None] > 0
    kept = tf.where(first & ~begins, 0.0, NEVER)
    carried = (
        tf.constant(0),
        tf.where(first & begins, 0.0, NEVER),  # logarithms of the beginnings, (batch, beam)
        tf.zeros([batch, beam_size, longest], tf.int32),  # their tokens
        tf.repeat(previous, beam_size),
        tf.nest.map_structure(lambda x: tf.repeat(x, beam_size, axis=0), states),
        kept,  # what the sequences that are kept are ranked by
        kept,  # their logarithms
        tf.zeros([batch, beam_size], tf.int32),  # their lengths
        tf.zeros([batch, beam_size, longest], tf.int32),  # their tokens
    )
    first_row = tf.range(batch)[:, None] * beam_size

    def go_on(turn, alive, alive_ids, previous, states, ranks, *_):
        best = alive[:, 0]
        return tf.reduce_any((best > NO_SCORE) & (best / greatest_penalty > ranks[:, -1]))

    def advance(turn, alive, alive_ids, previous, states, ranks, totals, lengths, ids):
        scores, states, *_ = step(previous, states)
        size = tf.shape(scores)[-1]
        gained = tf.reshape(_log_probabilities(scores), [batch, beam_size, size])
        candidates = alive[:, :, None] + gained  # (batch, beam, size)

        # Those that go on.
        going_on = tf.where(tf.range(size) == END_ID, NEVER, candidates)
        longer, best = tf.math.top_k(tf.reshape(going_on, [batch, beam_size * size]), beam_size)
        # Two impossible ones must not add up to less than float32 can hold.
        longer = tf.maximum(longer, NEVER)
        parents, taken = best // size, best % size  # (batch, beam)
        longer_ids = tf.gather(alive_ids, parents, batch_dims=1)
        longer_ids = tf.where(tf.range(longest) == turn, taken[:, :, None], longer_ids)
        from_rows = tf.reshape(first_row + parents, [rows])
        states = tf.nest.map_structure(lambda x: tf.gather(x, from_rows), states)

        # Those that stop here: the ended, and those that are as long as they may be.
        full = (limits == turn + 1)[:, None]
        stopped = tf.concat([candidates[:, :, END_ID], tf.where(full, longer, NEVER)], axis=1)
        their_ranks = stopped / length_penalty(turn + 1, strength)
        if cut_off_last:
            # All alike, behind any score: `top_k` keeps the order of equals.
            behind = tf.fill([batch, beam_size], NEVER / 2)
            their_ranks = tf.concat([their_ranks[:, :beam_size], behind], axis=1)
        their_ranks = tf.where(stopped > NO_SCORE, their_ranks, NEVER)
        ranks, chosen = tf.math.top_k(tf.concat([ranks, their_ranks], axis=1), beam_size)

        def best_of(*parts):
            return tf.gather(tf.concat(parts, axis=1), chosen, batch_dims=1)

        ended_here = tf.fill([batch, beam_size], turn)
        return (
            turn + 1,
            tf.where(full, NEVER, longer),
            longer_ids,
            tf.reshape(taken, [rows]),
            states,
            ranks,
            best_of(totals, stopped),
            best_of(lengths, ended_here, ended_here + 1),
            best_of(ids, alive_ids, longer_ids),
        )

    *_, totals, lengths, ids = tf.while_loop(go_on, advance, carried)
    totals = tf.maximum(totals, NEVER)
    with_end = lengths + tf.cast(lengths < limits[:, None], tf.int32)
    scores = tf.where(totals > NO_SCORE, totals / length_penalty(with_end, strength), NEVER)
    steps = tf.maximum(1, tf.reduce_max(lengths))
    return Beams(ids[:, :, :steps], lengths, scores, totals)


# === Shared ===


def _of_each_row(limits: tf.Tensor | int, previous: tf.Tensor) -> tf.Tensor:
    return tf.maximum(limits, 0) + tf.zeros_like(previous)


def _longest(limits: tf.Tensor) -> tf.Tensor:
    return tf.maximum(1, tf.reduce_max(limits))


def _one_by_one(
    take: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    step: Step,
    previous: tf.Tensor,
    states: Any,
    limits: tf.Tensor,
    extra: Sequence[tf.TensorSpec] = (),
) -> Written:
    """One sequence for each row, of the tokens that `take(scores, turn)` returns."""
    specs = [tf.TensorSpec((), tf.int32), *extra]
    arrays = [
        tf.TensorArray(spec.dtype, size=0, dynamic_size=True, element_shape=(None, *spec.shape))
        for spec in specs
    ]
    carried = (
        tf.constant(0),
        previous,
        limits < 1,
        tf.zeros_like(limits),
        tf.zeros_like(limits, tf.float32),
        states,
        arrays,
    )

    def go_on(turn, previous, done, *_):
        # One step at least: arrays that nothing was written to cannot be stacked.
        return (turn < 1) | ~tf.reduce_all(done)

    def advance(turn, previous, done, lengths, total, states, arrays):
        scores, states, *more = step(previous, states)
        ids = tf.where(done, END_ID, take(scores, turn))
        gained = tf.gather(_log_probabilities(scores), ids, batch_dims=1)
        total += tf.where(done, 0.0, gained)
        done |= ids == END_ID
        lengths += tf.cast(~done, tf.int32)
        done |= limits == turn + 1
        arrays = [
            array.write(turn, value) for array, value in zip(arrays, [ids, *more], strict=False)
        ]
        return turn + 1, ids, done, lengths, total, states, arrays

    *_, lengths, total, _, arrays = tf.while_loop(go_on, advance, carried)
    ids, *more = (_batch_first(array.stack()) for array in arrays)
    return Written(ids, lengths, total, tuple(more))


def _batch_first(x: tf.Tensor) -> tf.Tensor:
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])
