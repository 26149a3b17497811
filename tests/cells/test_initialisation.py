"""Initialisers, regularisers, constraints, and what a cell's configuration keeps of them."""

import keras
import numpy as np
import pytest

from kerasrnn import cells
from tests.backends import arrays
from tests.oracles import CELLS

UNITS, INPUT = 200, 4
GATED = ["simplified_gru", "gru", "lstm"]


def build(name, units=UNITS, **options):
    cell = getattr(cells, CELLS[name].cell)(units, **options)
    cell.build((None, INPUT))
    return cell


def biases(cell):
    """The bias of each gate, by columns."""
    (bias,) = arrays(cell.bias)
    return np.split(bias, len(bias) // cell.units)


def test_an_lstm_begins_by_remembering():
    update, forget, candidate, output = biases(build("lstm"))
    assert (forget == 1).all()
    assert not update.any() and not candidate.any() and not output.any()


def test_unit_forget_bias_can_be_left_out_and_keeps_other_gates():
    assert not any(b.any() for b in biases(build("lstm", unit_forget_bias=False)))
    update, forget, candidate, output = biases(
        build("lstm", bias_initializer=keras.initializers.Constant(0.25))
    )
    assert (forget == 1).all()
    for gate in (update, candidate, output):
        assert (gate == 0.25).all()


@pytest.mark.parametrize("name", GATED)
def test_chrono_spreads_memory_over_the_lengths(name):
    """Tallec & Ollivier 2018: b_f = log U(1, T − 1), b_i = −b_f; a gate that takes has −log U."""
    longest = 500
    options = {"unit_forget_bias": False} if name == "lstm" else {}
    cell = build(name, bias_initializer=cells.Chrono(longest), **options)
    gates = biases(cell)
    spread = gates[1] if name == "lstm" else -gates[0]  # log U(1, T − 1)
    if name == "lstm":
        np.testing.assert_allclose(gates[0], -gates[1], rtol=1e-6)
    times = np.exp(spread)
    assert times.min() >= 1 - 1e-4 and times.max() <= (longest - 1) * (1 + 1e-5)
    # Uniform times: mean T/2, standard deviation (T − 2)/√12, each to five standard errors.
    assert times.mean() == pytest.approx(longest / 2, abs=5 * longest / np.sqrt(12 * UNITS))
    assert times.std() == pytest.approx((longest - 2) / np.sqrt(12), rel=0.2)
    for gate in gates[2:] if name == "lstm" else gates[1:]:
        assert not gate.any()


def test_chrono_wins_over_unit_forget_bias():
    """The default of the LSTM must not silently undo the initialiser that the user chose."""
    keras.utils.set_random_seed(3)
    forget = biases(build("lstm", bias_initializer=cells.Chrono(500)))[1]
    assert forget.std() > 0.1 and forget.mean() > 2


def test_chrono_is_deterministic_with_a_seed_and_survives_serialisation():
    first = build("lstm", bias_initializer=cells.Chrono(100, seed=1))
    again = build("lstm", bias_initializer=cells.Chrono(100, seed=1))
    other = build("lstm", bias_initializer=cells.Chrono(100, seed=2))
    np.testing.assert_array_equal(*(arrays(c.bias)[0] for c in (first, again)))
    assert (arrays(first.bias)[0] != arrays(other.bias)[0]).any()
    config = keras.initializers.serialize(cells.Chrono(100, seed=1))
    copy = keras.initializers.deserialize(config)
    assert isinstance(copy, cells.Chrono)
    assert copy.get_config() == cells.Chrono(100, seed=1).get_config()
    rebuilt = cells.LSTMCell.from_config(first.get_config())
    rebuilt.build((None, INPUT))
    np.testing.assert_array_equal(*(arrays(c.bias)[0] for c in (first, rebuilt)))


@pytest.mark.parametrize("length", [-3, 0, 1])
def test_chrono_refuses_a_length_without_a_past(length):
    with pytest.raises(ValueError, match="max_length"):
        cells.Chrono(length)


def test_chrono_refuses_a_cell_without_gates():
    with pytest.raises((ValueError, TypeError), match=r"(?i)chrono"):
        build("simple", bias_initializer=cells.Chrono(100))


@pytest.mark.parametrize("name", CELLS)
def test_initialisers_by_name(name):
    cell = build(
        name,
        12,
        kernel_initializer="ones",
        recurrent_initializer="zeros",
        bias_initializer="ones",
    )
    kernel, recurrent, bias = arrays([cell.kernel, cell.recurrent_kernel, cell.bias])
    assert (kernel == 1).all() and (recurrent == 0).all() and (bias == 1).all()


@pytest.mark.parametrize("name", CELLS)
def test_default_initialisers_are_those_of_keras(name):
    cell = build(name, 40)
    kernel, recurrent = arrays([cell.kernel, cell.recurrent_kernel])
    limit = np.sqrt(6 / (kernel.shape[0] + kernel.shape[1]))  # Glorot's uniform distribution
    assert abs(kernel).max() <= limit and abs(kernel).max() > 0.9 * limit
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(40), atol=1e-5)  # orthogonal


