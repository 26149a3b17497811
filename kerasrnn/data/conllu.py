"""CoNLL-U, the format of Universal Dependencies: https://universaldependencies.org/format.html."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from kerasrnn.data.datasets import to_dataset
from kerasrnn.data.errors import DataError, quote
from kerasrnn.data.files import read_lines
from kerasrnn.data.sentences import TaggedSentence, check_not_empty

if TYPE_CHECKING:
    import tensorflow as tf

FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
TAG_FIELDS = ("upos", "xpos", "feats", "deprel", "lemma")
_KEY_VALUE = re.compile(r"#\s*([^=]*?)\s*=\s*(.*)")
_RANGE = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
_EMPTY_NODE = re.compile(r"[0-9]+\.[0-9]+")


def parse_conllu(
    path: str | os.PathLike[str], column: str = "upos", *, label_key: str = "intent"
) -> list[TaggedSentence]:
    """Read a CoNLL-U file: syntactic words with one of their columns as tags.

    Rows of multi-word tokens (`8-9`) and empty nodes (`8.1`) are left out: "don't" is two words,
    "do" and "n't". `SpaceAfter=No` goes into the sentences' `spaces`: no space follows a word in
    a multi-word token, and the token's own row says what follows its last word. In languages whose
    multi-word tokens are not their words joined (French "du" = "de" "le"), tokens and spaces are
    therefore not quite the text; `metadata["text"]` is.

    Args:
        path: a UTF-8 text file, compressed with gzip or not.
        column: `upos`, `xpos`, `feats`, `deprel` or `lemma`.
        label_key: the comment that holds a label of the whole sentence.

    Returns:
        The sentences in the order of the file; the comments before each as its `metadata`. A tag
        left open is `_`, as in the file.

    Raises:
        DataError: the file cannot be read, holds no sentence, a row has not ten columns separated
            by tabs, a word's number is not the next, or the column is open (`_`) in the whole file.
        ValueError: there is no such column.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import parse_conllu
    >>> path = pathlib.Path(tempfile.mkdtemp(), "dev.conllu")
    >>> rows = ["1\\tIt\\tit\\tPRON" + "\\t_" * 6, "2\\trains\\train\\tVERB" + "\\t_" * 6, ""]
    >>> _ = path.write_text("\\n".join(rows))
    >>> parse_conllu(path)[0].tags
    ('PRON', 'VERB')
    """
    if column not in TAG_FIELDS:
        raise ValueError(f"Unknown column {column!r}. Expected one of {', '.join(TAG_FIELDS)}.")
    sentences: list[TaggedSentence] = []
    sentence = _Sentence(path, FIELDS.index(column))
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            sentence.close(sentences, label_key)
        elif line.startswith("#"):
            sentence.comment(number, line)
        else:
            sentence.row(number, line)
    sentence.close(sentences, label_key)
    check_not_empty(sentences, path)
    if all(tag == "_" for s in sentences for tag in s.tags):
        raise DataError.at(
            path,
            sentences[0].line,
            expected=f"tags in column {column}",
            got="'_' in every row of the file",
            hint=f"The columns that can hold tags are {', '.join(TAG_FIELDS)}.",
        )
    return sentences


def read_conllu(
    path: str | os.PathLike[str], column: str = "upos", *, label_key: str = "intent"
) -> tf.data.Dataset:
    """Read a CoNLL-U file as a dataset.

    Args:
        path: as in `parse_conllu`, and so are the others.
        column: the column that holds the tags.
        label_key: the comment that holds a label of the whole sentence.

    Returns:
        Elements `{"tokens": (time,), "tags": (time,)}` of strings in the order of the file, with a
        `"label": ()` where the sentences have one.

    Raises:
        DataError: as `parse_conllu`.
        ValueError: as `parse_conllu`.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.data import read_conllu
    >>> path = pathlib.Path(tempfile.mkdtemp(), "dev.conllu")
    >>> _ = path.write_text("1\\tRain\\train\\tNOUN" + "\\t_" * 6)
    >>> [element["tags"].tolist() for element in read_conllu(path).as_numpy_iterator()]
    [[b'NOUN']]
    """
    return to_dataset(parse_conllu(path, column, label_key=label_key), source=path)


class _Sentence:
    """The sentence being read."""

    def __init__(self, path: str | os.PathLike[str], column: int) -> None:
        self._path = path
        self._column = column
        self._clear()

    def _clear(self) -> None:
        self._tokens: list[str] = []
        self._tags: list[str] = []
        self._spaces: list[bool] = []
        self._metadata: dict[str, str] = {}
        self._lines: list[int] = []
        self._range_end = 0
        self._range_space = True

    def close(self, sentences: list[TaggedSentence], label_key: str) -> None:
        if self._tokens:
            sentences.append(
                TaggedSentence(
                    tuple(self._tokens),
                    tuple(self._tags),
                    label=self._metadata.get(label_key),
                    metadata=self._metadata,
                    spaces=tuple(self._spaces),
                    line=self._lines[0],
                    lines=tuple(self._lines),
                )
            )
        self._clear()

    def comment(self, number: int, line: str) -> None:
        if self._tokens:
            raise DataError.at(
                self._path,
                number,
                expected="an empty line between a sentence and the comments of the next",
                got=quote(line),
            )
        pair = _KEY_VALUE.fullmatch(line)
        if pair and pair[1]:
            self._metadata[pair[1]] = pair[2]

    def row(self, number: int, line: str) -> None:
        fields = line.split("\t")
        if len(fields) != len(FIELDS):
            raise DataError.at(
                self._path,
                number,
                expected=f"{len(FIELDS)} columns separated by tabs ({' '.join(FIELDS)})",
                got=f"{len(fields)}: {quote(line)}",
            )
        word, form, misc = fields[0], fields[1], fields[-1]
        space = "SpaceAfter=No" not in misc.split("|")
        if whole := _RANGE.fullmatch(word):
            self._range_end, self._range_space = int(whole[2]), space
            return
        if _EMPTY_NODE.fullmatch(word):
            return
        position = len(self._tokens) + 1
        if word != str(position):
            raise DataError.at(
                self._path,
                number,
                expected=f"word number {position}, or a range or an empty node (8-9, 8.1)",
                got=quote(word),
                hint="Sentences are separated by an empty line.",
            )
        tag = fields[self._column]
        if not form or not tag:
            raise DataError.at(
                self._path,
                number,
                expected=f"a form and a tag in column {FIELDS[self._column]}",
                got=f"an empty {'tag' if form else 'form'}: {quote(line)}",
            )
        if position < self._range_end:
            space = False
        elif position == self._range_end:
            space = self._range_space
        self._lines.append(number)
        self._tokens.append(form)
        self._tags.append(tag)
        self._spaces.append(space)
