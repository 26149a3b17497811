"""The classifier as a user meets it: training, answers, figures, odd input, export."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import LabelledText, to_text_dataset
from kerasrnn.text import Tokenizer
from kerasrnn.zoo import Classification, Task, TextClassifier

SMALL = {"units": 6, "token_dimension": 8, "attention_units": 4, "dropout": 0.0}
GOOD = ["a fine film", "fine and moving", "moving ! a joy", "what a joy .", "a joy , so fine"]
BAD = ["a dull film", "dull and stale", "stale ! a bore", "what a bore .", "a bore , so dull"]
TEXTS = GOOD + BAD
LABELS = ["good"] * 5 + ["bad"] * 5
ODD = ["", "  \n", "quite unknown wörds 😀 " + "x" * 60, "Fine. " * 40, "a"]


def make(**arguments) -> TextClassifier:
    return TextClassifier.from_texts(TEXTS, LABELS, **{**SMALL, **arguments})


def excited(rng, **arguments) -> TextClassifier:
    """Weights so large that an untrained classifier gives different texts different scores."""
    model = make(**arguments)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.7, weight.shape))
    return model


@pytest.fixture(scope="module")
def trained() -> TextClassifier:
    """A classifier that knows the texts by heart."""
    keras.utils.set_random_seed(3)
    model = make(spelling="cnn", character_dimension=4, character_units=4)
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(TEXTS, LABELS, epochs=12, batch_size=5, seed=1, verbose=0)
    return model


# === Training ===


def test_it_learns(trained):
    scores = trained.evaluate(TEXTS, LABELS)
    assert scores["accuracy"] == scores["f1_macro"] == 1.0
    assert scores["loss"] < 0.3
    assert scores["types"]["good"]["support"] == 5
    assert trained.predict_labels(["A joy!", "So stale"]) == ["good", "bad"]


@pytest.mark.slow
def test_characters_learn_too():
    model = make(level="characters", cell="gru", pooling="last")
    assert "joy" not in model.vocabulary.terms and "j" in model.vocabulary.terms
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(TEXTS, LABELS, epochs=14, batch_size=5, seed=1, verbose=0)
    assert model.evaluate(TEXTS, LABELS)["accuracy"] == 1.0


@pytest.mark.slow
def test_all_forms_of_data_are_taken_alike(rng):
    model = excited(rng)
    rows = [LabelledText(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]
    pairs = tf.data.Dataset.from_tensor_slices((TEXTS, LABELS))
    expected = model.evaluate(TEXTS, LABELS)
    assert 0 < expected["accuracy"] < 1
    for x in (rows, to_text_dataset(rows), pairs):
        assert model.evaluate(x) == expected
    assert model.evaluate(np.array(TEXTS), np.array(LABELS)) == expected
    assert model.evaluate(tf.constant(TEXTS), tf.constant(LABELS)) == expected
    assert model.evaluate(pairs.batch(3)) == expected
    assert model.evaluate(to_text_dataset(rows).batch(4)) == expected
    numbers = [model.inventory.tags.index(label) for label in LABELS]
    assert model.evaluate(TEXTS, numbers) == expected
    numbered = tf.data.Dataset.from_tensor_slices((TEXTS, [0] * 5 + [1] * 5))
    named = TextClassifier.from_texts(numbered, **SMALL)
    assert named.inventory.tags == ("0", "1")
    named.evaluate(numbered)
    with pytest.raises(ValueError, match=r"a number below 2. Received: 2"):
        model.evaluate(["a"], [2])


@pytest.mark.slow
def test_classes_and_texts_have_weights():
    """A class that counts nothing is as good as left out, and so is a text."""
    model = make(pooling="max", cell="simple")
    model.compile(keras.optimizers.SGD(0.0))  # which changes nothing
    losses = [
        model.fit(**data, batch_size=10, verbose=0).history["loss"][0]
        for data in (
            {"x": TEXTS, "y": LABELS, "class_weight": {"bad": 0.0, "good": 2.0}},
            {"x": TEXTS, "y": LABELS, "class_weight": {0: 0.0, 1: 2.0}},
            {"x": TEXTS, "y": LABELS, "sample_weight": [2.0] * 5 + [0.0] * 5},
            {"x": GOOD, "y": LABELS[:5]},
        )
    ]
    assert losses == pytest.approx([losses[-1]] * 4, rel=1e-5)


@pytest.mark.slow
def test_standard_callbacks_can_watch_validation_figures():
    model = make(pooling="max")
    model.compile(keras.optimizers.Adam(0.05))
    stop = keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max", patience=2)
    history = model.fit(
        TEXTS, LABELS, validation_data=(TEXTS, LABELS), epochs=40, callbacks=[stop], verbose=0
    ).history
    assert {"val_loss", "val_accuracy", "val_f1_macro"} <= set(history)
    assert len(history["loss"]) < 40
    assert max(history["val_accuracy"]) == 1.0


def test_an_unseen_label_fails_before_training_begins(rng):
    model = make()
    before = model.get_weights()
    unseen = [LabelledText("so so", "fair")]
    with pytest.raises(ValueError, match=r"validation_data.*one of bad, good, got 'fair' for text"):
        model.fit(TEXTS, LABELS, validation_data=unseen, epochs=1, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_smoothing_is_the_cross_entropy_with_smoothed_labels(rng):
    scores = rng.normal(size=(4, 3)).astype("float32")
    y = np.array([0, 2, 1, 1])
    model = TextClassifier(["a"], ["x", "y", "z"], label_smoothing=0.3, **SMALL)
    targets = 0.7 * np.eye(3)[y] + 0.1
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    expected = -(targets * logs).sum(1).mean()
    loss = model.compute_loss(y=tf.constant(y, tf.int32), y_pred={"labels": tf.constant(scores)})
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_figures_are_those_of_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    texts = [" ".join(rng.choice(["fine", "dull", "so", "joy"], 3)) for _ in range(60)]
    labels = list(rng.choice(["a", "b", "c", "d"], 60))
    model = TextClassifier.from_texts(texts, labels, **SMALL)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 1.0, weight.shape))
    scores = model.evaluate(texts, labels)
    answers = model.predict(texts)
    names = [answer.label for answer in answers]
    assert len(set(names)) > 1
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(labels, names))
    assert scores["f1_macro"] == pytest.approx(metrics.f1_score(labels, names, average="macro"))
    probabilities = [list(answer.scores.values()) for answer in answers]
    assert scores["loss"] == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-5)


def test_word_vectors_are_set_where_they_were_found():
    model = make()
    before = model.network.get_layer("token_embeddings").get_weights()[0]
    matrix = np.full(before.shape, 7.0, "float32")
    found = np.arange(len(matrix)) == 5
    model.set_word_vectors(matrix, found)
    after = model.network.get_layer("token_embeddings").get_weights()[0]
    assert (after[5] == 7).all()
    np.testing.assert_array_equal(np.delete(after, 5, 0), np.delete(before, 5, 0))
    with pytest.raises(ValueError, match=r"must have the shape"):
        model.set_word_vectors(matrix[:, 1:], found)


# === Answers ===


def test_answers_have_the_probability_of_each_label(trained):
    answers = trained.predict(TEXTS)
    assert answers == [Classification(label, 0.0) for label in LABELS]  # scores are not compared
    for answer in answers:
        assert list(answer.scores) == ["bad", "good"]
        assert sum(answer.scores.values()) == pytest.approx(1)
        assert answer.score == answer.scores[answer.label] == max(answer.scores.values())
        assert answer.tokens is None
    assert repr(Classification("good", 0.98765)) == "Classification(label='good', score=0.988)"


def test_attention_is_told_for_each_token(trained):
    texts = ["A  fine film.", "", "joy"]
    answers = trained.predict(texts, explain=True)
    for text, answer in zip(texts, answers, strict=True):
        expected = [(t.text, t.start, t.end) for t in Tokenizer().tokenize(text)]
        assert [(t.text, t.start, t.end) for t in answer.tokens] == expected
        if expected:
            assert sum(token.weight for token in answer.tokens) == pytest.approx(1, abs=1e-5)
    ids = trained.vocabulary([["A", "fine", "film", "."]])
    letters = trained.spell([["A", "fine", "film", "."]])
    weights = trained.network({"tokens": ids, "characters": letters})["attention"][0]
    np.testing.assert_allclose([t.weight for t in answers[0].tokens], weights, atol=1e-5)


def test_there_is_no_explanation_without_attention():
    with pytest.raises(ValueError, match=r"`explain` needs attention.*'mean\+max'"):
        make(pooling="mean+max").predict(["a"], explain=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"pooling": "attention+last", "spelling": "cnn"},
        {"pooling": "mean+max", "level": "characters", "cell": "gru", "max_tokens": 30},
        {"pooling": "last", "bidirectional": False, "spelling": "rnn", "character_units": 4},
    ],
)
def test_batch_size_and_padding_change_no_answer(rng, arguments):
    model = excited(rng, **arguments)
    texts = [*TEXTS, *ODD]
    alone = [model.predict([text], batch_size=1)[0] for text in texts]
    assert {answer.label for answer in alone} == {"good", "bad"}
    for batch_size in (3, 64):
        together = model.predict(texts, batch_size=batch_size)
        assert together == alone
        for one, many in zip(alone, together, strict=True):
            assert one.score == pytest.approx(many.score, abs=1e-5)


@pytest.mark.slow
def test_a_long_text_loses_its_middle(rng):
    model = excited(rng, max_tokens=5, pooling="attention+mean")
    whole = "fine fine joy dull dull dull moving bore"
    (answer,) = model.predict([whole], explain=True)
    assert [t.text for t in answer.tokens] == ["fine", "fine", "joy", "moving", "bore"]
    assert answer.tokens[-1].start == whole.index("bore")
    (short,) = model.predict(["fine fine joy moving bore"])
    assert short.score == pytest.approx(answer.score, abs=1e-6)
    assert model.count_tokens([whole, "fine"]) == 6
    for most in (1, 4, 9):
        model = excited(rng, max_tokens=most, pooling="attention", cell="simple")
        (answer,) = model.predict([whole], explain=True)
        served = model.signatures()["serving_default"].function(text=tf.constant([whole, "fine"]))
        assert served["lengths"].numpy().tolist() == [min(8, most), 1]
        tokens = [t.decode() for t in served["tokens"].numpy()[0]]
        assert tokens == [t.text for t in answer.tokens]


def test_long_and_empty_input(trained):
    assert trained.predict([]) == []
    assert len(trained.predict(["", "  "])) == 2
    answer = trained.predict(["what a joy " * 3000])[0]
    assert np.isfinite(answer.score)
    assert trained.predict(["\ud800 fine"])[0].label in ("good", "bad")


@pytest.mark.parametrize("x", ["a film", [["a", "film"]], [3], [None]])
def test_other_input_is_refused(trained, x):
    with pytest.raises(ValueError, match=r"`x` must"):
        trained.predict(x)


def test_data_that_makes_no_sense_is_refused():
    model = make()
    with pytest.raises(ValueError, match=r"at least one text"):
        model.fit([], [], verbose=0)
    with pytest.raises(ValueError, match=r"a label for each text. Received 2 texts and 1 labels"):
        model.fit(["a", "b"], ["good"], verbose=0)
    with pytest.raises(ValueError, match=r"LabelledText objects.*Received str as text 1"):
        model.fit(["a", "b"], verbose=0)
    with pytest.raises(ValueError, match=r"labels of `x` must be names. Received None"):
        model.fit(["a"], [None], verbose=0)
    with pytest.raises(ValueError, match=r"dicts with `text` and `label`"):
        model.evaluate(tf.data.Dataset.from_tensor_slices({"a": ["b"]}))
    with pytest.raises(ValueError, match=r"at least two labels. Received: \['good'\]"):
        TextClassifier.from_texts(GOOD, ["good"] * 5)


# === Configuration ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "bytes"}, r"`level`: 'bytes'. Expected one of words, characters"),
        ({"cell": "gru2"}, r"`cell`: 'gru2'. Expected one of simple, simplified_gru, gru, lstm"),
        ({"pooling": "sum"}, r"`pooling`: 'sum'. Expected one of mean, max, last, attention"),
        ({"max_tokens": 0}, r"`max_tokens` must be a positive integer. Received: 0"),
        ({"label_smoothing": 1.0}, r"`label_smoothing` must be at least 0 and below 1"),
        ({"level": "characters", "spelling": "cnn"}, r"`spelling` must be none where `level` is"),
        ({"labels": ["x"]}, r"at least two labels"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextClassifier(**{"tokens": ["a"], "labels": ["x", "y"], **arguments})


def test_configuration_holds_every_argument():
    model = make(spelling="cnn", max_tokens=9)
    parameters = inspect.signature(TextClassifier.__init__).parameters
    assert set(parameters) - {"self", "kwargs"} == set(model.arguments())
    copy = TextClassifier.from_config(model.get_config())
    assert copy.arguments() == model.arguments()


def test_saved_and_loaded_by_keras(trained, tmp_path):
    trained.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    answers, expected = loaded.predict(TEXTS), trained.predict(TEXTS)
    assert [a.score for a in answers] == pytest.approx([a.score for a in expected], abs=1e-6)


# === Presets and export ===


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A classifier of characters, saved to a preset, loaded and exported."""
    place = tmp_path_factory.mktemp("exported")
    before = excited(np.random.default_rng(5), level="characters", max_tokens=24)
    after = Task.from_preset(before.save_to_preset(place / "preset"))
    report = after.export(place / "classifier", version=2)
    serve = tf.saved_model.load(str(report.path)).signatures["serving_default"]
    return before, report, serve


