"""The decoders of the encoder-decoder: from one vector, or with one of two attentions.

Cho et al. (2014), Bahdanau et al. (2015), Luong et al. (2015).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasrnn.cells import cell_by_name
from kerasrnn.layers import BahdanauAttention, DeepRNN, LuongAttention
from kerasrnn.networks.options import CellName, Configured, Count, Share
from kerasrnn.networks.words import embedding_layer
from kerasrnn.recurrence import bind, scan


class SequenceDecoder(Configured):
    r"""What the decoders share: initial states, the readout, and the scores of the next token.

    .. math::
        s^{<0>} &= \tanh(V' c + b') \\
        r^{<t>} &= \tanh(W_r [s^{<t>}; c^{<t>}; E y^{<t-1>}] + b_r) \\
        \hat y^{<t>} &= W_y r^{<t>} + b_y

    with :math:`y^{<0>}` the empty token and one :math:`s^{<0>}` for each state of each layer. A
    subclass says where the context :math:`c^{<t>}` comes from and what the recurrent layers read.

    A decoder runs in two ways that give the same scores: `call` on all steps of a known target,
    each step given the right token before it; and `start` and `step`, one step at a time.

    Args:
        size: the number of target ids, nothing (0) and unknown (1) among them.
        dimension: the length of a token's embedding.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, of the readout, and of the attention's layer.
        depth: how many recurrent layers.
        dropout: the share of components dropped from embeddings and from the readout.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between the recurrent layers.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        previous: integers `(batch, steps)`, the target's tokens before each step.
        values: `(batch, time, value_dim)`, the encoder's.
        summary: `(batch, units)`, the encoder's.
        mask: booleans `(batch, time)`, true where the source has a token.

    Returns:
        A dict of `scores`, float32 `(batch, steps, size)`, and, where there is attention,
        `attention`, float32 `(batch, steps, time)`.
    """

    attends = False

    def __init__(
        self,
        size: Count,
        dimension: Count,
        *,
        cell: CellName,
        units: Count,
        depth: Count = 1,
        dropout: Share = 0.0,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        dtype = self.dtype_policy
        self.size = size
        self.dimension = dimension
        self.units = units
        self.states_per_layer = 2 if cell == "lstm" else 1
        self.embeddings = embedding_layer(size, dimension, dtype=dtype)
        self.input_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")
        self.bridge = keras.layers.Dense(
            units * depth * self.states_per_layer, "tanh", dtype=dtype, name="bridge"
        )
        self.make_layers()
        self.readout = keras.layers.Dense(units, "tanh", dtype=dtype, name="readout")
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")
        self.piece_scores = keras.layers.Dense(size, dtype="float32", name="piece_scores")

    # === What a subclass defines ===

    def make_layers(self) -> None:
        """Make the recurrent layers and the attention."""
        raise NotImplementedError

    def build_layers(self, value_dim: int) -> int:
        """Build them; returns the length of the context."""
        raise NotImplementedError

    def unfold(self, y: Any, states: list[Any], memory: dict[str, Any], training: bool) -> Any:
        """All steps: hidden states, contexts `(batch, steps, …)`, and weights or None."""
        raise NotImplementedError

    def advance(self, y: Any, states: list[Any], memory: dict[str, Any]) -> Any:
        """One step: hidden state, context `(batch, …)`, weights or None, and new states."""
        raise NotImplementedError

    # === Both ways to run ===

    def build(self, previous_shape: Any, values_shape: Any, summary_shape: Any) -> None:
        self.embeddings.build((None, None))
        self.bridge.build((None, summary_shape[-1]))
        context = self.build_layers(values_shape[-1])
        self.readout.build((None, self.units + context + self.dimension))
        self.piece_scores.build((None, self.units))
        self.built = True

    def call(
        self, previous: Any, values: Any, summary: Any, mask: Any = None, training: bool = False
    ) -> dict[str, Any]:
        memory = self.remember(values, summary, mask)
        y = self.input_dropout(self.embeddings(previous), training=training)
        hidden, context, weights = self.unfold(y, self.start(memory), memory, training)
        outputs = {"scores": self.read_out(hidden, context, y, training)}
        if self.attends:
            outputs["attention"] = ops.cast(weights, "float32")
        return outputs

    def remember(self, values: Any, summary: Any, mask: Any = None) -> dict[str, Any]:
        """What the steps need of the source, each tensor with the batch as its first axis."""
        memory = {"values": values, "summary": summary}
        if mask is not None:
            memory["mask"] = mask
        return memory

    def start(self, memory: dict[str, Any]) -> list[Any]:
        """The states before the first step, each `(batch, units)`."""
        states = self.bridge(memory["summary"])
        return list(ops.split(states, states.shape[-1] // self.units, axis=-1))

    def step(
        self, previous: Any, states: list[Any], memory: dict[str, Any]
    ) -> tuple[Any, list[Any], Any]:
        """One step.

        Args:
            previous: integers `(batch,)`, the token before this step; 0 at the first.
            states: what `start` or the step before returned.
            memory: what `remember` returned.

        Returns:
            Scores, float32 `(batch, size)`; the new states; and the attention's weights, float32
            `(batch, time)`, or None.
        """
        y = self.embeddings(previous)  # (batch, dimension)
        hidden, context, weights, states = self.advance(y, states, memory)
        if weights is not None:
            weights = ops.cast(weights, "float32")
        return self.read_out(hidden, context, y, False), states, weights

    def read_out(self, hidden: Any, context: Any, y: Any, training: bool) -> Any:
        r = self.readout(ops.concatenate([hidden, context, y], axis=-1))
        return self.piece_scores(self.output_dropout(r, training=training))

    def compute_output_spec(
        self, previous: Any, values: Any, summary: Any, mask: Any = None, training: bool = False
    ) -> dict[str, Any]:
        batch, steps = previous.shape
        outputs = {"scores": keras.KerasTensor((batch, steps, self.size), dtype="float32")}
        if self.attends:
            shape = (batch, steps, values.shape[1])
            outputs["attention"] = keras.KerasTensor(shape, dtype="float32")
        return outputs

    def compute_mask(self, previous: Any, previous_mask: Any = None) -> None:
        return None  # the readers of the scores know where a target ends

    def deep_rnn(self, depth: int) -> DeepRNN:
        """A stack of recurrent layers with the decoder's options."""
        options = {**self.recurrent_options, "depth": depth}
        return DeepRNN(**options, dtype=self.dtype_policy, name="rnn")


