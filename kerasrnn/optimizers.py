"""Adam for large tables of embeddings, and Adam for gradients that overflow."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

__all__ = ["LazyAdam", "SteadyAdam"]


@keras.saving.register_keras_serializable(package="kerasrnn")
class LazyAdam(keras.optimizers.Adam):
    """Adam that changes only those rows of a table of embeddings that a batch has read.

    Keras's Adam moves all rows at each step, as the means of their gradients decay: for 60,000
    words of 150 numbers that takes longer than all else of a tagger's step. Here the means of a row
    are those of the batches that have read it, and wait for the next one. So a rare word moves a
    few step sizes each time it is seen, instead of some thirty, and stays closer to the vector that
    it began with. Weights that are not looked up by rows are changed as by Keras's Adam.

    Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", algorithm 1, for each row by
    itself, but with the number of all steps in the correction of the bias.

    It goes where any Keras optimizer goes: into `compile` of any model on TensorFlow, and into a
    `.keras` file and back. `weight_decay` and `use_ema` work on whole tables, as in Keras, and
    undo what it saves.

    Args:
        *arguments: as for `keras.optimizers.Adam`: `learning_rate` (0.001), a number or a schedule,
            `beta_1` (0.9), `beta_2` (0.999) and `epsilon` (1e-7). `amsgrad` must be false.
        **keywords: the same by name, and what all Keras optimizers take, such as `clipnorm`,
            `global_clipnorm` and `name`.

    Raises:
        ValueError: if `amsgrad` is asked for.

    Example: a table of a thousand rows, of which a batch reads two.

    >>> import keras, numpy as np
    >>> from kerasrnn.optimizers import LazyAdam
    >>> table = keras.layers.Embedding(1000, 4)
    >>> model = keras.Sequential([keras.Input((2,)), table, keras.layers.Flatten()])
    >>> model.compile(LazyAdam(0.1), "mse")
    >>> before = table.get_weights()[0]
    >>> loss = model.train_on_batch(np.array([[3, 7]]), np.ones((1, 8)))
    >>> np.flatnonzero((table.get_weights()[0] != before).any(axis=1)).tolist()
    [3, 7]
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        if self.amsgrad:
            raise ValueError("`amsgrad` must be False: LazyAdam has none. Received: True")

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Change weights by their gradients."""
        return super().apply([_summed(gradient) for gradient in grads], trainable_variables)

    def _clip_gradients(self, grads: Any) -> Any:
        # Keras multiplies by the scale, which makes a whole table of some rows.
        if self.global_clipnorm and self.global_clipnorm > 0:
            return tf.clip_by_global_norm(grads, self.global_clipnorm)[0]
        return super()._clip_gradients(grads)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one weight."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rows = gradient.indices
        values = tf.cast(gradient.values, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        place = self._get_variable_index(variable)
        means, squares = _resource(self._momentums[place]), _resource(self._velocities[place])

        mean, square = tf.gather(means, rows), tf.gather(squares, rows)
        mean += (1 - self.beta_1) * (values - mean)
        square += (1 - self.beta_2) * (values**2 - square)
        means.scatter_update(tf.IndexedSlices(mean, rows))
        squares.scatter_update(tf.IndexedSlices(square, rows))

        rate = ops.cast(learning_rate, variable.dtype)
        rate *= ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))
        change = rate * mean / (tf.sqrt(square) + self.epsilon)
        _resource(variable).scatter_sub(tf.IndexedSlices(change, rows))


def _summed(gradient: Any) -> Any:
    """A gradient in which each row of a table stands once; any other as it is."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _resource(variable: Any) -> tf.Variable:
    """TensorFlow's own variable, which can change some of its rows."""
    return variable.value if isinstance(variable, keras.Variable) else variable


@keras.saving.register_keras_serializable(package="kerasrnn")
class SteadyAdam(keras.optimizers.Adam):
    """Adam that takes gradients for zero when they have overflowed.

    Through a thousand steps, a gradient that grows by a tenth at each is greater than any number
    of 32 bits. Clipping cannot help then: infinity divided by infinity is no number, and after one
    such batch the weights are none either.

    Args:
        *arguments: as for `keras.optimizers.Adam`.
        **keywords: likewise.

    Example:

    >>> import keras
    >>> from kerasrnn.optimizers import SteadyAdam
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile(SteadyAdam(0.01, global_clipnorm=1.0), "mse")
    """

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        norm = ops.sum([ops.sum(ops.square(g)) for g in grads])
        finite = ops.isfinite(norm)
        grads = [ops.where(finite, g, ops.zeros_like(g)) for g in grads]
        return super().apply(grads, trainable_variables)
