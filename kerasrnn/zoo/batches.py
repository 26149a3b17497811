"""Batches of encoded examples, bucketed by length, in an order that the epoch alone decides."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

# Examples are sorted by length within pools of this many batches: little padding, much mixing.
_POOL = 32

# A batch of long examples is split so that it holds no more steps than this, padding included.
STEPS_PER_BATCH = 16_384


# === Examples as numbers ===


@dataclass(frozen=True)
class Ragged:
    """Rows of several lengths, all of them behind each other in one array.

    Attributes:
        splits: `(rows + 1,)`; row i is `values[splits[i]:splits[i + 1]]`.
        values: `(steps of all rows, ...)`.
        trimmed: whether the last axis ends, in a batch, with the last that is not 0.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.batches import Ragged
    >>> Ragged(np.array([0, 1, 3]), np.array([7, 8, 9]))[np.array([1, 0])].tolist()
    [[8, 9], [7, 0]]
    """

    splits: np.ndarray
    values: np.ndarray
    trimmed: bool = False

    @classmethod
    def of(cls, rows: Sequence[Any], dtype: Any = np.int32) -> Ragged:
        """Rows from a list of arrays."""
        splits = np.cumsum([0, *map(len, rows)])
        return cls(splits, np.concatenate([np.zeros(0, dtype), *rows]).astype(dtype))

    def __len__(self) -> int:
        return len(self.splits) - 1

    @property
    def lengths(self) -> np.ndarray:
        """How many steps each row has, `(rows,)`."""
        return np.diff(self.splits)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        """Some rows, padded on the right with 0: `(batch, time, ...)`, time being at least 1."""
        lengths = self.lengths[indices]
        steps = np.arange(max(1, lengths.max(initial=0)))
        present = steps < lengths[:, None]  # (batch, time)
        if not len(self.values):
            return np.zeros((*present.shape, *self.values.shape[1:]), self.values.dtype)
        rows = self.values[np.where(present, self.splits[indices][:, None] + steps, 0)]
        rows[~present] = 0
        if self.trimmed:
            rows = rows[..., : max(1, int((rows != 0).any((0, 1)).sum()))]
        return rows

    @property
    def spec(self) -> tf.TensorSpec:
        """What a batch of rows is."""
        inner = (None,) if self.trimmed else self.values.shape[1:]
        return tf.TensorSpec((None, None, *inner), self.values.dtype)


@dataclass(frozen=True)
class Encoded:
    """Examples as numbers, of which batches can be made.

    Attributes:
        inputs: a column, or a dict of columns: a `Ragged`, or an array with a row an example.
        targets: the same.
        lengths: how many steps each example has: `(examples,)`. Those of a batch are alike.
        weights: how much each example, or each of its steps, counts in training; None for alike.
    """

    inputs: Any
    targets: Any
    lengths: np.ndarray
    weights: Ragged | np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def weighted(self, weights: Ragged | np.ndarray | None) -> Encoded:
        """The same examples with other weights."""
        return replace(self, weights=weights)

    @property
    def _columns(self) -> tuple[Any, ...]:
        weights = () if self.weights is None else (self.weights,)
        return self.inputs, self.targets, *weights

    def batch(self, indices: np.ndarray) -> Any:
        """Some examples, padded on the right with 0.

        Args:
            indices: integers `(batch,)`.

        Returns:
            The network's inputs, the targets and, where there are some, the weights.
        """
        return keras.tree.map_structure(lambda column: column[indices], self._columns)

    @property
    def signature(self) -> Any:
        """What `batch` returns, as `tf.TensorSpec` objects."""
        return keras.tree.map_structure(_spec, self._columns)


@dataclass(frozen=True)
class Unlabelled:
    """Raw inputs as the network reads them, without targets.

    Attributes:
        encoded: the inputs as numbers; its targets are empty.
        steps: what stands at each step of each example, for people to read; by the name of the
            layer whose steps they are, and by the empty string for all others.
    """

    encoded: Encoded
    steps: dict[str, list[list[str]]]

    @classmethod
    def of(cls, columns: Any, steps: list[list[str]], **others: list[list[str]]) -> Unlabelled:
        """Inputs of which each example has as many steps as there are strings for it."""
        lengths = np.array([len(row) for row in steps], int)
        return cls(Encoded(columns, (), lengths), {"": steps, **others})


def first_rows(column: Ragged | np.ndarray, count: int) -> Ragged | np.ndarray:
    """A column of the first so many examples."""
    if isinstance(column, Ragged):
        splits = column.splits[: count + 1]
        return replace(column, splits=splits, values=column.values[: splits[-1]])
    return column[:count]


def _spec(column: Ragged | np.ndarray) -> tf.TensorSpec:
    if isinstance(column, Ragged):
        return column.spec
    return tf.TensorSpec((None, *column.shape[1:]), column.dtype)


# === Which examples share a batch ===


def batches_of(
    lengths: np.ndarray,
    batch_size: int,
    most_steps: int = STEPS_PER_BATCH,
    *,
    verbose: str | int = 0,
) -> Iterator[np.ndarray]:
    """Examples of like length, in batches whose padded size is bounded, the shortest first.

    Args:
        lengths: how many steps each example has.
        batch_size: how many examples are in a batch at most.
        most_steps: how many steps are in a batch at most, padding included, unless one example
            alone has more.
        verbose: 1, or `"auto"`, shows a progress bar as the batches are taken.

    Yields:
        Indices of examples; together they hold each of them once.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.batches import batches_of
    >>> [batch.tolist() for batch in batches_of(np.array([9, 1, 8, 2]), 2)]
    [[1, 3], [2, 0]]
    """
    found: list[list[int]] = []
    for index in np.argsort(lengths, kind="stable"):
        last = found[-1] if found else []
        fits = len(last) < batch_size and (len(last) + 1) * lengths[index] <= most_steps
        if last and fits:
            last.append(int(index))
        else:
            found.append([int(index)])
    progress = keras.utils.Progbar(len(lengths)) if verbose in (1, "auto") else None
    for batch in found:
        yield np.array(batch)
        if progress is not None:
            progress.add(len(batch))


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
    >>> from kerasrnn.zoo.batches import mixed_batches
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


# === Batches for `fit` ===


class Source(Protocol):
    """What batches come from, pass after pass.

    Where sequences go on from batch to batch, the inputs are a dict in which `start` says whether
    they begin here instead. They do so in any case with the first batch of an epoch.
    """

    def __len__(self) -> int:
        """How many batches a pass has."""
        ...

    def order(self, seed: list[int] | None) -> Sequence[Any]:
        """What `batch` takes, for each batch of a pass; in the data's order without a seed."""
        ...

    def batch(self, item: Any) -> Any:
        """A batch, as the model takes it."""
        ...

    @property
    def signature(self) -> Any:
        """What `batch` returns, as `tf.TensorSpec` objects."""
        ...


