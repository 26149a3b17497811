"""Named arrays in an uncompressed `.npz`, read no further than it holds what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.data.files import ArrayHead, read_arrays
from kerasrnn.storage.atomic import replacing_file


class ArrayFileError(DataError):
    """A file of arrays that is damaged, or holds others than those expected."""


class ArrayKind(NamedTuple):
    """The shape and the type of an array. None in a shape stands for any length."""

    shape: tuple[int | None, ...]
    dtype: np.dtype


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays, without pickle.

    Args:
        path: the file.
        arrays: the arrays by name.
    """
    with replacing_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path, kinds: Mapping[str, ArrayKind]) -> dict[str, np.ndarray]:
    """Read the arrays that are expected, and find out before whether they are there.

    Args:
        path: the file.
        kinds: what the arrays must be, by name. The file must hold no others.

    Returns:
        The arrays by name.

    Raises:
        ArrayFileError: if the file is damaged or holds other arrays. What it declares is compared
            with what it has and with what is expected before memory is taken for it.
    """

    def check(heads: Mapping[str, ArrayHead]) -> None:
        if set(heads) != set(kinds):
            missing = sorted(set(kinds) - set(heads))
            raise ArrayFileError(
                f"it lacks {missing[0]!r}"
                if missing
                else f"it holds {min(set(heads) - set(kinds))!r} too"
            )
        for name, kind in kinds.items():
            _check(name, heads[name], kind)

    try:
        return read_arrays(path, check)
    except ArrayFileError:
        raise
    except (DataError, MemoryError) as error:
        raise ArrayFileError(str(error)) from error


def _check(name: str, head: ArrayHead, kind: ArrayKind) -> None:
    """Compare the head of an array with what is expected."""
    fits = len(head.shape) == len(kind.shape) and all(
        wanted in (None, length) for length, wanted in zip(head.shape, kind.shape, strict=True)
    )
    if not fits or head.dtype != kind.dtype:
        wanted = tuple("any" if length is None else length for length in kind.shape)
        raise ArrayFileError(
            f"{name!r} has the shape {head.shape} and the type {head.dtype}, "
            f"not {wanted} and {kind.dtype}"
        )
