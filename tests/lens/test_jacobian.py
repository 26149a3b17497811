"""Jacobians of states against automatic differentiation of the layers themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kerasrnn import cells, layers
from kerasrnn.lens import state_jacobian

BATCH, TIME, UNITS, INPUTS = 3, 6, 4, 3
EXACT = {"rtol": 0, "atol": 1e-8}

LAYERS = {
    "SimpleRNN": layers.SimpleRNN,
    "SimplifiedGRU": layers.SimplifiedGRU,
    "GRU": layers.GRU,
    "LSTM": layers.LSTM,
    "RNN(GRUCell)": lambda units, **kw: layers.RNN(cells.GRUCell(units, dtype=kw["dtype"]), **kw),
    "keras SimpleRNN": keras.layers.SimpleRNN,
    "keras GRU": keras.layers.GRU,
    "keras GRU, reset before": lambda units, **kw: keras.layers.GRU(units, reset_after=False, **kw),
    "keras LSTM": keras.layers.LSTM,
    "keras RNN(LSTMCell)": lambda units, **kw: keras.layers.RNN(
        keras.layers.LSTMCell(units, dtype=kw["dtype"]), **kw
    ),
    "keras RNN(our LSTMCell)": lambda units, **kw: keras.layers.RNN(
        cells.LSTMCell(units, dtype=kw["dtype"]), **kw
    ),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
every_gru = pytest.mark.parametrize(
    "name", ["SimplifiedGRU", "GRU", "keras GRU", "keras GRU, reset before"]
)
every_lstm = pytest.mark.parametrize("name", ["LSTM", "keras LSTM"])


def made(name, rng, dtype="float64", **kwargs):
    layer = LAYERS[name](UNITS, dtype=dtype, return_state=True, **kwargs)
    return randomised(layer, rng)


def randomised(layer, rng):
    layer.build((BATCH, TIME, INPUTS))
    for weight in layer.weights:
        # Numbers that single precision has too.
        weight.assign(rng.normal(0, 0.7, weight.shape).astype("float32"))
    return layer


def inputs(rng, time=TIME):
    return rng.normal(size=(BATCH, time, INPUTS))


def random_mask(rng):
    mask = rng.random((BATCH, TIME)) < 0.7
    mask[0] = [True, False, True, True, False, False]
    mask[1] = [False, True, True, False, True, True]
    return mask


def rows_of(tape, y, x):
    """dy/dx of each example, one component of y after the other."""
    ones = tf.one_hot(range(y.shape[1]), y.shape[1], dtype=y.dtype)
    zero = tf.UnconnectedGradients.ZERO
    rows = [
        tape.gradient(y, x, output_gradients=one + tf.zeros_like(y), unconnected_gradients=zero)
        for one in ones
    ]
    return np.stack([np.asarray(row) for row in rows], axis=1)


def run(layer, x, states, mask=None):
    """The layer's final states, as it computes them."""
    options = {} if mask is None else {"mask": tf.constant(mask)}
    return list(layer(tf.constant(x), initial_state=list(states), **options)[1:])


def zeros(layer):
    return [tf.zeros((BATCH, UNITS), layer.compute_dtype) for _ in layer.state_size]


def automatic(layer, x, lag, mask=None, states=None):
    """∂c<t>/∂c<t-k> by differentiating the layer over the k steps in between.

    Of an LSTM, a<t-k> = Γo ∘ tanh(c<t-k>) with Γo = a<t-k> / tanh(c<t-k>), a constant.
    """
    states = zeros(layer) if states is None else states
    x = np.asarray(x)
    result = np.full((BATCH, x.shape[1], UNITS, UNITS), np.nan)
    for end in range(lag, x.shape[1] + 1):
        begin = end - lag
        before = states
        if begin:
            before = run(layer, x[:, :begin], states, None if mask is None else mask[:, :begin])
        c = before[-1]
        if len(before) == 2:
            Γo = before[0] / tf.where(c == 0, tf.ones_like(c), tf.tanh(c))
            started = np.ones((BATCH, 1), bool) if mask is None else mask[:, :begin].any(1)[:, None]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(c)
            first = [c]
            if len(before) == 2:
                first = [tf.where(started & (begin > 0), Γo * tf.tanh(c), before[0]), c]
            between = slice(begin, end)
            last = run(layer, x[:, between], first, None if mask is None else mask[:, between])[-1]
        result[:, end - 1] = rows_of(tape, last, c)
    return result


# === Against automatic differentiation ===


