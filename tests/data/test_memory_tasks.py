"""The generated memory tasks, each against an oracle that shares no code with its generator."""

import itertools
import re

import numpy as np
import pytest

from kerasrnn.data import (
    DataError,
    MemoryExamples,
    adding,
    copy_memory,
    digit_rows,
    embedded_reber,
    fresh_batches,
    temporal_order,
)

MAKERS = {
    "adding": lambda count, seed: adding(count, length=30, seed=seed),
    "copy": lambda count, seed: copy_memory(count, blank=12, recalled=4, seed=seed),
    "order": lambda count, seed: temporal_order(count, seed=seed),
    "order_3": lambda count, seed: temporal_order(count, markers=3, length=30, seed=seed),
    "reber": lambda count, seed: embedded_reber(count, seed=seed),
}

# Reber's grammar as a regular expression, worked out from its diagram by hand. `tail` is what may
# follow the place where T T … V or X leads.
_TAIL = "(?:XT*VP)*(?:S|XT*VV)"
REBER = f"B(?:TS*X{_TAIL}|PT*V(?:V|P{_TAIL}))E"
EMBEDDED = re.compile(f"B(?:T{REBER}T|P{REBER}P)E")


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_seed_alone_decides(make):
    one, same, other = make(20, 3), make(20, 3), make(20, (3, 1))
    np.testing.assert_array_equal(one.inputs, same.inputs)
    np.testing.assert_array_equal(one.targets, same.targets)
    assert one.inputs.shape != other.inputs.shape or (one.inputs != other.inputs).any()
    assert len(one) == 20


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_datasets_hold_the_arrays(make):
    examples = make(10, 1)
    batches = list(examples.dataset(batch_size=4).as_numpy_iterator())
    assert [len(inputs) for inputs, _ in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), examples.inputs)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), examples.targets)
    singles = list(examples.dataset().as_numpy_iterator())
    assert len(singles) == 10
    np.testing.assert_array_equal(singles[3][1], examples.targets[3])


# === Adding ===


@pytest.mark.parametrize("markers", ["anywhere", "halves"])
@pytest.mark.parametrize("length", [2, 7, 60])
def test_the_target_is_the_sum_of_the_two_marked_numbers(markers, length):
    examples = adding(200, length=length, markers=markers, seed=2)
    assert examples.inputs.shape == (200, length, 2)
    assert examples.targets.shape == (200, 1)
    for steps, target in zip(examples.inputs.tolist(), examples.targets[:, 0], strict=True):
        marked = [number for number, marker in steps if marker == 1.0]
        assert len(marked) == 2
        assert all(marker in (0.0, 1.0) for _, marker in steps)
        assert all(0 <= number < 1 for number, _ in steps)
        assert sum(marked) == pytest.approx(target, abs=1e-6)


def test_where_the_markers_stand():
    def places(markers: str) -> np.ndarray:
        marks = adding(4000, length=8, markers=markers, seed=3).inputs[..., 1]
        return np.argwhere(marks == 1)[:, 1].reshape(-1, 2)

    halves = places("halves")
    assert (halves[:, 0] < 4).all()
    assert (halves[:, 1] >= 4).all()
    # Anywhere: all 28 pairs, each as often as any other (within 5 standard deviations).
    pairs, counts = np.unique(places("anywhere"), axis=0, return_counts=True)
    assert len(pairs) == 28
    assert (abs(counts - 4000 / 28) < 5 * (4000 / 28) ** 0.5).all()


def test_adding_refuses_what_it_cannot_make():
    with pytest.raises(ValueError, match="`length` must be an integer of at least 2"):
        adding(1, length=1)
    with pytest.raises(ValueError, match=r"Unknown `markers` 'ends'.*anywhere, halves"):
        adding(1, markers="ends")
    with pytest.raises(ValueError, match="`count`"):
        adding(0)


def test_the_mean_alone_has_the_error_that_the_docstring_names():
    targets = adding(20_000, length=2, seed=1).targets
    assert targets.mean() == pytest.approx(1, abs=0.01)
    assert ((targets - 1) ** 2).mean() == pytest.approx(1 / 6, abs=0.005)


# === Copying ===


