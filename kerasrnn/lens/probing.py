"""A forward pass in which every recurrent layer of a model shows what it computes."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras import ops, tree

from kerasrnn.layers import RNN
from kerasrnn.layers.parts import parts_of
from kerasrnn.layers.rnn import has_halves
from kerasrnn.lens.steps import OpenedCell, state_names
from kerasrnn.recurrence import scan, uses_step_gradient


@dataclass(frozen=True)
class Place:
    """A recurrent layer of a model.

    Attributes:
        name: its name among the recurrent layers, such as `bidirectional/forward_lstm`.
        path: the names of all layers in which it is, from the model down.
        layer: the layer.
    """

    name: str
    path: str
    layer: Any


@dataclass(frozen=True)
class Reading:
    """What a cell has computed in one call of its layer, in the order of time.

    Attributes:
        name: the layer's name; behind a slash that of the cell, where the layer has several; and
            a number in brackets, where the layer was called before.
        cell: the cell.
        backward: whether it reads from the end.
        mask: boolean `(time, batch)`; None where all steps are there.
        state_names: what the states are called.
        deltas: for each state zeros `(time, batch, units)` that have been added to it after each
            step; the derivative by them is that by the state.
        states: for each state its values `(time, batch, units)`.
        initial_states: the states before the first step that is read, `(batch, units)`.
        gates: activations `(time, batch, units)` by the names of `kerasrnn.lens.steps.SYMBOLS`.
        sequences: whether the layer puts out all steps, and not the last alone.
        inputs: what the layer reads, `(time, batch, …)`; None of the upper cells of a stack.
    """

    name: str
    cell: Any
    backward: bool
    mask: Any
    state_names: tuple[str, ...]
    deltas: tuple[Any, ...]
    states: tuple[Any, ...]
    initial_states: tuple[Any, ...]
    gates: dict[str, Any]
    sequences: bool
    inputs: Any


@dataclass
class Probe:
    """What is read while it is open."""

    tape: Any = None
    keep: Collection[str] = ()
    names: dict[int, str] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    calls: collections.Counter[int] = field(default_factory=collections.Counter)

    def title(self, layer: Any) -> str:
        """What the present call of a layer is called."""
        self.calls[id(layer)] += 1
        number, name = self.calls[id(layer)], self.names[id(layer)]
        return name if number == 1 else f"{name} ({number})"


# Which probe is open in this thread; other threads run the model as it is.
_OPEN: contextvars.ContextVar[Probe | None] = contextvars.ContextVar("probe", default=None)
_LOCK = threading.RLock()


def recurrent_layers(model: Any) -> list[Place]:
    """The recurrent layers of a model, in the order in which it has them.

    Args:
        model: a Keras model or layer.

    Returns:
        Every `keras.layers.RNN` in it, however deep; the two of a `Bidirectional` one by one.

    Raises:
        TypeError: it is no Keras layer.
        ValueError: it has no recurrent layer.
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"`model` must be a Keras model or layer. Received: {type(model).__name__}")
    found = [(model.name, model)] if isinstance(model, keras.layers.RNN) else []
    found += [pair for pair in parts_of(model) if isinstance(pair[1], keras.layers.RNN)]
    if not found:
        layers = ", ".join(f"{part.name} ({type(part).__name__})" for part in model._layers)
        raise ValueError(
            f"`model` must have a recurrent layer: a layer of kerasrnn.layers, or another "
            f"keras.layers.RNN. '{model.name}' has {layers or 'no layers'}."
        )
    parents = [path.split("/")[:-1] for path, _ in found]
    shared = 0
    while all(len(p) > shared and p[shared] == parents[0][shared] for p in parents):
        shared += 1
    return [Place("/".join(path.split("/")[shared:]), path, layer) for path, layer in found]


