"""From a preset's folder to a task, and back."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tomlkit

from kerasrnn._version import __version__
from kerasrnn.layers.parts import trainable_config
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.storage.atomic import replacing_folder, reserve
from kerasrnn.storage.preset_folders import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    keep_other_files,
    preset_file,
    preset_target,
    read_config,
)
from kerasrnn.storage.small_weights import WEIGHTS_DTYPES, copy_weights
from kerasrnn.storage.term_files import read_terms, write_terms
from kerasrnn.storage.weight_file import opened_weights
from kerasrnn.zoo.presets.arguments import (
    check_arguments,
    check_known,
    check_overrides,
    vocabularies,
)
from kerasrnn.zoo.presets.filling import fill, only_their_size
from kerasrnn.zoo.transfer import head_changes, heads_with_labels, with_new_head

# What HDF5 adds to a weight, with the groups in which it lies, at most.
_HDF5_BYTES = 16_000


def load(
    folder: Path,
    config: Mapping[str, Any],
    task_class: type[keras.Model],
    overrides: Mapping[str, Any],
) -> Any:
    """Make a task of a preset, with its weights and vocabularies; see `Task.from_preset`.

    Args:
        folder: the preset's folder.
        config: what `read_config` found there.
        task_class: the class that the preset names.
        overrides: constructor arguments that replace those of the preset.

    Returns:
        The task.
    """
    where = folder / CONFIG_FILE
    arguments = dict(config["arguments"])
    check_arguments(task_class, arguments, where)
    check_known(task_class, overrides)
    terms = vocabularies(task_class)
    with opened_weights(preset_file(folder, WEIGHTS_FILE)) as weights:
        for name, file in config["vocabulary"].items():
            if name not in terms:
                raise ValueError(
                    f"{where}: unknown vocabulary {name!r}. Expected one of {', '.join(terms)}."
                )
            arguments[name] = read_terms(preset_file(folder, file), most=weights.longest)
        head = head_changes(task_class, arguments, overrides)
        overrides = _without_heads(task_class, overrides, head)
        check_overrides(task_class, arguments, overrides, folder)
        if "trainable" not in overrides:
            arguments |= config["trainable"]
        # The terms of overrides are those of the preset, perhaps as a tuple or an array.
        arguments |= {name: value for name, value in overrides.items() if name not in terms}
        # Each layer is made before the first of them has weights, which are counted.
        depth = arguments.get("depth", 1)
        if isinstance(depth, int) and depth > len(weights.arrays):
            raise ValueError(
                f"{where}: `depth` is {depth}, and {WEIGHTS_FILE} has {len(weights.arrays)} "
                "weights, which are fewer than one for each layer."
            )
        with only_their_size(weights):
            try:
                task = task_class(**arguments)
            except (TypeError, ValueError) as error:  # also an argument that is missing
                if overrides or CONFIG_FILE in str(error):
                    raise
                raise ValueError(f"{where}: {error}") from error
        fill(task, weights)
    if head:
        task = with_new_head(task, head)
        if overrides.get("trainable") is False:
            task.trainable = False
    return task


def _without_heads(
    task_class: type, overrides: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """The overrides without what makes a new head, and without labels that are the preset's own."""
    left = dict(overrides)
    for head in heads_with_labels(task_class):
        if head.terms in left:
            names = head.arguments if head.terms in changes else (head.terms,)
            left = {name: value for name, value in left.items() if name not in names}
    return left


def save(
    task: Any,
    folder: str | os.PathLike[str],
    classes: Mapping[str, type],
    weights_dtype: str,
    extra: Mapping[str, Any],
) -> Path:
    """Write a task as a preset; see `Task.save_to_preset`.

    Args:
        task: the task.
        folder: the folder to write.
        classes: the classes that presets have, by name.
        weights_dtype: `float32`, `float16` or `int8`.
        extra: further sections of `config.toml`.

    Returns:
        The folder.
    """
    if weights_dtype not in WEIGHTS_DTYPES:
        raise ValueError(
            f"`weights_dtype` must be one of {', '.join(WEIGHTS_DTYPES)}. "
            f"Received: {weights_dtype!r}"
        )
    check_finite_weights(task)
    target = preset_target(folder, classes)
    with replacing_folder(target) as temporary:
        _write_config(task, temporary, extra)
        size = sum(_HDF5_BYTES + 4 * int(np.prod(weight.shape)) for weight in task.weights)
        reserve(temporary, 2 * size)  # the full file, and the one of `weights_dtype`
        full = temporary / ("full." + WEIGHTS_FILE)
        task.save_weights(full)
        copy_weights(full, temporary / WEIGHTS_FILE, weights_dtype)
        full.unlink()
        if (target / CONFIG_FILE).is_file():
            keep_other_files(target, temporary)
    return Path(folder)


def _write_config(task: Any, folder: Path, extra: Mapping[str, Any]) -> None:
    arguments = task.arguments()
    vocabulary = {}
    for name in vocabularies(type(task)):
        terms = arguments.pop(name, None)
        if terms is None:
            continue
        vocabulary[name] = f"vocabulary/{name}.txt"
        (folder / "vocabulary").mkdir(exist_ok=True)
        write_terms(folder / vocabulary[name], terms)
    frozen = trainable_config(task)
    # TOML has no null: an argument that is None is left out and takes its default, None.
    config = {
        "class": type(task).__name__,
        "arguments": {name: value for name, value in arguments.items() if value is not None},
        "vocabulary": vocabulary,
        "input": {"dtype": task.input_dtype},
        **({"trainable": frozen} if frozen else {}),
        "versions": versions(),
        **extra,
    }
    (folder / CONFIG_FILE).write_text(tomlkit.dumps(config), encoding="utf-8")
    # What could not be read back fails here, not for the user.
    check_arguments(type(task), read_config(folder)["arguments"], folder / CONFIG_FILE)


def versions() -> dict[str, str]:
    """The versions that a preset or a run was made with.

    Returns:
        Version strings by the names kerasrnn, keras, tensorflow and python.
    """
    return {
        "kerasrnn": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }
