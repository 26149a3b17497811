"""The command that serves an exported model, and one that asks it."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

from kerasrnn.serving import c_api
from kerasrnn.serving.placing import existing_versions

_EXAMPLE_TEXT, _EXAMPLE_WORD = "I grew up in France.", "France"
_EXAMPLES: dict[str, Any] = {"string": _EXAMPLE_TEXT, "bool": True}


def serving_command(path: str | os.PathLike[str], name: str) -> str:
    """Shell commands that serve a model's folder with TF Serving and send it a first request.

    Args:
        path: the folder that holds the versions, or one version.
        name: the model's name on the server.

    Returns:
        Lines to paste into a shell: Docker, the bare server, and a request with curl.

    Raises:
        FileNotFoundError: no version there.
        ValueError: a name that does not fit into an address.

    Example:

    .. code-block:: python

        import tensorflow as tf
        from kerasrnn.serving import serving_command

        module = tf.Module()
        module.shout = tf.function(
            lambda text: {"loud": tf.strings.upper(text)},
            input_signature=[tf.TensorSpec((None,), tf.string, name="text")],
        )
        tf.saved_model.save(module, "serving/shout/1", signatures=module.shout)
        print(serving_command("serving/shout", "shout"))
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(f"`name` takes letters, digits and `_.-` only. Received: {name!r}.")
    folder = Path(path).resolve()
    if (folder / "saved_model.pb").is_file():
        folder = folder.parent
    versions = existing_versions(folder)
    if not versions:
        raise FileNotFoundError(f"No exported version in '{folder}'.")
    graph = c_api.meta_graph(versions[max(versions)])
    inputs = c_api.signature_defs(graph)["serving_default"]["inputs"]
    request = {"inputs": {key: _example(key, info) for key, info in inputs.items()}}
    mount = f"type=bind,{_mount_field(f'source={folder}')},target=/models/{name},readonly"
    return "\n".join(
        (
            "# Serve it with Docker (gRPC on port 8500, REST on port 8501):",
            "docker run --rm -p 8500:8500 -p 8501:8501 "
            f"--mount {shlex.quote(mount)} -e MODEL_NAME={name} tensorflow/serving",
            "# or with an installed server:",
            "tensorflow_model_server --port=8500 --rest_api_port=8501 "
            f"--model_name={name} --model_base_path={shlex.quote(str(folder))}",
            "# Then ask it:",
            f"curl -d {shlex.quote(json.dumps(request))} "
            f"http://localhost:8501/v1/models/{name}:predict",
        )
    )


def _mount_field(field: str) -> str:
    """Docker reads a mount as a row of CSV."""
    return '"' + field.replace('"', '""') + '"' if set(field) & {",", '"'} else field


def _example(name: str, info: dict[str, Any]) -> Any:
    """A value that fits an input, with 1 for each size left open."""
    dtype = info["dtype"]
    value = _EXAMPLES.get(dtype, 0.0 if "float" in dtype else 0)
    if name == "words" and dtype == "string":
        value = _EXAMPLE_WORD
    for size in reversed(info["shape"] if info["shape"] is not None else [1]):
        value = [value] * (1 if size < 0 else size)
    return value
