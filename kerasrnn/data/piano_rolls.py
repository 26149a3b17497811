"""Piano rolls: which of the 88 keys of a piano sound in each frame of a piece."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.data.chorales import parse_chorales
from kerasrnn.data.counterpoint import parse_counterpoint
from kerasrnn.data.errors import DataError, quote, shown, whole_number
from kerasrnn.data.files import check_held, read_json, source_name
from kerasrnn.data.matlab import read_cells
from kerasrnn.data.midi import parse_midi
from kerasrnn.data.pitches import HIGHEST_PITCH, LOWEST_PITCH, roll_of_chords

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = ("train", "validation", "test")
# What files call them.
_NAMES = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}
_VARIABLES = {"train": "traindata", "validation": "validdata", "test": "testdata"}
MIDI_ENDINGS = (".mid", ".midi")
_FAULTS_SHOWN = 5
_PITCHES = range(LOWEST_PITCH, HIGHEST_PITCH + 1)
_EXPECTED = (
    "builtin:chorales, builtin:counterpoint, or the path of a file (.mat, .json, .json.gz, .mid, "
    ".midi) or of a folder of MIDI files"
)


def load_piano_rolls(
    source: str | os.PathLike[str], *, split: str = "train", frames_per_beat: int = 2
) -> list[np.ndarray]:
    """Read pieces of music as piano rolls from a file, a folder or the package.

    Args:
        source: the path of a `.mat` file (`parse_mat`), a `.json` file (`parse_chords`), a MIDI
            file or a folder of them (`parse_midi`), which may have the folders `train`, `valid` and
            `test`, and of which files that cannot be read are left out with a warning; or
            `builtin:chorales` (`parse_chorales`, needs music21) or `builtin:counterpoint`
            (`parse_counterpoint`).
        split: `train`, `validation` or `test`. What has no splits is all of one.
        frames_per_beat: how many frames a quarter note has, for MIDI files and what is built in;
            the others are frames already.

    Returns:
        At least one piece, each of zeros and ones, uint8 `(time, 88)`, from A0 to C8.

    Raises:
        DataError: the source cannot be read; what was expected and what came are named.
        ValueError: there is no such source or split; the valid ones are named.
        ImportError: a package is missing; the message says how to install it.

    Example:

    >>> from kerasrnn.data import load_piano_rolls
    >>> rolls = load_piano_rolls("builtin:counterpoint", split="test")
    >>> rolls[0].shape[1], rolls[0].dtype.name
    (88, 'uint8')
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    frames_per_beat = whole_number(frames_per_beat, "frames_per_beat", 1)
    name = source_name(source)
    if name == "builtin:chorales":
        return parse_chorales(split, frames_per_beat=frames_per_beat)
    if name == "builtin:counterpoint":
        return parse_counterpoint(split, frames_per_beat=frames_per_beat)
    path = Path(name)
    if name.startswith(("builtin:", "tfds:")) or not os.path.exists(name):
        missing = "" if name.startswith(("builtin:", "tfds:")) else ": no such file"
        raise ValueError(f"Unknown source {name!r}{missing}. Expected {_EXPECTED}.")
    if path.is_dir():
        return _parse_folder(path, split, frames_per_beat)
    ending = "".join(Path(path.name.removesuffix(".gz")).suffixes[-1:]).lower()
    if ending == ".mat":
        return parse_mat(path, split)
    if ending == ".json":
        return parse_chords(path, split)
    if ending in MIDI_ENDINGS:
        return [parse_midi(path, frames_per_beat=frames_per_beat)]
    raise ValueError(f"Unknown kind of file {name!r}. Expected {_EXPECTED}.")


