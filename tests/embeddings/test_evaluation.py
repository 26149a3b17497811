"""Analogies and word pairs: what is counted, what is skipped, and lines that are none."""

import numpy as np
import pytest

from kerasrnn.data import DataError
from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.embeddings.evaluation import correlation, ranks

WORDS = {
    "man": (-1, 0, 0),
    "woman": (1, 0, 0),
    "king": (-1, 1, 0),
    "queen": (1, 1, 0),
    "Tea": (0, 0, 1),
    "cup": (0.1, 0.2, 1),
}
QUESTIONS = """: family
man woman king queen
MAN Woman King QUEEN
man woman king cup
man woman boy girl

: drinks
Tea cup nothing pot
: none
"""


@pytest.fixture
def matrix():
    return EmbeddingMatrix(WORDS, list(WORDS.values()))


def written(folder, text):
    path = folder / "questions.txt"
    path.write_text(text)
    return path


def test_questions_are_counted_by_section(matrix, tmp_path):
    path = written(tmp_path, QUESTIONS)
    scores = matrix.evaluate_analogies(path)
    family, drinks, none = scores.sections
    assert family.correct == [("man", "woman", "king", "queen"), ("MAN", "Woman", "King", "QUEEN")]
    assert family.incorrect == [("man", "woman", "king", "cup")]
    assert (family.name, family.accuracy, family.skipped) == ("family", 2 / 3, 1)
    assert (drinks.asked, drinks.accuracy, drinks.skipped) == (0, 0.0, 1)
    assert (none.asked, none.skipped) == (0, 0)
    assert (scores.accuracy, scores.asked, scores.skipped) == (2 / 3, 3, 2)
    assert str(scores).splitlines() == [
        "family: 66.7% (2 of 3, 1 skipped)",
        "drinks: 0.0% (0 of 0, 1 skipped)",
        "none: 0.0% (0 of 0, 0 skipped)",
        "Total accuracy: 66.7% (2 of 3, 2 skipped)",
    ]
    with_unknown = matrix.evaluate_analogies(path, dummy4unknown=True)
    assert (with_unknown.accuracy, with_unknown.asked, with_unknown.skipped) == (2 / 5, 5, 0)
    exact = matrix.evaluate_analogies(path, case_insensitive=False)
    assert (exact.asked, exact.skipped) == (2, 3)


def test_words_behind_the_restriction_are_unknown_and_no_answers(matrix, tmp_path):
    path = written(tmp_path, ": a\nman woman king queen\n")
    assert matrix.evaluate_analogies(path, restrict_vocab=4).accuracy == 1
    assert matrix.evaluate_analogies(path, restrict_vocab=3).skipped == 1
    assert matrix.evaluate_analogies(path, restrict_vocab=None).asked == 1
    with pytest.raises(ValueError, match="restrict_vocab must be a positive integer"):
        matrix.evaluate_analogies(path, restrict_vocab=0)


def test_a_question_s_words_in_another_case_are_no_answers(tmp_path):
    words = {**WORDS, "King": (1.0, 1.01, 0), "KING": (1.01, 1, 0)}  # where `queen` lies
    m = EmbeddingMatrix(words, list(words.values()))
    path = written(tmp_path, ": a\nman woman king queen\n")
    assert m.evaluate_analogies(path).accuracy == 1
    assert m.evaluate_analogies(path, case_insensitive=False).asked == 1


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a b c d\n", 1, "expected a section, `: NAME`, before its questions, got 'a b c d'"),
        (": x\na b c d\na b c\n", 3, "expected four words, got 'a b c'"),
        (": x\na b c d e\n", 2, "expected four words"),
        (": x\n\n: y\n", None, "expected questions of four words, got none"),
        ("", None, "got an empty file"),
    ],
)
def test_files_that_are_no_questions(matrix, tmp_path, text, line, message):
    with pytest.raises(DataError, match=r"questions\.txt") as error:
        matrix.evaluate_analogies(written(tmp_path, text))
    assert message in str(error.value) and error.value.line == line


def test_pairs(matrix, tmp_path):
    text = "# people\nman\tking\t8\nMan\tWoman\t2.5\ntea\tcup\t9\nman\tboy\t5\nqueen\tking\t2.5\n"
    path = written(tmp_path, text)
    scores = matrix.evaluate_word_pairs(path)
    found = [matrix.similarity(*p) for p in [("man", "king"), ("man", "woman"), ("Tea", "cup")]]
    found.append(matrix.similarity("queen", "king"))
    given = [8, 2.5, 9, 2.5]
    assert (scores.pairs, scores.unknown) == (4, 1)
    assert scores.pearson == pytest.approx(np.corrcoef(given, found)[0, 1])
    by_rank = np.corrcoef([3, 1.5, 4, 1.5], np.argsort(np.argsort(found)))[0, 1]
    assert scores.spearman == pytest.approx(by_rank)
    with_unknown = matrix.evaluate_word_pairs(path, dummy4unknown=True)
    assert (with_unknown.pairs, with_unknown.unknown) == (5, 1)
    assert with_unknown.pearson == pytest.approx(np.corrcoef([*given, 5], [*found, 0])[0, 1])
    assert matrix.evaluate_word_pairs(path, case_insensitive=False).pairs == 2
    assert matrix.evaluate_word_pairs(path, restrict_vocab=4).pairs == 3
    named = written(tmp_path, "Word 1,Word 2,Human\n" + text.replace("\t", ",").partition("\n")[2])
    assert matrix.evaluate_word_pairs(named, delimiter=",") == scores


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\tb\t1\nman\tking\n", 2, "two words and a number, separated by '\\t', got 'man\\tking'"),
        ("a\tb\t1\nman\tking\tmuch\n", 2, "two words and a number"),
        ("a\tb\t1\nman\tking\tnan\n", 2, "two words and a number"),
        ("a b 1\n", 1, "two words and a number"),
        ("man\tking\t1\nboy\tgirl\t2\n", None, "two pairs of known words, got 1, and 1 with an"),
    ],
)
def test_files_that_are_no_pairs(matrix, tmp_path, text, line, message):
    with pytest.raises(DataError, match=r"questions\.txt") as error:
        matrix.evaluate_word_pairs(written(tmp_path, text))
    assert message in str(error.value) and error.value.line == line


def test_what_does_not_vary_has_no_correlation(matrix, tmp_path):
    scores = matrix.evaluate_word_pairs(written(tmp_path, "man\tking\t1\nTea\tcup\t1\n"))
    assert np.isnan(scores.spearman) and np.isnan(scores.pearson)


def test_ranks_and_correlations_are_scipy_s(rng):
    stats = pytest.importorskip("scipy.stats")
    for _ in range(20):
        x, y = rng.integers(0, 9, 40), rng.normal(size=40).round(1)
        np.testing.assert_array_equal(ranks(x), stats.rankdata(x))
        assert correlation(x, y) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
        spearman = correlation(ranks(x), ranks(y))
        assert spearman == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)
