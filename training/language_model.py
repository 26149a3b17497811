"""Trains a `LanguageModel`: the next word, character or byte of texts.

`python -m training.language_model` learns to write Python from the source files of Python's own
standard library. `--data builtin:grew_up_in --compare-cells` asks how far back each cell can look.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kerasrnn.cells import CELLS
from kerasrnn.data import GrewUpIn, load_running_texts, parse_grew_up_in
from kerasrnn.data.grew_up_in import TRAINED_CLAUSES, speakers
from kerasrnn.networks.options import NOT_NEGATIVE
from kerasrnn.zoo import LanguageModel

from . import plots
from .data import data_path, held_out, load_parts, measured_alone, naming_flags
from .fitting import RunCallback
from .flags import (
    COUNT,
    TrainingConfig,
    UsageError,
    filled,
    flag,
    given,
    with_options_of,
)
from .language_plots import accuracy_by_distance
from .run_folder import RunFolder
from .script import SAMPLE, Plan, Script, print_figures

PYTHON = "builtin:python"
DEFAULT_DATA = PYTHON
GREW_UP_IN = "builtin:grew_up_in"

# How much of Python's source files is read by default: some minutes' work on two cores.
_PYTHON_CHARACTERS = 1_000_000

# An epoch of carried states has at least so many batches, if they need not be of less than
# `_SMALLEST_BATCH` texts for it: a small book is learnt in small steps.
_LEAST_BATCHES, _LARGEST_BATCH, _SMALLEST_BATCH = 50, 64, 8

# How many characters a word has, with the space behind it.
_CHARACTERS_OF_A_WORD = 6

# Of the training data at most so many characters are measured: it only shows overfitting.
_TRAIN_CHARACTERS_MEASURED = 100_000

# What a request holds when the speed of serving is measured, in characters.
_SERVED_CHARACTERS = 200

_SAMPLE_TOKENS = {"characters": 600, "bytes": 600, "words": 120}


# The options for which there are better defaults than one for all.
_BY_DATA = (
    *("level", "units", "dimension", "tied"),
    *("recurrent_dropout", "layer_dropout", "output_dropout"),
)


@dataclass
@with_options_of(LanguageModel, by_data=_BY_DATA)
class LanguageModelConfig(TrainingConfig):
    """The flags of `python -m training.language_model`."""

    bidirectional: bool = flag(False, "refused: a language model reads from the left")
    limit: int | None = flag(
        None,
        "read at most so many characters of the training data, "
        f"for builtin:python {_PYTHON_CHARACTERS:,}",
        within=COUNT,
    )
    by_line: bool = flag(False, "each line of a file is a text of its own")
    carry: bool | None = flag(
        None, "one stream of text with carried states; --no-carry reads each text on its own"
    )
    segment_length: int = flag(
        100, "steps that the gradient goes back, with carried states", within=COUNT
    )
    min_count: int = flag(
        1,
        "how often a word or character must occur in training to be known",
        within=COUNT,
        of_new_models=True,
    )
    max_terms: int | None = flag(
        None,
        "how many words or characters are known at most",
        within=COUNT,
        of_new_models=True,
    )
    jit: bool = flag(False, "compile training steps with XLA; with --carry, on a GPU or one core")
    prompt: str | None = flag(None, "what the text shown at the end begins with")
    temperature: float = flag(
        0.7, "how daring that text is; 0 is always the likeliest", within=NOT_NEGATIVE
    )
    compare_cells: bool = flag(
        False, "builtin:grew_up_in: train each of the four cells, and draw them in one picture"
    )


@dataclass
class LanguageData:
    """The texts of a run; for `builtin:grew_up_in` also what their last words depend on."""

    train: list[str]
    validation: list[str]
    test: list[str]
    source: str
    sentences: dict[str, list[GrewUpIn]] = field(default_factory=dict)

    def sizes(self) -> dict[str, int]:
        """The number of texts and of characters of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            **{f"{name}_texts": len(part) for name, part in parts.items()},
            **{f"{name}_characters": sum(map(len, part)) for name, part in parts.items()},
        }


