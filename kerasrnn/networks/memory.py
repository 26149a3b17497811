"""The network of the memory model: sequences in, answers out, on any Keras backend."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from keras import ops

from kerasrnn.cells import Chrono
from kerasrnn.layers import DeepRNN
from kerasrnn.networks.options import CellName, Count, Network, Number, OneOf, Share

Reads = Annotated[str, OneOf(("numbers", "symbols"))]
Answers = Annotated[str, OneOf(("number", "label", "symbols"))]
_CHRONO = Number("an integer of at least 3, or None", lambda number: number >= 3)

# A symbol that is not there.
PADDING_ID = -1


@keras.saving.register_keras_serializable(package="kerasrnn")
class Presence(keras.layers.Layer):
    """Which steps are there: not those whose numbers are all NaN, nor those with the symbol −1.

    Args:
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, **kwargs: Any) -> None:
        # Numbers must not be rounded, nor symbols become floats, before they are looked at.
        super().__init__(autocast=False, **kwargs)
        self.built = True

    def call(self, sequences: Any) -> Any:
        """Find the steps.

        Args:
            sequences: numbers `(batch, time, size)` or symbols `(batch, time)`.

        Returns:
            Booleans `(batch, time)`.
        """
        if len(sequences.shape) == 2:
            return ops.not_equal(sequences, PADDING_ID)
        return ops.logical_not(ops.all(ops.isnan(sequences), axis=-1))

    def compute_output_spec(self, sequences: Any) -> Any:
        return keras.KerasTensor(sequences.shape[:2], dtype="bool")


