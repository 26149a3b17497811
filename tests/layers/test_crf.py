"""The CRF against the enumeration of all paths, on the backend in use."""

from itertools import pairwise, product

import keras
import numpy as np
import pytest

from kerasrnn.layers.crf import CRF
from tests.backends import (
    BACKEND,
    COMPILED,
    MODES,
    arrays,
    assert_close,
    compiled,
    directional_check,
    tensors,
    value_and_gradients,
    weighted_sum,
)

BATCH, TIME, TAGS = 8, 5, 3
MASK = np.array(
    [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0],  # padded on the right
        [0, 0, 1, 1, 1],  # on the left
        [1, 0, 0, 1, 1],  # a hole
        [0, 1, 0, 1, 0],
        [0, 0, 0, 1, 0],  # one token
        [0, 0, 0, 0, 0],  # none
        [1, 1, 0, 1, 1],
    ],
    bool,
)
# JAX compiles a scan anew for each evaluation outside `jit`.
QUICK_MODES = ("jit",) if BACKEND == "jax" else MODES
# Tag 2 follows 1 or 2 only, and cannot start; 1 cannot end.
ALLOWED = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 1]], bool)
CONSTRAINTS = {
    "allowed_transitions": ALLOWED,
    "allowed_starts": [True, True, False],
    "allowed_ends": [True, False, True],
}


def random_crf(rng, **arguments):
    crf = CRF(arguments.pop("num_tags", TAGS), **arguments)
    for weight in crf.weights:
        weight.assign(rng.normal(size=weight.shape))
    return crf


def random_batch(rng, batch=BATCH, time=TIME, tags=TAGS):
    logits = rng.normal(size=(batch, time, tags), scale=2).astype("float32")
    return logits, rng.integers(0, tags, (batch, time)).astype("int32")


class Enumeration:
    """All paths over what the mask leaves of one sentence, with their scores, in float64."""

    def __init__(self, crf, logits, mask, constrained):
        weights = {w.name: np.float64(w) for w in crf_weights(crf)}
        none = np.zeros(crf.num_tags)
        self.positions = np.flatnonzero(mask)
        self.scores = {}
        for path in product(range(crf.num_tags), repeat=len(self.positions)):
            if constrained and not legal(crf, path):
                continue
            score = sum(np.float64(logits[t, k]) for t, k in zip(self.positions, path, strict=True))
            score += sum(weights["transitions"][a, b] for a, b in pairwise(path))
            if path:
                score += weights.get("starts", none)[path[0]] + weights.get("ends", none)[path[-1]]
            self.scores[path] = score

    def log_partition(self):
        return np.logaddexp.reduce(list(self.scores.values()))

    def score(self, tags):
        return self.scores[tuple(int(tags[t]) for t in self.positions)]

    def best(self, time):
        path = max(self.scores, key=self.scores.__getitem__)
        tags = np.zeros(time, int)
        tags[self.positions] = path
        return tags, self.scores[path]

    def marginals(self, time, num_tags):
        found = np.zeros((time, num_tags))
        total = self.log_partition()
        for path, score in self.scores.items():
            for t, k in zip(self.positions, path, strict=True):
                found[t, k] += np.exp(score - total)
        return found


def crf_weights(crf):
    class Weight:
        def __init__(self, variable):
            self.name = variable.name
            self.value = keras.ops.convert_to_numpy(variable)

        def __array__(self, *arguments, **keywords):
            return self.value

    return [Weight(w) for w in crf.weights]


def legal(crf, path):
    transitions, starts, ends = crf.allowed_transitions, crf.allowed_starts, crf.allowed_ends
    if not path:
        return True
    return bool(
        (transitions is None or all(transitions[a][b] for a, b in pairwise(path)))
        and (starts is None or starts[path[0]])
        and (ends is None or ends[path[-1]])
    )


def enumerate_batch(crf, logits, mask, constrained):
    pairs = zip(logits, mask, strict=True)
    return [Enumeration(crf, x, m, constrained) for x, m in pairs]


# --- Against the enumeration ---


