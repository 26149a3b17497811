"""A user's own tagger: a CRF on top of Keras's layers, with plain `compile` and `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasrnn.layers import CRF, LSTM, Bidirectional
from kerasrnn.layers.crf_loss import _sources, source_of
from tests.backends import BACKEND, arrays, assert_close, value_and_gradients
from tests.layers.test_crf import enumerate_batch, random_crf

TAGS = 3
LENGTHS = np.array([4, 1, 3, 0])  # one row is padding throughout
TOKENS = np.where(np.arange(4) < LENGTHS[:, None], np.arange(16).reshape(4, 4) % 7 + 1, 0)
TOKENS[0, 1] = 0  # a hole
GOLD = (np.arange(16).reshape(4, 4) * 5) % TAGS


def layers(theirs=True, tags=TAGS, dtype=None):
    if theirs:
        lstm = keras.layers.LSTM(4, return_sequences=True, dtype=dtype)
        both = keras.layers.Bidirectional(lstm, dtype=dtype)
    else:
        both = Bidirectional(LSTM(4, return_sequences=True, dtype=dtype), dtype=dtype)
    return [
        keras.layers.Embedding(20, 4, mask_zero=True, dtype=dtype),
        both,
        keras.layers.Dense(tags, dtype=dtype),
        CRF(tags, dtype=dtype),
    ]


def with_random_weights(model, rng):
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def sequential(rng, **arguments):
    model = keras.Sequential([keras.Input((None,), dtype="int32"), *layers(**arguments)])
    return with_random_weights(model, rng)


def functional(rng, **arguments):
    tokens = keras.Input((None,), dtype="int32")
    x = tokens
    for layer in layers(**arguments):
        x = layer(x)
    return with_random_weights(keras.Model(tokens, x), rng)


def crf_of(model):
    (crf,) = (layer for layer in model.layers if isinstance(layer, CRF))
    return crf


def compiled(model, loss=None, eager=True):
    """Eager spares a test the time in which a graph is made; some go without."""
    loss = crf_of(model).sentence_loss if loss is None else loss
    # JAX compiles a loop anew for each evaluation outside `jit`.
    eager = eager and BACKEND != "jax"
    model.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=eager)
    return model


def losses_by_enumeration(model, tokens, tags):
    """Each sentence's negative log-likelihood, by counting all paths over what is not padding."""
    crf = crf_of(model)
    paths = enumerate_batch(crf, arrays(model(tokens))[0], tokens != 0, crf.constrain_loss)
    pairs = zip(paths, tags, strict=True)
    return np.array([path.log_partition() - path.score(y) for path, y in pairs])


def measured(model, tokens=TOKENS, tags=GOLD, **arguments):
    return model.evaluate(tokens, tags, batch_size=len(tokens), verbose=0, **arguments)


# --- The loss ---


# Batch = time was silently wrong, batch ≠ time failed.
@pytest.mark.parametrize(("theirs", "rows"), [(True, 4), (False, 3)], ids=["Keras's", "ours"])
def test_the_loss_keeps_to_the_mask_of_the_embeddings(rng, theirs, rows):
    if theirs and not keras.layers.LSTM(1).supports_masking:
        pytest.skip("Keras 3.16 no longer hands masks through its own recurrent layers")
    model = sequential(rng, theirs=theirs)
    crf = crf_of(model)
    tokens, tags, weight = TOKENS[:rows], GOLD[:rows], rng.uniform(size=rows)
    expected = losses_by_enumeration(model, tokens, tags)
    found = measured(compiled(model, eager=False), tokens, tags)
    assert found == pytest.approx(expected.mean(), rel=1e-5)
    assert not _sources  # no trace is kept alive
    compiled(model)
    assert measured(model, tokens, tags) == pytest.approx(expected.mean(), rel=1e-5)
    found = measured(model, tokens, tags, sample_weight=weight)
    assert found == pytest.approx((expected * weight).mean(), rel=1e-5)
    for mask in (None, tokens != 0):
        assert_close(crf.loss(model(tokens), tags, mask), np.float32(expected.mean()), 1e-4)
    assert_close(crf.sentence_loss(tags, model(tokens)), np.float32(expected), 1e-4)


def test_negative_tags_are_left_out_beside_the_mask(rng):
    model = compiled(sequential(rng, theirs=False))
    scores, hidden = arrays(model(TOKENS))[0], np.where(np.arange(4) == 2, -1, GOLD)
    paths = enumerate_batch(crf_of(model), scores, (TOKENS != 0) & (hidden >= 0), False)
    expected = [path.log_partition() - path.score(y) for path, y in zip(paths, GOLD, strict=True)]
    assert measured(model, tags=hidden) == pytest.approx(np.mean(expected), rel=1e-5)


