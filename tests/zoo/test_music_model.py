"""The music model as a user meets it: training, figures, continuations, odd input, export."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import DataError, read_piano_rolls, roll_of_chords
from kerasrnn.networks.music import chord_nll
from kerasrnn.zoo import MusicModel, Task
from kerasrnn.zoo.long_sequences import CarriedStates, PieceBatches
from kerasrnn.zoo.music_model import key_log_odds

SMALL = {"units": 6, "nade_units": 4, "dropout": 0.0}
C, F, G = [48, 64, 67, 72], [53, 60, 65, 69], [43, 62, 67, 71]


def toy(lengths=(24, 12, 18, 7)) -> list[np.ndarray]:
    """Pieces that go round C, F, G, C from one place or another."""
    return [
        roll_of_chords([[C, F, G][(t + i) % 3] for t in range(length)])
        for i, length in enumerate(lengths)
    ]


def excited(**arguments) -> MusicModel:
    """An untrained model of such weights that it expects different things at different times."""
    model = MusicModel(**{**SMALL, **arguments})
    rng = np.random.default_rng(4)
    for weight in model.trainable_variables:
        scale = 1.5 if "bias" not in weight.path else 0.5
        weight.assign(rng.normal(0, scale, weight.shape) - (3.0 if weight.shape == (88,) else 0.0))
    return model


@pytest.fixture(scope="module")
def trained() -> MusicModel:
    keras.utils.set_random_seed(3)
    model = MusicModel(units=16, nade_units=8, dropout=0.0)
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(toy(), epochs=90, batch_size=4, chunk=8, seed=1, verbose=0)
    return model


# === Training ===


@pytest.mark.slow
def test_it_learns_and_goes_on(trained):
    assert trained.evaluate(toy())["nll"] < 0.3
    begin = toy((7,))
    added = trained.generate(begin, frames=6, temperature=0.2, seed=1)[0]
    np.testing.assert_array_equal(added, toy((13,))[0][7:])


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_states_are_carried_from_part_to_part(outputs):
    model = excited(outputs=outputs, cell="lstm", depth=2)
    rolls = toy((24, 12, 18))
    expected = model.nll(rolls)
    found = [[] for _ in rolls]
    order = np.argsort([-len(roll) for roll in rolls])
    source = PieceBatches(rolls, 4, 5)
    for part, _ in map(source.batch, source.order(None)):
        tensors = {name: tf.constant(value) for name, value in part.items()}
        outputs_ = model(tensors, training=True)
        values = chord_nll(outputs_["scores"], tensors["targets"]).numpy()
        for row in range(len(values)):
            found[order[row]].append(values[row][part["mask"][row]])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.concatenate(one), other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_an_untrained_model_begins_with_how_often_keys_sound(outputs):
    def after(model: MusicModel, **arguments) -> np.ndarray:
        # Nothing else changes a weight.
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        model.fit(toy(), epochs=1, verbose=0, **arguments)
        return model.network.head.key_scores.bias.numpy()

    expected = key_log_odds(toy(), 3)
    np.testing.assert_allclose(after(MusicModel(outputs=outputs, **SMALL), transpose=3), expected)
    assert not after(MusicModel(outputs=outputs, **SMALL), key_prior=False).any()
    learnt = excited(outputs=outputs)
    before = learnt.network.head.key_scores.bias.numpy()
    np.testing.assert_array_equal(after(learnt), before)


@pytest.mark.slow
def test_validation_figures_are_those_of_evaluate():
    model = MusicModel(**SMALL)
    history = model.fit(toy(), epochs=2, validation_data=toy((9, 14)), verbose=0, seed=1).history
    assert history["val_nll"] == history["val_loss"]
    assert history["val_nll"][-1] == pytest.approx(model.evaluate(toy((9, 14)))["nll"])
    assert history["loss"][1] < history["loss"][0]


@pytest.mark.slow
def test_the_same_seeds_give_the_same_training():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        model = MusicModel(**{**SMALL, "dropout": 0.3})
        model.fit(toy(), epochs=2, verbose=0, transpose=3)
        weights.append(model.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_second_training_may_have_another_size_of_batch():
    model = MusicModel(**SMALL)
    model.fit(toy(), epochs=1, batch_size=4, verbose=0)
    losses = model.fit(toy(), epochs=2, batch_size=1, chunk=6, verbose=0).history["loss"]
    assert losses[1] < losses[0]


@pytest.mark.slow
def test_mixed_precision_trains():
    model = MusicModel(**SMALL, dtype="mixed_bfloat16")
    losses = model.fit(toy(), epochs=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.generate(toy(), frames=3, seed=1)[0].shape == (3, 88)


def test_pieces_are_weighed():
    losses = {}
    for name, weights in {"all": [1, 1], "first": [1, 0], "second": [0, 1]}.items():
        model = excited()
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        history = model.fit(toy((9, 6)), batch_size=2, sample_weight=weights, verbose=0).history
        losses[name] = history["loss"][0]
    assert losses["first"] + losses["second"] == pytest.approx(losses["all"], rel=1e-5)
    assert losses["first"] > 0 < losses["second"]


def test_a_training_of_some_steps_is_resumed_within_a_piece():
    def fit(*spans):
        keras.utils.set_random_seed(2)
        model = MusicModel(**SMALL)
        model.compile("sgd", run_eagerly=True)
        options = {"batch_size": 2, "chunk": 5, "steps_per_epoch": 2, "seed": 4, "verbose": 0}
        for begin, end in spans:
            model._carried = CarriedStates(
                model.network.get_initial_state(1)
            )  # as in a new process
            model.fit(toy(), initial_epoch=begin, epochs=end, **options)
        return model.get_weights()

    for one, other in zip(fit((0, 3)), fit((0, 1), (1, 3)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_it_has_its_own_loss():
    with pytest.raises(TypeError, match=r"has its own loss"):
        MusicModel(**SMALL).compile(loss="mse")


# === Figures ===


@pytest.mark.parametrize("outputs", ["nade", "independent"])
def test_nll_is_pooled_over_frames_and_leaves_the_first_one_out(outputs):
    model = excited(outputs=outputs)
    rolls = toy((24, 2, 9))
    each = model.nll(rolls)
    assert [len(nll) for nll in each] == [23, 1, 8]
    pooled = np.concatenate(each).mean()
    assert model.evaluate(rolls)["nll"] == pytest.approx(pooled, rel=1e-5)
    # The mean of the pieces' means would be another figure.
    assert abs(np.mean([nll.mean() for nll in each]) - pooled) > 1e-3
    # What follows is foreseen from what was, not from itself: another last frame changes only that.
    other = rolls[0].copy()
    other[-1] = 1 - other[-1]
    changed = model.nll([other])[0]
    np.testing.assert_allclose(changed[:-1], each[0][:-1], rtol=1e-4)
    assert abs(changed[-1] - each[0][-1]) > 1


def test_independent_nll_follows_from_the_probabilities():
    model = excited(outputs="independent")
    rolls = toy((24, 9))
    for roll, p, nll in zip(rolls, model.predict(rolls), model.nll(rolls), strict=True):
        p, after = p[:-1].astype(np.float64), roll[1:]
        expected = -np.log(np.where(after > 0, p, 1 - p)).sum(axis=1)
        np.testing.assert_allclose(nll, expected, rtol=1e-3)


@pytest.mark.parametrize("outputs", ["nade", "independent"])
@pytest.mark.slow
def test_a_piece_alone_and_among_others_is_the_same(outputs, monkeypatch):
    model = excited(outputs=outputs, depth=2)
    rolls = toy((24, 2, 9, 17))
    answers = {
        "predict": model.predict(rolls),
        "nll": model.nll(rolls),
        "generate": model.generate(rolls, frames=5, seed=[7, 8, 9, 10]),
    }
    monkeypatch.setattr("kerasrnn.zoo.music_model._PART", 7)
    alone = [model.predict([roll])[0] for roll in rolls]
    small = model.predict(rolls, batch_size=2)
    for found in (alone, small):
        for one, other in zip(found, answers["predict"], strict=True):
            differences = np.abs(one - other).max(axis=1)
            # Of the 32 chords that the estimate of `nade` draws, rounding may tip one over.
            tipped = differences > 1e-5
            assert tipped.sum() <= (1 if outputs == "nade" else 0)
            assert differences.max() < 1 / 32
    for i, roll in enumerate(rolls):
        np.testing.assert_allclose(model.nll([roll])[0], answers["nll"][i], rtol=1e-4, atol=1e-4)
        continued = model.generate([roll], frames=5, seed=[7 + i])[0]
        np.testing.assert_array_equal(continued, answers["generate"][i])


# === Continuations ===


def test_seeds_decide_what_is_drawn():
    model = excited()
    rolls = toy((9, 5))
    first = model.generate(rolls, frames=8, seed=5)
    for one, other in zip(first, model.generate(rolls, frames=8, seed=5), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.uint8 and set(np.unique(one)) <= {0, 1}
    assert (np.array(first) != np.array(model.generate(rolls, frames=8, seed=6))).any()
    # A whole number is counted up from piece to piece.
    again = model.generate(rolls[1:], frames=8, seed=np.int64(6))
    np.testing.assert_array_equal(again[0], first[1])


@pytest.mark.slow
def test_music_out_of_silence():
    music = excited().generate(frames=4, seed=1)
    assert len(music) == 1 and music[0].shape == (4, 88)
    mixed = excited().generate([np.zeros((0, 88)), *toy((3,))], frames=4, seed=1)
    np.testing.assert_array_equal(mixed[0], music[0])


# === Input ===


def test_datasets_booleans_and_floats_are_taken_alike():
    model = MusicModel(**SMALL)
    rolls = toy()
    expected = model.evaluate(rolls)
    for kind in (bool, np.float32, np.int64):
        assert model.evaluate([roll.astype(kind) for roll in rolls]) == expected
    dataset = read_piano_rolls("builtin:counterpoint", split="test").take(2)
    figures = model.evaluate(dataset)
    assert np.isfinite(figures["nll"])
    ragged = dataset.ragged_batch(2)
    assert model.evaluate(ragged) == figures


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([], r"`x` must hold at least one piece"),
        (np.zeros((5, 88)), r"list of piano rolls. Received one"),
        ([np.zeros((5, 87))], r"`x`, piece 1 must have the shape \(time, 88\)"),
        ([np.zeros((5, 88)), np.full((5, 88), 64)], r"piece 2 must hold 0 and 1. Received: 64"),
        ([np.full((5, 88), np.nan)], r"must hold 0 and 1. Received: nan in frame 1, key 1"),
        ([np.zeros((1, 88))], r"at least 2 frames. Received: 1"),
    ],
)
def test_wrong_pieces_are_named(x, message):
    with pytest.raises(ValueError, match=message):
        MusicModel(**SMALL).fit(x, verbose=0)


def test_an_error_of_data_is_one():
    with pytest.raises(DataError):
        MusicModel(**SMALL).evaluate([np.zeros((1, 88))])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outputs": "rbm"}, "`outputs`.*independent, nade"),
        ({"cell": "gru2"}, "`cell`.*gru"),
        ({"units": 0}, "`units` must be a positive integer"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1"),
        ({"frames_per_beat": 0}, "`frames_per_beat`"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MusicModel(**arguments)


def test_wrong_arguments_of_methods_are_named():
    model = MusicModel(**SMALL)
    with pytest.raises(ValueError, match="`y` must be None"):
        model.fit(toy(), toy())
    with pytest.raises(ValueError, match="`transpose`"):
        model.fit(toy(), transpose=-1)
    with pytest.raises(ValueError, match="`temperature` must be above 0"):
        model.generate(toy(), temperature=0)
    with pytest.raises(ValueError, match="`frames`"):
        model.generate(toy(), frames=0)
    with pytest.raises(ValueError, match=r"`seed`.*4 pieces. Received 2"):
        model.generate(toy(), seed=[1, 2])
    with pytest.raises(TypeError, match="argument 'step'"):
        model.evaluate(toy(), step=3)


# === Presets and export ===


def test_a_preset_brings_the_model_back(tmp_path):
    model = excited(cell="gru", frames_per_beat=4)
    folder = model.save_to_preset(tmp_path / "preset")
    loaded = Task.from_preset(folder)
    assert isinstance(loaded, MusicModel)
    assert loaded.settings == model.settings
    assert loaded.evaluate(toy()) == model.evaluate(toy())
    assert len(loaded.weights) == len(model.weights)  # carried states are no weights


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of two layers and its export, as functions of arrays."""
    model = excited(depth=2)
    report = model.export(tmp_path_factory.mktemp("served"))
    loaded = tf.saved_model.load(str(report.path))

    def call(name: str, **inputs) -> dict[str, np.ndarray]:
        function = loaded.signatures[name]
        specs = function.structured_input_signature[1]
        tensors = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in function(**tensors).items()}

    return model, report, call


