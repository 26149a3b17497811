"""The scan over time and its gradient on JAX."""

import jax
import jax.numpy as jnp
import keras
from keras import ops


def scan(
    step,
    initial_states,
    inputs,
    *,
    reverse=False,
    outputs_like=None,
    loose=False,
    over=None,
    turns="short",
):
    return jax.lax.scan(step, initial_states, inputs, reverse=reverse)


def is_loose(x):
    """Whether `x` is a sequence that a scan has left unstacked; here none is."""
    return False


def stack(x):
    """A sequence that a scan has left unstacked as a tensor."""
    return x


def one_scan_is_faster():
    return True


def stacks_lanes():
    """Whether lanes of one kind are faster as one with larger tensors: it halves the kernels.

    On a CPU two plain products are faster than one with an axis more.
    """
    return jax.default_backend() != "cpu"


def longest(mask):
    """None: XLA compiles for one length."""
    return None


def at_least_one(x, axis=0):
    """`x` with one element of zeros along `axis` where it has none."""
    if x.shape[axis] > 0:
        return x
    shape = list(x.shape)
    shape[axis] = 1
    return ops.zeros(shape, dtype=keras.backend.standardize_dtype(x.dtype))


def with_gradient(forward, backward):
    """A function that computes `forward(*arguments)[0]` and is differentiated by `backward`.

    `forward` returns `(outputs, kept)`; `backward(kept, d_outputs)` returns a gradient, or None,
    for each argument.
    """

    @jax.custom_vjp
    def function(*arguments):
        return forward(*arguments)[0]

    def forward_rule(*arguments):
        outputs, kept = forward(*arguments)
        return outputs, (kept, arguments)

    def backward_rule(residuals, d_outputs):
        kept, arguments = residuals
        gradients = backward(kept, d_outputs)
        return tuple(
            _no_gradient(x) if g is None else g for x, g in zip(arguments, gradients, strict=True)
        )

    function.defvjp(forward_rule, backward_rule)
    return function


def tensor_of(variable):
    """A Keras variable's value as a tensor."""
    return variable.value


def product(x, W):
    """`x W` for many rows x."""
    return ops.matmul(x, W)


def sum_of_outer_products(left, right):
    """`leftᵀ right` of two matrices with many rows."""
    return jnp.matmul(left.T, right)


def vector_jacobian_product(function, arguments, d_outputs):
    """The gradient of each argument from those of the outputs of `function(*arguments)`."""
    _, pull_back = jax.vjp(function, *arguments)
    return pull_back(tuple(d_outputs))


def _no_gradient(x):
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.zeros_like(x)
    return jnp.zeros(x.shape, dtype=jax.dtypes.float0)
