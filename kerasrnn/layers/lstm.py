"""The LSTM layer."""

from typing import Any

import keras

from kerasrnn.cells import LSTMCell
from kerasrnn.layers.cell_layer import CellLayer, refuse_cudnn


@keras.saving.register_keras_serializable(package="kerasrnn")
class LSTM(CellLayer):
    """The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    A drop-in replacement for `keras.layers.LSTM`; the equations stand in `LSTMCell`.

    Args:
        units: positive integer, the length of the output.
        activation: g of the candidate.
        recurrent_activation: σ of the gates.
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
        unit_forget_bias: whether 1 is the initial value of the forget gate's bias.
        use_cudnn: "auto" or False; this layer does not call cuDNN.
        implementation: 0, 1 or 2, as Keras takes it; without effect.
        **kwargs: `zero_output_for_mask` and `segment_length` of `RNN`, and those of
            `keras.layers.Layer`.

    Call arguments and return value: see `RNN`; two states, a and c.

    Raises:
        ValueError: `use_cudnn` is true, or `implementation` none of Keras's.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import LSTM
    >>> layer = LSTM(4, return_sequences=True)
    >>> mask = np.array([[True, True, True], [True, False, False]])
    >>> tuple(layer(np.ones((2, 3, 5), "float32"), mask=mask).shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        refuse_cudnn(use_cudnn)
        cell = LSTMCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            implementation=implementation,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="lstm_cell",
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
        self.use_cudnn = use_cudnn
