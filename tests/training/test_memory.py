"""`python -m training.memory` from its flags to its folder."""

import csv
import importlib
import json
import tomllib
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import MemoryExamples, adding, embedded_reber, temporal_order
from kerasrnn.zoo import MemoryModel
from tests.training.conftest import figures, killed_after
from training import memory

# Small and quick: 3 epochs of 4 batches, without XLA's time to compile.
SMALL = ["--task", "adding", "--length", "12", "--units", "4", "--sequences", "32"]
SMALL += ["--batch-size", "8", "--epochs", "3", "--no-xla"]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few sequences to measure with."""
    monkeypatch.setattr(memory, "_VALIDATION", 20)
    monkeypatch.setattr(memory, "_TEST", 20)


@pytest.fixture
def no_export(monkeypatch):
    """Runs without their export, which takes most of the time of a small one."""
    monkeypatch.setattr(MemoryModel, "export", lambda *_, **__: SimpleNamespace(verified=False))
    monkeypatch.setattr("training.script.serving_command", lambda *_: "")


def run(folder: Path, *flags: str) -> dict:
    memory.main([*flags, "--out", str(folder)])
    return json.loads((folder / "metrics.json").read_text())


def history(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_VALIDATION", 20)
        patch.setattr(memory, "_TEST", 20)
        run(folder, *SMALL)
    return folder


def test_a_run_leaves_what_it_should(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["model"] == "MemoryModel"
    assert metrics["dataset"] == "builtin:adding"
    assert metrics["counted"] == "steps"
    assert metrics["epochs"] == 3
    for part in ("train", "validation", "test"):
        assert set(metrics[part]) == {"loss", "mse", "solved"}
    for name in ("learning_curves", "loss_by_sequences", "gradient_flow"):
        assert (finished / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    settings = tomllib.loads((finished / "config.toml").read_text())["training"]
    assert (settings["length"], settings["sequences"], settings["fixed"]) == (12, 32, False)


def test_preset_and_export_have_the_weights_that_were_measured(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    model = MemoryModel.from_preset(finished / "preset")
    examples = adding(20, length=12, seed=(3,))
    assert model.evaluate(examples)["mse"] == pytest.approx(metrics["test"]["mse"], rel=1e-4)
    served = tf.saved_model.load(str(finished / "savedmodel" / "1")).signatures["serving_default"]
    output = served(numbers=tf.constant(examples.inputs))["number"]
    np.testing.assert_allclose(output, model.predict(examples), atol=1e-5)


def test_a_resumed_run_ends_as_an_unbroken_one(finished, tmp_path, no_export, capsys):
    broken = tmp_path / "broken"
    with killed_after(1):
        # The settings of a run, as its folder has them, are those of its command line.
        run(broken, "--config", str(finished / "config.toml"))
    run(broken, "--resume")
    assert figures(broken) == figures(finished)
    assert [row["loss"] for row in history(broken)] == [row["loss"] for row in history(finished)]
    assert "(right: " in capsys.readouterr().out


@pytest.mark.slow
def test_sequences_grow_up_to_their_length(tmp_path, monkeypatch, no_export):
    config = memory.MemoryConfig(task="copy", length=50, shortest=10)
    assert memory._stages(config, 12) == [(6, 10), (9, 20), (11, 40), (12, 50)]
    assert memory._stages(memory.MemoryConfig(length=50), 12) == [(12, 50)]
    assert memory._stages(memory.MemoryConfig(length=50, shortest=50), 12) == [(12, 50)]

    lengths = []
    fresh = memory.fresh_batches

    def noted(make, *arguments, **options):
        lengths.append((options["epoch"], make(1, 0).inputs.shape[1]))
        return fresh(make, *arguments, **options)

    monkeypatch.setattr(memory, "fresh_batches", noted)
    flags = [*SMALL, "--epochs", "6", "--shortest", "4"]
    metrics = run(tmp_path / "whole", *flags)
    assert lengths == [(0, 4), (4, 8), (5, 12)]
    # Broken off between two lengths, and taken up again.
    with killed_after(4):
        run(tmp_path / "broken", *flags)
    lengths.clear()
    run(tmp_path / "broken", "--resume")
    assert lengths == [(4, 8), (5, 12)]
    assert metrics["epochs"] == 6
    assert figures(tmp_path / "broken") == figures(tmp_path / "whole")


def test_a_seed_changes_weights_and_sequences_but_not_what_is_measured():
    script = memory.SCRIPT
    one, two = (
        script.load_data(memory.MemoryConfig(task="temporal_order", seed=seed)) for seed in (1, 2)
    )
    np.testing.assert_array_equal(one.test.inputs, two.test.inputs)
    config = memory.MemoryConfig(task="reber", seed=1)
    fixed = [script.load_data(c) for c in (config, memory.MemoryConfig(task="reber", seed=2))]
    assert fixed[0].train.text(0) != fixed[1].train.text(0) or (
        fixed[0].train.inputs.shape != fixed[1].train.inputs.shape
    )
    np.testing.assert_array_equal(fixed[0].test.inputs, fixed[1].test.inputs)


@pytest.mark.parametrize("task", ["copy", "temporal_order_3", "reber", "digits", "digits_pixels"])
def test_every_task_makes_a_model_that_fits_its_data(task):
    if task.startswith("digits"):
        pytest.importorskip("sklearn")
    script = memory.SCRIPT
    data = script.load_data(memory.MemoryConfig(task=task))
    config = script.with_defaults(memory.MemoryConfig(task=task, units=4), data)
    model = script.make_model(config, data)
    script.check(model, config, data)
    plan = script.plan(config, data, model)
    assert plan.steps > 0
    assert data.sizes()["validation_sequences"] == len(data.validation)
    assert task in script.describe(config, data, model)
    lines = memory._answers(model, data.test[:2])
    assert len(lines) == 2
    request = script.requests(model, data)[0]
    assert len(next(iter(request.values()))) <= 32
    there = data.validation[: len(next(iter(request.values())))].present
    assert script.served(request, {}) == there.sum()


@pytest.mark.slow
def test_it_stops_when_the_latest_sequences_were_right(tmp_path, monkeypatch, no_export):
    """The criterion is taken from `solved` of so many epochs, told here by the test."""
    monkeypatch.setattr(memory, "SOLVED_SEQUENCES", 64)  # two epochs of 32
    shares = iter([1.0, 0.9, 1.0, 1.0, 1.0, 1.0])
    right = MemoryModel.get_metrics_result

    def told(self):
        return {**right(self), "solved": told.share}

    monkeypatch.setattr(MemoryModel, "get_metrics_result", told)

    class Tell(memory._StopWhenSolved):
        def on_epoch_end(self, epoch, logs=None):
            share = next(shares)
            logs["solved"] = share
            super().on_epoch_end(epoch, logs)

    told.share = 0.0
    monkeypatch.setattr(memory, "_StopWhenSolved", Tell)
    folder = tmp_path / "run"
    metrics = run(folder, *SMALL, "--epochs", "9", "--until-solved")
    assert metrics["epochs"] == 4
    # And a resumed run knows that it is done.
    (folder / "metrics.json").unlink()
    assert run(folder, "--resume")["epochs"] == 4


@pytest.mark.slow
def test_a_file_of_ones_own(tmp_path, no_export):
    examples = temporal_order(40, length=20, seed=1)
    examples[:30].save(tmp_path / "train.npz")
    examples[30:].save(tmp_path / "test.npz")
    files = ["--data", str(tmp_path / "train.npz"), "--test", str(tmp_path / "test.npz")]
    metrics = run(tmp_path / "run", *files, "--units", "4", "--epochs", "1", "--no-xla")
    assert metrics["dataset"] == files[1]
    assert set(metrics["validation"]) == {"loss", "accuracy", "solved"}
    settings = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert settings["data"]["train_sequences"] == 27
    only = ["--evaluate-only", "--preset", str(tmp_path / "run" / "preset"), *files]
    again = run(tmp_path / "measured", *only)
    assert again["test"] == pytest.approx(metrics["test"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--task", "adding", "--data", "builtin:copy"], "cannot go together"),
        (["--data", "builtin:nothing"], "Expected one of builtin:adding, builtin:copy"),
        (["--data", "tfds:mnist"], "no data set of TFDS"),
        (["--task", "reber", "--length", "9"], "--length cannot be chosen for reber"),
        (["--task", "reber", "--no-fixed"], "no longest one"),
        (["--task", "digits", "--sequences", "9"], "always the same"),
        (["--task", "adding", "--test", "x.npz"], "--test goes with a file"),
        (["--data", "nowhere.npz"], "expected a NumPy archive .npz, got none"),
        (["--data", "nowhere.npz", "--length", "3"], "--length is for generated tasks"),
        (["--cell", "simple", "--chrono-length", "9"], "cells with gates"),
        (["--task", "copy", "--shortest", "51"], "--shortest must be from 1 to --length, 50"),
        (["--task", "reber", "--shortest", "9"], "not for reber"),
        (["--task", "digits", "--shortest", "9"], "not for digits"),
    ],
)
def test_flags_that_make_no_sense(tmp_path, flags, message, capsys):
    with pytest.raises(SystemExit) as status:
        memory.main([*flags, "--out", str(tmp_path / "run")])
    assert status.value.code == 2
    assert message in capsys.readouterr().err


def test_data_that_does_not_fit_a_preset_fails_with_its_name(tmp_path, capsys):
    reber = embedded_reber(10, seed=1)
    preset = MemoryModel.from_examples(reber, units=4).save_to_preset(tmp_path / "preset")
    wrong = MemoryExamples(reber.inputs + 1, reber.targets)
    wrong.save(tmp_path / "wrong.npz")
    flags = ["--preset", str(preset), "--data", str(tmp_path / "wrong.npz")]
    with pytest.raises(SystemExit):
        memory.main([*flags, "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert "wrong.npz" in error
    assert "below 7" in error
    with pytest.raises(SystemExit):
        memory.main([*flags, "--units", "9", "--out", str(tmp_path / "other")])
    assert "--preset brings its own network: --units" in capsys.readouterr().err


def test_baselines_are_those_of_the_tasks():
    """Of copying, the figure that Bai et al. publish for models without memory."""
    config = memory.MemoryConfig(task="copy", length=1000)
    data = memory.SCRIPT.load_data(config)
    assert memory._baseline(data)["no memory"] == pytest.approx(0.0204, abs=5e-5)
    data = memory.SCRIPT.load_data(memory.MemoryConfig(task="temporal_order"))
    assert memory._baseline(data)["no memory"] == pytest.approx(np.log(4), abs=0.1)


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e30])
def test_a_gradient_that_has_overflowed_moves_no_weight(bad):
    weights = [keras.Variable(np.ones(3, "float32")), keras.Variable(np.ones(2, "float32"))]
    optimizer = memory.SteadyAdam(0.1, global_clipnorm=1.0)
    good = [tf.ones(3), tf.ones(2)]
    optimizer.apply([tf.constant([1.0, bad, 1.0]), tf.ones(2)], weights)
    for weight in weights:
        np.testing.assert_array_equal(weight, np.ones(weight.shape))
    plain = keras.optimizers.Adam(0.1, global_clipnorm=1.0)
    others = [keras.Variable(weight) for weight in weights]
    plain.apply([tf.zeros(3), tf.zeros(2)], others)
    optimizer.apply(good, weights)
    plain.apply(good, others)
    for weight, other in zip(weights, others, strict=True):
        assert (weight.numpy() < 1).all()
        np.testing.assert_array_equal(weight, other)


def test_the_optimizer_of_a_run_is_one_that_keras_can_load(tmp_path):
    """A `.keras` file names its optimizer's class: the same under both names of the scripts."""
    importlib.import_module("kerasrnn.training.memory")
    assert keras.saving.get_registered_name(memory.SteadyAdam) == "kerasrnn>SteadyAdam"
    model = MemoryModel.from_examples(adding(4, length=5, seed=1), units=3)
    model.compile(memory.SteadyAdam(0.01))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is memory.SteadyAdam
