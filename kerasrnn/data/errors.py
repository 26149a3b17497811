"""The error of data that cannot be read."""

import operator
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

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


class MissingFileError(DataError, FileNotFoundError):
    """There is no file of that name."""


class ColumnError(DataError):
    """It cannot be told which columns of a file are meant: arguments, or flags, must name them."""


def whole_number(value: Any, argument: str, least: int) -> int:
    """A whole number of any type of Python or NumPy, as `int`; other values are refused by name."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool | np.bool_):
        expected = "a positive integer" if least == 1 else f"{least} or more"
        raise ValueError(
            f"{argument} must be {expected}, got {shown(value)} ({type(value).__name__})."
        )
    return number


def check_numbers(values: Any, argument: str) -> np.ndarray:
    """Numbers as an array; None, text and rows of different lengths are refused by name."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "buif":
        raise ValueError(f"{argument} must be an array of numbers. Received: {shown(values)}")
    return array


def check_instances(items: Any, kind: type, argument: str) -> list[Any]:
    """The items as a list, if each is of a class."""
    if not isinstance(items, Iterable) or isinstance(items, str | bytes):
        raise TypeError(f"{argument} must be a sequence of {kind.__name__}, got {shown(items)}.")
    items = list(items)
    for position, item in enumerate(items):
        if not isinstance(item, kind):
            raise TypeError(
                f"{argument} must hold {kind.__name__}, got {shown(item)} "
                f"({type(item).__name__}) at position {position}."
            )
    return items


def check_strings(texts: Iterable[Any], argument: str) -> None:
    """Refuse what is no text, and text that has no UTF-8 form, by argument and position.

    Args:
        texts: what should be strings.
        argument: what an error calls them.

    Raises:
        TypeError: one is no `str`, or `texts` is none or one string.
        ValueError: one has a lone surrogate, which no file and no tensor can hold.
    """
    if not isinstance(texts, Iterable) or isinstance(texts, str | bytes):
        raise TypeError(f"{argument} must be a sequence of strings, got {shown(texts)}.")
    texts = list(texts)
    try:
        "".join(texts).encode()
    except (TypeError, UnicodeEncodeError):
        for position, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(
                    f"{argument} must hold strings, got {shown(text)} "
                    f"({type(text).__name__}) at position {position}."
                ) from None
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ValueError(
                    f"{argument} must hold valid Unicode, got {quote(text)} at position {position},"
                    " which has a lone surrogate."
                ) from None


def quote(text: str) -> str:
    """The text as Python writes it, cut short when long, for messages."""
    return repr(text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…")


def shown(value: Any) -> str:
    """A value as Python writes it, cut short when long, for messages."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} nested too deeply"
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