@every_layer
@pytest.mark.parametrize("lag", [1, 3, TIME])
@pytest.mark.parametrize("masked", [False, True])
def test_the_jacobian_is_the_automatic_one(name, lag, masked, rng):
    layer, x = made(name, rng), inputs(rng)
    mask = random_mask(rng) if masked else None
    jacobian = state_jacobian(layer, x, lag=lag, mask=mask)
    expected = automatic(layer, x, lag, mask)
    assert np.isnan(jacobian.matrices[:, : lag - 1]).all()
    assert np.isfinite(jacobian.matrices[:, lag - 1 :]).all()
    np.testing.assert_allclose(jacobian.matrices, expected, **EXACT)
    valid = expected[:, lag - 1 :]
    np.testing.assert_allclose(
        jacobian.singular_values[:, lag - 1 :], np.linalg.svd(valid, compute_uv=False), **EXACT
    )
    np.testing.assert_allclose(
        jacobian.spectral_radius[:, lag - 1 :], abs(np.linalg.eigvals(valid)).max(-1), **EXACT
    )


@every_layer
def test_the_terms_add_up_to_the_automatic_jacobian_of_one_step(name, rng):
    layer, x, mask = made(name, rng), inputs(rng), random_mask(rng)
    for lag in (1, 3):
        terms = state_jacobian(layer, x, lag=lag, mask=mask).terms
        expected = automatic(layer, x, 1, mask)
        np.testing.assert_allclose(sum(terms.values()), expected, **EXACT)
        identity = np.eye(UNITS)
        assert (expected[~mask] == identity).all()
        for term, matrices in terms.items():
            carries = term == "direct" or len(terms) == 1
            assert (matrices[~mask] == (identity if carries else 0)).all()


@every_lstm
@pytest.mark.parametrize("lag", [1, 2, 5])
def test_the_full_state_of_an_lstm_has_both_states(name, lag, rng):
    layer, x, mask = made(name, rng), inputs(rng), random_mask(rng)
    jacobian = state_jacobian(layer, x, lag=lag, mask=mask)
    for end in range(lag, TIME + 1):
        begin = end - lag
        before = run(layer, x[:, :begin], zeros(layer), mask[:, :begin]) if begin else zeros(layer)
        with tf.GradientTape(persistent=True) as tape:
            s = tf.concat(before, axis=-1)
            tape.watch(s)
            last = run(layer, x[:, begin:end], tf.split(s, 2, axis=-1), mask[:, begin:end])
            last = tf.concat(last, axis=-1)
        expected = rows_of(tape, last, s)
        np.testing.assert_allclose(jacobian.state_matrices[:, end - 1], expected, **EXACT)


@every_lstm
def test_of_an_lstm_one_step_products_are_not_the_jacobian_of_two(name, rng):
    """Γo<t-1> depends on c<t-2>: only the full state's Jacobians make a chain."""
    layer, x = made(name, rng), inputs(rng)
    one, two = (state_jacobian(layer, x, lag=lag) for lag in (1, 2))
    product = one.matrices[:, 2:] @ one.matrices[:, 1:-1]
    assert abs(product - two.matrices[:, 2:]).max() > 1e-3
    chain = one.state_matrices[:, 2:] @ one.state_matrices[:, 1:-1]
    np.testing.assert_allclose(chain, two.state_matrices[:, 2:], **EXACT)


@every_layer
def test_a_given_initial_state(name, rng):
    layer, x = made(name, rng), inputs(rng)
    states = [tf.constant(rng.normal(size=(BATCH, UNITS))) for _ in layer.state_size]
    jacobian = state_jacobian(layer, x, lag=2, initial_state=states)
    np.testing.assert_allclose(jacobian.matrices, automatic(layer, x, 2, states=states), **EXACT)
    assert abs(jacobian.matrices - state_jacobian(layer, x, lag=2).matrices)[:, 1].max() > 1e-3


@pytest.mark.parametrize("name", ["GRU", "keras LSTM", "LSTM"])
@pytest.mark.parametrize("activation", ["relu", "softsign", "linear", None])
def test_other_activations(name, activation, rng):
    layer = made(name, rng, activation=activation, recurrent_activation="hard_sigmoid")
    x = inputs(rng)
    jacobian = state_jacobian(layer, x)
    if "LSTM" not in name:
        np.testing.assert_allclose(jacobian.matrices, automatic(layer, x, 1), **EXACT)
    with tf.GradientTape(persistent=True) as tape:
        s = tf.concat(run(layer, x[:, :2], zeros(layer)), axis=-1)
        tape.watch(s)
        states = tf.split(s, len(layer.state_size), axis=-1)
        last = tf.concat(run(layer, x[:, 2:3], states), axis=-1)
    np.testing.assert_allclose(jacobian.state_matrices[:, 2], rows_of(tape, last, s), **EXACT)
    assert len(jacobian.terms) == 4


# === Each term by itself ===


