"""Batches of piano rolls: parts of long pieces, in an order that the epoch alone decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def parts_of(rolls: Sequence[np.ndarray], chunk: int) -> Iterator[dict[str, np.ndarray]]:
    """The parts in which a batch of pieces is read, one after the other.

    Args:
        rolls: pieces `(time, keys)`, the longest first.
        chunk: how many frames a part has at most.

    Returns:
        Dicts of `rolls` and `targets`, float32 `(batch, time, keys)`, the frames and those after
        them; `mask`, booleans `(batch, time)`; and `start`, whether it is the first part. Pieces
        that have ended are left out: a part has the first so many pieces of the one before it.
    """
    lengths = np.array([len(roll) - 1 for roll in rolls])  # the last frame has none after it
    for begin in range(0, max(lengths, default=0), chunk):
        rows = int((lengths > begin).sum())
        time = int(min(chunk, lengths[0] - begin))
        frames = np.zeros((rows, time + 1, rolls[0].shape[1]), np.float32)
        for row, roll in enumerate(rolls[:rows]):
            part = roll[begin : begin + time + 1]
            frames[row, : len(part)] = part
        yield {
            "rolls": frames[:, :-1],
            "targets": frames[:, 1:],
            "mask": np.arange(begin, begin + time) < lengths[:rows, None],
            "start": np.array(begin == 0),
        }


def transposed(roll: np.ndarray, semitones: int) -> np.ndarray:
    """A piece moved up or down, as far as no note falls off the keyboard.

    Args:
        roll: `(time, keys)`.
        semitones: how far up; down if negative.

    Returns:
        A roll of the same shape.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.music_batches import transposed
    >>> transposed(np.array([[0, 1, 0, 0]]), 5).tolist()
    [[0, 0, 0, 1]]
    """
    used = np.nonzero(roll.any(axis=0))[0]
    if not len(used):
        return roll
    return np.roll(roll, np.clip(semitones, -used[0], roll.shape[1] - 1 - used[-1]), axis=1)


def key_log_odds(rolls: Sequence[np.ndarray], transpose: int = 0) -> np.ndarray:
    """How much likelier each key is to sound than not, before anything is heard.

    Args:
        rolls: pieces `(time, keys)`, at least one.
        transpose: by how many semitones the pieces are moved up or down at most, each number of
            semitones as often.

    Returns:
        log(p / (1 - p)), float32 `(keys,)`, with p the share of frames in which the key sounds; one
        frame with each key and one without are added, so that no key is impossible.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.music_batches import key_log_odds
    >>> key_log_odds([np.array([[1, 0, 0], [1, 1, 0]])]).round(1)
    array([ 1.1,  0. , -1.1], dtype=float32)
    """
    frames = sum(len(roll) for roll in rolls)
    sounding = np.sum([roll.sum(axis=0, dtype=np.float64) for roll in rolls], axis=0)  # (keys,)
    padded = np.pad(sounding, transpose)
    shifted = [padded[i : i + len(sounding)] for i in range(2 * transpose + 1)]
    p = (np.mean(shifted, axis=0) + 1) / (frames + 2)
    return np.log(p / (1 - p)).astype(np.float32)


class MusicBatches(keras.callbacks.Callback):
    """Batches for `keras.Model.fit`, which depend on nothing but the seed and the epoch.

    So a training that is resumed at an epoch sees what an unbroken one would have seen. Give
    `dataset()` to `fit`, and this object as its first callback.

    Args:
        rolls: pieces `(time, keys)` of at least two frames.
        batch_size: how many pieces are read beside each other.
        chunk: how many frames of them are in a batch.
        seed: decides order and transposition. None has neither, and sorts pieces by their parts.
        transpose: by how many semitones a piece is moved up or down at most, drawn anew for each
            epoch.
    """

    def __init__(
        self,
        rolls: Sequence[np.ndarray],
        batch_size: int,
        chunk: int,
        seed: int | None,
        transpose: int = 0,
    ) -> None:
        super().__init__()
        self.rolls = list(rolls)
        self.batch_size = batch_size
        self.chunk = chunk
        self.seed = seed
        self.transpose = transpose
        self.epoch = 0
        self.lengths = np.array([len(roll) for roll in self.rolls])
        self.parts = -(-(self.lengths - 1) // chunk)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def groups(self, epoch: int) -> list[np.ndarray]:
        """Which pieces are read beside each other in an epoch.

        Args:
            epoch: counted from 0.

        Returns:
            Indices of pieces for each group, the longest piece first; together each piece once.
        """
        count = len(self.rolls)
        if self.seed is None:
            order = np.arange(count)
            shuffled = np.arange(len(range(0, count, self.batch_size)))
        else:
            generator = np.random.default_rng([self.seed, epoch])
            order = generator.permutation(count)
            shuffled = generator.permutation(len(range(0, count, self.batch_size)))
        # Neighbours have as many parts, so that every epoch has as many batches.
        order = order[np.argsort(-self.parts[order], kind="stable")]
        groups = [order[i : i + self.batch_size] for i in range(0, count, self.batch_size)]
        groups = [group[np.argsort(-self.lengths[group], kind="stable")] for group in groups]
        return [groups[i] for i in shuffled]

    def __len__(self) -> int:
        return sum(int(self.parts[group[0]]) for group in self.groups(0))

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        shifts = np.zeros(len(self.rolls), int)
        if self.transpose and self.seed is not None:
            generator = np.random.default_rng([self.seed, self.epoch, 1])
            shifts = generator.integers(-self.transpose, self.transpose + 1, len(self.rolls))
        for group in self.groups(self.epoch):
            yield from parts_of([transposed(self.rolls[i], shifts[i]) for i in group], self.chunk)

    def dataset(self) -> tf.data.Dataset:
        """The batches of the current epoch, anew for each iteration.

        Returns:
            A dataset of what `parts_of` gives.
        """
        keys = self.rolls[0].shape[1]
        signature = {
            "rolls": tf.TensorSpec((None, None, keys), tf.float32),
            "targets": tf.TensorSpec((None, None, keys), tf.float32),
            "mask": tf.TensorSpec((None, None), tf.bool),
            "start": tf.TensorSpec((), tf.bool),
        }
        dataset = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=signature)
        return dataset.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2)
