"""Texts that are no dates, many of them nearly: what a model that reads dates has to refuse."""

from __future__ import annotations

import datetime
import functools
import hashlib
import random
import re
import string
from collections.abc import Callable

from kerasrnn.data.date_formats import Pattern, locale_of, write
from kerasrnn.data.date_patterns import is_date
from kerasrnn.data.date_writer import DateWriter, Deck, choice

_BLANK = ("", " ", "  ", "\t", "\n", " \n ", "     ")
_STRAY = string.punctuation + "’–—…€£$°§«»•→✓×½\u200b\ufeff\ufffd😀🎉📅"
_BETWEEN = (" - ", "-", " to ", " and ", ", ", " or ", "/", " – ", "; ", " ", "\n", " until ")
# Words of no meaning of their own, which names lack.
_WORDS = tuple(
    word
    for line in (
        "a an the this that these those is are was were be been will would shall can could",
        "may must not no yes and or but if then when while until since before after on in at",
        "by for from to of with without about over under between into we you he she it they i",
        "me him her them us my your his its our their who what where why how which all some",
        "any each every both few more most other day days date week weekend month months year",
        "years today tomorrow yesterday now noon midnight morning evening night o'clock hour",
        "minute second last next first third once twice meeting holiday birthday party born",
        "due call see please meet pay order number invoice page room floor version phone",
        "price total deadline session new old good great long short high second quarter half",
        "spring summer autumn winter fall century decade age early late ago soon hello hi",
        "dear thanks ok test foo bar lorem ipsum none null nan true false unknown n/a tbd tba",
    )
    for word in line.split()
)
# In tenths by a hash: one for validation, one for the test.
_TENTHS = {"validation": (0,), "test": (1,), "train": tuple(range(2, 10))}


def draw_no_dates(
    split: str, names: tuple[str, ...], generator: random.Random, count: int
) -> list[tuple[str, str]]:
    """Texts that are no dates in any format of some locales.

    Args:
        split: `train`, `validation` or `test`; a text is in one of them, which its hash decides.
        names: the locales.
        generator: decides what is drawn.
        count: how many.

    Returns:
        Pairs of a text and what is to be made of it: nothing, or for a day that its month has not
        what the text says. Each text comes once, but for white space alone.
    """
    source = _NoDates(names, generator)
    kinds = Deck(generator, source.kinds)
    rows: list[tuple[str, str]] = []
    seen: set[str] = set()
    refused = 0
    while len(rows) < count:
        text = kinds.draw()()[:300]
        blank = not text.strip()
        readings = source.writer.reader.readings(text)
        target = readings.pop() if len(readings) == 1 else ""
        elsewhere = not blank and _tenth(text) not in _TENTHS[split]
        if is_date(target) or text in seen or elsewhere:
            refused += 1
            if refused > 1000 + 100 * count:
                raise ValueError(f"Too few texts without a date: {len(rows)} of {count}.")
            continue
        if not blank:
            seen.add(text)
        rows.append((text, target))
    return rows


def _tenth(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8]) % 10