def test_copy_is_laid_out_as_in_the_paper():
    """Bai et al.: length T + 20; 10 digits of 1 to 8, zeros, and from the delimiter on 11 nines."""
    examples = copy_memory(50, seed=4)
    assert examples.inputs.shape == examples.targets.shape == (50, 1020)
    for read, wanted in zip(examples.inputs.tolist(), examples.targets.tolist(), strict=True):
        assert set(read[:10]) <= set(range(1, 9))
        assert read[10:1009] == [0] * 999
        assert read[1009:] == [9] * 11
        assert wanted == [0] * 1010 + read[:10]
    assert set(examples.inputs[:, :10].flat) == set(range(1, 9))


@pytest.mark.parametrize(("blank", "recalled", "symbols"), [(1, 1, 1), (5, 3, 2), (9, 2, 20)])
def test_copy_of_other_sizes(blank, recalled, symbols):
    examples = copy_memory(30, blank=blank, recalled=recalled, symbols=symbols, seed=1)
    assert len(examples.symbols) == symbols + 2
    for read, wanted in zip(examples.inputs, examples.targets, strict=True):
        assert len(read) == blank + 2 * recalled
        kept = read[(read > 0) & (read <= symbols)]
        assert len(kept) == recalled
        assert (read == symbols + 1).sum() == recalled + 1
        assert wanted[wanted > 0].tolist() == kept.tolist()
        # One step passes between the first delimiter and the first symbol of the answer.
        assert np.argmax(read == symbols + 1) + 1 == np.argmax(wanted > 0)
    with pytest.raises(ValueError, match="`symbols`"):
        copy_memory(1, symbols=0)


# === Temporal order ===


@pytest.mark.parametrize("markers", [2, 3])
def test_the_label_is_the_order_that_the_text_shows(markers):
    """Hochreiter & Schmidhuber, tasks 6a and 6b: places counted from 1, both ends included."""
    examples = temporal_order(400, markers=markers, seed=5)
    windows = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}[markers]
    lengths = set()
    for row in range(len(examples)):
        text = examples.text(row)
        lengths.add(len(text))
        assert re.fullmatch("E[abcdXY]*B", text)
        order = re.sub("[^XY]", "", text)
        assert len(order) == markers
        assert examples.labels[examples.targets[row]] == order
        for match, (low, high) in zip(re.finditer("[XY]", text), windows, strict=True):
            assert low <= match.start() + 1 <= high
    assert lengths == set(range(100, 111))
    assert sorted(examples.labels) == sorted(map("".join, itertools.product("XY", repeat=markers)))
    assert set(examples.targets) == set(range(2**markers))
    assert examples.steps == sum(len(examples.text(row)) for row in range(len(examples)))


def test_temporal_order_refuses_what_it_cannot_make():
    with pytest.raises(ValueError, match="`markers` must be 2 or 3"):
        temporal_order(1, markers=4)
    with pytest.raises(ValueError, match="`length`"):
        temporal_order(1, length=10)


# === Embedded Reber grammar ===


def reachable(limit: int) -> set[str]:
    """All strings of the embedded grammar up to a length, found by trying and not by an automaton.

    Of all strings over the alphabet only those are tried whose middle has neither B nor E.
    """
    found = set()
    for length in range(9, limit + 1):
        for outer in "TP":
            for middle in itertools.product("TSXPV", repeat=length - 6):
                string = f"B{outer}B{''.join(middle)}E{outer}E"
                if EMBEDDED.fullmatch(string):
                    found.add(string)
    return found


def test_strings_are_of_the_grammar_and_none_is_missing():
    examples = embedded_reber(4000, seed=6)
    texts = [examples.text(row) for row in range(len(examples))]
    assert all(EMBEDDED.fullmatch(text) for text in texts)
    short = reachable(11)
    assert len(short) > 10
    assert {text for text in texts if len(text) <= 11} == short


def test_allowed_are_the_symbols_with_which_a_string_can_go_on():
    """After a prefix, a symbol is allowed if some string of the grammar goes on with it."""
    examples = embedded_reber(300, seed=7)
    strings = reachable(13)
    checked = 0
    for row in range(len(examples)):
        text = examples.text(row)
        for step in range(len(text) - 1):
            prefix = text[: step + 1]
            after = {s[step + 1] for s in strings if s.startswith(prefix) and len(s) > step + 1}
            allowed = examples.allowed[row, step]
            names = {name for name, may in zip(examples.symbols, allowed, strict=True) if may}
            # The strings tried are long enough to show each way to go on from so short a prefix.
            if len(prefix) <= 6:
                assert names == after, prefix
                checked += 1
            assert text[step + 1] in names
        assert not examples.allowed[row, len(text) - 1 :].any()
    assert checked > 1000


