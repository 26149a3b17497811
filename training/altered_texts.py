"""Texts like given ones, for a teacher to label: some words replaced, some unknown, some parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# A word that nothing is known of: no vocabulary has it.
UNKNOWN = "\ufffd"

_NEIGHBOURS = 15
_ROWS = 2048


def neighbours(
    words: Sequence[str], vectors: np.ndarray, candidates: np.ndarray, count: int = _NEIGHBOURS
) -> dict[str, list[str]]:
    """For each word those whose vectors have the most similar direction.

    Args:
        words: the words.
        vectors: one for each, `(words, dimension)`.
        candidates: which words may replace others: booleans `(words,)`.
        count: how many to name.

    Returns:
        From a word with a vector that is not zero to the nearest other words, the nearest first.

    Example:

    >>> import numpy as np
    >>> from training.altered_texts import neighbours
    >>> vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> neighbours(["cat", "dog", "run"], vectors, np.ones(3, bool), count=1)["cat"]
    ['dog']
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)
    chosen = np.flatnonzero(candidates)
    places = {int(index): place for place, index in enumerate(chosen)}
    count = min(count, len(chosen) - 1)
    found = {}
    for begin in range(0, len(words), _ROWS):
        similar = directions[begin : begin + _ROWS] @ directions[chosen].T
        for row in range(len(similar)):
            if begin + row in places:
                similar[row, places[begin + row]] = -np.inf  # not the word itself
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        for row, best in enumerate(nearest):
            if lengths[begin + row] > 0:
                order = best[np.argsort(-similar[row, best], kind="stable")]
                found[words[begin + row]] = [words[chosen[i]] for i in order]
    return found


def altered(
    texts: Sequence[Sequence[str]],
    similar: Mapping[str, Sequence[str]],
    *,
    replaced: float,
    unknown: float,
    cut: float,
    generator: np.random.Generator,
) -> list[list[str]]:
    """A new text from each text, after Tang et al. (2019), section 3.2.

    "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks" masks words, replaces
    them by others of their part of speech and cuts n-grams out. Here, words are replaced by similar
    ones.

    Args:
        texts: each a list of words.
        similar: from a word to those that may stand in its place, as `neighbours` finds them.
        replaced: the share of words to replace.
        unknown: the share of words to replace by U+FFFD, which is a word that no vocabulary knows.
        cut: the share of texts of more than four words of which only a part is left.
        generator: where chance comes from.

    Returns:
        As many texts.
    """
    results = []
    for text in texts:
        chances = generator.random(len(text))
        words = []
        for word, chance in zip(text, chances, strict=True):
            others = similar.get(word, ())
            if chance >= 1 - unknown:
                words.append(UNKNOWN)
            elif chance < replaced and others:
                words.append(others[int(generator.integers(len(others)))])
            else:
                words.append(word)
        if len(words) > 4 and generator.random() < cut:
            length = int(generator.integers(3, len(words)))
            begin = int(generator.integers(len(words) - length + 1))
            words = words[begin : begin + length]
        results.append(words)
    return results
