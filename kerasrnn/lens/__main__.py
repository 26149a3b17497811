"""The commands of the look inside: `python -m kerasrnn.lens COMMAND`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

# Each is a module of this package with a docstring, `add_arguments(parser)` and `run(arguments)`,
# which returns the exit code. None of them loads TensorFlow before it runs.
_COMMANDS = {"report": "reports", "lecture": "lecture"}


def main(arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words of the command line; None for those of the process.
        prog: what the command is called in its help; None for `python -m kerasrnn.lens`.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(
        prog=prog or "python -m kerasrnn.lens", description="Look inside a recurrent model."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, file in _COMMANDS.items():
        module = importlib.import_module(f"kerasrnn.lens.{file}")
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed)


if __name__ == "__main__":
    sys.exit(main())
