"""The pictures that only a language model has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from .plots import save_figure

_COLOURS = ("#2a6f97", "#d1701f", "#4d908e", "#9b5de5")
_GREY = "#6b7280"


def accuracy_by_distance(
    path: str | os.PathLike[str],
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    longest_trained: float | None,
    chance: float,
    title: str,
) -> None:
    """How often the language is right, against how far away the country stands.

    Args:
        path: the PNG to write.
        curves: for each model rows with `distance` (words), `accuracy` (0 to 1) and `number`.
        longest_trained: the longest distance in training; marked by a line.
        chance: the accuracy of a guess.
        title: the title.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, rows), colour, marker in zip(curves.items(), _COLOURS, "osD^", strict=False):
        axes.plot(
            [row["distance"] for row in rows],
            [row["accuracy"] for row in rows],
            label=name,
            color=colour,
            marker=marker,
            markersize=4,
        )
    axes.axhline(chance, color=_GREY, linestyle="--", linewidth=1, label="chance")
    if longest_trained is not None:
        axes.axvline(
            longest_trained, color=_GREY, linestyle=":", linewidth=1, label="longest in training"
        )
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("words and commas between the country and the language (mean)")
    axes.set_ylabel("right languages (share)")
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save_figure(figure, path)
