"""Callbacks that are of use with any Keras model on TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

__all__ = ["WeightAverages"]


class WeightAverages(keras.callbacks.Callback):
    """Keeps running means of the weights, which err less than the weights a step has just left.

    After step t, m ← m + (1 − d_t) (w − m) with d_t = min(decay, (1 + t) / (10 + t)): the first
    weights, which are random, are soon forgotten. While an epoch is trained the model has its
    weights; from the epoch's last batch until the next epoch begins it has the means, so that these
    are validated, and kept by the callbacks that save weights. After the training it has the means.

    Keras's own averages (`use_ema=True` of its optimizers) have no such warm-up: with a decay of
    0.999 they are made of the random first weights for a thousand steps. And they are put into the
    model when all epochs are over, unless `SwapEMAWeights` is asked to do it before.

    The number of batches must be known to `fit` for callbacks to find the means at the end of an
    epoch, whatever their place. Where it is not, as with a generator, the means are there for
    `validation_data`, and for the callbacks behind this one. With `steps_per_execution` above 1 a
    step here is one execution.

    A second `fit` with the same object goes on with the weights as they were trained.

    Polyak and Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging", with the
    exponential window of later practice.

    Args:
        decay: from 0 to 1, 1 excluded: means reach back 1 / (1 − decay) steps or so.

    Raises:
        ValueError: if `decay` is not in that range.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.callbacks import WeightAverages
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.ones((64, 2), "float32")
    >>> averages = WeightAverages(0.99)
    >>> history = model.fit(x, x[:, 0], epochs=2, verbose=0, callbacks=[averages])
    >>> averages.swapped, int(averages.steps)
    (True, 4)
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"`decay` must be at least 0 and below 1. Received: {decay!r}")
        self.decay = decay
        self.means: list[tf.Variable] = []
        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._swapped = tf.Variable(False, trainable=False)
        self._weights: list[Any] = []
        self._training = False

    def build(self, model: keras.Model) -> None:
        """Begin with the weights of a model as the first means, unless there are some already.

        `fit` calls it; call it before to read or set `variables`.

        Args:
            model: a built model.
        """
        if not self._weights:
            self._weights = [variable.value for variable in model.trainable_variables]
            self.means = [tf.Variable(weight, trainable=False) for weight in self._weights]

    @property
    def swapped(self) -> bool:
        """Whether the model has the means, and `means` the weights as they are trained."""
        return bool(self._swapped)

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """All that a checkpoint must hold beside the model: set them, and a training goes on."""
        return [self.steps, self._swapped, *self.means]

    def on_train_begin(self, logs: Any = None) -> None:
        self.build(self.model)
        self._training = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._put(means=False)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update()
        if batch + 1 == (self.params or {}).get("steps"):
            self._put(means=True)

    def on_test_begin(self, logs: Any = None) -> None:
        if self._training:
            self._put(means=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._put(means=True)

    def on_train_end(self, logs: Any = None) -> None:
        self._training = False

    def _put(self, *, means: bool) -> None:
        """Have the means in the model, or its weights."""
        if self.swapped != means:
            self._swap()

    @tf.function
    def _update(self) -> None:
        """Take the weights of one more step into the means."""
        self.steps.assign_add(1)
        steps = tf.cast(self.steps, tf.float32)
        share = 1 - tf.minimum(self.decay, (1 + steps) / (10 + steps))
        for mean, weight in zip(self.means, self._weights, strict=True):
            mean.assign_add(tf.cast(share, mean.dtype) * (weight - mean))

    @tf.function
    def _swap(self) -> None:
        """Put the means into the model and its weights here, or back."""
        for mean, weight in zip(self.means, self._weights, strict=True):
            kept = tf.identity(weight)
            with tf.control_dependencies([kept]):
                changed = weight.assign(mean)
            with tf.control_dependencies([changed]):
                mean.assign(kept)
        self._swapped.assign(tf.logical_not(self._swapped))
