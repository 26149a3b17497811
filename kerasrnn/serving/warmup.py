"""Warm-up requests: TF Serving runs them before it lets a new version answer.

The first request to a fresh model pays for the graph's optimisation. TF Serving therefore replays
the file `assets.extra/tf_serving_warmup_requests`, a TFRecord file of `PredictionLog` messages.
Those are defined in TF Serving's `prediction_log.proto`, `predict.proto` and `model.proto`. The
messages needed are written here by hand, which spares users the package tensorflow-serving-api.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")

# TF Serving refuses to load a model with more.
MAX_REQUESTS = 1000


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*parts, number))


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def prediction_log(inputs: Mapping[str, Any], signature: str, name: str) -> bytes:
    """One warm-up request as a serialised `PredictionLog`.

    Args:
        inputs: an array for each input of the signature; strings as object arrays of bytes.
        signature: the signature's name.
        name: the model's name on the server.

    Returns:
        The bytes of the message.

    Example:

    .. code-block:: python

        import numpy as np
        from kerasrnn.serving.warmup import prediction_log

        prediction_log({"x": np.zeros((1, 3), "float32")}, "serving_default", "tagger")
    """
    model_spec = _field(1, name.encode()) + _field(3, signature.encode())
    request = _field(1, model_spec)
    for key, value in inputs.items():
        array = np.asarray(value)
        dtype = tf.string if array.dtype.kind in "OSU" else None
        tensor = tf.make_tensor_proto(array, dtype=dtype, shape=array.shape)
        request += _field(2, _field(1, key.encode()) + _field(2, tensor.SerializeToString()))
    # PredictionLog.predict_log (6) > PredictLog.request (1)
    return _field(6, _field(1, request))


def write_warmup(
    folder: Path, requests: Iterable[tuple[str, Mapping[str, Any]]], name: str
) -> Path:
    """Writes a SavedModel's warm-up requests.

    Args:
        folder: the SavedModel's folder.
        requests: (signature, inputs) pairs; at most 1000 are written, the most a server takes.
        name: the model's name on the server.

    Returns:
        The file written.
    """
    path = folder / WARMUP_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _, (signature, inputs) in zip(range(MAX_REQUESTS), requests, strict=False):
            writer.write(prediction_log(inputs, signature, name))
    return path
