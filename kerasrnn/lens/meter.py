"""The gradient's flow through one sample, measured again and again as a model trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasrnn.layers.parts import parts_of
from kerasrnn.lens.flow import LayerFlow, norms_of
from kerasrnn.lens.inputs import Batch
from kerasrnn.lens.probing import Place


@dataclass
class LayerFigures:
    """What is measured of a layer's memory; NaN where a gradient is not finite.

    Attributes:
        name: the layer; see `GradientFlow`.
        state: `c` of an LSTM, `a` of others.
        horizon: the lag at which the gradient has fallen to a hundredth; see `memory_horizon`.
        beyond: whether it has not fallen so far, and `horizon` is the longest lag.
        growth: of the logarithm of the norm with each step back, in nats.
        first: the norm at the first step that is read, as a mean over the examples.
        last: the norm at the last step that the answer depends on.
        by_lag: the norms by lag, where they are kept; infinite where they are no finite numbers.
    """

    name: str
    state: str
    horizon: float
    beyond: bool
    growth: float
    first: float
    last: float
    by_lag: np.ndarray | None

    @property
    def is_finite(self) -> bool:
        """Whether all norms were finite numbers."""
        return bool(np.isfinite(self.first) and np.isfinite(self.last))


class Meter:
    """Measures a sample.

    Neither weights nor states change, no random number is drawn, and dropout is off.

    Args:
        model: a built model.
        places: its layers, from `kerasrnn.lens.probing.chosen_layers`.
        batch: the sample.
        loss: see `gradient_flow`.

    Attributes:
        of: what was differentiated, `loss` or `output`, once it has been.
        cells: the cell behind each name, once it has been.
    """

    def __init__(self, model: Any, places: Sequence[Place], batch: Batch, loss: Any = None) -> None:
        self.model = model
        self.places = places
        self.batch = batch._replace(inputs=tree.map_structure(_constant, batch.inputs))
        self.loss = loss
        self.of = "loss"
        self.cells: dict[str, Any] = {}
        self._flows: list[dict[str, Any]] = []
        self._traced = tf.function(self._norms, autograph=False)
        self._loose = list(_loose_variables(model))

    def read(self, *, traced: bool) -> list[LayerFigures]:
        """Measure.

        Args:
            traced: whether in a graph, which is faster but the first time takes as long as some
                twenty measurements without.

        Returns:
            Figures for each layer and direction, in the order in which the model runs them.

        Raises:
            ValueError: what is differentiated does not depend on the layers, or the mask hides all.
        """
        # Keras's own variables are out of reach in a stateless scope; others are put back.
        saved = [variable.read_value() for variable in self._loose]
        try:
            arrays = (self._traced if traced else self._norms)()
        finally:
            for variable, value in zip(self._loose, saved, strict=True):
                variable.assign(value)
        figures = []
        for about, norms, hidden in zip(self._flows, *arrays, strict=True):
            rows = norms.numpy()
            wrong = ~np.isfinite(rows) & ~hidden.numpy()
            rows = np.where(wrong, np.inf, rows)  # NaN is what is hidden
            figures.append(_figures(LayerFlow(**about, is_memory=True, per_example=rows)))
        if all(not len(each.by_lag) for each in figures if each.by_lag is not None):
            raise ValueError("The mask must leave a step. It hides all steps of all examples.")
        return figures

    def _norms(self) -> tuple[list[Any], list[Any]]:
        """The norms of each layer's memory, and which of them are hidden."""
        with keras.StatelessScope():
            found = norms_of(self.model, self.places, self.batch, loss=self.loss, at="brief")
        if not found.reached:
            names = ", ".join(repr(place.name) for place in self.places)
            raise ValueError(
                f"The {found.of} must depend on the layer. It does not depend on {names}."
            )
        self.of = found.of
        self._flows = [
            {
                "name": reading.name,
                "state": reading.state_names[-1],
                "backward": reading.backward,
                "turned": found.is_turned(reading, "brief"),
            }
            for reading in found.readings
        ]
        self.cells = {reading.name: reading.cell for reading in found.readings}
        norms = [states[-1] for states in found.norms]
        hidden = [
            tf.zeros_like(each, tf.bool)
            if reading.mask is None
            else ~tf.cast(tf.transpose(reading.mask), tf.bool)
            for reading, each in zip(found.readings, norms, strict=True)
        ]
        return norms, hidden


def _loose_variables(model: Any) -> Iterator[tf.Variable]:
    """Variables of TensorFlow that layers have as attributes, which Keras does not know of."""
    seen: set[int] = set()

    def within(value: Any) -> Iterator[tf.Variable]:
        if isinstance(value, tf.Variable | list | tuple | dict) and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, tf.Variable):
                yield value
            else:
                for each in value.values() if isinstance(value, dict) else value:
                    yield from within(each)

    for part in [model, *(part for _, part in parts_of(model))]:
        yield from within(vars(part))


def _constant(value: Any) -> Any:
    return tf.constant(value) if isinstance(value, np.ndarray) else value


def _figures(flow: LayerFlow) -> LayerFigures:
    by_lag, nothing = flow.by_lag, float("nan")
    about = flow.name, flow.state
    if np.isinf(by_lag).any():
        return LayerFigures(*about, nothing, False, nothing, nothing, nothing, by_lag)
    horizon, first, last = flow.horizon, 0.0, 0.0
    if len(by_lag):
        rows = [row[~np.isnan(row)] for row in flow.per_example]
        first = float(np.mean([row[-1 if flow.from_end else 0] for row in rows if len(row)]))
        last = float(by_lag[0])
    return LayerFigures(*about, float(horizon), horizon.at_least, flow.growth, first, last, by_lag)
