"""Chords as one writes them down."""

import numpy as np
import pytest

from kerasrnn.data import chords_of_roll, parse_pitch, pitch_name, roll_of_text, text_of_roll


def test_every_key_of_the_piano_has_its_name():
    """That of the table of MIDI: 21 is A0, and twelve keys make an octave."""
    for pitch in range(21, 109):
        assert parse_pitch(pitch_name(pitch)) == parse_pitch(str(pitch)) == pitch


@pytest.mark.parametrize(
    ("name", "pitch"),
    [("C4", 60), ("c4", 60), ("C#4", 61), ("D♭4", 61), ("Cb4", 59), ("B#3", 60), ("bb3", 58)],
)
def test_signs_and_small_letters(name, pitch):
    assert parse_pitch(name) == pitch


@pytest.mark.parametrize(
    "name", ["", "H4", "C", "C9", "G0", "C##4", "20", "109", "²", "4C", "C-1", "C4 E4"]
)
def test_what_is_no_pitch_is_refused(name):
    with pytest.raises(ValueError, match="A pitch must be a name from A0 to C8"):
        parse_pitch(name)


def test_chords_go_there_and_back():
    generator = np.random.default_rng(1)
    roll = (generator.random((50, 88)) < 0.05).astype(np.uint8)
    roll[::7] = 0
    np.testing.assert_array_equal(roll_of_text(text_of_roll(roll)), roll)


@pytest.mark.parametrize(
    ("text", "chords"),
    [("", []), ("  ", []), ("60|", [[60], []]), ("|", [[], []]), ("C4 C4\tE4", [[60, 64]])],
)
def test_silence_and_spaces(text, chords):
    assert chords_of_roll(roll_of_text(text)) == chords
