"""How commands read their words: errors in a line, with what may have been meant."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a line, with the choices, and exits with status 2.

    Args:
        **kwargs: passed to `argparse.ArgumentParser`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").removesuffix(".")
        print(f"{self.prog}: {message}. See {self.prog} --help.", file=sys.stderr)
        raise SystemExit(2)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, others = self.parse_known_args(args, namespace)
        if others:
            name = others[0].partition("=")[0]
            parser = self._parser_of(found)
            if not name.startswith("-"):
                parser.error(f"unknown argument {name!r}")
            flags = [flag for flag in parser._option_string_actions if flag.startswith("--")]
            parser.error(f"Unknown flag {name!r}.{expected(name, flags)}")
        return found

    def _parser_of(self, found: argparse.Namespace) -> argparse.ArgumentParser:
        """That of the command which was given."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                return action.choices.get(getattr(found, action.dest, ""), self)
        return self

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = expected(str(value), map(str, action.choices))
            if isinstance(action, argparse._SubParsersAction):
                raise argparse.ArgumentError(None, f"Unknown command {value!r}.{choices}")
            raise argparse.ArgumentError(action, f"unknown {value!r}.{choices}")


def close_to(name: str, names: Iterable[str], show: Callable[[str], str] = str) -> str:
    """A question that names what somebody may have meant, with a space before it, or nothing.

    Args:
        name: what was given.
        names: what there is.
        show: how the name is written, `repr` for one in quotes.

    Example:

    >>> from kerasrnn.command_line import close_to
    >>> close_to("--unts", ["--units", "--data"])
    ' Did you mean --units?'
    """
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {show(close[0])}?" if close else ""


def expected(name: str, names: Iterable[str]) -> str:
    """The end of a message on a name that there is not: what may have been meant, and all there is.

    Args:
        name: what was given.
        names: what there is.

    Example:

    >>> from kerasrnn.command_line import expected
    >>> expected("gur", ["gru", "lstm"])
    " Did you mean 'gru'? Expected one of gru, lstm."
    """
    names = list(names)
    return f"{close_to(name, names, repr)} Expected one of {', '.join(names)}."
