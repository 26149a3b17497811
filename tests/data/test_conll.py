import gzip
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kerasrnn.data import DataError, TaggedSentence, check_tags, parse_conll, read_conll
from tests.data.real import real


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "data.conll"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def pairs(sentences):
    return [(" ".join(s.tokens), " ".join(s.tags)) for s in sentences]


# === Columns and separators ===


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ("Rome\tB-LOC\nfell\tO\n", {}),
        ("Rome B-LOC\nfell O\n", {}),
        ("Rome   B-LOC\nfell \t O\n", {}),
        ("Rome B-LOC  \nfell O\t\n", {}),
        ("Rome  B-LOC\nfell O\n", {"separator": " "}),
        ("Rome NNP x B-LOC\nfell VBD y O\n", {}),
        ("1,Rome,B-LOC,x\n2,fell,O,y\n", {"separator": ",", "token_column": 1, "tag_column": 2}),
        ("B-LOC\tRome\nO\tfell\n", {"token_column": -1, "tag_column": 0}),
        ("Rome||B-LOC\nfell||O\n", {"separator": "||"}),
        ("Rome\tB-LOC \nfell \tO\n", {}),
    ],
)
def test_columns_and_separators(write, content, arguments):
    assert pairs(parse_conll(write(content), **arguments)) == [("Rome fell", "B-LOC O")]


def test_tokens_keep_blanks_that_do_not_separate(write):
    # Spaces in a file of tabs, and characters at which str.split and str.splitlines would cut.
    odd = ["New York", "a\u00a0b", "\u00a0", "\u2028", "x\x0cy", "\x85", "\u3000", "\x1c"]
    sentences = parse_conll(write("".join(f"{token}\tO\n" for token in odd)))
    assert sentences == [TaggedSentence(odd, ["O"] * len(odd))]


def test_a_row_that_begins_with_an_odd_token_is_cut_at_its_tab(write):
    assert parse_conll(write("\x85\t0 0\n")) == [TaggedSentence(["\x85"], ["0 0"])]


def test_separators_of_sentences(write):
    content = "\n \t \na O\n\nb O\n\t\n\n   \n\u00a0\nc O\n\n\n"
    sentences = parse_conll(write(content))
    assert [s.tokens for s in sentences] == [("a",), ("b",), ("c",)]
    assert [s.line for s in sentences] == [3, 5, 10]


def test_document_starts_are_left_out(write):
    content = "-DOCSTART- -X- O\n\na x O\n-DOCSTART- O\nb x O\n\n-DOCSTART-\n"
    assert [s.tokens for s in parse_conll(write(content))] == [("a",), ("b",)]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n\n\n", "\n \n"])
def test_the_end_of_the_file_makes_no_empty_sentence(write, end):
    assert len(parse_conll(write("a O\n\nb O" + end))) == 2


def test_byte_order_mark_windows_lines_and_gzip(write):
    plain = "Zoë\tB-PER\nsmiles\tO\n\nShe\tO\n"
    expected = parse_conll(write(plain))
    windows = plain.replace("\n", "\r\n").encode("utf-8-sig")
    assert parse_conll(write(windows)) == expected
    assert parse_conll(write(gzip.compress(windows), "data.bin")) == expected
    assert expected[0].tokens[0] == "Zoë"


# === Comments ===


def test_comments_become_label_and_metadata(write):
    content = "# intent = Play\n# note = a = b\n# plain words\n#\tO\nplay\tO\n\n\nstop\tO\n"
    first, second = parse_conll(write(content))
    assert first.tokens == ("#", "play")
    assert first.label == "Play"
    assert dict(first.metadata) == {"intent": "Play", "note": "a = b"}
    assert (second.label, dict(second.metadata)) == (None, {})
    assert parse_conll(write(content), label_key="note")[0].label == "a = b"


