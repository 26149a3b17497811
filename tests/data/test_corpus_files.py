"""Quality of the embedded corpus, checked on the files with the standard library only."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

CORPUS = Path(__file__).resolve().parents[2] / "kerasrnn" / "data" / "corpus"
SPLITS = ("train", "validation", "test")
LABELS = ("PER", "LOC", "ORG", "MISC")
MAJORITY_LIMIT = 0.6


class Sentence(NamedTuple):
    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    ambiguous: str | None

    def __str__(self) -> str:
        return " ".join(self.tokens)

    def name_at(self) -> int:
        """Position of the first token of the ambiguous name."""
        name = self.ambiguous.split()
        starts = [
            i for i in range(len(self.tokens)) if list(self.tokens[i : i + len(name)]) == name
        ]
        assert len(starts) == 1, f"{self.ambiguous!r} must stand once in: {self}"
        return starts[0]

    def reading(self) -> str:
        """Label of the ambiguous name, or "O" where it is an ordinary word."""
        start, length = self.name_at(), len(self.ambiguous.split())
        tags = self.tags[start : start + length]
        following = self.tags[start + length]
        if tags[0] == "O":
            assert set(tags) == {"O"}, str(self)
            return "O"
        label = tags[0][2:]
        assert tags == (f"B-{label}",) + (f"I-{label}",) * (length - 1), str(self)
        assert not following.startswith("I-"), f"the name is longer than marked in: {self}"
        return label

    def prefix(self) -> tuple[str, ...]:
        """What a left-to-right tagger has seen when it tags the last token of the name."""
        return self.tokens[: self.name_at() + len(self.ambiguous.split())]

    def continuation(self, length: int = 6) -> list[str]:
        """The first words after the name, in lower case."""
        start = len(self.prefix())
        return [token.lower() for token in self.tokens[start : start + length]]


@cache
def corpus(split: str) -> tuple[Sentence, ...]:
    text = (CORPUS / f"{split}.conll").read_bytes().decode("utf-8")
    sentences = []
    for block in text.rstrip("\n").split("\n\n"):
        lines, ambiguous = block.split("\n"), None
        if lines[0].startswith("# "):
            match = re.fullmatch(r"# ambiguous = (\S+(?: \S+)*)", lines.pop(0))
            assert match, f"unknown comment in {split}: {block}"
            ambiguous = match[1]
        rows = [line.split("\t") for line in lines]
        assert all(len(row) == 2 for row in rows), f"two columns expected in {split}: {block}"
        tokens, tags = zip(*rows, strict=True)
        sentences.append(Sentence(tokens, tags, ambiguous))
    return tuple(sentences)


def everything() -> list[Sentence]:
    return [sentence for split in SPLITS for sentence in corpus(split)]


def marked(split: str) -> list[Sentence]:
    return [sentence for sentence in corpus(split) if sentence.ambiguous]


def entities(sentence: Sentence) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
        if tag.startswith("B-"):
            found.append((tag[2:], (token,)))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], (*found[-1][1], token))
    return found


# === Near-copies ===


def skeleton(sentence: Sentence) -> tuple[str, ...]:
    """The sentence in lower case, each entity replaced by its label."""
    words = []
    for token, tag in zip(sentence.tokens, sentence.tags, strict=True):
        if tag == "O":
            words.append(token.lower())
        elif tag.startswith("B-"):
            words.append(tag[2:])
    return tuple(words)


def is_near_copy(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """README's definition: word-bigram Jaccard >= 0.6, or edit similarity >= 0.8."""
    one, two = set(itertools.pairwise(first)), set(itertools.pairwise(second))
    if len(one & two) >= 0.6 * len(one | two):
        return True
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    # The two quick ratios are upper bounds: they only save time.
    return (
        matcher.real_quick_ratio() >= 0.8
        and matcher.quick_ratio() >= 0.8
        and matcher.ratio() >= 0.8
    )


