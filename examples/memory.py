# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What a cell can remember
#
# Two of many numbers are marked, and their sum is asked for at the end (Hochreiter & Schmidhuber
# 1997). To answer, a network has to carry the first one through all steps in between.

# %%
import os

import keras

from kerasrnn.data import adding
from kerasrnn.lens import gradient_flow, memory_horizon
from kerasrnn.lens.pictures import plot_flows
from kerasrnn.zoo import MemoryModel

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

LENGTH = 20 if TINY else 60
examples = adding(64 if TINY else 10000, length=LENGTH, seed=1)
held_out = adding(32 if TINY else 500, length=LENGTH, seed=2)
print(examples.inputs.shape, examples.targets.shape)

# %%
models = {}
for cell in ("simple", "gru", "lstm"):
    keras.utils.set_random_seed(1)
    model = MemoryModel.from_examples(examples, cell=cell, units=8 if TINY else 64)
    model.fit(examples, epochs=1 if TINY else 10, verbose=0)
    models[cell] = model
    error = model.evaluate(held_out)["mse"]
    horizon = memory_horizon(model, held_out.inputs[:16])
    print(f"{cell:>6}: squared error {error:.4f}, memory horizon {horizon} of {LENGTH} steps")

# %% [markdown]
# Who always answers with the mean has a squared error of 0.167. The gradient by the state of a
# step, over the distance to the answer:

# %%
flows = {
    cell: gradient_flow(model, held_out.inputs[:16]).memories[0] for cell, model in models.items()
}
plot_flows(flows)

# %% [markdown]
# Chrono's bias spreads the gates over the time scales of the task before any training (Tallec &
# Ollivier 2018):

# %%
for chrono in (None, LENGTH):
    keras.utils.set_random_seed(1)
    model = MemoryModel.from_examples(examples, cell="lstm", units=8, chrono_length=chrono)
    print(chrono, memory_horizon(model, held_out.inputs[:16]))
