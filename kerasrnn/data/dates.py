"""Dates as people write them in many languages, and as ISO 8601 writes them."""

from __future__ import annotations

import datetime
import functools
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

SPLITS = {"test": 1_000, "validation": 1_000, "train": 20_000}

# What `builtin:dates` writes dates in: 28 languages, some as several countries write them.
LOCALES = (
    *("en_US", "en_GB", "en_CA", "en_AU", "en_IN", "en_ZA"),
    *("de", "fr", "es", "pt_BR", "pt_PT", "it", "nl", "ca", "ro"),
    *("sv", "da", "nb", "fi", "pl", "cs", "hu", "ru", "uk", "el", "tr"),
    *("id", "vi", "ja", "zh", "ko", "he", "ar", "hi"),
)
# English alone means English as these countries write it.
ENGLISH = ("en_US", "en_GB", "en_CA", "en_AU", "en_IN", "en_NZ", "en_IE", "en_ZA")

# A year of two digits is the one of these hundred, as in POSIX.
_WINDOW = (1969, 2068)
_YEARS = (1800, 2199)
_SEED = 2014

_WIDTHS = ("short", "medium", "long", "full")
# CLDR's names of the combinations that have a year, a month and a day, with or without a weekday.
_SKELETON = re.compile(r"y+M+E*d+")
_FIELD = re.compile(r"'[^']*'|([yMLdEc])\1*")
_ORDINAL = re.compile(r"(?:\bthe )?(\d+)(?:st|nd|rd|th)\b(?: of\b)?")
_COMMAS = re.compile(r"[,،、]")


class _Shape(NamedTuple):
    """What the runs of digits in a text mean, in their order, and the month where a word says it.

    `fields` holds `d`, `m`, and `y` or, for two digits, `Y`.
    """

    fields: str
    month: int | None


class _Pattern(NamedTuple):
    locale: str
    text: str  # in CLDR's notation


