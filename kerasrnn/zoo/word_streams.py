"""The words of texts of any size as a stream of ids on the disk, and skip-grams drawn from it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasrnn.data import stream_running_texts
from kerasrnn.storage.term_files import FIRST_TERM_ID, PADDING_ID, UNKNOWN_ID
from kerasrnn.text.plain import plain_text
from kerasrnn.zoo.batches import EpochBatches
from kerasrnn.zoo.skip_gram_blocks import BlockShape

# Between two texts of a stream: no word has this id.
BORDER_ID = PADDING_ID

# Texts go through TensorFlow some at a time, and ids are read from the disk some at a time.
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 1024, 2**20
_IDS_AT_ONCE = 2**20

# More different words than these are not counted at once: the rarest so far are forgotten.
_MOST_COUNTED = 4_000_000

# === Texts ===


def text_rows(x: Any, argument: str) -> Iterator[Any]:
    """Texts one after the other, whatever they come in; see `WordVectors`.

    Args:
        x: a path, a collection of texts or of lists of words, or a `tf.data.Dataset` of them.
        argument: what an error calls it.

    Yields:
        Texts as `str`, or lists of words.

    Raises:
        ValueError: if `x` is something else, or holds something else.
    """
    if isinstance(x, str | os.PathLike):
        if not os.path.exists(x):
            raise ValueError(
                f"`{argument}` must be the path of a file or folder of texts, or a list of texts. "
                f"Received: {str(x)!r:.80}, and there is nothing of that name."
            )
        yield from stream_running_texts(x)
        return
    if isinstance(x, tf.data.Dataset):
        if x.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError(f"`{argument}` must be a dataset that ends; `take` a part of it.")
        rows: Iterable[Any] = _rows_of_dataset(x)
    elif isinstance(x, Mapping | bytes) or not isinstance(x, Iterable) or _is_scalar(x):
        raise ValueError(
            f"`{argument}` must be the path of a file or folder of texts, a list of texts or of "
            f"lists of words, or a tf.data.Dataset of strings. Received: {type(x).__name__}"
        )
    else:
        rows = x
    for number, row in enumerate(rows, start=1):
        row = row.numpy() if hasattr(row, "numpy") else row
        if isinstance(row, str | bytes):
            yield plain_text(row)
            continue
        words = [plain_text(w) for w in row] if isinstance(row, list | tuple | np.ndarray) else [0]
        if not all(isinstance(word, str) for word in words):
            raise ValueError(
                f"`{argument}` must hold texts, or lists of words. Received as number {number}: "
                f"{row!r:.60}"
            )
        yield words


def _is_scalar(x: Any) -> bool:
    return getattr(x, "ndim", 1) == 0


def _rows_of_dataset(dataset: tf.data.Dataset) -> Iterator[Any]:
    for element in dataset:
        if isinstance(element, Mapping):
            element = element.get("text", next(iter(element.values())))
        if isinstance(element, tuple):
            element = element[0]
        if isinstance(element, tf.RaggedTensor):
            yield from element.to_list()
        elif element.shape.rank == 0:
            yield element
        else:  # a batch of texts
            yield from element.numpy()


def word_parts(
    x: Any, argument: str, split: Callable[[tf.Tensor], tf.RaggedTensor]
) -> Iterator[tuple[tf.Tensor, np.ndarray]]:
    """The words of texts, some texts at a time.

    Args:
        x: as for `text_rows`.
        argument: what an error calls it.
        split: cuts texts `(batch,)` into words.

    Yields:
        Strings `(words,)`, and where each text begins and the last ends, `(texts + 1,)`.
    """
    for part in _in_parts(text_rows(x, argument)):
        if isinstance(part[0], str):
            words = split(tf.constant(part, tf.string))
            yield words.flat_values, words.row_splits.numpy()
        else:
            flat = [word for words in part for word in words]
            yield tf.constant(flat, tf.string), np.cumsum([0, *map(len, part)])


def _in_parts(rows: Iterator[Any]) -> Iterator[list[Any]]:
    """Rows some at a time, each part of one kind."""
    part: list[Any] = []
    size = 0
    for row in rows:
        full = len(part) >= _TEXTS_AT_ONCE or size >= _CHARACTERS_AT_ONCE
        if part and (full or isinstance(row, str) != isinstance(part[0], str)):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row)
    if part:
        yield part


def count_words(parts: Iterable[tuple[tf.Tensor, np.ndarray]]) -> Counter[str]:
    """How often each word occurs.

    Args:
        parts: what `word_parts` yields.

    Returns:
        The counts. Where there are more than four million different words, those that are rare in
        the beginning are counted too low, or not at all.
    """
    counts: Counter[bytes] = Counter()
    least = 1
    for words, _ in parts:
        counts.update(words.numpy().tolist())
        while len(counts) > _MOST_COUNTED:
            least += 1
            counts = Counter({w: count for w, count in counts.items() if count >= least})
    return Counter({word.decode(): count for word, count in counts.items()})


# === Streams ===


class WordStream:
    """Ids of words on the disk: a sequence of which no more is in memory than is asked for.

    The file is a temporary one, which takes four bytes a word and is gone with the last stream that
    reads from it. A slice of a stream is a stream.

    Args:
        file: the file.
        lock: of the file.
        begin: the first id's place.
        end: the place behind the last.
    """

    def __init__(self, file: Any, lock: threading.Lock, begin: int, end: int) -> None:
        self._file, self._lock = file, lock
        self._begin, self._end = begin, end

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> WordStream:
        """A new stream.

        Args:
            parts: int32 ids.
        """
        file = tempfile.TemporaryFile(prefix="kerasrnn-words-")  # noqa: SIM115
        length = 0
        for ids in parts:
            file.write(ids.astype(np.int32).tobytes())
            length += len(ids)
        return cls(file, threading.Lock(), 0, length)

    def __len__(self) -> int:
        return self._end - self._begin

    def __getitem__(self, part: slice) -> WordStream:
        begin, end, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"A WordStream has no slices of the step {step}.")
        end = max(begin, end)
        return WordStream(self._file, self._lock, self._begin + begin, self._begin + end)

    def ids(self, begin: int, end: int) -> np.ndarray:
        """Some ids, int32.

        Args:
            begin: the first place.
            end: the place behind the last. What lies outside of the stream is left out.
        """
        begin, end = max(0, begin), min(end, len(self))
        with self._lock:  # training and validation may read one file
            self._file.seek(4 * (self._begin + begin))
            return np.frombuffer(self._file.read(4 * max(0, end - begin)), np.int32)

    def parts(self) -> Iterator[np.ndarray]:
        """All ids, a few at a time."""
        for begin in range(0, len(self), _IDS_AT_ONCE):
            yield self.ids(begin, begin + _IDS_AT_ONCE)

    def counts(self, size: int) -> np.ndarray:
        """How often each id occurs, int64 `(size,)`."""
        counts = np.zeros(size, np.int64)
        for ids in self.parts():
            counts += np.bincount(ids, minlength=size)
        return counts

    @property
    def known(self) -> float:
        """The share of the words that are known."""
        counts = np.zeros(2, np.int64)
        for ids in self.parts():
            counts += (np.sum(ids >= FIRST_TERM_ID), np.sum(ids != BORDER_ID))
        return float(counts[0] / max(1, counts[1]))


def stream_ids(
    parts: Iterable[tuple[tf.Tensor, np.ndarray]], lookup: Callable[[tf.Tensor], tf.Tensor]
) -> Iterator[np.ndarray]:
    """The ids of words, and a border behind each text.

    Args:
        parts: what `word_parts` yields.
        lookup: words to ids.

    Yields:
        int32 ids.
    """
    for words, splits in parts:
        ids = lookup(words).numpy()
        texts = np.repeat(np.arange(len(splits) - 1), np.diff(splits))
        row = np.full(len(ids) + len(splits) - 1, BORDER_ID, np.int32)
        row[np.arange(len(ids)) + texts] = np.maximum(ids, UNKNOWN_ID)
        yield row


# === Skip-grams ===


@dataclass(frozen=True)
class Sampling:
    """What is drawn from a text.

    Attributes:
        window: how many words to either side are contexts at most.
        negatives: how many noise words there are for each pair.
        subsampling: the share of the text from which on a word is left out now and then; 0 for
            never.
        noise_power: to which power of its frequency a word is drawn as noise.
    """

    window: int
    negatives: int
    subsampling: float
    noise_power: float

    def kept(self, frequencies: np.ndarray) -> np.ndarray:
        r"""How likely words are kept: :math:`\min(1, \sqrt{s/f} + s/f)`, as word2vec computes it.

        Args:
            frequencies: f, the words' shares of the text; s is `subsampling`.
        """
        if not self.subsampling:
            return np.ones(len(frequencies))
        ratio = self.subsampling / np.maximum(frequencies, 1e-12)
        return np.minimum(1.0, np.sqrt(ratio) + ratio)

    def noise(self, frequencies: np.ndarray) -> np.ndarray:
        """How likely words are drawn as noise."""
        powers = np.where(frequencies > 0, frequencies, 0) ** self.noise_power
        powers = np.where(frequencies > 0, powers, 0)  # also to the power 0
        return powers / powers.sum()


class SkipGramBatches:
    """Stretches of a stream with a window for each word, and noise; see `zoo.batches.Source`.

    A batch is what is left of a part of the stream when frequent words have been left out. It is
    learnt from in steps of `shape.words` words. Windows end at borders, and at the ends of a part.

    Args:
        stream: the words.
        size: the number of ids.
        batch_size: how many ids of the stream a part has.
        shape: how the stretches are cut.
        sampling: what is drawn.
    """

    def __init__(
        self,
        stream: WordStream,
        size: int,
        batch_size: int,
        shape: BlockShape,
        sampling: Sampling,
    ) -> None:
        self.stream, self.batch_size, self.shape, self.sampling = (
            stream,
            batch_size,
            shape,
            sampling,
        )
        # What is drawn differs from epoch to epoch where the order does not.
        self.epochs: EpochBatches | None = None
        counts = stream.counts(size)
        counts[:FIRST_TERM_ID] = 0
        self.words = int(counts.sum())
        frequencies = counts / max(1, self.words)
        self._kept = sampling.kept(frequencies).astype(np.float32)
        self._kept[:FIRST_TERM_ID] = 1
        noise = sampling.noise(frequencies)
        self._noise = np.cumsum(noise)
        self._noise[-1] = 1
        # How often a word is met in a step, in the mean: with how many contexts, and as noise.
        read = frequencies * self._kept
        self.steps = int(-(-self.words * read.sum() // shape.words))
        read = shape.words * read / max(read.sum(), 1e-12) * (sampling.window + 1)
        self.pairs_of_words = read * (1 + sampling.negatives)
        self.pairs_of_contexts = read + noise * read.sum() * sampling.negatives
        whole, flat = tf.TensorSpec((None, shape.words), tf.int32), tf.TensorSpec((None,), tf.int32)
        noise_spec = tf.TensorSpec((None, shape.blocks, shape.noise), tf.int32)
        self.signature = ({"words": flat, "left": whole, "right": whole, "noise": noise_spec},)

    def __len__(self) -> int:
        return -(-len(self.stream) // self.batch_size)

    def order(self, seed: list[int] | None) -> list[tuple[int, list[int]]]:
        """The number of each part, and the seed of what is drawn from it."""
        numbers = np.arange(len(self))
        if seed is not None:
            numbers = np.random.default_rng(seed).permutation(numbers)
        else:
            seed = [0, 0 if self.epochs is None else self.epochs.epoch]
        return [(int(number), [*seed, int(number)]) for number in numbers]

    def batch(self, item: tuple[int, list[int]]) -> tuple[dict[str, np.ndarray]]:
        """Words `(steps · words + 2 · window,)`, and for each step windows and noise."""
        number, seed = item
        shape, window = self.shape, self.sampling.window
        generator = np.random.default_rng(seed)
        ids = self.stream.ids(number * self.batch_size, (number + 1) * self.batch_size)
        ids = ids[generator.random(len(ids), np.float32) < self._kept[ids]]
        ids, left, right = reaches(ids, window)
        reach = generator.integers(1, window + 1, len(ids), np.int32)
        left, right = np.minimum(left, reach), np.minimum(right, reach)
        steps = -(-len(ids) // shape.words)
        missing = steps * shape.words - len(ids)
        chances = generator.random((steps, shape.blocks, shape.noise))
        return (
            {
                "words": np.pad(ids, (window, window + missing)),
                "left": np.pad(left, (0, missing)).reshape(steps, shape.words),
                "right": np.pad(right, (0, missing)).reshape(steps, shape.words),
                "noise": np.searchsorted(self._noise, chances, "right").astype(np.int32),
            },
        )


def reaches(ids: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The known words, and how far it is from each to those of its text.

    Args:
        ids: words, known or not, and borders.
        window: no distance is told that is larger.

    Returns:
        The words; and how many words of the same text stand left and right of each, int32.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.word_streams import reaches
    >>> [part.tolist() for part in reaches(np.array([7, 1, 8, 0, 9]), window=5)]
    [[7, 8, 9], [0, 1, 0], [1, 0, 0]]
    """
    known = ids >= FIRST_TERM_ID
    texts = np.cumsum(ids == BORDER_ID)[known]
    words = ids[known].astype(np.int32)
    places = np.arange(len(words))
    edges = np.concatenate([[0], np.flatnonzero(np.diff(texts)) + 1, [len(words)]])
    lengths = np.diff(edges)
    first, last = np.repeat(edges[:-1], lengths), np.repeat(edges[1:] - 1, lengths)
    left = np.minimum(places - first, window).astype(np.int32)
    return words, left, np.minimum(last - places, window).astype(np.int32)


