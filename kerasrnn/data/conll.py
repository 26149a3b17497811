"""Sentences in columns, one token a line: the format of the CoNLL shared tasks."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING

from kerasrnn.data.datasets import to_dataset
from kerasrnn.data.errors import DataError, quote, shown
from kerasrnn.data.files import read_lines
from kerasrnn.data.schemes import convert_scheme, first_fault, infer, scheme_by_name
from kerasrnn.data.sentences import TaggedSentence, check_not_empty, tag_error
from kerasrnn.data.sniffing import is_header_of_tags, refuse_json, separators

if TYPE_CHECKING:
    import tensorflow as tf

_DOCUMENT_START = "-DOCSTART-"
_KEY_VALUE = re.compile(r"#[ \t]+([^\s=][^=]*?)[ \t]+=(?:[ \t]+(.*))?")
_BLANKS = re.compile(r"[ \t]+")
_SPACES = re.compile(r" +")


def parse_conll(
    path: str | os.PathLike[str],
    *,
    token_column: int = 0,
    tag_column: int = -1,
    separator: str | None = None,
    scheme: str | None = None,
    source_scheme: str | None = None,
    label_key: str = "intent",
) -> list[TaggedSentence]:
    """Read a file of columns: a token a line, its tag in one of the columns.

    A line that is empty or white space only ends a sentence, and so does one whose token is
    `-DOCSTART-`, which is left out. Several such lines in a row, or none at the file's end, make no
    empty sentence.

    A first row such as `token` and `tag`, which names the columns, is left out with a warning.

    Comments stand before the first token of a sentence. `# key = value` goes into the sentence's
    `metadata`. As tokens can be `#` too, a line is a comment only if it starts with `#` and a blank
    and either holds no separator (`# a note` in a file with tabs) or, in a file with spaces, has a
    `=` of its own behind a key. `# id …` lines (as in MultiCoNER) are comments as well.

    Args:
        path: a UTF-8 text file, compressed with gzip or not.
        token_column: the tokens' column, counted from 0, or from -1 backwards.
        tag_column: the tags' column.
        separator: what stands between columns. `" "` means any number of spaces. None finds out:
            a tab where the first row has one, else any number of blanks.
        scheme: the scheme to return the tags in: `BIO`, `BIOES`, `BILOU`, `IO` or `IOB1`. They are
            checked on the way. None or `none` returns them as written, unchecked.
        source_scheme: the scheme of the file. None infers it from all of its tags; `IOB` accepts
            any mixture of `BIO` and `IOB1`. From `IO`, touching entities of a type become one: such
            a file does not tell them apart.
        label_key: the comment that holds the label of the whole sentence.

    Returns:
        The sentences in the order of the file.

    Raises:
        DataError: the file cannot be read, holds no sentence, a row has not as many columns as the
            first, an empty token or tag, or the tags are not legal in their scheme. The file, the
            line, what was expected and what came are named.
        ValueError: there is no such scheme, or `separator` is empty.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import parse_conll
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.conll")
    >>> _ = path.write_text("Rome I-LOC\\nfell O\\n\\nHe O\\nwept O\\n")
    >>> [sentence.tags for sentence in parse_conll(path, scheme="BIO")]
    [('B-LOC', 'O'), ('O', 'O')]
    """
    if separator == "":
        raise ValueError("separator must not be an empty string. Expected a string or None.")
    if not isinstance(separator, str | None):
        raise ValueError(f"separator must be a string or None, got {shown(separator)}.")
    for name, column in (("token_column", token_column), ("tag_column", tag_column)):
        if not isinstance(column, Integral):
            raise ValueError(f"{name} must be a whole number, got {shown(column)}.")
    scheme = scheme_by_name(scheme or "none")
    source_scheme = source_scheme and scheme_by_name(source_scheme, "source_scheme")
    if scheme == "IOB":
        raise ValueError("scheme 'IOB' is only for reading. Expected BIO or IOB1.")
    lines = read_lines(path)
    refuse_json(path, lines, "a token and its tag in each line")
    columns = _Columns.of(path, lines, separator, token_column, tag_column)
    sentences = _sentences(path, lines, columns, label_key)
    sentences = _without_header(path, sentences)
    check_not_empty(sentences, path)
    return in_scheme(sentences, scheme, source_scheme, path)


def read_conll(
    path: str | os.PathLike[str],
    *,
    token_column: int = 0,
    tag_column: int = -1,
    separator: str | None = None,
    scheme: str | None = None,
    source_scheme: str | None = None,
    label_key: str = "intent",
) -> tf.data.Dataset:
    """Read a file of columns as a dataset.

    Args:
        path: as in `parse_conll`, and so are the others.
        token_column: the tokens' column.
        tag_column: the tags' column.
        separator: what stands between columns.
        scheme: the scheme to return the tags in.
        source_scheme: the scheme of the file.
        label_key: the comment that holds the label of the whole sentence.

    Returns:
        Elements `{"tokens": (time,), "tags": (time,)}` of strings in the order of the file, with a
        `"label": ()` where the sentences have one.

    Raises:
        DataError: as `parse_conll`, or some sentences have a label and others none.
        ValueError: as `parse_conll`.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import read_conll
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.conll")
    >>> _ = path.write_text("Rome\\tB-LOC\\nfell\\tO\\n")
    >>> [element["tokens"].tolist() for element in read_conll(path).as_numpy_iterator()]
    [[b'Rome', b'fell']]
    """
    return to_dataset(
        parse_conll(
            path,
            token_column=token_column,
            tag_column=tag_column,
            separator=separator,
            scheme=scheme,
            source_scheme=source_scheme,
            label_key=label_key,
        ),
        source=path,
    )


def in_scheme(
    sentences: list[TaggedSentence],
    scheme: str | None,
    source_scheme: str | None,
    path: str | os.PathLike[str] | None,
) -> list[TaggedSentence]:
    """The sentences with their tags checked and converted; faults name the line."""
    if scheme in (None, "none") and source_scheme in (None, "none"):
        return sentences
    if source_scheme == "none":
        raise ValueError(
            f"Cannot convert from source_scheme 'none' to scheme {scheme!r}: tags that stand for "
            "themselves have no spans."
        )
    if source_scheme is None:
        source_scheme, fault = infer([sentence.tags for sentence in sentences])
        if fault:
            number, position, expected, got = fault
            raise _scheme_error(path, sentences, number, position, expected, got)
    if source_scheme == "none":
        # Tags of nothing but O are BIO to `infer`, so there is another.
        first = next(
            (n, i) for n, s in enumerate(sentences) for i, tag in enumerate(s.tags) if tag != "O"
        )
        tag = quote(sentences[first[0]].tags[first[1]])
        raise _scheme_error(
            path, sentences, *first, f"a tag of scheme {scheme}, such as B-LABEL", tag
        )
    for number, sentence in enumerate(sentences):
        fault_here = first_fault(sentence.tags, source_scheme)
        if fault_here:
            raise _scheme_error(path, sentences, number, *fault_here)
    target = source_scheme if scheme in (None, "none") else scheme
    if target in (None, source_scheme):
        return sentences
    return [
        replace(sentence, tags=tuple(convert_scheme(sentence.tags, source_scheme, target)))
        for sentence in sentences
    ]


def _scheme_error(
    path: str | os.PathLike[str] | None,
    sentences: list[TaggedSentence],
    number: int,
    position: int,
    expected: str,
    got: str,
) -> DataError:
    return tag_error(
        path,
        sentences,
        number,
        position,
        expected=expected,
        got=got,
        hint="Give source_scheme (IOB reads any mixture of BIO and IOB1), or no scheme to take "
        "the tags as they are.",
    )


@dataclass(frozen=True)
class _Columns:
    """How rows are cut, and which of their columns count."""

    separator: str | None
    number: int
    token: int
    tag: int

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        lines: list[str],
        separator: str | None,
        token: int,
        tag: int,
    ) -> _Columns:
        """As the first row has it."""
        rows = [
            (number, line)
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.startswith(_DOCUMENT_START)
        ]
        # A row that looks like a comment decides only where there are no others.
        first = next(
            (row for row in rows if not row[1].startswith("# ")), rows[0] if rows else None
        )
        if first is None:
            raise DataError.at(path, None, expected="at least one sentence", got="none")
        if separator is None and "\t" in first[1].strip(" \t"):  # U+0085 can be a token
            separator = "\t"
        columns = cls(separator, 0, 0, 0)
        fields = columns.split(first[1])
        needed = max(
            2, *(column + 1 if column >= 0 else -column for column in (token, tag))
        )  # columns
        if len(fields) < needed:
            raise DataError.at(
                path,
                first[0],
                expected=f"at least {needed} columns {columns.between}, "
                f"for token_column={token} and tag_column={tag}",
                got=f"{len(fields)}: {quote(first[1])}",
                hint=separators(first[1], columns.separator or "\t"),
            )
        token, tag = token % len(fields), tag % len(fields)
        if token == tag:
            raise ValueError(
                f"token_column and tag_column must differ, got column {token} of "
                f"{len(fields)} for both."
            )
        return cls(separator, len(fields), token, tag)

    @property
    def between(self) -> str:
        """The separator in words."""
        names = {"\t": "separated by tabs", " ": "separated by spaces", None: "separated by blanks"}
        return names.get(self.separator, f"separated by {self.separator!r}")

    def split(self, line: str) -> list[str]:
        """The fields of a row.

        `str.split()` would cut at characters that can be part of a token, such as U+00A0.
        """
        if self.separator is None:
            return _BLANKS.split(line.strip(" \t"))
        if self.separator == " ":
            return _SPACES.split(line.strip(" "))
        return [field.strip(" ") for field in line.split(self.separator)]

    def is_comment(self, line: str) -> bool:
        """Whether a line before the first token of a sentence is a comment."""
        if not line.startswith("# "):
            return False
        if self.separator not in (None, " ") and self.separator not in line:
            return True
        if self.separator == "\t":
            return False
        fields = self.split(line)
        return bool(_KEY_VALUE.fullmatch(line.rstrip())) or (len(fields) > 2 and fields[1] == "id")


def _sentences(
    path: str | os.PathLike[str], lines: list[str], columns: _Columns, label_key: str
) -> list[TaggedSentence]:
    sentences: list[TaggedSentence] = []
    tokens: list[str] = []
    tags: list[str] = []
    metadata: dict[str, str] = {}

    def close(after: int) -> None:
        """End the sentence whose last token stands above line `after`."""
        if tokens:
            sentences.append(
                TaggedSentence(
                    tuple(tokens),
                    tuple(tags),
                    label=metadata.get(label_key),
                    metadata=dict(metadata),
                    line=after - len(tokens),
                )
            )
        # The comments of a sentence without tokens must not go to the next one.
        tokens.clear()
        tags.clear()
        metadata.clear()

    for number, line in enumerate(lines, 1):
        if not line.strip():
            close(number)
            continue
        if not tokens and columns.is_comment(line):
            pair = _KEY_VALUE.fullmatch(line.rstrip())
            if pair:
                metadata[pair[1]] = pair[2] or ""
            continue
        fields = columns.split(line)
        if fields[0] == _DOCUMENT_START:
            close(number)
            continue
        token, tag = _token_and_tag(path, number, line, fields, columns)
        tokens.append(token)
        tags.append(tag)
    close(len(lines) + 1)
    return sentences


def _without_header(
    path: str | os.PathLike[str], sentences: list[TaggedSentence]
) -> list[TaggedSentence]:
    """The sentences without a first row that names the columns."""
    if not sentences:
        return sentences
    first, *others = sentences
    token, tag = first.tokens[0], first.tags[0]
    once = tag not in first.tags[1:] and not any(tag in sentence.tags for sentence in others)
    if not (once and is_header_of_tags(token, tag)):
        return sentences
    warnings.warn(
        f"{os.fspath(path)}, line {first.line}: '{token}' with '{tag}' is taken for the names of "
        "the columns and left out.",
        stacklevel=3,
    )
    if len(first) == 1:
        return others
    line = first.line_of(1)
    return [replace(first, tokens=first.tokens[1:], tags=first.tags[1:], line=line), *others]


def _token_and_tag(
    path: str | os.PathLike[str], number: int, line: str, fields: list[str], columns: _Columns
) -> tuple[str, str]:
    if len(fields) != columns.number:
        raise DataError.at(
            path,
            number,
            expected=f"{columns.number} columns {columns.between}",
            got=f"{len(fields)}: {quote(line)}",
            hint="Comments stand before the first token of a sentence, after an empty line."
            if _KEY_VALUE.fullmatch(line)
            else "",
        )
    token, tag = fields[columns.token], fields[columns.tag]
    if not token or not tag:
        raise DataError.at(
            path,
            number,
            expected=f"a token in column {columns.token} and a tag in column {columns.tag}",
            got=f"an empty {'tag' if token else 'token'}: {quote(line)}",
        )
    return token, tag
