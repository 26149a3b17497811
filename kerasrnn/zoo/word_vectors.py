"""Word vectors: skip-grams with negative sampling, and what can be asked of the vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.networks.options import COUNT, NOT_NEGATIVE, Count, OneOf, Share, Terms, options_of
from kerasrnn.networks.skip_gram import SkipGramNetwork, skip_gram_loss
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.storage.term_files import FIRST_TERM_ID
from kerasrnn.text import Tokenizer, Vocabulary
from kerasrnn.text.plain import texts_of, valid
from kerasrnn.zoo.batches import EpochBatches, Source
from kerasrnn.zoo.inputs import set_rows, traced
from kerasrnn.zoo.skip_gram_blocks import (
    BlockShape,
    block_gradients,
    block_scores,
    noise_counts,
    windows,
)
from kerasrnn.zoo.task import Task, evaluated
from kerasrnn.zoo.word_streams import (
    Sampling,
    SkipGramBatches,
    WordStream,
    Yardstick,
    check_not_empty,
    count_words,
    stream_ids,
    word_parts,
)

SPLITS = ("words", "spaces")

# How many words are learnt from at once; fewer where an epoch would have fewer steps than these.
_WORDS_PER_STEP, _LEAST_STEPS = 1024, 50

# How many words share their noise, and how many noise words these are.
_BLOCK, _NOISE = 32, 48

# word2vec's rates: the first, and the share of it that is left at the end.
LEARNING_RATE, LEAST_SHARE = 0.025, 0.0001

# In a step of many words a frequent one is met hundreds of times, and each time moves from where it
# stood before the step. Its rate is lowered until all of them together are no more than this.
_LARGEST_STEP = 4.0


@keras.saving.register_keras_serializable(package="kerasrnn")
class WordVectors(Task):
    r"""Learns a vector for each word from the words around it: skip-grams with negative sampling.

    For each place t of a text with the word w and each place within a window around it with the
    context c, the vector :math:`e_w` and the context's :math:`\theta_c` are moved so that their
    product tells c from words k that are drawn as noise (Mikolov et al. 2013a, "Efficient
    Estimation of Word Representations in Vector Space"; 2013b, "Distributed Representations of
    Words and Phrases and their Compositionality"):

    .. math::
        L = -\sum_t \sum_{c \in C_t} \Big( \log \sigma(\theta_c^\top e_{w_t})
            + m \, \mathbb{E}_{k \sim P} \log \sigma(-\theta_k^\top e_{w_t}) \Big)

    - The window reaches 1 to `window` words to either side, drawn for each place, and not beyond
      the text. Words of a list, or of a line of a file, are a text.
    - Of the words with a share f above s, `subsampling`, some are left out beforehand: a word
      stays with the probability :math:`\sqrt{s/f} + s/f`.
    - Noise words are drawn by :math:`P(k) \propto f_k^{3/4}`, in words `noise_power`, and m is
      `negatives`. 32 neighbouring words share 48 noise words, each of which counts for so many that
      the mean is the same: so the work is products of matrices (Ji et al. 2016, "Parallelizing
      Word2Vec in Shared and Distributed Memory"; `kerasrnn.zoo.skip_gram_blocks` has them). Noise
      that happens to be the context is not drawn again.

    Unknown words are left out before windows are made, as in word2vec. The vectors are read from
    `to_matrix()`, an `EmbeddingMatrix` that has all that is asked of vectors; `most_similar` and
    `analogy` are its own.

    It is trained (`fit`) and measured (`evaluate`) on texts: a path (of a UTF-8 text file, `.gz`
    too, or of a folder with such files `.txt`), a collection of texts or of lists of words, or a
    `tf.data.Dataset` of texts, of batches of them, or of dicts with `text`. They may be larger than
    the memory: they are read once, their words are kept as numbers in a temporary file (in
    `TMPDIR`), and batches are made from it. `y` must be None. A batch has `batch_size` words of the
    text, 65,536 by default, and windows end with it. `fit` also takes

    - `words_per_step`: how many words are learnt from at once, rounded up to a multiple of 32. A
      batch has many such steps. By default they are 1024, and fewer for a text so short that an
      epoch would have less than 50 steps.

    The optimizer is gradient descent, with a rate for the sum over all pairs, as word2vec has it:
    without `compile`, it falls from 0.025 to nearly nothing over the epochs. Where a step meets a
    word so often that the sum of its rates is above 4, its rate is lowered to that. Any other
    optimizer of Keras can be given to `compile`, and is slower; `LazyAdam` changes the rows of a
    step alone. The loss that is shown is that of an eighth of the pairs.

    `evaluate` returns `loss`, in nats a pair with its noise, if there are vectors of contexts, and
    `known`, the share of the words that have a vector. The loss is measured against the same noise
    for all data, see `kerasrnn.zoo.word_streams.Yardstick`. It also takes

    - `questions`: a file of analogy questions, for `analogy_accuracy`;
    - `pairs`: a file of pairs of words and how similar people found them, for `spearman`. Questions
      and pairs with unknown words are left out. With either of them, `x` may be None.

    Args:
        words: the known words, the most frequent first.
        window: how many words to either side are contexts at most.
        negatives: noise words for each pair.
        subsampling: the share of the text from which on a word is left out now and then; 0 for
            never.
        noise_power: the power of a word's frequency by which it is drawn as noise.
        lowercase: whether words are taken in small letters.
        split: what is a word: `words` of `kerasrnn.text.Tokenizer`, which knows punctuation, or
            what stands between `spaces`, for texts that were split before.
        **kwargs: the options of the network, `dimension` and `context`: see `SkipGramNetwork`; and
            `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import WordVectors
    >>> texts = ["tea is hot .", "coffee is hot .", "ice is cold ."] * 50
    >>> model = WordVectors.from_texts(texts, dimension=8, subsampling=0.0)
    >>> history = model.fit(texts, epochs=20, seed=1, verbose=0)
    >>> model.predict(["tea", "coffee"]).shape
    (2, 8)
    """

    network_class = SkipGramNetwork
    word_layers = ("network/embeddings",)
    batch_size = 65_536
    answer_batch_size = 4096
    _not_compiled = "A batch has as many steps as there are words left in it, and XLA compiles one."

    def __init__(
        self,
        words: Terms,
        *,
        window: Count = 5,
        negatives: Count = 5,
        subsampling: Share = 1e-3,
        noise_power: Annotated[float, NOT_NEGATIVE] = 0.75,
        lowercase: bool = True,
        split: Annotated[str, OneOf(SPLITS)] = "words",
        **kwargs: Any,
    ) -> None:
        options = self.network_options(kwargs)
        super().__init__(**kwargs)

        # === Text side ===
        self.tokenizer = None
        if split == "words":
            self.tokenizer = Tokenizer(lowercase=lowercase, name="tokenizer")
        self.vocabulary = Vocabulary(words, lowercase=lowercase, name="vocabulary")
        if not self.vocabulary.terms:
            raise ValueError("`words` must hold at least one word. Received none.")

        # === Network ===
        self.network = SkipGramNetwork(
            self.vocabulary.size, dtype=self.dtype_policy, name="network", **options
        )
        self.built = True

        self._rates = _Rates(self.vocabulary.size)
        strings = tf.TensorSpec((None,), tf.string)
        self._vector_function = traced(self._serve, strings)
        self._loss_function = traced(
            self._summed_loss,
            tf.TensorSpec((None,), tf.int32),
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None, None), tf.float32),
            tf.TensorSpec((None,), tf.int32),
        )

    @classmethod
    def from_texts(
        cls,
        texts: Any,
        *,
        min_count: int = 5,
        max_words: int | None = None,
        **arguments: Any,
    ) -> Self:
        """A new model whose words are those of some texts.

        Args:
            texts: as for `fit`: a path, texts or lists of words, or a dataset. They are read once,
                and not held.
            min_count: how often a word must occur to be known.
            max_words: how many are known at most, the most frequent ones; None for any number.
            **arguments: the constructor's other arguments, such as `dimension`.

        Returns:
            A model with new weights.

        Raises:
            ValueError: if there are no texts, no word is frequent enough, or an argument is not
                allowed.

        Example:

        >>> from kerasrnn.zoo import WordVectors
        >>> WordVectors.from_texts(["b a b"], min_count=1, dimension=2).vocabulary.terms
        ('b', 'a')
        """
        COUNT.check("min_count", min_count, int)
        if max_words is not None:
            COUNT.check("max_words", max_words, int)
        options = options_of(cls)
        form = {n: arguments.get(n, options[n].default) for n in ("lowercase", "split")}
        for name, value in form.items():
            options[name].check(value)
        counts = count_words(word_parts(texts, "texts", _splitter(**form)))
        found = Vocabulary.from_counts(
            counts,
            min_count=min_count,
            max_size=None if max_words is None else max_words + FIRST_TERM_ID,
            lowercase=form["lowercase"],
        )
        if not found.terms:
            most = max(counts.values(), default=0)
            raise ValueError(
                f"`texts` must hold words that occur at least min_count={min_count} times. "
                + (f"The most frequent occurs {most} times." if most else "Received none.")
            )
        return cls(found.terms, **arguments)

    # === To and from a matrix ===

    @classmethod
    def from_matrix(cls, matrix: EmbeddingMatrix, **arguments: Any) -> Self:
        """A new model that begins with given vectors.

        Vectors of contexts begin with zeros, and are learnt when the training goes on.

        Args:
            matrix: an `EmbeddingMatrix`, its most frequent terms first.
            **arguments: the constructor's other arguments. Words are taken in small letters if all
                of the matrix are, unless `lowercase` says otherwise.

        Returns:
            A model that has the words of the matrix, with their vectors.

        Raises:
            ValueError: if `dimension` is another than that of the matrix, or a word can never be
                found in small letters.

        Example:

        >>> import numpy as np
        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> from kerasrnn.zoo import WordVectors
        >>> matrix = EmbeddingMatrix(["tea", "cup"], np.eye(2, dtype="float32"))
        >>> WordVectors.from_matrix(matrix).predict(["cup"]).tolist()
        [[0.0, 1.0]]
        """
        dimension = arguments.setdefault("dimension", matrix.dimension)
        if dimension != matrix.dimension:
            raise ValueError(
                f"`dimension` must be that of the matrix, {matrix.dimension}. Received: {dimension}"
            )
        if "lowercase" not in arguments:
            lowered = tf.strings.lower(tf.constant(matrix.terms, tf.string), "utf-8").numpy()
            arguments["lowercase"] = [word.decode() for word in lowered] == list(matrix.terms)
        model = cls(matrix.terms, **arguments)
        padded = np.pad(matrix.matrix, [(FIRST_TERM_ID, 0), (0, 0)])
        set_rows(model.network.embeddings.embeddings, padded, np.ones(len(padded), bool))
        return model

    def to_matrix(self) -> EmbeddingMatrix:
        """The words and their vectors, for all that is asked of vectors.

        Returns:
            An `EmbeddingMatrix`, float32.

        Raises:
            ValueError: if a vector is not finite.
        """
        check_finite_weights(self)
        return EmbeddingMatrix(self.vocabulary.terms, self._table()[FIRST_TERM_ID:])

    def _table(self) -> np.ndarray:
        # A copy: steps change the table where it lies.
        return np.array(ops.convert_to_numpy(self.network.embeddings.embeddings))

    def most_similar(
        self, positive: Any = (), negative: Any = (), topn: int = 10
    ) -> list[tuple[str, float]]:
        """The words whose vectors point where the sum of some vectors does.

        Args:
            positive: words to add, and `negative` to subtract, each of the length 1.
            negative: see there.
            topn: how many words.

        Returns:
            Words and cosines, the most similar first, without those that were given.

        Raises:
            KeyError, ValueError: as `EmbeddingMatrix.most_similar`, such as for an unknown word.
        """
        return self.to_matrix().most_similar(positive=positive, negative=negative, topn=topn)

    def analogy(self, a: str, b: str, c: str, topn: int = 1) -> list[tuple[str, float]]:
        """What is to c as b is to a; see `EmbeddingMatrix.analogy`.

        Args:
            a: a word.
            b: what it goes with.
            c: another word.
            topn: how many answers.

        Returns:
            Words and cosines, the best first.

        Raises:
            KeyError, ValueError: as there.
        """
        return self.to_matrix().analogy(a, b, c, topn=topn)

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """The scores of contexts; see `SkipGramNetwork`. For words, see `predict`."""
        return self.network(inputs)

    # === Examples ===

    def read(self, x: Any, y: Any = None, argument: str = "x") -> WordStream:
        """The words that the model knows, as a stream on the disk; see `fit`, which takes it."""
        if y is not None:
            raise ValueError("`y` must be None: the contexts of words stand in the texts.")
        if isinstance(x, WordStream):
            stream = x
        else:
            split = _splitter(self.settings["lowercase"], self.settings["split"])
            stream = WordStream.of(stream_ids(word_parts(x, argument, split), self.vocabulary))
        check_not_empty(stream, argument)
        return stream

    def _weights(self, examples: Any, class_weight: Any, sample_weight: Any) -> None:
        if sample_weight is not None:
            raise ValueError("`sample_weight` must be None: a text is one stream of words.")
        return super()._weights(examples, class_weight, sample_weight)

    def batches(
        self,
        examples: WordStream,
        batch_size: int,
        weights: Any = None,
        *,
        words_per_step: int | None = None,
    ) -> Source:
        """Stretches of the text with windows and noise; see `fit`."""
        if self.network.contexts is None:
            raise ValueError(
                "This model has no vectors of contexts (context=False), without which it cannot "
                "learn. Make one that begins with its vectors and has some: "
                "WordVectors.from_matrix(model.to_matrix())."
            )
        if words_per_step is None:
            words_per_step = min(_WORDS_PER_STEP, max(_BLOCK, len(examples) // _LEAST_STEPS))
        COUNT.check("words_per_step", words_per_step, int)
        most = min(words_per_step, batch_size, len(examples))
        block = min(_BLOCK, most)
        shape = BlockShape(-(-most // block) * block, block, self.settings["window"], _NOISE)
        return SkipGramBatches(examples, self.vocabulary.size, batch_size, shape, self._sampling)

    @property
    def _sampling(self) -> Sampling:
        names = ("window", "negatives", "subsampling", "noise_power")
        return Sampling(**{name: self.settings[name] for name in names})

    # === Training ===

    def compile(self, optimizer: Any = None, **kwargs: Any) -> None:
        """Set the optimizer; see `Task.compile`.

        Args:
            optimizer: a Keras optimizer or its name; None for gradient descent at the rate 0.025.
            **kwargs: as there.
        """
        super().compile(optimizer or keras.optimizers.SGD(LEARNING_RATE), **kwargs)

    def first_optimizer(self, batches: EpochBatches | None, epochs: int) -> Any:
        """Gradient descent whose rate falls to nearly nothing over the epochs."""
        if batches is None or not isinstance(batches.source, SkipGramBatches):
            return None
        source = batches.source
        steps = source.steps * epochs * len(batches) // len(source)
        return falling_sgd(LEARNING_RATE, steps)

    def begin(self, batches: EpochBatches, **options: Any) -> None:
        """Set how fast each word may learn at most."""
        source = batches.source
        if isinstance(source, SkipGramBatches):
            self._shape, source.epochs = source.shape, batches
            self._rates.set(source)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Learn from a batch, some words at a time."""
        self._check_strategy()
        inputs = data[0]
        shape, steps = self._shape, tf.shape(inputs["left"])[0]
        descend = self._descend if _is_plain(self.optimizer) else self._optimize
        places = tf.constant(shape.places)

        def step(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            begin = number * shape.words
            words = inputs["words"][begin : begin + shape.words + 2 * shape.window]
            contexts = tf.gather(words, places)  # (blocks, block + 2 · window)
            own = tf.reshape(contexts[:, shape.window : shape.window + shape.block], [-1])
            mask = windows(shape, inputs["left"][number], inputs["right"][number])
            loss, changed = descend(own, contexts, inputs["noise"][number], mask)
            with tf.control_dependencies(changed):
                return number + 1, total + loss

        _, total = tf.while_loop(
            lambda number, _: number < steps, step, [0, 0.0], parallel_iterations=1
        )
        loss = tf.math.divide_no_nan(total, tf.cast(steps, tf.float32))
        self._loss_tracker.update_state(loss, sample_weight=tf.cast(steps, tf.float32))
        return self.get_metrics_result()

    _shape: BlockShape

    def _descend(
        self, words: tf.Tensor, contexts: tf.Tensor, noise: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, list[Any]]:
        """A step of gradient descent, with the gradient by hand: its loss, and what was changed."""
        shape, network = self._shape, self.network
        tables = [layer.embeddings.value for layer in (network.embeddings, network.contexts)]
        dtype, dimension = network.compute_dtype, tables[0].shape[1]

        def rows(table: tf.Variable, ids: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.gather(table, ids), dtype)

        blocks = (shape.blocks, shape.block)
        vectors = rows(tables[0], tf.reshape(words, blocks)), rows(tables[1], contexts)
        noise_vectors = rows(tables[1], noise)
        counts = noise_counts(shape, mask, self.settings["negatives"])
        loss, *gradients = block_gradients(*vectors, noise_vectors, mask, counts)
        by_words, *others = [tf.reshape(g, (-1, dimension)) for g in gradients]
        other_words = tf.concat([tf.reshape(contexts, [-1]), tf.reshape(noise, [-1])], axis=0)
        rate = tf.cast(self.optimizer.learning_rate, tf.float32)
        changes = zip(
            (network.embeddings, network.contexts),
            tables,
            self._rates.largest,
            (words, other_words),
            (by_words, tf.concat(others, axis=0)),
            strict=True,
        )
        changed = []
        # All vectors are read before one is changed.
        with tf.control_dependencies([loss, *gradients]):
            for layer, table, largest, ids, gradient in changes:
                if layer.trainable:
                    rates = tf.minimum(rate, tf.gather(largest, ids))[:, None]
                    change = -rates * tf.cast(gradient, tf.float32)
                    changed.append(
                        tf.raw_ops.ResourceScatterAdd(
                            resource=table.handle, indices=ids, updates=change
                        )
                    )
            changed.append(self.optimizer.iterations.value.assign_add(1))
        return loss, changed

    def _optimize(
        self, words: tf.Tensor, contexts: tf.Tensor, noise: tf.Tensor, mask: tf.Tensor
    ) -> tuple[tf.Tensor, list[Any]]:
        """A step of any optimizer, with the gradient that TensorFlow finds."""
        shape, network = self._shape, self.network
        counts = noise_counts(shape, mask, self.settings["negatives"])
        with tf.GradientTape() as tape:
            scores = block_scores(
                network.embeddings(tf.reshape(words, (shape.blocks, shape.block))),
                network.contexts(contexts),
                network.contexts(noise),
            )
            total = skip_gram_loss(*scores, mask, counts)
            scaled = self.optimizer.scale_loss(total)
        variables = self.trainable_variables
        if variables:
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        return tf.math.divide_no_nan(total, tf.reduce_sum(mask)), [self.optimizer.iterations.value]

    # === Measuring ===

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = 0,
        *,
        steps: int | None = None,
        return_dict: bool = True,
        questions: str | os.PathLike[str] | None = None,
        pairs: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Any:
        """Measure the vectors; see `Task.evaluate`.

        Args:
            x: texts, as for `fit`; None if there are questions or pairs.
            y: None.
            batch_size: how many words are in a batch; it changes no figure.
            verbose: 1 prints the figures.
            steps: how many batches are measured; None for all.
            return_dict: whether to return a dict, else a list of the numbers in it.
            questions: a file of analogy questions, as word2vec's `questions-words.txt`.
            pairs: a file of two words and their similarity on each line, between tabs.
            **options: none.

        Returns:
            `loss`, `known`, `analogy_accuracy` and `spearman`, as far as they can be measured.

        Raises:
            ValueError: if there is nothing to measure, or no question and fewer than two pairs have
                known words.
        """
        if x is not None or y is not None or (questions is None and pairs is None):
            options |= {"questions": questions, "pairs": pairs}
            return super().evaluate(
                x, y, batch_size, verbose, steps=steps, return_dict=return_dict, **options
            )
        self._check_options(options, "evaluate", self.measure)
        return evaluated(self._answers(questions, pairs), verbose, return_dict)

    def measure(
        self,
        examples: WordStream,
        batch_size: int,
        *,
        questions: str | os.PathLike[str] | None = None,
        pairs: str | os.PathLike[str] | None = None,
    ) -> dict[str, float]:
        """The figures of texts, questions and pairs; see `evaluate`."""
        known = {"known": examples.known, **self._answers(questions, pairs)}
        if self.network.contexts is None:
            return known
        yardstick = Yardstick(self.vocabulary.size, self._sampling)
        total = count = 0.0
        for batch in yardstick.batches(examples, batch_size):
            found = self._loss_function(*batch.values(), yardstick.noise)
            total, count = total + float(found), count + float(batch["counts"].sum(dtype=float))
        return {"loss": total / max(count, 1e-9), **known}

    def _summed_loss(
        self, words: tf.Tensor, contexts: tf.Tensor, counts: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        scores = self.network({"words": words, "contexts": contexts})
        noise = tf.tile(noise[None], [tf.shape(words)[0], 1])
        share = self.settings["negatives"] / tf.cast(tf.shape(noise)[1], tf.float32)
        noise_counted = tf.reduce_sum(counts, axis=1, keepdims=True) * share
        noise_scores = self.network({"words": words, "contexts": noise})
        return skip_gram_loss(scores, noise_scores, counts, noise_counted)

    def _answers(self, questions: Any, pairs: Any) -> dict[str, float]:
        if questions is None and pairs is None:
            return {}
        matrix, figures = self.to_matrix(), {}
        if questions is not None:
            scores = matrix.evaluate_analogies(questions)
            if not scores.asked:
                raise ValueError(
                    f"`questions` must have one whose words are all known. {questions} has none."
                )
            figures["analogy_accuracy"] = scores.accuracy
        if pairs is not None:
            figures["spearman"] = matrix.evaluate_word_pairs(pairs).spearman
        return figures

    # === Answers ===

    def predict(
        self, x: Sequence[str], batch_size: int | None = None, verbose: str | int = 0
    ) -> np.ndarray:
        """The vectors of words.

        Args:
            x: words.
            batch_size: how many are in a batch; it changes no answer.
            verbose: as in other models; nothing is shown.

        Returns:
            Float32 `(words, dimension)`, zeros for a word that is unknown; `known` says which are.

        Raises:
            ValueError: if `x` is a single text or holds something else.
        """
        batch_size = self._answer_batch_size(batch_size)
        words = texts_of(x, "x")
        rows = [np.zeros((0, self.network.settings["dimension"]), np.float32)]
        for begin in range(0, len(words), batch_size):
            part = tf.constant(words[begin : begin + batch_size], tf.string)
            rows.append(self._vector_function(part)["vectors"].numpy())
        vectors = np.concatenate(rows)
        self.check_answers(vectors)
        return vectors

    def known(self, x: Sequence[str]) -> np.ndarray:
        """Which words the model has a vector of.

        Args:
            x: words.

        Returns:
            Booleans `(words,)`.

        Example:

        >>> from kerasrnn.zoo import WordVectors
        >>> WordVectors(["tea"], dimension=2).known(["Tea", "cup"]).tolist()
        [True, False]
        """
        ids = self.vocabulary(tf.constant(texts_of(x, "x"), tf.string))
        return ids.numpy() >= FIRST_TERM_ID

    # === In the graph ===

    def _lookup(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Ids of strings of any shape, 0 for unknown ones, and whether each is known."""
        flat = self.vocabulary(valid(tf.reshape(words, [-1])))
        ids = tf.reshape(flat, tf.shape(words))
        known = ids >= FIRST_TERM_ID
        return tf.where(known, ids, 0), known

    def _units(self, ids: tf.Tensor) -> tf.Tensor:
        """The vectors of ids, of length 1; zeros for none."""
        vectors = tf.gather(self.network.embeddings.embeddings.value, ids)
        return tf.math.divide_no_nan(vectors, tf.norm(vectors, axis=-1, keepdims=True))

    def _nearest(
        self, directions: tf.Tensor, left_out: tf.Tensor, k: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The ids of the k words that point most nearly in some directions, and the cosines.

        Behind the last word there is the id 0 with the cosine 0.
        """
        table = self.network.embeddings.embeddings.value
        lengths = tf.norm(table, axis=1)
        directions = tf.math.divide_no_nan(directions, tf.norm(directions, axis=1, keepdims=True))
        cosines = tf.math.divide_no_nan(
            tf.matmul(directions, table, transpose_b=True), lengths[None]
        )  # (batch, size)
        rows = tf.broadcast_to(tf.range(tf.shape(left_out)[0])[:, None], tf.shape(left_out))
        places = tf.stack([rows, left_out], axis=-1)
        cosines = tf.tensor_scatter_nd_update(
            cosines, places, tf.fill(tf.shape(left_out), _NOT_THERE)
        )
        size = self.vocabulary.size
        cosines = tf.where(tf.range(size) < FIRST_TERM_ID, _NOT_THERE, cosines)
        values, ids = tf.math.top_k(cosines, k=tf.clip_by_value(k, 1, size - FIRST_TERM_ID))
        there = values > _NOT_THERE
        return tf.where(there, ids, 0), tf.where(there, values, 0.0)

    def _serve(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, known = self._lookup(words)
        vectors = tf.gather(self.network.embeddings.embeddings.value, ids)
        return {"vectors": tf.where(known[:, None], vectors, 0.0), "known": known}

    def _serve_most_similar(
        self, positive: tf.Tensor, negative: tf.Tensor, k: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        added, known = self._lookup(positive)
        taken, known_too = self._lookup(negative)
        directions = tf.reduce_sum(self._units(added), 1) - tf.reduce_sum(self._units(taken), 1)
        given = tf.concat([added, taken], axis=1)  # (batch, words)
        ids, scores = self._nearest(directions, given, k)
        words = tf.concat([positive, negative], axis=1)
        right = tf.concat([known, known_too], axis=1) | tf.equal(words, "")
        found = tf.reduce_any(given > 0, axis=1, keepdims=True)
        return {
            "words": tf.where(found, self.vocabulary.lookup(ids), ""),
            "scores": tf.where(found, scores, 0.0),
            "known": tf.reduce_all(right, axis=1),
        }

    def _serve_analogy(self, a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, known = self._lookup(tf.stack([a, b, c], axis=1))  # (batch, 3)
        units = self._units(ids)
        answers, scores = self._nearest(
            units[:, 1] - units[:, 0] + units[:, 2], ids, tf.constant(1)
        )
        known = tf.reduce_all(known, axis=1)
        return {
            "words": tf.where(known, self.vocabulary.lookup(answers)[:, 0], ""),
            "scores": tf.where(known, scores[:, 0], 0.0),
            "known": known,
        }

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """What an export serves.

        Returns:
            Three signatures.

            - `serving_default`: `words` string `(batch,)` to `vectors` float32 `(batch, dimension)`
              and `known` bool `(batch,)`; the vector of an unknown word is zeros.
            - `most_similar`: `positive` and `negative` string `(batch, any number)`, the empty
              string for none, and `k` int32 `()`, from 1 to the number of words and taken for the
              next of these otherwise, to `words` and `scores` `(batch, k)`: the words nearest to
              the sum of the positive words less the negative ones, each of the length 1, and
              cosines. `known` bool `(batch,)` is whether all words were known; others do not
              count. Where nothing is left, there are empty strings with the score 0.
            - `analogy`: `a`, `b` and `c` string `(batch,)` to `words` and `scores` `(batch,)`, the
              word that is to c as b is to a, none of the three; and `known` as above, without which
              there is no answer.
        """
        words = tf.TensorSpec((None,), tf.string)
        several = tf.TensorSpec((None, None), tf.string)
        return {
            "serving_default": Signature(self._serve, {"words": words}),
            "most_similar": Signature(
                self._serve_most_similar,
                {"positive": several, "negative": several, "k": tf.TensorSpec((), tf.int32)},
            ),
            "analogy": Signature(self._serve_analogy, {"a": words, "b": words, "c": words}),
        }

    def samples(self) -> dict[str, dict[str, Any]]:
        """Requests with known words, unknown ones, and none.

        Returns:
            A batch for each signature.
        """
        known = ([*self.vocabulary.terms[:4]] * 5)[:5]
        odd = "\N{GRINNING FACE}\n"
        return {
            "serving_default": {"words": [*known[:4], odd, ""]},
            "most_similar": {
                "positive": [[known[0], ""], [known[1], known[2]], [odd, known[0]], ["", ""]],
                "negative": [[""], [known[3]], [""], [""]],
                "k": 3,
            },
            "analogy": {"a": known[:3], "b": [*known[1:3], odd], "c": known[2:5]},
        }


# Below all cosines.
_NOT_THERE = -2.0


class _Rates:
    """The largest rate of each word in a step, as a word and as a context.

    They are no weights: a training sets them by its data. Out of reach of Keras, in an object.
    """

    def __init__(self, size: int) -> None:
        self.largest = [tf.Variable(tf.ones([size]), trainable=False) for _ in range(2)]

    def set(self, source: SkipGramBatches) -> None:
        """Set them by how often words are met in a step."""
        met = (source.pairs_of_words, source.pairs_of_contexts)
        for variable, pairs in zip(self.largest, met, strict=True):
            variable.assign((_LARGEST_STEP / np.maximum(pairs, 1e-6)).astype(np.float32))


def falling_sgd(learning_rate: float, steps: int, **kwargs: Any) -> keras.optimizers.Optimizer:
    """Gradient descent whose rate falls evenly, as word2vec's.

    Args:
        learning_rate: the first rate.
        steps: after how many steps a ten-thousandth of it is left.
        **kwargs: passed to `keras.optimizers.SGD`.

    Returns:
        The optimizer.
    """
    schedule = keras.optimizers.schedules.PolynomialDecay(
        learning_rate, max(1, steps), end_learning_rate=LEAST_SHARE * learning_rate
    )
    return keras.optimizers.SGD(schedule, **kwargs)


def _is_plain(optimizer: Any) -> bool:
    """Whether an optimizer does no more than to add the gradient times a rate."""
    names = ("momentum", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
    others = (*names, "use_ema", "gradient_accumulation_steps", "loss_scale_factor")
    return type(optimizer) is keras.optimizers.SGD and not any(
        getattr(optimizer, name, None) for name in others
    )


def _splitter(lowercase: bool, split: str) -> Any:
    """What cuts texts `(batch,)` into words."""
    if split == "words":
        tokenizer = Tokenizer(lowercase=lowercase)
        return lambda texts: tokenizer(texts)["tokens"]

    def spaces(texts: tf.Tensor) -> tf.RaggedTensor:
        texts = valid(texts)
        return tf.strings.split(tf.strings.lower(texts, "utf-8") if lowercase else texts)

    return spaces
