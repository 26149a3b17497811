"""The network of the sequence tagger: ids in, scores for tags out, on any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasrnn.layers import DeepRNN
from kerasrnn.networks.options import CellName, Count, Network, Share
from kerasrnn.networks.pooling import SentencePooling
from kerasrnn.networks.spelling import Spelling, spelling_layer
from kerasrnn.networks.words import PADDING_ID, SubwordVectors, WordDropout, embedding_layer

# The length of a vector of one of five forms.
_CAPITALS_DIMENSION = 8


@keras.saving.register_keras_serializable(package="kerasrnn")
class TaggerNetwork(Network):
    r"""Scores for the tags of words, and for the label of the whole sentence if there are labels.

    A word's embedding stands beside the vectors of its subwords, its spelling and its capitals; a
    deep recurrent layer, in both directions unless told otherwise, reads the sentence; a dense
    layer scores the tags:

    .. math::
        x^{<t>} &= [E_{w_t}; subwords(w_t); spelling(w_t); capitals(w_t)] \\
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
        capitals: the number of ids of how a word is capitalised; 0 without that feature.
        subwords: the number of ids of parts of words, padding and unknown among them; 0 without.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, for each direction.
        depth: how many recurrent layers.
        bidirectional: whether the sentence is read from both ends.
        word_dimension: the length of a word's embedding.
        train_words: whether the embeddings of words and of subwords are trained.
        spelling: how a word's characters become a vector: `cnn`, `rnn` or `none`.
        character_dimension: the length of a character's embedding.
        character_units: the length of the vector of a word's spelling.
        character_width: how many characters a filter of the convolution sees.
        subword_dimension: the length of a subword's embedding.
        word_dropout: the share of words taken for unknown in training.
        dropout: the share of components dropped before and behind the recurrent layers.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sentence.
        layer_dropout: the share of components dropped between the recurrent layers.
        **kwargs: see `Network`.

    Call arguments:
        inputs: a dict of `words`, integers `(batch, time)`, 0 for padding, and with spelling
            `characters`, integers `(batch, time, length)`, 0 for padding, and with that feature
            `capitals`, integers `(batch, time)`; with subwords `subwords`, integers
            `(batch, time, subwords)`, 0 for padding.

    Returns:
        A dict of `tags`, float32 scores `(batch, time, tags)`, and with labels `labels`, float32
        scores `(batch, labels)`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks import TaggerNetwork
    >>> network = TaggerNetwork(words=100, tags=5, spelling="none", units=8)
    >>> tuple(network({"words": np.array([[4, 2, 7], [3, 0, 0]])})["tags"].shape)
    (2, 3, 5)
    """

    def __init__(
        self,
        words: int,
        tags: int,
        characters: int = 0,
        labels: int = 0,
        capitals: int = 0,
        subwords: int = 0,
        *,
        cell: CellName = "lstm",
        units: Count = 100,
        depth: Count = 1,
        bidirectional: bool = True,
        word_dimension: Count = 100,
        train_words: bool = True,
        spelling: Spelling = "cnn",
        character_dimension: Count = 25,
        character_units: Count = 50,
        character_width: Count = 3,
        subword_dimension: Count = 100,
        word_dropout: Share = 0.0,
        dropout: Share = 0.5,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.pop("dtype", None)

        # === Layers ===
        word_drop = WordDropout(word_dropout, dtype=dtype, name="word_dropout")
        embeddings = embedding_layer(
            words, word_dimension, trainable=train_words, dtype=dtype, name="word_embeddings"
        )
        if subwords:
            subword_vectors = SubwordVectors(
                subwords,
                subword_dimension,
                trainable=train_words,
                dtype=dtype,
                name="subword_vectors",
            )
        spell = spelling_layer(
            spelling if characters else "none",
            characters,
            character_dimension,
            character_units,
            width=character_width,
            cell=cell,
            dtype=dtype,
        )
        if capitals:
            capital_vectors = embedding_layer(
                capitals, _CAPITALS_DIMENSION, dtype=dtype, name="capital_embeddings"
            )
        rnn = DeepRNN(**self.recurrent_options, dtype=dtype, name="rnn")
        tag_scores = keras.layers.Dense(tags, dtype="float32", name="tag_scores")

        # === Functional model ===
        inputs = {"words": keras.Input((None,), dtype="int32", name="words")}
        word_ids = inputs["words"]
        mask = ops.not_equal(word_ids, PADDING_ID)  # (batch, time)
        parts = [embeddings(word_drop(word_ids))]  # (batch, time, word_dimension)
        if subwords:
            inputs["subwords"] = keras.Input((None, None), dtype="int32", name="subwords")
            parts.append(subword_vectors(inputs["subwords"]))
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
