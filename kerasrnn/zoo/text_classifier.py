"""The text classifier: one label for a text, such as its sentiment or its language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.data import LabelledText, check_labels
from kerasrnn.networks.classifier import ClassifierNetwork, poolings
from kerasrnn.networks.options import Count, OneOf, Share, Terms, options_of
from kerasrnn.serving import Signature
from kerasrnn.storage.term_files import check_terms
from kerasrnn.text import CharacterIds, CharacterTokenizer, TagInventory, Tokenizer, Vocabulary
from kerasrnn.text.plain import items_of, texts_of
from kerasrnn.zoo import transfer
from kerasrnn.zoo.batches import Encoded, Unlabelled, batches_of
from kerasrnn.zoo.inputs import (
    WordFeatures,
    class_number,
    joined_probabilities,
    known_words,
    padded_words,
    plain,
    rows_of,
    set_rows,
    tokenize,
    traced,
    weights_by_class,
)
from kerasrnn.zoo.scores import label_scores
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.transfer import Head

Level = Annotated[str, OneOf(("words", "characters"))]


@dataclass(frozen=True)
class WeighedToken:
    """A word or character with the share of attention that it got.

    Attributes:
        text: the word or character.
        start: where it begins, in characters (Unicode code points).
        end: where it ends, exclusive, in characters.
        weight: its share of the attention, from 0 to 1; those of a text add up to 1. Not compared.

    Example:

    >>> from kerasrnn.zoo import WeighedToken
    >>> WeighedToken("dull", 2, 6, weight=0.75)
    WeighedToken(text='dull', start=2, end=6, weight=0.75)
    """

    text: str
    start: int
    end: int
    weight: float = field(compare=False)


@dataclass(frozen=True)
class Classification:
    """What a text was classified as.

    Attributes:
        label: the most probable label.
        score: its probability. Not compared.
        scores: the probability of each label. Neither shown nor compared.
        tokens: how attention was shared out, or None where nobody asked. Neither shown nor
            compared.

    Example:

    >>> from kerasrnn.zoo import Classification
    >>> Classification("good", 0.98765)
    Classification(label='good', score=0.988)
    """

    label: str
    score: float = field(compare=False)
    scores: dict[str, float] = field(default_factory=dict, repr=False, compare=False)
    tokens: tuple[WeighedToken, ...] | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"Classification(label={self.label!r}, score={self.score:.3f})"


@keras.saving.register_keras_serializable(package="kerasrnn")
class TextClassifier(Task):
    """Gives a text one label: its sentiment, its topic, the language it is in.

    It takes raw text in `fit`, `predict`, `evaluate` and in what it exports, and reads it word by
    word or character by character. Its network is `ClassifierNetwork`: embeddings, a deep recurrent
    layer, and one vector pooled from all that this returns.

    The answer for a text depends on no other text: neither the size of a batch nor its padding
    changes it. Labels are names; a text without any token gets an answer like any other.

    It is trained (`fit`) and measured (`evaluate`) on

    - a list of texts, with a list of labels, names or their numbers in `inventory.tags`, as `y`; or
      `LabelledText` objects;
    - a `tf.data.Dataset` of dicts of `text` and `label`, or of pairs of a text and a label.

    `fit` also takes `soft_targets`: how probable each label is to be, such as a larger model says,
    for each text `(labels,)`, in the order of `inventory.tags`. They are learned in place of the
    labels, by cross-entropy (knowledge distillation, Hinton et al. 2015).

    `evaluate` returns `accuracy`; `f1_macro`, the mean of the F1 of all labels that occur or were
    answered; `loss` in nats a text, without smoothing; and `types`: for each of these labels its
    `precision`, `recall`, `f1` and `support`.

    Args:
        tokens: the known words, or characters if `level` is `characters`, the most frequent first.
            They must be in the form that `lowercase` and `normalize_digits` give them.
        labels: the labels, in any order; at least two.
        characters: the known characters for the spelling of words. None or none at all means no
            spelling.
        level: what a token is: `words` or `characters`.
        max_word_length: how many characters of a word are read; a longer one loses its middle.
        max_tokens: how many tokens of a text are read; a longer one loses its middle. None for all.
        label_smoothing: the share of a label's probability that training spreads evenly over all
            labels.
        lowercase: whether tokens are looked up in small letters. Spelling always sees the case.
        normalize_digits: whether all digits are looked up as 0.
        split_contractions: whether words are split as in the Penn Treebank: `do` `n't`.
        **kwargs: the options of the network, such as `cell`, `units` and `pooling`: see
            `ClassifierNetwork`; and `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import TextClassifier
    >>> texts, labels = ["a moving film", "a dull film"] * 4, ["good", "bad"] * 4
    >>> classifier = TextClassifier.from_texts(texts, labels, pooling="max", units=8)
    >>> classifier.compile(keras.optimizers.Adam(0.05))
    >>> history = classifier.fit(texts, labels, epochs=8, seed=1, verbose=0)
    >>> [answer.label for answer in classifier.predict(["So dull!", "Moving"])]
    ['bad', 'good']
    """

    network_class = ClassifierNetwork
    scores_output = "labels"
    heads = (
        Head(
            layers=("network/label_scores",),
            terms="labels",
            options=("pooling", "attention_units"),
            between={"network/attention_pooling": ("attention_units",)},
        ),
    )
    word_layers = ("network/token_embeddings",)
    words_argument = "tokens"

    def __init__(
        self,
        tokens: Terms,
        labels: Terms,
        characters: Terms | None = None,
        *,
        level: Level = "words",
        max_word_length: Count = 20,
        max_tokens: Count | None = None,
        label_smoothing: Share = 0.0,
        lowercase: bool = True,
        normalize_digits: bool = True,
        split_contractions: bool = False,
        **kwargs: Any,
    ) -> None:
        options = self.network_options(kwargs)
        if len(check_terms(labels, "labels")) < 2:
            raise ValueError(f"`labels` must hold at least two labels. Received: {list(labels)}")
        if level == "characters" and options["spelling"] != "none":
            raise ValueError(
                "`spelling` must be none where `level` is characters. "
                f"Received: {options['spelling']!r}"
            )
        super().__init__(**kwargs)

        # === Text side ===
        self.tokenizer = _tokenizer(level, split_contractions)
        self.vocabulary = Vocabulary(
            tokens, lowercase=lowercase, normalize_digits=normalize_digits, name="vocabulary"
        )
        # Labels are tags of whole texts; they have no scheme.
        self.inventory = TagInventory(labels, scheme="none", name="inventory")
        self.spell: CharacterIds | None = None
        if characters and options["spelling"] != "none":
            self.spell = CharacterIds(characters, max_length=max_word_length, name="spell")
        self.features = WordFeatures(tokens=self.vocabulary, characters=self.spell)

        # === Network ===
        self.network = ClassifierNetwork(
            **{name: layer.size for name, layer in self.features.layers.items()},
            labels=self.inventory.size,
            dtype=self.dtype_policy,
            name="network",
            **options,
        )
        self.built = True

        self._classify_function = traced(self._classify, tf.TensorSpec((None, None), tf.string))

    @classmethod
    def from_texts(
        cls,
        x: Any,
        y: Any = None,
        *,
        min_count: int = 1,
        most_tokens: int | None = None,
        extra_tokens: Iterable[str] = (),
        **arguments: Any,
    ) -> Self:
        """A new classifier whose vocabulary and labels are those of some texts.

        Args:
            x: the training texts, as for `fit`.
            y: their labels, as for `fit`.
            min_count: how often a token must occur to be known.
            most_tokens: how many tokens are known at most, not counting `extra_tokens`; None for
                all.
            extra_tokens: further tokens to know, such as those of pretrained vectors.
            **arguments: the constructor's other arguments.

        Returns:
            A classifier with new weights.

        Raises:
            ValueError: if there are no texts, a label is empty, or there are fewer than two labels.

        Example:

        >>> from kerasrnn.zoo import TextClassifier
        >>> classifier = TextClassifier.from_texts(["No.", "Yes!"], ["no", "yes"], units=8)
        >>> classifier.inventory.tags, classifier.vocabulary.terms
        (('no', 'yes'), ('!', '.', 'no', 'yes'))
        """
        texts = _as_texts(x, y, "x")
        if not texts:
            raise ValueError("`x` must hold at least one text. Received none.")
        level = arguments.get("level", options_of(cls)["level"].default)
        options_of(cls)["level"].check(level)
        splitter = _tokenizer(level, arguments.get("split_contractions", False))
        rows, _ = tokenize(splitter, [text.text for text in texts])
        counts = Counter(token for row in rows for token in row)
        tokens = known_words(
            cls, arguments, counts, min_count=min_count, most=most_tokens, extra=extra_tokens
        )
        return cls(tokens, sorted({text.label for text in texts}), **arguments)

    @classmethod
    def from_language_model(cls, model: Any, labels: Terms, **arguments: Any) -> Self:
        """A new classifier that reads as a language model has learnt to.

        Its vocabulary, its embeddings and its recurrent layers are those of the language model, bit
        by bit; the rest begins anew. After Dai and Le (2015), "Semi-supervised Sequence Learning".

        Args:
            model: a `LanguageModel` of words or characters.
            labels: the labels, at least two.
            **arguments: the constructor's other arguments that the language model does not decide,
                such as `dropout`. It reads from the left, so `bidirectional` is false by default;
                with it, layers that read from the right begin anew.

        Returns:
            A classifier. To `freeze`, its body is what comes from the language model.

        Raises:
            ValueError: if the language model reads at another level, an argument is one that it
                decides, or it has several layers with `bidirectional`.

        Example:

        >>> from kerasrnn.zoo import LanguageModel, TextClassifier
        >>> model = LanguageModel.from_texts(["to be or not to be"], units=8, dimension=4)
        >>> TextClassifier.from_language_model(model, ["prose", "verse"]).settings["level"]
        'characters'
        """
        return transfer.on_language_model(
            cls, model, ("words", "characters"), {"labels": labels, **arguments}
        )

    def set_word_vectors(self, matrix: np.ndarray, found: Sequence[int] | np.ndarray) -> None:
        """Set token embeddings to pretrained vectors.

        Args:
            matrix: one vector for each id of `vocabulary`, `(vocabulary.size, token_dimension)`.
            found: which rows to set: booleans `(vocabulary.size,)`. The others stay random.

        Raises:
            ValueError: if `matrix` or `found` has another shape.
        """
        set_rows(self.network.get_layer("token_embeddings").embeddings, matrix, found)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, labels in the order of their ids."""
        return {**super().arguments(), "labels": list(self.inventory.tags)}

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of labels for ids; see `ClassifierNetwork`. For text, see `predict`."""
        return self.network(inputs, training=training)

    def loss_terms(self, x, y, outputs, weights=None, training=False):
        """The loss in nats a text, with smoothed labels in training."""
        logs = ops.log_softmax(outputs["labels"], axis=-1)  # (batch, labels)
        if len(y.shape) == 2:  # soft targets (batch, labels)
            right = ops.sum(y * logs, axis=-1)
        else:
            right = ops.take_along_axis(logs, ops.expand_dims(y, -1), axis=-1)[:, 0]
        smoothing = self.settings["label_smoothing"] if training else 0.0
        losses = -((1 - smoothing) * right + smoothing * ops.mean(logs, axis=-1))  # (batch,)
        if weights is not None:
            losses = losses * weights
        return [(ops.sum(losses), ops.shape(losses)[0])]

    # === Examples ===

    def read(self, x: Any, y: Any = None, argument: str = "x") -> list[LabelledText]:
        """Texts with labels from whatever they come in; see `fit`."""
        texts = _as_texts(x, y, argument, self.inventory.tags)
        if not texts:
            raise ValueError(f"`{argument}` must hold at least one text. Received none.")
        check_labels(texts, self.inventory.tags, argument)
        return texts

    def encode(
        self, examples: list[LabelledText], *, soft_targets: Sequence[Any] | None = None
    ) -> Encoded:
        """Texts as ids; see `fit`."""
        rows, _ = self._tokens([text.text for text in examples])
        splits = np.cumsum([0, *map(len, rows)])
        targets = self._label_ids(examples)
        if soft_targets is not None:
            shapes = [(self.inventory.size,)] * len(examples)
            targets = joined_probabilities(soft_targets, shapes)
        columns = self.features.columns(splits, [token for row in rows for token in row])
        return Encoded(columns, targets, np.diff(splits))

    def unlabelled(self, x: Any) -> Unlabelled:
        """Texts as ids, and their tokens."""
        items = [item.text if isinstance(item, LabelledText) else item for item in items_of(x, "x")]
        rows, _ = self._tokens(texts_of(items, "x"))
        splits = np.cumsum([0, *map(len, rows)])
        columns = self.features.columns(splits, [token for row in rows for token in row])
        return Unlabelled.of(columns, rows)

    def class_weights(self, examples: list[LabelledText], class_weight: Any) -> np.ndarray:
        """How much each text counts by its label."""
        return weights_by_class(class_weight, self.inventory.tags)[self._label_ids(examples)]

    def _label_ids(self, examples: list[LabelledText]) -> np.ndarray:
        return self.inventory.ids([text.label for text in examples]).numpy()

    # === Measuring ===

    def judge(self, x: Any, y: Any) -> dict[str, Any]:
        """The loss of texts, and what is answered."""
        outputs = self.network(x, training=False)
        total, count = self.loss_terms(x, y, outputs)[0]
        return {"loss": total, "count": count, "labels": ops.argmax(outputs["labels"], axis=-1)}

    def measure(self, examples: list[LabelledText], batch_size: int) -> dict[str, Any]:
        """The figures of texts; see `evaluate`."""
        encoded = self.encode(examples)
        answers = np.zeros(len(examples), int)
        total = 0.0
        for indices, judged in self.judged(encoded, batch_size):
            answers[indices] = judged["labels"]
            total += float(judged["loss"])
        names = [self.inventory.tags[answer] for answer in answers]
        types = label_scores(Counter(zip([t.label for t in examples], names, strict=True)))
        return {
            "loss": total / len(examples),
            "accuracy": float((answers == encoded.targets).mean()),
            "f1_macro": float(np.mean([row["f1"] for row in types.values()])),
            "types": types,
        }

    # === Prediction ===

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = 0,
        *,
        explain: bool = False,
    ) -> list[Classification]:
        """Classify texts.

        Args:
            x: a list of texts.
            batch_size: how many texts are in a batch; it changes no answer.
            verbose: 1 shows a progress bar.
            explain: whether to tell how attention was shared out over the tokens of each text. The
                pooling must have attention in it. What got much attention has much influence on
                the pooled vector; it is not a proof of what decided.

        Returns:
            A `Classification` for each text.

        Raises:
            ValueError: if `x` is a single text or does not hold texts; or if an explanation is
                asked for and there is no attention.

        Example:

        >>> from kerasrnn.zoo import TextClassifier
        >>> texts, labels = ["No.", "Yes!"], ["no", "yes"]
        >>> classifier = TextClassifier.from_texts(texts, labels, pooling="attention", units=8)
        >>> answer = classifier.predict(["Oh yes"], explain=True)[0]
        >>> [token.text for token in answer.tokens], round(sum(answer.scores.values()), 4)
        (['Oh', 'yes'], 1.0)
        """
        if explain and "attention" not in poolings(self.settings["pooling"]):
            raise ValueError(
                "`explain` needs attention, which this classifier's pooling, "
                f"{self.settings['pooling']!r}, does not have; see the argument `pooling`."
            )
        rows, spots = self._tokens(texts_of(x, "x"))
        scores, attention = self._scores(rows, batch_size, verbose)
        self.check_answers(scores)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-30)
        answers = []
        for index, shares in enumerate(probabilities.tolist()):
            best = int(np.argmax(shares))
            answers.append(
                Classification(
                    self.inventory.tags[best],
                    shares[best],
                    dict(zip(self.inventory.tags, shares, strict=True)),
                    tuple(
                        WeighedToken(token, start, end, weight)
                        for token, (start, end), weight in zip(
                            rows[index], spots[index], attention[index], strict=True
                        )
                    )
                    if explain
                    else None,
                )
            )
        return answers

    def predict_labels(self, x: Any, batch_size: int | None = None) -> list[str]:
        """The label of each text.

        Args:
            x: a list of texts.
            batch_size: how many texts are in a batch; it changes no answer.

        Returns:
            One label for each text.

        Raises:
            ValueError: if `x` is a single text or does not hold texts.
        """
        return [answer.label for answer in self.predict(x, batch_size)]

    def count_tokens(self, x: Any) -> int:
        """How many tokens of some texts are read.

        Args:
            x: a list of texts.

        Returns:
            The number of words or characters, of all texts together.
        """
        return sum(map(len, self._tokens(texts_of(x, "x"))[0]))

    def _tokens(self, texts: list[str]) -> tuple[list[list[str]], list[list[tuple[int, int]]]]:
        """The tokens of texts that are read, and where they stand."""
        rows, spots = tokenize(self.tokenizer, texts)
        most = self.settings["max_tokens"]
        if most is None:
            return rows, spots
        return [_ends(row, most) for row in rows], [_ends(row, most) for row in spots]

    def _scores(
        self, rows: list[list[str]], batch_size: int | None, verbose: str | int
    ) -> tuple[np.ndarray, list[list[float]]]:
        """Scores `(texts, labels)`, and attention for each token where there is such pooling."""
        batch_size = self._answer_batch_size(batch_size)
        lengths = np.array([len(row) for row in rows], int)
        scores = np.zeros((len(rows), self.inventory.size), "float32")
        attention: list[list[float]] = [[] for _ in rows]
        for indices in batches_of(lengths, batch_size, verbose=verbose):
            output = self._classify_function(padded_words([rows[i] for i in indices]))
            scores[indices] = output["labels"].numpy()
            if "attention" in output:
                for index, weights in zip(indices, output["attention"].numpy(), strict=True):
                    attention[index] = weights[: lengths[index]].tolist()
        return scores, attention

    def _classify(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """The network's outputs for tokens `(batch, time)`, the empty string for padding."""
        return self.network(self.features(tokens), training=False)

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """`serving_default`: `text` (batch,) to labels with their probabilities.

        Returns:
            One signature. Its outputs are `label` (string) and `score` (float32), each `(batch,)`;
            `labels` (string) and `scores` (float32), each `(batch, labels)`, all labels with their
            probabilities; `lengths`, int32 `(batch,)`, how many tokens of each text were read; and
            with attention `tokens` (string) and `attention` (float32), each `(batch, time)`, padded
            on the right with empty strings and zeros to the longest text of the batch and to at
            least one step.
        """
        return {
            "serving_default": Signature(self._serve, {"text": tf.TensorSpec((None,), tf.string)})
        }

    def _serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens = self.tokenizer(text)["tokens"]
        most = self.settings["max_tokens"]
        if most is not None:
            tokens = tf.concat([tokens[:, : most - most // 2], _tail(tokens, most)], axis=1)
        # Of at least one step, so that a batch of empty texts runs like any other.
        lengths = tf.cast(tokens.row_lengths(), tf.int32)
        longest = tf.reduce_max(tf.concat([[1], lengths], axis=0))
        dense = tokens.to_tensor()  # (batch, time)
        dense = tf.pad(dense, [[0, 0], [0, longest - tf.shape(dense)[1]]])
        outputs = self._classify(dense)
        probabilities = tf.nn.softmax(outputs["labels"], axis=-1)
        ids = tf.range(self.inventory.size, dtype=tf.int32)[None]  # (1, labels)
        found = {
            "label": self.inventory(tf.argmax(probabilities, axis=-1, output_type=tf.int32)),
            "score": tf.reduce_max(probabilities, axis=-1),
            "labels": self.inventory(tf.tile(ids, [tf.shape(probabilities)[0], 1])),
            "scores": probabilities,
            "lengths": lengths,
        }
        if "attention" in outputs:
            found["tokens"] = dense
            found["attention"] = outputs["attention"]
        return found

    def samples(self) -> dict[str, dict[str, Any]]:
        """A request of known tokens, unknown ones, a long text, an empty one and odd characters.

        Returns:
            A batch of texts for `serving_default`.
        """
        known = self.vocabulary.terms
        joint = " " if self.settings["level"] == "words" else ""
        texts = [
            "I grew up in France and moved to the United States.",
            joint.join(known[:: max(1, len(known) // 20)][:20]),
            "Qwzx vbnmk 😀 " + "x" * 50,
            "",
            "He said, Tesla is a unit. " * 4,
        ]
        return {"serving_default": {"text": texts}}


def _tokenizer(level: str, split_contractions: bool) -> Tokenizer | CharacterTokenizer:
    if level == "characters":
        return CharacterTokenizer(name="tokenizer")
    return Tokenizer(split_contractions=split_contractions, name="tokenizer")


def _ends(row: list[Any], most: int) -> list[Any]:
    """A row without its middle, if it is longer than `most`."""
    if len(row) <= most:
        return row
    tail = most // 2
    return [*row[: most - tail], *row[len(row) - tail :]]


def _tail(tokens: tf.RaggedTensor, most: int) -> tf.RaggedTensor:
    """What `_ends` keeps of each row behind its first part."""
    rest = tokens[:, most - most // 2 :]
    return rest[:, -(most // 2) :] if most > 1 else rest[:, :0]


def _as_texts(
    x: Any, y: Any, argument: str, names: Sequence[str] | None = None
) -> list[LabelledText]:
    """Texts from whatever they come in; labels that are numbers are those of `names`."""
    if isinstance(x, tf.data.Dataset):
        rows = rows_of(x, {"text": 0, "label": 0}, argument)
        return [_from_row(row, argument, names) for row in rows]
    if y is None:
        items = items_of(x, argument)
        for number, item in enumerate(items, start=1):
            if not isinstance(item, LabelledText):
                raise ValueError(
                    f"`{argument}` must hold LabelledText objects, or be a tf.data.Dataset, or "
                    f"come with labels. Received {type(item).__name__} as text {number}."
                )
        return items
    texts = texts_of(x, argument)
    labels = items_of(y, f"the labels of {argument}", "labels")
    if len(texts) != len(labels):
        raise ValueError(
            f"`{argument}` must have a label for each text. "
            f"Received {len(texts)} texts and {len(labels)} labels."
        )
    return [
        LabelledText(text, _label(label, argument, names))
        for text, label in zip(texts, labels, strict=True)
    ]


def _from_row(row: Any, argument: str, names: Sequence[str] | None) -> LabelledText:
    if isinstance(row, dict) and {"text", "label"} <= set(row):
        text, label = row["text"], row["label"]
    elif isinstance(row, tuple) and len(row) == 2:
        text, label = row
    else:
        raise ValueError(
            f"`{argument}` must be a dataset of dicts with `text` and `label`, or of pairs of them."
        )
    [text] = texts_of([text], argument)
    return LabelledText(text, _label(label, argument, names))


def _label(label: Any, argument: str, names: Sequence[str] | None) -> str:
    """A label's name; without names, labels that are numbers are called by their digits."""
    label = plain(label)
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        what = f"A label of `{argument}`"
        label = str(label) if names is None else class_number(label, names, what)
    if not isinstance(label, str):
        raise ValueError(
            f"The labels of `{argument}` must be names. "
            f"Received {label!r:.100} ({type(label).__name__})."
        )
    return label
