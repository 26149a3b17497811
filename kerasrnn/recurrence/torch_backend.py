"""The scan over time on PyTorch."""

import keras
import torch


def scan(step, initial_states, inputs, *, reverse=False):
    length = keras.tree.flatten(inputs)[0].shape[0]
    states, outputs = initial_states, []
    for t in reversed(range(length)) if reverse else range(length):
        states, outputs_t = step(states, keras.tree.map_structure(lambda x, t=t: x[t], inputs))
        outputs.append(outputs_t)
    if reverse:
        outputs.reverse()
    stacked = keras.tree.map_structure(lambda *xs: torch.stack(xs), *outputs)
    return states, stacked
