"""One generic check for every recurrent layer."""

import json
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.backends import BACKEND, arrays, assert_close

# One training step of each check is compiled; tracing all of them would take most of the time.
UNTRACED = BACKEND == "tensorflow"
SHAPE = (3, 5, 4)  # (batch, time, input)
MASK = np.array([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool)


def run_layer_checks(
    layer_class: type,
    arguments: dict[str, Any],
    *,
    output_shapes: Sequence[tuple],
    weights: Sequence[tuple[str, tuple]],
    returns_sequences: bool = False,
    unknown_time: bool = True,
) -> None:
    """Check what every layer must do, whatever its equations.

    Args:
        layer_class: the layer.
        arguments: its constructor's arguments.
        output_shapes: shapes of all outputs for inputs of `SHAPE`.
        weights: ends of the paths of all trainable weights, and their shapes, in order.
        returns_sequences: whether the first output has an axis of time.
        unknown_time: whether the layer takes sequences of any length.
    """
    x = np.random.default_rng(1).normal(size=SHAPE).astype("float32")
    layer = layer_class(**arguments)
    _check_config(layer, arguments)
    _check_shapes(layer, x, output_shapes)
    _check_weights(layer, weights)
    _check_masks(layer, x, returns_sequences)
    model = _check_functional_model(layer_class, arguments, x, output_shapes, unknown_time)
    _check_training(model, x)
    _check_saving(model, x)
    for dtype in ("float16", "bfloat16"):
        _check_mixed_precision(layer_class, arguments, x, dtype)


def _nested(outputs):
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _check_config(layer, arguments):
    """A configuration goes through JSON and comes back, and keeps every argument."""
    config = layer.get_config()
    for name, value in arguments.items():
        if isinstance(value, (int, float, str)):
            assert config[name] == value, name
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(layer)
    assert copy.get_config() == config
    again = type(layer).from_config(deepcopy(config))  # which may empty its argument
    assert again.get_config() == config


def _check_shapes(layer, x, output_shapes):
    outputs = _nested(layer(x))
    assert [tuple(y.shape) for y in outputs] == list(output_shapes)
    computed = layer.compute_output_shape(x.shape)
    if len(output_shapes) == 1:
        computed = [computed]
    assert [tuple(s) for s in computed] == list(output_shapes)
    symbolic = _nested(layer(keras.KerasTensor(x.shape)))
    assert [tuple(y.shape) for y in symbolic] == list(output_shapes)
    assert {keras.backend.standardize_dtype(y.dtype) for y in outputs} == {"float32"}


def _check_weights(layer, weights):
    variables = layer.trainable_variables
    assert [v.shape for v in variables] == [shape for _, shape in weights]
    for variable, (name, _) in zip(variables, weights, strict=True):
        assert variable.path.endswith(name), (variable.path, name)
    assert len({v.path for v in layer.variables}) == len(layer.variables)
    assert layer.count_params() == sum(int(np.prod(shape)) for _, shape in weights)
    layer.trainable = False
    assert not layer.trainable_variables
    layer.trainable = True


def _check_masks(layer, x, returns_sequences):
    outputs = layer(x, mask=MASK)
    changed = np.where(MASK[:, :, None], x, 50.0).astype("float32")
    assert_close(layer(changed, mask=MASK), outputs, 1e-6)
    assert all(np.isfinite(y).all() for y in arrays(outputs))
    # A row that is masked throughout says nothing.
    assert not np.any(arrays(outputs)[0][2])
    unmasked, everything = layer(x), layer(x, mask=np.ones_like(MASK))
    assert_close(everything, unmasked, 1e-6)
    pairs = zip(arrays(outputs), arrays(unmasked), strict=True)
    assert any(abs(a - b).max() > 1e-4 for a, b in pairs)
    passed_on = layer.compute_mask(x, MASK)
    first = passed_on[0] if isinstance(passed_on, (list, tuple)) else passed_on
    if returns_sequences:
        np.testing.assert_array_equal(first, MASK)
    else:
        assert first is None
    if isinstance(passed_on, (list, tuple)):
        assert len(passed_on) == len(_nested(outputs))


def _check_functional_model(layer_class, arguments, x, output_shapes, unknown_time):
    """A model of unknown batch and length, with an explicit mask, agrees with the bare layer."""
    time = None if unknown_time else SHAPE[1]
    inputs = keras.Input((time, SHAPE[2]), name="sequences")
    mask = keras.Input((time,), dtype="bool", name="mask")
    layer = layer_class(**arguments)
    outputs = _nested(layer(inputs, mask=mask))
    for y, shape in zip(outputs, output_shapes, strict=True):
        assert y.shape[0] is None and len(y.shape) == len(shape) and y.shape[-1] == shape[-1]
    model = keras.Model([inputs, mask], outputs)
    assert_close(model([x, MASK]), layer(x, mask=MASK), 1e-6)
    if unknown_time:
        for batch, length in ((1, 1), (5, 8)):
            other = np.random.default_rng(2).normal(size=(batch, length, SHAPE[2]))
            every = np.ones((batch, length), bool)
            assert_close(model([other.astype("float32"), every]), layer(other.astype("float32")))
    return model


def _check_training(model, x):
    """One training step changes every weight and lowers nothing to NaN."""
    targets = [np.ones(y.shape, "float32") for y in arrays(model([x, MASK]))]
    model.compile(keras.optimizers.SGD(0.1), ["mse"] * len(targets))
    before = arrays(list(model.trainable_variables))
    loss = model.train_on_batch([x, MASK], targets)
    assert np.isfinite(loss).all()
    after = arrays(list(model.trainable_variables))
    for variable, a, b in zip(model.trainable_variables, before, after, strict=True):
        assert np.isfinite(b).all(), variable.path
        assert (a != b).any(), variable.path


def _check_saving(model, x):
    expected = model([x, MASK])
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        copy = keras.saving.load_model(Path(folder) / "model.keras")
        model.save_weights(Path(folder) / "model.weights.h5")
        fresh = keras.models.clone_model(model)
        fresh.load_weights(Path(folder) / "model.weights.h5")
    assert_close(copy([x, MASK]), expected, 1e-6)
    assert_close(fresh([x, MASK]), expected, 1e-6)
    # The loaded copy trains on as the original does, once it draws the same dropout masks: Keras
    # does not save how far a generator of random numbers has come.
    for a, b in zip(model.variables, copy.variables, strict=True):
        if "seed" in a.path:
            b.assign(keras.ops.convert_to_numpy(a))
    targets = [np.zeros(y.shape, "float32") for y in arrays(expected)]
    losses = []
    for trained in (model, copy):
        trained.compile(keras.optimizers.SGD(0.1), ["mse"] * len(targets), run_eagerly=UNTRACED)
        losses.append(trained.train_on_batch([x, MASK], targets))
    assert np.isfinite(np.ravel(losses)).all()
    assert_close(list(copy.trainable_variables), list(model.trainable_variables))


def _check_mixed_precision(layer_class, arguments, x, dtype):
    """Computes in 16 bits, keeps weights in 32, stays near the full precision, and trains."""
    if BACKEND == "torch" and dtype == "float16":
        return  # products of float16 on CPUs are not in every build of PyTorch
    full = layer_class(**arguments)
    policy = f"mixed_{dtype}"
    narrowed = {
        # A cell or a layer among the arguments has a precision of its own.
        name: type(value).from_config({**value.get_config(), "dtype": policy})
        if isinstance(value, keras.layers.Layer)
        else value
        for name, value in arguments.items()
    }
    half = layer_class(**narrowed, dtype=policy)
    full.build(x.shape)
    half.build(x.shape)
    for a, b in zip(full.variables, half.variables, strict=True):
        if "seed" not in a.path:
            b.assign(keras.ops.convert_to_numpy(a))
    assert {v.dtype for v in half.trainable_variables} == {"float32"}
    outputs = _nested(half(x, mask=MASK))
    assert {keras.backend.standardize_dtype(y.dtype) for y in outputs} == {dtype}
    narrow = [keras.ops.convert_to_numpy(keras.ops.cast(y, "float32")) for y in outputs]
    assert_close(narrow, _nested(full(x, mask=MASK)), 0.1 if dtype == "bfloat16" else 0.02)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, _nested(half(inputs))[0])
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=UNTRACED)
    before = arrays(list(half.trainable_variables))
    loss = model.train_on_batch(x, np.ones(narrow[0].shape))
    assert np.isfinite(loss).all()
    assert all(
        (a != b).any() and np.isfinite(b).all()
        for a, b in zip(before, arrays(list(half.trainable_variables)), strict=True)
    )
