"""Choosing, sampling and searching, against NumPy and against all continuations there are."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.zoo.generation import beam_search, choose, random_numbers, sample

SIZE = 5  # the boundary, the unknown one, and three more


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


# === Whole texts ===


class Chain:
    """A model whose scores depend on the last two ids; its state is the one before the last."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.table = rng.normal(0, 1.5, (SIZE, SIZE, SIZE)).astype("float32")
        self.start = rng.normal(0, 1.5, (SIZE,)).astype("float32")

    def step(self, ids, states):
        (before,) = states
        return tf.gather_nd(self.table, tf.stack([before, ids], axis=-1)), [ids]

    def begin(self, rows: int):
        return tf.tile(self.start[None], [rows, 1]), [tf.zeros([rows], tf.int32)]

    def log_probabilities(self, scores) -> np.ndarray:
        scores = np.array(scores, "float64")
        scores[1] = -np.inf
        with np.errstate(divide="ignore"):
            return np.log(softmax(scores))

    def all_texts(self, limit: int) -> dict[tuple[int, ...], float]:
        """The log-probability of every text of at most `limit` units, ended or cut off there."""
        found = {}
        for length in range(limit + 1):
            for text in itertools.product(range(2, SIZE), repeat=length):
                total, before, scores = 0.0, 0, self.start
                for i in text:
                    total += self.log_probabilities(scores)[i]
                    scores, before = self.table[before, i], i
                if length < limit:
                    total += self.log_probabilities(scores)[0]
                found[text] = total
        return found


def texts_of(ids) -> list[tuple[int, ...]]:
    rows = []
    for row in np.array(ids).tolist():
        text = tuple(itertools.takewhile(bool, row))
        assert not any(row[len(text) :])  # nothing behind the end
        rows.append(text)
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_likeliest_of_all_texts(seed):
    chain = Chain(np.random.default_rng(seed))
    every = chain.all_texts(4)
    np.testing.assert_allclose(sum(np.exp(list(every.values()))), 1)  # they are all there is
    ids, total = beam_search(chain.step, *chain.begin(2), width=81, limits=tf.constant([4, 4]))
    best = max(every, key=every.__getitem__)
    assert texts_of(ids) == [best, best]
    np.testing.assert_allclose(total, every[best], atol=1e-4)


def test_a_length_penalty_favours_long_texts():
    chain = Chain(np.random.default_rng(0))
    every = chain.all_texts(4)
    # The boundary counts as a unit, as it does in the probability.
    lengths = {text: len(text) + (len(text) < 4) for text in every}
    for alpha in (0.0, 0.7, 3.0):
        ids, _ = beam_search(
            chain.step,
            *chain.begin(1),
            width=81,
            limits=tf.constant([4]),
            length_penalty=alpha,
        )
        best = max(every, key=lambda text: every[text] / ((5 + lengths[text]) / 6) ** alpha)
        assert texts_of(ids) == [best]


def greedy(chain: Chain, limit: int) -> tuple[int, ...]:
    text: list[int] = []
    before, scores = 0, chain.start
    while len(text) < limit:
        best = int(np.argmax(chain.log_probabilities(scores)))
        if best == 0:
            break
        scores, before = chain.table[before, best], best
        text.append(best)
    return tuple(text)


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_of_one_and_temperature_zero_are_greedy(seed):
    chain = Chain(np.random.default_rng(seed))
    limits = tf.constant([6, 2])
    expected = [greedy(chain, 6), greedy(chain, 2)]
    ids, total = beam_search(chain.step, *chain.begin(2), width=1, limits=limits)
    assert texts_of(ids) == expected
    options = {"temperature": tf.zeros(2), "top_k": tf.zeros(2, tf.int32), "top_p": tf.ones(2)}
    seeds = tf.constant([1, 2], tf.int64)
    ids, again = sample(chain.step, *chain.begin(2), seeds=seeds, limits=limits, **options)
    assert texts_of(ids) == expected
    np.testing.assert_allclose(total, again, atol=1e-5)


def test_samples_have_the_probability_of_their_text():
    chain = Chain(np.random.default_rng(1))
    every, count = chain.all_texts(3), 2000

    @tf.function(autograph=False)
    def samples():
        return sample(
            chain.step,
            *chain.begin(count),
            seeds=tf.range(count, dtype=tf.int64),
            temperature=tf.ones(count),
            top_k=tf.zeros(count, tf.int32),
            top_p=tf.ones(count),
            limits=tf.fill([count], 3),
        )

    ids, total = samples()
    texts = texts_of(ids)
    np.testing.assert_allclose(total, [every[text] for text in texts], atol=1e-4)
    for text in sorted(every, key=every.__getitem__)[-6:]:
        share = np.exp(every[text])
        assert abs(texts.count(text) / count - share) < 4 * (share / count) ** 0.5


def test_no_units_at_all():
    chain = Chain(np.random.default_rng(1))
    limits = tf.constant([0, 0])
    ids, total = beam_search(chain.step, *chain.begin(2), width=2, limits=limits)
    assert texts_of(ids) == [(), ()] and total.numpy().tolist() == [0.0, 0.0]
    ids, total = sample(
        chain.step,
        *chain.begin(2),
        seeds=tf.constant([1, 2], tf.int64),
        temperature=tf.ones(2),
        top_k=tf.zeros(2, tf.int32),
        top_p=tf.ones(2),
        limits=limits,
    )
    assert texts_of(ids) == [(), ()] and total.numpy().tolist() == [0.0, 0.0]


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
    assert counts[1] == 0  # the unknown unit
    np.testing.assert_allclose(counts[[0, 2, 3, 4, 5]], 200, atol=1)


def test_scores_that_are_no_numbers_leave_the_other_rows_alone(rng):
    scores = rng.normal(size=(3, 8)).astype("float32")
    settings = tf.fill([3], 0.5), tf.ones([3]), tf.fill([3], 0), tf.ones([3])
    expected = chosen_in_a_graph(tf.constant(scores), *settings).numpy()
    scores[1] = NAN
    found = chosen_in_a_graph(tf.constant(scores), *settings).numpy()
    assert found[[0, 2]].tolist() == expected[[0, 2]].tolist()
    assert 0 <= found[1] < 8
