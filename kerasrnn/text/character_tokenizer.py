"""Text to single characters with their offsets."""

from typing import Any

import keras
import tensorflow as tf

from kerasrnn.text.layer import TextLayer, as_strings
from kerasrnn.text.tokenizer import SPACE


@keras.saving.register_keras_serializable(package="kerasrnn")
class CharacterTokenizer(TextLayer):
    """Splits texts into characters: each Unicode code point is a token.

    White space and control characters become a space; of several in a row only the first is a
    token, and none at the ends of a text. Bytes that are not UTF-8 become U+FFFD.

    Args:
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Example:

    >>> from kerasrnn.text import CharacterTokenizer
    >>> output = CharacterTokenizer()([" né  à", ""])
    >>> [[token.decode() for token in row] for row in output["tokens"].to_list()]
    [['n', 'é', ' ', 'à'], []]
    >>> output["starts"].to_list()
    [[1, 2, 3, 5], []]
    """

    def call(self, text: Any) -> dict[str, tf.RaggedTensor]:
        """Split texts into characters.

        Args:
            text: strings, shape `(batch,)`.

        Returns:
            `tokens` (string), `starts` and `ends` (int32): ragged tensors of shape
            `(batch, None)`. `starts` and `ends` count characters: a token is `text[start:end]`,
            a space for any white space.

        Raises:
            ValueError: `text` does not hold strings, or has another number of axes.
        """
        text = as_strings(text, "text")
        if isinstance(text, tf.RaggedTensor) or text.shape.rank != 1:
            raise ValueError(
                f"Argument 'text' must have shape (batch,). Received shape {text.shape}."
            )
        text = tf.strings.unicode_transcode(
            text, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD
        )
        # One character for one character, so that offsets stay those of the text given.
        text = tf.strings.regex_replace(text, SPACE, " ")
        text = tf.strings.regex_replace(text, " +$", "")
        tokens = tf.strings.unicode_split(text, "UTF-8")  # (batch, None)
        rows = tokens.value_rowids()
        places = tf.range(tf.size(rows, tf.int64)) - tf.gather(tokens.row_starts(), rows)
        space = tf.equal(tokens.flat_values, " ")
        # What stands before: the character before, or at the start of a text a space.
        before = tf.concat([[True], space[:-1]], axis=0)[: tf.size(space)]
        before = tf.logical_or(before, tf.equal(places, 0))
        keep = tf.logical_not(tf.logical_and(space, before))
        starts = tf.cast(tf.boolean_mask(places, keep), tf.int32)
        kept = tf.RaggedTensor.from_value_rowids(
            tf.boolean_mask(tokens.flat_values, keep),
            tf.boolean_mask(rows, keep),
            nrows=tokens.nrows(),
            validate=False,
        )
        return {
            "tokens": kept,
            "starts": kept.with_values(starts),
            "ends": kept.with_values(starts + 1),
        }
