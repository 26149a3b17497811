"""Transfer: a new head on a trained body, more words, and parts that are frozen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kerasrnn.embeddings.pieces import linear_map, vectors_from_pieces
from kerasrnn.layers.parts import PARTS, parts_of
from kerasrnn.networks.options import options_of
from kerasrnn.storage.term_files import FIRST_TERM_ID, UNKNOWN_ID, check_terms, check_texts

# === What a class declares ===


@dataclass(frozen=True)
class Head:
    """A head of a task: what of its weights belongs to its labels, and to nothing else.

    Attributes:
        layers: the paths of its layers, as `kerasrnn.layers.parts.parts_of` has them.
        terms: the argument that holds its labels; empty where there is none.
        options: the other arguments that say what its weights stand for.
        without_weights: arguments that only have a meaning for these labels, and no weights; for
            other labels they begin with their defaults.
        between: by their paths, layers between body and head with the arguments that only they
            have. They are kept with the body where the old model and the new one have them alike,
            and begin anew where not.
    """

    layers: tuple[str, ...]
    terms: str = ""
    options: tuple[str, ...] = ()
    without_weights: tuple[str, ...] = ()
    between: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[str, ...]:
        """All arguments that belong to it."""
        return (*filter(None, [self.terms]), *self.options, *self.without_weights)


def heads_with_labels(task_class: Any) -> list[Head]:
    """The heads of a class of tasks that can be made anew for other labels."""
    return [head for head in task_class.heads if head.terms]


# === Which head is new ===


def head_changes(
    task_class: Any, arguments: Mapping[str, Any], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """The overrides of a preset's arguments that ask for a new head.

    Args:
        task_class: the preset's class.
        arguments: the preset's own arguments.
        overrides: those that are to replace them.

    Returns:
        For each head whose labels are given, and are others or have another meaning, all that is
        given of its arguments. The same labels in another order are the same.

    Raises:
        ValueError: if labels are given that are none.
    """
    options = options_of(task_class)
    changes: dict[str, Any] = {}
    for head in heads_with_labels(task_class):
        if head.terms not in overrides:
            continue
        given = {name: overrides[name] for name in head.arguments if name in overrides}
        terms = given[head.terms] = checked_labels(task_class, head.terms, given[head.terms])
        old = arguments.get(head.terms)
        others = [
            arguments.get(name, options[name].default) != given[name]
            for name in head.options
            if name in given
        ]
        if set(terms or ()) != set(old or ()) or any(others):
            changes |= given
    return changes


def checked_labels(task_class: type, name: str, labels: Any) -> list[str] | None:
    """The labels of a new head.

    Args:
        task_class: the task's class.
        name: the argument that holds them.
        labels: what was given.

    Returns:
        The labels as a list; None for no head, where there may be none.

    Raises:
        ValueError: if they are no distinct names, or less than two.
    """
    if isinstance(labels, Iterable) and not isinstance(labels, str | bytes):
        labels = list(labels)
    if options_of(task_class)[name].optional and labels in (None, []):
        return None
    try:
        terms = check_terms(labels, name)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if len(terms) < 2:
        raise ValueError(
            f"`{name}` must hold at least two names: of one there is nothing to learn. "
            f"Received: {terms}"
        )
    return [str(term) for term in terms]  # NumPy has strings of its own


# === Another model with the same weights ===


def with_new_head(task: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a task with a new head; see `Task.new_head`."""
    task_class = type(task)
    heads = heads_with_labels(task_class)
    if not heads:
        raise ValueError(f"{task_class.__name__} has no head with labels, which could be new.")
    known = [name for head in heads for name in head.arguments]
    for name in changes:
        if name not in known:
            raise ValueError(
                f"`{name}` is no argument of the head of {task_class.__name__}. "
                f"Expected one of {', '.join(known)}."
            )
    changes = dict(changes)
    for head in heads:
        if head.terms in changes:
            changes[head.terms] = checked_labels(task_class, head.terms, changes[head.terms])
            for name in head.without_weights:
                changes.setdefault(name, options_of(task_class)[name].default)
    touched = [head for head in heads if not changes or set(head.arguments) & set(changes)]
    there = dict(parts_of(task))
    for head in touched:
        for path, names in head.between.items():
            if path not in there:  # what the model says of it has never meant anything
                for name in names:
                    changes.setdefault(name, options_of(task_class)[name].default)
    layers = [path for head in touched for path in head.layers]
    between = [path for head in touched for path in head.between]
    return remade(task, changes, new=layers, perhaps_new=between)


