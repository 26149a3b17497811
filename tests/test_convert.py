"""Layers and their weights against those of Keras and PyTorch."""

import importlib.util

import keras
import numpy as np
import pytest

from kerasrnn import layers
from kerasrnn.cells import Chrono
from kerasrnn.convert import from_keras, from_torch, to_keras, to_torch
from tests.backends import arrays, assert_close

BATCH, TIME, INPUT, UNITS = 3, 6, 4, 5
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 1, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
NAMES = ("SimpleRNN", "GRU", "LSTM")
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs PyTorch installed"
)


def keras_layer(kind, **arguments):
    if kind == "GRU":
        arguments.setdefault("reset_after", False)
    return getattr(keras.layers, kind)(UNITS, **arguments)


def randomized(layer, rng, shape=(None, None, INPUT)):
    layer.build(shape)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.7))
    return layer


@pytest.fixture
def sequences(rng):
    return rng.normal(size=(BATCH, TIME, INPUT)).astype("float32")


# --- Keras ---

OPTIONS = [
    {"return_sequences": True, "return_state": True},
    {"return_sequences": True, "go_backwards": True, "use_bias": False},
    {"return_sequences": True, "zero_output_for_mask": True, "activation": "relu"},
    {"unroll": True},
]


@pytest.mark.parametrize("arguments", OPTIONS, ids=lambda a: " ".join(a))
@pytest.mark.parametrize("name", NAMES)
def test_a_layer_of_keras_and_back(rng, sequences, name, arguments):
    theirs = randomized(keras_layer(name, **arguments), rng, (None, TIME, INPUT))
    ours = from_keras(theirs)
    again = to_keras(ours)
    assert type(ours) is getattr(layers, name)
    assert type(again) is type(theirs)
    for mask in (None, MASK):
        expected = theirs(sequences, mask=mask)
        assert_close(ours(sequences, mask=mask), expected)
        assert_close(again(sequences, mask=mask), expected)
    for a, b in zip(again.weights, theirs.weights, strict=True):
        assert_close(a, b, 0.0)
    # All arguments come back as they were, Keras's names included.
    assert again.get_config() == theirs.get_config()


@pytest.mark.parametrize("name", NAMES)
def test_the_starting_states_mean_the_same(rng, sequences, name):
    theirs = randomized(keras_layer(name, return_state=True), rng)
    count = 2 if name == "LSTM" else 1
    states = [rng.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(count)]
    mask = MASK.copy()
    mask[2, 3] = True  # of a row without a step, Keras's output depends on its backend
    expected = theirs(sequences, initial_state=states, mask=mask)
    assert_close(from_keras(theirs)(sequences, initial_state=states, mask=mask), expected)


def test_the_update_gate_is_negated_and_nothing_else(rng):
    ours = randomized(layers.GRU(UNITS), rng)
    theirs = to_keras(ours)
    assert theirs.reset_after is False
    for name in ("kernel", "recurrent_kernel", "bias"):
        a, b = arrays([getattr(ours.cell, name), getattr(theirs.cell, name)])
        np.testing.assert_array_equal(a[..., :UNITS], -b[..., :UNITS])
        np.testing.assert_array_equal(a[..., UNITS:], b[..., UNITS:])


def test_a_gru_with_hard_gates(rng, sequences):
    theirs = randomized(keras_layer("GRU", recurrent_activation="hard_sigmoid"), rng)
    assert_close(from_keras(theirs)(sequences), theirs(sequences))


@pytest.mark.parametrize(
    ("name", "merge_mode"),
    [("SimpleRNN", "sum"), ("GRU", "concat"), ("LSTM", "concat"), ("LSTM", None)],
)
def test_two_directions(rng, sequences, name, merge_mode):
    inner = keras_layer(name, return_sequences=True, return_state=merge_mode == "concat")
    theirs = randomized(keras.layers.Bidirectional(inner, merge_mode=merge_mode), rng)
    ours = from_keras(theirs)
    again = to_keras(ours)
    assert type(ours) is layers.Bidirectional
    assert type(ours.backward_layer) is getattr(layers, name)
    for mask in (None, MASK):
        expected = theirs(sequences, mask=mask)
        assert_close(ours(sequences, mask=mask), expected)
        assert_close(again(sequences, mask=mask), expected)
    assert again.get_config() == theirs.get_config()


