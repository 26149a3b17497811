"""Dates of CLDR: right, unambiguous, and the same each time."""

import builtins
import datetime
import re

import pytest

from kerasrnn.data import load_pairs, parse_dates
from kerasrnn.data.dates import ENGLISH, LOCALES

babel = pytest.importorskip("babel")

from babel.dates import format_date  # noqa: E402


@pytest.fixture(scope="module")
def english():
    return {
        split: parse_dates(split, locales=["en"], size=600)
        for split in ("train", "validation", "test")
    }


def in_every_way(date: datetime.date, locale: str) -> set[str]:
    """What Babel itself makes of a date, by all of its formats; not our way of choosing them."""
    widths = {format_date(date, width, locale) for width in ("short", "medium", "long", "full")}
    skeletons = babel.Locale.parse(locale).datetime_skeletons
    patterns = [p.pattern for key, p in skeletons.items() if not re.search("[hHKkjmsBv]", key)]
    return widths | {format_date(date, pattern, locale) for pattern in patterns}


def plain(text: str) -> str:
    return re.sub("[,،、]", "", text).casefold()


def test_a_text_is_a_way_in_which_babel_writes_its_date(english):
    for text, day in english["test"][:200]:
        date = datetime.date.fromisoformat(day)
        tidy = re.sub(r"(the )?(\d+)(st|nd|rd|th)( of)?\b", r"\2", plain(text))
        written = {plain(way) for locale in ENGLISH for way in in_every_way(date, locale)}
        assert tidy in written, (text, day)


def test_ordinals_are_english(english):
    seen = set()
    for text, day in english["train"]:
        match = re.search(r"(\d+)(st|nd|rd|th)\b", text.lower())
        if match:
            assert int(match[1]) == datetime.date.fromisoformat(day).day
            seen.add(match[0])
    assert {"1st", "2nd", "3rd", "11th", "12th", "13th", "21st", "22nd", "23rd"} <= seen


def test_no_date_can_be_read_in_two_ways(english):
    """Numbers with the year last: day and month, either way round, give one date or none other."""
    some = 0
    for text, day in [*english["train"], *english["test"]]:
        match = re.fullmatch(r"(?:[^\d]*)(\d{1,2})/(\d{1,2})/(\d{2,4})", text)
        if match:
            first, second, _ = map(int, match.groups())
            date = datetime.date.fromisoformat(day)
            assert {first, second} == {date.day, date.month}
            assert first == second or max(first, second) > 12, text
            some += 1
    assert some > 50


def test_where_all_locales_agree_nothing_is_ambiguous():
    texts = [text for text, _ in parse_dates("test", locales=["en_GB"], size=400)]
    numbers = [re.fullmatch(r"(\d\d)/(\d\d)/\d{4}", text) for text in texts]
    assert any(m and int(m[1]) <= 12 and int(m[2]) <= 12 and m[1] != m[2] for m in numbers)


def test_a_month_of_two_meanings_is_left_out():
    """`listopada` is of November in Polish and of October in Croatian."""
    both = parse_dates("train", locales=["pl", "hr"], size=1500)
    # A weekday, which is of one language, tells them apart.
    bare = r"\d+\.? listopada \d+\.?"
    assert not [text for text, _ in both if re.fullmatch(bare, text.lower())]
    assert [text for text, _ in both if "czerwca" in text] and [
        text for text, _ in both if "lipnja" in text
    ]
    # In Polish alone, it is in the data.
    polish = parse_dates("train", locales=["pl"], size=1500)
    months = {day[5:7] for text, day in polish if re.search("listopada", text.lower())}
    assert months == {"11"}


def test_years_of_two_digits_lie_in_one_hundred_years():
    found = set()
    for text, day in parse_dates("train", locales=["de"], size=800):
        match = re.fullmatch(r"\d\d\.\d\d\.(\d\d)", text)
        if match:
            year = int(day[:4])
            assert 1969 <= year <= 2068 and year % 100 == int(match[1])
            found.add(year // 100)
    assert found == {19, 20}


def test_months_that_are_numbers_and_scripts_of_all_kinds():
    for locale, pattern in (("ja", r"(\d+)年(\d+)月(\d+)日"), ("ko", r"(\d+)년 (\d+)월 (\d+)일")):
        some = 0
        for text, day in parse_dates("test", locales=[locale], size=100):
            match = re.match(pattern, text)
            if match:
                year, month, number = map(int, match.groups())
                assert datetime.date(year, month, number).isoformat() == day
                some += 1
        assert some > 10


def test_splits_share_no_text_and_are_the_same_each_time(english):
    texts = [text for rows in english.values() for text, _ in rows]
    # Each was drawn with its own size, so that only the sizes of those before it are fixed.
    again = parse_dates("test", locales=["en"], size=600)
    assert again == english["test"]
    rows = {split: parse_dates(split, locales=["en"]) for split in ("validation", "test")}
    assert len(rows["validation"]) == len(rows["test"]) == 1000
    assert not {text for text, _ in rows["test"]} & {text for text, _ in rows["validation"]}
    train = {text for text, _ in english["train"]}
    assert not train & {text for part in rows.values() for text, _ in part}
    assert len(set(texts[:600])) == 600


def test_every_default_locale_takes_part():
    rows = parse_dates("train", size=3000)
    assert len(rows) == 3000
    scripts = {
        name for text, _ in rows for name in re.findall(r"[а-я]|[一-龠]|[א-ת]|[α-ω]|[ا-ي]", text)
    }
    assert scripts
    assert len({locale.split("_")[0] for locale in LOCALES}) == 25 + 3
    assert (
        load_pairs("builtin:dates/de", split="test")[:5] == parse_dates("test", locales=["de"])[:5]
    )


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"Unknown split 'dev'. Expected one of test, validation"):
        parse_dates("dev")
    with pytest.raises(ValueError, match=r"Unknown locale 'xx_YY'"):
        parse_dates(locales=["xx_YY"])
    with pytest.raises(ValueError, match=r"locales must be a list of names, got one string"):
        parse_dates(locales="en")
    with pytest.raises(ValueError, match=r"size must be at least 1"):
        parse_dates(size=0)


def test_without_babel_it_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("babel"):
            raise ImportError(name)
        return real_import(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"Babel: pip install 'kerasrnn\[training\]'"):
        parse_dates("test", locales=["is"])
