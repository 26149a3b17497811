"""The error of data that cannot be read."""

import os
from pathlib import Path

_LONGEST_QUOTE = 80


class DataError(ValueError):
    """Data that cannot be read: which file and line, what was expected and what came.

    Args:
        message: the whole message.
        path: the file, or None for data that come from none.
        line: the line, counted from 1, or None where no single line is to blame.
        expected: what should have stood there.
        got: what stood there.

    Example:

    >>> from kerasrnn.data import DataError
    >>> error = DataError.at("train.conll", 7, expected="2 columns", got="3: 'a b c'")
    >>> print(error)
    train.conll, line 7: expected 2 columns, got 3: 'a b c'.
    >>> error.line
    7
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        super().__init__(message)
        self.path = None if path is None else Path(path)
        self.line = line
        self.expected = expected
        self.got = got

    @classmethod
    def at(
        cls,
        path: str | os.PathLike[str] | None,
        line: int | None,
        *,
        expected: str,
        got: str,
        hint: str = "",
    ) -> "DataError":
        """The error at a place.

        Args:
            path: the file, or None.
            line: its line, counted from 1, or None.
            expected: what should have stood there.
            got: what stood there.
            hint: a sentence on what to do about it.

        Returns:
            The error, its message made of all of these.
        """
        place = ", ".join(
            part for part in (path and os.fspath(path), line and f"line {line}") if part
        )
        message = f"{place}: expected {expected}, got {got}."
        if not place:
            message = f"Expected {expected}, got {got}."
        return cls(f"{message} {hint}".rstrip(), path=path, line=line, expected=expected, got=got)


def quote(text: str) -> str:
    """The text as Python writes it, cut short when long, for messages."""
    return repr(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…")