@pytest.mark.parametrize("name", CELLS)
def test_regularisers_add_their_losses(name):
    cell = build(
        name,
        5,
        kernel_initializer="ones",
        recurrent_initializer="ones",
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L1(0.5),
        recurrent_regularizer=keras.regularizers.L2(0.25),
        bias_regularizer=keras.regularizers.L1(2.0),
    )
    columns = 5 * CELLS[name].gates
    expected = [0.5 * INPUT * columns, 0.25 * 5 * columns, 2.0 * columns]
    assert sorted(float(loss) for loss in cell.losses) == pytest.approx(sorted(expected))


@pytest.mark.parametrize("name", CELLS)
def test_constraints_reach_their_weights(name):
    cell = build(
        name,
        5,
        kernel_constraint="non_neg",
        recurrent_constraint=keras.constraints.MaxNorm(1.0),
        bias_constraint="unit_norm",
    )
    assert isinstance(cell.kernel.constraint, keras.constraints.NonNeg)
    assert isinstance(cell.recurrent_kernel.constraint, keras.constraints.MaxNorm)
    assert isinstance(cell.bias.constraint, keras.constraints.UnitNorm)


@pytest.mark.parametrize("name", CELLS)
def test_a_configuration_repeats_the_cell(name):
    options = {
        "activation": "relu",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "recurrent_initializer": "glorot_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": "l1",
        "recurrent_regularizer": "l2",
        "bias_regularizer": "l1",
        "kernel_constraint": "non_neg",
        "recurrent_constraint": "max_norm",
        "bias_constraint": "non_neg",
        "dropout": 0.25,
        "recurrent_dropout": 0.5,
        "seed": 3,
        "name": "mine",
    }
    if CELLS[name].gates > 1:
        options["recurrent_activation"] = "hard_sigmoid"
    if name == "lstm":
        options["unit_forget_bias"] = False
    cell = getattr(cells, CELLS[name].cell)(7, **options)
    config = cell.get_config()
    assert {key for key in {"units", *options} if key not in config} == set()
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert type(copy) is type(cell)
    assert copy.get_config() == config
    assert config["units"] == 7 and config["seed"] == 3 and config["dropout"] == 0.25


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("units", [0, -1, 2.5, "8"])
def test_units_must_be_a_positive_integer(name, units):
    with pytest.raises((ValueError, TypeError), match="units"):
        getattr(cells, CELLS[name].cell)(units)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("argument", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_dropout_rates_are_fractions(name, argument, rate):
    with pytest.raises(ValueError, match=argument):
        getattr(cells, CELLS[name].cell)(4, **{argument: rate})


def test_the_gru_refuses_to_reset_after_the_product():
    with pytest.raises(ValueError, match="reset_after"):
        cells.GRUCell(4, reset_after=True)
    assert cells.GRUCell(4, reset_after=False).units == 4


@pytest.mark.parametrize("name", CELLS)
def test_unknown_arguments_are_refused(name):
    with pytest.raises((TypeError, ValueError), match="unit_size"):
        getattr(cells, CELLS[name].cell)(4, unit_size=3)
