"""A few answers of each shipped tagger, pinned: they must not change from version to version."""

import functools
import json

import numpy as np
import pytest

from kerasrnn.data import parse_corpus
from kerasrnn.text import Entity
from kerasrnn.zoo import SequenceTagger, list_presets

# Entities, or each word with its tag.
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
    },
    "ner_en_wnut17": {
        "I grew up in France.": [Entity("France", "location", 13, 19)],
        "Manchester United lost again, Rooney was awful": [
            Entity("Manchester United", "group", 0, 17),
            Entity("Rooney", "person", 30, 36),
        ],
        "watching Breaking Bad on Netflix": [
            Entity("Breaking Bad on", "creative-work", 9, 24),
            Entity("Netflix", "corporation", 25, 32),
        ],
        "My sister works for Google in London.": [
            Entity("Google", "corporation", 20, 26),
            Entity("London", "location", 30, 36),
        ],
        "nothing of note .": [],
    },
    "pos_en_ewt": {
        "I grew up in France.": "I/PRON grew/VERB up/ADP in/ADP France/PROPN ./PUNCT",
        "They don't book the book.": (
            "They/PRON do/AUX n't/PART book/VERB the/DET book/NOUN ./PUNCT"
        ),
        "Time flies like an arrow; fruit flies like a banana.": (
            "Time/NOUN flies/VERB like/ADP an/DET arrow/NOUN ;/PUNCT "
            "fruit/NOUN flies/VERB like/ADP a/DET banana/NOUN ./PUNCT"
        ),
    },
    "slots_en_snips": {
        "will it rain in Paris tomorrow": [
            Entity("rain", "condition_description", 8, 12),
            Entity("Paris", "city", 16, 21),
            Entity("tomorrow", "timeRange", 22, 30),
        ],
        "add this song to my road trip playlist": [
            Entity("song", "music_item", 9, 13),
            Entity("my", "playlist_owner", 17, 19),
            Entity("road trip", "playlist", 20, 29),
        ],
        "Play the new album by Björk on Spotify": [
            Entity("new", "sort", 9, 12),
            Entity("album", "music_item", 13, 18),
            Entity("Björk", "artist", 22, 27),
            Entity("Spotify", "service", 31, 38),
        ],
    },
}

# Scores of the first tags for "France" in the first text.
SCORES = {
    "ner_en_starter": [
        *(-0.1538, 7.7424, 0.0098, -1.6605, -2.4428, 0.4558, -2.2662, -3.8203, -7.2563),
    ],
    "ner_en_wnut17": [-3.6786, 1.7538, 0.9993, 3.5213, 8.2179, 1.1749, 1.9894, -0.4039, -0.5778],
    "pos_en_ewt": [0.7790, -2.8324, -1.1966, -6.5853, -2.8827, -2.9063, -1.3347, 4.0311, -1.9259],
    "slots_en_snips": [-2.8187, -0.2991, -0.7559, -4.3294, 6.553, -0.7323, 2.1029, 12.2775, 2.3095],
}

# Labels of whole texts.
LABELS = {
    "slots_en_snips": {
        "will it rain in Paris tomorrow": "GetWeather",
        "add this song to my road trip playlist": "AddToPlaylist",
        "what time is Casablanca playing nearby": "SearchScreeningEvent",
    }
}


@functools.cache
def load(name: str) -> SequenceTagger:
    return SequenceTagger.from_preset(name)


def test_every_tagger_preset_is_pinned():
    shipped = {preset.name for preset in list_presets("SequenceTagger")}
    assert set(PINNED) == set(SCORES) == shipped
    assert set(LABELS) == {name for name in shipped if load(name).label_inventory is not None}


@pytest.mark.parametrize("name", PINNED)
def test_answers_are_pinned(name):
    answers = load(name).predict(list(PINNED[name]))
    if load(name).inventory.scheme == "none":
        answers = [" ".join(f"{word.text}/{word.tag}" for word in words) for words in answers]
    assert answers == list(PINNED[name].values())


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_pinned(name):
    answers = load(name).predict_labels(list(LABELS[name]))
    assert [label for label, _ in answers] == list(LABELS[name].values())


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_pinned(name):
    tagger = load(name)
    words = ["I", "grew", "up", "in", "France", "."]
    ids = {name: np.array([layer(words)]) for name, layer in tagger.features.layers.items()}
    scores = np.array(tagger.network(ids)["tags"])[0]  # (time, tags)
    np.testing.assert_allclose(scores[4, : len(SCORES[name])], SCORES[name], atol=1e-3)


@pytest.mark.slow
def test_figures_are_those_of_the_card():
    (starter,) = (p for p in list_presets("SequenceTagger") if p.name == "ner_en_starter")
    metrics = json.loads((starter.path / "metrics.json").read_text())
    scores = load("ner_en_starter").evaluate(parse_corpus("test"))
    assert scores["f1"] == pytest.approx(metrics["shipped"]["test"]["f1"], abs=0.005)


@pytest.mark.parametrize("name", PINNED)
def test_weights_are_small(name):
    (preset,) = (p for p in list_presets("SequenceTagger") if p.name == name)
    assert (preset.path / "model.weights.h5").stat().st_size <= 8_000_000
