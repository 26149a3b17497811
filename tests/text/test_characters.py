import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.text import CharacterIds

LETTERS = "abcdé你👍\\\n"


def spell(word: str, characters: str, max_length: int) -> list[int]:
    """The documented layout, written for one word."""
    if len(word) > max_length:
        tail = max_length // 2
        word = word[: max_length - tail] + word[len(word) - tail :]
    ids = [2 + characters.index(c) if c in characters else 1 for c in word]
    return ids + [0] * (max_length - len(ids))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.text(st.sampled_from(LETTERS + "xyz é"), max_size=12), max_size=4)),
    st.integers(1, 7),
)
def test_ids_have_the_documented_layout(rows, max_length):
    layer = CharacterIds(LETTERS, max_length=max_length)
    ragged = layer(tf.ragged.constant(rows, tf.string, ragged_rank=1))
    expected = [[spell(word, LETTERS, max_length) for word in row] for row in rows]
    assert ragged.to_list() == expected

    time_steps = max(map(len, rows), default=0)
    padded = [row + [""] * (time_steps - len(row)) for row in rows]
    dense = layer(tf.reshape(tf.constant(padded, tf.string), [len(rows), time_steps]))
    assert dense.dtype == tf.int32 and dense.shape == (len(rows), time_steps, max_length)
    for row, words in enumerate(padded):
        for step, word in enumerate(words):
            assert dense[row, step].numpy().tolist() == spell(word, LETTERS, max_length)


def test_long_words_keep_their_first_and_last_characters():
    layer = CharacterIds("abcdefgh", max_length=5)
    assert layer(["abcdefgh"]).numpy().tolist() == [[2, 3, 4, 8, 9]]


def test_ranks_and_unknown_dimensions():
    layer = CharacterIds("ab", max_length=3)
    assert layer(tf.constant("ab")).numpy().tolist() == [2, 3, 0]
    assert layer(tf.zeros([0, 4], tf.string)).shape == (0, 4, 3)
    assert layer(tf.zeros([2, 0], tf.string)).shape == (2, 0, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string)])
    def function(tokens):
        ids = layer(tokens)
        assert ids.shape.as_list() == [None, None, 3]
        return ids

    np.testing.assert_array_equal(function([["b", ""]]), [[[3, 0, 0], [0, 0, 0]]])
    ids = layer(keras.Input([None], dtype="string"))
    assert ids.shape == (None, None, 3) and ids.dtype == "int32"


def test_ten_thousand_tokens_and_a_word_of_a_million_characters():
    layer = CharacterIds("abcdefghijklmnopqrstuvwxyz")
    begin = time.perf_counter()
    assert layer(tf.fill([1, 10_000], "recurrent")).shape == (1, 10_000, 20)
    ids = layer(tf.constant(["a" * 999_999 + "b"]))
    assert time.perf_counter() - begin < 3.0
    assert ids.numpy().tolist() == [[2] * 19 + [3]]


def test_from_counts_takes_characters_in_code_order():
    assert CharacterIds.from_counts(["bad", "ab", "é"]).characters == "abdé"
    layer = CharacterIds.from_counts({"bad": 3, "x": 2}, min_count=3, max_length=2)
    assert layer.characters == "abd" and layer.max_length == 2 and layer.size == 5


def test_files_and_configuration_round_trip(tmp_path):
    layer = CharacterIds(LETTERS, max_length=7, name="letters")
    layer.save(tmp_path / "characters.txt")
    assert CharacterIds.load(tmp_path / "characters.txt", max_length=7).characters == LETTERS
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert restored.get_config() == layer.get_config()
    np.testing.assert_array_equal(restored(["bad👍"]), layer(["bad👍"]))


def test_without_characters_all_are_unknown():
    assert CharacterIds("", max_length=3)(["ab", ""]).numpy().tolist() == [[1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: CharacterIds("aba"), ValueError, "'a' at positions 0 and 2"),
        (lambda: CharacterIds(["ab"]), ValueError, "single characters. Received 'ab' of length 2"),
        (lambda: CharacterIds(["a", 1]), TypeError, r"Received 1 \(int\) at position 1"),
        (lambda: CharacterIds("a", max_length=0), ValueError, "'max_length'.*Received 0"),
        (lambda: CharacterIds("a", max_length=2.0), ValueError, "'max_length'.*Received 2.0"),
        (lambda: CharacterIds.from_counts([], min_count=0), ValueError, "'min_count'.*Received 0"),
        (lambda: CharacterIds("a")([[1]]), ValueError, "'tokens' must hold strings"),
    ],
)
def test_bad_input_is_named(make, error, match):
    with pytest.raises(error, match=match):
        make()
