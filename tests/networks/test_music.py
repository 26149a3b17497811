"""The music model's network on every backend: likelihoods, draws, states, masks, configuration."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.networks.music import NADE, IndependentKeys, MusicNetwork, chord_nll
from tests.backends import MODES, compiled, value_and_gradients
from tests.zoo.music_oracle import all_chords, nade_nll, sigmoid, walk, weights_of

SMALL = {"keys": 7, "units": 5, "nade_units": 4}


def excited(layer, rng, *shapes):
    """A built layer with weights so large that no probability is near another."""
    layer.build(*shapes)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 1.2, weight.shape).astype("float32"))
    return layer


def head(outputs: str, rng, keys: int = 6, hidden: int = 3):
    layer = NADE(4, keys) if outputs == "nade" else IndependentKeys(keys)
    return excited(layer, rng, (None, hidden), (None, keys))


def make(rng, **arguments) -> MusicNetwork:
    network = MusicNetwork(**{**SMALL, **arguments})
    for weight in network.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape).astype("float32"))
    return network


def batch(rng, lengths=(6, 3, 1), time=6) -> dict[str, np.ndarray]:
    chords = (rng.random((len(lengths), time + 1, SMALL["keys"])) < 0.4).astype("float32")
    mask = np.arange(time) < np.array(lengths)[:, None]
    return {"rolls": chords[:, :-1], "targets": chords[:, 1:], "mask": mask}


def run(network, inputs, states=None, training=False) -> dict:
    tensors = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}
    if states is None:
        states = network.get_initial_state(len(inputs["mask"]))
    outputs = network({**tensors, "states": states}, training=training)
    return keras.tree.map_structure(ops.convert_to_numpy, outputs)


# === Likelihoods ===


@pytest.mark.parametrize("mode", MODES)
def test_nade_is_that_of_the_paper(rng, mode):
    layer = head("nade", rng)
    hidden = rng.normal(size=(2, 5, 3)).astype("float32")
    chords = (rng.random((2, 5, 6)) < 0.5).astype("float32")
    chords[0, 0], chords[0, 1] = 0.0, 1.0  # silence, and every key at once
    function = compiled(lambda h, v: chord_nll(layer(h, v), v), mode)
    found = ops.convert_to_numpy(
        function(ops.convert_to_tensor(hidden), ops.convert_to_tensor(chords))
    )
    weights = weights_of(layer)
    expected = [[nade_nll(weights, hidden[i, t], chords[i, t]) for t in range(5)] for i in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_the_probabilities_of_all_chords_sum_to_one(rng, outputs):
    layer = head(outputs, rng, keys=8)
    chords = all_chords(8).astype("float32")
    for _ in range(3):
        hidden = np.tile(rng.normal(size=3).astype("float32"), (256, 1))
        nll = ops.convert_to_numpy(chord_nll(layer(hidden, chords), chords))
        assert np.exp(-nll.astype(np.float64)).sum() == pytest.approx(1.0, abs=1e-5)


def test_independent_keys_are_bernoulli_variables(rng):
    layer = head("independent", rng)
    hidden = rng.normal(size=(4, 3)).astype("float32")
    chords = (rng.random((4, 6)) < 0.5).astype("float32")
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.key_scores.weights)
    p = sigmoid(hidden.astype(np.float64) @ kernel + bias)
    expected = -np.log(np.where(chords > 0, p, 1 - p)).sum(axis=1)
    found = ops.convert_to_numpy(chord_nll(layer(hidden, chords), chords))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_key_knows_the_keys_below_it_and_no_others(rng):
    layer = head("nade", rng)
    hidden = np.tile(rng.normal(size=3).astype("float32"), (2, 1))
    chords = np.array([[0, 1, 0, 1, 0, 1], [0, 1, 1, 1, 0, 1]], "float32")  # key 2 differs
    scores = ops.convert_to_numpy(layer(hidden, chords))
    np.testing.assert_allclose(scores[0, :3], scores[1, :3], atol=1e-6)
    assert np.abs(scores[0, 3:] - scores[1, 3:]).min() > 1e-3


def test_a_score_of_any_size_gives_a_finite_likelihood():
    scores = np.array([[200.0, -200.0]], "float32")
    found = ops.convert_to_numpy(chord_nll(scores, np.array([[0.0, 0.0]], "float32")))
    np.testing.assert_allclose(found, [200.0])


# === Draws ===


def test_a_draw_is_a_walk_over_all_keys(rng):
    layer = head("nade", rng)
    hidden = rng.normal(size=(40, 3)).astype("float32")
    uniforms = rng.random((40, 6)).astype("float32")
    chords, probabilities = map(ops.convert_to_numpy, layer.sample(hidden, uniforms))
    weights = weights_of(layer)
    for row in range(40):
        expected = walk(weights, hidden[row], lambda i, p, row=row: uniforms[row, i] < p)
        np.testing.assert_array_equal(chords[row], expected[0])
        np.testing.assert_allclose(probabilities[row], expected[1], atol=1e-5)
    assert 0.2 < chords.mean() < 0.8


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_chords_are_drawn_as_often_as_they_are_likely(rng, outputs):
    layer = head(outputs, rng, keys=4)
    h = rng.normal(size=3).astype("float32")
    every = all_chords(4).astype("float32")
    nll = ops.convert_to_numpy(chord_nll(layer(np.tile(h, (16, 1)), every), every))
    count = 20_000
    uniforms = rng.random((count, 4)).astype("float32")
    chords, _ = layer.sample(np.tile(h, (count, 1)), uniforms)
    numbers = ops.convert_to_numpy(chords) @ np.array([8, 4, 2, 1])
    shares = np.bincount(numbers.astype(int), minlength=16) / count
    np.testing.assert_allclose(shares, np.exp(-nll), atol=0.02)


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_a_low_temperature_draws_what_is_likely(rng, outputs):
    layer = head(outputs, rng)
    hidden = np.tile(rng.normal(size=3).astype("float32"), (30, 1))
    uniforms = rng.random((30, 6)).astype("float32")
    cold = ops.convert_to_numpy(layer.sample(hidden, uniforms, 1e-3)[0])
    assert (cold == cold[0]).all()
    warm = ops.convert_to_numpy(layer.sample(hidden, uniforms, 3.0)[0])
    assert not (warm == warm[0]).all()


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_marginals_are_sums_over_chords(rng, outputs):
    layer = head(outputs, rng, keys=7)
    hidden = rng.normal(size=(5, 3)).astype("float32")
    every = all_chords(7).astype("float32")
    found = ops.convert_to_numpy(layer.marginals(hidden))
    worst = 0.0
    for row in range(5):
        nll = chord_nll(layer(np.tile(hidden[row], (len(every), 1)), every), every)
        exact = np.exp(-ops.convert_to_numpy(nll)) @ every
        worst = max(worst, np.abs(found[row] - exact).max())
    assert worst < (1e-5 if outputs == "independent" else 0.06)


# === The network ===


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_shapes(rng, cell, outputs):
    network = make(rng, cell=cell, outputs=outputs, depth=2)
    outputs_ = run(network, batch(rng))
    assert outputs_["scores"].shape == (3, 6, 7)
    assert outputs_["scores"].dtype == np.float32
    assert outputs_["hidden"].shape == (3, 6, 5)
    assert len(outputs_["states"]) == (4 if cell == "lstm" else 2)
    assert {state.shape for state in outputs_["states"]} == {(3, 5)}


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_padding_and_neighbours_change_nothing(rng, outputs):
    network = make(rng, outputs=outputs, depth=2)
    inputs = batch(rng)
    together = run(network, inputs)
    for row, length in enumerate((6, 3, 1)):
        alone = run(network, {k: v[row : row + 1, :length] for k, v in inputs.items()})
        np.testing.assert_allclose(
            alone["scores"][0], together["scores"][row, :length], atol=1e-5, rtol=0
        )
        for one, many in zip(alone["states"], together["states"], strict=True):
            np.testing.assert_allclose(one[0], many[row], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_a_piece_may_be_read_in_parts(rng, cell):
    network = make(rng, cell=cell, depth=2)
    inputs = batch(rng, lengths=(6, 6))
    whole = run(network, inputs)
    first = run(network, {k: v[:, :2] for k, v in inputs.items()})
    second = run(
        network,
        {k: v[:, 2:] for k, v in inputs.items()},
        [*map(ops.convert_to_tensor, first["states"])],
    )
    found = np.concatenate([first["scores"], second["scores"]], axis=1)
    np.testing.assert_allclose(found, whole["scores"], atol=1e-5, rtol=0)


def test_what_comes_later_is_not_seen(rng):
    network = make(rng)
    inputs = batch(rng, lengths=(6,))
    changed = {name: value.copy() for name, value in inputs.items()}
    changed["rolls"][:, 3] = 1 - changed["rolls"][:, 3]
    before, after = run(network, inputs)["scores"], run(network, changed)["scores"]
    np.testing.assert_allclose(before[:, :3], after[:, :3], atol=1e-7)
    assert np.abs(before[:, 3] - after[:, 3]).max() > 1e-3


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_every_weight_is_trained(rng, outputs):
    network = make(rng, outputs=outputs, depth=2)
    inputs = {name: ops.convert_to_tensor(value) for name, value in batch(rng).items()}

    def loss():
        outputs_ = network({**inputs, "states": network.get_initial_state(3)}, training=False)
        return ops.sum(chord_nll(outputs_["scores"], inputs["targets"]))

    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


def test_dropout_acts_in_training_only(rng):
    network = make(rng, input_dropout=0.3, dropout=0.3, recurrent_dropout=0.3)
    inputs = batch(rng)
    np.testing.assert_array_equal(run(network, inputs)["scores"], run(network, inputs)["scores"])
    noisy = [run(network, inputs, training=True)["scores"] for _ in range(2)]
    assert not np.allclose(*noisy)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_gives_float32_scores(rng, policy):
    network = make(rng, dtype=policy)
    outputs = run(network, batch(rng))
    assert outputs["scores"].dtype == np.float32
    assert np.isfinite(outputs["scores"]).all()


def test_configuration_round_trip(rng):
    network = make(rng, cell="gru", depth=2, outputs="independent")
    copy = MusicNetwork.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    inputs = batch(rng)
    np.testing.assert_array_equal(run(network, inputs)["scores"], run(copy, inputs)["scores"])


def test_saved_and_loaded_by_keras(tmp_path, rng):
    network = make(rng)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    inputs = batch(rng)
    np.testing.assert_allclose(run(loaded, inputs)["scores"], run(network, inputs)["scores"])


def test_unknown_outputs_are_named():
    with pytest.raises(ValueError, match=r"'rbm'\. Expected one of independent, nade"):
        MusicNetwork(outputs="rbm")