def test_near_copy_sees_a_swapped_name_and_a_swapped_word() -> None:
    original = ("PER", "flew", "to", "LOC", "on", "a", "cold", "day", "in", "may", ".")
    assert is_near_copy(original, original)
    assert is_near_copy(original, (*original[:6], "warm", *original[7:]))
    assert not is_near_copy(original, ("on", "a", "cold", "day", "PER", "sailed", "to", "LOC", "."))


@pytest.mark.parametrize("split, other", list(itertools.combinations(SPLITS, 2)))
def test_no_near_copy_across_splits(split: str, other: str) -> None:
    others = [(skeleton(sentence), sentence) for sentence in corpus(other)]
    copies = [
        f"{sentence}  ~  {near}"
        for sentence in corpus(split)
        for words, near in others
        if is_near_copy(skeleton(sentence), words)
    ]
    assert not copies, "\n".join(copies)


# === Files ===


@pytest.mark.parametrize("split", SPLITS)
def test_file_is_clean(split: str) -> None:
    raw = (CORPUS / f"{split}.conll").read_bytes()
    text = raw.decode("utf-8")
    assert b"\r" not in raw and not raw.startswith(b"\xef\xbb\xbf")
    assert text.endswith("\n") and not text.endswith("\n\n") and not text.startswith("\n")
    assert "\n\n\n" not in text, "exactly one empty line between sentences"
    for sentence in corpus(split):
        assert all(token and not re.search(r"\s", token) for token in sentence.tokens), sentence


@pytest.mark.parametrize("split", SPLITS)
def test_tags_are_legal_bio(split: str) -> None:
    allowed = {"O"} | {f"{part}-{label}" for part in "BI" for label in LABELS}
    for sentence in corpus(split):
        previous = "O"
        for tag in sentence.tags:
            assert tag in allowed, f"{tag} in: {sentence}"
            if tag.startswith("I-"):
                assert previous[2:] == tag[2:], f"{tag} after {previous} in: {sentence}"
            previous = tag


def test_tokenisation() -> None:
    for sentence in everything():
        for token in sentence.tokens:
            assert re.fullmatch(r"\d+(?:[.,]\d+)*|\w+(?:[-'&]\w+)*|'s|[^\w\s]", token), token
            # A possessive stands apart; only a contraction stays joined.
            if token.endswith("'s"):
                assert token.lower() in {"'s", "it's", "let's", "that's"}, sentence


def test_sizes() -> None:
    sizes = {split: len(corpus(split)) for split in SPLITS}
    assert sizes["train"] >= 600 and sizes["validation"] >= 80 and sizes["test"] >= 120, sizes
    share = sizes["train"] / sum(sizes.values())
    assert 0.7 <= share <= 0.8, share
    lengths = [len(sentence.tokens) for sentence in everything()]
    assert min(lengths) >= 4 and max(lengths) <= 35


def test_every_type_is_frequent_and_some_sentences_have_none() -> None:
    counts = Counter(label for sentence in corpus("train") for label, _ in entities(sentence))
    assert set(counts) == set(LABELS) and min(counts.values()) >= 150, counts
    assert max(counts.values()) <= 3 * min(counts.values()), counts
    without = sum(not entities(sentence) for sentence in everything()) / len(everything())
    assert 0.08 <= without <= 0.25, without
    lengths = {len(words) for sentence in everything() for _, words in entities(sentence)}
    assert {1, 2, 3, 4} <= lengths


def test_entities_stand_everywhere_in_the_sentence() -> None:
    first = sum(sentence.tags[0] != "O" for sentence in everything())
    last = sum(sentence.tags[-2] != "O" for sentence in everything())
    assert min(first, last) >= 100, (first, last)


def test_no_sentence_twice() -> None:
    twice = [words for words, n in Counter(s.tokens for s in everything()).items() if n > 1]
    assert not twice, twice


