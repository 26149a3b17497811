import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.text import Capitals

FORMS = {name: number for number, name in enumerate(Capitals.forms)}


def form(word: str) -> str:
    """The documented forms, written for one word."""
    if not word:
        return "padding"
    kinds = [unicodedata.category(character) for character in word]
    capitals = [kind in ("Lu", "Lt") for kind in kinds]
    if not any(capitals):
        return "lower"
    if sum(capitals) > 1 and "Ll" not in kinds:
        return "upper"
    first_letter = next(place for place, kind in enumerate(kinds) if kind.startswith("L"))
    return "initial" if capitals[first_letter] and sum(capitals) == 1 else "mixed"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from("aZéÉßжЖǅ你1-.' \n"), max_size=5), min_size=1))
def test_words_have_the_documented_forms(words):
    expected = [FORMS[form(word)] for word in words]
    assert Capitals()(words).numpy().tolist() == expected


def test_examples():
    words = ["paris", "1997", "Paris", "I", "'Tis", "NASA", "B-52S", "U.S.", "iPhone", "McDonald"]
    forms = [
        "lower",
        "lower",
        "initial",
        "initial",
        "initial",
        "upper",
        "upper",
        "upper",
        "mixed",
        "mixed",
    ]
    assert Capitals()(words).numpy().tolist() == [FORMS[name] for name in forms]


def test_shapes():
    layer = Capitals()
    assert layer(tf.constant("Ada")).numpy() == FORMS["initial"]
    assert layer(tf.zeros([0, 4], tf.string)).shape == (0, 4)
    ragged = layer(tf.ragged.constant([["Ada", "x"], []], tf.string))
    assert ragged.to_list() == [[2, 1], []]
    assert layer(["a"]).dtype == tf.int32


def test_numbers_are_refused():
    with pytest.raises(ValueError, match="must hold strings"):
        Capitals()([1, 2])
