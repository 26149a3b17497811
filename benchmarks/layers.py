"""Measures the layers of this project side by side with those of Keras, PyTorch and ONNX.

    python -m benchmarks.layers

Each peer lives in a process of its own, all with the same number of threads. They take turns:
round after round, each runs the same network on the same numbers for a moment while the others
wait, so that noise of the machine hits all alike, and ratios are taken within a round. Before it is
timed, every result is compared with ours.

Measures: `training` is the forward and backward pass with the gradients by the inputs and all
weights, float32; `inference` the forward pass; `masked` a training step on right-padded sequences
of skewed lengths; `first_call` the first training step, tracing and compiling included; `memory`
the growth of the process during training steps; `export` a SavedModel that TensorFlow's C library
runs with XLA off, as TF Serving does. The last three start from fresh processes.

The peers come with `pip install .[bench]`; one that is not installed is left out. Writes
`layers.json`, after each case, `layers.md` and `layers.png`.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import (
    CELLS,
    EXPORT,
    FIRST_CALL,
    MEASURES,
    MEMORY,
    QUICK_GRID,
    Case,
    Point,
)
from benchmarks.contenders import Contender, contenders_of, estimated_seconds, peers_of, plan
from benchmarks.peers import PEERS
from benchmarks.plot import plot_ratios
from benchmarks.processes import ROOT, PeerError, Pool
from benchmarks.report import markdown
from benchmarks.results import Record, Results, check_counts, code_digest, machine, today
from benchmarks.summary import largest_difference

# How far a peer's results may be from ours, relative to the largest value of each array.
TOLERANCE = 1e-4
# Seconds in which a peer's threads come to rest before the next peer is timed.
PAUSE = 0.02
FRESH_ROUNDS = {FIRST_CALL: 3, MEMORY: 1}


@dataclass(frozen=True)
class Settings:
    """How a run measures.

    Args:
        threads: threads of each peer.
        rounds: how often each contender has its turn.
        slice: seconds of a turn, one call at least.
    """

    threads: int = 2
    rounds: int = 7
    slice: float = 0.08


class Benchmark:
    """A run: its processes, its settings and what it has found.

    Args:
        pool: the processes of the peers.
        settings: how to measure.
        peers: those that take part.
        results: where records go.
    """

    def __init__(
        self, pool: Pool, settings: Settings, peers: Sequence[str], results: Results
    ) -> None:
        self._pool, self._settings, self._results = pool, settings, results
        self._modes: dict[str, list[str]] = {}
        pool.start(peers, fresh=True)
        for peer in peers:
            hello = pool.worker(peer, fresh=True).hello
            if "missing" in hello:
                results.note(f"{peer} is left out: it is not installed ({hello['missing']}).")
            else:
                self._modes[peer] = hello["modes"]
                results.versions |= hello["versions"]

    @property
    def peers(self) -> list[str]:
        """The peers that are at hand."""
        return list(self._modes)

    def contenders(self, case: Case) -> int:
        """How many contenders a case has."""
        if case.measure == EXPORT:
            return len(peers_of(case, self.peers))
        return len(contenders_of(case, self._modes))

    def renew(self) -> None:
        """Replace the processes that take turns by new ones, free of what they have compiled."""
        self._pool.close(fresh=False)

    def run(self, case: Case) -> Record:
        """Measure one case; what fails becomes a note of the record."""
        record = Record(case)
        with tempfile.TemporaryDirectory() as folder:
            if case.measure in FRESH_ROUNDS:
                self._measure_fresh(record, contenders_of(case, self._modes))
            elif case.measure == EXPORT:
                self._take_turns(record, self._export(record, folder), Path(folder))
            else:
                self._take_turns(record, contenders_of(case, self._modes), Path(folder))
        return record

    def _take_turns(self, record: Record, contenders: Sequence[Contender], folder: Path) -> None:
        """Let the contenders run in turn, in another order in every round."""
        calls = self._prepare(record, contenders, folder)
        order = list(calls)
        for _ in range(self._settings.rounds):
            for contender in tuple(order):
                time.sleep(PAUSE)
                try:
                    reply = self._pool.worker(contender.peer).ask(
                        "measure", mode=contender.mode, calls=calls[contender]
                    )
                except PeerError as error:
                    _drop(record, contender, str(error))
                    order.remove(contender)
                    continue
                record.rounds.setdefault(contender.name, []).append(reply["value"])
            order = order[1:] + order[:1]
        for peer in {contender.peer for contender in order}:
            self._pool.worker(peer).ask("release")

    def _prepare(
        self, record: Record, contenders: Sequence[Contender], folder: Path
    ) -> dict[Contender, int]:
        """Build the network everywhere and compare results; contender -> calls in a turn."""
        self._pool.start({contender.peer for contender in contenders})
        calls: dict[Contender, int] = {}
        expected: dict[str, np.ndarray] | None = None
        for contender in contenders:
            check = folder / f"{contender.name}.npz"
            try:
                reply = self._pool.worker(contender.peer).ask(
                    "prepare",
                    case=record.case.to_dict(),
                    mode=contender.mode,
                    slice=self._settings.slice,
                    check=str(check),
                )
            except PeerError as error:
                _drop(record, contender, str(error))
                continue
            found = _arrays(check)
            if _is_another_cell(record.case, contender):
                record.notes.append("torch: its GRU is another cell; timed, not compared.")
            elif expected is None:
                expected = found
            else:
                difference = largest_difference(expected, found)
                record.differences[contender.name] = float(f"{difference:.2g}")
                if not difference <= TOLERANCE:
                    _drop(record, contender, f"{contender.name}: wrong by {difference:.1e}.")
                    continue
            calls[contender] = reply["calls"]
            record.extra[contender.name] = {"calls": reply["calls"]}
        return calls

    def _measure_fresh(self, record: Record, contenders: Sequence[Contender]) -> None:
        """Measure in processes that have imported their library and done nothing with it."""
        order = list(contenders)
        for _ in range(FRESH_ROUNDS[record.case.measure]):
            for contender in tuple(order):
                time.sleep(PAUSE)
                try:
                    reply = self._pool.worker(contender.peer, fresh=True).ask(
                        record.case.measure, case=record.case.to_dict(), mode=contender.mode
                    )
                except PeerError as error:
                    _drop(record, contender, str(error))
                    order.remove(contender)
                    continue
                record.rounds.setdefault(contender.name, []).append(reply.pop("value"))
                record.extra[contender.name] = {k: round(v, 1) for k, v in reply.items()}
            order = order[1:] + order[:1]

    def _export(self, record: Record, folder: str) -> list[Contender]:
        """Export the network from each library that can, and say who runs it."""
        contenders = []
        for peer in peers_of(record.case, self.peers):
            if peer == "onnxruntime":
                contenders.append(Contender(peer, self._modes[peer][0]))
                continue
            served = Contender(f"{peer}-served", f"{folder}/{peer}")
            try:
                self._pool.worker(peer, fresh=True).ask(
                    "export", case=record.case.to_dict(), path=served.mode
                )
            except PeerError as error:
                _drop(record, served, str(error))
            else:
                contenders.append(served)
        return contenders


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _drop(record: Record, contender: Contender, reason: str) -> None:
    """Take a contender out of a record, and say why."""
    record.rounds.pop(contender.name, None)
    record.extra.pop(contender.name, None)
    record.notes.append(f"{contender.name} is left out: {reason}")


def _is_another_cell(case: Case, contender: Contender) -> bool:
    """Whether PyTorch's GRU, with its reset gate after the product, stands in for ours."""
    return case.cell == "gru" and contender.peer == "torch"


