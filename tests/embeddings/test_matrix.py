"""The embedding matrix: what it takes, what is asked of it, and the way to Keras's layer."""

import gzip
import pickle
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from kerasrnn.embeddings import EmbeddingMatrix, UnknownTermError
from kerasrnn.embeddings.nearest import largest, nearest
from kerasrnn.embeddings.spelling import nearest_spellings


@pytest.fixture
def matrix(rng):
    terms = [f"w{i}" for i in range(400)]
    return EmbeddingMatrix(terms, rng.normal(size=(400, 12)).astype("float32"))


def cosines(matrix, direction):
    """From the equation, in float64."""
    rows = matrix.matrix.astype("float64")
    return rows @ direction / (np.linalg.norm(rows, axis=1) * np.linalg.norm(direction))


def unit(vector):
    return vector.astype("float64") / np.linalg.norm(vector)


# === What it holds ===


def test_a_float32_matrix_is_kept_as_it_is(rng):
    rows = rng.normal(size=(3, 4)).astype("float32")
    m = EmbeddingMatrix(["a", "b", "c"], rows)
    assert np.shares_memory(m.matrix, rows)
    assert rows.flags.writeable and not m.matrix.flags.writeable
    assert not m["a"].flags.writeable
    assert (len(m), m.dimension, m.terms, list(m)) == (3, 4, ("a", "b", "c"), ["a", "b", "c"])
    assert "b" in m and "d" not in m and 1 not in m
    np.testing.assert_array_equal(m[["c", "a"]], rows[[2, 0]])
    np.testing.assert_array_equal(m.vector("b"), rows[1])
    assert EmbeddingMatrix((t for t in "ab"), [[1, 2], [3, 4]]).matrix.dtype == np.float32


@pytest.mark.parametrize(
    ("terms", "rows", "error", "message"),
    [
        (["a", "b", "a"], np.ones((3, 2)), ValueError, "got 'a' again, first at 0, at position 2"),
        (["a", ""], np.ones((2, 2)), ValueError, "got an empty one, at position 1"),
        (["a", 3], np.ones((2, 2)), TypeError, "terms must hold strings, got 3"),
        ("ab", np.ones((2, 2)), TypeError, "terms must be a sequence of strings"),
        (["a", "\ud800"], np.ones((2, 2)), ValueError, "lone surrogate"),
        (["a", "b"], np.ones((3, 2)), ValueError, r"shape \(terms=2, dimension\)"),
        (["a", "b"], np.ones(2), ValueError, r"Received: \(2,\)"),
        (["a", "b"], np.ones((2, 0)), ValueError, r"neither of them 0"),
        ([], np.ones((0, 2)), ValueError, r"neither of them 0"),
        (["a", "b"], [[1, 2], [3, np.nan]], ValueError, "must be finite.*'b'"),
        (["a", "b"], [[1, 2], [3, 1e39]], ValueError, "must be finite.*'b'"),
        (["a", "b"], [[1], [2, 3]], ValueError, "must hold numbers"),
    ],
)
def test_what_does_not_fit(terms, rows, error, message):
    with pytest.raises(error, match=message):
        EmbeddingMatrix(terms, rows)


# === Similarity ===


def test_queries_are_the_equations(matrix):
    a, b, c = (unit(matrix[t]) for t in ("w1", "w2", "w3"))
    assert matrix.similarity("w1", "w2") == pytest.approx(a @ b, abs=1e-7)
    assert matrix.distance("w1", "w2") == pytest.approx(1 - a @ b, abs=1e-7)
    assert matrix.similarity(matrix["w1"] * 3, "w2") == pytest.approx(a @ b, abs=1e-7)

    expected = cosines(matrix, 0.5 * a + b - c)
    expected[[1, 2, 3]] = -np.inf
    order = np.argsort(-expected)[:7]
    found = matrix.most_similar([("w1", 0.5), "w2"], ["w3"], topn=7)
    assert [term for term, _ in found] == [f"w{i}" for i in order]
    np.testing.assert_allclose([value for _, value in found], expected[order], atol=1e-6)

    analogy = cosines(matrix, b - a + c)
    analogy[[1, 2, 3]] = -np.inf
    assert matrix.analogy("w1", "w2", "w3") == [
        (f"w{analogy.argmax()}", pytest.approx(analogy.max(), abs=1e-6))
    ]

    with_a = cosines(matrix, a)
    assert matrix.rank("w1", "w9") == 1 + int((np.delete(with_a, 1) > with_a[9]).sum())
    assert matrix.rank("w1", f"w{np.argsort(-with_a)[1]}") == 1
    assert matrix.rank("w1", "w1") == 1


