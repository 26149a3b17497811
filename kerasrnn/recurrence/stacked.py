"""What JAX and PyTorch have in common: all sequences are tensors, all shapes are known."""

import keras
from keras import ops


def is_loose(x):
    """Whether `x` is a sequence that a scan has left unstacked; here none is."""
    return False


def stack(x):
    """A sequence that a scan has left unstacked as a tensor."""
    return x


def one_scan_is_faster():
    return True


def at_least_one(x, axis=0):
    """`x` with one element of zeros along `axis` where it has none."""
    if x.shape[axis] > 0:
        return x
    shape = list(x.shape)
    shape[axis] = 1
    return ops.zeros(shape, dtype=keras.backend.standardize_dtype(x.dtype))


def tensor_of(variable):
    """A Keras variable's value as a tensor."""
    return variable.value


def product(x, W):
    """`x W` for many rows x."""
    return ops.matmul(x, W)


def sum_of_outer_products(left, right):
    """`leftᵀ right` of two matrices with many rows."""
    return left.T @ right
