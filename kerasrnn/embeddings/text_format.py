"""Vectors as text: a term and its numbers on each line, as GloVe, word2vec and fastText write."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from kerasrnn.data.errors import DataError, quote
from kerasrnn.data.files import LONGEST_LINE
from kerasrnn.embeddings.tables import Block, warn

Path = str | os.PathLike[str]

NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)

_LOOKED_AT = 10  # rows that tell the dimension
_MARK = b"\xef\xbb\xbf"
_SEPARATORS = bytes.maketrans(b" \t", b",,")

_Lines = tuple[int, list[bytes], bytes]  # number of the first, the lines, all of their bytes


@dataclass
class TextBlock:
    """Rows of a text file. Their numbers are still text."""

    path: Path
    dimension: int
    terms: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def numbers(self, rows: Sequence[int]) -> np.ndarray:
        """The numbers of some rows."""
        texts = [self.values[row] for row in rows]
        shape = (len(rows), self.dimension)
        # With commas a field is a number or an error; the last one shows that all were read.
        joined = b",".join([*texts, b"1"]).translate(_SEPARATORS)
        try:
            numbers = np.fromstring(joined, "float32", sep=",")[:-1]
        except ValueError:
            numbers = np.zeros(0, "float32")
        if numbers.size == shape[0] * shape[1] and np.isfinite(numbers).all():
            return numbers.reshape(shape)
        # Several spaces between numbers, or a fault: found row by row.
        read = [self._row(row) for row in rows]
        return np.array(read, "float32").reshape(shape)

    def _row(self, row: int) -> np.ndarray:
        fields = self.values[row].split()
        right = len(fields) == self.dimension and all(map(NUMBER.fullmatch, fields))
        with np.errstate(over="ignore"):
            numbers = np.array([float(x) for x in fields] if right else [np.nan]).astype("float32")
        if not np.isfinite(numbers).all():
            fail(self.path, self.lines[row], f"{self.dimension} finite numbers", self.values[row])
        return numbers


def header_of(line: bytes) -> tuple[int, int] | None:
    """The two whole numbers of a line, as word2vec's files begin with, or None."""
    fields = line.split()
    # What begins with a space is a row without a term.
    indented = line.startswith((b" ", b"\t"))
    if len(fields) == 2 and not indented and all(x.isdigit() and len(x) < 19 for x in fields):
        return int(fields[0]), int(fields[1])
    return None


