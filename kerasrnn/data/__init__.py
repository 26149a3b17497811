"""Readers of the data of all tasks: tagged sentences, labelled and running texts, music, and more.

`parse_*` return lists and, but for TFDS, do not import TensorFlow; `read_*` are
the same as `tf.data.Dataset`.
"""

from kerasrnn.data.chorales import parse_chorales
from kerasrnn.data.conll import parse_conll, read_conll
from kerasrnn.data.conllu import parse_conllu, read_conllu
from kerasrnn.data.corpus_reader import parse_corpus, read_corpus
from kerasrnn.data.counterpoint import parse_counterpoint
from kerasrnn.data.country_facts import (
    CountryQuestions,
    country_questions,
    parse_country_facts,
    write_country_questions,
)
from kerasrnn.data.datasets import bucketed_batches, length_boundaries, to_dataset
from kerasrnn.data.date_rules import parse_date_rules
from kerasrnn.data.dates import parse_dates
from kerasrnn.data.errors import DataError
from kerasrnn.data.grew_up_in import GrewUpIn, parse_grew_up_in
from kerasrnn.data.labelled_texts import LabelledText, check_labels, to_text_dataset
from kerasrnn.data.languages import parse_languages
from kerasrnn.data.memory_tasks import (
    MemoryExamples,
    adding,
    copy_memory,
    digit_rows,
    embedded_reber,
    fresh_batches,
    temporal_order,
)
from kerasrnn.data.midi import parse_midi, write_midi
from kerasrnn.data.pairs import TextPair, load_pairs, parse_aligned, parse_pairs, read_pairs
from kerasrnn.data.piano_rolls import (
    check_roll,
    load_piano_rolls,
    parse_chords,
    parse_mat,
    piano_roll_splits,
    read_piano_rolls,
)
from kerasrnn.data.pitches import (
    chords_of_roll,
    parse_pitch,
    pitch_name,
    roll_of_chords,
    roll_of_text,
    text_of_roll,
)
from kerasrnn.data.running_text import (
    load_running_texts,
    parse_python_sources,
    read_running_texts,
    stream_running_texts,
)
from kerasrnn.data.schemes import check_scheme, check_tag_forms, convert_scheme, infer_scheme
from kerasrnn.data.sentences import TaggedSentence, check_tags
from kerasrnn.data.sources import load_sentences
from kerasrnn.data.table import parse_table
from kerasrnn.data.text_sources import load_texts
from kerasrnn.data.tfds_reader import parse_tfds, read_tfds
from kerasrnn.data.tfds_texts import UnlabelledError, parse_tfds_texts

__all__ = [
    "CountryQuestions",
    "DataError",
    "GrewUpIn",
    "LabelledText",
    "MemoryExamples",
    "TaggedSentence",
    "TextPair",
    "UnlabelledError",
    "adding",
    "bucketed_batches",
    "check_labels",
    "check_roll",
    "check_scheme",
    "check_tag_forms",
    "check_tags",
    "chords_of_roll",
    "convert_scheme",
    "copy_memory",
    "country_questions",
    "digit_rows",
    "embedded_reber",
    "fresh_batches",
    "infer_scheme",
    "length_boundaries",
    "load_pairs",
    "load_piano_rolls",
    "load_running_texts",
    "load_sentences",
    "load_texts",
    "parse_aligned",
    "parse_chorales",
    "parse_chords",
    "parse_conll",
    "parse_conllu",
    "parse_corpus",
    "parse_counterpoint",
    "parse_country_facts",
    "parse_date_rules",
    "parse_dates",
    "parse_grew_up_in",
    "parse_languages",
    "parse_mat",
    "parse_midi",
    "parse_pairs",
    "parse_pitch",
    "parse_python_sources",
    "parse_table",
    "parse_tfds",
    "parse_tfds_texts",
    "piano_roll_splits",
    "pitch_name",
    "read_conll",
    "read_conllu",
    "read_corpus",
    "read_pairs",
    "read_piano_rolls",
    "read_running_texts",
    "read_tfds",
    "roll_of_chords",
    "roll_of_text",
    "stream_running_texts",
    "temporal_order",
    "text_of_roll",
    "to_dataset",
    "to_text_dataset",
    "write_country_questions",
    "write_midi",
]
