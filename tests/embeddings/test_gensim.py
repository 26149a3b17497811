"""The same numbers as gensim, over random matrices and odd questions."""

import numpy as np
import pytest

from kerasrnn.embeddings import EmbeddingMatrix
from tests.data.real import real

gensim = pytest.importorskip("gensim.models")

SIZES = [(7, 3), (200, 10), (5000, 50)]


@pytest.fixture(params=SIZES, ids=str)
def both(request, rng):
    size, dimension = request.param
    terms = [f"w{i}" for i in range(size)]
    matrix = rng.normal(rng.normal(size=dimension), 2, (size, dimension)).astype("float32")
    ours = EmbeddingMatrix(terms, matrix)
    return ours, ours.to_gensim()


def same(ours, theirs):
    """The same terms and similarities; terms as near as 1e-6 may change places."""
    assert len(ours) == len(theirs)
    np.testing.assert_allclose([v for _, v in ours], [v for _, v in theirs], rtol=0, atol=1e-6)
    for (one, value), (other, _) in zip(ours, theirs, strict=True):
        assert one == other or dict(ours).get(other, value) == pytest.approx(value, abs=2e-6)


def test_there_and_back(both):
    ours, theirs = both
    assert theirs.index_to_key == list(ours.terms)
    np.testing.assert_array_equal(theirs.vectors, ours.matrix)
    again = EmbeddingMatrix.from_gensim(theirs)
    assert again.terms == ours.terms and np.shares_memory(again.matrix, theirs.vectors)


def test_a_trained_model_and_other_things():
    model = gensim.Word2Vec([["tea", "cup"], ["tea", "pot"]], vector_size=5, min_count=1)
    ours = EmbeddingMatrix.from_gensim(model)
    assert ours.similarity("tea", "cup") == pytest.approx(model.wv.similarity("tea", "cup"))
    with pytest.raises(TypeError, match="must be KeyedVectors, got 3"):
        EmbeddingMatrix.from_gensim(3)


@pytest.mark.parametrize("binary", [False, True])
def test_files_of_gensim(both, tmp_path, binary):
    ours, theirs = both
    theirs.save_word2vec_format(str(tmp_path / "a"), binary=binary)
    again = EmbeddingMatrix.load(tmp_path / "a")
    assert again.terms == ours.terms
    np.testing.assert_array_equal(again.matrix, ours.matrix)
    path = tmp_path / ("b.bin" if binary else "b.vec.gz")
    ours.save(path)
    read = gensim.KeyedVectors.load_word2vec_format(str(path), binary=binary)
    assert read.index_to_key == list(ours.terms)
    np.testing.assert_array_equal(read.vectors, ours.matrix)


def test_pairs_of_terms(both, rng):
    ours, theirs = both
    for a, b in rng.integers(0, len(ours), (50, 2)):
        a, b = f"w{a}", f"w{b}"
        assert ours.similarity(a, b) == pytest.approx(theirs.similarity(a, b), abs=1e-6)
        assert ours.distance(a, b) == pytest.approx(theirs.distance(a, b), abs=1e-6)
        assert abs(ours.rank(a, b) - theirs.rank(a, b)) <= len(ours) // 1000


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("w0", ()),
        (["w0"], []),
        (["w0", "w1"], ["w2"]),
        ([], ["w3"]),
        (["w0"], "w1"),
        (["w0", "w0", "w1"], ["w1"]),
        ([("w0", 0.3), ("w1", -2.0)], []),
        (["w0"], [("w1", 0.5), ("w2", -0.5)]),
        (["vector"], []),
        (["w0", "vector"], ["w1", "vector"]),
        ([("vector", 0.5), ("w0", 3)], []),
    ],
    ids=str,
)
@pytest.mark.parametrize("topn", [0, 1, 4, 10, 10_000, None])
def test_the_most_similar(both, rng, positive, negative, topn):
    ours, theirs = both
    vector = rng.normal(size=ours.dimension).astype("float32")

    def filled(items):
        if isinstance(items, str):
            return items
        put = {"vector": vector}
        return [
            (put.get(i[0], i[0]), i[1]) if isinstance(i, tuple) else put.get(i, i) for i in items
        ]

    query = filled(positive), filled(negative)
    for restrict in (None, 5):
        mine = ours.most_similar(*query, topn=topn, restrict=restrict)
        other = theirs.most_similar(*query, topn=topn, restrict_vocab=restrict)
        if topn is None:
            np.testing.assert_allclose(mine, other, rtol=0, atol=1e-6)
            continue
        same(mine, other)
        batch = ours.most_similar_batch([query[0]], [query[1]], topn=topn, restrict=restrict)
        same(batch[0], other)