# === Measuring ===

# Shares of words in running text fall with their rank, by Zipf's law in Mandelbrot's form.
_ZIPF_SHIFT = 2.7

# How many noise words everything is measured against.
_NOISE_MEASURED = 256


class Yardstick:
    """Against what a loss is measured, so that it is the same for all data: nothing is drawn.

    Words are known to be in order of frequency, and are taken to be as frequent as Zipf's law has
    it. A context at the distance o counts as often as windows of chance reach it, w + 1 − o times
    in w, and a pair as often as both of its words are kept. Noise words are those at equal steps
    of their distribution.

    Args:
        size: the number of ids.
        sampling: what is drawn in training.
    """

    def __init__(self, size: int, sampling: Sampling) -> None:
        ranks = np.arange(1, size - FIRST_TERM_ID + 1)
        frequencies = np.zeros(size)
        frequencies[FIRST_TERM_ID:] = 1 / (ranks + _ZIPF_SHIFT)
        frequencies /= frequencies.sum()
        self.sampling = sampling
        self.kept = sampling.kept(frequencies).astype(np.float32)
        steps = (np.arange(_NOISE_MEASURED) + 0.5) / _NOISE_MEASURED
        self.noise = np.searchsorted(np.cumsum(sampling.noise(frequencies)), steps).astype(np.int32)
        self.noise = np.minimum(self.noise, size - 1)

    def batches(self, stream: WordStream, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """Words with their contexts.

        Args:
            stream: the text.
            batch_size: how many words are in a batch; it changes no sum.

        Yields:
            `words` `(batch,)`, and `contexts` and `counts` `(batch, 2 · window)`: which words stand
            around each, and how often each counts.
        """
        window = self.sampling.window
        offsets = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
        shares = (window + 1 - np.abs(offsets)) / window
        for begin in range(0, len(stream), batch_size):
            end = min(begin + batch_size, len(stream))
            before, after = self._around(stream, begin, -1), self._around(stream, end, 1)
            ids = np.concatenate([before, stream.ids(begin, end), after])
            own = np.zeros(len(ids), bool)
            own[len(before) : len(before) + end - begin] = True
            own = own[ids >= FIRST_TERM_ID]
            words, left, right = reaches(ids, window)
            places = np.flatnonzero(own)
            inside = (offsets >= -left[places, None]) & (offsets <= right[places, None])
            around = np.clip(places[:, None] + offsets, 0, max(0, len(words) - 1))
            contexts = words[around] if len(words) else np.zeros(around.shape, np.int32)
            counts = inside * shares * self.kept[contexts] * self.kept[words[places], None]
            if len(places):
                yield {
                    "words": words[places],
                    "contexts": contexts,
                    "counts": counts.astype(np.float32),
                }

    def _around(self, stream: WordStream, place: int, side: int) -> np.ndarray:
        """What stands before (-1) or from (1) a place on, a window of known words at least."""
        reach = self.sampling.window
        while True:
            begin, end = sorted((place, place + side * reach))
            ids = stream.ids(begin, end)
            enough = np.sum(ids >= FIRST_TERM_ID) >= self.sampling.window
            if enough or (ids == BORDER_ID).any() or len(ids) < reach:
                return ids
            reach *= 2


def check_not_empty(stream: WordStream, argument: str) -> None:
    """Raise a ValueError unless a stream has a word.

    Args:
        stream: the stream.
        argument: what the error calls it.
    """
    largest = BORDER_ID
    for ids in stream.parts():
        largest = max(largest, int(ids.max(initial=BORDER_ID)))
        if largest >= FIRST_TERM_ID:
            return
    if largest == UNKNOWN_ID:
        raise ValueError(
            f"`{argument}` must hold words that the model knows. Received none but unknown ones."
        )
    raise ValueError(f"`{argument}` must hold at least one word. Received none.")
