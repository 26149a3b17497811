"""English dates and what is none, listed by rules and by hand: to measure with, never to learn.

Nothing here comes from CLDR or from `parse_dates`: the formats, the names and the sentences are
written down below, and go through all days of a leap year.
"""

from __future__ import annotations

import calendar
import datetime
import itertools
from collections.abc import Iterator

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SUFFIXES = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}

# d and dd: the day; o: the day as an ordinal number; m, mm, mon and month: the month; y and yy:
# the year; dow and day: the weekday.
_WITH_WORDS = (
    *("{d} {month} {y}", "{dd} {month} {y}", "{d} {mon} {y}", "{dd} {mon} {y}"),
    *("{month} {d}, {y}", "{mon} {d}, {y}", "{month} {d} {y}", "{mon} {d} {y}", "{mon} {dd}, {y}"),
    *("{mon}. {d}, {y}", "{d} {mon}. {y}", "{d} {month}, {y}", "{y} {month} {d}", "{y} {mon} {d}"),
    *("{o} {month} {y}", "{month} {o}, {y}", "{mon} {o}, {y}", "{o} {mon} {y}", "{month} {o} {y}"),
    *("{o} of {month} {y}", "the {o} of {month} {y}", "The {o} of {month}, {y}"),
    *("{o} of {month}, {y}", "the {o} {month} {y}"),
    *("{day}, {month} {d}, {y}", "{day}, {d} {month} {y}", "{day} {d} {month} {y}"),
    *("{dow}, {d} {mon} {y}", "{dow} {d} {mon} {y}"),
    *("{dow}, {mon} {d}, {y}", "{dow} {mon} {d} {y}"),
    *("{day}, {month} {o}, {y}", "{day} {o} {month} {y}", "{day}, {o} of {month} {y}"),
    *("{day}, the {o} of {month} {y}", "{day} the {o} of {month} {y}", "{dow} {o} {mon} {y}"),
    *("{d}-{mon}-{y}", "{dd}-{mon}-{y}", "{y}-{mon}-{dd}", "{mon}-{dd}-{y}", "{d}/{mon}/{y}"),
    *("{dd}/{mon}/{y}", "{d}.{mon}.{y}", "{d}. {month} {y}", "{dd}{mon}{y}"),
    *("{d} {month} {yy}", "{d} {mon} {yy}", "{month} {d}, {yy}", "{mon} {d}, {yy}"),
    *("{dd}-{mon}-{yy}", "{d}-{mon}-{yy}"),
    *("{d} {mon} '{yy}", "{month} {d}, '{yy}", "{o} {mon} {yy}"),
)
_SEPARATORS = ("/", "-", ".", " ")
# The year first has one meaning; elsewhere the day must be above 12, or the month as well.
_YEAR_FIRST = (
    *("{y}-{mm}-{dd}", "{y}/{mm}/{dd}", "{y}.{mm}.{dd}", "{y} {mm} {dd}", "{y}{mm}{dd}"),
    *("{y}-{m}-{d}", "{y}/{m}/{d}", "{y}.{m}.{d}"),
)
_YEAR_LAST = tuple(
    separator.join(parts)
    for separator in _SEPARATORS
    for day, month in (("{d}", "{m}"), ("{dd}", "{mm}"))
    for year in ("{y}", "{yy}")
    for parts in ((day, month, year), (month, day, year))
)

