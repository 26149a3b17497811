"""Errors of data name the flag, what was seen and what to do."""

import os
import re

import pytest

from training import classifier, encoder_decoder, language_model, music, tagger


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
