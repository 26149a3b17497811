"""The networks of the tasks, and what they are built of: ids or numbers in, scores out.

They know no text, no data and no backend: `keras.ops` alone.
"""

from kerasrnn.networks.classifier import ClassifierNetwork
from kerasrnn.networks.encoder_decoder import EncoderDecoderNetwork
from kerasrnn.networks.language import LanguageNetwork
from kerasrnn.networks.memory import MemoryNetwork
from kerasrnn.networks.music import MusicNetwork
from kerasrnn.networks.skip_gram import SkipGramNetwork
from kerasrnn.networks.tagger import TaggerNetwork

__all__ = [
    "ClassifierNetwork",
    "EncoderDecoderNetwork",
    "LanguageNetwork",
    "MemoryNetwork",
    "MusicNetwork",
    "SkipGramNetwork",
    "TaggerNetwork",
]
