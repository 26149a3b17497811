"""One name for every source of sentences."""

import operator
import os
from pathlib import Path

from kerasrnn.data.conll import in_scheme, parse_conll
from kerasrnn.data.conllu import parse_conllu
from kerasrnn.data.corpus_reader import CORPORA, parse_corpus
from kerasrnn.data.files import source_name
from kerasrnn.data.schemes import scheme_by_name
from kerasrnn.data.sentences import TaggedSentence
from kerasrnn.data.tfds_reader import parse_tfds


def load_sentences(
    source: str | os.PathLike[str],
    *,
    split: str = "train",
    column: str | int | None = None,
    scheme: str | None = None,
    source_scheme: str | None = None,
) -> list[TaggedSentence]:
    """Read tagged sentences from a file, TFDS or the package.

    Args:
        source: the path of a file of columns (`parse_conll`) or, if its name ends in `.conllu` or
            `.conllu.gz`, of a CoNLL-U file; or `tfds:NAME`, a data set that TFDS has prepared; or
            `builtin:entities`, the corpus that comes with the package.
        split: `train`, `validation` or `test`, for TFDS and the corpus. A file is all of one split.
        column: where the tags are. A number, counted from 0 or backwards from -1, for columns
            (default: the last); `upos`, `xpos`, `feats`, `deprel` or `lemma` for CoNLL-U (default:
            `upos`); a feature for TFDS.
        scheme: the scheme to return the tags in: `BIO`, `BIOES`, `BILOU`, `IO` or `IOB1`. None or
            `none` returns them as written, unchecked.
        source_scheme: the scheme they are in. None infers it.

    Returns:
        The sentences in their order, at least one.

    Raises:
        DataError: the source cannot be read; the file, the line, what was expected and what came
            are named.
        ValueError: there is no such source, split, column or scheme; the valid ones are named.

    Example:

    >>> from kerasrnn.data import load_sentences
    >>> load_sentences("builtin:entity")
    Traceback (most recent call last):
    ...
    ValueError: Unknown source 'builtin:entity'. Expected builtin:entities, tfds:NAME or the path of a file (.conll, .txt, .tsv, .conllu, each also .gz).
    """  # noqa: E501
    if scheme is not None:
        scheme = scheme_by_name(scheme)
    name = source_name(source)
    kind, _, rest = name.partition(":")
    if kind == "tfds" and rest:
        if isinstance(column, int):
            raise ValueError(
                f"column of {name} must be the name of a feature, such as 'ner', got {column}."
            )
        return parse_tfds(rest, split, column=column, scheme=scheme, source_scheme=source_scheme)
    if kind == "builtin" and rest in CORPORA:
        if column is not None:
            raise ValueError(f"column must be None for {name}, got {column!r}.")
        return parse_corpus(split, name=rest, scheme=scheme)
    path = Path(name)
    if not os.path.exists(name):
        raise ValueError(
            f"Unknown source {name!r}{'' if kind in ('tfds', 'builtin') else ': no such file'}. "
            f"Expected {', '.join(f'builtin:{corpus}' for corpus in CORPORA)}, tfds:NAME or the "
            "path of a file (.conll, .txt, .tsv, .conllu, each also .gz)."
        )
    if path.name.removesuffix(".gz").endswith(".conllu"):
        sentences = parse_conllu(path, _conllu_column(column))
        return in_scheme(sentences, scheme, source_scheme, path)
    return parse_conll(
        path, tag_column=_number(path, column), scheme=scheme, source_scheme=source_scheme
    )


def _conllu_column(column: str | int | None) -> str:
    return "upos" if column is None else str(column)


def _number(path: Path, column: str | int | None) -> int:
    """A column's number; a command line gives it as text."""
    if column is None:
        return -1
    try:
        return int(column) if isinstance(column, str) else operator.index(column)
    except (ValueError, TypeError):
        raise ValueError(
            f"column of {path.name} must be a number, counted from 0 or backwards from -1, got "
            f"{column!r}. Only CoNLL-U files (.conllu) and TFDS have columns with names."
        ) from None
