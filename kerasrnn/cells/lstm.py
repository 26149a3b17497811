"""The LSTM cell."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import keras
from keras import ops

from kerasrnn.cells.cell import Cell, checked_implementation
from kerasrnn.cells.chrono import Chrono
from kerasrnn.cells.derivatives import derivative


class LSTMGates(NamedTuple):
    """Γu, Γf, c̃ and Γo of an LSTM."""

    update: Any
    forget: Any
    candidate: Any
    output: Any


@keras.saving.register_keras_serializable(package="kerasrnn")
class LSTMCell(Cell):
    r"""The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    .. math::

        \Gamma_u &= \sigma(W_u [a^{<t-1>}; x^{<t>}] + b_u) \\
        \Gamma_f &= \sigma(W_f [a^{<t-1>}; x^{<t>}] + b_f) \\
        \tilde c^{<t>} &= \tanh(W_c [a^{<t-1>}; x^{<t>}] + b_c) \\
        \Gamma_o &= \sigma(W_o [a^{<t-1>}; x^{<t>}] + b_o) \\
        c^{<t>} &= \Gamma_u \circ \tilde c^{<t>} + \Gamma_f \circ c^{<t-1>} \\
        a^{<t>} &= \Gamma_o \circ \tanh(c^{<t>})

    Each W is `[recurrent_kernel; kernel]`, with the columns in four blocks, named as in Keras:

    =============  ===================  ==============================
    columns        symbol               name of the block
    =============  ===================  ==============================
    0 to H         W_u, b_u             i (the update, or input, gate)
    H to 2H        W_f, b_f             f (the forget gate)
    2H to 3H       W_c, b_c             c (the candidate)
    3H to 4H       W_o, b_o             o (the output gate)
    =============  ===================  ==============================

    where H is `units`; `kernel` is `(input_dim, 4H)`, `recurrent_kernel` `(H, 4H)`, `bias` `(4H,)`.

    Args:
        units: positive integer H, the length of a and of c.
        activation: tanh in both of the equations above.
        recurrent_activation: σ of the gates.
        unit_forget_bias: whether 1 is the initial value of b_f, so that the cell starts by
            remembering (Jozefowicz et al. 2015). `Chrono` sets b_f itself.
        implementation: 0, 1 or 2, as Keras takes it; without effect.
        **kwargs: see `Cell`.

    Call arguments: `inputs` `(batch, input_dim)` and `states`, the list `[a, c]` of tensors
    `(batch, units)`; returns a, and the list `[a, c]`.

    Raises:
        ValueError: `implementation` is none of Keras's.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.cells import LSTMCell
    >>> cell = LSTMCell(4)
    >>> a, [a, c] = cell(np.ones((2, 3), "float32"), cell.get_initial_state(batch_size=2))
    >>> tuple(c.shape)
    (2, 4)
    """

    argument_order: ClassVar[type] = keras.layers.LSTMCell
    blocks: ClassVar[tuple[str, ...]] = ("i", "f", "c", "o")
    gates_type: ClassVar[type] = LSTMGates
    chrono_signs: ClassVar[Mapping[str, int]] = {"i": -1, "f": 1}

    def __init__(
        self, units: int, *, unit_forget_bias: bool = True, implementation: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(units, **kwargs)
        self.unit_forget_bias = unit_forget_bias
        self.implementation = checked_implementation(implementation)
        self.state_size = [units, units]

    def _initial_bias(self, shape, dtype=None):
        bias = super()._initial_bias(shape, dtype=dtype)
        if not self.unit_forget_bias or isinstance(self.bias_initializer, Chrono):
            return bias
        H = self.units
        return ops.concatenate([bias[:H], ops.ones((H,), dtype=bias.dtype), bias[2 * H :]])

    def gates(self, projected, states):
        a, _ = states
        (W,) = self.recurrent_weights
        z_u, z_f, z_c, z_o = ops.split(ops.matmul(self.dropped(a), W) + projected, 4, axis=-1)
        σ, g = self.recurrent_activation, self.activation
        return LSTMGates(σ(z_u), σ(z_f), g(z_c), σ(z_o))

    def update(self, gates, states):
        Γu, Γf, c_tilde, Γo = gates
        _, c = states
        c = Γu * c_tilde + Γf * c
        a = Γo * self.activation(c)
        return a, (a, c)

    # === Derivative ===

    def step_gradient(self, d_states, gates, states, new_states, transposed_weights):
        (da, dc), (W_T,) = d_states, transposed_weights
        Γu, Γf, c_tilde, Γo = gates
        (_, c_before), (_, c) = states, new_states
        σ, g = self.recurrent_activation, self.activation
        g_c = g(c)
        dc = dc + da * Γo * derivative(g, g_c)
        dz_u = dc * c_tilde * derivative(σ, Γu)
        dz_f = dc * c_before * derivative(σ, Γf)
        dz_c = dc * Γu * derivative(g, c_tilde)
        dz_o = da * g_c * derivative(σ, Γo)
        dz = ops.concatenate([dz_u, dz_f, dz_c, dz_o], axis=-1)
        return dz, (self.dropped(ops.matmul(dz, W_T)), dc * Γf)

    def recurrent_gradients(self, dz, gates, states):
        return ((self.dropped(states[0]), dz),)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
