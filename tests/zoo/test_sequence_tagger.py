"""The tagger as a user meets it: training, answers, figures, odd input."""

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import DataError, TaggedSentence, parse_conll, to_dataset
from kerasrnn.text import Entity
from kerasrnn.zoo import SequenceTagger, TaggedToken
from tests.zoo.conftest import SMALL, sentence

UNSEEN = TaggedSentence(("Acme", "grows"), ("B-ORG", "O"))


# === Training ===


def test_it_learns(trained, toy):
    scores = trained.evaluate(toy)
    assert scores["f1"] == 1.0
    assert scores["accuracy"] == 1.0
    assert scores["label_accuracy"] == 1.0
    assert scores["loss"] < 0.1
    assert set(scores["types"]) == {"LOC", "PER"}
    assert scores["types"]["PER"]["support"] == 32


@pytest.mark.slow
def test_sentences_datasets_and_lists_are_taken_alike(toy, small):
    plain = [TaggedSentence(s.tokens, s.tags) for s in toy]
    tagger = small(labels=None)
    expected = tagger.evaluate(plain)
    assert tagger.evaluate(to_dataset(plain)) == expected
    words, tags = [list(s.tokens) for s in plain], [list(s.tags) for s in plain]
    assert tagger.evaluate(words, tags) == expected


@pytest.mark.slow
def test_fit_takes_labels_beside_tags(toy, small):
    x = [list(s.tokens) for s in toy]
    y = ([list(s.tags) for s in toy], [s.label for s in toy])
    losses = small(crf=False).fit(x, y, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


@pytest.mark.slow
def test_standard_callbacks_can_watch_validation_figures(toy, small, tmp_path):
    tagger = small(crf=False)
    tagger.compile(keras.optimizers.Adam(0.05))
    stop = keras.callbacks.EarlyStopping(monitor="val_f1", mode="max", patience=2)
    keep = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5", monitor="val_f1", mode="max", save_weights_only=True
    )
    history = tagger.fit(
        toy, validation_data=toy[:12], epochs=60, batch_size=8, callbacks=[stop, keep], verbose=0
    ).history
    assert {"val_loss", "val_precision", "val_recall", "val_f1", "val_accuracy"} <= set(history)
    assert len(history["loss"]) < 60
    assert max(history["val_f1"]) == 1.0
    assert (tmp_path / "best.weights.h5").exists()


