"""What is seen of a training."""

import io
import re

from rich.console import Console

from training.fitting import ProgressCallback, Speed


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


def test_the_speed_is_that_of_the_batches(monkeypatch):
    now = iter([0.0, 1.0, 2.0, 2.0, 2.5, 4.0, 9.0])  # begin, two batches; the same again
    monkeypatch.setattr("training.fitting.time.perf_counter", lambda: next(now))
    output = io.StringIO()
    progress = ProgressCallback(Console(file=output), 2, 2, {"loss": "loss"}, Speed(8000, "words"))
    for epoch in range(2):
        progress.on_epoch_begin(epoch)
        for batch in range(2):
            progress.on_train_batch_end(batch)
        progress.on_epoch_end(epoch, {"loss": 0.5})
    assert re.findall(r"[\d,]+ words/s", output.getvalue()) == ["4,000 words/s"] * 2


def test_a_bar_shows_the_speed():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    progress = ProgressCallback(console, 1, 3, {"loss": "loss"}, Speed(6000, "words"))
    progress.on_epoch_begin(0)
    for batch in range(3):
        progress.on_train_batch_end(batch)
    progress.on_epoch_end(0, {"loss": 0.5})
    progress.close()
    assert "words/s" in output.getvalue()
