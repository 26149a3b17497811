"""Piano rolls from .mat, JSON, MIDI folders and what is built in."""

import contextlib
import gzip
import json
import resource
import struct
import sys

import numpy as np
import pytest

from kerasrnn.data import (
    DataError,
    check_roll,
    chords_of_roll,
    load_piano_rolls,
    piano_roll_splits,
    pitch_name,
    read_piano_rolls,
    roll_of_chords,
    write_midi,
)
from tests.data.real import real

PIECES = [[[60, 64, 67], [60], []], [[21, 108]]]


def cells(*rolls) -> np.ndarray:
    array = np.empty((1, len(rolls)), object)
    for i, roll in enumerate(rolls):
        array[0, i] = roll
    return array


@pytest.fixture
def mat(tmp_path):
    io = pytest.importorskip("scipy.io")
    rolls = [roll_of_chords(piece) for piece in PIECES]
    io.savemat(
        tmp_path / "two.mat",
        {"traindata": cells(*rolls), "validdata": cells(rolls[0].astype(float))},
    )
    return tmp_path / "two.mat"


# === Files ===


def test_mat_files_have_splits(mat):
    assert piano_roll_splits(mat) == ("train", "validation")
    assert [chords_of_roll(roll) for roll in load_piano_rolls(mat)] == PIECES
    assert [chords_of_roll(roll) for roll in load_piano_rolls(mat, split="validation")] == PIECES[
        :1
    ]
    with pytest.raises(ValueError, match=r"no split 'test'. Expected one of train, validation"):
        load_piano_rolls(mat, split="test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": np.eye(3)}, r"expected the variables traindata.*got 'other'"),
        ({"traindata": np.eye(88)}, r"cells with a piece in each"),
        ({"traindata": cells(np.eye(87))}, r"piece 1 of traindata must have the shape"),
        ({"traindata": cells(np.eye(88), 2 * np.eye(88))}, r"piece 2.*Received: 2.0 in frame 1"),
    ],
)
def test_wrong_mat_files_are_named(tmp_path, content, message):
    io = pytest.importorskip("scipy.io")
    io.savemat(tmp_path / "wrong.mat", content)
    with pytest.raises(DataError, match=message):
        load_piano_rolls(tmp_path / "wrong.mat")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "u1", "i1", "i2", "u2", "i4", "u4", "i8", "?"])
def test_mat_files_hold_all_kinds_of_numbers(tmp_path, dtype, compressed):
    io = pytest.importorskip("scipy.io")
    rolls = [roll_of_chords(piece) for piece in PIECES]
    content = {
        "about": "text",
        "more": {"struct": [1, 2]},
        "testdata": cells(*(roll.astype(dtype) for roll in rolls)),
        "none": np.zeros((0, 3)),
    }
    io.savemat(tmp_path / "all.mat", content, do_compression=compressed)
    loaded = load_piano_rolls(tmp_path / "all.mat", split="test")
    for roll, expected in zip(loaded, rolls, strict=True):
        np.testing.assert_array_equal(roll, expected)


