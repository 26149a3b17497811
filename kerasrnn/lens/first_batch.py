"""The first batch of a training, seen on its way into the training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class FirstBatch:
    """Shows the first batch that `fit` trains on; the training goes on as if nobody had looked.

    Keras shows a callback no data. `fit` calls `model.train_function` with an iterator over the
    batches; for the first call another function stands in its place. It takes from the iterator
    what one call trains on, and hands it on in an iterator of the same kind: no batch is lost,
    nothing is traced anew, and no random number is drawn.

    Args:
        model: a model in the `on_train_begin` of a callback.
        see: called with the batch, as the data have it, before it is trained on; or with None where
            it cannot be seen, such as under a `tf.distribute` strategy.
    """

    def __init__(self, model: Any, see: Callable[[Any], None]) -> None:
        self._model = model
        self._see = see
        self._train_function = model.train_function
        model.train_function = self._first

    def close(self) -> None:
        """Leave the model as it was, if it has not been trained yet."""
        # `==`, for each look at a method makes another object.
        if self._model.train_function == self._first:
            self._model.train_function = self._train_function

    def _first(self, iterator: Any) -> Any:
        self.close()
        return self._train_function(self._seen(iterator))

    def _seen(self, iterator: Any) -> Any:
        """An iterator over the batches of the first step, which have been seen."""
        if not isinstance(iterator, tf.data.Iterator) or not _can_be_handed_on(iterator):
            self._see(None)
            return iterator
        batches = []
        for _ in range(int(self._model.steps_per_execution)):
            batch = iterator.get_next_as_optional()
            if not batch.has_value():
                break
            batches.append(batch.get_value())
        if not batches:
            return iterator
        self._see(batches[0])
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(batches), output_signature=iterator.element_spec
        )
        return iter(dataset)


def _can_be_handed_on(iterator: Any) -> bool:
    """Whether a dataset of Python's tensors can be of the same kind."""
    kinds = (tf.TensorSpec, tf.RaggedTensorSpec, tf.SparseTensorSpec)
    return all(isinstance(spec, kinds) for spec in tf.nest.flatten(iterator.element_spec))


def first_rows(batch: Any, count: int) -> Any:
    """The first examples of a batch; numbers that belong to all of it stay."""

    def rows(tensor: Any) -> Any:
        if isinstance(tensor, tf.SparseTensor):
            size = tf.concat([[count], tensor.dense_shape[1:]], axis=0)
            return tf.sparse.slice(tensor, tf.zeros_like(tensor.dense_shape), size)
        return tensor[:count] if len(getattr(tensor, "shape", ())) else tensor

    return tf.nest.map_structure(rows, batch)
