"""Text files to lines, with every fault of the file named."""

import gzip
import os
import zlib
from pathlib import Path

from kerasrnn.data.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_lines(path: str | os.PathLike[str]) -> list[str]:
    """Read the lines of a UTF-8 text file, compressed with gzip or not.

    Lines end with a line feed, which a carriage return may precede. Other characters at which
    `str.splitlines` would cut (form feed, U+0085, U+2028 and so on) can be part of a token, and are
    left in their line. A byte-order mark at the start is dropped.

    Args:
        path: the file. Whether it is compressed is seen from its first bytes, not its name.

    Returns:
        The lines without their ends.

    Raises:
        DataError: there is no such file, or it is a folder, empty, a damaged gzip file or not
            UTF-8; then the line and the offset of the first wrong byte are named.
    """
    data = _read_bytes(Path(path))
    if not data.strip():
        raise DataError.at(path, None, expected="at least one sentence", got="an empty file")
    if data.startswith(_UTF16_MARKS):
        raise DataError.at(
            path,
            1,
            expected="UTF-8 text",
            got="the byte-order mark of UTF-16",
            hint="Convert it: iconv -f UTF-16 -t UTF-8.",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder of `utf-8-sig` counts from behind the byte-order mark.
        marked = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        offset = error.start + marked
        raise DataError.at(
            path,
            data.count(b"\n", 0, offset) + 1,
            expected="UTF-8 text",
            got=f"byte 0x{data[offset]:02x} at offset {offset}",
            hint="Convert it: iconv -f WINDOWS-1252 -t UTF-8, if that is its encoding.",
        ) from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError.at(path, None, expected="a file", got="nothing of that name") from None
    except IsADirectoryError:
        raise DataError.at(path, None, expected="a file", got="a folder") from None
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError.at(
            path, None, expected="a whole gzip file", got=f"a damaged one ({error})"
        ) from error
