"""Every recurrent layer goes through the generic checks."""

import pytest

from kerasrnn import cells, layers
from tests.layers.layer_checks import run_layer_checks
from tests.oracles import CELLS

B, T, X, U = 3, 5, 4, 6  # batch, time, input, units


def weights_of(oracle, prefix, input_dim=X):
    names = ("kernel", "recurrent_kernel", "bias")
    shapes = oracle.weight_shapes(input_dim, U)
    return [(f"{prefix}/{name}", shape) for name, shape in zip(names, shapes, strict=True)]


@pytest.mark.parametrize("name", CELLS)
def test_last_output(name):
    oracle = CELLS[name]
    run_layer_checks(
        getattr(layers, oracle.layer),
        {"units": U},
        output_shapes=[(B, U)],
        weights=weights_of(oracle, "_cell"),
    )


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.slow
def test_sequences_and_states_backwards_with_dropout(name):
    oracle = CELLS[name]
    run_layer_checks(
        getattr(layers, oracle.layer),
        {
            "units": U,
            "return_sequences": True,
            "return_state": True,
            "go_backwards": True,
            "zero_output_for_mask": True,
            "dropout": 0.1,
            "recurrent_dropout": 0.1,
            "seed": 3,
            "name": "mine",
        },
        output_shapes=[(B, T, U)] + [(B, U)] * oracle.states,
        weights=weights_of(oracle, "_cell"),
        returns_sequences=True,
    )


@pytest.mark.parametrize("name", CELLS)
def test_rnn_of_a_cell(name):
    oracle = CELLS[name]
    run_layer_checks(
        layers.RNN,
        {"cell": getattr(cells, oracle.cell)(U, name="mine"), "return_sequences": True},
        output_shapes=[(B, T, U)],
        weights=weights_of(oracle, "mine"),
        returns_sequences=True,
    )


@pytest.mark.parametrize("name", ["simple", "lstm"])
def test_bidirectional(name):
    oracle = CELLS[name]
    inner = getattr(layers, oracle.layer)(U, return_sequences=True, return_state=True, name="mine")
    run_layer_checks(
        layers.Bidirectional,
        {"layer": inner, "merge_mode": "concat"},
        output_shapes=[(B, T, 2 * U)] + [(B, U)] * (2 * oracle.states),
        weights=[
            *weights_of(oracle, f"forward_mine/{inner.cell.name}"),
            *weights_of(oracle, f"backward_mine/{inner.cell.name}"),
        ],
        returns_sequences=True,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"cell": "gru", "units": U, "depth": 2},
        {"cell": "lstm", "units": U, "depth": 2, "bidirectional": True, "return_sequences": False},
    ],
    ids=["gru", "bidirectional-lstm"],
)
def test_deep_rnn(arguments):
    oracle = CELLS[arguments["cell"]]
    both = arguments.get("bidirectional", False)
    sequences = arguments.get("return_sequences", True)
    weights = []
    for level in range(2):
        width = X if level == 0 else U * (1 + both)
        weights += weights_of(oracle, "", width) * (1 + both)
    run_layer_checks(
        layers.DeepRNN,
        arguments,
        output_shapes=[(B, T, U * (1 + both)) if sequences else (B, U * (1 + both))],
        weights=weights,
        returns_sequences=sequences,
    )
