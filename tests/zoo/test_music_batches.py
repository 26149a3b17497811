"""Batches of music: every frame once, parts in order, epochs alike in size and unlike in order."""

import numpy as np
import pytest

from kerasrnn.zoo.music_batches import MusicBatches, key_log_odds, parts_of, transposed

LENGTHS = (2, 5, 9, 10, 17, 17, 3, 33, 8, 21)


def pieces() -> list[np.ndarray]:
    """Pieces whose frames are numbered: frame t of piece i has key i, and t in binary above it."""
    rolls = []
    for number, length in enumerate(LENGTHS):
        roll = np.zeros((length, 88), np.uint8)
        roll[:, number] = 1
        roll[:, 80:86] = np.arange(length)[:, None] >> np.arange(6) & 1
        rolls.append(roll)
    return rolls


def place_of(frame: np.ndarray) -> tuple[int, int]:
    return int(frame[:10].argmax()), int((frame[80:86] * 2 ** np.arange(6)).sum())


@pytest.mark.parametrize("seed", [None, 3])
def test_every_frame_is_foreseen_once_and_parts_follow_each_other(seed):
    batches = MusicBatches(pieces(), 4, 8, seed)
    seen, before = [], []
    count = 0
    for part in batches:
        count += 1
        here = []
        for row in range(len(part["mask"])):
            for t in np.nonzero(part["mask"][row])[0]:
                piece, time = place_of(part["rolls"][row, t])
                assert place_of(part["targets"][row, t]) == (piece, time + 1)
                seen.append((piece, time))
                if t == 0:
                    here.append((piece, time))
        if part["start"]:
            assert all(time == 0 for _, time in here)
        else:  # the rows are those of the part before, as far as they last
            assert [piece for piece, _ in here] == [piece for piece, _ in before[: len(here)]]
            assert [t for _, t in here] == [t + 8 for _, t in before[: len(here)]]
        before = here
    assert sorted(seen) == [(i, t) for i, n in enumerate(LENGTHS) for t in range(n - 1)]
    assert count == len(batches)


def test_epochs_have_as_many_batches_in_another_order():
    batches = MusicBatches(pieces(), 4, 8, 1)
    counts, orders = set(), []
    for epoch in range(6):
        batches.epoch = epoch
        counts.add(sum(1 for _ in batches))
        orders.append([group.tolist() for group in batches.groups(epoch)])
    assert counts == {len(batches)}
    assert orders[0] != orders[1]
    again = MusicBatches(pieces(), 4, 8, 1)
    assert [group.tolist() for group in again.groups(5)] == orders[5]


def test_the_dataset_is_that_of_the_epoch():
    batches = MusicBatches(pieces(), 4, 8, 1)
    dataset = batches.dataset()
    assert int(dataset.cardinality()) == len(batches)
    for epoch in (0, 1):
        batches.on_epoch_begin(epoch)
        found = list(dataset.as_numpy_iterator())
        for one, other in zip(found, list(batches), strict=True):
            assert set(one) == {"rolls", "targets", "mask", "start"}
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_transposed_pieces_keep_their_notes_and_their_intervals():
    roll = np.zeros((2, 88), np.uint8)
    roll[0, [5, 50]] = roll[1, 60] = 1
    for semitones, expected in ((7, 7), (-3, -3), (-12, -5), (80, 27)):
        moved = transposed(roll, semitones)
        assert moved.sum() == roll.sum()
        assert np.nonzero(moved[0])[0].tolist() == [5 + expected, 50 + expected]
        assert np.nonzero(moved[1])[0].tolist() == [60 + expected]
    silence = np.zeros((3, 88), np.uint8)
    np.testing.assert_array_equal(transposed(silence, 5), silence)


def test_transposition_is_drawn_anew_for_each_epoch():
    rolls = [np.eye(88, dtype=np.uint8)[40:44]] * 6
    batches = MusicBatches(rolls, 6, 8, seed=2, transpose=5)
    shifts = []
    for epoch in (0, 1):
        batches.epoch = epoch
        (part,) = list(batches)
        shifts.append(part["rolls"][:, 0].argmax(axis=1) - 40)
    assert np.abs(shifts).max() <= 5
    assert len(set(shifts[0])) > 1
    assert shifts[0].tolist() != shifts[1].tolist()
    plain = MusicBatches(rolls, 6, 8, seed=2)
    assert next(iter(plain))["rolls"][:, 0].argmax(axis=1).tolist() == [40] * 6


def test_nothing_to_foresee_gives_no_parts():
    assert list(parts_of([np.zeros((1, 88))], 8)) == []


@pytest.mark.parametrize("transpose", [0, 2])
def test_log_odds_are_those_of_the_pieces_in_all_their_places(transpose, rng):
    rolls = [np.zeros((length, 88), np.uint8) for length in (6, 9)]
    for roll in rolls:  # far enough from both ends to be moved
        roll[:, 2:86] = rng.random((len(roll), 84)) < 0.2
    places = range(-transpose, transpose + 1)
    frames = np.concatenate([transposed(roll, place) for place in places for roll in rolls])
    sounding = frames.sum(axis=0) / len(places) + 1
    found = key_log_odds(rolls, transpose)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.log(sounding / (15 + 2 - sounding)), rtol=1e-5)
