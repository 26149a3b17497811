"""The error of a word that is not there, and words that are spelt like it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

_ALIKE = 0.6  # difflib's own bound
_LENGTHS = 2  # letters more or fewer
_RARITY = 0.05  # what a ratio must be better by, for a term ten times as far back


class UnknownTermError(KeyError):
    """A term that an embedding matrix does not have. The message names the nearest spellings.

    They are looked for when the message is asked for, not when the error is raised: that it is
    caught costs nothing.

    Args:
        term: the term.
        terms: those that there are.

    Example:

    >>> from kerasrnn.embeddings import UnknownTermError
    >>> print(UnknownTermError("qeen", ["king", "queen", "woman"]))
    Unknown term 'qeen'. Did you mean 'queen'? There are 3 terms.
    """

    def __init__(self, term: str, terms: Iterable[str]) -> None:
        super().__init__(term)
        self.term = term
        self._terms = terms

    def __str__(self) -> str:
        terms = list(self._terms)
        close = nearest_spellings(self.term, terms)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        return f"Unknown term {self.term!r}.{hint} There are {len(terms):,} terms."

    def __reduce__(self) -> tuple[type, tuple[str, list[str]]]:
        return type(self), (self.term, nearest_spellings(self.term, list(self._terms)))


def nearest_spellings(term: str, terms: Iterable[str], count: int = 3) -> list[str]:
    """The terms that are spelt most like another.

    Only those are compared that have about its length, and its first or its last two letters: of
    hundreds of thousands of terms, these are few enough to look at.

    Args:
        term: the term.
        terms: those to choose from, the commonest first.
        count: how many at most.

    Returns:
        First those that differ in case alone, then those in which two neighbours are exchanged, or
        one letter is left out, put in or changed, then others; by the ratio of
        `difflib.SequenceMatcher`, and common terms a little before rare ones.
    """
    wanted = term.lower()
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    found = []
    for place, other in enumerate(terms):
        if abs(len(other) - len(term)) > _LENGTHS:
            continue
        lowered = other.lower()
        if lowered[:1] != wanted[:1] and lowered[-2:] != wanted[-2:]:
            continue
        if lowered == wanted:
            likeness = 3.0
        elif _are_exchanged(lowered, wanted):
            likeness = 2.0
        else:
            matcher.set_seq1(lowered)
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < _ALIKE:
                continue
            likeness = matcher.ratio()
            if likeness < _ALIKE:
                continue
            likeness += _is_a_slip(lowered, wanted)
        found.append((_RARITY * math.log10(place + 1) - likeness, place, other))
    return [other for _, _, other in sorted(found)[:count]]


def _is_a_slip(first: str, second: str) -> bool:
    """Whether one letter is left out, put in or changed."""
    if len(first) > len(second):
        first, second = second, first
    same = _alike(first, second)
    return first[same + (len(first) == len(second)) :] == second[same + 1 :]


def _are_exchanged(first: str, second: str) -> bool:
    """Whether two neighbours have changed places."""
    same = _alike(first, second)
    a, b = first[same:], second[same:]
    return len(a) == len(b) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:]


def _alike(first: str, second: str) -> int:
    """How many letters are the same at the beginning."""
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))
