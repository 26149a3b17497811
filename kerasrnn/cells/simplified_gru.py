"""The GRU with an update gate only."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from kerasrnn.cells.cell import Cell
from kerasrnn.cells.derivatives import derivative


class SimplifiedGRUGates(NamedTuple):
    """Γu and c̃ of a simplified GRU."""

    update: Any
    candidate: Any


@keras.saving.register_keras_serializable(package="kerasrnn")
class SimplifiedGRUCell(Cell):
    r"""The GRU with an update gate only, the UGRNN of Collins et al. (2016).

    .. math::

        \tilde c^{<t>} &= \tanh(W_c [c^{<t-1>}; x^{<t>}] + b_c) \\
        \Gamma_u &= \sigma(W_u [c^{<t-1>}; x^{<t>}] + b_u) \\
        c^{<t>} &= \Gamma_u \circ \tilde c^{<t>} + (1 - \Gamma_u) \circ c^{<t-1>} \\
        a^{<t>} &= c^{<t>}

    :math:`\Gamma_u = 1` takes the *new* value. Each W is `[recurrent_kernel; kernel]`, with the
    columns in two blocks:

    =============  ===================  ==========================
    columns        symbol               name of the block
    =============  ===================  ==========================
    0 to H         W_u, b_u             z (the update gate)
    H to 2H        W_c, b_c             h (the candidate)
    =============  ===================  ==========================

    where H is `units`; `kernel` is `(input_dim, 2H)`, `recurrent_kernel` `(H, 2H)`, `bias` `(2H,)`.

    Args:
        units: positive integer H, the length of c.
        activation: g of the candidate, tanh in the equations.
        recurrent_activation: σ of the gate.
        **kwargs: see `Cell`.

    Call arguments: `inputs` `(batch, input_dim)` and `states`, a list of one tensor
    `(batch, units)`; returns c, and the list of it.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.cells import SimplifiedGRUCell
    >>> cell = SimplifiedGRUCell(4)
    >>> c, [state] = cell(np.ones((2, 3), "float32"), cell.get_initial_state(batch_size=2))
    >>> tuple(c.shape)
    (2, 4)
    """

    argument_order: ClassVar[type] = keras.layers.GRUCell
    blocks: ClassVar[tuple[str, ...]] = ("z", "h")
    gates_type: ClassVar[type] = SimplifiedGRUGates
    chrono_signs: ClassVar[Mapping[str, int]] = {"z": -1}

    def gates(self, projected, states):
        (c,) = states
        (W,) = self.recurrent_weights
        z_u, z_c = ops.split(ops.matmul(self.dropped(c), W) + projected, 2, axis=-1)
        return SimplifiedGRUGates(self.recurrent_activation(z_u), self.activation(z_c))

    def update(self, gates, states):
        Γu, c_tilde = gates
        (c,) = states
        c = Γu * c_tilde + (1 - Γu) * c
        return c, (c,)

    # === Derivative ===

    def step_gradient(self, d_states, gates, states, new_states, transposed_weights):
        (dc,), (c,), (W_T,) = d_states, states, transposed_weights
        Γu, c_tilde = gates
        dz_u = dc * (c_tilde - c) * derivative(self.recurrent_activation, Γu)
        dz_c = dc * Γu * derivative(self.activation, c_tilde)
        dz = ops.concatenate([dz_u, dz_c], axis=-1)
        return dz, (dc * (1 - Γu) + self.dropped(ops.matmul(dz, W_T)),)

    def recurrent_gradients(self, dz, gates, states):
        return ((self.dropped(states[0]), dz),)
