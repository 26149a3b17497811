"""What a watched layer puts out is what it puts out unwatched."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import tree

from kerasrnn import cells, layers
from kerasrnn.lens.probing import chosen_layers, probing, recurrent_layers
from tests.lens.precision import precision

X = np.random.default_rng(0).normal(size=(3, 6, 4))
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1], [1] * 6], bool)
CELL_LAYERS = [
    layers.SimpleRNN,
    layers.SimplifiedGRU,
    layers.GRU,
    layers.LSTM,
    keras.layers.SimpleRNN,
    keras.layers.GRU,
    keras.layers.LSTM,
]


@pytest.fixture(autouse=True)
def doubles():
    with precision("float64"):
        yield


class OwnCell(keras.layers.Layer):
    """A cell of a user: its output is none of its states."""

    state_size = (3, 3)
    output_size = 3

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3), name="w")

    def call(self, inputs, states):
        a, b = states
        new = keras.ops.tanh(keras.ops.matmul(inputs, self.w) + a * b)
        return new * 2, [new, a]


class OwnGRUCell(cells.GRUCell):
    """A cell with an equation of its own."""

    def update(self, gates, states):
        a = gates.update * gates.candidate
        return a, (a,)


def units(cls, **options):
    return cls(5, bias_initializer="random_normal", return_state=True, **options)


def layer_kinds():
    kinds = {}
    for cls in CELL_LAYERS:
        where = cls.__module__.partition(".")[0]
        for name, options in {
            "sequences": {"return_sequences": True},
            "last": {},
            "backwards": {"go_backwards": True, "return_sequences": True},
            "zeros": {"zero_output_for_mask": True, "return_sequences": True},
            "unrolled": {"unroll": True},
            "no bias": {"use_bias": False},
        }.items():
            kinds[f"{where} {cls.__name__} {name}"] = lambda c=cls, o=options: units(c, **o)
    for reset_after in (True, False):
        kinds[f"GRU reset_after={reset_after}"] = lambda r=reset_after: units(
            keras.layers.GRU, reset_after=r, use_bias=r
        )
    kinds["two"] = lambda: layers.Bidirectional(units(layers.LSTM, return_sequences=True))
    kinds["two of Keras"] = lambda: keras.layers.Bidirectional(units(keras.layers.LSTM))
    kinds["ours in Keras's"] = lambda: keras.layers.Bidirectional(units(layers.GRU))
    kinds["deep"] = lambda: layers.DeepRNN("lstm", 5, depth=2, bidirectional=True)
    kinds["segments"] = lambda: layers.RNN(cells.LSTMCell(5), segment_length=2)
    kinds["own cell"] = lambda: keras.layers.RNN(OwnCell(), return_sequences=True)
    kinds["own cell here"] = lambda: layers.RNN(OwnCell(), return_sequences=True)
    kinds["own equation"] = lambda: layers.RNN(OwnGRUCell(3), return_sequences=True)
    for package in (keras.layers, layers):
        for number in (1, 2):
            kinds[f"stack of {number} in {package.__name__}"] = lambda p=package, n=number: p.RNN(
                [keras.layers.LSTMCell(5), keras.layers.GRUCell(3)][:n], return_state=True
            )
    kinds["stack of ours"] = lambda: layers.RNN([cells.GRUCell(3), cells.LSTMCell(2)])
    return kinds


KINDS = layer_kinds()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_watched_layer_returns_what_it_returns(kind, masked):
    if masked and kind.startswith("stack of 1"):
        pytest.skip("Keras runs no stack of one cell with two states under a mask")
    layer, mask = KINDS[kind](), MASK if masked else None
    expected = tree.flatten(layer(X, mask=mask))
    for weight in layer.weights:
        weight.assign(weight + 0.1 * np.random.default_rng(1).normal(size=weight.shape))
    expected = tree.flatten(layer(X, mask=mask))
    with probing(layer, recurrent_layers(layer), keep=("states", "gates")) as probe:
        received = tree.flatten(layer(X, mask=mask))
    assert probe.readings
    for one, other in zip(expected, received, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)
    for one, other in zip(expected, tree.flatten(layer(X, mask=mask)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_states_are_in_the_order_of_time_whatever_the_order_of_reading():
    layer = layers.GRU(5, return_sequences=True, go_backwards=True)
    outputs = np.array(layer(X))[:, ::-1]
    with probing(layer, recurrent_layers(layer), keep=("states",)) as probe:
        layer(X)
    (reading,) = probe.readings
    assert reading.backward
    np.testing.assert_allclose(np.swapaxes(reading.states[0], 0, 1), outputs, atol=1e-14)


def test_nothing_is_left_behind_also_after_an_error():
    model = keras.Sequential([keras.Input((6, 4)), layers.Bidirectional(layers.LSTM(3))])
    wrapper = model.layers[0]
    parts = [model, wrapper, wrapper.forward_layer, wrapper.backward_layer]
    before = [dict(vars(part)) for part in parts]
    with pytest.raises(ZeroDivisionError), probing(model, recurrent_layers(model)):
        model(X)
        raise ZeroDivisionError
    for part, attributes in zip(parts, before, strict=True):
        assert vars(part).keys() == attributes.keys()
        assert not {"call", "inner_loop"} & vars(part).keys()


def test_a_stateful_layer_keeps_its_states():
    for cls in (layers.LSTM, keras.layers.LSTM):
        layer = cls(3, stateful=True)
        layer(X)
        before = [np.array(state) for state in layer.states]
        with probing(layer, recurrent_layers(layer)):
            layer(X)
        for state, old in zip(layer.states, before, strict=True):
            np.testing.assert_array_equal(state, old)
        again = np.array(layer(X))
        for state, old in zip(layer.states, before, strict=True):
            state.assign(old)
        np.testing.assert_array_equal(layer(X), again)


def test_other_threads_run_the_model_as_it_is():
    layer = layers.GRU(3)
    layer(X)
    with probing(layer, recurrent_layers(layer)) as probe:
        other = threading.Thread(target=lambda: layer(X))
        other.start()
        other.join()
        assert probe.readings == []
        layer(X)
    assert len(probe.readings) == 1


def test_a_layer_that_is_called_again_has_a_number():
    layer = keras.layers.GRU(4, return_sequences=True, name="twice")
    inputs = keras.Input((6, 4))
    model = keras.Model(inputs, layer(layer(inputs)))
    with probing(model, recurrent_layers(model)) as probe:
        model(X)
    assert [reading.name for reading in probe.readings] == ["twice", "twice (2)"]


def test_layers_are_found_however_deep():
    inner = keras.Sequential([keras.Input((6, 4)), layers.LSTM(3, return_sequences=True)])
    inner.layers[0].name = "inside"

    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.inner = inner
            self.both = keras.layers.Bidirectional(keras.layers.GRU(2, name="gru"), name="both")

        def call(self, inputs):
            return self.both(self.inner(inputs))

    model = Own()
    model(X)
    inside = inner.name + "/inside"
    assert [place.name for place in recurrent_layers(model)] == [
        inside,
        "both/forward_gru",
        "both/backward_gru",
    ]
    assert [place.name for place in chosen_layers(model, "inside")] == [inside]
    assert len(chosen_layers(model, "both")) == len(chosen_layers(model, model.both)) == 2
    assert [p.name for p in chosen_layers(model, model.both.backward_layer)] == [
        "both/backward_gru"
    ]
    with pytest.raises(ValueError, match=r"'both/forward_gru', .*Received: layer='gru'"):
        chosen_layers(model, "gru")


def test_a_model_that_does_not_recur_is_refused_with_what_it_has():
    model = keras.Sequential([keras.Input((6, 4)), keras.layers.Dense(2, name="scores")])
    with pytest.raises(ValueError, match=r"must have a recurrent layer.*scores \(Dense\)"):
        recurrent_layers(model)
    with pytest.raises(TypeError, match=r"must be a Keras model.*int"):
        recurrent_layers(3)


def test_a_hierarchy_of_time_is_watched_too():
    model = keras.Sequential(
        [
            keras.Input((2, 6, 4)),
            keras.layers.TimeDistributed(keras.layers.GRU(3, name="gru"), name="each"),
            keras.layers.LSTM(2, name="lstm"),
        ]
    )
    x = np.stack([X, X[:, ::-1]], axis=1)
    expected = model(x)
    with probing(model, recurrent_layers(model)) as probe:
        np.testing.assert_allclose(model(x), expected, atol=1e-14)
    assert [reading.name for reading in probe.readings] == [
        "each/gru",
        "each/gru (2)",
        "lstm",
    ]


def test_it_can_be_traced():
    model = keras.Sequential([keras.Input((6, 4)), layers.LSTM(3)])

    @tf.function
    def states(x):
        with probing(model, recurrent_layers(model), keep=("states",)) as probe:
            model(x)
        return probe.readings[0].states

    a, _ = states(tf.constant(X))
    np.testing.assert_allclose(a[-1], model(X), atol=1e-14)


def test_a_call_that_is_a_function_of_tensorflow_is_watched():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.gru = layers.GRU(3, name="gru")

        @tf.function
        def call(self, inputs):
            return self.gru(inputs)

    model = Own()
    expected = model(X)
    with probing(model, recurrent_layers(model)) as probe:
        np.testing.assert_allclose(model(X), expected, atol=1e-14)
    assert [reading.name for reading in probe.readings] == ["gru"]
    assert not tf.config.functions_run_eagerly()
