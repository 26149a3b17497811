"""The memory model: what it takes, how it learns, what it says, and what it exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import (
    MemoryExamples,
    adding,
    copy_memory,
    embedded_reber,
    fresh_batches,
    temporal_order,
)
from kerasrnn.serving import Case, verify_savedmodel
from kerasrnn.zoo import MemoryModel, Task

EXAMPLES = {
    "number": adding(12, length=9, seed=1),
    "label": temporal_order(12, length=20, seed=1),
    "symbols": embedded_reber(12, seed=1),
}


def make(kind: str, **arguments) -> MemoryModel:
    return MemoryModel.from_examples(EXAMPLES[kind], **{"units": 6, **arguments})


def excite(model: MemoryModel, rng: np.random.Generator) -> None:
    """Weights so large that an untrained model answers with much of what it can."""
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 1.0, weight.shape))


# === Answers and figures ===


@pytest.mark.parametrize("kind", EXAMPLES)
def test_one_sequence_alone_has_the_answer_that_it_has_in_a_batch(kind, rng):
    model, examples = make(kind), EXAMPLES[kind]
    excite(model, rng)
    together = model.predict(examples)
    for row in range(len(examples)):
        alone = examples[row : row + 1]
        length = int(alone.present.sum())
        answer = model.predict(alone.inputs[:, :length])[0]
        beside = together[row, :length] if kind == "symbols" else together[row]
        np.testing.assert_allclose(answer, beside, atol=1e-5)
        if kind == "symbols":
            assert (together[row, length:] == -1).all()
    np.testing.assert_allclose(model.predict(examples, batch_size=5), together, atol=1e-5)


def test_no_sequences_have_no_answers():
    for kind, shape in (("number", (0, 1)), ("label", (0,)), ("symbols", (0, 4))):
        inputs = EXAMPLES[kind].inputs[:0, :4]
        assert make(kind).predict(inputs).shape == shape
        with pytest.raises(
            ValueError, match=r"`x` must hold at least one sequence\. Received none"
        ):
            make(kind).evaluate(inputs, EXAMPLES[kind].targets[:0])


@pytest.mark.parametrize("kind", ["label", "symbols"])
def test_probabilities_belong_to_the_answers(kind, rng):
    model, examples = make(kind), EXAMPLES[kind]
    excite(model, rng)
    chances, answers = model.probabilities(examples), model.predict(examples)
    np.testing.assert_allclose(chances.sum(axis=-1), 1, atol=1e-5)
    there = answers >= 0
    np.testing.assert_array_equal(chances.argmax(axis=-1)[there], answers[there])
    with pytest.raises(ValueError, match="answers numbers"):
        make("number").probabilities(EXAMPLES["number"])


@pytest.mark.parametrize("batch_size", [5, 256])
def test_figures_of_numbers(rng, batch_size):
    """Half of the targets are moved to just inside and just outside of the tolerance."""
    model, examples = make("number"), EXAMPLES["number"]
    answers = model.predict(examples)
    errors = np.tile([0.03, -0.03, 0.05, -0.05], 3)[:, None].astype("float32")
    figures = model.evaluate(examples.inputs, answers + errors, batch_size=batch_size)
    assert figures["mse"] == pytest.approx(np.mean(errors**2), rel=1e-4)
    assert figures["loss"] == figures["mse"]
    assert figures["solved"] == 0.5
    # One number for each sequence may also come without an axis of its own.
    flat = model.evaluate(examples.inputs, (answers + errors)[:, 0])
    assert flat == pytest.approx(figures, rel=1e-5)


def test_figures_of_labels(rng):
    model, examples = make("label"), EXAMPLES["label"]
    excite(model, rng)
    chances = model.probabilities(examples).astype("float64")
    figures = model.evaluate(examples, batch_size=5)
    targets = examples.targets
    assert figures["loss"] == pytest.approx(-np.log(chances[range(12), targets]).mean(), rel=1e-3)
    assert figures["accuracy"] == (chances.argmax(axis=1) == targets).mean()
    wanted = np.eye(4)[targets]
    solved = (abs(chances - wanted) < 0.3).all(axis=1)
    assert figures["solved"] == solved.mean()
    best = model.predict(examples)
    sure = (abs(chances - np.eye(4)[best]) < 0.3).all(axis=1)
    assert sure.mean() > 0  # so that the criterion below decides something
    assert model.evaluate(examples.inputs, best)["solved"] == sure.mean()
    assert model.evaluate(examples.inputs, best)["accuracy"] == 1


def test_figures_of_symbols(rng):
    examples = copy_memory(10, blank=4, recalled=2, symbols=2, seed=3)
    model = MemoryModel.from_examples(examples, units=6)
    excite(model, rng)
    chances, answers = model.probabilities(examples).astype("float64"), model.predict(examples)
    targets = examples.targets.copy()
    targets[0, :3] = -1  # not asked for
    targets[1] = answers[1]
    asked = targets >= 0
    picked = np.take_along_axis(chances, np.maximum(targets, 0)[..., None], axis=2)[..., 0]
    figures = model.evaluate(examples.inputs, targets, batch_size=3)
    assert figures["loss"] == pytest.approx(-np.log(picked[asked]).mean(), rel=1e-3)
    assert figures["accuracy"] == pytest.approx((answers == targets)[asked].mean())
    right = [(answers[i] == targets[i])[asked[i]].all() for i in range(10)]
    assert figures["solved"] == np.mean(right) > 0


def test_figures_of_a_grammar(rng):
    """Solved: the allowed symbols have the highest scores at each step."""
    examples = EXAMPLES["symbols"]
    model = make("symbols")
    excite(model, rng)
    chances = model.probabilities(examples)

    def by_hand(allowed: np.ndarray) -> tuple[float, float]:
        best, solved = [], []
        for row in range(len(examples)):
            steps = np.flatnonzero(examples.targets[row] >= 0)
            good = []
            for step in steps:
                order = np.argsort(-chances[row, step])
                number = int(allowed[row, step].sum())
                good.append(set(order[:number]) == set(np.flatnonzero(allowed[row, step])))
                best.append(bool(allowed[row, step, order[0]]))
            solved.append(all(good))
        return float(np.mean(best)), float(np.mean(solved))

    figures = model.evaluate(examples)
    assert (figures["accuracy"], figures["solved"]) == pytest.approx(by_hand(examples.allowed))
    # As if the grammar were what the model believes, but for one step of one string.
    allowed = chances >= np.sort(chances, axis=-1)[..., [-2]]
    allowed[3, 2] = ~allowed[3, 2]
    believed = MemoryExamples(examples.inputs, examples.targets, examples.symbols, (), allowed)
    figures = model.evaluate(believed, batch_size=5)
    assert (figures["accuracy"], figures["solved"]) == pytest.approx(by_hand(allowed))
    assert figures["solved"] == pytest.approx(11 / 12)


# === Training ===


def nothing_changes(kind: str) -> MemoryModel:
    model = make(kind)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    return model


def loss_of(model: MemoryModel, *data, **options) -> float:
    return model.fit(*data, batch_size=12, verbose=0, **options).history["loss"][0]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_sequences_have_weights(kind):
    """Those that count nothing are as good as left out; answers that are asked for are counted."""
    model, examples = nothing_changes(kind), EXAMPLES[kind]
    weighed = loss_of(model, examples, sample_weight=np.array([2.0] * 6 + [0.0] * 6))
    asked = (examples.targets != -1).reshape(12, -1).sum(axis=1)
    few = loss_of(model, examples[:6]) * 2 * asked[:6].sum() / asked.sum()
    assert weighed == pytest.approx(few, rel=1e-4)


@pytest.mark.slow
def test_answers_have_weights():
    model, examples = nothing_changes("label"), EXAMPLES["label"]
    chances = model.probabilities(examples).astype("float64")
    each = -np.log(chances[range(12), examples.targets])
    for weights in ({"XY": 3.0, "YY": 0.0}, {1: 3.0, 3: 0.0}):
        expected = (each * np.array([1, 3, 1, 0])[examples.targets]).mean()
        found = loss_of(model, examples, class_weight=weights)
        assert found == pytest.approx(expected, rel=1e-4)
    model, examples = nothing_changes("symbols"), EXAMPLES["symbols"]
    chances = model.probabilities(examples).astype("float64")
    asked = examples.targets >= 0
    right = np.maximum(examples.targets, 0)
    each = -np.log(np.take_along_axis(chances, right[..., None], axis=2)[..., 0])
    found = loss_of(model, examples, class_weight={"T": 0.5}, sample_weight=np.full(12, 2.0))
    weights = np.where(right == examples.symbols.index("T"), 1.0, 2.0)
    assert found == pytest.approx((each * weights)[asked].mean(), rel=1e-4)
    with pytest.raises(ValueError, match="`class_weight` is for models that choose among classes"):
        make("number").fit(EXAMPLES["number"], class_weight={0: 1.0})


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.slow
def test_all_forms_of_data_are_taken_alike(kind):
    model, examples = nothing_changes(kind), EXAMPLES[kind]
    plain = (examples.inputs, examples.targets)
    expected, loss = model.evaluate(*plain), loss_of(model, *plain)
    rows = tf.data.Dataset.from_tensor_slices(plain)
    for dataset in (rows, rows.batch(5), rows.batch(12)):
        assert model.evaluate(dataset) == pytest.approx(expected, rel=1e-5)
    for dataset in (rows, rows.batch(12)):
        assert loss_of(model, dataset) == pytest.approx(loss, rel=1e-5)


def test_a_dataset_of_sequences_of_several_lengths():
    model, examples = make("symbols"), EXAMPLES["symbols"]
    lengths = examples.present.sum(axis=1)
    assert len(set(lengths)) > 1
    rows = tf.data.Dataset.from_generator(
        lambda: (
            (x[:n], y[:n])
            for x, y, n in zip(examples.inputs, examples.targets, lengths, strict=True)
        ),
        output_signature=(tf.TensorSpec((None,), tf.int32),) * 2,
    )
    expected = model.evaluate(examples.inputs, examples.targets)
    assert model.evaluate(rows) == pytest.approx(expected, rel=1e-5)


def test_datasets_that_cannot_be():
    model, examples = make("number"), EXAMPLES["number"]
    rows = tf.data.Dataset.from_tensor_slices((examples.inputs, examples.targets))
    with pytest.raises(ValueError, match="must be a dataset that ends"):
        model.evaluate(rows.repeat())
    with pytest.raises(ValueError, match="dataset of pairs of a sequence and a target"):
        model.evaluate(tf.data.Dataset.from_tensor_slices(examples.inputs))
    for options in (
        {"y": examples.targets},
        {"sample_weight": np.ones(12)},
        {"validation_split": 0.5},
    ):
        with pytest.raises(ValueError, match="a dataset of batches, which are taken as they come"):
            model.fit(rows.batch(4), **options)


def test_sequences_of_other_lengths_are_measured():
    model = make("number")
    assert model.evaluate(EXAMPLES["number"])["loss"] > 0
    assert model.evaluate(adding(5, length=14, seed=2))["loss"] > 0


def test_it_learns_to_add():
    model = MemoryModel.from_examples(EXAMPLES["number"], cell="gru", units=12)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    batches = fresh_batches(lambda n, seed: adding(n, length=6, seed=seed), 32, steps=150)
    test = adding(200, length=6, seed=99)
    before = model.evaluate(test)
    history = model.fit(
        batches, steps_per_epoch=150, epochs=2, validation_data=test, verbose=0
    ).history
    after = model.evaluate(test)
    assert before["mse"] > 0.2
    assert after["mse"] < 0.02
    assert history["val_loss"][-1] == pytest.approx(after["loss"], rel=1e-4)
    assert set(history) == {"loss", "solved", "val_loss", "val_mse", "val_solved"}


@pytest.mark.slow
def test_xla_changes_nothing_but_the_time():
    examples = EXAMPLES["label"]
    losses = []
    for jit_compile in (True, False):
        keras.utils.set_random_seed(1)
        model = make("label", cell="gru", units=4)
        model.compile("sgd", jit_compile=jit_compile)
        history = model.fit(examples, epochs=2, batch_size=6, seed=1, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_a_resumed_training_sees_the_order_of_an_unbroken_one():
    def weights(*spans: tuple[int, int]) -> list[np.ndarray]:
        keras.utils.set_random_seed(4)
        model = make("number")
        model.compile("sgd", jit_compile=False)
        for first, last in spans:
            model.fit(
                EXAMPLES["number"], epochs=last, initial_epoch=first, batch_size=5, seed=2,
                verbose=0,
            )  # fmt: skip
        return model.get_weights()

    for one, other in zip(weights((0, 3)), weights((0, 1), (1, 3)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


# === What it refuses ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "gru2"}, r"`cell`: 'gru2'. Expected one of simple, simplified_gru, gru, lstm"),
        ({"units": 0}, "`units` must be a positive integer"),
        ({"chrono_length": 2}, "`chrono_length` must be an integer of at least 3"),
        ({"chrono_length": 20, "cell": "simple"}, "cells with gates"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1"),
        ({"reads": "words"}, r"`reads`: 'words'. Expected one of numbers, symbols"),
        ({"answers": "text"}, r"`answers`: 'text'. Expected one of number, label, symbols"),
        ({"labels": ["a", "a", "b", "c"]}, "4 different names"),
        ({"symbols": ["a"]}, "8 different names"),
    ],
)
def test_arguments_that_are_not_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        make("label", **arguments)


def test_names_for_numbers_are_refused():
    with pytest.raises(ValueError, match="`symbols` must be None for a model of numbers"):
        make("number", symbols=["a", "b"])


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("number", np.zeros((2, 9)), r"numbers \(count, time, 2\).*Received: float64 \(2, 9\)"),
        ("number", np.zeros((2, 9, 3)), r"numbers \(count, time, 2\)"),
        ("number", np.zeros((2, 0, 2)), "at least one step"),
        ("number", np.full((2, 9, 2), np.inf), "finite numbers"),
        ("number", np.full((2, 9, 2), np.nan), "padded=False"),
        ("label", np.zeros((2, 9), int) + 8, "below 8. Received values from 8 to 8"),
        ("label", np.zeros((2, 9)), r"integers \(count, time\)"),
        ("label", np.array([[-1, 2]]), "padded on the right only"),
        ("label", np.array([[1, -1, 2]]), "padded on the right only"),
        ("label", np.array([[1, -2]]), "at least -1"),
    ],
)
def test_sequences_that_do_not_fit(kind, inputs, message):
    with pytest.raises(ValueError, match=message):
        make(kind).predict(inputs)


def test_targets_that_do_not_fit():
    model, examples = make("label"), EXAMPLES["label"]
    for targets, message in (
        (None, "must come with its targets"),
        (np.zeros((12, 2), int), r"integers of the shape \(12,\)"),
        (np.zeros(12), "integers"),
        (np.full(12, 4), "below 4"),
        (np.full(12, -1), "at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(examples.inputs, targets)
    with pytest.raises(ValueError, match="must be finite"):
        make("number").evaluate(EXAMPLES["number"].inputs, np.full(12, np.nan))
    with pytest.raises(TypeError, match="has its own loss"):
        model.compile(loss="mse")
    with pytest.raises(ValueError, match="Inputs must be floats"):
        MemoryModel.from_examples(MemoryExamples(np.zeros((2, 2)), np.zeros(2)))
    with pytest.raises(ValueError, match="Targets must be floats"):
        MemoryModel.from_examples(MemoryExamples(np.zeros((2, 2, 2)), np.array(["a", "b"])))


# === Presets and export ===


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_preset_brings_everything_back(kind, tmp_path, rng):
    model, examples = make(kind, cell="gru", chrono_length=20), EXAMPLES[kind]
    excite(model, rng)
    model.save_to_preset(tmp_path / "preset")
    loaded = Task.from_preset(tmp_path / "preset")
    assert isinstance(loaded, MemoryModel)
    assert loaded.arguments() == model.arguments()
    np.testing.assert_allclose(loaded.predict(examples), model.predict(examples), atol=1e-6)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model of padded symbols with an answer at each step, exported and verified."""
    model = make("symbols", depth=2)
    excite(model, np.random.default_rng(3))
    report = model.export(tmp_path_factory.mktemp("exported") / "memory")
    return model, report


