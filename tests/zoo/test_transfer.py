"""A new head on a trained body, and parts of a model that are frozen."""

import keras
import numpy as np
import pytest

from kerasrnn import zoo
from kerasrnn.data import TaggedSentence
from kerasrnn.zoo import SequenceTagger, Task, TextClassifier, list_presets
from kerasrnn.zoo.transfer import heads_with_labels, names_of_parts, own_weights
from tests.zoo.tiny_tasks import SENTENCES, TASKS, those_of, tiny

DRUGS = ["O", "B-DRUG", "I-DRUG"]
OTHERS = [TaggedSentence(("Take", "Aspirin", "daily"), ("O", "B-DRUG", "O"))] * 4


def numbers(task):
    return {
        path: [weight.numpy() for weight in weights] for path, weights in own_weights(task).items()
    }


def moved(before, after):
    """The paths of the layers whose weights are others, be it by a bit."""

    def alike(path):
        pairs = before.get(path, []), after.get(path, [])
        return [a.shape for a in pairs[0]] == [b.shape for b in pairs[1]] and all(
            one.tobytes() == other.tobytes() for one, other in zip(*pairs, strict=True)
        )

    return {path for path in before.keys() | after.keys() if not alike(path)}


def differing(one, other):
    return moved(numbers(one), numbers(other))


def tagger(**arguments):
    """A tagger whose head has learnt something: its weights are none that a new one could have."""
    keras.utils.set_random_seed(2)
    task = tiny("SequenceTagger", crf=True, **arguments)[0]
    for weight in task.weights:
        weight.assign(np.random.default_rng(7).normal(size=weight.shape))
    return task


def classifier(**arguments):
    keras.utils.set_random_seed(2)
    task = tiny("TextClassifier", **arguments)[0]
    for weight in task.weights:
        weight.assign(np.random.default_rng(7).normal(size=weight.shape))
    return task


# === A new head ===


def test_a_new_head_stands_on_the_same_body():
    old = tagger()
    new = old.new_head(tags=DRUGS)
    assert new.inventory.tags == tuple(DRUGS)
    assert differing(old, new) == {"network/tag_scores", "head/crf"}
    assert new.vocabulary.terms == old.vocabulary.terms
    kept = {"words", "units", "cell", "scheme", "crf"}
    assert {k: new.arguments()[k] for k in kept} == {k: old.arguments()[k] for k in kept}
    new.fit(OTHERS, epochs=1, verbose=0)
    assert differing(old, new) >= {"network/word_embeddings"}
    assert differing(old, old.new_head()) == {"network/tag_scores", "head/crf"}


def test_the_head_follows_the_random_seed():
    heads = []
    for seed in (4, 4, 5):
        old = tagger()
        keras.utils.set_random_seed(seed)
        heads.append(old.new_head(tags=DRUGS))
    assert not differing(heads[0], heads[1])
    assert differing(heads[0], heads[2]) == {"network/tag_scores"}  # a field begins with zeros


def test_other_options_of_a_head():
    old = tagger()
    new = old.new_head(tags=["ADP", "PROPN"], scheme="none", crf=False)
    assert differing(old, new) == {"network/tag_scores", "head/crf"}
    assert new.predict([["In", "Paris"]])[0][0].tag in ("ADP", "PROPN")
    wide = old.new_head(tags=["O", "S-A", "B-A", "I-A", "E-A"], scheme="BIOES", recall_margin=2.0)
    assert wide.settings["recall_margin"] == 2.0
    free = old.new_head(constrained=False)
    assert free.head.crf.allowed_transitions is None


def test_a_tagger_has_two_heads():
    old = tagger(labels=["fact", "question"])
    assert differing(old, old.new_head(tags=DRUGS)) == {"network/tag_scores", "head/crf"}
    other = old.new_head(labels=["a", "b", "c"])
    assert differing(old, other) == {"network/label_scores"}
    assert other.label_inventory.tags == ("a", "b", "c")
    for none in (None, [], np.array([])):
        assert old.new_head(labels=none).label_inventory is None
    assert differing(old, old.new_head(tags=DRUGS, labels=None)) == {
        "network/tag_scores",
        "head/crf",
        "network/label_scores",
    }
    assert differing(tagger(), tagger().new_head(labels=["a", "b"])) == {"network/label_scores"}


