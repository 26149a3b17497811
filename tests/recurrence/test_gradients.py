"""The gradient through time, derived by hand, against automatic differentiation.

The truth is each backend's own derivative of the plain loop in `tests/oracles.py`, and finite
differences of it in NumPy: neither shares a line with the library.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest

from kerasrnn import layers
from tests.backends import (
    BACKEND,
    COMPILED,
    arrays,
    assert_close,
    assign,
    directional_check,
    value_and_gradients,
    value_at,
    weighted_sum,
)
from tests.layers.common import BATCH, INPUT, MASKS, TIME, UNITS, draw, make
from tests.oracles import CELLS, bidirectional_outputs, layer_outputs

OPTIONS = {
    "last output": {},
    "sequences": {"return_sequences": True},
    "states": {"return_state": True},
    "everything backwards": {
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
    },
    "zeros for masked": {
        "return_sequences": True,
        "return_state": True,
        "zero_output_for_mask": True,
    },
    "last zero backwards": {"zero_output_for_mask": True, "go_backwards": True},
    "sequences and states": {"return_sequences": True, "return_state": True},
    "without bias": {"return_sequences": True, "use_bias": False},
    "unrolled": {"return_sequences": True, "return_state": True, "unroll": True},
    "segments": {"return_sequences": True, "return_state": True, "segment_length": 2},
    "segments of root T": {
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "segment_length": "sqrt",
    },
    "one segment": {"zero_output_for_mask": True, "segment_length": 9},
    "segments and no derivative by hand": {
        "return_sequences": True,
        "activation": "softsign",
        "segment_length": 2,
    },
    "relu": {"return_sequences": True, "activation": "relu"},
    "without a derivative by hand": {
        "return_sequences": True,
        "return_state": True,
        "activation": "softsign",
    },
    "linear and hard": {
        "return_sequences": True,
        "activation": "linear",
        "recurrent_activation": "hard_sigmoid",
    },
}
TO_ORACLE = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "zero_output_for_mask",
    "activation",
    "recurrent_activation",
)
EXACT = 1e-10
FASTEST = "jit" if BACKEND == "jax" else "eager"  # JAX is slow to run single operations


class Case(NamedTuple):
    """A layer, its point in weights and inputs, and one loss of all it returns, stated thrice."""

    layer: Any
    weights: list[np.ndarray]
    inputs: list[np.ndarray]  # the sequences, then the initial states
    loss: Callable  # of the inputs, by the layer
    plain: Callable  # of weights and inputs, by the oracle in the backend's operations
    value: Callable  # the same in NumPy


def setup(name, rng, dtype, options, mask, shape=(BATCH, TIME)):
    """A case with random weights, inputs, initial states and a random loss."""
    oracle = CELLS[name]
    layer, weights = make(oracle, rng, dtype=dtype, **options)
    batch, time = shape
    inputs = [draw(rng, batch, time, INPUT, dtype=dtype)]
    inputs += [draw(rng, batch, UNITS, dtype=dtype) for _ in range(oracle.states)]
    known = {k: v for k, v in options.items() if k in TO_ORACLE}
    number = len(weights)

    def outputs(point, xp):
        return layer_outputs(
            oracle,
            point[number],
            point[:number],
            mask=mask,
            initial_state=point[number + 1 :],
            xp=xp,
            **known,
        )

    factors = [draw(rng, *y.shape, dtype=dtype) for y in outputs([*weights, *inputs], np)]

    def loss(x, *start, training=False):
        y = layer(x, mask=mask, initial_state=list(start), training=training)
        return weighted_sum(y, factors)

    def plain(*point):
        return weighted_sum(outputs(point, keras.ops), factors)

    def value(*point):
        return sum((f * y).sum() for f, y in zip(factors, outputs(point, np), strict=True))

    return Case(layer, weights, inputs, loss, plain, value)


def compare(case, tolerance, mode=FASTEST, signature=None):
    """Value and all gradients agree, relative to the largest number of each gradient.

    On JAX the truth comes from finite differences: compiling the plain loop takes seconds a case.
    """
    actual, gradients = value_and_gradients(
        case.loss, case.layer.trainable_variables, case.inputs, mode, signature
    )
    point = [x.astype("float64") for x in (*case.weights, *case.inputs)]
    expected = float(case.value(*point))
    assert abs(actual - expected) <= tolerance * max(1, abs(expected))
    if BACKEND == "jax":
        rng = np.random.default_rng(3)
        tolerance = max(1e-9, tolerance)
        directional_check(case.value, point, gradients, rng, directions=6, tolerance=tolerance)
        return
    _, truth = value_and_gradients(case.plain, [], [*case.weights, *case.inputs])
    for g, t in zip(gradients, truth, strict=True):
        assert_close(g, t, tolerance * max(1.0, float(abs(t).max())))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: o.replace(" ", "-"))
@pytest.mark.parametrize("name", CELLS)
def test_exact_for_every_option(name, options, rng, float64):
    masks = ["holes", "no mask" if "segment" in options else "an empty row"]
    for mask in masks[: 1 if BACKEND == "jax" else None]:
        case = setup(name, rng, float64, OPTIONS[options], MASKS[mask])
        # PyTorch's own hard sigmoid has the precision of float32.
        loose = BACKEND == "torch" and "hard" in options
        compare(case, 1e-6 if loose else EXACT)


@pytest.mark.parametrize("name", CELLS)
def test_to_single_precision(name, rng):
    for mask in ("no mask", "holes"):
        case = setup(name, rng, "float32", OPTIONS["everything backwards"], MASKS[mask])
        compare(case, 1e-5)


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("options", ["everything backwards", "segments of root T"])
@pytest.mark.parametrize("name", CELLS)
def test_exact_when_compiled(name, options, mode, rng, float64):
    if "segments" in options and mode == "xla" and name != "lstm":
        pytest.skip("one cell tells how XLA takes segments")
    case = setup(name, rng, float64, OPTIONS[options], MASKS["holes"])
    compare(case, EXACT, mode)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_exact_when_batch_and_time_are_known_only_at_run_time(name, rng, float64):
    oracle, shape = CELLS[name], (2, 7)
    signature = [((None, None, INPUT), float64)] + [((None, UNITS), float64)] * oracle.states
    mask = rng.random(shape) < 0.6
    cases = [("everything backwards", mask), ("segments of root T", None)]
    for options, some in cases[: 2 if name == "lstm" else 1]:
        case = setup(name, rng, float64, OPTIONS[options], some, shape)
        compare(case, EXACT, "graph", signature)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (1, 6), (2, 37)], ids=str)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_exact_for_other_lengths(name, shape, rng, float64):
    mask = rng.random(shape) < 0.6
    for options, some in (("everything backwards", mask), ("segments of root T", None)):
        compare(setup(name, rng, float64, OPTIONS[options], some, shape), EXACT)


@pytest.mark.parametrize("name", CELLS)
def test_exact_in_training_mode_without_dropout(name, rng, float64):
    """What is kept for the backward pass may depend on `training`; the gradient must not."""
    for options in ("last output", "everything backwards"):
        case = setup(name, rng, float64, OPTIONS[options], MASKS["holes"])
        compare(case._replace(loss=partial(case.loss, training=True)), EXACT)


@pytest.mark.parametrize("name", CELLS)
def test_agrees_with_finite_differences(name, rng, float64):
    case = setup(name, rng, float64, OPTIONS["everything backwards"], MASKS["holes"])
    _, gradients = value_and_gradients(case.loss, case.layer.trainable_variables, case.inputs)
    directional_check(case.value, [*case.weights, *case.inputs], gradients, rng, tolerance=1e-9)


@pytest.mark.parametrize("which", ["dropout", "recurrent_dropout", "both", "segments"])
@pytest.mark.parametrize("name", CELLS)
def test_exact_under_dropout(name, which, rng, float64):
    """With the seed's state held, the masks stand still: finite differences are exact."""
    both = which in ("both", "segments")
    rates = dict.fromkeys(["dropout", "recurrent_dropout"] if both else [which], 0.4)
    options = {"return_sequences": True, "return_state": True, "seed": 3, **rates}
    if which == "segments":
        options["segment_length"] = 2
    case = setup(name, rng, float64, options, MASKS["holes"])
    seeds = [v for v in case.layer.variables if "seed" in v.path]
    start = arrays(seeds)
    assert seeds

    def held(*inputs):
        for variable, value in zip(seeds, start, strict=True):
            variable.assign(value)
        return case.loss(*inputs, training=True)

    point, variables = [*case.weights, *case.inputs], case.layer.trainable_variables
    value = value_at(held, variables)
    assert value(*point) == value(*point)
    assert abs(value(*point) - case.value(*point)) > 1e-6  # the masks do something
    _, gradients = value_and_gradients(held, variables, case.inputs, FASTEST)
    directional_check(value, point, gradients, rng, tolerance=1e-9)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("mask", ["no mask", "holes", "an empty row"])
