"""Which gate opens at which word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasrnn.data.errors import shown, whole_number
from kerasrnn.extras import require
from kerasrnn.lens.inputs import Batch, batches, check_model
from kerasrnn.lens.probing import Place, Reading, chosen_layers, probing
from kerasrnn.lens.steps import SYMBOLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What lets through a share, from 0, closed, to 1, open. A candidate is no gate.
GATES = ("update", "relevance", "forget", "output")
_LOW, _HIGH = 0.1, 0.9


class Saturation(NamedTuple):
    """How often a gate is shut or wide open.

    Attributes:
        low: for each unit the share of all steps at which its gate is below the lower limit.
        high: for each unit the share at which it is above the upper one.
    """

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerActivations:
    """What a layer's cell has computed.

    Attributes:
        name: the layer, such as `bidirectional/forward_lstm`; see `GateActivations`.
        backward: whether the layer reads from the end. The steps are in the order of time all the
            same.
        gates: activations `(examples, time, units)` by the names `update` (Γu), `relevance` (Γr),
            `forget` (Γf), `output` (Γo) and `candidate` (c̃); NaN where a step is masked or an
            example is shorter. Empty of a cell without gates and of one that is not known.
        states: the same of the states after each step, `a`, and `c` of an LSTM.
        there: boolean `(examples, time)`, which steps are not masked.
        tokens: what stands at each step of each example, the empty string where nothing does; None
            where nobody knows: the steps have numbers alone.
    """

    name: str
    backward: bool
    gates: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    there: np.ndarray
    tokens: list[list[str]] | None

    def __getitem__(self, key: str) -> np.ndarray:
        """The activations of a gate or a state, by its name."""
        values = {**self.gates, **self.states}
        if key not in values:
            raise KeyError(
                f"'{self.name}' has no {key!r}. Expected one of {', '.join(map(repr, values))}."
            )
        return values[key]

    @property
    def direction(self) -> str:
        return "backward" if self.backward else "forward"


@dataclass(frozen=True, eq=False)
class GateActivations:
    """What the cells of a model have computed at each step.

    Attributes:
        layers: a `LayerActivations` for each layer and direction, in the order in which the model
            runs them. A layer that is called again has a number in brackets, `lstm (2)`; a cell of
            a stack stands behind its layer, `rnn/lstm_cell`.
    """

    layers: tuple[LayerActivations, ...]

    def __getitem__(self, name: str) -> LayerActivations:
        """A layer by its name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(repr(layer.name) for layer in self.layers)
        raise KeyError(f"There is no layer {name!r}. Expected one of {names}.")

    def __iter__(self) -> Iterator[LayerActivations]:
        return iter(self.layers)

    def mean(self, gate: str) -> dict[str, np.ndarray]:
        """How far a gate or a state is open on average.

        Args:
            gate: its name, such as `"forget"`.

        Returns:
            For the name of each layer that has it the mean of each unit `(units,)` over all steps
            of all examples.

        Raises:
            ValueError: no layer has it.
        """
        found = {}
        for layer in self._with(gate):
            found[layer.name] = layer[gate][layer.there].mean(axis=0, dtype=float)
        return found

    def saturated(self, low: float = _LOW, high: float = _HIGH) -> dict[str, dict[str, Saturation]]:
        """How often gates are shut, and how often wide open.

        The shares that Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent
        Networks", section 4.3, draw for each unit: left-saturated below 0.1, right-saturated above
        0.9. A forget gate that is always open belongs to a unit that keeps what it has read.

        Args:
            low: below it a gate counts as shut.
            high: above it a gate counts as open.

        Returns:
            For the name of each layer with gates, for each gate, a `Saturation`. The candidate,
            which is no gate, is left out.

        Raises:
            ValueError: not 0 ≤ `low` < `high` ≤ 1.
        """
        check_limits(low, high)
        return {
            layer.name: {
                gate: saturation(values[layer.there], low, high)
                for gate, values in layer.gates.items()
                if gate in GATES
            }
            for layer in self.layers
            if layer.gates
        }

    def to_pandas(self) -> Any:
        """A table, a row for each unit of each step.

        Returns:
            A `pandas.DataFrame` with the columns `example`, `layer`, `direction`, `step` (from 1,
            as in a<1>), `token`, `unit`, and one for each gate and state that a layer has, such as
            `update` and `c`; NaN for what a layer has not. Masked steps are left out.

        Raises:
            ImportError: pandas is not installed.
        """
        pandas = require("pandas", "plots", "A table of activations")
        names = [
            name
            for name in SYMBOLS
            if any(name in layer.gates or name in layer.states for layer in self.layers)
        ]
        names += [
            name
            for name in dict.fromkeys(state for layer in self.layers for state in layer.states)
            if name not in names
        ]
        frames = []
        for layer in self.layers:
            examples, steps = np.nonzero(layer.there)
            units = next(iter(layer.states.values())).shape[-1]
            tokens = [
                layer.tokens[example][step] if layer.tokens is not None else ""
                for example, step in zip(examples, steps, strict=True)
            ]
            columns = {
                "example": np.repeat(examples, units),
                "layer": layer.name,
                "direction": layer.direction,
                "step": np.repeat(steps + 1, units),
                "token": np.repeat(np.array(tokens, dtype=object), units),
                "unit": np.tile(np.arange(units), len(examples)),
            }
            values = {**layer.gates, **layer.states}
            for name in names:
                columns[name] = (
                    values[name][examples, steps].reshape(-1) if name in values else np.nan
                )
            frames.append(pandas.DataFrame(columns))
        table = pandas.concat(frames, ignore_index=True)
        for name in ("layer", "direction"):
            table[name] = table[name].astype("category")
        return table

    def plot(
        self,
        example: int = 0,
        layer: str | None = None,
        gate: str | None = None,
        units: Sequence[int] | None = None,
        ax: Axes | None = None,
        *,
        title: str | None = None,
        theme: Any = None,
    ) -> Axes:
        """Draw which gates are open at which word of an example.

        A column is a word, a row a gate: orange where it is open, or the value positive, blue where
        the value is negative. Without a choice of units a row is the mean over them, but for one
        gate of one layer, of which each unit has a row.

        Args:
            example: the number of the example.
            layer: the name of one layer; None for all that read the same steps as the words, or
                else as the first layer.
            gate: the name of one gate or state; None for all gates, and for the state of a layer
                that has none.
            units: the numbers of units, each for a row of its own.
            ax: matplotlib axes to draw into; None for a new figure.
            title: a title.
            theme: `"light"`, `"dark"`, or None for what suits the figure's background.

        Returns:
            The axes; `axes.figure.savefig(path)` writes the picture.

        Raises:
            KeyError: there is no such layer.
            ValueError: there is no such example, gate or unit, or `theme` is none of its choices.
        """
        from kerasrnn.lens.pictures import signed_heat_map

        example = whole_number(example, "example", 0)
        layers = [self[layer]] if layer is not None else self._together(example)
        count = min(len(each.there) for each in layers)
        if example >= count:
            raise ValueError(f"`example` must be below {count}. Received: example={example}")
        if gate is not None:
            having = [each.name for each in self._with(gate)]
            layers = [each for each in layers if each.name in having]
            if not layers:
                raise ValueError(f"`gate` must be one of '{layer}'. Only {having} have {gate!r}.")
        there = np.any([each.there[example] for each in layers], axis=0)
        if not there.any():
            raise ValueError(f"Example {example} has no steps: the mask hides all of them.")
        rows: list[tuple[str, np.ndarray]] = []
        for each in layers:
            prefix = f"{each.name}  " if len(layers) > 1 else ""
            for name in [gate] if gate is not None else _drawn(each):
                values = each[name][example][there]
                single = gate is not None and len(layers) == 1
                rows += _rows(values, f"{prefix}{SYMBOLS.get(name, name)}", units, single)
        tokens = layers[0].tokens
        positions = np.flatnonzero(there)
        steps = (
            [str(position + 1) for position in positions]
            if tokens is None
            else [tokens[example][position] for position in positions]
        )
        if title is None:
            title = ", ".join(dict.fromkeys(each.name for each in layers))
            title = title if len(layers) == 1 else None
        return signed_heat_map(
            np.stack([values for _, values in rows]),
            [name for name, _ in rows],
            steps,
            ax,
            title=title,
            theme=theme,
        )

    def _with(self, gate: str) -> list[LayerActivations]:
        found = [each for each in self.layers if gate in each.gates or gate in each.states]
        if not found:
            names = dict.fromkeys(
                name for each in self.layers for name in (*each.gates, *each.states)
            )
            raise ValueError(
                f"`gate` must be one of {', '.join(map(repr, names))}. Received: {shown(gate)}"
            )
        return found

    def _together(self, example: int) -> list[LayerActivations]:
        """The layers that read the words, or the steps that the first layer reads."""
        known = [each for each in self.layers if each.tokens is not None]
        first = (known or self.layers)[0]
        if example >= len(first.there):
            return [first]
        tokens = None if first.tokens is None else first.tokens[example]
        return [
            each
            for each in self.layers
            if each.there.shape == first.there.shape
            and (None if each.tokens is None else each.tokens[example]) == tokens
        ]


