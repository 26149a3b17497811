"""Generated tasks that need a long memory: adding, copying, temporal order, Reber, rows of pixels.

Each generator returns `MemoryExamples`, whose arrays depend on the arguments and the seed alone.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.extras import require

if TYPE_CHECKING:
    import tensorflow as tf

# A symbol that is not there: a padded step of the inputs, a step of the targets without an answer.
PADDING = -1

Seed = int | Sequence[int]


@dataclass(frozen=True)
class MemoryExamples:
    """Sequences, and what a model that has read them is to answer.

    Attributes:
        inputs: what is read. Numbers, float32 `(count, time, size)`, a padded step all NaN; or
            symbols, int32 `(count, time)`, a padded step −1.
        targets: what is to be answered. Numbers at the end, float32 `(count, size)`; a label at the
            end, int32 `(count,)`; or a symbol at each step, int32 `(count, time)`, −1 where none is
            asked for.
        symbols: the names of the symbols by number; empty for numbers.
        labels: the names of the labels by number; empty where there are none.
        allowed: where more than one answer is right, as in a grammar: which symbols are,
            booleans `(count, time, symbols)`; else None.

    Example:

    >>> from kerasrnn.data import embedded_reber
    >>> examples = embedded_reber(3, seed=1)
    >>> examples.text(1)
    'BTBTXSETE'
    """

    inputs: np.ndarray
    targets: np.ndarray
    symbols: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    allowed: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: slice | np.ndarray) -> MemoryExamples:
        """Some of the examples, by a slice or an array of numbers or booleans."""
        allowed = None if self.allowed is None else self.allowed[rows]
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], allowed=allowed)

    @property
    def present(self) -> np.ndarray:
        """Which steps are there and no padding, booleans `(count, time)`."""
        if self.inputs.ndim == 2:
            return self.inputs != PADDING
        return ~np.isnan(self.inputs).all(axis=-1)

    @property
    def steps(self) -> int:
        """How many steps there are in all, without padding."""
        return int(self.present.sum())

    def text(self, row: int) -> str:
        """The symbols of a sequence, one after the other.

        Args:
            row: the number of the sequence.

        Returns:
            The names without a space between them where each is one character.

        Raises:
            ValueError: if the sequence is one of numbers.
        """
        if not self.symbols:
            raise ValueError("These sequences are of numbers; only symbols have a text.")
        names = [self.symbols[i] for i in self.inputs[row] if i != PADDING]
        return ("" if all(len(name) == 1 for name in self.symbols) else " ").join(names)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the examples to a file that `load` reads.

        Args:
            path: the file; its name should end in `.npz`.

        Example:

        >>> import tempfile
        >>> from kerasrnn.data import MemoryExamples, embedded_reber
        >>> path = tempfile.mkdtemp() + "/reber.npz"
        >>> embedded_reber(3, seed=1).save(path)
        >>> MemoryExamples.load(path).text(1)
        'BTBTXSETE'
        """
        arrays = {"inputs": self.inputs, "targets": self.targets}
        for name, names in (("symbols", self.symbols), ("labels", self.labels)):
            if names:
                arrays[name] = np.array(names, np.str_)
        if self.allowed is not None:
            arrays["allowed"] = self.allowed
        with open(path, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MemoryExamples:
        """Read examples from a NumPy archive `.npz`.

        Args:
            path: a file with the arrays `inputs` and `targets`, and perhaps `symbols`, `labels` and
                `allowed`, as the attributes of these names have them.

        Returns:
            The examples, floats as float32 and integers as int32.

        Raises:
            DataError: if the file cannot be read, lacks an array, or has one that does not fit.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
            got = "none" if not os.path.exists(path) else str(error)
            raise DataError.at(path, None, expected="a NumPy archive .npz", got=got) from error
        missing = {"inputs", "targets"} - set(arrays)
        unknown = set(arrays) - {"inputs", "targets", "symbols", "labels", "allowed"}
        if missing or unknown:
            raise DataError.at(
                path,
                None,
                expected="the arrays inputs and targets, and perhaps symbols, labels and allowed",
                got=", ".join(sorted(arrays)) or "none",
            )
        for name in ("inputs", "targets"):
            kind = arrays[name].dtype.kind
            if kind not in "fiu":
                raise DataError.at(
                    path, None, expected=f"numbers in {name}", got=str(arrays[name].dtype)
                )
            arrays[name] = arrays[name].astype(np.float32 if kind == "f" else np.int32)
        if len(arrays["inputs"]) != len(arrays["targets"]) or not len(arrays["inputs"]):
            raise DataError.at(
                path,
                None,
                expected="as many targets as inputs, at least one",
                got=f"{len(arrays['targets'])} and {len(arrays['inputs'])}",
            )
        return cls(
            arrays["inputs"],
            arrays["targets"],
            tuple(map(str, arrays.get("symbols", ()))),
            tuple(map(str, arrays.get("labels", ()))),
            arrays.get("allowed"),
        )

    def dataset(self, batch_size: int | None = None) -> tf.data.Dataset:
        """The examples as `tf.data.Dataset`.

        Args:
            batch_size: how many are in a batch; None for single ones.

        Returns:
            A dataset of pairs `(inputs, targets)` in their order.

        Example:

        >>> from kerasrnn.data import adding
        >>> inputs, targets = next(iter(adding(8, length=20, seed=1).dataset(batch_size=4)))
        >>> tuple(inputs.shape), tuple(targets.shape)
        ((4, 20, 2), (4, 1))
        """
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices((self.inputs, self.targets))
        return dataset if batch_size is None else dataset.batch(batch_size)


# === Adding ===


def adding(
    count: int, *, length: int = 600, markers: str = "anywhere", seed: Seed = 0
) -> MemoryExamples:
    """The adding problem: numbers, of which two are marked; what is their sum?

    Each step has a number, uniform in [0, 1), and a marker, which is 1 at two steps and 0 at all
    others. To answer 1, the mean, has a mean squared error of 1/6, about 0.167.

    As in Bai et al. (2018), "An Empirical Evaluation of Generic Convolutional and Recurrent
    Networks for Sequence Modeling", section 5.1 (length 200 to 600), whose program marks any two
    steps; after Hochreiter & Schmidhuber (1997), "Long Short-Term Memory", task 4.

    Args:
        count: how many sequences.
        length: how many steps each has, at least 2.
        markers: `anywhere`, or `halves`: one in each half, as in Arjovsky et al. (2016).
        seed: an integer, or several that are taken together.

    Returns:
        `MemoryExamples` with inputs float32 `(count, length, 2)`, number and marker, and targets
        float32 `(count, 1)`.

    Raises:
        ValueError: if a number is too small or `markers` is unknown.

    Example:

    >>> from kerasrnn.data import adding
    >>> examples = adding(3, length=50, seed=1)
    >>> bool((examples.inputs[..., 1].sum(axis=1) == 2).all())
    True
    """
    _check_at_least("count", count, 1)
    _check_at_least("length", length, 2)
    generator = np.random.default_rng(seed)
    numbers = generator.random((count, length), np.float32)
    if markers == "anywhere":
        first = generator.integers(0, length, count)
        second = (first + generator.integers(1, length, count)) % length
    elif markers == "halves":
        first = generator.integers(0, length // 2, count)
        second = generator.integers(length // 2, length, count)
    else:
        raise ValueError(f"Unknown `markers` {markers!r}. Expected one of anywhere, halves.")
    inputs = np.zeros((count, length, 2), np.float32)
    inputs[..., 0] = numbers
    rows = np.arange(count)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1
    targets = numbers[rows, first] + numbers[rows, second]
    return MemoryExamples(inputs, targets[:, None])


# === Copying ===


def copy_memory(
    count: int, *, blank: int = 1000, recalled: int = 10, symbols: int = 8, seed: Seed = 0
) -> MemoryExamples:
    """The copy task: symbols, then a long blank, then a sign to write the symbols down again.

    A sequence is `recalled` symbols out of `symbols`, `blank` − 1 blanks, and the delimiter
    `recalled` + 1 times: `blank` + 2 · `recalled` steps. The answer is blank at all steps but the
    last `recalled`, where it is the symbols in their order. Who has no memory and knows when to
    answer has a cross-entropy of recalled · ln(symbols) / (blank + 2 · recalled) nats a step:
    0.0204 for the arguments' defaults.

    As in Bai et al. (2018), section 5.1 (T = 500, 1000 and 2000 blanks), after Arjovsky et al.
    (2016), "Unitary Evolution Recurrent Neural Networks".

    Args:
        count: how many sequences.
        blank: T, about how many steps the symbols are to be remembered.
        recalled: how many symbols are to be remembered.
        symbols: how many symbols there are, besides the blank and the delimiter.
        seed: an integer, or several that are taken together.

    Returns:
        `MemoryExamples` of symbols: 0 the blank, 1 to `symbols` the symbols, and then the
        delimiter; targets int32 `(count, time)`.

    Raises:
        ValueError: if a number is less than 1.

    Example:

    >>> from kerasrnn.data import copy_memory
    >>> examples = copy_memory(1, blank=5, recalled=3, seed=1)
    >>> print(examples.inputs[0], examples.targets[0])
    [4 5 7 0 0 0 0 9 9 9 9] [0 0 0 0 0 0 0 0 4 5 7]
    """
    for name, value in {
        "count": count,
        "blank": blank,
        "recalled": recalled,
        "symbols": symbols,
    }.items():
        _check_at_least(name, value, 1)
    kept = np.random.default_rng(seed).integers(1, symbols + 1, (count, recalled))
    inputs = np.zeros((count, blank + 2 * recalled), np.int32)
    inputs[:, :recalled] = kept
    inputs[:, -recalled - 1 :] = symbols + 1
    targets = np.zeros_like(inputs)
    targets[:, -recalled:] = kept
    names = ("_", *(str(i) for i in range(1, symbols + 1)), "|")
    return MemoryExamples(inputs, targets, symbols=names)


# === Temporal order ===

# E begins a sequence, B ends it, X and Y are to be remembered, the rest distracts.
_ORDER_SYMBOLS = ("E", "X", "Y", "a", "b", "c", "d", "B")
# Where the symbols to remember stand, as shares of the length.
_PLACES = {2: ((0.10, 0.20), (0.50, 0.60)), 3: ((0.10, 0.20), (0.33, 0.43), (0.66, 0.76))}


def temporal_order(
    count: int, *, markers: int = 2, length: int = 100, seed: Seed = 0
) -> MemoryExamples:
    """Temporal order: two or three symbols X or Y far apart; in which order did they come?

    Between `E` and `B`, all symbols are drawn from a, b, c and d, but for those to be remembered,
    which are X or Y. With a length of 100, the first stands at a step from 10 to 20, the second
    from 50 to 60; or, of three, the second from 33 to 43 and the third from 66 to 76; a sequence
    has 100 to 110 symbols. Other lengths are in proportion.

    As in Hochreiter & Schmidhuber (1997), "Long Short-Term Memory", tasks 6a and 6b.

    Args:
        count: how many sequences.
        markers: 2 for four labels (6a), 3 for eight labels (6b).
        length: the least number of steps, at least 20.
        seed: an integer, or several that are taken together.

    Returns:
        `MemoryExamples` of symbols, padded on the right to 1.1 · `length` steps, with targets
        int32 `(count,)`. The labels are named by what is to be remembered, such as `XY`.

    Raises:
        ValueError: if a number is not among those allowed.

    Example:

    >>> from kerasrnn.data import temporal_order
    >>> examples = temporal_order(1, length=20, seed=4)
    >>> examples.text(0), examples.labels[examples.targets[0]]
    ('EdYdddabcbXcdcacdacbdB', 'YX')
    """
    if markers not in _PLACES:
        raise ValueError(f"`markers` must be 2 or 3. Received: {markers!r}")
    _check_at_least("count", count, 1)
    _check_at_least("length", length, 20)
    generator = np.random.default_rng(seed)
    longest = length + length // 10
    lengths = generator.integers(length, longest + 1, count)
    inputs = generator.integers(3, 7, (count, longest)).astype(np.int32)
    inputs[:, 0] = 0
    rows, targets = np.arange(count), np.zeros(count, np.int32)
    for low, high in _PLACES[markers]:
        # Counted from 1 in the paper: step 10 is the tenth symbol.
        places = generator.integers(round(length * low), round(length * high) + 1, count) - 1
        which = generator.integers(0, 2, count)
        inputs[rows, places] = 1 + which
        targets = 2 * targets + which.astype(np.int32)
    inputs[rows, lengths - 1] = 7
    inputs[np.arange(longest) >= lengths[:, None]] = PADDING
    names = [""]
    for _ in range(markers):
        names = [name + symbol for name in names for symbol in "XY"]
    return MemoryExamples(inputs, targets, symbols=_ORDER_SYMBOLS, labels=tuple(names))


# === Embedded Reber grammar ===

REBER_SYMBOLS = ("B", "T", "S", "X", "P", "V", "E")
# The symbols that may follow in each state, and the state that each leads to.
_REBER: tuple[dict[str, int], ...] = (
    {"B": 1},
    {"T": 2, "P": 3},
    {"S": 2, "X": 4},
    {"T": 3, "V": 5},
    {"X": 3, "S": 6},
    {"P": 4, "V": 6},
    {"E": 7},
    {},
)
_REBER_END = 7


def embedded_reber(count: int, *, distinct: bool = False, seed: Seed = 0) -> MemoryExamples:
    """The embedded Reber grammar: which symbol comes next?

    Reber's grammar makes strings such as BTSSXSE or BPTVVE, with two choices at each place that has
    one. It is embedded in another: `B`, then `T` or `P`, then a Reber string, then once more the
    `T` or `P` of before, then `E`. To know that one, a model must remember the second symbol
    through the whole string, of at least five symbols and without an upper bound.

    As in Hochreiter & Schmidhuber (1997), "Long Short-Term Memory", task 1, after Cleeremans et al.
    (1989), "Finite State Automata and Simple Recurrent Networks".

    Args:
        count: how many strings.
        distinct: whether all strings are to be different. The grammar makes a few short strings
            most of the time.
        seed: an integer, or several that are taken together.

    Returns:
        `MemoryExamples` of the symbols B, T, S, X, P, V, E, padded on the right to the longest
        string. The target of each step is the symbol that did come next, −1 at the last; `allowed`
        are those that might have.

    Raises:
        ValueError: if `count` is less than 1.

    Example:

    >>> from kerasrnn.data import embedded_reber
    >>> examples = embedded_reber(2, seed=2)
    >>> examples.text(1)
    'BPBPTVPSEPE'
    >>> [name for name, may in zip(examples.symbols, examples.allowed[1, 8]) if may]
    ['P']
    """
    _check_at_least("count", count, 1)
    generator = np.random.default_rng(seed)
    seen: dict[str, list[str]] = {}
    strings: list[str] = []
    while len(strings) < count:
        string, follow = _reber_string(generator)
        if distinct and string in seen:
            continue
        seen[string] = follow
        strings.append(string)
    longest = max(map(len, strings))
    number = {symbol: i for i, symbol in enumerate(REBER_SYMBOLS)}
    inputs = np.full((count, longest), PADDING, np.int32)
    targets = np.full((count, longest), PADDING, np.int32)
    allowed = np.zeros((count, longest, len(REBER_SYMBOLS)), bool)
    for row, string in enumerate(strings):
        ids = [number[symbol] for symbol in string]
        inputs[row, : len(ids)] = ids
        targets[row, : len(ids) - 1] = ids[1:]
        for step, symbols in enumerate(seen[string]):
            allowed[row, step, [number[symbol] for symbol in symbols]] = True
    return MemoryExamples(inputs, targets, symbols=REBER_SYMBOLS, allowed=allowed)


def _reber_string(generator: np.random.Generator) -> tuple[str, list[str]]:
    """A string of the embedded grammar, and after each but the last symbol those that may follow"""
    outer = "TP"[generator.integers(2)]
    string, follow = "B" + outer, ["TP", "B"]
    state = 0
    while state != _REBER_END:
        arcs = _REBER[state]
        symbol = list(arcs)[generator.integers(len(arcs))]
        state = arcs[symbol]
        string += symbol
        follow.append("".join(_REBER[state]) or outer)
    return string + outer + "E", [*follow, "E"]


# === Rows of pixels ===


def digit_rows(*, pixel_by_pixel: bool = False, split: str = "train") -> MemoryExamples:
    """Handwritten digits, read row by row or pixel by pixel; which digit was it?

    The 1797 pictures of 8 × 8 pixels that come with scikit-learn (Alpaydin & Kaynak 1998, "Optical
    Recognition of Handwritten Digits"), in an order that is always the same: 1437 to train, 180 to
    validate, 180 to test.

    Args:
        pixel_by_pixel: whether a step is one pixel and not a row of eight.
        split: `train`, `validation` or `test`.

    Returns:
        `MemoryExamples` with inputs float32 from 0 to 1, `(count, 8, 8)` or `(count, 64, 1)`, and
        targets int32 `(count,)`.

    Raises:
        ImportError: if scikit-learn is not installed; it is in the extra `.[training]`.
        ValueError: if there is no such split.

    Example:

    >>> from kerasrnn.data import digit_rows
    >>> examples = digit_rows()  # doctest: +SKIP
    >>> examples.inputs.shape  # doctest: +SKIP
    (1437, 8, 8)
    """
    bounds = {"train": (0, 1437), "validation": (1437, 1617), "test": (1617, 1797)}
    if split not in bounds:
        raise ValueError(f"Unknown `split` {split!r}. Expected one of {', '.join(bounds)}.")
    digits = require("sklearn.datasets", "training", "builtin:digits").load_digits()
    begin, end = bounds[split]
    chosen = np.random.default_rng(1998).permutation(len(digits.target))[begin:end]
    pictures = (digits.images[chosen] / 16).astype(np.float32)  # (count, 8, 8)
    if pixel_by_pixel:
        pictures = pictures.reshape(len(pictures), 64, 1)
    targets = digits.target[chosen].astype(np.int32)
    return MemoryExamples(pictures, targets, labels=tuple("0123456789"))


# === Without end ===


def fresh_batches(
    make: Callable[[int, Seed], MemoryExamples],
    batch_size: int,
    *,
    steps: int,
    seed: int = 0,
    epoch: int = 0,
) -> tf.data.Dataset:
    """Batches that never come again: each epoch has examples of its own.

    They depend on nothing but `make`, the seed and the epoch, so that a training that is resumed
    sees what an unbroken one would have seen::

        batches = fresh_batches(make, 32, steps=100, seed=1, epoch=first)
        model.fit(batches, steps_per_epoch=100, initial_epoch=first, epochs=last)

    Args:
        make: called with how many examples to make and with a seed; all are of one length, padding
            included.
        batch_size: how many examples are in a batch.
        steps: how many batches an epoch has.
        seed: an integer.
        epoch: the first epoch, counted from 0.

    Returns:
        A dataset of `(inputs, targets)` without end.

    Raises:
        ValueError: if `batch_size` or `steps` is less than 1.

    Example:

    >>> from kerasrnn.data import adding, fresh_batches
    >>> batches = fresh_batches(lambda n, seed: adding(n, length=9, seed=seed), 4, steps=2)
    >>> inputs, targets = next(iter(batches))
    >>> tuple(inputs.shape)
    (4, 9, 2)
    """
    import tensorflow as tf

    _check_at_least("batch_size", batch_size, 1)
    _check_at_least("steps", steps, 1)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        number = epoch
        while True:
            # The leading 1 keeps the seeds apart from those of examples made once.
            examples = make(batch_size * steps, (1, seed, number))
            for begin in range(0, len(examples), batch_size):
                end = begin + batch_size
                yield examples.inputs[begin:end], examples.targets[begin:end]
            number += 1

    sample = make(1, (1, seed, epoch))
    signature = tuple(
        tf.TensorSpec((batch_size, *array.shape[1:]), array.dtype)
        for array in (sample.inputs, sample.targets)
    )
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def _check_at_least(name: str, value: int, low: int) -> None:
    if not isinstance(value, int | np.integer) or value < low:
        raise ValueError(f"`{name}` must be an integer of at least {low}. Received: {value!r}")