@pytest.mark.parametrize("name", CELLS)
def test_exact_in_both_directions(name, mask, sequences, rng, float64):
    oracle, mask = CELLS[name], MASKS[mask]
    inner, forward = make(oracle, rng, dtype=float64, return_sequences=sequences, return_state=True)
    layer = layers.Bidirectional(inner, dtype=float64)
    layer.build((BATCH, TIME, INPUT))
    weights = [*forward, *(draw(rng, *w.shape, dtype=float64) for w in forward)]
    assign(layer, weights)
    inputs = [draw(rng, BATCH, TIME, INPUT, dtype=float64)]
    inputs += [draw(rng, BATCH, UNITS, dtype=float64) for _ in range(2 * oracle.states)]
    n = len(forward)

    def outputs(point, xp):
        return bidirectional_outputs(
            oracle,
            point[2 * n],
            point[:n],
            point[n : 2 * n],
            mask=mask,
            initial_state=point[2 * n + 1 :],
            return_sequences=sequences,
            return_state=True,
            xp=xp,
        )

    shapes = [y.shape for y in outputs([*weights, *inputs], np)]
    factors = [draw(rng, *shape, dtype=float64) for shape in shapes]

    def loss(x, *start):
        return weighted_sum(layer(x, mask=mask, initial_state=list(start)), factors)

    def plain(*point):
        return weighted_sum(outputs(point, keras.ops), factors)

    def value(*point):
        return sum((f * y).sum() for f, y in zip(factors, outputs(point, np), strict=True))

    compare(Case(layer, weights, inputs, loss, plain, value), EXACT)


