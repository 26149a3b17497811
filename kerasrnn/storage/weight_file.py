"""Reads the weights of a preset, which a stranger may have made.

HDF5 is a file system within a file: links lead to other files, data lies in files of any name, a
few bytes declare terabytes, and a chunk of kilobytes inflates to gigabytes. So all of the file is
looked through before any of it is read; then only that is read which the model has weights for, in
their shapes, and chunks are inflated here, to no more than their own size.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np

# In files of `int8`, the group that holds the scales of the rows of each table, by its name.
SCALES = "row_scales"

# How many times as large as the file what it declares may be, and how much is allowed in any case.
# Weights shrink to a half by compression, and `copy_weights` leaves alone what would shrink more.
EXPANSION = 50
_ALLOWANCE = 16 << 20

# Groups and arrays in a file: a model of a thousand layers has some ten thousand.
_MOST_OBJECTS = 100_000

_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE)


@contextlib.contextmanager
def opened_weights(path: Path) -> Iterator[WeightFile]:
    """Open a weights file and look through all of it, reading none of the weights.

    Args:
        path: a regular file.

    Yields:
        What it holds.

    Raises:
        ValueError: if it is no HDF5 file; or holds links, data that lies elsewhere, in another
            form than plain arrays of numbers, or not at all.
    """
    size = path.stat().st_size
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{path} is no file of weights: {error}") from error
    with file:
        try:
            weights = WeightFile(path, _arrays(path, file, size))
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"{path} is no file of weights: {error}") from error
        declared = sum(array.elements * array.dtype.itemsize for array in weights.arrays.values())
        if declared > EXPANSION * size + _ALLOWANCE:
            raise ValueError(
                f"{path} declares {declared:,} bytes of weights, and has {size:,}: a file is "
                f"refused that declares more than {EXPANSION} times its size."
            )
        yield weights


@dataclass(frozen=True)
class _Array:
    """A plain array in a file, as the file describes it."""

    dataset: h5py.Dataset
    shape: tuple[int, ...]
    dtype: np.dtype
    chunk: tuple[int, ...] | None
    filters: tuple[int, ...]
    file_size: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def read(self, out: np.ndarray, refuse: Callable[[str], NoReturn]) -> None:
        """Read all of it into an array of the same shape, whose type may be another."""
        if self.chunk is None:
            if self.elements:
                self.dataset.read_direct(out)
            return
        for place, values in self._chunks(refuse):
            out[place] = values

    def _chunks(
        self, refuse: Callable[[str], NoReturn]
    ) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        assert self.chunk is not None
        stored: list[Any] = []
        self.dataset.id.chunk_iter(stored.append)
        offsets = {
            tuple(info.chunk_offset)
            for info in stored
            if not any(
                start % length or start >= end
                for start, length, end in zip(
                    info.chunk_offset, self.chunk, self.shape, strict=True
                )
            )
        }
        if len(stored) != len(offsets) or len(offsets) != _grid(self.shape, self.chunk):
            refuse("is not all there")
        for info in stored:
            if info.size > self.file_size:
                refuse("is not all there")
            place = tuple(
                slice(start, min(start + length, end))
                for start, length, end in zip(
                    info.chunk_offset, self.chunk, self.shape, strict=True
                )
            )
            mask, packed = self.dataset.id.read_direct_chunk(info.chunk_offset)
            chunk = self._unpacked(packed, mask, refuse)
            yield place, chunk[tuple(slice(0, part.stop - part.start) for part in place)]

    def _unpacked(self, packed: bytes, mask: int, refuse: Callable[[str], NoReturn]) -> np.ndarray:
        """A chunk's numbers. HDF5 itself would inflate a chunk to whatever size it has."""
        assert self.chunk is not None
        width = self.dtype.itemsize
        size = math.prod(self.chunk) * width
        for number, kind in reversed(list(enumerate(self.filters))):
            if mask >> number & 1:
                continue
            if kind == h5py.h5z.FILTER_DEFLATE:
                try:
                    packed = zlib.decompressobj().decompress(packed, size + 1)
                except zlib.error as error:
                    refuse(f"cannot be inflated: {error}")
            elif len(packed) == size:
                packed = np.frombuffer(packed, "uint8").reshape(width, -1).T.tobytes()
        if len(packed) != size:
            refuse(f"has a chunk of another size than the {size:,} bytes that it declares")
        return np.frombuffer(packed, self.dtype).reshape(self.chunk)


