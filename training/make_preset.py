"""Makes a preset of the zoo from the runs of a training script, one run for each seed.

`python -m training.make_preset NAME --runs DIR [DIR ...] --card FILE` takes the weights of the
first run, the figures of all of them, and a TOML file with `summary`, `data`, `licence`, `limits`,
`example`, `command`, and perhaps `preparation`, what is to be run before it; `spdx`, the licence of
the weights as an SPDX expression; and `languages`, a list of codes of ISO 639. Without `--card`,
the preset of that name keeps its texts, and without the last two what the index has.

`python -m training.make_preset NAME --add --runs DIR [DIR ...]` adds the figures of further seeds
to a preset that is there already, whose weights stay; without `--runs`, it is only measured anew.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import statistics
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf
import tomlkit

from kerasrnn.storage.atomic import replacing_file
from kerasrnn.storage.preset_folders import check_languages, check_licence
from kerasrnn.storage.small_weights import WEIGHTS_DTYPES
from kerasrnn.zoo.presets import read_config, read_index
from kerasrnn.zoo.task import Task

from . import zoo_readme
from .endings import make_console, reporting_errors
from .run_folder import strict_json
from .script import Script

# The script that trains each class. They are imported when needed: each has extras of its own.
SCRIPTS = {
    "SequenceTagger": "tagger",
    "TextClassifier": "classifier",
    "LanguageModel": "language_model",
    "EncoderDecoder": "encoder_decoder",
    "MusicModel": "music",
    "MemoryModel": "memory",
    "WordVectors": "word_vectors",
}

_CARD = ("summary", "data", "licence", "limits", "example", "command")
_OPTIONAL = ("preparation", "spdx", "languages")
_OF_INDEX = ("summary", "spdx", "languages")  # they stand in the index, not in the preset
_PARTS = ("train", "validation", "test")
_SERVING_SECONDS = 3.0


def script_of(task: str) -> Script:
    """The script that trains a class of models.

    Args:
        task: the name of the class.

    Raises:
        ValueError: if there is none.
    """
    if task not in SCRIPTS:
        raise ValueError(f"No script trains {task!r}. Expected one of {', '.join(SCRIPTS)}.")
    return importlib.import_module(f"training.{SCRIPTS[task]}").SCRIPT


def make_preset(
    name: str,
    runs: Sequence[Path],
    card: Mapping[str, Any],
    zoo: Path,
    *,
    weights_dtype: str = "float16",
) -> Path:
    """Write a preset with its card and enter it into the index.

    Args:
        name: the preset's name, which says what it does.
        runs: the folders of the runs, that with the weights first.
        card: what `python -m training.make_preset` reads from `--card`.
        zoo: the folder with `index.toml`.
        weights_dtype: as for `Task.save_to_preset`.

    Returns:
        The preset's folder.

    Raises:
        ValueError: if the runs differ in more than their seeds, the card is not complete, or the
            data is not there; nothing is written then.
    """
    texts = card_texts(card)
    settings = _settings(runs[0] / "preset")
    _check_same_settings(settings, runs[1:], f"{runs[0]}")
    model = Task.from_preset(runs[0] / "preset")
    measuring = _prepared(type(model).__name__, settings)
    extra = {"training": settings, "card": texts}
    model.save_to_preset(zoo / name, weights_dtype=weights_dtype, extra=extra)
    enter_into_index(zoo, name, model, card)
    _write_metrics(zoo / name, [_figures(run) for run in runs], *measuring)
    zoo_readme.main(["--zoo", str(zoo)])
    return zoo / name


def add_runs(name: str, runs: Sequence[Path], zoo: Path) -> Path:
    """Add the figures of further seeds to a preset, whose weights stay.

    Args:
        name: the preset's name.
        runs: the folders of the runs.
        zoo: the folder with `index.toml`.

    Returns:
        The preset's folder.

    Raises:
        ValueError: if a run has other settings than the preset, or a seed that it has already.
    """
    folder = zoo / name
    settings = _settings(folder)
    _check_same_settings(settings, runs, name)
    earlier = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["runs"]
    measured = [*earlier, *(_figures(run) for run in runs)]
    seeds = [run["seed"] for run in measured]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"Each run must have a seed of its own. Received: {seeds}")
    _write_metrics(folder, measured, *_prepared(measured[0]["model"], settings))
    zoo_readme.main(["--zoo", str(zoo)])
    return folder


def _prepared(task: str, settings: Mapping[str, Any]) -> tuple[Script, Any, Any]:
    """What measures a preset of these settings: its script, the flags and the data."""
    script = script_of(task)
    config = script.config_class(**settings)
    return script, config, script.load_data(config)


def _write_metrics(
    folder: Path, measured: Sequence[Mapping[str, Any]], script: Script, config: Any, data: Any
) -> None:
    """Measure a preset that is in place, and write its `metrics.json`."""
    shipped = Task.from_preset(folder)
    parts = script.measure(shipped, data, config)
    metrics = {
        "model": measured[0]["model"],
        "dataset": measured[0]["dataset"],
        "parameters": measured[0]["parameters"],
        "hardware": hardware(),
        "date": datetime.date.today().isoformat(),
        "runs": list(measured),
        "shipped": {
            "seed": measured[0]["seed"],
            **{part: parts.get(part, {}) for part in ("validation", "test")},
        },
        "speed": {
            "counted": script.counted,
            "training": round(statistics.fmean(run["counted_per_second"] for run in measured)),
            "serving": round(serving_speed(script, shipped, script.requests(shipped, data))),
        },
    }
    save_metrics(folder, metrics)


def card_texts(card: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a card as a preset keeps them.

    Args:
        card: its texts.

    Returns:
        Those that do not stand in the index.

    Raises:
        ValueError: if one is missing, or has no place in a card; or if `spdx` or `languages` have
            another form.
    """
    if set(card) - set(_OPTIONAL) != set(_CARD):
        raise ValueError(
            f"A card must have {', '.join(_CARD)}, and may have {', '.join(_OPTIONAL)}. "
            f"Received: {', '.join(card)}"
        )
    check_licence(card.get("spdx"), "`spdx` of a card")
    check_languages(card.get("languages", []), "`languages` of a card")
    kept = [key for key in (*_CARD, *_OPTIONAL) if key not in _OF_INDEX]
    return {key: card[key] for key in kept if key in card}


