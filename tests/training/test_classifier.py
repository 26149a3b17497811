"""`python -m training.classifier` from its flags to its folder."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import DataError, LabelledText, UnlabelledError
from kerasrnn.embeddings import read_vectors
from kerasrnn.zoo import TextClassifier
from tests.training.conftest import figures, killed_after
from training import classifier
from training.attention_plot import drawable

FLAGS = [
    *("--units", "6", "--token-dimension", "8", "--attention-units", "4"),
    *("--batch-size", "8", "--learning-rate", "0.05", "--dropout", "0.1", "--epochs", "5"),
]
GOOD = ["a fine film", "fine and moving", "moving ! a joy", "what a joy .", "so fine a joy"]
BAD = ["a dull film", "dull and stale", "stale ! a bore", "what a bore .", "so dull a bore"]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> Path:
    """Forty reviews as a CSV file."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    rows = [f"{text},{label}" for label, texts in (("good", GOOD), ("bad", BAD)) for text in texts]
    path.write_text("\n".join(["review,stars", *rows * 4]) + "\n", encoding="utf-8")
    return path


def arguments(reviews: Path, folder: Path) -> list[str]:
    data = ["--data", str(reviews), "--validation", str(reviews), "--label-column", "stars"]
    return [*FLAGS, *data, "--out", str(folder)]


@pytest.fixture(scope="module")
def finished(reviews, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    classifier.main(arguments(reviews, folder))
    return folder


def column(folder: Path, name: str) -> list[float]:
    """A column of `history.csv`."""
    with open(folder / "history.csv") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


# === What a run leaves ===


@pytest.mark.slow
def test_the_folder_is_as_designed(finished):
    for name in (
        *("config.toml", "metrics.json", "history.csv"),
        *(
            f"plots/{plot}.png"
            for plot in ("learning_curves", "confusion_matrix", "f1_by_label", "attention")
        ),
        *("checkpoints/latest.npz", "preset/model.weights.h5", "savedmodel/1/saved_model.pb"),
    ):
        assert (finished / name).is_file(), name
    for picture in (finished / "plots").iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_metrics_have_the_names_of_the_design(finished):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["model"] == "TextClassifier"
    assert metrics["test"] == {}
    assert {"accuracy", "f1_macro", "loss"} <= set(metrics["validation"])
    assert metrics["train"]["accuracy"] > 0.9
    assert metrics["counted"] == "tokens" and metrics["counted_per_second"] > 0
    losses = column(finished, "loss")
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_the_preset_and_the_export_answer_alike(finished):
    model = TextClassifier.from_preset(finished / "preset")
    serve = tf.saved_model.load(str(finished / "savedmodel" / "1")).signatures["serving_default"]
    texts = [*GOOD, *BAD]
    output = serve(text=tf.constant(texts))
    labels = [label.decode() for label in output["label"].numpy()]
    assert labels == model.predict_labels(texts) == ["good"] * 5 + ["bad"] * 5
    script = classifier.ClassifierScript()
    data = classifier.ClassifierData([], [LabelledText(text, "good") for text in texts], [], "x")
    (request,) = script.requests(model, data)
    units = script.served(request, {name: v.numpy() for name, v in output.items()})
    assert units == model.count_tokens(texts)


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one(finished, reviews, tmp_path, no_export):
    folder = tmp_path / "broken"
    with killed_after(2):
        classifier.main(arguments(reviews, folder))
    classifier.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)
    assert column(folder, "loss") == column(finished, "loss")


# === Presets ===


@pytest.mark.slow
def test_a_preset_is_only_measured(finished, reviews, tmp_path, capsys):
    folder = tmp_path / "measured"
    flags = ["--preset", str(finished / "preset"), "--evaluate-only", "--data", str(reviews)]
    classifier.main([*flags, "--label-column", "stars", "--out", str(folder)])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 0 and metrics["train"]["accuracy"] > 0.9
    output = capsys.readouterr().out
    assert "macro-averaged F1" in output
    assert "fine and moving → good" in output


