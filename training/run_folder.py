"""The folder of a run: its settings and figures, and checkpoints that are whole or not there."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tomlkit

from kerasrnn.callbacks import WeightAverages
from kerasrnn.storage.atomic import replacing_file, sweep
from kerasrnn.zoo.presets.loading import versions

from .array_files import ArrayFileError, ArrayKind, load_arrays, save_arrays
from .endings import Interrupted
from .flags import TrainingConfig, UsageError, settings_of

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]


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
        self.tensorboard = self.path / "tensorboard"
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

    >>> from training.run_folder import strict_json
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


# === Checkpoints ===


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
