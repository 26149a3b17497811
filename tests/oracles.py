"""Independent statements of the equations, against which cells and layers are tested.

Everything here is written from the equations alone and loops over time in plain Python. `xp` is the
array module: NumPy for values, or `keras.ops`, so that each backend's automatic differentiation can
tell the gradient of the same lines.

Letters: `x` input at t, `a` activation, `c` memory, Γ gates, `[a; x]` concatenation. Weights have
the shapes of Keras: `kernel (input, gates·units)`, `recurrent_kernel (units, gates·units)`,
`bias (gates·units,)`, and `W = [recurrent_kernel; kernel]`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

Array = Any  # of NumPy, or a tensor of the backend


def sigmoid(x: Array, xp: Any = np) -> Array:
    """σ(x) = 1 / (1 + e^-x)."""
    return 1 / (1 + xp.exp(-x))


def tanh(x: Array, xp: Any = np) -> Array:
    """tanh(x)."""
    return xp.tanh(x)


def relu(x: Array, xp: Any = np) -> Array:
    """max(x, 0)."""
    return xp.maximum(x, xp.zeros_like(x))


def hard_sigmoid(x: Array, xp: Any = np) -> Array:
    """x/6 + 1/2, held between 0 and 1, as Keras 3 defines it."""
    return xp.minimum(xp.maximum(x / 6 + 0.5, xp.zeros_like(x)), xp.ones_like(x))


def softsign(x: Array, xp: Any = np) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + xp.abs(x))


def linear(x: Array, xp: Any = np) -> Array:
    """x itself."""
    return x


ACTIVATIONS: dict[str, Callable] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "relu": relu,
    "hard_sigmoid": hard_sigmoid,
    "softsign": softsign,
    "linear": linear,
}


def combined(weights: Sequence[Array], xp: Any) -> tuple[Array, Array | float]:
    """W = [recurrent_kernel; kernel] and b (0 for a cell without bias)."""
    kernel, recurrent_kernel = weights[:2]
    bias = weights[2] if len(weights) > 2 else 0.0
    return xp.concatenate([recurrent_kernel, kernel], axis=0), bias


def simple_step(x, states, weights, g, σ, xp):
    """a<t> = g(Wa [a<t-1>; x<t>] + ba)."""
    (a,) = states
    W, b = combined(weights, xp)
    a = g(xp.matmul(xp.concatenate([a, x], axis=-1), W) + b, xp)
    return a, [a]


def simplified_gru_step(x, states, weights, g, σ, xp):
    """c̃ = g(Wc [c; x] + bc); Γu = σ(Wu [c; x] + bu); c = Γu∘c̃ + (1−Γu)∘c. Columns Γu c̃."""
    (c,) = states
    u = c.shape[-1]
    W, b = combined(weights, xp)
    y = xp.matmul(xp.concatenate([c, x], axis=-1), W) + b
    Γu, c̃ = σ(y[:, :u], xp), g(y[:, u:], xp)
    c = Γu * c̃ + (1 - Γu) * c
    return c, [c]


def gru_step(x, states, weights, g, σ, xp):
    """Γu, Γr = σ(W [c; x] + b); c̃ = g(Wc [Γr∘c; x] + bc); c = Γu∘c̃ + (1−Γu)∘c. Columns Γu Γr c̃."""
    (c,) = states
    u = c.shape[-1]
    W, b = combined(weights, xp)
    b_gates, b_candidate = (b[: 2 * u], b[2 * u :]) if len(weights) > 2 else (b, b)
    gates = σ(xp.matmul(xp.concatenate([c, x], axis=-1), W[:, : 2 * u]) + b_gates, xp)
    Γu, Γr = gates[:, :u], gates[:, u:]
    c̃ = g(xp.matmul(xp.concatenate([Γr * c, x], axis=-1), W[:, 2 * u :]) + b_candidate, xp)
    c = Γu * c̃ + (1 - Γu) * c
    return c, [c]


def lstm_step(x, states, weights, g, σ, xp):
    """Γu, Γf, Γo = σ(W [a; x] + b); c̃ = g(Wc [a; x] + bc); c = Γu∘c̃ + Γf∘c; a = Γo∘g(c).

    Columns Γu Γf c̃ Γo; states a, c.
    """
    a, c = states
    u = c.shape[-1]
    W, b = combined(weights, xp)
    y = xp.matmul(xp.concatenate([a, x], axis=-1), W) + b
    Γu, Γf, Γo = σ(y[:, :u], xp), σ(y[:, u : 2 * u], xp), σ(y[:, 3 * u :], xp)
    c̃ = g(y[:, 2 * u : 3 * u], xp)
    c = Γu * c̃ + Γf * c
    a = Γo * g(c, xp)
    return a, [a, c]


@dataclass(frozen=True)
class CellOracle:
    """One of the four cells: its names, how many gates and states it has, and its step."""

    name: str
    layer: str
    gates: int
    states: int
    equations: Callable

    @property
    def cell(self) -> str:
        return f"{self.layer}Cell"

    def weight_shapes(self, input_dim: int, units: int, use_bias: bool = True) -> list[tuple]:
        """The shapes of kernel, recurrent kernel and bias."""
        columns = self.gates * units
        shapes: list[tuple] = [(input_dim, columns), (units, columns)]
        return [*shapes, (columns,)] if use_bias else shapes

    def step(
        self,
        x: Array,  # (batch, input)
        states: Sequence[Array],  # each (batch, units)
        weights: Sequence[Array],
        *,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        xp: Any = np,
    ) -> tuple[Array, list[Array]]:
        """One time step: the output and the new states."""
        g, σ = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
        return self.equations(x, states, weights, g, σ, xp)

    def run(
        self,
        x: Array,  # (batch, time, input)
        weights: Sequence[Array],
        *,
        mask: np.ndarray | None = None,  # (batch, time)
        initial_state: Sequence[Array] | None = None,
        go_backwards: bool = False,
        zero_output_for_mask: bool = False,
        xp: Any = np,
        **activations: str,
    ) -> tuple[Array, list[Array]]:
        """A whole sequence: outputs in the order of the visits, and the last states.

        A masked step changes no state. Its output is the output of the step before, zeros where
        there was none, or zeros always with `zero_output_for_mask`.
        """
        batch, time = x.shape[:2]
        units = weights[1].shape[0]
        zeros = xp.zeros((batch, units), dtype=x.dtype)
        states = [zeros] * self.states if initial_state is None else list(initial_state)
        output, outputs = zeros, []
        for t in reversed(range(time)) if go_backwards else range(time):
            new_output, new_states = self.step(x[:, t], states, weights, xp=xp, **activations)
            if mask is not None:
                seen = mask[:, t, None]  # (batch, 1)
                idle = zeros if zero_output_for_mask else output
                new_output = xp.where(seen, new_output, idle)
                new_states = [
                    xp.where(seen, new, old) for new, old in zip(new_states, states, strict=True)
                ]
            output, states = new_output, new_states
            outputs.append(output)
        return xp.stack(outputs, axis=1), states


CELLS = {
    cell.name: cell
    for cell in (
        CellOracle("simple", "SimpleRNN", 1, 1, simple_step),
        CellOracle("simplified_gru", "SimplifiedGRU", 2, 1, simplified_gru_step),
        CellOracle("gru", "GRU", 3, 1, gru_step),
        CellOracle("lstm", "LSTM", 4, 2, lstm_step),
    )
}


def layer_outputs(
    cell: CellOracle,
    x: Array,
    weights: Sequence[Array],
    *,
    return_sequences: bool = False,
    return_state: bool = False,
    xp: Any = np,
    **options: Any,
) -> list[Array]:
    """What a layer returns: the sequence or its last output, then the states if asked."""
    outputs, states = cell.run(x, weights, xp=xp, **options)
    first = outputs if return_sequences else outputs[:, -1]
    return [first, *states] if return_state else [first]


def bidirectional_outputs(
    cell: CellOracle,
    x: Array,
    forward: Sequence[Array],
    backward: Sequence[Array],
    *,
    merge_mode: str | None = "concat",
    return_sequences: bool = False,
    return_state: bool = False,
    initial_state: Sequence[Array] | None = None,
    backward_cell: CellOracle | None = None,
    xp: Any = np,
    **options: Any,
) -> list[Array]:
    """What `Bidirectional` returns: merged outputs, then the states of both directions if asked.

    Masked steps of a returned sequence are zeros, as in Keras: both directions agree on them.
    """
    backward_cell = backward_cell or cell
    half = cell.states
    starts = (None, None)
    if initial_state is not None:
        starts = (initial_state[:half], initial_state[half:])
    options["zero_output_for_mask"] = return_sequences
    y, states = cell.run(x, forward, initial_state=starts[0], xp=xp, **options)
    y_back, states_back = backward_cell.run(
        x, backward, initial_state=starts[1], go_backwards=True, xp=xp, **options
    )
    if return_sequences:
        y_back = xp.flip(y_back, axis=1)
    else:
        y, y_back = y[:, -1], y_back[:, -1]
    merged = {
        "concat": lambda: [xp.concatenate([y, y_back], axis=-1)],
        "sum": lambda: [y + y_back],
        "ave": lambda: [(y + y_back) / 2],
        "mul": lambda: [y * y_back],
        None: lambda: [y, y_back],
    }[merge_mode]()
    return [*merged, *states, *states_back] if return_state else merged


def deep_outputs(
    cell: CellOracle,
    x: Array,
    weights: Sequence[Array],  # of all layers, the lowest first, forward before backward
    *,
    depth: int,
    bidirectional: bool = False,
    return_sequences: bool = True,
    return_state: bool = False,
    merge_mode: str | None = "concat",
    mask: np.ndarray | None = None,
    xp: Any = np,
) -> list[Array]:
    """What `DeepRNN` returns: the top layer's output, then every layer's states if asked."""
    each = len(weights) // depth
    states: list[Array] = []
    for level in range(depth):
        own = weights[level * each : (level + 1) * each]
        sequences = return_sequences or level < depth - 1
        options = {"return_sequences": sequences, "return_state": True, "mask": mask, "xp": xp}
        if bidirectional:
            x, *new = bidirectional_outputs(
                cell, x, own[: each // 2], own[each // 2 :], merge_mode=merge_mode, **options
            )
        else:
            x, *new = layer_outputs(cell, x, own, **options)
        states += new
    return [x, *states] if return_state else [x]


def attention(
    score: Callable[[np.ndarray], float],
    values: np.ndarray,  # (time, value_dim), one sequence
    mask: np.ndarray | None = None,  # (time,)
) -> tuple[np.ndarray, np.ndarray]:
    """Context and weights of one query, position by position; `score` is of one value."""
    present = [t for t in range(len(values)) if mask is None or mask[t]]
    powers = {t: np.exp(score(values[t])) for t in present}
    weights = np.array([powers.get(t, 0.0) for t in range(len(values))])
    weights = weights / weights.sum() if present else weights
    return sum(weights[t] * values[t] for t in range(len(values))), weights


def bahdanau_attention(
    query: np.ndarray,  # (query_dim,)
    values: np.ndarray,
    weights: Sequence[np.ndarray],
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """e = vaᵀ tanh(Wa s + Ua h)."""
    Wa, Ua, va = weights
    return attention(lambda h: (np.tanh(query @ Wa + h @ Ua) @ va).item(), values, mask)


def luong_attention(
    query: np.ndarray,  # (query_dim,)
    values: np.ndarray,
    weights: Sequence[np.ndarray],
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """e = sᵀ Wa h."""
    (Wa,) = weights
    return attention(lambda h: (query @ Wa @ h).item(), values, mask)


ATTENTIONS = {"BahdanauAttention": bahdanau_attention, "LuongAttention": luong_attention}


def crf_scores(
    scores: np.ndarray,  # (time, tags), one sentence without padding
    transitions: np.ndarray,  # (tags, tags), from row to column
    start: np.ndarray | None = None,
    end: np.ndarray | None = None,
) -> dict[tuple[int, ...], float]:
    """The score of every path of tags of a linear-chain CRF, by listing them all."""
    time, tags = scores.shape
    start = np.zeros(tags) if start is None else start
    end = np.zeros(tags) if end is None else end
    return {
        path: start[path[0]]
        + sum(scores[t, tag] for t, tag in enumerate(path))
        + sum(transitions[a, b] for a, b in pairwise(path))
        + end[path[-1]]
        for path in product(range(tags), repeat=time)
    }


def random_weights(
    cell: CellOracle,
    input_dim: int,
    units: int,
    rng: np.random.Generator,
    *,
    use_bias: bool = True,
    dtype: str = "float32",
    scale: float = 0.5,
) -> list[np.ndarray]:
    """Random kernel, recurrent kernel and bias: with equal blocks, swapped gates would pass."""
    shapes = cell.weight_shapes(input_dim, units, use_bias)
    return [(scale * rng.normal(size=shape)).astype(dtype) for shape in shapes]
