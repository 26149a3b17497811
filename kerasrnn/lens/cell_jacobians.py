"""The Jacobian of one step of each kind of cell, by its equations, or automatically."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasrnn import cells
from kerasrnn.layers.rnn import has_halves

Terms = dict[str, np.ndarray]


class CellTrace:
    """What a cell computed while it read a batch, and the Jacobians of its steps.

    Everything stands in the order in which the cell read. A step that is masked leaves the state
    as it is, so that its Jacobian is the identity.

    Args:
        cell: the cell.
        x: `(batch, time, input_dim)`.
        valid: boolean `(batch, time)`, whether a step is there.
        states: the states before the first step, each `(batch, units)`.

    Attributes:
        symbol: the letter of the state that is the memory.
        size: m, the length of the full state, all states of the cell one after the other.
        follows: None; or, for an LSTM, `(batch, 1 + time, units)`, ∂a/∂c before the first and
            after each step, with the output gate as it was.
    """

    symbol = "c"
    follows: np.ndarray | None = None

    def __init__(self, cell: Any, x: tf.Tensor, valid: np.ndarray, states: Sequence[Any]) -> None:
        self.cell, self.valid = cell, valid
        self.dtype = x.dtype.as_numpy_dtype
        self.size = sum(int(state.shape[-1]) for state in states)
        self.read(x, list(states))

    def read(self, x: tf.Tensor, states: list) -> None:
        """Run the cell, and keep what the Jacobians are made of."""
        raise NotImplementedError

    def terms(self, steps: slice) -> Terms:
        """What adds up to ∂c<t>/∂c<t-1> of some steps: `(batch, steps, units, units)` by name."""
        raise NotImplementedError

    def jacobians(self, steps: slice) -> np.ndarray:
        """The Jacobians of the full state `(batch, steps, m, m)`, with ∂s_i<t>/∂s_j<t-1> at ij."""
        return sum_of(self.terms(steps))

    def candidate_paths(self, steps: slice) -> Terms:
        """What adds up to the term of the candidate in a GRU with a relevance gate."""
        raise ValueError(
            "The candidate has several paths only in a GRU with a relevance gate: GRU of this "
            f"package or of Keras. Received: {type(self.cell).__name__}"
        )

    def _unrolled(
        self, step: Callable, inputs: tf.Tensor, states: list
    ) -> tuple[list[tf.Tensor], Any]:
        """All states, `(batch, 1 + time, units)` each, and what else the steps return."""
        everywhere = bool(self.valid.all())
        all_states, kept = [states], []
        for t, x in enumerate(tf.unstack(inputs, axis=1)):
            new, z = step(x, states)
            if not everywhere:
                live = self.valid[:, t, None]
                new = [tf.where(live, *pair) for pair in zip(new, states, strict=True)]
            states = new
            all_states.append(states)
            kept.append(z)
        stacked = [tf.stack(each, axis=1) for each in zip(*all_states, strict=True)]
        finite = np.all([np.isfinite(s).all(axis=(0, 2)) for s in map(np.asarray, stacked)], axis=0)
        if not finite.all():
            raise ValueError(
                f"The states must be finite. Those of {type(self.cell).__name__} overflow at "
                f"the step that it reads as number {np.argmin(finite)}."
            )
        return stacked, None if kept[0] is None else tf.stack(kept, axis=1)

    def _where_read(self, terms: Terms, steps: slice) -> Terms:
        """The terms, with the identity in the direct one, or the only one, at masked steps."""
        masked = ~self.valid[:, steps]
        if masked.any():
            direct = "direct" if "direct" in terms else next(iter(terms))
            for name, term in terms.items():
                term[masked] = np.eye(term.shape[-1]) if name == direct else 0
        return terms


def sum_of(terms: Terms) -> np.ndarray:
    """The sum of arrays, without one more for each partial sum."""
    first, *others = terms.values()
    total = first.copy()
    for term in others:
        total += term
    return total


def _diagonal(values: np.ndarray) -> np.ndarray:
    n = values.shape[-1]
    matrices = np.zeros((*values.shape, n), values.dtype)
    matrices[..., range(n), range(n)] = values
    return matrices


def _scaled(left: np.ndarray, W: np.ndarray, right: np.ndarray | None = None) -> np.ndarray:
    """diag(left) Wᵀ diag(right): Keras multiplies a row of states by W from the right."""
    product = left[..., :, None] * W.T
    return product if right is None else product * right[..., None, :]


def _with_derivative(activation: Callable, z: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch(z)
        y = activation(z)
    slope = tape.gradient(y, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return np.asarray(y), np.asarray(slope)


class _Derived(CellTrace):
    """A cell of known equations, whose terms are computed from its gates."""

    def __init__(self, cell: Any, x: tf.Tensor, valid: np.ndarray, states: Sequence[Any]) -> None:
        self.g: Any = cell.activation
        self.σ: Any = getattr(cell, "recurrent_activation", None)
        super().__init__(cell, x, valid, states)

    @functools.cached_property
    def W(self) -> np.ndarray:
        """The recurrent kernel."""
        return self._array(self.cell.recurrent_kernel)

    def _array(self, weight: Any) -> np.ndarray:
        return keras.ops.convert_to_numpy(weight).astype(self.dtype)

    def _projected(self, x: tf.Tensor) -> tf.Tensor:
        projected = tf.matmul(x, self._array(self.cell.kernel))
        if self.cell.bias is None:
            return projected
        bias = self._array(self.cell.bias)
        return projected + (bias[0] if bias.ndim == 2 else bias)  # [1] is of the recurrent product


class _SimpleRNN(_Derived):
    symbol = "a"

    def read(self, x, states):
        def step(projected, states):
            z = projected + tf.matmul(states[0], self.W)
            return [self.g(z)], z

        _, z = self._unrolled(step, self._projected(x), states)
        _, self.slope = _with_derivative(self.g, z)

    def terms(self, steps):
        return self._where_read({"activation": _scaled(self.slope[:, steps], self.W)}, steps)


class _SimplifiedGRU(_Derived):
    # Whether Γu is the activation of the first block of columns or what it lacks to 1.
    keeps = False

    def read(self, x, states):
        H = self.cell.units
        self.W_u, self.W_c = self.W[:, :H], self.W[:, -H:]
        (c,), z = self._unrolled(self._step, self._projected(x), states)
        self.before = np.asarray(c[:, :-1])
        self.Γu, self.Γu_slope = self._update_gate(z[..., :H])
        self.c_tilde, self.c_tilde_slope = _with_derivative(self.g, z[..., -H:])
        self.z = z

    def _step(self, projected, states):
        (c,) = states
        z = projected + tf.matmul(c, self.W)
        z_u, z_c = tf.split(z, 2, axis=-1)
        return [self._new(z_u, z_c, c)], z

    def _new(self, z_u, z_c, c):
        gate = self.σ(z_u)
        Γu = 1 - gate if self.keeps else gate
        return Γu * self.g(z_c) + (1 - Γu) * c

    def _update_gate(self, z):
        gate, slope = _with_derivative(self.σ, z)
        return (1 - gate, -slope) if self.keeps else (gate, slope)

    def _candidate(self, steps):
        return _scaled((self.Γu * self.c_tilde_slope)[:, steps], self.W_c)

    def terms(self, steps):
        Γu, slope = self.Γu[:, steps], self.Γu_slope[:, steps]
        terms = {
            "gate · candidate": _scaled(self.c_tilde[:, steps] * slope, self.W_u),
            "candidate": self._candidate(steps),
            "gate · old value": _scaled(-self.before[:, steps] * slope, self.W_u),
            "direct": _diagonal(1 - Γu),
        }
        return self._where_read(terms, steps)


class _GRU(_SimplifiedGRU):
    """With a relevance gate, before the matrix product."""

    def read(self, x, states):
        H = self.cell.units
        self.W_r = self.W[:, H : 2 * H]
        super().read(x, states)
        self.Γr, self.Γr_slope = _with_derivative(self.σ, self.z[..., H : 2 * H])

    def _step(self, projected, states):
        (c,), H = states, self.cell.units
        z_ur = projected[:, : 2 * H] + tf.matmul(c, self.W[:, : 2 * H])
        z_u, z_r = tf.split(z_ur, 2, axis=-1)
        z_c = projected[:, 2 * H :] + tf.matmul(self.σ(z_r) * c, self.W_c)
        return [self._new(z_u, z_c, c)], tf.concat([z_ur, z_c], axis=-1)

    def _paths(self, steps):
        outer = (self.Γu * self.c_tilde_slope)[:, steps]
        through_gate = _scaled((self.before * self.Γr_slope)[:, steps], self.W_r)
        return {
            "value": _scaled(outer, self.W_c, self.Γr[:, steps]),
            "relevance gate": _scaled(outer, self.W_c) @ through_gate,
        }

    def _candidate(self, steps):
        return sum_of(self._paths(steps))

    def candidate_paths(self, steps):
        paths = self._paths(steps)
        for path in paths.values():
            path[~self.valid[:, steps]] = 0
        return paths


class _KerasGRU(_GRU):
    keeps = True


class _KerasGRUResetAfter(_KerasGRU):
    """With the relevance gate behind the matrix product."""

    def read(self, x, states):
        bias = self.cell.bias
        self.b = np.zeros((), self.dtype) if bias is None else self._array(bias)[1]
        super().read(x, states)
        b_c = self.b if bias is None else self.b[2 * self.cell.units :]
        self.recurrent_part = self.before @ self.W_c + b_c

    def _step(self, projected, states):
        (c,) = states
        x_u, x_r, x_c = tf.split(projected, 3, axis=-1)
        s_u, s_r, s_c = tf.split(tf.matmul(c, self.W) + self.b, 3, axis=-1)
        z_u, z_r = x_u + s_u, x_r + s_r
        z_c = x_c + self.σ(z_r) * s_c
        return [self._new(z_u, z_c, c)], tf.concat([z_u, z_r, z_c], axis=-1)

    def _paths(self, steps):
        outer = (self.Γu * self.c_tilde_slope)[:, steps]
        return {
            "value": _scaled(outer * self.Γr[:, steps], self.W_c),
            "relevance gate": _scaled(
                outer * (self.recurrent_part * self.Γr_slope)[:, steps], self.W_r
            ),
        }


class _LSTM(_Derived):
    follows: Any

    def read(self, x, states):
        self.W_u, self.W_f, self.W_c, self.W_o = np.split(self.W, 4, axis=-1)

        def step(projected, states):
            a, c = states
            z = projected + tf.matmul(a, self.W)
            z_u, z_f, z_c, z_o = tf.split(z, 4, axis=-1)
            c = self.σ(z_u) * self.g(z_c) + self.σ(z_f) * c
            return [self.σ(z_o) * self.g(c), c], z

        (_, c), z = self._unrolled(step, self._projected(x), states)
        z_u, z_f, z_c, z_o = tf.split(z, 4, axis=-1)
        Γu, Γu_slope = _with_derivative(self.σ, z_u)
        self.Γf, Γf_slope = _with_derivative(self.σ, z_f)
        c_tilde, c_tilde_slope = _with_derivative(self.g, z_c)
        Γo, Γo_slope = _with_derivative(self.σ, z_o)
        g_c, g_c_slope = _with_derivative(self.g, c[:, 1:])
        self.outer = {
            "update gate · candidate": (c_tilde * Γu_slope, self.W_u),
            "candidate": (Γu * c_tilde_slope, self.W_c),
            "forget gate · old value": (np.asarray(c[:, :-1]) * Γf_slope, self.W_f),
        }
        self.a_by_gate, self.a_by_c = g_c * Γo_slope, Γo * g_c_slope
        # a<0> is given with c<0> and does not follow from it.
        follows = [np.zeros_like(self.a_by_c[:, 0])]
        for t in range(self.valid.shape[1]):
            follows.append(np.where(self.valid[:, t, None], self.a_by_c[:, t], follows[-1]))
        self.follows = np.stack(follows, axis=1)

    def terms(self, steps):
        follows = self.follows[:, :-1][:, steps]
        terms = {
            name: _scaled(left[:, steps], W, follows) for name, (left, W) in self.outer.items()
        }
        return self._where_read({**terms, "direct": _diagonal(self.Γf[:, steps])}, steps)

    def jacobians(self, steps):
        H, a_by_c, Γf = self.cell.units, self.a_by_c[:, steps], self.Γf[:, steps]
        matrices = np.zeros((*Γf.shape[:-1], 2 * H, 2 * H), self.dtype)
        by_a = sum_of({name: _scaled(left[:, steps], W) for name, (left, W) in self.outer.items()})
        matrices[..., H:, :H] = by_a
        matrices[..., H:, H:] = _diagonal(Γf)
        matrices[..., :H, :H] = _scaled(self.a_by_gate[:, steps], self.W_o)
        matrices[..., :H, :H] += a_by_c[..., :, None] * by_a
        matrices[..., :H, H:] = _diagonal(a_by_c * Γf)
        return self._where_read({"all": matrices}, steps)["all"]


class _Automatic(CellTrace):
    """Any cell. Its full state is taken, and no terms are known."""

    symbol = "s"

    def read(self, x, states):
        self.x = x
        self.sizes = [int(state.shape[-1]) for state in states]

        def step(x, states):
            return _new_states(self.cell, x, states), None

        all_states, _ = self._unrolled(step, x, states)
        self.before = tf.concat(all_states, axis=-1)[:, :-1]  # (batch, time, m)

    def terms(self, steps):
        raise ValueError(
            f"The terms of a step are known only of the cells of this package and of Keras, with "
            f"activations that act on each component alone: not of {type(self.cell).__name__}. "
            "Its Jacobian is there, in `matrices`."
        )

    def jacobians(self, steps):
        before, x = self.before[:, steps], self.x[:, steps]
        rows = tf.reshape(before, (-1, self.size))
        x = tf.reshape(x, (-1, *x.shape[2:]))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(rows)
            states = tf.split(rows, self.sizes, axis=-1)
            new = tf.concat(_new_states(self.cell, x, states), axis=-1)
            components = tf.unstack(new, axis=-1)
        zero = tf.UnconnectedGradients.ZERO
        by_row = [tape.gradient(y, rows, unconnected_gradients=zero) for y in components]
        matrices = np.stack([np.asarray(each) for each in by_row], axis=1)
        matrices = matrices.reshape(*before.shape[:2], self.size, self.size)
        return self._where_read({"all": matrices}, steps)["all"]


def _new_states(cell: Any, x: tf.Tensor, states: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    if has_halves(cell):
        _, new = cell.step(cell.project(x), tuple(states))
    else:
        options = {"training": False} if getattr(cell, "_call_has_training_arg", False) else {}
        sizes, nested = cell.state_size, list(states)
        nested = tree.pack_sequence_as(sizes, nested) if tree.is_nested(sizes) else nested
        _, new = cell(x, nested, **options)
    return tree.flatten(new)


_KINDS: dict[type, type[CellTrace]] = {
    cells.SimpleRNNCell: _SimpleRNN,
    cells.SimplifiedGRUCell: _SimplifiedGRU,
    cells.GRUCell: _GRU,
    cells.LSTMCell: _LSTM,
    keras.layers.SimpleRNNCell: _SimpleRNN,
    keras.layers.GRUCell: _KerasGRU,
    keras.layers.LSTMCell: _LSTM,
}
# What a class may change and still compute what the class above it computes.
_HARMLESS = {"build", "from_config", "get_config", "get_initial_state"}


def trace(
    cell: Any, x: np.ndarray, valid: np.ndarray, states: Sequence[np.ndarray], dtype: str
) -> CellTrace:
    """Let a cell read a batch, dropout off.

    Args:
        cell: a built cell.
        x: finite, `(batch, time, input_dim)`, in the order in which the cell reads.
        valid: boolean `(batch, time)`.
        states: the states before the first step, each `(batch, units)`.
        dtype: `float64` or `float32`, in which everything is computed, whatever the cell's is.

    Returns:
        A `CellTrace`, by the cell's equations where they are known.
    """
    inputs = tf.constant(x, dtype)
    tensors = [tf.constant(state, dtype) for state in states]
    kind = _kind(cell)
    if kind is not None:
        of_gates = getattr(cell, "recurrent_activation", None) if kind is not _SimpleRNN else None
        used = [cell.activation, *([] if of_gates is None else [of_gates])]
        if not any(isinstance(f, keras.layers.Layer) for f in used) and all(
            _is_elementwise(f, dtype) for f in used
        ):
            return kind(cell, inputs, valid, tensors)
    return _Automatic(_in_dtype(cell, inputs[:, 0], tensors, dtype), inputs, valid, tensors)


def _kind(cell: Any) -> type[CellTrace] | None:
    """By the cell's class, or the one that it has its equations from."""
    changed: set[str] = set()
    for above in type(cell).__mro__:
        if above in _KINDS:
            if changed & set(dir(above)):
                return None
            after = issubclass(above, keras.layers.GRUCell) and cell.reset_after
            return _KerasGRUResetAfter if after else _KINDS[above]
        changed |= {n for n in vars(above) if n[:2] != "__" or n == "__call__"} - _HARMLESS
    return None


