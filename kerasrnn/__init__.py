"""kerasrnn: recurrent models for Keras 3 on cells written as the textbook writes them.

Its parts are modules, which are loaded when they are first asked for:

>>> import kerasrnn
>>> kerasrnn.layers.LSTM(4).units
4
"""

import importlib
from typing import Any

from kerasrnn._version import __version__

_MODULES = (
    "callbacks",
    "cells",
    "cli",
    "command_line",
    "convert",
    "data",
    "display",
    "embeddings",
    "extras",
    "layers",
    "lens",
    "networks",
    "optimizers",
    "recurrence",
    "serving",
    "storage",
    "text",
    "themes",
    "training",
    "zoo",
)

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"kerasrnn.{name}")
    raise AttributeError(f"module 'kerasrnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
