"""The Markdown table of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.cases import (
    CELLS,
    EXPORT,
    FIRST_CALL,
    INFERENCE,
    MASKED,
    MEASURES,
    MEMORY,
    TRAINING,
)
from benchmarks.contenders import (
    KERAS,
    KERAS_SERVED,
    ONNX,
    OURS,
    OURS_IN_SEGMENTS,
    OURS_SERVED,
    TORCH,
)
from benchmarks.ratios import (
    AIMS,
    ALSO,
    COMPARISONS,
    Outcome,
    outcome,
    ratio,
    ratios_of,
    records_of,
)
from benchmarks.results import UNITS, Record, Results
from benchmarks.summary import geometric_mean, summarise

TITLES = {
    TRAINING: "Training step",
    INFERENCE: "Inference",
    MASKED: "Training step, right-padded batches of skewed lengths",
    FIRST_CALL: "First training step, tracing and compiling included",
    MEMORY: "Memory of training steps",
    EXPORT: "Exported SavedModel, run without XLA",
}
CELL_TITLES = {
    "simple": "simple RNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "bidirectional": "bidirectional LSTM",
    "simplified_gru": "simplified GRU",
}
NAMES = {
    OURS[0]: "ours, graph",
    OURS[1]: "ours, XLA",
    OURS_IN_SEGMENTS: "ours, graph, segments",
    KERAS[0]: "Keras, graph",
    KERAS[1]: "Keras, XLA",
    TORCH: "PyTorch",
    OURS_SERVED: "ours",
    KERAS_SERVED: "Keras",
    ONNX: "onnxruntime",
}
HOW_TO_READ = """\
How to read the tables: times are medians over {rounds} rounds in which all took turns, with the
interquartile range behind ± (typically {spread:.0%} of the median). A column “/ ours” says how many
times as much as ours the other needs, each side in its faster mode unless the column names one; it
is the median of the ratios within a round, and above 1 ours is better. Means of ratios are
geometric."""
MEMORY_NOTE = """\
How far the resident set of a process grows during training steps over what it was when the library
had been imported; in brackets, the first step, with tracing and compiling, included."""


def markdown(results: Results) -> str:
    """The whole report, generated from the results."""
    parts = [
        "# Layers, side by side",
        _origin(results),
        "## Aims and what was measured",
        _aims(results),
        *_reasons(results),
        HOW_TO_READ.format(
            rounds=results.settings["rounds"], spread=spread(list(results.records.values()))
        ),
        "![Ratios by cell and size](layers.png)",
    ]
    for measure in MEASURES:
        cells = [cell for cell in CELLS if records_of(results, measure, [cell])]
        if not cells:
            continue
        parts.append(f"## {TITLES[measure]}")
        if measure == MEMORY:
            parts.append(MEMORY_NOTE)
        for cell in cells:
            parts += [f"### {CELL_TITLES[cell]}", _table(records_of(results, measure, [cell]))]
    notes = list(results.notes)
    for record in results.records.values():
        notes += [f"{record.case.key}: {note}" for note in record.notes]
    if notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in dict.fromkeys(notes))]
    return "\n\n".join(parts) + "\n"


def _origin(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items()))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python "
        f"{machine['python']}; {results.settings['threads']} threads for everyone. "
        f"{results.started}. {versions}. float32.\n\n"
        f"Made by `{results.command}`; all figures are in `layers.json`."
    )


def _aims(results: Results) -> str:
    rows = []
    for aim in AIMS:
        found = outcome(results, aim)
        met = {True: "yes", False: "no", None: "not measured"}[found.met]
        rows.append([aim.measure, aim.wanted, *_measured(found), met])
    for aim in ALSO:
        found = outcome(results, aim)
        if found.cases:
            against = f"against {aim.comparison.title}"
            rows.append([aim.measure, against, *_measured(found), ""])
    header = ["measure", "aim", "mean ratio", "least ratio", "reached"]
    return _markdown_table(header, rows, numbers=(2,))


def _reasons(results: Results) -> list[str]:
    """A list of why aims were not reached, none if all were."""
    missed = [aim for aim in AIMS if aim.why and outcome(results, aim).met is False]
    if not missed:
        return []
    lines = [f"- {aim.measure}, {aim.wanted}: {aim.why}" for aim in missed]
    return ["Why aims were not reached:", "\n".join(lines)]


def _measured(found: Outcome) -> list[str]:
    if found.mean is None or found.worst is None:
        return ["", ""]
    where = f" ({found.worst_case})" if found.cases > 1 else ""
    return [_times(found.mean), f"{_times(found.worst)}{where}"]


def _table(records: Sequence[Record]) -> str:
    """One row for each size, one column for each contender and each comparison."""
    contenders = [name for name in NAMES if any(name in record.rounds for record in records)]
    comparisons = [
        comparison
        for comparison in COMPARISONS
        if any(ratio(record, comparison) is not None for record in records)
    ]
    unit = UNITS.get(records[0].case.measure, "ms")
    header = [
        "B, T, input, units",
        *(f"{NAMES[name]} ({unit})" for name in contenders),
        *(f"{comparison.title} / ours" for comparison in comparisons),
    ]
    rows = [
        [
            str(record.case.point),
            *(_figure(record, name) for name in contenders),
            *(_times(ratio(record, comparison)) for comparison in comparisons),
        ]
        for record in records
    ]
    if len(records) > 1 and comparisons:
        means = []
        for comparison in comparisons:
            means.append(f"**{_times(geometric_mean(ratios_of(records, comparison)))}**")
        rows.append(["**mean**", *("" for _ in contenders), *means])
    return _markdown_table(header, rows, numbers=range(1, len(header)))


def _figure(record: Record, name: str) -> str:
    rounds = record.rounds.get(name)
    if not rounds:
        return "–"
    summary = summarise(rounds)
    text = _number(summary["median"])
    if len(rounds) > 1:
        text += f" ± {_number(summary['iqr'])}"
    whole = record.extra.get(name, {}).get("with_first_call")
    return text if whole is None else f"{text} ({_number(whole)})"


def _number(value: float) -> str:
    """Three digits, and no more than two behind the point."""
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}×"


def _markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int]
) -> str:
    right = set(numbers)
    marks = ["--:" if column in right else "---" for column in range(len(header))]
    lines = [header, marks, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(records: Sequence[Record]) -> float:
    """The median over all contenders of interquartile range / median: how noisy a run was."""
    shares = [
        summary["iqr"] / summary["median"]
        for record in records
        for rounds in record.rounds.values()
        if len(rounds) > 1 and (summary := summarise(rounds))["median"] > 0
    ]
    return float(np.median(shares)) if shares else 0.0
