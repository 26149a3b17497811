"""A loop over time with carried states, the same on every backend."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import keras

BACKENDS = ("tensorflow", "jax", "torch")


def backend_module() -> ModuleType:
    """The module of this package written for the Keras backend in use.

    Raises:
        RuntimeError: Keras runs on a backend that has no such module.
    """
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise RuntimeError(
            f"kerasrnn has no recurrence for the Keras backend '{name}'. "
            f"Expected KERAS_BACKEND to be one of {', '.join(BACKENDS)}."
        )
    return importlib.import_module(f"kerasrnn.recurrence.{name}_backend")


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    initial_states: Any,
    inputs: Any,
    *,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Carry states through time, differentiated automatically.

    Unlike `keras.ops.scan` it works on TensorFlow with a length that is known only when the graph
    runs, and with `jit_compile=True` and gradients.

    Args:
        step: `step(states, inputs_t)` returns `(new_states, outputs_t)`; the new states have the
            structure, shapes and dtypes of `states`.
        initial_states: nested tensors, the states before the first step.
        inputs: nested tensors of shape `(time, ...)`; a step sees one slice of each.
        reverse: if true, the last time step comes first. Outputs stay at the time of their inputs.

    Returns:
        The final states, and the outputs stacked on a leading axis of time.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.recurrence import scan
    >>> total, partial = scan(lambda s, x: (s + x, s + x), np.zeros(1, "float32"),
    ...                       np.ones((3, 1), "float32"))
    >>> [float(v) for v in partial[:, 0]]
    [1.0, 2.0, 3.0]
    """
    initial_states = keras.tree.map_structure(keras.ops.convert_to_tensor, initial_states)
    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    return backend_module().scan(step, initial_states, inputs, reverse=reverse)
