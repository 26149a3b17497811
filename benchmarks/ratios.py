"""Ratios between contenders, and how they compare with what the project aims at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from benchmarks.cases import (
    EXPORT,
    FIRST_CALL,
    INFERENCE,
    MEMORY,
    SHARED_CELLS,
    TRAINING,
)
from benchmarks.contenders import KERAS, KERAS_SERVED, ONNX, OURS, OURS_SERVED, TORCH
from benchmarks.results import Record, Results
from benchmarks.summary import best, geometric_mean, paired_ratio


class Comparison(NamedTuple):
    """Two sides, each the best of its contenders; the ratio is theirs / ours."""

    title: str
    theirs: tuple[str, ...]
    ours: tuple[str, ...]


BEST = Comparison("Keras", KERAS, OURS)
GRAPH = Comparison("Keras, graph", KERAS[:1], OURS[:1])
COMPILED = Comparison("Keras, XLA", KERAS[1:], OURS[1:])
PYTORCH = Comparison("PyTorch", (TORCH,), OURS)
ONNXRUNTIME = Comparison("onnxruntime", (ONNX,), OURS)
SERVED = Comparison("Keras, served", (KERAS_SERVED,), (OURS_SERVED,))
SERVED_ONNX = Comparison("onnxruntime", (ONNX,), (OURS_SERVED,))
COMPARISONS = (BEST, GRAPH, COMPILED, PYTORCH, ONNXRUNTIME, SERVED, SERVED_ONNX)


def ratio(record: Record, comparison: Comparison) -> float | None:
    """How many times as much as ours theirs needs, None if one of the two was not measured.

    PyTorch and onnxruntime are no opponents of an exported model by our layers' modes, nor the
    other way round: a comparison whose contenders are not in the record has no ratio.
    """
    theirs, ours = (best(record.rounds, names) for names in (comparison.theirs, comparison.ours))
    if theirs is None or ours is None:
        return None
    return paired_ratio(record.rounds[theirs], record.rounds[ours])


def records_of(results: Results, measure: str, cells: Iterable[str] | None = None) -> list[Record]:
    """The records of a measure, in the order in which they were taken."""
    wanted = None if cells is None else set(cells)
    return [
        record
        for record in results.records.values()
        if record.case.measure == measure and (wanted is None or record.case.cell in wanted)
    ]


def ratios_of(records: Sequence[Record], comparison: Comparison) -> list[float]:
    """The ratios of those records that have both sides."""
    found = (ratio(record, comparison) for record in records)
    return [value for value in found if value is not None]


# === Aims ===


class Aim(NamedTuple):
    """Something that the project wants to show."""

    measure: str
    wanted: str
    records: Callable[[Results], list[Record]]
    comparison: Comparison
    mean: float  # the least geometric mean
    worst: float = 0.0  # the least ratio of a single case
    why: str = ""  # the reason where the aim is not reached


class Outcome(NamedTuple):
    """What was found of an aim."""

    aim: Aim
    mean: float | None
    worst: float | None
    worst_case: str
    cases: int

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None if nothing was measured."""
        if self.mean is None or self.worst is None:
            return None
        return self.mean >= self.aim.mean and self.worst >= self.aim.worst


def _of(measure: str, *cells: str) -> Callable[[Results], list[Record]]:
    return lambda results: records_of(results, measure, cells or None)


AIMS = (
    Aim(
        "training step, the faster of graph and XLA on both sides; three shared cells",
        "≥ 2.5× as fast as Keras on average, ≥ 1.2× everywhere",
        _of(TRAINING, *SHARED_CELLS), BEST, 2.5, 1.2,
        "A simple RNN with 128 rows is mostly matrix products, which Keras's graph does in as "
        "many operations of the same library.",
    ),
    Aim(
        "training step of a simple RNN", "≥ 1.0× as fast as PyTorch",
        _of(TRAINING, "simple"), PYTORCH, 1.0, 1.0,
    ),
    Aim(
        "training step of a GRU, against PyTorch's own cell", "≥ 1.0× as fast as PyTorch",
        _of(TRAINING, "gru"), PYTORCH, 1.0, 1.0,
    ),
    Aim(
        "training step of an LSTM", "≥ 1.0× as fast as PyTorch",
        _of(TRAINING, "lstm"), PYTORCH, 1.0, 1.0,
        "PyTorch runs its LSTM on the CPU as one oneDNN primitive, which can keep the weights "
        "packed; that a product of TensorFlow or XLA packs them at every step is likely.",
    ),
    Aim(
        "training step of a bidirectional LSTM",
        "≥ 2.5× as fast as Keras",
        _of(TRAINING, "bidirectional"), BEST, 2.5, 0.0,
        "In a graph Keras's two directions probably run beside each other on the cores as well.",
    ),
    Aim(
        "exported LSTM", "≥ 3× as fast as Keras's", _of(EXPORT, "lstm"), SERVED, 3.0, 0.0,
        "The floor of a step made of TensorFlow operations is about 5 µs: 2.4 for the product with "
        "W, which is as long as reading W takes, and 0.15 to 0.35 for each of eleven others.",
    ),
    Aim(
        "exported LSTM",
        "≥ 0.5× as fast as onnxruntime (at most twice its time)",
        _of(EXPORT, "lstm"), SERVED_ONNX, 0.5, 0.0,
        "As above; onnxruntime computes a whole sequence in one operation.",
    ),
    Aim(
        "peak memory of training steps, the leaner of graph and XLA on both sides",
        "no more than Keras", _of(MEMORY), BEST, 1.0, 1.0,
        "The gradients of all pre-activations are kept until the products after the loop, where "
        "Keras's graph adds up weight gradients step by step. Segments as they were measured here "
        "were begun several at a time; since then they run one by one: see `memory/layers.md`.",
    ),
    Aim(
        "peak memory of training steps, both with XLA", "no more than Keras",
        _of(MEMORY), COMPILED, 1.0, 1.0,
    ),
    Aim(
        "first call, tracing and compiling, without XLA",
        "no longer than Keras",
        _of(FIRST_CALL), GRAPH, 1.0, 1.0,
        "A turn of the loop is four time steps, each of which is traced.",
    ),
    Aim(
        "first call, tracing and compiling, with XLA",
        "no longer than Keras",
        _of(FIRST_CALL), COMPILED, 1.0, 1.0,
    ),
)  # fmt: skip

# Not asked for, worth knowing.
ALSO = (
    Aim("inference; three shared cells", "", _of(INFERENCE, *SHARED_CELLS), BEST, 0.0),
    Aim("inference; three shared cells", "", _of(INFERENCE, *SHARED_CELLS), PYTORCH, 0.0),
    Aim("inference; three shared cells", "", _of(INFERENCE, *SHARED_CELLS), ONNXRUNTIME, 0.0),
    Aim("training step on right-padded batches", "", _of("masked"), BEST, 0.0),
)


def outcome(results: Results, aim: Aim) -> Outcome:
    """What the results say of an aim."""
    pairs = [
        (value, f"{record.case.cell} {record.case.point}")
        for record in aim.records(results)
        if (value := ratio(record, aim.comparison)) is not None
    ]
    if not pairs:
        return Outcome(aim, None, None, "", 0)
    worst, worst_case = min(pairs)
    return Outcome(aim, geometric_mean([v for v, _ in pairs]), worst, worst_case, len(pairs))
