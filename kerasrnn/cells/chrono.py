"""The chrono initialiser: biases spread over the time scales that a task needs."""

import random
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerasrnn")
class Chrono(keras.initializers.Initializer):
    r"""Bias initialiser for gated cells that must remember for up to `max_length` steps.

    A forget gate that stands at :math:`\sigma(b)` keeps a memory for about
    :math:`1 / (1 - \sigma(b)) = 1 + e^b` steps. Drawing

    .. math:: b \sim \log \mathcal{U}(1, T_{max} - 1)

    spreads the units over all time scales up to :math:`T_{max}` (Tallec & Ollivier 2018, "Can
    recurrent neural networks warp time?", section 4). Given as `bias_initializer`, a cell uses it
    as follows and starts its other biases at zero:

    - `LSTMCell`: :math:`b_f = b`, :math:`b_u = -b`;
    - `GRUCell`, `SimplifiedGRUCell`: :math:`b_u = -b`, for :math:`\Gamma_u` takes the new value.

    Args:
        max_length: the longest dependency in time steps, at least 3.
        seed: integer, or a `keras.random.SeedGenerator`.

    Raises:
        ValueError: `max_length` is less than 3.

    Example:

    >>> import keras
    >>> from kerasrnn.cells import Chrono, LSTMCell
    >>> cell = LSTMCell(4, bias_initializer=Chrono(max_length=100))
    >>> cell.build((None, 3))
    >>> bool(keras.ops.all(cell.bias[4:8] == -cell.bias[:4]))
    True
    """

    def __init__(self, max_length: int, seed: Any = None) -> None:
        if max_length < 3:
            raise ValueError(
                f"`max_length` must be at least 3. Received: max_length={max_length!r}"
            )
        self.max_length = max_length
        if isinstance(seed, dict):
            seed = keras.saving.deserialize_keras_object(seed)
        self.seed = seed
        # `keras.utils.set_random_seed` seeds Python's generator too.
        self._seed = random.randint(1, 10**9) if seed is None else seed

    def __call__(self, shape, dtype=None):
        """b for `shape` units, all between 0 and log(max_length − 1)."""
        steps = keras.random.uniform(shape, 1.0, self.max_length - 1.0, seed=self._seed)
        return ops.cast(ops.log(steps), dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        # Without a seed, each copy draws its own: a backward layer, say, differs from its forward.
        seed = keras.saving.serialize_keras_object(self.seed)
        return {"max_length": self.max_length, "seed": seed}
