"""The sequence tagger: a tag for each word of a text, such as its entities or parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.data import TaggedSentence, check_tag_forms, check_tags
from kerasrnn.networks.heads import CRFHead, SoftmaxHead
from kerasrnn.networks.options import Count, NotNegative, Number, OneOf, Terms
from kerasrnn.networks.tagger import TaggerNetwork
from kerasrnn.networks.words import PADDING_ID
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.storage.term_files import check_terms
from kerasrnn.text import (
    Capitals,
    CharacterIds,
    Entity,
    SubwordIds,
    TagInventory,
    Tokenizer,
    Vocabulary,
    entities_from_tags,
)
from kerasrnn.text.plain import items_of
from kerasrnn.zoo import transfer
from kerasrnn.zoo.batches import Encoded, Ragged, Unlabelled, batches_of
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
from kerasrnn.zoo.scores import tagging_scores
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.transfer import Head

SCHEMES = ("BIO", "BIOES", "IO", "none")
# A loop goes over the subwords of a word, and no weights bound it. No word has more of them.
_SUBWORDS = Number("from 1 to 1,000", lambda number: 1 <= number <= 1000)


@dataclass(frozen=True)
class TaggedToken:
    """A word with its tag.

    Attributes:
        text: the word.
        tag: its tag, such as a part of speech.
        start: where it begins, in characters (Unicode code points).
        end: where it ends, exclusive, in characters.
        score: the model's confidence from 0 to 1. Neither shown nor compared.
    """

    text: str
    tag: str
    start: int
    end: int
    score: float | None = field(default=None, repr=False, compare=False)


@keras.saving.register_keras_serializable(package="kerasrnn")
class SequenceTagger(Task):
    """Tags the words of a text: entities, parts of speech, slots; if asked, the text as a whole.

    It takes raw text or lists of words, in `fit`, `predict`, `evaluate` and in what it exports. Its
    network is `TaggerNetwork`: word embeddings beside a vector of each word's spelling, and a deep
    recurrent layer; a softmax or a conditional random field chooses the tags (Lample et al. 2016;
    Ma and Hovy 2016).

    The answer for a text depends on no other text: neither the size of a batch nor its padding
    changes it.

    It is trained (`fit`) and measured (`evaluate`) on

    - `TaggedSentence` objects; or lists of words, with lists of tags, names or their numbers in
      `inventory.tags`, as `y`; a tagger with labels takes a pair `(tags, labels)` as `y`;
    - a `tf.data.Dataset` of dicts of `tokens`, `tags` and, for a tagger with labels, `label`.

    `fit` also takes `soft_targets`: how probable each tag is to be, such as a larger model says,
    for each sentence `(words, tags)`, in the order of `inventory.tags`. They are learned in place
    of the tags, by cross-entropy (knowledge distillation, Hinton et al. 2015). `class_weight` is by
    tag: it weighs the loss of each word, or with a conditional random field that of each sentence,
    by the mean over its words.

    `evaluate` returns `loss` in nats a word; `precision`, `recall` and `f1` of whole entities, or
    of single words under the scheme `none`; `accuracy` of single tags; `types`: for each label its
    `precision`, `recall`, `f1` and `support`; and `label_accuracy` for a tagger with labels.

    Args:
        words: the known words, the most frequent first. They must be in the form that `lowercase`
            and `normalize_digits` give them.
        tags: the tags, in any order.
        characters: the known characters. None or none at all means no spelling.
        labels: the labels of whole sentences, such as intents, for a second head, at least two; or
            None.
        subwords: parts of words, for a vector of each word, known or not, that is the mean of those
            of its parts; see `kerasrnn.text.SubwordIds` and `set_subword_vectors`. None for none.
        scheme: what tags mean: `BIO`, `BIOES` and `IO` mark entities, `none` stands for any other
            tags, such as parts of speech.
        crf: whether tags are chosen together by a conditional random field, else by a softmax.
        constrained: whether the field chooses only sequences that the scheme allows.
        recall_margin: by how many nats the right tag of an entity's word must beat `O` in training.
            More than 0 finds more entities, and more that are none; for texts with more entities,
            or others, than those of the training. It is the cost of a miss in the softmax-margin
            loss of Mohit et al. (2012), "Recall-Oriented Learning of Named Entities in Arabic
            Wikipedia". Predictions do not use it.
        max_word_length: how many characters of a word are read; a longer one loses its middle.
        capitals: whether a vector says how a word is capitalised; see `kerasrnn.text.Capitals`.
        max_subwords: how many subwords of a word are read.
        lowercase: whether words are looked up in small letters. Spelling always sees the case.
        normalize_digits: whether all digits of a word are looked up as 0.
        split_contractions: whether raw text is split as in the Penn Treebank: `do` `n't`.
        **kwargs: the options of the network, such as `cell`, `units` and `dropout`: see
            `TaggerNetwork`; and `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import SequenceTagger
    >>> tagger = SequenceTagger.from_preset("ner_en_starter")
    >>> tagger.predict(["I grew up in France."])
    [[Entity(text='France', label='LOC', start=13, end=19)]]
    """

    network_class = TaggerNetwork
    scores_output = "tags"
    heads = (
        Head(
            layers=("network/tag_scores", "head"),
            terms="tags",
            options=("scheme", "crf"),
            without_weights=("constrained", "recall_margin"),
        ),
        Head(layers=("network/label_scores",), terms="labels"),
    )
    word_layers = ("network/word_embeddings", "network/subword_vectors")
    words_argument = "words"

    def __init__(
        self,
        words: Terms,
        tags: Terms,
        characters: Terms | None = None,
        labels: Terms | None = None,
        subwords: Terms | None = None,
        *,
        scheme: Annotated[str, OneOf(SCHEMES)] = "BIO",
        crf: bool = True,
        constrained: bool = True,
        recall_margin: NotNegative = 0.0,
        max_word_length: Count = 20,
        capitals: bool = False,
        max_subwords: Annotated[int, _SUBWORDS] = 6,
        lowercase: bool = True,
        normalize_digits: bool = True,
        split_contractions: bool = False,
        **kwargs: Any,
    ) -> None:
        if recall_margin and (scheme == "none" or "O" not in tags):
            raise ValueError(
                "`recall_margin` needs a scheme with entities, and `O` among the tags. "
                f"Received: scheme={scheme!r}"
            )
        if labels and len(check_terms(labels, "labels")) < 2:
            raise ValueError(
                f"`labels` must hold at least two labels, or none. Received: {list(labels)}"
            )
        options = self.network_options(kwargs)
        super().__init__(**kwargs)

        # === Text side ===
        self.tokenizer = Tokenizer(split_contractions=split_contractions, name="tokenizer")
        self.vocabulary = Vocabulary(
            words, lowercase=lowercase, normalize_digits=normalize_digits, name="vocabulary"
        )
        self.inventory = TagInventory(tags, scheme=scheme, name="inventory")
        self.spell: CharacterIds | None = None
        if characters and options["spelling"] != "none":
            self.spell = CharacterIds(characters, max_length=max_word_length, name="spell")
        self.subwords: SubwordIds | None = None
        if subwords:
            self.subwords = SubwordIds(subwords, max_subwords=max_subwords, name="subwords")
        self.capitals = Capitals(name="capitals") if capitals else None
        self.features = WordFeatures(
            words=self.vocabulary,
            characters=self.spell,
            capitals=self.capitals,
            subwords=self.subwords,
        )
        # Labels are tags of whole sentences; they have no scheme.
        self.label_inventory: TagInventory | None = None
        if labels:
            self.label_inventory = TagInventory(labels, scheme="none", name="label_inventory")

        # === Network and head ===
        self.network = TaggerNetwork(
            **{name: layer.size for name, layer in self.features.layers.items()},
            tags=self.inventory.size,
            labels=self.label_inventory.size if self.label_inventory else 0,
            dtype=self.dtype_policy,
            name="network",
            **options,
        )
        self.head: CRFHead | SoftmaxHead
        if crf:
            legal = _legal(self.inventory) if constrained else None
            self.head = CRFHead(self.inventory.size, legal, name="head")
        else:
            self.head = SoftmaxHead(name="head")
        self.built = True

        self._tag_function = traced(self._tag, tf.TensorSpec((None, None), tf.string))

    @classmethod
    def from_sentences(
        cls,
        sentences: Iterable[TaggedSentence],
        *,
        scheme: str = "BIO",
        min_count: int = 1,
        max_words: int | None = None,
        extra_words: Iterable[str] = (),
        **arguments: Any,
    ) -> Self:
        """A new tagger whose vocabularies are those of some sentences.

        Args:
            sentences: the training sentences.
            scheme: as for the constructor.
            min_count: how often a word must occur to be known.
            max_words: how many words are known at most, not counting `extra_words`; None for all.
            extra_words: further words to know, such as those of pretrained vectors.
            **arguments: the constructor's other arguments.

        Returns:
            A tagger with new weights.

        Raises:
            ValueError: if there are no sentences, or some have a label and some have none.

        Example:

        >>> from kerasrnn.data import TaggedSentence
        >>> from kerasrnn.zoo import SequenceTagger
        >>> sentence = TaggedSentence(("In", "Paris"), ("O", "B-LOC"))
        >>> SequenceTagger.from_sentences([sentence], units=8).inventory.tags
        ('O', 'B-LOC', 'I-LOC')
        """
        sentences = _as_sentences(sentences, None, "sentences")
        if not sentences:
            raise ValueError("`sentences` must hold at least one sentence. Received none.")
        counts = Counter(token for sentence in sentences for token in sentence.tokens)
        words = known_words(
            cls, arguments, counts, min_count=min_count, most=max_words, extra=extra_words
        )
        return cls(words, **{**cls.head_of(sentences, scheme), **arguments})

    @staticmethod
    def head_of(sentences: Iterable[TaggedSentence], scheme: str = "BIO") -> dict[str, Any]:
        """What some sentences ask of a head: their tags and labels, as `new_head` takes them.

        Args:
            sentences: the training sentences.
            scheme: what their tags mean. To `B-X` belongs `I-X`, and so on, whether it occurs or
                not.

        Returns:
            `tags`, `scheme`, and `labels`, None where the sentences have none.

        Raises:
            ValueError: if some sentences have a label and some have none, or tags do not fit the
                scheme.

        Example:

        >>> from kerasrnn.data import TaggedSentence
        >>> from kerasrnn.zoo import SequenceTagger
        >>> sentence = TaggedSentence(("Take", "aspirin"), ("O", "B-DRUG"))
        >>> head = SequenceTagger.head_of([sentence])
        >>> SequenceTagger.from_preset("ner_en_starter", **head).inventory.tags
        ('O', 'B-DRUG', 'I-DRUG')
        """
        sentences = _as_sentences(sentences, None, "sentences")
        labels = {sentence.label for sentence in sentences}
        if labels != {None} and None in labels:
            raise ValueError("Either every sentence has a label or none. Some have none.")
        check_tag_forms(sentences, scheme, "sentences")
        tags = {tag for sentence in sentences for tag in sentence.tags}
        return {
            "tags": _complete(tags, scheme),
            "scheme": scheme,
            "labels": sorted(label for label in labels if label) or None,
        }

    @classmethod
    def from_language_model(cls, model: Any, tags: Terms, **arguments: Any) -> Self:
        """A new tagger that reads as a language model has learnt to.

        Its vocabulary, its embeddings and its recurrent layers are those of the language model, bit
        by bit; the rest begins anew. After Dai and Le (2015), "Semi-supervised Sequence Learning".

        Args:
            model: a `LanguageModel` of words.
            tags: the tags, in any order.
            **arguments: the constructor's other arguments that the language model does not decide,
                such as `dropout`. It reads from the left, so `bidirectional` is false by default;
                with it, layers that read from the right begin anew.

        Returns:
            A tagger. To `freeze`, its body is what comes from the language model.

        Raises:
            ValueError: if the language model reads at another level, an argument is one that it
                decides, or it has several layers with `bidirectional`.

        Example:

        >>> from kerasrnn.zoo import LanguageModel, SequenceTagger
        >>> texts = ["to be or not to be"]
        >>> model = LanguageModel.from_texts(texts, level="words", units=8, dimension=4)
        >>> SequenceTagger.from_language_model(model, ["O", "B-X"]).vocabulary.terms
        ('be', 'to', 'not', 'or')
        """
        return transfer.on_language_model(cls, model, ("words",), {"tags": tags, **arguments})

    def set_word_vectors(self, matrix: np.ndarray, found: Sequence[int] | np.ndarray) -> None:
        """Set word embeddings to pretrained vectors.

        Args:
            matrix: one vector for each id of `vocabulary`, `(vocabulary.size, word_dimension)`.
            found: which rows to set: booleans `(vocabulary.size,)`. The others stay random.

        Raises:
            ValueError: if `matrix` or `found` has another shape.
        """
        set_rows(self.network.get_layer("word_embeddings").embeddings, matrix, found)

    def set_subword_vectors(self, matrix: np.ndarray) -> None:
        """Set the embeddings of subwords to pretrained vectors.

        Args:
            matrix: one vector for each of `subwords.subwords`, `(subwords, subword_dimension)`. The
                unknown subword gets their mean.

        Raises:
            ValueError: if the tagger has no subwords, or `matrix` has another shape.
        """
        if self.subwords is None:
            raise ValueError("This tagger has no subwords; see the argument `subwords`.")
        embeddings = self.network.get_layer("subword_vectors").embeddings.embeddings
        expected = (self.subwords.size - 2, embeddings.shape[1])
        if matrix.shape != expected:
            raise ValueError(f"`matrix` must have the shape {expected}. Received: {matrix.shape}")
        embeddings.assign(np.vstack([np.zeros(expected[1]), matrix.mean(axis=0), matrix]))

    def arguments(self) -> dict[str, Any]:
        """The arguments of the constructor, tags and labels in the order of their ids."""
        labels = self.label_inventory
        ordered = {
            "tags": list(self.inventory.tags),
            "labels": list(labels.tags) if labels else None,
        }
        return {**super().arguments(), **ordered}

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of tags and labels for ids; see `TaggerNetwork`. For text, see `predict`."""
        return self.network(inputs, training=training)

    def loss_terms(self, x, y, outputs, weights=None, training=False):
        """The loss in nats a word, and in nats a sentence for the label."""
        mask = ops.not_equal(x["words"], PADDING_ID)
        scores = outputs["tags"]  # (batch, time, tags)
        margin = self.settings["recall_margin"]
        if training and margin:
            outside = self.inventory.tags.index("O")
            inside = ops.cast(ops.not_equal(y["tags"], outside), scores.dtype)[:, :, None]
            head_start = ops.one_hot(outside, self.inventory.size, dtype=scores.dtype)  # (tags,)
            scores = scores + margin * inside * head_start
        of_words = weights[:, None] if weights is not None and weights.shape.rank == 1 else weights
        loss = self.head.loss(scores, y["tags"], mask, of_words)
        terms = [(loss, ops.sum(ops.cast(mask, "float32")))]
        if self.label_inventory is not None:
            losses = ops.sparse_categorical_crossentropy(
                y["labels"], outputs["labels"], from_logits=True
            )
            if weights is not None and weights.shape.rank == 1:
                losses = losses * weights
            terms.append((ops.sum(losses), ops.shape(losses)[0]))
        return terms

    # === Examples ===

    def read(self, x: Any, y: Any = None, argument: str = "x") -> list[TaggedSentence]:
        """Sentences from whatever they come in; see `fit`."""
        sentences = _as_sentences(x, y, argument, self.inventory.tags)
        if not sentences:
            raise ValueError(f"`{argument}` must hold at least one sentence. Received none.")
        check_tags(sentences, self.inventory.tags, argument)
        known = self.label_inventory.tags if self.label_inventory else None
        for number, sentence in enumerate(sentences, start=1):
            where = f"`{argument}`, sentence {number} ({' '.join(sentence.tokens)[:60]!r})"
            if not sentence.tokens:
                raise ValueError(f"{where}: a sentence must have words.")
            if known is not None and sentence.label not in known:
                raise ValueError(
                    f"{where}: the label {sentence.label!r} was never seen in training. "
                    f"Expected one of {', '.join(known)}."
                )
        return sentences

    def encode(
        self, examples: list[TaggedSentence], *, soft_targets: Sequence[Any] | None = None
    ) -> Encoded:
        """Sentences as ids; see `fit`."""
        splits = np.cumsum([0, *map(len, examples)])
        tags = self.inventory.ids([tag for s in examples for tag in s.tags]).numpy()
        if soft_targets is not None:
            tags = self._probabilities(examples, soft_targets)
        targets = {"tags": Ragged(splits, tags)}
        if self.label_inventory is not None:
            targets["labels"] = self.label_inventory.ids([s.label for s in examples]).numpy()
        words = [token for s in examples for token in s.tokens]
        return Encoded(self.features.columns(splits, words), targets, np.diff(splits))

    def unlabelled(self, x: Any) -> Unlabelled:
        """Sentences as ids, and their words."""
        items = [
            list(item.tokens) if isinstance(item, TaggedSentence) else plain(item)
            for item in items_of(x, "x")
        ]
        sentences = self._words(items)
        splits = np.cumsum([0, *map(len, sentences)])
        columns = self.features.columns(splits, [word for words in sentences for word in words])
        return Unlabelled.of(columns, sentences)

    def _probabilities(
        self, examples: list[TaggedSentence], soft_targets: Sequence[Any]
    ) -> np.ndarray:
        for name in ("crf", "recall_margin"):
            if self.settings[name]:
                raise ValueError(
                    "`soft_targets` are probabilities of single tags, for a tagger with "
                    f"crf=False and recall_margin=0. This one has {name}={self.settings[name]}."
                )
        size = self.inventory.size
        return joined_probabilities(soft_targets, [(len(s), size) for s in examples])

    def class_weights(self, examples: list[TaggedSentence], class_weight: Any) -> Ragged:
        """How much each word counts by its tag."""
        weights = weights_by_class(class_weight, self.inventory.tags)
        tags = self.inventory.ids([tag for s in examples for tag in s.tags]).numpy()
        return Ragged(np.cumsum([0, *map(len, examples)]), weights[tags])

    # === Measuring ===

    def judge(self, x: Any, y: Any) -> dict[str, Any]:
        """The loss of sentences, and what is answered."""
        outputs = self.network(x, training=False)
        ids, _ = self.head.decode(outputs["tags"], ops.not_equal(x["words"], PADDING_ID))
        total, count = self.loss_terms(x, y, outputs)[0]
        judged = {"loss": total, "count": count, "tags": ids}
        if self.label_inventory is not None:
            judged["labels"] = ops.argmax(outputs["labels"], axis=-1)
        return judged

    def measure(self, examples: list[TaggedSentence], batch_size: int) -> dict[str, Any]:
        """The figures of sentences; see `evaluate`."""
        encoded = self.encode(examples)
        names = np.array(self.inventory.tags)
        answers: list[Any] = [[] for _ in examples]
        right = total = count = 0.0
        for indices, judged in self.judged(encoded, batch_size):
            total, count = total + judged["loss"], count + judged["count"]
            for index, row in zip(indices, judged["tags"], strict=True):
                answers[index] = names[row[: encoded.lengths[index]]].tolist()
            if self.label_inventory is not None:
                right += (judged["labels"] == encoded.targets["labels"][indices]).sum()
        scores = tagging_scores(
            [sentence.tags for sentence in examples],
            answers,
            entities=self.inventory.scheme != "none",
        )
        measured: dict[str, Any] = {"loss": float(total / count), **scores}
        if self.label_inventory is not None:
            measured["label_accuracy"] = float(right / len(examples))
        return measured

    # === Prediction ===

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: str | int = 0
    ) -> list[list[Any]]:
        """Tag texts.

        Args:
            x: a list of texts, or a list of lists of words.
            batch_size: how many texts are in a batch; it changes no answer.
            verbose: 1 shows a progress bar.

        Returns:
            For each text its entities, in order, as `Entity` objects; under the scheme `none` its
            words as `TaggedToken` objects. `start` and `end` count characters of the text. For
            lists of words they count words: `x[i][start:end]` are the entity's words, and its text
            is these words joined by a space. The score of an entity is the lowest probability of a
            tag in it. An empty text has none.

        Raises:
            ValueError: if `x` is a single text, or holds neither texts nor lists of words, or an
                empty word.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger.from_preset("ner_en_starter")
        >>> tagger.predict([["I", "grew", "up", "in", "France", "."], []])
        [[Entity(text='France', label='LOC', start=4, end=5)], []]
        """
        texts, sentences = _texts_or_sentences(x)
        spots = [[(i, i + 1) for i in range(len(words))] for words in sentences]
        if texts is not None:
            sentences, spots = tokenize(self.tokenizer, texts)
        answers = self._answers(sentences, batch_size, verbose)
        found: list[list[Any]] = []
        for index, answer in enumerate(answers):
            starts = [start for start, _ in spots[index]]
            ends = [end for _, end in spots[index]]
            if self.inventory.scheme == "none":
                found.append(
                    [
                        TaggedToken(*token)
                        for token in zip(
                            sentences[index], answer.tags, starts, ends, answer.scores, strict=True
                        )
                    ]
                )
                continue
            text = "" if texts is None else texts[index]
            entities = entities_from_tags(text, starts, ends, answer.tags, answer.scores)
            if texts is None:
                entities = [
                    Entity(" ".join(sentences[index][e.start : e.end]), *_place(e), score=e.score)
                    for e in entities
                ]
            found.append(entities)
        return found

    def predict_tags(self, x: Any, batch_size: int | None = None) -> list[list[str]]:
        """The tag of each word.

        Args:
            x: a list of texts, which are split into words as `tokenizer` does, or a list of lists
                of words.
            batch_size: how many texts are in a batch; it changes no answer.

        Returns:
            For each text as many tags as it has words.

        Raises:
            ValueError: as for `predict`.
        """
        return [list(answer.tags) for answer in self._answers(self._words(x), batch_size)]

    def predict_labels(self, x: Any, batch_size: int | None = None) -> list[tuple[str, float]]:
        """The label of each text, such as its intent.

        Args:
            x: a list of texts, or a list of lists of words.
            batch_size: how many texts are in a batch; it changes no answer.

        Returns:
            For each text its label and the label's probability.

        Raises:
            ValueError: as for `predict`, and if the tagger has no labels.
        """
        if self.label_inventory is None:
            raise ValueError(
                "This tagger has no labels for whole texts; see the argument `labels`."
            )
        answers = self._answers(self._words(x), batch_size)
        return [(str(answer.label), answer.label_score) for answer in answers]

    def _words(self, x: Any) -> list[list[str]]:
        texts, sentences = _texts_or_sentences(x)
        return sentences if texts is None else tokenize(self.tokenizer, texts)[0]

    def _answers(
        self, sentences: list[list[str]], batch_size: int | None, verbose: str | int = 0
    ) -> list[_Answer]:
        """The answers for a user: those of a model whose training has diverged are none."""
        batch_size = self._answer_batch_size(batch_size)
        check_finite_weights(self)  # a softmax may hide it
        lengths = np.array([len(words) for words in sentences], int)
        answers: list[_Answer] = [_Answer() for _ in sentences]
        for indices in batches_of(lengths, batch_size, verbose=verbose):
            output = self._tag_function(padded_words([sentences[i] for i in indices]))
            output = {name: value.numpy() for name, value in output.items()}
            self.check_answers(output["scores"], output.get("label_score", np.zeros(0)))
            for row, index in enumerate(indices):
                length = lengths[index]
                answers[index] = _Answer(
                    [tag.decode() for tag in output["tags"][row, :length]],
                    output["scores"][row, :length].tolist(),
                    output["label"][row].decode() if "label" in output else None,
                    float(output["label_score"][row]) if "label" in output else 0.0,
                )
        return answers

    def _tag(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tags and their probabilities for words `(batch, time)`, the empty string for padding."""
        inputs = self.features(tokens)
        mask = tf.not_equal(inputs["words"], PADDING_ID)
        outputs = self.network(inputs, training=False)
        ids, scores = self.head.decode(outputs["tags"], mask)
        found = {
            "tags": self.inventory(tf.where(mask, ids, -1)),  # -1: the empty string
            "scores": scores,
        }
        if self.label_inventory is not None:
            probabilities = tf.nn.softmax(outputs["labels"], axis=-1)
            found["label"] = self.label_inventory(
                tf.argmax(probabilities, axis=-1, output_type=tf.int32)
            )
            found["label_score"] = tf.reduce_max(probabilities, axis=-1)
        return found

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """`serving_default`: `text` (batch,) to words with their tags.

        Returns:
            One signature. Its outputs are `tokens`, `tags` (strings), `starts`, `ends` (int32, in
            characters), `scores` (float32), each `(batch, time)`, padded on the right with empty
            strings and zeros to the longest text of the batch and to at least one step; `lengths`,
            int32 `(batch,)`, the number of tokens; and with labels `label` and `label_score`, each
            `(batch,)`.
        """
        return {
            "serving_default": Signature(self._serve, {"text": tf.TensorSpec((None,), tf.string)})
        }

    def _serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        split = self.tokenizer(text)
        lengths = tf.cast(split["tokens"].row_lengths(), tf.int32)
        # Of at least one step, so that a batch of empty texts runs like any other.
        missing = tf.maximum(0, 1 - tf.reduce_max(tf.concat([[0], lengths], axis=0)))

        def dense(name: str) -> tf.Tensor:
            return tf.pad(split[name].to_tensor(), [[0, 0], [0, missing]])  # (batch, time)

        tokens = dense("tokens")
        return {
            "tokens": tokens,
            "starts": dense("starts"),
            "ends": dense("ends"),
            "lengths": lengths,
            **self._tag(tokens),
        }

    def samples(self) -> dict[str, dict[str, Any]]:
        """A request of known words, unknown words, a long word, an empty text and odd characters.

        Returns:
            A batch of texts for `serving_default`.
        """
        known = self.vocabulary.terms
        texts = [
            "I grew up in France and moved to the United States.",
            " ".join(known[:: max(1, len(known) // 20)][:20]),
            "Qwzx vbnmk 😀 " + "x" * 50,
            "",
            "He said, Tesla is a unit. " * 4,
        ]
        return {"serving_default": {"text": texts}}


@dataclass
class _Answer:
    tags: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    label: str | None = None
    label_score: float = 0.0


def _legal(inventory: TagInventory) -> dict[str, Any] | None:
    """Which sequences of tags a scheme allows; None for all, so that nothing is looked up."""
    if inventory.allowed_transitions().all():
        return None
    return {
        "allowed_transitions": inventory.allowed_transitions(),
        "allowed_starts": inventory.allowed_starts(),
        "allowed_ends": inventory.allowed_ends(),
    }


def _place(entity: Entity) -> tuple[str, int, int]:
    return entity.label, entity.start, entity.end


def _complete(tags: set[str], scheme: str) -> list[str]:
    """The tags of a data set and those that belong to them: `B-X` with `I-X`, and `O`."""
    if scheme == "none":
        return sorted(tags)
    prefixes = {"BIO": "BI", "BIOES": "BIES", "IO": "I"}.get(scheme, "")
    labels = {tag[2:] for tag in tags if tag[1:2] == "-"}
    marks = tags | {f"{prefix}-{label}" for prefix in prefixes for label in labels}
    return ["O", *sorted(marks - {"O"})]


def _texts_or_sentences(x: Any) -> tuple[list[str] | None, list[list[str]]]:
    """The texts, or None and the lists of words."""
    items = [plain(item) for item in items_of(x, "x")]
    if all(isinstance(item, str) for item in items):
        return items, []
    kind = str if isinstance(items[0], str) else list
    for number, item in enumerate(items):
        if not isinstance(item, kind):
            raise ValueError(
                "`x` must hold texts only or lists of words only. "
                f"Received {type(item).__name__} at position {number}: {item!r:.60}"
            )
    for number, words in enumerate(items):
        for word in words:
            if not isinstance(word, str) or not word:
                raise ValueError(
                    f"`x` must hold texts, or lists of words that are not empty. "
                    f"Received {word!r} in list {number}."
                )
    return None, items


def _as_sentences(x: Any, y: Any, argument: str, names: Sequence[str] = ()) -> list[TaggedSentence]:
    """Sentences from whatever they come in; tags that are numbers are those of `names`."""
    if isinstance(x, tf.data.Dataset):
        rows = rows_of(x, {"tokens": 1, "tags": 1, "label": 0}, argument)
        return [_from_row(row, argument, names) for row in rows]
    if y is None:
        items = items_of(x, argument, "sentences")
        for number, item in enumerate(items, start=1):
            if not isinstance(item, TaggedSentence):
                raise ValueError(
                    f"`{argument}` must hold TaggedSentence objects, or be a tf.data.Dataset, or "
                    f"come with tags. Received {type(item).__name__} as sentence {number}."
                )
        return [replace(item, tokens=tuple(plain(item.tokens))) for item in items]
    tags, labels = y if isinstance(y, tuple) and len(y) == 2 else (y, None)
    x, tags = items_of(x, argument, "sentences"), items_of(tags, f"the tags of {argument}", "tags")
    if len(x) != len(tags) or (labels is not None and len(labels) != len(x)):
        raise ValueError(
            f"`{argument}` must have a list of tags for each list of words. "
            f"Received {len(x)} lists of words and {len(tags)} lists of tags."
        )
    return [
        _sentence(x[i], tags[i], None if labels is None else labels[i], argument, names)
        for i in range(len(x))
    ]


def _from_row(row: Any, argument: str, names: Sequence[str]) -> TaggedSentence:
    if not isinstance(row, dict) or not {"tokens", "tags"} <= set(row):
        raise ValueError(f"`{argument}` must be a dataset of dicts with `tokens` and `tags`.")
    tokens, tags = plain(row["tokens"]), plain(row["tags"])
    while tokens and not tokens[-1]:  # padding of a batch
        tokens, tags = tokens[:-1], tags[: len(tokens) - 1]
    label = row.get("label")
    return _sentence(tokens, tags, None if label is None else plain(label), argument, names)


def _sentence(
    tokens: Any, tags: Any, label: Any, argument: str, names: Sequence[str]
) -> TaggedSentence:
    tokens, tags = plain(tokens), plain(tags)
    if not isinstance(tokens, list) or not isinstance(tags, list) or len(tokens) != len(tags):
        raise ValueError(
            f"`{argument}` must have one tag for each word. "
            f"Received {tokens!r:.100} with {tags!r:.100}"
        )
    tags = [class_number(tag, names, f"A tag of `{argument}`") for tag in tags]
    return TaggedSentence(tuple(tokens), tuple(tags), label)
