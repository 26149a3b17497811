"""The layers that the look inside knows, with their options, and a mask with holes."""

import keras
import numpy as np

from kerasrnn import layers

MASK = np.array([[1, 1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 1, 1, 0], [1] * 7], bool)
CELL_LAYERS = {
    "simple": (layers.SimpleRNN, {}),
    "simplified_gru": (layers.SimplifiedGRU, {}),
    "gru": (layers.GRU, {}),
    "lstm": (layers.LSTM, {}),
    "Keras simple": (keras.layers.SimpleRNN, {}),
    "Keras gru": (keras.layers.GRU, {}),
    "Keras gru, reset before": (keras.layers.GRU, {"reset_after": False}),
    "Keras lstm": (keras.layers.LSTM, {}),
}
