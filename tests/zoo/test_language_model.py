"""The language model: batches and padding, training with carried states, scores, generation."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.zoo import LanguageModel, Task
from kerasrnn.zoo.batches import EpochBatches
from kerasrnn.zoo.long_sequences import CarriedStates

VERSE = "the cat sat on the mat, the rat sat on the hat. "
PROMPTS = ["the cat sat on the mat, the r", "", "t", "the hat.\nXYZ "]


def excited(model: LanguageModel, scale: float = 0.6) -> LanguageModel:
    """Weights so large that an untrained model has opinions of its own."""
    rng = np.random.default_rng(5)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, scale, weight.shape))
    return model


def make(level: str, **arguments) -> LanguageModel:
    settings = {"units": 8, "dimension": 6, "max_tokens": 12, **arguments}
    return excited(LanguageModel.from_texts([VERSE + "\n"], level=level, **settings))


@pytest.fixture(scope="module", params=["characters", "words", "bytes"])
def model(request) -> LanguageModel:
    return make(request.param, tied=request.param == "words")


@pytest.fixture(scope="module")
def trained() -> LanguageModel:
    """A model of characters that knows its verse by heart."""
    keras.utils.set_random_seed(1)
    model = LanguageModel.from_texts([VERSE], units=32, dimension=8, max_tokens=20)
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(VERSE * 24, epochs=12, batch_size=4, segment_length=32, seed=1, verbose=0)
    return model


# === One text alone and in a batch ===


def alone_and_together(function, items):
    together = function(items)
    assert len(together) == len(items)
    for item, answer in zip(items, together, strict=True):
        yield function([item])[0], answer


def test_scores_do_not_depend_on_the_batch(model):
    for alone, together in alone_and_together(model.score, PROMPTS):
        assert alone.tokens == together.tokens
        assert alone.text == together.text
        np.testing.assert_allclose(alone.log_probabilities, together.log_probabilities, atol=1e-5)
        assert alone.log_probability == pytest.approx(together.log_probability, abs=1e-4)


def test_what_comes_next_does_not_depend_on_the_batch(model):
    for alone, together in alone_and_together(model.predict, PROMPTS):
        assert [t.text for t in alone] == [t.text for t in together]
        found = [t.probability for t in together]
        np.testing.assert_allclose([t.probability for t in alone], found, atol=1e-5)
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0}, {"beam_width": 3}, {"top_k": 5, "top_p": 0.95, "temperature": 0.8}],
    ids=["greedy", "beam", "sample"],
)
def test_generated_texts_do_not_depend_on_the_batch(model, options):
    seeds = [11, 12, 13, 14]
    together = model.generate(PROMPTS, seed=seeds, **options)
    assert len(set(together)) > 1
    assert model.generate(PROMPTS, seed=seeds, batch_size=3, **options) == together
    for prompt, seed, text in zip(PROMPTS, seeds, together, strict=True):
        assert model.generate([prompt], seed=[seed], **options) == [text]
        assert text.startswith(prompt)


def test_sampling_follows_its_seed(model):
    texts = model.generate([""] * 8, seed=range(8))
    assert model.generate([""] * 8, seed=range(8)) == texts
    assert model.generate([""] * 8, seed=0) == texts  # the number of the prompt is added
    assert len(set(texts)) > 4
    assert len(set(model.generate([""] * 4, temperature=0))) == 1


def test_a_stream_gives_the_text_piece_by_piece(model):
    for options in ({"seed": 3}, {"seed": 4, "temperature": 0.5, "top_k": 4}):
        for prompt in ("the cat", "the ", "XYZ é", ""):
            pieces = list(model.stream(prompt, **options))
            assert [prompt + "".join(pieces)] == model.generate([prompt], **options)
            assert all(pieces)


def test_a_score_is_that_of_the_network(model):
    text = "the cat sat on the mat"
    [score] = model.score([text])
    ids = model.text_units([text]).numpy()[0]
    assert len(score.tokens) == len(ids)
    total, states = 0.0, None
    for before, target in zip([0, *ids[:-1]], ids, strict=True):
        inputs = {"ids": np.array([[before]])}
        outputs = model(inputs if states is None else {**inputs, "states": states})
        states = outputs["states"]
        total += float(tf.nn.log_softmax(outputs["scores"][0, 0])[target])
    assert score.log_probability == pytest.approx(total, abs=1e-4)
    assert score.loss == pytest.approx(-total / len(ids), abs=1e-5)
    assert score.perplexity == pytest.approx(math.exp(score.loss))
    assert model.evaluate(text)["loss"] == pytest.approx(score.loss, abs=1e-5)


# === Measuring ===


def test_figures_belong_together(model):
    figures = model.evaluate(VERSE)
    assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
    name = {"characters": "bits_per_char", "bytes": "bits_per_byte"}.get(model.settings["level"])
    assert set(figures) == {"loss", "perplexity"} | ({name} if name else set())
    if name:
        assert figures[name] == pytest.approx(figures["loss"] / math.log(2))


def test_a_long_text_is_read_with_carried_states():
    """The whole of it in one call of the network, and in many."""
    model = make("characters")
    text = VERSE * 26  # longer than a piece
    stream = np.array([0, *model.text_units([text]).numpy()[0]])
    scores, _ = tf.function(model.network)(tf.constant(stream[None, :-1]))
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(stream[None, 1:], scores)
    exact = model.evaluate(text)["loss"]
    assert exact == pytest.approx(float(tf.reduce_mean(each)), abs=1e-5)
    # A context makes what pieces give nearly the same.
    near = model.evaluate(text, context=64)["loss"]
    assert near == pytest.approx(exact, abs=5e-3)
    assert model.evaluate(text, context=64, batch_size=1)["loss"] == pytest.approx(near, abs=1e-5)


def test_texts_in_a_row_and_on_their_own(model):
    texts = [VERSE, "the hat", "on"]
    rows = [model.text_units([text]).numpy()[0] for text in texts]
    # On its own, a text's end is predicted too: it is the next text's boundary in a row.
    total = count = 0
    for row in rows:
        ids = np.array([0, *row, 0])
        scores = model({"ids": ids[None, :-1]})["scores"]
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[None, 1:], scores)
        total, count = total + float(tf.reduce_sum(each)), count + len(ids) - 1
    alone = model.evaluate(texts, carry=False)
    assert alone["loss"] == pytest.approx(total / count, abs=1e-5)
    assert model.evaluate(texts, carry=False, batch_size=1)["loss"] == pytest.approx(alone["loss"])

    in_a_row = np.array([0, *rows[0], 0, *rows[1], 0, *rows[2]])
    scores = model({"ids": in_a_row[None, :-1]})["scores"]
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(in_a_row[None, 1:], scores)
    expected = float(tf.reduce_mean(each))
    assert model.evaluate(texts)["loss"] == pytest.approx(expected, abs=1e-5)


# === Batches ===


def test_each_text_is_in_one_batch_from_boundary_to_boundary():
    rng = np.random.default_rng(0)
    texts = [rng.integers(2, 9, length) for length in rng.integers(1, 20, 50)]
    source = LanguageModel("abcdefgh", units=4).batches(texts, 8, carry=False)
    for seed in (None, 3):
        batches = EpochBatches(source, seed)
        found = []
        for inputs, targets in batches:
            for ids, mask, target in zip(inputs["ids"], inputs["mask"], targets, strict=True):
                length = mask.sum()
                assert ids[0] == 0 and target[length - 1] == 0
                assert mask[:length].all()
                np.testing.assert_array_equal(ids[1:length], target[: length - 1])
                found.append(tuple(target[: length - 1]))
        assert sorted(found) == sorted(tuple(text) for text in texts)
        assert len(batches) == 7
    batches.on_epoch_begin(1)
    again = [tuple(row) for _, targets in batches for row in targets]
    batches.on_epoch_begin(2)
    assert again != [tuple(row) for _, targets in batches for row in targets]


def test_texts_may_come_as_the_ids_that_read_made_of_them(model):
    texts = [VERSE, "the hat", "on"]
    ids = model.read(texts)
    assert [len(row) for row in ids] == [len(model.score([text])[0].tokens) for text in texts]
    assert model.evaluate(ids) == model.evaluate(texts)
    for wrong in ([np.array([0])], [*ids, np.array([model.text_units.size])]):
        with pytest.raises(ValueError, match=f"`x` must hold texts, or .* number {len(wrong)}"):
            model.evaluate(wrong)


def test_the_end_of_a_single_text_is_held_out():
    model = make("characters")
    [ids] = model.read(VERSE)
    [begin], [end] = model.split([ids], 0.25)
    assert len(end) == len(VERSE) // 4
    np.testing.assert_array_equal([*begin, *end], ids)
    assert [len(part) for part in model.split([ids] * 4, 0.25)] == [3, 1]
    with pytest.raises(ValueError, match="`validation_split` must leave examples on either side"):
        model.fit("a", validation_split=0.5)


# === Training ===


def still(level="characters", **arguments) -> LanguageModel:
    """A model that does not learn: its losses can be compared with figures from elsewhere."""
    model = make(level, **arguments)
    model.compile(keras.optimizers.SGD(0.0))
    return model


def test_training_carries_states_within_an_epoch_and_not_beyond():
    model = still()
    text = VERSE * 3
    whole = model.evaluate(text)["loss"]
    options = {"batch_size": 1, "shuffle": False, "verbose": 0}
    length = len(text)
    history = model.fit(text, segment_length=length // 6, epochs=2, **options).history
    # Segments of a sixth, with carried states, add up to the text read in one go.
    assert history["loss"] == pytest.approx([whole, whole], abs=1e-5)
    loose = np.mean(
        [model.evaluate(text[i : i + length // 6])["loss"] for i in range(0, length, length // 6)]
    )
    assert abs(loose - whole) > 1e-3


def test_training_on_texts_of_their_own():
    model = still("words")
    texts = [VERSE, "the hat", "on the mat"]
    history = model.fit(texts, carry=False, batch_size=3, epochs=1, verbose=0).history
    assert history["loss"] == pytest.approx([model.evaluate(texts, carry=False)["loss"]], abs=1e-5)


def test_texts_of_their_own_are_weighed():
    texts, losses = [VERSE, "the hat"], {}
    model = still("words")
    for name, weights in {"all": [1, 1], "first": [1, 0], "second": [0, 1]}.items():
        history = model.fit(texts, carry=False, sample_weight=weights, verbose=0).history
        losses[name] = history["loss"][0]
    assert losses["first"] + losses["second"] == pytest.approx(losses["all"], rel=1e-5)
    assert losses["first"] > losses["second"] > 0
    with pytest.raises(ValueError, match="`sample_weight` is for texts that are read on their own"):
        model.fit(texts, sample_weight=[1, 1])


def test_validation_is_in_the_logs():
    model = still()
    history = model.fit(
        VERSE * 2, validation_data=VERSE, epochs=1, segment_length=20, batch_size=2, verbose=0
    ).history
    expected = model.evaluate(VERSE, context=256)
    for name, value in expected.items():
        assert history[f"val_{name}"] == pytest.approx([value], abs=1e-5)
    assert model.evaluate(VERSE)["loss"] == pytest.approx(expected["loss"], abs=1e-5)


@pytest.mark.parametrize("steps", [None, 3])
def test_a_training_that_is_resumed_goes_on_the_same(steps):
    def fit(*spans):
        keras.utils.set_random_seed(2)
        model = make(
            "characters",
            cell="simple",
            depth=2,
            recurrent_dropout=0.2,
            layer_dropout=0.2,
            output_dropout=0.2,
        )
        model.compile(keras.optimizers.Adam(0.01))
        for begin, end in spans:
            model._carried = CarriedStates([], 0)  # as in a new process
            model.fit(
                VERSE * 4,
                batch_size=3,
                segment_length=10,
                seed=4,
                initial_epoch=begin,
                epochs=end,
                steps_per_epoch=steps,
                verbose=0,
            )
        return model.get_weights()

    for one, other in zip(fit((0, 2)), fit((0, 1), (1, 2)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_it_learns_and_writes_what_it_has_learned(trained):
    assert trained.evaluate(VERSE * 2)["loss"] < 0.25
    [text] = trained.generate(["the cat"], temperature=0)
    assert text.startswith("the cat sat on the ")
    assert trained.generate(["the cat"], beam_width=3)[0].startswith("the cat sat on the ")
    best, *_ = trained.predict(["the cat sa"])[0]
    assert best.text == "t" and best.probability > 0.9
    good, bad = trained.score(["the cat sat on the mat", "the cat tas on the mat"])
    assert good.log_probability > bad.log_probability + 2


def test_states_of_training_are_no_weights(trained):
    shapes = {tuple(variable.shape) for variable in trained.variables}
    assert not any(shape[:1] == (4,) for shape in shapes)


@pytest.mark.slow
def test_jit_compiled_training_gives_the_same():
    losses = []
    for jit in (False, True):
        model = make("characters")
        model.compile(keras.optimizers.Adam(0.01), jit_compile=jit)
        history = model.fit(
            VERSE, batch_size=2, segment_length=6, epochs=2, shuffle=False, verbose=0
        )
        losses.append(history.history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


# === Presets ===


def test_a_preset_gives_the_same_texts(model, tmp_path):
    folder = model.save_to_preset(tmp_path / "preset")
    again = Task.from_preset(folder)
    assert isinstance(again, LanguageModel)
    assert again.get_config() == {**model.get_config(), "name": again.name}
    assert again.generate(PROMPTS, seed=1) == model.generate(PROMPTS, seed=1)
    assert (folder / "vocabulary" / "terms.txt").exists() == (model.settings["level"] != "bytes")


# === Arguments ===


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generate("the"), "`prompts` must be a list of texts. Received one text"),
        (lambda m: m.generate(["a"], temperature=-1), "`temperature`"),
        (lambda m: m.generate(["a"], top_p=0), "`top_p`"),
        (lambda m: m.generate(["a"], top_k=-1), "`top_k`"),
        (lambda m: m.generate(["a"], max_tokens=0), "`max_tokens`"),
        (lambda m: m.generate(["a"], beam_width=0), "`beam_width`"),
        (lambda m: m.generate(["a", "b"], seed=[1]), "one for each of 2 prompts. Received 1"),
        (lambda m: m.score([3]), "`texts` must hold texts. Received int as number 1"),
        (lambda m: m.fit([]), "`x` must hold at least one text"),
        (lambda m: m.fit(""), "`x` must hold a text that is not empty"),
        (lambda m: m.fit("abc", batch_size=0), "`batch_size`"),
        (lambda m: m.evaluate("abc", context=0), "`context`"),
        (lambda m: LanguageModel(["a"], cell="gru2"), "Expected one of simple"),
        (lambda m: LanguageModel(["a"], dropout=1.0), "`dropout`"),
        (lambda m: LanguageModel(["a"], level="letters"), "words, characters, bytes"),
    ],
)
def test_bad_arguments_are_named(trained, call, message):
    with pytest.raises(ValueError, match=message):
        call(trained)


def test_no_loss_can_be_set(trained):
    with pytest.raises(TypeError, match="has its own loss"):
        trained.compile(loss="mse")
    with pytest.raises(TypeError, match="argument 'step'"):
        trained.evaluate(VERSE, step=3)


def test_texts_may_come_as_a_dataset():
    model = still()
    dataset = tf.data.Dataset.from_tensor_slices([VERSE, "the hat"])
    rows = dataset.map(lambda text: {"text": text})
    expected = model.evaluate([VERSE, "the hat"])
    assert model.evaluate(dataset) == expected
    assert model.evaluate(rows) == expected
    assert model.evaluate(dataset.batch(2)) == model.evaluate(rows.batch(2)) == expected
