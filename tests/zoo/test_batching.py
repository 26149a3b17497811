"""The order and the padding of training batches."""

import numpy as np
import pytest

from kerasrnn.zoo.batching import EncodedSentences, EpochBatches


@pytest.fixture
def encoded(rng) -> EncodedSentences:
    lengths = rng.integers(1, 40, 500)
    total = int(lengths.sum())
    return EncodedSentences(
        splits=np.cumsum([0, *lengths]),
        words=rng.integers(1, 99, total),
        tags=rng.integers(0, 5, total),
        characters=rng.integers(1, 9, (total, 7)) * (np.arange(7) < 4),
        labels=rng.integers(0, 3, 500),
    )


def test_every_sentence_comes_once_in_every_epoch(encoded):
    batches = EpochBatches(encoded, 16, seed=3)
    for epoch in range(3):
        order = batches.order(epoch)
        assert len(order) == len(batches) == 32
        assert sorted(np.concatenate(order)) == list(range(500))


def test_the_order_depends_on_seed_and_epoch_alone(encoded):
    first, second = EpochBatches(encoded, 16, seed=3), EpochBatches(encoded, 16, seed=3)
    first.order(0)  # asking for one epoch must not change another
    assert [list(b) for b in first.order(1)] == [list(b) for b in second.order(1)]
    assert [list(b) for b in first.order(1)] != [list(b) for b in first.order(2)]
    other = EpochBatches(encoded, 16, seed=4)
    assert [list(b) for b in first.order(1)] != [list(b) for b in other.order(1)]


def test_lengths_in_a_batch_are_alike(encoded):
    order = EpochBatches(encoded, 16, seed=3).order(0)
    lengths = encoded.lengths
    padded = sum(len(b) * lengths[b].max() for b in order)
    assert padded < 1.15 * lengths.sum()


def test_padding_is_zero_and_on_the_right(encoded):
    indices = np.array([4, 9])
    inputs, targets = encoded.batch(indices)
    for row, index in enumerate(indices):
        part = slice(encoded.splits[index], encoded.splits[index + 1])
        length = encoded.lengths[index]
        np.testing.assert_array_equal(inputs["words"][row, :length], encoded.words[part])
        np.testing.assert_array_equal(targets["tags"][row, :length], encoded.tags[part])
        np.testing.assert_array_equal(
            inputs["characters"][row, :length], encoded.characters[part, :4]
        )
        assert not inputs["words"][row, length:].any()
        assert not inputs["characters"][row, length:].any()
    np.testing.assert_array_equal(targets["labels"], encoded.labels[indices])


def test_the_dataset_follows_the_epoch(encoded):
    batches = EpochBatches(encoded, 100, seed=3)
    dataset = batches.dataset()
    assert len(dataset) == 5
    for epoch in (0, 1):
        batches.on_epoch_begin(epoch)
        for (inputs, _), indices in zip(dataset, batches.order(epoch), strict=True):
            np.testing.assert_array_equal(inputs["words"], encoded.batch(indices)[0]["words"])


def test_without_a_seed_the_order_is_kept(encoded):
    order = EpochBatches(encoded, 64, seed=None).order(7)
    np.testing.assert_array_equal(np.concatenate(order), np.arange(500))
