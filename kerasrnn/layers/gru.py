"""The layer of the full GRU."""

from typing import Any, ClassVar

import keras

from kerasrnn.cells import Cell, GRUCell
from kerasrnn.layers.cell_layer import CellLayer, refuse_cudnn


@keras.saving.register_keras_serializable(package="kerasrnn")
class GRU(CellLayer):
    """The full GRU, its reset gate before the matrix product (Cho et al. 2014).

    A drop-in replacement for `keras.layers.GRU`; the equations stand in `GRUCell`.

    Args:
        units: positive integer, the length of the output.
        use_cudnn: "auto" or False; cuDNN has no such recurrence.
        activity_regularizer: regulariser of the output.
        **kwargs: the arguments of `GRUCell`, which `Cell` explains; those of `RNN`, from
            `return_sequences` on; and those of `keras.layers.Layer`.

    Call arguments and return value: see `RNN`; one state.

    Raises:
        ValueError: `use_cudnn` or `reset_after` is true, or `implementation` none of Keras's.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import GRU
    >>> layer = GRU(4, return_sequences=True)
    >>> mask = np.array([[True, True, True], [True, False, False]])
    >>> tuple(layer(np.ones((2, 3, 5), "float32"), mask=mask).shape)
    (2, 3, 4)
    """

    cell_class: ClassVar[type[Cell]] = GRUCell
    cell_name: ClassVar[str] = "gru_cell"
    argument_order: ClassVar[type] = keras.layers.GRU

    def __init__(self, units: int, *, use_cudnn: bool | str = "auto", **kwargs: Any) -> None:
        refuse_cudnn(use_cudnn)
        super().__init__(units, **kwargs)
        self.use_cudnn = use_cudnn
