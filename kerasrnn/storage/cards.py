"""Cards of presets: their figures, and the head in YAML that the Hugging Face hub reads."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from kerasrnn.storage.preset_folders import METRICS_FILE, preset_file

URL = "https://github.com/kerasrnn/kerasrnn"


class Figure(NamedTuple):
    """How a metric is shown.

    Attributes:
        title: Its name.
        scale: What it is multiplied by.
        form: The format of a number.
        metric: Its name on the hub, where that has one.
        data: What it is measured on, where that is not the data of the preset.
    """

    title: str
    scale: float = 1.0
    form: str = ".1f"
    metric: str = ""
    data: str = ""


# The metrics of each class, first the one by which a preset is judged.
FIGURES: dict[str, dict[str, Figure]] = {
    "SequenceTagger": {
        "f1": Figure("F1", 100, metric="f1"),
        "accuracy": Figure("accuracy", 100, ".2f", "accuracy"),
        "label_accuracy": Figure("accuracy of sentence labels", 100, ".2f", "accuracy"),
    },
    "TextClassifier": {
        "accuracy": Figure("accuracy", 100, metric="accuracy"),
        "f1_macro": Figure("macro-averaged F1", 100, metric="f1"),
    },
    "LanguageModel": {
        "loss": Figure("nats a token", form=".3f"),
        "bits_per_char": Figure("bits a character", form=".3f"),
        "perplexity": Figure("perplexity", form=".2f", metric="perplexity"),
    },
    "EncoderDecoder": {
        "exact_match": Figure("exact match", 100, ".2f", "exact_match"),
        "bleu": Figure("BLEU", metric="bleu"),
    },
    "MusicModel": {"nll": Figure("nats a frame", form=".2f")},
    "MemoryModel": {
        "mse": Figure("squared error", form=".1e", metric="mse"),
        "loss": Figure("nats a step", form=".1e"),
        "accuracy": Figure("accuracy", 100, metric="accuracy"),
    },
    "WordVectors": {
        "analogy_accuracy": Figure(
            "analogies", 100, metric="accuracy", data="Google's analogy questions"
        ),
        "spearman": Figure("Spearman", 100, metric="spearmanr", data="WordSim-353"),
        "spearman_simlex": Figure(
            "Spearman, SimLex-999", 100, metric="spearmanr", data="SimLex-999"
        ),
        "loss": Figure("nats a pair", form=".3f"),
    },
}
PARTS = ("validation", "test")

# The hub's words for what the classes do. It has none for music and for tasks of memory.
_PIPELINES = {
    "SequenceTagger": "token-classification",
    "TextClassifier": "text-classification",
    "LanguageModel": "text-generation",
    "EncoderDecoder": "translation",
    "WordVectors": "feature-extraction",
}

# The licences that the hub knows by their SPDX ids in small letters, and those of another name
# there: https://huggingface.co/docs/hub/repositories-licenses
_HUB_LICENCES = {
    *("apache-2.0", "mit", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd-2-clause", "bsd-3-clause"),
    *("bsd-3-clause-clear", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
    *("cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0"),
    *("cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0"),
    *("cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0"),
    *("wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "isc", "lppl-1.3c"),
    *("ms-pl", "mpl-2.0", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib"),
}
_HUB_NAMES = {"pddl-1.0": "pddl", "odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "c-uda-1.0": "c-uda"}
_GNU = re.compile("((?:agpl|lgpl|gpl)-[0-9.]+)(?:-only|-or-later|[+])?")

# What YAML reads as it is written: no number, date or truth value, no sign of its own.
_PLAIN = re.compile("[A-Za-z](?:[A-Za-z0-9_ /.'-]*[A-Za-z0-9])")
_NOT_PLAIN = {"true", "false", "yes", "no", "on", "off", "null"}
# What JSON leaves as it is, and YAML refuses or takes for the end of a line.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


# === Figures ===


def read_metrics(folder: Path) -> dict[str, Any] | None:
    """The content of a preset's `metrics.json`, or that of a run.

    Args:
        folder: the preset's folder.

    Returns:
        The figures; None if there is no such file.

    Raises:
        ValueError: if it is no JSON object.
    """
    try:
        path = preset_file(folder, METRICS_FILE)
    except FileNotFoundError:
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"{path} must hold an object of figures.")
    return metrics


def measured(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What stands beside the weights: the runs, or what they were converted from.

    Args:
        metrics: a preset's, or those of a single run.
    """
    if "runs" not in metrics:
        return [dict(metrics)]
    return metrics["runs"] or [metrics["original"]]


