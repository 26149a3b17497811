"""The keys of a piano and their MIDI numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from kerasrnn.data.errors import check_numbers

LOWEST_PITCH = 21  # A0
HIGHEST_PITCH = 108  # C8
KEYS = HIGHEST_PITCH - LOWEST_PITCH + 1

_PITCHES = range(LOWEST_PITCH, HIGHEST_PITCH + 1)
_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


def roll_of_chords(chords: Sequence[Iterable[int]]) -> np.ndarray:
    """A piano roll from the MIDI numbers of each frame.

    Args:
        chords: for each frame the pitches that sound, from 21 (A0) to 108 (C8).

    Returns:
        Zeros and ones, uint8 `(time, 88)`.

    Raises:
        TypeError: a frame is no list.
        ValueError: a pitch is no whole number or lies outside of the piano.

    Example:

    >>> from kerasrnn.data import chords_of_roll, roll_of_chords
    >>> chords_of_roll(roll_of_chords([[60, 64, 67], []]))
    [[60, 64, 67], []]
    """
    try:
        chords = [list(chord) for chord in chords]
    except TypeError as error:
        raise TypeError(
            f"`chords` must hold the pitches of each frame. Received: {chords!r:.80}"
        ) from error
    roll = np.zeros((len(chords), KEYS), np.uint8)
    for frame, chord in enumerate(chords):
        for pitch in chord:
            # 60.0 is in the range; None, 60.5 and True are not.
            if isinstance(pitch, bool | np.bool_) or pitch not in _PITCHES:
                raise ValueError(
                    f"Pitches must be whole numbers from {LOWEST_PITCH} to {HIGHEST_PITCH}. "
                    f"Received: {pitch!r} in frame {frame + 1}"
                )
            roll[frame, int(pitch) - LOWEST_PITCH] = 1
    return roll


def chords_of_roll(roll: np.ndarray) -> list[list[int]]:
    """The MIDI numbers that sound in each frame of a piano roll.

    Args:
        roll: `(time, 88)`; what is above 0.5 sounds.

    Returns:
        For each frame the pitches, rising.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.data import chords_of_roll
    >>> chords_of_roll(np.eye(88)[:2])
    [[21], [22]]
    """
    return [
        [int(key) + LOWEST_PITCH for key in np.nonzero(frame > 0.5)[0]]
        for frame in check_numbers(roll, "`roll`")
    ]


def pitch_name(pitch: int) -> str:
    """A pitch as musicians write it; 60 is C4, the middle C.

    Args:
        pitch: a MIDI number.

    Returns:
        The name with its octave.

    Example:

    >>> from kerasrnn.data import pitch_name
    >>> pitch_name(60), pitch_name(21), pitch_name(66)
    ('C4', 'A0', 'F♯4')
    """
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"