@pytest.mark.slow
def test_the_export_answers_as_the_model_before_it_was_saved(exported):
    before, report, serve = exported
    assert report.verified
    texts = [*TEXTS, *ODD]
    output = {name: value.numpy() for name, value in serve(text=tf.constant(texts)).items()}
    expected = before.predict(texts, explain=True)
    assert [label.decode() for label in output["label"]] == [answer.label for answer in expected]
    np.testing.assert_allclose(output["score"], [a.score for a in expected], atol=1e-5)
    np.testing.assert_allclose(
        output["scores"], [list(a.scores.values()) for a in expected], atol=1e-5
    )
    assert output["labels"].tolist() == [[b"bad", b"good"]] * len(texts)
    assert {value.dtype for name, value in output.items() if "score" in name} == {
        np.dtype("float32")
    }
    for row, answer in enumerate(expected):
        length = output["lengths"][row]
        assert length == len(answer.tokens) <= 24
        assert [t.decode() for t in output["tokens"][row, :length]] == [
            token.text for token in answer.tokens
        ]
        np.testing.assert_allclose(
            output["attention"][row, :length], [t.weight for t in answer.tokens], atol=1e-5
        )
        assert (output["attention"][row, length:] == 0).all()


@pytest.mark.slow
def test_a_batch_of_empty_texts_is_served(exported):
    _, _, serve = exported
    output = serve(text=tf.constant(["", " "]))
    assert output["label"].shape == (2,)
    assert np.isfinite(output["scores"].numpy()).all()
    assert output["tokens"].numpy().tolist() == [[b""], [b""]]
