"""The data that the flags of a script name: where it lies, its parts, and what is held out."""

from __future__ import annotations

import functools
import os
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from kerasrnn.command_line import close_to
from kerasrnn.data import UnlabelledError
from kerasrnn.data.errors import ColumnError
from kerasrnn.embeddings import VECTOR_PACKAGES
from kerasrnn.embeddings.sources import source_names, source_of
from kerasrnn.storage.preset_folders import HUB_PREFIX

from .flags import TrainingConfig, UsageError, flag_name

DATA_VARIABLE = "KERASRNN_DATA"


# === Where it lies ===


def data_path(source: str) -> str:
    """Where a source of data lies: as it is named, or else in the folder `KERASRNN_DATA`.

    So a command or a preset's settings can name a file without saying where somebody keeps it.

    Args:
        source: a path, or a name such as `builtin:NAME` and `tfds:NAME`, which stays as it is.

    Returns:
        A path that exists where either of the two does, else `source` itself.

    Example:

    >>> from training.data import data_path
    >>> data_path("builtin:entities")
    'builtin:entities'
    """
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or os.path.isabs(source) or os.path.exists(source):
        return source
    elsewhere = os.path.join(folder, source)
    return elsewhere if os.path.exists(elsewhere) else source


def check_vectors(source: str) -> None:
    """Check that there are word vectors of a name.

    Args:
        source: a file, a preset, by its name or folder, a package, or several names joined by `+`.

    Raises:
        ValueError: if there is no such file and a part is no name; the packages are named.
    """
    path = data_path(source)
    if source.startswith(HUB_PREFIX):
        return  # it is fetched when it is read
    names = source_names()
    unknown = [part for part in source.split("+") if part not in names]
    if unknown and not os.path.exists(path):
        raise ValueError(
            f"there is no file {source!r}, and no package {unknown[0]!r}."
            f"{close_to(unknown[0], tuple(names))} Expected a file of vectors, a preset, or one or "
            f"several, joined by +, of {', '.join(VECTOR_PACKAGES)}."
        )
    source_of(path)


# === Its parts ===


def load_parts(
    config: TrainingConfig, default: str, load: Callable[[str, str], list[Any]]
) -> tuple[str, list[Any], list[Any], list[Any]]:
    """The parts of the data that the flags name.

    Args:
        config: the settings.
        default: the data to train on without `--data`.
        load: reads a split, `load(source, split)`; a ValueError that tells of splits means that
            there is none of that name.

    Returns:
        Where the data comes from, and the training, validation and test part. The latter two are
        empty where the flags name none and the source has none; the first is where only the others
        are to be measured.
    """
    source = config.data or default
    alone = measured_alone(config)
    parts = [[] if alone else load(source, "train")]
    for split, named in (("validation", config.validation), ("test", config.test)):
        if named:
            parts.append(load(named, split))
        elif source.startswith(("builtin:", "tfds:")) and not alone:
            parts.append(_split_if_any(load, source, split))
        else:
            parts.append([])
    train, validation, test = parts
    return alone or source, train, validation, test


def measured_alone(config: TrainingConfig) -> str:
    """What `--evaluate-only` is to measure if no `--data` is named: that and nothing else.

    Args:
        config: the settings.

    Returns:
        The names given to `--validation` and `--test`, or nothing where there is more to read.
    """
    if not config.evaluate_only or config.data is not None:
        return ""
    return ", ".join(name for name in (config.validation, config.test) if name)


def _split_if_any(load: Callable[[str, str], list[Any]], source: str, split: str) -> list[Any]:
    try:
        return load(source, split)
    except UnlabelledError:  # as in the test data of GLUE, whose labels are kept back
        return []
    except ValueError as error:
        if "split" not in str(error):
            raise
        return []


