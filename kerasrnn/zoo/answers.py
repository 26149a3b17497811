"""What a task answers, in plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.data.midi import parse_midi
from kerasrnn.data.piano_rolls import MIDI_ENDINGS
from kerasrnn.data.pitches import chords_of_roll, roll_of_text
from kerasrnn.zoo.encoder_decoder import EncoderDecoder
from kerasrnn.zoo.language_model import LanguageModel
from kerasrnn.zoo.music_model import MusicModel
from kerasrnn.zoo.sequence_tagger import SequenceTagger
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.text_classifier import TextClassifier
from kerasrnn.zoo.word_vectors import WordVectors


def answers(task: Task, texts: Sequence[str], *, seed: int | None = None) -> list[dict[str, Any]]:
    """What a task answers to some texts, as plain values.

    Args:
        task: a task; not a `MemoryModel`, which reads numbers only.
        texts: the texts; for `WordVectors`, words; for a `MusicModel` chords as
            `kerasrnn.data.roll_of_text` reads them, or the path of a MIDI file (`.mid`, `.midi`).
        seed: for what is written by chance.

    Returns:
        For each text a dict with `text`, and, by the class of the task, `entities` (or `tags`, of
        a tagger without entities), and `label` where it has labels for texts; `label` and `score`;
        `continuation`, a text or, of a `MusicModel`, the MIDI numbers of each frame; `answer`; or
        `similar`, pairs of a word and its cosine.

    Raises:
        ValueError: the task reads no text, or as for its `predict`.
        DataError: a MIDI file cannot be read.

    Example:

    >>> from kerasrnn.zoo import SequenceTagger
    >>> from kerasrnn.zoo.answers import answers
    >>> tagger = SequenceTagger.from_preset("ner_en_starter")
    >>> found, = answers(tagger, ["I grew up in France."])
    >>> found["entities"][0]["text"], found["entities"][0]["label"]
    ('France', 'LOC')
    """
    texts = list(texts)
    if isinstance(task, SequenceTagger):
        found = task.predict(texts)
        key = "tags" if task.inventory.scheme == "none" else "entities"
        rows: list[dict[str, Any]] = [
            {key: [dataclasses.asdict(item) for item in items]} for items in found
        ]
        if task.label_inventory is not None:
            for row, (label, score) in zip(rows, task.predict_labels(texts), strict=True):
                row |= {"label": label, "score": score}
    elif isinstance(task, TextClassifier):
        rows = [{"label": one.label, "score": one.score} for one in task.predict(texts)]
    elif isinstance(task, LanguageModel):
        rows = [{"continuation": text} for text in task.generate(texts, seed=seed)]
    elif isinstance(task, EncoderDecoder):
        rows = [{"answer": answer} for answer in task.predict(texts)]
    elif isinstance(task, WordVectors):
        matrix = task.to_matrix()
        rows = [{"similar": matrix.most_similar(word, topn=5)} for word in texts]
    elif isinstance(task, MusicModel):
        begun = [_piece(text, task.settings["frames_per_beat"]) for text in texts]
        rows = [{"continuation": chords_of_roll(roll)} for roll in task.generate(begun, seed=seed)]
    else:
        raise ValueError(
            f"{type(task).__name__} reads no text. Expected a SequenceTagger, TextClassifier, "
            "LanguageModel, EncoderDecoder, WordVectors or MusicModel."
        )
    return [{"text": text, **_numbers(row)} for text, row in zip(texts, rows, strict=True)]


def _piece(text: str, frames_per_beat: int) -> np.ndarray:
    if Path(text.strip()).suffix.lower() in MIDI_ENDINGS:
        return parse_midi(text.strip(), frames_per_beat=frames_per_beat)
    return roll_of_text(text)


def _numbers(value: Any) -> Any:
    """The same with Python's own numbers."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value
