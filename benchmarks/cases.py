"""What is measured: networks, their sizes, and the numbers that all peers compute with."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# Name -> column blocks of the weights. "bidirectional" is two LSTMs, their outputs concatenated.
BLOCKS = {"simple": 1, "gru": 3, "lstm": 4, "bidirectional": 4, "simplified_gru": 2}
CELLS = tuple(BLOCKS)
SHARED_CELLS = ("simple", "gru", "lstm")

TRAINING = "training"
INFERENCE = "inference"
MASKED = "masked"
FIRST_CALL = "first_call"
MEMORY = "memory"
EXPORT = "export"
MEASURES = (TRAINING, INFERENCE, MASKED, FIRST_CALL, MEMORY, EXPORT)


class Point(NamedTuple):
    """The sizes of one network and of what it reads."""

    batch: int
    time: int
    input_dim: int
    units: int

    def __str__(self) -> str:
        return ", ".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Point:
        """A point from `batch,time,input_dim,units`.

        Raises:
            ValueError: not four positive integers.
        """
        parts = text.split(",")
        if len(parts) != len(cls._fields) or not all(part.strip().isdecimal() for part in parts):
            raise ValueError(
                f"A point is four positive integers, batch,time,input_dim,units. Received: {text!r}"
            )
        point = cls(*map(int, parts))
        if min(point) < 1:
            raise ValueError(f"The sizes of a point must be positive. Received: {text!r}")
        return point


GRID = (
    Point(32, 100, 128, 128),
    Point(32, 100, 512, 512),
    Point(128, 50, 256, 256),
    Point(1, 100, 128, 128),
    Point(64, 400, 64, 64),
    Point(8, 1000, 128, 256),
)
# A network of two directions costs twice as much to measure.
BIDIRECTIONAL_GRID = GRID[:4]
MASKED_GRID = (GRID[0], GRID[4])
MEMORY_GRID = (GRID[0], GRID[1], GRID[4], GRID[5])
FIRST_CALL_GRID = (GRID[0],)
EXPORT_GRID = (GRID[3],)
QUICK_GRID = (Point(4, 10, 8, 8), Point(2, 20, 8, 16))
# From here on it is worth asking what keeping only the states between segments costs and saves.
LONG = 400


class Weights(NamedTuple):
    """The weights of one direction, with this project's columns; or gradients by them."""

    kernel: np.ndarray  # (input_dim, blocks · units)
    recurrent_kernel: np.ndarray  # (units, blocks · units)
    bias: np.ndarray  # (blocks · units,)


class Data(NamedTuple):
    """What a network reads, and the gradient of the loss by what it returns."""

    inputs: np.ndarray  # (batch, time, input_dim)
    upstream: np.ndarray  # (batch, time, directions · units)
    mask: np.ndarray | None  # (batch, time)


