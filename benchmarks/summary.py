"""Medians, spreads and ratios of repeated measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np


def summarise(rounds: Sequence[float]) -> dict[str, float]:
    """Median, smallest value and interquartile range of the rounds of one contender."""
    low, median, high = np.percentile(rounds, [25, 50, 75])
    return {"median": float(median), "minimum": float(min(rounds)), "iqr": float(high - low)}


def best(records: Mapping[str, Sequence[float]], names: Iterable[str]) -> str | None:
    """Which of the named contenders has the smallest median, None if none was measured."""
    measured = [name for name in names if records.get(name)]
    return min(measured, key=lambda name: float(np.median(records[name])), default=None)


def paired_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """The median over rounds of theirs / ours: above 1, ours needs less.

    The two of a round were measured one right after the other, so that what slows the machine for
    a while slows both.
    """
    if len(theirs) != len(ours) or not ours:
        raise ValueError(
            "Ratios are taken round by round: expected as many rounds of both, at least one. "
            f"Received {len(theirs)} and {len(ours)}."
        )
    return float(np.median(np.asarray(theirs) / np.asarray(ours)))


def geometric_mean(ratios: Sequence[float]) -> float:
    """The geometric mean, which is the same ratio whichever way round the pairs are divided."""
    if not ratios:
        raise ValueError("A geometric mean needs at least one ratio. Received none.")
    return float(np.exp(np.mean(np.log(ratios))))


def largest_difference(
    expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> float:
    """How far two sets of arrays are apart, relative to the largest value of each array.

    Arrays that only one of the two has do not count.

    Raises:
        ValueError: there is nothing to compare, or two shapes differ.
    """
    shared = sorted(set(expected) & set(found))
    if not shared:
        raise ValueError(f"Nothing to compare between {sorted(expected)} and {sorted(found)}.")
    worst = 0.0
    for name in shared:
        a, b = expected[name], found[name]
        if a.shape != b.shape:
            raise ValueError(f"'{name}' has shape {b.shape}, expected {a.shape}.")
        scale = max(1.0, float(np.abs(a).max()))
        difference = float(np.abs(a.astype("float64") - b).max()) / scale
        # NaN compares false with everything.
        worst = max(worst, difference if np.isfinite(difference) else float("inf"))
    return worst
