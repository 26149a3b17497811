"""Constructors that name their own arguments only and take those of what they are built on too."""

import functools
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any


def arguments_of(function: Callable) -> dict[str, Parameter]:
    """The parameters of a method that a caller can name, without `self`."""
    variable = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    _, *parameters = inspect.signature(function).parameters.values()
    return {p.name: p for p in parameters if p.kind not in variable}


def in_the_order_of(theirs: type, arguments: Mapping[str, Parameter], init: Callable) -> Callable:
    """A constructor whose signature shows all arguments and whose body gets them by name.

    Args:
        theirs: a class of Keras. What its constructor names may come by position, in its order;
            everything else comes by name.
        arguments: parameters by name, with their defaults.
        init: the constructor, which takes `units` and then all that is given by name.
    """
    order = [name for name in inspect.signature(theirs).parameters if name in arguments]
    positional = [arguments[n].replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for n in order]
    named = [p.replace(kind=Parameter.KEYWORD_ONLY) for n, p in arguments.items() if n not in order]
    first = Parameter("self", Parameter.POSITIONAL_ONLY)
    last = Parameter("kwargs", Parameter.VAR_KEYWORD, annotation=Any)
    signature = inspect.Signature([first, *positional, *named, last])

    @functools.wraps(init)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}: {error}") from None
        del given["self"]
        init(self, **given.pop("kwargs", {}), **given)

    construct.__signature__ = signature  # type: ignore[attr-defined]
    return construct
