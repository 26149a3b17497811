# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Dates, as people write them
#
# One recurrent network reads a date, another one writes it in ISO 8601, and looks back at the
# letters while it writes (Bahdanau et al. 2015).

# %%
import os

import matplotlib.pyplot as plt

from kerasrnn.data import load_pairs
from kerasrnn.zoo import EncoderDecoder

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

pairs = load_pairs("builtin:dates/en_GB,en_US")[: 64 if TINY else 20000]
for pair in pairs[:3]:
    print(pair.source, "→", pair.target)

# %%
model = EncoderDecoder.from_pairs(pairs, units=8 if TINY else 64)
history = model.fit(pairs, epochs=1 if TINY else 5, verbose=2)
model.predict(["4th of March 2020", "Tuesday, May 5, 2026"])

# %% [markdown]
# A trained one, from the zoo. What is no date of the calendar gets no answer.

# %%
dates = EncoderDecoder.from_preset("date_en_iso")
dates.predict(["Tuesday, 5th of May 2026", "12-31-1999", "31 April 2026", "no date"])

# %% [markdown]
# Where it looks: a row for each character that it writes.

# %%
alignment = dates.align(["Tuesday, 5th of May 2026"])[0]
figure, axes = plt.subplots(figsize=(7, 3.5))
axes.imshow(alignment.weights, cmap="Blues", aspect="auto")
axes.set_xticks(range(len(alignment.source)), alignment.source)
axes.set_yticks(range(len(alignment.target)), alignment.target)
axes.set_xlabel("read")
_ = axes.set_ylabel("written")
