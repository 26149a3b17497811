"""Named arrays in an uncompressed `.npz`, read no further than it holds what is expected."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from kerasrnn.zoo.files import replacing_file


class ArrayFileError(ValueError):
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
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if names != set(kinds):
                missing = sorted(set(kinds) - names)
                raise ArrayFileError(
                    f"it lacks {missing[0]!r}"
                    if missing
                    else f"it holds {min(names - set(kinds))!r} too"
                )
            for name, kind in kinds.items():
                _check(archive, name, kind)
            arrays = {}
            for name in kinds:
                with archive.open(f"{name}.npy") as file:
                    arrays[name] = npy.read_array(file, allow_pickle=False)
            return arrays
    except ArrayFileError:
        raise
    except (
        *(OSError, EOFError, ValueError, KeyError, MemoryError, RuntimeError),
        *(NotImplementedError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ArrayFileError(str(error) or type(error).__name__) from error


def _check(archive: zipfile.ZipFile, name: str, kind: ArrayKind) -> None:
    """Compare the head of an array with what is expected."""
    with archive.open(f"{name}.npy") as file:
        version = npy.read_magic(file)
        read_head: Any = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        if version not in read_head:
            raise ArrayFileError(f"{name!r} has the unknown format {version}")
        shape, _, dtype = read_head[version](file)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        rest = archive.getinfo(f"{name}.npy").file_size - file.tell()
    fits = len(shape) == len(kind.shape) and all(
        wanted in (None, length) for length, wanted in zip(shape, kind.shape, strict=True)
    )
    if not fits or dtype != kind.dtype:
        wanted = tuple("any" if length is None else length for length in kind.shape)
        raise ArrayFileError(
            f"{name!r} has the shape {shape} and the type {dtype}, not {wanted} and {kind.dtype}"
        )
    if size != rest:
        raise ArrayFileError(f"{name!r} declares {size} bytes and has {rest}")
