"""A cell of the user's own: `project` and `step` are all that `RNN` needs."""

import keras
import numpy as np
import pytest

from kerasrnn import cells, layers
from tests.backends import (
    COMPILED,
    MODES,
    arrays,
    assert_close,
    compiled,
    directional_check,
    value_and_gradients,
    weighted_sum,
)
from tests.layers.common import BATCH, INPUT, MASKS, TIME, UNITS, draw


@keras.saving.register_keras_serializable(package="kerasrnn_tests")
class LeakyCell(keras.layers.Layer):
    """a<t> = ½a<t-1> + ½tanh(Wx + a<t-1>∘w): with `project` and `step` only."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = units
        self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.own = self.add_weight(shape=(self.units,), name="own", initializer="ones")

    def project(self, inputs):
        return keras.ops.matmul(inputs, self.kernel)

    def step(self, projected, states):
        (a,) = states
        a = 0.5 * a + 0.5 * keras.ops.tanh(projected + a * self.own)
        return a, (a,)

    def call(self, inputs, states, training=False):
        return self.step(self.project(inputs), states)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="kerasrnn_tests")
class TwoRatesCell(LeakyCell):
    """Nested projections, two states of different widths, an output that is neither of them."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.state_size = [units, 2]
        self.output_size = units

    def project(self, inputs):
        return {"fast": keras.ops.matmul(inputs, self.kernel), "slow": inputs[..., :2]}

    def step(self, projected, states):
        a, slow = states
        slow = 0.9 * slow + 0.1 * projected["slow"]
        push = keras.ops.sum(slow, axis=-1, keepdims=True)
        a = keras.ops.tanh(projected["fast"] + a * self.own + push)
        return 2 * a + 1, (a, slow)


def leaky(x, kernel, own, mask=None, backwards=False):
    a = np.zeros((x.shape[0], own.shape[0]), x.dtype)
    output, outputs = a, []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        new = 0.5 * a + 0.5 * np.tanh(x[:, t] @ kernel + a * own)
        seen = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        a, output = np.where(seen, new, a), np.where(seen, new, output)
        outputs.append(output)
    return np.stack(outputs, axis=1)


def two_rates(x, kernel, own, mask=None):
    a, slow = np.zeros((x.shape[0], own.shape[0])), np.zeros((x.shape[0], 2))
    output, outputs = 0 * a, []
    for t in range(x.shape[1]):
        new_slow = 0.9 * slow + 0.1 * x[:, t, :2]
        new = np.tanh(x[:, t] @ kernel + a * own + new_slow.sum(-1, keepdims=True))
        seen = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        a, slow = np.where(seen, new, a), np.where(seen, new_slow, slow)
        output = np.where(seen, 2 * new + 1, output)
        outputs.append(output)
    return np.stack(outputs, axis=1), a, slow


def make(cell, rng, dtype="float32", **options):
    layer = layers.RNN(cell, dtype=dtype, **options)
    layer.build((BATCH, TIME, INPUT))
    weights = [draw(rng, INPUT, UNITS, dtype=dtype), draw(rng, UNITS, dtype=dtype)]
    for variable, value in zip(layer.trainable_variables, weights, strict=True):
        variable.assign(value)
    return layer, weights


@pytest.mark.parametrize("mode", MODES)
def test_runs_over_time_with_masks(mode, rng):
    for backwards in (False, True):
        layer, weights = make(LeakyCell(UNITS), rng, return_sequences=True, go_backwards=backwards)
        x = draw(rng, BATCH, TIME, INPUT)
        run = compiled(lambda x, mask, layer=layer: layer(x, mask=mask), mode)
        for mask in list(MASKS.values())[1:]:
            actual = run(*map(keras.ops.convert_to_tensor, [x, mask]))
            assert_close(actual, leaky(x, *weights, mask, backwards))


def test_nested_projections_and_an_output_beside_the_states(rng):
    layer, weights = make(TwoRatesCell(UNITS), rng, return_sequences=True, return_state=True)
    x = draw(rng, BATCH, TIME, INPUT)
    for mask in MASKS.values():
        assert_close(layer(x, mask=mask), two_rates(x, *weights, mask))


@pytest.mark.parametrize("mode", ["eager", *COMPILED])
def test_is_differentiated_automatically(mode, rng, float64):
    layer, weights = make(LeakyCell(UNITS, dtype=float64), rng, float64, return_sequences=True)
    x, factor = (draw(rng, BATCH, TIME, n, dtype=float64) for n in (INPUT, UNITS))
    mask = MASKS["holes"]
    _, gradients = value_and_gradients(
        lambda x: weighted_sum(layer(x, mask=mask), [factor]), layer.trainable_variables, [x], mode
    )

    def value(kernel, own, x):
        return (factor * leaky(x, kernel, own, mask)).sum()

    directional_check(value, [*weights, x], gradients, rng, tolerance=1e-9)


@pytest.mark.slow
def test_trains_saves_and_loads(rng, tmp_path):
    inputs = keras.Input((None, INPUT))
    model = keras.Model(inputs, layers.Bidirectional(layers.RNN(LeakyCell(UNITS)))(inputs))
    model.compile("adam", "mse")
    x = draw(rng, 8, TIME, INPUT)
    before = arrays(list(model.trainable_variables))
    model.fit(x, np.ones((8, 2 * UNITS)), verbose=0)
    after = arrays(list(model.trainable_variables))
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(copy(x), model(x), 1e-6)


def test_subclass_that_changes_the_equations_has_its_own_gradient(rng, float64):
    """The derivative by hand belongs to the equations of its class, not to those of a subclass."""

    class HalfLSTMCell(cells.LSTMCell):
        def step(self, projected, states):
            a, new = super().step(projected, states)
            return a, (0.5 * new[0], new[1])

    layer = layers.RNN(HalfLSTMCell(UNITS, dtype=float64), dtype=float64)
    layer.build((BATCH, TIME, INPUT))
    x = draw(rng, BATCH, TIME, INPUT, dtype=float64)

    def loss(x):
        return keras.ops.sum(keras.ops.square(layer(x)))

    def value(*point):
        *weights, x = point
        for variable, w in zip(layer.trainable_variables, weights, strict=True):
            variable.assign(w)
        return float(keras.ops.convert_to_numpy(loss(keras.ops.convert_to_tensor(x))))

    _, gradients = value_and_gradients(loss, layer.trainable_variables, [x])
    point = [*arrays(list(layer.trainable_variables)), x]
    directional_check(value, point, gradients, rng, tolerance=1e-8)


def test_cells_of_keras_and_stacks_run_as_in_keras(rng):
    x = draw(rng, BATCH, TIME, INPUT)
    cell = keras.layers.LSTMCell(UNITS)
    ours, theirs = layers.RNN(cell), keras.layers.RNN(cell)
    assert_close(ours(x), theirs(x))
    stack = [cells.GRUCell(UNITS), cells.LSTMCell(UNITS)]
    ours = layers.RNN(stack, return_sequences=True)
    theirs = keras.layers.RNN(stack, return_sequences=True)
    mask = MASKS["right padding"]
    assert_close(ours(x, mask=mask), theirs(x, mask=mask))
