"""The scan over time and its gradient on JAX."""

import jax
import jax.numpy as jnp

from kerasrnn.recurrence.stacked import (  # noqa: F401
    at_least_one,
    is_loose,
    one_scan_is_faster,
    product,
    stack,
    sum_of_outer_products,
    tensor_of,
)


def scan(step, initial_states, inputs, *, reverse=False, **hints):
    return jax.lax.scan(step, initial_states, inputs, reverse=reverse)


def stacks_lanes():
    """Whether lanes of one kind are faster as one with larger tensors: it halves the kernels.

    On a CPU two plain products are faster than one with an axis more.
    """
    return jax.default_backend() != "cpu"


def longest(mask):
    """None: XLA compiles for one length."""
    return None


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


def vector_jacobian_product(function, arguments, d_outputs):
    """The gradient of each argument from those of the outputs of `function(*arguments)`."""
    _, pull_back = jax.vjp(function, *arguments)
    return pull_back(tuple(d_outputs))


def _no_gradient(x):
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.zeros_like(x)
    return jnp.zeros(x.shape, dtype=jax.dtypes.float0)
