"""Moving into place: whole or not at all, whoever else is at it."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kerasrnn.serving import placing as module
from kerasrnn.serving.placing import (
    STAGING_PREFIX,
    check_free,
    check_version,
    existing_versions,
    move_into_place,
    staging,
)


def make(folder, content):
    """A folder with two files of the same content, so that a half one shows."""
    folder.mkdir()
    for name in ("first", "second"):
        (folder / name).write_text(content)
    return folder


def content(folder):
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_existing_versions(tmp_path):
    for name in ("1", "007", ".3", "v4", "²", "5x"):
        (tmp_path / name).mkdir()
    assert existing_versions(tmp_path) == {1: tmp_path / "1", 7: tmp_path / "007"}
    assert existing_versions(tmp_path / "nowhere") == {}


def test_check_version_takes_numpy_integers():
    import numpy as np

    assert check_version(np.int64(3)) == 3
    assert check_version(None) is None


def test_a_folder_moves_into_place(tmp_path):
    with staging(tmp_path) as work:
        target = move_into_place(make(work / "model", "new"), tmp_path, 3)
    assert target == tmp_path / "3"
    assert list(tmp_path.iterdir()) == [target]
    assert content(target) == {"first": "new", "second": "new"}


@pytest.mark.parametrize("exchange", [True, False])
def test_overwrite(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(module, "_exchange", lambda first, second: False)
    make(tmp_path / "1", "old")
    with staging(tmp_path) as work:
        move_into_place(make(work / "model", "new"), tmp_path, 1, overwrite=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]
    assert content(tmp_path / "1") == {"first": "new", "second": "new"}


def test_overwrite_that_fails_half_way_puts_the_old_one_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_exchange", lambda first, second: False)
    make(tmp_path / "1", "old")
    rename, calls = os.rename, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise PermissionError("planted")
        rename(source, target)

    with pytest.raises(PermissionError, match="planted"), staging(tmp_path) as work:
        folder = make(work / "model", "new")
        monkeypatch.setattr(os, "rename", failing)
        move_into_place(folder, tmp_path, 1, overwrite=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]
    assert content(tmp_path / "1") == {"first": "old", "second": "old"}


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "1").write_text("not a folder")
    with pytest.raises(FileExistsError, match="Version 1 exists"), staging(tmp_path) as work:
        move_into_place(make(work / "model", "new"), tmp_path, 1)
    assert (tmp_path / "1").read_text() == "not a folder"


def test_version_taken_after_the_look(tmp_path, monkeypatch):
    """The rename itself, not the look before it, decides between two exporters."""
    looks = []

    def late(path):
        looks.append(existing_versions(path))
        if len(looks) == 1:
            make(tmp_path / "1", "other")
        return looks[-1]

    monkeypatch.setattr(module, "existing_versions", late)
    with staging(tmp_path) as work:
        assert move_into_place(make(work / "model", "mine"), tmp_path, None) == tmp_path / "2"
    assert content(tmp_path / "1") == {"first": "other", "second": "other"}
    looks.clear()
    (tmp_path / "1").rename(tmp_path / "old")
    monkeypatch.setattr(module, "existing_versions", late)
    with pytest.raises(FileExistsError, match="Version 1 exists"), staging(tmp_path) as work:
        move_into_place(make(work / "model", "mine"), tmp_path, 1)


def test_many_exporters_at_once(tmp_path):
    start = threading.Barrier(8)

    def export(index, version):
        with staging(tmp_path) as work:
            folder = make(work / "model", str(index))
            start.wait()
            try:
                return move_into_place(folder, tmp_path, version)
            except FileExistsError:
                return None

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda index: export(index, None), range(8)))
        assert {place.name for place in places} == {str(number) for number in range(1, 9)}
        for index, place in enumerate(places):
            assert content(place) == {"first": str(index), "second": str(index)}
        winners = [place for place in pool.map(lambda index: export(index, 99), range(8)) if place]
    assert winners == [tmp_path / "99"]
    assert len(list(tmp_path.iterdir())) == 9  # and no staging folder


def test_readers_never_see_half_a_version(tmp_path):
    """While a version is replaced over and over, whoever opens it finds one whole content."""
    if not module._exchange(make(tmp_path / "a", ""), make(tmp_path / "b", "")):
        pytest.skip("this system cannot swap two folders in one step")
    base = tmp_path / "model"
    base.mkdir()
    make(base / "1", "0")
    pairs, done = [], threading.Event()

    def read(folder, name):
        with open(os.open(name, os.O_RDONLY, dir_fd=folder)) as file:
            return file.read()

    def watch():
        while not done.is_set():
            handle = os.open(base / "1", os.O_RDONLY)  # a FileNotFoundError fails the test
            try:
                pairs.append([read(handle, name) for name in ("first", "second")])
            except FileNotFoundError:
                pass  # the old folder, swapped out since it was opened, and being removed
            finally:
                os.close(handle)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        for round_ in range(1, 100):
            with staging(base) as work:
                move_into_place(make(work / "model", str(round_)), base, 1, overwrite=True)
        done.set()
        watching.result()
    assert pairs and all(first == second for first, second in pairs)
    assert content(base / "1") == {"first": "99", "second": "99"}


def test_sweep_takes_the_dead_and_leaves_the_living(tmp_path):
    dead = tmp_path / (STAGING_PREFIX + "dead")
    dead.mkdir()
    (dead / "lock").touch()
    os.utime(dead, (0, 0))
    with staging(tmp_path) as living:
        assert not dead.exists()
        os.utime(living, (0, 0))
        with staging(tmp_path):
            assert living.exists()
    assert not list(tmp_path.iterdir())


def test_sweep_leaves_the_newly_born(tmp_path):
    young = tmp_path / (STAGING_PREFIX + "young")
    young.mkdir()
    (young / "lock").touch()
    with staging(tmp_path):
        assert young.exists()


def test_folders_made_for_nothing_go_again(tmp_path):
    with pytest.raises(ZeroDivisionError), staging(tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    with pytest.raises(ZeroDivisionError), staging(tmp_path / "mine"):
        raise ZeroDivisionError
    assert (tmp_path / "mine").is_dir()


def test_only_a_version_is_replaced(tmp_path):
    """A folder whose name is a number need not be a version."""
    (tmp_path / "1").mkdir()
    check_free(tmp_path, 1, overwrite=True)
    (tmp_path / "1/photo.jpg").write_text("mine")
    (tmp_path / "2").write_text("mine")
    for version in (1, 2):
        with pytest.raises(FileExistsError, match=r"holds something else than a SavedModel"):
            check_free(tmp_path, version, overwrite=True)
    (tmp_path / "1/saved_model.pb").write_text("")
    check_free(tmp_path, 1, overwrite=True)
