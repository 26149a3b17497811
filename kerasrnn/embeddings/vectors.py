"""Word vectors in text files, a term and its numbers on each line, or in an installed package."""

import contextlib
import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np

from kerasrnn.data.errors import DataError, quote
from kerasrnn.embeddings.packages import package_of

_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


class Vectors(NamedTuple):
    """Rows of an embedding matrix, and which of them were found in the file.

    Attributes:
        matrix: float32 `(terms, dimension)`; rows of zeros for terms that were not found.
        found: booleans `(terms,)`.
    """

    matrix: np.ndarray
    found: np.ndarray

    def scaled(self, deviation: float | None = None) -> "Vectors":
        """The same directions in another width: by default that of a new embedding, 1/√dimension.

        Vectors of files are several times wider (0.7 against 0.14 for GloVe of length 50). Beside
        other features, which start small, they would be all that a network sees for a long time.

        Args:
            deviation: the standard deviation that the numbers found are to have; None for
                1/√dimension.

        Returns:
            `Vectors`; all numbers are multiplied by the same factor.

        Example:

        >>> import numpy as np
        >>> from kerasrnn.embeddings import Vectors
        >>> vectors = Vectors(np.array([[3.0, 1.0], [0.0, 0.0]]), np.array([True, False]))
        >>> vectors.scaled().matrix[0].round(3).tolist()
        [2.121, 0.707]
        """
        wanted = self.matrix.shape[1] ** -0.5 if deviation is None else deviation
        present = float(self.matrix[self.found].std()) if self.found.any() else 0.0
        factor = wanted / present if present else 1.0
        return Vectors((self.matrix * factor).astype(self.matrix.dtype), self.found)


def read_vectors(
    source: str | os.PathLike[str], terms: Sequence[str], *, lowercase_fallback: bool = True
) -> Vectors:
    """Read the vectors of some terms from a GloVe or word2vec text file, or from a package.

    Each line holds a term and its numbers, separated by single spaces (or tabs); word2vec's first
    line tells the number of terms and the dimension, GloVe has no such line. The file is read as a
    stream, and what is not asked for is not kept, so that a file larger than memory will do. It may
    be compressed with gzip. A term may itself contain spaces, as some in `glove.840B.300d` do.

    A term that stands twice in the file keeps its first vector. Every line's number of values is
    checked, but only the values asked for are read as numbers.

    Args:
        source: the file; or a name of `VECTOR_PACKAGES`, such as `"glove-6b-50d"`, for the vectors
            of an installed package; or several names joined by `+`, for their vectors side by side.
        terms: the terms wanted, one row of the result for each. The empty string is never found:
            vocabularies use it for padding.
        lowercase_fallback: whether a term that is not in the file gets the vector of its lower
            case, if that is there. An exact match always wins.

    Returns:
        `Vectors(matrix, found)`.

    Raises:
        DataError: the file is empty, damaged, not UTF-8 text (a word2vec *binary* file, say), or a
            line has a wrong number of values or one that is not a finite number, or there are not
            as many lines as the first one promises. It names the file, the line, what was expected
            and what came.
        OSError: the file cannot be opened.
        ModuleNotFoundError: the package is not installed; the message says how to install it.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> _ = path.write_text("the 0.1 0.2\\nparis 0.5 -1.5\\n")
    >>> matrix, found = read_vectors(path, ["Paris", "the", "zebra"])
    >>> matrix.tolist()[0], found.tolist()
    ([0.5, -1.5], [True, True, False])
    """
    package = package_of(source)
    if package is not None:
        return Vectors(*package.read_vectors(terms, lowercase_fallback=lowercase_fallback))
    exact: dict[bytes, list[int]] = {}
    lowered: dict[bytes, list[int]] = {}
    for row, term in enumerate(terms):
        if term:
            exact.setdefault(term.encode(), []).append(row)
            if lowercase_fallback and term.lower() != term:
                lowered.setdefault(term.lower().encode(), []).append(row)
    found = np.zeros(len(terms), bool)
    certain = np.zeros(len(terms), bool)  # found as they are written
    matrix: np.ndarray | None = None
    for line, term_bytes, values, dimension in _rows(source, _tell_apart(exact, lowered)):
        if matrix is None:
            matrix = np.zeros((len(terms), dimension), "float32")
        if values is None:
            continue
        rows = [i for i in exact.get(term_bytes, ()) if not certain[i]]
        spare = [i for i in lowered.get(term_bytes, ()) if not found[i]]
        if rows or spare:
            matrix[rows + spare] = _numbers(source, line, values, dimension)
            found[rows + spare] = True
            certain[rows] = True
    assert matrix is not None  # a file without a row is an error
    return Vectors(matrix, found)


