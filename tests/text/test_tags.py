import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.text import TagInventory

BIO = ["O", "B-X", "I-X", "B-Y", "I-Y"]
BIOES = ["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"]
# A legal sequence of each scheme, its tags joined by spaces.
GRAMMAR = {
    "BIO": r"(O |B-X (I-X )*|B-Y (I-Y )*)*",
    "BIOES": r"(O |S-X |S-Y |B-X (I-X )*E-X |B-Y (I-Y )*E-Y )*",
    "IO": r"(O |I-X |I-Y )*",
    "none": r".*",
}


@pytest.mark.parametrize(
    "scheme, tags",
    [("BIO", BIO), ("BIOES", BIOES), ("IO", ["O", "I-X", "I-Y"]), ("none", ["DET", "NOUN", "X"])],
)
def test_the_tables_accept_exactly_the_grammar(scheme, tags):
    inventory = TagInventory(tags, scheme=scheme)
    transitions = inventory.allowed_transitions()
    starts, ends = inventory.allowed_starts(), inventory.allowed_ends()
    assert transitions.shape == (len(tags), len(tags))
    assert transitions.dtype == starts.dtype == ends.dtype == bool
    for length in (1, 2, 3, 4):
        for ids in itertools.product(range(inventory.size), repeat=length):
            accepted = starts[ids[0]] and ends[ids[-1]]
            accepted = accepted and all(transitions[i, j] for i, j in itertools.pairwise(ids))
            sequence = "".join(inventory.tags[i] + " " for i in ids)
            assert accepted == bool(re.fullmatch(GRAMMAR[scheme], sequence)), sequence


def test_an_inventory_without_outside_has_starts_and_ends():
    inventory = TagInventory(["B-X", "I-X", "E-X", "S-X"], scheme="BIOES")
    by_tag = dict(zip(inventory.tags, inventory.allowed_starts(), strict=True))
    assert by_tag == {"B-X": True, "I-X": False, "E-X": False, "S-X": True}


@pytest.mark.parametrize("order", list(itertools.permutations(["O", "B-Y", "I-Y", "B-X"])))
def test_ids_do_not_depend_on_the_order_given(order):
    assert TagInventory(order).tags == ("O", "B-X", "B-Y", "I-Y")
    assert TagInventory(set(order)).tags == ("O", "B-X", "B-Y", "I-Y")


def test_ids_and_back():
    inventory = TagInventory(BIO)
    ids = inventory.ids([["O", "I-Y"], ["B-X", "B-Y"]])
    assert ids.dtype == tf.int32
    np.testing.assert_array_equal(ids, [[0, 4], [1, 2]])
    assert inventory(ids).numpy().tolist() == [[b"O", b"I-Y"], [b"B-X", b"B-Y"]]
    ragged = inventory.ids(tf.ragged.constant([["O"], [], ["B-X", "I-X"]]))
    assert ragged.to_list() == [[0], [], [1, 3]]
    assert inventory(ragged).to_list() == [[b"O"], [], [b"B-X", b"I-X"]]
    assert inventory.ids([["O"], ["B-X", "I-X"]]).to_list() == [[0], [1, 3]]
    assert inventory.ids(tf.zeros([0, 3], tf.string)).shape == (0, 3)
    assert inventory([-1, 0]).numpy().tolist() == [b"", b"O"]
    assert inventory(tf.constant([[-100, 4]], tf.int64)).numpy().tolist() == [[b"", b"I-Y"]]
    with pytest.raises(tf.errors.InvalidArgumentError):
        inventory([5])


def test_padding_gets_the_id_asked_for():
    inventory = TagInventory(BIO)
    assert inventory.ids([["B-X", ""]], padding_id=0).numpy().tolist() == [[1, 0]]
    assert inventory.ids([["B-X", ""]], padding_id=-1).numpy().tolist() == [[1, -1]]
    with pytest.raises(ValueError, match="Unseen tag ''"):
        inventory.ids([["B-X", ""]])
    with pytest.raises(ValueError, match="Unseen tag 'B-Z'"):
        inventory.ids([["B-Z", ""]], padding_id=0)


def test_an_unseen_tag_is_named_with_the_nearest():
    inventory = TagInventory(["O", "B-person", "I-person", "B-place"])
    with pytest.raises(ValueError, match=r"Unseen tag 'B-persn'.*4 tags: O, .*nearest: B-person, "):
        inventory.ids(["O", "B-persn"])
    dataset = tf.data.Dataset.from_tensor_slices([["O", "B-persn"]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Unseen tag(.|\n)*B-persn"):
        list(dataset.map(inventory.ids))
    legal = tf.data.Dataset.from_tensor_slices([["O", "B-place"]]).map(inventory.ids)
    assert next(iter(legal)).numpy().tolist() == [0, 2]


def test_from_tags_and_labels():
    inventory = TagInventory.from_tags([["O", "B-a-b", "I-a-b"], ["O", "B-c"]])
    assert inventory.tags == ("O", "B-a-b", "B-c", "I-a-b")
    assert inventory.labels == ("a-b", "c")
    speech = TagInventory.from_tags(["NOUN", "O-X", "NOUN", "DET"], scheme="none")
    assert speech.tags == speech.labels == ("DET", "NOUN", "O-X")


def test_files_and_configuration_round_trip(tmp_path):
    layer = TagInventory(BIOES, scheme="BIOES", name="tags")
    layer.save(tmp_path / "tags.txt")
    assert (tmp_path / "tags.txt").read_text().splitlines() == list(layer.tags)
    assert TagInventory.load(tmp_path / "tags.txt", scheme="BIOES").tags == layer.tags
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert restored.get_config() == layer.get_config()
    assert restored.ids(["E-Y"]).numpy() == layer.ids(["E-Y"]).numpy()


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: TagInventory(BIO, scheme="IOB"), ValueError, "Unknown scheme 'IOB'.*BIO, BIOES"),
        (lambda: TagInventory([]), ValueError, "at least one tag"),
        (lambda: TagInventory("BIO"), TypeError, "one string"),
        (lambda: TagInventory(["O", "O"]), ValueError, "'O' at positions 0 and 1"),
        (
            lambda: TagInventory(["O", "NOUN"]),
            ValueError,
            "'NOUN', which is not a tag of",
        ),
        (lambda: TagInventory(["O", "B-"]), ValueError, "'B-', which is not a tag"),
        (lambda: TagInventory(["O", "BI-X"]), ValueError, "'BI-X', which is not a tag"),
        (lambda: TagInventory(["-X"]), ValueError, "'-X', which is not a tag"),
        (lambda: TagInventory(["O", "S-X"]), ValueError, "'S-X', which is not a tag of scheme BIO"),
        (lambda: TagInventory(["O", "I-X"]), ValueError, "'I-X' but not 'B-X'"),
        (lambda: TagInventory(["O", "B-X"], "BIOES"), ValueError, "'B-X' but not 'E-X'"),
        (lambda: TagInventory(["O", "E-X"], "BIOES"), ValueError, "'E-X' but not 'B-X'"),
        (lambda: TagInventory(["O", "B-X"], "IO"), ValueError, "'B-X', which is not a tag"),
        (lambda: TagInventory(BIO).ids([1]), ValueError, "'tags' must hold strings"),
    ],
)
def test_bad_input_is_named(make, error, match):
    with pytest.raises(error, match=match):
        make()
