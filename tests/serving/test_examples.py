"""The examples in the docstrings run as they stand."""

import inspect
import re

import pytest

from kerasrnn import serving
from kerasrnn.serving import warmup

BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:    .*\n?|\n)+)", re.M)
EXAMPLES = {
    f"{name}-{number}": inspect.cleandoc(code)
    for name, item in {**vars(serving), **vars(warmup)}.items()
    if getattr(item, "__module__", "").startswith("kerasrnn.serving")
    for number, code in enumerate(BLOCK.findall(inspect.getdoc(item) or ""))
}


def test_public_functions_have_an_example():
    names = {name.rpartition("-")[0] for name in EXAMPLES}
    assert {"Signature", "export_signatures", "serving_command", "verify_savedmodel"} <= names


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[name], name, "exec"), {"__name__": "example"})
