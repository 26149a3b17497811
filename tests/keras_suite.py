"""Keras's own tests of recurrent layers, run on the layers and cells of this package.

    python -m tests.keras_suite                   # further arguments go to pytest
    KERAS_BACKEND=jax python -m tests.keras_suite

The tests are read from the installed wheel of Keras. In their modules, and nowhere else, names such
as `layers.LSTM` stand for this package's; Keras itself stays as it is. What the layers here cannot
do by their equations, or leave to Keras, stands in `EXCLUDED` and has to fail: a test there that
passes, or that Keras no longer has, is an error too. (Nightly builds of Keras come without tests.)
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

from kerasrnn import cells, layers

ROOT = Path(__file__).resolve().parents[1]
KERAS_TESTS = Path(keras.src.__file__).parent / "layers"

OURS: dict[str, Any] = {
    "RNN": layers.RNN,
    "SimpleRNN": layers.SimpleRNN,
    "LSTM": layers.LSTM,
    "Bidirectional": layers.Bidirectional,
    "SimpleRNNCell": cells.SimpleRNNCell,
    "GRUCell": cells.GRUCell,
    "LSTMCell": cells.LSTMCell,
}
# Numbers of a GRU in Keras's tests are those of its default, `reset_after=True`, which is another
# cell. Outside of the GRU's own tests it stays Keras's, as a layer within our `Bidirectional`.
OURS_OF_GRU = {**OURS, "GRU": layers.GRU}
FILES = {
    "core/masking_test.py": OURS,
    "rnn/bidirectional_test.py": OURS,
    "rnn/dropout_rnn_cell_test.py": OURS,
    "rnn/gru_test.py": OURS_OF_GRU,
    "rnn/lstm_test.py": OURS,
    "rnn/rnn_test.py": OURS,
    "rnn/simple_rnn_test.py": OURS,
    "rnn/stacked_rnn_cells_test.py": OURS,
}

RESET_AFTER = "its numbers are those of reset_after=True, another cell than ours"
EXCLUDED = {
    "rnn/bidirectional_test.py::SimpleRNNTest::test_fused_lstm_eligibility": (
        "asks a private method whether Keras's fused LSTM would run; ours is not Keras's"
    ),
    "rnn/bidirectional_test.py::SimpleRNNTest::test_keeps_use_cudnn": (
        "makes a layer with use_cudnn=True, which ours refuses: it does not call cuDNN"
    ),
    **{
        f"rnn/gru_test.py::GRUTest::{name}": RESET_AFTER
        for name in (
            "test_correctness0",
            "test_correctness1",
            "test_legacy_implementation_argument",
            "test_masking",
            "test_pass_initial_state",
            "test_pass_return_state",
            "test_statefulness",
        )
    },
}


def main(arguments: list[str]) -> int:
    """Run pytest on Keras's tests, with the settings of this project's own."""
    sys.dont_write_bytecode = True  # nothing is left in the place where Keras is installed
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(KERAS_TESTS), "-n", "0"]
    plugins = ["-p", "tests.keras_suite", "-p", "no:cacheprovider"]
    files = [str(KERAS_TESTS / file) for file in FILES]
    for file in files:
        if not Path(file).is_file():
            sys.exit(f"Keras {keras.__version__} is installed without its tests: no {file}")
    return pytest.main([*settings, *plugins, *arguments, *files])


# === What pytest is told, as a plugin ===


def pytest_report_header(config):
    return f"keras {keras.__version__} on {keras.backend.backend()}: its tests, our layers"


def pytest_configure(config):
    config.addinivalue_line("markers", "requires_trainable_backend: a mark of Keras's tests")


@pytest.hookimpl(tryfirst=True)  # before `-k` takes some away
def pytest_collection_modifyitems(items):
    gone = set(EXCLUDED) - {item.nodeid for item in items}
    if gone:
        raise pytest.UsageError(f"Keras has no such tests, take them off EXCLUDED: {sorted(gone)}")
    for item in items:
        if item.nodeid in EXCLUDED:
            reason = EXCLUDED[item.nodeid]
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(autouse=True, scope="module")
def ours_in_the_place_of_keras(request):
    """The tests of a module reach layers as `layers.NAME`, so that one name is all to change."""
    module = request.module
    ours = FILES[request.path.relative_to(KERAS_TESTS).as_posix()]
    theirs = {id(getattr(keras.layers, name)) for name in ours}
    by_name = [name for name, value in vars(module).items() if id(value) in theirs]
    assert not by_name, f"{module.__name__} imports {by_name} by name and would test Keras's"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "layers", SimpleNamespace(**{**vars(module.layers), **ours}))
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
