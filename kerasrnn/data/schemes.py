"""Schemes that write labelled spans as one tag a token: checked, inferred, converted.

| Scheme | An entity of one token | of three | Two neighbours of the same type |
|---|---|---|---|
| `IO` | `I-X` | `I-X I-X I-X` | cannot be told from one |
| `IOB1` (Ramshaw & Marcus 1995) | `I-X` | `I-X I-X I-X` | `B-X` begins the second, and only it |
| `BIO` (also `IOB2`) | `B-X` | `B-X I-X I-X` | `B-X` begins both |
| `BIOES` (also `IOBES`) | `S-X` | `B-X I-X E-X` | |
| `BILOU` | `U-X` | `B-X I-X L-X` | `BIOES` with other letters |
| `IOB` | | | only to read: any mixture of `BIO` and `IOB1`, as conlleval reads it |
| `none` | | | tags that stand for themselves, such as parts of speech |

Tokens outside every entity are tagged `O`.
"""

import os
from collections.abc import Iterable, Sequence

from kerasrnn.data.errors import DataError, check_strings, quote
from kerasrnn.data.sentences import TaggedSentence, tag_error

SCHEMES = ("BIO", "BIOES", "BILOU", "IO", "IOB1", "IOB", "none")
_ALIASES = {"IOB2": "BIO", "IOBES": "BIOES", "NONE": "none"}
_PREFIXES = {
    "IO": "I",
    "IOB1": "BI",
    "IOB": "BI",
    "BIO": "BI",
    "BIOES": "BIES",
    "BILOU": "BILU",
}
_ALL_PREFIXES = "BIESLU"
_TO_BIOES = {"L": "E", "U": "S"}

Span = tuple[str, int, int]
Fault = tuple[int, str, str]


def scheme_by_name(scheme: str, argument: str = "scheme") -> str:
    """The scheme's canonical name.

    Args:
        scheme: a name, in capitals or not; `IOB2` and `IOBES` are other names of `BIO`, `BIOES`.
        argument: the name of the argument, for the message.

    Returns:
        One of `SCHEMES`.

    Raises:
        ValueError: there is no such scheme.
    """
    name = scheme.upper() if isinstance(scheme, str) else scheme
    name = _ALIASES.get(name, name)
    if name not in SCHEMES:
        raise ValueError(
            f"Unknown {argument} {scheme!r}. Expected one of {', '.join(SCHEMES)}, IOB2, IOBES."
        )
    return name


def check_scheme(tags: Sequence[str], scheme: str) -> None:
    """Check that the tags of a sentence are legal in a scheme.

    Args:
        tags: the tags of one sentence.
        scheme: a scheme of this module's table. Everything is legal in `none`.

    Raises:
        DataError: they are not; the position, the tag and what could stand there are named.
        ValueError: there is no such scheme.

    Example:

    >>> from kerasrnn.data import check_scheme
    >>> check_scheme(["O", "B-PER", "I-PER"], "BIO")
    >>> check_scheme(["O", "I-PER"], "BIO")
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: Expected B-PER or I-PER before I-PER in scheme BIO, got 'O' before token 2.
    """  # noqa: E501
    check_strings(tags, "tags")
    fault = first_fault(tags, scheme_by_name(scheme))
    if fault:
        _, expected, got = fault
        raise DataError.at(None, None, expected=expected, got=got)


def infer_scheme(
    sentences: Iterable[TaggedSentence | Sequence[str]],
    source: str | os.PathLike[str] | None = None,
) -> str:
    """Tell the scheme from the tags of all sentences.

    The prefixes tell `BIOES` and `BILOU`, and `IO` when there is no `B-`. (An `IOB1` file in which
    no two entities of a type touch is the same text, and means the same.) Else it is `BIO`, where
    every entity begins with `B-`, or `IOB1`, where only touching ones do. Nothing but `O` is `BIO`.

    Args:
        sentences: sentences, or the tags of each. The more there are, the surer the answer.
        source: where they come from, for the message: a file's path or a name.

    Returns:
        `BIO`, `BIOES`, `BILOU`, `IO`, `IOB1`, or `none` for tags without prefixes.

    Raises:
        DataError: some tags have prefixes and others none, a prefix has no label behind it
            (`B-`), or no scheme allows them all; the first fault is named, with its line where the
            sentences know theirs.

    Example:

    >>> from kerasrnn.data import infer_scheme
    >>> infer_scheme([["O", "I-PER", "I-PER"], ["I-LOC", "B-LOC"]])
    'IOB1'
    >>> infer_scheme([["DET", "NOUN"]])
    'none'
    """
    sentences = list(sentences)
    for sentence in sentences:
        if not isinstance(sentence, TaggedSentence):
            check_strings(sentence, "the tags of a sentence")
    inferred, fault = infer(
        [row.tags if isinstance(row, TaggedSentence) else row for row in sentences]
    )
    if fault:
        number, position, expected, got = fault
        raise tag_error(source, sentences, number, position, expected=expected, got=got)
    return inferred


