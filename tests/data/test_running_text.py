"""Running text from files and from what every machine has, and sentences about growing up."""

import gzip
import re
import sys

import pytest

from kerasrnn.data import (
    DataError,
    load_running_texts,
    parse_grew_up_in,
    parse_python_sources,
    read_running_texts,
    stream_running_texts,
)
from kerasrnn.data import running_text as module
from kerasrnn.data.grew_up_in import MEASURED_CLAUSES, TRAINED_CLAUSES, speakers

# === Files ===


def test_a_file_is_one_text_and_its_lines_can_be_texts(tmp_path):
    path = tmp_path / "verse.txt"
    path.write_bytes(b"Tyger, tyger\r\n\r\nburning bright\n")
    assert load_running_texts(path) == ["Tyger, tyger\n\nburning bright\n"]
    assert load_running_texts(path, by_line=True) == ["Tyger, tyger", "burning bright"]
    zipped = tmp_path / "verse.txt.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert load_running_texts(zipped) == load_running_texts(path)
    # A folder's files in order of their names, and what lies below.
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "more.txt").write_text("more\n")
    (tmp_path / "notes.md").write_text("not this\n")
    assert load_running_texts(tmp_path) == ["more\n", *2 * load_running_texts(path)]


def test_faults_of_files_are_named(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(DataError, match=r"empty\.txt.*an empty file"):
        load_running_texts(empty)
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"one\ntwo caf\xe9\n")
    with pytest.raises(DataError, match=r"latin\.txt, line 2: expected UTF-8"):
        load_running_texts(latin)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"expected files \*\.txt"):
        load_running_texts(tmp_path / "none")
    with pytest.raises(ValueError, match=r"no such file\. Expected builtin:python"):
        load_running_texts(tmp_path / "missing.txt")
    with pytest.raises(ValueError, match="Unknown source 'builtin:perl'"):
        load_running_texts("builtin:perl")
    with pytest.raises(DataError, match="expected a prepared data set"):
        load_running_texts("tfds:tiny_shakespeare_of_nobody")


def test_files_are_read_line_by_line(tmp_path):
    verse = "\ufeffTyger, tyger\r\n\r\nburning bright – in\n  \nthe forests"
    (tmp_path / "a.txt").write_bytes(verse.encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"of the night\n"))
    lines = ["Tyger, tyger", "burning bright – in", "the forests"]
    assert list(stream_running_texts(tmp_path / "a.txt")) == lines
    assert list(stream_running_texts(tmp_path)) == [*lines, "of the night"]
    texts = stream_running_texts("builtin:grew_up_in", split="test")
    assert list(texts) == load_running_texts("builtin:grew_up_in", split="test")


@pytest.mark.parametrize("word", ["tyger ", "é ", "日本", "x"])
def test_a_file_that_is_one_line_comes_in_pieces(word, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LONGEST_PIECE", 50)
    text = (word * 100).strip() + "\nlast"
    path = tmp_path / "long.txt"
    path.write_text(text, encoding="utf-8")
    pieces = list(stream_running_texts(path))
    assert "".join(pieces) == text.replace("\n", "")
    assert max(len(piece.encode()) for piece in pieces) <= 100
    if " " in word:
        assert {w for piece in pieces for w in piece.split()} == {word.strip(), "last"}


def test_a_fault_is_named_when_it_is_come_to(tmp_path):
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"one\ntwo caf\xe9\nthree\n")
    lines = stream_running_texts(latin)
    assert next(lines) == "one"
    with pytest.raises(DataError, match=r"latin\.txt, line 2: expected UTF-8 text, got byte 0xe9"):
        next(lines)
    (tmp_path / "zip.txt").write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(DataError, match="got a zip archive"):
        next(stream_running_texts(tmp_path / "zip.txt"))
    (tmp_path / "wide.txt").write_bytes("one".encode("utf-16"))
    with pytest.raises(DataError, match="byte-order mark of UTF-16"):
        next(stream_running_texts(tmp_path / "wide.txt"))
    with pytest.raises(ValueError, match=r"no such file\. Expected builtin:python"):
        next(stream_running_texts(tmp_path / "missing.txt"))
    assert list(stream_running_texts(_written(tmp_path / "empty.txt", "\n"))) == []


def _written(path, text):
    path.write_text(text)
    return path


