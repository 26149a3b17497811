"""The other end of `benchmarks.worker`: starts the process of each peer and asks it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 600.0


class PeerError(RuntimeError):
    """A peer could not do what it was asked for."""


def environment(threads: int) -> dict[str, str]:
    """The environment of every worker: the same threads for all, no GPU."""
    count = str(threads)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
    }


class Worker:
    """A process that holds one peer.

    Args:
        peer: its name.
        threads: threads to compute with.
        fresh: whether each request is answered in a process of its own.
        timeout: seconds after which a request is given up and the process ended.
    """

    def __init__(
        self, peer: str, threads: int, *, fresh: bool = False, timeout: float = TIMEOUT
    ) -> None:
        self.peer = peer
        self._timeout = timeout
        self._hello: dict[str, Any] | None = None
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed by `close`
        command = [sys.executable, "-m", "benchmarks.worker", peer, "--threads", str(threads)]
        self._process = subprocess.Popen(
            [*command, *(["--fresh"] if fresh else [])],
            cwd=ROOT,
            env=environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    @property
    def hello(self) -> dict[str, Any]:
        """What the process said when it was ready: `modes` and `versions`, or `missing`."""
        if self._hello is None:
            self._hello = self._read()
        return self._hello

    @property
    def alive(self) -> bool:
        """Whether the process can still be asked."""
        return self._process.poll() is None

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for its reply.

        Raises:
            PeerError: the peer failed, ended or did not answer in time.
        """
        assert self._process.stdin is not None
        if "missing" in self.hello:
            raise PeerError(f"{self.peer} is not installed: {self.hello['missing']}")
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError(
                f"The process of {self.peer} has ended. {self._last_words()}"
            ) from error
        reply = self._read()
        if "error" in reply:
            raise PeerError(f"{self.peer}: {reply['error']}")
        return reply

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # A request that the process did not live to read is still in the buffer.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(self._timeout, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise PeerError(f"The process of {self.peer} gave no answer. {self._last_words()}")
        return json.loads(line)

    def _last_words(self) -> str:
        self._log.seek(0)
        return " / ".join(self._log.read().splitlines()[-5:])


class Pool:
    """The workers of all peers, started when first asked for.

    Args:
        threads: threads that each may compute with.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._workers: dict[tuple[str, bool], Worker] = {}

    def start(self, peers: Iterable[str], *, fresh: bool = False) -> None:
        """Start the processes of several peers side by side, and wait until all are ready."""
        workers = [self._worker(peer, fresh) for peer in peers]
        for worker in workers:
            _ = worker.hello

    def worker(self, peer: str, *, fresh: bool = False) -> Worker:
        """The process of a peer, or a new one if it has ended."""
        return self._worker(peer, fresh)

    def close(self, *, fresh: bool | None = None) -> None:
        """End all processes, or only those that do, or do not, answer in new processes."""
        for key in list(self._workers):
            if fresh is None or key[1] == fresh:
                self._workers.pop(key).close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _worker(self, peer: str, fresh: bool) -> Worker:
        worker = self._workers.get((peer, fresh))
        missing = worker is not None and "missing" in worker.hello
        if worker is None or not (worker.alive or missing):
            if worker is not None:
                worker.close()
            worker = self._workers[peer, fresh] = Worker(peer, self._threads, fresh=fresh)
        return worker
