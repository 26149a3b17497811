"""The scan over time on JAX."""

import jax


def scan(step, initial_states, inputs, *, reverse=False):
    return jax.lax.scan(step, initial_states, inputs, reverse=reverse)
