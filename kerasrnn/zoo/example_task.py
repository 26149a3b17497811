"""What the tasks share that learn from examples held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.text.plain import plain_text
from kerasrnn.text.units import plain_texts
from kerasrnn.zoo.batching import Encoded, EpochBatches
from kerasrnn.zoo.task import Task, check_positive, order_seed


class ExampleTask(Task):
    """A task that is trained on, and measured with, a list of examples.

    A subclass says how examples come in (`_checked_examples`), become ids (`_encode`) and are
    measured (`_measure`). What is measured on validation data is in the logs of each epoch.

    Args:
        **kwargs: passed to `Task`.
    """

    def _checked_examples(self, x: Any, y: Any, argument: str) -> list[Any]:
        """The examples, or a ValueError that names `argument`."""
        raise NotImplementedError

    def _encode(self, examples: list[Any]) -> Encoded:
        raise NotImplementedError

    def _measure(self, examples: list[Any], batch_size: int) -> dict[str, Any]:
        raise NotImplementedError

    def _checked_probabilities(
        self, examples: list[Any], soft_targets: Sequence[Any]
    ) -> np.ndarray:
        """`soft_targets` in one float32 array, or a ValueError that says what is wrong."""
        raise NotImplementedError

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        soft_targets: Sequence[Any] | None = None,
        batch_size: int = 32,
        epochs: int = 10,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
        shuffle: bool = True,
        seed: int | None = None,
        initial_epoch: int = 0,
    ) -> keras.callbacks.History:
        """Train; see the subclass."""
        check_positive("batch_size", batch_size)
        examples = self._checked_examples(x, y, "x")
        validation = None
        if validation_data is not None:
            paired = isinstance(validation_data, tuple)
            val_x, val_y = validation_data if paired else (validation_data, None)
            validation = self._checked_examples(val_x, val_y, "validation_data")
        encoded: Any = self._encode(examples)
        if soft_targets is not None:
            probabilities = self._checked_probabilities(examples, soft_targets)
            encoded = replace(encoded, probabilities=probabilities)
        batches = EpochBatches(encoded, batch_size, order_seed(seed, shuffle))
        return self._fit(
            batches.dataset(),
            validation=validation,
            sample=lambda kept: EpochBatches(self._encode(kept[:1]), 1, None).dataset(),
            epochs=epochs,
            initial_epoch=initial_epoch,
            callbacks=[batches, *(callbacks or [])],
            verbose=verbose,
        )

    def evaluate(
        self, x: Any, y: Any = None, *, batch_size: int = 64, **kwargs: Any
    ) -> dict[str, Any]:
        """Measure; see the subclass."""
        if self._is_validating(kwargs):
            scores = self._measure(self._validation, batch_size or 64)
            return {name: value for name, value in scores.items() if name != "types"}
        return self._measure(self._checked_examples(x, y, "x"), batch_size)


def joined_probabilities(
    soft_targets: Sequence[Any], shapes: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """Probabilities of all examples in one array.

    Args:
        soft_targets: for each example an array.
        shapes: its shape; the last axis holds probabilities that add up to 1.

    Returns:
        float32 `(rows, classes)`.

    Raises:
        ValueError: if there are more or fewer, a shape is another, or numbers are no probabilities.
    """
    if len(soft_targets) != len(shapes):
        raise ValueError(
            f"`soft_targets` must have one array for each of the {len(shapes)} examples. "
            f"Received {len(soft_targets)}."
        )
    rows = [np.asarray(row, np.float32) for row in soft_targets]
    for number, (row, shape) in enumerate(zip(rows, shapes, strict=True), start=1):
        if row.shape != shape:
            raise ValueError(
                f"`soft_targets` must have the shape {shape} for example {number}. "
                f"Received: {row.shape}"
            )
    joined = np.concatenate([np.atleast_2d(row) for row in rows])
    wrong = (joined < 0).any(axis=1) | ~(np.abs(joined.sum(axis=1) - 1) < 1e-2)
    if wrong.any():
        raise ValueError(
            "`soft_targets` must hold probabilities that add up to 1. "
            f"Received: {joined[wrong.argmax()].tolist()}"
        )
    return joined


def plain(item: Any) -> Any:
    """Strings and lists of strings, whatever bytes, tuples and arrays they come in."""
    item = item.numpy() if hasattr(item, "numpy") else item
    if isinstance(item, list | tuple | np.ndarray):
        return [plain(part) for part in item]
    return plain_text(item)


def tokenize(
    tokenizer: Any, texts: list[str]
) -> tuple[list[list[str]], list[list[tuple[int, int]]]]:
    """The tokens of texts, and where they stand.

    Args:
        tokenizer: a layer that returns `tokens`, `starts` and `ends`.
        texts: any strings. A lone surrogate counts as U+FFFD.

    Returns:
        For each text its tokens, and for each token its start and its end in characters.
    """
    sentences: list[list[str]] = []
    spots: list[list[tuple[int, int]]] = []
    for begin in range(0, len(texts), 1024):
        part = plain_texts(texts[begin : begin + 1024])  # with all offsets as they were
        output = tokenizer(tf.constant(part, tf.string))
        sentences += [[word.decode() for word in row] for row in output["tokens"].to_list()]
        starts, ends = output["starts"].to_list(), output["ends"].to_list()
        spots += [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)]
    return sentences, spots


def set_rows(
    embeddings: keras.Variable, matrix: np.ndarray, found: Sequence[int] | np.ndarray
) -> None:
    """Set some rows of an embedding matrix, such as those of pretrained vectors.

    Args:
        embeddings: the variable `(size, dimension)`.
        matrix: the new values, of the same shape.
        found: which rows to set: booleans `(size,)`.

    Raises:
        ValueError: if `matrix` or `found` has another shape.
    """
    if tuple(matrix.shape) != tuple(embeddings.shape):
        raise ValueError(
            f"`matrix` must have the shape {tuple(embeddings.shape)}. "
            f"Received: {tuple(matrix.shape)}"
        )
    rows = np.asarray(found, bool)
    if rows.shape != (len(matrix),):
        raise ValueError(f"`found` must have the shape ({len(matrix)},). Got: {rows.shape}")
    values = keras.ops.convert_to_numpy(embeddings)
    embeddings.assign(np.where(rows[:, None], matrix, values))


def input_specs(network: keras.Model) -> dict[str, tf.TensorSpec]:
    """What a network takes, for a `tf.function` that is to be traced once for all sizes."""
    return {name: tf.TensorSpec(x.shape, x.dtype, name) for name, x in network.input.items()}


def int_tensors(arrays: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """Integers of the type that networks take, whatever type arrays have."""
    return {name: tf.constant(array, tf.int32) for name, array in arrays.items()}


def trimmed(characters: tf.Tensor) -> tf.Tensor:
    """Spelled words without the places behind the longest of them, in the graph.

    Args:
        characters: ids `(batch, time, length)`, 0 behind the end of a word.

    Returns:
        `(batch, time, longest)`, longest being at least 1.
    """
    used = tf.reduce_any(tf.not_equal(characters, 0), axis=[0, 1])
    longest = tf.maximum(1, tf.reduce_sum(tf.cast(used, tf.int32)))
    return characters[:, :, :longest]