def test_training_follows_the_gradient_of_that_loss(rng):
    """One step of gradient descent moves the CRF's weights as `crf.loss` has it."""
    model = functional(rng, theirs=False)
    crf = crf_of(model)
    compiled(model)
    scores, mask = arrays(model(TOKENS))[0], TOKENS != 0
    tags = ops.convert_to_tensor(GOLD)
    _, gradients = value_and_gradients(
        lambda x: crf.loss(x, tags, mask), crf.trainable_variables, [scores]
    )
    before = arrays(crf.trainable_variables)
    model.fit(TOKENS, GOLD, batch_size=4, verbose=0)
    after = arrays(crf.trainable_variables)
    for a, b, gradient in zip(after, before, gradients, strict=False):
        assert_close(b - a, 0.1 * gradient, 1e-5)


def test_an_explicit_mask_counts_and_comes_before_an_implicit_one(rng):
    tokens = keras.Input((None,), dtype="int32")
    embedding, both, dense, crf = layers(theirs=False)
    mask = embedding.compute_mask(tokens)
    shown = keras.Input((None,), dtype="bool")
    plain = dense(both(keras.layers.Embedding(20, 4)(tokens), mask=mask))
    masked = keras.layers.Dense(TAGS)(embedding(tokens))
    model = keras.Model([tokens, shown], [crf(plain, mask=mask), crf(masked, mask=shown)])
    with_random_weights(model, rng)
    mask = np.flip(TOKENS != 0, axis=0)
    first, second = model([TOKENS, mask])
    for scores, expected in ((first, TOKENS != 0), (second, mask)):
        tags, score = crf.decode(scores)
        assert_close([tags, score], crf.decode(arrays(scores)[0], expected), 0.0)


# What is compiled rounds to 16 bits elsewhere than what is not.
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-5), ("mixed_bfloat16", 1e-2)])
def test_other_precisions(rng, request, dtype, error):
    if dtype == "float64":
        request.getfixturevalue("float64")
    model = compiled(sequential(rng, theirs=False, dtype=dtype))
    expected = losses_by_enumeration(model, TOKENS, GOLD).mean()
    assert measured(model) == pytest.approx(expected, rel=error)


def test_a_single_tag_and_no_time_steps(rng):
    model = compiled(sequential(rng, theirs=False, tags=1))
    assert measured(model, tags=0 * GOLD) == pytest.approx(0, abs=1e-5)
    model = compiled(keras.Sequential([keras.Input((None, TAGS)), CRF(TAGS)]))
    assert measured(model, np.zeros((2, 0, TAGS)), np.zeros((2, 0), int)) == 0


def test_two_crfs_of_a_model_and_two_models_of_a_crf(rng):
    tokens = keras.Input((None,), dtype="int32")
    scores = keras.layers.Dense(TAGS)(keras.layers.Embedding(20, 4, mask_zero=True)(tokens))
    a, b = random_crf(rng, name="a"), random_crf(rng, name="b")
    model = keras.Model(tokens, {"a": a(scores), "b": b(scores)})
    compiled(model, {"a": a.sentence_loss, "b": b.sentence_loss})
    logits, mask = arrays(model(TOKENS)["a"])[0], TOKENS != 0
    expected = sum(float(arrays(crf.loss(logits, GOLD, mask))[0]) for crf in (a, b))
    total = measured(model, tags={"a": GOLD, "b": GOLD})[0]
    assert total == pytest.approx(expected, rel=1e-5)
    unmasked = compiled(keras.Sequential([keras.Input((None, TAGS)), a]))
    assert measured(unmasked, logits) == pytest.approx(float(arrays(a.loss(logits, GOLD))[0]))
    assert measured(model, tags={"a": GOLD, "b": GOLD})[0] == pytest.approx(total)


def test_scores_of_a_layer_below_bring_their_mask(rng):
    """A model may leave the CRF to the loss, as long as it owns the layer."""

    class Tagger(keras.Model):
        def __init__(self):
            super().__init__()
            *self.below, self.crf = layers(theirs=False)

        def call(self, x):
            for layer in self.below:
                x = layer(x)
            return x

    model = Tagger()
    model(TOKENS)
    with_random_weights(model, rng)
    compiled(model, model.crf.sentence_loss)
    expected = float(arrays(model.crf.loss(model(TOKENS), GOLD, TOKENS != 0))[0])
    assert measured(model) == pytest.approx(expected, rel=1e-5)


# --- Save, load, clone ---


