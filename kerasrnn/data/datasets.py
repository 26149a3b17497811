"""Sentences as datasets, and datasets as batches of like length."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.data.errors import DataError, check_instances, whole_number
from kerasrnn.data.sentences import TaggedSentence

if TYPE_CHECKING:
    import tensorflow as tf

_READ_AT_ONCE = 1024
_MOST_CANDIDATES = 512


def to_dataset(
    sentences: Sequence[TaggedSentence], *, source: str | os.PathLike[str] | None = None
) -> tf.data.Dataset:
    """Make a dataset of sentences.

    Args:
        sentences: at least one; either all of them have a label or none has.
        source: where they come from, for messages.

    Returns:
        Elements `{"tokens": (time,), "tags": (time,)}` of strings in the order given, with a
        `"label": ()` where the sentences have one. Its cardinality is known.

    Raises:
        TypeError: one of them is no sentence.
        DataError: there are no sentences, or some have a label and others none.

    Example:

    >>> from kerasrnn.data import TaggedSentence, to_dataset
    >>> dataset = to_dataset([TaggedSentence(("It", "rains"), ("PRON", "VERB"))])
    >>> [element["tags"].tolist() for element in dataset.as_numpy_iterator()]
    [[b'PRON', b'VERB']]
    """
    import tensorflow as tf

    sentences = check_instances(sentences, TaggedSentence, "sentences")
    if not sentences:
        raise DataError.at(source, None, expected="at least one sentence", got="none")
    lengths = [len(sentence) for sentence in sentences]

    def ragged(texts: list[str]) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(
            tf.constant(texts, tf.string, shape=(len(texts),)), lengths
        )

    columns: dict[str, Any] = {
        "tokens": ragged([token for sentence in sentences for token in sentence.tokens]),
        "tags": ragged([tag for sentence in sentences for tag in sentence.tags]),
    }
    labels = [sentence.label for sentence in sentences]
    if any(label is not None for label in labels):
        if None in labels:
            bare = labels.index(None)
            raise DataError.at(
                source,
                sentences[bare].line,
                expected="a label for every sentence, as others have one",
                got=f"none for sentence {bare + 1}",
            )
        columns["label"] = tf.constant(labels)
    dataset = tf.data.Dataset.from_tensor_slices(columns)
    # A slice is specified as ragged, without a ragged axis left; `padded_batch` wants a tensor.
    return dataset.map(lambda element: {key: tf.identity(part) for key, part in element.items()})


def bucketed_batches(
    dataset: tf.data.Dataset | Sequence[TaggedSentence],
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
    epoch: int = 0,
    epochs: int | None = 1,
    length_key: str = "tokens",
    boundaries: Sequence[int] | None = None,
    max_buckets: int = 16,
    pad_to_boundary: bool = False,
    padding_values: Mapping[str, Any] | None = None,
) -> tf.data.Dataset:
    """Cut a dataset into batches of like length, padded on the right.

    The rows are sorted into buckets by length, and batches are cut within a bucket. Every row is
    in one batch; the last batch of a bucket may be smaller. So the number of batches does not
    depend on the order, and is known (`cardinality`).

    With `shuffle_seed` the rows of a bucket and the order of the batches are new in every epoch.
    They depend on nothing but the data, `shuffle_seed` and the epoch's number: not on the global
    seed, nor on what was read before. A training run that is resumed therefore sees what an
    unbroken one would have seen. To give `fit` all its epochs at once::

        batches = bucketed_batches(data, 32, shuffle_seed=1, epoch=first, epochs=None)
        steps = int(bucketed_batches(data, 32).cardinality())
        model.fit(
            batches, steps_per_epoch=steps, initial_epoch=first, epochs=last, shuffle=False
        )

    and to go on after step `k` of an epoch, `.skip(k)`. The rows are held in memory.

    Args:
        dataset: elements are dictionaries of tensors whose first axis, where its size is open, is
            padded, `(time, ...)`, and of others, such as a label `()`. Or sentences.
        batch_size: rows in a batch.
        shuffle_seed: the seed of the order. None keeps the order within each bucket, and gives
            the buckets from the shortest to the longest.
        epoch: the number of the first epoch.
        epochs: how many epochs the dataset holds, one after the other; None for no end.
        length_key: the element whose first axis is the length.
        boundaries: the greatest lengths of the buckets, in tokens, rising; longer rows go into a
            last one. None finds the boundaries that waste the fewest steps. `()` is one bucket.
        max_buckets: at most so many buckets are made where `boundaries` is None.
        pad_to_boundary: pad to the bucket's greatest length instead of the batch's, so that there
            are only as many shapes as buckets (for XLA, which compiles for each).
        padding_values: for each key, what to pad with. Default: `""`, 0 or False.

    Returns:
        Dictionaries with the same keys: `(batch, time, ...)`, `time` the longest of the batch.

    Raises:
        ValueError: an argument is out of its range; the dataset is empty or endless, its elements
            are not dictionaries or `length_key` is not one of theirs.

    Example:

    >>> from kerasrnn.data import TaggedSentence, bucketed_batches
    >>> sentences = [TaggedSentence(["a"] * n, ["O"] * n) for n in (9, 1, 8, 2)]
    >>> [tuple(batch["tokens"].shape) for batch in bucketed_batches(sentences, 2)]
    [(2, 2), (2, 9)]
    """
    import tensorflow as tf

    _check_positive(batch_size=batch_size, max_buckets=max_buckets)
    if epochs is not None:
        _check_positive(epochs=epochs)
    epoch = whole_number(epoch, "epoch", 0)
    if shuffle_seed is not None and not isinstance(shuffle_seed, Integral):
        raise ValueError(f"shuffle_seed must be a whole number or None, got {shuffle_seed!r}.")
    if not isinstance(dataset, tf.data.Dataset):
        dataset = to_dataset(dataset)
    rows = _in_memory(dataset, length_key)
    lengths = rows[length_key].row_lengths().numpy()
    if boundaries is None:
        boundaries = length_boundaries(lengths, max_buckets=max_buckets, batch_size=batch_size)
    elif any(low >= high for low, high in itertools.pairwise(boundaries)):
        raise ValueError(f"boundaries must rise, got {tuple(boundaries)}.")
    buckets = np.searchsorted(np.asarray(boundaries, np.int64), lengths)  # (rows,)
    starts, limits = map(tf.constant, _cuts(np.bincount(buckets), batch_size))  # (batches,)
    greatest = np.zeros(buckets.max() + 1, np.int64)
    np.maximum.at(greatest, buckets, lengths)
    widths = tf.constant(greatest[buckets])  # (rows,)
    padding = dict(padding_values or {})
    if unknown := set(padding) - set(rows):
        raise ValueError(
            f"Unknown padding_values key {sorted(unknown)[0]!r}. "
            f"Expected keys of the elements: {', '.join(rows)}."
        )

    bucket_of, number_of_batches = tf.constant(buckets, tf.int64), int(starts.shape[0])
    aligned = {
        key
        for key, part in rows.items()
        if isinstance(part, tf.RaggedTensor) and np.array_equal(part.row_lengths().numpy(), lengths)
    }

    def batch(chosen: tf.Tensor) -> dict[str, tf.Tensor]:
        """The rows with these numbers, padded."""
        result = {}
        for key, part in rows.items():
            picked = tf.gather(part, chosen)
            if isinstance(picked, tf.RaggedTensor):
                shape = None
                if pad_to_boundary and key in aligned:
                    width = tf.gather(widths, chosen[0])
                    shape = tf.stack([-1, width, *[-1] * (picked.shape.rank - 2)])
                picked = picked.to_tensor(default_value=padding.get(key), shape=shape)
            result[key] = picked
        return result

    def one_epoch(number: tf.Tensor) -> tf.data.Dataset:
        rows_in_order, batches_in_order = _order(bucket_of, number_of_batches, shuffle_seed, number)
        return tf.data.Dataset.from_tensor_slices(batches_in_order).map(
            lambda i: batch(rows_in_order[tf.gather(starts, i) : tf.gather(limits, i)]),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    last = np.iinfo(np.int64).max if epochs is None else epoch + epochs
    cardinality = tf.data.INFINITE_CARDINALITY if epochs is None else epochs * number_of_batches
    batches = tf.data.Dataset.range(epoch, last).flat_map(one_epoch)
    return batches.apply(tf.data.experimental.assert_cardinality(cardinality)).prefetch(
        tf.data.AUTOTUNE
    )


def length_boundaries(
    lengths: Sequence[int] | np.ndarray, *, max_buckets: int, batch_size: int = 1
) -> tuple[int, ...]:
    """The boundaries between buckets of lengths that waste the fewest steps of padding.

    When each row is padded to the greatest length of its bucket, a bucket (a, b] of lengths wastes
    sum(b - length). The boundaries that make the sum over buckets least are found by dynamic
    programming over the lengths that occur (or 512 of them). A few very long rows
    get a bucket of their own, where quantiles would put them among ordinary ones. No more
    buckets are made than there are full batches.

    Args:
        lengths: the length of each row.
        max_buckets: at most so many buckets.
        batch_size: rows in a batch.

    Returns:
        The greatest length of each bucket, rising; the last is the greatest of all.

    Example:

    >>> from kerasrnn.data import length_boundaries
    >>> length_boundaries([2, 2, 3, 3, 9, 10, 500], max_buckets=3)
    (3, 10, 500)
    """
    values, counts = np.unique(np.asarray(lengths), return_counts=True)
    if len(values) > _MOST_CANDIDATES:
        # Even steps through the lengths that occur; each stands for those up to it.
        keep = np.unique(np.linspace(0, len(values) - 1, _MOST_CANDIDATES).astype(int))
        groups = np.searchsorted(keep, np.arange(len(values)))
        counts = np.bincount(groups, weights=counts).astype(np.int64)
        values = values[keep]
    buckets = min(max_buckets, len(values), max(1, len(lengths) // batch_size))
    below = np.concatenate([[0], np.cumsum(counts)])  # (values + 1,), rows up to a value
    # cost[j]: the padded steps of all rows among the first j values, with the buckets so far.
    cost = np.concatenate([[0.0], values * below[1:].astype(float)])
    choices = []
    rows_between = below[None, 1:] - below[:-1, None]  # (first, last), rows of a bucket
    bucket_cost = np.where(rows_between > 0, rows_between * values[None, :].astype(float), np.inf)
    for _ in range(buckets - 1):
        total = cost[:-1, None] + bucket_cost  # (first, last)
        choice = total.argmin(axis=0)
        choices.append(choice)
        cost = np.concatenate([[0.0], total.min(axis=0)])
    result = [len(values) - 1]
    for choice in reversed(choices):
        first = choice[result[-1]]
        if first == 0:
            break
        result.append(first - 1)
    return tuple(int(values[i]) for i in reversed(result))


def _in_memory(dataset: tf.data.Dataset, length_key: str) -> dict[str, Any]:
    """All rows, each key one tensor or ragged tensor with the rows as its first axis."""
    import tensorflow as tf

    spec = dataset.element_spec
    if not isinstance(spec, dict):
        raise ValueError(
            f"dataset must have dictionaries as elements, got {type(spec).__name__}. "
            "Map the batches, not the rows, to (inputs, targets)."
        )
    if length_key not in spec:
        raise ValueError(
            f"Unknown length_key {length_key!r}. Expected one of {', '.join(sorted(spec))}."
        )
    if spec[length_key].shape.rank is None or spec[length_key].shape.rank < 1:
        raise ValueError(
            f"length_key {length_key!r} must name a tensor with an axis, got a scalar."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError("dataset must have an end, got one that repeats for ever.")
    parts = list(dataset.ragged_batch(_READ_AT_ONCE))
    if not parts:
        raise ValueError("dataset must not be empty.")
    rows = {key: tf.concat([part[key] for part in parts], axis=0) for key in spec}
    if not isinstance(rows[length_key], tf.RaggedTensor):  # all rows of one declared length
        rows[length_key] = tf.RaggedTensor.from_tensor(rows[length_key])
    return rows


def _cuts(counts: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where batches start and end among the rows sorted by bucket."""
    starts, limits = [], []
    first = 0
    for count in counts.tolist():
        for start in range(first, first + count, batch_size):
            starts.append(start)
            limits.append(min(start + batch_size, first + count))
        first += count
    return np.array(starts, np.int64), np.array(limits, np.int64)


def _order(
    buckets: tf.Tensor, batches: int, seed: int | None, epoch: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The rows sorted by bucket, (rows,), and the order of the batches, (batches,)."""
    import tensorflow as tf

    order = tf.range(buckets.shape[0], dtype=tf.int64)
    batch_order = tf.range(batches, dtype=tf.int64)
    if seed is not None:
        # Philox numbers are the same on every device and in every version of TensorFlow.
        def permuted(values: tf.Tensor, stream: int) -> tf.Tensor:
            numbers = tf.random.stateless_uniform(
                tf.shape(values),
                seed=tf.stack([tf.constant(seed, tf.int64), 2 * epoch + stream]),
                minval=None,
                maxval=None,
                dtype=tf.int64,
                alg="philox",
            )
            return tf.gather(values, tf.argsort(numbers, stable=True))

        order, batch_order = permuted(order, 0), permuted(batch_order, 1)
    by_bucket = tf.argsort(tf.gather(buckets, order), stable=True)
    return tf.gather(order, by_bucket), batch_order


def _check_positive(**arguments: int) -> None:
    for name, value in arguments.items():
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