def chosen_layers(model: Any, layer: Any) -> list[Place]:
    """The recurrent layers that a user means.

    Args:
        model: a Keras model.
        layer: a layer of it, the name of one or its path, also of a layer around several, such as
            a `Bidirectional`; None for all.

    Raises:
        ValueError: there is no such layer, or no recurrent one in it.
    """
    places = recurrent_layers(model)
    if layer is None:
        return places
    if isinstance(layer, str):
        chosen = [p for p in places if layer in (p.name, p.path)] or [
            p for p in places if _within(layer, p.path)
        ]
    else:
        inside = {id(part) for _, part in parts_of(layer)} | {id(layer)}
        chosen = [p for p in places if id(p.layer) in inside]
    if not chosen:
        asked = repr(layer) if isinstance(layer, str) else f"{getattr(layer, 'name', layer)!r}"
        raise ValueError(
            f"`layer` must be a recurrent layer of the model or its name. Expected one of "
            f"{', '.join(repr(p.name) for p in places)}. Received: layer={asked}"
        )
    return chosen


def _within(name: str, path: str) -> bool:
    """Whether a path leads through a layer of that name, which may be a path itself."""
    return f"/{name}/" in f"/{path}/"


@contextlib.contextmanager
def probing(model: Any, places: Sequence[Place], **options: Any) -> Iterator[Probe]:
    """Make the recurrent layers of a model show what they compute, while the context is open.

    They run step by step, as their equations say, instead of in their fast ways. In this thread
    alone, and the model is afterwards what it was, the states of stateful layers included.

    Args:
        model: a built Keras model.
        places: which layers, from `recurrent_layers` or `chosen_layers`.
        **options: `tape`, a `tf.GradientTape` that is to watch the deltas; `keep`, which of
            `states`, `gates` and `inputs` are wanted.

    Yields:
        A `Probe`, whose `readings` fill up as the model is called.
    """
    probe = Probe(names={id(place.layer): place.name for place in places}, **options)
    layers = {id(place.layer): place.layer for place in places}.values()
    parts = [model, *(part for _, part in parts_of(model))]
    wrappers = [part for part in parts if isinstance(part, keras.layers.Bidirectional)]
    with _LOCK, contextlib.ExitStack() as stack:
        if any(isinstance(part.call, tf.types.experimental.PolymorphicFunction) for part in parts):
            # A `call` that is a `tf.function` has been traced, or would hide what is traced in it.
            stack.callback(tf.config.run_functions_eagerly, tf.config.functions_run_eagerly())
            tf.config.run_functions_eagerly(True)
        for layer in layers:
            stack.enter_context(_showing(layer))
        for wrapper in wrappers:
            stack.enter_context(_in_two_layers(wrapper))
        for layer in layers:
            if layer.stateful and layer.states is not None:
                for variable in tree.flatten(layer.states):
                    stack.callback(variable.assign, ops.copy(variable.value))
        token = _OPEN.set(probe)
        stack.callback(_OPEN.reset, token)
        yield probe


@contextlib.contextmanager
def _replaced(layer: Any, **methods: Any) -> Iterator[None]:
    """Methods of a layer replaced, past Keras's tracking of attributes."""
    own = vars(layer)
    before = {name: own[name] for name in methods if name in own}
    own.update(methods)
    try:
        yield
    finally:
        for name in methods:
            del own[name]
        own.update(before)


def _showing(layer: Any) -> Any:
    """A recurrent layer that tells the open probe what it computes."""
    inner_loop = layer.inner_loop

    def shown_loop(sequences, initial_state, mask, training=False):
        probe = _OPEN.get()
        if probe is None:
            return inner_loop(sequences, initial_state, mask, training)
        return run_opened(layer, sequences, initial_state, mask, probe)

    methods = {"inner_loop": shown_loop}
    if isinstance(layer, RNN) and has_halves(layer.cell):
        call = layer.call

        def shown_call(sequences, initial_state=None, mask=None, training=False):
            if _OPEN.get() is None:
                return call(sequences, initial_state=initial_state, mask=mask, training=training)
            sequences = layer.of_the_batch_size(sequences)
            return layer._call_in_keras(sequences, initial_state, mask, False)

        methods["call"] = shown_call
    return _replaced(layer, **methods)


def _in_two_layers(wrapper: Any) -> Any:
    """A Bidirectional that calls its two layers, where it could run both at once."""

    def never(*args, **kwargs):
        return False

    return _replaced(wrapper, _can_attempt_fused_lstm=never, _can_attempt_fused_gru=never)


