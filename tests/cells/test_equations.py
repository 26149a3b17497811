"""One step of every cell against the equations, in every mode, with gradients."""

import keras
import numpy as np
import pytest

from kerasrnn import cells
from tests.backends import (
    MODES,
    arrays,
    assert_close,
    compiled,
    directional_check,
    value_and_gradients,
    weighted_sum,
    with_weights,
)
from tests.oracles import CELLS, random_weights

BATCH, INPUT, UNITS = 3, 4, 6
OPTIONS = [
    {},
    {"use_bias": False},
    {"activation": "relu"},
    {"activation": "linear", "recurrent_activation": "hard_sigmoid"},
]


def make(oracle, rng, dtype="float32", **options):
    """A cell with random weights, and those weights."""
    if oracle.gates == 1:
        options.pop("recurrent_activation", None)
    use_bias = options.get("use_bias", True)
    weights = random_weights(oracle, INPUT, UNITS, rng, use_bias=use_bias, dtype=dtype)
    cell = getattr(cells, oracle.cell)(UNITS, dtype=dtype, **options)
    return with_weights(cell, (BATCH, INPUT), weights), weights


def draw(oracle, rng, dtype="float32"):
    """Random inputs and states."""
    x = rng.normal(size=(BATCH, INPUT)).astype(dtype)
    states = [rng.normal(size=(BATCH, UNITS)).astype(dtype) for _ in range(oracle.states)]
    return x, states


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CELLS)
def test_one_step_follows_the_equations(name, mode, rng):
    oracle = CELLS[name]
    cell, weights = make(oracle, rng)
    x, states = draw(oracle, rng)
    step = compiled(lambda x, *states: cell(x, list(states)), mode)
    output, new_states = step(*map(keras.ops.convert_to_tensor, [x, *states]))
    expected, expected_states = oracle.step(x, states, weights)
    assert_close([output, new_states], [expected, *expected_states])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_options_keep_the_equations(name, options, rng):
    oracle = CELLS[name]
    cell, weights = make(oracle, rng, **options)
    x, states = draw(oracle, rng)
    activations = {key: value for key, value in options.items() if key != "use_bias"}
    expected, expected_states = oracle.step(x, states, weights, **activations)
    assert_close(cell(x, states), [expected, *expected_states])


@pytest.mark.parametrize("name", CELLS)
def test_a_call_is_a_projection_then_a_step(name, rng):
    oracle = CELLS[name]
    cell, _ = make(oracle, rng)
    x, states = draw(oracle, rng)
    x, *states = map(keras.ops.convert_to_tensor, [x, *states])
    assert_close(cell.step(cell.project(x), states), cell(x, states), 1e-7)


