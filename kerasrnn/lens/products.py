"""The products ∏ ∂a<t>/∂a<t-1> of back-propagation through time: how they grow and vanish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kerasrnn.data.errors import check_numbers, whole_number
from kerasrnn.themes import LABEL_SIZE, check_choice, prepared_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = ("orthogonal", "symmetric", "gaussian")


def scaled_recurrent_kernel(
    units: int,
    *,
    singular_value: float | None = None,
    spectral_radius: float | None = None,
    kind: str = "orthogonal",
    seed: int = 0,
) -> np.ndarray:
    """A random recurrent kernel with the largest singular value or eigenvalue that is asked for.

    In a linear recurrence a<t> = a<t-1> W the product of k one-step Jacobians is the k-th power of
    Wᵀ. Its norm is at most the k-th power of the largest singular value, and grows in the long run
    by the largest eigenvalue in modulus, the spectral radius, at each step (Pascanu et al. 2013).

    Args:
        units: n, the length of the state.
        singular_value: the largest singular value, positive.
        spectral_radius: the largest modulus of an eigenvalue, positive; instead of
            `singular_value`.
        kind: which matrix is scaled:

            - "orthogonal": a random rotation. All singular values, and the moduli of all
              eigenvalues, are the number that is asked for, and so is the growth of each step.
            - "symmetric": one eigenvalue has the largest modulus, the others lie within half of it.
              Singular values are the moduli of eigenvalues here, so both largest ones are equal.
            - "gaussian": independent normal entries. The spectral radius is well below the largest
              singular value, about half of it for many units.
        seed: 0 or a positive integer.

    Returns:
        Array `(units, units)`, float64, in the layout of Keras's `recurrent_kernel`; as an
        initialiser: `recurrent_initializer=keras.initializers.Constant(kernel)`.

    Raises:
        ValueError: not exactly one of `singular_value` and `spectral_radius` is given, it is not
            positive and finite, or another argument is none of its choices.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.lens import scaled_recurrent_kernel
    >>> W = scaled_recurrent_kernel(4, singular_value=1.5, kind="gaussian")
    >>> float(np.linalg.norm(W, 2).round(6))
    1.5
    >>> W = scaled_recurrent_kernel(4, spectral_radius=0.9)
    >>> np.abs(np.linalg.eigvals(W)).round(6).tolist()
    [0.9, 0.9, 0.9, 0.9]
    """
    units = whole_number(units, "units", 1)
    seed = whole_number(seed, "seed", 0)
    check_choice("kind", kind, KINDS)
    if (singular_value is None) == (spectral_radius is None):
        raise ValueError(
            "Exactly one of `singular_value` and `spectral_radius` must be given. Received: "
            f"singular_value={singular_value!r}, spectral_radius={spectral_radius!r}"
        )
    name = "spectral_radius" if singular_value is None else "singular_value"
    wanted = spectral_radius if singular_value is None else singular_value
    if not (
        isinstance(wanted, int | float | np.number)
        and not isinstance(wanted, bool)
        and 0 < wanted < np.inf
    ):
        raise ValueError(f"`{name}` must be a positive number. Received: {name}={wanted!r}")
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(units, units))
    if kind != "gaussian":
        Q, R = np.linalg.qr(W)
        Q = Q * np.sign(np.diag(R))  # else not every rotation is as likely as any other
        if kind == "orthogonal":
            return wanted * Q
        eigenvalues = np.append(1.0, rng.uniform(-0.5, 0.5, units - 1))
        return wanted * (Q * eigenvalues) @ Q.T
    if name == "singular_value":
        return wanted * W / np.linalg.norm(W, 2)
    return wanted * W / np.abs(np.linalg.eigvals(W)).max()


# === Products ===


def products_of_windows(matrices: np.ndarray, lag: int) -> np.ndarray:
    """J<t> J<t-1> … J<t-lag+1> for every t that has so many factors.

    Args:
        matrices: `(…, time, m, m)`, J<1> to J<T>.
        lag: the number of factors, 1 to T.

    Returns:
        `(…, time - lag + 1, m, m)`.
    """
    # By squaring: `power` has products of 1, 2, 4, 8 … factors. What overflows is infinite or NaN.
    result, power = matrices, matrices
    length, factors = 0, 1  # of `result` and of `power`
    with np.errstate(over="ignore", invalid="ignore"):
        while True:
            if lag & factors:
                earlier = power[..., : -length or None, :, :]
                result = result[..., factors:, :, :] @ earlier if length else power
                length += factors
            if length == lag:
                return result
            power = power[..., factors:, :, :] @ power[..., :-factors, :, :]
            factors *= 2


def scaled_product(
    matrices: np.ndarray, product: np.ndarray | None = None, logarithm: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """J<T> … J<2> J<1> without overflow: a matrix, and the logarithm of what it is to be scaled by.

    Args:
        matrices: `(…, time, m, m)`.
        product: `(…, m, m)`, a product to go on from.
        logarithm: of what that is to be scaled by, `(…)`.
    """
    if product is None:
        product = np.broadcast_to(np.eye(matrices.shape[-1]), matrices[..., 0, :, :].shape)
    for t in range(matrices.shape[-3]):
        product = matrices[..., t, :, :] @ product
        size = np.abs(product).max(axis=(-2, -1))
        size = np.where(size > 0, size, 1.0)
        product = product / size[..., None, None]
        logarithm = logarithm + np.log(size)
    return product, np.asarray(logarithm)


def log_norms_of_products(matrices: np.ndarray) -> np.ndarray:
    """log ‖∂a<T>/∂a<T-k>‖₂ for k = 1, 2, … T, as the products go back from the last step.

    Args:
        matrices: `(…, time, n, n)`, the one-step Jacobians J<1> to J<T>, such as `matrices` of
            `state_jacobian` or, for an LSTM, `state_matrices`.

    Returns:
        `(…, time)`: entry k − 1 is the logarithm of the largest singular value of J<T> J<T-1> …
        J<T-k+1>. It neither overflows nor vanishes; −∞ where the product is 0.

    Raises:
        ValueError: these are no finite square matrices.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.lens import log_norms_of_products
    >>> np.exp(log_norms_of_products(np.stack([0.5 * np.eye(2)] * 3))).round(9).tolist()
    [0.5, 0.25, 0.125]
    """
    matrices = check_numbers(matrices, "matrices").astype("float64")
    if matrices.ndim < 3 or matrices.shape[-1] != matrices.shape[-2] or 0 in matrices.shape:
        raise ValueError(
            f"`matrices` must have the shape (…, time, n, n). Received shape {matrices.shape}."
        )
    if not np.isfinite(matrices).all():
        raise ValueError("`matrices` must be finite. They hold NaN or infinity.")
    # ‖Pᵀ‖ = ‖P‖, and the transposed product grows on the left as the others here.
    product, logarithm, norms = None, np.zeros(()), []
    for t in reversed(range(matrices.shape[-3])):
        factor = np.swapaxes(matrices[..., t : t + 1, :, :], -1, -2)
        product, logarithm = scaled_product(factor, product, logarithm)
        with np.errstate(divide="ignore"):
            norms.append(logarithm + np.log(np.linalg.norm(product, 2, axis=(-2, -1))))
    return np.stack(norms, axis=-1)


@dataclass(frozen=True, eq=False)
class JacobianProducts:
    """What `products_of_jacobians` returns.

    Attributes:
        singular_values: the largest singular values of the recurrent kernels, `(values,)`.
        activation: the name of g.
        log_norms: log ‖∂a<T>/∂a<T-k>‖₂ in nats, `(values, steps)`, for k = 1, 2, …
        log_bounds: k log σ of the largest singular value σ, of the same shape: no product of k
            factors is larger where g' is between −1 and 1, as of tanh and of a linear recurrence.
    """

    singular_values: np.ndarray
    activation: str
    log_norms: np.ndarray

    @property
    def log_bounds(self) -> np.ndarray:
        lags = np.arange(1, self.log_norms.shape[1] + 1)
        return np.log(self.singular_values)[:, None] * lags

    @property
    def growth(self) -> np.ndarray:
        """The factor a step, `(values,)`: the norm of the whole product to the power of 1/T."""
        return np.exp(self.log_norms[:, -1] / self.log_norms.shape[1])

    def plot(self, ax: Axes | None = None, theme: str | None = None) -> Axes:
        """Draw the norm of the product over the number of its factors, a line for each kernel.

        Dotted: the bound, the power of the largest singular value.

        Args:
            ax: axes to draw into; None for a new figure.
            theme: "light", "dark", or None for what suits the figure.

        Returns:
            The axes.
        """
        ax, colours = prepared_axes(ax, theme, (6.4, 3.6))
        lags = np.arange(1, self.log_norms.shape[1] + 1)
        nats = np.log(10)
        order = np.argsort(-self.singular_values, kind="stable")
        for number, row in enumerate(order):
            colour = colours.groups[number % len(colours.groups)]
            norms = np.where(np.isfinite(self.log_norms[row]), self.log_norms[row], np.nan)
            label = f"σ = {self.singular_values[row]:g}"
            marker = "o" if len(lags) == 1 else None
            ax.plot(lags, norms / nats, color=colour, lw=1.8, label=label, marker=marker)
            ax.plot(lags, self.log_bounds[row] / nats, color=colour, lw=1.2, ls=":")
        ax.axhline(0, color=colours.quiet, lw=0.8)
        ax.plot([], [], color=colours.quiet, lw=1.2, ls=":", label="σ to the power of k")
        ax.set_xlabel("Number of factors k")
        ax.set_ylabel("log₁₀ of the norm of ∂a<T>/∂a<T−k>")
        style(ax, colours)
        legend = ax.legend(
            frameon=False,
            fontsize=LABEL_SIZE,
            labelcolor=colours.text,
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            title=f"g: {self.activation}",
        )
        legend.get_title().set(color=colours.text, size=LABEL_SIZE)
        return ax


def products_of_jacobians(
    singular_values: Sequence[float] = (0.5, 0.9, 1.0, 1.1, 1.5),
    *,
    units: int = 32,
    steps: int = 100,
    activation: str = "tanh",
    kind: str = "orthogonal",
    input_scale: float = 0.1,
    seed: int = 0,
) -> JacobianProducts:
    r"""The products ∏ ∂a<t>/∂a<t-1> of simple RNNs with chosen largest singular values.

    In back-propagation through time, a loss at step T reaches the state k steps before through

    .. math::

        \frac{∂a^{<T>}}{∂a^{<T-k>}} = \prod_{t=T-k+1}^{T} \mathrm{diag}(g'(z^{<t>})) \, W_{aa}

    With g' between −1 and 1, as that of tanh, sech², the norm of the product is at most σ to the
    power of k: with a largest singular value σ of W_aa below 1 the gradient vanishes. Above 1 it
    may explode (Bengio et al. 1994; Pascanu et al. 2013); with tanh the factors sech² work against
    that as the states grow. With `activation="linear"` and an orthogonal kind the norm is exactly
    σ to the power of k.

    A `SimpleRNN` of this package with such a recurrent kernel reads one sequence of independent
    normal inputs, and `state_jacobian` takes the factors.

    Args:
        singular_values: the largest singular value of each recurrent kernel, positive.
        units: the length of the state.
        steps: T, the length of the sequence.
        activation: g, the name of one of Keras's.
        kind: "orthogonal", "symmetric" or "gaussian"; see `scaled_recurrent_kernel`.
        input_scale: the standard deviation of what is added to each pre-activation.
        seed: 0 or a positive integer.

    Returns:
        A `JacobianProducts`.

    Raises:
        ValueError: an argument is none of its choices, or the states overflow.

    Example:

    >>> from kerasrnn.lens import products_of_jacobians
    >>> products = products_of_jacobians([0.5, 2.0], units=4, steps=10, activation="linear")
    >>> products.growth.round(6).tolist()
    [0.5, 2.0]
    """
    from keras import initializers

    from kerasrnn.layers import SimpleRNN
    from kerasrnn.lens.jacobian import state_jacobian

    sizes = check_numbers(singular_values, "singular_values").astype("float64")
    if sizes.ndim != 1 or not len(sizes):
        raise ValueError(
            f"`singular_values` must be a list of numbers. Received: {singular_values!r}"
        )
    steps = whole_number(steps, "steps", 1)
    norms = []
    for size in sizes:
        kernel = scaled_recurrent_kernel(units, singular_value=size, kind=kind, seed=seed)
        layer = SimpleRNN(
            units,
            activation=activation,
            kernel_initializer="identity",
            recurrent_initializer=initializers.Constant(kernel),
            dtype="float64",
        )
        layer.build((1, steps, units))
        x = np.random.default_rng(seed).normal(0, input_scale, (1, steps, units))
        norms.append(log_norms_of_products(state_jacobian(layer, x).matrices[0]))
    name = activation if isinstance(activation, str) else getattr(activation, "__name__", "")
    return JacobianProducts(sizes, name, np.stack(norms))
