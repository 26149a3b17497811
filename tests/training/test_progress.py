"""What is seen of a training."""

import io

from rich.console import Console

from training.fitting import ProgressCallback


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
