"""Names of languages and territories in many languages: whose name is it?

The names are those of the Unicode Common Locale Data Repository (CLDR), which Babel carries.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata

from kerasrnn.data.labelled_texts import LabelledText
from kerasrnn.extras import require

SPLITS = ("train", "validation", "test")
SHARED = ("leave_out", "keep")

# Languages with a whole set of names, of many families and scripts, near relatives among them.
_CODES = (
    *("en", "de", "nl", "sv", "fr", "es", "it", "pt", "ro"),  # Latin
    *("pl", "cs", "fi", "hu", "tr", "vi", "id", "sw"),
    *("ru", "uk", "bg"),  # Cyrillic
    *("ar", "fa", "ur"),  # Arabic
    *("hi", "mr"),  # Devanagari
    *("el", "he", "hy", "ka", "am", "bn", "ta", "te", "th", "ko", "ja", "zh"),  # one each
)

# Tenths of the phrases.
_VALIDATION, _TEST = 1, 1


def parse_languages(split: str = "train", *, shared: str = "leave_out") -> list[LabelledText]:
    """Names of languages and territories in 37 languages, labelled by the language they are in.

    `Südafrika` is German, `África do Sul` Portuguese. The label is the language's English name, as
    CLDR has it. A phrase is in one split only, whichever languages it is in: its split follows
    from a hash of the phrase in small letters, and so from nothing else.

    Many names are the same in several languages, `Angola` and `Java` in most of those written in
    Latin letters. No text tells which of them is meant. So they are left out, unless `shared` asks
    for them.

    Args:
        split: `train`, `validation` or `test`: about 80, 10 and 10 per cent of the phrases.
        shared: what becomes of a phrase that several of the languages have: `leave_out`, or `keep`
            for one text for each of these languages, all of them in one split.

    Returns:
        The texts, by language and then by text. They depend on the version of CLDR
        (`babel.core.get_cldr_version()`).

    Raises:
        ValueError: there is no such split, or no such choice.
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data import parse_languages
    >>> texts = parse_languages("train")
    >>> [text.text for text in texts if text.label == "German"][:3]  # doctest: +SKIP
    ['Aargauisch', 'Abchasisch', 'Achaia']
    >>> "Angola" in {text.text for text in texts}
    False
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    if shared not in SHARED:
        raise ValueError(
            f"Unknown value for shared: {shared!r}. Expected one of {', '.join(SHARED)}."
        )
    return [
        LabelledText(phrase, language)
        for language, phrase, languages in _phrases()
        if _split_of(phrase) == split and (languages == 1 or shared == "keep")
    ]


@functools.cache
def _phrases() -> tuple[tuple[str, str, int], ...]:
    """Language, phrase, and how many languages have it, in capital or small letters."""
    Locale = require("babel", "training", "builtin:languages").Locale
    found: dict[str, dict[str, str]] = {}  # by language, the phrases by their key
    for code in _CODES:
        locale = Locale.parse(code)
        names = sorted(
            {_tidy(n) for n in (*locale.languages.values(), *locale.territories.values())}
        )
        language = Locale.parse("en").languages[code]
        found[language] = {_key(name): name for name in reversed(names)}
    counts: dict[str, int] = {}
    for names_of in found.values():
        for key in names_of:
            counts[key] = counts.get(key, 0) + 1
    return tuple(
        (language, phrase, counts[key])
        for language in sorted(found)
        for key, phrase in sorted(found[language].items(), key=lambda item: item[1])
    )


def _tidy(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def _key(phrase: str) -> str:
    return unicodedata.normalize("NFC", phrase.casefold())


@functools.cache
def _split_of(phrase: str) -> str:
    digest = hashlib.sha256(_key(phrase).encode()).digest()
    tenth = int.from_bytes(digest[:8]) % 10
    if tenth < _VALIDATION:
        return "validation"
    return "test" if tenth < _VALIDATION + _TEST else "train"
