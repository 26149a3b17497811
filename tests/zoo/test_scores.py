"""Figures against a slow count written out from the definition: of entities, and of texts."""

import collections
import itertools
import math
import sys

import numpy as np
import pytest

from kerasrnn.zoo.scores import pair_scores, tagging_scores


def slow_entities(tags: list[str]) -> set[tuple[str, int, int]]:
    """Every stretch that starts at B- and goes on with I- of its label as far as it can."""
    found = set()
    for first, last in itertools.combinations(range(len(tags) + 1), 2):
        label = tags[first][2:]
        if (
            tags[first].startswith("B-")
            and all(tag == f"I-{label}" for tag in tags[first + 1 : last])
            and (last == len(tags) or tags[last] != f"I-{label}")
        ):
            found.add((label, first, last))
    return found


def slow_scores(gold, predicted, label=None) -> tuple[float, float, float]:
    hits = answers = rights = 0
    for right, answer in zip(gold, predicted, strict=True):
        first = {e for e in slow_entities(right) if label in (None, e[0])}
        second = {e for e in slow_entities(answer) if label in (None, e[0])}
        hits += len(first & second)
        rights += len(first)
        answers += len(second)
    precision = hits / answers if answers else 0.0
    recall = hits / rights if rights else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return precision, recall, f1


def random_tags(rng: np.random.Generator, length: int) -> list[str]:
    tags: list[str] = []
    while len(tags) < length:
        label = rng.choice(["LOC", "PER", "ORG"])
        span = [f"B-{label}", *[f"I-{label}"] * int(rng.integers(0, 3))]
        tags += ["O"] if rng.random() < 0.4 else span
    return tags[:length]


def test_against_the_slow_count(rng):
    for _ in range(20):
        lengths = rng.integers(1, 12, 8)
        gold = [random_tags(rng, n) for n in lengths]
        predicted = [tags if rng.random() < 0.5 else random_tags(rng, len(tags)) for tags in gold]
        scores = tagging_scores(gold, predicted)
        found = scores["precision"], scores["recall"], scores["f1"]
        assert found == pytest.approx(slow_scores(gold, predicted))
        for label, row in scores["types"].items():
            found = row["precision"], row["recall"], row["f1"]
            assert found == pytest.approx(slow_scores(gold, predicted, label))
            assert row["support"] == sum(
                entity[0] == label for tags in gold for entity in slow_entities(tags)
            )


def test_borders_and_labels_must_both_be_right():
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    assert tagging_scores(gold, [["B-PER", "O", "O", "B-LOC"]])["f1"] == 0.5
    assert tagging_scores(gold, [["B-LOC", "I-LOC", "O", "B-LOC"]])["f1"] == 0.5
    assert tagging_scores(gold, gold)["f1"] == 1.0


def test_touching_entities_count_twice():
    scores = tagging_scores([["B-PER", "B-PER"]], [["B-PER", "I-PER"]])
    assert (scores["precision"], scores["recall"], scores["accuracy"]) == (0.0, 0.0, 0.5)
    assert scores["types"]["PER"]["support"] == 2


def test_without_entities_the_figures_are_zero():
    scores = tagging_scores([["O", "O"], []], [["O", "O"], []])
    assert scores == {
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "types": {},
        "accuracy": 1.0,
    }


def test_single_words(rng):
    tags = ["NOUN", "VERB", "DET"]
    gold = [list(rng.choice(tags, 9)) for _ in range(10)]
    predicted = [list(rng.choice(tags, 9)) for _ in range(10)]
    scores = tagging_scores(gold, predicted, entities=False)
    pairs = [p for g, a in zip(gold, predicted, strict=True) for p in zip(g, a, strict=True)]
    accuracy = sum(g == a for g, a in pairs) / len(pairs)
    assert scores["accuracy"] == scores["f1"] == pytest.approx(accuracy)
    nouns = [(g, a) for g, a in pairs if a == "NOUN"]
    precision = sum(g == a for g, a in nouns) / len(nouns)
    assert scores["types"]["NOUN"]["precision"] == pytest.approx(precision)


def test_sentences_must_match():
    with pytest.raises(ValueError, match="as many sentences"):
        tagging_scores([["O"]], [])
    with pytest.raises(ValueError, match="Sentence 0 has 1 tags in `gold` and 2"):
        tagging_scores([["O"]], [["O", "O"]])


# === Written texts ===


def corpus_bleu(references: list[str], answers: list[str], split) -> float:
    """BLEU from the paper, for a corpus with all n-grams up to 4."""
    logs = 0.0
    for n in range(1, 5):
        right = total = 0
        for reference, answer in zip(references, answers, strict=True):

            def grams(text, n=n):
                pieces = split(text)
                return collections.Counter(zip(*(pieces[i:] for i in range(n)), strict=False))

            found = grams(answer)
            right += sum((found & grams(reference)).values())
            total += sum(found.values())
        logs += math.log(right / total) / 4
    length = sum(len(split(text)) for text in answers)
    wanted = sum(len(split(text)) for text in references)
    return 100 * math.exp(min(0.0, 1 - wanted / length)) * math.exp(logs)


def test_bleu_is_that_of_the_paper():
    pytest.importorskip("sacrebleu")
    references = ["the cat sat on the mat today", "a dog ran far away"]
    answers = ["the cat sat on a mat", "a dog ran far away"]
    scores = pair_scores(references, answers)
    assert scores["exact_match"] == 0.5
    assert scores["bleu"] == pytest.approx(corpus_bleu(references, answers, str.split))
    dates, written = ["2020-03-04", "1999-12-31"], ["2020-03-05", "1999-12-31"]
    assert pair_scores(dates, written)["bleu"] == pytest.approx(corpus_bleu(dates, written, list))
    # References without longer n-grams are not to blame for that; answers without them are.
    assert pair_scores(["12", "345"], ["12", "345"])["bleu"] == pytest.approx(100)
    assert pair_scores(references, [".", "."])["bleu"] == 0.0


def test_without_sacrebleu_a_warning_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.warns(UserWarning, match=r"sacrebleu. Install it with pip install 'kerasrnn\[tra"):
        assert pair_scores(["a"], ["a"]) == {"exact_match": 1.0}


def test_texts_must_match():
    for references, answers in ((["a"], []), ([], [])):
        with pytest.raises(ValueError, match=r"one text for each of the `references`"):
            pair_scores(references, answers)
