"""The script that runs a SavedModel without TensorFlow's Python, and the comparison built on it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from kerasrnn.serving import Case, VerificationError, c_api, verify_savedmodel
from kerasrnn.serving.verify import largest_difference
from kerasrnn.serving.warmup import _varint

SCRIPT = Path(c_api.__file__)

VALUES = {
    "f32": np.array([[1.5, -np.inf], [np.nan, 0.0]], np.float32),
    "f16": np.array([0.5, 65504.0], np.float16),
    "f64": np.array([1e300], np.float64),
    "i8": np.array([-128, 127], np.int8),
    "i16": np.array([-32768], np.int16),
    "i32": np.array([[-(2**31)], [2**31 - 1]], np.int32),
    "i64": np.array([-(2**63), 2**63 - 1], np.int64),
    "u8": np.array([255], np.uint8),
    "b": np.array([True, False, True]),
    "s": np.array([["", "a\0b", "é猫"], ["x" * 22, "y" * 23, "z" * 10_000]], object),
    "scalar": np.array(7, np.int32),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    """A SavedModel that returns its inputs, one for each dtype: outputs may share their buffers."""
    module = tf.Module()

    def function(**inputs):
        return {f"{name}_out": tf.identity(value) for name, value in inputs.items()}

    specs = {
        name: tf.TensorSpec(
            [None] * value.ndim, tf.string if value.dtype == object else value.dtype, name=name
        )
        for name, value in VALUES.items()
    }
    module.same = tf.function(function).get_concrete_function(**specs)
    module.fail = tf.function(
        lambda x: {"y": tf.debugging.check_numerics(x, "planted")},
        input_signature=[tf.TensorSpec((None,), tf.float32, name="x")],
    )
    path = tmp_path_factory.mktemp("c_api") / "identities"
    signatures = {"serving_default": module.same, "fail": module.fail}
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def test_script_stands_alone():
    """It imports the standard library and NumPy, nothing else."""
    imported = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"numpy"}


def test_every_dtype_goes_through(identities):
    expected = {f"{name}_out": value for name, value in VALUES.items()}
    found = verify_savedmodel(identities, [Case("serving_default", VALUES, expected)])
    assert found.frameworks == ()
    assert set(found.differences["serving_default"].values()) == {0.0}
    strings = found.outputs[0]["s_out"]
    assert strings[0].tolist() == [b"", b"a\0b", "é猫".encode()]
    assert strings[1, 2] == b"z" * 10_000
    assert found.outputs[0]["scalar_out"].shape == ()
    assert found.outputs[0]["empty_out"].shape == (0, 3)


def test_failing_model_gives_the_library_s_message(identities):
    with pytest.raises(VerificationError, match=r"Signature 'fail' failed: .*planted"):
        verify_savedmodel(identities, [Case("fail", {"x": [np.nan]})])


@pytest.mark.parametrize(
    ("case", "error", "match"),
    [
        (Case("other", {}), ValueError, "Unknown signature 'other'. Expected one of: fail, serv"),
        (Case("fail", {"y": [1.0]}), ValueError, r"takes the inputs \['x'\]. Received: \['y'\]"),
        (Case("fail", {"x": ["1"]}), TypeError, "Input 'x' .*: expected float32. Received <U1"),
    ],
)
def test_cases_that_do_not_fit(identities, case, error, match):
    with pytest.raises(error, match=match):
        verify_savedmodel(identities, [case])


def test_no_savedmodel(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file saved_model\.pb"):
        verify_savedmodel(tmp_path, [])


def test_process_that_hangs_or_dies_is_reported(identities, monkeypatch):
    with pytest.raises(VerificationError, match=r"no answer in 0\.01 seconds"):
        verify_savedmodel(identities, [], timeout=0.01)
    monkeypatch.setattr(c_api, "__file__", str(identities / "nowhere.py"))
    with pytest.raises(VerificationError, match=r"ended with code 2:\n.*nowhere.py"):
        verify_savedmodel(identities, [])


def test_custom_op_is_named(identities, tmp_path):
    """An op that the library lacks, made by renaming one in the file."""
    model = tmp_path / "custom"
    model.mkdir()
    data = (identities / "saved_model.pb").read_bytes()
    assert b"CheckNumerics" in data
    (model / "saved_model.pb").write_bytes(data.replace(b"CheckNumerics", b"CheckNumerixx"))
    match = r"op CheckNumerixx in function .* is a custom op"
    with pytest.raises(VerificationError, match=match):
        verify_savedmodel(model, [])


def run_script(*arguments):
    command = [sys.executable, "-I", str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8")


def test_commands(identities):
    inspected = run_script("inspect", identities)
    assert json.loads(inspected.stdout) == c_api.inspect(identities)
    answer = run_script("predict", identities, "--signature", "fail", "--inputs", '{"x": [1, 2.5]}')
    assert json.loads(answer.stdout) == {"y": [1.0, 2.5]}, answer.stderr


def test_frameworks_are_noticed():
    """In this process TensorFlow is imported, so the check that finds none elsewhere can fail."""
    assert {"tensorflow", "keras", "kerasrnn"} <= set(c_api.loaded_frameworks())


def test_process_with_a_framework_gives_no_report(identities, tmp_path):
    c_api.save_arrays(tmp_path / "cases.npz", {})
    with pytest.raises(AssertionError, match=r"must not import \[.*'tensorflow'"):
        c_api.run_cases(str(identities), str(tmp_path / "cases.npz"), str(tmp_path), None)
    assert not (tmp_path / "report.json").exists()


def test_session_has_xla_off():
    config = tf.compat.v1.ConfigProto.FromString(c_api.XLA_OFF)
    options = config.graph_options.optimizer_options
    assert options.global_jit_level == options.OFF == -1
    assert config.ByteSize() == len(c_api.XLA_OFF)


def test_library_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"libtensorflow_framework.* is missing"):
        c_api.open_library(tmp_path)


# === Protocol buffers ===


def test_reader_agrees_with_protobuf(identities):
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((identities / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0]
    found = c_api.inspect(identities)
    assert set(found["signatures"]) == set(graph.signature_def) - {c_api.INIT_SIGNATURE}
    for name, sides in found["signatures"].items():
        for side, tensors in sides.items():
            wanted = getattr(graph.signature_def[name], side)
            assert set(tensors) == set(wanted)
            for key, info in tensors.items():
                assert info["tensor"] == wanted[key].name
                assert info["dtype"] == tf.dtypes.as_dtype(wanted[key].dtype).name
                assert info["shape"] == [dim.size for dim in wanted[key].tensor_shape.dim]
    nodes = [node.op for node in graph.graph_def.node]
    for function in graph.graph_def.library.function:
        nodes += [node.op for node in function.node_def]
    assert found["ops"] == {op: nodes.count(op) for op in sorted(set(nodes))}
    assert found["violations"] == []


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63, 2**64 - 1])
def test_varint(number):
    encoded = _varint(number)
    assert c_api.varint(b"\xff" + encoded + b"\xff", 1) == (number, len(encoded) + 1)


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0b", b"\x0d\x00"])
def test_what_is_no_protobuf(data):
    with pytest.raises(ValueError, match="Not a protocol buffer"):
        list(c_api.fields(data))


def test_fixed_fields_are_skipped():
    data = b"\x09" + b"\0" * 8 + b"\x15" + b"\0" * 4 + b"\x18\x05"
    assert [(number, value) for number, value in c_api.fields(data) if number == 3] == [(3, 5)]


# === Arrays ===


def test_arrays_survive_the_file(tmp_path):
    arrays = {
        "0/a/file": np.arange(6.0).reshape(2, 3),
        "0/a/s": c_api.byte_strings([["", "é"], [b"\xff\0", "x" * 50]]),
        "0/a/none": np.empty((0, 2), object),
        "0/a/one": c_api.byte_strings("scalar"),
        "0/a/|bytes": np.zeros(2, bool),
    }
    c_api.save_arrays(tmp_path / "x.npz", arrays)
    loaded = c_api.load_arrays(tmp_path / "x.npz")
    arrays.pop("0/a/|bytes")  # no tensor's name: `|` is not allowed in one
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tolist() == array.tolist()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.5], "int32"),
        ([2**31], "int32"),
        ([-1], "uint8"),
        ([True], "string"),
        (["1"], "float32"),
        ([1], "bool"),
        ([[1], [2, 3]], "int32"),
    ],
)
def test_inputs_are_not_bent(value, dtype):
    with pytest.raises((TypeError, ValueError)):
        c_api.as_input(value, dtype, "Input")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [([1, 2], "float32"), ([255], "uint8"), ([], "int64"), (np.int64(3), "int32"), ([], "string")],
)
def test_inputs_that_fit(value, dtype):
    array = c_api.as_input(value, dtype, "Input")
    assert array.dtype == (object if dtype == "string" else dtype)
    assert array.tolist() == np.asarray(value).tolist()


# === Comparison ===


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ([1.0, np.nan, np.inf], [1.0 + 2**-20, np.nan, np.inf], 2**-20),
        ([1000.0], [1000.05], 0.05),
        ([], [], 0.0),
    ],
)
def test_differences_within(expected, actual, difference):
    arrays = np.asarray(expected, np.float32), np.asarray(actual, np.float32)
    assert largest_difference(*arrays, 1e-4, "y") == pytest.approx(difference, abs=1e-4)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (np.float32([1.0]), np.float32([1.001])),
        (np.float32([1.0]), np.float32([np.nan])),
        (np.float32([np.nan]), np.float32([1.0])),
        (np.float32([np.inf]), np.float32([-np.inf])),
        (np.float32([1.0]), np.float32([np.inf])),
        (np.float32([1.0]), np.float64([1.0])),
        (np.float32([1.0]), np.float32([[1.0]])),
        (np.int32([1]), np.int32([2])),
        (np.array([True]), np.array([False])),
        (np.array([b"a"], object), np.array([b"b"], object)),
    ],
)
def test_differences_beyond(expected, actual):
    with pytest.raises(VerificationError, match=r"^y"):
        largest_difference(expected, actual, 1e-4, "y")
