"""The network of word vectors: pairs of words in, scores out, on any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasrnn.networks.options import Configured, Count


@keras.saving.register_keras_serializable(package="kerasrnn")
class SkipGramNetwork(Configured, keras.Model):
    r"""How well words go with what stands around them: the scores of the skip-gram model.

    Each word :math:`w` has two vectors (Mikolov et al. 2013a, "Efficient Estimation of Word
    Representations in Vector Space"; 2013b, "Distributed Representations of Words and Phrases and
    their Compositionality"): :math:`e_w`, a row of the matrix E that is wanted, and
    :math:`\theta_w`, its vector as a context of other words. The score of a context :math:`c` is

    .. math::
        s_{wc} = \theta_c^\top e_w

    and :math:`\sigma(s_{wc})` is the probability that :math:`c` was found beside :math:`w`, rather
    than drawn as noise.

    As in word2vec, vectors begin with numbers from :math:`-1/2d` to :math:`1/2d`, and those of
    contexts with zeros. The rows of padding (0) and of unknown words (1) are zeros, and stay so.

    Args:
        size: the number of ids, padding and unknown among them.
        dimension: the length of a vector.
        context: whether there are vectors of contexts; without them nothing can be learnt, and the
            model is half as large.
        **kwargs: `name`, `dtype` (a precision policy) and `trainable`, as for `keras.Model`.

    Call arguments:
        inputs: `words`, integers `(batch,)`, and `contexts`, integers `(batch, contexts)`.

    Returns:
        Float32 scores `(batch, contexts)`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks import SkipGramNetwork
    >>> network = SkipGramNetwork(size=30, dimension=4)
    >>> scores = network({"words": np.array([3, 4]), "contexts": np.array([[2, 7, 9], [2, 7, 9]])})
    >>> tuple(scores.shape)
    (2, 3)
    """

    def __init__(
        self, size: int, *, dimension: Count = 100, context: bool = True, **kwargs: Any
    ) -> None:
        dtype = kwargs.get("dtype")
        super().__init__(**kwargs)

        # === Layers ===
        bound = 0.5 / dimension
        self.embeddings = keras.layers.Embedding(
            size,
            dimension,
            embeddings_initializer=keras.initializers.RandomUniform(-bound, bound),
            dtype=dtype,
            name="embeddings",
        )
        self.contexts: Any = None
        if context:
            self.contexts = keras.layers.Embedding(
                size, dimension, embeddings_initializer="zeros", dtype=dtype, name="contexts"
            )
            self.product = keras.layers.Dot(axes=(2, 2), dtype=dtype, name="product")
        self.build({"words": (None,), "contexts": (None, None)})

    def build(self, inputs_shape: Any) -> None:
        self.embeddings.build((None,))
        table = self.embeddings.embeddings
        table.assign(ops.concatenate([ops.zeros((2, table.shape[1])), table[2:]]))
        if self.contexts is not None:
            self.contexts.build((None, None))
            dimension = self.settings["dimension"]
            self.product.build([(None, 1, dimension), (None, None, dimension)])
        self.built = True

    # === Functional model ===

    def call(self, inputs: dict[str, Any]) -> Any:
        if self.contexts is None:
            raise ValueError("A SkipGramNetwork with context=False has no scores.")
        words = self.embeddings(ops.expand_dims(inputs["words"], 1))  # (batch, 1, dimension)
        contexts = self.contexts(inputs["contexts"])  # (batch, contexts, dimension)
        scores = self.product([words, contexts])  # (batch, 1, contexts)
        return ops.cast(ops.squeeze(scores, 1), "float32")

    def compute_output_shape(self, inputs_shape: Any) -> Any:
        return tuple(inputs_shape["contexts"])


def skip_gram_loss(scores: Any, noise_scores: Any, counts: Any, noise_counts: Any) -> Any:
    r"""What pairs of words cost, with negative sampling.

    .. math::
        L = -\sum_{(w, c)} m_{wc} \log \sigma(s_{wc}) - \sum_{w, k} n_{wk} \log \sigma(-s_{wk})

    Args:
        scores: those of contexts that were found, of any shape.
        noise_scores: those of words drawn as noise.
        counts: how often each context counts, :math:`m`, as `scores`; 0 for those that do not.
        noise_counts: the same for noise, :math:`n`.

    Returns:
        The sum in nats, a float32 scalar.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks.skip_gram import skip_gram_loss
    >>> round(float(skip_gram_loss(np.zeros(2), np.zeros(3), np.ones(2), np.ones(3))), 4)
    3.4657
    """
    found = ops.softplus(-ops.cast(scores, "float32")) * ops.cast(counts, "float32")
    noise = ops.softplus(ops.cast(noise_scores, "float32")) * ops.cast(noise_counts, "float32")
    return ops.sum(found) + ops.sum(noise)
