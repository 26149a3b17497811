"""The full GRU, its reset gate before the matrix product."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from kerasrnn.cells.cell import Cell, checked_implementation
from kerasrnn.cells.derivatives import derivative


class GRUGates(NamedTuple):
    """Γu, Γr and c̃ of a GRU."""

    update: Any
    reset: Any
    candidate: Any


@keras.saving.register_keras_serializable(package="kerasrnn")
class GRUCell(Cell):
    r"""The full GRU (Cho et al. 2014; Chung et al. 2014).

    .. math::

        \Gamma_u &= \sigma(W_u [c^{<t-1>}; x^{<t>}] + b_u) \\
        \Gamma_r &= \sigma(W_r [c^{<t-1>}; x^{<t>}] + b_r) \\
        \tilde c^{<t>} &= \tanh(W_c [\Gamma_r \circ c^{<t-1>}; x^{<t>}] + b_c) \\
        c^{<t>} &= \Gamma_u \circ \tilde c^{<t>} + (1 - \Gamma_u) \circ c^{<t-1>} \\
        a^{<t>} &= c^{<t>}

    The reset gate acts *before* the matrix product, and :math:`\Gamma_u = 1` takes the *new* value.
    Keras's z keeps the old one, z = 1 − Γu, and its default `reset_after=True` is another cell:
    `kerasrnn.convert` ports the weights. Each W is `[recurrent_kernel; kernel]`, with the columns
    in three blocks:

    =============  ===================  ==========================
    columns        symbol               name of the block
    =============  ===================  ==========================
    0 to H         W_u, b_u             z (the update gate)
    H to 2H        W_r, b_r             r (the reset gate)
    2H to 3H       W_c, b_c             h (the candidate)
    =============  ===================  ==========================

    where H is `units`; `kernel` is `(input_dim, 3H)`, `recurrent_kernel` `(H, 3H)`, `bias` `(3H,)`.

    Args:
        units: positive integer H, the length of c.
        activation: g of the candidate, tanh in the equations.
        recurrent_activation: σ of the gates.
        reset_after: must be False; it is here so that Keras's arguments can be passed on.
        implementation: 0, 1 or 2, as Keras takes it; without effect.
        **kwargs: see `Cell`.

    Call arguments: `inputs` `(batch, input_dim)` and `states`, a list of one tensor
    `(batch, units)`; returns c, and the list of it.

    Raises:
        ValueError: `reset_after` is true, or `implementation` none of Keras's.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.cells import GRUCell
    >>> cell = GRUCell(4)
    >>> c, [state] = cell(np.ones((2, 3), "float32"), cell.get_initial_state(batch_size=2))
    >>> tuple(c.shape)
    (2, 4)
    """

    argument_order: ClassVar[type] = keras.layers.GRUCell
    blocks: ClassVar[tuple[str, ...]] = ("z", "r", "h")
    gates_type: ClassVar[type] = GRUGates
    chrono_signs: ClassVar[Mapping[str, int]] = {"z": -1}

    def __init__(
        self, units: int, *, reset_after: bool = False, implementation: int = 2, **kwargs: Any
    ) -> None:
        if reset_after:
            raise ValueError(
                "`reset_after=True` is another cell, with the reset gate after the matrix product. "
                "GRUCell resets before it: expected reset_after=False, or use keras.layers.GRUCell."
            )
        super().__init__(units, **kwargs)
        self.reset_after = False
        self.implementation = checked_implementation(implementation)

    def split_recurrent_kernel(self, W) -> tuple:
        return W[..., : 2 * self.units], W[..., 2 * self.units :]

    def gates(self, projected, states):
        (c,) = states
        W_ur, W_c = self.recurrent_weights
        x_ur, x_c = ops.split(projected, [2 * self.units], axis=-1)
        z_ur = ops.matmul(self.dropped(c), W_ur) + x_ur
        Γu, Γr = ops.split(self.recurrent_activation(z_ur), 2, axis=-1)
        c_tilde = self.activation(ops.matmul(self.dropped(Γr * c), W_c) + x_c)
        return GRUGates(Γu, Γr, c_tilde)

    def update(self, gates, states):
        Γu, _, c_tilde = gates
        (c,) = states
        c = Γu * c_tilde + (1 - Γu) * c
        return c, (c,)

    # === Derivative ===

    def step_gradient(self, d_states, gates, states, new_states, transposed_weights):
        (dc,), (c,), (W_ur_T, W_c_T) = d_states, states, transposed_weights
        Γu, Γr, c_tilde = gates
        σ, g = self.recurrent_activation, self.activation
        dz_u = dc * (c_tilde - c) * derivative(σ, Γu)
        dz_c = dc * Γu * derivative(g, c_tilde)
        d_reset_c = self.dropped(ops.matmul(dz_c, W_c_T))
        dz_r = d_reset_c * c * derivative(σ, Γr)
        dz_ur = ops.concatenate([dz_u, dz_r], axis=-1)
        dc = dc * (1 - Γu) + d_reset_c * Γr + self.dropped(ops.matmul(dz_ur, W_ur_T))
        return ops.concatenate([dz_ur, dz_c], axis=-1), (dc,)

    def recurrent_gradients(self, dz, gates, states):
        (c,) = states
        dz_ur, dz_c = ops.split(dz, [2 * self.units], axis=-1)
        return (self.dropped(c), dz_ur), (self.dropped(gates.reset * c), dz_c)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_after": self.reset_after}