def test_the_lecture_s_words():
    #         gender, royal, age, food
    features = {
        "man": (-1, 0.01, 0.03, 0.09),
        "woman": (1, 0.02, 0.02, 0.01),
        "king": (-0.95, 0.93, 0.7, 0.02),
        "queen": (0.97, 0.95, 0.69, 0.01),
        "apple": (0, -0.01, 0.03, 0.95),
        "orange": (0.01, 0, -0.02, 0.97),
    }
    m = EmbeddingMatrix(features, list(features.values()))
    assert m.analogy("man", "woman", "king")[0][0] == "queen"
    assert m.analogy("king", "queen", "man")[0][0] == "woman"
    assert m.doesnt_match(["king", "apple", "queen"]) == "apple"
    assert m.most_similar("apple", topn=1)[0][0] == "orange"
    j = list(m.terms).index("king")
    one_hot = np.eye(6)[j]
    np.testing.assert_allclose(m.matrix.T @ one_hot, m["king"], rtol=1e-6)


def test_restrict(matrix):
    every = dict(matrix.most_similar("w0", topn=399))
    first = matrix.most_similar("w0", topn=99, restrict=50)
    assert sorted(term for term, _ in first) == sorted(f"w{i}" for i in range(1, 50))
    some = matrix.most_similar("w0", restrict=["w7", "w300", "w0", "w7"])
    assert sorted(term for term, _ in some) == ["w300", "w7"]
    for term, value in first + some:
        assert value == pytest.approx(every[term], abs=1e-6)
    assert matrix.most_similar("w0", topn=None, restrict=9).shape == (9,)
    assert len(matrix.most_similar("w0", restrict=10**9, topn=10**9)) == 399
    with pytest.raises(ValueError, match="restrict must be a positive integer, got 0"):
        matrix.most_similar("w0", restrict=0)
    with pytest.raises(UnknownTermError, match="'w400'"):
        matrix.most_similar("w0", restrict=["w400"])


def test_topn(matrix):
    assert matrix.most_similar("w0", topn=0) == [] == matrix.most_similar("w0", topn=-3)
    everything = matrix.most_similar("w0", topn=None)
    np.testing.assert_allclose(everything, cosines(matrix, unit(matrix["w0"])), atol=1e-6)
    assert everything[0] == pytest.approx(1) and abs(everything).max() <= 1
    for topn in (2.5, "3", True):
        with pytest.raises(ValueError, match="topn must be"):
            matrix.most_similar("w0", topn=topn)


@pytest.mark.parametrize("topn", [1, 10, 60, 500])
@pytest.mark.parametrize("restrict", [None, 300, ["w5", "w4", "w9"]])
def test_a_batch_is_its_queries(matrix, topn, restrict):
    queries = ["w3", matrix["w4"], ["w5", "w6"], [("w7", 2.0), "w8", matrix["w1"]], ["w9", "w9"]]
    negative = [(), "w1", ["w2", "w3"], None, [matrix["w0"]]]
    batch = matrix.most_similar_batch(queries, negative, topn=topn, restrict=restrict)
    for query, minus, found in zip(queries, negative, batch, strict=True):
        one = matrix.most_similar(query, minus, topn=topn, restrict=restrict)
        assert [term for term, _ in found] == [term for term, _ in one]
        np.testing.assert_allclose([v for _, v in found], [v for _, v in one], atol=1e-6)