@pytest.mark.parametrize("name", CELLS)
def test_the_projection_takes_all_time_steps_at_once(name, rng):
    oracle = CELLS[name]
    cell, _ = make(oracle, rng)
    x = rng.normal(size=(7, BATCH, INPUT)).astype("float32")
    together = keras.tree.flatten(cell.project(keras.ops.convert_to_tensor(x)))
    for t in range(7):
        alone = keras.tree.flatten(cell.project(keras.ops.convert_to_tensor(x[t])))
        assert_close([y[t] for y in together], alone, 1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_agree_with_finite_differences(name, rng, float64):
    oracle = CELLS[name]
    cell, weights = make(oracle, rng, dtype=float64)
    x, states = draw(oracle, rng, float64)
    factors = [rng.normal(size=(BATCH, UNITS)) for _ in range(1 + oracle.states)]

    def loss(x, *states):
        output, new_states = cell(x, list(states))
        return weighted_sum([output, *new_states], factors)

    def value(*point):
        n = len(weights)
        output, new_states = oracle.step(point[n], list(point[n + 1 :]), point[:n])
        return sum((f * y).sum() for f, y in zip(factors, [output, *new_states], strict=True))

    point = [*weights, x, *states]
    actual, gradients = value_and_gradients(loss, cell.trainable_variables, [x, *states])
    assert actual == pytest.approx(value(*point), abs=1e-12)
    directional_check(value, point, gradients, rng, tolerance=1e-9)


@pytest.mark.parametrize("name", CELLS)
def test_weights_have_the_names_and_shapes_of_keras(name):
    oracle = CELLS[name]
    cell = getattr(cells, oracle.cell)(UNITS)
    cell.build((None, INPUT))
    names = ["kernel", "recurrent_kernel", "bias"]
    assert [v.name for v in cell.trainable_variables] == names
    assert [v.shape for v in cell.trainable_variables] == oracle.weight_shapes(INPUT, UNITS)
    assert cell.kernel.shape == (INPUT, oracle.gates * UNITS)
    assert cell.recurrent_kernel.shape == (UNITS, oracle.gates * UNITS)
    assert cell.bias.shape == (oracle.gates * UNITS,)


@pytest.mark.parametrize("name", CELLS)
def test_sizes_and_initial_states(name):
    oracle = CELLS[name]
    cell = getattr(cells, oracle.cell)(UNITS)
    assert keras.tree.flatten(cell.state_size) == [UNITS] * oracle.states
    assert cell.output_size == UNITS
    states = arrays(cell.get_initial_state(batch_size=BATCH))
    assert [s.shape for s in states] == [(BATCH, UNITS)] * oracle.states
    assert not any(s.any() for s in states)
    assert all(s.dtype == "float32" for s in states)


@pytest.mark.parametrize("name", ["simplified_gru", "gru"])
def test_an_open_update_gate_takes_the_new_value(name, rng):
    """Γu = 1 means take the new value: the opposite of Keras's z."""
    oracle = CELLS[name]
    cell, weights = make(oracle, rng)
    x, states = draw(oracle, rng)
    weights[2][:UNITS] = -100  # Γu = 0: the memory stays
    cell.bias.assign(weights[2])
    assert_close(cell(x, states)[0], states[0], 1e-6)
    weights[2][:UNITS] = 100  # Γu = 1: the old memory goes, here with Wc[c] = 0 from every path
    weights[1][:] = 0
    cell.bias.assign(weights[2])
    cell.recurrent_kernel.assign(weights[1])
    candidate = np.tanh(x @ weights[0][:, -UNITS:] + weights[2][-UNITS:])
    assert_close(cell(x, states)[0], candidate, 1e-6)


def test_the_lstms_columns_are_update_forget_candidate_output(rng):
    oracle = CELLS["lstm"]
    cell, weights = make(oracle, rng)
    x, (a, c) = draw(oracle, rng)
    for w in weights[:2]:
        w[:] = 0
    for blocks, expected in [
        ((-100, 100, 0, 100), c),  # forget nothing, take nothing: the memory stays
        ((-100, -100, 0, 100), 0 * c),  # forget all
        ((100, -100, 100, 100), 0 * c + 1),  # only the candidate, tanh(100) = 1
        ((100, 100, 100, 100), c + 1),
    ]:
        cell.kernel.assign(weights[0])
        cell.recurrent_kernel.assign(weights[1])
        cell.bias.assign(np.repeat(blocks, UNITS).astype("float32"))
        output, (activation, memory) = cell(x, [a, c])
        assert_close([output, activation, memory], [np.tanh(expected)] * 2 + [expected], 1e-6)
    cell.bias.assign(np.repeat((100, 100, 100, -100), UNITS).astype("float32"))
    assert_close(cell(x, [a, c])[0], 0 * c, 1e-6)  # a closed output gate


def test_cells_are_found_by_name():
    for name, oracle in CELLS.items():
        assert cells.cell_by_name(name) is getattr(cells, oracle.cell)


def test_an_unknown_name_is_told_the_valid_ones():
    with pytest.raises(ValueError) as error:
        cells.cell_by_name("gru2")
    for part in ["gru2", *CELLS]:
        assert part in str(error.value)