def test_attention_belongs_to_the_body_where_both_have_it():
    old = classifier(pooling="attention+max")
    scores, attention = "network/label_scores", "network/attention_pooling"
    labels = ["a", "b", "c"]
    assert differing(old, old.new_head(labels=labels)) == {scores}
    assert differing(old, old.new_head(labels=labels, pooling="attention")) == {scores}
    assert differing(old, old.new_head(labels=labels, pooling="max")) == {scores, attention}
    assert differing(old, old.new_head(attention_units=9)) == {scores, attention}
    new = classifier(attention_units=10**6).new_head(labels=labels, pooling="attention")
    assert new.settings["attention_units"] == 50  # what meant nothing does not come to mean much
    for made, learning in ((new, True), (old.new_head(labels=labels), False)):
        made.freeze("body")
        assert made.network.get_layer("attention_pooling").query.trainable is learning


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tags": ["O", "O"]}, r"'tags' must hold distinct strings"),
        ({"tags": ["O", ""]}, r"'tags' holds an empty string"),
        ({"tags": ["O"]}, r"`tags` must hold at least two names"),
        ({"tags": []}, r"`tags` must hold at least two names"),
        ({"tags": None}, r"'tags' must be a sequence of strings"),
        ({"tags": "OB"}, r"'tags' must be a sequence of strings"),
        ({"tags": [1, 2]}, r"'tags' must hold str"),
        ({"tags": ["NOUN", "VERB"]}, r"'NOUN', which is not a tag of scheme BIO"),
        ({"tags": ["O", "I-X"]}, r"'I-X' but not 'B-X'"),
        ({"tags": DRUGS, "scheme": "BILOU"}, r"`scheme`: 'BILOU'. Expected one of BIO"),
        ({"labels": ["a", "a"]}, r"'labels' must hold distinct strings"),
        ({"labels": ["a", ""]}, r"'labels' holds an empty string"),
        ({"labels": ["a"]}, r"`labels` must hold at least two"),
        ({"labels": "ab"}, r"'labels' must be a sequence of strings"),
    ],
)
def test_labels_that_are_none(changes, message, tmp_path):
    old = tagger()
    with pytest.raises(ValueError, match=message):
        old.new_head(**changes)
    with pytest.raises(ValueError, match=message):
        SequenceTagger.from_preset(old.save_to_preset(tmp_path / "preset"), **changes)


def test_labels_of_a_constructor_are_named():
    for labels, error in ((["a", "a"], "distinct"), (["a"], "at least two"), (["a", ""], "empty")):
        with pytest.raises(ValueError, match=f"labels.*{error}"):
            SequenceTagger(["in"], ["O", "B-X"], labels=labels, units=2)
        with pytest.raises(ValueError, match=f"labels.*{error}"):
            TextClassifier(["in"], labels, units=2)


def test_what_is_not_of_a_head():
    with pytest.raises(ValueError, match=r"`units` is no argument of the head of SequenceTagger"):
        tagger().new_head(units=7)
    with pytest.raises(ValueError, match=r"LanguageModel has no head with labels"):
        tiny("LanguageModel")[0].new_head()
    with pytest.raises(ValueError, match=r"`recall_margin` needs a scheme with entities"):
        tagger().new_head(tags=["A", "B"], scheme="none", recall_margin=1.0)
    # What was good for the old tags is not handed on to others.
    assert tagger(recall_margin=1.0).new_head(tags=DRUGS).settings["recall_margin"] == 0
    assert tagger(recall_margin=1.0).new_head(crf=False).settings["recall_margin"] == 1


# === From a preset ===


def test_the_same_labels_keep_the_head(tmp_path):
    old = tagger(labels=["fact", "question"])
    folder = old.save_to_preset(tmp_path / "preset")
    tags = list(old.inventory.tags)
    for overrides in (
        {"tags": tags},
        {"tags": tags[::-1]},
        {"tags": np.array(tags)},
        {"tags": tuple(tags), "scheme": "BIO", "labels": ["question", "fact"]},
        {"recall_margin": 2.0},
        {"tags": tags, "recall_margin": 2.0, "constrained": False},
    ):
        assert not differing(old, SequenceTagger.from_preset(folder, **overrides)), overrides
    assert SequenceTagger.from_preset(folder, recall_margin=2.0).settings["recall_margin"] == 2.0
    head = {"network/tag_scores", "head/crf"}
    for overrides in ({"tags": tags[:-1]}, {"tags": tags, "crf": False}):
        assert differing(old, SequenceTagger.from_preset(folder, **overrides)) == head
    assert SequenceTagger.from_preset(folder, tags=DRUGS).label_inventory.tags == (
        "fact",
        "question",
    )
    assert SequenceTagger.from_preset(folder, labels=[]).label_inventory is None


