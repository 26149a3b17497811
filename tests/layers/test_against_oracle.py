"""Whole sequences through every layer, against the equations in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as random_arrays

from tests.backends import COMPILED, arrays, assert_close, compiled
from tests.layers.common import BATCH, INPUT, MASKS, TIME, TRIED, UNITS, draw, make
from tests.oracles import CELLS, layer_outputs

OPTIONS = [
    {},
    {"return_sequences": True},
    {"return_state": True, "go_backwards": True},
    {"return_sequences": True, "return_state": True, "zero_output_for_mask": True},
    {"return_sequences": True, "return_state": True, "go_backwards": True, "use_bias": False},
    {"return_state": True, "zero_output_for_mask": True, "go_backwards": True},
    {"return_sequences": True, "unroll": True},
    {"return_sequences": True, "return_state": True, "segment_length": 2},
    {"zero_output_for_mask": True, "go_backwards": True, "segment_length": "sqrt"},
    {
        "return_sequences": True,
        "return_state": True,
        "activation": "relu",
        "recurrent_activation": "hard_sigmoid",
        "go_backwards": True,
        "zero_output_for_mask": True,
    },
]
CONSTRUCTOR_ONLY = ("segment_length", "unroll", "use_bias")


def expect(oracle, x, weights, options, **call):
    options = {k: v for k, v in options.items() if k not in CONSTRUCTOR_ONLY}
    return layer_outputs(oracle, x, weights, **options, **call)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o) or "defaults")
@pytest.mark.parametrize("name", CELLS)
def test_every_option_under_every_mask(name, options, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, **options)
    x = draw(rng, BATCH, TIME, INPUT)
    start = [draw(rng, BATCH, UNITS) for _ in range(oracle.states)]
    for title, mask in TRIED.items():
        for initial_state in (None, start) if title == "holes" else (start,):
            call = {"mask": mask, "initial_state": initial_state}
            assert_close(layer(x, **call), expect(oracle, x, weights, options, **call))


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_compiled(name, mode, go_backwards, rng):
    oracle = CELLS[name]
    options = {"return_sequences": True, "return_state": True, "go_backwards": go_backwards}
    layer, weights = make(oracle, rng, **options)
    x = draw(rng, BATCH, TIME, INPUT)
    start = [draw(rng, BATCH, UNITS) for _ in range(oracle.states)]
    run = compiled(lambda x, mask, *start: layer(x, mask=mask, initial_state=list(start)), mode)
    for mask in list(MASKS.values())[1:]:
        actual = run(*map(keras.ops.convert_to_tensor, [x, mask, *start]))
        assert_close(actual, expect(oracle, x, weights, options, mask=mask, initial_state=start))


@pytest.mark.tensorflow
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_batch_and_time_known_only_at_run_time(name, with_mask, rng):
    oracle = CELLS[name]
    options = {"return_sequences": True, "return_state": True}
    layer, weights = make(oracle, rng, **options)
    signature = [((None, None, INPUT), "float32"), ((None, None), "bool")]
    run = compiled(lambda x, mask: layer(x, mask=mask if with_mask else None), "graph", signature)
    for batch, time in [(1, 1), (4, 9), (2, 3), (2, 8)]:
        x, mask = draw(rng, batch, time, INPUT), rng.random((batch, time)) < 0.6
        expected = expect(oracle, x, weights, options, mask=mask if with_mask else None)
        assert_close(run(x, mask), expected)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 7)], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_one_step_and_one_row(name, shape, rng):
    oracle = CELLS[name]
    for options in ({}, {"return_sequences": True, "return_state": True, "go_backwards": True}):
        layer, weights = make(oracle, rng, **options)
        x = draw(rng, *shape, INPUT)
        assert_close(layer(x), expect(oracle, x, weights, options))
        mask = np.zeros(shape, bool)
        assert_close(layer(x, mask=mask), expect(oracle, x, weights, options, mask=mask))


@pytest.mark.parametrize("name", CELLS)
def test_one_unit_and_one_feature(name, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, input_dim=1, units=1, return_sequences=True)
    x = draw(rng, 2, 4, 1)
    assert_close(layer(x), layer_outputs(oracle, x, weights, return_sequences=True))


@pytest.mark.parametrize("name", CELLS)
def test_a_long_sequence(name, rng):
    """Lengths that no number of steps in a turn of a loop divides."""
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, return_sequences=True)
    x = draw(rng, 2, 131, INPUT)
    mask = rng.random((2, 131)) < 0.7
    expected = layer_outputs(oracle, x, weights, return_sequences=True, mask=mask)
    assert_close(layer(x, mask=mask), expected)


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=12, deadline=None)
@given(mask=random_arrays(bool, (2, 4)), backwards=st.booleans(), zero=st.booleans())
def test_any_mask(name, mask, backwards, zero):
    oracle = CELLS[name]
    rng = np.random.default_rng(5)
    options = {"go_backwards": backwards, "zero_output_for_mask": zero, "return_state": True}
    layer, weights = make(oracle, rng, return_sequences=True, **options)
    x = draw(rng, 2, 4, INPUT)
    expected = layer_outputs(oracle, x, weights, return_sequences=True, mask=mask, **options)
    assert_close(layer(x, mask=mask), expected)


@pytest.mark.parametrize("name", CELLS)
def test_what_padding_holds_does_not_matter(name, rng):
    oracle = CELLS[name]
    layer, _ = make(oracle, rng, return_sequences=True, return_state=True)
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["holes"]
    changed = np.where(mask[:, :, None], x, 1e3).astype("float32")
    assert_close(layer(changed, mask=mask), layer(x, mask=mask), 1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_masks_of_numbers_and_with_a_last_axis(name, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng)
    x, mask = draw(rng, BATCH, TIME, INPUT), MASKS["holes"]
    expected = layer_outputs(oracle, x, weights, mask=mask)
    for same in (mask.astype("int32"), mask.astype("float32"), mask[:, :, None]):
        assert_close(layer(x, mask=keras.ops.convert_to_tensor(same)), expected)


@pytest.mark.parametrize("name", CELLS)
def test_a_single_state_need_not_be_in_a_list(name, rng):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng)
    x = draw(rng, BATCH, TIME, INPUT)
    start = [draw(rng, BATCH, UNITS) for _ in range(oracle.states)]
    given_state = keras.ops.convert_to_tensor(start[0]) if oracle.states == 1 else tuple(start)
    actual = layer(x, initial_state=given_state)
    assert_close(actual, layer_outputs(oracle, x, weights, initial_state=start))


@pytest.mark.parametrize("name", CELLS)
def test_float64_is_exact(name, rng, float64):
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, dtype=float64, return_sequences=True, return_state=True)
    x, mask = draw(rng, BATCH, TIME, INPUT, dtype=float64), MASKS["holes"]
    options = {"return_sequences": True, "return_state": True, "mask": mask}
    actual = layer(x, mask=mask)
    assert {y.dtype for y in arrays(actual)} == {np.dtype("float64")}
    assert_close(actual, layer_outputs(oracle, x, weights, **options), 1e-13)
