"""Files of word vectors: what is read, what is refused, and the way back."""

import gzip

import numpy as np
import pytest

from kerasrnn.data import DataError
from kerasrnn.embeddings import Vectors, read_terms, read_vectors, write_vectors

GLOVE = "the 0.1 -0.2 3e-1\nparis 1 2 3\nParis 4 5 6\nSão 7 8 9\n"


def write(folder, content, name="vectors.txt"):
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize("header", ["", "4 3\n"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])  # word2vec ends its lines with a space
def test_formats(tmp_path, name, header, end):
    path = write(tmp_path, (header + GLOVE).replace("\n", end), name)
    matrix, found = read_vectors(path, ["São", "zebra", "the"])
    np.testing.assert_array_equal(
        matrix, np.array([[7, 8, 9], [0, 0, 0], [0.1, -0.2, 0.3]], "float32")
    )
    assert matrix.dtype == np.float32
    assert found.dtype == bool and found.tolist() == [True, False, True]
    assert read_terms(path) == ["the", "paris", "Paris", "São"]


def test_tabs(tmp_path):
    path = write(tmp_path, "new york\t1\t2\nthe\t3\t4\n")
    assert read_terms(path) == ["new york", "the"]
    path = write(tmp_path, "the\t3\t4\n")
    assert read_vectors(path, ["the"]).matrix.tolist() == [[3, 4]]


