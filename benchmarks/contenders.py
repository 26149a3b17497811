"""Who takes part in which case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.cases import (
    BIDIRECTIONAL_GRID,
    BLOCKS,
    EXPORT,
    EXPORT_GRID,
    FIRST_CALL,
    FIRST_CALL_GRID,
    GRID,
    INFERENCE,
    LONG,
    MASKED,
    MASKED_GRID,
    MEMORY,
    MEMORY_GRID,
    TRAINING,
    Case,
    Point,
)

SEGMENTS = "graph-segments"
OURS = ("kerasrnn-graph", "kerasrnn-xla")
KERAS = ("keras-graph", "keras-xla")
OURS_SERVED, KERAS_SERVED = "kerasrnn-served", "keras-served"
TORCH, ONNX, OURS_IN_SEGMENTS = "torch", "onnxruntime", "kerasrnn-graph-segments"

# Cells of which each measure is taken, where not of all.
_CELLS = {
    MASKED: ("lstm", "gru"),
    FIRST_CALL: ("simple", "gru", "lstm", "bidirectional"),
    MEMORY: ("simple", "gru", "lstm"),
}
_PEERS = {
    TRAINING: ("kerasrnn", "keras", "torch"),
    INFERENCE: ("kerasrnn", "keras", "torch", "onnxruntime"),
    MASKED: ("kerasrnn", "keras"),
    FIRST_CALL: ("kerasrnn", "keras"),
    MEMORY: ("kerasrnn", "keras", "torch"),
    EXPORT: ("kerasrnn", "keras", "onnxruntime"),
}
_GRIDS = {
    MASKED: MASKED_GRID,
    FIRST_CALL: FIRST_CALL_GRID,
    MEMORY: MEMORY_GRID,
    EXPORT: EXPORT_GRID,
}


class Contender(NamedTuple):
    """A peer in one of its modes."""

    peer: str
    mode: str

    @property
    def name(self) -> str:
        """How tables call it: a peer of one mode by its own name."""
        if self.mode in ("eager", "session") or self.peer.endswith("-served"):
            return self.peer
        return f"{self.peer}-{self.mode}"


def plan(
    measures: Sequence[str], cells: Sequence[str], points: Sequence[Point] | None = None
) -> list[Case]:
    """The cases of a run, those of a cell together.

    Args:
        measures: some of `MEASURES`.
        cells: some of `CELLS`.
        points: sizes for all measures; None for the grid of each.
    """
    cases = []
    for cell in cells:
        for measure in measures:
            if cell not in _CELLS.get(measure, cells):
                continue
            grid: Sequence[Point] = _GRIDS.get(measure, GRID)
            if cell == "bidirectional" and measure in (TRAINING, INFERENCE):
                grid = BIDIRECTIONAL_GRID
            cases += [Case(measure, cell, point) for point in points or grid]
    return cases


def peers_of(case: Case, available: Sequence[str]) -> list[str]:
    """Which of the available peers have a network like that of a case."""
    if case.cell == "simplified_gru":
        available = [peer for peer in available if peer == "kerasrnn"]
    return [peer for peer in _PEERS[case.measure] if peer in available]


def contenders_of(case: Case, modes: Mapping[str, Sequence[str]]) -> list[Contender]:
    """Peers and modes for a case.

    Args:
        case: the case; not one of `EXPORT`, where the mode is a folder.
        modes: peer -> the modes that it has, for all that are at hand.
    """
    saves_memory = case.measure in (TRAINING, MEMORY) and case.point.time >= LONG
    return [
        Contender(peer, mode)
        for peer in peers_of(case, list(modes))
        for mode in modes[peer]
        if mode != SEGMENTS or saves_memory
    ]


def estimated_seconds(case: Case, contenders: int, rounds: int, slice: float) -> float:
    """A rough guess of how long a case takes on two cores, to tell users what they wait for."""
    batch, time, input_dim, units = case.point
    columns = BLOCKS[case.cell] * units
    operations = 2 * batch * time * (input_dim + units) * columns * case.directions
    call = operations / 8e10 + 5e-5 * time * case.directions
    if case.trains:
        call *= 3
    if case.measure in (FIRST_CALL, MEMORY):
        return contenders * rounds * (3 + 5 * call)
    return contenders * (2 + 6 * call + rounds * max(slice + call, call))
