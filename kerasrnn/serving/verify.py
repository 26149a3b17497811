"""Runs a SavedModel in a fresh process that has no TensorFlow Python, and compares the outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.serving import c_api

_SHOWN = 10


class VerificationError(RuntimeError):
    """A SavedModel that a server could not run, or that gives other outputs than its model."""


@dataclass(frozen=True)
class Case:
    """One request, and what it should return.

    Args:
        signature: the signature's name.
        inputs: a value for each input: arrays, nested lists or tensors; str or bytes for strings.
        expected: the outputs wanted; None runs the request without a comparison.
    """

    signature: str
    inputs: Mapping[str, Any]
    expected: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Verification:
    """What `verify_savedmodel` found.

    Args:
        differences: signature -> output -> largest absolute difference of all cases compared.
        outputs: for each case, the outputs by name; strings are object arrays of bytes.
        ops: op name -> number of nodes in the graph.
        frameworks: Python frameworks that the fresh process had imported: always none.
        tensorflow: the version of TensorFlow's C library.
        seconds: time in the fresh process.
    """

    differences: dict[str, dict[str, float]]
    outputs: list[dict[str, np.ndarray]]
    ops: dict[str, int]
    frameworks: tuple[str, ...]
    tensorflow: str
    seconds: float


def verify_savedmodel(
    path: str | os.PathLike[str],
    cases: Sequence[Case],
    *,
    tolerance: float = 1e-4,
    timeout: float = 600.0,
) -> Verification:
    """Runs cases through TensorFlow's C library in a fresh process and compares the outputs.

    The process imports neither TensorFlow's Python nor Keras nor kerasrnn, runs on the CPU with
    XLA's compiler off, and also checks that the graph holds only ops which a plain server has.

    Args:
        path: a SavedModel's folder.
        cases: the requests.
        tolerance: floats may differ by `tolerance * max(1, |expected|)`. All else must be equal.
        timeout: seconds after which the process is given up.

    Returns:
        A `Verification`.

    Raises:
        FileNotFoundError: no SavedModel there, or no C library in the TensorFlow package.
        ValueError: a case that names an unknown signature or other inputs than it takes.
        VerificationError: the model cannot be loaded or run, or an output differs.

    Example:

    .. code-block:: python

        import tensorflow as tf
        from kerasrnn.serving import Case, verify_savedmodel

        module = tf.Module()
        module.shout = tf.function(
            lambda text: {"loud": tf.strings.upper(text)},
            input_signature=[tf.TensorSpec((None,), tf.string, name="text")],
        )
        tf.saved_model.save(module, "serving/shout/1", signatures=module.shout)
        case = Case("serving_default", {"text": ["In Oslo."]}, {"loud": ["IN OSLO."]})
        print(verify_savedmodel("serving/shout/1", [case]).outputs)
    """
    folder = Path(path).resolve()
    signatures = c_api.signature_defs(c_api.meta_graph(folder))
    arrays = {}
    for number, case in enumerate(cases):
        if case.signature not in signatures:
            raise ValueError(
                f"Unknown signature '{case.signature}'. Expected one of: {', '.join(signatures)}."
            )
        wanted = signatures[case.signature]["inputs"]
        if set(case.inputs) != set(wanted):
            raise ValueError(
                f"Signature '{case.signature}' takes the inputs {sorted(wanted)}. "
                f"Received: {sorted(case.inputs)}."
            )
        for name, value in case.inputs.items():
            where = f"Input '{name}' of signature '{case.signature}'"
            array = c_api.as_input(value, wanted[name]["dtype"], where)
            arrays[f"{number}/{case.signature}/{name}"] = array
    report, flat = _run_fresh(folder, arrays, timeout)
    raise_violations(report["violations"])
    if report["error"] is not None:
        raise VerificationError(f"The SavedModel '{folder}' does not run: {report['error']}")

    outputs: list[dict[str, np.ndarray]] = [{} for _ in cases]
    for key, array in flat.items():
        index, _, name = key.split("/", 2)
        outputs[int(index)][name] = array
    differences: dict[str, dict[str, float]] = {}
    for case, found in zip(cases, outputs, strict=True):
        if case.expected is None:
            continue
        if set(found) != set(case.expected):
            raise VerificationError(
                f"Signature '{case.signature}' returns {sorted(found)}, "
                f"the model {sorted(case.expected)}."
            )
        largest = differences.setdefault(case.signature, {})
        for name, value in case.expected.items():
            where = f"Output '{name}' of signature '{case.signature}'"
            size = largest_difference(value, found[name], tolerance, where)
            largest[name] = max(size, largest.get(name, 0.0))
    return Verification(
        differences=differences,
        outputs=outputs,
        ops=report["ops"],
        frameworks=tuple(report["frameworks"]),
        tensorflow=report["tensorflow"],
        seconds=report["seconds"],
    )


def raise_violations(violations: Sequence[str]) -> None:
    """Raises VerificationError with what `c_api.check_graph` found, if anything."""
    if violations:
        lines = [*violations[:_SHOWN]]
        if len(violations) > _SHOWN:
            lines.append(f"and {len(violations) - _SHOWN} more")
        raise VerificationError(
            "A server cannot run this SavedModel:\n" + "\n".join(f"  - {line}" for line in lines)
        )


def largest_difference(expected: Any, actual: np.ndarray, tolerance: float, where: str) -> float:
    """The largest absolute difference of one output; 0.0 for strings, integers and booleans.

    Raises:
        VerificationError: another dtype or shape, or a difference beyond the tolerance.
    """
    if actual.dtype == object:
        expected = c_api.byte_strings(expected)
    expected = np.asarray(expected)
    if expected.dtype != actual.dtype or expected.shape != actual.shape:
        raise VerificationError(
            f"{where}: the model gives {expected.dtype} {expected.shape}, "
            f"the SavedModel {actual.dtype} {actual.shape}."
        )
    if not actual.size:
        return 0.0
    difference, wrong = 0.0, np.asarray(expected != actual)
    if actual.dtype.kind == "f":
        wanted, got = expected.astype(np.float64), actual.astype(np.float64)
        same = (wanted == got) | (np.isnan(wanted) & np.isnan(got))
        with np.errstate(invalid="ignore"):
            gaps = np.where(same, 0.0, np.abs(wanted - got))
            close = np.isfinite(gaps) & (gaps <= tolerance * np.maximum(1.0, np.abs(wanted)))
            wrong = ~(same | close)
        difference = float(gaps.max())
    if wrong.any():
        first = tuple(int(index) for index in np.argwhere(wrong)[0])
        raise VerificationError(
            f"{where} differs in {int(wrong.sum())} of {actual.size} values. The first, at "
            f"{first}: the model gives {expected[first]!r}, the SavedModel {actual[first]!r}. "
            "Is the signature's function deterministic, and free of Python state?"
        )
    return difference


def _run_fresh(
    folder: Path, arrays: Mapping[str, np.ndarray], timeout: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Runs `c_api.py run` in a new interpreter; returns its report and outputs."""
    library = c_api.library_files()[0].parent
    environment = dict(os.environ)
    # As a server without a GPU; the GPU's memory may well be in this process's hands.
    environment["CUDA_VISIBLE_DEVICES"] = "-1"
    environment["TF_CPP_MIN_LOG_LEVEL"] = "2"
    environment.pop("TF_XLA_FLAGS", None)
    with tempfile.TemporaryDirectory(prefix="kerasrnn-verify-") as scratch:
        cases = Path(scratch, "cases.npz")
        c_api.save_arrays(cases, arrays)
        command = [sys.executable, _isolation(), c_api.__file__, "run", str(folder)]
        command += ["--cases", str(cases), "--out", scratch, "--library", str(library)]
        try:
            process = subprocess.run(
                command,
                capture_output=True,
                cwd=scratch,
                env=environment,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise VerificationError(
                f"The SavedModel '{folder}' gave no answer in {timeout:g} seconds."
            ) from None
        if process.returncode:
            tail = process.stderr.decode("utf-8", "replace")[-2000:]
            raise VerificationError(
                f"The process that runs the SavedModel '{folder}' ended with code "
                f"{process.returncode}:\n{tail}"
            )
        report = json.loads(Path(scratch, "report.json").read_text(encoding="utf-8"))
        return report, c_api.load_arrays(Path(scratch, "outputs.npz"))


def _isolation() -> str:
    """The interpreter's flag: -I, or -P where -I would hide NumPy in the user's own folder."""
    return "-I" if Path(np.__file__).resolve().is_relative_to(Path(sys.prefix).resolve()) else "-P"
