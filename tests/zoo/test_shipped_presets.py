"""A few answers of each shipped preset, pinned: they must not change from version to version."""

import json

import numpy as np
import pytest

from kerasrnn.data import parse_corpus
from kerasrnn.text import Entity
from kerasrnn.zoo import SequenceTagger, list_presets

PINNED = {
    "ner_en_starter": {
        "I grew up in France.": [Entity("France", "LOC", 13, 19)],
        "He said, Tesla is a unit of magnetic field strength.": [Entity("Tesla", "MISC", 9, 14)],
        "He said, Tesla is an electric automotive company.": [Entity("Tesla", "ORG", 9, 14)],
        "Marie Curie was born in Warsaw.": [
            Entity("Marie Curie", "PER", 0, 11),
            Entity("Warsaw", "LOC", 24, 30),
        ],
        "Nothing of note.": [],
    }
}


# Scores of the tags for "France" in the first text.
SCORES = [-0.1538, 7.7424, 0.0098, -1.6605, -2.4428, 0.4558, -2.2662, -3.8203, -7.2563]


@pytest.fixture(scope="module")
def starter() -> SequenceTagger:
    return SequenceTagger.from_preset("ner_en_starter")


def test_every_tagger_preset_is_pinned():
    assert set(PINNED) == {preset.name for preset in list_presets("SequenceTagger")}


def test_answers_are_pinned(starter):
    pinned = PINNED["ner_en_starter"]
    assert starter.predict(list(pinned)) == list(pinned.values())


def test_scores_are_pinned(starter):
    ids = {
        "words": np.array([starter.vocabulary(["I", "grew", "up", "in", "France", "."])]),
        "characters": np.array([starter.spell(["I", "grew", "up", "in", "France", "."])]),
    }
    scores = np.array(starter.network(ids)["tags"])[0]  # (time, tags)
    np.testing.assert_allclose(scores[4], SCORES, atol=1e-3)


def test_figures_are_those_of_the_card(starter):
    metrics = json.loads((list_presets("SequenceTagger")[0].path / "metrics.json").read_text())
    scores = starter.evaluate(parse_corpus("test"))
    assert scores["f1"] == pytest.approx(metrics["shipped"]["test"]["f1"], abs=0.005)