@pytest.mark.parametrize("value", [0x7FFFFFFF, 0xFFFFFFFF, 0x10000000, 0x100, 0])
def test_damaged_mat_files_are_named_and_take_no_memory(mat, tmp_path, value):
    """Each number in turn: types, lengths, dimensions. scipy hangs at some, and crashes at one."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    content = mat.read_bytes()
    for place in range(128, 300, 4):
        damaged = bytearray(content)
        struct.pack_into("<I", damaged, place, value)
        (tmp_path / "damaged.mat").write_bytes(damaged)
        with contextlib.suppress(ValueError):  # some numbers do not count
            load_piano_rolls(tmp_path / "damaged.mat")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda file: file[:200], "of which there are"),
        (lambda file: file[:130], "cut off"),
        (
            lambda file: file.replace(b"\x00\x01IM", b"\x00\x02IM"),
            r"version 7\.3: save it with -v7",
        ),
        (lambda file: b"\0" * 300, "without a version"),
        (lambda file: file[:128] + struct.pack("<II", 15, 8) + b"nonsense", "Error"),
    ],
)
def test_other_mat_files_are_named(mat, content, message):
    mat.write_bytes(content(mat.read_bytes()))
    with pytest.raises(DataError, match=rf"two.mat: expected a MATLAB file.*{message}"):
        load_piano_rolls(mat)


def test_what_is_no_mat_file_is_named(tmp_path):
    pytest.importorskip("scipy.io")
    (tmp_path / "wrong.mat").write_bytes(b"no music " * 40)
    with pytest.raises(DataError, match=r"expected a MATLAB file"):
        load_piano_rolls(tmp_path / "wrong.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_json_has_splits_by_several_names(tmp_path, compressed):
    path = tmp_path / ("chorales.json.gz" if compressed else "chorales.json")
    content = {"train": PIECES, "valid": [[[60, -1, None, float("nan"), 62.0]]], "test": PIECES}
    text = json.dumps(content).encode()
    path.write_bytes(gzip.compress(text) if compressed else text)
    assert piano_roll_splits(path) == ("train", "validation", "test")
    assert [chords_of_roll(roll) for roll in load_piano_rolls(path)] == PIECES
    (validation,) = load_piano_rolls(path, split="validation")
    assert chords_of_roll(validation) == [[60, 62]]


def test_a_plain_list_is_all_of_one_split(tmp_path):
    path = tmp_path / "pieces.json"
    path.write_text(json.dumps(PIECES))
    assert piano_roll_splits(path) == ()
    for split in ("train", "validation"):
        assert [chords_of_roll(roll) for roll in load_piano_rolls(path, split=split)] == PIECES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[[60]", r"line 1: expected JSON"),
        ("{}", r"the keys train, valid and test"),
        ('{"train": []}', r"a list of pieces"),
        ("[[]]", r"piece 1 to be a list of frames"),
        ("[[[60], 61]]", r"a list of pitches as piece 1, frame 2, got '61'"),
        ("[[[60]], [[61], [20]]]", r"from 21 to 108 in piece 2, frame 2, got '20'"),
        ("[[[60.5]]]", r"piece 1, frame 1, got '60.5'"),
        ("[[[true]]]", r"piece 1, frame 1, got 'True'"),
        ('[[["60"]]]', r"piece 1, frame 1"),
        ("[[[Infinity]]]", r"piece 1, frame 1, got 'inf'"),
        ("[[[-1e999]]]", r"piece 1, frame 1, got '-inf'"),
        ("[[[" + "9" * 4000 + "]]]", r"piece 1, frame 1, got '999"),
        ("[[[" + "9" * 10_000 + "]]]", r"expected JSON, got a number of thousands of digits"),
        ("[" * 100_000, r"expected JSON, got lists or objects nested too deeply"),
        ('{"train": ' * 5000, r"expected JSON, got lists or objects nested too deeply"),
        ("[" * 500 + "]" * 500, r"a list of pitches as piece 1, frame 1|MIDI numbers"),
    ],
)
def test_wrong_json_is_named(tmp_path, text, message):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_piano_rolls(path)


def test_folders_of_midi_files(tmp_path):
    pytest.importorskip("mido")
    for name in ("train/b.mid", "train/a.midi", "valid/c.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pitch = {"a": 60, "b": 62, "c": 64}[name.split("/")[1][0]]
        write_midi(tmp_path / name, roll_of_chords([[pitch]] * 3))
    assert piano_roll_splits(tmp_path) == ("train", "validation")
    assert [chords_of_roll(r)[0] for r in load_piano_rolls(tmp_path)] == [[60], [62]]
    assert len(load_piano_rolls(tmp_path, split="validation")) == 1
    assert piano_roll_splits(tmp_path / "train") == ()
    assert len(load_piano_rolls(tmp_path / "train", split="validation")) == 2
    (single,) = load_piano_rolls(tmp_path / "train" / "b.mid", frames_per_beat=4)
    assert chords_of_roll(single) == [[62]] * 6
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected MIDI files"):
        load_piano_rolls(tmp_path / "empty")


def test_files_of_a_folder_that_cannot_be_read_are_left_out_with_a_warning(tmp_path):
    pytest.importorskip("mido")
    for name in ("a", "c"):
        write_midi(tmp_path / f"{name}.mid", roll_of_chords([[60]]))
    (tmp_path / "b.mid").write_bytes(b"no music")
    write_midi(tmp_path / "d.mid", np.zeros((4, 88)))
    with pytest.warns(UserWarning, match=r"2 of the 4 MIDI files of .*\n.*b.mid: .*\n.*d.mid: "):
        assert len(load_piano_rolls(tmp_path)) == 2
    for name in ("a", "c"):
        (tmp_path / f"{name}.mid").unlink()
    with pytest.raises(DataError, match=r"expected MIDI files with notes.*\n.*b.mid.*\n.*d.mid"):
        load_piano_rolls(tmp_path)


def test_numpy_numbers_are_numbers(tmp_path):
    rolls = load_piano_rolls("builtin:counterpoint", split="test", frames_per_beat=np.int64(2))
    assert len(rolls) == len(load_piano_rolls("builtin:counterpoint", split="test"))
    for wrong in (np.float32(2), 2.0, "2", None, True, np.int64(0)):
        with pytest.raises(ValueError, match=r"frames_per_beat must be a positive integer, got"):
            load_piano_rolls("builtin:counterpoint", frames_per_beat=wrong)


def test_unknown_sources_and_splits_are_named(tmp_path):
    (tmp_path / "music.wav").write_bytes(b"RIFF")
    for source in ("builtin:choral", "tfds:music", tmp_path / "none.mat", tmp_path / "music.wav"):
        with pytest.raises(ValueError, match=r"Unknown .*Expected builtin:chorales, builtin:count"):
            load_piano_rolls(source)
    with pytest.raises(ValueError, match=r"Unknown split 'dev'. Expected one of train"):
        load_piano_rolls("builtin:counterpoint", split="dev")
    with pytest.raises(ValueError, match=r"frames_per_beat must be a positive integer, got 0"):
        load_piano_rolls("builtin:counterpoint", frames_per_beat=0)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "music21", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"needs music21. Install it: pip install 'kerasrnn\[mus"):
        load_piano_rolls("builtin:chorales")


@pytest.mark.parametrize(
    ("name", "train", "validation"),
    [
        ("JSB_Chorales", (229, 13807), (76, 4602)),
        ("Nottingham", (694, 176561), (173, 45513)),
        ("MuseData", (524, 245202), (135, 82755)),
        ("Piano_midi", (87, 75911), (12, 8540)),
    ],
)
def test_the_data_sets_of_the_literature(name, train, validation):
    pytest.importorskip("scipy.io")
    path = real(f"music/{name}.mat")
    for split, (pieces, frames) in (("train", train), ("validation", validation)):
        rolls = load_piano_rolls(path, split=split)
        assert (len(rolls), sum(map(len, rolls))) == (pieces, frames)
        assert {roll.dtype for roll in rolls} == {np.dtype(np.uint8)}


# === Rolls ===


def test_datasets_hold_the_same_pieces():
    dataset = read_piano_rolls("builtin:counterpoint", split="test")
    rolls = load_piano_rolls("builtin:counterpoint", split="test")
    assert int(dataset.cardinality()) == len(rolls)
    for element, roll in zip(dataset.as_numpy_iterator(), rolls, strict=True):
        np.testing.assert_array_equal(element["roll"], roll)
    batch = next(iter(dataset.padded_batch(4)))["roll"]
    assert tuple(batch.shape) == (4, max(map(len, rolls[:4])), 88)


def test_rolls_are_checked():
    assert check_roll(np.ones((2, 88), bool)).dtype == np.uint8
    for wrong in (np.zeros((0, 88)), np.zeros(88), np.zeros((2, 88, 1))):
        with pytest.raises(DataError, match=r"the shape \(time, 88\)"):
            check_roll(wrong)
    with pytest.raises(DataError, match=r"must hold 0 and 1. Received: <U1"):
        check_roll(np.full((1, 88), "x"))
    with pytest.raises(DataError, match=r"Received: -1 in frame 2, key 4"):
        check_roll(np.array([[0] * 88, [0] * 3 + [-1] + [0] * 84]))


def test_pitches_have_names():
    assert [pitch_name(p) for p in (21, 60, 61, 69, 108)] == ["A0", "C4", "C♯4", "A4", "C8"]
    with pytest.raises(ValueError, match=r"from 21 to 108. Received: 109 in frame 2"):
        roll_of_chords([[60], [109]])
