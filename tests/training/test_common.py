"""Flags, the run's folder, checkpoints, interrupts."""

import dataclasses
import io
import os
import random
import signal

import keras
import numpy as np
import pytest
from rich.console import Console

from training import common
from training.common import (
    Checkpoints,
    Interrupted,
    InterruptGuard,
    ProgressCallback,
    RunFolder,
    TrainingConfig,
    UsageError,
    held_out,
    parse_config,
    reporting_errors,
    tenth_held_out,
)


@dataclasses.dataclass
class Config(TrainingConfig):
    colour: str = common.flag("red", "a colour", choices=("red", "blue"))
    share: float = common.flag(0.5, "a share")
    column: str | None = common.flag(None, "a column")
    patience: int | None = common.flag(None, "a number")


def parse(*arguments: str) -> Config:
    return parse_config(Config, arguments, name="example", description="An example.")


# === Flags ===


def test_defaults_and_flags():
    config = parse("--units", "7", "--no-bidirectional", "--colour", "blue", "--share", "0.25")
    assert (config.units, config.bidirectional, config.colour, config.share) == (
        *(7, False),
        *("blue", 0.25),
    )
    assert (config.cell, config.depth, config.patience) == ("lstm", 1, None)
    assert config.out is not None
    assert config.out.startswith(os.path.join("runs", "example"))
    assert config.given == {"units", "bidirectional", "colour", "share"}


def test_every_script_has_the_flags_of_the_design():
    flags = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert flags >= {
        *("data", "validation", "test", "cell", "units", "depth", "bidirectional", "epochs"),
        *("batch_size", "learning_rate", "seed", "preset", "evaluate_only", "out", "resume"),
    }


@pytest.mark.parametrize(
    "arguments",
    [["--unit", "7"], ["--frobnicate"], ["--cell", "gru2"], ["--units", "many"], ["stray"]],
)
def test_unknown_flags_and_values_fail(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_help_names_every_flag(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    for field in dataclasses.fields(Config):
        if field.name != "given":
            assert "--" + field.name.replace("_", "-") in text
    assert "(default: 0.5)" in text
    assert "SUPPRESS" not in text


def test_settings_come_from_a_file_and_flags_win(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[training]\nunits = 9\ncolour = "blue"\n')
    config = parse("--config", str(file), "--units", "5")
    assert (config.units, config.colour) == (5, "blue")
    file.write_text("[training]\nunit = 9\n")
    with pytest.raises(UsageError, match="unknown setting 'unit'"):
        parse("--config", str(file))
    with pytest.raises(UsageError, match="There is no"):
        parse("--config", str(tmp_path / "missing.toml"))


def test_resume_takes_the_settings_of_the_run(tmp_path):
    folder = RunFolder(tmp_path / "run", resume=False)
    folder.write_config(parse("--units", "9", "--seed", "4"))
    config = parse("--out", str(tmp_path / "run"), "--resume")
    assert (config.units, config.seed) == (9, 4)
    assert parse("--out", str(tmp_path / "run"), "--resume", "--units", "9").units == 9
    with pytest.raises(UsageError, match="--units is 9 there and 8 here"):
        parse("--out", str(tmp_path / "run"), "--resume", "--units", "8")
    with pytest.raises(UsageError, match="--resume needs --out"):
        parse("--resume")


def test_a_run_is_not_overwritten(tmp_path):
    RunFolder(tmp_path, resume=False).write_config(parse())
    with pytest.raises(UsageError, match="holds a run already"):
        RunFolder(tmp_path, resume=False)
    RunFolder(tmp_path, resume=True)


def test_evaluate_only_needs_a_preset():
    with pytest.raises(UsageError, match="--evaluate-only needs --preset"):
        parse("--evaluate-only")


@pytest.mark.parametrize("flag", ["units", "depth", "epochs", "batch-size"])
def test_numbers_must_be_positive(flag):
    with pytest.raises(UsageError, match=f"--{flag} must be at least 1. Received: 0"):
        parse(f"--{flag}", "0")


# === Checkpoints ===


def model(units: int = 3) -> keras.Model:
    network = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)]
    )
    network.compile("adam", "mse")
    return network


def step(network: keras.Model) -> None:
    x = np.ones((8, 4), "float32")
    network.fit(x, np.zeros((8, network.output_shape[-1])), epochs=1, verbose=0)


