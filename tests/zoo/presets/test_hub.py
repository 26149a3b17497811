"""Presets on the Hugging Face hub: the real client against a hub of a few lines on this machine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("huggingface_hub", reason="needs the extra hub")

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.storage.hub import HubName
from kerasrnn.storage.preset_folders import preset_files, resolve_preset
from kerasrnn.zoo import SequenceTagger, upload_preset
from tests.zoo.presets.hub_server import (
    READER,
    WRITER,
    Hub,
    Repository,
    files_of,
    forget_client,
    running_hub,
)

TEXTS = ["Ada lives in New York.", "Is Oslo far ?"]


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[Hub]:
    with running_hub(tmp_path / "home", monkeypatch) as server:
        yield server


@pytest.fixture
def folder(small, tmp_path) -> Path:
    return small(cell="gru").save_to_preset(tmp_path / "preset", weights_dtype="float16")


@pytest.fixture
def given(hub, folder) -> Repository:
    """A repository of somebody's, with a preset and other things in it."""
    repository = hub.repositories["owner/tagger"] = Repository()
    more = {"model.py": b"raise SystemExit", "README.md": b"card", "vocabulary/x.pkl": b"."}
    repository.commit({**files_of(folder), **more}, "a preset")
    return repository


def repository_of(folder: Path) -> Path:
    """What the client keeps of `owner/tagger`."""
    return folder / "home/hub/models--owner--tagger"


def cached(tmp_path: Path) -> Path:
    """The one snapshot in the client's cache."""
    (snapshot,) = (repository_of(tmp_path) / "snapshots").iterdir()
    return snapshot


def complaint(kind: type[Exception], name: str) -> str:
    """What is said of a preset that cannot be had: a line or two, with no more than these signs."""
    with pytest.raises(kind) as caught:
        resolve_preset(name)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert len(text) < 400 and text.isprintable()
    return text


# === Names ===


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("hf://owner/tagger", "owner/tagger", None),
        ("hf://o_1/ner.en-2", "o_1/ner.en-2", None),
        ("hf://owner/tagger@v1.0", "owner/tagger", "v1.0"),
        ("hf://owner/tagger@refs/pr/1", "owner/tagger", "refs/pr/1"),
        ("hf://owner/tagger@" + "0a" * 20, "owner/tagger", "0a" * 20),
    ],
)
def test_a_name_is_taken_apart(text, repository, revision):
    name = HubName.parse(text)
    assert name == HubName(repository, revision)
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "owner", "owner/", "/tagger", "owner/tagger/", "owner/tagger/more", "/owner/tagger"),
        *("../tagger", "owner/..", "./tagger", "owner/.tagger", "owner/a--b", "owner/tagger.git"),
        *("owner/ta gger", "owner/tagger?x", "owner/tagger\n", "owner/tägger", "o\\x/tagger"),
        *("owner/tagger@", "owner/tagger@..", "owner/tagger@../../x", "owner/tagger@/x"),
        *("owner/tagger@x/", "owner/tagger@a//b", "owner/tagger@a/.b", "owner/tagger@-x"),
        *("owner/tagger@x.lock", "owner/tagger@v 1", "owner/tagger@v1\n", "owner/tagger@a@b"),
        *("owner/tagger@refs/../../x", "a" * 97 + "/tagger", "a" * 10_000),
    ],
)
def test_other_names_are_refused(text, tmp_path):
    with pytest.raises(ValueError, match="must have the form hf://owner/name or") as caught:
        resolve_preset(f"hf://{text}")
    assert len(str(caught.value)) < 300
    with pytest.raises(ValueError, match="`target` must have the form hf://owner/name or"):
        upload_preset("words_en", f"hf://{text}")


# === Fetched ===


