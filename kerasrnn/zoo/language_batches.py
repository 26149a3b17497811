"""Texts as batches for a language model, in an order that the epoch alone decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.text.units import BOUNDARY_ID

# Texts are sorted by length within pools of this many batches: little padding, much mixing.
_POOL = 32


def joined(texts: Sequence[np.ndarray]) -> np.ndarray:
    """All texts in a row, a boundary in front and one between two of them.

    Args:
        texts: the ids of each text, `(time,)`.

    Returns:
        int32 ids `(all time + number of texts,)`: each but the first is to be predicted from those
        before it.
    """
    boundary = np.array([BOUNDARY_ID], np.int32)
    parts = [part for text in texts for part in (boundary, text)]
    return np.concatenate(parts).astype(np.int32) if parts else boundary


class StreamBatches(keras.callbacks.Callback):
    """One long stream of ids in segments: each row of a batch goes on where it stood in the last.

    For truncated back-propagation through time with carried states. The stream is cut into as many
    rows as a batch has, and the rows into segments. What is left over at the end is shorter than a
    batch; where in the stream the rows begin changes with the epoch, so that all of it is read in
    time. It depends on nothing but the seed and the epoch, and at the start of an epoch
    `on_start` sets the states back: a training that is resumed at an epoch goes on as one that was
    never stopped.

    Args:
        stream: int32 ids `(time,)`.
        batch_size: how many rows are read side by side; fewer where the stream is short.
        segment_length: how many steps a segment has; fewer where the stream is short.
        seed: decides where the rows begin. None begins at the first id in every epoch.
        on_start: called at the start of an epoch.
    """

    def __init__(
        self,
        stream: np.ndarray,
        batch_size: int,
        segment_length: int,
        seed: int | None,
        on_start: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        targets = len(stream) - 1
        self.stream = stream
        self.segment_length = min(segment_length, targets)
        self.batch_size = min(batch_size, targets // self.segment_length)
        self.segments = targets // self.batch_size // self.segment_length
        self.seed = seed
        self.on_start = on_start
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self.on_start()

    def __len__(self) -> int:
        return self.segments

    def __iter__(self) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        row_length = self.segments * self.segment_length
        spare = len(self.stream) - 1 - self.batch_size * row_length
        begin = 0
        if self.seed is not None:
            begin = int(np.random.default_rng([self.seed, self.epoch]).integers(spare + 1))
        end = begin + self.batch_size * row_length
        inputs = self.stream[begin:end].reshape(self.batch_size, row_length)
        targets = self.stream[begin + 1 : end + 1].reshape(self.batch_size, row_length)
        for first in range(0, row_length, self.segment_length):
            part = slice(first, first + self.segment_length)
            yield {"ids": inputs[:, part]}, targets[:, part]

    def dataset(self) -> tf.data.Dataset:
        """The segments of the current epoch, anew for each iteration: `{"ids": …}, targets`."""
        spec = tf.TensorSpec((self.batch_size, self.segment_length), tf.int32)
        return _dataset(self, ({"ids": spec}, spec))


class TextBatches(keras.callbacks.Callback):
    """Each text on its own, from boundary to boundary; texts of like length share a batch.

    Args:
        texts: the ids of each text, `(time,)`, without boundaries.
        batch_size: how many texts are in a batch; the last batch may have fewer.
        seed: decides the order, which changes with the epoch. None sorts the texts by length.
    """

    def __init__(self, texts: Sequence[np.ndarray], batch_size: int, seed: int | None) -> None:
        super().__init__()
        self.texts = texts
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.texts) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        lengths = np.array([len(text) for text in self.texts])
        if self.seed is None:
            order = np.argsort(lengths, kind="stable")
        else:
            generator = np.random.default_rng([self.seed, self.epoch])
            shuffled = generator.permutation(len(self.texts))
            pool = _POOL * self.batch_size
            order = np.concatenate(
                [
                    part[np.argsort(lengths[part], kind="stable")]
                    for part in np.split(shuffled, range(pool, len(shuffled), pool))
                ]
            )
        batches = np.split(order, range(self.batch_size, len(order), self.batch_size))
        if self.seed is not None:
            batches = [batches[i] for i in generator.permutation(len(batches))]
        for indices in batches:
            yield padded([self.texts[i] for i in indices])

    def dataset(self) -> tf.data.Dataset:
        """The batches of the current epoch, anew for each iteration: `{"ids", "mask"}, targets`."""
        ids = tf.TensorSpec((None, None), tf.int32)
        mask = tf.TensorSpec((None, None), tf.bool)
        return _dataset(self, ({"ids": ids, "mask": mask}, ids))


def padded(texts: Sequence[np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Texts from boundary to boundary, padded on the right.

    Args:
        texts: the ids of each text, `(time,)`.

    Returns:
        `ids` and `mask`, and the targets: each `(batch, longest + 1)`.
    """
    longest = max(len(text) for text in texts)
    ids = np.full((len(texts), longest + 2), BOUNDARY_ID, np.int32)
    for row, text in zip(ids, texts, strict=True):
        row[1 : len(text) + 1] = text
    lengths = np.array([len(text) for text in texts])
    mask = np.arange(longest + 1) <= lengths[:, None]
    return {"ids": ids[:, :-1], "mask": mask}, ids[:, 1:]


def _dataset(batches: StreamBatches | TextBatches, specification: Any) -> tf.data.Dataset:
    dataset = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=specification)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2)
