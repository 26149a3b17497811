"""How networks read words: embeddings to begin with, words left out, words in subwords."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasrnn.layers.parts import LayerOfLayers

PADDING_ID = 0
UNKNOWN_ID = 1


@keras.saving.register_keras_serializable(package="kerasrnn")
class WordDropout(keras.layers.Layer):
    """Replaces words by the unknown word at random while training.

    A model so trained has seen the unknown word and can rely on what stands around it.

    Args:
        rate: the share of words that are replaced.
        seed: integer, seed of the choice.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True  # a word that is dropped is still there
        self.built = True

    def call(self, words: Any, training: bool = False) -> Any:
        if not training or self.rate == 0:
            return words
        chance = keras.random.uniform(ops.shape(words), seed=self.seed_generator)
        dropped = ops.logical_and(chance < self.rate, ops.not_equal(words, PADDING_ID))
        return ops.where(dropped, ops.full_like(words, UNKNOWN_ID), words)

    def compute_output_shape(self, words_shape: Any) -> Any:
        return words_shape

    def compute_output_spec(self, words: Any, training: bool = False) -> Any:
        return keras.KerasTensor(words.shape, dtype=words.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def embedding_layer(
    size: int,
    dimension: int,
    *,
    trainable: bool = True,
    dtype: Any = None,
    name: str = "embeddings",
) -> keras.layers.Embedding:
    """A table of vectors that begin with a length of about 1.

    They are drawn evenly, with a deviation of 1/√dimension, as by Ma and Hovy (2016), section 3.1.

    Args:
        size: the number of ids.
        dimension: the length of a vector.
        trainable: whether they are trained.
        dtype: a precision policy.
        name: the layer's name.

    Returns:
        The layer.
    """
    bound = (3 / dimension) ** 0.5
    return keras.layers.Embedding(
        size,
        dimension,
        embeddings_initializer=keras.initializers.RandomUniform(-bound, bound),
        trainable=trainable,
        dtype=dtype,
        name=name,
    )


@keras.saving.register_keras_serializable(package="kerasrnn")
class SubwordVectors(LayerOfLayers):
    """The mean of the embeddings of a word's subwords.

    A word that was never seen has a vector too, if it is made of known subwords.

    Args:
        size: the number of subword ids, padding (0) and unknown (1) among them.
        dimension: the length of a subword's embedding.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, size: int, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.dimension = dimension
        self.embeddings = embedding_layer(size, dimension, dtype=self.dtype_policy)

    def build(self, subwords_shape: Any) -> None:
        self.embeddings.build((None, None))
        self.built = True

    def call(self, subwords: Any) -> Any:
        """Encode words.

        Args:
            subwords: integers `(batch, time, subwords)`, 0 where a word has no more of them.

        Returns:
            `(batch, time, dimension)`; zeros for a word without subwords.
        """
        vectors = self.embeddings(subwords)  # (batch, time, subwords, dimension)
        present = ops.expand_dims(ops.not_equal(subwords, PADDING_ID), -1)
        kept = ops.where(present, vectors, ops.zeros_like(vectors))
        count = ops.sum(ops.cast(present, vectors.dtype), axis=2)  # (batch, time, 1)
        return ops.sum(kept, axis=2) / ops.maximum(count, 1)

    def compute_output_shape(self, subwords_shape: Any) -> tuple[int | None, ...]:
        return (*subwords_shape[:2], self.dimension)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "dimension": self.dimension}
