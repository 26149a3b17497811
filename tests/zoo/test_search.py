"""Greedy and beam search against the listing of every sequence."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.zoo.search import NO_SCORE, beam_search, greedy_search, length_penalty

PIECES = 4  # the end among them


class Chain:
    """A model whose next piece depends on the two before it, differently in each row."""

    def __init__(self, rng: np.random.Generator, rows: int, peak: float = 1.5) -> None:
        logits = rng.normal(0, peak, (rows, PIECES, PIECES, PIECES))
        self.logs = np.asarray(tf.nn.log_softmax(logits), "float32")  # row, before, last → next

    def states(self, rows=None):
        rows = range(len(self.logs)) if rows is None else rows
        return {"row": tf.constant(list(rows)), "before": tf.zeros([len(list(rows))], tf.int32)}

    def step(self, previous, states):
        table = tf.constant(self.logs)
        index = tf.stack([states["row"], states["before"], previous], axis=1)
        extra = tf.cast(previous, tf.float32)[:, None]
        return tf.gather_nd(table, index), {**states, "before": previous}, extra

    def log_probability(self, row: int, ids) -> float:
        before = last = 0
        total = 0.0
        for piece in ids:
            total += float(self.logs[row, before, last, piece])
            before, last = last, piece
        return total

    def all_sequences(self, row: int, longest: int, strength: float):
        """Every sequence that ends within so many steps, the best first; then those cut off."""
        ended, cut_off = [], []
        for length in range(longest + 1):
            for ids in itertools.product(range(1, PIECES), repeat=length):
                if length < longest:
                    total = self.log_probability(row, [*ids, 0])
                    ended.append((total / ((5 + length + 1) / 6) ** strength, total, ids))
                else:
                    total = self.log_probability(row, ids)
                    cut_off.append((total / ((5 + length) / 6) ** strength, total, ids))
        return [*sorted(ended, reverse=True), *sorted(cut_off, reverse=True)]


def found(beams, row: int):
    return [
        (tuple(ids[:length].tolist()), score, total)
        for ids, length, score, total in zip(
            beams.ids[row].numpy(),
            beams.lengths[row].numpy(),
            beams.scores[row].numpy(),
            beams.log_probabilities[row].numpy(),
            strict=True,
        )
    ]


@pytest.mark.parametrize("strength", [0.0, 0.6, 3.0])
@pytest.mark.parametrize("longest", [1, 3])
def test_a_wide_beam_finds_what_the_listing_of_all_sequences_finds(rng, strength, longest):
    chain = Chain(rng, rows=3)
    width = 40  # as many as there are sequences, 1 + 3 + 9 + 27
    beams = beam_search(
        chain.step, chain.states(), batch=3, beam_size=width, max_length=longest, strength=strength
    )
    for row in range(3):
        expected = chain.all_sequences(row, longest, strength)
        actual = [entry for entry in found(beams, row) if entry[2] > NO_SCORE]
        assert [ids for ids, _, _ in actual] == [ids for _, _, ids in expected]
        np.testing.assert_allclose(
            [s for _, s, _ in actual], [s for s, _, _ in expected], rtol=1e-5
        )
        np.testing.assert_allclose(
            [t for _, _, t in actual], [t for _, t, _ in expected], rtol=1e-5
        )


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_narrow_beam_is_that_of_a_plain_search(rng, strength):
    """The same algorithm in plain Python, run to the last step and never stopped early."""
    longest, width = 8, 2
    chain = Chain(rng, rows=6)
    beams = beam_search(
        chain.step, chain.states(), batch=6, beam_size=width, max_length=longest, strength=strength
    )
    for row in range(6):
        alive, ended = [(0.0, ())], []
        for _ in range(longest):
            longer = []
            for total, ids in alive:
                for piece in range(PIECES):
                    new = (
                        total
                        + chain.log_probability(row, (*ids, piece))
                        - (chain.log_probability(row, ids))
                    )
                    if piece:
                        longer.append((new, (*ids, piece)))
                    else:
                        penalty = ((5 + len(ids) + 1) / 6) ** strength
                        ended.append((new / penalty, new, ids))
            alive = sorted(longer, reverse=True)[:width]
        best = sorted(ended, reverse=True)[:width]
        assert [ids for ids, _, _ in found(beams, row)] == [ids for _, _, ids in best]
        np.testing.assert_allclose(
            [score for _, score, _ in found(beams, row)], [score for score, _, _ in best], rtol=1e-4
        )


def test_greedy_takes_the_best_piece_at_each_step(rng):
    chain = Chain(rng, rows=5)
    result = greedy_search(
        chain.step, chain.states(), batch=5, max_length=6, extra=tf.TensorSpec((1,), tf.float32)
    )
    lengths = result.lengths.numpy()
    assert len(set(lengths)) > 1
    for row in range(5):
        ids, before, last = [], 0, 0
        while len(ids) < 6 and (not ids or ids[-1] != 0):
            ids.append(int(chain.logs[row, before, last].argmax()))
            before, last = last, ids[-1]
        pieces = [piece for piece in ids if piece]
        assert lengths[row] == len(pieces)
        assert result.ids[row, : len(pieces)].numpy().tolist() == pieces
        assert not result.ids[row, len(pieces) :].numpy().any()
        total = chain.log_probability(row, ids)
        np.testing.assert_allclose(result.log_probabilities[row], total, rtol=1e-5)
        # What the steps returned besides stands beside their pieces: here the piece before.
        assert result.extra[row, 1 : len(pieces), 0].numpy().tolist() == pieces[:-1]


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_a_row_gives_the_same_alone_and_in_company(rng, search):
    chain = Chain(rng, rows=6)

    def run(rows):
        options = {"batch": len(rows), "max_length": 7}
        if search == "greedy":
            extra = tf.TensorSpec((1,), tf.float32)
            out = greedy_search(chain.step, chain.states(rows), extra=extra, **options)
            return [
                (ids[:length].tolist(), float(score))
                for ids, length, score in zip(*(x.numpy() for x in out[:3]), strict=True)
            ]
        out = beam_search(chain.step, chain.states(rows), beam_size=3, strength=0.6, **options)
        return [found(out, row) for row in range(len(rows))]

    together = run(range(6))
    assert len({str(answer) for answer in together}) == 6
    for row in range(6):
        assert run([row]) == [together[row]]


def test_the_searches_run_in_a_graph_of_unknown_sizes(rng):
    chain = Chain(rng, rows=4)

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)],
        autograph=False,
    )
    def both(rows, width):
        states = {"row": rows, "before": tf.zeros_like(rows)}
        batch = tf.shape(rows)[0]
        beams = beam_search(
            chain.step, states, batch=batch, beam_size=width, max_length=5, strength=0.6
        )
        extra = tf.TensorSpec((1,), tf.float32)
        return beams, greedy_search(chain.step, states, batch=batch, max_length=5, extra=extra)

    for rows, width in (([0, 1, 2, 3], 3), ([2], 1)):
        beams, greedy = both(tf.constant(rows), tf.constant(width))
        eager = beam_search(
            chain.step,
            chain.states(rows),
            batch=len(rows),
            beam_size=width,
            max_length=5,
            strength=0.6,
        )
        for actual, expected in zip(beams, eager, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-6)
        assert greedy.ids.shape[0] == len(rows)


def test_the_penalty_is_that_of_the_paper():
    np.testing.assert_allclose(length_penalty([1, 7, 13], 0.5), [1, 2**0.5, 3**0.5], rtol=1e-6)
    np.testing.assert_allclose(length_penalty([1, 50], 0.0), [1, 1])
