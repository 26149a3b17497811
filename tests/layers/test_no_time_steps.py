"""Sequences without any time step: nothing is read, nothing is said, the states stay."""

import keras
import numpy as np
import pytest

from kerasrnn import cells, layers
from tests.backends import (
    MODES,
    arrays,
    assert_close,
    differentiated,
    value_and_gradients,
    weighted_sum,
)
from tests.layers.common import BATCH, INPUT, UNITS, draw
from tests.layers.test_user_cells import LeakyCell, TwoRatesCell
from tests.oracles import CELLS

X = np.zeros((BATCH, 0, INPUT), "float32")
NO_MASK = np.zeros((BATCH, 0), bool)
OPTIONS = {
    "plain": {},
    "backwards": {"go_backwards": True},
    "unrolled": {"unroll": True},
    "segments": {"segment_length": "sqrt"},
    "zeros": {"zero_output_for_mask": True},
}


def recurrent(name, **options):
    if name in CELLS:
        return getattr(layers, CELLS[name].layer)(UNITS, **options)
    if name == "no derivative":
        return layers.GRU(UNITS, activation="gelu", **options)
    made = {
        "own cell": lambda: LeakyCell(UNITS),
        "other output": lambda: TwoRatesCell(UNITS),
        "stacked": lambda: [cells.LSTMCell(UNITS), cells.GRUCell(UNITS)],
        "Keras's cell": lambda: keras.layers.GRUCell(UNITS),
    }
    return layers.RNN(made[name](), **options)


NAMES = [*CELLS, "no derivative", "own cell", "other output", "stacked", "Keras's cell"]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_states_stay_and_outputs_are_zero(name, option, rng):
    if option == "segments" and name in ("stacked", "Keras's cell"):
        pytest.skip("these cells have no segments")
    for mask in (None, NO_MASK):
        for sequences in (False, True):
            layer = recurrent(
                name, return_state=True, return_sequences=sequences, **OPTIONS[option]
            )
            layer.build((BATCH, None, INPUT))
            start = keras.tree.map_structure(
                lambda x: draw(rng, *x.shape), layer.get_initial_state(BATCH)
            )
            output, *states = layer(X, initial_state=start, mask=mask)
            expected = (BATCH, 0, UNITS) if sequences else (BATCH, UNITS)
            assert_close(output, np.zeros(expected), 0)
            assert_close(states, start, 0)


@pytest.mark.parametrize("name", ["lstm", "stacked"])
def test_a_stateful_layer_keeps_its_states(name, rng):
    layer = recurrent(name, stateful=True)
    layer(draw(rng, BATCH, 3, INPUT))
    before = arrays(layer.states)
    layer(X)
    assert_close(layer.states, before, 0)


def test_dropout():
    layer = layers.GRU(UNITS, dropout=0.5, recurrent_dropout=0.5, return_sequences=True)
    assert tuple(layer(X, training=True).shape) == (BATCH, 0, UNITS)


@pytest.mark.parametrize("sequences", [False, True])
def test_layers_of_layers(sequences):
    for layer, width in (
        (layers.Bidirectional(layers.LSTM(UNITS, return_sequences=sequences)), 2 * UNITS),
        (layers.DeepRNN("gru", UNITS, 2, return_sequences=sequences), UNITS),
    ):
        for mask in (None, NO_MASK):
            expected = (BATCH, 0, width) if sequences else (BATCH, width)
            assert_close(layer(X, mask=mask), np.zeros(expected), 0)


@pytest.mark.parametrize(
    "attention", [layers.BahdanauAttention(4), layers.LuongAttention()], ids=["additive", "product"]
)
def test_attention_to_nothing(attention, rng):
    for query in (draw(rng, BATCH, 3), draw(rng, BATCH, 2, 3), draw(rng, BATCH, 0, 3)):
        for mask in (None, NO_MASK):
            context, weights = attention(query, X, mask=mask)
            assert_close(context, np.zeros((*query.shape[:-1], INPUT)), 0)
            assert tuple(weights.shape) == (*query.shape[:-1], 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("masked", [False, True], ids=["no mask", "mask"])
@pytest.mark.parametrize(
    "name", ["lstm", "segments", "no derivative", "own cell", "both", "stacked"]
)
@pytest.mark.slow
def test_gradients_where_only_the_graph_knows_the_length(name, masked, mode, rng):
    """What nothing was read with has no gradient, and the same graph reads what has steps."""
    if mode == "xla" and name in ("no derivative", "own cell", "stacked"):
        pytest.skip("XLA differentiates no loop whose length it is not told")
    if mode != "eager" and masked and name in ("no derivative", "both"):
        pytest.skip("with a mask these run as the own cell and the LSTM do")
    layer = {
        "segments": lambda: layers.LSTM(UNITS, segment_length="sqrt"),
        "both": lambda: layers.Bidirectional(layers.GRU(UNITS)),
    }.get(name, lambda: recurrent(name))()
    layer.return_sequences = False
    layer.build((BATCH, None, INPUT))
    factors = [draw(rng, BATCH, 2 * UNITS if name == "both" else UNITS)]

    def loss(x, mask):
        return weighted_sum(layer(x, mask=mask if masked else None), factors)

    signature = [((None, None, INPUT), "float32"), ((None, None), "bool")]
    function = differentiated(loss, layer.trainable_variables, mode, signature)
    value, gradients = function(X, NO_MASK)
    assert value == 0.0  # with random factors, of an output that is zero
    assert all(not np.any(g) for g in gradients[: len(layer.trainable_variables)])
    if mode != "eager":  # the same graph reads sequences that have steps
        x, mask = draw(rng, BATCH, 4, INPUT), np.ones((BATCH, 4), bool)
        expected, truth = value_and_gradients(loss, layer.trainable_variables, [x, mask])
        value, gradients = function(x, mask)
        assert value == pytest.approx(expected, abs=1e-5)
        assert_close(gradients, truth)
