"""The arguments of a preset: their types, and which of them its weights were trained for."""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kerasrnn.networks.options import KERAS_ARGUMENTS, Option, options_of
from kerasrnn.zoo.transfer import heads_with_labels

# Of Keras's precisions those of floats. Any other string names a quantisation, for which a preset
# has no weights and most layers no method.
_PRECISIONS = (
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "mixed_float16",
    "mixed_bfloat16",
)

# No size of a model is larger. What makes weights is bounded by the weights that are there.
_LARGEST = 1_000_000

# In which form the terms of a vocabulary are.
_FORMS = ("lowercase", "normalize_digits")

_WORDS = {
    bool: "true or false",
    int: f"an integer of at most {_LARGEST:,}",
    float: "a finite number",
    str: "a string",
    list: "a list of strings",
}


def known_arguments(task_class: type) -> dict[str, Option]:
    """All arguments of a class of tasks, those of every Keras model among them, by name."""
    keras_options = {
        name: Option(name, kind, None, False, None, task_class)
        for name, kind in KERAS_ARGUMENTS.items()
    }
    return {**options_of(task_class), **keras_options}


def vocabularies(task_class: type) -> list[str]:
    """The arguments of a class of tasks that are lists of terms: a text file each in a preset."""
    return [name for name, option in options_of(task_class).items() if option.kind is list]


def check_known(task_class: type, names: Iterable[str], where: str = "") -> None:
    """Raise a ValueError that names all arguments, if a class of tasks has none of a name."""
    known = known_arguments(task_class)
    for name in names:
        if name not in known:
            raise ValueError(
                f"{where}unknown setting {name!r} for {task_class.__name__}. "
                f"Expected one of {', '.join(sorted(known))}."
            )


def check_arguments(task_class: type, arguments: Mapping[str, Any], where: Path) -> None:
    """Check that the arguments of a preset are plain values of the types that its class takes.

    Args:
        task_class: the class.
        arguments: what stands in the file.
        where: the file, for errors.

    Raises:
        ValueError: if one is unknown or of another type. A table is refused in any case: Keras
            would make an object of it, of any class that it knows.
    """
    check_known(task_class, arguments, f"{where}: ")
    known = known_arguments(task_class)
    for name, value in arguments.items():
        kind = known[name].kind
        if not _is_of(value, kind):
            raise ValueError(
                f"{where}: `{name}` must be {_WORDS[kind]}. Received: {reprlib.repr(value)}"
            )
        if name == "dtype" and value not in _PRECISIONS:
            raise ValueError(
                f"{where}: `dtype` must be one of {', '.join(_PRECISIONS)}. "
                f"Received: {reprlib.repr(value)}"
            )


def check_overrides(
    task_class: type, arguments: Mapping[str, Any], overrides: Mapping[str, Any], folder: Path
) -> None:
    """Check that no override gives the weights of a preset another meaning.

    Lists of terms, choices and the form of terms say what a weight stands for, and nothing in the
    shape of the weights tells one from another.

    Args:
        task_class: the class.
        arguments: those of the preset.
        overrides: those that are to replace them.
        folder: the preset's folder, for errors.

    Raises:
        ValueError: if one does.
    """
    for name, option in options_of(task_class).items():
        if name not in overrides:
            continue
        value = overrides[name]
        empty = option.default is inspect.Parameter.empty
        old = arguments.get(name, None if empty else option.default)
        terms = option.kind is list
        if terms:
            given = list(value) if isinstance(value, Iterable) else [] if value is None else [value]
            same = list(old or []) == given
        else:
            same = not (isinstance(old, str) or name in _FORMS) or old == value
        if not same:
            what = "the list that it has" if terms else reprlib.repr(old)
            of_head = [h.terms for h in heads_with_labels(task_class) if name in h.options]
            anew = (
                f"give `{of_head[0]}` as well, for a new head" if of_head else "train a new model"
            )
            raise ValueError(
                f"`{name}` cannot be replaced: the weights of the preset {folder} were trained for "
                f"{what}. Leave `{name}` out, or {anew}."
            )


def _is_of(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind is int:
        return type(value) is int and abs(value) <= _LARGEST
    if kind is list:
        return isinstance(value, list) and all(type(item) is str for item in value)
    return type(value) is kind
