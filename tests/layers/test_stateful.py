"""Stateful layers: the end of a batch is the beginning of the next."""

import keras
import numpy as np
import pytest

from kerasrnn import layers
from tests.backends import BACKEND, assert_close, assign
from tests.layers.common import BATCH, INPUT, TIME, UNITS, draw, make
from tests.oracles import CELLS, layer_outputs


@pytest.mark.parametrize("name", CELLS)
def test_pieces_equal_the_whole(name, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, stateful=True, return_sequences=True, return_state=True)
    x = draw(rng, BATCH, 3 * TIME, INPUT)
    mask = rng.random((BATCH, 3 * TIME)) < 0.7
    pieces = [
        layer(x[:, t : t + TIME], mask=mask[:, t : t + TIME]) for t in range(0, 3 * TIME, TIME)
    ]
    whole = layer_outputs(oracle, x, weights, mask=mask, return_state=True)
    assert_close(pieces[-1][1:], whole[1:])
    assert_close(list(layer.states), whole[1:])


@pytest.mark.parametrize("name", CELLS)
def test_reset_forgets(name, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, stateful=True)
    x = draw(rng, BATCH, TIME, INPUT)
    first = keras.ops.convert_to_numpy(layer(x))
    second = keras.ops.convert_to_numpy(layer(x))
    assert abs(first - second).max() > 1e-4
    layer.reset_state()
    assert_close(layer(x), first)
    layer.reset_states()  # Keras's other name
    assert_close(layer(x), first)
    assert_close(first, layer_outputs(oracle, x, weights)[0])


@pytest.mark.parametrize("name", CELLS)
def test_inside_a_model(name, rng):
    if BACKEND == "jax":
        pytest.skip("on JAX, Keras's `predict` drops what a layer has changed, its own layers' too")
    oracle = CELLS[name]
    layer = getattr(layers, oracle.layer)(UNITS, stateful=True)
    inputs = keras.Input(batch_shape=(BATCH, TIME, INPUT))
    model = keras.Model(inputs, layer(inputs))
    x = draw(rng, BATCH, 2 * TIME, INPUT)
    model.predict(x[:, :TIME], verbose=0, batch_size=BATCH)
    second = model.predict(x[:, TIME:], verbose=0, batch_size=BATCH)
    weights = [keras.ops.convert_to_numpy(w) for w in layer.trainable_variables]
    assert_close(second, layer_outputs(oracle, x, weights)[0])


def test_an_initial_state_given_goes_before_the_one_kept(rng):
    oracle = CELLS["lstm"]
    layer, weights = make(oracle, rng, stateful=True)
    x = draw(rng, BATCH, TIME, INPUT)
    layer(x)
    start = [draw(rng, BATCH, UNITS) for _ in range(2)]
    assert_close(
        layer(x, initial_state=start), layer_outputs(oracle, x, weights, initial_state=start)
    )


def test_bidirectional(rng):
    oracle = CELLS["gru"]
    inner, weights = make(oracle, rng, stateful=True)
    layer = layers.Bidirectional(inner)
    layer.build((BATCH, TIME, INPUT))
    assign(layer, [*weights, *weights])
    x = draw(rng, BATCH, TIME, INPUT)
    first = keras.ops.convert_to_numpy(layer(x))
    assert abs(first - keras.ops.convert_to_numpy(layer(x))).max() > 1e-4
    layer.reset_state()
    assert_close(layer(x), first)


def test_the_batch_size_must_be_known_and_stay(rng):
    layer = layers.LSTM(UNITS, stateful=True)
    with pytest.raises(ValueError, match="batch"):
        layer.build((None, TIME, INPUT))
    layer = layers.LSTM(UNITS, stateful=True)
    layer(np.zeros((BATCH, TIME, INPUT), "float32"))
    with pytest.raises(ValueError, match="batch"):
        layer(np.zeros((BATCH + 1, TIME, INPUT), "float32"))