@pytest.mark.parametrize("make", [sequential, functional])
def test_a_compiled_model_is_saved_loaded_and_cloned(rng, make, tmp_path):
    model = compiled(make(rng, theirs=False))
    expected = measured(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    for copy in (loaded, cloned):
        assert copy.compiled and len(copy.weights) == len(model.weights)
        assert measured(copy) == pytest.approx(expected, rel=1e-6)
        before = arrays(crf_of(copy).weights)
        copy.fit(TOKENS, GOLD, batch_size=4, validation_data=(TOKENS, GOLD), verbose=0)
        assert all(
            (a != b).any() for a, b in zip(arrays(crf_of(copy).weights), before, strict=True)
        )
    assert measured(model) == pytest.approx(expected, rel=1e-6)  # nothing of it is shared


# --- Answers in a functional model ---


def prediction_model(model):
    crf = crf_of(model)
    tags, score = crf.decode(model.outputs[0])
    answers = {"tags": tags, "score": score, "confidences": crf.marginals(model.outputs[0])}
    return keras.Model(model.inputs, answers)


def test_tags_and_marginals_of_a_functional_model(rng, tmp_path):
    model = functional(rng, theirs=False)
    crf, scores, mask = crf_of(model), arrays(model(TOKENS))[0], TOKENS != 0
    paths = enumerate_batch(crf, scores, mask, constrained=True)
    best = [path.best(4) for path in paths]
    expected = {
        "confidences": np.array([path.marginals(4, TAGS) for path in paths]),
        "score": np.array([score for _, score in best]),
        "tags": np.array([tags for tags, _ in best]),
    }
    tagger = prediction_model(model)
    assert {k: (tuple(v.shape), v.dtype) for k, v in tagger.output.items()} == {
        "confidences": ((None, None, TAGS), "float32"),
        "score": ((None,), "float32"),
        "tags": ((None, None), "int32"),
    }
    assert len(tagger.weights) == len(model.weights)
    tagger.save(tmp_path / "tagger.keras")
    loaded = keras.models.load_model(tmp_path / "tagger.keras")
    cloned = keras.models.clone_model(tagger)
    cloned.set_weights(tagger.get_weights())
    for answering in (tagger, loaded, cloned):
        answering.compile(run_eagerly=BACKEND != "jax")
        found = answering.predict(TOKENS, verbose=0)
        assert_close([found[k] for k in expected], list(expected.values()))
    mask = keras.Input((None,), dtype="bool")
    explicit = keras.Model([*model.inputs, mask], crf.decode(model.outputs[0], mask=mask)[0])
    assert_close(explicit([TOKENS, TOKENS != 0]), expected["tags"])


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_loaded_model_is_exported_and_answers(rng, tmp_path):
    import tensorflow as tf

    model = compiled(sequential(rng, theirs=False))
    model.save(tmp_path / "model.keras")
    tagger = prediction_model(keras.models.load_model(tmp_path / "model.keras"))
    tagger.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    for rows, steps in ((4, 4), (1, 2), (0, 3)):
        tokens = TOKENS[:rows, :steps].astype("int32")
        found = saved.serve([tokens])
        assert found["tags"].shape == (rows, steps)
        if rows:  # Keras's LSTM answers no rows in a graph only
            expected = tagger(tokens)
            assert_close([found[k] for k in expected], list(expected.values()))


# --- No rows ---


@pytest.mark.parametrize("time", [0, 3])
def test_no_rows_have_no_answers_and_no_loss(rng, time):
    crf = random_crf(rng, allowed_starts=[1, 1, 0])
    logits, tags = np.zeros((0, time, TAGS), "float32"), np.zeros((0, time), "int32")
    shapes = [x.shape for x in arrays([*crf.decode(logits), crf.marginals(logits)])]
    assert shapes == [(0, time), (0,), (0, time, TAGS)]
    for function in (crf.log_likelihood, crf.path_score):
        assert arrays(function(logits, tags))[0].shape == (0,)
    assert arrays(crf.log_partition(logits))[0].shape == (0,)
    assert arrays(crf.sentence_loss(tags, logits))[0].shape == (0,)
    assert_close(crf.loss(logits, tags), np.float32(0), 0.0)
    assert_close(crf.loss(logits, tags, sample_weight=np.zeros(0)), np.float32(0), 0.0)


# --- Errors ---


def test_what_cannot_be_meant_is_refused(rng):
    crf = random_crf(rng)
    scores = crf(rng.normal(size=(4, 4, TAGS)))
    with pytest.raises(ValueError, match=r"use `compile\(loss=crf.sentence_loss\)`"):
        crf.loss(GOLD, scores)  # what `compile(loss=crf.loss)` comes to
    for loss in (crf.sentence_loss, lambda y, p, w: crf.loss(p, y, sample_weight=w)):
        with pytest.raises(ValueError, match=r"shape \(batch,\).* Received shape: \(4, 4\)"):
            loss(GOLD, scores, np.ones((4, 4)))
        column = np.arange(4.0)[:, None]
        assert_close(loss(GOLD, scores, column), loss(GOLD, scores, column[:, 0]), 0.0)
    with pytest.raises(ValueError, match="come from another CRF layer"):
        CRF(TAGS).sentence_loss(GOLD, scores)
    unbound = type(crf.sentence_loss).from_config(crf.sentence_loss.get_config())
    assert_close(unbound(GOLD, scores), crf.sentence_loss(GOLD, scores), 0.0)
    with pytest.raises(ValueError, match="needs the scores that a CRF layer returned"):
        unbound(GOLD, arrays(scores)[0])
    with pytest.raises(ValueError, match=r"Unknown `answer`: 'decode'. Expected 'tags'"):
        crf(scores, answer="decode")
    assert source_of(scores).mask is None
