"""A few answers of each shipped language model, pinned: they must not change between versions."""

import pytest

from kerasrnn.zoo import LanguageModel, list_presets

# Nats a character of a text, and what follows a prompt always with the likeliest character.
PINNED: dict[str, tuple[str, float, str, str]] = {
    "char_lm_python": (
        "def main():\n    return None\n",
        1.0376,
        "import ",
        "sys.platform.startswith('---------------",
    ),
    "char_lm_shakespeare": (
        "ROMEO:\nBut, soft! what light through yonder window breaks?\n",
        1.1753,
        "KING RICHARD III:\n",
        "What says your honour and the sea of the",
    ),
}

NAMES = [preset.name for preset in list_presets("LanguageModel")]


def test_every_language_model_is_pinned():
    assert set(PINNED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_pinned(name):
    text, loss, prompt, continuation = PINNED[name]
    model = LanguageModel.from_preset(name)
    assert model.score([text])[0].loss == pytest.approx(loss, abs=2e-3)
    [written] = model.generate([prompt], temperature=0, max_tokens=len(continuation))
    assert written == prompt + continuation
