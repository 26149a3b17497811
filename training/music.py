"""Trains a `MusicModel`: the next chord of polyphonic music.

`python -m training.music` trains on Bach's four-part chorales, which music21 brings, or without it
on pieces made by rule.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from kerasrnn.data import (
    chords_of_roll,
    load_piano_rolls,
    piano_roll_splits,
    pitch_name,
    write_midi,
)
from kerasrnn.networks.options import Number
from kerasrnn.zoo import MusicModel

from . import music_plots, plots
from .data import data_path, held_out, measured_alone, naming_flags
from .fitting import RunCallback
from .flags import COUNT, TrainingConfig, UsageError, filled, flag, with_options_of
from .run_folder import RunFolder
from .script import SAMPLE, Plan, Script

# At most so many training pieces are measured at the end: the figure only shows overfitting.
_TRAIN_PIECES_MEASURED = 100
_SERVING_BATCH = 32
_SERVING_FRAMES = 256

_SEMITONES = Number("0 or more, at most 87", lambda number: 0 <= number < 88)


@dataclass
@with_options_of(MusicModel, by_data=("units", "dropout"))
class MusicConfig(TrainingConfig):
    """The flags of `python -m training.music`."""

    bidirectional: bool = flag(False, "not for music: what comes next must not be seen")
    chunk: int | None = flag(
        None,
        "frames through which the gradient reaches back; by the size of the data",
        within=COUNT,
    )
    transpose: int = flag(
        0, "move training pieces by at most so many semitones, anew each epoch", within=_SEMITONES
    )
    key_prior: bool = flag(True, "begin with how often each key sounds in the training data")


@dataclass
class MusicData:
    """The pieces of a run."""

    train: list[np.ndarray]
    validation: list[np.ndarray]
    test: list[np.ndarray]
    source: str

    def sizes(self) -> dict[str, int]:
        """The number of pieces and of frames of each part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        pieces = {f"{name}_pieces": len(part) for name, part in parts.items()}
        return {**pieces, **{f"{name}_frames": _frames(part) for name, part in parts.items()}}


