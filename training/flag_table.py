"""The flags of all scripts as `flags.json` has them: help without TensorFlow.

`python -m training.flag_table` writes the file anew; a test fails where the two part.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SCRIPTS = (
    *("tagger", "classifier", "language_model", "encoder_decoder"),
    *("music", "memory", "word_vectors"),
)
_FILE = Path(__file__).with_name("flags.json")

# The groups in which help shows flags, in this order.
GROUPS = {
    "data": "data",
    "training": "training",
    "model": "the network",
    "own": "what this model has besides",
    "words": "word vectors",
    "start": "starting from a preset",
    "run": "the run",
}


def groups(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """The groups of a parser, empty, by the keys of `GROUPS`."""
    return {key: parser.add_argument_group(title) for key, title in GROUPS.items()}


def add_flag(group: Any, entry: Mapping[str, Any], **options: Any) -> None:
    """Add a flag to a group of a parser.

    Args:
        group: one of `groups`.
        entry: `name`, with the hyphens in front; `help`; and `metavar`, None for a switch, which
            gets a `--no-` form.
        **options: what `add_argument` takes besides.
    """
    if entry["metavar"] is None:
        options["action"] = argparse.BooleanOptionalAction
    else:
        options["metavar"] = entry["metavar"]
    help_ = entry["help"].replace("%", "%%")
    group.add_argument(entry["name"], help=help_, **options)


@functools.cache
def table() -> dict[str, Any]:
    """What `flags.json` has: for each script `class`, `description`, `example` and `flags`."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def help_parser(script: str, prog: str) -> argparse.ArgumentParser:
    """A parser that knows a script's flags, to print their help.

    Args:
        script: one of `SCRIPTS`.
        prog: how the script is started.
    """
    described = table()[script]
    parser = argparse.ArgumentParser(
        prog=prog,
        usage="%(prog)s [flags]",
        description=described["description"],
        epilog=epilog(prog, described["example"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    grouped = groups(parser)
    for entry in described["flags"]:
        add_flag(grouped[entry["group"]], entry)
    return parser


def epilog(prog: str, example: str) -> str:
    """What stands below the flags."""
    return f"example:\n  {prog} {example}" if example else ""


def described() -> dict[str, Any]:
    """The table as the scripts have it."""
    from .flags import entries_of

    found = {}
    for name in SCRIPTS:
        script = importlib.import_module(f".{name}", __package__).SCRIPT
        found[name] = {
            "class": script.task_class.__name__,
            "description": script.description,
            "example": script.example,
            "flags": entries_of(script.config_class),
        }
    return found


if __name__ == "__main__":
    text = json.dumps(described(), ensure_ascii=False, indent=1)
    _FILE.write_text(text + "\n", encoding="utf-8")
    print(_FILE)
