"""The weights of a preset on disk: Keras's file, smaller. `weight_reader` reads it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from kerasrnn.storage.weight_file import EXPANSION, SCALES

WEIGHTS_DTYPES = ("float32", "float16", "int8")

# What counts as a table of embeddings: many rows, of which each is looked up by itself.
_TABLE_ROWS = 1000
_TABLE_RATIO = 8

# An array that would shrink more, one of zeros say, is not compressed: what is much larger than its
# file is refused when it is read.
_RATIO = EXPANSION // 2
_SMALL = 1 << 20


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
                        new.create_dataset(f"{SCALES}/{name}", data=scales)
                    else:
                        array = _in_floats(name, array, floats)
                made = _store(new, name, array)
            for key, value in item.attrs.items():
                made.attrs[key] = value

        old.visititems(copy)


def _store(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    if not array.ndim:
        return file.create_dataset(name, data=array)
    made = file.create_dataset(name, data=array, compression="gzip", shuffle=True)
    made.flush()
    if array.nbytes > _SMALL and array.nbytes > _RATIO * made.id.get_storage_size():
        del file[name]
        made = file.create_dataset(name, data=array)
    return made


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