_AROUND = (
    *("the meeting is on {} at noon", "{} at noon", "on {}"),
    *("until {}", "since {}.", "see you {}!"),
    *("I was born on {}", "Due: {}", "Date: {}", "{} - sold out", "Invoice no. 17 of {}", "{}?"),
    *("She left Rome on {} and never came back.", "from {} onwards", "before {}", "about {}"),
    *("Our shop is closed on {} because of the holiday.", "{} (Tuesday)", "[{}]", "not {}"),
    *("born {} in Berlin", "updated {} by Ada", "{} 12:30", "{}T08:00:00", "12:30 {}", "{} 5 pm"),
    *("{} BC", "{} or so", "x{}", "{}x", "{} 7", "7 {}", "${}", "#{}", "{}%", "v{}"),
)
_SENTENCES = (
    *("hello", "Hello, world!", "no date", "not a date", "date", "unknown", "n/a", "none", "null"),
    *("today", "tomorrow", "yesterday", "next week", "last Friday", "in two days", "a week ago"),
    *("noon", "at midnight", "this morning"),
    *("Christmas", "Easter Monday", "New Year's Eve", "never"),
    *("the day after tomorrow", "the first of the month", "end of May", "mid-June", "early 2020"),
    *("Q3 2021", "3rd quarter of 2021", "week 12", "2021-W12", "spring 1999", "the 1990s", "1990s"),
    *("20th century", "March", "May I come in?", "I may come.", "They march on.", "August company"),
    *("April is a name.", "June and May are sisters.", "Sunday", "Sun"),
    *("Mon", "Mar", "Dec", "Sept"),
    *("The quick brown fox jumps over the lazy dog.", "To be, or not to be: that is the question."),
    *("I grew up in France and moved to the United States.", "Where is the station?", "OK", "yes"),
    *("Please send me the report.", "Two plus two is four."),
    *("It costs 12.50 euros.", "Page 12 of 31"),
    *("Room 12, floor 3", "Call me at 555-0199."),
    *("+49 30 901820", "+1 (555) 012-3456", "Flight 5 5 26"),
    *("Version 1.2.3", "1.2.3", "10.0.0.1"),
    *("192.168.0.1", "255.255.255.255", "ISBN 978-3-16-148410-0"),
    *("3.14", "3.14159", "2.718281828", "1/2", "24/7"),
    *("9/11", "1e10", "-1", "0", "1,000,000", "50%"),
    *("12:30", "7:45 pm", "23:59:59", "0:00"),
    *("12 o'clock", "half past nine", "5 minutes", "90 days"),
    *("2 May", "May 2", "May 2020", "2020 May"),
    *("5/2020", "2020-05", "05-05", "5th", "the 5th of May"),
    *("30 days has September", "5 apples", "5 Mayors 2020", "Marching 5, 2020", "Decimal 5 2020"),
    *("Tuesday 2020", "Tuesday, 5", "the 5th", "5 5"),
    *("55 5555", "5 May 5", "May May 2020", "5 5 2020 5"),
    *("lorem ipsum dolor sit amet", "foo bar baz", "qwertyuiop", "asdf"),
    *("zzz", "x", "?", "!", "..."),
    *("SELECT * FROM dates;", "<b>bold</b>", "{}", "[]", "()"),
    *("None", "NaN", "True", "{'a': 1}", "\\n"),
    *("http://example.org/2020/05", "ada@example.org", "C:\\temp\\file.txt"),
    *("../../etc", "a.b.c", "--"),
    *(
        "😀",
        "😀😀😀",
        "📅",
        "🎉 party 🎉",
        "你好",
        "привет",
        "Ωμέγα",
        "señor",
        "naïve",
        "日本",
        "١٢٣",
        "½",
    ),
)


def parse_date_rules() -> list[tuple[str, str]]:
    """A list of English dates, and of texts that are none, made by rule; never drawn.

    Dates: every sixth of the 366 days of a leap year in each of 95 formats, which are written down
    here and not taken from CLDR, in small letters and capitals by turns; in numbers, days whose
    order of day and month is beyond doubt, between `/`, `-`, `.` and spaces; each month's number as
    the day as well in all years that two digits tell; all years from 1000 to 2999.

    No dates, with the empty text as target: every pair of different numbers up to 12 as day and
    month, which has two meanings; the days that a month has not, the 29th of February in all years
    from 1800 to 2199 that have none; months and days out of range; parts of dates, times, numbers;
    dates with something around them; two dates; sentences, other scripts, nothing and very long
    texts.

    Returns:
        Pairs of a text and its date, `YYYY-MM-DD`, or the empty text.

    Example:

    >>> from kerasrnn.data import parse_date_rules
    >>> rules = dict(parse_date_rules())
    >>> rules["12-31-1999"], rules["31 April 2032"], rules["3/4/2000"]
    ('1999-12-31', '', '')
    """
    return list(dict.fromkeys([*_dates(), *((text, "") for text in _no_dates())]))


def _dates() -> Iterator[tuple[str, str]]:
    days = _days()
    for number, form in enumerate((*_WITH_WORDS, *_YEAR_FIRST, *_YEAR_LAST)):
        short = "{yy}" in form
        for place, (month, day) in enumerate(days):
            if (place + number) % 6 or (form in _YEAR_LAST and day <= 12 and day != month):
                continue
            first, count = (1969, 100) if short else (1800, 400)
            year = first + (37 * place + 11 * number) % count
            if (month, day) == (2, 29):  # the nearest leap year, of the same hundred
                year = next(y for y in range(year, first - 9, -1) if calendar.isleap(y))
                year = max(year, 1972) if short else max(year, 1804)
            text = _write(form, year, month, day)
            yield (text, text.lower(), text.upper())[place % 5 % 3], f"{year}-{month:02}-{day:02}"
    for form in ("{d} {month} {y}", "{y}{mm}{dd}", "{m}-{d}-{y}"):
        yield _write(form, 1999, 12, 31), "1999-12-31"
        yield _write(form, 2026, 5, 31), "2026-05-31"
    yield "20260505", "2026-05-05"
    for year in range(1000, 3000):
        month, day = days[(53 * year) % 366]
        if (month, day) == (2, 29):
            day = 28
        form = ("{d} {month} {y}", "{month} {d}, {y}", "{y}-{mm}-{dd}")[year % 3]
        yield _write(form, year, month, day), f"{year}-{month:02}-{day:02}"
    # Every day that is its month's number, in each hundred that two digits tell.
    for both, year in itertools.product(range(1, 13), range(1969, 2069)):
        for form in _YEAR_LAST if year == 2026 else _YEAR_LAST[(both + year) % 8 :: 16]:
            yield _write(form, year, both, both), f"{year}-{both:02}-{both:02}"