def _is_elementwise(activation: Callable, dtype: str) -> bool:
    """Whether each component of the value depends on that component alone; softmax does not."""
    z = tf.constant(np.random.default_rng(0).normal(size=(4, 5)), dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        y = activation(z)
        if y.shape != z.shape or y.dtype != z.dtype:
            return False
        columns = tf.unstack(y, axis=-1)
    zero = tf.UnconnectedGradients.ZERO
    slopes = np.stack([tape.gradient(c, z, unconnected_gradients=zero) for c in columns], axis=1)
    return not slopes[:, ~np.eye(5, dtype=bool)].any()


# === Cells of other dtypes ===


def _in_dtype(cell: Any, x: tf.Tensor, states: list, dtype: str) -> Any:
    """The cell itself if it computes in that dtype, else a copy that does."""
    if not isinstance(cell, keras.layers.Layer):
        return cell
    if all(layer.compute_dtype == dtype for layer in cell._flatten_layers()):
        return cell
    copy = _copied(cell, x, states, dtype)
    _check_copy(cell, copy, x, states)
    return copy


def _copied(cell: Any, x: tf.Tensor, states: list, dtype: str) -> Any:
    policy = keras.config.dtype_policy()  # each thread has its own
    keras.config.set_dtype_policy(dtype)  # for the layers that the cell makes
    try:
        if type(cell) is keras.layers.StackedRNNCells:
            copy: Any = keras.layers.StackedRNNCells([_made_anew(c, dtype) for c in cell.cells])
        else:
            copy = _made_anew(cell, dtype)
        if type(copy).build is not keras.layers.Layer.build:
            copy.build((None, *x.shape[1:]))
        _step_of(copy, x, states)  # some make their weights when they are called
        copy.set_weights(cell.get_weights())
    except Exception as error:
        raise ValueError(
            f"The cell {type(cell).__name__} of dtype {cell.compute_dtype} cannot be copied to "
            f"{dtype}: {error} Give it a `get_config` that says all that its constructor takes; "
            f"or make it with dtype={dtype!r}; or pass the dtype in which it computes."
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)
    return copy


def _made_anew(cell: Any, dtype: str) -> Any:
    return type(cell).from_config(_with_dtype(cell.get_config(), dtype))


def _with_dtype(config: Any, dtype: str) -> Any:
    """A configuration with another dtype, for the layers in it too."""
    if isinstance(config, dict):
        return {k: dtype if k == "dtype" else _with_dtype(v, dtype) for k, v in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_with_dtype(item, dtype) for item in config)
    return config


def _step_of(cell: Any, x: tf.Tensor, states: list) -> list[np.ndarray]:
    own = cell.compute_dtype
    new = _new_states(cell, tf.cast(x, own), [tf.cast(state, own) for state in states])
    return [keras.ops.convert_to_numpy(state).astype("float64") for state in new]


def _check_copy(cell: Any, copy: Any, x: tf.Tensor, states: list) -> None:
    """A configuration may not say all that a cell is: compare one step of both."""
    tolerance = 0.05 if "16" in cell.compute_dtype else 1e-3
    pairs = zip(_step_of(cell, x, states), _step_of(copy, x, states), strict=True)
    if not all(np.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in pairs):
        raise ValueError(
            f"A copy of the cell {type(cell).__name__} of dtype {copy.compute_dtype} computes "
            "something else: its `get_config` does not say all that it is. Complete it, or make "
            "the cell with that dtype."
        )
