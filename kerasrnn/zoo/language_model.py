"""The language model: the next word, character or byte of a text, and texts made with it."""

from __future__ import annotations

import codecs
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.networks.language import LanguageNetwork
from kerasrnn.networks.options import (
    COUNT,
    NOT_NEGATIVE,
    Count,
    Number,
    OneOf,
    Terms,
    options_of,
)
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.text.plain import texts_of, valid
from kerasrnn.text.units import BOUNDARY_ID, LEVELS, TextUnits, in_parts
from kerasrnn.zoo.batches import (
    Encoded,
    EpochBatches,
    ExampleBatches,
    Ragged,
    Source,
    Unlabelled,
    batches_of,
)
from kerasrnn.zoo.decoding import (
    beam_search,
    choose,
    greedy_search,
    random_numbers,
    sample,
    seeds_of,
    without_unknown,
)
from kerasrnn.zoo.inputs import rows_of, traced
from kerasrnn.zoo.long_sequences import CarriedStates, StreamBatches
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.transfer import Head

# A server must not be kept busy for ever by one request.
_MOST_GENERATED = 10_000

# How many candidates `step` names.
_CANDIDATES = 32

# How many steps are measured at once where a whole text is read in one go.
_STEPS_AT_ONCE = 512

# A batch of long texts is split so that it holds no more steps than this, padding included.
_STEPS_PER_BATCH = 65_536

