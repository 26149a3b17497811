"""Files and folders appear whole or not at all."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kerasrnn.storage import atomic
from kerasrnn.storage.atomic import replacing_file, replacing_folder


def test_a_file_is_replaced(tmp_path):
    target = tmp_path / "new" / "a.json"
    for text in ("one", "two"):
        with replacing_file(target) as temporary:
            temporary.write_text(text)
        assert target.read_text() == text
    assert os.listdir(target.parent) == ["a.json"]


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_others_may_read_what_the_umask_allows(tmp_path):
    old = os.umask(0o022)
    try:
        with replacing_file(tmp_path / "a") as temporary:
            temporary.write_text("")
        with replacing_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o755


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced(tmp_path, monkeypatch, exchange):
    if not exchange:  # a system without renameat2
        monkeypatch.setattr(atomic, "_RENAME_EXCHANGE", -1)
    target = tmp_path / "preset"
    for name in ("one", "two"):
        with replacing_folder(target) as temporary:
            (temporary / name).write_text(name)
        assert os.listdir(target) == [name]
    assert os.listdir(tmp_path) == ["preset"]


def test_a_failure_leaves_the_old_folder(tmp_path):
    target = tmp_path / "preset"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(RuntimeError), replacing_folder(target) as temporary:
        (temporary / "half").write_text("")
        raise RuntimeError
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["preset"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with (
        pytest.raises(FileExistsError, match="must name a folder"),
        replacing_folder(tmp_path / "a"),
    ):
        pass


# === What killed processes leave ===

NAMES = {"file": ".a.k1ll3d_x.tmp.json", "folder": ".p.k1ll3d_x.tmp"}


def test_what_a_killed_process_left_is_swept(tmp_path):
    (tmp_path / NAMES["file"]).write_text("half")
    (tmp_path / NAMES["folder"] / "vocabulary").mkdir(parents=True)
    others = [".b.k1ll3d_x.tmp.json", ".a.json", ".a.short.tmp.json", ".p.k1ll3d_x.tmp.old"]
    for name in others:
        (tmp_path / name).write_text("another's")
    with replacing_file(tmp_path / "a.json") as temporary:
        temporary.write_text("{}")
    with replacing_folder(tmp_path / "p"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "a.json", "p"])


def test_what_a_living_process_writes_is_let_alone(tmp_path):
    with (
        replacing_file(tmp_path / "a.json") as one,
        replacing_file(tmp_path / "a.json") as other,
        replacing_folder(tmp_path / "p") as folder,
        replacing_folder(tmp_path / "p") as another,
    ):
        for path in (one, other):
            path.write_text(path.name)
        atomic.sweep(tmp_path / "a.json")
        atomic.sweep(tmp_path / "p")
        assert all(path.exists() for path in (one, other, folder, another))
    assert sorted(os.listdir(tmp_path)) == ["a.json", "p"]


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept")
    (tmp_path / NAMES["folder"]).symlink_to(tmp_path / "mine")
    atomic.sweep(tmp_path / "p")
    assert (tmp_path / "mine" / "file").exists()


def test_a_killed_writer_frees_its_file(tmp_path):
    """The lock goes with the process, however it ends."""
    code = (
        "import os, sys\n"
        "from kerasrnn.storage.atomic import replacing_folder\n"
        "with replacing_folder(sys.argv[1]) as folder:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    target = tmp_path / "p"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert process.stdout.readline() == b"ready\n"
    atomic.sweep(target)
    assert len(list(tmp_path.iterdir())) == 1
    process.kill()
    process.communicate()
    assert len(list(tmp_path.iterdir())) == 1
    atomic.sweep(target)
    assert list(tmp_path.iterdir()) == []


def test_no_space_is_found_out_before_it_is_needed(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        atomic.reserve(tmp_path, 1000)
        with pytest.raises(OSError, match="File too large"):
            atomic.reserve(tmp_path, 1001)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []
