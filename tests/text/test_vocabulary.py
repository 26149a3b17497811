import os
from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.text import CharacterIds, TagInventory, TextUnits, Vocabulary

WORDS = ["the", "tea", "été", "你"]


def test_ids_are_padding_unknown_then_the_terms():
    vocabulary = Vocabulary(WORDS)
    ids = vocabulary(tf.constant([["the", "", "The"], ["été", "你", "tea"]]))
    assert ids.dtype == tf.int32
    np.testing.assert_array_equal(ids, [[2, 0, 1], [4, 5, 3]])
    assert vocabulary.size == 6 and vocabulary.terms == tuple(WORDS)


def test_shapes_are_kept():
    vocabulary = Vocabulary(WORDS)
    assert vocabulary(tf.constant("tea")).numpy() == 3
    assert vocabulary(tf.zeros([0], tf.string)).shape == (0,)
    assert vocabulary(tf.zeros([2, 0, 3], tf.string)).shape == (2, 0, 3)
    ragged = vocabulary(tf.ragged.constant([["tea", "x"], [], ["the"]]))
    assert ragged.to_list() == [[3, 1], [], [2]]
    assert vocabulary([["tea"], []]).to_list() == [[3], []]
    assert vocabulary(np.array(["tea", "x"])).numpy().tolist() == [3, 1]
    assert vocabulary(np.array(["tea", "x"], object)).numpy().tolist() == [3, 1]


def test_only_unknown_words_are_all_one():
    np.testing.assert_array_equal(Vocabulary(WORDS)([["x", "y"], ["z", " "]]), [[1, 1], [1, 1]])


def test_an_empty_vocabulary_knows_padding():
    assert Vocabulary([])(["a", ""]).numpy().tolist() == [1, 0]


def test_lowercase_and_digits_follow_unicode():
    vocabulary = Vocabulary(["été", "0000", "a0"], lowercase=True, normalize_digits=True)
    ids = vocabulary(["ÉTÉ", "1987", "٣٤٥٦", "A7", "12"])
    assert ids.numpy().tolist() == [2, 3, 3, 4, 1]


def test_lookup_is_the_inverse():
    vocabulary = Vocabulary(WORDS)
    texts = vocabulary.lookup(tf.range(vocabulary.size)).numpy()
    assert [t.decode() for t in texts] == ["", "[UNK]", *WORDS]
    assert vocabulary.lookup([1], unknown="?").numpy().tolist() == [b"?"]
    ragged = tf.ragged.constant([[3], []], dtype=tf.int64)
    assert vocabulary.lookup(ragged).to_list() == [[b"tea"], []]
    for outside in (6, -1):
        with pytest.raises(tf.errors.InvalidArgumentError):
            vocabulary.lookup([outside])


def test_from_counts_ranks_by_frequency_then_code():
    counts = Counter({"b": 2, "a": 2, "c": 5, "rare": 1, "": 9})
    assert Vocabulary.from_counts(counts).terms == ("c", "a", "b", "rare")
    assert Vocabulary.from_counts(counts, min_count=2).terms == ("c", "a", "b")
    limited = Vocabulary.from_counts(counts, max_size=4)
    assert limited.terms == ("c", "a") and limited.size == 4
    assert Vocabulary.from_counts(["x", "y", "y"]).terms == ("y", "x")
    assert Vocabulary.from_counts([]).terms == ()
    merged = Vocabulary.from_counts(
        {"Tea": 1, "tea": 1, "b1": 1, "b2": 2}, min_count=2, lowercase=True, normalize_digits=True
    )
    assert merged.terms == ("b0", "tea")
    assert merged(["TEA", "B9"]).numpy().tolist() == [3, 2]


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: Vocabulary(["a", "b", "a"]), ValueError, "'a' at positions 0 and 2"),
        (lambda: Vocabulary(["a", ""]), ValueError, "empty string at position 1"),
        (lambda: Vocabulary(["a", b"b"]), TypeError, r"Received b'b' \(bytes\) at position 1"),
        (lambda: Vocabulary("tea"), TypeError, "Received one string, 'tea'"),
        (lambda: Vocabulary(["\ud800"]), ValueError, "no UTF-8 form"),
        (lambda: Vocabulary(["The"], lowercase=True), ValueError, "'The'.*expected 'the'"),
        (lambda: Vocabulary(["1"], normalize_digits=True), ValueError, "'1'.*expected '0'"),
        (lambda: Vocabulary.from_counts([], min_count=0), ValueError, "'min_count'.*Received 0"),
        (lambda: Vocabulary.from_counts([], max_size=1), ValueError, "'max_size'.*Received 1"),
        (lambda: Vocabulary(["a"])([1, 2]), ValueError, "'strings' must hold strings"),
        (lambda: Vocabulary(["a"])(["ab", ["c"]]), ValueError, "'strings' must hold strings"),
        (lambda: Vocabulary(["a"])(tf.zeros([2])), ValueError, "Received dtype float32"),
    ],
)
def test_bad_input_is_named(make, error, match):
    with pytest.raises(error, match=match):
        make()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("a\\nr\n\r\t \x00\x85\u2028é😀"), min_size=1), unique=True))
def test_a_saved_file_gives_the_same_terms(tmp_path_factory, terms):
    path = tmp_path_factory.mktemp("terms") / "words.txt"
    Vocabulary(terms).save(path)
    assert path.read_bytes().count(b"\n") == len(terms)
    assert Vocabulary.load(path).terms == tuple(terms)
    assert [p.name for p in path.parent.iterdir()] == ["words.txt"]


def test_windows_lines_and_a_missing_last_line_end_are_read(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"tea\r\ncup")
    vocabulary = Vocabulary.load(path, lowercase=True, name="words")
    assert vocabulary.terms == ("tea", "cup")
    assert vocabulary.lowercase and vocabulary.name == "words"


