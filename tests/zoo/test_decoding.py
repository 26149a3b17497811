"""Choosing, sampling and searching, against NumPy and against the listing of every sequence."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.zoo.decoding import (
    NO_SCORE,
    beam_search,
    choose,
    greedy_search,
    length_penalty,
    random_numbers,
    sample,
    seeds_of,
    without_unknown,
)

SIZE = 5  # the end, the unknown one, and three more
TOKENS = range(2, SIZE)
EXTRA = [tf.TensorSpec((1,), tf.float32)]


# === One choice ===


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# === One choice ===


def expected(scores, temperature, top_k, top_p) -> np.ndarray:
    """The probabilities of `choose`, from the definitions."""
    scores = scores.astype("float64").copy()
    scores[1] = -np.inf
    p = softmax(scores / temperature)
    order = np.argsort(-p, kind="stable")
    kept = order[: top_k or len(order)]
    shares = p[kept] / p[kept].sum()
    nucleus = kept[: 1 + int(np.searchsorted(np.cumsum(shares), top_p - 1e-12))]
    result = np.zeros(len(p))
    result[nucleus] = p[nucleus] / p[nucleus].sum()
    return result


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.5, 0, 1.0), (2.0, 3, 1.0), (1.0, 1, 1.0), (1.0, 0, 0.6), (0.7, 3, 0.7)],
)
def test_choices_have_their_probabilities(rng, temperature, top_k, top_p):
    scores = rng.normal(0, 1.5, 7).astype("float32")
    count = 4000
    numbers = ((np.arange(count) + 0.5) / count).astype("float32")  # all chances there are
    ids = choose(
        tf.constant(np.tile(scores, (count, 1))),
        tf.constant(numbers),
        tf.fill([count], temperature),
        tf.fill([count], top_k),
        tf.fill([count], top_p),
    ).numpy()
    found = np.bincount(ids, minlength=7) / count
    np.testing.assert_allclose(found, expected(scores, temperature, top_k, top_p), atol=2e-3)


def test_temperature_zero_takes_the_likeliest_and_the_first_of_equals():
    scores = tf.constant([[0.0, 9.0, 2.0, 2.0], [5.0, 9.0, 2.0, 2.0]])
    one = tf.ones(2)
    ids = choose(scores, 0.99 * one, 0 * one, tf.zeros(2, tf.int32), one)
    assert ids.numpy().tolist() == [2, 0]


def test_rows_have_settings_of_their_own(rng):
    scores = tf.constant(np.tile(rng.normal(size=6), (3, 1)), tf.float32)
    settings = (
        tf.constant([0.9, 0.9, 0.9]),
        tf.constant([0.0, 3.0, 0.2]),
        tf.constant([0, 0, 2]),
        tf.constant([1.0, 1.0, 0.5]),
    )
    together = choose(scores, *settings).numpy()
    for row in range(3):
        alone = choose(scores[row : row + 1], *(s[row : row + 1] for s in settings))
        assert alone.numpy()[0] == together[row]


def test_random_numbers_depend_on_the_seed_alone():
    both = random_numbers(tf.constant([5, 9], tf.int64), 50).numpy()
    np.testing.assert_array_equal(random_numbers(tf.constant([9], tf.int64), 50)[0], both[1])
    assert np.abs(both[0] - both[1]).max() > 0.1
    assert both.min() >= 0 and both.max() < 1
    assert 0.35 < both.mean() < 0.65


def test_seeds_are_counted_up_or_one_for_each():
    assert seeds_of(7, 3, "prompts") == [7, 8, 9]
    assert seeds_of([4, 2], 2, "prompts") == [4, 2]
    assert len(set(seeds_of(None, 4, "prompts"))) == 4
    with pytest.raises(ValueError, match=r"`seed` must be one integer, or one for each of 3 pro"):
        seeds_of([1, 2], 3, "prompts")


# === Whole sequences ===


class Chain:
    """A model whose next token depends on the two before it, differently in each row."""

    def __init__(self, rng: np.random.Generator, rows: int = 1, peak: float = 1.5) -> None:
        self.scores = rng.normal(0, peak, (rows, SIZE, SIZE, SIZE)).astype("float32")
        # row, before, last → next
        self.logs = tf.nn.log_softmax(without_unknown(tf.constant(self.scores))).numpy()

    def begin(self, rows=None, *, count=None):
        """Where all rows, or some of them, or one of them so many times, begin."""
        rows = range(len(self.scores)) if rows is None else rows
        rows = [0] * count if count else list(rows)
        nothing = tf.zeros([len(rows)], tf.int32)
        return nothing, {"row": tf.constant(rows, tf.int32), "before": nothing}

    def step(self, previous, states):
        table = tf.constant(self.scores)
        index = tf.stack([states["row"], states["before"], previous], axis=1)
        extra = tf.cast(previous, tf.float32)[:, None]
        return tf.gather_nd(table, index), {**states, "before": previous}, extra

    def log_probability(self, row: int, ids) -> float:
        before = last = 0
        total = 0.0
        for token in ids:
            total += float(self.logs[row, before, last, token])
            before, last = last, token
        return total

    def all_sequences(self, row: int, longest: int, strength: float, cut_off_last: bool = False):
        """Every sequence that ends within so many steps or is cut off there, the best first."""
        ended, cut_off = [], []
        for length in range(longest + 1):
            for ids in itertools.product(TOKENS, repeat=length):
                if length < longest:
                    total = self.log_probability(row, [*ids, 0])
                    ended.append((total / ((5 + length + 1) / 6) ** strength, total, ids))
                else:
                    total = self.log_probability(row, ids)
                    cut_off.append((total / ((5 + length) / 6) ** strength, total, ids))
        if cut_off_last:
            return [*sorted(ended, reverse=True), *sorted(cut_off, reverse=True)]
        return sorted(ended + cut_off, reverse=True)

    def greedy(self, row: int, limit: int) -> list[int]:
        """The likeliest tokens one by one, the end among them."""
        ids, before, last = [], 0, 0
        while len(ids) < limit and (not ids or ids[-1] != 0):
            ids.append(int(self.logs[row, before, last].argmax()))
            before, last = last, ids[-1]
        return ids


def found(beams, row: int):
    """The sequences of a row, each with its score and its logarithm."""
    entries = []
    for ids, length, score, total in zip(*(values[row].numpy() for values in beams), strict=True):
        assert not ids[length:].any()  # nothing behind the end
        entries.append((tuple(ids[:length].tolist()), score, total))
    return [entry for entry in entries if entry[2] > NO_SCORE]


def texts_of(written) -> list[tuple[int, ...]]:
    rows = []
    for ids, length in zip(written.ids.numpy().tolist(), written.lengths.numpy(), strict=True):
        assert all(ids[:length]) and not any(ids[length:])  # nothing behind the end
        rows.append(tuple(ids[:length]))
    return rows


@pytest.mark.parametrize("strength", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("longest", [1, 3])
@pytest.mark.parametrize("cut_off_last", [False, True])
def test_a_wide_beam_finds_what_the_listing_of_all_sequences_finds(
    rng, strength, longest, cut_off_last
):
    chain = Chain(rng, rows=3)
    beams = beam_search(
        chain.step,
        *chain.begin(),
        beam_size=40,  # as many as there are sequences, 1 + 3 + 9 + 27
        limits=longest,
        strength=strength,
        cut_off_last=cut_off_last,
    )
    for row in range(3):
        expected = chain.all_sequences(row, longest, strength, cut_off_last)
        np.testing.assert_allclose(sum(np.exp(total) for _, total, _ in expected), 1, rtol=1e-5)
        actual = found(beams, row)
        assert [ids for ids, _, _ in actual] == [ids for _, _, ids in expected]
        np.testing.assert_allclose(
            [s for _, s, _ in actual], [s for s, _, _ in expected], rtol=1e-5
        )
        np.testing.assert_allclose(
            [t for _, _, t in actual], [t for _, t, _ in expected], rtol=1e-5
        )


@pytest.mark.parametrize("cut_off_last", [False, True])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_narrow_beam_is_that_of_a_plain_search(rng, strength, cut_off_last):
    """The same algorithm in plain Python, run to the last step and never stopped early."""
    limits, width = [8, 8, 3, 1, 5, 8], 2
    chain = Chain(rng, rows=6)
    beams = beam_search(
        chain.step,
        *chain.begin(),
        beam_size=width,
        limits=tf.constant(limits),
        strength=strength,
        cut_off_last=cut_off_last,
    )
    for row, limit in enumerate(limits):
        alive, ended = [(0.0, ())], []
        for _ in range(limit):
            longer = []
            for total, ids in alive:
                for token in (0, *TOKENS):
                    new = (
                        total
                        + chain.log_probability(row, (*ids, token))
                        - (chain.log_probability(row, ids))
                    )
                    if token:
                        longer.append((new, (*ids, token)))
                    else:
                        penalty = ((5 + len(ids) + 1) / 6) ** strength
                        ended.append((True, new / penalty, ids))
            alive = sorted(longer, reverse=True)[:width]
        penalty = ((5 + limit) / 6) ** strength
        ended += [(not cut_off_last, total / penalty, ids) for total, ids in alive]
        best = sorted(ended, reverse=True)[:width]
        assert [ids for ids, _, _ in found(beams, row)] == [ids for _, _, ids in best]
        np.testing.assert_allclose(
            [score for _, score, _ in found(beams, row)],
            [score for _, score, _ in best],
            rtol=1e-4,
        )


def test_greedy_takes_the_best_token_at_each_step(rng):
    chain = Chain(rng, rows=5)
    result = greedy_search(chain.step, *chain.begin(), limits=6, extra=EXTRA)
    assert len(set(result.lengths.numpy())) > 1
    for row, text in enumerate(texts_of(result)):
        ids = chain.greedy(row, 6)
        assert list(text) == [token for token in ids if token]
        total = chain.log_probability(row, ids)
        np.testing.assert_allclose(result.log_probabilities[row], total, rtol=1e-5)
        # What the steps returned besides stands beside their tokens: here the token before.
        assert result.extra[0][row, 1 : len(text), 0].numpy().tolist() == list(text[:-1])


def test_temperature_zero_is_greedy_and_no_beam_finds_less(rng):
    chain = Chain(rng, rows=6)
    limits = tf.constant([6, 2, 6, 6, 1, 6])
    greedy = greedy_search(chain.step, *chain.begin(), limits=limits)
    assert texts_of(greedy) == [
        tuple(token for token in chain.greedy(row, limits[row]) if token) for row in range(6)
    ]
    sampled = sample(
        chain.step,
        *chain.begin(),
        seeds=tf.range(6, dtype=tf.int64),
        temperature=tf.zeros(6),
        top_k=tf.zeros(6, tf.int32),
        top_p=tf.ones(6),
        limits=limits,
    )
    assert texts_of(sampled) == texts_of(greedy)
    np.testing.assert_allclose(sampled.log_probabilities, greedy.log_probabilities, atol=1e-5)
    beams = beam_search(chain.step, *chain.begin(), beam_size=1, limits=limits)
    assert (beams.log_probabilities[:, 0] > greedy.log_probabilities - 1e-5).numpy().all()


def test_samples_have_the_probability_of_their_text(rng):
    chain, count = Chain(rng), 2000
    every = {ids: total for _, total, ids in chain.all_sequences(0, 3, 0.0)}

    @tf.function(autograph=False)
    def samples():
        return sample(
            chain.step,
            *chain.begin(count=count),
            seeds=tf.range(count, dtype=tf.int64),
            temperature=tf.ones(count),
            top_k=tf.zeros(count, tf.int32),
            top_p=tf.ones(count),
            limits=tf.fill([count], 3),
        )

    written = samples()
    texts = texts_of(written)
    np.testing.assert_allclose(
        written.log_probabilities, [every[text] for text in texts], atol=1e-4
    )
    for text in sorted(every, key=every.__getitem__)[-6:]:
        share = np.exp(every[text])
        assert abs(texts.count(text) / count - share) < 4 * (share / count) ** 0.5


def search(name: str, chain: Chain, rows, limits):
    """What a search finds for some rows, a list of texts with their logarithms for each."""
    if name == "beam":
        out = beam_search(chain.step, *chain.begin(rows), beam_size=3, limits=limits, strength=0.6)
        return [found(out, row) for row in range(len(rows))]
    if name == "greedy":
        out = greedy_search(chain.step, *chain.begin(rows), limits=limits, extra=EXTRA)
    else:
        settings = {
            "seeds": tf.constant([100 + row for row in rows], tf.int64),
            "temperature": tf.ones(len(rows)),
            "top_k": tf.zeros(len(rows), tf.int32),
            "top_p": tf.ones(len(rows)),
        }
        out = sample(chain.step, *chain.begin(rows), limits=limits, **settings)
    return list(zip(texts_of(out), out.log_probabilities.numpy().tolist(), strict=True))


def rounded(answer):
    """An answer, without what a softmax of another number of rows makes of the last digit."""
    return tf.nest.map_structure(lambda x: round(float(x), 4), answer)


@pytest.mark.parametrize("name", ["greedy", "beam", "sample"])
def test_a_row_gives_the_same_alone_and_in_company(rng, name):
    chain, limits = Chain(rng, rows=6), [7, 2, 5, 7, 1, 6]
    together = search(name, chain, list(range(6)), tf.constant(limits))
    assert len({str(answer) for answer in together}) == 6
    for row in range(6):
        [alone] = search(name, chain, [row], tf.constant(limits[row : row + 1]))
        assert rounded(alone) == rounded(together[row])


@pytest.mark.parametrize("name", ["greedy", "beam", "sample"])
def test_no_tokens_at_all_and_no_rows_at_all(rng, name):
    chain = Chain(rng, rows=3)
    nothing = [((), 0.0, 0.0)] if name == "beam" else ((), 0.0)
    for limits in ([0, 0, 0], [0, 4, -2]):
        answers = search(name, chain, [0, 1, 2], tf.constant(limits))
        assert answers[0] == answers[2] == nothing
        assert rounded(answers[1]) == rounded(search(name, chain, [1], limits[1])[0])
    assert search(name, chain, [], 3) == []


def test_a_search_goes_on_behind_a_prompt(rng):
    """From the last token there is, and the states before it."""
    chain = Chain(rng)
    previous, (before, last) = tf.constant([3]), (4, 3)
    states = {"row": tf.constant([0]), "before": tf.constant([before])}
    best = int(chain.logs[0, before, last].argmax())
    assert greedy_search(chain.step, previous, states, limits=1).ids.numpy().tolist() == [[best]]
    beams = beam_search(chain.step, previous, states, beam_size=4, limits=1)
    ranked = [token for token in np.argsort(-chain.logs[0, before, last]).tolist() if token != 1]
    assert beams.ids[0, :, 0].numpy().tolist() == ranked


def test_the_searches_run_in_a_graph_of_unknown_sizes(rng):
    chain = Chain(rng, rows=4)

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)],
        autograph=False,
    )
    def both(rows, width):
        states = {"row": rows, "before": tf.zeros_like(rows)}
        begin = tf.zeros_like(rows), states
        beams = beam_search(chain.step, *begin, beam_size=width, limits=5, strength=0.6)
        return beams, greedy_search(chain.step, *begin, limits=5, extra=EXTRA)

    for rows, width in (([0, 1, 2, 3], 3), ([2], 1)):
        beams, greedy = both(tf.constant(rows), tf.constant(width))
        eager = beam_search(chain.step, *chain.begin(rows), beam_size=width, limits=5, strength=0.6)
        for actual, expected in zip(beams, eager, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-6)
        assert greedy.ids.shape[0] == len(rows)


@pytest.mark.parametrize("rows", [[2], [0, 1, 3]])
def test_the_searches_run_in_a_graph_of_known_sizes(rng, rows):
    chain = Chain(rng, rows=4)
    for run in (
        lambda: beam_search(chain.step, *chain.begin(rows), beam_size=2, limits=4),
        lambda: greedy_search(chain.step, *chain.begin(rows), limits=4),
    ):
        in_graph = tf.function(run, autograph=False)()
        np.testing.assert_array_equal(in_graph.ids, run().ids)


def test_the_penalty_is_that_of_the_paper():
    np.testing.assert_allclose(length_penalty([1, 7, 13], 0.5), [1, 2**0.5, 3**0.5], rtol=1e-6)
    np.testing.assert_allclose(length_penalty([1, 50], 0.0), [1, 1])


# === Settings that make no sense ===

NAN, INFINITE = float("nan"), float("inf")

# As a server runs it: TensorFlow rewrites comparisons there, and a NaN tells.
chosen_in_a_graph = tf.function(choose, autograph=False)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "meaning"),
    [
        (NAN, 0, 1.0, (0.0, 0, 1.0)),
        (-INFINITE, 0, 1.0, (0.0, 0, 1.0)),
        (-2.0, 0, 1.0, (0.0, 0, 1.0)),
        (1e-45, 0, 1.0, (0.0, 0, 1.0)),
        (1e-30, 0, 1.0, (0.0, 0, 1.0)),
        (1.0, 0, NAN, (1.0, 0, 1.0)),
        (1.0, 0, INFINITE, (1.0, 0, 1.0)),
        (1.0, 0, -INFINITE, (0.0, 0, 1.0)),
        (1.0, 0, -1.0, (0.0, 0, 1.0)),
        (1.0, -3, 0.9, (1.0, 0, 0.9)),
        (1.0, 10**6, 0.9, (1.0, 0, 0.9)),
        (NAN, -1, NAN, (0.0, 0, 1.0)),
    ],
)
def test_a_row_without_sense_has_a_defined_answer_and_the_others_theirs(
    rng, temperature, top_k, top_p, meaning
):
    scores = rng.normal(size=(3, 12)).astype("float32")
    for number in (0.0, 0.31, 0.77, 0.9999):

        def chosen(*row, number=number):
            rows = zip((0.7, 0, 0.8), row, (1.3, 4, 1.0), strict=True)
            settings = [
                tf.constant(values, dtype)
                for values, dtype in zip(rows, (tf.float32, tf.int32, tf.float32), strict=True)
            ]
            return (
                chosen_in_a_graph(tf.constant(scores), tf.fill([3], number), *settings)
                .numpy()
                .tolist()
            )

        assert chosen(temperature, top_k, top_p) == chosen(*meaning)


def test_with_infinite_temperature_all_are_as_likely(rng):
    scores = tf.constant(np.tile(rng.normal(size=(1, 6)), (1000, 1)), tf.float32)
    numbers = tf.constant(np.arange(1000) / 1000, tf.float32)
    ids = chosen_in_a_graph(
        scores, numbers, tf.fill([1000], INFINITE), tf.fill([1000], 0), tf.ones([1000])
    )
    counts = np.bincount(ids.numpy(), minlength=6)
    assert counts[1] == 0  # the unknown token
    np.testing.assert_allclose(counts[[0, 2, 3, 4, 5]], 200, atol=1)


def test_scores_that_are_no_numbers_leave_the_other_rows_alone(rng):
    scores = rng.normal(size=(3, 8)).astype("float32")
    settings = tf.fill([3], 0.5), tf.ones([3]), tf.fill([3], 0), tf.ones([3])
    expected = chosen_in_a_graph(tf.constant(scores), *settings).numpy()
    scores[1] = NAN
    found = chosen_in_a_graph(tf.constant(scores), *settings).numpy()
    assert found[[0, 2]].tolist() == expected[[0, 2]].tolist()
    assert 0 <= found[1] < 8
