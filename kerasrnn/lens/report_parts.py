"""The parts of a report: each measures one thing, and draws and writes what it has found."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from kerasrnn.lens.activations import GateActivations, LayerActivations, gates
from kerasrnn.lens.flow import GradientFlow, LayerFlow, gradient_flow
from kerasrnn.lens.inputs import batches
from kerasrnn.lens.jacobian import StateJacobian, state_jacobian
from kerasrnn.lens.probing import Place, Reading, probing, recurrent_layers
from kerasrnn.lens.report_page import definitions, number, paragraph, picture, pictures, table
from kerasrnn.lens.report_sources import Examples, Opened, drawable
from kerasrnn.lens.steps import SYMBOLS
from kerasrnn.lens.weights import GateWeights, weights_by_gate
from kerasrnn.themes import COLOURS, LABEL_SIZE, prepared_axes, style
from kerasrnn.zoo import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 32
_LONGEST_SHOWN = 30  # steps of an example whose words are written
_ENOUGH = 8  # of one that shows something
_DRAWN = 40  # steps of one that is longer
_SHOWN = 2  # examples with their gates
# Steps times numbers of a state to the third that singular values may take: seconds of a core.
_WORK = 2e9
_WORK_OF_PRODUCTS = 6e10
_STEPS = (8, 200)  # at least and at most, of which Jacobians are made
_FEWEST = 50  # for the Lyapunov exponent
_JACOBIANS = 4  # examples
_LONGEST_SETTING = 100
_PANELS = 6
_HALF = (5.2, 3.3)  # inches of a picture beside another


@dataclass(frozen=True)
class Study:
    """A model with what it reads, and what several parts need of it.

    Attributes:
        found: the model.
        examples: what it reads.
        loss: a loss for a model that is not compiled with one; see `gradient_flow`.
    """

    found: Opened
    examples: Examples
    loss: Any = None

    @property
    def model(self) -> Any:
        return self.found.model

    @functools.cached_property
    def places(self) -> list[Place]:
        """Its recurrent layers."""
        return recurrent_layers(self.model)

    @functools.cached_property
    def activations(self) -> GateActivations:
        """What they compute."""
        return gates(self.model, self.examples.x, batch_size=_BATCH)

    @functools.cached_property
    def flow(self) -> GradientFlow:
        """How the output depends on each layer, read where the layer has read all."""
        of_end = self._at_the_end
        if not self.has_two_ends:
            return of_end
        of_start = self._flow(0)
        return GradientFlow(
            tuple(of_start[each.name, each.state] if each.backward else each for each in of_end),
            "output",
            "end",
        )

    @functools.cached_property
    def has_two_ends(self) -> bool:
        """Whether a layer that reads from the end has all read at the first step alone.

        At the last step of the output it has read only one.
        """
        backward = [each for each in self._at_the_end.memories if each.backward]
        reached = [(each.per_example > 0).sum(axis=1).max() for each in backward]
        return bool(reached) and max(reached) <= 1

    @functools.cached_property
    def _at_the_end(self) -> GradientFlow:
        return self._flow("end")

    def _flow(self, at: Any) -> GradientFlow:
        return gradient_flow(self.model, self.examples.x, at=at, of="output", batch_size=_BATCH)

    @functools.cached_property
    def loss_flow(self) -> GradientFlow | None:
        """How the loss depends on each layer; None without targets."""
        if not self.is_labelled:
            return None
        x, y, _ = self.examples
        return gradient_flow(self.model, x, y, loss=self.loss, of="loss", batch_size=_BATCH)

    @functools.cached_property
    def weights(self) -> GateWeights:
        """Its weights by gate."""
        x, y, _ = self.examples
        loss = self.loss if self.is_labelled else None
        return weights_by_gate(self.model, x, y, loss=loss, batch_size=_BATCH)

    @functools.cached_property
    def is_labelled(self) -> bool:
        """Whether the examples have targets."""
        x, y, _ = self.examples
        if not isinstance(self.model, Task):
            return y is not None
        try:
            return len(self.model.read(x, y, "x")) > 0
        except (TypeError, ValueError):
            return False

    @functools.cached_property
    def groups(self) -> list[Group]:
        """Layers that read the same steps."""
        found: list[list[LayerActivations]] = []
        for layer in self.activations:
            for group in found:
                first = group[0]
                if first.there.shape == layer.there.shape and first.tokens == layer.tokens:
                    group.append(layer)
                    break
            else:
                found.append([layer])
        return [Group(tuple(layers), _shown(layers[0])) for layers in found]


@dataclass(frozen=True)
class Group:
    """Layers that read the same steps.

    Attributes:
        layers: what they compute.
        shown: the examples that are drawn, the first of them where there is one only.
    """

    layers: tuple[LayerActivations, ...]
    shown: list[int]

    def tokens(self, example: int) -> list[str] | None:
        """What stands at each step of an example; None for what has no more than a number."""
        tokens = self.layers[0].tokens
        if tokens is None:
            return None
        names = [token for token in tokens[example] if token]
        return None if names == list(map(str, range(len(names)))) else tokens[example]

    def of(self, flow: GradientFlow) -> GradientFlow | None:
        """The part of a flow that is of these layers and steps."""
        names = {layer.name for layer in self.layers}
        shape = self.layers[0].there.shape
        layers = [each for each in flow if each.name in names and each.per_example.shape == shape]
        return GradientFlow(tuple(layers), flow.of, flow.at) if layers else None


def _shown(layer: LayerActivations) -> list[int]:
    """Examples to draw: long enough to show something, short enough to be read."""

    def quality(example: int) -> tuple[bool, bool, int]:
        steps = int(layer.there[example].sum())
        tokens = [] if layer.tokens is None else layer.tokens[example]
        fits = steps <= _LONGEST_SHOWN
        return all(map(drawable, tokens)), fits, min(steps, _ENOUGH) if fits else -steps

    order = sorted(range(len(layer.there)), key=quality, reverse=True)
    return [example for example in order if layer.there[example].any()][:_SHOWN]


# === What it is ===


def what_it_is(study: Study) -> Iterator[str]:
    """The model, its layers, its figures and its settings."""
    found, model = study.found, study.model
    for note in found.notes:
        yield paragraph(note, "missing")
    facts = [
        ("class", type(model).__name__),
        ("parameters", model.count_params()),
        ("recurrent layers", len(study.places)),
    ]
    training = found.config.get("training", {})
    if isinstance(training, Mapping) and "data" in training:
        facts.append(("trained on", _cut(training["data"])))
    versions = found.config.get("versions", {})
    if isinstance(versions, Mapping) and versions:
        facts.append(("written with", ", ".join(f"{k} {v}" for k, v in versions.items())))
    yield definitions(facts)
    rows = []
    for place in study.places:
        cell = place.layer.cell
        stack = isinstance(cell, keras.layers.StackedRNNCells)
        kinds = ", ".join(type(c).__name__ for c in cell.cells) if stack else type(cell).__name__
        reads = "from the end" if place.layer.go_backwards else "from the start"
        units = ", ".join(map(str, keras.tree.flatten(cell.state_size)))
        rows.append((place.name, kinds, reads, units, place.layer.count_params()))
    yield table(
        ["layer", "cell", "reads", "size of the states", "weights"], rows, "The recurrent layers."
    )
    yield from _figures(found.metrics)
    settings = found.config.get("arguments", {})
    if isinstance(settings, Mapping) and settings:
        yield paragraph("The arguments of the model.", "quiet")
        yield definitions((_cut(name), _cut(value)) for name, value in settings.items())


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    runs = metrics.get("runs")
    shipped = metrics.get("shipped")
    runs = [run for run in runs if isinstance(run, Mapping)] if isinstance(runs, list) else []
    own = shipped if isinstance(shipped, Mapping) else runs[0] if runs else metrics
    rows = []
    for part in ("train", "validation", "test"):
        figures = own.get(part)
        if not isinstance(figures, Mapping):
            continue
        for name, value in figures.items():
            if not _is_figure(value):
                continue
            seeds = [run[part][name] for run in runs if _is_figure(_at(run, part, name))]
            several = (
                (float(np.mean(seeds)), float(np.std(seeds))) if len(seeds) > 1 else (None,) * 2
            )
            rows.append((part, _cut(name), float(value), *several))
    columns = ["data", "figure", "this model", "mean of the seeds", "standard deviation"]
    if not rows:
        return
    count = 5 if any(row[3] is not None for row in rows) else 3
    yield table(columns[:count], [row[:count] for row in rows], "Its figures, from metrics.json.")


def _at(run: Mapping[str, Any], part: str, name: str) -> Any:
    figures = run.get(part)
    return figures.get(name) if isinstance(figures, Mapping) else None


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST_SETTING else f"{text[:_LONGEST_SETTING]}…"


# === How far the gradient reaches ===


def horizon(study: Study) -> Iterator[str]:
    """The headline."""
    from html import escape

    found = study.flow.horizon
    longest = max(len(layer.by_lag) for layer in study.flow.memories)
    steps = "step" if str(found) == "1" else "steps"
    meaning = (
        f"In the sequences it was given, of up to {longest} step{'s' * (longest != 1)}, the "
        "derivative of the output by what a layer keeps has not fallen to a hundredth: the horizon "
        "lies beyond them."
        if found.at_least
        else "So many steps back the derivative of the output by what a layer keeps has fallen to "
        "a hundredth: what was read before hardly counts."
    )
    yield (
        f'<div class="headline"><p class="quiet">Memory horizon</p>'
        f"<strong>{escape(str(found))}</strong> {steps}<p>{escape(meaning)}</p></div>"
    )


def flow(study: Study) -> Iterator[str]:
    """The gradient by lag, over time, and through the unrolled network."""
    found = study.flow
    where = (
        "at its last step"
        if not study.has_two_ends
        else ("at its last step, or for layers that read from the end at its first,")
    )
    yield paragraph(
        f"How much what the model puts out {where} depends on what each layer kept at each time "
        "step: the norm of the derivative, through all steps between, by automatic differentiation."
    )
    rows = []
    for layer in found.memories:
        factor = math.exp(layer.growth) if math.isfinite(layer.growth) else math.nan
        rows.append((layer.name, layer.state, len(layer.by_lag), str(layer.horizon), factor))
    yield table(
        ["layer", "state", "lags measured", "horizon (steps)", "factor a step back"],
        rows,
        "Below 1 the gradient vanishes with each step back, above 1 it explodes.",
    )
    yield picture(
        lambda theme: found.plot(theme=theme),
        "The norm of the gradient by lag, on a logarithmic axis. " + _in_words(found.memories),
        "The gradient by lag, the mean over all examples.",
    )
    yield from _over_time(study, found)


def loss(study: Study) -> Iterator[str]:
    """The gradient of the loss over time."""
    found = study.loss_flow
    assert found is not None
    yield paragraph(
        "The same of the loss, as training sees it: from all steps at which there is a target."
    )
    for group in study.groups:
        part = group.of(found)
        example = group.shown[0] if part is not None else None
        part = part or _of_names(found, {layer.name for layer in group.layers})
        if part is None:
            continue
        steps = group.tokens(example) if example is not None else None
        yield _heat_map(part, example, steps, "∂L")


def _of_names(flow: GradientFlow, names: set[str]) -> GradientFlow | None:
    layers = tuple(layer for layer in flow if layer.name in names)
    return GradientFlow(layers, flow.of, flow.at) if layers else None


def _over_time(study: Study, found: GradientFlow) -> Iterator[str]:
    for group in study.groups:
        part = group.of(found)
        if part is None or not group.shown:
            continue
        example = group.shown[0]
        steps = group.tokens(example)
        yield _heat_map(part, example, steps, "∂ŷ")
        yield picture(
            functools.partial(_unrolled, part, example, steps),
            "The network unrolled over time, a box for each layer and step with the norm of the "
            f"gradient in it. {_extremes(part, example)}",
            "The network unrolled over the same example"
            + (", without its middle." if _length(part, example) > 6 else "."),
        )


def _heat_map(
    flow: GradientFlow, example: int | None, steps: Sequence[str] | None, what: str
) -> str:
    length = _length(flow, example)
    written = None if steps is None or length > _DRAWN else list(steps)[:length]
    cut = replace(flow, layers=tuple(_first_steps(layer, length) for layer in flow.layers))
    example_text = _quoted(steps)
    return picture(
        lambda theme: cut.heat_map(example=example, steps=written, theme=theme),
        f"Heat map of the norm of {what}/∂a over time steps and layers{example_text} "
        + _extremes(flow, example),
        "Time × layer, "
        + ("the mean over all examples." if example is None else f"one example{example_text}"),
    )


def _first_steps(layer: LayerFlow, length: int) -> LayerFlow:
    return replace(layer, per_example=layer.per_example[:, :length])


def _unrolled(flow: GradientFlow, example: int, steps: Sequence[str] | None, theme: str) -> Any:
    return flow.unrolled(example=example, steps=steps, theme=theme)


def _length(flow: GradientFlow, example: int | None) -> int:
    """How many steps there are before those that are masked in all layers."""
    rows = [layer.norms if example is None else layer.per_example[example] for layer in flow]
    there = np.flatnonzero(np.any([~np.isnan(row) for row in rows], axis=0))
    return int(there[-1]) + 1 if len(there) else 1


def _quoted(steps: Sequence[str] | None) -> str:
    if steps is None:
        return "."
    steps = [step for step in steps if step]
    letters = sum(len(step) == 1 for step in steps) > len(steps) / 2
    text = ("" if letters else " ").join(steps)
    return f": “{text[:120].strip()}{'…' if len(text) > 120 else ''}”" if text.strip() else "."


def _in_words(layers: Sequence[LayerFlow]) -> str:
    sentences = []
    for layer in layers:
        norms = layer.by_lag
        if not len(norms):
            sentences.append(f"{layer.name} has no gradient.")
            continue
        sentences.append(
            f"{layer.name}: {number(float(norms[0]))} at lag 0, {number(float(norms[-1]))} at lag "
            f"{len(norms) - 1}, horizon {layer.horizon}."
        )
    return " ".join(sentences)


def _extremes(flow: GradientFlow, example: int | None) -> str:
    sentences = []
    for layer in flow.memories:
        row = layer.norms if example is None else layer.per_example[example]
        if np.isnan(row).all():
            continue
        low, high = int(np.nanargmin(row)), int(np.nanargmax(row))
        sentences.append(
            f"{layer.name}: from {number(float(row[low]))} at step {low + 1} to "
            f"{number(float(row[high]))} at step {high + 1}."
        )
    return " ".join(sentences)


# === One step of each layer ===


def jacobians(study: Study) -> Iterator[str]:
    """Singular values, Lyapunov exponents and terms of the Jacobians of states."""
    yield paragraph(
        "By how much a small change of the state grows from one step to the next: the singular "
        "values σ of the Jacobian. Where all are below 1 the step forgets. The Lyapunov exponent "
        "is the growth over a whole sequence, in nats a step. The terms are the ways on which the "
        "old state acts on the new one, the direct path through the gate among them."
    )
    rows, drawn = [], []
    for place, found in _jacobians(study):
        if isinstance(found, str):
            drawn.append(paragraph(f"{place.name}: {found}", "missing"))
            continue
        jacobian, lyapunov, length = found
        values = jacobian.singular_values[jacobian.mask]
        largest, middle = float(values.max(axis=-1).mean()), float(np.median(values))
        rows.append((place.name, lyapunov, length, largest, middle, len(values)))
        letter = jacobian.symbol
        step = f"∂{letter}<t>/∂{letter}<t{'+' if jacobian.backward else '−'}1>"
        several = [
            picture(
                functools.partial(_plotted, jacobian.plot_singular_values),
                f"Singular values of {step} of {place.name} over time: the largest is "
                f"{number(largest)} on average, the median {number(middle)}.",
                f"{place.name}: singular values of a step.",
            )
        ]
        try:
            sizes = jacobian.term_sizes
        except ValueError:  # the terms of a cell that is not of the lecture
            sizes = {}
        if sizes:
            shares = ", ".join(f"{k} {number(float(np.nanmean(v)))}" for k, v in sizes.items())
            several.append(
                picture(
                    functools.partial(_plotted, jacobian.plot_terms),
                    f"The terms of {step} of {place.name}, stacked over time. Means: {shares}.",
                    f"{place.name}: the terms of a step, stacked.",
                )
            )
        drawn.append(pictures(*several))
    columns = ["layer", "Lyapunov exponent", "over steps", "largest σ, mean", "median σ"]
    columns.append("over steps")
    if rows:
        yield table(columns, rows)
    yield from drawn


def _plotted(function: Any, theme: str) -> Any:
    from matplotlib import pyplot

    return function(pyplot.subplots(figsize=_HALF, layout="constrained")[1], theme)


def _jacobians(study: Study) -> Iterator[tuple[Place, _Jacobians | str]]:
    """The Jacobians of each layer over what it reads, or why there are none."""
    (batch, *_) = batches(study.model, study.examples.x, labelled=False, batch_size=_BATCH)
    with probing(study.model, study.places, keep=("inputs",)) as probe:
        study.model(batch.inputs, training=False)
    for place in study.places:
        readings = [
            each
            for each in probe.readings
            if each.inputs is not None and f"{each.name}/".startswith(f"{place.name}/")
        ]
        if not readings:
            yield place, "the model does not run it one step after the other."
            continue
        try:
            yield place, _jacobians_of(place.layer, readings[0])
        except Exception as error:  # the other layers have theirs
            yield place, str(error)


class _Jacobians(NamedTuple):
    """Of the steps of some examples, and the exponent of the longest."""

    steps: StateJacobian
    lyapunov: float
    length: int


def _jacobians_of(layer: Any, reading: Reading) -> _Jacobians:
    x = np.swapaxes(keras.ops.convert_to_numpy(reading.inputs).astype("float64"), 0, 1)
    mask = np.ones(x.shape[:2], bool) if reading.mask is None else reading.mask.numpy().T
    # The fullest examples, so that little is padding.
    order = np.argsort(-mask.sum(axis=1), kind="stable")[:_JACOBIANS]
    states = [keras.ops.convert_to_numpy(state) for state in reading.initial_states]
    if isinstance(layer.cell, keras.layers.StackedRNNCells):
        states = []  # those of the lowest cell alone; zeros for all

    def over(examples: np.ndarray, steps: int) -> StateJacobian:
        part = slice(-steps, None) if reading.backward else slice(0, steps)
        return state_jacobian(
            layer,
            x[examples, part],
            mask=mask[examples, part],
            initial_state=[state[examples] for state in states] or None,
        )

    sizes = keras.tree.flatten(layer.cell.state_size)
    most = _WORK_OF_PRODUCTS / sum(sizes) ** 3
    longest = over(order[:1], min(int(np.clip(most, _FEWEST, _STEPS[1])), x.shape[1]))
    most = _WORK / max(sizes) ** 3
    steps = min(int(np.clip(most, *_STEPS)), x.shape[1])
    return _Jacobians(
        over(order[: max(1, int(most / steps))], steps), longest.lyapunov, int(longest.mask.sum())
    )


# === Gates ===


def gates_over_words(study: Study) -> Iterator[str]:
    """Which gates open at which word."""
    yield paragraph(
        "How far each gate is open at each step, the mean over the units of a layer: 1 is open, 0 "
        "is shut. Γu lets the new value in, Γf keeps the old one, Γo puts out, Γr tells how "
        "relevant the old value is to the new one. A layer without gates shows its state a."
    )
    for group in study.groups:
        for example in group.shown:
            length = min(_DRAWN, int(np.flatnonzero(group.layers[0].there[example])[-1]) + 1)
            tokens = group.tokens(example)
            named = tokens is not None
            cut = GateActivations(tuple(_beginning(each, length, named) for each in group.layers))
            yield picture(
                functools.partial(_gates_of, cut, example),
                f"Gates over the steps{_quoted(tokens)} {_gates_in_words(group, example)}",
                f"Gates over the steps{_quoted(tokens)}"
                + ("" if length < _DRAWN else f" The first {length} steps."),
            )


def _beginning(layer: LayerActivations, length: int, named: bool) -> LayerActivations:
    return replace(
        layer,
        gates={name: values[:, :length] for name, values in layer.gates.items()},
        states={name: values[:, :length] for name, values in layer.states.items()},
        there=layer.there[:, :length],
        tokens=[row[:length] for row in layer.tokens] if named and layer.tokens else None,
    )


def _gates_of(activations: GateActivations, example: int, theme: str) -> Any:
    layers = activations.layers
    # `plot` takes the layers of one kind of steps; these are.
    return activations.plot(
        example, layer=layers[0].name if len(layers) == 1 else None, title="", theme=theme
    )


def _gates_in_words(group: Group, example: int) -> str:
    found = []
    for layer in group.layers:
        for name, values in layer.gates.items():
            if name != "candidate":
                mean = float(np.nanmean(values[example]))
                found.append(f"{layer.name} {SYMBOLS[name]} {mean:.2f}")
    return f"Means: {', '.join(found)}." if found else ""


# === Weights ===


def saturation(study: Study) -> Iterator[str]:
    """Saturated and dead gates."""
    yield paragraph(
        "Shut is below 0.1, open above 0.9, in the share of all steps and units; for a candidate "
        "or a state between −1 and 1 the same distance from these. A unit is dead whose a stays 0 "
        "at all steps; still, if its weights have no gradient."
    )
    rows = []
    for row in study.weights.to_dict():
        shares = [None if row[k] is None else f"{row[k]:.0%}" for k in ("shut", "open")]
        counts = [row[k] for k in ("always_shut", "always_open", "dead", "still")]
        gate = SYMBOLS.get(row["gate"], row["gate"]) or "all"
        rows.append((row["layer"], gate, row["units"], *shares, *counts))
    columns = ["layer", "gate", "units", "shut", "open", "always shut", "always open", "dead"]
    columns.append("still")
    kept = [i for i in range(len(columns)) if any(row[i] is not None for row in rows)]
    yield table([columns[i] for i in kept], [[row[i] for i in kept] for row in rows])


def weights(study: Study) -> Iterator[str]:
    """The weights by gate, and their gradients."""
    found = study.weights
    rows = found.to_dict()
    names = list(dict.fromkeys(name for row in rows for name in row["norm"]))
    measured = any(row["gradient_norm"] is not None for row in rows)
    columns = ["layer", "gate", *(f"‖{name}‖" for name in names)]
    columns += [f"‖∂L/∂ {name}‖" for name in names] if measured else []
    lines = []
    for row in rows:
        line = [row["layer"], SYMBOLS.get(row["gate"], row["gate"]) or "all"]
        for norms in ("norm", "gradient_norm")[: 1 + measured]:
            line += [(row[norms] or {}).get(name) for name in names]
        lines.append(line)
    yield table(columns, lines, "Norms (Frobenius) of the blocks of each gate.")
    kinds: list[tuple[Any, bool, str]] = [
        ("histogram", False, "The weights by gate"),
        ("heat_map", False, "The weights as they stand: a column for each unit of each gate"),
    ]
    kinds += [("histogram", True, "The gradients of the loss by the weights")] if measured else []
    for kind, gradients, caption in kinds:
        words = "Histograms" if kind == "histogram" else "Heat maps"
        yield picture(
            functools.partial(_weights_drawn, found, kind, gradients),
            f"{words} of the {'gradients' if gradients else 'weights'} of "
            f"{', '.join(layer.name for layer in found)} by gate. Their norms stand in the table.",
            f"{caption}.",
        )


def _weights_drawn(found: Any, kind: Any, gradients: bool, theme: str) -> Any:
    return found.plot(kind, gradients=gradients, title="", theme=theme)


# === Learning ===


def learning(study: Study) -> Iterator[str]:
    """The learning curves of a run."""
    panels = _panels(study.found.history)
    epochs = len(next(iter(study.found.history.values())))
    if not panels:
        raise ValueError("history.csv has no figures.")
    sentences = [
        f"{name}: {label}, from {number(_ends(values)[0])} to {number(_ends(values)[1])}."
        for name, lines in panels.items()
        for label, values in lines.items()
    ]
    yield picture(
        functools.partial(_curves, panels, study.found.metrics.get("best_epoch")),
        f"Learning curves over {epochs} epochs. {' '.join(sentences)}",
        "From history.csv, by epoch.",
    )


def _panels(history: Mapping[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    panels: dict[str, dict[str, list[float]]] = {}
    seen: list[list[float]] = []
    for name, values in history.items():
        if name in ("epoch", "seconds") or values in seen or not np.isfinite(values).any():
            continue
        seen.append(values)
        held_out = name.startswith("val_")
        lines = panels.setdefault(name.removeprefix("val_"), {})
        lines["validation" if held_out else "training"] = values
    last = panels.pop("learning_rate", None)
    chosen = dict(list(panels.items())[: _PANELS - (last is not None)])
    return {**chosen, **({"learning_rate": last} if last is not None else {})}


def _ends(values: list[float]) -> tuple[float, float]:
    there = [value for value in values if math.isfinite(value)]
    return there[0], there[-1]


def _curves(panels: Mapping[str, Mapping[str, list[float]]], best: Any, theme: str) -> Figure:
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = pyplot.figure(figsize=(3.1 * columns, 2.5 * rows + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = COLOURS[theme]
    for ax in grid:
        prepared_axes(ax, theme, (1, 1))
        ax.set_axis_off()
    looks = {"training": (colours.groups[0], "-"), "validation": (colours.groups[1], "--")}
    used: dict[str, Any] = {}
    for ax, (name, lines) in zip(grid, panels.items(), strict=False):
        ax.set_axis_on()
        for label, values in lines.items():
            colour, line = looks[label]
            epochs = np.arange(1, len(values) + 1)
            (used[label],) = ax.plot(
                epochs, values, color=colour, ls=line, lw=1.6, marker=".", ms=4
            )
        if isinstance(best, int) and 1 <= best <= len(values):
            used["best epoch"] = ax.axvline(best, color=colours.quiet, ls=":", lw=1.1)
        ax.set_title(name.replace("_", " "), size=LABEL_SIZE + 1)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel("epoch")
        style(ax, colours)
        ax.yaxis.get_offset_text().set(color=colours.text, size=LABEL_SIZE - 1)
        ax.grid(color=colours.quiet, alpha=0.25, lw=0.6)
    figure.legend(
        used.values(),
        used.keys(),
        loc="outside lower center",
        ncols=len(used),
        frameon=False,
        fontsize=LABEL_SIZE,
        labelcolor=colours.text,
    )
    return figure


# === What it read ===


def data(study: Study) -> Iterator[str]:
    """What all of it was measured on."""
    layers = study.activations.layers
    steps = sum(int(layer.there.sum()) for layer in layers[:1])
    yield paragraph(
        f"All of it was measured on {study.examples.what}, "
        f"{number(steps)} steps of the first recurrent layer, with dropout off. Figures of few "
        "examples are those of these examples: other data may show other figures."
    )
