"""Dates drawn so that each format, day, month and year has its turn, written as people do."""

from __future__ import annotations

import datetime
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kerasrnn.data.date_formats import (
    DAYS,
    MONTHS,
    WINDOW,
    YEARS,
    Pattern,
    iso,
    patterns_of,
    reader_of,
    write,
)
from kerasrnn.data.date_patterns import is_date

# Half of all years are near ours: each of these is in the deck as often as makes up for the others.
_NEAR = range(1800, 2200)
_TWINS = 0.4
_TRIES = 30


def choice(generator: random.Random, items: Sequence[Any]) -> Any:
    """One of some items."""
    # `random()` gives the same numbers in every version of Python; `choice` need not.
    return items[int(generator.random() * len(items))]


class Deck:
    """Draws cards, none again before all others have been.

    Args:
        generator: decides the order.
        cards: the cards, at least one.
    """

    def __init__(self, generator: random.Random, cards: Iterable[Any]) -> None:
        self.generator = generator
        self.cards = list(cards)
        self.left: list[Any] = []

    def draw(self) -> Any:
        """The next card."""
        if not self.left:
            self.left = list(self.cards)
            for last in range(len(self.left) - 1, 0, -1):
                other = int(self.generator.random() * (last + 1))
                self.left[last], self.left[other] = self.left[other], self.left[last]
        return self.left.pop()


class DateWriter:
    """Writes dates in the formats of some locales, each language as often as any other.

    Args:
        names: the locales.
        generator: decides what is drawn.
    """

    def __init__(self, names: tuple[str, ...], generator: random.Random) -> None:
        self.names = names
        self.generator = generator
        self.reader = reader_of(names)
        languages: dict[str, list[str]] = defaultdict(list)
        for name in names:
            languages[name.split("_")[0]].append(name)
        self.languages = Deck(generator, sorted(languages))
        self.locales = {key: Deck(generator, rows) for key, rows in languages.items()}
        self.formats = {key: Deck(generator, rows) for key, rows in patterns_of(names).items()}
        self.days, self.months = Deck(generator, DAYS), Deck(generator, MONTHS)
        years = range(YEARS[0], YEARS[1] + 1)
        nearer = (len(years) - len(_NEAR)) // len(_NEAR)
        self.years = Deck(generator, [*years, *list(_NEAR) * (nearer - 1)])
        self.short_years = Deck(generator, range(WINDOW[0], WINDOW[1] + 1))

    def locale(self) -> str:
        """The next locale."""
        return self.locales[self.languages.draw()].draw()

    def pattern(self) -> Pattern:
        """The next format of the next locale."""
        return self.formats[self.locale()].draw()

    def year(self, pattern: Pattern) -> int:
        """The next year that a format can tell: of two digits, one of a hundred."""
        return (self.short_years if pattern.fields["y"] == "yy" else self.years).draw()

    def month_and_day(self, pattern: Pattern, year: int, *, real: bool = True) -> tuple[int, int]:
        """The next month and day for a format.

        Args:
            pattern: the format.
            year: the year.
            real: whether the month has the day, or has not.
        """
        twins = real and pattern.numeric and self.generator.random() < _TWINS
        while True:
            month, day = self.months.draw(), self.days.draw()
            if twins:
                day = month
            if is_date(iso(year, month, day)) == real:
                return month, day

    def text(self, pattern: Pattern, year: int, month: int, day: int) -> str:
        """A date as a format has it, or a little less tidy; its month need not have the day."""
        english, turkish = (pattern.locale.startswith(name) for name in ("en", "tr"))
        written = self._in_english(pattern.text, day) if english else pattern.text
        if pattern.numeric and self.generator.random() < 0.1:
            written = re.sub("dd|MM", lambda match: match[0][0], written, count=1)
        real_day = day
        if not is_date(iso(year, month, day)):
            # A day that there is not stands there as letters do, in quotes.
            parts = re.split("('[^']*')", written)
            parts[::2] = [re.sub("d+", f"'{day}'", part) for part in parts[::2]]
            written, real_day = "".join(parts), 28
        text = write(pattern.locale, written, datetime.date(year, month, real_day))
        commas, white, case = (self.generator.random() for _ in range(3))
        if commas < 0.1:
            text = re.sub("[,،、]", "", text)
        if white < 0.08:
            text = choice(self.generator, (" {}", "{} ", "\t{}", "{}\n", " {} ")).format(text)
        elif white < 0.11 and any(map(str.isalpha, text)):
            text = text.replace(" ", "  ")
        if case < 0.12 and not turkish:
            text = text.lower()
        elif case < 0.2 and not turkish:
            text = text.upper()
        return text

    def _in_english(self, pattern: str, day: int) -> str:
        """A format with a full stop behind a short month, or with an ordinal number."""
        stop, ordinal, the, of = (self.generator.random() for _ in range(4))
        if stop < 0.15:
            pattern = re.sub("(?<!M)MMM(?=[ ,])", "MMM'.'", pattern)
        if ordinal < 0.25 and re.search("MMM", pattern) and re.search("(^| )d+([ ,]|$)", pattern):
            before = "the " if the < 0.2 else ""
            behind = " 'of'" if of < 0.5 and re.search("d+ M", pattern) else ""
            suffix = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day // 10 != 1 else 0, "th")
            pattern = re.sub("d+", f"'{before}{day}{suffix}'{behind}", pattern)
        return pattern

    def some(self) -> str:
        """A date in the next format, which may be read in another way as well."""
        pattern = self.pattern()
        year = self.year(pattern)
        return self.text(pattern, year, *self.month_and_day(pattern, year))

    def many(self, count: int, seen: set[str]) -> list[tuple[str, str]]:
        """Dates that no other format reads otherwise.

        Args:
            count: how many.
            seen: texts that are not to come again; those that are written are added.

        Returns:
            Texts and their dates.

        Raises:
            ValueError: there are not as many.
        """
        rows: list[tuple[str, str]] = []
        refused = 0
        while len(rows) < count:
            pattern = self.pattern()
            year = self.year(pattern)
            # Format and year have had their turn only when a date is found for them.
            for _ in range(_TRIES):
                date = (year, *self.month_and_day(pattern, year))
                text = self.text(pattern, *date)
                if text not in seen and self.reader.readings(text) == {iso(*date)}:
                    seen.add(text)
                    rows.append((text, iso(*date)))
                    break
            else:
                refused += 1
                if refused > 100 + count:
                    raise ValueError(
                        f"Too few dates can be told apart in {', '.join(self.names)}: {len(rows)} "
                        f"of {count} were found. Choose a smaller size."
                    )
        return rows
