"""The encoder-decoder: one text from another, such as a translation or a date in ISO 8601."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.data import TextPair
from kerasrnn.networks.encoder_decoder import (
    ATTENTIONS,
    NOTHING_ID,
    UNKNOWN_ID,
    EncoderDecoderNetwork,
)
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.text import Vocabulary
from kerasrnn.text.plain import items_of, plain_text, texts_of
from kerasrnn.text.splits import SPLITS
from kerasrnn.zoo.example_task import input_specs, int_tensors
from kerasrnn.zoo.pair_batching import EncodedPairs, PairBatches, batches_by_length
from kerasrnn.zoo.scores import pair_scores
from kerasrnn.zoo.search import NEVER, NO_SCORE, Step, beam_search, greedy_search
from kerasrnn.zoo.task import Task, check_between, check_choice, check_positive, order_seed

UNITS = tuple(SPLITS)

_TEXTS_SPLIT_AT_ONCE = 4096


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
        source: the pieces that were read.
        target: the pieces that were written.
        weights: `(target pieces, source pieces)`; each row sums to 1, unless nothing was read.

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
    written in pieces, which are characters or words on either side. The network is
    `EncoderDecoderNetwork`: a deep recurrent layer reads the source, another one writes the target,
    piece by piece (Cho et al. 2014), and may look back at the source by additive (Bahdanau et al.
    2015) or multiplicative attention (Luong et al. 2015).

    The answer for a text depends on no other text: neither the size of a batch nor its padding
    changes it.

    Args:
        source_pieces: the known pieces of texts to read, in the form that `lowercase` gives them.
        target_pieces: the pieces that texts are written in.
        source_unit: what a piece of a source is: `characters` or `words`.
        target_unit: what a piece of a target is: `characters` or `words`.
        attention: `multiplicative`, `additive` or `none`. Both learn to align; the first is faster,
            since all steps of a known target are attended to in one product.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state; in the encoder, for each direction.
        depth: how many recurrent layers the encoder has, and the decoder.
        bidirectional: whether the source is read from both ends.
        source_dimension: the length of a source piece's embedding.
        target_dimension: the length of a target piece's embedding.
        dropout: the share of components dropped from embeddings, the encoder's outputs and the
            decoder's readout.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a text.
        layer_dropout: the share of components dropped between recurrent layers.
        max_length: how many pieces are written at most; a longer text is cut off.
        lowercase: whether pieces of a source are looked up in small letters.
        text_pattern: a regular expression in the syntax of RE2. A text to read that does not match
            it as a whole is refused: the answer is the empty text. None reads any text.
        answer_pattern: the same for texts that are written: one that does not match is refused.
        **kwargs: passed to `keras.Model`: `name`, and `dtype`, such as `"mixed_bfloat16"`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import EncoderDecoder
    >>> model = EncoderDecoder.from_preset("date_en_iso")
    >>> model.predict(["4th of March 2020", "Tuesday, May 5, 2026", "31 April 2026", "no date"])
    ['2020-03-04', '2026-05-05', '', '']
    """

    vocabulary_arguments = ("source_pieces", "target_pieces")

    def __init__(
        self,
        source_pieces: Sequence[str],
        target_pieces: Sequence[str],
        *,
        source_unit: str = "characters",
        target_unit: str = "characters",
        attention: str = "multiplicative",
        cell: str = "gru",
        units: int = 128,
        depth: int = 1,
        bidirectional: bool = True,
        source_dimension: int = 64,
        target_dimension: int = 64,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        max_length: int = 100,
        lowercase: bool = False,
        text_pattern: str | None = None,
        answer_pattern: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice("source_unit", source_unit, UNITS)
        check_choice("target_unit", target_unit, UNITS)
        check_choice("attention", attention, ATTENTIONS)
        check_choice("cell", cell, tuple(CELLS))
        for name, value in {
            "units": units,
            "depth": depth,
            "source_dimension": source_dimension,
            "target_dimension": target_dimension,
            "max_length": max_length,
        }.items():
            check_positive(name, value)
        for name, share in {
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
        }.items():
            check_between(name, share, 0, 1)
        patterns = {"text_pattern": text_pattern, "answer_pattern": answer_pattern}
        for name, pattern in patterns.items():
            if pattern is not None:
                _check_pattern(name, pattern)
        super().__init__(**kwargs)
        network = {
            "attention": attention,
            "cell": cell,
            "units": units,
            "depth": depth,
            "bidirectional": bidirectional,
            "source_dimension": source_dimension,
            "target_dimension": target_dimension,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
        }
        self.settings = {
            "source_unit": source_unit,
            "target_unit": target_unit,
            **network,
            "max_length": max_length,
            "lowercase": lowercase,
            **patterns,
        }
        self.max_length = max_length

        # === Text side ===
        self.source_split = SPLITS[source_unit](name="source_split")
        self.target_split = SPLITS[target_unit](name="target_split")
        self.source_vocabulary = Vocabulary(
            source_pieces, lowercase=lowercase, name="source_vocabulary"
        )
        self.target_vocabulary = Vocabulary(target_pieces, name="target_vocabulary")

        # === Network ===
        self.network = EncoderDecoderNetwork(
            sources=self.source_vocabulary.size,
            targets=self.target_vocabulary.size,
            dtype=self.dtype_policy,
            name="network",
            **network,  # type: ignore[arg-type]
        )
        self.built = True

        # One graph for all sizes of batch; they are traced when first used.
        text = tf.TensorSpec((None,), tf.string)
        self._write_function = tf.function(self._write, input_signature=[text], autograph=False)
        self._search_function = tf.function(
            self._search,
            input_signature=[text, tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32)],
            autograph=False,
        )
        self._loss_function = tf.function(
            self._summed_loss,
            input_signature=[input_specs(self.network), tf.TensorSpec((None, None), tf.int32)],
            autograph=False,
        )

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[Any],
        *,
        source_unit: str = "characters",
        target_unit: str = "characters",
        min_count: int = 1,
        max_pieces: int | None = None,
        lowercase: bool = False,
        **arguments: Any,
    ) -> Self:
        """A new model whose pieces are those of some pairs.

        Args:
            pairs: the training pairs, as for `fit`.
            source_unit: what a piece of a source is: `characters` or `words`.
            target_unit: what a piece of a target is.
            min_count: how often a piece must occur to be known, on either side.
            max_pieces: how many pieces are known at most, on either side; None for all.
            lowercase: whether pieces of a source are looked up in small letters.
            **arguments: the constructor's other arguments. `max_length` is a fifth more than the
                longest target has, unless given.

        Returns:
            A model with new weights.

        Raises:
            ValueError: if there are no pairs, or an argument has a value that is not allowed.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_pairs([("one two", "1 2")], source_unit="words", units=8)
        >>> model.source_vocabulary.terms, model.target_vocabulary.terms
        (('one', 'two'), (' ', '1', '2'))
        """
        check_choice("source_unit", source_unit, UNITS)
        check_choice("target_unit", target_unit, UNITS)
        rows = _checked(pairs, None, "pairs")
        limit = None if max_pieces is None else max_pieces + 2  # nothing and unknown count as well
        terms = []
        longest = 0
        for side, unit in enumerate((source_unit, target_unit)):
            counts: Counter[str] = Counter()
            split = SPLITS[unit]()
            for part in _parts([row[side] for row in rows]):
                pieces = split(tf.constant(part))
                counts.update(piece.decode() for piece in pieces.flat_values.numpy())
                longest = max(longest, int(tf.reduce_max(pieces.row_lengths()))) if side else 0
            vocabulary = Vocabulary.from_counts(
                counts, min_count=min_count, max_size=limit, lowercase=lowercase and not side
            )
            terms.append(list(vocabulary.terms))
        arguments.setdefault("max_length", longest + 1 + longest // 5)
        return cls(
            *terms,
            source_unit=source_unit,
            target_unit=target_unit,
            lowercase=lowercase,
            **arguments,
        )

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of pieces for ids; see `EncoderDecoderNetwork`. For text, see `predict`."""
        return self.network(inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss in nats a piece, the end of a text counted as one, and regularisers."""
        total, count = _cross_entropy(y_pred["scores"], y["target"], x["previous"])
        loss = total / count
        for regularisation in self.losses:
            loss = loss + ops.cast(regularisation, "float32")
        return loss

    # === Training ===

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = 64,
        epochs: int = 10,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
        shuffle: bool = True,
        seed: int | None = None,
        initial_epoch: int = 0,
    ) -> keras.callbacks.History:
        """Train on pairs of texts, each step given the right piece before it.

        Args:
            x: pairs of a source and a target; or a `tf.data.Dataset` of dicts of `source` and
                `target`; or sources, with `y`. All of it is read into memory.
            y: targets, one for each source in `x`.
            batch_size: how many pairs are in a batch.
            epochs: at which epoch to stop, counted from the first.
            validation_data: as `x`, or a pair of lists `(x, y)`. After each epoch its `val_loss`,
                `val_exact_match` and `val_bleu` are in the logs, so that callbacks can watch them.
            callbacks: Keras callbacks.
            verbose: as in `keras.Model.fit`.
            shuffle: whether each epoch has another order.
            seed: decides the order of each epoch. None draws one from Keras's random seed.
            initial_epoch: the epoch at which to go on, counted from 0.

        Returns:
            A Keras `History`.

        Raises:
            ValueError: if there are no pairs, or something else than texts is among them.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_pairs([("one", "1"), ("two", "2")], units=8)
        >>> history = model.fit(["one", "two"], ["1", "2"], epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
        """
        check_positive("batch_size", batch_size)
        pairs = _checked(x, y, "x")
        validation = None
        if validation_data is not None:
            val_x, val_y = validation_data, None
            if isinstance(validation_data, tuple) and not isinstance(validation_data[0], str):
                val_x, val_y = validation_data
            validation = _checked(val_x, val_y, "validation_data")
        batches = PairBatches(self._encode(pairs), batch_size, order_seed(seed, shuffle))
        return self._fit(
            batches.dataset(),
            validation=validation,
            sample=lambda kept: PairBatches(self._encode(kept[:1]), 1, None).dataset(),
            epochs=epochs,
            initial_epoch=initial_epoch,
            callbacks=[batches, *(callbacks or [])],
            verbose=verbose,
        )

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = 64,
        beam_size: int = 1,
        length_penalty: float = 0.6,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Measure the model on pairs.

        Args:
            x: as for `fit`.
            y: as for `fit`.
            batch_size: how many pairs are in a batch; it changes no figure.
            beam_size: as for `predict`.
            length_penalty: as for `predict`.
            **kwargs: what Keras passes when it validates while training.

        Returns:
            `loss` in nats a piece, the end of a text counted as one, of all texts that are not
            refused for `text_pattern`; `exact_match`, the share of texts written as expected, 0 to
            1; and `bleu`, 0 to 100, if sacrebleu is installed, see `kerasrnn.zoo.scores`.

        Raises:
            ValueError: if there are no pairs, or something else than texts is among them.

        Example:

        >>> from kerasrnn.zoo import EncoderDecoder
        >>> model = EncoderDecoder.from_pairs([("one", "1")], units=8)
        >>> sorted(model.evaluate([("one", "1")]))
        ['bleu', 'exact_match', 'loss']
        """
        if self._is_validating(kwargs):
            return self._measure(self._validation, batch_size or 64, 1, 0.0)
        return self._measure(_checked(x, y, "x"), batch_size, beam_size, length_penalty)

    def _measure(
        self, pairs: list[TextPair], batch_size: int, beam_size: int, length_penalty: float
    ) -> dict[str, Any]:
        sources = [pair.source for pair in pairs]
        if beam_size == 1:
            answers, _ = self._written(sources, batch_size)
        else:
            answers = self.predict(
                sources, batch_size=batch_size, beam_size=beam_size, length_penalty=length_penalty
            )
        # What is refused unread, the network is never asked.
        asked = self._matches("text_pattern", tf.constant(sources)).numpy()
        read = [pair for pair, is_asked in zip(pairs, asked, strict=True) if is_asked]
        loss = self._mean_loss(self._encode(read), batch_size)
        # White space that no piece tells of is not expected either.
        expected = self._normal([pair.target for pair in pairs])
        return {"loss": loss, **pair_scores(expected, answers)}

    def _normal(self, targets: list[str]) -> list[str]:
        """Targets as they would be answered if each piece of them were right."""
        texts: list[str] = []
        for part in _parts(targets):
            joined = self.target_split.join(self.target_split(tf.constant(part)))
            joined = tf.where(self._matches("answer_pattern", joined), joined, "")
            texts += [text.decode() for text in joined.numpy()]
        return texts

    def _mean_loss(self, encoded: EncodedPairs, batch_size: int) -> float:
        total, count = 0.0, 0.0
        for indices in batches_by_length(encoded.lengths, batch_size):
            inputs, targets = (int_tensors(part) for part in encoded.batch(indices))
            summed = self._loss_function(inputs, targets["target"])
            total += float(summed[0])
            count += float(summed[1])
        return total / max(1.0, count)

    def _summed_loss(self, inputs: dict[str, Any], target: Any) -> Any:
        outputs = self.network(inputs, training=False)
        return _cross_entropy(outputs["scores"], target, inputs["previous"])

    # === Prediction ===

    def predict(
        self,
        x: Any,
        *,
        beam_size: int = 1,
        length_penalty: float = 0.6,
        batch_size: int = 64,
    ) -> list[str]:
        """Write a text for each text.

        Args:
            x: a list of texts.
            beam_size: how many beginnings are followed at once. 1 takes the most probable piece at
                each step.
            length_penalty: α of `kerasrnn.zoo.search.length_penalty`, for beams of more than 1: the
                larger, the longer the texts.
            batch_size: how many texts are in a batch; it changes no answer.

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
        check_positive("beam_size", beam_size)
        if beam_size > 1:
            candidates = self.generate(
                x, beam_size=beam_size, length_penalty=length_penalty, batch_size=batch_size
            )
            return [found[0].text for found in candidates]
        answers, scores = self._written(texts_of(x, "x"), batch_size)
        self.check_answers(scores)
        return answers

    def _written(self, texts: list[str], batch_size: int) -> tuple[list[str], np.ndarray]:
        """What is written for texts, and how probable each is."""
        answers, scores = [""] * len(texts), np.zeros(len(texts), np.float32)
        for indices, output in self._batches(self._write_function, texts, batch_size):
            scores[indices] = output["score"]
            for index, text in zip(indices, output["text"], strict=True):
                answers[index] = text.decode()
        return answers, scores

    def generate(
        self,
        x: Any,
        *,
        beam_size: int = 5,
        length_penalty: float = 0.6,
        batch_size: int = 64,
    ) -> list[list[Candidate]]:
        """The best texts that a beam search finds for each text.

        Args:
            x: a list of texts.
            beam_size: how many beginnings are followed at once, and how many texts are returned.
            length_penalty: α of `kerasrnn.zoo.search.length_penalty`; 0 ranks by probability alone.
            batch_size: how many texts are in a batch; it changes no answer.

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
        check_positive("beam_size", beam_size)
        check_between("length_penalty", length_penalty, 0, 100)
        texts = texts_of(x, "x")
        check_finite_weights(self)  # the search leaves out what is not finite
        answers: list[list[Candidate]] = [[] for _ in texts]
        search = [tf.constant(beam_size, tf.int32), tf.constant(length_penalty, tf.float32)]
        for indices, output in self._batches(self._search_function, texts, batch_size, *search):
            for row, index in enumerate(indices):
                columns = (output[key][row] for key in ("texts", "scores", "log_probabilities"))
                answers[index] = [
                    Candidate(text.decode(), float(score), float(log_probability))
                    for text, score, log_probability in zip(*columns, strict=True)
                    if log_probability > NO_SCORE
                ]
        return answers

    def align(self, x: Any, *, batch_size: int = 64) -> list[Alignment]:
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
        self._check_attention()
        texts = texts_of(x, "x")
        found: list[Alignment] = [Alignment([], [], np.zeros((0, 0))) for _ in texts]
        for indices, output in self._batches(self._write_function, texts, batch_size):
            self.check_answers(output["score"])
            for row, index in enumerate(indices):
                source = [piece.decode() for piece in output["source_pieces"][row] if piece]
                target = [piece.decode() for piece in output["target_pieces"][row] if piece]
                weights = output["attention"][row, : len(target), : len(source)]
                found[index] = Alignment(source, target, weights)
        return found

    def _check_attention(self) -> None:
        if self.settings["attention"] == "none":
            raise ValueError("This model has no attention; see the argument `attention`.")

    def _batches(self, function: Any, texts: list[str], batch_size: int, *arguments: Any) -> Any:
        """The indices of each batch, and what a graph answers to its texts, as arrays."""
        check_positive("batch_size", batch_size)
        lengths = np.array([len(text) for text in texts], int)
        for indices in batches_by_length(lengths, batch_size):
            batch = tf.constant([texts[index] for index in indices], tf.string)
            output = function(batch, *arguments)
            yield indices, {name: value.numpy() for name, value in output.items()}

    # === Graphs ===

    def _write(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is written for texts, by the most probable piece at each step."""
        pieces, source = self._read(text)
        memory, states = self.network.encode(source)
        attends = "keys" in memory
        width = tf.TensorSpec((None,) if attends else (0,), tf.float32)
        found = greedy_search(
            self._step(memory, attends),
            states,
            batch=tf.shape(source)[0],
            max_length=self.max_length,
            extra=width,
        )
        written, answer, lengths = self._answers(text, found.ids, found.lengths)
        outputs = {"text": answer, "score": found.log_probabilities, "length": lengths}
        if attends:
            outputs |= {
                "attention": _until_the_end(found.extra, lengths),
                "source_pieces": pieces,
                "target_pieces": written,
            }
        return outputs

    def _search(
        self, text: tf.Tensor, beam_size: tf.Tensor, length_penalty: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What a beam search finds for texts."""
        beam_size = tf.maximum(beam_size, 1)
        pieces, source = self._read(text)
        memory, states = self.network.encode(source)
        beams = {name: tf.repeat(value, beam_size, axis=0) for name, value in memory.items()}
        batch = tf.shape(source)[0]
        found = beam_search(
            self._step(beams, False),
            states,
            batch=batch,
            beam_size=beam_size,
            max_length=self.max_length,
            strength=length_penalty,
        )
        steps = tf.shape(found.ids)[-1]
        written, answers, lengths = self._answers(
            tf.repeat(text, beam_size),
            tf.reshape(found.ids, [batch * beam_size, steps]),
            tf.reshape(found.lengths, [-1]),
        )
        lengths = tf.reshape(lengths, [batch, beam_size])
        outputs = {
            "texts": tf.reshape(answers, [batch, beam_size]),
            "scores": found.scores,
            "log_probabilities": found.log_probabilities,
            "lengths": lengths,
        }
        if "keys" in memory:
            # The weights of the best text alone, all of its steps at once.
            best = found.ids[:, 0]
            previous = tf.pad(best, [[0, 0], [1, 0]])  # (batch, steps + 1)
            attended = self.network({"source": source, "previous": previous}, training=False)
            outputs |= {
                "attention": _until_the_end(attended["attention"], lengths[:, 0]),
                "source_pieces": pieces,
                "target_pieces": tf.reshape(written, [batch, beam_size, steps])[:, 0],
            }
        return outputs

    def _answers(
        self, text: tf.Tensor, ids: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The pieces, texts and lengths of what was written, none of them for what is refused."""
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
        """The pieces of texts, and their ids, padded to one length of at least 1."""
        pieces = self.source_split(text).to_tensor()  # (batch, time)
        missing = tf.maximum(0, 1 - tf.shape(pieces)[1])
        pieces = tf.pad(pieces, [[0, 0], [0, missing]])
        return pieces, self.source_vocabulary(pieces)

    def _step(self, memory: dict[str, Any], attends: bool) -> Step:
        """A step of the search: the unknown piece is never written."""
        ids = tf.range(self.target_vocabulary.size)
        allowed = tf.where(tf.equal(ids, UNKNOWN_ID), NEVER, 0.0)

        def step(previous: tf.Tensor, states: Any) -> tuple[tf.Tensor, Any, tf.Tensor]:
            scores, states, weights = self.network.step(previous, states, memory)
            if not attends:
                weights = tf.zeros([tf.shape(previous)[0], 0])
            return tf.nn.log_softmax(scores) + allowed, states, weights

        return step

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """`serving_default`, the most probable piece at each step, and `generate`, a beam search.

        Returns:
            Two signatures.

            `serving_default` takes `text`, strings `(batch,)`, and returns `text` `(batch,)`;
            `score`, float32 `(batch,)`, the logarithm of its probability; `length`, int32
            `(batch,)`, how many pieces it has. What is refused is empty and of length 0; its score
            is that of what the network wrote.

            `generate` takes `text`, `beam_size` (int32, a scalar, taken for 1 if it is less) and
            `length_penalty` (float32, a scalar, taken for 0 if it is not finite) and returns
            `texts`, `scores`, `log_probabilities` and `lengths`, each `(batch, beam_size)`, the
            best first; scores are about -1e9 where there are fewer texts.

            With attention, both return `source_pieces` `(batch, time)` and `target_pieces`
            `(batch, steps)`, padded with the empty string, and `attention`, float32
            `(batch, steps or one more, time)`, 0 for padding: a row for each piece of the text or,
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
        """Requests of known pieces, unknown ones, an empty text and odd characters.

        Returns:
            A batch of texts for each signature.
        """
        known = self.source_vocabulary.terms[:20]
        joined = self.source_split.join(tf.constant([list(known)])) if known else [b""]
        texts = ["Tuesday, 5 May 2026", bytes(np.array(joined)[0]).decode(), "Ωx 😀", ""]
        search = {"beam_size": np.int32(3), "length_penalty": np.float32(0.6)}
        return {"serving_default": {"text": texts}, "generate": {"text": texts, **search}}

    # === Data ===

    def count_target_pieces(self, pairs: Iterable[Any]) -> int:
        """How many pieces the targets of some pairs have, their ends not counted.

        Args:
            pairs: as for `fit`.

        Returns:
            The number.
        """
        targets = [pair.target for pair in _checked(pairs, None, "pairs")]
        return sum(
            int(tf.size(self.target_split(tf.constant(part)).flat_values))
            for part in _parts(targets)
        )

    def _encode(self, pairs: list[TextPair]) -> EncodedPairs:
        columns = []
        for side, (split, vocabulary) in enumerate(
            (
                (self.source_split, self.source_vocabulary),
                (self.target_split, self.target_vocabulary),
            )
        ):
            lengths, ids = [np.zeros(1, int)], [np.zeros(0, "int32")]
            for part in _parts([pair[side] for pair in pairs]):
                pieces = split(tf.constant(part))
                lengths.append(pieces.row_lengths().numpy())
                ids.append(vocabulary(pieces.flat_values).numpy())
            columns += [np.cumsum(np.concatenate(lengths)), np.concatenate(ids)]
        return EncodedPairs(*columns)

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "source_pieces": list(self.source_vocabulary.terms),
            "target_pieces": list(self.target_vocabulary.terms),
            **self.settings,
        }


def _cross_entropy(scores: Any, target: Any, previous: Any) -> tuple[Any, Any]:
    """The sum over all pieces and ends in nats, and how many there are."""
    # Behind the end stands what is empty, as before the first piece; only that one counts.
    mask = ops.not_equal(previous, NOTHING_ID)  # (batch, steps)
    mask = ops.concatenate([ops.ones_like(mask[:, :1]), mask[:, 1:]], axis=1)
    mask = ops.cast(mask, "float32")
    losses = ops.sparse_categorical_crossentropy(target, scores, from_logits=True)
    return ops.sum(losses * mask), ops.sum(mask)


def _until_the_end(weights: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Weights `(batch, steps, time)` with zeros for the steps behind each text's end."""
    steps = tf.range(tf.shape(weights)[1])
    there = steps <= lengths[:, None]  # (batch, steps)
    return tf.where(there[:, :, None], weights, 0.0)


def _check_pattern(name: str, pattern: Any) -> None:
    problem = f"a {type(pattern).__name__}"
    if isinstance(pattern, str):
        try:
            tf.strings.regex_full_match("", pattern)
            return
        except tf.errors.InvalidArgumentError as error:
            problem = error.message.partition("error: ")[2] or error.message
    raise ValueError(
        f"`{name}` must be a regular expression in the syntax of RE2. "
        f"Received {pattern!r:.100}: {problem}"
    )


def _parts(texts: list[str]) -> Iterable[list[str]]:
    return (
        texts[begin : begin + _TEXTS_SPLIT_AT_ONCE]
        for begin in range(0, len(texts), _TEXTS_SPLIT_AT_ONCE)
    )


def _checked(x: Any, y: Any, argument: str) -> list[TextPair]:
    """Pairs of texts, in whatever form they come."""
    if isinstance(x, tf.data.Dataset):
        rows = []
        for row in x.as_numpy_iterator():
            if not isinstance(row, dict) or not {"source", "target"} <= set(row):
                raise ValueError(
                    f"`{argument}` must be a dataset of dicts with `source` and `target`."
                )
            rows.append((row["source"], row["target"]))
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
