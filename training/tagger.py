"""Trains a `SequenceTagger`: entities, parts of speech or slots.

`python -m training.tagger` trains on the corpus that comes with the package.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasrnn.data import DataError, TaggedSentence, check_tags, infer_scheme, load_sentences
from kerasrnn.data.conll import in_scheme
from kerasrnn.embeddings import SUBWORD_PACKAGES, Vectors
from kerasrnn.text import spans
from kerasrnn.zoo import SequenceTagger

from . import plots
from .data import data_path, load_parts, naming_flags, tenth_held_out
from .fitting import RunCallback
from .flags import COUNT, filled, flag, with_options_of
from .run_folder import RunFolder
from .script import SAMPLE, Plan
from .soft_labels import SoftLabels
from .transfer import TransferConfig, TransferScript, naming_new_head

DEFAULT_DATA = "builtin:entities"

# At most so many training sentences are measured at the end: the figure only shows overfitting.
_TRAIN_SENTENCES_MEASURED = 2000

_COLOURS = ("bright_cyan", "bright_green", "bright_magenta", "bright_yellow", "bright_red")


# The options for which there are better defaults than one for all.
_BY_DATA = (
    *("scheme", "units", "crf", "layer_dropout", "word_dropout"),
    *("normalize_digits", "split_contractions"),
)


@dataclass
@with_options_of(SequenceTagger, by_data=_BY_DATA)
class TaggerConfig(TransferConfig):
    """The flags of `python -m training.tagger`."""

    column: str | None = flag(None, "where the tags are: a number, or upos, xpos … for CoNLL-U")
    subwords: str | None = flag(
        None,
        "parts of words with their vectors, so that no word is unknown: such as minilm-l6",
        choices=tuple(SUBWORD_PACKAGES),
        of_new_models=True,
    )
    min_count: int = flag(
        1,
        "how often a word must occur in training to be known",
        within=COUNT,
        of_new_models=True,
    )
    sentence_labels: bool = flag(
        True, "learn the sentences' labels (intents) where data has them", of_new_models=True
    )
    soft_labels: str | None = flag(
        None, "what to learn in place of --data: a file that python -m training.teacher wrote"
    )

    @property
    def allowed_with_preset(self) -> frozenset[str]:
        own = {"sentence_labels"} if self.new_head else set()
        return super().allowed_with_preset | own

    @property
    def _has_vectors(self) -> bool:
        return super()._has_vectors or bool(self.subwords)


@dataclass
class TaggerData:
    """The sentences of a run."""

    train: list[TaggedSentence]
    validation: list[TaggedSentence]
    test: list[TaggedSentence]
    scheme: str
    source: str

    def sizes(self) -> dict[str, int]:
        """The number of sentences of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {f"{name}_sentences": len(part) for name, part in parts.items()}


