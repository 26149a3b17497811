"""A cell with some of its attributes replaced for the length of one scan."""

from typing import Any


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
