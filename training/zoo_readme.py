"""Writes `zoo/README.md` and the cards of all presets from their `metrics.json`.

`python -m training.zoo_readme` writes them, `--check` only says whether they are up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kerasrnn.embeddings import VECTOR_PACKAGES
from kerasrnn.storage.atomic import replacing_file
from kerasrnn.zoo.presets import read_config, read_index

ZOO = Path(__file__).resolve().parent.parent / "zoo"


class Figure(NamedTuple):
    """How a metric is shown: its name, what it is multiplied by, and its format."""

    title: str
    scale: float = 1.0
    form: str = ".1f"


# The metrics of each class, first the one by which a preset is judged.
_FIGURES: dict[str, dict[str, Figure]] = {
    "SequenceTagger": {
        "f1": Figure("F1", 100),
        "accuracy": Figure("accuracy", 100, ".2f"),
        "label_accuracy": Figure("accuracy of sentence labels", 100, ".2f"),
    },
    "TextClassifier": {
        "accuracy": Figure("accuracy", 100),
        "f1_macro": Figure("macro-averaged F1", 100),
    },
    "LanguageModel": {
        "loss": Figure("nats a token", form=".3f"),
        "bits_per_char": Figure("bits a character", form=".3f"),
        "perplexity": Figure("perplexity", form=".2f"),
    },
    "EncoderDecoder": {"exact_match": Figure("exact match", 100, ".2f"), "bleu": Figure("BLEU")},
    "MusicModel": {"nll": Figure("nats a frame", form=".2f")},
    "MemoryModel": {
        "mse": Figure("squared error", form=".1e"),
        "loss": Figure("nats a step", form=".1e"),
        "accuracy": Figure("accuracy", 100),
    },
    "WordVectors": {
        "analogy_accuracy": Figure("analogies", 100),
        "spearman": Figure("Spearman", 100),
        "spearman_simlex": Figure("Spearman, SimLex-999", 100),
        "loss": Figure("nats a pair", form=".3f"),
    },
}
_PARTS = ("validation", "test")

# What is in per cent, of word vectors and of all else.
_UNITS = {True: "analogies and Spearman's correlations", False: "F1, accuracy and exact match"}


def render(zoo: Path = ZOO) -> dict[Path, str]:
    """The text of each generated file.

    Args:
        zoo: the folder with `index.toml` and the presets.

    Returns:
        Texts by path: `README.md` of the zoo and of each preset.

    Raises:
        ValueError: if a preset lacks its card or its figures.
    """
    files = {}
    rows = []
    for name, entry in read_index(zoo).items():
        folder = zoo / name
        config = read_config(folder)
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        if "card" not in config:
            raise ValueError(f"{folder / 'config.toml'} has no [card].")
        files[folder / "README.md"] = _card(name, folder, entry, config, metrics)
        rows.append(_row(name, folder, entry, metrics))
    files[zoo / "README.md"] = _table(rows)
    return files


def spread(values: Sequence[float], scale: float = 1.0, form: str = ".1f") -> str:
    """A mean and a sample standard deviation, as `84.2 ± 0.7`.

    Args:
        values: the figure of each seed.
        scale: what to multiply figures by, such as 100 for per cent.
        form: the format of a number.

    Returns:
        The text; without a deviation for a single value.

    Example:

    >>> from training.zoo_readme import spread
    >>> spread([0.84, 0.86], scale=100)
    '85.0 ± 1.4'
    """
    scaled = [scale * value for value in values]
    mean = format(statistics.fmean(scaled), form)
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(scaled):{form}}"


def extras_of(settings: Mapping[str, Any], commands: str = "") -> list[str]:
    """The extras that bring the packages of word vectors and the teacher that a preset needs.

    Args:
        settings: the settings of a run.
        commands: the commands that make the preset.

    Returns:
        `training` and these extras; nothing where settings name none of them.

    Example:

    >>> from training.zoo_readme import extras_of
    >>> extras_of({"embeddings": "glove-6b-50d+vader"})
    ['training', 'glove', 'vader']
    """
    sources = [settings.get("embeddings"), settings.get("subwords")]
    teacher = "training.teacher" in commands
    if teacher:
        from .teacher import parser  # it loads TensorFlow

        for name in ("embeddings", "encoder"):
            given = re.search(rf"--{name}[ =](\S+)", commands)
            sources.append(given[1] if given else parser().get_default(name))
    sources += re.findall(r"--vectors[ =](\S+)", commands)
    names = [name for source in sources if source for name in source.split("+")]
    packages = [VECTOR_PACKAGES[name] for name in names if name in VECTOR_PACKAGES]
    extras = ["teacher"] * teacher + [package.extra for package in packages if package.extra]
    return list(dict.fromkeys(["training", *extras])) if extras else []


def size_of(folder: Path) -> str:
    """The size on disk of a preset: its weights and vocabularies."""
    files = [folder / "model.weights.h5", *sorted((folder / "vocabulary").glob("*.txt"))]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.2f} MB"


def _table(rows: Sequence[str]) -> str:
    lines = [
        "# The zoo",
        "",
        "Pretrained models, loaded by name: `Task.from_preset(NAME)`, or `from_preset` of the "
        "model's class. This page is generated from the presets' `metrics.json` by "
        "`python -m training.zoo_readme`.",
        "",
        "How to read the table: a figure is the mean and the standard deviation over the seeds, "
        "measured by the command in the card; F1, accuracy, exact match, analogies and Spearman's "
        "correlation are in per cent. Of vectors that were given away it is that of the preset "
        "itself. Parameters are all weights, size is that of the preset's files. Speeds were "
        "measured on the hardware that the card names, in training and as a SavedModel that takes "
        "raw inputs in batches of 32.",
        "",
        "| Preset | Class | What it does | Figure | Seeds | Parameters | Size | Training, a second "
        "| Serving, a second |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, folder: Path, entry: dict[str, str], metrics: dict[str, Any]) -> str:
    measured, speed = _measured(metrics), metrics["speed"]
    part = _judged(measured)
    name_of, figure = next(iter(_figures(entry, measured[0][part]).items()))
    seen = measured if metrics["runs"] else [metrics["shipped"]]
    values = [each[part][name_of] for each in seen]
    trained = f"{speed['training']:,.0f} {speed['counted']}" if "training" in speed else "–"
    cells = [
        f"[`{name}`]({name}/README.md)",
        f"`{entry['class']}`",
        entry["summary"],
        f"{figure.title} {spread(values, figure.scale, figure.form)} ({part})",
        str(len(metrics["runs"])) if metrics["runs"] else "–",
        f"{metrics['parameters']:,}",
        size_of(folder),
        trained,
        f"{speed['serving']:,.0f} {speed['counted']}",
    ]
    return "| " + " | ".join(cells) + " |"


def _measured(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands beside these weights: the runs, or what they were converted from."""
    return metrics["runs"] or [metrics["original"]]


