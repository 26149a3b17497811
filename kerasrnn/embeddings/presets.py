"""The tables of words of presets, read from their folders without TensorFlow."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.embeddings.tables import Table, table_of_array
from kerasrnn.storage.preset_folders import WEIGHTS_FILE, preset_file, read_config
from kerasrnn.storage.term_files import FIRST_TERM_ID, read_terms

# The vocabularies whose terms have embeddings, the first of a preset's own counting: words of
# taggers and word vectors, tokens of classifiers, terms of language models, sources of pairs.
_VOCABULARIES = ("words", "tokens", "terms", "source_terms")

# Keras names weights by the layers' attributes or classes, numbered where there are several.
_TABLE = re.compile(r"(?:.*/)?embeddings?(?:_(\d+))?/vars/0")


@contextlib.contextmanager
def opened_preset(folder: Path, limit: int | None = None) -> Iterator[Table]:
    """Open the table of words of a preset.

    Args:
        folder: the preset's folder.
        limit: how many of the first terms to read; None for all.

    Yields:
        The terms and their vectors, without the rows of padding and of the unknown word. Integers
        have been multiplied by the scales of their rows.

    Raises:
        DataError: the preset reads no words, or its files are damaged.
    """
    try:
        terms, matrix = _read(folder)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(str(error), path=folder) from error
    yield table_of_array(str(folder), terms, matrix, limit=limit)


def _read(folder: Path) -> tuple[list[str], np.ndarray]:
    # Takes a while to load, and files of vectors do without.
    from kerasrnn.storage.weight_file import opened_weights

    config = read_config(folder)
    vocabulary = next((name for name in _VOCABULARIES if name in config["vocabulary"]), None)
    if vocabulary is None:
        raise DataError.at(
            folder,
            None,
            expected="a preset of a task that reads words or characters",
            got=f"a {config['class']} without a table of them",
        )
    with opened_weights(preset_file(folder, WEIGHTS_FILE)) as weights:
        terms = read_terms(preset_file(folder, config["vocabulary"][vocabulary]), weights.longest)
        name = _table(folder, weights.arrays, len(terms))
        table = np.empty(weights.arrays[name].shape, "float32")
        return terms, weights.read(name, table)[FIRST_TERM_ID:]


def _table(folder: Path, arrays: dict[str, Any], terms: int) -> str:
    """The name of the table that has a row for each term.

    A layer of embeddings comes before other weights of that shape, the network's own before that of
    a part of it, and the first made before later ones.
    """
    found = []
    rows = FIRST_TERM_ID + terms
    for name, array in arrays.items():
        if len(array.shape) == 2 and array.shape[0] == rows:
            match = _TABLE.fullmatch(name)
            found.append((match is None, name.count("/"), int((match and match[1]) or 0), name))
    if not found:
        raise DataError.at(
            folder,
            None,
            expected=f"a table of {rows:,} rows: padding, unknown, {terms:,} terms",
            got="none among its weights",
        )
    return min(found)[-1]
