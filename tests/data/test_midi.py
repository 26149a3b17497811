"""MIDI files to piano rolls and back."""

import gzip
import struct
from time import perf_counter

import numpy as np
import pytest

from kerasrnn.data import DataError, chords_of_roll, parse_midi, roll_of_chords, write_midi

mido = pytest.importorskip("mido")


def save(path, *tracks, ticks=96, kind=1):
    """A MIDI file whose tracks are lists of (ticks since the last event, type, note, more)."""
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    for events in tracks:
        track = mido.MidiTrack()
        for time, name, note, *more in events:
            options = {"velocity": 64, "channel": 0, **(more[0] if more else {})}
            track.append(mido.Message(name, note=note, time=time, **options))
        file.tracks.append(track)
    file.save(path)
    return path


def test_notes_become_frames(tmp_path):
    path = save(
        tmp_path / "a.mid",
        [(96, "note_on", 60), (96, "note_off", 60), (0, "note_on", 62), (48, "note_off", 62)],
        [(96, "note_on", 40), (144, "note_on", 40, {"velocity": 0})],  # the same as note_off
    )
    # The silence at the beginning is left out.
    assert chords_of_roll(parse_midi(path)) == [[40, 60], [40, 60], [40, 62]]
    assert chords_of_roll(parse_midi(path, frames_per_beat=1)) == [[40, 60], [40, 62]]
    assert len(parse_midi(path, frames_per_beat=4)) == 6


def test_ends_and_beginnings_are_rounded_and_no_note_is_lost(tmp_path):
    path = save(
        tmp_path / "a.mid",
        [(0, "note_on", 60), (50, "note_off", 60), (0, "note_on", 61), (2, "note_off", 61)],
        [(0, "note_on", 50), (99, "note_off", 50)],
    )
    # With frames of 48 ticks: 60 ends at 50, 61 lasts for two ticks, 50 ends at 99.
    assert chords_of_roll(parse_midi(path)) == [[50, 60], [50, 61]]


def test_drums_and_other_pitches_are_left_out(tmp_path):
    path = save(
        tmp_path / "a.mid",
        [
            (0, "note_on", 36, {"channel": 9}),
            (0, "note_on", 10),
            (0, "note_on", 60),
            (48, "note_off", 36, {"channel": 9}),
            (0, "note_off", 10),
            (0, "note_off", 60),
        ],
    )
    assert chords_of_roll(parse_midi(path)) == [[60]]


def test_a_note_that_never_ends_lasts_to_the_end_and_a_stray_end_is_nothing(tmp_path):
    path = save(
        tmp_path / "a.mid",
        [(0, "note_off", 70), (0, "note_on", 60), (96, "note_on", 62), (48, "note_off", 62)],
    )
    assert chords_of_roll(parse_midi(path)) == [[60], [60], [60, 62]]


@pytest.mark.parametrize("frames_per_beat", [1, 2, 3, 4, 7])
def test_what_was_written_is_read(tmp_path, rng, frames_per_beat):
    roll = (rng.random((40, 88)) < 0.06).astype(np.uint8)
    roll[0, 3] = roll[-1, 5] = 1
    write_midi(tmp_path / "a.mid", roll, frames_per_beat=frames_per_beat, tempo=150, program=19)
    read = parse_midi(tmp_path / "a.mid", frames_per_beat=frames_per_beat)
    np.testing.assert_array_equal(read, roll)
    file = mido.MidiFile(tmp_path / "a.mid")
    assert file.length == pytest.approx(40 / frames_per_beat * 60 / 150, rel=0.01)
    assert not list(tmp_path.glob(".*"))


