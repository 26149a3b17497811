"""A picture of the network unrolled over time, with the norms of its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.data.errors import whole_number
from kerasrnn.lens.pictures import (
    GREATEST,
    RAMP,
    SMALLER,
    SMALLEST_LABEL,
    Theme,
    in_digits,
    label_of,
    log_limits,
    norms_of_example,
    short_name,
    step_name,
)
from kerasrnn.themes import LABEL_SIZE, Colours, is_dark, overlaps, prepared_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kerasrnn.lens.flow import GradientFlow, LayerFlow

_COLUMNS = 6
_NARROWEST = 3.6  # inches, for what is written below
# Inches for a step, in which a number has room, and for a layer.
_COLUMN, _ROW = 0.86, 0.72
_LONGEST_STEP = 11
_BOX = (0.76, 0.56)  # width and height of a box, in columns and rows


def unrolled_network(
    flow: GradientFlow,
    ax: Axes | None = None,
    *,
    example: int | None = None,
    steps: Sequence[str] | None = None,
    most: int | None = None,
    title: str | None = None,
    theme: Theme = None,
) -> Axes:
    r"""Draw the network unrolled over time, with the norm of the gradient in each box.

    A box is a<t> of a layer, with ‖∂L/∂a<t>‖₂ in it and in its colour, dark for the smallest and
    bright for the largest. Layers stand above each other in the order in which the model runs them;
    arrows show which way each reads. The two directions of one layer both read what is below them.
    A layer with another number of steps than the one below it stands on inputs of its own, as a
    decoder does. Of a long sequence the middle is left out.

    Args:
        flow: what `gradient_flow` returned; its `memories` are drawn.
        ax: matplotlib axes to draw into; None for a new figure.
        example: the number of one example; None for the mean over all.
        steps: what stands at each step, such as the words of the example; None for x<t>.
        most: how many steps are drawn at most, at least 2; None for as many as there is room for.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.

    Returns:
        The axes; `axes.figure.savefig(path)` writes the picture.

    Raises:
        ValueError: there is no such example, `most` is below 2, or `theme` is none of its choices.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import gradient_flow
    >>> from kerasrnn.lens.unrolled import unrolled_network
    >>> model = keras.Sequential([keras.Input((50, 3)), keras.layers.GRU(4)])
    >>> axes = unrolled_network(gradient_flow(model, np.ones((2, 50, 3))), most=4)
    >>> [text.get_text() for text in axes.texts if "x^" in text.get_text()][-1]
    '$x^{\\langle 50\\rangle}$'
    """
    most = None if most is None else whole_number(most, "most", 2)
    layers = flow.memories
    rows = [norms_of_example(layer, example) for layer in layers]
    groups = _groups(layers, rows)
    names = [short_name(layer.name) for layer in layers]
    # In inches.
    side = 0.3 + 0.085 * max(len(line) for name in names for line in name.split("\n"))
    longest = max(map(len, rows))
    columns = min(longest, most or _COLUMNS)
    height = _ROW * sum(0.85 + len(group) for group in groups)
    own = ax is None
    ax, colours = prepared_axes(
        ax, theme, (max(_NARROWEST, side + _COLUMN * (columns + 0.2)), height + 0.45)
    )
    figure: Any = ax.get_figure()
    if title is not None:
        ax.set_title(title, size=LABEL_SIZE + 1, color=colours.text)
    ax.set_axis_off()
    if not own:
        figure.draw_without_rendering()
        room = ax.get_window_extent().width / figure.dpi
        columns = min(longest, most or max(2, int((room - side) / _COLUMN)))
    painter = _Painter(ax, colours, rows, columns)
    bottom = 0.0
    for group in groups:
        bottom = painter.group(
            bottom, [(layers[i], rows[i], names[i]) for i in group], None if bottom else steps
        )
    ax.set(xlim=(-0.55 - side / _COLUMN, painter.width - 0.45), ylim=(-0.4, bottom - 0.6))
    label = label_of(flow.of, [layer.state for layer in layers])
    ax.text(
        0.5,
        0,
        f"in each box {label}" + ("" if example is None else f", example {example}"),
        transform=ax.transAxes,
        ha="center",
        va="top",
        size=LABEL_SIZE,
        color=colours.text,
    )
    figure.draw_without_rendering()
    size = LABEL_SIZE
    while (overlaps(ax.texts) or painter.too_small()) and size > SMALLEST_LABEL:
        size = max(SMALLEST_LABEL, size * SMALLER)
        for text in ax.texts:
            text.set_fontsize(size)
        figure.draw_without_rendering()
    return ax


def _groups(layers: Sequence[LayerFlow], rows: Sequence[np.ndarray]) -> list[list[int]]:
    """Layers that stand on each other: those with as many steps as the one before."""
    groups: list[list[int]] = []
    for number, row in enumerate(rows):
        if groups and len(rows[groups[-1][-1]]) == len(row):
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


class _Painter:
    """Draws boxes and arrows, a row for each layer."""

    def __init__(
        self, ax: Axes, colours: Colours, rows: Sequence[np.ndarray], columns: int
    ) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import LogNorm

        self.ax, self.colours, self.columns = ax, colours, columns
        self.ramp = colormaps[RAMP]
        low, high = log_limits(rows)
        self.norm = LogNorm(low, high, clip=True)
        self.width = 0.0
        self.numbers: list[Any] = []
        self.inputs: set[float] = set()

    def group(
        self,
        bottom: float,
        layers: Sequence[tuple[LayerFlow, np.ndarray, str]],
        steps: Sequence[str] | None,
    ) -> float:
        """Inputs and the layers on them; returns where the next group begins."""
        length = len(layers[0][1])
        # Steps that are masked in all layers are padding.
        there = np.flatnonzero(np.any([~np.isnan(row) for _, row, _ in layers], axis=0))
        last = int(there[-1]) + 1 if len(there) else length
        shown_steps = _ends_of(last, self.columns)
        self.width = max(self.width, float(len(shown_steps)))
        self.inputs.add(bottom)
        for x, step in enumerate(shown_steps):
            if step is None:
                self._text(x, bottom, "⋯")
            elif steps is not None and step < len(steps):
                self._text(x, bottom, step_name(steps[step], _LONGEST_STEP), math=False)
            else:
                self._text(x, bottom, rf"$x^{{\langle {step + 1}\rangle}}$")
        below: list[float] = [bottom]  # what the next layers read
        here: list[float] = []
        for number, (layer, row, name) in enumerate(layers):
            y = bottom + 1 + number
            if here and not self._pairs(layers[number - 1][0], layer):
                below, here = here, []
            here.append(y)
            self._text(-0.55, y, name, ha="right", math=False)
            for x, step in enumerate(shown_steps):
                if step is None:
                    self._text(x, y, "⋯")
                    continue
                self._box(x, y, layer.state, step, row[step])
                for source in below:
                    self._up(x, source, y, left=source < below[-1])
            self._along(len(shown_steps), y, layer.backward)
        return bottom + len(layers) + 1

    @staticmethod
    def _pairs(one: LayerFlow, other: LayerFlow) -> bool:
        """Whether two layers are the two directions of one."""
        parents = {each.name.rpartition("/")[0] for each in (one, other)}
        return len(parents) == 1 and "" not in parents and one.backward != other.backward

    def _box(self, x: float, y: float, state: str, step: int, norm: float) -> None:
        from matplotlib.patches import FancyBboxPatch

        width, height = _BOX
        hidden = bool(np.isnan(norm))
        face: Any = (
            self.colours.background if hidden else self.ramp(self.norm(np.clip(norm, 0, GREATEST)))
        )
        self.ax.add_patch(
            FancyBboxPatch(
                (x - width / 2 + 0.05, y - height / 2 + 0.05),
                width - 0.1,
                height - 0.1,
                boxstyle="round,pad=0.05",
                facecolor=face,
                edgecolor=self.colours.quiet,
                linestyle=":" if hidden else "-",
                lw=0.8,
                zorder=3,
            )
        )
        letter = state if state in ("a", "c") else "s"
        symbol = rf"${letter}^{{\langle {step + 1}\rangle}}$"
        colour = self.colours.text if hidden else ("white" if is_dark(face) else "black")
        text = self._text(x, y, f"{symbol}\n{in_digits(norm)}", color=colour)
        self.numbers.append(text)

    def _up(self, x: float, source: float, target: float, left: bool) -> None:
        """An arrow from one row to one above it, around the row between."""
        height = _BOX[1]
        start = source + (0.2 if source in self.inputs else height / 2)
        length = (target - height / 2 - start) * _ROW
        side = 0.0
        if target - source > 1.5:
            side = -1.0 if left else 1.0
        self._arrow(
            (x + 0.2 * side, start),
            (x + 0.2 * side, target - height / 2),
            color=self.colours.quiet,
            connectionstyle=f"arc3,rad={side * 0.54 * _COLUMN / length}",
        )

    def _arrow(self, start: tuple[float, float], end: tuple[float, float], **options: Any) -> None:
        from matplotlib.patches import FancyArrowPatch

        options = {"arrowstyle": "-|>", "mutation_scale": 8, "lw": 1, "zorder": 2, **options}
        self.ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **options))

    def _along(self, count: int, y: float, backward: bool) -> None:
        """Arrows through time."""
        width = _BOX[0]
        for x in range(count - 1):
            ends = [(x + width / 2, y), (x + 1 - width / 2, y)]
            start, end = reversed(ends) if backward else ends
            self._arrow(start, end, color=self.colours.text)

    def _text(self, x: float, y: float, text: str, math: bool = True, **options: Any) -> Any:
        options = {"ha": "center", "color": self.colours.text, **options}
        drawn = self.ax.text(x, y, text, va="center", size=LABEL_SIZE, zorder=4, **options)
        drawn.set_parse_math(math)
        return drawn

    def too_small(self) -> bool:
        """Whether a number does not fit into its box."""
        corners = self.ax.transData.transform([(0, 0), _BOX])
        width, height = corners[1] - corners[0]
        extents = [text.get_window_extent() for text in self.numbers]
        return any(each.width > width or each.height > height for each in extents)


def _ends_of(length: int, columns: int) -> list[int | None]:
    """Which steps are drawn: all, or the first and the last with None for what is between."""
    if length <= columns:
        return list(range(length))
    first = columns // 2
    return [*range(first), None, *range(length - (columns - first), length)]
