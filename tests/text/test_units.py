"""Words, characters and bytes: to ids, and back to texts."""

import pytest
import tensorflow as tf

from kerasrnn.text import TextUnits
from kerasrnn.text.units import plain_texts

TEXTS = ["To be, or not to be.\n", "", "naïve 😀 (really?)\n\nYes!", "   \t"]


@pytest.mark.parametrize("level", ["characters", "bytes"])
def test_characters_and_bytes_come_back_as_they_were(level):
    units = TextUnits.from_texts(TEXTS, level)
    ids = units(TEXTS)
    assert [t.decode() for t in units.join(ids).numpy()] == TEXTS
    assert [t.decode() for t in units.join(ids.to_tensor()).numpy()] == TEXTS
    counts = [len(t) if level == "characters" else len(t.encode()) for t in TEXTS]
    assert ids.row_lengths().numpy().tolist() == counts
    strings = units.strings(ids).to_list()
    assert [b"".join(row).decode() for row in strings] == TEXTS


def test_bytes_are_numbered_by_their_value():
    units = TextUnits(level="bytes")
    assert units.size == 258
    assert units.terms is None
    assert units(["aé"]).to_list() == [[2 + b for b in "aé".encode()]]
    # A text that stops within a character.
    assert units.join([[2 + 0xC3]]).numpy()[0].decode() == "\ufffd"


def test_what_is_not_utf8_is_one_unknown_character():
    units = TextUnits("ab")
    assert units([b"a\xffb"]).to_list() == [[2, 1, 3]]
    assert units(["aXb"]).to_list() == [[2, 1, 3]]


def test_words_keep_the_ends_of_lines():
    units = TextUnits.from_texts(TEXTS, "words")
    assert units.split(["a b\nc\n\n", "\n", "", "d"]).to_list() == [
        [b"a", b"b", b"\n", b"c", b"\n", b"\n"],
        [b"\n"],
        [],
        [b"d"],
    ]
    assert "\n" in units.terms


@pytest.mark.parametrize(
    "text",
    [
        "I grew up in France, therefore I speak French.",
        "He said: yes (or no)!\n\nDon't you? It's Anna's [book] for $3.5…",
        "«Oui» and “no”; 50% of ‘it’.",
    ],
)
def test_words_come_back_with_their_spaces(text):
    units = TextUnits.from_texts([text], "words")
    assert units.join(units([text])).numpy()[0].decode() == text


@pytest.mark.parametrize(
    ("before", "rest"),
    [
        ("I speak", " French"),
        ("I speak ", "French"),
        ("", "French"),
        ("a\n", "French"),
        ("(", "French"),
    ],
)
def test_a_continuation_begins_with_a_space_where_words_meet(before, rest):
    units = TextUnits(["French", ","], "words")
    ids = tf.constant([[2]])
    assert units.join(ids, after=tf.constant([before])).numpy()[0].decode() == rest
    assert units.join([[3]], after=tf.constant([before])).numpy()[0] == b","


def test_words_in_small_letters():
    units = TextUnits.from_texts(["The the THE cat"], "words", lowercase=True)
    assert units.terms == ("the", "cat")
    assert units(["The CAT dog"]).to_list() == [[2, 3, 1]]


def test_the_most_frequent_terms_are_known():
    assert TextUnits.from_texts(["c b b a a a"], "words", max_terms=2).terms == ("a", "b")
    assert TextUnits.from_texts(["cbbaaa"], max_terms=2).terms == ("a", "b")
    assert TextUnits.from_texts(["cbbaaa"], min_count=2).terms == ("a", "b")


def test_inside_a_graph_and_after_a_round_trip():
    for level in ("words", "characters", "bytes"):
        units = TextUnits.from_texts(TEXTS, level)
        again = TextUnits.from_config(units.get_config())
        assert again.get_config() == units.get_config()
        function = tf.function(
            lambda texts, units=again: units.join(units(texts)),
            input_signature=[tf.TensorSpec((None,), tf.string)],
            autograph=False,
        )
        expected = units.join(units(TEXTS)).numpy().tolist()
        assert function(tf.constant(TEXTS)).numpy().tolist() == expected
        assert function(tf.constant([], tf.string)).numpy().tolist() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"terms": ["a"], "level": "letters"}, "Expected one of words, characters, bytes"),
        ({"terms": ["ab"]}, "single characters"),
        ({"terms": None}, "`terms` must hold the known characters"),
        ({"terms": ["a"], "level": "bytes"}, "be None for bytes"),
        ({"terms": ["a"], "lowercase": True}, "for words alone"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextUnits(**arguments)


def test_texts_must_be_a_vector():
    with pytest.raises(ValueError, match=r"shape \(batch,\)"):
        TextUnits("ab")([["a"]])


def test_lone_surrogates_are_replaced():
    assert plain_texts(["a\ud800b", b"\xff", "😀"]) == ["a\ufffdb", "\ufffd", "😀"]
