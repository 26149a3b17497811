"""Pretrained word vectors, for the scripts of models that read words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from kerasrnn.embeddings import Vectors, read_terms, read_vectors
from kerasrnn.networks.options import NOT_NEGATIVE
from kerasrnn.optimizers import LazyAdam

from .data import check_vectors, data_path
from .flags import TrainingConfig, flag


@dataclass
class WordVectorConfig(TrainingConfig):
    """The flags of scripts that know word vectors."""

    group: ClassVar[str] = "words"

    embeddings: str | None = flag(
        None,
        "word vectors: words_en, another preset, a file of GloVe, word2vec, fastText, safetensors, "
        "or several, such as words_en+vader",
        check=check_vectors,
        of_new_models=True,
    )
    vector_words: int = flag(
        20_000,
        "how many of the first words of --embeddings to know besides those of the data",
        within=NOT_NEGATIVE,
        of_new_models=True,
    )
    vector_deviation: float | None = flag(
        None,
        "standard deviation of the numbers of --embeddings; 1/√length by default, 0: as read",
        within=NOT_NEGATIVE,
        of_new_models=True,
    )
    lazy_embeddings: bool = flag(
        False, "change the embeddings of the words of a batch only: much faster with many words"
    )

    @property
    def adam(self) -> type[keras.optimizers.Optimizer]:
        """The kind of Adam that suits the embeddings."""
        return LazyAdam if self.lazy_embeddings else keras.optimizers.Adam

    def known_vectors(self) -> tuple[list[str], int | None]:
        """The words of `--embeddings` to know beside those of the data, and the vectors' length.

        Returns:
            No words and None without that flag.
        """
        if not self.embeddings:
            return [], None
        source = data_path(self.embeddings)
        # Files of vectors have frequent words first; those of the training data are added.
        words = read_terms(source)[: self.vector_words]
        return words, read_vectors(source, words[:1]).matrix.shape[1]

    def set_vectors(self, model: Any) -> None:
        """Give the words of a model the vectors of `--embeddings`, if there are some.

        Args:
            model: a model with a `vocabulary` and `set_word_vectors`.
        """
        if self.embeddings:
            vectors = self.widened(read_vectors(data_path(self.embeddings), model.vocabulary.terms))
            # Ids 0 and 1 are padding and the unknown word, which no file has.
            matrix = np.pad(vectors.matrix, [(2, 0), (0, 0)])
            model.set_word_vectors(matrix, np.pad(vectors.found, (2, 0)))

    def widened(self, vectors: Vectors) -> Vectors:
        """Vectors with the standard deviation that the flags ask for."""
        return vectors if self.vector_deviation == 0 else vectors.scaled(self.vector_deviation)
