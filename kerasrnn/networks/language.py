"""The network of the language model: ids in, scores for the next id out, on any Keras backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kerasrnn.layers import DeepRNN
from kerasrnn.networks.options import CellName, Configured, Count, Share


@keras.saving.register_keras_serializable(package="kerasrnn")
class UnitEmbedding(keras.layers.Layer):
    r"""The embedding matrix E of words, characters or bytes, to read with and to score with.

    In training, whole rows are dropped: a unit that is dropped is dropped wherever it stands in
    the batch, and the others are scaled up (Gal & Ghahramani 2016, "A Theoretically Grounded
    Application of Dropout in Recurrent Neural Networks"; Merity et al. 2018).

    Args:
        size: the number of ids.
        dimension: the length of an embedding.
        dropout: the share of rows that are dropped.
        tied: whether the matrix also scores; its first values are then smaller.
        seed: integer, seed of the choice.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        size: int,
        dimension: int,
        dropout: float = 0.0,
        tied: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.dimension = dimension
        self.dropout = dropout
        self.tied = tied
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.build((None, None))

    def build(self, ids_shape: Any) -> None:
        # A row that scores is multiplied with a state: with rows of norm 1, a score is of the
        # order of 1, whatever the length.
        deviation = self.dimension**-0.5 if self.tied else 1.0
        self.embeddings = self.add_weight(
            shape=(self.size, self.dimension),
            name="embeddings",
            initializer=keras.initializers.RandomNormal(stddev=deviation),
        )
        self.scores_bias = None
        if self.tied:
            self.scores_bias = self.add_weight(
                shape=(self.size,), name="scores_bias", initializer="zeros"
            )
        self.built = True

    def call(self, ids: Any, training: bool = False) -> Any:
        """The embeddings of ids `(…)`: `(…, dimension)`."""
        matrix = ops.cast(ops.convert_to_tensor(self.embeddings), self.compute_dtype)
        vectors = ops.take(matrix, ids, axis=0)
        if not training or self.dropout == 0:
            return vectors
        ones = ops.ones((self.size, 1), self.compute_dtype)
        kept = keras.random.dropout(ones, self.dropout, seed=self.seed_generator)
        return vectors * ops.take(kept, ids, axis=0)

    def scores(self, vectors: Any) -> Any:
        r"""float32 scores :math:`E h + b` `(…, size)` of vectors `(…, dimension)`."""
        matrix = ops.cast(ops.convert_to_tensor(self.embeddings), self.compute_dtype)
        scores = ops.matmul(ops.cast(vectors, self.compute_dtype), ops.transpose(matrix))
        return ops.cast(scores, "float32") + ops.cast(self.scores_bias, "float32")

    def compute_output_shape(self, ids_shape: Any) -> Any:
        return (*ids_shape, self.dimension)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "dimension": self.dimension,
            "dropout": self.dropout,
            "tied": self.tied,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="kerasrnn")
