"""What every source of vectors looks like to those who read from it: blocks of rows in order."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kerasrnn.data.errors import DataError

_FLOATS, _MOST_ROWS = 2**18, 4096


def rows_at_once(dimension: int) -> int:
    """How many rows are read or computed with at once: a megabyte of float32.

    Args:
        dimension: how many numbers a row has.

    Returns:
        Their number.
    """
    return max(1, min(_MOST_ROWS, _FLOATS // max(1, dimension)))


class Block(Protocol):
    """Some rows of a source, one after the other."""

    @property
    def terms(self) -> Sequence[str]:
        """The terms of the rows."""

    def numbers(self, rows: Sequence[int]) -> np.ndarray:
        """The vectors of some of its rows, a float32 array `(rows, dimension)`.

        Raises:
            DataError: they are not finite numbers, or not as many as they should be.
        """


@dataclass(frozen=True)
class Table:
    """The rows of a source, which are read once, from the first on.

    Args:
        dimension: how many numbers a row has.
        rows: how many rows there will be, about; a guess that nothing relies on.
        blocks: the rows. A row that has no term is left out.
        position: how much of the source has been read, from 0 to 1.
    """

    dimension: int
    rows: int
    blocks: Iterator[Block]
    position: Callable[[], float]


@dataclass(frozen=True)
class _Slice:
    source: str
    terms: Sequence[str]
    array: np.ndarray

    def numbers(self, rows: Sequence[int]) -> np.ndarray:
        chosen = self.array if len(rows) == len(self.array) else self.array[np.asarray(rows, int)]
        with np.errstate(over="ignore"):  # found out below
            numbers = np.asarray(chosen, "float32")
        finite = np.isfinite(numbers).all(axis=1)
        if not finite.all():
            term = self.terms[rows[int(np.argmin(finite))]]
            raise DataError.at(
                self.source, None, expected="finite numbers", got=f"others for {term!r}"
            )
        return numbers


def table_of_array(
    source: str, terms: Sequence[str], array: Any, *, limit: int | None = None
) -> Table:
    """The table of an array of which slices are read.

    Args:
        source: where it comes from, for messages.
        terms: one for each row.
        array: numbers `(terms, dimension)`: an array, or what gives one for a slice.
        limit: how many of the first rows to read; None for all.

    Returns:
        The table.
    """
    count = len(terms) if limit is None else min(limit, len(terms))
    done = 0

    def blocks() -> Iterator[Block]:
        nonlocal done
        step = rows_at_once(array.shape[1])
        for start in range(0, count, step):
            end = done = min(start + step, count)
            part, numbers = terms[start:end], np.asarray(array[start:end])
            if "" in part:
                named = [row for row, term in enumerate(part) if term]
                part, numbers = [part[row] for row in named], numbers[named]
            yield _Slice(source, part, numbers)

    return Table(int(array.shape[1]), count, blocks(), lambda: done / max(1, count))


@contextlib.contextmanager
def opened_vectors(source: str, package: Any, limit: int | None = None) -> Iterator[Table]:
    """The table of a package that makes its vectors when it is asked for them.

    Args:
        source: the package's name, for messages.
        package: what has `read_terms` and `read_vectors`.
        limit: how many of its first terms to read; None for all.

    Yields:
        Its rows.
    """
    terms = package.read_terms()[:limit]
    vectors, found = package.read_vectors(terms, lowercase_fallback=False)
    # A term without a vector, such as one of a tokeniser's odd characters, is no row.
    known = [term if there else "" for term, there in zip(terms, found, strict=True)]
    yield table_of_array(source, known, vectors)


def warn(message: str) -> None:
    """Warn whoever called this package.

    Args:
        message: the warning.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(
        ("kerasrnn.embeddings", "contextlib")
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level + 1)
