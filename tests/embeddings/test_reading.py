"""All formats by one reader: found out by content, read whole or in part, and written again."""

import gzip
import json
import shutil
import struct
import warnings

import numpy as np
import pytest
import safetensors.numpy

from kerasrnn.data import DataError
from kerasrnn.embeddings import EmbeddingMatrix, read_terms, read_vectors
from tests.embeddings.test_vectors import write

TERMS = ["the", "São", "Paris", "paris", "😀", "2", "a\x0bb"]
ENDS = [".txt", ".vec", ".bin", ".txt.gz", ".vec.gz", ".bin.gz", ".safetensors"]


def binary(terms, matrix, end=b"\n", promised=None):
    count, width = np.shape(matrix)
    head = f"{count if promised is None else promised} {width}\n".encode()
    rows = zip(terms, np.asarray(matrix, "<f4"), strict=True)
    return head + b"".join(t.encode() + b" " + row.tobytes() + end for t, row in rows)


@pytest.fixture
def numbers(rng):
    return rng.normal(size=(len(TERMS), 5)).astype("float32")


@pytest.mark.parametrize("end", ENDS)
def test_what_is_written_is_read_again(tmp_path, numbers, end):
    path = tmp_path / f"vectors{end}"
    EmbeddingMatrix(TERMS, numbers).save(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing left behind
    again = EmbeddingMatrix.load(path)
    assert again.terms == tuple(TERMS) and again.matrix.dtype == np.float32
    np.testing.assert_array_equal(again.matrix, numbers)
    # The same reader serves those who want some words only.
    assert read_terms(path) == TERMS
    matrix, found = read_vectors(path, ["São", "zebra", "PARIS"])
    np.testing.assert_array_equal(matrix, [numbers[1], np.zeros(5), numbers[3]])
    assert found.tolist() == [True, False, True]
    for limit in (1, 3, 100):
        first = EmbeddingMatrix.load(path, limit=limit)
        assert first.terms == tuple(TERMS[:limit])
        np.testing.assert_array_equal(first.matrix, numbers[:limit])


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin", "vectors.safetensors", "vectors"])
@pytest.mark.parametrize("end", ENDS)
def test_names_do_not_count(tmp_path, numbers, end, name):
    EmbeddingMatrix(TERMS, numbers).save(tmp_path / f"a{end}")
    path = (tmp_path / f"a{end}").rename(tmp_path / name)
    again = EmbeddingMatrix.load(path)
    assert again.terms == tuple(TERMS)
    np.testing.assert_array_equal(again.matrix, numbers)


@pytest.mark.parametrize("dimension", [1, 2, 3, 50, 300, 5000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_binary_files_of_any_dimension(tmp_path, rng, dimension, end):
    matrix = rng.normal(size=(300, dimension)).astype("float32")
    terms = [f"w{i}" for i in range(300)]
    path = write(tmp_path, binary(terms, matrix, end), "vectors.bin")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = EmbeddingMatrix.load(path)
    assert again.terms == tuple(terms)
    np.testing.assert_array_equal(again.matrix, matrix)


def test_binary_numbers_that_look_like_spaces_and_line_feeds(tmp_path):
    odd = np.frombuffer(b"\n \n    \n\n\n\n \n 7\n" * 3, "<f4").reshape(2, 6)
    matrix = np.concatenate([odd, np.full((2, 1), 0.1, "float32"), odd], axis=1)
    path = write(tmp_path, binary(["a", "b"], matrix), "vectors.bin")
    np.testing.assert_array_equal(EmbeddingMatrix.load(path).matrix, matrix)


@pytest.mark.parametrize("promised", [1, 2, 5, 10**15])
def test_binary_files_with_other_rows_than_promised(tmp_path, numbers, promised):
    path = write(tmp_path, binary(TERMS[:3], numbers[:3], promised=promised))
    with pytest.warns(UserWarning, match=f"line 1 promises {promised} terms, there are 3"):
        again = EmbeddingMatrix.load(path)
    np.testing.assert_array_equal(again.matrix, numbers[:3])


@pytest.mark.parametrize("cut", [1, 5, 19, 22])
def test_a_binary_file_cut_in_a_row_gives_the_whole_ones(tmp_path, numbers, cut):
    data = binary(TERMS[:3], numbers[:3], end=b"")
    path = write(tmp_path, data[:-cut])
    left = 26 - cut  # of the last row's 20 bytes of numbers, and its term and space
    with pytest.warns(UserWarning, match=f"promises 3 terms, there are 2, and {left} bytes more"):
        again = EmbeddingMatrix.load(path)
    np.testing.assert_array_equal(again.matrix, numbers[:2])
    with pytest.warns(UserWarning, match="promises 3 terms, there are 2"):
        assert read_terms(path) == TERMS[:2]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"2 1000000000\na \x01\x02\x03\xff", "expected rows of a term and 4,000,000,000 bytes"),
        (b"2 100000000000000000\na \x01\x02\xff\xff", "expected rows of a term and"),
        (b"3 2\na \x00\x00\x80\x3f\x00\x00\xc0\x7f\n", "2 finite numbers in row 1, got others for"),
        (b"3 1\na \x01\x02\x80\xff\n", "expected 1 finite numbers in row 1"),
        (b"3 1\n\xe9 \x00\x00\x80\x3f", "expected a term in UTF-8 in row 1"),
        (b"3 1\na \x00\x00\x80\x3f" + b"x" * 70_000, "a term of at most 65,536 bytes in row 2"),
    ],
)
def test_malformed_binary_files(tmp_path, data, message):
    path = write(tmp_path, data, "broken.bin")
    with pytest.raises(DataError, match=r"broken\.bin: ") as error:
        EmbeddingMatrix.load(path)
    assert message in str(error.value)


