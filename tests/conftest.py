"""The backend under test, chosen by `KERAS_BACKEND` (tensorflow when unset), and shared fixtures.

Cells, layers and the recurrence are tested on every backend. Text, data, training and serving are
TensorFlow alone: on other backends their folders are not collected, and single tests elsewhere say
`@pytest.mark.tensorflow`.
"""

import contextlib
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

BACKEND = keras.backend.backend()
TENSORFLOW_ONLY = [
    (name,)
    for name in ("benchmarks", "data", "embeddings", "lens", "serving", "text", "training", "zoo")
]


def pytest_report_header(config):
    return f"keras {keras.__version__} on {BACKEND}"


def pytest_ignore_collect(collection_path: Path, config) -> bool | None:
    """Leave the folders of TensorFlow-only packages alone on other backends."""
    place = collection_path.relative_to(Path(__file__).parent).parts
    return True if BACKEND != "tensorflow" and place[:1] in TENSORFLOW_ONLY else None


def pytest_collection_modifyitems(config, items):
    if BACKEND == "tensorflow":
        return
    skip = pytest.mark.skip(reason=f"needs the TensorFlow backend, not {BACKEND}")
    for item in items:
        if "tensorflow" in item.keywords:
            item.add_marker(skip)


if BACKEND == "jax":
    # A loop outside of `jit` is compiled again at each call: keep what was compiled for the run.
    import tempfile

    import jax

    _compiled = tempfile.TemporaryDirectory(prefix="kerasrnn-tests-")
    jax.config.update("jax_compilation_cache_dir", _compiled.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

    @pytest.fixture(autouse=True, scope="module")
    def _let_go_of_what_was_compiled():
        """Every program holds maps of memory, of which a process may have only so many."""
        yield
        jax.clear_caches()


@pytest.fixture(autouse=True)
def _seeded():
    """Every test starts from the same random state, alone or in company."""
    keras.utils.set_random_seed(20260101)


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator of the test's own."""
    return np.random.default_rng(7)


@pytest.fixture
def float64(monkeypatch):
    """Double precision, for exact comparisons of gradients.

    JAX computes in it only when told to, and on JAX and PyTorch Keras narrows the result of many
    operations to 32 bits by a table, which is lifted here.
    """
    with contextlib.ExitStack() as stack:
        if BACKEND != "tensorflow":
            from keras.src.backend.common import dtypes

            monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
        if BACKEND == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield "float64"