class MusicScript(Script[MusicConfig, MusicData]):
    """Trains a `MusicModel`."""

    name = "music"
    description = "Train a model of polyphonic music."
    example = "--data tunes --outputs independent"
    config_class = MusicConfig
    task_class = MusicModel
    counted = "frames"

    # === Data ===

    def load_data(self, config: MusicConfig, *, hold_out: bool = True) -> MusicData:
        """Read the data that the flags name.

        Without `--validation` and `--test`, these are the splits of that name where the data has
        some. Where it has none, a tenth of its pieces validates, or the end of a single piece.
        """
        if config.bidirectional:
            raise UsageError("--bidirectional: a model that reads from both ends foresees nothing.")
        source = config.data or default_data()

        @naming_flags(config)
        def load(name: str, split: str) -> list[np.ndarray]:
            pace = config.option("frames_per_beat")
            rolls = load_piano_rolls(data_path(name), split=split, frames_per_beat=pace)
            # A single frame has nothing to foresee.
            return [roll for roll in rolls if len(roll) > 1]

        alone = measured_alone(config)
        splits_of = naming_flags(config)(piano_roll_splits)
        splits = () if alone else splits_of(data_path(source))
        rows = [] if alone else load(source, "train")
        parts: dict[str, list[np.ndarray]] = {}
        for split, named in (("validation", config.validation), ("test", config.test)):
            if named:
                own = splits_of(data_path(named))
                # A file of its own may call its only part by any name.
                parts[split] = load(named, split if split in own or not own else own[0])
            else:
                parts[split] = load(source, split) if split in splits else []
        if not rows and not alone:
            raise UsageError(f"{source} has no piece of two frames or more.")
        if not parts["validation"] and hold_out:
            rows, parts["validation"] = _hold_out(rows, source)
        return MusicData(rows, parts["validation"], parts["test"], alone or source)

    def with_defaults(self, config: MusicConfig, data: MusicData) -> MusicConfig:
        frames = _frames(data.train)
        few, many = frames < 20_000, frames > 100_000
        return config.with_defaults(
            data=data.source,
            units=300 if many else 200,
            epochs=100 if few else 15 if many else 40,
            batch_size=16,
            learning_rate=0.006,
            chunk=128 if many else 64,
            dropout=0.2 if many else 0.3,
        )

    # === Model ===

    def new_model(
        self, config: MusicConfig, data: MusicData, options: dict[str, Any]
    ) -> MusicModel:
        return self.task_class(**options)

    def describe(self, config: MusicConfig, data: MusicData, model: MusicModel) -> str:
        settings = model.settings
        sizes = data.sizes()
        return (
            f"{data.source}: {len(data.train)} pieces of {sizes['train_frames']:,} frames to train "
            f"on, {len(data.validation)} to validate, {len(data.test)} to test\n"
            f"{settings['depth']} × {settings['cell']} of {settings['units']} units, "
            f"{settings['outputs']} outputs"
        )

    def plan(self, config: MusicConfig, data: MusicData, model: MusicModel) -> Plan:
        options: dict[str, Any] = {
            "batch_size": filled(config.batch_size),
            "chunk": filled(config.chunk),
            "seed": config.seed,
            "transpose": config.transpose,
        }

        def fit(**others: Any) -> None:
            model.fit(
                data.train,
                validation_data=data.validation,
                key_prior=config.key_prior,
                **options,
                **others,
            )

        return Plan(
            fit=fit,
            steps=len(model.batches(data.train, **options)),
            counted=_frames(data.train),
            monitor="val_nll",
            maximize=False,
            figures={"loss": "loss", "val_nll": "val nll"},
            # As much as the gradient goes through, and the frame behind it.
            sample=[roll[: options["chunk"] + 1] for roll in data.train[:SAMPLE]],
        )

    # === Results ===

    def measure(
        self, model: MusicModel, data: MusicData, config: MusicConfig
    ) -> dict[str, dict[str, Any]]:
        parts = {
            "train": data.train[: None if config.evaluate_only else _TRAIN_PIECES_MEASURED],
            "validation": data.validation,
            "test": data.test,
        }
        return {
            name: {"nll": model.evaluate(part)["nll"]} if part else {}
            for name, part in parts.items()
        }

    def draw(
        self,
        folder: RunFolder,
        model: MusicModel,
        data: MusicData,
        run: RunCallback,
        config: MusicConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        draw_curves(folder.plots / "learning_curves.png", run.history, run.best_epoch)
        piece = data.validation[0][:96]
        music_plots.foresight(
            folder.plots / "foresight.png",
            piece,
            model.predict([piece])[0],
            model.nll([piece])[0],
            "What the model expected, frame by frame: a piece of the validation data",
        )
        beginnings, music = _continuations(model, data)
        music_plots.continuations(
            folder.plots / "continuations.png",
            beginnings,
            music,
            "Pieces of the validation data, gone on with",
        )
        if importlib.util.find_spec("mido") is None:
            return  # `show` says so
        (folder.path / "midi").mkdir(exist_ok=True)
        speed = {"frames_per_beat": model.settings["frames_per_beat"]}
        for number, (before, after) in enumerate(zip(beginnings, music, strict=True), start=1):
            whole = np.concatenate([before, after])
            write_midi(folder.path / "midi" / f"continuation_{number}.mid", whole, **speed)
        alone = model.generate(frames=128, seed=1)[0]
        write_midi(folder.path / "midi" / "out_of_silence.mid", alone, **speed)

    def show(
        self, console: Console, model: MusicModel, data: MusicData, metrics: Mapping[str, Any]
    ) -> None:
        console.print()
        for part in ("train", "validation", "test"):
            if metrics[part]:
                console.print(f"{part}: {metrics[part]['nll']:.3f} nats a frame", highlight=False)
        part = next(name for name in ("test", "validation", "train") if metrics[name])
        piece = getattr(data, part)[0]
        begin = piece[: min(16, len(piece) - 1)]
        added = model.generate([begin], frames=16, seed=1)[0]
        console.print(f"\nA piece of the {part} data begins, lowest note first:")
        console.print(_in_words(begin[-8:]), highlight=False, markup=False)
        console.print("and the model goes on:")
        console.print(_in_words(added[:8]), highlight=False, markup=False)
        if importlib.util.find_spec("mido") is None:
            console.print("\nTo hear it, install mido: pip install 'kerasrnn[training]'.")

    def requests(self, model: MusicModel, data: MusicData) -> list[dict[str, Any]]:
        rolls = sorted((roll[:_SERVING_FRAMES] for roll in data.validation), key=len)
        found = []
        for begin in range(0, min(len(rolls), 4 * _SERVING_BATCH), _SERVING_BATCH):
            batch = rolls[begin : begin + _SERVING_BATCH]
            padded = np.zeros((len(batch), len(batch[-1]), 88), np.float32)
            for row, roll in enumerate(batch):
                padded[row, : len(roll)] = roll
            found.append({"rolls": padded, "lengths": [len(roll) for roll in batch]})
        return found

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        return int(request["lengths"].sum())


def default_data() -> str:
    """What is trained on without `--data`: Bach's chorales, if music21 is there."""
    there = importlib.util.find_spec("music21") is not None
    return "builtin:chorales" if there else "builtin:counterpoint"


def _frames(rolls: Sequence[np.ndarray]) -> int:
    """How many frames are foreseen: all but the first of each piece."""
    return sum(len(roll) - 1 for roll in rolls)


def _hold_out(rolls: list[np.ndarray], source: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if len(rolls) > 1:
        return held_out(rolls, 0.1)
    roll = rolls[0]
    end = max(2, len(roll) // 10)
    if len(roll) < end + 2:
        raise UsageError(f"{source} is too short to hold out its end. Use --validation.")
    return [roll[:-end]], [roll[-end:]]


def draw_curves(path: Path, history: Sequence[Mapping[str, float]], best_epoch: int | None) -> None:
    """The losses by epoch, and those of the later epochs alone.

    Args:
        path: the PNG to write.
        history: one row for each epoch, with `epoch`, `loss` and `val_nll`.
        best_epoch: the epoch whose weights are kept.
    """
    # The first epochs fall so far that nothing can be seen of the others beside them. Of few epochs
    # all are seen: a second picture would be the first once more.
    skipped = len(history) // 6
    late = [
        {**row, "late_loss": row["loss"], "late_nll": row["val_nll"]} for row in history[skipped:]
    ]
    later = {"late_loss": "training, with dropout", "late_nll": "validation"}
    plots.learning_curves(
        path,
        [*history[:skipped], *late],
        losses={"loss": "training, with dropout", "val_nll": "validation"},
        figures=later if skipped else {},
        best_epoch=best_epoch,
        figure_label=f"nats a frame, from epoch {skipped + 1} on",
    )


def _continuations(
    model: MusicModel, data: MusicData, count: int = 3
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Beginnings of pieces and what the model adds to them."""
    beginnings = [roll[:32] for roll in data.validation[:count]]
    return beginnings, model.generate(beginnings, frames=64, seed=1)


def _in_words(roll: np.ndarray) -> str:
    chords = [" ".join(map(pitch_name, chord)) or "silence" for chord in chords_of_roll(roll)]
    return "  " + " | ".join(chords)


SCRIPT = MusicScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
