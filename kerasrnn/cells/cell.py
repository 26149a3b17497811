"""What all cells share: weights, dropout and the split of a step into `project` and `step`."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

# Keras's own RNN layer gives one dropout mask to the whole sequence only to cells of this class.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from kerasrnn.cells.arguments import arguments_of, in_the_order_of
from kerasrnn.cells.chrono import Chrono
from kerasrnn.cells.derivatives import has_derivative
from kerasrnn.recurrence import product


class Cell(DropoutRNNCell, keras.layers.Layer):
    r"""Base of the textbook cells; each subclass adds its equations.

    A cell is split in two, so that a scan can do the first part for all time steps at once:

    - `project(inputs)`: what does not depend on the state, :math:`W_x x + b`;
    - `step(projected, states)`: the recurrence, returning the output and the new states.

    `call` is `step(project(inputs), states)`, Keras's cell contract. A cell of your own needs only
    these two methods, `state_size` and its weights; it is then differentiated automatically.

    The cells of this package also carry their derivative by hand, in two methods that the backward
    pass of `kerasrnn.layers` uses: `step_gradient(d_states, gates, states, new_states,
    transposed_weights)` returns ∂L/∂z and ∂L/∂states of one step, and `recurrent_gradients(dz,
    gates, states)` the pairs of factors whose products are the gradients of the recurrent weights
    (see `docs/backpropagation.md`).

    Args:
        units: positive integer, the length of the state.
        activation: g, the activation of the output or of the candidate.
        recurrent_activation: σ, the activation of the gates, where the cell has any.
        use_bias: whether b is added.
        kernel_initializer, recurrent_initializer, bias_initializer: initialisers as in Keras.
            `Chrono(max_length)` is a bias initialiser for the gated cells.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: regularisers as in Keras.
        kernel_constraint, recurrent_constraint, bias_constraint: constraints as in Keras.
        dropout: share of the input's components to drop, in [0, 1]; one mask for the whole
            sequence.
        recurrent_dropout: share of the state's components to drop, in [0, 1]. The mask, one for the
            whole sequence, acts on the state where it enters a matrix product and nowhere else, so
            that the memory itself is not eroded (Gal & Ghahramani 2016; Semeniuta et al. 2016).
        seed: integer, seed of the dropout masks.
        **kwargs: as for `keras.layers.Layer`.

    Raises:
        ValueError: `units` is not a positive integer, or a dropout rate is outside [0, 1].
    """

    # The class of Keras whose positional arguments a cell takes, in its order; see `arguments.py`.
    argument_order: ClassVar[type]
    # The column blocks of the weights, in order, as Keras names them.
    blocks: ClassVar[tuple[str, ...]] = ("a",)
    # The named tuple that `gates` returns.
    gates_type: ClassVar[type]
    # For `Chrono`: the blocks whose bias it sets, and the sign with which it does.
    chrono_signs: ClassVar[Mapping[str, int]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "argument_order" in vars(cls):
            arguments = {**arguments_of(Cell.__init__), **arguments_of(cls.__init__)}
            if len(cls.blocks) == 1:
                del arguments["recurrent_activation"]
            cls.__init__ = in_the_order_of(  # type: ignore[method-assign]
                cls.argument_order, arguments, cls.__init__
            )

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(units, bool) or not isinstance(units, int | np.integer) or units <= 0:
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        units = int(units)  # NumPy's integers cannot be saved
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0.0 <= rate <= 1.0:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={rate!r}")
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        if isinstance(self.bias_initializer, Chrono) and not self.chrono_signs:
            raise ValueError(
                "`bias_initializer=Chrono(...)` needs a cell with gates: SimplifiedGRUCell, "
                f"GRUCell or LSTMCell. {type(self).__name__} has none."
            )
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed=seed)
        self.state_size: int | list[int] = units
        self.output_size = units
        # Set by a layer for the length of a scan; see `dropped`.
        self.recurrent_mask = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create kernel, recurrent_kernel and bias for inputs of shape `(batch, input_dim)`."""
        columns = len(self.blocks) * self.units
        self.kernel = self.add_weight(
            shape=(input_shape[-1], columns),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, columns),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(columns,),
                name="bias",
                initializer=self._initial_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _initial_bias(self, shape, dtype=None):
        initializer = self.bias_initializer
        if not isinstance(initializer, Chrono):
            return initializer(shape, dtype=dtype)
        timescale = initializer((self.units,), dtype=dtype)
        return ops.concatenate(
            [self.chrono_signs.get(block, 0) * timescale for block in self.blocks]
        )

    # === The two halves of a step ===

    def project(self, inputs):
        """The part of the pre-activations that needs no state.

        Args:
            inputs: tensor of shape `(batch, input_dim)`.

        Returns:
            Tensor of shape `(batch, len(blocks) * units)`.
        """
        projected = product(inputs, self.kernel)
        return projected if self.bias is None else projected + self.bias

    def step(self, projected, states):
        """One time step of the recurrence.

        Args:
            projected: what `project` returned for this step.
            states: tuple of tensors of shape `(batch, units)`, the states before the step.

        Returns:
            The output `(batch, units)`, and the tuple of new states.
        """
        return self.update(self.gates(projected, states), states)

    def gates(self, projected, states):
        """All activations that need a matrix product, as a named tuple of `(batch, units)`."""
        raise NotImplementedError(f"{type(self).__name__} must define `gates` or `step`.")

    def update(self, gates, states):
        """The output and the new states from the gates and the old states, elementwise."""
        raise NotImplementedError(f"{type(self).__name__} must define `update` or `step`.")

    def call(self, inputs, states, training=False):
        """One time step as Keras calls it: `(inputs, states)` to `(output, new_states)`.

        As in Keras, a single state may come without a list, and then returns without one.
        """
        listed = isinstance(states, (list, tuple))
        states = states if listed else (states,)
        if training and self.dropout > 0:
            inputs = inputs * self.get_dropout_mask(inputs)
        if training and self.recurrent_dropout > 0:
            self.recurrent_mask = self.get_recurrent_dropout_mask(states[0])
        output, new_states = self.step(self.project(inputs), tuple(states))
        self.recurrent_mask = None
        return output, list(new_states) if listed else new_states[0]

    def dropped(self, state):
        """The state as it enters a matrix product: some components dropped while training."""
        return state if self.recurrent_mask is None else state * self.recurrent_mask

    @property
    def recurrent_weights(self) -> tuple:
        """The matrices that `gates` multiplies the state with; a scan computes them once."""
        held = vars(self).get("recurrent_weights")  # put there by `bind` for the length of a scan
        if held is not None:
            return held
        return self.split_recurrent_kernel(ops.convert_to_tensor(self.recurrent_kernel))

    def split_recurrent_kernel(self, W) -> tuple:
        """The recurrent kernel, or what it is cut into where a step has several products."""
        return (W,)

    # === The derivative of a step ===

    @property
    def has_step_gradient(self) -> bool:
        """Whether the hand-written derivative covers this cell's activations."""
        return (
            hasattr(self, "step_gradient")
            and has_derivative(self.activation)
            and (len(self.blocks) == 1 or has_derivative(self.recurrent_activation))
        )

    # === Config ===

    def get_initial_state(self, batch_size=None):
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]

    def get_config(self) -> dict[str, Any]:
        config = {
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
        if len(self.blocks) > 1:
            config["recurrent_activation"] = keras.activations.serialize(self.recurrent_activation)
        for role in ("kernel", "recurrent", "bias"):
            for kind in ("initializer", "regularizer", "constraint"):
                serialize = getattr(keras, f"{kind}s").serialize
                config[f"{role}_{kind}"] = serialize(getattr(self, f"{role}_{kind}"))
        return {**super().get_config(), **config}


def checked_implementation(implementation: int) -> int:
    """Keras's `implementation` chooses between ways to the same numbers; here there is one."""
    if implementation not in (0, 1, 2):
        raise ValueError(
            f"`implementation` must be 0, 1 or 2. Received: implementation={implementation!r}"
        )
    return implementation
