"""One vector for a sequence: its mean, its maximum, its last state, or what attention picks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

POOLINGS = ("mean", "max", "last", "attention")

_LOWEST = -1e4  # float16 can hold it
_NOTHING = -float("inf")  # the maximum of no steps and of no rows, which Keras refuses otherwise


def mean_of_steps(sequences: Any, mask: Any) -> Any:
    """The mean over the steps where the mask is true.

    Args:
        sequences: `(batch, time, units)`.
        mask: booleans `(batch, time)`.

    Returns:
        `(batch, units)`; zeros where no step is left.
    """
    present = ops.expand_dims(mask, -1)  # (batch, time, 1)
    count = ops.sum(ops.cast(present, sequences.dtype), axis=1)  # (batch, 1)
    kept = ops.where(present, sequences, ops.zeros_like(sequences))
    return ops.sum(kept, axis=1) / ops.maximum(count, 1)


def max_of_steps(sequences: Any, mask: Any) -> Any:
    """The maximum of each component over the steps where the mask is true.

    Args and returns: as for `mean_of_steps`.
    """
    present = ops.expand_dims(mask, -1)  # (batch, time, 1)
    lowest = ops.full_like(sequences, _LOWEST)
    kept = ops.where(present, sequences, lowest)
    highest = ops.max(kept, axis=1, initial=_NOTHING)  # (batch, units)
    return ops.where(ops.any(present, axis=1), highest, ops.zeros_like(highest))


def last_of_steps(sequences: Any, mask: Any, bidirectional: bool = False) -> Any:
    """What a recurrent layer returned where it had read everything.

    That is its output at the last step where the mask is true; with two directions side by side,
    the second half comes from the first such step, where the backward direction ends.

    Args:
        sequences: `(batch, time, units)`.
        mask: booleans `(batch, time)`.
        bidirectional: whether the second half of the units was read backwards.

    Returns:
        `(batch, units)`; zeros where no step is left.
    """
    steps = ops.arange(ops.shape(mask)[1], dtype="int32")  # (time,)
    last = ops.max(ops.where(mask, steps, -1), axis=1, keepdims=True, initial=-1)  # (batch, 1)
    at_last = ops.equal(steps, last)  # (batch, time), nowhere true without any step
    if not bidirectional:
        return _sum_where(at_last, sequences)
    time = ops.shape(mask)[1]
    first = ops.min(ops.where(mask, steps, time), axis=1, keepdims=True, initial=time)
    half = sequences.shape[-1] // 2
    return ops.concatenate(
        [
            _sum_where(at_last, sequences[..., :half]),
            _sum_where(ops.equal(steps, first), sequences[..., half:]),
        ],
        axis=-1,
    )


def _sum_where(chosen: Any, sequences: Any) -> Any:
    chosen = ops.expand_dims(chosen, -1)  # (batch, time, 1)
    return ops.sum(ops.where(chosen, sequences, ops.zeros_like(sequences)), axis=1)


class _Pooling(keras.layers.Layer):
    """What the layers here share: they take a mask and leave no axis to mask."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_mask(self, sequences: Any, previous_mask: Any = None) -> None:
        return None


