"""Labelled texts of TensorFlow Datasets (TFDS)."""

from __future__ import annotations

import os
from typing import Any

from kerasrnn.data.errors import DataError
from kerasrnn.data.labelled_texts import LabelledText
from kerasrnn.data.table import LABEL_COLUMNS, TEXT_COLUMNS
from kerasrnn.data.tfds_reader import checked_name, prepared_builder, split_of

_READ_AT_ONCE = 1024


class UnlabelledError(DataError):
    """A split whose labels are kept back, as the test splits of GLUE.

    Example:

    >>> from kerasrnn.data import DataError, UnlabelledError
    >>> issubclass(UnlabelledError, DataError)
    True
    """


def parse_tfds_texts(
    name: str,
    split: str = "train",
    *,
    text: str | None = None,
    label: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> list[LabelledText]:
    """Read labelled texts of a data set that TFDS has prepared.

    It is looked for on the disk alone, so that a machine without a network answers at once.

    Args:
        name: the name in TFDS's catalogue, such as `imdb_reviews`, `glue/sst2` or
            `ag_news_subset:1.0.0`.
        split: a split, or a slice of one such as `train[:10%]`. `validation` finds `dev`, `valid`
            and `val` too, and the other way round.
        text: the feature that holds the text. None takes the first there is of `text`, `sentence`,
            `review` and so on as in `parse_table`, or else the only text there is.
        label: the feature that holds the label: a class, a text or an integer. None takes the
            first there is of `label`, `class` and so on, or else the only class there is.
        data_dir: TFDS's folder; None is its own choice (`TFDS_DATA_DIR` or
            `~/tensorflow_datasets`).
        download: download and prepare the data set if it is not there.

    Returns:
        The texts in TFDS's order, empty ones left out. Class numbers are names again.

    Raises:
        DataError: the data set is not prepared, with the command to do it; or it has no such split,
            no text, or no labels in this split (`UnlabelledError`).
        ValueError: `name` is not a name, or there is no such feature.

    Example:

    >>> from kerasrnn.data import parse_tfds_texts
    >>> parse_tfds_texts("imdb_reviews", data_dir="/nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    kerasrnn.data.errors.DataError: tfds:imdb_reviews: expected a prepared data set in /nowhere, got nothing there. ...
    """  # noqa: E501
    name = checked_name(name)
    source = f"tfds:{name}"
    builder = prepared_builder(name, data_dir, download)
    features = builder.info.features
    columns = (
        _feature(source, features, text, TEXT_COLUMNS, "text"),
        _feature(source, features, label, LABEL_COLUMNS, "label"),
    )
    names = getattr(features[columns[1]], "names", None)
    dataset = builder.as_dataset(split=split_of(source, builder, split), shuffle_files=False)
    dataset = dataset.map(lambda example: tuple(example[column] for column in columns))
    texts = []
    number = 0
    for batch in dataset.batch(_READ_AT_ONCE).as_numpy_iterator():
        for content, mark in zip(*batch, strict=True):
            number += 1
            if names and mark < 0:
                raise UnlabelledError.at(
                    source,
                    None,
                    expected=f"a class of {columns[1]} for each text",
                    got=f"an example without, number {number} of split {split}",
                    hint="TFDS marks so what is not labelled, often a test split.",
                )
            written = content.decode("utf-8", "replace").strip()
            if written:
                texts.append(LabelledText(written, _label(names, mark)))
    if not texts:
        raise DataError.at(source, None, expected="at least one text", got="none")
    return texts


def _label(names: Any, mark: Any) -> str:
    if names:
        return names[mark]
    return mark.decode("utf-8", "replace") if isinstance(mark, bytes) else str(mark)


def _feature(
    source: str, features: Any, wanted: str | None, usual: tuple[str, ...], what: str
) -> str:
    """The name of a feature that can be the text, or the label, of an example."""
    import tensorflow_datasets as tfds

    def fits(feature: Any) -> bool:
        if isinstance(feature, tfds.features.Text | tfds.features.ClassLabel):
            return what == "label" or isinstance(feature, tfds.features.Text)
        scalar = getattr(feature, "shape", None) == ()
        return what == "label" and scalar and getattr(feature.np_dtype, "kind", "") in "iub"

    fitting = sorted(name for name, feature in features.items() if fits(feature))
    if wanted is not None:
        if wanted not in fitting:
            raise ValueError(
                f"Unknown {what} feature {wanted!r} of {source}. "
                f"Expected one of {', '.join(fitting)}."
            )
        return wanted
    found = next((name for name in usual if name in fitting), None)
    if what == "text":
        only = fitting
    else:
        only = [name for name in fitting if hasattr(features[name], "names")]
    if found is None and len(only) == 1:
        found = only[0]
    if found is None:
        raise DataError.at(
            source,
            None,
            expected=f"a feature with the {what}, one of {', '.join(usual)}",
            got=f"{', '.join(fitting) or 'none'}",
            hint=f"Name it with {what}." if fitting else "",
        )
    return found
