"""Colours of pictures, on light and on dark ground, and the axes that are drawn into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kerasrnn.data.errors import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABEL_SIZE = 9.0  # points


class Colours(NamedTuple):
    """Those of Okabe and Ito (2008), which eyes without red or green tell apart."""

    background: str
    text: str
    quiet: str
    groups: tuple[str, ...]
    low: str
    middle: str
    high: str


COLOURS = {
    "light": Colours(
        background="white",
        text="#1a1a1a",
        quiet="#7a7a7a",
        groups=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
        low="#0072B2",
        middle="#f7f7f7",
        high="#D55E00",
    ),
    "dark": Colours(
        background="#14171c",
        text="#ececec",
        quiet="#949494",
        groups=("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#FFFFFF"),
        low="#56B4E9",
        middle="#22262d",
        high="#E69F00",
    ),
}


def prepared_axes(
    ax: Axes | None, theme: str | None, inches: tuple[float, float]
) -> tuple[Axes, Colours]:
    """Axes to draw into, and the colours that suit them.

    Args:
        ax: axes of a user; None for a new figure.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.
        inches: width and height of a new figure.

    Raises:
        ValueError: `theme` is none of these, or `ax` stands in a subfigure.
    """
    if theme is not None:
        check_choice("theme", theme, tuple(COLOURS))
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots(figsize=inches, layout="constrained")[1]
    figure: Any = ax.get_figure()
    if not hasattr(figure, "get_size_inches"):
        raise ValueError("`ax` must stand in a figure itself, not in one of its subfigures.")
    if theme is None:
        theme = "dark" if is_dark(figure.get_facecolor()) else "light"
        return ax, COLOURS[theme]
    colours = COLOURS[theme]
    figure.set_facecolor(colours.background)
    ax.set_facecolor(colours.background)
    return ax, colours


def style(ax: Axes, colours: Colours) -> None:
    """Give frame, ticks, labels and title the colours and the size of all pictures."""
    for spine in ax.spines.values():
        spine.set_color(colours.quiet)
    ax.tick_params(color=colours.quiet, labelcolor=colours.text, labelsize=LABEL_SIZE)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(color=colours.text, size=LABEL_SIZE)
    ax.title.set_color(colours.text)


def overlaps(texts: Sequence[Any]) -> int:
    """How many pairs of texts cover each other, by the boxes around them.

    Args:
        texts: texts of a figure.

    Returns:
        The number of pairs.
    """
    boxes = np.array([text.get_window_extent().extents for text in texts]).reshape(-1, 4)
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    common = np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2])
    return int(np.triu((common > 0).all(axis=-1), 1).sum())


def is_dark(colour: Sequence[float]) -> bool:
    """Whether white text is easier to read on a colour than black text.

    By the relative luminance of the Web Content Accessibility Guidelines 2.2, where the ratios of
    contrast, (1 + 0.05) / (L + 0.05) and (L + 0.05) / 0.05, are equal.
    """
    parts = np.asarray(colour[:3], float)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722)) < (1.05 * 0.05) ** 0.5 - 0.05


def check_choice(argument: str, value: Any, choices: Sequence[str]) -> None:
    """Raise a ValueError, with the choices, for a value that is none of them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(choices)}. Received: {shown(value)}"
        )
