"""The language model's network, on every backend: an oracle, states, masks, dropout, weights."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.networks.language import LanguageNetwork, UnitEmbedding
from tests import oracles
from tests.backends import assert_close, value_and_gradients, weighted_sum

SMALL = {"size": 11, "units": 6, "dimension": 4}


def make(rng: np.random.Generator, **arguments) -> LanguageNetwork:
    """A network with random weights, its biases too."""
    network = LanguageNetwork(**{**SMALL, **arguments})
    for weight in network.trainable_variables:
        weight.assign(rng.normal(0, 0.5, weight.shape).astype("float32"))
    return network


def run(network, ids, **options):
    scores, states = network(np.asarray(ids, "int32"), **options)
    return ops.convert_to_numpy(scores), [ops.convert_to_numpy(state) for state in states]


def matrices(layer) -> list[np.ndarray]:
    return [ops.convert_to_numpy(v.value) for v in layer.trainable_variables]


# === What is computed ===


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", ["untied", "tied", "projected"])
def test_scores_are_those_of_the_equations(rng, cell, kind):
    dimension = 6 if kind == "tied" else 4
    network = make(rng, cell=cell, depth=2, dimension=dimension, tied=kind != "untied")
    assert (network.projection is not None) == (kind == "projected")
    ids = rng.integers(0, 11, (3, 5))

    E = matrices(network.embedding)[0]
    hidden, *states = oracles.deep_outputs(
        oracles.CELLS[cell], E[ids], matrices(network.rnn), depth=2, return_state=True
    )
    if kind == "untied":
        W, b = matrices(network.unit_scores)
        expected = hidden @ W + b
    else:
        if kind == "projected":
            W, b = matrices(network.projection)
            hidden = hidden @ W + b
        expected = hidden @ E.T + matrices(network.embedding)[1]
    assert_close(run(network, ids), (expected, states))


def test_tied_scores_share_their_matrix(rng):
    shapes = [tuple(w.shape) for w in make(rng, tied=True).trainable_variables]
    assert shapes.count((11, 4)) == 1
    assert (6, 11) not in shapes
    assert (6, 11) in [tuple(w.shape) for w in make(rng).trainable_variables]


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_may_be_read_in_pieces(rng, cell):
    network = make(rng, cell=cell, depth=2)
    ids = rng.integers(0, 11, (2, 9))
    whole, last = run(network, ids)
    first, states = run(network, ids[:, :4])
    second, again = run(network, ids[:, 4:], states=states)
    assert_close((np.concatenate([first, second], axis=1), again), (whole, last))


@pytest.mark.parametrize("cell", CELLS)
def test_single_steps_give_the_same(rng, cell):
    network = make(rng, cell=cell, depth=2, tied=True)
    ids = rng.integers(0, 11, (2, 4)).astype("int32")
    whole, last = run(network, ids)
    states = network.get_initial_state(2)
    for t in range(4):
        scores, states = network.step(ids[:, t], states)
        np.testing.assert_allclose(ops.convert_to_numpy(scores), whole[:, t], atol=1e-5)
    assert_close(list(states), last)


def test_padding_and_neighbours_change_nothing(rng):
    network = make(rng, depth=2)
    ids = rng.integers(0, 11, (3, 7))
    lengths = (7, 4, 1)
    mask = np.arange(7) < np.array(lengths)[:, None]
    together, states = run(network, ids, mask=mask)
    for row, length in enumerate(lengths):
        alone, own = run(network, ids[row : row + 1, :length])
        np.testing.assert_allclose(alone[0], together[row, :length], atol=1e-5)
        assert_close(own, [state[row : row + 1] for state in states])
        # The scores behind a text stay those of its last unit.
        np.testing.assert_allclose(together[row, -1], alone[0, -1], atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_the_scores_carry_the_mask_whether_tied_or_not(rng, tied):
    """What reads them next, or weighs their loss, must not depend on the kind of scores."""
    network = make(rng, tied=tied)
    ids, mask = rng.integers(0, 11, (2, 4)), np.arange(4) < np.array([[4], [2]])
    scores, _ = network(ids, mask=ops.convert_to_tensor(mask))
    reader = keras.layers.LSTM(2)
    expected = reader(scores, mask=mask)
    np.testing.assert_allclose(
        ops.convert_to_numpy(reader(scores)), ops.convert_to_numpy(expected), atol=1e-6
    )


def test_a_score_depends_on_nothing_that_comes_after(rng):
    network = make(rng)
    ids = rng.integers(0, 11, (1, 6))
    changed = ids.copy()
    changed[0, 3] = (ids[0, 3] + 1) % 11
    before, after = run(network, ids)[0], run(network, changed)[0]
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3] - after[:, 3]).max() > 1e-3


# === Training ===


def test_gradients_reach_every_weight(rng):
    network = make(rng, depth=2, tied=True)
    ids = rng.integers(0, 11, (2, 5)).astype("int32")
    factors = rng.normal(size=(2, 5, 11)).astype("float32")

    def loss():
        scores, _ = network(ids, training=True)
        return weighted_sum(scores, [factors])

    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    assert len(gradients) == len(network.trainable_variables)
    assert all(np.abs(gradient).max() > 1e-6 for gradient in gradients)


def test_embedding_dropout_drops_whole_ids():
    layer = UnitEmbedding(200, 3, dropout=0.4, seed=1)
    ids = np.arange(200).reshape(4, 50)
    plain = ops.convert_to_numpy(layer(ids))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(ids, training=False)), plain)
    twice = ops.convert_to_numpy(layer(np.concatenate([ids, ids]), training=True))
    np.testing.assert_array_equal(twice[:4], twice[4:])  # one choice for all places
    dropped = (twice[:4] == 0).all(-1)
    assert 50 < dropped.sum() < 110
    assert not ((twice[:4] == 0).any(-1) & ~dropped).any()
    np.testing.assert_allclose(twice[:4][~dropped], plain[~dropped] / 0.6, rtol=1e-5)


@pytest.mark.parametrize("rate", ["dropout", "recurrent_dropout", "output_dropout"])
def test_a_mask_holds_for_the_whole_sequence(rng, rate):
    """With a network that only copies its input, what is dropped at one step is at all of them."""
    network = make(rng, cell="simple", units=8, dimension=8, **{rate: 0.5})
    ids = np.full((40, 6), 3)
    scores, _ = run(network, ids, training=True)
    plain, _ = run(network, ids)
    assert np.abs(scores - plain).max() > 0.05
    # After some steps of the same input under the same mask, the state stands still.
    kernel = network.rnn.recurrent_layers[0].cell.recurrent_kernel
    kernel.assign(0.1 * ops.convert_to_numpy(kernel))
    scores, _ = run(network, ids, training=True)
    np.testing.assert_allclose(scores[:, -1], scores[:, -2], atol=1e-3)
    # Rows have masks of their own; with `recurrent_dropout` they differ little here.
    assert np.abs(scores[1:, -1] - scores[:1, -1]).max() > 1e-3


def test_layer_dropout_is_drawn_for_each_step(rng):
    network = make(rng, cell="simple", units=8, depth=2, layer_dropout=0.5)
    for layer in network.rnn.recurrent_layers:
        kernel = layer.cell.recurrent_kernel
        kernel.assign(0.1 * ops.convert_to_numpy(kernel))
    scores, _ = run(network, np.full((4, 12), 3), training=True)
    assert np.abs(scores[:, -1] - scores[:, -2]).max() > 0.05


# === Configuration ===


def test_configuration_round_trip(rng):
    network = make(rng, cell="gru", depth=2, tied=True, dropout=0.1, embedding_dropout=0.2)
    again = LanguageNetwork.from_config(network.get_config())
    assert again.get_config() == network.get_config()
    again.set_weights(network.get_weights())
    ids = rng.integers(0, 11, (2, 5))
    assert_close(run(again, ids), run(network, ids))
    layer = UnitEmbedding.from_config(network.embedding.get_config())
    assert layer.get_config() == network.embedding.get_config()


def test_scores_are_float32_in_mixed_precision(rng):
    network = LanguageNetwork(**SMALL, tied=True, dtype="mixed_bfloat16")
    scores, states = network(np.zeros((2, 3), "int32"))
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    assert keras.backend.standardize_dtype(states[0].dtype) == "bfloat16"