@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_comments_in_files_with_spaces(write, columns):
    middle = "x " * (columns - 2)
    content = f"# O\n\n# intent = Play\n# {middle}O\na {middle}O\n# {middle}O\n"
    content = content.replace("# O\n", f"# {middle}O\n", 1)
    first, second = parse_conll(write(content))
    assert first.tokens == ("#",)
    assert second.tokens == ("#", "a", "#")
    assert second.label == "Play"


def test_hash_tokens_are_no_comments(write):
    content = "# O\n#1 O\n\n#FF O\n= O\n# O\n"
    assert [s.tokens for s in parse_conll(write(content))] == [("#", "#1"), ("#FF", "=", "#")]
    tabs = content.replace(" ", "\t") + "# =\tO\n"
    assert parse_conll(write(tabs))[1].tokens == ("#FF", "=", "#", "# =")


def test_comment_of_no_sentence_goes_to_none(write):
    (sentence,) = parse_conll(write("# intent = Lost\n\na\tO\n"))
    assert sentence.label is None


def test_multiconer_comments(write):
    content = "# id 5239d808-f300\tdomain=en\nrome _ _ B-LOC\n\n# id 1f\tdomain=en\nfell _ _ O\n"
    assert [s.tokens for s in parse_conll(write(content))] == [("rome",), ("fell",)]


# === Schemes ===


def test_scheme_is_inferred_and_converted(write):
    path = write("a I-X\nb I-X\n\nc I-X\nd B-X\n")
    assert parse_conll(path)[0].tags == ("I-X", "I-X")
    assert [s.tags for s in parse_conll(path, scheme="BIOES")] == [("B-X", "E-X"), ("S-X", "S-X")]


def test_scheme_faults_name_file_and_line(write):
    path = write("# k = v\na\tB-X\nb\tO\n\nc\tO\nd\tI-X\n\ne\tO\nf\tB-X\n")
    with pytest.raises(DataError, match=r"data\.conll, line 6: expected B-X or I-X") as caught:
        parse_conll(path, scheme="BIO")
    assert caught.value.line == 6
    assert parse_conll(path, scheme="BIO", source_scheme="IOB")[1].tags == ("O", "B-X")
    assert parse_conll(path)[1].tags == ("O", "I-X")
    with pytest.raises(DataError, match=r"line 2: expected a tag of scheme IO"):
        parse_conll(path, scheme="BIO", source_scheme="IO")
    with pytest.raises(DataError, match=r"line 1: expected a tag of scheme BIO.*got 'NOUN'"):
        parse_conll(write("dog NOUN\n"), scheme="BIO")
    with pytest.raises(ValueError, match=r"have no spans"):
        parse_conll(write("dog NOUN\n"), scheme="BIO", source_scheme="none")


def test_source_scheme_alone_checks(write):
    path = write("a O\nb I-X\n")
    with pytest.raises(DataError, match=r"line 2"):
        parse_conll(path, source_scheme="BIO")
    assert parse_conll(path, source_scheme="IOB1")[0].tags == ("O", "I-X")


# === Bad input ===


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tO\n\nb\tO\nc\n", r"line 4: expected 2 columns separated by tabs, got 1: 'c'"),
        ("a O\nb c O\n", r"line 2: expected 2 columns separated by blanks, got 3: 'b c O'"),
        ("a\tO\n\tO\n", r"line 2: expected a token in column 0 .* got an empty token"),
        ("a\tO\nb\t\n", r"line 2: expected .* a tag in column 1, got an empty tag"),
        ("a\nb\n", r"line 1: expected at least 2 columns .* got 1: 'a'"),
        ("a\tO\n# intent = X\n", r"line 2: .* Comments stand before the first token"),
        ("", "at least one sentence, got an empty file"),
        ("\n \n\t\n", "at least one sentence, got an empty file"),
        (b"\xef\xbb\xbf\n", "at least one sentence, got none"),
        ("-DOCSTART- O\n\n", "at least one sentence, got none"),
        ("# intent = X\n\n", "at least one sentence, got none"),
        (
            "a O\n\nb\u00e9 O\n".encode("latin-1"),
            r"line 3: .*UTF-8 text, got byte 0xe9 at offset 6",
        ),
        (b"\xef\xbb\xbfa O\n\xff O\n", r"line 2: .*UTF-8 text, got byte 0xff at offset 7"),
        ("a O\n".encode("utf-16"), "UTF-16"),
        # Without the time, which would give the test another name in each process.
        (gzip.compress(b"a O\n" * 99, mtime=0)[:-12], "a whole gzip file, got a damaged one"),
        (b"\x1f\x8bnot gzip at all", "a whole gzip file, got a damaged one"),
    ],
)
def test_bad_files_name_file_line_expected_and_got(write, content, message):
    with pytest.raises(DataError, match=message) as caught:
        parse_conll(write(content))
    assert "data.conll" in str(caught.value)
    assert caught.value.path.name == "data.conll"


