"""Fitting a model: progress, history, the best weights, means of weights, and going on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerasrnn.callbacks import WeightAverages
from kerasrnn.lens import LensCallback

from .endings import Diverged, InterruptGuard
from .flags import UsageError
from .run_folder import RunFolder


@dataclass(frozen=True)
class Stage:
    """A part of a training with an optimizer of its own.

    Attributes:
        end: the epoch at which it ends.
        start: compiles the model for it. What has learnt before goes on from the weights it has.
    """

    end: int
    start: Callable[[], None]


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
    callbacks: Sequence[keras.callbacks.Callback] = (),
    stages: Sequence[Stage] = (),
    speed: Speed | None = None,
    lens: LensCallback | None = None,
) -> RunCallback:
    """Train up to an epoch, from the latest checkpoint if there is one, and go back to the best.

    Args:
        fit: called with `epochs`, `initial_epoch`, `callbacks` and `verbose`, as `model.fit`.
        model: the model; compiled, unless there are stages.
        folder: the run's folder.
        console: where progress is shown.
        epochs: at which epoch to stop.
        steps: how many batches an epoch has.
        monitor: the figure that says which weights are best.
        figures: what to show of an epoch's logs, and how to call it.
        maximize: whether more of the monitored figure is better.
        patience: stop after as many epochs of the last stage without a better figure; None for
            never.
        average_weights: the decay of the means of the weights that are measured and kept in place
            of the weights themselves; 0 for none.
        callbacks: others, which see each epoch before it is written down.
        stages: what the training is made of, the last ending with it; none for a model that is
            compiled, and trained as it is.
        speed: how much an epoch reads, to show how fast it does; None for not to.
        lens: what measures the gradient's flow; its figures are in the history, and what it has
            measured is in the checkpoint.

    Returns:
        The run's history. The model has its best weights.

    Raises:
        Interrupted: after SIGINT or SIGTERM; the last checkpoint is whole.
        Diverged: if a loss or the weights are not finite; the checkpoint before it is whole.
        UsageError: if a checkpoint is damaged.
    """
    stages = stages or [Stage(epochs, lambda: None)]
    stage, averages, state = _resumed(model, folder, stages, average_weights)
    with InterruptGuard() as guard:
        run = RunCallback(
            folder,
            guard,
            monitor=monitor,
            maximize=maximize,
            patience=patience,
            patient_until=stages[-2].end if len(stages) > 1 else 0,
            averages=averages,
            lens=lens,
            state=state,
        )
        done = len(run.history)
        if run.best is not None:
            folder.checkpoints.check_best(model)
        if done and not run.stopped and done < epochs:
            console.print(f"Going on after epoch {done}.")
        progress = ProgressCallback(console, epochs, steps, figures, speed)
        try:
            for following in stages:
                if run.stopped or len(run.history) >= following.end:
                    continue
                if following is not stage:
                    following.start()
                    run.averages = _averages(model, average_weights)
                own = [each for each in (progress, run.averages, lens) if each is not None]
                fit(
                    epochs=following.end,
                    initial_epoch=len(run.history),
                    callbacks=[*own, *callbacks, run],
                    verbose=0,
                )
        finally:
            progress.close()
    folder.checkpoints.restore_best(model)
    return run


def _averages(model: keras.Model, decay: float) -> WeightAverages | None:
    """Means that begin with the weights of a model; None without a decay."""
    if not decay:
        return None
    averages = WeightAverages(decay)
    averages.build(model)
    return averages


def _resumed(
    model: keras.Model, folder: RunFolder, stages: Sequence[Stage], average_weights: float
) -> tuple[Stage, WeightAverages | None, dict[str, Any] | None]:
    """The stage in which the last epoch was done, with the model as it was behind that epoch."""
    fault: UsageError | None = None
    for stage in stages:
        stage.start()
        averages = _averages(model, average_weights)
        try:
            state = folder.checkpoints.restore(model, averages)
        except UsageError as error:  # perhaps that of a later stage, in which more is learning
            fault = fault or error
            continue
        history = (state or {}).get("history")
        if not isinstance(history, list) or len(history) <= stage.end or stage is stages[-1]:
            return stage, averages, state
    assert fault is not None
    raise fault


class RunCallback(keras.callbacks.Callback):
    """Keeps the history, the best weights and the checkpoint of a run; stops it when it is due.

    Args:
        folder: the run's folder.
        guard: looked at after each batch and each epoch.
        monitor: the figure that says which weights are best, such as `val_f1`.
        maximize: whether more of it is better.
        patience: stop after as many epochs without a better figure; None for never.
        patient_until: from which epoch on these are counted.
        averages: means of the weights, which it writes into the checkpoint.
        lens: what measures the gradient's flow; so is what it has measured.
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
        monitor: str,
        maximize: bool = True,
        patience: int | None = None,
        patient_until: int = 0,
        averages: WeightAverages | None = None,
        lens: LensCallback | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if state is None:
            state = {"history": [], "best": None, "best_epoch": None, "stopped": False}
        elif not _is_state(state):
            raise UsageError(f"The checkpoint {folder.checkpoints.latest} is not that of a run.")
        elif lens is not None:
            try:
                lens.restore(state.get("lens", {}))
            except ValueError as error:
                raise UsageError(f"{folder.checkpoints.latest}: {error}") from error
        self.folder = folder
        self.guard = guard
        self.monitor = monitor
        self.maximize = maximize
        self.patience = patience
        self.patient_until = patient_until
        self.averages = averages
        self.lens = lens
        self.history = list(state["history"])
        self.best = state["best"]
        self.best_epoch = state["best_epoch"]
        self.stopped = state["stopped"]
        self._begin = 0.0

    @property
    def seconds(self) -> float:
        """Time spent in the epochs so far, those before an interruption included."""
        return sum(row["seconds"] for row in self.history)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
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
        since = max(self.best_epoch, self.patient_until)
        if self.patience is not None and epoch + 1 - since >= self.patience:
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
                **({} if self.lens is None else {"lens": self.lens.state()}),
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


