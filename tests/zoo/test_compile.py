"""What `compile(jit_compile=…)` of a task promises: XLA, or a reason why not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism  # not public

from tests.zoo.tiny_tasks import TASKS, tiny


@pytest.fixture
def determinism():
    """As training scripts have it; Keras's own models are not compiled then."""
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


class Strings(keras.optimizers.SGD):
    """Does something that XLA cannot: a step that has it runs only where nothing is compiled."""

    def apply(self, grads, trainable_variables=None):
        length = tf.strings.length(tf.strings.as_string(grads[0]))
        grads = [grads[0] + 0 * tf.cast(length, tf.float32), *grads[1:]]
        return super().apply(grads, trainable_variables)


COMPILED = [name for name in TASKS if name not in ("MusicModel", "WordVectors")]


# The networks of the others take long to trace.
@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("LanguageModel", "MemoryModel")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in COMPILED
    ],
)
def test_steps_are_compiled_with_xla_or_not_as_asked(name, determinism):
    model, fit = tiny(name)
    model.compile(Strings(), jit_compile=False)
    fit(epochs=1)
    model.compile(Strings(), jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="XLA"):
        fit(epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_xla_trains_as_the_graph_does(name):
    losses = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(1)
        model, fit = tiny(name, dropout=0.0)
        model.compile("sgd", jit_compile=jit_compile)
        losses.append(fit(epochs=2, seed=1).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_a_memory_model_alone_is_compiled_by_default(name):
    model, _ = tiny(name)
    model.compile()
    assert model.jit_compile == (name == "MemoryModel")
    model.compile(run_eagerly=True)
    assert not model.jit_compile


def test_xla_that_cannot_be_is_refused():
    model, _ = tiny("MusicModel")
    with pytest.raises(ValueError, match="`jit_compile=True` cannot be: the states that go"):
        model.compile(jit_compile=True)
    model, _ = tiny("WordVectors")
    with pytest.raises(ValueError, match="`jit_compile=True` cannot be: A batch has as many"):
        model.compile(jit_compile=True)
    model, _ = tiny("MemoryModel")
    with pytest.raises(ValueError, match="`jit_compile=True` cannot be: `run_eagerly=True`"):
        model.compile(jit_compile=True, run_eagerly=True)
    with pytest.raises(ValueError, match="`jit_compile` must be True, False or 'auto'"):
        model.compile(jit_compile="always")


@pytest.mark.parametrize("jit_compile", [True, False])
def test_xla_survives_saving(jit_compile, tmp_path):
    model, _ = tiny("MemoryModel")
    model.compile("sgd", jit_compile=jit_compile)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").jit_compile == jit_compile
