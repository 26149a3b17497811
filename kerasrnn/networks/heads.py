"""What stands on a tagger's scores: independent choices, or a conditional random field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from kerasrnn.layers import CRF
from kerasrnn.layers.parts import LayerOfLayers


class SoftmaxHead(keras.layers.Layer):
    """Each tag is chosen by itself, with the probabilities of a softmax.

    Args:
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.built = True

    def loss(self, scores: Any, tags: Any, mask: Any, weights: Any = None) -> Any:
        """Negative log-likelihood of the tags, in nats, summed over all words.

        Args:
            scores: `(batch, time, tags)`, before the softmax.
            tags: integers `(batch, time)`, any legal id where the mask is false; or how probable
                each tag is to be, `(batch, time, tags)`: then it is the cross-entropy.
            mask: booleans `(batch, time)`, true where there is a word.
            weights: how much each word counts, `(batch, time)` or `(batch, 1)`; None for alike.

        Returns:
            A scalar.
        """
        if len(tags.shape) == 3:
            losses = -ops.sum(tags * ops.log_softmax(scores, axis=-1), axis=-1)
        else:
            losses = ops.sparse_categorical_crossentropy(tags, scores, from_logits=True)
        if weights is not None:
            losses = losses * ops.cast(weights, losses.dtype)
        return ops.sum(ops.where(mask, losses, ops.zeros_like(losses)))

    def decode(self, scores: Any, mask: Any) -> tuple[Any, Any]:
        """The most likely tags.

        Args:
            scores: `(batch, time, tags)`, before the softmax.
            mask: booleans `(batch, time)`, true where there is a word.

        Returns:
            `tags`, int32 `(batch, time)`, and their probabilities, float32 `(batch, time)`; both 0
            where the mask is false.
        """
        best = ops.cast(ops.argmax(scores, axis=-1), "int32")  # (batch, time)
        probabilities = ops.max(ops.softmax(scores, axis=-1), axis=-1)  # (batch, time)
        return (
            ops.where(mask, best, ops.zeros_like(best)),
            ops.where(mask, probabilities, ops.zeros_like(probabilities)),
        )


class CRFHead(LayerOfLayers):
    """The tags of a sentence are chosen together, by a linear-chain conditional random field.

    Args:
        tags: how many tags there are.
        legal: what `CRF` is told of legal sequences: `allowed_transitions`, `allowed_starts` and
            `allowed_ends`; None where all are.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, tags: int, legal: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.crf = CRF(tags, dtype="float32", name="crf", **(legal or {}))
        self.built = True

    def loss(self, scores: Any, tags: Any, mask: Any, weights: Any = None) -> Any:
        """Negative log-likelihood of the sequences of tags, in nats, summed over all sentences.

        Args and returns: as for `SoftmaxHead.loss`. A sentence counts as much as its words do on
        average.
        """
        likelihoods = self.crf.log_likelihood(scores, tags, mask)  # (batch,)
        if weights is not None:
            present = ops.cast(mask, likelihoods.dtype)
            of_words = ops.sum(ops.cast(weights, likelihoods.dtype) * present, axis=1)
            likelihoods = likelihoods * of_words / ops.maximum(ops.sum(present, axis=1), 1)
        return -ops.sum(likelihoods)

    def decode(self, scores: Any, mask: Any) -> tuple[Any, Any]:
        """The most likely sequence of tags, and the probability of each tag in it.

        Args and returns: as for `SoftmaxHead.decode`. The probability of a tag is its marginal:
        that of all sequences together which have this tag at this place.
        """
        best, _ = self.crf.decode(scores, mask)  # (batch, time)
        marginals = self.crf.marginals(scores, mask)  # (batch, time, tags)
        probabilities = ops.take_along_axis(marginals, best[:, :, None], axis=2)[:, :, 0]
        return best, ops.where(mask, probabilities, ops.zeros_like(probabilities))