_SHARE_LEFT = Number("above 0 and at most 1", lambda number: 0 < number <= 1)
_WHOLE = Number("a whole number, 0 for all", lambda number: number >= 0)
_PENALTY = Number("at least 0 and below 100", lambda number: 0 <= number < 100)


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

    It is trained (`fit`) and measured (`evaluate`) on a text, a list of texts, a `tf.data.Dataset`
    of texts (or of dicts with `text`), or on what `read` makes of them: their ids, so that they
    need not be made twice. `y` must be None: what is learnt is what comes next. `fit` also takes

    - `carry`: whether it goes by truncated back-propagation through time, as it does by default.
      The texts stand in a row, with a boundary between two of them. As many parts of it as
      `batch_size` are read side by side in segments. The states at the end of a segment are those
      at the start of the next, and the gradient stops between them. At the start of an epoch,
      states are zero. With `shuffle`, each epoch begins at another place. Without `carry`, each
      text is read on its own from boundary to boundary, and the gradient goes all the way; texts
      can be weighed then;
    - `segment_length`: how many steps the gradient goes back with `carry`, 100 by default.

    Of a single text, `validation_split` holds out the end. To save time, training with `carry`
    validates with `context=256`.

    `evaluate` returns `loss` in nats a token, `perplexity`, and `bits_per_char` for characters or
    `bits_per_byte` for bytes. It also takes

    - `carry`: with it, as by default, the texts stand in a row and are read from the first to the
      last with carried states, which takes a step for each token. Without it each text is read on
      its own, and its end counts as a token;
    - `context`: the row is cut into pieces of four times that length and at least 1024 tokens,
      which are read side by side, each from zero states and after as many tokens of what stands
      before it as `context` says: faster, and nearly the same. None for no pieces.

    Args:
        terms: the known words, the most frequent first, or characters. None for bytes.
        level: what is predicted: `words`, `characters` or `bytes`.
        lowercase: whether words are taken in small letters; words only.
        max_tokens: how many units `generate` adds to a prompt at most, where it is not told.
        beam_width: how many beginnings the exported `generate` keeps.
        **kwargs: the options of the network, such as `cell`, `units` and `dropout`: see
            `LanguageNetwork`; and `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import LanguageModel
    >>> text = "to be or not to be, that is the question. " * 20
    >>> model = LanguageModel.from_texts([text], units=32, dimension=16)
    >>> history = model.fit(text, epochs=2, batch_size=4, segment_length=20, verbose=0)
    >>> sorted(model.evaluate(text))
    ['bits_per_char', 'loss', 'perplexity']
    >>> [text] = model.generate(["to be"], max_tokens=10, temperature=0)
    >>> len(text)
    15
    """

    network_class = LanguageNetwork
    heads = (Head(layers=("network/unit_scores", "network/projection")),)
    word_layers = ("network/embedding",)
    answer_batch_size = 32

    def __init__(
        self,
        terms: Terms | None = None,
        *,
        level: Annotated[str, OneOf(LEVELS)] = "characters",
        lowercase: bool = False,
        max_tokens: Count = 200,
        beam_width: Count = 4,
        **kwargs: Any,
    ) -> None:
        options = self.network_options(kwargs)
        super().__init__(**kwargs)
        self.autocast = False  # states have the precision of the network

        # === Text side ===
        self.text_units = TextUnits(terms, level=level, lowercase=lowercase, name="text_units")

        # === Network ===
        self.network = LanguageNetwork(
            self.text_units.size, dtype=self.dtype_policy, name="network", **options
        )
        self.built = True

        # In training, the states with which the next segment begins.
        self._carried = CarriedStates([], 0)

        ids, mask = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.bool)
        states = [
            tf.TensorSpec((None, state.shape[-1]), state.dtype)
            for state in self.network.get_initial_state(1)
        ]
        texts, seeds = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None,), tf.int64)
        whole, real = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,), tf.float32)
        number, penalty = tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32)
        self._loss_function = traced(self._summed_loss, ids, ids, mask, states)
        self._score_function = traced(self._serve, texts)
        self._read_function = traced(self._read, texts)
        self._next_function = traced(self._next, texts, number)
        self._advance_function = traced(
            self._advance, whole, states, texts, real, real, whole, real
        )
        self._sample_function = traced(self._sample, texts, seeds, real, whole, real, whole)
        self._beam_function = traced(self._beam, texts, whole, number, penalty)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        min_count: int = 1,
        max_terms: int | None = None,
        **arguments: Any,
    ) -> Self:
        """A new model whose words or characters are those of some texts.

        Args:
            texts: the training texts.
            min_count: how often a word or character must occur to be known.
            max_terms: how many are known at most, the most frequent ones; None for any number.
            **arguments: the constructor's other arguments, such as `level`.

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
        form = {
            name: arguments.get(name, options_of(cls)[name].default)
            for name in ("level", "lowercase")
        }
        options_of(cls)["level"].check(form["level"])
        texts = _texts(texts, "texts")
        found = TextUnits.from_texts(texts, min_count=min_count, max_terms=max_terms, **form)
        return cls(found.terms, **arguments)

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of what comes next for ids; see `LanguageNetwork`. For text, see `predict`.

        Args:
            inputs: `ids`, and `mask` if not all of them count; and `states`, or `start`, whether
                the texts begin here or go on from the last call. With neither they begin here.
            training: whether dropout is on.

        Returns:
            `scores` and `states`.
        """
        states, carry = inputs.get("states"), "start" in inputs
        if carry:
            states = self._carried.read(inputs["start"], self._carried.rows)
        scores, states = self.network(
            inputs["ids"], states=states, mask=inputs.get("mask"), training=bool(training)
        )
        if carry:
            self._carried.write(states)
        return {"scores": scores, "states": states}

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # masks are handed on explicitly

    def loss_terms(self, x, y, outputs, weights=None, training=False):
        """The loss in nats a token."""
        each = ops.sparse_categorical_crossentropy(y, outputs["scores"], from_logits=True)
        counted = ops.ones_like(each)  # (batch, time)
        if "mask" in x:
            counted = ops.cast(x["mask"], each.dtype)
        weighted = counted if weights is None else counted * weights[:, None]
        return [(ops.sum(each * weighted), ops.sum(counted))]

    # === Examples ===

    def read(self, x: Any, y: Any = None, argument: str = "x") -> list[np.ndarray]:
        """The ids of each text, without boundaries and empty texts; see `fit`, which takes them."""
        if y is not None:
            raise ValueError("`y` must be None: what comes next stands in the texts.")
        if isinstance(x, list) and x and all(isinstance(ids, np.ndarray) for ids in x):
            return _checked_ids(x, self.text_units.size, argument)
        texts = _texts(x, argument, single=True)
        encoded = []
        for part in in_parts(texts):
            ids = self.text_units(tf.constant(part, tf.string))
            rows = np.split(ids.flat_values.numpy(), ids.row_splits.numpy()[1:-1])
            encoded += [row for row in rows if len(row)]
        if not encoded:
            raise ValueError(f"`{argument}` must hold a text that is not empty.")
        return encoded

    def split(self, examples: list[np.ndarray], share: float) -> tuple[Any, Any]:
        """The first texts and the last ones; of a single text, the beginning and the end."""
        if len(examples) > 1:
            return super().split(examples, share)
        cut = int(len(examples[0]) * (1 - share))
        begin, end = examples[0][:cut], examples[0][cut:]
        return [begin] if len(begin) else [], [end] if len(end) else []

    def encode(self, examples: list[np.ndarray]) -> Encoded:
        """Each text on its own, from boundary to boundary."""
        row = _in_a_row([*examples, np.zeros(0, np.int32)])
        splits = np.cumsum([0, *(len(ids) + 1 for ids in examples)])
        present = np.ones(len(row) - 1, bool)
        inputs = {"ids": Ragged(splits, row[:-1]), "mask": Ragged(splits, present)}
        return Encoded(inputs, Ragged(splits, row[1:]), np.diff(splits))

    def unlabelled(self, x: Any) -> Unlabelled:
        """Texts as ids, and their units; in front of each stands the boundary, an empty string."""
        encoded = self.encode(self.read(x))
        ids = encoded.inputs["ids"]
        units = [unit.decode() for unit in self.text_units.strings(ids.values).numpy()]
        return Unlabelled.of(
            encoded.inputs, [units[a:b] for a, b in itertools.pairwise(ids.splits)]
        )

    def batches(
        self,
        examples: list[np.ndarray],
        batch_size: int,
        weights: np.ndarray | None = None,
        *,
        segment_length: int = 100,
        carry: bool = True,
    ) -> Source:
        """Segments of a stream, or texts on their own; see `fit`."""
        COUNT.check("segment_length", segment_length, int)
        if not carry:
            return ExampleBatches(self.encode(examples).weighted(weights), batch_size)
        if weights is not None:
            raise ValueError(
                "`sample_weight` is for texts that are read on their own, with carry=False. With "
                "carried states they are one stream."
            )
        return StreamBatches(_in_a_row(examples), batch_size, segment_length)

    def begin(self, batches: EpochBatches, **options: Any) -> None:
        """Make room for the states of as many rows as the stream is cut into."""
        source = batches.source
        if isinstance(source, StreamBatches) and source.rows != self._carried.rows:
            self._carried = CarriedStates(self.network.get_initial_state(1), source.rows)
            self.train_function = None  # it belongs to the old ones

    # === Measuring ===

    def measure(
        self,
        examples: list[np.ndarray],
        batch_size: int,
        *,
        carry: bool = True,
        context: int | None = None,
    ) -> dict[str, float]:
        """The figures of texts; see `evaluate`."""
        if context is not None:
            COUNT.check("context", context, int)
        count = sum(len(ids) + 1 for ids in examples) - bool(carry)
        if not carry:
            total = self._loss_of_texts(examples, batch_size)
        elif context is None:
            total = self._loss_in_one_go(_in_a_row(examples))
        else:
            total = self._loss_in_parts(_in_a_row(examples), context, batch_size)
        loss = total / count
        figures = {"loss": loss, "perplexity": _exp(loss)}
        name = {"characters": "bits_per_char", "bytes": "bits_per_byte"}.get(self.text_units.level)
        if name:
            figures[name] = loss / math.log(2)
        return figures

    def validate(
        self, examples: list[np.ndarray], batch_size: int, *, carry: bool = True, **options: Any
    ) -> dict[str, float]:
        """The figures of `measure`; in a row, of pieces after 256 tokens."""
        return self.measure(examples, batch_size, carry=carry, context=256)

    def _loss_of(self, ids: Any, targets: Any, mask: Any) -> float:
        states = self.network.get_initial_state(len(targets))
        return float(self._loss_function(ids, targets, mask, states)[0])

    def _loss_of_texts(self, examples: list[np.ndarray], batch_size: int) -> float:
        encoded, total = self.encode(examples), 0.0
        for indices in batches_of(encoded.lengths, batch_size, _STEPS_PER_BATCH):
            inputs, targets = encoded.batch(indices)
            total += self._loss_of(inputs["ids"], targets, inputs["mask"])
        return total

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

    def _loss_in_parts(self, stream: np.ndarray, context: int, batch_size: int) -> float:
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
                np.where(read, stream[places], 0),
                np.where(counted, stream[places + 1], -1),
                read,
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

    def score(self, texts: Sequence[str], batch_size: int | None = None) -> list[TextScore]:
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
        batch_size = self._answer_batch_size(batch_size)
        texts = _texts(texts, "texts", empty=True)
        scores: list[TextScore] = [TextScore("", 0.0, (), ()) for _ in texts]
        for indices in _alike(texts, batch_size):
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
        self,
        x: Sequence[str],
        batch_size: int | None = None,
        verbose: str | int = 0,
        *,
        top: int = 5,
    ) -> list[list[NextToken]]:
        """What comes next after each text.

        Args:
            x: the beginnings of texts.
            batch_size: how many texts are in a batch; it changes no answer.
            verbose: 1 shows a progress bar.
            top: how many candidates to name.

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
        batch_size = self._answer_batch_size(batch_size)
        COUNT.check("top", top, int)
        check_finite_weights(self)  # a softmax may hide it
        texts = _texts(x, "x", empty=True)
        top = min(top, self.text_units.size - 1)
        found: list[list[NextToken]] = [[] for _ in texts]
        for indices in _alike(texts, batch_size, verbose):
            likely, ids = self._next_function(tf.constant([texts[i] for i in indices]), top)
            self.check_answers(likely.numpy())
            shown = self.text_units.strings(ids).numpy()
            for index, row, values in zip(indices, shown, likely.numpy(), strict=True):
                found[index] = [
                    NextToken(token.decode("utf-8", "replace"), float(value))
                    for token, value in zip(row, values, strict=True)
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
        COUNT.check("batch_size", batch_size, int)
        limit = self._checked_generation(max_tokens, temperature, top_k, top_p)
        _PENALTY.check("length_penalty", length_penalty, float)
        if beam_width is not None:
            COUNT.check("beam_width", beam_width, int)
            temperature = 0.0 if beam_width == 1 else temperature
        seeds = seeds_of(seed, len(prompts), "prompts")
        check_finite_weights(self)  # texts do not show it
        answers: list[str] = []
        for begin in range(0, len(prompts), batch_size):
            part = prompts[begin : begin + batch_size]
            texts, count = tf.constant(part, tf.string), len(part)
            limits = tf.fill([count], limit)
            if beam_width is not None and beam_width > 1:
                output = self._beam_function(texts, limits, beam_width, length_penalty)
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
        ids, states = self._read_function(tf.constant([prompt]))
        settings = tf.constant([temperature]), tf.constant([top_k]), tf.constant([top_p])
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        before = tf.constant([prompt[-1:]])
        for number in numbers:
            ids, states, before, shown = self._advance_function(
                ids, states, before, tf.constant([number]), *settings
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
            COUNT.check("max_tokens", max_tokens, int)
        NOT_NEGATIVE.check("temperature", temperature, float)
        _WHOLE.check("top_k", top_k, int)
        _SHARE_LEFT.check("top_p", top_p, float)
        return self.settings["max_tokens"] if max_tokens is None else int(max_tokens)

    # === In the graph ===

    def _read(self, texts: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The last unit of each text, or the boundary in front of it, and the states before it."""
        ids = self.text_units(valid(texts))
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        dense = tf.pad(ids.to_tensor(), [[0, 0], [1, 0]])  # the boundary in front
        _, states = self.network(dense, mask=tf.sequence_mask(lengths, tf.shape(dense)[1]))
        return tf.gather(dense, lengths, batch_dims=1), states

    def _next(self, texts: tf.Tensor, top: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The probabilities and the ids of the likeliest units after texts, `(batch, top)`."""
        scores, _ = self.network.step(*self._read(texts))
        likely, ids = tf.math.top_k(tf.nn.softmax(without_unknown(scores)), k=top)
        return likely, ids

    def _advance(
        self,
        previous: tf.Tensor,
        states: list[tf.Tensor],
        before: tf.Tensor,
        number: tf.Tensor,
        *settings: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """One unit by chance: its ids, the states before it, its string and how it is shown."""
        scores, states = self.network.step(previous, states)
        ids = choose(scores, number, *settings)
        strings = self.text_units.strings(ids)
        return ids, states, strings, self.text_units.spaced(before, strings)

    def _sample(
        self,
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        max_tokens: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        written = sample(
            self.network.step,
            *self._read(prompt),
            seeds=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            limits=tf.minimum(max_tokens, _MOST_GENERATED),
        )
        return self._generated(prompt, written.ids, written.log_probabilities)

    def _beam(
        self, prompt: tf.Tensor, limits: tf.Tensor, width: Any, penalty: Any
    ) -> dict[str, tf.Tensor]:
        beams = beam_search(
            self.network.step,
            *self._read(prompt),
            beam_size=width,
            limits=limits,
            strength=penalty,
        )
        return self._generated(prompt, beams.ids[:, 0], beams.log_probabilities[:, 0])

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
            "tokens": self.text_units.strings(targets),
            "log_probabilities": each,
            "lengths": lengths,
            "log_probability": total,
            "loss": -total / tf.cast(tf.maximum(lengths, 1), tf.float32),
        }

    def _serve_generate(self, prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        limits = tf.fill([tf.shape(prompt)[0]], self.settings["max_tokens"])
        width = self.settings["beam_width"]
        if width > 1:
            return self._beam(prompt, limits, width, 0.0)
        written = greedy_search(self.network.step, *self._read(prompt), limits=limits)
        return self._generated(prompt, written.ids, written.log_probabilities)

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
        candidates = self.text_units.strings(ranked)
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


def _exp(loss: float) -> float:
    return math.exp(min(loss, 700.0))


def _alike(texts: list[str], batch_size: int, verbose: str | int = 0) -> Iterator[np.ndarray]:
    """Indices of texts of like length, in batches."""
    lengths = np.array([len(text) + 1 for text in texts], int)
    return batches_of(lengths, batch_size, _STEPS_PER_BATCH, verbose=verbose)


def _in_a_row(texts: Sequence[np.ndarray]) -> np.ndarray:
    """All texts in a row, a boundary in front of each: int32 `(all time + number of texts,)`."""
    boundary = np.array([BOUNDARY_ID], np.int32)
    return np.concatenate([part for ids in texts for part in (boundary, ids)]).astype(np.int32)


def _checked_ids(texts: list[np.ndarray], size: int, argument: str) -> list[np.ndarray]:
    """Texts that are ids already."""
    for number, ids in enumerate(texts, start=1):
        whole = ids.ndim == 1 and len(ids) and np.issubdtype(ids.dtype, np.integer)
        if not whole or ids.min() <= BOUNDARY_ID or ids.max() >= size:
            raise ValueError(
                f"`{argument}` must hold texts, or arrays of their ids, from 1 to {size - 1}. "
                f"Received as number {number}: {ids!r:.60}"
            )
    return texts


def _texts(x: Any, argument: str, *, single: bool = False, empty: bool = False) -> list[str]:
    """Texts from whatever they come in."""
    if single and isinstance(x, str | bytes):
        x = [x]
    if isinstance(x, os.PathLike):
        raise ValueError(f"`{argument}` must hold texts. Received a path: {os.fspath(x)!r}")
    if isinstance(x, tf.data.Dataset):
        rows = rows_of(x, {"text": 0}, argument)
        x = [row["text"] if isinstance(row, dict) else row for row in rows]
    texts = texts_of(x, argument, first=1)
    if not texts and not empty:
        raise ValueError(f"`{argument}` must hold at least one text. Received none.")
    return texts
