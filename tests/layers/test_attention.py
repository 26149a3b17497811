"""Attention against NumPy written from the papers, and through the generic checks of layers."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.layers import BahdanauAttention, LuongAttention
from tests.backends import (
    arrays,
    assert_close,
    assign,
    directional_check,
    value_and_gradients,
    value_at,
    weighted_sum,
)
from tests.layers.common import MASKS, draw
from tests.layers.layer_checks import run_layer_checks
from tests.oracles import ATTENTIONS

B, T, X, Q, U, S = 3, 5, 4, 3, 6, 2  # batch, time, values, query, units, steps
WEIGHTS: dict[str, list[tuple[str, tuple]]] = {
    "BahdanauAttention": [
        ("query_kernel", (Q, U)),
        ("key_kernel", (X, U)),
        ("score_kernel", (U, 1)),
    ],
    "LuongAttention": [("kernel", (Q, X))],
}


def make(name: str, rng, **options: Any):
    """The layer with random weights, and those weights."""
    if name == "BahdanauAttention":
        layer: Any = BahdanauAttention(U, **options)
    else:
        layer = LuongAttention(**options)
    layer.build((B, Q), (B, T, X))
    dtype = "float64" if options.get("dtype") == "float64" else "float32"
    weights = [draw(rng, *shape, dtype=dtype) for _, shape in WEIGHTS[name]]
    assign(layer, weights)
    return layer, weights


@pytest.mark.parametrize("name", ATTENTIONS)
@pytest.mark.parametrize("mask_name", MASKS)
def test_against_the_equations(name, mask_name, rng):
    layer, weights = make(name, rng)
    mask = MASKS[mask_name]
    queries, values = draw(rng, B, S, Q), draw(rng, B, T, X)
    context, alphas = arrays(layer(queries, values, mask=mask))
    for row in range(B):
        for step in range(S):
            expected = ATTENTIONS[name](
                queries[row, step].astype("float64"),
                values[row].astype("float64"),
                [w.astype("float64") for w in weights],
                None if mask is None else mask[row],
            )
            assert_close([context[row, step], alphas[row, step]], list(expected))
    # One query alone, and from keys that were there before.
    single = layer(queries[:, 1], values, mask=mask)
    assert_close(single, [context[:, 1], alphas[:, 1]])
    keys = layer.project(ops.convert_to_tensor(values))
    asked = layer.attend(ops.convert_to_tensor(queries[:, 1]), keys, values, mask)
    assert_close(asked, [context[:, 1], alphas[:, 1]])


@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_are_a_distribution_over_what_is_there(name, rng):
    layer, _ = make(name, rng)
    mask = MASKS["an empty row"]
    values = 100 * draw(rng, B, T, X)  # scores far beyond what exp can take
    context, alphas = arrays(layer(draw(rng, B, Q), values, mask=mask))
    assert np.isfinite(context).all()
    np.testing.assert_allclose(alphas.sum(axis=1), mask.any(axis=1), atol=1e-6)
    assert (alphas[~mask] == 0).all()
    changed = np.where(mask[:, :, None], values, 1e6).astype("float32")
    again = layer(np.zeros((B, Q), "float32"), changed, mask=mask)
    assert_close(again, arrays(layer(np.zeros((B, Q), "float32"), values, mask=mask)))


@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_gradient_is_that_of_finite_differences(name, rng, float64):
    layer, weights = make(name, rng, dtype=float64)
    mask = MASKS["an empty row"]
    inputs = [draw(rng, B, S, Q, dtype=float64), draw(rng, B, T, X, dtype=float64)]
    factors = [draw(rng, B, S, X, dtype=float64), draw(rng, B, S, T, dtype=float64)]

    def loss(queries, values):
        return weighted_sum(layer(queries, values, mask=mask), factors)

    _, gradients = value_and_gradients(loss, layer.trainable_variables, inputs)
    value = value_at(loss, layer.trainable_variables)
    directional_check(value, [*weights, *inputs], gradients, rng)


@keras.saving.register_keras_serializable(package="tests")
class Asked(keras.layers.Layer):
    """An attention whose query is made of the sequence itself, to stand where one input is."""

    def __init__(self, attention: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(attention, dict):
            attention = keras.saving.deserialize_keras_object(attention)
        self.attention = attention
        self.supports_masking = True

    def build(self, shape):
        if not self.attention.built:
            self.attention.build((shape[0], Q), shape)
        self.built = True

    def call(self, sequences, mask=None):
        return list(self.attention(sequences[:, 0, :Q], sequences, mask=mask))

    def compute_output_shape(self, shape):
        return self.attention.compute_output_shape((shape[0], Q), shape)

    def compute_mask(self, sequences, mask=None):
        return [None, None]

    def get_config(self):
        attention = keras.saving.serialize_keras_object(self.attention)
        return {**super().get_config(), "attention": attention}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_generic_checks(name):
    layer: Any = BahdanauAttention(U) if name == "BahdanauAttention" else LuongAttention()
    run_layer_checks(
        Asked,
        {"attention": layer},
        output_shapes=[(B, X), (B, T)],
        weights=WEIGHTS[name],
        unknown_time=False,  # the weights end in it
    )


def test_configuration_keeps_every_argument():
    for layer in (
        BahdanauAttention(3, kernel_initializer="he_normal", kernel_regularizer="l2"),
        LuongAttention(kernel_initializer="he_normal", kernel_regularizer="l2", name="mine"),
    ):
        copy = type(layer).from_config(layer.get_config())
        assert copy.get_config() == layer.get_config()
        assert type(copy.kernel_regularizer) is keras.regularizers.L2


@pytest.mark.parametrize("units", [0, -1, 2.5, True, None])
def test_units_must_be_a_positive_integer(units):
    with pytest.raises(ValueError, match=r"`units` must be a positive integer. Received: units="):
        BahdanauAttention(units)
