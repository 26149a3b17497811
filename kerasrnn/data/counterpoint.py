"""Pieces in four parts, made by rule: music for every machine, of any amount."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from kerasrnn.data.pitches import roll_of_chords

_PIECES = {"train": 160, "validation": 20, "test": 20}

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 11)  # with the leading note
# From each degree (1 is 0) to those that may follow, with how often they do.
_PROGRESSIONS = {
    0: ((3, 4), (4, 3), (5, 3), (1, 2), (2, 1)),
    1: ((4, 5), (6, 1)),
    2: ((5, 3), (3, 2)),
    3: ((4, 4), (1, 2), (0, 2)),
    4: ((0, 5), (5, 2)),
    5: ((1, 3), (3, 3), (4, 1)),
    6: ((0, 1),),
}
# The voices from bass to soprano, in semitones from the middle C.
_RANGES = ((-20, 2), (-12, 7), (-5, 12), (0, 19))


def parse_counterpoint(
    split: str = "train", *, frames_per_beat: int = 2, pieces: int | None = None
) -> list[np.ndarray]:
    """Pieces in four parts that follow rules of harmony: always the same, with no file.

    Phrases of eight beats walk through the chords of a major or minor key and end in a cadence on
    its first degree. Voices keep to their ranges, do not cross, move as little as they can and
    avoid parallel fifths and octaves; now and then a voice fills a third with a passing note. All
    pieces are in C, as those of `parse_chorales` are. A model that has learnt the rules knows the
    chord and its spacing, but not which way the piece turns.

    Args:
        split: `train` (160 pieces), `validation` or `test` (20 each).
        frames_per_beat: how many frames a quarter note has.
        pieces: another number of pieces.

    Returns:
        The pieces, uint8 `(time, 88)`.

    Raises:
        ValueError: there is no such split.

    Example:

    >>> from kerasrnn.data import chords_of_roll, parse_counterpoint
    >>> piece = parse_counterpoint("test", pieces=1)[0]
    >>> len(piece) % 16, {len(chord) for chord in chords_of_roll(piece)} <= {3, 4}
    (0, True)
    """
    if split not in _PIECES:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(_PIECES)}.")
    stream = list(_PIECES).index(split)
    count = _PIECES[split] if pieces is None else pieces
    return [
        _piece(np.random.default_rng([1725, stream, number]), frames_per_beat)
        for number in range(count)
    ]


def _piece(rng: np.random.Generator, frames_per_beat: int) -> np.ndarray:
    scale = _MINOR if rng.random() < 0.4 else _MAJOR
    voices: tuple[int, ...] | None = None
    beats: list[tuple[int, ...]] = []
    for _ in range(int(rng.integers(3, 7))):
        for degree in _phrase(rng):
            voices = _lead(rng, scale, degree, voices)
            beats.append(voices)
        beats.append(beats[-1])  # the last chord of a phrase lasts for two beats
    chords: list[tuple[int, ...]] = []
    for here, after in itertools.zip_longest(beats, beats[1:], fillvalue=beats[-1]):
        chords += [here] * (frames_per_beat - frames_per_beat // 2)
        chords += [_passing(rng, scale, here, after)] * (frames_per_beat // 2)
    return roll_of_chords([[60 + note for note in chord] for chord in chords])


def _phrase(rng: np.random.Generator) -> list[int]:
    """Seven chords from the first degree to a cadence on it."""
    while True:
        degrees = [0]
        while len(degrees) < 5:
            following, weights = zip(*_PROGRESSIONS[degrees[-1]], strict=True)
            shares = np.array(weights) / sum(weights)
            degrees.append(int(rng.choice(following, p=shares)))
        if degrees[-1] in (0, 1, 3, 5):
            return [*degrees, 4, 0]


def _lead(
    rng: np.random.Generator,
    scale: tuple[int, ...],
    degree: int,
    before: tuple[int, ...] | None,
) -> tuple[int, ...]:
    """The voicing of a chord that is reached with the least effort."""
    candidates, motions = _voicings(scale, degree)
    if before is None:
        ideal = np.array([-12, 0, 4, 9])
        return candidates[int(np.abs(motions - ideal).sum(axis=1).argmin())]
    old = np.array(before)
    steps = motions - old  # (candidates, voices)
    cost = np.abs(steps[:, 1:]).sum(axis=1) + 0.4 * np.abs(steps[:, 0])
    cost = cost + 3.0 * np.maximum(0, np.abs(steps[:, 3]) - 4)  # the melody should not leap
    for low, high in itertools.combinations(range(4), 2):
        interval = (motions[:, high] - motions[:, low]) % 12
        same = interval == (old[high] - old[low]) % 12
        parallel = same & np.isin(interval, (0, 7)) & (steps[:, low] != 0)
        cost = cost + 20.0 * parallel
    cost = cost + 4.0 * (steps == 0).all(axis=1)
    # Near ties fall one way or the other.
    return candidates[int((cost + rng.gumbel(0.0, 1.5, len(cost))).argmin())]


@cache
def _voicings(scale: tuple[int, ...], degree: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """All ways to lay a triad out in four voices: complete, uncrossed, root or third below."""
    triad = [scale[(degree + step) % 7] for step in (0, 2, 4)]

    def places(voice: int, classes: list[int]) -> list[int]:
        low, high = _RANGES[voice]
        return [note for note in range(low, high + 1) if note % 12 in classes]

    found = [
        notes
        for notes in itertools.product(
            places(0, triad[: 1 if degree in (0, 4) else 2]),
            *(places(voice, triad) for voice in (1, 2, 3)),
        )
        if notes[0] < notes[1] < notes[2] < notes[3]
        and notes[3] - notes[2] <= 12
        and notes[2] - notes[1] <= 12
        and {note % 12 for note in notes} == set(triad)
    ]
    return found, np.array(found)


def _passing(
    rng: np.random.Generator,
    scale: tuple[int, ...],
    here: tuple[int, ...],
    after: tuple[int, ...],
) -> tuple[int, ...]:
    """The second half of a beat: a voice that will move by a third may step in between."""
    notes = list(here)
    for voice in (3, 2, 0, 1):
        if abs(after[voice] - here[voice]) in (3, 4) and rng.random() < 0.6:
            low, high = sorted((here[voice], after[voice]))
            between = [note for note in range(low + 1, high) if note % 12 in scale]
            others = set(notes) - {here[voice]}
            if between and between[0] not in others:
                notes[voice] = between[0]
                break
    return tuple(notes)
