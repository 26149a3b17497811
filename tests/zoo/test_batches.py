"""The order and the padding of training batches."""

import numpy as np
import pytest

from kerasrnn.zoo.batches import Encoded, EpochBatches, ExampleBatches, Ragged, batches_of

COUNT = 500


@pytest.fixture
def encoded(rng) -> Encoded:
    """Sentences: ids of words, letters of which no word has more than 4, tags, and labels."""
    lengths = rng.integers(1, 40, COUNT)
    splits, total = np.cumsum([0, *lengths]), int(lengths.sum())
    letters = rng.integers(1, 9, (total, 7)) * (np.arange(7) < 4)
    return Encoded(
        {
            "words": Ragged(splits, rng.integers(1, 99, total)),
            "characters": Ragged(splits, letters, trimmed=True),
        },
        {"tags": Ragged(splits, rng.integers(0, 5, total)), "labels": rng.integers(0, 3, COUNT)},
        lengths,
    )


# === The order ===


def test_every_sentence_comes_once_in_every_epoch(encoded):
    source = ExampleBatches(encoded, 16)
    for epoch in range(3):
        order = source.order([3, epoch])
        assert len(order) == len(source) == len(EpochBatches(source, 3)) == 32
        assert sorted(np.concatenate(order)) == list(range(COUNT))


def test_the_order_depends_on_seed_and_epoch_alone(encoded):
    def order(source, *seed):
        return [list(batch) for batch in source.order(list(seed))]

    first, second = ExampleBatches(encoded, 16), ExampleBatches(encoded, 16)
    first.order([3, 0])  # asking for one epoch must not change another
    assert order(first, 3, 1) == order(second, 3, 1)
    assert order(first, 3, 1) != order(first, 3, 2)
    assert order(first, 3, 1) != order(first, 4, 1)


def test_lengths_in_a_batch_are_alike(encoded):
    order, lengths = ExampleBatches(encoded, 16).order([3, 0]), encoded.lengths
    padded = sum(len(batch) * lengths[batch].max() for batch in order)
    assert padded < 1.15 * lengths.sum()


def test_without_a_seed_the_order_is_kept(encoded):
    order = ExampleBatches(encoded, 64).order(None)
    np.testing.assert_array_equal(np.concatenate(order), np.arange(COUNT))


def test_the_dataset_follows_the_epoch(encoded):
    source = ExampleBatches(encoded, 100)
    batches = EpochBatches(source, seed=3)
    dataset = batches.dataset()
    assert len(dataset) == 5
    for epoch in (0, 1):
        batches.on_epoch_begin(epoch)
        for (inputs, _), indices in zip(dataset, source.order([3, epoch]), strict=True):
            np.testing.assert_array_equal(inputs["words"], encoded.batch(indices)[0]["words"])


@pytest.mark.parametrize("steps", [2, 5, 7])
def test_epochs_of_so_many_steps_go_on_where_the_one_before_has_stopped(encoded, steps):
    """Whichever epoch begins, as it does where a training is resumed."""
    source = ExampleBatches(encoded, 100)
    passes = [batch for number in range(5) for batch in source.order([3, number])]
    for epoch in (2, 0, 1):
        batches = EpochBatches(source, 3, steps)
        batches.on_epoch_begin(epoch)
        assert len(batches) == steps
        expected = passes[epoch * steps : (epoch + 1) * steps]
        for (_, targets), indices in zip(batches.dataset(), expected, strict=True):
            np.testing.assert_array_equal(targets["labels"], encoded.targets["labels"][indices])


# === Batches ===


def test_padding_is_zero_and_on_the_right(encoded):
    indices = np.array([4, 9])
    inputs, targets = encoded.batch(indices)
    for row, index in enumerate(indices):
        length = encoded.lengths[index]

        def own(column, index=index):
            return column.values[column.splits[index] : column.splits[index + 1]]

        words, letters = encoded.inputs["words"], encoded.inputs["characters"]
        np.testing.assert_array_equal(inputs["words"][row, :length], own(words))
        np.testing.assert_array_equal(inputs["characters"][row, :length], own(letters)[:, :4])
        np.testing.assert_array_equal(targets["tags"][row, :length], own(encoded.targets["tags"]))
        assert not inputs["words"][row, length:].any()
        assert not inputs["characters"][row, length:].any()
    np.testing.assert_array_equal(targets["labels"], encoded.targets["labels"][indices])


def test_weights_come_with_their_examples(encoded, rng):
    of_words = Ragged(encoded.inputs["words"].splits, rng.random(encoded.lengths.sum()))
    for weights in (rng.random(COUNT), of_words):
        *_, found = encoded.weighted(weights).batch(np.array([7, 2]))
        np.testing.assert_array_equal(found, weights[np.array([7, 2])])


def test_what_has_no_steps_is_one_padded_step():
    splits = np.zeros(3, int)
    for values, shape in ((np.zeros(0, int), (2, 1)), (np.zeros((0, 6), int), (2, 1, 6))):
        padded = Ragged(splits, values)[np.array([0, 1])]
        assert padded.shape == shape
        assert not padded.any()
    one = Ragged(np.array([0, 0, 2]), np.array([3, 4]))
    assert one[np.array([1, 0])].tolist() == [[3, 4], [0, 0]]
    assert one[np.array([0])].tolist() == [[0]]


def test_batches_for_answers_are_bounded_and_hold_each_text_once(rng):
    lengths = rng.integers(0, 300, 200)
    lengths[17] = 5000
    batches = list(batches_of(lengths, 32, most_steps=2000))
    assert sorted(np.concatenate(batches)) == list(range(200))
    for batch in batches:
        assert len(batch) <= 32
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= 2000
    assert any(len(batch) == 32 for batch in batches)
    assert not list(batches_of(np.zeros(0, int), 8))