@keras.saving.register_keras_serializable(package="kerasrnn")
class Features(keras.layers.Layer):
    """What the recurrent layer reads: numbers as they are, symbols as one-hot vectors.

    A step of padding becomes zeros.

    Args:
        size: how many numbers a step has, or how many symbols there are.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size
        self.built = True

    def call(self, sequences: Any) -> Any:
        """Encode.

        Args:
            sequences: numbers `(batch, time, size)` or symbols `(batch, time)`; or a step of them,
                without the axis of time.

        Returns:
            `(batch, time, size)`.
        """
        if keras.backend.is_int_dtype(sequences.dtype):
            return ops.one_hot(sequences, self.size, dtype=self.compute_dtype)
        numbers = ops.where(ops.isnan(sequences), ops.zeros_like(sequences), sequences)
        return ops.cast(numbers, self.compute_dtype)

    def compute_output_spec(self, sequences: Any) -> Any:
        shape = sequences.shape
        if keras.backend.is_int_dtype(sequences.dtype):
            shape = (*shape, self.size)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="kerasrnn")
class OrthogonalGates(keras.initializers.Initializer):
    """An orthogonal matrix for each gate, side by side.

    Keras's `Orthogonal` makes one matrix of all gates with orthogonal rows: each gate's part of it
    then shrinks what it is multiplied with, to half for the four of an LSTM. What is to be kept
    through many products should not shrink (Henaff et al. 2016, "Recurrent Orthogonal Networks and
    Long-Memory Tasks").

    Args:
        seed: an integer, or a `keras.random.SeedGenerator`; None draws one.

    Example:

    >>> import keras
    >>> from kerasrnn.networks.memory import OrthogonalGates
    >>> W = OrthogonalGates(seed=1)((4, 8))
    >>> product = keras.ops.matmul(W[:, 4:], keras.ops.transpose(W[:, 4:]))
    >>> bool(keras.ops.all(keras.ops.abs(product - keras.ops.eye(4)) < 1e-5))
    True
    """

    def __init__(self, seed: Any = None) -> None:
        self.seed = seed
        # One matrix for all gates would make them equal: a generator gives each its own.
        self._generator = (
            seed
            if isinstance(seed, keras.random.SeedGenerator)
            else keras.random.SeedGenerator(seed)
        )

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """The matrix `(units, gates · units)`."""
        units, columns = shape
        one = keras.initializers.Orthogonal(seed=self._generator)
        gates = [one((units, units), dtype=dtype) for _ in range(columns // units)]
        return ops.concatenate(gates, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {"seed": keras.saving.serialize_keras_object(self.seed)}


@keras.saving.register_keras_serializable(package="kerasrnn")
class MemoryNetwork(Network):
    r"""Reads a sequence of numbers or symbols and answers at its end or at each of its steps.

    .. math::
        h^{<t>} &= DeepRNN(x)^{<t>} \\
        \hat y^{<t>} &= W_y h^{<t>} + b_y

    where x is a vector of numbers, or one-hot for a symbol.

    A one-hot vector selects one row of the input's weights. That row is all that is summed up, so
    these rows are drawn with a standard deviation of 1, as embeddings are, and not of
    √(2 / (inputs + gates · units)), with which they begin as a whisper. Recurrent
    weights are `OrthogonalGates`.

    Args:
        reads: `numbers` or `symbols`.
        input_size: how many numbers a step has, or how many symbols there are.
        answers: `number` or `label` at the end, or `symbols`, one at each step.
        output_size: how many numbers, labels or symbols there are to answer.
        padded: whether sequences may be padded on the right. Those that are not save the time for
            the mask.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, for each direction.
        depth: how many recurrent layers.
        bidirectional: whether the sequence is read from both ends.
        chrono_length: the greatest number of steps to remember, for which the gates' biases are
            made (`kerasrnn.cells.Chrono`); None for biases as usual.
        dropout: the share of components dropped behind the recurrent layers.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between the recurrent layers.
        **kwargs: see `Network`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Call arguments:
        inputs: numbers, float32 `(batch, time, input_size)`, padded with NaN; or symbols, int32
            `(batch, time)`, padded with −1.

    Returns:
        float32 `(batch, output_size)`, or with an answer at each step `(batch, time, output_size)`:
        numbers, or scores of labels or symbols.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks import MemoryNetwork
    >>> network = MemoryNetwork("symbols", 5, "label", 3, units=8)
    >>> tuple(network(np.array([[4, 2, 0], [3, 1, 1]])).shape)
    (2, 3)
    """

    def __init__(
        self,
        reads: Reads,
        input_size: Count,
        answers: Answers,
        output_size: Count,
        *,
        padded: bool = False,
        cell: CellName = "lstm",
        units: Count = 64,
        depth: Count = 1,
        bidirectional: bool = False,
        chrono_length: Annotated[int, _CHRONO] | None = None,
        dropout: Share = 0.0,
        recurrent_dropout: Share = 0.0,
        layer_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        if chrono_length is not None and cell == "simple":
            raise ValueError(
                "`chrono_length` is for cells with gates: simplified_gru, gru, lstm. The cell "
                "'simple' has none; leave `chrono_length` out."
            )
        dtype = kwargs.pop("dtype", None)
        each_step = answers == "symbols"
        symbols = reads == "symbols"
        initial: dict[str, Any] = {"recurrent_initializer": OrthogonalGates()}
        if chrono_length is not None:
            initial["bias_initializer"] = Chrono(chrono_length)

        # === Layers ===
        presence = Presence(name="presence") if padded else None
        features = Features(input_size, dtype=dtype, name="features")
        rnn = DeepRNN(
            **self.recurrent_options,
            return_sequences=each_step,
            dtype=dtype,
            name="rnn",
            **initial,
        )
        if symbols:
            # Of the first layer alone: those above read states, and keep the usual initialiser.
            for layer in directions_of(rnn.recurrent_layers[0]):
                layer.cell.kernel_initializer = keras.initializers.RandomNormal(stddev=1.0)
        drop = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")
        scores = keras.layers.Dense(output_size, dtype="float32", name="scores")

        # === Functional model ===
        if symbols:
            sequences = keras.Input((None,), dtype="int32", name="symbols")
        else:
            sequences = keras.Input((None, input_size), dtype="float32", name="numbers")
        mask = presence(sequences) if presence is not None else None  # (batch, time)
        hidden = rnn(features(sequences), mask=mask)  # (batch, units) or (batch, time, units)
        super().__init__(inputs=sequences, outputs=scores(drop(hidden)), **kwargs)

    @property
    def rnn(self) -> DeepRNN:
        """The recurrent layers."""
        return self.get_layer("rnn")

    def step(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """One step of time, for a network that reads forward only.

        Args:
            inputs: numbers `(batch, input_size)` or symbols `(batch,)`, none of them padding.
            states: those of all layers, each `(batch, units)`, as `get_initial_state` has them.

        Returns:
            The scores after this step `(batch, output_size)`, and the new states.
        """
        hidden, new_states = self.rnn.step(self.get_layer("features")(inputs), states)
        return self.get_layer("scores")(hidden), new_states

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """The states before the first step, zeros.

        Args:
            batch_size: how many sequences.

        Returns:
            For each layer its states, `(batch_size, units)`: of an LSTM a and c.
        """
        return self.rnn.get_initial_state(batch_size)


def directions_of(layer: Any) -> list[Any]:
    """The one or two recurrent layers that a layer of a `DeepRNN` is made of."""
    if hasattr(layer, "forward_layer"):
        return [layer.forward_layer, layer.backward_layer]
    return [layer]
