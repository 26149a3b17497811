"""Trains `WordVectors`: skip-grams with negative sampling.

`python -m training.word_vectors` learns from sentences about countries, made of the facts of CLDR,
and answers analogies: France is to French as Japan is to what?
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kerasrnn.data import country_questions, stream_running_texts, write_country_questions
from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.embeddings.evaluation import Question, read_questions
from kerasrnn.zoo import WordVectors
from kerasrnn.zoo.word_streams import SkipGramBatches, WordStream
from kerasrnn.zoo.word_vectors import LEARNING_RATE, falling_sgd

from . import plots
from .data import data_path, measured_alone, naming_flags
from .fitting import RunCallback
from .flags import (
    COUNT,
    POSITIVE,
    TrainingConfig,
    UsageError,
    filled,
    flag,
    given,
    with_options_of,
)
from .run_folder import RunFolder
from .script import Plan, Script, print_figures

FACTS = "builtin:country_facts"
DEFAULT_DATA = FACTS

# What is held out of a text that has no validation data: a twentieth, and no more words than these.
_HELD_OUT, _MOST_HELD_OUT = 0.05, 100_000

# Of the training data at most so many words are measured.
_TRAIN_WORDS_MEASURED = 100_000

# The options for which there are better defaults for the facts than for texts.
_BY_DATA = ("dimension", "window", "negatives", "subsampling")

_SHOWN = 6

# How many words, and how many analogies of one kind, a picture has room for.
_DRAWN, _ARROWS = 100, 8


def _check_file(name: str) -> None:
    if not os.path.isfile(data_path(name)):
        raise ValueError(f"there is no file {name!r}")


@dataclass
@with_options_of(WordVectors, by_data=_BY_DATA)
class WordVectorsConfig(TrainingConfig):
    """The flags of `python -m training.word_vectors`."""

    data: str | None = flag(
        None, "training data: a text file, a folder of them, tfds:NAME or builtin:NAME"
    )
    batch_size: int | None = flag(
        None, "words of the text that are read at once", within=COUNT, shown=WordVectors.batch_size
    )
    learning_rate: float | None = flag(
        None,
        "the first rate of gradient descent, which falls to nearly nothing",
        within=POSITIVE,
        shown=LEARNING_RATE,
    )
    words_per_step: int | None = flag(
        None, "words that are learnt from in one step", within=COUNT, shown="1024, or fewer"
    )
    min_count: int | None = flag(
        None,
        "how often a word must occur in training to be known",
        within=COUNT,
        of_new_models=True,
        shown="5; 1 for builtin data",
    )
    max_words: int | None = flag(
        None, "how many words are known at most", within=COUNT, of_new_models=True
    )
    context: bool | None = flag(
        None, "vectors of contexts, without which nothing is learnt", of_new_models=True, shown=True
    )
    questions: str | None = flag(
        None,
        "analogy questions to answer, in the form of word2vec's questions-words.txt",
        check=_check_file,
    )
    pairs: str | None = flag(
        None, "pairs of words, between tabs, with how similar people found them", check=_check_file
    )

    def check(self) -> None:
        """Raise a UsageError for flags that make no sense together."""
        super().check()
        if self.context is False and not self.preset:
            raise UsageError("--no-context cannot be: the vectors of contexts are learnt too.")
        if self.lens:
            raise UsageError("--lens is for recurrent layers: word vectors are made without any.")


class Texts:
    """Texts that are read anew for each pass, and never held.

    Args:
        source: as for `stream_running_texts`.
        split: its split.

    Raises:
        ValueError: if there are none; see there.
    """

    def __init__(self, source: str, split: str) -> None:
        self.source, self.split = source, split
        if next(iter(self), None) is None:
            raise ValueError(f"{source} holds no text.")

    def __iter__(self) -> Iterator[str]:
        return stream_running_texts(data_path(self.source), split=self.split)


@dataclass
class WordData:
    """The texts of a run, and what a model has read of them."""

    train: Texts | None
    validation: Texts | None
    test: Texts | None
    source: str
    hold_out: bool
    streams: dict[str, WordStream] = field(default_factory=dict)

    def read(self, model: WordVectors) -> None:
        """Read all of it, and hold out the end of the training data if that is due."""
        for name in ("train", "validation", "test"):
            texts = getattr(self, name)
            if texts is not None:
                self.streams[name] = model.read(texts, argument=texts.source)
        train = self.streams.get("train")
        if self.hold_out and train is not None and self.validation is None:
            cut = len(train) - min(int(_HELD_OUT * len(train)), _MOST_HELD_OUT)
            self.streams |= {"train": train[:cut], "validation": train[cut:]}

    def sizes(self) -> dict[str, int]:
        """The number of words of each part."""
        parts = ("train", "validation", "test")
        return {f"{name}_words": len(self.streams.get(name, ())) for name in parts}


class WordVectorsScript(Script[WordVectorsConfig, WordData]):
    """Trains `WordVectors`."""

    name = "word_vectors"
    description = "Train word vectors: skip-grams with negative sampling."
    example = "--data book.txt --questions questions.txt"
    config_class = WordVectorsConfig
    task_class = WordVectors
    counted = "words"

    # === Data ===

    def load_data(self, config: WordVectorsConfig, *, hold_out: bool = True) -> WordData:
        """Look for the data that the flags name; it is read when there is a model.

        Without `--validation`, it is the split of that name of a data set with splits, and for
        files their end: a twentieth, at most 100,000 words.
        """
        alone = measured_alone(config)
        named_only = config.evaluate_only and not config.data and (config.questions or config.pairs)
        source = config.data or DEFAULT_DATA

        @naming_flags(config)
        def load(name: str, split: str) -> Texts:
            return Texts(name, split)

        parts: dict[str, Texts | None] = {"train": None}
        if not alone and not named_only:
            parts["train"] = load(source, "train")
        for split, named in (("validation", config.validation), ("test", config.test)):
            parts[split] = load(named, split) if named else None
            if not named and source.startswith(("builtin:", "tfds:")) and parts["train"]:
                with contextlib.suppress(ValueError):  # there is no such split
                    parts[split] = Texts(source, split)
        files = ", ".join(name for name in (config.questions, config.pairs) if name)
        shown = alone or (files if named_only else source)
        train, validation, test = parts["train"], parts["validation"], parts["test"]
        return WordData(train, validation, test, source=shown, hold_out=hold_out)

    def with_defaults(self, config: WordVectorsConfig, data: WordData) -> WordVectorsConfig:
        facts = data.source == FACTS
        return config.with_defaults(
            data=data.source,
            min_count=1 if data.source.startswith("builtin:") else 5,
            epochs=10 if facts else 5,
            batch_size=WordVectors.batch_size,
            learning_rate=LEARNING_RATE,
            # Sentences of a few words in a small world: each tells of all of its words.
            dimension=50 if facts else 100,
            window=8 if facts else 5,
            negatives=10 if facts else 5,
            subsampling=0.0 if facts else 1e-3,
        )

    # === Model ===

    def new_model(
        self, config: WordVectorsConfig, data: WordData, options: dict[str, Any]
    ) -> WordVectors:
        return self.task_class.from_texts(
            data.train, min_count=filled(config.min_count), max_words=config.max_words, **options
        )

    def check(self, model: WordVectors, config: WordVectorsConfig, data: WordData) -> None:
        data.read(model)

    def preset_model(self, config: WordVectorsConfig) -> tuple[WordVectors, WordVectorsConfig]:
        """The model of `--preset`; one that is to learn begins with its vectors alone."""
        model, config = super().preset_model(config)
        assert isinstance(model, WordVectors)
        if model.network.contexts is None and not config.evaluate_only:
            arguments = {
                n: v for n, v in model.arguments().items() if n not in ("words", "context")
            }
            dtype = model.dtype_policy
            model = WordVectors.from_matrix(model.to_matrix(), dtype=dtype, **arguments)
        return model, config

    def describe(self, config: WordVectorsConfig, data: WordData, model: WordVectors) -> str:
        sizes = data.sizes()
        parts = ", ".join(
            f"{sizes[f'{name}_words']:,} {what}"
            for name, what in (
                ("train", "words to train on"),
                ("validation", "to validate"),
                ("test", "to test"),
            )
        )
        settings = model.settings
        return (
            f"{data.source}: {parts}, {len(model.vocabulary.terms):,} known\n"
            f"{settings['dimension']} numbers a word, windows of {settings['window']}, "
            f"{settings['negatives']} noise words"
        )

    def plan(self, config: WordVectorsConfig, data: WordData, model: WordVectors) -> Plan:
        train, validation = data.streams["train"], data.streams.get("validation")
        options: dict[str, Any] = {"words_per_step": config.words_per_step}
        source = model.batches(train, filled(config.batch_size), **options)
        assert isinstance(source, SkipGramBatches)

        def fit(**others: Any) -> None:
            model.fit(
                train,
                validation_data=validation,
                batch_size=filled(config.batch_size),
                seed=config.seed,
                **options,
                **others,
            )

        return Plan(
            fit=fit,
            steps=len(source),
            counted=source.words,
            monitor="val_loss",
            maximize=False,
            figures={"loss": "loss", "val_loss": "val loss"},
            optimizer=falling_sgd(
                filled(config.learning_rate), source.steps * filled(config.epochs)
            ),
        )

    # === Results ===

    def train(
        self, config: WordVectorsConfig, folder: RunFolder, console: Console
    ) -> dict[str, Any]:
        if given(config.data, DEFAULT_DATA) == FACTS:
            write_country_questions(folder.path / "questions.txt")
        return super().train(config, folder, console)

    def measure(
        self, model: WordVectors, data: WordData, config: WordVectorsConfig
    ) -> dict[str, dict[str, Any]]:
        """The figures; those of questions and pairs are among those of test data."""
        if not data.streams:
            data.read(model)
        parts: dict[str, dict[str, Any]] = {}
        for name in ("train", "validation", "test"):
            stream = data.streams.get(name)
            if stream is not None and name == "train" and not config.evaluate_only:
                stream = stream[:_TRAIN_WORDS_MEASURED]
            parts[name] = {} if stream is None else model.evaluate(stream)
        with _questions(config, data) as questions:
            if questions or config.pairs:
                pairs = None if config.pairs is None else data_path(config.pairs)
                parts["test"] |= model.evaluate(questions=questions, pairs=pairs)
        return parts

    def draw(
        self,
        folder: RunFolder,
        model: WordVectors,
        data: WordData,
        run: RunCallback,
        config: WordVectorsConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        plots.learning_curves(
            folder.plots / "learning_curves.png",
            run.history,
            losses={"loss": "training", "val_loss": "validation"},
            figures={},
            best_epoch=run.best_epoch,
            loss_label="loss (nats a pair)",
        )
        matrix = model.to_matrix()
        words = [term for term in matrix.terms if term[0].isalpha()][:_DRAWN]
        plots.save_figure(
            matrix.plot(words, title="frequent words, by t-SNE").figure, folder.plots / "words.png"
        )
        with _questions(config, data) as questions:
            name, analogies = _relation(questions, matrix) if questions else ("", [])
        if analogies:
            axes = matrix.plot((), method="pca", analogies=analogies, title=f"analogies: {name}")
            plots.save_figure(axes.figure, folder.plots / "analogies.png")

    def show(
        self, console: Console, model: WordVectors, data: WordData, metrics: Mapping[str, Any]
    ) -> None:
        print_figures(console, metrics, loss="nats a pair")
        matrix = model.to_matrix()
        if data.source == FACTS:
            _show_analogies(console, matrix)
        else:
            _show_neighbours(console, matrix)

    def requests(self, model: WordVectors, data: WordData) -> list[dict[str, Any]]:
        words = [*model.vocabulary.terms[:1024]]
        return [{"words": words[begin : begin + 32]} for begin in range(0, len(words), 32)]

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        return len(response["known"])


def _relation(path: str, matrix: EmbeddingMatrix) -> tuple[str, list[Question]]:
    """The first kind of questions with several pairs of known words, and analogies of these."""
    for name, questions in read_questions(path):
        pairs = dict.fromkeys(pair for a, b, c, d in questions for pair in ((a, b), (c, d)))
        forms = [(_form(first, matrix), _form(second, matrix)) for first, second in pairs]
        known = [(a, b) for a, b in forms if a in matrix and b in matrix][:_ARROWS]
        if len(known) > 1:
            return name, [(*known[0], *pair) for pair in known[1:]]
    return "", []


def _form(word: str, matrix: EmbeddingMatrix) -> str:
    return word if word in matrix else word.lower()


@contextlib.contextmanager
def _questions(config: WordVectorsConfig, data: WordData) -> Iterator[str | None]:
    """The file of questions: that of the flag, or of the facts; None for none."""
    if config.questions is not None:
        yield data_path(config.questions)
    elif data.source == FACTS:
        with _country_questions() as path:
            yield path
    else:
        yield None


@contextlib.contextmanager
def _country_questions() -> Iterator[str]:
    """A file of the questions about countries."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "questions.txt"
        write_country_questions(path)
        yield str(path)


