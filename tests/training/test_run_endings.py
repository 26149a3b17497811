"""Runs that end badly: divergence, a full disk, a failed start. What was done already stays."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from training import classifier, encoder_decoder, language_model, memory, music, run_folder, tagger
from training.endings import Diverged, Interrupted, reporting_errors
from training.fitting import fit_run
from training.flags import TrainingConfig, UsageError
from training.run_folder import RunFolder, strict_json

REPOSITORY = Path(__file__).resolve().parents[2]
# The file that the README shows.
PEOPLE = (
    "Ada\tB-PER\nLovelace\tI-PER\nmet\tO\nBabbage\tB-PER\nin\tO\nLondon\tB-LOC\n.\tO\n\n"
    "Grace\tB-PER\nHopper\tI-PER\ntaught\tO\nat\tO\nVassar\tB-ORG\nCollege\tI-ORG\n.\tO\n"
)


# === Divergence ===


class Poisoned(keras.callbacks.Callback):
    """Changes an epoch's figures, or the weights, as a training that diverges would."""

    def __init__(self, epoch: int, figure: str, value: float) -> None:
        super().__init__()
        self.epoch, self.figure, self.value = epoch, figure, value

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            if self.figure == "weights":
                weight = self.model.weights[0]
                weight.assign(keras.ops.full(weight.shape, self.value))
            else:
                logs[self.figure] = self.value


def trained(folder: Path, epochs: int, *others: keras.callbacks.Callback, resume: bool = False):
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    network.compile("adam", "mse", run_eagerly=True)  # a few steps are not worth a graph
    x = np.ones((8, 4), "float32")

    def fit(callbacks, **options):
        network.fit(
            *(x, np.zeros((8, 3))),
            validation_data=(x, np.zeros((8, 3))),
            batch_size=4,
            callbacks=[*others, *callbacks],
            **options,
        )

    fit_run(
        *(fit, network, RunFolder(folder, resume=resume), Console(quiet=True)),
        **{"epochs": epochs, "steps": 2, "monitor": "val_loss", "figures": {}, "maximize": False},
    )
    return network


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """The folder of two good epochs."""
    folder = tmp_path_factory.mktemp("good")
    network = trained(folder, 2)
    assert all(np.isfinite(weight).all() for weight in network.get_weights())
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("figure", ["loss", "val_loss", "weights"])
def test_the_first_epoch_that_is_not_finite_ends_a_run(good, tmp_path, figure, value):
    what = "weights" if figure == "weights" else f"the {figure.replace('_', ' ')} is {value}"
    for resume in (False, True):  # which would diverge at the same place, and says so
        with pytest.raises(
            Diverged, match=rf"epoch 3: .*{what}.*is that of epoch 2; with --resume"
        ):
            trained(tmp_path / "bad", 9, Poisoned(2, figure, value), resume=resume)
        for name in ("best", "latest"):
            with (
                np.load(good / "checkpoints" / f"{name}.npz") as one,
                np.load(tmp_path / "bad" / "checkpoints" / f"{name}.npz") as other,
            ):
                for key in one.files:
                    if key != "state":  # in which are times
                        np.testing.assert_array_equal(one[key], other[key])
        assert len((tmp_path / "bad" / "history.csv").read_text().splitlines()) == 3


def test_a_loss_that_is_large_but_finite_goes_on(tmp_path):
    trained(tmp_path, 3, Poisoned(1, "loss", 1e30))
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 4


