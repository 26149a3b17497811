"""Flags of the training scripts: declared with what they may be, and checked at once."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn


class UsageError(ValueError):
    """A flag, or flags together, that make no sense. Scripts print it and exit with status 2."""


@dataclass(frozen=True)
class Range:
    """Which numbers a flag takes.

    Attributes:
        words: how an error says it, such as `at least 1`.
        holds: whether a number is one of them. No number that is not finite is.
    """

    words: str
    holds: Callable[[float], bool]


ANY = Range("finite", lambda number: True)
COUNT = Range("at least 1", lambda number: number >= 1)
NOT_NEGATIVE = Range("at least 0", lambda number: number >= 0)
POSITIVE = Range("above 0", lambda number: number > 0)
SHARE = Range("at least 0 and below 1", lambda number: 0 <= number < 1)
# Whole numbers are below, as sizes are for TensorFlow, and what generators of random numbers take.
_LARGEST = 2**31
SEED = Range("at least 0 and below 2³¹", lambda number: 0 <= number < _LARGEST)


def flag(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    within: Range | None = None,
    check: Callable[[str], Any] | None = None,
) -> Any:
    """A field of a configuration that becomes a flag of the command line.

    Args:
        default: the value where the flag is not given.
        help: what the flag means, in a few words.
        choices: the values allowed; none for any.
        within: the numbers allowed; every flag that is a number has some.
        check: called with a value; a ValueError says what is wrong with it.

    Returns:
        A dataclass field.
    """
    metadata = {"help": help, "choices": tuple(choices), "within": within, "check": check}
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(name: str) -> str:
    """A field of a configuration as it is written on the command line."""
    return "--" + name.replace("_", "-")


def flags_of(config_class: type[Any]) -> dict[str, dataclasses.Field]:
    """The fields of a configuration that are flags, by name."""
    return {f.name: f for f in dataclasses.fields(config_class) if "help" in f.metadata}


class FlagParser(argparse.ArgumentParser):
    """Reads a command line by the flags of a configuration. An error is a line, and status 2.

    Args:
        config_class: the configuration.
        **kwargs: passed to `argparse.ArgumentParser`.
    """

    def __init__(self, config_class: type[Any], **kwargs: Any) -> None:
        super().__init__(
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,  # so that what was not given is not there
            **kwargs,
        )
        self.names = ["--config"]
        self.add_argument(
            "--config",
            metavar="FILE",
            type=_not_empty,
            help="take settings from a run's or a preset's config.toml",
        )
        hints = typing.get_type_hints(config_class)
        for name, field in flags_of(config_class).items():
            self._add_flag(field, kind_of(hints[name]))

    def values(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """The flags that a command line gives, by field.

        Args:
            arguments: the command line without the program's name; None for that of the process.

        Raises:
            SystemExit: for `--help`, and for flags that are unknown or have a value of another
                kind.
        """
        known, others = self.parse_known_args(arguments)
        if others:
            name = others[0].partition("=")[0]
            if not name.startswith("-"):
                self.error(f"{name!r} belongs to no flag. {self._all_flags()}")
            self.error(f"Unknown flag {name}.{close_to(name, self.names)} {self._all_flags()}")
        return vars(known)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, without the usage of fifty flags, and exit with status 2."""
        message = re.sub(r"^argument (--[a-z-]+)[^:]*:", r"\1", message)
        print(f"{self.prog.removeprefix('python -m ')}: {message}", file=sys.stderr)
        raise SystemExit(2)

    def _all_flags(self) -> str:
        names = [name for name in self.names if not name.startswith("--no-")]
        return f"Expected one of {', '.join(sorted(names))}. --help explains them."

    def _add_flag(self, field: dataclasses.Field, kind: type) -> None:
        shown = field.metadata["help"]
        if field.default is not None and field.default is not False:
            shown += f" (default: {'yes' if field.default is True else field.default})"
        name = flag_name(field.name)
        self.names.append(name)
        options: dict[str, Any] = {"dest": field.name, "help": shown.replace("%", "%%")}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
            self.names.append("--no-" + name[2:])
        else:
            options["type"] = _reader(field, kind)
            choices = field.metadata["choices"]
            metavar = {int: "N", float: "X"}.get(kind, "VALUE")
            options["metavar"] = "{" + ",".join(choices) + "}" if choices else metavar
        self.add_argument(name, **options)


_EMPTY = "must not be empty. Leave it out for its default."


def _not_empty(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError(_EMPTY)
    return text


def _reader(field: dataclasses.Field, kind: type) -> Callable[[str], Any]:
    """What argparse calls with the text of a value."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = text  # which is of the wrong kind
        fault = _fault_of_kind(field, kind, value)
        if fault:
            raise argparse.ArgumentTypeError(fault)
        return value

    return read


def check_values(config_class: type[Any], values: Mapping[str, Any]) -> None:
    """Check all settings, wherever they come from.

    Args:
        config_class: the configuration.
        values: its values by field. None stands for what is not set.

    Raises:
        UsageError: for the first flag whose value is not allowed; what was expected is named.
    """
    hints = typing.get_type_hints(config_class)
    for name, field in flags_of(config_class).items():
        value = values.get(name)
        if value is None:
            continue
        fault = _fault_of_kind(field, kind_of(hints[name]), value)
        if fault:
            raise UsageError(f"{flag_name(name)} {fault}")
        if field.metadata["within"] is not None:
            check_range(name, value, field.metadata["within"])


def check_range(name: str, value: float, within: Range) -> None:
    """Raise a UsageError that names the flag unless a number is finite and within a range."""
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise UsageError(
            f"{flag_name(name)} must be below 2³¹, {within.words}. Received: {_shortened(value)}"
        )
    if not math.isfinite(value):
        raise UsageError(
            f"{flag_name(name)} must be a finite number, {within.words}. Received: {value}"
        )
    if not within.holds(value):
        raise UsageError(f"{flag_name(name)} must be {within.words}. Received: {value}")


def _shortened(number: int) -> str:
    """A number, of which Python does not print more than some thousand digits."""
    return str(number) if abs(number) < 10**30 else f"a number of {number.bit_length()} bits"


def check_names(config: Any) -> None:
    """Check the settings that name something which must be there.

    Args:
        config: the configuration.

    Raises:
        UsageError: for the first that names nothing.
    """
    for name, field in flags_of(type(config)).items():
        value, check = getattr(config, name), field.metadata["check"]
        if value is not None and check is not None:
            try:
                check(value)
            except ValueError as error:
                raise UsageError(f"{flag_name(name)}: {error}") from error


def kind_of(hint: Any) -> type:
    """The type of a flag's values, None left out."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next(kind for kind in kinds if kind is not type(None))


def _fault_of_kind(field: dataclasses.Field, kind: type, value: Any) -> str:
    """What is wrong with a value that is of another type or none of the choices; else nothing."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        within = field.metadata["within"]
        more = f", {within.words}" if within else ""
        return f"must be {names[kind]}{more}. Received: {value!r}"
    choices = field.metadata["choices"]
    if value == "" and not choices:  # as of a variable of the shell that is not set
        return _EMPTY
    if choices and value not in choices:
        close = close_to(str(value), choices)
        return f"must be one of {', '.join(choices)}.{close} Received: {value!r}"
    return ""


def close_to(name: str, names: Sequence[str]) -> str:
    """A question that names what somebody may have meant, with a space before it, or nothing."""
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]}?" if close else ""
