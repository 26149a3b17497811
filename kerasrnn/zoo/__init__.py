"""The zoo: task models, each with its text side, its training and its presets."""

from kerasrnn.display import display
from kerasrnn.text import Entity
from kerasrnn.zoo.answers import answers
from kerasrnn.zoo.encoder_decoder import Alignment, Candidate, EncoderDecoder
from kerasrnn.zoo.language_model import LanguageModel, NextToken, TextScore
from kerasrnn.zoo.memory_model import MemoryModel
from kerasrnn.zoo.music_model import MusicModel
from kerasrnn.zoo.presets import Preset, list_presets, resolve_preset, upload_preset
from kerasrnn.zoo.sequence_tagger import SequenceTagger, TaggedToken
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.text_classifier import Classification, TextClassifier, WeighedToken
from kerasrnn.zoo.word_vectors import WordVectors

__all__ = [
    "Alignment",
    "Candidate",
    "Classification",
    "EncoderDecoder",
    "Entity",
    "LanguageModel",
    "MemoryModel",
    "MusicModel",
    "NextToken",
    "Preset",
    "SequenceTagger",
    "TaggedToken",
    "Task",
    "TextClassifier",
    "TextScore",
    "WeighedToken",
    "WordVectors",
    "answers",
    "display",
    "list_presets",
    "resolve_preset",
    "upload_preset",
]
