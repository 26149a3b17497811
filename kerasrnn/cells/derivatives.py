"""Derivatives of activations, from the activation's value.

Back-propagation through time has the values of the gates at hand, not their pre-activations, so it
needs each derivative as a function of the value: for y = tanh(z), dy/dz = 1 − y².
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

_DERIVATIVES: dict[Callable, Callable] = {
    keras.activations.tanh: lambda y: 1 - y * y,
    keras.activations.sigmoid: lambda y: y * (1 - y),
    keras.activations.relu: lambda y: ops.cast(y > 0, y.dtype),
    keras.activations.linear: ops.ones_like,
}


def has_derivative(activation: Any) -> bool:
    """Whether `derivative` knows this activation."""
    return activation in _DERIVATIVES


def derivative(activation: Callable, value):
    """dy/dz of y = activation(z), given the value y.

    Args:
        activation: one of Keras's tanh, sigmoid, relu and linear.
        value: tensor of any shape, y.

    Returns:
        Tensor of the same shape.

    Raises:
        KeyError: another activation; ask `has_derivative` first.
    """
    return _DERIVATIVES[activation](value)
