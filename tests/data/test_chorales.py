"""Bach's chorales from music21, and the pieces made by rule."""

import itertools

import numpy as np
import pytest

from kerasrnn.data import chorales as module
from kerasrnn.data import chords_of_roll, parse_chorales, parse_counterpoint

RANGES = ((40, 62), (48, 67), (55, 72), (60, 79))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "kerasrnn"


# === Chorales ===


def test_chorales_have_four_voices_and_come_from_the_cache(cache, monkeypatch):
    pytest.importorskip("music21")
    first = parse_chorales("test", limit=2)
    assert len(first) == 2
    (file,) = cache.iterdir()
    assert file.suffix == ".npz"
    for roll in first:
        chords = chords_of_roll(roll)
        assert {len(chord) for chord in chords} <= {2, 3, 4}  # two voices may share a pitch
        assert np.mean([len(chord) for chord in chords]) > 3.5
        assert min(map(min, chords)) > 30 and max(map(max, chords)) < 90
        # In a key without signature, most notes are white keys.
        pitches = np.array([pitch % 12 for chord in chords for pitch in chord])
        assert np.isin(pitches, (0, 2, 4, 5, 7, 9, 11)).mean() > 0.8
    monkeypatch.setattr(module, "_read", None)  # nothing is read again
    for one, other in zip(first, parse_chorales("test", limit=2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_cache_is_made_again_and_keys_can_be_kept(cache):
    pytest.importorskip("music21")
    (kept,) = parse_chorales("validation", limit=1, transpose=False)
    (moved,) = parse_chorales("validation", limit=1)
    assert kept.shape == moved.shape
    shift = moved[0].argmax() - kept[0].argmax()
    assert -6 <= shift < 6
    np.testing.assert_array_equal(np.roll(kept, shift, axis=1), moved)
    for file in cache.iterdir():
        file.write_bytes(b"damaged")
    (again,) = parse_chorales("validation", limit=1)
    np.testing.assert_array_equal(again, moved)


def test_frames_are_parts_of_a_beat(cache):
    pytest.importorskip("music21")
    (coarse,) = parse_chorales("test", limit=1, frames_per_beat=1)
    (fine,) = parse_chorales("test", limit=1, frames_per_beat=4)
    assert len(fine) == 4 * len(coarse)
    # At the beginning of a beat a finer roll sounds as a coarser one, but for what is rounded.
    assert (fine[::4] == coarse).mean() > 0.98


def test_interludes_of_the_instruments_are_left_out():
    roll = np.zeros((14, 88), np.uint8)
    roll[[0, 2, 8, 10], [40, 41, 42, 43]] = 1
    short = module._without_interludes(roll, 2)
    assert [chord[0] - 61 if chord else None for chord in chords_of_roll(short)] == [
        *(0, None, 1, None, None, 2, None, 3)
    ]
    assert len(module._without_interludes(np.zeros((5, 88), np.uint8), 2)) == 0


def test_unknown_splits_are_named():
    for parse in (parse_chorales, parse_counterpoint):
        with pytest.raises(ValueError, match=r"Unknown split 'dev'. Expected one of"):
            parse("dev")


# === Made by rule ===


def test_pieces_made_by_rule_are_always_the_same_and_differ_between_splits():
    first, second = parse_counterpoint("test", pieces=3), parse_counterpoint("test", pieces=3)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    other = parse_counterpoint("validation", pieces=3)
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(first, other, strict=True))
    assert [len(parse_counterpoint(s)) for s in ("train", "validation", "test")] == [160, 20, 20]


def test_pieces_made_by_rule_keep_the_rules():
    scales = [{0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 11}]
    parallels = moves = 0
    for roll in parse_counterpoint("train", pieces=25):
        chords = chords_of_roll(roll)
        pitches = {pitch % 12 for chord in chords for pitch in chord}
        assert any(pitches <= scale for scale in scales)
        assert len(roll) % 16 == 0  # whole phrases of eight beats
        for chord in chords:
            assert len(chord) == 4
            for pitch, (low, high) in zip(chord, RANGES, strict=True):
                assert low <= pitch <= high
        for phrase in range(0, len(chords), 16):
            assert {pitch % 12 for pitch in chords[phrase + 12]} in ({0, 4, 7}, {0, 3, 7})
            assert chords[phrase + 12] == chords[phrase + 14]
        for here, after in itertools.pairwise(chords[::2]):
            for i, j in itertools.combinations(range(4), 2):
                moved = here[i] != after[i]
                moves += moved
                interval = (here[j] - here[i]) % 12
                parallels += moved and interval in (0, 7) and interval == (after[j] - after[i]) % 12
    assert parallels < 0.01 * moves


def test_frames_of_pieces_made_by_rule():
    (one,), (two,), (four,) = (parse_counterpoint(pieces=1, frames_per_beat=n) for n in (1, 2, 4))
    assert len(two) == 2 * len(one) and len(four) == 4 * len(one)
    np.testing.assert_array_equal(two[::2], one)
    np.testing.assert_array_equal(four[::2], two)
