"""Pictures of embeddings: words as points, and words against features."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from kerasrnn.data.errors import check_strings, shown, whole_number
from kerasrnn.embeddings.nearest import units_of
from kerasrnn.embeddings.projector import Embedding, group_of, known_words, printable
from kerasrnn.extras import require
from kerasrnn.themes import (
    LABEL_SIZE,
    Colours,
    check_choice,
    is_dark,
    overlaps,
    prepared_axes,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METHODS = ("tsne", "pca")
_MOST_WORDS = 100  # drawn where none are named

_SMALLEST_LABEL = 4.0  # points
_INCHES = (6.4, 5.6)
_WORDS = 60  # for which these are enough
_LARGER, _MOST_INCHES = 1.15, 40.0
_SMALLER = 0.9
_DOT, _FARTHEST, _FARTHER = 5.5, 60.0, 1.3  # points
_CANDIDATES = 200  # places for a label, at most as far as this from its point
_NAMED = 3  # words or pairs, before "…"
_COMMON = 20_000  # rows

_MARKERS = "osD^vP*X"

_Pair = tuple[str, str]


# === Words as points ===


def plot(
    matrix: Embedding,
    words: Iterable[str] | None = None,
    *,
    method: Literal["tsne", "pca"] = "tsne",
    groups: Mapping[str, Iterable[str]] | None = None,
    analogies: Iterable[Sequence[str]] = (),
    perplexity: float | None = None,
    seed: int = 0,
    title: str | None = None,
    theme: Literal["light", "dark"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw words as points, near to each other where their vectors point the same way.

    t-SNE (van der Maaten and Hinton 2008, "Visualizing Data using t-SNE") keeps neighbours
    together; distances between groups, directions and axes mean nothing. Principal components keep
    directions, as far as two of them can: take `method="pca"` to see that the arrows of analogies
    are parallel. Both see vectors of length 1, so that what counts is the angle, as in
    `similarity`. Words with the same vector are one point.

    Labels are placed so that none covers another (by textalloc). Without `ax`, the picture grows
    until there is room for them; in axes of yours they become smaller, down to 4 points.

    Args:
        matrix: an `EmbeddingMatrix`, or what has its `terms`, `matrix`, `vector` and `in`.
        words: the words to draw, besides those of groups and analogies. None for those alone, or,
            where there are none, for the first 100 of the matrix.
        method: `"tsne"` or `"pca"`.
        groups: names of groups with their words, for a colour and a marker each.
        analogies: words `(a, b, c, d)`, a is to b as c is to d, for arrows from a to b and from c
            to d. Analogies that share an arrow have the same colour.
        perplexity: how many neighbours t-SNE looks at, about, below the number of words; None for
            30, or a third of the words where they are fewer than 91.
        seed: seed of t-SNE. The same seed gives the same picture.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.
        ax: matplotlib axes to draw into; None for a new figure.

    Returns:
        The axes; `axes.figure.savefig(path)` writes the picture.

    Raises:
        ImportError: scikit-learn or textalloc is not installed: `pip install 'kerasrnn[plots]'`.
        KeyError: a word is not in the matrix.
        ValueError: there are no words, a word stands in two groups, an analogy has not four words,
            or an option is none of its choices.

    Example:

    >>> from kerasrnn.embeddings.pictures import plot
    >>> from kerasrnn.embeddings import EmbeddingMatrix
    >>> words = ["man", "woman", "king", "queen"]
    >>> matrix = EmbeddingMatrix(words, [[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]])
    >>> axes = plot(matrix, method="pca", analogies=[("man", "woman", "king", "queen")])
    >>> [text.get_text() for text in axes.texts]
    ['man', 'woman', 'king', 'queen']
    """
    check_choice("method", method, _METHODS)
    seed = whole_number(seed, "seed", 0)
    named = [] if words is None else known_words(matrix, words, "words")
    group = group_of(matrix, groups)
    relations = _relations(matrix, analogies)
    chosen = list(dict.fromkeys([*named, *group, *(w for r in relations for p in r for w in p)]))
    if not chosen and words is None:
        chosen = list(matrix.terms[:_MOST_WORDS])
    if not chosen:
        raise ValueError("There are no words to draw: `words` is empty.")
    require("textalloc", "plots", "Labelling points")
    points, shares = _flat(_vectors(matrix, chosen), method, perplexity, seed)

    own = ax is None
    growth = max(1.0, (len(chosen) / _WORDS) ** 0.5)
    ax, colours = prepared_axes(ax, theme, (growth * _INCHES[0], growth * _INCHES[1]))
    legend: list[tuple[Any, str]] = []
    for name, colour, marker in _looks(group, colours):
        rows = [row for row, word in enumerate(chosen) if group.get(word) == name]
        if rows:
            dots = ax.scatter(
                points[rows, 0], points[rows, 1], s=_DOT**2, c=colour, marker=marker, lw=0, zorder=3
            )
            legend += [] if name is None else [(dots, name)]
    place = dict(zip(chosen, points, strict=True))
    arrows = [[(place[start], place[end]) for start, end in pairs] for pairs in relations]
    # Groups have the first colours.
    free = itertools.islice(itertools.cycle(colours.groups), len(legend), None)
    for colour, pairs, lines in zip(free, relations, arrows):  # noqa: B905
        for line in lines:
            _arrow(ax, *line, colour)
        legend.append((ax.plot([], [], color=colour)[0], _title_of(pairs)))
    _finish(ax, shares, title, colours)
    _legend(ax, legend, colours)
    _label(ax, chosen, points, list(itertools.chain(*arrows)), colours, own=own)
    return ax