@keras.saving.register_keras_serializable(package="kerasrnn")
class SummaryDecoder(SequenceDecoder):
    r"""Decodes from one vector, which each step sees: the RNN encoder-decoder itself.

    .. math::
        s^{<t>} = DeepRNN([E y^{<t-1>}; c], s^{<t-1>}), \quad c^{<t>} = c

    Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder for Statistical
    Machine Translation", section 2.2 and appendix A.1.2.

    Args: see `SequenceDecoder`.
    """

    def make_layers(self) -> None:
        self.rnn = self.deep_rnn(self.settings["depth"])

    def build_layers(self, value_dim: int) -> int:
        self.rnn.build((None, None, self.dimension + self.units))
        return self.units

    def unfold(self, y, states, memory, training):
        c = ops.expand_dims(memory["summary"], 1)
        c = ops.broadcast_to(c, (*ops.shape(y)[:2], self.units))  # (batch, steps, units)
        x = ops.concatenate([y, c], axis=-1)
        return self.rnn(x, initial_state=states, training=training), c, None

    def advance(self, y, states, memory):
        c = memory["summary"]
        hidden, states = self.rnn.step(ops.concatenate([y, c], axis=-1), states)
        return hidden, c, None, states


@keras.saving.register_keras_serializable(package="kerasrnn")
class AdditiveDecoder(SequenceDecoder):
    r"""Looks at the source before each step, from the state before it, by additive attention.

    .. math::
        c^{<t>} &= attention(s^{[1]<t-1>}, h) \\
        s^{[1]<t>} &= cell([E y^{<t-1>}; c^{<t>}], s^{[1]<t-1>}) \\
        s^{<t>} &= DeepRNN([s^{[1]<t>}; c^{<t>}], s^{<t-1>})

    Bahdanau, Cho and Bengio (2015), "Neural Machine Translation by Jointly Learning to Align and
    Translate", section 3.1. The last line is for the layers above the first, and missing at a depth
    of 1. What needs no state is computed for all steps at once: the keys of the source, and the
    product of the embeddings with their part of the cell's kernel.

    Args: see `SequenceDecoder`.
    """

    attends = True

    def make_layers(self) -> None:
        options, dtype = self.settings, self.dtype_policy
        self.attention = BahdanauAttention(self.units, dtype=dtype, name="attention")
        self.cell = cell_by_name(options["cell"])(
            self.units, recurrent_dropout=options["recurrent_dropout"], dtype=dtype, name="cell"
        )
        self.layer_dropout = keras.layers.Dropout(
            options["layer_dropout"], dtype=dtype, name="layer_dropout"
        )
        self.rnn: DeepRNN | None = None
        if options["depth"] > 1:
            self.rnn = self.deep_rnn(options["depth"] - 1)

    def build_layers(self, value_dim: int) -> int:
        self.attention.build((None, self.units), (None, None, value_dim))
        self.cell.build((None, self.dimension + value_dim))
        if self.rnn is not None:
            self.rnn.build((None, None, self.units + value_dim))
        return value_dim

    def remember(self, values, summary, mask=None):
        keys = self.attention.project(values)
        return {**super().remember(values, summary, mask), "keys": keys}

    def _look(self, state, memory):
        return self.attention.attend(state, memory["keys"], memory["values"], memory.get("mask"))

    def unfold(self, y, states, memory, training):
        cell = self.cell
        kernel = ops.cast(ops.convert_to_tensor(cell.kernel), self.compute_dtype)
        W_y, W_c = kernel[: self.dimension], kernel[self.dimension :]
        # Computed here once, and not in the loop.
        weights = {"recurrent_weights": cell.recurrent_weights}
        if training and cell.recurrent_dropout > 0:
            weights["recurrent_mask"] = cell.get_recurrent_dropout_mask(states[0])
            cell.reset_recurrent_dropout_mask()
        bound = bind(cell, **weights)
        projected = bind(cell, kernel=W_y).project(ops.swapaxes(y, 0, 1))  # (steps, batch, columns)

        def step(states, projected_y):
            c, alphas = self._look(states[0], memory)
            s, states = bound.step(projected_y + ops.matmul(c, W_c), tuple(states))
            return tuple(states), (s, c, alphas)

        split = self.states_per_layer
        _, sequences = scan(step, tuple(states[:split]), projected)
        hidden, context, alphas = (ops.swapaxes(sequence, 0, 1) for sequence in sequences)
        if self.rnn is not None:
            x = self.layer_dropout(hidden, training=training)
            x = ops.concatenate([x, context], axis=-1)
            hidden = self.rnn(x, initial_state=states[split:], training=training)
        return hidden, context, alphas

    def advance(self, y, states, memory):
        split = self.states_per_layer
        c, alphas = self._look(states[0], memory)
        hidden, lowest = self.cell(ops.concatenate([y, c], axis=-1), states[:split])
        upper: list[Any] = []
        if self.rnn is not None:
            x = ops.concatenate([hidden, c], axis=-1)
            hidden, upper = self.rnn.step(x, states[split:])
        return hidden, c, alphas, [*lowest, *upper]


