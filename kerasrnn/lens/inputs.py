"""What a model reads, in batches: arrays as they are, raw inputs of a task as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasrnn.extras import require_tensorflow
from kerasrnn.zoo import Task
from kerasrnn.zoo.batches import Encoded


class Batch(NamedTuple):
    """A batch as a model takes it.

    Attributes:
        inputs: what the model is called with.
        targets: what its loss takes; None where there are none.
        steps: what stands at each step of each example, by layer; see
            `kerasrnn.zoo.batches.Unlabelled`. Empty where nobody knows.
    """

    inputs: Any
    targets: Any
    steps: dict[str, list[list[str]]]


def check_backend() -> None:
    """Raise unless Keras runs on TensorFlow."""
    require_tensorflow("kerasrnn.lens")


def check_model(model: Any) -> None:
    """Raise unless `model` is a built Keras model on TensorFlow."""
    check_backend()
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"`model` must be a Keras model or layer. Received: {type(model).__name__}")
    if not model.built or (isinstance(model, keras.Sequential) and not model._functional):
        raise ValueError(
            f"`model` must be built: give it an Input, or call it on a batch of data. "
            f"Received '{model.name}', which has no weights yet."
        )


def batches(
    model: Any, x: Any, y: Any = None, *, labelled: bool | None = None, batch_size: int = 32
) -> Iterator[Batch]:
    """The batches that a user's data make.

    Args:
        model: a Keras model, or a task, which takes raw inputs.
        x: what `fit` takes, or, without targets, what `predict` takes: arrays, several in a list
            or a dict where the model has several inputs; a `tf.data.Dataset` of batches; for a
            task examples or raw inputs.
        y: the targets.
        labelled: whether targets are wanted; None for where there are some.
        batch_size: how many examples are in a batch.

    Raises:
        ValueError: there are no examples, or no targets where they are wanted.
    """
    if isinstance(model, Task):
        yield from _of_task(model, x, y, labelled, batch_size)
        return
    if isinstance(x, tf.data.Dataset):
        if y is not None:
            raise ValueError("`y` must be None where `x` is a dataset, which has the targets.")
        empty = True
        for batch in x:
            parts = batch if isinstance(batch, tuple) else (batch,)
            inputs, targets = keras.utils.unpack_x_y_sample_weight(parts)[:2]
            empty = False
            yield Batch(inputs, _wanted(targets, labelled), {})
        if empty:
            raise ValueError("`x` must hold at least one example. Received an empty dataset.")
        return
    x = _arrays(x, _several(model, "inputs"))
    if labelled is False:
        y = None
    if y is not None:
        y = _arrays(y, _several(model, "outputs"))
    y = _wanted(y, labelled)
    counts = {len(array) for array in tree.flatten([x, [] if y is None else y])}
    if len(counts) != 1:
        raise ValueError(f"`x` and `y` must have as many rows. Received {sorted(counts)} rows.")
    (count,) = counts
    if not count:
        raise ValueError("`x` must hold at least one example. Received none.")
    for begin in range(0, count, batch_size):
        part = slice(begin, begin + batch_size)
        inputs, targets = (
            None if arrays is None else tree.map_structure(lambda a, part=part: a[part], arrays)
            for arrays in (x, y)
        )
        yield Batch(inputs, targets, {})


def _several(model: Any, what: str) -> bool:
    return len(getattr(model, what, None) or []) > 1


def _wanted(targets: Any, labelled: bool | None) -> Any:
    if labelled and targets is None:
        raise ValueError("`y` must be given: the loss is that of targets. Received: y=None")
    return None if labelled is False else targets


def _arrays(x: Any, several: bool) -> Any:
    """Arrays of what can be cut into batches."""
    if isinstance(x, dict):
        return {name: _arrays(value, False) for name, value in x.items()}
    if several and isinstance(x, list | tuple):
        return [_arrays(value, False) for value in x]
    if isinstance(x, tf.Tensor | tf.RaggedTensor | np.ndarray):
        return x
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(
            "`x` must hold sequences of one length, padded where they differ."
        ) from error
    return tf.constant(array.tolist()) if array.dtype.kind in "UOS" else array


def _of_task(task: Task, x: Any, y: Any, labelled: bool | None, batch_size: int) -> Iterator[Batch]:
    encoded, steps = _encoded(task, x, y, labelled)
    if not len(encoded):
        raise ValueError("`x` must hold at least one example. Received none.")
    for begin in range(0, len(encoded), batch_size):
        indices = np.arange(begin, min(begin + batch_size, len(encoded)))
        inputs, targets = tree.map_structure(tf.constant, encoded.batch(indices)[:2])
        rows = {name: [each[i] for i in indices] for name, each in steps.items()}
        yield Batch(inputs, targets if tree.flatten(targets) else None, rows)


def _encoded(
    task: Task, x: Any, y: Any, labelled: bool | None
) -> tuple[Encoded, dict[str, list[list[str]]]]:
    if labelled is not False:
        try:
            return task.encode(task.read(x, y, "x")), {}
        except (ValueError, TypeError):
            if labelled or y is not None:
                raise
    unlabelled = task.unlabelled(x)
    return unlabelled.encoded, unlabelled.steps