def _looks(group: Mapping[str, str], colours: Colours) -> Iterator[tuple[str | None, str, str]]:
    """Each group's name, colour and marker; first the look of words that are in none."""
    yield None, colours.quiet, "o"
    names = dict.fromkeys(group.values())
    # Seven colours and eight markers: 56 pairs.
    yield from zip(names, itertools.cycle(colours.groups), itertools.cycle(_MARKERS))


def _relations(matrix: Embedding, analogies: Iterable[Sequence[str]]) -> list[list[_Pair]]:
    """Arrows from word to word, those of analogies that share one together."""
    if isinstance(analogies, str | bytes) or not isinstance(analogies, Iterable):
        raise TypeError(f"`analogies` must hold four words each. Received: {shown(analogies)}")
    relations: list[list[_Pair]] = []
    for number, analogy in enumerate(analogies):
        argument = f"analogies[{number}]"
        if isinstance(analogy, str | bytes) or not isinstance(analogy, Sequence):
            raise TypeError(f"{argument} must be four words. Received: {shown(analogy)}")
        if len(analogy) != 4:
            raise ValueError(f"{argument} must be four words. Received: {shown(analogy)}")
        known_words(matrix, analogy, argument)
        a, b, c, d = analogy
        if a == b or c == d:
            raise ValueError(f"{argument} has an arrow from {a if a == b else c!r} to itself.")
        pairs = [(a, b), (c, d)]
        joined = [relation for relation in relations if set(relation) & set(pairs)]
        relations = [relation for relation in relations if relation not in joined]
        relations.append(list(dict.fromkeys([*itertools.chain(*joined), *pairs])))
    return relations


def _title_of(pairs: Sequence[_Pair]) -> str:
    named = ", ".join(f"{start} → {end}" for start, end in pairs[:_NAMED])
    return named + (", …" if len(pairs) > _NAMED else "")


def _vectors(matrix: Embedding, words: Iterable[str]) -> np.ndarray:
    """Their vectors with length 1; zeros stay zeros."""
    return units_of(np.stack([matrix.vector(word) for word in words]))