def remade(
    task: Any,
    changes: Mapping[str, Any],
    *,
    new: Collection[str] = (),
    perhaps_new: Collection[str] = (),
    more_rows: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """A copy of a task with some other arguments. Its weights are the task's own.

    Args:
        task: the task.
        changes: the arguments that are others.
        new: the paths of layers whose weights are drawn anew.
        perhaps_new: the paths of those that have the task's weights only if it has such weights.
        more_rows: what stands below the rows of a layer's only weight, by the layer's path.

    Returns:
        The copy, not compiled. What is frozen in the task is frozen in it, but for what is new.

    Raises:
        ValueError: if an argument is not allowed, or would make other weights of those to be kept.
    """
    config = {k: v for k, v in task.get_config().items() if k not in ("trainable", PARTS)}
    made = type(task).from_config({**config, **changes})
    old = own_weights(task)
    begun = set(new)
    more_rows = more_rows or {}
    for path, weights in own_weights(made).items():
        kept = old.get(path, [])
        if path in more_rows:
            weights[0].assign(np.vstack([keras.ops.convert_to_numpy(kept[0]), more_rows[path]]))
            continue
        alike = [w.shape for w in kept] == [w.shape for w in weights]
        if _within(path, perhaps_new) and not alike:
            begun.add(path)
        if _within(path, begun):
            continue
        if not alike:
            raise ValueError(
                f"The weights of {path} are kept, and have the shapes "
                f"{[tuple(w.shape) for w in kept]}. With {', '.join(changes)} as given they would "
                f"have {[tuple(w.shape) for w in weights]}."
            )
        for weight, value in zip(weights, kept, strict=True):
            weight.assign(value)
    made._new_layers = frozenset(begun) | task._new_layers
    _keep_flags(task, made, begun)
    return made


def on_language_model(
    task_class: Any, model: Any, levels: Collection[str], arguments: Mapping[str, Any]
) -> Any:
    """A new task that reads as a language model does; see `TextClassifier.from_language_model`.

    Args:
        task_class: the task's class.
        model: the language model.
        levels: the levels at which the class can read.
        arguments: those of the task's constructor that the language model does not decide.

    Returns:
        The task. Its embeddings and recurrent layers have the language model's weights.

    Raises:
        ValueError: if the language model reads at another level, an argument is one that it
            decides, or there is no room for its weights.
    """
    if not hasattr(model, "text_units"):
        raise ValueError(f"`model` must be a LanguageModel. Received: {type(model).__name__}")
    level = model.settings["level"]
    if level not in levels:
        raise ValueError(
            f"{task_class.__name__} cannot read as this language model does, at the level of "
            f"{level}. Expected a language model of {' or '.join(levels)}."
        )
    table = task_class.word_layers[0].rpartition("/")[2]  # such as word_embeddings
    decided = {
        task_class.words_argument: list(model.text_units.terms),
        f"{table.partition('_')[0]}_dimension": model.settings["dimension"],
        **{name: model.settings[name] for name in ("cell", "units", "depth", "lowercase")},
        "normalize_digits": False,
        "split_contractions": False,
        # Beside the embedding there is no room for more.
        **{"spelling": "none", "capitals": False, "subwords": None},
        "level": level,
    }
    decided = {k: v for k, v in decided.items() if k in options_of(task_class)}
    for name in arguments:
        if name in decided:
            raise ValueError(f"`{name}` is that of the language model: {decided[name]!r:.60}.")
    both = arguments.get("bidirectional", False)
    if both and model.settings["depth"] > 1:
        raise ValueError(
            "`bidirectional` must be False for a language model of several layers: those above the "
            "first would read both directions, and have learnt to read one."
        )
    given = {"dtype": model.dtype_policy, "bidirectional": False, **arguments}
    task = task_class(**decided, **given)
    old = own_weights(model)
    begun = set()
    for path, weights in own_weights(task).items():
        source = path.replace("/both_1/forward_layer_1/", "/layer_1/") if both else path
        if path == task_class.word_layers[0]:
            weights[0].assign(old["network/embedding"][0])
        elif source.startswith("network/rnn/") and source in old:
            for weight, value in zip(weights, old[source], strict=True):
                weight.assign(value)
        else:
            begun.add(path)
    task._new_layers = frozenset(begun)
    return task


def own_weights(task: Any) -> dict[str, list[Any]]:
    """The weights of each layer of a task, without those of the layers within it, by its path."""
    found = {}
    for path, layer in parts_of(task):
        below = {id(weight) for part in layer._layers for weight in part.weights}
        own = [weight for weight in layer.weights if id(weight) not in below]
        if own:
            found[path] = own
    return found


def _within(path: str, layers: Collection[str]) -> bool:
    """Whether a path is that of one of some layers, or of a part of it."""
    return any(path == layer or path.startswith(f"{layer}/") for layer in layers)


def _above(path: str, layers: Collection[str]) -> bool:
    """Whether one of some layers is a part of what has a path, the empty one being the task's."""
    return any(not path or layer.startswith(f"{path}/") for layer in layers)


# === More words ===


def with_more_words(task: Any, words: Iterable[str], vectors: Any = None) -> Any:
    """A copy of a task that knows more words; see `Task.with_words`."""
    argument = task.words_argument
    if not argument or task.settings.get("level", "words") != "words":
        why = "it reads characters" if argument else "its class has no such argument"
        raise ValueError(f"No words can be added to this {type(task).__name__}: {why}.")
    try:
        given = check_texts(words, "words")
    except TypeError as error:
        raise ValueError(str(error)) from error
    if "" in given:
        raise ValueError(f"`words` holds an empty string at position {given.index('')}.")
    known = task.vocabulary.terms
    there = set(known)
    new = [form for form in dict.fromkeys(task.vocabulary.forms(given)) if form not in there]
    path = task.word_layers[0]
    table = keras.ops.convert_to_numpy(own_weights(task)[path][0])
    rows = np.tile(table[UNKNOWN_ID], (len(new), 1))
    if isinstance(vectors, str) and vectors == "pieces":
        rows = vectors_from_pieces(known, table[FIRST_TERM_ID:], new)
    elif vectors is not None:
        find = _look_up(vectors)
        to_table = linear_map(known, table[FIRST_TERM_ID:], find)
        for row, vector in zip(rows, map(find, new), strict=True):
            if vector is not None:
                row[:] = vector @ to_table
    return remade(task, {argument: [*known, *new]}, more_rows={path: rows})


def _look_up(vectors: Any) -> Callable[[str], np.ndarray | None]:
    """What finds the vector of a word."""
    pair = vectors if isinstance(vectors, tuple) else [getattr(vectors, n, None) for n in _MATRIX]
    if len(pair) != 2 or isinstance(pair[0], str) or not isinstance(pair[0], Collection):
        raise ValueError(
            "`vectors` must be None, 'pieces', an EmbeddingMatrix, or a pair of terms and their "
            f"vectors. Received: {vectors!r:.100}"
        )
    terms, matrix = list(pair[0]), np.asarray(pair[1])
    if matrix.ndim != 2 or len(matrix) != len(terms) or not np.isfinite(matrix).all():
        raise ValueError(
            f"`vectors` must hold a finite vector for each of its {len(terms)} terms, (terms, "
            f"dimension). Received an array of the shape {matrix.shape}."
        )
    places = {term: place for place, term in reversed(list(enumerate(terms)))}  # the first counts

    def find(word: str) -> np.ndarray | None:
        place = places.get(word, places.get(word.lower()))
        return None if place is None else matrix[place]

    return find


_MATRIX = ("terms", "matrix")


# === Frozen parts ===


def names_of_parts(task: Any) -> dict[str, list[str]]:
    """What can be frozen of a task: by name the paths of the layers that have the weights."""
    weights = list(own_weights(task))
    heads = {path for head in task.heads for path in head.layers} | task._new_layers
    words = [path for path in weights if _within(path, task.word_layers)]
    body = [path for path in weights if not _within(path, heads)]
    found = {"words": words} if words else {}
    if heads and 0 < len(body) < len(weights):
        found["body"] = body
    return found


def frozen_parts(task: Any) -> tuple[str, ...]:
    """The names of what can be frozen, and is, all of it."""
    learning = {id(weight) for weight in task.trainable_weights}
    weights = own_weights(task)
    return tuple(
        name
        for name, paths in names_of_parts(task).items()
        if not any(id(weight) in learning for path in paths for weight in weights[path])
    )


def set_frozen(task: Any, what: str | None, frozen: bool) -> None:
    """Freeze a part of a task, or let it learn; see `Task.freeze` and `Task.unfreeze`."""
    parts = names_of_parts(task)
    if what is not None and what not in parts:
        raise ValueError(
            f"Unknown part {what!r} of {type(task).__name__}. "
            f"Expected one of {', '.join(parts) or 'none: it has no such parts'}."
        )
    flags = _flags(task)
    as_made = task._frozen_when_made
    if what is None:
        flags = {path: path not in as_made for path in flags}
    else:
        for path in parts[what]:
            flags[path] = not (frozen or (what == "body" and _within(path, as_made)))
        if not frozen:
            # In Keras nothing learns in a layer that is frozen, whatever its own parts say.
            open_ = [path for path in parts[what] if flags[path]]
            flags |= {path: True for path in flags if _above(path, open_)}
    _set_flags(task, flags)


def _flags(task: Any) -> dict[str, bool]:
    return {"": task.trainable, **{path: part.trainable for path, part in parts_of(task)}}


def _set_flags(task: Any, flags: Mapping[str, bool]) -> None:
    # A flag that is set holds for the parts, too: those above come before those below.
    for path, layer in _layers(task):
        if layer.trainable != flags[path]:
            layer.trainable = flags[path]


def _layers(task: Any) -> Iterator[tuple[str, keras.layers.Layer]]:
    yield "", task
    yield from parts_of(task)


def _keep_flags(task: Any, made: Any, new: Collection[str]) -> None:
    """Freeze what is frozen in a task, but for what is new, and can learn."""
    old = _flags(task)
    flags = {
        path: flag if _within(path, new) else _above(path, new) or old.get(path, flag)
        for path, flag in _flags(made).items()
    }
    _set_flags(made, flags)


# === The optimizer ===


def begin_again(task: Any) -> None:
    """Have a compiled task train what is to learn by now.

    Keras traces a training step, and builds an optimizer, for the weights that could learn then.
    Adam's means for others would be zeros, taken for those of thousands of steps: the first changes
    would be several times too long. So the optimizer is one of the same settings that begins anew.

    Args:
        task: the task.
    """
    task.train_function = None
    if task.optimizer.built:
        task.optimizer = type(task.optimizer).from_config(task.optimizer.get_config())
