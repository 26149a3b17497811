"""A training that breaks off, and goes on with Keras's own `BackupAndRestore`."""

import keras
import numpy as np
import pytest

from tests.zoo.tiny_tasks import TASKS, those_of, tiny


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
    model, fit = tiny(name, **those_of(name, dropout=0.0, cell="simple"))
    model.compile("sgd", jit_compile=False)
    return model, fit


# With steps an epoch begins within a pass over the data, and ends in the next.
CASES = [(name, {}) for name in TASKS] + [
    (name, {"steps_per_epoch": 3}) for name in ("SequenceTagger", "MemoryModel")
]


@pytest.mark.parametrize(("name", "more"), CASES)
@pytest.mark.slow
def test_a_restored_training_sees_the_order_of_an_unbroken_one(name, more, tmp_path):
    unbroken, fit = new(name)
    fit(epochs=3, seed=2, **more)
    _, fit = new(name)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(Broken):
        fit(epochs=3, seed=2, callbacks=[backup, BreaksAt(2)], **more)
    restored, fit = new(name)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    history = fit(epochs=3, seed=2, callbacks=[backup], **more)
    assert history.epoch == [2]
    for one, other in zip(unbroken.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
