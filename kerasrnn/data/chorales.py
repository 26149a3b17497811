"""Bach's four-part chorales from music21's corpus."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.data.pitches import HIGHEST_PITCH, KEYS, LOWEST_PITCH
from kerasrnn.extras import require

_VOICES = ("soprano", "alto", "tenor", "bass")
# Every tenth chorale validates, and the one after it tests.
_PLACES = {"validation": (8,), "test": (9,), "train": tuple(range(8))}


def parse_chorales(
    split: str = "train",
    *,
    frames_per_beat: int = 2,
    transpose: bool = True,
    limit: int | None = None,
) -> list[np.ndarray]:
    """Read Bach's chorales for soprano, alto, tenor and bass, about 400 of them.

    They are part of the package music21, so that no network is needed. Only the voices are read;
    where they rest while instruments play, a beat of silence is left. Reading them takes a minute
    the first time; after that they come from a cache, in the folder `kerasrnn` of
    `XDG_CACHE_HOME` (by default `~/.cache`).

    Args:
        split: `train` (eight of ten chorales), `validation` or `test` (one of ten each).
        frames_per_beat: how many frames a quarter note has.
        transpose: whether to move each chorale by at most a tritone, so that its key signature has
            no sharps or flats, as in the data sets of the literature.
        limit: take only so many chorales of the split.

    Returns:
        The chorales in the order of their numbers in Bach's works, uint8 `(time, 88)`.

    Raises:
        ValueError: there is no such split.
        ImportError: music21 is missing.

    Example:

    >>> from kerasrnn.data import parse_chorales
    >>> chorales = parse_chorales("test", limit=2)  # doctest: +SKIP
    """
    if split not in _PLACES:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(_PLACES)}.")
    music21 = require("music21", "music", "Reading Bach's chorales")
    files = [path for i, path in enumerate(_files(music21)) if i % 10 in _PLACES[split]]
    cache = _cache_file(music21, frames_per_beat, transpose)
    known = _read_cache(cache)
    rolls: list[np.ndarray] = []
    new = {}
    for file in files:
        if limit is not None and len(rolls) >= limit:
            break
        roll = known.get(file.stem)
        if roll is None:
            roll = new[file.stem] = _read(music21, file, frames_per_beat, transpose)
        if len(roll):  # what is no chorale has been noted as one without frames
            rolls.append(roll)
    if new:
        _write_cache(cache, {**known, **new})
    return rolls


def _files(music21: Any) -> list[Path]:
    paths = [Path(path) for path in music21.corpus.getComposer("bach")]
    return sorted((path for path in paths if path.suffix == ".mxl"), key=lambda path: path.stem)


def _read(music21: Any, file: Path, frames_per_beat: int, transpose: bool) -> np.ndarray:
    """A chorale's roll; of no frames if the file has not the four voices."""
    score = music21.corpus.parse(file)
    parts = {str(part.partName).strip().lower(): part for part in score.parts}
    if not all(voice in parts for voice in _VOICES):
        return np.zeros((0, KEYS), np.uint8)
    shift = 0
    if transpose:
        signatures = list(parts["soprano"].recurse().getElementsByClass("KeySignature"))
        # A sharp more is a fifth, seven semitones, higher.
        sharps = signatures[0].sharps if signatures else 0
        shift = (-7 * sharps + 6) % 12 - 6
    spans = []
    for voice in _VOICES:
        for note in parts[voice].flatten().notes:
            start = int(float(note.offset) * frames_per_beat + 0.5)
            end = int(float(note.offset + note.quarterLength) * frames_per_beat + 0.5)
            for pitch in note.pitches:
                number = int(pitch.midi) + shift
                # A note shorter than half a frame may fall between two frames.
                if end > start and LOWEST_PITCH <= number <= HIGHEST_PITCH:
                    spans.append((number, start, end))
    roll = np.zeros((max((end for *_, end in spans), default=0), KEYS), np.uint8)
    for pitch, start, end in spans:
        roll[start:end, pitch - LOWEST_PITCH] = 1
    return _without_interludes(roll, frames_per_beat)


def _without_interludes(roll: np.ndarray, longest: int) -> np.ndarray:
    """A roll whose silences last for so many frames at most, and that ends with a sound.

    In some cantatas the voices rest for bars while the instruments play.
    """
    kept, silence = [], 0
    for frame, sounds in enumerate(np.asarray(roll.any(axis=1))):
        silence = 0 if sounds else silence + 1
        if silence <= longest:
            kept.append(frame)
    roll = roll[kept]
    return roll[: 1 + max(np.nonzero(roll.any(axis=1))[0], default=-1)]


# === Cache ===


# The number in the name is that of the way in which they are read: a new one begins a new cache.
def _cache_file(music21: Any, frames_per_beat: int, transpose: bool) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    kind = "common-key" if transpose else "original-key"
    name = f"chorales-1-music21-{music21.__version__}-{kind}-{frames_per_beat}.npz"
    return Path(home) / "kerasrnn" / name


def _read_cache(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            ends = np.cumsum(file["lengths"])[:-1]
            return dict(zip(file["names"].tolist(), np.split(file["frames"], ends), strict=True))
    except Exception:  # none, or damaged in whatever way: they are read again
        return {}


def _write_cache(path: Path, rolls: dict[str, np.ndarray]) -> None:
    names: Sequence[str] = sorted(rolls)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".npz", delete=False) as file:
            np.savez_compressed(
                file,
                names=np.array(names),
                lengths=np.array([len(rolls[name]) for name in names]),
                frames=np.concatenate([rolls[name] for name in names]),
            )
        os.replace(file.name, path)
    except OSError:
        return  # a folder that cannot be written to only costs time
