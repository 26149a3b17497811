"""The notes in the bytes of a Standard MIDI File (MIDI 1.0, RP-001), and nothing else of it.

Texts, keys, time signatures, tempi and messages to devices are stepped over by their lengths, not
read: files are full of such events that break the rules, and no note depends on them.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# How many bytes follow a status byte; of system messages those that are not 0.
_CHANNEL_BYTES = {0x8: 2, 0x9: 2, 0xA: 2, 0xB: 2, 0xC: 1, 0xD: 1, 0xE: 2}
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
# Of events that are about the music and not for a device, those that always have as many.
_META_BYTES = {0x00: 2, 0x20: 1, 0x21: 1, 0x51: 3, 0x54: 5, 0x58: 4, 0x59: 2}
_SYSEX, _SYSEX_GOES_ON, _META, _END_OF_TRACK = 0xF0, 0xF7, 0xFF, 0x2F
_NOTE_OFF, _NOTE_ON = 0x8, 0x9
_LONGEST_NUMBER = 4  # bytes


class MidiFault(ValueError):
    """What breaks off the reading of a file or a track, in words."""


class Header(NamedTuple):
    """What a file says of itself.

    Attributes:
        kind: 0 for one track, 1 for several at once, 2 for several of their own.
        division: ticks in a quarter note; with the highest bit, parts of a second.
        tracks: its tracks.
    """

    kind: int
    division: int
    tracks: list["Track"]


class Track(NamedTuple):
    """The bytes of a track.

    Attributes:
        data: the bytes.
        size: how many the file says that there are.
    """

    data: bytes
    size: int


class Key(NamedTuple):
    """A key that goes down or up.

    Attributes:
        tick: when, counted from the beginning of the track.
        channel: from 0 to 15.
        pitch: from 0 to 127.
        down: whether it goes down.
    """

    tick: int
    channel: int
    pitch: int
    down: bool


def read_header(data: bytes | bytearray) -> Header:
    """Cut a file into its tracks.

    Chunks of other kinds between them are left out. Where a chunk's length leads into the middle of
    something, it goes on to the next track.

    Args:
        data: the file; it may be wrapped into RIFF.

    Returns:
        What it says of itself, and its tracks.

    Raises:
        MidiFault: it is no such file, or has no track.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[max(0, data.find(b"MThd")) :]
    if data[:4] != b"MThd" or len(data) < 14:
        raise MidiFault("it does not begin with a header MThd")
    kind, division = int.from_bytes(data[8:10], "big"), int.from_bytes(data[12:14], "big")
    begin, tracks = 0, []
    while len(data) - begin >= 8:
        name, size = data[begin : begin + 4], int.from_bytes(data[begin + 4 : begin + 8], "big")
        end = begin + 8 + size
        if end < len(data) and not re.fullmatch(rb"[ -~]{4}", data[end : end + 4]):
            end = data.find(b"MTrk", begin + 8)
            end = len(data) if end < 0 else end
        if name == b"MTrk":
            tracks.append(Track(bytes(data[begin + 8 : end]), size))
        begin = end
    if not tracks:
        raise MidiFault("it has no track MTrk")
    return Header(kind, division, tracks)


def read_keys(track: Track) -> Iterator[Key]:
    """The keys of a track, in their order.

    Args:
        track: the track. It may lack the event that ends it.

    Yields:
        A `Key` for each that goes down or up. The last one is `Key(tick, -1, -1, False)`, where the
        track ends.

    Raises:
        MidiFault: the track or an event is cut off, or what stands there is no event.
    """
    place = tick = status = 0
    data, promised = track

    def number() -> int:
        nonlocal place
        value = 0
        for byte in data[place : place + _LONGEST_NUMBER]:
            place += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise MidiFault(f"a number without an end at byte {place} of the track")

    while place < len(data):
        tick += number()
        begin = place
        kind = data[place] if place < len(data) else 0
        if kind >= 0x80:
            place += 1
        else:
            kind = status  # a running status: that of the event before
        if kind < 0x80:
            raise MidiFault(f"no event at byte {begin} of the track")
        if kind in (_META, _SYSEX, _SYSEX_GOES_ON):
            if kind == _META:
                if data[place : place + 1] == bytes([_END_OF_TRACK]):
                    break
                place += 1
            size = number()
            if place + size > len(data):  # a wrong length: there is but one for some events
                size = _META_BYTES.get(data[begin + 1] if kind == _META else -1, size)
        elif kind >= 0xF0:
            size = _SYSTEM_BYTES.get(kind, 0)
        else:
            status, size = kind, _CHANNEL_BYTES[kind >> 4]
        if place + size > len(data):
            raise MidiFault(f"an event at byte {begin} that goes on behind the track's end")
        if kind >> 4 in (_NOTE_OFF, _NOTE_ON):
            pitch, velocity = data[place], data[place + 1]
            yield Key(tick, kind & 0xF, pitch, kind >> 4 == _NOTE_ON and velocity > 0)
        place += size
    else:
        if len(data) < promised:
            raise MidiFault("no end: the file is cut off")
    yield Key(tick, -1, -1, False)