def enter_into_index(zoo: Path, name: str, model: Task, card: Mapping[str, Any]) -> None:
    """Enter a preset into the `index.toml` of a zoo.

    Args:
        zoo: the folder with the index, which may be new.
        name: the preset's name.
        model: its model.
        card: its `summary`, `spdx` and `languages`; the last two stay as they are in the index
            where they are not given.
    """
    index = read_index(zoo) if (zoo / "index.toml").exists() else {}
    given = {"licence": card.get("spdx"), "languages": card.get("languages")}
    known = {key: index.get(name, {}).get(key) for key in given}
    index[name] = {
        "class": type(model).__name__,
        "summary": card["summary"],
        **{key: value for key, value in known.items() if value is not None},
        **{key: value for key, value in given.items() if value is not None},
    }
    with replacing_file(zoo / "index.toml") as temporary:
        temporary.write_text(tomlkit.dumps(dict(sorted(index.items()))), "utf-8")


def save_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write the `metrics.json` of a preset."""
    with replacing_file(folder / "metrics.json") as temporary:
        temporary.write_text(strict_json(metrics, indent=1) + "\n", "utf-8")


def _settings(preset: Path) -> dict[str, Any]:
    """The settings of a run but for its seed, with the options as its model has them."""
    config = read_config(preset)
    known = script_of(config["class"]).config_class.of_model
    options = {name: value for name, value in config["arguments"].items() if name in known}
    return {n: v for n, v in {**config["training"], **options}.items() if n != "seed"}


def _check_same_settings(settings: Mapping[str, Any], runs: Sequence[Path], of: str) -> None:
    for run in runs:
        # A flag that is younger than a preset has its default there.
        defaults = asdict(script_of(read_config(run / "preset")["class"]).config_class())
        other = _settings(run / "preset")
        differing = [
            key
            for key in sorted({*settings, *other})
            if settings.get(key, defaults.get(key)) != other.get(key, defaults.get(key))
        ]
        if differing:
            raise ValueError(f"{run} has other settings than {of}: {', '.join(differing)}.")


def _figures(run: Path) -> dict[str, Any]:
    """A run's metrics with the figures of each part, without their details by label."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return {
        key: {k: v for k, v in value.items() if isinstance(v, int | float)}
        if key in _PARTS
        else value
        for key, value in metrics.items()
    }


def serving_speed(script: Script, model: Task, requests: Sequence[Mapping[str, Any]]) -> float:
    """What the exported model does in a second, called in this process.

    Args:
        script: the model's script; it says what is counted.
        model: the model.
        requests: the requests to `serving_default`, made over and over.

    Returns:
        How much of what is counted.
    """
    with tempfile.TemporaryDirectory() as place:
        report = model.export(place, verify=False)
        loaded = tf.saved_model.load(str(report.path))  # must stay alive as long as its signatures
        serve = loaded.signatures["serving_default"]
        dtypes = {name: spec.dtype for name, spec in serve.structured_input_signature[1].items()}
        calls = [
            {name: tf.constant(value, dtypes[name]) for name, value in request.items()}
            for request in requests
        ]

        def served(call: Mapping[str, Any]) -> int:
            response = serve(**call)
            return script.served(
                {name: value.numpy() for name, value in call.items()},
                {name: value.numpy() for name, value in response.items()},
            )

        for call in calls:  # traced and warm
            served(call)
        done, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < _SERVING_SECONDS:
            done += sum(served(call) for call in calls)
        return done / (time.perf_counter() - begin)


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
    parser = argparse.ArgumentParser(prog="python -m training.make_preset", description=__doc__)
    parser.add_argument("name", help="the preset's name: what it does, never its size")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], metavar="DIR")
    parser.add_argument("--card", type=Path, metavar="FILE")
    parser.add_argument("--add", action="store_true", help="add figures to the preset, no weights")
    parser.add_argument("--weights-dtype", choices=WEIGHTS_DTYPES, default="float16")
    parser.add_argument("--zoo", type=Path, default=zoo_readme.ZOO, metavar="DIR")
    options = parser.parse_args(arguments)
    if not options.runs and not options.add:
        parser.error("--runs must name the folders of runs, unless --add only measures anew.")
    with reporting_errors(make_console(), "python -m training.make_preset", lambda: None):
        _run(options)


def _run(options: argparse.Namespace) -> None:
    if options.add:
        print(add_runs(options.name, options.runs, options.zoo))
        return
    if options.card:
        card = tomllib.loads(options.card.read_text(encoding="utf-8"))
    else:
        card = {
            **read_config(options.zoo / options.name)["card"],
            "summary": read_index(options.zoo)[options.name]["summary"],
        }
    dtype = options.weights_dtype
    print(make_preset(options.name, options.runs, card, options.zoo, weights_dtype=dtype))


if __name__ == "__main__":
    main()
