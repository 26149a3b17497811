"""How the gradient flows back through time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf
from keras import tree

from kerasrnn.data.errors import whole_number
from kerasrnn.lens.inputs import Batch, batches, check_model
from kerasrnn.lens.objectives import has_steps, objectives
from kerasrnn.lens.probing import Place, Reading, chosen_layers, probing
from kerasrnn.zoo import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHARE = 0.01
_HUGE = 1e-3  # of the largest number: what follows may overflow


class Horizon(float):
    """A number of time steps.

    Attributes:
        at_least: whether the gradient has not fallen so far within the sequences that were read:
            the number is then their longest lag, and the horizon lies beyond.
    """

    at_least: bool

    def __new__(cls, steps: float, at_least: bool = False) -> Horizon:
        horizon = super().__new__(cls, steps)
        horizon.at_least = at_least
        return horizon

    def __str__(self) -> str:
        return f"{'≥ ' if self.at_least else ''}{float(self):.3g}"


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """The norms of a layer's gradient.

    Attributes:
        name: the layer, such as `bidirectional/forward_lstm`; see `GradientFlow`.
        state: `a`, or `c` for the memory of an LSTM.
        backward: whether the layer reads from the end.
        is_memory: whether the state is what carries on what was read: c of an LSTM, a of others.
        per_example: float64 `(examples, time)`, ‖∂L/∂a<t>‖₂ of each example; NaN where a step is
            masked or an example is shorter.
        turned: whether lags are counted in time all the same, for what stands above reads the last
            steps of time last.
    """

    name: str
    state: str
    backward: bool
    is_memory: bool
    per_example: np.ndarray
    turned: bool = False

    @property
    def from_end(self) -> bool:
        """Whether lags grow with time."""
        return self.backward and not self.turned

    @property
    def norms(self) -> np.ndarray:
        """The mean over the examples, `(time,)`; NaN where no example has the step."""
        return _mean(self.per_example)

    @property
    def by_lag(self) -> np.ndarray:
        """The mean by lag, `(lags,)`: how many steps the layer reads after the state.

        Lag 0 is the last step of an example, in the order in which the layer reads, whose state
        has a gradient: the one that the loss reads, where it reads only one. Masked steps do not
        count. Where the loss is that of the end, and a layer that reads from the end puts out all
        of its steps, lags are steps of time (see `turned`): the last step of time is the nearest.
        """
        rows = [_back(row[::-1] if self.from_end else row) for row in self.per_example]
        longest = max(map(len, rows), default=0)
        padded = np.full((len(rows), longest), np.nan)
        for number, row in enumerate(rows):
            padded[number, : len(row)] = row
        return _mean(padded)

    @property
    def horizon(self) -> Horizon:
        """The lag at which the gradient has fallen to a hundredth; see `memory_horizon`."""
        return horizon_of(self.by_lag)

    @property
    def growth(self) -> float:
        """By how much the logarithm of the norm grows with each step back, in nats a step.

        The slope of a straight line through the logarithms of `by_lag`, by least squares; below 0
        where the gradient vanishes, above where it explodes, NaN for a single step.
        """
        norms = self.by_lag
        lags = np.flatnonzero(np.isfinite(norms) & (norms > 0))
        if len(lags) < 2:
            return math.nan
        return float(np.polyfit(lags, np.log(norms[lags]), 1)[0])


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The gradient of every layer at every step.

    Attributes:
        layers: a `LayerFlow` for each layer, direction and state, in the order in which the model
            runs them. A layer that is called again has a number in brackets, `lstm (2)`; a cell of
            a stack stands behind its layer, `rnn/lstm_cell`.
        of: what the derivative is of: `loss`, or `output`.
        at: the step at which that is read: `each`, `end` or a number.
    """

    layers: tuple[LayerFlow, ...]
    of: str
    at: str | int

    @property
    def memories(self) -> tuple[LayerFlow, ...]:
        """The layers' memories alone: c of an LSTM, a of others."""
        return tuple(layer for layer in self.layers if layer.is_memory)

    def __getitem__(self, key: str | tuple[str, str]) -> LayerFlow:
        """The flow of a layer's memory, by its name; or of a state, by name and state."""
        for layer in self.layers:
            if key in ((layer.name, layer.state), layer.name if layer.is_memory else None):
                return layer
        names = ", ".join(repr(layer.name) for layer in self.memories)
        raise KeyError(f"There is no layer {key!r}. Expected one of {names}.")

    def __iter__(self) -> Iterator[LayerFlow]:
        return iter(self.layers)

    @property
    def horizon(self) -> Horizon:
        """The longest horizon of the layers."""
        return max((layer.horizon for layer in self.memories), key=lambda h: (float(h), h.at_least))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, such as for JSON; NaN and infinity are None."""
        return {
            "of": self.of,
            "at": self.at,
            "layers": [
                {
                    "name": layer.name,
                    "state": layer.state,
                    "backward": layer.backward,
                    "norms": _plain(layer.norms),
                    "by_lag": _plain(layer.by_lag),
                    "horizon": float(layer.horizon),
                    "beyond": layer.horizon.at_least,
                }
                for layer in self.layers
            ],
        }

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the norms by lag; see `kerasrnn.lens.pictures.plot_flows`."""
        from kerasrnn.lens.pictures import plot_flows

        flows = {layer.name: layer for layer in self.memories}
        return plot_flows(flows, ax=ax, **{"of": self.of, **options})

    def heat_map(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw time × layer; see `kerasrnn.lens.pictures.flow_heat_map`."""
        from kerasrnn.lens.pictures import flow_heat_map

        return flow_heat_map(self, ax=ax, **options)

    def unrolled(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the network over time; see `kerasrnn.lens.unrolled.unrolled_network`."""
        from kerasrnn.lens.unrolled import unrolled_network

        return unrolled_network(self, ax=ax, **options)


def gradient_flow(
    model: Any,
    x: Any,
    y: Any = None,
    layer: Any = None,
    *,
    loss: Any = None,
    at: Literal["each", "end"] | int | None = None,
    of: Literal["loss", "output"] | None = None,
    batch_size: int = 32,
) -> GradientFlow:
    r"""How much a loss depends on what each recurrent layer keeps at each time step.

    .. math::

        \left\lVert \frac{\partial L}{\partial a^{<t>}} \right\rVert_2, \qquad
        \frac{\partial L}{\partial a^{<t>}} = \frac{\partial L}{\partial a^{<T>}}
        \prod_{k=t+1}^{T} \frac{\partial a^{<k>}}{\partial a^{<k-1>}}

    where the second holds for a loss that reads the last step alone. The derivative is the total
    one: through what the step puts out, and through all later steps. It vanishes or explodes with
    the product (Hochreiter 1991; Bengio, Simard & Frasconi 1994; Pascanu et al. 2013). It is exact,
    and any Keras model will do; its layers run step by step for the time of the call.

    L is the loss as `fit` minimises it, a mean over a batch, times the number of examples, so that
    a gradient does not depend on how many examples stand beside it. Dropout is off. Regularisers
    have no part in it.

    Args:
        model: a built Keras model with recurrent layers of this package or of Keras, stacked, in
            both directions or in other models; or a task of `kerasrnn.zoo`.
        x: the inputs, as `fit` takes them; for a task raw inputs or examples.
        y: the targets. Without any, the derivative is that of what the model puts out: the norm is
            that of the matrix of all derivatives (Frobenius); where there are more than 32 numbers,
            by 16 random sums of them, right on average.
        layer: one layer, its name, or that of a layer around several; None for all.
        loss: a loss of Keras, its name or a function of targets and outputs; None for that with
            which the model is compiled, and for that of a task.
        at: where an output has time steps, which of them L is made of: `"each"`, all of them, the
            default where there are targets; `"end"`, the last that is not masked, the default where
            there are none; or the number of one.
        batch_size: how many examples are read at once.

    Returns:
        A `GradientFlow`. Steps that a layer's mask hides are NaN.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: the model has no recurrent layer, or none of that name, or is not built; no step
            is left by the mask; the loss does not depend on the layer, or is not finite; a gradient
            is not a number; there is no loss; or an option is none of its choices.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import gradient_flow
    >>> model = keras.Sequential([
    ...     keras.Input((50, 3)), keras.layers.SimpleRNN(8, name="rnn"), keras.layers.Dense(1)])
    >>> flow = gradient_flow(model, np.ones((4, 50, 3)), np.ones((4, 1)), loss="mse")
    >>> flow["rnn"].norms.shape
    (50,)
    """
    if of not in (None, "loss", "output"):
        raise ValueError(f"`of` must be 'loss', 'output' or None. Received: of={of!r}")
    if of == "output" and loss is not None:
        raise ValueError("`loss` must be None where the derivative is that of the output.")
    labelled = None if of is None and y is None else of != "output"
    return _flow(model, x, y, layer, loss=loss, at=at, batch_size=batch_size, labelled=labelled)


def _flow(
    model: Any,
    x: Any,
    y: Any,
    layer: Any,
    *,
    loss: Any = None,
    at: Any = None,
    batch_size: int,
    labelled: bool | None,
) -> GradientFlow:
    check_model(model)
    places = chosen_layers(model, layer)
    if at not in (None, "each", "end") and (isinstance(at, bool) or not isinstance(at, int)):
        raise ValueError(
            f"`at` must be 'each', 'end', the number of a step or None. Received: at={at!r}"
        )
    batch_size = whole_number(batch_size, "batch_size", 1)
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    kinds: dict[tuple[str, str], Reading] = {}
    of = "output"
    connected = False
    for batch in batches(model, x, y, labelled=labelled, batch_size=batch_size):
        of = "output" if batch.targets is None else "loss"
        at = at if at is not None else {"output": "end", "loss": "each"}[of]
        found = norms_of(model, places, batch, loss=loss, at=at)
        values, readings, norms, reached = found[:4]
        connected = connected or bool(reached)
        if not np.isfinite(values.numpy()).all():
            raise ValueError(
                f"The {of} of '{model.name}' is not finite: there is nothing to differentiate. "
                "Look for NaN in `x`, in `y` or in the weights."
            )
        for reading, states in zip(readings, norms, strict=True):
            for state, array in zip(reading.state_names, states, strict=True):
                key = (reading.name, state)
                rows.setdefault(key, []).append(_checked(array.numpy(), reading, state))
                kinds[key] = reading
    if not connected:
        names = ", ".join(repr(place.name) for place in places)
        raise ValueError(f"The {of} must depend on the layer. It does not depend on {names}.")
    layers = [
        LayerFlow(
            name=name,
            state=state,
            backward=kinds[name, state].backward,
            is_memory=state == kinds[name, state].state_names[-1],
            per_example=_joined(parts),
            turned=found.is_turned(kinds[name, state], at),
        )
        for (name, state), parts in rows.items()
    ]
    if all(np.isnan(each.per_example).all() for each in layers):
        raise ValueError("The mask must leave a step. It hides all steps of all examples.")
    assert at is not None
    return GradientFlow(tuple(layers), of, at)


class Norms(NamedTuple):
    """What `norms_of` finds.

    Attributes:
        values: what was differentiated, `(objectives,)`.
        readings: what the layers have computed.
        norms: for each of them, for each of its states, the norms, float64 `(batch, time)`, NaN
            where masked.
        reached: how many of the states have a derivative at all.
        of: what was differentiated, `loss` or `output`.
        steps: whether there is an answer at each step.
    """

    values: Any
    readings: list[Reading]
    norms: list[list[Any]]
    reached: int
    of: str
    steps: bool

    def is_turned(self, reading: Reading, at: Any) -> bool:
        """See `LayerFlow`; `at` as for `norms_of`."""
        return reading.backward and reading.sequences and (at == "end" or not self.steps)


def norms_of(
    model: Any,
    places: Sequence[Place],
    batch: Batch,
    *,
    loss: Any = None,
    at: Any = "each",
) -> Norms:
    """The norms of one batch, as tensors; it may be called inside of a `tf.function`.

    Args:
        model: a built model.
        places: its layers, from `kerasrnn.lens.probing.chosen_layers`.
        batch: what it reads.
        loss: see `gradient_flow`.
        at: see there; or `"brief"`, for what is measured again and again: the loss at the end where
            there is such a one, else one random sum of what is put out at the end. For layers that
            read from the end it is that of the first step, where there are answers at each, so that
            lags are counted from where an answer is read.
    """
    with (
        tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape,
        probing(model, places, tape=tape) as probe,
    ):
        outputs = model(batch.inputs, training=False)
        masks = [None if r.mask is None else tf.transpose(r.mask) for r in probe.readings]
        groups, of = _objectives(model, batch, outputs, probe, loss=loss, masks=masks, at=at)
    missing = {p.name for p in places} - {r.name.partition(" (")[0] for r in probe.readings}
    if not probe.readings:
        raise ValueError(
            f"The model must run its recurrent layers when it is called. '{model.name}' does not "
            f"run {', '.join(map(repr, sorted(missing)))} one step after the other."
        )
    deltas = [list(reading.deltas) for reading in probe.readings]
    squares: list[list[Any]] = [[0.0] * len(each) for each in deltas]
    reached = set()
    # As large as those of a training that computes in 16 bits, so that as many are above 0.
    scale = _loss_scale(model, deltas, outputs)
    for scalar, chosen in groups:
        gradients = tape.gradient(
            scalar, [deltas[i] for i in chosen], output_gradients=tf.cast(scale, scalar.dtype)
        )
        for i, states in zip(chosen, gradients, strict=True):
            for j, gradient in enumerate(states):
                if gradient is not None:
                    reached.add((i, j))
                    squares[i][j] += _squares(gradient, scale)
    norms = []
    for reading, sums, changes in zip(probe.readings, squares, deltas, strict=True):
        found = []
        for total, delta in zip(sums, changes, strict=True):
            if isinstance(total, float):
                total = _squares(tf.zeros_like(delta), scale)
            norm = tf.sqrt(tf.transpose(total))
            if reading.mask is not None:
                nothing = tf.constant(math.nan, norm.dtype)
                norm = tf.where(tf.transpose(reading.mask), norm, nothing)
            found.append(norm)
        norms.append(found)
    values = tf.stack([scalar for scalar, _ in groups])
    steps = has_steps(model, outputs)
    return Norms(values, probe.readings, norms, len(reached), of, steps)


def _objectives(
    model: Any, batch: Batch, outputs: Any, probe: Any, *, at: Any, **options: Any
) -> tuple[list[tuple[Any, Sequence[int]]], str]:
    """What is differentiated, each with the numbers of the readings it is for; and its kind."""
    every = range(len(probe.readings))
    if at != "brief":
        of = "output" if batch.targets is None else "loss"
        scalars = objectives(model, batch, outputs, at=at, **options)
        return [(scalar, every) for scalar in scalars], of
    steps = has_steps(model, outputs)
    for labelled in dict.fromkeys((batch.targets is not None, False)):
        part = batch if labelled else batch._replace(targets=None)
        ends: list[tuple[Any, Sequence[int]]] = [("each" if labelled else "end", every)]
        if steps:
            kinds = [reading.backward for reading in probe.readings]
            ends = [
                (end, [i for i in every if kinds[i] == backward])
                for end, backward in (("end", False), (0, True))
                if backward in kinds
            ]
        try:
            return [
                (scalar, chosen)
                for end, chosen in ends
                for scalar in objectives(model, part, outputs, at=end, sums=1, **options)
            ], "loss" if labelled else "output"
        except ValueError:  # there is no such loss
            if not labelled:
                raise
    raise AssertionError


def _loss_scale(model: Any, deltas: list[list[Any]], outputs: Any) -> Any:
    """By how much a training multiplies the loss, float64; 1 where no state has 16 bits."""
    scale = getattr(getattr(model, "optimizer", None), "dynamic_scale", None)
    if scale is None or all(delta.dtype != tf.float16 for delta in tree.flatten(deltas)):
        return tf.constant(1.0, tf.float64)
    rows = tf.shape(tree.flatten(outputs)[0])[0]
    return tf.cast(scale, tf.float64) / tf.cast(rows, tf.float64)


def _squares(gradient: Any, scale: Any) -> Any:
    """The squared norm at each step of each example, `(time, batch)`."""
    gradient = tf.cast(gradient, tf.float64) / scale
    return tf.reduce_sum(gradient**2, axis=list(range(2, gradient.shape.rank)))


def memory_horizon(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    layer: Any = None,
    share: float = _SHARE,
    batch_size: int = 32,
) -> Horizon:
    """How many steps back the gradient reaches: one number for a model.

    The smallest lag from which on the norm of the derivative by a layer's memory stays below a
    share of what it is at lag 0, with a fraction of a step between the two that it falls between.
    Of several layers or directions the longest counts.

    Args:
        model: see `gradient_flow`.
        x: inputs; for a task raw ones, as `predict` takes them.
        y: targets, for the derivative of the loss at the last step, or of the loss of a task.
            Without them it is that of what the model puts out at its last step.
        layer: one layer, or its name; None for all.
        share: to which share the gradient is to have fallen, between 0 and 1.
        batch_size: how many examples are read at once.

    Returns:
        The horizon in steps. Where the gradient has not fallen so far within the sequences it is
        their longest lag, with `at_least` true, and is printed as `≥ 199`; for sequences of one
        step that is 0. It is 0 as well where there is no gradient at all.

    Raises:
        TypeError, ValueError: as for `gradient_flow`, or `share` is not between 0 and 1.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import memory_horizon
    >>> from kerasrnn.layers import GRU
    >>> model = keras.Sequential([keras.Input((50, 3)), GRU(8)])
    >>> 0 < memory_horizon(model, np.ones((4, 50, 3))) < 50
    True
    """
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"`share` must lie between 0 and 1. Received: share={share!r}")
    at = "each" if y is not None and isinstance(model, Task) else "end"
    labelled = y is not None
    flow = _flow(model, x, y, layer, at=at, batch_size=batch_size, labelled=labelled)
    horizons = [horizon_of(each.by_lag, share) for each in flow.memories]
    return max(horizons, key=lambda h: (float(h), h.at_least))


