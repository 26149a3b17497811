"""Texts as sequences of words, characters or bytes, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.storage.term_files import check_least, check_terms, check_texts
from kerasrnn.text.layer import TextLayer, as_strings, static_table
from kerasrnn.text.plain import plain_text
from kerasrnn.text.tokenizer import Tokenizer
from kerasrnn.text.vocabulary import Vocabulary

LEVELS = ("words", "characters", "bytes")

BOUNDARY_ID = 0
UNKNOWN_ID = 1
FIRST_ID = 2

_REPLACEMENT = 0xFFFD

# Where words are put together again, no space stands before and behind these.
_NO_SPACE_BEFORE = r"[.,;:!?%)\]}…’”»]|\.\.+|!!+|\?\?+|['’](s|S|m|d|re|ve|ll)|n['’]t|\n"
_NO_SPACE_BEHIND = r"[(\[{$€£‘“«\s]"


@keras.saving.register_keras_serializable(package="kerasrnn")
class TextUnits(TextLayer):
    r"""Cuts texts into words, characters or bytes, numbers them, and puts them together again.

    Id 0 is the boundary of a text: what stands before its first unit and behind its last. 1 is a
    unit unknown, and the known ones follow in order; for bytes, 2 is byte 0.

    - `characters` are Unicode code points.
    - `words` are those of `Tokenizer`, and the end of a line is the word `"\n"`.
    - `bytes` are those of UTF-8: there are 256 of them, and none is unknown.

    Characters and bytes come back as they were. Words come back with a space between them, none
    before a comma, a full stop and their like, and none behind an opening bracket.

    Args:
        terms: the known words or characters; characters also as one string. None for bytes.
        level: what a unit is: `words`, `characters` or `bytes`.
        lowercase: whether words are taken in small letters; words only.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Raises:
        ValueError: an unknown level, terms that do not fit it, or `lowercase` for
            another level than words.

    Example:

    >>> from kerasrnn.text import TextUnits
    >>> units = TextUnits("ab ")
    >>> ids = units(["ab a", "", "bc"])
    >>> ids.to_list()
    [[2, 3, 4, 2], [], [3, 1]]
    >>> units.join(ids).numpy().tolist()
    [b'ab a', b'', b'b\xef\xbf\xbd']
    """

    def __init__(
        self,
        terms: Iterable[str] | None = None,
        level: str = "characters",
        lowercase: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if level not in LEVELS:
            raise ValueError(f"Unknown level {level!r}. Expected one of {', '.join(LEVELS)}.")
        if lowercase and level != "words":
            raise ValueError(f"`lowercase` is for words alone. Received: level={level!r}")
        if (terms is None) != (level == "bytes"):
            raise ValueError(
                f"`terms` must hold the known {level}, and be None for bytes. "
                f"Received: terms={terms!r:.60} with level={level!r}"
            )
        self.level = level
        self.lowercase = lowercase
        if level == "characters" and isinstance(terms, str):
            terms = list(terms)
        known = [] if terms is None else check_terms(terms, "terms")
        self._terms = np.array(known, dtype=object)
        if level == "words":
            self.tokenizer = Tokenizer(lowercase=lowercase, name="tokenizer")
            self.vocabulary = Vocabulary(known, lowercase=lowercase, name="vocabulary")
        elif level == "characters":
            wrong = [term for term in known if len(term) != 1]
            if wrong:
                raise ValueError(
                    f"`terms` must hold single characters. Received: {wrong[0]!r} of length "
                    f"{len(wrong[0])}"
                )
            self._table = static_table(
                [-1, *(ord(term) for term in known)],  # no code point is -1
                [UNKNOWN_ID, *range(FIRST_ID, FIRST_ID + len(known))],
                tf.int32,
                default=UNKNOWN_ID,
            )
        strings = [bytes([i]) for i in range(256)] if level == "bytes" else known
        unknown = "[UNK]" if level == "words" else chr(_REPLACEMENT)
        with tf.init_scope():
            self._strings = tf.constant(["", unknown, *strings], tf.string)  # by id

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        level: str = "characters",
        *,
        min_count: int = 1,
        max_terms: int | None = None,
        lowercase: bool = False,
        **kwargs: Any,
    ) -> TextUnits:
        """The units of some texts.

        Args:
            texts: the texts.
            level: what a unit is: `words`, `characters` or `bytes`.
            min_count: how often a word or character must occur to be known.
            max_terms: how many are known at most, the most frequent ones; None for any number.
            lowercase: as for the constructor.
            **kwargs: as for the constructor.

        Returns:
            The layer. Words are in order of frequency, characters in that of their code points.

        Raises:
            TypeError: `texts` holds what is no string, or is one string.
            ValueError: a number is too small or no whole number, or a text is no valid Unicode.

        Example:

        >>> from kerasrnn.text import TextUnits
        >>> TextUnits.from_texts(["abba", "cab"], min_count=2).terms
        ('a', 'b')
        """
        min_count = check_least(min_count, "min_count", 1)
        if max_terms is not None:
            max_terms = check_least(max_terms, "max_terms", 0)
        texts = check_texts(texts, "texts")
        if level == "bytes":
            return cls(None, level, lowercase, **kwargs)
        counts: Counter[str] = Counter()
        if level == "words":
            empty = cls([], "words", lowercase)
            for part in in_parts(texts):
                words = empty.split(tf.constant(part, tf.string)).flat_values
                counts.update(word.decode() for word in words.numpy())
        else:
            for text in texts:
                counts.update(text)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        terms = [term for term, count in ranked if count >= min_count][:max_terms]
        return cls(sorted(terms) if level == "characters" else terms, level, lowercase, **kwargs)

    @property
    def size(self) -> int:
        """How many ids there are: the units, the boundary and the unknown one."""
        return FIRST_ID + (256 if self.level == "bytes" else len(self._terms))

    @property
    def terms(self) -> tuple[str, ...] | None:
        """The words or characters, that of id 2 first; None for bytes."""
        return None if self.level == "bytes" else tuple(self._terms)

    def split(self, texts: Any) -> tf.RaggedTensor:
        r"""The units of texts as strings.

        Args:
            texts: strings `(batch,)`.

        Returns:
            Strings `(batch, None)`, ragged.

        Example:

        >>> from kerasrnn.text import TextUnits
        >>> TextUnits([], level="words").split(["I speak.\nYou?"]).to_list()
        [[b'I', b'speak', b'.', b'\n', b'You', b'?']]
        """
        texts = _vector(texts)
        if self.level == "bytes":
            return tf.strings.bytes_split(texts)
        if self.level == "characters":
            return tf.strings.unicode_split(
                texts, "UTF-8", errors="replace", replacement_char=_REPLACEMENT
            )
        lines = tf.strings.split(texts, "\n")  # (batch, lines)
        words = self.tokenizer(lines.flat_values)["tokens"]  # (all lines, words)
        # Each line but a text's last is followed by a line feed.
        last = tf.scatter_nd(
            lines.row_limits()[:, None] - 1,
            tf.ones_like(lines.row_limits()),
            tf.shape(lines.flat_values, tf.int64),
        )
        breaks = tf.RaggedTensor.from_row_lengths(
            tf.fill([tf.reduce_sum(1 - last)], "\n"), 1 - last
        )
        joined = tf.concat([words, breaks], axis=1)
        return lines.with_values(joined).merge_dims(1, 2)

    def call(self, texts: Any) -> tf.RaggedTensor:
        """The ids of the units of texts.

        Args:
            texts: strings `(batch,)`.

        Returns:
            int32 ids `(batch, None)`, ragged, without boundaries.

        Raises:
            ValueError: `texts` does not hold strings, or has another number of axes than one.
        """
        if self.level == "words":
            return self.vocabulary(self.split(texts))
        texts = _vector(texts)
        if self.level == "characters":
            points = tf.strings.unicode_decode(
                texts, "UTF-8", errors="replace", replacement_char=_REPLACEMENT
            )
            return points.with_flat_values(self._table.lookup(points.flat_values))
        parts = tf.strings.bytes_split(texts)
        raw = tf.io.decode_raw(parts.flat_values, tf.uint8, fixed_length=None)  # (bytes, 1)
        return parts.with_flat_values(tf.cast(tf.reshape(raw, [-1]), tf.int32) + FIRST_ID)

    def strings(self, ids: Any) -> tf.Tensor | tf.RaggedTensor:
        """Each unit as a string of its own.

        Args:
            ids: integers from 0 to `size - 1`, of any shape, dense or ragged.

        Returns:
            Strings of the same shape; the empty string for the boundary.
        """
        if isinstance(ids, tf.RaggedTensor):
            return ids.with_flat_values(tf.gather(self._strings, ids.flat_values))
        return tf.gather(self._strings, ids)

    def join(self, ids: Any, after: Any = None) -> tf.Tensor:
        """The texts of ids.

        Args:
            ids: integers `(batch, time)`, dense or ragged; boundaries leave no trace.
            after: strings `(batch,)`, what the texts will be appended to: where they go on with a
                word, they begin with a space. None if they stand alone.

        Returns:
            Strings `(batch,)`.

        Example:

        >>> from kerasrnn.text import TextUnits
        >>> units = TextUnits(["I", "speak", "French", ","], level="words")
        >>> units.join([[2, 3, 4, 5, 2]]).numpy().tolist()
        [b'I speak French, I']
        """
        ids = ids if isinstance(ids, tf.Tensor | tf.RaggedTensor) else tf.convert_to_tensor(ids)
        if isinstance(ids, tf.RaggedTensor):
            ids = ids.to_tensor()  # padded with the boundary
        strings = self.strings(ids)  # (batch, time)
        if self.level != "words":
            texts = tf.strings.reduce_join(strings, axis=1)
            if self.level == "bytes":
                # A text may stop within a character.
                texts = tf.strings.unicode_transcode(
                    texts, "UTF-8", "UTF-8", errors="replace", replacement_char=_REPLACEMENT
                )
            return texts
        # The last character of what stands before decides.
        before = (
            tf.fill([tf.shape(strings)[0]], "")
            if after is None
            # A space in front, for the empty string has no last character.
            else tf.strings.substr(tf.strings.join([" ", after]), -1, 1, unit="UTF8_CHAR")
        )
        previous = tf.concat([before[:, None], strings[:, :-1]], axis=1)
        return tf.strings.reduce_join(self.spaced(previous, strings), axis=1)

    def spaced(self, previous: tf.Tensor, strings: tf.Tensor) -> tf.Tensor:
        """Strings of units with the space that belongs before them.

        Args:
            previous: strings of any shape, the one before each; the empty string for none.
            strings: of the same shape.

        Returns:
            Strings of the same shape.
        """
        if self.level != "words":
            return strings
        close = tf.strings.regex_full_match(
            strings, rf"(?:{_NO_SPACE_BEFORE})|"
        ) | tf.strings.regex_full_match(previous, rf"(?:{_NO_SPACE_BEHIND})|")
        return tf.strings.join([tf.where(close, "", " "), strings])

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        terms = self.terms
        return {
            **super().get_config(),
            "terms": None if terms is None else list(terms),
            "level": self.level,
            "lowercase": self.lowercase,
        }


def _vector(texts: Any) -> tf.Tensor:
    texts = as_strings(texts, "texts")
    if isinstance(texts, tf.RaggedTensor) or texts.shape.rank != 1:
        raise ValueError(f"Argument 'texts' must have shape (batch,). Received {texts.shape}.")
    return texts


def in_parts(texts: Sequence[str], most: int = 1024) -> Iterator[Sequence[str]]:
    """Texts some at a time: a call of TensorFlow for each of many short ones would take long.

    Args:
        texts: the texts.
        most: how many are in a part at most.
    """
    for begin in range(0, len(texts), most):
        yield texts[begin : begin + most]


def plain_texts(texts: Sequence[str | bytes]) -> list[str]:
    """Texts as `str` that have a UTF-8 form; see `plain_text`.

    Args:
        texts: the texts.
    """
    return [plain_text(text) for text in texts]
