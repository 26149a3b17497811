"""Weights by gate against the columns that cells name, gradients against a tape and differences."""

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn import cells, layers
from kerasrnn.lens import gates, weights_by_gate
from kerasrnn.themes import overlaps
from tests.lens.precision import precision
from tests.lens.test_activations import KINDS, MASK, X, model_of
from tests.zoo.tiny_tasks import TASKS

matplotlib.use("Agg")

from matplotlib import pyplot

Y = np.random.default_rng(1).normal(size=(3, 5))
NAMES = {
    "simple": ["a"],
    "simplified_gru": ["update", "candidate"],
    "gru": ["update", "relevance", "candidate"],
    "lstm": ["update", "forget", "candidate", "output"],
}


@pytest.fixture(autouse=True)
def doubles():
    with precision("float64"):
        yield
    pyplot.close("all")


def names_of(kind):
    """The gates in the order of the columns."""
    return NAMES[kind.removeprefix("Keras ").partition(",")[0]]


def layer_of(kind, **arguments):
    cls, options = KINDS[kind]
    return cls(5, name="layer", **{**options, **arguments})


# === Blocks ===


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_the_columns_of_each_gate(kind):
    layer = layer_of(kind)
    (found,) = weights_by_gate(model_of(layer))
    names = names_of(kind)
    assert found.gates == tuple(names)
    # Of Keras's z = 1 − Γu = σ(s), the weights of Γu = σ(−s) have the other sign.
    signs = {"update": -1} if "Keras gru" in kind else {}
    for weight in ("kernel", "recurrent_kernel"):
        whole = getattr(layer.cell, weight).numpy()
        for number, gate in enumerate(names):
            expected = signs.get(gate, 1) * whole[:, 5 * number : 5 * (number + 1)]
            block = found[weight, gate]
            np.testing.assert_array_equal(block.values, expected)
            assert block.norm == pytest.approx(np.sqrt((expected**2).sum()))
            assert block.gradient is None and np.isnan(block.gradient_norm)
    bias = layer.cell.bias.numpy()
    rows = dict(zip(("bias", "recurrent_bias"), bias.reshape(-1, len(names) * 5), strict=False))
    assert len(found.blocks) == len(names) * (2 + len(rows))
    for weight, row in rows.items():
        for number, gate in enumerate(names):
            part = signs.get(gate, 1) * row[5 * number : 5 * (number + 1)]
            np.testing.assert_array_equal(found[weight, gate].values, part)


def test_blocks_have_the_names_that_cells_give_their_columns():
    lecture = {"z": "update", "i": "update", "r": "relevance", "f": "forget", "o": "output"}
    for cls in (cells.SimplifiedGRUCell, cells.GRUCell, cells.LSTMCell):
        kind = {"SimplifiedGRUCell": "simplified_gru", "GRUCell": "gru"}.get(cls.__name__, "lstm")
        (found,) = weights_by_gate(model_of(layer_of(kind)))
        assert found.gates == tuple(lecture.get(name, "candidate") for name in cls.blocks)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.endswith("simple")])
def test_the_weights_of_a_gate_make_its_activation(kind):
    """Γ = σ(W x + U a + b) with the blocks as they are shown, whatever the cell's own sign."""
    layer = layer_of(kind)
    model = model_of(layer)
    (blocks,) = weights_by_gate(model)
    (values,) = gates(model, X)
    a = np.concatenate([np.zeros((3, 1, 5)), values["a"][:, :-1]], axis=1)
    for gate in names_of(kind):
        if gate == "candidate":
            continue
        s = X @ blocks["kernel", gate].values + a @ blocks["recurrent_kernel", gate].values
        s += sum(b.values for b in blocks.blocks if b.gate == gate and b.values.ndim == 1)
        np.testing.assert_allclose(values[gate], 1 / (1 + np.exp(-s)), rtol=1e-12)


def test_a_gate_that_is_not_the_other_of_another_keeps_its_sign():
    layer = keras.layers.GRU(5, recurrent_activation="tanh")
    (found,) = weights_by_gate(model_of(layer))
    kernel = layer.cell.kernel.numpy()
    np.testing.assert_array_equal(found["kernel", "update"].values, kernel[:, :5])
    layer = keras.layers.GRU(5, recurrent_activation="hard_sigmoid")
    (found,) = weights_by_gate(model_of(layer))
    np.testing.assert_array_equal(
        found["kernel", "update"].values, -layer.cell.kernel.numpy()[:, :5]
    )