@pytest.mark.parametrize("mode", QUICK_MODES)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"use_boundaries": False}, {**CONSTRAINTS}, {"use_boundaries": False, **CONSTRAINTS}],
    ids=["free", "no boundaries", "constrained", "constrained, no boundaries"],
)
@pytest.mark.slow
def test_all_answers_are_those_of_enumeration(rng, arguments, mode):
    if mode in ("graph", "xla") and arguments.get("use_boundaries") is False:
        pytest.skip("weights that are left out are no matter of how the rest is compiled")
    crf = random_crf(rng, **arguments)
    logits, tags = random_batch(rng)
    mask = MASK

    def everything(logits, tags, mask):
        return (
            crf.log_likelihood(logits, tags, mask),
            crf.path_score(logits, tags, mask),
            crf.log_partition(logits, mask),
            *crf.decode(logits, mask),
            crf.marginals(logits, mask),
        )

    signature = [((None, None, TAGS), "float32"), ((None, None), "int32"), ((None, None), "bool")]
    run = compiled(everything, mode, signature)
    likelihood, score, partition, best, best_score, marginals = run(*tensors([logits, tags, mask]))
    free = enumerate_batch(crf, logits, mask, constrained=False)
    kept = enumerate_batch(crf, logits, mask, constrained=True)
    scores = np.array([e.score(y) for e, y in zip(free, tags, strict=True)])
    partitions = np.array([e.log_partition() for e in free])
    assert_close([score, partition, likelihood], [scores, partitions, scores - partitions])
    assert_close(best, np.array([e.best(TIME)[0] for e in kept]))
    assert_close(best_score, np.array([e.best(TIME)[1] for e in kept]))
    assert_close(marginals, np.array([e.marginals(TIME, TAGS) for e in kept]))
    assert arrays(best)[0].dtype == np.int32


def test_a_constrained_loss_sums_legal_paths_only(rng):
    crf = random_crf(rng, constrain_loss=True, **CONSTRAINTS)
    logits, _ = random_batch(rng)
    kept = enumerate_batch(crf, logits, MASK, constrained=True)
    tags = np.array([e.best(TIME)[0] for e in kept], "int32")
    expected = [e.score(y) - e.log_partition() for e, y in zip(kept, tags, strict=True)]
    assert_close(crf.log_likelihood(logits, tags, MASK), np.array(expected))


def test_an_illegal_gold_sequence_gives_a_finite_loss_and_bounded_gradients(rng):
    crf = random_crf(rng, constrain_loss=True, **CONSTRAINTS)
    logits, _ = random_batch(rng, batch=1)
    tags = np.full((1, TIME), 2, "int32")  # starts with what may not start
    loss, gradients = value_and_gradients(
        lambda x: crf.loss(x, tags), crf.trainable_variables, [logits]
    )
    assert 0.9e9 < loss < 1.1e9
    assert all(np.abs(g).max() <= TIME for g in gradients)


def test_without_a_legal_path_decoding_breaks_as_few_constraints_as_it_can():
    # Tag 0 must start and is followed by itself only, but may not end: one break at the least.
    crf = CRF(2, [[1, 0], [0, 1]], [1, 0], [0, 1])
    logits = np.zeros((1, 4, 2), "float32")
    tags, score = arrays(crf.decode(logits))
    breaks = int(tags[0, 0] == 1) + int((np.diff(tags[0]) != 0).sum()) + int(tags[0, -1] == 0)
    assert breaks == 1
    assert np.isfinite(score).all()
    assert np.isfinite(arrays(crf.marginals(logits))[0]).all()


def test_a_row_without_tokens_has_likelihood_one_and_tags_zero(rng):
    crf = random_crf(rng)
    logits, tags = random_batch(rng, batch=2)
    mask = np.zeros((2, TIME), bool)
    best, score = crf.decode(logits, mask)
    zeros = np.zeros(2)
    assert_close([crf.log_likelihood(logits, tags, mask), score], [zeros, zeros], 0.0)
    assert_close(best, np.zeros((2, TIME)), 0.0)
    assert_close(crf.marginals(logits, mask), np.zeros((2, TIME, TAGS)), 0.0)


