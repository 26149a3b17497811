"""The encoder-decoder as a user meets it: training, answers, figures, odd input, export."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import TextPair
from kerasrnn.zoo import Candidate, EncoderDecoder
from kerasrnn.zoo.batches import ExampleBatches

WORDS = {"one": "1", "two": "2", "three": "3", "four": "4"}
SMALL = {"units": 8, "source_dimension": 6, "target_dimension": 4}
TEXTS = ["two one", "", "four", "one three two four one", "quite unknown wörds 😀", "three three"]


def toy_pairs() -> list[TextPair]:
    """Numbers in words and in digits, of one to three digits."""
    return [
        TextPair(" ".join(words), "".join(WORDS[word] for word in words))
        for count in (1, 2, 3)
        for words in itertools.product(WORDS, repeat=count)
    ]


@pytest.fixture(scope="module")
def toy() -> list[TextPair]:
    return toy_pairs()


@pytest.fixture(scope="module")
def trained(toy) -> EncoderDecoder:
    """A model of words to characters that knows the toy pairs by heart."""
    keras.utils.set_random_seed(3)
    model = EncoderDecoder.from_pairs(toy, source_level="words", **{**SMALL, "units": 16})
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(toy, epochs=22, batch_size=8, seed=1, verbose=0)
    return model


@pytest.fixture
def untraced():
    """Graphs are run operation by operation: to trace them takes most of a small model's time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def small(toy, untraced):
    """Makes an untrained model of few weights; arguments replace the small ones."""

    def make(**arguments) -> EncoderDecoder:
        return EncoderDecoder.from_pairs(toy, **{**SMALL, **arguments})

    return make


