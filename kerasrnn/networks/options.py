"""The arguments of constructors: what they may be, declared where they stand, and their record.

An option is declared once, in the signature of the class that uses it, and explained once, in the
docstring of that class:

    def __init__(self, size: int, *, units: Count = 100, dropout: Share = 0.0, **kwargs): ...

`Configured` checks what the constructor is given, and keeps it: for `get_config`, for presets, and
for the flags of the training scripts, which `options_of` lists.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import keras
import numpy as np

from kerasrnn.cells import CELLS
from kerasrnn.layers.parts import PARTS, LayerOfLayers, trainable_config

# What every Keras model takes. Name and precision belong to a use of a model, not to its options.
KERAS_ARGUMENTS = {"name": str, "dtype": str, "trainable": bool}

# === What an argument may be ===


@dataclass(frozen=True)
class Number:
    """Which numbers an argument may be.

    Attributes:
        words: how an error says it, such as `a positive integer`.
        holds: whether a finite number is one of them.
    """

    words: str
    holds: Callable[[float], bool]

    def check(self, name: str, value: Any, kind: type) -> None:
        """Raise a ValueError that names the argument unless the value is one of these numbers."""
        kinds = (int, np.integer) if kind is int else (int, float, np.number)
        good = isinstance(value, kinds) and not isinstance(value, bool)
        if not (good and math.isfinite(value) and self.holds(value)):
            raise ValueError(f"`{name}` must be {self.words}. Received: {value!r}")


@dataclass(frozen=True)
class OneOf:
    """Which names an argument may be.

    Attributes:
        choices: the names.
    """

    choices: tuple[str, ...]

    def check(self, name: str, value: Any, kind: type = str) -> None:
        """Raise a ValueError that names the valid choices unless the value is one of them."""
        if not isinstance(value, str) or value not in self.choices:
            raise ValueError(
                f"Unknown value for `{name}`: {value!r}. Expected one of {', '.join(self.choices)}."
            )


COUNT = Number("a positive integer", lambda number: number >= 1)
SHARE = Number("at least 0 and below 1", lambda number: 0 <= number < 1)
NOT_NEGATIVE = Number("at least 0", lambda number: number >= 0)

Count = Annotated[int, COUNT]
Share = Annotated[float, SHARE]
NotNegative = Annotated[float, NOT_NEGATIVE]
CellName = Annotated[str, OneOf(tuple(CELLS))]

# What networks hand on to their recurrent layers under the same names.
_RECURRENT = ("cell", "units", "depth", "bidirectional", "recurrent_dropout", "layer_dropout")

# A list of terms, such as words or labels: in a preset a text file of its own.
Terms = Annotated[Sequence[str], "terms"]


# === What a class declares ===


@dataclass(frozen=True)
class Option:
    """One argument of a constructor, as it is declared.

    Attributes:
        name: the argument.
        kind: `int`, `float`, `bool`, `str`, or `list` for terms.
        rule: which numbers or names are allowed; None for any.
        optional: whether it may be None.
        default: its default; `inspect.Parameter.empty` where it has none.
        owner: the class that declares and explains it.
    """

    name: str
    kind: type
    rule: Number | OneOf | None
    optional: bool
    default: Any
    owner: type

    def check(self, value: Any) -> None:
        """Raise a ValueError that names the argument unless it may have this value."""
        if value is None and self.optional:
            return
        if self.rule is not None:
            self.rule.check(self.name, value, self.kind)
        elif self.kind is bool and not isinstance(value, bool | np.bool_):
            raise ValueError(f"`{self.name}` must be true or false. Received: {value!r}")
        elif self.kind is str and not isinstance(value, str):
            raise ValueError(f"`{self.name}` must be a string. Received: {value!r}")

    @property
    def help(self) -> str:
        """What the docstring of the owner says of it, in one line."""
        return explanations(self.owner).get(self.name, "")


def options_of(class_: type) -> dict[str, Option]:
    """The arguments of a class's constructor, those that it hands on to its network among them.

    Args:
        class_: a network, a task, or another `Configured` class.

    Returns:
        The options by name, in the order of the signature.

    Example:

    >>> from kerasrnn.networks.options import options_of
    >>> from kerasrnn.zoo import SequenceTagger
    >>> option = options_of(SequenceTagger)["units"]
    >>> option.owner.__name__, option.kind.__name__, option.rule.words
    ('TaggerNetwork', 'int', 'a positive integer')
    """
    return dict(_options(class_))


@functools.cache
def _options(class_: type) -> Mapping[str, Option]:
    init: Any = class_.__init__  # type: ignore[misc]
    owner = next(base for base in class_.__mro__ if "__init__" in vars(base))
    declared = inspect.unwrap(init)
    hints = typing.get_type_hints(declared, include_extras=True)
    found, handed_on = {}, False
    for parameter in list(inspect.signature(declared).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            handed_on = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            hint = hints.get(parameter.name, Any)
            found[parameter.name] = _option(parameter, hint, owner)
    if handed_on:
        for name, option in _options_below(owner).items():
            found.setdefault(name, option)
    return types.MappingProxyType(found)


def _options_below(owner: Any) -> Mapping[str, Option]:
    """The options to which a constructor hands on what it does not name."""
    below: dict[str, Option] = {}
    for base in owner.__mro__[1:]:
        if issubclass(base, Configured) and "__init__" in vars(base):
            below |= _options(base)
            break
    network = vars(owner).get("network_class")
    if network is not None:
        own = inspect.signature(inspect.unwrap(network.__init__)).parameters
        below |= {
            name: option
            for name, option in _options(network).items()
            if name not in own or own[name].kind is inspect.Parameter.KEYWORD_ONLY
        }
    return below


def _option(parameter: inspect.Parameter, hint: Any, owner: type) -> Option:
    parts = [hint]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        parts = list(typing.get_args(hint))
    optional = type(None) in parts
    kept = [part for part in parts if part is not type(None)]
    kind, rule = kept[0], None
    if typing.get_origin(kind) is Annotated:
        kind, rule = typing.get_args(kind)[:2]
    if rule == "terms" or kind not in (int, float, bool, str):
        kind, rule = (list, None) if rule == "terms" else (object, None)
    return Option(parameter.name, kind, rule, optional, parameter.default, owner)


@functools.cache
def explanations(class_: type) -> Mapping[str, str]:
    """What the section `Args` of a class's docstring says of each argument, in one line each.

    Args:
        class_: the class.

    Returns:
        The texts by the names of the arguments.
    """
    text = inspect.getdoc(class_) or ""
    section = re.search(r"^Args:\n((?: +.*\n|\n)+)", text + "\n", re.MULTILINE)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else []:
        start = re.match(r" {4}(\*{0,2}\w+(?:, \w+)*): (.*)", line)
        if start:
            names = start[1].split(", ")
            found |= dict.fromkeys(names, start[2].strip())
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return types.MappingProxyType(found)


# === The record ===


class Configured(LayerOfLayers):
    """A layer of layers that knows the arguments it was made with.

    The constructor of a subclass gets checked values: what its signature annotates is looked at
    before it runs, and NumPy's numbers and collections of terms come as Python's own. `settings`
    has all of them, defaults included, from the constructor's first line on.

    A task with a `network_class` takes the keyword-only arguments of that class as its own, under
    `**kwargs`, and hands them on with `network_options`.
    """

    network_class: ClassVar[type[Configured]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Inside of what `LayerOfLayers` puts around it, which looks for itself in the class.
        if "__init__" in vars(cls):
            cls.__init__ = _recording(cls, vars(cls)["__init__"])  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The arguments that this was made with, by name, without lists of terms."""
        known = self.__dict__["_settings"]
        return types.MappingProxyType(
            {n: value for n, value in known.items() if not isinstance(value, list)}
        )

    @property
    def recurrent_options(self) -> dict[str, Any]:
        """What the arguments say of the recurrent layers, as `DeepRNN` takes it."""
        return {name: self.settings[name] for name in _RECURRENT if name in self.settings}

    @staticmethod
    def network_options(keywords: dict[str, Any]) -> dict[str, Any]:
        """Take the arguments of the network out of a constructor's keywords.

        Args:
            keywords: what the constructor got beside its own arguments. What is left in it are the
                arguments of every Keras model.

        Returns:
            The arguments of the network.
        """
        return {n: keywords.pop(n) for n in list(keywords) if n not in (*KERAS_ARGUMENTS, PARTS)}

    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, without those that every Keras model has.

        Returns:
            Plain numbers, strings, lists and None by name.
        """
        return dict(self.__dict__["_arguments"])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **self.arguments()}


class Network(Configured, keras.Model):
    """A network as a functional model: ids or numbers in, scores out, on any Keras backend.

    Keras makes a functional model of this class with the first that is built: a network with a
    `call` of its own must be a `Configured` and a `keras.Model` beside it.

    Args:
        **kwargs: `name`, `dtype` (a precision policy) and `trainable`, as for `keras.Model`.
    """

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        # Not those of a functional model, which has its layers in the configuration.
        dtype = self.__dict__["_dtype"]
        if isinstance(dtype, keras.DTypePolicy):
            dtype = keras.dtype_policies.serialize(dtype)
        given = {} if dtype is None else {"dtype": dtype}
        return {"name": self.name, **given, **trainable_config(self), **self.arguments()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Network:
        """A new network with the arguments of a configuration."""
        return cls(**config)


def _recording(class_: type[Configured], init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that checks its arguments and keeps them."""
    signature = inspect.signature(init)
    network = vars(class_).get("network_class")

    @functools.wraps(init)
    def construct(self: Any, *arguments: Any, **keywords: Any) -> None:
        options = options_of(class_)
        for name in keywords:
            if name not in options and name not in (*KERAS_ARGUMENTS, PARTS):
                raise ValueError(
                    f"{class_.__name__} has no argument {name!r}. "
                    f"Expected one of {', '.join(options)}."
                )
        bound = signature.bind(self, *arguments, **keywords)
        bound.apply_defaults()
        given = dict(_named(bound))
        if network is not None:
            below = options_of(network)
            given = {n: o.default for n, o in options.items() if below.get(n) == o} | given
        for name in given.keys() & options.keys():
            given[name] = _plain(options[name], given[name])
            options[name].check(given[name])
        own = {name: given[name] for name in options if name in given}
        # A class of the user's own hands on to one of these what it likes: its record is its own.
        self.__dict__.setdefault("_arguments", own)
        self.__dict__.setdefault("_dtype", given.get("dtype"))
        self.__dict__.setdefault("_settings", {}).update(own)
        init(self, **given)

    construct.__signature__ = _whole(signature, network)  # type: ignore[attr-defined]
    return construct


def _named(bound: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    for name, value in list(bound.arguments.items())[1:]:
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        else:
            yield name, value


def _whole(signature: inspect.Signature, network: type | None) -> inspect.Signature:
    """A signature with the arguments of the network among its own, for whoever reads it."""
    parameters = dict(signature.parameters)
    if network is None:
        return signature
    rest = parameters.popitem()[1]  # **kwargs
    for name, parameter in inspect.signature(network.__init__).parameters.items():  # type: ignore[misc]
        if parameter.kind is parameter.KEYWORD_ONLY:
            parameters.setdefault(name, parameter)
    return signature.replace(parameters=[*parameters.values(), rest])


def _plain(option: Option, value: Any) -> Any:
    """A value as Python has it, which a file can hold."""
    if isinstance(value, np.generic):
        return value.item()
    if option.kind is list and value is not None:
        return [term.item() if isinstance(term, np.generic) else term for term in value]
    return value
