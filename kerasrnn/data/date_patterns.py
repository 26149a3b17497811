"""Regular expressions, in the syntax of RE2, for what may be asked and answered about dates."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from kerasrnn.data.date_formats import MONTHS, Pattern, patterns_of, write

# A date of the calendar as ISO 8601 writes it, as a regular expression of RE2: years of four
# digits, and the 29th of February in leap years only.
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
ISO_DATE = (
    "[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    f"|(?:0[13578]|1[02])-31)|{_LEAP}-02-29"
)

_DAY, _MONTH = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_LATE_DAY = "(?:1[3-9]|2[0-9]|3[01])"
_FULL_YEAR = "[12][0-9]{3}"
_YEAR = f"(?:{_FULL_YEAR}|[0-9]{{2}})"
_COMPACT = f"{_FULL_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
# The same number twice, `S` for what stands between: 1 to 9 with or without a zero, 10 to 12.
_TWINS = "|".join(f"0?{n}S0?{n}" if n < 10 else f"{n}S{n}" for n in MONTHS)


def is_date(text: str) -> bool:
    """Whether a text is a date of the calendar in ISO 8601."""
    return re.fullmatch(ISO_DATE, text) is not None


def date_text_pattern(names: Sequence[str]) -> str:
    """What a text must look like to be a date in some locales.

    Numbers alone: eight digits, or a day, a month and a year in an order of the formats, with the
    same separator twice. Where a day or a month may come first, one of them is above 12, or both
    are the same. Words and numbers: in English the name of a month, a day and a year, and nothing
    else but a weekday; in other languages two or three numbers, whatever the words are.

    Args:
        names: the locales.

    Example:

    >>> import re
    >>> from kerasrnn.data.date_patterns import date_text_pattern
    >>> pattern = re.compile(date_text_pattern(["en_US", "en_GB"]))
    >>> [bool(pattern.fullmatch(text)) for text in ("Tue, May 5th 2026", "5/5/26", "5/6/26", "May")]
    [True, True, False, False]
    """
    patterns = [pattern for rows in patterns_of(tuple(names)).values() for pattern in rows]
    if all(name.startswith("en") for name in names):
        return _in_english(patterns)
    numbers = "|".join([_COMPACT, *_in_numbers(patterns, ("/", "-", r"\.\s*", r"\s+", "\u200f/"))])
    # With a letter between the numbers, before or behind them.
    gap, word, number = "[^0-9]{0,30}", r"[^0-9]{0,30}\pL[^0-9]{0,30}", "[0-9]{1,4}"
    some = "[^0-9]{1,30}"
    words = "|".join(
        (
            f"{word}{number}(?:{some}{number}){{1,2}}{gap}",
            f"{gap}{number}(?:{some}{number}){{1,2}}{word}",
            f"{gap}{number}{word}{number}(?:{some}{number})?{gap}",
            f"{gap}{number}{some}{number}{word}{number}{gap}",
        )
    )
    return rf"\s*(?:{numbers})\.?\s*|{words}"


def _in_english(patterns: Sequence[Pattern]) -> str:
    names = _any({_name(pattern, "M", month) for pattern in patterns for month in MONTHS})
    weekday = _any({_name(pattern, "E", day) for pattern in patterns for day in range(1, 8)})
    space, month = " {1,2}", rf"{names}\.?"
    day = rf"(?:the{space})?{_DAY}(?:st|nd|rd|th)?"
    year = rf"(?:{_FULL_YEAR}|['’]?[0-9]{{2}})"
    with_weekday = [
        rf"{day}(?:{space}of)?\.?{space}{month},?{space}{year}",
        rf"{month}{space}{day}(?:{space}|, {{0,2}}){year}",
        f"{_DAY}-{names}-{_YEAR}",
        *_in_numbers(patterns, ("/",)),
    ]
    bare = [
        rf"{_FULL_YEAR},?{space}{month}{space}{day}",
        f"{_DAY}{names}{_YEAR}",
        *(f"{_DAY}{s}{names}{s}{_YEAR}" for s in ("/", r"\.")),
        *(f"{names}{s}{_DAY}{s}{_YEAR}|{_FULL_YEAR}{s}{names}{s}{_DAY}" for s in ("-", "/")),
        _COMPACT,
        *_in_numbers(patterns, ("-", r"\.", " ")),
    ]
    first = rf"(?:{weekday},?{space})?(?:{'|'.join(with_weekday)})"
    return rf"(?i)\s?(?:{first}|{'|'.join(bare)})\s?"


def _in_numbers(patterns: Sequence[Pattern], separators: Sequence[str]) -> list[str]:
    orders = {pattern.order for pattern in patterns if pattern.numeric}
    pairs = {"dMy": f"{_DAY}S{_MONTH}", "Mdy": f"{_MONTH}S{_DAY}"}
    if set(pairs) <= orders:
        pairs = {"dMy": f"{_LATE_DAY}S{_MONTH}|{_MONTH}S{_LATE_DAY}|{_TWINS}"}
    forms = []
    for separator in separators:
        forms.append(f"{_FULL_YEAR}S{_MONTH}S{_DAY}".replace("S", separator))
        for order, pair in pairs.items():
            if order in orders:
                forms.append(f"(?:{pair})S{_YEAR}".replace("S", separator))
    # A short year first, as in Korean, with just the signs that the format has.
    parts = {"y": "[0-9]{2}", "M": _MONTH, "d": _DAY}
    for pattern in patterns:
        bare = pattern.numeric and "E" not in pattern.fields
        if bare and pattern.order == "yMd" and pattern.fields["y"] == "yy":
            text = re.escape(pattern.text)
            forms.append(re.sub("y+|M+|d+", lambda match: parts[match[0][0]], text))
    return list(dict.fromkeys(forms))


def _name(pattern: Pattern, letter: str, number: int) -> str:
    """The name of a month or a weekday as a pattern has it, or nothing if it has none."""
    letters = pattern.fields.get(letter, "")
    if not letters or (letter == "M" and pattern.numeric):
        return ""
    when = datetime.date(2023, number if letter == "M" else 1, number)
    return write(pattern.locale, letters, when).strip(".")


def _any(words: set[str]) -> str:
    longest_first = sorted(words - {""}, key=lambda word: (-len(word), word))
    return f"(?:{'|'.join(map(re.escape, longest_first))})"
