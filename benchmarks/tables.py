"""Reproduces published tables, one command for each row, and writes ours beside them.

    python -m benchmarks.tables adding          # measure a row: one training for each seed
    python -m benchmarks.tables                 # write the table from what has been measured

A row is measured by `python -m training.memory`, in a process of its own for each seed, one after
the other. A seed that is in the row's file of results is not done again, as long as the command is
the same; a run that lies in its folder under `runs/tables/` is gone on with. The figures of the
table are kept in `benchmarks/results/NAME.json`, and from these files alone `tables.md` is
written. Music is measured by its own script; `music.json` is read if it is there.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.published import (
    CHUNG,
    EXPERIMENTS,
    FROM_MEMORY,
    MUSIC,
    SOLVED_AFTER,
    Experiment,
    Music,
)
from benchmarks.results import machine, today

RESULTS = ROOT / "benchmarks" / "results"
TABLE = "tables.md"
SEEDS = (1, 2, 3)

_KEPT = ("seed", "parameters", "epochs", "seconds", "train", "validation", "test")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure rows, or write the table.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    names = [experiment.name for experiment in EXPERIMENTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"rows to measure: {names}")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="one run for each")
    parser.add_argument("--runs", type=Path, default=Path("runs/tables"), help="folder of the runs")
    parser.add_argument("--check", action="store_true", help="only say whether tables.md is right")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.rows) - set(names))
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}. Expected one of {', '.join(names)}.")
    for experiment in EXPERIMENTS:
        if experiment.name in options.rows:
            try:
                measure(experiment, options.seeds, options.runs)
            except ValueError as error:
                parser.error(str(error))
    text, path = render(RESULTS), RESULTS / TABLE
    if options.check:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            parser.error(f"{TABLE} is out of date: python -m benchmarks.tables")
        return
    path.write_text(text, encoding="utf-8")
    print(text)


# === Measuring ===


def measure(experiment: Experiment, seeds: Sequence[int], runs: Path) -> None:
    """Train once for each seed that is not among the results, and keep the figures.

    Args:
        experiment: the row.
        seeds: the seeds.
        runs: where the folders of the runs lie.

    Raises:
        ValueError: if a folder holds a finished run with other settings than the row's.
        subprocess.CalledProcessError: if a training ends with an error, or is interrupted; the
            same command goes on with it.
    """
    done = {}
    values = _load(experiment, RESULTS)
    if values is not None and values["command"] == command_of(experiment, "SEED"):
        done = {run["seed"]: run for run in values["runs"]}
    for seed in seeds:
        if seed in done:
            continue
        folder = runs / f"{experiment.name}-{seed}"
        if not (folder / "metrics.json").is_file():
            resume = ["--resume"] if (folder / "config.toml").is_file() else []
            command = command_of(experiment, seed).split()[1:]
            subprocess.run(
                [sys.executable, *command, "--out", str(folder), *resume], cwd=ROOT, check=True
            )
        if (folder / "metrics.json").is_file():
            _check_settings(experiment, seed, folder)
            done[seed] = run_of(folder)
            write(experiment, [done[seed] for seed in sorted(done)], RESULTS)


def command_of(experiment: Experiment, seed: int | str) -> str:
    """The command that trains a row's model once."""
    return f"python -m training.memory {experiment.arguments} --seed {seed}"


def write(experiment: Experiment, runs: Sequence[Mapping[str, Any]], results: Path) -> None:
    """Write a row's file of results.

    Args:
        experiment: the row.
        runs: what `run_of` returned for each seed.
        results: where the file goes.
    """
    values = {
        "command": command_of(experiment, "SEED"),
        "machine": machine(),
        "measured": today(),
        "runs": list(runs),
    }
    results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
    (results / f"{experiment.name}.json").write_text(text, encoding="utf-8")


def _check_settings(experiment: Experiment, seed: int, folder: Path) -> None:
    """Raise a ValueError if a run was made with other flags than a row's command has."""
    # They bring TensorFlow, for which a table that is only written need not wait.
    from training.flags import flag_name, parse_config
    from training.memory import MemoryConfig

    words = command_of(experiment, seed).split()[3:]
    config = parse_config(MemoryConfig, words, name="memory", description="")
    settings = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))["training"]
    for name in sorted(config.given):
        if settings.get(name) != getattr(config, name):
            raise ValueError(
                f"{folder} holds a run with {flag_name(name)} {settings.get(name)!r}, and the row "
                f"has {getattr(config, name)!r}. Move it away, or give another --runs."
            )


