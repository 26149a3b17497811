"""The commands of the look inside: `python -m kerasrnn.lens COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from kerasrnn.command_line import Parser

# Each is a module of this package with a docstring, `add_arguments(parser)` and `run(arguments)`,
# which returns the exit code. None of them loads TensorFlow before it runs.
_COMMANDS = {"report": "reports", "lecture": "lecture"}


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands to a parser; which one is given is `command`.

    Args:
        parser: the parser.
    """
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", parser_class=Parser
    )
    for name, file in _COMMANDS.items():
        module = importlib.import_module(f"kerasrnn.lens.{file}")
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(command)
        command.set_defaults(run=module.run)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m kerasrnn.lens") -> int:
    """Run a command.

    Args:
        arguments: the words of the command line; None for those of the process.
        prog: what the command is called in its help.

    Returns:
        The exit code.
    """
    parser = Parser(prog=prog, description="Look inside a recurrent model.")
    add_commands(parser)
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.error(f"a command is needed: {', '.join(_COMMANDS)}")
    return parsed.run(parsed)


if __name__ == "__main__":
    sys.exit(main())
