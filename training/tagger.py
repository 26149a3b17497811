"""Trains a `SequenceTagger`: entities, parts of speech or slots.

`python -m training.tagger` trains on the corpus that comes with the package.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasrnn.data import TaggedSentence, check_tags, infer_scheme, load_sentences
from kerasrnn.embeddings import read_terms, read_vectors
from kerasrnn.serving import serving_command
from kerasrnn.text import spans
from kerasrnn.zoo import SequenceTagger
from kerasrnn.zoo.sequence_tagger import SCHEMES
from kerasrnn.zoo.tagger_network import SPELLINGS
from training import plots
from training.common import (
    RunCallback,
    RunFolder,
    TrainingConfig,
    UsageError,
    decaying_adam,
    fit_run,
    flag,
    held_out,
    make_console,
    parameters_of,
    parse_config,
    reporting_errors,
    set_seeds,
    settings_of,
)

DEFAULT_DATA = "builtin:entities"

Number = TypeVar("Number", int, float)

# What a model is made of; `--preset` brings its own.
_NETWORK_FLAGS = (
    "cell",
    "units",
    "depth",
    "bidirectional",
    "scheme",
    "crf",
    "characters",
    "word_dimension",
    "character_units",
    "embeddings",
    "freeze_embeddings",
    "vector_words",
    "min_count",
    "sentence_labels",
    "split_contractions",
)

# At most so many training sentences are measured at the end: the figure only shows overfitting.
_TRAIN_SENTENCES_MEASURED = 2000

_COLOURS = ("bright_cyan", "bright_green", "bright_magenta", "bright_yellow", "bright_red")


@dataclass
class TaggerConfig(TrainingConfig):
    """The flags of `python -m training.tagger`."""

    column: str | None = flag(None, "where the tags are: a number, or upos, xpos … for CoNLL-U")
    scheme: str | None = flag(
        None, "what the model's tags mean; BIO or none, as the data has it", choices=SCHEMES
    )
    crf: bool | None = flag(
        None, "choose tags together (conditional random field); by default for entities"
    )
    characters: str = flag("cnn", "how a word's spelling is read", choices=SPELLINGS)
    embeddings: str | None = flag(
        None, "word vectors: GloVe or word2vec text, .gz too, or glove-6b-50d of an extra package"
    )
    freeze_embeddings: bool = flag(False, "do not train the word vectors of --embeddings")
    vector_words: int = flag(
        20_000, "how many of the first words of --embeddings to know besides those of the data"
    )
    word_dimension: int = flag(100, "length of a word's embedding without --embeddings")
    character_units: int = flag(50, "length of the vector of a word's spelling")
    min_count: int = flag(1, "how often a word must occur in training to be known")
    dropout: float = flag(0.5, "share of components dropped before and behind the recurrent layers")
    word_dropout: float | None = flag(
        None, "share of words taken for unknown in training; by the size of the data"
    )
    patience: int | None = flag(None, "stop after as many epochs without a better figure")
    sentence_labels: bool = flag(True, "learn the sentences' labels (intents) where data has them")
    split_contractions: bool | None = flag(
        None, "split raw text as in the Penn Treebank; as CoNLL-U data needs it by default"
    )


@dataclass
class TaggerData:
    """The sentences of a run."""

    train: list[TaggedSentence]
    validation: list[TaggedSentence]
    test: list[TaggedSentence]
    scheme: str
    source: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    console = make_console()
    config: TaggerConfig | None = None
    with reporting_errors(console, "tagger", lambda: config.out if config else None):
        config = parse_config(
            TaggerConfig, arguments, name="tagger", description="Train a tagger of words."
        )
        folder = RunFolder(config.out or "", resume=config.resume)
        if config.evaluate_only:
            measure(config, folder, console)
        else:
            train(config, folder, console)


def train(config: TaggerConfig, folder: RunFolder, console: Console) -> dict[str, Any]:
    """Load data, train, measure, plot, save, export.

    Args:
        config: the settings.
        folder: where everything goes.
        console: where to print.

    Returns:
        The content of `metrics.json`.
    """
    set_seeds(config.seed)
    data = load_data(config)
    config = with_defaults(config, data)
    folder.write_config(config, data=_sizes(data))
    tagger = make_tagger(config, data)
    _check_tags(tagger, config, data)
    steps = -(-len(data.train) // _set(config.batch_size))
    epochs = _set(config.epochs)
    tagger.compile(decaying_adam(_set(config.learning_rate), epochs * steps))
    _describe(console, config, data, tagger)

    monitor = "val_f1" if data.scheme != "none" else "val_accuracy"

    def fit(**options: Any) -> None:
        tagger.fit(
            data.train,
            validation_data=data.validation,
            batch_size=_set(config.batch_size),
            seed=config.seed,
            **options,
        )

    run = fit_run(
        fit,
        tagger,
        folder,
        console,
        epochs=epochs,
        steps=steps,
        monitor=monitor,
        figures={"loss": "loss", "val_loss": "val loss", monitor: monitor.replace("_", " ")},
        patience=config.patience,
    )
    # Best first: a preset and an export exist even if something goes wrong in a picture.
    tagger.save_to_preset(folder.preset, extra={"training": settings_of(config)})
    report = tagger.export(folder.savedmodel, version=1, overwrite=True)
    metrics = {
        "model": "SequenceTagger",
        "dataset": data.source,
        "seed": config.seed,
        "parameters": parameters_of(tagger),
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "seconds": round(run.seconds, 1),
        "words_per_second": round(
            sum(map(len, data.train)) * len(run.history) / max(run.seconds, 1e-9)
        ),
        **_measured(tagger, data),
    }
    folder.write_metrics(metrics)
    draw(folder, tagger, data, run)
    show(console, tagger, data, metrics)
    console.print(f"\n{report}", style="bold", highlight=False, markup=False, soft_wrap=True)
    command = serving_command(folder.savedmodel, "tagger")
    console.print(f"\n{command}", highlight=False, markup=False, soft_wrap=True)
    return metrics


def measure(config: TaggerConfig, folder: RunFolder, console: Console) -> dict[str, Any]:
    """Measure a preset on all data that is given, and do nothing else.

    Args:
        config: the settings; `preset` is set.
        folder: where `config.toml` and `metrics.json` go.
        console: where to print.

    Returns:
        The content of `metrics.json`.
    """
    tagger = SequenceTagger.from_preset(config.preset or "")
    scheme = tagger.inventory.scheme
    data = load_data(replace(config, scheme=scheme), hold_out=False)
    _check_tags(tagger, config, data)
    folder.write_config(config, data=_sizes(data))
    metrics = {
        "model": "SequenceTagger",
        "dataset": data.source,
        "seed": config.seed,
        "parameters": parameters_of(tagger),
        "epochs": 0,
        "seconds": 0.0,
        **_measured(tagger, data),
    }
    folder.write_metrics(metrics)
    show(console, tagger, data, metrics)
    console.print(f"\n{folder.path / 'metrics.json'}", highlight=False)
    return metrics


# === Data ===


def load_data(config: TaggerConfig, *, hold_out: bool = True) -> TaggerData:
    """Read the data that the flags name.

    Without `--validation`, it is the split of that name of a data set with splits, and for a file
    every tenth sentence, chosen by chance but always the same.

    Args:
        config: the settings.
        hold_out: whether to split off validation data where there is none.

    Returns:
        The sentences, in the scheme of `config` or else in that of the data.

    Raises:
        ValueError: if data cannot be read; the file and line are named.
    """
    source = config.data or DEFAULT_DATA
    column = config.column
    scheme = config.scheme
    if scheme is None:
        raw = load_sentences(source, column=column)
        scheme = "none" if infer_scheme([s.tags for s in raw]) == "none" else "BIO"

    def load(name: str, split: str) -> list[TaggedSentence]:
        wanted = None if scheme == "none" else scheme
        return load_sentences(name, split=split, column=column, scheme=wanted)

    rows = load(source, "train")
    has_splits = source.startswith(("builtin:", "tfds:"))
    validation = load(config.validation, "validation") if config.validation else []
    test = load(config.test, "test") if config.test else []
    if has_splits and not config.validation:
        validation = _split_if_any(load, source, "validation")
    if has_splits and not config.test:
        test = _split_if_any(load, source, "test")
    if not validation and hold_out:
        if len(rows) < 2:
            raise UsageError(
                f"{source} has one sentence: nothing can be held out. Use --validation."
            )
        rows, validation = held_out(rows, 0.1)
    return TaggerData(rows, validation, test, scheme, source)


def _split_if_any(load: Any, source: str, split: str) -> list[TaggedSentence]:
    try:
        return load(source, split)
    except ValueError as error:
        if "split" not in str(error):
            raise
        return []


def with_defaults(config: TaggerConfig, data: TaggerData) -> TaggerConfig:
    """Fill in the settings that depend on the size of the data.

    Args:
        config: the settings, None where the size of the data decides.
        data: the data.

    Returns:
        Settings without such gaps.
    """
    many = len(data.train) > 6000
    conllu = config.column is not None and not config.column.lstrip("-").isdigit()
    return replace(
        config,
        data=data.source,
        scheme=data.scheme,
        units=config.units or (150 if many else 100),
        epochs=config.epochs or (12 if many else 20),
        batch_size=config.batch_size or (32 if many else 16),
        learning_rate=config.learning_rate or (0.003 if many else 0.006),
        # Where there are few sentences, most names of other texts are unknown words.
        word_dropout=(
            (0.05 if many else 0.2) if config.word_dropout is None else config.word_dropout
        ),
        # Tags that stand for themselves gain little from a field, which costs a fifth more time.
        crf=data.scheme != "none" if config.crf is None else config.crf,
        split_contractions=(
            conllu if config.split_contractions is None else config.split_contractions
        ),
    )


def make_tagger(config: TaggerConfig, data: TaggerData) -> SequenceTagger:
    """The tagger to train: a new one, or the preset's.

    Args:
        config: the settings, without gaps.
        data: the data; its training sentences give the vocabularies.

    Returns:
        A tagger, not yet compiled.

    Raises:
        UsageError: if a flag describes the network while `--preset` brings one.
    """
    if config.preset:
        given = [name for name in _NETWORK_FLAGS if name in config.given]
        if given:
            raise UsageError(
                f"--preset brings its own network: --{given[0].replace('_', '-')} cannot be set."
            )
        return SequenceTagger.from_preset(
            config.preset, dropout=config.dropout, word_dropout=_set(config.word_dropout)
        )
    arguments: dict[str, Any] = {}
    extra: list[str] = []
    if config.embeddings:
        # Files of vectors have frequent words first; those of the training data are added to them.
        extra = read_terms(config.embeddings)[: config.vector_words]
        arguments["word_dimension"] = read_vectors(config.embeddings, extra[:1]).matrix.shape[1]
        arguments["train_words"] = not config.freeze_embeddings
        arguments["normalize_digits"] = False  # the files have numbers as they are
    else:
        arguments["word_dimension"] = config.word_dimension
    if not config.sentence_labels:
        arguments["labels"] = None
    tagger = SequenceTagger.from_sentences(
        data.train if config.sentence_labels else [replace(s, label=None) for s in data.train],
        scheme=data.scheme,
        min_count=config.min_count,
        extra_words=extra,
        cell=config.cell,
        units=_set(config.units),
        depth=config.depth,
        bidirectional=config.bidirectional,
        crf=bool(config.crf),
        spelling=config.characters,
        character_units=config.character_units,
        dropout=config.dropout,
        layer_dropout=config.dropout if config.depth > 1 else 0.0,
        word_dropout=_set(config.word_dropout),
        split_contractions=bool(config.split_contractions),
        **arguments,
    )
    if config.embeddings:
        vectors = read_vectors(config.embeddings, tagger.vocabulary.terms)
        # Ids 0 and 1 are padding and the unknown word, which no file has.
        tagger.set_word_vectors(
            np.pad(vectors.matrix, [(2, 0), (0, 0)]), np.pad(vectors.found, (2, 0))
        )
    return tagger


def _check_tags(tagger: SequenceTagger, config: TaggerConfig, data: TaggerData) -> None:
    """Tags that the tagger does not know fail now, with the file's name, not after an hour."""
    known = tagger.inventory.tags
    check_tags(data.train, known, data.source)
    check_tags(data.validation, known, config.validation or data.source)
    check_tags(data.test, known, config.test or data.source)