def run_of(folder: Path) -> dict[str, Any]:
    """The figures of a finished run that a row keeps.

    Args:
        folder: the run's folder.
    """
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    settings, versions = config["training"], config["versions"]
    size = settings["batch_size"]
    # Of new sequences, an epoch has a whole number of batches.
    count = settings["sequences"]
    count = count if settings["fixed"] else max(1, count // size) * size
    run = {name: metrics[name] for name in _KEPT}
    run |= {"cell": settings["cell"], "sequences": metrics["epochs"] * count}
    if settings["until_solved"]:
        run[SOLVED_AFTER] = _solved_after(folder, settings, count)
    return {**run, "versions": versions}


def _solved_after(folder: Path, settings: Mapping[str, Any], count: int) -> int | None:
    """How many sequences had been seen when the training stopped because the task was solved."""
    with open(folder / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if settings["fixed"]:
        last = [float(rows[-1]["val_solved"])]
    else:
        window = -(-2000 // count)  # epochs, rounded up
        last = [0.0] * (window - len(rows)) + [float(row["solved"]) for row in rows[-window:]]
    return len(rows) * count if all(share == 1 for share in last) else None


# === The table ===


def render(results: Path = RESULTS) -> str:
    """The text of `tables.md`.

    Args:
        results: the folder with a JSON file for each row that has been measured.

    Returns:
        Markdown.
    """
    parts = ["# Published tables, and ours beside them", HOW_TO_READ]
    sources = list(dict.fromkeys(experiment.source for experiment in EXPERIMENTS))
    for source in sources:
        rows = [e for e in EXPERIMENTS if e.source == source]
        parts += [f"## {source}", *_caution(source), _table([_row(e, results) for e in rows])]
        parts += [_details(experiment, results) for experiment in rows]
    parts += [f"## {CHUNG}", *_caution(CHUNG), *_music(results)]
    return "\n\n".join(parts) + "\n"


HOW_TO_READ = """\
How to read the tables: ours is the mean over seeds ± the sample standard deviation, with the number
of seeds behind; lower is better everywhere. “reached” asks whether the mean is at most the aim.
Test sequences are made from a seed of their own and are the same for all. Seconds are those of
training on the machine named, which did other things at the same time."""


def _caution(source: str) -> list[str]:
    if source not in FROM_MEMORY:
        return []
    return ["**The published figures are quoted from memory and not yet checked in the paper.**"]


def _row(experiment: Experiment, results: Path) -> list[str]:
    published = ", ".join(
        f"{model} {_number(figure)}" for model, figure in experiment.published.items()
    )
    row = [experiment.title, published, f"≤ {_number(experiment.aim)}"]
    values = _load(experiment, results)
    if values is None:
        return [*row, "not measured yet", "", "", "", "", ""]
    runs = values["runs"]
    figures = figures_of(experiment, runs)
    cells = ", ".join(dict.fromkeys(run["cell"] for run in runs))
    found = [figure for figure in figures if figure is not None]
    missing = len(figures) - len(found)
    ours = f"{cells} {spread(found)}" if found else f"{cells}: not solved"
    if found and missing:
        ours += f"; {missing} of {len(figures)} seeds not solved"
    reached = not missing and statistics.fmean(found) <= experiment.aim
    return [
        *row,
        ours,
        "yes" if reached else "no",
        _number(statistics.fmean(run["parameters"] for run in runs)),
        _number(statistics.fmean(run["sequences"] for run in runs)),
        _number(round(statistics.fmean(run["seconds"] for run in runs))),
        f"`python -m benchmarks.tables {experiment.name}`",
    ]


def figures_of(experiment: Experiment, runs: Sequence[Mapping[str, Any]]) -> list[float | None]:
    """The figure of each run, None for a task that was not solved."""
    if experiment.figure == SOLVED_AFTER:
        return [run[SOLVED_AFTER] for run in runs]
    return [run["test"][experiment.figure] for run in runs]


def _details(experiment: Experiment, results: Path) -> str:
    text = f"**{experiment.title}**: {experiment.unit}. {experiment.note}".rstrip()
    values = _load(experiment, results)
    if values is None:
        return f"{text} To measure: `{command_of(experiment, 'SEED')}`"
    seeds = "; ".join(
        f"seed {run['seed']}: {'not solved' if figure is None else _number(figure)}"
        for run, figure in zip(values["runs"], figures_of(experiment, values["runs"]), strict=True)
    )
    processor = f"{values['machine']['processor']}, {values['machine']['cores']} cores"
    return f"{text} {seeds}. {values['measured']}, {processor}. `{values['command']}`"


def _load(experiment: Experiment, results: Path) -> dict[str, Any] | None:
    path = results / f"{experiment.name}.json"
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    return values if values["runs"] else None


_HEADER = (
    *("task", "published", "aim", "ours", "reached", "parameters", "sequences", "seconds"),
    "command",
)


def _table(rows: Sequence[Sequence[str]], header: Sequence[str] = _HEADER) -> str:
    marks = ["--:" if name in ("parameters", "sequences", "seconds") else "---" for name in header]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, marks, *rows))


def spread(figures: Sequence[float]) -> str:
    """A mean, a sample standard deviation and how many figures they are of."""
    mean = _number(statistics.fmean(figures))
    if len(figures) == 1:
        return f"{mean} (1 seed)"
    return f"{mean} ± {_number(statistics.stdev(figures))} ({len(figures)} seeds)"


def _number(value: float | tuple[float, float]) -> str:
    """Three digits; whole thousands with commas; a range with a dash."""
    if isinstance(value, tuple):
        return "–".join(map(_number, value))
    if value >= 1000 or (value == int(value) and value >= 10):
        return f"{value:,.0f}"
    return f"{value:.3g}"


# === Music ===


def _music(results: Path) -> list[str]:
    """One row for each data set, cell and kind of outputs.

    They are those of `music.json`, which `benchmarks.music` writes, and those of the zoo's presets.
    """
    path = results / "music.json"
    runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.is_file() else []
    header = (
        *("data set", "published (test)", "aim", "ours", "reached", "parameters", "seconds"),
        "command, for one seed",
    )
    rows = []
    for music in MUSIC:
        published = ", ".join(f"{model} {figure:.2f}" for model, figure in music.published.items())
        best = min(music.published.values())
        row = [music.title, published, f"< {best:.2f}"]
        kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for run in [*runs, *_runs_of_preset(music)]:
            if run["dataset"] == music.name:
                kinds.setdefault((run["cell"], run["outputs"]), []).append(run)
        if not kinds:
            rows.append([*row, "not measured yet", "", "", "", "`python -m benchmarks.music`"])
        for (cell, outputs), group in kinds.items():
            part = "test" if all("nll" in run["test"] for run in group) else "validation"
            figures = [run[part]["nll"] for run in group]
            rows.append(
                [
                    *row,
                    f"{cell}, {outputs} outputs {spread(figures)}, {part}",
                    "yes" if statistics.fmean(figures) < best else "no",
                    _number(statistics.fmean(run["parameters"] for run in group)),
                    _number(round(statistics.fmean(run["seconds"] for run in group))),
                    f"`{group[0]['command']}`",
                ]
            )
    note = (
        "Nats a frame, summed over the 88 keys; the first frame of a piece is not predicted. The "
        "published figures are of test pieces. Where ours are of validation pieces, by which the "
        "best epoch was chosen, “reached” says no more than that they are lower. Outputs of kind "
        "`nade` give a chord's probability key by key, the published models give each key's alone: "
        "only rows of independent outputs compare cells."
    )
    return [note, _table(rows, header)]


def _runs_of_preset(music: Music) -> list[dict[str, Any]]:
    """The runs of a preset, as `benchmarks.music` would have written them."""
    if not music.preset:
        return []
    folder = ROOT / "zoo" / music.preset
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    kind = {name: config["arguments"][name] for name in ("cell", "outputs")}
    runs = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["runs"]
    return [
        {**run, **kind, "dataset": music.name, "command": config["card"]["command"]} for run in runs
    ]


if __name__ == "__main__":
    main()
