"""Trains a `MemoryModel`: adding, copying, temporal order, Reber's grammar, rows of pixels.

`python -m training.memory` trains on the adding problem.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from kerasrnn.data import (
    MemoryExamples,
    adding,
    copy_memory,
    digit_rows,
    embedded_reber,
    fresh_batches,
    temporal_order,
)
from kerasrnn.lens import gradient_flow
from kerasrnn.lens.pictures import figure_of_flows
from kerasrnn.networks.memory import PADDING_ID
from kerasrnn.networks.options import Number
from kerasrnn.optimizers import SteadyAdam
from kerasrnn.zoo import MemoryModel

from . import plots
from .data import data_path, measured_alone, tenth_held_out
from .fitting import RunCallback, decaying_adam
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
from .script import FLOW_PICTURE, SAMPLE, Plan, Script

BUILTIN = "builtin:"
DEFAULT_TASK = "adding"

# Hochreiter & Schmidhuber (1997) stop when as many of the latest sequences were all right.
SOLVED_SEQUENCES = 2000


@dataclass(frozen=True)
class Generated:
    """A task of the script and the settings that suit it.

    Attributes:
        make: called with how many sequences, the length and a seed.
        length: the length by default; None where the task has none to choose.
        sequences: how many sequences an epoch has.
        fixed: whether it is the same sequences in each epoch.
        chrono: for how many times the length the gates' biases are made; 0 for plain biases.
        published: figures to compare with, by what to call them, for the lengths given.
    """

    make: Callable[[int, Any, Any], MemoryExamples]
    length: int | None = None
    sequences: int = 3200
    fixed: bool = False
    cell: str = "gru"
    units: int = 64
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 0.005
    chrono: int = 0
    published: Mapping[int | None, Mapping[str, float]] = dataclasses.field(default_factory=dict)


_BAI = "Bai et al. 2018"
TASKS: dict[str, Generated] = {
    "adding": Generated(
        make=lambda count, length, seed: adding(count, length=length, seed=seed),
        length=100,
        epochs=16,
        learning_rate=0.01,
        chrono=1,
        published={
            600: {
                f"{_BAI}, RNN": 0.177,
                f"{_BAI}, LSTM": 0.164,
                f"{_BAI}, TCN": 5.8e-5,
                f"{_BAI}, GRU": 5.3e-5,
            }
        },
    ),
    "copy": Generated(
        make=lambda count, length, seed: copy_memory(count, blank=length, seed=seed),
        length=50,
        cell="simplified_gru",
        units=84,
        epochs=30,
        learning_rate=0.03,
        chrono=3,
        published={
            1000: {
                f"{_BAI}, LSTM": 0.0204,
                f"{_BAI}, RNN": 0.0202,
                f"{_BAI}, GRU": 0.0197,
                f"{_BAI}, TCN": 3.5e-5,
            }
        },
    ),
    "temporal_order": Generated(
        make=lambda count, length, seed: temporal_order(count, length=length, seed=seed),
        length=100,
        sequences=2000,
    ),
    "temporal_order_3": Generated(
        make=lambda count, length, seed: temporal_order(count, markers=3, length=length, seed=seed),
        length=100,
        sequences=2000,
    ),
    "reber": Generated(
        make=lambda count, length, seed: embedded_reber(count, seed=seed),
        sequences=256,
        fixed=True,
        cell="lstm",
        units=16,
        epochs=40,
        batch_size=8,
        learning_rate=0.02,
    ),
    "digits": Generated(
        make=lambda count, length, seed: digit_rows(), fixed=True, epochs=30, learning_rate=0.003
    ),
    "digits_pixels": Generated(
        make=lambda count, length, seed: digit_rows(pixel_by_pixel=True),
        fixed=True,
        epochs=60,
        units=96,
        learning_rate=0.003,
    ),
}
_DIGITS = ("digits", "digits_pixels")

# The share of the epochs that have shorter sequences, with `--shortest`.
_SHORTER = 0.9

_CHRONO = Number("0, or at least 3", lambda number: number == 0 or number >= 3)
_FLOOR = Number("from 0 to 1", lambda number: 0 <= number <= 1)

# How many sequences are made to validate and to test, and how many are measured of those trained.
_VALIDATION, _TEST, _TRAIN_MEASURED = 500, 1000, 500


# The options for which the task decides.
_BY_DATA = ("cell", "units", "chrono_length", "layer_dropout", "padded")


@dataclass
@with_options_of(MemoryModel, by_data=_BY_DATA)
class MemoryConfig(TrainingConfig):
    """The flags of `python -m training.memory`."""

    task: str | None = flag(
        None, f"a generated task, {DEFAULT_TASK} by default", choices=tuple(TASKS)
    )
    length: int | None = flag(
        None,
        "steps of a sequence, for copy the blank ones; by the task, for most of them",
        within=COUNT,
    )
    shortest: int | None = flag(
        None, "begin with sequences of this length, and double it up to --length", within=COUNT
    )
    sequences: int | None = flag(None, "sequences in an epoch; by the task", within=COUNT)
    fixed: bool | None = flag(
        None, "train on the same sequences in each epoch, else on new ones; by the task"
    )
    chrono_length: int | None = flag(
        None,
        "greatest number of steps to remember, for the gates' biases; 0 for plain biases",
        within=_CHRONO,
        of_new_models=True,
    )
    clip_norm: float = flag(1.0, "joint norm to which gradients are clipped", within=POSITIVE)
    floor: float = flag(
        0.02, "the last step size as a share of the largest; 1 for no decay", within=_FLOOR
    )
    xla: bool = flag(True, "compile training steps with XLA; without it, a run starts sooner")
    until_solved: bool = flag(
        False, f"stop when the {SOLVED_SEQUENCES} latest sequences, or all of --fixed, were right"
    )


@dataclass
class MemoryData:
    """The sequences of a run."""

    train: MemoryExamples
    validation: MemoryExamples | None
    test: MemoryExamples | None
    source: str
    task: str | None
    make: Callable[..., MemoryExamples] | None  # how many, a seed, and `length`

    def sizes(self) -> dict[str, int]:
        sizes = {f"{n}_sequences": len(getattr(self, n) or ()) for n in ("validation", "test")}
        if self.make is None:
            sizes["train_sequences"] = len(self.train)
        return sizes


class MemoryScript(Script[MemoryConfig, MemoryData]):
    """Trains a `MemoryModel`."""

    name = "memory"
    description = "Train a model on a task that needs a long memory."
    example = "--task copy --length 200"
    config_class = MemoryConfig
    task_class = MemoryModel
    counted = "steps"

    # === Data ===

    def load_data(self, config: MemoryConfig, *, hold_out: bool = True) -> MemoryData:
        """Make the sequences of the task, or read those of `--data`.

        Of a generated task, the sequences to validate and to test are always the same. Of a file, a
        tenth is held out to validate, chosen by chance but always the same, if there is no other.
        """
        task = _task_of(config)
        if task is None or measured_alone(config):
            return self._from_files(config, hold_out)
        for name in ("validation", "test"):
            if getattr(config, name) is not None:
                raise UsageError(f"--{name} goes with a file as --data: {task} makes its own.")
        if config.length is not None and TASKS[task].length is None:
            raise UsageError(f"--length cannot be chosen for {task}.")
        if task in _DIGITS:
            if config.fixed is False or config.sequences is not None:
                raise UsageError("The digits are always the same: no --sequences, no --no-fixed.")
            if config.shortest is not None:
                raise UsageError(f"--shortest is for new sequences, not for {task}.")
            pixels = task == "digits_pixels"
            train, validation, test = (
                digit_rows(pixel_by_pixel=pixels, split=split)
                for split in ("train", "validation", "test")
            )
            return MemoryData(train, validation, test, f"{BUILTIN}{task}", task, None)

        generated = TASKS[task]
        length = given(config.length, generated.length)

        def make(count: int, seed: Any, length: int | None = length) -> MemoryExamples:
            return generated.make(count, length, seed)

        fixed = generated.fixed if config.fixed is None else config.fixed
        if config.shortest is not None:
            if length is None or fixed:
                raise UsageError(f"--shortest is for new sequences, not for {task}.")
            if not 1 <= config.shortest <= length:
                raise UsageError(
                    f"--shortest must be from 1 to --length, {length}. Received: {config.shortest}"
                )
        if task == "reber" and not fixed:
            raise UsageError("--no-fixed is not for reber, whose strings have no longest one.")
        count = given(config.sequences, generated.sequences)
        # The leading numbers keep apart what is trained on, whatever the seed, and what is not.
        train = make(count, (1, config.seed, 0)) if fixed else make(_TRAIN_MEASURED, (1, 1, 0))
        return MemoryData(
            train,
            make(256 if task == "reber" else _VALIDATION, (2,)),
            make(2560 if task.startswith("temporal") else _TEST, (3,)),
            f"{BUILTIN}{task}",
            task,
            None if fixed else make,
        )

    def _from_files(self, config: MemoryConfig, hold_out: bool) -> MemoryData:
        for name in ("length", "shortest", "sequences"):
            if getattr(config, name) is not None:
                raise UsageError(f"--{name} is for generated tasks, not for a file.")
        if config.fixed is False:
            raise UsageError("--no-fixed is for generated tasks, not for a file.")
        alone = measured_alone(config)
        source = config.data or alone
        validation, test = (
            MemoryExamples.load(data_path(name)) if name else None
            for name in (config.validation, config.test)
        )
        if alone:
            some = filled(validation or test)
            return MemoryData(some[:0], validation, test, source, None, None)
        train = MemoryExamples.load(data_path(source))
        if validation is None and hold_out:
            rows = list(range(len(train)))
            names = functools.partial(_numbers_of, train)
            rest, part = tenth_held_out(rows, source, "sequence", names)
            train, validation = train[np.array(rest)], train[np.array(part)]
        return MemoryData(train, validation, test, source, None, None)

    def with_defaults(self, config: MemoryConfig, data: MemoryData) -> MemoryConfig:
        known = TASKS[data.task] if data.task else Generated(make=lambda *_: data.train)
        length = None if known.length is None else given(config.length, known.length)
        cell = config.options.get("cell", known.cell)
        chrono = 0 if cell == "simple" else known.chrono * (length or 0)
        generated = data.task is not None and data.task not in _DIGITS
        parts = (data.train, data.validation, data.test)
        return config.with_defaults(
            task=data.task,
            data=data.source,
            length=length,
            fixed=data.make is None if generated else None,
            sequences=known.sequences if generated else None,
            cell=known.cell,
            units=known.units,
            epochs=known.epochs,
            batch_size=known.batch_size,
            learning_rate=known.learning_rate,
            chrono_length=chrono if _CHRONO.holds(chrono) else 0,
            padded=not all(part.present.all() for part in parts if part is not None),
            layer_dropout=config.option("dropout") if config.option("depth") > 1 else 0.0,
        )

    def check(self, model: MemoryModel, config: MemoryConfig, data: MemoryData) -> None:
        """Sequences that do not fit the model fail now, not after an epoch."""
        names = {"train": data.source, "validation": config.validation, "test": config.test}
        for part, name in names.items():
            examples = getattr(data, part)
            if examples:
                try:
                    model.check_examples(examples)
                except ValueError as error:
                    raise ValueError(f"{name or data.source}: {error}") from error

    # === Model ===

    def new_model(
        self, config: MemoryConfig, data: MemoryData, options: dict[str, Any]
    ) -> MemoryModel:
        options["chrono_length"] = config.chrono_length or None
        return self.task_class.from_examples(data.train, **options)

    def describe(self, config: MemoryConfig, data: MemoryData, model: MemoryModel) -> str:
        settings = model.settings
        direction = "two directions" if settings["bidirectional"] else "one direction"
        shape = data.train.inputs.shape
        steps = f"{'up to ' if settings['padded'] else ''}{shape[1]} steps"
        each = f"new {config.sequences}" if data.make is not None else f"{len(data.train)}"
        chrono = settings["chrono_length"]
        gates = f", biases for {chrono} steps" if chrono else ""
        return (
            f"{data.source}: {each} sequences an epoch of {steps}, "
            f"{len(data.validation or ())} to validate, {len(data.test or ())} to test\n"
            f"{settings['cell']} in {direction}, {settings['units']} units{gates}"
        )

    def plan(self, config: MemoryConfig, data: MemoryData, model: MemoryModel) -> Plan:
        batch_size, epochs = filled(config.batch_size), filled(config.epochs)
        if data.make is None:
            count = len(data.train)
            steps = -(-count // batch_size)
        else:
            steps = max(1, filled(config.sequences) // batch_size)
            count = steps * batch_size

        def fit(**options: Any) -> None:
            if config.until_solved:
                run = _run_of(options["callbacks"])
                # Before the run's own, which writes down that it has stopped.
                stop = _StopWhenSolved(data, count, run)
                options["callbacks"] = [stop, *options["callbacks"]]
            options["validation_data"] = data.validation
            if data.make is None:
                model.fit(data.train, batch_size=batch_size, seed=config.seed, **options)
                return
            first, run = options.pop("initial_epoch"), _run_of(options["callbacks"])
            for last, length in _stages(config, options.pop("epochs")):
                if first >= last or run.stopped:
                    continue
                make = functools.partial(data.make, length=length)
                batches = fresh_batches(
                    make, batch_size, steps=steps, seed=config.seed, epoch=first
                )
                model.train_function = None  # one that is compiled for this length alone
                model.fit(
                    batches, steps_per_epoch=steps, initial_epoch=first, epochs=last, **options
                )
                first = last

        measured = data.validation is not None
        monitor = "val_loss" if measured else "loss"
        figures = {"loss": "loss", monitor: monitor.replace("_", " "), "val_solved": "val solved"}
        return Plan(
            fit=fit,
            steps=steps,
            counted=round(count * data.train.steps / len(data.train)),
            monitor=monitor,
            maximize=False,
            figures=figures,
            optimizer=decaying_adam(
                filled(config.learning_rate),
                epochs * steps,
                floor=config.floor,
                clip_norm=config.clip_norm,
                kind=SteadyAdam,
            ),
            compile={"jit_compile": config.xla},
            sample=data.train[:SAMPLE],
        )

    # === Results ===

    def measure(
        self, model: MemoryModel, data: MemoryData, config: MemoryConfig
    ) -> dict[str, dict[str, Any]]:
        parts = {
            "train": data.train[: None if config.evaluate_only else _TRAIN_MEASURED],
            "validation": data.validation,
            "test": data.test,
        }
        return {name: model.evaluate(part) if part else {} for name, part in parts.items()}

    def draw(
        self,
        folder: RunFolder,
        model: MemoryModel,
        data: MemoryData,
        run: RunCallback,
        config: MemoryConfig,
        metrics: Mapping[str, Any],
    ) -> None:
        numbers = model.answers == "number"
        loss = "mean squared error" if numbers else "cross-entropy (nats)"
        figures = {"val_solved": "sequences right (validation)"}
        if not numbers:
            figures["val_accuracy"] = "answers right (validation)"
        plots.learning_curves(
            folder.plots / "learning_curves.png",
            run.history,
            losses={"loss": "training", "val_loss": "validation"},
            figures=figures,
            best_epoch=run.best_epoch,
            figure_label="share (0 to 1)",
            loss_label=loss,
        )
        count = config.sequences or len(data.train)
        known = TASKS[data.task].published.get(config.length, {}) if data.task else {}
        columns = {"loss": "training", "val_loss": "validation"}
        plots.loss_by_sequences(
            folder.plots / "loss_by_sequences.png",
            [row["epoch"] * count for row in run.history],
            {
                title: [row[name] for row in run.history]
                for name, title in columns.items()
                if name in run.history[0]
            },
            label=loss,
            lines={**_baseline(data), **known},
        )
        if config.lens:
            return  # it has seen more
        examples = _of_one_length(data.validation or data.train, 64)
        at: str | int = "end"
        if model.answers == "symbols":
            # In Reber's grammar the last answer, E, needs no memory; the one before it does.
            answer = -2 if data.task == "reber" else -1
            at = int(np.flatnonzero(examples.targets[0] != PADDING_ID)[answer])
        flows = {}
        if not config.preset:
            keras.utils.set_random_seed(config.seed)
            untrained = self.new_model(config, data, config.options)
            flows["before training"] = gradient_flow(untrained, examples.inputs, at=at).memories
        flows["after training"] = gradient_flow(model, examples.inputs, at=at).memories
        plots.save_figure(figure_of_flows(flows, of="output"), folder.plots / FLOW_PICTURE)

    def show(
        self, console: Console, model: MemoryModel, data: MemoryData, metrics: Mapping[str, Any]
    ) -> None:
        table = Table(title=f"{data.source}", title_justify="left")
        parts = [part for part in ("train", "validation", "test") if metrics[part]]
        names = [name for name in metrics[parts[0]] if (name, model.answers) != ("loss", "number")]
        for title in ("part", "sequences", *names):
            table.add_column(title, justify="left" if title == "part" else "right")
        for part in parts:
            size = len(getattr(data, part))
            if part == "train" and metrics["epochs"]:
                size = min(size, _TRAIN_MEASURED)
            cells = [
                f"{metrics[part][name]:.3g}"
                if name in ("loss", "mse")
                else f"{100 * metrics[part][name]:.2f} %"
                for name in names
            ]
            table.add_row(part, str(size), *cells)
        console.print()
        console.print(table)
        console.print()
        for line in _answers(model, (data.test or data.validation or data.train)[:6]):
            console.print(line, highlight=False, markup=False)

    # === Serving ===

    def requests(self, model: MemoryModel, data: MemoryData) -> list[dict[str, Any]]:
        inputs = (data.validation or data.train).inputs
        name = model.input_name
        return [{name: inputs[begin : begin + 32]} for begin in range(0, len(inputs), 32)]

    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        (inputs,) = request.values()
        return MemoryExamples(np.asarray(inputs), np.asarray(inputs)).steps


def _run_of(callbacks: Sequence[keras.callbacks.Callback]) -> RunCallback:
    return next(callback for callback in callbacks if isinstance(callback, RunCallback))


def _stages(config: MemoryConfig, epochs: int) -> list[tuple[int, int | None]]:
    """Up to which epoch sequences have which length."""
    length = config.length
    if config.shortest is None or length is None:
        return [(epochs, length)]
    shorter = [config.shortest]
    while shorter[-1] < length:
        shorter.append(shorter[-1] * 2)
    shorter.pop()
    # The shorter ones take the same time each, and so the shortest most of the epochs: there the
    # model learns what to do; the longer ones teach it to keep doing so.
    shares = np.cumsum([1 / part for part in shorter])
    ends = [round(epochs * _SHORTER * share / shares[-1]) for share in shares]
    return [*zip(ends, shorter, strict=True), (epochs, length)]


class _StopWhenSolved(keras.callbacks.Callback):
    """Ends a training by the criterion of Hochreiter & Schmidhuber (1997).

    For new sequences: the latest `SOLVED_SEQUENCES` were all answered right before the weights were
    changed for them. For fixed ones: all of them and all of the validation part are.
    """

    def __init__(self, data: MemoryData, count: int, run: RunCallback) -> None:
        super().__init__()
        self.data = data
        self.epochs = -(-SOLVED_SEQUENCES // count)
        self.run = run

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        logs = logs or {}
        if self.data.make is None:
            solved = logs.get("val_solved", 1.0) == 1.0
            solved = solved and self.model.evaluate(self.data.train)["solved"] == 1.0
        else:
            rows = [*self.run.history, logs][-self.epochs :]
            solved = len(rows) == self.epochs and all(row["solved"] == 1.0 for row in rows)
        if solved:
            # The run knows it too, so that --resume does not go on.
            self.run.stopped = self.model.stop_training = True


def _task_of(config: MemoryConfig) -> str | None:
    """The generated task that the flags name, or None for a file."""
    if config.data is None or config.data.startswith(BUILTIN):
        name = config.data.removeprefix(BUILTIN) if config.data else config.task or DEFAULT_TASK
        if name not in TASKS:
            raise UsageError(
                f"Unknown data {config.data!r}. Expected one of "
                f"{', '.join(BUILTIN + task for task in TASKS)}, or a file .npz."
            )
        if config.task not in (None, name):
            raise UsageError(f"--task {config.task} and --data {config.data} cannot go together.")
        return name
    if config.data.startswith("tfds:"):
        raise UsageError(
            f"{config.data}: no data set of TFDS is a task for this script. Expected one of "
            f"{', '.join(BUILTIN + task for task in TASKS)}, or a file .npz."
        )
    if config.task is not None:
        raise UsageError(f"--task {config.task} cannot go with --data {config.data}.")
    return None


def _numbers_of(examples: MemoryExamples, row: int) -> set[tuple[str, int]]:
    """The symbols and labels of an example, which a model must have seen."""
    arrays = {"input": examples.inputs, "target": examples.targets}
    return {
        (name, int(number))
        for name, array in arrays.items()
        if array.dtype.kind in "iu"
        for number in np.unique(array[row])
        if number >= 0
    }


def _baseline(data: MemoryData) -> dict[str, float]:
    """The loss of the best answer that looks at no input."""
    targets = (data.validation or data.train).targets
    if targets.dtype.kind == "f":
        return {"the mean, always": float(targets.var(axis=0).mean())}
    if targets.ndim == 1:
        counts = np.bincount(targets)
        shares = counts[counts > 0] / len(targets)
        return {"no memory": float(-(shares * np.log(shares)).sum())}
    if data.task == "copy":
        kept = int((targets[0] != 0).sum())
        return {"no memory": float(kept * np.log(8) / targets.shape[1])}
    return {}


def _of_one_length(examples: MemoryExamples, count: int) -> MemoryExamples:
    """At most so many examples of the length that is the most frequent, without their padding."""
    lengths = examples.present.sum(axis=1)
    length = int(np.bincount(lengths).argmax())
    part = examples[np.flatnonzero(lengths == length)[:count]]
    targets = part.targets[:, :length] if part.targets.ndim == 2 else part.targets
    if targets.dtype.kind == "f":
        targets = part.targets
    return MemoryExamples(part.inputs[:, :length], targets, part.symbols, part.labels)


def _answers(model: MemoryModel, examples: MemoryExamples) -> list[str]:
    """A line for each sequence: what was read, the answer, and what was right."""
    lines = []
    for row, answer in enumerate(model.predict(examples)):
        target = examples.targets[row]
        if model.answers == "number":
            right = " ".join(f"{number:.3f}" for number in target)
            found = " ".join(f"{number:.3f}" for number in answer)
            read = f"{examples.present[row].sum()} steps"
            if model.input_size == 2 and np.isin(examples.inputs[row, :, 1], (0, 1)).all():
                marked = examples.inputs[row, examples.inputs[row, :, 1] == 1, 0]
                read = " + ".join(f"{number:.3f}" for number in marked)
        elif model.answers == "label":
            right, found = model.label_name(target), model.label_name(answer)
            read = _shortened(examples, row)
        else:
            steps = np.flatnonzero(target >= 0)[-12:]
            right = " ".join(model.label_name(target[step]) for step in steps)
            found = " ".join(model.label_name(answer[step]) for step in steps)
            read = _shortened(examples, row)
        lines.append(f"{read} → {found}   (right: {right})")
    return lines


def _shortened(examples: MemoryExamples, row: int, width: int = 48) -> str:
    if not examples.symbols:
        return f"{examples.present[row].sum()} steps"
    text = examples.text(row)
    half = width // 2
    return text if len(text) <= width else f"{text[:half]}…{text[-half:]}"


SCRIPT = MemoryScript()
main = SCRIPT.main

if __name__ == "__main__":
    main()
