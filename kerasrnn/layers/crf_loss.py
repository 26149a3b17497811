"""What a CRF's scores carry with them, and the loss that finds it there."""

import weakref
from typing import Any, NamedTuple

import keras
from keras import ops


class Source(NamedTuple):
    """Where scores come from: the CRF layer, and the mask with which it was called."""

    crf: Any
    mask: Any


# Keras ties masks to tensors in the same way: while a graph is made, the very tensor that a layer
# returned reaches the loss, so that a source belongs to one call, whoever shares the layer.
_ATTRIBUTE = "_kerasrnn_source"
# Of tensors that take no attribute, JAX's tracers. Each is let go of with its tensor.
_sources: dict[int, tuple[weakref.ref, Source]] = {}

_LEFT_OUT: Any = object()


def set_source(scores: Any, crf: Any, mask: Any) -> None:
    """Let scores that a CRF layer returns remember the layer and the mask."""
    try:
        setattr(scores, _ATTRIBUTE, Source(crf, mask))
    except AttributeError:
        key = id(scores)
        alive = weakref.ref(scores, lambda _: _sources.pop(key, None))
        _sources[key] = (alive, Source(crf, mask))


def source_of(scores: Any) -> Source | None:
    """Layer and mask of scores that a CRF layer returned; None for any others."""
    found = getattr(scores, _ATTRIBUTE, None)
    if found is None and id(scores) in _sources:
        alive, source = _sources[id(scores)]
        found = source if alive() is scores else None
    return found


def _asked_for_shapes() -> bool:
    """Whether Keras runs this to learn of shapes alone."""
    with keras.SymbolicScope() as scope:
        return scope.original_scope is not None


def sentence_weights(sample_weight: Any) -> Any:
    """Weights of sentences as a tensor `(batch,)`, or `(1,)` of a number.

    Raises:
        ValueError: they have an axis of time, which would be multiplied with the wrong axis.
    """
    weight = ops.convert_to_tensor(sample_weight)
    # A graph of TensorFlow that has met weights of two ranks knows neither.
    known = getattr(weight.shape, "rank", 0) is not None
    if known and any(size not in (1, None) for size in weight.shape[1:]):
        raise ValueError(
            "`sample_weight` of a CRF must have the shape (batch,): one weight for each sentence. "
            f"Received shape: {tuple(weight.shape)}. Leave out positions with the mask, or with "
            "negative tags."
        )
    return ops.reshape(weight, (-1,))


@keras.saving.register_keras_serializable(package="kerasrnn")
class SentenceLoss(keras.losses.Loss):
    """What `CRF.sentence_loss` is: a function of tags and scores, and a loss for `compile`.

    The layer and the mask come with the scores, so that a model which was saved or cloned while
    it was compiled trains on with its own CRF.

    Args:
        crf: the layer, for scores that no CRF layer has returned. None, after loading, needs such.
        name, reduction: as for `keras.losses.Loss`.

    Call arguments:
        tags: integers `(batch, time)`, negative where there is no token.
        logits: scores `(batch, time, num_tags)`.
        sample_weight: weights of sentences `(batch,)`, or None. Keras gives it; without it, the
            losses are not averaged.

    Returns:
        A scalar, weighted and averaged by Keras; without `sample_weight` each sentence's negative
        log-likelihood, `(batch,)`, in nats.

    `class_weight` of `fit` is not for it: Keras takes the tags of a sentence for one label, and
    hands over weights that mean nothing here and cannot be told from others.

    Raises:
        ValueError: the scores come from another CRF, or from no CRF and `crf` is None; or
            `sample_weight` is not one number for each sentence.
    """

    def __init__(self, crf: Any = None, name: str = "sentence_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        # Not the layer itself: Keras saves what it finds in the attributes of losses and layers.
        self._score = None if crf is None else crf.__call__

    def __call__(self, tags: Any, logits: Any, sample_weight: Any = _LEFT_OUT) -> Any:
        losses = self._of_sentences(tags, logits)
        if sample_weight is _LEFT_OUT:
            return losses
        weight = None if sample_weight is None else sentence_weights(sample_weight)
        # Keras's own would cast the scores before `call` sees them, and lose what they carry.
        return super().__call__(losses, losses, weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred

    def _of_sentences(self, tags, logits):
        source = source_of(logits)
        if source is None:
            return self._of_bare_scores(tags, ops.convert_to_tensor(logits))
        if self._score is not None and self._score.__self__ is not source.crf:
            raise ValueError(
                f"The scores come from another CRF layer, '{source.crf.name}', than this loss, "
                f"'{self._score.__self__.name}'. Compile the model with the `sentence_loss` of its "
                "own CRF."
            )
        return -source.crf.log_likelihood(logits, tags)

    def _of_bare_scores(self, tags, logits):
        if self._score is not None:
            if len(logits.shape) == 2:  # a single tag without its axis
                logits = ops.expand_dims(logits, -1)
            # Keras gives the layer the mask that is tied to the scores.
            return self._of_sentences(tags, self._score(logits))
        if _asked_for_shapes():  # by Keras, with tensors of its own
            return ops.zeros_like(logits[:, 0, 0])
        raise ValueError(
            "`sentence_loss` needs the scores that a CRF layer returned. Received scores of "
            "something else: let the CRF be the last layer, or compile the model with the "
            "`sentence_loss` of its CRF."
        )
