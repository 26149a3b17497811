"""Checks an installed kerasrnn: where it lies, what it ships, and that each preset answers.

`python .ci/check_wheel.py FOLDER` imports as a program in FOLDER would.
"""

import os
import socket
import sys
import sysconfig
from importlib import metadata, resources
from pathlib import Path


def refuse(*args, **kwargs):
    raise OSError("this check runs without a network")


socket.socket.connect = refuse  # type: ignore[method-assign]
# What `python -c` and `python -m` do: the current folder comes first.
sys.path[0] = os.path.abspath(sys.argv[1])

import tensorflow as tf  # noqa: E402

import kerasrnn.zoo  # noqa: E402
from kerasrnn.zoo import Task, list_presets  # noqa: E402
from kerasrnn.zoo.presets import zoo_folders  # noqa: E402

print(f"  kerasrnn {metadata.version('kerasrnn')} in {Path(kerasrnn.zoo.__file__).parents[1]}")
package = resources.files("kerasrnn")
assert package.joinpath("py.typed").is_file()
for split in ("train", "validation", "test"):
    assert package.joinpath("data", "corpus", f"{split}.conll").is_file(), split

installed = Path(sysconfig.get_path("purelib"), "kerasrnn", "zoo_data").resolve()
assert (installed / "index.toml").is_file(), f"no {installed}/index.toml"
# In a checkout its own package comes first, and with it its own presets.
checkout = Path(sys.path[0], "kerasrnn").is_dir()
expected = Path(sys.path[0], "zoo").resolve() if checkout else installed
assert zoo_folders()[0] == expected, f"{zoo_folders()} does not begin with {expected}"

presets = list_presets()
assert presets, "no presets"
for preset in presets[:1] if checkout else presets:  # those of a checkout have tests
    model = Task.from_preset(preset.name)
    signature = model.signatures()["serving_default"]
    samples = model.samples()["serving_default"]
    request = samples[0] if isinstance(samples, list) else samples
    inputs = {
        name: tf.constant(request[name], s.dtype) for name, s in signature.input_specs.items()
    }
    answer = signature.function(**inputs)
    print(f"  {preset.name} from {preset.path.parent}: {', '.join(sorted(answer))}")
shipped = {path.name for path in installed.iterdir() if path.is_dir()} - {"__pycache__"}
assert shipped >= {preset.name for preset in presets}, f"the wheel has only {sorted(shipped)}"
