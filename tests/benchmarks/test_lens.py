"""The benchmark of the callback's cost runs as a whole, and goes on where it stopped."""

import json

import pytest

from benchmarks import lens


def results(ratio):
    def of(seconds):
        return {"seconds": seconds, "weights": "a", "measurements": 3, "horizon": 2.0, "own": 0.3}

    rounds = [{"without": of(10.0), "with": of(10.0 * ratio)} for _ in range(3)]
    rounds.append({"without": of(10.0)})  # broken off
    return {
        "settings": {"threads": 2, "epochs": None},
        "machine": {"cores": 2},
        "started": "today",
        "runs": {"keras": rounds},
    }


def test_the_table():
    found = results(1.04)
    assert (
        lens.markdown(found)
        .rstrip()
        .endswith(
            "| 3 | 10.0 ± 0.0 | 10.4 ± 0.0 | 1.040 | 1.040 to 1.040 | 3.0 ± 0.0 % | 3 | yes |"
        )
    )
    found["runs"]["keras"][0]["with"]["weights"] = "b"
    assert lens.markdown(found).rstrip().endswith("| NO |")


@pytest.mark.slow
def test_a_small_run(tmp_path, monkeypatch):
    flags = ["--epochs", "1", "--rounds", "1", "--out", str(tmp_path)]
    found = lens.main(flags)
    assert set(found["runs"]) == {"keras", "tagger"}
    for (only,) in found["runs"].values():
        assert only["with"]["weights"] == only["without"]["weights"]
        assert only["with"]["measurements"] >= 2
        assert 0 < only["with"]["own"] < only["with"]["seconds"]
    monkeypatch.setattr(lens, "ask", None)  # nothing is done again
    assert lens.main(flags)["runs"] == json.loads((tmp_path / "lens.json").read_text())["runs"]
    assert (tmp_path / "lens.md").read_text().count("| yes |") == 2
