"""The table of music: what is measured, and that it is measured once."""

import itertools
import json

import pytest

from benchmarks import music
from kerasrnn.networks.music import OUTPUTS
from tests.data.test_piano_rolls import cells
from training import music as script
from training.flags import parse_config


def test_the_flags_are_those_of_the_script():
    for dataset, cell, outputs in itertools.product(music.DATASETS, music.CELLS, OUTPUTS):
        flags = music.flags_of(dataset, cell, outputs, 2)
        config = parse_config(script.MusicConfig, flags, name="music", description="")
        assert (config.cell, config.seed, config.outputs) == (cell, 2, outputs)
        assert config.data == f"music/{dataset}.mat"
        assert None not in (config.units, config.epochs, config.chunk, config.dropout)


@pytest.mark.slow
def test_figures_are_added_once(tmp_path, monkeypatch, capsys):
    io = pytest.importorskip("scipy.io")
    from kerasrnn.data import parse_counterpoint

    rolls = [roll[:24] for roll in parse_counterpoint(pieces=4)]
    path = tmp_path / "toy.mat"
    io.savemat(path, {"traindata": cells(*rolls[:3]), "validdata": cells(rolls[3])})
    small = ["--units", "4", "--epochs", "2", "--chunk", "8", "--learning-rate", "0.01"]
    monkeypatch.setattr(
        music,
        "flags_of",
        lambda dataset, cell, outputs, seed: (
            ["--data", str(path), "--cell", cell, "--outputs", outputs, *small]
        ),
    )
    out = tmp_path / "results" / "music.json"
    flags = ["--datasets", "JSB_Chorales", "--cells", "gru", "--seeds", "1", "--out", str(out)]
    music.main(flags)
    results = json.loads(out.read_text())
    (run,) = results["runs"]
    assert (run["dataset"], run["cell"], run["epochs"]) == ("JSB_Chorales", "gru", 2)
    assert run["outputs"] == "independent"
    assert run["validation"]["nll"] > 0
    assert run["command"].startswith("python -m training.music --data")
    before = out.read_bytes()
    music.main(flags)
    assert out.read_bytes() == before
    music.main([*flags, "--outputs", "nade"])
    kinds = [run["outputs"] for run in json.loads(out.read_text())["runs"]]
    assert kinds == ["independent", "nade"]
    assert "nats a frame" in capsys.readouterr().out