def test_what_else_is_given_goes_with_a_new_head(tmp_path):
    folder = tagger(dropout=0.25).save_to_preset(tmp_path / "preset")
    new = SequenceTagger.from_preset(folder, tags=DRUGS, dropout=0.5, dtype="mixed_bfloat16")
    assert new.settings["dropout"] == 0.5
    assert new.dtype_policy.name == "mixed_bfloat16"
    assert new.network.get_layer("rnn").dtype_policy.name == "mixed_bfloat16"
    assert Task.from_preset(folder, tags=DRUGS).inventory.tags == tuple(DRUGS)


@pytest.mark.parametrize(
    "overrides", [{"words": ["x"]}, {"cell": "gru"}, {"units": 10**6}, {"depth": 2}, {"foo": 1}]
)
def test_a_new_head_lets_nothing_else_through(tmp_path, overrides):
    folder = tagger().save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"cannot be replaced|model.weights.h5|unknown setting"):
        SequenceTagger.from_preset(folder, tags=DRUGS, **overrides)


def test_options_of_a_head_need_its_labels(tmp_path):
    folder = classifier(pooling="max").save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"`pooling` .*, or give `labels` as well, for a new head"):
        TextClassifier.from_preset(folder, pooling="mean")
    new = TextClassifier.from_preset(folder, labels=["bad", "good"], pooling="mean")
    assert new.settings["pooling"] == "mean"


def test_what_is_frozen_stays_so_below_a_new_head(tmp_path):
    old = tagger()
    old.freeze("words")
    folder = old.save_to_preset(tmp_path / "words")
    assert SequenceTagger.from_preset(folder, tags=DRUGS).frozen == ("words",)
    old.trainable = False
    folder = old.save_to_preset(tmp_path / "all")
    new = SequenceTagger.from_preset(folder, tags=DRUGS)
    assert {w.path for w in new.trainable_weights} == {
        *("tag_scores/kernel", "tag_scores/bias"),
        *("crf/transitions", "crf/starts", "crf/ends"),
    }
    assert not SequenceTagger.from_preset(folder, tags=DRUGS, trainable=True).frozen
    assert not SequenceTagger.from_preset(folder, tags=DRUGS, trainable=False).trainable_weights


LABELLED = [preset for preset in list_presets() if heads_with_labels(getattr(zoo, preset.task))]


def shipped(preset):
    """A shipped preset and one with a new head, with what to train that on."""
    old = Task.from_preset(preset.name)
    if preset.task == "SequenceTagger":
        new = Task.from_preset(preset.name, tags=["A", "B"], scheme="none", crf=False)
        x, y = [["In", "Paris"], ["Bo"]], [["A", "B"], ["A"]]
        if new.label_inventory:
            y = (y, list(new.label_inventory.tags[:2]))
        return old, new, {"network/tag_scores", "head/crf"} & numbers(old).keys(), (x, y)
    new = Task.from_preset(preset.name, labels=["A", "B"])
    return old, new, {"network/label_scores"}, (["In Paris", "Bo"], ["A", "B"])


@pytest.mark.parametrize("preset", LABELLED, ids=lambda preset: preset.name)
def test_every_shipped_preset_takes_other_labels(preset):
    old, new, head, _ = shipped(preset)
    assert differing(old, new) == head


@pytest.mark.slow
@pytest.mark.parametrize("preset", LABELLED, ids=lambda preset: preset.name)
def test_every_shipped_preset_learns_other_labels(preset, tmp_path):
    old, new, head, (x, y) = shipped(preset)
    new.freeze("body")
    new.fit(x, y, epochs=1, verbose=0)
    assert differing(old, new) == head | ({"network/label_scores"} & numbers(old).keys())
    assert np.isfinite(new.evaluate(x, y)["loss"])
    again = Task.from_preset(new.save_to_preset(tmp_path / "preset"))
    assert again.frozen == ("words", "body")
    assert again.predict(x) == new.predict(x)
    new.save(tmp_path / "task.keras")
    assert keras.saving.load_model(tmp_path / "task.keras").predict(x) == new.predict(x)


@pytest.mark.slow
def test_a_new_head_is_exported(tmp_path):
    for new in (tagger().new_head(tags=DRUGS), classifier().new_head(labels=["a", "b", "c"])):
        assert new.export(tmp_path / type(new).__name__).verified


# === Frozen parts ===


