"""Similar words, and texts in which they stand for each other."""

import numpy as np
import pytest

from training.altered_texts import UNKNOWN, altered, neighbours

TEXT = ["who", "wrote", "the", "opera", "about", "the", "king", "of", "spain"]


@pytest.fixture
def vectors(rng) -> np.ndarray:
    return rng.normal(size=(50, 5))


def test_neighbours_are_those_of_the_largest_cosine(vectors):
    words = [f"w{i}" for i in range(50)]
    candidates = np.arange(50) % 3 > 0
    found = neighbours(words, vectors, candidates, count=4)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for i, word in enumerate(words):
        others = [j for j in range(50) if j != i and candidates[j]]
        best = sorted(others, key=lambda j: -directions[i] @ directions[j])[:4]
        assert found[word] == [words[j] for j in best]


def test_a_word_without_a_vector_has_no_neighbours(vectors):
    vectors[3] = 0
    assert "w3" not in neighbours([f"w{i}" for i in range(50)], vectors, np.ones(50, bool))


def test_fewer_candidates_than_asked_for():
    found = neighbours(["a", "b", "c"], np.eye(3) + 0.1, np.ones(3, bool), count=15)
    assert sorted(found["a"]) == ["b", "c"]


def change(rng, **shares):
    shares = {"replaced": 0.0, "unknown": 0.0, "cut": 0.0, **shares}
    return altered([TEXT] * 2000, {"king": ["queen", "duke"]}, generator=rng, **shares)


def test_nothing_is_changed_that_is_not_asked_for(rng):
    assert change(rng) == [TEXT] * 2000


def test_only_words_with_similar_ones_are_replaced_as_often_as_asked(rng):
    texts = change(rng, replaced=0.3)
    place = TEXT.index("king")
    assert {tuple(t[:place] + t[place + 1 :]) for t in texts} == {
        tuple(TEXT[:place] + TEXT[place + 1 :])
    }
    kings = [text[place] for text in texts]
    assert kings.count("king") / 2000 == pytest.approx(0.7, abs=0.04)
    assert kings.count("queen") / 2000 == pytest.approx(0.15, abs=0.04)


def test_words_become_unknown_as_often_as_asked(rng):
    words = [word for text in change(rng, unknown=0.1) for word in text]
    assert words.count(UNKNOWN) / len(words) == pytest.approx(0.1, abs=0.01)


def test_a_part_is_cut_out_in_one_piece(rng):
    texts = change(rng, cut=0.5)
    assert sum(text != TEXT for text in texts) / 2000 == pytest.approx(0.5, abs=0.05)
    for text in texts:
        assert len(text) >= 3
        assert any(TEXT[i : i + len(text)] == text for i in range(len(TEXT)))


def test_chance_alone_decides():
    first, again, other = (
        change(np.random.default_rng(seed), replaced=0.3, unknown=0.1, cut=0.2)
        for seed in (1, 1, 2)
    )
    assert first == again != other