def test_without_bias_there_is_no_block_of_it():
    (found,) = weights_by_gate(model_of(layer_of("lstm", use_bias=False)))
    assert {block.weight for block in found.blocks} == {"kernel", "recurrent_kernel"}
    assert "bias" not in weights_by_gate(model_of(layer_of("lstm", use_bias=False))).table()


def test_a_cell_that_nobody_knows_shows_its_weights_whole():
    class Scaled(keras.layers.Layer):
        state_size = output_size = 4

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(4,), name="scale", initializer="ones")
            self.built = True

        def call(self, inputs, states):
            return states[0] + inputs * self.scale, [states[0] + inputs * self.scale]

    model = model_of(keras.layers.RNN(Scaled(), name="sum"))
    found = weights_by_gate(model, X, Y[:, :4], loss="mse")
    (block,) = found["sum"].blocks
    assert (block.weight, block.gate) == ("scale", "") and block.gradient.shape == (4,)
    assert found.plot("histogram") and found.plot("heat_map", gradients=True)
    assert "scale" in found.table()


def test_layers_have_the_names_of_the_flow():
    both = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), name="both")
    stack = keras.layers.RNN([keras.layers.LSTMCell(3), cells.GRUCell(5)], name="stack")
    model = model_of(both, stack)
    found = weights_by_gate(model, X, Y, loss="mse")
    names = [layer.name for layer in found]
    assert names[:2] == ["both/forward_gru", "both/backward_gru"] or all(
        "both/" in n for n in names[:2]
    )
    assert [layer.backward for layer in found] == [False, True, False, False]
    assert all(name.startswith("stack/") for name in names[2:])
    assert names == list(dict.fromkeys(each.name for each in gates(model, X)))
    assert all(layer.saturation for layer in found)
    assert [len(layer.blocks) for layer in found] == [12, 12, 12, 9]
    (only,) = weights_by_gate(model, layer=names[0])
    assert only.name == names[0]


# === Gradients ===


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_mean_loss(kind, masked):
    layer = layer_of(kind)
    model = model_of(layer, masked=masked)
    x = [X, MASK] if masked else X
    found = weights_by_gate(model, x, Y, loss="mse", batch_size=2)["layer"]
    variables = [weight.value for weight in layer.weights]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        outputs = model(x, training=False)
        loss = tf.reduce_mean((outputs - Y) ** 2)
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, variables)]
    whole = dict(zip(("kernel", "recurrent_kernel", "bias"), gradients, strict=True))
    if whole["bias"].ndim == 2:
        whole["bias"], whole["recurrent_bias"] = whole["bias"]
    for weight, gradient in whole.items():
        for number, gate in enumerate(names_of(kind)):
            sign = -1 if gate == "update" and "Keras gru" in kind else 1
            expected = sign * gradient[..., 5 * number : 5 * (number + 1)]
            block = found[weight, gate]
            np.testing.assert_allclose(block.gradient, expected, rtol=1e-9, atol=1e-12)
            assert block.gradient_norm == pytest.approx(np.linalg.norm(expected))


def test_a_gradient_is_the_difference_of_losses():
    """Of one weight of Γu of Keras's GRU, whose sign is turned."""
    layer = layer_of("Keras gru")
    model = model_of(layer)
    block = weights_by_gate(model, X, Y, loss="mse")["layer"]["kernel", "update"]
    kernel, losses = layer.cell.kernel.numpy(), []
    for step in (1e-5, -1e-5):
        changed = kernel.copy()
        changed[2, 3] -= step  # −W_z grows
        layer.cell.kernel.assign(changed)
        losses.append(float(np.mean((model.predict(X, verbose=0) - Y) ** 2)))
    assert block.gradient[2, 3] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-6)


def test_frozen_layers_have_gradients_and_stay_frozen():
    layer = layer_of("lstm")
    model = model_of(layer)
    layer.trainable = False
    assert weights_by_gate(model, X, Y, loss="mse")["layer"]["kernel", "forget"].gradient_norm > 0
    assert not model.trainable_weights


def test_the_loss_of_compile_and_datasets():
    model = model_of(layer_of("gru"))
    expected = weights_by_gate(model, X, Y, loss="mse")["layer"]["kernel", "update"].gradient
    model.compile("sgd", "mse")
    for x, y in ((X, Y), (tf.data.Dataset.from_tensor_slices((X, Y)).batch(2), None)):
        found = weights_by_gate(model, x, y)["layer"]["kernel", "update"]
        np.testing.assert_allclose(found.gradient, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["SequenceTagger", "TextClassifier", "LanguageModel"])
