"""Gate activations against NumPy, written from the equations with a layer's weights."""

import keras
import matplotlib
import numpy as np
import pytest

from kerasrnn import layers
from kerasrnn.lens import gates
from kerasrnn.themes import overlaps
from tests.lens.kinds import CELL_LAYERS as KINDS
from tests.lens.kinds import MASK
from tests.lens.precision import precision
from tests.oracles import sigmoid as σ
from tests.zoo.tiny_tasks import TASKS

matplotlib.use("Agg")

from matplotlib import pyplot

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 7, 4))


@pytest.fixture(autouse=True)
def doubles():
    with precision("float64"):
        yield
    pyplot.close("all")


def model_of(*stack, masked=False, time=7):
    inputs = x = keras.Input((time, 4))
    mask = keras.Input((time,), dtype="bool")
    for layer in stack:
        x = layer(x, mask=mask) if masked else layer(x)
    model = keras.Model([inputs, mask] if masked else inputs, x)
    for number, weight in enumerate(model.weights):
        weight.assign(0.5 * np.random.default_rng(number).normal(size=weight.shape))
    return model


def step_by_hand(kind, weights, x, before):
    """The gates and the new states of a step, by name."""
    W, U, b = weights
    H = U.shape[0]
    k = [slice(n * H, (n + 1) * H) for n in range(4)]
    a = before["a"]
    if kind.endswith("simple"):
        return {}, {"a": np.tanh(x @ W + a @ U + b)}
    if kind == "simplified_gru":
        u, c = x @ W + a @ U + b, None
        u, c = σ(u[:, k[0]]), np.tanh(u[:, k[1]])
        return {"update": u, "candidate": c}, {"a": u * c + (1 - u) * a}
    if kind.endswith("lstm"):
        z = x @ W + a @ U + b
        u, f, o = σ(z[:, k[0]]), σ(z[:, k[1]]), σ(z[:, k[3]])
        c̃ = np.tanh(z[:, k[2]])
        c = u * c̃ + f * before["c"]
        found = {"update": u, "forget": f, "candidate": c̃, "output": o}
        return found, {"a": o * np.tanh(c), "c": c}
    both = b if b.ndim == 2 else np.stack([b, np.zeros_like(b)])
    first, r = (σ(x @ W[:, k[n]] + both[0, k[n]] + a @ U[:, k[n]] + both[1, k[n]]) for n in (0, 1))
    if b.ndim == 2:
        c̃ = np.tanh(x @ W[:, k[2]] + both[0, k[2]] + r * (a @ U[:, k[2]] + both[1, k[2]]))
    else:
        c̃ = np.tanh(x @ W[:, k[2]] + both[0, k[2]] + (r * a) @ U[:, k[2]])
    u = 1 - first if kind.startswith("Keras") else first
    return {"update": u, "relevance": r, "candidate": c̃}, {"a": u * c̃ + (1 - u) * a}


def by_hand(kind, layer, x, mask=None):
    """Gates and states `(batch, time, units)`, NaN where masked."""
    weights = [np.array(weight) for weight in layer.get_weights()]
    states = {name: np.zeros((len(x), weights[1].shape[0])) for name in ("a", "c")}
    found = {}
    order = range(x.shape[1])
    for t in reversed(order) if layer.go_backwards else order:
        gate_values, new = step_by_hand(kind, weights, x[:, t], states)
        here = np.ones(len(x), bool) if mask is None else mask[:, t]
        for name, value in {**gate_values, **new}.items():
            shape = (len(x), x.shape[1], value.shape[1])
            found.setdefault(name, np.full(shape, np.nan))[here, t] = value[here]
        states |= {n: np.where(here[:, None], v, states[n]) for n, v in new.items()}
    return found


def check(activations, expected):
    assert {*activations.gates, *activations.states} == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(activations[name], values, rtol=1e-12, atol=1e-12)


