"""Write `tests/goldens/*.npz`: fixed weights and inputs, and what the equations make of them.

The numbers come from `tests/oracles.py` in float64, never from the library, so that a golden file
cannot inherit a mistake. Run it again only when an equation is meant to change:

    python -m tests.make_goldens
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracles import (
    ATTENTIONS,
    CELLS,
    bidirectional_outputs,
    crf_scores,
    deep_outputs,
    layer_outputs,
    random_weights,
)

FOLDER = Path(__file__).parent / "goldens"
BATCH, TIME, INPUT, UNITS, TAGS = 2, 4, 3, 5, 3
MASK = np.array([[True, True, False, True], [True, True, False, False]])


def goldens() -> dict[str, dict[str, Any]]:
    """Of every public class: its module, arguments, inputs, weights and outputs."""
    rng = np.random.default_rng(2014)
    x = rng.normal(size=(BATCH, TIME, INPUT)).astype("float32")
    files: dict[str, dict[str, Any]] = {}

    def add(name, module, arguments, inputs, weights, outputs):
        files[name] = {
            "module": np.array(module),
            "arguments": np.array(json.dumps(arguments)),
            **{f"input_{key}": value for key, value in inputs.items()},
            **{f"weight_{i}": w for i, w in enumerate(weights)},
            **{f"output_{i}": np.asarray(y, "float32") for i, y in enumerate(outputs)},
        }

    def drawn(oracle, input_dim=INPUT):
        return random_weights(oracle, input_dim, UNITS, rng)

    def exact(arrays):
        return [np.asarray(a, "float64") for a in arrays]

    for oracle in CELLS.values():
        weights = drawn(oracle)
        states = [rng.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(oracle.states)]
        output, new_states = oracle.step(x[:, 0].astype("float64"), exact(states), exact(weights))
        inputs = {"x": x[:, 0], **{f"state_{i}": s for i, s in enumerate(states)}}
        add(oracle.cell, "cells", {"units": UNITS}, inputs, weights, [output, *new_states])
        weights = drawn(oracle)
        arguments = {"units": UNITS, "return_sequences": True, "return_state": True}
        options = {"return_sequences": True, "return_state": True, "mask": MASK}
        outputs = layer_outputs(oracle, x.astype("float64"), exact(weights), **options)
        add(oracle.layer, "layers", arguments, {"x": x, "mask": MASK}, weights, outputs)

    lstm, gru = CELLS["lstm"], CELLS["gru"]
    weights = drawn(lstm)
    outputs = layer_outputs(lstm, x.astype("float64"), exact(weights), mask=MASK, go_backwards=True)
    add(
        "RNN",
        "layers",
        {"cell": {"LSTMCell": {"units": UNITS}}, "go_backwards": True},
        {"x": x, "mask": MASK},
        weights,
        outputs,
    )
    both = [drawn(gru), drawn(gru)]
    outputs = bidirectional_outputs(
        gru, x.astype("float64"), *map(exact, both), return_sequences=True, mask=MASK
    )
    add(
        "Bidirectional",
        "layers",
        {"layer": {"GRU": {"units": UNITS, "return_sequences": True}}},
        {"x": x, "mask": MASK},
        [*both[0], *both[1]],
        outputs,
    )
    weights = [w for width in (INPUT, INPUT, 2 * UNITS, 2 * UNITS) for w in drawn(lstm, width)]
    outputs = deep_outputs(
        lstm, x.astype("float64"), exact(weights), depth=2, bidirectional=True, mask=MASK
    )
    add(
        "DeepRNN",
        "layers",
        {"cell": "lstm", "units": UNITS, "depth": 2, "bidirectional": True},
        {"x": x, "mask": MASK},
        weights,
        outputs,
    )
    add("CRF", "layers", {"num_tags": TAGS}, *_crf(rng))
    for name, arguments, shapes in (
        ("BahdanauAttention", {"units": UNITS}, [(UNITS, UNITS), (INPUT, UNITS), (UNITS, 1)]),
        ("LuongAttention", {}, [(UNITS, INPUT)]),
    ):
        query = rng.normal(size=(BATCH, UNITS)).astype("float32")
        weights = [rng.normal(size=shape).astype("float32") for shape in shapes]
        rows = [
            ATTENTIONS[name](*exact([query[row], x[row]]), exact(weights), MASK[row])
            for row in range(BATCH)
        ]
        inputs = {"x": x, "mask": MASK, "query": query}
        add(name, "layers", arguments, inputs, weights, map(np.stack, zip(*rows, strict=True)))
    return files


def _crf(rng):
    """Log-likelihood of given tags, the best path and its score, by listing every path."""
    weights = [rng.normal(size=shape).astype("float32") for shape in ((TAGS, TAGS), TAGS, TAGS)]
    logits = rng.normal(size=(BATCH, TIME, TAGS)).astype("float32")
    tags = rng.integers(TAGS, size=(BATCH, TIME)).astype("int32")
    likelihood, best_score = np.zeros(BATCH), np.zeros(BATCH)
    best_path = np.zeros((BATCH, TIME), "int32")
    for row in range(BATCH):
        present = np.flatnonzero(MASK[row])
        scores = crf_scores(logits[row, present].astype("float64"), *map(np.float64, weights))
        total = np.log(sum(np.exp(score) for score in scores.values()))
        likelihood[row] = scores[tuple(tags[row, present].tolist())] - total
        path = max(scores, key=scores.__getitem__)
        best_path[row, present], best_score[row] = path, scores[path]
    inputs = {"x": logits, "mask": MASK, "tags": tags}
    return inputs, weights, [likelihood, best_path, best_score]


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in goldens().items():
        np.savez_compressed(FOLDER / f"{name}.npz", **content)


if __name__ == "__main__":
    main()
