"""What an export of word vectors answers is what the matrix answers."""

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.zoo import WordVectors

WORDS = [f"word{i}" for i in range(40)]


@pytest.fixture(scope="module")
def matrix() -> EmbeddingMatrix:
    rng = np.random.default_rng(5)
    return EmbeddingMatrix(WORDS, rng.normal(size=(40, 6)).astype("float32"))


@pytest.fixture(scope="module")
def served(matrix, tmp_path_factory):
    model = WordVectors.from_matrix(matrix)
    report = model.export(tmp_path_factory.mktemp("served") / "vectors")
    assert report.verified
    loaded = tf.saved_model.load(str(report.path))
    yield loaded.signatures
    del loaded


def ask(served, name, **inputs):
    answer = served[name](**{key: tf.constant(value) for key, value in inputs.items()})
    return {key: value.numpy() for key, value in answer.items()}


def test_words_have_their_vectors(served, matrix):
    answer = ask(served, "serving_default", words=["word3", "WORD4", "unknown", "", b"\xff"])
    assert answer["known"].tolist() == [True, True, False, False, False]
    np.testing.assert_array_equal(answer["vectors"][:2], matrix.matrix[3:5])
    assert not answer["vectors"][2:].any()
    assert ask(served, "serving_default", words=tf.zeros([0], tf.string))["vectors"].shape == (0, 6)


def test_neighbours_are_those_of_the_matrix(served, matrix):
    answer = ask(
        served,
        "most_similar",
        positive=[["word1", ""], ["word2", "word3"], ["", ""]],
        negative=[[""], ["word4"], ["word5"]],
        k=7,
    )
    questions = ((["word1"], []), (["word2", "word3"], ["word4"]), ([], ["word5"]))
    for row, (positive, negative) in enumerate(questions):
        expected = matrix.most_similar(positive, negative, topn=7)
        assert [w.decode() for w in answer["words"][row]] == [word for word, _ in expected]
        np.testing.assert_allclose(answer["scores"][row], [s for _, s in expected], atol=1e-5)
    assert answer["known"].all()


def test_unknown_words_do_not_count_and_are_told(served, matrix):
    answer = ask(
        served,
        "most_similar",
        positive=[["word1", "?"], ["?", "!"], ["", ""]],
        negative=[[""], [""], [""]],
        k=3,
    )
    assert answer["known"].tolist() == [False, False, True]
    expected = [word for word, _ in matrix.most_similar("word1", topn=3)]
    assert [w.decode() for w in answer["words"][0]] == expected
    assert answer["words"][1:].tolist() == [[b""] * 3] * 2
    assert not answer["scores"][1:].any()


@pytest.mark.parametrize(("k", "found"), [(0, 1), (-5, 1), (1, 1), (40, 40), (10**9, 40)])
def test_no_number_of_neighbours_fails_a_request(served, k, found):
    answer = ask(served, "most_similar", positive=[["word1"]], negative=[["word2"]], k=k)
    assert answer["words"].shape == (1, found)
    if found == 40:  # the words asked for are no answers
        words = answer["words"][0].tolist()
        assert words[38:] == [b"", b""] and answer["scores"][0, 38:].tolist() == [0, 0]
        assert set(words[:38]) == {w.encode() for w in WORDS} - {b"word1", b"word2"}


def test_analogies_are_those_of_the_matrix(served, matrix):
    rng = np.random.default_rng(6)
    a, b, c = (rng.choice(WORDS, 20).tolist() for _ in range(3))
    answer = ask(served, "analogy", a=a, b=b, c=c)
    assert answer["known"].all()
    for row in range(20):
        [(word, score)] = matrix.analogy(a[row], b[row], c[row])
        assert answer["words"][row].decode() == word
        assert answer["scores"][row] == pytest.approx(score, abs=1e-5)
    answer = ask(served, "analogy", a=["word1", "?"], b=["word2", "word2"], c=["?", "word3"])
    assert answer["known"].tolist() == [False, False]
    assert answer["words"].tolist() == [b"", b""] and not answer["scores"].any()


def test_a_model_of_one_word_can_be_exported(tmp_path):
    model = WordVectors(["tea"], dimension=3, context=False)
    assert model.export(tmp_path / "one").verified
