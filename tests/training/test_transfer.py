"""`--preset` with `--new-head`, `--freeze` and `--new-words`: a model is carried to other data."""

import csv
import json
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasrnn.zoo import LanguageModel, SequenceTagger, TextClassifier
from kerasrnn.zoo.transfer import own_weights
from tests.training.conftest import figures, killed_after
from tests.zoo.conftest import SMALL, toy_sentences
from training import classifier, tagger
from training.flags import UsageError, parse_config

HEAD = {"network/tag_scores", "head/crf"}
TRAINING = ["--batch-size", "8", "--learning-rate", "0.03"]


@pytest.fixture(scope="module")
def preset(tmp_path_factory) -> Path:
    """A tagger that knows other tags than those of the data, and labels besides."""
    keras.utils.set_random_seed(1)
    return SequenceTagger.from_sentences(toy_sentences(), **SMALL).save_to_preset(
        tmp_path_factory.mktemp("presets") / "tagger"
    )


@pytest.fixture(scope="module")
def drugs(tmp_path_factory) -> Path:
    """Sentences with other tags, and words that the preset does not know."""
    path = tmp_path_factory.mktemp("data") / "drugs.conll"
    names = ["Aspirin", "Ibuprofen", "Codeine", "Morphine"]
    blocks = [
        f"{who}\tO\ntakes\tO\n{name}\tB-DRUG\n.\tO\n"
        for who in ("Ada", "Bo", "Eve")
        for name in names
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sentiments(tmp_path_factory) -> tuple[Path, Path]:
    """A classifier's preset, and texts with three other labels."""
    folder = tmp_path_factory.mktemp("texts")
    keras.utils.set_random_seed(1)
    model = TextClassifier.from_texts(
        ["good film", "bad film"], ["good", "bad"], units=4, token_dimension=4
    )
    rows = [
        f"a {word} film\t{label}" for word, label in [("fine", "+"), ("dull", "-"), ("so", "0")]
    ]
    (folder / "texts.tsv").write_text("text\tlabel\n" + "\n".join(rows * 4) + "\n")
    return model.save_to_preset(folder / "preset"), folder / "texts.tsv"


def run(script, preset, data, out, *flags):
    arguments = ["--preset", str(preset), "--data", str(data), "--out", str(out)]
    script.main([*arguments, *TRAINING, *flags])
    kind = SequenceTagger if script is tagger else TextClassifier
    return kind.from_preset(Path(out) / "preset")


def column(folder: Path, name: str) -> list[float]:
    with open(folder / "history.csv") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def moved(one, other):
    one, other = own_weights(one), own_weights(other)
    return {
        path
        for path in one.keys() | other.keys()
        if path not in one
        or path not in other
        or any(
            a.shape != b.shape or (a.numpy() != b.numpy()).any()
            for a, b in zip(one[path], other[path], strict=True)
        )
    }


# === A new head ===


def test_a_new_head_with_a_frozen_body(preset, drugs, tmp_path, no_export, capsys):
    flags = ("--new-head", "--freeze", "body", "--epochs", "2")
    model = run(tagger, preset, drugs, tmp_path / "run", *flags)
    assert model.inventory.tags == ("O", "B-DRUG", "I-DRUG")
    assert model.label_inventory is None  # the data has none
    assert moved(SequenceTagger.from_preset(preset), model) == HEAD | {"network/label_scores"}
    assert model.frozen == ("words", "body")
    assert "words and body frozen" in capsys.readouterr().out
    for file in ("config.toml", "preset/config.toml"):
        settings = tomllib.loads((tmp_path / "run" / file).read_text())["training"]
        assert settings["new_head"] is True
        assert (settings["freeze"], settings["preset"]) == ("body", str(preset))
        assert settings["units"] == 8


def test_options_of_a_new_head(preset, drugs, tmp_path, no_export):
    flags = ("--new-head", "--no-crf", "--recall-margin", "1.5", "--scheme", "BIOES")
    model = run(tagger, preset, drugs, tmp_path / "run", *flags, "--epochs", "1")
    assert model.settings["crf"] is False
    assert model.settings["recall_margin"] == 1.5
    assert "S-DRUG" in model.inventory.tags
    assert model.frozen == ()


def test_a_classifier_with_other_labels(sentiments, tmp_path, no_export):
    preset, data = sentiments
    flags = ("--new-head", "--pooling", "mean", "--freeze", "words", "--epochs", "1")
    model = run(classifier, preset, data, tmp_path / "run", *flags)
    assert model.inventory.tags == ("+", "-", "0")
    assert model.settings["pooling"] == "mean"
    assert model.frozen == ("words",)


def test_other_labels_without_a_new_head_name_the_flag(preset, drugs, sentiments, tmp_path, capsys):
    nouns = tmp_path / "nouns.conll"
    nouns.write_text("Ada\tNOUN\nruns\tVERB\n\nBo\tNOUN\nruns\tVERB\n")
    for script, where, data in (
        (tagger, preset, drugs),
        (tagger, preset, nouns),
        (classifier, *sentiments),
    ):
        with pytest.raises(SystemExit):
            run(script, where, data, tmp_path / "run")
        assert "For other labels than the preset's: --new-head." in _line(capsys)
    with pytest.raises(SystemExit):  # there the labels are those to be measured
        run(tagger, preset, drugs, tmp_path / "run", "--evaluate-only")
    assert "--new-head" not in _line(capsys)


def _line(capsys):
    output = capsys.readouterr()
    return " ".join((output.out + output.err).split())


# === Going on with all of it ===

FROZEN_FIRST = ("--new-head", "--freeze", "body", "--unfreeze-after", "2", "--epochs", "4")


@pytest.fixture(scope="module")
def finished(preset, drugs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerasrnn.zoo.Task.export", lambda *_, **__: None)
        patch.setattr("training.script.serving_command", lambda *_: "")
        run(tagger, preset, drugs, folder, *FROZEN_FIRST)
    return folder


def test_behind_the_frozen_epochs_all_of_it_learns(preset, finished):
    with np.load(finished / "checkpoints" / "latest.npz") as latest:
        slots = [name for name in latest if name.startswith("optimizer/")]
    model = SequenceTagger.from_preset(finished / "preset")
    assert model.frozen == ()
    assert len(slots) == 2 * len(model.trainable_weights) + 1  # the steps
    assert column(finished, "epoch") == [1, 2, 3, 4]
    # The step size of either part rises from nothing and falls to a fiftieth.
    rates = column(finished, "learning_rate")
    assert rates[1] == rates[3] == pytest.approx(0.02 * 0.03)
    assert min(rates[0], rates[2]) > 2 * rates[1]


@pytest.mark.slow
@pytest.mark.parametrize(("checkpoints", "averages"), [(1, "0"), (2, "0.9"), (3, "0")])
def test_a_resumed_run_ends_as_an_unbroken_one(
    preset, drugs, finished, tmp_path, no_export, checkpoints, averages
):
    whole, flags = finished, [*FROZEN_FIRST, "--average-weights", averages]
    if averages != "0":
        whole = tmp_path / "whole"
        run(tagger, preset, drugs, whole, *flags)
    folder = tmp_path / "broken"
    with killed_after(checkpoints):
        run(tagger, preset, drugs, folder, *flags)
    tagger.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(whole)
    for name in ("loss", "val_loss", "learning_rate"):
        assert column(folder, name) == column(whole, name)
    one, other = (SequenceTagger.from_preset(each / "preset") for each in (folder, whole))
    assert not moved(one, other)


@pytest.mark.slow
def test_patience_is_counted_from_the_last_part(preset, drugs, tmp_path, no_export):
    """A body that is frozen for longer than the patience lasts does not end the run."""
    flags = ("--new-head", "--freeze", "body", "--unfreeze-after", "3", "--patience", "1")
    steps = ("--learning-rate", "1e-9", "--epochs", "9")
    run(tagger, preset, drugs, tmp_path / "run", *flags, *steps)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 4


@pytest.mark.slow
def test_vectors_that_a_constructor_keeps_learn_when_the_flag_names_them(
    sentiments, tmp_path, no_export
):
    preset, data = sentiments
    fixed = TextClassifier.from_preset(preset)
    fixed = TextClassifier(**{**fixed.arguments(), "train_tokens": False})
    fixed.save_to_preset(tmp_path / "fixed")
    for freeze, frozen in (("words", ()), ("body", ("words",))):
        flags = ("--new-head", "--freeze", freeze, "--unfreeze-after", "1", "--epochs", "2")
        model = run(classifier, tmp_path / "fixed", data, tmp_path / freeze, *flags)
        assert model.frozen == frozen


@pytest.mark.slow
def test_what_a_preset_has_frozen_can_learn_again(preset, drugs, tmp_path, no_export):
    first = tmp_path / "first"
    run(tagger, preset, drugs, first, "--new-head", "--freeze", "body", "--epochs", "1")
    kept = run(tagger, first / "preset", drugs, tmp_path / "kept", "--epochs", "1")
    assert kept.frozen == ("words", "body")
    freed = run(
        tagger, first / "preset", drugs, tmp_path / "n", "--freeze", "none", "--epochs", "1"
    )
    assert freed.frozen == ()


# === New words ===


def test_words_of_the_data(preset, drugs, sentiments, tmp_path, no_export):
    old = SequenceTagger.from_preset(preset)
    flags = ("--new-head", "--new-words", "pieces", "--epochs", "1", "--freeze", "words")
    model = run(tagger, preset, drugs, tmp_path / "tagger", *flags)
    terms = model.vocabulary.terms
    assert terms[: len(old.vocabulary.terms)] == old.vocabulary.terms
    assert {"takes", "eve"} <= set(terms) - set(old.vocabulary.terms)
    preset, data = sentiments
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("good 1\nbad 2\nfilm 3\nfine 4\n")
    flags = ("--new-head", "--new-words", str(vectors), "--epochs", "1", "--freeze", "words")
    model = run(classifier, preset, data, tmp_path / "classifier", *flags)
    table = model.network.get_layer("token_embeddings").embeddings.numpy()
    row = {term: table[2 + place] for place, term in enumerate(model.vocabulary.terms)}
    assert {"fine", "dull", "a", "so"} <= set(row)
    np.testing.assert_array_equal(row["dull"], table[1])
    shared = np.array([row["good"], row["bad"], row["film"]])
    expected = 4 * np.linalg.lstsq(np.array([[1.0], [2.0], [3.0]]), shared)[0][0]
    np.testing.assert_allclose(row["fine"], expected, atol=1e-4)


# === A language model's body ===


@pytest.mark.parametrize("script", [tagger, classifier])
def test_a_language_model_s_body(script, drugs, sentiments, tmp_path, no_export):
    keras.utils.set_random_seed(1)
    texts = ["Ada takes Aspirin .", "a fine film"]
    lm = LanguageModel.from_texts(texts, level="words", units=6, dimension=5, cell="gru")
    lm.save_to_preset(tmp_path / "lm")
    data = drugs if script is tagger else sentiments[1]
    flags = ("--new-head", "--freeze", "body", "--epochs", "1", "--dropout", "0.25")
    model = run(script, tmp_path / "lm", data, tmp_path / "run", *flags)
    assert model.settings["cell"] == "gru"
    assert model.settings["dropout"] == 0.25
    assert model.vocabulary.terms == lm.text_units.terms
    old, new = own_weights(lm), own_weights(model)
    for path, place in (("rnn/layer_1/gru_cell",) * 2, ("embedding", model.word_layers[0][8:])):
        for a, b in zip(old[f"network/{path}"], new[f"network/{place}"], strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    script.main(["--out", str(tmp_path / "run"), "--resume"])


# === Flags that make no sense together ===


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--new-head", r"--new-head needs --preset"),
        ("--new-words pieces", r"--new-words needs --preset"),
        ("--freeze body", r"--freeze body needs --preset"),
        ("--freeze words", r"--freeze words needs --preset or --embeddings"),
        ("--preset x --unfreeze-after 2", r"--unfreeze-after needs --freeze words or"),
        ("--preset x --freeze none --unfreeze-after 2", r"--unfreeze-after needs --freeze words"),
        (
            "--preset x --freeze body --unfreeze-after 4 --epochs 4",
            r"--unfreeze-after must be below --epochs, which is 4. Received: 4",
        ),
        ("--preset x --evaluate-only --new-head", r"--evaluate-only trains nothing: --new-head"),
        ("--preset x --evaluate-only --freeze body", r"--evaluate-only trains nothing: --freeze"),
        ("--preset x --new-head --units 9", r"brings its own network: --units cannot be set"),
        ("--preset x --new-words piece", r"--new-words: there is no file 'piece'"),
    ],
)
@pytest.mark.parametrize("script", [tagger.SCRIPT, classifier.SCRIPT])
def test_flags_that_make_no_sense_together(script, flags, message):
    with pytest.raises(UsageError, match=message):
        parse_config(script.config_class, flags.split(), name=script.name, description="")


def test_options_of_a_head_need_a_new_one():
    for script, flag in ((tagger.SCRIPT, "--no-crf"), (classifier.SCRIPT, "--pooling=max")):
        words = {"name": script.name, "description": ""}
        with pytest.raises(UsageError, match=r"--preset brings its own network"):
            parse_config(script.config_class, ["--preset", "x", flag], **words)
        parse_config(script.config_class, ["--preset", "x", flag, "--new-head"], **words)


@pytest.mark.slow
def test_epochs_that_the_data_decides(preset, drugs, tmp_path, capsys):
    flags = ("--new-head", "--freeze", "body", "--unfreeze-after", "20")
    with pytest.raises(SystemExit):
        run(tagger, preset, drugs, tmp_path / "run", *flags)
    assert "--unfreeze-after must be below --epochs, which is 20" in _line(capsys)
