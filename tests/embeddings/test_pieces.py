"""Vectors for words that have none: from their pieces, or from another space."""

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest

from kerasrnn.embeddings import read_terms, read_vectors, vectors_from_pieces
from kerasrnn.embeddings.pieces import linear_map


def cosine(one, other):
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / lengths).mean())


def made_words(rng, dimension=20):
    """Words of a stem and an ending, whose vectors are the sums of one of either, and noise."""
    letters = list("bcdfglmnprst")
    stems = [
        "".join(rng.choice(letters, 2)) + "a" + "".join(rng.choice(letters, 2)) for _ in "x" * 60
    ]
    stems = sorted(set(stems))
    endings = ["ing", "ed", "ation", "ly", "er", "s"]
    of_stem = rng.normal(size=(len(stems), dimension))
    of_ending = rng.normal(size=(len(endings), dimension))
    words, rows = [], []
    for (i, stem), (j, ending) in itertools.product(enumerate(stems), enumerate(endings)):
        words.append(stem + ending)
        rows.append(of_stem[i] + of_ending[j] + 0.1 * rng.normal(size=dimension))
    return words, np.array(rows, "float32")


def test_words_that_were_held_out():
    words, matrix = made_words(np.random.default_rng(0))
    held = np.arange(len(words)) % 5 == 0
    known = [word for word, out in zip(words, held, strict=True) if not out]
    asked = [word for word, out in zip(words, held, strict=True) if out]
    found = vectors_from_pieces(known, matrix[~held], asked)
    assert found.shape == (len(asked), 20)
    assert found.dtype == np.float32
    mean = np.tile(matrix[~held].mean(axis=0), (len(asked), 1))
    assert cosine(found, matrix[held]) > 0.8
    assert cosine(mean, matrix[held]) < 0.5
    # The width of the vectors changes nothing but theirs.
    wide = vectors_from_pieces(known, 1000 * matrix[~held], asked)
    assert cosine(wide, found) > 0.999
    np.testing.assert_allclose(wide.std(), 1000 * found.std(), rtol=0.02)


def test_words_without_a_known_piece():
    terms, matrix = ["walking", "talking"], np.array([[1.0, 2.0], [3.0, 4.0]])
    found = vectors_from_pieces(terms, matrix, ["漢字", "x"])
    np.testing.assert_allclose(found, [[2.0, 3.0]] * 2, atol=0.5)
    assert vectors_from_pieces(terms, matrix, []).shape == (0, 2)
    assert vectors_from_pieces(terms, np.zeros((2, 2)), ["king"]).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("terms", "matrix", "message"),
    [
        (["a", "a"], np.zeros((2, 2)), "distinct"),
        (["a"], np.zeros((1, 2)), "at least two"),
        (["a", "b"], np.zeros((3, 2)), r"each of the 2 terms.*\(3, 2\)"),
        (["a", "b"], np.zeros(2), r"each of the 2 terms"),
        (["a", "b"], np.full((2, 2), np.nan), "finite"),
    ],
)
def test_what_is_no_table(terms, matrix, message):
    with pytest.raises(ValueError, match=message):
        vectors_from_pieces(terms, matrix, ["c"])


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(ImportError, match=r"kerasrnn\[training\].*pip install scikit-learn"):
        vectors_from_pieces(["walk", "talk"], np.eye(2), ["stalk"])


def test_scikit_learn_is_imported_when_it_is_needed():
    code = (
        "import sys, kerasrnn.embeddings.pieces; "
        "print([m for m in ('sklearn', 'tensorflow', 'keras') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
def test_real_words_that_were_held_out():
    try:
        terms = list(read_terms("glove-6b-50d"))[:20_000]
    except ModuleNotFoundError:
        pytest.skip("the package of vectors is not installed")
    matrix = read_vectors("glove-6b-50d", terms).matrix
    held = np.random.default_rng(0).permutation(len(terms)) < 2000
    known = [term for term, out in zip(terms, held, strict=True) if not out]
    asked = [term for term, out in zip(terms, held, strict=True) if out]
    begin = time.process_time()
    found = vectors_from_pieces(known, matrix[~held], asked)
    assert time.process_time() - begin < 30
    mean = np.tile(matrix[~held].mean(axis=0), (len(asked), 1))
    assert cosine(found, matrix[held]) > cosine(mean, matrix[held]) + 0.15


# === From another space ===


def test_a_map_between_two_spaces():
    rng = np.random.default_rng(1)
    terms = [f"w{number}" for number in range(50)]
    other = dict(zip(terms, rng.normal(size=(50, 4)), strict=True))
    right = rng.normal(size=(4, 7))
    table = np.array([other[term] @ right for term in terms])
    found = linear_map([*terms, "mine"], np.vstack([table, np.ones(7)]), other.get)
    np.testing.assert_allclose(found, right, atol=1e-5)
    few = {term: other[term] for term in terms[:7]}
    with pytest.raises(ValueError, match=r"Too few .* 7 of 50. Expected at least 8"):
        linear_map(terms, table, few.get)
    with pytest.raises(ValueError, match=r"Too few .* 0 of 50"):
        linear_map(terms, table, {}.get)