def test_tasks_take_examples_for_gradients_and_raw_inputs_for_counts(name):
    with precision("float32"):
        tiny = TASKS[name]
        task = tiny.make(**tiny.small)
        labelled = weights_by_gate(task, *tiny.data())
        raw = weights_by_gate(task, tiny.inputs())
    for layer in labelled:
        assert max(block.gradient_norm for block in layer.blocks) > 0
        assert layer.saturation and layer.dead is not None
    assert all(layer.saturation for layer in raw)
    if name != "LanguageModel":  # a text is its own target
        assert all(block.gradient is None for layer in raw for block in layer.blocks)


# === Dead and saturated ===


def test_saturated_gates_are_counted_over_steps_that_are_there():
    layer = layer_of("lstm")
    model = model_of(layer, masked=True)
    H = 5
    bias = layer.cell.bias.numpy()
    bias[H] = 30.0  # Γf of unit 0 always open
    bias[3 * H + 1] = -30.0  # Γo of unit 1 always shut: a is 0
    layer.cell.bias.assign(bias)
    found = weights_by_gate(model, [X, MASK], low=0.3, high=0.7, batch_size=2)
    shares = gates(model, [X, MASK]).saturated(0.3, 0.7)["layer"]
    one = found["layer"]
    for gate, share in shares.items():
        np.testing.assert_allclose(one.saturation[gate].low, share.low)
        np.testing.assert_allclose(one.saturation[gate].high, share.high)
    candidate = gates(model, [X, MASK])["layer"]["candidate"][MASK]
    np.testing.assert_allclose(one.saturation["candidate"].high, (candidate > 0.4).mean(axis=0))
    np.testing.assert_allclose(one.saturation["candidate"].low, (candidate < -0.4).mean(axis=0))
    assert one.dead.tolist() == [False, True, False, False, False]
    rows = {row["gate"]: row for row in found.to_dict()}
    assert rows["forget"]["always_open"] >= 1 and rows["output"]["always_shut"] >= 1
    assert rows["update"]["dead"] == 1 and rows["update"]["still"] is None


def test_units_that_do_not_learn_are_counted():
    layer = layer_of("gru")
    model = model_of(layer)
    bias = layer.cell.bias.numpy()
    bias[1] = -800.0  # Γu of unit 1 is exactly 0: it keeps its first value, 0
    layer.cell.bias.assign(bias)
    found = weights_by_gate(model, X, Y, loss="mse")["layer"]
    assert found.dead.tolist() == [False, True, False, False, False]
    assert found.still["candidate"].tolist() == [False, True, False, False, False]
    assert found.still["update"][1] and not found.still["update"][0]


def test_activations_without_bounds_are_not_saturated():
    relu = keras.layers.SimpleRNN(5, activation="relu", name="relu")
    model = model_of(relu)
    relu.cell.bias.assign([-1e6, 0, 0, 0, 0])
    one = weights_by_gate(model, X)["relu"]
    assert one.saturation == {} and one.dead.tolist()[0] is True
    tanh = weights_by_gate(model_of(layer_of("simple")), X)["layer"]
    assert set(tanh.saturation) == {"a"}


# === Tables and pictures ===


def test_the_table_has_a_line_for_each_gate():
    found = weights_by_gate(model_of(layer_of("Keras gru")), X, Y, loss="mse")
    lines = found.table().splitlines()
    assert len(lines) == 4 and [line.split()[1] for line in lines[1:]] == ["Γu", "Γr", "c̃"]
    for title in ("‖recurrent_bias‖", "‖∂L/∂ kernel‖", "always shut", "still", "dead"):
        assert title in lines[0]
    assert f"{found['layer']['kernel', 'update'].norm:.3g}" in lines[1]
    bare = weights_by_gate(model_of(layer_of("lstm"))).table().splitlines()[0]
    assert "∂" not in bare and "dead" not in bare


def visible(figure):
    """All texts that are drawn: ticks beyond the ends of an axis are not."""
    texts = []
    for ax in figure.axes:
        if not ax.axison:
            continue
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label]
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            low, high = sorted(limits)
            ticks = axis.get_major_ticks()
            texts += [
                t.label1 for t in ticks if low <= t.get_loc() <= high and t.label1.get_visible()
            ]
            texts += [
                t.label2 for t in ticks if low <= t.get_loc() <= high and t.label2.get_visible()
            ]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    return [text for text in texts if text.get_text()]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("kind", ["histogram", "heat_map"])
