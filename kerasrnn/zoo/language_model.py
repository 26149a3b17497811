"""The language model: the next word, character or byte of a text, and texts made with it."""

from __future__ import annotations

import codecs
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.networks.language import LanguageNetwork
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.text.plain import texts_of, valid
from kerasrnn.text.units import BOUNDARY_ID, LEVELS, TextUnits, in_parts
from kerasrnn.zoo.generation import beam_search, choose, random_numbers, sample, without_unknown
from kerasrnn.zoo.language_batches import StreamBatches, TextBatches, joined, padded
from kerasrnn.zoo.task import (
    Task,
    check_between,
    check_choice,
    check_positive,
    order_seed,
    seeds_of,
)

# A server must not be kept busy for ever by one request.
_MOST_GENERATED = 10_000

# How many candidates `step` names.
_CANDIDATES = 32

# How many steps are measured at once where a whole text is read in one go.
_STEPS_AT_ONCE = 512

# A batch of long texts is split so that it holds no more steps than this, padding included.
_STEPS_PER_BATCH = 65_536


@dataclass(frozen=True)
class TextScore:
    """How likely a text is.

    Attributes:
        text: the text.
        log_probability: the natural logarithm of the text's probability, its end not included.
        tokens: its words, characters or bytes.
        log_probabilities: that of each of them, given those before it. Not shown.
    """

    text: str
    log_probability: float
    tokens: tuple[str, ...] = field(repr=False)
    log_probabilities: tuple[float, ...] = field(repr=False)

    @property
    def loss(self) -> float:
        """Nats a token; 0 for an empty text."""
        return -self.log_probability / max(1, len(self.tokens))

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return _exp(self.loss)


@dataclass(frozen=True)
class NextToken:
    """What may come next.

    Attributes:
        text: a word, a character or a byte; the empty string for the end of the text.
        probability: from 0 to 1.
    """

    text: str
    probability: float


