"""Cells of matrices of numbers in MATLAB files of version 5 to 7.2, and nothing else of them.

As MATLAB's "MAT-File Format" describes them. scipy, which reads all of the format, takes the memory
that a damaged file declares, and ends the process at some of them.
"""

import math
import os
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.data.files import check_size, read_bytes

_HEADER, _CHUNK = 128, 2**14
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
# What elements hold, by their type.
_TYPES = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4"},
    **{7: "f4", 9: "f8", 12: "i8", 13: "u8"},
}
_CLASSES = {1: "cells", 2: "a struct", 3: "an object", 4: "text", 5: "a sparse matrix"}
_CELLS, _NUMBERS, _COMPLEX = 1, range(6, 16), 0x800


class MatFault(ValueError):
    """What is wrong with a file, in words."""


def read_cells(
    path: str | os.PathLike[str], wanted: str | None = None
) -> tuple[list[str], list[np.ndarray]]:
    """Read the matrices of a variable.

    Args:
        path: the file, compressed with gzip or not.
        wanted: the variable, of cells with a matrix of real numbers in each. None reads none.

    Returns:
        The names of all variables, and the matrices, none where there is no such variable.

    Raises:
        DataError: the file cannot be read, is another, or unpacks to far more than it (see
            `kerasrnn.data.files`), or the variable is another than cells of matrices.
    """
    data = read_bytes(path)
    order = {b"IM": "<", b"MI": ">"}.get(bytes(data[126:128]), "")
    version = struct.unpack(f"{order}H", data[124:126])[0] >> 8 if order else 0
    names: list[str] = []
    matrices: list[np.ndarray] = []
    total = 0
    try:
        if version != 1:
            raise MatFault("version 7.3: save it with -v7" if version == 2 else "without a version")
        for kind, body in _elements(memoryview(data)[_HEADER:], order, padded=False):
            if kind == _COMPRESSED:
                total = _unpacked_size(path, body, total)
                kind, body = next(_elements(memoryview(zlib.decompress(body)), order), (0, body))
            if kind != _MATRIX:
                continue
            flags, dimensions, name, parts = _head(body, order)
            names.append(name)
            if name == wanted:
                if flags & 0xFF != _CELLS or not parts:
                    raise DataError.at(
                        path,
                        None,
                        expected=f"{name} to be cells with a piece in each",
                        got=f"{_CLASSES.get(flags & 0xFF, 'numbers')} {dimensions}",
                    )
                if len(parts) != math.prod(dimensions):
                    raise MatFault(f"{len(parts)} cells where it says {dimensions}")
                matrices = [_matrix(part, order) for part in parts]
    except (MatFault, zlib.error) as fault:
        raise DataError.at(
            path, None, expected="a MATLAB file of version 5 to 7.2", got=f"another ({fault})"
        ) from None
    return names, matrices


def _elements(
    data: memoryview, order: str, padded: bool = True
) -> Iterator[tuple[int, memoryview]]:
    """The type and the bytes of each element."""
    begin = 0
    while begin < len(data):
        if len(data) - begin < 8:
            raise MatFault("an element is cut off")
        kind, size = struct.unpack_from(f"{order}II", data, begin)
        begin += 8
        if kind >> 16:  # up to four bytes stand in the place of the size
            kind, size = kind & 0xFFFF, kind >> 16
            yield kind, data[begin - 4 : begin - 4 + min(size, 4)]
            continue
        if size > len(data) - begin:
            raise MatFault(
                f"an element of {size:,} bytes, of which there are {len(data) - begin:,}"
            )
        yield kind, data[begin : begin + size]
        begin += size + (-size % 8 if padded else 0)


def _head(
    body: memoryview, order: str
) -> tuple[int, tuple[int, ...], str, list[tuple[int, memoryview]]]:
    """Class and flags, dimensions and name of a matrix, and its other elements."""
    elements = list(_elements(body, order))
    if [kind for kind, _ in elements[:3]] != [_UINT32, _INT32, _INT8] or len(elements[0][1]) < 4:
        raise MatFault("a matrix without flags, dimensions and name")
    (_, flags), (_, dimensions), (_, name) = elements[:3]
    axes = np.frombuffer(dimensions[: len(dimensions) // 4 * 4], f"{order}i4").tolist()
    if min(axes, default=-1) < 0:
        raise MatFault(f"the dimensions {tuple(axes)}")
    text = bytes(name).decode("utf-8", "replace")
    return struct.unpack_from(f"{order}I", flags)[0], tuple(axes), text, elements[3:]


def _matrix(element: tuple[int, memoryview], order: str) -> np.ndarray:
    """The numbers of a cell."""
    kind, body = element
    if kind != _MATRIX:
        raise MatFault(f"an element of type {kind} as a cell")
    flags, dimensions, _, parts = _head(body, order)
    if flags & 0xFF not in _NUMBERS or flags & _COMPLEX:
        got = _CLASSES.get(flags & 0xFF, "complex numbers")
        raise MatFault(f"{got} in a cell, where a matrix of numbers should be")
    stored, numbers = parts[0] if parts else (0, body[:0])
    dtype = np.dtype(order + _TYPES[stored]) if stored in _TYPES else None
    if dtype is None or len(numbers) != math.prod(dimensions) * dtype.itemsize:
        raise MatFault(f"{len(numbers)} bytes of numbers of type {stored} for {dimensions}")
    return np.frombuffer(numbers, dtype).reshape(dimensions, order="F")


def _unpacked_size(path: str | os.PathLike[str], packed: memoryview, total: int) -> int:
    """`total` and what a variable unpacks to; an error where this is too much."""
    unpacking = zlib.decompressobj()
    for begin in range(0, len(packed), _CHUNK):
        rest: bytes | memoryview = packed[begin : begin + _CHUNK]
        while rest:
            total += len(unpacking.decompress(rest, 2**20))
            check_size(path, total, "variables")
            rest = unpacking.unconsumed_tail
    return total