def judged(runs: Sequence[Mapping[str, Any]]) -> str:
    """The part of the data by whose figures a preset is judged: test data if there is any."""
    return next(part for part in reversed(PARTS) if runs[0].get(part))


def figures_of(class_name: str, part: Mapping[str, Any]) -> dict[str, Figure]:
    """The metrics that are shown of a class, of those that a part of the data has.

    Args:
        class_name: the class of the preset.
        part: the metrics of a part of the data.
    """
    figures = {name: f for name, f in FIGURES.get(class_name, {}).items() if name in part}
    # Where every word counts by itself, F1 is accuracy by another name.
    if {"f1", "accuracy"} <= set(figures) and part["f1"] == part["accuracy"]:
        figures.pop("f1")
    return figures


def headline(folder: Path, class_name: str) -> str:
    """The figure by which a preset is judged, as `F1 52.0 ± 0.2 (validation)`.

    Args:
        folder: the preset's folder.
        class_name: its class.

    Returns:
        The mean and the deviation over the seeds; of vectors that were given away, the figure of
        the preset itself. Nothing where there are no figures, or the class is an unknown one.

    Raises:
        ValueError: if its `metrics.json` has another form.

    Example:

    >>> from kerasrnn.storage.cards import headline
    >>> from kerasrnn.storage.preset_folders import resolve_preset
    >>> headline(resolve_preset("words_en"), "WordVectors")
    'analogies 52.1 (test)'
    """
    metrics = read_metrics(folder)
    if metrics is None or class_name not in FIGURES:
        return ""
    try:
        runs = measured(metrics)
        if not any(runs[0].get(part) for part in PARTS):
            return ""
        part = judged(runs)
        figures = figures_of(class_name, runs[0][part])
        seen = runs if metrics.get("runs", True) else [metrics["shipped"]]
        for name, figure in figures.items():
            values = [run[part][name] for run in seen]
            return f"{figure.title} {spread(values, figure.scale, figure.form)} ({part})"
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{folder / METRICS_FILE} does not have the figures of a {class_name}: {error!r}"
        ) from error
    return ""


def spread(values: Sequence[float], scale: float = 1.0, form: str = ".1f") -> str:
    """A mean and a sample standard deviation, as `84.2 ± 0.7`.

    Args:
        values: the figure of each seed.
        scale: what to multiply figures by, such as 100 for per cent.
        form: the format of a number.

    Returns:
        The text; without a deviation for a single value.

    Example:

    >>> from kerasrnn.storage.cards import spread
    >>> spread([0.84, 0.86], scale=100)
    '85.0 ± 1.4'
    """
    scaled = [scale * value for value in values]
    mean = format(statistics.fmean(scaled), form)
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(scaled):{form}}"


# === The head ===


