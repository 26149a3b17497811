"""Presets that a stranger made: nothing else is read, nothing written, no memory eaten.

What a reader must refuse is known from HDF5 (links, external and virtual storage, filters, shapes
without data), from the file system, and from what Keras makes of a configuration.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from kerasrnn.storage.small_weights import copy_weights
from kerasrnn.storage.weight_file import opened_weights
from kerasrnn.zoo import SequenceTagger, Task
from kerasrnn.zoo.presets.arguments import vocabularies
from kerasrnn.zoo.presets.filling import fill
from tests.zoo.tiny_tasks import TASKS, tiny

TABLE = "layers/tagger_network/layers/embedding/vars/0"
BIAS = "layers/tagger_network/layers/dense/vars/1"
NETWORK = "layers/tagger_network"


@pytest.fixture(scope="module")
def tagger() -> SequenceTagger:
    keras.utils.set_random_seed(5)
    words = [f"w{number}" for number in range(1500)]
    return SequenceTagger(
        words,
        ["O", "B-LOC", "I-LOC"],
        units=3,
        word_dimension=4,
        spelling="none",
        crf=False,
        normalize_digits=False,
    )


@pytest.fixture(scope="module")
def originals(tagger, tmp_path_factory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("originals")
    return {
        dtype: tagger.save_to_preset(place / dtype, weights_dtype=dtype)
        for dtype in ("float32", "int8")
    }


@pytest.fixture
def preset(originals, tmp_path) -> Path:
    return shutil.copytree(originals["int8"], tmp_path / "preset")


def replace(file: h5py.File, name: str, **options) -> h5py.Dataset:
    del file[name]
    return file.create_dataset(name, **options)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# === Files of weights ===


def external_group(file, secret):
    del file[NETWORK]
    file[NETWORK] = h5py.ExternalLink(secret, NETWORK)


def external_leaf(file, secret):
    del file[BIAS]
    file[BIAS] = h5py.ExternalLink(secret, BIAS)


def external_aside(file, secret):
    file["notes"] = h5py.ExternalLink(secret, "/")


def soft_leaf(file, secret):
    file.move(BIAS, "bias")
    file[BIAS] = h5py.SoftLink("/bias")


def soft_group(file, secret):
    file.move(NETWORK, "network")
    file[NETWORK] = h5py.SoftLink("/network")


def dangling(file, secret):
    file["notes"] = h5py.SoftLink("/nowhere")


def link_of_scales(file, secret):
    if "row_scales" in file:
        del file["row_scales"]
    file["row_scales"] = h5py.ExternalLink(secret, "/")


def cycle(file, secret):
    file[f"{NETWORK}/again"] = file["layers"]


def second_name(file, secret):
    file["notes"] = file[BIAS]


def external_storage(file, secret):
    shape = file[TABLE].shape
    size = 4 * int(np.prod(shape))
    replace(file, TABLE, shape=shape, dtype="float32", external=[(secret, 0, size)])


def external_storage_aside(file, secret):
    file.create_dataset("notes", shape=(4,), dtype="uint8", external=[(secret, 0, 4)])


def external_scales(file, secret):
    name = f"row_scales/{TABLE}"
    if name in file:
        del file[name]
    file.create_dataset(name, shape=(1502,), dtype="float32", external=[(secret, 0, 6008)])


def virtual(file, secret):
    layout = h5py.VirtualLayout(shape=(3,), dtype="float32")
    layout[:] = h5py.VirtualSource(secret, BIAS, shape=(3,))
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def virtual_without_end(file, secret):
    layout = h5py.VirtualLayout(shape=(3,), dtype="float32", maxshape=(None,))
    source = h5py.VirtualSource(secret, BIAS, shape=(3,), maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    file.create_virtual_dataset("notes", layout)


def named_type(file, secret):
    file["notes"] = np.dtype("float32")


def filtered(**options):
    def change(file, secret):
        replace(file, BIAS, data=np.zeros(3, "float32"), chunks=(3,), **options)

    return change


def of_type(dtype, shape=(3,)):
    def change(file, secret):
        replace(file, BIAS, shape=shape, dtype=dtype, data=np.zeros(shape, dtype))

    return change


def strings(file, secret):
    replace(file, BIAS, data=["a", "b", "c"], dtype=h5py.string_dtype())


def references(file, secret):
    replace(file, BIAS, data=[file[TABLE].ref] * 3, dtype=h5py.ref_dtype)


def nothing(file, secret):
    replace(file, BIAS, data=h5py.Empty("float32"))


def scalar(file, secret):
    replace(file, BIAS, data=np.float32(0))


def without_data(**options):
    def change(file, secret):
        replace(file, BIAS, **{"shape": (3,), "dtype": "float32", "fillvalue": 1.0, **options})

    return change


def large_chunk(file, secret):
    replace(file, BIAS, data=np.zeros(3, "f4"), chunks=(1 << 20,), maxshape=(None,))


def bomb(packed: bytes):
    """A chunk of 12 bytes, of which is stored what becomes a thousand times as large, or less."""

    def change(file, secret):
        made = replace(
            file, BIAS, shape=(3,), dtype="float32", chunks=(3,), compression="gzip", shuffle=True
        )
        made.id.write_direct_chunk((0,), packed)

    return change


def other_shape(file, secret):
    replace(file, BIAS, data=np.zeros(4, "float32"))


def missing(file, secret):
    del file[BIAS]


def one_more(file, secret):
    file.create_dataset("notes", data=np.zeros(3, "float32"))


def misplaced(file, secret):
    file.move(BIAS, f"{NETWORK}/layers/dense/vars/2")


def scale_too_many(file, secret):
    file.create_dataset(f"row_scales/{BIAS}", data=np.ones(3, "float32"))


def scales_of_other_rows(file, secret):
    name = f"row_scales/{TABLE}"
    if name in file:
        del file[name]
    file.create_dataset(name, data=np.ones(7, "float32"))


def holds(value, dtype="float32"):
    def change(file, secret):
        replace(file, BIAS, data=np.array([0, value, 0], dtype))

    return change


def scale_is_nan(file, secret):
    replace(file, TABLE, data=np.zeros((1502, 4), "int8"))
    if "row_scales" in file:
        del file["row_scales"]
    file.create_dataset(f"row_scales/{TABLE}", data=np.full(1502, np.nan, "float32"))


CHANGES: list[tuple[Callable, str]] = [
    (external_group, "is a link"),
    (external_leaf, "is a link"),
    (external_aside, "is a link"),
    (soft_leaf, "is a link"),
    (soft_group, "is a link"),
    (dangling, "is a link"),
    (link_of_scales, "is a link"),
    (cycle, "second name"),
    (second_name, "second name"),
    (external_storage, "lies in another file"),
    (external_storage_aside, "lies in another file"),
    (external_scales, "lies in another file"),
    (virtual, "lies in another file"),
    (virtual_without_end, "lies in another file"),
    (named_type, "neither an array nor a group"),
    (filtered(compression="lzf"), "packed by the filters"),
    (filtered(fletcher32=True), "packed by the filters"),
    (filtered(scaleoffset=3), "packed by the filters"),
    (of_type("complex64"), "not of a type of numbers"),
    (of_type("longdouble"), "not of a type of numbers"),
    (of_type("S4"), "not of a type of numbers"),
    (of_type("bool"), "not of a type of numbers"),
    (of_type([("x", "f4"), ("y", "f4")]), "not of a type of numbers"),
    (of_type("V4"), "not of a type of numbers"),
    (of_type("int64"), "is int64. Expected: float32"),
    (of_type("int8"), "is int8. Expected: float32"),
    (of_type("float32", (3, 0)), "is empty"),
    (of_type("float32", (1, 3)), "has the shape"),
    (strings, "not of a type of numbers"),
    (references, "not of a type of numbers"),
    (nothing, "not all there"),
    (scalar, "has the shape"),
    (without_data(), "not all there"),
    (without_data(chunks=(3,)), "not all there"),
    (without_data(chunks=(2,), compression="gzip"), "not all there"),
    (without_data(shape=(1 << 40,)), "not all there"),
    (without_data(shape=(1 << 30, 1 << 20), chunks=(1, 1)), "not all there"),
    (large_chunk, "chunks that are larger"),
    (bomb(zlib.compress(bytes(1 << 25))), "chunk of another size"),
    (bomb(zlib.compress(bytes(8))), "chunk of another size"),
    (bomb(b"no zlib"), "cannot be inflated"),
    (other_shape, r"has the shape \(4,\). Expected: \(3,\), for .*tag_scores/bias"),
    (missing, "lacks the weight"),
    (one_more, "which the model lacks"),
    (misplaced, "lacks the weight"),
    (scale_too_many, "is float|is float16. Expected"),
    (scales_of_other_rows, "scales of|is float32"),
    (holds(np.nan), "not finite"),
    (holds(np.inf, "float16"), "not finite"),
    (holds(1e300, "float64"), "not finite"),
    (scale_is_nan, "not finite"),
]


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_file_of_weights_that_is_refused(preset, originals, tmp_path, change, message):
    secret = tmp_path / "secret.h5"
    shutil.copy(originals["float32"] / "model.weights.h5", secret)
    with h5py.File(preset / "model.weights.h5", "a") as file:
        change(file, str(secret))
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        SequenceTagger.from_preset(preset)
    assert "model.weights.h5" in str(caught.value)
    assert tree(tmp_path) == before  # neither the preset nor the other file was written to


def test_a_chunk_that_lies_behind_the_end_of_the_file_is_named(preset, originals):
    """Its address is overwritten: HDF5 finds out only when it reads."""
    path = preset / "model.weights.h5"
    with h5py.File(path, "a") as file:
        made = replace(file, BIAS, data=np.zeros(3, "f4"), chunks=(3,), compression="gzip")
        address = made.id.get_chunk_info(0).byte_offset.to_bytes(8, "little")
    content = path.read_bytes()
    assert content.count(address) == 1
    path.write_bytes(content.replace(address, (1 << 40).to_bytes(8, "little")))
    with pytest.raises(ValueError, match=rf"weights.h5: the weight {BIAS} cannot be read"):
        SequenceTagger.from_preset(preset)


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(64)])
def test_what_is_no_file_of_weights_is_named(preset, content):
    (preset / "model.weights.h5").write_bytes(content)
    with pytest.raises(ValueError, match=r"model.weights.h5 is no file of weights"):
        SequenceTagger.from_preset(preset)


def test_a_file_that_was_cut_off_is_named(preset):
    path = preset / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"model.weights.h5"):
        SequenceTagger.from_preset(preset)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_loading_writes_nothing(originals, tmp_path, tagger, monkeypatch, dtype):
    preset = shutil.copytree(originals[dtype], tmp_path / "preset")
    monkeypatch.setenv("TMPDIR", str(preset / "nowhere"))
    before = tree(preset)
    for path in [*preset.rglob("*"), preset]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    loaded = SequenceTagger.from_preset(preset)
    assert tree(preset) == before
    for one, other in zip(tagger.weights, loaded.weights, strict=True):
        scale = np.abs(one.numpy()).max()
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=scale / 127)
    preset.chmod(0o755)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (100, 3)},
        {"chunks": (1502, 4), "compression": "gzip"},
        {"chunks": (7, 1), "shuffle": True},
        {"chunks": (700, 4), "compression": "gzip", "shuffle": True, "maxshape": (None, None)},
    ],
)
@pytest.mark.parametrize("dtype", ["float32", ">f4", "float64", "<f2"])
def test_plain_arrays_of_any_layout_are_read(originals, tmp_path, tagger, options, dtype):
    preset = shutil.copytree(originals["float32"], tmp_path / "preset")
    [table] = [w for w in tagger.weights if w.shape == (1502, 4)]
    with h5py.File(preset / "model.weights.h5", "a") as file:
        replace(file, TABLE, data=table.numpy(), dtype=dtype, **options)
        file[TABLE].attrs["note"] = "x" * 60_000
        file[TABLE].attrs["elsewhere"] = file["layers"].ref
    loaded = SequenceTagger.from_preset(preset)
    [read] = [w for w in loaded.weights if w.shape == (1502, 4)]
    np.testing.assert_array_equal(read.numpy(), table.numpy().astype(dtype).astype("float32"))


def test_many_names_for_a_few_bytes_are_refused(tmp_path):
    """Arrays that lie over each other are all there, each by itself."""
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        for number in range(30):
            file.create_dataset(
                f"{number}", data=np.zeros(1 << 20, "f4"), chunks=True, compression="gzip"
            )
    with (
        pytest.raises(ValueError, match=r"declares 125,829,120 bytes of weights, and has"),
        opened_weights(path),
    ):
        pass


def test_what_would_shrink_too_much_is_saved_as_it_is(tmp_path):
    model = keras.Sequential([keras.Input((1,), dtype="int32"), keras.layers.Embedding(9000, 999)])
    model.layers[0].embeddings.assign(np.zeros((9000, 999)))
    model.save_weights(tmp_path / "full.weights.h5")
    copy_weights(tmp_path / "full.weights.h5", tmp_path / "small.weights.h5", "float32")
    with opened_weights(tmp_path / "small.weights.h5") as weights:
        fill(model, weights)


# === Configurations ===


def edited(preset: Path, name: str, value: str) -> None:
    path = preset / "config.toml"
    text = re.sub(rf"^{name} = .*\n", "", path.read_text(), flags=re.MULTILINE)
    path.write_text(text.replace("[arguments]\n", f"[arguments]\n{name} = {value}\n"))


POLICY = '{class_name = "DTypePolicy", config = {name = "float32"}, module = "keras"}'
LAYER = (
    '{class_name = "GRUCell", config = {units = 2}, module = "kerasrnn.cells", '
    'registered_name = "kerasrnn>GRUCell"}'
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dtype", POLICY),
        ("dtype", LAYER),
        ("dtype", "32"),
        ("name", LAYER),
        ("trainable", LAYER),
        ("trainable", '"no"'),
        ("cell", LAYER),
        ("scheme", "[1]"),
        ("units", '"3"'),
        ("units", "3.0"),
        ("units", "true"),
        ("units", "inf"),
        ("units", "9" * 4000),
        ("units", "1979-05-27"),
        ("depth", "[1]"),
        ("dropout", '"0.5"'),
        ("dropout", "nan"),
        ("dropout", "true"),
        ("recall_margin", "inf"),
        ("crf", "0"),
        ("crf", LAYER),
        ("labels", '"ab"'),
        ("labels", f"[{LAYER}]"),
        ("labels", '[["a"]]'),
        ("dtype", '"string"'),
        ("dtype", '"int8_from_float32"'),
        ("dtype", '"float8_from_float32"'),
        ("dtype", '"nope"'),
        ("max_subwords", "100000"),
    ],
)
def test_arguments_are_plain_values_of_their_types(originals, tmp_path, monkeypatch, name, value):
    preset = shutil.copytree(originals["float32"], tmp_path / "preset")
    edited(preset, name, value)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", None)
    monkeypatch.setattr("keras.src.dtype_policies.deserialize", None)
    with pytest.raises(ValueError, match=rf"config.toml: `{name}` must be "):
        SequenceTagger.from_preset(preset)


@pytest.mark.parametrize(
    ("name", "value"),
    [("units", "0"), ("depth", "-1"), ("cell", '"x"'), ("dropout", "7"), ("name", '"a/b"')],
)
def test_values_that_are_refused_are_said_to_be_in_the_file(preset, name, value):
    edited(preset, name, value)
    with pytest.raises(ValueError, match=rf"^\S+config.toml: .*`{name}`"):
        SequenceTagger.from_preset(preset)


def test_what_is_missing_is_said_to_be_missing_in_the_file(preset):
    path = preset / "config.toml"
    path.write_text(re.sub(r"^tags = .*\n", "", path.read_text(), flags=re.MULTILINE))
    with pytest.raises(ValueError, match=r"^\S+config.toml: .*missing .*'tags'"):
        SequenceTagger.from_preset(preset)


MODELS = [name for name in TASKS if name != "SequenceTagger"]


@pytest.mark.parametrize("task", MODELS)
def test_the_arguments_of_all_tasks_are_checked(tmp_path, task):
    model, _ = tiny(task)
    preset = model.save_to_preset(tmp_path / "preset")
    assert type(Task.from_preset(preset)) is type(model)
    original = (preset / "config.toml").read_text()
    for name, old in model.arguments().items():
        if name in vocabularies(type(model)) or old is None:
            continue
        for value in (LAYER, "[[1]]", "1979-05-27", "2000000000"):
            if value.isdecimal() and type(old) is float:
                continue
            edited(preset, name, value)
            with pytest.raises(ValueError, match=rf"config.toml: `{name}` must be "):
                Task.from_preset(preset)
            (preset / "config.toml").write_text(original)


@pytest.mark.parametrize("task", MODELS)
def test_no_larger_model_is_made_than_there_are_weights_for(tmp_path, task):
    model, _ = tiny(task)
    preset = model.save_to_preset(tmp_path / "preset")
    edited(preset, "units" if "units" in model.arguments() else "dimension", "1000000")
    with pytest.raises(ValueError, match=r"describes a larger model than model.weights.h5 has"):
        Task.from_preset(preset)
    if "depth" in model.arguments():
        edited(preset, "units", "4")
        edited(preset, "depth", "5000")
        with pytest.raises(ValueError, match=r"`depth` is 5000, and model.weights.h5 has \d+"):
            Task.from_preset(preset)


@pytest.mark.parametrize(
    ("name", "value"), [("word_dimension", 1_000_000), ("units", 30_000), ("depth", 7)]
)
def test_a_tagger_is_no_larger_than_its_weights(preset, name, value):
    edited(preset, name, str(value))
    with pytest.raises(ValueError, match=r"config.toml describes|lacks the weight"):
        SequenceTagger.from_preset(preset)


def test_more_words_than_weights_are_refused(preset):
    with (preset / "vocabulary/words.txt").open("a") as file:
        file.writelines(f"v{number}\n" for number in range(1_000_000))
    with pytest.raises(ValueError, match=r"words.txt, line 1503: expected 1,502 terms at most"):
        SequenceTagger.from_preset(preset)
    with (preset / "vocabulary/words.txt").open("wb") as file:
        file.truncate(1 << 40)  # a hole in a file: a line of a terabyte
    with pytest.raises(ValueError, match=r"line 1: expected a term, got more than 1,048,576 bytes"):
        SequenceTagger.from_preset(preset)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 100_000,
        "x = " + "{a=" * 80_000,
        "a" + ".a" * 100_000 + " = 1",  # without a limit, 40 GB of memory
        '"="' + " . '#'" * 30_000 + " = 1",
        '# "\na' + ".a" * 100_000 + " = 1",
        "x = {a" + ".a" * 100_000 + " = 1}",
        "class.a" + ".a" * 50_000 + " = 1",
        "x = 1\x00",
        "x = " + "9" * 100_000,
        "x = {a = '''q'''', b" + ".a" * 20_000 + " = 1, c = ''}",  # a quote more than three
        'x = {a = """q""""", b' + ".a" * 20_000 + ' = 1, c = ""}',
        'x = """' + '"""\n\\' * 50_000,  # quotes that are never closed: minutes of looking for it
        'x = "' + '\\"' * 120_000,
    ],
)
def test_a_configuration_that_is_too_deep_is_named(originals, tmp_path, text):
    preset = shutil.copytree(originals["float32"], tmp_path / "preset")
    (preset / "config.toml").write_text(text)
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"config.toml is not a TOML file"):
        SequenceTagger.from_preset(preset)
    assert time.process_time() - begin < 10


def test_a_configuration_that_is_too_long_is_named(preset):
    with (preset / "config.toml").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"config.toml has 1,099,511,627,776 bytes"):
        SequenceTagger.from_preset(preset)


# === The other files of a preset ===


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/hostname", "vocabulary/../../secret.txt", "", ".", "../preset"]
)
def test_a_vocabulary_lies_in_the_preset(preset, name):
    (preset.parent / "secret.txt").write_text("a\n")
    path = preset / "config.toml"
    path.write_text(path.read_text().replace('"vocabulary/tags.txt"', f'"{name}"'))
    with pytest.raises(ValueError, match=r"outside of the preset|regular file"):
        SequenceTagger.from_preset(preset)


@pytest.mark.parametrize("value", ["1", '["vocabulary/tags.txt"]', "{a = 1}"])
def test_a_vocabulary_is_named_by_a_string(preset, value):
    path = preset / "config.toml"
    path.write_text(path.read_text().replace('"vocabulary/tags.txt"', value))
    with pytest.raises(ValueError, match=r"outside of the preset"):
        SequenceTagger.from_preset(preset)


@pytest.mark.parametrize("name", ["config.toml", "model.weights.h5", "vocabulary/tags.txt"])
@pytest.mark.parametrize("inside", [True, False])
def test_links_in_a_preset_are_refused(preset, name, inside):
    path = preset / name
    other = preset / "other" if inside else preset.parent / "other"
    path.rename(other)
    path.symlink_to(other)
    with pytest.raises(ValueError, match=r"is a link, and may lead outside"):
        SequenceTagger.from_preset(preset)


def test_links_to_folders_in_a_preset_are_refused(preset):
    (preset / "vocabulary").rename(preset.parent / "vocabulary")
    (preset / "vocabulary").symlink_to("../vocabulary")
    with pytest.raises(ValueError, match=r"is a link, and may lead outside"):
        SequenceTagger.from_preset(preset)


def test_a_preset_may_be_found_through_a_link(preset, tagger):
    (preset.parent / "link").symlink_to(preset)
    loaded = SequenceTagger.from_preset(preset.parent / "link")
    assert loaded.arguments() == tagger.arguments()


@pytest.mark.parametrize("name", ["config.toml", "model.weights.h5", "vocabulary/tags.txt"])
def test_pipes_and_folders_are_refused(preset, name):
    (preset / name).unlink()
    os.mkfifo(preset / name)
    with pytest.raises((ValueError, FileNotFoundError), match=r"regular file|holds no config"):
        SequenceTagger.from_preset(preset)
    (preset / name).unlink()
    (preset / name).mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=r"regular file|holds no config"):
        SequenceTagger.from_preset(preset)


# === Memory ===

MEASURE = r"""
import resource, sys, zlib
from pathlib import Path
import h5py, numpy as np
from kerasrnn.zoo import SequenceTagger

