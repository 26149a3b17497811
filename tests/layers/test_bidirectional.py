"""`Bidirectional` against the equations: merging, states, masks, other backward layers."""

import gc

import keras
import numpy as np
import pytest
from keras.src.saving.serialization_lib import ObjectSharingScope

from kerasrnn import cells, layers
from tests.backends import COMPILED, assert_close, assign, compiled
from tests.layers.common import BATCH, INPUT, MASKS, TIME, TRIED, UNITS, draw
from tests.oracles import CELLS, bidirectional_outputs, random_weights

MERGES = ["concat", "sum", "mul", "ave", None]


def make(oracle, rng, merge_mode="concat", **options):
    layer = layers.Bidirectional(
        getattr(layers, oracle.layer)(UNITS, **options), merge_mode=merge_mode
    )
    layer.build((BATCH, TIME, INPUT))
    both = [random_weights(oracle, INPUT, UNITS, rng) for _ in range(2)]
    assign(layer, [*both[0], *both[1]])
    return layer, both


@pytest.mark.parametrize("merge_mode", MERGES)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_merging_under_every_mask(name, merge_mode, rng):
    oracle = CELLS[name]
    x = draw(rng, BATCH, TIME, INPUT)
    start = [draw(rng, BATCH, UNITS) for _ in range(2 * oracle.states)]
    every = [
        {"return_sequences": True, "return_state": True},
        {},
        {"return_sequences": True},
        {"return_state": True},
    ]
    for options in every[: 4 if merge_mode in ("concat", None) else 2]:
        layer, both = make(oracle, rng, merge_mode, **options)
        for number, mask in enumerate(TRIED.values()):
            initial_state = (None, start)[number % 2]
            expected = bidirectional_outputs(
                oracle,
                x,
                *both,
                merge_mode=merge_mode,
                mask=mask,
                initial_state=initial_state,
                **options,
            )
            assert_close(layer(x, mask=mask, initial_state=initial_state), expected)


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_compiled(name, mode, rng):
    oracle = CELLS[name]
    layer, both = make(oracle, rng, return_sequences=True)
    x = draw(rng, BATCH, TIME, INPUT)
    run = compiled(lambda x, mask: layer(x, mask=mask), mode)
    for mask in list(MASKS.values())[1:]:
        actual = run(*map(keras.ops.convert_to_tensor, [x, mask]))
        assert_close(
            [actual], bidirectional_outputs(oracle, x, *both, return_sequences=True, mask=mask)
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", CELLS)
def test_batch_and_time_known_only_at_run_time(name, rng):
    oracle = CELLS[name]
    layer, both = make(oracle, rng, return_sequences=True)
    signature = [((None, None, INPUT), "float32"), ((None, None), "bool")]
    run = compiled(lambda x, mask: layer(x, mask=mask), "graph", signature)
    for batch, time in [(1, 1), (4, 7)]:
        x, mask = draw(rng, batch, time, INPUT), rng.random((batch, time)) < 0.6
        expected = bidirectional_outputs(oracle, x, *both, return_sequences=True, mask=mask)
        assert_close([run(x, mask)], expected)


def test_a_backward_layer_of_another_kind(rng):
    forward, backward = CELLS["lstm"], CELLS["gru"]
    layer = layers.Bidirectional(
        layers.LSTM(UNITS, return_sequences=True),
        backward_layer=layers.GRU(UNITS, return_sequences=True, go_backwards=True),
    )
    layer.build((BATCH, TIME, INPUT))
    first = random_weights(forward, INPUT, UNITS, rng)
    second = random_weights(backward, INPUT, UNITS, rng)
    assign(layer, [*first, *second])
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["holes"]
    y, _ = forward.run(x, first, mask=mask, zero_output_for_mask=True)
    z, _ = backward.run(x, second, mask=mask, zero_output_for_mask=True, go_backwards=True)
    assert_close(layer(x, mask=mask), np.concatenate([y, z[:, ::-1]], axis=-1))


def test_a_backward_layer_of_another_width(rng):
    layer = layers.Bidirectional(
        layers.LSTM(UNITS), backward_layer=layers.LSTM(UNITS + 2, go_backwards=True)
    )
    assert tuple(layer(draw(rng, BATCH, TIME, INPUT)).shape) == (BATCH, 2 * UNITS + 2)
    assert tuple(layer.compute_output_shape((BATCH, TIME, INPUT))) == (BATCH, 2 * UNITS + 2)


def test_wraps_an_rnn_of_a_cell_and_a_layer_of_keras(rng):
    oracle = CELLS["lstm"]
    both = [random_weights(oracle, INPUT, UNITS, rng) for _ in range(2)]
    x = draw(rng, BATCH, TIME, INPUT)
    expected = bidirectional_outputs(oracle, x, *both, return_sequences=True)
    for inner in (
        layers.RNN(cells.LSTMCell(UNITS), return_sequences=True),
        keras.layers.RNN(cells.LSTMCell(UNITS), return_sequences=True),
        keras.layers.LSTM(UNITS, return_sequences=True),
    ):
        layer = layers.Bidirectional(inner)
        layer.build(x.shape)
        assign(layer, [*both[0], *both[1]])
        assert_close([layer(x)], expected)


def test_inside_keras_bidirectional(rng):
    oracle = CELLS["simplified_gru"]
    both = [random_weights(oracle, INPUT, UNITS, rng) for _ in range(2)]
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["left padding"]
    layer = keras.layers.Bidirectional(layers.SimplifiedGRU(UNITS, return_sequences=True))
    layer.build(x.shape)
    assign(layer, [*both[0], *both[1]])
    expected = bidirectional_outputs(oracle, x, *both, return_sequences=True, mask=mask)
    assert_close([layer(x, mask=mask)], expected)


def test_dropout_differs_between_the_directions(rng):
    """Two seeds: one mask for both directions would halve the noise that dropout is for."""
    layer = layers.Bidirectional(
        layers.SimpleRNN(
            40, activation="linear", dropout=0.5, recurrent_initializer="zeros", use_bias=False
        ),
        merge_mode=None,
    )
    layer.build((4, 1, 40))
    assign(layer, [np.eye(40, dtype="float32"), np.zeros((40, 40), "float32")] * 2)
    forward, backward = layer(np.ones((4, 1, 40), "float32"), training=True)
    forward, backward = map(keras.ops.convert_to_numpy, (forward, backward))
    assert (forward != backward).any()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError) as error:
        layers.Bidirectional(layers.LSTM(3), merge_mode="average")
    for part in ("merge_mode", "average", "concat", "sum", "mul", "ave"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="go_backwards"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))
    with pytest.raises(ValueError, match="return_sequences"):
        layers.Bidirectional(
            layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True)
        )
    with pytest.raises(ValueError, match=r"(?i)layer"):
        layers.Bidirectional("lstm")


