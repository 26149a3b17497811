"""Lexicons of installed packages: small ones made here, and the real ones where installed."""

import importlib
import importlib.util
import sys

import numpy as np
import pytest

from kerasrnn.data import DataError
from kerasrnn.embeddings import VECTOR_PACKAGES, LexiconPackage, packages, read_terms, read_vectors
from kerasrnn.embeddings.lexicons import read_census_names, read_vader

VADER = "good\t1.9\t0.9434\t[2, 1]\nBad\t-2.5\t0.67\t[-3, -2]\n\n:)\t2.0\t1.1\t[2, 2]\n"


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A lexicon of three words under the name `tiny`; returns its folder."""
    folder = tmp_path / "tiny_lexicon_for_tests"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "vader_lexicon.txt").write_text(VADER)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    package = LexiconPackage("tiny-lexicon", folder.name, read_vader, 3, "MIT")
    monkeypatch.setattr(packages, "VECTOR_PACKAGES", {"tiny": package})
    return folder


def test_valence_has_a_number_for_each_sign(tiny):
    matrix, found = read_vectors("tiny", ["good", "BAD", "table", ":)", ""])
    expected = [[1.9, 0, 0.9434], [0, 2.5, 0.67], [0, 0, 0], [2.0, 0, 1.1], [0, 0, 0]]
    np.testing.assert_allclose(matrix, expected, rtol=1e-6)
    assert matrix.dtype == np.float32
    assert found.tolist() == [True, True, False, True, False]
    assert read_terms("tiny") == ["good", "bad", ":)"]


def test_a_damaged_line_is_named(tiny):
    (tiny / "vader_lexicon.txt").write_text(VADER + "fine\tvery\n")
    with pytest.raises(DataError, match=r"vader_lexicon.txt.*5.*tabs.*fine"):
        read_terms("tiny")
    (tiny / "vader_lexicon.txt").unlink()
    with pytest.raises(DataError, match=r"vader_lexicon.txt"):
        read_terms("tiny")


def test_names_have_the_logarithm_of_people_in_a_million(tmp_path):
    (tmp_path / "dist.female.first").write_text("MARY  2.629  2.629  1\nRARE  0.000  9.0  9\n")
    (tmp_path / "dist.male.first").write_text("KIM   0.010  0.010  1\n")
    (tmp_path / "dist.all.last").write_text("MARY  0.001  0.001  1\n")
    numbers = read_census_names(tmp_path)
    log = np.log1p
    assert numbers["mary"] == pytest.approx((log(26290), 0, log(10)))
    assert numbers["rare"] == pytest.approx((log(5), 0, 0))
    assert numbers["kim"] == pytest.approx((0, log(100), 0))
    (tmp_path / "dist.male.first").write_text("KIM\n")
    with pytest.raises(DataError, match=r"dist.male.first.*1.*percentage.*KIM"):
        read_census_names(tmp_path)


@pytest.mark.parametrize("name", ["vader", "census-names"])
def test_a_missing_package_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'kerasrnn\[{name}\]'$"):
        read_vectors(name, ["good"])


@pytest.mark.parametrize(
    ("name", "size", "term", "numbers"),
    [
        ("vader", 7494, "beauteous", (2.5, 0, 1.0247)),
        ("census-names", 91910, "smith", (0, 0, np.log1p(10060))),
    ],
)
@pytest.mark.slow
def test_the_real_one(name, size, term, numbers):
    if importlib.util.find_spec(VECTOR_PACKAGES[name].module) is None:
        pytest.skip(f"{VECTOR_PACKAGES[name].distribution} is not installed")
    assert len(read_terms(name)) == size
    np.testing.assert_allclose(read_vectors(name, [term]).matrix[0], numbers, rtol=1e-5)
