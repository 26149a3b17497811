# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The next chord
#
# A recurrent network reads a piano roll frame by frame and says how probable each chord is to
# come next (Boulanger-Lewandowski et al. 2012; Chung et al. 2014). The pieces to learn from are
# made by the rules of counterpoint.

# %%
import os

import matplotlib.pyplot as plt

from kerasrnn.data import load_piano_rolls, write_midi
from kerasrnn.zoo import MusicModel

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

pieces = load_piano_rolls("builtin:counterpoint")[: 8 if TINY else None]
held_out = load_piano_rolls("builtin:counterpoint", split="test")[: 4 if TINY else None]
print(len(pieces), "pieces; the first has", len(pieces[0]), "frames")

# %%
model = MusicModel(units=8 if TINY else 64, nade_units=4 if TINY else 32)
history = model.fit(pieces, epochs=1 if TINY else 20, verbose=2)
print("nats a frame:", round(model.evaluate(held_out)["nll"], 2))

# %% [markdown]
# A trained one, from the zoo, writes a chorale, which the file makes heard:

# %%
composer = MusicModel.from_preset("music_jsb")
[chorale] = composer.generate(frames=16 if TINY else 64, seed=1)
write_midi("chorale.mid", chorale, frames_per_beat=composer.settings["frames_per_beat"])

figure, axes = plt.subplots(figsize=(7, 3))
axes.imshow(chorale.T, origin="lower", aspect="auto", cmap="Greys", interpolation="nearest")
axes.set_xlabel("frame")
axes.set_ylabel("key")
_ = axes.set_ylim(20, 65)