def run_opened(
    layer: Any, sequences: Any, initial_state: Any, mask: Any, probe: Probe
) -> tuple[Any, Any, Any]:
    """What `keras.layers.RNN.inner_loop` does, one opened step after the other.

    Returns:
        The last output, all outputs and the states, as Keras's loop does.
    """
    cell = layer.cell
    stacked = isinstance(cell, keras.layers.StackedRNNCells)
    opened = [OpenedCell(each) for each in (cell.cells if stacked else [cell])]
    backward, zeros = bool(layer.go_backwards), bool(layer.zero_output_for_mask)
    structure = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
    # One list of states for each cell.
    many = stacked and len(opened) > 1
    parts = structure if many else [structure]
    states = [_as_of(each.cell, part) for each, part in zip(opened, parts, strict=True)]
    if mask is not None:
        mask = ops.convert_to_tensor(mask)
        if len(mask.shape) == 3:
            mask = ops.squeeze(mask, axis=-1)
        mask = ops.transpose(ops.cast(mask, "bool"))  # (time, batch)
    inputs = ops.swapaxes(ops.convert_to_tensor(sequences), 0, 1)  # (time, batch, …)
    projected = opened[0].project(_as_of(opened[0].cell, inputs)[0])
    length = ops.shape(inputs)[0]
    deltas = tree.map_structure(
        lambda state: ops.zeros((length, *ops.shape(state)), dtype=state.dtype), states
    )
    if probe.tape is not None:
        for delta in tree.flatten(deltas):
            probe.tape.watch(delta)

    def step(carried, slices):
        before, last = carried
        x, changes, valid = slices
        after, gates = [], []
        for number, (each, old, change) in enumerate(zip(opened, before, changes, strict=True)):
            if number:
                x = each.project(_as_of(each.cell, x)[0])
            done = each.step(x, old, change)
            x = done.output
            after.append(done.states)
            gates.append(done.gates)
        output = x
        if valid is not None:
            after = tree.map_structure(lambda new, old: _where(valid, new, old), after, before)
            output = _where(valid, x, ops.zeros_like(x) if zeros else last)
        kept_states = after if "states" in probe.keep else None
        kept_gates = gates if "gates" in probe.keep else None
        return (after, output), (output, kept_states, kept_gates)

    first = _first_output(cell, opened, projected, states)
    (new_states, _), (outputs, all_states, all_gates) = scan(
        step, (states, first), (projected, deltas, mask), reverse=backward
    )
    name = probe.title(layer)
    for number, each in enumerate(opened):
        probe.readings.append(
            Reading(
                f"{name}/{each.cell.name}" if stacked else name,
                each.cell,
                backward,
                mask,
                state_names(each.cell),
                tuple(deltas[number]),
                tuple(all_states[number]) if all_states is not None else (),
                tuple(states[number]),
                all_gates[number] if all_gates is not None else {},
                bool(layer.return_sequences),
                inputs if "inputs" in probe.keep and not number else None,
            )
        )
    last = outputs[0] if backward else outputs[-1]
    outputs = ops.flip(outputs, axis=0) if backward else outputs
    final = new_states if many else new_states[0]
    if many:
        final = [
            new if isinstance(old, list | tuple) else new[0]
            for new, old in zip(final, structure, strict=True)
        ]
    elif stacked and isinstance(structure[0], list | tuple):
        final = [final]
    return last, ops.swapaxes(outputs, 0, 1), final


def _as_of(cell: Any, tensors: Any) -> list:
    """Tensors in a flat list, of the dtype that a cell computes in."""
    dtype = getattr(cell, "compute_dtype", None)
    return [x if dtype is None else ops.cast(x, dtype) for x in tree.flatten(tensors)]


def _first_output(cell: Any, opened: list[OpenedCell], projected: Any, states: list) -> Any:
    """What a masked step before any other puts out."""
    if uses_step_gradient(cell):
        return states[0][0]
    x = projected[0]
    for number, (each, old) in enumerate(zip(opened, states, strict=True)):
        if number:
            x = each.project(_as_of(each.cell, x)[0])
        x = each.step(x, old).output
    return ops.zeros_like(x)


def _where(valid: Any, new: Any, old: Any) -> Any:
    """The new value where a step is there; `valid` is `(batch,)`."""
    for _ in range(len(new.shape) - 1):
        valid = ops.expand_dims(valid, -1)
    return ops.where(valid, new, old)
