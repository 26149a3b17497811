"""What README.md says is so: its Python runs, its commands and files exist."""

import re

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
        "pip install -e . && python -m training.tagger",
        "pip install -e '.[dev]' && pytest",
    ):
        assert f"{command}\n" in README.of("sh")
        assert f'readme_command "{command}"\n' in script


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
