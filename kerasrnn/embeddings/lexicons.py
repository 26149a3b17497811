"""What lexicons say of words, as vectors of a few numbers."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrnn.data.errors import DataError, quote
from kerasrnn.data.files import read_lines
from kerasrnn.embeddings.installed import folder_of
from kerasrnn.embeddings.tables import Table, opened_vectors


@dataclass(frozen=True)
class LexiconPackage:
    """A package from PyPI that carries a lexicon: words, and a few numbers for each.

    They stand beside word vectors, as in `glove-6b-50d+vader`: few texts are enough to learn what
    one number means, which tells of words that the texts lack.

    Args:
        distribution: the package.
        module: the name under which it is installed.
        read: reads the module's folder, into numbers for each word in small letters.
        dimension: how many numbers.
        licence: the lexicon's licence.
        extra: the extra of kerasrnn that brings it, if there is one.

    Example:

    >>> from kerasrnn.embeddings import VECTOR_PACKAGES
    >>> VECTOR_PACKAGES["vader"].dimension
    3
    """

    distribution: str
    module: str
    read: Callable[[Path], dict[str, tuple[float, ...]]]
    dimension: int
    licence: str
    extra: str | None = None

    def folder(self) -> Path:
        """Where the module lies. It is not imported.

        Returns:
            The folder.

        Raises:
            ModuleNotFoundError: the package is not installed; the message says how to install it.
        """
        return folder_of(self.module, self.distribution, self.extra)

    def read_terms(self) -> list[str]:
        """All words, in the order of the lexicon.

        Returns:
            The words, in small letters.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its files cannot be read.
        """
        return list(self.read(self.folder()))

    def read_vectors(
        self, terms: Sequence[str], *, lowercase_fallback: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the lexicon says of some terms.

        Args:
            terms: the terms.
            lowercase_fallback: whether a term is looked up in small letters; the lexicon has no
                others.

        Returns:
            A float32 matrix `(terms, dimension)`, and booleans `(terms,)`. A term that the lexicon
            lacks has zeros.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its files cannot be read.
        """
        numbers = self.read(self.folder())
        matrix = np.zeros((len(terms), self.dimension), "float32")
        found = np.zeros(len(terms), bool)
        for row, term in enumerate(terms):
            known = numbers.get(term.lower() if lowercase_fallback else term)
            if known is not None:
                matrix[row], found[row] = known, True
        return matrix, found

    def opened(self, limit: int | None = None) -> contextlib.AbstractContextManager[Table]:
        """Open the vectors of its terms, to read them from the first on.

        Args:
            limit: how many of the first terms to read; None for all.

        Returns:
            A context that gives the rows, and raises what `read_vectors` raises.
        """
        return opened_vectors(self.module, self, limit)


def read_vader(folder: Path) -> dict[str, tuple[float, ...]]:
    """The lexicon of VADER: how positive or negative ten people found a word, from -4 to 4.

    Hutto and Gilbert (2014), "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
    Social Media Text".

    Args:
        folder: the folder of the module `vaderSentiment`.

    Returns:
        For each word its valence where that is positive, its size where negative, and the standard
        deviation of the ten answers.

    Raises:
        DataError: a line has another form.
    """
    path = folder / "vader_lexicon.txt"
    numbers: dict[str, tuple[float, ...]] = {}
    for line, text in _lines(path):
        fields = text.split("\t")
        try:
            term, valence, deviation = fields[0], _finite(fields[1]), _finite(fields[2])
        except (IndexError, ValueError) as error:
            raise DataError.at(
                path, line, expected="a word, a mean and a deviation, with tabs", got=quote(text)
            ) from error
        numbers.setdefault(term.lower(), (max(valence, 0.0), max(-valence, 0.0), deviation))
    return numbers


def read_census_names(folder: Path) -> dict[str, tuple[float, ...]]:
    """How common a word is as a name in the United States, by the census of 1990.

    Args:
        folder: the folder of the module `names`.

    Returns:
        For each name three numbers, for women's first names, men's first names and last names:
        log(1 + f), f being how many of a million people bear it.

    Raises:
        DataError: a line has another form.
    """
    numbers: dict[str, list[float]] = {}
    parts = ("dist.female.first", "dist.male.first", "dist.all.last")
    for place, part in enumerate(parts):
        path = folder / part
        for line, text in _lines(path):
            fields = text.split()
            try:
                name, percent = fields[0].lower(), _finite(fields[1])
            except (IndexError, ValueError) as error:
                raise DataError.at(
                    path, line, expected="a name and a percentage", got=quote(text)
                ) from error
            # The files round to thousandths of a per cent, 10 people in a million: the rarest
            # names have 0 there, and are taken for half of that.
            frequency = max(percent, 0.0005) * 1e4
            numbers.setdefault(name, [0.0] * len(parts))[place] = math.log1p(frequency)
    return {name: tuple(row) for name, row in numbers.items()}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _lines(path: Path):
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            yield number, line