# === Against the equations ===


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gates_are_those_of_the_equations(kind, backwards, masked):
    cls, options = KINDS[kind]
    layer = cls(5, go_backwards=backwards, name="layer", **options)
    model = model_of(layer, masked=masked)
    found = gates(model, [X, MASK] if masked else X, batch_size=2)
    (one,) = found
    assert one.name == "layer" and one.backward is backwards and one.tokens is None
    np.testing.assert_array_equal(one.there, MASK if masked else np.ones((3, 7), bool))
    check(one, by_hand(kind, layer, X, MASK if masked else None))


@pytest.mark.parametrize("package", [layers, keras.layers])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_both_directions_and_a_layer_on_top(package, kind):
    both = package.Bidirectional(
        {"lstm": package.LSTM, "gru": package.GRU}[kind](3, return_sequences=True), name="both"
    )
    top = package.LSTM(4, name="top")
    model = model_of(both, top)
    found = gates(model, X)
    kind = kind if package is layers else f"Keras {kind}"
    lower = [both.forward_layer, both.backward_layer]
    values = [by_hand(kind, layer, X) for layer in lower]
    outputs = np.concatenate([each["a"] for each in values], axis=-1)
    assert [one.direction for one in found] == ["forward", "backward", "forward"]
    for one, expected in zip(found, [*values, by_hand("lstm", top, outputs)], strict=True):
        check(one, expected)
    assert [one.name for one in gates(model, X, layer="top")] == ["top"]
    assert [one.name for one in gates(model, X, layer="both")] == [one.name for one in found][:2]


def test_a_cell_that_nobody_knows_shows_its_states():
    class Sum(keras.layers.Layer):
        state_size = output_size = 4

        def call(self, inputs, states):
            return states[0] + inputs, [states[0] + inputs]

    model = model_of(keras.layers.RNN(Sum(), name="sum"))
    (one,) = gates(model, X)
    assert one.gates == {} and list(one.states) == ["a"]
    np.testing.assert_allclose(one["a"], np.cumsum(X, axis=1))


def test_the_model_computes_afterwards_what_it_did():
    model = model_of(keras.layers.GRU(3, return_sequences=True), layers.LSTM(2))
    before = model.predict(X, verbose=0)
    gates(model, X)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


# === Figures ===


def test_means_and_saturation_count_steps_that_are_there():
    layer = layers.LSTM(5, name="layer")
    model = model_of(layer, masked=True)
    found = gates(model, [X, MASK])
    expected = by_hand("lstm", layer, X, MASK)
    flat = {name: values[MASK] for name, values in expected.items()}
    np.testing.assert_allclose(found.mean("forget")["layer"], flat["forget"].mean(axis=0))
    np.testing.assert_allclose(found.mean("c")["layer"], flat["c"].mean(axis=0))
    shares = found.saturated(0.4, 0.6)["layer"]
    assert set(shares) == {"update", "forget", "output"}
    for gate, share in shares.items():
        np.testing.assert_allclose(share.low, (flat[gate] < 0.4).mean(axis=0))
        np.testing.assert_allclose(share.high, (flat[gate] > 0.6).mean(axis=0))
        assert 0 < share.low.sum() < 5
    assert gates(model_of(layers.SimpleRNN(3)), X).saturated() == {}


def test_a_table_has_a_row_for_each_unit_of_each_step():
    pandas = pytest.importorskip("pandas")
    stack = [layers.LSTM(5, name="low", return_sequences=True), keras.layers.GRU(2, name="high")]
    model = model_of(*stack, masked=True)
    words = [list("abcd"), list("efgh"), list("ijklmno")]
    found = gates(model, [X, MASK], tokens=words)
    table = found.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert len(table) == MASK.sum() * (5 + 2)
    assert list(table.columns[:6]) == ["example", "layer", "direction", "step", "token", "unit"]
    row = table[(table.example == 1) & (table.layer == "low") & (table.token == "g")]
    assert set(row.step) == {5}  # the third of them that is not masked
    np.testing.assert_array_equal(row.forget, found["low"]["forget"][1, 4])
    np.testing.assert_array_equal(row.c, found["low"]["c"][1, 4])
    assert row.relevance.isna().all()
    high = table[table.layer == "high"]
    assert high.forget.isna().all() and high.relevance.notna().all()
    assert set(table.direction) == {"forward"}


