"""Stateful layers: the end of a batch is the beginning of the next."""

import keras
import numpy as np
import pytest

from kerasrnn import cells, layers
from tests.backends import (
    BACKEND,
    COMPILED,
    arrays,
    assert_close,
    assign,
    compiled,
    value_and_gradients,
    weighted_sum,
)
from tests.layers.common import BATCH, INPUT, MASKS, TIME, UNITS, draw, make
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


ANY_LAYER = {
    "SimpleRNN": lambda **k: layers.SimpleRNN(UNITS, **k),
    "SimplifiedGRU": lambda **k: layers.SimplifiedGRU(UNITS, **k),
    "GRU": lambda **k: layers.GRU(UNITS, **k),
    "LSTM": lambda **k: layers.LSTM(UNITS, **k),
    "segments": lambda **k: layers.GRU(UNITS, segment_length=2, **k),
    "RNN": lambda **k: layers.RNN(cells.GRUCell(UNITS), **k),
    "stacked": lambda **k: layers.RNN([cells.GRUCell(UNITS), cells.LSTMCell(UNITS)], **k),
    "Keras's cell": lambda **k: layers.RNN(keras.layers.GRUCell(UNITS), **k),
    "Bidirectional": lambda **k: layers.Bidirectional(layers.LSTM(UNITS, **k)),
    "DeepRNN": lambda **k: layers.DeepRNN("gru", UNITS, 2, bidirectional=True, **k),
}
BOTH_SIZES = f"Expected a batch size of {BATCH}, received"


@pytest.mark.parametrize("name", ANY_LAYER)
def test_another_batch_size_is_refused(name, rng):
    """One row would be repeated for each of the states, or several cut off."""
    layer = ANY_LAYER[name](stateful=True)
    layer(draw(rng, BATCH, TIME, INPUT))
    for rows in (1, BATCH - 1, BATCH + 1):
        with pytest.raises(ValueError, match=f"{BOTH_SIZES} {rows}"):
            layer(draw(rng, rows, TIME, INPUT))
    layer.reset_states()
    with pytest.raises(ValueError, match=f"{BOTH_SIZES} 1"):
        layer(draw(rng, 1, TIME, INPUT))


def test_another_batch_size_is_refused_with_an_initial_state_too(rng):
    layer = layers.LSTM(UNITS, stateful=True)
    layer(draw(rng, BATCH, TIME, INPUT))
    start = [draw(rng, 1, UNITS)] * 2
    with pytest.raises(ValueError, match=f"{BOTH_SIZES} 1"):
        layer(draw(rng, 1, TIME, INPUT), initial_state=start)


@pytest.mark.tensorflow
@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("name", ANY_LAYER)
@pytest.mark.slow
def test_another_batch_size_that_only_the_graph_sees(name, mode, rng):
    if mode == "xla" and name in ("SimpleRNN", "SimplifiedGRU", "GRU", "RNN"):
        pytest.skip("these differ from the LSTM in their cell only")
    layer = ANY_LAYER[name](stateful=True)
    layer(draw(rng, BATCH, TIME, INPUT))
    function = compiled(layer, mode, [((None, None, INPUT), "float32")])
    assert function(draw(rng, BATCH, TIME, INPUT)).shape[0] == BATCH
    with pytest.raises(Exception, match=rf"(?s){BATCH}, received\D+1|\[1,5,4\].*\[{BATCH},"):
        function(draw(rng, 1, TIME, INPUT))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in ANY_LAYER if name != "stacked"])
@pytest.mark.slow
def test_states_of_another_number_of_rows_that_only_the_graph_sees(name, rng):
    """One sequence, and the states of several: not an answer for each of the states."""
    layer = ANY_LAYER[name](return_state=True)
    _, *states = layer(draw(rng, BATCH, TIME, INPUT))
    specs = [((None, None, INPUT), "float32")] + [((None, UNITS), "float32") for _ in states]
    function = compiled(lambda x, *states: layer(x, initial_state=list(states)), "graph", specs)
    function(draw(rng, BATCH, TIME, INPUT), *states)
    with pytest.raises(Exception, match=rf"(?s)batch size of\D+1\D+received\D+{BATCH}"):
        function(draw(rng, 1, TIME, INPUT), *states)


@pytest.mark.skipif(BACKEND == "jax", reason="on JAX, Keras's `predict` drops what a layer changed")
def test_a_smaller_last_batch_of_fit_and_predict(rng):
    inputs = keras.Input(batch_shape=(BATCH, TIME, INPUT))
    model = keras.Model(inputs, layers.GRU(UNITS, stateful=True)(inputs))
    model.compile("sgd", "mse")
    x, y = draw(rng, 2 * BATCH + 1, TIME, INPUT), draw(rng, 2 * BATCH + 1, UNITS)
    sizes = rf"(?s){BATCH}, received\D+1|\[1,5,4\].*\[{BATCH},"
    for run in (
        lambda: model.predict(x, batch_size=BATCH, verbose=0),
        lambda: model.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False),
        lambda: model.evaluate(x, y, batch_size=BATCH, verbose=0),
    ):
        with pytest.raises(Exception, match=sizes):
            run()


@pytest.mark.parametrize("masked", [False, True], ids=["no mask", "mask"])
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "segments", "Bidirectional"])
def test_gradients_are_those_of_the_states_kept_as_initial_states(name, masked, rng):
    layer = ANY_LAYER[name](stateful=True)
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["holes"] if masked else None
    factors = [draw(rng, *layer(x, mask=mask).shape)]
    plain = ANY_LAYER[name]()
    plain.build((BATCH, TIME, INPUT))
    for a, b in zip(plain.trainable_variables, layer.trainable_variables, strict=True):
        a.assign(b)
    kept = arrays(layer.states)
    found, expected = (
        value_and_gradients(
            lambda x, made=made, given=given: weighted_sum(
                made(x, mask=mask, training=True, **given), factors
            ),
            made.trainable_variables,
            [x],
        )
        for made, given in ((layer, {}), (plain, {"initial_state": kept}))
    )
    assert_close(found[0], expected[0])
    assert_close(found[1], expected[1])


def test_stacked_cells_are_reset(rng):
    layer = ANY_LAYER["stacked"](stateful=True)
    x = draw(rng, BATCH, TIME, INPUT)
    first = keras.ops.convert_to_numpy(layer(x))
    assert abs(first - keras.ops.convert_to_numpy(layer(x))).max() > 1e-4
    layer.reset_state()
    assert_close(layer(x), first)
