"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing swept
    fcntl = None  # type: ignore[assignment]

# linux/fs.h: renameat2 swaps two paths in one step.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextlib.contextmanager
def replacing_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that `path` holds either the old content or the new, never a part.

    Args:
        path: The file to write. Its folder is made where it is missing.

    Yields:
        A path beside `path` to write to. It takes the place of `path` when the block ends
        without an error and is removed otherwise.

    Example:

    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp(), "metrics.json")
    >>> with replacing_file(target) as temporary:
    ...     _ = temporary.write_text("{}")
    >>> target.read_text()
    '{}'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    while True:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=f".tmp{target.suffix}", dir=target.parent
        )
        if _lock(handle, name):
            break
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # or a power cut could leave an empty file under the new name
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a folder so that `path` holds either the old folder or the new, never a mixture.

    Args:
        path: The folder to write. What was there before is removed once the new one is in place.

    Yields:
        An empty folder beside `path` to fill. It takes the place of `path` when the block ends
        without an error and is removed otherwise.

    Raises:
        FileExistsError: if `path` is a file.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"`path` must name a folder, but {target} is a file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target)
    while True:
        name = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        handle = os.open(name, os.O_RDONLY) if fcntl is not None else None
        if handle is None or _lock(handle, name):
            break
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        if target.exists():
            _exchange(temporary, target)  # what was at `target` is now at `temporary`
        else:
            os.rename(temporary, target)
    finally:
        if handle is not None:
            os.close(handle)
        shutil.rmtree(temporary, ignore_errors=True)


def reserve(folder: str | os.PathLike[str], size: int) -> None:
    """Raise an OSError unless a file of a size can be written, such as on a disk that is full.

    For libraries that do not bear it: HDF5 ends the process when it cannot write.

    Args:
        folder: Where the file is to be.
        size: Its size in bytes.
    """
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed has left of its attempt to write a file or folder.

    `replacing_file` and `replacing_folder` do so for what they write. What another process is
    writing at this moment is let alone: the system holds a lock for it as long as it lives.

    Args:
        path: The file or folder that was to be written.
    """
    target = Path(path)
    ours = {  # as they are named above; tempfile puts in eight characters
        (f".{target.stem}.", f".tmp{target.suffix}"),
        (f".{target.name}.", ".tmp"),
    }
    for prefix, suffix in ours if fcntl is not None else ():
        pattern = f"{glob.escape(prefix)}{'[a-z0-9_]' * 8}{glob.escape(suffix)}"
        for left in target.parent.glob(pattern):
            with contextlib.suppress(OSError):
                handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if left.is_dir():
                        shutil.rmtree(left, ignore_errors=True)
                    else:
                        left.unlink()
                finally:
                    os.close(handle)


def _lock(handle: int, name: str) -> bool:
    """Lock a new file or folder, as long as `handle` is open; False if it was swept before."""
    if fcntl is not None:
        # Some network file systems have no locks: nothing is swept there either.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
    if os.path.exists(name):
        return True
    os.close(handle)
    return False


def _exchange(first: Path, second: Path) -> None:
    """Swap two folders, in one step where the system can."""
    with contextlib.suppress(AttributeError, OSError):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        names = os.fsencode(first), os.fsencode(second)
        if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
            return
    aside = first.with_name(first.name + ".old")
    os.rename(second, aside)
    os.rename(first, second)
    os.rename(aside, first)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
