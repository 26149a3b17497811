"""How people write dates: the formats of some locales, and every date that a text can mean."""

from __future__ import annotations

import datetime
import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from kerasrnn.extras import require

# A year of two digits is the one of these hundred, as in POSIX.
WINDOW = (1969, 2068)
YEARS = (1000, 2999)
# Days and months that there can be, before anyone asks the calendar.
DAYS, MONTHS = range(1, 32), range(1, 13)

# English alone means English as these countries write it.
ENGLISH = ("en_US", "en_GB", "en_CA", "en_AU", "en_IN", "en_NZ", "en_IE", "en_ZA")

_WIDTHS = ("short", "medium", "long", "full")
# CLDR's names of the combinations that have a year, a month and a day, with or without a weekday.
_SKELETON = re.compile(r"y+M+E*d+")
_FIELD = re.compile(r"'[^']*'|([yMLdEc])\1*")
_SEPARATORS = ("/", "-", ".", " ")
# What CLDR leaves out and people write all the same: separators, zeros, short years, other orders.
_MORE_ENGLISH = (
    *("d MMM y", "d MMMM y", "dd MMM y", "dd MMMM y", "d MMM, y", "d MMMM, y"),
    *("MMM d, y", "MMMM d, y", "MMM dd, y", "MMMM dd, y"),
    *("y MMM d", "y MMMM d", "y, MMMM d", "y MMM dd"),
    *("d MMM yy", "d MMMM yy", "dd MMM yy", "MMM d, yy", "MMMM d, yy"),
    *("d MMM ''yy", "d MMMM ''yy", "MMM d, ''yy", "MMMM d, ''yy"),
    *("d-MMM-y", "dd-MMM-y", "d-MMM-yy", "dd-MMM-yy", "d-MMMM-y", "dd-MMMM-y"),
    *("MMM-d-y", "MMM-dd-y", "MMM-dd-yy", "y-MMM-d", "y-MMM-dd"),
    *("MMMM-d-y", "MMMM-dd-yy", "y-MMMM-d", "y-MMMM-dd"),
    *("d/MMM/y", "dd/MMM/y", "dd/MMM/yy", "MMM/dd/y", "MMM/d/yy", "y/MMM/dd"),
    *("d/MMMM/y", "d/MMMM/yy", "MMMM/d/y", "MMMM/dd/yy", "y/MMMM/d"),
    *("d.MMM.y", "dd.MMM.y", "dd.MMM.yy", "d.MMMM.y", "d.MMMM.yy", "d. MMM y", "d. MMMM y"),
    *("dMMMy", "ddMMMy", "ddMMMyy", "ddMMMMy", "dMMMMy", "ddMMMMyy"),
    *("E d MMM y", "E, d MMM y", "E d MMMM y", "E dd MMM y", "E MMM d, y", "E MMM d y"),
    *("E, d MMM yy", "E, dd-MMM-y", "E MMMM d, y", "E, MMM dd, y"),
    *("EEEE d MMMM y", "EEEE, d MMMM y", "EEEE MMMM d, y", "EEEE, MMMM d, y", "EEEE, d MMM, y"),
    *("EEEE, dd MMMM y", "EEEE d MMM y", "EEEE, MMM d, y"),
    *("E, MMM d, yy", "EEEE, MMM d, yy", "EEEE, MMMM d, yy", "EEEE, d MMM yy", "EEEE, d MMMM yy"),
)

_ORDINAL = re.compile(r"(?:\bthe )?(\d+)(?:(?:st|nd|rd|th)\b)?(?: of\b)?")
_COMMAS = re.compile(r"[,،、]")
_JOINTS = re.compile(r"[-\s./']")
_COMPACT = re.compile(r"\d{8}")


class Pattern(NamedTuple):
    """A format of a locale, in CLDR's notation."""

    locale: str
    text: str

    @property
    def fields(self) -> dict[str, str]:
        """Its fields in their order, `M` for both kinds of month: letter to letters."""
        return {
            {"L": "M", "c": "E"}.get(match[1], match[1]): match[0]
            for match in _FIELD.finditer(self.text)
            if match[1]
        }

    @property
    def order(self) -> str:
        """Its year, month and day as they follow each other, such as `dMy`."""
        return "".join(letter for letter in self.fields if letter in "yMd")

    @property
    def numeric(self) -> bool:
        """Whether its month is a number."""
        return len(self.fields["M"]) < 3


class _Shape(NamedTuple):
    """What the runs of digits in a text mean, in their order, and the month where a word says it.

    `fields` holds `d`, `m`, and `y` or, for two digits, `Y`.
    """

    fields: str
    month: int | None


def babel() -> Any:
    """The package Babel, or an ImportError that says how to install it."""
    require("babel.dates", "training", "builtin:dates")
    return require("babel", "training", "builtin:dates")


@functools.cache
def locale_of(name: str) -> Any:
    """Babel's locale of a name, or a ValueError."""
    package = babel()
    try:
        return package.Locale.parse(name.replace("-", "_"))
    except (package.UnknownLocaleError, ValueError):
        raise ValueError(
            f"Unknown locale {name!r}. Expected a name that Babel has, such as en, fr or pt_BR."
        ) from None


def write(locale: str, pattern: str, when: datetime.date) -> str:
    """A date, or a date and time, in a format."""
    dates = babel().dates
    if isinstance(when, datetime.datetime):
        return str(dates.format_datetime(when, pattern, locale=locale_of(locale)))
    return str(dates.format_date(when, pattern, locale=locale_of(locale)))