def test_the_target_is_the_next_symbol():
    examples = embedded_reber(50, seed=8)
    for row in range(50):
        text = examples.text(row)
        wanted = [examples.symbols[i] for i in examples.targets[row] if i >= 0]
        assert "".join(wanted) == text[1:]
        assert (examples.targets[row] == -1).sum() == examples.inputs.shape[1] - len(text) + 1


def test_both_choices_are_equally_likely():
    examples = embedded_reber(2000, seed=9)
    outer = [examples.text(row)[1] for row in range(2000)]
    assert 900 < outer.count("T") < 1100


def test_distinct_strings():
    examples = embedded_reber(200, distinct=True, seed=1)
    assert len({examples.text(row) for row in range(200)}) == 200


# === Rows of pixels ===


def test_digits_are_those_of_scikit_learn_each_once():
    datasets = pytest.importorskip("sklearn.datasets")
    pictures, targets = datasets.load_digits(return_X_y=True)
    known = sorted((*row, target) for row, target in zip(pictures, targets, strict=True))
    parts = [digit_rows(split=split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [1437, 180, 180]
    rows = np.concatenate([part.inputs.reshape(len(part), 64) * 16 for part in parts])
    labels = np.concatenate([part.targets for part in parts])
    found = sorted((*row, target) for row, target in zip(rows, labels, strict=True))
    np.testing.assert_allclose(found, known)
    pixels = digit_rows(pixel_by_pixel=True, split="test")
    assert pixels.inputs.shape == (180, 64, 1)
    np.testing.assert_array_equal(pixels.inputs.reshape(180, 8, 8), parts[2].inputs)
    with pytest.raises(ValueError, match=r"Unknown `split` 'dev'.*train, validation, test"):
        digit_rows(split="dev")


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"kerasrnn\[training\]"):
        digit_rows()


# === Without end ===


def test_fresh_batches_depend_on_seed_and_epoch_alone():
    def take(epoch: int, count: int, seed: int = 1) -> list:
        make = MAKERS["adding"]
        dataset = fresh_batches(make, 4, steps=3, seed=seed, epoch=epoch)
        return list(dataset.take(count).as_numpy_iterator())

    unbroken, resumed = take(0, 9), take(2, 3)
    for (x, y), (again_x, again_y) in zip(unbroken[6:], resumed, strict=True):
        np.testing.assert_array_equal(x, again_x)
        np.testing.assert_array_equal(y, again_y)
    numbers = np.concatenate([x for x, _ in unbroken])
    assert len(np.unique(numbers[:, 0, 0])) == len(numbers)  # none comes again
    assert (take(0, 1, seed=2)[0][0] != unbroken[0][0]).any()
    with pytest.raises(ValueError, match="`steps`"):
        fresh_batches(MAKERS["adding"], 4, steps=0)


# === Files ===


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_saved_and_loaded(make, tmp_path):
    examples = make(5, 1)
    examples.save(tmp_path / "examples.npz")
    loaded = MemoryExamples.load(tmp_path / "examples.npz")
    for name in ("inputs", "targets"):
        before, after = getattr(examples, name), getattr(loaded, name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)
    assert (loaded.symbols, loaded.labels) == (examples.symbols, examples.labels)
    assert (loaded.allowed is None) == (examples.allowed is None)
    if examples.allowed is not None:
        np.testing.assert_array_equal(loaded.allowed, examples.allowed)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": np.zeros(2)}, "expected the arrays inputs and targets"),
        ({"inputs": np.zeros(2), "targets": np.zeros(3)}, "as many targets as inputs"),
        ({"inputs": np.array(["a"]), "targets": np.zeros(1)}, "expected numbers in inputs"),
        ({"inputs": np.zeros(1), "targets": np.zeros(1), "x": np.zeros(1)}, "got inputs, targets"),
        ({"inputs": np.array([{}], object), "targets": np.zeros(1)}, "expected a NumPy archive"),
    ],
)
def test_a_file_that_does_not_fit_says_why(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message):
        MemoryExamples.load(tmp_path / "bad.npz")


def test_no_file_and_no_archive(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.npz: expected a NumPy archive .npz, got none"):
        MemoryExamples.load(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match="expected a NumPy archive"):
        MemoryExamples.load(tmp_path / "text.npz")


def test_a_text_is_of_symbols():
    with pytest.raises(ValueError, match="only symbols have a text"):
        adding(1, length=5).text(0)
