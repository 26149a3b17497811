"""Gradients and compilation, the same on every backend, for the tests."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

BACKEND = keras.backend.backend()
MODES = {
    "tensorflow": ("eager", "graph", "xla"),
    "jax": ("eager", "jit"),
    "torch": ("eager",),
}[BACKEND]
COMPILED = [mode for mode in MODES if mode != "eager"]


def compiled(function: Callable, mode: str, signature: Sequence[tuple] | None = None) -> Callable:
    """The function of tensors, compiled in one of `MODES`.

    Args:
        function: takes and returns (nested) tensors.
        mode: of this backend.
        signature: shapes with None for what is known only at run time; TensorFlow's graphs only.
    """
    if mode == "eager":
        return function
    if mode == "jit":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    specs = signature and [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
    return tf.function(function, input_signature=specs, jit_compile=mode == "xla")


def arrays(nested: Any) -> list[np.ndarray]:
    """Nested tensors as a flat list of NumPy arrays."""
    return [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(nested)]


def tensors(values: Sequence[Any]) -> list[Any]:
    """NumPy arrays as tensors of the backend."""
    return [keras.ops.convert_to_tensor(x) for x in values]


def value_and_gradients(
    loss: Callable,
    variables: Sequence[keras.Variable],
    inputs: Sequence[Any],
    mode: str = "eager",
    signature: Sequence[tuple] | None = None,
) -> tuple[float, list[np.ndarray]]:
    """The value of `loss(*inputs)` and its gradients: of the variables, then of the inputs.

    What the loss does not depend on has a gradient of zeros.
    """
    return differentiated(loss, variables, mode, signature)(*inputs)


def differentiated(
    loss: Callable,
    variables: Sequence[keras.Variable],
    mode: str = "eager",
    signature: Sequence[tuple] | None = None,
) -> Callable[..., tuple[float, list[np.ndarray]]]:
    """`value_and_gradients` as a function of the inputs, compiled once."""
    make = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[BACKEND]
    function = make(loss, list(variables), mode, signature)

    def run(*inputs):
        value, gradients = function(*tensors(inputs))
        return float(keras.ops.convert_to_numpy(value)), arrays(gradients)

    return run


def _tensorflow(loss, variables, mode, signature):
    import tensorflow as tf

    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = loss(*inputs)
        wanted = [*(v.value for v in variables), *inputs]
        zero = tf.UnconnectedGradients.ZERO
        return value, tape.gradient(value, wanted, unconnected_gradients=zero)

    return compiled(run, mode, signature)


def _jax(loss, variables, mode, signature):
    import jax

    def at(weights, inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
            return loss(*inputs)

    # A mask is an input too, whose gradient has no numbers.
    function = compiled(jax.value_and_grad(at, argnums=(0, 1), allow_int=True), mode)

    def run(*inputs):
        value, gradients = function([v.value for v in variables], list(inputs))
        return value, [
            np.zeros(g.shape) if g.dtype == jax.dtypes.float0 else g
            for g in keras.tree.flatten(gradients)
        ]

    return run


def _torch(loss, variables, mode, signature):
    import torch

    def run(*inputs):
        inputs = [x.detach().requires_grad_() if x.is_floating_point() else x for x in inputs]
        value = loss(*inputs)
        wanted = [*(v.value for v in variables), *(x for x in inputs if x.requires_grad)]
        gradients = torch.autograd.grad(value, wanted, allow_unused=True)
        pairs = zip(wanted, gradients, strict=True)
        return value, [torch.zeros_like(x) if g is None else g for x, g in pairs]

    return run


def value_at(loss: Callable, variables: Sequence[keras.Variable]) -> Callable[..., float]:
    """`loss(*inputs)` as a function of the values of the variables, then of the inputs."""
    variables = list(variables)

    def assigned(*point):
        for variable, value in zip(variables, point, strict=False):
            variable.assign(value)
        return loss(*point[len(variables) :])

    def scoped(*point):
        pairs = list(zip(variables, point, strict=False))
        with keras.StatelessScope(state_mapping=pairs):
            return loss(*point[len(variables) :])

    # JAX compiles a loop anew at each call that is not compiled as a whole.
    function = compiled(scoped, "jit") if BACKEND == "jax" else assigned

    def value(*point):
        return float(keras.ops.convert_to_numpy(function(*tensors(point))))

    return value


def weighted_sum(results: Any, factors: Sequence[np.ndarray]) -> Any:
    """Σ factor·result: a scalar whose gradient reaches every number of the nested results."""
    results = keras.tree.flatten(results)
    pairs = zip(results, tensors(factors), strict=True)
    return sum(keras.ops.sum(keras.ops.multiply(result, factor)) for result, factor in pairs)


def directional_check(
    value: Callable[..., float],
    point: Sequence[np.ndarray],
    gradients: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    directions: int = 3,
    step: float = 1e-3,
    tolerance: float = 1e-8,
) -> None:
    """Compare gradients with finite differences of `value(*point)` along random directions.

    The four-point formula errs by the fourth power of `step`: in float64 about 1e-11 here.
    """
    for _ in range(directions):
        direction = [rng.normal(size=x.shape) for x in point]
        norm = np.sqrt(sum(float((d**2).sum()) for d in direction))
        direction = [d / norm for d in direction]

        def at(distance, direction=direction):
            moved = [x + distance * d for x, d in zip(point, direction, strict=True)]
            return value(*moved)

        numeric = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
        exact = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
        assert abs(numeric - exact) <= tolerance * max(1.0, abs(numeric)), (numeric, exact)


def assign(layer: Any, weights: Sequence[np.ndarray]) -> None:
    """Set all trainable weights of a built layer, in order."""
    for variable, value in zip(layer.trainable_variables, weights, strict=True):
        variable.assign(value)


def with_weights(layer: Any, input_shape: tuple, weights: Sequence[np.ndarray]) -> Any:
    """Build the layer for inputs of that shape, and set its trainable weights."""
    layer.build(input_shape)
    assign(layer, weights)
    return layer


def assert_close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    """Every array of two nests agrees to an absolute error, with equal shapes."""
    actual, expected = arrays(actual), arrays(expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        error = np.max(np.abs(a.astype("float64") - e.astype("float64")), initial=0.0)
        assert error <= tolerance, f"max error {error:.3g} > {tolerance:.3g}"