def check_tag_forms(
    sentences: Sequence[TaggedSentence],
    scheme: str,
    source: str | os.PathLike[str] | None = None,
) -> None:
    """Check that each tag, by itself, can be one of a scheme: `O`, or a prefix and a label.

    Args:
        sentences: the sentences.
        scheme: a scheme of this module's table.
        source: where they come from, for the message.

    Raises:
        DataError: a tag has another form; it is named, with its line where that is known.
        ValueError: there is no such scheme.

    Example:

    >>> from kerasrnn.data import TaggedSentence, check_tag_forms
    >>> check_tag_forms([TaggedSentence(["Rome"], ["B-"], line=3)], "BIO", "a.conll")
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: a.conll, line 3: expected a tag of scheme BIO (O, B-LABEL, I-LABEL), got 'B-' for token 1.
    """  # noqa: E501
    scheme = scheme_by_name(scheme)
    if scheme == "none":
        return
    for number, sentence in enumerate(sentences):
        for position, tag in enumerate(sentence.tags):
            if fault := _form_fault(position, tag, scheme):
                _, expected, got = fault
                raise tag_error(source, sentences, number, position, expected=expected, got=got)


def convert_scheme(tags: Sequence[str], source: str, target: str) -> list[str]:
    """Write the spans of a sentence in another scheme.

    To `IO` the borders between touching entities of a type are lost, and from `IO` they cannot be
    known: touching entities become one.

    Args:
        tags: the tags of one sentence.
        source: the scheme they are in.
        target: the scheme wanted. `IOB` is only for reading.

    Returns:
        The tags in the target scheme.

    Raises:
        DataError: the tags are not legal in the source scheme.
        ValueError: there is no such scheme, or spans are asked of tags that have none, or the
            other way round.

    Example:

    >>> from kerasrnn.data import convert_scheme
    >>> convert_scheme(["B-PER", "I-PER", "B-LOC"], "BIO", "BIOES")
    ['B-PER', 'E-PER', 'S-LOC']
    """
    source = scheme_by_name(source, "source")
    target = scheme_by_name(target, "target")
    if target == "IOB":
        raise ValueError("target 'IOB' is only for reading. Expected IOB1 or BIO.")
    if (source == "none") != (target == "none"):
        raise ValueError(
            f"Cannot convert from source {source!r} to target {target!r}: "
            "only schemes with spans can be converted into each other."
        )
    check_scheme(tags, source)
    return list(tags) if source == target else _write(_read(tags), len(tags), target)


def infer(sentences: Sequence[Sequence[str]]) -> tuple[str, tuple[int, int, str, str] | None]:
    """The scheme, and where it fails first: (sentence, token, expected, got) or None."""
    plain = prefixed = bare = None
    prefixes: set[str] = set()
    for number, tags in enumerate(sentences):
        for position, tag in enumerate(tags):
            prefix, label = _split(tag)
            if prefix:
                prefixes.add(prefix)
                prefixed = prefixed or tag
            elif label:
                plain = plain or (number, position, tag)
                if len(tag) == 2 and tag[0] in _ALL_PREFIXES and tag[1] == "-":
                    bare = bare or (number, position, tag)
    if bare:
        plain, prefixed = bare, f"{bare[2]}LABEL"
    if not prefixed:
        return ("none" if plain else "BIO"), None
    if plain:
        number, position, tag = plain
        expected = f"only O and tags with a prefix, such as {prefixed}"
        return "none", (number, position, expected, f"{quote(tag)} for token {position + 1}")
    if prefixes & set("LU") and not prefixes & set("ES"):
        candidates = ["BILOU"]
    elif prefixes & set("ESLU"):
        candidates = ["BIOES"]
    elif "B" in prefixes:
        candidates = ["BIO", "IOB1"]
    else:
        candidates = ["IO"]
    faults = []
    for scheme in candidates:
        fault = next(
            (
                (number, *found)
                for number, tags in enumerate(sentences)
                if (found := first_fault(tags, scheme))
            ),
            None,
        )
        if fault is None:
            return scheme, None
        faults.append(fault)
    return candidates[0], faults[0]


