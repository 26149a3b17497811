"""The gradient's flow while a model trains."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.data.errors import whole_number
from kerasrnn.lens.advice import KINDS, GradientWarning, has_exploded, has_vanished
from kerasrnn.lens.first_batch import FirstBatch, first_rows
from kerasrnn.lens.flow import LayerFlow
from kerasrnn.lens.inputs import Batch, batches, check_backend, check_model
from kerasrnn.lens.meter import LayerFigures, Meter
from kerasrnn.lens.probing import chosen_layers
from kerasrnn.storage.atomic import replacing_file
from kerasrnn.zoo import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# To trace a graph takes as long as some twenty measurements without one.
_UNTRACED = 24
# Of so many measurements at most the norms by lag are kept, evenly over the training.
_KEPT = 32


@dataclasses.dataclass
class Measurement:
    """What was measured at one step of a training.

    Attributes:
        step: how many batches had been trained on.
        epoch: the epoch, counted from 1; 0 before the first step.
        layers: the figures of each layer's memory.
    """

    step: int
    epoch: int
    layers: list[LayerFigures]

    @property
    def logs(self) -> dict[str, float]:
        """The figures by the names that they have in the logs of an epoch."""
        longest = max(self.layers, key=lambda each: (_or_less(each.horizon), each.beyond))
        logs = {"lens_horizon": longest.horizon, "lens_growth": longest.growth}
        for each in self.layers:
            behind = f"/{each.name}" if len(self.layers) > 1 else ""
            logs[f"lens_horizon{behind}"] = each.horizon
            logs[f"lens_growth{behind}"] = each.growth
            logs[f"lens_first{behind}"] = each.first
            logs[f"lens_last{behind}"] = each.last
        return logs


class LensCallback(keras.callbacks.Callback):
    """Measures how the gradient flows back through time while any Keras model trains.

    It takes a few examples, the same ones all through the training, and measures for each recurrent
    layer ‖∂L/∂c<t>‖ (‖∂L/∂a<t>‖ where the cell has no c): see `gradient_flow`. L is the loss at
    the end, where there is one for a single answer or for each step. Otherwise, as of models of the
    zoo that answer at each step, it is one random sum of what is put out at the last step, and
    for layers that read from the end at the first.

    The training is what it is without: not a bit of a weight, of a state or of another figure
    changes. Where measuring fails, there is a warning, and the training goes on.

    In the logs of each epoch, and thus in `History` and in the files of callbacks that stand behind
    this one, are the latest figures until its end:

    - `lens_horizon`: the lag at which the gradient has fallen to a hundredth (see
      `memory_horizon`), in steps; the longest lag where it has not;
    - `lens_growth`: the growth of its logarithm with each step back, in nats;
    - `lens_first`, `lens_last`: the norm at the first step that a layer reads, and at the last.

    Of several layers, these have the layer's name behind them, `lens_horizon/lstm_1`, and
    `lens_horizon` and `lens_growth` alone are those of the longest horizon. A gradient that is not
    a finite number has NaN for all of them.

    A `GradientWarning` says once what helps, for the model as it is, when a gradient

    - vanishes: at the end of an epoch, the norm at the first step is below 2⁻²³ of the largest, so
      that in float32 it changes no digit of a weight's gradient, which is a sum over the steps;
    - explodes: at some lag k it is more than 100 times, and more than 10 (k + 1) times, that at
      lag 0: a sum of k + 1 gradients that are all kept could grow by k + 1;
    - is not finite.

    Args:
        every: after how many batches to measure, beginning before the first, and at the end of the
            last epoch; None for before the first, and at the ends of epochs and in between as often
            as `budget` allows.
        examples: how many examples are measured. Layers that are stateful, and models of a fixed
            batch size, get a whole batch.
        x: examples to measure, as `fit` takes them; None for the first ones of the first batch.
        y: their targets. Without any, where `x` is given, L is what is put out.
        layer: the layer to measure, or its name; None for all.
        loss: a loss, in the place of that of `compile`; see `gradient_flow`.
        budget: the share of the training's time that measuring may take without `every`, beside
            the first measurement and the last.
        log_dir: a folder for TensorBoard: figures, histograms of the norms, and the picture.
        picture: a PNG to write at the end: the gradient by lag, early, midway and late.

    Attributes:
        measurements: a `Measurement` for each time; of at most 32 of them, evenly spread, and of
            the latest, the norms by lag are kept.
        advice: the warnings, by what is wrong: `vanishing`, `exploding` or `not finite`.
        seconds: how long all measuring has taken.

    Raises:
        ValueError: an argument has a value that is not allowed; when training begins: the model has
            no recurrent layer, or none of that name.
        RuntimeError: Keras runs on another backend than TensorFlow.
        ImportError: `log_dir` is given and the package tensorboard is missing.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import LensCallback
    >>> model = keras.Sequential([
    ...     keras.Input((40,)), keras.layers.Embedding(10, 4), keras.layers.LSTM(8),
    ...     keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> lens = LensCallback()
    >>> x = np.ones((64, 40), "int32")
    >>> history = model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[lens])
    >>> len(history.history["lens_horizon"])
    2
    """

    def __init__(
        self,
        every: int | None = None,
        *,
        examples: int = 8,
        x: Any = None,
        y: Any = None,
        layer: Any = None,
        loss: Any = None,
        budget: float = 0.02,
        log_dir: str | os.PathLike[str] | None = None,
        picture: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        check_backend()
        self.every = None if every is None else whole_number(every, "`every`", 1)
        self.examples = whole_number(examples, "`examples`", 1)
        if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget <= 1:
            raise ValueError(f"`budget` must be above 0 and at most 1. Received: {budget!r}")
        if y is not None and x is None:
            raise ValueError("`x` must be given where `y` is. Received: x=None")
        if log_dir is not None and importlib.util.find_spec("tensorboard") is None:
            raise ImportError(
                "`log_dir` needs the package tensorboard: pip install 'kerasrnn[tensorboard]'."
            )
        self.x, self.y = x, y
        self.layer, self.loss = layer, loss
        self.budget = float(budget)
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.picture = None if picture is None else Path(picture)
        self.measurements: list[Measurement] = []
        self.advice: dict[str, str] = {}
        self.seconds = 0.0
        self.steps = 0
        self._epoch = 0
        self._last_batch = -1
        self._meter: Meter | None = None
        self._first: FirstBatch | None = None
        self._watched: Any = None
        self._failed = self._waiting = False
        self._cost = self._spent = self._trained = self._begin = 0.0
        self._writer: Any = None
        self._of = "loss"

    # === Keras's hooks ===

    def on_train_begin(self, logs: Any = None) -> None:
        self._begin = time.perf_counter()
        if self._watched is not self.model:
            if self._watched is not None:
                self._forget()
            self._watched = self.model
        if self._meter is not None or self._failed:
            return
        if self.model.built:
            chosen_layers(self.model, self.layer)
        self._waiting = True
        if self.x is None:
            self._first = FirstBatch(self.model, self._see)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._last_batch = epoch + 1, -1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        # Here, for other callbacks may have set weights when the training began.
        if self._waiting and self.x is not None:
            self._waiting = False
            self._start(self._given)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        before = self.steps
        self.steps += batch - self._last_batch
        self._last_batch = batch
        if self.every is not None:
            due = self.steps // self.every > before // self.every
        else:
            due = self._affordable(2)  # one is left for the end of the epoch
        if due:
            self._measure()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        last = (self.params or {}).get("epochs") == epoch + 1
        if last or (self.every is None and self._affordable(1)):
            self._measure()
        self._judge_vanishing()
        if logs is not None and self.measurements:
            latest = self.measurements[-1].logs
            logs |= dict.fromkeys(latest, math.nan) if self._failed else latest
        if self._writer is not None:
            self._writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        if self._first is not None:
            self._first.close()
        self._measure()
        self._judge_vanishing()
        self._trained += time.perf_counter() - self._begin
        self._draw()

    # === The sample ===

    def _see(self, batch: Any) -> None:
        """The first batch of the training, which comes from `FirstBatch`."""
        self._waiting = False
        if batch is None:
            self._give_up("its data cannot be seen here; give `x` and `y`")
            return

        def sample(count: int | None) -> Batch:
            inputs, targets, _ = keras.utils.unpack_x_y_sample_weight(batch)
            if isinstance(self.model, Task) and isinstance(inputs, dict):
                # Where it is, sequences go on from the batch before, with what that one has left.
                inputs = {name: value for name, value in inputs.items() if name != "start"}
            return Batch(inputs, targets, {})

        self._start(sample)

    def _given(self, count: int | None) -> Batch:
        """`x` and `y`, or so many of their first examples."""
        x, y, count = self.x, self.y, count or self.examples
        if isinstance(self.model, Task):  # which encodes all that it gets
            x, y = (_some(values, count) for values in (x, y))
        labelled = None if y is None else True
        return next(batches(self.model, x, y, labelled=labelled, batch_size=count))

    def _start(self, sample: Any) -> None:
        """Measure for the first time."""
        try:
            check_model(self.model)
            places = chosen_layers(self.model, self.layer)
            sizes = [each.shape[0] for each in getattr(self.model, "inputs", None) or []]
            size = next((each for each in sizes if each is not None), None)
            batch = sample(size)
            if size is None and not any(place.layer.stateful for place in places):
                inputs, targets = first_rows((batch.inputs, batch.targets), self.examples)
                batch = Batch(inputs, targets, {})
            self._meter = Meter(self.model, places, batch, self.loss)
        except Exception as error:  # whatever it is, the training goes on
            self._give_up(error)
            return
        if not self.measurements:
            self._measure()

    # === Measuring ===

    def _affordable(self, times: int) -> bool:
        """Whether there is time for so many measurements."""
        trained = self._trained + time.perf_counter() - self._begin
        return self._spent + times * self._cost <= self.budget * trained

    def _measure(self) -> None:
        """Measure, unless there is nothing to measure with or it has just been done."""
        if self._meter is None or self._failed:
            return
        if self.measurements and self.measurements[-1].step == self.steps:
            return
        begin = time.perf_counter()
        try:
            eager = self.model.run_eagerly or len(self.measurements) < _UNTRACED
            layers = self._meter.read(traced=not eager)
            self._of = self._meter.of
            self._record(layers)
        except Exception as error:  # whatever it is, the training goes on
            self._give_up(error)
        finally:
            self._cost = time.perf_counter() - begin
            self.seconds += self._cost
            if len(self.measurements) > 1:
                self._spent += self._cost
            else:
                self._cost /= 2  # for the next: the first finds TensorFlow's kernels, too

    def _record(self, layers: list[LayerFigures]) -> None:
        measurement = Measurement(self.steps, self._epoch if self.steps else 0, layers)
        self.measurements.append(measurement)
        # A power of two, so that what is kept stays so.
        apart = 2 ** max(0, math.ceil(math.log2(len(self.measurements) / _KEPT)))
        for number, each in enumerate(self.measurements[:-1]):
            if number % apart:
                for figures in each.layers:
                    figures.by_lag = None
        for figures in layers:
            if not figures.is_finite:
                self._warn("not finite", figures)
            elif has_exploded(figures):
                self._warn("exploding", figures)
        if self.log_dir is not None:
            self._write(measurement)

    def _judge_vanishing(self) -> None:
        """Warn of a gradient that training has not saved from vanishing."""
        if self.measurements and self.measurements[-1].step:
            for figures in self.measurements[-1].layers:
                if has_vanished(figures):
                    self._warn("vanishing", figures)

    def _warn(self, kind: str, figures: LayerFigures) -> None:
        if kind in self.advice or self._meter is None:
            return
        cell = self._meter.cells.get(figures.name)
        text = KINDS[kind](figures, cell, self.model, self._of)
        self.advice[kind] = text
        warnings.warn(text, GradientWarning, stacklevel=3)

    def _give_up(self, reason: Any) -> None:
        self._failed, self._meter = True, None
        if isinstance(reason, Exception):
            reason = f"{type(reason).__name__}: {reason}"
        warnings.warn(
            f"LensCallback cannot measure '{self.model.name}', which trains on without it: "
            f"{reason}",
            stacklevel=3,
        )

    def _forget(self) -> None:
        """Begin anew, with another model."""
        self.measurements, self.advice = [], {}
        self.seconds = self._cost = self._spent = self._trained = 0.0
        self.steps = 0
        self._meter, self._failed = None, False

    # === Going on ===

    def state(self) -> dict[str, Any]:
        """All that a checkpoint must hold for a training to go on, as plain numbers and strings."""

        def plain(figures: LayerFigures) -> dict[str, Any]:
            by_lag = None if figures.by_lag is None else figures.by_lag.tolist()
            return {**vars(figures), "by_lag": by_lag}

        return {
            "steps": self.steps,
            "of": self._of,
            "advice": dict(self.advice),
            "measurements": [
                {"step": each.step, "epoch": each.epoch, "layers": [*map(plain, each.layers)]}
                for each in self.measurements
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises:
            ValueError: it is no such state.
        """

        def figures(values: Mapping[str, Any]) -> LayerFigures:
            by_lag = values["by_lag"]
            return LayerFigures(
                **{**values, "by_lag": None if by_lag is None else np.array(by_lag, float)}
            )

        try:
            self.measurements = [
                Measurement(int(each["step"]), int(each["epoch"]), [*map(figures, each["layers"])])
                for each in state["measurements"]
            ]
            self.steps, self._of = int(state["steps"]), str(state["of"])
            self.advice = dict(state["advice"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"`state` must be that of a LensCallback: {error!r}") from error

    # === TensorBoard ===

    def _write(self, measurement: Measurement) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir))
        with self._writer.as_default(step=measurement.step):
            for figures in measurement.layers:
                for name in ("horizon", "growth", "first", "last"):
                    tf.summary.scalar(f"lens_{name}/{figures.name}", getattr(figures, name))
                norms = figures.by_lag
                if norms is not None and (np.isfinite(norms) & (norms > 0)).any():
                    norms = np.log10(norms[np.isfinite(norms) & (norms > 0)])
                    tf.summary.histogram(f"lens_log10_of_norms/{figures.name}", norms)

    # === Pictures ===

    def plot(
        self, layer: str | None = None, ax: Axes | None = None, theme: Any = None, **options: Any
    ) -> Axes:
        """Draw the gradient by lag at the first measurement, midway and at the last.

        Args:
            layer: the layer's name; None for the first.
            ax: matplotlib axes to draw into; None for a new figure.
            theme: `"light"`, `"dark"`, or None for what suits the figure's background.
            **options: passed to `kerasrnn.lens.pictures.plot_flows`, such as `title`.

        Returns:
            The axes.

        Raises:
            ValueError: nothing has been measured, or there is no such layer.
        """
        from kerasrnn.lens.pictures import plot_flows

        flows = self._flows()
        names = list(dict.fromkeys(flow.name for each in flows.values() for flow in each))
        layer = names[0] if layer is None else layer
        if layer not in names:
            raise ValueError(
                f"`layer` must be one of {', '.join(map(repr, names))}. Received: layer={layer!r}"
            )
        of_layer = {
            title: [flow for flow in each if flow.name == layer] for title, each in flows.items()
        }
        return plot_flows(of_layer, ax=ax, theme=theme, **{"of": self._of, **options})

    def figure(self, theme: Any = None) -> Figure:
        """Draw `plot` for each layer, one below the other.

        Args:
            theme: `"light"`, `"dark"`, or None for light.

        Returns:
            A figure; its `savefig(path)` writes it.

        Raises:
            ValueError: nothing has been measured.
        """
        from kerasrnn.lens.pictures import figure_of_flows

        return figure_of_flows(self._flows(), of=self._of, theme=theme)

    def _flows(self) -> dict[str, list[LayerFlow]]:
        """Those of the first measurement, the one midway and the last, by what to call them."""
        kept = [each for each in self.measurements if each.layers[0].by_lag is not None]
        if not kept:
            raise ValueError("There is nothing to draw: no training has been measured.")
        middle = min(kept, key=lambda each: abs(2 * each.step - kept[0].step - kept[-1].step))
        chosen = list({id(each): each for each in (kept[0], middle, kept[-1])}.values())
        return {
            title: [
                LayerFlow(figures.name, figures.state, False, True, figures.by_lag[None, ::-1])
                for figures in measurement.layers
                if figures.by_lag is not None
            ]
            for title, measurement in zip(_titles(chosen), chosen, strict=True)
        }

    def _draw(self) -> None:
        """The picture, into its file and for TensorBoard."""
        if self.measurements and (self.picture is not None or self._writer is not None):
            try:
                drawn = io.BytesIO()
                self.figure().savefig(drawn, dpi=120, format="png")
                if self.picture is not None:
                    self.picture.parent.mkdir(parents=True, exist_ok=True)
                    with replacing_file(self.picture) as temporary:
                        temporary.write_bytes(drawn.getvalue())
                if self._writer is not None:
                    image = tf.io.decode_png(drawn.getvalue(), channels=4)[None]
                    with self._writer.as_default(step=self.steps):
                        tf.summary.image("lens_gradient_by_lag", image)
            except Exception as error:  # the training was not in vain
                warnings.warn(
                    f"LensCallback could not draw its picture: {type(error).__name__}: {error}",
                    stacklevel=3,
                )
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _or_less(number: float) -> float:
    """A number, or less than all where it is none."""
    return -1.0 if math.isnan(number) else number


def _some(values: Any, count: int) -> Any:
    """The first examples for a task."""
    if isinstance(values, tf.data.Dataset):
        return values.take(count)
    return None if values is None else values[:count]


def _titles(measurements: Sequence[Measurement]) -> list[str]:
    """What each is called: its epoch, or its step where several are of one epoch."""
    epochs = [each.epoch for each in measurements]
    names = "epoch" if len(set(epochs)) == len(epochs) else "step"
    return [
        f"{names} {getattr(each, names):,}" if each.step else "before training"
        for each in measurements
    ]
