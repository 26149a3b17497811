"""Tags to entities."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entity:
    """A named stretch of a text.

    Attributes:
        text: the stretch itself, `whole_text[start:end]`.
        label: what it is, such as `LOC`.
        start: where it begins, in characters (Unicode code points).
        end: where it ends, exclusive, in characters.
        score: the model's confidence from 0 to 1, or None. Neither shown nor compared, so that
            entities can be compared with those expected.

    Example:

    >>> from kerasrnn.text import Entity
    >>> Entity("France", "LOC", 13, 19, score=0.97)
    Entity(text='France', label='LOC', start=13, end=19)
    """

    text: str
    label: str
    start: int
    end: int
    score: float | None = field(default=None, repr=False, compare=False)


def spans(tags: Iterable[str | bytes]) -> list[tuple[str, int, int]]:
    """The labelled spans of a sequence of BIO, BIOES or IO tags.

    A span begins at a tag with another label than the tag before (`O` has none), at `B-` and `S-`,
    and after `E-` and `S-`. It ends before the next span, before `O`, and at the end. Legal
    sequences are so read by their scheme, and illegal ones as conlleval, the script of the CoNLL
    shared tasks, reads them: `I-X` after `O` begins a span.

    Args:
        tags: `O` (or the empty string, padding) or `B-`, `I-`, `E-`, `S-` with a label.

    Returns:
        `(label, first, last)` for each span in order: it covers `tags[first:last]`.

    Raises:
        ValueError: a tag has another form.

    Example:

    >>> from kerasrnn.text import spans
    >>> spans(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [('PER', 0, 2), ('LOC', 3, 4), ('LOC', 4, 5)]
    """
    found: list[tuple[str, int, int]] = []
    previous_prefix, previous_label = "O", ""
    for position, tag in enumerate(tags):
        prefix, label = _parse(tag, position)
        if label:
            begins = label != previous_label or prefix in "BS" or previous_prefix in "ES"
            first = position if begins else found.pop()[1]
            found.append((label, first, position + 1))
        previous_prefix, previous_label = prefix, label
    return found


def _parse(tag: str | bytes, position: int) -> tuple[str, str]:
    text = tag.decode() if isinstance(tag, bytes) else tag
    if text in ("O", ""):
        return "O", ""
    prefix, _, label = text.partition("-")
    if prefix not in ("B", "I", "E", "S") or not label:
        raise ValueError(
            f"Argument 'tags' holds {text!r} at position {position}. "
            "Expected 'O', or one of B-, I-, E-, S- followed by a label."
        )
    return prefix, label


def entities_from_tags(
    text: str,
    starts: Sequence[int],
    ends: Sequence[int],
    tags: Sequence[str | bytes],
    scores: Sequence[float] | None = None,
) -> list[Entity]:
    """The entities of a text whose tokens are tagged.

    Args:
        text: the text the offsets point into.
        starts: where each token begins, in characters.
        ends: where each token ends, exclusive.
        tags: the tag of each token, read as by `spans`.
        scores: the confidence in each token's tag, from 0 to 1. An entity is as sure as the least
            sure of its tokens.

    Returns:
        The entities in order, each from its first token's start to its last token's end.

    Raises:
        ValueError: the sequences differ in length, or a tag is not of BIO, BIOES or IO.

    Example:

    >>> from kerasrnn.text import entities_from_tags
    >>> entities_from_tags("In New York", [0, 3, 7], [2, 6, 11], ["O", "B-LOC", "I-LOC"])
    [Entity(text='New York', label='LOC', start=3, end=11)]
    """
    lengths = {"starts": len(starts), "ends": len(ends), "tags": len(tags)}
    if scores is not None:
        lengths["scores"] = len(scores)
    if len(set(lengths.values())) > 1:
        received = ", ".join(f"{name} of length {length}" for name, length in lengths.items())
        raise ValueError(f"Expected one entry for each token. Received {received}.")
    entities = []
    for label, first, last in spans(tags):
        start, end = int(starts[first]), int(ends[last - 1])
        score = None if scores is None else min(float(score) for score in scores[first:last])
        entities.append(Entity(text[start:end], label, start, end, score))
    return entities