def test_texts_of_pictures_do_not_cover_each_other(kind, gradients, theme):
    both = keras.layers.Bidirectional(
        layers.GRU(30, return_sequences=True, name="a_layer_with_a_long_name"), name="bidirectional"
    )
    model = model_of(both, keras.layers.GRU(20, return_sequences=True), layers.SimpleRNN(5))
    found = weights_by_gate(model, X, Y, loss="mse")
    figure = found.plot(kind, gradients=gradients, theme=theme)
    figure.canvas.draw()
    assert not overlaps(visible(figure))
    assert {text.get_fontsize() >= 8 for text in visible(figure)} == {True}
    width, height = figure.get_size_inches() * figure.dpi
    for text in visible(figure):
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1


def test_pictures_show_the_blocks():
    layer = layer_of("Keras lstm")
    found = weights_by_gate(model_of(layer), X, Y, loss="mse")
    figure = found.plot("heat_map")
    first = next(ax for ax in figure.axes if ax.images)
    np.testing.assert_allclose(first.images[0].get_array(), layer.cell.kernel.numpy())
    assert [t.get_text() for t in first.get_xticklabels()] == ["Γu", "Γf", "c̃", "Γo"]
    figure = found.plot("histogram", gradients=True, title="Gradients")
    assert figure.get_suptitle() == "Gradients"
    values = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [value.sum() for value in values] == [4 * 5] * 4
    own = pyplot.figure(figsize=(8, 3), layout="constrained")
    assert found.plot(figure=own, layer="layer") is own and len(own.axes) == 3


# === Bad input ===


def test_what_is_wrong_is_named():
    model = model_of(layer_of("lstm"), masked=True)
    x = [X, np.ones_like(MASK)]
    with pytest.raises(ValueError, match="must have a recurrent layer"):
        weights_by_gate(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match=r"Expected one of 'layer'"):
        weights_by_gate(model, layer="lstm")
    with pytest.raises(ValueError, match="must be built"):
        weights_by_gate(keras.Sequential([keras.layers.LSTM(3)]))
    with pytest.raises(ValueError, match="`x` must be given with `y`"):
        weights_by_gate(model, y=Y)
    with pytest.raises(ValueError, match="`x` must be given with `loss`"):
        weights_by_gate(model, loss="mse")
    with pytest.raises(ValueError, match="`y` must be given"):
        weights_by_gate(model, x, loss="mse")
    with pytest.raises(ValueError, match="`loss` must be given"):
        weights_by_gate(model, x, Y)
    with pytest.raises(ValueError, match="must leave a step"):
        weights_by_gate(model, [X, np.zeros_like(MASK)])
    with pytest.raises(ValueError, match="is not finite"):
        weights_by_gate(model, x, Y * np.nan, loss="mse")
    with pytest.raises(ValueError, match="0 ≤ low < high ≤ 1"):
        weights_by_gate(model, low=0.9, high=0.1)
    with pytest.raises(ValueError, match="`dead` must lie between 0 and 1"):
        weights_by_gate(model, dead=2)
    with pytest.raises(
        ValueError, match=r"must depend on the layer. It does not depend on 'layer'"
    ):
        weights_by_gate(model, x, Y, loss=lambda y, p: tf.reduce_mean(0 * y + 1.0, axis=-1))
    with pytest.raises(ValueError, match=r"gradient of 'layer' by its kernel must be a number"):
        weights_by_gate(model, x, Y, loss=lambda y, p: tf.sqrt(tf.reduce_sum(0 * p, axis=-1)))


def test_what_is_not_there_is_named():
    found = weights_by_gate(model_of(layer_of("lstm")))
    with pytest.raises(KeyError, match=r"no layer 'lstm'. Expected one of 'layer'"):
        found["lstm"]
    with pytest.raises(KeyError, match=r"no block \('kernel', 'reset'\). Expected one of"):
        found["layer"]["kernel", "reset"]
    for arguments, message in (
        ({"kind": "violin"}, "`kind` must be one of histogram, heat_map"),
        ({"theme": "blue"}, "`theme` must be one of light, dark"),
        ({"gradients": True}, "`gradients` needs `x` and `y`"),
    ):
        with pytest.raises(ValueError, match=message):
            found.plot(**arguments)
    assert not pyplot.get_fignums()
