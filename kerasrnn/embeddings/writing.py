"""Files of vectors, written in the formats that this package reads."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from kerasrnn.data.errors import quote
from kerasrnn.embeddings.safetensors_format import write_safetensors
from kerasrnn.embeddings.text_format import NUMBER
from kerasrnn.storage.atomic import replacing_file

_ROWS = 1024


def write_file(
    path: str | os.PathLike[str],
    terms: Sequence[str],
    matrix: np.ndarray,
    suffix: str | None = None,
) -> None:
    """Write vectors to a file, which appears whole or not at all.

    Args:
        path: the file. It is compressed with gzip if its name ends in `.gz`.
        terms: distinct strings, one for each row.
        matrix: finite float32 numbers `(terms, dimension)`.
        suffix: the format, one of `FORMATS`; None for what the name ends in before any `.gz`.

    Raises:
        ValueError: the name ends in nothing that is known, or a term cannot stand in such a file.
            Nothing has been written then.
    """
    path = Path(path)
    packed = path.suffix == ".gz"
    kind = suffix or Path(path.stem if packed else path.name).suffix
    if kind not in FORMATS or (packed and kind == ".safetensors"):
        names = ", ".join(FORMATS)
        raise ValueError(
            f"`path` must end in one of {names}, the first three also with .gz behind it. "
            f"Received: {str(path)!r}."
        )
    check, write = FORMATS[kind]
    for term in terms:
        check(term)
    with replacing_file(path) as temporary:
        if write is None:
            write_safetensors(temporary, terms, matrix)
        elif packed:
            # No name and no time inside, so that equal vectors give equal files.
            with (
                open(temporary, "wb") as raw,
                gzip.GzipFile("", "wb", 6, raw, mtime=0) as file,
            ):
                write(cast(BinaryIO, file), terms, matrix)
        else:
            with open(temporary, "wb") as file:
                write(file, terms, matrix)


def _write_glove(file: BinaryIO, terms: Sequence[str], matrix: np.ndarray) -> None:
    for start in range(0, len(terms), _ROWS):
        # As bytes, NumPy writes a float32 with the fewest digits that give the same one again.
        rows = matrix[start : start + _ROWS].astype("S32").tolist()
        names = terms[start : start + _ROWS]
        lines = [b" ".join([t.encode(), *row]) for t, row in zip(names, rows, strict=True)]
        file.write(b"\n".join(lines) + b"\n")


def _write_with_header(file: BinaryIO, terms: Sequence[str], matrix: np.ndarray) -> None:
    file.write(b"%d %d\n" % matrix.shape)
    _write_glove(file, terms, matrix)


def _write_binary(file: BinaryIO, terms: Sequence[str], matrix: np.ndarray) -> None:
    file.write(b"%d %d\n" % matrix.shape)
    for start in range(0, len(terms), _ROWS):
        rows = np.ascontiguousarray(matrix[start : start + _ROWS], "<f4")
        names = terms[start : start + _ROWS]
        # As word2vec's program does, a line feed behind each row.
        file.writelines(
            term.encode() + b" " + row.tobytes() + b"\n"
            for term, row in zip(names, rows, strict=True)
        )


def _check_text(term: str) -> None:
    last_of_several = term.rpartition(" ")[2] if " " in term else ""
    if (
        not term
        or term != term.strip(" ")
        or any(c in term for c in "\n\r\t\0")
        or term.startswith("\ufeff")  # at the start of a file, it is the byte-order mark
        or NUMBER.fullmatch(last_of_several.encode())
    ):
        raise ValueError(
            f"The term {quote(term)} cannot stand in a file of vectors. Expected one that is not "
            "empty, has no line break, tab, or space at an end, and does not end in a number as a "
            "word. Only .safetensors holds any term."
        )


def _check_binary(term: str) -> None:
    if " " in term or term != term.lstrip("\r\n") or not term or len(term) > 2**13:
        raise ValueError(
            f"The term {quote(term)} cannot stand in word2vec's binary format. Expected one "
            "without spaces, without a line break at its start, of at most 8,192 characters. "
            "Only .safetensors holds any term."
        )


def _check_nothing(term: str) -> None:
    pass


_Write = Callable[[BinaryIO, Sequence[str], np.ndarray], None]

#: By the ends of names, what a term must be, and what writes the file; None for a library's own.
FORMATS: dict[str, tuple[Callable[[str], None], _Write | None]] = {
    ".txt": (_check_text, _write_glove),
    ".vec": (_check_text, _write_with_header),
    ".bin": (_check_binary, _write_binary),
    ".safetensors": (_check_nothing, None),
}
