"""The libraries that are compared, each behind the same interface and in its own process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from benchmarks.cases import Case


class Runner(Protocol):
    """A network ready to be run again and again."""

    def __call__(self) -> object:
        """Run once, to the end."""

    def results(self) -> dict[str, np.ndarray]:
        """What a run returns: `output`, or gradients by inputs and by our weights."""


class Peer(Protocol):
    """A library with some modes of running."""

    def modes(self) -> tuple[str, ...]:
        """The modes it has."""

    def versions(self) -> dict[str, str]:
        """The versions of what does the work."""

    def warm_up(self, mode: str) -> None:
        """Start the library's machinery with a few ops that are no recurrence."""

    def runner(self, case: Case, mode: str) -> Runner:
        """The network of a case; nothing of it traced or compiled yet."""

    def export(self, case: Case, path: str) -> None:
        """Write the network of a case as a SavedModel."""


def open_peer(name: str, threads: int) -> Peer:
    """The peer of a name, its library imported and told how many threads it may use.

    Args:
        name: one of `PEERS`.
        threads: threads to compute with.

    Raises:
        ImportError: its library is not installed.
        ValueError: an unknown name.
    """
    if name not in _OPENERS:
        raise ValueError(f"Unknown peer {name!r}. Expected one of {', '.join(_OPENERS)}.")
    return _OPENERS[name](threads)


# Each import happens in the process of that peer alone.
def _kerasrnn(threads: int) -> Peer:
    from benchmarks.peers.on_tensorflow import LayersOnTensorFlow

    return LayersOnTensorFlow("kerasrnn", threads)


def _keras(threads: int) -> Peer:
    from benchmarks.peers.on_tensorflow import LayersOnTensorFlow

    return LayersOnTensorFlow("keras", threads)


def _torch(threads: int) -> Peer:
    from benchmarks.peers.on_torch import TorchModules

    return TorchModules(threads)


def _onnxruntime(threads: int) -> Peer:
    from benchmarks.peers.on_onnxruntime import OnnxOperators

    return OnnxOperators(threads)


def _served(threads: int) -> Peer:
    from benchmarks.peers.served import ServedModels

    return ServedModels()


_OPENERS: dict[str, Callable[[int], Peer]] = {
    "kerasrnn": _kerasrnn,
    "keras": _keras,
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "kerasrnn-served": _served,
    "keras-served": _served,
}
PEERS = ("kerasrnn", "keras", "torch", "onnxruntime")
