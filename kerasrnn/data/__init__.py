"""Readers of tagged sentences and of pairs of texts, and batches of like length.

`parse_*` return lists of `TaggedSentence` and, but for TFDS, do not import TensorFlow; `read_*` are
the same as `tf.data.Dataset`.
"""

from kerasrnn.data.conll import parse_conll, read_conll
from kerasrnn.data.conllu import parse_conllu, read_conllu
from kerasrnn.data.corpus_reader import parse_corpus, read_corpus
from kerasrnn.data.datasets import bucketed_batches, length_boundaries, to_dataset
from kerasrnn.data.dates import parse_dates
from kerasrnn.data.errors import DataError
from kerasrnn.data.pairs import TextPair, load_pairs, parse_aligned, parse_pairs, read_pairs
from kerasrnn.data.schemes import check_scheme, convert_scheme, infer_scheme
from kerasrnn.data.sentences import TaggedSentence, check_tags
from kerasrnn.data.sources import load_sentences
from kerasrnn.data.tfds_reader import parse_tfds, read_tfds

__all__ = [
    "DataError",
    "TaggedSentence",
    "TextPair",
    "bucketed_batches",
    "check_scheme",
    "check_tags",
    "convert_scheme",
    "infer_scheme",
    "length_boundaries",
    "load_pairs",
    "load_sentences",
    "parse_aligned",
    "parse_conll",
    "parse_conllu",
    "parse_corpus",
    "parse_dates",
    "parse_pairs",
    "parse_tfds",
    "read_conll",
    "read_conllu",
    "read_corpus",
    "read_pairs",
    "read_tfds",
    "to_dataset",
]
