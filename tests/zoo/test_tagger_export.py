"""save → load → export → TensorFlow's C library: the same tags for every kind of tagger."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.cells import CELLS
from kerasrnn.serving import Case, export_signatures, verify_savedmodel
from kerasrnn.zoo import SequenceTagger

TEXTS = [
    "Ada lives in New York .",
    "",
    "Where is Bo? Is Rome far?",
    "quite unknown wörds 😀 " + "x" * 60,
]
KINDS = {
    f"{cell}_{'two' if bidirectional else 'one'}_{'crf' if crf else 'softmax'}": {
        "cell": cell,
        "bidirectional": bidirectional,
        "crf": crf,
    }
    for cell, bidirectional, crf in itertools.product(CELLS, (False, True), (False, True))
}


DEFAULT = "lstm_two_crf"


class Shelf(keras.layers.Layer):
    """Holds all taggers, so that one SavedModel and one process serve for all of them."""

    def __init__(self, taggers: list[SequenceTagger]) -> None:
        super().__init__()
        self.taggers = taggers


def excite(tagger: SequenceTagger, rng: np.random.Generator) -> None:
    """Weights so large that an untrained tagger answers with all of its tags."""
    for weight in tagger.trainable_variables:
        weight.assign(rng.normal(0, 0.8, weight.shape))


@pytest.fixture(scope="module")
def shelf(toy, tmp_path_factory):
    """Every kind of tagger, saved to a preset and loaded, and all of them exported."""
    from tests.zoo.conftest import SMALL

    rng = np.random.default_rng(5)
    place = tmp_path_factory.mktemp("shelf")
    before, after = {}, {}
    for name, arguments in KINDS.items():
        before[name] = SequenceTagger.from_sentences(toy, **{**SMALL, **arguments})
        excite(before[name], rng)
        folder = before[name].save_to_preset(place / name)
        after[name] = SequenceTagger.from_preset(folder)
    signatures = {name: tagger.signatures()["serving_default"] for name, tagger in after.items()}
    signatures["serving_default"] = signatures.pop(DEFAULT)  # every SavedModel has one
    report = export_signatures(
        Shelf(list(after.values())),
        signatures,
        place / "savedmodel",
        samples={name: {"text": ["Ada"]} for name in signatures},
        verify=False,  # the test itself compares, with the taggers before they were saved
    )
    return before, report.path


@pytest.fixture(scope="module")
def served(shelf):
    _, path = shelf
    return tf.saved_model.load(str(path)).signatures


def test_a_fresh_process_gives_the_tags_of_the_model_before_it_was_saved(shelf):
    before, path = shelf
    cases = []
    for name, tagger in before.items():
        output = tagger.signatures()["serving_default"].function(text=tf.constant(TEXTS))
        expected = {key: value.numpy() for key, value in output.items()}
        signature = "serving_default" if name == DEFAULT else name
        cases.append(Case(signature, {"text": TEXTS}, expected))
    assert len(cases) == 16
    # All tags occur, so the comparison is not one of constants.
    assert len({tag for case in cases for tag in case.expected["tags"].flat}) == 5 + 1
    verify_savedmodel(path, cases)


def test_outputs_are_padded_and_named(served):
    serve = served["serving_default"]
    output = {name: value.numpy() for name, value in serve(text=tf.constant(TEXTS)).items()}
    names = {"tokens", "tags", "starts", "ends", "scores", "lengths", "label", "label_score"}
    assert set(output) == names
    lengths = output["lengths"]
    assert lengths.tolist() == [6, 0, 8, 5]
    time = lengths.max()
    for name in ("tokens", "tags", "starts", "ends", "scores"):
        assert output[name].shape == (4, time)
        for row, length in zip(output[name], lengths, strict=True):
            assert all(value in (b"", 0) for value in row[length:])
    for row, text in enumerate(TEXTS):
        for step in range(lengths[row]):
            start, end = output["starts"][row, step], output["ends"][row, step]
            assert text[start:end] == output["tokens"][row, step].decode()
    assert ((output["scores"] > 0) == (output["tags"] != b"")).all()
    assert output["scores"].dtype == output["label_score"].dtype == np.float32


def test_a_batch_of_empty_texts_is_served(served):
    output = served["serving_default"](text=tf.constant(["", " "]))
    assert output["lengths"].numpy().tolist() == [0, 0]
    assert output["tags"].numpy().tolist() == [[b""], [b""]]


def test_a_task_exports_itself(trained, tmp_path):
    report = trained.export(tmp_path / "tagger", version=3)
    assert report.verified
    assert report.path == tmp_path / "tagger" / "3"
    assert (report.path / "assets.extra" / "tf_serving_warmup_requests").is_file()
    serve = tf.saved_model.load(str(report.path)).signatures["serving_default"]
    tags = serve(text=tf.constant(["Ada lives in New York ."]))["tags"].numpy()[0]
    assert tags.tolist() == [b"B-PER", b"O", b"O", b"B-LOC", b"I-LOC", b"O"]
    with pytest.raises(FileExistsError):
        trained.export(tmp_path / "tagger", version=3)
