"""Writes `zoo/README.md` and the cards of all presets from their `metrics.json`.

`python -m training.zoo_readme` writes them, `--check` only says whether they are up to date.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasrnn.embeddings import VECTOR_PACKAGES
from kerasrnn.storage.atomic import replacing_file
from kerasrnn.storage.cards import (
    PARTS,
    card_head,
    figures_of,
    headline,
    judged,
    measured,
    read_metrics,
    spread,
)
from kerasrnn.storage.preset_folders import preset_bytes, read_config, read_index

ZOO = Path(__file__).resolve().parent.parent / "zoo"


# What `training.teacher` takes where a flag is not given. Asking it would load TensorFlow.
TEACHER_DEFAULTS = {"embeddings": "words_en+minilm-l6", "encoder": "minilm-l6"}

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
        metrics = read_metrics(folder)
        if "card" not in config or metrics is None:
            missing = "config.toml has no [card]" if metrics else "there is no metrics.json"
            raise ValueError(f"{folder}: {missing}.")
        files[folder / "README.md"] = _card(name, folder, entry, config, metrics)
        rows.append(_row(name, folder, entry, metrics))
    files[zoo / "README.md"] = _table(rows)
    return files


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
        for name, default in TEACHER_DEFAULTS.items():
            given = re.search(rf"--{name}[ =](\S+)", commands)
            sources.append(given[1] if given else default)
    sources += re.findall(r"--vectors[ =](\S+)", commands)
    names = [name for source in sources if source for name in source.split("+")]
    packages = [VECTOR_PACKAGES[name] for name in names if name in VECTOR_PACKAGES]
    extras = ["teacher"] * teacher + [package.extra for package in packages if package.extra]
    return list(dict.fromkeys(["training", *extras])) if extras else []


def size_of(folder: Path) -> str:
    """The size on disk of a preset: its weights and vocabularies."""
    return f"{preset_bytes(folder) / 1e6:.2f} MB"


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
        "itself. The licence is that of the weights, by its SPDX id; the card says what it comes "
        "from. Parameters are all weights, size is that of the preset's files. Speeds were "
        "measured on the hardware that the card names, in training and as a SavedModel that takes "
        "raw inputs in batches of 32.",
        "",
        "| Preset | Class | What it does | Figure | Seeds | Licence | Parameters | Size "
        "| Training, a second | Serving, a second |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, folder: Path, entry: dict[str, Any], metrics: dict[str, Any]) -> str:
    speed = metrics["speed"]
    trained = f"{speed['training']:,.0f} {speed['counted']}" if "training" in speed else "–"
    cells = [
        f"[`{name}`]({name}/README.md)",
        f"`{entry['class']}`",
        entry["summary"],
        headline(folder, entry["class"]),
        str(len(metrics["runs"])) if metrics["runs"] else "–",
        entry.get("licence", "–"),
        f"{metrics['parameters']:,}",
        size_of(folder),
        trained,
        f"{speed['serving']:,.0f} {speed['counted']}",
    ]
    return "| " + " | ".join(cells) + " |"


def _card(
    name: str, folder: Path, entry: dict[str, Any], config: dict[str, Any], metrics: dict[str, Any]
) -> str:
    card, runs = config["card"], measured(metrics)
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
    licence, languages = entry.get("licence"), entry.get("languages", [])
    lines = [
        card_head(name, config, metrics, licence=licence, languages=languages),
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
    for part in PARTS:
        if not runs[0].get(part):
            continue
        for name_of, figure in figures_of(entry["class"], runs[0][part]).items():
            values = [run[part][name_of] for run in runs]
            shipped = spread([metrics["shipped"][part][name_of]], figure.scale, figure.form)
            seen = spread(values, figure.scale, figure.form)
            lines.append(f"| {part} | {figure.title} | {seen} | {shipped} |")
    part = judged(runs)
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