def horizon_of(norms: np.ndarray, share: float = _SHARE) -> Horizon:
    """The lag from which on norms by lag stay below a share of the first; see `memory_horizon`."""
    if not len(norms) or not 0 < norms[0] < math.inf:
        return Horizon(0.0)
    limit = share * norms[0]
    last = int(np.flatnonzero(norms > limit)[-1])
    if last == len(norms) - 1:
        return Horizon(last, at_least=True)
    above, below = norms[last], norms[last + 1]
    if not below > 0 or not np.isfinite(above):
        return Horizon(last + 1)
    return Horizon(last + math.log(above / limit) / math.log(above / below))


def _checked(norms: np.ndarray, reading: Reading, state: str) -> np.ndarray:
    """Norms in which NaN stands for what is masked alone."""
    hidden = np.zeros(norms.shape, bool) if reading.mask is None else ~reading.mask.numpy().T
    # Where numbers overflow they become NaN as soon as two of them have different signs.
    largest = np.finfo(reading.deltas[0].dtype.as_numpy_dtype).max
    huge = np.where(np.isnan(norms), 0.0, norms) > _HUGE * largest
    back = huge if reading.backward else huge[:, ::-1]
    beyond = np.maximum.accumulate(back, axis=1)
    beyond = beyond if reading.backward else beyond[:, ::-1]
    norms = np.where(np.isnan(norms) & beyond & ~hidden, np.inf, norms)
    bad = np.isnan(norms) & ~hidden
    if bad.any():
        steps = np.flatnonzero(bad.any(axis=0))
        last = steps[0 if reading.backward else -1]
        raise ValueError(
            f"The gradient of '{reading.name}' by {state} must be a number. It is NaN at "
            f"{len(steps)} of {norms.shape[1]} steps, from step {last} on back. Look for NaN in "
            "the inputs and the weights, and for functions without a derivative there, such as the "
            "square root at 0."
        )
    return norms


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Batches in one array, padded with NaN at the end of time."""
    longest = max(part.shape[1] for part in parts)
    wide = [
        np.pad(part, ((0, 0), (0, longest - part.shape[1])), constant_values=np.nan)
        for part in parts
    ]
    return np.concatenate(wide)


def _back(row: np.ndarray) -> np.ndarray:
    """The norms of one example by lag, from a row in the order in which its layer reads."""
    row = row[~np.isnan(row)]
    used = np.flatnonzero(row)
    return row[: used[-1] + 1][::-1] if len(used) else row[:0]


def _mean(rows: np.ndarray) -> np.ndarray:
    """The mean over the first axis without NaN, NaN where there is nothing else."""
    there = ~np.isnan(rows)
    counts = there.sum(axis=0)
    sums = np.where(there, rows, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