def test_a_preset_on_the_hub(hub, given, folder, tmp_path):
    local = SequenceTagger.from_preset(folder)
    loaded = SequenceTagger.from_preset("hf://owner/tagger")
    assert loaded.arguments() == local.arguments()
    for one, other in zip(local.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(hub.asked) == set(preset_files(folder))
    snapshot = cached(tmp_path)
    assert (snapshot / "vocabulary/words.txt").is_symlink()  # as the client makes them here
    words = EmbeddingMatrix.load("hf://owner/tagger")
    assert words.terms == EmbeddingMatrix.load(folder).terms

    # Again, without the hub; and by the folder, as a user may have it from the client.
    hub.stop()
    asked = len(hub.asked)
    assert SequenceTagger.from_preset("hf://owner/tagger").arguments() == local.arguments()
    assert SequenceTagger.from_preset(snapshot).arguments() == local.arguments()
    assert len(hub.asked) == asked


def test_the_preset_of_a_revision(given, small, tmp_path):
    first = given.branches["main"]
    given.tags["v1"] = first
    other = small(cell="simple").save_to_preset(tmp_path / "other")
    second = given.commit(files_of(other), "another", "refs/pr/1")
    third = given.commit(files_of(small(cell="lstm").save_to_preset(other)), "a third")
    cells = {
        name: SequenceTagger.from_preset(f"hf://owner/tagger{name}").settings["cell"]
        for name in ("", "@main", "@v1", "@refs/pr/1", f"@{first}", f"@{second}", f"@{third}")
    }
    assert list(cells.values()) == ["lstm", "lstm", "gru", "simple", "gru", "simple", "lstm"]
    # A branch that has moved is fetched anew.
    given.commit(files_of(tmp_path / "preset"), "back")
    assert SequenceTagger.from_preset("hf://owner/tagger").settings["cell"] == "gru"


def test_what_the_hub_does_not_have_or_give(hub, given):
    hub.repositories["owner/private"] = Repository(private=True)
    hub.repositories["owner/gated"] = Repository(gated=True)
    hub.repositories["owner/empty"] = Repository()
    text = complaint(FileNotFoundError, "hf://owner/tagger@v2")
    assert text == f"owner/tagger on the hub {hub.address} has no branch, tag or commit 'v2'."
    assert "has no branch, tag or commit '00" in complaint(
        FileNotFoundError, f"hf://owner/tagger@{'0' * 40}"
    )
    for name in ("nothing", "private"):
        text = complaint(FileNotFoundError, f"hf://owner/{name}")
        assert f"has no repository owner/{name}, or it is private" in text and "HF_TOKEN" in text
    assert "hf://owner/gated is gated" in complaint(PermissionError, "hf://owner/gated")
    text = complaint(FileNotFoundError, "hf://owner/empty")
    assert text == "hf://owner/empty holds no preset: it has no config.toml."


@pytest.mark.parametrize("missing", ["model.weights.h5", "vocabulary/words.txt"])
def test_a_preset_that_is_not_whole(hub, given, folder, missing):
    files = files_of(folder)
    del files[missing]
    given.commit(files, "less")
    text = complaint(FileNotFoundError, "hf://owner/tagger")
    assert text.startswith("hf://owner/tagger holds no whole preset")
    assert text.endswith(f": it has no {missing}.")


def test_a_token_opens_what_is_private(hub, given, monkeypatch):
    given.private = True
    monkeypatch.setenv("HF_TOKEN", READER)
    assert resolve_preset("hf://owner/tagger").is_dir()
    given.private, given.gated = False, True
    given.commit({**given.commits[given.branches["main"]], "metrics.json": b"{}"}, "new")
    assert "gated" in complaint(PermissionError, "hf://owner/tagger@" + given.branches["main"])
    monkeypatch.setenv("HF_TOKEN", WRITER)
    assert resolve_preset("hf://owner/tagger").name == given.branches["main"]


def test_a_hub_that_cannot_be_reached(hub, given, monkeypatch):
    hub.stop()
    text = complaint(ConnectionError, "hf://owner/tagger")
    assert f"the hub {hub.address} cannot be reached: " in text
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forget_client(monkeypatch)
    text = complaint(ConnectionError, "hf://owner/tagger")
    assert text == (
        "hf://owner/tagger cannot be fetched while HF_HUB_OFFLINE is set: the cache lacks it."
    )


def test_offline_it_is_taken_from_the_cache(hub, given, monkeypatch):
    given.tags["v1"] = given.branches["main"]
    folder = resolve_preset("hf://owner/tagger@v1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forget_client(monkeypatch)
    asked = len(hub.asked)
    assert resolve_preset("hf://owner/tagger@v1") == folder
    assert resolve_preset(f"hf://owner/tagger@{folder.name}") == folder
    assert "the cache lacks it" in complaint(ConnectionError, "hf://owner/tagger@v2")
    assert len(hub.asked) == asked


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (500, OSError, "answered 500, out of order."),
        (403, PermissionError, "answered 403, out of order. You need a token that may: log in"),
        ("cut", ConnectionError, "cannot be reached: "),
        (b"<html>", OSError, "gave no good answer: "),
        (b"[]", OSError, "gave no good answer: "),
    ],
)
def test_a_hub_that_is_out_of_order(hub, given, fault, kind, said):
    hub.broken["/revision/main"] = fault
    assert said in complaint(kind, "hf://owner/tagger")


