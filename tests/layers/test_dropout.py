"""Dropout on inputs and states: one mask for the whole sequence, and none at inference."""

import keras
import numpy as np
import pytest

from kerasrnn import layers
from tests.backends import COMPILED, arrays, assert_close, compiled
from tests.layers.common import INPUT, TIME, UNITS, draw, make
from tests.oracles import CELLS, layer_outputs

RATE = 0.4


def ndarray(x):
    return keras.ops.convert_to_numpy(x)


def memoryless(name, steps=12, units=UNITS, input_dim=INPUT, **options):
    """A layer that takes the new value and forgets the old one at every step."""
    oracle = CELLS[name]
    extra = {"unit_forget_bias": False} if name == "lstm" else {}
    layer = getattr(layers, oracle.layer)(units, return_sequences=True, **options, **extra)
    layer.build((None, steps, input_dim))
    bias = np.zeros((oracle.gates, units), "float32")
    if oracle.gates > 1:
        bias[0] = 100  # take the new value
    if name == "lstm":
        bias[1], bias[3] = -100, 100  # forget the old one, show all
    layer.cell.bias.assign(bias.ravel())
    return layer


@pytest.mark.parametrize("mode", ["eager", *COMPILED[:1]])
@pytest.mark.parametrize("name", CELLS)
def test_inputs_are_dropped_alike_at_every_step(name, mode):
    layer = memoryless(name, dropout=RATE, recurrent_initializer="zeros", input_dim=20)
    run = compiled(lambda x: layer(x, training=True), mode)
    y = ndarray(run(keras.ops.ones((3, 12, 20))))
    np.testing.assert_allclose(y, np.repeat(y[:, :1], 12, axis=1), atol=1e-6)
    assert abs(y[0] - y[1]).max() > 1e-3  # each row has a mask of its own
    plain = ndarray(layer(np.ones((3, 12, 20), "float32"), training=False))
    assert abs(y - plain).max() > 1e-3


@pytest.mark.parametrize("name", CELLS)
def test_states_are_dropped_alike_at_every_step(name):
    """A unit that hears only itself lives on, or is silenced at the first step for good.

    With a new mask at each step every unit would be silenced sooner or later.
    """
    units = 40
    layer = memoryless(name, units=units, recurrent_dropout=RATE, kernel_initializer="zeros")
    oracle = CELLS[name]
    W = np.zeros((units, oracle.gates, units), "float32")
    W[:, 2 if name in ("gru", "lstm") else -1] = 20 * np.eye(units)  # the candidate's block
    layer.cell.recurrent_kernel.assign(W.reshape(units, -1))
    ones = [np.ones((8, units), "float32")] * oracle.states
    y = ndarray(layer(np.zeros((8, 12, INPUT), "float32"), initial_state=ones, training=True))
    alive = abs(y) > 0.1
    if name == "gru":
        # The mask meets Γr∘c where Γr = σ(0) = ½: still 20·½, far beyond saturation.
        assert alive.any()
    np.testing.assert_array_equal(alive, np.repeat(alive[:, :1], 12, axis=1))
    share = alive[:, 0].mean()
    assert abs(share - (1 - RATE)) < 5 * np.sqrt(RATE * (1 - RATE) / (8 * units))


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_dropout_does_not_erode_the_memory(name):
    """A closed update gate keeps c as it is: the mask is on the way into the product only."""
    if name == "simple":
        pytest.skip("has no memory beside its product")
    oracle = CELLS[name]
    extra = {"unit_forget_bias": False} if name == "lstm" else {}
    layer = getattr(layers, oracle.layer)(
        UNITS, recurrent_dropout=0.5, return_state=True, recurrent_initializer="zeros", **extra
    )
    layer.build((None, TIME, INPUT))
    bias = np.zeros((oracle.gates, UNITS), "float32")
    bias[0] = -100
    if name == "lstm":
        bias[1] = 100
    layer.cell.bias.assign(bias.ravel())
    start = [np.full((3, UNITS), 0.5, "float32")] * oracle.states
    *_, memory = layer(np.ones((3, TIME, INPUT), "float32"), initial_state=start, training=True)
    assert_close(memory, start[-1], 1e-6)


