"""A few answers of the shipped preset of dates, pinned: they must not change between versions."""

import datetime
import json

import numpy as np
import pytest

from kerasrnn.data import load_pairs, parse_date_rules
from kerasrnn.zoo import EncoderDecoder, list_presets

PINNED = {
    "4th of March 2020": "2020-03-04",
    "Tuesday, May 5, 2026": "2026-05-05",
    "dec 31 1999": "1999-12-31",
    "14/3/20": "2020-03-14",
    "3/14/2020": "2020-03-14",
    "2020/03/14": "2020-03-14",
    "THE 22ND OF SEPT 1969": "1969-09-22",
    "Sunday 11 November 1918": "1918-11-11",
    "Tuesday, 5th of May 2026": "2026-05-05",
    "Dec 31, 1999": "1999-12-31",
    "4 Feb ’55": "2055-02-04",
    "5/5/26": "2026-05-05",
    "12-31-1999": "1999-12-31",
    "20260505": "2026-05-05",
    "05-MAY-26": "2026-05-05",
    "14 July 1789": "1789-07-14",
    "29 Feb 2024": "2024-02-29",
}
REFUSED = [
    *("", " ", "hello", "the meeting is on March 3rd, 2021 at noon", "31 April 2020", "May 2020"),
    *("29 Feb 2023", "30/2/2020", "2020-13-05", "3/4/2020", "12:30", "2020", "5 May", "42", "😀"),
    *("5 May 2020 and 6 May 2020", "2020-05-05T12:00", "Marching 5, 2020", "5 Foo 2020", "1.2.3"),
    *("5 May 2020 " * 50, "x" * 2000, "32 March 2020", "March 0, 2020", "5 May 202", "5 May 20200"),
]
# Of the answer to "14 March 2065".
LOG_PROBABILITY = -0.0000653


@pytest.fixture(scope="module")
def dates() -> EncoderDecoder:
    return EncoderDecoder.from_preset("date_en_iso")


def test_every_preset_is_pinned():
    assert {preset.name for preset in list_presets("EncoderDecoder")} == {"date_en_iso"}


def test_answers_are_pinned(dates):
    assert dates.predict(list(PINNED)) == list(PINNED.values())
    found = dates.generate(list(PINNED), beam_size=3)
    assert [candidates[0].text for candidates in found] == list(PINNED.values())


@pytest.mark.slow
def test_what_is_no_date_is_refused(dates):
    assert dates.predict(REFUSED) == [""] * len(REFUSED)
    assert dates.predict(REFUSED, beam_size=3) == [""] * len(REFUSED)


def test_the_same_day_and_month_is_never_mistaken(dates):
    """All that an order of the two could not tell apart, with each separator."""
    texts = {
        separator.join((day, day, year)): f"2026-{month:02}-{month:02}"
        for month in range(1, 13)
        for separator in "/-. "
        for day in (f"{month}", f"{month:02}")
        for year in ("26", "2026")
    }
    assert dates.predict(list(texts)) == list(texts.values())


@pytest.mark.slow
def test_an_answer_is_a_date_of_the_calendar_or_nothing(dates):
    """Whatever is asked: some of the list by rule, and dates with a character changed."""
    rng = np.random.default_rng(3)
    alphabet = list("0123456789/-. ,abyMJst\t😀")
    texts = [text for text, _ in parse_date_rules()[::60]]
    for text in list(PINNED) * 10:
        place = rng.integers(len(text))
        texts.append(text[:place] + rng.choice(alphabet) + text[place + rng.integers(2) :])
    for answer in dates.predict(texts):
        assert not answer or datetime.date.fromisoformat(answer).isoformat() == answer


def test_the_list_by_rule(dates):
    """A tenth of it: of dates and of what is none, one in a thousand may be taken wrong."""
    rules = parse_date_rules()[::10]
    answers = dates.predict([text for text, _ in rules], batch_size=256)
    for is_date in (True, False):
        rows = zip(rules, answers, strict=True)
        right = [answer == target for (_, target), answer in rows if bool(target) == is_date]
        assert len(right) > 900
        assert np.mean(right) >= 0.999


def test_it_looks_at_what_it_writes(dates):
    """The digits of the year and of the day are written while it looks at them."""
    (alignment,) = dates.align(["14 March 2065"])
    looked_at = [alignment.source[place] for place in alignment.weights.argmax(axis=1)]
    written = "".join(alignment.target)
    assert written == "2065-03-14"
    assert looked_at[:4] == list("2065") and looked_at[-2:] == list("14")


def test_scores_are_pinned(dates):
    (candidate,) = dates.generate(["14 March 2065"], beam_size=1, length_penalty=0.0)[0]
    np.testing.assert_allclose(candidate.log_probability, LOG_PROBABILITY, atol=2e-5)


@pytest.mark.slow
def test_figures_are_those_of_the_card(dates):
    (preset,) = list_presets("EncoderDecoder")
    metrics = json.loads((preset.path / "metrics.json").read_text())
    scores = dates.evaluate(load_pairs("builtin:date-rules", split="test"), batch_size=256)
    assert scores["exact_match"] == pytest.approx(
        metrics["shipped"]["test"]["exact_match"], abs=1e-4
    )
