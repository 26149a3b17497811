"""The comparison with gensim runs as a whole, and says what it measured."""

import json

import numpy as np
import pytest

from benchmarks import embeddings
from kerasrnn.embeddings import EmbeddingMatrix


@pytest.mark.slow
def test_a_small_run(tmp_path, rng):
    pytest.importorskip("gensim")
    matrix = rng.normal(size=(1200, 6)).astype("float32")
    vectors = EmbeddingMatrix([f"w{i}" for i in range(1200)], matrix)
    vectors.save(tmp_path / "v.bin")
    (tmp_path / embeddings.QUESTIONS).write_text(": a\nw1 w2 w3 w4\nw5 w6 w7 nothing\n")
    for name in embeddings.PAIRS.values():
        (tmp_path / name).write_text("w1\tw2\t3\nw3\tw4\t5\nw5\tw6\t1\nw5\tno\t1\n")
    flags = ["--vectors", str(tmp_path / "v.bin"), "--data", str(tmp_path), "--words", "500"]
    flags += ["--rounds", "2", "--load-rounds", "1", "--calls", "3", "--out", str(tmp_path)]
    embeddings.main(flags)
    results = json.loads((tmp_path / "embeddings.json").read_text())
    assert results["queries"]["difference"] < 1e-6
    assert np.shape(results["queries"]["rounds"]["one"]["gensim"]) == (2,)
    assert all(found["ours"][0]["terms"] == 1200 for found in results["load"].values())
    table = (tmp_path / "embeddings.md").read_text()
    assert "| one query |" in table and "| text, gzip |" in table
    assert "| 3 | 1 |" in table  # pairs, and those with unknown words
    assert str(tmp_path) not in table and "--data DIR" in table
    with pytest.raises(SystemExit):
        embeddings.main(["--rounds", "0"])
