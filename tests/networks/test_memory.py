"""The memory network, on every backend: equations, padding, steps, initial weights, training."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.networks.memory import MemoryNetwork, OrthogonalGates
from tests.backends import value_and_gradients
from tests.oracles import CELLS as ORACLES

KINDS = {
    "numbers_number": ("numbers", 2, "number", 1),
    "numbers_label": ("numbers", 3, "label", 4),
    "symbols_label": ("symbols", 5, "label", 4),
    "symbols_symbols": ("symbols", 5, "symbols", 6),
}


def make(kind: str, **arguments) -> MemoryNetwork:
    return MemoryNetwork(*KINDS[kind], **{"units": 6, **arguments})


def sequences(rng: np.random.Generator, kind: str, lengths=(7, 7, 7), time=7) -> np.ndarray:
    reads, size, _, _ = KINDS[kind]
    shape = (len(lengths), time)
    absent = np.arange(time) >= np.array(lengths)[:, None]
    if reads == "symbols":
        read = rng.integers(0, size, shape).astype("int32")
        read[absent] = -1
    else:
        read = rng.random((*shape, size), np.float32)
        read[absent] = np.nan
    return read


def run(network, inputs) -> np.ndarray:
    return ops.convert_to_numpy(network(inputs, training=False))


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("symbols_symbols", cell) for cell in CELLS] + [(kind, "gru") for kind in list(KINDS)[:3]],
)
def test_the_equations(rng, kind, cell):
    """One-hot symbols or plain numbers, the cell's equations step by step, then W h + b."""
    network = make(kind, cell=cell)
    for weight in network.weights:
        weight.assign(rng.normal(0, 0.6, weight.shape))
    inputs = sequences(rng, kind)
    x = np.eye(5)[inputs] if inputs.ndim == 2 else inputs.astype("float64")
    *weights, W, b = [weight.astype("float64") for weight in network.get_weights()]
    hidden, _ = ORACLES[cell].run(x, weights)
    expected = hidden @ W + b
    if kind != "symbols_symbols":
        expected = expected[:, -1]
    np.testing.assert_allclose(run(network, inputs), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "bidirectional"),
    [("numbers_number", False), ("symbols_label", True), ("symbols_symbols", False)],
)
def test_padding_and_neighbours_change_nothing(rng, kind, bidirectional):
    network = make(kind, padded=True, depth=2, bidirectional=bidirectional)
    inputs = sequences(rng, kind, lengths=(9, 4, 1), time=9)
    together = run(network, inputs)
    assert np.isfinite(together).all()
    for row, length in enumerate((9, 4, 1)):
        alone = run(network, inputs[[row], :length])[0]
        beside = together[row, :length] if kind == "symbols_symbols" else together[row]
        np.testing.assert_allclose(alone, beside, atol=1e-5)


@pytest.mark.parametrize(("kind", "cell"), [("numbers_number", "gru"), ("symbols_symbols", "lstm")])
def test_step_by_step_gives_what_the_whole_sequence_gives(rng, kind, cell):
    network = make(kind, cell=cell, depth=2)
    inputs = sequences(rng, kind)
    states = network.get_initial_state(3)
    assert len(states) == 2 * (2 if cell == "lstm" else 1)
    for t in range(3):
        scores, states = network.step(ops.convert_to_tensor(inputs[:, t]), states)
        whole = run(network, inputs[:, : t + 1])
        expected = whole[:, -1] if kind == "symbols_symbols" else whole
        np.testing.assert_allclose(ops.convert_to_numpy(scores), expected, atol=1e-5)


def test_every_weight_is_trained(rng):
    network = make("symbols_symbols", padded=True, depth=2)
    inputs = sequences(rng, "symbols_symbols", lengths=(7, 3, 2))
    mask = ops.convert_to_tensor((inputs >= 0).astype("float32")[..., None])
    loss = lambda: ops.sum(ops.square(network(inputs, training=False)) * mask)  # noqa: E731
    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0, variable.path


def test_padding_of_nan_leaves_gradients_finite(rng):
    network = make("numbers_number", padded=True)
    inputs = sequences(rng, "numbers_number", lengths=(7, 3, 2))
    loss = lambda: ops.sum(ops.square(network(inputs, training=False)))  # noqa: E731
    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_each_gate_begins_orthogonal_and_none_like_another():
    network = make("symbols_label", cell="lstm", units=8, depth=2)
    for layer in network.rnn.recurrent_layers:
        W = ops.convert_to_numpy(layer.cell.recurrent_kernel)
        gates = np.split(W, 4, axis=1)
        for i, gate in enumerate(gates):
            np.testing.assert_allclose(gate @ gate.T, np.eye(8), atol=1e-5)
            assert all(np.abs(gate - other).max() > 0.1 for other in gates[:i])


def test_orthogonal_gates_from_a_seed_and_a_configuration():
    one = OrthogonalGates(seed=3)
    copy = keras.initializers.deserialize(keras.initializers.serialize(one))
    values = [ops.convert_to_numpy(o((5, 15))) for o in (one, copy, OrthogonalGates(seed=4))]
    np.testing.assert_array_equal(values[0], values[1])
    assert np.abs(values[0] - values[2]).max() > 0.1


def test_symbols_begin_loud_and_numbers_as_usual():
    loud = ops.convert_to_numpy(
        MemoryNetwork("symbols", 20, "label", 2, units=40).rnn.recurrent_layers[0].cell.kernel
    )
    assert 0.95 < loud.std() < 1.05
    usual = ops.convert_to_numpy(
        MemoryNetwork("numbers", 20, "label", 2, units=40).rnn.recurrent_layers[0].cell.kernel
    )
    assert usual.std() == pytest.approx((2 / (20 + 160)) ** 0.5, rel=0.05)


@pytest.mark.parametrize(("cell", "sign"), [("lstm", 1), ("gru", -1), ("simplified_gru", -1)])
def test_chrono_sets_the_gates(cell, sign):
    network = make("symbols_label", cell=cell, units=50, chrono_length=100)
    bias = ops.convert_to_numpy(network.rnn.recurrent_layers[0].cell.bias)
    block = bias[50:100] if cell == "lstm" else bias[:50]  # Γf, or Γu
    assert (sign * block >= 0).all()
    assert (sign * block <= np.log(99)).all()
    assert np.abs(block).max() > np.log(50)


def test_half_precision_gives_float32_scores(rng):
    network = make("symbols_symbols", dtype="mixed_bfloat16", padded=True)
    scores = run(network, sequences(rng, "symbols_symbols", lengths=(7, 2, 1)))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_configuration_and_file(rng, tmp_path):
    network = make("symbols_symbols", padded=True, depth=2, cell="gru", chrono_length=20)
    inputs = sequences(rng, "symbols_symbols", lengths=(7, 2, 1))
    copy = MemoryNetwork.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    np.testing.assert_array_equal(run(network, inputs), run(copy, inputs))
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(run(loaded, inputs), run(network, inputs), atol=1e-6)


def test_dropout_acts_in_training_only(rng):
    network = make("symbols_label", dropout=0.5)
    inputs = sequences(rng, "symbols_label")
    np.testing.assert_array_equal(run(network, inputs), run(network, inputs))
    one, two = (ops.convert_to_numpy(network(inputs, training=True)) for _ in range(2))
    assert not np.allclose(one, two)