def parse_dates(
    split: str = "train", *, locales: Sequence[str] | None = None, size: int | None = None
) -> list[tuple[str, str]]:
    """Dates as people write them, and the same dates in ISO 8601: generated, always the same.

    The formats are those of the Unicode CLDR for each locale, as Babel carries it: short, medium,
    long and full, and further combinations of year, month, day and weekday. One text in ten has
    lost its commas, one in ten is in small letters and one in twenty in capitals (Turkish, whose
    letter i has its own rules, keeps its case). In English, one date in four with the month as a
    word has an ordinal: `March 4th, 2020`, `4th March 2020`, `the 4th of March 2020`.

    Years run from 1800 to 2199; a year of two digits always lies in 1969 to 2068, as in POSIX.

    **Ambiguous dates are left out.** `3/4/2020` is the 4th of March in the United States and the
    3rd of April in most other places; `5 listopada` is in November in Polish and, but for full
    stops, in October in Croatian. A text stays only if no format of any of the locales reads
    another date in it, commas, full stops behind words, and capitals not regarded. So
    `3/14/2020`, `14/3/2020` and `3/3/2020` are in the data, `3/4/2020` is not, unless all of the
    locales agree on the order. Which weekday a date falls on does not count: it could tell dates
    apart, but who reads `Wed, 3/4/2020` looks at no calendar.

    No text comes twice, in one split or in two. Which texts there are depends on the version of
    CLDR, and so on that of Babel.

    Args:
        split: `train` (20,000), `validation` (1,000) or `test` (1,000).
        locales: names of locales, such as `fr` or `pt_BR`; `en` stands for English as several
            countries write it. None for those of `LOCALES`, 28 languages. Each language is drawn
            as often as any other.
        size: how many examples, if not as many as above. Those of `train` come last, so that
            another size of `train` leaves the other splits as they are.

    Returns:
        Pairs of a text and its date, `YYYY-MM-DD`.

    Raises:
        ImportError: Babel is not installed.
        ValueError: there is no such split or locale, or no text is unambiguous.

    Example:

    >>> from kerasrnn.data import parse_dates
    >>> from kerasrnn.data import parse_dates
    >>> pairs = parse_dates("test", locales=["en", "de"], size=3)
    >>> [len(date) for text, date in pairs]
    [10, 10, 10]
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, got {size}.")
    names = tuple(dict.fromkeys(_expanded(locales or LOCALES)))
    counts = dict(SPLITS)
    if size is not None:
        counts[split] = size
    rows: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name, count in counts.items():
        rows = _drawn(names, random.Random(f"{_SEED} {name}"), count, seen)
        if name == split:
            break
    return rows


def _expanded(locales: Sequence[str]) -> list[str]:
    if isinstance(locales, str):
        raise ValueError(f"locales must be a list of names, got one string, {locales!r}.")
    return [name for locale in locales for name in (ENGLISH if locale == "en" else (locale,))]


def _babel() -> Any:
    try:
        import babel.dates
    except ImportError as error:
        raise ImportError(
            "Dates need the package Babel: pip install 'kerasrnn[training]', or "
            "pip install -e '.[training]' in a checkout."
        ) from error
    return babel


@functools.cache
def _locale(name: str) -> Any:
    babel = _babel()
    try:
        return babel.Locale.parse(name.replace("-", "_"))
    except (babel.UnknownLocaleError, ValueError):
        raise ValueError(
            f"Unknown locale {name!r}. Expected a name that Babel has, such as en, fr or pt_BR."
        ) from None


# === Drawing ===


def _drawn(
    names: tuple[str, ...], generator: random.Random, count: int, seen: set[str]
) -> list[tuple[str, str]]:
    patterns, reader = _patterns_of(names), _reader_of(names)
    languages: dict[str, list[str]] = defaultdict(list)
    for name in names:
        languages[name.split("_")[0]].append(name)
    rows: list[tuple[str, str]] = []
    refused = 0
    while len(rows) < count:
        locale = _choice(generator, languages[_choice(generator, sorted(languages))])
        pattern = _choice(generator, patterns[locale])
        date = _date(generator, _WINDOW if _fields(pattern.text)["y"] == "yy" else _YEARS)
        text = _varied(generator, pattern, date)
        if text in seen or len(reader.readings(text)) != 1:
            refused += 1
            if refused > 1000 + 20 * count:
                raise ValueError(
                    f"Too few dates can be told apart in {', '.join(names)}: {len(rows)} of "
                    f"{count} were found. Choose a smaller size."
                )
            continue
        seen.add(text)
        rows.append((text, date.isoformat()))
    return rows


def _choice(generator: random.Random, items: Sequence[Any]) -> Any:
    # `random()` gives the same numbers in every version of Python; `choice` need not.
    return items[int(generator.random() * len(items))]


def _date(generator: random.Random, years: tuple[int, int]) -> datetime.date:
    begin = datetime.date(years[0], 1, 1).toordinal()
    end = datetime.date(years[1], 12, 31).toordinal()
    return datetime.date.fromordinal(begin + int(generator.random() * (end - begin + 1)))


def _varied(generator: random.Random, pattern: _Pattern, date: datetime.date) -> str:
    """The date as the pattern has it, or a little less tidy."""
    ordinal, commas, case = generator.random(), generator.random(), generator.random()
    written = pattern.text
    if pattern.locale.startswith("en") and re.search("MMM|LLL", written) and ordinal < 0.25:
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(
            date.day % 10 if date.day not in (11, 12, 13) else 0, "th"
        )
        the = of = ""
        if ordinal < 0.1 and re.search("d+ [ML]", written):
            the, of = "'the' " if ordinal < 0.05 else "", " 'of'"
        written = re.sub("d+", f"{the}d'{suffix}'{of}", written)
    text = _format(pattern.locale, written, date)
    if commas < 0.1:
        text = _COMMAS.sub("", text)
    if pattern.locale.startswith("tr"):
        return text
    if case < 0.1:
        return text.lower()
    return text.upper() if case < 0.15 else text


def _format(locale: str, pattern: str, date: datetime.date) -> str:
    return str(_babel().dates.format_date(date, pattern, locale=_locale(locale)))


@functools.cache
def _patterns_of(names: tuple[str, ...]) -> dict[str, list[_Pattern]]:
    """The different patterns of each locale that have all of a date."""
    found: dict[str, list[_Pattern]] = {}
    for name in names:
        locale = _locale(name)
        texts = [str(locale.date_formats[width].pattern) for width in _WIDTHS]
        skeletons = sorted(locale.datetime_skeletons.items())
        texts += [str(p.pattern) for key, p in skeletons if _SKELETON.fullmatch(key)]
        whole = [
            _Pattern(name, text)
            for text in dict.fromkeys(texts)
            if {"y", "M", "d"} <= set(_fields(text)) and _shapes(_Pattern(name, text))
        ]
        if not whole:
            raise ValueError(f"The locale {name!r} has no format with a year, a month and a day.")
        found[name] = whole
    return found


def _fields(pattern: str) -> dict[str, str]:
    """The fields of a pattern in their order, `M` for both kinds of month: letter to letters."""
    return {
        {"L": "M", "c": "E"}.get(match[1], match[1]): match[0]
        for match in _FIELD.finditer(pattern)
        if match[1]
    }


# === Reading ===


class _Reader:
    """Finds every date that a text can mean, in any format of some locales."""

    def __init__(self, patterns: Sequence[_Pattern]) -> None:
        self.shapes: dict[str, set[_Shape]] = defaultdict(set)
        for pattern in patterns:
            for key, shape in _shapes(pattern) or ():
                self.shapes[key].add(shape)

    def readings(self, text: str) -> set[datetime.date]:
        numbers = [int(run) for run in re.findall(r"\d+", text)]
        digits = [len(run) for run in re.findall(r"\d+", text)]
        found = set()
        for shape in self.shapes.get(_key(text), ()):
            parts = dict(zip(shape.fields, numbers, strict=True))
            lengths = dict(zip(shape.fields, digits, strict=True))
            if lengths.get("y", 4) != 4 or lengths.get("Y", 2) != 2:
                continue
            year = parts["y"] if "y" in parts else 1900 + parts["Y"]
            if "Y" in parts and year < _WINDOW[0]:
                year += 100
            month = shape.month or parts["m"]
            try:
                found.add(datetime.date(year, month, parts["d"]))
            except ValueError:
                continue  # there is no such day
        return found


@functools.cache
def _reader_of(names: tuple[str, ...]) -> _Reader:
    return _Reader([pattern for rows in _patterns_of(names).values() for pattern in rows])


def _key(text: str) -> str:
    """What is left of a text without its numbers, its case, its commas and English ordinals.

    And without full stops where there are words, for people leave them out.
    """
    text = _ORDINAL.sub(r"\1", _COMMAS.sub("", text.casefold()))
    text = re.sub(r"\d+", "#", text)
    return text.replace(".", "") if any(map(str.isalpha, text)) else text


@functools.cache
def _shapes(pattern: _Pattern) -> tuple[tuple[str, _Shape], ...] | None:
    """For each month and weekday: what is left without numbers, and what the numbers mean.

    None where a number means something else, such as a weekday.
    """
    fields = _fields(pattern.text)
    weekdays = range(7 if "E" in fields else 1)
    found: dict[tuple[str, _Shape], None] = {}
    for month in range(1, 13):
        for weekday in weekdays:
            # A day of the month that falls on this weekday.
            first = datetime.date(2023, month, 1)
            date = first + datetime.timedelta((weekday - first.weekday()) % 7)
            text = _format(pattern.locale, pattern.text, date)
            # Chinese, Japanese, Korean and Vietnamese months are numbers also as words.
            name = _format(pattern.locale, fields["M"], date)
            number = bool(re.search(r"\d", name))
            letters = [
                {"y": "Y" if fields["y"] == "yy" else "y", "M": "m"}.get(letter, letter)
                for letter in fields
                if letter in "yd" or (letter == "M" and number)
            ]
            if len(re.findall(r"\d+", text)) != len(letters):
                return None
            shape = _Shape("".join(letters), None if number else month)
            found[_key(text), shape] = None
    return tuple(found)
