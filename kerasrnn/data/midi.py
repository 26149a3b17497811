"""MIDI files to piano rolls and back."""

from __future__ import annotations

import os
import warnings
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from kerasrnn.data.errors import DataError, check_numbers, shown, whole_number
from kerasrnn.data.files import check_size, read_bytes
from kerasrnn.data.midi_events import MidiFault, read_header, read_keys
from kerasrnn.data.pitches import HIGHEST_PITCH, KEYS, LOWEST_PITCH
from kerasrnn.extras import require

_DRUMS = 9
_TICKS_PER_BEAT = 480


def parse_midi(path: str | os.PathLike[str], *, frames_per_beat: int = 2) -> np.ndarray:
    """Read a MIDI file as a piano roll.

    Time is counted in beats (quarter notes), whatever the tempo. A note's beginning and end are
    rounded to the nearest frame, and it lasts for at least one. All instruments are put together
    but for drums (channel 10); loudness, the sustain pedal and pitches that no piano has are left
    out, and so is silence before the first note. Of what else a file says, such as its key and its
    texts, nothing is read, and nothing need be right.

    Of a track that is damaged, what comes before the damage is read, with a warning.

    Args:
        path: the file, compressed with gzip or not.
        frames_per_beat: how many frames a quarter note has: 1 for quarters, 2 for eighths.

    Returns:
        Zeros and ones, uint8 `(time, 88)`.

    Raises:
        DataError: the file cannot be read, has no notes, or asks for far more frames than a file of
            its size has reason to (`kerasrnn.data.files`).
        ValueError: `frames_per_beat` is no positive integer.

    Example:

    >>> from kerasrnn.data import chords_of_roll, parse_midi, roll_of_chords, write_midi
    >>> write_midi("piece.mid", roll_of_chords([[60, 64], [60], [], [62]]))
    >>> chords_of_roll(parse_midi("piece.mid"))
    [[60, 64], [60], [], [62]]
    """
    frames_per_beat = whole_number(frames_per_beat, "frames_per_beat", 1)
    data = read_bytes(path)
    try:
        header = read_header(data)
    except MidiFault as fault:
        raise DataError.at(
            path, None, expected="a MIDI file", got=f"what is none ({fault})"
        ) from None
    if header.kind not in (0, 1):
        raise DataError.at(
            path,
            None,
            expected="a MIDI file of type 0 or 1",
            got=f"type {header.kind}{', with many sequences' if header.kind == 2 else ''}",
        )
    # The highest bit says that ticks are parts of a second, of which no beat can be told.
    if header.division == 0 or header.division & 0x8000:
        raise DataError.at(
            path,
            None,
            expected="time in beats",
            got="time in seconds (SMPTE)" if header.division else "0 ticks for a beat",
        )

    def frame_of(ticks: int) -> int:
        return int(ticks * frames_per_beat / header.division + 0.5)

    notes: list[tuple[int, int, int]] = []
    faults = []
    for number, track in enumerate(header.tracks, start=1):
        now = 0
        begun: dict[tuple[int, int], list[int]] = {}
        try:
            for now, channel, pitch, down in read_keys(track):
                if down and channel != _DRUMS:
                    begun.setdefault((channel, pitch), []).append(now)
                elif not down and begun.get((channel, pitch)):
                    notes.append((pitch, begun[channel, pitch].pop(0), now))
        except MidiFault as fault:
            faults.append(f"track {number} has {fault}")
        # A note that never ends lasts as long as its track.
        notes += [(pitch, start, now) for (_, pitch), starts in begun.items() for start in starts]
    notes = [note for note in notes if LOWEST_PITCH <= note[0] <= HIGHEST_PITCH]
    if not notes:
        got = f"none; {faults[0]}" if faults else "none"
        raise DataError.at(path, None, expected="notes from A0 to C8", got=got)
    if faults:
        warnings.warn(
            f"{os.fspath(path)} is damaged, and read up to there: {'; '.join(faults)}.",
            stacklevel=2,
        )
    spans = [
        (pitch, frame_of(start), max(frame_of(start) + 1, frame_of(end)))
        for pitch, start, end in notes
    ]
    first = min(start for _, start, _ in spans)
    length = max(end for *_, end in spans) - first
    check_size(path, length * KEYS, f"{length:,} frames")
    roll = np.zeros((length, KEYS), np.uint8)
    filled = dict.fromkeys(range(KEYS), first)
    for pitch, start, end in sorted(spans):
        key = pitch - LOWEST_PITCH
        # What sounds already is not filled again, or many long notes in a small file take hours.
        roll[max(start, filled[key]) - first : max(end, filled[key]) - first, key] = 1
        filled[key] = max(filled[key], end)
    return roll


def write_midi(
    path: str | os.PathLike[str],
    roll: np.ndarray,
    *,
    frames_per_beat: int = 2,
    tempo: float = 90.0,
    velocity: int = 72,
    program: int = 0,
) -> None:
    """Write a piano roll as a MIDI file, which any player plays.

    A key that sounds in neighbouring frames is one long note: a roll does not say where a note is
    struck again. The file appears whole or not at all. Needs mido.

    Args:
        path: the file to write.
        roll: `(time, 88)`; what is above 0.5 sounds.
        frames_per_beat: how many frames a quarter note has.
        tempo: quarter notes a minute.
        velocity: how loud, from 1 to 127.
        program: the instrument, from 0 (piano) to 127; 19 is a church organ.

    Raises:
        ValueError: the roll has another shape, or a number is outside of its range.
        ImportError: mido is missing.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.data import write_midi
    >>> write_midi("scale.mid", np.eye(88)[39:52], tempo=120)
    """
    mido = require("mido", "training", "Writing MIDI files")
    array = check_numbers(roll, "`roll`")
    sounding = array > 0.5
    if sounding.ndim != 2 or sounding.shape[1] != KEYS:
        raise ValueError(f"`roll` must have the shape (time, {KEYS}). Received: {sounding.shape}")
    for name, value, low, high in (
        ("velocity", velocity, 1, 127),
        ("program", program, 0, 127),
        ("frames_per_beat", frames_per_beat, 1, _TICKS_PER_BEAT),
        ("tempo", tempo, 4, 1000),  # what a MIDI file can say
    ):
        whole = name in ("velocity", "program")
        if not isinstance(value, Integral if whole else Real) or not low <= value <= high:
            raise ValueError(f"`{name}` must lie from {low} to {high}. Received: {shown(value)}")
    silent = np.zeros((1, KEYS), bool)
    changes = np.diff(np.concatenate([silent, sounding, silent]).astype(np.int8), axis=0)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    track.append(mido.Message("program_change", program=program))
    now = 0
    for frame, change in enumerate(changes):
        ticks = round(frame * _TICKS_PER_BEAT / frames_per_beat)
        # Ends come first, so that a note may begin in the frame in which another one ends.
        for kind, sign in (("note_off", -1), ("note_on", 1)):
            for key in np.nonzero(change == sign)[0]:
                loudness = velocity if sign > 0 else 0
                track.append(
                    mido.Message(
                        kind, note=int(key) + LOWEST_PITCH, velocity=loudness, time=ticks - now
                    )
                )
                now = ticks
    # Silence at the end is part of the piece.
    end = round(len(sounding) * _TICKS_PER_BEAT / frames_per_beat)
    track.append(mido.MetaMessage("end_of_track", time=end - now))
    file = mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT)
    file.tracks.append(track)
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        file.save(os.fspath(temporary))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
