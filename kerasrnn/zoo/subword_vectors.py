"""A vector for each word from the pieces that it is made of."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasrnn.layers.parts import LayerOfLayers
from kerasrnn.zoo.word_layers import PADDING_ID, vector_initializer


@keras.saving.register_keras_serializable(package="kerasrnn")
class SubwordVectors(LayerOfLayers):
    """The mean of the embeddings of a word's pieces.

    A word that was never seen has a vector too, if it is made of known pieces.

    Args:
        size: the number of piece ids, padding (0) and unknown (1) among them.
        dimension: the length of a piece's embedding.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, size: int, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.dimension = dimension
        self.embeddings = keras.layers.Embedding(
            size,
            dimension,
            embeddings_initializer=vector_initializer(dimension),
            dtype=self.dtype_policy,
            name="embeddings",
        )

    def build(self, pieces_shape: Any) -> None:
        self.embeddings.build((None, None))
        self.built = True

    def call(self, pieces: Any) -> Any:
        """Encode words.

        Args:
            pieces: integers `(batch, time, pieces)`, 0 where a word has no more of them.

        Returns:
            `(batch, time, dimension)`; zeros for a word without pieces.
        """
        vectors = self.embeddings(pieces)  # (batch, time, pieces, dimension)
        present = ops.expand_dims(ops.not_equal(pieces, PADDING_ID), -1)
        kept = ops.where(present, vectors, ops.zeros_like(vectors))
        count = ops.sum(ops.cast(present, vectors.dtype), axis=2)  # (batch, time, 1)
        return ops.sum(kept, axis=2) / ops.maximum(count, 1)

    def compute_output_shape(self, pieces_shape: Any) -> tuple[int | None, ...]:
        return (*pieces_shape[:2], self.dimension)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "dimension": self.dimension}
