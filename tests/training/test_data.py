"""Errors of data name the flag, what was seen and what to do; what is held out."""

import os
import random
import re

import pytest

from training import classifier, encoder_decoder, language_model, music, tagger
from training.data import held_out, tenth_held_out
from training.flags import UsageError


@pytest.mark.parametrize(
    ("script", "flags", "content", "message"),
    [
        (classifier, ["--data", "a.csv"], "text;label\nx;y\n", "--data: a.csv, line 1: "),
        (classifier, ["--data", "a.csv"], "text;label\nx;y\n", "put commas in their place"),
        (classifier, ["--data", "a.tsv"], "id\tb\tc\nx\ty\tz\n", "with --text-column. Expected"),
        (classifier, ["--data", "a.tsv"], "text\tb\tc\nx\ty\tz\n", "named with --label-column."),
        (classifier, ["--data", "a.tsv", "--label-column", "d"], "text\tb\nx\ty\n", "--data: Unk"),
        (classifier, ["--data", "a.json"], '[{"text": "x"}]', "got JSON: "),
        (classifier, ["--data", "g.tsv", "--test", "a.csv"], "text;label\n", "--test: a.csv, line"),
        (tagger, ["--data", "a.conll"], "a O\nb FOO\nc B-PER\n", "--data: a.conll, line 2: "),
        (tagger, ["--data", "a.conll"], "a O\nb B-\n", "--data: a.conll, line 2: "),
        (tagger, ["--data", "a.conll", "--scheme", "BIO"], "a O\nb FOO\n", "a.conll, line 2: "),
        (tagger, ["--data", "a.jsonl"], '{"a": ["b"]}\n', "--data: a.jsonl, line 1: "),
        (encoder_decoder, ["--data", "a.tsv"], "Go.;Va !\n", "--data: a.tsv, line 1: "),
        (language_model, ["--data", "a.txt"], "PK\x03\x04", "--data: a.txt: expected a text file"),
        (music, ["--data", "a.json"], "[[[Infinity]]]", "--data: a.json: expected MIDI numbers"),
        (music, ["--data", "a.json"], "[" * 9999, "--data: a.json: expected JSON, got lists or ob"),
    ],
)
def test_the_flag_is_named(tmp_path, monkeypatch, capsys, script, flags, content, message):
    monkeypatch.chdir(tmp_path)
    for name in (name for name in flags if name.startswith("a.")):
        (tmp_path / name).write_text(content)
    (tmp_path / "g.tsv").write_text("text\tlabel\nx\ta\ny\tb\n")
    with pytest.raises(SystemExit) as caught:
        script.main([*flags, "--out", "run"])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(SystemExit):
        music.main(["--data", str(tmp_path / "pipe.mid"), "--out", str(tmp_path / "run")])
    assert "expected a file, got a pipe" in capsys.readouterr().err


def test_a_header_of_pairs_can_be_kept(tmp_path):
    from training.encoder_decoder import EncoderDecoderConfig, EncoderDecoderScript

    (tmp_path / "pairs.tsv").write_text("en\tfr\nGo.\tVa !\nHi.\tSalut.\n")
    path = str(tmp_path / "pairs.tsv")
    for header, count in ((True, 2), (False, 3)):
        config = EncoderDecoderConfig(data=path, validation=path, header=header)
        assert len(EncoderDecoderScript().load_data(config).train) == count


@pytest.mark.parametrize("flag", ["--target", "--test-target"])
def test_the_second_of_two_files_has_its_own_flag(tmp_path, monkeypatch, capsys, flag):
    monkeypatch.chdir(tmp_path)
    for name in ("a.en", "a.fr", "b.en", "b.fr"):
        (tmp_path / name).write_text("Go.\nHi.\nNo.\n")
    wrong = {"--target": "a.fr", "--test-target": "b.fr"}[flag]
    (tmp_path / wrong).write_text("Va !\n")
    flags = ["--data", "a.en", "--target", "a.fr", "--test", "b.en", "--test-target", "./b.fr"]
    with pytest.raises(SystemExit):
        encoder_decoder.main([*flags, "--out", "run"])
    error = capsys.readouterr().err
    assert re.search(rf" {flag}: (\./)?{re.escape(wrong)}: expected 3 lines", error)


# === What is held out ===


def test_what_is_held_out_is_always_the_same():
    rest, part = held_out(range(100), 0.1)
    assert len(part) == 10
    assert sorted([*rest, *part]) == list(range(100))
    assert held_out(range(100), 0.1) == (rest, part)
    assert part != list(range(90, 100))


def test_the_only_example_of_a_label_is_not_held_out():
    rows = [("common", i) for i in range(28)] + [("rare", 28), ("seldom", 29)]
    for order in range(20):
        shuffled = random.Random(order).sample(rows, len(rows))
        rest, part = tenth_held_out(shuffled, "a.tsv", "text", lambda row: [row[0]])
        assert len(part) == 3
        assert {name for name, _ in part} == {"common"}
        assert sorted([*rest, *part]) == sorted(rows)


def test_the_last_two_examples_of_a_label_are_not_both_held_out():
    rows = [(name, i) for i in range(2) for name in "abcdefghij"]  # 2 of 20 are held out
    for order in range(50):
        shuffled = random.Random(order).sample(rows, len(rows))
        rest, part = tenth_held_out(shuffled, "a.tsv", "text", lambda row: [row[0]])
        assert len(part) == 2
        assert {name for name, _ in rest} == set("abcdefghij")


def test_where_no_label_is_at_stake_the_tenth_is_the_one_of_old():
    rows = list(range(57))
    assert tenth_held_out(rows, "a.txt", "text", lambda row: [row % 2]) == held_out(rows, 0.1)


def test_where_nothing_can_be_held_out_it_is_trained_on_and_said(capsys):
    rows = ["a", "b", "c"]
    rest, part = tenth_held_out(rows, "a.tsv", "text", lambda row: [row])
    assert rest == rows
    assert len(part) == 1
    assert "every text is the only one with some label" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"a\.tsv has one text: nothing can be held out"):
        tenth_held_out(["a"], "a.tsv", "text", lambda row: [row])
