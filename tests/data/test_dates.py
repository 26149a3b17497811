"""Dates of CLDR: right, unambiguous, and the same each time."""

import datetime
import re
import sys

import pytest

from kerasrnn.data import load_pairs, parse_date_rules, parse_dates
from kerasrnn.data.date_formats import ENGLISH, reader_of
from kerasrnn.data.date_patterns import ISO_DATE, date_text_pattern, is_date
from kerasrnn.data.dates import LOCALES, expanded

pytest.importorskip("babel")


MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


@pytest.fixture(scope="module")
def english():
    sizes = {"train": 6000, "validation": 600, "test": 600}
    return {name: parse_dates(name, locales=["en"], size=size) for name, size in sizes.items()}


def read(text: str) -> set[datetime.date]:
    """What an English date can mean, by its words and numbers and nothing that comes from Babel."""
    if re.fullmatch(r"\d{8}", text.strip()):
        text = f"{text.strip()[:4]} {text.strip()[4:6]} {text.strip()[6:]}"
    numbers = re.findall(r"\d+", text)
    words = [word[:3] for word in re.findall(r"[a-z]{3,}", text.lower())]
    months = [MONTHS.index(word) + 1 for word in words if word in MONTHS]
    ways = []  # year, month, day
    if months:
        first, last = numbers
        day, year = (last, first) if len(first) == 4 else (first, last)
        ways = [(year, months[0], day)]
    elif len(numbers[0]) == 4:
        ways = [tuple(numbers)]
    else:
        first, second, year = numbers
        ways = [(year, first, second), (year, second, first)]
    found = set()
    for year, month, day in ways:
        number = int(year)
        if len(year) == 2:
            number += 1900 if number >= 69 else 2000
        try:
            found.add(datetime.date(number, int(month), int(day)))
        except ValueError:
            continue
    return found


def test_a_text_means_its_date_and_no_other(english):
    for text, day in english["train"]:
        assert {date.isoformat() for date in read(text)} == {day}, text


def test_every_day_month_year_and_format_has_its_turn(english):
    rows = english["train"]
    dates = [datetime.date.fromisoformat(day) for _, day in rows]
    assert {date.year for date in dates} == set(range(1000, 3000))
    assert len({(date.month, date.day) for date in dates}) == 366
    short = {day[:4] for text, day in rows if not re.search(r"\d{4}", text)}
    assert short == {str(year) for year in range(1969, 2069)}
    shapes = {re.sub(r"\d", "0", text.strip()) for text, _ in rows}
    for separator in "/-. ":
        for first in ("0", "00"):
            for year in ("00", "0000"):
                assert separator.join((first, first, year)) in shapes
        assert separator.join(("0000", "00", "00")) in shapes
    assert "00000000" in shapes  # 20260505
    texts = " ".join(text for text, _ in rows)
    for form in (
        r"\d-[A-Z][a-z]{2}-\d{4}",
        r"'\d\d\b",
        r"\bJan\. ",
        r"\d[A-Z][a-z]{2}\d",
        r"the \d+",
    ):
        assert re.search(form, texts), form
    # The same day and month, which no order tells apart, and months first with a day above 12.
    twins = {(text, day) for text, day in rows if re.fullmatch(r"0?(\d+)([-/. ])0?\1\2\d+", text)}
    assert {day[5:7] for _, day in twins} == {f"{month:02}" for month in range(1, 13)}
    assert any(re.fullmatch(r"\d\d-(1[3-9]|2\d|3[01])-\d{4}", text) for text, _ in rows)


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
    assert some > 100


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
    assert len(set(texts[:6000])) == 6000
    # Each was drawn with its own size, so that only the sizes of those before it are fixed.
    again = parse_dates("test", locales=["en"], size=600)
    assert again == english["test"]
    rows = {split: parse_dates(split, locales=["en"]) for split in ("validation", "test")}
    assert len(rows["validation"]) == len(rows["test"]) == 1000
    assert not {text for text, _ in rows["test"]} & {text for text, _ in rows["validation"]}
    train = {text for text, _ in english["train"]}
    assert not train & {text for part in rows.values() for text, _ in part}


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


# === What is no date ===


@pytest.fixture(scope="module")
def others():
    return {
        split: parse_dates(split, locales=["en"], size=1, others=count)[1:]
        for split, count in (("train", 1500), ("test", 300))
    }


def test_what_is_no_date_has_no_date(others):
    assert [len(rows) for rows in others.values()] == [1500, 300]
    for text, target in others["train"]:
        # A day that there is not is written as it is said; all else has nothing.
        if target:
            assert re.fullmatch(r"\d{4}-\d\d-(29|30|31)", target), text
            with pytest.raises(ValueError, match="day"):
                datetime.date.fromisoformat(target)
    said = dict(others["train"])
    assert "" in said and any(target for target in said.values())
    ambiguous = re.compile(r"(0?[1-9]|1[012])([-/. ])(0?[1-9]|1[012])\2(\d\d|\d{4})")
    found = [match for match in map(ambiguous.fullmatch, said) if match]
    assert len(found) > 20
    assert all(int(match[1]) != int(match[3]) for match in found)
    assert any(len(text) > 40 for text in said) and any(not text.isascii() for text in said)


