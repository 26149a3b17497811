"""Words to the ids of the subwords that they are made of."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.storage.term_files import PADDING_ID, UNKNOWN_ID, check_terms
from kerasrnn.text.layer import TextLayer, map_to_rows, static_table

FIRST_SUBWORD_ID = 2
CONTINUATION = "##"

# RE2: ASCII's signs, and all punctuation of Unicode.
_SIGN = r"[[:punct:]]|\p{P}"


@keras.saving.register_keras_serializable(package="kerasrnn")
class SubwordIds(TextLayer):
    """Splits words into the longest known subwords: each word becomes `max_subwords` ids of them.

    From its start, a word in small letters is cut into the longest subword that is known, and again
    from there, as in WordPiece (Wu et al. 2016, "Google's Neural Machine Translation System"). A
    subword that goes on with a word is written with `##` before it. A sign, such as a hyphen, is a
    subword of its own, and what follows it begins anew. A character with which no subword begins is
    unknown.

    The ids of a word stand at the left, padded on the right: 0 is padding, 1 unknown, then the
    subwords in order. What is left of a word after `max_subwords` is not read. The empty string, a
    padded token, is all 0.

    Args:
        subwords: distinct subwords, in small letters.
        max_subwords: how many ids a word gets, at least 1.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Raises:
        TypeError: `subwords` is one string or holds something that is not a string.
        ValueError: a subword comes twice, or is empty behind its `##`, there are none, or
            `max_subwords` is below 1.

    Example:

    >>> from kerasrnn.text import SubwordIds
    >>> split = SubwordIds(["play", "##ing", "##s", "-"], max_subwords=3)
    >>> split(["Playing", "plays", "play-play", "x", ""]).numpy().tolist()
    [[2, 3, 0], [2, 4, 0], [2, 5, 2], [1, 0, 0], [0, 0, 0]]
    """

    def __init__(self, subwords: Iterable[str], max_subwords: int = 6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(max_subwords, bool) or not isinstance(max_subwords, int) or max_subwords < 1:
            raise ValueError(
                "Argument 'max_subwords' must be an integer of at least 1. "
                f"Received {max_subwords!r}."
            )
        subwords = check_terms(subwords, "subwords")
        if not subwords:
            raise ValueError("Argument 'subwords' must hold at least one subword. Received none.")
        if CONTINUATION in subwords:
            raise ValueError(f"Argument 'subwords' holds {CONTINUATION!r} with nothing behind it.")
        self.max_subwords = max_subwords
        self._subwords = np.array(subwords, dtype=object)
        self._longest = max(len(subword.removeprefix(CONTINUATION)) for subword in subwords)
        self._table = static_table(
            subwords,
            range(FIRST_SUBWORD_ID, FIRST_SUBWORD_ID + len(subwords)),
            tf.string,
            default=PADDING_ID,
        )

    @property
    def size(self) -> int:
        """How many ids there are: the subwords, padding and unknown."""
        return FIRST_SUBWORD_ID + len(self._subwords)

    @property
    def subwords(self) -> tuple[str, ...]:
        """The subwords, the one of id 2 first."""
        return tuple(self._subwords)

    def call(self, tokens: Any) -> tf.Tensor | tf.RaggedTensor:
        """The ids of the subwords of words.

        Args:
            tokens: strings of any shape, dense or ragged, such as `(batch, time)`.

        Returns:
            int32 ids with one more axis: `(batch, time, max_subwords)`.

        Raises:
            ValueError: `tokens` does not hold strings.
        """
        return map_to_rows(self._split, tokens, self.max_subwords)

    def _split(self, tokens: tf.Tensor) -> tf.Tensor:
        words, places = tf.unique(tf.strings.lower(tokens, encoding="utf-8"))
        lengths = tf.strings.length(words, unit="UTF8_CHAR")[:, None]  # (words, 1)
        words = tf.strings.join([words, " "])[:, None]  # so that no place is behind the end
        sizes = tf.range(1, self._longest + 1)[None]  # (1, longest)
        at = tf.zeros_like(lengths)
        found = []
        for _ in range(self.max_subwords):
            begins = (at == 0) | _is_sign(words, at) | _is_sign(words, tf.maximum(at - 1, 0))
            starts = at + tf.zeros_like(sizes)  # (words, longest)
            keys = tf.strings.substr(
                tf.tile(words, [1, self._longest]),
                starts,
                sizes + tf.zeros_like(starts),
                unit="UTF8_CHAR",
            )
            keys = tf.where(begins, keys, tf.strings.join([tf.constant(CONTINUATION), keys]))
            ids = tf.where(at + sizes <= lengths, self._table.lookup(keys), PADDING_ID)
            best = tf.reduce_max(tf.where(ids > 0, sizes, 0), axis=1, keepdims=True)
            subword = tf.reduce_sum(tf.where(sizes == best, ids, 0), axis=1)  # (words,)
            left = at < lengths
            subword = tf.where((best == 0)[:, 0], UNKNOWN_ID, subword)
            found.append(tf.where(left[:, 0], subword, PADDING_ID))
            at = tf.where(left, at + tf.maximum(best, 1), at)
        return tf.gather(tf.stack(found, axis=1), places)

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "subwords": list(self.subwords),
            "max_subwords": self.max_subwords,
        }


def _is_sign(words: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    return tf.strings.regex_full_match(
        tf.strings.substr(words, places, tf.ones_like(places), unit="UTF8_CHAR"), _SIGN
    )
