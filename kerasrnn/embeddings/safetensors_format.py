"""Vectors in a safetensors file: a matrix, and its terms among what the file says of itself.

| What | Where |
|---|---|
| the vectors `(terms, dimension)` | the tensor `embeddings`; in files of others, the only one that has two axes and floats |
| the terms | a JSON list of strings, under `terms` in the file's metadata; or, where that is missing, one on each line of a file beside it, `vectors.terms.txt` for `vectors.safetensors`, as `kerasrnn.storage.term_files` writes it |
"""  # noqa: E501

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

import numpy as np

from kerasrnn.data.errors import DataError, shown
from kerasrnn.data.files import parse_json
from kerasrnn.embeddings.tables import Table, table_of_array
from kerasrnn.embeddings.text_format import Path
from kerasrnn.extras import require
from kerasrnn.storage.term_files import read_terms

TENSOR = "embeddings"
TERMS = "terms"
_FLOATS = ("F64", "F32", "F16")


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins as safetensors do: the length of a header, and the header's brace."""
    return len(head) > 8 and head[8:9] == b"{" and not any(head[5:8])


def library(module: str) -> ModuleType:
    """A module of the library that reads and writes such files.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return require(module, "training", "A safetensors file")


@contextlib.contextmanager
def opened_safetensors(path: Path, limit: int | None = None) -> Iterator[Table]:
    """Open a safetensors file with vectors.

    Args:
        path: the file.
        limit: how many of the first rows to read; None for all.

    Yields:
        Its rows.

    Raises:
        DataError: it is damaged, has no such matrix, or not as many terms as rows.
        ImportError: the library safetensors is not installed.
    """
    safetensors = library("safetensors")
    name = os.fspath(path)
    try:
        with safetensors.safe_open(name, framework="numpy") as file:
            tensor = _tensor(name, file)
            part = file.get_slice(tensor)
            shape = tuple(part.get_shape())
            terms = _terms(name, file.metadata() or {})
            if len(terms) != shape[0]:
                raise DataError.at(
                    name,
                    None,
                    expected=f"{shape[0]} terms, one for each row of {tensor}",
                    got=str(len(terms)),
                )
            yield table_of_array(name, terms, _Rows(part, shape), limit=limit)
    except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError.at(name, None, expected="safetensors", got=str(error)) from error


class _Rows:
    """A tensor of a file, of which only slices are read."""

    def __init__(self, part: Any, shape: tuple[int, ...]) -> None:
        self._part, self.shape = part, shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._part[rows]


def _tensor(path: str, file: Any) -> str:
    parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, not a mapping
    tables = [
        name
        for name, part in parts.items()
        if len(part.get_shape()) == 2 and all(part.get_shape()) and part.get_dtype() in _FLOATS
    ]
    if TENSOR in tables:
        return TENSOR
    if len(tables) != 1:
        raise DataError.at(
            path,
            None,
            expected=f"a tensor {TENSOR} (terms, dimension) of {', '.join(_FLOATS)}, or only one",
            got=f"{len(tables)} of the tensors {shown(sorted(parts))}",
        )
    return tables[0]


def _terms(path: str, metadata: dict[str, str]) -> Sequence[str]:
    if TERMS in metadata:
        terms = parse_json(metadata[TERMS], path)
        if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
            raise DataError.at(
                path, None, expected=f"a list of strings as {TERMS}", got=shown(metadata[TERMS])
            )
        _check_unicode(path, terms)
        return terms
    beside = FilePath(path).with_suffix(".terms.txt")
    if not beside.exists():
        raise DataError.at(
            path,
            None,
            expected=f"{TERMS} in its metadata, or a file {beside.name} beside it",
            got="neither",
        )
    return read_terms(beside)


def _check_unicode(path: str, terms: list[str]) -> None:
    try:
        "".join(terms).encode()
    except UnicodeEncodeError as error:
        raise DataError.at(
            path, None, expected="terms of valid Unicode", got="a lone surrogate"
        ) from error


def write_safetensors(path: Path, terms: Sequence[str], matrix: np.ndarray) -> None:
    """Write vectors to a safetensors file.

    Args:
        path: the file.
        terms: one for each row.
        matrix: float32 `(terms, dimension)`.
    """
    library("safetensors.numpy").save_file(
        {TENSOR: np.ascontiguousarray(matrix)},
        os.fspath(path),
        {TERMS: json.dumps(list(terms), ensure_ascii=False)},
    )
