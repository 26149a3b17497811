"""Texts to tokens and back: characters, or words that know whether a space stands before them."""

from typing import Any

import keras
import tensorflow as tf

from kerasrnn.text.layer import TextLayer, as_strings
from kerasrnn.text.tokenizer import Tokenizer

# HALFWIDTH BLACK SQUARE, which other tools of translation use for the same purpose: no text has it.
JOINER = "￭"


class _Split(TextLayer):
    """What both kinds share: their arguments are checked in one place."""

    def call(self, text: Any) -> tf.RaggedTensor:
        """Split texts.

        Args:
            text: strings `(batch,)`. A byte that is not UTF-8 counts as U+FFFD.

        Returns:
            Strings, a ragged tensor `(batch, None)`.

        Raises:
            ValueError: `text` does not hold strings, or has another shape.
        """
        text = as_strings(text, "text")
        if isinstance(text, tf.RaggedTensor) or text.shape.rank != 1:
            raise ValueError(
                f"Argument 'text' must have shape (batch,). Received shape {text.shape}."
            )
        return self._split(text)

    def join(self, tokens: Any) -> tf.Tensor:
        """The texts of tokens.

        Args:
            tokens: strings `(batch, None)`, ragged, or dense and padded with the empty string.

        Returns:
            Strings `(batch,)`.

        Raises:
            ValueError: `tokens` does not hold strings.
        """
        tokens = as_strings(tokens, "tokens")
        if not isinstance(tokens, tf.RaggedTensor):
            tokens = tf.RaggedTensor.from_tensor(tokens)
        return self._join(tokens)

    def _split(self, text: tf.Tensor) -> tf.RaggedTensor:
        raise NotImplementedError

    def _join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="kerasrnn")
class CharacterSplit(_Split):
    """Splits texts into characters, that is Unicode code points, and joins them again.

    Args:
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Example:

    >>> from kerasrnn.text import CharacterSplit
    >>> characters = CharacterSplit()
    >>> tokens = characters(["5 mai", ""])
    >>> tokens.to_list()
    [[b'5', b' ', b'm', b'a', b'i'], []]
    >>> characters.join(tokens).numpy().tolist()
    [b'5 mai', b'']
    """

    def _split(self, text: tf.Tensor) -> tf.RaggedTensor:
        return tf.strings.unicode_split(text, "UTF-8")

    def _join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tokens, axis=-1)


@keras.saving.register_keras_serializable(package="kerasrnn")
class WordSplit(_Split):
    """Splits texts into words and punctuation, and joins them again with the right spaces.

    The words are those of `Tokenizer`. One that follows the word before it without a space carries
    the mark U+FFED in front, so that joining loses nothing but what kind of white space, and how
    much of it, stood between two words and around the text.

    Args:
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Example:

    >>> from kerasrnn.text import WordSplit
    >>> words = WordSplit()
    >>> tokens = words(["I  know, Ada!"])
    >>> [token.decode() for token in tokens[0].numpy()]
    ['I', 'know', '￭,', 'Ada', '￭!']
    >>> words.join(tokens).numpy().tolist()
    [b'I know, Ada!']
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tokenizer = Tokenizer(name="tokenizer")

    def _split(self, text: tf.Tensor) -> tf.RaggedTensor:
        split = self.tokenizer(text)
        words, rows = split["tokens"].flat_values, split["tokens"].value_rowids()
        starts, ends = split["starts"].flat_values, split["ends"].flat_values
        follows = tf.equal(starts[1:], ends[:-1]) & tf.equal(rows[1:], rows[:-1])
        glued = tf.concat([[False], follows], axis=0)[: tf.size(words)]
        words = tf.where(glued, tf.strings.join([JOINER, words]), words)
        return split["tokens"].with_values(words)

    def _join(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        text = tf.strings.reduce_join(tokens, axis=-1, separator=" ")
        text = tf.strings.strip(text)  # padding by empty strings leaves spaces at the end
        return tf.strings.regex_replace(text, f"(^| ){JOINER}", "")


SPLITS: dict[str, type[_Split]] = {"characters": CharacterSplit, "words": WordSplit}
