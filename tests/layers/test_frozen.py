"""What is frozen stays frozen: in copies, from configurations and files, and in segments."""

import copy
import pickle

import keras
import numpy as np
import pytest

from kerasrnn import cells, layers
from kerasrnn.layers.parts import parts_of
from tests.backends import (
    BACKEND,
    MODES,
    arrays,
    assert_close,
    value_and_gradients,
    weighted_sum,
)
from tests.layers.common import BATCH, INPUT, MASKS, TIME, UNITS, draw

MADE = {
    "SimpleRNN": lambda **k: layers.SimpleRNN(UNITS, **k),
    "SimplifiedGRU": lambda **k: layers.SimplifiedGRU(UNITS, **k),
    "GRU": lambda **k: layers.GRU(UNITS, **k),
    "LSTM": lambda **k: layers.LSTM(UNITS, **k),
    "RNN": lambda **k: layers.RNN(cells.GRUCell(UNITS), **k),
    "stacked": lambda **k: layers.RNN([cells.GRUCell(UNITS), cells.LSTMCell(UNITS)], **k),
    "one name": lambda **k: layers.RNN([cells.GRUCell(UNITS, name="c") for _ in "ab"], **k),
    "Bidirectional": lambda **k: layers.Bidirectional(layers.LSTM(UNITS), **k),
    "two kinds": lambda **k: layers.Bidirectional(
        layers.LSTM(UNITS), backward_layer=layers.GRU(UNITS, go_backwards=True), **k
    ),
    "DeepRNN": lambda **k: layers.DeepRNN("gru", UNITS, 2, return_sequences=False, **k),
    "deep, both ways": lambda **k: layers.DeepRNN(
        "lstm", UNITS, 2, bidirectional=True, return_sequences=False, **k
    ),
}


def freeze(*path):
    """Freezes what lies at the end of a path of attributes and places in lists."""

    def do(layer):
        for step in path:
            layer = layer[step] if isinstance(step, int) else getattr(layer, step)
        layer.trainable = False

    return do


def freeze_and_thaw_the_top(layer):
    layer.trainable = False
    layer.recurrent_layers[1].trainable = True


FROZEN = {
    **{f"{name}: all": (name, freeze()) for name in MADE},
    "GRU: cell": ("GRU", freeze("cell")),
    "LSTM: cell": ("LSTM", freeze("cell")),
    "RNN: cell": ("RNN", freeze("cell")),
    "stacked: one cell": ("stacked", freeze("cell", "cells", 1)),
    "one name: one cell": ("one name", freeze("cell", "cells", 1)),
    "Bidirectional: forward": ("Bidirectional", freeze("forward_layer")),
    "Bidirectional: backward": ("Bidirectional", freeze("backward_layer")),
    "Bidirectional: a cell": ("Bidirectional", freeze("backward_layer", "cell")),
    "two kinds: backward": ("two kinds", freeze("backward_layer")),
    "DeepRNN: a level": ("DeepRNN", freeze("recurrent_layers", 0)),
    "deep: a direction": ("deep, both ways", freeze("recurrent_layers", 1, "forward_layer")),
    "deep: all but the top": ("deep, both ways", freeze_and_thaw_the_top),
}


def flags(layer):
    return {"": layer.trainable, **{path: part.trainable for path, part in parts_of(layer)}}


def frozen_weights(layer):
    return [not weight.trainable for weight in layer.weights]


def saved(case, path):
    """A model with a layer that is frozen, saved to a file; and that layer."""
    name, set_flags = FROZEN[case]
    inputs = keras.Input((TIME, INPUT))
    layer = MADE[name]()
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    set_flags(layer)
    model.save(path)
    return model, layer


@pytest.mark.parametrize("case", FROZEN)
def test_copies_are_frozen_alike(case, tmp_path):
    model, layer = saved(case, tmp_path / "model.keras")
    alone = type(layer).from_config(layer.get_config())
    alone.build((None, TIME, INPUT))
    copies = {
        "from_config": alone,
        "from_config of that": type(layer).from_config(alone.get_config()),
        "deepcopy": copy.deepcopy(model).layers[1],
        "pickle": pickle.loads(pickle.dumps(model)).layers[1],
        "clone_model": keras.models.clone_model(model).layers[1],
        "load_model": keras.saving.load_model(tmp_path / "model.keras").layers[1],
    }
    copies["from_config of that"].build((None, TIME, INPUT))
    assert any(frozen_weights(layer))
    for way, found in copies.items():
        assert flags(found) == flags(layer), way
        assert frozen_weights(found) == frozen_weights(layer), way


@pytest.mark.parametrize("name", MADE)
def test_the_constructor_freezes_the_parts_too(name):
    layer = MADE[name](trainable=False)
    layer.build((BATCH, TIME, INPUT))
    assert all(frozen_weights(layer)) and not any(flags(layer).values())
    layer.trainable = True
    assert not any(frozen_weights(layer))


