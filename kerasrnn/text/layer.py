"""What the layers of `kerasrnn.text` share: they take strings, own tables and have no weights."""

from typing import Any

import keras
import tensorflow as tf


class TextLayer(keras.layers.Layer):
    """A Keras layer on strings, in TensorFlow ops only, so that it exports into a SavedModel.

    Its inputs reach `call` as they are: Keras would try to make float tensors of them.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.supports_jit = False  # XLA knows no strings
        # Nothing is built from shapes: an untouched layer can be exported and restored.
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; text layers are never trainable."""
        config = super().get_config()
        config.pop("trainable", None)
        return config


def as_strings(values: Any, argument: str) -> tf.Tensor | tf.RaggedTensor:
    """`values` as a string tensor, dense or ragged.

    Args:
        values: a tensor, a ragged tensor, an array, a string or nested lists of strings, whose
            rows may differ in length.
        argument: the name an error gives to `values`.

    Raises:
        ValueError: `values` are not strings.
    """
    if not isinstance(values, tf.Tensor | tf.RaggedTensor):
        try:
            values = _convert(values)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Argument '{argument}' must hold strings: a string tensor, dense or ragged, or "
                f"nested lists of str. Received {values!r:.200}."
            ) from error
    if values.dtype != tf.string:
        raise ValueError(
            f"Argument '{argument}' must hold strings. Received dtype {values.dtype.name}."
        )
    return values


def _convert(values: Any, dtype: tf.DType | None = tf.string) -> tf.Tensor | tf.RaggedTensor:
    """Lists of rows become ragged only if their rows differ in length."""
    try:
        return tf.convert_to_tensor(values, dtype)
    except ValueError:
        if not isinstance(values, list | tuple):
            raise
        return tf.ragged.constant(values, dtype)


def as_ids(values: Any, argument: str) -> tf.Tensor | tf.RaggedTensor:
    """`values` as a tensor of integers, dense or ragged.

    Args:
        values: a tensor, a ragged tensor, an array, a number or nested lists of numbers, whose
            rows may differ in length.
        argument: the name an error gives to `values`.

    Raises:
        ValueError: `values` are not integers.
    """
    if not isinstance(values, tf.Tensor | tf.RaggedTensor):
        try:
            values = _convert(values, None if hasattr(values, "dtype") else tf.int32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Argument '{argument}' must hold integers: a tensor, dense or ragged, or nested "
                f"lists. Received {values!r:.200}."
            ) from error
    if not values.dtype.is_integer:
        raise ValueError(
            f"Argument '{argument}' must hold integers. Received dtype {values.dtype.name}."
        )
    # Rows are gathered by no other kind of integer.
    return values if values.dtype in (tf.int32, tf.int64) else tf.cast(values, tf.int64)


def map_flat(function: Any, values: tf.Tensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
    """Apply an elementwise `function` to the values of a dense or a ragged tensor."""
    if isinstance(values, tf.RaggedTensor):
        return values.with_flat_values(function(values.flat_values))
    return function(values)


def map_to_rows(function: Any, tokens: Any, size: int) -> tf.Tensor | tf.RaggedTensor:
    """Apply a `function` of strings `(n,)` to ids `(n, size)` to strings of any shape.

    Args:
        function: the function.
        tokens: strings of any shape, dense or ragged.
        size: how many ids each string gets.

    Returns:
        What it returns, with one more axis than `tokens`.
    """
    tokens = as_strings(tokens, "tokens")
    if isinstance(tokens, tf.RaggedTensor):
        return tokens.with_flat_values(function(tokens.flat_values))
    ids = function(tf.reshape(tokens, [-1]))
    ids = tf.reshape(ids, tf.concat([tf.shape(tokens), [size]], axis=0))
    ids.set_shape(tokens.shape.concatenate([size]))
    return ids


def static_table(
    keys: Any, values: Any, key_dtype: tf.DType, default: int
) -> tf.lookup.StaticHashTable:
    """A table to int32 ids whose content travels inside the SavedModel, with no file beside it.

    It is made outside of any graph being traced, so that a layer may be constructed anywhere.
    """
    with tf.init_scope():
        return tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys, key_dtype), tf.constant(values, tf.int32)
            ),
            default_value=default,
        )