@pytest.mark.parametrize("header", ["", "3 2\n", "3\t2\n"])
def test_terms_with_spaces_before_a_tab_are_found(tmp_path, header):
    rows = "new york\t1\t2\nroute 66\t3\t4\nnew\t5\t6\n"
    path = write(tmp_path, header + rows)
    terms = ["new york", "route 66", "new"]
    assert read_terms(path) == terms
    matrix, found = read_vectors(path, terms)
    assert found.all() and matrix.tolist() == [[1, 2], [3, 4], [5, 6]]
    path = write(tmp_path, header + "new york\t1 2\nroute 66\t3 4\nnew\t5 6\n")
    assert read_vectors(path, terms).matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_any_number_of_spaces_may_stand_between_numbers(tmp_path):
    path = write(tmp_path, "the   0.5  1\n. . .    2  3\n of 4 5\nnew  york  6 7\n")
    assert read_terms(path) == ["the", ". . .", "of", "new  york"]
    assert read_vectors(path, ["of", ". . ."]).matrix.tolist() == [[4, 5], [2, 3]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("row", [" 1 2", "\t1\t2"])
def test_a_row_without_a_term_is_left_out(tmp_path, row):
    path = write(tmp_path, f"3 2\nthe 1 2\n{row}\nof 3 4\n")
    assert read_terms(path) == ["the", "of"]
    assert read_vectors(path, ["of", ""]).found.tolist() == [True, False]
    path = write(tmp_path, f"{row}\nthe 1 2\nof 3 4\n")  # and no header
    assert read_terms(path) == ["the", "of"]


@pytest.mark.parametrize("promised", [1, 2, 4, 3000, 10**17])
def test_a_header_that_promises_other_rows_is_warned_of(tmp_path, promised):
    path = write(tmp_path, f"{promised} 2\na 1 2\nb 3 4\nc 5 6\n")
    with pytest.warns(UserWarning, match=f"vectors.txt: line 1 promises {promised} .* are 3"):
        assert read_terms(path) == ["a", "b", "c"]
    with pytest.warns(UserWarning, match=f"promises {promised} terms, there are 3") as caught:
        assert read_vectors(path, ["c"]).matrix.tolist() == [[5, 6]]
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_a_header_that_is_right_is_not_warned_of(tmp_path):
    path = write(tmp_path, "3 2\na 1 2\n 3 4\nc 5 6\n")  # a row without a term counts
    assert read_terms(path) == ["a", "c"]


def test_the_first_term_may_end_in_a_number_or_look_like_a_header(tmp_path):
    path = write(tmp_path, "route 66 1 2\nthe 3 4\nof 5 6\n")
    with pytest.raises(DataError, match=r"line 1: expected a term and 2 numbers, got 4 fields"):
        read_terms(path)
    path = write(tmp_path, "7 8\n9 10\n")
    assert read_vectors(path, ["7", "9"]).matrix.tolist() == [[8], [10]]
    with pytest.raises(DataError, match=r"line 2: expected a term and 3 numbers"):
        read_terms(write(tmp_path, "2 3\na 1 2\n"))
    with pytest.raises(DataError, match=r"line 1: expected a term and its numbers"):
        read_terms(write(tmp_path, "9" * 5000 + " x\n"))


def test_terms_and_matrices_that_are_none(tmp_path):
    path = write(tmp_path, GLOVE)
    for wrong in ([None], [3], [b"a"], "the"):
        with pytest.raises(TypeError, match=r"terms must (hold|be a sequence of) strings, got"):
            read_vectors(path, wrong)
    with pytest.raises(ValueError, match=r"terms must hold valid Unicode, got .* at position 0"):
        read_vectors(path, ["\ud800"])
    assert read_vectors(path, np.array(["the"])).found.all()
    for wrong, error in (([None], TypeError), (["\ud800"], ValueError)):
        with pytest.raises(error, match=r"terms must hold"):
            write_vectors(tmp_path / "new.txt", wrong, [[1.0]])
    for wrong in ([[None]], [[1.0], [1.0, 2.0]], "x"):
        with pytest.raises(ValueError, match=r"`matrix` must"):
            write_vectors(tmp_path / "new.txt", ["a", "b"], wrong)
    assert not (tmp_path / "new.txt").exists()


def test_lower_case_is_the_second_choice(tmp_path):
    path = write(tmp_path, GLOVE)
    matrix, found = read_vectors(path, ["Paris", "PARIS", "The", "paris"])
    assert matrix[:, 0].round(3).tolist() == [4, 1, pytest.approx(0.1), 1]
    assert found.all()
    _, found = read_vectors(path, ["Paris", "PARIS", "The"], lowercase_fallback=False)
    assert found.tolist() == [True, False, False]


def test_the_exact_match_wins_wherever_it_stands(tmp_path):
    before = write(tmp_path, "Oslo 1\noslo 2\n", "before.txt")
    after = write(tmp_path, "oslo 2\nOslo 1\n", "after.txt")
    for path in (before, after):
        assert read_vectors(path, ["Oslo", "oslo", "OSLO"]).matrix[:, 0].tolist() == [1, 2, 2]


def test_the_first_of_two_wins(tmp_path):
    path = write(tmp_path, "a 1\nb 2\na 3\nB 4\nb 5\n")
    assert read_vectors(path, ["a", "b", "B"]).matrix[:, 0].tolist() == [1, 2, 4]
    with pytest.warns(UserWarning, match=r"vectors\.txt: 2 rows repeat terms of earlier rows"):
        assert read_terms(path) == ["a", "b", "B"]


def test_a_term_asked_for_twice_is_given_twice(tmp_path):
    path = write(tmp_path, "a 1\n")
    assert read_vectors(path, ["a", "A", "a", ""]).matrix[:, 0].tolist() == [1, 1, 1, 0]


def test_terms_may_contain_spaces_and_odd_line_breaks(tmp_path):
    odd = ["\x85", "a\u2028b", "\xa0", "a\x0bb"]  # not line breaks in these files
    rows = [". . . 1 2", ". 3 4", "at name@domain.com 5 6", *(f"{t} 7 8" for t in odd)]
    path = write(tmp_path, "\n".join(rows))
    wanted = [".", ". . .", "at name@domain.com", *odd, "at"]
    matrix, found = read_vectors(path, wanted)
    assert matrix[:, 0].tolist() == [3, 1, 5, 7, 7, 7, 7, 0]
    assert found.tolist() == [True] * 7 + [False]
    assert set(read_terms(path)) == set(wanted[:-1])


def test_a_number_is_a_term_too(tmp_path):
    path = write(tmp_path, "1 0.5 0.25\n2 0.1 0.2\n")
    assert read_vectors(path, ["1"]).matrix.tolist() == [[0.5, 0.25]]


def test_two_numbers_in_line_1_are_the_size_only_if_both_are_whole(tmp_path):
    path = write(tmp_path, "7 0.5\n8 0.25\n")
    assert read_vectors(path, ["7", "8"]).matrix.tolist() == [[0.5], [0.25]]


def test_blank_lines_are_skipped(tmp_path):
    path = write(tmp_path, "a 1 2\n\nb 3 4\n\n")
    assert read_vectors(path, ["b"]).matrix.tolist() == [[3, 4]]


def test_a_byte_order_mark_is_no_part_of_the_first_term(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbfa 1 2\n")
    assert read_terms(path) == ["a"]


def test_only_what_is_wanted_is_kept(tmp_path):
    import tracemalloc

    with gzip.open(tmp_path / "many.gz", "wt") as file:
        for i in range(20_000):
            file.write(f"w{i} " + " ".join(["0.125"] * 100) + "\n")
    tracemalloc.start()
    matrix, found = read_vectors(tmp_path / "many.gz", ["w5", "w19999"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.all() and matrix.shape == (2, 100)
    assert peak < 2_000_000  # of 12 MB


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", None, "lines of a term and its numbers, got an empty file"),
        ("a 1 2\nb 3\n", 2, "line 2: expected a term and 2 numbers, got 2 fields: 'b 3'"),
        ("a 1 2\nb 3 4 5\n", 2, "line 2: expected a term and 2 numbers, got 4 fields"),
        ("a 1 2\nb 3 x\n", 2, "line 2: expected 2 finite numbers, got '3 x'"),
        ("a 1 2\nb 3 nan\n", 2, "line 2: expected 2 finite numbers"),
        ("a 1 2\nb 3 1e999\n", 2, "line 2: expected 2 finite numbers"),
        ("9 2\n", None, "expected lines of a term and its numbers, got 'line 1 alone'"),
        ("a 1 2\nb 3-4 5\nb 6 x\n", 2, "line 2: expected 2 finite numbers, got '3-4 5'"),
        ("a 1 2\nb 1_0 5\n", 2, "line 2: expected 2 finite numbers, got '1_0 5'"),
        ("a 1 2\nb ١ 5\n", 2, "line 2: expected a term and 2 numbers"),
        ("2 3\na 1 2\nb 3 4\n", 2, "line 2: expected a term and 3 numbers, got 3 fields"),
        ("0 3\n", 1, "line 1: expected a number of terms and a dimension above 0"),
        ("hello world\n", 1, "line 1: expected a term and its numbers, got 'hello world'"),
        (b"a 1 2\nb \x00\x01\x02\x03 2\n", 2, "line 2: expected text, with word2vec's binary"),
        (b"\x80\x04\x95xxxxxxxx", None, "got 'a pickle, which is not read'"),
        (b"\xba\x16\x4f\x2f\x0c\x00\x00\x00", None, "got 'a model of fastText, which writes"),
        ("a 1 2\n".encode("utf-16"), 1, "got 'the byte-order mark of UTF-16'"),
        (b"PK\x03\x04xxxx", None, "got 'a zip archive'"),
    ],
)
def test_malformed_files(tmp_path, content, line, message):
    path = write(tmp_path, content, "broken.txt")
    with pytest.raises(DataError) as error:
        read_vectors(path, ["a", "b"])
    assert message in str(error.value)
    assert "broken.txt" in str(error.value)
    assert error.value.line == line


def test_a_damaged_gzip_file(tmp_path):
    path = write(tmp_path, GLOVE * 50, "vectors.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="expected a whole gzip file, got a damaged one"):
        read_vectors(path, ["the"])


def test_terms_that_are_not_utf8(tmp_path):
    path = write(tmp_path, b"a 1 2\ncaf\xe9 3 4\n")
    with pytest.raises(DataError, match=r"line 2: expected a term in UTF-8, got 'caf\\\\xe9'"):
        read_terms(path)
    with pytest.raises(DataError, match=r"line 2: expected a term in UTF-8"):
        read_vectors(path, ["a"])


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt"):
        read_vectors(tmp_path / "none.txt", ["a"])


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
@pytest.mark.parametrize("header", [False, True])
def test_written_vectors_read_the_same(tmp_path, name, header):
    rng = np.random.default_rng(0)
    terms = ["new york", "the", "2", "São", "\u2028"]
    matrix = (rng.normal(size=(5, 7)) * 10.0 ** rng.integers(-12, 12, (5, 7))).astype("float32")
    path = tmp_path / name
    write_vectors(path, terms, matrix, header=header)
    again, found = read_vectors(path, terms)
    np.testing.assert_array_equal(again, matrix)
    assert found.all()
    assert read_terms(path) == terms
    assert [p.name for p in tmp_path.iterdir()] == [name]  # nothing left behind
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")


@pytest.mark.parametrize("term", ["", "a\nb", " a", "a\tb", "route 66"])
def test_terms_that_cannot_be_written(tmp_path, term):
    with pytest.raises(ValueError, match="cannot stand in a file of vectors"):
        write_vectors(tmp_path / "vectors.txt", [term], [[1.0]])
    assert not list(tmp_path.iterdir())


def test_matrices_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"\(terms=2, dimension\).*Received: \(1, 2\)"):
        write_vectors(tmp_path / "vectors.txt", ["a", "b"], [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"must be finite\. Received: .*'b'"):
        write_vectors(tmp_path / "vectors.txt", ["a", "b"], [[1.0], [np.nan]])


# === Scaling ===


def test_scaled_vectors_are_as_wide_as_a_new_embedding(rng):
    found = np.array([True, True, False, True])
    matrix = np.where(found[:, None], rng.normal(0.3, 5, (4, 25)), 0).astype("float32")
    scaled, still_found = Vectors(matrix, found).scaled()
    assert scaled.dtype == np.float32
    assert scaled[found].std() == pytest.approx(0.2, rel=1e-5)
    np.testing.assert_allclose(scaled * matrix[0, 0], matrix * scaled[0, 0], rtol=1e-5)
    np.testing.assert_array_equal(still_found, found)
    assert Vectors(matrix, found).scaled(0.7).matrix[found].std() == pytest.approx(0.7, rel=1e-5)


def test_nothing_found_is_nothing_to_scale():
    empty = Vectors(np.zeros((2, 3), "float32"), np.zeros(2, bool))
    np.testing.assert_array_equal(empty.scaled().matrix, empty.matrix)


def test_lines_that_end_with_carriage_returns_are_refused(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"tea 1 2\rcup 3 4\r")
    with pytest.raises(DataError, match=r"line 1: expected lines that end with line feeds"):
        read_terms(path)
    path.write_bytes(b"tea 1 2\r\ncup 3 4\r\n")
    assert read_terms(path) == ["tea", "cup"]
