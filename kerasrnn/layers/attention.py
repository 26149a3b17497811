"""Attention: where a decoder looks in the sequence that it reads from."""

from typing import Any

import keras
from keras import ops

# What a masked position's score is before the softmax: it keeps the maximum of the others finite.
MASKED = -1e9


class _Attention(keras.layers.Layer):
    """What both kinds share: a softmax over the positions and the weighted sum of the values."""

    def __init__(
        self,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.supports_masking = True

    def project(self, values: Any) -> Any:
        """The keys: the part of the scores that no query changes, computed once for a sequence.

        Args:
            values: `(batch, time, value_dim)`.

        Returns:
            `(batch, time, key_dim)`.
        """
        raise NotImplementedError

    def scores(self, query: Any, keys: Any) -> Any:
        """How well each position fits each query.

        Args:
            query: `(batch, steps, query_dim)`.
            keys: what `project` returned.

        Returns:
            `(batch, steps, time)`.
        """
        raise NotImplementedError

    def call(self, query: Any, values: Any, mask: Any = None) -> tuple[Any, Any]:
        return self.attend(query, self.project(values), values, mask)

    def attend(self, query: Any, keys: Any, values: Any, mask: Any = None) -> tuple[Any, Any]:
        """Context and weights, from keys that are there already: one step of a decoder.

        Args:
            query: `(batch, query_dim)`, or `(batch, steps, query_dim)` for several steps at once.
            keys: what `project` returned for `values`.
            values: `(batch, time, value_dim)`.
            mask: booleans `(batch, time)`, or None.

        Returns:
            The context, `(batch, value_dim)` or `(batch, steps, value_dim)`, and the weights,
            `(batch, time)` or `(batch, steps, time)`.
        """
        single = len(query.shape) == 2
        if single:
            query = ops.expand_dims(query, 1)
        # Half precision is too coarse for the exponentials of long sequences.
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        scores = ops.cast(self.scores(query, keys), wide)  # (batch, steps, time)
        if mask is not None:
            mask = ops.expand_dims(ops.cast(mask, "bool"), 1)  # (batch, 1, time)
            scores = ops.where(mask, scores, MASKED)
        # `initial`, for a sequence without any position has no maximum.
        highest = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True, initial=MASKED))
        powers = ops.exp(scores - highest)
        if mask is not None:
            powers = ops.where(mask, powers, 0.0)
        # The highest score adds 1 to the sum; only a row without any position has a sum of 0.
        total = ops.maximum(ops.sum(powers, axis=-1, keepdims=True), 1.0)
        weights = ops.cast(powers / total, values.dtype)  # (batch, steps, time)
        context = ops.matmul(weights, values)  # (batch, steps, value_dim)
        if single:
            return ops.squeeze(context, 1), ops.squeeze(weights, 1)
        return context, weights

    def _weight(self, variable: Any) -> Any:
        # `attend` is called in the loop of a decoder, outside of Keras's automatic casts.
        return ops.cast(variable, self.compute_dtype)

    def compute_mask(self, query: Any, previous_mask: Any = None) -> None:
        return None

    def compute_output_shape(self, query_shape: Any, values_shape: Any) -> tuple[Any, Any]:
        return (*query_shape[:-1], values_shape[-1]), (*query_shape[:-1], values_shape[1])

    def compute_output_spec(self, query: Any, values: Any, mask: Any = None) -> tuple[Any, Any]:
        shapes = self.compute_output_shape(query.shape, values.shape)
        context, weights = (keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes)
        return context, weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package="kerasrnn")
