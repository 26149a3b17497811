"""A linear-chain conditional random field: tags that are chosen together."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kerasrnn.layers.crf_loss import SentenceLoss, sentence_weights, set_source, source_of
from kerasrnn.recurrence import scan

# What a forbidden start, transition or end adds to a path's score. No sum of ordinary scores comes
# near it, yet thousands of them add up to a finite float32, so that no infinity becomes a NaN.
FORBIDDEN = -1e9


@keras.saving.register_keras_serializable(package="kerasrnn")
class CRF(keras.layers.Layer):
    r"""Linear-chain conditional random field over emission scores.

    The layers below give each tag k of each position t an *emission score* :math:`e_{t,k}` (logits,
    without softmax). The CRF adds learned scores :math:`A_{j,k}` for tag k following tag j, and
    :math:`s_k`, :math:`f_k` for starting and finishing with k. A sequence of tags y has the score
    and the probability

    .. math::
        score(y) &= s_{y_1} + \sum_t e_{t,y_t} + \sum_{t>1} A_{y_{t-1},y_t} + f_{y_T} \\
        \log P(y) &= score(y) - \log \sum_{y'} \exp score(y')

    after Lafferty, McCallum and Pereira (2001), "Conditional Random Fields", used on top of a
    bidirectional LSTM by Lample et al. (2016), "Neural Architectures for Named Entity Recognition".

    Symbols and weights: A is `transitions` of shape `(num_tags, num_tags)`, row *from*, column
    *to*; s is `starts` and f is `ends`, both `(num_tags,)`.

    Calling the layer returns the emission scores as they came, in float32: the layer marks the
    place of the CRF in a model, and a model trains with `compile(loss=crf.sentence_loss)` (or with
    `loss` in a loop of one's own) and answers with `decode`, on those scores. Both also take the
    tensors of a functional model: `keras.Model(model.inputs, crf.decode(model.outputs[0])[0])`
    gives tags. All methods compute in float32 (float64 under a float64 policy), whatever the
    layers below use. They are made of ordinary operations, on any Keras backend, and so go into a
    SavedModel.

    **Masks** are boolean, `(batch, time)`, with any pattern: a position whose mask is false does
    not exist, and the chain links the neighbours that remain. A row without any position has the
    one path of no tags, of score 0 and probability 1. The layer takes `mask=` or, as all Keras
    layers do, the mask that comes along from an `Embedding(mask_zero=True)`. The scores that it
    returns remember this mask: all methods keep to it when they are given none. They carry no
    Keras mask, with which Keras would weigh the loss of a sentence step by step.

    **Constraints** say which tags may start, follow each other and end. `decode` and `marginals`
    always keep to them. If no legal path exists, `decode` returns the one that breaks the fewest.
    The loss ignores them unless `constrain_loss` is true; a gold sequence that breaks one then has
    the log-likelihood of about -1e9 a break: finite, with bounded gradients, and plain to see.

    Args:
        num_tags: the number of tags, at least 1.
        allowed_transitions: booleans `(num_tags, num_tags)`, true where the column's tag may
            follow the row's. None allows all.
        allowed_starts: booleans `(num_tags,)`, true where a sentence may start with the tag.
        allowed_ends: booleans `(num_tags,)`, true where a sentence may end with the tag.
        transition_initializer: initialiser of `transitions`. The default, zeros, starts as
            independent tags. `starts` and `ends` always begin at zero.
        transition_regularizer: regulariser of `transitions`, or None.
        transition_constraint: Keras constraint on the values of `transitions`, or None.
        use_boundaries: whether to learn `starts` and `ends`.
        constrain_loss: whether illegal paths are left out of the likelihood too.
        **kwargs: arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Raises:
        ValueError: `num_tags` is not a positive integer, or a constraint has the wrong shape or
            allows nothing.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.layers import CRF
    >>> crf = CRF(2, allowed_transitions=[[True, True], [False, True]])
    >>> logits = np.array([[[0.0, 3.0], [1.0, 0.0], [0.0, 2.0]]], "float32")
    >>> tags, score = crf.decode(logits)
    >>> tags.numpy().tolist(), score.numpy().tolist()
    ([[1, 1, 1]], [5.0])
    >>> crf.log_likelihood(logits, np.array([[1, 1, 1]])).shape
    TensorShape([1])
    >>> import keras
    >>> model = keras.Sequential([keras.layers.Embedding(9, 2, mask_zero=True), CRF(2)])
    >>> model.compile("adam", loss=model.layers[-1].sentence_loss)
    >>> history = model.fit(np.array([[4, 7, 0]]), np.array([[1, 0, 0]]), verbose=0)
    """

    def __init__(
        self,
        num_tags: int,
        allowed_transitions: Any = None,
        allowed_starts: Any = None,
        allowed_ends: Any = None,
        transition_initializer: Any = "zeros",
        transition_regularizer: Any = None,
        transition_constraint: Any = None,
        use_boundaries: bool = True,
        constrain_loss: bool = False,
        **kwargs: Any,
    ) -> None:
        # No autocast: half precision would round, or overflow, scores that come in float32.
        super().__init__(autocast=False, **kwargs)
        if isinstance(num_tags, bool) or not isinstance(num_tags, int) or num_tags < 1:
            raise ValueError(f"`num_tags` must be a positive integer. Received: {num_tags!r}.")
        self.num_tags = num_tags
        self.allowed_transitions = _booleans(
            "allowed_transitions", allowed_transitions, (num_tags, num_tags)
        )
        self.allowed_starts = _booleans("allowed_starts", allowed_starts, (num_tags,))
        self.allowed_ends = _booleans("allowed_ends", allowed_ends, (num_tags,))
        self.transition_initializer = keras.initializers.get(transition_initializer)
        self.transition_regularizer = keras.regularizers.get(transition_regularizer)
        self.transition_constraint = keras.constraints.get(transition_constraint)
        self.use_boundaries = use_boundaries
        self.constrain_loss = constrain_loss
        self.supports_masking = True
        # The shapes are known now, so that the methods work before the layer is first called.
        self.build((None, None, num_tags))

    def build(self, logits_shape: Any) -> None:
        self._check_tags(logits_shape)
        self.transitions = self.add_weight(
            name="transitions",
            shape=(self.num_tags, self.num_tags),
            initializer=self.transition_initializer,
            regularizer=self.transition_regularizer,
            constraint=self.transition_constraint,
            autocast=False,
        )
        self.starts = self.ends = None
        if self.use_boundaries:
            shape = (self.num_tags,)
            self.starts = self.add_weight(
                name="starts", shape=shape, initializer="zeros", autocast=False
            )
            self.ends = self.add_weight(
                name="ends", shape=shape, initializer="zeros", autocast=False
            )
        self.built = True

    def call(self, logits: Any, mask: Any = None, answer: str | None = None) -> Any:
        """Return the emission scores in the layer's float32; see the class for why.

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            mask: booleans `(batch, time)`, or None; the loss and the answers on what is returned
                keep to it.
            answer: "tags", "score" or "marginals" for what `decode` and `marginals` return. That
                is how they stand in a functional model.
        """
        self._check_tags(logits.shape)
        _check_answer(answer)
        if answer == "marginals":
            return self.marginals(logits, mask)
        if answer is not None:
            tags, score = self.decode(logits, mask)
            return tags if answer == "tags" else score
        # A tensor of its own: that of the layer below would bring its Keras mask along.
        scores = ops.copy(ops.cast(logits, self._float))
        set_source(scores, self, _mask_for(logits, mask))
        return scores

    def compute_mask(self, logits: Any, previous_mask: Any = None) -> None:
        # A loss of one value per sentence cannot be weighted by a mask of one value per token.
        return None

    def compute_output_spec(self, logits: Any, mask: Any = None, answer: str | None = None) -> Any:
        self._check_tags(logits.shape)
        _check_answer(answer)
        axes = {"tags": 2, "score": 1, "marginals": 3, None: 3}[answer]
        dtype = "int32" if answer == "tags" else self._float
        return keras.KerasTensor(logits.shape[:axes], dtype=dtype)

    # --- Likelihood ---

    def path_score(self, logits: Any, tags: Any, mask: Any = None) -> Any:
        """Unnormalised score of each sentence's tags, without constraints.

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            tags: integers `(batch, time)` in [0, num_tags). Positions with a negative tag are
                left out, as if masked.
            mask: booleans `(batch, time)`, or None for that of the scores; else all true.

        Returns:
            `(batch,)`.
        """
        logits, mask, tags = self._prepare(logits, mask, tags)
        return self._path_score(logits, tags, mask, self._scores(constrained=False))

    def log_partition(self, logits: Any, mask: Any = None) -> Any:
        """Logarithm of the sum of exp(score) over all paths (legal ones if `constrain_loss`).

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            mask: booleans `(batch, time)`, or None for that of the scores; else all true.

        Returns:
            `(batch,)`.
        """
        logits, mask, _ = self._prepare(logits, mask)
        emissions, level = _centre(logits)
        scores = self._scores(constrained=self.constrain_loss)
        return level + self._forward(emissions, mask, scores)[1]

    def log_likelihood(self, logits: Any, tags: Any, mask: Any = None) -> Any:
        """Log-probability of each sentence's tags, in nats.

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            tags: integers `(batch, time)` in [0, num_tags). Positions with a negative tag are
                left out, as if masked.
            mask: booleans `(batch, time)`, or None for that of the scores; else all true.

        Returns:
            `(batch,)`; 0 for a sentence of which nothing is left.
        """
        logits, mask, tags = self._prepare(logits, mask, tags)
        # The same shift of all scores of a position cancels; without it, the difference of two
        # large numbers would lose the digits that matter.
        emissions, _ = _centre(logits)
        scores = self._scores(constrained=self.constrain_loss)
        partition = self._forward(emissions, mask, scores)[1]
        return self._path_score(emissions, tags, mask, scores) - partition

    def loss(self, logits: Any, tags: Any, mask: Any = None, sample_weight: Any = None) -> Any:
        """Mean negative log-likelihood of a sentence, in nats.

        Each sentence counts once, whatever its length; long ones therefore weigh more in the
        gradient, as the likelihood of independent sentences has it. With `sample_weight`, the
        weighted sum is still divided by the number of sentences, as Keras's losses do.

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            tags: integers `(batch, time)`; negative ones are left out, as if masked.
            mask: booleans `(batch, time)`, or None for that of the scores; else all true.
            sample_weight: `(batch,)`, or None for 1.

        Returns:
            A scalar.
        """
        ranks = [len(ops.shape(x)) for x in (logits, tags)]
        if ranks != [3, 2] or logits.shape[-1] not in (None, self.num_tags):
            raise ValueError(
                f"`loss` takes the scores (batch, time, num_tags={self.num_tags}) and then the "
                f"tags (batch, time). Received shapes: {tuple(ops.shape(logits))} and "
                f"{tuple(ops.shape(tags))}. Keras hands them over the other way round: use "
                "`compile(loss=crf.sentence_loss)`."
            )
        losses = -self.log_likelihood(logits, tags, mask)
        if sample_weight is not None:
            losses = losses * ops.cast(sentence_weights(sample_weight), losses.dtype)
        # Without any sentence, 0.
        count = ops.cast(ops.shape(losses)[0], losses.dtype)
        return ops.divide_no_nan(ops.sum(losses), count)

    @property
    def sentence_loss(self) -> SentenceLoss:
        """Negative log-likelihood of each sentence: `compile(loss=crf.sentence_loss)`.

        A function of `tags`, integers `(batch, time)`, negative where there is no token, and of
        `logits`, what the layer returned; the mask with which the layer was called counts too. It
        gives `(batch,)`, in nats; in a compiled model, Keras weighs and averages these with
        `sample_weight`, one number for each sentence. It is saved, loaded and cloned with the
        model: there it takes the CRF that the scores come from.
        """
        return SentenceLoss(self)

    # --- Inference ---

    def decode(self, logits: Any, mask: Any = None) -> tuple[Any, Any]:
        """The best path of each sentence, by the algorithm of Viterbi (1967).

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            mask: booleans `(batch, time)`, or None for that of the scores; else all true.

        Returns:
            `tags`, int32 `(batch, time)`, 0 where the mask is false; and `score`, `(batch,)`, the
            path's `path_score`: less `log_partition`, it is the path's log-probability.
        """
        if _is_symbolic(logits, mask):
            # Keras wants as many outputs of every call of a layer: one.
            tags = self(logits, mask=mask, answer="tags")
            return tags, self(logits, mask=mask, answer="score")
        time = ops.shape(logits)[1]
        logits, mask, _ = self._prepare(logits, mask)
        emissions, level = _centre(logits)
        transitions, starts, ends = self._scores(constrained=True)
        incoming = ops.transpose(transitions)  # (to, from)
        same = ops.arange(self.num_tags, dtype="int32")

        def forward(best, step):
            emission, present, first = step
            paths = best[:, None, :] + incoming  # (batch, to, from)
            linked = ops.logical_and(present, ops.logical_not(first))
            pointer = ops.where(linked, ops.cast(ops.argmax(paths, axis=-1), "int32"), same)
            new = emission + ops.where(first, starts, _highest(paths)[:, :, 0])
            # Scores stay near zero however long the sentence is; the sum of peaks is kept aside.
            peak = _highest(new)
            return ops.where(present, new - peak, best), (
                pointer,
                ops.where(present, peak, ops.zeros_like(peak)),
            )

        steps = _steps(emissions, mask)
        origin = ops.zeros_like(steps[0][0])  # (batch, num_tags)
        best, (pointers, peaks) = scan(forward, origin, steps)
        best = best + ends
        last = ops.cast(ops.argmax(best, axis=-1), "int32")[:, None]  # (batch, 1)

        def backward(tag, pointer):
            return ops.take_along_axis(pointer, tag, axis=1), tag

        _, tags = scan(backward, last, pointers, reverse=True)
        tags = ops.where(mask, ops.transpose(tags[:, :, 0]), ops.zeros_like(mask, dtype="int32"))
        score = level + ops.sum(peaks[:, :, 0], axis=0) + _highest(best)[:, 0]
        return tags[:, :time], ops.where(ops.any(mask, axis=1), score, ops.zeros_like(score))

    def marginals(self, logits: Any, mask: Any = None) -> Any:
        """Probability of each tag at each position, all paths considered (legal ones only).

        These are confidences: what `decode` answers at a position has the marginal as its
        probability of being right, if the model is.

        Args:
            logits: emission scores `(batch, time, num_tags)`.
            mask: booleans `(batch, time)`, or None for that of the scores; else all true.

        Returns:
            `(batch, time, num_tags)`, summing to 1 over tags; 0 where the mask is false.
        """
        if _is_symbolic(logits, mask):
            return self(logits, mask=mask, answer="marginals")
        time = ops.shape(logits)[1]
        logits, mask, _ = self._prepare(logits, mask)
        emissions, _ = _centre(logits)
        scores = self._scores(constrained=True)
        alphas, _ = self._forward(emissions, mask, scores)
        betas = self._backward(emissions, mask, scores)
        return _tag_probabilities(alphas, betas, mask)[:, :time]

    # --- The recursions ---

    def _forward(self, emissions, mask, scores):
        """Log-scores of all paths up to each position by their last tag, and log of their sum.

        The scores (time, batch, num_tags) are right up to a constant for each position.
        """
        transitions, starts, ends = scores
        incoming = ops.transpose(transitions)  # (to, from)

        def step(alpha, inputs):
            emission, present, first = inputs
            paths = _log_sum_exp(alpha[:, None, :] + incoming)[:, :, 0]  # (batch, to)
            new = emission + ops.where(first, starts, paths)
            peak = ops.stop_gradient(_highest(new))
            alpha = ops.where(present, new - peak, alpha)
            return alpha, (alpha, ops.where(present, peak, ops.zeros_like(peak)))

        steps = _steps(emissions, mask)
        origin = ops.zeros_like(steps[0][0])
        last, (alphas, peaks) = scan(step, origin, steps)
        total = ops.sum(peaks[:, :, 0], axis=0) + _log_sum_exp(last + ends)[:, 0]
        return alphas, ops.where(ops.any(mask, axis=1), total, ops.zeros_like(total))

    def _backward(self, emissions, mask, scores):
        """Log-scores of what follows each position, (time, batch, num_tags), up to a constant."""
        transitions, _, ends = scores
        emission, present, first = _steps(emissions, mask)
        linked = ops.logical_and(present, ops.logical_not(first))

        def step(beta, inputs):
            emission_t, linked_t = inputs
            paths = transitions + (emission_t + beta)[:, None, :]  # (batch, from, to)
            new = _log_sum_exp(paths)[:, :, 0]
            new = new - ops.stop_gradient(_highest(new))
            return ops.where(linked_t, new, beta), beta

        _, betas = scan(step, ops.zeros_like(emission[0]) + ends, (emission, linked), reverse=True)
        return betas

    def _path_score(self, emissions, tags, mask, scores):
        transitions, starts, ends = scores
        time = ops.shape(mask)[1]
        emitted = ops.take_along_axis(emissions, tags[:, :, None], axis=2)[:, :, 0]
        score = ops.sum(ops.where(mask, emitted, ops.zeros_like(emitted)), axis=1)
        # Move what the mask leaves to the front, so that linked neighbours are neighbours.
        position = ops.arange(time, dtype="int32")[None, :]
        order = ops.argsort(ops.where(mask, position, position + time), axis=1)
        tags = ops.take_along_axis(tags, ops.cast(order, "int32"), axis=1)
        count = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
        pair = tags[:, :-1] * self.num_tags + tags[:, 1:]
        linked = position[:, 1:] < count
        linking = ops.take(ops.reshape(transitions, (-1,)), pair)
        score = score + ops.sum(ops.where(linked, linking, ops.zeros_like(linking)), axis=1)
        final = ops.take_along_axis(tags, ops.maximum(count - 1, 0), axis=1)[:, 0]
        boundary = ops.take(starts, tags[:, 0]) + ops.take(ends, final)
        return score + boundary * ops.cast(ops.any(mask, axis=1), boundary.dtype)

    # --- Inputs ---

    @property
    def _float(self) -> str:
        return "float64" if self.variable_dtype == "float64" else "float32"

    def _weight(self, name):
        return ops.cast(getattr(self, name), self._float)

    def _scores(self, constrained):
        """Transitions, starts and ends, with what is forbidden if `constrained`."""
        scores = []
        for name in ("transitions", "starts", "ends"):
            allowed = getattr(self, f"allowed_{name}")
            score = None if getattr(self, name) is None else self._weight(name)
            if score is None:
                score = ops.zeros((self.num_tags,), dtype=self._float)
            if constrained and allowed is not None:
                penalty = np.where(np.array(allowed), 0.0, FORBIDDEN).astype(self._float)
                score = score + ops.convert_to_tensor(penalty)
            scores.append(score)
        return tuple(scores)

    def _check_tags(self, shape):
        if len(shape) != 3 or shape[-1] not in (None, self.num_tags):
            raise ValueError(
                f"`logits` of CRF layer '{self.name}' must have the shape "
                f"(batch, time, num_tags={self.num_tags}). Received: {tuple(shape)}."
            )

    def _prepare(self, logits, mask, tags=None):
        """Checked inputs of at least one time step, with zeros where there is nothing to read."""
        mask = _mask_for(logits, mask)
        logits = ops.cast(ops.convert_to_tensor(logits), self._float)
        self._check_tags(logits.shape)
        if mask is None:
            mask = ops.ones(ops.shape(logits)[:2], dtype="bool")
        mask = ops.cast(ops.convert_to_tensor(mask), "bool")
        _check_steps("mask", mask.shape, logits.shape)
        if tags is not None:
            tags = ops.cast(ops.convert_to_tensor(tags), "int32")
            _check_steps("tags", tags.shape, logits.shape)
            mask = ops.logical_and(mask, tags >= 0)
            tags = ops.where(mask, tags, ops.zeros_like(tags))
        # Whatever padding holds, infinities and NaNs included, must not reach a sum.
        logits = ops.where(mask[:, :, None], logits, ops.zeros_like(logits))
        if not logits.shape[1]:  # 0, or None, which may turn out to be 0: add a masked step
            logits = ops.pad(logits, ((0, 0), (0, 1), (0, 0)))
            mask = ops.pad(mask, ((0, 0), (0, 1)), constant_values=False)
            tags = None if tags is None else ops.pad(tags, ((0, 0), (0, 1)))
        return logits, mask, tags

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_tags": self.num_tags,
            "allowed_transitions": self.allowed_transitions,
            "allowed_starts": self.allowed_starts,
            "allowed_ends": self.allowed_ends,
            "transition_initializer": keras.initializers.serialize(self.transition_initializer),
            "transition_regularizer": keras.regularizers.serialize(self.transition_regularizer),
            "transition_constraint": keras.constraints.serialize(self.transition_constraint),
            "use_boundaries": self.use_boundaries,
            "constrain_loss": self.constrain_loss,
        }


def _booleans(name, value, shape):
    """A constraint as nested lists, which go into a configuration."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(
            f"`{name}` must be booleans of shape {shape}. Received shape: {array.shape}."
        )
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(f"`{name}` must be booleans. Received dtype: {array.dtype}.")
    if not array.any() and name != "allowed_transitions":  # one tag a sentence may be meant
        raise ValueError(f"`{name}` allows nothing: it must be true for one tag at least.")
    return array.astype(bool).tolist()


