"""Files and folders appear whole or not at all."""

import os
import stat

import pytest

from kerasrnn.zoo import files
from kerasrnn.zoo.files import replacing_file, replacing_folder


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
        monkeypatch.setattr(files, "_RENAME_EXCHANGE", -1)
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