def _judged(runs: Sequence[dict[str, Any]]) -> str:
    """The part of the data by whose figures a preset is judged: test data if there is any."""
    return next(part for part in reversed(_PARTS) if runs[0].get(part))


def _figures(entry: dict[str, str], part: dict[str, Any]) -> dict[str, Figure]:
    figures = {name: f for name, f in _FIGURES[entry["class"]].items() if name in part}
    # Where every word counts by itself, F1 is accuracy by another name.
    if "f1" in part and part["f1"] == part["accuracy"]:
        figures.pop("f1")
    return figures


def _card(
    name: str, folder: Path, entry: dict[str, str], config: dict[str, Any], metrics: dict[str, Any]
) -> str:
    card, runs = config["card"], _measured(metrics)
    commands = f"{card.get('preparation', '')} {card['command']}"
    extras = extras_of(config.get("training", {}), commands)
    seeds = ", ".join(str(run["seed"]) for run in metrics["runs"])
    if not metrics["runs"]:
        origin = "The vectors as they were given away, in float32, beside these"
        head = "As given"
    elif len(runs) > 1:
        origin, head = f"Mean and standard deviation over the seeds {seeds}", f"{len(runs)} seeds"
    else:
        origin, head = f"One run, with the seed {seeds}: there is no spread", "1 seed"
    weights = f"The weights here are those of seed {metrics['shipped'].get('seed')}, and the"
    lines = [
        f"# {name}",
        "",
        entry["summary"],
        "",
        "```python",
        card["example"].strip(),
        "```",
        "",
        f"**Data.** {card['data']}",
        "",
        f"**Licence.** {card['licence']}",
        "",
        f"**Limits.** {card['limits']}",
        "",
        "## Figures",
        "",
        f"{origin}; {_UNITS[entry['class'] == 'WordVectors']} in per cent. "
        f"{weights if metrics['runs'] else 'The'} last column is measured with them as they are on "
        "disk.",
        "",
        f"| Data | Figure | {head} | These weights |",
        "|---|---|---|---|",
    ]
    for part in _PARTS:
        if not runs[0].get(part):
            continue
        for name_of, figure in _figures(entry, runs[0][part]).items():
            values = [run[part][name_of] for run in runs]
            shipped = spread([metrics["shipped"][part][name_of]], figure.scale, figure.form)
            seen = spread(values, figure.scale, figure.form)
            lines.append(f"| {part} | {figure.title} | {seen} | {shipped} |")
    part = _judged(runs)
    types = metrics["shipped"][part].get("types", {})
    if types:
        lines += [
            "",
            f"By label, these weights, {part} data:",
            "",
            "| Label | Precision | Recall | F1 | Number |",
            "|---|---|---|---|---|",
        ]
    for label, row in types.items():
        shares = " | ".join(f"{100 * row[key]:.1f}" for key in ("precision", "recall", "f1"))
        lines.append(f"| {label} | {shares} | {row['support']} |")
    speed = metrics["speed"]
    made_by = [f"{card['command']} --seed {run['seed']}" for run in metrics["runs"]]
    trained = []
    if metrics["runs"]:
        seconds = statistics.fmean(run["seconds"] for run in runs)
        trained = [
            f"- {runs[0]['epochs']} epochs in {seconds:.0f} s, "
            f"{speed['training']:,.0f} {speed['counted']} a second in training"
        ]
    lines += [
        "",
        "## Made by",
        "",
        "```",
        *([f"pip install -e '.[{','.join(extras)}]'"] if extras else []),
        *([card["preparation"]] if "preparation" in card else []),
        *(made_by or [card["command"]]),
        "```",
        "",
        f"- {metrics['parameters']:,} parameters, {size_of(folder)} on disk",
        *trained,
        f"- {speed['serving']:,.0f} {speed['counted']} a second as a SavedModel, in batches of 32",
        f"- measured on {metrics['hardware']}, {metrics['date']}",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m training.zoo_readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if out of date")
    parser.add_argument("--zoo", type=Path, default=ZOO, help="the folder with index.toml")
    options = parser.parse_args(arguments)
    stale = [
        (path, text)
        for path, text in render(options.zoo).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        if options.check:
            print(f"out of date: {path}")
        else:
            with replacing_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            print(f"written: {path}")
    if options.check and stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