@pytest.mark.slow
@pytest.mark.parametrize("fault", [404, 500, "cut"])
def test_nothing_half_fetched_is_loaded(hub, given, fault, monkeypatch, capfd):
    hub.broken["/vocabulary/words.txt"] = fault
    with pytest.raises(OSError, match="hf://owner/tagger cannot be fetched"):
        resolve_preset("hf://owner/tagger")
    assert not capfd.readouterr().err
    hub.broken.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forget_client(monkeypatch)
    assert "the cache lacks it" in complaint(ConnectionError, "hf://owner/tagger")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    forget_client(monkeypatch)
    assert SequenceTagger.from_preset("hf://owner/tagger").settings["cell"] == "gru"


@pytest.mark.parametrize("name", ["vocabulary/../../../../x.txt", "vocabulary/../config.txt"])
def test_a_name_that_leaves_the_folder(given, folder, tmp_path, name):
    before = {path for path in tmp_path.rglob("*.txt") if path.is_file()}
    given.commit({**files_of(folder), name: b"evil"}, "evil")
    assert "hf://owner/tagger cannot be fetched" in complaint(OSError, "hf://owner/tagger")
    after = {path for path in tmp_path.rglob("*.txt") if path.is_file()}
    assert {path for path in after - before if path.read_bytes() == b"evil"} == set()


