"""What README.md says is so: its Python runs, its commands and files exist."""

import dataclasses
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.S | re.M)


def code() -> str:
    """All Python of the page in one file that has the page's line numbers."""
    lines, inside = [], False
    for line in README.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            line = ""
        lines.append(line if inside else "")
    return "\n".join(lines)


@pytest.mark.slow
def test_the_python_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.conll").write_text(blocks("conll")[0], encoding="utf-8")
    assert len(blocks("python")) > 8
    names = {"__name__": "readme"}
    exec(compile(code(), str(ROOT / "README.md"), "exec"), names)
    # What the page claims in words or comments.
    answer = names["tagger"].predict(["I grew up in France."])
    assert f"# {answer}" in README
    assert names["report"].verified
    assert (tmp_path / "serving" / "tagger" / "1" / "saved_model.pb").is_file()
    shown = next(block for block in blocks("text") if block.startswith("# Serve it with Docker"))
    printed = capsys.readouterr().out.replace(str(tmp_path), "…")
    assert shown in printed


def test_the_two_commands_are_those_that_ci_runs():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (
        "pip install -e . && python -m training.tagger",
        "pip install -e '.[dev]' && pytest",
    ):
        assert f"{command}\n" in blocks("sh")
        assert f'readme_command "{command}"\n' in script


def test_every_flag_of_the_tagger_is_in_the_tables_and_no_other():
    from training.tagger import TaggerConfig

    section = README.split("## The training scripts")[1].split("Entities in English")[0]
    shown = set(re.findall(r"`(--[a-z-]+)`", section))
    fields = [f.name for f in dataclasses.fields(TaggerConfig) if "help" in f.metadata]
    flags = {"--" + name.replace("_", "-") for name in fields} | {"--config"}
    assert {flag for flag in shown if not flag.startswith("--no-")} == flags


def test_every_command_with_a_script_can_be_parsed():
    from training.flags import parse_config
    from training.make_preset import SCRIPTS, script_of
    from training.teacher import parser

    commands = re.findall(r"^python -m training\.(\w+)(.*)$", "".join(blocks("sh")), re.M)
    assert {name for name, _ in commands} == {*SCRIPTS.values(), "teacher"}
    for task, name in SCRIPTS.items():
        config_class = script_of(task).config_class
        for script, flags in commands:
            if script == name:
                parse_config(config_class, flags.split(), name=name, description="")
    for script, flags in commands:
        if script == "teacher":
            parser().parse_args(flags.split())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (ROOT / target).exists(), target


def test_every_file_that_contributing_names_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:kerasrnn|tests|training|zoo)/[\w./]*)`", text)
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).exists(), name


def test_every_extra_is_explained():
    from tests.test_house import setup

    explained = set(re.findall(r"`\.\[([\w-]+)\]`", README))
    assert explained >= set(setup()["options.extras_require"])
