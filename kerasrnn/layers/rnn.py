"""The layer that runs a cell over time."""

from typing import Any

import keras
from keras import ops, tree

from kerasrnn.cells import Cell
from kerasrnn.layers.parts import LayerOfLayers
from kerasrnn.recurrence import (
    at_least_one,
    bind,
    unfold,
    unfold_in_segments,
    with_batch_size,
)


@keras.saving.register_keras_serializable(package="kerasrnn")
class RNN(LayerOfLayers, keras.layers.RNN):
    """Runs a cell over the time steps of a sequence.

    A drop-in replacement for `keras.layers.RNN`. A cell with `project` and `step` (every cell of
    this package, and your own; see `kerasrnn.cells.Cell`) has its inputs projected for all time
    steps in one product, and its gradient computed by back-propagation through time as derived
    by hand where the cell brings `step_gradient`. Any other Keras cell runs as in Keras.

    Args:
        cell: a cell, or a list of cells to stack.
        return_sequences: whether to return the output of every time step or of the last only.
        return_state: whether to return the final states as well.
        go_backwards: whether to read the sequence from its end, and return it reversed.
        stateful: whether the final states of a batch are the initial states of the next; all
            batches then have the size that the layer was built with.
        unroll: whether to lay out all time steps in the graph; the length must be known.
        zero_output_for_mask: whether a masked step outputs zero and not the output before it.
        segment_length: to save memory while training on long sequences, keep only the states
            between segments of that many time steps, and compute what lies inside a segment again
            when its gradient is due. "sqrt" takes √time, which makes the memory for T steps O(√T)
            at the cost of about one more forward pass (Chen et al. 2016). None keeps everything.
        **kwargs: as for `keras.layers.Layer`.

    Call arguments:
        sequences: tensor `(batch, time, input_dim)`.
        initial_state: list of tensors `(batch, units)`.
        mask: boolean tensor `(batch, time)`, of any pattern: a step that is false leaves the states
            as they are. Pass it explicitly from layer to layer.
        training: whether dropout is on.

    Returns:
        `(batch, time, units)` or `(batch, units)`, followed by the states if `return_state`.
        Without a time step the output is zero and the states are the initial ones.

    Raises:
        ValueError: a batch of another size than a stateful layer keeps, or states that do not fit.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.cells import LSTMCell
    >>> from kerasrnn.layers import RNN
    >>> layer = RNN(LSTMCell(4), return_sequences=True)
    >>> tuple(layer(np.ones((2, 5, 3), "float32")).shape)
    (2, 5, 4)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        *,
        segment_length: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        if not (
            segment_length in (None, "sqrt")
            or (isinstance(segment_length, int) and segment_length > 0)
        ):
            raise ValueError(
                "`segment_length` must be a positive number of time steps, 'sqrt' or None. "
                f"Received: segment_length={segment_length!r}"
            )
        super().__init__(
            cell,
            return_sequences,
            return_state,
            go_backwards,
            stateful,
            unroll,
            zero_output_for_mask,
            **kwargs,
        )
        self.segment_length = segment_length
        if segment_length is not None and not has_halves(self.cell):
            raise ValueError(
                "`segment_length` needs a cell with `project` and `step`. "
                f"Received: cell={self.cell!r}"
            )
        # Keras 3.16 no longer sets it. A mask that arrives implicitly is still honoured.
        self.supports_masking = True

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        if has_halves(self.cell) and len(sequences_shape) == 3:
            self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def call(self, sequences, initial_state=None, mask=None, training=False):
        sequences = self.of_the_batch_size(sequences)
        if not has_halves(self.cell):
            if initial_state is not None:
                initial_state = self._of_as_many_rows(initial_state, sequences)
            return self._call_in_keras(sequences, initial_state, mask, training)
        self._check_unroll(sequences)
        states = self.standardize_states(sequences, initial_state)
        cell, inputs = self.prepare(sequences, states, training=training)
        options = self.unfold_options
        options["mask"] = None if mask is None else ops.transpose(mask_of(mask, sequences))
        if self.segment_length is not None:
            options["segment_length"] = self.segment_length
            unfolded = unfold_in_segments(cell, inputs, states, **options)
        else:
            unfolded = unfold(cell, inputs, states, training=bool(training), **options)
        if self.go_backwards and unfolded.outputs is not None:
            unfolded = unfolded._replace(outputs=ops.flip(unfolded.outputs, axis=0))
        outputs, new_states = self.deliver(unfolded)
        return (outputs, *new_states) if self.return_state else outputs

    def _call_in_keras(self, sequences, initial_state, mask, training):
        """As Keras runs a cell, which needs a step to begin with."""
        if sequences.shape[1]:
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        length = ops.shape(sequences)[1]
        read = ops.greater(length, 0)
        if initial_state is None:
            initial_state = self._own_initial_state(sequences)
        before = tree.map_structure(ops.copy, initial_state)
        outputs = super().call(
            at_least_one(sequences, axis=1),
            initial_state=initial_state,
            mask=None if mask is None else at_least_one(mask, axis=1),
            training=training,
        )
        output, states = (outputs[0], outputs[1:]) if self.return_state else (outputs, ())
        if self.return_sequences:
            output = output[:, :length]
        else:
            output = ops.where(read, output, ops.zeros_like(output))

        def as_before(state, old):
            return ops.where(read, state, ops.cast(old, state.dtype))

        if self.stateful:
            for variable, old in zip(tree.flatten(self.states), tree.flatten(before), strict=True):
                variable.assign(as_before(variable.value, old))
        if not self.return_state:
            return output
        flat = [
            as_before(*pair)
            for pair in zip(tree.flatten(states), tree.flatten(before), strict=True)
        ]
        return (output, *tree.pack_sequence_as(states, flat))

    def reset_state(self):
        """Set the states that a stateful layer keeps to zeros."""
        # Keras's own does not reach into the states of stacked cells.
        for variable in tree.flatten(self.states):
            if variable is not None:
                variable.assign(ops.zeros_like(variable.value))

    # `Bidirectional` uses the parts of `call` to run two layers in one scan.

    @property
    def unfold_options(self) -> dict[str, Any]:
        """What `kerasrnn.recurrence.unfold` is to do, from the layer's arguments."""
        return {
            "reverse": self.go_backwards,
            "return_sequences": self.return_sequences,
            "zero_output_for_mask": self.zero_output_for_mask,
            "unroll": self.unroll,
        }

    def prepare(self, sequences, states, *, training=False):
        """The cell with the dropout mask of its state, and its inputs with time first."""
        cell = self.cell
        inputs = ops.cast(sequences, getattr(cell, "compute_dtype", self.compute_dtype))
        if training and isinstance(cell, Cell):
            # One mask each for the whole sequence.
            if cell.dropout > 0:
                step = ops.zeros((ops.shape(inputs)[0], *inputs.shape[2:]), dtype=inputs.dtype)
                inputs = inputs * ops.expand_dims(cell.get_dropout_mask(step), 1)
            if cell.recurrent_dropout > 0:
                cell = bind(cell, recurrent_mask=cell.get_recurrent_dropout_mask(states[0]))
            self.cell.reset_dropout_mask()
            self.cell.reset_recurrent_dropout_mask()
        return cell, ops.swapaxes(inputs, 0, 1)  # (time, batch, input_dim)

    def deliver(self, unfolded):
        """Outputs with the batch first, and the states, which a stateful layer keeps."""
        states = tree.map_structure(
            lambda x: ops.cast(x, self.compute_dtype), list(unfolded.states)
        )
        if self.stateful:
            for variable, state in zip(
                tree.flatten(self.states), tree.flatten(states), strict=True
            ):
                variable.assign(ops.cast(state, variable.dtype))
        if self.return_sequences:
            outputs = ops.swapaxes(unfolded.outputs, 0, 1)  # (batch, time, units)
        else:
            outputs = unfolded.last_output
        return ops.cast(outputs, self.compute_dtype), states

    def _check_unroll(self, sequences):
        if self.unroll and sequences.shape[1] is None:
            raise ValueError(
                "`unroll=True` needs a known number of time steps. Received sequences of shape "
                f"{tuple(sequences.shape)}; give the input a fixed length or set unroll=False."
            )

    def standardize_states(self, sequences, initial_state):
        """The initial states as a tuple, zeros or those kept where none are given."""
        own = initial_state is None
        if own:
            initial_state = self._own_initial_state(sequences)
        if not tree.is_nested(initial_state):
            initial_state = [initial_state]
        initial_state = list(initial_state)
        if len(initial_state) != len(self.state_size):
            raise ValueError(
                f"`initial_state` must have {len(self.state_size)} tensors, one for each state of "
                f"{type(self.cell).__name__}. Received {len(initial_state)}."
            )
        for number, (state, size) in enumerate(zip(initial_state, self.state_size, strict=True)):
            if isinstance(size, int):
                check_shape(f"initial_state[{number}]", state, (sequences.shape[0], size))
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        states = tree.map_structure(lambda x: ops.cast(x, dtype), initial_state)
        return tuple(states if own else self._of_as_many_rows(states, sequences))

    def _own_initial_state(self, sequences):
        if self.stateful:
            # PyTorch writes the new states over the old, which the derivative still needs.
            return tree.map_structure(ops.copy, self.states)
        return self.get_initial_state(batch_size=ops.shape(sequences)[0])

    def of_the_batch_size(self, sequences):
        """The sequences, which must be as many as the states that a stateful layer keeps.

        One sequence for several states would be repeated for each of them without a word.
        """
        if not self.stateful:
            return sequences
        return with_batch_size(
            sequences,
            int(self._expected_batch_size),
            f"The stateful layer '{self.name}' keeps the batch size that it was built with. "
            "Expected a batch size of",
        )

    def _of_as_many_rows(self, states, sequences):
        """The states, which must have a row for each sequence."""
        message = (
            f"`initial_state` of the layer '{self.name}' must have a row for each sequence. "
            "Expected a batch size of"
        )
        batch = ops.shape(sequences)[0]
        return tree.map_structure(
            lambda x: with_batch_size(ops.convert_to_tensor(x), batch, message), states
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "segment_length": self.segment_length}

    def compute_mask(self, inputs, mask=None):
        mask = tree.flatten(mask)[0]
        output_mask = mask if self.return_sequences else None
        if self.return_state:
            return [output_mask, *(None for _ in self.state_size)]
        return output_mask


def has_halves(cell: Any) -> bool:
    """Whether a step of the cell is split in `project` and `step`."""
    return hasattr(cell, "project") and hasattr(cell, "step")


def mask_of(mask, sequences):
    """A mask `(batch, time)` or `(batch, time, 1)` as booleans `(batch, time)`."""
    mask = ops.convert_to_tensor(mask)
    if len(mask.shape) == 3 and mask.shape[-1] == 1:
        mask = ops.squeeze(mask, axis=-1)
    check_shape("mask", mask, tuple(sequences.shape[:2]))
    return ops.cast(mask, "bool")


def check_shape(name: str, value: Any, expected: tuple[int | None, ...]) -> None:
    """Raise unless a tensor has the expected shape, as far as both are known."""
    shape = tuple(ops.convert_to_tensor(value).shape)
    fits = len(shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ValueError(f"`{name}` must have shape {expected}. Received shape {shape}.")
