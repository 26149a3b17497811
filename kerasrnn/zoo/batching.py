"""Batches of encoded sentences, bucketed by length, in an order that the epoch alone decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Sentences are sorted by length within pools of this many batches: little padding, much mixing.
_POOL = 32


@dataclass(frozen=True)
class EncodedSentences:
    """Sentences as ids, all words in one row.

    Attributes:
        splits: `(sentences + 1,)`; sentence i has the words `splits[i]:splits[i + 1]`.
        words: word ids `(words,)`.
        tags: tag ids `(words,)`.
        characters: character ids `(words, length)`, or None.
        labels: the ids of the sentences' labels `(sentences,)`, or None.
    """

    splits: np.ndarray
    words: np.ndarray
    tags: np.ndarray
    characters: np.ndarray | None = None
    labels: np.ndarray | None = None

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
        lengths = self.lengths[indices]
        steps = np.arange(max(1, lengths.max(initial=0)))
        present = steps < lengths[:, None]  # (batch, time)
        places = np.where(present, self.splits[indices][:, None] + steps, 0)
        inputs = {"words": np.where(present, self.words[places], 0)}
        if self.characters is not None:
            spelled = np.where(present[:, :, None], self.characters[places], 0)
            longest = max(1, int((spelled != 0).any((0, 1)).sum()))
            inputs["characters"] = spelled[:, :, :longest]  # (batch, time, longest)
        targets = {"tags": np.where(present, self.tags[places], 0)}
        if self.labels is not None:
            targets["labels"] = self.labels[indices]
        return inputs, targets


class EpochBatches(keras.callbacks.Callback):
    """Batches for `keras.Model.fit`, which depend on nothing but the seed and the epoch.

    So a training that is resumed at an epoch sees what an unbroken one would have seen. Give
    `dataset()` to `fit`, and this object as its first callback.

    Args:
        sentences: the encoded sentences.
        batch_size: how many sentences are in a batch; the last batch may have fewer.
        seed: decides the order. None keeps the sentences in their order.
    """

    def __init__(self, sentences: EncodedSentences, batch_size: int, seed: int | None) -> None:
        super().__init__()
        self.sentences = sentences
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.sentences) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
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
        order = generator.permutation(count)
        lengths = self.sentences.lengths
        pool = _POOL * self.batch_size
        sorted_pools = [
            part[np.argsort(lengths[part], kind="stable")]
            for part in (order[i : i + pool] for i in range(0, count, pool))
        ]
        order = np.concatenate(sorted_pools) if sorted_pools else order
        batches = [order[i : i + self.batch_size] for i in range(0, count, self.batch_size)]
        return [batches[i] for i in generator.permutation(len(batches))]

    def dataset(self) -> tf.data.Dataset:
        """The batches of the current epoch, anew for each iteration.

        Returns:
            A dataset of `(inputs, targets)`, as `EncodedSentences.batch` gives them.
        """
        inputs = {"words": tf.TensorSpec((None, None), tf.int32)}
        targets = {"tags": tf.TensorSpec((None, None), tf.int32)}
        if self.sentences.characters is not None:
            inputs["characters"] = tf.TensorSpec((None, None, None), tf.int32)
        if self.sentences.labels is not None:
            targets["labels"] = tf.TensorSpec((None,), tf.int32)
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=(inputs, targets)
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return dataset.prefetch(2)
