"""Lists of terms as text files: one term a line, UTF-8, readable and comparable line by line."""

import operator
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO

# The ids of a list of terms, wherever it is looked up: padding and the unknown term come first.
PADDING_ID, UNKNOWN_ID, FIRST_TERM_ID = 0, 1, 2

# A term that is longer than a mebibyte is none: the file is another, or all of it is one line.
_LONGEST_LINE = 1 << 20

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {escaped[1]: plain for plain, escaped in _ESCAPES.items()}


def check_terms(terms: Iterable[str], argument: str) -> list[str]:
    """The terms as a list, if each is a string, none is empty and no two are equal.

    Args:
        terms: the terms in their order.
        argument: the name an error gives to `terms`.

    Raises:
        TypeError: `terms` is one string, or holds something that is not a string.
        ValueError: a term is empty, is not valid Unicode or comes twice.
    """
    if isinstance(terms, str | bytes):
        raise TypeError(
            f"Argument '{argument}' must be a sequence of strings. Received one string, {terms!r}."
        )
    if not isinstance(terms, Iterable):
        raise TypeError(
            f"Argument '{argument}' must be a sequence of strings. Received {terms!r:.200}."
        )
    terms = list(terms)
    positions: dict[str, int] = {}
    for position, term in enumerate(terms):
        if not isinstance(term, str):
            raise TypeError(
                f"Argument '{argument}' must hold str. "
                f"Received {term!r} ({type(term).__name__}) at position {position}."
            )
        if not term:
            raise ValueError(
                f"Argument '{argument}' holds an empty string at position {position}. "
                "The empty string is kept for padding."
            )
        if term in positions:
            raise ValueError(
                f"Argument '{argument}' must hold distinct strings. "
                f"Received {term!r} at positions {positions[term]} and {position}."
            )
        try:
            term.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"Argument '{argument}' must hold valid Unicode. "
                f"Received {term!r} at position {position}, which has no UTF-8 form."
            ) from error
        positions[term] = position
    return terms


def check_texts(texts: Any, argument: str) -> list[str]:
    """The texts as a list, if each is a string of valid Unicode.

    Args:
        texts: the texts.
        argument: the name an error gives to them.

    Raises:
        TypeError: `texts` is one string, cannot be iterated or holds what is no string.
        ValueError: a text is no valid Unicode.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise TypeError(
            f"Argument '{argument}' must be a sequence of strings. Received {texts!r:.200}."
        )
    texts = list(texts)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"Argument '{argument}' must hold str. "
                f"Received {text!r:.200} ({type(text).__name__}) at position {position}."
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"Argument '{argument}' must hold valid Unicode. Received a lone surrogate, "
                f"{text[error.start]!r}, in the text at position {position}."
            ) from error
    return texts


def check_counts(counts: Any, argument: str) -> Counter[str]:
    """How often each string occurs.

    Args:
        counts: strings to counts, or the strings themselves; UTF-8 as bytes is taken too.
        argument: the name an error gives to `counts`.

    Raises:
        TypeError: something is no string, or a count is no number.
        ValueError: a string is not valid Unicode.
    """
    try:
        given = Counter(iter(counts) if not isinstance(counts, Mapping) else counts)
    except TypeError as error:
        raise TypeError(
            f"Argument '{argument}' must hold strings, or map them to how often they occur. "
            f"Received {counts!r:.200}."
        ) from error
    terms: Counter[str] = Counter()
    for term, count in given.items():
        if not isinstance(term, str | bytes):
            raise TypeError(
                f"Argument '{argument}' must hold str. Received {term!r:.200} "
                f"({type(term).__name__})."
            )
        if not isinstance(count, Real):
            raise TypeError(
                f"Argument '{argument}' must map strings to numbers. Received {count!r:.200} for "
                f"{term!r:.200}."
            )
        try:
            text = term.decode() if isinstance(term, bytes) else term
            text.encode()
        except UnicodeError as error:
            raise ValueError(
                f"Argument '{argument}' must hold valid Unicode. Received {term!r:.200}."
            ) from error
        terms[text] += count
    return terms


def check_least(value: Any, argument: str, least: int, why: str = "") -> int:
    """A whole number of any integer type, or an error that names the argument.

    Args:
        value: the number.
        argument: the name an error gives to it.
        least: the least allowed.
        why: why so, for the error, after a comma.

    Raises:
        ValueError: it is no whole number, or is less.
    """
    try:
        number = operator.index(value)
    except TypeError as error:
        raise ValueError(
            f"Argument '{argument}' must be a whole number. Received {value!r:.200}."
        ) from error
    if number < least:
        raise ValueError(
            f"Argument '{argument}' must be at least {least}{why}. Received {value!r}."
        )
    return number


def write_terms(path: str | os.PathLike[str], terms: Iterable[str]) -> None:
    r"""Write one term a line; backslash, line feed and carriage return become `\\`, `\n`, `\r`.

    The file appears whole or not at all.
    """
    path = Path(path)
    lines = [re.sub(r"[\\\n\r]", lambda match: _ESCAPES[match[0]], term) for term in terms]
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes("".join(line + "\n" for line in lines).encode())
    os.replace(partial, path)


def read_terms(path: str | os.PathLike[str], most: int | None = None) -> list[str]:
    """Read what `write_terms` wrote. Lines may also end as on Windows.

    Args:
        path: the file, a regular one.
        most: how many terms it may hold; None for any number.

    Raises:
        ValueError: the path is that of a folder, a pipe or a device; the file is not UTF-8, a line
            is empty, longer than 1 MiB or repeats an earlier one, a backslash starts no escape, or
            there are too many terms. The message names the file and the line.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a named pipe would wait for ever
        raise ValueError(f"{path}: expected a file, got a folder, a pipe or a device.")
    with path.open("rb") as file:
        return _read_lines(path, file, most)


def _read_lines(path: Path, file: BinaryIO, most: int | None) -> list[str]:
    first_seen: dict[str, int] = {}
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
        where = f"{path}, line {number}"
        if most is not None and number > most:
            raise ValueError(f"{where}: expected {most:,} terms at most.")
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"{where}: expected a term, got more than {_LONGEST_LINE:,} bytes.")
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            term = _unescape(line.decode())
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: expected UTF-8, got {line[:80]!r}.") from error
        except KeyError as error:
            raise ValueError(
                f"{where}: expected a backslash to be followed by one of "
                f"{', '.join(_UNESCAPES)}, got {line.decode()[:80]!r}."
            ) from error
        if not term:
            raise ValueError(f"{where}: expected a term, got an empty line.")
        if term in first_seen:
            raise ValueError(
                f"{where}: expected distinct terms, got {term!r} again, "
                f"first on line {first_seen[term]}."
            )
        first_seen[term] = number
    return list(first_seen)


def _unescape(line: str) -> str:
    return re.sub(r"\\(.?)", lambda match: _UNESCAPES[match[1]], line)