def padded(rolls: list[np.ndarray]) -> dict[str, np.ndarray]:
    time = max(map(len, rolls))
    frames = np.stack([np.pad(roll, [(0, time - len(roll)), (0, 0)]) for roll in rolls])
    return {"rolls": frames, "lengths": np.array([len(roll) for roll in rolls])}


@pytest.mark.slow
def test_an_export_is_verified(served):
    _, report, _ = served
    assert report.verified
    assert set(report.signatures) == {"serving_default", "step", "generate"}


@pytest.mark.slow
def test_served_probabilities_and_likelihoods_are_those_of_the_model(served):
    model, _, call = served
    rolls = toy((9, 4))
    output = call("serving_default", **padded(rolls))
    for row, roll in enumerate(rolls):
        n = len(roll)
        np.testing.assert_allclose(
            output["probabilities"][row, :n], model.predict([roll])[0], atol=1e-5
        )
        np.testing.assert_allclose(output["nll"][row, 1:n], model.nll([roll])[0], rtol=1e-4)
        assert output["nll"][row, 0] == 0
        assert (output["nll"][row, n:] == 0).all() and (output["probabilities"][row, n:] == 0).all()


@pytest.mark.slow
def test_stepping_through_a_piece_gives_what_reading_it_gives(served):
    model, _, call = served
    roll = toy((6,))[0]
    expected = model.predict([roll])[0]
    states = {f"state_{i}": np.zeros((1, 6)) for i in range(1, 5)}
    for t, frame in enumerate(roll):
        output = call("step", frame=frame[None], seed=[t], temperature=1.0, **states)
        np.testing.assert_allclose(output["probabilities"][0], expected[t], atol=1e-5)
        assert set(np.unique(output["chord"])) <= {0.0, 1.0}
        states = {name: output[name] for name in states}


@pytest.mark.slow
def test_served_continuations_are_those_of_the_model(served):
    model, _, call = served
    rolls = [*toy((9, 4)), np.zeros((0, 88), np.uint8)]
    output = call("generate", **padded(rolls), frames=7, seed=[3, 4, 5], temperature=0.8)
    expected = model.generate(rolls, frames=7, seed=3, temperature=0.8)
    np.testing.assert_array_equal(output["chords"], expected)
