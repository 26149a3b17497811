"""What Keras's layers and cells take, those of the same name here take, and mean the same by it."""

import inspect

import keras
import numpy as np
import pytest

from kerasrnn import cells, layers
from tests.backends import assert_close
from tests.layers.common import BATCH, INPUT, TIME, UNITS, draw

CELLS = ("SimpleRNNCell", "GRUCell", "LSTMCell")
LAYERS = ("SimpleRNN", "GRU", "LSTM")
ALL = (*LAYERS, "RNN", "Bidirectional", *CELLS)

# A value other than the default for each argument; `reset_after=True` is another cell.
VALUES = {
    "units": UNITS,
    "activation": "relu",
    "recurrent_activation": "hard_sigmoid",
    "use_bias": False,
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "he_uniform",
    "bias_initializer": "ones",
    "unit_forget_bias": False,
    "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.1}},
    "recurrent_regularizer": {"class_name": "L2", "config": {"l2": 0.2}},
    "bias_regularizer": {"class_name": "L2", "config": {"l2": 0.3}},
    "activity_regularizer": {"class_name": "L2", "config": {"l2": 0.4}},
    "kernel_constraint": {"class_name": "MaxNorm", "config": {"max_value": 1.0}},
    "recurrent_constraint": {"class_name": "MaxNorm", "config": {"max_value": 2.0}},
    "bias_constraint": {"class_name": "MaxNorm", "config": {"max_value": 3.0}},
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "seed": 7,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "zero_output_for_mask": True,
    "reset_after": False,
    "use_cudnn": False,
    "merge_mode": "sum",
    "weights": None,
}


def pair(name):
    """Our class and Keras's."""
    return getattr(cells if name.endswith("Cell") else layers, name), getattr(keras.layers, name)


def named(function):
    """The parameters that a caller can name, in order."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in inspect.signature(function).parameters.values() if p.kind not in variable]


def arguments(name):
    """Positional arguments for all that the constructor of Keras's class names."""
    values = dict(VALUES)
    if name == "Bidirectional":
        options = {"return_sequences": True}
        values["layer"] = layers.LSTM(UNITS, **options)
        values["backward_layer"] = layers.LSTM(UNITS + 1, go_backwards=True, **options)
    elif name == "RNN":
        values["cell"] = cells.LSTMCell(UNITS)
    return [values[p.name] for p in named(pair(name)[1])]


def made(name, **options):
    """A built layer of each side."""
    if name == "GRU":
        options["reset_after"] = False
    both = [cls(UNITS, **options) for cls in pair(name)]
    for layer in both:
        layer.build((BATCH, TIME, INPUT))
    return both


@pytest.mark.parametrize("name", ALL)
def test_constructors_name_the_arguments_of_keras_in_its_order(name):
    ours, theirs = (named(cls) for cls in pair(name))
    assert [p.name for p in ours][: len(theirs)] == [p.name for p in theirs]
    for our, their in zip(ours, theirs, strict=False):
        assert our.kind is their.kind, our
        # The default of `reset_after` is the one that differs.
        assert our.default == (False if our.name == "reset_after" else their.default), our
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :]), "ours come by name"


def test_what_has_no_counterpart_takes_the_arguments_in_the_order_of_a_gru():
    for ours, theirs in (
        (layers.SimplifiedGRU, layers.GRU),
        (cells.SimplifiedGRUCell, cells.GRUCell),
    ):
        mine, wanted = (
            [p for p in named(cls) if p.kind is not p.KEYWORD_ONLY] for cls in (ours, theirs)
        )
        assert [p.name for p in mine] == [
            p.name for p in wanted if p.name not in ("reset_after", "use_cudnn")
        ]


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_what_was_not_asked_for_is_named(name):
    ours, _ = pair(name)
    for arguments, options in (((), {}), ((4,), {"units": 4}), ((4,) * 40, {})):
        with pytest.raises(TypeError, match=f"{name}: .*argument"):
            ours(*arguments, **options)
    with pytest.raises(ValueError, match=f"passed to {name}: .*unit_size"):
        ours(4, unit_size=4)


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_a_subclass_has_a_constructor_of_its_own(name):
    ours, _ = pair(name)

    class Mine(ours):
        def __init__(self, width, *, scale=2.0, **kwargs):
            super().__init__(width, "relu", **kwargs)
            self.scale = scale

    assert [p.name for p in named(Mine)] == ["width", "scale"]
    made = Mine(UNITS, scale=3.0, dropout=0.1, trainable=False, name="mine")
    config = made.get_config()
    assert (made.scale, made.name, config["units"], config["dropout"]) == (3.0, "mine", UNITS, 0.1)
    assert config["activation"] == "relu" and not made.trainable
    if name in LAYERS:
        assert not made.cell.trainable


@pytest.mark.parametrize("name", ALL)
def test_positional_arguments_mean_what_they_mean_in_keras(name):
    positional = arguments(name)
    ours, theirs = (cls(*positional, name="layer").get_config() for cls in pair(name))
    if name == "SimpleRNN":  # Keras's own loses it
        assert ours["activity_regularizer"]["config"] == {"l2": 0.4}
        del theirs["activity_regularizer"]
    assert {key: ours.get(key) for key in theirs} == theirs