# === Formats ===


@functools.cache
def patterns_of(names: tuple[str, ...]) -> dict[str, list[Pattern]]:
    """The different patterns of each locale that have all of a date.

    Those of CLDR; numbers in the orders that these have, the year first among them, with each
    separator, with and without zeros; and what else is written in English.
    """
    found: dict[str, list[Pattern]] = {}
    for name in names:
        locale = locale_of(name)
        texts = [str(locale.date_formats[width].pattern) for width in _WIDTHS]
        skeletons = sorted(locale.datetime_skeletons.items())
        texts += [str(p.pattern) for key, p in skeletons if _SKELETON.fullmatch(key)]
        # CLDR's `ddd` is an ordinal number, of which Babel makes `004`.
        texts = [re.sub("ddd+", "d", text) for text in texts]
        whole = [text for text in texts if {"y", "M", "d"} <= set(Pattern(name, text).fields)]
        if not whole:
            raise ValueError(f"The locale {name!r} has no format with a year, a month and a day.")
        whole += _numeric([Pattern(name, text) for text in whole])
        if name.startswith("en"):
            # CLDR has long weekdays with months in words only.
            whole += [re.sub("E+", "EEEE", text) for text in whole]
            whole += _MORE_ENGLISH
        patterns = [Pattern(name, text) for text in dict.fromkeys(whole)]
        found[name] = [pattern for pattern in patterns if _shapes(pattern)]
    return found


def _numeric(known: Sequence[Pattern]) -> list[str]:
    orders = {pattern.order for pattern in known if pattern.numeric}
    texts = ["yMMdd"]
    for order in sorted(orders | {"yMd"}):
        for separator in _SEPARATORS:
            texts += [separator.join(order), separator.join(_padded(order))]
            if order.endswith("y"):
                texts += [text + "y" for text in texts[-2:]]
    return texts


def _padded(order: str) -> list[str]:
    return [letter if letter == "y" else 2 * letter for letter in order]


# === Reading ===


class Reader:
    """Finds every date that a text can mean, in any format of some locales.

    Args:
        patterns: the formats.
    """

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.shapes: dict[str, set[_Shape]] = defaultdict(set)
        for pattern in patterns:
            for key, shape in _shapes(pattern) or ():
                self.shapes[key].add(shape)

    def readings(self, text: str) -> set[str]:
        """What a text can mean.

        Args:
            text: any text.

        Returns:
            Dates as `YYYY-MM-DD`; some may have a day that their month has not.
        """
        found = set()
        key, digits = _key(text)
        for shape in self.shapes.get(key, ()):
            if len(shape.fields) != len(digits):
                continue  # a # that was none of the numbers
            parts = dict(zip(shape.fields, digits, strict=True))
            if len(parts.get("y", "....")) != 4 or len(parts.get("Y", "..")) != 2:
                continue
            if max(len(parts["d"]), len(parts.get("m", ""))) > 2:
                continue
            year = int(parts["y"]) if "y" in parts else 1900 + int(parts["Y"])
            if "Y" in parts and year < WINDOW[0]:
                year += 100
            month, day = shape.month or int(parts["m"]), int(parts["d"])
            if YEARS[0] <= year <= YEARS[1] and month in MONTHS and day in DAYS:
                found.add(iso(year, month, day))
        return found


def iso(year: int, month: int, day: int) -> str:
    """A date in ISO 8601, whether there is one or not."""
    return f"{year:04}-{month:02}-{day:02}"


@functools.cache
def reader_of(names: tuple[str, ...]) -> Reader:
    """The reader of all formats of some locales."""
    return Reader([pattern for rows in patterns_of(names).values() for pattern in rows])


def _key(text: str) -> tuple[str, list[str]]:
    """What is left of a text without its numbers, and these.

    Case, commas, more than one space and English ordinals do not count, nor, where there are words,
    what stands between them and the numbers. Eight digits in a row are three numbers.
    """
    text = _COMPACT.sub(lambda m: f"{m[0][:4]}\0{m[0][4:6]}\0{m[0][6:]}", text)
    text = _COMMAS.sub(" ", text.casefold().replace("’", "'"))
    text = _ORDINAL.sub(r"\1", " ".join(text.split()))
    digits = re.findall(r"\d+", text)
    text = re.sub(r"\d+", "#", text)
    return (_JOINTS.sub("", text) if any(map(str.isalpha, text)) else text), digits


@functools.cache
def _shapes(pattern: Pattern) -> tuple[tuple[str, _Shape], ...] | None:
    """For each month and weekday: what is left without numbers, and what the numbers mean.

    None where a number means something else, such as a weekday.
    """
    fields = pattern.fields
    found: dict[tuple[str, _Shape], None] = {}
    for month in MONTHS:
        for weekday in range(7 if "E" in fields else 1):
            # A day of the month that falls on this weekday.
            first = datetime.date(2023, month, 1)
            date = first + datetime.timedelta((weekday - first.weekday()) % 7)
            key, digits = _key(write(pattern.locale, pattern.text, date))
            # Chinese, Japanese, Korean and Vietnamese months are numbers also as words.
            number = bool(re.search(r"\d", write(pattern.locale, fields["M"], date)))
            letters = [
                {"y": "Y" if fields["y"] == "yy" else "y", "M": "m"}.get(letter, letter)
                for letter in fields
                if letter in "yd" or (letter == "M" and number)
            ]
            if len(digits) != len(letters):
                return None
            found[key, _Shape("".join(letters), None if number else month)] = None
    return tuple(found)
