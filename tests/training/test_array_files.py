"""Checkpoints that are damaged: named in an error, before memory is taken for what they declare."""

import io
import json
import resource
import zipfile

import keras
import numpy as np
import pytest

from training.endings import InterruptGuard
from training.fitting import RunCallback
from training.flags import UsageError
from training.run_folder import Checkpoints, RunFolder

STATE = {"history": [], "best": None, "best_epoch": None, "stopped": False}


@pytest.fixture
def model() -> keras.Model:
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    network.compile("adam", "mse")
    return network


@pytest.fixture
def saved(model, tmp_path) -> Checkpoints:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model, STATE)
    return checkpoints


def arrays_of(checkpoints: Checkpoints) -> dict[str, np.ndarray]:
    with np.load(checkpoints.latest) as file:
        return dict(file)


def refused(checkpoints: Checkpoints, model: keras.Model, message: str = "") -> None:
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    with pytest.raises(UsageError, match=rf"latest\.npz cannot be read.*{message}"):
        checkpoints.restore(model)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize("name", ["state", "model/1", "optimizer/0"])
def test_an_array_is_missing(saved, model, name):
    arrays = arrays_of(saved)
    del arrays[name]
    np.savez(saved.latest, **arrays)
    refused(saved, model, f"it lacks '{name}'")


def test_an_array_too_many(saved, model):
    np.savez(saved.latest, **arrays_of(saved), other=np.zeros(3))
    refused(saved, model, "it holds 'other' too")


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30, -200])
def test_a_file_that_ends_early(saved, model, cut):
    saved.latest.write_bytes(saved.latest.read_bytes()[:cut])
    refused(saved, model)


def test_bytes_that_have_changed(saved, model):
    content = bytearray(saved.latest.read_bytes())
    place = content.index(np.asarray(model.weights[0]).tobytes())
    content[place] ^= 1
    saved.latest.write_bytes(content)
    refused(saved, model, "CRC")


@pytest.mark.parametrize("state", [b"{", b"[1]", b"3", b"\xff", b"[" * 100_000])
def test_a_state_that_is_no_table_in_json(saved, model, state):
    arrays = arrays_of(saved)
    arrays["state"] = np.frombuffer(state, np.uint8)
    np.savez(saved.latest, **arrays)
    refused(saved, model)


def test_pickled_arrays_are_not_read(saved, model):
    arrays = arrays_of(saved)
    arrays["model/0"] = np.array([{"not": "numbers"}], object)
    np.savez(saved.latest, **arrays)
    refused(saved, model)


@pytest.mark.parametrize("name", ["model/0", "state"])
def test_an_array_that_declares_more_than_there_is(saved, model, name):
    """Four terabytes are neither taken nor asked for."""
    arrays = arrays_of(saved)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (4 * 10**12,)}
    )
    with zipfile.ZipFile(saved.latest, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w") as file:
                if key == name:
                    file.write(head.getvalue())
                else:
                    np.lib.format.write_array(file, array)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(saved, model)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_something_else_in_its_place(saved, model):
    saved.latest.unlink()
    saved.latest.mkdir()
    refused(saved, model)


@pytest.mark.parametrize(
    "change",
    [
        {"history": 3},
        {"history": [3]},
        {"history": [{"epoch": 1}]},
        {"stopped": 1},
        {"best": "high"},
        {"best_epoch": 1.5},
        {"history": None},
    ],
)
def test_a_state_that_is_not_that_of_a_run(tmp_path, change):
    folder = RunFolder(tmp_path, resume=True)
    with pytest.raises(UsageError, match=r"latest\.npz is not that of a run"):
        RunCallback(folder, InterruptGuard(), monitor="loss", state={**STATE, **change})


def test_the_best_weights_are_looked_at_before_training_goes_on(saved, model):
    with pytest.raises(UsageError, match=r"best\.npz is missing"):
        saved.check_best(model)
    saved.save_best(model)
    saved.check_best(model)
    saved.best.write_bytes(saved.best.read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"best\.npz cannot be read"):
        saved.check_best(model)


def test_a_whole_checkpoint_is_read(saved, model):
    old = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    for variable in model.weights:
        variable.assign_add(keras.ops.ones_like(variable))
    assert saved.restore(model) == STATE
    for variable, value in zip(model.variables, old, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert json.loads(arrays_of(saved)["state"].tobytes()) == STATE
