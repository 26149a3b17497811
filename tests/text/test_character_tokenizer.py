"""Characters and where they stand, against Python's own view of the string."""

import keras
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.text import CharacterTokenizer


def split(texts):
    output = CharacterTokenizer()(tf.constant(texts, tf.string))
    columns = [output[name].to_list() for name in ("tokens", "starts", "ends")]
    return [
        [(token.decode(), int(start), int(end)) for token, start, end in zip(*row, strict=True)]
        for row in zip(*columns, strict=True)
    ]


def expected(text: str) -> list[tuple[str, int, int]]:
    """The same in plain Python, for texts whose only white space is spaces and line breaks."""
    found = []
    inside = text.replace("\n", " ").rstrip(" ")
    for place, character in enumerate(inside):
        if character == " " and (place == 0 or inside[place - 1] == " "):
            continue
        found.append((character, place, place + 1))
    return found


TEXTS = ["né à", "", " a  b ", "\n\na\n", "漢字 😀👍🏽", "   ", "e\u0301", "x"]


def test_against_python():
    assert split(TEXTS) == [expected(text) for text in TEXTS]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab é漢😀 \n"), max_size=8), max_size=5))
def test_any_texts(texts):
    assert split(texts) == [expected(text) for text in texts]


def test_all_white_space_is_a_space():
    assert [t for t, *_ in split(["a\u00a0b\u3000c\td\x00e"])[0]] == list("a b c d e")


def test_bytes_that_are_no_text():
    (row,) = split([b"a\xffb"])
    assert [token for token, *_ in row] == ["a", "\ufffd", "b"]


def test_other_input_is_refused():
    with pytest.raises(ValueError, match=r"must have shape \(batch,\)"):
        CharacterTokenizer()("text")
    with pytest.raises(ValueError, match=r"must hold strings"):
        CharacterTokenizer()([1, 2])


def test_configuration():
    layer = CharacterTokenizer(name="letters")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(copy, CharacterTokenizer) and copy.name == "letters"
