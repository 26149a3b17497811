"""A preset of vectors that somebody gives away."""

import json
import tomllib

import numpy as np
import pytest

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.storage.preset_folders import read_index
from kerasrnn.zoo import WordVectors
from training import vectors_preset, zoo_readme

CARD = {
    "summary": "Some words.",
    "data": "Drawn by chance.",
    "licence": "None needed.",
    "limits": "All of them.",
    "example": "WordVectors.from_preset('some')",
    "command": "python -m training.vectors_preset some",
    "spdx": "PDDL-1.0",
    "languages": ["en", "de"],
}


@pytest.fixture
def given(tmp_path, monkeypatch):
    """A data folder with a file of vectors, questions and pairs."""
    words = [f"w{i}" for i in range(1200)]
    matrix = np.random.default_rng(1).normal(size=(1200, 4)).astype("float32")
    folder = tmp_path / "data"
    (folder / "embeddings").mkdir(parents=True)
    EmbeddingMatrix(words, matrix).save(folder / "vectors.txt")
    (folder / vectors_preset.QUESTIONS).write_text(": some\nw1 w2 w3 w4\nw5 w6 w7 w1199\n")
    for path in vectors_preset.PAIRS.values():
        (folder / path).write_text("w1\tw2\t9\nw3\tw4\t5\nw5\tw6\t1\nw7\tw1199\t2\n")
    monkeypatch.setenv("KERASRNN_DATA", str(folder))
    return EmbeddingMatrix(words, matrix)


def test_it_has_the_first_words_and_says_what_they_are_worth(given, tmp_path, capsys):
    card, zoo = tmp_path / "card.toml", tmp_path / "zoo"
    card.write_text("\n".join(f"{key} = {json.dumps(text)}" for key, text in CARD.items()))
    flags = ["--vectors", "vectors.txt", "--limit", "1100", "--zoo", str(zoo)]
    vectors_preset.main(["some", *flags, "--card", str(card)])
    assert str(zoo / "some") in capsys.readouterr().out
    model = WordVectors.from_preset(zoo / "some")
    assert model.vocabulary.terms == given.terms[:1100] and not model.settings["context"]
    step = np.abs(given.matrix[:1100]).max(axis=1, keepdims=True) / 127
    assert (np.abs(model.to_matrix().matrix - given.matrix[:1100]) <= step * 0.51).all()
    metrics = json.loads((zoo / "some" / "metrics.json").read_text())
    assert metrics["runs"] == [] and metrics["speed"]["serving"] > 0
    for part in ("original", "shipped"):
        assert metrics[part]["test"]["questions"] == 1 and metrics[part]["test"]["pairs"] == 3
    original = EmbeddingMatrix(given.terms[:1100], given.matrix[:1100])
    assert metrics["original"]["test"] == vectors_preset.measure(original)
    page, text = (zoo / "README.md").read_text(), (zoo / "some" / "README.md").read_text()
    assert "| [`some`](some/README.md) | `WordVectors` | Some words. | analogies" in page
    assert "| Data | Figure | As given | These weights |" in text and "seed" not in text
    zoo_readme.main(["--zoo", str(zoo), "--check"])
    # Made again, it keeps its texts.
    vectors_preset.main(["some", *flags])
    config = tomllib.loads((zoo / "some" / "config.toml").read_text())
    assert config["card"]["limits"] == CARD["limits"]
    assert not {"summary", "spdx", "languages"} & set(config["card"])
    entry = {"class": "WordVectors", "summary": "Some words."}
    entry |= {"licence": "PDDL-1.0", "languages": ["en", "de"]}
    assert read_index(zoo) == {"some": entry}
    assert (zoo / "some" / "README.md").read_text().startswith("---\nlicense: pddl\n")


def test_what_is_missing_is_named(given, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="A card must have summary"):
        vectors_preset.make("some", "vectors.txt", {"summary": "x"}, tmp_path / "zoo")
    for key, wrong in (("spdx", "free for all"), ("languages", "English")):
        with pytest.raises(ValueError, match=f"`{key}` of a card must be"):
            vectors_preset.make("some", "vectors.txt", {**CARD, key: wrong}, tmp_path / "zoo")
    monkeypatch.delenv("KERASRNN_DATA")
    source = str(tmp_path / "data" / "vectors.txt")
    with pytest.raises(ValueError, match=r"questions-words\.txt"):
        vectors_preset.make("some", source, CARD, tmp_path / "zoo")
    assert not (tmp_path / "zoo").exists()
