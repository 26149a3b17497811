"""What every task model does: `fit`, `evaluate`, its loss, presets and exports."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.extras import require_tensorflow
from kerasrnn.networks.options import COUNT, SHARE, Configured, OneOf
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.storage.preset_folders import CONFIG_FILE, read_config, resolve_preset
from kerasrnn.zoo import transfer
from kerasrnn.zoo.batches import (
    STEPS_PER_BATCH,
    Encoded,
    EpochBatches,
    ExampleBatches,
    Ragged,
    Source,
    Unlabelled,
    batches_of,
    first_rows,
    order_seed,
)
from kerasrnn.zoo.inputs import traced
from kerasrnn.zoo.presets import loading


class Task(Configured, keras.Model):
    """A model of the zoo: a network, its head and its text side in one object.

    A task takes raw inputs (text, a piano roll) everywhere: in `fit`, `predict`, `evaluate` and
    in the SavedModel that `export` writes. A subclass

    - makes all of its weights in the constructor, so that a preset's weights can be loaded, and
      annotates its arguments with what they may be (see `kerasrnn.networks.options`); those that
      are lists of terms become text files of a preset;
    - declares which of its layers are `heads`, and which are `word_layers`, so that a new head can
      stand on its body and parts of it can be frozen;
    - reads examples (`read`), makes numbers of them (`encode`), says what the loss is
      (`loss_terms`) and measures (`measure`): the rest of `fit` and `evaluate` is here;
    - has a `predict` of its own, and returns its signatures and sample requests from `signatures`
      and `samples`, which `export` needs.

    Args:
        **kwargs: `name`, `dtype` (a precision policy) and `trainable`, as for `keras.Model`.
    """

    input_dtype: ClassVar[str] = "string"
    # What belongs to the labels, or to what else is answered, and not to the body.
    heads: ClassVar[tuple[transfer.Head, ...]] = ()
    # The paths of the layers that have the embeddings of words, and of parts of words; and the
    # argument whose words the first of them has a row for, where words can be added.
    word_layers: ClassVar[tuple[str, ...]] = ()
    words_argument: ClassVar[str] = ""
    # The output of `call` that has the scores of the answers; empty where there is only one output.
    scores_output: ClassVar[str] = "scores"
    # How many examples are in a batch where nobody says it: in `fit`, and where nothing is learnt.
    batch_size: ClassVar[int] = 32
    answer_batch_size: ClassVar[int] = 64
    # How many steps a batch has at most where nothing is learnt, padding included.
    answer_steps: ClassVar[int] = STEPS_PER_BATCH
    # Whether `jit_compile="auto"` turns XLA on.
    _compiles_by_itself: ClassVar[bool] = False
    # Why XLA cannot compile a training step; empty where it can.
    _not_compiled: ClassVar[str] = ""
    _classes: ClassVar[dict[str, type[Task]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Task._classes[cls.__name__] = cls

    def __new__(cls, *arguments: Any, **keywords: Any) -> Task:
        require_tensorflow(f"kerasrnn.zoo.{cls.__name__}")
        return super().__new__(cls, *arguments, **keywords)

    # === What a task defines ===

    def read(self, x: Any, y: Any, argument: str) -> Any:
        """The examples that somebody gives, checked, in memory: a sequence that can be sliced.

        Args:
            x: the inputs, in any form that `fit` takes.
            y: the targets, or None.
            argument: what an error calls them: `x` or `validation_data`.

        Raises:
            ValueError: if they are no examples for this model.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `read`.")

    def ready_batches(self, x: Any) -> tf.data.Dataset | None:
        """Batches of `(inputs, targets)` to train on as they come, such as those without end.

        Args:
            x: what `fit` got.

        Returns:
            The batches as the network takes them; None for examples, which are read into memory.

        Raises:
            ValueError: if they are no batches for this model.
        """
        return None

    def encode(self, examples: Any, **options: Any) -> Encoded:
        """Examples as numbers.

        Args:
            examples: what `read` returned.
            **options: arguments of `fit` that this task has beside those of Keras.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `encode`.")

    def unlabelled(self, x: Any) -> Unlabelled:
        """Inputs as `predict` takes them, as numbers, and what stands at each of their steps.

        Args:
            x: what `predict` takes, or examples of which only the inputs are read.

        Raises:
            ValueError: as for `predict`, or if there are none.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `unlabelled`.")

    def batches(self, examples: Any, batch_size: int, weights: Any, **options: Any) -> Source:
        """What `fit` takes its batches from.

        Args:
            examples: what `read` returned.
            batch_size: how many of them are in a batch.
            weights: how much each counts; see `Encoded`. None for alike.
            **options: arguments of `fit` that this task has beside those of Keras.
        """
        encoded = self.encode(examples, **options)
        return ExampleBatches(encoded.weighted(weights), batch_size)

    def first_optimizer(self, batches: EpochBatches | None, epochs: int) -> Any:
        """The optimizer of a training before which nobody has called `compile`.

        Args:
            batches: what the training will see; None for batches that somebody else has made.
            epochs: at which epoch it stops.
        """
        return "adam"

    def begin(self, batches: EpochBatches, **options: Any) -> None:
        """What is done once before a training; nothing by default.

        Args:
            batches: what the training will see.
            **options: arguments of `fit` that this task has beside those of Keras.
        """

    def loss_terms(
        self, x: Any, y: Any, outputs: Any, weights: Any = None, training: bool = False
    ) -> list[tuple[Any, Any]]:
        """What the loss is made of: the sum of means.

        Args:
            x: the network's inputs.
            y: the targets.
            outputs: what `call` returned.
            weights: how much each example, or each of its steps, counts; None for alike.
            training: whether the loss is for training, as opposed to measuring.

        Returns:
            For each mean a sum, and the number of what was summed up.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `loss_terms`.")

    def measure(self, examples: Any, batch_size: int, **options: Any) -> dict[str, Any]:
        """The figures of some examples: what `evaluate` returns.

        Args:
            examples: what `read` returned.
            batch_size: how many of them are in a batch.
            **options: arguments of `evaluate` that this task has beside those of Keras.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `measure`.")

    def validate(self, examples: Any, batch_size: int, **options: Any) -> dict[str, Any]:
        """The figures of validation data: those of `measure`, unless that takes too long.

        Args:
            examples: what `read` returned.
            batch_size: how many of them are in a batch.
            **options: those of `fit` that are none of Keras's.
        """
        return self.measure(examples, batch_size)

    def split(self, examples: Any, share: float) -> tuple[Any, Any]:
        """The first examples, and the last ones to validate with.

        Args:
            examples: what `read` returned.
            share: how many of them are the last, from 0 to 1.
        """
        cut = int(len(examples) * (1 - share))
        return examples[:cut], examples[cut:]

    def class_weights(self, examples: Any, class_weight: Mapping[Any, float]) -> Any:
        """How much each example, or each of its steps, counts by its class; see `Encoded`."""
        raise ValueError(
            f"`class_weight` is for models that choose among classes. {type(self).__name__} does "
            "not; weigh examples by `sample_weight`."
        )

    # === Compiling ===

    def compile(
        self, optimizer: Any = "adam", *, jit_compile: bool | str = "auto", **kwargs: Any
    ) -> None:
        """Set the optimizer. The loss is the task's own, and so are the figures it is measured by.

        Args:
            optimizer: A Keras optimizer or its name.
            jit_compile: Whether to compile training steps with XLA. Unlike in other Keras models
                it is done where it is asked for, also with deterministic ops. `"auto"` leaves it
                off, for the length of a batch changes from step to step, and XLA compiles anew for
                each length; a `MemoryModel`, whose sequences have one length, turns it on.
            **kwargs: Passed to `keras.Model.compile`, except what a task has of its own: `loss`,
                `loss_weights`, `metrics` and `weighted_metrics` are refused.

        Raises:
            TypeError: if a loss or metrics are given.
            ValueError: if `jit_compile` is none of these, or asks for XLA where there is none: with
                `run_eagerly`, and of a `MusicModel`.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                own = "loss" if "loss" in name else "figures: see `evaluate`"
                raise TypeError(f"{type(self).__name__} has its own {own}; `{name}` cannot be set.")
        if jit_compile not in (True, False, "auto"):
            raise ValueError(
                f"`jit_compile` must be True, False or 'auto'. Received: {jit_compile!r}"
            )
        if jit_compile == "auto":
            jit_compile = self._compiles_by_itself and not kwargs.get("run_eagerly")
        elif jit_compile and (self._not_compiled or kwargs.get("run_eagerly")):
            reason = self._not_compiled or "`run_eagerly=True` compiles nothing."
            raise ValueError(f"`jit_compile=True` cannot be: {reason}")
        super().compile(optimizer=optimizer, jit_compile=bool(jit_compile), **kwargs)

    @property
    def jit_compile(self) -> bool:
        """Whether training steps are compiled with XLA."""
        return bool(self._jit_compile)

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        # Keras sets it to False for a model that has layers of strings, which stand outside of a
        # task's training step, or while ops are deterministic, which XLA's are as well. What XLA
        # cannot compile is an error at the first step.
        self._jit_compile = value

    def get_compile_config(self) -> dict[str, Any] | None:
        """What a `.keras` file needs to compile the model again."""
        if not self.compiled:
            return None
        optimizer = keras.optimizers.serialize(self.optimizer)
        return {"optimizer": optimizer, "jit_compile": self.jit_compile}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        optimizer = keras.optimizers.deserialize(config["optimizer"])
        self.compile(optimizer, jit_compile=config["jit_compile"])
        self.optimizer.build(self.trainable_variables)

    # === Training ===

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        *,
        seed: int | None = None,
        **options: Any,
    ) -> keras.callbacks.History:
        """Train, as `keras.Model.fit` does, on raw examples. The class says which it takes.

        Bad data is refused before the training begins. All of it is read into memory, unless the
        class says otherwise.

        Args:
            x: the examples, or their inputs: a list, an array, or a `tf.data.Dataset` of single
                rows or of batches.
            y: the targets, unless `x` holds them.
            batch_size: how many examples are in a batch; None for the class's own number.
            epochs: at which epoch to stop, counted from the first.
            verbose: as in `keras.Model.fit`.
            callbacks: Keras callbacks. What is measured on validation data is in the logs.
            validation_split: the share of the examples, the last of them, that is held out to
                validate with, from 0 to 1.
            validation_data: as `x`, or a pair `(x, y)`; no other tuple. After an epoch the figures
                of `evaluate` are in its logs, with `val_` before their names.
            shuffle: whether each epoch has another order.
            class_weight: how much each class counts in the loss, by its name or number; 1 for those
                that are not named. For models that choose among classes.
            sample_weight: how much each example counts in the loss, `(examples,)`.
            initial_epoch: the epoch at which to go on, counted from 0.
            steps_per_epoch: how many batches an epoch has; None for all examples. The next epoch
                goes on behind them.
            validation_steps: how many batches are validated with; None for all.
            validation_batch_size: how many examples are in these; it changes no figure.
            validation_freq: after how many epochs to validate, or a list of the epochs, counted
                from 1.
            seed: decides the order of each epoch. None draws one from Keras's random seed.
            **options: what only this class takes.

        Returns:
            A Keras `History`.

        Raises:
            ValueError: if there are no examples, or they are none for this model.
            TypeError: if an option is unknown.
            RuntimeError: inside of a `tf.distribute` strategy with several replicas.
        """
        self._check_strategy()
        self._check_options(options, "fit", self.batches, self.encode, self.begin)
        for name, number in {
            "batch_size": batch_size,
            "epochs": epochs,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
        }.items():
            if number is not None:
                COUNT.check(name, number, int)
        SHARE.check("validation_split", validation_split, float)
        batch_size = batch_size or self.batch_size
        training = self.ready_batches(x)
        if training is None:
            examples = self.read(x, y, "x")
            weights = self._weights(examples, class_weight, sample_weight)
        elif y is not None or class_weight or sample_weight is not None or validation_split:
            raise ValueError(
                "`x` is a dataset of batches, which are taken as they come: it must hold the "
                "targets and the weights, and `validation_split` is for examples in memory."
            )
        validation = None
        if validation_data is not None:
            paired = validation_data if isinstance(validation_data, tuple) else (validation_data,)
            if len(paired) not in (1, 2):
                raise ValueError(
                    "`validation_data` must be as `x`, or a pair (x, y): examples have no weights "
                    f"there, and several stand in a list. Received a tuple of {len(paired)}."
                )
            validation = self.read(paired[0], paired[1] if paired[1:] else None, "validation_data")
        elif validation_split:
            examples, validation = self.split(examples, validation_split)
            if not len(examples) or not len(validation):
                raise ValueError(
                    "`validation_split` must leave examples on either side. "
                    f"Received: {validation_split} of {len(examples) + len(validation)} examples"
                )
            weights = None if weights is None else first_rows(weights, len(examples))
        own: list[keras.callbacks.Callback] = []
        batches = None
        if training is None:
            source = self.batches(examples, batch_size, weights, **options)
            batches = EpochBatches(source, order_seed(seed, shuffle), steps_per_epoch)
            self.begin(batches, **options)
            training, steps_per_epoch = batches.dataset(), None
            own.append(batches)
        if validation is not None:
            size = validation_batch_size or self.answer_batch_size
            if validation_steps:
                validation = validation[: validation_steps * size]
            own.append(_Validation(validation, size, validation_freq, options))
        if not self.compiled:
            self.compile(self.first_optimizer(batches, epochs))
        # Variables that are made while a step is traced make TensorFlow trace it twice.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().fit(
            training,
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            verbose=verbose,
            callbacks=[*own, *(callbacks or [])],
            shuffle=False,
        )

    def _check_options(self, options: Mapping[str, Any], method: str, *functions: Any) -> None:
        """Raise a TypeError for a keyword of a method that neither Keras nor the task has."""
        known: dict[str, Any] = {}
        for function in functions:
            known |= inspect.signature(function).parameters
        named = [n for n, p in known.items() if p.kind is p.KEYWORD_ONLY]
        for name in options:
            if name not in named:
                more = f" Beside those of Keras it has {', '.join(named)}." if named else ""
                raise TypeError(
                    f"{method}() of {type(self).__name__} has no argument {name!r}.{more}"
                )

    def _weights(self, examples: Any, class_weight: Any, sample_weight: Any) -> Any:
        """How much each example, or each of its steps, counts; None for alike."""
        weights = None
        if class_weight is not None:
            weights = self.class_weights(examples, class_weight)
        if sample_weight is None:
            return weights
        given = np.asarray(sample_weight, np.float32)
        if given.shape != (len(examples),) or not (np.isfinite(given) & (given >= 0)).all():
            raise ValueError(
                "`sample_weight` must hold a number, at least 0, for each of the "
                f"{len(examples)} examples. Received an array of the shape {given.shape}."
            )
        if isinstance(weights, Ragged):
            return Ragged(weights.splits, weights.values * np.repeat(given, weights.lengths))
        return given if weights is None else given * weights

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss in nats, or as the class says, and regularisers."""
        terms = self.loss_terms(x, y, y_pred, sample_weight, training)
        means = [total / ops.maximum(ops.cast(count, "float32"), 1.0) for total, count in terms]
        return sum([*means, *(ops.cast(each, "float32") for each in self.losses)])

    def make_train_function(self, force: bool = False) -> Any:
        """What `fit` and `train_on_batch` call first."""
        self._check_strategy()
        return super().make_train_function(force)

    def train_step(self, data: Any) -> Any:
        """One step of Keras's training loop."""
        self._check_strategy()
        return super().train_step(data)

    def _check_strategy(self) -> None:
        """Raise an error where several replicas would train.

        A loss is a mean over what a replica has; the gradients of all replicas would be added.
        """
        for strategy in (self.distribute_strategy, tf.distribute.get_strategy()):
            served = isinstance(strategy, tf.distribute.ParameterServerStrategy)
            if served or strategy.num_replicas_in_sync > 1:
                raise RuntimeError(
                    f"{type(self).__name__} trains on one device. Expected no tf.distribute "
                    f"strategy, or one with one replica. Received: {type(strategy).__name__} with "
                    f"{strategy.num_replicas_in_sync} replicas, whose gradients would be added up. "
                    "Make the model and train it outside of the strategy's scope."
                )

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
        **options: Any,
    ) -> Any:
        """Measure the model on examples whose answers are known.

        Args:
            x: as for `fit`.
            y: as for `fit`.
            batch_size: how many examples are in a batch; it changes no figure.
            verbose: 1 prints the figures.
            steps: how many batches are measured; None for all.
            return_dict: whether to return a dict, else a list of the numbers in it, the loss first.
            **options: what only this class takes.

        Returns:
            The figures by name; the class says which.

        Raises:
            ValueError: if there are no examples, or they are none for this model.
            TypeError: if an option is unknown.
        """
        self._check_options(options, "evaluate", self.measure)
        batch_size = self._answer_batch_size(batch_size)
        examples = self.read(x, y, "x")
        if steps is not None:
            COUNT.check("steps", steps, int)
            examples = examples[: steps * batch_size]
        figures = self.measure(examples, batch_size, **options)
        return evaluated(figures, verbose, return_dict)

    def judge(self, x: Any, y: Any) -> dict[str, Any]:
        """What `measure` needs to know of a batch, in a graph.

        Args:
            x: the network's inputs.
            y: the targets.

        Returns:
            `loss`, a sum, and `count`, over how many it goes, the first of `loss_terms`; and what
            else a class measures.
        """
        total, count = self.loss_terms(x, y, self(x, training=False))[0]
        return {"loss": total, "count": count}

    def judged(self, encoded: Encoded, batch_size: int) -> Iterator[tuple[np.ndarray, Any]]:
        """The indices of the examples of each batch, and what `judge` says of them, as arrays."""
        if self._judge_function is None:
            self._judge_function = traced(self.judge, *encoded.signature)
        for indices in batches_of(encoded.lengths, batch_size, self.answer_steps):
            judged = self._judge_function(*encoded.batch(indices))
            yield indices, {name: np.asarray(value) for name, value in judged.items()}

    _judge_function: Any = None

    def _answer_batch_size(self, batch_size: int | None) -> int:
        if batch_size is None:
            return self.answer_batch_size
        COUNT.check("batch_size", batch_size, int)
        return int(batch_size)

    def check_answers(self, *answers: np.ndarray) -> None:
        """Raise a ValueError that says why, if some numbers that the model answers are not finite.

        Args:
            *answers: floats of any shape.

        Raises:
            ValueError: if one is NaN or infinite. It names the weight that is not finite, if any.
        """
        if not all(np.isfinite(numbers).all() for numbers in answers):
            check_finite_weights(self)
            raise ValueError(
                f"{type(self).__name__} answers with numbers that are not finite. Its weights are, "
                "but the largest are too large: training has diverged. Train it again with a "
                "smaller learning rate."
            )

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Any = None,
        expand_nested: bool = True,
        **options: Any,
    ) -> None:
        """Print the layers, those of the network among them, as `keras.Model.summary` does."""
        super().summary(line_length, positions, print_fn, expand_nested, **options)

    # === Transfer ===

    # Layers that began anew in this object, on what others had learnt.
    _new_layers: frozenset[str] = frozenset()

    def new_head(self, **changes: Any) -> Self:
        """The same body with a new head, for other labels.

        What the model has learnt of texts stays: vocabularies and all weights below the head are
        those of this model, bit by bit. The head's weights are drawn anew, by Keras's random seed
        (`keras.utils.set_random_seed`), and want training.

        A tagger has two heads: tags and the field on them, and the labels of whole sentences. Only
        that one is new whose arguments are given; without any argument all are, for the labels that
        there are. A classifier's attention is kept with its body, unless there is none in this
        model, or one with other `attention_units`.

        Args:
            **changes: those arguments of the constructor that belong to a head: `tags`, `scheme`,
                `crf`, `constrained` and `recall_margin`, and `labels`, None for a tagger without
                such a head; for a classifier `labels`, `pooling` and `attention_units`. What is
                not given is as in this model, but for other tags `constrained` and `recall_margin`
                are their defaults.

        Returns:
            A model of the same class, not compiled. What is frozen in this one is frozen in it.

        Raises:
            ValueError: if the class has no such head, an argument is none of its own, or labels
                repeat, are empty, less than two, or do not fit the scheme.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger(["in", "paris"], ["O", "B-LOC", "I-LOC"], units=8)
        >>> tagger.new_head(tags=["ADP", "PROPN"], scheme="none", crf=False).inventory.tags
        ('ADP', 'PROPN')
        """
        return transfer.with_new_head(self, changes)

    def with_words(self, words: Iterable[str], vectors: Any = None) -> Self:
        """The same model with more known words, such as those of new data.

        All weights that there are stay as they are, bit by bit, and so do the answers for texts
        without these words.

        Args:
            words: the words, as they are written; they get the form in which the vocabulary has
                its own. Known ones, and words that come again, are passed over.
            vectors: what they begin with:

                - None: what the model has for an unknown word;
                - `"pieces"`: a vector made of the word's letters, by what the model's own words
                  have in common; see `kerasrnn.embeddings.vectors_from_pieces`;
                - an `EmbeddingMatrix`, or a pair of terms and their vectors `(terms, dimension)`,
                  whatever their dimension: they are mapped to the model's own vectors, which its
                  training has moved, by least squares over the words that both know (Kiros et al.
                  2015, "Skip-Thought Vectors", section 2.2). A word that is not there is looked up
                  in small letters; if that is not there either, it begins as an unknown word.

        Returns:
            A model of the same class, not compiled. What is frozen in this one is frozen in it.

        Raises:
            ValueError: if the class has no words, or reads characters; if `words` holds what is no
                word, or `vectors` is none of these, or knows too few of the model's words.
            ImportError: for `"pieces"` without scikit-learn.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger(["walked", "talked", "walks"], ["O", "B-X"], units=4)
        >>> tagger.with_words(["Talks", "walks"], "pieces").vocabulary.terms
        ('walked', 'talked', 'walks', 'talks')
        """
        return transfer.with_more_words(self, words, vectors)

    def freeze(self, what: str) -> None:
        """Keep a part of the model as it is in training.

        It holds from the next training on, also of a model that is compiled, and wherever the model
        is saved and loaded. Dropout goes on: what is frozen are weights. The optimizer of a
        compiled model begins anew, with its settings and its first step.

        Args:
            what: `"words"`, the embeddings of words and of parts of words; or `"body"`, everything
                but the head, the words among it. See `frozen` for what is.

        Raises:
            ValueError: if the model has no part of that name; those that it has are named.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger(["in", "paris"], ["O", "B-LOC", "I-LOC"], units=8)
        >>> tagger.freeze("words")
        >>> tagger.frozen
        ('words',)
        """
        self._set_frozen(what, True)

    def unfreeze(self, what: str | None = None) -> None:
        """Let a part of the model learn again; see `freeze`.

        Args:
            what: as for `freeze`; None for all of the model. What the constructor was told to keep
                as it is (`train_words=False`) learns only if it is named: `"words"`.

        Raises:
            ValueError: if the model has no part of that name; those that it has are named.
        """
        self._set_frozen(what, False)

    @property
    def frozen(self) -> tuple[str, ...]:
        """The names of the parts, as `freeze` has them, of which no weight learns."""
        return transfer.frozen_parts(self)

    def _set_frozen(self, what: str | None, frozen: bool) -> None:
        before = [id(weight) for weight in self.trainable_weights]
        transfer.set_frozen(self, what, frozen)
        if self.compiled and before != [id(weight) for weight in self.trainable_weights]:
            transfer.begin_again(self)

    # === Presets ===

    @classmethod
    def from_preset(cls, preset: str | os.PathLike[str], **overrides: Any) -> Self:
        """Load a model with its weights and its vocabulary.

        A preset may come from a stranger: it is data. Nothing is read but the folder and nothing
        written, links are refused, and so is what would take more memory than its weights account
        for.

        Args:
            preset: A name from `list_presets()`; a folder; or `hf://owner/name` for a repository on
                the Hugging Face hub, `hf://owner/name@revision` for a branch, tag or commit of it.
            **overrides: Constructor arguments that replace those of the preset, such as
                `dropout=0.1` before further training, or `dtype="mixed_bfloat16"`. Other `tags` or
                `labels` start a new head on the preset's body, as `new_head` does, with what else
                is given of the head's arguments; the same ones, in whatever order, keep the head.
                A tagger's labels of whole sentences stay unless `labels` are given, too: others,
                or None for none. What else the weights were trained for cannot be replaced:
                vocabularies, and choices such as `cell`. What was frozen when the preset was saved
                stays so; `trainable=True` lets all of it learn.

        Returns:
            The model. `Task.from_preset` returns an object of whichever class the preset names.

        Raises:
            ValueError: if there is no such preset, if it holds an unknown setting, a value of
                another type, a link, or weights that are not those of its model, or not finite; if
                it belongs to another class than the one that is asked for; or if an override gives
                its weights another meaning.
            FileNotFoundError: if a folder is missing or incomplete, or the hub has no such
                repository or revision.
            PermissionError: if the hub wants a token, or another one.
            ConnectionError: if the hub cannot be reached, and what was fetched earlier is not it.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger.from_preset("ner_en_starter")
        >>> tags = ["O", "B-DRUG", "I-DRUG"]
        >>> SequenceTagger.from_preset("ner_en_starter", tags=tags).inventory.labels
        ('DRUG',)
        """
        folder = resolve_preset(preset)
        config = read_config(folder)
        return loading.load(folder, config, cls._preset_class(config["class"], folder), overrides)

    @classmethod
    def _preset_class(cls, name: str, folder: Path) -> type[Task]:
        if name not in Task._classes:
            raise ValueError(
                f"{folder / CONFIG_FILE}: unknown class {name!r}. "
                f"Expected one of {', '.join(sorted(Task._classes))}."
            )
        task_class = Task._classes[name]
        if not issubclass(task_class, cls):
            raise ValueError(
                f"The preset {folder} is a {name}. Load it with {name}.from_preset, "
                f"not {cls.__name__}.from_preset."
            )
        return task_class

    def save_to_preset(
        self,
        folder: str | os.PathLike[str],
        *,
        weights_dtype: str = "float32",
        extra: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write a folder that `from_preset` reads. No pickle and no code is in it.

        The folder appears whole or not at all. A preset that is there already is replaced; files
        in it that are not the preset's own, such as a card, stay.

        Args:
            folder: The folder to write: a new one, an empty one, or one that holds a preset. If it
                is a link to a folder, that folder is written and the link stays. The folder in
                which the process works, or one that this lies in, cannot be replaced.
            weights_dtype: `"float32"`; `"float16"` for half the size on disk; or `"int8"`, which
                halves the tables of embeddings once more, each row with a scale of its own, and
                is `"float16"` else. The weights of a loaded model are float32 in any case.
            extra: Further sections of `config.toml`: `training` (how it was trained) and `card`.

        Returns:
            The folder.

        Raises:
            ValueError: if `weights_dtype` is none of these, or cannot hold a weight; if a weight is
                not finite; or if the folder cannot be replaced, see above.
            FileExistsError: if there is a file of that name, a link that leads nowhere, or a folder
                with something else in it than a preset.

        Example:

        >>> import tempfile
        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger(words=["in", "paris"], tags=["O", "B-LOC", "I-LOC"])
        >>> folder = tagger.save_to_preset(tempfile.mkdtemp() + "/tagger")
        >>> sorted(path.name for path in folder.iterdir())
        ['config.toml', 'model.weights.h5', 'vocabulary']
        """
        return loading.save(self, folder, Task._classes, weights_dtype, extra or {})

    # === Export ===

    def signatures(self) -> dict[str, Any]:
        """The functions that an export serves, by name. Each task defines its own.

        Returns:
            `kerasrnn.serving.Signature` objects, `serving_default` among them.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `signatures`.")

    def samples(self) -> dict[str, dict[str, Any]]:
        """A batch of requests for each signature: an export is warmed up and verified with it.

        Returns:
            By signature, the values by input name.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `samples`.")

    def export(
        self,
        path: str | os.PathLike[str],
        version: int | None = 1,
        *,
        format: str = "tf_saved_model",
        verify: bool = True,
        overwrite: bool = False,
    ) -> Any:
        """Write a SavedModel that a server can run on raw inputs without Python.

        The folder `<path>/<version>/` appears whole or not at all.

        Args:
            path: The folder of the served model.
            version: The number of the folder inside; None for the next free one.
            format: `"tf_saved_model"`, the one there is.
            verify: Load the result through TensorFlow's C API in a fresh process and compare its
                outputs with those of this model before it is moved into place.
            overwrite: Replace the version if it exists.

        Returns:
            A `kerasrnn.serving.ExportReport`.

        Raises:
            FileExistsError: if the version exists and `overwrite` is false.
            ValueError: if a weight is not finite, or the format is another.
            kerasrnn.serving.VerificationError: if the SavedModel differs from this model.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger.from_preset("ner_en_starter")
        >>> report = tagger.export("serving/tagger", version=1)  # doctest: +SKIP
        """
        OneOf(("tf_saved_model",)).check("format", format)
        # Serving stands beside the models; a user who never exports need not load it.
        from kerasrnn.serving import export_signatures

        return export_signatures(
            self,
            self.signatures(),
            path,
            version,
            samples=self.samples(),
            verify=verify,
            overwrite=overwrite,
        )


class _Validation(keras.callbacks.Callback):
    """Puts the figures of validation data into the logs of an epoch, for the callbacks behind it.

    Args:
        examples: what `Task.read` returned.
        batch_size: how many of them are in a batch.
        freq: after how many epochs it is done, or after which, counted from 1.
        options: of `fit`, those that are none of Keras's.
    """

    def __init__(
        self, examples: Any, batch_size: int, freq: int | Sequence[int], options: Mapping[str, Any]
    ) -> None:
        super().__init__()
        if isinstance(freq, int):
            COUNT.check("validation_freq", freq, int)
        self.examples = examples
        self.batch_size = batch_size
        self.freq = freq
        self.options = options

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        due = (epoch + 1) % self.freq == 0 if isinstance(self.freq, int) else epoch + 1 in self.freq
        if due and logs is not None:
            figures = self.model.validate(self.examples, self.batch_size, **self.options)
            logs |= {f"val_{name}": value for name, value in numbers_of(figures).items()}


def evaluated(figures: dict[str, Any], verbose: str | int, return_dict: bool) -> Any:
    """What `evaluate` returns, which it prints if it is asked to."""
    numbers = numbers_of(figures)
    if verbose and verbose != "auto":
        print("  ".join(f"{name}: {value:.4f}" for name, value in numbers.items()))
    return figures if return_dict else list(numbers.values())


def numbers_of(figures: Mapping[str, Any]) -> dict[str, float]:
    """Those of some figures that are single numbers, by name."""
    return {name: value for name, value in figures.items() if isinstance(value, int | float)}