@pytest.mark.slow
def test_the_export_answers_as_the_model_does(exported):
    model, report = exported
    assert report.verified
    examples = EXAMPLES["symbols"]
    served = tf.saved_model.load(str(report.path)).signatures["serving_default"]
    output = served(symbols=tf.constant(examples.inputs))
    answers = model.predict(examples)
    np.testing.assert_array_equal(output["answer"], answers)
    names = [[model.label_name(i).encode() for i in row] for row in answers]
    assert output["name"].numpy().tolist() == names
    np.testing.assert_allclose(output["probabilities"], model.probabilities(examples), atol=1e-5)


@pytest.mark.slow
def test_streaming_gives_what_the_whole_sequence_gives(exported):
    model, report = exported
    step = tf.saved_model.load(str(report.path)).signatures["step"]
    examples = EXAMPLES["symbols"][:3]
    whole = model.probabilities(examples)
    states = {f"state_{i}": tf.zeros((3, 6)) for i in range(1, 5)}
    shortest = int(examples.present.sum(axis=1).min())
    for t in range(shortest):
        output = step(symbols=tf.constant(examples.inputs[:, t]), **states)
        np.testing.assert_allclose(output["probabilities"], whole[:, t], atol=1e-5)
        states = {name: output[name] for name in states}


@pytest.mark.slow
def test_a_fresh_process_serves_a_model_that_reads_from_both_ends(tmp_path, rng):
    """Labels of padded sequences, through TensorFlow's C library; there is no step to stream."""
    model, examples = make("label", bidirectional=True), EXAMPLES["label"]
    excite(model, rng)
    assert set(model.signatures()) == {"serving_default"}
    path = model.export(tmp_path / "memory", verify=False).path
    answers = model.predict(examples)
    expected = {
        "answer": answers,
        "probabilities": model.probabilities(examples),
        "name": np.array([model.label_name(i) for i in answers], object),
    }
    verify_savedmodel(path, [Case("serving_default", {"symbols": examples.inputs}, expected)])


def test_numbers_are_served_and_streamed(rng):
    """The functions that an export serves; the script's test exports them."""
    model, examples = make("number", cell="gru"), EXAMPLES["number"]
    excite(model, rng)
    served = model.signatures()["serving_default"].function(numbers=tf.constant(examples.inputs))
    np.testing.assert_allclose(served["number"], model.predict(examples), atol=1e-6)
    state = tf.zeros((12, 6))
    step = model.signatures()["step"].function
    for t in range(9):
        output = step(numbers=tf.constant(examples.inputs[:, t]), state_1=state)
        state = output["state_1"]
    np.testing.assert_allclose(output["number"], model.predict(examples), atol=1e-5)
