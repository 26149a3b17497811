"""Running means of the weights, which err less than the weights that a step has just left."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


class WeightAverages:
    """An exponential moving average of a model's trainable weights.

    After step t, m ← m + (1 − d_t) (w − m) with d_t = min(decay, (1 + t) / (10 + t)): the first
    weights, which are random, are soon forgotten.

    Polyak and Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging", with the
    exponential window of later practice.

    Args:
        model: a built model. Its weights are the first means.
        decay: from 0 to 1, 1 excluded: means reach back 1 / (1 − decay) steps or so.

    Raises:
        ValueError: if `decay` is not in that range.

    Example:

    >>> import keras
    >>> from kerasrnn.callbacks import WeightAverages
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.set_weights([[[1.0]]])
    >>> averages = WeightAverages(model, 0.9)
    >>> model.set_weights([[[12.0]]])
    >>> averages.update()
    >>> averages.swap()
    >>> round(float(model.get_weights()[0][0, 0]), 6)
    10.0
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"`decay` must be at least 0 and below 1. Received: {decay!r}")
        self.decay = decay
        self._weights = [variable.value for variable in model.trainable_variables]
        self.means = [tf.Variable(weight, trainable=False) for weight in self._weights]
        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """All that a checkpoint must hold."""
        return [self.steps, *self.means]

    @tf.function
    def update(self) -> None:
        """Take the weights of one more step into the means."""
        self.steps.assign_add(1)
        steps = tf.cast(self.steps, tf.float32)
        share = 1 - tf.minimum(self.decay, (1 + steps) / (10 + steps))
        for mean, weight in zip(self.means, self._weights, strict=True):
            mean.assign_add(tf.cast(share, mean.dtype) * (weight - mean))

    @tf.function
    def swap(self) -> None:
        """Put the means into the model and its weights here, or back."""
        for mean, weight in zip(self.means, self._weights, strict=True):
            kept = tf.identity(weight)
            with tf.control_dependencies([kept]):
                changed = weight.assign(mean)
            with tf.control_dependencies([changed]):
                mean.assign(kept)
