"""The zoo: task models, each with its text side, its training and its presets."""

from kerasrnn.text import Entity
from kerasrnn.zoo.presets import Preset, list_presets, resolve_preset
from kerasrnn.zoo.sequence_tagger import SequenceTagger, TaggedToken
from kerasrnn.zoo.task import Task

__all__ = [
    "Entity",
    "Preset",
    "SequenceTagger",
    "TaggedToken",
    "Task",
    "list_presets",
    "resolve_preset",
]
