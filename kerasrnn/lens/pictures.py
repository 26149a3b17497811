"""Pictures of how the gradient flows: by lag, and over time and layers."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from kerasrnn.data.errors import shown, whole_number
from kerasrnn.embeddings.projector import printable
from kerasrnn.themes import LABEL_SIZE, Colours, is_dark, overlaps, prepared_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kerasrnn.lens.flow import GradientFlow, Horizon, LayerFlow

Theme = Literal["light", "dark"] | None

_INCHES = (6.4, 3.6)
_MOST_INCHES = 40.0
SMALLEST_LABEL = 4.0  # points
SMALLER = 0.9
_SMALL = 8.0  # points, for what stands in a row or a cell
_WRITTEN = 300  # values that may be written into a picture
_LONGEST_NAME, _LONGEST_LABEL = 22, 44
_WIDE = 10.0  # inches
_LARGER = 1.15
_GAP = 8.0  # points between the end of a line and its label
_MOST_OF_FIGURE = 0.4  # for names of rows
_MOST_OF_WIDTH = 0.5  # for labels beside lines
_APART = 0.015  # of the height, between labels
_STYLES = ("-", "--", "-.", ":")
# A logarithmic axis and its colours must stay within the numbers of the machine.
LEAST, GREATEST = 1e-280, 1e200
RAMP = "cividis"  # the same to eyes that do not tell red from green, by its makers' design


# === Over lag ===


def plot_flows(
    flows: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    relative: bool = False,
    of: str = "loss",
    title: str | None = None,
    theme: Theme = None,
) -> Axes:
    r"""Draw how the gradient falls with the lag, a line for each cell or layer.

    The axis of the norms is logarithmic. A dot marks the horizon, the lag at which the gradient has
    fallen to a hundredth; the label at the end of a line has it in numbers, as `≥ 199` where the
    gradient has not fallen so far. Where a gradient is exactly zero its line falls out of the
    picture below, where it is infinite above; where it is not a number the line has a gap.

    Args:
        flows: for each name a `LayerFlow`, or norms by lag `(lags,)`; or several of one name in a
            list, such as those of three seeds, for the line of their geometric mean in a band from
            the least to the greatest.
        ax: matplotlib axes to draw into; None for a new figure.
        relative: divide each line by what it is at lag 0.
        of: what the derivative is of, `"loss"` or `"output"`, for the label of the axis.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.

    Returns:
        The axes; `axes.figure.savefig(path)` writes the picture.

    Raises:
        TypeError: `flows` holds something else.
        ValueError: there are no flows, or `of` or `theme` is none of its choices.

    Example:

    >>> from kerasrnn.lens.pictures import plot_flows
    >>> axes = plot_flows({"falling": [1.0, 0.1, 0.01, 0.001], "kept": [1.0, 0.9, 0.8, 0.7]})
    >>> [text.get_text() for text in axes.texts]
    ['falling\n● horizon 2', 'kept\nhorizon ≥ 3']
    """
    curves = _curves(flows, relative)
    label = label_of(
        of,
        [flow.state for each in _lists(flows) for flow in each if hasattr(flow, "state")],
        relative,
    )
    own = ax is None
    ax, colours = prepared_axes(ax, theme, _INCHES)
    limits = log_limits([row for curve in curves for row in curve.rows])
    low, high = limits
    longest = max(curve.rows.shape[1] for curve in curves) - 1
    ax.set(yscale="log", ylim=limits, xlim=(0 if longest else -0.5, longest or 0.5))
    ends, drawn = [], []
    looks = itertools.cycle(itertools.product(_STYLES, colours.groups))
    for curve, (line, colour) in zip(curves, looks, strict=False):
        lags = np.arange(curve.rows.shape[1])
        rows = np.clip(curve.rows, low / 10, high * 10)
        middle = np.exp(_means(np.log(rows)))
        if len(rows) > 1:
            ax.fill_between(lags, *_extent(rows), color=colour, alpha=0.22, lw=0)
        alone = np.isfinite(middle).sum() == 1
        marker: Any = "_" if alone else None
        drawn += ax.plot(lags, middle, color=colour, linestyle=line, lw=1.7, marker=marker, ms=9)
        for row, horizon in zip(rows, curve.horizons, strict=True):
            if not horizon.at_least and np.isfinite(row[:1]).all() and row[0] > 0:
                ax.plot(horizon, row[0] / 100, "o", color=colour, ms=5, mew=0, zorder=4)
        there = np.flatnonzero(np.isfinite(middle))
        at = there[-1] if len(there) else 0
        ends.append((float(at), float(np.clip(middle[at], low, high)) if len(there) else low))
    if relative:
        ax.axhline(0.01, color=colours.quiet, lw=0.8, zorder=1)
    ax.set_xlabel("lag (steps back)")
    ax.set_ylabel(label)
    if title is not None:
        ax.set_title(title, size=LABEL_SIZE + 1)
    style(ax, colours)
    ax.tick_params(which="minor", labelcolor=colours.text, labelsize=LABEL_SIZE, length=0)
    ax.grid(color=colours.quiet, alpha=0.25, lw=0.6)
    ax.set_axisbelow(True)
    names = [curve.label for curve in curves]
    _label_ends(ax, names, ends, [line.get_color() for line in drawn], longest, colours, own=own)
    return ax


def figure_of_flows(
    flows: Mapping[str, Sequence[LayerFlow]], *, of: str = "loss", theme: Theme = None
) -> Figure:
    """Draw `plot_flows` for each layer, one below the other, without a display.

    Args:
        flows: by what to call them, the flows of the same layers, such as before and after a
            training.
        of: what the derivative is of, `"loss"` or `"output"`.
        theme: `"light"`, `"dark"`, or None for light.

    Returns:
        A figure; its `savefig(path)` writes it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = dict.fromkeys(flow.name for each in flows.values() for flow in each)
    width, height = _INCHES
    figure = Figure(figsize=(width, height * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for name, axes in zip(names, grid, strict=True):
        of_layer = {
            title: [flow for flow in each if flow.name == name] for title, each in flows.items()
        }
        plot_flows(
            {title: each for title, each in of_layer.items() if each},
            axes,
            of=of,
            title=name if len(names) > 1 else None,
            theme=theme,
        )
    return figure


class _Curve(NamedTuple):
    """What is drawn in one colour.

    Attributes:
        label: its name and its horizon.
        rows: norms `(flows, lags)`, padded with NaN.
        horizons: that of each row.
    """

    label: str
    rows: np.ndarray
    horizons: list[Horizon]


def _lists(flows: Mapping[str, Any]) -> list[list[Any]]:
    """The flows of each name, in a list also where there is one."""
    if not isinstance(flows, Mapping):
        raise TypeError(f"`flows` must map names to flows. Received: {shown(flows)}")
    if not flows:
        raise ValueError("`flows` must hold at least one flow. Received none.")
    return [_several(name, flow) for name, flow in flows.items()]


def _several(name: str, flow: Any) -> list[Any]:
    if hasattr(flow, "by_lag"):
        return [flow]
    if isinstance(flow, list | tuple) and any(
        hasattr(each, "by_lag") or np.ndim(each) for each in flow
    ):
        return list(flow)
    if isinstance(flow, np.ndarray) and flow.ndim == 2:
        return list(flow)
    return [flow]


def _curves(flows: Mapping[str, Any], relative: bool) -> list[_Curve]:
    from kerasrnn.lens.flow import horizon_of

    curves = []
    for name, several in zip(flows, _lists(flows), strict=True):
        rows = []
        for flow in several:
            try:
                norms = np.asarray(getattr(flow, "by_lag", flow), float)
            except (TypeError, ValueError):
                norms = np.zeros((0, 0))
            if norms.ndim != 1:
                raise TypeError(
                    f"flows[{name!r}] must be a LayerFlow, norms by lag, or a list of these. "
                    f"Received: {shown(flow)}"
                )
            rows.append(norms if len(norms) else np.full(1, np.nan))
        horizons = [horizon_of(norms) for norms in rows]
        if relative:
            rows = [_ratio(norms, norms[0]) for norms in rows]
        longest = max(map(len, rows))
        padded = np.full((len(rows), longest), np.nan)
        for number, norms in enumerate(rows):
            padded[number, : len(norms)] = norms
        curves.append(
            _Curve(f"{elided(str(name), _LONGEST_LABEL)}\n{_horizons(horizons)}", padded, horizons)
        )
    return curves


def _ratio(norms: np.ndarray, first: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        return norms / first


def _horizons(horizons: Sequence[Horizon]) -> str:
    """One horizon, or the least and the greatest of several."""
    low, high = min(horizons), max(horizons, key=lambda h: (float(h), h.at_least))
    dot = "" if all(h.at_least for h in horizons) else "● "
    return f"{dot}horizon {low}" + ("" if str(low) == str(high) else f" to {high}")


def label_of(of: str, states: Iterable[str], relative: bool = False) -> str:
    """What a norm is, in letters."""
    if of not in ("loss", "output"):
        raise ValueError(f"`of` must be one of loss, output. Received: {shown(of)}")
    kinds = set(states) or {"a"}
    numerator = {"loss": "L", "output": r"\hat{y}"}[of]
    letter = "c" if kinds == {"c"} else "a"
    norm = rf"$\Vert\,\partial {numerator}\,/\,\partial {letter}^{{\langle t\rangle}}\,\Vert_2$" + (
        r" (LSTM: $c^{\langle t\rangle}$)" if kinds == {"a", "c"} else ""
    )
    return f"{norm}, as a share of lag 0" if relative else norm


def log_limits(rows: Sequence[np.ndarray]) -> tuple[float, float]:
    """Limits of a logarithmic axis around all that is positive and finite."""
    values = np.concatenate([np.ravel(row) for row in rows])
    values = values[np.isfinite(values) & (values > 0)]
    if not len(values):
        return 0.1, 1.0
    low = float(np.clip(values.min(), LEAST, GREATEST))
    high = float(np.clip(values.max(), LEAST, GREATEST))
    room = min(10, max(0.15, 0.04 * (np.log10(high) - np.log10(low))))  # in tenfolds
    return low * 10**-room, high * 10**room


def _means(rows: np.ndarray) -> np.ndarray:
    """Means over the first axis without NaN."""
    there = np.isfinite(rows)
    sums = np.where(there, rows, 0).sum(axis=0)
    counts = there.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _extent(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest over the first axis, without NaN."""
    none = np.isnan(rows).all(axis=0)
    low = np.where(np.isnan(rows), np.inf, rows).min(axis=0)
    high = np.where(np.isnan(rows), -np.inf, rows).max(axis=0)
    return np.where(none, np.nan, low), np.where(none, np.nan, high)


# === Labels at the ends of lines ===


def _label_ends(
    ax: Axes,
    names: Sequence[str],
    ends: Sequence[tuple[float, float]],
    line_colours: Sequence[Any],
    longest: float,
    colours: Colours,
    *,
    own: bool,
) -> None:
    """Write what each line is to the right of its end, within the axes, none over another."""
    figure: Any = ax.get_figure()
    texts = [
        ax.text(longest, y, name, color=colour, size=LABEL_SIZE, va="center", linespacing=1.1)
        for name, (_, y), colour in zip(names, ends, line_colours, strict=True)
    ]
    for text in texts:
        text.set_parse_math(False)
        text.set_in_layout(False)
    ticks = [tick for tick in ax.get_xticks() if -0.5 <= tick <= max(longest, 0.5)]
    whole = [tick for tick in ticks if tick == int(tick)] or [0]
    ax.set_xticks(whole)
    size = LABEL_SIZE
    while True:
        figure.draw_without_rendering()
        area = ax.get_window_extent()
        boxes = [text.get_window_extent() for text in texts]
        needed = sum(box.height + _APART * area.height for box in boxes)
        width = max(box.width for box in boxes)
        if needed <= area.height and width <= _MOST_OF_WIDTH * area.width:
            break
        inches = figure.get_size_inches()
        if own and needed > area.height and inches[1] < _MOST_INCHES:
            figure.set_size_inches(inches[0], min(_MOST_INCHES, inches[1] * _LARGER))
        elif own and width > _MOST_OF_WIDTH * area.width and inches[0] < _MOST_INCHES:
            figure.set_size_inches(min(_MOST_INCHES, inches[0] * _LARGER), inches[1])
        elif size > SMALLEST_LABEL:
            size = max(SMALLEST_LABEL, size * SMALLER)
            for text in texts:
                text.set_fontsize(size)
        else:
            warnings.warn(
                f"{len(texts)} labels do not fit without covering each other: draw fewer lines, or "
                "give larger axes.",
                stacklevel=4,
            )
            break
    gap = _GAP * figure.dpi / 72
    start = float(ax.get_xlim()[0])
    share = max(0.1, (area.width - width - 2 * gap) / area.width)
    ax.set_xlim(start, start + (max(longest, 0.5) - start) / share)
    pixels = ax.transData.transform([(longest, y) for _, y in ends])
    heights = np.array([box.height for box in boxes])
    places = _spread(pixels[:, 1], heights + _APART * area.height, area.y0, area.y1)
    left = area.x0 + share * area.width + gap
    inverse = ax.transData.inverted()
    for text, place, (x, y), colour in zip(texts, places, ends, line_colours, strict=True):
        there = inverse.transform((left, place))
        text.set_position((float(there[0]), float(there[1])))
        near = inverse.transform((left - gap / 4, place))
        ax.plot([x, near[0]], [y, near[1]], color=colour, lw=0.7, alpha=0.7, zorder=1)


def _spread(wanted: np.ndarray, heights: np.ndarray, low: float, high: float) -> np.ndarray:
    """Places near those that are wanted, in their order, where no height covers another.

    What is left when heights before each are taken off must not fall: least squares under that
    condition are means of neighbours (pool adjacent violators).
    """
    order = np.argsort(wanted, kind="stable")
    before = np.cumsum(heights[order]) - heights[order] / 2
    blocks: list[list[float]] = []  # mean, count
    for target in wanted[order] - before:
        blocks.append([target, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (mean, count), (other, more) = blocks.pop(-2), blocks.pop()
            blocks.append([(mean * count + other * more) / (count + more), count + more])
    levels = np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks])
    places = np.empty(len(wanted))
    places[order] = np.clip(levels, low, max(low, high - heights.sum())) + before
    return places


# === Over time and layers ===


def flow_heat_map(
    flow: GradientFlow,
    ax: Axes | None = None,
    *,
    example: int | None = None,
    steps: Sequence[str] | None = None,
    title: str | None = None,
    theme: Theme = None,
) -> Axes:
    """Draw the gradient of each layer at each time step.

    The colours are logarithmic, dark for small and bright for large norms. A zero has the darkest
    colour, what is infinite the brightest; steps that are masked are blank.

    Args:
        flow: what `gradient_flow` returned. The rows are its `memories`, the first layer below; an
            arrow says which way a layer reads.
        ax: matplotlib axes to draw into; None for a new figure.
        example: the number of one example; None for the mean over all.
        steps: what stands at each step, such as the words of the example; None for numbers.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.

    Returns:
        The axes; `axes.figure.savefig(path)` writes the picture.

    Raises:
        ValueError: there is no such example, there are not as many `steps` as the layers have, or
            `theme` is none of its choices.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import gradient_flow
    >>> from kerasrnn.lens.pictures import flow_heat_map
    >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4, name="gru")])
    >>> axes = flow_heat_map(gradient_flow(model, np.ones((2, 5, 3))))
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['→ gru']
    """
    rows = [norms_of_example(layer, example) for layer in flow.memories]
    longest = max(map(len, rows))
    values = np.full((len(rows), longest), np.nan)
    for number, row in enumerate(rows):
        values[number, : len(row)] = row
    if steps is not None and len(steps) < longest:
        # Padding has no words.
        if np.isfinite(values[:, len(steps) :]).any():
            raise ValueError(
                f"`steps` must name each step: {longest} of them. Received {len(steps)}."
            )
        values = values[:, : len(steps)]
    steps = None if steps is None else list(steps)[: values.shape[1]]
    names = [f"{'←' if layer.backward else '→'} {layer.name}" for layer in flow.memories]
    inches = (6.4, 1.5 + 0.34 * len(rows))
    ax, colours = prepared_axes(ax, theme, inches)
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    positive = values[np.isfinite(values) & (values > 0)]
    positive = positive if len(positive) else np.array([0.1, 1.0])
    low, high = np.clip([positive.min(), positive.max()], LEAST, GREATEST)
    if high < 1.01 * low:  # colours need a range
        low, high = low / 2, high * 2
    ramp = colormaps[RAMP].with_extremes(bad=colours.background)
    norm = LogNorm(low, high)
    # Beyond the ends of the colours, as far as a logarithm goes.
    drawn = np.clip(values, low / 2, high * 2)
    image = ax.imshow(
        drawn, cmap=ramp, norm=norm, aspect="auto", origin="lower", interpolation="nearest"
    )
    ends = ((values <= 0).any(), np.isposinf(values).any())
    extend: Any = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[
        (int(ends[0]), int(ends[1]))
    ]
    figure: Any = ax.get_figure()
    bar = figure.colorbar(image, ax=ax, extend=extend, pad=0.02)
    bar.set_label(
        label_of(flow.of, [layer.state for layer in flow.memories]),
        color=colours.text,
        size=LABEL_SIZE,
    )
    bar.ax.minorticks_off()
    ticks = _log_ticks(low, high)
    bar.set_ticks(ticks, labels=[in_digits(tick).replace(r"1.0\cdot ", "") for tick in ticks])
    style(bar.ax, colours)
    bar.outline.set_visible(False)
    if title is not None:
        ax.set_title(title, size=LABEL_SIZE + 1)
    style(ax, colours)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if steps is None:
        ax.set_xlabel("time step")
    _name_both(ax, names, steps, values.shape[1])
    return ax


def _log_ticks(low: float, high: float) -> list[float]:
    """Some five powers of ten between two numbers, or, where there are fewer than two, others."""
    first, last = int(np.ceil(np.log10(low))), int(np.floor(np.log10(high)))
    if last > first:
        return [10.0**power for power in range(first, last + 1, 1 + (last - first) // 5)]
    return [float(f"{tick:.1e}") for tick in np.geomspace(low * 1.02, high / 1.02, 3)]


def in_digits(value: float) -> str:
    """A norm in two digits."""
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    exponent = int(np.floor(np.log10(value)))
    if -2 <= exponent <= 2:
        return f"{value:.{max(0, 1 - exponent)}f}"
    mantissa, exponent_text = f"{value:.1e}".split("e")
    return rf"${mantissa}\cdot 10^{{{int(exponent_text)}}}$"


def norms_of_example(layer: LayerFlow, example: int | None) -> np.ndarray:
    if example is None:
        return layer.norms
    count = len(layer.per_example)
    if whole_number(example, "example", 0) >= count:
        raise ValueError(f"`example` must be below {count}. Received: example={example}")
    return layer.per_example[example]


# === Names of rows and columns ===


def _name_both(ax: Axes, names: Sequence[str], steps: Sequence[str] | None, count: int) -> None:
    """Name the rows and the columns of a heat map."""
    name_rows(ax, names)
    if steps is None:
        number_steps(ax, count)
    else:
        write_steps(ax, steps)
        name_rows(ax, names)  # below words that stand upright there is less room


def number_steps(ax: Axes, count: int) -> None:
    """Number the columns of a picture from 1, as many as there is room for."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=8, integer=True).tick_values(1, max(2, count))
    ticks = sorted({1, *(int(tick) for tick in ticks if 1 < tick <= count)})
    if len(ticks) > 2 and ticks[1] - 1 < (ticks[2] - ticks[1]) / 2:
        ticks = [1, *ticks[2:]]
    ax.set_xticks([tick - 1 for tick in ticks], list(map(str, ticks)))


def write_steps(ax: Axes, steps: Sequence[str]) -> None:
    """Write what stands at each step under its column.

    Words stand upright where they would cover each other, and are smaller or, at last, only some of
    them are written, where even so there is no room.
    """
    figure: Any = ax.get_figure()
    words = [step_name(step, _LONGEST_NAME) for step in steps]
    ax.set_xticks(range(len(words)), words)

    def fits() -> bool:
        for tick in ax.get_xticklabels():
            tick.set_parse_math(False)
        figure.draw_without_rendering()
        return not overlaps(ax.get_xticklabels())

    if len(words) * LABEL_SIZE < _points(ax) and fits():
        return
    ax.tick_params(axis="x", rotation=90)
    size, every = LABEL_SIZE, max(1, int(len(words) * _SMALL / _points(ax)))
    if every > 1:
        size = _SMALL
        ax.tick_params(axis="x", labelsize=size)
        ax.set_xticks(range(0, len(words), every), words[::every])
    while not fits():
        if size > _SMALL:
            size = max(_SMALL, size * SMALLER)
            ax.tick_params(axis="x", labelsize=size)
        else:
            every += 1
            ax.set_xticks(range(0, len(words), every), words[::every])


def _points(ax: Axes) -> float:
    """The width of axes."""
    return max(1.0, float(ax.get_window_extent().width) * 72 / ax.get_figure().dpi)  # type: ignore


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Write the names of rows, or of every second or third where there are too many."""
    figure: Any = ax.get_figure()
    names = [elided(name, _LONGEST_LABEL) for name in names]
    width = max(map(len, names)) * LABEL_SIZE / 72 * 0.6  # inches, about
    if width > _MOST_OF_FIGURE * figure.get_size_inches()[0]:
        names = [name.replace("/", "/\n") for name in names]
    every = 1
    while True:
        ax.set_yticks(range(0, len(names), every), names[::every])
        for tick in ax.get_yticklabels():
            tick.set_parse_math(False)
        figure.draw_without_rendering()
        if every >= len(names) or not overlaps(ax.get_yticklabels()):
            return
        every += 1


def short_name(name: str) -> str:
    """A name in up to two lines, the middle left out where it is long."""
    parts = [elided(part, _LONGEST_NAME) for part in name.split("/")]
    return "/\n".join(parts[-2:])


def step_name(step: str, longest: int) -> str:
    """What stands at a step, with something to see where that is nothing, a space or a new line."""
    return {"": "∅", " ": "␣", "\n": "↵"}.get(step) or elided(step, longest)


def elided(text: str, longest: int) -> str:
    """Text that can be printed, its middle left out where it is long."""
    text = printable(text)
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


# === Values with a sign ===


def signed_heat_map(
    values: np.ndarray,
    names: Sequence[str],
    steps: Sequence[str] | None,
    ax: Axes | None = None,
    *,
    title: str | None = None,
    theme: Theme = None,
) -> Axes:
    """Draw rows of values: orange above 0, blue below, so strong as far from it.

    Where there are few they are written in.

    Args:
        values: `(rows, columns)`; NaN is blank. The colours reach to 1, or as far as the values.
        names: what the rows are called, the first above.
        steps: what stands at each column; None for numbers.
        ax: matplotlib axes to draw into; None for a new figure.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.

    Returns:
        The axes.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.lens.pictures import signed_heat_map
    >>> axes = signed_heat_map(np.array([[0.1, 0.9]]), ["Γu"], ["He", "said"])
    >>> [text.get_text() for text in axes.texts]
    ['0.10', '0.90']
    """
    count = len(values[0])
    longest = max(map(len, steps)) if steps is not None else 0
    side = 0.9 + 0.085 * max(map(len, names))
    flat = 0.1 * longest + 0.12  # inches for a word that is not turned
    flat = flat if side + flat * count <= _WIDE else 0.19
    width = min(_MOST_INCHES, max(3.4, side + max(flat, 0.3 if count < 20 else 0.0) * count))
    turned = 0.09 * longest if flat == 0.19 else 0.2
    height = 0.8 + turned + min(8.0, len(values) * (0.32 if len(values) <= 12 else 0.17))
    ax, colours = prepared_axes(ax, theme, (width, height))
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    finite = np.abs(values[np.isfinite(values)])
    limit = max(1.0, float(finite.max())) if len(finite) else 1.0
    shades = [colours.low, colours.middle, colours.high]
    ramp = LinearSegmentedColormap.from_list("", shades).with_extremes(bad=colours.background)
    positive = not (values < 0).any()
    norm = Normalize(-limit, limit)
    image = ax.imshow(values, cmap=ramp, norm=norm, aspect="auto", interpolation="nearest")
    figure: Any = ax.get_figure()
    bar = figure.colorbar(image, ax=ax, pad=0.02)
    bar.ax.set_ylim(0 if positive else -limit, limit)
    style(bar.ax, colours)
    bar.outline.set_visible(False)
    if title is not None:
        ax.set_title(title, size=LABEL_SIZE + 1, parse_math=False)
    style(ax, colours)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    _name_both(ax, names, steps, count)
    if values.size <= _WRITTEN:
        _write_values(ax, values, [is_dark(ramp(norm(value))) for value in values.ravel()])
    return ax


def _write_values(ax: Axes, values: np.ndarray, dark: Sequence[bool]) -> None:
    """Write values into their cells, where all of them have room."""
    figure: Any = ax.get_figure()
    texts = [
        ax.text(
            column,
            row,
            f"{value:.2f}".replace("-", "−"),
            ha="center",
            va="center",
            size=_SMALL,
            color="white" if dark[number] else "black",
        )
        for number, ((row, column), value) in enumerate(np.ndenumerate(values))
        if np.isfinite(value)
    ]
    figure.draw_without_rendering()
    corners = ax.transData.transform([(0, 0), (1, 1)])
    width, height = np.abs(corners[1] - corners[0])
    boxes = [text.get_window_extent() for text in texts]
    if any(box.width > 0.95 * width or box.height > height for box in boxes):
        for text in texts:
            text.remove()