def read_terms(source: str | os.PathLike[str]) -> list[str]:
    """The terms of a file or package of vectors, to extend a vocabulary with.

    Args:
        source: as for `read_vectors`.

    Returns:
        The terms in the order of the file (the commonest first, in the files usually given away),
        each once.

    Raises:
        DataError, OSError, ModuleNotFoundError: as for `read_vectors`.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> _ = path.write_text("2 3\\nthe 0 0 1\\ncat 1 0 1\\n")
    >>> read_terms(path)
    ['the', 'cat']
    """
    package = package_of(source)
    if package is not None:
        return list(dict.fromkeys(package.read_terms()))
    terms: dict[str, None] = {}
    for line, term, _, _ in _rows(source, lambda _: True):
        terms[_decoded(source, line, term)] = None
    return list(terms)


def write_vectors(
    path: str | os.PathLike[str], terms: Sequence[str], matrix: Any, *, header: bool = False
) -> None:
    """Write vectors as a text file, from which `read_vectors` reads the same float32 numbers.

    The file appears whole or not at all, and is compressed with gzip if its name ends in `.gz`.

    Args:
        path: the file.
        terms: one for each row.
        matrix: finite numbers `(terms, dimension)`, written as float32.
        header: whether to begin with word2vec's line of the number of terms and the dimension.

    Raises:
        ValueError: the sizes differ, a number is not finite, or a term cannot stand in such a file:
            an empty one, one with a line break or tab, with a space at its start or end, or with a
            number as the last of several words.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> write_vectors(path, ["the", "cat"], [[0.0, 0.5], [1.0, -2.0]], header=True)
    >>> path.read_text().splitlines()
    ['2 2', 'the 0.0 0.5', 'cat 1.0 -2.0']
    """
    matrix = np.asarray(matrix, "float32")
    if matrix.ndim != 2 or matrix.shape[0] != len(terms) or 0 in matrix.shape:
        raise ValueError(
            f"`matrix` must have the shape (terms={len(terms)}, dimension), neither of them 0. "
            f"Received: {matrix.shape}."
        )
    if not np.isfinite(matrix).all():
        row = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise ValueError(f"`matrix` must be finite. Received: {matrix[row]} for {terms[row]!r}.")
    for term in terms:
        _check_writable(term)
    with _replacing(Path(path)) as file:
        if header:
            file.write(b"%d %d\n" % matrix.shape)
        for term, values in zip(terms, matrix, strict=True):
            file.write(" ".join([term, *(str(x) for x in values)]).encode() + b"\n")


# === Reading ===

_Row = tuple[int, bytes, bytes | None, int]


def _tell_apart(*wanted: dict[bytes, list[int]]) -> Callable[[bytes], bool]:
    """Whether a term that starts with a word may be wanted: spares the others' splitting."""
    words = {term.partition(b" ")[0] for terms in wanted for term in terms}
    return words.__contains__


