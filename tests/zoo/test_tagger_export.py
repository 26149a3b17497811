"""save → load → export → TensorFlow's C library: the same tags for every kind of tagger."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.cells import CELLS
from kerasrnn.serving import Case, Signature, export_signatures, verify_savedmodel
from kerasrnn.zoo import SequenceTagger

pytestmark = pytest.mark.slow

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


class Shelf(keras.layers.Layer):
    """All taggers behind one signature: one SavedModel, one process and one run for all of them."""

    def __init__(self, taggers: dict[str, SequenceTagger]) -> None:
        super().__init__()
        self.taggers = list(taggers.values())
        self.names = list(taggers)

    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The tags that each tagger's own `serving_default` gives, by the tagger's name."""
        return {
            name: tagger.signatures()["serving_default"].function(text=text)["tags"]
            for name, tagger in zip(self.names, self.taggers, strict=True)
        }


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
    shelf = Shelf(after)
    signature = Signature(shelf.serve, {"text": tf.TensorSpec((None,), tf.string)})
    report = export_signatures(
        shelf,
        {"serving_default": signature},
        place / "savedmodel",
        samples={"serving_default": {"text": ["Ada"]}},
        verify=False,  # the test itself compares, with the taggers before they were saved
    )
    return before, report.path


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """A task's own export, and what it answers."""
    report = trained.export(tmp_path_factory.mktemp("exported") / "tagger", version=3)
    serve = tf.saved_model.load(str(report.path)).signatures["serving_default"]

    def call(texts: list[str]) -> dict[str, np.ndarray]:
        return {key: value.numpy() for key, value in serve(text=tf.constant(texts)).items()}

    return report, call


def test_a_fresh_process_gives_the_tags_of_the_model_before_it_was_saved(shelf):
    before, path = shelf
    assert len(before) == 16
    output = Shelf(before).serve(tf.constant(TEXTS))
    expected = {key: value.numpy() for key, value in output.items()}
    # All tags occur, so the comparison is not one of constants.
    seen = {tag for tags in expected.values() for tag in tags.flat}
    assert len(seen) == 5 + 1
    verify_savedmodel(path, [Case("serving_default", {"text": TEXTS}, expected)])


def test_outputs_are_padded_and_named(exported):
    _, serve = exported
    output = serve(TEXTS)
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


def test_a_batch_of_empty_texts_is_served(exported):
    _, serve = exported
    output = serve(["", " "])
    assert output["lengths"].tolist() == [0, 0]
    assert output["tags"].tolist() == [[b""], [b""]]


def test_a_task_exports_itself(trained, exported):
    report, serve = exported
    assert report.verified
    assert report.path.name == "3"
    assert (report.path / "assets.extra" / "tf_serving_warmup_requests").is_file()
    tags = serve(["Ada lives in New York ."])["tags"][0]
    assert tags.tolist() == [b"B-PER", b"O", b"O", b"B-LOC", b"I-LOC", b"O"]
    with pytest.raises(FileExistsError):
        trained.export(report.path.parent, version=3)
