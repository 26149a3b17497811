"""Exports that succeed, exports that must not, and what stays on the disk after each."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.serving import (
    Case,
    Signature,
    VerificationError,
    export_signatures,
    verify_savedmodel,
)
from kerasrnn.serving.placing import STAGING_PREFIX
from tests.serving import models
from tests.serving.models import ROWS, SAMPLES, SPEC, scale, scale_signatures

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The toy tagger in a folder with an awkward name, exported from a folder without writing."""
    keras.utils.set_random_seed(3)
    base = tmp_path_factory.mktemp("serving")
    current = base / "read only"
    current.mkdir()
    current.chmod(0o555)
    before = os.getcwd()
    os.chdir(current)
    try:
        model = models.toy_tagger()
        report = export_signatures(
            model,
            models.tagger_signatures(model),
            base / "a tägger, 模型 (1) & 'co'",
            samples=models.TAGGER_SAMPLES,
        )
        assert not list(current.iterdir())
    finally:
        os.chdir(before)
    return model, report


def test_report(exported):
    _, report = exported
    assert report.path.name == "1" and report.version == 1 and report.verified
    assert set(report.signatures) == set(report.differences) == {"serving_default", "step"}
    assert set(report.differences["step"]) == {"logits", "hidden", "carry"}
    for outputs in report.differences.values():
        assert max(outputs.values()) < 1e-5
    assert report.size == sum(f.stat().st_size for f in report.path.rglob("*") if f.is_file())
    assert report.operations == sum(report.ops.values()) > 50
    assert "While" in report.ops and "LookupTableFindV2" in report.ops
    shown = str(report)
    assert "serving_default: text string (batch,) -> lengths int32 (batch,)" in shown
    assert "scores float32 (batch, ?)" in shown and "tags none" in shown
    assert str(report.path) in shown and "warm-up requests" in shown


def test_functions_are_traced_once(tmp_path):
    model, traced = scale(), []

    def function(x):
        if not tf.executing_eagerly():
            traced.append(x)
        return {"y": model(x)}

    signatures = scale_signatures(model, function)
    export_signatures(model, signatures, tmp_path / "model", samples=SAMPLES, verify=False)
    assert len(traced) == 1


def test_keras_loads_an_export_as_a_layer(tmp_path):
    model = scale(3.0)
    report = export_signatures(
        model, scale_signatures(model), tmp_path / "model", samples=SAMPLES, verify=False
    )
    layer = keras.layers.TFSMLayer(report.path, call_endpoint="serving_default")
    np.testing.assert_array_equal(layer(tf.constant(ROWS))["y"], 3 * np.array(ROWS))


