"""The products ∏ ∂a<t>/∂a<t-1> of back-propagation through time: how they grow and vanish."""

from __future__ import annotations

import numpy as np

from kerasrnn.data.errors import whole_number
from kerasrnn.themes import check_choice

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
