import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.data import TaggedSentence, bucketed_batches, length_boundaries, to_dataset


def sentences_of(lengths):
    return [
        TaggedSentence([f"{n}.{i}" for i in range(length)], ["T"] * length)
        for n, length in enumerate(lengths)
    ]


def rows(batches):
    """The number of the first token's sentence, for every row of every batch."""
    return [
        [int(first.split(b".")[0]) for first in batch["tokens"][:, 0]]
        for batch in batches.as_numpy_iterator()
    ]


@pytest.fixture
def skewed(rng):
    """Lengths as in real text: most short, a few very long."""
    lengths = np.clip(rng.lognormal(2.3, 0.7, 600).astype(int), 1, None)
    return [*lengths.tolist(), 400, 950]


@pytest.mark.parametrize("seed", [None, 3])
def test_every_row_once_padded_right(skewed, seed):
    data = to_dataset(sentences_of(skewed))
    seen = []
    for batch in bucketed_batches(data, 16, shuffle_seed=seed).as_numpy_iterator():
        tokens, tags = batch["tokens"], batch["tags"]
        assert tokens.shape == tags.shape
        assert 1 <= len(tokens) <= 16
        lengths = (tokens != b"").sum(axis=1)
        assert lengths.max() == tokens.shape[1]  # no wider than the longest
        for row, tag, length in zip(tokens, tags, lengths, strict=True):
            number = int(row[0].split(b".")[0])
            assert row[:length].tolist() == [b"%d.%d" % (number, i) for i in range(length)]
            assert not any(row[length:])
            assert tag.tolist() == [b"T"] * length + [b""] * (len(row) - length)
            assert length == skewed[number]
            seen.append(number)
    assert sorted(seen) == list(range(len(skewed)))


def test_little_padding_on_skewed_lengths(skewed):
    def waste(batches):
        tokens = [batch["tokens"] for batch in batches.as_numpy_iterator()]
        return sum((t == b"").sum() for t in tokens) / sum(t.size for t in tokens)

    data = to_dataset(sentences_of(skewed))
    bucketed = waste(bucketed_batches(data, 16, shuffle_seed=1))
    plain = waste(data.shuffle(len(skewed), seed=1).padded_batch(16))
    assert bucketed < 0.12
    assert plain > 0.5


def test_the_number_of_batches_is_known_and_does_not_change(skewed):
    data = to_dataset(sentences_of(skewed))
    for epoch in range(3):
        batches = bucketed_batches(data, 16, shuffle_seed=1, epoch=epoch)
        assert int(batches.cardinality()) == len(rows(batches))
    assert int(bucketed_batches(data, 16, epochs=3).cardinality()) == 3 * len(rows(batches))
    endless = bucketed_batches(data, 16, epochs=None).cardinality()
    assert endless == tf.data.INFINITE_CARDINALITY


def test_a_resumed_run_sees_what_an_unbroken_one_would(skewed):
    data = to_dataset(sentences_of(skewed))
    unbroken = rows(bucketed_batches(data, 16, shuffle_seed=5, epochs=3))
    steps = len(unbroken) // 3
    tf.random.set_seed(99)  # must not matter
    for epoch in range(3):
        again = rows(bucketed_batches(data, 16, shuffle_seed=5, epoch=epoch))
        assert again == unbroken[epoch * steps : (epoch + 1) * steps]
    endless = bucketed_batches(data, 16, shuffle_seed=5, epoch=1, epochs=None)
    assert rows(endless.take(2 * steps)) == unbroken[steps:]
    middle = bucketed_batches(data, 16, shuffle_seed=5, epoch=1).skip(7)
    assert rows(middle) == unbroken[steps + 7 : 2 * steps]


def test_epochs_and_seeds_differ(skewed):
    data = to_dataset(sentences_of(skewed))
    orders = [
        rows(bucketed_batches(data, 16, shuffle_seed=seed, epoch=epoch))
        for seed, epoch in [(5, 0), (5, 1), (6, 0)]
    ]
    for one, other in itertools.combinations(orders, 2):
        assert one != other
        # Not only the batches' order: their members are new too.
        assert {tuple(sorted(b)) for b in one} != {tuple(sorted(b)) for b in other}
    assert rows(bucketed_batches(data, 16, shuffle_seed=5)) == orders[0]
    # Short and long batches alternate, where buckets one after the other would rise.
    widths = [max(skewed[n] for n in batch) for batch in orders[0]]
    assert widths != sorted(widths)


def test_without_a_seed_order_is_kept_within_buckets():
    data = sentences_of([5, 1, 5, 1, 5])
    assert rows(bucketed_batches(data, 2)) == [[1, 3], [0, 2], [4]]
    assert rows(bucketed_batches(data, 2, boundaries=())) == [[0, 1], [2, 3], [4]]


def test_given_boundaries():
    data = sentences_of([1, 2, 3, 4, 5, 9])
    assert rows(bucketed_batches(data, 8, boundaries=(2, 4))) == [[0, 1], [2, 3], [4, 5]]


