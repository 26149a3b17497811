"""Two layers that read a sequence from both ends."""

from typing import Any

import keras
from keras import ops, tree

from kerasrnn.layers.cell_layer import CellLayer
from kerasrnn.layers.parts import LayerOfLayers
from kerasrnn.layers.rnn import RNN
from kerasrnn.recurrence import one_scan_is_faster, unfold_both, uses_step_gradient

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


@keras.saving.register_keras_serializable(package="kerasrnn")
class Bidirectional(LayerOfLayers, keras.layers.Bidirectional):
    r"""Reads a sequence forwards and backwards (Schuster & Paliwal 1997).

    .. math::

        \hat y^{<t>} = g(W_y [\overrightarrow a^{<t>}; \overleftarrow a^{<t>}] + b_y)

    The layer returns :math:`[\overrightarrow a^{<t>}; \overleftarrow a^{<t>}]`, both at their time
    t; :math:`g(W_y \cdot + b_y)` is a `Dense` layer behind it. A drop-in replacement for
    `keras.layers.Bidirectional`.

    Args:
        layer: an `RNN` of this package, or any layer that Keras's wrapper takes.
        merge_mode: how the two outputs are combined: "concat", "sum", "mul", "ave", or None for a
            list of the two.
        weights: initial weights, those of the forward layer first.
        backward_layer: the layer that reads backwards; a copy of `layer` if None.
        **kwargs: as for `keras.layers.Layer`.

    Call arguments:
        sequences: tensor `(batch, time, input_dim)`.
        initial_state: list of tensors, the forward layer's states first.
        mask: boolean tensor `(batch, time)`, of any pattern. Outputs at masked steps are zero.
        training: whether dropout is on.

    Returns:
        `(batch, time, 2 * units)`, or `(batch, 2 * units)` from the last steps of both directions
        if the layer does not return sequences; followed by the states if `return_state`.

    Raises:
        ValueError: an unknown `merge_mode`, or two layers that do not fit.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import LSTM, Bidirectional
    >>> layer = Bidirectional(LSTM(4, return_sequences=True))
    >>> tuple(layer(np.ones((2, 5, 3), "float32")).shape)
    (2, 5, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        if merge_mode not in MERGE_MODES:
            raise ValueError(
                f"Unknown merge_mode {merge_mode!r}. "
                f"Expected one of {', '.join(map(str, MERGE_MODES))}."
            )
        super().__init__(
            layer, merge_mode=merge_mode, weights=weights, backward_layer=backward_layer, **kwargs
        )
        # Keras has copied the layer. While it loads a model it knows what it has copied by the
        # address: another layer in the place of one that is gone would be taken for that one.
        self._copied = _Held(layer)
        # Keras 3.16 no longer sets it. A mask that arrives implicitly is still honoured.
        self.supports_masking = True

    def call(self, sequences, initial_state=None, mask=None, training=None):
        forward, backward = self.forward_layer, self.backward_layer
        states_forward = states_backward = None
        if initial_state is not None:
            states_forward, states_backward = self._states_of_each(initial_state)
        if mask is None and runs_as_one_scan(forward, backward):
            (y_forward, new_forward), (y_backward, new_backward) = _run_as_one_scan(
                forward, backward, sequences, states_forward, states_backward, training
            )
        else:
            y_forward, new_forward = _run(forward, sequences, states_forward, mask, training)
            y_backward, new_backward = _run(backward, sequences, states_backward, mask, training)
            if self.return_sequences:
                # A backward layer returns its last time step first.
                y_backward = ops.flip(y_backward, axis=1)
        output = self._merge(
            ops.cast(y_forward, self.compute_dtype), ops.cast(y_backward, self.compute_dtype)
        )
        if not self.return_state:
            return output
        outputs = output if self.merge_mode is None else (output,)
        return (*outputs, *new_forward, *new_backward)

    def _states_of_each(self, initial_state):
        """The states of the forward and of the backward layer, which may be of different kinds."""
        states = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
        forward, backward = (
            len(getattr(layer, "state_size", states[::2]))
            for layer in (self.forward_layer, self.backward_layer)
        )
        if len(states) != forward + backward:
            raise ValueError(
                f"`initial_state` must have {forward + backward} tensors: {forward} of the forward "
                f"layer and {backward} of the backward layer. Received {len(states)}."
            )
        return states[:forward], states[forward:]

    def _merge(self, forward, backward):
        if self.merge_mode == "concat":
            return ops.concatenate([forward, backward], axis=-1)
        if self.merge_mode == "sum":
            return forward + backward
        if self.merge_mode == "ave":
            return (forward + backward) / 2
        if self.merge_mode == "mul":
            return forward * backward
        return (forward, backward)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        forward = self.forward_layer.compute_output_shape(sequences_shape)
        backward = self.backward_layer.compute_output_shape(sequences_shape)
        states: tuple = ()
        if self.return_state:
            states = (*forward[1:], *backward[1:])
            forward, backward = forward[0], backward[0]
        if self.merge_mode == "concat":
            merged: tuple = ((*forward[:-1], forward[-1] + backward[-1]),)
        elif self.merge_mode is None:
            merged = (tuple(forward), tuple(backward))
        else:
            merged = (tuple(forward),)
        if self.return_state or self.merge_mode is None:
            return (*merged, *states)
        return merged[0]

    def compute_mask(self, inputs, mask=None):
        mask = tree.flatten(mask)[0] if self.return_sequences else None
        outputs = 2 if self.merge_mode is None else 1
        if not self.return_state:
            return mask if outputs == 1 else (mask, mask)
        states = len(self.forward_layer.state_size) + len(self.backward_layer.state_size)
        return (*(mask for _ in range(outputs)), *(None for _ in range(states)))


def _run(layer, sequences, states, mask, training):
    """A layer's output and its states, none if it does not return them."""
    kwargs = {"mask": mask, "training": training, "initial_state": states}
    if not isinstance(layer, RNN | keras.layers.RNN):
        taken = {"mask": layer._call_has_mask_arg, "training": layer._call_has_training_arg}
        kwargs = {k: v for k, v in kwargs.items() if taken.get(k, v is not None)}
    outputs = layer(sequences, **kwargs)
    if layer.return_state:
        return outputs[0], tuple(outputs[1:])
    return outputs, ()


