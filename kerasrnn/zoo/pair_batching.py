"""Batches of encoded pairs of texts, bucketed by length, in an order that the epoch decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from kerasrnn.zoo.batches import EpochBatches

# A batch for prediction is split so that it holds no more source pieces than this, with padding.
_PIECES_PER_BATCH = 16_384


@dataclass(frozen=True)
class EncodedPairs:
    """Pairs as ids, all sources in one row and all targets in another.

    Attributes:
        source_splits: `(pairs + 1,)`; pair i has the source ids `source_splits[i]:
            source_splits[i + 1]`.
        sources: ids `(pieces,)`.
        target_splits: `(pairs + 1,)`.
        targets: ids `(pieces,)`, without the end.
    """

    source_splits: np.ndarray
    sources: np.ndarray
    target_splits: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.source_splits) - 1

    @property
    def source_lengths(self) -> np.ndarray:
        return np.diff(self.source_splits)

    @property
    def target_lengths(self) -> np.ndarray:
        return np.diff(self.target_splits)

    @property
    def lengths(self) -> np.ndarray:
        """By what pairs are sorted into batches: the longer text of each.

        Their sum would keep what has a target from what has none: batch after batch would pull the
        first piece one way and then the other.
        """
        return np.maximum(self.source_lengths, self.target_lengths)

    def batch(self, indices: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The pairs of some indices, padded on the right with 0.

        Args:
            indices: integers `(batch,)`.

        Returns:
            The network's inputs, `source` `(batch, time)` and `previous` `(batch, steps)`, and the
            targets: `target` `(batch, steps)`, of which the first 0 is the end.
        """
        source = _padded(self.sources, self.source_splits, indices, 0)
        target = _padded(self.targets, self.target_splits, indices, 1)
        previous = np.pad(target[:, :-1], [(0, 0), (1, 0)])
        return {"source": source, "previous": previous}, {"target": target}


def _padded(ids: np.ndarray, splits: np.ndarray, indices: np.ndarray, end: int) -> np.ndarray:
    """Rows of one length, of at least one id, with room for the end."""
    lengths = np.diff(splits)[indices]
    steps = np.arange(max(1, lengths.max(initial=0) + end))
    present = steps < lengths[:, None]  # (batch, time)
    places = np.where(present, splits[indices][:, None] + steps, 0)
    padded = np.zeros(places.shape, ids.dtype)
    padded[present] = ids[places[present]]
    return padded


class PairBatches(EpochBatches):
    """Batches of pairs for `keras.Model.fit`; see `EpochBatches`.

    Args:
        pairs: the encoded pairs.
        batch_size: how many pairs are in a batch; the last batch may have fewer.
        seed: decides the order. None keeps the pairs in their order.
    """

    def __init__(self, pairs: EncodedPairs, batch_size: int, seed: int | None) -> None:
        # The order needs lengths and nothing else of what it orders.
        super().__init__(pairs, batch_size, seed)  # type: ignore[arg-type]

    def dataset(self) -> tf.data.Dataset:
        """The batches of the current epoch, anew for each iteration.

        Returns:
            A dataset of `(inputs, targets)`, as `EncodedPairs.batch` gives them.
        """
        ids = tf.TensorSpec((None, None), tf.int32)
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(self),
            output_signature=({"source": ids, "previous": ids}, {"target": ids}),
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return dataset.prefetch(2)


def batches_by_length(
    lengths: np.ndarray, batch_size: int, pieces: int = _PIECES_PER_BATCH
) -> Iterator[np.ndarray]:
    """Indices of items of like length, in batches whose padded size is bounded.

    Args:
        lengths: how many pieces each item has.
        batch_size: how many items are in a batch at most.
        pieces: how many pieces are in a batch at most, padding included, unless it has one item.

    Yields:
        Integers `(batch,)`; each index comes once.
    """
    batch: list[int] = []
    for index in np.argsort(lengths, kind="stable"):
        if batch and (len(batch) == batch_size or (len(batch) + 1) * lengths[index] > pieces):
            yield np.array(batch)
            batch = []
        batch.append(index)
    if batch:
        yield np.array(batch)