TABLE, BIAS = sys.argv[2:]
folder = Path(sys.argv[1])
weights = folder / "model.weights.h5"
original = weights.read_bytes()
SequenceTagger.from_preset(folder)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10  # MiB

def tried(change):
    weights.write_bytes(original)
    with h5py.File(weights, "a") as file:
        change(file)
    size, before = weights.stat().st_size, peak()
    try:
        SequenceTagger.from_preset(folder)
    except ValueError as error:
        print(change.__name__, size, peak() - before, str(error)[-80:])

def table_of_integers(file):
    del file[TABLE]
    file.create_dataset(TABLE, (3 << 20, 1024), "int8", chunks=(1 << 15, 1024), compression="gzip")
    if "row_scales" in file:
        del file["row_scales"]
    file.create_dataset(f"row_scales/{TABLE}", data=np.ones(10, "float32"))

def written_table_of_integers(file):
    del file[TABLE]
    made = file.create_dataset(
        TABLE, (3 << 10, 1 << 20), "int8", chunks=(64, 1 << 20), compression="gzip"
    )
    packed = zlib.compress(bytes(64 << 20), 9)
    for row in range(0, 3 << 10, 64):
        made.id.write_direct_chunk((row, 0), packed)
    if "row_scales" in file:
        del file["row_scales"]
    file.create_dataset(f"row_scales/{TABLE}", data=np.ones(3 << 10, "float32"))