# === Words ===


@pytest.mark.parametrize("name", [name for name in TASKS if name != "WordVectors"])
def test_tasks_take_raw_inputs_and_name_the_steps(name):
    with precision("float32"):
        task = TASKS[name].make(**TASKS[name].small)
        inputs = TASKS[name].inputs()
        found = gates(task, inputs, batch_size=2)
        steps = task.unlabelled(inputs).steps
    for one in found:
        expected = steps["decoder" if "decoder" in one.name and len(steps) > 1 else ""]
        rows = [
            [token for token, here in zip(row, there, strict=True) if here]
            for row, there in zip(one.tokens, one.there, strict=True)
        ]
        assert rows == expected


def test_a_single_text_is_one_example():
    with precision("float32"):
        task = TASKS["TextClassifier"].make(**TASKS["TextClassifier"].small)
        found = gates(task, "so good a film")
    assert found.layers[0].tokens == [["so", "good", "a", "film"]]


def test_layers_over_letters_have_numbers():
    with precision("float32"):
        make = TASKS["SequenceTagger"].make
        task = make(**{**TASKS["SequenceTagger"].small, "spelling": "rnn"})
        found = gates(task, [["In", "Paris", "now"], ["Ada"]])
    letters = [one for one in found if "letters" in one.name]
    words = [one for one in found if "letters" not in one.name]
    assert len(letters) == 2 and all(one.tokens is None for one in letters)
    assert words and all(one.tokens[0] == ["In", "Paris", "now"] for one in words)
    axes = found.plot()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["In", "Paris", "now"]
    assert not any("letters" in tick.get_text() for tick in axes.get_yticklabels())
    assert found.plot(layer=letters[0].name).get_xticklabels()[0].get_text() == "1"


# === Pictures ===


def names(axes):
    return [tick.get_text() for tick in axes.get_yticklabels()]


