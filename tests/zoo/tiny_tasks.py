"""A tiny one of each task, with what it is trained on: for checks that hold for all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kerasrnn import zoo
from kerasrnn.data import TaggedSentence, adding, load_piano_rolls
from kerasrnn.networks.options import options_of
from kerasrnn.zoo import Task

SENTENCES = [
    TaggedSentence(("In", "Paris", "."), ("O", "B-LOC", "O")),
    TaggedSentence(("Ada", "saw", "Bo"), ("B-PER", "O", "B-PER")),
] * 3
TEXTS, LABELS = ["so good a film", "so bad", "good one", "bad film"] * 2, ["good", "bad"] * 4
PAIRS = [("one two", "1 2"), ("two", "2"), ("four", "4"), ("two four", "2 4")] * 2
VERSE = "to be or not to be, that is the question. " * 3
FACTS = ["tea is hot", "coffee is hot", "ice is cold", "snow is cold"] * 6
EXAMPLES = adding(10, length=8, seed=1)


@functools.cache
def pieces() -> list[Any]:
    return [piece[:20] for piece in load_piano_rolls("builtin:counterpoint")[:5]]


@dataclass(frozen=True)
class Tiny:
    """How to make one task, and what to train it on.

    Attributes:
        make: makes an untrained model of constructor arguments.
        small: those arguments that keep it small.
        data: returns what `fit` and `evaluate` take.
        options: what else `fit` takes here.
        figures: what `evaluate` returns.
        inputs: returns what `predict` takes.
    """

    make: Callable[..., Task]
    small: Mapping[str, Any]
    data: Callable[[], tuple[Any, ...]]
    options: Mapping[str, Any]
    figures: set[str]
    inputs: Callable[[], Any]


TASKS: dict[str, Tiny] = {
    "SequenceTagger": Tiny(
        lambda **arguments: zoo.SequenceTagger.from_sentences(SENTENCES, **arguments),
        {"units": 4, "word_dimension": 4, "crf": False, "spelling": "none"},
        lambda: (SENTENCES,),
        {"batch_size": 2},
        {"loss", "precision", "recall", "f1", "accuracy", "types"},
        lambda: [list(sentence.tokens) for sentence in SENTENCES[:2]] + [["Ada"]],
    ),
    "TextClassifier": Tiny(
        lambda **arguments: zoo.TextClassifier.from_texts(TEXTS, LABELS, **arguments),
        {"units": 4, "token_dimension": 4, "pooling": "max"},
        lambda: (TEXTS, LABELS),
        {"batch_size": 3},
        {"loss", "accuracy", "f1_macro", "types"},
        lambda: TEXTS[:3],
    ),
    "LanguageModel": Tiny(
        lambda **arguments: zoo.LanguageModel.from_texts([VERSE], **arguments),
        {"units": 4, "dimension": 4},
        lambda: (VERSE,),
        {"batch_size": 2, "segment_length": 8},
        {"loss", "perplexity", "bits_per_char"},
        lambda: ["to be", "t", "that is the question"],
    ),
    "EncoderDecoder": Tiny(
        lambda **arguments: zoo.EncoderDecoder.from_pairs(PAIRS, **arguments),
        {"units": 4, "source_dimension": 4, "target_dimension": 4, "attention": "none"},
        lambda: (PAIRS,),
        {"batch_size": 3},
        {"loss", "exact_match", "bleu"},
        lambda: [source for source, _ in PAIRS[1:4]],
    ),
    "MusicModel": Tiny(
        lambda **arguments: zoo.MusicModel(**arguments),
        {"units": 4, "outputs": "independent"},
        lambda: (pieces(),),
        {"batch_size": 2, "chunk": 8},
        {"loss", "nll"},
        lambda: [pieces()[0], pieces()[1][:5], pieces()[2]],
    ),
    "MemoryModel": Tiny(
        lambda **arguments: zoo.MemoryModel.from_examples(EXAMPLES, **arguments),
        {"units": 4},
        lambda: (EXAMPLES,),
        {"batch_size": 3},
        {"loss", "mse", "solved"},
        lambda: EXAMPLES.inputs[:3],
    ),
    "WordVectors": Tiny(
        lambda **arguments: zoo.WordVectors.from_texts(FACTS, **arguments),
        {"dimension": 4, "subsampling": 0.0},
        lambda: (FACTS,),
        {"batch_size": 50, "words_per_step": 20},
        {"loss", "known"},
        lambda: ["tea", "unknown", "is"],
    ),
}


def tiny(name: str, **arguments: Any) -> tuple[Task, Callable[..., Any]]:
    """An untrained model, and its `fit` on the data that suits it.

    Args:
        name: the name of the task's class.
        **arguments: constructor arguments.
    """
    task = TASKS[name]
    model = task.make(**{**task.small, **arguments})
    return model, functools.partial(model.fit, *task.data(), verbose=0, **task.options)


def data_of(name: str) -> tuple[Any, ...]:
    """What `fit` and `evaluate` of a tiny task take."""
    return TASKS[name].data()


def those_of(name: str, **arguments: Any) -> dict[str, Any]:
    """Those of some arguments that a task has: word vectors have no dropout and no cell."""
    known = options_of(getattr(zoo, name))
    return {argument: value for argument, value in arguments.items() if argument in known}
