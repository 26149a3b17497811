import doctest
import importlib
import pkgutil

import pytest

import kerasrnn.data

MODULES = [module.name for module in pkgutil.iter_modules(kerasrnn.data.__path__)]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "corpus"])
def test_examples_in_docstrings_run(name):
    failures, _ = doctest.testmod(importlib.import_module(f"kerasrnn.data.{name}"))
    assert failures == 0


def test_every_public_name_has_an_example():
    for name in kerasrnn.data.__all__:
        assert ">>>" in (getattr(kerasrnn.data, name).__doc__ or ""), name
