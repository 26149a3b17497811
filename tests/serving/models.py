"""Small models to export: strings in, ragged inside, padded out, an LSTM as a while loop."""

import keras
import tensorflow as tf

from kerasrnn.serving import Signature

TEXTS = ["the cat sat", "the", "", "dogs and the unbelievably incomprehensible señor cat 猫"]


class ToyTagger(keras.Model):
    """Splits text into words and tags each one; its table lies inside a nested layer."""

    def __init__(self):
        super().__init__()
        self.lookup = keras.layers.StringLookup(vocabulary=["the", "cat", "sat", "and", "猫"])
        self.embedding = keras.layers.Embedding(self.lookup.vocabulary_size(), 4)
        self.rnn = keras.layers.LSTM(5, return_sequences=True, use_cudnn=False)
        self.tags = keras.layers.Dense(3)

    def split(self, text):
        tokens = tf.strings.split(text)
        return tokens.to_tensor(""), tf.cast(tokens.row_lengths(), tf.int32)  # (batch, time)

    def call(self, text):
        tokens, lengths = self.split(text)
        mask = tf.sequence_mask(lengths, tf.shape(tokens)[1])
        return self.tags(self.rnn(self.embedding(self.lookup(tokens)), mask=mask))

    def serve(self, text):
        tokens, lengths = self.split(text)
        logits = self(text, training=False)  # (batch, time, 3)
        tags = tf.gather(tf.constant(["O", "B-X", "I-X"]), tf.argmax(logits, -1))
        return {
            "tokens": tokens,
            "tags": tf.where(tokens == "", "", tags),
            "scores": tf.reduce_max(tf.nn.softmax(logits), -1),
            "lengths": lengths,
        }

    def step(self, word, hidden, carry):
        output, state = self.rnn.cell(self.embedding(self.lookup(word)), [hidden, carry])
        return {"logits": self.tags(output), "hidden": state[0], "carry": state[1]}


def toy_tagger() -> ToyTagger:
    """A built tagger."""
    model = ToyTagger()
    model(tf.constant(TEXTS))
    return model


def tagger_signatures(model: ToyTagger) -> dict[str, Signature]:
    """Its two signatures."""
    state = tf.TensorSpec((None, 5), tf.float32)
    return {
        "serving_default": Signature(model.serve, {"text": tf.TensorSpec((None,), tf.string)}),
        "step": Signature(
            model.step,
            {"word": tf.TensorSpec((None,), tf.string), "hidden": state, "carry": state},
        ),
    }


TAGGER_SAMPLES = {
    "serving_default": {"text": TEXTS},
    "step": {
        "word": ["the", "猫", "new"],
        "hidden": [[0.1] * 5, [0.2] * 5, [-0.3] * 5],
        "carry": [[0.4] * 5, [-0.5] * 5, [0.6] * 5],
    },
}


class Scale(keras.Model):
    """y = w x, the least there is to export."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return self.scale * x


ROWS = [[1.0, -2.0], [3.0, 4.5], [0.0, 1.0]]
SPEC = tf.TensorSpec((None, 2), tf.float32)
SAMPLES = {"serving_default": {"x": ROWS}}


def scale(factor: float = 1.0) -> Scale:
    """A built model that multiplies by `factor`."""
    model = Scale()
    model(tf.constant(ROWS))
    model.scale.assign(factor)
    return model


def scale_signatures(model: Scale, function=None) -> dict[str, Signature]:
    """Its signature, or one with another function of x."""
    return {"serving_default": Signature(function or (lambda x: {"y": model(x)}), {"x": SPEC})}
