"""The file of a teacher's probabilities, and what the scripts learn from it."""

import json

import numpy as np
import pytest

from tests.training.conftest import FLAGS
from tests.zoo.conftest import toy_sentences
from training import classifier, tagger
from training.flags import UsageError
from training.soft_labels import SoftLabels

WORDS = SoftLabels(
    [["New York", "’s"], ["\ufffd"]],
    ["B", "A"],
    [np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([[0.5, 0.5]])],
)
TEXTS = SoftLabels([["so", "dull"], ["fine"]], ["bad", "good"], [np.array([0.9, 0.1])] * 2)


@pytest.mark.parametrize("soft", [WORDS, TEXTS])
def test_a_file_gives_back_what_was_saved(tmp_path, soft):
    soft.save(tmp_path / "folder" / "soft.npz")
    loaded = SoftLabels.load(tmp_path / "folder" / "soft.npz")
    assert (loaded.texts, loaded.labels) == (soft.texts, soft.labels)
    for row, right in zip(loaded.probabilities, soft.probabilities, strict=True):
        np.testing.assert_allclose(row, right, atol=1 / 255)
        np.testing.assert_allclose(row.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"probabilities": np.zeros(2, np.uint8)},
        {"probabilities": np.zeros((2, 2), np.uint8)},
        {"probabilities": np.zeros((3, 2), np.float32)},
        {"labels": np.frombuffer(b"A", np.uint8)},
        {"texts": np.frombuffer(b"\xff", np.uint8)},
        {"words": np.array([True, False])},
    ],
)
def test_a_file_that_does_not_fit_together_is_named(tmp_path, change):
    path = tmp_path / "soft.npz"
    WORDS.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, **change})
    with pytest.raises(UsageError, match=r"soft\.npz is no file of soft labels"):
        SoftLabels.load(path)


def test_columns_in_the_order_of_a_model():
    np.testing.assert_allclose(WORDS.columns(["A", "B"])[0], [[0.75, 0.25], [0.0, 1.0]])
    np.testing.assert_allclose(WORDS.columns(["A", "I", "B"])[1], [[0.5, 0.0, 0.5]])
    np.testing.assert_allclose(TEXTS.columns(["good", "bad"])[0], [0.1, 0.9], atol=1e-6)
    with pytest.raises(UsageError, match=r"among those of the data, A, C\. Received: B"):
        WORDS.columns(["A", "C"])


def test_what_is_no_such_file_is_named(tmp_path):
    (tmp_path / "x.npz").write_text("no")
    for name in ("x.npz", "missing.npz"):
        with pytest.raises(UsageError, match=f"{name} is no file of soft labels"):
            SoftLabels.load(tmp_path / name)


def test_words_that_would_break_the_file_are_refused(tmp_path):
    for word in ("", "a\tb", "a\nb"):
        with pytest.raises(ValueError, match="must not be empty nor have tabs"):
            SoftLabels([[word]], ["A", "B"], [np.array([[1.0, 0.0]])]).save(tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_tagger_learns_the_probabilities_and_not_the_data(tmp_path, conll, no_export):
    """Soft labels that say O of every word, where the data has entities."""
    sentences = toy_sentences()
    labels = sorted({tag for s in sentences for tag in s.tags})
    outside = np.eye(len(labels))[labels.index("O")]
    soft = SoftLabels(
        [list(s.tokens) for s in sentences],
        labels,
        [np.tile(outside, (len(s), 1)) for s in sentences],
    )
    soft.save(tmp_path / "soft.npz")
    flags = ["--data", str(conll), "--no-crf", "--epochs", "8", *FLAGS]
    for name, more in (("taught", ["--soft-labels", str(tmp_path / "soft.npz")]), ("plain", [])):
        tagger.main([*flags, *more, "--out", str(tmp_path / name)])
    taught, plain = (
        json.loads((tmp_path / name / "metrics.json").read_text())["train"]
        for name in ("taught", "plain")
    )
    assert taught["recall"] == 0 and plain["recall"] > 0.5


@pytest.mark.slow
def test_the_classifier_learns_the_probabilities_and_not_the_data(tmp_path, no_export):
    rows = [("a moving film", "good"), ("a dull film", "bad")] * 8
    table = tmp_path / "films.tsv"
    table.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    swapped = {"good": [1.0, 0.0], "bad": [0.0, 1.0]}
    soft = SoftLabels(
        [text.split() for text, _ in rows],
        ["bad", "good"],
        [np.array(swapped[label]) for _, label in rows],
    )
    soft.save(tmp_path / "soft.npz")
    flags = [
        *("--data", str(table), "--validation", str(table), "--units", "8", "--epochs", "12"),
        *("--token-dimension", "8", "--learning-rate", "0.05", "--soft-labels"),
    ]
    classifier.main([*flags, str(tmp_path / "soft.npz"), "--out", str(tmp_path / "run")])
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    accuracy = history[0].split(",").index("val_accuracy")
    assert float(history[-1].split(",")[accuracy]) == 0
