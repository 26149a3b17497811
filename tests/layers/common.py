"""What the tests of the layers share."""

from typing import Any

import numpy as np

from kerasrnn import layers
from tests.backends import BACKEND, with_weights
from tests.oracles import CellOracle, random_weights

BATCH, TIME, INPUT, UNITS = 3, 5, 4, 6
# What a server or a bucket sends: right padding; and what only a correct mask survives.
MASKS: dict[str, np.ndarray | None] = {
    "no mask": None,
    "right padding": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]], bool),
    "left padding": np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]], bool),
    "holes": np.array([[1, 0, 1, 0, 1], [0, 1, 0, 0, 1], [1, 1, 0, 1, 0]], bool),
    "an empty row": np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool),
}
# Where every option meets every mask: fewer on JAX, which traces a loop anew at each call.
TRIED = {k: m for k, m in MASKS.items() if BACKEND != "jax" or k in ("no mask", "holes")}


def draw(rng, *shape: int, dtype: str = "float32") -> np.ndarray:
    """Normal random numbers."""
    return rng.normal(size=shape).astype(dtype)


def make(
    oracle: CellOracle, rng, input_dim: int = INPUT, units: int = UNITS, **options: Any
) -> tuple[Any, list[np.ndarray]]:
    """The layer of a cell with random weights, and those weights."""
    if oracle.gates == 1:
        options.pop("recurrent_activation", None)
    weights = random_weights(
        oracle,
        input_dim,
        units,
        rng,
        use_bias=options.get("use_bias", True),
        dtype="float64" if options.get("dtype") == "float64" else "float32",
    )
    layer = getattr(layers, oracle.layer)(units, **options)
    return with_weights(layer, (BATCH, TIME, input_dim), weights), weights
