"""The encoder-decoder: one text from another, such as a translation or a date in ISO 8601."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.data import TextPair
from kerasrnn.networks.encoder_decoder import NOTHING_ID, EncoderDecoderNetwork
from kerasrnn.networks.options import COUNT, NOT_NEGATIVE, Count, OneOf, Terms, options_of
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.text import Vocabulary
from kerasrnn.text.plain import items_of, plain_text, texts_of
from kerasrnn.text.splits import SPLITS
from kerasrnn.text.units import in_parts
from kerasrnn.zoo.batches import Encoded, Ragged, Unlabelled, batches_of
from kerasrnn.zoo.decoding import NO_SCORE, Step, beam_search, greedy_search
from kerasrnn.zoo.inputs import rows_of, traced
from kerasrnn.zoo.scores import pair_scores
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.transfer import Head


class _Pattern:
    """A regular expression in the syntax of RE2, which TensorFlow's graphs have."""

    words = "a regular expression in the syntax of RE2"

    def check(self, name: str, value: Any, kind: type = str) -> None:
        """Raise a ValueError that names the argument unless the value is one."""
        problem = f"a {type(value).__name__}"
        if isinstance(value, str):
            try:
                tf.strings.regex_full_match("", value)
                return
            except tf.errors.InvalidArgumentError as error:
                problem = error.message.partition("error: ")[2] or error.message
        raise ValueError(f"`{name}` must be {self.words}. Received {value!r:.100}: {problem}")


Level = Annotated[str, OneOf(tuple(SPLITS))]
Pattern = Annotated[str, _Pattern()]


@dataclass(frozen=True)
class Candidate:
    """A text that a model could write, as `EncoderDecoder.generate` returns it.

    Attributes:
        text: the text.
        score: what it is ranked by: the logarithm of its probability, divided by a penalty for
            its length. Not compared.
        log_probability: the logarithm of its probability, in nats. Neither shown nor compared.

    Example:

    >>> from kerasrnn.zoo import Candidate
    >>> Candidate("2020-03-04", score=-0.5, log_probability=-0.75) == Candidate("2020-03-04")
    True
    """

    text: str
    score: float = field(default=0.0, compare=False)
    log_probability: float = field(default=0.0, compare=False, repr=False)


@dataclass(frozen=True)
class Alignment:
    """Where a model looked while it wrote a text, as `EncoderDecoder.align` returns it.

    Attributes:
        source: the tokens that were read.
        target: the tokens that were written.
        weights: `(target tokens, source tokens)`; each row sums to 1, unless nothing was read.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo import Alignment
    >>> Alignment(["two", "one"], ["2", "1"], np.eye(2))
    Alignment(source=['two', 'one'], target=['2', '1'])
    """

    source: list[str]
    target: list[str]
    weights: np.ndarray = field(repr=False, compare=False)


