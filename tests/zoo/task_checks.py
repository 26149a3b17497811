"""What every task must do, whatever it is for: one list of checks."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from kerasrnn import zoo
from kerasrnn.networks.options import options_of
from kerasrnn.zoo.task import Task
from tests.zoo.tiny_tasks import TASKS, those_of, tiny


def class_of(name: str) -> type[Task]:
    return getattr(zoo, name)


def new(name: str, **arguments: Any) -> tuple[Task, Callable[..., Any]]:
    """A tiny model without dropout, always the same, and its `fit`."""
    keras.utils.set_random_seed(1)
    model, fit = tiny(name, **those_of(name, dropout=0.0), **arguments)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    return model, fit


def assert_same(one: Any, other: Any) -> None:
    """Answers that are equal, but for the last digits of their numbers."""
    if isinstance(one, float | np.floating | np.ndarray) or hasattr(one, "numpy"):
        np.testing.assert_allclose(one, other, atol=1e-5)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for part, of_other in zip(one, other, strict=True):
            assert_same(part, of_other)
    elif dataclasses.is_dataclass(one):
        assert type(one) is type(other)
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


def assert_same_models(one: Task, other: Task, inputs: Any) -> None:
    assert type(one) is type(other)
    assert one.arguments() == other.arguments()
    assert_same(one.get_weights(), other.get_weights())
    assert_same(one.predict(inputs), other.predict(inputs))


# === Arguments ===


def check_options_are_explained(name: str, folder: Path) -> None:
    for option in options_of(class_of(name)).values():
        assert option.help, option.name
        assert not option.help.startswith("as for"), option.name


def check_unknown_arguments_are_named(name: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=rf"{name} has no argument 'nonsense'. Expected one of "):
        tiny(name, nonsense=1)
    model, fit = new(name)
    with pytest.raises(TypeError, match=rf"fit\(\) of {name} has no argument 'nonsense'"):
        fit(nonsense=1)
    with pytest.raises(TypeError, match=rf"evaluate\(\) of {name} has no argument 'nonsense'"):
        model.evaluate(*TASKS[name].data(), nonsense=1)


def check_loss_and_metrics_cannot_be_set(name: str, folder: Path) -> None:
    model, _ = new(name)
    for argument, value in (("loss", "mse"), ("metrics", ["accuracy"])):
        with pytest.raises(TypeError, match=f"{name} has its own .*`{argument}` cannot be set"):
            model.compile(**{argument: value})


# === Ways to keep a model ===


def check_configuration(name: str, folder: Path) -> None:
    """It goes through JSON and comes back, and has each argument."""
    model, _ = new(name)
    config = model.get_config()
    for argument, value in TASKS[name].small.items():
        assert config[argument] == value
    assert set(options_of(type(model))) <= set(config)
    again = type(model).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    shapes = [(weight.path, weight.shape) for weight in model.weights]
    assert [(weight.path, weight.shape) for weight in again.weights] == shapes


def check_saving(name: str, folder: Path) -> None:
    """A loaded model answers as the saved one, and trains on as it does."""
    model, fit = new(name)
    fit(epochs=1, seed=1)
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    assert_same_models(model, loaded, TASKS[name].inputs())
    for each in (model, loaded):
        options = TASKS[name].options
        each.fit(*TASKS[name].data(), epochs=2, initial_epoch=1, seed=1, verbose=0, **options)
    assert_same_models(model, loaded, TASKS[name].inputs())


def check_presets(name: str, folder: Path) -> None:
    model, fit = new(name)
    fit(seed=1)
    loaded = type(model).from_preset(model.save_to_preset(folder / "preset"))
    assert_same_models(model, loaded, TASKS[name].inputs())


# === Training ===


class Watching(keras.callbacks.Callback):
    """Counts batches, and keeps the logs of epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.batches = 0
        self.logs: list[dict[str, Any]] = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


def check_training(name: str, folder: Path) -> None:
    """It takes what Keras's `fit` takes, and learns; each weight that may change does."""
    model, fit = new(name)
    before = model.get_weights()
    watching = Watching()
    data = TASKS[name].data()
    history = fit(
        epochs=4,
        steps_per_epoch=1,
        callbacks=[watching],
        validation_data=data if len(data) > 1 else data[0],
        validation_freq=2,
        validation_batch_size=2,
        seed=1,
    ).history
    assert watching.batches == 4
    assert [("val_loss" in logs) for logs in watching.logs] == [False, True, False, True]
    assert np.isfinite(history["loss"]).all()
    # The figures are those of `evaluate`, whatever the batches.
    for figure, value in model.evaluate(*data).items():
        if isinstance(value, int | float):
            assert history[f"val_{figure}"][-1] == pytest.approx(value, abs=1e-4)
    assert history["val_loss"][-1] < history["val_loss"][0]
    for weight, old in zip(model.weights, before, strict=True):
        assert (weight.numpy() != old).any() == weight.trainable, weight.path


