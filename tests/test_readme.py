"""What README.md says is so: its Python runs, its commands and files exist."""

import re
import shlex

import pytest

from tests.pages import ROOT, Page
from tests.shell import check_command

pytestmark = pytest.mark.tensorflow

PAGES = {name: Page(ROOT / name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")}
README = PAGES["README.md"]


@pytest.mark.slow
def test_the_python_runs_from_top_to_bottom(tmp_path):
    assert README.of("python")
    README.run(tmp_path)


def test_the_two_commands_are_those_that_ci_runs():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (
        "pip install -e . && kerasrnn train tagger",
        "pip install -e '.[dev]' && pytest",
    ):
        assert f"{command}\n" in README.of("sh")
        assert f'readme_command "{command}"\n' in script


@pytest.mark.slow
def test_the_other_commands_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    from kerasrnn import cli

    README.write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(command) for command in README.commands()]
    commands = [words for words in commands if words[0] == "kerasrnn"]
    assert commands[0] == ["kerasrnn", "train", "tagger"]  # CI runs it
    for words in commands[1:]:
        assert cli.main(words[1:]) == 0, words
        assert capsys.readouterr().out, words
    for made in ("runs/people/preset", "serving/people/1/saved_model.pb", "report.html"):
        assert (tmp_path / made).exists()


@pytest.mark.parametrize("command", README.commands())
def test_every_command_makes_sense(command):
    check_command(command)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    PAGES[page].check_links()


def test_every_file_that_contributing_names_exists():
    named = re.findall(
        r"`((?:kerasrnn|tests|training|zoo)/[\w./]*)`", PAGES["CONTRIBUTING.md"].text
    )
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).exists(), name
