"""Presets on the Hugging Face hub: the real client against a hub of a few lines on this machine."""

import hashlib
import http.server
import json
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kerasrnn.zoo import SequenceTagger

pytest.importorskip("huggingface_hub", reason="needs the extra hub")

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.ThreadingHTTPServer):
    """As much of the hub as a download asks for: a model, the tree of its files, and the files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.asked: list[str] = []


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        files = self.server.files
        name = path.removeprefix(f"/owner/tagger/resolve/{REVISION}/")
        if path == "/api/models/owner/tagger/revision/main":
            self.send({"id": "owner/tagger", "sha": REVISION, "siblings": []})
        elif path == f"/api/models/owner/tagger/tree/{REVISION}":
            self.send(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": oid(data)}
                    for name, data in files.items()
                ]
            )
        elif name in files:
            self.server.asked.append(name)
            self.send(files[name], ETag=f'"{oid(files[name])}"')
        else:
            self.send_error(404)

    def send(self, content, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", REVISION)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def hub(small, tmp_path, monkeypatch) -> Iterator[Hub]:
    folder = small(cell="gru").save_to_preset(tmp_path / "preset", weights_dtype="float16")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    server = Hub({**files, "model.py": b"raise SystemExit", "README.md": b"card"})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The client reads its settings when it is imported.
    for module in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, module)
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_a_preset_on_the_hub(hub, tmp_path):
    local = SequenceTagger.from_preset(tmp_path / "preset")
    loaded = SequenceTagger.from_preset("hf://owner/tagger")
    assert loaded.arguments() == local.arguments()
    for one, other in zip(local.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not {"model.py", "README.md"} & set(hub.asked)
    snapshot = cached(tmp_path)
    assert (snapshot / "vocabulary/words.txt").is_symlink()  # as the client makes them here

    # Again, without the hub; and by the folder, as a user may have it from the client.
    hub.shutdown()
    hub.server_close()
    asked = len(hub.asked)
    assert SequenceTagger.from_preset("hf://owner/tagger").arguments() == local.arguments()
    assert SequenceTagger.from_preset(snapshot).arguments() == local.arguments()
    assert len(hub.asked) == asked


@pytest.mark.parametrize("name", ["config.toml", "model.weights.h5", "vocabulary/words.txt"])
def test_only_links_of_the_client_are_followed(hub, tmp_path, name):
    SequenceTagger.from_preset("hf://owner/tagger")
    link = cached(tmp_path) / name
    blob = link.resolve()
    for target in (tmp_path / "preset" / name, blob.parent.parent / "refs/main", blob.parent / "x"):
        link.unlink()
        link.symlink_to(target)
        (blob.parent / "x").unlink(missing_ok=True)
        (blob.parent / "x").symlink_to(tmp_path / "preset" / name)
        with pytest.raises(ValueError, match=r"is a link, and may lead outside"):
            SequenceTagger.from_preset(cached(tmp_path))
    link.unlink()
    link.symlink_to(blob)
    SequenceTagger.from_preset(cached(tmp_path))
    blob.parent.rename(tmp_path / "blobs")
    blob.parent.symlink_to(tmp_path / "blobs")
    with pytest.raises(ValueError, match=r"is a link, and may lead outside"):
        SequenceTagger.from_preset(cached(tmp_path))


def cached(tmp_path: Path) -> Path:
    return tmp_path / "home/hub/models--owner--tagger/snapshots" / REVISION
