"""What works on TensorFlow only says so on another backend, before it does anything."""

import subprocess
import sys

import keras
import pytest

from kerasrnn import layers
from kerasrnn.extras import BackendError
from tests.backends import BACKEND

pytestmark = pytest.mark.skipif(BACKEND == "tensorflow", reason="all of it works on TensorFlow")
MESSAGE = rf"works on TensorFlow only.*KERAS_BACKEND=tensorflow.*Received: '{BACKEND}'"


@pytest.mark.parametrize("name", ["MusicModel", "SequenceTagger", "WordVectors"])
def test_a_task(name):
    from kerasrnn import zoo

    with pytest.raises(BackendError, match=rf"kerasrnn\.zoo\.{name} {MESSAGE}"):
        getattr(zoo, name)(88)


def test_a_preset():
    from kerasrnn.zoo import SequenceTagger

    with pytest.raises(BackendError, match=MESSAGE):
        SequenceTagger.from_preset("ner_en_starter")


def test_the_look_inside():
    from kerasrnn import lens

    model = keras.Sequential([keras.Input((None, 2)), layers.GRU(3)])
    with pytest.raises(BackendError, match=f"kerasrnn.lens {MESSAGE}"):
        lens.gates(model, keras.ops.ones((1, 4, 2)))


def test_an_export(tmp_path):
    from kerasrnn.serving import export_signatures

    model = keras.Sequential([keras.Input((None, 2)), layers.GRU(3)])
    with pytest.raises(BackendError, match=f"An export {MESSAGE}"):
        export_signatures(model, {}, tmp_path, samples={})


def test_a_script_ends_in_a_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "training.tagger", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "works on TensorFlow only" in done.stderr and "Traceback" not in done.stderr
