"""The memory of this process."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

MEGABYTE = 2**20


def peak() -> float:
    """The largest resident set so far, or since `reset_peak`, in megabytes."""
    # `getrusage` counts what the process was started from too, and cannot be reset.
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def resident() -> float:
    """The resident set now, in megabytes; the peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak()
    return pages * resource.getpagesize() / MEGABYTE


def reset_peak() -> None:
    """Start the peak anew from what is resident now, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