@pytest.mark.parametrize("name", TASKS)
def test_what_is_frozen_does_not_move(name, tmp_path):
    for what, paths in names_of_parts(tiny(name)[0]).items():
        task, fit = tiny(name, **those_of(name, dropout=0.0))
        before = numbers(task)
        task.freeze(what)
        assert what in task.frozen
        fit(epochs=1)
        assert moved(before, numbers(task)) == before.keys() - set(paths)
        again = Task.from_preset(task.save_to_preset(tmp_path / what))
        assert again.frozen == task.frozen
        again.unfreeze(what)
        assert again.frozen == ()


def test_names_of_parts():
    assert set(names_of_parts(tiny("SequenceTagger")[0])) == {"words", "body"}
    with pytest.raises(ValueError, match=r"Unknown part 'head' of SequenceTagger. .* words, body"):
        tiny("SequenceTagger")[0].freeze("head")
    with pytest.raises(ValueError, match=r"Unknown part 'words' of MemoryModel. .* one of body"):
        tiny("MemoryModel")[0].unfreeze("words")
    # The matrix of words scores: without it nothing would be left.
    assert set(names_of_parts(tiny("LanguageModel", tied=True)[0])) == {"words"}


def test_words_within_a_frozen_body():
    task = tagger()
    task.freeze("body")
    assert task.frozen == ("words", "body")
    task.unfreeze("words")
    assert task.frozen == ()
    learning = {w.path.split("/")[0] for w in task.trainable_weights}
    assert learning == {"word_embeddings", "tag_scores", "crf"}
    task.freeze("words")
    task.unfreeze("body")
    assert task.frozen == ()
    task.network.trainable = False
    task.unfreeze("words")
    learning = {w.path.split("/")[0] for w in task.trainable_weights}
    assert learning == {"word_embeddings", "crf"}
    task.trainable = False
    task.unfreeze()
    assert len(task.trainable_weights) == len(task.weights)


def test_what_a_constructor_freezes_learns_when_it_is_named():
    task = tagger(train_words=False)
    assert task.frozen == ("words",)
    task.freeze("body")
    for what in ("body", None):
        task.unfreeze(what)
        assert task.frozen == ("words",)
    task.unfreeze("words")
    assert task.frozen == ()
    assert type(task).from_config(task.get_config()).frozen == ()


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_freezing_a_compiled_model(dtype):
    task = tagger(dtype=dtype, dropout=0.0)
    task.compile(keras.optimizers.Adam(0.01, global_clipnorm=3.0))
    task.fit(SENTENCES, epochs=2, verbose=0)
    task.optimizer.learning_rate = 0.02
    optimizer, before = task.optimizer, numbers(task)
    task.freeze("body")
    task.fit(SENTENCES, epochs=1, verbose=0)
    after = numbers(task)
    assert moved(before, after) == before.keys() - set(names_of_parts(task)["body"])
    assert task.optimizer is not optimizer
    assert float(task.optimizer.learning_rate) == pytest.approx(0.02)
    assert task.optimizer.global_clipnorm == 3.0 or dtype == "mixed_float16"
    assert len(_slots(task)) == 2 * len(task.trainable_variables)
    kept = task.optimizer
    task.freeze("words")  # it is already
    assert task.optimizer is kept
    task.unfreeze()
    task.fit(SENTENCES, epochs=1, verbose=0)
    assert moved(after, numbers(task)) == after.keys()
    assert len(_slots(task)) == 2 * len(task.trainable_variables)


def _slots(task):
    return [v for v in task.optimizer.variables if tuple(v.shape)]


def test_behind_unfreezing_the_optimizer_is_a_new_one():
    """Zeros taken for the means of many steps would make the first ones several times too long."""
    task = tagger(dropout=0.0)
    task.compile(keras.optimizers.Adam(0.001))
    task.freeze("words")
    task.fit(SENTENCES, epochs=20, batch_size=6, verbose=0)
    other = tagger(dropout=0.0)
    other.set_weights(task.get_weights())
    other.compile(keras.optimizers.Adam(0.001))
    task.unfreeze()
    for each in (task, other):
        each.fit(SENTENCES, epochs=2, batch_size=6, seed=1, verbose=0)
    for path, weights in numbers(task).items():
        for one, new in zip(weights, numbers(other)[path], strict=True):
            np.testing.assert_allclose(one, new, atol=1e-6)


