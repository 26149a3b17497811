"""Exports a model as a SavedModel with named signatures, verified before anyone can load it."""

from __future__ import annotations

import contextlib
import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.extras import require_tensorflow
from kerasrnn.serving import c_api
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.serving.placing import check_free, check_version, move_into_place, staging
from kerasrnn.serving.verify import (
    Case,
    VerificationError,
    raise_violations,
    verify_savedmodel,
)
from kerasrnn.serving.warmup import write_warmup

# Names that a `tf.Module` and TensorFlow's loader use for themselves.
_RESERVED = frozenset(
    (
        "name",
        "name_scope",
        "submodules",
        "with_name_scope",
        "signatures",
        "variables",
        "trainable_variables",
        "non_trainable_variables",
        "graph_debug_info",
        "tensorflow_version",
        "tensorflow_git_version",
    )
)

# One request, or several.
Requests = Mapping[str, Any] | Sequence[Mapping[str, Any]]

_WILDCARDS = frozenset("*?[]\\")


@dataclass(frozen=True)
class Signature:
    """One thing a served model can be asked for.

    Args:
        function: takes a tensor for each input as a keyword argument, returns a dict of named
            dense tensors. It is traced without autograph and must be deterministic.
        input_specs: input name -> `tf.TensorSpec`, the batch as an open first axis (None).
            An input of rank 0 holds for the whole batch.

    Example:

    .. code-block:: python

        import keras
        import tensorflow as tf
        from kerasrnn.serving import Signature

        model = keras.Sequential([keras.layers.Dense(2)])
        Signature(lambda x: {"scores": model(x)}, {"x": tf.TensorSpec((None, 3), tf.float32)})
    """

    function: Callable[..., Mapping[str, Any]]
    input_specs: Mapping[str, tf.TensorSpec]


@dataclass(frozen=True)
class ExportReport:
    """What was exported; `print` shows it for people.

    Args:
        path: the version's folder.
        version: its number.
        signatures: signature -> {"inputs": ..., "outputs": ...} -> name -> {"dtype", "shape"},
            where -1 is an open size and a shape of None an open rank.
        differences: signature -> output -> largest absolute difference between the model and the
            SavedModel in a process without TensorFlow Python; empty without verification.
        operations: the number of nodes in the graph.
        size: bytes on the disk.
        seconds: the export, from call to folder in place.
        warmup_requests: the number of requests a server replays before it answers.
        tensorflow: the version of the C library that verified it; None without verification.
    """

    path: Path
    version: int
    signatures: dict[str, Any]
    differences: dict[str, dict[str, float]]
    operations: int
    size: int
    seconds: float
    warmup_requests: int
    tensorflow: str | None
    ops: dict[str, int] = field(repr=False)

    @property
    def verified(self) -> bool:
        """Whether the SavedModel was run and compared."""
        return self.tensorflow is not None

    def __str__(self) -> str:
        lines = [f"SavedModel {self.path}"]
        for name, sides in self.signatures.items():
            inputs, outputs = (_describe(sides[side]) for side in ("inputs", "outputs"))
            lines.append(f"  {name}: {inputs} -> {outputs}")
        if self.verified:
            lines.append(
                f"  verified with TensorFlow {self.tensorflow}'s C library, without Python; "
                "largest difference from the model:"
            )
            for name, outputs_ in self.differences.items():
                floats = self.signatures[name]["outputs"]
                found = ", ".join(
                    f"{key} {value:.1e}" if "float" in floats[key]["dtype"] else f"{key} none"
                    for key, value in sorted(outputs_.items())
                )
                lines.append(f"    {name}: {found}")
        else:
            lines.append("  not verified")
        lines.append(
            f"  {self.operations} ops, {self.size / 1e6:.2f} MB, "
            f"{self.warmup_requests} warm-up requests, {self.seconds:.1f} s"
        )
        return "\n".join(lines)


