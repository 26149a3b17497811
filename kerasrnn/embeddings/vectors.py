"""The vectors of a model's own words, read from files of vectors, and such files written."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasrnn.data.errors import check_strings, shown
from kerasrnn.embeddings.sources import source_of
from kerasrnn.embeddings.tables import rows_at_once
from kerasrnn.embeddings.writing import write_file


class Vectors(NamedTuple):
    """Rows of an embedding matrix, and which of them were found in the file.

    Attributes:
        matrix: float32 `(terms, dimension)`; rows of zeros for terms that were not found.
        found: booleans `(terms,)`.
    """

    matrix: np.ndarray
    found: np.ndarray

    def scaled(self, deviation: float | None = None) -> "Vectors":
        """The same directions in another width: by default that of a new embedding, 1/√dimension.

        Vectors of files are several times wider (0.7 against 0.14 for GloVe of length 50). Beside
        other features, which start small, they would be all that a network sees for a long time.

        Args:
            deviation: the standard deviation that the numbers found are to have; None for
                1/√dimension.

        Returns:
            `Vectors`; all numbers are multiplied by the same factor.

        Example:

        >>> import numpy as np
        >>> from kerasrnn.embeddings import Vectors
        >>> vectors = Vectors(np.array([[3.0, 1.0], [0.0, 0.0]]), np.array([True, False]))
        >>> vectors.scaled().matrix[0].round(3).tolist()
        [2.121, 0.707]
        """
        wanted = self.matrix.shape[1] ** -0.5 if deviation is None else deviation
        present = float(self.matrix[self.found].std()) if self.found.any() else 0.0
        factor = wanted / present if present else 1.0
        return Vectors((self.matrix * factor).astype(self.matrix.dtype), self.found)


def read_vectors(
    source: str | os.PathLike[str], terms: Sequence[str], *, lowercase_fallback: bool = True
) -> Vectors:
    """Read the vectors of some terms from a file, a preset or a package.

    Files are told apart by their content: the text of GloVe, word2vec and fastText (`.vec`),
    word2vec's binary format, each compressed with gzip or not, and safetensors.

    In a text file, each line holds a term and its numbers, separated by spaces, or a tab behind the
    term and tabs or spaces between the numbers. word2vec's and fastText's first line tells the
    number of terms and the dimension, GloVe has no such line. A term may itself contain spaces, as
    some in `glove.840B.300d` do; it must not end in a number then, but before a tab. Every line's
    number of values is checked, but only the values asked for are read as numbers.

    Text and binary files are read as streams, and what is not asked for is not kept, so that a file
    larger than memory will do. A term that stands twice keeps its first vector. Where the first
    line promises another number of rows than there are, a warning names both.

    Args:
        source: the file; or a preset, by its folder or a name such as `"ner_en_starter"`, for the
            embeddings of its words; or a name of `VECTOR_PACKAGES`, such as `"glove-6b-50d"`, for
            the vectors of an installed package; or several names joined by `+`, for their vectors
            side by side.
        terms: the terms wanted, one row of the result for each. The empty string is never found:
            vocabularies use it for padding.
        lowercase_fallback: whether a term that is not in the file gets the vector of its lower
            case, if that is there. An exact match always wins.

    Returns:
        `Vectors(matrix, found)`.

    Raises:
        DataError: the file is empty, damaged or of another kind, or a line has a wrong number of
            values or one that is not a finite number; or it cannot be opened. It names the file,
            the line, what was expected and what came.
        TypeError: a term is no string.
        ValueError: a term is no valid Unicode.
        ModuleNotFoundError: the package is not installed; the message says how to install it.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> _ = path.write_text("the 0.1 0.2\\nparis 0.5 -1.5\\n")
    >>> matrix, found = read_vectors(path, ["Paris", "the", "zebra"])
    >>> matrix.tolist()[0], found.tolist()
    ([0.5, -1.5], [True, True, False])
    """
    check_strings(terms, "terms")
    return Vectors(*source_of(source).read_vectors(terms, lowercase_fallback=lowercase_fallback))


def read_terms(source: str | os.PathLike[str]) -> list[str]:
    """The terms of a file, a preset or a package of vectors, to extend a vocabulary with.

    Args:
        source: as for `read_vectors`.

    Returns:
        The terms in the order of the file (the commonest first, in the files usually given away),
        each once. A row without a term is left out. A warning says how many rows repeat a term.

    Raises:
        DataError, ModuleNotFoundError: as for `read_vectors`.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> _ = path.write_text("2 3\\nthe 0 0 1\\ncat 1 0 1\\n")
    >>> read_terms(path)
    ['the', 'cat']
    """
    return list(dict.fromkeys(source_of(source).read_terms()))


def write_vectors(
    path: str | os.PathLike[str], terms: Sequence[str], matrix: Any, *, header: bool = False
) -> None:
    """Write vectors as a text file, from which `read_vectors` reads the same float32 numbers.

    The file appears whole or not at all, and is compressed with gzip if its name ends in `.gz`.
    Other formats are written by `EmbeddingMatrix.save`.

    Args:
        path: the file.
        terms: one for each row.
        matrix: finite numbers `(terms, dimension)`, written as float32.
        header: whether to begin with word2vec's line of the number of terms and the dimension.

    Raises:
        ValueError: the sizes differ, a number is not finite, or a term cannot stand in such a file:
            an empty one, one with a line break or tab, with a space at its start or end, or with a
            number as the last of several words.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> write_vectors(path, ["the", "cat"], [[0.0, 0.5], [1.0, -2.0]], header=True)
    >>> path.read_text().splitlines()
    ['2 2', 'the 0.0 0.5', 'cat 1.0 -2.0']
    """
    check_strings(terms, "terms")
    matrix = checked_matrix(terms, matrix)
    write_file(path, terms, matrix, ".vec" if header else ".txt")


def checked_matrix(terms: Sequence[str], matrix: Any) -> np.ndarray:
    """A matrix of vectors, if it is one of finite numbers and has a row for each term.

    Args:
        terms: the terms.
        matrix: what should be numbers `(terms, dimension)`.

    Returns:
        It as float32; itself, where it is that already.

    Raises:
        ValueError: it is none; the message says why.
    """
    try:
        with np.errstate(over="ignore"):  # found out below
            matrix = np.asarray(matrix, "float32")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`matrix` must hold numbers (terms, dimension). Received: {shown(matrix)} ({error})"
        ) from error
    if matrix.ndim != 2 or matrix.shape[0] != len(terms) or 0 in matrix.shape:
        raise ValueError(
            f"`matrix` must have the shape (terms={len(terms)}, dimension), neither of them 0. "
            f"Received: {matrix.shape}."
        )
    # By blocks: booleans for the whole of a large matrix would be a quarter of it again.
    step = rows_at_once(matrix.shape[1])
    for start in range(0, len(matrix), step):
        finite = np.isfinite(matrix[start : start + step]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise ValueError(
                f"`matrix` must be finite. Received: {shown(matrix[row])} for {terms[row]!r}."
            )
    return matrix
