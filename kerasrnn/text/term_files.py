"""Lists of terms as text files: one term a line, UTF-8, readable and comparable line by line."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

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


def write_terms(path: str | os.PathLike[str], terms: Iterable[str]) -> None:
    r"""Write one term a line; backslash, line feed and carriage return become `\\`, `\n`, `\r`.

    The file appears whole or not at all.
    """
    path = Path(path)
    lines = [re.sub(r"[\\\n\r]", lambda match: _ESCAPES[match[0]], term) for term in terms]
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes("".join(line + "\n" for line in lines).encode())
    os.replace(partial, path)


def read_terms(path: str | os.PathLike[str]) -> list[str]:
    """Read what `write_terms` wrote. Lines may also end as on Windows.

    Raises:
        ValueError: the file is not UTF-8, a line is empty or repeats an earlier one, or a
            backslash starts no escape. The message names the file and the line.
    """
    path = Path(path)
    lines = path.read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
    first_seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        try:
            term = _unescape(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: expected UTF-8, got {line!r}.") from error
        except KeyError as error:
            raise ValueError(
                f"{where}: expected a backslash to be followed by one of "
                f"{', '.join(_UNESCAPES)}, got {line.decode()!r}."
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
