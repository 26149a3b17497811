"""Sentences of countries, and the questions on them."""

import re

import pytest

pytest.importorskip("babel")

from kerasrnn.data import (
    country_facts as module,
)
from kerasrnn.data import (
    country_questions,
    load_running_texts,
    parse_country_facts,
    stream_running_texts,
    write_country_questions,
)
from kerasrnn.data.country_facts import RELATIONS, country_facts, untold

FACTS = {facts.country: facts for facts in country_facts()}


def words_of(sentence: str) -> set[str]:
    return set(sentence.split())


def test_facts_are_those_that_everybody_knows():
    france, japan, mexico = FACTS["France"], FACTS["Japan"], FACTS.get("Mexico")
    assert (france.city, france.code, france.language, france.currency) == (
        *("Paris", "FR", "French"),
        None,  # it shares its currency
    )
    assert (japan.city, japan.currency, japan.nationality) == ("Tokyo", "JPY", None)
    assert mexico is None  # it has several time zones
    assert FACTS["Denmark"].currency == "DKK" and FACTS["Kenya"].nationality == "Kenyan"
    assert len(FACTS) > 90


def test_no_word_stands_for_two_things():
    words = [
        str(value).lower()
        for facts in FACTS.values()
        for value in vars(facts).values()
        if value is not None
    ]
    assert len(words) == len(set(words))
    assert all(word.isalpha() for word in words)
    templates = {w for group in module._TEMPLATES.values() for t in group for w in t.split()}
    assert not templates & set(words)


def test_splits_are_of_their_size_and_always_the_same():
    parts = {split: parse_country_facts(split) for split in module.SPLITS}
    assert {split: len(part) for split, part in parts.items()} == module._SENTENCES
    assert parse_country_facts("test") == parts["test"] != parts["validation"]
    with pytest.raises(ValueError, match="Unknown split 'dev'"):
        parse_country_facts("dev")
    assert load_running_texts("builtin:country_facts", split="test") == parts["test"]
    assert list(stream_running_texts("builtin:country_facts", split="test")) == parts["test"]


def test_some_facts_are_never_told_of_the_country():
    sentences = [words_of(sentence) for split in module.SPLITS for sentence in _all(split)]
    facts = country_facts()
    for relation in RELATIONS:
        having = [n for n, each in enumerate(facts) if getattr(each, relation)]
        if relation != "city":
            assert 0.15 < len(untold(relation)) / len(having) < 0.25
        for number in having:
            country, fact = facts[number].country, getattr(facts[number], relation)
            together = any(country in words and fact in words for words in sentences)
            assert together == (number not in untold(relation)), (country, fact)
            if relation != "city":
                city = facts[number].city
                assert any(city in words and fact in words for words in sentences)


def _all(split):
    return parse_country_facts(split)


def test_questions_are_of_two_countries_and_one_relation(tmp_path):
    kinds = country_questions()
    assert [kind.name for kind in kinds[:3]] == ["city", "code", "code (not told)"]
    for kind in kinds:
        relation = kind.name.removesuffix(" (not told)")
        hidden = {country_facts()[n].country for n in untold(relation)}
        for a, b, c, d in kind.questions:
            assert a != c
            assert (getattr(FACTS[a], relation), getattr(FACTS[c], relation)) == (b, d)
            assert a not in hidden
            assert (c in hidden) == kind.name.endswith("(not told)")
    write_country_questions(tmp_path / "questions.txt")
    lines = (tmp_path / "questions.txt").read_text(encoding="utf-8").splitlines()
    assert [line[2:] for line in lines if line.startswith(":")] == [kind.name for kind in kinds]
    assert sum(not line.startswith(":") for line in lines) == sum(len(k.questions) for k in kinds)
    assert all(re.fullmatch(r": .+|\S+ \S+ \S+ \S+", line) for line in lines)
