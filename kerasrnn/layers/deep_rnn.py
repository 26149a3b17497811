"""A stack of recurrent layers of one named cell."""

from typing import Any

import keras

from kerasrnn.cells import cell_by_name
from kerasrnn.layers.bidirectional import Bidirectional
from kerasrnn.layers.gru import GRU
from kerasrnn.layers.lstm import LSTM
from kerasrnn.layers.parts import LayerOfLayers
from kerasrnn.layers.simple_rnn import SimpleRNN
from kerasrnn.layers.simplified_gru import SimplifiedGRU

LAYERS = {"simple": SimpleRNN, "simplified_gru": SimplifiedGRU, "gru": GRU, "lstm": LSTM}


@keras.saving.register_keras_serializable(package="kerasrnn")
class DeepRNN(LayerOfLayers):
    r"""A deep recurrent network: each layer reads the sequence that the layer below returns.

    .. math::

        a^{[l]<t>} = g(W_a^{[l]} [a^{[l]<t-1>}; a^{[l-1]<t>}] + b_a^{[l]})

    for l = 1 … `depth`, with :math:`a^{[0]<t>} = x^{<t>}` and the equations of the chosen cell in
    the place of g. The mask is handed from layer to layer.

    Unlike `GRU` and `LSTM`, it returns an output for every time step unless told otherwise. Before
    a layer or a loss that takes one vector for a sequence, `return_sequences=False` is needed:
    Keras complains there of `(batch, time, …)` where it expects `(batch, …)`, or, where the last
    axis is 1, compares each time step with the one target and says nothing.

    Args:
        cell: "simple", "simplified_gru", "gru" or "lstm".
        units: the length of the state, or a list of one length for each layer.
        depth: number of layers; it need not be given with a list of `units`.
        bidirectional: whether each layer reads in both directions.
        return_sequences: whether the top layer returns every time step or the last only. True by
            default, other than in `GRU` and `LSTM`.
        return_state: whether to return the final states of all layers, the bottom one's first.
        dropout: share of a layer's input components to drop, one mask for the whole sequence.
        recurrent_dropout: as in the cell.
        layer_dropout: share of the components to drop between two layers, drawn anew for each time
            step (Zaremba et al. 2014).
        merge_mode: how the two directions are combined: "concat", "sum", "mul" or "ave".
        seed: integer, seed of all dropout masks.
        name, dtype, trainable: as for `keras.layers.Layer`.
        **kwargs: further arguments of every recurrent layer, such as `bias_initializer`.

    Call arguments:
        sequences: tensor `(batch, time, input_dim)`.
        initial_state: list of all states in the order in which they are returned.
        mask: boolean tensor `(batch, time)`.
        training: whether dropout is on.

    Returns:
        `(batch, time, units)` or `(batch, units)`, twice the units if bidirectional with "concat",
        followed by the states if `return_state`.

    Raises:
        ValueError: an unknown cell or merge mode, or a depth that is not positive.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import DeepRNN
    >>> layer = DeepRNN("gru", units=4, depth=2, bidirectional=True)
    >>> tuple(layer(np.ones((2, 5, 3), "float32")).shape)
    (2, 5, 8)
    """

    def __init__(
        self,
        cell: str = "lstm",
        units: int | list[int] = 128,
        depth: int | None = None,
        bidirectional: bool = False,
        return_sequences: bool = True,
        return_state: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        merge_mode: str = "concat",
        seed: int | None = None,
        *,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        cell_by_name(cell)
        if isinstance(units, list | tuple):
            all_units = list(units)
            if depth not in (None, len(all_units)):
                raise ValueError(
                    f"`depth` must be the number of `units`, {len(all_units)}, or be left out. "
                    f"Received: depth={depth!r}"
                )
        else:
            depth = 1 if depth is None else depth
            if not isinstance(depth, int) or depth < 1:
                raise ValueError(f"`depth` must be a positive integer. Received: depth={depth!r}")
            all_units = [units] * depth
        if not 0.0 <= layer_dropout <= 1.0:
            raise ValueError(
                f"`layer_dropout` must lie in [0, 1]. Received: layer_dropout={layer_dropout!r}"
            )
        if merge_mode not in ("concat", "sum", "mul", "ave"):
            raise ValueError(
                f"Unknown merge_mode {merge_mode!r}. Expected one of concat, sum, mul, ave."
            )
        self.cell = cell
        self.units = units
        self.depth = len(all_units)
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.layer_dropout = layer_dropout
        self.merge_mode = merge_mode
        self.seed = seed
        self.layer_arguments = kwargs
        self.supports_masking = True

        self.recurrent_layers: list[keras.layers.Layer] = []
        self.dropout_layers: list[keras.layers.Layer] = []
        for level, units_of_layer in enumerate(all_units):
            top = level == self.depth - 1
            layer: keras.layers.Layer = LAYERS[cell](
                units_of_layer,
                return_sequences=return_sequences or not top,
                return_state=return_state,
                dropout=dropout,
                recurrent_dropout=recurrent_dropout,
                seed=None if seed is None else seed + 2 * level,
                dtype=self.dtype_policy,
                name=f"layer_{level + 1}",
                **kwargs,
            )
            if bidirectional:
                layer = Bidirectional(
                    layer, merge_mode=merge_mode, dtype=self.dtype_policy, name=f"both_{level + 1}"
                )
            self.recurrent_layers.append(layer)
            if layer_dropout > 0 and not top:
                self.dropout_layers.append(
                    keras.layers.Dropout(
                        layer_dropout,
                        seed=None if seed is None else seed + 2 * level + 1,
                        dtype=self.dtype_policy,
                        name=f"dropout_{level + 1}",
                    )
                )

    def build(self, sequences_shape, initial_state_shape=None):
        shape = tuple(sequences_shape)
        for layer in self.recurrent_layers:
            layer.build(shape)
            if layer is not self.recurrent_layers[-1]:
                output_shape = layer.compute_output_shape(shape)
                shape = tuple(output_shape[0] if self.return_state else output_shape)
        self.built = True

    def call(self, sequences, initial_state=None, mask=None, training=False):
        x, states = sequences, []
        remaining = None if initial_state is None else list(initial_state)
        for level, layer in enumerate(self.recurrent_layers):
            kwargs = {}
            if remaining is not None:
                kwargs["initial_state"] = remaining[: self.states_per_layer]
                remaining = remaining[self.states_per_layer :]
            x = layer(x, mask=mask, training=training, **kwargs)
            if self.return_state:
                x, *new_states = x
                states.extend(new_states)
            if level < len(self.dropout_layers):
                x = self.dropout_layers[level](x, training=training)
        return (x, *states) if self.return_state else x

    def step(self, inputs, states):
        """One time step without a loop, as when a sequence is made while it is read.

        Dropout is off. A layer that reads in both directions has no such step.

        Args:
            inputs: tensor `(batch, input_dim)`.
            states: the states of all layers, in the order in which `call` takes them.

        Returns:
            The top layer's output, `(batch, units)`, and the list of new states.

        Example:

        >>> from keras import ops
        >>> from kerasrnn.layers import DeepRNN
        >>> layer = DeepRNN("lstm", units=4, depth=2)
        >>> x = ops.ones((2, 5, 3))
        >>> output = layer(x)
        >>> states = layer.get_initial_state(batch_size=2)
        >>> for t in range(5):
        ...     last, states = layer.step(x[:, t], states)
        >>> bool(ops.all(ops.abs(last - output[:, -1]) < 1e-6))
        True
        """
        if self.bidirectional:
            raise ValueError(
                "`step` needs a layer that reads forward. Received: bidirectional=True"
            )
        x, new_states, each = inputs, [], self.states_per_layer
        for level, layer in enumerate(self.recurrent_layers):
            x, after = layer.cell(x, list(states[level * each : (level + 1) * each]))
            new_states += after
        return x, new_states

    def reset_state(self):
        """Set the states that stateful layers keep to zeros."""
        for layer in self.recurrent_layers:
            layer.reset_state()

    def reset_states(self):
        """Keras's other name of `reset_state`."""
        self.reset_state()

    @property
    def states_per_layer(self) -> int:
        """How many state tensors one layer has, both directions counted."""
        return (2 if self.cell == "lstm" else 1) * (2 if self.bidirectional else 1)

    def get_initial_state(self, batch_size: int) -> list:
        """Zero states for all layers, in the order in which `call` takes them."""
        states = []
        for layer in self.recurrent_layers:
            directions = [layer]
            if isinstance(layer, Bidirectional):
                directions = [layer.forward_layer, layer.backward_layer]
            for direction in directions:
                states.extend(direction.get_initial_state(batch_size))
        return states

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        shape, states = tuple(sequences_shape), []
        for layer in self.recurrent_layers:
            shape = layer.compute_output_shape(shape)
            if self.return_state:
                shape, *new_states = shape
                states.extend(new_states)
        return (shape, *states) if self.return_state else shape

    def compute_mask(self, inputs, mask=None):
        mask = mask if self.return_sequences else None
        if not self.return_state:
            return mask
        return [mask, *(None for _ in range(self.depth * self.states_per_layer))]

    def get_config(self) -> dict[str, Any]:
        config = {
            "cell": self.cell,
            "units": self.units,
            "depth": self.depth,
            "bidirectional": self.bidirectional,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "layer_dropout": self.layer_dropout,
            "merge_mode": self.merge_mode,
            "seed": self.seed,
        }
        arguments = {
            k: v
            if isinstance(v, str | int | float | bool | None)
            else keras.saving.serialize_keras_object(v)
            for k, v in self.layer_arguments.items()
        }
        return {**super().get_config(), **config, **arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DeepRNN":
        config = {
            k: keras.saving.deserialize_keras_object(v)
            if isinstance(v, dict) and "class_name" in v and k != "dtype"
            else v
            for k, v in config.items()
        }
        return cls(**config)