def test_the_share_and_the_scale(rng):
    """A unit sees x/(1 − p) or nothing, nothing with probability p."""
    layer = layers.SimpleRNN(
        200, activation="linear", dropout=RATE, recurrent_initializer="zeros", use_bias=False
    )
    layer.build((None, 1, 200))
    layer.cell.kernel.assign(np.eye(200, dtype="float32"))
    y = ndarray(layer(np.ones((50, 1, 200), "float32"), training=True))
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - RATE), rtol=1e-5)
    assert abs(kept.mean() - (1 - RATE)) < 5 * np.sqrt(RATE * (1 - RATE) / y.size)
    assert abs(y.mean() - 1) < 5 * np.sqrt(RATE / (1 - RATE) / y.size)


@pytest.mark.parametrize("name", CELLS)
def test_none_at_inference(name, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, dropout=0.5, recurrent_dropout=0.5)
    x = draw(rng, 3, TIME, INPUT)
    expected = layer_outputs(oracle, x, weights)
    assert_close(layer(x), expected)
    assert_close(layer(x, training=False), expected)
    assert abs(ndarray(layer(x, training=True)) - expected[0]).max() > 1e-3


@pytest.mark.parametrize("name", CELLS)
def test_a_seed_repeats_the_masks_and_calls_differ(name, rng):
    oracle = CELLS[name]
    x = draw(rng, 3, TIME, INPUT)
    runs = []
    for seed in (1, 1, 2):
        layer, _ = make(
            oracle, np.random.default_rng(0), dropout=0.5, recurrent_dropout=0.5, seed=seed
        )
        runs.append([ndarray(layer(x, training=True)) for _ in range(2)])
    first, again, other = runs
    np.testing.assert_array_equal(first, again)
    assert abs(first[0] - first[1]).max() > 1e-3
    assert abs(first[0] - other[0]).max() > 1e-3


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_calls_of_a_compiled_model_differ(name, rng):
    """The mask is drawn anew at each call, not frozen into the traced graph."""
    inputs = keras.Input((TIME, INPUT))
    layer = getattr(layers, CELLS[name].layer)(UNITS, dropout=0.5, recurrent_dropout=0.5)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x = draw(rng, 8, TIME, INPUT)
    losses = [model.train_on_batch(x, np.zeros((8, UNITS))) for _ in range(4)]
    # `train_on_batch` reports a running mean: four equal losses would keep it where it is.
    assert len(set(np.round(np.ravel(losses), 7))) > 1


@pytest.mark.parametrize("rates", [(1.0, 0.0), (0.0, 1.0)], ids=["inputs", "states"])
@pytest.mark.parametrize("name", CELLS)
def test_a_rate_of_one_silences_or_is_refused(name, rates, rng):
    """Keras ignores a rate of one; here it drops everything, and must not give NaN."""
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, dropout=rates[0], recurrent_dropout=rates[1])
    x = draw(rng, 3, 1, INPUT)
    start = [draw(rng, 3, UNITS) for _ in range(oracle.states)]
    silent = [w.copy() for w in weights]
    silent[0 if rates[0] else 1][:] = 0
    expected = layer_outputs(oracle, x, silent, initial_state=start)
    assert_close(layer(x, initial_state=start, training=True), expected)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_go_through_the_same_masks(name, rng):
    """Where an input component is dropped, its gradient is zero at all steps, and only there."""
    from tests.backends import value_and_gradients

    oracle = CELLS[name]
    layer, _ = make(oracle, rng, input_dim=30, dropout=0.5, return_sequences=True)
    x = draw(rng, 4, TIME, 30)
    _, (gradient,) = value_and_gradients(
        lambda x: keras.ops.sum(keras.ops.square(layer(x, training=True))), [], [x]
    )
    dropped = gradient == 0
    np.testing.assert_array_equal(dropped, np.repeat(dropped[:, :1], TIME, axis=1))
    assert 0.2 < dropped.mean() < 0.8
    assert all(np.isfinite(a).all() for a in arrays(gradient))
