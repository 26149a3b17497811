import gzip

import numpy as np
import pytest

from kerasrnn.data import DataError, LabelledText, check_labels, parse_table, to_text_dataset
from tests.data.real import real


@pytest.fixture
def write(tmp_path):
    def write(content: str, name: str = "data.tsv"):
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    return write


def pairs(texts):
    return [(text.text, text.label) for text in texts]


# === What is read ===


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "text\tlabel\ngood film\tpos\nbad film\tneg\n"),
        ("a.txt", "label\ttext\npos\tgood film\nneg\tbad film"),
        ("a.csv", "text,label\ngood film,pos\nbad film,neg\n"),
        ("a.csv", "label,text\r\npos,good film\r\nneg,bad film\r\n"),
        ("a.CSV", 'id,Text,Label\n1,"good film",pos\n\n2,bad film,neg\n'),
        ("a.tsv", "\ufeffidx\tsentence\tlabel\n0\tgood film \tpos\n \n1\t bad film\tneg\n"),
        ("a.tsv", "question\tlevel\ngood film\tpos\nbad film\tneg\n"),
        ("a.csv", "sentiment,remark\npos,good film\nneg,bad film\n"),
    ],
)
def test_usual_headers(write, name, content):
    assert pairs(parse_table(write(content, name))) == [("good film", "pos"), ("bad film", "neg")]


@pytest.mark.parametrize(
    ("text", "label"), [("b", "c"), (1, 2), ("1", "2"), (-2, -1), ("b", -1), ("-2", 2)]
)
def test_columns_by_name_and_number(write, text, label):
    path = write("text\tb\tc\nx\ty\tz\n")
    assert pairs(parse_table(path, text=text, label=label)) == [("y", "z")]


def test_quotes_in_csv(write):
    content = 'label,text\na,"one, two"\nb,"say ""no"""\nc,"two\nlines"\nd,plain\n'
    texts = parse_table(write(content, "a.csv"))
    assert pairs(texts) == [
        ("one, two", "a"),
        ('say "no"', "b"),
        ("two\nlines", "c"),
        ("plain", "d"),
    ]
    assert [text.line for text in texts] == [2, 3, 4, 6]


def test_quotes_in_tsv_mean_nothing(write):
    texts = parse_table(write('text\tlabel\n"one\ta\n, two"\tb\n'))
    assert pairs(texts) == [('"one', "a"), (', two"', "b")]


def test_characters_at_which_splitlines_would_cut(write):
    for name, comma in (("a.tsv", "\t"), ("a.csv", ",")):
        odd = "a\x0cb\u2028c\x85d"
        texts = parse_table(write(f"text{comma}label\n{odd}{comma}x\n", name))
        assert pairs(texts) == [(odd, "x")]


def test_a_text_longer_than_the_csv_module_allows(write):
    long = "x" * 200_000
    assert pairs(parse_table(write(f"text,label\n{long},y\n", "a.csv"))) == [(long, "y")]


def test_compressed(tmp_path):
    for name in ("a.tsv.gz", "a.csv.gz"):
        comma = "\t" if "tsv" in name else ","
        path = tmp_path / name
        path.write_bytes(gzip.compress(f"text{comma}label\nx y{comma}z\n".encode()))
        assert pairs(parse_table(path)) == [("x y", "z")]


def test_real_files():
    train = parse_table(real("classify/sst2/train.tsv"))
    assert len(train) == 6920
    assert {text.label for text in train} == {"negative", "positive"}
    assert train[0].label == "positive"
    assert train[0].text.startswith("a stirring , funny")
    assert train[0].line == 2
    assert len(parse_table(real("classify/trec/train.tsv"))) == 5452


