"""Word vectors: what is learnt, from what, and what is asked of them."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.optimizers import LazyAdam
from kerasrnn.zoo import WordVectors
from kerasrnn.zoo import word_vectors as module
from kerasrnn.zoo.batches import EpochBatches
from kerasrnn.zoo.skip_gram_blocks import BlockShape
from kerasrnn.zoo.word_streams import (
    Sampling,
    SkipGramBatches,
    WordStream,
    Yardstick,
    count_words,
    reaches,
)

TEXTS = ["the cat sat on the mat", "the dog sat on the rug", "a cat and a dog"] * 20
SMALL = {"dimension": 6, "subsampling": 0.0, "window": 3, "negatives": 4}


def small(**arguments) -> WordVectors:
    return WordVectors.from_texts(TEXTS, **{**SMALL, **arguments})


def with_contexts(model: WordVectors, rng) -> WordVectors:
    """As in the middle of a training: at its begin, vectors of contexts are zeros."""
    model.set_weights([rng.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
    return model


# === The gradient ===


def pair_by_pair(model, inputs, shape, rate, largest=None):
    """The tables after each step of gradient descent on a batch, pair by pair in NumPy."""
    words, contexts = (table.astype(float) for table in model.get_weights())
    sizes = [np.full(len(words), np.inf)] * 2 if largest is None else largest
    for step in range(len(inputs["left"])):
        moved = np.zeros_like(words), np.zeros_like(contexts)
        place = step * shape.words + shape.window

        def pull(word, context, count, target, moved=moved, tables=(words, contexts)):
            u, v = tables[0][word], tables[1][context]
            error = count * (1 / (1 + np.exp(-u @ v)) - target)
            moved[0][word] -= min(rate, sizes[0][word]) * error * v
            moved[1][context] -= min(rate, sizes[1][context]) * error * u

        for t in range(shape.words):
            left, right = inputs["left"][step, t], inputs["right"][step, t]
            word = inputs["words"][place + t]
            around = [o for o in range(-left, right + 1) if o]
            for offset in around:
                pull(word, inputs["words"][place + t + offset], 1, 1)
            noise = inputs["noise"][step, t // shape.block]
            share = model.settings["negatives"] * len(around) / len(noise)
            for drawn in noise:
                pull(word, drawn, share, 0)
        words, contexts = words + moved[0], contexts + moved[1]
    return words, contexts


@pytest.fixture
def batch(rng):
    model = with_contexts(small(), rng)
    source = model.batches(model.read(TEXTS), 300, words_per_step=96)
    batches = EpochBatches(source, 1)
    model.begin(batches)
    inputs = source.batch(source.order([1, 0])[0])[0]
    assert len(inputs["left"]) > 2 and source.shape.blocks == 3
    return model, source, inputs


def test_a_step_is_what_pairs_say_one_by_one(batch):
    model, source, inputs = batch
    expected = pair_by_pair(model, inputs, source.shape, 0.05)
    model._rates.set(_unbounded(source))
    model.compile(keras.optimizers.SGD(0.05))
    model.train_step((inputs,))
    for found, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert int(model.optimizer.iterations) == len(inputs["left"])


def test_the_gradient_by_hand_is_that_of_tensorflow(batch):
    model, source, inputs = batch
    model._rates.set(_unbounded(source))
    begin, found = model.get_weights(), []
    for momentum in (0.0, 1e-12):  # with any, it is not the plain one
        model.set_weights(begin)
        model.compile(keras.optimizers.SGD(0.05, momentum=momentum))
        found.append([np.array(model.train_step((inputs,))["loss"]), *model.get_weights()])
        model.reset_metrics()
    assert module._is_plain(keras.optimizers.SGD()) and not module._is_plain(model.optimizer)
    for by_hand, by_tape in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_allclose(by_hand, by_tape, atol=2e-5)


def _unbounded(source):
    """A source whose words are met so seldom that no rate is lowered."""

    class Seldom:
        pairs_of_words = np.zeros_like(source.pairs_of_words)
        pairs_of_contexts = np.zeros_like(source.pairs_of_contexts)

    return Seldom


def test_the_rate_of_a_frequent_word_is_lowered(batch):
    model, source, inputs = batch
    largest = [4 / np.maximum(p, 1e-6) for p in (source.pairs_of_words, source.pairs_of_contexts)]
    assert (largest[0] < 0.5).any() and (largest[1] < 0.5).any()
    expected = pair_by_pair(model, inputs, source.shape, 0.5, largest)
    model.compile(keras.optimizers.SGD(0.5))
    model.train_step((inputs,))
    for found, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_how_often_words_are_met_is_what_is_counted():
    model = small(window=2)
    source = model.batches(model.read(TEXTS * 20), 10**6, words_per_step=320)
    met = np.zeros((2, model.vocabulary.size))
    passes = 10
    for number in range(passes):
        inputs = source.batch(source.order([number])[0])[0]
        pairs = (inputs["left"] + inputs["right"]).ravel()
        words = inputs["words"][2:-2]
        np.add.at(met[0], words, pairs * 5)
        np.add.at(met[1], words, pairs)
        share = pairs.reshape(*inputs["noise"].shape[:2], -1).sum(-1) * 4 / source.shape.noise
        np.add.at(met[1], inputs["noise"], share[..., None])
    met /= passes * source.steps
    # Windows end with texts, which are short here: words are met less often than in the mean.
    ratio = met[0][2:] / source.pairs_of_words[2:]
    assert ((ratio > 0.4) & (ratio < 1)).all()
    np.testing.assert_allclose(met[1][2:] / source.pairs_of_contexts[2:], ratio.mean(), rtol=0.35)


def test_a_small_world_and_a_large_rate_do_not_diverge():
    texts = [" ".join("ab"[i % 2] for i in range(2000))] * 20
    model = WordVectors.from_texts(texts, dimension=50, subsampling=0.0)
    source = model.batches(model.read(texts), model.batch_size)
    model.compile(module.falling_sgd(1.0, source.steps * 10))
    history = model.fit(texts, epochs=10, seed=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.abs(model.predict(["a", "b"])).max() < 100


# === What is drawn ===


def test_windows_end_with_texts():
    ids = np.array([5, 6, 7, 0, 0, 8, 1, 9, 0])
    words, left, right = reaches(ids, 5)
    assert words.tolist() == [5, 6, 7, 8, 9]
    assert left.tolist() == [0, 1, 2, 0, 1]
    assert right.tolist() == [2, 1, 0, 1, 0]
    assert [part.tolist() for part in reaches(np.zeros(3, int), 5)] == [[], [], []]


def stream_of(*ids) -> WordStream:
    return WordStream.of([np.array(ids, np.int32)])


def drawn(frequent: int, rare: int, **sampling) -> list[dict]:
    ids = np.array([2] * frequent + [3] * rare)
    ids = np.random.default_rng(1).permutation(ids)
    settings = {"window": 5, "negatives": 5, "subsampling": 0.0, "noise_power": 0.75, **sampling}
    shape = BlockShape(64, 32, 5, 32)
    source = SkipGramBatches(stream_of(*ids), 4, len(ids), shape, Sampling(**settings))
    return [source.batch(source.order([seed])[0])[0] for seed in range(20)]


def test_frequent_words_are_left_out_as_word2vec_does():
    batches = drawn(9000, 1000, subsampling=0.01)
    for word, number, share in ((2, 9000, 0.9), (3, 1000, 0.1)):
        kept = np.mean([(inputs["words"] == word).sum() for inputs in batches])
        expected = number * (np.sqrt(0.01 / share) + 0.01 / share)
        assert kept == pytest.approx(expected, rel=0.05)


def test_noise_is_drawn_by_a_power_of_frequency():
    noise = np.concatenate([inputs["noise"].ravel() for inputs in drawn(8000, 500)])
    assert set(noise.tolist()) == {2, 3}
    assert (noise == 3).mean() == pytest.approx(1 / (1 + 16**0.75), rel=0.05)
    even = np.concatenate([i["noise"].ravel() for i in drawn(8000, 500, noise_power=0.0)])
    assert (even == 3).mean() == pytest.approx(0.5, rel=0.02)


def test_windows_are_of_every_size_as_often():
    inputs = drawn(5000, 5000)[0]
    inner = slice(10, 9000)
    reach = inputs["right"].ravel()[inner]
    assert (reach == inputs["left"].ravel()[inner]).all()
    shares = np.bincount(reach, minlength=6) / len(reach)
    np.testing.assert_allclose(shares[1:], 0.2, atol=0.02)


def test_each_epoch_draws_anew_and_the_seed_decides():
    model = small()
    source = model.batches(model.read(TEXTS), 200)
    batches = EpochBatches(source, None)
    model.begin(batches)

    def epoch(number, seed=None):
        batches.epoch, batches.seed = number, seed
        return [inputs["noise"].tolist() for (inputs,) in batches]

    assert epoch(0) == epoch(0) != epoch(1)  # in the order of the text
    assert epoch(0, 5) == epoch(0, 5) != epoch(1, 5)
    assert epoch(0, 5) != epoch(0, 6)


# === Texts of every kind ===


def ids_of(model: WordVectors, x) -> list[int]:
    return np.concatenate(list(model.read(x).parts())).tolist()


def test_texts_come_in_many_forms(tmp_path):
    model = WordVectors(["tea", "is", "hot", "."], dimension=2)
    texts = ["Tea is hot.", "is tea"]
    expected = [2, 3, 4, 5, 0, 3, 2, 0]
    (tmp_path / "texts.txt").write_text("Tea is hot.\nis tea\n")
    words = [["Tea", "is", "hot", "."], ["is", "tea"]]
    dataset = tf.data.Dataset.from_tensor_slices(texts)
    for x in (
        texts,
        np.array(texts, object),
        tf.constant(texts),
        (text for text in texts),
        [text.encode() for text in texts],
        words,
        dataset,
        dataset.batch(2),
        dataset.map(lambda text: {"text": text}),
        tf.data.Dataset.from_tensors(tf.ragged.constant(words)),
        tmp_path / "texts.txt",
        str(tmp_path / "texts.txt"),
        tmp_path,
        model.read(texts),
    ):
        assert ids_of(model, x) == expected, type(x)


def test_words_between_spaces_are_taken_as_they_are():
    model = WordVectors(["don't", "stop."], dimension=2, split="spaces", lowercase=False)
    assert ids_of(model, ["don't stop.  Don't"]) == [2, 3, 1, 0]
    counted = WordVectors.from_texts(["A a. a."], split="spaces", min_count=1, dimension=2)
    assert counted.vocabulary.terms == ("a.", "a")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("no such file", "`x` must be the path of a file .* nothing of that name"),
        (Path("no such file"), "`x` must be the path of a file"),
        (b"bytes", "`x` must be the path .*Received: bytes"),
        (7, "`x` must be the path .*Received: int"),
        ({"text": ["a"]}, "`x` must be the path .*Received: dict"),
        ([1, 2], "`x` must hold texts, or lists of words. Received as number 1: 1"),
        ([["a", 2]], "`x` must hold texts, or lists of words"),
        ([], "`x` must hold at least one word. Received none"),
        ([""], "`x` must hold at least one word. Received none"),
        (["unknown", ""], "`x` must hold words that the model knows"),
        (tf.data.Dataset.from_tensors("a").repeat(), "`x` must be a dataset that ends"),
    ],
)
def test_what_is_no_text_is_refused(x, message):
    model = small()
    for function in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            function(x)


def test_targets_and_weights_are_refused():
    model = small()
    with pytest.raises(ValueError, match="`y` must be None"):
        model.fit(TEXTS, TEXTS)
    with pytest.raises(ValueError, match="`sample_weight` must be None"):
        model.fit(TEXTS, sample_weight=np.ones(len(TEXTS)))


@pytest.mark.parametrize(
    ("texts", "arguments", "message"),
    [
        ([], {}, "`texts` must hold words that occur .* Received none"),
        (["a b a"], {}, "min_count=5 times. The most frequent occurs 2 times"),
        (["a"], {"min_count": 0}, "`min_count` must be a positive integer"),
        (["a"], {"max_words": 0}, "`max_words` must be a positive integer"),
        (["a"], {"split": "letters"}, "Unknown value for `split`: 'letters'"),
        (["a"], {"window": 0, "min_count": 1}, "`window` must be a positive integer"),
        (["a"], {"subsampling": -1, "min_count": 1}, "`subsampling` must be at least 0"),
    ],
)
def test_a_model_of_texts_needs_words(texts, arguments, message):
    with pytest.raises(ValueError, match=message):
        WordVectors.from_texts(texts, **arguments)


def test_a_model_has_words():
    with pytest.raises(ValueError, match="`words` must hold at least one word"):
        WordVectors([], dimension=2)


def test_words_are_counted_and_the_rarest_forgotten(monkeypatch):
    assert WordVectors.from_texts(TEXTS, max_words=2, dimension=2).vocabulary.terms == (
        "the",
        "a",
    )
    monkeypatch.setattr("kerasrnn.zoo.word_streams._MOST_COUNTED", 3)
    parts = [(tf.constant(part.split()), None) for part in ("a a b c d", "a b e f", "a")]
    assert count_words(parts) == {"a": 4}


def test_a_stream_has_slices(tmp_path):
    stream = WordStream.of([np.arange(5), np.arange(5, 9)])
    assert len(stream) == 9 and stream.ids(3, 6).tolist() == [3, 4, 5]
    inner = stream[2:8][1:-1]
    assert inner.ids(-5, 99).tolist() == [3, 4, 5, 6]
    assert len(stream[5:2]) == 0 and stream[5:2].ids(0, 5).tolist() == []
    with pytest.raises(ValueError, match="no slices of the step 2"):
        stream[::2]


# === Training ===


def test_words_of_like_contexts_become_alike():
    pairs = [("cat", "purrs"), ("dog", "barks"), ("lion", "purrs"), ("wolf", "barks")]
    rng = np.random.default_rng(3)
    texts = []
    for _ in range(400):
        animal, sound = pairs[rng.integers(4)]
        texts.append(f"{animal} {sound} {sound}ly")
    model = WordVectors.from_texts(texts, dimension=8, subsampling=0.0)
    model.fit(texts, epochs=15, seed=1, verbose=0)
    matrix = model.to_matrix()
    assert matrix.similarity("cat", "lion") > 0.8 > matrix.similarity("cat", "dog") + 0.3
    assert model.most_similar("wolf", topn=1)[0][0] == "dog"


def fitted(epochs=3, initial=0, model=None, **options):
    keras.utils.set_random_seed(2)
    model = model or small()
    model.fit(
        TEXTS, epochs=epochs, initial_epoch=initial, batch_size=100, seed=1, verbose=0, **options
    )
    return model


def test_the_rate_falls_over_the_epochs_that_are_asked_for():
    model = fitted(epochs=4)
    assert float(model.optimizer.learning_rate) == pytest.approx(2.5e-6, rel=0.05)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_training_that_goes_on_ends_as_an_unbroken_one(shuffle, tmp_path):
    whole = fitted(epochs=3, shuffle=shuffle)
    keras.utils.set_random_seed(2)
    part = small()
    steps = int(whole.optimizer.iterations)
    part.compile(module.falling_sgd(0.025, steps))
    whole.compile(module.falling_sgd(0.025, steps))
    whole.set_weights(part.get_weights())
    whole = fitted(epochs=3, model=whole, shuffle=shuffle)
    fitted(epochs=1, model=part, shuffle=shuffle)
    part.save(tmp_path / "part.keras")
    again = keras.saving.load_model(tmp_path / "part.keras")
    fitted(epochs=3, initial=1, model=again, shuffle=shuffle)
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_frozen_stays():
    model = small()
    model.network.embeddings.trainable = False
    before = model.get_weights()
    model.fit(TEXTS, epochs=2, verbose=0)
    assert (model.get_weights()[0] == before[0]).all()
    assert (model.get_weights()[1] != before[1]).any()


def test_a_lazy_optimizer_learns_too():
    model = small()
    model.compile(LazyAdam(0.02))
    history = model.fit(TEXTS, epochs=8, words_per_step=64, seed=1, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.SGD)


def test_xla_is_refused():
    with pytest.raises(ValueError, match="`jit_compile=True` cannot be: A batch has as many"):
        small().compile(jit_compile=True)


# === Vectors that are there already ===


@pytest.fixture
def matrix() -> EmbeddingMatrix:
    return EmbeddingMatrix(
        ["cat", "dog", "rug", "mat"], np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 2]], "float32")
    )


def test_a_model_begins_with_a_matrix(matrix):
    model = WordVectors.from_matrix(matrix, window=2, subsampling=0.0)
    assert model.settings["lowercase"]
    again = model.to_matrix()
    assert again.terms == matrix.terms
    np.testing.assert_array_equal(again.matrix, matrix.matrix)
    assert not model.get_weights()[1].any()
    model.fit(["cat dog", "mat rug"] * 50, epochs=3, verbose=0)
    assert (model.to_matrix().matrix != matrix.matrix).any()
    named = EmbeddingMatrix(["Rome", "Oslo"], np.eye(2, dtype="float32"))
    assert not WordVectors.from_matrix(named).settings["lowercase"]
    with pytest.raises(ValueError, match=r"`dimension` must be that of the matrix, 2\. "):
        WordVectors.from_matrix(matrix, dimension=3)


def test_without_contexts_there_is_no_training(matrix, tmp_path):
    model = WordVectors.from_matrix(matrix, context=False)
    with pytest.raises(ValueError, match=r"no vectors of contexts .*from_matrix\(model\.to_matrix"):
        model.fit(TEXTS)
    assert model.evaluate(["the cat sat", "a dog"]) == {"known": 0.4}
    loaded = WordVectors.from_preset(model.save_to_preset(tmp_path / "preset"))
    assert [weight.path for weight in loaded.weights] == [weight.path for weight in model.weights]
    np.testing.assert_array_equal(loaded.to_matrix().matrix, matrix.matrix)
    WordVectors.from_matrix(loaded.to_matrix()).fit(TEXTS, verbose=0)


def test_answers_are_those_of_the_matrix(matrix):
    model = WordVectors.from_matrix(matrix)
    assert model.most_similar("cat", topn=2) == matrix.most_similar("cat", topn=2)
    assert model.most_similar(["cat"], ["dog"]) == matrix.most_similar(["cat"], ["dog"])
    assert model.analogy("cat", "dog", "rug") == matrix.analogy("cat", "dog", "rug")
    assert model.predict(["Cat", "?"]).tolist() == [[1, 0], [0, 0]]
    assert model.known(["Cat", "?"]).tolist() == [True, False]
    with pytest.raises(KeyError, match="cow"):
        model.most_similar("cow")


# === Measuring ===


def test_a_loss_is_that_of_all_pairs(rng):
    model = with_contexts(small(subsampling=0.05), rng)
    words, contexts = (table.astype(float) for table in model.get_weights())
    texts = ["the cat sat on a rug unknown and the dog", "mat"]
    yardstick = Yardstick(model.vocabulary.size, model._sampling)
    known = {word: number for number, word in enumerate(model.vocabulary.terms, start=2)}
    total = count = 0.0
    for text in texts:
        ids = [known[word] for word in text.split() if word in known]
        for place, word in enumerate(ids):
            for other, context in enumerate(ids):
                distance = abs(place - other)
                if not 0 < distance <= 3:
                    continue
                weight = (4 - distance) / 3 * yardstick.kept[word] * yardstick.kept[context]
                cost = np.log1p(np.exp(-words[word] @ contexts[context]))
                noise = contexts[yardstick.noise] @ words[word]
                cost += 4 * np.log1p(np.exp(noise)).mean()
                total, count = total + weight * cost, count + weight
    assert (yardstick.kept[2:] < 1).any()
    for size in (None, 1, 2, 7):
        figures = model.evaluate(texts, batch_size=size)
        assert figures["loss"] == pytest.approx(total / count, rel=1e-5)
        assert figures["known"] == pytest.approx(10 / 11)


def test_the_noise_measured_against_has_the_shares_of_noise():
    sampling = Sampling(5, 5, 1e-3, 0.75)
    yardstick = Yardstick(1002, sampling)
    frequencies = 1 / (np.arange(1, 1001) + 2.7)
    expected = frequencies**0.75 / (frequencies**0.75).sum()
    found = np.bincount(yardstick.noise - 2, minlength=1000) / len(yardstick.noise)
    assert np.abs(np.cumsum(found) - np.cumsum(expected)).max() < 1 / 256
    assert (np.diff(yardstick.kept[2:]) >= 0).all()


def test_questions_and_pairs_are_answered(matrix, tmp_path, capsys):
    questions, pairs = tmp_path / "questions.txt", tmp_path / "pairs.tsv"
    questions.write_text(": things\ncat dog mat rug\ncat dog rug mat\ncat dog rug cow\n")
    pairs.write_text("cat\tdog\t9\nrug\tmat\t8\ncat\tmat\t1\ncat\tcow\t5\n")
    model = WordVectors.from_matrix(matrix)
    figures = model.evaluate(questions=questions, pairs=pairs, verbose=1)
    assert figures == {
        "analogy_accuracy": matrix.evaluate_analogies(questions).accuracy,
        "spearman": matrix.evaluate_word_pairs(pairs).spearman,
    }
    assert "spearman: " in capsys.readouterr().out
    assert model.evaluate(pairs=pairs, return_dict=False) == [figures["spearman"]]
    both = model.evaluate(TEXTS, questions=questions)
    assert set(both) == {"loss", "known", "analogy_accuracy"}
    questions.write_text(": things\ncow cow cow cow\n")
    with pytest.raises(ValueError, match="`questions` must have one whose words are all known"):
        model.evaluate(questions=questions)
    with pytest.raises(TypeError, match="no argument 'question'"):
        model.evaluate(question=questions)
    with pytest.raises(ValueError, match="`x` must be the path"):
        model.evaluate()


@pytest.mark.slow
def test_a_corpus_larger_than_what_is_held(tmp_path):
    """The memory of a training does not grow with the text, be it a file or a dataset."""
    import subprocess
    import sys

    program = """
import resource, sys
import numpy as np, tensorflow as tf
from kerasrnn.zoo import WordVectors

path, count, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(1)
words = np.array([f"w{i}" for i in range(1000)])
with open(path, "w") as file:
    for _ in range(count):
        file.write("\\n".join(" ".join(row) for row in words[rng.integers(0, 1000, (500, 200))]))
        file.write("\\n")
x = path if kind == "file" else tf.data.TextLineDataset(path)
model = WordVectors.from_texts(x, split="spaces", dimension=8)
model.fit(x, epochs=1, verbose=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    for kind in ("file", "dataset"):
        peaks = []
        for count in (2, 80):  # 1 MB and 40 MB of text, 8 million words
            run = subprocess.run(
                [sys.executable, "-c", program, str(tmp_path / "text.txt"), str(count), kind],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            peaks.append(int(run.stdout.split()[-1]))
        size = (tmp_path / "text.txt").stat().st_size / 2**20
        assert size > 35
        assert peaks[1] - peaks[0] < 0.6 * size, (kind, peaks)
