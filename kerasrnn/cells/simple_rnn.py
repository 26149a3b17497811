"""The simple recurrent cell."""

from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from kerasrnn.cells.cell import Cell
from kerasrnn.cells.derivatives import derivative


class SimpleRNNGates(NamedTuple):
    """The activations of a simple recurrent cell."""

    activation: Any


@keras.saving.register_keras_serializable(package="kerasrnn")
class SimpleRNNCell(Cell):
    r"""The simple recurrent cell (Elman 1990).

    .. math::

        a^{<t>} = g(W_a [a^{<t-1>}; x^{<t>}] + b_a)

    with g = tanh. :math:`W_a` is `[recurrent_kernel; kernel]`, :math:`b_a` is `bias`:

    ================  =======================  =====================
    symbol            weight                   shape
    ================  =======================  =====================
    W_aa              `recurrent_kernel`       `(units, units)`
    W_ax              `kernel`                 `(input_dim, units)`
    b_a               `bias`                   `(units,)`
    ================  =======================  =====================

    Args:
        units: positive integer, the length of a.
        activation: g.
        **kwargs: see `Cell`.

    Call arguments: `inputs` `(batch, input_dim)` and `states`, a list of one tensor
    `(batch, units)`; returns a, and the list of it.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.cells import SimpleRNNCell
    >>> cell = SimpleRNNCell(4)
    >>> a, [state] = cell(np.ones((2, 3), "float32"), cell.get_initial_state(batch_size=2))
    >>> tuple(a.shape)
    (2, 4)
    """

    argument_order: ClassVar[type] = keras.layers.SimpleRNNCell
    blocks: ClassVar[tuple[str, ...]] = ("a",)
    gates_type: ClassVar[type] = SimpleRNNGates

    def gates(self, projected, states):
        (a,) = states
        (W,) = self.recurrent_weights
        return SimpleRNNGates(self.activation(ops.matmul(self.dropped(a), W) + projected))

    def update(self, gates, states):
        (a,) = gates
        return a, (a,)

    # === Derivative ===

    def step_gradient(self, d_states, gates, states, new_states, transposed_weights):
        (da,), (a,), (W_T,) = d_states, gates, transposed_weights
        dz = da * derivative(self.activation, a)
        return dz, (self.dropped(ops.matmul(dz, W_T)),)

    def recurrent_gradients(self, dz, gates, states):
        return ((self.dropped(states[0]), dz),)
