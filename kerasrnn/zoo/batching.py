"""Batches of encoded examples, bucketed by length, in an order that the epoch alone decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

# Sentences are sorted by length within pools of this many batches: little padding, much mixing.
_POOL = 32

# A batch of long texts is split so that it holds no more words than this, padding included.
_TOKENS_PER_BATCH = 16_384


class Encoded(Protocol):
    """Examples as numbers, of which batches can be made."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> np.ndarray:
        """How many steps each example has, `(examples,)`."""
        ...

    @property
    def signature(self) -> Any:
        """What `batch` returns, as `tf.TensorSpec` objects."""
        ...

    def batch(self, indices: np.ndarray) -> tuple[Any, Any]:
        """The network's inputs and the targets of some examples, padded on the right with 0."""
        ...


def batches_of(
    lengths: np.ndarray, batch_size: int, most_tokens: int = _TOKENS_PER_BATCH
) -> Iterator[np.ndarray]:
    """Examples of like length, in batches whose padded size is bounded, the shortest first.

    Args:
        lengths: how many steps each example has.
        batch_size: how many examples are in a batch at most.
        most_tokens: how many steps are in a batch at most, padding included, unless one example
            alone has more.

    Yields:
        Indices of examples; together they hold each of them once.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.batching import batches_of
    >>> [batch.tolist() for batch in batches_of(np.array([9, 1, 8, 2]), 2)]
    [[1, 3], [2, 0]]
    """
    batch: list[int] = []
    for index in np.argsort(lengths, kind="stable"):
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[index] > most_tokens):
            yield np.array(batch)
            batch = []
        batch.append(int(index))
    if batch:
        yield np.array(batch)