# === What is refused ===


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.tsv",
            "text\tlabel\nx\ty\nalone\n",
            r"a.tsv, line 3: expected 2 fields.*got 1: 'alone'",
        ),
        ("a.tsv", "text\tlabel\nx\ty\tz\n", r"line 2: expected 2 fields, as in the header, got 3"),
        ("a.csv", "text,label\nx, and y,z\n", r"line 2.*got 3.*must stand in double quotes"),
        ("a.tsv", "text\tlabel\nx\t \n", r"line 2: expected something in the column 'label'"),
        ("a.tsv", "text\tlabel\nx\ty\n\tz\n", r"line 3: expected something in the column 'text'"),
        ("a.tsv", "text\tlabel\n", r"expected a row behind the header, got none"),
        ("a.tsv", "", r"an empty file"),
        ("a.tsv", "text\ttext\nx\ty\n", r"line 1: expected a header of distinct.*'text' twice"),
        (
            "a.csv",
            'text,label\nx,y\n"open,z\nmore\n',
            r"a.csv, line 3: .*'\"open,z'.*unexpected end",
        ),
        ("a.csv", 'text,label\n"x"y,z\n', r"a.csv, line 2: .*expected after"),
    ],
)
def test_faults_are_named_with_their_line(write, name, content, message):
    with pytest.raises(DataError, match=message):
        parse_table(write(content, name))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "text;label\nx;y\n",
            r"a.csv, line 1: .*'text;label'. Semicolons .*put commas in",
        ),
        ("a.csv", "text\tlabel\nx\ty\n", r"Tabs seem to separate .*or name the file .tsv"),
        ("a.tsv", "text,label\nx,y\n", r"Commas seem to separate .*name the file .csv"),
        ("a.tsv", "text|label\nx|y\n", r"Bars seem to separate its columns: put tabs in their"),
        ("a.tsv", "\ntext\nx\n", r"line 2: expected a header of two names or more.*got 'text'.$"),
        ("a.csv", '[{"text": "x", "label": "y"}]', r"line 1: expected a table .*, got JSON: "),
        ("a.csv", '{\n"text": ["x"]\n}', r"line 1: expected a table .*, got JSON: "),
        ("a.tsv", '{"text": "x"}\n{"text": "y"}\n', r"a table .*, got JSON Lines: "),
    ],
)
def test_other_formats_are_named_with_what_to_do(write, name, content, message):
    with pytest.raises(DataError, match=message):
        parse_table(write(content, name))


def test_a_missing_header_is_named(write):
    path = write("good film\tpos\nbad film\tneg\nnice\tpos\n")
    with pytest.raises(DataError, match=r"one of 'good film', 'pos'. If these are no names, put a"):
        parse_table(path)
    for text, label in ((0, 1), ("0", "1"), (np.int64(0), -1)):
        with pytest.raises(DataError, match=r"line 1: .*'good film | pos': others have its label"):
            parse_table(path, text=text, label=label)
    path = write("satz\tart\ngood film\tpos\nbad film\tneg\n")
    assert len(parse_table(path, text=np.int64(0), label=1)) == 2


@pytest.mark.parametrize("column", [1.0, np.float32(1), [1], b"label"])
def test_a_column_that_is_no_column_is_named(write, column):
    with pytest.raises(
        ValueError, match=r"Unknown label column .* Expected one of text, label, or"
    ):
        parse_table(write("text\tlabel\nx\ty\n"), label=column)


@pytest.mark.parametrize("name", ["text", "label"])
@pytest.mark.parametrize("wrong", [None, 3, np.int64(1), np.float32(1), b"x", "\ud800"])
def test_what_is_no_text_is_refused_by_name(name, wrong):
    error = ValueError if isinstance(wrong, str) else TypeError
    with pytest.raises(error, match=f"{name} must hold (strings|valid Unicode), got"):
        LabelledText(**{"text": "x", "label": "y", name: wrong})
    assert LabelledText(np.str_("x"), np.str_("y")) == LabelledText("x", "y")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none.tsv: expected a file, got nothing of that name"):
        parse_table(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"label column of .*must be named with `label`. Expected one of id, text, stars"),
        ({"label": "star"}, r"Unknown label column 'star'.*one of id, text, stars, or a number"),
        ({"label": 3}, r"Unknown label column 3"),
        ({"label": -4}, r"Unknown label column -4"),
        ({"label": "text"}, r"must be two. Received 'text' for both"),
    ],
)
def test_columns_that_are_not_there(write, arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_table(write("id\ttext\tstars\n1\tx\t5\n"), **arguments)


# === Labelled texts ===


def test_a_label_must_be_there():
    with pytest.raises(ValueError, match=r"label must not be empty, got one for the text 'x'"):
        LabelledText("x", "")


def test_unseen_labels_are_named_with_their_line(write):
    texts = parse_table(write("text\tlabel\nx\ta\ny\tc\n"))
    check_labels(texts, ["a", "c"])
    with pytest.raises(DataError, match=r"dev.tsv, line 3: .*one of a, b, got 'c' for text 2, 'y'"):
        check_labels(texts, ["b", "a"], "dev.tsv")


def test_dataset():
    dataset = to_text_dataset([LabelledText("x", "a"), LabelledText("y", "b")])
    assert dataset.cardinality() == 2
    rows = [(row["text"], row["label"]) for row in dataset.as_numpy_iterator()]
    assert rows == [(b"x", b"a"), (b"y", b"b")]
    with pytest.raises(DataError, match=r"dev.tsv: expected at least one text, got none"):
        to_text_dataset([], source="dev.tsv")