def _show_analogies(console: Console, matrix: EmbeddingMatrix) -> None:
    """How many questions of each kind are answered, and one of each."""
    table = Table(title="analogies of countries", title_justify="left")
    for title in ("kind", "per cent right", "a question", "the answer"):
        table.add_column(title, justify="right" if title.startswith("per") else "left")
    with _country_questions() as path:
        sections = matrix.evaluate_analogies(path).sections
    for kind, section in zip(country_questions(), sections, strict=True):
        a, b, c, d = kind.questions[len(kind.questions) // 2]
        words = [_form(word, matrix) for word in (a, b, c)]
        question = answer = ""
        if all(word in matrix for word in words):
            question = f"{a} : {b} :: {c} : ?"
            answer = matrix.analogy(words[0], words[1], words[2])[0][0]
            answer = d if answer == d.lower() else answer
        table.add_row(kind.name, f"{100 * section.accuracy:.1f}", question, answer)
    console.print()
    console.print(table)


def _show_neighbours(console: Console, matrix: EmbeddingMatrix) -> None:
    """What is near to some words that are frequent, but not the most frequent ones."""
    words = [word for word in matrix.terms[50:1000] if len(word) > 3 and word.isalpha()]
    table = Table(title="nearest words", title_justify="left")
    table.add_column("word")
    table.add_column("cosine and word")
    for word in words[:: max(1, len(words) // _SHOWN)][:_SHOWN]:
        near = matrix.most_similar(word, topn=5)
        table.add_row(word, ", ".join(f"{value:.2f} {other}" for other, value in near))
    if words:
        console.print()
        console.print(table)


SCRIPT = WordVectorsScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