def _set(value: Number | None) -> Number:
    if value is None:
        raise ValueError("The settings have gaps; see `with_defaults`.")
    return value


def _sizes(data: TaggerData) -> dict[str, int]:
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    return {f"{name}_sentences": len(part) for name, part in parts.items()}


# === Results ===


def _measured(tagger: SequenceTagger, data: TaggerData) -> dict[str, Any]:
    parts = {
        "train": data.train[:_TRAIN_SENTENCES_MEASURED],
        "validation": data.validation,
        "test": data.test,
    }
    return {name: tagger.evaluate(part) if part else {} for name, part in parts.items()}


def draw(folder: RunFolder, tagger: SequenceTagger, data: TaggerData, run: RunCallback) -> None:
    """Draw the learning curves, F1 for each label, and the confusion matrix.

    Args:
        folder: the run's folder; the pictures go to `plots/`.
        tagger: the trained tagger.
        data: the data; what is measured is the validation part.
        run: the training's history.
    """
    folder.plots.mkdir(exist_ok=True)
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
    predicted = tagger.predict_tags([list(sentence.tokens) for sentence in data.validation])
    pairs = Counter(
        pair
        for right, answer in zip(gold, predicted, strict=True)
        for pair in zip(_plain_labels(right, single), _plain_labels(answer, single), strict=True)
    )
    labels = sorted(
        {label for pair in pairs for label in pair}, key=lambda name: (name == "O", name)
    )
    counts = np.array([[pairs[right, answer] for answer in labels] for right in labels])
    plots.confusion_matrix(
        folder.plots / "confusion_matrix.png", labels, counts, "Words of the validation data"
    )
    types = tagger.evaluate(data.validation)["types"]
    if types:
        title = "Words by tag" if single else "Entities by type"
        plots.type_scores(folder.plots / "f1_by_type.png", types, f"{title}, validation data")


