"""The classifier's network and its poolings, on every backend, against NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.networks.classifier import ClassifierNetwork, poolings
from kerasrnn.networks.pooling import AttentionPooling, SentencePooling, StepPooling
from tests import oracles
from tests.backends import value_and_gradients

SMALL = {
    "tokens": 12,
    "labels": 3,
    "units": 4,
    "token_dimension": 5,
    "attention_units": 3,
    "dropout": 0.0,
}
LENGTHS = (4, 2, 5, 1)


def make(**arguments) -> ClassifierNetwork:
    return ClassifierNetwork(**{**SMALL, **arguments})


def batch(rng, lengths=LENGTHS, time=6) -> np.ndarray:
    present = np.arange(time) < np.array(lengths)[:, None]
    return (rng.integers(1, SMALL["tokens"], present.shape) * present).astype("int32")


def run(network, tokens, training=False) -> dict[str, np.ndarray]:
    outputs = network({"tokens": tokens}, training=training)
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def excite(network, rng) -> None:
    """Weights so large that outputs differ from row to row."""
    for weight in network.trainable_variables:
        weight.assign(rng.normal(0, 0.7, weight.shape))


# === Oracles ===


def pooled_by_hand(kind: str, h: np.ndarray, units: int, weights) -> tuple[np.ndarray, np.ndarray]:
    """One vector for the steps `h` (time, units) of one text, and the attention."""
    if kind == "mean":
        return h.mean(0), np.zeros(0)
    if kind == "max":
        return h.max(0), np.zeros(0)
    if kind == "last":
        return np.concatenate([h[-1, :units], h[0, units:]]), np.zeros(0)
    W, b, v = weights
    e = np.array([v @ np.tanh(step @ W + b) for step in h])
    α = np.exp(e) / np.exp(e).sum()
    return sum(share * step for share, step in zip(α, h, strict=True)), α


@pytest.mark.parametrize(
    ("cell", "bidirectional"),
    [("simple", True), ("simplified_gru", False), ("gru", False), ("lstm", True)],
)
def test_scores_are_those_of_the_equations(rng, cell, bidirectional):
    kinds = ("mean", "max", "last", "attention")
    network = make(cell=cell, bidirectional=bidirectional, pooling="+".join(kinds))
    excite(network, rng)
    tokens = batch(rng)
    outputs = run(network, tokens)

    def weights(name):
        return [w.astype("float64") for w in network.get_layer(name).get_weights()]

    for row, length in enumerate(LENGTHS):
        x = weights("token_embeddings")[0][tokens[row : row + 1, :length]]  # (1, time, dimension)
        (h,) = oracles.deep_outputs(
            oracles.CELLS[cell], x, weights("rnn"), depth=1, bidirectional=bidirectional
        )
        attention = weights("attention_pooling")
        parts = [pooled_by_hand(kind, h[0], SMALL["units"], attention) for kind in kinds]
        kernel, bias = weights("label_scores")
        scores = np.concatenate([vector for vector, _ in parts]) @ kernel + bias
        np.testing.assert_allclose(outputs["labels"][row], scores, atol=2e-5)
        np.testing.assert_allclose(outputs["attention"][row, :length], parts[3][1], atol=1e-5)
        assert (outputs["attention"][row, length:] == 0).all()


def test_poolings_skip_holes_and_give_zeros_without_steps(rng):
    sequences = rng.normal(size=(3, 4, 6)).astype("float32")
    mask = np.array([[True, False, True, False], [False, True, True, True], [False] * 4])
    for kind in ("mean", "max", "last"):
        layer = StepPooling(kind, bidirectional=True)
        pooled = ops.convert_to_numpy(layer(sequences, mask=mask))
        for row in range(2):
            expected, _ = pooled_by_hand(kind, sequences[row][mask[row]], 3, None)
            np.testing.assert_allclose(pooled[row], expected, atol=1e-6)
        assert (pooled[2] == 0).all()
    pooled, weights = AttentionPooling(5)(sequences, mask=mask)
    pooled, weights = ops.convert_to_numpy(pooled), ops.convert_to_numpy(weights)
    np.testing.assert_allclose(weights.sum(1), [1, 1, 0], atol=1e-6)
    assert (weights[~mask] == 0).all()
    assert (pooled[2] == 0).all()


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_no_rows_and_no_steps_are_pooled(shape):
    sequences, mask = np.zeros((*shape, 6), "float32"), np.zeros(shape, bool)
    kinds = [StepPooling(kind, bidirectional=True) for kind in ("mean", "max", "last")]
    for layer in (*kinds, SentencePooling(), AttentionPooling(4)):
        pooled = layer(sequences, mask=mask)
        pooled = pooled[0] if isinstance(pooled, tuple) else pooled
        assert tuple(pooled.shape) == (shape[0], 12 if isinstance(layer, SentencePooling) else 6)
        assert (ops.convert_to_numpy(pooled) == 0).all()


def test_attention_with_large_scores_stays_finite(rng):
    layer = AttentionPooling(4)
    sequences = rng.normal(size=(2, 3, 5)).astype("float32")
    mask = np.ones((2, 3), bool)
    layer(sequences, mask=mask)
    layer.set_weights([w * 1000 + 500 for w in layer.get_weights()])
    pooled, weights = layer(sequences, mask=mask)
    assert np.isfinite(ops.convert_to_numpy(pooled)).all()
    np.testing.assert_allclose(ops.convert_to_numpy(weights).sum(1), 1, atol=1e-6)


def test_an_unknown_pooling_is_named():
    assert poolings("max") == ("max",)
    for wrong in ("sum", "max+", "max+max", ""):
        with pytest.raises(ValueError, match=r"`pooling`: .*Expected one of mean, max, last, att"):
            poolings(wrong)
    with pytest.raises(ValueError, match=r"`kind`: 'attention'. Expected one of mean, max, last"):
        StepPooling("attention")


# === The network as a whole ===


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_and_neighbours_change_nothing(rng, bidirectional):
    pooling = "mean+max+last+attention"  # the scores depend on all four
    network = make(pooling=pooling, bidirectional=bidirectional, depth=2)
    excite(network, rng)
    tokens = batch(rng)
    together = run(network, tokens)["labels"]
    assert np.abs(together[0] - together[1]).max() > 1e-2
    for row, length in enumerate(LENGTHS):
        alone = run(network, tokens[row : row + 1, :length])["labels"]
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5, rtol=0)


def test_spelling_stands_beside_the_words(rng):
    network = make(characters=9, spelling="cnn", character_dimension=3, character_units=4)
    tokens = batch(rng, lengths=(3, 2), time=3)
    letters = rng.integers(1, 9, (2, 3, 5)).astype("int32") * (tokens > 0)[..., None]
    scores = ops.convert_to_numpy(network({"tokens": tokens, "characters": letters})["labels"])
    other = ops.convert_to_numpy(
        network({"tokens": tokens, "characters": letters[..., ::-1]})["labels"]
    )
    assert np.abs(scores - other).max() > 1e-4


def test_a_text_without_tokens_gives_finite_scores(rng):
    outputs = run(make(pooling="mean+max+last+attention"), np.zeros((2, 1), "int32"))
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_every_weight_is_trained(rng):
    network = make(pooling="attention+last", depth=2)
    tokens = batch(rng)

    def loss():
        return ops.sum(ops.square(network({"tokens": tokens}, training=False)["labels"] - 1))

    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


def test_half_precision_gives_float32_scores(rng):
    outputs = run(make(dtype="mixed_bfloat16", pooling="attention+max"), batch(rng))
    assert {value.dtype for value in outputs.values()} == {np.dtype("float32")}
    np.testing.assert_allclose(outputs["attention"].sum(1), 1, atol=1e-5)


def test_dropout_acts_in_training_only(rng):
    network = make(dropout=0.5, token_dropout=0.3)
    tokens = batch(rng)
    np.testing.assert_array_equal(run(network, tokens)["labels"], run(network, tokens)["labels"])
    assert not np.allclose(
        run(network, tokens, training=True)["labels"], run(network, tokens, training=True)["labels"]
    )


def test_saved_and_loaded_by_keras(tmp_path, rng):
    network = make(cell="gru", pooling="attention+max", train_tokens=False)
    assert len(network.trainable_variables) == len(network.weights) - 1
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.get_config()["pooling"] == "attention+max"
    tokens = batch(rng)
    np.testing.assert_allclose(run(loaded, tokens)["labels"], run(network, tokens)["labels"])