def test_pad_to_boundary_gives_as_many_widths_as_buckets():
    data = sentences_of([1, 2, 3, 4, 5, 9])
    batches = bucketed_batches(data, 1, boundaries=(2, 4), pad_to_boundary=True)
    assert [b["tags"].shape[1] for b in batches.as_numpy_iterator()] == [2, 2, 4, 4, 9, 9]


def test_other_elements_and_padding_values():
    data = tf.data.Dataset.from_tensor_slices(
        {"ids": tf.ragged.constant([[1, 2, 3], [4]]), "label": ["x", "y"]}
    ).map(lambda e: {**e, "chars": tf.stack([e["ids"]] * 2, axis=-1), "real": 1.5})
    batches = bucketed_batches(data, 2, length_key="ids", boundaries=(), padding_values={"ids": -1})
    batch = next(batches.as_numpy_iterator())
    assert batch["ids"].tolist() == [[1, 2, 3], [4, -1, -1]]
    assert batch["chars"].tolist() == [[[1, 1], [2, 2], [3, 3]], [[4, 4], [0, 0], [0, 0]]]
    assert batch["label"].tolist() == [b"x", b"y"]
    assert batch["real"].tolist() == [1.5, 1.5]


def test_empty_rows_and_very_long_ones():
    data = [TaggedSentence((), ()), *sentences_of([10_000, 3])]
    shapes = [b["tokens"].shape for b in bucketed_batches(data, 1)]
    assert shapes == [(1, 0), (1, 3), (1, 10_000)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size .* got 2.5"),
        ({"epochs": 0}, "epochs must be"),
        ({"epoch": -1}, "epoch must be 0 or more, got -1"),
        ({"length_key": "words"}, "Unknown length_key 'words'. Expected one of tags, tokens"),
        ({"boundaries": (4, 4)}, r"boundaries must rise, got \(4, 4\)"),
        ({"padding_values": {"ids": 1}}, "Unknown padding_values key 'ids'.*tokens, tags"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        bucketed_batches(sentences_of([1, 2]), **{"batch_size": 2, **arguments})


def test_bad_datasets():
    data = to_dataset(sentences_of([1, 2]))
    with pytest.raises(ValueError, match=r"must have an end"):
        bucketed_batches(data.repeat(), 2)
    with pytest.raises(ValueError, match=r"must not be empty"):
        bucketed_batches(data.take(0), 2)
    with pytest.raises(ValueError, match=r"dictionaries as elements, got tuple"):
        bucketed_batches(data.map(lambda e: (e["tokens"], e["tags"])), 2)
    with pytest.raises(ValueError, match=r"at least one sentence"):
        to_dataset([])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=14), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_boundaries_are_the_best_there_are(lengths, buckets):
    def cost(boundaries):
        return sum(min(b for b in boundaries if b >= length) for length in lengths)

    values = sorted(set(lengths))
    best = min(
        cost((*inner, values[-1]))
        for count in range(min(buckets, len(values)))
        for inner in itertools.combinations(values[:-1], count)
    )
    found = length_boundaries(lengths, max_buckets=buckets)
    assert len(found) <= buckets
    assert list(found) == sorted(set(found))
    assert cost(found) == best


def test_boundaries_of_very_many_lengths(rng):
    lengths = rng.integers(1, 50_000, 20_000)
    found = length_boundaries(lengths, max_buckets=8, batch_size=32)
    assert len(found) == 8
    assert found[-1] == lengths.max()
    # Uniform lengths: evenly spaced boundaries are about the best, and these no worse.
    even = np.linspace(0, lengths.max(), 9)[1:]

    def cost(boundaries):
        return np.asarray(boundaries)[np.searchsorted(boundaries, lengths)].sum()

    assert cost(found) <= 1.001 * cost(even)


def test_fit_sees_the_epochs_in_order():
    class Recorder(keras.Model):
        """Remembers the rows of every step; the batch it is built from must not count."""

        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)
            self.seen = []

        def call(self, inputs):
            return self.dense(inputs)

        def train_step(self, data):
            self.seen.append(data[0][:, 0].numpy().astype(int).tolist())
            return super().train_step(data)

    def numbered(**arguments):
        batches = bucketed_batches(data, 2, shuffle_seed=5, **arguments)
        number = tf.strings.to_number
        first = batches.map(lambda b: number(tf.strings.split(b["tokens"][:, 0], ".").to_tensor()))
        return first.map(lambda x: (x, x[:, :1]))

    data = to_dataset(sentences_of([1, 2, 3, 4, 5, 6, 7]))
    steps = int(bucketed_batches(data, 2).cardinality())
    model = Recorder()
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(
        numbered(epoch=1, epochs=None),
        steps_per_epoch=steps,
        initial_epoch=1,
        epochs=3,
        shuffle=False,
        verbose=0,
    )
    assert model.seen == rows(bucketed_batches(data, 2, shuffle_seed=5, epoch=1, epochs=2))