# === The command line ===


def write(results: Results, folder: Path) -> None:
    """Write the table and the plot of what there is."""
    (folder / "layers.md").write_text(markdown(results), "utf-8")
    with contextlib.suppress(ValueError):
        plot_ratios(results, folder / "layers.png")


def main(arguments: Sequence[str] | None = None) -> Results:
    """The command line."""
    given = _parse(arguments)
    folder = Path(given.out)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "layers.json"
    if given.report_only:
        results = Results.load(path)
        write(results, folder)
        return results
    settings = Settings(given.threads, given.rounds, given.slice)
    command = shlex.join(["python", "-m", "benchmarks.layers", *(arguments or sys.argv[1:])])
    results = Results(
        machine(), {}, {**vars(settings), "code": code_digest()}, command, started=today()
    )
    cases = plan(given.measures, given.cells, given.points)
    with Pool(settings.threads) as pool:
        benchmark = Benchmark(pool, settings, given.peers, results)
        if given.resume and path.exists():
            results.resume(Results.load(path))
        _run_all(benchmark, cases, results, path)
    write(results, folder)
    print(f"Written: {folder}/layers.json, layers.md, layers.png")
    return results


def _run_all(benchmark: Benchmark, cases: Sequence[Case], results: Results, path: Path) -> None:
    settings = results.settings
    cases = [case for case in cases if case.key not in results.records]
    guesses = [
        estimated_seconds(
            case,
            benchmark.contenders(case),
            FRESH_ROUNDS.get(case.measure, settings["rounds"]),
            settings["slice"],
        )
        for case in cases
    ]
    print(f"{len(cases)} cases, about {sum(guesses) / 60:.0f} minutes on two quiet cores")
    begin = time.monotonic()
    for index, case in enumerate(cases):
        if index and case.cell != cases[index - 1].cell:
            benchmark.renew()
        record = benchmark.run(case)
        if record.rounds or record.notes:
            results.records[case.key] = record
            results.save(path)
        spent = time.monotonic() - begin
        # What is left, at the pace of what was done.
        left = sum(guesses[index + 1 :]) * spent / sum(guesses[: index + 1])
        print(f"{_line(record)}  [{spent / 60:.1f} min, {left / 60:.1f} to go]", flush=True)


def _line(record: Record) -> str:
    values = record.to_dict()
    figures = ", ".join(
        f"{name} {entry['median']:.4g}" for name, entry in values["contenders"].items()
    )
    notes = "".join(f"\n  {note}" for note in record.notes)
    return f"{record.case.key}: {figures} {values['unit']}{notes}"


def _parse(arguments: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument(
        "--points",
        nargs="+",
        type=_point,
        metavar="B,T,IN,UNITS",
        help="sizes for all measures, instead of the grid of each",
    )
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=Settings.rounds)
    parser.add_argument("--threads", type=int, default=Settings.threads)
    parser.add_argument(
        "--slice", type=float, default=Settings.slice, help="seconds of a turn (default 0.08)"
    )
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results"), metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does all of it run?")
    parser.add_argument("--resume", action="store_true", help="go on with what DIR holds")
    parser.add_argument(
        "--report-only", action="store_true", help="write table and plot again, measure nothing"
    )
    given = parser.parse_args(arguments)
    check_counts(parser, given, "rounds", "threads")
    if given.quick:
        given.points = given.points or list(QUICK_GRID)
        given.rounds, given.slice = min(given.rounds, 2), 0.01
    return given


def _point(text: str) -> Point:
    try:
        return Point.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    main()