def gates(
    model: Any,
    text_or_array: Any,
    *,
    layer: Any = None,
    tokens: Sequence[Sequence[str]] | None = None,
    batch_size: int = 32,
) -> GateActivations:
    r"""All gate activations of a model, word by word.

    The gates have the lecture's names: Γu updates, Γr tells how relevant the old value is, Γf
    forgets, Γo puts out, c̃ is the candidate. A value of 1 is open: Γu = 1 takes the *new* value.
    In Keras's GRU z = 1 takes the *old* one; shown is Γu = 1 − z, so that both read alike.

    Dropout is off. The activations are those of the equations, step by step; any Keras model will
    do.

    Args:
        model: a built Keras model with recurrent layers of this package or of Keras; or a task of
            `kerasrnn.zoo`.
        text_or_array: for a task raw inputs as `predict` takes them, in a list, or a single text;
            for a model what it is called with.
        layer: one layer, its name, or that of a layer around several; None for all.
        tokens: for each example what stands at each of its steps, one for each that is not masked;
            None for what a task knows.
        batch_size: how many examples are read at once.

    Returns:
        A `GateActivations`. Layers whose steps are not those of the tokens, such as one over the
        letters of a word, have no tokens, and an example for each sequence that they read.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: the model has no recurrent layer, or none of that name, or is not built; no step
            is left by the mask; an activation is not a number; or `tokens` fit no layer.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import gates
    >>> model = keras.Sequential([keras.Input((3, 5)), keras.layers.LSTM(4, name="lstm")])
    >>> found = gates(model, np.ones((1, 3, 5)), tokens=[["He", "said", "so"]])
    >>> found["lstm"]["forget"].shape
    (1, 3, 4)
    >>> axes = found.plot()
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['Γu', 'Γf', 'Γo']
    """
    check_model(model)
    places = chosen_layers(model, layer)
    batch_size = whole_number(batch_size, "batch_size", 1)
    if isinstance(text_or_array, str):
        text_or_array = [text_or_array]
    rows = None if tokens is None else _checked_tokens(tokens)
    parts: dict[str, list[_Part]] = {}
    begin = 0
    for batch in batches(model, text_or_array, labelled=False, batch_size=batch_size):
        steps = batch.steps
        if rows is not None:
            steps = {"": rows[begin : begin + batch_size]}
        for reading in readings_of(model, places, batch, keep=("gates", "states")):
            part = _part_of(reading, _steps_of(reading, places, steps))
            parts.setdefault(reading.name, []).append(part)
        begin += _rows_in(batch)
    if rows is not None and len(rows) != begin:
        raise ValueError(
            f"`tokens` must have a row for each of {begin} examples. Received {len(rows)} rows."
        )
    layers = tuple(_joined(name, each) for name, each in parts.items())
    if not any(each.there.any() for each in layers):
        raise ValueError("The mask must leave a step. It hides all steps of all examples.")
    if rows is not None and all(each.tokens is None for each in layers):
        lengths = {each.name: int(each.there[0].sum()) for each in layers}
        raise ValueError(
            "`tokens` must name each step that is not masked. The first example has so many: "
            f"{lengths}. Received {len(rows[0])} tokens for it."
        )
    return GateActivations(layers)


