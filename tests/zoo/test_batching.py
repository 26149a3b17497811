"""The order and the padding of training batches."""

import numpy as np
import pytest

from kerasrnn.zoo.batches import EncodedSentences, EncodedTexts, EpochBatches, batches_of


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


# === Texts with one label, batches for answers ===


@pytest.mark.parametrize("spelled", [False, True])
def test_texts_are_padded_as_sentences_are(rng, spelled):
    lengths = np.array([3, 0, 7, 1])
    letters = rng.integers(1, 9, (11, 6)) * (np.arange(6) < 2) if spelled else None
    texts = EncodedTexts(
        splits=np.cumsum([0, *lengths]),
        tokens=rng.integers(1, 99, 11),
        labels=np.array([2, 0, 1, 1]),
        characters=letters,
    )
    inputs, labels = texts.batch(np.array([2, 1, 0]))
    assert labels.tolist() == [1, 0, 2]
    assert inputs["tokens"].shape == (3, 7)
    for row, index in enumerate((2, 1, 0)):
        part = slice(texts.splits[index], texts.splits[index + 1])
        assert inputs["tokens"][row, : lengths[index]].tolist() == texts.tokens[part].tolist()
        assert not inputs["tokens"][row, lengths[index] :].any()
    assert ("characters" in inputs) is spelled
    if spelled:
        assert inputs["characters"].shape == (3, 7, 2)
    (batch, _), *rest = EpochBatches(texts, 3, seed=1).dataset()
    assert len(rest) == 1 and set(batch) == set(inputs)


def test_texts_without_tokens_are_one_padded_step():
    texts = EncodedTexts(np.zeros(3, int), np.zeros(0, int), np.zeros(2, int))
    inputs, _ = texts.batch(np.array([0, 1]))
    assert inputs["tokens"].tolist() == [[0], [0]]


def test_batches_for_answers_are_bounded_and_hold_each_text_once(rng):
    lengths = rng.integers(0, 300, 200)
    lengths[17] = 5000
    batches = list(batches_of(lengths, 32, most_tokens=2000))
    assert sorted(np.concatenate(batches)) == list(range(200))
    for batch in batches:
        assert len(batch) <= 32
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= 2000
    assert any(len(batch) == 32 for batch in batches)
    assert not list(batches_of(np.zeros(0, int), 8))