@keras.saving.register_keras_serializable(package="kerasrnn")
class EncoderDecoder(Task):
    """Writes one text from another: a translation, a date in ISO 8601, a normal form.

    It takes raw text in `fit`, `predict`, `evaluate` and in what it exports. Texts are read and
    written token by token, which are characters or words on either side. The network is
    `EncoderDecoderNetwork`: a deep recurrent layer reads the source, another one writes the target
    (Cho et al. 2014), and may look back at the source by additive (Bahdanau et al. 2015) or
    multiplicative attention (Luong et al. 2015).

    The answer for a text depends on no other text: neither the size of a batch nor its padding
    changes it.

    It is trained (`fit`) and measured (`evaluate`) on

    - pairs of a source and a target, `TextPair` objects or others; or sources, with targets as `y`;
    - a `tf.data.Dataset` of such pairs, or of dicts of `source` and `target`.

    In training each step is given the right token before it.

    `evaluate` returns `loss` in nats a token, the end of a text counted as one, of all texts that
    are not refused for `text_pattern`; `exact_match`, the share of texts written as expected, 0 to
    1; and `bleu`, 0 to 100, if sacrebleu is installed, see `kerasrnn.zoo.scores`. It also takes
    `beam_size` and `length_penalty`, as `predict` does.

    Args:
        source_terms: the known tokens of texts to read, in the form that `lowercase` gives them.
        target_terms: the tokens that texts are written in.
        source_level: what a token of a source is: `characters` or `words`.
        target_level: what a token of a target is: `characters` or `words`.
        max_length: how many tokens are written at most; a longer text is cut off.
        lowercase: whether tokens of a source are looked up in small letters.
        text_pattern: a regular expression in the syntax of RE2. A text to read that does not match
            it as a whole is refused: the answer is the empty text. None reads any text.
        answer_pattern: the same for texts that are written: one that does not match is refused.
        **kwargs: the options of the network, such as `attention`, `cell` and `units`: see
            `EncoderDecoderNetwork`; and `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import EncoderDecoder
    >>> model = EncoderDecoder.from_preset("date_en_iso")
    >>> model.predict(["4th of March 2020", "Tuesday, May 5, 2026", "31 April 2026", "no date"])
    ['2020-03-04', '2026-05-05', '', '']
    """

    network_class = EncoderDecoderNetwork
    heads = (Head(layers=("network/decoder/piece_scores",)),)
    word_layers = ("network/encoder/embeddings", "network/decoder/embeddings")
    batch_size = 64

    def __init__(
        self,
        source_terms: Terms,
        target_terms: Terms,
        *,
        source_level: Level = "characters",
        target_level: Level = "characters",
        max_length: Count = 100,
        lowercase: bool = False,
        text_pattern: Pattern | None = None,
        answer_pattern: Pattern | None = None,
        **kwargs: Any,
    ) -> None:
        options = self.network_options(kwargs)
        super().__init__(**kwargs)
        self.max_length = max_length

        # === Text side ===
        self.source_split = SPLITS[source_level](name="source_split")
        self.target_split = SPLITS[target_level](name="target_split")
        self.source_vocabulary = Vocabulary(
            source_terms, lowercase=lowercase, name="source_vocabulary"
        )
        self.target_vocabulary = Vocabulary(target_terms, name="target_vocabulary")

        # === Network ===
        self.network = EncoderDecoderNetwork(
            sources=self.source_vocabulary.size,
            targets=self.target_vocabulary.size,
            dtype=self.dtype_policy,
            name="network",
            **options,
        )
        self.built = True

        text, real = tf.TensorSpec((None,), tf.string), tf.TensorSpec((), tf.float32)
        self._write_function = traced(self._write, text)
        self._search_function = traced(self._search, text, tf.TensorSpec((), tf.int32), real)

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[Any],
        *,
        source_level: str = "characters",
        target_level: str = "characters",
        min_count: int = 1,
        max_terms: int | None = None,
        lowercase: bool = False,
        **arguments: Any,
    ) -> Self:
        """A new model whose terms are those of some pairs.

        Args:
            pairs: the training pairs, as for `fit`.
            source_level: what a token of a source is: `characters` or `words`.
            target_level: what a token of a target is.
            min_count: how often a token must occur to be known, on either side.
            max_terms: how many terms are known at most, on either side; None for all.
            lowercase: whether tokens of a source are looked up in small letters.
            **arguments: the constructor's other arguments. `max_length` is a fifth more than the
                longest target has, unless given.

        Returns:
            A model with new weights.

        Raises:
            ValueError: if there are no pairs, or an argument has a value that is not allowed.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_pairs([("one two", "1 2")], source_level="words", units=8)
        >>> model.source_vocabulary.terms, model.target_vocabulary.terms
        (('one', 'two'), (' ', '1', '2'))
        """
        for name, level in (("source_level", source_level), ("target_level", target_level)):
            options_of(cls)[name].check(level)
        rows = _as_pairs(pairs, None, "pairs")
        limit = None if max_terms is None else max_terms + 2  # nothing and unknown count as well
        terms = []
        longest = 0
        for side, level in enumerate((source_level, target_level)):
            counts: Counter[str] = Counter()
            split = SPLITS[level]()
            for part in in_parts([row[side] for row in rows]):
                tokens = split(tf.constant(part))
                counts.update(token.decode() for token in tokens.flat_values.numpy())
                longest = max(longest, int(tf.reduce_max(tokens.row_lengths()))) if side else 0
            vocabulary = Vocabulary.from_counts(
                counts, min_count=min_count, max_size=limit, lowercase=lowercase and not side
            )
            terms.append(list(vocabulary.terms))
        arguments.setdefault("max_length", longest + 1 + longest // 5)
        return cls(
            *terms,
            source_level=source_level,
            target_level=target_level,
            lowercase=lowercase,
            **arguments,
        )

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of tokens for ids; see `EncoderDecoderNetwork`. For text, see `predict`."""
        return self.network(inputs, training=training)

    def loss_terms(self, x, y, outputs, weights=None, training=False):
        """The loss in nats a token, the end of a text counted as one."""
        # Behind the end stands what is empty, as before the first token; only that one counts.
        mask = ops.not_equal(x["previous"], NOTHING_ID)  # (batch, steps)
        mask = ops.concatenate([ops.ones_like(mask[:, :1]), mask[:, 1:]], axis=1)
        mask = ops.cast(mask, "float32")
        losses = ops.sparse_categorical_crossentropy(y, outputs["scores"], from_logits=True)
        losses = losses * mask
        if weights is not None:
            losses = losses * weights[:, None]
        return [(ops.sum(losses), ops.sum(mask))]

    # === Examples ===

    def read(self, x: Any, y: Any = None, argument: str = "x") -> list[TextPair]:
        """Pairs of texts from whatever they come in; see `fit`."""
        return _as_pairs(x, y, argument)

    def encode(self, examples: list[TextPair]) -> Encoded:
        """Pairs as ids; see `fit`."""
        source = self._ids(self.source_split, self.source_vocabulary, [p.source for p in examples])
        target = self._ids(self.target_split, self.target_vocabulary, [p.target for p in examples])
        splits = target.splits + np.arange(len(target.splits))  # with room for the ends
        ended = np.insert(target.values, target.splits[1:], NOTHING_ID)
        previous = np.insert(target.values, target.splits[:-1], NOTHING_ID)
        inputs = {"source": source, "previous": Ragged(splits, previous)}
        # By the longer text of each. The sum of both would keep what has a target from what has
        # none: batch after batch would pull the first token one way and then the other.
        lengths = np.maximum(source.lengths, target.lengths)
        return Encoded(inputs, Ragged(splits, ended), lengths)

    def unlabelled(self, x: Any) -> Unlabelled:
        """Texts with the answers to them as ids, and the tokens that are read of either."""
        items = list(items_of(x, "x"))
        if all(isinstance(item, str) for item in items):
            items = [TextPair(*pair) for pair in zip(items, self.predict(items), strict=True)]
        encoded = self.encode(self.read(items))
        source, previous = encoded.inputs["source"], encoded.inputs["previous"]
        return Unlabelled(
            Encoded(encoded.inputs, (), encoded.lengths),
            {
                "": self._tokens_of(self.source_vocabulary, source),
                "decoder": self._tokens_of(self.target_vocabulary, previous),
            },
        )

    @staticmethod
    def _tokens_of(vocabulary: Vocabulary, ids: Ragged) -> list[list[str]]:
        tokens = vocabulary.lookup(tf.constant(ids.values)).numpy()
        splits = itertools.pairwise(ids.splits)
        return [[token.decode() for token in tokens[begin:end]] for begin, end in splits]

    @staticmethod
    def _ids(split: Any, vocabulary: Vocabulary, texts: list[str]) -> Ragged:
        lengths, ids = [np.zeros(1, int)], [np.zeros(0, np.int32)]
        for part in in_parts(texts):
            tokens = split(tf.constant(part))
            lengths.append(tokens.row_lengths().numpy())
            ids.append(vocabulary(tokens.flat_values).numpy())
        return Ragged(np.cumsum(np.concatenate(lengths)), np.concatenate(ids))

    def count_target_tokens(self, pairs: Iterable[Any]) -> int:
        """How many tokens the targets of some pairs have, their ends not counted.

        Args:
            pairs: as for `fit`.

        Returns:
            The number.
        """
        return int(sum(self.encode(_as_pairs(pairs, None, "pairs")).targets.lengths - 1))

    # === Measuring ===

    def measure(
        self,
        examples: list[TextPair],
        batch_size: int,
        *,
        beam_size: int = 1,
        length_penalty: float = 0.6,
    ) -> dict[str, Any]:
        """The figures of pairs; see `evaluate`."""
        sources = [pair.source for pair in examples]
        if beam_size == 1:
            answers, _ = self._written(sources, batch_size)
        else:
            answers = self.predict(
                sources, batch_size, beam_size=beam_size, length_penalty=length_penalty
            )
        # What is refused unread, the network is never asked.
        asked = self._matches("text_pattern", tf.constant(sources)).numpy()
        encoded = self.encode(
            [pair for pair, is_asked in zip(examples, asked, strict=True) if is_asked]
        )
        total = count = 0.0
        for _, judged in self.judged(encoded, batch_size):
            total += float(judged["loss"])
            count += float(judged["count"])
        # White space that no token tells of is not expected either.
        expected = self._normal([pair.target for pair in examples])
        return {"loss": total / max(1.0, count), **pair_scores(expected, answers)}

    def _normal(self, targets: list[str]) -> list[str]:
        """Targets as they would be answered if each token of them were right."""
        texts: list[str] = []
        for part in in_parts(targets):
            joined = self.target_split.join(self.target_split(tf.constant(part)))
            joined = tf.where(self._matches("answer_pattern", joined), joined, "")
            texts += [text.decode() for text in joined.numpy()]
        return texts

    # === Prediction ===

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = 0,
        *,
        beam_size: int = 1,
        length_penalty: float = 0.6,
    ) -> list[str]:
        """Write a text for each text.

        Args:
            x: a list of texts.
            batch_size: how many texts are in a batch; it changes no answer.
            verbose: 1 shows a progress bar.
            beam_size: how many beginnings are followed at once. 1 takes the most probable token at
                each step.
            length_penalty: α of `kerasrnn.zoo.decoding.length_penalty`, for beams of more than 1:
                the larger, the longer the texts.

        Returns:
            A text for each text; the empty one for what `text_pattern` or `answer_pattern` refuses.

        Raises:
            ValueError: if `x` is a single text or holds something else than texts, or another
                argument has a value that is not allowed.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_preset("date_en_iso")
        >>> model.predict(["4th of March 2020"], beam_size=4)
        ['2020-03-04']
        """
        COUNT.check("beam_size", beam_size, int)
        if beam_size > 1:
            candidates = self.generate(
                x, batch_size, verbose, beam_size=beam_size, length_penalty=length_penalty
            )
            return [found[0].text for found in candidates]
        answers, scores = self._written(texts_of(x, "x"), batch_size, verbose)
        self.check_answers(scores)
        return answers

    def _written(
        self, texts: list[str], batch_size: int | None, verbose: str | int = 0
    ) -> tuple[list[str], np.ndarray]:
        """What is written for texts, and how probable each is."""
        answers, scores = [""] * len(texts), np.zeros(len(texts), np.float32)
        for indices, output in self._batches(self._write_function, texts, batch_size, verbose):
            scores[indices] = output["score"]
            for index, text in zip(indices, output["text"], strict=True):
                answers[index] = text.decode()
        return answers, scores

    def generate(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = 0,
        *,
        beam_size: int = 5,
        length_penalty: float = 0.6,
    ) -> list[list[Candidate]]:
        """The best texts that a beam search finds for each text.

        Args:
            x: a list of texts.
            batch_size: how many texts are in a batch; it changes no answer.
            verbose: 1 shows a progress bar.
            beam_size: how many beginnings are followed at once, and how many texts are returned.
            length_penalty: α of `kerasrnn.zoo.decoding.length_penalty`; 0 ranks by probability
                alone.

        Returns:
            For each text its candidates, the best first: `beam_size`, or as many as there are. One
            that is refused keeps its place, with the empty text.

        Raises:
            ValueError: as for `predict`.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_preset("date_en_iso")
        >>> [candidate.text for candidate in model.generate(["4 March 2020"], beam_size=2)[0]][0]
        '2020-03-04'
        """
        COUNT.check("beam_size", beam_size, int)
        NOT_NEGATIVE.check("length_penalty", length_penalty, float)
        texts = texts_of(x, "x")
        check_finite_weights(self)  # the search leaves out what is not finite
        answers: list[list[Candidate]] = [[] for _ in texts]
        search = tf.constant(beam_size, tf.int32), tf.constant(length_penalty, tf.float32)
        for indices, output in self._batches(
            self._search_function, texts, batch_size, verbose, *search
        ):
            for row, index in enumerate(indices):
                columns = (output[key][row] for key in ("texts", "scores", "log_probabilities"))
                answers[index] = [
                    Candidate(text.decode(), float(score), float(log_probability))
                    for text, score, log_probability in zip(*columns, strict=True)
                    if log_probability > NO_SCORE
                ]
        return answers

    def align(self, x: Any, batch_size: int | None = None) -> list[Alignment]:
        """Where the model looks in each text while it writes what `predict` returns.

        Args:
            x: a list of texts.
            batch_size: how many texts are in a batch; it changes no answer.

        Returns:
            An `Alignment` for each text.

        Raises:
            ValueError: if the model has no attention; and as for `predict`.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_preset("date_en_iso")
        >>> alignment = model.align(["4 March 2020"])[0]
        >>> "".join(alignment.target), alignment.weights.shape
        ('2020-03-04', (10, 12))
        """
        if not self._attends:
            raise ValueError("This model has no attention; see the argument `attention`.")
        texts = texts_of(x, "x")
        found: list[Alignment] = [Alignment([], [], np.zeros((0, 0))) for _ in texts]
        for indices, output in self._batches(self._write_function, texts, batch_size):
            self.check_answers(output["score"])
            for row, index in enumerate(indices):
                source = [token.decode() for token in output["source_tokens"][row] if token]
                target = [token.decode() for token in output["target_tokens"][row] if token]
                weights = output["attention"][row, : len(target), : len(source)]
                found[index] = Alignment(source, target, weights)
        return found

    def _batches(
        self,
        function: Any,
        texts: list[str],
        batch_size: int | None,
        verbose: str | int = 0,
        *arguments: Any,
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """The indices of each batch, and what a graph answers to its texts, as arrays."""
        batch_size = self._answer_batch_size(batch_size)
        lengths = np.array([len(text) for text in texts], int)
        for indices in batches_of(lengths, batch_size, verbose=verbose):
            output = function(tf.constant([texts[index] for index in indices]), *arguments)
            yield indices, {name: value.numpy() for name, value in output.items()}

    # === Graphs ===

    def _write(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is written for texts, by the most probable token at each step."""
        tokens, source = self._read(text)
        memory, states = self.network.encode(source)
        extra = [tf.TensorSpec((None,), tf.float32)] if self._attends else []
        found = greedy_search(
            self._step(memory),
            tf.zeros_like(source[:, 0]),
            states,
            limits=self.max_length,
            extra=extra,
        )
        written, answer, lengths = self._answers(text, found.ids, found.lengths)
        outputs = {"text": answer, "score": found.log_probabilities, "length": lengths}
        if self._attends:
            outputs |= {
                "attention": _until_the_end(found.extra[0], lengths),
                "source_tokens": tokens,
                "target_tokens": written,
            }
        return outputs

    def _search(
        self, text: tf.Tensor, beam_size: tf.Tensor, length_penalty: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What a beam search finds for texts."""
        beam_size = tf.maximum(beam_size, 1)
        tokens, source = self._read(text)
        memory, states = self.network.encode(source)
        memory = {name: tf.repeat(value, beam_size, axis=0) for name, value in memory.items()}
        found = beam_search(
            self._step(memory),
            tf.zeros_like(source[:, 0]),
            states,
            beam_size=beam_size,
            limits=self.max_length,
            strength=length_penalty,
            cut_off_last=True,
        )
        shape = tf.shape(found.ids)  # (batch, beam_size, steps)
        written, answers, lengths = self._answers(
            tf.repeat(text, beam_size),
            tf.reshape(found.ids, [shape[0] * beam_size, shape[2]]),
            tf.reshape(found.lengths, [-1]),
        )
        lengths = tf.reshape(lengths, shape[:2])
        outputs = {
            "texts": tf.reshape(answers, shape[:2]),
            "scores": found.scores,
            "log_probabilities": found.log_probabilities,
            "lengths": lengths,
        }
        if self._attends:
            # The weights of the best text alone, all of its steps at once.
            previous = tf.pad(found.ids[:, 0], [[0, 0], [1, 0]])  # (batch, steps + 1)
            attended = self.network({"source": source, "previous": previous}, training=False)
            outputs |= {
                "attention": _until_the_end(attended["attention"], lengths[:, 0]),
                "source_tokens": tokens,
                "target_tokens": tf.reshape(written, shape)[:, 0],
            }
        return outputs

    def _answers(
        self, text: tf.Tensor, ids: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The tokens, texts and lengths of what was written, none of them for what is refused."""
        written = self.target_vocabulary.lookup(ids, unknown="")  # (batch, steps)
        answer = self.target_split.join(written)
        taken = self._matches("text_pattern", text) & self._matches("answer_pattern", answer)
        return (
            tf.where(taken[:, None], written, ""),
            tf.where(taken, answer, ""),
            tf.where(taken, lengths, 0),
        )

    def _matches(self, pattern: str, text: tf.Tensor) -> tf.Tensor:
        """Whether each text matches a pattern of the settings; where there is none, all do."""
        if self.settings[pattern] is None:
            return tf.ones_like(text, tf.bool)
        return tf.strings.regex_full_match(text, self.settings[pattern])

    def _read(self, text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The tokens of texts, and their ids, padded to one length of at least 1."""
        tokens = self.source_split(text).to_tensor()  # (batch, time)
        missing = tf.maximum(0, 1 - tf.shape(tokens)[1])
        tokens = tf.pad(tokens, [[0, 0], [0, missing]])
        return tokens, self.source_vocabulary(tokens)

    @property
    def _attends(self) -> bool:
        return self.settings["attention"] != "none"

    def _step(self, memory: dict[str, Any]) -> Step:
        """One step of writing, with the attention's weights if there is attention."""

        def step(previous: tf.Tensor, states: Any) -> tuple[Any, ...]:
            scores, states, weights = self.network.step(previous, states, memory)
            return (scores, states, weights) if self._attends else (scores, states)

        return step

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """`serving_default`, the most probable token at each step, and `generate`, a beam search.

        Returns:
            Two signatures.

            `serving_default` takes `text`, strings `(batch,)`, and returns `text` `(batch,)`;
            `score`, float32 `(batch,)`, the logarithm of its probability; `length`, int32
            `(batch,)`, how many tokens it has. What is refused is empty and of length 0; its score
            is that of what the network wrote.

            `generate` takes `text`, `beam_size` (int32, a scalar, taken for 1 if it is less) and
            `length_penalty` (float32, a scalar, taken for 0 if it is not finite) and returns
            `texts`, `scores`, `log_probabilities` and `lengths`, each `(batch, beam_size)`, the
            best first; scores are about -1e9 where there are fewer texts.

            With attention, both return `source_tokens` `(batch, time)` and `target_tokens`
            `(batch, steps)`, padded with the empty string, and `attention`, float32
            `(batch, steps or one more, time)`, 0 for padding: a row for each token of the text or,
            in `generate`, of the best text, and where it ended, one for its end.
        """
        text = tf.TensorSpec((None,), tf.string)
        return {
            "serving_default": Signature(self._write, {"text": text}),
            "generate": Signature(
                self._search,
                {
                    "text": text,
                    "beam_size": tf.TensorSpec((), tf.int32),
                    "length_penalty": tf.TensorSpec((), tf.float32),
                },
            ),
        }

    def samples(self) -> dict[str, dict[str, Any]]:
        """Requests of known tokens, unknown ones, an empty text and odd characters.

        Returns:
            A batch of texts for each signature.
        """
        known = self.source_vocabulary.terms[:20]
        joined = self.source_split.join(tf.constant([list(known)])) if known else [b""]
        texts = ["Tuesday, 5 May 2026", bytes(np.array(joined)[0]).decode(), "Ωx 😀", ""]
        search = {"beam_size": np.int32(3), "length_penalty": np.float32(0.6)}
        return {"serving_default": {"text": texts}, "generate": {"text": texts, **search}}


def _until_the_end(weights: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Weights `(batch, steps, time)` with zeros for the steps behind each text's end."""
    steps = tf.range(tf.shape(weights)[1])
    there = steps <= lengths[:, None]  # (batch, steps)
    return tf.where(there[:, :, None], weights, 0.0)


def _as_pairs(x: Any, y: Any, argument: str) -> list[TextPair]:
    """Pairs of texts from whatever they come in."""
    if isinstance(x, tf.data.Dataset):
        rows = [
            _from_row(row, argument) for row in rows_of(x, {"source": 0, "target": 0}, argument)
        ]
    elif y is not None:
        sources, targets = items_of(x, argument), items_of(y, f"the targets of {argument}")
        if len(sources) != len(targets):
            raise ValueError(
                f"`{argument}` must have a target for each source. "
                f"Received {len(sources)} sources and {len(targets)} targets."
            )
        rows = list(zip(sources, targets, strict=True))
    else:
        rows = items_of(x, argument, "pairs")
    pairs = []
    for number, row in enumerate(rows, start=1):
        paired = isinstance(row, tuple | list | np.ndarray)
        texts: list[Any] = [plain_text(text) for text in row] if paired else [row]
        if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"`{argument}` must hold pairs of a source and a target, both texts. "
                f"Received {row!r:.100} as number {number}."
            )
        pairs.append(TextPair(*texts))
    if not pairs:
        raise ValueError(f"`{argument}` must hold at least one pair. Received none.")
    return pairs


def _from_row(row: Any, argument: str) -> Any:
    if isinstance(row, dict) and {"source", "target"} <= set(row):
        return row["source"], row["target"]
    if not isinstance(row, tuple) or len(row) != 2:
        raise ValueError(
            f"`{argument}` must be a dataset of pairs, or of dicts with `source` and `target`."
        )
    return row
