"""The tagger's network, on every backend: shapes, masks, padding, training, configuration."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.networks.spelling import SpellingCNN, SpellingRNN
from kerasrnn.networks.tagger import SentencePooling, TaggerNetwork, WordDropout
from kerasrnn.networks.words import SubwordVectors
from tests.backends import value_and_gradients

SMALL = {
    "words": 12,
    "tags": 5,
    "characters": 9,
    "units": 6,
    "word_dimension": 4,
    "character_dimension": 3,
    "character_units": 4,
}


def make(**arguments) -> TaggerNetwork:
    return TaggerNetwork(**{**SMALL, **arguments})


def batch(rng: np.random.Generator, lengths=(4, 2, 0), time=5, letters=6) -> dict[str, np.ndarray]:
    words = rng.integers(1, SMALL["words"], (len(lengths), time))
    present = np.arange(time) < np.array(lengths)[:, None]
    characters = rng.integers(1, SMALL["characters"], (len(lengths), time, letters))
    spelled = np.arange(letters) < rng.integers(1, letters + 1, words.shape)[..., None]
    return {
        "words": (words * present).astype("int32"),
        "characters": (characters * spelled * present[..., None]).astype("int32"),
        "capitals": (rng.integers(1, 5, words.shape) * present).astype("int32"),
        "subwords": rng.integers(0, 7, (*words.shape, 3)).astype("int32") * present[..., None],
    }


def run(network, inputs, training=False) -> dict[str, np.ndarray]:
    inputs = {name: inputs[name] for name in network.input}
    outputs = network(inputs, training=training)
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def first(inputs, rows, time, letters) -> dict[str, np.ndarray]:
    return {
        "words": inputs["words"][rows, :time],
        "characters": inputs["characters"][rows, :time, :letters],
        "capitals": inputs["capitals"][rows, :time],
        "subwords": inputs["subwords"][rows, :time],
    }


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("spelling", ["cnn", "rnn", "none"])
def test_scores_have_the_shape_of_the_words(rng, cell, spelling):
    network = make(cell=cell, spelling=spelling, labels=3)
    outputs = run(network, batch(rng))
    assert outputs["tags"].shape == (3, 5, 5)
    assert outputs["labels"].shape == (3, 3)
    assert outputs["tags"].dtype == np.float32
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_a_word_in_pieces_is_their_mean(rng):
    layer = SubwordVectors(5, 3)
    subwords = np.array([[[2, 4, 0], [3, 0, 0], [0, 0, 0]]], "int32")
    found = ops.convert_to_numpy(layer(subwords))
    table = ops.convert_to_numpy(layer.embeddings.embeddings)
    expected = [[(table[2] + table[4]) / 2, table[3], np.zeros(3)]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    again = SubwordVectors.from_config(layer.get_config())
    assert again(subwords).shape == (1, 3, 3)
    assert not SubwordVectors(5, 3, trainable=False).embeddings.trainable


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("spelling", ["cnn", "rnn"])
def test_padding_and_neighbours_change_nothing(rng, spelling, bidirectional):
    further = {"labels": 3, "capitals": 5, "subwords": 7, "subword_dimension": 3}
    network = make(spelling=spelling, bidirectional=bidirectional, depth=2, **further)
    inputs = batch(rng, lengths=(5, 3, 1), time=7, letters=6)
    inputs["characters"][1:, :, 3:] = 0  # short words
    together = run(network, inputs)
    for row, length in enumerate((5, 3, 1)):
        letters = 6 if row == 0 else 3
        alone = run(network, first(inputs, [row], length, letters))
        np.testing.assert_allclose(
            alone["tags"][0], together["tags"][row, :length], atol=1e-5, rtol=0
        )
        np.testing.assert_allclose(alone["labels"][0], together["labels"][row], atol=1e-5, rtol=0)


def test_one_direction_does_not_see_what_comes_after(rng):
    inputs = batch(rng, lengths=(5, 5), time=5)
    changed = {name: value.copy() for name, value in inputs.items()}
    changed["words"][:, -1] = 1 + inputs["words"][:, -1] % (SMALL["words"] - 1)
    for bidirectional in (False, True):
        network = make(bidirectional=bidirectional)
        before, after = run(network, inputs)["tags"], run(network, changed)["tags"]
        same = np.allclose(before[:, 0], after[:, 0], atol=1e-7)
        assert same is not bidirectional


def test_a_sentence_without_words_gives_finite_scores(rng):
    outputs = run(make(labels=2), batch(rng, lengths=(0, 0), time=1))
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_every_weight_is_trained(rng):
    network = make(labels=2, depth=2, capitals=5, subwords=7, subword_dimension=3)
    inputs = batch(rng, lengths=(5, 3))
    mask = ops.convert_to_tensor((inputs["words"] != 0).astype("float32")[..., None])

    def loss():
        outputs = network(inputs, training=False)
        return ops.sum(ops.square(outputs["tags"]) * mask) + ops.sum(ops.square(outputs["labels"]))

    _, gradients = value_and_gradients(loss, network.trainable_variables, [])
    for variable, gradient in zip(network.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


def test_frozen_word_embeddings_are_not_among_the_trainable_weights():
    trained, frozen = make(), make(train_words=False)
    assert len(frozen.trainable_variables) == len(trained.trainable_variables) - 1
    assert len(frozen.weights) == len(trained.weights)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_gives_float32_scores(rng, policy):
    network = make(dtype=policy, labels=2)
    outputs = run(network, batch(rng))
    assert {value.dtype for value in outputs.values()} == {np.dtype("float32")}
    assert all(np.isfinite(value).all() for value in outputs.values())


def test_configuration_round_trip(rng):
    network = make(cell="gru", labels=2, depth=2, spelling="rnn")
    copy = TaggerNetwork.from_config(network.get_config())
    copy.set_weights(network.get_weights())
    inputs = batch(rng)
    np.testing.assert_array_equal(run(network, inputs)["tags"], run(copy, inputs)["tags"])


def test_dropout_acts_in_training_only(rng):
    network = make(dropout=0.5, word_dropout=0.3)
    inputs = batch(rng)
    np.testing.assert_array_equal(run(network, inputs)["tags"], run(network, inputs)["tags"])
    assert not np.allclose(
        run(network, inputs, training=True)["tags"], run(network, inputs, training=True)["tags"]
    )


def test_word_dropout_makes_words_unknown_and_leaves_padding():
    layer = WordDropout(0.5, seed=1)
    words = np.repeat(np.array([[5, 6, 7, 0]], "int32"), 400, axis=0)
    dropped = ops.convert_to_numpy(layer(words, training=True))
    assert (dropped[:, 3] == 0).all()
    assert set(np.unique(dropped[:, 0])) == {1, 5}
    assert 0.4 < (dropped[:, :3] == 1).mean() < 0.6
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(words)), words)


def test_word_dropout_hands_a_mask_on_in_training_too():
    layer = WordDropout(0.5, seed=1)
    reader = keras.layers.LSTM(2, return_sequences=True)
    rows = keras.layers.Masking()(np.array([[[1.0], [2.0], [0.0]]], "float32"))
    mask = np.array([[True, True, False]])
    for training in (True, False):
        words = layer(rows, training=training)
        expected = reader(ops.convert_to_numpy(words), mask=mask)
        found, expected = map(ops.convert_to_numpy, (reader(words), expected))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_pooling_is_the_mean_and_the_maximum_of_the_words():
    sequences = np.array([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]], [[5.0, 5.0]] * 3], "float32")
    mask = np.array([[True, True, False], [False] * 3])
    pooled = ops.convert_to_numpy(SentencePooling()(sequences, mask))
    np.testing.assert_allclose(pooled, [[2.0, -3.0, 3.0, -2.0], [0.0] * 4])


@pytest.mark.parametrize("layer_class", [SpellingCNN, SpellingRNN])
def test_spelling_sees_order_and_not_padding(rng, layer_class):
    layer = layer_class(9, 3, 4)
    words = np.array([[[2, 3, 4], [4, 3, 2], [2, 3, 4]]], "int32")
    vectors = ops.convert_to_numpy(layer(words))
    assert vectors.shape == (1, 3, 4)
    assert not np.allclose(vectors[0, 0], vectors[0, 1])
    longer = np.pad(words, [(0, 0), (0, 0), (0, 4)])
    np.testing.assert_allclose(ops.convert_to_numpy(layer(longer)), vectors, atol=1e-6)


@pytest.mark.parametrize("width", [2, 5])
def test_a_filter_sees_as_many_characters_as_its_width(rng, width):
    """Against the sums of Ma and Hovy (2016), written out; the word ends before the row does."""
    network = make(spelling="cnn", character_width=width, character_units=4)
    layer = network.get_layer("spelling")
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    table, kernel, bias = (ops.convert_to_numpy(weight) for weight in layer.weights)
    assert kernel.shape[0] == width
    ids = [2, 3, 4, 5, 3, 2]
    before = (width - 1) // 2
    zeros = np.zeros((width, table.shape[1]))
    letters = np.concatenate([zeros[:before], table[ids], zeros[: width - 1 - before]])
    sums = [
        sum(letters[place + k] @ kernel[k] for k in range(width)) + bias
        for place in range(len(ids))
    ]
    expected = np.maximum(sums, 0).max(axis=0)
    word = np.array([[[*ids, 0, 0]]], "int32")
    np.testing.assert_allclose(ops.convert_to_numpy(layer(word))[0, 0], expected, rtol=1e-4)


def test_spelling_in_two_directions_needs_an_even_number_of_units():
    with pytest.raises(ValueError, match="`units` must be even"):
        SpellingRNN(9, 3, 5)


def test_saved_and_loaded_by_keras(tmp_path, rng):
    network = make(labels=2)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    inputs = batch(rng)
    np.testing.assert_allclose(run(loaded, inputs)["tags"], run(network, inputs)["tags"])
