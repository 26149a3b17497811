"""Vectors as word2vec's program writes them with `-binary 1`: a line of sizes, terms, floats."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.embeddings.tables import Block, warn
from kerasrnn.embeddings.text_format import NUMBER, Path, fail

_FLOAT = np.dtype("<f4")
_LONGEST_TERM = 2**16
_LOOKED_AT = 2**13
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"))


@dataclass
class BinaryBlock:
    """Rows of a binary file, whose numbers are still bytes."""

    path: Path
    dimension: int
    first: int
    data: bytes
    terms: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def numbers(self, rows: Sequence[int]) -> np.ndarray:
        """The numbers of some rows."""
        size = self.dimension * _FLOAT.itemsize
        parts = [self.data[self.offsets[row] : self.offsets[row] + size] for row in rows]
        numbers = np.frombuffer(b"".join(parts), _FLOAT).reshape(len(rows), self.dimension)
        finite = np.isfinite(numbers).all(axis=1)
        if not finite.all():
            row = rows[int(np.argmin(finite))]
            raise DataError.at(
                self.path,
                None,
                expected=f"{self.dimension} finite numbers in row {self.rows[row]}",
                got=f"others for {self.terms[row]!r}",
            )
        return np.asarray(numbers, "float32")


def is_binary(rows: bytes) -> bool:
    """Whether what stands behind a line of two numbers is binary.

    Args:
        rows: the bytes there, some thousands of them.

    Returns:
        Whether the first row does not end in a number, and there are bytes that text has not.
    """
    sample = rows[:_LOOKED_AT]
    line, whole, _ = sample.partition(b"\n")
    fields = line.split()
    # Of a row that the sample cuts off, the last number may be half there.
    last = fields[-1:] if whole or len(rows) <= _LOOKED_AT else fields[-2:-1]
    if len(fields) > 1 and last and NUMBER.fullmatch(last[0]):
        return False
    if sample.translate(None, _CONTROL) != sample:
        return True
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"
    return False


class BinaryRows:
    """The rows of a binary file.

    Args:
        path: the file, for messages.
        chunks: its bytes behind the line of sizes.
        promised: how many rows that line promises.
        dimension: how many numbers a row has.
        limit: how many of the first rows to read; None for all.
    """

    def __init__(
        self,
        path: Path,
        chunks: Iterator[bytes],
        promised: int,
        dimension: int,
        limit: int | None = None,
    ) -> None:
        self._path, self._chunks, self._limit = path, chunks, limit
        self.promised, self.dimension = promised, dimension
        #: About how many bytes a row takes.
        self.row_bytes = dimension * _FLOAT.itemsize + 8
        self._count = 0
        self._at_end = False

    def blocks(self) -> Iterator[Block]:
        """The rows that are whole.

        Raises:
            DataError: none is, or a term is too long or not UTF-8.
        """
        size = self.dimension * _FLOAT.itemsize
        rest = bytearray()
        for chunk in self._chunks:
            rest += chunk
            if len(rest) < size:  # a row longer than a chunk
                continue
            block, taken = self._block(bytes(rest), size)
            del rest[:taken]
            yield block
            if self._count == self._limit:
                return
            if self._at_end:
                break
        left = len(rest.strip(b"\r\n "))
        if not self._count:
            raise DataError.at(
                self._path,
                None,
                expected=f"rows of a term and {size:,} bytes, {self.dimension} numbers of four",
                got=f"{left:,} bytes",
            )
        if left or self._count != self.promised:
            more = f", and {left:,} bytes more" if left else ""
            warn(
                f"{os.fspath(self._path)}: line 1 promises {self.promised} terms, there are "
                f"{self._count}{more}. The whole rows that are there are read."
            )

    def _block(self, data: bytes, size: int) -> tuple[BinaryBlock, int]:
        """The whole rows in some bytes, and how many bytes they take."""
        block = BinaryBlock(self._path, self.dimension, self._count + 1, data)
        start = 0
        while self._count != self._limit:
            space = data.find(b" ", start, start + _LONGEST_TERM)
            begin = space + 1
            if space < 0 and len(data) - start < _LONGEST_TERM:
                break
            if space >= 0 and begin + size > len(data):
                break
            term = data[start:space].lstrip(b"\r\n") if space >= 0 else b""
            try:
                if space < 0:
                    raise ValueError
                text = term.decode()
            except ValueError:  # also of UTF-8
                if self._count >= self.promised:  # something else may follow the rows
                    self._at_end = True
                    break
                number = self._count + 1
                what = "in UTF-8" if space >= 0 else f"of at most {_LONGEST_TERM:,} bytes"
                fail(self._path, None, f"a term {what} in row {number}", term or data[start:][:80])
            self._count += 1
            if text:
                block.terms.append(text)
                block.rows.append(self._count)
                block.offsets.append(begin)
            start = begin + size
        return block, start
