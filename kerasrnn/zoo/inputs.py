"""What people hand to a task, read into plain Python; and what a network is told of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.networks.options import options_of
from kerasrnn.text import CharacterIds, Vocabulary
from kerasrnn.text.plain import plain_text
from kerasrnn.text.units import plain_texts
from kerasrnn.zoo.batches import Ragged

# === Examples ===


def plain(item: Any) -> Any:
    """Strings and lists of strings, whatever bytes, tuples and arrays they come in."""
    item = item.numpy() if hasattr(item, "numpy") else item
    if isinstance(item, list | tuple | np.ndarray):
        return [plain(part) for part in item]
    return plain_text(item)


def rows_of(dataset: tf.data.Dataset, ranks: Mapping[str, int], argument: str) -> Iterator[Any]:
    """The rows of a data set, one by one, whether it holds rows or batches of them.

    Args:
        dataset: its elements are dicts, tuples or single tensors.
        ranks: the number of axes that each part of a row has, by its name; those of a tuple in
            their order.
        argument: the name that an error gives to the data set.

    Yields:
        Rows as NumPy has them. Behind the end of a ragged part of a batch nothing is left.

    Raises:
        ValueError: if the data set has no end.
    """
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"`{argument}` must be a dataset that ends: all of it is read into memory. "
            "Received one without end; `take` a part of it."
        )
    spec = dataset.element_spec
    if isinstance(spec, dict):
        parts = {name: spec[name] for name in ranks if name in spec}
    else:
        parts = dict(zip(ranks, spec if isinstance(spec, tuple) else (spec,), strict=False))
    if any(part.shape.rank == ranks[name] + 1 for name, part in parts.items()):
        dataset = dataset.unbatch()
    yield from dataset.as_numpy_iterator()


def class_number(name: Any, names: Sequence[str], what: str) -> Any:
    """The name of a class that is given by its number.

    Args:
        name: a name, or a number.
        names: the names of the classes.
        what: what an error calls it.

    Returns:
        The name as it is. For a number, its digits if a class is called so, else the class of that
        number, counted from 0.

    Raises:
        ValueError: if there is no class of that number.
    """
    name = plain(name)
    if not isinstance(name, int | np.integer) or isinstance(name, bool):
        return name
    if str(name) in names:
        return str(name)
    if not 0 <= name < len(names):
        raise ValueError(f"{what} must be a name, or a number below {len(names)}. Received: {name}")
    return names[int(name)]


def weights_by_class(class_weight: Mapping[Any, float], names: Sequence[str]) -> np.ndarray:
    """How much each class counts.

    Args:
        class_weight: weights by the names or the numbers of classes.
        names: the names of all classes.

    Returns:
        float32 `(classes,)`, 1 for those that are not named.

    Raises:
        ValueError: if there is no such class, or a weight is below 0 or no number.
    """
    weights = np.ones(len(names), np.float32)
    for given, weight in class_weight.items():
        name = class_number(given, names, "A class of `class_weight`")
        if name not in names:
            raise ValueError(
                f"`class_weight` has the unknown class {name!r}. Expected some of "
                f"{', '.join(names)}."
            )
        good = isinstance(weight, int | float | np.number) and np.isfinite(weight) and weight >= 0
        if not good:
            raise ValueError(
                f"`class_weight` must hold numbers of at least 0. Received: {name!r}: {weight!r}"
            )
        weights[list(names).index(name)] = weight
    return weights


def joined_probabilities(
    soft_targets: Sequence[Any], shapes: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """Probabilities of all examples in one array.

    Args:
        soft_targets: for each example an array.
        shapes: its shape; the last axis holds probabilities that add up to 1.

    Returns:
        float32 `(rows, classes)`.

    Raises:
        ValueError: if there are more or fewer, a shape is another, or numbers are no probabilities.
    """
    if len(soft_targets) != len(shapes):
        raise ValueError(
            f"`soft_targets` must have one array for each of the {len(shapes)} examples. "
            f"Received {len(soft_targets)}."
        )
    rows = [np.asarray(row, np.float32) for row in soft_targets]
    for number, (row, shape) in enumerate(zip(rows, shapes, strict=True), start=1):
        if row.shape != shape:
            raise ValueError(
                f"`soft_targets` must have the shape {shape} for example {number}. "
                f"Received: {row.shape}"
            )
    joined = np.concatenate([np.atleast_2d(row) for row in rows])
    wrong = (joined < 0).any(axis=1) | ~(np.abs(joined.sum(axis=1) - 1) < 1e-2)
    if wrong.any():
        raise ValueError(
            "`soft_targets` must hold probabilities that add up to 1. "
            f"Received: {joined[wrong.argmax()].tolist()}"
        )
    return joined


# === Words ===


def known_words(
    task_class: type,
    arguments: dict[str, Any],
    counts: Mapping[str, int],
    *,
    min_count: int,
    most: int | None,
    extra: Iterable[str],
) -> list[str]:
    """The words that a new model is to know.

    Args:
        task_class: its class.
        arguments: those of its constructor, which say in what form words are. If words are spelled,
            their `characters` are added to them.
        counts: how often each word occurs, as it is written.
        min_count: how often one must occur to be known.
        most: how many are known at most, those of `extra` not counted; None for all.
        extra: further words to know.

    Returns:
        The words, the most frequent first.
    """
    options = options_of(task_class)

    def given(name: str) -> Any:
        return arguments.get(name, options[name].default)

    form = {name: given(name) for name in ("lowercase", "normalize_digits")}
    limit = None if most is None else most + 2  # padding and unknown count as well
    vocabulary = Vocabulary.from_counts(counts, min_count=min_count, max_size=limit, **form)
    further = Vocabulary.from_counts(dict.fromkeys(extra, 1), **form)
    if given("spelling") != "none":
        arguments.setdefault("characters", list(CharacterIds.from_counts(counts).characters))
    return list(dict.fromkeys([*vocabulary.terms, *further.terms]))


def tokenize(
    tokenizer: Any, texts: list[str]
) -> tuple[list[list[str]], list[list[tuple[int, int]]]]:
    """The tokens of texts, and where they stand.

    Args:
        tokenizer: a layer that returns `tokens`, `starts` and `ends`.
        texts: any strings. A lone surrogate counts as U+FFFD.

    Returns:
        For each text its tokens, and for each token its start and its end in characters.
    """
    sentences: list[list[str]] = []
    spots: list[list[tuple[int, int]]] = []
    for begin in range(0, len(texts), 1024):
        part = plain_texts(texts[begin : begin + 1024])  # with all offsets as they were
        output = tokenizer(tf.constant(part, tf.string))
        sentences += [[word.decode() for word in row] for row in output["tokens"].to_list()]
        starts, ends = output["starts"].to_list(), output["ends"].to_list()
        spots += [list(zip(*row, strict=True)) for row in zip(starts, ends, strict=True)]
    return sentences, spots


def padded_words(sentences: Sequence[Sequence[str]]) -> tf.Tensor:
    """Lists of words as strings `(batch, time)`, time being at least 1; empty behind the end."""
    time = max(1, *map(len, sentences))
    return tf.constant([[*words, *[""] * (time - len(words))] for words in sentences], tf.string)


class WordFeatures:
    """What a network is told of each word: the ids of the word, its letters, and so on.

    Args:
        **layers: by the name of the network's input the layer that makes it of words; None for one
            that is not there. Layers whose ids have one more axis end with the longest word.
    """

    def __init__(self, **layers: Any) -> None:
        self.layers = {name: layer for name, layer in layers.items() if layer is not None}

    def columns(self, splits: np.ndarray, words: Sequence[str]) -> dict[str, Ragged]:
        """The inputs for words that stand behind each other.

        Args:
            splits: `(examples + 1,)`, where each example begins.
            words: all words.
        """
        flat = tf.constant(words, tf.string)
        columns = {}
        for name, layer in self.layers.items():
            values = layer(flat).numpy()
            columns[name] = Ragged(splits, values, trimmed=values.ndim > 1)
        return columns

    def __call__(self, words: tf.Tensor) -> dict[str, tf.Tensor]:
        """The inputs for words `(batch, time)`, the empty string for padding, in the graph."""
        inputs = {name: layer(words) for name, layer in self.layers.items()}
        return {name: _trimmed(ids) if ids.shape.rank == 3 else ids for name, ids in inputs.items()}


def _trimmed(letters: tf.Tensor) -> tf.Tensor:
    """Ids `(batch, time, length)` without the places behind the longest word, but for one."""
    used = tf.reduce_any(tf.not_equal(letters, 0), axis=[0, 1])
    longest = tf.maximum(1, tf.reduce_sum(tf.cast(used, tf.int32)))
    return letters[:, :, :longest]


# === Networks ===


def set_rows(
    embeddings: keras.Variable, matrix: np.ndarray, found: Sequence[int] | np.ndarray
) -> None:
    """Set some rows of an embedding matrix, such as those of pretrained vectors.

    Args:
        embeddings: the variable `(size, dimension)`.
        matrix: the new values, of the same shape.
        found: which rows to set: booleans `(size,)`.

    Raises:
        ValueError: if `matrix` or `found` has another shape.
    """
    if tuple(matrix.shape) != tuple(embeddings.shape):
        raise ValueError(
            f"`matrix` must have the shape {tuple(embeddings.shape)}. "
            f"Received: {tuple(matrix.shape)}"
        )
    rows = np.asarray(found, bool)
    if rows.shape != (len(matrix),):
        raise ValueError(f"`found` must have the shape ({len(matrix)},). Got: {rows.shape}")
    values = keras.ops.convert_to_numpy(embeddings)
    embeddings.assign(np.where(rows[:, None], matrix, values))


def input_specs(network: keras.Model) -> dict[str, tf.TensorSpec]:
    """What a network takes, for a `tf.function` that is to be traced once for all sizes."""
    return {name: tf.TensorSpec(x.shape, x.dtype, name) for name, x in network.input.items()}


def traced(function: Any, *signature: Any) -> Any:
    """A graph of a function for all sizes of batch; it is traced when it is first called."""
    return tf.function(function, input_signature=signature, autograph=False)
