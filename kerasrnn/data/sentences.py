"""The sentence that every reader returns."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kerasrnn.data.errors import DataError, quote


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

    Raises:
        ValueError: the numbers of tokens, tags and spaces differ, or a token or tag is empty.

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

    def __post_init__(self) -> None:
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
    for number, sentence in enumerate(sentences, 1):
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
