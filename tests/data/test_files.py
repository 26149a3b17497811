"""What is no file of data is refused by name; what looks small does not eat the memory."""

import gzip
import io
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest

from kerasrnn.data import (
    DataError,
    load_pairs,
    load_piano_rolls,
    load_running_texts,
    load_sentences,
    load_texts,
    parse_mat,
    parse_midi,
)
from kerasrnn.data.files import read_arrays, read_lines
from kerasrnn.embeddings import read_terms, read_vectors

READERS = {
    "lines": read_lines,
    "sentences": load_sentences,
    "texts": load_texts,
    "pairs": load_pairs,
    "running texts": load_running_texts,
    "terms": read_terms,
    "vectors": lambda path: read_vectors(path, ["a"]),
    "midi": parse_midi,
    "mat": parse_mat,
    "arrays": read_arrays,
}


@pytest.fixture(params=READERS)
def reader(request):
    if request.param == "mat":
        pytest.importorskip("scipy.io")
    return READERS[request.param]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"pipe: expected a file, got a pipe. Data is read more"):
        reader(tmp_path / "pipe")


def test_devices_and_missing_files_are_refused(tmp_path, reader):
    with pytest.raises(DataError, match=r"/dev/zero: expected a file, got a device"):
        reader("/dev/zero")
    with pytest.raises(ValueError, match=r"none.*(nothing of that name|no such file)"):
        reader(tmp_path / "none")


@pytest.mark.parametrize("load", [load_sentences, load_texts, load_pairs, load_running_texts])
def test_what_is_no_name_at_all(load):
    for source in (None, 3, ["a.txt"]):
        with pytest.raises(TypeError, match=r"source must be a path or a name, got"):
            load(source)
    for source in ("x" * 5000, "a\0b", "\ud800"):
        with pytest.raises(ValueError, match=r"Unknown source"):
            load(source)


def test_a_folder_is_no_file(tmp_path):
    for read in (load_sentences, load_texts, load_pairs):
        with pytest.raises(DataError, match=r"expected a file, got a folder"):
            read(tmp_path)


