"""Run a SavedModel through TensorFlow's C library, without TensorFlow's Python.

A server such as TF Serving has no Python: a model that only works while its Python code is around
is broken there. This script stands in for the server. It needs the standard library and NumPy,
opens the `libtensorflow_cc` of the installed `tensorflow` (or `tensorflow-cpu`) package with
ctypes, loads a SavedModel and runs its signatures with XLA's compiler off, as TF Serving does.

    python -I c_api.py inspect MODEL
    python -I c_api.py predict MODEL --inputs '{"text": ["I grew up in France."]}'
    python -I c_api.py run MODEL --cases cases.npz --out FOLDER

`inspect` reads `saved_model.pb` alone and prints signatures, ops, and what in the graph a server
cannot run. `predict` prints the outputs for one request as JSON. `run` is for `kerasrnn.serving`:
it runs many requests and writes `FOLDER/outputs.npz` and `FOLDER/report.json`.

It must import nothing of TensorFlow, Keras or kerasrnn: `loaded_frameworks` proves it did not.
Numbers of protobuf fields are from TensorFlow's `saved_model.proto`, `meta_graph.proto`,
`graph.proto`, `node_def.proto`, `function.proto` and `attr_value.proto`; C functions from its
`c_api.h`, `tf_tensor.h` and `tf_tstring.h`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib.util
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

FRAMEWORKS = ("tensorflow", "keras", "kerasrnn", "jax", "torch")
INIT_SIGNATURE = "__saved_model_init_op"

# TF_DataType -> name. NumPy knows all but string (object arrays of bytes here) and bfloat16.
DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
DTYPE_NUMBERS = {name: number for number, name in DTYPES.items()}
FLOATS = ("float16", "bfloat16", "float32", "float64")

# Ops that call back into the Python process that made them.
PYTHON_OPS = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))


# === Protocol buffers ===


def varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Reads one base-128 integer; returns it (unsigned) and the position after it."""
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def fields(data: bytes | memoryview) -> Iterator[tuple[int, Any]]:
    """Yields (field number, value) of one message: an int, or a memoryview of the content."""
    data = memoryview(data)
    position, end = 0, len(data)
    while position < end:
        key, position = varint(data, position)
        kind = key & 7
        if kind == 0:
            value: Any
            value, position = varint(data, position)
        else:
            if kind == 2:
                size, position = varint(data, position)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                raise ValueError(f"Not a protocol buffer: wire type {kind} at byte {position}.")
            value = data[position : position + size]
            if len(value) != size:
                raise ValueError(f"Not a protocol buffer: cut off at byte {position}.")
            position += size
        yield key >> 3, value


def values(data: bytes | memoryview, number: int) -> Iterator[Any]:
    """All values of one field."""
    return (value for found, value in fields(data) if found == number)


def text(data: bytes | memoryview, number: int) -> str:
    """A string field; empty where it is not set."""
    found = ""
    for value in values(data, number):
        found = bytes(value).decode("utf-8", "replace")
    return found


def string_map(data: bytes | memoryview, number: int) -> dict[str, Any]:
    """A `map<string, message>` field."""
    return {text(entry, 1): next(values(entry, 2), b"") for entry in values(data, number)}


def is_true(attribute: bytes | memoryview) -> bool:
    """Whether an `AttrValue` holds the boolean true."""
    return next(values(attribute, 5), 0) == 1


# === What a SavedModel says about itself ===


def meta_graph(model: str | os.PathLike[str]) -> bytes:
    """The bytes of the `MetaGraphDef` tagged `serve` in a SavedModel's folder."""
    path = Path(model) / "saved_model.pb"
    if not path.is_file():
        raise FileNotFoundError(f"No SavedModel in '{model}': it has no file saved_model.pb.")
    found = []
    for graph in values(path.read_bytes(), 2):
        tags = [bytes(tag).decode() for info in values(graph, 1) for tag in values(info, 4)]
        if "serve" in tags:
            return bytes(graph)
        found.append(tags)
    raise ValueError(f"'{path}' has no graph tagged 'serve'. Tags found: {found}.")


