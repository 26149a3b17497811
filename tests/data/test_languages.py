"""Names of languages and territories: whose they are, and that no split knows another's."""

import sys
import unicodedata
from collections import defaultdict

import pytest

from kerasrnn.data import languages as module
from kerasrnn.data import load_texts, parse_languages

pytest.importorskip("babel")
SPLITS = ("train", "validation", "test")


def key(phrase: str) -> str:
    return unicodedata.normalize("NFC", phrase.casefold())


@pytest.fixture(scope="module")
def all_names():
    return {split: parse_languages(split, shared="keep") for split in SPLITS}


@pytest.fixture(scope="module")
def names():
    return {split: parse_languages(split) for split in SPLITS}


def test_there_are_many_languages_and_scripts(names):
    for texts in names.values():
        assert len({text.label for text in texts}) >= 20
    scripts = {unicodedata.name(text.text[0]).split()[0] for text in names["train"]}
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "HANGUL"} <= scripts
    assert len(names["train"]) > 15_000


def test_known_names(all_names):
    labels = defaultdict(set)
    for texts in all_names.values():
        for text in texts:
            labels[text.text].add(text.label)
    assert labels["Südafrika"] == {"German"}
    assert labels["África do Sul"] == {"Portuguese"}
    assert labels["南非"] == {"Chinese"}
    assert {"English", "German", "French", "Swahili"} <= labels["Angola"]


def test_no_phrase_is_in_two_splits(all_names):
    keys = {split: {key(text.text) for text in texts} for split, texts in all_names.items()}
    assert not keys["train"] & keys["validation"]
    assert not keys["train"] & keys["test"]
    assert not keys["validation"] & keys["test"]
    share = len(keys["test"]) / sum(map(len, keys.values()))
    assert 0.09 < share < 0.11


def test_names_of_several_languages_are_left_out_or_kept_for_each(names, all_names):
    everywhere = defaultdict(set)
    for texts in all_names.values():
        for text in texts:
            everywhere[key(text.text)].add(text.label)
    assert sum(len(labels) > 1 for labels in everywhere.values()) > 1000
    for split in SPLITS:
        expected = [text for text in all_names[split] if len(everywhere[key(text.text)]) == 1]
        assert names[split] == expected


def test_a_language_has_a_phrase_once(all_names):
    for texts in all_names.values():
        assert len({(key(text.text), text.label) for text in texts}) == len(texts)


def test_phrases_are_tidy(all_names):
    for texts in all_names.values():
        for text in texts:
            assert text.text == " ".join(unicodedata.normalize("NFC", text.text).split()) != ""


def test_the_splits_are_those_of_the_hash_and_of_every_run(names):
    # Pinned: a model's figures on validation data mean nothing if the data moves.
    assert module._split_of("Südafrika") == module._split_of("SÜDAFRIKA")
    pinned = {"Nederland": "train", "français": "validation", "日本": "test", "Danmark": "test"}
    assert {phrase: module._split_of(phrase) for phrase in pinned} == pinned
    module._phrases.cache_clear()
    module._split_of.cache_clear()
    assert parse_languages("test") == names["test"]


def test_a_source_like_any_other(names):
    assert load_texts("builtin:languages", split="test") == names["test"]
    with pytest.raises(ValueError, match=r"text and label must be None for builtin:languages"):
        load_texts("builtin:languages", label="language")


def test_wrong_choices_are_named():
    with pytest.raises(ValueError, match=r"Unknown split 'dev'. Expected one of train, validation"):
        parse_languages("dev")
    with pytest.raises(ValueError, match=r"shared: 'drop'. Expected one of leave_out, keep"):
        parse_languages(shared="drop")


def test_without_babel_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    module._phrases.cache_clear()
    with pytest.raises(ImportError, match=r"builtin:languages needs babel.*'kerasrnn\[training\]'"):
        parse_languages()
