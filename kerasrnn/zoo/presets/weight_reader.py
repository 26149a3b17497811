"""Reads the weights of a preset, which a stranger may have made.

HDF5 is a file system within a file: links lead to other files, data lies in files of any name, a
few bytes declare terabytes, and a chunk of kilobytes inflates to gigabytes. So all of the file is
looked through before any of it is read; then only that is read which the model has weights for, in
their shapes, and chunks are inflated here, to no more than their own size.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import keras
import numpy as np
import tensorflow as tf
from keras.src.saving import saving_lib

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

    @contextlib.contextmanager
    def only_their_size(self) -> Iterator[None]:
        """Within this block, no more weights can be made than the file holds.

        What asks for more is refused before it takes memory: in the line of variables, the first
        that does not fit.

        Raises:
            ValueError: if more is asked for.
        """
        # Layers have a few numbers that are no weights, such as the state of dropout.
        most = left = sum(array.elements + 16 for array in self.arrays.values()) + 1024

        def made(make: Callable[..., Any], **arguments: Any) -> Any:
            nonlocal left
            left -= _elements(arguments.get("initial_value"))
            if left < 0:
                raise ValueError(
                    f"{self.path.parent / 'config.toml'} describes a larger model than "
                    f"{self.path.name} has weights for: it holds {most - 1024:,} numbers."
                )
            return make(**arguments)

        with tf.variable_creator_scope(made):
            yield

    def load_into(self, model: keras.Model) -> None:
        """Set all weights of a model.

        Args:
            model: a model whose weights Keras would save under the names of this file's arrays.

        Raises:
            ValueError: if the file lacks a weight, has another, one of another shape or type, or
                one that is not finite. The message names it.
        """
        variables = _names(model)
        tables = {name.removeprefix(SCALES + "/") for name in self.arrays if _is_scale(name)}
        for name in [*variables, *tables]:
            if name not in self.arrays or name not in variables:
                whose = "model has" if name in variables else "file has scales for"
                raise ValueError(f"{self.path} lacks the weight {name}, which the {whose}.")
        for name in self.arrays:
            if not _is_scale(name) and name not in variables:
                raise ValueError(f"{self.path} has the weight {name}, which the model lacks.")
        for name, variable in variables.items():
            array, shape = self.arrays[name], tuple(variable.shape)
            if array.shape != shape:
                raise ValueError(
                    f"{self.path}: the weight {name} has the shape {array.shape}. "
                    f"Expected: {shape}, for {variable.path}."
                )
            wanted = "iu" if np.issubdtype(_numpy_dtype(variable), np.integer) else "f"
            if array.dtype.kind not in ("iu" if name in tables else wanted):
                raise ValueError(
                    f"{self.path}: the weight {name} is {array.dtype}. "
                    f"Expected: {variable.dtype}, for {variable.path}."
                )
            scales = self.arrays.get(f"{SCALES}/{name}")
            if scales is not None and (scales.shape != shape[:1] or scales.dtype.kind != "f"):
                raise ValueError(
                    f"{self.path}: the scales of {name} must be floats, one for each of its "
                    f"{shape[0]} rows. Received: {scales.dtype} {scales.shape}."
                )
        for name, variable in variables.items():
            try:
                values = self._values(name, variable)
            except (OSError, RuntimeError) as error:
                self._refuse(name)(f"cannot be read: {error}")
            variable.assign(values)

    def _values(self, name: str, variable: keras.Variable) -> np.ndarray:
        values = np.empty(variable.shape, _numpy_dtype(variable))
        self.arrays[name].read(values, self._refuse(name))
        scales = self.arrays.get(f"{SCALES}/{name}")
        if scales is not None:
            factors = np.empty(len(values), values.dtype)
            scales.read(factors, self._refuse(f"{SCALES}/{name}"))
            with np.errstate(invalid="ignore", over="ignore"):  # found out below
                values *= factors[:, None]
        if not np.isfinite(values).all():
            self._refuse(name)(f"is not finite: it holds NaN or infinity ({variable.path})")
        return values

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


def _is_scale(name: str) -> bool:
    return name.startswith(SCALES + "/")


# === What a model has ===


class _Names(saving_lib.H5IOStore):
    """Takes the place of a file while Keras saves to it, and notes which variable gets which name.

    So names are those of `keras.Model.save_weights`, whatever rule its version has for them.
    """

    def __init__(self) -> None:
        self.variables: dict[str, keras.Variable] = {}

    def __bool__(self) -> bool:
        return True

    def make(self, path: str, metadata: Any = None) -> _Names:
        self._place = path
        return self

    def __setitem__(self, key: str, value: keras.Variable) -> None:
        self.variables["/".join(part for part in (self._place, "vars", key) if part)] = value


def _names(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a model by the names under which Keras saves them, but the optimizer's."""
    store = _Names()
    saving_lib._save_state(
        model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set()
    )
    return {
        name: variable
        for name, variable in store.variables.items()
        if name.split("/")[0] != "optimizer"
    }


def _elements(initial_value: Any) -> int:
    """How many numbers a variable gets that Keras makes with an initializer; else 0.

    Keras hands TensorFlow a function without arguments, which has the Keras variable within it.
    """
    if not callable(initial_value):
        return 0
    variable = inspect.getclosurevars(initial_value).nonlocals.get("self")
    return math.prod(variable.shape) if isinstance(variable, keras.Variable) else 0


def _numpy_dtype(variable: keras.Variable) -> np.dtype:
    return np.dtype(tf.as_dtype(variable.dtype).as_numpy_dtype)
