"""Makes a preset of the zoo from the runs of a training script, one run for each seed.

`python -m training.publish NAME --runs DIR [DIR ...] --card FILE` takes the weights of the first
run, the figures of all of them, and a TOML file with `summary`, `data`, `licence`, `limits`,
`example` and `command`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tomlkit

from kerasrnn.zoo.files import replacing_file
from kerasrnn.zoo.presets import read_config, read_index
from kerasrnn.zoo.sequence_tagger import SequenceTagger
from training import zoo_readme
from training.tagger import TaggerConfig, load_data

_CARD = ("summary", "data", "licence", "limits", "example", "command")
_SERVING_BATCH = 32
_SERVING_SECONDS = 3.0


def publish(name: str, runs: Sequence[Path], card: dict[str, str], zoo: Path) -> Path:
    """Write a preset with its card and enter it into the index.

    Args:
        name: the preset's name, which says what it does.
        runs: the folders of the runs, that with the weights first.
        card: what `python -m training.publish` reads from `--card`.
        zoo: the folder with `index.toml`.

    Returns:
        The preset's folder.

    Raises:
        ValueError: if the runs differ in more than their seeds, or the card is not complete.
    """
    if set(card) != set(_CARD):
        raise ValueError(f"A card must have {', '.join(_CARD)}. Received: {', '.join(card)}")
    measured = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
    settings = [_settings(run) for run in runs]
    for run, other in zip(runs, settings, strict=True):
        if other != settings[0]:
            raise ValueError(f"{run} has other settings than {runs[0]}.")
    folder = zoo / name
    tagger = SequenceTagger.from_preset(runs[0] / "preset")
    extra = {
        "training": settings[0],
        "card": {key: card[key] for key in _CARD if key != "summary"},
    }
    tagger.save_to_preset(folder, weights_dtype="float16", extra=extra)
    shipped = SequenceTagger.from_preset(folder)
    data = load_data(TaggerConfig(**settings[0]))
    parts = {"validation": data.validation, "test": data.test}
    metrics = {
        "model": measured[0]["model"],
        "dataset": measured[0]["dataset"],
        "parameters": measured[0]["parameters"],
        "hardware": hardware(),
        "date": datetime.date.today().isoformat(),
        "runs": measured,
        "shipped": {
            "seed": measured[0]["seed"],
            **{part: shipped.evaluate(rows) if rows else {} for part, rows in parts.items()},
        },
        "speed": {
            "training_words_per_second": round(
                statistics.fmean(run["words_per_second"] for run in measured)
            ),
            "serving_words_per_second": round(
                serving_speed(shipped, [" ".join(s.tokens) for s in data.validation])
            ),
        },
    }
    with replacing_file(folder / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=1, ensure_ascii=False) + "\n", "utf-8")
    index = read_index(zoo) if (zoo / "index.toml").exists() else {}
    index[name] = {"class": metrics["model"], "summary": card["summary"]}
    with replacing_file(zoo / "index.toml") as temporary:
        temporary.write_text(tomlkit.dumps(dict(sorted(index.items()))), "utf-8")
    zoo_readme.main(["--zoo", str(zoo)])
    return folder


def _settings(run: Path) -> dict[str, Any]:
    settings = dict(read_config(run / "preset")["training"])
    settings.pop("seed", None)
    return settings


def serving_speed(tagger: SequenceTagger, texts: Sequence[str]) -> float:
    """Words a second of the exported model, called in this process with batches of raw text.

    Args:
        tagger: the model.
        texts: the texts to serve, over and over.

    Returns:
        Words a second.
    """
    with tempfile.TemporaryDirectory() as place:
        report = tagger.export(place, verify=False)
        serve = tf.saved_model.load(str(report.path)).signatures["serving_default"]
        batches = [
            tf.constant(texts[begin : begin + _SERVING_BATCH])
            for begin in range(0, len(texts), _SERVING_BATCH)
        ]
        for batch in batches:  # traced and warm
            serve(text=batch)
        words, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < _SERVING_SECONDS:
            for batch in batches:
                words += int(tf.reduce_sum(serve(text=batch)["lengths"]))
        return words / (time.perf_counter() - begin)


def hardware() -> str:
    """The processor, how many of its cores there are, and the system."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if models:
            name = models[0].partition(":")[2].strip()
    return f"{os.cpu_count()} cores of {name}, {platform.system()}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m training.publish", description=__doc__)
    parser.add_argument("name", help="the preset's name: what it does, never its size")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--card", type=Path, required=True, metavar="FILE")
    parser.add_argument("--zoo", type=Path, default=zoo_readme.ZOO, metavar="DIR")
    options = parser.parse_args(arguments)
    card = tomllib.loads(options.card.read_text(encoding="utf-8"))
    print(publish(options.name, options.runs, card, options.zoo))


if __name__ == "__main__":
    main()
