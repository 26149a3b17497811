"""`python -m training.tagger` from its flags to its folder."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.zoo import SequenceTagger
from tests.training.conftest import FLAGS, figures, killed_after
from training import make_preset, tagger

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="module")
def finished(conll, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    tagger.main([*FLAGS, "--data", str(conll), "--epochs", "4", "--out", str(folder)])
    return folder


def column(folder: Path, name: str) -> list[float]:
    """A column of `history.csv`."""
    with open(folder / "history.csv") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


# === What a run leaves ===


@pytest.mark.slow
def test_the_folder_is_as_designed(finished):
    for name in (
        "config.toml",
        "metrics.json",
        "history.csv",
        "plots/learning_curves.png",
        "plots/f1_by_type.png",
        "plots/confusion_matrix.png",
        "checkpoints/latest.npz",
        "checkpoints/best.npz",
        "preset/config.toml",
        "preset/model.weights.h5",
        "savedmodel/1/saved_model.pb",
        "savedmodel/1/assets.extra/tf_serving_warmup_requests",
    ):
        assert (finished / name).is_file(), name
    for picture in (finished / "plots").iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert not list(finished.rglob("*.tmp*"))


def test_metrics_have_the_names_of_the_design(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert set(metrics) >= {
        *("model", "dataset", "seed", "parameters", "epochs", "seconds"),
        *("train", "validation", "test"),
    }
    assert metrics["model"] == "SequenceTagger"
    assert metrics["epochs"] == 4
    assert {"precision", "recall", "f1", "accuracy"} <= set(metrics["validation"])
    assert metrics["test"] == {}
    assert 0 < metrics["train"]["f1"] <= 1


def test_history_has_a_row_for_each_epoch(finished):
    assert column(finished, "epoch") == [1, 2, 3, 4]
    losses = column(finished, "loss")
    assert losses[-1] < losses[0]
    with open(finished / "history.csv") as file:
        names = set(next(csv.reader(file)))
    assert {"val_loss", "val_f1", "learning_rate", "seconds"} <= names


@pytest.mark.slow
def test_the_settings_repeat_the_run(finished, tmp_path, capsys):
    settings = tomllib.loads((finished / "config.toml").read_text())
    assert settings["training"]["units"] == 8
    assert settings["training"]["epochs"] == 4
    assert settings["versions"]["tensorflow"] == tf.__version__
    again = tmp_path / "again"
    tagger.main(["--config", str(finished / "config.toml"), "--out", str(again)])
    assert figures(again) == figures(finished)
    output = capsys.readouterr().out
    assert str(again / "savedmodel") in output
    assert "tensorflow_model_server" in output
    assert "verified" in output
    assert re.search(r"PER.*\d+\.\d.*\d+\.\d.*\d+\.\d", output)
    assert "\x1b[" not in output  # no colours where there is no terminal


@pytest.mark.slow
def test_preset_and_export_have_the_best_weights(finished):
    model = SequenceTagger.from_preset(finished / "preset")
    with np.load(finished / "checkpoints" / "best.npz") as best:
        for index, weight in enumerate(model.weights):
            np.testing.assert_array_equal(best[f"model/{index}"], weight)
    text = "Ada lives in New York ."
    serve = tf.saved_model.load(str(finished / "savedmodel" / "1")).signatures["serving_default"]
    tags = [tag.decode() for tag in serve(text=tf.constant([text]))["tags"].numpy()[0]]
    assert tags == model.predict_tags([text])[0]


# === Broken off ===


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one(finished, conll, tmp_path, no_export):
    folder = tmp_path / "broken"
    with killed_after(1):
        tagger.main([*FLAGS, "--data", str(conll), "--epochs", "4", "--out", str(folder)])
    assert not (folder / "metrics.json").exists()
    tagger.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)
    assert column(folder, "loss") == column(finished, "loss")
    # Resumed when there is nothing left to do, it only measures and exports again.
    (folder / "metrics.json").unlink()
    tagger.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_whole_checkpoint(conll, tmp_path, number):
    folder = tmp_path / "run"
    flags = [*FLAGS, "--no-crf", "--data", str(conll), "--epochs", "500", "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "training.tagger", *flags],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    latest = folder / "checkpoints" / "latest.npz"
    deadline = time.monotonic() + 120
    while not latest.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert f"--out {folder} --resume" in output
    assert "Traceback" not in output
    with np.load(latest) as arrays:
        state = json.loads(arrays["state"].tobytes())
    assert len(state["history"]) >= 1
    assert not list(folder.rglob("*.tmp*"))


# === Presets ===


@pytest.mark.slow
def test_a_preset_is_only_measured(finished, conll, tmp_path):
    folder = tmp_path / "measured"
    tagger.main(
        [
            "--preset",
            str(finished / "preset"),
            "--evaluate-only",
            "--data",
            str(conll),
            "--test",
            str(conll),
            "--out",
            str(folder),
        ]
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 0
    assert metrics["test"]["f1"] == metrics["train"]["f1"] > 0
    assert sorted(os.listdir(folder)) == ["config.toml", "metrics.json"]


@pytest.mark.slow
def test_training_goes_on_from_a_preset(finished, conll, tmp_path, no_export):
    folder = tmp_path / "tuned"
    flags = ["--preset", str(finished / "preset"), "--data", str(conll), "--epochs", "1"]
    tagger.main([*flags, "--out", str(folder), "--batch-size", "8"])
    assert column(folder, "loss")[0] < column(finished, "loss")[0]


def test_a_preset_brings_its_own_network(finished, conll, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tagger.main(
            [
                "--preset",
                str(finished / "preset"),
                "--units",
                "9",
                "--data",
                str(conll),
                "--out",
                str(tmp_path / "run"),
            ]
        )
    assert "--preset brings its own network: --units" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_become_a_preset_with_a_card(finished, conll, tmp_path, monkeypatch):
    monkeypatch.setattr(make_preset, "_SERVING_SECONDS", 0.1)
    card = dict.fromkeys(("summary", "data", "licence", "limits", "example", "command"), "words")
    card["preparation"] = "words before"
    folder = make_preset.make_preset("toy", [finished, finished], card, tmp_path)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert [run["seed"] for run in metrics["runs"]] == [1, 1]
    assert metrics["speed"]["counted"] == "words"
    assert min(metrics["speed"]["training"], metrics["speed"]["serving"]) > 0
    share = f"{100 * metrics['runs'][0]['validation']['accuracy']:.2f}"
    card_text = (folder / "README.md").read_text()
    assert f"| validation | accuracy | {share} ± 0.00 | {share} |" in card_text
    assert "words before\nwords --seed 1\n" in card_text
    assert "[`toy`](toy/README.md)" in (tmp_path / "README.md").read_text()
    # Half precision on disk; the answers are those of the run.
    text = ["Ada lives in New York ."]
    answers = [SequenceTagger.from_preset(f).predict(text) for f in (folder, finished / "preset")]
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_figures_of_further_seeds_are_added(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(make_preset, "_SERVING_SECONDS", 0.1)
    card = dict.fromkeys(("summary", "data", "licence", "limits", "example", "command"), "words")
    folder = make_preset.make_preset("toy", [finished], card, tmp_path, weights_dtype="int8")
    weights = (folder / "model.weights.h5").read_bytes()
    with pytest.raises(ValueError, match=r"a seed of its own. Received: \[1, 1\]"):
        make_preset.add_runs("toy", [finished], tmp_path)
    other = shutil.copytree(finished, tmp_path / "other")
    metrics = json.loads((other / "metrics.json").read_text())
    metrics["seed"], metrics["validation"]["accuracy"] = 2, 0.5
    (other / "metrics.json").write_text(json.dumps(metrics))
    # As if the preset were older than one of the flags, which then has its default there.
    config = folder / "config.toml"
    text = config.read_text()
    assert "capitals = false" in text.partition("[training]")[2]
    head, section, tail = text.partition("[training]")
    config.write_text(head + section + tail.replace("capitals = false\n", ""))
    make_preset.add_runs("toy", [other], tmp_path)
    assert (folder / "model.weights.h5").read_bytes() == weights
    runs = json.loads((folder / "metrics.json").read_text())["runs"]
    assert [run["seed"] for run in runs] == [1, 2]
    mean = 50 * (runs[0]["validation"]["accuracy"] + 0.5)
    assert f"| validation | accuracy | {mean:.2f} ±" in (folder / "README.md").read_text()


def test_runs_with_other_settings_are_no_seeds_of_one_preset(finished, tmp_path):
    other = shutil.copytree(finished, tmp_path / "other")
    path = other / "preset" / "config.toml"
    path.write_text(path.read_text().replace("epochs = 4", "epochs = 9"))
    card = dict.fromkeys(("summary", "data", "licence", "limits", "example", "command"), "words")
    with pytest.raises(ValueError, match="other settings"):
        make_preset.make_preset("toy", [finished, other], card, tmp_path / "zoo")


def test_nothing_is_published_without_the_data_to_measure_it(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    path = run / "preset" / "config.toml"
    head, section, settings = path.read_text().partition("[training]")
    settings = re.sub(r'(?m)^data = ".*"$', 'data = "gone.conll"', settings)
    path.write_text(head + section + settings)
    card = dict.fromkeys(("summary", "data", "licence", "limits", "example", "command"), "words")
    with pytest.raises((ValueError, OSError), match=r"gone\.conll"):
        make_preset.make_preset("toy", [run], card, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()


# === Data ===


def test_data_is_also_looked_for_in_the_folder_of_data(conll, monkeypatch):
    monkeypatch.setenv("KERASRNN_DATA", str(conll.parent))
    data = tagger.SCRIPT.load_data(tagger.TaggerConfig(data=conll.name))
    assert (len(data.train), data.source) == (43, conll.name)


def test_an_unseen_tag_in_validation_is_named_before_training(conll, tmp_path, capsys):
    other = tmp_path / "dev.conll"
    other.write_text("Acme\tB-ORG\ngrows\tO\n")
    with pytest.raises(SystemExit) as stop:
        tagger.main(
            [
                *FLAGS,
                "--data",
                str(conll),
                "--validation",
                str(other),
                "--out",
                str(tmp_path / "run"),
            ]
        )
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "dev.conll" in error
    assert "B-ORG" in error
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_malformed_file_names_the_line(tmp_path, capsys):
    bad = tmp_path / "bad.conll"
    bad.write_text("Ada\tB-PER\nlives\n")
    with pytest.raises(SystemExit):
        tagger.main(["--data", str(bad), "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert "bad.conll" in error
    assert "2" in error


def test_without_validation_data_a_tenth_is_held_out(conll):
    data = tagger.SCRIPT.load_data(tagger.TaggerConfig(data=str(conll)))
    assert (len(data.train), len(data.validation), len(data.test)) == (43, 5, 0)
    assert data.scheme == "BIO"


def test_the_embedded_corpus_has_its_own_splits():
    data = tagger.SCRIPT.load_data(tagger.TaggerConfig())
    assert data.source == "builtin:entities"
    assert min(len(data.train), len(data.validation), len(data.test)) > 50


@pytest.mark.slow
def test_parts_of_speech(tmp_path, capsys, no_export):
    rows = [("1", "A", "DET"), ("2", "cat", "NOUN"), ("3", "sleeps", "VERB")]
    block = "".join(f"{i}\t{w}\t{w}\t{t}" + "\t_" * 6 + "\n" for i, w, t in rows)
    (tmp_path / "toy.conllu").write_text("\n".join([block] * 12))
    folder = tmp_path / "run"
    tagger.main(
        [
            *FLAGS,
            "--data",
            str(tmp_path / "toy.conllu"),
            "--column",
            "upos",
            "--epochs",
            "6",
            "--out",
            str(folder),
        ]
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["validation"]["accuracy"] == 1.0
    model = SequenceTagger.from_preset(folder / "preset")
    assert model.settings["split_contractions"]
    assert "A/DET cat/NOUN sleeps/VERB" in capsys.readouterr().out


@pytest.mark.slow
def test_labels_of_sentences_become_a_second_head(tmp_path, no_export):
    block = "# intent = {}\n{}\tB-X\nnow\tO\n"
    rows = [block.format("play", "music"), block.format("book", "tables")] * 12
    (tmp_path / "slots.conll").write_text("\n".join(rows))
    folder = tmp_path / "run"
    tagger.main(
        [
            *FLAGS,
            "--no-crf",
            "--data",
            str(tmp_path / "slots.conll"),
            "--epochs",
            "8",
            "--out",
            str(folder),
        ]
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["validation"]["label_accuracy"] == 1.0
    model = SequenceTagger.from_preset(folder / "preset")
    assert [label for label, _ in model.predict_labels(["music now"])] == ["play"]


@pytest.mark.parametrize("freeze", [False, True])
def test_word_vectors_from_a_file(conll, tmp_path, freeze):
    rng = np.random.default_rng(0)
    words = ["lives", "in", "rome", "Elsewhere", "1987"]
    vectors = rng.normal(size=(5, 6)).round(3)
    lines = [f"{w} {' '.join(map(str, v))}" for w, v in zip(words, vectors, strict=True)]
    (tmp_path / "vectors.txt").write_text("\n".join(lines) + "\n")
    config = tagger.TaggerConfig(
        data=str(conll), embeddings=str(tmp_path / "vectors.txt"), train_words=not freeze
    )
    data = tagger.SCRIPT.load_data(config)
    model = tagger.SCRIPT.make_model(tagger.SCRIPT.with_defaults(config, data), data)
    embeddings = model.network.get_layer("word_embeddings")
    assert embeddings.trainable is not freeze
    ids = model.vocabulary(["Rome", "1987"]).numpy()
    found = embeddings.get_weights()[0][ids]
    # As wide as a new embedding. "Elsewhere" is not found: words are looked up in small letters.
    wide = vectors * 6**-0.5 / vectors[[0, 1, 2, 4]].std()
    np.testing.assert_allclose(found, wide[[2, 4]], atol=1e-6)
    config.vector_deviation = 0.0
    model = tagger.SCRIPT.make_model(tagger.SCRIPT.with_defaults(config, data), data)
    as_they_are = model.network.get_layer("word_embeddings").get_weights()[0][ids]
    np.testing.assert_allclose(as_they_are, vectors[[2, 4]], atol=1e-6)


def test_subwords_of_a_package(conll, monkeypatch, capsys):
    table = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    package = SimpleNamespace(read_subwords=lambda: (["ro", "##me", "li"], table))
    monkeypatch.setattr(tagger, "SUBWORD_PACKAGES", {"tiny": package})
    config = tagger.TaggerConfig(data=str(conll), subwords="tiny", vector_deviation=0.5)
    data = tagger.SCRIPT.load_data(config)
    model = tagger.SCRIPT.make_model(tagger.SCRIPT.with_defaults(config, data), data)
    (found,) = model.network.get_layer("subword_vectors").get_weights()
    np.testing.assert_allclose(found[2:], table * 0.5 / table.std(), atol=1e-6)
    assert model.subwords(["Rome"]).numpy().tolist() == [[2, 3, 0, 0, 0, 0]]
    with pytest.raises(SystemExit):
        tagger.main(["--subwords", "huge"])
    assert "--subwords must be one of minilm-l6" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the data folder is not there")
def test_wnut17_trains(tmp_path, no_export):
    folder = tmp_path / "run"
    # A part of it, for time.
    for name, lines in (("train", 2500), ("dev", 1000)):
        text = (DATA / "ner" / "wnut17" / f"{name}.conll").read_text().splitlines()
        (tmp_path / f"{name}.conll").write_text("\n".join(text[:lines]) + "\n")
    tagger.main(
        [
            *FLAGS,
            "--no-crf",
            "--data",
            str(tmp_path / "train.conll"),
            "--epochs",
            "1",
            "--validation",
            str(tmp_path / "dev.conll"),
            "--out",
            str(folder),
        ]
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["validation"]["types"]) <= {
        *("corporation", "creative-work", "group", "location", "person", "product")
    }
    assert np.isfinite(metrics["validation"]["loss"])
    shutil.rmtree(folder)
