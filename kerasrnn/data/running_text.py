"""Running text for language models: files, data sets of TFDS, and texts that every machine has."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasrnn.data.country_facts import parse_country_facts
from kerasrnn.data.errors import DataError
from kerasrnn.data.files import (
    UTF16_MARKS,
    check_held,
    kind_of,
    open_data,
    read_lines,
    source_name,
)
from kerasrnn.data.grew_up_in import parse_grew_up_in
from kerasrnn.data.tfds_reader import checked_name, prepared_builder, split_of

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = ("train", "validation", "test")
BUILTIN = ("python", "grew_up_in", "country_facts")
TEXT_FEATURES = ("text", "sentence", "content", "document", "article")

_READ_AT_ONCE = 1024

# Folders of the standard library that hold no source to learn from: tests, tables of characters,
# generated help texts, and what is installed beside it.
_LEFT_OUT = frozenset(
    (
        *("test", "tests", "idle_test", "encodings", "pydoc_data", "lib2to3"),
        *("site-packages", "dist-packages", "__pycache__"),
    )
)

# Twentieths of the files.
_VALIDATION, _TEST = 1, 1


def load_running_texts(
    source: str | os.PathLike[str], *, split: str = "train", by_line: bool = False
) -> list[str]:
    """Read texts from files, TFDS or what comes with Python and the package.

    Args:
        source: the path of a text file (UTF-8, also `.gz`), or of a folder, of which all `.txt` and
            `.txt.gz` files are read; or `tfds:NAME`, a data set with texts that TFDS has prepared;
            or `builtin:python` (`parse_python_sources`), `builtin:grew_up_in`
            (`parse_grew_up_in`) or `builtin:country_facts` (`parse_country_facts`).
        split: `train`, `validation` or `test`, for TFDS and the built-in texts. A file is all of
            one split.
        by_line: whether each line of a file that is not empty is a text of its own. Otherwise a
            file is one text, its lines ended by line feeds.

    Returns:
        The texts in their order, at least one.

    Raises:
        DataError: the source cannot be read; what was expected and what came are named.
        ValueError: there is no such source or split; the valid ones are named.
        ImportError: the source needs a package that is not installed.

    Example:

    >>> from kerasrnn.data import load_running_texts
    >>> load_running_texts("builtin:pyton")
    Traceback (most recent call last):
    ...
    ValueError: Unknown source 'builtin:pyton'. Expected builtin:python, builtin:grew_up_in, builtin:country_facts, tfds:NAME or the path of a text file or of a folder.
    """  # noqa: E501
    name = source_name(source)
    known = _installed_texts(name, split)
    if known is not None:
        return known
    files = text_files(name)
    texts, size = [], 0
    for file in files:
        lines = read_lines(file)
        if by_line:
            texts += [line for line in lines if line.strip()]
        else:
            texts.append("".join(line + "\n" for line in lines))
        size += sum(map(len, lines))
        check_held(name, size)
    return texts


def _installed_texts(name: str, split: str) -> list[str] | None:
    """The texts of TFDS and those that are built in; None for a path."""
    kind, _, rest = name.partition(":")
    if kind == "tfds" and rest:
        texts = [text for text in tfds_texts(rest, split) if text.strip()]
        if not texts:
            raise DataError.at(name, None, expected="at least one text", got="none")
        return texts
    if name == "builtin:python":
        return parse_python_sources(split)
    if name == "builtin:grew_up_in":
        return [row.text for row in parse_grew_up_in(split)]
    if name == "builtin:country_facts":
        return parse_country_facts(split)
    return None


def text_files(source: str | os.PathLike[str]) -> list[Path]:
    """The files of a source of texts.

    Args:
        source: the path of a file or of a folder.

    Returns:
        The file, or all files `.txt` and `.txt.gz` in the folder, at least one, in order.

    Raises:
        DataError: a folder has none.
        ValueError: there is no such file; what a source may be is said.
    """
    name = source_name(source)
    kind = name.partition(":")[0]
    path = Path(name)
    if not os.path.exists(name):
        raise ValueError(
            f"Unknown source {name!r}{'' if kind in ('tfds', 'builtin') else ': no such file'}. "
            f"Expected {', '.join(f'builtin:{one}' for one in BUILTIN)}, tfds:NAME or the path of "
            "a text file or of a folder."
        )
    if not path.is_dir():
        return [path]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.name.endswith((".txt", ".txt.gz")) and not file.is_dir()
    )
    if not files:
        raise DataError.at(path, None, expected="files *.txt or *.txt.gz", got="none")
    return files


def stream_running_texts(source: str | os.PathLike[str], *, split: str = "train") -> Iterator[str]:
    """The lines of files, and the texts of other sources, one after the other.

    Files and data sets of TFDS may be larger than the memory: no more than a line is held. A line
    of more than a mebibyte, as in files that are all one line, comes in pieces, cut at spaces.

    Args:
        source: as in `load_running_texts`.
        split: the split, for TFDS and the built-in texts.

    Yields:
        Texts that are not empty.

    Raises:
        DataError, ValueError, ImportError: as `load_running_texts`, where a fault is come to.

    Example:

    >>> from kerasrnn.data import stream_running_texts
    >>> next(stream_running_texts("builtin:grew_up_in", split="test")).startswith("I grew up in ")
    True
    """
    name = source_name(source)
    if name.startswith("tfds:") and name != "tfds:":
        texts = tfds_texts(name.removeprefix("tfds:"), split)
        yield from (text for text in texts if text.strip())
        return
    known = _installed_texts(name, split)
    if known is not None:
        yield from known
        return
    for file in text_files(name):
        yield from _stream_lines(file)


# A line is held until its end, or so many bytes, are read.
_LONGEST_PIECE = 2**20


def _stream_lines(path: Path) -> Iterator[str]:
    with open_data(path) as file:
        start = file.peek(8)[:8]
        if kind := kind_of(start):
            raise DataError.at(
                path, None, expected="a text file, plain or compressed with gzip", got=kind
            )
        if start.startswith(UTF16_MARKS):
            raise DataError.at(path, 1, expected="UTF-8 text", got="the byte-order mark of UTF-16")
        rest, line = b"", 1
        while piece := file.readline(_LONGEST_PIECE):
            ended = piece.endswith(b"\n")
            piece, rest = rest + piece, b""
            if not ended and len(piece) >= _LONGEST_PIECE:
                # Of a word that may go on, or of half a character, the rest comes with the next.
                cut = piece.rfind(b" ")
                if cut > 0:
                    piece, rest = piece[:cut], piece[cut:]
                else:
                    whole = len(piece.decode("utf-8", "ignore").encode())
                    if len(piece) - whole < 4:
                        piece, rest = piece[:whole], piece[whole:]
            text = _decoded(path, line, piece)
            line += ended
            if text.strip():
                yield text
        if rest.strip():
            yield _decoded(path, line, rest)


def _decoded(path: Path, line: int, piece: bytes) -> str:
    try:
        return piece.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError.at(
            path,
            line,
            expected="UTF-8 text",
            got=f"byte 0x{piece[error.start]:02x}",
            hint="Convert it: iconv -f WINDOWS-1252 -t UTF-8, if that is its encoding.",
        ) from error


def read_running_texts(
    source: str | os.PathLike[str], *, split: str = "train", by_line: bool = False
) -> tf.data.Dataset:
    """Read texts as a dataset.

    Args:
        source: as in `load_running_texts`, and so are the others.
        split: the split.
        by_line: whether each line of a file is a text.

    Returns:
        Elements `{"text": ()}` of strings.

    Raises:
        DataError, ValueError, ImportError: as `load_running_texts`.

    Example:

    >>> from kerasrnn.data import read_running_texts
    >>> dataset = read_running_texts("builtin:grew_up_in", split="test")
    >>> next(dataset.as_numpy_iterator())["text"].startswith(b"I grew up in ")
    True
    """
    import tensorflow as tf

    texts = load_running_texts(source, split=split, by_line=by_line)
    return tf.data.Dataset.from_tensor_slices({"text": tf.constant(texts, tf.string)})


def parse_python_sources(split: str = "train") -> list[str]:
    """The source files of Python's standard library, which every machine with Python has.

    Left out are its tests, its tables of character encodings and generated files. A file is in one
    split only, which a hash of its name in the library decides: nine tenths of the files are for
    training. So the split is the same everywhere, but the files are those of the Python in use.

    Args:
        split: `train`, `validation` or `test`.

    Returns:
        The text of each file, in the order of the hashes: a part of them is a mixture of all.

    Raises:
        DataError: there are no source files, as in a Python that lies in a zip file.
        ValueError: there is no such split.

    Example:

    >>> from kerasrnn.data import parse_python_sources
    >>> any("def " in text for text in parse_python_sources("test"))
    True
    """
    _check_split(split)
    root = Path(sysconfig.get_path("stdlib"))
    found = []
    for path in root.rglob("*.py"):
        name = path.relative_to(root)
        if _LEFT_OUT.isdisjoint(name.parts) and not name.parts[0].startswith("config-"):
            digest = hashlib.sha256(name.as_posix().encode()).digest()
            found.append((digest, path))
    if not found:
        raise DataError.at(root, None, expected="the source files of Python", got="none")
    texts = []
    for digest, path in sorted(found):
        if _split_of_hash(digest) == split:
            text = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
            if text.strip():
                texts.append(text)
    return texts


def _split_of_hash(digest: bytes) -> str:
    # The last byte: the files are sorted by the first.
    part = digest[-1] % 20
    if part < _VALIDATION:
        return "validation"
    return "test" if part < _VALIDATION + _TEST else "train"


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")


def tfds_texts(name: str, split: str) -> Iterator[str]:
    """The texts of a data set of TFDS, one after the other.

    Args:
        name: its name, without `tfds:`.
        split: the split.

    Yields:
        Texts, empty ones too.

    Raises:
        DataError: it is not prepared, or has no such split, or no text.
    """
    import tensorflow_datasets as tfds

    name = checked_name(name)
    source = f"tfds:{name}"
    builder = prepared_builder(name, None, False)
    features: Any = builder.info.features
    fitting = [key for key, value in features.items() if isinstance(value, tfds.features.Text)]
    found = next((key for key in TEXT_FEATURES if key in fitting), None)
    if found is None and len(fitting) == 1:
        found = fitting[0]
    if found is None:
        raise DataError.at(
            source,
            None,
            expected=f"a feature with the text, one of {', '.join(TEXT_FEATURES)}",
            got=", ".join(fitting) or "none",
        )
    dataset = builder.as_dataset(split=split_of(source, builder, split), shuffle_files=False)
    for batch in dataset.map(lambda example: example[found]).batch(_READ_AT_ONCE):
        for text in batch.numpy():
            yield text.decode("utf-8", "replace")
