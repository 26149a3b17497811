"""Products of Jacobians: their growth is the singular value, or the eigenvalue, asked for."""

import keras
import numpy as np
import pytest

from kerasrnn.layers import SimpleRNN
from kerasrnn.lens import (
    log_norms_of_products,
    products_of_jacobians,
    scaled_recurrent_kernel,
    state_jacobian,
)
from kerasrnn.lens.products import KINDS, products_of_windows


def linear(kernel, steps, rng):
    """The Jacobian of a linear recurrence with this kernel, over `steps` steps."""
    units = len(kernel)
    layer = SimpleRNN(
        units,
        activation="linear",
        recurrent_initializer=keras.initializers.Constant(kernel),
        dtype="float64",
    )
    layer.build((2, steps, 3))
    x = 1e-3 * rng.normal(size=(2, steps, 3))
    return {lag: state_jacobian(layer, x, lag=lag) for lag in (1, steps)}


@pytest.mark.parametrize("size", [0.5, 0.95, 1.0, 1.2, 2.0])
@pytest.mark.parametrize("units", [1, 2, 33])
def test_the_growth_of_a_scaled_rotation_is_its_singular_value(size, units, rng):
    kernel = scaled_recurrent_kernel(units, singular_value=size, seed=3)
    np.testing.assert_allclose(kernel @ kernel.T, size**2 * np.eye(units), atol=1e-12)
    jacobians = linear(kernel, 200, rng)
    np.testing.assert_allclose(jacobians[1].singular_values, size, atol=1e-10)
    assert np.exp(jacobians[1].lyapunov) == pytest.approx(size, abs=1e-6)
    norms = log_norms_of_products(jacobians[1].matrices)
    np.testing.assert_allclose(np.exp(np.diff(norms)), size, atol=1e-6)


