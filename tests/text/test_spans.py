import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.text import Entity, entities_from_tags, spans

TAGS = ["O", "", *(f"{prefix}-{label}" for prefix in "BIES" for label in ("X", "Y-Z"))]


def slow_spans(tags):
    """Every stretch whose inner joints all hold and whose edges do not."""

    def joined(position):  # to the tag before
        if position in (0, len(tags)):
            return False
        before, after = tags[position - 1], tags[position]
        same_label = before[2:] == after[2:] and len(before) > 2
        return same_label and after[0] in "IE" and before[0] in "BI"

    return [
        (tags[first][2:], first, last)
        for first, last in itertools.combinations(range(len(tags) + 1), 2)
        if all(len(tag) > 2 for tag in tags[first:last])
        and not joined(first)
        and not joined(last)
        and all(joined(position) for position in range(first + 1, last))
    ]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(TAGS), max_size=12))
def test_any_sequence_is_read_as_by_the_definition(tags):
    assert spans(tags) == slow_spans(tags)
    assert spans([tag.encode() for tag in tags]) == slow_spans(tags)


@pytest.mark.parametrize(
    "tags, expected",
    [
        ("", []),
        ("O O", []),
        ("B-X I-X O B-X", [("X", 0, 2), ("X", 3, 4)]),
        ("B-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("I-X I-X O I-Y", [("X", 0, 2), ("Y", 3, 4)]),
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("B-X E-X S-X I-X", [("X", 0, 2), ("X", 2, 3), ("X", 3, 4)]),
        ("E-X E-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-a-b I-a-b", [("a-b", 0, 2)]),
    ],
)
def test_examples(tags, expected):
    assert spans(tags.split()) == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("OXY"), st.integers(1, 4)), max_size=6), st.data())
def test_legal_sequences_of_both_schemes_give_back_their_spans(pieces, data):
    expected, bio, bioes = [], [], []
    for label, length in pieces:
        if label == "O":
            bio += ["O"] * length
            bioes += ["O"] * length
            continue
        expected.append((label, len(bio), len(bio) + length))
        bio += [f"B-{label}", *[f"I-{label}"] * (length - 1)]
        inner = [f"B-{label}", *[f"I-{label}"] * (length - 2), f"E-{label}"]
        bioes += [f"S-{label}"] if length == 1 else inner
    assert spans(bio) == spans(bioes) == expected


@pytest.mark.parametrize("tag", ["NOUN", "X-PER", "B-", "b-X", "OO", "BI-X"])
def test_another_form_of_tag_is_named(tag):
    with pytest.raises(ValueError, match=f"'{tag}' at position 1. Expected 'O'"):
        spans(["O", tag])


def test_entities_have_text_label_and_character_offsets():
    text = "👍 In New York, été."
    entities = entities_from_tags(
        text,
        starts=[0, 2, 5, 9, 13, 15, 18],
        ends=[1, 4, 8, 13, 14, 18, 19],
        tags=["O", "O", "B-LOC", b"I-LOC", "O", "S-MISC", "O"],
        scores=[1.0, 1.0, 0.75, 0.5, 1.0, 0.25, 1.0],
    )
    assert entities == [Entity("New York", "LOC", 5, 13), Entity("été", "MISC", 15, 18)]
    assert [entity.score for entity in entities] == [0.5, 0.25]
    assert repr(entities[0]) == "Entity(text='New York', label='LOC', start=5, end=13)"
    assert all(type(entity.start) is type(entity.end) is int for entity in entities)


def test_entities_without_scores_or_tokens():
    assert entities_from_tags("", [], [], []) == []
    assert entities_from_tags("a", [0], [1], ["B-X"])[0].score is None


def test_uneven_lengths_are_named():
    with pytest.raises(ValueError, match="starts of length 1, ends of length 1, tags of length 2"):
        entities_from_tags("a", [0], [1], ["O", "O"])
    with pytest.raises(ValueError, match="scores of length 0"):
        entities_from_tags("a", [0], [1], ["O"], [])
