"""What a report is of: the model of a run, a preset or a file, and what the model reads for it."""

from __future__ import annotations

import ast
import csv
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasrnn import data
from kerasrnn.data.pitches import KEYS
from kerasrnn.lens.inputs import check_model
from kerasrnn.storage.preset_folders import list_presets, read_config, resolve_model
from kerasrnn.zoo import (
    EncoderDecoder,
    LanguageModel,
    MemoryModel,
    MusicModel,
    SequenceTagger,
    Task,
    TextClassifier,
)

LONGEST = 200  # steps of an example of a running text or of music
_RANDOM = (8, 50)  # examples and steps
_OWN = 2  # texts or pieces that a model makes itself


@dataclass(frozen=True)
class Opened:
    """A model and what is known of it.

    Attributes:
        model: the model.
        title: what it is called.
        summary: what it does, in a sentence; may be empty.
        config: the content of the preset's `config.toml`; empty without one.
        metrics: that of `metrics.json`; empty without one.
        history: the rows of `history.csv`, by column; empty without one.
        notes: what could not be read.
    """

    model: Any
    title: str
    summary: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, list[float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Examples(NamedTuple):
    """What a model reads.

    Attributes:
        x: as `gradient_flow` takes it.
        y: targets; None where there are none, or where they stand in `x`.
        what: what they are, to print.
    """

    x: Any
    y: Any
    what: str


# === Models ===


def opened(model: Any) -> Opened:
    """A model by itself, or from where it lies.

    Args:
        model: a Keras model or a task; the folder of a run; the folder or the name of a preset; or
            a `.keras` file.

    Raises:
        FileNotFoundError: there is no such file or folder, or it holds no model.
        ValueError: there is no such preset, or its files are damaged.
        TypeError: it is none of these.
    """
    if isinstance(model, keras.layers.Layer):
        check_model(model)
        return Opened(model, model.name)
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            "`model` must be a Keras model, or the name of a run's folder, of a preset or of a "
            f".keras file. Received: {type(model).__name__}"
        )
    path = Path(model)
    if path.suffix == ".keras":
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}.")
        import kerasrnn.layers
        import kerasrnn.networks  # noqa: F401  so that Keras knows their layers

        try:
            return Opened(keras.saving.load_model(path), path.stem)
        except (TypeError, ValueError):  # a loss of the user's own, perhaps; else it comes again
            return Opened(keras.saving.load_model(path, compile=False), path.stem)
    folder = resolve_model(model)
    return _of_preset(folder, path if folder == path / "preset" else None)


def _of_preset(folder: Path, run: Path | None) -> Opened:
    config = read_config(folder)
    model = Task.from_preset(folder)
    title = folder.name if run is None else run.resolve().name
    summary = ""
    if run is None:
        known = {preset.path.resolve(): preset.summary for preset in list_presets()}
        summary = known.get(folder.resolve(), "")
    notes = []
    metrics: Any = {}
    history: dict[str, list[float]] = {}
    place = folder if run is None else run
    try:
        metrics = _metrics(place / "metrics.json")
    except (OSError, ValueError, RecursionError) as error:
        notes.append(f"metrics.json cannot be read: {error}")
    try:
        history = {} if run is None else _history(run / "history.csv")
    except (OSError, ValueError, csv.Error) as error:
        notes.append(f"history.csv cannot be read: {error}")
    return Opened(model, title, summary, config, metrics, history, tuple(notes))


