"""The automatically differentiated scan."""

import keras
import numpy as np
import pytest

from kerasrnn.recurrence import scan
from tests.backends import (
    MODES,
    arrays,
    assert_close,
    compiled,
    directional_check,
    value_and_gradients,
    weighted_sum,
)


def step(states, x):
    a, total = states
    a = keras.ops.tanh(0.7 * a + x["x"] * x["scale"])
    return (a, total + a), {"a": a, "twice": 2 * a}


def expected(a, total, x, scale, reverse):
    time = len(x)
    ys = np.zeros_like(x)
    for t in reversed(range(time)) if reverse else range(time):
        a = np.tanh(0.7 * a + x[t] * scale[t])
        total = total + a
        ys[t] = a
    return [a, total, ys, 2 * ys]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reverse", [False, True])
def test_carries_nested_states_and_stacks_nested_outputs(mode, reverse, rng):
    values = [rng.normal(size=s).astype("float32") for s in [(3, 2), (3, 2), (5, 3, 2), (5, 3, 2)]]

    def run(a, total, x, scale):
        return scan(step, (a, total), {"x": x, "scale": scale}, reverse=reverse)

    states, outputs = compiled(run, mode)(*map(keras.ops.convert_to_tensor, values))
    a, total = states
    assert_close([a, total, outputs["a"], outputs["twice"]], expected(*values, reverse), 1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_agree_with_finite_differences(mode, reverse, rng, float64):
    point = [rng.normal(size=s) for s in [(2, 2), (2, 2), (4, 2, 2), (4, 2, 2)]]
    factors = [rng.normal(size=x.shape) for x in expected(*point, reverse)]

    def loss(a, total, x, scale):
        (a, total), ys = scan(step, (a, total), {"x": x, "scale": scale}, reverse=reverse)
        results = [a, total, ys["a"], ys["twice"]]
        return weighted_sum(results, factors)

    def value(*point):
        results = expected(*point, reverse)
        return sum((f * y).sum() for f, y in zip(factors, results, strict=True))

    _, gradients = value_and_gradients(loss, [], point, mode)
    directional_check(value, point, gradients, rng, tolerance=1e-9)


def test_one_step():
    ones = np.ones((1, 2), "float32")
    states, outputs = scan(lambda s, x: (s + x, s * x), ones[0], ones)
    assert [x.tolist() for x in arrays([states, outputs])] == [[2, 2], [[1, 1]]]


@pytest.mark.tensorflow
def test_length_known_only_at_run_time(rng):
    signature = [((None, None, 2), "float32")]
    run = compiled(lambda x: scan(lambda s, x: (s + x, s + x), 0 * x[0], x), "graph", signature)
    for shape in [(1, 3, 2), (6, 1, 2)]:
        x = rng.normal(size=shape).astype("float32")
        total, partial = arrays(run(x))
        np.testing.assert_allclose(partial, np.cumsum(x, axis=0), atol=1e-6)
        np.testing.assert_allclose(total, x.sum(axis=0), atol=1e-6)