def card_head(
    name: str,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any] | None,
    *,
    licence: str | None = None,
    languages: Sequence[str] = (),
) -> str:
    """The head of a card, by which the hub finds, sorts and shows a model.

    Args:
        name: the preset's name.
        config: what `read_config` returned.
        metrics: what `read_metrics` returned.
        licence: an SPDX expression; None to leave it out.
        languages: codes of ISO 639.

    Returns:
        A block of YAML between lines of hyphens: `license` and `language`, `library_name`,
        `pipeline_tag`, `tags`, `metrics`, and in `model-index` the figures of these weights.

    Raises:
        ValueError: if the metrics have another form.
    """
    class_name = config["class"]
    head: dict[str, Any] = {}
    if licence is not None:
        head["license"] = hub_licence(licence)
        if head["license"] == "other":
            head["license_name"] = licence
    if languages:
        head["language"] = list(languages)
    head["library_name"] = "keras"
    if class_name in _PIPELINES:
        head["pipeline_tag"] = _PIPELINES[class_name]
    cell = config.get("arguments", {}).get("cell")
    head["tags"] = ["kerasrnn"]
    if isinstance(cell, str):
        head["tags"] += ["recurrent-neural-network", cell.replace("_", "-")]
    try:
        results = _results(class_name, metrics or {})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{METRICS_FILE} does not have the figures of a {class_name}: {error!r}"
        ) from error
    if results:
        found = [metric["type"] for result in results for metric in result["metrics"]]
        head["metrics"] = list(dict.fromkeys(found))
        head["model-index"] = [{"name": name, "results": results}]
    return "\n".join(["---", *_yaml(head), "---", ""])


def without_head(card: str) -> str:
    """The text of a card without its head.

    Args:
        card: the card.

    Example:

    >>> from kerasrnn.storage.cards import without_head
    >>> without_head("---\\nlicense: mit\\n---\\n\\n# Words\\n")
    '# Words\\n'
    """
    head = re.match(r"---[ \t]*\r?\n(?:.*\n)*?---[ \t]*(?:\r?\n|$)", card)
    return card[head.end() :].lstrip("\r\n") if head else card


def hub_licence(licence: str) -> str:
    """What the hub calls a licence.

    Args:
        licence: an SPDX expression.

    Returns:
        One of its names; `other` where it has none.

    Example:

    >>> from kerasrnn.storage.cards import hub_licence
    >>> hub_licence("CC-BY-SA-4.0"), hub_licence("PDDL-1.0"), hub_licence("MIT AND CC0-1.0")
    ('cc-by-sa-4.0', 'pddl', 'other')
    """
    small = licence.lower()
    if small in _HUB_LICENCES:
        return small
    gnu = _GNU.fullmatch(small)
    return gnu[1] if gnu else _HUB_NAMES.get(small, "other")


def _results(class_name: str, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of these weights, by the data on which they were measured."""
    shipped = metrics.get("shipped", metrics)
    source = str(metrics.get("dataset") or "not stated")
    if PurePath(source).is_absolute():
        source = PurePath(source).name  # where a file lies on one machine is of no use on others
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for part in PARTS:
        for key, figure in figures_of(class_name, shipped.get(part) or {}).items():
            value = float(format(figure.scale * shipped[part][key], figure.form))
            unit = " in per cent" if figure.scale == 100 else ""
            row = {
                "type": figure.metric or key,
                "value": value,
                "name": f"{figure.title[0].upper()}{figure.title[1:]}{unit}",
            }
            results.setdefault((figure.data or source, part), []).append(row)
    task = _PIPELINES.get(class_name, "other")
    return [
        {
            "task": {"type": task},
            "dataset": {"type": data, "name": data, "split": part},
            "metrics": rows,
        }
        for (data, part), rows in results.items()
    ]


def _yaml(value: Any) -> list[str]:
    """Tables, lists, texts and numbers as lines of YAML."""
    lines = []
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, inner in entries:
        front = f"{key}:" if isinstance(value, Mapping) else "-"
        if isinstance(inner, Mapping):
            below = _yaml(inner)
            if front == "-":  # its first key stands beside the hyphen
                lines += [f"- {below[0]}", *(f"  {line}" for line in below[1:])]
            else:
                lines += [front, *(f"  {line}" for line in below)]
        elif isinstance(inner, list) and isinstance(inner[0], str):
            lines.append(f"{front} [{', '.join(map(_scalar, inner))}]")
        elif isinstance(inner, list):
            lines += [front, *_yaml(inner)]
        else:
            lines.append(f"{front} {_scalar(inner)}")
    return lines


def _scalar(value: str | float) -> str:
    plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN
    if plain:
        return str(value)
    # A text in quotes, as JSON has it, is YAML.
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