@pytest.mark.parametrize(
    "content, match",
    [
        (b"a\n\nb\n", "words.txt, line 2: expected a term, got an empty line"),
        (
            b"a\nb\na\n",
            "words.txt, line 3: expected distinct terms, got 'a' again",
        ),
        (b"a\n\xff\n", "words.txt, line 2: expected UTF-8"),
        (b"a\\x\n", "words.txt, line 1: expected a backslash to be followed by one of"),
        (b"a\\", "words.txt, line 1: expected a backslash"),
    ],
)
@pytest.mark.parametrize("kind", [Vocabulary, CharacterIds, TagInventory])
def test_a_bad_file_is_named_with_its_line(tmp_path, kind, content, match):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match):
        kind.load(path)


def test_configuration_round_trip():
    layer = Vocabulary(["été", "a0"], lowercase=True, normalize_digits=True, name="words")
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert restored.get_config() == layer.get_config()
    assert restored.name == "words"
    assert restored(["ÉTÉ", "a5", "x"]).numpy().tolist() == [2, 3, 1]


def test_it_works_in_a_dataset_map_and_in_a_functional_model():
    dataset = tf.data.Dataset.from_tensor_slices([["tea", "x"], ["", "the"]])

    def ids_by_a_layer_made_inside_the_map(row):
        return Vocabulary(WORDS, lowercase=True)(row)

    expected = [[3, 1], [0, 2]]
    assert [row.numpy().tolist() for row in dataset.map(Vocabulary(WORDS))] == expected
    inside = dataset.map(ids_by_a_layer_made_inside_the_map)
    assert [row.numpy().tolist() for row in inside] == expected

    inputs = keras.Input([None], dtype="string")
    ids = Vocabulary(WORDS)(inputs)
    assert ids.dtype == "int32" and ids.shape == (None, None)
    outputs = keras.layers.Embedding(6, 4)(ids)
    assert keras.Model(inputs, outputs)(tf.constant([["tea", "x", ""]])).shape == (1, 3, 4)


# === What is none ===


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        (None, TypeError, "'counts' must hold strings, or map them"),
        (np.int64(3), TypeError, "'counts' must hold strings, or map them"),
        ([["a"]], TypeError, "'counts' must hold strings, or map them"),
        (["a", None], TypeError, "'counts' must hold str. Received None"),
        ([np.float32(1)], TypeError, "'counts' must hold str. Received np.float32"),
        ({"a": None}, TypeError, "'counts' must map strings to numbers. Received None for 'a'"),
        (["a", "\ud800"], ValueError, "'counts' must hold valid Unicode"),
        ([b"\xff"], ValueError, "'counts' must hold valid Unicode"),
    ],
)
def test_counts_of_what_is_no_string_are_refused_by_name(counts, error, message):
    for make in (Vocabulary.from_counts, CharacterIds.from_counts):
        with pytest.raises(error, match=f"Argument {message}"):
            make(counts)


def test_counts_may_be_numbers_of_numpy():
    counts = {"a": np.int64(2), np.str_("b"): np.float32(3), b"c": 1}
    assert Vocabulary.from_counts(counts, min_count=np.int64(2)).terms == ("b", "a")
    assert Vocabulary.from_counts(counts, max_size=np.int8(3)).terms == ("b",)


@pytest.mark.parametrize("wrong", [None, "2", 2.5, np.float32(2)])
def test_a_count_that_is_no_whole_number_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=r"Argument 'min_count' must be a whole number. Rec"):
        Vocabulary.from_counts(["a"], min_count=wrong)
    with pytest.raises(ValueError, match=r"Argument 'min_count' must be a whole number. Rec"):
        TextUnits.from_texts(["a"], min_count=wrong)
    if wrong is not None:
        with pytest.raises(ValueError, match=r"Argument 'max_size' must be a whole number. Rec"):
            Vocabulary.from_counts(["a"], max_size=wrong)


@pytest.mark.parametrize("ids", [None, ["a"], [2.0], np.float32(2), np.array([2.0]), [2, None]])
def test_ids_that_are_no_integers_are_refused_by_name(ids):
    with pytest.raises(ValueError, match="Argument 'ids' must hold integers"):
        Vocabulary(["a"]).lookup(ids)
    with pytest.raises(ValueError, match="Argument 'ids' must hold integers"):
        TagInventory(["O"], "none")(ids)


def test_ids_may_be_ragged_and_of_numpy():
    vocabulary = Vocabulary(["a"])
    assert vocabulary.lookup([[2], [1, 0]]).to_list() == [[b"a"], [b"[UNK]", b""]]
    assert vocabulary.lookup(np.array([2, 0], np.uint8)).numpy().tolist() == [b"a", b""]
    assert vocabulary.lookup(np.int64(2)).numpy() == b"a"


@pytest.mark.parametrize("texts", ["abc", None, 3, ["a", None], [b"a"], ["\ud800"]])
def test_texts_that_are_none_are_refused_by_name(texts):
    for level in ("words", "characters"):
        with pytest.raises((TypeError, ValueError), match="Argument 'texts' must"):
            TextUnits.from_texts(texts, level)


@pytest.mark.parametrize("tags", [None, 3, [None], [3], [["O", None]], ["O", b"x"], [["\ud800"]]])
def test_tags_that_are_none_are_refused_by_name(tags):
    with pytest.raises((TypeError, ValueError), match="Argument 'tags' must hold"):
        TagInventory.from_tags(tags, "none")


def test_a_pipe_is_no_list_of_terms(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="expected a file, got a folder, a pipe or a device"):
            Vocabulary.load(path)
