"""Trains an `EncoderDecoder`: translations, normal forms, or dates in ISO 8601.

`python -m training.encoder_decoder` trains on dates in 28 languages, generated from Unicode's CLDR.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kerasrnn.data import TextPair, load_pairs
from kerasrnn.data.date_patterns import ISO_DATE, date_text_pattern
from kerasrnn.data.pairs import date_locales
from kerasrnn.networks.options import NOT_NEGATIVE, Number
from kerasrnn.zoo import EncoderDecoder

from . import plots
from .alignment_plot import attention_maps, font_with
from .data import data_path, held_out, measured_alone, naming_flags
from .fitting import RunCallback
from .flags import COUNT, TrainingConfig, UsageError, filled, flag, with_options_of
from .run_folder import RunFolder
from .script import SAMPLE, Plan, Script

DEFAULT_DATA = "builtin:dates"

# At most so many training pairs, of all of them, are measured at the end: the figure only shows
# overfitting.
_TRAIN_PAIRS_MEASURED = 1000
_LONGEST_DRAWN = 40

_PENALTIES = Number("at least 0 and below 100", lambda number: 0 <= number < 100)


# The options for which there are better defaults than one for all.
_BY_DATA = (
    *("source_level", "target_level", "units", "source_dimension", "target_dimension"),
    *("dropout", "layer_dropout", "max_length", "text_pattern", "answer_pattern"),
)


@dataclass
@with_options_of(EncoderDecoder, by_data=_BY_DATA)
class EncoderDecoderConfig(TrainingConfig):
    """The flags of `python -m training.encoder_decoder`."""

    data: str | None = flag(
        None, "training data: a file of pairs, the texts to read of two files, or builtin:dates"
    )
    target: str | None = flag(
        None, "the texts to write, a line for each line of --data; else a column of it"
    )
    validation_target: str | None = flag(None, "the same for --validation")
    test_target: str | None = flag(None, "the same for --test")
    source_column: int = flag(
        0, "the column of the texts to read, in a file of columns", within=NOT_NEGATIVE
    )
    target_column: int = flag(1, "the column of the texts to write", within=NOT_NEGATIVE)
    header: bool | None = flag(
        None, "whether the first line of a file of columns names them; by what it says by default"
    )
    min_count: int | None = flag(
        None,
        "how often a token must occur to be known; 2 for words of large data",
        within=COUNT,
        of_new_models=True,
    )
    max_terms: int | None = flag(
        None,
        "how many tokens are known at most, on either side",
        within=COUNT,
        of_new_models=True,
    )
    beam_size: int | None = flag(
        None,
        "beginnings followed when the model is measured; 1 for characters, 5 for words",
        within=COUNT,
    )
    length_penalty: float = flag(
        0.6, "how much a beam favours long texts; 0 for not at all", within=_PENALTIES
    )


@dataclass
class PairData:
    """The pairs of a run."""

    train: list[TextPair]
    validation: list[TextPair]
    test: list[TextPair]
    source: str

    def sizes(self) -> dict[str, int]:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {f"{name}_pairs": len(part) for name, part in parts.items()}


class EncoderDecoderScript(Script[EncoderDecoderConfig, PairData]):
    """Trains an `EncoderDecoder`."""

    name = "encoder_decoder"
    description = "Train a model that writes one text from another."
    example = "--data pairs.tsv --epochs 10"
    config_class = EncoderDecoderConfig
    task_class = EncoderDecoder
    counted = "tokens"  # characters or words that are written

    # === Data ===

    def load_data(self, config: EncoderDecoderConfig, *, hold_out: bool = True) -> PairData:
        """Read the data that the flags name.

        Without `--validation`, it is the split of that name of built-in data, and of a file the
        pairs of a tenth of its sources, chosen by chance but always the same: of a source with
        several targets, none is in both parts.
        """
        source = config.data or DEFAULT_DATA
        builtin = source.startswith("builtin:")

        @naming_flags(config)
        def load(name: str, target: str | None, split: str) -> list[TextPair]:
            return load_pairs(
                data_path(name),
                None if target is None else data_path(target),
                split=split,
                source_column=config.source_column,
                target_column=config.target_column,
                header=config.header,
            )

        for part, text, target in (
            ("validation", config.validation, config.validation_target),
            ("test", config.test, config.test_target),
        ):
            if target and not text:
                raise UsageError(f"--{part}-target needs --{part}, the texts to read.")
            if text and config.target and not target and not text.startswith("builtin:"):
                raise UsageError(
                    f"--target says that data lies in two files: --{part} needs --{part}-target."
                )
        alone = measured_alone(config)
        train = [] if alone else load(source, config.target, "train")
        parts = {}
        for part, text, target in (
            ("validation", config.validation, config.validation_target),
            ("test", config.test, config.test_target),
        ):
            if text:
                parts[part] = load(text, target, part)
            else:
                parts[part] = load(source, None, part) if builtin and not alone else []
        if not parts["validation"] and hold_out:
            sources = list(dict.fromkeys(pair.source for pair in train))
            if len(sources) < 2:
                raise UsageError(
                    f"{source} has one source: nothing can be held out. Use --validation."
                )
            chosen = set(held_out(sources, 0.1)[1])
            parts["validation"] = [pair for pair in train if pair.source in chosen]
            train = [pair for pair in train if pair.source not in chosen]
        return PairData(train, parts["validation"], parts["test"], alone or source)

    def with_defaults(self, config: EncoderDecoderConfig, data: PairData) -> EncoderDecoderConfig:
        dates = data.source.startswith("builtin:dates")
        level = "characters" if dates else "words"
        source_level = config.options.get("source_level", level)
        target_level = config.options.get("target_level", level)
        many = len(data.train) > 10_000
        # One alphabet, or several and thousands of Chinese characters.
        letters = len({letter for pair in data.train if pair.target for letter in pair.source})
        if target_level == "words":
            units, dimensions = (256 if many else 128), (128, 128)
        else:
            units, dimensions = (64, (32, 16)) if letters <= 100 else (128, (64, 32))
        if source_level == "words":
            dimensions = (128, dimensions[1])
        epochs = 12 if many else 20
        if dates:  # of several languages, an epoch takes twice as long
            epochs = 10 if letters <= 100 else 6

        many_words = "words" in (source_level, target_level) and many
        config = config.with_defaults(
            data=data.source,
            source_level=source_level,
            target_level=target_level,
            units=units,
            source_dimension=dimensions[0],
            target_dimension=dimensions[1],
            epochs=epochs,
            # Of few pairs, small batches make steps enough.
            batch_size=64 if many else 16,
            learning_rate=0.004 if dates else 0.002,
            min_count=2 if dates or many_words else 1,
            dropout=0.0 if dates else 0.3,
            beam_size=5 if target_level == "words" else 1,
            text_pattern=date_text_pattern(date_locales(data.source)) if dates else None,
            answer_pattern=ISO_DATE if dates else None,
        )
        deep = config.option("depth") > 1
        return config.with_defaults(layer_dropout=config.option("dropout") if deep else 0.0)

    # === Model ===

    def new_model(
        self, config: EncoderDecoderConfig, data: PairData, options: dict[str, Any]
    ) -> EncoderDecoder:
        return self.task_class.from_pairs(
            _asked(data.train, options.get("text_pattern")),
            min_count=filled(config.min_count),
            max_terms=config.max_terms,
            **options,
        )

    def for_preset(
        self, config: EncoderDecoderConfig, model: EncoderDecoder
    ) -> EncoderDecoderConfig:
        words = model.settings["target_level"] == "words"
        return super().for_preset(config, model).with_defaults(beam_size=5 if words else 1)

    def describe(self, config: EncoderDecoderConfig, data: PairData, model: EncoderDecoder) -> str:
        settings = model.settings
        direction = "two directions" if settings["bidirectional"] else "one direction"
        attention = settings["attention"] if settings["attention"] != "none" else "no"
        return (
            f"{data.source}: {len(data.train)} pairs to train on, {len(data.validation)} to "
            f"validate, {len(data.test)} to test; from {len(model.source_vocabulary.terms)} "
            f"{settings['source_level']} to {len(model.target_vocabulary.terms)} "
            f"{settings['target_level']}\n"
            f"{settings['cell']} in {direction}, {settings['units']} units, {attention} attention"
        )

    def plan(self, config: EncoderDecoderConfig, data: PairData, model: EncoderDecoder) -> Plan:
        train = _asked(data.train, model.settings["text_pattern"])

        def fit(**options: Any) -> None:
            model.fit(
                train,
                validation_data=data.validation,
                batch_size=filled(config.batch_size),
                seed=config.seed,
                **options,
            )

        # Words have many right answers: a translation is judged by BLEU where that can be had.
        words = model.settings["target_level"] == "words"
        by_bleu = words and importlib.util.find_spec("sacrebleu") is not None
        return Plan(
            fit=fit,
            steps=-(-len(train) // filled(config.batch_size)),
            counted=model.count_target_tokens(train),
            monitor="val_bleu" if by_bleu else "val_loss",
            maximize=by_bleu,
            figures={
                "loss": "loss",
                "val_loss": "val loss",
                "val_exact_match": "val exact match",
                "val_bleu": "val BLEU",
            },
            sample=train[:SAMPLE],
        )

    # === Results ===

    def measure(
        self, model: EncoderDecoder, data: PairData, config: EncoderDecoderConfig
    ) -> dict[str, dict[str, Any]]:
        parts = {
            "train": data.train if config.evaluate_only else _measured(data.train),
            "validation": data.validation,
            "test": data.test,
        }
        options: dict[str, Any] = {
            "length_penalty": config.length_penalty,
            "beam_size": filled(config.beam_size),
        }
        return {
            name: model.evaluate(part, **options) if part else {} for name, part in parts.items()
        }

    def draw(
        self,
        folder: RunFolder,
        model: EncoderDecoder,
        data: PairData,
        run: RunCallback,
        config: EncoderDecoderConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        words = model.settings["target_level"] == "words"
        plots.learning_curves(
            folder.plots / "learning_curves.png",
            run.history,
            losses={"loss": "training", "val_loss": "validation"},
            figures=(
                {"val_bleu": "validation BLEU"}
                if words and "val_bleu" in run.history[0]
                else {"val_exact_match": "validation exact match"}
            ),
            best_epoch=run.best_epoch,
            figure_label="BLEU" if words else "share (0 to 1)",
        )
        if model.settings["attention"] != "none":
            texts = [pair.source for pair in _drawn(model, data.validation)]
            attention_maps(folder.plots / "attention.png", model.align(texts))

    def show(
        self,
        console: Console,
        model: EncoderDecoder,
        data: PairData,
        metrics: Mapping[str, Any],
    ) -> None:
        names = {"loss": "loss", "exact_match": "exact match", "bleu": "BLEU"}
        parts = [part for part in ("train", "validation", "test") if metrics[part]]
        shown = [name for name in names if name in metrics[parts[-1]]]
        table = Table(title="figures", title_justify="left")
        table.add_column("data")
        table.add_column("pairs", justify="right")
        for name in shown:
            table.add_column(names[name], justify="right")
        for part in parts:
            scores = metrics[part]
            forms = {
                "loss": f"{scores['loss']:.4f}",
                "exact_match": f"{100 * scores['exact_match']:.2f} %",
                "bleu": f"{scores.get('bleu', 0):.2f}",
            }
            count = len(getattr(data, part))
            if part == "train" and metrics["epochs"]:
                count = len(_measured(data.train))
            table.add_row(part, str(count), *(forms[name] for name in shown))
        console.print()
        console.print(table)
        console.print()
        pairs = getattr(data, parts[-1])
        chosen = pairs[:: max(1, len(pairs) // 8)][:8]
        for pair, answer in zip(chosen, model.predict([p.source for p in chosen]), strict=True):
            right = answer == pair.target
            note = "" if right else f"   (expected: {pair.target})"
            console.print(
                f"{pair.source}  →  {answer or '(none)'}{note}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )

    # === Serving ===

    def requests(self, model: EncoderDecoder, data: PairData) -> list[dict[str, Any]]:
        # Speed is counted in tokens: a text that is to be refused has none.
        texts = [pair.source for pair in data.validation if pair.target]
        return [{"text": texts[begin : begin + 32]} for begin in range(0, len(texts), 32)]

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        return int(response["length"].sum())


def _asked(pairs: list[TextPair], pattern: str | None) -> list[TextPair]:
    """The pairs of which the network is asked: the others are refused whatever it writes."""
    if pattern is None:
        return pairs
    matches = tf.strings.regex_full_match([pair.source for pair in pairs], pattern).numpy()
    asked = [pair for pair, match in zip(pairs, matches, strict=True) if match]
    if not asked:
        raise UsageError("--text-pattern matches no text of the training data.")
    return asked


def _measured(pairs: Sequence[TextPair]) -> Sequence[TextPair]:
    return pairs[:: -(-len(pairs) // _TRAIN_PAIRS_MEASURED)]


def _drawn(model: EncoderDecoder, pairs: Sequence[TextPair], count: int = 4) -> list[TextPair]:
    """Pairs to draw: not too long, and in different scripts of which there are fonts."""
    sources = model.source_split([pair.source for pair in pairs]).row_lengths().numpy()
    targets = model.target_split([pair.target for pair in pairs]).row_lengths().numpy()
    fitting = [
        pair
        for pair, read, written in zip(pairs, sources, targets, strict=True)
        if 4 <= read <= _LONGEST_DRAWN and 1 <= written <= _LONGEST_DRAWN
    ] or list(pairs)
    letters = {letter for pair in fitting for letter in pair.source if letter.isprintable()}
    without = {letter for letter in letters if font_with(letter) is None}
    fitting.sort(key=lambda pair: not without.isdisjoint(pair.source))
    by_script: dict[str, TextPair] = {}
    for pair in fitting:
        by_script.setdefault(_script_of(pair.source), pair)
    chosen = list(by_script.values())
    return [*chosen, *(pair for pair in fitting if pair not in chosen)][:count]


def _script_of(text: str) -> str:
    """The script of a text's first letter, such as LATIN or CYRILLIC."""
    letters = (unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha())
    return next(letters, "")


SCRIPT = EncoderDecoderScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