def _check_answer(answer):
    if answer not in (None, "tags", "score", "marginals"):
        raise ValueError(
            f"Unknown `answer`: {answer!r}. Expected 'tags', 'score' or 'marginals', or None for "
            "the emission scores."
        )


def _is_symbolic(*tensors):
    return any(isinstance(x, keras.KerasTensor) for x in tensors)


def _mask_for(logits, mask):
    """The mask, or that with which a CRF layer has returned these scores."""
    source = source_of(logits) if mask is None else None
    return mask if source is None else source.mask


def _check_steps(name, shape, expected):
    pairs = zip(shape, expected[:2], strict=False)
    if len(shape) != 2 or any(a != b for a, b in pairs if a is not None and b is not None):
        raise ValueError(
            f"`{name}` must have the shape (batch, time) = {tuple(expected[:2])}. "
            f"Received: {tuple(shape)}."
        )


def _centre(logits):
    """Emission scores of which the best at each position is 0, and the sum of what was taken."""
    peak = ops.stop_gradient(_highest(logits))
    return logits - peak, ops.sum(peak[:, :, 0], axis=1)


def _first(mask):
    """True at the first position of each row that the mask leaves, (batch, time)."""
    seen = ops.cumsum(ops.cast(mask, "int32"), axis=1)
    return ops.logical_and(mask, seen == 1)


def _steps(emissions, mask):
    """Emissions (time, batch, num_tags), presence and firstness (time, batch, 1)."""
    return (
        ops.transpose(emissions, (1, 0, 2)),
        ops.transpose(mask)[:, :, None],
        ops.transpose(_first(mask))[:, :, None],
    )


def _tag_probabilities(alphas, betas, mask):
    probabilities = _softmax(ops.transpose(alphas + betas, (1, 0, 2)))
    return ops.where(mask[:, :, None], probabilities, ops.zeros_like(probabilities))


def _highest(x):
    """Over the last axis, which stays as 1. Keras's own refuses a tensor without any row."""
    return x[..., :1] if 0 in x.shape else ops.max(x, axis=-1, keepdims=True)


def _log_sum_exp(x):
    """Over the last axis, which stays as 1. All scores are finite: no guard for infinities."""
    peak = ops.stop_gradient(_highest(x))
    return peak + ops.log(ops.sum(ops.exp(x - peak), axis=-1, keepdims=True))


def _softmax(x):
    # Keras's own warns about an axis of 1, which is a single tag's due.
    return ops.exp(x - _log_sum_exp(x))
