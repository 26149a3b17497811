"""Copies of a cell for one scan, with tensors in the place of its variables."""

from typing import Any

import keras
from keras import ops

from kerasrnn.recurrence.scan import backend_module


def bind(cell: Any, **attributes: Any) -> Any:
    """A copy of `cell` that holds `attributes` in the place of its own, for one scan.

    The equations of a cell read weights and masks from `self`. A scan computes these once, before
    its loop, and is differentiated by them: in the copy the same equations find what the scan has
    computed where the cell itself has variables.

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