def test_bad_arguments(write, tmp_path):
    path = write("a b O\n")
    with pytest.raises(DataError, match=r"at least 5 columns.*tag_column=4.*got 3"):
        parse_conll(path, tag_column=4)
    with pytest.raises(ValueError, match=r"must differ, got column 2"):
        parse_conll(path, token_column=2)
    with pytest.raises(ValueError, match=r"separator must not be an empty string"):
        parse_conll(path, separator="")
    with pytest.raises(ValueError, match=r"Unknown scheme 'BOI'"):
        parse_conll(path, scheme="BOI")
    with pytest.raises(DataError, match=r"expected a file, got nothing"):
        parse_conll(tmp_path / "no.conll")
    with pytest.raises(DataError, match=r"expected a file, got a folder"):
        parse_conll(tmp_path)


def test_ten_thousand_tokens(write):
    (sentence,) = parse_conll(write("long\tO\n" * 10_000))
    assert len(sentence) == 10_000


def test_unseen_tags_name_sentence_and_line(write):
    path = write("a\tO\n\nb\tO\nc\tB-NEW\n")
    with pytest.raises(DataError, match=r"line 3") as caught:
        check_tags(parse_conll(path), {"O", "B-X"}, path)
    message = str(caught.value)
    for part in ("data.conll", "'B-NEW'", "sentence 2", "'c'", "one of B-X, O"):
        assert part in message
    check_tags(parse_conll(path), {"O", "B-NEW"}, path)


def test_sentences_must_be_whole():
    with pytest.raises(ValueError, match=r"each of the 1 tokens, got 2"):
        TaggedSentence(("a",), ("O", "O"))
    with pytest.raises(ValueError, match=r"tokens must not be empty strings.*position 1"):
        TaggedSentence(("a", ""), ("O", "O"))
    with pytest.raises(ValueError, match=r"spaces must have one entry"):
        TaggedSentence(("a",), ("O",), spaces=(True, True))
    assert (
        len({TaggedSentence(["a"], ["O"], metadata={"k": "v"}), TaggedSentence(["a"], ["O"])}) == 1
    )


# === Round trip ===

TOKENS = st.text(
    st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda token: token == token.strip(" ") and token != "-DOCSTART-")


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=5), min_size=1))
def test_what_is_written_with_tabs_is_read(tmp_path_factory, sentences):
    rows = ["".join(f"{token}\t{tag}\n" for token, tag in rows) for rows in sentences]
    text = "\n".join(rows)
    # Rows of nothing but white space, such as U+00A0 with U+3000, are borders by definition.
    assume(all(line.strip() for row in rows for line in row.rstrip("\n").split("\n")))
    assume(not text.startswith("\ufeff"))  # which would be a byte-order mark
    path = tmp_path_factory.mktemp("round") / "trip.conll"
    path.write_bytes(text.encode())
    assert [list(zip(s.tokens, s.tags, strict=True)) for s in parse_conll(path)] == sentences


# === Datasets ===


