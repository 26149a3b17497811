"""NADE written from the paper (Larochelle & Murray 2011, eqs. 2 and 3), one key after the other."""

import itertools

import keras
import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def all_chords(keys: int) -> np.ndarray:
    """Every chord of so many keys, `(2^keys, keys)`."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=keys)))


def weights_of(layer) -> dict[str, np.ndarray]:
    """The weights of `NADE` by the letters of its docstring, in double precision."""
    variables = {
        "W": layer.note_kernel,
        "V": layer.score_kernel,
        "W_b": layer.key_scores.kernel,
        "b_v": layer.key_scores.bias,
        "W_c": layer.unit_scores.kernel,
        "b_h": layer.unit_scores.bias,
    }
    return {
        name: keras.ops.convert_to_numpy(variable).astype(np.float64)
        for name, variable in variables.items()
    }


def walk(weights: dict[str, np.ndarray], h: np.ndarray, choose) -> tuple[np.ndarray, np.ndarray]:
    """Go through the keys of one chord; `choose(key, p)` says whether the key sounds.

    Returns:
        The chord and the probability with which each key could sound, each `(keys,)`.
    """
    w = weights
    b, a = w["b_v"] + h @ w["W_b"], w["b_h"] + h @ w["W_c"]
    chord, probabilities = np.zeros(len(b)), np.zeros(len(b))
    for i in range(len(b)):
        probabilities[i] = sigmoid(b[i] + w["V"][i] @ sigmoid(a))
        chord[i] = choose(i, probabilities[i])
        a = a + w["W"][i] * chord[i]
    return chord, probabilities


def nade_nll(weights: dict[str, np.ndarray], h: np.ndarray, chord: np.ndarray) -> float:
    """-log p(chord | h), in nats."""
    _, p = walk(weights, h, lambda i, _: chord[i])
    return -float(np.sum(np.log(np.where(chord > 0, p, 1 - p))))
