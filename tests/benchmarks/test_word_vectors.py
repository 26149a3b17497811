"""The comparison with gensim's training runs as a whole, and goes on where it stopped."""

import json

import numpy as np
import pytest

from benchmarks import word_vectors
from benchmarks.embeddings import PAIRS, QUESTIONS


def corpus(path):
    """Reviews of words of chance, as CSV."""
    words = np.array(["w" + chr(97 + i % 26) + chr(97 + i // 26) for i in range(60)])
    rng = np.random.default_rng(2)
    rows = [
        '"' + " ".join(row) + '.<br />Good, 10!",1' for row in words[rng.integers(0, 60, (90, 9))]
    ]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return words.tolist()


def test_sentences_are_words_in_small_letters(tmp_path):
    source, target = tmp_path / "a.txt", tmp_path / "b.txt"
    source.write_text("It's GOOD. Isn't it? Yes!\nTen of 10\n")
    assert word_vectors.write_sentences(str(source), target) == 7
    assert target.read_text() == "it's good\nisn't it\nten of 10\n"


@pytest.mark.slow
def test_a_small_run(tmp_path, capsys):
    pytest.importorskip("gensim")
    words = corpus(tmp_path / "reviews.csv")
    (tmp_path / QUESTIONS).write_text(f": a\n{' '.join(words[:4])}\n")
    for name in PAIRS.values():
        lines = (f"{words[i]}\t{words[i + 1]}\t{i}" for i in range(5))
        (tmp_path / name).write_text("\n".join(lines))
    flags = ["--corpus", str(tmp_path / "reviews.csv"), "--data", str(tmp_path), "--epochs", "2"]
    flags += ["--dimension", "8", "--seeds", "1", "2", "--out", str(tmp_path)]
    word_vectors.main(flags)
    results = json.loads((tmp_path / "word_vectors.json").read_text())
    assert results["text_words"] == 90 * 11
    for runs in results["runs"].values():
        assert set(runs) == {"1", "2"} and runs["1"]["words"] == 62
        assert runs["1"]["whole"] > runs["1"]["seconds"] > 0
    table = (tmp_path / "word_vectors.md").read_text()
    assert "| words a second in training |" in table and "| WordSim-353, Spearman" in table
    assert str(tmp_path) not in table and "--data DIR" in table
    # What is there is not measured again.
    kept = results["runs"]["gensim"]["2"]
    results["runs"]["ours"].pop("2")
    (tmp_path / "word_vectors.json").write_text(json.dumps(results))
    capsys.readouterr()
    again = word_vectors.main(flags)
    assert "ours, seed 2" in (printed := capsys.readouterr().out) and "gensim, seed" not in printed
    assert again["runs"]["gensim"]["2"] == kept
    assert set(word_vectors.main([*flags, "--window", "3"])["settings"]) == set(results["settings"])
    with pytest.raises(SystemExit):
        word_vectors.main(["--epochs", "0"])
