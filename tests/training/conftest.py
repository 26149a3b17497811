"""A small data set in a file, and what tests of runs in this process share."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.zoo.conftest import toy_sentences
from training.run_folder import Checkpoints

FLAGS = [
    *("--units", "8", "--word-dimension", "8", "--character-units", "4"),
    *("--batch-size", "8", "--learning-rate", "0.03", "--dropout", "0.2"),
]


@pytest.fixture(scope="session")
def conll(tmp_path_factory) -> Path:
    """The toy sentences as CoNLL columns."""
    path = tmp_path_factory.mktemp("data") / "toy.conll"
    blocks = [
        "".join(f"{token}\t{tag}\n" for token, tag in zip(s.tokens, s.tags, strict=True))
        for s in toy_sentences()
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.fixture
def no_export(monkeypatch):
    """Runs without their export, which takes most of the time of a small one."""
    monkeypatch.setattr(
        "kerasrnn.zoo.Task.export", lambda *_, **__: SimpleNamespace(verified=False)
    )
    monkeypatch.setattr("training.script.serving_command", lambda *_: "")


@pytest.fixture(autouse=True)
def ordinary_ops():
    """A run makes all ops deterministic, for the whole process; other tests need not be."""
    yield
    from tensorflow.python.framework.config import disable_op_determinism  # not public

    disable_op_determinism()


class Killed(BaseException):
    """Stands for a process that is gone: nothing in the scripts catches it."""


@contextlib.contextmanager
def killed_after(checkpoints: int):
    """Ends a run inside of it as soon as so many checkpoints have been written."""
    save, count = Checkpoints.save, 0

    def counted(self, *arguments):
        nonlocal count
        save(self, *arguments)
        count += 1
        if count == checkpoints:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "save", counted)
        yield


def figures(folder: Path) -> dict:
    """`metrics.json` without what a clock decides."""
    metrics = json.loads((folder / "metrics.json").read_text())
    return {k: v for k, v in metrics.items() if k not in ("seconds", "counted_per_second")}
