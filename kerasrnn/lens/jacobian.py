"""How a state depends on an earlier one: ∂c<t>/∂c<t-k>, its singular values, and its terms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import tree

from kerasrnn.data.errors import check_numbers, shown, whole_number
from kerasrnn.lens.inputs import check_backend
from kerasrnn.lens.products import products_of_windows, scaled_product
from kerasrnn.themes import LABEL_SIZE, check_choice, prepared_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kerasrnn.lens.cell_jacobians import CellTrace

DIRECTIONS = ("forward", "backward")
DTYPES = ("float64", "float32")

_INCHES = (6.4, 3.4)
_NUMBERS_AT_ONCE = 2**23
_FAINTEST = 1e-9  # of the largest singular value, what is still drawn


def state_jacobian(
    layer: Any,
    x: Any,
    *,
    lag: int = 1,
    mask: Any = None,
    initial_state: Any = None,
    direction: str | None = None,
    dtype: str = "float64",
) -> StateJacobian:
    r"""The Jacobian of a layer's state by its state `lag` steps before, at every time step.

    **SimpleRNN.** The state is a, and the one term of a step the factor of back-propagation through
    time:

    .. math::

        \frac{∂a^{<t>}}{∂a^{<t-1>}} = \mathrm{diag}(g'(z^{<t>})) \, W_{aa}

    **GRUs.** The state is c = a, and a step has four terms, here for the simplified GRU:

    .. math::

        \frac{∂c^{<t>}}{∂c^{<t-1>}} =
        \underbrace{\mathrm{diag}(\tilde c ∘ Γ_u') W_{uc}}_\text{gate · candidate} +
        \underbrace{\mathrm{diag}(Γ_u ∘ \tilde c') W_{cc}}_\text{candidate} -
        \underbrace{\mathrm{diag}(c^{<t-1>} ∘ Γ_u') W_{uc}}_\text{gate · old value} +
        \underbrace{\mathrm{diag}(1 - Γ_u)}_\text{direct}

    A prime is the derivative by the pre-activation; :math:`W_{uc}` and :math:`W_{cc}` are the
    blocks of the lecture's W that multiply c, in Keras's layout the transposed blocks of
    `recurrent_kernel`. With a relevance gate the candidate's term is
    :math:`\mathrm{diag}(Γ_u ∘ \tilde c') W_{cc} (\mathrm{diag}(Γ_r) + \mathrm{diag}(c^{<t-1>} ∘
    Γ_r') W_{rc})`, or in Keras's `reset_after` cell :math:`\mathrm{diag}(Γ_u ∘ \tilde c')
    (\mathrm{diag}(Γ_r) W_{cc} + \mathrm{diag}((W_{cc} c^{<t-1>} + b_c) ∘ Γ_r') W_{rc})`; its two
    parts are in `candidate_paths`. Keras's z is 1 − Γu.

    **LSTM.** The memory is c. It is the total derivative: a change of c<t-k> changes a<t-k> = Γo ∘
    g(c<t-k>) too, and through it the gates and candidates of the later steps. What is held fixed is
    what does not follow from c<t-k>: the output gate Γo<t-k>, made before it, and all inputs. With
    :math:`D = \mathrm{diag}(Γ_o^{<t-1>} ∘ g'(c^{<t-1>}))`, which is ∂a<t-1>/∂c<t-1>, one step is

    .. math::

        \frac{∂c^{<t>}}{∂c^{<t-1>}} =
        \underbrace{\mathrm{diag}(\tilde c ∘ Γ_u') W_{ua} D}_\text{update gate · candidate} +
        \underbrace{\mathrm{diag}(Γ_u ∘ \tilde c') W_{ca} D}_\text{candidate} +
        \underbrace{\mathrm{diag}(c^{<t-1>} ∘ Γ_f') W_{fa} D}_\text{forget gate · old value} +
        \underbrace{\mathrm{diag}(Γ_f)}_\text{direct}

    Several steps are no product of these, for Γo<t-1> depends on c<t-2>. The chain runs through the
    full state s = [a; c], with J<t> = ∂s<t>/∂s<t-1>, and its product is cut on the left to c<t>:

    .. math::

        \frac{∂c^{<t>}}{∂c^{<t-k>}} =
        [0 \; I] \, J^{<t>} J^{<t-1>} \cdots J^{<t-k+1>} \, [D^{<t-k>}; I]

    `state_matrices` has the product of the full states; its lower right quarter is ∂c<t>/∂c<t-k>
    with a<t-k> held fixed instead. The initial a<0> is given and does not follow from c<0>: there D
    is 0.

    **Other cells**, also stacks of cells, and activations such as softmax that mix components: the
    Jacobian of the full state, all states of the cell (or of the stack, the lowest cell's first)
    one after the other, by automatic differentiation; there are no terms.

    A masked step leaves the state as it is: its Jacobian is the identity, and counts for the lag.
    Dropout is off. Everything is computed from the values of the weights in `dtype`, whatever the
    dtype of the layer.

    Args:
        layer: a built layer: SimpleRNN, SimplifiedGRU, GRU, LSTM or RNN of this package, or
            `keras.layers.SimpleRNN`, `GRU`, `LSTM` or `RNN`; or a `Bidirectional` of these.
        x: what the layer reads, `(batch, time, input_dim)`. In a model with an embedding these are
            the vectors, not the ids.
        lag: k, 1 to the number of time steps.
        mask: boolean `(batch, time)`, false where a step is not there; values of x may be anything
            there.
        initial_state: the state, or list of states, before the first step, each `(batch, units)`;
            of the one direction where the layer is a `Bidirectional`. Zeros, or what the layer
            itself begins with, if None.
        direction: of a `Bidirectional`, "forward" or "backward".
        dtype: "float64", or "float32" for half the memory.

    Returns:
        A `StateJacobian`.

    Raises:
        TypeError: `layer` is no Keras layer.
        ValueError: the layer has no cell or is not built; `x`, `mask` or `initial_state` have
            other shapes or hold numbers that are not finite; a weight is not finite; the states
            overflow; the mask hides everything; `lag` is longer than the sequence; or an option is
            none of its choices.
        RuntimeError: Keras does not run on TensorFlow, or this is called within a tf.function.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import GRU
    >>> from kerasrnn.lens import state_jacobian
    >>> layer, x = GRU(4), np.ones((2, 5, 3), "float32")
    >>> layer.build(x.shape)
    >>> jacobian = state_jacobian(layer, x)
    >>> jacobian.matrices.shape, jacobian.singular_values.shape
    ((2, 5, 4, 4), (2, 5, 4))
    >>> bool(np.allclose(sum(jacobian.terms.values()), jacobian.matrices, atol=1e-12))
    True
    """
    check_backend()
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise RuntimeError("`state_jacobian` must be called outside of a tf.function.")
    check_choice("dtype", dtype, DTYPES)
    layer = _one_direction(layer, direction)
    _check_built(layer)
    x, valid = _checked_inputs(x, mask)
    lag = whole_number(lag, "lag", 1)
    if lag > x.shape[1]:
        raise ValueError(
            f"`lag` must be at most the number of time steps, {x.shape[1]}. Received: lag={lag}"
        )
    states = _first_states(layer, initial_state, len(x))
    _check_width(layer.cell, x)
    backward = bool(layer.go_backwards)
    order = slice(None, None, -1 if backward else None)
    from kerasrnn.lens.cell_jacobians import trace

    read = trace(layer.cell, x[:, order], valid[:, order], states, dtype)
    return StateJacobian(read, lag, name=layer.name, backward=backward)


class StateJacobian:
    """What `state_jacobian` returns; the arrays are made when they are first asked for.

    Entry `[b, t-1]` of an array belongs to the step that reads x<t> of example b, t = 1, 2, …; c<0>
    is the initial state. Where a pair would begin before it, t < k, the entries are NaN. A layer
    that reads from the end begins there: its pair at t is ∂c<t>/∂c<t+k>, its last k − 1 entries
    NaN. n is the length of the memory, `units`, and m that of the full state: 2n for an LSTM, n
    for a SimpleRNN or GRU.

    Attributes:
        name: the layer's name.
        lag: k.
        backward: whether the layer reads from the end.
        mask: boolean `(batch, time)`, true where a step is there.
        symbol: the letter of the state: `a` for SimpleRNN, `c` for GRUs and LSTM, `s` for others,
            all states of the cell.
    """

    def __init__(self, read: CellTrace, lag: int, *, name: str, backward: bool) -> None:
        self._read = read
        self.name, self.lag, self.backward = name, lag, backward
        self.symbol = read.symbol
        self.mask = self._in_time(read.valid)

    def _in_time(self, array: np.ndarray) -> np.ndarray:
        """From the order in which the layer reads to that of time."""
        return array[:, ::-1] if self.backward else array

    @property
    def _shape(self) -> tuple[int, int]:
        return self._read.valid.shape

    def _chunks(self, overlap: int = 0) -> Iterator[slice]:
        """Slices of the time steps, so many that their matrices need little memory."""
        batch, time = self._shape
        size = max(_NUMBERS_AT_ONCE // (batch * self._read.size**2), overlap, 1)
        return (slice(start, min(start + size, time)) for start in range(0, time, size))

    def _full(self, steps: slice) -> np.ndarray:
        """Products of the full state for the pairs that end at these steps and begin at all."""
        first = max(steps.start - self.lag + 1, 0)
        return products_of_windows(self._read.jacobians(slice(first, steps.stop)), self.lag)

    def _of_memory(self, steps: slice) -> np.ndarray:
        full, follows = self._full(steps), self._read.follows
        if follows is None:
            return full
        n = follows.shape[-1]
        begin = steps.stop - self.lag + 1 - full.shape[1]
        by_a = full[..., n:, :n] * follows[:, begin : begin + full.shape[1], None, :]
        return by_a + full[..., n:, n:]

    def _over_time(self, function: Callable[[slice], np.ndarray], entry: tuple) -> np.ndarray:
        """What a function returns of the pairs that end at some steps, at all steps."""
        result = np.full((*self._shape, *entry), np.nan, self._read.dtype)
        for steps in self._chunks(overlap=self.lag):
            if steps.stop >= self.lag:
                found = function(steps)
                if not np.isfinite(found).all():
                    raise ValueError(
                        f"The Jacobians over {self.lag} steps overflow: they are larger than any "
                        f"number of {result.dtype}. Take a shorter `lag`; `lyapunov` has the "
                        "growth of all steps."
                    )
                result[:, steps.stop - found.shape[1] : steps.stop] = found
        return self._in_time(result)

    # === Matrices ===

    @functools.cached_property
    def matrices(self) -> np.ndarray:
        """∂c<t>/∂c<t-k>, `(batch, time, n, n)`: at i, j that of component i by component j."""
        n = self._memory_size
        return self._over_time(self._of_memory, (n, n))

    @functools.cached_property
    def state_matrices(self) -> np.ndarray:
        """∂s<t>/∂s<t-k> of the full state, `(batch, time, m, m)`; s = [a; c] for an LSTM."""
        return self._over_time(self._full, (self._read.size,) * 2)

    @property
    def _memory_size(self) -> int:
        follows = self._read.follows
        return self._read.size if follows is None else follows.shape[-1]

    @functools.cached_property
    def terms(self) -> dict[str, np.ndarray]:
        """What adds up to the Jacobian of one step, `(batch, time, n, n)` by name, whatever `lag`.

        A masked step has the identity in its direct term, or in the only one of a SimpleRNN.

        Raises:
            ValueError: the cell's terms are not known.
        """
        return self._by_name(self._read.terms)

    @functools.cached_property
    def candidate_paths(self) -> dict[str, np.ndarray]:
        """The parts of the term "candidate" of a GRU with a relevance gate, `(batch, time, n, n)`.

        "value" goes through the old value that Γr lets pass, "relevance gate" through Γr.

        Raises:
            ValueError: the cell has no relevance gate.
        """
        return self._by_name(self._read.candidate_paths)

    def _by_name(self, function: Callable[[slice], dict[str, Any]]) -> dict[str, np.ndarray]:
        return {k: self._in_time(v) for k, v in function(slice(0, self._shape[1])).items()}

    # === Numbers ===

    @functools.cached_property
    def singular_values(self) -> np.ndarray:
        """Those of `matrices`, `(batch, time, n)`, the largest first."""

        def values(steps: slice) -> np.ndarray:
            matrices = self._of_memory(steps)
            if not np.isfinite(matrices).all():
                return matrices[..., 0]
            return np.linalg.svd(matrices, compute_uv=False)

        return self._over_time(values, (self._memory_size,))

    @functools.cached_property
    def spectral_radius(self) -> np.ndarray:
        """The largest modulus of an eigenvalue of `matrices`, `(batch, time)`."""

        def largest(steps: slice) -> np.ndarray:
            matrices = self._of_memory(steps)
            if not np.isfinite(matrices).all():
                return matrices[..., 0, 0]
            return np.abs(np.linalg.eigvals(matrices)).max(axis=-1)

        return self._over_time(largest, ())

    @property
    def lyapunov(self) -> float:
        """The largest Lyapunov exponent, in nats a step: the mean of `lyapunov_per_example`."""
        return float(np.nanmean(self.lyapunov_per_example))

    @functools.cached_property
    def lyapunov_per_example(self) -> np.ndarray:
        """By how much the logarithm of a small change of the state grows a step, `(batch,)`.

        (1/T) log ‖J<T> … J<2> J<1>‖₂ over the whole sequence and the full state, with T the number
        of steps that are there: the change that grows most. Above 0 changes explode and nearby
        states part; below 0 they vanish. The product is scaled after each factor, so that it
        neither overflows nor vanishes. NaN where all steps are masked; −∞ where the product is 0.
        For endless sequences it is the largest Lyapunov exponent (Oseledets 1968); of a finite one
        the first steps, in which the directions find themselves, have a share of the order 1/T.
        """
        product, logarithm = None, np.zeros(self._shape[0])
        for steps in self._chunks():
            product, logarithm = scaled_product(
                self._read.jacobians(steps).astype("float64"), product, logarithm
            )
        assert product is not None
        with np.errstate(divide="ignore", invalid="ignore"):
            norms = logarithm + np.log(np.linalg.norm(product, 2, axis=(-2, -1)))
            return np.where(self.mask.any(axis=1), norms / self.mask.sum(axis=1), np.nan)

    @functools.cached_property
    def term_sizes(self) -> dict[str, np.ndarray]:
        """Each term's part in the size of the one-step Jacobian, `(batch, time)` by name.

        Norms of terms do not add up to the norm of their sum. These parts do: ⟨T, J⟩ / (‖J‖ √n),
        with ⟨T, J⟩ the sum of the products of the entries of a term T and of J, adds up over the
        terms to ‖J‖ / √n, with ‖J‖ the root of the sum of squares: the root mean square of the
        singular values of J. Below 0 is the part of a term that works against the others. NaN at
        masked steps.

        Raises:
            ValueError: the cell's terms are not known.
        """
        parts: dict[str, list[np.ndarray]] = {}
        for steps in self._chunks():
            terms = self._read.terms(steps)
            total = sum(terms.values())
            norm = np.linalg.norm(total, axis=(-2, -1))
            masked = ~self._read.valid[:, steps]
            for name, term in terms.items():
                inner = (term * total).sum(axis=(-2, -1))
                size = np.divide(inner, norm, out=np.zeros_like(norm), where=norm > 0)
                size[masked] = np.nan
                parts.setdefault(name, []).append(size / np.sqrt(term.shape[-1]))
        return {name: self._in_time(np.concatenate(p, axis=1)) for name, p in parts.items()}

    # === Pictures ===

    def plot_terms(
        self, ax: Axes | None = None, theme: str | None = None, *, example: int | None = None
    ) -> Axes:
        """Draw the terms of one step over time, stacked.

        The heights are `term_sizes`, the mean over the examples that have the step; those below 0,
        which work against the others, hang below the axis. The line is their sum, the root mean
        square singular value of ∂c<t>/∂c<t-1>: at 1 the step keeps what it has, as a whole.

        Args:
            ax: axes to draw into; None for a new figure.
            theme: "light", "dark", or None for what suits the figure.
            example: one example of the batch; None for the mean over all.

        Returns:
            The axes.

        Raises:
            ValueError: the cell's terms are not known, or there is no such example.
        """
        sizes = {name: self._mean(size, example) for name, size in self.term_sizes.items()}
        ax, colours = prepared_axes(ax, theme, _INCHES)
        edges = np.arange(self._shape[1] + 1) + 0.5
        above = below = np.zeros(self._shape[1])
        # Direct first, at the bottom, where its height is easiest to read.
        for (name, size), colour in zip(reversed(sizes.items()), colours.groups, strict=False):
            for sign, base in ((1, above), (-1, below)):
                top = base + sign * np.maximum(sign * size, 0)
                label = name if sign == 1 else None
                ax.stairs(top, edges, baseline=base, fill=True, color=colour, lw=0, label=label)
                above, below = (top, below) if sign == 1 else (above, top)
        total = np.sum(list(sizes.values()), axis=0)
        ax.stairs(total, edges, baseline=None, color=colours.text, lw=1.3, label="sum")
        ax.axhline(0, color=colours.quiet, lw=0.8)
        self._time_axis(ax)
        ax.set_ylabel(f"Part in RMS singular\nvalue of {self._pair(1)}")
        style(ax, colours)
        self._legend(ax, colours)
        return ax

    def plot_singular_values(
        self, ax: Axes | None = None, theme: str | None = None, *, example: int | None = None
    ) -> Axes:
        """Draw the singular values of ∂c<t>/∂c<t-k> over time, on a logarithmic axis.

        The largest and the median as lines, all between the tenth and the ninetieth of a hundred as
        a band; geometric means over the examples that have the step. At 1 (dashed) a change of the
        state comes through as large as it was. Values of less than a billionth of the largest are
        not drawn.

        Args:
            ax: axes to draw into; None for a new figure.
            theme: "light", "dark", or None for what suits the figure.
            example: one example of the batch; None for the mean over all.

        Returns:
            The axes.

        Raises:
            ValueError: there is no such example.
        """
        values = np.where(self.mask[..., None], self.singular_values, np.nan)
        positive = np.nanmax(values, initial=0)
        floor = max(positive * _FAINTEST, np.finfo(values.dtype).tiny)
        logs = np.log(np.maximum(values, floor))

        def over_time(share: float) -> np.ndarray:
            return np.exp(self._mean(np.quantile(logs, share, axis=-1), example))

        ax, colours = prepared_axes(ax, theme, _INCHES)
        low, middle, high, largest = map(over_time, (0.1, 0.5, 0.9, 1.0))
        blue, orange = colours.groups[:2]
        edges = np.arange(self._shape[1] + 1) + 0.5
        ax.stairs(
            high, edges, baseline=low, fill=True, color=blue, alpha=0.3, lw=0, label="10 % to 90 %"
        )
        for line, colour, label in ((largest, orange, "largest"), (middle, blue, "median")):
            ax.stairs(line, edges, baseline=None, color=colour, lw=1.6, label=label)
        ax.axhline(1, color=colours.quiet, lw=1.0, ls="--")
        self._logarithmic(ax)
        self._time_axis(ax)
        ax.set_ylabel(f"Singular values\nof {self._pair(self.lag)}")
        style(ax, colours)
        self._legend(ax, colours)
        return ax

    def _mean(self, values: np.ndarray, example: int | None) -> np.ndarray:
        """Of one example, or the mean over those with a number; NaN where none has one."""
        if example is not None:
            if whole_number(example, "example", 0) >= len(values):
                raise ValueError(
                    f"`example` must be less than the number of examples, {len(values)}. "
                    f"Received: example={example}"
                )
            return values[example]
        there = np.isfinite(values)
        count = there.sum(axis=0)
        total = np.where(there, values, 0).sum(axis=0)
        return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)

    def _pair(self, lag: int) -> str:
        sign = "+" if self.backward else "−"
        return f"∂{self.symbol}<t>/∂{self.symbol}<t{sign}{lag}>"

    def _time_axis(self, ax: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        ax.set_xlim(0.5, self._shape[1] + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlabel("Time step t")

    def _logarithmic(self, ax: Axes) -> None:
        from matplotlib.ticker import LogLocator, NullFormatter

        ax.set_yscale("log")
        low, high = ax.get_ylim()
        wide, narrow = high > 100 * low, high < 5 * low
        digits = (1,) if wide else range(1, 10) if narrow else (1, 2, 5)
        ax.yaxis.set_major_locator(LogLocator(subs=digits))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())

    def _legend(self, ax: Axes, colours: Any) -> None:
        """Above the axes, where it covers nothing, and no wider than they are."""
        for columns in (5, 3, 2, 1):
            legend = ax.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1.0),
                ncols=columns,
                frameon=False,
                fontsize=LABEL_SIZE,
                labelcolor=colours.text,
                borderaxespad=0.2,
                columnspacing=1.2,
                handlelength=1.2,
            )
            if legend.get_window_extent().width <= ax.get_window_extent().width:
                break


# === Arguments ===


def _one_direction(layer: Any, direction: Any) -> Any:
    if not isinstance(layer, keras.layers.Layer):
        raise TypeError(
            f"`layer` must be a recurrent Keras layer. Received: {type(layer).__name__}"
        )
    if direction is not None:
        check_choice("direction", direction, DIRECTIONS)
    if isinstance(layer, keras.layers.Bidirectional):
        if direction is None:
            raise ValueError(
                f"`direction` must say which layer of the Bidirectional '{layer.name}' is meant, "
                "'forward' or 'backward'. Received: direction=None"
            )
        layer = layer.forward_layer if direction == "forward" else layer.backward_layer
    elif direction is not None:
        raise ValueError(
            f"`direction` is only for a Bidirectional layer. '{layer.name}' is a "
            f"{type(layer).__name__}. Received: direction={direction!r}"
        )
    if not isinstance(layer, keras.layers.RNN):
        from kerasrnn.layers.parts import parts_of

        kinds = keras.layers.RNN | keras.layers.Bidirectional
        inside = [path for path, part in parts_of(layer) if isinstance(part, kinds)]
        hint = f" Take one of the layers in it: {', '.join(inside)}." if inside else ""
        raise ValueError(
            "`layer` must have a cell: SimpleRNN, SimplifiedGRU, GRU, LSTM or RNN of this package "
            f"or of Keras, or a Bidirectional of these. Received '{layer.name}', "
            f"a {type(layer).__name__}.{hint}"
        )
    return layer


def _check_built(layer: Any) -> None:
    cell = layer.cell
    if not layer.built or not getattr(cell, "built", True):
        raise ValueError(
            f"`layer` must be built: call '{layer.name}' on a batch, or its `build` with the shape "
            "of one. It has no weights yet."
        )
    for weight in getattr(cell, "weights", ()):
        if not np.isfinite(keras.ops.convert_to_numpy(weight).astype("float64")).all():
            raise ValueError(
                f"The weights must be finite. '{weight.path}' has a number that is NaN or infinite."
            )


def _numbers(values: Any, argument: str) -> np.ndarray:
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "name", dtype) == "bfloat16":  # which NumPy does not know as numbers
        values = keras.ops.convert_to_numpy(values).astype("float32")
    return check_numbers(values, argument).astype("float64")


def _checked_inputs(x: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
    """x as float64 and the mask as booleans."""
    x = _numbers(x, "x")
    if x.ndim != 3 or 0 in x.shape[:2]:
        raise ValueError(
            "`x` must have the shape (batch, time, input_dim), with an example and a time step at "
            f"least. Received shape {x.shape}."
        )
    valid = np.ones(x.shape[:2], bool)
    if mask is not None:
        valid = _numbers(mask, "mask").astype(bool)
        if valid.shape not in (x.shape[:2], (*x.shape[:2], 1)):
            raise ValueError(
                f"`mask` must have the shape (batch, time), here {x.shape[:2]}. "
                f"Received shape {valid.shape}."
            )
        valid = valid.reshape(x.shape[:2])
        if not valid.any():
            raise ValueError("`mask` must leave a time step. It hides all of every example.")
        x = np.where(valid[..., None], x, 0)
    if not np.isfinite(x).all():
        example, t = np.argwhere(~np.isfinite(x))[0][:2]
        raise ValueError(
            f"`x` must be finite. Example {example} has NaN or infinity at time step {t} "
            "(counted from 0)."
        )
    return x, valid


def _check_width(cell: Any, x: np.ndarray) -> None:
    lowest = cell.cells[0] if isinstance(cell, keras.layers.StackedRNNCells) else cell
    kernel = getattr(lowest, "kernel", None)
    if kernel is not None and len(kernel.shape) == 2:
        width = kernel.shape[0]
    elif isinstance(lowest, keras.layers.Layer):
        built = lowest.get_build_config() or {}
        width = (built.get("input_shape") or (None,))[-1]
    else:
        width = None
    if width not in (None, x.shape[-1]):
        raise ValueError(
            f"`x` must have the shape (batch, time, {width}), as the layer was built. "
            f"Received shape {x.shape}."
        )


def _first_states(layer: Any, initial_state: Any, batch: int) -> list[np.ndarray]:
    own = initial_state is None
    if own:
        kept = layer.states if layer.stateful else None
        initial_state = layer.get_initial_state(batch) if kept is None else kept
    sizes = tree.flatten(layer.cell.state_size)
    states = [_numbers(state, "initial_state") for state in tree.flatten(initial_state)]
    if own and any(state.ndim != 2 for state in states):
        raise ValueError(
            f"`layer` must keep vectors, a state (batch, units). '{layer.name}' keeps "
            f"{shown([state.shape for state in states])}."
        )
    name = "The layer's initial state" if own else "`initial_state`"
    expected = [(batch, size) for size in sizes]
    if [state.shape for state in states] != expected:
        raise ValueError(
            f"{name} must have the shape{'s' if len(sizes) > 1 else ''} "
            f"{', '.join(map(str, expected))}. "
            f"Received: {shown([state.shape for state in states])}"
        )
    if not all(np.isfinite(state).all() for state in states):
        raise ValueError(f"{name} must be finite. It holds NaN or infinity.")
    return states
