"""The states that training carries from one part of a long sequence to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf


class CarriedStates:
    """Where a training step finds the states that the step before has left.

    They are no weights: neither a checkpoint nor a preset has them, and an epoch begins with zeros.

    Args:
        like: the states of any number of rows.
        rows: how many rows they have; None for fewer and fewer, as sequences end. XLA knows
            variables of one shape alone.
    """

    def __init__(self, like: Sequence[Any], rows: int | None = None) -> None:
        self.variables = [
            tf.Variable(
                tf.zeros((rows or 0, state.shape[-1]), state.dtype),
                shape=(rows, state.shape[-1]),
                trainable=False,
            )
            for state in like
        ]

    def read(self, start: tf.Tensor, rows: Any) -> list[tf.Tensor]:
        """The states of the first so many rows.

        Args:
            start: whether the sequences begin here: their states are zeros.
            rows: how many rows are left.
        """
        return [
            tf.cond(
                start,
                lambda variable=variable: tf.zeros((rows, variable.shape[-1]), variable.dtype),
                lambda variable=variable: variable.value()[:rows],
            )
            for variable in self.variables
        ]

    def write(self, states: Iterable[tf.Tensor]) -> None:
        """Keep the states that a step has left."""
        for variable, state in zip(self.variables, states, strict=True):
            variable.assign(state)
