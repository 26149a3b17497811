"""The keys of a piano and their MIDI numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from kerasrnn.data.errors import check_numbers

LOWEST_PITCH = 21  # A0
HIGHEST_PITCH = 108  # C8
KEYS = HIGHEST_PITCH - LOWEST_PITCH + 1

_PITCHES = range(LOWEST_PITCH, HIGHEST_PITCH + 1)
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SIGNS = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_PITCH = re.compile("([A-Ga-g])([#♯b♭]?)([0-8])")
_BAR = "|"
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


def parse_pitch(name: str) -> int:
    """The MIDI number of a pitch as musicians write it.

    Args:
        name: a letter, `#` or `b` (or `♯`, `♭`) where it has one, and the octave; or the number.

    Raises:
        ValueError: it has another form, or no piano has the pitch.

    Example:

    >>> from kerasrnn.data import parse_pitch
    >>> parse_pitch("C4"), parse_pitch("Bb3"), parse_pitch("F♯4"), parse_pitch("21")
    (60, 58, 66, 21)
    """
    found = _PITCH.fullmatch(name)
    pitch = -1
    if found:
        step, sign, octave = found.groups()
        pitch = 12 * (int(octave) + 1) + _STEPS[step.upper()] + _SIGNS[sign]
    elif name.isdecimal() and len(name) <= 3:
        pitch = int(name)
    if pitch not in _PITCHES:
        raise ValueError(
            f"A pitch must be a name from A0 to C8, such as C4, F#4 or Bb3, or a number from "
            f"{LOWEST_PITCH} to {HIGHEST_PITCH}. Received: {name!r:.40}"
        )
    return pitch


def roll_of_text(text: str) -> np.ndarray:
    """A piano roll from chords that are written down.

    Args:
        text: the frames, with `|` between them, each with the pitches that sound, as `parse_pitch`
            takes them; an empty frame is silent, an empty text has no frame.

    Returns:
        Zeros and ones, uint8 `(time, 88)`.

    Raises:
        ValueError: a pitch has another form.

    Example:

    >>> from kerasrnn.data import roll_of_text, text_of_roll
    >>> text_of_roll(roll_of_text("C4 E4 G4 C5 | B3 D4 | | 60"))
    'C4 E4 G4 C5 | B3 D4 | | C4'
    """
    frames = text.split(_BAR) if text.strip() else []
    return roll_of_chords([[parse_pitch(name) for name in frame.split()] for frame in frames])


def text_of_roll(roll: np.ndarray) -> str:
    """The chords of a piano roll, as `roll_of_text` reads them.

    Args:
        roll: `(time, 88)`; what is above 0.5 sounds.

    Example:

    >>> from kerasrnn.data import roll_of_chords, text_of_roll
    >>> text_of_roll(roll_of_chords([[60, 66], [], [58]]))
    'C4 F♯4 | | B♭3'
    """
    frames = (" ".join(map(pitch_name, chord)) for chord in chords_of_roll(roll))
    return " ".join(f" {_BAR} ".join(frames).split())