def test_batches_that_are_none(matrix):
    assert matrix.most_similar_batch([]) == []
    assert matrix.most_similar_batch(["w1", "w2"], topn=0) == [[], []]
    rows = matrix.most_similar_batch(matrix.matrix[:3], topn=1)
    assert [found[0][0] for found in rows] == ["w0", "w1", "w2"]
    with pytest.raises(ValueError, match="negative must have an entry for each of the 2 queries"):
        matrix.most_similar_batch(["w1", "w2"], ["w3"])
    with pytest.raises(TypeError, match="positive must be a list with an entry for each query"):
        matrix.most_similar_batch("w1")
    with pytest.raises(UnknownTermError):
        matrix.most_similar_batch(["w1", "nothing"])


@pytest.mark.parametrize(
    ("positive", "error", "message"),
    [
        ([], ValueError, "needs at least one term or vector"),
        (None, ValueError, "needs at least one term or vector"),
        (np.ones(3), ValueError, r"a vector of 12 finite numbers, got array\(\[1., 1., 1.\]\)"),
        ([np.full(12, np.nan)], ValueError, "12 finite numbers"),
        ([("w1", "much")], ValueError, "weight must be a finite number, got 'much'"),
        ([("w1", np.inf)], ValueError, "weight must be a finite number, got inf"),
        (3, TypeError, "must be a term, a vector or a list"),
        ([3], ValueError, "a vector of 12 finite numbers, got 3"),
        ([b"w1"], ValueError, "a vector of 12 finite numbers"),
    ],
)
def test_queries_that_are_none(matrix, positive, error, message):
    with pytest.raises(error, match=message):
        matrix.most_similar(positive)


def test_zero_and_extreme_vectors_give_numbers():
    rows = [[0, 0], [1, 1], [1, 0], [0, 0], [1e-38, 1e-38], [3e38, 3e38], [1e-45, 0]]
    m = EmbeddingMatrix(list("abcdefg"), rows)
    assert m.similarity("a", "b") == 0 and m.distance("a", "d") == 1
    assert m.similarity("e", "f") == pytest.approx(1) and m.similarity("g", "c") == 1
    assert [v for _, v in m.most_similar("a")] == [0] * 6
    assert [v for _, v in m.most_similar(["b"], ["b"])] == [0] * 6  # a sum of zero
    found = dict(m.most_similar("b"))
    assert found["e"] == pytest.approx(1) and found["f"] == pytest.approx(1)
    assert found["a"] == 0 and found["g"] == pytest.approx(0.5**0.5)
    assert dict(m.most_similar_batch(["b", "a"])[0]) == pytest.approx(found)
    assert m.rank("a", "b") == 1 and m.rank("b", "a") == 5
    assert m.doesnt_match(["a", "b", "c"]) == "a"


def test_doesnt_match(matrix):
    words = ["w1", "w2", "w3", "w4"]
    units = np.array([unit(matrix[w]) for w in words])
    assert matrix.doesnt_match(words) == words[np.argmin(units @ unit(units.mean(axis=0)))]
    assert matrix.doesnt_match(["w1"]) == "w1"
    with pytest.raises(ValueError, match="at least one term"):
        matrix.doesnt_match([])
    with pytest.raises(TypeError, match="must be a list of terms"):
        matrix.doesnt_match("w1")
    with pytest.raises(UnknownTermError, match="Unknown term 'v1'"):
        matrix.doesnt_match(["w1", "v1"])


# === The largest ===


@pytest.mark.parametrize("size", [1, 63, 64, 1000, 70_001])
@pytest.mark.parametrize("count", [0, 1, 10, 200, 10**6])
def test_the_largest_are_those_of_a_whole_sort(rng, size, count):
    values = rng.integers(0, 50, size).astype("float32")  # many ties
    for given in (values, np.zeros_like(values), np.sort(values), np.sort(values)[::-1]):
        expected = np.argsort(-given, kind="stable")[:count]
        np.testing.assert_array_equal(largest(given, count), expected)


