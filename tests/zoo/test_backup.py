"""A training that breaks off, and goes on with Keras's own `BackupAndRestore`."""

import keras
import numpy as np
import pytest

from tests.zoo.tiny_tasks import EXAMPLES, TASKS, tiny


class Broken(Exception):
    """The training ends here."""


class BreaksAt(keras.callbacks.Callback):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Broken


def new(name):
    """What a process makes that starts anew, with no chance but the order of the data."""
    keras.utils.set_random_seed(1)
    model, fit = tiny(name, dropout=0.0)
    model.compile("sgd", jit_compile=False)
    return model, fit


@pytest.mark.parametrize("name", TASKS)
def test_a_restored_training_sees_the_order_of_an_unbroken_one(name, tmp_path):
    unbroken, fit = new(name)
    fit(epochs=3, seed=2)
    _, fit = new(name)
    with pytest.raises(Broken):
        fit(epochs=3, seed=2, callbacks=[keras.callbacks.BackupAndRestore(tmp_path), BreaksAt(2)])
    restored, fit = new(name)
    history = fit(epochs=3, seed=2, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert history.epoch == [2]
    for one, other in zip(unbroken.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_steps_are_for_a_dataset_without_end():
    model, _ = tiny("MemoryModel")
    with pytest.raises(ValueError, match="`steps_per_epoch` is for a dataset without end"):
        model.fit(EXAMPLES, steps_per_epoch=2)
