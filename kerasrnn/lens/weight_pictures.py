"""Pictures of weights and their gradients: histograms by gate, and heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kerasrnn.lens.pictures import Theme, elided, short_name
from kerasrnn.lens.steps import SYMBOLS
from kerasrnn.themes import LABEL_SIZE, Colours, check_choice, prepared_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kerasrnn.lens.weights import Block, LayerWeights

_KINDS = ("histogram", "heat_map")
_TITLES = {
    "kernel": "kernel, of x<t>",
    "recurrent_kernel": "recurrent kernel, of a<t−1>",
    "bias": "bias",
    "recurrent_bias": "bias of a<t−1>",
}
_BINS = (8, 40)
_STYLES = ("-", "--", "-.", ":")
_CLIPPED = 99.5  # per cent of the values that the colours tell apart


def plot_weights(
    layers: Sequence[LayerWeights],
    kind: Literal["histogram", "heat_map"] = "histogram",
    *,
    gradients: bool = False,
    figure: Figure | None = None,
    title: str | None = None,
    theme: Theme = None,
) -> Figure:
    """Draw the weights of layers gate by gate, or their gradients.

    A row for each layer, a column for each of its weights. Histograms have a line for each gate,
    those of gradients over a logarithmic axis. Heat maps have a column for each column of the
    weight, orange above 0 and blue below, in blocks for the gates; the most extreme 0.5 % of the
    values have the colours of the ends.

    Args:
        layers: what `weights_by_gate` returned, or some of its layers.
        kind: `"histogram"` or `"heat_map"`.
        gradients: whether the gradients are drawn instead of the weights.
        figure: an empty matplotlib figure to draw into; None for a new one.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.

    Returns:
        The figure; its `savefig(path)` writes the picture.

    Raises:
        ValueError: `kind` or `theme` is none of its choices, or there are no gradients.

    Example:

    >>> import keras
    >>> from kerasrnn.lens import weights_by_gate
    >>> from kerasrnn.lens.weight_pictures import plot_weights
    >>> model = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4)])
    >>> figure = plot_weights(weights_by_gate(model).layers)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['Γu', 'Γr', 'c̃']
    """
    check_choice("kind", kind, _KINDS)
    layers = list(layers)
    if gradients and any(block.gradient is None for layer in layers for block in layer.blocks):
        raise ValueError("`gradients` needs `x` and `y` of `weights_by_gate`: it has none.")
    if theme is not None:
        check_choice("theme", theme, ("light", "dark"))
    grid = [_by_weight(layer) for layer in layers]
    columns = max(map(len, grid))
    height = 1.9 if kind == "histogram" else 2.4
    if figure is None:
        from matplotlib import pyplot

        size = (max(3.4, 2.5 * columns), height * len(grid) + 0.6)
        figure = pyplot.figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(grid), columns, squeeze=False)
    colours = prepared_axes(axes[0, 0], theme, (1, 1))[1]
    for row, layer, weights in zip(axes, layers, grid, strict=True):
        for ax in row[len(weights) :]:
            ax.set_axis_off()
        for ax, (weight, blocks) in zip(row, weights.items(), strict=False):
            prepared_axes(ax, theme, (1, 1))
            values = [_drawn(block, gradients) for block in blocks]
            names = [block.gate for block in blocks]
            if kind == "histogram":
                _histogram(ax, values, names, colours, logarithmic=gradients)
            else:
                _heat_map(ax, values, names, colours)
            ax.set_title(_TITLES.get(weight, weight), size=LABEL_SIZE, color=colours.text)
            style(ax, colours)
            ax.tick_params(labelsize=LABEL_SIZE - 1)
        label = [short_name(layer.name)] if len(layers) > 1 else []
        label += ["number of weights"] if kind == "histogram" else []
        row[0].set_ylabel("\n".join(label), size=LABEL_SIZE, parse_math=False)
    if kind == "histogram":
        _legend(figure, layers, colours)
    what = "∂L/∂W" if gradients else "W"
    name = f"{elided(layers[0].name, 60)}: {what}" if len(layers) == 1 else what
    figure.suptitle(title or name, size=LABEL_SIZE + 1, color=colours.text, parse_math=False)
    return figure


def _by_weight(layer: LayerWeights) -> dict[str, list[Block]]:
    found: dict[str, list[Block]] = {}
    for block in layer.blocks:
        found.setdefault(block.weight, []).append(block)
    return found


def _drawn(block: Block, gradients: bool) -> np.ndarray:
    values = block.gradient if gradients else block.values
    assert values is not None
    return np.asarray(values, float)


def _histogram(
    ax: Axes,
    values: Sequence[np.ndarray],
    gates: Sequence[str],
    colours: Colours,
    logarithmic: bool,
) -> None:
    """How many weights have which value, a line for each gate."""
    flat = [each[np.isfinite(each)] for each in values]
    low = min((each.min() for each in flat if each.size), default=0.0)
    high = max((each.max() for each in flat if each.size), default=0.0)
    if low == high:  # such as a bias of zeros
        room = max(abs(low), 1e-3) / 10
        low, high = low - room, high + room
    bins = int(np.clip(max(each.size for each in flat) ** 0.5, *_BINS))
    edges = np.linspace(low, high, bins + bins % 2)  # one is in the middle
    for each, gate in zip(flat, gates, strict=True):
        colour, line = _look(gate, colours)
        counts = np.histogram(each, edges)[0]
        ax.stairs(counts, edges, color=colour, linestyle=line, lw=1.4)
    _few_ticks(ax)
    if logarithmic:
        # Most gradients are small; without a logarithm the few large ones could not be seen.
        ax.set_yscale("log", nonpositive="clip")
        ax.tick_params(which="minor", length=0, labelleft=False)
        ax.set_ylim(bottom=0.5)
    else:
        ax.set_ylim(bottom=0)


def _heat_map(
    ax: Axes, values: Sequence[np.ndarray], gates: Sequence[str], colours: Colours
) -> None:
    """A matrix in colours, its gates named above."""
    from matplotlib.colors import LinearSegmentedColormap

    blocks = [each.reshape(-1, each.shape[-1]) for each in values]
    matrix = np.concatenate(blocks, axis=1)
    sizes = np.abs(matrix[np.isfinite(matrix)])
    limit = float(np.percentile(sizes, _CLIPPED)) if sizes.size else 0.0
    limit = limit or float(sizes.max(initial=0.0)) or 1.0
    shades = [colours.low, colours.middle, colours.high]
    ramp = LinearSegmentedColormap.from_list("", shades).with_extremes(bad=colours.background)
    image = ax.imshow(
        matrix, cmap=ramp, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    edges = np.cumsum([0, *(block.shape[1] for block in blocks)])
    for edge in edges[1:-1]:
        ax.axvline(edge - 0.5, color=colours.text, lw=1)
    ax.set_xticks(
        (edges[:-1] + edges[1:] - 1) / 2, [SYMBOLS.get(gate, gate) or "all" for gate in gates]
    )
    ax.tick_params(axis="x", length=0)
    rows = len(matrix)
    ax.set_yticks(sorted({0, rows - 1}), [str(row) for row in sorted({1, rows})])
    figure: Any = ax.get_figure()
    beyond = bool((sizes > limit).any())
    bar = figure.colorbar(image, ax=ax, extend="both" if beyond else "neither", pad=0.02)
    end = f"{limit:.1g}".replace("-", "−")
    bar.set_ticks([-limit, 0, limit], labels=[f"−{end}", "0", end])
    style(bar.ax, colours)
    bar.ax.tick_params(labelsize=LABEL_SIZE - 1)
    bar.outline.set_visible(False)


def _look(gate: str, colours: Colours) -> tuple[str, Any]:
    """The colour and the line of a gate, the same in all pictures."""
    number = [*SYMBOLS, ""].index(gate) if gate in SYMBOLS else 0
    number %= len(colours.groups) - 1
    return colours.groups[number], _STYLES[number % len(_STYLES)]


def _few_ticks(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    formatter = ScalarFormatter(useMathText=True)
    formatter.set_powerlimits((-2, 3))
    ax.xaxis.set_major_formatter(formatter)
    ax.xaxis.get_offset_text().set_fontsize(LABEL_SIZE - 1)


def _legend(figure: Figure, layers: Sequence[LayerWeights], colours: Colours) -> None:
    from matplotlib.lines import Line2D

    gates = dict.fromkeys(gate for layer in layers for gate in layer.gates)
    handles = []
    for gate in gates:
        colour, line = _look(gate, colours)
        handles.append(Line2D([], [], color=colour, linestyle=line))
    figure.legend(
        handles,
        [SYMBOLS.get(gate, gate) or "all" for gate in gates],
        loc="outside lower center",
        ncols=len(gates),
        frameon=False,
        fontsize=LABEL_SIZE,
        labelcolor=colours.text,
    )
