"""Moves a finished folder into place as a version, whole or not at all.

A server polls `<path>` and loads each folder there whose name is a number. So a version is built
in a folder of another name beside it, on the same file system, and renamed: one step for whoever
looks.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import operator
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: folders of killed exports are then left for the user to remove
    fcntl = None  # type: ignore[assignment]

STAGING_PREFIX = ".kerasrnn-export-"

# A staging folder this young may belong to an export that has not taken its lock yet.
_GRACE_SECONDS = 60.0

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def existing_versions(path: Path) -> dict[int, Path]:
    """The versions in a model's folder, as a server reads them: `007` is version 7."""
    if not path.is_dir():
        return {}
    return {
        int(entry.name): entry
        for entry in path.iterdir()
        if entry.name.isascii() and entry.name.isdecimal()
    }


def check_version(version: int | None) -> int | None:
    """Returns a version number as int, or None for the next free one.

    Raises:
        ValueError: not a positive integer that fits 64 bits.
    """
    if version is None:
        return None
    try:
        number = 0 if isinstance(version, bool) else operator.index(version)
    except TypeError:
        number = 0
    if not 0 < number < 1 << 63:
        raise ValueError(
            "`version` must be a positive integer, or None for the next free one. "
            f"Received: {version!r}."
        )
    return number


def check_free(path: Path, version: int | None, overwrite: bool) -> None:
    """Raises FileExistsError where a version exists that may not be replaced.

    Only a version is replaced: a folder whose name happens to be a number stays, with what it has.
    """
    taken = None if version is None else existing_versions(path).get(version)
    if taken is None or version is None:
        return
    if not overwrite:
        raise _taken(taken, version)
    if not taken.is_dir() or (any(taken.iterdir()) and not (taken / "saved_model.pb").is_file()):
        raise FileExistsError(
            f"'{taken}' holds something else than a SavedModel, which stays. "
            "Give another `version`, or remove it first."
        )


def _taken(place: Path, version: int) -> FileExistsError:
    return FileExistsError(
        f"Version {version} exists: '{place}'. Give another `version`, None for the next free one, "
        "or overwrite=True."
    )


@contextlib.contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A folder inside `path` to build a version in, removed at the end whatever happens.

    What an earlier export that was killed left in `path` is removed too. Folders made for `path`
    itself go again if the body fails.
    """
    made = [parent for parent in (path, *path.parents) if not parent.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        _sweep(path)
        folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=path))
        try:
            with (folder / "lock").open("wb") as lock:
                if fcntl is not None:
                    # Some network file systems have no locks: such a folder is not swept either.
                    with contextlib.suppress(OSError):
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _sweep(path: Path) -> None:
    """Removes staging folders whose export has died: the system has released their locks."""
    if fcntl is None:
        return
    for folder in path.glob(STAGING_PREFIX + "*"):
        with contextlib.suppress(OSError), (folder / "lock").open("rb") as lock:
            if time.time() - folder.stat().st_mtime < _GRACE_SECONDS:
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def move_into_place(folder: Path, path: Path, version: int | None, overwrite: bool = False) -> Path:
    """Moves `folder` to `<path>/<version>`.

    Args:
        folder: a finished folder on the file system of `path`.
        path: the model's folder.
        version: a positive number, or None for the next free one.
        overwrite: replace an existing version. On Linux the two folders change places in one
            step; elsewhere the old one moves out just before the new one moves in. A server that
            has loaded the version does not load it again: prefer a new number.

    Returns:
        Where the folder is now.

    Raises:
        FileExistsError: the version exists and `overwrite` is False.
    """
    _sync(folder)
    while True:
        versions = existing_versions(path)
        number = version if version is not None else max(versions, default=0) + 1
        target = versions.get(number, path / str(number))
        try:
            if target in versions.values():
                raise FileExistsError(errno.EEXIST, "exists", str(target))
            os.rename(folder, target)
        except OSError as error:
            # Also when another export has taken the number since it was looked up.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            if version is None:
                continue
            if not overwrite:
                raise _taken(target, number) from None
            _replace(folder, target)
        _sync_entry(path)
        return target


def _replace(folder: Path, target: Path) -> None:
    """Puts `folder` at `target`; what was there ends in the folder's old place or beside it."""
    if _exchange(folder, target):
        return
    old = folder.with_name("old")
    os.rename(target, old)
    try:
        os.rename(folder, target)
    except BaseException:
        os.rename(old, target)
        raise


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two folders in one step; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    paths = os.fsencode(first), os.fsencode(second)
    return call(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0


def _sync(folder: Path) -> None:
    """Writes files out to the disk, so that a power cut cannot leave a hollow version."""
    for root, _, names in os.walk(folder):
        for name in names:
            _sync_entry(Path(root, name))
        _sync_entry(Path(root))


def _sync_entry(entry: Path) -> None:
    # Not every system lets a folder be opened, nor every file system be synced.
    with contextlib.suppress(OSError):
        handle = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
