"""The cells inside Keras's own recurrent layers."""

import keras
import numpy as np
import pytest

from kerasrnn import cells
from tests.backends import COMPILED, assert_close, assign, compiled
from tests.oracles import (
    CELLS,
    bidirectional_outputs,
    deep_outputs,
    layer_outputs,
    random_weights,
)

BATCH, TIME, INPUT, UNITS = 3, 5, 4, 6
MASK = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)


def cell_of(oracle, **options):
    return getattr(cells, oracle.cell)(UNITS, **options)


@pytest.mark.parametrize("mode", ["eager", *COMPILED[:1]])
@pytest.mark.parametrize("name", CELLS)
def test_in_keras_rnn(name, mode, rng):
    oracle = CELLS[name]
    layer = keras.layers.RNN(cell_of(oracle), return_sequences=True, return_state=True)
    layer.build((BATCH, TIME, INPUT))
    weights = random_weights(oracle, INPUT, UNITS, rng)
    assign(layer, weights)
    x = rng.normal(size=(BATCH, TIME, INPUT)).astype("float32")
    for mask in (None, MASK):
        run = compiled(lambda x, mask=mask: layer(x, mask=mask), mode)
        expected = layer_outputs(
            oracle, x, weights, return_sequences=True, return_state=True, mask=mask
        )
        assert_close(run(keras.ops.convert_to_tensor(x)), expected)


@pytest.mark.parametrize("name", CELLS)
def test_in_keras_bidirectional(name, rng):
    oracle = CELLS[name]
    layer = keras.layers.Bidirectional(keras.layers.RNN(cell_of(oracle), return_sequences=True))
    layer.build((BATCH, TIME, INPUT))
    both = [random_weights(oracle, INPUT, UNITS, rng) for _ in range(2)]
    assign(layer, [*both[0], *both[1]])
    x = rng.normal(size=(BATCH, TIME, INPUT)).astype("float32")
    expected = bidirectional_outputs(oracle, x, *both, return_sequences=True)
    assert_close([layer(x)], expected)


@pytest.mark.parametrize("name", CELLS)
def test_in_keras_stacked_cells(name, rng):
    oracle = CELLS[name]
    stack = keras.layers.StackedRNNCells([cell_of(oracle), cell_of(oracle)])
    layer = keras.layers.RNN(stack, return_sequences=True)
    layer.build((BATCH, TIME, INPUT))
    weights = [
        *random_weights(oracle, INPUT, UNITS, rng),
        *random_weights(oracle, UNITS, UNITS, rng),
    ]
    assign(layer, weights)
    x = rng.normal(size=(BATCH, TIME, INPUT)).astype("float32")
    assert_close([layer(x)], deep_outputs(oracle, x, weights, depth=2))


@pytest.mark.parametrize("name", CELLS)
def test_trains_and_saves_inside_a_keras_model(name, rng, tmp_path):
    inputs = keras.Input((None, INPUT))
    y = keras.layers.RNN(cell_of(CELLS[name], dropout=0.2, recurrent_dropout=0.2))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(y))
    model.compile("adam", "mse")
    x = rng.normal(size=(8, TIME, INPUT)).astype("float32")
    before = [w.copy() for w in model.get_weights()]
    history = model.fit(x, x[:, :1, 0], epochs=2, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    trainable = len(model.trainable_variables)
    changed = [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)]
    assert sum(changed) >= trainable
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(again.predict(x, verbose=0), model.predict(x, verbose=0), 1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_one_dropout_mask_for_the_whole_sequence_in_keras_rnn(name):
    """With no way through the state, equal inputs give equal outputs if the mask never changes."""
    oracle = CELLS[name]
    options = {"unit_forget_bias": False} if name == "lstm" else {}
    cell = cell_of(oracle, dropout=0.5, recurrent_initializer="zeros", seed=5, **options)
    layer = keras.layers.RNN(cell, return_sequences=True)
    layer.build((BATCH, 12, INPUT))
    bias = np.zeros((oracle.gates, UNITS), "float32")
    bias[0] = 100 if oracle.gates > 1 else 0  # take the new value
    if name == "lstm":
        bias[1] = -100  # forget the old one
    cell.bias.assign(bias.ravel())
    y = keras.ops.convert_to_numpy(layer(np.ones((BATCH, 12, INPUT), "float32"), training=True))
    np.testing.assert_allclose(y, np.repeat(y[:, :1], 12, axis=1), atol=1e-6)
    plain = keras.ops.convert_to_numpy(layer(np.ones((BATCH, 12, INPUT), "float32")))
    assert abs(y - plain).max() > 1e-3  # there was a mask
    again = keras.ops.convert_to_numpy(layer(np.ones((BATCH, 12, INPUT), "float32"), training=True))
    assert abs(y - again).max() > 1e-3  # another at each call