def test_folder_holds_the_version_alone(exported):
    _, report = exported
    assert [entry.name for entry in report.path.parent.iterdir()] == ["1"]
    assert (report.path / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0
    assert report.path.stat().st_mode & 0o055 == 0o055  # a server may run as another user


def test_fresh_process_gives_the_model_s_outputs(exported):
    model, report = exported
    texts = ["a 猫 " + "x" * 100, "the cat"]
    expected = {key: value.numpy() for key, value in model.serve(tf.constant(texts)).items()}
    found = verify_savedmodel(report.path, [Case("serving_default", {"text": texts}, expected)])
    assert found.frameworks == ()
    assert found.tensorflow == tf.__version__
    outputs = found.outputs[0]
    assert outputs["tokens"].tolist() == [
        [b"a", "猫".encode(), b"x" * 100],
        [b"the", b"cat", b""],
    ]
    assert outputs["lengths"].tolist() == [3, 2]
    np.testing.assert_allclose(outputs["scores"], expected["scores"], atol=1e-6)


def test_python_can_load_it_too(exported):
    model, report = exported
    loaded = tf.saved_model.load(str(report.path))
    text = tf.constant(models.TEXTS)
    outputs = loaded.signatures["serving_default"](text=text)
    assert (outputs["tags"].numpy() == model.serve(text)["tags"].numpy()).all()


def test_a_model_compiled_with_xla_exports_without(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(np.asarray(ROWS), np.ones((3, 1)), verbose=0)
    model.predict(np.asarray(ROWS), verbose=0)
    report = export_signatures(model, scale_signatures(model), tmp_path, samples=SAMPLES)
    assert report.verified


def test_weights_are_those_of_the_model(tmp_path):
    model = scale(2.5)
    report = export_signatures(model, scale_signatures(model), tmp_path, samples=SAMPLES)
    found = verify_savedmodel(report.path, [Case("serving_default", {"x": [[2.0, 4.0]]})])
    assert found.outputs[0]["y"].tolist() == [[5.0, 10.0]]


def test_batch_sizes_of_verification(tmp_path):
    seen = []

    def function(x, offset):
        if tf.executing_eagerly():
            seen.append((len(x), float(offset)))
        return {"y": x + offset}

    specs = {"x": SPEC, "offset": tf.TensorSpec((), tf.float32)}
    for version, rows in enumerate((ROWS, ROWS[:1]), start=1):
        report = export_signatures(
            scale(),
            {"serving_default": Signature(function, specs)},
            tmp_path,
            version,
            samples={"serving_default": {"x": rows, "offset": 0.5}},
        )
        assert report.warmup_requests == 2
    assert seen == [(3, 0.5), (1, 0.5), (1, 0.5), (2, 0.5)]


def test_several_requests(tmp_path):
    def sizes(requests, version):
        seen = []

        def function(x):
            if tf.executing_eagerly():
                seen.append(len(x))
            return {"y": model(x)}

        model = scale()
        samples = {"serving_default": [{"x": rows} for rows in requests]}
        signatures = scale_signatures(model, function)
        export_signatures(model, signatures, tmp_path, version, samples=samples, verify=False)
        return seen

    assert sizes([ROWS, ROWS[:2]], 1) == [3, 2]
    assert sizes([ROWS, ROWS], 2) == [3, 3, 1]
    with pytest.raises(ValueError, match="no request for signature 'serving_default'"):
        sizes([], 3)


def test_without_verification_no_process_runs(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    model = scale()
    arguments = model, scale_signatures(model), tmp_path
    report = export_signatures(*arguments, samples=SAMPLES, verify=False)
    assert not report.verified and report.differences == {}
    assert "not verified" in str(report)
    assert (report.path / "saved_model.pb").is_file()


def test_backward_passes_stay_out(tmp_path):
    @tf.custom_gradient
    def identity(x):
        return tf.identity(x), lambda upstream: upstream * tf.math.lgamma(x)

    model = scale()
    signatures = scale_signatures(model, lambda x: {"y": identity(model(x))})
    report = export_signatures(model, signatures, tmp_path, samples=SAMPLES)
    assert "Lgamma" not in report.ops
    tf.saved_model.load(str(report.path))  # and it still loads in Python


class Tables(keras.layers.Layer):
    """Lookup tables in a dict in a list, one of them from a file."""

    def __init__(self, vocabulary):
        super().__init__()
        text, row = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        file = tf.lookup.TextFileInitializer(vocabulary, tf.string, text, tf.int64, row)
        pairs = tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([7], tf.int64))
        self.tables = [{"file": tf.lookup.StaticHashTable(file, -1)}]
        self.other = tf.lookup.StaticHashTable(pairs, -1)

    def call(self, words):
        return self.tables[0]["file"].lookup(words), self.other.lookup(words)


def test_tables_in_containers_and_their_files_are_exported(tmp_path):
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("z\na\n")
    model = keras.Sequential([Tables(str(vocabulary))])
    words = ["a", "b", "z"]

    def function(word):
        ids, other = model.layers[0](word)
        return {"ids": ids, "other": other}

    signature = Signature(function, {"word": tf.TensorSpec((None,), tf.string)})
    report = export_signatures(
        model,
        {"serving_default": signature},
        tmp_path / "model",
        samples={"serving_default": {"word": words}},
    )
    vocabulary.unlink()
    found = verify_savedmodel(report.path, [Case("serving_default", {"word": words})])
    assert found.outputs[0]["ids"].tolist() == [1, -1, 0]
    assert found.outputs[0]["other"].tolist() == [7, -1, -1]


# === Models that must not reach a server ===


def refuse(tmp_path, function, error, match, **kwargs):
    """The export fails with the error and leaves nothing, not even the folder."""
    base = tmp_path / "new" / "model"
    model = scale()
    signatures = scale_signatures(model, lambda x: function(model(x)))
    with pytest.raises(error, match=match):
        export_signatures(model, signatures, base, samples=SAMPLES, **kwargs)
    assert not (tmp_path / "new").exists()


def test_planted_difference_is_found(tmp_path):
    def function(x):
        return {"same": x, "wrong": x if tf.executing_eagerly() else x + 1e-2}

    refuse(tmp_path, function, VerificationError, "'wrong' of signature .* differs in 6 of 6")


def test_planted_difference_in_strings_is_found(tmp_path):
    def function(x):
        label = "old" if tf.executing_eagerly() else "new"
        return {"label": tf.where(x[:, 0] > 2, label, "same")}

    match = r"'label' .* differs in 1 of 3 values. The first, at \(1,\): the model gives b'old'"
    refuse(tmp_path, function, VerificationError, match)


def test_difference_within_the_tolerance_passes(tmp_path):
    model = scale()

    def function(x):
        return {"y": model(x) + (0.0 if tf.executing_eagerly() else 1e-2)}

    signatures = scale_signatures(model, function)
    report = export_signatures(model, signatures, tmp_path, samples=SAMPLES, tolerance=0.05)
    assert report.differences["serving_default"]["y"] == pytest.approx(1e-2, rel=1e-3)


def test_first_axis_that_is_the_batch_in_python_only(tmp_path):
    def function(x):
        return {"y": x if tf.executing_eagerly() else tf.ones((4, 2))}

    refuse(tmp_path, function, ValueError, "'y' of signature .* whatever the batch")


def test_jit_compiled_endpoint_is_refused(tmp_path):
    compiled = tf.function(lambda x: {"y": tf.tanh(x)}, jit_compile=True)
    refuse(tmp_path, compiled, VerificationError, "leave out jit_compile=True")


def test_python_in_the_graph_is_refused_without_verification_too(tmp_path):
    def function(x):
        y = tf.numpy_function(lambda array: array + 1, [x], tf.float32)
        return {"y": tf.ensure_shape(y, (None, 2))}

    refuse(tmp_path, function, VerificationError, "op PyFunc .* calls back", verify=False)


def test_pinned_device_is_refused(tmp_path):
    def function(x):
        with tf.device("" if tf.executing_eagerly() else "/GPU:0"):
            return {"y": tf.tanh(x)}

    refuse(tmp_path, function, VerificationError, "op Tanh .* pinned to device", verify=False)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: {"ok": x, "p": tf.cast(x, tf.float64)}, "'p' .* is float64. .* be float32"),
        (lambda x: {"p": tf.cast(x, tf.float16)}, "'p' .* is float16. .* be float32"),
        (lambda x: {"p": tf.cast(x, tf.bfloat16)}, "'p' .* is bfloat16. .* be float32"),
        (lambda x: {"p": tf.reduce_sum(x)}, r"'p' .* shape \(\) for a batch of 3"),
        (lambda x: {"p": tf.transpose(x)}, r"'p' .* shape \(2, 3\) for a batch of 3"),
        (lambda x: {"p": tf.ones((3, 2))}, r"'p' .* shape \(3, 2\) for a batch of 1"),
        (lambda x: {"p": tf.RaggedTensor.from_tensor(x)}, r"'p' .* dense tensor.*RaggedTensor"),
        (lambda x: {"p": [x, x]}, "'p' .* dense tensor.*list"),
        (lambda x: x, "must return a dict of named tensors"),
        (lambda x: {}, "must return a dict of named tensors"),
    ],
)
def test_unfit_outputs_are_named(tmp_path, function, match):
    refuse(tmp_path, function, ValueError, match)