def _describe(tensors: Mapping[str, Any]) -> str:
    """Names, dtypes and shapes of one side of a signature: `text string (batch,)`."""
    parts = []
    for name, info in tensors.items():
        sizes = ["?" if size < 0 else str(size) for size in info["shape"] or ()]
        if sizes and sizes[0] == "?":
            sizes[0] = "batch"
        shape = "" if info["shape"] is None else f" ({', '.join(sizes)}{',' * (len(sizes) == 1)})"
        parts.append(f"{name} {info['dtype']}{shape}")
    return ", ".join(parts)


def export_signatures(
    model: keras.layers.Layer,
    signatures: Mapping[str, Signature],
    path: str | os.PathLike[str],
    version: int | None = 1,
    *,
    samples: Mapping[str, Requests],
    verify: bool = True,
    overwrite: bool = False,
    tolerance: float = 1e-4,
) -> ExportReport:
    """Exports a model as `<path>/<version>`, a SavedModel that TF Serving runs without Python.

    The model is built in a folder beside its final place, gets warm-up requests, is run by
    TensorFlow's C library in a fresh process, is compared with the Python functions for at
    least two sizes of batch, and only then renamed into place. If anything fails, nothing is left
    behind.

    Args:
        model: owner of the variables and lookup tables that the functions use.
        signatures: signature name -> `Signature`; `serving_default` must be among them.
        path: the model's folder on a local disk, made if need be.
        version: a positive number, or None for the next free one.
        samples: signature name -> a request, or a list of requests, for the comparison and for
            warming up. A request gives each input a batch of values. Where all requests of a
            signature are of one size, one of another size is made from the first.
        verify: whether to run and compare the SavedModel. Its graph is checked in any case.
        overwrite: replace the version if it exists. A server does not load a version again.
        tolerance: floats may differ by `tolerance * max(1, |expected|)`. All else must be equal.

    Returns:
        An `ExportReport`.

    Raises:
        ValueError: an argument, or an output of a function, that does not fit, or a weight that is
            not finite; the message names it.
        FileExistsError: the version exists and `overwrite` is False.
        FileNotFoundError: the TensorFlow package has no C library to verify with (on Windows).
        VerificationError: a server could not run the SavedModel, it differs from the model, or the
            model itself answers NaN.

    Example:

    .. code-block:: python

        import keras
        import tensorflow as tf
        from kerasrnn.serving import Signature, export_signatures

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        signature = Signature(
            lambda x: {"scores": model(x, training=False)},
            {"x": tf.TensorSpec((None, 3), tf.float32)},
        )
        print(
            export_signatures(
                model,
                {"serving_default": signature},
                "serving/dense",
                version=None,
                samples={"serving_default": {"x": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]}},
            )
        )
    """
    begin = time.perf_counter()
    _check_arguments(signatures, samples)
    check_finite_weights(model)
    version = check_version(version)
    base = _check_path(path)
    check_free(base, version, overwrite)
    requests = [
        (name, batch)
        for name, signature in signatures.items()
        for batch in _batches(name, signature, samples[name])
    ]
    with _exact_matrix_products():
        cases = [
            Case(name, batch.inputs, _reference(name, signatures[name], batch))
            for name, batch in requests
        ]
    with staging(base) as work:
        folder = work / "model"
        _write(model, signatures, folder)
        write_warmup(folder, [(case.signature, case.inputs) for case in cases], base.name)
        graph = c_api.meta_graph(folder)
        ops, violations = c_api.check_graph(graph)
        raise_violations(violations)
        found = verify_savedmodel(folder, cases, tolerance=tolerance) if verify else None
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        place = move_into_place(folder, base, version, overwrite)
    return ExportReport(
        path=place,
        version=int(place.name),
        signatures=c_api.signature_defs(graph),
        differences=found.differences if found else {},
        operations=sum(ops.values()),
        size=size,
        seconds=time.perf_counter() - begin,
        warmup_requests=len(cases),
        tensorflow=found.tensorflow if found else None,
        ops=ops,
    )


# === Arguments ===