def held_out(items: Sequence[Any], share: float, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Split off a part of the data, always the same part.

    Args:
        items: the data.
        share: the part to hold out, above 0 and below 1.
        seed: decides which items.

    Returns:
        The rest, and the part, both in their old order.

    Example:

    >>> from training.data import held_out
    >>> rest, part = held_out(range(20), 0.1)
    >>> len(rest), len(part)
    (18, 2)
    """
    chosen = set(_drawn(len(items), share, seed))
    rest = [item for i, item in enumerate(items) if i not in chosen]
    return rest, [item for i, item in enumerate(items) if i in chosen]


def _drawn(size: int, share: float, seed: int) -> list[int]:
    count = max(1, round(size * share))
    return random.Random(seed).sample(range(size), count)


def tenth_held_out(
    rows: list[Any],
    source: str,
    what: str,
    names: Callable[[Any], Iterable[Hashable]] = lambda row: (),
) -> tuple[list[Any], list[Any]]:
    """Split off a tenth of the training data to validate with, always the same.

    What only one example has (a label, a tag) could not be learnt without it: such an example is
    not held out. Where every example is one, those of the tenth are trained on as well.

    Args:
        rows: the training data.
        source: its name.
        what: what one of them is, such as `sentence`.
        names: the labels or tags of an example, that a model must have seen.

    Returns:
        The rest, and the tenth.

    Raises:
        UsageError: if there is only one.
    """
    if len(rows) < 2:
        raise UsageError(f"{source} has one {what}: nothing can be held out. Use --validation.")
    sets = [set(names(row)) for row in rows]
    left = Counter(name for each in sets for name in each)
    drawn = _drawn(len(rows), 0.1, 0)
    others = [i for i in range(len(rows)) if i not in set(drawn)]
    random.Random(0).shuffle(others)
    chosen: set[int] = set()
    for i in [*drawn, *others]:
        if len(chosen) < len(drawn) and all(left[name] > 1 for name in sets[i]):
            chosen.add(i)
            left.subtract(sets[i])
    rest = [row for i, row in enumerate(rows) if i not in chosen]
    if not chosen:
        chosen = set(drawn)
        Console(stderr=True, soft_wrap=True).print(
            f"Nothing can be held out of {source}: every {what} is the only one with some label. "
            "What is measured as validation data is trained on too. Use --validation.",
            highlight=False,
            markup=False,
        )
    return rest, [row for i, row in enumerate(rows) if i in chosen]


# === Flags in its errors ===

# A file given twice fails as the first of them.
_SOURCES = ("test", "validation", "data")

Loader = TypeVar("Loader", bound=Callable[..., Any])


def naming_flags(
    config: TrainingConfig, columns: Mapping[str, str] | None = None
) -> Callable[[Loader], Loader]:
    """Decorates a function that reads a part of the data, to name flags in its errors.

    Args:
        config: the settings.
        columns: the names of the flags that name columns, by the arguments of the reader.

    Returns:
        A decorator of functions whose first argument is the source. A ValueError of theirs begins
        with the flag that names it.

    Example:

    >>> from training.flags import TrainingConfig
    >>> from training.data import naming_flags
    >>> @naming_flags(TrainingConfig(data="a.tsv", test="b.tsv"))
    ... def load(source):
    ...     raise ValueError(f"There is no {source}.")
    >>> load("b.tsv")
    Traceback (most recent call last):
    ...
    ValueError: --test: There is no b.tsv.
    """
    columns = columns or {}

    def decorate(load: Loader) -> Loader:
        @functools.wraps(load)
        def loading(*arguments: Any) -> Any:
            try:
                return load(*arguments)
            except ValueError as error:
                if isinstance(error, UnicodeError):
                    raise
                named = {data_path(getattr(config, name) or ""): name for name in _SOURCES}
                name = named.get(data_path(arguments[0]), "data")
                target = f"{name}_target" if name != "data" else "target"
                lies = getattr(config, target, None)
                # Of two files whose lines belong together it may be the second.
                if lies and getattr(error, "path", None) == Path(data_path(lies)):
                    name = target
                flag = flag_name(name)
                message = str(error)
                if isinstance(error, ColumnError):
                    for argument, name in columns.items():
                        message = message.replace(f"`{argument}`", flag_name(name))
                    flags = " and ".join(map(flag_name, columns.values()))
                    message = f"{message} Columns are named with {flags}."
                error.args = (f"{flag}: {message}",)
                raise

        return loading  # type: ignore[return-value]

    return decorate
