"""The largest of many similarities, for one query and for many at once."""

from __future__ import annotations

import numpy as np

from kerasrnn.embeddings.tables import rows_at_once

# Similarities are looked at in groups: the best of a group costs less than a place in an order.
_GROUP = 64

# Queries whose similarities are computed at once: with those of 4,096 rows, 4 MB stay in a cache.
_QUERIES = 256


def units_of(vectors: np.ndarray) -> np.ndarray:
    """Vectors with length 1.

    Args:
        vectors: numbers `(vectors, dimension)`.

    Returns:
        float64 of the same shape; vectors of zeros stay what they are.
    """
    # Divided by their largest number first, none is too large or too small to be squared.
    vectors = np.asarray(vectors, "float64")
    largest_numbers = np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors / np.where(largest_numbers > 0, largest_numbers, 1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Where the largest values stand.

    Args:
        values: numbers, one axis.
        count: how many of them.

    Returns:
        Their places, the largest value first, of equal ones the first first.
    """
    if not 0 < count < len(values):
        return np.argsort(-values, kind="stable")[: max(0, count)]
    groups = len(values) // _GROUP
    if count <= groups // 4:
        # As many groups as are asked for have a value that reaches this bound.
        maxima = values[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
        bound = np.partition(maxima, groups - count)[groups - count]
    else:
        bound = np.partition(values, len(values) - count)[len(values) - count]
    places = np.flatnonzero(values >= bound)
    return places[np.argsort(-values[places], kind="stable")[:count]]


def nearest(
    matrix: np.ndarray, scale: np.ndarray, directions: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    r"""The rows whose direction is most similar to that of each query.

    The similarities :math:`s_r\, e_r^\top q` are a product of matrices, computed tile by tile: all
    of them together would not fit into memory. Of each tile only those are kept that reach a
    query's `count`-th best so far.

    Args:
        matrix: float32 `(rows, dimension)`, the :math:`e_r`.
        scale: float32 `(rows,)`, the :math:`s_r`, one over a row's length.
        directions: float32 `(queries, dimension)`, the :math:`q`.
        count: how many rows for each query.

    Returns:
        Rows and their similarities, both `(queries, count)`, the most similar first, of equal ones
        the first row first. `count` is no larger than the number of rows.
    """
    count = min(count, len(matrix))
    rows = np.empty((len(directions), count), int)
    values = np.empty((len(directions), count), "float32")
    for start in range(0, len(directions), _QUERIES):
        part = slice(start, min(start + _QUERIES, len(directions)))
        if count * 8 > min(
            rows_at_once(matrix.shape[1]), len(matrix)
        ):  # nearly all: there is nothing to leave out
            for query in range(part.start, part.stop):
                similarities = matrix @ directions[query]
                similarities *= scale
                rows[query] = largest(similarities, count)
                values[query] = similarities[rows[query]]
        else:
            rows[part], values[part] = _of_a_tile(matrix, scale, directions[part].T, count)
    return rows, values


def _of_a_tile(
    matrix: np.ndarray, scale: np.ndarray, directions: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """`nearest` for as many queries as are computed at once, `directions` (dimension, queries)."""
    queries = directions.shape[1]
    directions = np.ascontiguousarray(directions)
    bound = np.full(queries, -np.inf, "float32")
    kept = _Kept(queries, count)
    step = rows_at_once(matrix.shape[1])
    for start in range(0, len(matrix), step):
        end = min(start + step, len(matrix))
        units = matrix[start:end] * scale[start:end, None]
        similarities = units @ directions  # (rows, queries)
        if not start:
            bound = _bound(similarities, count)
        hits = np.flatnonzero(similarities >= bound)
        place, query = np.divmod(hits, queries)
        kept.add(query, place + start, similarities.ravel()[hits])
        if kept.waiting > 4 * queries * count:
            bound = kept.merge()
    kept.merge()
    return kept.rows, kept.values


def _bound(similarities: np.ndarray, count: int) -> np.ndarray:
    """What `count` rows of each column reach, cheaply: no more than its `count`-th largest."""
    groups = len(similarities) // _GROUP
    if count <= groups // 2:
        whole = similarities[: groups * _GROUP]
        similarities = whole.reshape(_GROUP, groups, -1).max(axis=0)
    return np.partition(similarities, len(similarities) - count, axis=0)[-count]


class _Kept:
    """The best rows of each query so far, and those that may be better."""

    def __init__(self, queries: int, count: int) -> None:
        self._queries, self._count = queries, count
        self._found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.waiting = 0

    def add(self, query: np.ndarray, row: np.ndarray, value: np.ndarray) -> None:
        self._found.append((query, row, value))
        self.waiting += len(query)

    def merge(self) -> np.ndarray:
        """Keep the best alone; the least of each query's."""
        query, row, value = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        order = np.lexsort((row, -value, query))
        # Each query has at least `count` rows: those of the first tile that reached its bound.
        first = np.searchsorted(query[order], np.arange(self._queries))
        best = order[first[:, None] + np.arange(self._count)]
        self.rows, self.values = row[best], value[best]
        every = np.repeat(np.arange(self._queries), self._count)
        self._found = [(every, self.rows.ravel(), self.values.ravel())]
        self.waiting = 0
        return self.values[:, -1]