class ExampleBatches:
    """Batches of examples that have nothing to do with each other; see `Source`.

    Args:
        encoded: the examples.
        batch_size: how many of them are in a batch; the last batch may have fewer.
    """

    def __init__(self, encoded: Encoded, batch_size: int) -> None:
        self.encoded = encoded
        self.batch_size = batch_size
        self.batch = encoded.batch
        self.signature = encoded.signature

    def __len__(self) -> int:
        return -(-len(self.encoded) // self.batch_size)

    def order(self, seed: list[int] | None) -> list[np.ndarray]:
        """The indices of the examples in each batch."""
        if seed is not None:
            generator = np.random.default_rng(seed)
            return mixed_batches(self.encoded.lengths, self.batch_size, generator)
        order = np.arange(len(self.encoded))
        return np.split(order, range(self.batch_size, len(order), self.batch_size))


class EpochBatches(keras.callbacks.Callback):
    """Batches for `keras.Model.fit`, which depend on nothing but the seed and the epoch.

    So a training that is resumed at an epoch sees what an unbroken one would have seen. Give
    `dataset()` to `fit`, and this object as its first callback.

    Args:
        source: where batches come from.
        seed: decides the order of each pass. None keeps that of the data.
        steps: how many batches an epoch has; None for as many as a pass. An epoch goes on where
            the one before has stopped.
    """

    def __init__(self, source: Source, seed: int | None, steps: int | None = None) -> None:
        super().__init__()
        self.source = source
        self.seed = seed
        self.steps = steps
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.source) if self.steps is None else self.steps

    def __iter__(self) -> Iterator[Any]:
        passed, order = -1, []  # type: int, Sequence[Any]
        first = self.epoch * len(self)
        for step in range(first, first + len(self)):
            number, place = divmod(step, len(self.source))
            if number != passed:
                passed = number
                order = self.source.order(None if self.seed is None else [self.seed, number])
            batch = self.source.batch(order[place])
            if step == first and isinstance(batch[0], dict) and "start" in batch[0]:
                batch[0]["start"] = np.array(True)
            yield batch

    def dataset(self) -> tf.data.Dataset:
        """The batches of the current epoch, anew for each iteration."""
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(self), output_signature=self.source.signature
        )
        return dataset.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2)


def order_seed(seed: int | None, shuffle: bool) -> int | None:
    """The seed of the epochs' orders, drawn if there is none; None where all have one order."""
    if not shuffle:
        return None
    return random.randrange(2**31) if seed is None else seed