@pytest.mark.parametrize("name", CELLS)
def test_only_what_is_asked_for(name, rng, float64):
    """A gradient through one of the outputs alone."""
    oracle = CELLS[name]
    options, mask = OPTIONS["sequences and states"], MASKS["holes"]
    case = setup(name, rng, float64, options, mask)
    number = len(case.weights)
    for part in range(1 + oracle.states):
        shape = (BATCH, TIME, UNITS) if part == 0 else (BATCH, UNITS)
        factor = [draw(rng, *shape, dtype=float64)]

        def loss(x, *start, part=part, factor=factor):
            y = case.layer(x, mask=mask, initial_state=list(start))
            return weighted_sum(y[part], factor)

        def of_oracle(*point, xp=keras.ops, part=part):
            x, *start = point[number:]
            return layer_outputs(
                oracle, x, point[:number], mask=mask, initial_state=start, xp=xp, **options
            )[part]

        def plain(*point, factor=factor, of_oracle=of_oracle):
            return weighted_sum(of_oracle(*point), factor)

        def value(*point, factor=factor, of_oracle=of_oracle):
            return (of_oracle(*point, xp=np) * factor[0]).sum()

        compare(case._replace(loss=loss, plain=plain, value=value), EXACT)


@pytest.mark.parametrize("name", CELLS)
def test_frozen_weights_let_the_gradient_through(name, rng, float64):
    case = setup(name, rng, float64, OPTIONS["sequences"], MASKS["holes"])
    case.layer.trainable = False
    assert case.layer.trainable_variables == []
    _, gradients = value_and_gradients(case.loss, [], case.inputs, FASTEST)
    case.layer.trainable = True
    variables = case.layer.trainable_variables
    _, truth = value_and_gradients(case.loss, variables, case.inputs, FASTEST)
    assert_close(gradients, truth[len(variables) :], EXACT)


@pytest.mark.parametrize("mode", ["jit"] if BACKEND == "jax" else ["eager", *COMPILED[:1]])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_second_order_is_right_or_refused(name, mode, rng, float64):
    """The gradient of a gradient penalty: the right numbers, or an error that says it cannot."""
    if mode == "graph" and name != "lstm":
        pytest.skip("one cell tells how a graph does it")
    case = setup(name, rng, float64, OPTIONS["sequences and states"], MASKS["holes"])

    def penalty(inner):
        return lambda *inputs: keras.ops.sum(keras.ops.square(input_gradient(inner, *inputs)))

    point = [*case.weights, *case.inputs]
    _, truth = value_and_gradients(penalty(case.plain), [], point, FASTEST)
    assert all(abs(t).max() > 1e-3 for t in truth)
    variables = case.layer.trainable_variables
    try:
        _, gradients = value_and_gradients(penalty(case.loss), variables, case.inputs, mode)
    except (NotImplementedError, RuntimeError, LookupError, TypeError) as error:
        assert "second" in str(error).lower(), f"unclear refusal: {error!r}"
    else:
        assert_close(gradients, truth, 1e-9)


