"""Word vectors in text files, a term and its numbers on each line, or in an installed package."""

import contextlib
import gzip
import itertools
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasrnn.data.errors import DataError, check_strings, quote, shown
from kerasrnn.data.files import LONGEST_LINE, UTF16_MARKS, kind_of, open_data
from kerasrnn.embeddings.packages import package_of

_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf)", re.IGNORECASE)
_LOOKED_AT = 10  # rows that tell the dimension


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

    Each line holds a term and its numbers, separated by spaces, or a tab behind the term and tabs
    or spaces between the numbers. word2vec's and fastText's first line tells the number of terms
    and the dimension, GloVe has no such line. The file is read as a stream, and what is not asked
    for is not kept, so that a file larger than memory will do. It may be compressed with gzip. A
    term may itself contain spaces, as some in `glove.840B.300d` do; it must not end in a number
    then, but before a tab.

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
            line has a wrong number of values or one that is not a finite number, or the number of
            lines is another than the first one promises by more than one and more than a
            thousandth; or it cannot be opened. It names the file, the line, what was expected and
            what came.
        TypeError: a term is no string.
        ValueError: a term is no valid Unicode.
        ModuleNotFoundError: the package is not installed; the message says how to install it.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "vectors.txt")
    >>> _ = path.write_text("the 0.1 0.2\\nparis 0.5 -1.5\\n")
    >>> matrix, found = read_vectors(path, ["Paris", "the", "zebra"])
    >>> matrix.tolist()[0], found.tolist()
    ([0.5, -1.5], [True, True, False])
    """
    check_strings(terms, "terms")
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
        each once. A row without a term is left out.

    Raises:
        DataError, ModuleNotFoundError: as for `read_vectors`.

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
    terms.pop("", None)
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
    check_strings(terms, "terms")
    try:
        matrix = np.asarray(matrix, "float32")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`matrix` must hold numbers (terms, dimension). Received: {shown(matrix)} ({error})"
        ) from error
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
    rows = ((line, text) for line, text in _lines(path) if text)
    begin = list(itertools.islice(rows, _LOOKED_AT))
    promised, dimension = _header(path, begin)
    line = count = 0
    for line, text in itertools.chain(begin[promised is not None :], rows):
        count += 1
        term, values = _cut(path, line, text, dimension)
        if not term.isascii():
            _decoded(path, line, term)
        wanted = may_want(term.partition(b" ")[0])
        yield line, term, values if wanted else None, dimension
    # Files are given away that promise a row too many or too few; a file cut off lacks more.
    if promised is not None and abs(promised - count) > max(1, promised // 1000):
        _fail(path, line or 1, f"{promised} terms, as line 1 says", b"%d" % count)


def _header(path, rows):
    """How many rows line 1 promises, or None, and the dimension, from the first rows."""
    if not rows:
        _fail(path, None, "lines of a term and its numbers", b"")
    line, text = rows[0]
    fields = text.split()
    if len(fields) == 2 and all(field.isdigit() and len(field) < 19 for field in fields):
        promised, dimension = map(int, fields)
        # `7 8` may also be a term and its only number: then so is what comes next.
        if dimension == 1 or len(rows) == 1 or _count_numbers(rows[1][1]) != 1:
            if not promised or not dimension:
                _fail(path, line, "a number of terms and a dimension above 0", text)
            return promised, dimension
    counts = Counter(_count_numbers(text) for _, text in rows)
    if not _count_numbers(text):
        _fail(path, line, "a term and its numbers", text)
    # Of a single row, it could not be told whether a number belongs to its term: `route 66 0.5`.
    return None, counts.most_common(1)[0][0]


def _count_numbers(text):
    """How many numbers stand at the end of a row, one field at least being its term."""
    fields = text.partition(b"\t")[2].split() if b"\t" in text else text.lstrip(b" ").split()
    if b"\t" not in text and not text.startswith(b" "):
        del fields[:1]
    return sum(1 for _ in itertools.takewhile(_NUMBER.fullmatch, reversed(fields)))


def _cut(path, line, text, dimension):
    """The term and the numbers of a row, which tabs or spaces separate."""
    term, tab, values = text.partition(b"\t")
    if tab:
        right = len(values.split()) == dimension
    elif text.count(b" ") == dimension:
        term, _, values = text.partition(b" ")
        right = True
    else:  # a term with spaces, or several of them between numbers
        parts = text.rsplit(None, dimension)
        # Where the term is missing, its space is not.
        term = parts[0] if len(parts) > dimension else b""
        values = text[len(term) :]
        last = term.rpartition(b" ")
        right = (bool(term) or text.startswith(b" ")) and len(parts) >= dimension
        right = right and not (last[1] and _NUMBER.fullmatch(last[2]))
    if not right:
        _fail(path, line, f"a term and {dimension} numbers", text, fields=len(text.split()))
    if not values.isascii():
        _fail(path, line, "numbers as text; word2vec's binary format must be converted", text)
    return term.strip(b" "), values


def _numbers(path, line, values, dimension):
    fields = values.split()
    try:
        numbers = np.array([float(x) for x in fields], "float32")
    except ValueError:
        numbers = np.zeros(0)
    if len(numbers) != dimension or not np.isfinite(numbers).all():
        _fail(path, line, f"{dimension} finite numbers", values)
    return numbers


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, bytes]]:
    """Number and text of lines, ended by a line feed alone: some terms hold other line breaks."""
    with open_data(path) as stream:
        start = stream.peek(8)[:8]
        if kind := kind_of(start):
            _fail(path, None, "a text file, plain or compressed with gzip", kind.encode())
        if start.startswith(UTF16_MARKS):
            _fail(path, 1, "UTF-8 text", b"the byte-order mark of UTF-16")
        for number in itertools.count(1):
            line = stream.readline(LONGEST_LINE + 1)
            if not line:
                return
            if len(line) > LONGEST_LINE:
                _fail(path, number, f"a line of at most {LONGEST_LINE:,} bytes", line[:80])
            if b"\0" in line:
                _fail(path, number, "text; word2vec's binary format must be converted", line)
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
                if b"\r" in line.rstrip() and not line.endswith(b"\n"):
                    _fail(path, 1, "lines that end with line feeds, not carriage returns", line)
            yield number, line.rstrip(b" \t\r\n")


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
