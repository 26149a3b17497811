"""`--lens` of the training scripts."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from kerasrnn.data import parse_counterpoint
from kerasrnn.lens import gradient_flow
from kerasrnn.zoo import MemoryModel
from tests.data.test_piano_rolls import cells
from tests.training.conftest import FLAGS, figures, killed_after
from training import classifier, encoder_decoder, language_model, memory, music, tagger
from training.flags import UsageError, parse_config
from training.script import Plan, _batches_apart
from training.word_vectors import WordVectorsConfig

SMALL = ["--task", "adding", "--length", "12", "--units", "4", "--sequences", "32"]
SMALL += ["--batch-size", "8", "--epochs", "4", "--no-xla"]
FIGURES = ("lens_horizon", "lens_growth", "lens_first", "lens_last")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few sequences to measure with, and the gradient every other epoch."""
    monkeypatch.setattr(memory, "_VALIDATION", 20)
    monkeypatch.setattr(memory, "_TEST", 20)
    monkeypatch.setattr("training.script._APART", 8)


def history(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_run_with_the_lens(tmp_path, no_export):
    pytest.importorskip("tensorboard")
    whole, plain, broken = tmp_path / "whole", tmp_path / "plain", tmp_path / "broken"
    memory.main([*SMALL, "--lens", "--tensorboard", "--out", str(whole)])
    rows = history(whole)
    assert all(float(row[name]) for row in rows for name in FIGURES)
    # Four batches an epoch, measured before the first, after the second and the last.
    lasts = [row["lens_last"] for row in rows]
    assert len(set(lasts)) == 3 and lasts[1] == lasts[2]
    assert (whole / "plots" / "gradient_flow.png").read_bytes().startswith(b"\x89PNG")
    assert list((whole / "tensorboard" / "lens").glob("events.*"))

    # The training is the one without.
    memory.main([*SMALL, "--out", str(plain)])
    assert figures(plain) == figures(whole)
    without = [{k: v for k, v in row.items() if not k.startswith("lens_")} for row in rows]
    assert history(plain) == without

    # And a run that is taken up again ends as the whole one.
    with killed_after(3):
        memory.main([*SMALL, "--lens", "--out", str(broken)])
    memory.main(["--resume", "--out", str(broken)])
    assert history(broken) == rows
    assert (broken / "plots" / "gradient_flow.png").is_file()


def test_the_last_figures_are_those_of_the_model(tmp_path, no_export):
    folder = tmp_path / "run"
    memory.main([*SMALL, "--lens", "--epochs", "1", "--out", str(folder)])
    examples = memory.SCRIPT.load_data(memory.MemoryConfig(length=12, sequences=32)).train[:8]
    model = MemoryModel.from_preset(folder / "preset")
    expected = gradient_flow(model, examples).memories[0]
    (row,) = history(folder)
    assert float(row["lens_last"]) == pytest.approx(expected.by_lag[0], rel=1e-3)
    assert float(row["lens_first"]) == pytest.approx(expected.by_lag[-1], rel=1e-3)


def test_word_vectors_have_nothing_to_look_into():
    with pytest.raises(UsageError, match="--lens is for recurrent layers: word vectors"):
        parse_config(WordVectorsConfig, ["--lens"], name="word_vectors", description="")


@pytest.mark.parametrize(
    ("steps", "epochs", "xla", "apart"),
    [
        (64, 20, False, 10),  # 1,280 batches: every 640
        (1000, 20, False, 1),
        (1000, 20, True, 2),
        (4, 3, False, 2),
        (4, 1, True, 1),
    ],
)
def test_whole_epochs_apart(monkeypatch, steps, epochs, xla, apart):
    monkeypatch.setattr("training.script._APART", 500)
    plan = Plan(lambda: None, steps, 0, "loss", compile={"jit_compile": xla})
    assert _batches_apart(plan, epochs) == apart * steps


TEXT = "the cat sat on the mat. the dog ran to the cat. " * 12


def lines(count: int, make) -> str:
    return "".join(make(number) for number in range(count))


def _of(name: str, folder: Path, conll: Path) -> tuple:
    """A script, and the flags of a small run."""
    path = folder / "data"
    if name == "tagger":
        return tagger, [*FLAGS, "--data", str(conll)]
    if name == "classifier":
        path = path.with_suffix(".csv")
        path.write_text(
            "text,label\n" + lines(40, lambda n: f"{('bad', 'good')[n % 2]} {n},{n % 2}\n")
        )
        return classifier, ["--units", "4", "--batch-size", "8", "--data", str(path)]
    if name == "language_model":
        path = path.with_suffix(".txt")
        path.write_text(TEXT)
        flags = ["--units", "4", "--batch-size", "4", "--segment-length", "20"]
        return language_model, [*flags, "--data", str(path)]
    if name == "encoder_decoder":
        path = path.with_suffix(".tsv")
        path.write_text(lines(40, lambda n: f"{n:03d}\t{n:03d}\n"))
        return encoder_decoder, ["--units", "4", "--batch-size", "8", "--data", str(path)]
    rolls = [roll[:40] for roll in parse_counterpoint(pieces=8)]
    path = path.with_suffix(".mat")
    pytest.importorskip("scipy.io").savemat(
        path, {"traindata": cells(*rolls[:6]), "validdata": cells(*rolls[6:])}
    )
    flags = ["--units", "4", "--nade-units", "4", "--batch-size", "4", "--chunk", "16"]
    return music, [*flags, "--data", str(path)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["tagger", "classifier", "language_model", "encoder_decoder", "music"]
)
def test_scripts(name, tmp_path, conll, no_export):
    script, flags = _of(name, tmp_path, conll)
    scores = []
    for more in ([], ["--lens"]):
        folder = tmp_path / f"run{len(more)}"
        script.main([*flags, *more, "--epochs", "2", "--out", str(folder)])
        scores.append(figures(folder))
    assert scores[0] == scores[1]
    rows = history(folder)
    names = [column for column in rows[0] if re.match("lens_horizon", column)]
    assert names and all(np.isfinite(float(row[column])) for row in rows for column in names)
    assert float(rows[-1]["lens_horizon"]) > 0
    assert (folder / "plots" / "gradient_flow.png").is_file()
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 2
