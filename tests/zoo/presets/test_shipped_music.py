"""A few answers of each shipped preset for music, pinned: they must not change between versions."""

import json
import tomllib

import numpy as np
import pytest

from kerasrnn.data import chords_of_roll, load_piano_rolls, roll_of_chords
from kerasrnn.zoo import MusicModel, list_presets
from tests.data.real import real

# A cadence that each of them has often heard, and a chord that none of them expects.
CADENCE = [[60, 64, 67, 72], [60, 65, 69, 72], [55, 62, 67, 71], [48, 64, 67, 72]]
STRANGE = [*CADENCE, [49, 54, 63, 80]]

# For each preset the surprise at each frame of STRANGE but the first, in nats, and how it goes on
# with CADENCE at temperature 0.5.
PINNED: dict[str, tuple[list[float], list[list[int]]]] = {
    "music_jsb": (
        [6.205, 6.732, 2.716, 37.563],
        [
            *([48, 64, 67, 72], [48, 64, 67, 72], [48, 64, 67, 72]),
            *([60, 64, 67, 72], [57, 64, 72], [62, 65, 69]),
        ],
    ),
    "music_nottingham": (
        [20.638, 15.716, 10.7, 46.943],
        [[64, 67, 76], *[[60, 64, 67, 76]] * 5],
    ),
}


def presets() -> dict:
    return {preset.name: preset for preset in list_presets("MusicModel")}


def test_every_music_preset_is_pinned():
    assert set(PINNED) == set(presets())


@pytest.mark.parametrize("name", PINNED)
def test_answers_are_pinned(name):
    model = MusicModel.from_preset(name)
    surprise, after = PINNED[name]
    found = model.nll([roll_of_chords(STRANGE)])[0]
    np.testing.assert_allclose(found, surprise, atol=0.02)
    assert found[-1] > found[:-1].max()
    added = model.generate([roll_of_chords(CADENCE)], frames=len(after), temperature=0.5, seed=1)[0]
    assert chords_of_roll(added) == after


@pytest.mark.parametrize("name", PINNED)
def test_figures_are_those_of_the_card(name):
    folder = presets()[name].path
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    rolls = load_piano_rolls(real(config["training"]["data"]), split="validation")
    expected = metrics["shipped"]["validation"]["nll"]
    assert MusicModel.from_preset(name).evaluate(rolls)["nll"] == pytest.approx(expected, abs=0.005)