def first_fault(tags: Sequence[str], scheme: str) -> Fault | None:
    """The first place where tags break their scheme: (position, expected, got), or None."""
    if scheme == "none":
        return None
    allowed = _PREFIXES[scheme]
    before = ("", "")
    for position, tag in enumerate(tags):
        prefix, label = _split(tag)
        if fault := _form_fault(position, tag, scheme):
            return fault
        expected = _expected_before(scheme, before, (prefix, label))
        if expected:
            previous = quote(tags[position - 1]) if position else "the start of the sentence"
            return (
                position,
                f"{expected} before {tag} in scheme {scheme}",
                f"{previous} before token {position + 1}",
            )
        before = (prefix, label)
    if scheme in ("BIOES", "BILOU") and before[0] in ("B", "I"):
        last = allowed[2]
        return (
            len(tags) - 1,
            f"I-{before[1]} or {last}-{before[1]} after {tags[-1]} in scheme {scheme}",
            f"the end of the sentence after token {len(tags)}",
        )
    return None


def _form_fault(position: int, tag: str, scheme: str) -> Fault | None:
    """What is wrong with a tag by itself."""
    allowed = _PREFIXES[scheme]
    if tag == "O" or (_split(tag)[0] or "none") in allowed:
        return None
    forms = ", ".join(["O", *(f"{letter}-LABEL" for letter in allowed)])
    got = f"{quote(tag)} for token {position + 1}"
    return position, f"a tag of scheme {scheme} ({forms})", got


def _expected_before(scheme: str, before: tuple[str, str], now: tuple[str, str]) -> str:
    """What should have come before this tag, or nothing when what did is fine."""
    prefix, label = now
    opened = before[0] in ("B", "I")
    same = opened and before[1] == label
    if scheme == "IOB1":
        return f"B-{label} or I-{label}" if prefix == "B" and not same else ""
    if scheme in ("IO", "IOB"):
        return ""
    if prefix in ("I", "E", "L") and not same:
        return f"B-{label} or I-{label}"
    if scheme in ("BIOES", "BILOU") and opened and prefix not in ("I", "E", "L"):
        last = _PREFIXES[scheme][2]
        return f"{last}-{before[1]}, the end of the entity,"
    return ""


def _split(tag: str) -> tuple[str, str]:
    """A tag's prefix and label; no prefix for others, neither for `O`."""
    if tag == "O":
        return "", ""
    if len(tag) > 2 and tag[1] == "-" and tag[0] in _ALL_PREFIXES:
        return tag[0], tag[2:]
    return "", tag


def _read(tags: Sequence[str]) -> list[Span]:
    """The spans (label, first, last exclusive) of legal tags of any scheme."""
    spans: list[Span] = []
    before = ("", "")
    for position, tag in enumerate(tags):
        prefix, label = _split(tag)
        prefix = _TO_BIOES.get(prefix, prefix)
        if prefix:
            goes_on = prefix in "IE" and before[0] in ("B", "I") and before[1] == label
            first = spans.pop()[1] if goes_on else position
            spans.append((label, first, position + 1))
        before = (prefix, label)
    return spans


def _write(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    tags = ["O"] * length
    previous: Span = ("", 0, 0)
    for span in spans:
        label, first, last = span
        tags[first:last] = [f"I-{label}"] * (last - first)
        touches = previous[0] == label and previous[2] == first
        if scheme != "IO" and (scheme != "IOB1" or touches):
            tags[first] = f"B-{label}"
        if scheme in ("BIOES", "BILOU"):
            end, single = tuple(_PREFIXES[scheme][2:])
            tags[last - 1] = f"{single if last - first == 1 else end}-{label}"
        previous = span
    return tags
