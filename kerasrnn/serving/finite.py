"""Refuses models whose training has diverged."""

from __future__ import annotations

import keras
import numpy as np


def check_finite_weights(model: keras.layers.Layer) -> None:
    """Raises a ValueError that names the first weight which holds NaN or infinity.

    Args:
        model: a model or layer, built.

    Raises:
        ValueError: a weight is not finite.

    Example:

    >>> import keras
    >>> from kerasrnn.serving.finite import check_finite_weights
    >>> check_finite_weights(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    """
    for weight in model.weights:
        # One number that is not finite makes the sum such, which is found without a copy.
        if np.isfinite(keras.ops.convert_to_numpy(keras.ops.sum(weight)).astype("float64")):
            continue
        values = keras.ops.convert_to_numpy(weight)
        if np.isfinite(values).all():
            continue
        wrong = int(np.size(values) - np.isfinite(values).sum())
        raise ValueError(
            f"The weight {weight.path} is not finite: {wrong:,} of its {np.size(values):,} numbers "
            "are NaN or infinite. Training has diverged: train again with a smaller learning rate."
        )