def test_a_frozen_model_goes_on_where_it_was_saved(tmp_path):
    task = tagger(dropout=0.0)
    task.freeze("words")
    task.compile(keras.optimizers.Adam(0.01))
    task.fit(SENTENCES, epochs=1, seed=1, verbose=0)
    task.save(tmp_path / "task.keras")
    loaded = keras.saving.load_model(tmp_path / "task.keras")
    assert loaded.frozen == ("words",)
    for each in (task, loaded):
        each.fit(SENTENCES, epochs=3, initial_epoch=1, seed=1, verbose=0)
    for path, weights in numbers(task).items():
        for one, other in zip(weights, numbers(loaded)[path], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


# === More words ===

OLD = [["In", "Paris", "."], ["Ada", "saw", "Bo"]]


def without_table(task):
    return {p: w for p, w in numbers(task).items() if p != task.word_layers[0]}


@pytest.mark.parametrize("vectors", [None, "pieces", "matrix"])
@pytest.mark.parametrize("name", ["SequenceTagger", "TextClassifier"])
def test_more_words(name, vectors, tmp_path):
    old = tagger(spelling="cnn") if name == "SequenceTagger" else classifier()
    terms = old.vocabulary.terms
    if vectors == "matrix":
        known = np.random.default_rng(3).normal(size=(len(terms), 2))
        vectors = ([*terms, "rome", "Rome"], np.vstack([known, [[1.0, 2.0]], [[9.0, 9.0]]]))
    old.freeze("words")
    akin = max(terms, key=len) + "s"
    new = old.with_words(["Rome", terms[0], "ROME", "2024", akin, "1999"], vectors)
    assert new.vocabulary.terms == (*terms, "rome", "0000", akin)
    assert new.frozen == ("words",)
    assert not moved(without_table(old), without_table(new))
    path = old.word_layers[0]
    [table], [longer] = numbers(old)[path], numbers(new)[path]
    assert longer[: len(table)].tobytes() == table.tobytes()
    assert new.predict(old_texts(old)) == old.predict(old_texts(old))
    rows = longer[len(table) :]
    if vectors is None:
        assert (rows == table[1]).all()
    elif vectors == "pieces":
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)  # of both no piece is known
        assert np.abs(rows[2] - rows[0]).max() > 0.01
    else:
        expected = [1.0, 2.0] @ np.linalg.lstsq(known, table[2:].astype(float))[0]
        np.testing.assert_allclose(rows[0], expected, atol=1e-4)
        assert (rows[1:] == table[1]).all()
    again = type(new).from_preset(new.save_to_preset(tmp_path / "preset"))
    assert not differing(new, again)
    new.unfreeze()
    new.fit(*TASKS[name].data(), epochs=1, verbose=0)


def old_texts(task):
    return OLD if type(task) is SequenceTagger else [" ".join(words) for words in OLD]


def test_no_more_words():
    old = tagger()
    for words in ([], ["Paris", "paris"]):
        for vectors in (None, "pieces"):
            assert not differing(old, old.with_words(words, vectors))
    assert old.with_words(["x"]).new_head(tags=DRUGS).vocabulary.terms[-1] == "x"


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        ("rome", None, r"'words' must be a sequence of strings"),
        ([1], None, r"'words' must hold str"),
        (["a", ""], None, r"`words` holds an empty string at position 1"),
        (["a"], "letters", r"`vectors` must be None, 'pieces', an EmbeddingMatrix.*'letters'"),
        (["a"], 5, r"`vectors` must be None, 'pieces'"),
        (["a"], (["a", "b"], np.zeros((3, 2))), r"each of its 2 terms.*\(3, 2\)"),
        (["a"], (["a"], [[np.nan]]), r"finite vector"),
        (["a"], (["a", "paris"], np.ones((2, 2))), r"Too few words .* 1 of 6. Expected at least 4"),
    ],
)
def test_words_and_vectors_that_are_none(words, vectors, message):
    with pytest.raises(ValueError, match=message):
        tagger().with_words(words, vectors)


def test_models_to_which_no_words_can_be_added():
    with pytest.raises(ValueError, match=r"this TextClassifier: it reads characters"):
        classifier(level="characters").with_words(["a"])
    with pytest.raises(ValueError, match=r"this MemoryModel: its class has no such"):
        tiny("MemoryModel")[0].with_words(["a"])


def test_vectors_of_another_length_are_refused_where_nothing_maps_them():
    task = tagger()
    with pytest.raises(ValueError, match=r"`matrix` must have the shape \(8, 4\).*\(8, 7\)"):
        task.set_word_vectors(np.zeros((8, 7)), np.ones(8, bool))


# === A language model's body ===


