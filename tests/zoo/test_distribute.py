"""Training in the scope of a `tf.distribute` strategy: refused, unless one replica trains."""

import subprocess
import sys
from pathlib import Path

import pytest

# Devices can be divided only before TensorFlow has begun: in a process of its own.
PROGRAM = """
import keras, numpy as np, tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from tests.zoo.tiny_tasks import TASKS, data_of, those_of, tiny


def made(name):
    keras.utils.set_random_seed(1)
    model, fit = tiny(name, **those_of(name, dropout=0.0))
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    return model, fit


def refused(call, *arguments, **keywords):
    try:
        call(*arguments, **keywords)
    except Exception as error:
        assert "trains on one device" in str(error) and "2 replicas" in str(error), error
    else:
        raise AssertionError(f"{call} was not refused")


def train_step(strategy, model):
    strategy.run(lambda: model.train_step(None))


two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for name in TASKS:
    model, fit = made(name)
    before, figures = model.get_weights(), model.evaluate(*data_of(name))
    with two.scope():
        refused(fit, epochs=1)
        refused(model.train_on_batch, None)
        refused(train_step, two, model)
        # Nothing is trained there.
        assert model.evaluate(*data_of(name))["loss"] == figures["loss"]
        inside, fit = made(name)
    refused(fit, epochs=1)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_allclose(inside.evaluate(*data_of(name))["loss"], figures["loss"], rtol=1e-5)
    print("refused by", name, flush=True)

one = tf.distribute.OneDeviceStrategy("CPU:1"), tf.distribute.MirroredStrategy(["CPU:0"])
for name in ("LanguageModel", "MemoryModel"):
    alone, fit = made(name)
    fit(epochs=1, seed=1)
    for strategy in one:
        with strategy.scope():
            model, fit = made(name)
            fit(epochs=1, seed=1)
        for right, weights in zip(alone.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(weights, right, rtol=1e-4, atol=1e-6)
    print("one replica trains", name, flush=True)
"""


@pytest.mark.slow
def test_gradients_of_replicas_are_never_added_up():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("refused by") == 7
    assert done.stdout.count("one replica trains") == 2