def input_gradient(function, *inputs):
    """d function / d (last input of rank 3): kept differentiable."""
    place = next(i for i, x in enumerate(inputs) if len(x.shape) == 3)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(inputs[place])
            value = function(*inputs)
        return tape.gradient(value, inputs[place])
    if BACKEND == "jax":
        import jax

        return jax.grad(function, argnums=place)(*inputs)
    import torch

    return torch.autograd.grad(function(*inputs), inputs[place], create_graph=True)[0]


@pytest.mark.parametrize("name", CELLS)
def test_survives_saving_and_loading(name, rng, tmp_path):
    oracle = CELLS[name]
    inputs = keras.Input((None, INPUT))
    layer = getattr(layers, oracle.layer)(UNITS, return_sequences=True)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    x, factor = draw(rng, BATCH, TIME, INPUT), draw(rng, BATCH, TIME, UNITS)
    results = [
        value_and_gradients(lambda x, m=m: weighted_sum(m(x), [factor]), m.trainable_variables, [x])
        for m in (model, copy)
    ]
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-6)
    assert_close(results[1][1], results[0][1], 1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_survives_an_export(name, rng, tmp_path):
    """A SavedModel loaded without the classes still has its gradient."""
    import tensorflow as tf

    layer, weights = make(CELLS[name], rng, return_sequences=True)
    module = tf.Module()
    module.variables_ = [v.value for v in layer.variables]
    module.call = tf.function(
        lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, INPUT), "float32")]
    )
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(tmp_path / "model"), options=options)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    x, factor = draw(rng, BATCH, TIME, INPUT), draw(rng, BATCH, TIME, UNITS)

    def gradient(function):
        tensor = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = tf.reduce_sum(function(tensor) * factor)
        return tape.gradient(value, tensor)

    expected = layer_outputs(CELLS[name], x, weights, return_sequences=True)
    assert_close(loaded.call(tf.constant(x)), expected)
    assert_close(gradient(loaded.call), gradient(layer), 1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", CELLS)
def test_mixed_precision_stays_near(name, dtype, rng):
    if BACKEND == "torch" and dtype == "mixed_float16":
        pytest.skip("products of float16 on CPUs are not in every build of PyTorch")
    options, mask = OPTIONS["everything backwards"], MASKS["holes"]
    layer, weights = make(CELLS[name], rng, **options)
    narrow, _ = make(CELLS[name], rng, dtype=dtype, **options)
    assign(narrow, weights)
    x = draw(rng, BATCH, TIME, INPUT)
    factors = [draw(rng, *y.shape) for y in arrays(layer(x, mask=mask))]

    def loss(layer):
        def run(x):
            wide = [keras.ops.cast(y, "float32") for y in layer(x, mask=mask)]
            return weighted_sum(wide, factors)

        return run

    _, gradients = value_and_gradients(loss(narrow), narrow.trainable_variables, [x], FASTEST)
    _, truth = value_and_gradients(loss(layer), layer.trainable_variables, [x], FASTEST)
    for g, t in zip(gradients, truth, strict=True):
        assert g.dtype == "float32" and np.isfinite(g).all()
        assert np.linalg.norm(g - t) <= (0.1 if "bf" in dtype else 0.02) * np.linalg.norm(t)


@pytest.mark.parametrize("name", CELLS)
def test_nothing_explodes_where_gates_saturate(name, rng):
    """σ and tanh far out, and zero weights, give finite gradients."""
    layer, weights = make(CELLS[name], rng, return_sequences=True)
    for scale in (0.0, 300.0):
        assign(layer, [scale * w for w in weights])
        _, gradients = value_and_gradients(
            lambda x: keras.ops.sum(layer(x)),
            layer.trainable_variables,
            [100 * draw(rng, BATCH, TIME, INPUT)],
            FASTEST,
        )
        assert all(np.isfinite(g).all() for g in gradients)