class BahdanauAttention(_Attention):
    r"""Additive attention: a small network scores each position.

    For a query s, the decoder's state, and values h<1> … h<T>, the encoder's outputs:

    .. math::
        e^{<t>} &= v_a^\top \tanh(W_a s + U_a h^{<t>}) \\
        \alpha^{<t>} &= \frac{\exp e^{<t>}}{\sum_{t'} \exp e^{<t'>}} \\
        c &= \sum_t \alpha^{<t>} h^{<t>}

    after Bahdanau, Cho and Bengio (2015), "Neural Machine Translation by Jointly Learning to Align
    and Translate", section 3.1 and appendix A.1.2.

    Symbols and weights: :math:`W_a` is `query_kernel` `(query_dim, units)`, :math:`U_a` is
    `key_kernel` `(value_dim, units)` and :math:`v_a` is `score_kernel` `(units, 1)`. There are no
    biases.

    `keras.layers.AdditiveAttention` has :math:`W_a` and :math:`U_a` left to the user.

    Args:
        units: the length of the hidden layer that scores.
        kernel_initializer: initialiser of all weights.
        kernel_regularizer: regulariser of all weights, or None.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, query_dim)`, or `(batch, steps, query_dim)` for several queries at once.
        values: `(batch, time, value_dim)`.
        mask: booleans `(batch, time)`, true where there is a value.

    Returns:
        The context c, `(batch, value_dim)` or `(batch, steps, value_dim)`; and the weights α,
        `(batch, time)` or `(batch, steps, time)`, 0 where the mask is false. Weights of a row sum
        to 1; a row that is masked throughout has weights and a context of zeros.

    Raises:
        ValueError: `units` is not a positive integer.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import BahdanauAttention
    >>> attention = BahdanauAttention(8)
    >>> values = np.random.default_rng(1).normal(size=(2, 5, 4)).astype("float32")
    >>> mask = np.array([[True] * 5, [True, True, False, False, False]])
    >>> context, weights = attention(np.ones((2, 3), "float32"), values, mask=mask)
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 4), (2, 5))
    >>> round(float(weights[1, 0] + weights[1, 1]), 4)
    1.0
    """

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_initializer, kernel_regularizer, **kwargs)
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise ValueError(f"`units` must be a positive integer. Received: units={units!r}")
        self.units = units

    def build(self, query_shape: Any, values_shape: Any) -> None:
        for name, rows, columns in (
            ("query_kernel", query_shape[-1], self.units),
            ("key_kernel", values_shape[-1], self.units),
            ("score_kernel", self.units, 1),
        ):
            weight = self.add_weight(
                name=name,
                shape=(rows, columns),
                initializer=self.kernel_initializer,
                regularizer=self.kernel_regularizer,
            )
            setattr(self, name, weight)
        self.built = True

    def project(self, values: Any) -> Any:
        return ops.matmul(values, self._weight(self.key_kernel))  # (batch, time, units)

    def scores(self, query: Any, keys: Any) -> Any:
        asked = ops.matmul(query, self._weight(self.query_kernel))  # (batch, steps, units)
        hidden = ops.tanh(ops.expand_dims(asked, 2) + ops.expand_dims(keys, 1))
        return ops.squeeze(ops.matmul(hidden, self._weight(self.score_kernel)), -1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="kerasrnn")
class LuongAttention(_Attention):
    r"""Multiplicative attention: a product of the query with each position.

    For a query s, the decoder's state, and values h<1> … h<T>, the encoder's outputs:

    .. math::
        e^{<t>} &= s^\top W_a h^{<t>} \\
        \alpha^{<t>} &= \frac{\exp e^{<t>}}{\sum_{t'} \exp e^{<t'>}} \\
        c &= \sum_t \alpha^{<t>} h^{<t>}

    the form "general" of Luong, Pham and Manning (2015), "Effective Approaches to Attention-based
    Neural Machine Translation", equations 7 and 8. Scores are not divided by the square root of the
    length, as later models do.

    Symbols and weights: :math:`W_a` is `kernel` `(query_dim, value_dim)`.

    Args:
        kernel_initializer: initialiser of the weights.
        kernel_regularizer: regulariser of the weights, or None.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        query: `(batch, query_dim)`, or `(batch, steps, query_dim)` for several queries at once.
        values: `(batch, time, value_dim)`.
        mask: booleans `(batch, time)`, true where there is a value.

    Returns:
        The context c, `(batch, value_dim)` or `(batch, steps, value_dim)`; and the weights α,
        `(batch, time)` or `(batch, steps, time)`, 0 where the mask is false. Weights of a row sum
        to 1; a row that is masked throughout has weights and a context of zeros.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import LuongAttention
    >>> context, weights = LuongAttention()(np.ones((2, 7, 3), "float32"),
    ...                                     np.ones((2, 5, 4), "float32"))
    >>> tuple(context.shape), tuple(weights.shape)
    ((2, 7, 4), (2, 7, 5))
    """

    def build(self, query_shape: Any, values_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(query_shape[-1], values_shape[-1]),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.built = True

    def project(self, values: Any) -> Any:
        kernel = ops.transpose(self._weight(self.kernel))
        return ops.matmul(values, kernel)  # (batch, time, query_dim)

    def scores(self, query: Any, keys: Any) -> Any:
        return ops.matmul(query, ops.transpose(keys, (0, 2, 1)))
