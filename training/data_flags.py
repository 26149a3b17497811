"""Names the flags in the errors of the readers of data, which know no flags."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kerasrnn.data.errors import ColumnError
from training.common import TrainingConfig, data_path, flag_name

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

    >>> from training.common import TrainingConfig
    >>> from training.data_flags import naming_flags
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