def test_what_is_no_date_is_in_one_split_and_the_same_each_time(others):
    train, test = ({text for text, _ in rows if text.strip()} for rows in others.values())
    assert not train & test
    assert parse_dates("test", locales=["en"], size=1, others=300)[1:] == others["test"]
    # What is drawn besides changes no date.
    with_others = parse_dates("test", locales=["en"], size=50, others=10)
    assert with_others[:50] == parse_dates("test", locales=["en"], size=50)
    loaded = load_pairs("builtin:dates/en", split="test")
    assert len(loaded) == 2000 and sum(not pair.target for pair in loaded) > 900


def test_other_scripts_have_texts_that_are_no_dates():
    rows = parse_dates("train", locales=["ja", "he"], size=1, others=200)[1:]
    assert any(re.search("[\u3040-\u9fff]", text) for text, _ in rows)
    assert any(re.search("[\u05d0-\u05ea]", text) for text, _ in rows)


def test_the_pattern_is_the_calendar():
    for year in (1, 4, 96, 100, 400, 1900, 1999, 2000, 2004, 2023, 2024, 2100, 2400, 9999):
        for month in range(14):
            for day in range(33):
                try:
                    real = bool(datetime.date(year, month, day))
                except ValueError:
                    real = False
                text = f"{year:04}-{month:02}-{day:02}"
                assert bool(re.fullmatch(ISO_DATE, text)) == real, text
    for text in ("", "2020-3-04", "02020-03-04", "2020-03-04 ", "2020/03/04", "20200304"):
        assert not re.fullmatch(ISO_DATE, text)


@pytest.mark.parametrize("locales", [["en"], ["en_GB"], ["de"], ["ko", "ja"], None])
def test_what_may_be_asked_is_what_dates_look_like(locales):
    rows = parse_dates("validation", locales=locales, others=300)
    pattern = re.compile(
        date_text_pattern(expanded(locales or LOCALES)).replace(r"\pL", r"[^\W\d_]")
    )
    asked = [bool(pattern.fullmatch(text)) for text, _ in rows]
    assert sum(asked[:1000]) >= 990
    # In English, nothing else; elsewhere, less than a quarter of the rest, for the model to refuse.
    rest = [ok for (_, target), ok in zip(rows[1000:], asked[1000:], strict=True) if not target]
    assert sum(rest) <= len(rest) * (0.02 if locales and locales[0].startswith("en") else 0.25)
    if locales == ["en"]:
        assert all(asked[:1000])
        assert not any(
            map(pattern.fullmatch, ("3/4/2020", "5 Foo 2020", "on 5/5/26", "", "May 2020"))
        )
    if locales == ["en_GB"]:
        assert pattern.fullmatch("3/4/2020")  # the 3rd of April, with nobody to say otherwise


def test_the_rules_say_what_the_formats_say():
    """Two sources that know nothing of each other: CLDR's formats, and those written down."""
    rules = parse_date_rules()
    assert len({text for text, _ in rules}) == len(rules)
    said = dict(rules)
    issue = {"5/5/26": "2026-05-05", "12-31-1999": "1999-12-31", "20260505": "2026-05-05", "": ""}
    assert {text: said[text] for text in issue} == issue
    reader = reader_of(ENGLISH)
    for text, target in rules[::7]:
        readings = {iso for iso in reader.readings(text) if is_date(iso)}
        assert (readings if target else len(readings) != 1) == ({target} if target else True), text
    dates = [datetime.date.fromisoformat(target) for target in said.values() if target]
    assert len({(date.month, date.day) for date in dates}) == 366
    with pytest.raises(ValueError, match=r"builtin:date-rules is there to measure with"):
        load_pairs("builtin:date-rules")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"Unknown split 'dev'. Expected one of test, validation"):
        parse_dates("dev")
    with pytest.raises(ValueError, match=r"Unknown locale 'xx_YY'"):
        parse_dates(locales=["xx_YY"])
    with pytest.raises(ValueError, match=r"locales must be a list of names, got one string"):
        parse_dates(locales="en")
    with pytest.raises(ValueError, match=r"size must be at least 1"):
        parse_dates(size=0)
    with pytest.raises(ValueError, match=r"others must be at least 0, got -1"):
        parse_dates(others=-1)


def test_without_babel_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(ImportError, match=r"needs babel.*pip install 'kerasrnn\[training\]'"):
        parse_dates("test", locales=["is"])
