"""Warm-up requests, read back by hand and by TF Serving's own messages where they are installed."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from kerasrnn.serving import c_api, write_warmup
from kerasrnn.serving.warmup import MAX_REQUESTS, prediction_log
from tests.serving.models import SAMPLES, SPEC, Signature, scale

INPUTS = {
    "text": c_api.byte_strings(["", "I grew up in France.", "猫" * 100]),
    "x": np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 0.0]], np.float32),
    "count": np.array(3, np.int32),
}


def check_inputs(tensors):
    assert set(tensors) == set(INPUTS)
    for name, tensor in tensors.items():
        array = tf.make_ndarray(tensor)
        assert array.dtype == INPUTS[name].dtype
        assert array.tolist() == INPUTS[name].tolist()


def one(data, *numbers):
    """The field at the end of a path of field numbers, each of which occurs once."""
    for number in numbers:
        (data,) = c_api.values(data, number)
    return data


def test_message_by_field_numbers():
    data = prediction_log(INPUTS, "serving_default", "tagger")
    assert bytes(one(data, 6, 1, 1, 1)) == b"tagger"
    assert bytes(one(data, 6, 1, 1, 3)) == b"serving_default"
    entries = c_api.string_map(one(data, 6, 1), 2)
    check_inputs(
        {key: tensor_pb2.TensorProto.FromString(bytes(value)) for key, value in entries.items()}
    )


def test_message_by_tf_serving():
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    data = prediction_log(INPUTS, "step", "tagger")
    log = logs.PredictionLog.FromString(data)
    assert log.WhichOneof("log_type") == "predict_log"
    request = log.predict_log.request
    assert request.model_spec.name == "tagger"
    assert request.model_spec.signature_name == "step"
    check_inputs(dict(request.inputs))
    log.DiscardUnknownFields()
    assert log.ByteSize() == len(data)  # every byte belongs to a field that the server knows


def test_file_of_an_export(tmp_path):
    from kerasrnn.serving import export_signatures

    model = scale()
    signature = Signature(lambda x: {"y": model(x)}, {"x": SPEC})
    path = tmp_path / "scaler"
    report = export_signatures(
        model, {"serving_default": signature}, path, samples=SAMPLES, verify=False
    )
    file = report.path / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    sizes = []
    for record in records:
        assert bytes(one(record, 6, 1, 1, 1)) == b"scaler"
        (tensor,) = c_api.string_map(one(record, 6, 1), 2).values()
        sizes.append(tf.make_ndarray(tensor_pb2.TensorProto.FromString(bytes(tensor))).shape)
    assert sizes == [(3, 2), (1, 2)]


def test_no_more_than_a_server_takes(tmp_path):
    request = ("serving_default", {"x": np.zeros((1, 1), np.float32)})
    file = write_warmup(tmp_path, [request] * (MAX_REQUESTS + 1), "many")
    assert sum(1 for _ in tf.data.TFRecordDataset(str(file))) == MAX_REQUESTS
