"""A few answers of each shipped classifier, pinned: no new version may change them."""

import json

import pytest

from kerasrnn.zoo import TextClassifier, list_presets
from training.classifier import SCRIPT

# For each preset, texts with their label and its probability.
PINNED: dict[str, dict[str, tuple[str, float]]] = {}


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
    if str(core.get_cldr_version()) != "47":
        pytest.skip("the names of another version of CLDR")
    metrics = json.loads((presets[name].path / "metrics.json").read_text())
    data = SCRIPT.load_data(SCRIPT.config_class())
    scores = TextClassifier.from_preset(name).evaluate(data.test)
    assert scores["accuracy"] == pytest.approx(metrics["shipped"]["test"]["accuracy"], abs=2e-3)