def test_what_padding_holds_makes_no_difference(rng):
    crf = random_crf(rng)
    logits, tags = random_batch(rng)
    dirty = np.where(MASK[:, :, None], logits, np.float32("nan"))
    dirty[1, 4] = np.inf
    dirty_tags = np.where(MASK, tags, 10**6).astype("int32")
    for function in (crf.decode, crf.marginals):
        assert_close(function(dirty, MASK), function(logits, MASK), 0.0)
    clean = crf.log_likelihood(logits, tags, MASK)
    assert_close(crf.log_likelihood(dirty, dirty_tags, MASK), clean, 0.0)
    _, gradients = value_and_gradients(
        lambda x: crf.loss(x, tensors([dirty_tags])[0], MASK), crf.weights, [dirty]
    )
    assert all(np.isfinite(g).all() for g in gradients)
    assert not gradients[-1][~MASK].any()


def test_negative_tags_are_left_out(rng):
    crf = random_crf(rng)
    logits, tags = random_batch(rng)
    expected = crf.log_likelihood(logits, tags, MASK)
    hidden = np.where(MASK, tags, -1)
    assert_close(crf.log_likelihood(logits, hidden), expected, 0.0)
    assert_close(crf.sentence_loss(hidden, logits), -arrays(expected)[0], 0.0)


@pytest.mark.parametrize("mode", QUICK_MODES)
@pytest.mark.slow
def test_sentences_of_one_token_and_batches_of_none(rng, mode):
    crf = random_crf(rng)

    def everything(logits, tags):
        return crf.log_likelihood(logits, tags), *crf.decode(logits), crf.marginals(logits)

    run = compiled(everything, mode, [((None, None, TAGS), "float32"), ((None, None), "int32")])
    for time in (0, 1):
        logits, tags = random_batch(rng, batch=2, time=time)
        likelihood, best, score, marginals = run(*tensors([logits, tags]))
        paths = enumerate_batch(crf, logits, np.ones((2, time), bool), constrained=False)
        expected = [e.score(y) - e.log_partition() for e, y in zip(paths, tags, strict=True)]
        assert_close(likelihood, np.array(expected))
        assert_close(score, np.array([e.best(time)[1] for e in paths]))
        assert_close(best, np.array([e.best(time)[0] for e in paths]))
        assert_close(marginals, np.array([e.marginals(time, TAGS) for e in paths]))


def test_a_single_tag_is_certain(rng):
    crf = random_crf(rng, num_tags=1)
    logits, tags = random_batch(rng, tags=1)
    assert_close(crf.log_likelihood(logits, tags), np.zeros(BATCH), 1e-5)
    assert_close(crf.sentence_loss(tags, logits[:, :, 0]), np.zeros(BATCH), 1e-5)
    assert_close(crf.marginals(logits), np.ones((BATCH, TIME, 1)), 0.0)


# --- Gradients ---


def function_of(loss, variables):
    """`loss(logits)` as a function of arrays for the variables and the logits, compiled once."""

    def at(*point):
        state = list(zip(variables, point[:-1], strict=True))
        with keras.StatelessScope(state_mapping=state):
            return loss(point[-1])

    run = compiled(at, QUICK_MODES[0])
    return lambda *point: float(keras.ops.convert_to_numpy(run(*tensors(point))))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"use_boundaries": False}, {**CONSTRAINTS}],
    ids=["free", "no boundaries", "constrained"],
)
def test_gradients_of_the_loss_are_those_of_finite_differences(rng, float64, arguments):
    crf = random_crf(rng, dtype="float64", **arguments)
    crf.constrain_loss = bool(crf.allowed_starts)
    logits = rng.normal(size=(BATCH, TIME, TAGS))
    paths = enumerate_batch(crf, logits, MASK, constrained=crf.constrain_loss)
    tags = np.array([e.best(TIME)[0] for e in paths], "int32")
    tags[2] = [0, 0, 1, 0, 0]
    weight = rng.uniform(0.5, 2.0, BATCH)
    variables = crf.trainable_variables

    def loss(x):
        return crf.loss(x, tensors([tags])[0], MASK, tensors([weight])[0])

    value = function_of(loss, variables)
    point = [*arrays([v.value for v in variables]), logits]
    _, gradients = value_and_gradients(loss, variables, [logits])
    directional_check(value, point, gradients, rng)


