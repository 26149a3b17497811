"""What every training script shares: flags, the run's folder, checkpoints, progress, interrupts."""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import datetime
import io
import json
import os
import random
import signal
import sys
import time
import tomllib
import types
import typing
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf
import tomlkit
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasrnn.cells import CELLS
from kerasrnn.data import UnlabelledError
from kerasrnn.zoo.files import replacing_file
from kerasrnn.zoo.task import Task, check_between, versions
from training.weight_averages import WeightAverages

# Flags that say where a run lies or how it is started, not what it computes.
_NOT_PART_OF_A_RUN = ("out", "resume", "evaluate_only", "given")


class UsageError(ValueError):
    """A flag, or flags together, that make no sense. Scripts print it and exit with status 2."""


class Interrupted(Exception):
    """The run was asked to stop by a signal. Its last checkpoint is whole."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


# === Flags ===


def flag(default: Any, help: str, *, choices: Sequence[str] = ()) -> Any:
    """A field of a configuration that becomes a flag of the command line.

    Args:
        default: the value where the flag is not given.
        help: what the flag means, in a few words.
        choices: the values allowed; none for any.

    Returns:
        A dataclass field.
    """
    metadata = {"help": help, "choices": tuple(choices)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass
class TrainingConfig:
    """The flags that all scripts have. A script adds its own in a subclass."""

    data: str | None = flag(None, "training data: a file, tfds:NAME or builtin:NAME")
    validation: str | None = flag(None, "validation data; a part of the training data by default")
    test: str | None = flag(None, "test data, measured once at the end")
    cell: str = flag("lstm", "the recurrent cell", choices=tuple(CELLS))
    units: int | None = flag(None, "length of the recurrent state; by the size of the data")
    depth: int = flag(1, "number of recurrent layers")
    bidirectional: bool = flag(True, "read the sequence from both ends")
    epochs: int | None = flag(None, "passes over the training data; by the size of the data")
    batch_size: int | None = flag(None, "examples in a batch; by the size of the data")
    learning_rate: float | None = flag(None, "Adam's largest step; by the size of the data")
    seed: int = flag(1, "decides initial weights, dropout and the order of the data")
    average_weights: float = flag(
        0.0, "measure and keep running means of the weights, with this decay, such as 0.999"
    )
    patience: int | None = flag(None, "stop after as many epochs without a better figure")
    preset: str | None = flag(None, "start from a preset: a name, a folder, hf://owner/name")
    evaluate_only: bool = flag(False, "with --preset: measure it and stop")
    out: str | None = flag(None, "the run's folder; a new one under runs/ by default")
    resume: bool = flag(False, "go on from the last checkpoint in --out")

    # The names of the flags that the command line gave.
    given: frozenset[str] = frozenset()


Config = TypeVar("Config", bound=TrainingConfig)
Value = TypeVar("Value")


def filled(value: Value | None) -> Value:
    """A setting that `with_defaults` of a script has filled in."""
    if value is None:
        raise ValueError("The settings have gaps; see `Script.with_defaults`.")
    return value


DATA_VARIABLE = "KERASRNN_DATA"


def data_path(source: str) -> str:
    """Where a source of data lies: as it is named, or else in the folder `KERASRNN_DATA`.

    So a command or a preset's settings can name a file without saying where somebody keeps it.

    Args:
        source: a path, or a name such as `builtin:NAME` and `tfds:NAME`, which stays as it is.

    Returns:
        A path that exists where either of the two does, else `source` itself.

    Example:

    >>> from training.common import data_path
    >>> data_path("builtin:entities")
    'builtin:entities'
    """
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or os.path.isabs(source) or os.path.exists(source):
        return source
    elsewhere = os.path.join(folder, source)
    return elsewhere if os.path.exists(elsewhere) else source


def parse_config(
    config_class: type[Config], arguments: Sequence[str] | None, *, name: str, description: str
) -> Config:
    """Read the command line. Values come from flags, then `--config FILE`, then the defaults.

    With `--resume`, they come from the run's own `config.toml`, and a flag that says otherwise
    is an error: the run would not end as an unbroken one.

    Args:
        config_class: a subclass of `TrainingConfig`.
        arguments: the command line without the program's name; None for that of the process.
        name: the script's name, which is also that of its folder under `runs/`.
        description: a sentence for `--help`.

    Returns:
        The configuration, with `out` set.

    Raises:
        UsageError: if flags contradict each other or a file of settings is not valid.
        SystemExit: for `--help` and for flags that are unknown or have a wrong value.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m training.{name}",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,  # so that what was not given is not there
    )
    parser.add_argument(
        "--config", metavar="FILE", help="take settings from a run's or a preset's config.toml"
    )
    hints = typing.get_type_hints(config_class)
    fields = {f.name: f for f in dataclasses.fields(config_class) if "help" in f.metadata}
    for field in fields.values():
        _add_flag(parser, field, hints[field.name])
    explicit = vars(parser.parse_args(arguments))
    file = explicit.pop("config", None)

    values: dict[str, Any] = {field.name: field.default for field in fields.values()}
    if explicit.get("resume"):
        if file or not explicit.get("out"):
            raise UsageError("--resume needs --out, the run's folder, and takes no --config.")
        recorded = _read_settings(Path(explicit["out"]) / "config.toml", fields)
        for key, value in explicit.items():
            if key not in _NOT_PART_OF_A_RUN and value != recorded.get(key, values[key]):
                raise UsageError(
                    f"--resume goes on with the settings of the run: {flag_name(key)} is "
                    f"{recorded.get(key, values[key])!r} there and {value!r} here."
                )
        values.update(recorded)
    elif file:
        values.update(_read_settings(Path(file), fields))
    values.update(explicit)
    config = config_class(**values, given=frozenset(explicit))
    if config.evaluate_only and not config.preset:
        raise UsageError("--evaluate-only needs --preset, the preset to measure.")
    if config.out is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        config.out = str(Path("runs") / name / stamp)
    for number in ("units", "depth", "epochs", "batch_size"):
        value = getattr(config, number)
        if value is not None and value < 1:
            raise UsageError(f"{flag_name(number)} must be at least 1. Received: {value}")
    check_between("--average-weights", config.average_weights, 0, 1)
    return config


