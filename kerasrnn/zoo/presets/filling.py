"""A model's weights from a file that a stranger may have made: no more of them, and no others."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.saving import saving_lib

from kerasrnn.storage.weight_file import SCALES, WeightFile


@contextlib.contextmanager
def only_their_size(weights: WeightFile) -> Iterator[None]:
    """Within this block, no more weights can be made than a file holds.

    What asks for more is refused before it takes memory: in the line of variables, the first that
    does not fit.

    Args:
        weights: the file.

    Raises:
        ValueError: if more is asked for.
    """
    # Layers have a few numbers that are no weights, such as the state of dropout.
    most = left = sum(array.elements + 16 for array in weights.arrays.values()) + 1024

    def made(make: Callable[..., Any], **arguments: Any) -> Any:
        nonlocal left
        left -= _elements(arguments.get("initial_value"))
        if left < 0:
            raise ValueError(
                f"{weights.path.parent / 'config.toml'} describes a larger model than "
                f"{weights.path.name} has weights for: it holds {most - 1024:,} numbers."
            )
        return make(**arguments)

    with tf.variable_creator_scope(made):
        yield


def fill(model: keras.Model, weights: WeightFile) -> None:
    """Set all weights of a model to those of a file.

    Args:
        model: a model whose weights Keras would save under the names of the file's arrays.
        weights: the file.

    Raises:
        ValueError: if the file lacks a weight, has another, one of another shape or type, or one
            that is not finite. The message names it.
    """
    variables = _names(model)
    path, arrays = weights.path, weights.arrays
    scaled = {name.removeprefix(SCALES + "/") for name in arrays if name.startswith(SCALES + "/")}
    for name in [*variables, *scaled]:
        if name not in arrays or name not in variables:
            whose = "model has" if name in variables else "file has scales for"
            raise ValueError(f"{path} lacks the weight {name}, which the {whose}.")
    for name in arrays:
        if not name.startswith(SCALES + "/") and name not in variables:
            raise ValueError(f"{path} has the weight {name}, which the model lacks.")
    for name, variable in variables.items():
        array, shape = arrays[name], tuple(variable.shape)
        if array.shape != shape:
            raise ValueError(
                f"{path}: the weight {name} has the shape {array.shape}. "
                f"Expected: {shape}, for {variable.path}."
            )
        wanted = "iu" if np.issubdtype(_numpy_dtype(variable), np.integer) else "f"
        if array.dtype.kind not in ("iu" if name in scaled else wanted):
            raise ValueError(
                f"{path}: the weight {name} is {array.dtype}. "
                f"Expected: {variable.dtype}, for {variable.path}."
            )
        scales = arrays.get(f"{SCALES}/{name}")
        if scales is not None and (scales.shape != shape[:1] or scales.dtype.kind != "f"):
            raise ValueError(
                f"{path}: the scales of {name} must be floats, one for each of its "
                f"{shape[0]} rows. Received: {scales.dtype} {scales.shape}."
            )
    for name, variable in variables.items():
        variable.assign(weights.read(name, np.empty(variable.shape, _numpy_dtype(variable))))


class _Names(saving_lib.H5IOStore):
    """Takes the place of a file while Keras saves to it, and notes which variable gets which name.

    So names are those of `keras.Model.save_weights`, whatever rule its version has for them.
    """

    def __init__(self) -> None:
        self.variables: dict[str, keras.Variable] = {}

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: Any = None) -> _Names:
        self._place = path
        return self

    def __setitem__(self, key: str, value: keras.Variable) -> None:
        self.variables["/".join(part for part in (self._place, "vars", key) if part)] = value


def _names(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a model by the names under which Keras saves them, but the optimizer's."""
    store = _Names()
    saving_lib._save_state(
        model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
    )
    return {
        name: variable
        for name, variable in store.variables.items()
        if name.split("/")[0] != "optimizer"
    }


def _elements(initial_value: Any) -> int:
    """How many numbers a variable gets that Keras makes with an initializer; else 0.

    Keras hands TensorFlow a function without arguments, which has the Keras variable within it.
    """
    if not callable(initial_value):
        return 0
    variable = inspect.getclosurevars(initial_value).nonlocals.get("self")
    return math.prod(variable.shape) if isinstance(variable, keras.Variable) else 0


def _numpy_dtype(variable: keras.Variable) -> np.dtype:
    return np.dtype(tf.as_dtype(variable.dtype).as_numpy_dtype)
