"""The lines that serve a model: a shell must read them as meant."""

import json
import shlex

import pytest
import tensorflow as tf

from kerasrnn.serving import c_api, export_signatures, serving_command
from tests.serving import models


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    base = tmp_path_factory.mktemp("serve") / 'it\'s a "tagger", 猫'
    model = models.toy_tagger()
    signatures = models.tagger_signatures(model)
    export_signatures(model, signatures, base, 2, samples=models.TAGGER_SAMPLES, verify=False)
    return base


def commands(path, name="tagger"):
    lines = serving_command(path, name).splitlines()
    return [shlex.split(line) for line in lines if not line.startswith("#")]


def test_commands(path):
    docker, server, curl = commands(path)
    mount = docker[docker.index("--mount") + 1]
    quoted = str(path).replace('"', '""')
    assert mount == f'type=bind,"source={quoted}",target=/models/tagger,readonly'
    assert "MODEL_NAME=tagger" in docker and docker[-1] == "tensorflow/serving"
    assert f"--model_base_path={path}" in server and "--model_name=tagger" in server
    assert curl[-1] == "http://localhost:8501/v1/models/tagger:predict"


def test_the_request_is_one_the_model_answers(path):
    curl = commands(path)[-1]
    body = json.loads(curl[curl.index("-d") + 1])
    assert body == {"inputs": {"text": ["I grew up in France."]}}
    model = c_api.SavedModel(path / "2", c_api.open_library())
    outputs = model.run("serving_default", body["inputs"])
    model.close()
    assert outputs["tokens"].tolist() == [[b"I", b"grew", b"up", b"in", b"France."]]


def test_a_version_s_folder_means_its_parent(path):
    assert serving_command(path / "2", "tagger") == serving_command(path, "tagger")


def test_plain_path_needs_no_quotes(tmp_path):
    model = models.scale()
    signatures = models.scale_signatures(model)
    base = tmp_path / "plain"
    export_signatures(model, signatures, base, samples=models.SAMPLES, verify=False)
    docker, _, curl = commands(base)
    assert f"type=bind,source={base},target=/models/tagger,readonly" in docker
    assert json.loads(curl[2]) == {"inputs": {"x": [[0.0, 0.0]]}}


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "a'"])
def test_names_that_do_not_fit_an_address(path, name):
    with pytest.raises(ValueError, match="`name` takes letters"):
        serving_command(path, name)


def test_nothing_to_serve(tmp_path):
    with pytest.raises(FileNotFoundError, match="No exported version"):
        serving_command(tmp_path, "tagger")


def test_single_words_are_asked_for_with_one(tmp_path):
    module = tf.Module()
    module.measure = tf.function(
        lambda words: {"lengths": tf.strings.length(words)},
        input_signature=[tf.TensorSpec((None,), tf.string, name="words")],
    )
    tf.saved_model.save(module, str(tmp_path / "words" / "1"), signatures=module.measure)
    curl = commands(tmp_path / "words", "words")[-1]
    assert json.loads(curl[curl.index("-d") + 1]) == {"inputs": {"words": ["France"]}}