# === Kinds of files ===


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest of it", "a zip archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        ("Rome LOC\n".encode("utf-16"), "the byte-order mark of UTF-16"),
        ("Rome LOC\n".encode("utf-16-le"), "what may be UTF-16"),
        ("Orléans LOC\n".encode("latin-1"), r"line 1: expected UTF-8 text, got byte 0xe9 at off"),
        (b" \n\t\n\n", "an empty file"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_lines(tmp_path / "a.txt")


def test_lines_of_three_systems(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        (tmp_path / "a.txt").write_bytes(f"a\x85b{end}{end}c\u2028{end}".encode())
        assert read_lines(tmp_path / "a.txt") == ["a\x85b", "", "c\u2028"]


# === Limits ===


def gzip_of_4_gb(path, line):
    """A file of 4 MB: one member of 64 MiB, 64 times."""
    path.write_bytes(64 * gzip.compress(line * (2**26 // len(line))))
    return path


def npz_of_4_tb(path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("texts.npy", header.getvalue())
    return path


def midi_of_44_gb(path):
    track = b"\x00\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\x40\x00\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 1)
    path.write_bytes(header + b"MTrk" + struct.pack(">I", len(track)) + track)
    return path


def mat_of_285_mb(path):
    packed = zlib.compressobj()
    zeros = bytes(2**24)
    data = b"".join(packed.compress(zeros) for _ in range(17)) + packed.flush()
    header = b"MATLAB 5.0".ljust(124) + struct.pack("<HH", 0x100, 0x4D49)
    path.write_bytes(header + struct.pack("<II", 15, len(data)) + data)
    return path


@pytest.mark.parametrize(
    ("load", "line"), [("load_sentences", b"a O\n"), ("read_terms", b"a" + 1000 * b" 1" + b"\n")]
)
def test_a_small_gzip_file_of_huge_text_is_refused_in_little_memory(tmp_path, load, line):
    path = gzip_of_4_gb(tmp_path / "data.tsv.gz", line)
    assert path.stat().st_size < 7e6
    message, peak = in_a_fresh_process(load, path)
    assert re.search(r"expected at most (268,435,456|343,904,000) bytes of data, got more", message)
    assert "KERASRNN_MAX_BYTES" in message
    assert peak < 700e6


def in_a_fresh_process(load, path):
    """The error of a reader, and the most memory, in bytes, that the process took."""
    code = f"""
from kerasrnn.data import *
from kerasrnn.data.files import read_arrays
from kerasrnn.embeddings import read_terms
try:
    {load}({os.fspath(path)!r})
except ValueError as error:
    print(error)
# Not `ru_maxrss`, in which a new process begins with what its parent took.
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs Linux to measure memory")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    message, peak = run.stdout.rsplit("\n", 2)[:2]
    return message, 1024 * int(peak)


@pytest.mark.parametrize(
    ("make", "load", "name", "message"),
    [
        (midi_of_44_gb, "parse_midi", "a.mid", "got 536,870,910 frames that take 47,244,640,080"),
        (npz_of_4_tb, "read_arrays", "a.npz", "an array (1000000000000,) of float32, for which"),
        (
            mat_of_285_mb,
            "parse_mat",
            "a.mat",
            "expected at most 268,435,456 bytes of data, got var",
        ),
    ],
)
def test_a_small_file_that_asks_for_much_is_refused_in_little_memory(
    tmp_path, make, load, name, message
):
    path = make(tmp_path / name)
    if load == "parse_midi":
        assert path.stat().st_size == 37
    error, peak = in_a_fresh_process(load, path)
    assert message in error
    assert peak < 300e6


def test_a_packed_array_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", zeros=np.zeros(2**20, np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 1e4
    monkeypatch.setenv("KERASRNN_MAX_BYTES", "1000000")
    with pytest.raises(DataError, match=r"at most 1,000,000 bytes of data, got arrays that take 1"):
        read_arrays(tmp_path / "a.npz")


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/0": np.array(True), "c": np.array(["x", "yz"])}
    np.savez(tmp_path / "a.npz", **arrays)
    read = read_arrays(tmp_path / "a.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
    np.savez(tmp_path / "b.npz", a=np.array([None]))
    for name in ("b.npz", "c.npz"):
        (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 no archive")
        with pytest.raises(DataError, match=r"expected an .npz file"):
            read_arrays(tmp_path / name)


def test_the_limit_can_be_set(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("Rome\tLOC\n" * 100)
    monkeypatch.setenv("KERASRNN_MAX_BYTES", "899")
    with pytest.raises(DataError, match=r"a.txt: expected at most 899 bytes of data, got 900"):
        read_lines(tmp_path / "a.txt")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"Rome\tLOC\n" * 100))
    with pytest.raises(DataError, match=r"a.gz: expected at most 899 bytes of data, got more"):
        read_lines(tmp_path / "a.gz")
    monkeypatch.setenv("KERASRNN_MAX_BYTES", "900")
    assert len(read_lines(tmp_path / "a.txt")) == len(read_lines(tmp_path / "a.gz")) == 100
    monkeypatch.setenv("KERASRNN_MAX_BYTES", "2 GB")
    with pytest.raises(ValueError, match=r"KERASRNN_MAX_BYTES must be a number of bytes.*'2 GB'"):
        read_lines(tmp_path / "a.txt")


def test_a_large_file_with_a_hole_is_refused_at_once(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match=r"at most 2,147,483,648 bytes of data, got 1,099,511"):
        read_lines(tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"a line of at most 16,777,216 bytes"):
        read_terms(tmp_path / "a.txt")


def test_json_that_would_become_many_lists_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("[" + "[]," * 1000 + "[]]")
    monkeypatch.setenv("KERASRNN_MAX_BYTES", "100000")
    with pytest.raises(DataError, match=r"a.json: expected at most 100,000 bytes of data"):
        load_piano_rolls(tmp_path / "a.json")


@pytest.mark.parametrize(
    "head",
    [
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 9000) + b"[" * 9000,
        b"\x93NUMPY\x01\x00\x08\x00" + b"(" * 8,
        b"\x93NUMPY\x01\x00\x41\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}".ljust(65)
        + bytes(8),
        b"\x93NUMPY\x01\x00\x41\x00"
        + b"{'descr': '|S0', 'fortran_order': False, 'shape': (1099511627776,)}"[:65].ljust(65),
        b"\x93NUMPY\x01\x00\x46\x00"
        + b"{'descr': '|S0', 'fortran_order': False, 'shape': (1099511627776,)}".ljust(70),
    ],
)
def test_the_heads_of_arrays_are_read_with_care(tmp_path, head):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", head)
    with pytest.raises(DataError, match=r"a.npz: expected an .npz file"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="a file that cannot be read")
@pytest.mark.parametrize("read", [read_lines, read_terms, parse_midi])
def test_a_file_whose_reading_fails_is_named(read):
    with pytest.raises(DataError, match=r"/proc/self/mem: expected a file that can be read, got"):
        read("/proc/self/mem")