def test_divergence_is_told_in_a_line_and_a_status(capsys):
    console = Console(width=200)
    with (
        pytest.raises(SystemExit) as stop,
        reporting_errors(console, "python -m training.tagger", lambda: "runs/a"),
    ):
        raise Diverged("The training has diverged")
    assert stop.value.code == 1
    assert capsys.readouterr().err == "training.tagger: The training has diverged\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, list[str]]:
    """Small data of each script, with the flags of a small model."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "people.conll").write_text(PEOPLE)
    rows = "".join(f"{name} number {i}\t{name}\n" for i in range(10) for name in ("good", "bad"))
    (folder / "texts.tsv").write_text("text\tlabel\n" + rows)
    (folder / "text.txt").write_text("the cat sat on the mat. " * 60)
    (folder / "pairs.tsv").write_text("".join(f"{i} a\ta {i}\n" for i in range(20)))
    pieces = [[[40 + i, 50 + i] for i in range(20)] for _ in range(4)]
    (folder / "music.json").write_text(json.dumps({"train": pieces, "valid": pieces[:1]}))
    small = ["--units", "4", "--batch-size", "4"]
    return {
        "tagger": ["--data", str(folder / "people.conll"), *small, "--no-crf"],
        "classifier": ["--data", str(folder / "texts.tsv"), *small, "--level", "words"],
        "language_model": ["--data", str(folder / "text.txt"), *small],
        "encoder_decoder": ["--data", str(folder / "pairs.tsv"), *small],
        "music": ["--data", str(folder / "music.json"), *small, "--nade-units", "4"],
        "memory": ["--task", "adding", "--length", "6", "--sequences", "16", "--units", "4"],
    }


MODULES = {
    "tagger": tagger,
    "classifier": classifier,
    "language_model": language_model,
    "encoder_decoder": encoder_decoder,
    "music": music,
    "memory": memory,
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "memory" else pytest.mark.slow)
        for name in sorted(MODULES)
    ],
)
def test_a_learning_rate_that_is_far_too_large(name, data, tmp_path, capsys):
    run = tmp_path / "run"
    with pytest.raises(SystemExit) as stop:
        MODULES[name].main(
            [*data[name], "--learning-rate", "1e38", "--epochs", "5", "--out", str(run)]
        )
    assert stop.value.code == 1
    assert "has diverged in epoch" in capsys.readouterr().err
    for what in ("preset", "savedmodel", "metrics.json"):
        assert not (run / what).exists()
    if not (run / "checkpoints").exists():  # nothing was good: the folder is free
        assert not run.exists()


def test_figures_are_json_whatever_they_are(tmp_path):
    figures = {"a": float("inf"), "b": [float("nan"), 1.5, {"c": np.float64("-inf")}], "d": 2}
    folder = RunFolder(tmp_path, resume=False)
    folder.write_metrics(figures)

    def refuse(name: str):
        raise AssertionError(name)

    text = (tmp_path / "metrics.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {
        "a": None,
        "b": [None, 1.5, {"c": None}],
        "d": 2,
    }
    assert json.loads(strict_json({"é": 0.1})) == {"é": 0.1}


# === The folder ===


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/sys/x", "Operation not permitted|Permission denied|Read-only"),
        ("/etc/passwd/x", "Not a directory"),
        ("/etc/passwd", "File exists|Not a directory"),
        ("/dev/null/a/b", "Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_made(place, why):
    with pytest.raises(UsageError, match=rf"--out must name a folder .*{place} \(({why})"):
        RunFolder(place, resume=False)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(run_folder.tempfile, "TemporaryFile", refuse)
    with pytest.raises(UsageError, match=r"--out must .*\(Permission denied\)"):
        RunFolder(tmp_path, resume=False)


def test_a_failed_start_leaves_the_folder_free(tmp_path):
    place = tmp_path / "new" / "run"
    with pytest.raises(ValueError, match="no data"), RunFolder(place, resume=False) as folder:
        folder.write_config(TrainingConfig())
        raise ValueError("no data")
    assert os.listdir(tmp_path) == []
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError), RunFolder(tmp_path / "run", resume=False) as folder:
        folder.write_config(TrainingConfig())
        raise ValueError
    assert os.listdir(tmp_path / "run") == ["notes.txt"]


@pytest.mark.parametrize("kept", ["checkpoints/latest.npz", "gru/checkpoints/latest.npz"])
def test_a_run_that_has_learnt_something_stays(tmp_path, kept):
    with pytest.raises(ValueError), RunFolder(tmp_path, resume=False) as folder:
        folder.write_config(TrainingConfig())
        (tmp_path / kept).parent.mkdir(parents=True)
        (tmp_path / kept).write_bytes(b"weights")
        raise ValueError
    assert (tmp_path / "config.toml").exists()


def test_an_interrupted_run_keeps_its_settings(tmp_path):
    with pytest.raises(Interrupted), RunFolder(tmp_path, resume=False) as folder:
        folder.write_config(TrainingConfig())
        raise Interrupted(2)
    assert (tmp_path / "config.toml").exists()
    with pytest.raises(ValueError), RunFolder(tmp_path, resume=True):
        raise ValueError
    assert (tmp_path / "config.toml").exists()


def test_temporary_files_of_a_killed_run_are_swept_and_others_are_not(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    swept = [
        *(".config.k1ll3d_x.tmp.toml", ".metrics.k1ll3d_x.tmp.json", ".history.k1ll3d_x.tmp.csv"),
        *("checkpoints/.latest.k1ll3d_x.tmp.npz", "checkpoints/.best.k1ll3d_x.tmp.npz"),
    ]
    others = [".notes.k1ll3d_x.tmp.txt", ".history.csv.swp", ".latest.npz", "history.tmp.csv"]
    for name in (*swept, *others):
        (tmp_path / name).write_text("half of it")
    (tmp_path / ".preset.k1ll3d_x.tmp" / "vocabulary").mkdir(parents=True)
    RunFolder(tmp_path, resume=True)
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "checkpoints"])
    assert os.listdir(tmp_path / "checkpoints") == []


@pytest.mark.parametrize("resume", [False, True])
def test_two_runs_at_once_do_not_share_a_folder(tmp_path, resume):
    folder = tmp_path / "run"
    with RunFolder(folder, resume=False) as first:
        if resume:
            first.write_config(TrainingConfig())
        with pytest.raises(UsageError, match="Another run is at work in "):
            RunFolder(folder, resume=resume).__enter__()
        assert (folder / "config.toml").exists() == resume
    with RunFolder(folder, resume=resume):
        pass  # it is free again


# === Errors of the system ===


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "runs/a/x"),
        PermissionError(errno.EACCES, "Permission denied", "runs/a/x"),
        OSError(errno.EROFS, "Read-only file system", "runs/a/x"),
        tf.errors.ResourceExhaustedError(None, None, "runs/a/x; No space left on device"),
        tf.errors.OutOfRangeError(None, None, "runs/a/x; File too large"),
        RuntimeError("file write failed: runs/a/x,\nerror message = 'No space left on device'"),
    ],
)
def test_errors_of_the_system_are_a_line_and_a_status(tmp_path, capsys, error):
    def attempt():
        out = str(tmp_path)
        with (
            pytest.raises(SystemExit) as stop,
            reporting_errors(Console(), "python -m training.music", lambda: out),
        ):
            raise error
        assert stop.value.code == 1
        message = capsys.readouterr().err
        assert message.startswith("training.music: ") and message.count("\n") == 1
        assert "runs/a/x" in message
        return message

    assert "--resume" not in attempt()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "latest.npz").touch()
    assert f"python -m training.music --out {tmp_path} --resume" in attempt()


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM: [4,9999999999]")]
)
def test_too_little_memory_is_a_line_and_a_status(capsys, error):
    with (
        pytest.raises(SystemExit) as stop,
        reporting_errors(Console(), "python -m training.music", lambda: "runs/a"),
    ):
        raise error
    assert stop.value.code == 1
    message = capsys.readouterr().err
    assert message.startswith("training.music: There is not enough memory")
    assert message.count("\n") == 1 and str(getattr(error, "message", "")) in message


def test_an_interrupt_outside_of_the_training_is_a_line(tmp_path, capsys):
    folder = tmp_path / "of mine"

    def attempt() -> str:
        with (
            pytest.raises(SystemExit) as stop,
            reporting_errors(Console(), "python -m training.music", lambda: str(folder)),
            RunFolder(folder, resume=False),
        ):
            raise KeyboardInterrupt
        assert stop.value.code == 130
        return capsys.readouterr().err

    assert attempt() == "training.music: stopped by SIGINT.\n"
    assert not folder.exists()
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "latest.npz").touch()
    assert f"Go on with: python -m training.music --out '{folder}' --resume" in attempt()


def test_errors_of_a_calculation_are_not_hidden():
    for error in (tf.errors.InvalidArgumentError(None, None, "shapes"), RuntimeError("a fault")):
        with pytest.raises(type(error)), reporting_errors(Console(), "a", str):
            raise error


@pytest.mark.slow
def test_a_full_disk_is_a_line_and_the_run_goes_on_later(tmp_path):
    """Every file is limited to a few kilobytes, as if the disk were full."""
    flags = ["--task", "adding", "--length", "6", "--sequences", "16", "--units", "64"]
    flags += ["--epochs", "1", "--no-xla", "--out", str(tmp_path / "run")]
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from training import memory\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "memory.main(sys.argv[1:])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *flags], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert re.search(r"^training\.memory: .*File too large", run.stderr, re.M)
    assert not (tmp_path / "run").exists()  # it failed before its first checkpoint
