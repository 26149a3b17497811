"""Texts from whatever they come in: lists, arrays, tensors, as `str` or as bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf


def plain_text(text: Any) -> Any:
    """A text as a `str` that has a UTF-8 form.

    What is none counts as U+FFFD, so that Python and an exported graph read the same text: a byte
    that is not UTF-8, and half of a surrogate pair. So do all tasks read the texts, words and
    labels that they are given. What keeps texts refuses them by name, as no file could hold them:
    the records of `kerasrnn.data`, and the vocabularies and other layers of `kerasrnn.text`.

    Args:
        text: a `str` or bytes, NumPy's among them. Anything else is returned as it is.

    Returns:
        The text.

    Example:

    >>> from kerasrnn.text.plain import plain_text
    >>> plain_text(b"caf\\xe9") == plain_text("caf\\ud800") == "caf\\ufffd"
    True
    """
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")  # as `valid` does it
    return re.sub("[\ud800-\udfff]", "\ufffd", text) if isinstance(text, str) else text


def valid(texts: tf.Tensor) -> tf.Tensor:
    """Strings in a graph with U+FFFD in place of what is not UTF-8."""
    return tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD
    )


def items_of(x: Any, argument: str, what: str = "texts") -> list[Any]:
    """What a collection holds, one by one.

    Args:
        x: a list or another iterable; an array; a tensor, ragged or not; a column of a table; or a
            `tf.data.Dataset`.
        argument: the name that an error gives to `x`.
        what: what it should hold.

    Raises:
        ValueError: if `x` is a single text, a dict, or nothing that holds anything.
    """
    x = x.numpy() if hasattr(x, "numpy") else x
    if isinstance(x, str | bytes):
        raise ValueError(
            f"`{argument}` must be a list of {what}. Received one text: put it in a list."
        )
    if isinstance(x, Mapping) or not isinstance(x, Iterable) or getattr(x, "ndim", 1) == 0:
        raise ValueError(f"`{argument}` must be a list of {what}. Received: {type(x).__name__}")
    rows = x.as_numpy_iterator() if isinstance(x, tf.data.Dataset) else x
    return [item.numpy() if hasattr(item, "numpy") else item for item in rows]


def texts_of(x: Any, argument: str, *, first: int = 0) -> list[str]:
    """The texts of a collection.

    Args:
        x: as for `items_of`.
        argument: the name that an error gives to `x`.
        first: the number of the first text in an error.

    Returns:
        A `str` for each; see `plain_text`.

    Raises:
        ValueError: as for `items_of`, and if something else than a text is among them.
    """
    texts = [plain_text(item) for item in items_of(x, argument)]
    for number, text in enumerate(texts, start=first):
        if not isinstance(text, str):
            where = "at position" if first == 0 else "as number"
            raise ValueError(
                f"`{argument}` must hold texts. Received {type(text).__name__} {where} {number}: "
                f"{text!r:.60}"
            )
    return texts