def readings_of(
    model: Any, places: Sequence[Place], batch: Batch, keep: Sequence[str]
) -> list[Reading]:
    """What the layers compute of a batch.

    Args:
        model: a built model.
        places: its layers, from `kerasrnn.lens.probing.chosen_layers`.
        batch: what it reads.
        keep: `gates`, `states` or both.

    Raises:
        ValueError: the model does not run the layers.
    """
    with probing(model, places, keep=keep) as probe:
        model(batch.inputs, training=False)
    if not probe.readings:
        names = ", ".join(repr(place.name) for place in places)
        raise ValueError(
            f"The model must run its recurrent layers when it is called. '{model.name}' does not "
            f"run {names} one step after the other."
        )
    return probe.readings


def check_limits(low: float, high: float) -> None:
    """Raise unless 0 ≤ `low` < `high` ≤ 1."""
    numbers = all(isinstance(limit, int | float | np.number) for limit in (low, high))
    if not numbers or not 0 <= low < high <= 1:
        raise ValueError(
            "`low` and `high` must be 0 ≤ low < high ≤ 1. "
            f"Received: low={shown(low)}, high={shown(high)}"
        )


def saturation(values: np.ndarray, low: float, high: float) -> Saturation:
    """The shares of steps `(steps, units)` at which each unit is below and above the limits."""
    return Saturation((values < low).mean(axis=0), (values > high).mean(axis=0))


# === From readings to arrays ===


class _Part(NamedTuple):
    """A reading as arrays, examples first."""

    backward: bool
    gates: dict[str, np.ndarray]
    states: dict[str, np.ndarray]
    there: np.ndarray
    tokens: list[list[str]] | None


