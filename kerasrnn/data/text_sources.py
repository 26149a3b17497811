"""One name for every source of labelled texts."""

from __future__ import annotations

import os
from pathlib import Path

from kerasrnn.data.files import source_name
from kerasrnn.data.labelled_texts import LabelledText
from kerasrnn.data.languages import parse_languages
from kerasrnn.data.table import parse_table
from kerasrnn.data.tfds_texts import parse_tfds_texts


def load_texts(
    source: str | os.PathLike[str],
    *,
    split: str = "train",
    text: str | int | None = None,
    label: str | int | None = None,
) -> list[LabelledText]:
    """Read labelled texts from a file, TFDS or the package.

    Args:
        source: the path of a TSV or CSV file with a header (`parse_table`); or `tfds:NAME`, a data
            set that TFDS has prepared, such as `tfds:imdb_reviews` or `tfds:glue/sst2`
            (`parse_tfds_texts`); or `builtin:languages`, names of languages and territories in
            many languages (`parse_languages`).
        split: `train`, `validation` or `test`, for TFDS and the names. A file is all of one split.
        text: the column of the texts, where the source has columns.
        label: the column of the labels.

    Returns:
        The texts in their order, at least one.

    Raises:
        DataError: the source cannot be read; the file, the line, what was expected and what came
            are named.
        ValueError: there is no such source, split or column; the valid ones are named.
        ImportError: `builtin:languages` without Babel.

    Example:

    >>> from kerasrnn.data import load_texts
    >>> load_texts("builtin:language")
    Traceback (most recent call last):
    ...
    ValueError: Unknown source 'builtin:language'. Expected builtin:languages, tfds:NAME or the path of a file (.tsv, .csv, each also .gz).
    """  # noqa: E501
    name = source_name(source)
    kind, _, rest = name.partition(":")
    if kind == "tfds" and rest:
        for argument, column in (("text", text), ("label", label)):
            if isinstance(column, int):
                raise ValueError(
                    f"{argument} of {name} must be the name of a feature, got {column}."
                )
        return parse_tfds_texts(rest, split, text=_name(text), label=_name(label))
    if name == "builtin:languages":
        if text is not None or label is not None:
            raise ValueError(f"text and label must be None for {name}: it has no columns.")
        return parse_languages(split)
    path = Path(name)
    if not os.path.exists(name):
        raise ValueError(
            f"Unknown source {name!r}{'' if kind in ('tfds', 'builtin') else ': no such file'}. "
            "Expected builtin:languages, tfds:NAME or the path of a file (.tsv, .csv, each also "
            ".gz)."
        )
    return parse_table(path, text=text, label=label)


def _name(column: str | int | None) -> str | None:
    return None if column is None else str(column)