def _plain_labels(tags: Sequence[str], single: bool) -> list[str]:
    """What each word is, whether it begins an entity or goes on with one."""
    if single:
        return list(tags)
    labels = ["O"] * len(tags)
    for label, first, last in spans(tags):
        labels[first:last] = [label] * (last - first)
    return labels


def show(
    console: Console, tagger: SequenceTagger, data: TaggerData, metrics: dict[str, Any]
) -> None:
    """Print the figures of the validation or test data, and a few tagged sentences.

    Args:
        console: where to print.
        tagger: the trained tagger.
        data: the data.
        metrics: the content of `metrics.json`.
    """
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
            f"accuracy of sentence labels: {100 * scores['label_accuracy']:.2f} %", highlight=False
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
        console.print(tagged_text(tagger, sentence))


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


def _describe(
    console: Console, config: TaggerConfig, data: TaggerData, tagger: SequenceTagger
) -> None:
    settings = tagger.settings
    direction = "two directions" if settings["bidirectional"] else "one direction"
    head = "CRF" if settings["crf"] else "softmax"
    console.print(
        f"{data.source}: {len(data.train)} sentences to train on, {len(data.validation)} to "
        f"validate, {len(data.test)} to test, {tagger.inventory.size} tags\n"
        f"{settings['cell']} in {direction}, {settings['units']} units, {head}, "
        f"{parameters_of(tagger):,} weights, seed {config.seed} → {config.out}",
        highlight=False,
        markup=False,
    )


if __name__ == "__main__":
    main()
