"""Flags of the training scripts: what they may be, whence they come, and what of them is kept.

A script declares flags of data and training, as fields of a dataclass. Those of the model are the
options of its class (`kerasrnn.networks.options`), under the same names and with the same rules:
`with_options_of` adds them.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.util
import inspect
import math
import re
import sys
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from kerasrnn.command_line import close_to
from kerasrnn.networks import options
from kerasrnn.networks.options import SHARE, Number, OneOf, Option, options_of

from .flag_table import add_flag, epilog, groups


class UsageError(ValueError):
    """A flag, or flags together, that make no sense. Scripts print it and exit with status 2."""


# In the words that go behind "a whole number".
COUNT = Number("at least 1", options.COUNT.holds)
POSITIVE = Number("above 0", lambda number: number > 0)
# Whole numbers are below, as sizes are for TensorFlow, and what generators of random numbers take.
_LARGEST = 2**31
SEED = Number("at least 0 and below 2³¹", lambda number: 0 <= number < _LARGEST)

# Flags that say where a run lies or how it is started, not what it computes.
_NOT_PART_OF_A_RUN = ("out", "resume", "evaluate_only", "tensorboard", "given")

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


# === Declaring ===


def flag(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    within: Number | None = None,
    check: Callable[[str], Any] | None = None,
    of_new_models: bool = False,
    shown: Any = None,
    group: str = "",
) -> Any:
    """A field of a configuration that becomes a flag of the command line.

    Args:
        default: the value where the flag is not given.
        help: what the flag means, in a few words.
        choices: the values allowed; none for any.
        within: the numbers allowed; every flag that is a number has some.
        check: called with a value; a ValueError says what is wrong with it.
        of_new_models: whether it makes no sense with `--preset`, which brings its own.
        shown: the default as `--help` has it, if it is not `default`.
        group: where help shows it, one of `flag_table.GROUPS`; by default with the options of the
            model, or where the class that declares it says in its `group`.

    Returns:
        A dataclass field.
    """
    metadata = {
        "help": help,
        "choices": tuple(choices),
        "within": within,
        "check": check,
        "of_new_models": of_new_models,
        "shown": default if shown is None else shown,
        "group": group,
    }
    return dataclasses.field(default=default, metadata=metadata)


Declared = TypeVar("Declared", bound=type)


def with_options_of(
    task_class: type, by_data: Collection[str] = ()
) -> Callable[[Declared], Declared]:
    """Gives a configuration a flag for each option of a model. It stands below `@dataclass`.

    A flag that is not given is None. A field of the same name that the configuration has itself
    takes the place of the flag, and is an option of the model all the same.

    Args:
        task_class: the class of the model.
        by_data: the options for which the script has defaults of its own; see
            `TrainingConfig.with_defaults`.

    Returns:
        A decorator.

    Example:

    >>> from dataclasses import dataclass
    >>> from kerasrnn.zoo import SequenceTagger
    >>> from training.flags import TrainingConfig, with_options_of
    >>> @dataclass
    ... @with_options_of(SequenceTagger)
    ... class Config(TrainingConfig):
    ...     pass
    >>> Config(units=7).options
    {'units': 7}
    """

    def extend(config_class: Declared) -> Declared:
        found = {n: o for n, o in options_of(task_class).items() if _is_flag(o)}
        for name, option in found.items():
            if not hasattr(config_class, name):
                config_class.__annotations__[name] = option.kind | None
                setattr(config_class, name, _flag_of(option, name in by_data))
        config_class.of_model = types.MappingProxyType(found)  # type: ignore[attr-defined]
        heads = [head.arguments for head in getattr(task_class, "heads", ()) if head.terms]
        config_class.head_options = frozenset(sum(heads, ()))  # type: ignore[attr-defined]
        config_class.by_data |= frozenset(by_data)  # type: ignore[attr-defined]
        return config_class

    return extend


def _is_flag(option: Option) -> bool:
    return option.kind in (int, float, bool, str) and option.default is not inspect.Parameter.empty


def _flag_of(option: Option, by_data: bool) -> Any:
    """The flag of an option: its rule, and what its class says of it, the first sentence."""
    rule = option.rule
    check = None
    if rule is not None and not isinstance(rule, Number | OneOf):
        check = option.check  # a rule of the class's own
    return flag(
        None,
        re.split(r"[.;:] ", option.help.replace("`", ""), maxsplit=1)[0].rstrip("."),
        choices=rule.choices if isinstance(rule, OneOf) else (),
        within=COUNT if rule is options.COUNT else rule if isinstance(rule, Number) else None,
        check=check,
        # A number that is no size, such as a dropout, means the same to any weights.
        of_new_models=option.kind is not float,
        shown="by the data" if by_data else option.default,
    )


def flag_name(name: str) -> str:
    """A field of a configuration as it is written on the command line."""
    return "--" + name.replace("_", "-")


def flags_of(config_class: type[Any]) -> dict[str, dataclasses.Field]:
    """The fields of a configuration that are flags, by name."""
    return {f.name: f for f in dataclasses.fields(config_class) if "help" in f.metadata}


def _group_of(config_class: type[Any], field: dataclasses.Field) -> str:
    if field.metadata["group"]:
        return field.metadata["group"]
    if field.name in config_class.of_model:
        return "model"
    declaring = next(c for c in config_class.__mro__ if field.name in inspect.get_annotations(c))
    return vars(declaring).get("group", "own")


def entries_of(config_class: type[Any]) -> list[dict[str, Any]]:
    """The flags of a configuration as help shows them; see `flag_table.add_flag`."""
    entries: list[dict[str, Any]] = [
        {
            "name": "--config",
            "metavar": "FILE",
            "help": "take settings from a run's or a preset's config.toml",
            "group": "start",
        }
    ]
    hints = typing.get_type_hints(config_class)
    for name, field in flags_of(config_class).items():
        kind, shown = kind_of(hints[name]), field.metadata["help"]
        default, choices = field.metadata["shown"], field.metadata["choices"]
        if default is not None and default is not False:
            shown += f" (default: {'yes' if default is True else default})"
        metavar = {int: "N", float: "X", bool: None}.get(kind, "VALUE")
        entries.append(
            {
                "name": flag_name(name),
                "metavar": "{" + ",".join(choices) + "}" if choices else metavar,
                "help": shown,
                "group": _group_of(config_class, field),
            }
        )
    return entries


@dataclass
class TrainingConfig:
    """The flags that all scripts have. A script adds its own, and those of its model."""

    # Where help shows the flags that the class declares.
    group: ClassVar[str] = "training"

    data: str | None = flag(None, "training data: a file, tfds:NAME or builtin:NAME", group="data")
    validation: str | None = flag(
        None, "validation data; a part of the training data by default", group="data"
    )
    test: str | None = flag(None, "test data, measured once at the end", group="data")
    epochs: int | None = flag(
        None, "passes over the training data; by the size of the data", within=COUNT
    )
    batch_size: int | None = flag(
        None, "examples in a batch; by the size of the data", within=COUNT
    )
    learning_rate: float | None = flag(
        None, "Adam's largest step; by the size of the data", within=POSITIVE
    )
    seed: int = flag(1, "decides initial weights, dropout and the order of the data", within=SEED)
    average_weights: float = flag(
        0.0,
        "measure and keep running means of the weights, with this decay, such as 0.999",
        within=SHARE,
    )
    precision: str = flag(
        "float32", "the numbers to calculate with; weights are float32", choices=PRECISIONS
    )
    patience: int | None = flag(
        None, "stop after as many epochs without a better figure", within=COUNT
    )
    preset: str | None = flag(
        None, "start from a preset: a name, a folder, hf://owner/name", group="start"
    )
    evaluate_only: bool = flag(
        False,
        "measure --preset on all of what --data, --validation and --test name, and stop",
        group="start",
    )
    lens: bool = flag(
        False,
        "measure how far back the gradient reaches as the model learns: into history.csv and "
        "plots/gradient_flow.png",
        group="run",
    )
    tensorboard: bool = flag(
        False, "write the run for TensorBoard, too: into tensorboard/", group="run"
    )
    out: str | None = flag(None, "the run's folder; a new one under runs/ by default", group="run")
    resume: bool = flag(False, "go on from the last checkpoint in --out", group="run")

    # The names of the flags that the command line gave.
    given: frozenset[str] = frozenset()

    # The options of the model that are flags, and those for which the data decides.
    of_model: ClassVar[Mapping[str, Option]] = {}
    by_data: ClassVar[frozenset[str]] = frozenset()
    # Those that belong to a head with labels, and can be set for a new one.
    head_options: ClassVar[frozenset[str]] = frozenset()

    def check(self) -> None:
        """Raise a UsageError for flags that make no sense together."""
        if self.evaluate_only and not self.preset:
            raise UsageError("--evaluate-only needs --preset, the preset to measure.")
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise UsageError(
                "--tensorboard needs the package tensorboard: pip install 'kerasrnn[tensorboard]'."
            )
        for name, field in flags_of(type(self)).items():
            free = not field.metadata["of_new_models"] or name in self.allowed_with_preset
            if self.preset and name in self.given and not free:
                raise UsageError(
                    f"--preset brings its own network: {flag_name(name)} cannot be set."
                )

    @property
    def allowed_with_preset(self) -> frozenset[str]:
        """The options of new models that can be set for a preset, too."""
        return frozenset()

    @property
    def options(self) -> dict[str, Any]:
        """The options of the model that are set, by name."""
        values = {name: getattr(self, name) for name in self.of_model}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def overrides(self) -> dict[str, Any]:
        """The options that are set and may replace those of a preset."""
        flags = flags_of(type(self))
        return {n: v for n, v in self.options.items() if not flags[n].metadata["of_new_models"]}

    def option(self, name: str) -> Any:
        """The value of one option of the model: its own default where it is not set."""
        return given(getattr(self, name), self.of_model[name].default)

    def with_defaults(self, **defaults: Any) -> Self:
        """Fill in what is not set.

        Args:
            **defaults: values by flag. Options of the model are left out where `--preset` brings
                them.
        """
        for name in defaults:
            if name in self.of_model and name not in self.by_data:
                raise ValueError(f"{type(self).__name__}: `by_data` lacks {name!r}.")
        kept = {
            name: value
            for name, value in defaults.items()
            if getattr(self, name) is None and not (self.preset and name in self.of_model)
        }
        return dataclasses.replace(self, **kept)

    def of_preset(self, settings: Mapping[str, Any]) -> Self:
        """With the options as the model of a preset has them: what its data is read with."""
        return self.with_settings(settings)

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """With the options as a model has them: what a run writes down."""
        # What is None there may be set here: 0, where the script means by it not to have any.
        found = {name: given(settings[name], getattr(self, name)) for name in self.of_model}
        return dataclasses.replace(self, **found)


Config = TypeVar("Config", bound=TrainingConfig)
Value = TypeVar("Value")


def given(value: Value | None, otherwise: Value) -> Value:
    """A setting, or its default where it is not set. 0 is a value as others are."""
    return otherwise if value is None else value


def filled(value: Value | None) -> Value:
    """A setting that `with_defaults` of a script has filled in."""
    if value is None:
        raise ValueError("The settings have gaps; see `Script.with_defaults`.")
    return value


# === Parsing ===


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
        self.names: list[str] = []
        grouped = groups(self)
        fields, hints = flags_of(config_class), typing.get_type_hints(config_class)
        for entry in entries_of(config_class):
            name = entry["name"][2:].replace("-", "_")
            options: dict[str, Any] = {"dest": name}
            self.names.append(entry["name"])
            if entry["metavar"] is None:
                self.names.append("--no-" + entry["name"][2:])
            elif name in fields:
                options["type"] = _reader(fields[name], kind_of(hints[name]))
            else:
                options["type"] = _not_empty
            add_flag(grouped[entry["group"]], entry, **options)

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


def parse_config(
    config_class: type[Config],
    arguments: Sequence[str] | None,
    *,
    name: str,
    description: str,
    example: str = "",
    command: str | None = None,
) -> Config:
    """Read the command line. Values come from flags, then `--config FILE`, then the defaults.

    With `--resume`, they come from the run's own `config.toml`, and a flag that says otherwise
    is an error: the run would not end as an unbroken one.

    Args:
        config_class: a subclass of `TrainingConfig`.
        arguments: the command line without the program's name; None for that of the process.
        name: the script's name, which is also that of its folder under `runs/`.
        description: a sentence for `--help`.
        example: flags that help shows as an example.
        command: how the script was started; None for `python -m training.NAME`.

    Returns:
        The configuration, with `out` set.

    Raises:
        UsageError: if flags contradict each other, have a value that makes no sense, or a file of
            settings is not valid.
        SystemExit: for `--help` and for flags that are unknown or have a wrong value.
    """
    command = command or f"python -m training.{name}"
    parser = FlagParser(
        config_class,
        prog=command,
        usage="%(prog)s [flags]",
        description=description,
        epilog=epilog(command, example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fields = flags_of(config_class)
    explicit = parser.values(arguments)
    file = explicit.pop("config", None)

    values: dict[str, Any] = {field.name: field.default for field in fields.values()}
    if explicit.get("resume"):
        if file or not explicit.get("out"):
            raise UsageError("--resume needs --out, the run's folder, and takes no --config.")
        recorded = _read_settings(Path(explicit["out"]) / "config.toml", fields)
        for key, value in explicit.items():
            if key not in _NOT_PART_OF_A_RUN and value != recorded.get(key, values[key]):
                raise UsageError(
                    f"--resume goes on with the settings of the run: {flag_name(key)} is "
                    f"{recorded.get(key, values[key])!r} there and {value!r} here."
                )
        values.update(recorded)
    elif file:
        values.update(_read_settings(Path(file), fields))
    values.update(explicit)
    check_values(config_class, values)
    config = config_class(**values, given=frozenset(explicit))
    config.check()
    check_names(config)
    if config.out is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        config.out = str(Path("runs") / name / stamp)
    return config


def _read_settings(path: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"There is no {path}.")
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8")).get("training", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{path}: [training] must be a table. Received: {settings!r}")
    for key in settings:
        if key not in fields:
            raise UsageError(
                f"{path}: unknown setting {key!r} in [training]. "
                f"Expected one of {', '.join(sorted(fields))}."
            )
    return {key: value for key, value in settings.items() if key not in _NOT_PART_OF_A_RUN}


def settings_of(config: TrainingConfig) -> dict[str, Any]:
    """A configuration as a table of TOML: no None, and nothing of where the run lies."""
    settings = dataclasses.asdict(config)
    return {
        key: value
        for key, value in settings.items()
        if value is not None and key not in _NOT_PART_OF_A_RUN
    }


# === Checking ===


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


def check_range(name: str, value: float, within: Number) -> None:
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
