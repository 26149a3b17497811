"""Arguments of the readers: numbers of NumPy are taken, what is none is refused by name."""

import numpy as np
import pytest

from kerasrnn.data import (
    TaggedSentence,
    bucketed_batches,
    check_labels,
    check_roll,
    check_scheme,
    check_tags,
    chords_of_roll,
    convert_scheme,
    infer_scheme,
    load_sentences,
    parse_aligned,
    parse_conll,
    parse_midi,
    parse_pairs,
    parse_table,
    roll_of_chords,
    to_dataset,
    to_text_dataset,
    write_midi,
)
from kerasrnn.embeddings import read_terms

SENTENCES = [TaggedSentence(["a"] * n, ["O"] * n) for n in (9, 1, 8, 2)]


def test_numbers_of_numpy_are_taken(tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Rome\tX\tB-LOC\n")
    assert parse_conll(path, tag_column=np.int64(1))[0].tags == ("X",)
    assert load_sentences(path, column=np.int8(-2))[0].tags == ("X",)
    batches = bucketed_batches(SENTENCES, np.int64(2), shuffle_seed=np.int64(3), epoch=np.int32(1))
    expected = bucketed_batches(SENTENCES, 2, shuffle_seed=3, epoch=1)
    assert [b["tags"].shape for b in batches] == [b["tags"].shape for b in expected]
    frames = [[np.int64(60), np.float32(62), 64.0], []]
    assert chords_of_roll(roll_of_chords(frames)) == [[60, 62, 64], []]
    pytest.importorskip("mido")
    write_midi(
        tmp_path / "a.mid",
        np.eye(88),
        frames_per_beat=np.int64(2),
        tempo=np.float32(120),
        velocity=np.int64(64),
        program=np.uint8(3),
    )
    assert parse_midi(tmp_path / "a.mid", frames_per_beat=np.int64(2)).shape == (88, 88)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parse_conll("a", token_column=np.float32(0)), "token_column must be a whole num"),
        (lambda: parse_conll("a", tag_column=None), "tag_column must be a whole number, got None"),
        (lambda: parse_conll("a", separator=3), "separator must be a string .*, got 3"),
        (lambda: load_sentences(__file__, column=1.0), "column of .* must be a number, .* got 1.0"),
        (
            lambda: parse_midi("a", frames_per_beat=2.5),
            "frames_per_beat must be a positive",
        ),
        (lambda: bucketed_batches(SENTENCES, 2, epoch=None), "epoch must be 0 or more, got None"),
        (lambda: bucketed_batches(SENTENCES, 2, shuffle_seed=1.5), "shuffle_seed must be a whole"),
        (lambda: bucketed_batches(SENTENCES, np.float32(2)), "batch_size must be a whole number"),
        (
            lambda: roll_of_chords([[None]]),
            "from 21 to 108. Received: None in frame 1",
        ),
        (lambda: roll_of_chords([[60.5]]), "Received: 60.5 in frame 1"),
        (lambda: roll_of_chords([[True]]), "Received: True in frame 1"),
        (lambda: write_midi("a.mid", None), "`roll` must be an array of numbers"),
        (lambda: write_midi("a.mid", [[0] * 88, [0]]), "`roll` must be an array of numbers"),
        (lambda: write_midi("a.mid", [["x"] * 88]), "`roll` must be an array of numbers"),
        (lambda: write_midi("a.mid", np.eye(88), tempo=None), "`tempo` must lie from 4 to 1000"),
        (
            lambda: write_midi("a.mid", np.eye(88), velocity=64.5),
            "`velocity` must lie from 1",
        ),
        (lambda: chords_of_roll(None), "`roll` must be an array of numbers"),
        (lambda: check_roll([[0] * 88, [0]]), r"A piano roll must be an array \(time, 88\)"),
        (lambda: check_scheme(["\ud800"], "BIO"), "tags must hold valid Unicode"),
    ],
)
def test_what_is_no_number_is_refused_by_name(tmp_path, monkeypatch, call, message):
    pytest.importorskip("mido")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parse_pairs(None), "path must be a path or a name, got None"),
        (lambda: parse_table(np.int64(1)), r"path must be a path or a name, got np.int64\(1\)"),
        (lambda: parse_aligned(0, "b"), "path must be a path or a name, got 0"),
        (lambda: read_terms(None), "source must be a path or a name, got None"),
        (lambda: to_dataset([None]), "sentences must hold TaggedSentence, got None .* position 0"),
        (lambda: to_text_dataset(["x"]), "texts must hold LabelledText, got 'x'"),
        (lambda: check_tags([None], ["O"]), "sentences must hold TaggedSentence, got None"),
        (lambda: check_labels("abc", ["a"]), "texts must be a sequence of LabelledText, got 'abc'"),
        (lambda: infer_scheme([None]), "the tags of a sentence must be a sequence of strings"),
        (lambda: infer_scheme([["O", None]]), "the tags of a sentence must hold strings, got None"),
        (lambda: check_scheme(None, "BIO"), "tags must be a sequence of strings, got None"),
        (
            lambda: convert_scheme([3], "BIO", "IO"),
            r"tags must hold strings, got 3 \(int\)",
        ),
        (lambda: roll_of_chords([None]), "`chords` must hold the pitches of each frame"),
    ],
)
def test_what_is_of_another_kind_is_refused_by_name(call, message):
    with pytest.raises(TypeError, match=message):
        call()