class TaggerScript(TransferScript[TaggerConfig, TaggerData]):
    """Trains a `SequenceTagger`."""

    name = "tagger"
    description = "Train a tagger of words."
    example = "--data people.conll --cell gru --units 50"
    config_class = TaggerConfig
    task_class = SequenceTagger
    counted = "words"

    # === Data ===

    def load_data(self, config: TaggerConfig, *, hold_out: bool = True) -> TaggerData:
        """Read the data that the flags name.

        Without `--validation`, it is the split of that name of a data set with splits, and for a
        file a tenth of its sentences, chosen by chance but always the same.
        """

        @functools.cache
        def read(name: str, split: str) -> list[TaggedSentence]:
            return load_sentences(data_path(name), split=split, column=config.column)

        @naming_flags(config)
        def inferred(name: str) -> str:
            return "none" if infer_scheme(read(name, "train"), name) == "none" else "BIO"

        scheme = config.options.get("scheme") or inferred(config.data or DEFAULT_DATA)

        @naming_flags(config)
        def load(name: str, split: str) -> list[TaggedSentence]:
            wanted = None if scheme == "none" else scheme
            with naming_new_head(config):
                return in_scheme(read(name, split), wanted, None, data_path(name))

        source, rows, validation, test = load_parts(config, DEFAULT_DATA, load)
        if not validation and hold_out:
            names = functools.partial(_names, scheme)
            rows, validation = tenth_held_out(rows, source, "sentence", names)
        return TaggerData(rows, validation, test, scheme, source)

    def with_defaults(self, config: TaggerConfig, data: TaggerData) -> TaggerConfig:
        many = len(data.train) > 6000
        conllu = config.column is not None and not config.column.lstrip("-").isdigit()
        return config.with_defaults(
            data=data.source,
            scheme=data.scheme,
            units=150 if many else 100,
            epochs=12 if many else 20,
            batch_size=32 if many else 16,
            learning_rate=0.003 if many else 0.006,
            layer_dropout=config.option("dropout") if config.option("depth") > 1 else 0.0,
            # Where there are few sentences, most names of other texts are unknown words.
            word_dropout=0.05 if many else 0.2,
            # Tags that stand for themselves gain little from a field, which costs a fifth of time.
            crf=data.scheme != "none",
            normalize_digits=not config.embeddings,  # the files have numbers as they are
            split_contractions=conllu,
        )

    def check(self, model: SequenceTagger, config: TaggerConfig, data: TaggerData) -> None:
        """Tags that the tagger does not know fail now, with the file's name, not after an hour."""
        known = model.inventory.tags
        if config.preset:  # else they are those of this data
            with naming_new_head(config):
                check_tags(data.train, known, data.source)
                _check_labels(data.train, model, data.source)
        check_tags(data.validation, known, config.validation or data.source)
        check_tags(data.test, known, config.test or data.source)

    def adapted(
        self, config: TaggerConfig, data: TaggerData, model: SequenceTagger
    ) -> SequenceTagger:
        words = (token for sentence in data.train for token in sentence.tokens)
        model = config.with_new_words(model, words)
        if not config.new_head:
            return model
        head = self.task_class.head_of(_labelled(config, data), data.scheme)
        changes = {"crf": data.scheme != "none", **config.head_changes, **head}
        return model.new_head(**changes)

    # === Model ===

    def new_model(
        self, config: TaggerConfig, data: TaggerData, options: dict[str, Any]
    ) -> SequenceTagger:
        extra, length = config.known_vectors()
        if length:
            options["word_dimension"] = length
        if config.subwords:
            options["subwords"], table = SUBWORD_PACKAGES[config.subwords].read_subwords()
            options["subword_dimension"] = table.shape[1]
        tagger = self.task_class.from_sentences(
            _labelled(config, data), min_count=config.min_count, extra_words=extra, **options
        )
        config.set_vectors(tagger)
        if config.subwords:
            vectors = config.widened(Vectors(table, np.ones(len(table), bool)))
            tagger.set_subword_vectors(vectors.matrix)
        return tagger

    def describe(self, config: TaggerConfig, data: TaggerData, model: SequenceTagger) -> str:
        settings = model.settings
        direction = "two directions" if settings["bidirectional"] else "one direction"
        head = "CRF" if settings["crf"] else "softmax"
        return (
            f"{data.source}: {len(data.train)} sentences to train on, {len(data.validation)} to "
            f"validate, {len(data.test)} to test, {model.inventory.size} tags\n"
            f"{settings['cell']} in {direction}, {settings['units']} units, {head}"
        )

    def plan(self, config: TaggerConfig, data: TaggerData, model: SequenceTagger) -> Plan:
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

        monitor = "val_f1" if data.scheme != "none" else "val_accuracy"
        return Plan(
            fit=fit,
            steps=-(-len(examples) // filled(config.batch_size)),
            counted=sum(map(len, examples)),
            monitor=monitor,
            adam=config.adam,
            unfreeze_after=config.unfreeze_after,
            unfreeze=functools.partial(config.unfreeze, model),
            figures={"loss": "loss", "val_loss": "val loss", monitor: monitor.replace("_", " ")},
            sample=examples[:SAMPLE],
        )

    # === Results ===

    def measure(
        self, model: SequenceTagger, data: TaggerData, config: TaggerConfig
    ) -> dict[str, dict[str, Any]]:
        parts = {
            "train": data.train[: None if config.evaluate_only else _TRAIN_SENTENCES_MEASURED],
            "validation": data.validation,
            "test": data.test,
        }
        return {name: model.evaluate(part) if part else {} for name, part in parts.items()}

    def draw(
        self,
        folder: RunFolder,
        model: SequenceTagger,
        data: TaggerData,
        run: RunCallback,
        config: TaggerConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        single = data.scheme == "none"
        plots.learning_curves(
            folder.plots / "learning_curves.png",
            run.history,
            losses={"loss": "training", "val_loss": "validation"},
            figures=(
                {"val_accuracy": "validation accuracy"}
                if single
                else {"val_f1": "validation F1", "val_accuracy": "validation accuracy"}
            ),
            best_epoch=run.best_epoch,
            figure_label="share (0 to 1)",
        )
        gold = [sentence.tags for sentence in data.validation]
        predicted = model.predict_tags([list(sentence.tokens) for sentence in data.validation])
        pairs = Counter(
            pair
            for right, answer in zip(gold, predicted, strict=True)
            for pair in zip(
                _plain_labels(right, single), _plain_labels(answer, single), strict=True
            )
        )
        labels = sorted(
            {label for pair in pairs for label in pair}, key=lambda name: (name == "O", name)
        )
        counts = np.array([[pairs[right, answer] for answer in labels] for right in labels])
        plots.confusion_matrix(
            folder.plots / "confusion_matrix.png", labels, counts, "Words of the validation data"
        )
        types = metrics["validation"]["types"]
        if types:
            title = "Words by tag" if single else "Entities by type"
            plots.type_scores(folder.plots / "f1_by_type.png", types, f"{title}, validation data")

    def show(
        self,
        console: Console,
        model: SequenceTagger,
        data: TaggerData,
        metrics: Mapping[str, Any],
    ) -> None:
        part = next(name for name in ("test", "validation", "train") if metrics[name])
        sentences = getattr(data, part)
        scores = metrics[part]
        table = Table(title=f"{part} data, {len(sentences)} sentences", title_justify="left")
        table.add_column("label")
        for title in ("precision", "recall", "F1", "number"):
            table.add_column(title, justify="right")
        for label, row in scores["types"].items():
            shares = [f"{100 * row[name]:.1f}" for name in ("precision", "recall", "f1")]
            table.add_row(label, *shares, str(row["support"]))
        shares = [f"{100 * scores[name]:.1f}" for name in ("precision", "recall", "f1")]
        total = sum(row["support"] for row in scores["types"].values())
        table.add_section()
        table.add_row("all", *shares, str(total), style="bold")
        console.print()
        console.print(table)
        console.print(f"accuracy of single tags: {100 * scores['accuracy']:.2f} %", highlight=False)
        if "label_accuracy" in scores:
            console.print(
                f"accuracy of sentence labels: {100 * scores['label_accuracy']:.2f} %",
                highlight=False,
            )
        for other in ("validation", "train"):
            if other != part and metrics[other]:
                row = metrics[other]
                console.print(
                    f"{other}: F1 {100 * row['f1']:.1f}, accuracy {100 * row['accuracy']:.2f} %",
                    highlight=False,
                )
        console.print()
        for sentence in _examples(sentences):
            console.print(tagged_text(model, sentence))

    # === Serving ===

    def requests(self, model: SequenceTagger, data: TaggerData) -> list[dict[str, Any]]:
        texts = [" ".join(sentence.tokens) for sentence in data.validation]
        return [{"text": texts[begin : begin + 32]} for begin in range(0, len(texts), 32)]

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        return int(response["lengths"].sum())


def _names(scheme: str, sentence: TaggedSentence) -> set[tuple[str, str | None]]:
    """What a model must have seen to know a sentence's labels."""
    # A tagger that knows a label knows all tags of it.
    words = sentence.tags if scheme == "none" else [tag[2:] for tag in sentence.tags if tag != "O"]
    return {("word", word) for word in words} | {("sentence", sentence.label)}


def _labelled(config: TaggerConfig, data: TaggerData) -> list[TaggedSentence]:
    """The sentences to train on, with their labels if these are to be learnt."""
    if config.sentence_labels:
        return data.train
    return [replace(sentence, label=None) for sentence in data.train]


def _check_labels(sentences: list[TaggedSentence], model: SequenceTagger, source: str) -> None:
    """Check that a tagger with labels knows those of all sentences."""
    if model.label_inventory is None:
        return
    known = model.label_inventory.tags
    for number, sentence in enumerate(sentences, start=1):
        if sentence.label not in known:
            raise DataError(
                f"{source}: expected a label seen in training, one of {', '.join(known)}, "
                f"got {sentence.label!r} for sentence {number}."
            )


def _taught(source: str, model: SequenceTagger) -> tuple[list[TaggedSentence], list[np.ndarray]]:
    """The sentences that a teacher labelled, and its probabilities."""
    taught = SoftLabels.load(data_path(source))
    soft_targets = taught.columns(model.inventory.tags)
    names = np.array(model.inventory.tags)
    sentences = [
        TaggedSentence(tuple(words), tuple(names[np.atleast_2d(row).argmax(axis=1)].tolist()))
        for words, row in zip(taught.texts, soft_targets, strict=True)
    ]
    return sentences, soft_targets


def _plain_labels(tags: Sequence[str], single: bool) -> list[str]:
    """What each word is, whether it begins an entity or goes on with one."""
    if single:
        return list(tags)
    labels = ["O"] * len(tags)
    for label, first, last in spans(tags):
        labels[first:last] = [label] * (last - first)
    return labels


def _examples(sentences: Sequence[TaggedSentence], count: int = 8) -> list[TaggedSentence]:
    """Sentences with something in them, of a length that fits a line, from all over the data."""
    fitting = [s for s in sentences if len(s) <= 20 and set(s.tags) != {"O"}] or list(sentences)
    ambiguous = [s for s in fitting if "ambiguous" in s.metadata][:4]
    step = max(1, len(fitting) // count)
    rest = [s for s in fitting[::step] if s not in ambiguous]
    return list(itertools.islice([*ambiguous, *rest], count))


def tagged_text(tagger: SequenceTagger, sentence: TaggedSentence) -> Text:
    """A sentence as the tagger sees it, in colour where the console has colours.

    Args:
        tagger: the tagger.
        sentence: the sentence.

    Returns:
        The words; entities in brackets with their label, or each word with its tag.
    """
    labels = list(tagger.inventory.labels)
    styles = dict(zip(labels, itertools.cycle(_COLOURS)))
    words = list(sentence.tokens)
    text = Text()
    if tagger.inventory.scheme == "none":
        for token in tagger.predict([words])[0]:
            text.append(token.text)
            text.append(f"/{token.tag} ", style=styles[token.tag])
        return text
    entities = {entity.start: entity for entity in tagger.predict([words])[0]}
    place = 0
    while place < len(words):
        entity = entities.get(place)
        if entity is None:
            text.append(f"{words[place]} ")
            place += 1
        else:
            text.append(f"[{entity.text} {entity.label}]", style=f"bold {styles[entity.label]}")
            text.append(" ")
            place = entity.end
    return text


SCRIPT = TaggerScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
