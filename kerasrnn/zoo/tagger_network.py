"""The network of the sequence tagger: ids in, scores for tags out, on any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasrnn.layers import DeepRNN
from kerasrnn.layers.parts import LayerOfLayers, trainable_config
from kerasrnn.zoo.pooling import SentencePooling
from kerasrnn.zoo.spelling import SPELLINGS, SpellingCNN, SpellingRNN
from kerasrnn.zoo.subword_vectors import SubwordVectors
from kerasrnn.zoo.word_layers import PADDING_ID, UNKNOWN_ID, WordDropout, vector_initializer

# The length of a vector of one of five forms.
_CAPITALS_DIMENSION = 8

__all__ = [
    "PADDING_ID",
    "SPELLINGS",
    "UNKNOWN_ID",
    "SentencePooling",
    "TaggerNetwork",
    "WordDropout",
]


@keras.saving.register_keras_serializable(package="kerasrnn")
class TaggerNetwork(LayerOfLayers, keras.Model):
    r"""Scores for the tags of words, and for the label of the whole sentence if there are labels.

    A word's embedding stands beside the vectors of its pieces, its spelling and its capitals; a
    deep recurrent layer, in both directions unless told otherwise, reads the sentence; a dense
    layer scores the tags:

    .. math::
        x^{<t>} &= [E_{w_t}; pieces(w_t); spelling(w_t); capitals(w_t)] \\
        h^{<t>} &= DeepRNN(x)^{<t>} \\
        \hat y^{<t>} &= W_y h^{<t>} + b_y

    After Lample et al. (2016), "Neural Architectures for Named Entity Recognition", and for the
    convolution Ma and Hovy (2016), "End-to-end Sequence Labeling via Bi-directional
    LSTM-CNNs-CRF". It takes ids, and knows nothing of text.

    Args:
        words: the number of word ids, padding (0) and unknown (1) among them.
        tags: the number of tags.
        characters: the number of character ids, padding and unknown among them; 0 without spelling.
        labels: the number of labels of a whole sentence; 0 without that head.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, for each direction.
        depth: how many recurrent layers.
        bidirectional: whether the sentence is read from both ends.
        word_dimension: the length of a word's embedding.
        train_words: whether the embeddings of words and of their pieces are trained.
        spelling: `cnn`, `rnn` or `none`.
        character_dimension: the length of a character's embedding.
        character_units: the length of the vector of a word's spelling.
        character_width: how many characters a filter of the convolution sees.
        capitals: the number of ids of how a word is capitalised; 0 without that feature.
        pieces: the number of ids of pieces of words, padding and unknown among them; 0 without.
        piece_dimension: the length of a piece's embedding.
        word_dropout: the share of words taken for unknown in training.
        dropout: the share of components dropped before and behind the recurrent layers.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sentence.
        layer_dropout: the share of components dropped between the recurrent layers.
        **kwargs: arguments of `keras.Model`.

    Call arguments:
        inputs: a dict of `words`, integers `(batch, time)`, 0 for padding, and with spelling
            `characters`, integers `(batch, time, length)`, 0 for padding, and with that feature
            `capitals`, integers `(batch, time)`; with pieces `pieces`, integers
            `(batch, time, pieces)`, 0 for padding.

    Returns:
        A dict of `tags`, float32 scores `(batch, time, tags)`, and with labels `labels`, float32
        scores `(batch, labels)`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.tagger_network import TaggerNetwork
    >>> network = TaggerNetwork(words=100, tags=5, spelling="none", units=8)
    >>> tuple(network({"words": np.array([[4, 2, 7], [3, 0, 0]])})["tags"].shape)
    (2, 3, 5)
    """

    def __init__(
        self,
        words: int,
        tags: int,
        *,
        characters: int = 0,
        labels: int = 0,
        cell: str = "lstm",
        units: int = 100,
        depth: int = 1,
        bidirectional: bool = True,
        word_dimension: int = 100,
        train_words: bool = True,
        spelling: str = "cnn",
        character_dimension: int = 25,
        character_units: int = 50,
        character_width: int = 3,
        capitals: int = 0,
        pieces: int = 0,
        piece_dimension: int = 100,
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.pop("dtype", None)
        if not characters:
            spelling = "none"

        # === Layers ===
        word_drop = WordDropout(word_dropout, dtype=dtype, name="word_dropout")
        embeddings = keras.layers.Embedding(
            words,
            word_dimension,
            embeddings_initializer=vector_initializer(word_dimension),
            trainable=train_words,
            dtype=dtype,
            name="word_embeddings",
        )
        if pieces:
            piece_vectors = SubwordVectors(
                pieces, piece_dimension, trainable=train_words, dtype=dtype, name="piece_vectors"
            )
        spell: keras.layers.Layer | None = None
        if spelling == "cnn":
            spell = SpellingCNN(
                characters,
                character_dimension,
                character_units,
                character_width,
                dtype=dtype,
                name="spelling",
            )
        elif spelling == "rnn":
            spell = SpellingRNN(
                characters, character_dimension, character_units, cell, dtype=dtype, name="spelling"
            )
        if capitals:
            capital_vectors = keras.layers.Embedding(
                capitals,
                _CAPITALS_DIMENSION,
                embeddings_initializer=vector_initializer(_CAPITALS_DIMENSION),
                dtype=dtype,
                name="capital_embeddings",
            )
        rnn = DeepRNN(
            cell=cell,
            units=units,
            depth=depth,
            bidirectional=bidirectional,
            return_sequences=True,
            recurrent_dropout=recurrent_dropout,
            layer_dropout=layer_dropout,
            dtype=dtype,
            name="rnn",
        )
        tag_scores = keras.layers.Dense(tags, dtype="float32", name="tag_scores")

        # === Functional model ===
        inputs = {"words": keras.Input((None,), dtype="int32", name="words")}
        word_ids = inputs["words"]
        mask = ops.not_equal(word_ids, PADDING_ID)  # (batch, time)
        parts = [embeddings(word_drop(word_ids))]  # (batch, time, word_dimension)
        if pieces:
            inputs["pieces"] = keras.Input((None, None), dtype="int32", name="pieces")
            parts.append(piece_vectors(inputs["pieces"]))
        if spell is not None:
            inputs["characters"] = keras.Input((None, None), dtype="int32", name="characters")
            parts.append(spell(inputs["characters"]))
        if capitals:
            inputs["capitals"] = keras.Input((None,), dtype="int32", name="capitals")
            parts.append(capital_vectors(inputs["capitals"]))
        features = parts[0]
        if len(parts) > 1:
            features = keras.layers.Concatenate(dtype=dtype, name="word_and_spelling")(parts)
        features = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")(features)
        hidden = rnn(features, mask=mask)  # (batch, time, units or 2 · units)
        hidden = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")(hidden)
        outputs = {"tags": tag_scores(hidden)}  # (batch, time, tags)
        if labels:
            pooled = SentencePooling(dtype=dtype, name="sentence_pooling")(hidden, mask=mask)
            outputs["labels"] = keras.layers.Dense(labels, dtype="float32", name="label_scores")(
                pooled
            )
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.settings = {
            "words": words,
            "tags": tags,
            "characters": characters,
            "labels": labels,
            "cell": cell,
            "units": units,
            "depth": depth,
            "bidirectional": bidirectional,
            "word_dimension": word_dimension,
            "train_words": train_words,
            "spelling": spelling,
            "character_dimension": character_dimension,
            "character_units": character_units,
            "character_width": character_width,
            "capitals": capitals,
            "pieces": pieces,
            "piece_dimension": piece_dimension,
            "word_dropout": word_dropout,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
        }

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **trainable_config(self), **self.settings}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TaggerNetwork:
        return cls(**config)
