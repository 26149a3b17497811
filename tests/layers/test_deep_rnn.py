"""`DeepRNN` against the equations, and against layers stacked by hand."""

import keras
import numpy as np
import pytest

from kerasrnn import layers
from tests.backends import COMPILED, arrays, assert_close, assign, compiled
from tests.layers.common import BATCH, INPUT, MASKS, TIME, TRIED, UNITS, draw
from tests.oracles import CELLS, deep_outputs, random_weights


def make(oracle, rng, depth, bidirectional=False, merge_mode="concat", **options):
    layer = layers.DeepRNN(
        oracle.name,
        UNITS,
        depth=depth,
        bidirectional=bidirectional,
        merge_mode=merge_mode,
        **options,
    )
    layer.build((BATCH, TIME, INPUT))
    weights, width = [], INPUT
    for _ in range(depth):
        for _ in range(1 + bidirectional):
            weights += random_weights(oracle, width, UNITS, rng)
        width = 2 * UNITS if bidirectional and merge_mode == "concat" else UNITS
    assign(layer, weights)
    return layer, weights


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("name", CELLS)
def test_follows_the_equations(name, depth, bidirectional, rng):
    oracle = CELLS[name]
    x = draw(rng, BATCH, TIME, INPUT)
    for options in ({}, {"return_state": True}, {"return_sequences": False, "return_state": True}):
        layer, weights = make(oracle, rng, depth, bidirectional, **options)
        for mask in list(TRIED.values())[-2:]:
            expected = deep_outputs(
                oracle, x, weights, depth=depth, bidirectional=bidirectional, mask=mask, **options
            )
            assert_close(layer(x, mask=mask), expected if len(expected) > 1 else expected[0])


@pytest.mark.parametrize("merge_mode", ["sum", "mul", "ave"])
def test_merging(merge_mode, rng):
    oracle = CELLS["gru"]
    layer, weights = make(oracle, rng, 2, True, merge_mode)
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["holes"]
    expected = deep_outputs(
        oracle, x, weights, depth=2, bidirectional=True, merge_mode=merge_mode, mask=mask
    )
    assert_close([layer(x, mask=mask)], expected)


@pytest.mark.parametrize("name", CELLS)
def test_equals_layers_stacked_by_hand(name, rng):
    oracle = CELLS[name]
    deep, weights = make(oracle, rng, 2, True)
    layer_class = getattr(layers, oracle.layer)
    stack = [layers.Bidirectional(layer_class(UNITS, return_sequences=True)) for _ in range(2)]
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["left padding"]
    y = x
    for number, layer in enumerate(stack):
        layer.build(y.shape)
        assign(layer, weights[6 * number : 6 * number + 6])
        y = layer(y, mask=mask)
    assert_close(deep(x, mask=mask), y, 1e-6)


@pytest.mark.parametrize("mode", COMPILED[:1])
@pytest.mark.parametrize("name", ["simple", "lstm"])  # of one state and of two
def test_compiled(name, mode, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, 2, True)
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["an empty row"]
    run = compiled(lambda x, mask: layer(x, mask=mask), mode)
    expected = deep_outputs(oracle, x, weights, depth=2, bidirectional=True, mask=mask)
    assert_close([run(*map(keras.ops.convert_to_tensor, [x, mask]))], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_states_returned_can_be_given_back(bidirectional, rng):
    """The end of one half is the beginning of the other."""
    layer, _ = make(CELLS["lstm"], rng, 2, bidirectional, return_state=True)
    x = draw(rng, BATCH, 2 * TIME, INPUT)
    _, *states = layer(x[:, :TIME])
    continued = layer(x[:, TIME:], initial_state=list(states))
    assert len(states) == 4 * (1 + bidirectional)
    if not bidirectional:
        assert_close(continued[0], keras.ops.convert_to_numpy(layer(x)[0])[:, TIME:])
        assert_close(continued[1:], layer(x)[1:])
    else:
        assert abs(arrays(continued)[0] - arrays(layer(x[:, TIME:]))[0]).max() > 1e-4


def test_dropout_between_layers(rng):
    layer, _ = make(CELLS["gru"], rng, 3, layer_dropout=0.5)
    x = draw(rng, BATCH, TIME, INPUT)
    plain = arrays(layer(x))[0]
    np.testing.assert_array_equal(plain, arrays(layer(x, training=False))[0])
    first, second = (arrays(layer(x, training=True))[0] for _ in range(2))
    assert abs(first - plain).max() > 1e-3
    assert abs(first - second).max() > 1e-3


def test_dropout_between_layers_means_nothing_with_one_layer_and_reaches_cells_otherwise(rng):
    x = draw(rng, BATCH, TIME, INPUT)
    single, weights = make(CELLS["gru"], rng, 1, layer_dropout=0.5)
    plain = deep_outputs(CELLS["gru"], x, weights, depth=1)
    assert_close([single(x, training=True)], plain)
    for argument in ("dropout", "recurrent_dropout"):
        layer, weights = make(CELLS["gru"], rng, 1, **{argument: 0.5})
        plain = deep_outputs(CELLS["gru"], x, weights, depth=1)
        assert abs(arrays(layer(x, training=True))[0] - plain[0]).max() > 1e-3
        assert_close([layer(x)], plain)


def test_layers_draw_different_masks_with_one_seed(rng):
    """A seed makes a run repeatable, not every layer alike."""
    runs = []
    for _ in range(2):
        layer, _ = make(
            CELLS["lstm"], np.random.default_rng(0), 2, dropout=0.5, layer_dropout=0.3, seed=4
        )
        runs.append(arrays(layer(np.ones((BATCH, TIME, INPUT), "float32"), training=True))[0])
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"cell": "gru2"}, ["gru2", "simple", "simplified_gru", "gru", "lstm"]),
        ({"depth": 0}, ["depth"]),
        ({"units": 0}, ["units"]),
        ({"merge_mode": "average", "bidirectional": True}, ["merge_mode", "average", "concat"]),
        ({"layer_dropout": 1.5}, ["layer_dropout"]),
        ({"dropout": -0.5}, ["dropout"]),
    ],
    ids=str,
)
def test_bad_arguments_are_named(arguments, parts):
    with pytest.raises((ValueError, TypeError)) as error:
        layers.DeepRNN(**{"cell": "lstm", "units": 4, **arguments})
    for part in parts:
        assert part in str(error.value)
