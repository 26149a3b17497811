"""Files of vectors in the formats of GloVe, word2vec and fastText, told apart by their content."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from collections.abc import Iterator

from kerasrnn.data.errors import DataError
from kerasrnn.data.files import UTF16_MARKS, bytes_taken, kind_of, open_data
from kerasrnn.embeddings.binary_format import BinaryRows, is_binary
from kerasrnn.embeddings.safetensors_format import is_safetensors, opened_safetensors
from kerasrnn.embeddings.tables import Table
from kerasrnn.embeddings.text_format import Path, TextRows, fail, header_of

# What is read at once: the first time as much as tells the format, then more.
_HEAD, _CHUNK = 2**16, 2**17

_LONGEST_HEADER = 64

# Text shrinks to a third by gzip. What says that it shrinks more is believed so far.
_LARGEST_RATIO = 8

# What people also have, and no reader of data takes.
_OTHER_KINDS = {
    b"\xba\x16\x4f\x2f": "a model of fastText, which writes its vectors to a .vec file",
    b"\x80\x02": "a pickle, which is not read",
    b"\x80\x03": "a pickle, which is not read",
    b"\x80\x04": "a pickle, which is not read",
    b"\x80\x05": "a pickle, which is not read",
}


@contextlib.contextmanager
def opened_file(path: Path, limit: int | None = None) -> Iterator[Table]:
    """Open a file of vectors: text, word2vec's binary format, or safetensors.

    The first two may be compressed with gzip. Names do not count.

    Args:
        path: the file.
        limit: how many of the first rows to read; None for all.

    Yields:
        Its rows.

    Raises:
        DataError: it cannot be opened or is another kind of file.
    """
    with open_data(path) as stream:
        head, chunks = _begin(stream)
        _check_kind(path, head)
        if not is_safetensors(head):
            yield _rows(path, stream, head, chunks, limit)
            return
        if stream.seekable() is False:
            fail(path, None, "safetensors as they are", b"safetensors compressed with gzip")
    with opened_safetensors(path, limit) as table:
        yield table


def _rows(
    path: Path, stream: io.BufferedReader, head: bytes, chunks: Iterator[bytes], limit: int | None
) -> Table:
    size = max(1, os.path.getsize(path))
    line, whole, behind = head.partition(b"\n")
    header = header_of(line) if whole and len(line) <= _LONGEST_HEADER else None
    rows: BinaryRows | TextRows
    if header and all(header) and is_binary(behind):
        rows = BinaryRows(path, itertools.chain([behind], chunks), *header, limit)
    else:
        rows = TextRows(path, itertools.chain([head], chunks), limit)
    # A promise is not to be relied on: no more than the file can hold is made room for. Room that
    # is not used costs nothing, and room that is missing may cost a copy.
    most = _unpacked_size(path, size) * 5 // (4 * rows.row_bytes) + 1
    expected = min(most, rows.promised or most, most if limit is None else limit)
    return Table(rows.dimension, expected, rows.blocks(), lambda: bytes_taken(stream) / size)


def _unpacked_size(path: Path, size: int) -> int:
    """About how many bytes a file holds: of one by gzip, what its last four bytes say."""
    with open(path, "rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return size
        file.seek(-min(4, size), os.SEEK_END)
        return min(int.from_bytes(file.read(4), "little"), _LARGEST_RATIO * size)


def _begin(stream: io.BufferedReader) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all others piece by piece."""
    chunks = iter(lambda: stream.read1(_CHUNK), b"")
    head = bytearray()
    try:
        while len(head) < _HEAD and (chunk := next(chunks, b"")):
            head += chunk
    except DataError as error:  # may lie behind the last row that is asked for
        if not head:
            raise
        chunks = _raising(error)
    return bytes(head), chunks


def _raising(error: DataError) -> Iterator[bytes]:
    raise error
    yield


def _check_kind(path: Path, head: bytes) -> None:
    if not head:
        fail(path, None, "lines of a term and its numbers", b"")
    kind = kind_of(head[:8])
    kind = kind or next((k for magic, k in _OTHER_KINDS.items() if head.startswith(magic)), None)
    if kind:
        wanted = "text or word2vec's binary format, plain or compressed with gzip, or safetensors"
        fail(path, None, wanted, kind.encode())
    if head.startswith(UTF16_MARKS):
        fail(path, 1, "UTF-8 text", b"the byte-order mark of UTF-16")
