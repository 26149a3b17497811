"""Golden files: every public class gives the numbers once written down for it."""

import json

import keras
import numpy as np
import pytest

from kerasrnn import cells, layers
from tests.backends import arrays, assert_close, assign
from tests.make_goldens import FOLDER, goldens

# A base class without equations, and an initialiser whose numbers are random.
WITHOUT_NUMBERS = {"Cell", "Chrono"}
PUBLIC = {
    name: getattr(module, name)
    for module in (cells, layers)
    for name in module.__all__
    if isinstance(getattr(module, name), type) and name not in WITHOUT_NUMBERS
}


def load(name):
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        content = dict(file)
    arguments = json.loads(str(content["arguments"]))
    inputs = {k.removeprefix("input_"): v for k, v in content.items() if k.startswith("input_")}
    numbered = [
        [content[f"{kind}_{i}"] for i in range(sum(k.startswith(f"{kind}_") for k in content))]
        for kind in ("weight", "output")
    ]
    return arguments, inputs, *numbered


def construct(name, arguments):
    """An instance; an argument `{"GRU": {...}}` is one too."""
    arguments = {
        key: construct(*next(iter(value.items()))) if isinstance(value, dict) else value
        for key, value in arguments.items()
    }
    return getattr(cells if name.endswith("Cell") else layers, name)(**arguments)


def test_every_public_class_has_a_golden_and_every_golden_a_class():
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(PUBLIC)


def test_the_files_are_what_the_equations_say():
    """Nobody has edited a golden file to suit the library."""
    for name, content in goldens().items():
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            assert set(file) == set(content)
            for key, value in content.items():
                if value.dtype.kind == "f":
                    np.testing.assert_allclose(file[key], value, atol=1e-6)
                else:
                    np.testing.assert_array_equal(file[key], value)
        assert (FOLDER / f"{name}.npz").stat().st_size < 20_000


@pytest.mark.parametrize("name", PUBLIC)
def test_numbers(name):
    arguments, inputs, weights, outputs = load(name)
    instance = construct(name, arguments)
    x = keras.ops.convert_to_tensor(inputs.pop("x"))
    shapes = [tuple(x.shape)]
    if "query" in inputs:
        shapes.insert(0, inputs["query"].shape)
    if not instance.built:  # the CRF makes its weights at once
        instance.build(*shapes)
    assign(instance, weights)
    if name == "CRF":
        actual = crf(instance, x, **inputs)
    elif "query" in inputs:
        actual = instance(inputs["query"], x, mask=inputs["mask"])
    elif name.endswith("Cell"):
        actual = instance(x, [keras.ops.convert_to_tensor(s) for s in inputs.values()])
    else:
        actual = instance(x, mask=keras.ops.convert_to_tensor(inputs["mask"]))
    assert_close(arrays(actual), outputs)


def crf(layer, logits, mask, tags):
    tags_found, score = layer.decode(logits, mask=mask)
    log_likelihood = layer.log_likelihood(logits, tags, mask=mask)
    return [log_likelihood, keras.ops.where(mask, tags_found, 0), score]