def _check_arguments(signatures: Mapping[str, Signature], samples: Mapping[str, Requests]) -> None:
    require_tensorflow("An export")
    if "serving_default" not in signatures:
        raise ValueError(
            "`signatures` must hold 'serving_default', which servers use by default. "
            f"Received: {sorted(signatures)}."
        )
    if set(samples) != set(signatures):
        raise ValueError(
            f"`samples` needs one batch for each signature {sorted(signatures)}. "
            f"Received: {sorted(samples)}."
        )
    for name, signature in signatures.items():
        if not name.isidentifier() or name.startswith("_") or name in _RESERVED:
            raise ValueError(
                f"'{name}' cannot name a signature. Give a Python name without a leading "
                f"underscore, other than {', '.join(sorted(_RESERVED))}."
            )
        for key, spec in signature.input_specs.items():
            if not key.isidentifier() or not isinstance(spec, tf.TensorSpec):
                raise ValueError(
                    f"Signature '{name}': `input_specs` maps Python names to tf.TensorSpec. "
                    f"Received: {key!r}: {spec!r}."
                )
        if not any(map(_is_batched, signature.input_specs.values())):
            raise ValueError(
                f"Signature '{name}' has no input with a batch, that is with an open first axis: "
                f"{dict(signature.input_specs)}."
            )


def _check_path(path: str | os.PathLike[str]) -> Path:
    base = Path(path).resolve()
    if set(str(base)) & _WILDCARDS:
        raise ValueError(
            f"`path` must do without the characters {' '.join(sorted(_WILDCARDS))}, which "
            "TensorFlow takes for a pattern when it looks for the weights. "
            f"Received: '{base}'."
        )
    return base


def _is_batched(spec: tf.TensorSpec) -> bool:
    return spec.shape.rank is None or (spec.shape.rank > 0 and spec.shape[0] is None)


@dataclass(frozen=True)
class _Batch:
    """Inputs of one request, and how many examples they hold."""

    inputs: dict[str, np.ndarray]
    size: int


def _batches(name: str, signature: Signature, sample: Requests) -> list[_Batch]:
    """The requests, and if all are of one size, one more of another: one row, or a row twice."""
    requests = [sample] if isinstance(sample, Mapping) else list(sample)
    if not requests:
        raise ValueError(f"`samples` has no request for signature '{name}'.")
    batches = [_batch(name, signature, request) for request in requests]
    first = batches[0]
    if all(batch.size == first.size for batch in batches):
        rows = [0] if first.size > 1 else [0, 0]
        specs = signature.input_specs
        inputs = {
            key: array[rows] if _is_batched(specs[key]) else array
            for key, array in first.inputs.items()
        }
        batches.append(_Batch(inputs, len(rows)))
    return batches


def _batch(name: str, signature: Signature, request: Mapping[str, Any]) -> _Batch:
    """One request as arrays, checked against the signature."""
    specs = signature.input_specs
    if set(request) != set(specs):
        raise ValueError(
            f"The sample for signature '{name}' must give {sorted(specs)}. "
            f"Received: {sorted(request)}."
        )
    inputs, sizes = {}, {}
    for key, spec in specs.items():
        where = f"The sample for input '{key}' of signature '{name}'"
        inputs[key] = c_api.as_input(request[key], spec.dtype.name, where)
        if not spec.shape.is_compatible_with(inputs[key].shape):
            raise ValueError(
                f"{where} has the shape {inputs[key].shape}. Expected: {tuple(spec.shape)}."
            )
        if _is_batched(spec):
            sizes[key] = len(inputs[key])
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(
            f"The sample for signature '{name}' must be one batch of at least one example. "
            f"Received batches of: {sizes}."
        )
    return _Batch(inputs, next(iter(sizes.values())))


# === What the model gives in Python ===


@contextlib.contextmanager
def _exact_matrix_products() -> Iterator[None]:
    """Switches off TensorFloat-32, with which a GPU would differ from the server's CPU by 1e-3."""
    setting = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(setting)


def _reference(name: str, signature: Signature, batch: _Batch) -> dict[str, np.ndarray]:
    """The function's own outputs, checked."""
    tensors = {
        key: tf.constant(batch.inputs[key], dtype=spec.dtype)
        for key, spec in signature.input_specs.items()
    }
    outputs = signature.function(**tensors)
    _check_outputs(name, outputs)
    for key, value in outputs.items():
        if not value.shape.rank or value.shape[0] != batch.size:
            raise ValueError(
                f"Output '{key}' of signature '{name}' has the shape {tuple(value.shape)} for a "
                f"batch of {batch.size}. The first axis of every output must be the batch."
            )
    arrays = {key: value.numpy() for key, value in outputs.items()}
    for key, array in arrays.items():
        # A SavedModel that answers NaN as well would differ in nothing.
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise VerificationError(
                f"Output '{key}' of signature '{name}' is NaN: the model answers its samples so. "
                "Has its training diverged?"
            )
    return arrays


