"""The memory model: reads a long sequence and says what it remembers of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.data import MemoryExamples
from kerasrnn.data.errors import check_numbers
from kerasrnn.networks.memory import PADDING_ID, Answers, MemoryNetwork, Reads
from kerasrnn.networks.options import Count, Terms
from kerasrnn.serving import Signature
from kerasrnn.zoo.batches import Encoded, Ragged, Unlabelled, batches_of
from kerasrnn.zoo.inputs import rows_of, traced, weights_by_class
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.transfer import Head

# When Hochreiter & Schmidhuber (1997) call an answer right: a number within 0.04, and a label if
# each output is within 0.3 of what it should be.
NUMBER_TOLERANCE = 0.04
LABEL_TOLERANCE = 0.3


@keras.saving.register_keras_serializable(package="kerasrnn")
class MemoryModel(Task):
    """Answers, at the end of a sequence or at each of its steps, from what it remembers.

    The tasks with which recurrent networks are tried since Hochreiter & Schmidhuber (1997):
    adding, copying, temporal order, Reber's grammar, pictures read pixel by pixel; and any other
    whose sequences are numbers or symbols. Its network is `MemoryNetwork`: a deep recurrent layer
    and a linear one. `kerasrnn.data` makes the examples.

    The answer for a sequence depends on no other: neither the size of a batch nor its padding
    changes it.

    It is trained (`fit`) and measured (`evaluate`) on

    - `MemoryExamples`; or an array of sequences, with an array of targets as `y`;
    - a `tf.data.Dataset` of pairs of a sequence and its target, or of batches of them. `fit` takes
      batches as they come: they may be without end, such as those of
      `kerasrnn.data.fresh_batches`, with `steps_per_epoch` to say how many are an epoch. Such a
      dataset knows of no epoch: it must begin with that of `initial_epoch`.

    `class_weight` is by label or by symbol, its name or its number.

    While it trains, `solved` is in the logs beside `loss`. It is taken before the weights change,
    so for sequences that are seen once it is that of unseen data.

    `evaluate` returns for numbers `mse`, the mean squared error, which is also `loss`. For labels
    and symbols it returns `loss`, the mean cross-entropy in nats, and `accuracy`, the share of
    right answers; with an answer at each step both are over all steps that ask for one. `solved` is
    the share of sequences that are answered right throughout: numbers within 0.04, a label with
    each probability within 0.3 of 0 or 1 as it should be (both as in Hochreiter & Schmidhuber
    1997), and every single symbol. Where more than one symbol may follow, each of those must have a
    higher score than all others; accuracy is then the share of steps at which the best is one of
    those.

    Args:
        reads: what a step of a sequence is: `numbers` or `symbols`.
        input_size: how many numbers a step has, or how many symbols there are.
        answers: `number` or `label` at the end, or `symbols`, one at each step.
        output_size: how many numbers, labels or symbols there are to answer.
        symbols: the names of the symbols that are read, or None.
        labels: the names of the labels or of the symbols that are answered, or None.
        **kwargs: the options of the network, such as `cell`, `units` and `chrono_length`: see
            `MemoryNetwork`; and `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.data import adding
    >>> from kerasrnn.zoo import MemoryModel
    >>> examples = adding(64, length=20, seed=1)
    >>> model = MemoryModel.from_examples(examples, cell="gru", units=8)
    >>> history = model.fit(examples, epochs=2, verbose=0)
    >>> model.predict(examples.inputs[:3]).shape
    (3, 1)
    """

    network_class = MemoryNetwork
    heads = (Head(layers=("network/scores",)),)
    scores_output = ""  # there is no other output
    answer_batch_size = 256
    answer_steps = 2**20
    _compiles_by_itself = True  # sequences of one length: XLA compiles once

    def __init__(
        self,
        reads: Reads,
        input_size: Count,
        answers: Answers,
        output_size: Count,
        symbols: Terms | None = None,
        labels: Terms | None = None,
        **kwargs: Any,
    ) -> None:
        _check_names("symbols", symbols, input_size if reads == "symbols" else 0)
        _check_names("labels", labels, output_size if answers != "number" else 0)
        options = self.network_options(kwargs)
        super().__init__(**kwargs)
        self.input_size = input_size
        self.output_size = output_size
        self.reads_symbols = reads == "symbols"
        self.answers = answers
        self.symbols = None if symbols is None else tuple(symbols)
        self.labels = None if labels is None else tuple(labels)

        self.network = MemoryNetwork(
            reads,
            input_size,
            answers,
            output_size,
            dtype=self.dtype_policy,
            name="network",
            **options,
        )
        self.right = keras.metrics.Mean(name="solved")
        self.built = True

        # For sequences of any length, whatever that of the first is.
        self._scores_function = traced(self._scores, self._sequences_spec())
        self._judge_function = traced(self.judge, self._sequences_spec(), self._targets_spec())

    @property
    def input_dtype(self) -> str:
        """The dtype of what is read."""
        return "int32" if self.reads_symbols else "float32"

    @classmethod
    def from_examples(cls, examples: MemoryExamples, **arguments: Any) -> Self:
        """A new model for some examples: what it reads and answers is as they have it.

        Args:
            examples: the training examples.
            **arguments: the constructor's other arguments, such as `cell` and `units`.

        Returns:
            A model with new weights.

        Raises:
            ValueError: if the arrays have shapes or dtypes that no task has.

        Example:

        >>> from kerasrnn.data import temporal_order
        >>> from kerasrnn.zoo import MemoryModel
        >>> model = MemoryModel.from_examples(temporal_order(10, seed=1), units=8)
        >>> model.labels
        ('XX', 'XY', 'YX', 'YY')
        """
        inputs, targets = np.asarray(examples.inputs), np.asarray(examples.targets)
        described: dict[str, Any] = {"padded": not bool(examples.present.all())}
        if inputs.ndim == 2 and inputs.dtype.kind in "iu":
            size = len(examples.symbols) or int(inputs.max(initial=0)) + 1
            described |= {"reads": "symbols", "input_size": size}
            described["symbols"] = list(examples.symbols) or None
        elif inputs.ndim == 3 and inputs.dtype.kind == "f":
            described |= {"reads": "numbers", "input_size": inputs.shape[2]}
        else:
            raise ValueError(
                "Inputs must be floats (count, time, size) or integers (count, time). "
                f"Received: {inputs.dtype} {inputs.shape}"
            )
        if targets.dtype.kind == "f" and targets.ndim in (1, 2):
            size = 1 if targets.ndim == 1 else targets.shape[1]
            described |= {"answers": "number", "output_size": size}
        elif targets.dtype.kind in "iu" and targets.ndim in (1, 2):
            names = examples.labels if targets.ndim == 1 else examples.labels or examples.symbols
            described["answers"] = "label" if targets.ndim == 1 else "symbols"
            described["output_size"] = len(names) or int(targets.max(initial=0)) + 1
            described["labels"] = list(names) or None
        else:
            raise ValueError(
                "Targets must be floats (count, size), or integers (count,) or (count, time). "
                f"Received: {targets.dtype} {targets.shape}"
            )
        return cls(**{**described, **arguments})

    # === Network ===

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The network's scores; see `MemoryNetwork`. For answers, see `predict`."""
        return self.network(inputs, training=training)

    def loss_terms(self, x, y, outputs, weights=None, training=False):
        """The squared error, or the cross-entropy in nats at each step that asks for an answer."""
        if self.answers == "number":
            losses = ops.square(outputs - ops.cast(y, "float32"))  # (batch, output_size)
            count = ops.size(losses)
        else:
            asked = ops.cast(ops.not_equal(y, PADDING_ID), "float32")
            losses = asked * ops.sparse_categorical_crossentropy(
                ops.maximum(y, 0), outputs, from_logits=True
            )  # (batch,) or (batch, time)
            count = ops.sum(asked)
        if weights is not None:
            missing = len(losses.shape) - len(weights.shape)
            losses = losses * (ops.expand_dims(weights, -1) if missing else weights)
        return [(ops.sum(losses), count)]

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """What is in the logs: the loss, and `solved`, the share of sequences answered right."""
        self.right.update_state(self._right(y, y_pred))
        return self.get_metrics_result()

    def _right(self, targets: Any, scores: Any) -> Any:
        """Which sequences are answered right: `(batch,)` of 0 and 1. See `evaluate`."""
        if self.answers == "number":
            errors = ops.abs(scores - ops.cast(targets, "float32"))
            right = ops.all(errors < NUMBER_TOLERANCE, axis=-1)
        elif self.answers == "label":
            wanted = ops.one_hot(targets, self.output_size, dtype="float32")
            errors = ops.abs(ops.softmax(scores, axis=-1) - wanted)
            right = ops.all(errors < LABEL_TOLERANCE, axis=-1)
        else:
            answers = ops.cast(ops.argmax(scores, axis=-1), targets.dtype)
            unasked = ops.equal(targets, PADDING_ID)
            right = ops.all(ops.logical_or(unasked, ops.equal(answers, targets)), axis=-1)
        return ops.cast(right, "float32")

    # === Examples ===

    def ready_batches(self, x: Any) -> tf.data.Dataset | None:
        """Batches, if that is what a dataset has; see `fit`."""
        if not isinstance(x, tf.data.Dataset) or not isinstance(x.element_spec, tuple):
            return None
        sequences = x.element_spec[0]
        rank = self._sequences_spec().shape.rank
        return x if isinstance(sequences, tf.TensorSpec) and sequences.shape.rank == rank else None

    def read(self, x: Any, y: Any = None, argument: str = "x") -> MemoryExamples:
        """Sequences with their targets from whatever they come in; see `fit`."""
        if isinstance(x, tf.data.Dataset):
            x, y = self._gathered(x, argument)
        inputs = self._checked_inputs(x, argument)
        if not len(inputs):
            raise ValueError(f"`{argument}` must hold at least one sequence. Received none.")
        allowed = None
        if isinstance(x, MemoryExamples):
            y, allowed = x.targets, x.allowed
        if y is None:
            raise ValueError(f"`{argument}` must come with its targets. Received none.")
        targets = check_numbers(y, f"The targets of `{argument}`")
        wanted: tuple[int, ...]
        if self.answers == "number":
            wanted, kinds = (len(inputs), self.output_size), "fiu"
            if targets.ndim == 1 and self.output_size == 1:
                targets = targets[:, None]
        else:
            wanted, kinds = inputs.shape[: 1 if self.answers == "label" else 2], "iu"
        if targets.shape != wanted or targets.dtype.kind not in kinds:
            kind = "numbers" if self.answers == "number" else "integers"
            raise ValueError(
                f"The targets of `{argument}` must be {kind} of the shape {wanted}. "
                f"Received: {targets.dtype} {targets.shape}"
            )
        if self.answers == "number":
            if not np.isfinite(targets).all():
                raise ValueError(f"The targets of `{argument}` must be finite numbers.")
            return MemoryExamples(inputs, targets.astype(np.float32))
        low = PADDING_ID if self.answers == "symbols" else 0
        _check_range(f"The targets of `{argument}`", targets, low, self.output_size)
        return MemoryExamples(inputs, targets.astype(np.int32), allowed=allowed)

    def _gathered(self, dataset: tf.data.Dataset, argument: str) -> tuple[Any, Any]:
        """The sequences and the targets of a dataset, padded to one length."""
        rank = self._sequences_spec().shape.rank - 1
        rows = list(rows_of(dataset, {"inputs": rank}, argument))
        if not all(isinstance(row, tuple) and len(row) == 2 for row in rows):
            raise ValueError(f"`{argument}` must be a dataset of pairs of a sequence and a target.")
        inputs, targets = [row[0] for row in rows], [row[1] for row in rows]
        absent = PADDING_ID if self.reads_symbols else np.nan
        return (
            _padded(inputs, absent),
            _padded(targets, PADDING_ID) if self.answers == "symbols" else np.array(targets),
        )

    def encode(self, examples: MemoryExamples) -> Encoded:
        """Sequences as they are."""
        return Encoded(examples.inputs, examples.targets, examples.present.sum(axis=1))

    def unlabelled(self, x: Any) -> Unlabelled:
        """Sequences as they are, and their symbols, or the numbers of their steps."""
        inputs = self._checked_inputs(x)
        present = MemoryExamples(inputs, np.zeros(len(inputs), np.int32)).present
        names = self.symbols or range(self.input_size)
        steps = [
            [str(names[i]) for i in row[here]] if self.reads_symbols else list(map(str, where))
            for row, here, where in zip(inputs, present, map(np.flatnonzero, present), strict=True)
        ]
        return Unlabelled(Encoded(inputs, (), present.sum(axis=1)), {"": steps})

    def class_weights(self, examples: MemoryExamples, class_weight: Any) -> Any:
        """How much each sequence counts by its label, or each step by its symbol."""
        if self.answers == "number":
            return super().class_weights(examples, class_weight)
        names = [self.label_name(number) for number in range(self.output_size)]
        weights = weights_by_class(class_weight, names)[examples.targets]
        if self.answers == "label":
            return weights
        rows, time = weights.shape
        return Ragged(np.arange(rows + 1) * time, weights.reshape(-1))

    # === Measuring ===

    def judge(self, x: Any, y: Any) -> dict[str, Any]:
        """The loss of sequences, their scores, and which are answered right."""
        scores = self.network(x, training=False)
        total, count = self.loss_terms(x, y, scores)[0]
        return {"loss": total, "count": count, "scores": scores, "right": self._right(y, scores)}

    def measure(self, examples: MemoryExamples, batch_size: int) -> dict[str, float]:
        """The figures of sequences; see `evaluate`."""
        losses = count = right = answers = 0.0
        for indices, judged in self.judged(self.encode(examples), batch_size):
            losses, count = losses + float(judged["loss"]), count + float(judged["count"])
            part = examples[indices]
            if part.allowed is not None:
                good, solved = _allowed(judged["scores"], part.targets, part.allowed)
                answers, right = answers + good, right + solved
                continue
            right += float(judged["right"].sum())
            if self.answers != "number":
                best = np.argmax(judged["scores"], axis=-1)
                answers += int((best == part.targets).sum())
        measured = {"loss": losses / max(1.0, count)}
        if self.answers == "number":
            measured["mse"] = measured["loss"]
        else:
            measured["accuracy"] = answers / max(1.0, count)
        return {**measured, "solved": right / len(examples)}

    # === Prediction ===

    def predict(self, x: Any, batch_size: int | None = None, verbose: str | int = 0) -> np.ndarray:
        """Answer.

        Args:
            x: sequences: numbers `(count, time, input_size)`, padded with NaN, or symbols
                `(count, time)`, padded with −1; or `MemoryExamples`.
            batch_size: how many sequences are in a batch; it changes no answer.
            verbose: 1 shows a progress bar.

        Returns:
            Numbers, float32 `(count, output_size)`; labels, int32 `(count,)`; or symbols, int32
            `(count, time)`, −1 where the sequence is padded.

        Raises:
            ValueError: if the sequences have a shape, a dtype or values that the model cannot take.

        Example:

        >>> from kerasrnn.data import copy_memory
        >>> from kerasrnn.zoo import MemoryModel
        >>> examples = copy_memory(3, blank=5, recalled=2, seed=1)
        >>> MemoryModel.from_examples(examples, units=8).predict(examples).shape
        (3, 9)
        """
        inputs = self._checked_inputs(x)
        scores = self._all_scores(inputs, batch_size, verbose)
        if self.answers == "number":
            return scores
        answers = scores.argmax(axis=-1).astype(np.int32)
        if self.answers == "symbols":
            answers[~MemoryExamples(inputs, inputs).present] = PADDING_ID
        return answers

    def probabilities(self, x: Any, batch_size: int | None = None) -> np.ndarray:
        """How likely each label or symbol is.

        Args:
            x: as for `predict`.
            batch_size: as for `predict`.

        Returns:
            float32 `(count, output_size)`, or with an answer at each step
            `(count, time, output_size)`.

        Raises:
            ValueError: as for `predict`, and if the model answers numbers.
        """
        if self.answers == "number":
            raise ValueError("This model answers numbers, which have no probabilities.")
        scores = self._all_scores(self._checked_inputs(x), batch_size)
        return tf.nn.softmax(scores, axis=-1).numpy()

    def _all_scores(
        self, inputs: np.ndarray, batch_size: int | None, verbose: str | int = 0
    ) -> np.ndarray:
        batch_size = self._answer_batch_size(batch_size)
        lengths = np.full(len(inputs), inputs.shape[1])
        batches = batches_of(lengths, batch_size, self.answer_steps, verbose=verbose)
        if not len(inputs):
            batches = iter([np.zeros(0, int)])
        parts = [self._scores_function(tf.constant(inputs[indices])).numpy() for indices in batches]
        scores = np.concatenate(parts)
        self.check_answers(scores)
        return scores

    def _scores(self, sequences: tf.Tensor) -> tf.Tensor:
        return self.network(sequences, training=False)

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """`serving_default`: whole sequences; `step`: one step and the states, for streaming.

        Returns:
            Two signatures, or only the first for a model that reads from both ends. The input is
            `numbers`, float32 `(batch, time, input_size)`, padded with NaN, or `symbols`, int32
            `(batch, time)`, padded with −1; for `step` it has no axis of time, and there are
            `state_1`, `state_2` …, float32 `(batch, units)`, zeros before the first step. The
            output is `number`, float32 `(batch, output_size)`; or `answer`, int32 `(batch,)` or
            `(batch, time)`, `probabilities`, float32 with an axis more, and, where labels have
            names, `name`, strings of the shape of `answer`. `step` answers for a sequence that ends
            there, and gives the new states under the names of the old.
        """
        name = self.input_name
        spec = self._sequences_spec()
        signatures = {"serving_default": Signature(self._serve, {name: spec})}
        if not self.settings["bidirectional"]:
            step = tf.TensorSpec((None, *spec.shape[2:]), spec.dtype)
            state = tf.TensorSpec((None, self.settings["units"]), tf.float32)
            count = len(self.network.get_initial_state(1))
            specs = {f"state_{i}": state for i in range(1, count + 1)}
            signatures["step"] = Signature(self._serve_step, {name: step, **specs})
        return signatures

    def _serve(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        (sequences,) = inputs.values()
        outputs = self._served(self.network(sequences, training=False))
        if self.answers == "symbols" and self.settings["padded"]:
            present = self.network.get_layer("presence")(sequences)
            outputs["answer"] = tf.where(present, outputs["answer"], PADDING_ID)
            if "name" in outputs:
                outputs["name"] = tf.where(present, outputs["name"], "")
        return outputs

    def _serve_step(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        name = self.input_name
        step = inputs.pop(name)
        states = [
            tf.cast(inputs[f"state_{i}"], self.compute_dtype) for i in range(1, len(inputs) + 1)
        ]
        scores, states = self.network.step(step, states)
        after = {f"state_{i}": tf.cast(s, tf.float32) for i, s in enumerate(states, start=1)}
        return {**self._served(scores), **after}

    def _served(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        if self.answers == "number":
            return {"number": scores}
        answer = tf.argmax(scores, axis=-1, output_type=tf.int32)
        outputs = {"answer": answer, "probabilities": tf.nn.softmax(scores, axis=-1)}
        if self.labels:
            outputs["name"] = tf.gather(tf.constant(self.labels), answer)
        return outputs

    def samples(self) -> dict[str, dict[str, Any]]:
        """Requests of random sequences; for a model that takes padding, padded ones among them.

        Returns:
            A batch for each signature.
        """
        generator = np.random.default_rng(0)
        inputs: np.ndarray
        if self.reads_symbols:
            inputs = generator.integers(0, self.input_size, (3, 12)).astype(np.int32)
        else:
            inputs = generator.random((3, 12, self.input_size), np.float32)
        name = self.input_name
        requests: dict[str, dict[str, Any]] = {}
        if "step" in self.signatures():
            units = self.settings["units"]
            states = {
                f"state_{i}": generator.normal(0, 0.5, (3, units)).astype(np.float32)
                for i in range(1, len(self.network.get_initial_state(1)) + 1)
            }
            requests["step"] = {name: inputs[:, 0], **states}
        inputs = inputs.copy()
        if self.settings["padded"]:
            inputs[1, 7:] = PADDING_ID if self.reads_symbols else np.nan
        return {"serving_default": {name: inputs}, **requests}

    def _sequences_spec(self) -> tf.TensorSpec:
        if self.reads_symbols:
            return tf.TensorSpec((None, None), tf.int32)
        return tf.TensorSpec((None, None, self.input_size), tf.float32)

    def _targets_spec(self) -> tf.TensorSpec:
        if self.answers == "number":
            return tf.TensorSpec((None, self.output_size), tf.float32)
        shape = (None,) if self.answers == "label" else (None, None)
        return tf.TensorSpec(shape, tf.int32)

    # === Data ===

    @property
    def input_name(self) -> str:
        """What the input is called in signatures: `symbols` or `numbers`."""
        return "symbols" if self.reads_symbols else "numbers"

    def label_name(self, number: int) -> str:
        """The name of a label or of an answered symbol, or its number where it has none.

        Args:
            number: from 0 to `output_size` − 1, or −1 for padding, which has no name.

        Returns:
            The name.
        """
        if number == PADDING_ID:
            return ""
        return self.labels[number] if self.labels else str(number)

    def check_examples(self, examples: MemoryExamples) -> None:
        """Raise a ValueError that says why, if the model cannot take some examples.

        Args:
            examples: the examples.
        """
        self.read(examples)

    def _checked_inputs(self, x: Any, argument: str = "x") -> np.ndarray:
        inputs = x.inputs if isinstance(x, MemoryExamples) else x
        inputs = check_numbers(inputs, f"`{argument}`")
        if self.reads_symbols:
            good = inputs.ndim == 2 and inputs.dtype.kind in "iu"
            wanted = "integers (count, time)"
        else:
            good = inputs.ndim == 3 and inputs.dtype.kind in "fiu"
            good = good and inputs.shape[2] == self.input_size
            wanted = f"numbers (count, time, {self.input_size})"
        if not good or not inputs.shape[1]:
            raise ValueError(
                f"`{argument}` must be {wanted}, of at least one step. "
                f"Received: {inputs.dtype} {inputs.shape}"
            )
        if self.reads_symbols:
            low = PADDING_ID if self.settings["padded"] else 0
            _check_range(f"`{argument}`", inputs, low, self.input_size)
            inputs = inputs.astype(np.int32)
            present = inputs != PADDING_ID
        else:
            inputs = inputs.astype(np.float32)
            missing = np.isnan(inputs)
            present = ~missing.all(axis=-1)
            if not self.settings["padded"] and missing.any():
                raise ValueError(
                    f"`{argument}` has NaN, which stands for padding. This model was made with "
                    "padded=False."
                )
            if missing[present].any() or np.isinf(inputs).any():
                raise ValueError(f"`{argument}` must hold finite numbers, or NaN for whole steps.")
        if not present[:, 0].all() or (present[:, 1:] & ~present[:, :-1]).any():
            raise ValueError(f"`{argument}` must be padded on the right only, and no row wholly.")
        return inputs


def _check_names(argument: str, names: Sequence[str] | None, count: int) -> None:
    if names is None:
        return
    if not count:
        raise ValueError(f"`{argument}` must be None for a model of numbers. Received: {names!r}")
    if len(names) != count or len(set(names)) != count or not all(names):
        raise ValueError(
            f"`{argument}` must be None or {count} different names. Received: {list(names)!r}"
        )


def _check_range(what: str, values: np.ndarray, low: int, high: int) -> None:
    if values.size and not (low <= values.min() and values.max() < high):
        raise ValueError(
            f"{what} must be at least {low} and below {high}. "
            f"Received values from {values.min()} to {values.max()}."
        )


def _allowed(scores: np.ndarray, targets: np.ndarray, allowed: np.ndarray) -> tuple[int, int]:
    """Steps whose best answer is allowed; sequences all of whose allowed answers are the best."""
    asked = targets != PADDING_ID  # (batch, time)
    best = np.take_along_axis(allowed, scores.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    lowest = np.where(allowed, scores, np.inf).min(axis=-1)
    highest = np.where(allowed, -np.inf, scores).max(axis=-1)
    apart = (lowest > highest) | ~asked
    return int((best & asked).sum()), int(apart.all(axis=-1).sum())


def _padded(rows: Sequence[np.ndarray], absent: float) -> np.ndarray:
    """Sequences of several lengths in one array."""
    if not rows:
        return np.zeros(0)
    return keras.utils.pad_sequences(rows, padding="post", value=absent, dtype=rows[0].dtype)
