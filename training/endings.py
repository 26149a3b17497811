"""How a run ends before its time: interrupts, divergence, and errors that become a line of text."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from rich.console import Console

from kerasrnn.extras import BackendError


class Interrupted(Exception):
    """The run was asked to stop by a signal. Its last checkpoint is whole."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class Diverged(Exception):
    """The loss or the weights are no finite numbers any more. The last good checkpoint is kept."""


class InterruptGuard:
    """Turns SIGINT and SIGTERM into a request to stop at the next safe place.

    A second signal ends the program at once, as it would without the guard.

    Example:

    ```python
    with InterruptGuard() as guard:
        for _ in work:
            guard.check()  # raises Interrupted after a signal
    ```
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> InterruptGuard:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come."""
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    def _note(self, number: int, frame: Any) -> None:
        self.signal_number = number
        for other, handler in self._previous.items():
            signal.signal(other, handler)


def make_console() -> Console:
    """Where scripts print: in colour on a terminal, plain elsewhere and under `NO_COLOR`."""
    if sys.stdout.isatty():
        return Console()
    # Not as narrow as the 80 columns that would be guessed: a log must not cut its tables. Nor are
    # lines wrapped or filled up: those of a text are its own.
    return Console(width=110, soft_wrap=True)


@contextlib.contextmanager
def reporting_errors(
    console: Console, command: str, out: Callable[[], str | None]
) -> Iterator[None]:
    """Turn a script's expected errors into a line of text and an exit status.

    Args:
        console: where to print.
        command: how the script was started, such as `python -m training.tagger`.
        out: returns the run's folder, for the command that goes on.
    """
    try:
        yield
    except Interrupted as stop:
        console.print(
            f"\n{stop}.{_going_on(command, out())}",
            highlight=False,
            markup=False,
            soft_wrap=True,  # a command must stay in one line
        )
        raise SystemExit(128 + stop.signal_number) from stop
    except KeyboardInterrupt as stop:  # before the training, or after it
        folder = out()
        more = _going_on(command, folder) if _has_checkpoint(folder) else ""
        _print_error(command, f"{Interrupted(signal.SIGINT)}.{more}")
        raise SystemExit(128 + signal.SIGINT) from stop
    except (ValueError, FileNotFoundError, FileExistsError, ImportError, BackendError) as error:
        _print_error(command, error)
        raise SystemExit(2) from error
    except Diverged as error:
        _print_error(command, error)
        raise SystemExit(1) from error
    # TensorFlow and HDF5 write files by themselves, and have errors of their own for a full disk.
    except (OSError, RuntimeError, MemoryError, tf.errors.OpError) as error:
        if not isinstance(error, OSError) and not _is_of_a_file(error):
            if not isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
                raise
            _print_error(
                command,
                "There is not enough memory for what the flags ask for. Try a smaller --units or "
                f"--batch-size. {getattr(error, 'message', '') or error}",
            )
            raise SystemExit(1) from error
        folder = out()
        more = f" ({folder})." if folder else "."
        if _has_checkpoint(folder):
            more += _going_on(command, folder)
        _print_error(command, f"{error}{more}")
        raise SystemExit(1) from error


def _going_on(command: str, folder: str | None) -> str:
    return f" Go on with: {command} --out {shlex.quote(folder or '')} --resume"


def _has_checkpoint(folder: str | None) -> bool:
    return bool(folder) and (Path(folder or "") / "checkpoints" / "latest.npz").exists()


def _is_of_a_file(error: Exception) -> bool:
    """Whether an error of a library is one of the system's, whose words are in its message."""
    codes = (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
        errno.EIO,
    )
    return any(os.strerror(code) in str(error) for code in codes)


def _print_error(command: str, error: object) -> None:
    # A broken standard error must not turn a message into a traceback.
    with contextlib.suppress(OSError):
        text = " ".join(str(error).split())
        Console(stderr=True, soft_wrap=True).print(
            f"{command.removeprefix('python -m ')}: {text}", highlight=False, markup=False
        )
