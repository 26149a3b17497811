"""The one way in which files of data are opened, with every fault of the file named.

What is no regular file is refused: data is read more than once, and a named pipe would wait for
ever. Small files that stand for huge data are refused before they have eaten the memory:

| What | May take |
|---|---|
| a file read as a whole, as it is | 2 GiB |
| what a file is unpacked or spread to: gzip, `.npz`, `.mat`, the frames of a MIDI file | 256 MiB, or 50 times the file where that is more (text shrinks to a ninth by gzip, the emptiest piano rolls known to a 65th) |
| a line of a file that is read line by line | 16 MiB |

The environment variable `KERASRNN_MAX_BYTES` sets another number of bytes for the first two.
"""  # noqa: E501

import contextlib
import gzip
import io
import json
import lzma
import math
import os
import stat
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple, NoReturn, cast

import numpy as np

from kerasrnn.data.errors import DataError, MissingFileError, quote, shown

LIMIT_VARIABLE = "KERASRNN_MAX_BYTES"
LONGEST_LINE = 16 * 2**20

_LARGEST = 2 * 2**30
_LARGEST_UNPACKED, _LARGEST_RATIO = 256 * 2**20, 50
_CHUNK, _BUFFER = 2**20, 2**16

_GZIP_MAGIC = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_KINDS = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a file compressed with bzip2",
    b"\xfd7zXZ": "a file compressed with xz",
    b"\x28\xb5\x2f\xfd": "a file compressed with Zstandard",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"%PDF": "a PDF file",
    b"SQLite": "an SQLite data base",
}
_FILE_TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}

# What a list takes that JSON writes in two characters.
_BYTES_OF_A_LIST = 64


# === Opening ===


def source_name(source: str | os.PathLike[str], argument: str = "source") -> str:
    """The name of a source of data.

    Args:
        source: a path, or a name such as `builtin:NAME`.
        argument: what an error calls it.

    Returns:
        The name as text.

    Raises:
        TypeError: it is neither.

    Example:

    >>> from kerasrnn.data.files import source_name
    >>> source_name(None)
    Traceback (most recent call last):
    ...
    TypeError: source must be a path or a name, got None (NoneType).
    """
    try:
        return os.fsdecode(source)
    except TypeError:
        raise TypeError(
            f"{argument} must be a path or a name, got {shown(source)} ({type(source).__name__})."
        ) from None


