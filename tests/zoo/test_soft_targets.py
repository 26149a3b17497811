"""Probabilities in place of tags and labels: the loss in closed form, and what is refused."""

import keras
import numpy as np
import pytest

from kerasrnn.zoo import TextClassifier

TEXTS, LABELS = ["so fine a film", "dull", "what a joy !"], ["good", "bad", "good"]


def classifier(**arguments) -> TextClassifier:
    keras.utils.set_random_seed(3)
    model = TextClassifier.from_texts(TEXTS, LABELS, units=4, dropout=0.0, **arguments)
    model.compile(keras.optimizers.SGD(0.0))  # which changes nothing
    return model


def probabilities(rng, *shape: int) -> np.ndarray:
    rows = rng.gamma(1.0, size=shape)
    return rows / rows.sum(axis=-1, keepdims=True)


def logs(scores: np.ndarray) -> np.ndarray:
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.slow
def test_a_classifier_has_the_cross_entropy(rng, smoothing):
    model = classifier(label_smoothing=smoothing)
    soft = probabilities(rng, 3, 2)
    said = np.array([list(answer.scores.values()) for answer in model.predict(TEXTS)])
    aim = (1 - smoothing) * soft + smoothing / 2
    loss = model.fit(TEXTS, LABELS, soft_targets=soft, epochs=1, verbose=0).history["loss"][0]
    assert loss == pytest.approx(-(aim * np.log(said)).sum() / 3, rel=1e-5)


def test_a_tagger_has_the_cross_entropy_of_its_words(rng, toy, small):
    tagger = small(crf=False, labels=None)
    tagger.compile(keras.optimizers.SGD(0.0))
    sentences = toy[:5]  # of different lengths, so that some are padded
    soft = [probabilities(rng, len(s), tagger.inventory.size) for s in sentences]
    expected = words = 0.0
    for sentence, rows in zip(sentences, soft, strict=True):
        x, _ = tagger.encode([sentence]).batch(np.array([0]))
        scores = keras.ops.convert_to_numpy(tagger(x)["tags"])[0]
        expected -= (rows * logs(scores)).sum()
        words += len(sentence)
    history = tagger.fit(sentences, soft_targets=soft, batch_size=5, epochs=1, verbose=0)
    assert history.history["loss"][0] == pytest.approx(expected / words, rel=1e-5)


@pytest.mark.slow
def test_certain_probabilities_train_as_tags_do(toy, small):
    weights = []
    for soft in (False, True):
        keras.utils.set_random_seed(5)
        tagger = small(crf=False, spelling="none", cell="simple")
        tagger.compile(keras.optimizers.Adam(0.01))
        targets = [np.eye(tagger.inventory.size)[tagger.inventory.ids(list(s.tags))] for s in toy]
        more = {"soft_targets": targets} if soft else {}
        tagger.fit(toy, epochs=2, validation_data=toy, seed=1, verbose=0, **more)
        weights.append(tagger.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("soft", "message"),
    [
        ([[0.5, 0.5]] * 2, r"one array for each of the 3 examples\. Received 2"),
        ([[0.5, 0.5], [1.0], [0.5, 0.5]], r"shape \(2,\) for example 2\. Received: \(1,\)"),
        ([[0.5, 0.5], [0.9, 0.9], [0.5, 0.5]], r"add up to 1\. Received: \[0\.89"),
        ([[0.5, 0.5], [1.5, -0.5], [0.5, 0.5]], r"add up to 1\. Received: \[1\.5, -0\.5\]"),
        ([[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]], r"add up to 1\. Received: \[nan"),
    ],
)
def test_what_are_no_probabilities_is_refused(soft, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(TEXTS, LABELS, soft_targets=soft)


@pytest.mark.parametrize("arguments", [{"crf": True}, {"crf": False, "recall_margin": 0.5}])
def test_taggers_without_single_probabilities_refuse_them(toy, small, arguments):
    tagger = small(**arguments)
    with pytest.raises(ValueError, match=r"with crf=False and recall_margin=0\. This one has"):
        tagger.fit(toy[:1], soft_targets=[np.ones((len(toy[0]), tagger.inventory.size))])
