"""Pictures of piano rolls, drawn without a display."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from kerasrnn.data import pitch_name

from .plots import save_figure

_LOWEST = 21
_BLUE, _ORANGE, _GREY = "#2a6f97", "#d1701f", "#6b7280"
_BLUES = LinearSegmentedColormap.from_list("blues", ["white", "#a9cfe4", _BLUE, "#0d2c40"])


def foresight(
    path: str | os.PathLike[str],
    roll: np.ndarray,
    probabilities: np.ndarray,
    nll: np.ndarray,
    title: str,
) -> None:
    """What the model expected of each frame, what came, and how surprising that was.

    Args:
        path: the PNG to write.
        roll: the piece, 0 and 1, `(time, 88)`.
        probabilities: the probability of each key in the frame after each, `(time, 88)`.
        nll: the negative log-likelihood of each frame but the first, in nats, `(time - 1,)`.
        title: the title.
    """
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    keys, surprise = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    low, high = _used(roll)
    image = keys.imshow(
        probabilities[:-1, low:high].T,
        origin="lower",
        aspect="auto",
        cmap=_BLUES,
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(1.5, len(roll) + 0.5, low + _LOWEST - 0.5, high + _LOWEST - 0.5),
    )
    figure.colorbar(image, ax=keys, label="probability", pad=0.01)
    frames, notes = np.nonzero(roll)
    keys.scatter(
        frames + 1,
        notes + _LOWEST,
        marker="s",
        s=12,
        facecolors="none",
        edgecolors=_ORANGE,
        linewidths=0.8,
        label="sounds",
    )
    keys.legend(loc="upper right", frameon=True, framealpha=0.9)
    _pitches(keys, low, high)
    keys.set_title(title)
    surprise.bar(np.arange(2, len(roll) + 1), nll, color=_BLUE, width=0.8)
    surprise.set_ylabel("nats")
    surprise.set_xlabel("frame")
    surprise.set_xlim(0.5, len(roll) + 0.5)
    surprise.grid(axis="y", alpha=0.25)
    _save(figure, path)


def continuations(
    path: str | os.PathLike[str],
    beginnings: list[np.ndarray],
    music: list[np.ndarray],
    title: str,
) -> None:
    """Pieces that the model went on with.

    Args:
        path: the PNG to write.
        beginnings: how each piece begins, `(time, 88)`.
        music: what the model added to each, `(frames, 88)`.
        title: the title.
    """
    count = len(music)
    figure = Figure(figsize=(10, 2.4 * count + 0.6), layout="constrained")
    rows: Any = figure.subplots(count, 1, squeeze=False)
    low, high = _used(np.concatenate([*beginnings, *music]))
    for axes, before, after in zip(rows[:, 0], beginnings, music, strict=True):
        for roll, first, colour in ((before, 1, _GREY), (after, len(before) + 1, _BLUE)):
            frames, notes = np.nonzero(roll)
            axes.barh(
                notes + _LOWEST,
                np.ones(len(frames)),
                left=frames + first - 0.5,
                height=0.9,
                color=colour,
            )
        if len(before):
            axes.axvline(len(before) + 0.5, color=_ORANGE, label="the model goes on")
            axes.legend(loc="upper right", frameon=True, framealpha=0.9)
        axes.set_xlim(0.5, len(before) + len(after) + 0.5)
        _pitches(axes, low, high)
    rows[-1, 0].set_xlabel("frame")
    rows[0, 0].set_title(title)
    _save(figure, path)


def _used(roll: np.ndarray) -> tuple[int, int]:
    """The keys from the lowest to behind the highest that sounds, with some room."""
    used = np.nonzero(np.asarray(roll).any(axis=0))[0]
    if not len(used):
        return 39, 52
    return max(0, int(used[0]) - 2), min(88, int(used[-1]) + 3)


def _pitches(axes: Any, low: int, high: int) -> None:
    """Names for every C and G between two keys."""
    ticks = [p for p in range(low + _LOWEST, high + _LOWEST) if p % 12 in (0, 7)]
    axes.set_yticks(ticks, [pitch_name(pitch) for pitch in ticks])
    axes.set_ylim(low + _LOWEST - 0.5, high + _LOWEST - 0.5)
    axes.grid(axis="y", alpha=0.25)


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    save_figure(figure, path)
