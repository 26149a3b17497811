"""The picture of where a model looked while it wrote."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections.abc import Sequence

from matplotlib import font_manager
from matplotlib.figure import Figure

from kerasrnn.text.splits import JOINER
from kerasrnn.zoo import Alignment

from .plots import save_figure

# What matplotlib brings itself: Latin, Greek, Cyrillic, Armenian, Arabic and more.
_FIRST_FONT = "DejaVu Sans"


def attention_maps(path: str | os.PathLike[str], alignments: Sequence[Alignment]) -> None:
    """A map for each text: its pieces from left to right, those that were written downwards.

    Each label is drawn in the first installed font that has its letters. A letter that no font has
    stands as its code point, such as U+65E5, so that the picture is drawn on every machine.

    Args:
        path: the PNG to write.
        alignments: what `EncoderDecoder.align` returned.
    """
    shown = [alignment for alignment in alignments if alignment.weights.size]
    if not shown:
        return
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    widest = max(len(alignment.source) for alignment in shown)
    highest = max(len(alignment.target) for alignment in shown)
    width, height = max(3.0, 0.22 * widest + 1.4), max(2.0, 0.22 * highest + 1.2)
    figure = Figure(figsize=(columns * width + 0.8, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, alignment in zip(grid.flat, shown, strict=False):
        image = axes.imshow(alignment.weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        long = any(len(label_of(piece)) > 2 for piece in alignment.source)
        for axis, pieces in ((axes.xaxis, alignment.source), (axes.yaxis, alignment.target)):
            axis.set_ticks(range(len(pieces)), [label_of(piece) for piece in pieces], fontsize=8)
            for label, piece in zip(axis.get_ticklabels(), pieces, strict=True):
                label.set_fontfamily(_families(piece))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        if long:
            for label in axes.get_xticklabels():
                label.set(rotation=60, ha="left", rotation_mode="anchor")
    figure.colorbar(image, ax=grid, shrink=0.6, label="weight (a row sums to 1)")
    figure.supxlabel("read")
    figure.supylabel("written")
    save_figure(figure, path)


def label_of(piece: str) -> str:
    """A piece as it can be seen: spaces have a mark, letters without a font their code point.

    Args:
        piece: a character or a word.

    Returns:
        The label.

    Example:

    >>> from training.alignment_plot import label_of
    >>> label_of("a"), label_of(" "), label_of("\\u200f")
    ('a', '␣', 'U+200F')
    """
    piece = piece.removeprefix(JOINER) or piece
    return "".join(_visible(character) for character in piece)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if character in " \u00a0\u202f":
        return "␣"
    if category[0] in "CZ" or font_with(character) is None:
        return f"U+{ord(character):04X}"
    # A mark stands on a letter; alone, it has a circle to stand on.
    return "◌" + character if category[0] == "M" else character


@functools.cache
def font_with(character: str) -> str | None:
    """The family of the first installed font that can draw a character.

    Args:
        character: one character.

    Returns:
        The family's name, or None.

    Example:

    >>> from training.alignment_plot import font_with
    >>> font_with("a")
    'DejaVu Sans'
    """
    entries = sorted(
        font_manager.fontManager.ttflist, key=lambda entry: (entry.name != _FIRST_FONT, entry.name)
    )
    for entry in entries:
        if "last resort" in entry.name.lower():
            continue  # draws a box for every character
        try:
            if font_manager.get_font(entry.fname).get_char_index(ord(character)):
                return str(entry.name)
        except (OSError, RuntimeError):
            continue  # a file that has gone, or that is no font
    return None


def _families(piece: str) -> list[str]:
    found = [font_with(character) for character in piece]
    return list(dict.fromkeys([_FIRST_FONT, *(name for name in found if name)]))