def test_test_split_has_unseen_names() -> None:
    seen = {words for sentence in corpus("train") for _, words in entities(sentence)}
    names = [words for sentence in corpus("test") for _, words in entities(sentence)]
    unseen = sum(words not in seen for words in names) / len(names)
    assert 0.2 <= unseen <= 0.7, unseen


# === Ambiguous names ===


def readings(
    sentences: list[Sentence], key: str
) -> dict[str | tuple[str, ...] | None, Counter[str]]:
    table: dict[str | tuple[str, ...] | None, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        by = sentence.ambiguous if key == "name" else sentence.prefix()
        table[by][sentence.reading()] += 1
    return table


def test_there_are_enough_ambiguous_sentences() -> None:
    assert len(marked("train")) >= 200
    assert len(marked("validation")) >= 20
    assert len(marked("test")) >= 50


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("key", ("name", "prefix"))
def test_readings_are_balanced(split: str, key: str) -> None:
    for by, counts in readings(marked(split), key).items():
        assert len(counts) >= 2, f"only one reading for {by}: {counts}"
        # For one prefix every reading is equally frequent. A name may have more prefixes for some
        # pairs of readings than for others, but no reading may win.
        top = max(counts.values())
        assert key == "name" or top == min(counts.values()), (by, counts)
        assert top / counts.total() <= MAJORITY_LIMIT, (by, counts)


@pytest.mark.parametrize("split", SPLITS)
def test_what_comes_before_the_name_cannot_tell(split: str) -> None:
    """The best guess from the words up to and including the name is right at most half the time."""
    table = readings(marked(split), "prefix").values()
    best = sum(max(counts.values()) for counts in table)
    assert best / len(marked(split)) <= 0.5


def test_ambiguous_names_stand_in_marked_sentences_only() -> None:
    names = {word for s in everything() if s.ambiguous for word in s.ambiguous.split()}
    for sentence in everything():
        own = sentence.ambiguous.split() if sentence.ambiguous else []
        stray = names.intersection(sentence.tokens) - set(own)
        assert not stray, f"{stray} in: {sentence}"


def test_most_ambiguous_test_names_are_known_from_train() -> None:
    train, test = (readings(marked(split), "name") for split in ("train", "test"))
    known = [name for name in test if set(test[name]) <= set(train.get(name, ()))]
    assert 0.8 <= len(known) / len(test) < 1.0, len(known) / len(test)


@pytest.mark.parametrize("split", ("validation", "test"))
def test_what_comes_after_the_name_can_tell(split: str) -> None:
    """Even naive Bayes on the six words after the name, fitted on train, finds the reading."""
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in marked("train"):
        words[sentence.reading()].update(set(sentence.continuation()))
    vocabulary = set().union(*words.values())
    known = readings(marked("train"), "name")

    def guess(sentence: Sentence) -> str:
        def score(label: str) -> float:
            total = words[label].total() + 0.3 * len(vocabulary)
            cues = vocabulary.intersection(sentence.continuation())
            return sum(math.log((words[label][word] + 0.3) / total) for word in sorted(cues))

        return max(sorted(known.get(sentence.ambiguous) or words), key=score)

    right = sum(guess(sentence) == sentence.reading() for sentence in marked(split))
    assert right / len(marked(split)) >= 0.85


# === README ===


def test_readme_counts_agree_with_the_files() -> None:
    lines = (CORPUS / "README.md").read_text(encoding="utf-8").splitlines()
    table = {cells[1]: cells[2:-1] for cells in (re.split(r"\s*\|\s*", line) for line in lines)
             if len(cells) > 2}  # fmt: skip
    for split in SPLITS:
        sentences = corpus(split)
        counts = Counter(label for sentence in sentences for label, _ in entities(sentence))
        expected = [
            len(sentences),
            sum(len(sentence.tokens) for sentence in sentences),
            *(counts[label] for label in LABELS),
            sum(not entities(sentence) for sentence in sentences),
            len(marked(split)),
        ]
        assert [int(cell.replace(",", "")) for cell in table[f"`{split}.conll`"]] == expected