def piano_roll_splits(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """Which splits a source of piano rolls has.

    Args:
        source: as in `load_piano_rolls`.

    Returns:
        Those of `train`, `validation` and `test` that it has; none if it is all of one.

    Raises:
        DataError, ValueError, ImportError: as `load_piano_rolls`.

    Example:

    >>> from kerasrnn.data import piano_roll_splits
    >>> piano_roll_splits("builtin:counterpoint")
    ('train', 'validation', 'test')
    """
    name = source_name(source)
    path = Path(name)
    if path.is_dir():
        return tuple(_folders(path))
    ending = "".join(Path(path.name.removesuffix(".gz")).suffixes[-1:]).lower()
    there = os.path.exists(name)
    if there and ending == ".mat":
        names, _ = read_cells(path)
        return tuple(name for name in SPLITS if _VARIABLES[name] in names)
    if there and ending == ".json":
        return tuple(_json_splits(path, read_json(path)))
    return SPLITS if name.startswith("builtin:") else ()


def read_piano_rolls(
    source: str | os.PathLike[str], *, split: str = "train", frames_per_beat: int = 2
) -> tf.data.Dataset:
    """Read pieces of music as a dataset.

    Args:
        source: as in `load_piano_rolls`, and so are the others.
        split: `train`, `validation` or `test`.
        frames_per_beat: how many frames a quarter note has.

    Returns:
        Elements `{"roll": (time, 88)}`, uint8. Its cardinality is known.

    Raises:
        DataError, ValueError, ImportError: as `load_piano_rolls`.

    Example:

    >>> from kerasrnn.data import read_piano_rolls
    >>> read_piano_rolls("builtin:counterpoint").element_spec["roll"].shape.as_list()
    [None, 88]
    """
    import tensorflow as tf

    rolls = load_piano_rolls(source, split=split, frames_per_beat=frames_per_beat)
    frames = tf.RaggedTensor.from_row_lengths(np.concatenate(rolls), [len(roll) for roll in rolls])
    dataset = tf.data.Dataset.from_tensor_slices({"roll": frames})
    # A slice is specified as ragged, without a ragged axis left; `padded_batch` wants a tensor.
    return dataset.map(lambda element: {"roll": tf.identity(element["roll"])})


def parse_mat(path: str | os.PathLike[str], split: str = "train") -> list[np.ndarray]:
    """Read the piano rolls of a MATLAB file, as the four data sets of the literature come in.

    JSB Chorales, Nottingham, MuseData and Piano-midi.de, as used by Boulanger-Lewandowski et al.
    2012, Chung et al. 2014 and Bai et al. 2018: the variables `traindata`, `validdata` and
    `testdata` are 1 × N cells of matrices time × 88, of zeros and ones.

    Args:
        path: the file.
        split: `train`, `validation` or `test`.

    Returns:
        The pieces, uint8 `(time, 88)`.

    Raises:
        DataError: the file is not as described.
        ValueError: it has no such split; those that it has are named.

    Example:

    >>> import numpy as np, scipy.io
    >>> from kerasrnn.data import parse_mat
    >>> pieces = np.empty((1, 2), object)
    >>> pieces[0, 0], pieces[0, 1] = np.eye(88), np.zeros((3, 88))
    >>> scipy.io.savemat("two.mat", {"traindata": pieces})
    >>> [roll.shape for roll in parse_mat("two.mat")]
    [(88, 88), (3, 88)]
    """
    names, pieces = read_cells(path, _VARIABLES.get(split))
    present = [name for name, variable in _VARIABLES.items() if variable in names]
    if not present:
        raise DataError.at(
            path,
            None,
            expected=f"the variables {', '.join(_VARIABLES.values())}",
            got=quote(", ".join(names)) if names else "none",
        )
    if split not in present:
        raise _no_split(path, split, present)
    return [
        check_roll(piece, f"{os.fspath(path)}, piece {number} of {_VARIABLES[split]}", path)
        for number, piece in enumerate(pieces, start=1)
    ]


def parse_chords(path: str | os.PathLike[str], split: str = "train") -> list[np.ndarray]:
    """Read pieces from JSON, where a frame is the list of the pitches that sound in it.

    The chorales are in circulation in this form: `{"train": [piece, …], "valid": [piece, …],
    "test": [piece, …]}`, a piece being a list of frames and a frame a list of MIDI numbers, such as
    `[60, 64, 67]`. A plain list of pieces is taken too. `-1`, NaN and null stand for a voice that
    rests.

    Args:
        path: the file, compressed with gzip or not.
        split: `train`, `validation` or `test`; a plain list has no splits, and is all of one.

    Returns:
        The pieces, uint8 `(time, 88)`.

    Raises:
        DataError: the file is not as described; piece, frame and pitch are named.
        ValueError: it has no such split; those that it has are named.

    Example:

    >>> import pathlib
    >>> from kerasrnn.data import parse_chords
    >>> _ = pathlib.Path("piece.json").write_text('{"train": [[[60, 64, 67], [], [-1, 62]]]}')
    >>> parse_chords("piece.json")[0].sum(axis=1).tolist()
    [3, 0, 1]
    """
    pieces = content = read_json(path)
    if isinstance(content, dict):
        present = _json_splits(path, content)
        if split not in present:
            raise _no_split(path, split, list(present))
        pieces = present[split]
    if not isinstance(pieces, list) or not pieces:
        raise DataError.at(path, None, expected="a list of pieces", got=quote(shown(pieces)))
    return [_roll_of_json(piece, number, path) for number, piece in enumerate(pieces, start=1)]


def _json_splits(path: str | os.PathLike[str], content: Any) -> dict[str, Any]:
    """The pieces of each split, none for a plain list."""
    if not isinstance(content, dict):
        return {}
    present = {
        name: content[key] for name, keys in _NAMES.items() for key in keys if key in content
    }
    if not present:
        raise DataError.at(
            path,
            None,
            expected="the keys train, valid and test, or a list of pieces",
            got=f"the keys {quote(', '.join(map(str, content)))}",
        )
    return present


def _roll_of_json(piece: Any, number: int, path: str | os.PathLike[str]) -> np.ndarray:
    if not isinstance(piece, list) or not piece:
        raise DataError.at(
            path, None, expected=f"piece {number} to be a list of frames", got=quote(shown(piece))
        )
    chords = []
    for frame, pitches in enumerate(piece, start=1):
        where = f"piece {number}, frame {frame}"
        if not isinstance(pitches, list):
            raise DataError.at(
                path, None, expected=f"a list of pitches as {where}", got=quote(shown(pitches))
            )
        chord = []
        for pitch in pitches:
            if pitch is None or pitch == -1 or (isinstance(pitch, float) and math.isnan(pitch)):
                continue
            number_ = isinstance(pitch, int | float) and not isinstance(pitch, bool)
            if not number_ or pitch not in _PITCHES:
                raise DataError.at(
                    path,
                    None,
                    expected=f"MIDI numbers from {LOWEST_PITCH} to {HIGHEST_PITCH} in {where}",
                    got=quote(shown(pitch)),
                )
            chord.append(int(pitch))
        chords.append(chord)
    return roll_of_chords(chords)


def _folders(folder: Path) -> dict[str, Path]:
    return {
        name: folder / key
        for name, keys in _NAMES.items()
        for key in keys
        if (folder / key).is_dir()
    }


def _parse_folder(folder: Path, split: str, frames_per_beat: int) -> list[np.ndarray]:
    parts = _folders(folder)
    if parts:
        if split not in parts:
            raise _no_split(folder, split, list(parts))
        folder = parts[split]
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MIDI_ENDINGS)
    if not files:
        raise DataError.at(folder, None, expected="MIDI files (.mid, .midi)", got="none")
    rolls: list[np.ndarray] = []
    faults = []
    for file in files:
        try:
            rolls.append(parse_midi(file, frames_per_beat=frames_per_beat))
        except DataError as fault:
            faults.append(str(fault))
        check_held(folder, sum(roll.nbytes for roll in rolls))
    shown = "\n".join(faults[:_FAULTS_SHOWN] + ["…"] * (len(faults) > _FAULTS_SHOWN))
    if not rolls:
        raise DataError.at(
            folder, None, expected="MIDI files with notes", got=f"none that can be read:\n{shown}"
        )
    if faults:
        warnings.warn(
            f"{len(faults)} of the {len(files)} MIDI files of {folder} cannot be read and are left "
            f"out:\n{shown}",
            stacklevel=3,
        )
    return rolls