class TextRows:
    """The rows of a text file.

    Args:
        path: the file, for messages.
        chunks: its bytes.
        limit: how many of the first rows to read; None for all.

    Raises:
        DataError: the first rows are not those of such a file.
    """

    def __init__(self, path: Path, chunks: Iterator[bytes], limit: int | None = None) -> None:
        self._path, self._limit = path, limit
        self._blocks = _lines(path, chunks)
        begin: list[_Lines] = []
        rows: list[tuple[int, bytes]] = []
        while len(rows) < _LOOKED_AT:
            try:
                lines = next(self._blocks, None)
            except DataError as error:  # may lie behind the last row that is asked for
                if not rows:
                    raise
                self._blocks = _raising(error)
                break
            if lines is None:
                break
            begin.append(lines)
            first = lines[0]
            stripped = [(first + i, line.rstrip(b" \t\r")) for i, line in enumerate(lines[1])]
            rows += [(number, line) for number, line in stripped if line]
        self._begin = begin
        rows = rows[:_LOOKED_AT]
        self.promised, self.dimension = _header(path, rows)
        self._skipped = rows[0][0] if self.promised is not None else 0
        sizes = [len(line) + 1 for _, line in rows[self.promised is not None :]]
        #: About how many bytes a row takes.
        self.row_bytes = max(2, sum(sizes) // max(1, len(sizes)))

    def blocks(self) -> Iterator[Block]:
        """The rows.

        Raises:
            DataError: a row has no such number of values, a term that is not UTF-8, or bytes that
                text does not have. The rows before it have been given out by then.
        """
        count = 0
        for lines in itertools.chain(self._begin, self._blocks):
            block = TextBlock(self._path, self.dimension)
            try:
                for term, number, values in self._rows(lines):
                    count += 1
                    if term:
                        block.terms.append(term)
                        block.lines.append(number)
                        block.values.append(values)
                    if count == self._limit:
                        yield block
                        return
            except DataError:
                yield block
                raise
            yield block
        if not count:
            fail(self._path, None, "lines of a term and its numbers", b"line 1 alone")
        if self.promised is not None and self.promised != count:
            warn(
                f"{os.fspath(self._path)}: line 1 promises {self.promised} terms, there are "
                f"{count}. Those that are there are read."
            )

    def _rows(self, lines: _Lines) -> Iterator[tuple[str, int, bytes]]:
        path, dimension = self._path, self.dimension
        first, texts, data = lines
        plain = b"\t" not in data and b"  " not in data
        ascii_only, zeros = data.isascii(), b"\0" in data
        for number, text in enumerate(texts, start=first):
            text = text.rstrip(b" \t\r")
            if not text or number <= self._skipped:
                continue
            if zeros and b"\0" in text:
                fail(path, number, "text, with word2vec's binary numbers only after its line", text)
            if plain and text.count(b" ") == dimension:
                term, _, values = text.partition(b" ")
            else:
                term, values = _cut(path, number, text, dimension)
            if not ascii_only and not values.isascii():
                fail(path, number, f"a term and {dimension} numbers", text)
            try:
                yield term.decode(), number, values
            except UnicodeDecodeError:
                fail(path, number, "a term in UTF-8", term)


def _raising(error: DataError) -> Iterator[_Lines]:
    raise error
    yield


def _lines(path: Path, chunks: Iterator[bytes]) -> Iterator[_Lines]:
    """Lines, ended by a line feed alone: some terms hold other line breaks."""
    number, rest = 1, bytearray()
    for chunk in chunks:
        rest += chunk
        cut = chunk.rfind(b"\n")
        if cut < 0:
            if len(rest) > LONGEST_LINE:
                fail(path, number, f"a line of at most {LONGEST_LINE:,} bytes", bytes(rest[:80]))
            continue
        end = len(rest) - len(chunk) + cut
        data = bytes(rest[:end])
        del rest[: end + 1]
        if number == 1:
            data = data.removeprefix(_MARK)
        texts = data.split(b"\n")
        if len(data) > LONGEST_LINE:
            for place, text in enumerate(texts):
                if len(text) > LONGEST_LINE:
                    wanted = f"a line of at most {LONGEST_LINE:,} bytes"
                    fail(path, number + place, wanted, text[:80])
        yield number, texts, data
        number += len(texts)
    if rest:
        data = bytes(rest).removeprefix(_MARK) if number == 1 else bytes(rest)
        if number == 1 and b"\r" in data.rstrip():
            fail(path, 1, "lines that end with line feeds, not carriage returns", data)
        yield number, [data], data


def _header(path: Path, rows: list[tuple[int, bytes]]) -> tuple[int | None, int]:
    """How many rows line 1 promises, or None, and the dimension, from the first rows."""
    if not rows:
        fail(path, None, "lines of a term and its numbers", b"")
    line, text = rows[0]
    header = header_of(text)
    # `7 8` may also be a term and its only number: then so is what comes next.
    if header and (header[1] == 1 or len(rows) == 1 or _count_numbers(rows[1][1]) != 1):
        if not all(header):
            fail(path, line, "a number of terms and a dimension above 0", text)
        return header
    counts = Counter(_count_numbers(text) for _, text in rows)
    if not _count_numbers(text):
        fail(path, line, "a term and its numbers", text)
    # Of a single row, it could not be told whether a number belongs to its term: `route 66 0.5`.
    return None, counts.most_common(1)[0][0]


def _count_numbers(text: bytes) -> int:
    """How many numbers stand at the end of a row, one field at least being its term."""
    fields = text.partition(b"\t")[2].split() if b"\t" in text else text.lstrip(b" ").split()
    if b"\t" not in text and not text.startswith(b" "):
        del fields[:1]
    return sum(1 for _ in itertools.takewhile(NUMBER.fullmatch, reversed(fields)))


def _cut(path: Path, line: int, text: bytes, dimension: int) -> tuple[bytes, bytes]:
    """The term and the numbers of a row, which tabs or spaces separate."""
    term, tab, values = text.partition(b"\t")
    if tab:
        right = len(values.split()) == dimension
    else:  # a term with spaces, or several of them between numbers
        parts = text.rsplit(None, dimension)
        # Where the term is missing, its space is not.
        term = parts[0] if len(parts) > dimension else b""
        values = text[len(term) :]
        last = term.rpartition(b" ")
        right = (bool(term) or text.startswith(b" ")) and len(parts) >= dimension
        right = right and not (last[1] and NUMBER.fullmatch(last[2]))
    if not right:
        fail(path, line, f"a term and {dimension} numbers", text, fields=len(text.split()))
    return term.strip(b" "), values.strip(b" ")


def fail(path: Path, line: int | None, expected: str, got: bytes, fields: int = 0) -> NoReturn:
    """Raise the error of a place in a file of vectors.

    Args:
        path: the file.
        line: the line, counted from 1, or None.
        expected: what should have stood there.
        got: what stands there; nothing for an empty file.
        fields: how many fields that are, where their number is at fault.
    """
    text = quote(got.decode("utf-8", "backslashreplace")) if got else "an empty file"
    if fields:
        text = f"{fields} {'field' if fields == 1 else 'fields'}: {text}"
    raise DataError.at(path, line, expected=expected, got=text)
