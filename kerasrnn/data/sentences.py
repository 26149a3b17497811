"""The sentence that every reader returns."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasrnn.data.errors import DataError, check_instances, check_strings, quote


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence with a tag for each token.

    Attributes:
        tokens: its tokens, none of them empty.
        tags: their tags, one for each.
        label: a label of the whole sentence, such as an intent, or None.
        metadata: what the comments before the sentence say: `# ambiguous = Tesla` is
            `{"ambiguous": "Tesla"}`. Not compared.
        spaces: whether a space follows each token in the text, or None where the file does not say.
            Not compared.
        line: the line of the file in which the first token stands, counted from 1, or None. Not
            compared.
        lines: the lines of all tokens, where not each stands in the line behind the one before, as
            in CoNLL-U; else None. Not compared.

    Raises:
        TypeError: a token or tag is no string.
        ValueError: the numbers of tokens, tags and spaces differ, or a token or tag is empty or no
            valid Unicode.

    Example:

    >>> from kerasrnn.data import TaggedSentence
    >>> sentence = TaggedSentence(("I", "like", "Rome"), ("O", "O", "B-LOC"))
    >>> len(sentence), sentence.tags[2]
    (3, 'B-LOC')
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    label: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)
    spaces: tuple[bool, ...] | None = field(default=None, compare=False, repr=False)
    line: int | None = field(default=None, compare=False, repr=False)
    lines: tuple[int, ...] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, texts in (("tokens", self.tokens), ("tags", self.tags)):
            check_strings(texts, name)
        # Lists are welcome; what is kept can be compared and hashed.
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "tags", tuple(self.tags))
        if len(self.tokens) != len(self.tags):
            raise ValueError(
                f"tags must have one entry for each of the {len(self.tokens)} tokens, "
                f"got {len(self.tags)}."
            )
        if self.spaces is not None and len(self.spaces) != len(self.tokens):
            raise ValueError(
                f"spaces must have one entry for each of the {len(self.tokens)} tokens, "
                f"got {len(self.spaces)}."
            )
        for name, texts in (("tokens", self.tokens), ("tags", self.tags)):
            if "" in texts:
                raise ValueError(
                    f"{name} must not be empty strings (they stand for padding), "
                    f"got one at position {texts.index('')}."
                )

    def __len__(self) -> int:
        return len(self.tokens)

    def line_of(self, position: int) -> int | None:
        """The line of the file in which a token stands, or None.

        Args:
            position: the token, counted from 0.

        Returns:
            The line, counted from 1.

        Example:

        >>> from kerasrnn.data import TaggedSentence
        >>> TaggedSentence(("I", "wept"), ("O", "O"), line=7).line_of(1)
        8
        """
        if self.lines is not None:
            return self.lines[position]
        return None if self.line is None else self.line + position


def tag_error(
    source: str | os.PathLike[str] | None,
    sentences: Sequence[Any],
    number: int,
    position: int,
    *,
    expected: str,
    got: str,
    hint: str = "",
) -> DataError:
    """The error of a tag, at its line where that is known.

    Args:
        source: where the sentences come from, or None.
        sentences: all sentences, or only the tags of each.
        number: that with the tag, counted from 0.
        position: its token, counted from 0.
        expected: what should have stood there.
        got: what stood there.
        hint: a sentence on what to do about it.

    Returns:
        The error.
    """
    sentence = sentences[number]
    line = sentence.line_of(position) if isinstance(sentence, TaggedSentence) else None
    where = "" if line else f" in sentence {number + 1}"
    return DataError.at(source, line, expected=expected, got=got + where, hint=hint)


def check_tags(
    sentences: Iterable[TaggedSentence],
    known_tags: Iterable[str],
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Check that each tag is one that a model knows.

    Args:
        sentences: sentences, of a validation set for example.
        known_tags: the tags seen in training.
        source: where the sentences come from, for the message: a file's path or a name.

    Raises:
        DataError: a tag is not known; its sentence and line are named, and the valid tags.

    Example:

    >>> from kerasrnn.data import TaggedSentence, check_tags
    >>> check_tags([TaggedSentence(("Rome",), ("B-LOC",))], ["O", "B-PER"], "dev.conll")
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: dev.conll: expected a tag seen in training, one of B-PER, O, got 'B-LOC' for token 1, 'Rome', of sentence 1.
    """  # noqa: E501
    known = frozenset(known_tags)
    for number, sentence in enumerate(check_instances(sentences, TaggedSentence, "sentences"), 1):
        if known.issuperset(sentence.tags):
            continue
        position = next(i for i, tag in enumerate(sentence.tags) if tag not in known)
        starts = f", which starts at line {sentence.line}" if sentence.line else ""
        raise DataError(
            DataError.at(
                source,
                None,
                expected=f"a tag seen in training, one of {', '.join(sorted(known))}",
                got=f"{quote(sentence.tags[position])} for token {position + 1}, "
                f"{quote(sentence.tokens[position])}, of sentence {number}{starts}",
            ).args[0],
            path=source,
            line=sentence.line,
            expected="a tag seen in training",
            got=sentence.tags[position],
        )


def check_not_empty(
    sentences: Sequence[TaggedSentence], path: str | os.PathLike[str] | None
) -> None:
    """Raise a DataError when there are no sentences at all."""
    if not sentences:
        raise DataError.at(path, None, expected="at least one sentence", got="none")
