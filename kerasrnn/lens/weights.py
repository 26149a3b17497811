"""Weights and their gradients, gate by gate, and which gates and units do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.cells import Cell
from kerasrnn.data.errors import shown, whole_number
from kerasrnn.lens.activations import GATES, Saturation, check_limits, readings_of, saturation
from kerasrnn.lens.inputs import Batch, batches, check_model
from kerasrnn.lens.objectives import objectives
from kerasrnn.lens.probing import Place, chosen_layers
from kerasrnn.lens.steps import SYMBOLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The lecture's names of the blocks of columns, by Keras's.
_BLOCKS = {
    "z": "update",
    "i": "update",
    "r": "relevance",
    "f": "forget",
    "o": "output",
    "h": "candidate",
    "c": "candidate",
    "a": "a",
}
_KERAS_BLOCKS: Mapping[type, str] = {
    keras.layers.SimpleRNNCell: "a",
    keras.layers.GRUCell: "zrh",
    keras.layers.LSTMCell: "ifco",
}
WEIGHTS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
# Between what bounds an activation lies.
_BOUNDED = ("tanh", "hard_tanh", "softsign")
_SHARES = ("sigmoid", "hard_sigmoid")


@dataclass(frozen=True, eq=False)
class Block:
    """The columns of a weight that make one gate.

    Attributes:
        weight: `kernel`, which multiplies x<t>; `recurrent_kernel`, which multiplies a<t-1>;
            `bias`; `recurrent_bias`, which Keras's GRU with `reset_after=True` adds to the product
            with a<t-1>; or the name of another weight of a cell that is not known.
        gate: `update` (Γu), `relevance` (Γr), `forget` (Γf), `output` (Γo), `candidate` (c̃), `a` of
            a cell without gates; the empty string for a weight that is not cut into gates.
        values: `(inputs, units)`, or `(units,)` of a bias.
        gradient: ∂L/∂ of the values, of the same shape; None without targets.
    """

    weight: str
    gate: str
    values: np.ndarray
    gradient: np.ndarray | None

    @property
    def norm(self) -> float:
        """‖W‖, the square root of the sum of squares (Frobenius)."""
        return float(np.linalg.norm(self.values))

    @property
    def gradient_norm(self) -> float:
        """‖∂L/∂W‖, NaN without targets."""
        return float("nan") if self.gradient is None else float(np.linalg.norm(self.gradient))


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The blocks of a layer, and how its units are used.

    Attributes:
        name: the layer, such as `bidirectional/forward_lstm`; behind a slash that of the cell of a
            stack.
        backward: whether the layer reads from the end.
        blocks: in the order of the cell's columns.
        saturation: for each gate, for each unit, the shares of the steps at which it is shut and
            wide open; for a candidate or an activation between -1 and 1 the shares of the steps
            within the same distance of these. Empty without `x`; without gates whose activation
            has no bounds.
        dead: boolean `(units,)`, which units have |a<t>| close to 0 at all steps; None without `x`.
        still: for each gate boolean `(units,)`, which units' columns have a gradient close to 0:
            they do not learn. Empty without targets.
    """

    name: str
    backward: bool
    blocks: tuple[Block, ...]
    saturation: dict[str, Saturation]
    dead: np.ndarray | None
    still: dict[str, np.ndarray]

    def __getitem__(self, key: tuple[str, str]) -> Block:
        """A block by its weight and its gate, such as `"kernel", "update"`."""
        for block in self.blocks:
            if (block.weight, block.gate) == key:
                return block
        names = ", ".join(repr((block.weight, block.gate)) for block in self.blocks)
        raise KeyError(f"'{self.name}' has no block {key!r}. Expected one of {names}.")

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates, in the order of the columns."""
        return tuple(dict.fromkeys(block.gate for block in self.blocks))


@dataclass(frozen=True, eq=False)
class GateWeights:
    """The weights of a model's recurrent layers by gate.

    Attributes:
        layers: a `LayerWeights` for each layer and direction, in the model's order.
    """

    layers: tuple[LayerWeights, ...]

    def __getitem__(self, name: str) -> LayerWeights:
        """A layer by its name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(repr(layer.name) for layer in self.layers)
        raise KeyError(f"There is no layer {name!r}. Expected one of {names}.")

    def __iter__(self) -> Iterator[LayerWeights]:
        return iter(self.layers)

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain numbers, such as for JSON: a dict for each gate of each layer.

        Returns:
            Dicts with `layer`, `direction`, `gate` and `units`; `norm` and `gradient_norm` for each
            weight; `shut` and `open`, the shares of all steps and units at which the gate is so;
            `always_shut` and `always_open`, the number of units of which it is at every step;
            `still`, the number of units whose columns do not learn; `dead`, the number of the
            layer's units whose a stays 0. None is what was not measured.
        """
        rows = []
        for layer in self.layers:
            for gate in layer.gates:
                blocks = [block for block in layer.blocks if block.gate == gate]
                found = layer.saturation.get(gate)
                measured = blocks[0].gradient is not None
                rows.append(
                    {
                        "layer": layer.name,
                        "direction": "backward" if layer.backward else "forward",
                        "gate": gate,
                        "units": blocks[0].values.shape[-1],
                        "norm": {block.weight: block.norm for block in blocks},
                        "gradient_norm": {block.weight: block.gradient_norm for block in blocks}
                        if measured
                        else None,
                        "shut": None if found is None else float(found.low.mean()),
                        "open": None if found is None else float(found.high.mean()),
                        "always_shut": None if found is None else int((found.low == 1).sum()),
                        "always_open": None if found is None else int((found.high == 1).sum()),
                        "still": int(layer.still[gate].sum()) if gate in layer.still else None,
                        "dead": None if layer.dead is None else int(layer.dead.sum()),
                    }
                )
        return rows

    def table(self) -> str:
        """The same as a table to print, a line for each gate of each layer."""
        titles = ["layer", "gate", "units"]
        rows = self.to_dict()
        weights = [w for w in WEIGHTS if any(w in row["norm"] for row in rows)]
        weights += sorted({w for row in rows for w in row["norm"]} - set(weights))
        titles += [f"‖{weight}‖" for weight in weights]
        if any(row["gradient_norm"] is not None for row in rows):
            titles += [f"‖∂L/∂ {weight}‖" for weight in weights]
        measured = [
            (key, title)
            for key, title in (
                ("shut", "shut"),
                ("open", "open"),
                ("always_shut", "always shut"),
                ("always_open", "always open"),
                ("still", "still"),
                ("dead", "dead"),
            )
            if any(row[key] is not None for row in rows)
        ]
        titles += [title for _, title in measured]
        lines = [titles]
        for row in rows:
            line = [row["layer"], SYMBOLS.get(row["gate"], row["gate"]), str(row["units"])]
            for norms in ("norm", "gradient_norm"):
                if norms == "norm" or any(each[norms] is not None for each in rows):
                    found = row[norms] or {}
                    line += [f"{found[w]:.3g}" if w in found else "" for w in weights]
            for key, _ in measured:
                value = row[key]
                share = isinstance(value, float)
                line.append("" if value is None else f"{value:.0%}" if share else str(value))
            lines.append(line)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def plot(
        self,
        kind: Literal["histogram", "heat_map"] = "histogram",
        *,
        layer: str | None = None,
        gradients: bool = False,
        figure: Figure | None = None,
        title: str | None = None,
        theme: Any = None,
    ) -> Figure:
        """Draw the blocks; see `kerasrnn.lens.weight_pictures.plot_weights`."""
        from kerasrnn.lens.weight_pictures import plot_weights

        layers = self.layers if layer is None else (self[layer],)
        return plot_weights(
            layers, kind, gradients=gradients, figure=figure, title=title, theme=theme
        )


def weights_by_gate(
    model: Any,
    x: Any = None,
    y: Any = None,
    *,
    layer: Any = None,
    loss: Any = None,
    low: float = 0.1,
    high: float = 0.9,
    dead: float = 1e-6,
    batch_size: int = 32,
) -> GateWeights:
    r"""The weights of each gate, their gradients, and which gates and units do nothing.

    Each W is cut into the blocks of its columns, which have the lecture's names. Keras's GRU
    computes z = σ(s) and takes the *old* value where z = 1; its Γu = 1 − z = σ(−s), so that the
    weights of Γu are those of z *with the other sign*, −W_z, −U_z, −b_z, and so are the gradients.
    That is how they are shown, and 1 − σ(s) = σ(−s) holds for `sigmoid` and `hard_sigmoid`; with
    another `recurrent_activation` the block of z is shown as it is.

    Gradients are those of the model as it runs, by `tf.GradientTape`, dropout off, without
    regularisers: of the loss that `gradient_flow` takes, here the mean over all examples.

    Shares of saturated steps are those of Karpathy, Johnson & Li (2015), "Visualizing and
    Understanding Recurrent Networks", section 4.3.

    Args:
        model: a built Keras model with recurrent layers of this package or of Keras; or a task of
            `kerasrnn.zoo`.
        x: inputs, as `fit` takes them, to count dead and saturated units with; for a task raw
            inputs or examples. None for weights alone.
        y: the targets, for gradients; examples of a task have theirs.
        layer: one layer, its name, or that of a layer around several; None for all.
        loss: a loss of Keras, its name or a function of targets and outputs; None for that with
            which the model is compiled, and for that of a task.
        low, high: below and above which a gate counts as shut and as open.
        dead: up to which the absolute value of a counts as 0, and up to which share of the greatest
            of a layer a gradient does.
        batch_size: how many examples are read at once.

    Returns:
        A `GateWeights`.

    Raises:
        TypeError: `model` is no Keras model.
        ValueError: the model has no recurrent layer, or none of that name, or is not built; `y` is
            given without `x`; there is no loss; the loss does not depend on the layers, or it or a
            gradient is not a number; no step is left by the mask; or a limit is out of range.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import weights_by_gate
    >>> model = keras.Sequential([
    ...     keras.Input((5, 3)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(1)])
    >>> found = weights_by_gate(model, np.ones((2, 5, 3)), np.ones((2, 1)), loss="mse")
    >>> found["lstm"]["recurrent_kernel", "forget"].gradient.shape
    (4, 4)
    >>> print(found.table().splitlines()[2][:18])
    lstm   Γf        4
    """
    check_model(model)
    check_limits(low, high)
    if not isinstance(dead, int | float) or not 0 <= dead < 1:
        raise ValueError(f"`dead` must lie between 0 and 1. Received: dead={shown(dead)}")
    batch_size = whole_number(batch_size, "batch_size", 1)
    if x is None and (y is not None or loss is not None):
        raise ValueError(f"`x` must be given with `{'loss' if y is None else 'y'}`.")
    places = chosen_layers(model, layer)
    found = {name: _Found(name, place, cell) for name, place, cell in _cells(places)}
    if x is not None:
        labelled = True if y is not None or loss is not None else None
        count = 0
        for batch in batches(model, x, y, labelled=labelled, batch_size=batch_size):
            count += len(keras.tree.flatten(batch.inputs)[0])
            _watch(found, model, places, batch)
            if batch.targets is not None:
                _differentiate(found, model, batch, loss)
        _check(found, count)
    return GateWeights(tuple(each.result(low, high, dead) for each in found.values()))


def _cells(places: Sequence[Place]) -> Iterator[tuple[str, Place, Any]]:
    for place in places:
        cell = place.layer.cell
        if isinstance(cell, keras.layers.StackedRNNCells):
            yield from ((f"{place.name}/{each.name}", place, each) for each in cell.cells)
        else:
            yield place.name, place, cell


class _Found:
    """What is known of a cell so far."""

    def __init__(self, name: str, place: Place, cell: Any) -> None:
        self.name, self.place, self.cell = name, place, cell
        self.variables: dict[str, Any] = {}
        for variable in cell.weights:
            name = weight = _name_of(variable, cell)
            while weight in self.variables:
                weight = f"{name} {len(self.variables)}"
            self.variables[weight] = variable
        self.gradients: dict[str, np.ndarray] | None = None
        self.reached = False
        self.activations: dict[str, list[np.ndarray]] = {}

    def result(self, low: float, high: float, dead: float) -> LayerWeights:
        blocks = tuple(self._blocks())
        saturated = {}
        flat = {name: np.concatenate(each) for name, each in self.activations.items()}
        for name, values in flat.items():
            limits = self._limits(name, low, high)
            if limits is not None and (name != "a" or self._names() == ["a"]):
                saturated[name] = saturation(values, *limits)
        still: dict[str, np.ndarray] = {}
        if self.gradients is not None:
            slopes = [block.gradient for block in blocks if block.gradient is not None]
            largest = max((np.abs(slope).max(initial=0) for slope in slopes), default=0.0)
            for gate in dict.fromkeys(block.gate for block in blocks):
                columns = [b.gradient for b in blocks if b.gate == gate and b.gradient is not None]
                sizes = [np.abs(c).reshape(-1, c.shape[-1]).max(axis=0) for c in columns]
                if len({len(size) for size in sizes}) == 1:
                    still[gate] = np.max(sizes, axis=0) <= dead * largest
        return LayerWeights(
            name=self.name,
            backward=bool(self.place.layer.go_backwards),
            blocks=blocks,
            saturation=saturated,
            dead=np.abs(flat["a"]).max(axis=0) <= dead if "a" in flat else None,
            still=still,
        )

    def _names(self) -> list[str]:
        """The gates in the order of the columns; none where nobody knows them."""
        if isinstance(self.cell, Cell):
            return [_BLOCKS.get(name, name) for name in type(self.cell).blocks]
        for kind, names in _KERAS_BLOCKS.items():
            if isinstance(self.cell, kind):
                return [_BLOCKS[name] for name in names]
        return []

    def _blocks(self) -> Iterator[Block]:
        names = self._names()
        units = getattr(self.cell, "units", 0)
        for weight, variable in self.variables.items():
            values = np.atleast_1d(keras.ops.convert_to_numpy(variable))
            gradient = None if self.gradients is None else self.gradients[weight]
            parts = [(weight, values, gradient)]
            if weight == "bias" and values.ndim == 2:  # of the input and of the recurrent product
                parts = [
                    (name, values[row], None if gradient is None else gradient[row])
                    for row, name in enumerate(("bias", "recurrent_bias"))
                ]
            for title, array, slope in parts:
                if title not in WEIGHTS or array.shape[-1] != len(names) * units or not names:
                    yield Block(title, "", array, slope)
                    continue
                for number, gate in enumerate(names):
                    columns = slice(number * units, (number + 1) * units)
                    sign = -1 if gate == "update" and self._keeps_the_old() else 1
                    yield Block(
                        title,
                        gate,
                        sign * array[..., columns],
                        None if slope is None else sign * slope[..., columns],
                    )

    def _keeps_the_old(self) -> bool:
        """Whether Γu = 1 − z, with a σ for which that is σ of the other sign."""
        known = _function(self.cell, "recurrent_activation") in _SHARES
        return isinstance(self.cell, keras.layers.GRUCell) and known

    def _limits(self, name: str, low: float, high: float) -> tuple[float, float] | None:
        if name in GATES:
            known = _function(self.cell, "recurrent_activation") in _SHARES
            return (low, high) if known else None
        # As far from -1 and from 1 as the limits are from 0 and from 1, on twice the length.
        known = name in ("candidate", "a") and _function(self.cell, "activation") in _BOUNDED
        return (2 * low - 1, 2 * high - 1) if known else None


def _name_of(variable: Any, cell: Any) -> str:
    """What a cell calls a weight."""
    named = [name for name in WEIGHTS if getattr(cell, name, None) is variable]
    return named[0] if named else variable.name


def _function(cell: Any, which: str) -> str:
    return getattr(getattr(cell, which, None), "__name__", "")


def _watch(found: dict[str, _Found], model: Any, places: Sequence[Place], batch: Batch) -> None:
    """Add the activations of a batch."""
    for reading in readings_of(model, places, batch, keep=("gates", "states")):
        each = found[reading.name.partition(" (")[0]]  # also of a layer that is called again
        there = slice(None) if reading.mask is None else reading.mask.numpy()
        states = dict(zip(reading.state_names, reading.states, strict=True))
        values = {**reading.gates, **({"a": states["a"]} if "a" in states else {})}
        for name, value in values.items():
            flat = value.numpy()[there].reshape(-1, value.shape[-1])
            each.activations.setdefault(name, []).append(flat)


def _differentiate(found: dict[str, _Found], model: Any, batch: Batch, loss: Any) -> None:
    """Add the gradients of a batch."""
    variables = {
        (key, name): variable.value
        for key, each in found.items()
        for name, variable in each.variables.items()
    }
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(variables.values()))
        outputs = model(batch.inputs, training=False)
        (value,) = objectives(model, batch, outputs, loss=loss, at="each", masks=[])
    if not np.isfinite(value.numpy()):
        raise ValueError(
            f"The loss of '{model.name}' is not finite: there is nothing to differentiate. Look "
            "for NaN in `x`, in `y` or in the weights."
        )
    gradients = tape.gradient(value, list(variables.values()))
    for (key, name), variable, gradient in zip(
        variables, variables.values(), gradients, strict=True
    ):
        each = found[key]
        if each.gradients is None:
            each.gradients = {}
        each.reached = each.reached or gradient is not None
        zeros = np.zeros(variable.shape)
        array = np.atleast_1d(zeros if gradient is None else np.asarray(gradient, float))
        if np.isnan(array).any():
            raise ValueError(
                f"The gradient of '{each.name}' by its {name} must be a number. It is NaN. Look "
                "for NaN in the inputs and the weights, and for functions without a derivative "
                "there, such as the square root at 0."
            )
        each.gradients[name] = each.gradients.get(name, 0.0) + array


def _check(found: dict[str, _Found], count: int) -> None:
    """Make means of sums, or say what is missing."""
    measured = [each for each in found.values() if each.gradients is not None]
    names = ", ".join(repr(each.name) for each in found.values())
    if measured and not any(each.reached for each in measured):
        raise ValueError(f"The loss must depend on the layer. It does not depend on {names}.")
    for each in measured:
        assert each.gradients is not None
        each.gradients = {name: array / count for name, array in each.gradients.items()}
    steps = [sum(map(len, flat)) for each in found.values() for flat in each.activations.values()]
    if steps and not any(steps):
        raise ValueError("The mask must leave a step. It hides all steps of all examples.")
    for each in found.values():
        empty = {name for name, flat in each.activations.items() if not sum(map(len, flat))}
        for name in empty:
            del each.activations[name]