@dataclass(frozen=True)
class WeightFile:
    """What a weights file holds.

    Args:
        path: the file.
        arrays: the arrays by their names in the file.
    """

    path: Path
    arrays: dict[str, _Array]

    @property
    def longest(self) -> int:
        """The longest axis of any array: no vocabulary can have more terms."""
        return max((max(array.shape, default=1) for array in self.arrays.values()), default=0)

    def read(self, name: str, out: np.ndarray) -> np.ndarray:
        """Read a weight, its rows multiplied by their scales where it has some.

        Args:
            name: the weight's name in the file.
            out: a float or integer array of its shape, which is filled.

        Returns:
            `out`.

        Raises:
            ValueError: if it cannot be read or is not finite.
        """
        try:
            self.arrays[name].read(out, self._refuse(name))
            scales = self.arrays.get(f"{SCALES}/{name}")
            if scales is not None:
                factors = np.empty(len(out), out.dtype)
                scales.read(factors, self._refuse(f"{SCALES}/{name}"))
                with np.errstate(invalid="ignore", over="ignore"):  # found out below
                    out *= factors[:, None]
        except (OSError, RuntimeError) as error:
            self._refuse(name)(f"cannot be read: {error}")
        if not np.isfinite(out).all():
            self._refuse(name)("is not finite: it holds NaN or infinity")
        return out

    def _refuse(self, name: str) -> Callable[[str], NoReturn]:
        return lambda fault: _refuse(self.path, name, fault)


# === What a file holds ===


def _refuse(path: Path, name: str, fault: str) -> NoReturn:
    raise ValueError(f"{path}: the weight {name} {fault}.")


def _arrays(path: Path, file: h5py.File, size: int) -> dict[str, _Array]:
    """The arrays of a file by their names, if there is nothing else in it."""
    found: dict[str, _Array] = {}
    root = file["/"]
    seen = {_address(root)}
    groups = [("", root)]
    while groups:
        prefix, group = groups.pop()
        for key in group:
            name = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(f"{path}: {name} is a link. A preset's weights may have none.")
            item = group[key]
            address = _address(item)
            if address in seen:
                raise ValueError(f"{path}: {name} is a second name for what has one.")
            seen.add(address)
            if len(seen) > _MOST_OBJECTS:
                raise ValueError(f"{path} holds more than {_MOST_OBJECTS:,} arrays and groups.")
            if isinstance(item, h5py.Group):
                groups.append((f"{name}/", item))
            elif isinstance(item, h5py.Dataset):
                found[name] = _checked(path, name, item, size)
            else:
                raise ValueError(f"{path}: {name} is neither an array nor a group.")
    return found


def _address(item: h5py.HLObject) -> int:
    return h5py.h5o.get_info(item.id).addr


def _checked(path: Path, name: str, dataset: h5py.Dataset, size: int) -> _Array:
    """An array, if it is one of plain numbers that lie in this file. Its data is not touched."""
    plan = dataset.id.get_create_plist()
    layout = plan.get_layout()
    # First of all: the shape of a virtual data set is looked up in other files.
    if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
        _refuse(path, name, "lies in another file")
    filters = tuple(plan.get_filter(number)[0] for number in range(plan.get_nfilters()))
    if set(filters) - set(_FILTERS) or len(filters) > len(_FILTERS):
        _refuse(path, name, f"is packed by the filters {filters}. Only gzip and shuffle are known")
    kind = dataset.id.get_type()
    numeric = kind.get_class() in (h5py.h5t.FLOAT, h5py.h5t.INTEGER)
    if not numeric or kind.get_size() > 8 or kind != h5py.h5t.py_create(dataset.dtype):
        _refuse(path, name, "is not of a type of numbers that weights have")
    if dataset.id.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        _refuse(path, name, "is not all there")
    chunk = plan.get_chunk() if layout == h5py.h5d.CHUNKED else None
    shape = tuple(dataset.shape)
    array = _Array(dataset, shape, dataset.dtype, chunk, filters, size)
    if not all(array.shape) and array.shape:
        _refuse(path, name, "is empty")
    if chunk is not None:
        if any(part > whole for part, whole in zip(chunk, shape, strict=True)):
            _refuse(path, name, f"has the shape {shape} and chunks that are larger, {chunk}")
        if dataset.id.get_num_chunks() != _grid(shape, chunk):
            _refuse(path, name, f"declares the shape {shape} and is not all there")
    elif layout == h5py.h5d.CONTIGUOUS:
        start, length = dataset.id.get_offset(), array.elements * array.dtype.itemsize
        if start is None or dataset.id.get_storage_size() != length or start + length > size:
            _refuse(path, name, f"declares the shape {shape} and is not all there")
    return array


def _grid(shape: tuple[int, ...], chunk: tuple[int, ...]) -> int:
    """How many chunks make up an array."""
    return math.prod(-(-whole // part) for whole, part in zip(shape, chunk, strict=True))
