"""Words to the ids of their characters."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.storage.term_files import (
    PADDING_ID,
    UNKNOWN_ID,
    check_counts,
    check_least,
    check_terms,
    read_terms,
    write_terms,
)
from kerasrnn.text.layer import TextLayer, map_to_rows, static_table

FIRST_CHARACTER_ID = 2


@keras.saving.register_keras_serializable(package="kerasrnn")
class CharacterIds(TextLayer):
    """Spells words: each word becomes `max_length` ids of its characters.

    A character is a Unicode code point. The ids of a word stand at the left, padded on the right:
    0 is padding, 1 a character unknown, then the characters in order. There are no ids for the
    word's borders: the padding shows them. A word longer than `max_length` keeps its first
    `ceil(max_length / 2)` and its last `floor(max_length / 2)` characters, since endings tell more
    than what lies in the middle. The empty string, a padded token, is all 0.

    Args:
        characters: distinct characters, as one string or a sequence of strings of length 1.
        max_length: how many ids a word gets, at least 1.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Raises:
        TypeError: `characters` holds something that is not a string.
        ValueError: a character comes twice or is not one code point, or `max_length` is below 1.

    Example:

    >>> from kerasrnn.text import CharacterIds
    >>> spell = CharacterIds("abcdefg", max_length=4)
    >>> spell([["bad", "abcdefg", "ax", ""]]).numpy().tolist()
    [[[3, 2, 5, 0], [2, 3, 7, 8], [2, 1, 0, 0], [0, 0, 0, 0]]]
    """

    def __init__(self, characters: Iterable[str], max_length: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 1:
            raise ValueError(
                f"Argument 'max_length' must be an integer of at least 1. Received {max_length!r}."
            )
        characters = check_terms(list(characters), "characters")
        for character in characters:
            if len(character) != 1:
                raise ValueError(
                    "Argument 'characters' must hold single characters. "
                    f"Received {character!r} of length {len(character)}."
                )
        self.max_length = max_length
        self._characters = np.array(characters, dtype=object)
        self._table = static_table(
            # No code point is -1, but a table must not be empty.
            [-1, *(ord(character) for character in characters)],
            [UNKNOWN_ID, *range(FIRST_CHARACTER_ID, FIRST_CHARACTER_ID + len(characters))],
            tf.int32,
            default=UNKNOWN_ID,
        )

    @classmethod
    def from_counts(
        cls,
        counts: Mapping[str, int] | Iterable[str],
        min_count: int = 1,
        **kwargs: Any,
    ) -> "CharacterIds":
        """All characters that occur often enough in words, in order of their code points.

        Args:
            counts: words to counts, or the words themselves.
            min_count: how often a character must occur.
            **kwargs: the constructor's other arguments.

        Raises:
            TypeError: `counts` holds what is no string, or a count is no number.
            ValueError: `min_count` is below 1 or no whole number, or a word is no valid Unicode.

        Example:

        >>> from kerasrnn.text import CharacterIds
        >>> CharacterIds.from_counts({"tea": 2, "cup": 1}, min_count=2).characters
        'aet'
        """
        min_count = check_least(min_count, "min_count", 1)
        frequency: Counter[str] = Counter()
        for word, count in check_counts(counts, "counts").items():
            for character in word:
                frequency[character] += count
        return cls(sorted(c for c, count in frequency.items() if count >= min_count), **kwargs)

    @property
    def size(self) -> int:
        """How many ids there are: the characters, padding and unknown."""
        return FIRST_CHARACTER_ID + len(self._characters)

    @property
    def characters(self) -> str:
        """The characters, the one of id 2 first."""
        return "".join(self._characters)

    def call(self, tokens: Any) -> tf.Tensor | tf.RaggedTensor:
        """The character ids of words.

        Args:
            tokens: strings of any shape, dense or ragged, such as `(batch, time)`.

        Returns:
            int32 ids with one more axis: `(batch, time, max_length)`.

        Raises:
            ValueError: `tokens` does not hold strings.
        """
        return map_to_rows(self._spell, tokens, self.max_length)

    def _spell(self, words: tf.Tensor) -> tf.Tensor:
        letters = tf.strings.unicode_decode(words, "UTF-8")  # (words, None)
        lengths = tf.cast(letters.row_lengths(), tf.int32)[:, None]
        starts = tf.cast(letters.row_starts(), tf.int32)[:, None]
        ids = tf.concat([self._table.lookup(letters.flat_values), [PADDING_ID]], axis=0)

        place = tf.range(self.max_length)[None]  # in the output
        head = (self.max_length + 1) // 2
        from_end = lengths - self.max_length + place
        source = tf.where((lengths > self.max_length) & (place >= head), from_end, place)
        filled = place < lengths
        padding = tf.size(ids) - 1
        return tf.gather(ids, tf.where(filled, starts + source, padding))  # (words, max_length)

    def save(self, path: str | os.PathLike[str]) -> None:
        r"""Write the characters to a UTF-8 file, one a line, in order of their ids.

        Backslash, line feed and carriage return are written as `\\`, `\n` and `\r`. The file
        appears whole or not at all; `max_length` is not in it.

        Args:
            path: the file, replaced if it exists.
        """
        write_terms(path, self._characters)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **kwargs: Any) -> "CharacterIds":
        """Read what `save` wrote.

        Args:
            path: the file.
            **kwargs: the constructor's other arguments.

        Raises:
            ValueError: a line is empty, repeats another or is not valid; the message names it.
        """
        return cls(read_terms(path), **kwargs)

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "characters": self.characters,
            "max_length": self.max_length,
        }
