"""Terms to ids and back."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.storage.term_files import (
    FIRST_TERM_ID,
    PADDING_ID,
    UNKNOWN_ID,
    check_counts,
    check_least,
    check_terms,
    read_terms,
    write_terms,
)
from kerasrnn.text.layer import TextLayer, as_ids, as_strings, map_flat, static_table


@keras.saving.register_keras_serializable(package="kerasrnn")
class Vocabulary(TextLayer):
    """Numbers terms: 0 is padding (the empty string), 1 an unknown term, then the terms in order.

    The table lies inside the graph, so that an export needs no file beside it.

    Args:
        terms: distinct non-empty strings, in the form in which they are looked up: with
            `lowercase` in small letters, with `normalize_digits` without digits other than 0.
        lowercase: whether strings are put in small letters (by Unicode's rules) before the look-up.
        normalize_digits: whether each decimal digit of a string is looked up as 0, so that `1987`
            and `2024` are one term, `0000`.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Raises:
        TypeError: `terms` is one string or holds something that is not a string.
        ValueError: a term is empty, comes twice, or is not in the form of the look-up.

    Example:

    >>> from kerasrnn.text import Vocabulary
    >>> vocabulary = Vocabulary(["the", "tea"], lowercase=True)
    >>> vocabulary([["The", "cat"], ["tea", ""]]).numpy().tolist()
    [[2, 1], [3, 0]]
    >>> vocabulary.size
    4
    """

    def __init__(
        self,
        terms: Iterable[str],
        lowercase: bool = False,
        normalize_digits: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lowercase = lowercase
        self.normalize_digits = normalize_digits
        terms = check_terms(terms, "terms")
        self._check_form(terms)
        # An array, not a list: Keras would wrap and track each term of a list.
        self._terms = np.array(terms, dtype=object)
        with tf.init_scope():
            self._strings = tf.constant(["", "", *terms], tf.string)  # by id
        self._table = static_table(
            ["", *terms],
            [PADDING_ID, *range(FIRST_TERM_ID, FIRST_TERM_ID + len(terms))],
            tf.string,
            default=UNKNOWN_ID,
        )

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int] | Iterable[str],
        min_count: int = 1,
        max_size: int | None = None,
        lowercase: bool = False,
        normalize_digits: bool = False,
        **kwargs: Any,
    ) -> "Vocabulary":
        """The most frequent terms, the most frequent first, equally frequent ones in code order.

        Args:
            counts: terms to counts, or the terms themselves, to be counted. Terms that are one
                after `lowercase` and `normalize_digits` are counted together; empty ones are not.
            min_count: how often a term must occur.
            max_size: the largest `size` allowed, padding and unknown included; None for any.
            lowercase: as for the constructor.
            normalize_digits: as for the constructor.
            **kwargs: as for the constructor.

        Raises:
            TypeError: `counts` holds what is no string, or a count is no number.
            ValueError: `min_count` is below 1 or `max_size` below 2 or no whole number, or a term
                is no valid Unicode.

        Example:

        >>> from kerasrnn.text import Vocabulary
        >>> Vocabulary.from_counts("b a B c".split(), max_size=4, lowercase=True).terms
        ('b', 'a')
        """
        min_count = check_least(min_count, "min_count", 1)
        if max_size is not None:
            why = ", for padding and unknown"
            max_size = check_least(max_size, "max_size", FIRST_TERM_ID, why)
        counts = check_counts(counts, "counts")
        forms = _normalize(
            tf.constant(list(counts), tf.string), lowercase, normalize_digits
        ).numpy()
        merged: Counter[str] = Counter()
        for form, count in zip(forms, counts.values(), strict=True):
            merged[form.decode()] += count
        del merged[""]
        ranked = sorted(merged.items(), key=lambda item: (-item[1], item[0]))
        terms = [term for term, count in ranked if count >= min_count]
        if max_size is not None:
            terms = terms[: max_size - FIRST_TERM_ID]
        return cls(terms, lowercase=lowercase, normalize_digits=normalize_digits, **kwargs)

    @property
    def size(self) -> int:
        """How many ids there are: the terms, padding and unknown."""
        return FIRST_TERM_ID + len(self._terms)

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms, the one of id 2 first."""
        return tuple(self._terms)

    def call(self, strings: Any) -> tf.Tensor | tf.RaggedTensor:
        """The ids of strings.

        Args:
            strings: a string tensor of any shape, dense or ragged, or nested lists.

        Returns:
            int32 ids of the same shape: 0 for the empty string, 1 for a string unknown.

        Raises:
            ValueError: `strings` does not hold strings.
        """

        def ids(values: tf.Tensor) -> tf.Tensor:
            return self._table.lookup(_normalize(values, self.lowercase, self.normalize_digits))

        return map_flat(ids, as_strings(strings, "strings"))

    def lookup(self, ids: Any, unknown: str = "[UNK]") -> tf.Tensor | tf.RaggedTensor:
        """The terms of ids.

        Args:
            ids: integers from 0 to `size - 1`, of any shape, dense or ragged.
            unknown: what to return for id 1.

        Returns:
            Strings of the same shape; the empty string for padding.

        Raises:
            ValueError: `ids` are no integers.
            tf.errors.InvalidArgumentError: an id lies outside of the vocabulary.

        Example:

        >>> from kerasrnn.text import Vocabulary
        >>> Vocabulary(["tea"]).lookup([2, 1, 0]).numpy().tolist()
        [b'tea', b'[UNK]', b'']
        """
        ids = as_ids(ids, "ids")

        def strings(values: tf.Tensor) -> tf.Tensor:
            return tf.where(tf.equal(values, UNKNOWN_ID), unknown, tf.gather(self._strings, values))

        return map_flat(strings, ids)

    def forms(self, strings: Iterable[str]) -> list[str]:
        """The forms in which strings are looked up.

        Args:
            strings: any strings.

        Example:

        >>> from kerasrnn.text import Vocabulary
        >>> Vocabulary([], lowercase=True, normalize_digits=True).forms(["May", "1987"])
        ['may', '0000']
        """
        found = _normalize(
            tf.constant(list(strings), tf.string), self.lowercase, self.normalize_digits
        )
        return [form.decode() for form in found.numpy()]

    def save(self, path: str | os.PathLike[str]) -> None:
        r"""Write the terms to a UTF-8 file, one a line, in order of their ids.

        A backslash, line feed or carriage return in a term is written as `\\`, `\n` or `\r`. The
        file appears whole or not at all; `lowercase` and `normalize_digits` are not in it.

        Args:
            path: the file, replaced if it exists.
        """
        write_terms(path, self._terms)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **kwargs: Any) -> "Vocabulary":
        """Read a vocabulary that `save` wrote.

        Args:
            path: the file.
            **kwargs: the constructor's other arguments.

        Raises:
            ValueError: a line is empty, repeats another or is not valid; the message names it.

        Example:

        >>> import os, tempfile
        >>> from kerasrnn.text import Vocabulary
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Vocabulary(["tea", "cup"]).save(os.path.join(folder, "words.txt"))
        ...     Vocabulary.load(os.path.join(folder, "words.txt"), lowercase=True).terms
        ('tea', 'cup')
        """
        return cls(read_terms(path), **kwargs)

    def _check_form(self, terms: list[str]) -> None:
        """A term that no string is looked up as would stay untrained unnoticed."""
        if not (self.lowercase or self.normalize_digits):
            return
        with tf.init_scope():
            forms = self.forms(terms)
        for term, form in zip(terms, forms, strict=True):
            if form != term:
                raise ValueError(
                    f"Argument 'terms' holds {term!r}, which can never be found with lowercase="
                    f"{self.lowercase} and normalize_digits={self.normalize_digits}: expected "
                    f"{form!r}. Vocabulary.from_counts brings terms to that form."
                )

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "terms": list(self._terms),
            "lowercase": self.lowercase,
            "normalize_digits": self.normalize_digits,
        }


def _normalize(strings: tf.Tensor, lowercase: bool, normalize_digits: bool) -> tf.Tensor:
    if lowercase:
        strings = tf.strings.lower(strings, encoding="utf-8")
    if normalize_digits:
        strings = tf.strings.regex_replace(strings, r"\p{Nd}", "0")
    return strings