def _rows(path: str | os.PathLike[str], may_want: Callable[[bytes], bool]) -> Iterator[_Row]:
    """Line number, term, values and dimension of each row, values None where not wanted."""
    separator, dimension, promised, count = b" ", 0, None, 0
    line = 0
    for line, text in enumerate(_lines(path), start=1):
        text = text.rstrip(b" \t\r\n")
        if not text:
            continue
        if not dimension:
            separator = b"\t" if b"\t" in text else b" "
            fields = text.split(separator)
            if line == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                promised, dimension = int(fields[0]), int(fields[1])
                if not promised or not dimension:
                    _fail(path, 1, "a number of terms and a dimension above 0", text)
                continue
            dimension = _dimension(path, line, fields)
        count += 1
        spaces = text.count(separator)
        if spaces < dimension:
            _fail(path, line, f"a term and {dimension} numbers", text, fields=spaces + 1)
        first = text.partition(separator)[0]
        if spaces == dimension:
            term, values = first, text[len(first) + 1 :]
        else:
            term = text.rsplit(separator, dimension)[0]
            values = text[len(term) + 1 :]
            if _NUMBER.fullmatch(term.rpartition(separator)[2]):
                _fail(path, line, f"a term and {dimension} numbers", text, fields=spaces + 1)
        if not term.isascii():
            _decoded(path, line, term)
        yield line, term, values if may_want(first) else None, dimension
    if not count:
        _fail(path, None, "lines of a term and its numbers", b"" if not line else b"no such line")
    if promised not in (None, count):
        _fail(path, line, f"{promised} terms, as line 1 says", b"%d" % count)


def _dimension(path, line, fields):
    """The number of numbers at the end of the first row, one field at least being its term."""
    numbers = 0
    for field in reversed(fields[1:]):
        if not _NUMBER.fullmatch(field):
            break
        numbers += 1
    if not numbers:
        _fail(path, line, "a term and its numbers", b" ".join(fields))
    return numbers


def _numbers(path, line, values, dimension):
    fields = values.split()
    try:
        numbers = np.array([float(x) for x in fields], "float32")
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != dimension or not np.isfinite(numbers).all():
        _fail(path, line, f"{dimension} finite numbers", values)
    return numbers


def _lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Lines as bytes, ended by a line feed alone: some terms contain other kinds of line break."""
    with open(path, "rb") as raw:
        start = raw.read(4)
        raw.seek(0)
        if start.startswith(_ZIP):
            _fail(path, None, "a text file, plain or compressed with gzip", b"a zip archive")
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if start.startswith(_GZIP) else raw)
        number = 0
        try:
            for number, line in enumerate(stream, start=1):
                if b"\0" in line:
                    _fail(path, number, "text; word2vec's binary format must be converted", line)
                yield line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError.at(
                path, number + 1, expected="a whole gzip file", got=f"a damaged one ({error})"
            ) from error


def _decoded(path, line, term):
    try:
        return term.decode()
    except UnicodeDecodeError:
        _fail(path, line, "a term in UTF-8", term)


def _fail(path, line, expected, got, fields=None):
    text = quote(got.decode("utf-8", "backslashreplace")) if got else "an empty file"
    if fields is not None:
        text = f"{fields} {'field' if fields == 1 else 'fields'}: {text}"
    raise DataError.at(path, line, expected=expected, got=text)


# === Writing ===


def _check_writable(term):
    last_of_several = term.rpartition(" ")[2] if " " in term else ""
    if (
        not term
        or term != term.strip(" ")
        or any(c in term for c in "\n\r\t\0")
        or _NUMBER.fullmatch(last_of_several.encode())
    ):
        raise ValueError(
            f"The term {term!r} cannot stand in a file of vectors. Expected one that is not empty, "
            "has no line break, tab, or space at an end, and does not end in a number as a word."
        )


@contextlib.contextmanager
def _replacing(path):
    """A file to write to beside `path`, which takes its place when all is written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as raw:
            if path.suffix == ".gz":
                # No name and no time inside, so that equal vectors give equal files.
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
                    yield file
            else:
                yield raw
        os.chmod(temporary, 0o644)  # mkstemp keeps it to its owner
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