def check_roll(
    roll: Any, where: str = "A piano roll", path: str | os.PathLike[str] | None = None
) -> np.ndarray:
    """A piano roll as uint8, or an error that says what is wrong with it.

    Args:
        roll: booleans or numbers 0 and 1, `(time, 88)`, with at least one frame.
        where: what to call it.
        path: the file that it comes from, if any.

    Returns:
        uint8 `(time, 88)`.

    Raises:
        DataError: its shape or a value is another.

    Example:

    >>> from kerasrnn.data import check_roll
    >>> check_roll([[0] * 87])
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: A piano roll must have the shape (time, 88), with at least one frame. Received: (1, 87)
    """  # noqa: E501
    try:
        array = np.asarray(roll)
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise DataError(f"{where} must be an array (time, 88): {error}", path=path) from error
    if array.ndim != 2 or array.shape[1] != 88 or len(array) == 0:
        raise DataError(
            f"{where} must have the shape (time, 88), with at least one frame. "
            f"Received: {array.shape}",
            path=path,
        )
    if array.dtype.kind not in "buif":
        raise DataError(f"{where} must hold 0 and 1. Received: {array.dtype}", path=path)
    on, off = array == 1, array == 0
    if not (on | off).all():
        frame, key = np.argwhere(~(on | off))[0]
        raise DataError(
            f"{where} must hold 0 and 1. Received: {array[frame, key]} in frame {frame + 1}, "
            f"key {key + 1}. Loudness does not count: give `roll > 0`.",
            path=path,
        )
    return on.astype(np.uint8)


def _no_split(path: Any, split: str, present: Sequence[str]) -> ValueError:
    return ValueError(
        f"{os.fspath(path)} has no split {split!r}. Expected one of {', '.join(present)}."
    )
