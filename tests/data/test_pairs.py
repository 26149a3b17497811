"""Files of pairs of texts."""

import gzip

import numpy as np
import pytest

from kerasrnn.data import DataError, TextPair, load_pairs, parse_aligned, parse_pairs, read_pairs
from tests.data.real import real


def write(path, text: str):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["pairs.tsv", "pairs.tsv.gz"])
def test_columns(tmp_path, name):
    file = write(tmp_path / name, "Go.\tVa !\tby A\n\nHi. \t Salut.\r\nOh\t\tby B\n")
    assert parse_pairs(file) == [TextPair("Go.", "Va !"), TextPair("Hi.", "Salut.")]
    assert parse_pairs(file, source_column=1, target_column=0)[0] == TextPair("Va !", "Go.")
    assert load_pairs(file) == parse_pairs(file)


def test_a_line_with_too_few_columns_is_named(tmp_path):
    file = write(tmp_path / "pairs.tsv", "Go.\tVa !\nHi. Salut.\n")
    with pytest.raises(DataError, match=r"pairs.tsv, line 2: expected at least 2 columns .* got 1"):
        parse_pairs(file)
    with pytest.raises(DataError, match=r"line 1: expected at least 4 columns"):
        parse_pairs(file, target_column=3)


def test_columns_must_be_two_numbers(tmp_path):
    file = write(tmp_path / "pairs.tsv", "Go.\tVa !\n")
    with pytest.raises(ValueError, match=r"source_column must be a number, counted from 0, got -1"):
        parse_pairs(file, source_column=-1)
    with pytest.raises(ValueError, match=r"must differ, both are 1"):
        parse_pairs(file, source_column=1)


@pytest.mark.parametrize("column", [np.int64(1), np.uint8(1)])
def test_numpy_integers_are_numbers(tmp_path, column):
    file = write(tmp_path / "pairs.tsv", "Go.\tVa !\tby A\n")
    assert parse_pairs(file, source_column=column, target_column=2) == [TextPair("Va !", "by A")]


@pytest.mark.parametrize("column", [np.float32(1), 1.0, "1", None, True])
def test_other_columns_are_refused_by_name(tmp_path, column):
    file = write(tmp_path / "pairs.tsv", "Go.\tVa !\tby A\n")
    with pytest.raises(ValueError, match=r"target_column must be a number, counted from 0, got"):
        parse_pairs(file, target_column=column)


@pytest.mark.parametrize(
    "header",
    ["source\ttarget", "en\tfr", "English\tFrench\tby", "date\tiso",
     "incorrect\tcorrect", "Article\tSummary", "\n\nEN_us\tpt-BR", "question\tanswer",
     "source_text\ttarget text", "input\toutput", "src\ttrg", '"en"\t"de"'],
)  # fmt: skip
def test_a_header_is_no_pair(tmp_path, header):
    file = write(tmp_path / "pairs.tsv", f"{header}\nGo.\tVa !\nen\tfr\n")
    with pytest.warns(UserWarning, match=r"pairs.tsv, line \d: .* is taken for the names"):
        pairs = load_pairs(file)
    assert pairs == [TextPair("Go.", "Va !"), TextPair("en", "fr")]
    assert len(load_pairs(file, header=False)) == 3
    assert next(iter(read_pairs(file, header=True)))["source"] == "Go."


@pytest.mark.parametrize(
    "first", ["Go.\tVa !", "en\ten", "I\tje", "source\tla source", "dog\tHund"]
)
def test_a_pair_is_no_header(tmp_path, first):
    file = write(tmp_path / "pairs.tsv", f"{first}\nHi.\tSalut.\n")
    assert len(load_pairs(file)) == 2
    assert load_pairs(file, header=True) == [TextPair("Hi.", "Salut.")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Go.;Va !\n", r"line 1: .* got 1: 'Go.;Va !'. Semicolons seem to separate its columns"),
        ("Go.,Va !\n", r"Commas seem to separate its columns: put tabs in their place"),
        (
            '\n{"en": "Go.", "fr": "Va !"}\n{"en": "a"}\n',
            r"line 2: .*separated by tabs, got JSON Li",
        ),
        ('[\n{"en": "Go.", "fr": "Va !"}\n]', r"line 1: .*separated by tabs, got JSON: '\['"),
    ],
)
def test_other_formats_are_named(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        load_pairs(write(tmp_path / "pairs.tsv", content))


def test_nothing_but_empty_texts(tmp_path):
    with pytest.raises(DataError, match=r"expected at least one pair of texts, got none"):
        parse_pairs(write(tmp_path / "pairs.tsv", "a\t\n\tb\n"))


def test_line_aligned_files(tmp_path):
    source = write(tmp_path / "train.en.gz", "Go.\n\nHi.\nOh\u2028no\n")
    target = write(tmp_path / "train.fr", "Va !\n?\nSalut. \nAh\n")
    expected = [TextPair("Go.", "Va !"), TextPair("Hi.", "Salut."), TextPair("Oh\u2028no", "Ah")]
    assert parse_aligned(source, target) == expected
    assert load_pairs(source, target) == expected
    rows = list(read_pairs(source, target).as_numpy_iterator())
    assert [row["source"].decode() for row in rows] == [pair.source for pair in expected]
    assert [row["target"].decode() for row in rows] == [pair.target for pair in expected]


def test_files_of_different_lengths_are_refused(tmp_path):
    source, target = write(tmp_path / "a.en", "1\n2\n3\n"), write(tmp_path / "a.fr", "1\n2\n")
    with pytest.raises(DataError, match=r"a.fr: expected 3 lines, as many as .*a.en has, got 2"):
        parse_aligned(source, target)


def test_unknown_sources_are_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"Unknown source 'no.tsv': no such file. Expected builtin"
    ):
        load_pairs("no.tsv")
    with pytest.raises(ValueError, match=r"target must be None for builtin:dates"):
        load_pairs("builtin:dates", "x")


def test_real_files():
    tatoeba = load_pairs(real("translate/tatoeba-en-fr.tsv"))
    assert len(tatoeba) > 4000
    assert tatoeba[0] == TextPair("Go.", "Va !")
    assert not any("Attribution" in text for pair in tatoeba for text in pair)
    multi = load_pairs(real("translate/multi30k/val.en.gz"), real("translate/multi30k/val.de.gz"))
    assert len(multi) == 1014