@pytest.mark.slow
def test_a_preset_brings_its_own_network(finished, reviews, tmp_path, capsys):
    with pytest.raises(SystemExit):
        classifier.main(
            [*arguments(reviews, tmp_path / "run"), "--preset", str(finished / "preset")]
        )
    assert "--preset brings its own network" in capsys.readouterr().err


# === Data ===


def test_an_unseen_label_in_validation_is_named_before_training(reviews, tmp_path, capsys):
    other = tmp_path / "dev.csv"
    other.write_text("review,stars\nso so,fair\n")
    with pytest.raises(SystemExit) as stop:
        classifier.main([*arguments(reviews, tmp_path / "run"), "--validation", str(other)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "dev.csv, line 2" in error and "'fair'" in error
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_without_validation_data_a_tenth_is_held_out(reviews):
    data = classifier.SCRIPT.load_data(
        classifier.ClassifierConfig(data=str(reviews), label_column="stars")
    )
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 0)


def test_the_default_data_are_names_read_by_characters():
    pytest.importorskip("babel")
    data = classifier.SCRIPT.load_data(classifier.ClassifierConfig())
    assert data.source == "builtin:languages"
    assert min(len(data.train), len(data.validation), len(data.test)) > 1000
    config = classifier.SCRIPT.with_defaults(classifier.ClassifierConfig(), data)
    assert config.level == "characters" and config.lowercase is False
    words = classifier.SCRIPT.with_defaults(classifier.ClassifierConfig(level="words"), data)
    assert words.level == "words" and words.lowercase is True


def test_labels_that_are_kept_back_are_no_test_data(monkeypatch):
    def load_texts(name, *, split, text, label):
        if split == "test":
            raise UnlabelledError.at(name, None, expected="a class", got="none")
        if split == "validation":
            raise DataError.at(name, None, expected="a split of train, test", got=repr(split))
        return [LabelledText(f"text {i}", "ab"[i % 2]) for i in range(20)]

    monkeypatch.setattr(classifier, "load_texts", load_texts)
    data = classifier.SCRIPT.load_data(classifier.ClassifierConfig(data="tfds:glue/sst2"))
    assert (len(data.train), len(data.validation), len(data.test)) == (18, 2, 0)


def test_vectors_are_of_words(reviews, tmp_path, capsys):
    with pytest.raises(SystemExit):
        flags = ["--level", "characters", "--embeddings", "vectors.txt"]
        classifier.main([*arguments(reviews, tmp_path / "run"), *flags])
    assert "--level must be words" in capsys.readouterr().err


def test_word_vectors_come_from_a_file(reviews, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("fine 1 2 3\nunseen 4 5 6\nother 7 8 9\n")
    script = classifier.SCRIPT
    config = classifier.ClassifierConfig(
        data=str(reviews), label_column="stars", embeddings=str(path), vector_words=2, units=4
    )
    data = script.load_data(config)
    model = script.make_model(script.with_defaults(config, data), data)
    matrix = model.network.get_layer("token_embeddings").get_weights()[0]
    ids = model.vocabulary(["fine", "unseen", "other"]).numpy()
    expected = read_vectors(path, ["fine", "unseen"]).scaled().matrix
    np.testing.assert_allclose(matrix[ids[:2]], expected, rtol=1e-6)
    assert ids[2] == 1  # beyond the first two words
    config.vector_deviation = 0.4
    model = script.make_model(script.with_defaults(config, data), data)
    matrix = model.network.get_layer("token_embeddings").get_weights()[0]
    assert matrix[ids[:2]].std() == pytest.approx(0.4, rel=1e-5)


def test_text_that_the_font_of_pictures_lacks():
    assert drawable("Größe, Россия")
    assert not drawable("中国") and not drawable("عربي")
