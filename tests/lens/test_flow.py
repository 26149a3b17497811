"""The flow of gradients against automatic differentiation, step by step, in float64."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn import cells, layers
from kerasrnn.lens import gradient_flow, memory_horizon
from kerasrnn.lens.flow import Horizon, horizon_of
from tests.lens.kinds import CELL_LAYERS, MASK
from tests.lens.precision import precision
from tests.zoo.tiny_tasks import TASKS

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 7, 4)), rng.normal(size=(3, 2))
STEPS = rng.normal(size=(3, 7, 2))


@pytest.fixture
def stack():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture(autouse=True)
def doubles():
    with precision("float64"):
        yield


def model_of(*stack, masked=False, outputs=2):
    inputs = keras.Input((7, 4))
    mask = keras.Input((7,), dtype="bool")
    x = inputs
    for layer in stack:
        x = layer(x, mask=mask) if masked else layer(x)
    outputs = keras.layers.Dense(outputs, name="scores")(x)
    model = keras.Model([inputs, mask] if masked else inputs, outputs)
    for number, weight in enumerate(model.weights):
        value = 0.5 * np.random.default_rng(number).normal(size=weight.shape)
        weight.assign(value)
    return model


def by_hand(layer, x, mask):
    """Outputs and, at each step in the order of time, the states: the cell called step by step."""
    states = layer.get_initial_state(len(x))
    steps = range(x.shape[1])
    outputs, found, last = {}, {}, tf.zeros((len(x), layer.cell.units), tf.float64)
    for t in reversed(steps) if layer.go_backwards else steps:
        output, new = layer.cell(x[:, t], states)
        valid = None if mask is None else tf.constant(mask[:, t])[:, None]
        if valid is None:
            states = new
        else:
            # The state itself is what is differentiated by, not what masks make of it.
            states = [tf.where(valid, n, o) for n, o in zip(new, states, strict=True)]
        found[t] = new
        last = output if valid is None else tf.where(valid, output, last)
        outputs[t] = last
    order = list(outputs)
    return [outputs[t] for t in order], [found[t] for t in steps]


def expected_norms(layer, dense, x, mask, loss_of):
    with tf.GradientTape(persistent=True) as tape:
        outputs, states = by_hand(layer, tf.constant(x), mask)
        outputs = tf.stack(outputs, axis=1) if layer.return_sequences else outputs[-1]
        loss = loss_of(dense(outputs))
    norms = []
    for number in range(len(states[0])):
        each = [tape.gradient(loss, state[number]) for state in states]
        each = [np.zeros((len(x), 1)) if g is None else g.numpy() for g in each]
        norms.append(np.stack([np.linalg.norm(g, axis=1) for g in each], axis=1))
    if mask is not None:
        norms = [np.where(mask, norm, np.nan) for norm in norms]
    return norms


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("kind", CELL_LAYERS)
def test_flow_is_the_automatic_derivative(kind, sequences, backwards, masked):
    cls, options = CELL_LAYERS[kind]
    layer = cls(5, return_sequences=sequences, go_backwards=backwards, name="layer", **options)
    model = model_of(layer, masked=masked)
    mask = MASK if masked else None
    targets = STEPS if sequences else Y
    flow = gradient_flow(model, [X, MASK] if masked else X, targets, loss="mse")
    weights = np.ones((3, 7)) if mask is None or not sequences else mask
    if sequences and backwards and masked:
        # Keras's mask of an output that is reversed is not: the loss counts these steps.
        weights = mask

    def loss_of(outputs):
        errors = tf.reduce_mean((outputs - targets) ** 2, axis=-1)
        if not sequences:
            return tf.reduce_sum(errors)
        return 3 * tf.reduce_sum(errors * weights) / np.sum(weights)

    expected = expected_norms(layer, model.get_layer("scores"), X, mask, loss_of)
    states = [one for one in flow.layers]
    assert [one.state for one in states] == ["a", "c"][: len(expected)]
    for one, norms in zip(states, expected, strict=True):
        assert one.backward is backwards
        np.testing.assert_allclose(one.per_example, norms, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("package", [layers, keras.layers])
@pytest.mark.parametrize("at", ["each", "end", 2, -2])
def test_both_directions_of_stacked_layers(package, at):
    both = package.Bidirectional(package.LSTM(3, return_sequences=True, name="lstm"), name="both")
    top = package.GRU(4, return_sequences=True, name="top")
    model = model_of(both, top)
    flow = gradient_flow(model, X, STEPS, loss="mse", at=at)
    assert [one.name for one in flow.memories] == [
        "both/forward_lstm",
        "both/backward_lstm",
        "top",
    ]

    def run(changes):
        """The same with the cells called one by one, and changes added to the states."""
        outputs = []
        for layer, change in zip((both.forward_layer, both.backward_layer), changes, strict=False):
            a = c = tf.zeros((3, 3), tf.float64)
            found = {}
            for t in reversed(range(7)) if layer.go_backwards else range(7):
                cell = layer.cell
                z = X[:, t] @ cell.kernel + a @ cell.recurrent_kernel + cell.bias
                u, f, g, o = tf.split(z, 4, axis=-1)
                c = tf.sigmoid(u) * tf.tanh(g) + tf.sigmoid(f) * c + change[1][:, t]
                a = found[t] = tf.sigmoid(o) * tf.tanh(c) + change[0][:, t]
            outputs.append(tf.stack([found[t] for t in range(7)], axis=1))
        x = tf.concat(outputs, axis=-1)
        state, found = [tf.zeros((3, 4), tf.float64)], []
        for t in range(7):
            _, state = top.cell(x[:, t], state)
            state = [state[0] + changes[2][0][:, t]]
            found.append(state[0])
        errors = tf.reduce_mean((model.get_layer("scores")(tf.stack(found, 1)) - STEPS) ** 2, -1)
        if at == "each":
            return tf.reduce_mean(errors) * 3
        return tf.reduce_sum(errors[:, -1 if at == "end" else at])

    zeros = [tf.zeros((3, 7, size), tf.float64) for size in (3, 3, 4)]
    changes = [[zeros[0], zeros[0] + 0], [zeros[1] + 0, zeros[1] + 0], [zeros[2]]]
    with tf.GradientTape() as tape:
        tape.watch(changes)
        loss = run(changes)
    expected = tape.gradient(loss, changes)
    received = iter(flow.layers)
    for gradients in expected:
        for gradient in gradients:
            norms = np.linalg.norm(gradient, axis=-1)
            np.testing.assert_allclose(next(received).per_example, norms, rtol=1e-9, atol=1e-12)


def test_without_targets_it_is_the_derivative_of_the_output():
    model = model_of(layers.GRU(5, name="gru"))
    flow = gradient_flow(model, X)
    assert (flow.of, flow.at) == ("output", "end")
    total = np.zeros((3, 7))
    for number in range(2):
        one = gradient_flow(model, X, np.zeros((3, 1)), loss=lambda y, p, n=number: p[:, n])
        total += one["gru"].per_example ** 2
    np.testing.assert_allclose(flow["gru"].per_example, np.sqrt(total), rtol=1e-12)


def test_many_outputs_are_summed_up_by_chance_and_right_on_average():
    model = model_of(keras.layers.LSTM(6, name="lstm"), outputs=48)
    flow = gradient_flow(model, X)["lstm"].norms
    exact = np.zeros((3, 7))
    for number in range(48):
        one = gradient_flow(model, X, np.zeros((3, 1)), loss=lambda y, p, n=number: p[:, n])
        exact += one["lstm"].per_example ** 2
    np.testing.assert_allclose(flow, np.sqrt(exact).mean(axis=0), rtol=0.25)


def test_the_loss_is_that_of_compile():
    model = model_of(layers.GRU(5, return_sequences=True, name="gru"))
    model.compile("sgd", loss="mae")
    one = gradient_flow(model, X, STEPS)["gru"].norms
    other = gradient_flow(model, X, STEPS, loss=keras.losses.MeanAbsoluteError())["gru"].norms
    np.testing.assert_array_equal(one, other)
    mean = model.compute_loss(X, STEPS, model(X)).numpy() * 3
    assert mean == pytest.approx(3 * np.abs(model(X) - STEPS).mean())


def test_models_of_several_inputs_and_outputs():
    first, second = keras.Input((7, 4), name="first"), keras.Input((5, 4), name="second")
    one, two = layers.LSTM(3, name="one")(first), keras.layers.GRU(3, name="two")(second)
    heads = {name: keras.layers.Dense(2, name=name)(one + two) for name in ("left", "right")}
    model = keras.Model({"first": first, "second": second}, heads)
    model.compile("sgd", loss={"left": "mse", "right": "mae"})
    x = {"first": X, "second": X[:, :5]}
    flow = gradient_flow(model, x, {"left": Y, "right": Y})
    assert [len(layer.norms) for layer in flow.memories] == [7, 5]
    assert len(gradient_flow(model, x)["two"].norms) == 5
    with pytest.raises(ValueError, match="`at` must be 'each' for a model of several outputs"):
        gradient_flow(model, x, {"left": Y, "right": Y}, at="end")
    with pytest.raises(ValueError, match="`loss` must be one loss for one output"):
        gradient_flow(model, x, {"left": Y, "right": Y}, loss="mse")


def test_batches_and_datasets_make_no_difference():
    model = model_of(layers.GRU(5, name="gru"))
    whole = gradient_flow(model, X, Y, loss="mse")["gru"].per_example
    parts = gradient_flow(model, X, Y, loss="mse", batch_size=2)["gru"].per_example
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
    np.testing.assert_allclose(parts, whole, rtol=1e-12)
    of_dataset = gradient_flow(model, dataset, loss="mse")["gru"].per_example
    np.testing.assert_allclose(of_dataset, whole, rtol=1e-12)


def test_masks_of_an_embedding_are_respected():
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(5, 3, mask_zero=True),
            keras.layers.LSTM(4, return_sequences=True, name="lstm"),
            keras.layers.Dense(1),
        ]
    )
    x = np.array([[1, 2, 3, 0, 0, 0], [4, 3, 2, 1, 2, 3]])
    padded = gradient_flow(model, x, np.ones((2, 6, 1)), loss="mse", at="end")["lstm"]
    assert np.isnan(padded.per_example[0, 3:]).all()
    short = keras.Sequential(model.layers)
    short.build((None, 3))
    alone = gradient_flow(short, x[:1, :3], np.ones((1, 3, 1)), loss="mse", at="end")["lstm"]
    np.testing.assert_allclose(padded.per_example[0, :3], alone.per_example[0], rtol=1e-12)
    assert len(padded.by_lag) == 6


# === Lags and horizons ===


def linear(scale, steps, cls=layers.SimpleRNN, **options):
    """A linear recurrence whose state is multiplied by a rotation times `scale` in each step."""
    layer = cls(4, activation="linear", name="linear", **options)
    model = keras.Sequential([keras.Input((steps, 4)), layer, keras.layers.Dense(1)])
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    cell = layer.cell
    cell.recurrent_kernel.assign(scale * rotation)
    return model


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.1])
@pytest.mark.parametrize("cls", [layers.SimpleRNN, keras.layers.SimpleRNN])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_linear_recurrence_grows_as_its_singular_values(scale, cls, backwards):
    model = linear(scale, 30, cls, go_backwards=backwards)
    flow = gradient_flow(model, rng.normal(size=(2, 30, 4)))["linear"]
    assert flow.growth == pytest.approx(np.log(scale), abs=1e-6)
    np.testing.assert_allclose(flow.by_lag / flow.by_lag[0], scale ** np.arange(30), rtol=1e-9)
    falls = scale < 0.9
    assert flow.horizon.at_least is not falls
    expected = np.log(100) / -np.log(scale) if falls else 29
    assert flow.horizon == pytest.approx(expected, abs=1e-6)


def test_the_horizon_counts_steps_that_are_there():
    model = linear(0.5, 30)
    inputs, mask = keras.Input((30, 4)), keras.Input((30,), dtype="bool")
    masked = keras.Model([inputs, mask], model.layers[-1](model.layers[0](inputs, mask=mask)))
    there = np.arange(30) % 2 == 0
    found = memory_horizon(masked, [rng.normal(size=(1, 30, 4)), there[None]])
    assert found == pytest.approx(np.log2(100), abs=1e-6)
    at = memory_horizon(model, rng.normal(size=(1, 30, 4)), share=0.125)
    assert at == pytest.approx(3, abs=1e-6)


def test_horizons_of_all_kinds():
    assert horizon_of(np.array([1.0])) == 0
    assert horizon_of(np.array([1.0])).at_least
    assert horizon_of(np.array([])) == 0
    assert horizon_of(np.array([0.0, 0.0])) == 0
    assert not horizon_of(np.array([0.0, 0.0])).at_least
    assert horizon_of(np.array([1.0, 0.0])) == 1
    # Falls, and rises again: what counts is from where on it stays below.
    assert 2 < horizon_of(np.array([1.0, 0.001, 0.1, 0.001, 0.0])) < 3
    assert horizon_of(np.array([1.0, np.inf])) == 1
    assert str(Horizon(199, at_least=True)) == "≥ 199"
    assert str(Horizon(12.34)) == "12.3"
    assert f"{Horizon(12.34):.0f}" == "12"


def test_of_several_layers_the_longest_horizon_counts():
    model = model_of(layers.GRU(4, return_sequences=True, name="one"), layers.GRU(3, name="two"))
    both = [memory_horizon(model, X, layer=name) for name in ("one", "two")]
    assert memory_horizon(model, X) == max(both)
    assert gradient_flow(model, X).horizon == max(both)


def test_as_plain_numbers():
    import json

    flow = gradient_flow(model_of(layers.LSTM(3, name="lstm")), X, Y, loss="mse")
    plain = json.loads(json.dumps(flow.to_dict()))
    assert plain["of"] == "loss"
    assert [(layer["name"], layer["state"]) for layer in plain["layers"]] == [
        ("lstm", "a"),
        ("lstm", "c"),
    ]
    np.testing.assert_allclose(plain["layers"][1]["norms"], flow["lstm"].norms)
    with pytest.raises(KeyError, match="Expected one of 'lstm'"):
        flow["gru"]
    assert flow["lstm", "a"].state == "a"


# === Tasks ===


@pytest.mark.parametrize("name", [name for name in TASKS if name != "WordVectors"])
def test_tasks_take_raw_inputs(name, stack):
    stack.enter_context(precision("float32"))
    tiny = TASKS[name]
    task = tiny.make(**tiny.small)
    flow = gradient_flow(task, *tiny.data())
    assert flow.of == "loss" and flow.at == "each"
    assert all(np.nansum(layer.norms) > 0 for layer in flow.layers)
    inputs = tiny.inputs()
    assert memory_horizon(task, inputs) >= 0
    unlabelled = task.unlabelled(inputs)
    assert len(unlabelled.steps[""]) == len(inputs) == len(unlabelled.encoded)


def test_the_flow_of_a_tagger_is_that_of_its_loss(stack):
    stack.enter_context(precision("float32"))
    tiny = TASKS["SequenceTagger"]
    tagger = tiny.make(**tiny.small)
    (sentences,) = tiny.data()
    flow = gradient_flow(tagger, sentences)
    encoded = tagger.encode(tagger.read(sentences))
    inputs, targets = encoded.batch(np.arange(len(sentences)))
    network = tagger.network
    rnn = network.get_layer("rnn")
    features = keras.Model(network.inputs, rnn.input[0])(inputs)
    scores = network.get_layer("tag_scores")
    mask = inputs["words"] != 0
    with tf.GradientTape() as tape:
        hidden = rnn(features, mask=mask)
        tape.watch(hidden)
        (total, count), *_ = tagger.loss_terms(inputs, targets, {"tags": scores(hidden)})
        loss = total / tf.cast(count, total.dtype) * len(sentences)
    gradient = tape.gradient(loss, hidden).numpy()
    # Behind the last step that is read forward comes none: its gradient is that of the output.
    forward = next(layer for layer in flow.layers if not layer.backward and layer.state == "a")
    last = mask.sum(axis=1) - 1
    units = tagger.settings["units"]
    expected = np.linalg.norm(gradient[np.arange(len(sentences)), last, :units], axis=-1)
    received = forward.per_example[np.arange(len(sentences)), last]
    np.testing.assert_allclose(received, expected, rtol=1e-4)


# === Bad input ===


def test_a_sequence_of_one_step_has_a_flow():
    model = keras.Sequential([keras.Input((1, 4)), layers.GRU(3, name="gru")])
    flow = gradient_flow(model, X[:, :1])["gru"]
    assert flow.norms.shape == flow.by_lag.shape == (1,)
    assert flow.horizon == 0 and flow.horizon.at_least
    assert np.isnan(flow.growth)


def test_a_mask_that_hides_everything_is_refused():
    model = model_of(layers.GRU(3), masked=True)
    with pytest.raises(ValueError, match="The mask must leave a step"):
        gradient_flow(model, [X, np.zeros_like(MASK)], Y, loss="mse")
    some = MASK.copy()
    some[0] = False
    flow = gradient_flow(model, [X, some], Y, loss="mse")
    assert np.isnan(flow.layers[0].per_example[0]).all()
    assert np.isfinite(flow.layers[0].by_lag).all()


def test_a_loss_that_does_not_depend_on_the_layer_is_refused():
    inputs = keras.Input((7, 4))
    left, right = layers.GRU(3, name="left")(inputs), layers.GRU(3, name="right")(inputs)
    model = keras.Model(inputs, [keras.layers.Dense(1)(left), keras.layers.Dense(1)(right)])
    only = keras.Model(inputs, model.outputs[0])
    assert gradient_flow(only, X)["left"].norms.all()
    model.compile("sgd", loss=["mse", None])
    loss = gradient_flow(model, X, [Y[:, :1], Y[:, :1]])
    assert not loss["right"].norms.any()
    with pytest.raises(ValueError, match="does not depend on 'right'"):
        gradient_flow(model, X, [Y[:, :1], Y[:, :1]], layer="right")


def test_nan_is_refused_with_where_it_is():
    model = model_of(keras.layers.SimpleRNN(3, name="rnn"))
    x = X.copy()
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"The loss of .* is not finite"):
        gradient_flow(model, x, Y, loss="mse")

    # The derivative of the branch that is not taken is infinite, and 0 times infinity is NaN.
    def bent(x):
        return tf.where(x > 0, tf.tanh(x), tf.exp(1e4 * x))

    model = model_of(keras.layers.SimpleRNN(3, activation=bent, name="rnn"))
    with pytest.raises(ValueError, match=r"'rnn' by a must be a number. It is NaN at \d of 7"):
        gradient_flow(model, X, Y, loss="mse")


def test_a_gradient_that_overflows_is_infinite_and_no_error(stack):
    stack.enter_context(precision("float32"))
    model = linear(10.0, 60)
    flow = gradient_flow(model, np.zeros((1, 60, 4), "float32"))["linear"]
    assert np.isinf(flow.norms[:18]).all() and np.isfinite(flow.norms[25:]).all()
    assert flow.growth == pytest.approx(np.log(10), rel=1e-3)
    assert flow.horizon.at_least


def test_models_that_are_not_built_are_refused():
    for model in (
        keras.Sequential([keras.layers.GRU(3)]),
        layers.GRU(3),
    ):
        with pytest.raises(ValueError, match="must be built"):
            gradient_flow(model, X, Y, loss="mse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "there"}, "Expected one of 'gru'. Received: layer='there'"),
        ({"layer": keras.layers.GRU(2, name="another")}, "Received: layer='another'"),
        ({"at": "start"}, "`at` must be 'each', 'end', the number"),
        ({"at": True}, "`at` must be"),
        ({"at": 7}, "from -7 to 6. Received: at=7"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"y": STEPS[:2]}, r"as many rows. Received \[2, 3\]"),
        ({"loss": None}, "`loss` must be given"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    model = model_of(layers.GRU(3, return_sequences=True, name="gru"))
    with pytest.raises(ValueError, match=message):
        gradient_flow(model, X, **{"y": STEPS, "loss": "mse", **arguments})


def test_no_examples_are_refused():
    model = model_of(layers.GRU(3))
    for x in (X[:0], tf.data.Dataset.from_tensor_slices(X[:0]).batch(2)):
        with pytest.raises(ValueError, match="`x` must hold at least one example"):
            gradient_flow(model, x)
    with pytest.raises(ValueError, match="`share` must lie between 0 and 1"):
        memory_horizon(model, X, share=1.0)
    with pytest.raises(ValueError, match="sequences of one length"):
        gradient_flow(model, [[1.0], [1.0, 2.0]])


def test_a_layer_that_is_not_run_is_refused():
    class Idle(keras.Model):
        def __init__(self):
            super().__init__()
            self.gru, self.dense = layers.GRU(3, name="gru"), keras.layers.Dense(1)

        def call(self, inputs):
            return self.dense(inputs[:, 0])

    model = Idle()
    model(X)
    with pytest.raises(ValueError, match="must run its recurrent layers"):
        gradient_flow(model, X)


def test_a_cell_of_ones_own():
    class Own(cells.Cell):
        state_size = 3
        output_size = 3

        def __init__(self, **kwargs):
            super().__init__(3, **kwargs)
            self.state_size = 3

        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 3), name="w")
            self.built = True

        def project(self, inputs):
            return keras.ops.matmul(inputs, self.w)

        def step(self, projected, states):
            a = keras.ops.tanh(projected + 0.5 * states[0])
            return a, (a,)

    model = model_of(layers.RNN(Own(), name="own"))
    flow = gradient_flow(model, X, Y, loss="mse")["own"]
    assert flow.norms.all()
    assert flow.growth < np.log(0.5) + 1e-9