def test_vectors_themselves(both):
    ours, theirs = both
    for query in (ours.matrix[1], [ours.matrix[1]], ours.matrix[1:4]):
        same(ours.most_similar(query), theirs.most_similar(query))


def test_the_odd_one_out(both, rng):
    ours, theirs = both
    for _ in range(30):
        words = [f"w{i}" for i in rng.integers(0, len(ours), 5)]
        assert ours.doesnt_match(words) == theirs.doesnt_match(words)


@pytest.mark.parametrize("case_insensitive", [True, False])
@pytest.mark.parametrize("dummy4unknown", [True, False])
@pytest.mark.parametrize("restrict", [9, 300_000])
def test_evaluation(rng, tmp_path, case_insensitive, dummy4unknown, restrict):
    # Words in several cases, few and near each other, so that questions are sometimes answered.
    terms = ["a", "B", "b", "A", "c", "D", "d", "e", "F", "f", "g", "C", "h"]
    ours = EmbeddingMatrix(terms, rng.integers(-2, 3, (13, 3)) + rng.normal(0, 0.01, (13, 3)))
    theirs = ours.to_gensim()
    words = np.array([*terms, "E", "G", "z"])
    questions = tmp_path / "questions.txt"
    with questions.open("w") as file:
        for section in ("one", "two", "empty"):
            file.write(f": {section}\n")
            for _ in range(300 * (section != "empty")):
                # As in any question, the answer is none of the three, in whatever case.
                *three, last = rng.choice(words, 4)
                if last.upper() not in {word.upper() for word in three}:
                    file.write(" ".join([*three, last]) + "\n")
    options = dict(case_insensitive=case_insensitive, dummy4unknown=dummy4unknown)
    mine = ours.evaluate_analogies(questions, restrict, **options)
    accuracy, sections = theirs.evaluate_word_analogies(str(questions), restrict, **options)
    assert mine.accuracy == accuracy and 0 < accuracy < 1
    form = str.upper if case_insensitive else str
    for one, other in zip([*mine.sections, mine.total], sections, strict=True):
        assert one.name == other["section"]
        assert [tuple(map(form, q)) for q in one.correct] == other["correct"]
        assert sorted(tuple(map(form, q)) for q in one.incorrect) == sorted(other["incorrect"])

    pairs = tmp_path / "pairs.tsv"
    # Of a word and itself, rounding alone tells which pair is nearer.
    drawn = [(a, b) for a, b in rng.choice(words, (90, 2)) if a.upper() != b.upper()]
    rows = [f"{a}\t{b}\t{rng.integers(0, 9)}" for a, b in drawn]
    pairs.write_text("\n".join(rows))
    mine = ours.evaluate_word_pairs(pairs, "\t", restrict, **options)
    pearson, spearman, unknown = theirs.evaluate_word_pairs(
        str(pairs), restrict_vocab=restrict, **options
    )
    assert mine.pearson == pytest.approx(pearson[0], abs=1e-6)
    assert mine.spearman == pytest.approx(spearman[0], abs=1e-6)
    share = mine.unknown / (mine.pairs if dummy4unknown else mine.pairs + mine.unknown)
    assert 100 * share == pytest.approx(unknown)


@pytest.mark.slow
def test_questions_and_pairs_that_are_known():
    """On vectors of a preset: what gensim counts."""
    ours = EmbeddingMatrix.load("slots_en_snips", limit=20_000)
    theirs = ours.to_gensim()
    questions = real("embeddings/questions-words.txt")
    mine = ours.evaluate_analogies(questions)
    accuracy, sections = theirs.evaluate_word_analogies(str(questions))
    assert mine.asked == len(sections[-1]["correct"]) + len(sections[-1]["incorrect"]) > 3000
    assert mine.accuracy == pytest.approx(accuracy, abs=0.001)  # near ties
    for name in ("EN-WS-353-ALL.txt", "EN-SIMLEX-999.txt"):
        pairs = real(f"embeddings/{name}")
        mine_too = ours.evaluate_word_pairs(pairs)
        pearson, spearman, _ = theirs.evaluate_word_pairs(str(pairs))
        assert mine_too.pearson == pytest.approx(pearson[0], abs=1e-6)
        assert mine_too.spearman == pytest.approx(spearman[0], abs=1e-4)