def test_silence_is_written_too(tmp_path):
    write_midi(tmp_path / "a.mid", np.zeros((4, 88)))
    assert mido.MidiFile(tmp_path / "a.mid").length > 1
    with pytest.raises(DataError, match=r"expected notes from A0 to C8, got none"):
        parse_midi(tmp_path / "a.mid")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"roll": np.zeros((4, 12))}, r"`roll` must have the shape \(time, 88\)"),
        ({"velocity": 128}, "`velocity` must lie from 1 to 127"),
        ({"tempo": 0}, "`tempo`"),
        ({"frames_per_beat": 0}, "`frames_per_beat`"),
        ({"program": -1}, "`program`"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_midi(tmp_path / "a.mid", **{"roll": roll_of_chords([[60]]), **arguments})
    assert not list(tmp_path.iterdir())


def test_what_is_no_midi_file_is_named(tmp_path):
    for content in (b"", b"no music", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00"):
        (tmp_path / "a.mid").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.mid: expected a MIDI file"):
            parse_midi(tmp_path / "a.mid")
    with pytest.raises(DataError, match=r"nothing of that name"):
        parse_midi(tmp_path / "b.mid")


def test_sequences_and_seconds_are_refused(tmp_path):
    notes = [(0, "note_on", 60), (96, "note_off", 60)]
    with pytest.raises(DataError, match=r"type 2, with many sequences"):
        parse_midi(save(tmp_path / "a.mid", notes, notes, kind=2))
    path = save(tmp_path / "b.mid", notes)
    data = bytearray(path.read_bytes())
    data[12:14] = b"\xe7\x28"  # 25 frames a second, 40 ticks each
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"SMPTE"):
        parse_midi(path)


# === Files that break the rules ===

NOTE = b"\x00\x90\x3c\x40\x60\x80\x3c\x40"  # a beat of middle C
END = b"\x00\xff\x2f\x00"


def raw(path, *tracks, ticks=96, kind=0, tracks_said=None):
    """A MIDI file of the bytes of its tracks."""
    said = len(tracks) if tracks_said is None else tracks_said
    chunks = [b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks]
    path.write_bytes(b"MThd" + struct.pack(">IHHH", 6, kind, said, ticks) + b"".join(chunks))
    return path


@pytest.mark.parametrize(
    "event",
    [
        b"\x59\x02\x08\x00",  # a key with eight sharps
        b"\x59\x02\x00\x05",  # neither major nor minor
        b"\x59\x01\x00",
        b"\x59\x00",
        b"\x59\x7f\x08\x00",  # a length that swallows all that follows
        b"\x58\x01\x04",
        b"\x58\x04\x04\xff\x18\x08",
        b"\x51\x00",
        b"\x51\x02\x07\xa1",
        b"\x54\x05\xff\xff\xff\xff\xff",  # an offset of 255 hours
        b"\x54\x01\xff",
        b"\x20\x00",
        b"\x21\x00",
        b"\x00\x01\x01",
        b"\x01\x03\xff\xfe\x00",  # a text in no encoding
        b"\x33\x03abc",  # an event that nobody knows
    ],
)
def test_no_event_about_the_music_loses_its_notes(tmp_path, event):
    path = raw(tmp_path / "a.mid", b"\x00\xff" + event + NOTE + END)
    assert chords_of_roll(parse_midi(path)) == [[60], [60]]


@pytest.mark.parametrize(
    "track",
    [
        NOTE,  # without an end
        NOTE + b"\x00\xff\x2f\x05",
        b"\x00\x90\x3c\x40\x00\xff\x01\x01a\x60\x3c\x00" + END,  # a running status
        b"\x00\x90\x3c\x40\x00\xf0\x02\x01\xf7\x60\x3c\x00" + END,
        b"\x00\xf0\x02\x01\x02" + NOTE + END,  # system messages
        b"\x00\xf1\x01\x00\xf8\x00\xf4\x00\xf2\x01\x02" + NOTE + END,
        b"\x00\x90\x3c\xff\x60\x80\x3c\x40" + END,  # louder than can be
    ],
)
def test_tracks_may_be_odd(tmp_path, track):
    assert chords_of_roll(parse_midi(raw(tmp_path / "a.mid", track))) == [[60], [60]]


def test_chunks_may_be_odd(tmp_path):
    content = raw(tmp_path / "a.mid", NOTE + END, tracks_said=7).read_bytes()
    begin, track = content[:14], content[14:]
    for odd in (
        content,
        content + b"\0\0\0",
        begin + b"XFIH" + struct.pack(">I", 2) + b"ab" + track,
        b"RIFF\0\0\0\0RMIDdata\0\0\0\0" + content,
        begin + b"MTrk" + struct.pack(">I", 3) + track[8:],
        begin + b"MTrk" + struct.pack(">I", 300) + track[8:],
        gzip.compress(content),
    ):
        (tmp_path / "b.mid").write_bytes(odd)
        assert chords_of_roll(parse_midi(tmp_path / "b.mid")) == [[60], [60]]


@pytest.mark.parametrize(
    ("track", "fault"),
    [
        (NOTE + b"\x00\x90\x3e", "an event at byte 9 that goes on behind the track's end"),
        (NOTE + b"\x00\xff\x03\x20Song", "an event at byte 9 that goes on behind"),
        (NOTE + b"\xff\xff\xff\xff\x7f" + NOTE, "a number without an end at byte 12"),
        (b"\x00\xff\x01\x00" + NOTE + b"\xff", "a number without an end at byte 13"),
    ],
)
def test_of_a_damaged_track_the_beginning_is_read_with_a_warning(tmp_path, track, fault):
    path = raw(tmp_path / "a.mid", track)
    with pytest.warns(UserWarning, match=rf"a\.mid is damaged.*track 1 has {fault}"):
        assert chords_of_roll(parse_midi(path)) == [[60], [60]]


def test_a_file_that_is_cut_off_is_read_with_a_warning(tmp_path):
    path = raw(tmp_path / "a.mid", NOTE + NOTE + END)
    path.write_bytes(path.read_bytes()[: -len(NOTE + END)])
    with pytest.warns(UserWarning, match=r"track 1 has no end: the file is cut off"):
        assert chords_of_roll(parse_midi(path)) == [[60], [60]]
    path = raw(tmp_path / "b.mid", b"\x00\x3c\x40" + NOTE)
    with pytest.raises(DataError, match=r"got none; track 1 has no event at byte 1 of the track"):
        parse_midi(path)


def test_many_long_notes_take_no_long_time(tmp_path):
    begun = b"".join(b"\x00\x90" + bytes([21 + i % 88, 64]) for i in range(20_000))
    path = raw(tmp_path / "a.mid", begun + b"\x84\x80\x00\xff\x2f\x00", ticks=1)
    begin = perf_counter()
    assert parse_midi(path).sum() == 2 * 2**16 * 88
    assert perf_counter() - begin < 20  # an hour, note by note
