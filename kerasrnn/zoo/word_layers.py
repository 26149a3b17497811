"""What the networks that read words or characters share."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

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


def vector_initializer(dimension: int) -> keras.initializers.Initializer:
    """Embeddings to begin with, as Ma and Hovy (2016), section 3.1: a deviation of 1/√dimension.

    Args:
        dimension: the length of a vector.

    Returns:
        A uniform distribution whose vectors have a length of about 1.
    """
    bound = (3 / dimension) ** 0.5
    return keras.initializers.RandomUniform(-bound, bound)
