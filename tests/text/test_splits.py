"""Texts to tokens and back."""

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.text import CharacterSplit, WordSplit
from kerasrnn.text.splits import JOINER

TEXTS = [
    "Va !",
    "Marche.",
    "I don't know, Ada; do you?",
    "« Où est-il ? »",
    "3.5 % of 1,000",
    "日本語のテキスト。",
    "He said (quietly): no...",
    "👍🏽 ok",
    "",
]


def strings(values) -> list:
    return [value.decode() for value in np.asarray(values).tolist()]


@pytest.mark.parametrize("layer", [CharacterSplit(), WordSplit()])
def test_joining_gives_the_text_again(layer):
    assert strings(layer.join(layer(TEXTS))) == TEXTS


@pytest.mark.parametrize("layer", [CharacterSplit(), WordSplit()])
def test_padding_joins_to_nothing(layer):
    tokens = layer(TEXTS)
    padded = tf.pad(tokens.to_tensor(), [[0, 0], [0, 3]])
    assert strings(layer.join(padded)) == TEXTS


@pytest.mark.parametrize("layer", [CharacterSplit(), WordSplit()])
def test_a_text_is_split_as_it_is_alone(layer):
    together = layer(TEXTS).to_list()
    for text, tokens in zip(TEXTS, together, strict=True):
        assert layer([text]).to_list() == [tokens]


def test_characters_are_code_points():
    tokens = CharacterSplit()(["añ日😀", b"a\xffb"]).to_list()
    assert [[token.decode() for token in row] for row in tokens] == [
        list("añ日😀"),
        ["a", "\ufffd", "b"],
    ]


def test_words_say_whether_a_space_stood_before_them():
    tokens = WordSplit()(["It's (so) odd!", "x", ", y"]).to_list()
    assert [[token.decode() for token in row] for row in tokens] == [
        ["It", f"{JOINER}'s", "(", f"{JOINER}so", f"{JOINER})", "odd", f"{JOINER}!"],
        ["x"],
        [",", "y"],
    ]


def test_white_space_becomes_one_space():
    layer = WordSplit()
    assert strings(layer.join(layer(["  a \t b\n"]))) == ["a b"]


def test_a_glued_word_at_the_start_is_written_as_it_is():
    assert strings(WordSplit().join([[f"{JOINER}.", "a"]])) == [". a"]


def test_any_text_comes_back(rng):
    """Texts of random characters, of all kinds that the tokeniser knows."""
    alphabet = [*"aZé9.,'’-/:@#!?()&_ \t\u00a0\u200d日カ한ا̈😀🇫🇷🏽\ufffd\x02"]
    texts = ["".join(rng.choice(alphabet, rng.integers(0, 14))) for _ in range(300)]
    characters, words = CharacterSplit(), WordSplit()
    assert strings(characters.join(characters(texts))) == texts
    once = strings(words.join(words(texts)))
    # Nothing is lost but white space, and nothing more at the second time.
    assert strings(words.join(words(once))) == once
    tokens = [words.tokenizer(part)["tokens"].to_list() for part in (texts, once)]
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("layer", [CharacterSplit(), WordSplit()])
def test_they_run_in_a_graph(layer):
    function = tf.function(
        lambda text: layer.join(layer(text)),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    assert strings(function(tf.constant(TEXTS))) == TEXTS
    assert strings(function(tf.constant([], tf.string))) == []


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"'text' must have shape \(batch,\)"):
        CharacterSplit()([["a"], ["b"]])
    with pytest.raises(ValueError, match=r"'text' must hold strings"):
        WordSplit()([1, 2])
    with pytest.raises(ValueError, match=r"'tokens' must hold strings"):
        WordSplit().join([[1]])
