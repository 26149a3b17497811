"""A vector for each word from its spelling, by a convolution or by a recurrent layer."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops

from kerasrnn.cells import cell_by_name
from kerasrnn.layers import RNN, Bidirectional
from kerasrnn.layers.parts import LayerOfLayers
from kerasrnn.networks.options import OneOf
from kerasrnn.networks.words import PADDING_ID, embedding_layer

Spelling = Annotated[str, OneOf(("cnn", "rnn", "none"))]


class _Spelling(LayerOfLayers):
    """Embeds the characters of each word and reduces them to one vector of length `units`."""

    def __init__(self, size: int, dimension: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.dimension = dimension
        self.units = units
        self.embeddings = embedding_layer(size, dimension, dtype=self.dtype_policy)

    def call(self, characters: Any, training: bool = False) -> Any:
        """Encode words.

        Args:
            characters: integers `(batch, time, length)`, 0 where a word has no more characters.
            training: whether dropout is on.

        Returns:
            `(batch, time, units)`; a word without characters gives the same vector everywhere.
        """
        batch, time, length = ops.shape(characters)
        letters = ops.reshape(characters, (-1, length))  # (words, length)
        present = ops.not_equal(letters, PADDING_ID)
        vectors = self.encode(self.embeddings(letters), present, training)  # (words, units)
        return ops.reshape(vectors, (batch, time, self.units))

    def encode(self, letters: Any, mask: Any, training: bool) -> Any:
        raise NotImplementedError

    def compute_output_shape(self, characters_shape: Any) -> tuple[int | None, ...]:
        return (*characters_shape[:2], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "dimension": self.dimension,
            "units": self.units,
        }


@keras.saving.register_keras_serializable(package="kerasrnn")
class SpellingCNN(_Spelling):
    """A convolution over the characters of a word and the maximum over its positions.

    After Ma and Hovy (2016), "End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF",
    section 2.1.

    Args:
        size: the number of character ids, padding (0) and unknown (1) among them.
        dimension: the length of a character's embedding.
        units: the number of filters.
        width: how many characters a filter sees.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self, size: int, dimension: int, units: int, width: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(size, dimension, units, **kwargs)
        self.width = width
        self.convolution = keras.layers.Conv1D(
            units, width, padding="same", dtype=self.dtype_policy, name="convolution"
        )

    def build(self, characters_shape: Any) -> None:
        self.embeddings.build((None, None))
        self.convolution.build((None, None, self.dimension))
        self.built = True

    def encode(self, letters: Any, mask: Any, training: bool) -> Any:
        present = ops.expand_dims(mask, -1)  # (words, length, 1)
        # Zeros behind the word, as at its borders: its length in the batch changes nothing.
        letters = ops.where(present, letters, ops.zeros_like(letters))
        features = ops.relu(self.convolution(letters))  # (words, length, units)
        features = ops.where(present, features, ops.zeros_like(features))
        return ops.max(features, axis=1)  # no feature is below 0, so padding never wins

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable(package="kerasrnn")
class SpellingRNN(_Spelling):
    """A recurrent layer in both directions over the characters of a word: its two last outputs.

    After Lample et al. (2016), "Neural Architectures for Named Entity Recognition", section 4.1.

    Args:
        size: the number of character ids, padding (0) and unknown (1) among them.
        dimension: the length of a character's embedding.
        units: the length of the result, half of it for each direction; an even number.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self, size: int, dimension: int, units: int, cell: str = "lstm", **kwargs: Any
    ) -> None:
        super().__init__(size, dimension, units, **kwargs)
        if units % 2:
            raise ValueError(
                f"`units` must be even, half for each direction over a word. Received: {units}"
            )
        self.cell = cell
        self.rnn = Bidirectional(
            RNN(
                cell_by_name(cell)(units // 2, dtype=self.dtype_policy, name="cell"),
                dtype=self.dtype_policy,
                name="letters",
            ),
            dtype=self.dtype_policy,
            name="rnn",
        )

    def build(self, characters_shape: Any) -> None:
        self.embeddings.build((None, None))
        self.rnn.build((None, None, self.dimension))
        self.built = True

    def encode(self, letters: Any, mask: Any, training: bool) -> Any:
        return self.rnn(letters, mask=mask, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cell": self.cell}


def spelling_layer(
    kind: str,
    size: int,
    dimension: int,
    units: int,
    *,
    width: int = 3,
    cell: str = "lstm",
    dtype: Any = None,
) -> SpellingCNN | SpellingRNN | None:
    """The layer that reads a word's characters.

    Args:
        kind: `cnn`, `rnn` or `none`.
        size: the number of character ids, padding (0) and unknown (1) among them.
        dimension: the length of a character's embedding.
        units: the length of the result.
        width: how many characters a filter of the convolution sees.
        cell: that of the recurrent layer.
        dtype: a precision policy.

    Returns:
        The layer, named `spelling`; or None for `none`.
    """
    if kind == "none":
        return None
    if kind == "cnn":
        return SpellingCNN(size, dimension, units, width, dtype=dtype, name="spelling")
    return SpellingRNN(size, dimension, units, cell, dtype=dtype, name="spelling")
