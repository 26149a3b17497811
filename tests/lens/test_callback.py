"""The callback: what it measures, what it says, and that a training does not notice it."""

import csv
import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn import cells, layers
from kerasrnn.data import adding
from kerasrnn.lens import LensCallback, gradient_flow
from kerasrnn.lens.advice import GradientWarning
from kerasrnn.zoo import MemoryModel
from tests.zoo.tiny_tasks import TASKS

rng = np.random.default_rng(0)
IDS = rng.integers(0, 10, (48, 12))
Y = rng.normal(size=(48, 1)).astype("float32")


@pytest.fixture(autouse=True)
def quiet():
    """No test is to end in a warning that it does not ask for."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", GradientWarning)
        yield


def plain(cell=None, **compile_options):
    """A model that knows nothing of this package."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            keras.layers.Embedding(10, 4),
            keras.layers.Dropout(0.2),
            cell or keras.layers.LSTM(5, name="lstm"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(**{"optimizer": "adam", "loss": "mse", **compile_options})
    return model


def fitted(model, x=IDS, y=Y, callbacks=(), **options):
    keras.utils.set_random_seed(4)
    return model.fit(x, y, **{"epochs": 2, "batch_size": 8, "verbose": 0, "callbacks": callbacks})


def weights_of(model):
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assert_unchanged(make, fit):
    """The training with the callback is the training without."""
    logs, weights = [], []
    for callbacks in ([], [LensCallback(every=1), keras.callbacks.CSVLogger("/dev/null")]):
        model = make()
        logs.append(fit(model, callbacks).history)
        weights.append(weights_of(model))
    assert not callbacks[0]._failed and len(callbacks[0].measurements) > 2
    for left, right in zip(*weights, strict=True):
        np.testing.assert_array_equal(left, right)
    assert logs[0] == {name: values for name, values in logs[1].items() if "lens_" not in name}
    return callbacks[0]


# === A training does not notice it ===


class Mean(keras.layers.Layer):
    """Counts its calls, in a variable of Keras and one of TensorFlow."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.loose = [tf.Variable(0.0, trainable=False)]

    def call(self, x):
        self.calls.assign_add(1.0)
        self.loose[0].assign_add(1.0)
        return x + 0.01 * (self.calls + self.loose[0])


def masked():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12,))
    x = keras.layers.Embedding(10, 4, mask_zero=True)(inputs)
    x = keras.layers.Bidirectional(
        layers.GRU(3, return_sequences=True, dropout=0.2, name="gru"), name="bidirectional"
    )(x)
    x = Mean()(x)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.LSTM(3, name="lstm")(x)))
    model.compile("rmsprop", "mae", metrics=["mse"], weighted_metrics=["mae"])
    return model


def several():
    keras.utils.set_random_seed(3)
    one, two = keras.Input((12,), name="one"), keras.Input((7, 2), name="two")
    x = keras.layers.LSTM(3)(keras.layers.Embedding(10, 2)(one))
    y = layers.LSTM(3)(two)
    heads = {name: keras.layers.Dense(1, name=name)(x + y) for name in ("left", "right")}
    model = keras.Model({"one": one, "two": two}, heads)
    model.compile("adam", {"left": "mse", "right": "mae"})
    return model


def stateful():
    keras.utils.set_random_seed(3)
    inputs = keras.Input(batch_shape=(8, 12))
    x = keras.layers.GRU(3, stateful=True)(keras.layers.Embedding(10, 2)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile("adam", "mse")
    return model


CASES = {
    "keras": (plain, fitted),
    "eager": (lambda: plain(run_eagerly=True), fitted),
    "xla": (lambda: plain(jit_compile=True), fitted),
    "clipping and averages": (
        lambda: plain(optimizer=keras.optimizers.SGD(clipnorm=0.1, use_ema=True)),
        fitted,
    ),
    "several steps in one": (lambda: plain(steps_per_execution=4), fitted),
    "masks, both directions, states": (masked, fitted),
    "stateful": (stateful, fitted),
}


@pytest.mark.parametrize(
    "case",
    [case if case == "keras" else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
)
def test_training_does_not_notice(case):
    make, fit = CASES[case]
    assert_unchanged(make, lambda model, callbacks: fit(model, callbacks=callbacks))


@pytest.mark.slow
def test_several_inputs_and_outputs_with_validation():
    x = {"one": IDS, "two": rng.normal(size=(48, 7, 2))}

    def fit(model, callbacks):
        y = {"left": Y, "right": Y}
        keras.utils.set_random_seed(4)
        options = {"validation_data": (x, y), "epochs": 2, "batch_size": 8, "verbose": 0}
        return model.fit(x, y, callbacks=callbacks, **options)

    lens = assert_unchanged(several, fit)
    assert len(lens.measurements[0].layers) == 2


def test_a_dataset_that_is_shuffled_and_drawn():
    def fit(model, callbacks):
        keras.utils.set_random_seed(4)
        data = tf.data.Dataset.from_tensor_slices((IDS, Y)).shuffle(48).batch(10)
        return model.fit(data, epochs=3, verbose=0, callbacks=callbacks)

    assert_unchanged(plain, fit)


def test_a_generator_that_can_be_read_once():
    def fit(model, callbacks):
        keras.utils.set_random_seed(4)
        batches = ((IDS[i : i + 4], Y[i : i + 4]) for i in range(0, 48, 4))
        return model.fit(batches, steps_per_epoch=6, epochs=2, verbose=0, callbacks=callbacks)

    assert_unchanged(plain, fit)


def test_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert_unchanged(plain, lambda model, callbacks: fitted(model, callbacks=callbacks))
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TASKS if name != "WordVectors"])
def test_tasks(name):
    def make():
        keras.utils.set_random_seed(3)
        return TASKS[name].make(**TASKS[name].small)

    def fit(model, callbacks):
        options = {"epochs": 2, "seed": 1, "verbose": 0, **TASKS[name].options}
        return model.fit(*TASKS[name].data(), callbacks=callbacks, **options)

    assert_unchanged(make, fit)


def test_a_model_saved_meanwhile(tmp_path):
    model = plain()
    path = str(tmp_path / "{epoch}.keras")
    fitted(model, callbacks=[LensCallback(every=1), keras.callbacks.ModelCheckpoint(path)])
    again = keras.models.load_model(tmp_path / "2.keras")
    np.testing.assert_array_equal(again.predict(IDS, verbose=0), model.predict(IDS, verbose=0))


# === What it measures ===


def test_figures_are_those_of_gradient_flow(tmp_path):
    model = plain()
    lens = LensCallback(x=IDS[:8], y=Y[:8])
    path = tmp_path / "log.csv"
    history = fitted(model, callbacks=[lens, keras.callbacks.CSVLogger(str(path))]).history
    flow = gradient_flow(model, IDS[:8], Y[:8])["lstm"]
    assert history["lens_horizon"][-1] == pytest.approx(float(flow.horizon), rel=1e-4)
    assert history["lens_growth"][-1] == pytest.approx(flow.growth, rel=1e-4)
    assert history["lens_first"][-1] == pytest.approx(flow.norms[0], rel=1e-4)
    assert history["lens_last"][-1] == pytest.approx(flow.norms[-1], rel=1e-4)
    np.testing.assert_allclose(lens.measurements[-1].layers[0].by_lag, flow.by_lag, rtol=1e-4)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["lens_horizon"]) == pytest.approx(history["lens_horizon"][1])


def test_the_sample_is_the_first_batch():
    model = plain()
    seen = LensCallback(every=100, examples=8)
    given = LensCallback(every=100, x=IDS[:8], y=Y[:8])
    model.fit(IDS, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[seen, given])
    for one, other in zip(seen.measurements, given.measurements, strict=True):
        assert (one.step, one.logs) == (other.step, pytest.approx(other.logs, rel=1e-5))
    assert [each.step for each in seen.measurements] == [0, 3]


def test_every_holds():
    lens = LensCallback(every=4)
    fitted(plain(), callbacks=[lens])  # 12 batches
    assert [each.step for each in lens.measurements] == [0, 4, 8, 12]
    assert [each.epoch for each in lens.measurements] == [0, 1, 2, 2]
    fitted(plain(steps_per_execution=3), callbacks=[lens := LensCallback(every=4)])
    assert [each.step for each in lens.measurements] == [0, 6, 9, 12]


def test_traced_measurements_are_the_same(monkeypatch):
    found = []
    for untraced in (100, 1):
        monkeypatch.setattr("kerasrnn.lens.callback._UNTRACED", untraced)
        fitted(plain(), callbacks=[lens := LensCallback(every=1)])
        found.append([each.logs for each in lens.measurements])
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_the_budget_holds(monkeypatch):
    """By a clock on which a batch takes a second and a measurement four."""
    clock = [0.0]
    monkeypatch.setattr("kerasrnn.lens.callback.time.perf_counter", lambda: clock[0])
    read = LensCallback._record

    def record(self, figures):
        clock[0] += 4
        read(self, figures)

    monkeypatch.setattr(LensCallback, "_record", record)

    class Second(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            clock[0] += 1

    lens = LensCallback(budget=0.05)
    fitted(plain(), epochs=2, callbacks=[Second(), lens])
    assert len(lens.measurements) == 2  # the first and the last
    lens = LensCallback(budget=0.05)
    plain().fit(IDS, Y, batch_size=1, epochs=10, verbose=0, callbacks=[Second(), lens])
    assert 3 < len(lens.measurements) < 2 + 0.05 * 48 * 10 / 4
    # Beside the first and the last.
    assert lens.seconds - 8 <= 0.05 * (48 * 10 + lens.seconds)


def test_backward_layers_and_answers_at_each_step():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 3))
    x = keras.layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True))(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd", "mse")
    x = rng.normal(size=(8, 12, 3)).astype("float32")
    lens = LensCallback()
    history = model.fit(x, x[..., :2], verbose=0, callbacks=[lens]).history
    forward, backward = lens.measurements[-1].layers
    assert len(forward.by_lag) == len(backward.by_lag) == 12
    at_end = gradient_flow(model, x, x[..., :2], at="end").memories[0].by_lag
    at_begin = gradient_flow(model, x, x[..., :2], at=0).memories[1].by_lag
    np.testing.assert_allclose(forward.by_lag, at_end, rtol=1e-4)
    np.testing.assert_allclose(backward.by_lag, at_begin, rtol=1e-4)
    names = [name for name in history if name.startswith("lens_horizon/")]
    assert len(names) == 2 and all("simple_rnn" in name for name in names)


def test_rows_that_are_missing_in_an_epoch_are_those_before():
    lens = LensCallback(every=1000)
    history = fitted(plain(), callbacks=[lens]).history["lens_last"]
    assert history[0] == lens.measurements[0].layers[0].last != history[1]


def test_a_second_fit_goes_on_and_another_model_begins_anew():
    lens, model = LensCallback(every=4), plain()
    fitted(model, callbacks=[lens])
    fitted(model, callbacks=[lens])
    assert [each.step for each in lens.measurements] == [0, 4, 8, 12, 16, 20, 24]
    fitted(plain(), callbacks=[lens])
    assert [each.step for each in lens.measurements] == [0, 4, 8, 12]


def test_it_goes_on_from_its_state():
    whole, first, second = (LensCallback(every=3, x=IDS[:8], y=Y[:8]) for _ in range(3))
    options = {"batch_size": 8, "verbose": 0, "shuffle": False}
    plain().fit(IDS, Y, epochs=2, callbacks=[whole], **options)
    model = plain()
    model.fit(IDS, Y, epochs=2, callbacks=[first, Stop()], **options)
    second.restore(json.loads(json.dumps(first.state())))
    model.fit(IDS, Y, initial_epoch=1, epochs=2, callbacks=[second], **options)
    assert [each.step for each in second.measurements] == [0, 3, 6, 9, 12]
    for one, other in zip(whole.measurements, second.measurements, strict=True):
        assert one.step == other.step and one.epoch == other.epoch
    with pytest.raises(ValueError, match="`state` must be that of a LensCallback"):
        second.restore({"measurements": [{}]})


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def test_few_norms_are_kept(monkeypatch):
    monkeypatch.setattr("kerasrnn.lens.callback._KEPT", 8)
    lens = LensCallback(every=1)
    plain().fit(IDS, Y, batch_size=4, epochs=2, verbose=0, callbacks=[lens])
    assert len(lens.measurements) == 25
    kept = [each.step for each in lens.measurements if each.layers[0].by_lag is not None]
    assert kept == [*range(0, 25, 4)]


# === What it says ===


def deep(cell, steps=120, scale=None, **options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((steps, 2)), cell, keras.layers.Dense(1)])
    if scale is not None:
        kernel = cell.cell.recurrent_kernel
        kernel.assign(scale * np.linalg.qr(rng.normal(size=kernel.shape))[0])
    model.compile(**{"optimizer": keras.optimizers.SGD(1e-6), "loss": "mse", **options})
    return model


def warned(model, lens=None):
    lens = lens or LensCallback()
    steps = model.input_shape[1]
    x = 0.01 * rng.normal(size=(8, steps, 2)).astype("float32")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.fit(x, x[:, 0, :1], epochs=3, batch_size=4, verbose=0, callbacks=[lens])
    texts = [str(each.message) for each in found if each.category is GradientWarning]
    assert sorted(texts) == sorted(lens.advice.values())
    return lens


def test_vanishing_of_a_simple_rnn():
    lens = warned(deep(keras.layers.SimpleRNN(4, name="rnn"), scale=0.5))
    (text,) = lens.advice.values()
    assert list(lens.advice) == ["vanishing"]
    assert "'rnn'" in text and "gated cell" in text and "Chrono(120)" in text
    assert "clipping" not in text  # which does not help here


@pytest.mark.parametrize("cell", [keras.layers.LSTM(4, unit_forget_bias=False), layers.GRU(4)])
def test_vanishing_of_a_gated_cell(cell):
    text = warned(deep(cell)).advice["vanishing"]
    assert "gated cell" not in text and "Chrono(120)" in text
    assert ("kerasrnn.layers.LSTM" in text) == (type(cell) is keras.layers.LSTM)


def test_no_chrono_to_one_who_has_it():
    cell = layers.GRU(4, bias_initializer=cells.Chrono(4))
    text = warned(deep(cell)).advice["vanishing"]
    assert "Chrono(120) in place of Chrono(4)" in text
    assert not warned(deep(layers.GRU(4, bias_initializer=cells.Chrono(120)))).advice


def test_exploding():
    model = deep(keras.layers.SimpleRNN(4, activation=None), scale=1.2)
    text = warned(model).advice["exploding"]
    assert "SGD(global_clipnorm=1.0)" in text and "gated cell" in text and "tanh" in text
    sgd = keras.optimizers.SGD(1e-6, clipnorm=1.0)
    model = deep(keras.layers.SimpleRNN(4, activation=None), scale=1.2, optimizer=sgd)
    text = warned(model).advice["exploding"]
    assert "clipping" not in text and "smaller learning rate" in text


def test_no_warning_of_what_is_kept():
    """A gradient that is neither lost nor grows; at each step there is a loss."""
    cell = keras.layers.SimpleRNN(4, activation=None, return_sequences=True)
    assert not warned(deep(cell, scale=1.0)).advice


def test_a_gradient_that_is_no_number():
    model = deep(keras.layers.SimpleRNN(4), steps=9)
    model.layers[-1].kernel.assign(np.full((4, 1), np.nan))
    lens = warned(model)
    assert list(lens.advice) == ["not finite"]
    assert "smaller learning rate" in lens.advice["not finite"]
    assert all(np.isnan(value) for value in lens.measurements[-1].logs.values())


# === Pictures and TensorBoard ===


def test_picture_and_tensorboard(tmp_path):
    picture = tmp_path / "new" / "flow.png"
    lens = LensCallback(every=6, log_dir=tmp_path / "log", picture=picture)
    fitted(masked(), callbacks=[lens])
    assert picture.read_bytes()[:4] == b"\x89PNG"
    found = set()
    for path in (tmp_path / "log").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found |= {(value.tag, event.step) for value in event.summary.value}
    tags = {tag for tag, _ in found}
    assert ("lens_gradient_by_lag", 12) in found
    for name in ("lstm", "bidirectional/forward_gru", "bidirectional/backward_gru"):
        matching = {tag for tag in tags if name.rpartition("/")[2] in tag}
        assert {tag.partition("/")[0] for tag in matching} == {
            *("lens_horizon", "lens_growth", "lens_first", "lens_last", "lens_log10_of_norms")
        }


def test_lines_of_the_picture():
    lens = LensCallback(every=3)
    with pytest.raises(ValueError, match="nothing to draw"):
        lens.figure()
    fitted(plain(), callbacks=[lens])
    (axes,) = lens.figure("dark").axes
    labels = [text.get_text().partition("\n")[0] for text in axes.texts]
    assert labels == ["before training", "epoch 1", "epoch 2"]
    with pytest.raises(ValueError, match="`layer` must be one of 'lstm'"):
        lens.plot("gru")


# === Bad input ===


def test_wrong_arguments():
    for name, value in {"every": 0, "examples": 2.5, "budget": 0}.items():
        with pytest.raises(ValueError, match=f"`{name}`"):
            LensCallback(**{name: value})
    with pytest.raises(ValueError, match="`x` must be given"):
        LensCallback(y=Y)


def test_errors_before_the_training():
    dense = keras.Sequential([keras.Input((12,)), keras.layers.Dense(1)])
    dense.compile("sgd", "mse")
    with pytest.raises(ValueError, match="`model` must have a recurrent layer"):
        fitted(dense, callbacks=[LensCallback()])
    model = plain()
    with pytest.raises(ValueError, match="Expected one of 'lstm'\\. Received: layer='gru_7'"):
        fitted(model, callbacks=[LensCallback(layer="gru_7")])
    assert len(fitted(model).history["loss"]) == 2


def test_an_error_before_the_first_step_leaves_the_model_as_it_was():
    class Broken(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise RuntimeError

    model, lens = plain(), LensCallback()
    with pytest.raises(RuntimeError):
        fitted(model, callbacks=[lens, Broken()])
    fitted(model)
    assert model.train_function != lens._first._first
    fitted(model, callbacks=[lens])
    assert len(lens.measurements) > 1


def test_what_cannot_be_measured_trains_on():
    model = plain()
    lens = LensCallback(x=np.zeros((4, 12, 3)), y=Y[:4])
    with pytest.warns(UserWarning, match="LensCallback cannot measure 'sequential"):
        history = fitted(model, callbacks=[lens]).history
    assert len(history["loss"]) == 2 and "lens_horizon" not in history
    assert not lens.measurements


def test_measuring_that_fails_meanwhile(monkeypatch):
    """The training goes on, and the figures of its later epochs are none."""
    model, lens = plain(), LensCallback(every=3)

    def fail():
        raise RuntimeError("no graph")

    class Breaks(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch:
                lens._meter._traced = fail

    monkeypatch.setattr("kerasrnn.lens.callback._UNTRACED", 3)
    with pytest.warns(UserWarning, match="RuntimeError: no graph"):
        history = fitted(model, callbacks=[lens, Breaks()]).history["lens_horizon"]
    assert np.isfinite(history[0]) and np.isnan(history[1])


def test_models_of_a_fixed_batch_size_get_it():
    lens = LensCallback(x=IDS, y=Y, examples=2)
    fitted(stateful(), callbacks=[lens])
    assert len(lens.measurements) > 1 and not lens._failed


def test_a_loss_that_does_not_depend_on_the_layer():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 2))
    other = keras.ops.stop_gradient(keras.layers.LSTM(2)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs[:, 0] + other))
    model.compile("sgd", "mse")
    x = rng.normal(size=(8, 12, 2))
    with pytest.warns(UserWarning, match="The output must depend on the layer|The loss must"):
        history = model.fit(x, x[:, 0, :1], verbose=0, callbacks=[LensCallback()])
    assert len(history.history["loss"]) == 1


def test_what_cannot_be_handed_on():
    """A target that is None has no place in a dataset of Python's arrays."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 2))
    hidden = keras.layers.LSTM(2)(inputs)
    model = keras.Model(inputs, [keras.layers.Dense(1)(hidden), hidden])
    model.compile("sgd", ["mse", None])
    x = rng.normal(size=(8, 12, 2))
    with pytest.warns(UserWarning, match="give `x` and `y`"):
        model.fit(x, [x[:, 0, :1], None], verbose=0, callbacks=[LensCallback()])
    lens = LensCallback(x=x)
    model.fit(x, [x[:, 0, :1], None], verbose=0, callbacks=[lens])
    assert len(lens.measurements) == 2


def test_all_that_a_mask_hides():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((5,))
    x = keras.layers.LSTM(3)(keras.layers.Embedding(4, 2, mask_zero=True)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="hides all steps"):
        model.fit(np.zeros((8, 5), int), Y[:8], verbose=0, callbacks=[LensCallback()])


def test_a_sequence_of_one_step():
    lens = LensCallback()
    model = deep(keras.layers.LSTM(3), steps=1)
    warned(model, lens)
    figures = lens.measurements[-1].layers[0]
    assert figures.horizon == 0 and figures.beyond and np.isnan(figures.growth)


def test_a_task_with_raw_examples():
    examples = adding(32, length=20, seed=1)
    model = MemoryModel.from_examples(examples, units=4)
    lens = LensCallback(x=examples)
    history = model.fit(examples, epochs=1, verbose=0, callbacks=[lens]).history
    flow = gradient_flow(model, examples[:8]).memories[0]
    assert history["lens_horizon"] == [pytest.approx(float(flow.horizon), rel=1e-3)]


def test_lags_of_a_backward_layer_below_another():
    """Its last steps of time are the nearest to a loss at the end, though it reads them first."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((30, 2))
    below = keras.layers.Bidirectional(layers.GRU(4, return_sequences=True), name="below")(inputs)
    x = keras.layers.Bidirectional(layers.GRU(4), name="above")(below)
    model = keras.Model(inputs, keras.layers.Dense(1)(x[:, :4]))  # the forward half alone
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(8, 30, 2)), np.ones((8, 1))
    flow = gradient_flow(model, x, y)
    named = {layer.name: layer for layer in flow.memories}
    (below,) = (layer for name, layer in named.items() if "below/backward" in name)
    assert below.turned and not below.from_end
    np.testing.assert_allclose(below.by_lag, below.norms[::-1], rtol=1e-6)
    assert below.growth < 0
    lens = LensCallback()
    model.fit(x, y, verbose=0, callbacks=[lens])
    assert not lens.advice
    assert lens.measurements[0].logs["lens_horizon"] < 29
