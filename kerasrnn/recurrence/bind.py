"""A cell with some of its attributes replaced for the length of one scan."""

from typing import Any

import keras
from keras import ops

from kerasrnn.recurrence.scan import backend_module


def bind(cell: Any, **attributes: Any) -> Any:
    """A shallow copy of `cell` with `attributes` in place of its own.

    A scan computes a cell's weights once, before the loop, and differentiates with respect to
    those tensors: the methods of a bound cell see them where the cell itself has variables.

    Args:
        cell: a cell.
        **attributes: what to replace, such as `recurrent_weights=(W,)`.

    Returns:
        An instance of the cell's class; nothing is registered with Keras.
    """
    bound = object.__new__(type(cell))
    # Straight into the dictionary, for Keras tracks what is set as an attribute.
    vars(bound).update(vars(cell))
    vars(bound).update(attributes)
    return bound


def bind_weights(cell: Any) -> Any:
    """`cell` with kernel, recurrent_kernel and bias as tensors of the dtype it computes in."""
    dtype = getattr(cell, "compute_dtype", None)
    attributes = {
        name: ops.cast(backend_module().tensor_of(vars(cell)[name]), dtype)
        for name in ("kernel", "recurrent_kernel", "bias")
        if isinstance(vars(cell).get(name), keras.Variable)
    }
    return bind(cell, **attributes)
