"""A hub of a few lines on this machine, for the real client of the Hugging Face hub."""

import base64
import hashlib
import http.server
import json
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

WRITER, READER = "hf_writer", "hf_reader"  # tokens


@dataclass
class Repository:
    """A repository: commits, each a table of files, and the branches and tags that name some."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.commit({".gitattributes": b"*.h5 filter=lfs\n"}, "initial commit")

    def commit(self, files: dict[str, bytes], message: str, branch: str = "main") -> str:
        content = repr((len(self.commits), sorted(files), message)).encode()
        name = hashlib.sha1(content).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        self.messages.append(message)
        return name

    def resolved(self, revision: str) -> str | None:
        commit = self.branches.get(revision) or self.tags.get(revision) or revision
        return commit if commit in self.commits else None


class Hub(http.server.ThreadingHTTPServer):
    """As much of the hub as downloads and uploads ask for.

    Attributes:
        repositories: by `owner/name`.
        asked: the files that were asked for.
        uploaded: what large files were sent, by their SHA-256.
        broken: what goes wrong, by the end of the path: a status, or `"cut"` for half an answer.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self.uploaded: dict[str, bytes] = {}
        self.broken: dict[str, int | str | bytes] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def answer(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for end, fault in self.server.broken.items():
            if path.endswith(end):
                self.fail(fault)
                return
        for method, pattern, name in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                getattr(self, name)(*map(urllib.parse.unquote, match.groups()))
                return
        self.send({"error": f"no {self.command} {path}"}, 501)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    # === Reading ===

    def info(self, name: str, revision: str = "main") -> None:
        found = self.found(name, revision)
        if found:
            repository, commit = found
            self.send(
                {"id": name, "sha": commit, "private": repository.private, "siblings": []},
            )

    def tree(self, name: str, revision: str) -> None:
        found = self.found(name, revision)
        if found:
            repository, commit = found
            files = repository.commits[commit]
            self.send([entry(path, data) for path, data in files.items()])

    def refs(self, name: str) -> None:
        found = self.found(name, "main")
        if found:
            kinds = {"branches": found[0].branches, "tags": found[0].tags, "converts": {}}
            self.send(
                {
                    kind: [
                        {"name": ref, "ref": f"refs/{kind}/{ref}", "targetCommit": commit}
                        for ref, commit in names.items()
                    ]
                    for kind, names in kinds.items()
                }
            )

    def resolve(self, name: str, revision: str, path: str) -> None:
        found = self.found(name, revision)
        if not found:
            return
        repository, commit = found
        data = repository.commits[commit].get(path)
        if data is None:
            self.send({}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        self.server.asked.append(path)
        about = entry(path, data)
        large = {"X-Linked-Etag": f'"{about["lfs"]["oid"]}"'} if "lfs" in about else {}
        self.send(data, 200, {"ETag": f'"{about["oid"]}"', "X-Repo-Commit": commit, **large})

    # === Writing ===

    def create(self) -> None:
        told = json.loads(self.body)
        name = f"{told['organization']}/{told['name']}"
        if not self.may_write(told["organization"]):
            return
        there = name in self.server.repositories
        if not there:
            private = told.get("visibility") == "private" or told.get("private", False)
            self.server.repositories[name] = Repository(private=private)
        self.send({"url": f"{self.server.address}/{name}"}, 409 if there else 200)

    def validate(self) -> None:
        head = json.loads(self.body)["content"].split("---\n")[1]
        try:
            problems = [] if isinstance(yaml.safe_load(head), dict) else ["no table"]
        except yaml.YAMLError as error:
            problems = [str(error).partition("\n")[0]]
        errors = [{"message": problem} for problem in problems]
        self.send({"errors": errors, "warnings": []}, 400 if errors else 200)

    def branch(self, name: str, branch: str) -> None:
        found = self.found(name, "main")
        if found and self.may_write(name.partition("/")[0]):
            found[0].branches.setdefault(branch, found[1])
            self.send({}, 200)

    def preupload(self, name: str, revision: str) -> None:
        found = self.found(name, revision)
        if found and self.may_write(name.partition("/")[0]):
            there = {path: entry(path, data) for path, data in found[0].commits[found[1]].items()}
            files = json.loads(self.body)["files"]
            modes = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".h5") else "regular",
                    "shouldIgnore": False,
                    "oid": oid_of(there.get(file["path"])),
                }
                for file in files
            ]
            self.send({"files": modes})

    def batch(self, name: str) -> None:
        objects = json.loads(self.body)["objects"]
        href = f"{self.server.address}/upload/"
        self.send(
            {
                "transfer": "basic",
                "objects": [
                    {**each, "actions": {"upload": {"href": href + each["oid"], "header": {}}}}
                    for each in objects
                ],
            }
        )

    def upload(self, oid: str) -> None:
        self.server.uploaded[oid] = self.body
        self.send({}, 200 if hashlib.sha256(self.body).hexdigest() == oid else 400)

    def commit(self, name: str, branch: str) -> None:
        found = self.found(name, branch)
        if not found or not self.may_write(name.partition("/")[0]):
            return
        files = dict(found[0].commits[found[1]])
        header, *rows = [json.loads(line) for line in self.body.splitlines()]
        for row in rows:
            value = row["value"]
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.server.uploaded[value["oid"]]
            else:
                assert row["key"] == "deletedFile", row
                del files[value["path"]]
        commit = found[0].commit(files, header["value"]["summary"], branch)
        self.send(
            {"commitUrl": f"{self.server.address}/{name}/commit/{commit}", "commitOid": commit}
        )

    # === Who may, and what is there ===

    @property
    def token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def may_write(self, owner: str) -> bool:
        if not self.token:
            self.send({"error": "Invalid username or password."}, 401)
        elif self.token != WRITER or owner == "stranger":
            self.send({"error": "You have no rights here"}, 403)
        else:
            return True
        return False

    def found(self, name: str, revision: str) -> tuple[Repository, str] | None:
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self.token):
            self.send({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif repository.gated and self.token != WRITER:
            self.send({"error": "Access is restricted"}, 403, {"X-Error-Code": "GatedRepo"})
        elif repository.resolved(revision) is None:
            self.send({"error": "Invalid rev"}, 404, {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository, str(repository.resolved(revision))
        return None

    def fail(self, fault: int | str | bytes) -> None:
        if isinstance(fault, int):
            self.send({"error": "out of order"}, fault)
        elif isinstance(fault, bytes):
            self.send(fault)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.send_header("ETag", f'"{"0" * 40}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True

    def send(self, content, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


NAME = "([^/]+/[^/]+)"
ROUTES = [
    ("GET", f"/api/models/{NAME}", "info"),
    ("GET", f"/api/models/{NAME}/revision/([^/]+)", "info"),
    ("GET", f"/api/models/{NAME}/tree/([^/]+)", "tree"),
    ("GET", f"/api/models/{NAME}/refs", "refs"),
    ("GET HEAD", f"/{NAME}/resolve/([^/]+)/(.+)", "resolve"),
    ("POST", "/api/repos/create", "create"),
    ("POST", "/api/validate-yaml", "validate"),
    ("POST", f"/api/models/{NAME}/branch/([^/]+)", "branch"),
    ("POST", f"/api/models/{NAME}/preupload/([^/]+)", "preupload"),
    ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
    ("PUT", "/upload/([0-9a-f]+)", "upload"),
    ("POST", f"/api/models/{NAME}/commit/([^/]+)", "commit"),
]


def entry(path: str, data: bytes) -> dict:
    """A file in the list of a repository's files; one of weights is large."""
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    about = {"type": "file", "path": path, "size": len(data), "oid": oid}
    if path.endswith(".h5"):
        large = hashlib.sha256(data).hexdigest()
        about["lfs"] = {"oid": large, "size": len(data), "pointerSize": 134}
    return about


def oid_of(about: dict | None) -> str | None:
    """By what the client finds out whether a file is the same."""
    return about.get("lfs", about)["oid"] if about else None


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their names in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@contextmanager
def running_hub(home: Path, monkeypatch) -> Iterator[Hub]:
    """A hub that the client takes for the hub, with a cache of its own and no token."""
    server = Hub()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    settings = {
        "HF_ENDPOINT": server.address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    forget_client(monkeypatch)
    try:
        yield server
    finally:
        server.stop()


def forget_client(monkeypatch) -> None:
    """The client reads its settings when it is imported: let it be imported anew."""
    for module in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, module)
