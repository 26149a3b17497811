"""The labelled text that the readers for classification return."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kerasrnn.data.errors import DataError, check_instances, check_strings, quote

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class LabelledText:
    """A text with its label.

    Attributes:
        text: the text.
        label: its label, not empty.
        line: the line of the file in which it begins, counted from 1, or None. Not compared.

    Raises:
        TypeError: the text or the label is no string.
        ValueError: the label is empty, or one of them is no valid Unicode.

    Example:

    >>> from kerasrnn.data import LabelledText
    >>> LabelledText("a stirring , funny film", "positive").label
    'positive'
    """

    text: str
    label: str
    line: int | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("text", "label"):
            check_strings([getattr(self, name)], name)
        if not self.label:
            raise ValueError(f"label must not be empty, got one for the text {quote(self.text)}.")


def check_labels(
    texts: Iterable[LabelledText],
    known_labels: Iterable[str],
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Check that each label is one that a model knows.

    Args:
        texts: labelled texts, of a validation set for example.
        known_labels: the labels seen in training.
        source: where the texts come from, for the message: a file's path or a name.

    Raises:
        DataError: a label is not known; its text and line are named, and the valid labels.

    Example:

    >>> from kerasrnn.data import LabelledText, check_labels
    >>> check_labels([LabelledText("fine", "neutral")], ["positive", "negative"], "dev.tsv")
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: dev.tsv: expected a label seen in training, one of negative, positive, got 'neutral' for text 1, 'fine'.
    """  # noqa: E501
    known = frozenset(known_labels)
    for number, text in enumerate(check_instances(texts, LabelledText, "texts"), 1):
        if text.label not in known:
            raise DataError.at(
                source,
                text.line,
                expected=f"a label seen in training, one of {', '.join(sorted(known))}",
                got=f"{quote(text.label)} for text {number}, {quote(text.text)}",
            )


def to_text_dataset(
    texts: Sequence[LabelledText], *, source: str | os.PathLike[str] | None = None
) -> tf.data.Dataset:
    """Make a dataset of labelled texts.

    Args:
        texts: at least one.
        source: where they come from, for messages.

    Returns:
        Elements `{"text": (), "label": ()}` of strings in the order given. Its cardinality is
        known.

    Raises:
        DataError: there are no texts.

    Example:

    >>> from kerasrnn.data import LabelledText, to_text_dataset
    >>> dataset = to_text_dataset([LabelledText("fine", "positive")])
    >>> [element["label"] for element in dataset.as_numpy_iterator()]
    [b'positive']
    """
    import tensorflow as tf

    texts = check_instances(texts, LabelledText, "texts")
    if not texts:
        raise DataError.at(source, None, expected="at least one text", got="none")
    columns = {"text": [text.text for text in texts], "label": [text.label for text in texts]}
    return tf.data.Dataset.from_tensor_slices(columns)
