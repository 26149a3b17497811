"""The sequence tagger: a tag for each word of a text, such as its entities or parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.cells import CELLS
from kerasrnn.data import TaggedSentence, check_tag_forms, check_tags
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
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
from kerasrnn.zoo.batching import EncodedSentences, batches_of
from kerasrnn.zoo.example_task import (
    ExampleTask,
    input_specs,
    int_tensors,
    joined_probabilities,
    plain,
    set_rows,
    tokenize,
    trimmed,
)
from kerasrnn.zoo.tag_heads import CRFHead, SoftmaxHead
from kerasrnn.zoo.tagger_network import PADDING_ID, SPELLINGS, TaggerNetwork
from kerasrnn.zoo.tagging_scores import tagging_scores
from kerasrnn.zoo.task import check_between, check_choice, check_positive

SCHEMES = ("BIO", "BIOES", "IO", "none")


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
class SequenceTagger(ExampleTask):
    """Tags the words of a text: entities, parts of speech, slots; if asked, the text as a whole.

    It takes raw text or lists of words, in `fit`, `predict`, `evaluate` and in what it exports. Its
    network is `TaggerNetwork`: word embeddings beside a vector of each word's spelling, and a deep
    recurrent layer; a softmax or a conditional random field chooses the tags (Lample et al. 2016;
    Ma and Hovy 2016).

    The answer for a text depends on no other text: neither the size of a batch nor its padding
    changes it.

    Args:
        words: the known words, the most frequent first. They must be in the form that `lowercase`
            and `normalize_digits` give them.
        tags: the tags, in any order.
        characters: the known characters. None or none at all means no spelling.
        labels: the labels of whole sentences, such as intents, for a second head; or None.
        pieces: pieces of words, for a vector of each word, known or not, that is the mean of those
            of its pieces; see `kerasrnn.text.SubwordIds` and `set_piece_vectors`. None for none.
        scheme: what tags mean: `BIO`, `BIOES` and `IO` mark entities, `none` stands for any other
            tags, such as parts of speech.
        crf: whether tags are chosen together by a conditional random field, else by a softmax.
        constrained: whether the field chooses only sequences that the scheme allows.
        recall_margin: by how many nats the right tag of an entity's word must beat `O` in training.
            More than 0 finds more entities, and more that are none; for texts with more entities,
            or others, than those of the training. It is the cost of a miss in the softmax-margin
            loss of Mohit et al. (2012), "Recall-Oriented Learning of Named Entities in Arabic
            Wikipedia". Predictions do not use it.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state, for each direction.
        depth: how many recurrent layers.
        bidirectional: whether the sentence is read from both ends.
        word_dimension: the length of a word's embedding.
        train_words: whether embeddings of words and pieces are trained; see `set_word_vectors`.
        spelling: how a word's characters become a vector: `cnn`, `rnn` or `none`.
        character_dimension: the length of a character's embedding.
        character_units: the length of the vector of a word's spelling.
        character_width: how many characters a filter of the convolution sees.
        max_word_length: how many characters of a word are read; a longer one loses its middle.
        capitals: whether a vector says how a word is capitalised; see `kerasrnn.text.Capitals`.
        piece_dimension: the length of a piece's embedding.
        max_pieces: how many pieces of a word are read.
        word_dropout: the share of words taken for unknown in training.
        dropout: the share of components dropped before and behind the recurrent layers.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a sentence.
        layer_dropout: the share of components dropped between the recurrent layers.
        lowercase: whether words are looked up in small letters. Spelling always sees the case.
        normalize_digits: whether all digits of a word are looked up as 0.
        split_contractions: whether raw text is split as in the Penn Treebank: `do` `n't`.
        **kwargs: passed to `keras.Model`: `name`, and `dtype`, such as `"mixed_bfloat16"`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.zoo import SequenceTagger
    >>> tagger = SequenceTagger.from_preset("ner_en_starter")
    >>> tagger.predict(["I grew up in France."])
    [[Entity(text='France', label='LOC', start=13, end=19)]]
    """

    vocabulary_arguments = ("words", "tags", "characters", "labels", "pieces")

    def __init__(
        self,
        words: Sequence[str],
        tags: Sequence[str],
        characters: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        pieces: Sequence[str] | None = None,
        *,
        scheme: str = "BIO",
        crf: bool = True,
        constrained: bool = True,
        recall_margin: float = 0.0,
        cell: str = "lstm",
        units: int = 100,
        depth: int = 1,
        bidirectional: bool = True,
        word_dimension: int = 100,
        train_words: bool = True,
        spelling: str = "cnn",
        character_dimension: int = 25,
        character_units: int = 50,
        character_width: int = 3,
        max_word_length: int = 20,
        capitals: bool = False,
        piece_dimension: int = 100,
        max_pieces: int = 6,
        word_dropout: float = 0.0,
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        lowercase: bool = True,
        normalize_digits: bool = True,
        split_contractions: bool = False,
        **kwargs: Any,
    ) -> None:
        check_choice("scheme", scheme, SCHEMES)
        check_choice("cell", cell, tuple(CELLS))
        check_choice("spelling", spelling, SPELLINGS)
        for name, value in {
            "units": units,
            "depth": depth,
            "word_dimension": word_dimension,
            "character_dimension": character_dimension,
            "character_units": character_units,
            "character_width": character_width,
            "max_word_length": max_word_length,
            "piece_dimension": piece_dimension,
            "max_pieces": max_pieces,
        }.items():
            check_positive(name, value)
        for name, share in {
            "word_dropout": word_dropout,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
        }.items():
            check_between(name, share, 0, 1)
        if not isinstance(recall_margin, int | float) or not 0 <= recall_margin < float("inf"):
            raise ValueError(f"`recall_margin` must be at least 0. Received: {recall_margin!r}")
        if recall_margin and (scheme == "none" or "O" not in tags):
            raise ValueError(
                "`recall_margin` needs a scheme with entities, and `O` among the tags. "
                f"Received: scheme={scheme!r}"
            )
        super().__init__(**kwargs)
        self.settings = {
            "scheme": scheme,
            "crf": crf,
            "constrained": constrained,
            "recall_margin": recall_margin,
            "cell": cell,
            "units": units,
            "depth": depth,
            "bidirectional": bidirectional,
            "word_dimension": word_dimension,
            "train_words": train_words,
            "spelling": spelling,
            "character_dimension": character_dimension,
            "character_units": character_units,
            "character_width": character_width,
            "max_word_length": max_word_length,
            "capitals": capitals,
            "piece_dimension": piece_dimension,
            "max_pieces": max_pieces,
            "word_dropout": word_dropout,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "layer_dropout": layer_dropout,
            "lowercase": lowercase,
            "normalize_digits": normalize_digits,
            "split_contractions": split_contractions,
        }

        # === Text side ===
        self.tokenizer = Tokenizer(split_contractions=split_contractions, name="tokenizer")
        self.vocabulary = Vocabulary(
            words, lowercase=lowercase, normalize_digits=normalize_digits, name="vocabulary"
        )
        self.inventory = TagInventory(tags, scheme=scheme, name="inventory")
        self.spell: CharacterIds | None = None
        if characters and spelling != "none":
            self.spell = CharacterIds(characters, max_length=max_word_length, name="spell")
        self.pieces = SubwordIds(pieces, max_pieces=max_pieces, name="pieces") if pieces else None
        self.capitals = Capitals(name="capitals") if capitals else None
        # Labels are tags of whole sentences; they have no scheme.
        self.label_inventory: TagInventory | None = None
        if labels:
            self.label_inventory = TagInventory(labels, scheme="none", name="label_inventory")

        # === Network and head ===
        self.network = TaggerNetwork(
            words=self.vocabulary.size,
            tags=self.inventory.size,
            characters=self.spell.size if self.spell else 0,
            labels=self.label_inventory.size if self.label_inventory else 0,
            cell=cell,
            units=units,
            depth=depth,
            bidirectional=bidirectional,
            word_dimension=word_dimension,
            train_words=train_words,
            spelling=spelling,
            character_dimension=character_dimension,
            character_units=character_units,
            character_width=character_width,
            capitals=self.capitals.size if self.capitals else 0,
            pieces=self.pieces.size if self.pieces else 0,
            piece_dimension=piece_dimension,
            word_dropout=word_dropout,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            layer_dropout=layer_dropout,
            dtype=self.dtype_policy,
            name="network",
        )
        self.head: CRFHead | SoftmaxHead = SoftmaxHead(name="head")
        if crf:
            legal = _legal(self.inventory) if constrained else None
            self.head = CRFHead(self.inventory.size, legal, name="head")
        self.built = True

        # One graph for all sizes of batch; they are traced when first used.
        self._tag_function = tf.function(
            self._tag,
            input_signature=[tf.TensorSpec((None, None), tf.string)],
            autograph=False,
        )
        self._loss_function = tf.function(
            self._summed_loss,
            input_signature=[input_specs(self.network), tf.TensorSpec((None, None), tf.int32)],
            autograph=False,
        )

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
        form = {
            "lowercase": arguments.get("lowercase", True),
            "normalize_digits": arguments.get("normalize_digits", True),
        }
        counts = Counter(token for sentence in sentences for token in sentence.tokens)
        limit = None if max_words is None else max_words + 2  # padding and unknown count as well
        vocabulary = Vocabulary.from_counts(counts, min_count=min_count, max_size=limit, **form)
        further = Vocabulary.from_counts(dict.fromkeys(extra_words, 1), **form).terms
        words = list(dict.fromkeys([*vocabulary.terms, *further]))
        if arguments.get("spelling") != "none":
            arguments.setdefault("characters", list(CharacterIds.from_counts(counts).characters))
        labels = {sentence.label for sentence in sentences}
        if labels != {None}:
            if None in labels:
                raise ValueError("Either every sentence has a label or none. Some have none.")
            arguments.setdefault("labels", sorted(label for label in labels if label))
        check_tag_forms(sentences, scheme, "sentences")
        tags = {tag for sentence in sentences for tag in sentence.tags}
        return cls(words, _complete(tags, scheme), scheme=scheme, **arguments)

    def set_word_vectors(self, matrix: np.ndarray, found: Sequence[int] | np.ndarray) -> None:
        """Set word embeddings to pretrained vectors.

        Args:
            matrix: one vector for each id of `vocabulary`, `(vocabulary.size, word_dimension)`.
            found: which rows to set: booleans `(vocabulary.size,)`. The others stay random.

        Raises:
            ValueError: if `matrix` or `found` has another shape.
        """
        set_rows(self.network.get_layer("word_embeddings").embeddings, matrix, found)

    def set_piece_vectors(self, matrix: np.ndarray) -> None:
        """Set the embeddings of pieces to pretrained vectors.

        Args:
            matrix: one vector for each of `pieces.pieces`, `(pieces, piece_dimension)`. The unknown
                piece gets their mean.

        Raises:
            ValueError: if the tagger has no pieces, or `matrix` has another shape.
        """
        if self.pieces is None:
            raise ValueError("This tagger has no pieces of words; see the argument `pieces`.")
        embeddings = self.network.get_layer("piece_vectors").embeddings.embeddings
        expected = (self.pieces.size - 2, embeddings.shape[1])
        if matrix.shape != expected:
            raise ValueError(f"`matrix` must have the shape {expected}. Received: {matrix.shape}")
        embeddings.assign(np.vstack([np.zeros(expected[1]), matrix.mean(axis=0), matrix]))

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of tags and labels for ids; see `TaggerNetwork`. For text, see `predict`."""
        return self.network(inputs, training=training)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss in nats a word, and in nats a sentence for the label, and regularisers."""
        mask = ops.not_equal(x["words"], PADDING_ID)
        count = ops.maximum(ops.sum(ops.cast(mask, "float32")), 1.0)
        scores = y_pred["tags"]  # (batch, time, tags)
        if self.settings["recall_margin"]:
            outside = self.inventory.tags.index("O")
            inside = ops.cast(ops.not_equal(y["tags"], outside), scores.dtype)[:, :, None]
            head_start = ops.one_hot(outside, self.inventory.size, dtype=scores.dtype)  # (tags,)
            scores = scores + self.settings["recall_margin"] * inside * head_start
        loss = self.head.loss(scores, y["tags"], mask) / count
        if self.label_inventory is not None:
            loss = loss + ops.mean(
                ops.sparse_categorical_crossentropy(y["labels"], y_pred["labels"], from_logits=True)
            )
        for regularisation in self.losses:
            loss = loss + ops.cast(regularisation, "float32")
        return loss

    # === Training ===

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        soft_targets: Sequence[Any] | None = None,
        batch_size: int = 32,
        epochs: int = 10,
        validation_data: Any = None,
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
        shuffle: bool = True,
        seed: int | None = None,
        initial_epoch: int = 0,
    ) -> keras.callbacks.History:
        """Train on sentences. Tags that the tagger does not know are refused before it begins.

        Args:
            x: `TaggedSentence` objects; or a `tf.data.Dataset` of dicts of `tokens`, `tags` and,
                for a tagger with labels, `label`; or lists of words, with `y`. All of it is read
                into memory.
            y: lists of tags, one for each list of words in `x`; a pair of these and of the
                sentences' labels for a tagger with labels.
            soft_targets: how probable each tag is to be, such as a larger model says: for each
                sentence `(words, tags)`, in the order of `inventory.tags`. These are learned in
                place of the tags, by cross-entropy (knowledge distillation, Hinton et al. 2015).
            batch_size: how many sentences are in a batch.
            epochs: at which epoch to stop, counted from the first.
            validation_data: as `x`, or a pair `(x, y)`. After each epoch its `val_loss`,
                `val_precision`, `val_recall`, `val_f1` and `val_accuracy` are in the logs, so that
                callbacks can watch them.
            callbacks: Keras callbacks.
            verbose: as in `keras.Model.fit`.
            shuffle: whether each epoch has another order.
            seed: decides the order of each epoch. None draws one from Keras's random seed.
            initial_epoch: the epoch at which to go on, counted from 0.

        Returns:
            A Keras `History`.

        Raises:
            ValueError: if there are no sentences, one is empty, a tag or label is unknown,
                or `soft_targets` are no such probabilities.

        Example:

        >>> from kerasrnn.data import TaggedSentence
        >>> from kerasrnn.zoo import SequenceTagger
        >>> sentences = [TaggedSentence(("In", "Paris"), ("O", "B-LOC"))]
        >>> tagger = SequenceTagger.from_sentences(sentences, units=8)
        >>> history = tagger.fit(sentences, epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
        """
        return super().fit(
            x,
            y,
            soft_targets=soft_targets,
            batch_size=batch_size,
            epochs=epochs,
            validation_data=validation_data,
            callbacks=callbacks,
            verbose=verbose,
            shuffle=shuffle,
            seed=seed,
            initial_epoch=initial_epoch,
        )

    def evaluate(
        self, x: Any, y: Any = None, *, batch_size: int = 64, **kwargs: Any
    ) -> dict[str, Any]:
        """Measure the tagger on sentences whose tags are known.

        Args:
            x: as for `fit`.
            y: as for `fit`.
            batch_size: how many sentences are in a batch; it changes no figure.
            **kwargs: what Keras passes when it validates while training.

        Returns:
            `precision`, `recall` and `f1` of whole entities, or of single words under the scheme
            `none`; `accuracy` of single tags; `loss` in nats a word; `types`: for each
            label its `precision`, `recall`, `f1` and `support`; and `label_accuracy` for a tagger
            with labels.

        Raises:
            ValueError: if there are no sentences, one is empty, or a tag or label is unknown.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger.from_preset("ner_en_starter")
        >>> scores = tagger.evaluate([["In", "Paris", "."]], [["O", "B-LOC", "O"]])
        >>> scores["f1"]
        1.0
        """
        return super().evaluate(x, y, batch_size=batch_size, **kwargs)

    def _measure(self, sentences: list[TaggedSentence], batch_size: int) -> dict[str, Any]:
        answers = self._answers([list(s.tokens) for s in sentences], batch_size)
        scores = tagging_scores(
            [sentence.tags for sentence in sentences],
            [answer.tags for answer in answers],
            entities=self.inventory.scheme != "none",
        )
        loss = self._mean_loss(self._encode(sentences), batch_size)
        measured: dict[str, Any] = {"loss": loss, **scores}
        if self.label_inventory is not None:
            right = [a.label == s.label for a, s in zip(answers, sentences, strict=True)]
            measured["label_accuracy"] = sum(right) / len(right)
        return measured

    def _mean_loss(self, encoded: EncodedSentences, batch_size: int) -> float:
        total, words = 0.0, 0
        for indices in batches_of(encoded.lengths, batch_size):
            inputs, targets = (int_tensors(part) for part in encoded.batch(indices))
            total += float(self._loss_function(inputs, targets["tags"]))
            words += int(encoded.lengths[indices].sum())
        return total / max(1, words)

    def _summed_loss(self, inputs: dict[str, Any], tags: Any) -> Any:
        scores = self.network(inputs, training=False)["tags"]
        return self.head.loss(scores, tags, ops.not_equal(inputs["words"], PADDING_ID))

    # === Prediction ===

    def predict(self, x: Any, *, batch_size: int = 64) -> list[list[Any]]:
        """Tag texts.

        Args:
            x: a list of texts, or a list of lists of words.
            batch_size: how many texts are in a batch; it changes no answer.

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
        if texts is None:
            answers = self._checked_answers(sentences, batch_size)
            spots = [[(i, i + 1) for i in range(len(words))] for words in sentences]
        else:
            sentences, spots = tokenize(self.tokenizer, texts)
            answers = self._checked_answers(sentences, batch_size)
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

    def predict_tags(self, x: Any, *, batch_size: int = 64) -> list[list[str]]:
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
        texts, sentences = _texts_or_sentences(x)
        if texts is not None:
            sentences, _ = tokenize(self.tokenizer, texts)
        return [list(answer.tags) for answer in self._checked_answers(sentences, batch_size)]

    def predict_labels(self, x: Any, *, batch_size: int = 64) -> list[tuple[str, float]]:
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
        texts, sentences = _texts_or_sentences(x)
        if texts is not None:
            sentences, _ = tokenize(self.tokenizer, texts)
        answers = self._checked_answers(sentences, batch_size)
        return [(str(answer.label), answer.label_score) for answer in answers]

    def _answers(self, sentences: list[list[str]], batch_size: int) -> list[_Answer]:
        check_positive("batch_size", batch_size)
        lengths = np.array([len(words) for words in sentences], int)
        answers: list[_Answer] = [_Answer() for _ in sentences]
        for indices in batches_of(lengths, batch_size):
            time = max(1, int(lengths[indices].max()))
            padded = [[*sentences[i], *[""] * (time - lengths[i])] for i in indices]
            output = {
                name: value.numpy()
                for name, value in self._tag_function(tf.constant(padded, tf.string)).items()
            }
            for row, index in enumerate(indices):
                length = lengths[index]
                answers[index] = _Answer(
                    [tag.decode() for tag in output["tags"][row, :length]],
                    output["scores"][row, :length].tolist(),
                    output["label"][row].decode() if "label" in output else None,
                    float(output["label_score"][row]) if "label" in output else 0.0,
                )
        return answers

    def _checked_answers(self, sentences: list[list[str]], batch_size: int) -> list[_Answer]:
        """The answers for a user: those of a model whose training has diverged are none."""
        check_finite_weights(self)  # a softmax may hide it
        answers = self._answers(sentences, batch_size)
        scores = (score for answer in answers for score in (*answer.scores, answer.label_score))
        self.check_answers(np.fromiter(scores, float))
        return answers

    def _tag(self, tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        """Tags and their probabilities for words `(batch, time)`, the empty string for padding."""
        words = self.vocabulary(tokens)
        inputs = {"words": words}
        if self.spell is not None:
            inputs["characters"] = trimmed(self.spell(tokens))  # (batch, time, length)
        if self.capitals is not None:
            inputs["capitals"] = self.capitals(tokens)
        if self.pieces is not None:
            inputs["pieces"] = trimmed(self.pieces(tokens))  # (batch, time, pieces)
        mask = tf.not_equal(words, PADDING_ID)
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

    # === Data ===

    def _checked_examples(self, x: Any, y: Any = None, argument: str = "x") -> list[TaggedSentence]:
        sentences = _as_sentences(x, y, argument)
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

    def _checked_probabilities(
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

    def _encode(self, sentences: list[TaggedSentence]) -> EncodedSentences:
        flat = tf.constant([token for s in sentences for token in s.tokens], tf.string)
        tags = [tag for s in sentences for tag in s.tags]
        labels = None
        if self.label_inventory is not None:
            labels = self.label_inventory.ids([s.label for s in sentences]).numpy()
        return EncodedSentences(
            splits=np.cumsum([0, *(len(s.tokens) for s in sentences)]),
            words=self.vocabulary(flat).numpy(),
            tags=self.inventory.ids(tags).numpy(),
            characters=None if self.spell is None else self.spell(flat).numpy(),
            capitals=None if self.capitals is None else self.capitals(flat).numpy(),
            pieces=None if self.pieces is None else self.pieces(flat).numpy(),
            labels=labels,
        )

    # === Config ===

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "words": list(self.vocabulary.terms),
            "tags": list(self.inventory.tags),
            "characters": list(self.spell.characters) if self.spell else None,
            "labels": list(self.label_inventory.tags) if self.label_inventory else None,
            "pieces": list(self.pieces.pieces) if self.pieces else None,
            **self.settings,
        }


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
    return sorted({"O", *tags} | {f"{prefix}-{label}" for prefix in prefixes for label in labels})


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


def _as_sentences(x: Any, y: Any, argument: str) -> list[TaggedSentence]:
    if isinstance(x, tf.data.Dataset):
        rows = x.as_numpy_iterator()
        return [_from_row(row, argument) for row in rows]
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
        _sentence(plain(x[i]), plain(tags[i]), None if labels is None else labels[i], argument)
        for i in range(len(x))
    ]


def _from_row(row: Any, argument: str) -> TaggedSentence:
    if not isinstance(row, dict) or not {"tokens", "tags"} <= set(row):
        raise ValueError(f"`{argument}` must be a dataset of dicts with `tokens` and `tags`.")
    label = row.get("label")
    return _sentence(
        plain(row["tokens"]),
        plain(row["tags"]),
        None if label is None else plain(label),
        argument,
    )


def _sentence(tokens: Any, tags: Any, label: Any, argument: str) -> TaggedSentence:
    if not isinstance(tokens, list) or not isinstance(tags, list) or len(tokens) != len(tags):
        raise ValueError(
            f"`{argument}` must have one tag for each word. "
            f"Received {tokens!r:.100} with {tags!r:.100}"
        )
    return TaggedSentence(tuple(tokens), tuple(tags), label)
