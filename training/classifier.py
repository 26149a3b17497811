"""Trains a `TextClassifier`: sentiment, topics, types of question, languages.

`python -m training.classifier` learns to name the language of a word or phrase, from the names of
languages and territories that Babel carries.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasrnn.data import LabelledText, check_labels, load_texts
from kerasrnn.networks.classifier import poolings
from kerasrnn.networks.options import NOT_NEGATIVE
from kerasrnn.zoo import Classification, TextClassifier
from kerasrnn.zoo.inputs import tokenize

from . import plots
from .attention_plot import attention_over_tokens, drawable
from .data import data_path, load_parts, naming_flags, tenth_held_out
from .fitting import RunCallback
from .flags import (
    COUNT,
    UsageError,
    filled,
    flag,
    with_options_of,
)
from .run_folder import RunFolder
from .script import SAMPLE, Plan
from .soft_labels import SoftLabels
from .transfer import TransferConfig, TransferScript, naming_new_head

DEFAULT_DATA = "builtin:languages"

# At most so many training texts are measured at the end: the figure only shows overfitting.
_TRAIN_TEXTS_MEASURED = 2000


# The options for which there are better defaults than one for all.
_BY_DATA = (
    *("level", "units", "token_dimension", "dropout", "layer_dropout"),
    *("lowercase", "normalize_digits", "split_contractions"),
)


@dataclass
@with_options_of(TextClassifier, by_data=_BY_DATA)
class ClassifierConfig(TransferConfig):
    """The flags of `python -m training.classifier`."""

    text_column: str | None = flag(None, "the column or feature of the texts: a name or a number")
    label_column: str | None = flag(None, "the column or feature of the labels")
    vector_words: int = flag(
        10_000,
        "how many of the first words of --embeddings to know besides those of the data",
        within=NOT_NEGATIVE,
        of_new_models=True,
    )
    min_count: int | None = flag(
        None,
        "how often a word or character must occur to be known",
        within=COUNT,
        of_new_models=True,
    )
    soft_labels: str | None = flag(
        None, "what to learn in place of --data: a file that python -m training.teacher wrote"
    )

    def check(self) -> None:
        super().check()
        if self.embeddings and self.options.get("level") == "characters":
            raise UsageError("--embeddings are vectors of words: --level must be words.")


@dataclass
class ClassifierData:
    """The texts of a run."""

    train: list[LabelledText]
    validation: list[LabelledText]
    test: list[LabelledText]
    source: str

    def sizes(self) -> dict[str, int]:
        """The number of texts of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {f"{name}_texts": len(part) for name, part in parts.items()}


