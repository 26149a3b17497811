"""The tags of a task: their ids, and which may follow which."""

import difflib
import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrnn.storage.term_files import check_terms, read_terms, write_terms
from kerasrnn.text.layer import TextLayer, as_ids, as_strings, map_flat, static_table

# The prefixes a label takes in each scheme.
_PREFIXES = {"BIO": "BI", "BIOES": "BIES", "IO": "I"}
SCHEMES = (*_PREFIXES, "none")
OUTSIDE = "O"


@keras.saving.register_keras_serializable(package="kerasrnn")
class TagInventory(TextLayer):
    """Numbers tags from 0 and knows which sequences of them are legal.

    Ids depend on the set of tags only, not on the order given: `O` is 0 and the others follow in
    code order, or all are in code order under the scheme `none`. There is no id for padding:
    which steps are padded is the mask's to say.

    =======  ===================================  ============================================
    Scheme   Tags                                 Legal
    =======  ===================================  ============================================
    `BIO`    `O`, `B-X`, `I-X`                    `I-X` only after `B-X` or `I-X`
    `BIOES`  `O`, `B-X`, `I-X`, `E-X`, `S-X`      `B-X`, any number of `I-X`, and `E-X`; or
                                                  `S-X` for one token
    `IO`     `O`, `I-X`                           everything
    `none`   any, such as parts of speech         everything
    =======  ===================================  ============================================

    Args:
        tags: distinct tags in any order; `from_tags` takes the tags of a data set.
        scheme: `BIO`, `BIOES`, `IO` or `none`.
        **kwargs: `name` and other arguments of `keras.layers.Layer`.

    Raises:
        TypeError: `tags` is one string or holds something that is not a string.
        ValueError: there are no tags, one is empty, comes twice or does not belong to the scheme,
            or can stand in no legal sequence: an `I-X` without `B-X`, a `B-X` without `E-X`.

    Example:

    >>> from kerasrnn.text import TagInventory
    >>> inventory = TagInventory(["B-PER", "I-PER", "O"], scheme="BIO")
    >>> inventory.tags
    ('O', 'B-PER', 'I-PER')
    >>> inventory.ids(["B-PER", "O"]).numpy().tolist()
    [1, 0]
    >>> inventory([1, 0]).numpy().tolist()
    [b'B-PER', b'O']
    >>> inventory.allowed_transitions().astype(int).tolist()
    [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    """

    def __init__(self, tags: Iterable[str], scheme: str = "BIO", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scheme not in SCHEMES:
            raise ValueError(f"Unknown scheme {scheme!r}. Expected one of {', '.join(SCHEMES)}.")
        tags = check_terms(tags, "tags")
        if not tags:
            raise ValueError("Argument 'tags' must hold at least one tag. Received none.")
        self.scheme = scheme
        if scheme == "none":
            tags.sort()
        else:
            _check_scheme(tags, scheme)
            tags.sort(key=lambda tag: (tag != OUTSIDE, tag))
        self._tags = np.array(tags, dtype=object)
        with tf.init_scope():
            self._strings = tf.constant([*tags, ""], tf.string)  # by id; padding at the end
        self._table = static_table(tags, range(len(tags)), tf.string, default=-1)

    @classmethod
    def from_tags(
        cls, tags: Iterable[str] | Iterable[Iterable[str]], scheme: str = "BIO", **kwargs: Any
    ) -> "TagInventory":
        """The inventory of the tags that occur in data.

        Args:
            tags: tags, or sequences of tags, any number of times.
            scheme: as for the constructor.
            **kwargs: as for the constructor.

        Example:

        >>> from kerasrnn.text import TagInventory
        >>> TagInventory.from_tags([["B-PER", "O", "O"], ["B-LOC", "O"]]).tags
        ('O', 'B-LOC', 'B-PER')
        """
        distinct: set[str] = set()
        try:
            for item in tags:
                distinct.update([item] if isinstance(item, str | bytes) else item)
        except TypeError as error:
            raise TypeError(
                f"Argument 'tags' must hold tags, or sequences of tags. Received {tags!r:.200}."
            ) from error
        return cls(sorted(check_terms(distinct, "tags")), scheme=scheme, **kwargs)

    @property
    def size(self) -> int:
        """How many tags there are."""
        return len(self._tags)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags in order of their ids."""
        return tuple(self._tags)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the tags name, sorted: the types of entity, or under `none` the tags themselves.

        Example:

        >>> from kerasrnn.text import TagInventory
        >>> TagInventory(["O", "B-PER", "I-PER", "B-LOC"]).labels
        ('LOC', 'PER')
        """
        if self.scheme == "none":
            return self.tags
        return tuple(sorted({label for _, label in map(_split, self._tags) if label}))

    # === Ids ===

    def ids(self, tags: Any, padding_id: int | None = None) -> tf.Tensor | tf.RaggedTensor:
        """The ids of tags.

        Args:
            tags: strings of any shape, dense or ragged, or nested lists.
            padding_id: the id to give to empty strings, where a batch is padded. None takes an
                empty string for an unseen tag.

        Returns:
            int32 ids of the same shape.

        Raises:
            ValueError: a tag is not in the inventory; the message names it and the nearest tags.
                Inside of a graph, such as that of `tf.data.Dataset.map`, the error is
                `tf.errors.InvalidArgumentError`, raised when the graph runs.
        """
        tags = as_strings(tags, "tags")
        flat = tags.flat_values if isinstance(tags, tf.RaggedTensor) else tf.reshape(tags, [-1])
        ids = self._table.lookup(flat)
        if padding_id is not None:
            padded = tf.equal(flat, "")
            unseen = tf.boolean_mask(flat, tf.less(ids, 0) & ~padded)
            ids = tf.where(padded, tf.cast(padding_id, tf.int32), ids)
        else:
            unseen = tf.boolean_mask(flat, tf.less(ids, 0))
        if tf.executing_eagerly():
            if unseen.shape[0]:
                raise ValueError(self._unseen_message(unseen[0].numpy().decode(errors="replace")))
        else:
            message = f"Unseen tag. Expected one of {', '.join(self._tags)}. Received"
            check = tf.debugging.Assert(tf.equal(tf.size(unseen), 0), [message, unseen])
            with tf.control_dependencies([check] if check is not None else []):
                ids = tf.identity(ids)
        if isinstance(tags, tf.RaggedTensor):
            return tags.with_flat_values(ids)
        ids = tf.reshape(ids, tf.shape(tags))
        ids.set_shape(tags.shape)
        return ids

    def call(self, ids: Any) -> tf.Tensor | tf.RaggedTensor:
        """The tags of ids.

        Args:
            ids: integers below `size`, of any shape, dense or ragged.

        Returns:
            Strings of the same shape; the empty string for a negative id, which marks padding.

        Raises:
            ValueError: `ids` are no integers.
            tf.errors.InvalidArgumentError: an id is not below `size`.
        """
        ids = as_ids(ids, "ids")

        def strings(values: tf.Tensor) -> tf.Tensor:
            top = tf.cast(self.size, values.dtype)
            # The string at `size` is the padding's; an id of `size` itself must not reach it.
            return tf.gather(
                self._strings, tf.where(values < 0, top, tf.where(values < top, values, top + 1))
            )

        return map_flat(strings, ids)

    def _unseen_message(self, tag: str) -> str:
        near = difflib.get_close_matches(tag, self.tags, n=3)
        hint = f" The nearest: {', '.join(near)}." if near else ""
        return (
            f"Unseen tag {tag!r}. Expected one of the inventory's {self.size} tags: "
            f"{', '.join(self._tags[:50])}{', ...' if self.size > 50 else ''}.{hint}"
        )

    # === Legal sequences ===

    def allowed_transitions(self) -> np.ndarray:
        """Which tag may follow which.

        Returns:
            bool array of shape `(size, size)`; `[i, j]` is true if tag j may come after tag i.
        """
        allowed = [[self._may_follow(first, then) for then in self._tags] for first in self._tags]
        return np.array(allowed, bool)  # (size, size)

    def allowed_starts(self) -> np.ndarray:
        """Which tags may open a sentence: those that may follow `O`.

        Returns:
            bool array of shape `(size,)`.
        """
        return np.array([self._may_follow(OUTSIDE, tag) for tag in self._tags], bool)

    def allowed_ends(self) -> np.ndarray:
        """Which tags may close a sentence: those that `O` may follow.

        Returns:
            bool array of shape `(size,)`.
        """
        return np.array([self._may_follow(tag, OUTSIDE) for tag in self._tags], bool)

    def _may_follow(self, first: str, then: str) -> bool:
        if self.scheme in ("IO", "none"):
            return True
        first_prefix, first_label = _split(first)
        then_prefix, then_label = _split(then)
        goes_on = then_prefix in ("I", "E")
        if self.scheme == "BIO":
            return not goes_on or first_label == then_label
        is_open = first_prefix in ("B", "I")
        return is_open == goes_on and (not goes_on or first_label == then_label)

    # === Files and config ===

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tags to a UTF-8 file, one a line, in order of their ids.

        The file appears whole or not at all; the scheme is not in it.

        Args:
            path: the file, replaced if it exists.
        """
        write_terms(path, self._tags)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **kwargs: Any) -> "TagInventory":
        """Read an inventory that `save` wrote.

        Args:
            path: the file.
            **kwargs: the constructor's other arguments, `scheme` among them.

        Raises:
            ValueError: a line is empty, repeats another or is not valid; the message names it.
        """
        return cls(read_terms(path), **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "tags": list(self._tags), "scheme": self.scheme}


def _split(tag: str) -> tuple[str, str]:
    """`B-PER` to `B`, `PER`; `O` to `O` and no label."""
    prefix, _, label = tag.partition("-")
    return prefix, label


def _check_scheme(tags: list[str], scheme: str) -> None:
    prefixes = _PREFIXES[scheme]
    for tag in tags:
        prefix, label = _split(tag)
        if tag != OUTSIDE and not (len(prefix) == 1 and prefix in prefixes and label):
            raise ValueError(
                f"Argument 'tags' holds {tag!r}, which is not a tag of scheme {scheme}. Expected "
                f"'O', or one of {', '.join(f'{p}-' for p in prefixes)} followed by a label."
            )
        if scheme != "IO" and prefix in ("I", "E"):
            _require(tags, tag, f"B-{label}", scheme)
        if scheme == "BIOES" and prefix in ("B", "I"):
            _require(tags, tag, f"E-{label}", scheme)


def _require(tags: list[str], tag: str, other: str, scheme: str) -> None:
    if other not in tags:
        raise ValueError(
            f"Argument 'tags' holds {tag!r} but not {other!r}, without which no legal sequence of "
            f"scheme {scheme} has {tag!r}. Is the data in another scheme?"
        )
