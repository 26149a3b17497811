"""`python -m training.language_model` from its flags to its folder."""

import json
import tomllib

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import grew_up_in
from kerasrnn.zoo import LanguageModel
from tests.training.conftest import figures, killed_after
from training import language_model
from training.language_model import SCRIPT, LanguageModelConfig

TEXT = "the cat sat on the mat, the rat sat on the hat.\n" * 40
FLAGS = [
    *("--units", "8", "--dimension", "6", "--batch-size", "4", "--segment-length", "16"),
    *("--learning-rate", "0.02", "--epochs", "3", "--recurrent-dropout", "0.1"),
]


@pytest.fixture(scope="module")
def verse(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "verse.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def finished(verse, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    language_model.main([*FLAGS, "--data", str(verse), "--out", str(folder)])
    return folder


@pytest.mark.slow
def test_the_folder_is_as_designed(finished):
    for name in (
        "config.toml",
        "metrics.json",
        "history.csv",
        "plots/learning_curves.png",
        "checkpoints/latest.npz",
        "preset/vocabulary/terms.txt",
        "savedmodel/1/saved_model.pb",
    ):
        assert (finished / name).is_file(), name
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["model"] == "LanguageModel"
    assert metrics["test"] == {}
    assert set(metrics["validation"]) == {"loss", "perplexity", "bits_per_char"}
    assert metrics["counted"] == "tokens"
    losses = [
        float(row.split(",")[1]) for row in (finished / "history.csv").read_text().split()[1:]
    ]
    assert losses[-1] < losses[0]
    settings = tomllib.loads((finished / "config.toml").read_text())["training"]
    assert settings["level"] == "characters" and settings["carry"] and not settings["bidirectional"]


@pytest.mark.slow
def test_the_last_tenth_is_held_out_and_measured(finished, verse):
    data = SCRIPT.load_data(LanguageModelConfig(data=str(verse)))
    assert data.train[0] + data.validation[0] == TEXT
    assert len(data.validation[0]) == len(TEXT) // 10
    metrics = json.loads((finished / "metrics.json").read_text())
    model = LanguageModel.from_preset(finished / "preset")
    expected = model.evaluate(data.validation)
    assert metrics["validation"]["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    serve = tf.saved_model.load(str(finished / "savedmodel" / "1"))
    text = serve.signatures["generate"](prompt=tf.constant(["the c"]))["text"].numpy()[0].decode()
    assert model.generate(["the c"], beam_width=4) == [text]


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one(finished, verse, tmp_path, no_export):
    folder = tmp_path / "broken"
    with killed_after(2):
        language_model.main([*FLAGS, "--data", str(verse), "--out", str(folder)])
    assert not (folder / "metrics.json").exists()
    language_model.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)
    places = [run / "checkpoints" / "latest.npz" for run in (folder, finished)]
    with np.load(places[0]) as one, np.load(places[1]) as other:
        for name in one.files:
            if name != "state":  # it holds the seconds
                np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.slow
def test_a_preset_is_only_measured(finished, verse, tmp_path, capsys):
    folder = tmp_path / "measured"
    preset = ["--preset", str(finished / "preset"), "--evaluate-only", "--data", str(verse)]
    language_model.main([*preset, "--prompt", "the cat", "--out", str(folder)])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 0 and metrics["validation"] == {}
    assert metrics["train"]["loss"] > 0
    assert "the cat" in capsys.readouterr().out


@pytest.mark.slow
def test_four_cells_in_one_picture(tmp_path, monkeypatch, capsys, no_export):
    monkeypatch.setattr(grew_up_in, "_SENTENCES", {"train": 20, "validation": 7, "test": 11})
    grew_up_in._all_splits.cache_clear()
    try:
        flags = ["--data", "builtin:grew_up_in", "--compare-cells", "--epochs", "1"]
        language_model.main([*flags, "--units", "4", "--out", str(tmp_path / "run")])
        metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
        assert list(metrics["cells"]) == ["simple", "simplified_gru", "gru", "lstm"]
        for cell, run in metrics["cells"].items():
            rows = run["test"]["distances"]
            assert [row["clauses"] for row in rows] == list(grew_up_in.MEASURED_CLAUSES)
            own = json.loads((tmp_path / "run" / cell / "metrics.json").read_text())
            assert own["test"] == run["test"]
        picture = tmp_path / "run" / "plots" / "accuracy_by_distance.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert "words in between" in capsys.readouterr().out
    finally:
        grew_up_in._all_splits.cache_clear()


# === Settings ===


def test_the_default_reads_a_part_of_python():
    config = LanguageModelConfig()
    data = SCRIPT.load_data(config)
    assert data.source == "builtin:python"
    sizes = data.sizes()
    assert sizes["train_characters"] == 1_000_000
    assert 20_000 <= sizes["validation_characters"] <= 100_000
    assert sizes["test_characters"] == 40_000
    filled = SCRIPT.with_defaults(config, data)
    assert (filled.level, filled.carry, filled.tied) == ("characters", True, False)
    assert not any(
        value is None
        for name, value in vars(filled).items()
        if name in ("units", "epochs", "batch_size", "learning_rate", "dimension", "layer_dropout")
    )


def test_settings_follow_the_data(tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("one line\n\nand another\n" * 10)
    config = LanguageModelConfig(data=str(rows), by_line=True, level="words")
    data = SCRIPT.load_data(config)
    assert (len(data.train), len(data.validation)) == (18, 2)
    filled = SCRIPT.with_defaults(config, data)
    assert (filled.carry, filled.tied) == (False, True)
    model = SCRIPT.make_model(filled, data)
    assert model.settings["level"] == "words"
    sentences = LanguageModelConfig(data="builtin:grew_up_in")
    filled = SCRIPT.with_defaults(sentences, SCRIPT.load_data(sentences))
    assert (filled.level, filled.carry, filled.tied) == ("words", False, False)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--bidirectional"], "--bidirectional cannot be"),
        (["--compare-cells"], "--compare-cells needs --data builtin:grew_up_in"),
        (["--data", "nothing.txt"], "no such file"),
    ],
)
def test_flags_that_make_no_sense_are_named(tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as stop:
        language_model.main([*flags, "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_text_too_short_to_hold_out_is_named(tmp_path, capsys):
    (tmp_path / "short.txt").write_text("short\n")
    with pytest.raises(SystemExit):
        language_model.main(["--data", str(tmp_path / "short.txt"), "--out", str(tmp_path / "r")])
    assert "too short to hold out" in capsys.readouterr().err
