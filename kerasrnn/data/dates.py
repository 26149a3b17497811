"""Dates as people write them in many languages, as ISO 8601 writes them, and what is no date."""

from __future__ import annotations

import random
from collections.abc import Sequence

from kerasrnn.data.date_formats import ENGLISH
from kerasrnn.data.date_writer import DateWriter
from kerasrnn.data.no_dates import draw_no_dates

SPLITS = {"test": 1_000, "validation": 1_000, "train": 40_000}

# What `builtin:dates` writes dates in: 28 languages, some as several countries write them.
LOCALES = (
    *("en_US", "en_GB", "en_CA", "en_AU", "en_IN", "en_ZA"),
    *("de", "fr", "es", "pt_BR", "pt_PT", "it", "nl", "ca", "ro"),
    *("sv", "da", "nb", "fi", "pl", "cs", "hu", "ru", "uk", "el", "tr"),
    *("id", "vi", "ja", "zh", "ko", "he", "ar", "hi"),
)

_SEED = 2014


def parse_dates(
    split: str = "train",
    *,
    locales: Sequence[str] | None = None,
    size: int | None = None,
    others: int = 0,
) -> list[tuple[str, str]]:
    """Dates as people write them, and the same dates in ISO 8601: generated, always the same.

    The formats are those of the Unicode CLDR for each locale, as Babel carries it: short, medium,
    long and full, and further combinations of year, month, day and weekday. Besides, numbers in the
    orders that CLDR has for the locale, or with the year first, between `/`, `-`, `.` or spaces,
    with and without zeros; `20260505`; and in English what else is common, such as `05-May-26`. One
    text in ten has lost its commas; some have small letters, some capitals (Turkish, whose letter i
    has its own rules, keeps its case), some more white space. In English, one date in four with the
    month as a word has an ordinal: `March 4th, 2020`, `4th March 2020`, `the 4th of March 2020`.

    Formats, days, months and years are drawn like cards, none again before all others have been.
    Years run from 1000 to 2999, half of them from 1800 to 2199; a year of two digits always lies in
    1969 to 2068, as in POSIX. Of the dates in numbers, many have the same day and month: they have
    one meaning in every order.

    **Ambiguous dates are left out.** `3/4/2020` is the 4th of March in the United States and the
    3rd of April in most other places; `5 listopada` is in November in Polish and, but for full
    stops, in October in Croatian. A text stays only if no format of any of the locales reads
    another date in it, commas, full stops behind words, and capitals not regarded. So
    `3/14/2020`, `14/3/2020` and `3/3/2020` are in the data, `3/4/2020` is not, unless all of the
    locales agree on the order. Which weekday a date falls on does not count: it could tell dates
    apart, but who reads `Wed, 3/4/2020` looks at no calendar.

    **What is no date** comes behind the dates, if `others` asks for it. Its target is the empty
    text: ambiguous dates, parts of dates, times, two dates, dates among other words, dates with a
    letter or a digit changed, numbers, words and names of the locale, stray characters, nothing.
    One kind has another target: a day that its month has not is written as it is said, `31 April
    2020` as `2020-04-31`. To see that this is no date takes a calendar, which a model need not
    learn: see `text_pattern` and `answer_pattern` of `kerasrnn.zoo.EncoderDecoder`.

    No text comes twice, in one split or in two, but for white space alone, which is in all of
    them. Which texts there are depends on the version of CLDR, and so on that of Babel.

    Args:
        split: `train` (40,000), `validation` (1,000) or `test` (1,000).
        locales: names of locales, such as `fr` or `pt_BR`; `en` stands for English as several
            countries write it. None for those of `LOCALES`, 28 languages. Each language is drawn
            as often as any other.
        size: how many dates, if not as many as above. Those of `train` come last, so that
            another size of `train` leaves the other splits as they are.
        others: how many texts follow that are no dates.

    Returns:
        Pairs of a text and its date, `YYYY-MM-DD`.

    Raises:
        ImportError: Babel is not installed.
        ValueError: there is no such split or locale, or no text is unambiguous.

    Example:

    >>> from kerasrnn.data import parse_dates
    >>> pairs = parse_dates("test", locales=["en", "de"], size=3)
    >>> [len(date) for text, date in pairs]
    [10, 10, 10]
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}.")
    if others < 0:
        raise ValueError(f"others must be at least 0, got {others}.")
    names = expanded(locales or LOCALES)
    counts = dict(SPLITS)
    if size is not None:
        counts[split] = size
    rows: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, count in counts.items():
        rows = DateWriter(names, random.Random(f"{_SEED} {name}")).many(count, seen)
        if name == split:
            break
    if others:
        rows += draw_no_dates(split, names, random.Random(f"{_SEED} no {split}"), others)
    return rows


def expanded(locales: Sequence[str]) -> tuple[str, ...]:
    """Locales with those that `en` stands for, each once."""
    if isinstance(locales, str):
        raise ValueError(f"locales must be a list of names, got one string, {locales!r}.")
    names = [name for locale in locales for name in (ENGLISH if locale == "en" else (locale,))]
    return tuple(dict.fromkeys(names))
