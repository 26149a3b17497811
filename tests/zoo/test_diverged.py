"""Models whose training has diverged: no answer, no preset and no export of them is made."""

import numpy as np
import pytest

from kerasrnn import zoo
from kerasrnn.serving import VerificationError
from tests.zoo.tiny_tasks import TASKS, data_of, tiny

WORDS = ["one", "two", "three"]
ROLL = np.zeros((3, 88), np.uint8)
SYMBOLS = np.array([[0, 1, 2]])

CASES = {
    "tagger": (
        lambda: zoo.SequenceTagger(WORDS, ["O", "B-X", "I-X"], units=2, labels=["a", "b"]),
        {
            "predict": lambda m: m.predict(["one two"]),
            "predict_tags": lambda m: m.predict_tags([["one"]]),
            "predict_labels": lambda m: m.predict_labels(["one"]),
        },
    ),
    "tagger without a CRF": (
        lambda: zoo.SequenceTagger(WORDS, ["NOUN", "VERB"], units=2, scheme="none", crf=False),
        {
            "predict": lambda m: m.predict(["one two"]),
            "predict_tags": lambda m: m.predict_tags([["one"]]),
        },
    ),
    "classifier": (
        lambda: zoo.TextClassifier(WORDS, ["a", "b"], units=2),
        {
            "predict": lambda m: m.predict(["one two"]),
            "explain": lambda m: m.predict(["one two"], explain=True),
            "predict_labels": lambda m: m.predict_labels(["one"]),
        },
    ),
    "language model": (
        lambda: zoo.LanguageModel("ab", units=2),
        {
            "predict": lambda m: m.predict(["ab"], top=1),
            "score": lambda m: m.score(["ab"]),
            "generate": lambda m: m.generate(["a"], max_tokens=2),
            "beam": lambda m: m.generate(["a"], max_tokens=2, beam_width=2),
            "stream": lambda m: list(m.stream("a", max_tokens=2)),
        },
    ),
    "encoder-decoder": (
        lambda: zoo.EncoderDecoder(["a"], ["b"], units=2, max_length=3),
        {
            "predict": lambda m: m.predict(["a"]),
            "beam": lambda m: m.predict(["a"], beam_size=2),
            "generate": lambda m: m.generate(["a"]),
            "align": lambda m: m.align(["a"]),
        },
    ),
    "music": (
        lambda: zoo.MusicModel(units=2, nade_units=2),
        {
            "predict": lambda m: m.predict([ROLL]),
            "nll": lambda m: m.nll([ROLL]),
            "generate": lambda m: m.generate(frames=2),
        },
    ),
    "independent music": (
        lambda: zoo.MusicModel(units=2, outputs="independent"),
        {"predict": lambda m: m.predict([ROLL]), "generate": lambda m: m.generate(frames=2)},
    ),
    "memory": (
        lambda: zoo.MemoryModel("symbols", 3, "label", 2, units=2),
        {
            "predict": lambda m: m.predict(SYMBOLS),
            "probabilities": lambda m: m.probabilities(SYMBOLS),
        },
    ),
    "memory of numbers": (
        lambda: zoo.MemoryModel("numbers", 2, "number", 1, units=2),
        {"predict": lambda m: m.predict(np.ones((1, 3, 2), np.float32))},
    ),
    "word vectors": (
        lambda: zoo.WordVectors(WORDS, dimension=2),
        {
            "predict": lambda m: m.predict(["one"]),
            "most_similar": lambda m: m.most_similar("one"),
            "analogy": lambda m: m.analogy("one", "two", "three"),
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
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
@pytest.mark.parametrize(
    ("case", "layer"), [("language model", "unit_scores"), ("classifier", "label_scores")]
)
@pytest.mark.slow
def test_one_number_is_enough(case, layer, value, tmp_path):
    make, methods = CASES[case]
    model = make()
    kernel = model.network.get_layer(layer).kernel
    values = kernel.numpy()
    values[1, -1] = value  # of something that is answered
    kernel.assign(values)
    for name, method in methods.items():
        with pytest.raises(ValueError, match=rf"{layer}/kernel is not finite: 1 of its"):
            pytest.fail(f"{name} answers {method(model)}")
    with pytest.raises(ValueError, match=rf"{layer}/kernel is not finite: 1 of its"):
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


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.slow
def test_a_diverged_model_can_be_measured(name):
    """Training measures it after an epoch, to see from the loss that it has diverged."""
    model, fit = tiny(name)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    x, y = (*data_of(name), None)[:2]
    assert np.isnan(model.evaluate(x, y)["loss"])
    if name in ("EncoderDecoder", "MemoryModel"):
        model.compile(jit_compile=False)
        assert np.isnan(fit(validation_data=(x, y)).history["val_loss"][0])