def test_gradients_of_marginals_are_those_of_finite_differences(rng, float64):
    crf = random_crf(rng, dtype="float64")
    logits = rng.normal(size=(BATCH, TIME, TAGS))
    factors = [rng.normal(size=logits.shape)]

    def loss(x):
        return weighted_sum(crf.marginals(x, MASK), factors)

    _, gradients = value_and_gradients(loss, [], [logits])
    directional_check(function_of(loss, []), [logits], gradients, rng)


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.slow
def test_compiled_gradients_are_the_eager_ones(rng, mode):
    crf = random_crf(rng, constrain_loss=True, allowed_starts=[1, 1, 0])
    logits, tags = random_batch(rng)

    def loss(logits, mask):
        return crf.loss(logits, tensors([tags])[0], mask)

    signature = [((None, None, TAGS), "float32"), ((None, None), "bool")]
    if BACKEND == "jax":

        def loss(logits):
            return crf.loss(logits, tensors([tags])[0], MASK)

    inputs = [logits] if BACKEND == "jax" else [logits, MASK]
    wanted = len(crf.weights) + 1
    _, eager = value_and_gradients(loss, crf.weights, inputs)
    _, quick = value_and_gradients(loss, crf.weights, inputs, mode, signature)
    assert_close(quick[:wanted], eager[:wanted])


# --- Numbers ---


@pytest.mark.parametrize("constrained", [False, True])
def test_huge_scores_stay_finite(rng, constrained):
    crf = random_crf(rng, constrain_loss=constrained, **(CONSTRAINTS if constrained else {}))
    logits = (1e4 * rng.choice([-1.0, 1.0], size=(BATCH, TIME, TAGS))).astype("float32")
    tags = arrays(crf.decode(logits, MASK))[0]
    loss, gradients = value_and_gradients(
        lambda x: crf.loss(x, tensors([tags])[0], MASK), crf.weights, [logits]
    )
    assert np.isfinite(loss) and loss < 1e3  # of the best path
    assert all(np.isfinite(g).all() for g in gradients)
    assert np.isfinite(arrays(crf.marginals(logits, MASK))[0]).all()
    worst, _ = value_and_gradients(
        lambda x: crf.loss(x, tensors([tags])[0], MASK), crf.weights, [-logits]
    )
    assert np.isfinite(worst)


@pytest.mark.parametrize("mode", MODES[-1:])
@pytest.mark.slow
def test_a_long_sentence_keeps_its_digits(rng, mode):
    """2,000 tokens in float32 against float64: scores do not pile up to where digits are lost."""
    time = 2000 if BACKEND != "torch" else 300
    crf = random_crf(rng)
    logits = (50 + 3 * rng.normal(size=(1, time, TAGS))).astype("float32")
    transitions, starts, ends = (np.float64(w.value) for w in crf_weights(crf))
    alpha = starts + logits[0, 0]
    for t in range(1, time):
        alpha = np.logaddexp.reduce(alpha[:, None] + transitions, axis=0) + logits[0, t]
    tags = np.argmax(logits, axis=-1)
    score = logits[0, np.arange(time), tags[0]].astype("float64").sum()
    score += transitions[tags[0, :-1], tags[0, 1:]].sum() + starts[tags[0, 0]] + ends[tags[0, -1]]
    expected = score - np.logaddexp.reduce(alpha + ends)
    run = compiled(crf.log_likelihood, mode)
    found = float(arrays(run(*tensors([logits, tags.astype("int32")])))[0][0])
    assert abs(found - expected) <= 2e-6 * abs(expected)
    sums = arrays(compiled(crf.marginals, mode)(tensors([logits])[0]))[0].sum(-1)
    assert_close(sums, np.ones((1, time)))


