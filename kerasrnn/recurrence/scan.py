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


def product(x: Any, W: Any) -> Any:
    """The matrix product `x W` for many rows x, as for all time steps at once.

    It is `keras.ops.matmul` with a gradient by W, Σ over the rows of xᵀ ∂L/∂(x W), that is computed
    in the way that is fastest on the backend.

    Args:
        x: tensor `(rows, m)`.
        W: tensor or variable `(m, n)`.

    Returns:
        Tensor `(rows, n)`.
    """
    if keras.backend.backend() not in BACKENDS:
        return keras.ops.matmul(x, W)
    return backend_module().product(x, W)


def at_least_one(x: Any, axis: int = 0) -> Any:
    """A tensor as it is, or with one element of zeros along `axis` where it has none."""
    return backend_module().at_least_one(x, axis)


def with_batch_size(x: Any, size: Any, message: str) -> Any:
    """A tensor as it is, if its first axis has the length `size`.

    Args:
        x: the tensor.
        size: the length it must have. On TensorFlow both may be known only when the graph runs.
        message: what an error says before it names the two lengths.

    Raises:
        ValueError: the length is another; `tf.errors.InvalidArgumentError` when a graph runs.
    """
    if x.shape[0] is None or not isinstance(size, int):
        return backend_module().with_batch_size(x, size, message)
    if x.shape[0] != size:
        raise ValueError(f"{message} {size}, received {x.shape[0]}.")
    return x


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    initial_states: Any,
    inputs: Any,
    *,
    reverse: bool = False,
    unroll: bool = False,
) -> tuple[Any, Any]:
    """Carry states through time, differentiated automatically.

    Unlike `keras.ops.scan` it works on TensorFlow with a length that is known only when the graph
    runs, and with `jit_compile=True` and gradients.

    Args:
        step: `step(states, inputs_t)` returns `(new_states, outputs_t)`; the new states have the
            structure, shapes and dtypes of `states`.
        initial_states: nested tensors, the states before the first step.
        inputs: nested tensors of shape `(time, ...)`; a step sees one slice of each. None may
            stand for a tensor and is handed to the step as it is.
        reverse: if true, the last time step comes first. Outputs stay at the time of their inputs.
        unroll: if true, no loop remains in the graph; the length must be known when it is made.

    Returns:
        The final states, and the outputs stacked on a leading axis of time.

    Raises:
        ValueError: `unroll` is true and the length is unknown.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.recurrence import scan
    >>> total, partial = scan(lambda s, x: (s + x, s + x), np.zeros(1, "float32"),
    ...                       np.ones((3, 1), "float32"))
    >>> [float(v) for v in partial[:, 0]]
    [1.0, 2.0, 3.0]
    """
    return scan_with_hints(step, initial_states, inputs, reverse=reverse, unroll=unroll)


def scan_with_hints(
    step: Callable,
    initial_states: Any,
    inputs: Any,
    *,
    reverse: bool = False,
    unroll: bool = False,
    **hints: Any,
) -> tuple[Any, Any]:
    """`scan`, with what `scan` of `tensorflow_backend.py` can be told besides.

    The other backends do without.
    """
    initial_states = keras.tree.map_structure(_to_tensor, initial_states)
    inputs = keras.tree.map_structure(_to_tensor, inputs)
    if unroll:
        return _unrolled(step, initial_states, inputs, reverse)
    return backend_module().scan(step, initial_states, inputs, reverse=reverse, **hints)


def _to_tensor(x):
    if x is None or backend_module().is_loose(x):
        return x
    return keras.ops.convert_to_tensor(x)


def _unrolled(step, states, inputs, reverse):
    length = next(x.shape[0] for x in keras.tree.flatten(inputs) if x is not None)
    if length is None:
        raise ValueError(
            "`unroll=True` needs a number of time steps that is known when the graph is made. "
            "Received a time dimension of None; give the input a fixed length or set unroll=False."
        )
    outputs = []
    for t in reversed(range(length)) if reverse else range(length):
        slices = keras.tree.map_structure(lambda x, t=t: None if x is None else x[t], inputs)
        states, outputs_t = step(states, slices)
        outputs.append(outputs_t)
    if reverse:
        outputs.reverse()
    stacked = keras.tree.map_structure(
        lambda *xs: None if xs[0] is None else keras.ops.stack(xs), *outputs
    )
    return states, stacked
