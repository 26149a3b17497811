"""Checkpoints are whole or not there, and a folder has one run."""

import os

import keras
import numpy as np
import pytest

from training.flags import TrainingConfig, UsageError
from training.run_folder import Checkpoints, RunFolder


def test_a_run_is_not_overwritten(tmp_path):
    RunFolder(tmp_path, resume=False).write_config(TrainingConfig())
    with pytest.raises(UsageError, match="holds a run already"):
        RunFolder(tmp_path, resume=False)
    RunFolder(tmp_path, resume=True)


# === Checkpoints ===


def model(units: int = 3) -> keras.Model:
    network = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)]
    )
    network.compile("adam", "mse")
    return network


def step(network: keras.Model) -> None:
    x = np.ones((8, 4), "float32")
    network.fit(x, np.zeros((8, network.output_shape[-1])), epochs=1, verbose=0)


def test_a_checkpoint_holds_weights_optimizer_and_random_state(tmp_path):
    checkpoints, first = Checkpoints(tmp_path), model()
    step(first)
    checkpoints.save(first, {"epoch": 1, "name": "é"})
    second = model()
    assert checkpoints.restore(second) == {"epoch": 1, "name": "é"}
    for network in (first, second):  # dropout is drawn from the state that was saved
        step(network)
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(first.optimizer.variables, second.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(second.optimizer.iterations) == 2


def test_nothing_saved_is_nothing_restored(tmp_path):
    assert Checkpoints(tmp_path).restore(model()) is None


def test_the_best_weights_come_back(tmp_path):
    checkpoints, network = Checkpoints(tmp_path), model()
    best = network.get_weights()
    checkpoints.save_best(network)
    step(network)
    checkpoints.restore_best(network)
    for one, other in zip(best, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    Checkpoints(tmp_path).save(model(3), {})
    with pytest.raises(UsageError, match="model of another shape"):
        Checkpoints(tmp_path).restore(model(4))


def test_a_damaged_checkpoint_is_named(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(model(), {})
    checkpoints.latest.write_bytes(checkpoints.latest.read_bytes()[:100])
    with pytest.raises(UsageError, match=r"latest.npz cannot be read"):
        checkpoints.restore(model())


def test_a_failure_while_saving_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    checkpoints, network = Checkpoints(tmp_path), model()
    checkpoints.save(network, {"epoch": 1})

    def half(file, **arrays):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="disk full"):
        checkpoints.save(network, {"epoch": 2})
    assert checkpoints.restore(network) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["latest.npz"]
