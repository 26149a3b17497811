"""A few answers of the shipped word vectors, pinned: they must not change."""

import json
from pathlib import Path

import numpy as np
import pytest

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.zoo import WordVectors, list_presets
from tests.data.real import real
from training import vectors_preset

# The first four numbers of some words.
VECTORS = {
    "the": (0.4102, 0.2524, -0.4102, 0.1262),
    "france": (0.6625, 0.2898, -1.0559, -0.6625),
    "!": (-0.5883, 0.3861, 0.6619, -0.3493),
}
NEIGHBOURS = {
    "france": ["french", "belgium", "paris"],
    "seven": ["five", "nine", "six"],
}
ANALOGIES = {
    ("man", "woman", "king"): "queen",
    ("france", "paris", "italy"): "rome",
    ("he", "his", "she"): "her",
}


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    return WordVectors.from_preset("words_en")


def folder() -> Path:
    return next(preset.path for preset in list_presets("WordVectors"))


def test_every_preset_of_vectors_is_pinned():
    assert [preset.name for preset in list_presets("WordVectors")] == ["words_en"]


def test_vectors_are_pinned(vectors):
    found = vectors.predict(list(VECTORS))
    np.testing.assert_allclose(found[:, :4], list(VECTORS.values()), atol=1e-4)
    assert len(vectors.vocabulary.terms) == 20_000
    assert vectors.known(["France", "PARIS", "rumpelstiltskin"]).tolist() == [True, True, False]


def test_answers_are_pinned(vectors):
    for word, expected in NEIGHBOURS.items():
        assert [near for near, _ in vectors.most_similar(word, topn=3)] == expected
    for question, expected in ANALOGIES.items():
        assert vectors.analogy(*question)[0][0] == expected


def test_the_matrix_is_read_without_the_model(vectors):
    matrix = EmbeddingMatrix.load("words_en")
    assert matrix.terms == vectors.vocabulary.terms
    np.testing.assert_array_equal(matrix.matrix, vectors.to_matrix().matrix)


def test_it_is_small():
    assert (folder() / "model.weights.h5").stat().st_size < 1_200_000


def test_integers_cost_less_than_half_a_point():
    metrics = json.loads((folder() / "metrics.json").read_text())
    given, here = metrics["original"]["test"], metrics["shipped"]["test"]
    assert given.keys() == here.keys()
    for name in given:
        assert abs(given[name] - here[name]) < 0.005, name


def test_figures_are_those_of_the_card(monkeypatch, vectors):
    monkeypatch.setenv("KERASRNN_DATA", str(real(vectors_preset.QUESTIONS).parents[1]))
    metrics = json.loads((folder() / "metrics.json").read_text())
    assert vectors_preset.measure(vectors.to_matrix()) == pytest.approx(metrics["shipped"]["test"])


def test_it_goes_on_learning(vectors):
    model = WordVectors.from_matrix(vectors.to_matrix(), subsampling=0.0)
    model.fit(["I grew up in France .", "I speak French ."] * 20, epochs=2, verbose=0)
    moved = (model.to_matrix().matrix != vectors.to_matrix().matrix).any(axis=1)
    words = {model.vocabulary.terms[row] for row in np.flatnonzero(moved)}
    assert words == {"i", "grew", "up", "in", "france", ".", "speak", "french"}