def test_a_picture_shows_gates_over_words():
    layer = layers.LSTM(5, name="layer")
    found = gates(model_of(layer, masked=True), [X, MASK], tokens=[[*"abcd"]] * 2 + [[*"ijklmno"]])
    axes = found.plot(example=1)
    forget = found["layer"]["forget"][1][MASK[1]]
    assert names(axes) == ["Γu", "Γf", "Γo"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [*"abcd"]
    np.testing.assert_allclose(axes.images[0].get_array()[1], forget.mean(axis=-1))
    axes = found.plot(1, "layer", "forget")
    assert names(axes) == [f"Γf {unit}" for unit in range(5)]
    np.testing.assert_allclose(axes.images[0].get_array(), forget.T)
    axes = found.plot(1, gate="candidate", units=[3, 0], theme="dark", title="Candidates")
    assert names(axes) == ["c̃ 3", "c̃ 0"] and axes.get_title() == "Candidates"
    simple = gates(model_of(layers.SimpleRNN(3)), X).plot()
    assert names(simple) == ["a"]


@pytest.mark.parametrize("inches", [None, (3.3, 2.0)])
@pytest.mark.parametrize("count", [1, 12, 90, pytest.param(600, marks=pytest.mark.slow)])
def test_words_do_not_cover_each_other(count, inches):
    x = rng.normal(size=(1, count, 4))
    words = [["a", "president", "$x$", "Roosevelt"][n % 4] for n in range(count)]
    found = gates(model_of(layers.LSTM(30), time=count), x, tokens=[words])
    for gate in (None, "update"):
        ax = inches and pyplot.subplots(figsize=inches, layout="constrained")[1]
        axes = found.plot(ax=ax, gate=gate)
        axes.figure.canvas.draw()
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            assert not overlaps(labels)
            assert labels and all(label.get_fontsize() >= 8 for label in labels)
        if inches is None and count < 600:
            assert [label.get_text() for label in axes.get_xticklabels()] == words
        assert not overlaps(axes.texts)


# === Bad input ===


def test_what_is_wrong_is_named():
    model = model_of(layers.LSTM(3, name="layer"), masked=True)
    inputs = [X, MASK]
    with pytest.raises(ValueError, match="must have a recurrent layer"):
        gates(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), X[:, 0, :3])
    with pytest.raises(ValueError, match=r"Expected one of 'layer'. Received: layer='lstm'"):
        gates(model, inputs, layer="lstm")
    with pytest.raises(ValueError, match="must be built"):
        gates(keras.Sequential([keras.layers.LSTM(3)]), X)
    with pytest.raises(TypeError, match="must be a Keras model"):
        gates(len, X)
    with pytest.raises(ValueError, match="must leave a step"):
        gates(model, [X, np.zeros_like(MASK)])
    with pytest.raises(ValueError, match=r"Γu is NaN at 5 of 7 steps, first at step 3"):
        broken = X.copy()
        broken[0, 2] = np.nan
        gates(model, [broken, np.ones_like(MASK)])
    with pytest.raises(ValueError, match="must have a row for each of 3 examples"):
        gates(model, inputs, tokens=[[*"abcd"]])
    with pytest.raises(ValueError, match="must name each step that is not masked"):
        gates(model, inputs, tokens=[["a"]] * 3)
    with pytest.raises(TypeError, match="must hold a list of strings"):
        gates(model, inputs, tokens=["abcd"] * 3)
    with pytest.raises(ValueError, match="batch_size must be"):
        gates(model, inputs, batch_size=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda found: found["lstm"], KeyError, "no layer 'lstm'. Expected one of 'layer'"),
        (lambda found: found["layer"]["reset"], KeyError, "no 'reset'. Expected one of 'update'"),
        (lambda found: found.mean("relevance"), ValueError, "`gate` must be one of 'update'"),
        (lambda found: found.plot(gate="reset"), ValueError, "`gate` must be one of 'update'"),
        (lambda found: found.plot(example=3), ValueError, "`example` must be below 3"),
        (lambda found: found.plot(example=-1), ValueError, "example must be 0 or more"),
        (lambda found: found.plot(units=[5]), ValueError, "`units` must be below 5"),
        (lambda found: found.plot(units=[]), ValueError, "`units` must name at least one"),
        (lambda found: found.plot(theme="blue"), ValueError, "`theme` must be one of light"),
        (lambda found: found.plot(layer="lstm"), KeyError, "no layer 'lstm'"),
        (lambda found: found.saturated(0.9, 0.1), ValueError, "0 ≤ low < high ≤ 1"),
        (lambda found: found.saturated(-0.1), ValueError, "Received: low=-0.1"),
        (lambda found: found.saturated("a"), ValueError, "Received: low='a'"),
    ],
)
def test_what_is_not_there_is_named(call, error, message):
    found = gates(model_of(layers.LSTM(5, name="layer")), X)
    with pytest.raises(error, match=message):
        call(found)
    assert not pyplot.get_fignums()


def test_an_example_without_steps_cannot_be_drawn():
    mask = MASK.copy()
    mask[0] = False
    found = gates(model_of(layers.LSTM(5), masked=True), [X, mask])
    with pytest.raises(ValueError, match="Example 0 has no steps"):
        found.plot()
    assert found.plot(example=1)


def test_one_step_is_enough():
    found = gates(model_of(layers.GRU(5), time=1), X[:, :1])
    assert found.layers[0]["relevance"].shape == (3, 1, 5)
    assert len(found.plot().get_xticklabels()) == 1


def test_without_pandas_the_table_says_how_to_get_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    found = gates(model_of(layers.LSTM(5)), X)
    monkeypatch.setattr("kerasrnn.extras.importlib.import_module", missing)
    with pytest.raises(ImportError, match=r"needs pandas. Install it: pip install 'kerasrnn\["):
        found.to_pandas()
