"""Labelled texts of TFDS, of data sets that TFDS itself prepares from a few examples."""

import numpy as np
import pytest

from kerasrnn.data import DataError, UnlabelledError, load_texts, parse_tfds_texts

tfds = pytest.importorskip("tensorflow_datasets")

EXAMPLES = {
    "train": [("A fine film.", 1), ("Dull. Ünbearable.", 0), ("  ", 0)],
    "validation": [("Fine", 1)],
    "test": [("Who knows", -1)],
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """`tiny_reviews`, with the features of GLUE's SST-2, and `tiny_stars`, without usual names."""
    folder = tmp_path_factory.mktemp("tfds")

    class Base(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _split_generators(self, manager):
            return {name: self._generate_examples(rows) for name, rows in EXAMPLES.items()}

    class TinyReviews(Base):
        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "sentence": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=["negative", "positive"]),
                    "idx": tfds.features.Scalar(np.int32),
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, rows):
            for number, (text, label) in enumerate(rows):
                yield number, {"sentence": text, "label": label, "idx": number}

    class TinyStars(Base):
        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "headline": tfds.features.Text(),
                    "remark": tfds.features.Text(),
                    "stars": tfds.features.Scalar(np.int64),
                }
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _generate_examples(self, rows):
            for number, (text, label) in enumerate(rows):
                yield number, {"headline": "h", "remark": text, "stars": label + 4}

    for builder in (TinyReviews, TinyStars):
        builder(data_dir=str(folder)).download_and_prepare()
    return folder


def pairs(texts):
    return sorted((text.text, text.label) for text in texts)  # TFDS shuffles while preparing


def test_classes_are_names_again_and_empty_texts_left_out(prepared):
    texts = parse_tfds_texts("tiny_reviews", data_dir=prepared)
    assert pairs(texts) == [("A fine film.", "positive"), ("Dull. Ünbearable.", "negative")]
    dev = parse_tfds_texts("tfds:tiny_reviews:1.0.0", "dev", data_dir=prepared)
    assert pairs(dev) == [("Fine", "positive")]


def test_labels_that_are_kept_back(prepared):
    with pytest.raises(UnlabelledError, match=r"tiny_reviews: expected a class of label.*test"):
        parse_tfds_texts("tiny_reviews", "test", data_dir=prepared)


def test_features_by_name(prepared):
    texts = parse_tfds_texts(
        "tiny_stars", "validation", text="remark", label="stars", data_dir=prepared
    )
    assert pairs(texts) == [("Fine", "5")]
    with pytest.raises(DataError, match=r"feature with the text.*headline, remark. Name it"):
        parse_tfds_texts("tiny_stars", label="stars", data_dir=prepared)
    with pytest.raises(DataError, match=r"feature with the label.*Name it with label"):
        parse_tfds_texts("tiny_stars", text="remark", data_dir=prepared)
    with pytest.raises(ValueError, match=r"text feature 'stars'.*one of headline, remark"):
        parse_tfds_texts("tiny_stars", text="stars", label="stars", data_dir=prepared)


def test_a_split_that_is_not_there(prepared):
    with pytest.raises(DataError, match=r"expected a split of .*got 'unsupervised'"):
        parse_tfds_texts("tiny_reviews", "unsupervised", data_dir=prepared)


def test_unprepared_is_said_at_once(tmp_path, monkeypatch):
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path))
    for name in ("imdb_reviews", "glue/sst2"):
        with pytest.raises(DataError, match=rf"{tmp_path}.*download_and_prepare"):
            load_texts(f"tfds:{name}")
    assert not list(tmp_path.iterdir())
