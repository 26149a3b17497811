"""`python -m training.word_vectors` from its flags to its folder."""

import json
import tomllib

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.zoo import WordVectors
from tests.training.conftest import figures, killed_after
from training import word_vectors
from training.flags import UsageError
from training.word_vectors import SCRIPT, WordVectorsConfig

TEXT = "the cat sat on the mat\nthe rat sat on the hat\na cat and a rat\n" * 120
FLAGS = [
    *("--dimension", "6", "--batch-size", "400", "--words-per-step", "100", "--window", "3"),
    *("--subsampling", "0.05", "--epochs", "3", "--min-count", "1"),
]


@pytest.fixture(scope="module")
def verse(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "verse.txt"
    path.write_text(TEXT)
    (path.parent / "questions.txt").write_text(": animals\ncat mat rat hat\nrat hat cat mat\n")
    (path.parent / "pairs.tsv").write_text("cat\trat\t9\nmat\that\t8\ncat\tthe\t1\n")
    return path


def flags_of(verse) -> list[str]:
    files = ["--questions", str(verse.parent / "questions.txt")]
    return [*FLAGS, "--data", str(verse), *files, "--pairs", str(verse.parent / "pairs.tsv")]


@pytest.fixture(scope="module")
def finished(verse, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    word_vectors.main([*flags_of(verse), "--out", str(folder)])
    return folder


def test_the_folder_is_as_designed(finished):
    for name in (
        "config.toml",
        "metrics.json",
        "history.csv",
        "plots/learning_curves.png",
        "checkpoints/latest.npz",
        "preset/vocabulary/words.txt",
        "savedmodel/1/saved_model.pb",
    ):
        assert (finished / name).is_file(), name
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["model"] == "WordVectors" and metrics["counted"] == "words"
    assert set(metrics["validation"]) == {"loss", "known"}
    assert set(metrics["test"]) == {"analogy_accuracy", "spearman"}
    config = tomllib.loads((finished / "config.toml").read_text())
    assert config["training"]["words_per_step"] == 100 and config["training"]["dimension"] == 6
    whole = len(TEXT.split()) + TEXT.count("\n")
    assert config["data"]["validation_words"] == int(0.05 * whole)
    assert config["data"]["train_words"] + config["data"]["validation_words"] == whole


def test_the_preset_and_the_export_have_the_vectors(finished):
    model = WordVectors.from_preset(finished / "preset")
    metrics = json.loads((finished / "metrics.json").read_text())
    serve = tf.saved_model.load(str(finished / "savedmodel" / "1"))
    answer = serve.signatures["serving_default"](words=tf.constant(["cat", "Rat"]))
    np.testing.assert_allclose(answer["vectors"].numpy(), model.predict(["cat", "rat"]), atol=1e-6)
    assert metrics["parameters"] == 2 * 6 * model.vocabulary.size


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one(finished, verse, tmp_path, no_export):
    folder = tmp_path / "broken"
    with killed_after(2):
        word_vectors.main([*flags_of(verse), "--out", str(folder)])
    assert not (folder / "metrics.json").exists()
    word_vectors.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)
    places = [run / "checkpoints" / "latest.npz" for run in (folder, finished)]
    with np.load(places[0]) as one, np.load(places[1]) as other:
        for name in one.files:
            if name != "state":  # it holds the seconds
                np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.slow
def test_a_preset_is_only_measured(finished, verse, tmp_path):
    preset = ["--preset", str(finished / "preset"), "--evaluate-only"]
    pairs = ["--pairs", str(verse.parent / "pairs.tsv")]
    word_vectors.main([*preset, *pairs, "--out", str(tmp_path / "pairs")])
    metrics = json.loads((tmp_path / "pairs" / "metrics.json").read_text())
    assert metrics["train"] == metrics["validation"] == {}
    assert set(metrics["test"]) == {"spearman"}
    assert metrics["dataset"].endswith("pairs.tsv")
    word_vectors.main([*preset, "--test", str(verse), "--out", str(tmp_path / "test")])
    metrics = json.loads((tmp_path / "test" / "metrics.json").read_text())
    assert set(metrics["test"]) == {"loss", "known"} and metrics["train"] == {}


@pytest.mark.slow
def test_vectors_without_contexts_are_learnt_further(verse, tmp_path, no_export):
    matrix = EmbeddingMatrix(["cat", "rat", "mat"], np.eye(3, 4, dtype="float32"))
    model = WordVectors.from_matrix(matrix, context=False, subsampling=0.0)
    preset = model.save_to_preset(tmp_path / "preset")
    folder = tmp_path / "run"
    flags = ["--preset", str(preset), "--data", str(verse), "--epochs", "2"]
    word_vectors.main([*flags, "--out", str(folder)])
    learnt = WordVectors.from_preset(folder / "preset")
    assert learnt.vocabulary.terms == matrix.terms
    assert learnt.settings["context"] and learnt.settings["subsampling"] == 0
    assert (learnt.to_matrix().matrix != matrix.matrix).any()


@pytest.mark.parametrize("flag", ["--questions", "--pairs"])
def test_a_file_that_is_not_there_is_named(flag, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        word_vectors.main([flag, "missing.txt", "--out", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert f"{flag}: there is no file 'missing.txt'" in capsys.readouterr().err


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--no-context cannot be"):
        WordVectorsConfig(context=False).check()
    (tmp_path / "empty.txt").write_text("\n\n")
    for flag, config in (
        ("--data", WordVectorsConfig(data=str(tmp_path / "empty.txt"))),
        ("--test", WordVectorsConfig(test=str(tmp_path / "empty.txt"))),
    ):
        with pytest.raises(ValueError, match=f"{flag}: .*empty.txt holds no text"):
            SCRIPT.load_data(config)
    with pytest.raises(ValueError, match="--data: Unknown source 'nothing'"):
        SCRIPT.load_data(WordVectorsConfig(data="nothing"))


@pytest.mark.slow
def test_planted_analogies_come_out(tmp_path, no_export, capsys):
    pytest.importorskip("babel")
    word_vectors.main(["--out", str(tmp_path / "run")])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["analogy_accuracy"] >= 0.95
    model = WordVectors.from_preset(tmp_path / "run" / "preset")
    found = model.to_matrix().evaluate_analogies(tmp_path / "run" / "questions.txt")
    assert found.skipped == 0 and found.accuracy == metrics["test"]["analogy_accuracy"]
    # Those that no sentence tells are worth their own figure.
    untold = [section for section in found.sections if section.name.endswith("(not told)")]
    right, asked = (sum(len(s.correct) for s in untold), sum(s.asked for s in untold))
    assert asked > 400 and right / asked > 0.8
    assert "analogies of countries" in capsys.readouterr().out


def test_a_text_is_read_anew_each_time(verse):
    data = SCRIPT.load_data(WordVectorsConfig(data=str(verse)))
    assert not isinstance(data.train, list)
    assert list(data.train) == list(data.train) == TEXT.splitlines()
