"""Text layers run on TensorFlow, whatever backend Keras is set to."""

import keras
import pytest

if keras.backend.backend() != "tensorflow":
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "/tests/text/" in item.path.as_posix():
            item.add_marker(pytest.mark.tensorflow)
