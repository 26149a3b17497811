"""The weights of a preset on disk: Keras's file, smaller."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

WEIGHTS_DTYPES = ("float32", "float16", "int8")

# In `int8`, the group that holds the scales of the rows of each table, by the table's name.
_SCALES = "row_scales"

# What counts as a table of embeddings: many rows, of which each is looked up by itself.
_TABLE_ROWS = 1000
_TABLE_RATIO = 8


def copy_weights(source: Path, target: Path, dtype: str) -> None:
    """Copy Keras's weights file with every float in `dtype`, compressed, without the optimizer.

    Args:
        source: what `keras.Model.save_weights` wrote.
        target: the file to write.
        dtype: `float32`; `float16`; or `int8`, for which each row of a table of embeddings becomes
            integers from -127 to 127 with a float32 scale of its own, and all else float16. A table
            is a matrix of at least 1,000 rows, and of 8 times as many rows as columns.

    Raises:
        ValueError: if `dtype` cannot hold a weight.
    """
    floats = "float16" if dtype == "int8" else dtype
    with h5py.File(source, "r") as old, h5py.File(target, "w") as new:
        for key, value in old.attrs.items():
            new.attrs[key] = value

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            # Keras writes a compiled model's optimizer along, which is twice the weights.
            if name.split("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                made = new.require_group(name)
            else:
                array = item[()]
                if np.issubdtype(array.dtype, np.floating):
                    if dtype == "int8" and _is_table(array):
                        array, scales = _in_integers(name, array)
                        new.create_dataset(f"{_SCALES}/{name}", data=scales)
                    else:
                        array = _in_floats(name, array, floats)
                options = {"compression": "gzip", "shuffle": True} if array.ndim else {}
                made = new.create_dataset(name, data=array, **options)
            for key, value in item.attrs.items():
                made.attrs[key] = value

        old.visititems(copy)


@contextlib.contextmanager
def readable_weights(path: Path) -> Iterator[Path]:
    """A file that `keras.Model.load_weights` reads, of one that `copy_weights` wrote.

    Args:
        path: the file.

    Yields:
        The file itself; or, where it holds tables in `int8`, a file of floats that is removed
        afterwards.
    """
    with h5py.File(path, "r") as file:
        if _SCALES not in file:
            yield path
            return
        with tempfile.TemporaryDirectory() as folder:
            full = Path(folder) / path.name
            with h5py.File(full, "w") as new:
                for key, value in file.attrs.items():
                    new.attrs[key] = value
                scales: dict[str, np.ndarray] = {}
                file[_SCALES].visititems(
                    lambda name, item: (
                        scales.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                    )
                )
                for name in file:
                    if name != _SCALES:
                        file.copy(name, new)
                for name, factors in scales.items():
                    table = new[name][()].astype("float32") * factors[:, None]
                    attributes = dict(new[name].attrs)
                    del new[name]
                    new.create_dataset(name, data=table).attrs.update(attributes)
            yield full


def _is_table(array: np.ndarray) -> bool:
    rows = array.shape[0] if array.ndim == 2 else 0
    return rows >= max(_TABLE_ROWS, _TABLE_RATIO * array.shape[-1])


def _in_integers(name: str, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not np.isfinite(table).all():
        raise ValueError(f"The weight {name} has values that int8 cannot hold.")
    scales = (np.abs(table).max(axis=1) / 127).astype("float32")
    integers = np.rint(table / np.where(scales, scales, 1)[:, None])
    return np.clip(integers, -127, 127).astype("int8"), scales


def _in_floats(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # found out below
        array = array.astype(dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"The weight {name} has values that {dtype} cannot hold.")
    return array
