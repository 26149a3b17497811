"""Pairs of texts, one to read and one to write: columns of a file, or the lines of two files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasrnn.data.date_rules import parse_date_rules
from kerasrnn.data.dates import LOCALES, SPLITS, expanded, parse_dates
from kerasrnn.data.errors import DataError, quote, shown
from kerasrnn.data.files import read_lines, source_name
from kerasrnn.data.sniffing import is_header_of_pairs, refuse_json, separators

if TYPE_CHECKING:
    import tensorflow as tf

DATES = "builtin:dates"
DATE_RULES = "builtin:date-rules"


class TextPair(NamedTuple):
    """A text and the text that is to be made of it, such as its translation.

    Attributes:
        source: the text to read.
        target: the text to write.

    Example:

    >>> from kerasrnn.data import TextPair
    >>> TextPair("Go.", "Va !").target
    'Va !'
    """

    source: str
    target: str


def parse_pairs(
    path: str | os.PathLike[str],
    *,
    source_column: int = 0,
    target_column: int = 1,
    header: bool | None = None,
) -> list[TextPair]:
    """Read a file with a pair in each line, its columns separated by tabs.

    Spaces around a text are dropped. Empty lines are left out, and pairs of which one text is
    empty. Further columns, such as who wrote a translation, are not read.

    Args:
        path: the file, UTF-8, compressed with gzip or not.
        source_column: the column with the text to read, counted from 0.
        target_column: the column with the text to write.
        header: whether the first line names the columns and is left out. None finds out: where it
            has names that such columns have, `source` and `target` or `en` and `fr`, it is left out
            with a warning.

    Returns:
        The pairs in the order of the file, at least one.

    Raises:
        DataError: the file cannot be read, a line has too few columns, or there are no pairs.
        ValueError: a column is not a number from 0, or both are the same.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import parse_pairs
    >>> file = pathlib.Path(tempfile.mkdtemp(), "en-fr.tsv")
    >>> _ = file.write_text("Go.\\tVa !\\tby somebody\\nHi.\\tSalut.\\n", "utf-8")
    >>> parse_pairs(file)
    [TextPair(source='Go.', target='Va !'), TextPair(source='Hi.', target='Salut.')]
    """
    for name, column in (("source_column", source_column), ("target_column", target_column)):
        if isinstance(column, bool | np.bool_) or not isinstance(column, Integral) or column < 0:
            raise ValueError(
                f"{name} must be a number, counted from 0, got {shown(column)} "
                f"({type(column).__name__})."
            )
    if source_column == target_column:
        raise ValueError(f"source_column and target_column must differ, both are {source_column}.")
    needed = 1 + max(source_column, target_column)
    pairs: list[TextPair] = []
    begun, lines = False, read_lines(path)
    refuse_json(path, lines, f"{needed} columns separated by tabs")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        columns = line.split("\t")
        if len(columns) < needed:
            raise DataError.at(
                path,
                number,
                expected=f"at least {needed} columns separated by tabs",
                got=f"{len(columns)}: {quote(line)}",
                hint=separators(line, "\t"),
            )
        pair = TextPair(columns[source_column].strip(), columns[target_column].strip())
        if header is not False and not begun and (header or is_header_of_pairs(*pair)):
            if header is None:
                warnings.warn(
                    f"{os.fspath(path)}, line {number}: {quote(' | '.join(pair))} is taken for the "
                    "names of the columns and left out. `header=False` takes it for a pair.",
                    stacklevel=2,
                )
        else:
            pairs.append(pair)
        begun = True
    return _filled(pairs, path)


def parse_aligned(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> list[TextPair]:
    """Read two files whose lines belong together, as in corpora of translations.

    Spaces around a text are dropped; pairs of which one line is empty are left out.

    Args:
        source: the file with the texts to read, UTF-8, compressed with gzip or not.
        target: the file with the texts to write.

    Returns:
        The pairs in the order of the files, at least one.

    Raises:
        DataError: a file cannot be read, or the files have different numbers of lines, or there
            are no pairs.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import parse_aligned
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.en").write_text("Go.\\nHi.\\n", "utf-8")
    >>> _ = (folder / "train.fr").write_text("Va !\\nSalut.\\n", "utf-8")
    >>> parse_aligned(folder / "train.en", folder / "train.fr")[1]
    TextPair(source='Hi.', target='Salut.')
    """
    sources, targets = read_lines(source), read_lines(target)
    if len(sources) != len(targets):
        raise DataError.at(
            target,
            None,
            expected=f"{len(sources)} lines, as many as {os.fspath(source)} has",
            got=f"{len(targets)}",
        )
    pairs = [TextPair(a.strip(), b.strip()) for a, b in zip(sources, targets, strict=True)]
    return _filled(pairs, target)


def load_pairs(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    split: str = "train",
    source_column: int = 0,
    target_column: int = 1,
    header: bool | None = None,
) -> list[TextPair]:
    """Read pairs of texts from a file, two files, or what comes with the package.

    Args:
        source: a file of columns (`parse_pairs`), or the first of two line-aligned files
            (`parse_aligned`); or `builtin:dates`, dates in many languages and as many texts that
            are none, or `builtin:dates/LOCALES` with locales of the reader's choice, such as
            `builtin:dates/en_GB,fr` (`parse_dates`); or `builtin:date-rules`, a list of English
            dates to measure with (`parse_date_rules`).
        target: the second of two line-aligned files, or None.
        split: `train`, `validation` or `test`, for `builtin:dates`; `builtin:date-rules` is a test
            alone. A file is all of one split.
        source_column: the column with the text to read, counted from 0.
        target_column: the column with the text to write.
        header: whether the first line of a file of columns names them (`parse_pairs`).

    Returns:
        The pairs in their order, at least one.

    Raises:
        DataError: the source cannot be read; the file, the line, what was expected and what came
            are named.
        ValueError: there is no such source, split, locale or column; the valid ones are named.
        ImportError: `builtin:dates` without Babel.

    Example:

    >>> from kerasrnn.data import load_pairs
    >>> load_pairs("builtin:date")
    Traceback (most recent call last):
    ...
    ValueError: Unknown source 'builtin:date'. Expected builtin:dates, builtin:dates/LOCALES, builtin:date-rules, or the path of a file with a pair in each line or of two line-aligned files (each also .gz).
    """  # noqa: E501
    name = source_name(source)
    target = None if target is None else source_name(target, "target")
    base = name.partition("/")[0]
    if base in (DATES, DATE_RULES) and target is not None:
        raise ValueError(f"target must be None for {name}, got {target!r}.")
    if name == DATE_RULES:
        if split != "test":
            raise ValueError(f"{name} is there to measure with: it has no split {split!r}.")
        return [TextPair(*row) for row in parse_date_rules()]
    if base == DATES:
        locales = date_locales(name)
        rows = parse_dates(split, locales=locales, others=SPLITS[split])
        return [TextPair(*row) for row in rows]
    if not os.path.exists(name):
        missing = "" if name.startswith(("builtin:", "tfds:")) else ": no such file"
        raise ValueError(
            f"Unknown source {name!r}{missing}. Expected {DATES}, {DATES}/LOCALES, {DATE_RULES}, "
            "or the path of a file with a pair in each line or of two line-aligned files (each "
            "also .gz)."
        )
    if target is not None:
        return parse_aligned(source, target)
    return parse_pairs(
        source, source_column=source_column, target_column=target_column, header=header
    )


def date_locales(source: str) -> tuple[str, ...]:
    """The locales of `builtin:dates` or `builtin:dates/LOCALES`."""
    names = [name.strip() for name in source.partition("/")[2].split(",")]
    return expanded([name for name in names if name] or LOCALES)


def read_pairs(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    split: str = "train",
    source_column: int = 0,
    target_column: int = 1,
    header: bool | None = None,
) -> tf.data.Dataset:
    """Read pairs of texts as a dataset.

    Args:
        source: as in `load_pairs`, and so are the others.
        target: the second of two line-aligned files, or None.
        split: `train`, `validation` or `test`, for `builtin:dates`.
        source_column: the column with the text to read.
        target_column: the column with the text to write.
        header: whether the first line names the columns.

    Returns:
        Elements `{"source": (), "target": ()}` of strings.

    Raises:
        DataError: as `load_pairs`, and so are the other errors.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import read_pairs
    >>> file = pathlib.Path(tempfile.mkdtemp(), "en-fr.tsv")
    >>> _ = file.write_text("Go.\\tVa !\\n", "utf-8")
    >>> [row["target"] for row in read_pairs(file).as_numpy_iterator()]
    [b'Va !']
    """
    import tensorflow as tf

    pairs = load_pairs(
        source,
        target,
        split=split,
        source_column=source_column,
        target_column=target_column,
        header=header,
    )
    columns = {"source": [p.source for p in pairs], "target": [p.target for p in pairs]}
    return tf.data.Dataset.from_tensor_slices(columns)


def _filled(pairs: Iterable[TextPair], path: str | os.PathLike[str]) -> list[TextPair]:
    filled = [pair for pair in pairs if pair.source and pair.target]
    if not filled:
        raise DataError.at(path, None, expected="at least one pair of texts", got="none")
    return filled