@pytest.mark.parametrize("merge_mode", MERGES)
@pytest.mark.parametrize("names", [("lstm", "gru"), ("simple", "lstm")], ids="-".join)
def test_states_of_two_kinds_of_layers(names, merge_mode, rng):
    """What is returned is what is taken: the states of each direction are its own."""
    options = {"return_sequences": True, "return_state": True}
    forward, backward = (getattr(layers, CELLS[name].layer)(UNITS, **options) for name in names)
    alone = type(backward)(UNITS, **options)
    backward = type(backward)(UNITS, go_backwards=True, **options)
    layer = layers.Bidirectional(forward, merge_mode=merge_mode, backward_layer=backward)
    layer.build((BATCH, TIME, INPUT))
    alone.build((BATCH, TIME, INPUT))
    for a, b in zip(alone.weights, layer.backward_layer.weights, strict=True):
        a.assign(b)
    x = draw(rng, BATCH, TIME, INPUT)
    outputs = 2 if merge_mode is None else 1
    _, *states = layer(x)
    states = states[outputs - 1 :]
    assert len(states) == CELLS[names[0]].states + CELLS[names[1]].states
    _, *again = layer(x, initial_state=states)
    own = CELLS[names[0]].states
    _, *ahead = layer.forward_layer(x, initial_state=states[:own])
    _, *behind = alone(x[:, ::-1], initial_state=states[own:])
    assert_close(again[outputs - 1 :], [*ahead, *behind])
    copy = layers.Bidirectional.from_config(layer.get_config())
    copy.build((BATCH, TIME, INPUT))
    copy.set_weights(layer.get_weights())
    assert_close(copy(x, initial_state=states), layer(x, initial_state=states))
    with pytest.raises(ValueError, match=r"initial_state.*3 tensors.*Received 4"):
        layer(x, initial_state=[*states, states[0]])


@pytest.mark.slow
def test_layers_are_not_taken_for_others_that_were_at_their_address_while_a_model_is_loaded():
    gc.collect()
    gc.freeze()  # so that collecting is fast
    try:
        with ObjectSharingScope():  # in which Keras makes the layers of a model that it loads
            made = []
            for _ in range(60):
                made.append(layers.Bidirectional(layers.LSTM(2)))
                gc.collect()
    finally:
        gc.unfreeze()
    parts = [part for layer in made for part in (layer.forward_layer, layer.backward_layer)]
    assert len({id(part) for part in parts}) == 120