def mixed_batches(
    lengths: np.ndarray, batch_size: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Examples in an order of chance, in batches of like length.

    Args:
        lengths: how many steps each example has.
        batch_size: how many examples are in a batch; the last batch to be made may have fewer.
        generator: where chance comes from.

    Returns:
        Indices of examples; together the batches hold each of them once.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.batching import mixed_batches
    >>> batches = mixed_batches(np.array([9, 1, 8, 2]), 2, np.random.default_rng(1))
    >>> sorted(sorted(batch.tolist()) for batch in batches)
    [[0, 2], [1, 3]]
    """
    count = len(lengths)
    order = generator.permutation(count)
    pool = _POOL * batch_size
    sorted_pools = [
        part[np.argsort(lengths[part], kind="stable")]
        for part in (order[i : i + pool] for i in range(0, count, pool))
    ]
    order = np.concatenate(sorted_pools) if sorted_pools else order
    batches = [order[i : i + batch_size] for i in range(0, count, batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def padded(splits: np.ndarray, indices: np.ndarray, *flat: np.ndarray | None) -> list[Any]:
    """Rows of some indices from arrays that hold all rows behind each other, padded with 0.

    Args:
        splits: `(rows + 1,)`; row i is `splits[i]:splits[i + 1]`.
        indices: integers `(batch,)`.
        *flat: arrays whose first axis holds the steps of all rows; None stays None.

    Returns:
        For each array `(batch, time, ...)`, time being the longest of these rows and at least 1.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.batching import padded
    >>> padded(np.array([0, 1, 3]), np.array([1, 0]), np.array([7, 8, 9]))[0].tolist()
    [[8, 9], [7, 0]]
    """
    lengths = np.diff(splits)[indices]
    steps = np.arange(max(1, lengths.max(initial=0)))
    present = steps < lengths[:, None]  # (batch, time)
    places = np.where(present, splits[indices][:, None] + steps, 0)

    def rows(values: np.ndarray) -> np.ndarray:
        if not len(values):
            return np.zeros((*present.shape, *values.shape[1:]), values.dtype)
        shown = present.reshape(*present.shape, *[1] * (values.ndim - 1))
        return np.where(shown, values[places], 0)

    return [None if values is None else rows(values) for values in flat]


@dataclass(frozen=True)
class EncodedSentences:
    """Sentences as ids, all words in one row.

    Attributes:
        splits: `(sentences + 1,)`; sentence i has the words `splits[i]:splits[i + 1]`.
        words: word ids `(words,)`.
        tags: tag ids `(words,)`.
        characters: character ids `(words, length)`, or None.
        capitals: how each word is capitalised `(words,)`, or None.
        pieces: ids of the pieces of each word `(words, pieces)`, or None.
        labels: the ids of the sentences' labels `(sentences,)`, or None.
        probabilities: how probable each tag is to be, in place of `tags`: float32
            `(words, tags)`, or None.
    """

    splits: np.ndarray
    words: np.ndarray
    tags: np.ndarray
    characters: np.ndarray | None = None
    capitals: np.ndarray | None = None
    pieces: np.ndarray | None = None
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.splits) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.splits)

    def batch(self, indices: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The sentences of some indices, padded on the right with 0.

        Args:
            indices: integers `(batch,)`.

        Returns:
            The network's inputs and the targets.
        """
        tags = self.tags if self.probabilities is None else self.probabilities
        words, tags, characters, capitals, pieces = padded(
            self.splits,
            indices,
            *(self.words, tags, self.characters, self.capitals, self.pieces),
        )
        inputs = {"words": words}
        if characters is not None:
            inputs["characters"] = without_empty_ends(characters)
        if capitals is not None:
            inputs["capitals"] = capitals
        if pieces is not None:
            inputs["pieces"] = without_empty_ends(pieces)
        targets = {"tags": tags}
        if self.labels is not None:
            targets["labels"] = self.labels[indices]
        return inputs, targets

    @property
    def signature(self) -> Any:
        """What `batch` returns, as `tf.TensorSpec` objects."""
        inputs = {"words": tf.TensorSpec((None, None), tf.int32)}
        targets = {"tags": tf.TensorSpec((None, None), tf.int32)}
        if self.probabilities is not None:
            tags = self.probabilities.shape[1]
            targets = {"tags": tf.TensorSpec((None, None, tags), tf.float32)}
        if self.characters is not None:
            inputs["characters"] = tf.TensorSpec((None, None, None), tf.int32)
        if self.capitals is not None:
            inputs["capitals"] = tf.TensorSpec((None, None), tf.int32)
        if self.pieces is not None:
            inputs["pieces"] = tf.TensorSpec((None, None, None), tf.int32)
        if self.labels is not None:
            targets["labels"] = tf.TensorSpec((None,), tf.int32)
        return inputs, targets


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as ids with one label each, all tokens in one row.

    Attributes:
        splits: `(texts + 1,)`; text i has the tokens `splits[i]:splits[i + 1]`.
        tokens: token ids `(tokens,)`.
        labels: the ids of the labels `(texts,)`.
        characters: character ids `(tokens, length)`, or None.
        probabilities: how probable each label is to be, in place of `labels`: float32
            `(texts, labels)`, or None.
    """

    splits: np.ndarray
    tokens: np.ndarray
    labels: np.ndarray
    characters: np.ndarray | None = None
    probabilities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.splits) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.splits)

    def batch(self, indices: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The texts of some indices, padded on the right with 0.

        Args:
            indices: integers `(batch,)`.

        Returns:
            The network's inputs, and the labels `(batch,)`, or their probabilities
            `(batch, labels)`.
        """
        tokens, characters = padded(self.splits, indices, self.tokens, self.characters)
        inputs = {"tokens": tokens}
        if characters is not None:
            inputs["characters"] = without_empty_ends(characters)
        targets = self.labels if self.probabilities is None else self.probabilities
        return inputs, targets[indices]

    @property
    def signature(self) -> Any:
        """What `batch` returns, as `tf.TensorSpec` objects."""
        inputs = {"tokens": tf.TensorSpec((None, None), tf.int32)}
        if self.characters is not None:
            inputs["characters"] = tf.TensorSpec((None, None, None), tf.int32)
        if self.probabilities is not None:
            return inputs, tf.TensorSpec((None, self.probabilities.shape[1]), tf.float32)
        return inputs, tf.TensorSpec((None,), tf.int32)


def without_empty_ends(characters: np.ndarray) -> np.ndarray:
    """Spelled words without the places behind the longest of them; or words in pieces.

    Args:
        characters: ids `(batch, time, length)`, 0 behind the end of a word.

    Returns:
        `(batch, time, longest)`, longest being at least 1.
    """
    longest = max(1, int((characters != 0).any((0, 1)).sum()))
    return characters[:, :, :longest]


class EpochBatches(keras.callbacks.Callback):
    """Batches for `keras.Model.fit`, which depend on nothing but the seed and the epoch.

    So a training that is resumed at an epoch sees what an unbroken one would have seen. Give
    `dataset()` to `fit`, and this object as its first callback.

    Args:
        sentences: the encoded sentences, or other examples.
        batch_size: how many of them are in a batch; the last batch may have fewer.
        seed: decides the order. None keeps the sentences in their order.
    """

    def __init__(self, sentences: Encoded, batch_size: int, seed: int | None) -> None:
        super().__init__()
        self.sentences = sentences
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.sentences) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for indices in self.order(self.epoch):
            yield self.sentences.batch(indices)

    def order(self, epoch: int) -> list[np.ndarray]:
        """The indices of the sentences in each batch of an epoch.

        Args:
            epoch: counted from 0.

        Returns:
            One array for each batch; together they hold each sentence once.
        """
        count = len(self.sentences)
        if self.seed is None:
            order = np.arange(count)
            return [order[i : i + self.batch_size] for i in range(0, count, self.batch_size)]
        generator = np.random.default_rng([self.seed, epoch])
        return mixed_batches(self.sentences.lengths, self.batch_size, generator)

    def dataset(self) -> tf.data.Dataset:
        """The batches of the current epoch, anew for each iteration.

        Returns:
            A dataset of `(inputs, targets)`, as `batch` of the examples gives them.
        """
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=self.sentences.signature
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return dataset.prefetch(2)
