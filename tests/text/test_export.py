"""All text layers inside one model, exported and run without this package."""

import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.text import (
    Capitals,
    CharacterIds,
    SubwordIds,
    TagInventory,
    Tokenizer,
    Vocabulary,
)

TEXTS = ["Anna's tea costs 1,000 yen.", "", "ÉTÉ 👍🏽 你好", "the \u0000 tea"]


@keras.saving.register_keras_serializable(package="tests")
class Model(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer = Tokenizer(split_contractions=True)
        self.vocabulary = Vocabulary(["tea", "the", "été", "0,000"], True, True)
        self.characters = CharacterIds("abcé👍", max_length=5)
        self.subwords = SubwordIds(["te", "##a", "an", "##na", "'", "é"], max_subwords=3)
        self.capitals = Capitals()
        self.inventory = TagInventory(["O", "B-X", "I-X"])
        self.embedding = keras.layers.Embedding(self.vocabulary.size, 3)

    def call(self, text):
        split = self.tokenizer(text)
        tokens = split["tokens"].to_tensor()
        ids = self.vocabulary(tokens)
        return {
            "tokens": tokens,
            "starts": split["starts"].to_tensor(default_value=-1),
            "ends": split["ends"].to_tensor(default_value=-1),
            "ids": ids,
            "characters": self.characters(tokens),
            "subwords": self.subwords(tokens),
            "capitals": self.capitals(tokens),
            "tags": self.inventory(ids % 3),
            "terms": self.vocabulary.lookup(ids),
            "embedded": self.embedding(ids),
        }


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = Model()
    expected = {name: value.numpy() for name, value in model(tf.constant(TEXTS)).items()}
    archive = keras.export.ExportArchive()
    for layer in model.layers:  # Keras takes the inputs of a model it tracks for floats
        archive.track(layer)
    archive.add_endpoint("serve", model.call, [tf.TensorSpec([None], tf.string, name="text")])
    path = str(tmp_path_factory.mktemp("export") / "1")
    archive.write_out(path, verbose=False)
    return path, expected


def test_the_graph_has_no_python_and_needs_no_assets(exported):
    path, _ = exported
    loaded = tf.saved_model.load(path)
    definition = loaded.signatures["serve"].graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    operations = {node.op for node in nodes}
    assert "StaticRegexReplace" in operations
    assert not {op for op in operations if "Py" in op or "Custom" in op}
    assert "While" not in operations and "StatelessWhile" not in operations


def test_a_graph_session_runs_the_tables_initialisers(exported):
    # The way of TensorFlow's C API: load the graph, run its initialisers, feed and fetch by name.
    path, expected = exported
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = meta.signature_def["serve"]
        fetches = {name: info.name for name, info in signature.outputs.items()}
        feed = {signature.inputs["text"].name: [text.encode() for text in TEXTS]}
        outputs = session.run(fetches, feed)
    assert outputs.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(outputs[name], value)


@pytest.mark.slow
def test_a_fresh_process_without_this_package_gets_the_same(exported, tmp_path):
    path, expected = exported
    script = f"""
        import json, sys
        import tensorflow as tf

        loaded = tf.saved_model.load({path!r})
        outputs = loaded.signatures["serve"](text=tf.constant({TEXTS!r}))
        assert not any(name.startswith("kerasrnn") for name in sys.modules)
        lists = {{name: value.numpy().tolist() for name, value in outputs.items()}}
        with open("outputs.json", "w") as file:
            json.dump(lists, file, default=lambda token: token.hex())
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=True, cwd=tmp_path, timeout=300
    )
    outputs = json.loads((tmp_path / "outputs.json").read_text())
    as_json = json.dumps(
        {name: value.tolist() for name, value in expected.items()},
        default=lambda token: token.hex(),
    )
    assert outputs == json.loads(as_json)


@pytest.mark.slow
def test_batches_of_one_and_of_none(exported):
    path, expected = exported
    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serve"]
    for row, text in enumerate(TEXTS):
        outputs = serve(text=tf.constant([text]))
        steps = outputs["ids"].shape[1]
        np.testing.assert_array_equal(outputs["ids"][0], expected["ids"][row, :steps])
        assert not expected["ids"][row, steps:].any()
        assert not expected["characters"][row, steps:].any()
    assert serve(text=tf.constant([], tf.string))["characters"].shape == (0, 0, 5)


def test_weights_of_a_model_with_text_layers_save_and_load(tmp_path):
    first, second = Model(), Model()
    outputs = first(tf.constant(TEXTS))
    second(tf.constant(TEXTS))
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(second(tf.constant(TEXTS))["embedded"], outputs["embedded"])
    assert len(first.weights) == 1