def _metrics(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it must hold a table.")
    return found


def _history(path: Path) -> dict[str, list[float]]:
    """Columns of numbers, NaN where a row has none."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name]
    return {name: [_float(row.get(name)) for row in rows] for name in names}


def _float(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


# === What it reads ===


def examples_of(found: Opened, count: int) -> Examples:
    """What there is to read without data of the user's.

    A task that was trained on data that come with the package reads those to test with. Another
    reads the texts of its card's example and of its sample requests, or what it writes itself.
    Any other model reads random numbers.

    Args:
        found: the model.
        count: how many examples are read at most.

    Raises:
        ValueError: nobody knows what the model reads.
    """
    model = found.model
    if not isinstance(model, Task):
        return _random(model)
    training = found.config.get("training", {})
    source = training.get("data") if isinstance(training, Mapping) else None
    if isinstance(source, str) and source.startswith("builtin:"):
        try:
            return read_examples(model, source, count)
        except (ImportError, ValueError):  # without Babel, for example
            pass
    texts = _texts_of_the_card(found)
    if isinstance(model, LanguageModel):
        prompts = (texts or [""]) * _OWN
        written = model.generate(prompts[:_OWN], max_tokens=LONGEST, temperature=0.8, seed=1)
        written = [text for text in written if text]
        if written:
            return Examples(written, None, f"{len(written)} texts that it wrote itself")
        return Examples(model.samples()["serving_default"]["text"][:1], None, "a sample request")
    if isinstance(model, MusicModel):
        silence = [np.zeros((0, KEYS), np.float32)] * _OWN
        rolls = model.generate(silence, frames=64, temperature=0.8, seed=1)
        return Examples(rolls, None, f"{len(rolls)} pieces that it wrote itself")
    requests = model.samples()["serving_default"]
    if isinstance(model, MemoryModel):
        x = requests[model.input_name]
        return Examples(x, None, f"{len(x)} random sequences")
    texts += [text for text in requests["text"] if text.strip() and drawable(text)]
    texts = list(dict.fromkeys(texts))[:count]
    return Examples(texts, None, f"{len(texts)} sample texts")


def _texts_of_the_card(found: Opened) -> list[str]:
    """The texts that a card's example asks the model about. The example is read, never run."""
    card = found.config.get("card", {})
    try:
        tree = ast.parse(str(card.get("example", "")))
    except (SyntaxError, ValueError, RecursionError, MemoryError, AttributeError):
        return []
    names = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    texts = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        asks = node.func.attr.startswith(("predict", "generate"))
        if asks and node.args and isinstance(node.args[0], ast.List):
            for element in node.args[0].elts:
                value = names.get(element.id) if isinstance(element, ast.Name) else None
                texts.append(element.value if isinstance(element, ast.Constant) else value)
    return list(dict.fromkeys(text for text in texts if isinstance(text, str) and text))


def _random(model: Any) -> Examples:
    """Random numbers for the inputs of a model; ids where it looks them up in a table."""
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise ValueError(
            f"`x` must be given: nobody knows what '{model.name}' reads. Give an array, or a file "
            "of one (.npy, or .npz with x and y)."
        )
    rng = np.random.default_rng(0)
    sizes = [
        layer.input_dim
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Embedding)
    ]
    arrays: list[np.ndarray] = []
    for tensor in tensors:
        kind = keras.backend.standardize_dtype(tensor.dtype)
        shape = [_RANDOM[0], *(_RANDOM[1] if size is None else size for size in tensor.shape[1:])]
        if kind == "string":
            raise ValueError(f"`x` must be given: '{model.name}' reads texts.")
        if kind == "bool":
            arrays.append(np.ones(shape, bool))
        elif "int" in kind or (sizes and len(shape) == 2):
            # From 1: row 0 is for padding.
            arrays.append(rng.integers(1, max(2, min(sizes, default=2)), shape).astype("int32"))
        else:
            arrays.append(rng.normal(size=shape).astype("float32"))
    names = getattr(model, "_inputs_struct", None)
    x: Any = arrays[0] if len(arrays) == 1 else arrays
    if isinstance(names, Mapping):
        x = dict(zip(sorted(names), arrays, strict=True))
    return Examples(x, None, f"{_RANDOM[0]} sequences of random numbers")


# === Data of the user's ===


