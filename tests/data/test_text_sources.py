import pytest

from kerasrnn.data import load_texts

tfds = pytest.importorskip("tensorflow_datasets")


def test_files(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("text\ta\tb\nx\ty\tz\n")
    (text,) = load_texts(path, label="b")
    assert (text.text, text.label) == ("x", "z")
    (text,) = load_texts(str(path), text="1", label="0")
    assert (text.text, text.label) == ("y", "x")


@pytest.mark.parametrize(
    "source", ["no.tsv", "builtin:language", "builtin:", "tfds:", "languages", "ftp://x/y.tsv"]
)
def test_unknown_sources_name_the_valid_ones(source):
    expected = f"Unknown source '{source}'.*builtin:languages, tfds:NAME or the path of a file"
    with pytest.raises(ValueError, match=expected):
        load_texts(source)


def test_features_of_tfds_have_names():
    with pytest.raises(ValueError, match=r"label of tfds:imdb_reviews must be the name.*got 1"):
        load_texts("tfds:imdb_reviews", label=1)
