import re

import keras
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.text import SubwordIds

SPLITS = ["a", "ab", "abc", "b", "##a", "##bc", "##b", "##é", "é", "-", "."]


def split(word: str, subwords: list[str], most: int) -> list[int]:
    """The documented rule, written for one word."""
    word, ids, at = word.lower(), [], 0
    while at < len(word) and len(ids) < most:
        sign = re.compile(r"[-.!$]")
        anew = at == 0 or sign.match(word[at]) or sign.match(word[at - 1])
        mark = "" if anew else "##"
        known = [end for end in range(at + 1, len(word) + 1) if mark + word[at:end] in subwords]
        ids.append(2 + subwords.index(mark + word[at : max(known)]) if known else 1)
        at = max(known, default=at + 1)
    return ids + [0] * (most - len(ids))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("aAbcé-.!你"), max_size=9), max_size=5), st.integers(1, 6))
def test_words_are_cut_into_the_longest_subwords(words, most):
    layer = SubwordIds(SPLITS, max_subwords=most)
    expected = [split(word, SPLITS, most) for word in words]
    ids = layer(tf.constant(words, tf.string))
    assert ids.dtype == tf.int32
    assert ids.numpy().tolist() == expected


def test_shapes():
    layer = SubwordIds(SPLITS, max_subwords=2)
    assert layer(tf.constant("ab")).numpy().tolist() == [3, 0]
    assert layer(tf.zeros([0, 4], tf.string)).shape == (0, 4, 2)
    assert layer(tf.ragged.constant([["a", "b"], []], tf.string)).to_list() == [
        [[2, 0], [5, 0]],
        [],
    ]
    assert layer.size == len(SPLITS) + 2

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string)])
    def function(tokens):
        ids = layer(tokens)
        assert ids.shape.as_list() == [None, None, 2]
        return ids

    assert function([["aba", ""]]).numpy().tolist() == [[[3, 6], [0, 0]]]


def test_it_is_that_of_the_library_for_plain_words():
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = ["[UNK]", "play", "##ing", "##s", "pl", "##ay", "the", "u", ".", "s", "##e"]
    model = tokenizers.models.WordPiece(
        {subword: number for number, subword in enumerate(vocabulary)}, unk_token="[UNK]"
    )
    theirs = tokenizers.Tokenizer(model)
    theirs.normalizer = tokenizers.normalizers.BertNormalizer()
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    layer = SubwordIds(vocabulary[1:])
    for word in ["Playing", "plays", "thes", "U.S.", "these", "playings"]:
        ids = [vocabulary.index(subword) + 1 for subword in theirs.encode(word).tokens]
        assert layer([word]).numpy()[0, : len(ids)].tolist() == ids
        assert not layer([word]).numpy()[0, len(ids) :].any()


def test_it_is_stored_and_made_again():
    layer = SubwordIds(SPLITS, max_subwords=3, name="split")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again(["abca"]).numpy().tolist() == layer(["abca"]).numpy().tolist()


@pytest.mark.parametrize(
    ("subwords", "most", "message"),
    [
        (["a"], 0, "'max_subwords' must be an integer of at least 1. Received 0"),
        ([], 2, "at least one subword"),
        (["a", "##"], 2, "nothing behind it"),
        (["a", "a"], 2, "distinct strings"),
    ],
)
def test_bad_arguments_are_named(subwords, most, message):
    with pytest.raises(ValueError, match=message):
        SubwordIds(subwords, max_subwords=most)