def test_error_of_the_function_comes_through(tmp_path):
    refuse(tmp_path, lambda x: {"y": x / (1 // 0)}, ZeroDivisionError, "division")


def test_interrupt_while_tracing_leaves_nothing(tmp_path):
    def function(x):
        if tf.executing_eagerly():
            return {"y": x}
        raise KeyboardInterrupt("planted")

    refuse(tmp_path, function, KeyboardInterrupt, "planted")


def test_table_outside_the_model_is_named(tmp_path):
    initializer = tf.lookup.KeyValueTensorInitializer(["1"], [2.0])
    table = tf.lookup.StaticHashTable(initializer, -1.0)
    match = "does not belong to `model`"
    refuse(tmp_path, lambda x: {"y": table.lookup(tf.strings.as_string(x))}, ValueError, match)


# === Arguments ===


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.5, 1 << 63])
def test_version_must_be_a_positive_integer(tmp_path, version):
    model = scale()
    with pytest.raises(ValueError, match="`version` must be a positive integer"):
        export_signatures(model, scale_signatures(model), tmp_path, version, samples=SAMPLES)


@pytest.mark.parametrize(
    ("signatures", "samples", "match"),
    [
        ({"other": ({"x": SPEC})}, {"other": {"x": ROWS}}, "must hold 'serving_default'"),
        ({"serving_default": {"x": SPEC}}, {}, "one batch for each signature"),
        (
            {"serving_default": {"x": SPEC}, "variables": {"x": SPEC}},
            {**SAMPLES, "variables": {"x": ROWS}},
            "'variables' cannot name a signature",
        ),
        ({"serving_default": {"not a name": SPEC}}, SAMPLES, "maps Python names"),
        ({"serving_default": {"x": (None, 2)}}, SAMPLES, "to tf.TensorSpec"),
        (
            {"serving_default": {"x": tf.TensorSpec((3, 2), tf.float32)}},
            SAMPLES,
            "no input with a batch",
        ),
        ({"serving_default": {"x": SPEC}}, {"serving_default": {"z": ROWS}}, r"must give \['x'\]"),
        (
            {"serving_default": {"x": SPEC}},
            {"serving_default": {"x": [[1.0, 2.0, 3.0]]}},
            r"'x' .* has the shape \(1, 3\). Expected: \(None, 2\)",
        ),
        (
            {"serving_default": {"x": SPEC}},
            {"serving_default": {"x": np.zeros((0, 2))}},
            "at least one example",
        ),
        (
            {"serving_default": {"x": SPEC, "y": SPEC}},
            {"serving_default": {"x": ROWS, "y": ROWS[:2]}},
            r"{'x': 3, 'y': 2}",
        ),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, signatures, samples, match):
    model = scale()
    made = {name: Signature(lambda x: {"y": model(x)}, specs) for name, specs in signatures.items()}
    with pytest.raises(ValueError, match=match):
        export_signatures(model, made, tmp_path / "model", samples=samples)
    assert not (tmp_path / "model").exists()


def test_sample_of_another_dtype(tmp_path):
    model = scale()
    with pytest.raises(TypeError, match="'x' of signature 'serving_default': expected float32"):
        samples = {"serving_default": {"x": [["a", "b"]]}}
        export_signatures(model, scale_signatures(model), tmp_path, samples=samples)


def test_path_that_tensorflow_would_take_for_a_pattern(tmp_path):
    model = scale()
    with pytest.raises(ValueError, match=r"`path` must do without .*Received: .*run.1"):
        export_signatures(model, scale_signatures(model), tmp_path / "run[1]", samples=SAMPLES)


# === Versions ===


def test_existing_version_is_refused_before_any_work(tmp_path):
    (tmp_path / "007").mkdir()

    def function(x):
        raise AssertionError("the function was called")

    with pytest.raises(FileExistsError, match=r"Version 7 exists: .*007.*overwrite=True"):
        export_signatures(
            scale(), scale_signatures(scale(), function), tmp_path, 7, samples=SAMPLES
        )


def test_overwrite_and_next_free_version(tmp_path):
    def export(factor, version, **kwargs):
        model = scale(factor)
        signatures = scale_signatures(model)
        return export_signatures(
            model, signatures, tmp_path, version, samples=SAMPLES, verify=False, **kwargs
        )

    first = export(2.0, None)
    assert first.version == 1
    (tmp_path / "12").mkdir()
    assert export(3.0, None).version == 13
    again = export(4.0, 1, overwrite=True)
    assert again.path == first.path
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1", "12", "13"]
    loaded = tf.saved_model.load(str(first.path))
    assert loaded.serving_default(x=tf.constant([[1.0, 2.0]]))["y"].numpy().tolist() == [[4.0, 8.0]]


def test_failed_overwrite_keeps_the_old_version(tmp_path):
    model = scale(2.0)
    export_signatures(model, scale_signatures(model), tmp_path, samples=SAMPLES, verify=False)
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def function(x):
        return {"y": x if tf.executing_eagerly() else -x}

    with pytest.raises(VerificationError):
        signatures = scale_signatures(model, function)
        export_signatures(model, signatures, tmp_path, samples=SAMPLES, overwrite=True)
    assert files == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}


KILLED = """
import os, signal, sys
from kerasrnn.serving import export
from tests.serving.models import SAMPLES, scale, scale_signatures

# At the last moment: the model is written, not yet moved.
export.move_into_place = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
model = scale()
export.export_signatures(
    model, scale_signatures(model), sys.argv[1], samples=SAMPLES, verify=False
)
"""


@pytest.mark.slow
def test_killed_export_leaves_no_version(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(STAGING_PREFIX)  # no number: a server does not look at it
    assert (left / "model" / "saved_model.pb").is_file()
    os.utime(left, (0, 0))
    model = scale()
    export_signatures(model, scale_signatures(model), tmp_path, samples=SAMPLES, verify=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["1"]