@keras.saving.register_keras_serializable(package="kerasrnn")
class MultiplicativeDecoder(SequenceDecoder):
    r"""Looks at the source behind each step, from the state after it, by multiplicative attention.

    .. math::
        s^{<t>} &= DeepRNN(E y^{<t-1>}, s^{<t-1>}) \\
        c^{<t>} &= attention(s^{<t>}, h)

    the global attention of Luong, Pham and Manning (2015), "Effective Approaches to Attention-based
    Neural Machine Translation", section 3.1, without input feeding: the context enters the readout
    and not the next step, so that all steps of a known target are attended to in one product.

    Args: see `SequenceDecoder`.
    """

    attends = True

    def make_layers(self) -> None:
        self.rnn = self.deep_rnn(self.settings["depth"])
        self.attention = LuongAttention(dtype=self.dtype_policy, name="attention")

    def build_layers(self, value_dim: int) -> int:
        self.rnn.build((None, None, self.dimension))
        self.attention.build((None, self.units), (None, None, value_dim))
        return value_dim

    def remember(self, values, summary, mask=None):
        keys = self.attention.project(values)
        return {**super().remember(values, summary, mask), "keys": keys}

    def _look(self, hidden, memory):
        return self.attention.attend(hidden, memory["keys"], memory["values"], memory.get("mask"))

    def unfold(self, y, states, memory, training):
        hidden = self.rnn(y, initial_state=states, training=training)
        return hidden, *self._look(hidden, memory)

    def advance(self, y, states, memory):
        hidden, states = self.rnn.step(y, states)
        return hidden, *self._look(hidden, memory), states


DECODERS: dict[str, type[SequenceDecoder]] = {
    "none": SummaryDecoder,
    "additive": AdditiveDecoder,
    "multiplicative": MultiplicativeDecoder,
}