def test_what_a_hostile_header_promises_is_not_made_room_for(tmp_path):
    import tracemalloc

    for name in ("a.txt", "a.bin", "a.txt.gz", "a.bin.gz"):
        rows = b"a 1 2\nb 3 4\n" if "txt" in name else binary("ab", [[1, 2], [3, 4]])[4:]
        path = write(tmp_path, b"1000000000000000 2\n" + rows, name)
        tracemalloc.start()
        with pytest.warns(UserWarning, match="promises 1000000000000000 terms, there are 2"):
            assert EmbeddingMatrix.load(path).matrix.tolist() == [[1, 2], [3, 4]]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASRNN_MAX_BYTES", "100000")
    path = write(tmp_path, b"".join(b"w%d 0 0 0 0\n" % i for i in range(20_000)), "bomb.txt.gz")
    with pytest.raises(DataError, match="at most 100,000 bytes of data"):
        EmbeddingMatrix.load(path)


@pytest.mark.parametrize("header", ["", "4 2\n"])
def test_nothing_behind_the_limit_is_looked_at(tmp_path, header):
    path = write(tmp_path, f"{header}a 1 2\nb 3 4\nc 5\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert EmbeddingMatrix.load(path, limit=2).terms == ("a", "b")
    with pytest.raises(DataError, match="expected a term and 2 numbers"):
        EmbeddingMatrix.load(path, limit=3)
    packed = tmp_path / "cut.gz"
    packed.write_bytes(gzip.compress(b"".join(b"w%d 1 2\n" % i for i in range(99)))[:-12])
    assert len(EmbeddingMatrix.load(packed, limit=20)) == 20
    with pytest.raises(DataError, match="a damaged one"):
        EmbeddingMatrix.load(packed)


@pytest.mark.parametrize("limit", [0, -1, 2.5, "3", True])
def test_limits_that_are_none(tmp_path, limit):
    with pytest.raises(ValueError, match="limit must be a positive integer"):
        EmbeddingMatrix.load(write(tmp_path, "a 1\n"), limit=limit)


def test_repeated_terms_keep_their_first_vector(tmp_path, numbers):
    rows = "a 1 2\nb 3 4\na 5 6\nc 7 8\nb 9 9\na 0 0\n"
    for path in (
        write(tmp_path, rows),
        write(tmp_path, binary("abacba", [[1, 2], [3, 4], [5, 6], [7, 8], [9, 9], [0, 0]]), "b"),
    ):
        with pytest.warns(UserWarning, match="3 rows repeat terms of earlier rows") as caught:
            again = EmbeddingMatrix.load(path)
        assert caught[0].filename == __file__
        assert again.terms == ("a", "b", "c")
        assert again.matrix.tolist() == [[1, 2], [3, 4], [7, 8]]


def test_the_matrix_grows_where_later_rows_are_shorter(tmp_path, rng):
    long = "".join(f"w{i} " + " ".join(["0." + "1" * 60] * 4) + "\n" for i in range(12))
    short = "".join(f"v{i} 1 2 3 {i}\n" for i in range(30_000))
    again = EmbeddingMatrix.load(write(tmp_path, long + short))
    assert len(again) == 30_012
    np.testing.assert_array_equal(again.matrix[12:, 3], np.arange(30_000))
    assert again.matrix.base.nbytes == again.matrix.nbytes  # and has no room left over


def test_no_rows_with_terms(tmp_path):
    with pytest.raises(DataError, match="expected rows with terms, got none"):
        EmbeddingMatrix.load(write(tmp_path, " 1 2\n 3 4\n"))
    with pytest.raises(DataError, match="got an empty file"):
        EmbeddingMatrix.load(write(tmp_path, ""))
    with pytest.raises(DataError, match="got an empty file"):
        EmbeddingMatrix.load(write(tmp_path, "", "empty.gz"))


@pytest.mark.parametrize("name", ["vectors.npz", "vectors", "vectors.gz", "a.safetensors.gz"])
def test_names_that_say_no_format(tmp_path, numbers, name):
    with pytest.raises(ValueError, match=r"must end in one of \.txt, \.vec, \.bin, \.safetensors"):
        EmbeddingMatrix(TERMS, numbers).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("end", [".bin", ".txt", ".vec"])
@pytest.mark.parametrize("term", ["route 66", "\ufeffa", "\na"])
def test_only_safetensors_holds_any_term(tmp_path, end, term):
    matrix = EmbeddingMatrix([term, "a\r\0b\n "], [[1.0], [2.0]])
    if not (end == ".bin" and term == "\ufeffa"):
        with pytest.raises(ValueError, match=r"cannot stand in.*Only \.safetensors holds any term"):
            EmbeddingMatrix([term], [[1.0]]).save(tmp_path / f"a{end}")
        assert not list(tmp_path.iterdir())
    matrix.save(tmp_path / "a.safetensors")
    assert EmbeddingMatrix.load(tmp_path / "a.safetensors").terms == matrix.terms


# === Safetensors ===


def saved(path, tensors, **metadata):
    safetensors.numpy.save_file(tensors, str(path), metadata or None)
    return path


def test_safetensors_of_others(tmp_path, numbers):
    path = tmp_path / "model.safetensors"
    half = numbers.astype("float16")
    saved(path, {"bias": numbers[0], "wte.weight": half}, terms=json.dumps(TERMS))
    np.testing.assert_array_equal(EmbeddingMatrix.load(path).matrix, half.astype("float32"))
    saved(path, {"wte.weight": half})
    with pytest.raises(DataError, match=r"terms in its metadata, or a file model\.terms\.txt"):
        EmbeddingMatrix.load(path)
    (tmp_path / "model.terms.txt").write_text("\n".join(TERMS) + "\n")
    assert EmbeddingMatrix.load(path).terms == tuple(TERMS)


@pytest.mark.parametrize(
    ("tensors", "terms", "message"),
    [
        ({"a": [[1.0], [2.0]], "b": [[1.0], [2.0]]}, ["x", "y"], "got 2 of the tensors"),
        ({"a": [1.0, 2.0]}, ["x", "y"], "got 0 of the tensors"),
        ({"embeddings": [[1.0], [2.0]]}, ["x"], "expected 2 terms, one for each row"),
        ({"embeddings": [[1.0], [2.0]]}, ["x", 3], "expected a list of strings as terms"),
        ({"embeddings": [[1.0], [2.0]]}, ["x", "\ud800"], "got a lone surrogate"),
        ({"embeddings": [[1.0], [np.nan]]}, ["x", "y"], "finite numbers, got others for 'y'"),
    ],
)
def test_safetensors_that_do_not_fit(tmp_path, tensors, terms, message):
    path = tmp_path / "a.safetensors"
    arrays = {name: np.array(rows, "float32") for name, rows in tensors.items()}
    saved(path, arrays, terms=json.dumps(terms))
    with pytest.raises(DataError, match=r"a\.safetensors: ") as error:
        EmbeddingMatrix.load(path)
    assert message in str(error.value)


def test_damaged_safetensors(tmp_path, numbers):
    path = tmp_path / "a.safetensors"
    EmbeddingMatrix(TERMS, numbers).save(path)
    whole = path.read_bytes()
    for data in (
        whole[:-7],
        whole[:40],
        struct.pack("<Q", 2**39) + whole[8:],
        whole[:8] + b"{" * 60 + whole[68:],
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.safetensors: expected safetensors"):
            EmbeddingMatrix.load(path)
    with pytest.raises(DataError, match="expected safetensors as they are"):
        EmbeddingMatrix.load(write(tmp_path, whole, "a.safetensors.gz"))


# === Presets and packages ===


@pytest.mark.parametrize(
    ("preset", "vocabulary"),
    [
        ("ner_en_starter", "vocabulary"),
        ("ner_en_wnut17", "vocabulary"),  # int8 with scales
        ("language_id_cldr", "vocabulary"),
        ("char_lm_shakespeare", "text_units"),
        ("date_en_iso", "source_vocabulary"),
    ],
)
def test_presets(preset, vocabulary):
    from kerasrnn import zoo

    matrix = EmbeddingMatrix.load(preset)
    model = {
        "ner": zoo.SequenceTagger,
        "lan": zoo.TextClassifier,
        "cha": zoo.LanguageModel,
        "dat": zoo.EncoderDecoder,
    }[preset[:3]].from_preset(preset)
    assert matrix.terms == tuple(getattr(model, vocabulary).terms)
    network = model.network
    table = next(
        weight.numpy()
        for weight in network.weights
        if weight.path.endswith("embeddings") and weight.shape[0] == len(matrix) + 2
    )
    np.testing.assert_array_equal(matrix.matrix, table[2:])
    assert EmbeddingMatrix.load(preset, limit=7).terms == matrix.terms[:7]
    assert read_terms(preset) == list(matrix.terms)
    word = matrix.terms[20]
    np.testing.assert_array_equal(read_vectors(preset, [word]).matrix[0], matrix[word])


def test_a_preset_by_its_folder(tmp_path):
    from kerasrnn.storage.preset_folders import resolve_preset

    shutil.copytree(resolve_preset("ner_en_starter"), tmp_path / "mine")
    mine = EmbeddingMatrix.load(tmp_path / "mine")
    np.testing.assert_array_equal(mine.matrix, EmbeddingMatrix.load("ner_en_starter").matrix)
    words = tmp_path / "mine" / "vocabulary" / "words.txt"
    words.write_text(words.read_text() + "onemore\n")
    with pytest.raises(DataError, match=r"mine: expected a table of 2,566 rows"):
        EmbeddingMatrix.load(tmp_path / "mine")
    words.write_text("a\na\n")
    with pytest.raises(DataError, match=r"words\.txt, line 2: expected distinct terms"):
        read_terms(tmp_path / "mine")
    (tmp_path / "mine" / "model.weights.h5").write_bytes(b"none")
    with pytest.raises(DataError, match=r"model\.weights\.h5 is no file of weights"):
        EmbeddingMatrix.load(str(tmp_path / "mine"))


@pytest.mark.parametrize(
    "others",
    [
        {"contexts/vars/0": 6, "embeddings/vars/0": 6, "optimizer/vars/3": 6},
        {"layers/net/layers/embedding_1/vars/0": 6, "layers/net/layers/embedding/vars/0": 6},
        {"layers/net/a/embeddings/vars/0": 6, "layers/net/embeddings/vars/0": 6},
        {"layers/net/embeddings/vars/0": 5, "layers/net/vars/0": 6},
    ],
)
def test_the_table_is_found_among_weights_of_its_shape(tmp_path, others, rng):
    import h5py

    (tmp_path / "vocabulary").mkdir()
    (tmp_path / "vocabulary" / "words.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "config.toml").write_text(
        'class = "WordVectors"\n[vocabulary]\nwords = "vocabulary/words.txt"\n'
    )
    arrays = {name: rng.normal(size=(rows, 3)).astype("float32") for name, rows in others.items()}
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    wanted = next(reversed([name for name in arrays if "optimizer" not in name]))
    matrix = EmbeddingMatrix.load(tmp_path)
    assert matrix.terms == ("a", "b", "c", "d")
    np.testing.assert_array_equal(matrix.matrix, arrays[wanted][2:])


def test_names_of_nothing(tmp_path):
    with pytest.raises(DataError, match=r"a MusicModel without a table"):
        EmbeddingMatrix.load("music_jsb")
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'ner_en_starter'\?"):
        EmbeddingMatrix.load("ner_en_startr")
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'vader'\?"):
        EmbeddingMatrix.load("ner_en_starter+vadr")
    with pytest.raises(FileNotFoundError, match=r"holds no config\.toml"):
        EmbeddingMatrix.load(tmp_path)
    with pytest.raises(TypeError, match="source must be a path or a name"):
        EmbeddingMatrix.load(None)


def test_presets_side_by_side():
    both = EmbeddingMatrix.load("ner_en_starter+char_lm_python", limit=50)
    one = EmbeddingMatrix.load("ner_en_starter", limit=50)
    assert both.terms == one.terms and both.dimension == 100 + 64
    assert both.similarity("the", "in") != one.similarity("the", "in")
    ratio = both.matrix[:, :100] / one.matrix
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
    assert not both["the"][100:].any() and both["."][100:].any()


# === Progress ===


@pytest.mark.parametrize("end", [".txt", ".vec.gz", ".bin", ".safetensors"])
def test_a_bar_goes_to_the_error_stream(tmp_path, rng, end, capfd):
    path = tmp_path / f"vectors{end}"
    EmbeddingMatrix([f"w{i}" for i in range(9000)], rng.normal(size=(9000, 20))).save(path)
    EmbeddingMatrix.load(path)
    assert capfd.readouterr().err == ""
    EmbeddingMatrix.load(path, progress=True)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert path.name in printed.err and "100%" in printed.err and "9,000 terms" in printed.err
