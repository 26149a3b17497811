"""Models whose training has diverged: no answer, no preset and no export of them is made."""

import numpy as np
import pytest

from kerasrnn.serving import VerificationError
from kerasrnn.zoo import (
    EncoderDecoder,
    LanguageModel,
    MemoryModel,
    MusicModel,
    SequenceTagger,
    TextClassifier,
)

WORDS = ["one", "two", "three"]
ROLL = np.zeros((3, 88), np.uint8)
SYMBOLS = np.array([[0, 1, 2]])

CASES = {
    "tagger": (
        lambda: SequenceTagger(WORDS, ["O", "B-X", "I-X"], units=2, labels=["a", "b"]),
        {
            "predict": lambda m: m.predict(["one two"]),
            "predict_tags": lambda m: m.predict_tags([["one"]]),
            "predict_labels": lambda m: m.predict_labels(["one"]),
        },
    ),
    "tagger without a CRF": (
        lambda: SequenceTagger(WORDS, ["NOUN", "VERB"], units=2, scheme="none", crf=False),
        {
            "predict": lambda m: m.predict(["one two"]),
            "predict_tags": lambda m: m.predict_tags([["one"]]),
        },
    ),
    "classifier": (
        lambda: TextClassifier(WORDS, ["a", "b"], units=2),
        {
            "predict": lambda m: m.predict(["one two"]),
            "explain": lambda m: m.predict(["one two"], explain=True),
            "predict_labels": lambda m: m.predict_labels(["one"]),
        },
    ),
    "language model": (
        lambda: LanguageModel("ab", units=2),
        {
            "predict": lambda m: m.predict(["ab"], top=1),
            "score": lambda m: m.score(["ab"]),
            "generate": lambda m: m.generate(["a"], max_tokens=2),
            "beam": lambda m: m.generate(["a"], max_tokens=2, beam_width=2),
            "stream": lambda m: list(m.stream("a", max_tokens=2)),
        },
    ),
    "encoder-decoder": (
        lambda: EncoderDecoder(["a"], ["b"], units=2, max_length=3),
        {
            "predict": lambda m: m.predict(["a"]),
            "beam": lambda m: m.predict(["a"], beam_size=2),
            "generate": lambda m: m.generate(["a"]),
            "align": lambda m: m.align(["a"]),
        },
    ),
    "music": (
        lambda: MusicModel(units=2, nade_units=2),
        {
            "predict": lambda m: m.predict([ROLL]),
            "nll": lambda m: m.nll([ROLL]),
            "generate": lambda m: m.generate(frames=2),
        },
    ),
    "independent music": (
        lambda: MusicModel(units=2, outputs="independent"),
        {"predict": lambda m: m.predict([ROLL]), "generate": lambda m: m.generate(frames=2)},
    ),
    "memory": (
        lambda: MemoryModel("symbols", 3, "label", 2, units=2),
        {
            "predict": lambda m: m.predict(SYMBOLS),
            "probabilities": lambda m: m.probabilities(SYMBOLS),
        },
    ),
    "memory of numbers": (
        lambda: MemoryModel("numbers", 2, "number", 1, units=2),
        {"predict": lambda m: m.predict(np.ones((1, 3, 2), np.float32))},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_nan_answers_nothing(case, tmp_path):
    make, methods = CASES[case]
    model = make()
    for method in methods.values():
        method(model)
    good = model.get_weights()
    model.set_weights([np.full_like(weight, np.nan) for weight in good])
    for name, method in methods.items():
        with pytest.raises(ValueError, match=r"^The weight \S+ is not finite: .*NaN or infinite"):
            pytest.fail(f"{name} answers {method(model)}")
    with pytest.raises(ValueError, match=r"^The weight \S+ is not finite"):
        model.save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"^The weight \S+ is not finite"):
        model.export(tmp_path / "export")
    assert not list(tmp_path.iterdir())
    model.set_weights(good)
    for method in methods.values():
        method(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_is_enough(value, tmp_path):
    model = LanguageModel("ab", units=2)
    kernel = model.network.get_layer("unit_scores").kernel
    values = kernel.numpy()
    values[1, 2] = value
    kernel.assign(values)
    for name, method in CASES["language model"][1].items():
        with pytest.raises(ValueError, match=r"unit_scores/kernel is not finite: 1 of its"):
            pytest.fail(f"{name} answers {method(model)}")
    with pytest.raises(ValueError, match=r"unit_scores/kernel is not finite: 1 of its"):
        model.export(tmp_path / "export")


def test_weights_that_are_finite_and_far_too_large(tmp_path):
    """A step with a learning rate of 1e38 leaves such: what they answer is NaN."""
    make, methods = CASES["classifier"]
    model = make()
    model.set_weights([np.sign(weight) * 1e38 for weight in model.get_weights()])
    for method in methods.values():
        with pytest.raises(ValueError, match=r"not finite. Its weights are, but the largest are"):
            method(model)
    with pytest.raises(VerificationError, match=r"^Output '\w+' .* is NaN: the model answers"):
        model.export(tmp_path / "export")
    assert not list(tmp_path.iterdir())


def test_a_diverged_model_can_be_measured():
    """Training measures it after an epoch, to see from the loss that it has diverged."""
    examples = (["one", "two"], ["a", "b"])
    model = TextClassifier(WORDS, ["a", "b"], units=2)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    assert np.isnan(model.evaluate(*examples)["loss"])
    pairs = [("a", "b")]
    writer = EncoderDecoder(["a"], ["b"], units=2, max_length=3)
    writer.set_weights([np.full_like(weight, np.nan) for weight in writer.get_weights()])
    assert np.isnan(writer.evaluate(pairs)["loss"])
    history = writer.fit(pairs, validation_data=pairs, epochs=1, verbose=0)
    assert np.isnan(history.history["val_loss"][0])
