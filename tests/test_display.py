"""Answers as notebooks and terminals show them."""

import pytest

from kerasrnn.display import display, pieces_of
from kerasrnn.text import Entity

TEXT = "<b>Ada & Paris"
ENTITIES = [Entity(text="<b>Ada", label="PER", start=0, end=6), Entity("Paris", "LOC", 9, 14)]


def test_a_terminal_shows_text():
    assert repr(display(ENTITIES, TEXT)) == "[<b>Ada PER] & [Paris LOC]"
    assert repr(display([], TEXT)) == TEXT


def test_a_notebook_shows_html_in_which_a_text_is_text():
    html = display(ENTITIES, TEXT)._repr_html_()
    assert "&lt;b&gt;Ada <small><b>PER</b></small></mark> &amp; <mark" in html
    assert "<b>Ada" not in html
    assert html.count("<mark") == html.count("</mark>") == 2


def test_each_label_has_its_colour():
    entities = [Entity(word, word.upper(), 2 * i, 2 * i + 1) for i, word in enumerate("abcabc")]
    html = display(entities, "a b c a b c")._repr_html_()
    grounds = [part.split(";")[0] for part in html.split("background:")[1:]]
    assert grounds[:3] == grounds[3:] and len(set(grounds)) == 3


def test_entities_of_another_text_are_refused():
    with pytest.raises(ValueError, match="must be the text that the entities are in"):
        display(ENTITIES, "another text")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"text": "So dull", "label": "bad", "score": 0.914}, "So dull  → bad (91%)"),
        ({"text": "To ", "continuation": "be"}, "To [be written]"),
        ({"text": "5 May", "answer": ""}, "5 May  → (no answer)"),
        ({"text": "king", "similar": [("queen", 0.78)]}, "king  → queen 0.78"),
        ({"text": "C4", "continuation": [[60, 64], []]}, "C4[ | C4 E4 | written]"),
        (
            {"text": "play", "tags": [{"start": 0, "end": 4, "tag": "VERB"}]},
            "[play VERB]",
        ),
    ],
)
def test_answers_of_all_tasks(answer, shown):
    assert repr(display([answer])) == shown
    assert display([answer])._repr_html_().startswith("<div")
    assert "".join(text for text, _ in pieces_of(answer)).startswith(answer["text"])