@pytest.mark.parametrize(("rows", "queries", "count"), [(9000, 300, 7), (30, 5, 3), (5000, 3, 900)])
def test_the_nearest_of_many_tiles(rng, rows, queries, count):
    # Small whole numbers: products are exact, and there are many ties.
    matrix = rng.integers(-2, 3, (rows, 4)).astype("float32")
    directions = rng.integers(-2, 3, (queries, 4)).astype("float32")
    scale = rng.choice([0.5, 1, 2], rows).astype("float32")
    found, values = nearest(matrix, scale, directions, count)
    every = (directions @ matrix.T) * scale
    expected = np.argsort(-every, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(values, np.take_along_axis(every, expected, axis=1))


# === Words that are not there ===


def test_unknown_terms_are_answered_with_the_nearest_spellings():
    m = EmbeddingMatrix(["the", "king", "queen", "Paris", "woman"], np.eye(5))
    ask = [
        lambda t: m[t],
        m.vector,
        m.most_similar,
        lambda t: m.similarity("the", t),
        lambda t: m.distance(t, "the"),
        lambda t: m.rank("the", t),
        lambda t: m.analogy("the", t, "king"),
        lambda t: m.most_similar("the", t),
    ]
    for query in ask:
        with pytest.raises(KeyError) as error:
            query("qeen")
        assert str(error.value) == ("Unknown term 'qeen'. Did you mean 'queen'? There are 5 terms.")
        assert error.value.term == "qeen"
        again = pickle.loads(pickle.dumps(error.value))
        assert again.term == "qeen" and "Did you mean 'queen'?" in str(again)
    with pytest.raises(KeyError, match=r"Unknown term 'xyz'\. There are"):
        m["xyz"]
    with pytest.raises(TypeError, match="A term must be a string, got 3"):
        m.vector(3)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("kign", "king"),
        ("kng", "king"),
        ("kiing", "king"),
        ("ing", "king"),
        ("KING", "king"),
        ("paris", "Paris"),
        ("womam", "woman"),
        ("qeen", "queen"),
        ("", None),
        ("zzzz", None),
    ],
)
def test_spellings(wrong, right):
    terms = ["the", "king", "queen", "Paris", "woman", "kin", "wing", "seen", "parish"]
    assert (nearest_spellings(wrong, terms) or [None])[0] == right


def test_spellings_among_many_are_found_soon(rng):
    letters = np.array(list("etaoinshrdlucmfwyp"))
    terms = {"".join(rng.choice(letters, n)) for n in rng.integers(3, 12, 100_000)}
    terms = ["definitely", *terms]
    begin = time.process_time()
    assert nearest_spellings("definately", terms)[0] == "definitely"
    assert time.process_time() - begin < 1
    m = EmbeddingMatrix(terms, np.ones((len(terms), 1), "float32"))
    begin = time.process_time()
    for _ in range(1000):  # what is caught is not looked for
        with pytest.raises(KeyError):
            m["definately"]
    assert time.process_time() - begin < 1


# === Keras's layer ===


def test_the_layer_is_the_product_with_one_hot_vectors(matrix, tmp_path):
    import keras

    from kerasrnn.text import Vocabulary

    layer = matrix.to_layer()
    assert isinstance(layer, keras.layers.Embedding) and layer.trainable
    E = layer.embeddings.numpy().T  # (dimension, ids)
    ids = Vocabulary(matrix.terms)(["w7", "w0", "unheard", ""]).numpy()
    for j, e in zip(ids, layer(ids).numpy(), strict=True):
        o_j = np.eye(402)[j]
        np.testing.assert_allclose(E @ o_j, e, rtol=1e-6)
    words = layer(ids).numpy()
    np.testing.assert_array_equal(words[0], matrix["w7"])
    np.testing.assert_array_equal(words[1], matrix["w0"])
    np.testing.assert_allclose(words[2], matrix.matrix.mean(axis=0), atol=1e-6)
    assert not words[3].any()


