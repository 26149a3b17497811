"""`LSTM`, `SimpleRNN` and `GRU` against Keras's own layers with ported weights."""

import keras
import numpy as np
import pytest

from kerasrnn import layers
from tests.backends import BACKEND, assert_close, assign
from tests.layers.common import BATCH, INPUT, MASKS, TIME, TRIED, UNITS, draw, make
from tests.oracles import CELLS

SHARED = ["simple", "gru", "lstm"]


def keras_layer(oracle, weights, **options):
    """Keras's layer with the weights of ours; its z is 1 − Γu, so that gate is negated."""
    if oracle.name == "gru":
        options["reset_after"] = False
        weights = [w.copy() for w in weights]
        for w in weights:
            w[..., :UNITS] *= -1
    layer = getattr(keras.layers, oracle.layer)(UNITS, **options)
    layer.build((BATCH, TIME, INPUT))
    assign(layer, weights)
    return layer


@pytest.mark.parametrize("mask", TRIED, ids=lambda m: m.replace(" ", "-"))
@pytest.mark.parametrize("name", SHARED)
def test_every_option(name, mask, rng):
    oracle, mask = CELLS[name], MASKS[mask]
    x = draw(rng, BATCH, TIME, INPUT)
    start = [draw(rng, BATCH, UNITS) for _ in range(oracle.states)]
    for options in (
        {},
        {"return_sequences": True},
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"return_state": True, "zero_output_for_mask": True},
        {"return_sequences": True, "zero_output_for_mask": True, "use_bias": False},
    ):
        ours, weights = make(oracle, rng, **options)
        theirs = keras_layer(oracle, weights, **options)
        assert_close(ours(x, mask=mask), theirs(x, mask=mask))
        if BACKEND == "jax" and mask is not None:
            continue  # on JAX, Keras shows the initial state before the first unmasked step
        expected = theirs(x, mask=mask, initial_state=start)
        assert_close(ours(x, mask=mask, initial_state=start), expected)


@pytest.mark.parametrize("mask", TRIED, ids=lambda m: m.replace(" ", "-"))
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name", SHARED)
def test_bidirectional(name, sequences, mask, rng):
    oracle, mask = CELLS[name], MASKS[mask]
    x = draw(rng, BATCH, TIME, INPUT)
    options = {"return_sequences": sequences, "return_state": True}
    inner, weights = make(oracle, rng, **options)
    ours = layers.Bidirectional(inner)
    theirs = keras.layers.Bidirectional(keras_layer(oracle, weights, **options))
    ours.build(x.shape)
    theirs.build(x.shape)
    both = [*weights, *(draw(rng, *w.shape) for w in weights)]
    assign(ours, both)
    if name == "gru":
        both = [w.copy() for w in both]
        for w in both:
            w[..., :UNITS] *= -1
    assign(theirs, both)
    assert_close(ours(x, mask=mask), theirs(x, mask=mask))


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.slow
def test_a_network_trains_alike(name, rng):
    """Ten optimiser steps from the same weights end at the same weights."""
    oracle = CELLS[name]
    x, y = draw(rng, 16, TIME, INPUT), draw(rng, 16, UNITS)
    ours, weights = make(oracle, rng)
    theirs = keras_layer(oracle, weights)
    results = []
    for layer in (ours, theirs):
        model = keras.Sequential([keras.Input((TIME, INPUT)), layer])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(x, y, batch_size=8, epochs=5, shuffle=False, verbose=0)
        results.append([w.copy() for w in layer.get_weights()[: len(weights)]])
    if name == "gru":
        for w in results[1]:
            w[..., :UNITS] *= -1
    assert_close(*results, 1e-5)


@pytest.mark.parametrize("name", SHARED)
def test_a_configuration_of_keras_is_understood(name):
    oracle = CELLS[name]
    options = {"reset_after": False} if name == "gru" else {}
    theirs = getattr(keras.layers, oracle.layer)(
        UNITS, dropout=0.1, kernel_regularizer="l2", return_sequences=True, **options
    )
    ours = getattr(layers, oracle.layer).from_config(theirs.get_config())
    assert ours.cell.units == UNITS and ours.return_sequences and ours.cell.dropout == 0.1
    assert isinstance(ours.cell.kernel_regularizer, keras.regularizers.L2)


@pytest.mark.parametrize("name", SHARED)
def test_weight_names_and_shapes_are_those_of_keras(name, rng):
    oracle = CELLS[name]
    ours, weights = make(oracle, rng, name="layer")
    theirs = keras_layer(oracle, weights, name="layer")
    assert [w.path for w in ours.trainable_variables] == [
        w.path for w in theirs.trainable_variables
    ]
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]


def test_keras_weights_files_load_into_ours(rng, tmp_path):
    """A model saved with Keras's LSTM becomes one with ours."""
    models = []
    for module in (keras.layers, layers):
        inputs = keras.Input((None, INPUT))
        y = module.LSTM(UNITS, return_sequences=True, name="lstm")(inputs)
        y = module.Bidirectional(module.LSTM(UNITS), name="both")(y)
        models.append(keras.Model(inputs, y))
    theirs, ours = models
    theirs.save_weights(tmp_path / "model.weights.h5")
    ours.load_weights(tmp_path / "model.weights.h5")
    x = draw(rng, BATCH, TIME, INPUT)
    assert_close(ours(x), theirs(x))


def test_values_of_another_type_of_input(rng):
    """Integers and doubles are cast to the layer's type, as Keras does."""
    ours, weights = make(CELLS["lstm"], rng)
    theirs = keras_layer(CELLS["lstm"], weights)
    for x in (np.ones((2, 3, INPUT), "float64"), np.ones((2, 3, INPUT), "float16")):
        assert_close(ours(x), theirs(x))
