"""A teacher of a few thousand weights, from its encoder to the file that a student reads."""

import json
import sys

import numpy as np
import pytest

from kerasrnn.embeddings import write_vectors
from tests.training.conftest import FLAGS
from tests.zoo.conftest import toy_sentences
from training import tagger, teacher
from training.soft_labels import SoftLabels


@pytest.fixture(scope="session")
def places(tmp_path_factory, conll):
    """An encoder with random weights, and vectors for its words."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("teacher")
    words = sorted({word.lower() for s in toy_sentences() for word in s.tokens})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    encoder = folder / "encoder"
    encoder.mkdir()
    (encoder / "vocab.txt").write_text("\n".join([*special, *words]), encoding="utf-8")
    transformers.BertTokenizerFast(vocab=str(encoder / "vocab.txt")).save_pretrained(encoder)
    transformers.set_seed(1)
    config = transformers.BertConfig(
        vocab_size=len(words) + len(special),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    transformers.BertModel(config).save_pretrained(encoder)
    vectors = np.random.default_rng(2).normal(size=(len(words), 4))
    write_vectors(folder / "vectors.txt", words, vectors)
    (folder / "more.txt").write_text("He lives in Paris .\nToo short\n", encoding="utf-8")
    return folder


def taught(places, task: str, data, *more: str) -> SoftLabels:
    out = places / "out.npz"
    flags = [
        *("--data", str(data), "--validation", str(data), "--encoder", str(places / "encoder")),
        *("--embeddings", str(places / "vectors.txt"), "--unlabelled", str(places / "more.txt")),
        *("--epochs", "25", "--learning-rate", "0.005", "--batch-size", "8", "--copies", "1"),
    ]
    teacher.main([task, *flags, *more, "--out", str(out)])
    return SoftLabels.load(out)


@pytest.mark.slow
def test_a_teacher_of_taggers(places, conll, tmp_path, no_export, capsys):
    soft = taught(places, "tagger", conll)
    sentences = toy_sentences()
    words = [list(s.tokens) for s in sentences]
    count = len(sentences)
    assert soft.texts[:count] == soft.texts[count : 2 * count] == words
    assert soft.texts[2 * count] == ["He", "lives", "in", "Paris", "."]
    assert len(soft.texts) == 3 * count + 1
    right = [
        [soft.labels[i] for i in row.argmax(1)] == list(s.tags)
        for s, row in zip(sentences, soft.probabilities, strict=False)
    ]
    assert np.mean(right) > 0.9
    # Half of it is what the data says.
    tags = [soft.labels.index(tag) for s in sentences for tag in s.tags]
    mixed = np.concatenate(soft.probabilities[:count])
    assert mixed[np.arange(len(tags)), tags].min() > 0.49
    assert "teachers, validation: accuracy" in capsys.readouterr().out
    flags = ["--data", str(conll), "--no-crf", "--epochs", "6", *FLAGS]
    soft_flags = ["--soft-labels", str(places / "out.npz"), "--out", str(tmp_path / "run")]
    tagger.main([*flags, *soft_flags])
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["train"]["accuracy"] > 0.8


@pytest.mark.slow
def test_a_teacher_of_classifiers(places, tmp_path):
    table = tmp_path / "table.tsv"
    rows = [f"{' '.join(s.tokens)}\t{s.label}\n" for s in toy_sentences()]
    table.write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    soft = taught(places, "classifier", table, "--cut", "0.5")
    assert soft.labels == ["fact", "question"]
    assert {row.shape for row in soft.probabilities} == {(2,)}
    answers = [soft.labels[row.argmax()] for row in soft.probabilities[: len(rows)]]
    assert np.mean([a == s.label for a, s in zip(answers, toy_sentences(), strict=True)]) > 0.9


def test_the_probabilities_of_a_text_depend_on_no_other(places):
    from training import teacher_network

    forms = dict.fromkeys(("Paris", "in", "is", "long"), 1)
    network = teacher_network.TeacherNetwork(places / "encoder", 3, words=True)
    short, long = ["in", "Paris"], ["long", "is", "Paris"] * 120
    alone = teacher_network.probabilities([network], [short], forms.__getitem__)[0]
    beside = teacher_network.probabilities([network], [short, long], forms.__getitem__)
    np.testing.assert_allclose(beside[0], alone, atol=1e-5)
    assert beside[1].shape == (360, 3)  # longer than the encoder reads
    means = teacher_network.probabilities([network] * 2, [short], forms.__getitem__)[0]
    np.testing.assert_allclose(means, alone, atol=1e-6)


def test_capitals_matter_to_an_encoder_of_small_letters(places):
    torch = pytest.importorskip("torch")
    from training import teacher_network

    network = teacher_network.TeacherNetwork(places / "encoder", 3, words=True)

    def said(form: int):
        return teacher_network.probabilities([network], [["paris"]], lambda word: form)[0]

    np.testing.assert_allclose(said(2), said(1), atol=1e-6)  # until they are learned
    torch.nn.init.normal_(network.capitals.weight)
    assert np.abs(said(2) - said(1)).max() > 1e-3


def test_a_missing_library_is_named(monkeypatch, capsys, conll, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "training.teacher_network", raising=False)
    monkeypatch.delattr("training.teacher_network", raising=False)
    with pytest.raises(SystemExit) as stopped:
        teacher.main(["tagger", "--data", str(conll), "--out", str(tmp_path / "x.npz")])
    assert stopped.value.code == 2
    assert "pip install 'kerasrnn[teacher]'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--replaced", "1.5"], "--replaced must be at least 0 and below 1"),
        (["--epochs", "0"], "--epochs must be at least 1"),
        (["--learning-rate", "nan"], "--learning-rate must be a finite number, above 0"),
        (["--copies", "-1"], "--copies must be at least 0"),
        (["--encoder", "no/such/folder"], "--encoder must be a folder or the name"),
    ],
)
def test_wrong_flags_are_named_at_once(
    places, conll, tmp_path, capsys, monkeypatch, flags, message
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = ["--encoder", str(places / "encoder"), "--out", str(tmp_path / "x.npz")]
    with pytest.raises(SystemExit):
        teacher.main(["tagger", "--data", str(conll), *out, *flags])
    assert message in capsys.readouterr().err


def test_files_of_texts(tmp_path):
    (tmp_path / "a.conll").write_text("In O\nParis B-LOC\n\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("label\ttext\ngood\tIt 's fine\n", encoding="utf-8")
    (tmp_path / "c.tsv").write_text("Go away.\tVa-t'en.\tx\nGo away.\tVa.\ty\n", encoding="utf-8")
    (tmp_path / "d.txt").write_text("Don't go!\n", encoding="utf-8")
    found = {path.name: teacher.read_words(str(path)) for path in sorted(tmp_path.iterdir())}
    assert found == {
        "a.conll": [["In", "Paris"]],
        "b.tsv": [["It", "'s", "fine"]],
        "c.tsv": [["Go", "away", "."]],
        "d.txt": [["Do", "n't", "go", "!"]],
    }
