import pytest

from kerasrnn.data import DataError, load_sentences, parse_conll
from kerasrnn.data.conllu import FIELDS


def test_files_by_their_names(tmp_path):
    columns = tmp_path / "train.txt"
    columns.write_text("Rome X I-LOC\n")
    assert load_sentences(columns)[0].tags == ("I-LOC",)
    assert load_sentences(str(columns), column="1")[0].tags == ("X",)
    assert load_sentences(columns, column=-2)[0].tags == ("X",)
    assert load_sentences(columns, scheme="bioes")[0].tags == ("S-LOC",)
    treebank = tmp_path / "dev.conllu"
    treebank.write_text("\t".join(["1", *FIELDS[1:]]) + "\n")
    assert load_sentences(treebank)[0].tags == ("upos",)
    assert load_sentences(treebank, column="deprel")[0].tags == ("deprel",)
    with pytest.raises(DataError, match=r"dev.conllu, line 1: expected a tag of scheme BIO"):
        load_sentences(treebank, scheme="BIO")


@pytest.mark.parametrize(
    "source", ["no.conll", "builtin:entitys", "builtin:", "tfds:", "entities", "ftp://x/y.conll"]
)
def test_unknown_sources_name_the_valid_ones(source):
    expected = f"Unknown source '{source}'.*builtin:entities, tfds:NAME or the path of a file"
    with pytest.raises(ValueError, match=expected):
        load_sentences(source)


def test_columns_that_do_not_fit_the_source(tmp_path):
    path = tmp_path / "train.conll"
    path.write_text("Rome LOC\n")
    with pytest.raises(ValueError, match=r"column of train.conll must be a number.*got 'upos'"):
        load_sentences(path, column="upos")
    with pytest.raises(ValueError, match=r"column must be None for builtin:entities"):
        load_sentences("builtin:entities", column=1)
    with pytest.raises(ValueError, match=r"column of tfds:conll2003 must be the name of a feature"):
        load_sentences("tfds:conll2003", column=1)
    with pytest.raises(ValueError, match=r"Unknown scheme 'BIOS'"):
        load_sentences(path, scheme="BIOS")
    with pytest.raises(ValueError, match=r"Unknown column '3'. Expected one of upos"):
        treebank = tmp_path / "dev.conllu"
        treebank.write_text("\t".join(["1", *FIELDS[1:]]) + "\n")
        load_sentences(treebank, column=3)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_embedded_corpus(split):
    sentences = load_sentences("builtin:entities", split=split)
    assert {tag[2:] for s in sentences for tag in s.tags} == {"", "PER", "LOC", "ORG", "MISC"}
    assert any("ambiguous" in s.metadata for s in sentences)
    in_bioes = load_sentences("builtin:entities", split=split, scheme="BIOES")
    assert any(tag.startswith("S-") for s in in_bioes for tag in s.tags)


def test_embedded_corpus_has_three_splits():
    with pytest.raises(ValueError, match=r"Unknown split 'dev'. Expected one of train, validation"):
        load_sentences("builtin:entities", split="dev")


def test_paths_with_a_colon_are_paths(tmp_path, monkeypatch):
    (tmp_path / "a:b.conll").write_text("Rome B-LOC\n")
    monkeypatch.chdir(tmp_path)
    assert load_sentences("a:b.conll") == parse_conll("a:b.conll")