class ClassifierScript(TransferScript[ClassifierConfig, ClassifierData]):
    """Trains a `TextClassifier`."""

    name = "classifier"
    description = "Train a classifier of texts."
    example = "--data reviews.csv --text-column review --label-column stars"
    config_class = ClassifierConfig
    task_class = TextClassifier
    counted = "tokens"  # words or characters

    # === Data ===

    def load_data(self, config: ClassifierConfig, *, hold_out: bool = True) -> ClassifierData:
        """Read the data that the flags name.

        Without `--validation`, it is the split of that name of a data set with splits, and for a
        file a tenth of its texts, chosen by chance but always the same.
        """

        @naming_flags(config, {"text": "text_column", "label": "label_column"})
        def load(name: str, split: str) -> list[LabelledText]:
            return load_texts(
                data_path(name), split=split, text=config.text_column, label=config.label_column
            )

        source, rows, validation, test = load_parts(config, DEFAULT_DATA, load)
        if not validation and hold_out:
            rows, validation = tenth_held_out(rows, source, "text", lambda row: [row.label])
        return ClassifierData(rows, validation, test, source)

    def with_defaults(self, config: ClassifierConfig, data: ClassifierData) -> ClassifierConfig:
        level = "characters" if data.source == DEFAULT_DATA else "words"
        characters = config.options.get("level", level) == "characters"
        config = config.with_defaults(
            data=data.source,
            level=level,
            units=128 if characters else 100,
            token_dimension=64 if characters else 100,
            epochs=12 if characters else 8,
            batch_size=64 if characters else 32,
            learning_rate=0.003,
            min_count=2 if characters else 1,
            # Words are many and seen seldom: a network learns single ones by heart.
            dropout=0.2 if characters else 0.5,
            lowercase=not characters,
            normalize_digits=not config.embeddings,  # the files have numbers as they are
            split_contractions=True,
        )
        deep = config.option("depth") > 1
        return config.with_defaults(layer_dropout=config.option("dropout") if deep else 0.0)

    def check(self, model: TextClassifier, config: ClassifierConfig, data: ClassifierData) -> None:
        """Labels that the classifier does not know fail now, not after an hour."""
        known = model.inventory.tags
        if config.preset:  # else they are those of this data
            with naming_new_head(config):
                check_labels(data.train, known, data.source)
        check_labels(data.validation, known, config.validation or data.source)
        check_labels(data.test, known, config.test or data.source)

    def adapted(
        self, config: ClassifierConfig, data: ClassifierData, model: TextClassifier
    ) -> TextClassifier:
        if config.new_words not in (None, "none"):
            rows, _ = tokenize(model.tokenizer, [text.text for text in data.train])
            model = config.with_new_words(model, (token for row in rows for token in row))
        if not config.new_head:
            return model
        labels = sorted({text.label for text in data.train})
        return model.new_head(**{**config.head_changes, "labels": labels})

    # === Model ===

    def new_model(
        self, config: ClassifierConfig, data: ClassifierData, options: dict[str, Any]
    ) -> TextClassifier:
        extra, length = config.known_vectors()
        if length:
            options["token_dimension"] = length
        model = self.task_class.from_texts(
            data.train, min_count=filled(config.min_count), extra_tokens=extra, **options
        )
        config.set_vectors(model)
        return model

    def describe(
        self, config: ClassifierConfig, data: ClassifierData, model: TextClassifier
    ) -> str:
        settings = model.settings
        direction = "two directions" if settings["bidirectional"] else "one direction"
        return (
            f"{data.source}: {len(data.train)} texts to train on, {len(data.validation)} to "
            f"validate, {len(data.test)} to test, {model.inventory.size} labels\n"
            f"{settings['cell']} in {direction} over {settings['level']}, {settings['units']} "
            f"units, pooling {settings['pooling']}"
        )

    def plan(self, config: ClassifierConfig, data: ClassifierData, model: TextClassifier) -> Plan:
        examples, soft_targets = data.train, None
        if config.soft_labels:
            examples, soft_targets = _taught(config.soft_labels, model)

        def fit(**options: Any) -> None:
            model.fit(
                examples,
                soft_targets=soft_targets,
                validation_data=data.validation,
                batch_size=filled(config.batch_size),
                seed=config.seed,
                **options,
            )

        return Plan(
            fit=fit,
            steps=-(-len(examples) // filled(config.batch_size)),
            counted=model.count_tokens([text.text for text in examples]),
            monitor="val_accuracy",
            adam=config.adam,
            unfreeze_after=config.unfreeze_after,
            unfreeze=functools.partial(config.unfreeze, model),
            figures={"loss": "loss", "val_loss": "val loss", "val_accuracy": "val accuracy"},
            sample=examples[:SAMPLE],
        )

    # === Results ===

    def measure(
        self, model: TextClassifier, data: ClassifierData, config: ClassifierConfig
    ) -> dict[str, dict[str, Any]]:
        # Files are often sorted by label.
        step = 1 if config.evaluate_only else max(1, len(data.train) // _TRAIN_TEXTS_MEASURED)
        parts = {"train": data.train[::step], "validation": data.validation, "test": data.test}
        return {name: model.evaluate(part) if part else {} for name, part in parts.items()}

    def draw(
        self,
        folder: RunFolder,
        model: TextClassifier,
        data: ClassifierData,
        run: RunCallback,
        config: ClassifierConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        plots.learning_curves(
            folder.plots / "learning_curves.png",
            run.history,
            losses={"loss": "training", "val_loss": "validation"},
            figures={
                "val_accuracy": "validation accuracy",
                "val_f1_macro": "validation macro-averaged F1",
            },
            best_epoch=run.best_epoch,
            figure_label="share (0 to 1)",
        )
        labels = list(model.inventory.tags)
        answers = model.predict_labels([text.text for text in data.validation])
        pairs = Counter(zip([text.label for text in data.validation], answers, strict=True))
        counts = np.array([[pairs[right, answer] for answer in labels] for right in labels])
        plots.confusion_matrix(
            folder.plots / "confusion_matrix.png", labels, counts, "Texts of the validation data"
        )
        plots.type_scores(
            folder.plots / "f1_by_label.png",
            metrics["validation"]["types"],
            "Texts by label, validation data",
        )
        shown = _examples([text for text in data.validation if drawable(text.text)], 12)
        if "attention" in poolings(model.settings["pooling"]) and shown:
            attention_over_tokens(
                folder.plots / "attention.png",
                model.predict([text.text for text in shown], explain=True),
                [text.label for text in shown],
                joint=" " if model.settings["level"] == "words" else "",
            )

    def show(
        self,
        console: Console,
        model: TextClassifier,
        data: ClassifierData,
        metrics: Mapping[str, Any],
    ) -> None:
        part = next(name for name in ("test", "validation", "train") if metrics[name])
        texts = getattr(data, part)
        scores = metrics[part]
        table = Table(title=f"{part} data, {len(texts)} texts", title_justify="left")
        table.add_column("label")
        for title in ("precision", "recall", "F1", "number"):
            table.add_column(title, justify="right")
        for label, row in scores["types"].items():
            shares = [f"{100 * row[name]:.1f}" for name in ("precision", "recall", "f1")]
            table.add_row(label, *shares, str(row["support"]))
        console.print()
        console.print(table)
        for other in dict.fromkeys((part, "validation", "train")):
            if metrics[other]:
                row = metrics[other]
                console.print(
                    f"{other}: accuracy {100 * row['accuracy']:.2f} %, "
                    f"macro-averaged F1 {100 * row['f1_macro']:.2f}",
                    style="bold" if other == part else "",
                    highlight=False,
                )
        console.print()
        shown = _examples(texts, 8)
        explain = "attention" in poolings(model.settings["pooling"])
        answers = model.predict([text.text for text in shown], explain=explain)
        for text, answer in zip(shown, answers, strict=True):
            console.print(classified_text(text, answer, model.settings["level"] == "words"))

    # === Serving ===

    def requests(self, model: TextClassifier, data: ClassifierData) -> list[dict[str, Any]]:
        texts = [text.text for text in data.validation]
        return [{"text": texts[begin : begin + 32]} for begin in range(0, len(texts), 32)]

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        return int(response["lengths"].sum())


def _taught(source: str, model: TextClassifier) -> tuple[list[LabelledText], list[np.ndarray]]:
    """The texts that a teacher labelled, and its probabilities."""
    taught = SoftLabels.load(data_path(source))
    soft_targets = taught.columns(model.inventory.tags)
    texts = [
        LabelledText(" ".join(words), model.inventory.tags[int(row.argmax())])
        for words, row in zip(taught.texts, soft_targets, strict=True)
    ]
    return texts, soft_targets


def _examples(texts: list[LabelledText], count: int) -> list[LabelledText]:
    """Texts of a length that fits a line or two, from all over the data."""
    distinct = list(dict.fromkeys(texts))
    fitting = [text for text in distinct if len(text.text) <= 120] or distinct
    return fitting[:: max(1, len(fitting) // count)][:count]


def classified_text(text: LabelledText, answer: Classification, words: bool = True) -> Text:
    """A text with the answer to it, in colour where the console has colours.

    Args:
        text: the text with its right label.
        answer: what the classifier says; with `tokens`, words with much attention stand out.
        words: whether tokens are words; single characters are not made to stand out.

    Returns:
        The text, the answer with its probability, and the right label if it is another.
    """
    line = Text(text.text)
    if words and answer.tokens:
        even = 1 / len(answer.tokens)
        for token in answer.tokens:
            if token.weight > 1.5 * even:
                line.stylize("bold", token.start, token.end)
    right = answer.label == text.label
    line.append(" → ")
    line.append(f"{answer.label} {answer.score:.2f}", style="green" if right else "red")
    if not right:
        line.append(f" (right: {text.label})")
    if words and answer.tokens:
        most = sorted(answer.tokens, key=lambda token: -token.weight)[:2]
        looked = ", ".join(f"{token.text} {token.weight:.2f}" for token in most)
        line.append(f"  [{looked}]", style="dim")
    return line


SCRIPT = ClassifierScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
