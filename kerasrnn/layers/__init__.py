"""Recurrent layers: drop-in replacements for Keras's, a deep one; attention; and the CRF."""

from kerasrnn.layers.attention import BahdanauAttention, LuongAttention
from kerasrnn.layers.bidirectional import Bidirectional
from kerasrnn.layers.crf import CRF
from kerasrnn.layers.deep_rnn import DeepRNN
from kerasrnn.layers.gru import GRU
from kerasrnn.layers.lstm import LSTM
from kerasrnn.layers.rnn import RNN
from kerasrnn.layers.simple_rnn import SimpleRNN
from kerasrnn.layers.simplified_gru import SimplifiedGRU

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "BahdanauAttention",
    "Bidirectional",
    "DeepRNN",
    "LuongAttention",
    "SimpleRNN",
    "SimplifiedGRU",
]