class _Held:
    """Keeps a layer, which does not become a part of the layer that keeps it."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer


def runs_as_one_scan(forward: Any, backward: Any) -> bool:
    """Whether both layers can share the steps of a single scan, and are faster for it."""
    if not one_scan_is_faster():
        return False
    layers = (forward, backward)
    if not all(
        isinstance(layer, CellLayer)
        and uses_step_gradient(layer.cell)
        and layer.segment_length is None
        and layer.activity_regularizer is None
        and "call" not in vars(layer)  # somebody wants to see it called
        for layer in layers
    ):
        return False
    cells = [layer.cell for layer in layers]
    return (
        type(cells[0]) is type(cells[1])
        and all(
            getattr(cells[0], name, None) == getattr(cells[1], name, None)
            for name in (
                "units",
                "activation",
                "recurrent_activation",
                "recurrent_dropout",
                "compute_dtype",
            )
        )
        and forward.unroll == backward.unroll
        and not forward.go_backwards
    )


def _run_as_one_scan(forward, backward, sequences, states_forward, states_backward, training):
    layers = (forward, backward)
    sequences = forward.of_the_batch_size(sequences)
    states = tuple(
        layer.standardize_states(sequences, given)
        for layer, given in zip(layers, (states_forward, states_backward), strict=True)
    )
    cells, inputs = zip(
        *(
            layer.prepare(sequences, given, training=training)
            for layer, given in zip(layers, states, strict=True)
        ),
        strict=True,
    )
    options = forward.unfold_options
    del options["reverse"]
    unfolded = unfold_both(cells, inputs, states, training=bool(training), **options)
    return [
        (outputs, tuple(new_states) if layer.return_state else ())
        for layer, (outputs, new_states) in (
            (layer, layer.deliver(result)) for layer, result in zip(layers, unfolded, strict=True)
        )
    ]
