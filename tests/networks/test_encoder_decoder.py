"""The encoder-decoder's network, on every backend, against NumPy written from the papers."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.networks.decoders import DECODERS
from kerasrnn.networks.encoder_decoder import EncoderDecoderNetwork
from tests.backends import value_and_gradients
from tests.oracles import CELLS, bahdanau_attention, deep_outputs, luong_attention

UNITS = 5
SMALL = {
    "sources": 11,
    "targets": 7,
    "units": UNITS,
    "source_dimension": 4,
    "target_dimension": 3,
}
# One and several states, one and several layers; and every cell where a decoder steps it itself.
CASES = [
    *((attention, "gru", 1) for attention in DECODERS),
    *((attention, "lstm", 2) for attention in DECODERS),
    *(("additive", cell, 2) for cell in CELLS if cell not in ("gru", "lstm")),
]


def make(**arguments) -> EncoderDecoderNetwork:
    return EncoderDecoderNetwork(**{**SMALL, **arguments})


def excited(network: EncoderDecoderNetwork, rng: np.random.Generator) -> EncoderDecoderNetwork:
    """Weights so large that every part of the network matters."""
    for weight in network.trainable_variables:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return network


def batch(rng, lengths=(6, 3, 0), time=6, steps=4) -> dict[str, np.ndarray]:
    source = rng.integers(1, SMALL["sources"], (len(lengths), time))
    previous = rng.integers(1, SMALL["targets"], (len(lengths), steps))
    previous[:, 0] = 0
    present = np.arange(time) < np.array(lengths)[:, None]
    return {"source": (source * present).astype("int32"), "previous": previous.astype("int32")}


def run(network, inputs, training=False) -> dict[str, np.ndarray]:
    outputs = network(inputs, training=training)
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def stepwise(network, inputs) -> dict[str, np.ndarray]:
    """The same outputs, one step at a time."""
    memory, states = network.encode(ops.convert_to_tensor(inputs["source"]))
    scores, attention = [], []
    for previous in inputs["previous"].T:
        score, states, weights = network.step(ops.convert_to_tensor(previous), states, memory)
        scores.append(ops.convert_to_numpy(score))
        if weights is not None:
            attention.append(ops.convert_to_numpy(weights))
    outputs = {"scores": np.stack(scores, axis=1)}
    return {**outputs, "attention": np.stack(attention, axis=1)} if attention else outputs


# === The equations ===


def expected(network: EncoderDecoderNetwork, source, previous, depth: int):
    """Scores and weights of one pair without padding, in plain loops in float64."""
    settings = network.settings
    cell = CELLS[settings["cell"]]
    encoder, decoder = network.get_layer("encoder"), network.get_layer("decoder")

    def values(layer) -> list[np.ndarray]:
        return [ops.convert_to_numpy(w).astype("float64") for w in layer.trainable_variables]

    def dense(layer, x, g=lambda x: x):
        kernel, bias = values(layer)
        return g(x @ kernel + bias)

    (E_x,), (E_y,) = values(encoder.embeddings), values(decoder.embeddings)
    h, *states = deep_outputs(
        cell,
        E_x[source][None],
        values(encoder.rnn),
        depth=depth,
        bidirectional=True,
        return_state=True,
    )
    forward, backward = states[-2 * cell.states], states[-cell.states]
    c = dense(encoder.summarize, np.concatenate([forward, backward], axis=-1), np.tanh)  # (1, …)
    starts = np.split(dense(decoder.bridge, c, np.tanh), depth * cell.states, axis=-1)
    s = [starts[level * cell.states : (level + 1) * cell.states] for level in range(depth)]

    def stack(parts, weights, levels):
        """One step through some of the layers."""
        x = np.concatenate(parts, axis=-1)
        each = len(weights) // len(levels)
        for i, level in enumerate(levels):
            x, s[level] = cell.step(x, s[level], weights[i * each : (i + 1) * each])
        return x

    def look(attend, state):
        context, alphas = attend(state[0], h[0], values(decoder.attention))
        attention.append(alphas)
        return context[None]

    scores, attention = [], []
    for y in previous:
        y = E_y[y][None]
        if settings["attention"] == "none":
            top, context = stack([y, c], values(decoder.rnn), range(depth)), c
        elif settings["attention"] == "additive":
            context = look(bahdanau_attention, s[0][0])
            top = stack([y, context], values(decoder.cell), [0])
            if depth > 1:
                top = stack([top, context], values(decoder.rnn), range(1, depth))
        else:
            top = stack([y], values(decoder.rnn), range(depth))
            context = look(luong_attention, top)
        r = dense(decoder.readout, np.concatenate([top, context, y], axis=-1), np.tanh)
        scores.append(dense(decoder.piece_scores, r)[0])
    return np.array(scores), np.array(attention)


@pytest.mark.parametrize(("attention", "cell", "depth"), CASES)
def test_scores_are_those_of_the_equations_at_once_and_step_by_step(rng, attention, cell, depth):
    network = excited(make(attention=attention, cell=cell, depth=depth), rng)
    inputs = batch(rng, lengths=(6, 6))
    at_once, in_steps = run(network, inputs), stepwise(network, inputs)
    assert set(at_once) == set(in_steps)
    for row in range(2):
        scores, weights = expected(network, inputs["source"][row], inputs["previous"][row], depth)
        for outputs in (at_once, in_steps):
            np.testing.assert_allclose(outputs["scores"][row], scores, atol=2e-5)
            if attention != "none":
                np.testing.assert_allclose(outputs["attention"][row], weights, atol=1e-5)


# === Masks, batches, training ===


@pytest.mark.parametrize("attention", DECODERS)
def test_padding_and_neighbours_change_nothing(rng, attention):
    network = excited(make(attention=attention, depth=2), rng)
    inputs = batch(rng, lengths=(6, 3, 1), time=8)
    together = run(network, inputs)
    for row, length in enumerate((6, 3, 1)):
        alone = run(
            network,
            {
                "source": inputs["source"][row : row + 1, :length],
                "previous": inputs["previous"][row : row + 1],
            },
        )
        np.testing.assert_allclose(alone["scores"][0], together["scores"][row], atol=1e-5)
        if attention != "none":
            weights = together["attention"][row]
            np.testing.assert_allclose(alone["attention"][0], weights[:, :length], atol=1e-5)
            assert (weights[:, length:] == 0).all()


@pytest.mark.parametrize("attention", DECODERS)
def test_a_step_sees_no_token_that_comes_after(rng, attention):
    network = excited(make(attention=attention, depth=2), rng)
    inputs = batch(rng, lengths=(6, 4))
    changed = {**inputs, "previous": inputs["previous"].copy()}
    changed["previous"][:, 2] = 1 + inputs["previous"][:, 2] % (SMALL["targets"] - 1)
    before, after = run(network, inputs)["scores"], run(network, changed)["scores"]
    np.testing.assert_allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert np.abs(before[:, 2:] - after[:, 2:]).max() > 1e-3


@pytest.mark.parametrize("attention", DECODERS)
def test_an_empty_source_gives_finite_scores(rng, attention):
    outputs = run(excited(make(attention=attention), rng), batch(rng, lengths=(0, 0), time=1))
    assert all(np.isfinite(value).all() for value in outputs.values())


@pytest.mark.parametrize("attention", DECODERS)
def test_every_weight_is_trained(rng, attention):
    network = excited(make(attention=attention, cell="lstm", depth=2), rng)
    inputs = batch(rng, lengths=(6, 3))

    def loss():
        return ops.sum(ops.square(network(inputs, training=False)["scores"]))

    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("attention", DECODERS)
def test_half_precision_gives_float32_scores_near_the_full_ones(rng, attention):
    full = make(attention=attention, depth=2, cell="lstm")
    half = make(attention=attention, depth=2, cell="lstm", dtype="mixed_bfloat16")
    half.set_weights(full.get_weights())
    inputs = batch(rng)
    for outputs in (run(half, inputs), stepwise(half, inputs)):
        assert {value.dtype for value in outputs.values()} == {np.dtype("float32")}
        np.testing.assert_allclose(outputs["scores"], run(full, inputs)["scores"], atol=0.05)


def test_dropout_acts_in_training_only(rng):
    for attention, kind in (("multiplicative", "dropout"), ("additive", "layer_dropout")):
        network = make(attention=attention, depth=2, **{kind: 0.5})
        inputs = batch(rng)
        first, second = (run(network, inputs)["scores"] for _ in range(2))
        np.testing.assert_array_equal(first, second)
        first, second = (run(network, inputs, training=True)["scores"] for _ in range(2))
        assert not np.allclose(first, second)


def test_recurrent_dropout_has_one_mask_for_a_sequence(rng):
    network = make(attention="additive", recurrent_dropout=0.5)
    inputs = batch(rng)
    first, second = (run(network, inputs, training=True)["scores"] for _ in range(2))
    assert not np.allclose(first, second)
    assert network.get_layer("decoder").cell._recurrent_dropout_mask is None


@pytest.mark.parametrize("attention", DECODERS)
def test_configuration_round_trip(rng, attention):
    network = excited(make(attention=attention, cell="lstm", depth=2, dropout=0.1), rng)
    inputs = batch(rng)
    copy = EncoderDecoderNetwork.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    assert copy.get_config() == network.get_config()
    np.testing.assert_array_equal(run(copy, inputs)["scores"], run(network, inputs)["scores"])
    names = [weight.path for weight in network.weights]
    assert len(set(names)) == len(names)


def test_saved_and_loaded_by_keras(tmp_path, rng):
    network = excited(make(attention="additive", depth=2), rng)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    inputs = batch(rng)
    np.testing.assert_array_equal(run(loaded, inputs)["scores"], run(network, inputs)["scores"])