def tensor_info(info: bytes | memoryview) -> dict[str, Any]:
    """`TensorInfo` as {"tensor", "dtype", "shape"}; -1 is a size left open, None an open rank."""
    shape: list[int] | None = None
    for proto in values(info, 3):
        if next(values(proto, 3), 0):
            continue
        sizes = [next(values(dim, 1), 0) for dim in values(proto, 2)]
        shape = [size - (1 << 64) if size >= 1 << 63 else size for size in sizes]
    number = next(values(info, 2), 0)
    return {
        "tensor": text(info, 1),
        "dtype": DTYPES.get(number, f"dtype {number}"),
        "shape": shape,
    }


def signature_defs(graph: bytes) -> dict[str, Any]:
    """Signatures by name, each {"inputs": {name: tensor_info}, "outputs": {...}}."""
    return {
        name: {
            "inputs": {key: tensor_info(info) for key, info in string_map(entry, 1).items()},
            "outputs": {key: tensor_info(info) for key, info in string_map(entry, 2).items()},
        }
        for name, entry in sorted(string_map(graph, 5).items())
        if name != INIT_SIGNATURE
    }


def graph_nodes(graph: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yields (place, NodeDef) for all nodes of the main graph and of all functions."""
    for graph_def in values(graph, 2):
        yield from (("the main graph", node) for node in values(graph_def, 1))
        for library in values(graph_def, 2):
            for function in values(library, 1):
                place = f"function '{text(next(values(function, 1), b''), 1)}'"
                yield from ((place, node) for node in values(function, 3))


def graph_functions(graph: bytes) -> dict[str, dict[str, Any]]:
    """The library's functions: name -> attributes."""
    return {
        text(next(values(function, 1), b""), 1): string_map(function, 5)
        for graph_def in values(graph, 2)
        for library in values(graph_def, 2)
        for function in values(library, 1)
    }


def check_graph(
    graph: bytes, registered: frozenset[str] | None = None
) -> tuple[dict[str, int], list[str]]:
    """Counts ops and finds what a server without Python, XLA or a GPU cannot run.

    Args:
        graph: bytes of a `MetaGraphDef`.
        registered: names of the ops the library knows; None skips the search for custom ops.

    Returns:
        Op name -> number of nodes, and one line for each violation.
    """
    ops: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    functions = graph_functions(graph)
    for name, attributes in functions.items():
        if is_true(attributes.get("_XlaMustCompile", b"")):
            violations[
                f"function '{name}' must be compiled by XLA (_XlaMustCompile), which a server does "
                "not do: leave out jit_compile=True"
            ] += 1
    for place, node in graph_nodes(graph):
        op = text(node, 2)
        if op in functions:
            continue
        ops[op] += 1
        reason = ""
        if op.startswith("Xla") or op.startswith("_Xla"):
            reason = "exists only under XLA"
        elif "Cudnn" in op:
            reason = "runs only on an NVIDIA GPU (Keras's LSTM and GRU: use_cudnn=False)"
        elif op in PYTHON_OPS:
            reason = "calls back into Python"
        elif registered is not None and op not in registered:
            reason = "is a custom op that TensorFlow's library does not have"
        if reason:
            violations[f"op {op} in {place} {reason}"] += 1
        if is_true(string_map(node, 5).get("_XlaMustCompile", b"")):
            violations[
                f"node '{text(node, 1)}' in {place} must be compiled by XLA (_XlaMustCompile): "
                "leave out jit_compile=True"
            ] += 1
        device = text(node, 4)
        if "GPU" in device or "TPU" in device:
            violations[f"op {op} in {place} is pinned to device '{device}'"] += 1
    lines = [
        line if count == 1 else f"{line} ({count} times)" for line, count in violations.items()
    ]
    return dict(sorted(ops.items())), sorted(lines)


# === Arrays in a file, strings without pickle ===


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays to an .npz file; object arrays of bytes become bytes and their ends."""
    flat: dict[str, Any] = {}
    for name, array in arrays.items():
        if array.dtype == object:
            data = b"".join(array.ravel())
            sizes = [len(item) for item in array.ravel()]
            flat[f"{name}|bytes"] = np.frombuffer(data, np.uint8)
            flat[f"{name}|ends"] = np.cumsum(sizes, dtype=np.int64).reshape(array.shape)
        else:
            flat[name] = array
    with open(path, "wb") as file:
        # savez would take an array named 'file' for its own argument.
        parts: dict[str, Any] = {f":{name}": array for name, array in flat.items()}
        np.savez(file, **parts)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads what `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as file:
        flat = {name[1:]: file[name] for name in file.files}
    arrays = {}
    for name, array in flat.items():
        base, _, part = name.rpartition("|")
        if part == "ends":
            data, ends = flat[f"{base}|bytes"].tobytes(), array.ravel().tolist()
            strings = np.empty(len(ends), dtype=object)
            strings[:] = [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]
            arrays[base] = strings.reshape(array.shape)
        elif part != "bytes" or not base:
            arrays[name] = array
    return arrays


def byte_strings(value: Any, where: str = "Strings") -> np.ndarray:
    """Turns str or bytes, nested in lists or arrays, into an object array of bytes."""
    array = np.asarray(value, dtype=object)
    flat = np.empty(array.size, dtype=object)
    for index, item in enumerate(array.ravel()):
        if isinstance(item, str):
            item = item.encode("utf-8")
        if not isinstance(item, bytes):
            raise TypeError(f"{where}: expected str or bytes. Received: {item!r}.")
        flat[index] = bytes(item)
    return flat.reshape(array.shape)


def as_input(value: Any, dtype: str, where: str) -> np.ndarray:
    """Turns a value into an array of the named dtype, refusing to change numbers on the way."""
    if dtype == "string":
        return byte_strings(value, where)
    array, wanted = np.asarray(value), np.dtype(dtype)
    if array.dtype.kind in "iu" and wanted.kind in "iu":
        exact = bool((array.astype(wanted) == array).all())
    else:
        exact = np.can_cast(array.dtype, wanted, "same_kind")
    if not exact and array.size:  # an empty list is an array of float64
        raise TypeError(f"{where}: expected {dtype}. Received {array.dtype}: {array.tolist()!r}.")
    return np.ascontiguousarray(array, dtype=wanted).reshape(array.shape)


# === The C library ===


class Output(ctypes.Structure):
    """TF_Output: an operation and the number of one of its outputs."""

    _fields_ = [("operation", c_void_p), ("index", c_int)]


class Buffer(ctypes.Structure):
    """TF_Buffer: bytes that belong to the library."""

    _fields_ = [
        ("data", c_void_p),
        ("length", c_size_t),
        ("deallocator", c_void_p),
    ]


# TF_TString: three words, whatever the length of the string.
STRING_SIZE = 24

# ConfigProto{graph_options{optimizer_options{global_jit_level: OFF (-1)}}}
XLA_OFF = bytes((0x52, 13, 0x1A, 11, 0x28, *[0xFF] * 9, 0x01))

_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "TF_Version": (c_char_p, []),
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewBuffer": (POINTER(Buffer), []),
    "TF_DeleteBuffer": (None, [POINTER(Buffer)]),
    "TF_GetAllOpList": (POINTER(Buffer), []),
    "TF_NewGraph": (c_void_p, []),
    "TF_DeleteGraph": (None, [c_void_p]),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [
            c_void_p,
            c_void_p,
            c_char_p,
            POINTER(c_char_p),
            c_int,
            c_void_p,
            POINTER(Buffer),
            c_void_p,
        ],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_SessionRun": (
        None,
        [
            c_void_p,
            c_void_p,
            POINTER(Output),
            POINTER(c_void_p),
            c_int,
            POINTER(Output),
            POINTER(c_void_p),
            c_int,
            c_void_p,
            c_int,
            c_void_p,
            c_void_p,
        ],
    ),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_StringInit": (None, [c_void_p]),
    "TF_StringCopy": (None, [c_void_p, c_char_p, c_size_t]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
    "TF_StringDealloc": (None, [c_void_p]),
}


def library_folder() -> Path:
    """The folder of the installed `tensorflow` package, found without importing it."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "TensorFlow is not installed for this Python: give the folder of libtensorflow_cc "
            "with --library."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def library_files(folder: str | os.PathLike[str] | None = None) -> list[Path]:
    """The files of the C library, in the order in which they must be opened.

    Args:
        folder: where they lie; by default the installed `tensorflow` package.

    Raises:
        FileNotFoundError: one is missing (TensorFlow's wheel for Windows has none).
    """
    place = Path(folder) if folder else library_folder()
    suffix = "2.dylib" if sys.platform == "darwin" else "so.2"
    paths = [place / f"{name}.{suffix}" for name in ("libtensorflow_framework", "libtensorflow_cc")]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(
                f"'{path}' is missing: running a SavedModel without Python needs TensorFlow's "
                "C library, which its packages for Linux and macOS hold."
            )
    return paths


def open_library(folder: str | os.PathLike[str] | None = None) -> ctypes.CDLL:
    """Opens `libtensorflow_cc` and declares its functions.

    Args:
        folder: where the library lies; by default the installed `tensorflow` package.

    Raises:
        FileNotFoundError: there is no such library.
    """
    for path in library_files(folder):
        library = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class SavedModel:
    """A SavedModel held open by the C library.

    Args:
        path: its folder.
        library: what `open_library` returned.

    Raises:
        RuntimeError: the library cannot load it; the message is the library's.
    """

    def __init__(self, path: str | os.PathLike[str], library: ctypes.CDLL) -> None:
        self._library = library
        self._graph = library.TF_NewGraph()
        options = library.TF_NewSessionOptions()
        tags = (c_char_p * 1)(b"serve")
        meta = library.TF_NewBuffer()
        try:
            with self._status("Cannot configure the session") as status:
                library.TF_SetConfig(options, XLA_OFF, len(XLA_OFF), status)
            with self._status(f"Cannot load the SavedModel '{path}'") as status:
                self._session = library.TF_LoadSessionFromSavedModel(
                    options, None, os.fsencode(path), tags, 1, self._graph, meta, status
                )
            self.meta_graph = ctypes.string_at(meta.contents.data, meta.contents.length)
        finally:
            library.TF_DeleteBuffer(meta)
            library.TF_DeleteSessionOptions(options)
        self.signatures = signature_defs(self.meta_graph)

    def close(self) -> None:
        """Frees the session and the graph."""
        with self._status("Cannot close the session") as status:
            self._library.TF_CloseSession(self._session, status)
        with self._status("Cannot delete the session") as status:
            self._library.TF_DeleteSession(self._session, status)
        self._library.TF_DeleteGraph(self._graph)

    def run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Runs one signature on one request.

        Args:
            signature: its name, such as `serving_default`.
            inputs: a value for each input: arrays or nested lists; str or bytes for strings.

        Returns:
            The outputs by name. Strings are object arrays of bytes.

        Raises:
            ValueError: unknown signature, a missing or unknown input.
            TypeError: an input of another dtype.
            RuntimeError: the model failed; the message is the library's.
        """
        if signature not in self.signatures:
            raise ValueError(
                f"Unknown signature '{signature}'. Expected one of: {', '.join(self.signatures)}."
            )
        expected, fetched = (self.signatures[signature][side] for side in ("inputs", "outputs"))
        if set(inputs) != set(expected):
            raise ValueError(
                f"Signature '{signature}' takes the inputs {sorted(expected)}. "
                f"Received: {sorted(inputs)}."
            )
        feeds = (Output * len(expected))(*[self._endpoint(info) for info in expected.values()])
        fetches = (Output * len(fetched))(*[self._endpoint(info) for info in fetched.values()])
        results = (c_void_p * len(fetched))()
        tensors = (c_void_p * len(expected))()
        arrays = [
            as_input(inputs[name], info["dtype"], f"Input '{name}' of signature '{signature}'")
            for name, info in expected.items()
        ]
        try:
            for index, array in enumerate(arrays):
                tensors[index] = self._to_tensor(array)
            with self._status(f"Signature '{signature}' failed") as status:
                self._library.TF_SessionRun(
                    self._session,
                    None,
                    feeds,
                    tensors,
                    len(tensors),
                    fetches,
                    results,
                    len(results),
                    None,
                    0,
                    None,
                    status,
                )
            return {
                name: self._to_array(tensor, f"Output '{name}' of signature '{signature}'")
                for name, tensor in zip(fetched, results, strict=True)
            }
        finally:
            # An output may share its buffer with an input, so inputs go last.
            for tensor in results:
                if tensor:
                    self._library.TF_DeleteTensor(tensor)
            for array, tensor in zip(arrays, tensors, strict=True):
                if tensor:
                    self._free_input(array, tensor)

    @contextlib.contextmanager
    def _status(self, what: str) -> Iterator[Any]:
        """A TF_Status for one call, which raises when the call has failed."""
        status = self._library.TF_NewStatus()
        try:
            yield status
            if self._library.TF_GetCode(status):
                message = self._library.TF_Message(status).decode("utf-8", "replace")
                raise RuntimeError(f"{what}: {message}")
        finally:
            self._library.TF_DeleteStatus(status)

    def _endpoint(self, info: Mapping[str, Any]) -> Output:
        if not info["tensor"]:
            raise ValueError("Only dense tensors can be fed and fetched, no sparse or ragged one.")
        name, _, index = info["tensor"].partition(":")
        operation = self._library.TF_GraphOperationByName(self._graph, name.encode())
        if not operation:
            raise ValueError(f"The signature names an op '{name}' that the graph does not have.")
        return Output(operation, int(index or 0))

    def _to_tensor(self, array: np.ndarray) -> Any:
        library = self._library
        is_string = array.dtype == object
        number = DTYPE_NUMBERS["string" if is_string else array.dtype.name]
        sizes = (c_int64 * array.ndim)(*array.shape)
        size = array.size * STRING_SIZE if is_string else array.nbytes
        tensor = library.TF_AllocateTensor(number, sizes, array.ndim, size)
        if not tensor:
            raise MemoryError(f"Cannot allocate a tensor of {size} bytes.")
        data = library.TF_TensorData(tensor)
        if is_string:
            for index, item in enumerate(array.ravel()):
                place = data + index * STRING_SIZE
                library.TF_StringInit(place)
                library.TF_StringCopy(place, item, len(item))
        elif size:
            ctypes.memmove(data, array.ctypes.data, size)
        return tensor

    def _free_input(self, array: np.ndarray, tensor: Any) -> None:
        if array.dtype == object:
            data = self._library.TF_TensorData(tensor)
            for index in range(array.size):
                self._library.TF_StringDealloc(data + index * STRING_SIZE)
        self._library.TF_DeleteTensor(tensor)

    def _to_array(self, tensor: Any, where: str) -> np.ndarray:
        library = self._library
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        number = library.TF_TensorType(tensor)
        dtype = DTYPES.get(number, f"dtype {number}")
        data = library.TF_TensorData(tensor)
        if dtype == "string":
            strings = np.empty(int(np.prod(shape, dtype=np.int64)), dtype=object)
            for index in range(strings.size):
                place = data + index * STRING_SIZE
                size = library.TF_StringGetSize(place)
                strings[index] = ctypes.string_at(library.TF_StringGetDataPointer(place), size)
            return strings.reshape(shape)
        if dtype not in DTYPE_NUMBERS or dtype == "bfloat16":
            raise TypeError(f"{where} is of {dtype}, which NumPy cannot hold.")
        array = np.empty(shape, dtype=dtype)
        if array.nbytes != library.TF_TensorByteSize(tensor):
            raise RuntimeError(f"{where}: {array.nbytes} bytes expected by its shape {shape}.")
        if array.nbytes:
            ctypes.memmove(array.ctypes.data, data, array.nbytes)
        return array


def registered_ops(library: ctypes.CDLL) -> frozenset[str]:
    """Names of all ops that the library has."""
    buffer = library.TF_GetAllOpList()
    try:
        data = ctypes.string_at(buffer.contents.data, buffer.contents.length)
    finally:
        library.TF_DeleteBuffer(buffer)
    return frozenset(text(op, 1) for op in values(data, 1))


def loaded_frameworks() -> list[str]:
    """Frameworks whose Python modules this process has imported: none, in the script."""
    return sorted({name.partition(".")[0] for name in sys.modules} & set(FRAMEWORKS))


# === Commands ===


def inspect(model: str) -> dict[str, Any]:
    """What `saved_model.pb` says: signatures, ops, and violations that need no library to see."""
    graph = meta_graph(model)
    ops, violations = check_graph(graph)
    return {"signatures": signature_defs(graph), "ops": ops, "violations": violations}


def run_cases(model: str, cases: str, out: str, library: str | None) -> None:
    """Runs the requests in an .npz file, with keys `number/signature/input`, and reports."""
    begin = time.perf_counter()
    requests: dict[tuple[int, str], dict[str, np.ndarray]] = {}
    for key, array in load_arrays(cases).items():
        number, signature, name = key.split("/", 2)
        requests.setdefault((int(number), signature), {})[name] = array
    handle = open_library(library)
    report: dict[str, Any] = {"tensorflow": handle.TF_Version().decode(), "error": None}
    outputs = {}
    # Before loading: the library's own message about a missing op names only the first.
    graph = meta_graph(model)
    report["ops"], report["violations"] = check_graph(graph, registered_ops(handle))
    report["signatures"] = signature_defs(graph)
    if not report["violations"]:
        try:
            loaded = SavedModel(model, handle)
            for (index, signature), inputs in sorted(requests.items()):
                for name, array in loaded.run(signature, inputs).items():
                    outputs[f"{index}/{signature}/{name}"] = array
            loaded.close()
        except (RuntimeError, ValueError, TypeError) as error:
            report["error"] = str(error)
    frameworks = loaded_frameworks()
    if frameworks:
        raise AssertionError(f"This process must not import {frameworks}.")
    report["frameworks"] = frameworks
    report["seconds"] = time.perf_counter() - begin
    save_arrays(Path(out) / "outputs.npz", outputs)
    (Path(out) / "report.json").write_text(json.dumps(report), encoding="utf-8")


def predict(model: str, inputs: str, signature: str, library: str | None) -> dict[str, Any]:
    """Runs one request given as JSON."""
    loaded = SavedModel(model, open_library(library))
    outputs = loaded.run(signature, json.loads(inputs))
    loaded.close()
    return {name: _plain(array.tolist()) for name, array in outputs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Run a SavedModel without TensorFlow's Python.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (
        ("inspect", "print signatures, ops and violations"),
        ("predict", "answer one request"),
        ("run", "answer the requests in a file"),
    ):
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("model", help="a SavedModel's folder")
        if name != "inspect":
            command.add_argument("--library", help="folder of libtensorflow_cc")
        if name == "predict":
            command.add_argument("--inputs", required=True, help="JSON object: input -> value")
            command.add_argument("--signature", default="serving_default")
        if name == "run":
            command.add_argument("--cases", required=True, help=".npz file of requests")
            command.add_argument("--out", required=True, help="folder for outputs and report")
    given = parser.parse_args(arguments)
    if given.command == "run":
        run_cases(given.model, given.cases, given.out, given.library)
        return
    if given.command == "inspect":
        answer = inspect(given.model)
    else:
        answer = predict(given.model, given.inputs, given.signature, given.library)
    print(json.dumps(answer, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