def test_two_directions_of_different_layers(rng, sequences):
    theirs = keras.layers.Bidirectional(
        keras.layers.LSTM(UNITS), backward_layer=keras.layers.SimpleRNN(3, go_backwards=True)
    )
    randomized(theirs, rng)
    assert_close(from_keras(theirs)(sequences), theirs(sequences))


def test_a_stateful_layer_takes_its_states_along(rng, sequences):
    theirs = randomized(keras_layer("LSTM", stateful=True), rng, (BATCH, TIME, INPUT))
    theirs(sequences)
    ours = from_keras(theirs)
    assert ours.stateful
    assert_close(ours(sequences), theirs(sequences))


def test_a_layer_without_weights_keeps_its_arguments():
    theirs = keras_layer("LSTM", kernel_regularizer="l2", dropout=0.25, name="memory")
    ours = from_keras(theirs)
    assert not ours.cell.built
    assert (ours.name, ours.dropout) == ("memory", 0.25)
    assert ours.cell.kernel_regularizer.l2 == theirs.cell.kernel_regularizer.l2
    wrapper = from_keras(keras.layers.Bidirectional(theirs))
    assert not wrapper.built


def test_a_seed_goes_along():
    assert from_keras(keras.layers.SimpleRNN(2, seed=7)).seed == 7
    assert to_keras(layers.SimpleRNN(2, seed=7)).cell.seed == 7
    assert to_keras(layers.LSTM(2, seed=7)).cell.seed == 7


def test_precision_goes_along(rng):
    ours = from_keras(randomized(keras_layer("GRU", dtype="mixed_float16"), rng))
    assert ours.dtype_policy.name == ours.cell.dtype_policy.name == "mixed_float16"


def test_chrono_is_a_start_that_keras_lacks(rng, sequences):
    ours = layers.LSTM(UNITS, bias_initializer=Chrono(10))
    expected = ours(sequences)
    theirs = to_keras(ours)
    assert isinstance(theirs.cell.bias_initializer, keras.initializers.Zeros)
    assert_close(theirs(sequences), expected)


def test_another_gru_is_refused():
    with pytest.raises(ValueError, match=r"'mine' has reset_after=True.*another cell"):
        from_keras(keras.layers.GRU(2, name="mine"))
    with pytest.raises(ValueError, match="reset_after=False"):
        from_keras(keras.layers.Bidirectional(keras.layers.GRU(2)))


@pytest.mark.parametrize("convert_layer", [from_keras, to_keras])
def test_a_gru_whose_update_gate_cannot_be_turned(convert_layer):
    kind = keras_layer if convert_layer is from_keras else lambda _, **a: layers.GRU(UNITS, **a)
    with pytest.raises(ValueError, match=r"one of sigmoid, hard_sigmoid\. Received: 'tanh'"):
        convert_layer(kind("GRU", recurrent_activation="tanh"))
    with pytest.raises(ValueError, match="`bias_constraint` NonNeg"):
        convert_layer(kind("GRU", bias_constraint="non_neg"))


@pytest.mark.parametrize(
    ("function", "layer"),
    [
        (to_keras, lambda: layers.SimplifiedGRU(2)),
        (to_keras, lambda: layers.DeepRNN("lstm", 2)),
        (to_keras, lambda: keras.layers.LSTM(2)),
        (from_keras, lambda: layers.LSTM(2)),
        (from_keras, lambda: layers.Bidirectional(layers.LSTM(2))),
        (from_keras, lambda: keras.layers.Dense(2)),
    ],
)
def test_layers_without_a_counterpart(function, layer):
    layer = layer()
    with pytest.raises(TypeError, match=f"Received: .*{type(layer).__name__}"):
        function(layer)


# --- PyTorch ---


def torch_module(kind, seed=0, **arguments):
    import torch

    torch.manual_seed(seed)
    return getattr(torch.nn, kind)(INPUT, UNITS, batch_first=True, **arguments).eval()


def torch_output(module, sequences):
    import torch

    inputs = torch.from_numpy(sequences).to(next(module.parameters()).device)
    outputs, states = module(inputs)
    states = states if isinstance(states, tuple) else (states,)
    return outputs.detach().cpu().numpy(), [s.detach().cpu().numpy() for s in states]


