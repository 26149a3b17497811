"""Embeddings for TensorBoard's Embedding Projector, without TensorFlow."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kerasrnn.data.errors import check_strings, quote, shown
from kerasrnn.storage.atomic import replacing_file, replacing_folder

CONFIG_FILE = "projector_config.pbtxt"
TENSORS_FILE = "tensors.tsv"
METADATA_FILE = "metadata.tsv"

_OURS = "# Written by kerasrnn.\n"
_CONFIG = (
    f"{_OURS}"
    "embeddings {\n"
    '  tensor_name: "embedding"\n'
    f'  tensor_path: "{TENSORS_FILE}"\n'
    f'  metadata_path: "{METADATA_FILE}"\n'
    "}\n"
)
_FILES = (CONFIG_FILE, TENSORS_FILE, METADATA_FILE)
_TERM, _GROUP = "word", "group"


class Embedding(Protocol):
    """What pictures of embeddings are made of, such as an `EmbeddingMatrix`."""

    @property
    def terms(self) -> Sequence[str]:
        """The words, in the order of the rows."""

    @property
    def matrix(self) -> np.ndarray:
        """Their vectors `(terms, dimension)`."""

    def vector(self, term: str) -> np.ndarray:
        """The vector of a word `(dimension,)`; KeyError where there is none."""

    def __contains__(self, term: object) -> bool: ...


def to_projector(
    matrix: Embedding,
    folder: str | os.PathLike[str],
    words: Iterable[str] | None = None,
    *,
    groups: Mapping[str, Iterable[str]] | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """Write a folder that TensorBoard's Embedding Projector shows: `tensorboard --logdir FOLDER`.

    It holds `tensors.tsv`, a vector on each line; `metadata.tsv`, a word on each line, after a line
    with names where there are more columns than one; and `projector_config.pbtxt`, which names
    both. The first two can be given to https://projector.tensorflow.org as well. Characters that
    would break lines or columns, and backslashes, are written as Python writes them in strings.

    A browser shows some ten thousand words with ease: of a large matrix, give its first words,
    `words=matrix.terms[:10_000]`.

    Args:
        matrix: an `EmbeddingMatrix`, or what has its `terms`, `matrix`, `vector` and `in`.
        folder: where to write. What else a folder holds, such as the logs of a training, stays.
        words: the words to show; None for all. A word that is named twice is shown once.
        groups: names of groups with their words, for a column `group` to colour by. Words in none
            have an empty cell.
        columns: further columns by name, with a value for each of the words.

    Returns:
        The folder.

    Raises:
        FileExistsError: `folder` is a file, or holds a `projector_config.pbtxt`, `tensors.tsv` or
            `metadata.tsv` from elsewhere. Nothing is written then.
        KeyError: a word is not in the matrix.
        ValueError: there are no words, a word stands in two groups, a column has another number of
            values than there are words, or two columns have the same name.

    Example:

    >>> import pathlib, tempfile
    >>> from kerasrnn.embeddings.projector import to_projector
    >>> from kerasrnn.embeddings import EmbeddingMatrix
    >>> words = ["king", "apple"]
    >>> matrix = EmbeddingMatrix(words, [[1.0, 0.5], [0.0, -2.0]])
    >>> folder = to_projector(matrix, pathlib.Path(tempfile.mkdtemp(), "logs"))
    >>> sorted(path.name for path in folder.iterdir())
    ['metadata.tsv', 'projector_config.pbtxt', 'tensors.tsv']
    >>> (folder / "metadata.tsv").read_text().split()
    ['king', 'apple']
    """
    target = Path(folder)
    chosen = list(matrix.terms) if words is None else known_words(matrix, words, "words")
    if not chosen:
        raise ValueError("There are no words to show: `words` is empty.")
    vectors: Iterable[np.ndarray] = (
        matrix.matrix if words is None else (matrix.vector(word) for word in chosen)
    )
    table = _columns(chosen, matrix, groups, columns)
    files = {TENSORS_FILE: _tensor_lines(vectors), METADATA_FILE: _metadata_lines(table)}
    if not target.exists():
        with replacing_folder(target) as temporary:
            for name, lines in {**files, CONFIG_FILE: [_CONFIG]}.items():
                _write(temporary / name, lines)
        return target
    _check_folder(target)
    # Until both files are there, the configuration names none: old words never get new vectors.
    for name, lines in ((CONFIG_FILE, [_OURS]), *files.items(), (CONFIG_FILE, [_CONFIG])):
        with replacing_file(target / name) as part:
            _write(part, lines)
    return target


def known_words(matrix: Embedding, words: Iterable[str], argument: str) -> list[str]:
    """Words as a list without repetitions, if the matrix has all of them.

    Args:
        matrix: the embeddings.
        words: the words.
        argument: what an error calls them.

    Returns:
        The words, each at its first place.

    Raises:
        TypeError: `words` is no sequence of strings.
        KeyError: some are not in the matrix: what the matrix says of the first, with a note that
            names the others.
    """
    listed = words if isinstance(words, str | bytes) else _listed(words)
    check_strings(listed, argument)
    distinct = list(dict.fromkeys(listed))
    missing = [word for word in distinct if word not in matrix]
    if missing:
        try:
            matrix.vector(missing[0])
        except KeyError as error:
            names = ", ".join(map(quote, missing[:10])) + (", …" if len(missing) > 10 else "")
            error.add_note(f"Not in the matrix, of {argument}: {names}")
            raise
    return distinct


def group_of(matrix: Embedding, groups: Mapping[str, Iterable[str]] | None) -> dict[str, str]:
    """The group of each word that has one.

    Args:
        matrix: the embeddings.
        groups: names of groups with their words.

    Returns:
        Groups by word, in the order of the groups and of their words.

    Raises:
        TypeError: `groups` is no mapping of names to words.
        KeyError: a word is not in the matrix.
        ValueError: a group has no words, or a word stands in two groups.
    """
    if groups is None:
        return {}
    if not isinstance(groups, Mapping):
        raise TypeError(f"`groups` must map names to words. Received: {shown(groups)}")
    check_strings(groups, "names of `groups`")
    found: dict[str, str] = {}
    for name, words in groups.items():
        members = known_words(matrix, words, f"groups[{name!r}]")
        if not members:
            raise ValueError(f"groups[{name!r}] must hold words. Received: none.")
        for word in members:
            if found.setdefault(word, name) != name:
                raise ValueError(
                    f"A word can be in one group only. {word!r} is in {found[word]!r} and {name!r}."
                )
    return found


def printable(text: str) -> str:
    r"""Text for one cell of one line: what would break either is written as in a Python string.

    Args:
        text: the text.

    Returns:
        The text, distinct for distinct texts, with something to see where there is any character.

    Example:

    >>> from kerasrnn.embeddings.projector import printable
    >>> print(printable("a\tb\\"), printable("\u00a0"), printable("new york"))
    a\tb\\ \xa0 new york
    """
    # TensorBoard leaves out lines that are blank, by JavaScript's idea of it, with their number.
    if not text.strip():
        return "".join(_escape(letter) for letter in text)
    return "".join(
        _escape(letter)
        if letter in "\\\ufeff" or unicodedata.category(letter) in ("Cc", "Zl", "Zp")
        else letter
        for letter in text
    )


def _escape(letter: str) -> str:
    return r"\x20" if letter == " " else letter.encode("unicode_escape").decode()


def _listed(words: Any) -> Any:
    return list(words) if isinstance(words, Iterable) else words


def _columns(
    chosen: Sequence[str],
    matrix: Embedding,
    groups: Mapping[str, Iterable[str]] | None,
    columns: Mapping[str, Sequence[Any]] | None,
) -> dict[str, Sequence[Any]]:
    table: dict[str, Sequence[Any]] = {_TERM: chosen}
    if groups is not None:
        names = group_of(matrix, groups)
        absent = sorted(set(names) - set(chosen))
        if absent:
            raise ValueError(f"`groups` must hold words of `words`. Received: {absent[0]!r}.")
        table[_GROUP] = [names.get(word, "") for word in chosen]
    if columns is not None and not isinstance(columns, Mapping):
        raise TypeError(f"`columns` must map names to values. Received: {shown(columns)}")
    for name, values in (columns or {}).items():
        check_strings([name], "names of `columns`")
        if not name.strip() or name in table:
            raise ValueError(
                "`columns` must have names that are neither empty nor "
                f"{' nor '.join(map(repr, table))}. Received: {name!r}."
            )
        values = _listed(values)
        if not isinstance(values, list) or len(values) != len(chosen):
            got = f"{len(values)} values" if isinstance(values, list) else shown(values)
            raise ValueError(
                f"columns[{name!r}] must have a value for each of {len(chosen)} words. "
                f"Received: {got}."
            )
        table[name] = values
    return table


def _check_folder(target: Path) -> None:
    """Refuse a folder with files of the names of ours that are not."""
    if not target.is_dir():
        raise FileExistsError(f"`folder` must name a folder, but {target} is a file.")
    config = target / CONFIG_FILE
    ours = config.is_file() and config.read_bytes().startswith(_OURS.encode())
    foreign = [name for name in _FILES if (target / name).exists()]
    if foreign and not ours:
        raise FileExistsError(
            f"{target} holds {', '.join(foreign)} from elsewhere. Name another folder, or remove "
            "these."
        )


def _tensor_lines(vectors: Iterable[np.ndarray]) -> Iterator[str]:
    for vector in vectors:
        # Nine digits tell all float32 numbers apart.
        yield "\t".join([f"{number:.9g}" for number in vector.tolist()]) + "\n"


def _metadata_lines(table: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    # With a single column, TensorBoard takes the first line for a word.
    if len(table) > 1:
        yield "\t".join(map(printable, table)) + "\n"
    for row in zip(*table.values(), strict=True):
        yield "\t".join(printable(str(cell)) for cell in row) + "\n"


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
