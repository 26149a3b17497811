"""Weights on disk: halved, or in integers with a scale for each row."""

import h5py
import keras
import numpy as np
import pytest

from kerasrnn.storage.small_weights import copy_weights
from kerasrnn.storage.weight_file import opened_weights
from kerasrnn.zoo import SequenceTagger
from kerasrnn.zoo.presets.filling import fill


@pytest.fixture
def model(rng) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), keras.layers.Embedding(1200, 16), keras.layers.Dense(5)]
    )
    # Rows of very different sizes, as those of trained embeddings, and one of zeros.
    table = rng.normal(size=(1200, 16)) * rng.uniform(1e-3, 10, (1200, 1))
    table[0] = 0
    model.layers[0].embeddings.assign(table)
    return model


def saved(model, folder, dtype):
    model.save_weights(folder / "full.weights.h5")
    copy_weights(folder / "full.weights.h5", folder / "small.weights.h5", dtype)
    return folder / "small.weights.h5"


def test_each_row_of_a_table_is_within_half_a_step_of_its_own_scale(model, tmp_path):
    before = [np.array(weight) for weight in model.get_weights()]
    path = saved(model, tmp_path, "int8")
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    with opened_weights(path) as weights:
        fill(model, weights)
    table, kernel, bias = model.get_weights()
    step = np.abs(before[0]).max(axis=1, keepdims=True) / 127
    assert (np.abs(table - before[0]) <= step / 2 + 1e-6).all()
    assert np.abs(table - before[0]).max() > 0
    np.testing.assert_array_equal(table[0], 0)
    np.testing.assert_array_equal(kernel, before[1].astype("float16").astype("float32"))
    np.testing.assert_array_equal(bias, before[2])


def test_only_tables_are_integers(model, tmp_path):
    dtypes: dict[str, np.dtype] = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            dtypes[name] = item.dtype

    with h5py.File(saved(model, tmp_path, "int8")) as file:
        file.visititems(note)
    kinds = sorted(str(dtype) for dtype in dtypes.values())
    assert kinds == ["float16", "float16", "float32", "int8"]
    assert [str(d) for name, d in dtypes.items() if name.startswith("row_scales/")] == ["float32"]


def test_integers_are_about_half_of_half_precision(rng, tmp_path):
    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(5000, 50)])
    model.layers[0].embeddings.assign(rng.normal(size=(5000, 50)))
    half = saved(model, tmp_path, "float16").stat().st_size
    assert saved(model, tmp_path, "int8").stat().st_size < 0.65 * half


def test_files_of_floats_are_read_as_they_are(model, tmp_path):
    before = [weight.astype("float16").astype("float32") for weight in model.get_weights()]
    path = saved(model, tmp_path, "float16")
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    with opened_weights(path) as weights:
        fill(model, weights)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_integers_cannot_hold_is_named(model, tmp_path):
    model.layers[0].embeddings.assign(np.full((1200, 16), np.nan))
    with pytest.raises(ValueError, match=r"weight .* has values that int8 cannot hold"):
        saved(model, tmp_path, "int8")


@pytest.mark.slow
def test_a_preset_in_integers_gives_the_same_answers(toy, tmp_path):
    words = [f"word{number}" for number in range(1500)]
    keras.utils.set_random_seed(1)
    small = {"units": 8, "word_dimension": 8, "spelling": "none", "crf": False, "dropout": 0.0}
    tagger = SequenceTagger.from_sentences(toy, extra_words=words, **small)
    tagger.compile(keras.optimizers.Adam(0.05))
    tagger.fit(toy, epochs=5, batch_size=8, seed=1, verbose=0)
    folder = tagger.save_to_preset(tmp_path / "preset", weights_dtype="int8")
    text = ["Ada lives in New York ."]
    assert SequenceTagger.from_preset(folder).predict(text) == tagger.predict(text) != [[]]
