"""Folders for the Embedding Projector: as files, and as TensorBoard reads them."""

import json
import os

import numpy as np
import pytest

from kerasrnn.embeddings.projector import printable, to_projector
from tests.embeddings.tiny import TinyMatrix, random_matrix

# What breaks lines and columns, and what TensorBoard leaves out as blank.
STRANGE = [
    "a b",
    "tab\there",
    "line\nbreak",
    "\r",
    " ",
    "\u00a0",
    "\u2028",
    "\ufeff",
    "\\t",
    "$x_{",
]
STRANGE += ["\x00", "\x85", "'", '"', "été", "東京"]


@pytest.fixture
def matrix():
    return random_matrix(["king", "queen", "apple", *STRANGE], 5)


def lines(path):
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def numbers(path):
    return np.array([line.split("\t") for line in lines(path)], "float32")


def test_rows_are_the_vectors_to_the_last_bit(matrix, tmp_path):
    folder = to_projector(matrix, tmp_path / "new" / "logs")
    assert folder == tmp_path / "new" / "logs"
    np.testing.assert_array_equal(numbers(folder / "tensors.tsv"), matrix.matrix)


def test_a_single_column_has_no_header(matrix, tmp_path):
    rows = lines(to_projector(matrix, tmp_path / "logs") / "metadata.tsv")
    assert rows[:4] == ["king", "queen", "apple", "a b"]
    assert len(rows) == len(matrix.terms)


def test_more_columns_have_a_header(matrix, tmp_path):
    folder = to_projector(
        matrix,
        tmp_path / "logs",
        ["apple", "king", "apple", "queen"],
        groups={"royal": ["king", "queen"]},
        columns={"times": [3, 1, 2]},
    )
    rows = lines(folder / "metadata.tsv")
    assert rows == ["word\tgroup\ttimes", "apple\t\t3", "king\troyal\t1", "queen\troyal\t2"]
    np.testing.assert_array_equal(numbers(folder / "tensors.tsv"), matrix.matrix[[2, 0, 1]])


def test_terms_stand_in_a_line_of_their_own_and_stay_distinct():
    shown = [printable(term) for term in STRANGE]
    assert len(set(shown)) == len(STRANGE)
    for text in shown:
        assert text.strip() and len(text.splitlines()) == 1 and "\t" not in text
    assert printable("\\t") == r"\\t" and printable("\t") == r"\t" and printable("été") == "été"


def test_what_else_lies_in_the_folder_stays(matrix, tmp_path):
    (tmp_path / "events.out").write_text("events")
    to_projector(matrix, tmp_path)
    to_projector(matrix, tmp_path, ["king"])
    assert lines(tmp_path / "metadata.tsv") == ["king"]
    assert len(lines(tmp_path / "tensors.tsv")) == 1
    names = ["events.out", "metadata.tsv", "projector_config.pbtxt", "tensors.tsv"]
    assert sorted(os.listdir(tmp_path)) == names
    assert (tmp_path / "events.out").read_text() == "events"


@pytest.mark.parametrize("name", ["projector_config.pbtxt", "metadata.tsv", "tensors.tsv"])
def test_files_from_elsewhere_are_not_replaced(matrix, tmp_path, name):
    (tmp_path / name).write_text("of somebody else")
    with pytest.raises(FileExistsError, match=name):
        to_projector(matrix, tmp_path)
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(FileExistsError, match="is a file"):
        to_projector(matrix, tmp_path / name)
    assert (tmp_path / name).read_text() == "of somebody else"


class Broken(TinyMatrix):
    """Fails on its second vector, as a full disk would."""

    def vector(self, term):
        if term == self.terms[1]:
            raise OSError("No space left on device")
        return super().vector(term)


