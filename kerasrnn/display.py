"""Answers as a notebook and a terminal show them; no TensorFlow."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import Any

# Of Okabe and Ito (2008), made light enough for black letters to be read on them.
_GROUNDS = ("#9ad0f5", "#f5c26b", "#8fd9c0", "#e6b3d1", "#f0e442", "#f2a583")


def pieces_of(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """An answer as stretches of a line.

    Args:
        answer: one of those that `kerasrnn.zoo.answers` returns.

    Returns:
        Pairs of a stretch and its label, which is empty where there is none; `written` is that of
        what a language model wrote.
    """
    text = answer["text"]
    marked = answer.get("entities", answer.get("tags"))
    if marked is not None:
        pieces, place = [], 0
        for one in marked:
            pieces.append((text[place : one["start"]], ""))
            pieces.append((text[one["start"] : one["end"]], one.get("label", one.get("tag"))))
            place = one["end"]
        pieces.append((text[place:], ""))
        if "label" in answer:
            pieces.append((f"  → {answer['label']} ({answer['score']:.0%})", ""))
        return [piece for piece in pieces if piece[0]]
    if "label" in answer:
        return [(text, ""), (f"  → {answer['label']} ({answer['score']:.0%})", "")]
    if "continuation" in answer:
        written = answer["continuation"]
        if not isinstance(written, str):  # chords
            from kerasrnn.data.pitches import roll_of_chords, text_of_roll

            written = f" | {text_of_roll(roll_of_chords(written))}"
        return [(text, ""), (written, "written")]
    if "similar" in answer:
        near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in answer["similar"])
        return [(f"{text}  → {near}", "")]
    return [(text, ""), (f"  → {answer['answer'] or '(no answer)'}", "")]


class Display:
    """Answers that a notebook shows in colour, and a terminal as text.

    Args:
        found: what `kerasrnn.zoo.answers` returned.
    """

    def __init__(self, found: Sequence[dict[str, Any]]) -> None:
        self.found = list(found)

    def __repr__(self) -> str:
        return "\n".join(
            "".join(f"[{text} {label}]" if label else text for text, label in pieces_of(one))
            for one in self.found
        )

    def _repr_html_(self) -> str:
        labels: dict[str, str] = {}
        lines = []
        for one in self.found:
            line = ""
            for text, label in pieces_of(one):
                shown = html.escape(text)
                if label:
                    ground = labels.setdefault(label, _GROUNDS[len(labels) % len(_GROUNDS)])
                    shown = (
                        f'<mark style="background:{ground};color:#000;border-radius:3px;'
                        f'padding:0 .2em">{shown} <small><b>{html.escape(label)}</b></small></mark>'
                    )
                line += shown
            lines.append(f'<div style="line-height:1.8;white-space:pre-wrap">{line}</div>')
        return "".join(lines)


def display(found: Any, text: str = "") -> Display:
    """Entities, or other answers, as a notebook shows them in colour.

    Args:
        found: the entities of one text, as `SequenceTagger.predict` gives them, with `text`; or
            what `kerasrnn.zoo.answers` returned.
        text: the text in which the entities are.

    Returns:
        An object that the notebook shows; on a terminal it is printed as plain text.

    Raises:
        ValueError: there are entities and no text that they could be in.

    Example:

    >>> from kerasrnn.zoo import SequenceTagger, display
    >>> tagger = SequenceTagger.from_preset("ner_en_starter")
    >>> text = "I grew up in France."
    >>> display(tagger.predict([text])[0], text)
    I grew up in [France LOC].
    """
    found = list(found)
    if all(isinstance(one, dict) for one in found) and not text:
        return Display(found)
    for entity in found:
        if text[entity.start : entity.end] != entity.text:
            raise ValueError(
                f"`text` must be the text that the entities are in: {entity!r} is not. "
                f"Received: text={text!r:.60}"
            )
    return Display([{"text": text, "entities": [dataclasses.asdict(entity) for entity in found]}])