def test_half_precision_below_does_not_reach_the_crf(rng):
    crf = random_crf(rng, dtype="mixed_float16")
    plain = CRF(TAGS)
    plain.set_weights(crf.get_weights())
    logits, tags = random_batch(rng)
    logits[0, 0, 0] = 1e5  # infinite in float16
    emissions = crf(logits)
    assert keras.backend.standardize_dtype(emissions.dtype) == "float32"
    assert_close(emissions, logits, 0.0)

    class Model(keras.layers.Layer):
        def __init__(self):
            super().__init__(dtype="mixed_float16", autocast=False)
            self.crf = crf

        def call(self, logits):
            return self.crf.log_likelihood(logits, tags), self.crf.marginals(logits)

    assert_close(
        Model()(logits), [plain.log_likelihood(logits, tags), plain.marginals(logits)], 0.0
    )
    half = crf.log_likelihood(keras.ops.cast(logits / 100, "float16"), tags)
    assert keras.backend.standardize_dtype(half.dtype) == "float32"


# --- As a Keras layer ---


def test_weights_and_regularisation():
    crf = CRF(4, transition_initializer="ones", transition_regularizer=keras.regularizers.L2(0.5))
    assert [(w.name, tuple(w.shape)) for w in crf.weights] == [
        ("transitions", (4, 4)),
        ("starts", (4,)),
        ("ends", (4,)),
    ]
    assert float(keras.ops.convert_to_numpy(crf.losses[0])) == pytest.approx(0.5 * 16)
    assert [w.name for w in CRF(4, use_boundaries=False).weights] == ["transitions"]


def test_a_constraint_bounds_the_transitions(rng):
    crf = CRF(TAGS, transition_constraint="non_neg")
    assert isinstance(crf.transitions.constraint, keras.constraints.NonNeg)


def test_configuration_round_trip(rng):
    crf = random_crf(
        rng,
        transition_initializer="glorot_uniform",
        transition_regularizer="l2",
        transition_constraint="max_norm",
        use_boundaries=False,
        constrain_loss=True,
        name="chain",
        **CONSTRAINTS,
    )
    again = CRF.from_config(crf.get_config())
    assert again.get_config() == crf.get_config()
    again.set_weights(crf.get_weights())
    logits, _ = random_batch(rng)
    assert_close(again.decode(logits, MASK), crf.decode(logits, MASK), 0.0)


def toy_model():
    tokens = keras.Input((None,), dtype="int32")
    emissions = keras.layers.Dense(3)(keras.layers.Embedding(5, 4)(tokens))
    return keras.Model(tokens, CRF(3, name="crf")(emissions))


def test_a_model_with_a_crf_is_saved_and_loaded(rng, tmp_path):
    model = toy_model()
    crf = model.get_layer("crf")
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    tokens = rng.integers(0, 5, (2, 6))
    assert_close(again.get_layer("crf").decode(again(tokens)), crf.decode(model(tokens)), 1e-6)


@pytest.mark.slow
def test_training_learns_what_a_softmax_cannot(rng):
    """Tokens say nothing; only what follows what does: 0 → 1 → 2 → 0, from a random start.

    Independent tags are then right a third of the time, whatever they learn; the chain's legal
    transitions can be read off the trained weights, and one known token settles the rest.
    """
    model = toy_model()
    crf = model.get_layer("crf")
    starts = rng.integers(0, 3, 256)
    tags = (starts[:, None] + np.arange(7)) % 3
    tokens = np.ones_like(tags)  # a token without information ...
    shown = rng.integers(0, 7, 256)
    rows = np.arange(256)
    tokens[rows, shown] = 2 + tags[rows, shown]  # ... except one, anywhere, that gives its tag
    tags[:16, 5:] = -1  # padding
    weight = np.ones(256)
    optimizer = keras.optimizers.Adam(0.05)
    model.compile(optimizer, loss=crf.sentence_loss)
    before = model.evaluate(tokens, tags, verbose=0)
    model.fit(tokens, tags, sample_weight=weight, batch_size=64, epochs=12, verbose=0)
    assert model.evaluate(tokens, tags, verbose=0) < 0.2 * before
    decoded = arrays(crf.decode(model(tokens), tags >= 0))[0]
    assert (decoded == tags)[tags >= 0].mean() > 0.99
    alone = arrays(model(tokens))[0].argmax(-1)
    assert (alone == tags)[tags >= 0].mean() < 0.7