def _no_dates() -> Iterator[str]:
    days = _days()
    for form in _YEAR_LAST:
        for day, month in itertools.permutations(range(1, 13), 2):
            yield _write(form, 1969 + (7 * day + month) % 100, month, day)
    impossible = [(2, 30), (2, 31), (4, 31), (6, 31), (9, 31), (11, 31)]
    for number, form in enumerate((*_WITH_WORDS, *_YEAR_FIRST, *_YEAR_LAST)):
        for place, (month, day) in enumerate(impossible):
            yield _write(form, 1970 + (31 * place + 7 * number) % 98, month, day)
    for year in range(1800, 2200):
        if not calendar.isleap(year):
            for form in ("{d} {month} {y}", "{mon} {o}, {y}", "{y}-{mm}-{dd}", "{d}/{m}/{y}"):
                yield _write(form, year, 2, 29)
    for year in range(1990, 2030):
        yield from (f"{year}-{month:02}-05" for month in (0, *range(13, 20)))
        yield from (f"{year}-05-{day:02}" for day in (0, *range(32, 40)))
        yield from (f"{day} March {year}" for day in (0, 32, 45, 99, 100))
        yield from (f"March {day}, {year}" for day in (0, 32, 45, 99, 100))
        yield from (f"13/{day}/{year}" for day in (13, 20, 31, 40))
        yield from (f"{year}{month:02}05" for month in (0, 13, 40))
        yield from (f"{year}/{day}/{month}" for day, month in ((13, 5), (31, 12), (20, 20)))
    # Parts of dates, times, numbers.
    yield from (str(number) for number in range(0, 3000, 3))
    for month, name in enumerate(_MONTHS, start=1):
        yield from (f"{name} {year}" for year in range(1950, 2050, 3))
        yield from (f"{month}/{year}" for year in range(1990, 2030))
        yield from (name, name[:3], name.upper(), f"{name} {month}", f"the {name} of 2020")
    for month, day in days:
        parts = ("{d} {month}", "{month} {d}", "{d}/{m}", "{mm}-{dd}", "{o} of {month}")
        yield _write("{day} {d}", 2020, month, day)
        yield from (_write(form, 2020, month, day) for form in parts)
    yield from (f"{hour}:{minute:02}" for hour in range(24) for minute in range(0, 60, 7))
    yield from (
        f"{hour}:{m:02} {half}" for hour in range(1, 13) for m in (0, 5) for half in ("am", "PM")
    )
    yield from ("7" * count for count in range(1, 40) if count != 8)
    # More than a date.
    for place, (month, day) in enumerate(days):
        forms = ("{d} {month} {y}", "{month} {o}, {y}", "{y}-{mm}-{dd}", "{mon} {d}, {y}")
        year = 2000 + place % 25 * 4  # leap years, as the days have one
        written = [_write(form, year, month, day) for form in forms]
        for number, around in enumerate(_AROUND):
            if (place + number) % 12 == 0:
                yield around.format(written[(place // 12 + number) % 4])
        yield f"{written[0]} - {written[2]}"
        yield f"{written[1]} and {written[3]}"
        yield f"{written[2]} {written[2]}"
        yield f"from {written[3]} to {written[0]}"
    yield "the meeting is on March 3rd, 2021 at noon"
    # Nothing of a date.
    yield from _SENTENCES
    yield from (sentence.upper() for sentence in _SENTENCES)
    yield from (f"{one} {other}" for one, other in itertools.pairwise(_SENTENCES))
    yield from ("", " ", "   ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u200b", "\x00", "\ufeff")
    yield from (chr(code) * count for code in range(0x21, 0x7F) for count in (1, 2, 5, 30))
    yield from (text * 200 for text in ("x", "5", "5 May 2020 ", "word ", "😀", "/", "2020-05-05"))


def _days() -> list[tuple[int, int]]:
    first = datetime.date(2000, 1, 1)
    dates = (first + datetime.timedelta(number) for number in range(366))
    return [(date.month, date.day) for date in dates]


def _write(form: str, year: int, month: int, day: int) -> str:
    last = calendar.monthrange(year, month)[1]
    weekday = _DAYS[datetime.date(year, month, min(day, last)).weekday()]
    name = _MONTHS[month - 1]
    return form.format(
        d=day,
        dd=f"{day:02}",
        o=f"{day}{_SUFFIXES.get(day, 'th')}",
        m=month,
        mm=f"{month:02}",
        mon=name[:3],
        month=name,
        y=year,
        yy=f"{year % 100:02}",
        dow=weekday[:3],
        day=weekday,
    )
