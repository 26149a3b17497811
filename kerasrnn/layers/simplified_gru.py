"""The layer of the GRU with an update gate only."""

from typing import ClassVar

import keras

from kerasrnn.cells import Cell, SimplifiedGRUCell
from kerasrnn.layers.cell_layer import CellLayer


@keras.saving.register_keras_serializable(package="kerasrnn")
class SimplifiedGRU(CellLayer):
    """The GRU with an update gate only, the UGRNN of Collins et al. (2016).

    A drop-in replacement for a Keras recurrent layer; the equations stand in `SimplifiedGRUCell`.

    Args:
        units: positive integer, the length of the output.
        activity_regularizer: regulariser of the output.
        **kwargs: the arguments of `SimplifiedGRUCell`, which `Cell` explains; those of `RNN`, from
            `return_sequences` on; and those of `keras.layers.Layer`.

    Call arguments and return value: see `RNN`; one state.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import SimplifiedGRU
    >>> layer = SimplifiedGRU(4, return_sequences=True)
    >>> mask = np.array([[True, True, True], [True, False, False]])
    >>> tuple(layer(np.ones((2, 3, 5), "float32"), mask=mask).shape)
    (2, 3, 4)
    """

    cell_class: ClassVar[type[Cell]] = SimplifiedGRUCell
    cell_name: ClassVar[str] = "simplified_gru_cell"
    argument_order: ClassVar[type] = keras.layers.GRU
