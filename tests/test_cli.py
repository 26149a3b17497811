"""The command `kerasrnn`: what it prints, and how it ends."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kerasrnn.training import flag_table

from kerasrnn import cli

pytestmark = pytest.mark.tensorflow

CONLL = "Ada\tB-PER\nmet\tO\nBabbage\tB-PER\n\nIn\tO\nParis\tB-LOC\n\n" * 4


def run(capsys, *arguments):
    """Exit status, standard output and standard error."""
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = stop.code or 0
    seen = capsys.readouterr()
    return status, seen.out, seen.err


def without_tensorflow(*arguments):
    """What a fresh process prints that must not load TensorFlow, and the seconds of its own."""
    program = (
        "import sys, time; began = time.process_time()\n"
        "from kerasrnn.cli import main\n"
        "try: status = main(sys.argv[1:])\n"
        "except SystemExit as stop: status = stop.code\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'TensorFlow was loaded'\n"
        "print('seconds', time.process_time() - began, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout, float(done.stderr.rsplit("seconds", 1)[1])


@pytest.fixture
def stdin(monkeypatch):
    def put(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return put


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.conll"
    path.write_text(CONLL, encoding="utf-8")
    return path


# === Help ===


@pytest.mark.parametrize("script", [None, *flag_table.SCRIPTS])
def test_help_needs_no_tensorflow_and_comes_at_once(script):
    shown, seconds = without_tensorflow(*(["train", script] if script else []), "--help")
    assert "example" in shown and "kerasrnn " in shown
    assert seconds < 0.5


def test_the_help_of_a_script_is_what_it_reads(capsys):
    from kerasrnn.training import tagger

    _, early, _ = run(capsys, "train", "tagger", "--help")
    with pytest.raises(SystemExit):
        tagger.SCRIPT.main(["--help"], "kerasrnn train tagger")
    assert capsys.readouterr().out == early


def test_the_table_of_flags_is_that_of_the_scripts():
    assert flag_table.table() == flag_table.described()


def test_flags_stand_in_groups(capsys):
    _, shown, _ = run(capsys, "train", "classifier", "--help")
    places = [shown.index(f"\n{title}:") for title in flag_table.GROUPS.values()]
    assert places == sorted(places)


def test_without_arguments_help_is_shown(capsys):
    assert run(capsys)[0] == 2
    for command in ("train", "evaluate", "predict", "export", "presets"):
        status, shown, _ = run(capsys, command, "--help")
        assert status == 0 and "example:" in shown


# === Commands ===


def test_presets_are_listed_with_licence_size_and_figure(capsys):
    _, shown, _ = run(capsys, "presets", "--json")
    found = {row["name"]: row for row in json.loads(shown)}
    assert found["ner_en_wnut17"]["licence"] == "CC-BY-4.0"
    assert found["ner_en_wnut17"]["figure"].startswith("F1 52.0")
    assert all(0 < row["bytes"] < 9e6 for row in found.values())
    status, table, _ = run(capsys, "presets")
    assert status == 0 and "CC-BY-SA-4.0" in table and "words_en" in table
    _, card, _ = run(capsys, "presets", "words_en")
    assert card.startswith("# words_en")
    assert json.loads(run(capsys, "presets", "words_en", "--json")[1])["name"] == "words_en"


def test_a_card_and_a_list_need_no_tensorflow():
    assert "words_en" in without_tensorflow("presets")[0]
    assert "king" in without_tensorflow("predict", "words_en", "king")[0]


def test_predictions_are_for_people_or_for_programs(capsys, stdin, tmp_path):
    text = "I grew up in France."
    assert run(capsys, "predict", "ner_en_starter", text)[1] == "I grew up in [France LOC].\n"
    status, shown, _ = run(capsys, "predict", "ner_en_starter", text, "--json")
    (entity,) = json.loads(shown)["entities"]
    assert (entity["text"], entity["label"], entity["start"], entity["end"]) == (
        "France",
        "LOC",
        13,
        19,
    )
    file = tmp_path / "texts.txt"
    file.write_text(f"\ufeff{text}\n\n  {text} \n", encoding="utf-8")
    for arguments in (["--file", str(file)], ["--file", "-"], []):
        stdin(file.read_bytes())
        status, shown, _ = run(capsys, "predict", "ner_en_starter", *arguments, "--json")
        assert status == 0
        assert [json.loads(line)["text"] for line in shown.splitlines()] == [text] * 2


@pytest.mark.parametrize(
    ("preset", "text", "expected"),
    [
        ("language_id_cldr", "Südafrika", "Südafrika  → German"),
        ("date_en_iso", "5th of May 2026", "5th of May 2026  → 2026-05-05"),
        ("date_en_iso", "no date", "no date  → (no answer)"),
        ("slots_en_snips", "play some jazz", "→ PlayMusic"),
        ("pos_en_ewt", "Dogs bark", "[Dogs NOUN] [bark VERB]"),
        ("words_en", "king", "king  → prince 0.82"),
        ("music_jsb", "C4 E4 G4 C5 | 59 D4", "C4 E4 G4 C5 | 59 D4 | "),
    ],
)
def test_each_kind_of_preset_answers(capsys, preset, text, expected):
    status, shown, _ = run(capsys, "predict", preset, text)
    assert status == 0 and expected in shown


def test_a_language_model_goes_on(capsys):
    first = run(capsys, "predict", "char_lm_shakespeare", "ROMEO:", "--seed", "1")
    assert first[0] == 0 and first[1].startswith("ROMEO:") and len(first[1]) > 20
    assert run(capsys, "predict", "char_lm_shakespeare", "ROMEO:", "--seed", "1") == first


@pytest.mark.slow
def test_train_evaluate_predict_export_from_any_folder(capsys, monkeypatch, tmp_path, people):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    flags = ("--data", str(people), "--epochs", "1", "--units", "4", "--out", "run")
    status, shown, error = run(capsys, "train", "tagger", *flags)
    assert status == 0, error
    assert "\x1b" not in shown
    assert run(capsys, "predict", "run", "Ada met Babbage")[0] == 0
    _, figures, _ = run(capsys, "evaluate", "run", "--data", str(people), "--json")
    assert 0 <= json.loads(figures)["train"]["f1"] <= 1
    assert run(capsys, "export", "run", "serving/tagger", "--version", "3")[0] == 0
    assert (folder / "serving/tagger/3/saved_model.pb").is_file()
    status, _, error = run(capsys, "train", "tagger", *flags)
    assert status == 2 and error.startswith("kerasrnn train tagger: run holds a run already")


# === What goes wrong ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Unknown command 'trian'. Did you mean 'train'? Expected one of train, eval"),
        (["train", "tager"], "Did you mean 'tagger'?"),
        (["train", "tagger", "--epoch", "3"], "Unknown flag --epoch. Did you mean --epochs?"),
        (["train", "tagger", "--data", "/none.conll"], "/none.conll"),
        (["predict", "ner_en_wnut", "a"], "Did you mean 'ner_en_wnut17'?"),
        (["predict", "ner_en_starter", "a", "--jsn"], "Did you mean '--json'?"),
        (["predict", "music_jsb", "C4 H4"], "such as C4, F#4 or Bb3, or a number from 21 to 108."),
        (["predict", "music_jsb", "none.mid"], "none.mid: expected a file"),
        (["predict", "ner_en_starter", " "], "There is no text to read."),
        (["predict", "ner_en_starter", "--file", "/none.txt"], "/none.txt"),
        (["predict", "ner_en_starter", "--file", "/"], "must name a file"),
        (["predict", "ner_en_starter", "a", "--file", "b"], "cannot be given together"),
        (["predict", "words_en", "kingg"], "Did you mean 'king'"),
        (["predict", ""], "must not be empty"),
        (["predict", "../nowhere/", "a"], "There is no preset folder"),
        (["predict"], "required: PRESET|RUN."),
        (["lens", "reprt"], "Unknown command 'reprt'. Did you mean 'report'?"),
        (["lens", "report", "ner_en_starte"], "Did you mean 'ner_en_starter'?"),
        (["lens", "report", "ner_en_starter", "--otu", "x"], "Did you mean '--out'?"),
        (["export", "ner_en_starter", "x", "y"], "unknown argument 'y'"),
        (["--completion", "fish"], "Expected one of bash, zsh, tcsh."),
        (["evaluate", "ner_en_starter", "--data", "x.conll", "--cells"], "Unknown flag --cells"),
        (["export", "ner_en_starter", "x", "--version", "0"], "--version must be 1 or more"),
        (["presets", "words"], "Did you mean 'words_en'?"),
        (["--nosuch"], "Unknown flag '--nosuch'"),
    ],
)
def test_errors_are_a_line_with_the_choices_and_status_2(capsys, arguments, message):
    status, shown, error = run(capsys, *arguments)
    assert status == 2
    assert message in error
    assert error.count("\n") == 1 and "Traceback" not in error
    assert not shown


def test_a_run_that_has_no_model_yet(capsys, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for command in (["predict"], ["lens", "report"]):
        status, _, error = run(capsys, *command, str(tmp_path / "run"))
        assert status == 2 and "a run that has no model yet" in error


def test_an_answer_is_given_before_a_word_that_is_not_there(capsys):
    status, shown, error = run(capsys, "predict", "words_en", "king", "kingg", "--json")
    assert status == 2 and json.loads(shown)["text"] == "king" and "Did you mean 'king'" in error


@pytest.mark.slow
def test_models_run_on_tensorflow_whatever_is_configured():
    done = subprocess.run(
        [sys.executable, "-m", "kerasrnn.cli", "predict", "date_en_iso", "5th of May 2026"],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2026-05-05" in done.stdout


def test_an_encoding_that_lacks_what_is_printed():
    done = subprocess.run(
        [sys.executable, "-m", "kerasrnn.cli", "predict", "words_en", "king"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert done.returncode == 0 and done.stdout.startswith(rb"king  \u2192 prince")


def test_a_full_disk_is_a_line():
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kerasrnn.cli", "presets"], stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1 and done.stderr == b"kerasrnn: No space left on device.\n"


def test_no_text_at_all(capsys, stdin):
    stdin(b"\n  \n")
    assert run(capsys, "predict", "ner_en_starter")[2] == "kerasrnn: There is no text to read.\n"


def test_what_is_not_utf_8_is_refused_with_its_line(capsys, stdin, tmp_path):
    file = tmp_path / "latin.txt"
    file.write_bytes(b"one\ncaf\xe9\n")
    status, _, error = run(capsys, "predict", "words_en", "--file", str(file))
    assert status == 2 and "latin.txt, line 2: not UTF-8 (byte 0xe9 at 3)" in error


def test_a_preset_of_another_task_is_refused(capsys, people):
    status, _, error = run(
        capsys, "train", "classifier", "--preset", "ner_en_starter", "--data", "x.csv"
    )
    assert status == 2 and "SequenceTagger" in error


def test_a_pipe_that_closes_ends_the_command_quietly():
    text = "king\n" * 5000
    command = subprocess.Popen(
        [sys.executable, "-m", "kerasrnn.cli", "predict", "words_en", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert command.stdin and command.stdout and command.stderr
    command.stdin.write(text.encode())
    command.stdin.close()
    command.stdout.readline()
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait(60) == 1


def test_a_stream_is_answered_while_it_is_read(tmp_path):
    command = subprocess.Popen(
        [sys.executable, "-m", "kerasrnn.cli", "predict", "words_en", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert command.stdin and command.stdout
    command.stdin.write(b"king\n")
    command.stdin.flush()
    began = time.monotonic()
    assert json.loads(command.stdout.readline())["text"] == "king"
    assert time.monotonic() - began < 60
    command.stdin.close()
    assert command.wait(60) == 0


def test_no_colour_where_there_is_no_terminal(capsys, monkeypatch):
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb", "COLUMNS": "5"}, {}):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            shown = run(capsys, "predict", "ner_en_starter", "I grew up in France.")[1]
            assert shown == "I grew up in [France LOC].\n"


def test_completion_comes_from_a_library(capsys):
    pytest.importorskip("shtab")
    status, script, _ = run(capsys, "--completion", "bash")
    assert status == 0 and "--recurrent-dropout" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_command_of_the_package_is_this_one():
    from importlib.metadata import entry_points

    (command,) = entry_points(group="console_scripts", name="kerasrnn")
    assert command.load() is cli.main
    assert Path(cli.__file__).name == "cli.py"
