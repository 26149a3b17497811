"""Labelled texts in tables: TSV and CSV files with a header."""

from __future__ import annotations

import csv
import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasrnn.data.errors import ColumnError, DataError, quote
from kerasrnn.data.files import read_lines, source_name
from kerasrnn.data.labelled_texts import LabelledText
from kerasrnn.data.sniffing import refuse_json, separators

# What such columns are called in data sets that are often used.
TEXT_COLUMNS = ("text", "sentence", "review", "question", "phrase", "content", "document", "title")
LABEL_COLUMNS = ("label", "class", "category", "sentiment", "intent", "language", "target", "type")

# The csv module's own limit would refuse a text of more than 131,072 characters.
_LONGEST_FIELD = 2**31 - 1


def parse_table(
    path: str | os.PathLike[str],
    *,
    text: str | int | None = None,
    label: str | int | None = None,
) -> list[LabelledText]:
    r"""Read labelled texts from a TSV or CSV file with a header.

    Files whose name ends in `.csv` are separated by commas, and a field in double quotes may hold
    commas, line breaks and doubled quotes (RFC 4180). All other files are separated by tabs;
    quotes mean nothing there, as in the files of GLUE. Either may be compressed with gzip.

    Args:
        path: the file.
        text: the column of the texts: its name in the header, or its number, counted from 0 or
            backwards from -1. None takes the first there is of `text`, `sentence`, `review`,
            `question`, `phrase`, `content`, `document`, `title`; of two columns it takes that which
            is not the label.
        label: the column of the labels. None takes the first there is of `label`, `class`,
            `category`, `sentiment`, `intent`, `language`, `target`, `type`; of two columns it takes
            that which is not the text.

    Returns:
        The texts in the order of the file, at least one, with spaces at their ends taken off.

    Raises:
        DataError: the file cannot be read, is JSON, has one column, no header, no rows, a row with
            too few or too many fields, a quote that is never closed, or a text or label that is
            empty. It names the file, the line, what was expected and what came.
        ValueError: there is no such column, or none of the usual names; the header's are named.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import parse_table
    >>> path = pathlib.Path(tempfile.mkdtemp(), "reviews.csv")
    >>> _ = path.write_text('stars,review\n5,"Moving, and funny"\n1,Dull\n')
    >>> parse_table(path, label="stars")
    [LabelledText(text='Moving, and funny', label='5'), LabelledText(text='Dull', label='1')]
    """
    path = source_name(path, "path")
    rows = _rows(Path(path))
    begin, header = next(rows)
    header = [name.strip() for name in header]
    if len(header) == 1:
        comma, name = (",", "commas") if _is_csv(path) else ("\t", "tabs")
        raise DataError.at(
            path,
            begin,
            expected=f"a header of two names or more, separated by {name}",
            got=quote(header[0]),
            hint=separators(header[0], comma),
        )
    text_column, label_column = _columns(path, header, text, label)
    texts = []
    for line, fields in rows:
        if len(fields) != len(header):
            raise DataError.at(
                path,
                line,
                expected=f"{len(header)} fields, as in the header",
                got=f"{len(fields)}: {quote(' | '.join(fields))}",
                hint="A field with a comma in it must stand in double quotes."
                if _is_csv(path) and len(fields) > len(header)
                else "",
            )
        for column in (text_column, label_column):
            if not fields[column].strip():
                raise DataError.at(
                    path,
                    line,
                    expected=f"something in the column {quote(header[column])}",
                    got="an empty field",
                )
        texts.append(LabelledText(fields[text_column].strip(), fields[label_column].strip(), line))
    if not texts:
        raise DataError.at(path, None, expected="a row behind the header", got="none")
    unnamed = text is not None and label is not None and not {text, label} & set(header)
    if unnamed and header[label_column] in {row.label for row in texts}:
        raise DataError.at(
            path,
            begin,
            expected="a header",
            got=f"what may be a row, {quote(' | '.join(header))}: others have its label",
            hint="Put a line with the names of the columns before it.",
        )
    return texts


def _is_csv(path: str | os.PathLike[str]) -> bool:
    return Path(path).name.lower().removesuffix(".gz").endswith(".csv")


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line in which each row begins, and its fields; empty lines are left out."""
    lines = read_lines(path)
    refuse_json(path, lines, "a table with a header of columns")
    if not _is_csv(path):
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.split("\t")
        return
    previous_limit = csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader([line + "\n" for line in lines], strict=True)
    begin = 1
    try:
        for fields in reader:
            if fields:
                yield begin, fields
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError.at(
            path,
            begin,
            expected="a row of comma-separated fields",
            got=f"{quote(lines[begin - 1])} ({error})",
            hint="A quote in a quoted field is doubled. Name a file .tsv if tabs separate it.",
        ) from error
    finally:
        csv.field_size_limit(previous_limit)


def _columns(
    path: str | os.PathLike[str],
    header: Sequence[str],
    text: str | int | None,
    label: str | int | None,
) -> tuple[int, int]:
    """The numbers of the two columns."""
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError.at(
            path, 1, expected="a header of distinct names", got=f"{quote(repeated[0])} twice"
        )
    text_column = _column(path, header, "text", text, TEXT_COLUMNS)
    label_column = _column(path, header, "label", label, LABEL_COLUMNS)
    nameless = text_column is None and label_column is None
    if len(header) == 2:
        if text_column is None and label_column is not None:
            text_column = 1 - label_column
        elif label_column is None and text_column is not None:
            label_column = 1 - text_column
    for name, column in (("text", text_column), ("label", label_column)):
        if column is None:
            names = ", ".join(map(quote, header)) if nameless else ", ".join(header)
            raise ColumnError(
                f"The {name} column of {os.fspath(path)} must be named with `{name}`. "
                f"Expected one of {names}."
                + " If these are no names, put a line with names, such as text and label, before."
                * nameless,
                path=path,
            )
    assert text_column is not None and label_column is not None
    if text_column == label_column:
        raise ColumnError(
            f"The columns of texts and labels of {os.fspath(path)} must be two. "
            f"Received {header[text_column]!r} for both.",
            path=path,
        )
    return text_column, label_column


def _column(
    path: str | os.PathLike[str],
    header: Sequence[str],
    argument: str,
    wanted: str | int | None,
    usual: Sequence[str],
) -> int | None:
    if wanted is None:
        lowered = [name.lower() for name in header]
        return next((lowered.index(name) for name in usual if name in lowered), None)
    if isinstance(wanted, str) and wanted in header:
        return header.index(wanted)
    try:
        # A command line gives numbers as text.
        number = int(wanted) if isinstance(wanted, str) else operator.index(wanted)
    except (ValueError, TypeError):
        number = len(header)
    if not -len(header) <= number < len(header):
        raise ColumnError(
            f"Unknown {argument} column {wanted!r} of {os.fspath(path)}. "
            f"Expected one of {', '.join(header)}, or a number from 0 to {len(header) - 1}.",
            path=path,
        )
    return number % len(header)
