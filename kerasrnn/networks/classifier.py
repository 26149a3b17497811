"""The network of the text classifier: ids in, scores for labels out, on any Keras backend."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops

from kerasrnn.layers import DeepRNN
from kerasrnn.networks.options import CellName, Count, Network, Share
from kerasrnn.networks.pooling import POOLINGS, AttentionPooling, StepPooling
from kerasrnn.networks.spelling import Spelling, spelling_layer
from kerasrnn.networks.words import PADDING_ID, WordDropout, embedding_layer


def poolings(pooling: str) -> tuple[str, ...]:
    """The parts of a pooling such as `attention+max`.

    Args:
        pooling: one of `mean`, `max`, `last` and `attention`, or several joined by `+`.

    Returns:
        The parts in their order.

    Raises:
        ValueError: if a part is none of these or comes twice.

    Example:

    >>> from kerasrnn.networks.classifier import poolings
    >>> poolings("attention+max")
    ('attention', 'max')
    """
    parts = tuple(pooling.split("+"))
    if not set(parts) <= set(POOLINGS) or len(set(parts)) < len(parts):
        raise ValueError(
            f"Unknown value for `pooling`: {pooling!r}. Expected one of {', '.join(POOLINGS)}, "
            "or several of them joined by +, such as attention+max."
        )
    return parts


class _Poolings:
    """What `pooling` may be: see `poolings`."""

    def check(self, name: str, value: Any, kind: type) -> None:
        """Raise a ValueError unless it is one or several of them."""
        poolings(str(value))


@keras.saving.register_keras_serializable(package="kerasrnn")
class ClassifierNetwork(Network):
    r"""Scores for the labels of a sequence of words or characters: many to one.

    A deep recurrent layer, in both directions unless told otherwise, reads the embeddings; what it
    returns is pooled into one vector, and a dense layer scores the labels:

    .. math::
        x^{<t>} &= E_{w_t} \\
        h^{<t>} &= DeepRNN(x)^{<t>} \\
        s &= pool(h^{<1>}, …, h^{<T>}) \\
        \hat y &= W_y s + b_y

    The last state alone is the textbook's many-to-one network; the maximum after Collobert and
    Weston (2008) and attention (`AttentionPooling`) after Yang et al. (2016) shorten the way from a
    word to the label. It takes ids, and knows nothing of text.

    Args:
        tokens: the number of token ids, padding (0) and unknown (1) among them.
        labels: the number of labels.
        characters: the number of character ids for spelling, padding and unknown among them; 0
            without spelling.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, for each direction.
        depth: how many recurrent layers.
        bidirectional: whether the sequence is read from both ends.
        pooling: how one vector is made of all time steps: `mean`, `max`, `last` or `attention`, or
            several joined by `+`.
        attention_units: the length of the hidden layer that weighs the steps, u in
            `AttentionPooling`.
        token_dimension: the length of a token's embedding.
        train_tokens: whether token embeddings are trained.
        spelling: how the characters of words become a vector beside the word's: `cnn`, `rnn` or
            `none`.
        character_dimension: the length of a character's embedding.
        character_units: the length of the vector of a word's spelling.
        token_dropout: the share of tokens taken for unknown in training.
        dropout: the share of components dropped before and behind the recurrent layers.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between the recurrent layers.
        **kwargs: see `Network`.

    Call arguments:
        inputs: a dict of `tokens`, integers `(batch, time)`, 0 for padding, and with spelling
            `characters`, integers `(batch, time, length)`, 0 for padding.

    Returns:
        A dict of `labels`, float32 scores `(batch, labels)`, and with attention `attention`,
        float32 weights `(batch, time)`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks import ClassifierNetwork
    >>> network = ClassifierNetwork(tokens=100, labels=3, pooling="attention", units=8)
    >>> outputs = network({"tokens": np.array([[4, 2, 7], [3, 0, 0]])})
    >>> tuple(outputs["labels"].shape), tuple(outputs["attention"].shape)
    ((2, 3), (2, 3))
    """

    def __init__(
        self,
        tokens: int,
        labels: int,
        characters: int = 0,
        *,
        cell: CellName = "lstm",
        units: Count = 100,
        depth: Count = 1,
        bidirectional: bool = True,
        pooling: Annotated[str, _Poolings()] = "attention+max",
        attention_units: Count = 50,
        token_dimension: Count = 100,
        train_tokens: bool = True,
        spelling: Spelling = "none",
        character_dimension: Count = 25,
        character_units: Count = 50,
        token_dropout: Share = 0.0,
        dropout: Share = 0.5,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.pop("dtype", None)

        # === Layers ===
        token_drop = WordDropout(token_dropout, dtype=dtype, name="token_dropout")
        embeddings = embedding_layer(
            tokens, token_dimension, trainable=train_tokens, dtype=dtype, name="token_embeddings"
        )
        spell = spelling_layer(
            spelling if characters else "none",
            characters,
            character_dimension,
            character_units,
            cell=cell,
            dtype=dtype,
        )
        rnn = DeepRNN(**self.recurrent_options, dtype=dtype, name="rnn")
        label_scores = keras.layers.Dense(labels, dtype="float32", name="label_scores")

        # === Functional model ===
        inputs = {"tokens": keras.Input((None,), dtype="int32", name="tokens")}
        token_ids = inputs["tokens"]
        mask = ops.not_equal(token_ids, PADDING_ID)  # (batch, time)
        features = embeddings(token_drop(token_ids))  # (batch, time, token_dimension)
        if spell is not None:
            inputs["characters"] = keras.Input((None, None), dtype="int32", name="characters")
            features = keras.layers.Concatenate(dtype=dtype, name="token_and_spelling")(
                [features, spell(inputs["characters"])]
            )
        features = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")(features)
        hidden = rnn(features, mask=mask)  # (batch, time, units or 2 · units)
        outputs = {}
        pooled = []
        for kind in poolings(pooling):
            if kind == "attention":
                attend = AttentionPooling(attention_units, dtype=dtype, name="attention_pooling")
                vector, outputs["attention"] = attend(hidden, mask=mask)
            else:
                pool = StepPooling(kind, bidirectional, dtype=dtype, name=f"{kind}_pooling")
                vector = pool(hidden, mask=mask)
            pooled.append(vector)  # (batch, units or 2 · units)
        if len(pooled) > 1:
            pooled = [keras.layers.Concatenate(dtype=dtype, name="pooled")(pooled)]
        drop = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")
        outputs["labels"] = label_scores(drop(pooled[0]))  # (batch, labels)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
