"""The arguments of a preset: their types, and which of them its weights were trained for."""

from __future__ import annotations

import inspect
import math
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasrnn.zoo.task import Task

# What Keras adds to every configuration. A name and a precision belong to a use of a model, not to
# the preset; what is frozen has a section of its own there. One may name them all the same.
KERAS_ARGUMENTS = {"name": str, "trainable": bool, "dtype": str}

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

# How many times a loop is unrolled, which no weights bound. No word has more pieces.
_MOST_PIECES = 1_000

# In which form the terms of a vocabulary are.
_FORMS = ("lowercase", "normalize_digits")


def constructor_arguments(task_class: type[Task]) -> set[str]:
    """The names of the arguments that a class of tasks takes."""
    parameters = inspect.signature(task_class.__init__).parameters.values()
    named = {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    return (named - {"self"}) | set(KERAS_ARGUMENTS)


def check_arguments(task_class: type[Task], arguments: Mapping[str, Any], where: Path) -> None:
    """Check that the arguments of a preset are plain values of the types that its class takes.

    Args:
        task_class: the class.
        arguments: what stands in the file.
        where: the file, for errors.

    Raises:
        ValueError: if one is unknown or of another type. A table is refused in any case: Keras
            would make an object of it, of any class that it knows.
    """
    known = constructor_arguments(task_class)
    expected = {**typing.get_type_hints(task_class.__init__), **KERAS_ARGUMENTS}
    for name, value in arguments.items():
        if name not in known:
            raise ValueError(
                f"{where}: unknown setting {name!r} for {task_class.__name__}. "
                f"Expected one of {', '.join(sorted(known))}."
            )
        kind = expected.get(name, bool | int | float | str)
        if not _is_of(value, kind):
            raise ValueError(
                f"{where}: `{name}` must be {_words(kind)}. Received: {reprlib.repr(value)}"
            )
        if name == "dtype" and value not in _PRECISIONS:
            raise ValueError(
                f"{where}: `dtype` must be one of {', '.join(_PRECISIONS)}. "
                f"Received: {reprlib.repr(value)}"
            )
        if name == "max_pieces" and value > _MOST_PIECES:
            raise ValueError(
                f"{where}: `max_pieces` must be {_MOST_PIECES:,} at most. Received: {value}"
            )


def check_overrides(
    task_class: type[Task], arguments: Mapping[str, Any], overrides: Mapping[str, Any], folder: Path
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
        ValueError: if one does. A new head for new labels is not made yet.
    """
    parameters = inspect.signature(task_class.__init__).parameters
    for name, value in overrides.items():
        if name in KERAS_ARGUMENTS:
            continue
        default = parameters[name].default
        old = arguments.get(name, None if default is inspect.Parameter.empty else default)
        terms = name in task_class.vocabulary_arguments
        if terms:
            given = list(value) if isinstance(value, Iterable) else [] if value is None else [value]
            same = list(old or []) == given
        else:
            same = not (isinstance(old, str) or name in _FORMS) or old == value
        if not same:
            what = "the list" if terms else reprlib.repr(old)
            raise ValueError(
                f"`{name}` cannot be replaced: the weights of the preset {folder} were trained for "
                f"{what} that it has. Leave `{name}` out, or train a new model."
            )


def _is_of(value: Any, kind: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return any(_is_of(value, part) for part in typing.get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind is int:
        return type(value) is int and abs(value) <= _LARGEST
    if isinstance(kind, type) and kind in (bool, str):
        return type(value) is kind
    # What is left are lists of terms.
    return isinstance(value, list) and all(type(item) is str for item in value)


def _words(kind: Any) -> str:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        return " or ".join(map(_words, parts))
    names = {
        bool: "true or false",
        int: f"an integer of at most {_LARGEST:,}",
        float: "a finite number",
        str: "a string",
    }
    return names.get(kind, "a list of strings")