def test_texts_as_a_dataset(tmp_path):
    path = tmp_path / "verse.txt"
    path.write_text("one\ntwo\n")
    rows = list(read_running_texts(path, by_line=True).as_numpy_iterator())
    assert rows == [{"text": b"one"}, {"text": b"two"}]


def test_a_tfds_data_set_with_texts(monkeypatch):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    class Builder:
        def __init__(self, **features):
            self.info = type("Info", (), {"features": features, "splits": {"train": 1}})

        def as_dataset(self, split, shuffle_files):
            assert (split, shuffle_files) == ("train", False)
            rows = {name: ["a b", " ", "c"] for name in self.info.features}
            return tf.data.Dataset.from_tensor_slices(rows)

    text = tfds.features.Text()
    for features in ({"text": text, "title": text}, {"poem": text}):
        builder = Builder(**features)
        monkeypatch.setattr(module, "prepared_builder", lambda *_, b=builder: b)
        assert load_running_texts("tfds:some") == ["a b", "c"]
        assert list(stream_running_texts("tfds:some")) == ["a b", "c"]
    monkeypatch.setattr(module, "prepared_builder", lambda *_: Builder(one=text, two=text))
    with pytest.raises(DataError, match="expected a feature with the text"):
        load_running_texts("tfds:some")
    with pytest.raises(DataError, match="expected a split of train"):
        monkeypatch.setattr(module, "prepared_builder", lambda *_: Builder(text=text))
        load_running_texts("tfds:some", split="test")


# === Python's own sources ===


def test_every_source_file_is_in_one_split():
    splits = {split: parse_python_sources(split) for split in ("train", "validation", "test")}
    assert splits["train"] == parse_python_sources("train")
    texts = [text for part in splits.values() for text in part]
    share = len(splits["train"]) / len(texts)
    assert 0.85 < share < 0.95
    assert len(splits["validation"]) > 5 and len(splits["test"]) > 5
    assert len(set(texts)) > 0.99 * len(texts)
    assert not any("\r" in text for text in texts)
    # Well-known files are among them, tests are not.
    assert any(text.startswith('"""Heap queue algorithm') for text in texts)
    assert not any("class TestHeap" in text for text in texts)
    with pytest.raises(ValueError, match="Unknown split 'dev'"):
        parse_python_sources("dev")


# === "I grew up in France …" ===


def test_the_language_is_that_of_the_first_country():
    countries = {country: language for language, country in speakers().items()}
    assert countries["France"] == "French"
    assert countries["United States"] == "English"
    assert "Finland" not in countries  # two official languages
    assert len(countries) == len(speakers()) > 40
    for row in parse_grew_up_in("test"):
        match = re.fullmatch(
            r"I grew up in (?:the )?(.+?) and moved to (?:the )?(.+?)(, .+)?, "
            r"therefore I speak (\w+)\.",
            row.text,
        )
        assert match, row.text
        assert match[1] == row.country
        assert countries[match[1]] == match[4] == row.language
        assert countries[match[2]] != row.language
        assert row.text == f"{row.prompt} {row.language}."
        assert row.language not in row.prompt.split()


def test_fillers_grow_and_splits_are_apart():
    rows = {split: parse_grew_up_in(split) for split in ("train", "validation", "test")}
    texts = [row.text for part in rows.values() for row in part]
    assert len(set(texts)) == len(texts)
    assert {row.clauses for row in rows["train"]} == set(TRAINED_CLAUSES)
    assert {row.clauses for row in rows["validation"]} == set(TRAINED_CLAUSES)
    test = [[row.distance for row in rows["test"] if row.clauses == n] for n in MEASURED_CLAUSES]
    means = [sum(part) / len(part) for part in test]
    assert means == sorted(means)
    assert all(len(part) == 100 for part in test)
    assert means[0] < 12 and means[-1] > 80
    # No language is so frequent that a guess would be right often.
    languages = [row.language for row in rows["test"]]
    assert max(languages.count(one) for one in set(languages)) < 60
    with pytest.raises(ValueError, match="Unknown split 'dev'"):
        parse_grew_up_in("dev")


def test_the_distance_counts_words_and_commas():
    row = next(r for r in parse_grew_up_in("test") if r.clauses == 0)
    between = row.prompt.split(row.country, 1)[1]  # " and moved to X, therefore I speak"
    assert row.distance == len(between.replace(",", " ,").replace(" - ", " ").split())


def test_without_babel_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(ImportError, match=r"needs babel.*pip install 'kerasrnn\[training\]'"):
        speakers()