def test_dataset(write):
    path = write("# intent = A\na\tO\nb\tB-X\n\n# intent = B\nc\tO\n")
    dataset = read_conll(path, scheme="IO")
    assert int(dataset.cardinality()) == 2
    rows = list(dataset.as_numpy_iterator())
    assert [row["tokens"].tolist() for row in rows] == [[b"a", b"b"], [b"c"]]
    assert [row["tags"].tolist() for row in rows] == [[b"O", b"I-X"], [b"O"]]
    assert [row["label"] for row in rows] == [b"A", b"B"]
    padded = next(iter(dataset.padded_batch(2)))
    assert padded["tokens"].shape == (2, 2)


def test_dataset_needs_all_labels_or_none(write):
    with pytest.raises(DataError, match=r"line 4: expected a label for every sentence"):
        read_conll(write("# intent = A\na\tO\n\nb\tO\n"))


def test_parsing_does_not_import_tensorflow(write):
    path = write("a O\n")
    code = (
        f"import sys, kerasrnn.data as d; d.parse_conll({str(path)!r}, scheme='BIO'); "
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# === Real files ===


@pytest.mark.parametrize(
    ("name", "sentences", "tokens", "scheme"),
    [
        ("ner/wnut17/train.conll", 3394, 62730, "BIO"),
        ("ner/wnut17/dev.conll", 1009, 15733, "BIO"),
        ("ner/wikigold/wikigold.conll", 1696, 39007, "IO"),
        ("slots/snips/train.conll", 13784, 126179, "BIO"),
    ],
)
def test_real_files(name, sentences, tokens, scheme):
    path = real(name)
    read = parse_conll(path)
    assert (len(read), sum(map(len, read))) == (sentences, tokens)
    parse_conll(path, source_scheme=scheme)  # legal throughout


def test_real_hashes_are_tokens():
    wikigold = parse_conll(real("ner/wikigold/wikigold.conll"), scheme="BIO")
    assert sum(token.startswith("#") for s in wikigold for token in s.tokens) == 39
    assert not any(s.metadata for s in wikigold)
    wnut = parse_conll(real("ner/wnut17/dev.conll"))
    assert sum(token == "#" for s in wnut for token in s.tokens) == 22


def test_real_intents():
    snips = parse_conll(real("slots/snips/train.conll"), scheme="BIO")
    assert len({s.label for s in snips}) == 7
    assert None not in {s.label for s in snips}
    assert sum(s.label == "AddToPlaylist" for s in snips) == 1942


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Rome,B-LOC\nfell,O\n", r"line 1: expected at least 2 columns .*Commas seem to separate"),
        (
            '{"tokens": ["Rome"], "tags": ["O"]}\n',
            r"line 1: expected a token and its .*, got JSON: ",
        ),
        ('{"a": 1}\n{"a": 1}\n', r"got JSON Lines: "),
        ('[\n {"tokens": ["Rome"]}\n]\n', r"got JSON: "),
    ],
)
def test_other_formats_are_named(tmp_path, content, message):
    (tmp_path / "a.conll").write_text(content)
    with pytest.raises(DataError, match=message):
        parse_conll(tmp_path / "a.conll")


def test_brackets_are_tokens_too(tmp_path):
    (tmp_path / "a.conll").write_text("[ O\n1 O\n] O\n\n{ O\n} O\n")
    assert [s.tokens for s in parse_conll(tmp_path / "a.conll")] == [("[", "1", "]"), ("{", "}")]


def test_the_names_of_columns_are_no_token(tmp_path):
    path = tmp_path / "a.conll"
    for header in ("token\ttag\n", "Word\tNER\n\n"):
        path.write_text(header + "Rome\tB-LOC\nfell\tO\n\nword\tO\n")
        with pytest.warns(UserWarning, match=r"a.conll, line 1: .* is taken for the names of the"):
            first, second = parse_conll(path, scheme="BIO")
        assert (first.tokens, second.tokens) == (("Rome", "fell"), ("word",))
        assert first.line_of(0) == 1 + header.count("\n")
    path.write_text("word\tpos\nbare\tpos\n")
    assert parse_conll(path)[0].tokens == ("word", "bare")