def floats(file):
    del file[TABLE]
    file.create_dataset(TABLE, (1 << 20, 1024), "float32")

def compressed_floats(file):
    del file[TABLE]
    file.create_dataset(TABLE, (1 << 20, 1024), "float32", chunks=True, compression="gzip")

def inflating_chunk(file):
    del file[BIAS]
    made = file.create_dataset(BIAS, (3,), "float32", chunks=(3,), compression="gzip")
    packed = zlib.compress(bytes(60 << 20), 9)  # HDF5 writes no longer ones into so small a chunk
    made.id.write_direct_chunk((0,), packed)

for change in (
    table_of_integers, written_table_of_integers, floats, compressed_floats, inflating_chunk
):
    tried(change)
for old, new in (("units = 3", "units = 100000"), ("depth = 1", "depth = 5000")):
    weights.write_bytes(original)
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(text.replace(old, new))
    before = peak()
    try:
        SequenceTagger.from_preset(folder)
    except ValueError as error:
        print(new.replace(" ", ""), 0, peak() - before, str(error)[-80:])
    (folder / "config.toml").write_text(text)
"""


@pytest.mark.slow
def test_no_memory_is_eaten(originals, tmp_path):
    """Files of some hundred kilobytes that declare gigabytes: refused in what a model takes."""
    preset = shutil.copytree(originals["float32"], tmp_path / "preset")
    process = subprocess.run(
        [sys.executable, "-c", MEASURE, str(preset), TABLE, BIAS],
        capture_output=True,
        text=True,
        check=True,
    )
    print(process.stdout)
    lines = [line.split() for line in process.stdout.splitlines()]
    assert len(lines) == 7
    for name, size, grown, *_ in lines:
        assert int(size) < 4_000_000, name
        assert int(grown) < 100, name  # MiB
