"""A picture of what a classifier looked at."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from typing import Any

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from kerasrnn.zoo import Classification

from .plots import save_figure

_LINE = 78  # characters to a line
_MARGIN = 22  # characters for the answer
_SIZE = 9.0  # points
_INCHES = 0.602 * _SIZE / 72  # the width of a character of the font


def drawable(text: str) -> bool:
    """Whether the pictures' font has all characters of a text, and writes it from left to right.

    Args:
        text: the text.

    Returns:
        False for Chinese, for example, and for Arabic.

    Example:

    >>> from training.attention_plot import drawable
    >>> drawable("Größe"), drawable("名前"), drawable("اسم")
    (True, False, False)
    """
    font = FT2Font(font_manager.findfont("DejaVu Sans"))
    return all(
        font.get_char_index(ord(c)) and unicodedata.bidirectional(c) not in ("R", "AL")
        for c in text
    )


def attention_over_tokens(
    path: str | os.PathLike[str],
    answers: Sequence[Classification],
    right: Sequence[str],
    *,
    joint: str = " ",
) -> None:
    """Texts whose words are the darker, the more attention they got.

    Args:
        path: the PNG to write.
        answers: what `TextClassifier.predict` returned with `explain=True`.
        right: the right label of each text.
        joint: what stands between two tokens: a space, or nothing between characters.
    """
    blocks = [_lines(answer, joint) for answer in answers]
    rows = sum(len(lines) + 1 for lines in blocks)
    figure = Figure(figsize=((_LINE + _MARGIN + 1) * _INCHES, 0.5 + 0.21 * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-1, _LINE + _MARGIN)
    axes.set_ylim(rows + 0.5, -1.5)
    axes.axis("off")
    style: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": _SIZE, "va": "center"}
    axes.text(0, -0.8, "Share of attention, relative to the largest of a text", **style)
    row = 0
    for answer, label, lines in zip(answers, right, blocks, strict=True):
        largest = max((token.weight for token in answer.tokens or ()), default=1.0)
        verdict = f"{answer.label} {answer.score:.2f}"
        wrong = answer.label != label
        axes.text(
            _LINE + 2,
            row,
            verdict + (f"\n(right: {label})" if wrong else ""),
            color="#b3261e" if wrong else "black",
            **{**style, "va": "top" if wrong and len(lines) > 1 else "center"},
        )
        for line in lines:
            for place, text, weight in line:
                share = weight / max(largest, 1e-9)
                axes.text(
                    place,
                    row,
                    text,
                    color="white" if share > 0.6 else "black",
                    bbox={"boxstyle": "square,pad=0.15", "lw": 0, "fc": _shade(share)},
                    **style,
                )
            row += 1
        row += 1
    save_figure(figure, path)


def _shade(share: float) -> tuple[float, float, float]:
    """From white to blue."""
    blue = (0.165, 0.435, 0.592)
    return tuple(1 - share * (1 - part) for part in blue)  # type: ignore[return-value]


def _lines(answer: Classification, joint: str) -> list[list[tuple[int, str, float]]]:
    """Tokens with their column and weight, broken into lines."""
    lines: list[list[tuple[int, str, float]]] = [[]]
    column = 0
    for token in answer.tokens or ():
        if column and column + len(token.text) > _LINE:
            lines.append([])
            column = 0
        lines[-1].append((column, token.text, token.weight))
        column += len(token.text) + len(joint)
    return lines