def language_model(**arguments):
    keras.utils.set_random_seed(3)
    task = tiny("LanguageModel", **{"level": "words", **arguments})[0]
    for weight in task.weights:
        weight.assign(np.random.default_rng(7).normal(size=weight.shape))
    return task


def started(name, model, **arguments):
    labels = ["a", "b"] if name == "TextClassifier" else ["O", "B-X"]
    return getattr(zoo, name).from_language_model(model, labels, **arguments)


@pytest.mark.parametrize(
    ("name", "options", "arguments"),
    [
        ("TextClassifier", {}, {"pooling": "attention+max"}),
        ("TextClassifier", {"level": "characters", "depth": 2, "cell": "gru"}, {}),
        ("TextClassifier", {"tied": True, "dimension": 6}, {"bidirectional": True}),
        ("SequenceTagger", {"cell": "gru", "lowercase": True}, {}),
        ("SequenceTagger", {"depth": 2}, {"crf": False}),
        ("SequenceTagger", {}, {"bidirectional": True}),
    ],
)
def test_a_task_on_a_language_model(name, options, arguments, tmp_path):
    model = language_model(**options)
    task = started(name, model, **arguments)
    assert task.vocabulary.terms == model.text_units.terms
    old, new = numbers(model), numbers(task)
    assert new[task.word_layers[0]][0].tobytes() == old["network/embedding"][0].tobytes()
    both = arguments.get("bidirectional")
    kept = {path for path in old if path.startswith("network/rnn")}
    assert len(kept) == model.settings["depth"]
    for path in kept:
        place = path.replace("/layer_1", "/both_1/forward_layer_1") if both else path
        assert [w.tobytes() for w in new[place]] == [w.tobytes() for w in old[path]]
    # The states that are pooled, or scored, are those of the language model.
    text = "to be or not"
    split = text.split() if task.settings.get("level", "words") == "words" else list(text)
    ids = np.array([task.vocabulary(split).numpy()])
    assert (ids > 1).all()
    network = task.network
    hidden = keras.Model(network.inputs, network.get_layer("rnn").output)
    table, rnn = model.network.embedding, model.network.rnn
    found = hidden({next(iter(network.input)): ids})[..., : model.settings["units"]]
    np.testing.assert_allclose(found, rnn(table(ids))[0], atol=1e-6)
    task.freeze("body")
    learning = {weight.path.split("/")[0] for weight in task.trainable_weights}
    assert not learning & {"token_embeddings", "word_embeddings"}
    assert ("rnn" in learning) is bool(both)  # the layers that read from the right
    assert ("attention_pooling" in learning) is (name == "TextClassifier")
    again = type(task).from_preset(task.save_to_preset(tmp_path / "preset"))
    assert again.predict([text]) == task.predict([text])


def test_what_a_language_model_decides():
    for name, arguments, message in (
        ("TextClassifier", {"units": 7}, r"`units` is that of the language model: 4"),
        ("TextClassifier", {"level": "words"}, r"`level` is that of the language model: 'words'"),
        ("SequenceTagger", {"words": ["a"]}, r"`words` is that of the language model"),
        ("SequenceTagger", {"word_dimension": 4}, r"`word_dimension` is that of the language"),
        ("SequenceTagger", {"spelling": "cnn"}, r"`spelling` is that of the language model"),
        ("SequenceTagger", {"capitals": True}, r"`capitals` is that of the language model"),
        ("SequenceTagger", {"subwords": ["a"]}, r"`subwords` is that of the language model"),
        ("TextClassifier", {"foo": 1}, r"has no argument 'foo'"),
    ):
        with pytest.raises(ValueError, match=message):
            started(name, language_model(), **arguments)
    with pytest.raises(ValueError, match=r"`bidirectional` must be False .* several layers"):
        started("TextClassifier", language_model(depth=2), bidirectional=True)
    with pytest.raises(ValueError, match=r"the level of characters. Expected .* of words"):
        started("SequenceTagger", language_model(level="characters"))
    with pytest.raises(ValueError, match=r"the level of bytes. Expected .* words or characters"):
        bytes_model = zoo.LanguageModel(level="bytes", units=4, dimension=4)
        started("TextClassifier", bytes_model)
    with pytest.raises(ValueError, match=r"'labels' must hold distinct"):
        zoo.TextClassifier.from_language_model(language_model(), ["a", "a"])
    with pytest.raises(ValueError, match=r"`model` must be a LanguageModel. Received: MemoryModel"):
        started("TextClassifier", tiny("MemoryModel")[0])
