"""The examples in the docstrings of all modules run as they stand.

Those in code blocks, in `kerasrnn.serving`, have a test beside that package.
"""

import contextlib
import doctest
import importlib
import inspect
import pkgutil

import keras
import pytest

import kerasrnn

EVERYWHERE = ("cells", "convert", "layers", "networks", "recurrence")
PUBLIC = ("cells", "convert", "data", "embeddings", "layers", "lens", "networks", "text", "zoo")

# Examples show one backend's way to make arrays of tensors and to print them.
WRITTEN_FOR_OTHERS = {
    ("jax", "layers.crf"),
    ("torch", "convert"),
    ("torch", "layers.crf"),
    ("torch", "networks.music"),
}

# Shown in the example of what returns them, raises them or finds them.
SHOWN_ELSEWHERE = {
    "AnalogyScores",
    "AnalogySection",
    "CELLS",
    "Cell",
    "Entity",
    "GrewUpIn",
    "NextToken",
    "SUBWORD_PACKAGES",
    "Preset",
    "TaggedToken",
    "Task",
    "TextScore",
    "Token",
    "VECTOR_PACKAGES",
    "Vectors",
    "WordPairScores",
    "read_terms",
    "resolve_preset",
    "write_vectors",
    "GateActivations",
    "GateWeights",
    "GradientFlow",
    "Horizon",
    "JacobianProducts",
    "StateJacobian",
}


def modules() -> list[str]:
    """All modules with code that the backend in use can import, without their common prefix."""
    names = [m.name for m in pkgutil.walk_packages(kerasrnn.__path__, "kerasrnn.")]
    names = [name.removeprefix("kerasrnn.") for name in names if "zoo_data" not in name]
    backend = keras.backend.backend()
    others = {"tensorflow", "jax", "torch"} - {backend}
    names = [name for name in names if not name.endswith(tuple(f"{b}_backend" for b in others))]
    if backend != "tensorflow":
        names = [name for name in names if name.split(".")[0] in EVERYWHERE]
    return names


def with_examples() -> list[str]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [
        name
        for name in modules()
        if any(t.examples for t in finder.find(importlib.import_module(f"kerasrnn.{name}")))
    ]


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")
@pytest.mark.parametrize("name", with_examples())
def test_examples_run(name, tmp_path, monkeypatch):
    if name == "convert":
        pytest.importorskip("torch")
    if (keras.backend.backend(), name) in WRITTEN_FOR_OTHERS:
        pytest.skip("converts the backend's tensors as others do")
    monkeypatch.chdir(tmp_path)
    with eager_functions(name.startswith("zoo.")):
        results = doctest.testmod(importlib.import_module(f"kerasrnn.{name}"))
    assert results.failed == 0


@contextlib.contextmanager
def eager_functions(eager: bool):
    """Run what is decorated with `tf.function` step by step.

    Most of an example's time goes into tracing graphs that it calls once; tests/zoo has the graphs.
    """
    if not eager:
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.tensorflow
def test_every_public_name_has_an_example():
    missing = []
    for package in PUBLIC:
        module = importlib.import_module(f"kerasrnn.{package}")
        names = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
        ]
        for name in set(names) - SHOWN_ELSEWHERE:
            public = getattr(module, name)
            methods = vars(public).values() if inspect.isclass(public) else ()
            texts = [getattr(item, "__doc__", None) or "" for item in (public, *methods)]
            if not any(">>>" in text for text in texts):
                missing.append(f"{package}.{name}")
    assert not missing
