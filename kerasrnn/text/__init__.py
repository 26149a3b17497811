"""Tokenising, vocabularies and tag inventories, as Keras layers that export into the graph."""

from kerasrnn.text.capitals import Capitals
from kerasrnn.text.character_tokenizer import CharacterTokenizer
from kerasrnn.text.characters import CharacterIds
from kerasrnn.text.spans import Entity, entities_from_tags, spans
from kerasrnn.text.splits import CharacterSplit, WordSplit
from kerasrnn.text.subwords import SubwordIds
from kerasrnn.text.tags import TagInventory
from kerasrnn.text.tokenizer import Token, Tokenizer
from kerasrnn.text.units import TextUnits
from kerasrnn.text.vocabulary import Vocabulary

__all__ = [
    "Capitals",
    "CharacterIds",
    "CharacterSplit",
    "CharacterTokenizer",
    "Entity",
    "SubwordIds",
    "TagInventory",
    "TextUnits",
    "Token",
    "Tokenizer",
    "Vocabulary",
    "WordSplit",
    "entities_from_tags",
    "spans",
]