def test_keras_weighs_and_averages_the_sentence_loss(rng):
    crf = random_crf(rng)
    logits, tags = random_batch(rng)
    weight = rng.uniform(size=BATCH)
    loss = keras.losses.get(crf.sentence_loss)
    model = keras.Sequential([keras.Input((None, TAGS)), crf])
    model.compile(loss=loss)
    # All of them in one batch; the wrapper is Keras's own.
    found = model.evaluate(logits, tags, sample_weight=weight, verbose=0, batch_size=BATCH)
    losses = arrays(crf.sentence_loss(tags, logits))[0]
    assert found == pytest.approx((losses * weight).mean(), rel=1e-5)
    assert_close(crf.loss(logits, tags, sample_weight=weight), np.array((losses * weight).mean()))


def test_it_passes_emissions_through_and_ends_the_mask(rng):
    crf = CRF(TAGS)
    logits, _ = random_batch(rng)
    assert_close(crf(logits, mask=MASK), logits, 0.0)
    assert crf.compute_mask(logits, MASK) is None
    assert crf.compute_output_spec(keras.KerasTensor((None, None, TAGS))).shape == (
        None,
        None,
        TAGS,
    )


# --- Errors ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_tags": 0}, "`num_tags` must be a positive integer"),
        ({"num_tags": 2.0}, "`num_tags` must be a positive integer"),
        ({"num_tags": 2, "allowed_starts": [True]}, r"`allowed_starts` .* shape \(2,\)"),
        ({"num_tags": 2, "allowed_transitions": [True, True]}, r"shape \(2, 2\)"),
        ({"num_tags": 2, "allowed_ends": [0.5, 1.0]}, "`allowed_ends` must be booleans"),
        ({"num_tags": 2, "allowed_ends": [False, False]}, "`allowed_ends` allows nothing"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CRF(**arguments)


def test_wrong_shapes(rng):
    crf = CRF(TAGS, name="chain")
    logits, tags = random_batch(rng)
    with pytest.raises(
        ValueError, match=r"'chain' must have .*num_tags=3\)\. Received: \(8, 5, 2\)"
    ):
        crf.decode(logits[:, :, :2])
    with pytest.raises(ValueError, match="num_tags=3"):
        crf(logits[:, :, :2])
    with pytest.raises(ValueError, match=r"`mask` must have the shape .*\(8, 5\).*\(8, 4\)"):
        crf.decode(logits, MASK[:, :4])
    with pytest.raises(ValueError, match=r"`tags` must have the shape .*\(8, 5\).*\(8, 4\)"):
        crf.log_likelihood(logits, tags[:, :4])


# --- TensorFlow ---


@pytest.mark.tensorflow
def test_export_is_plain_operations(rng, tmp_path):
    import tensorflow as tf

    crf = random_crf(rng, **CONSTRAINTS)

    class Exported(tf.Module):
        def __init__(self):
            self.crf = crf

        @tf.function(
            input_signature=[
                tf.TensorSpec((None, None, TAGS), tf.float32),
                tf.TensorSpec((None, None), tf.bool),
            ]
        )
        def serve(self, logits, mask):
            tags, score = self.crf.decode(logits, mask)
            return {"tags": tags, "score": score, "marginals": self.crf.marginals(logits, mask)}

    module = Exported()
    tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
    loaded = tf.saved_model.load(str(tmp_path))
    graph = loaded.signatures["serving_default"].graph.as_graph_def()
    names = {n.op for n in graph.node} | {n.op for f in graph.library.function for n in f.node_def}
    assert not [n for n in names if n.startswith(("Xla", "Cudnn", "PyFunc", "EagerPyFunc"))]
    logits, _ = random_batch(rng)
    outputs = loaded.signatures["serving_default"](
        logits=tf.constant(logits), mask=tf.constant(MASK)
    )
    tags, score = crf.decode(logits, MASK)
    expected = [tags, score, crf.marginals(logits, MASK)]
    assert_close([outputs["tags"], outputs["score"], outputs["marginals"]], expected)
    empty = loaded.signatures["serving_default"](
        logits=tf.zeros((2, 0, TAGS)), mask=tf.zeros((2, 0), tf.bool)
    )
    assert empty["tags"].shape == (2, 0)
