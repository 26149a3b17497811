"""Parts of long sequences: each step once, parts in order, passes of one size and many orders."""

import keras
import numpy as np
import pytest

from kerasrnn.zoo.batches import EpochBatches
from kerasrnn.zoo.long_sequences import PieceBatches, StreamBatches, transposed
from kerasrnn.zoo.music_model import key_log_odds

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


def batches_of_a_pass(source, seed):
    return [source.batch(item) for item in source.order(seed)]


# === Pieces of music ===


def place_of(frame: np.ndarray) -> tuple[int, int]:
    return int(frame[:10].argmax()), int((frame[80:86] * 2 ** np.arange(6)).sum())


@pytest.mark.parametrize("seed", [None, [3, 0]])
def test_every_frame_is_foreseen_once_and_parts_follow_each_other(seed):
    source = PieceBatches(pieces(), 4, 8)
    seen, before = [], []
    batches = batches_of_a_pass(source, seed)
    for part, targets in batches:
        np.testing.assert_array_equal(targets, part["targets"])
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
    assert len(batches) == len(source)


def test_passes_have_as_many_batches_in_another_order():
    source = PieceBatches(pieces(), 4, 8)
    orders = [source.order([1, epoch]) for epoch in range(6)]
    assert {len(order) for order in orders} == {len(source)}
    groups = [[group.tolist() for group, *_ in order] for order in orders]
    assert groups[0] != groups[1]
    again = PieceBatches(pieces(), 4, 8).order([1, 5])
    assert [group.tolist() for group, *_ in again] == groups[5]


def test_the_dataset_is_that_of_the_epoch():
    source = PieceBatches(pieces(), 4, 8)
    batches = EpochBatches(source, 1)
    dataset = batches.dataset()
    assert int(dataset.cardinality()) == len(source)
    for epoch in (0, 1):
        batches.on_epoch_begin(epoch)
        found = list(dataset.as_numpy_iterator())
        for one, other in zip(found, batches_of_a_pass(source, [1, epoch]), strict=True):
            keras.tree.map_structure(np.testing.assert_array_equal, one, other)


def test_an_epoch_of_some_batches_begins_with_new_states():
    batches = EpochBatches(PieceBatches(pieces(), 4, 4), None, steps=2)
    starts = []
    for epoch in range(4):
        batches.on_epoch_begin(epoch)
        starts.append([bool(inputs["start"]) for inputs, _ in batches])
    assert [first for first, _ in starts] == [True] * 4
    assert not all(second for _, second in starts)


def test_weights_go_with_their_pieces():
    weights = np.arange(len(LENGTHS), dtype=np.float32)
    for part, _, found in batches_of_a_pass(PieceBatches(pieces(), 4, 8, 0, weights), [1, 0]):
        assert [place_of(row[0])[0] for row in part["rolls"]] == found.tolist()


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
    source = PieceBatches(rolls, 6, 8, transpose=5)
    shifts = []
    for epoch in (0, 1):
        [(part, _)] = batches_of_a_pass(source, [2, epoch])
        shifts.append(part["rolls"][:, 0].argmax(axis=1) - 40)
    assert np.abs(shifts).max() <= 5
    assert len(set(shifts[0])) > 1
    assert shifts[0].tolist() != shifts[1].tolist()
    for still, seed in ((PieceBatches(rolls, 6, 8), [2, 0]), (source, None)):
        [(part, _)] = batches_of_a_pass(still, seed)
        assert part["rolls"][:, 0].argmax(axis=1).tolist() == [40] * 6


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


# === A stream of ids ===


def test_rows_go_on_where_they_stood():
    source = StreamBatches(np.arange(104), 4, 6)
    batches = batches_of_a_pass(source, None)
    assert len(source) == len(batches) == 4
    assert [bool(x["start"]) for x, _ in batches] == [True, False, False, False]
    whole = np.concatenate([x["ids"] for x, _ in batches], axis=1)  # (rows, time)
    np.testing.assert_array_equal(whole, np.arange(96).reshape(4, 24))
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches], axis=1), whole + 1)


def test_where_rows_begin_follows_the_seed_and_the_pass():
    source = StreamBatches(np.arange(1000), 4, 10)

    def first(seed):
        inputs, _ = source.batch(source.order(seed)[0])
        return int(inputs["ids"][0, 0])

    assert first([1, 3]) == first([1, 3])
    begins = {first([1, number]) for number in range(60)}
    assert len(begins) > 15
    assert max(begins) <= 999 - 960  # nothing is read beyond the end
    assert first(None) == 0


def test_a_short_stream_makes_short_segments():
    [(inputs, targets)] = batches_of_a_pass(StreamBatches(np.arange(8), 32, 100), None)
    assert inputs["ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    assert targets.tolist() == [[1, 2, 3, 4, 5, 6, 7]]
