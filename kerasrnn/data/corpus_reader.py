"""The corpora that come with the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from kerasrnn.data.conll import parse_conll
from kerasrnn.data.datasets import to_dataset
from kerasrnn.data.sentences import TaggedSentence

if TYPE_CHECKING:
    import tensorflow as tf

CORPORA = ("entities",)
SPLITS = ("train", "validation", "test")


def parse_corpus(
    split: str, *, name: str = "entities", scheme: str | None = None
) -> list[TaggedSentence]:
    """Read a corpus that comes with the package.

    `entities` has sentences with persons, places, organisations and others (PER, LOC, ORG, MISC) in
    BIO, written for this project. Sentences with a name that only what comes after it can tell
    apart have it in their `metadata`, as `ambiguous`.

    Args:
        split: `train`, `validation` or `test`.
        name: the corpus: `entities`.
        scheme: the scheme to return the tags in; None is `BIO`, as they are written.

    Returns:
        The sentences in the order of the file.

    Raises:
        ValueError: there is no such corpus, split or scheme.

    Example:

    >>> from kerasrnn.data import parse_corpus
    >>> len(parse_corpus("train")) > len(parse_corpus("test"))
    True
    """
    if name not in CORPORA:
        raise ValueError(f"Unknown corpus {name!r}. Expected one of {', '.join(CORPORA)}.")
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    # The package may lie in a zip file, which has no paths of its own.
    file = resources.files("kerasrnn.data").joinpath("corpus", f"{split}.conll")
    with resources.as_file(file) as path:
        return parse_conll(path, scheme=scheme or "BIO", source_scheme="BIO")


def read_corpus(
    split: str, *, name: str = "entities", scheme: str | None = None
) -> tf.data.Dataset:
    """Read a corpus that comes with the package as a dataset.

    Args:
        split: as in `parse_corpus`, and so are the others.
        name: the corpus.
        scheme: the scheme to return the tags in.

    Returns:
        Elements `{"tokens": (time,), "tags": (time,)}` of strings.

    Raises:
        ValueError: as `parse_corpus`.

    Example:

    >>> from kerasrnn.data import read_corpus
    >>> sorted(read_corpus("test").element_spec)
    ['tags', 'tokens']
    """
    return to_dataset(parse_corpus(split, name=name, scheme=scheme), source=f"builtin:{name}")