def test_a_failed_attempt_shows_nothing_wrong(matrix, tmp_path):
    broken = Broken(matrix.terms, matrix.matrix)
    with pytest.raises(OSError, match="No space"):
        to_projector(broken, tmp_path / "new", matrix.terms)
    assert not os.listdir(tmp_path)
    folder = to_projector(matrix, tmp_path / "logs", ["apple"])
    with pytest.raises(OSError, match="No space"):
        to_projector(broken, folder, matrix.terms)
    assert "embeddings" not in (folder / "projector_config.pbtxt").read_text()
    assert lines(folder / "metadata.tsv") == ["apple"]
    to_projector(matrix, folder)
    assert "embeddings" in (folder / "projector_config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"words": ["king", "zebra", "lion"]}, KeyError, "Unknown word 'zebra'. Did you mean"),
        ({"words": []}, ValueError, "`words` is empty"),
        ({"words": "king"}, TypeError, "words must be a sequence of strings"),
        ({"words": 3}, TypeError, "words must be a sequence of strings"),
        ({"words": ["king", 3]}, TypeError, "words must hold strings"),
        ({"groups": {"a": ["lion"]}}, KeyError, "Unknown word 'lion'"),
        ({"groups": {"a": ["king"], "b": ["king"]}}, ValueError, "'king' is in 'a' and 'b'"),
        ({"groups": {"a": []}}, ValueError, "must hold words"),
        ({"groups": ["king"]}, TypeError, "`groups` must map names to words"),
        ({"words": ["apple"], "groups": {"a": ["king"]}}, ValueError, "of `words`.*'king'"),
        ({"columns": {"n": [1]}}, ValueError, r"columns\['n'\].*19 words.*1 values"),
        ({"columns": {"word": [1]}}, ValueError, "'word'"),
        ({"columns": {" ": [1]}}, ValueError, "neither empty"),
        ({"columns": {"n": 3}}, ValueError, r"columns\['n'\]"),
        ({"columns": [1]}, TypeError, "`columns` must map names to values"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_written(matrix, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        to_projector(matrix, tmp_path / "logs", **arguments)
    assert not os.listdir(tmp_path)


def test_all_unknown_words_are_named(matrix, tmp_path):
    with pytest.raises(KeyError) as caught:
        to_projector(matrix, tmp_path / "logs", ["king", "zebra", "lion"])
    assert caught.value.__notes__ == ["Not in the matrix, of words: 'zebra', 'lion'"]


# === TensorBoard ===


@pytest.fixture
def ask(tmp_path):
    """Asks TensorBoard's plugin for what it has read, as its page does."""
    pytest.importorskip("tensorboard")
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    class NoRuns:
        def list_runs(self, *_, **__):
            return []

    def get(path, folder=tmp_path / "logs", **query):
        context = base_plugin.TBContext(logdir=str(folder), data_provider=NoRuns())
        app = ProjectorPlugin(context).get_plugin_apps()[path]
        answer = Client(app).get(path, query_string=query)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_data()

    return get


@pytest.mark.parametrize("groups", [None, {"royal": ["king", "queen"]}])
def test_tensorboard_reads_the_folder(matrix, tmp_path, ask, groups):
    to_projector(matrix, tmp_path / "logs", groups=groups)
    assert json.loads(ask("/runs")) == ["."]
    (entry,) = json.loads(ask("/info", run="."))["embeddings"]
    assert entry["tensorShape"] == list(matrix.matrix.shape)
    query = {"run": ".", "name": entry["tensorName"]}
    vectors = np.frombuffer(ask("/tensor", **query), "float32").reshape(matrix.matrix.shape)
    np.testing.assert_array_equal(vectors, matrix.matrix)
    # The page splits at line breaks, leaves out blank lines, and takes the first for names if it
    # has a tab.
    rows = ask("/metadata", num_rows=len(matrix.terms), **query).decode().split("\n")
    rows = [row for row in rows if row.strip()]
    header = "\t" in rows[0]
    assert header == (groups is not None)
    assert [row.split("\t")[0] for row in rows[header:]] == [printable(t) for t in matrix.terms]


def test_tensorboard_shows_nothing_of_a_failed_attempt(matrix, tmp_path, ask):
    to_projector(matrix, tmp_path / "logs", ["apple"])
    with pytest.raises(OSError):
        to_projector(Broken(matrix.terms, matrix.matrix), tmp_path / "logs", matrix.terms)
    assert json.loads(ask("/runs")) == []
