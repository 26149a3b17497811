import time

import pytest

from kerasrnn.data import DataError, load_sentences, parse_tfds, read_tfds

tfds = pytest.importorskip("tensorflow_datasets")

TEXT = (
    "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n"
    "Zoë NNP B-NP B-PER\nHill NNP I-NP I-PER\n\n"
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A data set prepared by TFDS's own reader of CoNLL files, from a local file."""
    from tensorflow_datasets.core.dataset_builders.conll import conll_dataset_builder_utils

    folder = tmp_path_factory.mktemp("tfds")
    file = folder / "text.conll"
    file.write_text(TEXT, encoding="utf-8")

    class TinyConll(tfds.dataset_builders.ConllDatasetBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = (conll_dataset_builder_utils.CONLL_2003_CONFIG,)

        def _info(self):
            features = self.builder_config.features_dict
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {name: self._generate_examples(str(file)) for name in ("train", "dev")}

    builder = TinyConll(data_dir=str(folder))
    builder.download_and_prepare()
    return folder, builder


def test_classes_are_names_again(prepared):
    sentences = parse_tfds("tiny_conll", data_dir=prepared[0])
    found = {s.tokens: s.tags for s in sentences}  # TFDS shuffles while preparing
    assert found == {("EU", "rejects"): ("B-ORG", "O"), ("Zoë", "Hill"): ("B-PER", "I-PER")}


def test_the_empty_example_of_tfds_is_left_out(prepared):
    folder, builder = prepared
    assert builder.info.splits["train"].num_examples == 3
    assert len(parse_tfds("tiny_conll", data_dir=folder)) == 2


def test_columns_schemes_and_names(prepared):
    folder = prepared[0]
    for name in ("tfds:tiny_conll", "tiny_conll/conll2003", "tiny_conll:1.0.0"):
        sentences = parse_tfds(name, column="pos", data_dir=folder)
        assert sorted(s.tags for s in sentences) == [("NNP", "NNP"), ("NNP", "VBZ")]
    converted = parse_tfds("tiny_conll", scheme="BIOES", data_dir=folder)
    assert sorted(s.tags for s in converted) == [("B-PER", "E-PER"), ("S-ORG", "O")]
    with pytest.raises(
        DataError, match=r"tfds:tiny_conll: expected a tag of scheme BIO.*sentence 1"
    ):
        parse_tfds("tiny_conll", column="pos", scheme="BIO", data_dir=folder)


def test_validation_finds_dev(prepared):
    folder = prepared[0]
    dev = parse_tfds("tiny_conll", "dev", data_dir=folder)
    assert parse_tfds("tiny_conll", "validation", data_dir=folder) == dev
    assert len(parse_tfds("tiny_conll", "validation[:1]", data_dir=folder)) <= 1
    with pytest.raises(DataError, match=r"expected a split of train, dev, got 'test'"):
        parse_tfds("tiny_conll", "test", data_dir=folder)


def test_unknown_column(prepared):
    with pytest.raises(ValueError, match=r"Unknown column 'feats' of tfds:tiny_conll.*ner"):
        parse_tfds("tiny_conll", column="feats", data_dir=prepared[0])


def test_dataset(prepared):
    dataset = read_tfds("tiny_conll", data_dir=prepared[0])
    assert sorted(row["tags"].tolist() for row in dataset.as_numpy_iterator()) == [
        [b"B-ORG", b"O"],
        [b"B-PER", b"I-PER"],
    ]


def test_unprepared_is_said_at_once_and_nothing_is_downloaded(tmp_path):
    start = time.monotonic()
    with pytest.raises(DataError, match=r"expected a prepared data set in") as caught:
        read_tfds("conll2003", "train", data_dir=tmp_path)
    assert time.monotonic() - start < 30
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "tfds.builder('conll2003', data_dir=" in message
    assert "download_and_prepare()" in message
    assert not list(tmp_path.iterdir())


def test_load_sentences_looks_where_tfds_is_told_to(tmp_path, monkeypatch):
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=rf"{tmp_path}.*download_and_prepare"):
        load_sentences("tfds:conll2003")


def test_names_that_do_not_exist(tmp_path):
    with pytest.raises(DataError, match=r"no 'conl2003' of its own; near names: conll2003"):
        parse_tfds("conl2003", data_dir=tmp_path)
    with pytest.raises(ValueError, match=r"Unknown TFDS name 'a/../b'"):
        parse_tfds("a/../b", data_dir=tmp_path)