def test_without_the_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (
        lambda: resolve_preset("hf://owner/tagger"),
        lambda: upload_preset("words_en", "hf://owner/tagger"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'kerasrnn\[hub\]'"):
            call()


@pytest.mark.parametrize("name", ["config.toml", "model.weights.h5", "vocabulary/words.txt"])
def test_only_links_of_the_client_are_followed(given, tmp_path, name):
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


# === Uploaded ===


@pytest.mark.slow
def test_a_model_comes_back_as_it_was(hub, trained, tmp_path):
    name = upload_preset(trained, "hf://owner/tagger", token=WRITER, licence="CC-BY-4.0")
    repository = hub.repositories["owner/tagger"]
    assert name == f"hf://owner/tagger@{repository.branches['main']}"
    assert not repository.private
    loaded = SequenceTagger.from_preset(name)
    assert loaded.arguments() == trained.arguments()
    assert loaded.predict(TEXTS) == trained.predict(TEXTS) != [[], []]
    assert len(hub.uploaded) == 1  # the weights, as a large file

    # Another one at its place, and a branch: earlier ones stay what they were.
    other = SequenceTagger.from_preset("ner_en_starter")
    second = upload_preset(other, "hf://owner/tagger", token=WRITER, message="Starter")
    upload_preset(trained, "hf://owner/tagger", revision="toy", token=WRITER)
    assert repository.messages[-2] == "Starter"
    assert SequenceTagger.from_preset(second).inventory.labels == other.inventory.labels
    for again in (name, "hf://owner/tagger@toy"):
        assert SequenceTagger.from_preset(again).predict(TEXTS) == trained.predict(TEXTS)


def test_only_what_belongs_to_a_preset_is_uploaded(hub, folder, small):
    before = files_of(folder)
    for name in ("model.py", "notes.txt", "vocabulary/spare.txt", "vocabulary/x.pkl", ".env"):
        (folder / name).write_text("mine")
    name = upload_preset(folder, "hf://owner/tagger", private=True, token=WRITER)
    repository = hub.repositories["owner/tagger"]
    assert repository.private
    files = repository.commits[repository.branches["main"]]
    assert set(files) == {".gitattributes", "README.md", *before}
    assert all(files[name] == data for name, data in before.items())
    assert not (folder / "README.md").exists()  # the folder stays as it is

    # The same once more is no commit.
    assert upload_preset(folder, "hf://owner/tagger", token=WRITER) == name

    # Of an earlier preset nothing stays, and what is none of a preset's does.
    repository.commit({**files, "metrics.json": b"{}", "figure.png": b"."}, "by hand")
    small(cell="simple", spelling="none").save_to_preset(folder)
    upload_preset(folder, "hf://owner/tagger", token=WRITER)
    files = repository.commits[repository.branches["main"]]
    assert {"figure.png", ".gitattributes", "config.toml"} < set(files)
    assert not {"metrics.json", "vocabulary/characters.txt"} & set(files)


def test_the_card_has_a_head(hub, folder):
    from huggingface_hub import ModelCard

    def uploaded() -> ModelCard:
        upload_preset(folder, "hf://owner/tagger", token=WRITER, licence="MIT", languages=["no"])
        repository = hub.repositories["owner/tagger"]
        return ModelCard(repository.commits[repository.branches["main"]]["README.md"].decode())

    card = uploaded()
    assert (card.data.license, card.data.language) == ("mit", ["no"])
    assert (card.data.library_name, card.data.pipeline_tag) == ("keras", "token-classification")
    assert card.data.tags == ["kerasrnn", "recurrent-neural-network", "gru"]
    assert card.data.eval_results is None
    assert 'SequenceTagger.from_preset("hf://owner/tagger")' in card.text

    # With the figures of a run, and its own text.
    figures = {"dataset": str(folder / "x.conll"), "test": {"f1": 0.523, "accuracy": 0.9}}
    (folder / "metrics.json").write_text(json.dumps(figures))
    (folder / "README.md").write_text("# Mine\n")
    card = uploaded()
    assert card.text.strip() == "# Mine"
    results = [(r.dataset_name, r.metric_type, r.metric_value) for r in card.data.eval_results]
    assert results == [("x.conll", "f1", 52.3), ("x.conll", "accuracy", 90.0)]

    # With a head of its own.
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\n# Mine\n")
    assert uploaded().data.license == "cc0-1.0"


def test_a_shipped_preset_keeps_its_card(hub):
    name = upload_preset("words_en", "hf://owner/words", token=WRITER)
    repository = hub.repositories["owner/words"]
    files = repository.commits[repository.branches["main"]]
    shipped = resolve_preset("words_en")
    assert {n: files[n] for n in files if n != ".gitattributes"} == files_of(shipped)
    assert len(EmbeddingMatrix.load(name)) == 20_000


def test_a_folder_needs_no_tensorflow(hub, folder):
    program = (
        "import sys\n"
        "from kerasrnn.storage.uploads import upload_preset\n"
        f"print(upload_preset({str(folder)!r}, 'hf://owner/tagger', token={WRITER!r}))\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    commit = hub.repositories["owner/tagger"].branches["main"]
    assert done.stdout.decode().strip() == f"hf://owner/tagger@{commit}"


def spoil_weights(folder: Path) -> None:
    with h5py.File(folder / "model.weights.h5", "a") as file:
        names: list[str] = []
        file.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        file[names[0]][...] = np.nan


def spoil_link(folder: Path) -> None:
    (folder / "vocabulary/words.txt").rename(folder / "words.txt")
    (folder / "vocabulary/words.txt").symlink_to(folder / "words.txt")


def spoil_card(folder: Path) -> None:
    (folder / "README.md").symlink_to(folder / "config.toml")


def spoil_vocabulary(folder: Path) -> None:
    config = folder / "config.toml"
    (folder / "vocabulary/words.txt").rename(folder / "words.py")
    config.write_text(config.read_text().replace("vocabulary/words.txt", "words.py"))


def spoil_config(folder: Path) -> None:
    (folder / "config.toml").write_text("units = 3\n")


def spoil_metrics(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"runs": [1]}')


@pytest.mark.parametrize(
    ("spoil", "kind", "said"),
    [
        (shutil.rmtree, FileNotFoundError, "There is no preset folder"),
        (lambda f: (f / "config.toml").unlink(), FileNotFoundError, "is not a preset"),
        (lambda f: (f / "model.weights.h5").unlink(), FileNotFoundError, "lacks its model"),
        (lambda f: (f / "vocabulary/tags.txt").unlink(), FileNotFoundError, "lacks its vocab"),
        (lambda f: (f / "model.weights.h5").write_text("x"), ValueError, "no file of weights"),
        (lambda f: (f / "vocabulary/tags.txt").write_bytes(b"\xff"), ValueError, "UTF-8"),
        (lambda f: (f / "README.md").write_bytes(b"\xff"), ValueError, "is not UTF-8"),
        (spoil_weights, ValueError, "is not finite"),
        (spoil_link, ValueError, "is a link"),
        (spoil_card, ValueError, "is a link"),
        (spoil_vocabulary, ValueError, "could not be fetched from the hub"),
        (spoil_config, ValueError, "unknown setting 'units'"),
        (spoil_metrics, ValueError, "does not have the figures of a SequenceTagger"),
    ],
)
def test_what_is_no_good_preset_is_not_uploaded(hub, folder, spoil, kind, said):
    spoil(folder)
    with pytest.raises(kind, match=said):
        upload_preset(folder, "hf://owner/tagger", token=WRITER)
    assert not hub.repositories and not hub.uploaded


def test_a_model_that_has_diverged_is_not_uploaded(hub, small):
    tagger = small()
    tagger.weights[0].assign(np.full(tagger.weights[0].shape, np.nan))
    with pytest.raises(ValueError, match="is not finite"):
        upload_preset(tagger, "hf://owner/tagger", token=WRITER)
    with pytest.raises(TypeError, match="`preset` must be a folder, a name or a model"):
        upload_preset(3, "hf://owner/tagger", token=WRITER)
    assert not hub.repositories


def test_arguments_of_an_upload(hub, folder):
    target = "hf://owner/tagger"
    for wrong, said in [
        ({"revision": "../x"}, "`revision` must have the form"),
        ({"message": " "}, "`message` must say"),
        ({"licence": "free for all"}, "`licence` must be an SPDX"),
        ({"languages": "en"}, "`languages` must be a list"),
        ({"languages": ["English"]}, "`languages` must be a list"),
    ]:
        with pytest.raises(ValueError, match=said):
            upload_preset(folder, target, token=WRITER, **wrong)
    with pytest.raises(ValueError, match="`target` and `revision` differ"):
        upload_preset(folder, f"{target}@a", revision="b", token=WRITER)
    assert not hub.repositories
    upload_preset(folder, f"{target}@a", revision="a", token=WRITER)
    assert set(hub.repositories["owner/tagger"].branches) == {"main", "a"}


def test_a_repository_that_is_not_what_was_asked_for(hub, given, folder):
    given.tags["v1"] = given.branches["main"]
    messages = list(given.messages)
    with pytest.raises(ValueError, match=r"owner/tagger on the hub is public\. Nothing was"):
        upload_preset(folder, "hf://owner/tagger", private=True, token=WRITER)
    with pytest.raises(ValueError, match="must be a branch, but 'v1' is a tag"):
        upload_preset(folder, "hf://owner/tagger", revision="v1", token=WRITER)
    with pytest.raises(ValueError, match=r"must be a branch\. Received a commit: '00"):
        upload_preset(folder, f"hf://owner/tagger@{'0' * 40}", token=WRITER)
    assert given.messages == messages


@pytest.mark.parametrize("token", [None, READER])
def test_without_a_token_that_may_write(hub, folder, token):
    with pytest.raises(PermissionError, match=r"answered 40[13], .*HF_TOKEN") as caught:
        upload_preset(folder, "hf://owner/tagger", token=token)
    assert len(str(caught.value)) < 400
    assert not hub.repositories


@pytest.mark.parametrize("fault", [500, "cut"])
def test_a_commit_that_fails_leaves_the_repository(hub, given, folder, fault):
    before = given.branches["main"]
    hub.broken["/commit/main"] = fault
    with pytest.raises(OSError, match="hf://owner/tagger cannot be uploaded"):
        upload_preset(folder, "hf://owner/tagger", token=WRITER)
    assert given.branches == {"main": before}
    hub.stop()
    with pytest.raises(ConnectionError, match="cannot be reached"):
        upload_preset(folder, "hf://owner/tagger", token=WRITER)
