"""The pictures of a run, drawn without a display."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kerasrnn.storage.atomic import replacing_file

_BLUE, _ORANGE, _GREY = "#2a6f97", "#d1701f", "#6b7280"


def learning_curves(
    path: str | os.PathLike[str],
    history: Sequence[Mapping[str, float]],
    *,
    losses: Mapping[str, str],
    figures: Mapping[str, str],
    best_epoch: int | None = None,
    figure_label: str = "",
    loss_label: str = "loss (nats)",
) -> None:
    """Losses, and other figures beside them, by epoch.

    Args:
        path: the PNG to write.
        history: one row for each epoch, with `epoch`.
        losses: which columns are losses, and how to call each.
        figures: which columns to draw beside them, and how to call each; none for the losses alone.
        best_epoch: the epoch whose weights are kept; marked by a line.
        figure_label: what the figures measure.
        loss_label: what the losses measure.
    """
    groups = [(losses, loss_label), *([(figures, figure_label)] if figures else [])]
    figure = Figure(figsize=(4.5 * len(groups), 3.6), layout="constrained")
    grid = figure.subplots(1, len(groups), squeeze=False)[0]
    for axes, (columns, label) in zip(grid, groups, strict=True):
        for (name, title), colour in zip(columns.items(), _colours(len(columns)), strict=True):
            points = [(row["epoch"], row[name]) for row in history if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=title, color=colour, marker=".")
        if best_epoch is not None:
            axes.axvline(best_epoch, color=_GREY, linestyle=":", label="best epoch")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    save_figure(figure, path)


def type_scores(
    path: str | os.PathLike[str], types: Mapping[str, Mapping[str, float]], title: str
) -> None:
    """F1 for each label as a bar, with its precision, its recall and how often it occurs.

    Args:
        path: the PNG to write.
        types: for each label `precision`, `recall`, `f1` (0 to 1) and `support`.
        title: the title.
    """
    labels = sorted(types, key=lambda label: (types[label]["f1"], label))
    places = np.arange(len(labels))
    figure = Figure(figsize=(7, 1.4 + 0.32 * len(labels)), layout="constrained")
    axes = figure.subplots()
    axes.barh(places, [types[label]["f1"] for label in labels], color=_BLUE, alpha=0.85, label="F1")
    for name, marker, colour in (("precision", "|", "black"), ("recall", "o", _ORANGE)):
        values = [types[label][name] for label in labels]
        axes.scatter(values, places, marker=marker, color=colour, label=name, zorder=3, s=40)
    axes.set_yticks(places, [f"{label} ({types[label]['support']})" for label in labels])
    axes.set_ylim(-0.7, len(labels) - 0.3)
    axes.set_xlim(0, 1.02)
    axes.grid(axis="x", alpha=0.25)
    axes.set_title(title)
    figure.legend(frameon=False, ncols=3, loc="outside lower center")
    save_figure(figure, path)


def loss_by_sequences(
    path: str | os.PathLike[str],
    sequences: Sequence[float],
    losses: Mapping[str, Sequence[float]],
    *,
    label: str,
    lines: Mapping[str, float],
) -> None:
    """Losses over the number of sequences seen, beside figures to compare them with.

    Args:
        path: the PNG to write.
        sequences: how many sequences had been seen when each loss was measured.
        losses: the losses, by what to call them.
        label: what the losses measure.
        lines: figures to draw as lines, by what to call them.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (title, values), colour in zip(losses.items(), _colours(len(losses)), strict=True):
        axes.plot(sequences, values, label=title, color=colour)
    styles = itertools.cycle(("--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 4))))
    for (title, value), style in zip(lines.items(), styles):  # noqa: B905
        axes.axhline(
            value, color=_GREY, linestyle=style, linewidth=1, label=f"{title}: {value:.3g}"
        )
    axes.set_yscale("log")
    axes.set_xlabel("sequences seen")
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)
    figure.legend(frameon=False, loc="outside right upper", fontsize=8)
    save_figure(figure, path)


def confusion_matrix(
    path: str | os.PathLike[str],
    labels: Sequence[str],
    counts: np.ndarray,
    title: str,
) -> None:
    """How often each label was taken for each other.

    Args:
        path: the PNG to write.
        labels: the names of rows and columns.
        counts: `(labels, labels)`, rows the right label, columns the answer.
        title: the title.
    """
    counts = np.asarray(counts)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = max(4.2, 0.48 * len(labels) + 2.2)
    figure = Figure(figsize=(size + 0.8, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the row")
    places = np.arange(len(labels))
    axes.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, labels)
    axes.set_xlabel("answer")
    axes.set_ylabel("right label")
    axes.set_title(title)
    if len(labels) <= 20:
        for row in range(len(labels)):
            for column in range(len(labels)):
                if counts[row, column]:
                    axes.text(
                        column,
                        row,
                        f"{counts[row, column]}",
                        ha="center",
                        va="center",
                        fontsize=8 if len(labels) <= 10 else 6,
                        color="white" if shares[row, column] > 0.6 else "black",
                    )
    save_figure(figure, path)


def _colours(count: int) -> list[str]:
    return [_BLUE, _ORANGE, "#4d908e", "#9b5de5"][:count]


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure as a PNG that is whole or not there.

    Args:
        figure: the figure.
        path: the file.
    """
    FigureCanvasAgg(figure)
    with replacing_file(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