class LanguageNetwork(Configured, keras.Model):
    r"""Scores for the next unit of a text at each of its places, from what stands before it.

    A deep recurrent layer reads the text from the left; the scores come from the embedding matrix
    itself, or from a matrix of their own:

    .. math::
        x^{<t>} &= E_{w_t} \\
        h^{<t>} &= DeepRNN(x)^{<t>} \\
        \hat y^{<t>} &= E (W_p h^{<t>} + b_p) + b_y
            \quad \text{or} \quad W_y h^{<t>} + b_y

    with the projection :math:`W_p` only where the state and an embedding differ in length (Press &
    Wolf 2017; Inan et al. 2017). States go in and come out, so that a text may be read in pieces.
    It takes ids, and knows nothing of text.

    Args:
        size: the number of ids.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state.
        depth: how many recurrent layers.
        dimension: the length of an embedding.
        tied: whether embeddings and scores share their matrix, with a projection between state and
            embedding where they differ in length.
        embedding_dropout: the share of units (words, say) whose embedding is dropped, wherever they
            stand in a batch.
        dropout: the share of components dropped from what each recurrent layer reads, one mask for
            a sequence.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between the recurrent layers, drawn anew for
            each step.
        output_dropout: the share of components of the last layer's output dropped, one mask for a
            sequence.
        **kwargs: `name`, `dtype` (a precision policy) and `trainable`, as for `keras.Model`.

    Call arguments:
        ids: integers `(batch, time)`.
        states: a list of tensors `(batch, units)`, as they come out; None for zeros.
        mask: booleans `(batch, time)`; a step that is false leaves the states as they are. None
            where every step counts.
        training: whether dropout is on.

    Returns:
        Float32 scores `(batch, time, size)`, and the list of states behind the last step.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks import LanguageNetwork
    >>> network = LanguageNetwork(size=30, units=8, dimension=4)
    >>> scores, states = network(np.array([[4, 2, 7], [3, 0, 5]]))
    >>> tuple(scores.shape), len(states)
    ((2, 3, 30), 2)
    """

    def __init__(
        self,
        size: int,
        *,
        cell: CellName = "lstm",
        units: Count = 256,
        depth: Count = 1,
        dimension: Count = 64,
        tied: bool = False,
        embedding_dropout: Share = 0.0,
        dropout: Share = 0.0,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        output_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.get("dtype")
        super().__init__(**kwargs)
        self.supports_masking = True

        # === Layers ===
        self.embedding = UnitEmbedding(
            size, dimension, dropout=embedding_dropout, tied=tied, dtype=dtype, name="embedding"
        )
        self.rnn = DeepRNN(
            **self.recurrent_options,
            return_sequences=True,
            return_state=True,
            dropout=dropout,
            dtype=dtype,
            name="rnn",
        )
        self.output_drop = keras.layers.Dropout(
            output_dropout, noise_shape=(None, 1, None), dtype=dtype, name="output_dropout"
        )
        self.projection: keras.layers.Layer | None = None
        self.unit_scores: keras.layers.Layer | None = None
        if not tied:
            self.unit_scores = keras.layers.Dense(size, dtype="float32", name="unit_scores")
        elif dimension != units:
            self.projection = keras.layers.Dense(dimension, dtype=dtype, name="projection")

        self.build((None, None))

    def build(self, ids_shape: Any) -> None:
        self.rnn.build((*ids_shape, self.embedding.dimension))
        for layer in (self.output_drop, self.projection, self.unit_scores):
            if layer is not None:
                layer.build((*ids_shape, self.settings["units"]))
        self.built = True

    # === Functional model ===

    def call(
        self,
        ids: Any,
        states: Sequence[Any] | None = None,
        mask: Any = None,
        training: bool = False,
    ) -> tuple[Any, list[Any]]:
        if isinstance(mask, list | tuple):
            mask = None  # Keras filled it in: the masks that the states carry, which are none
        embedded = self.embedding(ids, training=training)  # (batch, time, dimension)
        hidden, *new_states = self.rnn(
            embedded,
            initial_state=None if states is None else list(states),
            mask=mask,
            training=training,
        )  # (batch, time, units)
        hidden = self.output_drop(hidden, training=training)
        return self.scores(hidden), new_states  # (batch, time, size)

    def compute_mask(self, ids: Any, previous_mask: Any = None) -> Any:
        if isinstance(previous_mask, list | tuple):
            return None  # as in `call`
        return [previous_mask]  # of the scores; the states have none

    def compute_output_shape(self, ids_shape: Any) -> Any:
        states = [(ids_shape[0], self.settings["units"])] * len(self.get_initial_state(1))
        return (*ids_shape, self.embedding.size), states

    def step(self, ids: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """One step without a loop over time: what generation needs.

        Args:
            ids: integers `(batch,)`.
            states: as for the call.

        Returns:
            Float32 scores `(batch, size)`, and the list of new states.
        """
        hidden, new_states = self.rnn.step(self.embedding(ids), states)  # (batch, units)
        return self.scores(hidden), new_states

    def scores(self, hidden: Any) -> Any:
        """Float32 scores `(…, size)` from the last layer's output `(…, units)`."""
        if self.unit_scores is not None:
            return self.unit_scores(hidden)
        if self.projection is not None:
            hidden = self.projection(hidden)
        return self.embedding.scores(hidden)

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Zero states, in the order in which the call takes them."""
        return self.rnn.get_initial_state(batch_size)
