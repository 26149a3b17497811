"""What the pictures of the lecture share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.themes import COLOURS, LABEL_SIZE, is_dark, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT = COLOURS["light"]
# Besides their colours, lines differ in their dashes.
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def panels(
    rows: int = 1, columns: int = 1, *, inches: tuple[float, float], **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure with axes in the colours of the page, `(rows, columns)` of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, layout="constrained", facecolor=LIGHT.background)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        style(ax, LIGHT)
    return figure, axes


def finish(ax: Axes, *, title: str = "", x: str = "", y: str = "", legend: Any = False) -> None:
    """Titles, and a legend: True, or where it is to stand."""
    if title:
        ax.set_title(title, size=LABEL_SIZE + 1, color=LIGHT.text)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if legend:
        where = legend if isinstance(legend, dict) else {}
        ax.legend(fontsize=LABEL_SIZE, frameon=False, labelcolor=LIGHT.text, **where)
    style(ax, LIGHT)


def without_window(ax: Axes) -> Figure:
    """The figure of axes that pyplot has made, which it lets go."""
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    pyplot.close(figure)
    return figure


def lines(ax: Axes, x: Any, rows: dict[str, Any], **options: Any) -> None:
    """A line for each row, with a colour and a dash of its own."""
    for number, (name, values) in enumerate(rows.items()):
        colour = LIGHT.groups[number % len(LIGHT.groups)]
        ax.plot(x, values, ls=DASHES[number % len(DASHES)], c=colour, label=name, **options)


def heat(
    ax: Axes,
    values: np.ndarray,
    *,
    limit: float | None = None,
    ramp: Any = None,
    norm: Any = None,
    form: str | None = None,
    size: float = LABEL_SIZE,
) -> Any:
    """A heat map, blue below 0 and orange above, and with `form` the numbers in it."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    if ramp is None:
        ramp = LinearSegmentedColormap.from_list("", [LIGHT.low, LIGHT.middle, LIGHT.high])
    elif isinstance(ramp, tuple):
        ramp = LinearSegmentedColormap.from_list("", ramp)
    if norm is None:
        limit = limit or float(np.nanmax(np.abs(values))) or 1.0
        norm = Normalize(-limit, limit)
    shown = ax.imshow(values, cmap=ramp, norm=norm, aspect="auto")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    if form is not None:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if is_dark(ramp(norm(value))) else "black"
                text = _signed(form.format(value))
                ax.text(column, row, text, ha="center", va="center", size=size, color=colour)
    return shown


def _signed(number: str) -> str:
    """A number with a minus that is one, and without one where it is rounded to zero."""
    return number.replace("-", "−") if float(number) else number.lstrip("-")