def _flat(
    vectors: np.ndarray, method: str, perplexity: float | None, seed: int
) -> tuple[np.ndarray, list[float]]:
    """Points `(words, 2)`, and for principal components the share of the variance of each axis."""
    _, first, inverse = np.unique(vectors, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    distinct = vectors[first[order]]
    row_of = np.argsort(order)[inverse.reshape(-1)]
    count = len(distinct)
    if perplexity is not None:
        is_number = isinstance(perplexity, int | float | np.number) and perplexity > 0
        if not is_number or (method == "tsne" and perplexity >= count):
            raise ValueError(
                f"`perplexity` must be above 0 and below the number of words with vectors of their "
                f"own, {count}. Received: {shown(perplexity)}"
            )
    # Among three points there are no neighbours to choose.
    if method == "tsne" and count > 3:
        manifold = require("sklearn.manifold", "plots", "t-SNE")
        tsne = manifold.TSNE(
            perplexity=min(30, (count - 1) / 3) if perplexity is None else float(perplexity),
            init="pca",
            random_state=seed,
        )
        # Up to a thousand words, threads that wait for each other take some ten times as long.
        threads = require("threadpoolctl", "plots", "t-SNE")
        with threads.threadpool_limits(1):
            return tsne.fit_transform(distinct)[row_of], []
    points, shares = np.zeros((count, 2)), []
    if count > 1:
        parts = require("sklearn.decomposition", "plots", "Principal components")
        pca = parts.PCA(min(2, count - 1, distinct.shape[1]), svd_solver="full")
        found = pca.fit_transform(distinct)
        points[:, : found.shape[1]] = found
        shares = pca.explained_variance_ratio_.tolist()
    return points[row_of], shares


# === Words against features ===


class AxisTable(NamedTuple):
    """How far words point along axes of meaning.

    Attributes:
        axes: the names of the axes.
        words: the words.
        values: cosines `(axes, words)`, from -1, the first end, to 1, the second.
    """

    axes: tuple[str, ...]
    words: tuple[str, ...]
    values: np.ndarray


Ends = str | Sequence[str | Sequence[str]]


def axis_table(matrix: Embedding, words: Iterable[str], axes: Mapping[str, Ends]) -> AxisTable:
    """Words against features: the cosine of each word with axes such as man to woman.

    An axis runs from one end to the other, d = mean(ê of the second) − mean(ê of the first), with
    ê = e / |e|, and a word's value on it is cos(e, d) = e·d / (|e| |d|). A direction of meaning as
    the difference of words is that of Bolukbasi et al. 2016, "Man is to Computer Programmer as
    Woman is to Homemaker?"; means of several words at each end, which leave less to chance, are
    those of Kozlowski, Taddy and Evans 2019, "The Geometry of Culture". An axis of one end alone,
    such as food, starts at the mean ê of the first 20,000 words, which in most files are the most
    frequent.

    Args:
        matrix: an `EmbeddingMatrix`, or what has its `terms`, `matrix`, `vector` and `in`.
        words: the words. One that is named twice has one column.
        axes: for each axis's name its two ends, such as `("man", "woman")`, where an end is a word
            or a list of words; or one word, for its direction from the mean of many.

    Returns:
        An `AxisTable`. A vector of zeros has no direction: its value is 0.

    Raises:
        KeyError: a word is not in the matrix.
        TypeError: `words` or `axes` are of another form.
        ValueError: there are no words or no axes, an end is empty, or both ends are the same.

    Example:

    >>> from kerasrnn.embeddings.pictures import axis_table
    >>> from kerasrnn.embeddings import EmbeddingMatrix
    >>> words = ["man", "woman", "king", "queen"]
    >>> matrix = EmbeddingMatrix(words, [[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]])
    >>> table = axis_table(matrix, ["king", "queen"], {"gender": ("man", "woman")})
    >>> table.values.round(2).tolist()
    [[-0.5, 0.5]]
    """
    chosen = known_words(matrix, words, "words")
    ends = _ends(matrix, axes)
    if not chosen or not ends:
        raise ValueError(f"`{'axes' if chosen else 'words'}` must not be empty.")
    vectors = _vectors(matrix, chosen)
    rows = []
    for name, (low, high) in ends.items():
        start = _vectors(matrix, low).mean(axis=0) if low else _mean_of_common(matrix)
        direction = _vectors(matrix, high).mean(axis=0) - start
        length = np.linalg.norm(direction)
        # What is left of the difference of equal means is rounding.
        if length < 1e-6:
            raise ValueError(f"axes[{name!r}] must have ends with different vectors.")
        rows.append(vectors @ (direction / length))
    return AxisTable(tuple(ends), tuple(chosen), np.array(rows))


def heat_map(
    matrix: Embedding,
    words: Iterable[str],
    axes: Mapping[str, Ends],
    *,
    title: str | None = None,
    theme: Literal["light", "dark"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw words against features, as the lecture's table does: the numbers are `axis_table`'s.

    Args:
        matrix: an `EmbeddingMatrix`, or what has its `terms`, `matrix`, `vector` and `in`.
        words: the words, a column each.
        axes: for each axis's name its ends, a row each, as for `axis_table`.
        title: a title.
        theme: `"light"`, `"dark"`, or None for what suits the figure's background.
        ax: matplotlib axes to draw into; None for a new figure.

    Returns:
        The axes; `axes.figure.savefig(path)` writes the picture. Blue is the first end of an axis,
        orange the second.

    Raises:
        KeyError, TypeError, ValueError: as `axis_table`.

    Example:

    >>> from kerasrnn.embeddings.pictures import heat_map
    >>> from kerasrnn.embeddings import EmbeddingMatrix
    >>> words = ["man", "woman", "king", "queen"]
    >>> matrix = EmbeddingMatrix(words, [[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]])
    >>> axes = heat_map(matrix, ["king", "queen"], {"gender": ("man", "woman")})
    >>> [text.get_text() for text in axes.texts]
    ['−0.50', '0.50']
    """
    table = axis_table(matrix, words, axes)
    ends = _ends(matrix, axes)
    count = len(table.words)
    ax, colours = prepared_axes(ax, theme, (2.6 + 0.72 * count, 1.3 + 0.52 * len(ends)))
    from matplotlib.colors import LinearSegmentedColormap

    # The same distance from 0 has the same strength on both sides.
    limit = float(np.abs(table.values).max()) or 1.0
    ramp = LinearSegmentedColormap.from_list("", [colours.low, colours.middle, colours.high])
    ax.imshow(table.values, cmap=ramp, vmin=-limit, vmax=limit, aspect="auto")
    ax.set_xticks(range(count), map(printable, table.words))
    ax.set_yticks(range(len(ends)), [_name_of(name, *pair) for name, pair in ends.items()])
    ax.tick_params(length=0, colors=colours.text, top=False, labeltop=True, labelbottom=False)
    for tick in [*ax.get_xticklabels(), *ax.get_yticklabels()]:
        tick.set_parse_math(False)
    for (row, column), value in np.ndenumerate(table.values):
        ax.text(
            column,
            row,
            f"{value:.2f}".replace("-", "−"),
            ha="center",
            va="center",
            size=LABEL_SIZE,
            color="white" if is_dark(ramp((value / limit + 1) / 2)) else "black",
        )
    for spine in ax.spines.values():
        spine.set_visible(False)
    if title is not None:
        ax.set_title(title, color=colours.text)
    figure: Any = ax.get_figure()
    figure.draw_without_rendering()
    if overlaps(ax.get_xticklabels()):
        for tick in ax.get_xticklabels():
            tick.set(rotation=45, ha="left", rotation_mode="anchor")
        figure.draw_without_rendering()
    size = LABEL_SIZE
    while overlaps(ax.texts) and size > _SMALLEST_LABEL:
        size = max(_SMALLEST_LABEL, size * _SMALLER)
        for text in ax.texts:
            text.set_fontsize(size)
    return ax


def _ends(matrix: Embedding, axes: Mapping[str, Ends]) -> dict[str, tuple[list[str], list[str]]]:
    """The words at the first end of each axis, none for the mean of many, and at the second."""
    if not isinstance(axes, Mapping):
        raise TypeError(f"`axes` must map names to their ends. Received: {shown(axes)}")
    check_strings(axes, "names of `axes`")
    ends = {}
    for name, pair in axes.items():
        argument = f"axes[{name!r}]"
        parts = [pair] if isinstance(pair, str) else pair
        if not isinstance(parts, Sequence) or isinstance(parts, bytes) or len(parts) not in (1, 2):
            raise TypeError(
                f"{argument} must be two ends, each a word or a list of words, or one word. "
                f"Received: {shown(pair)}"
            )
        sides = [
            known_words(matrix, [part] if isinstance(part, str) else part, argument)
            for part in parts
        ]
        if not all(sides):
            raise ValueError(f"{argument} must have words at each end. Received: {shown(pair)}")
        ends[name] = (sides[0] if len(sides) == 2 else [], sides[-1])
    return ends


def _mean_of_common(matrix: Embedding) -> np.ndarray:
    return units_of(matrix.matrix[:_COMMON]).mean(axis=0)


def _name_of(name: str, low: Sequence[str], high: Sequence[str]) -> str:
    sides = [
        ", ".join(side[:_NAMED]) + (", …" if len(side) > _NAMED else "") if side else "mean"
        for side in (low, high)
    ]
    return printable(name) + "\n" + printable(" → ".join(sides))


# === Figures ===


def _finish(ax: Axes, shares: Sequence[float], title: str | None, colours: Colours) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.margins(0.08)
    names = (("x", "first"), ("y", "second"))
    for (side, name), share in zip(names, shares):  # noqa: B905
        label = f"{name} component, {100 * share:.0f} % of the variance"
        ax.set(**{f"{side}label": label})
    if title is not None:
        ax.set_title(title)
    style(ax, colours)


def _legend(ax: Axes, entries: Sequence[tuple[Any, str]], colours: Colours) -> None:
    """Below the axes, where it covers no word."""
    if not entries:
        return
    handles, names = zip(*entries, strict=True)
    longest = max(map(len, names))
    legend = ax.legend(
        handles,
        ["-"] * len(names),
        loc="upper left",
        bbox_to_anchor=(0, 0),
        borderaxespad=2.5 if ax.get_xlabel() else 1,  # in letters
        ncols=max(1, min(len(names), int(70 / (longest + 6)))),
        frameon=False,
        fontsize=LABEL_SIZE,
        labelcolor=colours.text,
    )
    # Afterwards: matplotlib leaves out names that begin with an underscore.
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(printable(name))


def _arrow(ax: Axes, start: np.ndarray, end: np.ndarray, colour: str) -> None:
    from matplotlib.patches import FancyArrowPatch

    ax.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=4,
            shrinkB=4,
            color=colour,
            zorder=2,
        )
    )


def _label(
    ax: Axes,
    words: Sequence[str],
    points: np.ndarray,
    arrows: Sequence[tuple[np.ndarray, np.ndarray]],
    colours: Colours,
    *,
    own: bool,
) -> None:
    """Write each word beside its point, where it covers no other word, no point and no arrow."""
    textalloc = require("textalloc", "plots", "Labelling points")
    figure: Any = ax.get_figure()
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())  # lines to the labels must not move them
    size, farthest, missing = LABEL_SIZE, _FARTHEST, len(words)
    free_lines, all_words = True, False  # no word on a line to a label; all, even if they overlap
    while True:
        figure.draw_without_rendering()
        # As a share of the axes' width.
        point = figure.dpi / 72 / max(1, ax.get_window_extent().width)
        _, _, texts, lines = textalloc.allocate(
            ax,
            *points.T,
            [printable(word) for word in words],
            x_scatter=points[:, 0],
            y_scatter=points[:, 1],
            x_lines=[[start[0], end[0]] for start, end in arrows] or None,
            y_lines=[[start[1], end[1]] for start, end in arrows] or None,
            margin=_DOT / 2 * point,
            min_distance=_DOT * point,
            max_distance=max(_DOT * point, min(0.5, farthest * point)),
            nbr_candidates=_CANDIDATES,
            avoid_label_lines_overlap=free_lines,
            draw_all=all_words,
            textsize=size,
            textcolor=colours.text,
            linecolor=colours.quiet,
            linewidth=0.6,
            parse_math=False,
        )
        if all_words or None not in texts:
            break
        if own and max(figure.get_size_inches()) < _MOST_INCHES:
            figure.set_size_inches(figure.get_size_inches() * _LARGER)
        elif not own and size > _SMALLEST_LABEL:
            size = max(_SMALLEST_LABEL, size * _SMALLER)
        else:
            all_words = True
        if texts.count(None) >= missing:  # room alone does not help where many points are one
            farthest, free_lines = farthest * _FARTHER, False
        missing = texts.count(None)
        for artist in filter(None, [*texts, *lines]):
            artist.remove()
    if overlaps(texts):
        warnings.warn(
            f"{len(words)} labels do not fit without covering each other: draw fewer words, or "
            "give larger axes.",
            stacklevel=3,
        )