def _part_of(reading: Reading, rows: list[list[str]] | None) -> _Part:
    arrays = {name: _by_example(values) for name, values in reading.gates.items()}
    states = {
        name: _by_example(values)
        for name, values in zip(reading.state_names, reading.states, strict=True)
    }
    shape = next(iter(states.values())).shape[:2]
    there = np.ones(shape, bool) if reading.mask is None else reading.mask.numpy().T
    for name, values in {**arrays, **states}.items():
        bad = (np.isnan(values).any(axis=tuple(range(2, values.ndim))) & there).any(axis=0)
        if bad.any():
            steps = np.flatnonzero(bad)
            first = steps[-1 if reading.backward else 0]
            raise ValueError(
                f"The activations of '{reading.name}' must be numbers. {SYMBOLS.get(name, name)} "
                f"is NaN at {len(steps)} of {len(bad)} steps, first at step {first + 1}. Look for "
                "NaN in the inputs and the weights."
            )
        values[~there] = np.nan
    return _Part(reading.backward, arrays, states, there, _aligned(rows, there))


def _by_example(values: Any) -> np.ndarray:
    """`(time, batch, units)` with the examples first, in single precision at least."""
    array = values.numpy()
    return np.swapaxes(array.astype(np.result_type(array.dtype, np.float32)), 0, 1).copy()


def _aligned(rows: list[list[str]] | None, there: np.ndarray) -> list[list[str]] | None:
    """The tokens with an empty string where nothing stands, or None where they do not fit."""
    if rows is None or len(rows) != len(there):
        return None
    time = there.shape[1]
    padded = max(map(len, rows), default=0) == time and bool(there.all())
    found = []
    for tokens, here in zip(rows, there, strict=True):
        positions = np.flatnonzero(here)
        if len(tokens) != len(positions):
            if not padded:
                return None
            positions = positions[: len(tokens)]  # the layer reads the padding as well
        row = [""] * time
        for position, token in zip(positions, tokens, strict=True):
            row[position] = token
        found.append(row)
    return found


def _steps_of(
    reading: Reading, places: Sequence[Place], steps: dict[str, list[list[str]]]
) -> list[list[str]] | None:
    """The tokens that a layer reads: those under the name of a layer around it, or under none."""
    base = reading.name.partition(" (")[0]
    inside = [p for p in places if base == p.name or base.startswith(f"{p.name}/")]
    path = max(inside, key=lambda p: len(p.name)).path.split("/")
    named = [rows for name, rows in steps.items() if name and name in path]
    return named[0] if named else steps.get("")


def _joined(name: str, parts: list[_Part]) -> LayerActivations:
    """Batches in one, padded at the end of time."""
    longest = max(part.there.shape[1] for part in parts)

    def padded(arrays: list[np.ndarray], nothing: Any) -> np.ndarray:
        wide = [
            np.pad(
                array,
                [(0, 0), (0, longest - array.shape[1]), *[(0, 0)] * (array.ndim - 2)],
                constant_values=nothing,
            )
            for array in arrays
        ]
        return np.concatenate(wide)

    tokens: list[list[str]] | None = []
    for part in parts:
        if part.tokens is None or tokens is None:
            tokens = None
            break
        tokens += [row + [""] * (longest - len(row)) for row in part.tokens]
    first = parts[0]
    return LayerActivations(
        name=name,
        backward=first.backward,
        gates={key: padded([p.gates[key] for p in parts], np.nan) for key in first.gates},
        states={key: padded([p.states[key] for p in parts], np.nan) for key in first.states},
        there=padded([part.there for part in parts], False),
        tokens=tokens,
    )


def _rows_in(batch: Batch) -> int:
    from keras import tree

    return len(tree.flatten(batch.inputs)[0])


def _checked_tokens(tokens: Any) -> list[list[str]]:
    rows = [list(row) if isinstance(row, list | tuple | np.ndarray) else row for row in tokens]
    if not all(isinstance(row, list) and all(isinstance(t, str) for t in row) for row in rows):
        raise TypeError(
            f"`tokens` must hold a list of strings for each example. Received: {shown(tokens)}"
        )
    return rows


# === Rows of a picture ===


def _drawn(layer: LayerActivations) -> list[str]:
    found = [name for name in GATES if name in layer.gates]
    return found or [next(iter(layer.states))]


def _rows(
    values: np.ndarray, name: str, units: Sequence[int] | None, single: bool
) -> list[tuple[str, np.ndarray]]:
    """Rows of `(steps, units)`: the mean, or the units that are wanted."""
    count = values.shape[-1]
    if units is None and not single:
        return [(name, values.mean(axis=-1))]
    chosen = range(count) if units is None else [whole_number(u, "units", 0) for u in units]
    for unit in chosen:
        if unit >= count:
            raise ValueError(f"`units` must be below {count}. Received: {unit}")
    if not chosen:
        raise ValueError("`units` must name at least one unit. Received none.")
    return [(f"{name} {unit}", values[:, unit]) for unit in chosen]