@pytest.mark.parametrize("size", [0.5, 0.95, 1.0, 1.2, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_growth_of_a_linear_recurrence_is_the_eigenvalue_asked_for(size, kind, rng):
    kernel = scaled_recurrent_kernel(20, spectral_radius=size, kind=kind, seed=1)
    jacobians = linear(kernel, 200, rng)
    # The eigenvalues of the product are those of the kernel to the power of 200.
    growth = jacobians[200].spectral_radius[:, -1] ** (1 / 200)
    np.testing.assert_allclose(growth, size, atol=1e-6)
    if kind != "gaussian":
        assert np.exp(jacobians[1].lyapunov) == pytest.approx(size, abs=1e-6)
        norms = log_norms_of_products(jacobians[1].matrices)
        assert np.exp(norms[0, -1] - norms[0, -2]) == pytest.approx(size, abs=1e-6)


def test_a_largest_singular_value_above_1_need_not_explode(rng):
    """It bounds the growth; what grows in the long run is the largest eigenvalue."""
    kernel = scaled_recurrent_kernel(50, singular_value=1.2, kind="gaussian")
    assert np.linalg.norm(kernel, 2) == pytest.approx(1.2, abs=1e-12)
    radius = abs(np.linalg.eigvals(kernel)).max()
    jacobian = linear(kernel, 200, rng)[1]
    assert radius < 0.9 and jacobian.lyapunov < 0
    assert np.exp(jacobian.lyapunov) == pytest.approx(radius, rel=0.02)


def test_kernels_are_random_and_repeatable():
    options = {"singular_value": 1.0, "kind": "gaussian"}
    a, b, c = (scaled_recurrent_kernel(5, seed=s, **options) for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert abs(a - c).max() > 0.1


def test_products_of_random_matrices(rng):
    matrices = rng.normal(size=(2, 9, 3, 3))
    for lag in range(1, 10):
        windows = products_of_windows(matrices, lag)
        assert windows.shape == (2, 10 - lag, 3, 3)
        for start in range(10 - lag):
            product = np.eye(3)
            for t in range(start, start + lag):
                product = matrices[:, t] @ product
            np.testing.assert_allclose(windows[:, start], product, rtol=1e-10)
        last = np.linalg.norm(windows[:, -1], 2, axis=(-2, -1))
        np.testing.assert_allclose(log_norms_of_products(matrices)[:, lag - 1], np.log(last))


def test_products_neither_overflow_nor_vanish():
    for size in (1e-3, 1e3):
        matrices = np.broadcast_to(size * np.eye(3), (500, 3, 3))
        expected = np.log(size) * np.arange(1, 501)
        np.testing.assert_allclose(log_norms_of_products(matrices), expected, rtol=1e-12)
    nothing = np.zeros((4, 2, 2))
    assert (log_norms_of_products(nothing) == -np.inf).all()


def test_the_products_of_the_lecture():
    sizes = [0.5, 1.0, 1.5]
    products = products_of_jacobians(sizes, units=16, steps=60)
    assert products.log_norms.shape == (3, 60)
    assert (products.log_norms <= products.log_bounds + 1e-9).all()
    assert products.growth[0] < 0.5 and products.growth[2] < 1.5
    straight = products_of_jacobians(sizes, units=16, steps=60, activation="linear")
    np.testing.assert_allclose(straight.growth, sizes, atol=1e-6)
    np.testing.assert_allclose(straight.log_norms, straight.log_bounds, atol=1e-6)


def test_the_sech_squared_factor(rng):
    """The one factor of a simple RNN with tanh is diag(sech² z) Waa."""
    layer = SimpleRNN(4, dtype="float64", return_sequences=True)
    x = rng.normal(size=(2, 5, 3))
    layer.build(x.shape)
    states = np.asarray(layer(x))
    before = np.concatenate([np.zeros((2, 1, 4)), states[:, :-1]], axis=1)
    kernel, recurrent, bias = layer.get_weights()
    z = before @ recurrent + x @ kernel + bias
    expected = (1 / np.cosh(z) ** 2)[..., :, None] * recurrent.T
    np.testing.assert_allclose(state_jacobian(layer, x).matrices, expected, atol=1e-12)


@pytest.mark.parametrize("theme", ["light", "dark", None])
def test_the_picture(theme):
    from matplotlib import pyplot

    products = products_of_jacobians([0.5, 1.5], units=4, steps=10)
    ax = products.plot(theme=theme)
    labels = [line.get_label() for line in ax.lines]
    assert {"σ = 0.5", "σ = 1.5"} <= set(labels)
    line = ax.lines[labels.index("σ = 0.5")]
    np.testing.assert_allclose(line.get_ydata() * np.log(10), products.log_norms[0])
    pyplot.close("all")


@pytest.mark.parametrize("kernel", [0, 1.5, "4", None, True])
def test_units_that_are_none(kernel):
    with pytest.raises(ValueError, match="units must be a positive integer"):
        scaled_recurrent_kernel(kernel, singular_value=1.0)


def test_what_cannot_be_made():
    for both in ({}, {"singular_value": 1.0, "spectral_radius": 1.0}):
        with pytest.raises(ValueError, match="Exactly one of"):
            scaled_recurrent_kernel(3, **both)
    for wrong in (0, -1.0, np.inf, np.nan, "1", True):
        with pytest.raises(ValueError, match="`spectral_radius` must be a positive number"):
            scaled_recurrent_kernel(3, spectral_radius=wrong)
    with pytest.raises(ValueError, match="`kind` must be one of orthogonal, symmetric, gaussian"):
        scaled_recurrent_kernel(3, singular_value=1.0, kind="uniform")
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        scaled_recurrent_kernel(3, singular_value=1.0, seed=-1)
    for wrong in (np.ones((3, 3)), np.ones((2, 3, 2)), np.ones((0, 2, 2)), np.ones((2, 0, 0))):
        with pytest.raises(ValueError, match=r"must have the shape \(…, time, n, n\)"):
            log_norms_of_products(wrong)
    with pytest.raises(ValueError, match="`matrices` must be finite"):
        log_norms_of_products(np.full((2, 2, 2), np.nan))
    for wrong in ([], 0.5, [[1.0]]):
        with pytest.raises(ValueError, match="`singular_values` must be a list of numbers"):
            products_of_jacobians(wrong)
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        products_of_jacobians([0.5], steps=0)
