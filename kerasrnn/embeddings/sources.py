"""What may be named as a source of vectors: a file, a preset, a package, or several of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from kerasrnn.command_line import close_to
from kerasrnn.data.errors import DataError, MissingFileError
from kerasrnn.data.files import source_name
from kerasrnn.embeddings import packages
from kerasrnn.embeddings.files import opened_file
from kerasrnn.embeddings.presets import opened_preset
from kerasrnn.embeddings.subwords import JoinedVectors
from kerasrnn.embeddings.tables import Table, warn
from kerasrnn.storage.preset_folders import HUB_PREFIX, list_presets, resolve_preset


class Source(Protocol):
    """Where vectors come from."""

    def opened(self, limit: int | None = None) -> contextlib.AbstractContextManager[Table]:
        """Open it, to read its rows from the first on."""

    def read_terms(self) -> list[str]:
        """Its terms, as `kerasrnn.embeddings.read_terms` gives them."""

    def read_vectors(
        self, terms: Sequence[str], *, lowercase_fallback: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of some terms, as `kerasrnn.embeddings.read_vectors` gives them."""


class Stored:
    """A file or a preset.

    Args:
        path: the file or folder.
        opens: opens it, given a limit.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        opens: Callable[..., contextlib.AbstractContextManager[Table]],
    ) -> None:
        self._path, self._opens = path, opens

    def opened(self, limit: int | None = None) -> contextlib.AbstractContextManager[Table]:
        """Open it."""
        return self._opens(self._path, limit)

    def read_terms(self) -> list[str]:
        """Its terms, each once."""
        terms: dict[str, None] = {}
        count = 0
        with self.opened() as table:
            for block in table.blocks:
                terms.update(dict.fromkeys(block.terms))
                count += len(block.terms)
        warn_of_repeated(self._path, count - len(terms))
        return list(terms)

    def read_vectors(
        self, terms: Sequence[str], *, lowercase_fallback: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of some terms. What is not asked for is not kept."""
        exact: dict[str, list[int]] = {}
        lowered: dict[str, list[int]] = {}
        for row, term in enumerate(terms):
            if term:
                exact.setdefault(term, []).append(row)
                if lowercase_fallback and term.lower() != term:
                    lowered.setdefault(term.lower(), []).append(row)
        found = np.zeros(len(terms), bool)
        certain = np.zeros(len(terms), bool)  # found as they are written
        with self.opened() as table:
            matrix = np.zeros((len(terms), table.dimension), "float32")
            for block in table.blocks:
                wanted: list[tuple[int, list[int]]] = []
                for place, term in enumerate(block.terms):
                    if term not in exact and term not in lowered:
                        continue
                    rows = [i for i in exact.get(term, ()) if not certain[i]]
                    spare = [i for i in lowered.get(term, ()) if not found[i]]
                    certain[rows] = True
                    found[rows + spare] = True
                    if rows or spare:
                        wanted.append((place, rows + spare))
                if wanted:
                    vectors = block.numbers([place for place, _ in wanted])
                    for (_, rows), vector in zip(wanted, vectors, strict=True):
                        matrix[rows] = vector
        return matrix, found


def source_of(source: str | os.PathLike[str]) -> Source:
    """Find a source of vectors.

    Args:
        source: a file; the name of a package (`VECTOR_PACKAGES`) or of a preset, or several of
            them joined by `+`; a preset's folder; or `hf://owner/name`. A file wins over a name, a
            name over a folder.

    Returns:
        The source.

    Raises:
        DataError: there is nothing of that name, or it is a folder without a preset. What is
            missing is a `FileNotFoundError` too.
        TypeError: it is no path.
    """
    name = source_name(source)
    if isinstance(source, str) and not os.path.isfile(source):
        parts = [_named(part) for part in source.split("+")]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts):
            return known[0] if len(known) == 1 else JoinedVectors(tuple(known))
    if name.startswith(HUB_PREFIX) or os.path.isdir(source):
        return _preset(source)
    if isinstance(source, str) and not os.path.exists(source):
        raise MissingFileError.at(
            source,
            None,
            expected="a file, a preset or a package of vectors",
            got="nothing of that name",
            hint=_hint(source),
        )
    return Stored(source, opened_file)


def source_names() -> list[str]:
    """The names that stand for vectors: those of packages and of presets."""
    return [*packages.VECTOR_PACKAGES, *(preset.name for preset in list_presets())]


def warn_of_repeated(path: str | os.PathLike[str], count: int) -> None:
    """Say how many rows have a term that an earlier row has."""
    if count:
        rows = "1 row repeats a term" if count == 1 else f"{count:,} rows repeat terms"
        warn(f"{os.fspath(path)}: {rows} of earlier rows, whose vectors are kept.")


def _named(name: str) -> Source | None:
    if name in packages.VECTOR_PACKAGES:
        return packages.VECTOR_PACKAGES[name]
    if name in {preset.name for preset in list_presets()}:
        return _preset(name)
    return None


def _preset(preset: str | os.PathLike[str]) -> Source:
    try:
        return Stored(resolve_preset(preset), _opened_preset)
    except FileNotFoundError as error:
        raise MissingFileError(str(error), path=Path(preset)) from error
    except ValueError as error:
        raise DataError(str(error), path=Path(preset)) from error


def _opened_preset(
    path: str | os.PathLike[str], limit: int | None = None
) -> contextlib.AbstractContextManager[Table]:
    return opened_preset(Path(path), limit)


def _hint(source: str) -> str:
    names = source_names()
    part = next((p for p in source.split("+") if p not in names), source)
    return close_to(part, names, repr).strip()