def test_the_layer_is_trained_saved_and_exported(matrix, tmp_path):
    import keras
    import tensorflow as tf

    frozen = matrix.to_layer(trainable=False, name="words", mask_zero=True)
    assert (frozen.name, frozen.trainable, frozen.mask_zero) == ("words", False, True)
    for trainable in (True, False):
        layer = matrix.to_layer(trainable)
        model = keras.Sequential([layer, keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.array([[2, 3]]), np.array([[9.0]]), verbose=0)
        after = EmbeddingMatrix.from_layer(layer, matrix.terms)
        changed = (after.matrix != matrix.matrix).any(axis=1)
        assert changed.tolist() == [trainable] * 2 + [False] * 398
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        EmbeddingMatrix.from_layer(again.layers[0], matrix.terms).matrix, matrix.matrix
    )
    model.export(str(tmp_path / "served"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    found = served.serve(np.array([[2.0, 3.0]], "float32"))
    np.testing.assert_allclose(found, model(np.array([[2, 3]])), rtol=1e-5)


def test_layers_that_do_not_fit(matrix):
    import keras

    with pytest.raises(ValueError, match=r"must have 4 rows: padding, .* Received: 402 rows"):
        EmbeddingMatrix.from_layer(matrix.to_layer(), ["a", "b"])
    with pytest.raises(ValueError, match="'early' must be built"):
        EmbeddingMatrix.from_layer(keras.layers.Embedding(4, 2, name="early"), ["a", "b"])
    with pytest.raises(TypeError, match=r"must be a keras\.layers\.Embedding, got"):
        EmbeddingMatrix.from_layer(keras.layers.Dense(3), ["a", "b"])
    half = matrix.to_layer(dtype="float16")
    again = EmbeddingMatrix.from_layer(half, matrix.terms)
    assert again.matrix.dtype == np.float32
    np.testing.assert_allclose(again.matrix, matrix.matrix, rtol=1e-3, atol=1e-6)


# === Without TensorFlow, and once in memory ===


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_neither_tensorflow_nor_keras_is_loaded(tmp_path):
    (tmp_path / "v.txt").write_text("tea 1 0.1\ncup 1 0.2\npot 0 1\n")
    run(f"""
        import sys

        class Forbidden:
            def find_spec(self, name, path=None, target=None):
                assert name.split(".")[0] not in ("tensorflow", "keras", "jax", "torch"), name

        sys.meta_path.insert(0, Forbidden())
        from kerasrnn.embeddings import EmbeddingMatrix, read_vectors
        path = {str(tmp_path / "v.txt")!r}
        m = EmbeddingMatrix.load(path, progress=True)
        assert m.most_similar("tea", topn=1)[0][0] == "cup"
        for name in ("v.bin", "v.vec.gz", "v.safetensors"):
            m.save({str(tmp_path)!r} + "/" + name)
            EmbeddingMatrix.load({str(tmp_path)!r} + "/" + name)
        words = EmbeddingMatrix.load("ner_en_starter")
        assert len(words.most_similar("the")) == 10
        assert read_vectors("ner_en_starter", ["The"]).found.all()
        try:
            words["lodnon"]
        except KeyError as error:
            assert "london" in str(error)
    """)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", [".txt", ".vec.gz", ".bin", ".safetensors"])
def test_a_matrix_is_in_memory_once(tmp_path, rng, end):
    rows, dimension = 20_000, 300
    path = tmp_path / f"v{end.removesuffix('.gz')}"
    numbers = rng.integers(-99, 99, (rows, dimension)).astype("float32") / 8
    EmbeddingMatrix([f"w{i}" for i in range(rows)], numbers).save(path)
    if end.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    printed = run(f"""
        import threading
        from pathlib import Path
        import safetensors
        from kerasrnn.embeddings import EmbeddingMatrix

        def taken():
            # Pages of a mapped file are the system's, which takes them back as it likes.
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if "RssAnon" in line)

        def watch():
            global most
            while not stop.wait(0.002):
                most = max(most, taken())

        def queries(m):
            m.most_similar(m.terms[0])
            m.most_similar_batch(m.terms[:2])
            m.rank(*m.terms[:2])

        # Of what is loaded and made room for once, whatever the size of a matrix.
        queries(EmbeddingMatrix.load("ner_en_starter"))
        before = most = taken()
        stop = threading.Event()
        thread = threading.Thread(target=watch)
        thread.start()
        m = EmbeddingMatrix.load({str(path)!r})
        queries(m)
        stop.set()
        thread.join()
        print(m.matrix.nbytes, taken() - before, max(most, taken()) - before)
    """)
    size, loaded, most = map(int, printed.split())
    print(f"{end}: {loaded / size:.2f} loaded, {most / size:.2f} at most")
    assert size == rows * dimension * 4
    assert 0.9 * size < loaded  # it is there
    assert most < 1.6 * size  # and the terms take a fifth
