"""A few answers of each shipped classifier, pinned: no new version may change them."""

import json

import pytest

from kerasrnn.zoo import TextClassifier, list_presets
from training.classifier import SCRIPT

# For each preset, texts with their label and its probability.
PINNED: dict[str, dict[str, tuple[str, float]]] = {
    "language_id_cldr": {
        "Südafrika": ("German", 0.7932),
        "Royaume-Uni": ("French", 0.3081),
        "Etelä-Afrikka": ("Finnish", 0.9777),
        "Νότια Αφρική": ("Greek", 1.0000),
        "日本": ("Chinese", 0.8801),
        "南アフリカ": ("Japanese", 1.0000),
    },
    "question_type_en_trec": {
        "Who wrote the opera Aida?": ("HUM", 1.0000),
        "How far is the moon?": ("NUM", 0.9999),
        "What does NATO stand for?": ("ABBR", 0.9998),
        "Where is Lima?": ("LOC", 0.9998),
    },
    "sentiment_en_sst2": {
        "A gorgeous, witty film.": ("positive", 1.0000),
        "A dull and lifeless mess.": ("negative", 1.0000),
        "It is not bad at all.": ("negative", 0.8804),
        "I fell asleep twice.": ("negative", 0.9960),
    },
}


@pytest.fixture(scope="module")
def presets():
    return {preset.name: preset for preset in list_presets("TextClassifier")}


def test_every_classifier_preset_is_pinned(presets):
    assert set(PINNED) == set(presets)


@pytest.mark.parametrize("name", PINNED)
def test_answers_are_pinned(name):
    answers = TextClassifier.from_preset(name).predict(list(PINNED[name]))
    for answer, (label, score) in zip(answers, PINNED[name].values(), strict=True):
        assert answer.label == label
        assert answer.score == pytest.approx(score, abs=2e-3)


@pytest.mark.parametrize("name", [n for n in PINNED if n == "language_id_cldr"])
def test_figures_are_those_of_the_card(presets, name):
    core = pytest.importorskip("babel.core")
    if str(core.get_cldr_version()) != "49":
        pytest.skip("the names of another version of CLDR")
    metrics = json.loads((presets[name].path / "metrics.json").read_text())
    data = SCRIPT.load_data(SCRIPT.config_class())
    scores = TextClassifier.from_preset(name).evaluate(data.test)
    assert scores["accuracy"] == pytest.approx(metrics["shipped"]["test"]["accuracy"], abs=2e-3)
