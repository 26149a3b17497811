"""Vectors for words that have none: from their letters, or from another space of vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kerasrnn.extras import require
from kerasrnn.storage.term_files import check_terms

# How long a piece of a word is, its edges counted: as long as most syllables and endings.
_SHORTEST, _LONGEST = 3, 5
# How much the vectors of pieces are held small. Between 3 and 10 held-out words of GloVe fare best.
_STRENGTH = 5.0


def vectors_from_pieces(
    terms: Sequence[str], matrix: np.ndarray, words: Sequence[str]
) -> np.ndarray:
    r"""Vectors of words made of their pieces, as the vectors of known words are.

    A word between `<` and `>` is a bag of all its runs of 3 to 5 characters. Each has a vector such
    that the vectors of the known words are, as nearly as may be, the sums of those of their pieces:

    .. math::
        E_w \approx b + \sum_{g \in pieces(w)} v_g, \qquad
        \min_{v, b} \sum_w \Bigl\| E_w - b - \sum_g v_g \Bigr\|^2 + \lambda \sum_g \|v_g\|^2

    after Zhao et al. (2018), "Generalizing Word Embeddings using Bag of Subwords", with the pieces
    of Bojanowski et al. (2017), "Enriching Word Vectors with Subword Information"; fitted by ridge
    regression, which has one best answer, in place of their steps of gradients.

    Args:
        terms: known words, distinct.
        matrix: their vectors, `(terms, dimension)`.
        words: the words that want vectors.

    Returns:
        float32 `(words, dimension)`. A word without any known piece gets `b`, near the mean.

    Raises:
        ValueError: if `terms` repeat, are fewer than two, or `matrix` has another number of rows or
            is not finite.
        ImportError: scikit-learn is not installed; the message says how to install it.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.embeddings import vectors_from_pieces
    >>> terms = ["walking", "talking", "walked", "talked"]
    >>> matrix = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    >>> (vectors_from_pieces(terms, matrix, ["baking", "baked"])[:, 0] > 0).tolist()
    [True, False]
    """
    terms = check_terms(terms, "terms")
    matrix = _checked(matrix, len(terms))
    if len(terms) < 2:
        raise ValueError(f"`terms` must hold at least two words. Received: {terms}")
    dimension = matrix.shape[1]
    if not len(words):
        return np.zeros((0, dimension), np.float32)
    purpose = "A vector made of a word's pieces"
    text = require("sklearn.feature_extraction.text", "training", purpose)
    linear_model = require("sklearn.linear_model", "training", purpose)
    counter = text.CountVectorizer(analyzer=_pieces, dtype=np.float32)
    counts = counter.fit_transform(terms)  # (terms, pieces), sparse
    # A step of conjugate gradients beyond a hundredth changes no vector that one could tell.
    ridge = linear_model.Ridge(_STRENGTH, solver="sparse_cg", tol=1e-2)
    # In their own scale, that the step at which it ends is the same for wide and narrow ones.
    width = float(matrix.std()) or 1.0
    ridge.fit(counts, matrix / width)
    found = ridge.predict(counter.transform(words)) * width
    return found.reshape(len(words), dimension).astype(np.float32)


def _pieces(word: str) -> list[str]:
    """All runs of a few characters of a word and its edges."""
    edged = f"<{word}>"
    return [
        edged[begin : begin + length]
        for length in range(_SHORTEST, _LONGEST + 1)
        for begin in range(len(edged) - length + 1)
    ]


def linear_map(
    terms: Sequence[str], matrix: np.ndarray, find: Callable[[str], np.ndarray | None]
) -> np.ndarray:
    r"""The map that takes the vectors of one space to those of another.

    .. math::
        \min_W \sum_{w} \| E_w - u_w W \|^2

    over the words w that both spaces know, with u the vectors of the one and E those of the other:
    the vocabulary expansion of Kiros et al. (2015), "Skip-Thought Vectors", section 2.2.

    Args:
        terms: the words of the space that is mapped to.
        matrix: their vectors, `(terms, dimension)`.
        find: gives a word's vector in the space that is mapped from, `(other,)`; None for none.

    Returns:
        W, float32 `(other, dimension)`.

    Raises:
        ValueError: if both know fewer words than twice the length of the vectors that are mapped:
            from fewer a map learns them by heart.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.embeddings.pieces import linear_map
    >>> source = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0]), "c": np.array([1.0, 1.0])}
    >>> source["d"] = np.array([2.0, 1.0])
    >>> target = np.array([[1.0, 3.0], [2.0, 1.0], [3.0, 4.0], [4.0, 7.0]])
    >>> linear_map(["a", "b", "c", "d"], target, source.get).round(3).tolist()
    [[1.0, 3.0], [2.0, 1.0]]
    """
    matrix = _checked(matrix, len(terms))
    found = [find(term) for term in terms]
    rows = [row for row, vector in enumerate(found) if vector is not None]
    known = np.array([found[row] for row in rows], np.float64)
    length = known.shape[1] if rows else 0
    if len(rows) < max(2, 2 * length):
        raise ValueError(
            f"Too few words have a vector in both spaces: {len(rows)} of {len(terms):,}. Expected "
            f"at least {max(2, 2 * length)}, twice the length of the vectors, to map one to the "
            "other."
        )
    return np.linalg.lstsq(known, matrix[rows].astype(np.float64))[0].astype(np.float32)


def _checked(matrix: np.ndarray, count: int) -> np.ndarray:
    matrix = np.asarray(matrix, np.float32)
    if matrix.ndim != 2 or len(matrix) != count or not np.isfinite(matrix).all():
        raise ValueError(
            f"`matrix` must hold a finite vector for each of the {count} terms, (terms, "
            f"dimension). Received an array of the shape {matrix.shape}."
        )
    return matrix
