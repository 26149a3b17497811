"""Data sets of TensorFlow Datasets (TFDS)."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING, Any

from kerasrnn.data.conll import in_scheme
from kerasrnn.data.datasets import to_dataset
from kerasrnn.data.errors import DataError
from kerasrnn.data.schemes import scheme_by_name
from kerasrnn.data.sentences import TaggedSentence, check_not_empty

if TYPE_CHECKING:
    import tensorflow as tf

TOKEN_FEATURES = ("tokens", "words")
TAG_FEATURES = ("ner", "ner_tags", "tags", "upos", "pos", "pos_tags")
_NAME = re.compile(r"[A-Za-z_]\w*(/[\w.\-]+)?(:[\w.*]+)?")
_SAME_SPLIT = ("validation", "dev", "valid", "val")
_READ_AT_ONCE = 1024


def parse_tfds(
    name: str,
    split: str = "train",
    *,
    column: str | None = None,
    scheme: str | None = None,
    source_scheme: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> list[TaggedSentence]:
    """Read a data set that TFDS has prepared.

    It is looked for on the disk alone, so that a machine without a network answers at once.

    Args:
        name: the name in TFDS's catalogue, such as `conll2003`, `universal_dependencies/en_ewt` or
            `conll2002/es:1.0.0`.
        split: a split, or a slice of one such as `train[:10%]`. `validation` finds `dev`, `valid`
            and `val` too, and the other way round.
        column: the feature that holds the tags. None takes the first there is of `ner`,
            `ner_tags`, `tags`, `upos`, `pos`, `pos_tags`.
        scheme: the scheme to return the tags in, as in `parse_conll`.
        source_scheme: the scheme they are in.
        data_dir: TFDS's folder; None is its own choice (`TFDS_DATA_DIR` or
            `~/tensorflow_datasets`).
        download: download and prepare the data set if it is not there.

    Returns:
        The sentences in TFDS's order, empty ones left out. Class numbers are names again.

    Raises:
        DataError: the data set is not prepared, with the command to do it; or it has no such split
            or no tagged tokens, or the tags are not legal in their scheme.
        ValueError: `name` is not a name, or there is no such feature or scheme.

    Example:

    >>> from kerasrnn.data import parse_tfds
    >>> parse_tfds("conll2003", data_dir="/nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: tfds:conll2003: expected a prepared data set in /nowhere, got nothing there. ...
    """  # noqa: E501
    name = checked_name(name)
    scheme = scheme_by_name(scheme or "none")
    source_scheme = source_scheme and scheme_by_name(source_scheme, "source_scheme")
    source = f"tfds:{name}"
    builder = prepared_builder(name, data_dir, download)
    features = builder.info.features
    token_feature = _feature(source, features, None, TOKEN_FEATURES, "tokens")
    tag_feature = _feature(source, features, column, TAG_FEATURES, "tags")
    tokens, tags = _columns(builder, split_of(source, builder, split), (token_feature, tag_feature))
    names = getattr(features[tag_feature].feature, "names", None)
    sentences = []
    for number, (words, marks) in enumerate(zip(tokens, tags, strict=True), 1):
        if len(words) != len(marks):
            raise DataError.at(
                source,
                None,
                expected=f"as many {tag_feature} as {token_feature}",
                got=f"{len(marks)} for {len(words)} in example {number} of split {split}",
            )
        if names and any(mark < 0 for mark in marks):
            raise DataError.at(
                source,
                None,
                expected=f"a class of {tag_feature} for each token",
                got=f"an example without, number {number} of split {split}",
                hint="TFDS marks so what is not labelled, often a test split.",
            )
        # TFDS's own CoNLL reader makes an empty example of the empty line at a file's end.
        if words:
            sentences.append(
                TaggedSentence(
                    tuple(word.decode() for word in words),
                    tuple(names[mark] if names else mark.decode() for mark in marks),
                )
            )
    check_not_empty(sentences, source)
    return in_scheme(sentences, scheme, source_scheme, source)


def read_tfds(
    name: str,
    split: str = "train",
    *,
    column: str | None = None,
    scheme: str | None = None,
    source_scheme: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> tf.data.Dataset:
    """Read a data set that TFDS has prepared, as a dataset of strings.

    Args:
        name: as in `parse_tfds`, and so are the others.
        split: a split, or a slice of one.
        column: the feature that holds the tags.
        scheme: the scheme to return the tags in.
        source_scheme: the scheme they are in.
        data_dir: TFDS's folder.
        download: download and prepare the data set if it is not there.

    Returns:
        Elements `{"tokens": (time,), "tags": (time,)}` of strings.

    Raises:
        DataError: as `parse_tfds`.
        ValueError: as `parse_tfds`.

    Example:

    >>> from kerasrnn.data import read_tfds
    >>> read_tfds("conll2003", "train", data_dir="/nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: tfds:conll2003: expected a prepared data set in /nowhere, got nothing there. ...
    """  # noqa: E501
    sentences = parse_tfds(
        name,
        split,
        column=column,
        scheme=scheme,
        source_scheme=source_scheme,
        data_dir=data_dir,
        download=download,
    )
    return to_dataset(sentences, source=f"tfds:{name.removeprefix('tfds:')}")


def checked_name(name: str) -> str:
    """The name of a data set without `tfds:`, or a ValueError if it cannot be one."""
    name = name.removeprefix("tfds:")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"Unknown TFDS name {name!r}. Expected NAME, NAME/CONFIG or NAME/CONFIG:VERSION, "
            "such as 'conll2003'."
        )
    return name


def prepared_builder(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> Any:
    """The prepared data set.

    `tfds.builder` and `tfds.load` look into a bucket in the network for what is known about a data
    set; `builder_from_files` reads the disk alone.
    """
    import tensorflow_datasets as tfds

    folder = None if data_dir is None else os.fspath(data_dir)
    try:
        return tfds.core.read_only_builder.builder_from_files(name, data_dir=folder)
    except tfds.core.DatasetNotFoundError:
        if not download:
            raise _not_prepared(name, folder) from None
    builder = tfds.builder(name, data_dir=folder)
    builder.download_and_prepare()
    return builder


def _not_prepared(name: str, folder: str | None) -> DataError:
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    base = re.split("[/:]", name)[0]
    argument = f", data_dir={folder!r}" if folder else ""
    command = (
        'python -c "import tensorflow_datasets as tfds; '
        f'tfds.builder({name!r}{argument}).download_and_prepare()"'
    )
    places = [folder] if folder else tfds.core.utils.file_utils.list_data_dirs()
    hint = (
        f"Prepare it on a machine with a network: {command} and, if that is another one, copy the "
        f"folder {base!r} here. Nothing is downloaded unless download=True."
    )
    if base not in known:
        near = difflib.get_close_matches(base, known, n=3, cutoff=0.7)
        hint = f"TFDS {tfds.__version__} has no {base!r} of its own" + (
            f"; near names: {', '.join(near)}. " if near else ". "
        )
        hint += "One of your own must be prepared there first."
    return DataError.at(
        f"tfds:{name}",
        None,
        expected=f"a prepared data set in {' or '.join(os.fspath(place) for place in places)}",
        got="nothing there",
        hint=hint,
    )


def _feature(
    source: str, features: Any, wanted: str | None, usual: tuple[str, ...], what: str
) -> str:
    """The name of a feature that is a sequence of strings or classes."""
    import tensorflow_datasets as tfds

    def fits(feature: Any) -> bool:
        inner = getattr(feature, "feature", None)
        return isinstance(feature, tfds.features.Sequence) and isinstance(
            inner, (tfds.features.Text, tfds.features.ClassLabel)
        )

    sequences = [name for name, feature in features.items() if fits(feature)]
    if wanted is not None:
        if wanted not in sequences:
            raise ValueError(
                f"Unknown column {wanted!r} of {source}. Expected one of {', '.join(sequences)}."
            )
        return wanted
    found = next((name for name in usual if name in sequences), None)
    if found is None:
        raise DataError.at(
            source,
            None,
            expected=f"a feature with the {what}, one of {', '.join(usual)}",
            got=f"sequences {', '.join(sequences) or 'none'}",
            hint="Name it with column." if what == "tags" and sequences else "",
        )
    return found


def split_of(source: str, builder: Any, split: str) -> str:
    """The split, under the name it has here."""
    there = list(builder.info.splits)
    asked = re.match(r"[\w\-]*", split)
    base = asked[0] if asked else ""
    if base in there or base == "all":
        return split
    if base in _SAME_SPLIT:
        for other in _SAME_SPLIT:
            if other in there:
                return other + split[len(base) :]
    raise DataError.at(source, None, expected=f"a split of {', '.join(there)}", got=repr(split))


def _columns(builder: Any, split: str, names: tuple[str, str]) -> tuple[list[Any], list[Any]]:
    """Two features of all examples, as lists of lists."""
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    dataset = dataset.map(lambda example: {name: example[name] for name in names})
    columns: tuple[list[Any], list[Any]] = ([], [])
    for batch in dataset.ragged_batch(_READ_AT_ONCE):
        for column, name in zip(columns, names, strict=True):
            column.extend(batch[name].to_list())
    return columns