@keras.saving.register_keras_serializable(package="kerasrnn")
class LanguageModel(Task):
    """Predicts the next word, character or byte of a text; writes texts, and scores them.

    It takes raw text, in `fit`, `evaluate`, `predict`, `generate`, `score` and in what it exports.
    Its network is `LanguageNetwork`: embeddings, a deep recurrent layer that reads from the left,
    and scores for the next unit, from a matrix of their own or from the embeddings' (Mikolov et al.
    2010; Zaremba et al. 2014; Gal and Ghahramani 2016; Merity et al. 2018).

    A text stands between two boundaries, which have the id 0: a prompt is read from the first, and
    when the model chooses the second, the text has ended. The answer for a text depends on no other
    text: neither the size of a batch nor its padding changes it.

    Args:
        terms: the known words, the most frequent first, or characters. None for bytes.
        level: what is predicted: `words`, `characters` or `bytes`.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state.
        depth: how many recurrent layers.
        dimension: the length of an embedding.
        tied: whether embeddings and scores share their matrix, with a projection between state and
            embedding where they differ in length.
        embedding_dropout: the share of units (words, say) whose embedding is dropped, wherever they
            stand in a batch.
        dropout: the share of components dropped from what each recurrent layer reads, one mask for
            a sequence.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sequence.
        layer_dropout: the share of components dropped between the recurrent layers, drawn anew for
            each step.
        output_dropout: the share of components of the last layer's output dropped, one mask for a
            sequence.
        lowercase: whether words are taken in small letters; words only.
        max_tokens: how many units `generate` adds to a prompt at most, where it is not told.
        beam_width: how many beginnings the exported `generate` keeps.
        **kwargs: passed to `keras.Model`: `name`, and `dtype`, such as `"mixed_bfloat16"`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import LanguageModel
    >>> text = "to be or not to be, that is the question. " * 20
    >>> model = LanguageModel.from_texts([text], units=32, dimension=16)
    >>> history = model.fit(text, epochs=2, batch_size=4, segment_length=20, verbose=0)
    >>> [text] = model.generate(["to be"], max_tokens=10, temperature=0)
    >>> len(text)
    15
    """

    vocabulary_arguments = ("terms",)

    def __init__(
        self,
        terms: Sequence[str] | None = None,
        *,
        level: str = "characters",
        cell: str = "lstm",
        units: int = 256,
        depth: int = 1,
        dimension: int = 64,
        tied: bool = False,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        output_dropout: float = 0.0,
        lowercase: bool = False,
        max_tokens: int = 200,
        beam_width: int = 4,
        **kwargs: Any,
    ) -> None:
        check_choice("level", level, LEVELS)
        check_choice("cell", cell, tuple(CELLS))
        for name, value in {
            "units": units,
            "depth": depth,
            "dimension": dimension,
            "max_tokens": max_tokens,
            "beam_width": beam_width,
        }.items():
            check_positive(name, value)
        for name, share in {
            "embedding_dropout": embedding_dropout,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
            "output_dropout": output_dropout,
        }.items():
            check_between(name, share, 0, 1)
        super().__init__(**kwargs)
        # The inputs of a task are strings; ids and states must not be made such.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.settings: dict[str, Any] = {
            "level": level,
            "cell": cell,
            "units": units,
            "depth": depth,
            "dimension": dimension,
            "tied": tied,
            "embedding_dropout": embedding_dropout,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
            "output_dropout": output_dropout,
            "lowercase": lowercase,
            "max_tokens": max_tokens,
            "beam_width": beam_width,
        }

        # === Text side ===
        self.text_units = TextUnits(terms, level=level, lowercase=lowercase, name="text_units")

        # === Network ===
        self.network = LanguageNetwork(
            size=self.text_units.size,
            cell=cell,
            units=units,
            depth=depth,
            dimension=dimension,
            tied=tied,
            embedding_dropout=embedding_dropout,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            layer_dropout=layer_dropout,
            output_dropout=output_dropout,
            dtype=self.dtype_policy,
            name="network",
        )
        self.built = True

        # One graph for all sizes of batch; they are traced when first used.
        ids, mask = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.bool)
        states = [
            tf.TensorSpec((None, state.shape[-1]), state.dtype)
            for state in self.network.get_initial_state(1)
        ]
        texts, scores = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, None), tf.float32)
        whole, real = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)

        def traced(function: Any, *signature: Any) -> Any:
            return tf.function(function, input_signature=signature, autograph=False)

        self._loss_function = traced(self._summed_loss, ids, ids, mask, states)
        self._score_function = traced(self._serve, texts)
        self._read_function = traced(self._read, texts)
        self._advance_function = traced(
            self._advance, scores, states, texts, real, real, whole, real
        )
        self._sample_function = traced(
            self._sample, texts, tf.TensorSpec((None,), tf.int64), real, whole, real, whole
        )
        self._beam_functions: dict[int, Any] = {}
        self._carried = _Carried()

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        level: str = "characters",
        min_count: int = 1,
        max_terms: int | None = None,
        lowercase: bool = False,
        **arguments: Any,
    ) -> Self:
        """A new model whose words or characters are those of some texts.

        Args:
            texts: the training texts.
            level: as for the constructor.
            min_count: how often a word or character must occur to be known.
            max_terms: how many are known at most, the most frequent ones; None for any number.
            lowercase: as for the constructor.
            **arguments: the constructor's other arguments.

        Returns:
            A model with new weights.

        Raises:
            ValueError: if there are no texts, or an argument is not allowed.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> model = LanguageModel.from_texts(["I speak French."], level="words", units=8)
        >>> model.text_units.terms
        ('.', 'French', 'I', 'speak')
        """
        check_choice("level", level, LEVELS)
        texts = _texts(texts, "texts")
        found = TextUnits.from_texts(
            texts, level, min_count=min_count, max_terms=max_terms, lowercase=lowercase
        )
        return cls(found.terms, level=level, lowercase=lowercase, **arguments)

    # === Network ===

    def call(
        self, ids: Any, states: Any = None, mask: Any = None, training: bool | None = None
    ) -> tuple[Any, list[Any]]:
        """The scores of what comes next for ids; see `LanguageNetwork`. For text, see `predict`."""
        return self.network(ids, states=states, mask=mask, training=bool(training))

    def compute_mask(self, ids: Any, previous_mask: Any = None) -> None:
        return None  # masks are handed on explicitly

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss in nats a token, and regularisers."""
        each = ops.sparse_categorical_crossentropy(y, y_pred, from_logits=True)  # (batch, time)
        mask = x.get("mask")
        if mask is None:
            loss = ops.mean(each)
        else:
            weights = ops.cast(mask, each.dtype)
            loss = ops.sum(each * weights) / ops.maximum(ops.sum(weights), 1.0)
        for regularisation in self.losses:
            loss = loss + ops.cast(regularisation, "float32")
        return loss

    # === Training ===

    def fit(
        self,
        x: Any,
        *,
        batch_size: int = 32,
        segment_length: int = 100,
        carry: bool = True,
        epochs: int = 10,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
        shuffle: bool = True,
        seed: int | None = None,
        initial_epoch: int = 0,
    ) -> keras.callbacks.History:
        """Train on texts.

        With `carry`, by truncated back-propagation through time: the texts stand in a row, with a
        boundary between two of them. As many parts of it as `batch_size` are read side by side in
        segments. The states at the end of a segment are those at the start of the next, and the
        gradient stops between them. At the start of an epoch, states are zero.

        Without, each text is read on its own from boundary to boundary, and the gradient goes all
        the way.

        Args:
            x: a text, a list of texts, or a `tf.data.Dataset` of texts (or of dicts with `text`).
                All of it is read into memory.
            batch_size: how many segments or texts are in a batch.
            segment_length: how many steps the gradient goes back; with `carry` only.
            carry: whether the texts are one stream with carried states.
            epochs: at which epoch to stop, counted from the first.
            validation_data: as `x`. After each epoch its `val_loss`, `val_perplexity` and, for
                characters, `val_bits_per_char` are in the logs, so that callbacks can watch them.
                With `carry`, to save time, they are those of `evaluate` with `context=256`.
            callbacks: Keras callbacks.
            verbose: as in `keras.Model.fit`.
            shuffle: whether each epoch has another order of the texts, or with `carry` begins
                at another place.
            seed: decides that order. None draws one from Keras's random seed.
            initial_epoch: the epoch at which to go on, counted from 0.

        Returns:
            A Keras `History`.

        Raises:
            ValueError: if there is no text, or nothing to predict in it.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> verses = ["the cat sat on the mat", "the rat sat on the hat"]
        >>> model = LanguageModel.from_texts(verses, level="words", units=8, dimension=8)
        >>> history = model.fit(verses, carry=False, epochs=2, verbose=0)
        >>> sorted(history.history)
        ['loss']
        """
        check_positive("batch_size", batch_size)
        check_positive("segment_length", segment_length)
        encoded = self._encode(x, "x")
        validation = None
        if validation_data is not None:
            validation = _Validation(self._encode(validation_data, "validation_data"), carry)
        seed = order_seed(seed, shuffle)
        batches: StreamBatches | TextBatches
        if carry:
            batches = StreamBatches(
                joined(encoded), batch_size, segment_length, seed, self._carried.reset
            )
            self._carried.make(self.network.get_initial_state(batches.batch_size))
        else:
            batches = TextBatches(encoded, batch_size, seed)
        try:
            return self._fit(
                batches.dataset(),
                validation=validation,
                sample=lambda kept: tf.data.Dataset.from_tensors(0),
                epochs=epochs,
                initial_epoch=initial_epoch,
                callbacks=[batches, *(callbacks or [])],
                verbose=verbose,
            )
        finally:
            self._carried.states = []
            self.train_function = None  # it belongs to these states

    def steps_of(
        self, x: Any, *, batch_size: int = 32, segment_length: int = 100, carry: bool = True
    ) -> tuple[int, int]:
        """How much `fit` does in an epoch.

        Args:
            x: as for `fit`, and so are the others.
            batch_size: how many segments or texts are in a batch.
            segment_length: how many steps a segment has.
            carry: whether the texts are one stream.

        Returns:
            The number of batches, and of tokens that are predicted.
        """
        encoded = self._encode(x, "x")
        if not carry:
            return len(TextBatches(encoded, batch_size, None)), sum(len(t) + 1 for t in encoded)
        batches = StreamBatches(joined(encoded), batch_size, segment_length, None)
        return len(batches), len(batches) * batches.batch_size * batches.segment_length

    def train_step(self, data: Any) -> Any:
        """One step of Keras's training loop, with states that are carried from the last."""
        self._check_strategy()
        inputs, targets = data
        carried = [] if "mask" in inputs else self._carried.states
        with tf.GradientTape() as tape:
            scores, states = self.network(
                inputs["ids"],
                states=[tf.convert_to_tensor(state) for state in carried] or None,
                mask=inputs.get("mask"),
                training=True,
            )
            loss = self.compute_loss(inputs, targets, scores)
            scaled = self.optimizer.scale_loss(loss)
        weights = self.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))
        for variable, state in zip(carried, states if carried else [], strict=True):
            variable.assign(state)
        counted = inputs.get("mask", tf.ones_like(targets, tf.bool))
        self._loss_tracker.update_state(
            loss, sample_weight=tf.reduce_sum(tf.cast(counted, tf.float32))
        )
        return self.get_metrics_result()

    def evaluate(
        self,
        x: Any,
        *,
        carry: bool = True,
        context: int | None = None,
        batch_size: int = 32,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Measure the model on texts.

        With `carry`, the texts stand in a row, as in `fit`, and are read from the first to the last
        with carried states. That takes a step for each token. With a `context`, the row is cut into
        pieces of four times that length and at least 1024 tokens, which are read side by side, each
        from zero states and after as many tokens of what stands before it as `context` says:
        faster, and nearly the same.

        Args:
            x: as for `fit`.
            carry: as for `fit`. Without it each text is read on its own, and its end counts as a
                token.
            context: how many tokens are read before a piece; None for no pieces.
            batch_size: how many texts or pieces are in a batch; it changes no figure.
            **kwargs: what Keras passes when it validates while training.

        Returns:
            `loss` in nats a token, `perplexity`, and `bits_per_char` for characters or
            `bits_per_byte` for bytes.

        Raises:
            ValueError: if there is no text, or nothing to predict in it.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> model = LanguageModel("ab", units=4)
        >>> sorted(model.evaluate("abba"))
        ['bits_per_char', 'loss', 'perplexity']
        """
        if self._is_validating(kwargs):
            texts, carry = self._validation.texts, self._validation.carry
            return self._measure(texts, carry, 256, max(batch_size or 1, 32))
        check_positive("batch_size", batch_size)
        if context is not None:
            check_positive("context", context)
        return self._measure(self._encode(x, "x"), carry, context, batch_size)

    def _measure(
        self, texts: list[np.ndarray], carry: bool, context: int | None, batch_size: int
    ) -> dict[str, float]:
        if not carry:
            total = 0.0
            for indices in _batches_of(np.array([len(text) + 1 for text in texts]), batch_size):
                total += self._loss_of(*padded([texts[i] for i in indices]))
            count = sum(len(text) + 1 for text in texts)
        elif context is None:
            stream = joined(texts)
            total, count = self._loss_in_one_go(stream), len(stream) - 1
        else:
            stream = joined(texts)
            total, count = self._loss_in_pieces(stream, context, batch_size), len(stream) - 1
        loss = total / count
        figures = {"loss": loss, "perplexity": _exp(loss)}
        name = {"characters": "bits_per_char", "bytes": "bits_per_byte"}.get(self.text_units.level)
        if name:
            figures[name] = loss / math.log(2)
        return figures

    def _loss_of(
        self, inputs: dict[str, np.ndarray], targets: np.ndarray, states: Any = None
    ) -> float:
        if states is None:
            states = self.network.get_initial_state(len(targets))
        total, _ = self._loss_function(
            tf.constant(inputs["ids"], tf.int32),
            tf.constant(targets, tf.int32),
            tf.constant(inputs["mask"]),
            states,
        )
        return float(total)

    def _loss_in_one_go(self, stream: np.ndarray) -> float:
        total, states = 0.0, self.network.get_initial_state(1)
        for begin in range(0, len(stream) - 1, _STEPS_AT_ONCE):
            part = tf.constant(stream[None, begin : begin + _STEPS_AT_ONCE + 1], tf.int32)
            targets = part[:, 1:]
            loss, states = self._loss_function(
                part[:, :-1], targets, tf.ones_like(targets, tf.bool), states
            )
            total += float(loss)
        return total

    def _loss_in_pieces(self, stream: np.ndarray, context: int, batch_size: int) -> float:
        length, total = max(1024, 4 * context), 0.0
        starts = np.arange(0, len(stream) - 1, length)
        for begin in range(0, len(starts), batch_size):
            first = starts[begin : begin + batch_size]
            # Places in the stream, from the context's first to the piece's last.
            places = first[:, None] + np.arange(-context, length)
            counted = (places >= first[:, None]) & (places < len(stream) - 1)
            # Before the stream there is nothing: the states stay zero there.
            read = (places >= 0) & (places < len(stream) - 1)
            places = np.clip(places, 0, len(stream) - 2)
            total += self._loss_of(
                {"ids": np.where(read, stream[places], 0), "mask": read},
                np.where(counted, stream[places + 1], -1),
            )
        return total

    def _summed_loss(
        self, ids: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss of all targets that are masked in and not negative, and the states after."""
        scores, new_states = self.network(ids, states=states, mask=mask)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), scores)
        counted = mask & (targets >= 0)
        return tf.reduce_sum(tf.where(counted, each, 0.0)), new_states

    # === Scores ===

    def score(self, texts: Sequence[str], *, batch_size: int = 32) -> list[TextScore]:
        """How likely texts are, each on its own.

        Args:
            texts: the texts.
            batch_size: how many texts are in a batch; it changes no answer.

        Returns:
            A `TextScore` for each: its log-probability, its loss in nats a token, and the
            log-probability of each token.

        Raises:
            ValueError: if `texts` is a single text or holds something else.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> model = LanguageModel("ab", units=4)
        >>> [score] = model.score(["abba"])
        >>> score.tokens, len(score.log_probabilities)
        (('a', 'b', 'b', 'a'), 4)
        """
        texts = _texts(texts, "texts", empty=True)
        check_positive("batch_size", batch_size)
        scores: list[TextScore] = [TextScore("", 0.0, (), ()) for _ in texts]
        for indices in _batches_of(np.array([len(text) + 1 for text in texts], int), batch_size):
            batch = tf.constant([texts[i] for i in indices], tf.string)
            output = {name: value.numpy() for name, value in self._score_function(batch).items()}
            self.check_answers(output["log_probability"])
            for row, index in enumerate(indices):
                length = output["lengths"][row]
                scores[index] = TextScore(
                    texts[index],
                    float(output["log_probability"][row]),
                    tuple(t.decode("utf-8", "replace") for t in output["tokens"][row, :length]),
                    tuple(output["log_probabilities"][row, :length].tolist()),
                )
        return scores

    def predict(
        self, x: Sequence[str], *, top: int = 5, batch_size: int = 32
    ) -> list[list[NextToken]]:
        """What comes next after each text.

        Args:
            x: the beginnings of texts.
            top: how many candidates to name.
            batch_size: how many texts are in a batch; it changes no answer.

        Returns:
            For each text the likeliest tokens, as `NextToken` objects, the likeliest first.

        Raises:
            ValueError: if `x` is a single text or holds something else.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> model = LanguageModel("ab", units=4)
        >>> [[best, second]] = model.predict(["abba"], top=2)
        >>> best.probability >= second.probability
        True
        """
        texts = _texts(x, "x", empty=True)
        check_positive("batch_size", batch_size)
        check_positive("top", top)
        top = min(top, self.text_units.size - 1)
        found: list[list[NextToken]] = [[] for _ in texts]
        for indices in _batches_of(np.array([len(text) + 1 for text in texts], int), batch_size):
            scores, _ = self._read_function(tf.constant([texts[i] for i in indices], tf.string))
            likely, ids = tf.math.top_k(tf.nn.softmax(without_unknown(scores)), k=top)
            self.check_answers(scores.numpy())
            pieces = self.text_units.pieces(ids).numpy()
            for index, row, values in zip(indices, pieces, likely.numpy(), strict=True):
                found[index] = [
                    NextToken(piece.decode("utf-8", "replace"), float(value))
                    for piece, value in zip(row, values, strict=True)
                ]
        return found

    # === Generation ===

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | Sequence[int] | None = None,
        beam_width: int | None = None,
        length_penalty: float = 0.0,
        batch_size: int = 16,
    ) -> list[str]:
        """Go on with texts, by chance or, with `beam_width` or `temperature=0`, the likeliest way.

        Args:
            prompts: the beginnings. The empty string begins a new text.
            max_tokens: how many words, characters or bytes are added at most; None for the model's
                own `max_tokens`.
            temperature: what scores are divided by: below 1 the likely becomes likelier; 0 always
                takes the likeliest.
            top_k: only as many of the likeliest candidates are left; 0 for all.
            top_p: of these, only the likeliest that together reach this probability.
            seed: decides the chance: an integer for each prompt, or one, to which the number of the
                prompt is added. None draws one from Keras's random seed.
            beam_width: search with as many beginnings at a time, instead of by chance; 1 is greedy.
            length_penalty: with a beam, α of Wu et al. (2016): above 0, longer texts count more.
            batch_size: how many prompts are in a batch; it changes no answer.

        Returns:
            Each prompt with its continuation.

        Raises:
            ValueError: if `prompts` is a single text, or an argument is not allowed.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> model = LanguageModel("ab", units=4)
        >>> texts = model.generate(["ab", "a"], max_tokens=3, seed=1)
        >>> texts[1].startswith("a")
        True
        """
        prompts = _texts(prompts, "prompts", empty=True)
        check_positive("batch_size", batch_size)
        limit = self._checked_generation(max_tokens, temperature, top_k, top_p)
        check_between("length_penalty", length_penalty, 0, 100)
        if beam_width is not None:
            check_positive("beam_width", beam_width)
        seeds = seeds_of(seed, len(prompts), "prompts")
        check_finite_weights(self)  # texts do not show it
        answers: list[str] = []
        for begin in range(0, len(prompts), batch_size):
            part = prompts[begin : begin + batch_size]
            texts, count = tf.constant(part, tf.string), len(part)
            limits = tf.fill([count], limit)
            if beam_width is not None:
                output = self._beam_function(int(beam_width))(
                    texts, limits, tf.constant(length_penalty, tf.float32)
                )
            else:
                output = self._sample_function(
                    texts,
                    tf.constant(seeds[begin : begin + batch_size], tf.int64),
                    tf.fill([count], float(temperature)),
                    tf.fill([count], int(top_k)),
                    tf.fill([count], float(top_p)),
                    limits,
                )
            answers += [text.decode("utf-8", "replace") for text in output["text"].numpy()]
        return answers

    def stream(
        self,
        prompt: str = "",
        *,
        max_tokens: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Go on with a text piece by piece, as it is made.

        Args:
            prompt: the beginning.
            max_tokens: as for `generate`, and so are the others.
            temperature: what scores are divided by.
            top_k: only as many of the likeliest candidates are left; 0 for all.
            top_p: only the likeliest that together reach this probability.
            seed: decides the chance.

        Yields:
            The pieces behind the prompt: together they are the text that `generate` adds with the
            same arguments. Bytes that are not a whole character yet are kept back.

        Raises:
            ValueError: if an argument is not allowed.

        Example:

        >>> from kerasrnn.zoo import LanguageModel
        >>> model = LanguageModel("ab", units=4)
        >>> "ab" + "".join(model.stream("ab", max_tokens=3, seed=1)) == model.generate(
        ...     ["ab"], max_tokens=3, seed=1
        ... )[0]
        True
        """
        [prompt] = _texts([prompt], "prompt", empty=True)
        limit = self._checked_generation(max_tokens, temperature, top_k, top_p)
        seeds = tf.constant(seeds_of(seed, 1, "prompts"), tf.int64)
        check_finite_weights(self)
        return self._stream(prompt, limit, float(temperature), int(top_k), float(top_p), seeds)

    def _stream(
        self, prompt: str, limit: int, temperature: float, top_k: int, top_p: float, seeds: Any
    ) -> Iterator[str]:
        numbers = random_numbers(seeds, limit).numpy()[0]
        scores, states = self._read_function(tf.constant([prompt]))
        settings = tf.constant([temperature]), tf.constant([top_k]), tf.constant([top_p])
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        previous = tf.constant([prompt[-1:]])
        for number in numbers:
            ids, shown, previous, scores, states = self._advance_function(
                scores, states, previous, tf.constant([number]), *settings
            )
            if int(ids[0]) == BOUNDARY_ID:
                break
            text = decoder.decode(shown.numpy()[0])
            if text:
                yield text
        rest = decoder.decode(b"", final=True)
        if rest:
            yield rest

    def _checked_generation(
        self, max_tokens: int | None, temperature: float, top_k: int, top_p: float
    ) -> int:
        if max_tokens is not None:
            check_positive("max_tokens", max_tokens)
        check_between("temperature", temperature, 0, float("inf"))
        if not isinstance(top_k, int | np.integer) or top_k < 0:
            raise ValueError(f"`top_k` must be a whole number, 0 for all. Received: {top_k!r}")
        if not isinstance(top_p, int | float | np.number) or not 0 < top_p <= 1:
            raise ValueError(f"`top_p` must be above 0 and at most 1. Received: {top_p!r}")
        return self.settings["max_tokens"] if max_tokens is None else int(max_tokens)

    def _beam_function(self, width: int) -> Any:
        if width not in self._beam_functions:
            self._beam_functions[width] = tf.function(
                lambda texts, limits, penalty: self._beam(texts, limits, width, penalty),
                input_signature=[
                    tf.TensorSpec((None,), tf.string),
                    tf.TensorSpec((None,), tf.int32),
                    tf.TensorSpec((), tf.float32),
                ],
                autograph=False,
            )
        return self._beam_functions[width]

    # === In the graph ===

    def _read(self, texts: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The scores after texts `(batch, size)`, and the states behind them."""
        ids = self.text_units(valid(texts))
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        dense = tf.pad(ids.to_tensor(), [[0, 0], [1, 0]])  # the boundary in front
        mask = tf.sequence_mask(lengths + 1, tf.shape(dense)[1])
        scores, states = self.network(dense, mask=mask)
        # Behind a text's end, outputs stay those of its last step.
        return scores[:, -1], states

    def _advance(
        self,
        scores: tf.Tensor,
        states: list[tf.Tensor],
        previous: tf.Tensor,
        number: tf.Tensor,
        *settings: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """One unit by chance: its ids, how it is shown and its string; what comes after it."""
        ids = choose(scores, number, *settings)
        pieces = self.text_units.pieces(ids)
        new_scores, new_states = self.network.step(ids, states)
        return ids, self.text_units.spaced(previous, pieces), pieces, new_scores, new_states

    def _sample(
        self,
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        max_tokens: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        scores, states = self._read(prompt)
        ids, total = sample(
            self.network.step,
            scores,
            states,
            seeds=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            limits=tf.minimum(max_tokens, _MOST_GENERATED),
        )
        return self._generated(prompt, ids, total)

    def _beam(
        self, prompt: tf.Tensor, limits: tf.Tensor, width: int, penalty: Any
    ) -> dict[str, tf.Tensor]:
        scores, states = self._read(prompt)
        ids, total = beam_search(
            self.network.step, scores, states, width=width, limits=limits, length_penalty=penalty
        )
        return self._generated(prompt, ids, total)

    def _generated(
        self, prompt: tf.Tensor, ids: tf.Tensor, total: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        prompt = valid(prompt)
        return {
            "text": tf.strings.join([prompt, self.text_units.join(ids, after=prompt)]),
            "log_probability": total,
        }

    def _serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = self.text_units(valid(text))
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        # Of at least one step, so that a batch of empty texts runs like any other.
        missing = tf.maximum(0, 1 - tf.reduce_max(tf.concat([[0], lengths], axis=0)))
        targets = tf.pad(ids.to_tensor(), [[0, 0], [0, missing]])  # (batch, time)
        inputs = tf.pad(targets[:, :-1], [[0, 0], [1, 0]])  # the boundary in front
        mask = tf.sequence_mask(lengths, tf.shape(targets)[1])
        scores, _ = self.network(inputs, mask=mask)
        each = -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, scores)
        each = tf.where(mask, each, 0.0)
        total = tf.reduce_sum(each, axis=1)
        return {
            "tokens": self.text_units.pieces(targets),
            "log_probabilities": each,
            "lengths": lengths,
            "log_probability": total,
            "loss": -total / tf.cast(tf.maximum(lengths, 1), tf.float32),
        }

    def _serve_generate(self, prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        limits = tf.fill([tf.shape(prompt)[0]], self.settings["max_tokens"])
        return self._beam(prompt, limits, self.settings["beam_width"], 0.0)

    def _serve_step(self, token: tf.Tensor, **states: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = self.text_units(token)
        # The empty string is the boundary.
        first = tf.concat([ids, tf.fill([tf.shape(token)[0], 1], BOUNDARY_ID)], axis=1)
        first = first[:, :1].to_tensor(shape=[None, 1])[:, 0]
        dtype = self.network.rnn.compute_dtype
        carried = [tf.cast(states[name], dtype) for name in self._state_names]
        scores, new_states = self.network.step(first, carried)
        likely = tf.nn.log_softmax(without_unknown(scores))
        values, ranked = tf.math.top_k(likely, k=min(_CANDIDATES, self.text_units.size - 1))
        candidates = self.text_units.pieces(ranked)
        return {
            "logits": scores,
            "next": candidates[:, 0],
            "candidates": candidates,
            "log_probabilities": values,
            **{
                name: tf.cast(state, tf.float32)
                for name, state in zip(self._state_names, new_states, strict=True)
            },
        }

    @property
    def _state_names(self) -> list[str]:
        return [f"state_{i + 1}" for i in range(len(self.network.get_initial_state(1)))]

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """What an export serves.

        Returns:
            Four signatures.

            - `serving_default`: `text` string `(batch,)` to `log_probability` and `loss` (nats a
              token), float32 `(batch,)`; `tokens` and `log_probabilities` of each `(batch, time)`,
              padded on the right; `lengths` int32 `(batch,)`.
            - `generate`: `prompt` string `(batch,)` to `text`, the prompt with its likeliest
              continuation that a beam of `beam_width` finds, of at most `max_tokens` units, and its
              `log_probability`.
            - `sample`: `prompt`, `seed` int64, `temperature` float32 (0: the likeliest), `top_k`
              int32 (0: all), `top_p` float32 (1: all) and `max_tokens` int32 (at most 10,000), each
              `(batch,)`, to `text` and `log_probability`. No value fails a request: a temperature
              below 0 or NaN is taken for 0, and with infinity all are as likely; `top_p` above 1 or
              NaN is taken for 1, and of 0 or less leaves the likeliest; `top_k` below 0 is taken
              for 0, and with `max_tokens` below 1 nothing is added.
            - `step`: `token` string `(batch,)`, one word, character or byte, the empty string at a
              text's start, and the states `state_1` … float32 `(batch, units)`, zeros at the start,
              to the new states by the same names, `logits` `(batch, size)`, and the likeliest
              `candidates` with their `log_probabilities`, the first of which is `next`.
        """
        texts = tf.TensorSpec((None,), tf.string)
        whole, real = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
        states = {
            name: tf.TensorSpec((None, self.settings["units"]), tf.float32)
            for name in self._state_names
        }
        return {
            "serving_default": Signature(self._serve, {"text": texts}),
            "generate": Signature(self._serve_generate, {"prompt": texts}),
            "sample": Signature(
                self._sample,
                {
                    "prompt": texts,
                    "seed": tf.TensorSpec((None,), tf.int64),
                    "temperature": real,
                    "top_k": whole,
                    "top_p": real,
                    "max_tokens": whole,
                },
            ),
            "step": Signature(self._serve_step, {"token": texts, **states}),
        }

    def samples(self) -> dict[str, dict[str, Any]]:
        """Requests with texts of several lengths, an empty one and odd characters.

        Returns:
            A batch for each signature.
        """
        pieces = self.text_units.terms or tuple("To be or not to be")
        known = (" " if self.text_units.level == "words" else "").join(pieces[:20])
        prompts = ["I grew up in France", known, "", "😀 \n"]
        count = len(prompts)
        states = np.linspace(-0.5, 0.5, count * self.settings["units"], dtype="float32")
        return {
            "serving_default": {"text": [*prompts, "He said, it is so. " * 4]},
            "generate": {"prompt": prompts[:2]},
            "sample": {
                "prompt": prompts,
                "seed": [0, 1, 2, 3],
                "temperature": [0.0, 1.0, 0.7, 1.0],
                "top_k": [0, 0, 5, 0],
                "top_p": [1.0, 1.0, 1.0, 0.9],
                "max_tokens": [5, 30, 30, 20],
            },
            "step": {
                "token": ["", *pieces[:3]][:count] + [""] * max(0, count - 1 - len(pieces)),
                **{name: states.reshape(count, -1) for name in self._state_names},
            },
        }

    # === Data ===

    def _encode(self, x: Any, argument: str) -> list[np.ndarray]:
        texts = _texts(x, argument, single=True)
        encoded = []
        for part in in_parts(texts):
            ids = self.text_units(tf.constant(part, tf.string))
            rows = np.split(ids.flat_values.numpy(), ids.row_splits.numpy()[1:-1])
            encoded += [row for row in rows if len(row)]
        if not encoded:
            raise ValueError(f"`{argument}` must hold a text that is not empty.")
        return encoded

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        terms = self.text_units.terms
        return {
            **super().get_config(),
            "terms": None if terms is None else list(terms),
            **self.settings,
        }


class _Carried:
    """The states that training carries from segment to segment. They are no weights."""

    def __init__(self) -> None:
        self.states: list[tf.Variable] = []

    def make(self, states: Sequence[tf.Tensor]) -> None:
        self.states = [tf.Variable(state, trainable=False) for state in states]

    def reset(self) -> None:
        for state in self.states:
            state.assign(tf.zeros_like(state))


@dataclass(frozen=True)
class _Validation:
    texts: list[np.ndarray]
    carry: bool


def _exp(loss: float) -> float:
    return math.exp(min(loss, 700.0))


def _batches_of(lengths: np.ndarray, batch_size: int) -> Iterable[np.ndarray]:
    """Indices of texts of like length, in batches whose padded size is bounded."""
    batch: list[int] = []
    for index in np.argsort(lengths, kind="stable"):
        if batch and (
            len(batch) == batch_size or (len(batch) + 1) * lengths[index] > _STEPS_PER_BATCH
        ):
            yield np.array(batch)
            batch = []
        batch.append(index)
    if batch:
        yield np.array(batch)


def _texts(x: Any, argument: str, *, single: bool = False, empty: bool = False) -> list[str]:
    """Texts from whatever they come in."""
    if single and isinstance(x, str | bytes):
        x = [x]
    if isinstance(x, os.PathLike):
        raise ValueError(f"`{argument}` must hold texts. Received a path: {os.fspath(x)!r}")
    if isinstance(x, tf.data.Dataset):
        x = [row["text"] if isinstance(row, dict) else row for row in x.as_numpy_iterator()]
    texts = texts_of(x, argument, first=1)
    if not texts and not empty:
        raise ValueError(f"`{argument}` must hold at least one text. Received none.")
    return texts