def test_a_checkpoint_holds_weights_optimizer_and_random_state(tmp_path):
    checkpoints, first = Checkpoints(tmp_path), model()
    step(first)
    checkpoints.save(first, {"epoch": 1, "name": "é"})
    second = model()
    assert checkpoints.restore(second) == {"epoch": 1, "name": "é"}
    for network in (first, second):  # dropout is drawn from the state that was saved
        step(network)
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(first.optimizer.variables, second.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(second.optimizer.iterations) == 2


def test_nothing_saved_is_nothing_restored(tmp_path):
    assert Checkpoints(tmp_path).restore(model()) is None


def test_the_best_weights_come_back(tmp_path):
    checkpoints, network = Checkpoints(tmp_path), model()
    best = network.get_weights()
    checkpoints.save_best(network)
    step(network)
    checkpoints.restore_best(network)
    for one, other in zip(best, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    Checkpoints(tmp_path).save(model(3), {})
    with pytest.raises(UsageError, match="model of another shape"):
        Checkpoints(tmp_path).restore(model(4))


def test_a_damaged_checkpoint_is_named(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model(), {})
    checkpoints.latest.write_bytes(checkpoints.latest.read_bytes()[:100])
    with pytest.raises(UsageError, match=r"latest.npz cannot be read"):
        checkpoints.restore(model())


def test_a_failure_while_saving_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoints, network = Checkpoints(tmp_path), model()
    checkpoints.save(network, {"epoch": 1})

    def half(file, **arrays):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(network, {"epoch": 2})
    assert checkpoints.restore(network) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["latest.npz"]


# === Interrupts ===


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_a_safe_place(number):
    with InterruptGuard() as guard:
        guard.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=signal.Signals(number).name):
            guard.check()


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with InterruptGuard():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_ends_at_once():
    # A shell lets the jobs in its background ignore this signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), InterruptGuard():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupts_and_errors_become_an_exit_status(capsys):
    console = Console(width=200)
    with pytest.raises(SystemExit) as stop, reporting_errors(console, "tagger", lambda: "runs/a"):
        raise Interrupted(signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM
    assert "python -m training.tagger --out runs/a --resume" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop, reporting_errors(console, "tagger", lambda: None):
        raise ValueError("train.conll, line 3: [expected] a tag")
    assert stop.value.code == 2
    assert "train.conll, line 3: [expected] a tag" in capsys.readouterr().err


# === The rest ===


def test_progress_is_a_line_an_epoch_without_a_terminal():
    output = io.StringIO()
    progress = ProgressCallback(Console(file=output), 2, 3, {"loss": "loss", "val_f1": "F1"})
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(3):
            progress.on_train_batch_end(batch)
        progress.on_epoch_end(epoch, {"loss": 0.5, "val_f1": 0.25})
    progress.close()
    assert output.getvalue() == "".join(f"epoch {i}/2  loss 0.5000  F1 0.2500\n" for i in (1, 2))


def test_progress_is_a_bar_on_a_terminal():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100)
    progress = ProgressCallback(console, 2, 3, {"loss": "loss"})
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(3):
            progress.on_train_batch_end(batch)
        progress.on_epoch_end(epoch, {"loss": 0.5})
    progress.close()
    text = output.getvalue()
    assert "100%" in text
    assert "loss 0.5000" in text
    assert "2/2" in text


def test_what_is_held_out_is_always_the_same():
    rest, part = held_out(range(100), 0.1)
    assert len(part) == 10
    assert sorted([*rest, *part]) == list(range(100))
    assert held_out(range(100), 0.1) == (rest, part)
    assert part != list(range(90, 100))


def test_the_only_example_of_a_label_is_not_held_out():
    rows = [("common", i) for i in range(28)] + [("rare", 28), ("seldom", 29)]
    for order in range(20):
        shuffled = random.Random(order).sample(rows, len(rows))
        rest, part = tenth_held_out(shuffled, "a.tsv", "text", lambda row: [row[0]])
        assert len(part) == 3
        assert {name for name, _ in part} == {"common"}
        assert sorted([*rest, *part]) == sorted(rows)


def test_the_last_two_examples_of_a_label_are_not_both_held_out():
    rows = [(name, i) for i in range(2) for name in "abcdefghij"]  # 2 of 20 are held out
    for order in range(50):
        shuffled = random.Random(order).sample(rows, len(rows))
        rest, part = tenth_held_out(shuffled, "a.tsv", "text", lambda row: [row[0]])
        assert len(part) == 2
        assert {name for name, _ in rest} == set("abcdefghij")


def test_where_no_label_is_at_stake_the_tenth_is_the_one_of_old():
    rows = list(range(57))
    assert tenth_held_out(rows, "a.txt", "text", lambda row: [row % 2]) == held_out(rows, 0.1)


def test_where_nothing_can_be_held_out_it_is_trained_on_and_said(capsys):
    rows = ["a", "b", "c"]
    rest, part = tenth_held_out(rows, "a.tsv", "text", lambda row: [row])
    assert rest == rows
    assert len(part) == 1
    assert "every text is the only one with some label" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"a\.tsv has one text: nothing can be held out"):
        tenth_held_out(["a"], "a.tsv", "text", lambda row: [row])
