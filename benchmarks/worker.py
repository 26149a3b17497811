"""The process of one peer: answers the requests of `benchmarks.layers`, a line of JSON each."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from benchmarks import memory
from benchmarks.cases import Case
from benchmarks.peers import Peer, Runner, open_peer

MAX_CALLS = 50
STEPS = 3


class Session:
    """What one process knows: its peer and the networks that are ready to run."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._runners: dict[str, Runner] = {}

    def prepare(self, case: dict[str, Any], mode: str, slice: float, check: str) -> dict[str, Any]:
        """Build, compile and warm up a network, and save what it returns to a file.

        Returns:
            `calls`, how many calls fill `slice` seconds.
        """
        runner = self._runners[mode] = self._peer.runner(Case.from_dict(case), mode)
        results: dict[str, Any] = runner.results()
        np.savez(check, **results)
        runner()
        seconds = min(_timed(runner) for _ in range(3))
        return {"calls": min(MAX_CALLS, max(1, math.ceil(slice / seconds)))}

    def measure(self, mode: str, calls: int) -> dict[str, Any]:
        """The median time of some calls one after the other, in milliseconds."""
        runner = self._runners[mode]
        gc.collect()
        gc.disable()
        try:
            if calls > 1:
                runner()  # caches are cold after another process has had the cores
            times = [_timed(runner) for _ in range(calls)]
        finally:
            gc.enable()
        return {"value": 1e3 * float(np.median(times))}

    def release(self) -> dict[str, Any]:
        """Forget all networks."""
        self._runners.clear()
        gc.collect()
        return {}

    # === Only in a fresh process ===

    def first_call(self, case: dict[str, Any], mode: str) -> dict[str, Any]:
        """The time of a network's first call, tracing and compiling included, in milliseconds."""
        self._peer.warm_up(mode)
        runner = self._peer.runner(Case.from_dict(case), mode)
        return {"value": 1e3 * _timed(runner)}

    def memory(self, case: dict[str, Any], mode: str) -> dict[str, Any]:
        """How far the resident set grows over that of the imported library, in megabytes.

        Returns:
            `value`, the largest growth during later steps; `with_first_call`, that of the whole
            time since the library was ready; `baseline`, the resident set then.
        """
        self._peer.warm_up(mode)
        _trim()
        memory.reset_peak()
        baseline = memory.resident()
        runner = self._peer.runner(Case.from_dict(case), mode)
        runner()
        runner()
        whole = memory.peak()
        _trim()
        memory.reset_peak()
        for _ in range(STEPS):
            runner()
        steps = memory.peak()
        return {
            "value": steps - baseline,
            "with_first_call": max(whole, steps) - baseline,
            "baseline": baseline,
        }

    def export(self, case: dict[str, Any], path: str) -> dict[str, Any]:
        """Write a network as a SavedModel."""
        self._peer.export(Case.from_dict(case), path)
        return {}


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _trim() -> None:
    """Give memory that was freed back to the system, so that it counts for nobody (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def answer(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request, or `error` with the reason that there is none."""
    request = dict(request)
    try:
        return getattr(session, request.pop("do"))(**request)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def answer_in_fork(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """The reply of a new process that has imported the library and done nothing with it."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with os.fdopen(write_end, "w") as pipe:
            json.dump(answer(session, request), pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if not text:
        code = os.waitstatus_to_exitcode(status)
        return {"error": f"The process ended with exit status {code} and no answer."}
    return json.loads(text)


def pin(threads: int) -> None:
    """Keep this process on as many cores as it may have threads, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def serve(requests: TextIO, replies: TextIO, name: str, threads: int, fresh: bool) -> None:
    """Say hello, then answer until there are no more requests.

    Args:
        requests: where requests come from.
        replies: where replies go.
        name: of the peer.
        threads: threads to compute with.
        fresh: whether each request is answered in a process of its own.
    """

    def reply(values: dict[str, Any]) -> None:
        replies.write(json.dumps(values) + "\n")
        replies.flush()

    try:
        peer = open_peer(name, threads)
    except ImportError as error:
        reply({"missing": str(error)})
        return
    reply({"modes": peer.modes(), "versions": peer.versions()})
    session = Session(peer)
    for line in requests:
        reply((answer_in_fork if fresh else answer)(session, json.loads(line)))


def main() -> None:
    """The command line; used by `benchmarks.processes`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--fresh", action="store_true", help="answer each in a new process")
    given = parser.parse_args()
    # What libraries print must not end up between the replies.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    pin(given.threads)
    serve(sys.stdin, replies, given.peer, given.threads, given.fresh)


if __name__ == "__main__":
    main()
