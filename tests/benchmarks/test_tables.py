"""Published tables: what stands in them comes from the files of results, and those from runs."""

import json
import re
from dataclasses import replace

import pytest

from benchmarks import tables
from benchmarks.processes import ROOT
from benchmarks.published import EXPERIMENTS, FROM_MEMORY, MUSIC, SOLVED_AFTER
from training.flags import parse_config
from training.memory import SCRIPT, TASKS

BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def run(seed: int, figure: float | None, name: str) -> dict:
    experiment = BY_NAME[name]
    values = {"seed": seed, "parameters": 1000, "seconds": 10.0, "sequences": 5000, "cell": "gru"}
    if experiment.figure == SOLVED_AFTER:
        return {**values, SOLVED_AFTER: figure, "test": {}}
    return {**values, "test": {experiment.figure: figure}}


def write(folder, name: str, figures: list) -> None:
    values = {
        "command": "a command",
        "machine": {"processor": "a CPU", "cores": 2},
        "measured": "today",
        "runs": [run(seed, figure, name) for seed, figure in enumerate(figures, start=1)],
    }
    (folder / f"{name}.json").write_text(json.dumps(values))


def line(text: str, start: str) -> list[str]:
    found = next(row for row in text.splitlines() if row.startswith(f"| {start}"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_table_is_up_to_date():
    """`python -m benchmarks.tables` writes it."""
    path = tables.RESULTS / tables.TABLE
    assert path.read_text(encoding="utf-8") == tables.render()


def test_committed_results_are_of_the_commands_that_stand_in_the_table():
    for experiment in EXPERIMENTS:
        path = tables.RESULTS / f"{experiment.name}.json"
        if path.is_file():
            values = json.loads(path.read_text(encoding="utf-8"))
            assert values["command"] == tables.command_of(experiment, "SEED"), path


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_commands_can_be_parsed(experiment):
    words = tables.command_of(experiment, 1).split()
    assert words[:3] == ["python", "-m", "training.memory"]
    config = parse_config(SCRIPT.config_class, words[3:], name="memory", description="")
    assert config.task == experiment.name
    assert config.until_solved == (experiment.figure == SOLVED_AFTER)


def test_the_sizes_are_those_of_the_published_models():
    """70 K and 16 K parameters, T = 600 and 1000."""
    for name, parameters, steps in (("adding", 70_000, 600), ("copy", 16_000, 1020)):
        words = BY_NAME[name].arguments.split()
        config = parse_config(SCRIPT.config_class, words, name="memory", description="")
        data = SCRIPT.load_data(config)
        assert data.test.inputs.shape[1] == steps
        model = SCRIPT.make_model(SCRIPT.with_defaults(config, data), data)
        assert model.count_params() == pytest.approx(parameters, rel=0.06)


def test_published_figures_in_pictures_are_those_of_the_table():
    for name, length in (("adding", 600), ("copy", 1000)):
        drawn = TASKS[name].published[length]
        assert sorted(drawn.values()) == sorted(BY_NAME[name].published.values())


def test_a_row_shows_mean_spread_and_whether_the_aim_is_reached(tmp_path):
    write(tmp_path, "adding", [3e-5, 5e-5, 4e-5])
    write(tmp_path, "copy", [2e-3])
    text = tables.render(tmp_path)
    adding, copy = line(text, "adding"), line(text, "copy")
    assert adding[3:5] == ["gru 4e-05 ± 1e-05 (3 seeds)", "yes"]
    assert copy[3:5] == ["gru 0.002 (1 seed)", "no"]
    assert adding[5:8] == ["1,000", "5,000", "10"]
    assert "seed 2: 5e-05" in text
    assert line(text, "temporal order, 2")[3] == "not measured yet"


def test_a_seed_that_was_not_solved_counts(tmp_path):
    write(tmp_path, "reber", [3000, None, 4000])
    write(tmp_path, "temporal_order", [None])
    text = tables.render(tmp_path)
    reber = line(text, "embedded Reber")
    assert reber[1] == "LSTM 8,440–39,740"
    assert reber[3] == "gru 3,500 ± 707 (2 seeds); 1 of 3 seeds not solved"
    assert reber[4] == "no"
    assert line(text, "temporal order, 2")[3:5] == ["gru: not solved", "no"]


def test_figures_from_memory_are_marked():
    text = tables.render()
    for source in FROM_MEMORY:
        section = text.split(f"## {source}")[1].split("\n## ")[0]
        assert "quoted from memory" in section
    assert "quoted from memory" not in text.split("## Bai")[1].split("\n## ")[0]


def finished(folder, *, fixed: bool, history: str, epochs: int, seed: int = 1) -> None:
    folder.mkdir()
    settings = {"batch_size": 16, "sequences": 500, "fixed": fixed, "until_solved": True}
    settings |= {"task": "reber", "cell": "gru", "seed": seed}
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = "\n".join(["[training]", *lines, "[versions]", 'keras = "3"'])
    (folder / "config.toml").write_text(text)
    metrics = {name: 1 for name in tables._KEPT} | {"epochs": epochs, "seed": seed}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "history.csv").write_text(history)


@pytest.mark.parametrize(
    ("fixed", "solved", "expected"),
    [
        # An epoch of new sequences is 31 batches of 16: five of them are 2,000 and more.
        (False, [0.9, 1, 1, 1, 1, 1], 6 * 496),
        (False, [0.9, 1, 1, 1, 0.99, 1], None),
        (False, [1, 1, 1, 1], None),
        (True, [0.9, 1], 1000),
        (True, [1, 0.9], None),
    ],
)
def test_solved_after_is_read_from_the_history(tmp_path, fixed, solved, expected):
    name = "val_solved" if fixed else "solved"
    history = "\n".join([name, *map(str, solved)])
    finished(tmp_path / "run", fixed=fixed, history=history, epochs=len(solved))
    run = tables.run_of(tmp_path / "run")
    assert run[SOLVED_AFTER] == expected
    assert run["sequences"] == len(solved) * (500 if fixed else 496)


@pytest.fixture
def measuring(tmp_path, monkeypatch):
    """The folders whose runs were started; one that is new ends at once, one gone on with not."""
    started: list[str] = []

    def fake(command, **_):
        folder = tables.Path(command[command.index("--out") + 1])
        started.append(f"{folder.name} {'again' if command[-1] == '--resume' else 'new'}")
        if not folder.exists():
            seed = int(folder.name.rpartition("-")[2])
            finished(folder, fixed=True, history="val_solved\n1", epochs=1, seed=seed)

    monkeypatch.setattr(tables.subprocess, "run", fake)
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    return started


def test_a_row_is_measured_run_by_run_and_goes_on(tmp_path, measuring):
    experiment = replace(BY_NAME["reber"], arguments="--task reber")
    (tmp_path / "reber-2").mkdir()
    (tmp_path / "reber-2" / "config.toml").write_text("")
    finished(tmp_path / "reber-1", fixed=True, history="val_solved\n1", epochs=1)
    tables.measure(experiment, (1, 2, 3), tmp_path)
    assert measuring == ["reber-2 again", "reber-3 new"]

    def seeds() -> list[int]:
        values = json.loads((tmp_path / "results" / "reber.json").read_text())
        return [run["seed"] for run in values["runs"]]

    assert seeds() == [1, 3]  # the second one is not done
    # What is there stays, though its folder may be gone.
    (tmp_path / "elsewhere").mkdir()
    tables.measure(experiment, (4, 1), tmp_path / "elsewhere")
    assert measuring[2:] == ["reber-4 new"]
    assert seeds() == [1, 3, 4]
    # Another command makes other figures.
    tables.measure(replace(experiment, arguments="--task reber --cell gru"), (1,), tmp_path)
    assert seeds() == [1]


def test_a_finished_run_of_other_settings_is_refused(tmp_path, measuring):
    finished(tmp_path / "reber-1", fixed=True, history="val_solved\n1", epochs=1)
    experiment = replace(BY_NAME["reber"], arguments="--task reber --batch-size 8")
    with pytest.raises(ValueError, match=r"reber-1 holds a run with --batch-size 16, .* has 8"):
        tables.measure(experiment, (1,), tmp_path)
    assert not (tmp_path / "results").exists()


def test_music_has_a_row_for_each_cell(tmp_path):
    def made(cell: str, seed: int, nll: float) -> dict:
        run = {"dataset": "JSB_Chorales", "cell": cell, "outputs": "independent", "seed": seed}
        figures = {"validation": {"nll": nll}, "test": {}, "parameters": 2000, "seconds": 3.2}
        return {**run, **figures, "command": f"python -m training.music --seed {seed}"}

    runs = [made("gru", 1, 8.0), made("gru", 2, 8.2), made("simple", 1, 9.5)]
    (tmp_path / "music.json").write_text(json.dumps({"runs": runs}))
    text = tables.render(tmp_path)
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in text.splitlines()
        if row.startswith("| JSB Chorales")
    ]
    assert [row[3:7] for row in rows[:2]] == [
        ["gru, independent outputs 8.1 ± 0.141 (2 seeds), validation", "yes", "2,000", "3"],
        ["simple, independent outputs 9.5 (1 seed), validation", "no", "2,000", "3"],
    ]
    assert rows[0][7] == "`python -m training.music --seed 1`"
    # Of the preset, with the figures of its card.
    (preset,) = rows[2:]
    figure = json.loads((ROOT / "zoo/music_jsb/metrics.json").read_text())["runs"][0]["validation"]
    assert preset[3].startswith(f"lstm, nade outputs {figure['nll']:.1f}")
    assert "zoo/music_jsb/config.toml" in preset[7]
    assert line(text, "MuseData")[3] == "not measured yet"
    assert len(MUSIC) == 4


def test_check_and_unknown_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    with pytest.raises(SystemExit):
        tables.main(["--check"])
    tables.main([])
    tables.main(["--check"])
    with pytest.raises(SystemExit):
        tables.main(["subtracting"])
    assert re.search(r"unknown row 'subtracting'. Expected one of adding", capsys.readouterr().err)