@contextlib.contextmanager
def open_data(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """Open a file of data, and unpack it on the way if it is compressed with gzip.

    Args:
        path: the file. Whether it is compressed is seen from its first bytes, not its name.

    Yields:
        Its bytes. Reading them raises `DataError` where a gzip file is damaged, or unpacks to more
        than it may (see the table of this module).

    Raises:
        DataError: it cannot be opened or is no regular file. One that is missing is a
            `FileNotFoundError` too.

    Example:

    >>> import pathlib
    >>> from kerasrnn.data.files import open_data
    >>> _ = pathlib.Path("words.txt").write_text("tea")
    >>> with open_data("words.txt") as file:
    ...     file.read()
    b'tea'
    """
    with _regular(path) as raw:
        try:
            if not raw.peek(2).startswith(_GZIP_MAGIC):
                yield raw
            else:
                with io.BufferedReader(cast(Any, _Unpacked(raw, path)), _BUFFER) as unpacked:
                    yield unpacked
        except OSError as error:  # of a damaged disk, or of a file that only looks like one
            if isinstance(error, DataError):
                raise
            raise DataError.at(
                path, None, expected="a file that can be read", got=f"an error ({error.strerror})"
            ) from error


def read_bytes(path: str | os.PathLike[str]) -> bytearray:
    """The bytes of a file, unpacked if it is compressed with gzip.

    Args:
        path: the file.

    Returns:
        Its bytes.

    Raises:
        DataError: as `open_data`, or there are more than may be held (see this module's table).
    """
    with open_data(path) as file:
        check_held(path, os.path.getsize(path))
        data = bytearray()
        while chunk := file.read(_CHUNK):
            data += chunk
            check_held(path, len(data))
        return data


def bytes_taken(file: io.BufferedReader) -> int:
    """How many bytes of a file that `open_data` opened have been read, for showing progress.

    Args:
        file: what `open_data` yields. Of a compressed file, the compressed bytes are counted.

    Returns:
        Their number.
    """
    raw = file.raw
    return raw.taken() if isinstance(raw, _Unpacked) else raw.tell()


def check_size(path: str | os.PathLike[str], wanted: int, what: str) -> None:
    """Refuse data that take far more memory than their file.

    Args:
        path: the file.
        wanted: how many bytes they take.
        what: what they are, such as `frames`.

    Raises:
        DataError: that is more than this module's table allows.
    """
    limit = _unpacked_limit(os.path.getsize(path))
    if wanted > limit:
        _too_large(path, limit, f"{what} that take {wanted:,}")


def check_held(source: str | os.PathLike[str], wanted: int) -> None:
    """Refuse data that, taken together, are more than may be held (see this module's table).

    Args:
        source: where they come from.
        wanted: how many bytes they take.

    Raises:
        DataError: they take more.
    """
    limit = _limit(_LARGEST)
    if wanted > limit:
        _too_large(source, limit, f"{wanted:,}")


def _regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    path = source_name(path, "path")  # a number would be an open file's
    try:
        # Looked at first: to open a pipe is to wait for its writer.
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind == stat.S_IFREG:
            return open(path, "rb")
    except FileNotFoundError:
        raise MissingFileError.at(
            path, None, expected="a file", got="nothing of that name"
        ) from None
    except (OSError, ValueError) as error:  # no right to read it, a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError.at(
            path, None, expected="a file that can be read", got=f"an error ({reason})"
        ) from error
    raise DataError.at(
        path,
        None,
        expected="a file",
        got=_FILE_TYPES.get(kind, "something else"),
        hint=""
        if kind == stat.S_IFDIR
        else "Data is read more than once: write it to a file first.",
    )


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, up to a limit."""

    def __init__(self, raw: BinaryIO, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._raw = raw
        self._stream = gzip.GzipFile(fileobj=raw)
        self._path = path
        self._limit = _unpacked_limit(os.fstat(raw.fileno()).st_size)
        self._count = 0

    def readable(self) -> bool:
        return True

    def taken(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            # No more than is at hand: what comes before the damage of a file can be read.
            count = self._stream.readinto1(buffer)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError.at(
                self._path, None, expected="a whole gzip file", got=f"a damaged one ({error})"
            ) from error
        self._count += count
        if self._count > self._limit:
            _too_large(self._path, self._limit, "more")
        return count


def _unpacked_limit(size: int) -> int:
    return _limit(max(_LARGEST_UNPACKED, _LARGEST_RATIO * size))


def _limit(usual: int) -> int:
    given = os.environ.get(LIMIT_VARIABLE, "")
    if not given:
        return usual
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        raise ValueError(
            f"The environment variable {LIMIT_VARIABLE} must be a number of bytes, such as "
            f"{_LARGEST}, got {quote(given)}."
        )
    return int(given)


def _too_large(path: str | os.PathLike[str], limit: int, got: str) -> NoReturn:
    raise DataError.at(
        path,
        None,
        expected=f"at most {limit:,} bytes of data",
        got=got,
        hint=f"The environment variable {LIMIT_VARIABLE} sets another limit.",
    )


# === Text ===


def kind_of(start: bytes | bytearray) -> str | None:
    """What a file is that is no text, by its first bytes.

    Args:
        start: at least eight of them, if there are as many.

    Returns:
        Such as `a zip archive`, or None where it may be text.

    Example:

    >>> from kerasrnn.data.files import kind_of
    >>> kind_of(b"PAR1xxxx"), kind_of(b"PARIS I-LOC")
    ('a Parquet file', None)
    """
    return next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), None)


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Read the lines of a UTF-8 text file, compressed with gzip or not.

    Lines end with a line feed, which a carriage return may precede, or, where there is none in the
    file, with carriage returns. Other characters at which `str.splitlines` would cut (form feed,
    U+0085, U+2028 and so on) can be part of a token, and are left in their line. A byte-order mark
    at the start is dropped.

    Args:
        path: the file. Whether it is compressed is seen from its first bytes, not its name.

    Returns:
        The lines without their ends.

    Raises:
        DataError: there is no such file, or it is a folder, a pipe or a device, empty, too large
            (see this module's table), a damaged gzip file, or not UTF-8; then the line and the
            offset of the first wrong byte are named.
    """
    data = read_bytes(path)
    if not data or data.isspace():
        raise DataError.at(path, None, expected="at least one sentence", got="an empty file")
    if kind := kind_of(data[:8]):
        raise DataError.at(
            path, None, expected="a text file, plain or compressed with gzip", got=kind
        )
    begin = data[:4096]
    if data.startswith(UTF16_MARKS) or begin.count(b"\0") > len(begin) // 5:
        marked = data.startswith(UTF16_MARKS)
        raise DataError.at(
            path,
            1,
            expected="UTF-8 text",
            got="the byte-order mark of UTF-16" if marked else "what may be UTF-16 (zero bytes)",
            hint="Convert it: iconv -f UTF-16 -t UTF-8.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder of `utf-8-sig` counts from behind the byte-order mark.
        offset = error.start + (len(_MARK) if data.startswith(_MARK) else 0)
        raise DataError.at(
            path,
            data.count(b"\n", 0, offset) + 1,
            expected="UTF-8 text",
            got=f"byte 0x{data[offset]:02x} at offset {offset}",
            hint="Convert it: iconv -f WINDOWS-1252 -t UTF-8, if that is its encoding.",
        ) from error
    lines = text.split("\n" if "\n" in text else "\r")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


# === JSON ===


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file, compressed with gzip or not.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        DataError: the file cannot be read, or is not JSON that Python's module reads: lists within
            a thousand lists and numbers of thousands of digits are none.
    """
    return parse_json("\n".join(read_lines(path)), path)


def parse_json(text: str, path: str | os.PathLike[str]) -> Any:
    """Read JSON.

    Args:
        text: the JSON.
        path: where it comes from, for messages.

    Returns:
        Its content.

    Raises:
        DataError: as `read_json`.
    """
    check_held(path, _BYTES_OF_A_LIST * (text.count("[") + text.count("{") + text.count(",")))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError.at(path, error.lineno, expected="JSON", got=f"{error.msg}") from error
    except RecursionError:
        raise DataError.at(
            path, None, expected="JSON", got="lists or objects nested too deeply"
        ) from None
    except ValueError as error:
        raise DataError.at(
            path, None, expected="JSON", got="a number of thousands of digits"
        ) from error


# === Arrays ===


class ArrayHead(NamedTuple):
    """The shape and the type of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read_arrays(
    path: str | os.PathLike[str],
    check: Callable[[Mapping[str, ArrayHead]], None] | None = None,
) -> dict[str, np.ndarray]:
    """Read the arrays of an `.npz` file, without pickle.

    Args:
        path: the file.
        check: called with what the arrays are, by name, before any of them is read.

    Returns:
        All of its arrays by their names.

    Raises:
        DataError: the file cannot be read, is no such file, or holds more than this module's table
            allows.
    """
    try:
        with _regular(path) as raw, zipfile.ZipFile(raw) as archive:
            members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
            check_size(path, sum(one.file_size for one in members.values()), "arrays")
            heads = {}
            for name, one in members.items():
                with archive.open(one) as file:
                    heads[name] = read_head(file, one.file_size)
            if check is not None:
                check(heads)
            arrays = {}
            for name, one in members.items():
                with archive.open(one) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    except DataError:
        raise
    except (
        *(ValueError, NotImplementedError, RuntimeError, EOFError, OSError),
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    ) as error:
        raise DataError.at(path, None, expected="an .npz file", got=f"another ({error})") from error


def read_head(file: Any, size: int) -> ArrayHead:
    """Shape and type of the array in a `.npy` file, if it has as many bytes as they say.

    Args:
        file: the file, at its beginning.
        size: how many bytes it has.

    Returns:
        Its `ArrayHead`.

    Raises:
        ValueError: it is another file, has more or fewer bytes, or holds pickled objects.
    """
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version} of .npy files")
    try:
        shape, _, dtype = readers[version](file)
    except (TypeError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError) as error:
        raise ValueError(f"a head that cannot be read: {error}") from error
    if dtype.hasobject:
        raise ValueError("pickled objects")
    # Nothing takes no bytes; True is an int.
    declared = math.prod(shape) * max(1, dtype.itemsize)
    rest = size - file.tell()
    if not all(type(axis) is int and axis >= 0 for axis in shape) or declared != rest:
        raise ValueError(f"an array {shape} of {dtype}, for which the file has {rest:,} bytes")
    return ArrayHead(shape, dtype)