def check_held_out_examples(name: str, folder: Path) -> None:
    _, fit = new(name)
    data = TASKS[name].data()
    with pytest.raises(ValueError, match=r"`validation_data` must be .* Received a tuple of 3"):
        fit(validation_data=(data[0], data[-1], [1.0]))
    history = fit(validation_split=0.5, validation_steps=1).history
    assert len(history["loss"]) == len(history["val_loss"]) == 1
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="`validation_split` must be at least 0 and below 1"):
            fit(validation_split=wrong)


def check_weights_of_examples(name: str, folder: Path) -> None:
    """What counts nothing teaches nothing; or an error says why there are no weights."""
    model, fit = new(name)
    count = len(model.read(*(*TASKS[name].data(), None)[:2], "x"))
    with pytest.raises(ValueError, match="`sample_weight`"):
        fit(sample_weight=np.ones(count + 1))
    weights = []
    for epochs in (1, 3):  # before the first, a task may set its weights by the data
        model, fit = new(name)
        try:
            history = fit(sample_weight=np.zeros(count), epochs=epochs).history
        except ValueError as error:
            assert "`sample_weight`" in str(error)
            return
        assert history["loss"] == [0.0] * epochs
        weights.append(model.get_weights())
    assert_same(*weights)


def check_weights_of_classes(name: str, folder: Path) -> None:
    _, fit = new(name)
    with pytest.raises(ValueError, match="`class_weight`"):
        fit(class_weight={"no such class": 2.0})


def check_one_seed_gives_one_model(name: str, folder: Path) -> None:
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        model, fit = tiny(name)
        fit(epochs=2)
        models.append(model)
    assert_same(models[0].get_weights(), models[1].get_weights())


def check_mixed_precision(name: str, folder: Path) -> None:
    """It computes in 16 bits, keeps its weights in 32, and trains."""
    model, fit = new(name, dtype="mixed_bfloat16")
    full, _ = new(name)
    model.set_weights(full.get_weights())
    inputs, data = TASKS[name].inputs(), TASKS[name].data()
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert model.evaluate(*data)["loss"] == pytest.approx(full.evaluate(*data)["loss"], rel=0.05)
    history = fit(epochs=2)
    assert np.isfinite(history.history["loss"]).all()
    assert len(model.predict(inputs)) == len(inputs)
    assert any((a != b).any() for a, b in zip(full.get_weights(), model.get_weights(), strict=True))


# === Answers and figures ===


def check_figures(name: str, folder: Path) -> None:
    model, _ = new(name)
    data = TASKS[name].data()
    figures = model.evaluate(*data)
    assert set(figures) == TASKS[name].figures
    numbers = [value for value in figures.values() if isinstance(value, int | float)]
    listed = model.evaluate(*data, batch_size=1, return_dict=False)
    np.testing.assert_allclose(listed, numbers, rtol=1e-4, atol=1e-6)
    assert listed[0] == pytest.approx(figures["loss"])
    assert set(model.evaluate(*data, batch_size=1, steps=1)) == TASKS[name].figures


def check_answers(name: str, folder: Path) -> None:
    """What is asked beside an example, and how many at a time, changes no answer."""
    model, _ = new(name)
    inputs = TASKS[name].inputs()
    together = model.predict(inputs)
    assert len(together) == len(inputs) == 3
    assert_same(model.predict(inputs, batch_size=1, verbose=0), together)
    for row in range(3):
        assert_same(model.predict(inputs[row : row + 1])[0], together[row])
    with pytest.raises(ValueError, match="`batch_size` must be a positive integer"):
        model.predict(inputs, batch_size=0)


def check_no_rows(name: str, folder: Path) -> None:
    """Nothing has no answer; to be trained and measured, there must be something."""
    model, _ = new(name)
    inputs = TASKS[name].inputs()
    assert len(model.predict(inputs[:0])) == 0
    nothing = [part[:0] for part in TASKS[name].data()]
    for function in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"`x` must (hold|be) .*"):
            function(*nothing)


def check_summary(name: str, folder: Path) -> None:
    """It shows the network, the shapes in it, and how many weights there are."""
    model, _ = new(name)
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=120)
    text = "\n".join(lines)
    assert f"network ({type(model.network).__name__})" in text
    assert f"Total params: {model.count_params():,}" in text
    assert sum("(None, " in line for line in lines[0].splitlines()) > 3


CHECKS: dict[str, Callable[[str, Path], None]] = {
    function.__name__.removeprefix("check_"): function
    for function in (
        check_options_are_explained,
        check_unknown_arguments_are_named,
        check_loss_and_metrics_cannot_be_set,
        check_configuration,
        check_saving,
        check_presets,
        check_training,
        check_held_out_examples,
        check_weights_of_examples,
        check_weights_of_classes,
        check_one_seed_gives_one_model,
        check_mixed_precision,
        check_figures,
        check_answers,
        check_no_rows,
        check_summary,
    )
}
