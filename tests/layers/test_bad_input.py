"""Wrong arguments and shapes are refused with an error that names them."""

import contextlib

import numpy as np
import pytest

from kerasrnn import cells, layers
from tests.backends import assert_close, compiled
from tests.layers.common import BATCH, INPUT, TIME, UNITS
from tests.oracles import CELLS


@contextlib.contextmanager
def refused(*parts):
    """A ValueError with these parts in its own words, before Keras appends all arguments."""
    with pytest.raises(ValueError) as error:
        yield
    message = str(error.value).split("Arguments received")[0]
    for part in parts:
        assert str(part) in message, message


@pytest.mark.parametrize("name", CELLS)
def test_shapes(name):
    layer = getattr(layers, CELLS[name].layer)(UNITS)
    with refused("ndim=3"):
        layer(np.zeros((BATCH, INPUT), "float32"))
    layer(np.zeros((BATCH, TIME, INPUT), "float32"))
    with refused(INPUT, INPUT + 1):
        layer(np.zeros((BATCH, TIME, INPUT + 1), "float32"))


@pytest.mark.parametrize("name", CELLS)
def test_masks(name):
    layer = getattr(layers, CELLS[name].layer)(UNITS)
    x = np.zeros((BATCH, TIME, INPUT), "float32")
    for shape in [(BATCH,), (BATCH, TIME + 1), (BATCH + 1, TIME)]:
        with refused("mask", shape):
            layer(x, mask=np.ones(shape, bool))


@pytest.mark.parametrize("name", CELLS)
def test_initial_states(name):
    layer = getattr(layers, CELLS[name].layer)(UNITS)
    x = np.zeros((BATCH, TIME, INPUT), "float32")
    state = np.zeros((BATCH, UNITS), "float32")
    with refused("initial_state", CELLS[name].states, CELLS[name].states + 1):
        layer(x, initial_state=[state] * (CELLS[name].states + 1))
    wrong = np.zeros((BATCH, UNITS + 1), "float32")
    with refused("initial_state", UNITS, UNITS + 1):
        layer(x, initial_state=[wrong] * CELLS[name].states)


@pytest.mark.parametrize("name", CELLS)
def test_no_time_steps(name):
    """Either an error that says so, or nothing happens: the states are those given."""
    layer = getattr(layers, CELLS[name].layer)(UNITS, return_sequences=True, return_state=True)
    layer.build((BATCH, None, INPUT))
    start = [np.full((BATCH, UNITS), 0.5, "float32")] * CELLS[name].states
    try:
        sequence, *states = layer(np.zeros((BATCH, 0, INPUT), "float32"), initial_state=start)
    except ValueError as error:
        assert any(word in str(error) for word in ("time step", "length"))
    else:
        assert tuple(sequence.shape) == (BATCH, 0, UNITS)
        assert_close(states, start, 0)


@pytest.mark.parametrize("name", CELLS)
def test_constructor(name):
    layer_class = getattr(layers, CELLS[name].layer)
    with pytest.raises(ValueError, match="units"):
        layer_class(0)
    with pytest.raises(ValueError, match="dropout"):
        layer_class(4, dropout=2.0)
    with pytest.raises((TypeError, ValueError), match="hidden"):
        layer_class(4, hidden=3)
    with pytest.raises(ValueError, match="softest"):
        layer_class(4, activation="softest")


def test_the_gru_refuses_to_reset_after_the_product():
    with pytest.raises(ValueError, match="reset_after"):
        layers.GRU(4, reset_after=True)


@pytest.mark.tensorflow
def test_unrolling_needs_a_length():
    layer = layers.LSTM(4, unroll=True)
    layer.build((None, None, INPUT))
    run = compiled(layer, "graph", [((None, None, INPUT), "float32")])
    with pytest.raises(ValueError, match="unroll"):
        run(np.zeros((BATCH, TIME, INPUT), "float32"))


def test_rnn_needs_a_cell():
    with pytest.raises((ValueError, TypeError, AttributeError), match="cell"):
        layers.RNN("lstm")
    assert layers.RNN(cells.LSTMCell(4)).cell.units == 4


@pytest.mark.parametrize("length", [0, -2, 1.5, "log"])
def test_segments_have_a_positive_length(length):
    with refused("segment_length", "sqrt", repr(length)):
        layers.LSTM(UNITS, segment_length=length)