class LanguageModelScript(Script[LanguageModelConfig, LanguageData]):
    """Trains a `LanguageModel`."""

    name = "language_model"
    description = "Train a language model of words, characters or bytes."
    example = "--data book.txt --prompt Once"
    config_class = LanguageModelConfig
    task_class = LanguageModel
    counted = "tokens"  # words, characters or bytes

    # === Data ===

    def load_data(self, config: LanguageModelConfig, *, hold_out: bool = True) -> LanguageData:
        """Read the data that the flags name.

        Without `--validation`, it is the split of that name of a data set with splits, and for a
        file its last tenth, or a tenth of its texts if there are several.
        """
        if config.bidirectional:
            raise UsageError(
                "--bidirectional cannot be: what comes next must not be read before it is said."
            )
        source = measured_alone(config) or config.data or DEFAULT_DATA
        if config.compare_cells and source != GREW_UP_IN:
            raise UsageError(f"--compare-cells needs --data {GREW_UP_IN}.")
        if source == GREW_UP_IN:
            for name in ("validation", "test"):
                if getattr(config, name) is not None:
                    raise UsageError(f"--{name} goes with other data: {source} brings its own.")
            rows = {split: parse_grew_up_in(split) for split in ("train", "validation", "test")}
            texts = {split: [row.text for row in part] for split, part in rows.items()}
            return LanguageData(**texts, source=source, sentences=rows)

        @naming_flags(config)
        def load(name: str, split: str) -> list[str]:
            return load_running_texts(data_path(name), split=split, by_line=config.by_line)

        source, train, validation, test = load_parts(config, DEFAULT_DATA, load)
        if not validation and hold_out:
            train, validation = _last_tenth(train, source)
        limit = given(config.limit, _PYTHON_CHARACTERS if source == PYTHON else None)
        if limit is not None and not _measured_whole(config, source):
            train = _first(train, limit)
            # What is measured is read one token after the other: a tenth of it is enough.
            validation = _first(validation, max(20_000, limit // 25))
            test = _first(test, max(20_000, limit // 25))
        return LanguageData(train, validation, test, source)

    def with_defaults(self, config: LanguageModelConfig, data: LanguageData) -> LanguageModelConfig:
        sentences = bool(data.sentences)
        level = config.options.get("level") or ("words" if sentences else "characters")
        words = level == "words"
        size = sum(map(len, data.train))
        python = data.source == "builtin:python"
        # Much text needs little regularisation, and few passes.
        few, dropout = (size < 3_000_000 and not python), 0.3
        if sentences or not few:
            dropout = 0.0
        carry = config.carry
        if carry is None:
            carry = not (sentences or config.by_line)
        tokens = size // _CHARACTERS_OF_A_WORD if words else size
        batch_size = _LARGEST_BATCH
        if carry:
            most = tokens // (_LEAST_BATCHES * config.segment_length)
            while batch_size > max(most, _SMALLEST_BATCH):
                batch_size //= 2
        epochs = 15 if few else 3
        if words and carry and batch_size == _SMALLEST_BATCH:
            epochs = 5  # the words of a small book are soon learnt by heart

        return config.with_defaults(
            data=data.source,
            level=level,
            carry=carry,
            limit=_PYTHON_CHARACTERS if python else None,
            units=64 if sentences else 256 if python else 512,
            dimension=(32 if sentences else 256) if words else 64,
            tied=words and not sentences,
            epochs=24 if sentences else epochs,
            batch_size=32 if sentences else batch_size,
            learning_rate=0.01 if sentences else 0.003,
            recurrent_dropout=2 * dropout / 3,
            layer_dropout=dropout,
            output_dropout=dropout,
        )

    # === Model ===

    def new_model(
        self, config: LanguageModelConfig, data: LanguageData, options: dict[str, Any]
    ) -> LanguageModel:
        return self.task_class.from_texts(
            data.train, min_count=config.min_count, max_terms=config.max_terms, **options
        )

    def for_preset(self, config: LanguageModelConfig, model: LanguageModel) -> LanguageModelConfig:
        carry = not (config.data == GREW_UP_IN or config.by_line)
        return super().for_preset(config, model).with_defaults(carry=carry)

    def describe(
        self, config: LanguageModelConfig, data: LanguageData, model: LanguageModel
    ) -> str:
        sizes = data.sizes()
        parts = ", ".join(
            f"{sizes[f'{name}_characters']:,} {what}"
            for name, what in (
                ("train", "characters to train on"),
                ("validation", "to validate"),
                ("test", "to test"),
            )
        )
        known = model.text_units.size - 2  # without the boundary and the unknown one
        settings = model.settings
        return (
            f"{data.source}: {parts}, {known} {settings['level']}\n"
            f"{settings['cell']}, {settings['depth']} × {settings['units']} units"
        )

    def plan(self, config: LanguageModelConfig, data: LanguageData, model: LanguageModel) -> Plan:
        train = model.read(data.train)
        options: dict[str, Any] = {
            "segment_length": config.segment_length,
            "carry": filled(config.carry),
        }
        steps = len(model.batches(train, filled(config.batch_size), **options))

        def fit(**others: Any) -> None:
            model.fit(
                train,
                validation_data=data.validation,
                batch_size=filled(config.batch_size),
                seed=config.seed,
                **options,
                **others,
            )

        figure = _figure_of(model)
        return Plan(
            fit=fit,
            steps=steps,
            counted=sum(len(ids) + 1 for ids in train),
            monitor="val_loss",
            maximize=False,
            figures={"loss": "loss", "val_loss": "val loss", f"val_{figure}": f"val {figure}"},
            compile={"jit_compile": config.jit},
            sample=_pieces(train, config.segment_length),
        )

    # === Results ===

    def measure(
        self, model: LanguageModel, data: LanguageData, config: LanguageModelConfig
    ) -> dict[str, dict[str, Any]]:
        carry = config.carry is not False
        parts: dict[str, dict[str, Any]] = {}
        for name in ("train", "validation", "test"):
            texts = getattr(data, name)
            if name == "train" and not _measured_whole(config, data.source):
                # To save time it is not read in one go.
                part = _first(texts, _TRAIN_CHARACTERS_MEASURED)
                parts[name] = model.evaluate(part, carry=carry, context=256)
            else:
                parts[name] = model.evaluate(texts, carry=carry) if texts else {}
        for name in ("validation", "test") if data.sentences else ():
            rows = _by_distance(model, data.sentences[name])
            right = sum(row["accuracy"] * row["number"] for row in rows)
            parts[name]["accuracy"] = right / sum(row["number"] for row in rows)
            parts[name]["distances"] = rows
        return parts

    def draw(
        self,
        folder: RunFolder,
        model: LanguageModel,
        data: LanguageData,
        run: RunCallback,
        config: LanguageModelConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        figure = _figure_of(model)
        plots.learning_curves(
            folder.plots / "learning_curves.png",
            run.history,
            losses={"loss": "training", "val_loss": "validation"},
            figures={f"val_{figure}": "validation"},
            best_epoch=run.best_epoch,
            figure_label=figure.replace("_", " "),
        )
        if data.sentences:
            rows = metrics["test"]["distances"]
            cell = model.settings["cell"]
            _draw_distances(folder.plots / "accuracy_by_distance.png", {cell: rows})

    def show(
        self,
        console: Console,
        model: LanguageModel,
        data: LanguageData,
        metrics: Mapping[str, Any],
    ) -> None:
        print_figures(console, metrics, loss="nats a token")
        if data.sentences:
            self._show_sentences(console, model, data, metrics)
            return
        prompt = self._prompt(data)
        [text] = model.generate(
            [prompt],
            max_tokens=_SAMPLE_TOKENS[model.settings["level"]],
            temperature=self._temperature,
            seed=int(metrics["seed"]),
        )
        console.print(f"\nA text at temperature {self._temperature:g}:", highlight=False)
        if not console.is_terminal:
            print(f"\n{text}", file=console.file)  # as it is, tabs and all
            return
        shown = Text(prompt, style="bold")
        shown.append(text[len(prompt) :], style="not bold")
        console.print(Padding(shown, (1, 0, 0, 2)))

    _given_prompt: str | None = None
    _temperature: float = 0.7

    def _prompt(self, data: LanguageData) -> str:
        if self._given_prompt is not None:
            return self._given_prompt
        if data.source == "builtin:python":
            return "def "
        text = (data.validation or data.test or data.train)[0]
        return text[: text.find("\n", 20) + 1] if "\n" in text[20:200] else text[:40]

    def _show_sentences(
        self,
        console: Console,
        model: LanguageModel,
        data: LanguageData,
        metrics: Mapping[str, Any],
    ) -> None:
        table = Table(title="test data: right languages", title_justify="left")
        for title in ("words in between", "per cent right", "sentences"):
            table.add_column(title, justify="right")
        for row in metrics["test"]["distances"]:
            table.add_row(
                f"{row['distance']:.0f}", f"{100 * row['accuracy']:.0f}", str(row["number"])
            )
        console.print()
        console.print(table)
        rows = [next(r for r in data.sentences["test"] if r.clauses == n) for n in (0, 1, 2, 4)]
        console.print()
        for row, [best, *_] in zip(rows, model.predict([r.prompt for r in rows]), strict=True):
            sentence = Text(f"{row.prompt} ")
            right = best.text == row.language
            named = best.text or "[end of text]"
            sentence.append(named, style="bold bright_green" if right else "bold bright_red")
            sentence.append(f" ({best.probability:.0%}" + ("" if right else f", {row.language}"))
            console.print(sentence.append(")"))

    def requests(self, model: LanguageModel, data: LanguageData) -> list[dict[str, Any]]:
        texts = data.validation or data.test or data.train
        pieces = [
            text[begin : begin + _SERVED_CHARACTERS]
            for text in texts
            for begin in range(0, len(text), _SERVED_CHARACTERS)
        ][:256]
        return [{"text": pieces[begin : begin + 32]} for begin in range(0, len(pieces), 32)]

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        return int(response["lengths"].sum())

    # === Runs ===

    def train(
        self, config: LanguageModelConfig, folder: RunFolder, console: Console
    ) -> dict[str, Any]:
        self._given_prompt, self._temperature = config.prompt, config.temperature
        if config.compare_cells:
            return self._compare(config, folder, console)
        return super().train(config, folder, console)

    def evaluate(
        self, config: LanguageModelConfig, folder: RunFolder, console: Console
    ) -> dict[str, Any]:
        self._given_prompt, self._temperature = config.prompt, config.temperature
        return super().evaluate(config, folder, console)

    def _compare(
        self, config: LanguageModelConfig, folder: RunFolder, console: Console
    ) -> dict[str, Any]:
        """A run of each cell, in folders of their own, and one picture of all of them."""
        if config.preset:
            raise UsageError("--compare-cells makes new models and takes no --preset.")
        data = self.load_data(config)
        folder.write_config(self.with_defaults(config, data), data=data.sizes())
        runs: dict[str, dict[str, Any]] = {}
        for cell in CELLS:
            out = folder.path / cell
            begun = config.resume and (out / "config.toml").exists()
            changes: dict[str, Any] = {"cell": cell, "compare_cells": False, "resume": begun}
            own = replace(config, out=str(out), **changes)
            console.print(f"\n=== {cell} ===", style="bold")
            with RunFolder(out, resume=begun) as own_folder:
                runs[cell] = super().train(own, own_folder, console)
        rows = {cell: run["test"]["distances"] for cell, run in runs.items()}
        folder.plots.mkdir(exist_ok=True)
        path = folder.plots / "accuracy_by_distance.png"
        _draw_distances(path, rows)
        metrics = {"model": "LanguageModel", "dataset": data.source, "cells": runs}
        folder.write_metrics(metrics)
        table = Table(title="test data: right languages, per cent", title_justify="left")
        table.add_column("words in between", justify="right")
        for cell in rows:
            table.add_column(cell, justify="right")
        for each in zip(*rows.values(), strict=True):
            shares = [f"{100 * row['accuracy']:.0f}" for row in each]
            table.add_row(f"{each[0]['distance']:.0f}", *shares)
        console.print()
        console.print(table)
        console.print(f"{path}", highlight=False)
        return metrics


def _measured_whole(config: LanguageModelConfig, source: str) -> bool:
    """Whether data is measured to its end: with --evaluate-only, but for Python's own files."""
    return config.evaluate_only and source != PYTHON


def _pieces(texts: Sequence[np.ndarray], length: int) -> list[np.ndarray]:
    """The first pieces of that length, or less at the end of a text."""
    pieces = (ids[i : i + length] for ids in texts for i in range(0, len(ids), length))
    return list(itertools.islice(pieces, SAMPLE))


def _figure_of(model: LanguageModel) -> str:
    """The figure that is shown beside the loss."""
    level = model.settings["level"]
    return {"characters": "bits_per_char", "bytes": "bits_per_byte"}.get(level, "perplexity")


def _by_distance(model: LanguageModel, rows: Sequence[GrewUpIn]) -> list[dict[str, float]]:
    """The share of right languages among sentences with as many clauses in between."""
    answers = model.predict([row.prompt for row in rows], top=1)
    found = []
    for clauses in sorted({row.clauses for row in rows}):
        some = [
            (row, best.text)
            for row, [best] in zip(rows, answers, strict=True)
            if row.clauses == clauses
        ]
        found.append(
            {
                "clauses": clauses,
                "distance": statistics.fmean(row.distance for row, _ in some),
                "accuracy": statistics.fmean(row.language == word for row, word in some),
                "number": len(some),
            }
        )
    return found


def _draw_distances(path: Path, curves: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    rows = next(iter(curves.values()))
    trained = [row["distance"] for row in rows if row["clauses"] <= max(TRAINED_CLAUSES)]
    accuracy_by_distance(
        path,
        curves,
        longest_trained=max(trained),
        chance=1 / len(speakers()),
        title="“I grew up in France …, therefore I speak ___”",
    )


def _last_tenth(texts: list[str], source: str) -> tuple[list[str], list[str]]:
    """The end of a single text, or a tenth of several texts."""
    if len(texts) > 1:
        return held_out(texts, 0.1)
    cut = len(texts[0]) - len(texts[0]) // 10
    if cut in (0, len(texts[0])):
        raise UsageError(f"{source} is too short to hold out a tenth of it. Use --validation.")
    return [texts[0][:cut]], [texts[0][cut:]]


def _first(texts: Sequence[str], characters: int) -> list[str]:
    """The first texts, the last of them cut, of so many characters in all."""
    found: list[str] = []
    for text in texts:
        if characters <= 0:
            break
        found.append(text[:characters])
        characters -= len(text)
    return found


SCRIPT = LanguageModelScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