@pytest.mark.parametrize("name", ALL)
def test_methods_take_the_arguments_of_keras(name):
    ours, theirs = pair(name)
    for method, function in inspect.getmembers(theirs, inspect.isfunction):
        if method.startswith("_") or method not in vars(theirs):
            continue
        wanted, has = named(function), named(getattr(ours, method))
        assert len(has) >= len(wanted), method
        for our, their in zip(has, wanted, strict=False):
            # Keras itself calls a cell's inputs `sequence` in one of three cells.
            assert our.name == their.name or their.name in ("_", "sequence"), (method, our)
            assert our.default == their.default or their.default is their.empty, (method, our)
        assert all(p.default is not p.empty for p in has[len(wanted) :]), method


@pytest.mark.parametrize("name", LAYERS)
def test_what_can_be_read_from_a_layer_of_keras(name):
    ours, theirs = made(name, dropout=0.1)
    for mine, keras_own in ((ours, theirs), (ours.cell, theirs.cell)):
        public = [n for n in dir(keras_own) if not n.startswith("_") and hasattr(keras_own, n)]
        assert len(public) > 50
        assert [n for n in public if not hasattr(mine, n)] == []
        for attribute in VALUES:
            if hasattr(keras_own, attribute) and attribute in keras_own.get_config():
                assert attribute in mine.get_config()


@pytest.mark.parametrize("name", ["GRU", "LSTM", "GRUCell", "LSTMCell"])
def test_implementation_is_taken_and_changes_nothing(name, rng):
    ours, _ = pair(name)
    x = draw(rng, BATCH, TIME, INPUT)
    config = ours(UNITS, seed=1).get_config()
    if name.endswith("Cell"):
        variants = [layers.RNN(ours(UNITS, implementation=i)) for i in (0, 1, 2)]
    else:
        variants = [ours(UNITS, implementation=i) for i in (0, 1, 2)]
        variants.append(ours.from_config({**config, "implementation": 0}))  # as Keras 2 wrote it
        deep = layers.DeepRNN(name.lower(), units=UNITS, return_sequences=False, implementation=1)
        variants.append(layers.DeepRNN.from_config(deep.get_config()))
    expected = variants[0](x)
    for variant in variants[1:]:
        variant.build(x.shape)
        variant.set_weights(variants[0].get_weights())
        assert_close(variant(x), expected, 0)
    with pytest.raises(ValueError, match=r"`implementation` must be 0, 1 or 2.*=3"):
        ours(UNITS, implementation=3)


@pytest.mark.parametrize("name", ["GRU", "LSTM"])
def test_use_cudnn_can_be_read_and_is_refused_where_it_is_a_demand(name):
    ours, _ = pair(name)
    for value in ("auto", False):
        both = layers.Bidirectional(ours(UNITS, use_cudnn=value))
        assert both.forward_layer.use_cudnn == both.backward_layer.use_cudnn == value
    for value in (True, "always"):
        with pytest.raises(ValueError, match="use_cudnn"):
            ours(UNITS, use_cudnn=value)


@pytest.mark.parametrize("name", ["GRU", "GRUCell"])
def test_reset_after_can_be_read_and_only_be_false(name):
    ours, _ = pair(name)
    assert ours(UNITS, reset_after=False).reset_after is False
    by_position = arguments(name)
    by_position[[p.name for p in named(ours)].index("reset_after")] = True
    with pytest.raises(ValueError, match="reset_after"):
        ours(*by_position)


@pytest.mark.parametrize("name", ALL)
def test_a_configuration_of_keras_makes_our_layer(name):
    ours, theirs = pair(name)
    values = arguments(name)
    if name == "Bidirectional":
        values[0], values[-1] = (
            keras.layers.LSTM(UNITS, return_sequences=True, go_backwards=b) for b in (False, True)
        )
    elif name == "RNN":
        values[0] = keras.layers.StackedRNNCells([keras.layers.LSTMCell(n) for n in (3, UNITS)])
    wanted = theirs(*values).get_config()
    # From a copy: Keras takes parts out of the configuration that it is given.
    layer = ours.from_config(keras.tree.map_structure(lambda x: x, wanted))
    assert isinstance(layer, ours)
    has = layer.get_config()
    assert {key: has.get(key) for key in wanted} == wanted
    again = ours.from_config(keras.tree.map_structure(lambda x: x, has)).get_config()
    assert again == has


@pytest.mark.parametrize("name", CELLS)
def test_a_single_state_may_come_without_a_list(name, rng):
    ours, theirs = pair(name)
    x = draw(rng, BATCH, INPUT)
    states = [draw(rng, BATCH, UNITS) for _ in range(2 if name == "LSTMCell" else 1)]
    forms = [states, tuple(states), *(states if name != "LSTMCell" else ())]
    options = {"reset_after": False} if name == "GRUCell" else {}
    for form in forms:
        (y, new), (_, wanted) = (cls(UNITS, **options)(x, form) for cls in (ours, theirs))
        assert type(new) is type(wanted)
        assert_close(keras.tree.flatten(new)[0], y)


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_units_may_be_an_integer_of_numpy(name, kind):
    layer = pair(name)[0](kind(UNITS))
    assert type(layer.get_config()["units"]) is int and layer.units == UNITS


@pytest.mark.parametrize("name", ["SimpleRNNCell", "LSTMCell"])
def test_states_of_stacked_cells_are_reset(name, rng):
    stack = layers.RNN([pair(name)[0](n) for n in (3, UNITS)], stateful=True)
    x = draw(rng, BATCH, TIME, INPUT)
    first, second = stack(x), stack(x)
    assert not np.allclose(keras.ops.convert_to_numpy(first), keras.ops.convert_to_numpy(second))
    stack.reset_state()
    assert_close(stack(x), first)
