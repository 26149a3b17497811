"""Commands that pages show: whether they make sense, without what they would take to run."""

import importlib.util
import re
import shlex

from tests.pages import ROOT

# Commands of `kerasrnn` that answer in seconds; tests/test_docs.py runs them.
QUICK = ("evaluate", "export", "predict", "presets", "lens")


def check_command(command: str) -> None:
    """Check that a program and its flags are there.

    Raises:
        AssertionError: something in it is unknown.
        SystemExit: a script does not know a flag.
    """
    words = shlex.split(command)
    if words[:2] == ["kerasrnn", "train"]:
        words = ["python", "-m", f"training.{words[2]}", *words[3:]]
    if words[:2] == ["python", "-m"]:
        package, _, name = words[2].partition(".")
        assert importlib.util.find_spec(words[2]) is not None, command
        if package == "training":
            _parse(name, words[3:])
    elif words[:2] == ["pip", "install"]:
        _check_installation(words[2:])
    elif words[0] == "kerasrnn":
        assert words[1] in QUICK, command
    else:
        assert words == ["pytest"], command


def _parse(name: str, flags: list[str]) -> None:
    from training.flags import parse_config
    from training.make_preset import SCRIPTS, script_of
    from training.teacher import parser

    if name == "teacher":
        parser().parse_args(flags)
        return
    [task] = [task for task, script in SCRIPTS.items() if script == name]
    parse_config(script_of(task).config_class, flags, name=name, description="")


def _check_installation(words: list[str]) -> None:
    from tests.test_house import setup

    extras = setup()["options.extras_require"]
    for before, word in zip(["", *words], words, strict=False):
        for group in re.findall(r"\[(.*)\]", word):
            assert set(group.split(",")) <= set(extras), word
        if before == "-r":
            assert (ROOT / word).is_file(), word