def read_examples(model: Any, source: str | os.PathLike[str], count: int) -> Examples:
    """Examples from a file.

    Args:
        model: the model. A task reads what its training script reads, or a text in each line; a
            language model a text, in pieces; a memory model, and any model that is no task, arrays
            (`.npy`, or `.npz` with `x` and, for the loss, `y`).
        source: the path of the file, or `builtin:NAME`.
        count: how many examples are read at most, evenly spread over the file.

    Raises:
        DataError, ValueError: the file cannot be read, or is not for this model.
        FileNotFoundError: there is no such file.
    """
    name = os.fspath(source)
    if not name.startswith(("builtin:", "tfds:")) and not os.path.exists(name):
        raise FileNotFoundError(f"There is no file {name}.")
    if not isinstance(model, Task) or isinstance(model, MemoryModel):
        return _arrays(name, count)
    if isinstance(model, LanguageModel):
        texts = data.load_running_texts(name, split="test")
        joined = "\n".join(text.rstrip("\n") for text in texts)
        size = LONGEST * (6 if model.text_units.level == "words" else 1)
        pieces = [joined[i : i + size] for i in range(0, max(1, len(joined) - size // 2), size)]
        pieces = spread([piece for piece in pieces if piece.strip()], count)
        return Examples(pieces, None, f"{len(pieces)} pieces of {name}")
    if isinstance(model, MusicModel):
        frames = model.settings["frames_per_beat"]
        rolls = data.load_piano_rolls(name, split="test", frames_per_beat=frames)
        rolls = spread([roll[:LONGEST] for roll in rolls if len(roll) > 1], count)
        return Examples(rolls, None, f"{len(rolls)} pieces of {name}")
    is_file = not name.startswith(("builtin:", "tfds:"))
    lines = _plain_lines(model, name) if is_file else []
    if lines:
        texts = spread(lines, count)
        return Examples(texts, None, f"{len(texts)} texts of {name}, without labels")
    rows = spread(_labelled(model, name), count)
    model.read(rows, None, "x")
    return Examples(rows, None, f"{len(rows)} labelled examples of {name}")


def spread(items: list[Any], count: int) -> list[Any]:
    """So many of some items, evenly spaced, or all."""
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _labelled(model: Task, name: str) -> list[Any]:
    if isinstance(model, SequenceTagger):
        scheme = model.settings["scheme"]
        return data.load_sentences(name, split="test", scheme=scheme)
    if isinstance(model, TextClassifier):
        return data.load_texts(name, split="test")
    assert isinstance(model, EncoderDecoder)
    return data.load_pairs(name, split="test")


def _plain_lines(model: Task, name: str) -> list[str]:
    """The lines of a file that is not of the task's format; none where it is."""
    endings = {
        SequenceTagger: (".conll", ".conllu", ".tsv", ".iob", ".bio"),
        TextClassifier: (".tsv", ".csv"),
        EncoderDecoder: (".tsv", ".csv"),
    }
    kinds = next(each for kind, each in endings.items() if isinstance(model, kind))
    if name.removesuffix(".gz").endswith(kinds):
        return []
    try:
        model.read(_labelled(model, name), None, "x")
    except ValueError:
        return data.load_running_texts(name, by_line=True)
    return []


def _arrays(name: str, count: int) -> Examples:
    if name.endswith(".npz"):
        with np.load(name, allow_pickle=False) as file:
            if "x" not in file.files:
                raise ValueError(f"{name} must hold an array x. It holds {', '.join(file.files)}.")
            x, y = file["x"], file["y"] if "y" in file.files else None
    elif name.endswith(".npy"):
        x, y = np.load(name, allow_pickle=False), None
    else:
        raise ValueError(f"The data must be arrays, .npy or .npz. Received: {name}")
    x, y = x[:count], None if y is None else y[:count]
    kind = "without targets" if y is None else "with targets"
    return Examples(x, y, f"{len(x)} sequences of {name}, {kind}")


# === Letters ===


def drawable(text: str) -> bool:
    """Whether the pictures' font has all characters of a text, and writes it from left to right."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return all(
        (character.isspace() or font.get_char_index(ord(character)))
        and unicodedata.bidirectional(character) not in ("R", "AL")
        for character in text
    )