def excited(model: EncoderDecoder, seed: int = 5) -> EncoderDecoder:
    """Weights so large that an untrained model has something to say."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 1.2, weight.shape))
    return model


# === Training ===


@pytest.mark.slow
def test_it_learns(trained, toy, untraced):
    scores = trained.evaluate(toy)
    assert scores["exact_match"] == 1.0
    assert scores["bleu"] == pytest.approx(100)
    assert scores["loss"] < 0.1
    assert trained.predict(["two one", "four"]) == ["21", "4"]
    assert trained.predict(["two one", "four"], beam_size=3) == ["21", "4"]


@pytest.mark.slow
def test_pairs_datasets_and_lists_are_taken_alike(toy, small):
    model = small()
    expected = model.evaluate(toy)
    rows = {"source": [p.source for p in toy], "target": [p.target for p in toy]}
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    tuples = tf.data.Dataset.from_tensor_slices((rows["source"], rows["target"]))
    for given in (dataset, dataset.batch(10), tuples, tuples.batch(10)):
        assert model.evaluate(given) == expected
    as_lists = model.evaluate(rows["source"], [target.encode() for target in rows["target"]])
    assert as_lists == expected


def test_validation_figures_are_in_the_logs(toy, small):
    model = small(attention="multiplicative")
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(toy, validation_data=toy[:6], epochs=2, verbose=0).history
    assert {"loss", "val_loss", "val_exact_match", "val_bleu"} <= set(history)
    assert history["loss"][1] < history["loss"][0]
    # The validation loss is that of `evaluate`, in nats a token.
    assert history["val_loss"][1] == pytest.approx(model.evaluate(toy[:6])["loss"], rel=1e-5)


def test_the_loss_is_the_mean_over_tokens_and_ends(toy, small):
    """From the logarithms that the search reports: those of the right text, and of no other."""
    model = excited(small(attention="none"))
    pairs = [toy[0], toy[30], toy[70]]
    total = count = 0.0
    for pair in pairs:
        previous = [0, *np.array(model.target_vocabulary(list(pair.target)))]
        source = np.array([model.source_vocabulary(list(pair.source))])
        scores = model.network({"source": source, "previous": np.array([previous])})["scores"][0]
        logs = np.asarray(scores) - np.log(np.exp(np.asarray(scores)).sum(-1, keepdims=True))
        total -= sum(logs[step, token] for step, token in enumerate([*previous[1:], 0]))
        count += len(previous)
    assert model.evaluate(pairs)["loss"] == pytest.approx(total / count, rel=1e-5)
    # Padding adds nothing, and a batch of one the same as a batch of all.
    assert model.evaluate(pairs, batch_size=1)["loss"] == pytest.approx(total / count, rel=1e-5)


# === Answers ===


@pytest.mark.parametrize("kind", [("additive", "gru"), ("multiplicative", "lstm"), ("none", "gru")])
@pytest.mark.slow
def test_a_text_gets_the_same_answer_alone_and_in_company(small, kind):
    attention, cell = kind
    model = excited(small(attention=attention, cell=cell, source_level="words"))
    together = model.generate(TEXTS, beam_size=3)
    greedy = model.predict(TEXTS)
    assert len(set(greedy)) > 1  # not the same for all of them
    for index, text in enumerate(TEXTS):
        assert model.predict([text]) == [greedy[index]]
        (alone,) = model.generate([text], beam_size=3)
        assert alone == together[index]
        for one, other in zip(alone, together[index], strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-4)
    assert model.predict(TEXTS, batch_size=2) == greedy


def test_candidates_are_the_most_probable_texts(small, toy):
    """With a beam as wide as there are texts: compared with the probability of each text."""
    model = excited(small(attention="additive", max_length=2))
    # The unknown token is never written, and here it is not expected either.
    bias = model.network.get_layer("decoder").piece_scores.bias
    bias.assign([-50 if token == 1 else value for token, value in enumerate(bias.numpy())])
    digits = list(WORDS.values())
    texts = ["", *digits]
    (found,) = model.generate(["two"], beam_size=40, length_penalty=0.0)
    ended = {candidate.text: candidate for candidate in found if len(candidate.text) < 2}
    assert set(ended) == set(texts)
    for text in texts:
        tokens = len(text) + 1
        assert -model.evaluate([("two", text)])["loss"] * tokens == pytest.approx(
            ended[text].log_probability, rel=1e-3
        )
    scores = [candidate.score for candidate in found if len(candidate.text) < 2]
    assert scores == sorted(scores, reverse=True)
    assert len(found) == 1 + 4 + 16  # those of two tokens were cut off, and stand behind
    assert all(len(candidate.text) == 2 for candidate in found[5:])


def test_the_unknown_token_is_never_written(toy, untraced):
    pairs = [*toy, TextPair("five", "5"), TextPair("six", "6")]
    model = EncoderDecoder.from_pairs(pairs, **SMALL, min_count=3)
    assert set(model.target_vocabulary.terms) == set("1234")
    model.network.get_layer("decoder").piece_scores.bias.assign([0, 50, 0, 0, 0, 0])
    for answer in (*model.predict(TEXTS), *(c.text for c in model.generate(["five"])[0])):
        assert set(answer) <= set("1234")


def test_a_text_is_cut_off_at_its_greatest_length(small):
    model = small(max_length=7)
    model.network.get_layer("decoder").piece_scores.bias.assign([-1e9, 0, 9, 0, 0, 0])
    assert [len(answer) for answer in model.predict(TEXTS)] == [7] * len(TEXTS)
    assert {len(c.text) for c in model.generate(["two"], beam_size=2)[0]} == {7}


@pytest.mark.slow
def test_alignments_have_a_row_for_each_token_written(trained):
    alignments = trained.align(TEXTS)
    for text, alignment, answer in zip(TEXTS, alignments, trained.predict(TEXTS), strict=True):
        assert alignment.source == [p.decode() for p in trained.source_split([text])[0].numpy()]
        assert "".join(alignment.target) == answer
        assert alignment.weights.shape == (len(answer), len(alignment.source))
        if alignment.source and answer:
            np.testing.assert_allclose(alignment.weights.sum(axis=1), 1, atol=1e-5)
    # It looks at the word that it writes.
    two_one = alignments[0]
    assert two_one.weights.argmax(axis=1).tolist() == [0, 1]


def test_without_attention_there_is_nothing_to_align(small):
    with pytest.raises(ValueError, match=r"no attention; see the argument `attention`"):
        small(attention="none").align(["two"])


@pytest.mark.slow
def test_words_are_written_with_the_right_spaces(untraced):
    pairs = [("a", "Oui, c'est moi !"), ("b", "Non.")]
    model = EncoderDecoder.from_pairs(pairs, target_level="words", **{**SMALL, "units": 16})
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(pairs, epochs=20, verbose=0, seed=1)
    assert model.predict(["a", "b"]) == ["Oui, c'est moi !", "Non."]
    # White space that no token can tell of is not asked for.
    assert model.evaluate([("b", "  Non.  ")])["exact_match"] == 1.0


def test_small_letters(toy, untraced):
    pairs = [(source.upper(), target) for source, target in toy[:8]]
    model = EncoderDecoder.from_pairs(pairs, source_level="words", lowercase=True, **SMALL)
    assert set(model.source_vocabulary.terms) == set(WORDS)
    excited(model)
    assert model.predict(["TWO One"]) == model.predict(["two one"])


# === Batches ===


def test_batches_mix_what_has_a_target_with_what_has_none(rng):
    """Sorted by the sum of both lengths, the two would be in batches of their own."""
    lengths = rng.integers(10, 14, 400)
    texts = ["x" * length for length in lengths]
    targets = ["y" * 10 if rng.random() < 0.5 else "" for _ in texts]
    model = EncoderDecoder(["x"], ["y"], **SMALL)
    encoded = model.encode([TextPair(*row) for row in zip(texts, targets, strict=True)])
    shares = [
        np.mean(encoded.targets.lengths[batch] > 1)  # more than the end
        for batch in ExampleBatches(encoded, 20).order([1, 0])
    ]
    assert min(shares) > 0.1 and max(shares) < 0.9


# === Presets and export ===


def test_a_preset_gives_the_same_model(trained, tmp_path, untraced):
    folder = trained.save_to_preset(tmp_path / "numbers")
    again = EncoderDecoder.from_preset(folder)
    assert again.arguments() == trained.arguments()
    assert again.generate(TEXTS, beam_size=2) == trained.generate(TEXTS, beam_size=2)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    report = trained.export(tmp_path_factory.mktemp("exported") / "numbers", version=1)
    return report, tf.saved_model.load(str(report.path))


@pytest.mark.slow
def test_the_export_writes_what_the_model_writes(trained, exported):
    report, loaded = exported
    assert report.verified
    output = loaded.signatures["serving_default"](text=tf.constant(TEXTS))
    answers = trained.predict(TEXTS)
    assert [text.decode() for text in output["text"].numpy()] == answers
    assert output["length"].numpy().tolist() == [len(answer) for answer in answers]
    assert output["score"].dtype == output["attention"].dtype == tf.float32
    attention = output["attention"].numpy()
    for row, alignment in enumerate(trained.align(TEXTS)):
        rows, columns = alignment.weights.shape
        np.testing.assert_allclose(attention[row, :rows, :columns], alignment.weights, atol=1e-5)
        assert not attention[row, :, columns:].any()
        assert not attention[row, rows + 1 :].any()
        tokens = [token.decode() for token in output["target_tokens"].numpy()[row] if token]
        assert tokens == alignment.target


@pytest.mark.slow
def test_the_export_searches_with_beams_of_any_size(trained, exported):
    generate = exported[1].signatures["generate"]
    for beam_size in (1, 4):
        output = generate(
            text=tf.constant(TEXTS),
            beam_size=tf.constant(beam_size),
            length_penalty=tf.constant(0.6),
        )
        assert output["texts"].shape == (len(TEXTS), beam_size)
        for row, candidates in enumerate(trained.generate(TEXTS, beam_size=beam_size)):
            texts = [text.decode() for text in output["texts"].numpy()[row]]
            assert texts == [candidate.text for candidate in candidates]
            scores = output["scores"].numpy()[row]
            np.testing.assert_allclose(scores, [c.score for c in candidates], atol=1e-4)
    # The weights of the best text are those that writing it step by step has.
    best = {candidates[0].text for candidates in trained.generate(["two one"], beam_size=4)}
    assert best == {"21"}
    output = generate(
        text=tf.constant(["two one"]), beam_size=tf.constant(4), length_penalty=tf.constant(0.6)
    )
    weights = trained.align(["two one"])[0].weights
    np.testing.assert_allclose(output["attention"].numpy()[0, :2], weights, atol=1e-5)


@pytest.mark.slow
def test_a_batch_of_empty_texts_is_served(exported):
    output = exported[1].signatures["serving_default"](text=tf.constant(["", " "]))
    assert output["text"].shape == (2,)
    assert np.isfinite(output["score"].numpy()).all()


# === Refused answers ===


@pytest.fixture(scope="module")
def refusing(trained) -> EncoderDecoder:
    """The trained model, which may write two ones and twos, and does not read of a three."""
    patterns = {"answer_pattern": "[12]{2}", "text_pattern": "(one|two|four| )*"}
    model = EncoderDecoder(**{**trained.arguments(), **patterns})
    model.network.set_weights(trained.network.get_weights())
    return model


NUMBERS = ["two one", "four", "one three", "one one", "two one two", "two", "one ones"]
ALLOWED = ["21", "", "", "11", "", "", ""]


def test_an_answer_that_does_not_match_is_refused(trained, refusing, untraced):
    assert trained.predict(NUMBERS)[:5] == ["21", "4", "13", "11", "212"]
    assert refusing.predict(NUMBERS) == ALLOWED
    assert refusing.predict(NUMBERS, beam_size=3) == ALLOWED
    # In its place: what was less probable does not move up, and the scores are the same.
    beams, others = refusing.generate(NUMBERS, beam_size=3), trained.generate(NUMBERS, beam_size=3)
    for row, expected in zip(beams[:2], others, strict=False):
        assert [c.log_probability for c in row] == [c.log_probability for c in expected]
        texts = [c.text if c.text in ("11", "12", "21", "22") else "" for c in expected]
        assert [c.text for c in row] == texts
    written = [len(alignment.target) for alignment in refusing.align(NUMBERS)]
    assert written == [len(text) for text in ALLOWED]
    assert refusing.align(NUMBERS)[1].weights.shape == (0, 1)


def test_a_text_that_does_not_match_is_refused(trained, untraced):
    """Whatever the network makes of it: here its answers would all be taken."""
    model = EncoderDecoder(**{**trained.arguments(), "text_pattern": "(one|two| )*"})
    model.network.set_weights(trained.network.get_weights())
    texts = ["two one", "two one.", "three", "One", "", "one\nfour"]
    assert model.predict(texts)[:4] == ["21", "", "", ""]
    assert model.predict(texts)[5] == ""
    assert all(not c.text for row in model.generate(texts[1:4], beam_size=3) for c in row)
    figures = model.evaluate(["two one", "three"], ["21", ""])
    assert figures["exact_match"] == 1.0


def test_what_would_be_refused_is_not_expected_either(refusing, untraced):
    figures = refusing.evaluate(NUMBERS[:5], ["21", "4", "", "11", "212"])
    assert figures["exact_match"] == 1.0
    assert refusing.evaluate(["two one"], ["4"])["exact_match"] == 0.0


@pytest.mark.slow
def test_a_refusing_model_is_saved_and_exported(refusing, tmp_path):
    again = EncoderDecoder.from_preset(refusing.save_to_preset(tmp_path / "numbers"))
    assert again.arguments() == refusing.arguments()
    assert again.predict(NUMBERS) == ALLOWED
    report = refusing.export(tmp_path / "exported")
    assert report.verified
    loaded = tf.saved_model.load(str(report.path))
    output = loaded.signatures["serving_default"](text=tf.constant(NUMBERS))
    assert [text.decode() for text in output["text"].numpy()] == ALLOWED
    assert output["length"].numpy().tolist() == [len(text) for text in ALLOWED]
    assert not output["target_tokens"].numpy()[1].any()
    output = loaded.signatures["generate"](
        text=tf.constant(NUMBERS), beam_size=tf.constant(2), length_penalty=tf.constant(0.6)
    )
    assert [text.decode() for text in output["texts"].numpy()[:, 0]] == ALLOWED
    assert output["lengths"].numpy()[:, 0].tolist() == [len(text) for text in ALLOWED]


@pytest.mark.parametrize("pattern", ["[12", "a(?=b)", r"(a)\1", 12])
def test_a_pattern_that_is_none_is_named(small, pattern):
    for name in ("answer_pattern", "text_pattern"):
        with pytest.raises(ValueError, match=rf"`{name}` must be a regular expression"):
            small(**{name: pattern})


# === Odd input ===


def test_bad_input_is_named(small, toy):
    model = small()
    for bad, message in (
        ("two", r"`x` must be a list of texts"),
        ([1], r"`x` must hold texts. Received int at position 0"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(bad)
    assert model.predict([]) == []
    with pytest.raises(ValueError, match=r"`beam_size` must be a positive integer. Received: 0"):
        model.predict(["two"], beam_size=0)
    with pytest.raises(ValueError, match=r"`length_penalty` must be at least 0"):
        model.generate(["two"], length_penalty=-1)
    with pytest.raises(ValueError, match=r"`x` must hold at least one pair. Received none"):
        model.fit([])
    with pytest.raises(ValueError, match=r"Received \('two',\) as number 2"):
        model.fit([toy[0], ("two",)])
    with pytest.raises(
        ValueError, match=r"`x` must have a target for each source. Received 2 .* 1"
    ):
        model.fit(["one", "two"], ["1"])
    with pytest.raises(ValueError, match=r"`validation_data` must hold pairs"):
        model.fit(toy, validation_data=["two"])
    with pytest.raises(TypeError, match=r"evaluate\(\) of EncoderDecoder has no argument 'beams'"):
        model.evaluate(toy, beams=3)
    with pytest.raises(TypeError, match=r"has its own loss"):
        model.compile(loss="mse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": "dot"}, r"Unknown value for `attention`: 'dot'. Expected one of none, add"),
        ({"source_level": "bytes"}, r"`source_level`: 'bytes'. Expected one of characters, words"),
        ({"cell": "gru2"}, r"Unknown value for `cell`: 'gru2'"),
        ({"units": 0}, r"`units` must be a positive integer. Received: 0"),
        ({"max_length": -1}, r"`max_length` must be a positive integer"),
        ({"dropout": 1.0}, r"`dropout` must be at least 0 and below 1"),
    ],
)
def test_bad_settings_are_named(small, arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


def test_lone_surrogates_and_long_texts(small):
    model = small(max_length=3)
    assert len(model.predict(["\ud800 two", "one " * 15])) == 2


def test_candidates_are_compared_by_their_text():
    assert Candidate("a", score=1.0) == Candidate("a", score=2.0)
    assert Candidate("a") != Candidate("b")