@dataclass(frozen=True)
class Case:
    """One network at one size and what is measured of it.

    Args:
        measure: one of `MEASURES`.
        cell: one of `CELLS`.
        point: the sizes.
    """

    measure: str
    cell: str
    point: Point

    @property
    def key(self) -> str:
        """The name of this case in a file of results."""
        return f"{self.measure}/{self.cell}/{'x'.join(map(str, self.point))}"

    @property
    def directions(self) -> int:
        """How many recurrences the network has."""
        return 2 if self.cell == "bidirectional" else 1

    @property
    def trains(self) -> bool:
        """Whether a backward pass belongs to what is measured."""
        return self.measure not in (INFERENCE, EXPORT)

    def to_dict(self) -> dict[str, Any]:
        """This case as JSON can hold it."""
        return {"measure": self.measure, "cell": self.cell, "point": list(self.point)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Case:
        """What `to_dict` made."""
        return cls(values["measure"], values["cell"], Point(*values["point"]))

    # All measures of a network share its numbers, in every process.
    def _generator(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.cell} {self.point} {purpose}".encode()))

    def weights(self) -> list[Weights]:
        """Random weights, those of the forward direction first."""
        generator = self._generator("weights")
        columns = BLOCKS[self.cell] * self.point.units

        def uniform(bound: float, *shape: int) -> np.ndarray:
            return generator.uniform(-bound, bound, shape).astype("float32")

        return [
            Weights(
                uniform(self.point.input_dim**-0.5, self.point.input_dim, columns),
                uniform(self.point.units**-0.5, self.point.units, columns),
                uniform(0.1, columns),
            )
            for _ in range(self.directions)
        ]

    def data(self) -> Data:
        """Random inputs, a random gradient of the loss, and a mask if the case is of masks."""
        generator = self._generator("data")
        batch, time, input_dim, units = self.point
        inputs = generator.standard_normal((batch, time, input_dim), dtype="float32")
        upstream = generator.standard_normal((batch, time, self.directions * units), "float32")
        mask = None
        if self.measure == MASKED:
            mask = np.arange(time) < skewed_lengths(batch, time)[:, None]
        return Data(inputs, upstream, mask)


def skewed_lengths(batch: int, time: int) -> np.ndarray:
    """Lengths as text has them: many short sequences, one that fills the batch.

    The quantiles of time · u³ for u uniform in (0, 1], in a fixed random order; their mean is a
    little over a quarter of `time`.
    """
    quantiles = (np.arange(batch) + 1) / batch
    lengths = np.maximum(1, np.ceil(time * quantiles**3)).astype(int)
    return np.random.default_rng(batch).permutation(lengths)


# === Weights as the peers lay them out ===


def negate_update_gate(weights: Weights) -> Weights:
    """A GRU's weights for a peer whose z = 1 keeps the old value, or back; gradients likewise."""
    units = weights.recurrent_kernel.shape[0]
    sign = np.ones(weights.bias.shape, weights.bias.dtype)
    sign[:units] = -1
    return Weights(*(array * sign for array in weights))


def torch_layout(weights: Weights) -> list[np.ndarray]:
    """`weight_ih, weight_hh, bias_ih, bias_hh` of PyTorch; rows i, f, g, o are our i, f, c, o."""
    kernel, recurrent_kernel, bias = weights
    return [kernel.T.copy(), recurrent_kernel.T.copy(), bias, np.zeros_like(bias)]


def from_torch_layout(gradients: list[np.ndarray]) -> Weights:
    """Gradients by PyTorch's parameters as gradients by ours; its two biases have the same."""
    d_kernel, d_recurrent_kernel, d_bias, _ = gradients
    return Weights(d_kernel.T, d_recurrent_kernel.T, d_bias)


def onnx_layout(cell: str, weights: list[Weights]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, R and B of ONNX's LSTM (rows i, o, f, c), GRU (z, r, h) or RNN, directions first."""
    order = [0, 3, 1, 2] if BLOCKS[cell] == 4 else list(range(BLOCKS[cell]))
    rows: tuple[list[np.ndarray], ...] = ([], [], [])
    for direction in weights:
        if cell == "gru":
            direction = negate_update_gate(direction)
        kernel, recurrent_kernel, bias = (
            np.concatenate([np.split(array, BLOCKS[cell], axis=-1)[i] for i in order], axis=-1)
            for array in direction
        )
        rows[0].append(kernel.T)
        rows[1].append(recurrent_kernel.T)
        rows[2].append(np.concatenate([bias, np.zeros_like(bias)]))
    W, R, B = (np.stack(arrays) for arrays in rows)
    return W, R, B


def gradients_by_name(d_inputs: np.ndarray, d_weights: list[Weights]) -> dict[str, np.ndarray]:
    """Gradients in the form in which those of all peers are compared."""
    named = {"inputs": d_inputs}
    for direction, weights in enumerate(d_weights):
        named |= {f"{name} {direction}": array for name, array in weights._asdict().items()}
    return named
