"""The picture of a run: ratios by cell and size."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from benchmarks.cases import CELLS, INFERENCE, TRAINING
from benchmarks.ratios import BEST, ONNXRUNTIME, PYTORCH, ratio, ratios_of, records_of
from benchmarks.report import CELL_TITLES, TITLES
from benchmarks.results import Record, Results

_MARKS = {BEST: ("#2a6f97", "o"), PYTORCH: ("#d1701f", "s"), ONNXRUNTIME: ("#5b8c5a", "^")}
_GREY = "#6b7280"
_SHOWN = (0.22, 18.0)  # at least
_TICKS = tuple(4.0**power for power in range(-4, 7))


def plot_ratios(results: Results, path: Path) -> None:
    """Draw how many times as long as ours the peers take.

    Args:
        results: of a run.
        path: the PNG to write.

    Raises:
        ValueError: neither a training step nor an inference was compared with a peer.
    """
    panels: dict[tuple[str, str], list[Record]] = {}
    for measure in (TRAINING, INFERENCE):
        for cell in CELLS:
            records = records_of(results, measure, [cell])
            if any(ratios_of(records, comparison) for comparison in _MARKS):
                panels[measure, cell] = records
    if not panels:
        raise ValueError("Nothing to plot: no training step or inference beside a peer's.")
    measures = list(dict.fromkeys(measure for measure, _ in panels))
    cells = list(dict.fromkeys(cell for _, cell in panels))
    figure = Figure(
        figsize=(2.2 + 2.3 * max(2, len(cells)), 1.2 + 2.3 * len(measures)), layout="constrained"
    )
    grid = figure.subplots(len(measures), len(cells), squeeze=False, sharex=True)
    points = list(dict.fromkeys(str(r.case.point) for records in panels.values() for r in records))
    for row, measure in enumerate(measures):
        for column, cell in enumerate(cells):
            axes: Axes = grid[row][column]
            _panel(axes, panels.get((measure, cell), []), points)
            if row == 0:
                axes.set_title(CELL_TITLES[cell])
            if column == 0:
                axes.set_yticks(range(len(points)), points, fontsize=8)
                axes.set_ylabel(TITLES[measure])
    low, high = grid[0][0].get_xlim()
    grid[0][0].set_xlim(min(low, _SHOWN[0]), max(high, _SHOWN[1]))
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False
    )
    figure.suptitle("Their time / ours: right of the line, ours is faster", fontsize=11)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def _panel(axes: Axes, records: list[Record], points: list[str]) -> None:
    """One cell: a row for each size, a mark for each peer."""
    for comparison, (colour, marker) in _MARKS.items():
        pairs = [
            (value, points.index(str(record.case.point)))
            for record in records
            if (value := ratio(record, comparison)) is not None
        ]
        if pairs:
            x, y = zip(*pairs, strict=True)
            axes.scatter(x, y, color=colour, marker=marker, s=34, label=comparison.title, zorder=3)
    axes.axvline(1, color=_GREY, linewidth=1)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value:g}×" if value >= 1 else f"1/{1 / value:g}×"
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(len(points) - 0.5, -0.5)
    axes.set_yticks(range(len(points)), [""] * len(points))
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(alpha=0.25)