@keras.saving.register_keras_serializable(package="kerasrnn")
class SentencePooling(_Pooling):
    """The mean and the maximum over the words of a sentence, side by side.

    Args:
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def call(self, sequences: Any, mask: Any) -> Any:
        """Pool.

        Args:
            sequences: `(batch, time, units)`.
            mask: booleans `(batch, time)`, true where there is a word.

        Returns:
            `(batch, 2 · units)`; zeros for a sentence without words.
        """
        return ops.concatenate(
            [mean_of_steps(sequences, mask), max_of_steps(sequences, mask)], axis=-1
        )

    def compute_output_shape(self, sequences_shape: Any, mask_shape: Any = None) -> Any:
        return (sequences_shape[0], 2 * sequences_shape[-1])

    def compute_output_spec(self, sequences: Any, mask: Any) -> Any:
        return keras.KerasTensor(
            self.compute_output_shape(sequences.shape), dtype=self.compute_dtype
        )


@keras.saving.register_keras_serializable(package="kerasrnn")
class StepPooling(_Pooling):
    """The mean, the maximum or the last of the steps of a sequence.

    Args:
        kind: `mean`, `max` or `last`.
        bidirectional: for `last`, whether the second half of the units was read backwards.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `kind` is none of these.
    """

    def __init__(self, kind: str, bidirectional: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kind not in ("mean", "max", "last"):
            raise ValueError(f"Unknown `kind`: {kind!r}. Expected one of mean, max, last.")
        self.kind = kind
        self.bidirectional = bidirectional

    def call(self, sequences: Any, mask: Any) -> Any:
        """Pool.

        Args:
            sequences: `(batch, time, units)`.
            mask: booleans `(batch, time)`, true where there is a step.

        Returns:
            `(batch, units)`; zeros for a sequence without steps.
        """
        if self.kind == "mean":
            return mean_of_steps(sequences, mask)
        if self.kind == "max":
            return max_of_steps(sequences, mask)
        return last_of_steps(sequences, mask, self.bidirectional)

    def compute_output_shape(self, sequences_shape: Any, mask_shape: Any = None) -> Any:
        return (sequences_shape[0], sequences_shape[-1])

    def compute_output_spec(self, sequences: Any, mask: Any) -> Any:
        return keras.KerasTensor(
            self.compute_output_shape(sequences.shape), dtype=self.compute_dtype
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "bidirectional": self.bidirectional}


@keras.saving.register_keras_serializable(package="kerasrnn")
class AttentionPooling(_Pooling):
    r"""The steps of a sequence, added up with weights that say how much each of them matters.

    .. math::
        u^{<t>} &= \tanh(W_u h^{<t>} + b_u) \\
        \alpha^{<t>} &= \exp(v^\top u^{<t>}) / \sum_s \exp(v^\top u^{<s>}) \\
        s &= \sum_t \alpha^{<t>} h^{<t>}

    After Yang et al. (2016), "Hierarchical Attention Networks for Document Classification",
    section 2.2, equations 5 to 7. The sums go over the steps where the mask is true.

    | Symbol | Weight | Shape |
    |---|---|---|
    | W_u | `kernel` | `(input_dim, units)` |
    | b_u | `bias` | `(units,)` |
    | v | `query` | `(units,)` |

    Args:
        units: the length of u.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks.pooling import AttentionPooling
    >>> layer = AttentionPooling(4)
    >>> h = np.random.default_rng(1).normal(size=(2, 3, 5)).astype("float32")
    >>> s, weights = layer(h, mask=np.array([[True, True, True], [True, False, False]]))
    >>> tuple(s.shape), [round(float(w), 3) for w in weights[1]]
    ((2, 5), [1.0, 0.0, 0.0])
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, sequences_shape: Any) -> None:
        dimension = sequences_shape[-1]
        self.kernel = self.add_weight(shape=(dimension, self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.query = self.add_weight(
            shape=(self.units,),
            initializer=keras.initializers.RandomNormal(stddev=self.units**-0.5),
            name="query",
        )
        self.built = True

    def call(self, sequences: Any, mask: Any) -> Any:
        """Pool.

        Args:
            sequences: `(batch, time, input_dim)`.
            mask: booleans `(batch, time)`, true where there is a step.

        Returns:
            s, `(batch, input_dim)`, and α, float32 `(batch, time)`, which adds up to 1 in each row.
            Both are zeros for a sequence without steps.
        """
        u = ops.tanh(ops.matmul(sequences, self.kernel) + self.bias)  # (batch, time, units)
        scores = ops.cast(ops.sum(u * self.query, axis=-1), "float32")  # (batch, time)
        scores = ops.where(mask, scores, ops.full_like(scores, _LOWEST))
        scores = scores - ops.max(scores, axis=1, keepdims=True, initial=_NOTHING)
        powers = ops.where(mask, ops.exp(scores), ops.zeros_like(scores))
        # The largest power is 1, unless there is no step at all.
        weights = powers / ops.maximum(ops.sum(powers, axis=1, keepdims=True), 1e-6)
        shares = ops.expand_dims(ops.cast(weights, sequences.dtype), -1)  # (batch, time, 1)
        return ops.sum(shares * sequences, axis=1), weights

    def compute_output_shape(self, sequences_shape: Any, mask_shape: Any = None) -> Any:
        batch, time, dimension = sequences_shape
        return (batch, dimension), (batch, time)

    def compute_output_spec(self, sequences: Any, mask: Any) -> Any:
        pooled, weights = self.compute_output_shape(sequences.shape)
        return (
            keras.KerasTensor(pooled, dtype=self.compute_dtype),
            keras.KerasTensor(weights, dtype="float32"),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
