"""The study of transfer: every start learns all labels, figures are added once, and shown."""

import dataclasses
import json

import pytest

from benchmarks import transfer
from kerasrnn.data import LabelledText, TaggedSentence

WORDS = ("paris", "london", "tea", "coffee", "monday")


def questions(data):
    texts = [
        LabelledText(f"where is {word} {n} ?", f"label {n % 3}") for n in range(8) for word in WORDS
    ]
    return texts[:30], texts[30:35], texts[35:]


def slots(data):
    rows = [
        TaggedSentence(("In", word, "now"), ("O", f"B-slot{n % 3}", "O"))
        for n in range(8)
        for word in WORDS
    ]
    return rows[:30], rows[30:35], rows[35:]


@pytest.fixture
def tiny(monkeypatch):
    """The studies with a few examples, presets that load quickly, and a few epochs."""
    small = {
        "questions": (questions, "sentiment_en_sst2"),
        "slots": (slots, "ner_en_starter"),
    }
    for name, (read, preset) in small.items():
        study = dataclasses.replace(transfer.STUDIES[name], read=read, preset=preset)
        monkeypatch.setitem(transfer.STUDIES, name, study)
    monkeypatch.setattr(transfer, "_EPOCHS", {100: 3, 1000: 3, 0: 3})


@pytest.mark.slow
@pytest.mark.parametrize("name", transfer.STUDIES)
def test_every_start_learns_all_labels(name, tiny, tmp_path):
    study = transfer.STUDIES[name]
    train, *_ = study.read(tmp_path)
    for kind in transfer.STARTS:
        # The few lack a label, which is one all the same.
        model = transfer._started(study, kind, train[:8], train)
        (labels,) = study.labels(train).values()
        assert set(model.inventory.tags) == set(labels)
        words = model.network.get_layer(study.dimension.replace("dimension", "embeddings"))
        assert words.trainable == (kind != "frozen" and model.settings[study.trained])
    run = transfer.measure(name, "body", 100, 1, tmp_path)
    assert run["examples"] == 30 and 1 <= run["best_epoch"] <= 3


@pytest.mark.slow
def test_figures_are_added_once(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "results" / "transfer.json"
    flags = ["--studies", "slots", "--sizes", "100", "--seeds", "1", "--out", str(out)]
    transfer.main([*flags, "--starts", "random"])
    before = json.loads(out.read_text())
    transfer.main([*flags, "--starts", "random", "body"])
    after = json.loads(out.read_text())
    assert [run["start"] for run in after["runs"]] == ["random", "body"]
    assert after["runs"][0] == before["runs"][0]
    assert "slots, body, 100, seed 1" in capsys.readouterr().out
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_table_has_means_and_spreads_of_the_runs():
    runs = [
        {"study": "slots", "start": start, "size": size, "examples": size or 5000, "test": figure}
        for start, figures in {"random": (0.5, 0.52), "body": (0.7, 0.8)}.items()
        for size in (100, 0)
        for figure in figures
    ]
    page = transfer.table({"hardware": "a machine", "date": "today", "runs": runs})
    assert "| start | 100 examples | 1,000 examples | 5,000 examples |" in page
    assert "| random vectors | 51.0 ± 1.4 | – | 51.0 ± 1.4 |" in page
    assert "| a preset's body, `ner_en_wnut17` | 75.0 ± 7.1 | – | 75.0 ± 7.1 |" in page
    assert "TREC" not in page
