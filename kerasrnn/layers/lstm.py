"""The LSTM layer."""

from typing import Any, ClassVar

import keras

from kerasrnn.cells import Cell, LSTMCell
from kerasrnn.layers.cell_layer import CellLayer, refuse_cudnn


@keras.saving.register_keras_serializable(package="kerasrnn")
class LSTM(CellLayer):
    """The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    A drop-in replacement for `keras.layers.LSTM`; the equations stand in `LSTMCell`.

    Args:
        units: positive integer, the length of the output.
        use_cudnn: "auto" or False; this layer does not call cuDNN.
        activity_regularizer: regulariser of the output.
        **kwargs: the arguments of `LSTMCell`, which `Cell` explains; those of `RNN`, from
            `return_sequences` on; and those of `keras.layers.Layer`.

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

    cell_class: ClassVar[type[Cell]] = LSTMCell
    cell_name: ClassVar[str] = "lstm_cell"
    argument_order: ClassVar[type] = keras.layers.LSTM

    def __init__(self, units: int, *, use_cudnn: bool | str = "auto", **kwargs: Any) -> None:
        refuse_cudnn(use_cudnn)
        super().__init__(units, **kwargs)
        self.use_cudnn = use_cudnn
