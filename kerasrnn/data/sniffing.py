"""What a text file seems to be where it is not what was expected, for messages."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence

from kerasrnn.data.errors import DataError, quote

_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What columns of texts, pairs and tags are called where a file has a header.
_HEADER_NAMES = _words(
    """
    source target src tgt trg input output text translation question answer original
    sentence sentence1 sentence2 text1 text2 string1 string2 from to
    prompt completion response instruction article document summary headline
    incorrect correct corrected noisy clean informal formal complex simple
    human machine date iso
    """
)
_LANGUAGES = _words(
    """
    ar arabic bg bulgarian bn bengali ca catalan cs czech da danish de german deutsch el
    greek en english es spanish et estonian fa persian fi finnish fr french français fra eng
    deu ger spa ita he hebrew hi hindi hr croatian hu hungarian id indonesian it italian ja
    japanese ko korean lt lithuanian lv latvian nl dutch no norwegian pl polish pt
    portuguese ro romanian ru russian rus sk slovak sl slovenian sr serbian sv swedish sw
    swahili th thai tr turkish uk ukrainian vi vietnamese zh chinese latin lat
    """
)
_TOKEN_NAMES = _words(
    """
    token tokens word words form
    """
)
_TAG_NAMES = _words(
    """
    tag tags label labels ner ner_tag ner_tags pos upos xpos iob
    """
)


def separators(line: str, expected: str) -> str:
    """A hint on what seems to separate the columns of a line in place of what should.

    Args:
        line: the line.
        expected: what should: a tab or a comma.

    Returns:
        A sentence, empty where nothing does.

    Example:

    >>> from kerasrnn.data.sniffing import separators
    >>> separators("text;label", ",")
    'Semicolons seem to separate its columns: put commas in their place.'
    """
    counts = {name: line.count(sign) for sign, name in _SEPARATORS.items() if sign != expected}
    most = max(counts, key=counts.__getitem__)
    if not counts[most]:
        return ""
    hint = f"{most.capitalize()} seem to separate its columns: put {_SEPARATORS[expected]} in "
    if (most, expected) == ("tabs", ","):
        return hint + "their place, or name the file .tsv."
    if (most, expected) == ("commas", "\t"):
        return hint + "their place, or, for labelled texts, name the file .csv."
    return hint + "their place."


def refuse_json(path: str | os.PathLike[str], lines: Sequence[str], expected: str) -> None:
    """Refuse JSON and JSON Lines where columns are expected.

    Args:
        path: the file.
        lines: its lines.
        expected: what should be there, for the message.

    Raises:
        DataError: it holds JSON.
    """
    filled = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    number, first = next(filled, (1, ""))
    if not first.lstrip().startswith(("{", "[")):
        return
    if _is_json(first):
        kind = "JSON Lines" if _is_json(next(filled, (0, ""))[1]) else "JSON"
    elif _is_json("\n".join(lines)):
        kind = "JSON"
    else:
        return
    raise DataError.at(
        path,
        number,
        expected=expected,
        got=f"{kind}: {quote(first)}",
        hint="Write it as columns first.",
    )


def _is_json(text: str) -> bool:
    """Whether a text is an object or a list in JSON, with something in it."""
    try:
        content = json.loads(text)
        return isinstance(content, dict | list) and bool(content)
    except (ValueError, RecursionError):
        return False


def is_header_of_pairs(source: str, target: str) -> bool:
    """Whether two fields are the names of columns, such as `en` and `fr`, and no pair of texts.

    Args:
        source: the field of the texts to read.
        target: the field of the texts to write.

    Returns:
        Whether both are names of columns or of languages, and not the same.

    Example:

    >>> from kerasrnn.data.sniffing import is_header_of_pairs
    >>> is_header_of_pairs("English", "French"), is_header_of_pairs("Go.", "Va !")
    (True, False)
    """
    names = [field.strip().strip('"').casefold() for field in (source, target)]
    if names[0] == names[1]:
        return False
    # `en_US`, `source_text` and `sentence 1` as well.
    return all(
        name in _HEADER_NAMES
        or (
            re.split(r"[-_ ]", name)[0] in _LANGUAGES
            and re.fullmatch(r"\w+([-_]\w\w|[-_ ](text|sentence))?", name)
        )
        or re.fullmatch(r"(source|target|input|output)[-_ ]\w+|\w+[-_ ](text|sentence)", name)
        for name in names
    )


def is_header_of_tags(token: str, tag: str) -> bool:
    """Whether a row is the names of its columns and no token with its tag.

    Args:
        token: the field of the tokens.
        tag: the field of the tags.

    Returns:
        Whether both are names of such columns.

    Example:

    >>> from kerasrnn.data.sniffing import is_header_of_tags
    >>> is_header_of_tags("Word", "NER"), is_header_of_tags("word", "NOUN")
    (True, False)
    """
    return token.casefold() in _TOKEN_NAMES and tag.casefold() in _TAG_NAMES