class _NoDates:
    """One method for each kind; a text of any kind may be a date by chance."""

    def __init__(self, names: tuple[str, ...], generator: random.Random) -> None:
        self.generator = generator
        self.writer = DateWriter(names, generator)
        self.kinds: list[Callable[[], str]] = [
            self.ambiguous,
            self.impossible,
            self.impossible,
            self.beyond,
            self.near,
            self.near,
            self.misnamed,
            self.torn,
            self.part,
            self.with_time,
            self.two,
            self.within,
            self.within,
            self.words,
            self.words,
            self.number,
            self.noise,
            self.blank,
        ]

    def _among(self, *items: int) -> int:
        return choice(self.generator, range(*items))

    # === Nearly dates ===

    def ambiguous(self) -> str:
        """Two numbers, either of which may be the month."""
        numbers = [p for p in self._patterns() if p.numeric]
        if not numbers:
            return self.writer.some()
        pattern = choice(self.generator, numbers)
        month, day = self._among(1, 13), self._among(1, 13)
        return self.writer.text(pattern, self.writer.year(pattern), month, day)

    def _patterns(self) -> list[Pattern]:
        return self.writer.formats[self.writer.locale()].cards

    def impossible(self) -> str:
        """A day that its month has not."""
        pattern = self.writer.pattern()
        year = self.writer.year(pattern)
        return self.writer.text(
            pattern, year, *self.writer.month_and_day(pattern, year, real=False)
        )

    def beyond(self) -> str:
        """A number that no day, no month or no year has."""
        text = self.writer.some()
        runs = list(re.finditer(r"\d+", text))
        run = choice(self.generator, runs)
        number = {
            1: lambda: choice(self.generator, (0, self._among(13, 100), self._among(32, 1000))),
            2: lambda: choice(self.generator, (0, self._among(13, 100), self._among(32, 1000))),
            4: lambda: choice(self.generator, (self._among(0, 1000), self._among(3000, 100000))),
            8: lambda: self._among(0, 10**8),
        }.get(len(run[0]), lambda: 0)()
        padded = f"{number:0{len(run[0])}}" if self.generator.random() < 0.5 else str(number)
        return text[: run.start()] + padded + text[run.end() :]

    def near(self) -> str:
        """A date with a digit changed, doubled or left out, or with a character too many."""
        text = self.writer.some()
        for _ in range(self._among(1, 3)):
            place = self._among(len(text))
            before, here, after = text[:place], text[place : place + 1], text[place + 1 :]
            if here.isdigit() and self.generator.random() < 0.7:
                digit = choice(self.generator, string.digits)
                here = choice(self.generator, (digit, digit + here, here + here, ""))
            else:
                here = choice(self.generator, _STRAY) + here
            text = before + here + after
        return text

    def misnamed(self) -> str:
        """A date with another word in place of the month or the weekday, or with letters more."""
        text = self.writer.some()
        found = list(re.finditer(r"[^\W\d]{3,}", text))
        if not found:
            return self.within()
        word = choice(self.generator, found)
        letters = "".join(
            choice(self.generator, string.ascii_lowercase) for _ in range(self._among(1, 6))
        )
        names = _names(self.writer.locale())
        other = choice(
            self.generator,
            (word[0] + letters, letters + word[0], choice(self.generator, names), letters),
        )
        return text[: word.start()] + other + text[word.end() :]

    def torn(self) -> str:
        """The pieces of a date in another order, or with one left out or too many."""
        pieces = re.findall(r"\d+|[^\W\d]+|\W+", self.writer.some())
        for _ in range(self._among(1, 4)):
            place = self._among(len(pieces))
            piece = pieces.pop(place)
            what = self.generator.random()
            if what < 0.3 and pieces:
                pieces.insert(self._among(len(pieces)), piece)
            elif what < 0.6 or not pieces:
                pieces[place:place] = [piece, choice(self.generator, (" ", "", "-")), piece]
        return "".join(pieces)

    def part(self) -> str:
        """A year, a month, a day, a weekday, a time, or what else lacks one part of a date."""
        locale = self.writer.locale()
        pattern = choice(self.generator, _partial(locale))
        month, day, hour = self._among(1, 13), self._among(1, 29), self._among(24)
        when = datetime.datetime(self.writer.years.draw(), month, day, hour, self._among(60))
        text = write(locale, pattern, when)
        return self._cased(text)

    def _cased(self, text: str) -> str:
        case = self.generator.random()
        if case < 0.2:
            return text.lower()
        return text.upper() if case < 0.3 else text

    # === More than dates ===

    def with_time(self) -> str:
        """A date and a time of the day."""
        locale = self.writer.locale()
        times = [p for p in _partial(locale) if re.search("[hHkK]", p)] or ["HH:mm"]
        pattern = choice(self.generator, ("HH:mm", "HH:mm:ss", "h a", *times))
        when = datetime.datetime(2020, 1, 1, self._among(24), self._among(60), self._among(60))
        time = write(locale, pattern, when)
        joint = choice(self.generator, (" ", ", ", "T", " at ", " - "))
        both = (
            (self.writer.some(), time)
            if self.generator.random() < 0.8
            else (time, self.writer.some())
        )
        return joint.join(both) + choice(self.generator, ("", "", "", "Z", "+01:00", " UTC"))

    def two(self) -> str:
        """Two dates, or the same twice."""
        first = self.writer.some()
        second = self.part() if self.generator.random() < 0.3 else self.writer.some()
        both = [first, first if self.generator.random() < 0.1 else second]
        if self.generator.random() < 0.2:
            both.reverse()
        return choice(self.generator, _BETWEEN).join(both)

    def within(self) -> str:
        """A date among other words or characters."""
        before = self._phrase(0, 6) if self.generator.random() < 0.7 else ""
        after = self._phrase(0, 6) if not before or self.generator.random() < 0.5 else ""
        if self.generator.random() < 0.2:
            before, after = (choice(self.generator, _STRAY), choice(self.generator, ("", after)))
        joint = choice(self.generator, (" ", " ", " ", ": ", ", ", ""))
        return joint.join(part for part in (before, self.writer.some(), after) if part)

    # === Nothing of a date ===

    def _phrase(self, least: int, most: int) -> str:
        names = _names(self.writer.locale())
        words = [
            choice(self.generator, _WORDS if self.generator.random() < 0.5 else names)
            for _ in range(max(1, self._among(least, most)))
        ]
        if self.generator.random() < 0.2:
            words.insert(self._among(len(words) + 1), str(self._among(10 ** self._among(1, 6))))
        text = " ".join(words)
        if self.generator.random() < 0.4:
            text = text[:1].upper() + text[1:]
        return self._cased(text)

    def words(self) -> str:
        """Words and names of the locale, and now and then a number."""
        most = choice(self.generator, (2, 3, 6, 12)) if self.generator.random() < 0.95 else 40
        text = self._phrase(1, most)
        if self.generator.random() < 0.3:
            text += choice(self.generator, (".", "!", "?", "...", ":", ","))
        return text

    def number(self) -> str:
        """Digits, with or without signs between them."""
        groups = self._among(1, 6) if self.generator.random() < 0.6 else 1
        joint = choice(self.generator, ("", " ", "-", ".", "/", ",", ":", "  "))
        digits = joint.join(
            "".join(choice(self.generator, string.digits) for _ in range(self._among(1, 9)))
            for _ in range(groups)
        )
        return choice(self.generator, ("", "", "", "", "+", "-", "$", "#", "0x")) + digits

    def noise(self) -> str:
        """Characters of any kind."""
        alphabet = choice(
            self.generator,
            (
                string.ascii_lowercase,
                string.ascii_letters + string.digits,
                string.printable,
                _STRAY,
                string.digits + "/-. ",
                string.punctuation + " ",
                "",
            ),
        )
        length = self._among(1, choice(self.generator, (4, 12, 30, 100)))
        if self.generator.random() < 0.1:
            return (choice(self.generator, alphabet or "äé") * 300)[: self._among(2, 300)]
        return "".join(
            choice(self.generator, alphabet) if alphabet else chr(self._among(0xA1, 0xD800))
            for _ in range(length)
        )

    def blank(self) -> str:
        """Nothing, or white space."""
        return choice(self.generator, _BLANK)


@functools.cache
def _partial(name: str) -> list[str]:
    """The formats of a locale that lack the year, the month or the day."""
    locale = locale_of(name)
    texts = [str(p.pattern) for _, p in sorted(locale.datetime_skeletons.items())]
    texts += [str(p.pattern) for _, p in sorted(locale.time_formats.items())]
    texts += ["y", "yy", "d", "MMMM", "MMM", "EEEE", "E", "M/y", "MM-y", "d/M", "MMMM d", "d MMMM"]
    known = re.compile(r"(?:'[^']*'|[^a-zA-Z']|[yMLdEcHhkKmsaQq])+")
    texts = [re.sub("ddd+", "d", text) for text in texts if known.fullmatch(text)]
    return [t for t in dict.fromkeys(texts) if not {"y", "M", "d"} <= set(Pattern(name, t).fields)]


@functools.cache
def _names(name: str) -> tuple[str, ...]:
    """Words of a locale: names of territories, languages, currencies, months and weekdays."""
    locale = locale_of(name)
    phrases = (
        *locale.territories.values(),
        *locale.languages.values(),
        *locale.currencies.values(),
    )
    words = {word for phrase in phrases for word in str(phrase).split()}
    return tuple(sorted(words)) or _WORDS