def flag_name(name: str) -> str:
    """A field of a configuration as it is written on the command line."""
    return "--" + name.replace("_", "-")


def _add_flag(parser: argparse.ArgumentParser, field: Any, hint: Any) -> None:
    shown = field.metadata["help"]
    if field.default is not None and field.default is not False:
        shown += f" (default: {'yes' if field.default is True else field.default})"
    options: dict[str, Any] = {"dest": field.name, "help": shown.replace("%", "%%")}
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kind = next(kind for kind in kinds if kind is not type(None))
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options["type"] = kind
        if field.metadata["choices"]:
            options["choices"] = field.metadata["choices"]
        else:
            options["metavar"] = {int: "N", float: "X"}.get(kind, "VALUE")
    parser.add_argument(flag_name(field.name), **options)


def _read_settings(path: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"There is no {path}.")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("training", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    for key in settings:
        if key not in fields:
            raise UsageError(
                f"{path}: unknown setting {key!r} in [training]. "
                f"Expected one of {', '.join(sorted(fields))}."
            )
    return {key: value for key, value in settings.items() if key not in _NOT_PART_OF_A_RUN}


# === The run's folder ===


class RunFolder:
    """The folder of a run, as every script leaves it.

    Args:
        path: the folder.
        resume: whether a run that lies there is to go on. Otherwise the folder must be new.

    Raises:
        UsageError: if there is a run already and it is not to be resumed.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool) -> None:
        self.path = Path(path)
        if not resume and (self.path / "config.toml").exists():
            raise UsageError(
                f"{self.path} holds a run already. Go on with it (--resume) or give another --out."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.plots = self.path / "plots"
        self.preset = self.path / "preset"
        self.savedmodel = self.path / "savedmodel"
        self.checkpoints = Checkpoints(self.path / "checkpoints")

    def write_config(self, config: TrainingConfig, **sections: Any) -> None:
        """Write `config.toml`: everything that is needed to repeat the run.

        Args:
            config: the settings.
            **sections: further tables, such as the data's sizes.
        """
        content = {"training": settings_of(config), **sections, "versions": versions()}
        self._write("config.toml", tomlkit.dumps(content))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json`."""
        self._write("metrics.json", json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write `history.csv`, one row for each epoch."""
        text = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self._write("history.csv", text.getvalue())

    def _write(self, name: str, text: str) -> None:
        with replacing_file(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def settings_of(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as a TOML table: without what only says where the run lies, without None."""
    settings = dataclasses.asdict(config)
    return {
        key: value
        for key, value in settings.items()
        if value is not None and key not in _NOT_PART_OF_A_RUN
    }


class Checkpoints:
    """What a run needs to go on as if it had never stopped, in files that are whole or not there.

    Weights, the state of every random generator, and the optimizer's state are arrays in an
    uncompressed `.npz`, without pickle; the rest is JSON inside of it.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self.latest = folder / "latest.npz"
        self.best = folder / "best.npz"

    def save(
        self,
        model: keras.Model,
        state: Mapping[str, Any],
        averages: WeightAverages | None = None,
    ) -> None:
        """Write the latest state of a training.

        Args:
            model: the compiled model.
            state: what else is to be kept, as plain numbers, strings, lists and dicts.
            averages: the means of its weights, where they are kept.
        """
        arrays = {**_named("model", model.variables), **_named("optimizer", _slots(model))}
        if averages is not None:
            arrays |= _named("averages", averages.variables)
        arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        _save_arrays(self.latest, arrays)

    def restore(
        self, model: keras.Model, averages: WeightAverages | None = None
    ) -> dict[str, Any] | None:
        """Go back to the latest state.

        Args:
            model: the compiled model, made with the same settings.
            averages: the means of its weights, where they are kept.

        Returns:
            What `save` got as `state`, or None where nothing has been saved.

        Raises:
            UsageError: if the file belongs to a model of another shape or is damaged.
        """
        if not self.latest.exists():
            return None
        arrays = _load_arrays(self.latest)
        _assign(self.latest, arrays, "model", model.variables)
        _assign(self.latest, arrays, "optimizer", _slots(model))
        if averages is not None:
            _assign(self.latest, arrays, "averages", averages.variables)
        return json.loads(arrays["state"].tobytes())

    def save_best(self, model: keras.Model) -> None:
        """Keep the weights as the best so far."""
        _save_arrays(self.best, _named("model", model.weights))

    def restore_best(self, model: keras.Model) -> None:
        """Set the weights to the best ones, where some have been kept."""
        if self.best.exists():
            _assign(self.best, _load_arrays(self.best), "model", model.weights)


def _slots(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return list(model.optimizer.variables)


def _named(group: str, variables: Sequence[Any]) -> dict[str, np.ndarray]:
    return {f"{group}/{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}


def _save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with replacing_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _load_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"The checkpoint {path} cannot be read: {error}") from error


def _assign(path: Path, arrays: Mapping[str, Any], group: str, variables: Sequence[Any]) -> None:
    saved = [name for name in arrays if name.startswith(group + "/")]
    shapes = [tuple(arrays[f"{group}/{i}"].shape) for i in range(len(saved))]
    if shapes != [tuple(variable.shape) for variable in variables]:
        raise UsageError(f"The checkpoint {path} belongs to a model of another shape.")
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"{group}/{index}"])


# === Training ===


class InterruptGuard:
    """Turns SIGINT and SIGTERM into a request to stop at the next safe place.

    A second signal ends the program at once, as it would without the guard.

    Example:

    ```python
    with InterruptGuard() as guard:
        for _ in work:
            guard.check()  # raises Interrupted after a signal
    ```
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptGuard:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    def _note(self, number: int, frame: Any) -> None:
        self.signal_number = number
        for other, handler in self._previous.items():
            signal.signal(other, handler)


class RunCallback(keras.callbacks.Callback):
    """Keeps the history, the best weights and the checkpoint of a run; stops it when it is due.

    Args:
        folder: the run's folder.
        guard: looked at after each batch and each epoch.
        steps: how many batches an epoch has.
        monitor: the figure that says which weights are best, such as `val_f1`.
        maximize: whether more of it is better.
        patience: stop after as many epochs without a better figure; None for never.
        averages: means of the weights, to be measured and kept in place of the weights themselves.
        state: what `Checkpoints.restore` returned, or None for a new run.
    """

    def __init__(
        self,
        folder: RunFolder,
        guard: InterruptGuard,
        *,
        steps: int,
        monitor: str,
        maximize: bool = True,
        patience: int | None = None,
        averages: WeightAverages | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        state = state or {"history": [], "best": None, "best_epoch": None, "stopped": False}
        self.folder = folder
        self.guard = guard
        self.steps = steps
        self.monitor = monitor
        self.maximize = maximize
        self.patience = patience
        self.averages = averages
        self.history = list(state["history"])
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self.stopped = state["stopped"]
        self._begin = 0.0
        self._batches = 0

    @property
    def seconds(self) -> float:
        """Time spent in the epochs so far, those before an interruption included."""
        return sum(row["seconds"] for row in self.history)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batches = batch + 1
        if self.averages is not None:
            self.averages.update()
            if self._batches == self.steps:
                self.averages.swap()  # what is measured now
        self.guard.check()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = round(time.perf_counter() - self._begin, 3)
        row = {"epoch": epoch + 1, **figures, "learning_rate": rate, "seconds": seconds}
        self.history.append(row)
        if self.monitor not in figures:
            raise ValueError(f"No figure {self.monitor!r}. Expected one of {', '.join(figures)}.")
        figure = figures[self.monitor]
        if self.best is None or (figure > self.best if self.maximize else figure < self.best):
            self.best, self.best_epoch = figure, epoch + 1
            self.folder.checkpoints.save_best(self.model)
        if self.averages is not None:
            if self._batches != self.steps:
                raise ValueError(
                    f"An epoch was to have {self.steps} batches and had {self._batches}: the means "
                    "of the weights were not measured."
                )
            self.averages.swap()  # what is trained further
        if self.patience is not None and epoch + 1 - self.best_epoch >= self.patience:
            self.stopped = self.model.stop_training = True
        self.folder.write_history(self.history)
        # Last: what it does not know of yet is done again, to the same result, after a kill.
        self.folder.checkpoints.save(
            self.model,
            {
                "history": self.history,
                "best": self.best,
                "best_epoch": self.best_epoch,
                "stopped": self.stopped,
            },
            self.averages,
        )
        self.guard.check()


class ProgressCallback(keras.callbacks.Callback):
    """A progress bar over all batches; a line for each epoch where there is no terminal.

    Args:
        console: where to draw.
        epochs: at which epoch the training stops.
        steps: how many batches an epoch has.
        figures: the logs to show behind it, with what to call them.
    """

    def __init__(
        self, console: Console, epochs: int, steps: int, figures: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.console = console
        self.epochs = epochs
        self.steps = steps
        self.figures = figures
        self._progress: Progress | None = None
        self._shown = ""
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        if self._progress is None and self.console.is_terminal:
            self._progress = Progress(
                TextColumn("[bold]epoch {task.fields[epoch]}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
                console=self.console,
            )
            self._task = self._progress.add_task(
                "", total=self.epochs * self.steps, epoch="", figures=""
            )
            self._progress.start()
        self._update(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        logs = logs or {}
        self._shown = "  ".join(
            f"{title} {_shown(float(logs[name]))}"
            for name, title in self.figures.items()
            if name in logs
        )
        self._update(self.steps)
        if self._progress is None:
            self.console.print(f"epoch {epoch + 1}/{self.epochs}  {self._shown}", highlight=False)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _update(self, steps: int) -> None:
        if self._progress is not None:
            self._progress.update(
                self._task,
                completed=self._epoch * self.steps + steps,
                epoch=f"{self._epoch + 1}/{self.epochs}",
                figures=self._shown,
            )


def _shown(figure: float) -> str:
    """Four decimals, or the first digits of what is smaller."""
    return f"{figure:.1e}" if 0 < abs(figure) < 0.001 else f"{figure:.4f}"


def fit_run(
    fit: Callable[..., Any],
    model: keras.Model,
    folder: RunFolder,
    console: Console,
    *,
    epochs: int,
    steps: int,
    monitor: str,
    figures: Mapping[str, str],
    maximize: bool = True,
    patience: int | None = None,
    average_weights: float = 0.0,
) -> RunCallback:
    """Train up to an epoch, from the latest checkpoint if there is one, and go back to the best.

    Args:
        fit: called with `epochs`, `initial_epoch`, `callbacks` and `verbose`, as `model.fit`.
        model: the compiled model.
        folder: the run's folder.
        console: where progress is shown.
        epochs: at which epoch to stop.
        steps: how many batches an epoch has.
        monitor: the figure that says which weights are best.
        figures: what to show of an epoch's logs, and how to call it.
        maximize: whether more of the monitored figure is better.
        patience: stop after as many epochs without a better figure; None for never.
        average_weights: the decay of the means of the weights that are measured and kept in place
            of the weights themselves; 0 for none.

    Returns:
        The run's history. The model has its best weights.

    Raises:
        Interrupted: after SIGINT or SIGTERM; the last checkpoint is whole.
    """
    averages = WeightAverages(model, average_weights) if average_weights else None
    state = folder.checkpoints.restore(model, averages)
    with InterruptGuard() as guard:
        run = RunCallback(
            folder,
            guard,
            steps=steps,
            monitor=monitor,
            maximize=maximize,
            patience=patience,
            averages=averages,
            state=state,
        )
        done = len(run.history)
        if done and not run.stopped and done < epochs:
            console.print(f"Going on after epoch {done}.")
        if done < epochs and not run.stopped:
            progress = ProgressCallback(console, epochs, steps, figures)
            try:
                fit(epochs=epochs, initial_epoch=done, callbacks=[progress, run], verbose=0)
            finally:
                progress.close()
    folder.checkpoints.restore_best(model)
    return run


def decaying_adam(
    learning_rate: float,
    steps: int,
    *,
    warmup: float = 0.05,
    floor: float = 0.02,
    clip_norm: float = 5.0,
    kind: type[keras.optimizers.Optimizer] = keras.optimizers.Adam,
    **kwargs: Any,
) -> keras.optimizers.Optimizer:
    """Adam whose step size rises for a short time and then falls along a cosine.

    Args:
        learning_rate: the highest step size.
        steps: all batches of the training.
        warmup: the share of the steps in which it rises from zero.
        floor: where it ends, as a share of the highest.
        clip_norm: the joint norm to which gradients are clipped.
        kind: the optimizer's class, Adam or one derived from it.
        **kwargs: passed to it.

    Returns:
        The optimizer.
    """
    rising = max(1, int(steps * warmup))
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - rising),
        alpha=floor,
        warmup_target=learning_rate,
        warmup_steps=rising,
    )
    return kind(schedule, global_clipnorm=clip_norm, **kwargs)


def set_seeds(seed: int) -> None:
    """Make a run repeatable: every random generator, and every TensorFlow op, has one result.

    Args:
        seed: any integer.
    """
    keras.utils.set_random_seed(seed % 2**32)
    tf.config.experimental.enable_op_determinism()


def make_console() -> Console:
    """Where scripts print: in colour on a terminal, plain elsewhere and under `NO_COLOR`."""
    if sys.stdout.isatty():
        return Console()
    # Not as narrow as the 80 columns that would be guessed: a log must not cut its tables. Nor are
    # lines wrapped or filled up: those of a text are its own.
    return Console(width=110, soft_wrap=True)


def parameters_of(model: Task) -> int:
    """The number of a model's weights, frozen ones included."""
    return int(sum(np.prod(weight.shape) for weight in model.weights))


@contextlib.contextmanager
def reporting_errors(console: Console, name: str, out: Callable[[], str | None]) -> Iterator[None]:
    """Turn a script's expected errors into a line of text and an exit status.

    Args:
        console: where to print.
        name: the script's name.
        out: returns the run's folder, for the command that goes on.
    """
    try:
        yield
    except Interrupted as stop:
        console.print(
            f"\n{stop}. Go on with: python -m training.{name} --out {out()} --resume",
            highlight=False,
            markup=False,
            soft_wrap=True,  # a command must stay in one line
        )
        raise SystemExit(128 + stop.signal_number) from stop
    except (ValueError, FileNotFoundError, FileExistsError, ImportError) as error:
        Console(stderr=True, soft_wrap=True).print(
            f"training.{name}: {error}", highlight=False, markup=False
        )
        raise SystemExit(2) from error


def held_out(items: Sequence[Any], share: float, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Split off a part of the data, always the same part.

    Args:
        items: the data.
        share: the part to hold out, above 0 and below 1.
        seed: decides which items.

    Returns:
        The rest, and the part, both in their old order.

    Example:

    >>> from training.common import held_out
    >>> rest, part = held_out(range(20), 0.1)
    >>> len(rest), len(part)
    (18, 2)
    """
    count = max(1, round(len(items) * share))
    chosen = set(random.Random(seed).sample(range(len(items)), count))
    rest = [item for i, item in enumerate(items) if i not in chosen]
    return rest, [item for i, item in enumerate(items) if i in chosen]


def load_parts(
    config: TrainingConfig, source: str, load: Callable[[str, str], list[Any]]
) -> tuple[list[Any], list[Any], list[Any]]:
    """The parts of the data that the flags name.

    Args:
        config: the settings.
        source: the data to train on. It has splits of its own if it is a `builtin:` or `tfds:` one.
        load: reads a split, `load(source, split)`; a ValueError that tells of splits means that
            there is none of that name.

    Returns:
        The training, validation and test part; the latter two are empty where the flags name none
        and the source has none.
    """
    parts = [load(source, "train")]
    for split, given in (("validation", config.validation), ("test", config.test)):
        if given:
            parts.append(load(given, split))
        elif source.startswith(("builtin:", "tfds:")):
            parts.append(_split_if_any(load, source, split))
        else:
            parts.append([])
    train, validation, test = parts
    return train, validation, test


def _split_if_any(load: Callable[[str, str], list[Any]], source: str, split: str) -> list[Any]:
    try:
        return load(source, split)
    except UnlabelledError:  # as in the test data of GLUE, whose labels are kept back
        return []
    except ValueError as error:
        if "split" not in str(error):
            raise
        return []


def tenth_held_out(rows: list[Any], source: str, what: str) -> tuple[list[Any], list[Any]]:
    """Split off a tenth of the training data to validate with.

    Args:
        rows: the training data.
        source: its name.
        what: what one of them is, such as `sentence`.

    Returns:
        The rest, and the tenth.

    Raises:
        UsageError: if there is only one.
    """
    if len(rows) < 2:
        raise UsageError(f"{source} has one {what}: nothing can be held out. Use --validation.")
    return held_out(rows, 0.1)