MODULES = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("LSTM", {}),
    ("LSTM", {"bias": False, "bidirectional": True}),
    ("LSTM", {"num_layers": 3, "bidirectional": True, "dropout": 0.25}),
]


@needs_torch
@pytest.mark.parametrize(("kind", "arguments"), MODULES, ids=str)
def test_a_module_of_torch_and_back(sequences, kind, arguments):
    module = torch_module(kind, **arguments)
    ours = from_torch(module, return_state=True)
    expected, expected_states = torch_output(module, sequences)
    outputs, *states = arrays(ours(sequences))
    assert_close(outputs, expected)
    for i, of_torch in enumerate(expected_states):  # (layers · directions, batch, units)
        assert_close(np.stack(states[i :: len(expected_states)]), of_torch)
    again = to_torch(ours)
    assert type(again) is type(module)
    assert again.dropout == module.dropout
    assert_close(torch_output(again.eval(), sequences)[0], expected)


@needs_torch
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM"])
def test_our_layers_in_torch(rng, sequences, name, bidirectional):
    stack, width = [], INPUT
    for _ in range(2):
        layer = getattr(layers, name)(UNITS, return_sequences=True)
        if bidirectional:
            layer = layers.Bidirectional(layer)
        stack.append(randomized(layer, rng, (None, None, width)))
        width = UNITS * (1 + bidirectional)
    first = stack[0](sequences)
    assert_close(torch_output(to_torch(stack[0]), sequences)[0], first)
    assert_close(torch_output(to_torch(stack), sequences)[0], stack[1](first))
    time_first = to_torch(stack[0], batch_first=False)
    outputs, _ = torch_output(time_first, sequences.transpose(1, 0, 2).copy())
    assert_close(outputs.transpose(1, 0, 2), first)


@needs_torch
def test_double_precision(rng, float64):
    import torch

    module = torch_module("LSTM").double()
    ours = from_torch(module)
    x = rng.normal(size=(BATCH, TIME, INPUT))
    assert_close(ours(x), torch_output(module, x)[0], 1e-12)
    assert next(to_torch(ours).parameters()).dtype == torch.float64


@needs_torch
def test_modules_that_are_other_cells():
    with pytest.raises(TypeError, match="reset gate after the matrix product"):
        from_torch(torch_module("GRU"))
    with pytest.raises(ValueError, match=r"proj_size=0\. Received: proj_size=2"):
        from_torch(torch_module("LSTM", proj_size=2))
    with pytest.raises(TypeError, match=r"Received: torch\.nn\.modules\.linear\.Linear"):
        import torch

        from_torch(torch.nn.Linear(2, 2))


@needs_torch
@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (lambda: layers.GRU(2), TypeError, "no cell like GRU"),
        (lambda: layers.SimplifiedGRU(2), TypeError, "no cell like SimplifiedGRU"),
        (lambda: keras.layers.Dense(2), TypeError, r"Received: .*Dense"),
        (lambda: layers.LSTM(2, activation="relu"), ValueError, "activation='relu'.*tanh"),
        (lambda: layers.LSTM(2, recurrent_activation="tanh"), ValueError, "one of sigmoid"),
        (lambda: layers.LSTM(2, go_backwards=True), ValueError, "only goes backwards"),
        (
            lambda: layers.Bidirectional(layers.LSTM(2), merge_mode="sum"),
            ValueError,
            "merge_mode='concat'",
        ),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(2), backward_layer=layers.LSTM(3, go_backwards=True)
            ),
            ValueError,
            r"two directions .* must be alike",
        ),
    ],
)
def test_layers_that_torch_lacks(layer, error, message):
    layer = layer()
    layer.build((None, None, INPUT))
    with pytest.raises(error, match=message):
        to_torch(layer)


@needs_torch
def test_stacks_that_torch_lacks():
    def built(layer, width=INPUT):
        layer.build((None, None, width))
        return layer

    with pytest.raises(ValueError, match="no weights yet"):
        to_torch(layers.LSTM(2))
    with pytest.raises(ValueError, match="at least one layer"):
        to_torch([])
    with pytest.raises(ValueError, match="must be alike"):
        to_torch([built(layers.LSTM(2)), built(layers.LSTM(3), 2)])
    with pytest.raises(ValueError, match=r"take the 2 outputs .*\[4, 4\]"):
        to_torch([built(layers.LSTM(2)), built(layers.LSTM(2))])
