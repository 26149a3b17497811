"""How words are capitalised."""

from typing import Any

import keras
import tensorflow as tf

from kerasrnn.text.layer import TextLayer, as_strings, map_flat

PADDING_ID = 0

# RE2: Lu are capital letters, Lt such as ǅ, L all letters.
_CAPITAL = r"[\p{Lu}\p{Lt}]"
_NO_CAPITAL = r"[^\p{Lu}\p{Lt}]"


@keras.saving.register_keras_serializable(package="kerasrnn")
class Capitals(TextLayer):
    """Tells how each word is capitalised.

    ==  ==================================================  ==========================
    Id  Form                                                Such as
    ==  ==================================================  ==========================
    0   `padding`                                           the empty string
    1   `lower`: no capital letter                          `paris`, `1997`, `-`
    2   `initial`: the first letter only                    `Paris`, `I`, `'Tis`
    3   `upper`: two or more capitals and no small letter   `NASA`, `B-52S`, `U.S.`
    4   `mixed`: any other                                  `iPhone`, `McDonald`
    ==  ==================================================  ==========================

    A vocabulary of small letters leaves this out; it is the feature that Collobert et al. (2011),
    "Natural Language Processing (Almost) from Scratch", section 4.1.2, gave to their networks.

    Args:
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Example:

    >>> from kerasrnn.text import Capitals
    >>> Capitals()([["Paris", "NASA", "iPhone", "in"], ["I", "", "", ""]]).numpy().tolist()
    [[2, 3, 4, 1], [2, 0, 0, 0]]
    """

    forms = ("padding", "lower", "initial", "upper", "mixed")

    @property
    def size(self) -> int:
        """How many ids there are, padding among them."""
        return len(self.forms)

    def call(self, tokens: Any) -> tf.Tensor | tf.RaggedTensor:
        """The form of words.

        Args:
            tokens: strings of any shape, dense or ragged, such as `(batch, time)`.

        Returns:
            int32 ids of the same shape.

        Raises:
            ValueError: `tokens` does not hold strings.
        """
        return map_flat(_form, as_strings(tokens, "tokens"))


def _form(words: tf.Tensor) -> tf.Tensor:
    def matches(pattern: str) -> tf.Tensor:
        return tf.strings.regex_full_match(words, f"(?s){pattern}")

    upper = matches(rf"\P{{Ll}}*{_CAPITAL}\P{{Ll}}*{_CAPITAL}\P{{Ll}}*")
    initial = matches(rf"\P{{L}}*{_CAPITAL}{_NO_CAPITAL}*")
    forms = tf.where(upper, 3, tf.where(initial, 2, 4))
    forms = tf.where(matches(f"{_NO_CAPITAL}*"), 1, forms)
    return tf.where(tf.equal(words, ""), PADDING_ID, forms)  # int32