def _check_outputs(name: str, outputs: Any) -> None:
    if not isinstance(outputs, Mapping) or not outputs:
        raise ValueError(
            f"Signature '{name}' must return a dict of named tensors. Received: {outputs!r}."
        )
    for key, value in outputs.items():
        if not isinstance(key, str) or not tf.is_tensor(value) or not hasattr(value, "numpy"):
            raise ValueError(_not_dense(name, key, value))
        _check_output(name, key, value)


def _not_dense(name: str, key: Any, value: Any) -> str:
    return (
        f"Output '{key}' of signature '{name}' must be a dense tensor with a str as its name (pad "
        f"a ragged one with to_tensor()). Received: {type(value).__name__}."
    )


def _check_output(name: str, key: str, value: Any) -> None:
    if isinstance(value, tf.RaggedTensor | tf.SparseTensor):
        raise ValueError(_not_dense(name, key, value))
    if value.dtype.is_floating and value.dtype != tf.float32:
        raise ValueError(
            f"Output '{key}' of signature '{name}' is {value.dtype.name}. "
            "Float outputs must be float32: cast it."
        )


# === The SavedModel ===


def _write(model: keras.layers.Layer, signatures: Mapping[str, Signature], folder: Path) -> None:
    """Traces the functions and writes the SavedModel.

    Not with `keras.export.ExportArchive`, which traces all functions twice: once to find their
    variables, and again to save them.
    """
    root = tf.Module()
    endpoints = {}
    for name, signature in signatures.items():
        endpoint = tf.function(
            _positional(signature),
            input_signature=list(signature.input_specs.values()),
            autograph=False,
        ).get_concrete_function()
        for key, spec in endpoint.structured_outputs.items():
            if spec.shape.rank is not None and (spec.shape.rank == 0 or spec.shape[0] is not None):
                raise ValueError(
                    f"Output '{key}' of signature '{name}' has the shape {spec.shape} whatever the "
                    "batch. The first axis of every output must be the batch."
                )
        endpoints[name] = endpoint
        setattr(root, name, endpoint)
    # What is saved is what the root holds.
    root._tables = _resources(model)
    root._weights = [endpoint.variables for endpoint in endpoints.values()]
    # A server takes no gradients: the traced backward passes of tf.custom_gradient stay out.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        tf.saved_model.save(root, str(folder), signatures=endpoints, options=options)
    except AssertionError as error:
        if "untracked" not in str(error):
            raise
        raise ValueError(
            "A signature uses a variable or lookup table that does not belong to `model`. "
            f"Make it an attribute of the model or of one of its layers. TensorFlow says: {error}"
        ) from error


def _positional(signature: Signature) -> Callable[..., dict[str, Any]]:
    """The function with its inputs as named positional arguments, as a tf.function wants them."""
    names = list(signature.input_specs)

    def endpoint(*values: Any, **named: Any) -> dict[str, Any]:
        return dict(signature.function(**dict(zip(names, values, strict=False)), **named))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    return endpoint


def _resources(model: keras.layers.Layer) -> list[Any]:
    """Lookup tables and their like, in the model's layers and in lists and dicts there."""
    found: dict[int, Any] = {}
    seen: set[int] = set()

    def visit(value: Any) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, tf.saved_model.experimental.TrackableResource):
            found[id(value)] = value
        elif isinstance(value, Mapping):
            for item in value.values():
                visit(item)
        elif isinstance(value, Sequence | set) and not isinstance(value, str | bytes):
            for item in value:
                visit(item)
        elif isinstance(value, keras.layers.Layer | tf.Module):
            for item in list(vars(value).values()):
                visit(item)

    visit(model)
    return list(found.values())