@pytest.mark.parametrize("case", ["DeepRNN: all", "deep: a direction", "GRU: cell"])
@pytest.mark.slow
def test_fit_moves_what_learns_and_nothing_else(case, tmp_path, rng):
    _, layer = saved(case, tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.compile("sgd", "mse")
    before = arrays(loaded.layers[1].weights)
    loaded.fit(draw(rng, BATCH, TIME, INPUT), np.ones((BATCH, 1)), verbose=0)
    after = arrays(loaded.layers[1].weights)
    unmoved = [bool((a == b).all()) for a, b in zip(before, after, strict=True)]
    assert unmoved == frozen_weights(layer)


def test_a_part_that_is_not_there_is_refused():
    config = {**layers.DeepRNN("gru", UNITS).get_config(), "trainable_parts": {"layer_7": False}}
    with pytest.raises(ValueError, match=r"trainable_parts.*layer_1.*layer_7"):
        layers.DeepRNN.from_config(config)


# === Segments: their derivative by hand must not meet a variable ===


@keras.saving.register_keras_serializable(package="kerasrnn_tests")
class RatedCell(keras.layers.Layer):
    """A cell of a user's own whose step reads a weight that never learns, and a number."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.own = self.add_weight(shape=(self.units,), name="own", initializer="ones")
        self.rate = self.add_weight(
            shape=(self.units,), name="rate", trainable=False, initializer="ones"
        )
        self.count = self.add_weight(
            shape=(), name="count", trainable=False, initializer="ones", dtype="int32"
        )

    def project(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)

    def step(self, projected, states):
        (a,) = states
        new = keras.ops.tanh(projected + a * self.own)
        a = a + 0.3 * self.rate * (new - a) * keras.ops.cast(self.count, new.dtype)
        return a, (a,)

    def call(self, inputs, states, training=False):
        return self.step(self.project(inputs), states)


SEGMENTED = {
    "gru": lambda **k: layers.GRU(UNITS, return_sequences=True, **k),
    "no derivative": lambda **k: layers.LSTM(UNITS, "gelu", return_sequences=True, **k),
    "own cell": lambda **k: layers.RNN(RatedCell(UNITS), return_sequences=True, **k),
}


@pytest.mark.parametrize("what", ["layer", "layer before it is built", "kernel"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SEGMENTED)
@pytest.mark.slow
def test_segments_of_a_frozen_layer(name, mode, what, rng):
    """The plain way and the one in segments have the same gradients, frozen or not."""
    plain, cut = SEGMENTED[name](), SEGMENTED[name](segment_length=2)
    if what == "layer before it is built":
        if mode != "eager":
            pytest.skip("once it is built it is a layer like any other")
        cut.trainable = False
    for layer in (plain, cut):
        layer.build((BATCH, TIME, INPUT))
    for a, b in zip(plain.weights, cut.weights, strict=True):
        b.assign(a)
    (cut.cell.kernel if what == "kernel" else cut).trainable = False
    x, factors = draw(rng, BATCH, TIME, INPUT), [draw(rng, BATCH, TIME, UNITS)]
    found = []
    for layer, how in ((plain, MODES[-1] if BACKEND == "jax" else "eager"), (cut, mode)):
        weights = [] if BACKEND == "torch" else list(plain_floats(layer))
        found.append(
            value_and_gradients(
                lambda x, layer=layer: weighted_sum(
                    layer(x, mask=MASKS["holes"], training=True), factors
                ),
                weights,
                [x],
                how,
            )
        )
    assert abs(found[0][0] - found[1][0]) < 1e-4
    assert_close(found[1][1], found[0][1], 1e-4)


def plain_floats(layer):
    return (w for w in layer.weights if "float" in w.dtype)


@pytest.mark.parametrize("what", ["layer", "kernel"])
def test_a_frozen_layer_in_segments_predicts_and_is_trained_around(what, rng):
    inputs = keras.Input((TIME, INPUT))
    layer = layers.GRU(UNITS, segment_length="sqrt")
    model = keras.Model(inputs, layer(keras.layers.Dense(INPUT)(inputs)))
    (layer.cell.kernel if what == "kernel" else layer).trainable = False
    model.compile("sgd", "mse")
    x, before = draw(rng, BATCH, TIME, INPUT), arrays(model.weights)
    assert model.predict(x, verbose=0).shape == (BATCH, UNITS)
    model.fit(x, np.ones((BATCH, UNITS)), verbose=0)
    unmoved = [bool((a == b).all()) for a, b in zip(before, arrays(model.weights), strict=True)]
    assert unmoved == [not weight.trainable for weight in model.weights]


class ScaledCell(cells.GRUCell):
    """A cell with its own derivative whose gates read one more weight, which does not learn."""

    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight(shape=(), name="scale", initializer="ones")

    def gates(self, projected, states):
        return super().gates(projected * self.scale, states)

    def step_gradient(self, *arguments):
        return super().step_gradient(*arguments)


@pytest.mark.parametrize("segment_length", [None, 2])
def test_a_further_frozen_weight_of_a_cell_with_its_own_derivative(segment_length, rng):
    layer = layers.RNN(ScaledCell(UNITS), segment_length=segment_length)
    plain = layers.GRU(UNITS)
    for made in (layer, plain):
        made.build((BATCH, TIME, INPUT))
    for a, b in zip(plain.weights, layer.weights, strict=False):
        b.assign(a)
    layer.cell.scale.trainable = False
    x, factors = draw(rng, BATCH, TIME, INPUT), [draw(rng, BATCH, UNITS)]
    found, expected = (
        value_and_gradients(
            lambda x, made=made: weighted_sum(made(x, training=True), factors),
            made.weights[:3],
            [x],
        )
        for made in (layer, plain)
    )
    assert_close(found[1], expected[1])