class Speed(NamedTuple):
    """How much an epoch reads.

    Attributes:
        number: how many.
        counted: what is counted, such as `words`.
    """

    number: int
    counted: str

    def shown(self, share: float, seconds: float) -> str:
        """How many in a second, where a share of the epoch took so many seconds."""
        return f"{self.number * share / max(seconds, 1e-9):,.0f} {self.counted}/s"


class ProgressCallback(keras.callbacks.Callback):
    """A progress bar over all batches; a line for each epoch where there is no terminal.

    Args:
        console: where to draw.
        epochs: at which epoch the training stops.
        steps: how many batches an epoch has.
        figures: the logs to show behind it, with what to call them.
        speed: how much an epoch reads; None where its speed is not shown.
    """

    def __init__(
        self,
        console: Console,
        epochs: int,
        steps: int,
        figures: Mapping[str, str],
        speed: Speed | None = None,
    ) -> None:
        super().__init__()
        self.console = console
        self.epochs = epochs
        self.steps = steps
        self.figures = figures
        self.speed = speed
        self._begin = self._end = 0.0
        self._progress: Progress | None = None
        self._shown = ""
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._begin = self._end = time.perf_counter()
        if self._progress is None and self.console.is_terminal:
            self._progress = Progress(
                TextColumn("[bold]epoch {task.fields[epoch]}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[speed]}"),
                TextColumn("{task.fields[figures]}"),
                console=self.console,
            )
            self._task = self._progress.add_task(
                "", total=self.epochs * self.steps, epoch="", figures="", speed=""
            )
            self._progress.start()
        self._update(0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._end = time.perf_counter()
        self._update(batch + 1)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        logs = logs or {}
        self._shown = "  ".join(
            f"{title} {_shown(float(logs[name]))}"
            for name, title in self.figures.items()
            if name in logs
        )
        if self._progress is None and self.speed is not None:
            self._shown += f"  {self._speed(self.steps)}"
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
            speed = self._speed(steps) if steps and self.speed is not None else ""
            self._progress.update(
                self._task,
                completed=self._epoch * self.steps + steps,
                epoch=f"{self._epoch + 1}/{self.epochs}",
                figures=self._shown,
                speed=speed,
            )

    def _speed(self, steps: int) -> str:
        """How fast so many steps of this epoch were."""
        assert self.speed is not None
        return self.speed.shown(steps / self.steps, self._end - self._begin)


def _shown(figure: float) -> str:
    """Four decimals, or the first digits of what is smaller."""
    return f"{figure:.1e}" if 0 < abs(figure) < 0.001 else f"{figure:.4f}"


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


def parameters_of(model: keras.Model) -> int:
    """The number of a model's weights, frozen ones included."""
    return int(sum(np.prod(weight.shape) for weight in model.weights))
