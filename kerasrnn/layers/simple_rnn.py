"""The simple recurrent layer."""

from typing import ClassVar

import keras

from kerasrnn.cells import Cell, SimpleRNNCell
from kerasrnn.layers.cell_layer import CellLayer


@keras.saving.register_keras_serializable(package="kerasrnn")
class SimpleRNN(CellLayer):
    """The simple recurrent layer (Elman 1990).

    A drop-in replacement for `keras.layers.SimpleRNN`; the equations stand in `SimpleRNNCell`.

    Args:
        units: positive integer, the length of the output.
        activity_regularizer: regulariser of the output.
        **kwargs: the arguments of `SimpleRNNCell`, which `Cell` explains; those of `RNN`, from
            `return_sequences` on; and those of `keras.layers.Layer`.

    Call arguments and return value: see `RNN`; one state.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import SimpleRNN
    >>> layer = SimpleRNN(4, return_sequences=True)
    >>> mask = np.array([[True, True, True], [True, False, False]])
    >>> tuple(layer(np.ones((2, 3, 5), "float32"), mask=mask).shape)
    (2, 3, 4)
    """

    cell_class: ClassVar[type[Cell]] = SimpleRNNCell
    cell_name: ClassVar[str] = "simple_rnn_cell"
    argument_order: ClassVar[type] = keras.layers.SimpleRNN
