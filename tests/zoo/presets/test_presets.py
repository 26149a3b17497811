"""Presets: written, found, read back, and refused where something is wrong."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from kerasrnn.zoo import (
    Preset,
    SequenceTagger,
    Task,
    TextClassifier,
    list_presets,
    resolve_preset,
)
from kerasrnn.zoo.presets import zoo_folders

REPOSITORY = Path(__file__).resolve().parents[3]


class OtherTask(Task):
    """A second task, so that presets can belong to the wrong one."""


def same_weights(first: keras.Model, second: keras.Model, tolerance: float = 0.0) -> None:
    assert len(first.weights) == len(second.weights)
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance, rtol=tolerance)


@pytest.fixture
def saved(small, tmp_path) -> Path:
    return small(cell="gru", spelling="rnn", dropout=0.25).save_to_preset(tmp_path / "preset")


def edit(folder: Path, pattern: str, replacement: str) -> None:
    path = folder / "config.toml"
    text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
    assert count == 1
    path.write_text(text)


# === Saved and loaded ===


@pytest.mark.parametrize("loader", [SequenceTagger, Task])
@pytest.mark.slow
def test_round_trip(trained, tmp_path, loader):
    folder = trained.save_to_preset(tmp_path / "preset")
    loaded = loader.from_preset(folder)
    assert type(loaded) is SequenceTagger
    assert loaded.arguments() == trained.arguments()
    same_weights(trained, loaded)
    text = ["Ada lives in New York."]
    assert loaded.predict(text) == trained.predict(text) != [[]]


def test_the_folder_holds_text_and_arrays_only(saved):
    names = sorted(str(path.relative_to(saved)) for path in saved.rglob("*") if path.is_file())
    assert names == [
        "config.toml",
        "model.weights.h5",
        "vocabulary/characters.txt",
        "vocabulary/labels.txt",
        "vocabulary/tags.txt",
        "vocabulary/words.txt",
    ]
    config = tomllib.loads((saved / "config.toml").read_text())
    assert config["class"] == "SequenceTagger"
    assert config["arguments"]["cell"] == "gru"
    assert config["arguments"]["dropout"] == 0.25
    assert config["input"] == {"dtype": "string"}
    assert set(config["versions"]) == {"kerasrnn", "keras", "tensorflow", "python"}
    assert (saved / "vocabulary/tags.txt").read_text().splitlines()[0] == "O"


def test_a_preset_is_replaced_as_a_whole(saved, small):
    assert (saved / "vocabulary/characters.txt").exists()
    small(cell="simple", spelling="none").save_to_preset(saved)
    assert SequenceTagger.from_preset(saved).settings["cell"] == "simple"
    assert not (saved / "vocabulary/characters.txt").exists()


def test_files_beside_those_of_a_preset_stay(saved, small):
    """A card, notes: what `save_to_preset` did not write, it does not delete."""
    (saved / "README.md").write_text("card")
    (saved / "vocabulary/notes.txt").write_text("mine")
    (saved / "runs/1").mkdir(parents=True)
    (saved / "runs/1/log").write_text("log")
    (saved / "link").symlink_to("README.md")
    (saved / "runs/up").symlink_to("..")
    small(cell="simple").save_to_preset(saved)
    assert (saved / "README.md").read_text() == "card"
    assert (saved / "vocabulary/notes.txt").read_text() == "mine"
    assert (saved / "runs/1/log").read_text() == "log"
    assert os.readlink(saved / "link") == "README.md"
    assert os.readlink(saved / "runs/up") == ".."
    assert SequenceTagger.from_preset(saved).settings["cell"] == "simple"


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": ""},
        {"config.toml": 'units = 3\ndata = "x"\n', "metrics.json": "{}"},  # of a run
        {"config.toml": '[project]\nname = "mine"\n'},
        {"config.toml": 'class = "Website"\n', "model.weights.h5": ""},
        {"config.toml": 'class = "SequenceTagger"\n'},
        {"config.toml": "no TOML", "model.weights.h5": ""},
        {".git/config": ""},
    ],
)
def test_a_folder_that_holds_something_else_is_left_alone(small, tmp_path, files):
    folder = tmp_path / "mine"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with pytest.raises(FileExistsError, match=r"`folder` must be new, empty or hold a preset"):
        small().save_to_preset(folder)
    assert {n: (folder / n).read_text() for n in files} == files
    assert os.listdir(tmp_path) == ["mine"]


def test_where_a_preset_can_be_saved(small, tmp_path, monkeypatch):
    tagger = small()
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new/one/", "link"):
        if name == "link":
            (tmp_path / "link").symlink_to("new/one")
            tagger = small(cell="simple")
        tagger.save_to_preset(f"{tmp_path}/{name}")
        assert SequenceTagger.from_preset(tmp_path / name).settings == tagger.settings
    assert os.readlink(tmp_path / "link") == "new/one"  # it stays, and leads to the new preset
    assert SequenceTagger.from_preset(tmp_path / "new/one").settings["cell"] == "simple"

    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileExistsError, match=r"is a file"):
        tagger.save_to_preset(tmp_path / "file")
    with pytest.raises(FileExistsError, match=r"leads nowhere"):
        tagger.save_to_preset(tmp_path / "dangling")
    monkeypatch.chdir(tmp_path / "new/one")
    for name in (".", "..", "/", "../one", tmp_path / "new/one", tmp_path / "link"):
        with pytest.raises(ValueError, match=r"`folder` cannot be .*: the process works there"):
            tagger.save_to_preset(name)
    tagger.save_to_preset("inside")
    assert sorted(os.listdir(tmp_path)) == ["dangling", "empty", "file", "link", "new"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_weights_that_are_not_finite_are_not_saved(small, saved, value, dtype):
    tagger = small()
    tagger.network.get_layer("tag_scores").bias.assign(np.full(5, value))
    with pytest.raises(ValueError, match=r"weight .*tag_scores/bias is not finite: 5 of its 5"):
        tagger.save_to_preset(saved, weights_dtype=dtype)
    assert SequenceTagger.from_preset(saved).settings["cell"] == "gru"  # the old one is there


def test_a_failure_leaves_the_old_preset(saved, small, monkeypatch):
    tagger = small(cell="simple")
    monkeypatch.setattr(tagger, "save_weights", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match=r"full"):
        tagger.save_to_preset(saved)
    assert SequenceTagger.from_preset(saved).settings["cell"] == "gru"
    assert os.listdir(saved.parent) == ["preset"]


@pytest.mark.slow
def test_half_precision_on_disk(trained, tmp_path):
    full = trained.save_to_preset(tmp_path / "full")
    half = trained.save_to_preset(tmp_path / "half", weights_dtype="float16")
    with h5py.File(half / "model.weights.h5") as file:
        dtypes = []
        file.visititems(
            lambda _, item: dtypes.append(item.dtype) if isinstance(item, h5py.Dataset) else None
        )
    assert np.dtype("float16") in dtypes
    assert np.dtype("float32") not in dtypes
    loaded = SequenceTagger.from_preset(half)
    assert {str(weight.dtype) for weight in loaded.weights} == {"float32"}
    same_weights(SequenceTagger.from_preset(full), loaded, tolerance=1e-3)
    with pytest.raises(ValueError, match=r"float32, float16, int8. Received: 'int4'"):
        trained.save_to_preset(tmp_path / "other", weights_dtype="int4")
    assert not (tmp_path / "other").exists()


def test_the_optimizer_stays_behind(trained, tmp_path):
    assert trained.optimizer.variables
    with h5py.File(trained.save_to_preset(tmp_path / "preset") / "model.weights.h5") as file:
        assert "optimizer" not in file
        sizes = []
        file.visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    assert sum(sizes) == sum(np.prod(weight.shape) for weight in trained.weights)


def test_what_half_precision_cannot_hold_is_named(small, tmp_path):
    tagger = small()
    tagger.network.get_layer("tag_scores").bias.assign(np.full(5, 1e6))
    with pytest.raises(ValueError, match=r"weight .* has values that float16 cannot hold"):
        tagger.save_to_preset(tmp_path / "preset", weights_dtype="float16")
    assert not (tmp_path / "preset").exists()


def test_arguments_can_be_replaced(saved):
    loaded = SequenceTagger.from_preset(saved, dropout=0.5, dtype="mixed_bfloat16")
    assert loaded.settings["dropout"] == 0.5
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    with pytest.raises(ValueError, match=r"unknown setting 'droput'"):
        SequenceTagger.from_preset(saved, droput=0.5)


def test_what_weights_were_trained_for_cannot_be_replaced(saved):
    """Another meaning for weights of the same shapes would make a good film a terrible one."""
    old = SequenceTagger.from_preset(saved).arguments()
    words = [f"w{number}" for number in range(len(old["words"]))]
    for name, value in [
        ("words", words),
        ("words", old["words"][::-1]),
        ("characters", old["characters"][::-1]),
        ("subwords", ["a"]),
        ("scheme", "none"),
        ("cell", "lstm"),
        ("spelling", "cnn"),
        ("lowercase", False),
    ]:
        with pytest.raises(ValueError, match=rf"`{name}` cannot be replaced: the weights of the p"):
            SequenceTagger.from_preset(saved, **{name: value})
    assert SequenceTagger.from_preset(saved, **old).arguments() == old
    tuples = {name: tuple(old[name]) for name in ("words", "tags", "labels")}
    assert SequenceTagger.from_preset(saved, **tuples).arguments() == old
    arrays = {name: np.array(old[name]) for name in ("words", "tags", "labels")}
    assert SequenceTagger.from_preset(saved, **arrays).arguments() == old
    for other in (5, [None], "good"):
        with pytest.raises(ValueError, match=r"Argument 'labels' must"):
            SequenceTagger.from_preset(saved, labels=other)


def test_labels_of_a_shipped_preset_are_not_renamed():
    """The same ones in another order keep their meaning; others get a head of their own."""
    old = TextClassifier.from_preset("sentiment_en_sst2")
    same = TextClassifier.from_preset("sentiment_en_sst2", labels=["positive", "negative"])
    assert same.predict(["A moving film."]) == old.predict(["A moving film."])
    same_weights(old, same)
    new = TextClassifier.from_preset("sentiment_en_sst2", labels=["good", "terrible"])
    kernels = [each.network.get_layer("label_scores").kernel.numpy() for each in (old, new)]
    assert not np.isclose(*kernels).any()


@pytest.mark.parametrize("overrides", [{"units": 9}, {"units": 7}, {"depth": 2}, {"crf": False}])
def test_a_network_of_another_size_is_refused(saved, overrides):
    with pytest.raises(ValueError, match=r"model.weights.h5"):
        SequenceTagger.from_preset(saved, **overrides)


def test_words_with_odd_characters_survive(tmp_path):
    words = ["\\n", "a\nb", "é", "漢字", "😀", "#"]
    tagger = SequenceTagger(words, ["O"], units=2, word_dimension=2)
    loaded = SequenceTagger.from_preset(tagger.save_to_preset(tmp_path / "odd"))
    assert list(loaded.vocabulary.terms) == words


# === Refused ===


def test_unknown_settings_fail(saved):
    edit(saved, "^depth = 1$", "depth = 1\nlayers = 3")
    with pytest.raises(ValueError, match=r"unknown setting 'layers' for SequenceTagger. Expected"):
        SequenceTagger.from_preset(saved)


def test_unknown_sections_fail(saved):
    with open(saved / "config.toml", "a") as file:
        file.write("\n[code]\nrun = 1\n")
    with pytest.raises(
        ValueError, match=r"unknown setting 'code'. Expected one of arguments, card"
    ):
        SequenceTagger.from_preset(saved)


def test_unknown_vocabularies_fail(saved):
    edit(saved, "^labels = ", "intents = ")
    with pytest.raises(ValueError, match=r"unknown vocabulary 'intents'. Expected one of words"):
        SequenceTagger.from_preset(saved)


def test_an_unknown_class_fails(saved):
    edit(saved, '^class = "SequenceTagger"', 'class = "os.system"')
    with pytest.raises(ValueError, match=r"unknown class 'os.system'. Expected one of"):
        Task.from_preset(saved)


def test_a_preset_of_another_class_fails(saved):
    with pytest.raises(ValueError, match=r"is a SequenceTagger. Load it with SequenceTagger.from"):
        OtherTask.from_preset(saved)


def test_a_preset_cannot_name_files_outside_of_itself(saved):
    shutil.copy(saved / "vocabulary/words.txt", saved.parent / "words.txt")
    edit(saved, '^words = "vocabulary/words.txt"', 'words = "../words.txt"')
    with pytest.raises(ValueError, match=r"lies outside of the preset"):
        SequenceTagger.from_preset(saved)


def test_incomplete_folders_are_named(saved, tmp_path):
    (saved / "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks its model.weights.h5"):
        SequenceTagger.from_preset(saved)
    with pytest.raises(FileNotFoundError, match=r"holds no config.toml"):
        SequenceTagger.from_preset(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no preset folder"):
        SequenceTagger.from_preset(tmp_path / "missing")
    (saved / "config.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"is not a TOML file"):
        SequenceTagger.from_preset(saved)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        ValueError, match=r"Unknown preset 'ner_en_startr'. Did you mean 'ner_en_st"
    ):
        SequenceTagger.from_preset("ner_en_startr")


# === Found ===


def test_names_come_from_the_zoo():
    presets = {preset.name: preset for preset in list_presets()}
    assert "ner_en_starter" in presets
    assert presets["ner_en_starter"].task == "SequenceTagger"
    assert (presets["ner_en_starter"].path / "config.toml").is_file()
    assert list_presets("TextClassifier") == [
        preset for preset in presets.values() if preset.task == "TextClassifier"
    ]


def test_the_environment_variable_comes_first(monkeypatch, saved, tmp_path):
    zoo = tmp_path / "zoo"
    shutil.copytree(saved, zoo / "ner_en_starter")
    (zoo / "index.toml").write_text(
        '[ner_en_starter]\nclass = "SequenceTagger"\nsummary = "Mine."\n'
    )
    monkeypatch.setenv("KERASRNN_ZOO", str(zoo))
    assert zoo_folders()[0] == zoo
    assert resolve_preset("ner_en_starter") == zoo / "ner_en_starter"
    assert {p.name: p.summary for p in list_presets()}["ner_en_starter"] == "Mine."
    monkeypatch.setenv("KERASRNN_ZOO", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"KERASRNN_ZOO must name a folder"):
        list_presets()


def test_a_broken_index_is_named(monkeypatch, tmp_path):
    (tmp_path / "index.toml").write_text('[some_preset]\nclass = "SequenceTagger"\n')
    monkeypatch.setenv("KERASRNN_ZOO", str(tmp_path))
    with pytest.raises(ValueError, match=r"index.toml: the entry 'some_preset' must be a table"):
        list_presets()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", ""),
        ('licence = "MIT OR (Apache-2.0 WITH LLVM-exception)"\nlanguages = []', ""),
        ('licence = "LicenseRef-own"\nlanguages = ["en", "fil"]', ""),
        ('licence = "free for all"', "`licence` of 'mine' must be an SPDX licence expression"),
        ('licence = ""', "`licence` of 'mine' must be an SPDX licence expression"),
        ("licence = 2", "`licence` of 'mine' must be an SPDX licence expression"),
        ('languages = "en"', "`languages` of 'mine' must be a list of codes of ISO 639"),
        ('languages = ["English"]', "`languages` of 'mine' must be a list of codes of ISO 639"),
        ('languages = ["en", "en"]', "`languages` of 'mine' must be a list of codes of ISO 639"),
        ("languages = [1]", "`languages` of 'mine' must be a list of codes of ISO 639"),
        ('license = "MIT"', "must be a table with the keys class and summary, and may have"),
    ],
)
def test_what_an_index_says_of_licences_and_languages(monkeypatch, tmp_path, line, said):
    entry = f'[mine]\nclass = "SequenceTagger"\nsummary = "Mine."\n{line}\n'
    (tmp_path / "index.toml").write_text(entry)
    monkeypatch.setenv("KERASRNN_ZOO", str(tmp_path))
    if said:
        with pytest.raises(ValueError, match=rf"index\.toml: .*{re.escape(said)}"):
            list_presets()
        return
    mine = next(preset for preset in list_presets() if preset.name == "mine")
    given = tomllib.loads(line)
    assert mine.licence == given.get("licence")
    assert mine.languages == tuple(given.get("languages", ()))
    assert mine.bytes == 0


def test_the_size_of_a_preset_is_that_of_its_weights_and_terms(saved):
    own = ["model.weights.h5", *(f"vocabulary/{n}" for n in os.listdir(saved / "vocabulary"))]
    (saved / "README.md").write_text("card")
    size = sum((saved / name).stat().st_size for name in own)
    assert Preset("mine", "SequenceTagger", "Mine.", saved).bytes == size


def test_a_folder_beside_the_user_does_not_hide_a_preset(monkeypatch, tmp_path):
    (tmp_path / "ner_en_starter").mkdir()
    monkeypatch.chdir(tmp_path)
    assert (resolve_preset("ner_en_starter") / "config.toml").is_file()


@pytest.mark.slow
def test_presets_are_found_from_any_folder(tmp_path):
    code = "from kerasrnn.zoo import list_presets; print([p.name for p in list_presets()])"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    environment.pop("KERASRNN_ZOO", None)
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ner_en_starter" in result.stdout
