"""A few answers of the shipped preset of dates, pinned: they must not change between versions."""

import json

import numpy as np
import pytest

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
}
# Of the answer to "14 March 2065".
LOG_PROBABILITY = -0.00193


@pytest.fixture(scope="module")
def dates() -> EncoderDecoder:
    return EncoderDecoder.from_preset("date_en_iso")


def test_every_preset_is_pinned():
    assert {preset.name for preset in list_presets("EncoderDecoder")} == {"date_en_iso"}


def test_answers_are_pinned(dates):
    assert dates.predict(list(PINNED)) == list(PINNED.values())
    found = dates.generate(list(PINNED), beam_size=3)
    assert [candidates[0].text for candidates in found] == list(PINNED.values())


def test_it_looks_at_what_it_writes(dates):
    """The digits of the year and of the day are written while it looks at them."""
    (alignment,) = dates.align(["14 March 2065"])
    looked_at = [alignment.source[place] for place in alignment.weights.argmax(axis=1)]
    written = "".join(alignment.target)
    assert written == "2065-03-14"
    assert looked_at[:4] == list("2065") and looked_at[-2:] == list("14")


def test_scores_are_pinned(dates):
    (candidate,) = dates.generate(["14 March 2065"], beam_size=1, length_penalty=0.0)[0]
    np.testing.assert_allclose(candidate.log_probability, LOG_PROBABILITY, atol=1e-4)


@pytest.mark.slow
def test_figures_are_those_of_the_card(dates):
    core = pytest.importorskip("babel.core")
    from kerasrnn.data import load_pairs

    if str(core.get_cldr_version()) != "49":
        pytest.skip("the dates of another version of CLDR")

    (preset,) = list_presets("EncoderDecoder")
    metrics = json.loads((preset.path / "metrics.json").read_text())
    scores = dates.evaluate(load_pairs("builtin:dates/en", split="test"))
    assert scores["exact_match"] == pytest.approx(
        metrics["shipped"]["test"]["exact_match"], abs=0.005
    )
