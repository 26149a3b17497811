"""Models in float64, so that a comparison has 16 digits."""

import contextlib

import keras


@contextlib.contextmanager
def precision(dtype):
    """All that is made inside computes in `dtype`."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
