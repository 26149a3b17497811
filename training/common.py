"""What every training script shares: flags, the run's folder, checkpoints, progress, interrupts."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import errno
import io
import json
import os
import random
import shlex
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf
import tomlkit
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasrnn.callbacks import WeightAverages
from kerasrnn.cells import CELLS
from kerasrnn.data import UnlabelledError
from kerasrnn.embeddings import VECTOR_PACKAGES
from kerasrnn.zoo.presets.atomic import replacing_file, sweep
from kerasrnn.zoo.task import Task, versions
from training.array_files import ArrayFileError, ArrayKind, load_arrays, save_arrays
from training.flags import (
    COUNT,
    POSITIVE,
    SEED,
    SHARE,
    FlagParser,
    UsageError,
    check_names,
    check_values,
    close_to,
    flag,
    flag_name,
    flags_of,
)

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

# Flags that say where a run lies or how it is started, not what it computes.
_NOT_PART_OF_A_RUN = ("out", "resume", "evaluate_only", "given")


class Interrupted(Exception):
    """The run was asked to stop by a signal. Its last checkpoint is whole."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Diverged(Exception):
    """The loss or the weights are no finite numbers any more. The last good checkpoint is kept."""


# === Flags ===


@dataclass
class TrainingConfig:
    """The flags that all scripts have. A script adds its own in a subclass."""

    data: str | None = flag(None, "training data: a file, tfds:NAME or builtin:NAME")
    validation: str | None = flag(None, "validation data; a part of the training data by default")
    test: str | None = flag(None, "test data, measured once at the end")
    cell: str = flag("lstm", "the recurrent cell", choices=tuple(CELLS))
    units: int | None = flag(
        None, "length of the recurrent state; by the size of the data", within=COUNT
    )
    depth: int = flag(1, "number of recurrent layers", within=COUNT)
    bidirectional: bool = flag(True, "read the sequence from both ends")
    epochs: int | None = flag(
        None, "passes over the training data; by the size of the data", within=COUNT
    )
    batch_size: int | None = flag(
        None, "examples in a batch; by the size of the data", within=COUNT
    )
    learning_rate: float | None = flag(
        None, "Adam's largest step; by the size of the data", within=POSITIVE
    )
    seed: int = flag(1, "decides initial weights, dropout and the order of the data", within=SEED)
    average_weights: float = flag(
        0.0,
        "measure and keep running means of the weights, with this decay, such as 0.999",
        within=SHARE,
    )
    patience: int | None = flag(
        None, "stop after as many epochs without a better figure", within=COUNT
    )
    preset: str | None = flag(None, "start from a preset: a name, a folder, hf://owner/name")
    evaluate_only: bool = flag(
        False, "measure --preset on all of what --data, --validation and --test name, and stop"
    )
    out: str | None = flag(None, "the run's folder; a new one under runs/ by default")
    resume: bool = flag(False, "go on from the last checkpoint in --out")

    # The names of the flags that the command line gave.
    given: frozenset[str] = frozenset()

    def check(self) -> None:
        """Raise a UsageError for flags that make no sense together."""
        if self.evaluate_only and not self.preset:
            raise UsageError("--evaluate-only needs --preset, the preset to measure.")


Config = TypeVar("Config", bound=TrainingConfig)
Value = TypeVar("Value")


def given(value: Value | None, otherwise: Value) -> Value:
    """A setting, or its default where it is not set. 0 is a value as others are."""
    return otherwise if value is None else value


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


