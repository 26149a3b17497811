import doctest
import importlib
import pkgutil

import pytest

import kerasrnn.text

MODULES = [m.name for m in pkgutil.iter_modules(kerasrnn.text.__path__, "kerasrnn.text.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0


def test_every_public_name_has_an_example():
    for name in kerasrnn.text.__all__:
        public = getattr(kerasrnn.text, name)
        assert public.__doc__, name
        if name != "Token":  # shown by Tokenizer.tokenize
            assert ">>>" in public.__doc__, name
