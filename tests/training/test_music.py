"""`python -m training.music` from its flags to its folder."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import load_piano_rolls, parse_counterpoint, parse_midi, write_midi
from kerasrnn.zoo import MusicModel
from tests.data.real import real
from tests.data.test_piano_rolls import cells
from tests.training.conftest import figures, killed_after
from training import music

SMALL = [
    *("--units", "8", "--nade-units", "4", "--batch-size", "4", "--chunk", "16"),
    *("--learning-rate", "0.03", "--dropout", "0.1"),
]


@pytest.fixture(scope="module")
def rolls() -> list[np.ndarray]:
    return [roll[:40] for roll in parse_counterpoint(pieces=8)]


@pytest.fixture(scope="module")
def mat(rolls, tmp_path_factory) -> Path:
    io = pytest.importorskip("scipy.io")
    path = tmp_path_factory.mktemp("data") / "toy.mat"
    io.savemat(path, {"traindata": cells(*rolls[:6]), "validdata": cells(*rolls[6:])})
    return path


@pytest.fixture(scope="module")
def finished(mat, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    music.main([*SMALL, "--data", str(mat), "--epochs", "4", "--out", str(folder)])
    return folder


def column(folder: Path, name: str) -> list[float]:
    """A column of `history.csv`."""
    with open(folder / "history.csv") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


# === What a run leaves ===


@pytest.mark.slow
def test_the_folder_is_as_designed(finished):
    for name in (
        "config.toml",
        "metrics.json",
        "history.csv",
        "plots/learning_curves.png",
        "plots/foresight.png",
        "plots/continuations.png",
        "checkpoints/latest.npz",
        "preset/model.weights.h5",
        "savedmodel/1/saved_model.pb",
        "savedmodel/1/assets.extra/tf_serving_warmup_requests",
    ):
        assert (finished / name).is_file(), name
    for picture in (finished / "plots").iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert not list(finished.rglob("*.tmp*"))
    losses = column(finished, "loss")
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_midi_files_begin_as_the_pieces_do(finished, rolls):
    pytest.importorskip("mido")
    files = sorted(path.name for path in (finished / "midi").iterdir())
    assert files == ["continuation_1.mid", "continuation_2.mid", "out_of_silence.mid"]
    read = parse_midi(finished / "midi" / "continuation_1.mid")
    np.testing.assert_array_equal(read[:32], rolls[6][:32])


@pytest.mark.slow
def test_metrics_are_those_of_the_preset(finished, mat):
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["model"] == "MusicModel"
    assert metrics["counted"] == "frames"
    assert metrics["test"] == {}
    assert set(metrics["train"]) == set(metrics["validation"]) == {"nll"}
    model = MusicModel.from_preset(finished / "preset")
    pieces = load_piano_rolls(mat, split="validation")
    assert metrics["validation"]["nll"] == pytest.approx(model.evaluate(pieces)["nll"], rel=1e-5)
    assert metrics["validation"]["nll"] == pytest.approx(min(column(finished, "val_nll")), rel=1e-5)


@pytest.mark.slow
def test_the_export_foresees_what_the_preset_foresees(finished, rolls):
    model = MusicModel.from_preset(finished / "preset")
    loaded = tf.saved_model.load(str(finished / "savedmodel" / "1"))
    (request,) = music.SCRIPT.requests(model, music.MusicData([], rolls[6:], [], ""))
    inputs = {
        "rolls": tf.constant(request["rolls"]),
        "lengths": tf.constant(request["lengths"], tf.int32),
    }
    response = loaded.signatures["serving_default"](**inputs)
    order = np.argsort([len(roll) for roll in rolls[6:]], kind="stable")
    for row, index in enumerate(order):
        expected = model.predict([rolls[6 + index]])[0]
        np.testing.assert_allclose(response["probabilities"][row], expected, atol=1e-5)
    served = music.SCRIPT.served({k: v.numpy() for k, v in inputs.items()}, response)
    assert served == 80


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one(finished, mat, tmp_path, no_export):
    folder = tmp_path / "broken"
    flags = [*SMALL, "--data", str(mat), "--epochs", "4", "--out", str(folder)]
    with killed_after(2):
        music.main(flags)
    music.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)
    assert column(folder, "loss") == column(finished, "loss")


# === Presets ===


@pytest.mark.slow
def test_a_preset_is_only_measured(finished, mat, tmp_path, capsys):
    folder = tmp_path / "measured"
    preset = ["--preset", str(finished / "preset"), "--evaluate-only"]
    music.main([*preset, "--data", str(mat), "--test", str(mat), "--out", str(folder)])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 0
    assert metrics["validation"] == figures(finished)["validation"]
    # A file without a part of that name gives its first.
    assert metrics["test"] == metrics["train"]
    assert "the model goes on" in capsys.readouterr().out


@pytest.mark.slow
def test_a_preset_brings_its_own_network(finished, mat, tmp_path, capsys):
    flags = ["--preset", str(finished / "preset"), "--data", str(mat), "--outputs", "nade"]
    with pytest.raises(SystemExit):
        music.main([*flags, "--out", str(tmp_path / "run")])
    assert "--preset brings its own network: --outputs" in capsys.readouterr().err


# === Data ===


@pytest.mark.slow
def test_json_and_independent_outputs(rolls, tmp_path, no_export):
    path = tmp_path / "pieces.json"
    path.write_text(json.dumps([[(np.nonzero(f)[0] + 21).tolist() for f in r] for r in rolls]))
    folder = tmp_path / "run"
    flags = [*SMALL, "--outputs", "independent", "--transpose", "3", "--cell", "gru"]
    music.main([*flags, "--data", str(path), "--epochs", "1", "--out", str(folder)])
    model = MusicModel.from_preset(folder / "preset")
    assert model.settings["outputs"] == "independent"
    data = music.SCRIPT.load_data(music.MusicConfig(data=str(path)))
    assert data.sizes() == {
        **{"train_pieces": 7, "validation_pieces": 1, "test_pieces": 0},
        **{"train_frames": 273, "validation_frames": 39, "test_frames": 0},
    }


@pytest.mark.slow
def test_midi_files_and_folders(rolls, tmp_path, no_export):
    pytest.importorskip("mido")
    (tmp_path / "pieces").mkdir()
    for number, roll in enumerate(rolls[:3]):
        write_midi(tmp_path / "pieces" / f"{number}.mid", roll)
    load = music.SCRIPT.load_data
    data = load(music.MusicConfig(data=str(tmp_path / "pieces")))
    assert (len(data.train), len(data.validation)) == (2, 1)
    # The end of a single piece is held out.
    single = str(tmp_path / "pieces" / "0.mid")
    data = load(music.MusicConfig(data=single))
    assert [len(data.train[0]), len(data.validation[0])] == [36, 4]
    folder = tmp_path / "run"
    music.main([*SMALL, "--data", single, "--epochs", "1", "--out", str(folder)])
    assert np.isfinite(json.loads((folder / "metrics.json").read_text())["validation"]["nll"])


def test_the_default_needs_no_file(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    data = music.SCRIPT.load_data(music.MusicConfig())
    assert data.source == "builtin:counterpoint"
    assert (len(data.train), len(data.validation), len(data.test)) == (160, 20, 20)


def test_wrong_flags_and_files_are_named(mat, tmp_path, capsys):
    (tmp_path / "wrong.json").write_text("[[[60], [130]]]")
    for number, (flags, message) in enumerate(
        (
            (["--data", str(mat), "--bidirectional"], "--bidirectional"),
            (["--data", str(mat), "--transpose", "-2"], "--transpose must be 0 or more"),
            (["--data", str(tmp_path / "wrong.json")], "piece 1, frame 2"),
            (["--data", str(tmp_path / "none.mat")], "no such file"),
        )
    ):
        folder = tmp_path / str(number)
        with pytest.raises(SystemExit) as stop:
            music.main([*SMALL, *flags, "--out", str(folder)])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
        assert not (folder / "checkpoints").exists()


def test_the_chorales_of_the_literature_are_read():
    pytest.importorskip("scipy.io")
    data = music.SCRIPT.load_data(music.MusicConfig(data=str(real("music/JSB_Chorales.mat"))))
    assert data.sizes()["train_frames"] == 13578
    filled = music.SCRIPT.with_defaults(music.MusicConfig(), data)
    assert None not in (filled.units, filled.epochs, filled.chunk, filled.dropout)