@pytest.mark.slow
def test_the_same_seeds_give_the_same_training(toy):
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        tagger = SequenceTagger.from_sentences(toy, **{**SMALL, "dropout": 0.3}, crf=False)
        tagger.fit(toy, epochs=2, verbose=0)
        weights.append(tagger.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_unseen_tag_fails_before_training_begins(toy, small):
    tagger = small(labels=None)
    before = tagger.get_weights()
    with pytest.raises(ValueError, match=r"validation_data.*seen in training.*'B-ORG'.*'Acme'"):
        tagger.fit(toy, validation_data=[*toy, UNSEEN], epochs=1, verbose=0)
    for old, new in zip(before, tagger.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unseen_label_is_named(toy, small):
    with pytest.raises(ValueError, match=r"sentence 2 .*'order' was never seen"):
        small().fit([toy[0], sentence("Go !", "order")], verbose=0)


def test_an_empty_sentence_or_none_at_all_cannot_be_trained_on(small):
    with pytest.raises(ValueError, match=r"must have words"):
        small().fit([TaggedSentence((), (), "fact")], verbose=0)
    with pytest.raises(ValueError, match=r"at least one sentence"):
        small().fit([], verbose=0)


def test_lists_of_another_length_are_refused(small):
    with pytest.raises(ValueError, match=r"one tag for each word"):
        small(labels=None).fit([["a", "b"]], [["O"]], verbose=0)
    with pytest.raises(ValueError, match=r"a list of tags for each list of words"):
        small(labels=None).fit([["a", "b"]], [], verbose=0)


_TINY = {"units": 6, "word_dimension": 6, "dropout": 0.0}


@pytest.mark.slow
def test_capitals_alone_tell_words_apart(small):
    """Nothing else does: words are in small letters, and there is no spelling."""
    sentences = [sentence("We saw Apple|ORG"), sentence("We saw apple")] * 4
    words = sorted({token.lower() for row in sentences for token in row.tokens})
    tags = ["O", "B-ORG", "I-ORG"]
    for capitals, found in ((True, 1), (False, 0)):
        keras.utils.set_random_seed(2)
        tagger = SequenceTagger(words, tags, spelling="none", capitals=capitals, **_TINY)
        tagger.compile(keras.optimizers.Adam(0.05))
        tagger.fit(sentences, epochs=20, batch_size=4, seed=1, verbose=0)
        entities = tagger.predict(["We saw Apple", "We saw apple"])
        assert (entities[0] != entities[1]) == bool(found)
        if found:
            assert [entity.text for entity in entities[0]] == ["Apple"] and not entities[1]


@pytest.mark.slow
def test_words_are_known_by_their_subwords(tmp_path):
    """Names that were never seen, of a piece that was: nothing else tells them from others."""
    sentences = [sentence(f"We saw {name}|LOC") for name in ("Upton", "Weston", "Norton", "Aston")]
    sentences += [sentence(f"We saw {thing}") for thing in ("upper", "western", "northern", "asks")]
    subwords = ["we", "saw", "##ton", *"abcdefghijklmnopqrstuvwxyz"]
    subwords += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    keras.utils.set_random_seed(2)
    tagger = SequenceTagger(
        ["we", "saw"], ["O", "B-LOC", "I-LOC"], subwords=subwords, subword_dimension=6, **_TINY
    )
    vectors = np.random.default_rng(1).normal(size=(len(subwords), 6))
    tagger.set_subword_vectors(vectors)
    table = tagger.network.get_layer("subword_vectors").embeddings.embeddings
    np.testing.assert_allclose(np.array(table[2:]), vectors, atol=1e-6)
    tagger.compile(keras.optimizers.Adam(0.03))
    tagger.fit(sentences, epochs=40, batch_size=4, seed=1, verbose=0)
    texts = ["We saw Carlton", "We saw letters", "We saw boston"]
    found = [[entity.text for entity in entities] for entities in tagger.predict(texts)]
    assert found == [["Carlton"], [], ["boston"]]
    folder = tagger.save_to_preset(tmp_path / "preset")
    assert (folder / "vocabulary" / "subwords.txt").read_text().splitlines() == subwords
    assert SequenceTagger.from_preset(folder).predict(texts) == tagger.predict(texts)


def test_vectors_of_pieces_must_fit(small):
    with pytest.raises(ValueError, match=r"no subwords; see the argument `subwords`"):
        small().set_subword_vectors(np.zeros((2, 100)))
    with pytest.raises(ValueError, match=r"shape \(2, 4\). Received: \(3, 4\)"):
        small(subwords=["a", "b"], subword_dimension=4).set_subword_vectors(np.zeros((3, 4)))


def test_it_has_its_own_loss(small):
    with pytest.raises(TypeError, match=r"has its own loss"):
        small().compile(loss="mse")


@pytest.mark.slow
def test_mixed_precision_trains(toy, small):
    tagger = small(dtype="mixed_bfloat16")
    losses = tagger.fit(toy, epochs=3, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert tagger.predict(["Ada lives in Rome ."])[0] is not None


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.slow
def test_padding_adds_nothing_to_the_loss(toy, small, crf):
    tagger = small(crf=crf, labels=None)
    short, long = toy[1], max(toy, key=len)
    alone = [tagger.evaluate([row])["loss"] * len(row) for row in (short, long)]
    together = tagger.evaluate([short, long])["loss"] * (len(short) + len(long))
    assert together == pytest.approx(sum(alone), rel=1e-5)


@pytest.mark.parametrize("crf", [False, True])
def test_the_margin_is_the_cost_of_a_miss_over_all_sequences(small, rng, crf):
    """Against every sequence of tags, scored by itself, each missed word worth the margin."""
    tagger = small(crf=crf, constrained=False, labels=None, recall_margin=1.5)
    tags = tagger.inventory.tags
    outside, count, time = tags.index("O"), len(tags), 4
    scores = rng.normal(size=(1, time, count)).astype("float32")
    gold = np.array([[outside, tags.index("B-LOC"), tags.index("I-LOC"), outside]])
    starts, steps, ends = np.zeros(count), np.zeros((count, count)), np.zeros(count)
    if crf:
        field = tagger.head.crf
        for weight in field.weights:
            weight.assign(rng.normal(size=weight.shape))
        weights = (field.starts, field.transitions, field.ends)
        starts, steps, ends = (keras.ops.convert_to_numpy(weight) for weight in weights)

    def score(path) -> float:
        emitted = sum(scores[0, t, tag] for t, tag in enumerate(path))
        between = sum(steps[path[t], path[t + 1]] for t in range(time - 1))
        return emitted + between + starts[path[0]] + ends[path[-1]]

    def misses(path) -> int:
        return sum(tag == outside != right for tag, right in zip(path, gold[0], strict=True))

    paths = list(itertools.product(range(count), repeat=time))
    everything = np.logaddexp.reduce([score(path) + 1.5 * misses(path) for path in paths])
    words = np.full((1, time), 2)
    loss = tagger.compute_loss(
        x={"words": words}, y={"tags": gold}, y_pred={"tags": keras.ops.convert_to_tensor(scores)}
    )
    assert float(loss) == pytest.approx((everything - score(gold[0])) / time, rel=1e-5)


@pytest.mark.slow
def test_the_margin_finds_more_entities():
    """Words that are entities less than half of the time are found with a margin alone."""
    rows = [TaggedSentence(("Rome",), (tag,)) for tag in ("O", "B-LOC", "O", "B-LOC", "O")]
    answers = {}
    for margin in (0.0, 2.0):
        keras.utils.set_random_seed(1)
        tagger = SequenceTagger.from_sentences(rows, recall_margin=margin, **SMALL)
        tagger.compile(keras.optimizers.Adam(0.05))
        tagger.fit(rows, epochs=30, seed=1, verbose=0)
        answers[margin] = tagger.predict_tags([["Rome"]])[0]
    assert answers == {0.0: ["O"], 2.0: ["B-LOC"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recall_margin": -1.0}, r"`recall_margin` must be at least 0. Received: -1.0"),
        ({"recall_margin": 1.0, "scheme": "none"}, r"needs a scheme with entities.*scheme='none'"),
    ],
)
def test_a_margin_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SequenceTagger(words=["a"], tags=["O", "B-X", "I-X"], **arguments)


def test_word_vectors_are_set_where_they_were_found(small):
    tagger = small()
    before = tagger.network.get_layer("word_embeddings").get_weights()[0]
    matrix = np.full(before.shape, 7.0, "float32")
    found = np.zeros(len(matrix), bool)
    found[5] = True
    tagger.set_word_vectors(matrix, found)
    after = tagger.network.get_layer("word_embeddings").get_weights()[0]
    assert (after[5] == 7).all()
    np.testing.assert_array_equal(np.delete(after, 5, 0), np.delete(before, 5, 0))
    with pytest.raises(ValueError, match=r"must have the shape"):
        tagger.set_word_vectors(matrix[:, 1:], found)


# === Answers ===


def test_raw_text_gives_entities_with_character_offsets(trained):
    text = "Ada lives in New York."
    (found,) = trained.predict([text])
    assert found == [Entity("Ada", "PER", 0, 3), Entity("New York", "LOC", 13, 21)]
    for entity in found:
        assert text[entity.start : entity.end] == entity.text
        assert 0 < entity.score <= 1


def test_offsets_count_characters_not_bytes(trained):
    text = "  😀é  Ada lives in Rome ."
    found = trained.predict([text])[0]
    assert "Rome" in [entity.text for entity in found]
    for entity in found:
        assert text[entity.start : entity.end] == entity.text


def test_lists_of_words_give_positions_of_words(trained):
    words = ["Ada", "lives", "in", "New", "York", "."]
    (found,) = trained.predict([words])
    assert found == [Entity("Ada", "PER", 0, 1), Entity("New York", "LOC", 3, 5)]


def test_labels_of_whole_texts(trained):
    labels = trained.predict_labels(["Where is Bo?", "Bo lives in Oslo ."])
    assert [label for label, _ in labels] == ["question", "fact"]
    assert all(0.5 < score <= 1 for _, score in labels)


def test_without_labels_there_is_nothing_to_predict(small):
    with pytest.raises(ValueError, match=r"no labels"):
        small(labels=None).predict_labels(["Hello"])


@pytest.mark.slow
def test_tags_without_a_scheme_come_word_by_word():
    rows = [TaggedSentence(("A", "cat"), ("DET", "NOUN"))] * 4
    tagger = SequenceTagger.from_sentences(rows, scheme="none", crf=False, **SMALL)
    tagger.compile(keras.optimizers.Adam(0.1))
    tagger.fit(rows, epochs=10, verbose=0)
    assert tagger.predict(["A cat"]) == [
        [TaggedToken("A", "DET", 0, 1), TaggedToken("cat", "NOUN", 2, 5)]
    ]
    scores = tagger.evaluate(rows)
    assert scores["f1"] == scores["accuracy"] == 1.0
    assert scores["types"]["NOUN"]["support"] == 4


@pytest.mark.slow
def test_a_constrained_field_gives_legal_tags_only(toy, small):
    tagger = small(constrained=True)
    allowed = tagger.inventory.allowed_transitions()
    rng = np.random.default_rng(0)
    words = [list(rng.choice(["Ada", "York", "in", "zzz"], 30)) for _ in range(20)]
    ids = {tag: i for i, tag in enumerate(tagger.inventory.tags)}
    # Scores of chance, so that illegal sequences would be common.
    tagger.network.get_layer("tag_scores").bias.assign(rng.normal(0, 3, len(ids)))
    broken = {True: 0, False: 0}
    for constrained, model in ((True, tagger), (False, small(constrained=False))):
        model.set_weights(tagger.get_weights())
        for tags in model.predict_tags(words):
            path = ["O", *tags]
            broken[constrained] += sum(
                not allowed[ids[a], ids[b]] for a, b in itertools.pairwise(path)
            )
    assert broken[True] == 0
    assert broken[False] > 0


@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize(("spelling", "capitals"), [("cnn", True), ("rnn", False)])
@pytest.mark.slow
def test_batch_size_and_padding_change_no_answer(toy, small, crf, spelling, capitals):
    subwords = ["ro", "##me", "##s", "os", "is"] if capitals else None
    tagger = small(crf=crf, spelling=spelling, capitals=capitals, subwords=subwords)
    rng = np.random.default_rng(1)
    for weight in tagger.trainable_variables:  # so large that all tags occur
        weight.assign(rng.normal(0, 0.8, weight.shape))
    texts = [" ".join(s.tokens) for s in toy[:20]] + ["", "x", "Ada " * 50 + "w" * 40]
    alone = [tagger.predict([text], batch_size=1)[0] for text in texts]
    for batch_size in (3, 64):
        together = tagger.predict(texts, batch_size=batch_size)
        assert together == alone
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(
                [e.score for e in one], [e.score for e in many], atol=1e-5, rtol=0
            )


# === Odd input ===


def test_empty_texts_have_no_entities(trained):
    assert trained.predict(["", "  \n"]) == [[], []]
    assert trained.predict([[]]) == [[]]
    assert trained.predict([]) == []
    assert trained.predict_tags([""]) == [[]]


def test_an_empty_row_in_a_batch_changes_nothing(trained):
    text = "Ada lives in Oslo ."
    assert trained.predict(["", text, ""]) == [[], trained.predict([text])[0], []]


def test_only_unknown_words(trained):
    tags = trained.predict_tags(["Qwx zzv ккк 漢字 😀"])[0]
    assert len(tags) == 6
    assert set(tags) <= set(trained.inventory.tags)


@pytest.mark.slow
def test_ten_thousand_words(trained):
    words = ["Ada", "lives", "in", "New", "York", "."] * 1667
    (found,) = trained.predict([words])
    assert found[0] == Entity("Ada", "PER", 0, 1)
    assert len(found) == 2 * 1667
    assert len(trained.predict_tags([" ".join(words)])[0]) == len(words)


@pytest.mark.slow
def test_training_on_ten_thousand_words(small):
    tagger = small(labels=None, crf=False)
    row = TaggedSentence(("Ada", "lives") * 5000, ("B-PER", "O") * 5000)
    assert np.isfinite(tagger.fit([row], epochs=1, verbose=0).history["loss"]).all()


def test_a_lone_surrogate_counts_as_one_character(trained):
    (found,) = trained.predict(["\ud800 Ada lives in Rome ."])
    assert Entity("Rome", "LOC", 15, 19) in found


def test_a_single_text_is_refused(trained):
    with pytest.raises(ValueError, match=r"put it in a list"):
        trained.predict("Ada lives in Rome .")


@pytest.mark.parametrize("x", [["Ada", ["Ada"]], [["Ada", ""]], [["Ada", 3]], [3]])
def test_other_input_is_refused(trained, x):
    with pytest.raises(ValueError, match=r"`x` must hold"):
        trained.predict(x)


def test_arrays_and_tensors_of_text_are_taken(trained):
    texts = ["Ada lives in Rome .", "Where is Bo ?"]
    expected = trained.predict(texts)
    assert trained.predict(np.array(texts)) == expected
    assert trained.predict(tf.constant(texts)) == expected


# === Configuration ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "gru2"}, r"`cell`: 'gru2'. Expected one of simple, simplified_gru, gru, lstm"),
        ({"spelling": "bpe"}, r"`spelling`: 'bpe'. Expected one of cnn, rnn, none"),
        ({"scheme": "BILOU"}, r"`scheme`: 'BILOU'. Expected one of BIO, BIOES, IO, none"),
        ({"units": 0}, r"`units` must be a positive integer. Received: 0"),
        ({"dropout": 1.0}, r"`dropout` must be at least 0 and below 1. Received: 1.0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SequenceTagger(words=["a"], tags=["O", "B-X", "I-X"], **arguments)


def test_unknown_arguments_fail():
    with pytest.raises(ValueError, match=r"dept"):
        SequenceTagger(words=["a"], tags=["O"], dept=2)


def test_configuration_holds_every_argument(small):
    tagger = small()
    parameters = inspect.signature(SequenceTagger.__init__).parameters
    assert set(parameters) - {"self", "kwargs"} == set(tagger.arguments())
    copy = SequenceTagger.from_config(tagger.get_config())
    assert copy.arguments() == tagger.arguments()


@pytest.mark.slow
def test_bioes_and_io_schemes():
    for scheme, tags in {"BIOES": ("S-PER", "O"), "IO": ("I-PER", "O")}.items():
        rows = [TaggedSentence(("Ada", "left"), tags)]
        tagger = SequenceTagger.from_sentences(rows, scheme=scheme, crf=False, **SMALL)
        tagger.compile(keras.optimizers.Adam(0.1))
        tagger.fit(rows, epochs=12, verbose=0)
        assert tagger.predict([["Ada", "left"]]) == [[Entity("Ada", "PER", 0, 1)]]


@pytest.mark.slow
def test_a_step_is_traced_once(small, toy, monkeypatch):
    traced = []
    step = keras.Model.train_step
    monkeypatch.setattr(
        keras.Model, "train_step", lambda self, data: traced.append(1) or step(self, data)
    )
    small().fit(toy, epochs=2, verbose=0)
    assert len(traced) == 1


@pytest.mark.slow
def test_saved_and_loaded_by_keras(trained, tmp_path):
    trained.save(tmp_path / "tagger.keras")
    loaded = keras.models.load_model(tmp_path / "tagger.keras")
    text = ["Ada lives in New York."]
    assert loaded.predict(text) == trained.predict(text)


@pytest.mark.parametrize("tag", ["FOO", "B-", "S-PER"])
def test_a_malformed_tag_of_a_file_is_named_with_its_line(tmp_path, tag):
    path = tmp_path / "my.conll"
    path.write_text(f"Rome B-LOC\nfell O\n\nHe O\nwept {tag}\n")
    with pytest.raises(DataError, match=rf"sentences, line 5: expected a tag .*got '{tag}'"):
        SequenceTagger.from_sentences(parse_conll(path))