def split_gru_step(layer, x, copies):
    """A GRU's step in which every path has a copy of the old value of its own."""
    to_gate, to_candidate, to_relevance, to_gate_of_old, old = copies
    kernel, recurrent, bias = (w.numpy() for w in layer.weights)
    is_keras = type(layer).__module__.startswith("keras.")
    blocks = kernel.shape[1] // UNITS
    after = bias.ndim == 2
    b, b_recurrent = bias if after else (bias, np.zeros_like(bias))
    U = np.split(recurrent, blocks, axis=1)
    X = np.split(x @ kernel + b, blocks, axis=1)
    B = np.split(b_recurrent, blocks)

    def gate(c):
        z = tf.sigmoid(X[0] + c @ U[0] + B[0])
        return 1 - z if is_keras else z

    if blocks == 2:
        candidate = tf.tanh(X[1] + to_candidate @ U[1])
    else:
        Γr = tf.sigmoid(X[1] + to_relevance @ U[1] + B[1])
        if after:
            candidate = tf.tanh(X[2] + Γr * (to_candidate @ U[2] + B[2]))
        else:
            candidate = tf.tanh(X[2] + (Γr * to_candidate) @ U[2])
    return gate(to_gate) * candidate - gate(to_gate_of_old) * old + old


@every_gru
def test_each_term_of_a_gru_is_what_flows_along_its_path(name, rng):
    layer, x = made(name, rng), inputs(rng)
    t = 4
    (before,) = run(layer, x[:, : t - 1], zeros(layer))
    (after,) = run(layer, x[:, :t], zeros(layer))
    copies = [tf.identity(before) for _ in range(5)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(copies)
        c = split_gru_step(layer, x[:, t - 1], copies)
    np.testing.assert_allclose(c, after, **EXACT)
    paths = [rows_of(tape, c, copy) for copy in copies]
    jacobian = state_jacobian(layer, x)
    Γu = 1 - paths[4][:, range(UNITS), range(UNITS)]  # the last copy has ∂/∂old = 1 − Γu
    expected = {
        "gate · candidate": paths[0],
        "candidate": paths[1] + paths[2],
        "gate · old value": paths[3],
        "direct": paths[4],
    }
    assert list(jacobian.terms) == list(expected)
    for term, matrices in expected.items():
        np.testing.assert_allclose(jacobian.terms[term][:, t - 1], matrices, **EXACT)
        assert abs(matrices).max() > 1e-2
    assert ((Γu > 0) & (Γu < 1)).all()
    if name == "SimplifiedGRU":
        with pytest.raises(ValueError, match="relevance gate"):
            _ = jacobian.candidate_paths
    else:
        parts = jacobian.candidate_paths
        np.testing.assert_allclose(parts["value"][:, t - 1], paths[1], **EXACT)
        np.testing.assert_allclose(parts["relevance gate"][:, t - 1], paths[2], **EXACT)


@every_lstm
def test_each_term_of_an_lstm_is_what_flows_along_its_path(name, rng):
    layer, x, t = made(name, rng), inputs(rng), 4
    kernel, recurrent, bias = (w.numpy() for w in layer.weights)
    a, c = run(layer, x[:, : t - 1], zeros(layer))
    Γo = a / tf.tanh(c)
    X, U = np.split(x[:, t - 1] @ kernel + bias, 4, axis=1), np.split(recurrent, 4, axis=1)
    copies = {
        name: tf.identity(c)
        for name in ("update gate · candidate", "candidate", "forget gate · old value", "direct")
    }
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(copies)
        to_update, to_candidate, to_forget = (
            Γo * tf.tanh(copy) for name, copy in copies.items() if name != "direct"
        )
        new = (
            tf.sigmoid(X[0] + to_update @ U[0]) * tf.tanh(X[2] + to_candidate @ U[2])
            + tf.sigmoid(X[1] + to_forget @ U[1]) * copies["direct"]
        )
    np.testing.assert_allclose(new, run(layer, x[:, :t], zeros(layer))[1], **EXACT)
    terms = state_jacobian(layer, x).terms
    assert set(terms) == set(copies)
    for term, copy in copies.items():
        np.testing.assert_allclose(terms[term][:, t - 1], rows_of(tape, new, copy), **EXACT)


# === Directions, dtypes, stacks and other cells ===


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM", "keras GRU", "keras LSTM"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_layer_that_reads_from_the_end(name, masked, rng):
    backward = made(name, rng, go_backwards=True)
    forward = made(name, rng)
    forward.set_weights(backward.get_weights())
    x, mask = inputs(rng), random_mask(rng) if masked else None
    jacobian = state_jacobian(backward, x, lag=2, mask=mask)
    turned = automatic(forward, x[:, ::-1], 2, None if mask is None else mask[:, ::-1])
    np.testing.assert_allclose(jacobian.matrices, turned[:, ::-1], **EXACT)
    assert np.isnan(jacobian.matrices[:, -1]).all() and jacobian.backward
    assert (jacobian.mask == (True if mask is None else mask)).all()
    np.testing.assert_allclose(
        sum(jacobian.terms.values()),
        state_jacobian(backward, x, mask=mask).matrices,
        **EXACT,
    )


@pytest.mark.parametrize(
    ("wrapper", "kind"),
    [
        (layers.Bidirectional, layers.GRU),
        (layers.Bidirectional, layers.LSTM),
        (keras.layers.Bidirectional, keras.layers.LSTM),
        (keras.layers.Bidirectional, keras.layers.GRU),
        (keras.layers.Bidirectional, layers.SimpleRNN),
    ],
)
def test_both_directions(wrapper, kind, rng):
    layer = randomised(wrapper(kind(UNITS, dtype="float64"), dtype="float64"), rng)
    single = kind(UNITS, dtype="float64", return_state=True)
    single.build((BATCH, TIME, INPUTS))
    x, mask = inputs(rng), random_mask(rng)
    single.set_weights(layer.forward_layer.get_weights())
    jacobian = state_jacobian(layer, x, mask=mask, direction="forward")
    np.testing.assert_allclose(jacobian.matrices, automatic(single, x, 1, mask), **EXACT)
    single.set_weights(layer.backward_layer.get_weights())
    jacobian = state_jacobian(layer, x, mask=mask, direction="backward")
    turned = automatic(single, x[:, ::-1], 1, mask[:, ::-1])
    np.testing.assert_allclose(jacobian.matrices, turned[:, ::-1], **EXACT)
    assert jacobian.name == layer.backward_layer.name


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_layers_of_any_dtype_are_read_in_double_precision(name, dtype, rng):
    single, double = made(name, rng, dtype), made(name, rng)
    double.set_weights(single.get_weights())
    x = inputs(rng)
    jacobian = state_jacobian(single, x, lag=3)
    assert jacobian.matrices.dtype == "float64"
    np.testing.assert_allclose(jacobian.matrices, automatic(double, x, 3), **EXACT)
    own = tf.cast(x, "bfloat16")
    rounded = state_jacobian(single, own, lag=3, initial_state=single.get_initial_state(BATCH))
    np.testing.assert_allclose(rounded.matrices, jacobian.matrices, atol=0.1)
    half = state_jacobian(single, x, lag=3, dtype="float32")
    assert half.matrices.dtype == half.singular_values.dtype == "float32"
    np.testing.assert_allclose(half.matrices, jacobian.matrices, atol=1e-5)
    assert {x.dtype for x in half.terms.values()} == {np.dtype("float32")}


@keras.saving.register_keras_serializable(package="tests")
class Plain(keras.layers.Layer):
    """A cell that knows nothing of this package: two states of different lengths, a layer inside.

    Its weights are made when it is first called.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.state_size = [units, 2]
        self.output_size = units
        self.inner = keras.layers.Dense(units, activation="softmax", name="inner")
        self.second = keras.layers.Dense(2, name="second")

    def call(self, inputs, states, training=False):
        h, slow = states
        h = self.inner(ops.concatenate([inputs, h, slow], axis=-1)) + 0.3 * ops.tanh(h)
        slow = 0.9 * slow + 0.1 * ops.tanh(self.second(h)) * (0.0 if training else 1.0)
        return h, [h, slow]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="tests")
class Halves(cells.Cell):
    """A cell of the two methods that a user of this package writes."""

    def build(self, input_shape):
        self.W = self.add_weight(shape=(input_shape[-1] + self.units, self.units), name="W")
        self.built = True

    def project(self, inputs):
        return ops.matmul(inputs, ops.convert_to_tensor(self.W)[: inputs.shape[-1]])

    def step(self, projected, states):
        (a,) = states
        a = 0.5 * a + ops.sin(projected + ops.matmul(a, self.W[-self.units :]))
        return a, (a,)


class Peephole(cells.LSTMCell):
    """An LSTM whose update is another."""

    def update(self, gates, states):
        a, (a, c) = super().update(gates, states)
        return a, (a, c * 0.5)


class Sized(cells.GRUCell):
    """A GRU that counts its weights, which changes nothing of its step."""

    def count(self):
        return self.count_params()


def full_state(cell, x, states):
    """∂s<t>/∂s<t-1> by differentiating one call of the cell after the other."""
    structure, result = cell.state_size, []
    sizes = keras.tree.flatten(structure)
    states = [tf.constant(s) for s in states]
    for t in range(x.shape[1]):
        with tf.GradientTape(persistent=True) as tape:
            s = tf.concat(states, axis=-1)
            tape.watch(s)
            parts = tf.split(s, sizes, axis=-1)
            if keras.tree.is_nested(structure):
                parts = keras.tree.pack_sequence_as(structure, parts)
            _, new = cell(tf.constant(x[:, t]), parts)
            states = keras.tree.flatten(new)
            new = tf.concat(states, axis=-1)
        result.append(rows_of(tape, new, s))
    return np.stack(result, axis=1)


# Keras warns of a layer that makes its weights when it is first called.
makes_weights_late = pytest.mark.filterwarnings("ignore:`build..` was called on layer 'plain")

OTHER_CELLS = {
    "plain": lambda dtype: Plain(UNITS, dtype=dtype),
    "halves": lambda dtype: Halves(UNITS, dtype=dtype),
    "subclass": lambda dtype: Peephole(UNITS, dtype=dtype),
    "softmax": lambda dtype: cells.GRUCell(UNITS, activation="softmax", dtype=dtype),
    "stack": lambda dtype: keras.layers.StackedRNNCells(
        [
            keras.layers.GRUCell(UNITS, dtype=dtype),
            Peephole(3, dtype=dtype),
            keras.layers.LSTMCell(2, dtype=dtype),
        ],
        dtype=dtype,
    ),
}


@makes_weights_late
@pytest.mark.parametrize("name", OTHER_CELLS)
@pytest.mark.parametrize("library", [keras.layers, layers])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_other_cell_is_differentiated_automatically(name, library, dtype, rng):
    with keras.device("cpu"):
        keras.config.set_dtype_policy(dtype)
        layer = library.RNN(OTHER_CELLS[name](dtype), dtype=dtype)
        keras.config.set_dtype_policy("float64")
        double = OTHER_CELLS[name]("float64")
        keras.config.set_dtype_policy("float32")
    x = inputs(rng)
    layer(x.astype(dtype))
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.7, weight.shape).astype("float32"))
    sizes = keras.tree.flatten(layer.cell.state_size)
    states = [rng.normal(size=(BATCH, size)) for size in sizes]
    nested = keras.tree.pack_sequence_as(double.state_size, states) if len(sizes) > 1 else states
    double(tf.constant(x[:, 0]), [tf.constant(s) for s in states] if name != "stack" else nested)
    double.set_weights(layer.cell.get_weights())
    before = layer.get_weights()
    jacobian = state_jacobian(layer, x, initial_state=states)
    expected = full_state(double, x, states)
    np.testing.assert_allclose(jacobian.matrices, expected, **EXACT)
    assert jacobian.matrices.shape == (BATCH, TIME, sum(sizes), sum(sizes))
    three = state_jacobian(layer, x, lag=3, initial_state=states)
    product = expected[:, 2:] @ expected[:, 1:-1] @ expected[:, :-2]
    np.testing.assert_allclose(three.matrices[:, 2:], product, **EXACT)
    with pytest.raises(ValueError, match="terms of a step are known only"):
        _ = jacobian.terms
    with pytest.raises(ValueError, match="terms of a step are known only"):
        jacobian.plot_terms()
    mask = random_mask(rng)
    hidden = state_jacobian(layer, x, mask=mask, initial_state=states).matrices
    assert (hidden[~mask] == np.eye(sum(sizes))).all()
    # The layer is left as it was.
    assert keras.config.dtype_policy().name == "float32" and layer.cell.compute_dtype == dtype
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_subclass_that_computes_the_same_keeps_its_terms(rng):
    layer = randomised(layers.RNN(Sized(UNITS)), rng)
    assert len(state_jacobian(layer, inputs(rng)).terms) == 4


class Unsaid(keras.layers.Layer):
    """A cell that keeps to itself what its constructor was given."""

    def __init__(self, factor=1.0, whole=True, **kwargs):
        super().__init__(**kwargs)
        self.factor, self.state_size, self.whole = factor, UNITS, whole

    def build(self, shape):
        self.W = self.add_weight(shape=(shape[-1], UNITS), name="W")

    def call(self, inputs, states):
        a = ops.tanh(ops.matmul(inputs, self.W)) + self.factor * states[0]
        return a, [a]

    def get_config(self):
        if not self.whole:
            raise NotImplementedError("no configuration")
        return super().get_config()


def test_a_cell_that_cannot_be_copied_says_so(rng):
    x = inputs(rng)
    for cell, message in (
        (Unsaid(0.3), "something else"),
        (Unsaid(whole=False), "cannot be copied to float64: no configuration"),
    ):
        layer = randomised(keras.layers.RNN(cell), rng)
        with pytest.raises(ValueError, match=message):
            state_jacobian(layer, x, initial_state=np.ones((BATCH, UNITS)))
        jacobian = state_jacobian(layer, x, dtype="float32")
        expected = np.broadcast_to(cell.factor * np.eye(UNITS), jacobian.matrices.shape)
        np.testing.assert_allclose(jacobian.matrices, expected, atol=1e-6)


def test_a_cell_that_is_no_layer(rng):
    class Bare:
        state_size = output_size = UNITS

        def call(self, inputs, states):
            a = inputs[:, :1] + 0.5 * states[0]
            return a, [a]

        __call__ = call

    layer = keras.layers.RNN(Bare())
    x = inputs(rng)
    layer.build(x.shape)
    jacobian = state_jacobian(layer, x, initial_state=np.zeros((BATCH, UNITS)))
    np.testing.assert_allclose(jacobian.matrices[0, 0], 0.5 * np.eye(UNITS))


@pytest.mark.parametrize("library", [keras.layers, layers])
def test_a_stateful_layer_begins_with_what_it_keeps(library, rng):
    layer = library.GRU(UNITS, stateful=True, dtype="float64", return_state=True)
    x = inputs(rng)
    randomised(layer, rng)
    _, state = layer(x)
    kept = np.array(state)
    jacobian = state_jacobian(layer, x)
    given = state_jacobian(layer, x, initial_state=kept)
    np.testing.assert_allclose(jacobian.matrices, given.matrices, **EXACT)
    np.testing.assert_array_equal(layer.states[0].numpy(), kept)
    with pytest.raises(ValueError, match="initial state must have the shape"):
        state_jacobian(layer, x[:2])


def test_dropout_is_off(rng):
    layer = made("LSTM", rng, dropout=0.5, recurrent_dropout=0.5)
    plain = made("LSTM", rng)
    plain.set_weights(layer.get_weights())
    x = inputs(rng)
    a, b = (state_jacobian(each, x).matrices for each in (layer, plain))
    np.testing.assert_array_equal(a, b)


def test_long_sequences_are_read_in_parts(rng, monkeypatch):
    layer, x = made("LSTM", rng), inputs(rng, time=20)
    whole = state_jacobian(layer, x, lag=3)
    expected = {
        "matrices": whole.matrices,
        "singular_values": whole.singular_values,
        "lyapunov_per_example": whole.lyapunov_per_example,
        **whole.term_sizes,
    }
    monkeypatch.setattr("kerasrnn.lens.jacobian._NUMBERS_AT_ONCE", 1)
    parts = state_jacobian(layer, x, lag=3)
    for name, values in expected.items():
        found = parts.term_sizes[name] if name in parts.term_sizes else getattr(parts, name)
        np.testing.assert_allclose(found, values, rtol=1e-12)


# === Lyapunov exponents ===


@every_layer
def test_the_exponent_is_the_growth_of_the_whole_product(name, rng):
    layer, x, mask = made(name, rng), inputs(rng), random_mask(rng)
    jacobian = state_jacobian(layer, x, lag=TIME, mask=mask)
    whole = np.linalg.norm(jacobian.state_matrices[:, -1], 2, axis=(-2, -1))
    np.testing.assert_allclose(
        jacobian.lyapunov_per_example, np.log(whole) / mask.sum(axis=1), **EXACT
    )
    assert jacobian.lyapunov == pytest.approx(jacobian.lyapunov_per_example.mean())


def test_padding_does_not_change_the_exponent(rng):
    layer, x = made("LSTM", rng), inputs(rng)
    padded = np.concatenate([x, np.full((BATCH, 50, INPUTS), np.nan)], axis=1)
    mask = np.arange(padded.shape[1]) < TIME
    mask = np.broadcast_to(mask, padded.shape[:2])
    short, long = state_jacobian(layer, x), state_jacobian(layer, padded, mask=mask)
    np.testing.assert_allclose(long.lyapunov_per_example, short.lyapunov_per_example, **EXACT)
    np.testing.assert_allclose(long.matrices[:, :TIME], short.matrices, **EXACT)


def test_a_small_change_grows_by_the_exponent(rng):
    """Two states that differ by 1e-9 in the direction that grows most, one run after the other."""
    layer = layers.SimpleRNN(30, dtype="float64", return_state=True)
    layer.build((1, 100, INPUTS))
    kernel, recurrent, bias = layer.get_weights()
    layer.set_weights([kernel, 1.15 * recurrent, bias])
    x = 0.3 * rng.normal(size=(1, 100, INPUTS))
    jacobian = state_jacobian(layer, x, lag=100)
    _, sizes, directions = np.linalg.svd(jacobian.matrices[0, -1])
    change = 1e-9 * directions[0]
    ends = [layer(x, initial_state=[tf.constant([sign * change])])[1] for sign in (1, -1)]
    growth = np.log(np.linalg.norm(ends[0] - ends[1]) / 2e-9) / 100
    assert jacobian.lyapunov == pytest.approx(np.log(sizes[0]) / 100, abs=1e-10)
    assert jacobian.lyapunov == pytest.approx(growth, abs=1e-5)


# === Pictures ===


@every_layer
def test_the_drawn_parts_add_up(name, rng):
    layer, x, mask = made(name, rng), inputs(rng), random_mask(rng)
    jacobian = state_jacobian(layer, x, mask=mask)
    values = jacobian.singular_values
    size = np.where(mask, np.sqrt((values**2).mean(axis=-1)), np.nan)
    np.testing.assert_allclose(sum(jacobian.term_sizes.values()), size, **EXACT)


def texts_of(figure):
    from matplotlib.text import Text

    figure.canvas.draw()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    inside = figure.bbox
    return [t for t in texts if t.get_window_extent().overlaps(inside)]


@pytest.mark.parametrize("theme", ["light", "dark", None])
@pytest.mark.parametrize("picture", ["plot_terms", "plot_singular_values"])
def test_pictures(theme, picture, rng):
    from matplotlib import pyplot

    from kerasrnn.themes import overlaps

    layer, x = made("LSTM", rng), inputs(rng)
    jacobian = state_jacobian(layer, x, lag=2)
    ax = getattr(jacobian, picture)(theme=theme)
    assert overlaps(texts_of(ax.figure)) == 0
    assert min(t.get_fontsize() for t in texts_of(ax.figure)) >= 8
    lag = 1 if picture == "plot_terms" else 2
    assert f"∂c<t>/∂c<t−{lag}>" in ax.get_ylabel() and ax.get_xlabel() == "Time step t"
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 3), layout="constrained")
    assert jacobian.plot_terms(left, theme) is left
    jacobian.plot_singular_values(right, theme, example=1)
    assert overlaps(texts_of(figure)) == 0
    with pytest.raises(ValueError, match=r"`example` must be less than the number of examples, 3"):
        getattr(jacobian, picture)(example=3)
    pyplot.close("all")


def test_the_stack_has_the_height_of_its_parts(rng):
    from matplotlib import pyplot

    layer, x = made("GRU", rng), inputs(rng)
    jacobian = state_jacobian(layer, x)
    ax = jacobian.plot_terms(example=0)
    heights = {}
    for patch in ax.patches:
        data = patch.get_data()
        if patch.get_label() in jacobian.terms:
            heights[patch.get_label()] = data.values - data.baseline
    assert set(heights) == set(jacobian.terms)
    for name, height in heights.items():
        np.testing.assert_allclose(height, np.maximum(jacobian.term_sizes[name][0], 0), atol=1e-12)
    pyplot.close("all")


# === What is asked for cannot be had ===


def test_one_step_alone_has_a_jacobian_by_the_initial_state(rng):
    layer, x = made("GRU", rng), inputs(rng, time=1)
    jacobian = state_jacobian(layer, x)
    np.testing.assert_allclose(jacobian.matrices, automatic(layer, x, 1), **EXACT)
    jacobian.plot_terms()
    jacobian.plot_singular_values()
    with pytest.raises(ValueError, match="`lag` must be at most the number of time steps, 1"):
        state_jacobian(layer, x, lag=2)


@pytest.mark.parametrize("lag", [0, -1, 1.5, True, "1", None])
def test_a_lag_that_is_none(lag, rng):
    with pytest.raises(ValueError, match="lag must be a positive integer"):
        state_jacobian(made("GRU", rng), inputs(rng), lag=lag)


def test_an_example_that_is_hidden_has_no_exponent(rng):
    layer, x = made("LSTM", rng), inputs(rng)
    mask = np.ones((BATCH, TIME, 1), bool)
    mask[1] = False
    jacobian = state_jacobian(layer, x, mask=mask)
    assert np.isnan(jacobian.lyapunov_per_example).tolist() == [False, True, False]
    assert np.isfinite(jacobian.lyapunov)
    assert (jacobian.matrices[1] == np.eye(UNITS)).all()
    with pytest.raises(ValueError, match="`mask` must leave a time step"):
        state_jacobian(layer, x, mask=np.zeros((BATCH, TIME)))


def test_layers_without_a_cell(rng):
    x = inputs(rng)
    with pytest.raises(TypeError, match=r"`layer` must be a recurrent Keras layer\. Received: str"):
        state_jacobian("gru", x)
    with pytest.raises(TypeError, match="Received: function"):
        state_jacobian(lambda x: x, x)
    with pytest.raises(ValueError, match=r"`layer` must have a cell.*a Dense"):
        state_jacobian(keras.layers.Dense(3), x)
    model = keras.Sequential([keras.Input((None, INPUTS)), keras.layers.LSTM(3, name="memory")])
    with pytest.raises(ValueError, match="Take one of the layers in it: memory"):
        state_jacobian(model, x)
    deep = layers.DeepRNN("gru", units=3, depth=2)
    with pytest.raises(ValueError, match="Take one of the layers in it: layer_1, layer_2"):
        state_jacobian(deep, x)


def test_layers_that_are_not_built(rng):
    for layer in (layers.GRU(3), keras.layers.LSTM(3)):
        with pytest.raises(ValueError, match="`layer` must be built"):
            state_jacobian(layer, inputs(rng))
    both = keras.layers.Bidirectional(keras.layers.LSTM(3))
    with pytest.raises(ValueError, match="`layer` must be built"):
        state_jacobian(both, inputs(rng), direction="forward")


def test_directions(rng):
    x = inputs(rng)
    both = randomised(layers.Bidirectional(layers.GRU(3)), rng)
    with pytest.raises(ValueError, match="'forward' or 'backward'"):
        state_jacobian(both, x)
    with pytest.raises(ValueError, match="one of forward, backward"):
        state_jacobian(both, x, direction="both")
    with pytest.raises(ValueError, match="only for a Bidirectional"):
        state_jacobian(made("GRU", rng), x, direction="forward")


def test_inputs_that_do_not_fit(rng):
    layer, x = made("LSTM", rng), inputs(rng)
    for wrong, message in (
        (x[0], r"`x` must have the shape \(batch, time, input_dim\)"),
        (x[:, :0], "at least"),
        (x[:0], "at least"),
        (x[..., :2], r"`x` must have the shape \(batch, time, 3\)"),
        (np.where(np.arange(TIME)[:, None] == 2, np.nan, x), "`x` must be finite.*time step 2"),
        (x * np.inf, "`x` must be finite"),
        (np.full((2, 3), "text"), "x must be an array of numbers"),
        (None, "x must be an array of numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            state_jacobian(layer, wrong)
    with pytest.raises(
        ValueError, match=r"`mask` must have the shape \(batch, time\), here \(3, 6"
    ):
        state_jacobian(layer, x, mask=np.ones((BATCH, TIME + 1)))
    with pytest.raises(ValueError, match="`dtype` must be one of float64, float32"):
        state_jacobian(layer, x, dtype="float16")
    state = np.zeros((BATCH, UNITS))
    for wrong in (state, [state], [state, state, state], [state, state[:1]]):
        with pytest.raises(ValueError, match="`initial_state` must have the shapes"):
            state_jacobian(layer, x, initial_state=wrong)
    with pytest.raises(ValueError, match="`initial_state` must be finite"):
        state_jacobian(layer, x, initial_state=[state, state + np.nan])


@makes_weights_late
def test_other_cells_read_what_they_were_built_for(rng):
    x = inputs(rng)
    for cell in (Halves(UNITS), Plain(UNITS), keras.layers.StackedRNNCells([Halves(3), Halves(2)])):
        layer = keras.layers.RNN(cell)
        layer(x)
        if not isinstance(cell, Plain):
            with pytest.raises(ValueError, match=r"must have the shape \(batch, time, 3\), as"):
                state_jacobian(layer, x[..., :2])
        assert state_jacobian(layer, x).matrices.shape[:2] == (BATCH, TIME)
    pictures = keras.layers.ConvLSTM1D(2, 2)
    pictures.build((BATCH, TIME, INPUTS, 1))
    with pytest.raises(ValueError, match="`layer` must keep vectors"):
        state_jacobian(pictures, x)


def test_in_a_graph_there_are_no_numbers(rng):
    layer, x = made("GRU", rng), tf.constant(inputs(rng))
    with pytest.raises(RuntimeError, match=r"outside of a tf\.function"):
        tf.function(lambda x: state_jacobian(layer, x).matrices)(x)


def test_weights_that_are_not_finite(rng):
    layer = made("GRU", rng)
    layer.cell.bias.assign(np.full(layer.cell.bias.shape, np.nan))
    with pytest.raises(ValueError, match=r"weights must be finite. '.*bias' has a number"):
        state_jacobian(layer, inputs(rng))


def test_what_overflows(rng):
    layer = layers.SimpleRNN(2, activation="linear", dtype="float64")
    layer.build((1, 400, 2))
    layer.set_weights([np.eye(2), 10 * np.eye(2), np.zeros(2)])
    with pytest.raises(ValueError, match=r"must be finite\. Those of SimpleRNNCell overflow"):
        state_jacobian(layer, np.ones((1, 400, 2)))
    still = state_jacobian(layer, np.zeros((1, 400, 2)), lag=350)
    for name in ("matrices", "singular_values", "spectral_radius"):
        with pytest.raises(ValueError, match="Jacobians over 350 steps overflow"):
            getattr(still, name)
    assert still.lyapunov == pytest.approx(np.log(10), abs=1e-12)


def test_a_state_that_dies(rng):
    """With a ReLU below 0 nothing comes through: the exponent is −∞, and pictures are drawn."""
    layer = layers.SimpleRNN(3, activation="relu", dtype="float64")
    layer.build((1, 5, 3))
    layer.set_weights([np.eye(3), np.eye(3), -9 * np.ones(3)])
    jacobian = state_jacobian(layer, np.zeros((1, 5, 3)))
    assert jacobian.lyapunov == -np.inf and not jacobian.matrices.any()
    jacobian.plot_terms()
    jacobian.plot_singular_values()