def check_vectors(source: str) -> None:
    """Check that there are word vectors of a name.

    Args:
        source: a file, a package, or several packages joined by `+`.

    Raises:
        ValueError: if there is no such file and a part is no package; the packages are named.
    """
    unknown = [part for part in source.split("+") if part not in VECTOR_PACKAGES]
    if unknown and not os.path.isfile(data_path(source)):
        raise ValueError(
            f"there is no file {source!r}, and no package {unknown[0]!r}."
            f"{close_to(unknown[0], tuple(VECTOR_PACKAGES))} Expected a file of vectors, or one or "
            f"several, joined by +, of {', '.join(VECTOR_PACKAGES)}."
        )


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
        UsageError: if flags contradict each other, have a value that makes no sense, or a file of
            settings is not valid.
        SystemExit: for `--help` and for flags that are unknown or have a wrong value.
    """
    parser = FlagParser(config_class, prog=f"python -m training.{name}", description=description)
    fields = flags_of(config_class)
    explicit = parser.values(arguments)
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
    check_values(config_class, values)
    config = config_class(**values, given=frozenset(explicit))
    config.check()
    check_names(config)
    if config.out is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        config.out = str(Path("runs") / name / stamp)
    return config


def _read_settings(path: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"There is no {path}.")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("training", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: [training] must be a table. Received: {settings!r}")
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

    Temporary files of an earlier run that was killed are removed. As a context, it is of one run at
    a time, and leaves no settings of a run that failed before its first checkpoint: another may
    have the folder.

    Args:
        path: the folder.
        resume: whether a run that lies there is to go on. Otherwise the folder must be new.

    Raises:
        UsageError: if there is a run already and it is not to be resumed, if another process is at
            work there, or if the folder cannot be made or written to.
    """

    def __init__(self, path: str | os.PathLike[str], *, resume: bool) -> None:
        self.path = Path(path)
        self.resume = resume
        self.plots = self.path / "plots"
        self.preset = self.path / "preset"
        self.savedmodel = self.path / "savedmodel"
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        try:
            if not resume and (self.path / "config.toml").exists():
                raise UsageError(
                    f"{self.path} holds a run already. Go on with it (--resume) or give another "
                    "--out."
                )
            self._made = [part for part in (self.path, *self.path.parents) if not part.exists()]
            self.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.path).close()  # now, not after an epoch
        except OSError as error:
            raise UsageError(
                f"--out must name a folder that can be written to. Received: {self.path} "
                f"({error.strerror or error})"
            ) from error
        for name in ("config.toml", "metrics.json", "history.csv", "preset"):
            sweep(self.path / name)
        for checkpoint in (self.checkpoints.latest, self.checkpoints.best):
            sweep(checkpoint)

    def __enter__(self) -> RunFolder:
        self._lock = os.open(self.path, os.O_RDONLY) if fcntl is not None else None
        if self._lock is not None:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._lock)
                raise UsageError(
                    f"Another run is at work in {self.path}. Wait for its end, or give another "
                    "--out."
                ) from error
            except OSError:  # some network file systems have no locks
                pass
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._leave(kind)
        finally:
            if self._lock is not None:
                os.close(self._lock)

    def _leave(self, kind: type[BaseException] | None) -> None:
        if kind is None or self.resume or issubclass(kind, Interrupted):
            return  # an interrupted run goes on with its settings
        # Its own checkpoint, one of several runs in folders of their own, or figures.
        kept = ("checkpoints/latest.npz", "*/checkpoints/latest.npz", "metrics.json")
        if any(next(self.path.glob(name), None) for name in kept):
            return
        with contextlib.suppress(OSError):
            (self.path / "config.toml").unlink(missing_ok=True)
            for part in (self.checkpoints.latest.parent, *self._made):
                if part.is_dir() and not any(part.iterdir()):
                    part.rmdir()

    def write_config(self, config: TrainingConfig, **sections: Any) -> None:
        """Write `config.toml`: everything that is needed to repeat the run.

        Args:
            config: the settings.
            **sections: further tables, such as the data's sizes.
        """
        content = {"training": settings_of(config), **sections, "versions": versions()}
        self._write("config.toml", tomlkit.dumps(content))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Write `metrics.json`. A figure that is no finite number is null there."""
        self._write("metrics.json", strict_json(metrics, indent=2) + "\n")

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


def strict_json(value: Any, indent: int | None = None) -> str:
    """JSON as its standard has it, which knows no NaN and no infinity: these become null.

    Args:
        value: plain numbers, strings, lists and dicts.
        indent: as for `json.dumps`.

    Returns:
        The text.

    Example:

    >>> from training.common import strict_json
    >>> strict_json({"loss": 0.5, "perplexity": float("inf")})
    '{"loss": 0.5, "perplexity": null}'
    """

    def finite(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: finite(each) for key, each in part.items()}
        if isinstance(part, list | tuple):
            return [finite(each) for each in part]
        return None if isinstance(part, float) and not np.isfinite(part) else part

    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


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
        arrays = _arrays(self._latest_groups(model, averages))
        arrays["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        save_arrays(self.latest, arrays)

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
            UsageError: if the file belongs to a model of another shape or is damaged; the model is
                as it was then.
        """
        if not self.latest.exists():
            return None
        groups = self._latest_groups(model, averages)
        state = ArrayKind((None,), np.dtype(np.uint8))
        arrays = _read(self.latest, groups, {"state": state})
        try:
            found = json.loads(arrays["state"].tobytes())
        except (ValueError, RecursionError) as error:
            raise UsageError(f"The checkpoint {self.latest} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise UsageError(f"The checkpoint {self.latest} cannot be read: its state is no table.")
        _assign(arrays, groups)
        return found

    def _latest_groups(self, model: keras.Model, averages: WeightAverages | None) -> _Groups:
        groups = {"model": model.variables, "optimizer": _slots(model)}
        if averages is not None:
            groups["averages"] = averages.variables
        return groups

    def save_best(self, model: keras.Model) -> None:
        """Keep the weights as the best so far."""
        save_arrays(self.best, _arrays({"model": model.weights}))

    def restore_best(self, model: keras.Model) -> None:
        """Set the weights to the best ones, where some have been kept.

        Raises:
            UsageError: if the file belongs to a model of another shape or is damaged.
        """
        if self.best.exists():
            groups = {"model": model.weights}
            _assign(_read(self.best, groups), groups)

    def check_best(self, model: keras.Model) -> None:
        """Raise a UsageError unless the best weights can be read: before there are others."""
        if not self.best.exists():
            raise UsageError(f"The checkpoint {self.best} is missing, beside {self.latest}.")
        _read(self.best, {"model": model.weights})


_Groups = dict[str, Sequence[Any]]


def _slots(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return list(model.optimizer.variables)


def _by_name(groups: _Groups) -> dict[str, Any]:
    return {f"{name}/{i}": v for name, group in groups.items() for i, v in enumerate(group)}


def _arrays(groups: _Groups) -> dict[str, np.ndarray]:
    return {name: keras.ops.convert_to_numpy(v) for name, v in _by_name(groups).items()}


def _read(
    path: Path, groups: _Groups, others: Mapping[str, ArrayKind] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, all of them of the shape of their variables."""
    kinds = {
        name: ArrayKind(tuple(v.shape), np.dtype(keras.backend.standardize_dtype(v.dtype)))
        for name, v in _by_name(groups).items()
    }
    try:
        return load_arrays(path, {**kinds, **(others or {})})
    except ArrayFileError as error:
        raise UsageError(
            f"The checkpoint {path} cannot be read, or belongs to a model of another shape: {error}"
        ) from error


def _assign(arrays: Mapping[str, Any], groups: _Groups) -> None:
    for name, variable in _by_name(groups).items():
        variable.assign(arrays[name])


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

    Raises:
        UsageError: if the state is not that of a run.
        Diverged: at the end of the first epoch whose loss, or whose weights, are not finite. Its
            weights are not kept, and the files are as they were after the epoch before.
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
        if state is None:
            state = {"history": [], "best": None, "best_epoch": None, "stopped": False}
        elif not _is_state(state):
            raise UsageError(f"The checkpoint {folder.checkpoints.latest} is not that of a run.")
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
        self._check_finite(epoch, figures)
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

    def _check_finite(self, epoch: int, figures: Mapping[str, float]) -> None:
        wrong = {
            f"the {name.replace('_', ' ')} is {figures[name]}"
            for name in ("loss", "val_loss", self.monitor)
            if name in figures and not np.isfinite(figures[name])
        }
        if not wrong and all(
            np.isfinite(keras.ops.convert_to_numpy(weight)).all()
            for weight in self.model.weights
            if keras.backend.is_float_dtype(weight.dtype)
        ):
            return
        found = " and ".join(sorted(wrong)) or "there are weights that are no finite numbers"
        kept = "No epoch was good, and nothing is kept."
        if epoch:
            kept = f"The checkpoint is that of epoch {epoch}; with --resume it would diverge again."
        raise Diverged(
            f"The training has diverged in epoch {epoch + 1}: {found}. {kept} Begin anew with a "
            "smaller --learning-rate."
        )


def _is_state(state: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's state is what `RunCallback` writes."""
    numbers = (int, float)
    history = state.get("history")
    return (
        isinstance(history, list)
        and all(
            isinstance(row, dict) and isinstance(row.get("seconds"), numbers) for row in history
        )
        and isinstance(state.get("best"), (*numbers, type(None)))
        and isinstance(state.get("best_epoch"), (int, type(None)))
        and isinstance(state.get("stopped"), bool)
    )


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
        Diverged: if a loss or the weights are not finite; the checkpoint before it is whole.
        UsageError: if a checkpoint is damaged.
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
        if run.best is not None:
            folder.checkpoints.check_best(model)
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
            f"\n{stop}.{_going_on(name, out())}",
            highlight=False,
            markup=False,
            soft_wrap=True,  # a command must stay in one line
        )
        raise SystemExit(128 + stop.signal_number) from stop
    except KeyboardInterrupt as stop:  # before the training, or after it
        folder = out()
        more = _going_on(name, folder) if _has_checkpoint(folder) else ""
        _print_error(name, f"{Interrupted(signal.SIGINT)}.{more}")
        raise SystemExit(128 + signal.SIGINT) from stop
    except (ValueError, FileNotFoundError, FileExistsError, ImportError) as error:
        _print_error(name, error)
        raise SystemExit(2) from error
    except Diverged as error:
        _print_error(name, error)
        raise SystemExit(1) from error
    # TensorFlow and HDF5 write files by themselves, and have errors of their own for a full disk.
    except (OSError, RuntimeError, MemoryError, tf.errors.OpError) as error:
        if not isinstance(error, OSError) and not _is_of_a_file(error):
            if not isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
                raise
            _print_error(
                name,
                "There is not enough memory for what the flags ask for. Try a smaller --units or "
                f"--batch-size. {getattr(error, 'message', '') or error}",
            )
            raise SystemExit(1) from error
        folder = out()
        more = f" ({folder})." if folder else "."
        if _has_checkpoint(folder):
            more += _going_on(name, folder)
        _print_error(name, f"{error}{more}")
        raise SystemExit(1) from error


def _going_on(name: str, folder: str | None) -> str:
    return f" Go on with: python -m training.{name} --out {shlex.quote(folder or '')} --resume"


def _has_checkpoint(folder: str | None) -> bool:
    return bool(folder) and (Path(folder or "") / "checkpoints" / "latest.npz").exists()


def _is_of_a_file(error: Exception) -> bool:
    """Whether an error of a library is one of the system's, whose words are in its message."""
    codes = (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        errno.EIO,
    )
    return any(os.strerror(code) in str(error) for code in codes)


def _print_error(name: str, error: object) -> None:
    # A broken standard error must not turn a message into a traceback.
    with contextlib.suppress(OSError):
        text = " ".join(str(error).split())
        Console(stderr=True, soft_wrap=True).print(
            f"training.{name}: {text}", highlight=False, markup=False
        )


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
    chosen = set(_drawn(len(items), share, seed))
    rest = [item for i, item in enumerate(items) if i not in chosen]
    return rest, [item for i, item in enumerate(items) if i in chosen]


def _drawn(size: int, share: float, seed: int) -> list[int]:
    count = max(1, round(size * share))
    return random.Random(seed).sample(range(size), count)


def load_parts(
    config: TrainingConfig, default: str, load: Callable[[str, str], list[Any]]
) -> tuple[str, list[Any], list[Any], list[Any]]:
    """The parts of the data that the flags name.

    Args:
        config: the settings.
        default: the data to train on without `--data`.
        load: reads a split, `load(source, split)`; a ValueError that tells of splits means that
            there is none of that name.

    Returns:
        Where the data comes from, and the training, validation and test part. The latter two are
        empty where the flags name none and the source has none; the first is where only the others
        are to be measured.
    """
    source = config.data or default
    alone = measured_alone(config)
    parts = [[] if alone else load(source, "train")]
    for split, named in (("validation", config.validation), ("test", config.test)):
        if named:
            parts.append(load(named, split))
        elif source.startswith(("builtin:", "tfds:")) and not alone:
            parts.append(_split_if_any(load, source, split))
        else:
            parts.append([])
    train, validation, test = parts
    return alone or source, train, validation, test


def measured_alone(config: TrainingConfig) -> str:
    """What `--evaluate-only` is to measure if no `--data` is named: that and nothing else.

    Args:
        config: the settings.

    Returns:
        The names given to `--validation` and `--test`, or nothing where there is more to read.
    """
    if not config.evaluate_only or config.data is not None:
        return ""
    return ", ".join(name for name in (config.validation, config.test) if name)


def _split_if_any(load: Callable[[str, str], list[Any]], source: str, split: str) -> list[Any]:
    try:
        return load(source, split)
    except UnlabelledError:  # as in the test data of GLUE, whose labels are kept back
        return []
    except ValueError as error:
        if "split" not in str(error):
            raise
        return []


def tenth_held_out(
    rows: list[Any],
    source: str,
    what: str,
    names: Callable[[Any], Iterable[Hashable]] = lambda row: (),
) -> tuple[list[Any], list[Any]]:
    """Split off a tenth of the training data to validate with, always the same.

    What only one example has (a label, a tag) could not be learnt without it: such an example is
    not held out. Where every example is one, those of the tenth are trained on as well.

    Args:
        rows: the training data.
        source: its name.
        what: what one of them is, such as `sentence`.
        names: the labels or tags of an example, that a model must have seen.

    Returns:
        The rest, and the tenth.

    Raises:
        UsageError: if there is only one.
    """
    if len(rows) < 2:
        raise UsageError(f"{source} has one {what}: nothing can be held out. Use --validation.")
    sets = [set(names(row)) for row in rows]
    left = Counter(name for each in sets for name in each)
    drawn = _drawn(len(rows), 0.1, 0)
    others = [i for i in range(len(rows)) if i not in set(drawn)]
    random.Random(0).shuffle(others)
    chosen: set[int] = set()
    for i in [*drawn, *others]:
        if len(chosen) < len(drawn) and all(left[name] > 1 for name in sets[i]):
            chosen.add(i)
            left.subtract(sets[i])
    rest = [row for i, row in enumerate(rows) if i not in chosen]
    if not chosen:
        chosen = set(drawn)
        Console(stderr=True, soft_wrap=True).print(
            f"Nothing can be held out of {source}: every {what} is the only one with some label. "
            "What is measured as validation data is trained on too. Use --validation.",
            highlight=False,
            markup=False,
        )
    return rest, [row for i, row in enumerate(rows) if i in chosen]
