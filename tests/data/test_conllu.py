import gzip

import pytest

from kerasrnn.data import DataError, parse_conllu, read_conllu
from tests.data.real import real


def row(number, form, upos="X", xpos="_", misc="_", deprel="dep"):
    return "\t".join([str(number), form, form.lower(), upos, xpos, "_", "0", deprel, "_", misc])


SENTENCES = "\n".join(
    [
        "# sent_id = one",
        "# text = He didn't go.",
        row(1, "He", "PRON", "PRP"),
        row("2-3", "didn't"),
        row(2, "did", "AUX", "VBD"),
        row(3, "n't", "PART", "RB"),
        row("3.1", "ghost", "VERB"),
        row(4, "go", "VERB", "VB", "SpaceAfter=No|Gloss=x"),
        row(5, ".", "PUNCT", "."),
        "",
        "# newpar",
        "# text = #1",
        row("1-2", "#1", misc="SpaceAfter=No"),
        row(1, "#", "SYM"),
        row(2, "1", "NUM"),
        "",
        "",
    ]
)


@pytest.fixture
def write(tmp_path):
    def write(content: str, name: str = "data.conllu"):
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    return write


def test_words_only(write):
    first, second = parse_conllu(write(SENTENCES))
    assert first.tokens == ("He", "did", "n't", "go", ".")
    assert first.tags == ("PRON", "AUX", "PART", "VERB", "PUNCT")
    assert dict(first.metadata) == {"sent_id": "one", "text": "He didn't go."}
    assert first.spaces == (True, False, True, False, True)
    assert second.tokens == ("#", "1")
    assert second.spaces == (False, False)
    assert dict(second.metadata) == {"text": "#1"}
    assert (first.line, second.line) == (3, 14)


@pytest.mark.parametrize(
    ("column", "tags"),
    [
        ("xpos", ("PRP", "VBD", "RB", "VB", ".")),
        ("lemma", ("he", "did", "n't", "go", ".")),
        ("deprel", ("dep",) * 5),
    ],
)
def test_other_columns(write, column, tags):
    assert parse_conllu(write(SENTENCES), column)[0].tags == tags


def test_gzip_windows_lines_and_byte_order_mark(tmp_path, write):
    path = tmp_path / "data.conllu.gz"
    path.write_bytes(gzip.compress(SENTENCES.replace("\n", "\r\n").encode("utf-8-sig")))
    assert parse_conllu(path) == parse_conllu(write(SENTENCES))


def test_label(write):
    (sentence,) = parse_conllu(write("# intent = Ask\n" + row(1, "why")))
    assert sentence.label == "Ask"


def test_dataset(write):
    rows = list(read_conllu(write(SENTENCES)).as_numpy_iterator())
    assert rows[1]["tokens"].tolist() == [b"#", b"1"]
    assert rows[1]["tags"].tolist() == [b"SYM", b"NUM"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (row(1, "a") + "\nb X\n", r"line 2: expected 10 columns .*id form lemma.* got 1: 'b X'"),
        (row(1, "a") + "\n" + row(3, "b"), r"line 2: expected word number 2, .* got '3'"),
        (row(1, "a") + "\n" + row(1, "b"), "line 2: expected word number 2.*empty line"),
        (row("x", "a"), "line 1: expected word number 1.* got 'x'"),
        (row(1, ""), "line 1: expected a form .* got an empty form"),
        (row(1, "a", upos=""), "line 1: expected .* tag in column upos, got an empty tag"),
        (row(1, "a") + "\n# text = b\n", "line 2: expected an empty line"),
        (row(1, "a", "_"), "expected tags in column upos, got '_' in every row"),
        ("# text = a\n", "at least one sentence, got none"),
        ("", "got an empty file"),
    ],
)
def test_bad_files(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_conllu(write(content))
    assert "data.conllu" in str(caught.value)


def test_unknown_column(write):
    with pytest.raises(ValueError, match=r"Unknown column 'pos'. Expected one of upos, xpos"):
        parse_conllu(write(SENTENCES), "pos")


def test_real_treebank():
    dev = parse_conllu(real("pos/ewt/dev.conllu.gz"))
    assert (len(dev), sum(map(len, dev))) == (2001, 25147)
    tags = {tag for s in dev for tag in s.tags}
    assert len(tags) == 17
    assert {"NOUN", "PROPN", "X"} <= tags
    # English multi-word tokens are their words joined: tokens and spaces are the text.
    for s in dev:
        pieces = zip(s.tokens, s.spaces, strict=True)
        text = "".join(token + " " * space for token, space in pieces)
        assert text.rstrip() == s.metadata["text"].rstrip()
    assert len(parse_conllu(real("pos/ewt/train.conllu.gz"), "xpos")) == 12544
