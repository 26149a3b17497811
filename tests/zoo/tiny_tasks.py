"""A tiny one of each task, with what it is trained on: for checks that hold for all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from kerasrnn.data import TaggedSentence, adding, load_piano_rolls
from kerasrnn.zoo import (
    EncoderDecoder,
    LanguageModel,
    MemoryModel,
    MusicModel,
    SequenceTagger,
    Task,
    TextClassifier,
)

SENTENCES = [
    TaggedSentence(("In", "Paris", "."), ("O", "B-LOC", "O")),
    TaggedSentence(("Ada", "saw", "Bo"), ("B-PER", "O", "B-PER")),
] * 3
TEXTS, LABELS = ["so good a film", "so bad", "good one", "bad film"] * 2, ["good", "bad"] * 4
PAIRS = [("one two", "1 2"), ("two", "2"), ("four", "4"), ("two four", "2 4")] * 2
VERSE = "to be or not to be, that is the question. " * 3
EXAMPLES = adding(10, length=8, seed=1)


@functools.cache
def pieces() -> list[Any]:
    return [piece[:20] for piece in load_piano_rolls("builtin:counterpoint")[:5]]


def _tagger(**arguments: Any) -> SequenceTagger:
    small = {"units": 4, "word_dimension": 4, "crf": False, "spelling": "none"}
    return SequenceTagger.from_sentences(SENTENCES, **{**small, **arguments})


def _classifier(**arguments: Any) -> TextClassifier:
    small = {"units": 4, "token_dimension": 4, "pooling": "max"}
    return TextClassifier.from_texts(TEXTS, LABELS, **{**small, **arguments})


def _language_model(**arguments: Any) -> LanguageModel:
    return LanguageModel.from_texts([VERSE], **{"units": 4, "dimension": 4, **arguments})


def _encoder_decoder(**arguments: Any) -> EncoderDecoder:
    small = {"units": 4, "source_dimension": 4, "target_dimension": 4, "attention": "none"}
    return EncoderDecoder.from_pairs(PAIRS, **{**small, **arguments})


def _music_model(**arguments: Any) -> MusicModel:
    return MusicModel(**{"units": 4, "outputs": "independent", **arguments})


def _memory_model(**arguments: Any) -> MemoryModel:
    return MemoryModel.from_examples(EXAMPLES, **{"units": 4, **arguments})


# How to make one, what is passed to its `fit`, and how else.
TASKS: dict[str, tuple[Callable[..., Any], Callable[[], tuple[Any, ...]], dict[str, Any]]] = {
    "SequenceTagger": (_tagger, lambda: (SENTENCES,), {"batch_size": 2}),
    "TextClassifier": (_classifier, lambda: (TEXTS, LABELS), {"batch_size": 3}),
    "LanguageModel": (
        _language_model,
        lambda: (VERSE,),
        {"batch_size": 2, "segment_length": 8},
    ),
    "EncoderDecoder": (_encoder_decoder, lambda: (PAIRS,), {"batch_size": 3}),
    "MusicModel": (_music_model, lambda: (pieces(),), {"batch_size": 2, "chunk": 8}),
    "MemoryModel": (_memory_model, lambda: (EXAMPLES,), {"batch_size": 3}),
}


def tiny(name: str, **arguments: Any) -> tuple[Task, Callable[..., Any]]:
    """An untrained model, and its `fit` on the data that suits it.

    Args:
        name: the name of the task's class.
        **arguments: constructor arguments.
    """
    make, data, options = TASKS[name]
    model = make(**arguments)
    return model, functools.partial(model.fit, *data(), verbose=0, **options)


def data_of(name: str) -> tuple[Any, ...]:
    """What `fit` and `evaluate` of a tiny task take."""
    return TASKS[name][1]()
