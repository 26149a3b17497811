"""How good an embedding matrix is: analogies, and similarities that people were asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerasrnn.data.errors import DataError, quote
from kerasrnn.data.files import read_lines

Question = tuple[str, str, str, str]

# As word2vec's `compute-accuracy` and gensim, which look at as many of the nearest words.
_LOOKED_AT = 5


# === Analogies ===


@dataclass
class AnalogySection:
    """The answers to a section of analogy questions.

    Attributes:
        name: what the file calls the section.
        correct: the questions answered rightly, each of four words as they stand in the file.
        incorrect: the others.
        skipped: how many more questions were left out, for a word of theirs is unknown.
    """

    name: str
    correct: list[Question] = field(default_factory=list)
    incorrect: list[Question] = field(default_factory=list)
    skipped: int = 0

    @property
    def asked(self) -> int:
        """How many questions were asked."""
        return len(self.correct) + len(self.incorrect)

    @property
    def accuracy(self) -> float:
        """The share of the questions asked that was answered rightly; 0 where none was."""
        return len(self.correct) / max(1, self.asked)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.accuracy:.1%} ({len(self.correct)} of {self.asked}, "
            f"{self.skipped} skipped)"
        )


@dataclass
class AnalogyScores:
    """The answers to a file of analogy questions.

    Attributes:
        sections: its sections.
    """

    sections: list[AnalogySection]

    @property
    def total(self) -> AnalogySection:
        """All sections as one."""
        return AnalogySection(
            "Total accuracy",
            [question for section in self.sections for question in section.correct],
            [question for section in self.sections for question in section.incorrect],
            sum(section.skipped for section in self.sections),
        )

    @property
    def accuracy(self) -> float:
        """The share of all questions asked that was answered rightly."""
        return self.total.accuracy

    @property
    def asked(self) -> int:
        """How many questions were asked."""
        return self.total.asked

    @property
    def skipped(self) -> int:
        """How many questions were left out, for a word of theirs is unknown."""
        return self.total.skipped

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.sections, self.total]))


def read_questions(path: str | os.PathLike[str]) -> list[tuple[str, list[Question]]]:
    """Read analogy questions in the form of word2vec's `questions-words.txt`.

    Args:
        path: a text file: four words on each line, sections begun by a line `: NAME`.

    Returns:
        The sections: their names and questions.

    Raises:
        DataError: it cannot be read, has no question, or has a line of another form.
    """
    sections: list[tuple[str, list[Question]]] = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split()
        if line.startswith(":"):
            sections.append((line[1:].strip(), []))
        elif words and not sections:
            raise DataError.at(
                path, number, expected="a section, `: NAME`, before its questions", got=quote(line)
            )
        elif words:
            if len(words) != 4:
                raise DataError.at(path, number, expected="four words", got=quote(line))
            a, b, c, d = words
            sections[-1][1].append((a, b, c, d))
    if not any(questions for _, questions in sections):
        raise DataError.at(path, None, expected="questions of four words", got="none")
    return sections


def answer(
    sections: Sequence[tuple[str, Sequence[Question]]],
    known: Mapping[str, int],
    names: Sequence[str],
    nearest: Callable[[np.ndarray, int], np.ndarray],
    *,
    form: Callable[[str], str],
    dummy4unknown: bool,
) -> AnalogyScores:
    """Answer analogy questions.

    Args:
        sections: their names and questions.
        known: rows by the forms of their terms.
        names: the form of each row's term.
        nearest: rows nearest to :math:`e_b - e_a + e_c`, given rows a, b, c `(questions, 3)` and
            how many of them, most similar first.
        form: the form in which a word is looked up.
        dummy4unknown: whether a question with an unknown word counts as answered wrongly.

    Returns:
        The scores.
    """
    scores = AnalogyScores([AnalogySection(name) for name, _ in sections])
    asked: list[tuple[AnalogySection, Question, list[str]]] = []
    for section, (_, questions) in zip(scores.sections, sections, strict=True):
        for question in questions:
            forms = [form(word) for word in question]
            if all(word in known for word in forms):
                asked.append((section, question, forms))
            elif dummy4unknown:
                section.incorrect.append(question)
            else:
                section.skipped += 1
    if not asked:
        return scores
    rows = np.array([[known[word] for word in forms[:3]] for *_, forms in asked])
    # The three words are among the nearest, and are no answers.
    for (section, question, forms), found in zip(asked, nearest(rows, _LOOKED_AT + 3), strict=True):
        given = [row for row in found.tolist() if row not in [known[word] for word in forms[:3]]]
        answers = [names[row] for row in given[:_LOOKED_AT] if names[row] not in forms[:3]]
        right = answers[:1] == forms[3:]
        (section.correct if right else section.incorrect).append(question)
    return scores


# === Similarities ===


@dataclass(frozen=True)
class WordPairScores:
    """How the similarities of an embedding matrix go with those that people gave.

    Attributes:
        spearman: Spearman's correlation: of the ranks; equal values share the mean of theirs. NaN
            where one of the two does not vary.
        pearson: Pearson's correlation, NaN in the same case.
        pairs: how many pairs these are of.
        unknown: how many pairs of the file have an unknown word.
    """

    spearman: float
    pearson: float
    pairs: int
    unknown: int

    def __str__(self) -> str:
        return (
            f"Spearman {self.spearman:.4f}, Pearson {self.pearson:.4f} of {self.pairs} pairs; "
            f"{self.unknown} with an unknown word"
        )


def read_pairs(
    path: str | os.PathLike[str], delimiter: str = "\t"
) -> Iterator[tuple[str, str, float]]:
    """Read pairs of words and how similar people found them.

    Args:
        path: a text file of lines with two words and a number. Lines that begin with `#` are left
            out, and the first one if it has no number but names of columns.
        delimiter: what stands between the three.

    Yields:
        The words and the number.

    Raises:
        DataError: the file cannot be read, or a line has another form.
    """
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(delimiter)
        try:
            first, second, text = fields
            score = float(text)
        except ValueError:
            if number == 1 and len(fields) == 3:
                continue
            score = np.nan
        if not np.isfinite(score):
            raise DataError.at(
                path,
                number,
                expected=f"two words and a number, separated by {delimiter!r}",
                got=quote(line),
            )
        yield first, second, score


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    r"""Pearson's correlation :math:`\frac{x^\top y}{|x|\,|y|}` of deviations from the means.

    Args:
        first: numbers.
        second: as many others.

    Returns:
        It, or NaN where one of the two does not vary.
    """
    x, y = (np.asarray(values, float) - np.mean(values) for values in (first, second))
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    return float(np.clip(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)), -1, 1))


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value, from 1 on; equal values share the mean of their ranks.

    Args:
        values: numbers.

    Returns:
        As many ranks.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places]
