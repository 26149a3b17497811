"""The network of the encoder-decoder: ids in, scores for the next id out, on any Keras backend."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops

from kerasrnn.layers import DeepRNN
from kerasrnn.networks.decoders import DECODERS
from kerasrnn.networks.options import CellName, Configured, Count, Network, OneOf, Share
from kerasrnn.networks.words import embedding_layer

# The empty token: padding of a source, what stands before the first token of a target, and what
# ends it. One id will do for the three, since none of them can be taken for another.
NOTHING_ID = 0


@keras.saving.register_keras_serializable(package="kerasrnn")
class SequenceEncoder(Configured):
    r"""Reads a source: a vector for each of its tokens, and one for the whole.

    .. math::
        h^{<t>} &= DeepRNN(E x)^{<t>} \\
        c &= \tanh(V [\overrightarrow a^{<T>}; \overleftarrow a^{<1>}] + b)

    where the two states are the last ones of the top layer's directions; Cho et al. (2014),
    appendix A.1.1.

    Args:
        size: the number of source ids, nothing (0) and unknown (1) among them.
        dimension: the length of a token's embedding.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, for each direction, and of the summary.
        depth: how many recurrent layers.
        bidirectional: whether the source is read from both ends.
        dropout: the share of components dropped before and behind the recurrent layers.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between the recurrent layers.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        source: integers `(batch, time)`, 0 for padding.

    Returns:
        The values h, `(batch, time, units)`, twice the units if bidirectional, and the summary c,
        `(batch, units)`.
    """

    def __init__(
        self,
        size: Count,
        dimension: Count,
        *,
        cell: CellName,
        units: Count,
        depth: Count = 1,
        bidirectional: bool = True,
        dropout: Share = 0.0,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        self.dimension = dimension
        self.units = units
        self.width = units * (2 if bidirectional else 1)
        # The memory of an LSTM is no output; the first of each direction's states is.
        self.states_per_direction = 2 if cell == "lstm" else 1
        self.embeddings = embedding_layer(size, dimension, dtype=dtype)
        self.input_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")
        self.rnn = DeepRNN(**self.recurrent_options, return_state=True, dtype=dtype, name="rnn")
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")
        self.summarize = keras.layers.Dense(units, "tanh", dtype=dtype, name="summary")

    def build(self, source_shape: Any) -> None:
        self.embeddings.build((None, None))
        self.rnn.build((None, None, self.dimension))
        self.summarize.build((None, self.width))
        self.built = True

    def call(self, source: Any, training: bool = False) -> tuple[Any, Any]:
        mask = ops.not_equal(source, NOTHING_ID)  # (batch, time)
        x = self.input_dropout(self.embeddings(source), training=training)
        values, *states = self.rnn(x, mask=mask, training=training)
        top = states[-self.rnn.states_per_layer :: self.states_per_direction]
        summary = self.summarize(ops.concatenate(top, axis=-1))  # (batch, units)
        return self.output_dropout(values, training=training), summary

    def compute_output_spec(self, source: Any, training: bool = False) -> tuple[Any, Any]:
        batch, time = source.shape
        return (
            keras.KerasTensor((batch, time, self.width), dtype=self.compute_dtype),
            keras.KerasTensor((batch, self.units), dtype=self.compute_dtype),
        )


@keras.saving.register_keras_serializable(package="kerasrnn")
class EncoderDecoderNetwork(Network):
    """Scores for each next token of a target, given the source and the tokens before it.

    `SequenceEncoder` reads the source; one of three decoders writes the target: `SummaryDecoder`
    (Cho et al. 2014), `AdditiveDecoder` (Bahdanau et al. 2015) or `MultiplicativeDecoder` (Luong et
    al. 2015). It takes ids, and knows nothing of text. Id 0 is the empty token: a target begins
    behind it and ends with it.

    Args:
        sources: the number of source ids, nothing (0) and unknown (1) among them.
        targets: the number of target ids, nothing and unknown among them.
        attention: `multiplicative`, `additive` or `none`. Both learn to align; the first is faster,
            since all steps of a known target are attended to in one product.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state; in the encoder, for each direction.
        depth: how many recurrent layers the encoder has, and the decoder.
        bidirectional: whether the source is read from both ends.
        source_dimension: the length of a source token's embedding.
        target_dimension: the length of a target token's embedding.
        dropout: the share of components dropped from embeddings, the encoder's outputs and the
            decoder's readout.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between recurrent layers.
        **kwargs: see `Network`.

    Call arguments:
        inputs: a dict of `source`, integers `(batch, time)`, 0 for padding; and `previous`,
            integers `(batch, steps)`, the target's ids moved on by one: 0 comes first.

    Returns:
        A dict of `scores`, float32 `(batch, steps, targets)`, and with attention `attention`,
        float32 `(batch, steps, time)`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks import EncoderDecoderNetwork
    >>> network = EncoderDecoderNetwork(sources=20, targets=10, units=8)
    >>> outputs = network({"source": np.array([[4, 2, 7], [3, 0, 0]]),
    ...                    "previous": np.array([[0, 5], [0, 6]])})
    >>> tuple(outputs["scores"].shape), tuple(outputs["attention"].shape)
    ((2, 2, 10), (2, 2, 3))
    """

    def __init__(
        self,
        sources: Count,
        targets: Count,
        *,
        attention: Annotated[str, OneOf(tuple(DECODERS))] = "multiplicative",
        cell: CellName = "gru",
        units: Count = 128,
        depth: Count = 1,
        bidirectional: bool = True,
        source_dimension: Count = 64,
        target_dimension: Count = 64,
        dropout: Share = 0.0,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        both = ("cell", "units", "depth", "dropout", "recurrent_dropout", "layer_dropout")
        options = {name: self.settings[name] for name in both} | {
            "dtype": kwargs.pop("dtype", None)
        }

        # === Layers ===
        encoder = SequenceEncoder(
            sources, source_dimension, bidirectional=bidirectional, name="encoder", **options
        )
        decoder = DECODERS[attention](targets, target_dimension, name="decoder", **options)

        # === Functional model ===
        inputs = {
            "source": keras.Input((None,), dtype="int32", name="source"),
            "previous": keras.Input((None,), dtype="int32", name="previous"),
        }
        mask = ops.not_equal(inputs["source"], NOTHING_ID)  # (batch, time)
        values, summary = encoder(inputs["source"])  # (batch, time, width), (batch, units)
        outputs = decoder(inputs["previous"], values, summary, mask=mask)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def encode(self, source: Any) -> tuple[dict[str, Any], list[Any]]:
        """Read a source, to write targets one step at a time.

        Args:
            source: integers `(batch, time)`, 0 for padding.

        Returns:
            What `step` needs to know of the source, a dict of tensors, and the states before the
            first step, a list of tensors; the first axis of each is the batch.
        """
        values, summary = self.get_layer("encoder")(source, training=False)
        decoder = self.get_layer("decoder")
        memory = decoder.remember(values, summary, ops.not_equal(source, NOTHING_ID))
        return memory, decoder.start(memory)

    def step(
        self, previous: Any, states: list[Any], memory: dict[str, Any]
    ) -> tuple[Any, list[Any], Any]:
        """One step of the decoder, which `call` does for all tokens of a known target.

        Args:
            previous: integers `(batch,)`, the token before; 0 at the first step.
            states: what `encode` or the step before returned.
            memory: what `encode` returned.

        Returns:
            Scores, float32 `(batch, targets)`; the new states; and the attention's weights,
            float32 `(batch, time)`, or None without attention.
        """
        return self.get_layer("decoder").step(previous, states, memory)
