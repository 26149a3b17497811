"""The simple recurrent layer."""

from typing import Any

import keras

from kerasrnn.cells import SimpleRNNCell
from kerasrnn.layers.cell_layer import CellLayer


@keras.saving.register_keras_serializable(package="kerasrnn")
class SimpleRNN(CellLayer):
    """The simple recurrent layer (Elman 1990).

    A drop-in replacement for `keras.layers.SimpleRNN`; the equations stand in `SimpleRNNCell`.

    Args:
        units: positive integer, the length of the output.
        activation: g.
        use_bias: whether b is added.
        kernel_initializer, recurrent_initializer, bias_initializer: initialisers of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: regularisers of the weights.
        activity_regularizer: regulariser of the output.
        kernel_constraint, recurrent_constraint, bias_constraint: constraints of the weights.
        dropout: share of the input's components to drop, one mask for the whole sequence.
        recurrent_dropout: share of the state's components to drop where the state enters a
            matrix product, one mask for the whole sequence.
        seed: integer, seed of the dropout masks.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        **kwargs: `zero_output_for_mask` and `segment_length` of `RNN`, and those of
            `keras.layers.Layer`.

    Call arguments and return value: see `RNN`; one state.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import SimpleRNN
    >>> layer = SimpleRNN(4, return_sequences=True)
    >>> mask = np.array([[True, True, True], [True, False, False]])
    >>> tuple(layer(np.ones((2, 3, 5), "float32"), mask=mask).shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        cell = SimpleRNNCell(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="simple_rnn_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
