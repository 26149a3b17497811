"""Long sequences, read in parts: the parts, and the states that go from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class CarriedStates:
    """Where a training step finds the states that the step before has left.

    They are no weights: neither a checkpoint nor a preset has them, and an epoch begins with zeros.

    Args:
        like: the states of any number of rows.
        rows: how many rows they have; None for fewer and fewer, as sequences end. XLA knows
            variables of one shape alone.
    """

    def __init__(self, like: Sequence[Any], rows: int | None = None) -> None:
        self.rows = rows
        self.variables = [
            tf.Variable(
                tf.zeros((rows or 0, state.shape[-1]), state.dtype),
                shape=(rows, state.shape[-1]),
                trainable=False,
            )
            for state in like
        ]

    def read(self, start: tf.Tensor, rows: Any) -> list[tf.Tensor]:
        """The states of the first so many rows.

        Args:
            start: whether the sequences begin here: their states are zeros.
            rows: how many rows are left.
        """
        return [
            tf.cond(
                start,
                lambda variable=variable: tf.zeros((rows, variable.shape[-1]), variable.dtype),
                lambda variable=variable: variable.value()[:rows],
            )
            for variable in self.variables
        ]

    def write(self, states: Iterable[tf.Tensor]) -> None:
        """Keep the states that a step has left."""
        for variable, state in zip(self.variables, states, strict=True):
            variable.assign(state)


class StreamBatches:
    """One long stream of ids in segments: each row of a batch goes on where it stood in the last.

    For truncated back-propagation through time with carried states. The stream is cut into as many
    rows as a batch has, and the rows into segments. What is left over at the end is shorter than a
    batch; where in the stream the rows begin changes with the pass, so that all of it is read in
    time. See `kerasrnn.zoo.batches.Source`.

    Args:
        stream: int32 ids `(time,)`.
        batch_size: how many rows are read side by side; fewer where the stream is short.
        segment_length: how many steps a segment has; fewer where the stream is short.
    """

    def __init__(self, stream: np.ndarray, batch_size: int, segment_length: int) -> None:
        targets = len(stream) - 1
        self.stream = stream
        self.segment_length = min(segment_length, targets)
        self.rows = min(batch_size, targets // self.segment_length)
        self.segments = targets // self.rows // self.segment_length
        segment = tf.TensorSpec((self.rows, self.segment_length), tf.int32)
        self.signature = ({"ids": segment, "start": tf.TensorSpec((), tf.bool)}, segment)

    def __len__(self) -> int:
        return self.segments

    def order(self, seed: list[int] | None) -> list[tuple[int, int]]:
        """Where the rows begin, and the number of the segment, for each batch of a pass."""
        begin = 0
        if seed is not None:
            spare = len(self.stream) - 1 - self.rows * self.segments * self.segment_length
            begin = int(np.random.default_rng(seed).integers(spare + 1))
        return [(begin, segment) for segment in range(self.segments)]

    def batch(self, item: tuple[int, int]) -> Any:
        """A segment: its ids, whether it is the first, and the ids that are to be predicted."""
        begin, segment = item
        rows = begin + np.arange(self.rows) * self.segments * self.segment_length
        first = rows[:, None] + segment * self.segment_length
        places = first + np.arange(self.segment_length)  # (rows, time)
        inputs = {"ids": self.stream[places], "start": np.array(segment == 0)}
        return inputs, self.stream[places + 1]


def part_of(rolls: Sequence[np.ndarray], begin: int, most: int) -> dict[str, np.ndarray]:
    """A part of some pieces of music, and what comes next.

    Args:
        rolls: pieces `(time, keys)`, the longest first.
        begin: the first frame, which at least one piece must have and a frame behind it.
        most: how many frames the part has at most.

    Returns:
        `rolls` and `targets`, float32 `(batch, time, keys)`, the frames and those after them;
        `mask`, booleans `(batch, time)`; and `start`, whether it is the first part. Pieces that
        have ended are left out: the others are the first ones.
    """
    lengths = np.array([len(roll) - 1 for roll in rolls])  # the last frame has none after it
    rows = int((lengths > begin).sum())
    time = int(min(most, lengths[0] - begin))
    frames = np.zeros((rows, time + 1, rolls[0].shape[1]), np.float32)
    for row, roll in enumerate(rolls[:rows]):
        part = roll[begin : begin + time + 1]
        frames[row, : len(part)] = part
    return {
        "rolls": frames[:, :-1],
        "targets": frames[:, 1:],
        "mask": np.arange(begin, begin + time) < lengths[:rows, None],
        "start": np.array(begin == 0),
    }


class PieceBatches:
    """Pieces of music in parts: the rows of a batch go on where they stood in the last.

    A group of pieces is read side by side, and then the next group; see
    `kerasrnn.zoo.batches.Source`.

    Args:
        rolls: pieces `(time, keys)` of at least two frames.
        batch_size: how many pieces are read side by side.
        chunk: how many frames of them are in a batch.
        transpose: by how many semitones a piece is moved up or down at most, drawn anew for each
            pass.
        weights: how much each piece counts, `(pieces,)`; None for alike.
    """

    def __init__(
        self,
        rolls: Sequence[np.ndarray],
        batch_size: int,
        chunk: int,
        transpose: int = 0,
        weights: np.ndarray | None = None,
    ) -> None:
        self.rolls = list(rolls)
        self.batch_size = batch_size
        self.chunk = chunk
        self.transpose = transpose
        self.weights = weights
        self.lengths = np.array([len(roll) for roll in self.rolls])
        self.parts = -(-(self.lengths - 1) // chunk)
        chords = tf.TensorSpec((None, None, self.rolls[0].shape[1]), tf.float32)
        inputs = {
            "rolls": chords,
            "targets": chords,
            "mask": tf.TensorSpec((None, None), tf.bool),
            "start": tf.TensorSpec((), tf.bool),
        }
        weighted = () if weights is None else (tf.TensorSpec((None,), tf.float32),)
        self.signature = (inputs, chords, *weighted)

    def __len__(self) -> int:
        return len(self.order(None))

    def order(self, seed: list[int] | None) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """Which pieces, moved by how many semitones, and read from which frame on.

        Args:
            seed: without one, pieces are sorted by their parts, and none is moved.
        """
        count = len(self.rolls)
        order, groups = np.arange(count), np.arange(-(-count // self.batch_size))
        shifts = np.zeros(count, int)
        if seed is not None:
            generator = np.random.default_rng(seed)
            order, groups = generator.permutation(count), generator.permutation(groups)
            generator = np.random.default_rng([*seed, 1])
            shifts = generator.integers(-self.transpose, self.transpose + 1, count)
        # Neighbours have as many parts, so that every pass has as many batches.
        order = order[np.argsort(-self.parts[order], kind="stable")]
        items = []
        for number in groups:
            group = order[number * self.batch_size : (number + 1) * self.batch_size]
            group = group[np.argsort(-self.lengths[group], kind="stable")]
            for part in range(self.parts[group[0]]):
                items.append((group, shifts[group], part * self.chunk))
        return items

    def batch(self, item: tuple[np.ndarray, np.ndarray, int]) -> Any:
        """A part of some pieces; see `part_of`. The network reads what it is to score as well."""
        group, shifts, begin = item
        rolls = [transposed(self.rolls[i], n) for i, n in zip(group, shifts, strict=True)]
        part = part_of(rolls, begin, self.chunk)
        if self.weights is None:
            return part, part["targets"]
        return part, part["targets"], self.weights[group[: len(part["mask"])]]


def transposed(roll: np.ndarray, semitones: int) -> np.ndarray:
    """A piece moved up or down, as far as no note falls off the keyboard.

    Args:
        roll: `(time, keys)`.
        semitones: how far up; down if negative.

    Returns:
        A roll of the same shape.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.long_sequences import transposed
    >>> transposed(np.array([[0, 1, 0, 0]]), 5).tolist()
    [[0, 0, 0, 1]]
    """
    if not semitones:
        return roll
    used = np.nonzero(roll.any(axis=0))[0]
    if not len(used):
        return roll
    return np.roll(roll, np.clip(semitones, -used[0], roll.shape[1] - 1 - used[-1]), axis=1)
