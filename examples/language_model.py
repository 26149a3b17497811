# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # I grew up in France … I speak French
#
# Whoever wants to predict the last word has to remember the third. Three cells try.

# %%
import os

import keras

from kerasrnn.data import load_running_texts
from kerasrnn.lens import gradient_flow
from kerasrnn.lens.pictures import plot_flows
from kerasrnn.zoo import LanguageModel

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

texts = load_running_texts("builtin:grew_up_in")[: 40 if TINY else 2000]
print(texts[0])

# %%
models = {}
for cell in ("simple", "gru", "lstm"):
    keras.utils.set_random_seed(1)
    model = LanguageModel.from_texts(
        texts, level="words", cell=cell, units=8 if TINY else 64, dimension=8 if TINY else 32
    )
    model.fit(texts, epochs=1 if TINY else 5, carry=False, verbose=0)
    models[cell] = model
    beginning = texts[0].rsplit(" ", 2)[0]
    print(cell, "→", [token.text for token in model.predict([beginning], top=3)[0]])

# %% [markdown]
# How much of the gradient reaches back to a word so many steps ago:

# %%
flows = {cell: gradient_flow(model, texts[:8]).memories[0] for cell, model in models.items()}
plot_flows(flows)

# %% [markdown]
# One from the zoo writes, letter by letter. The same seed gives the same text.

# %%
poet = LanguageModel.from_preset("char_lm_shakespeare")
print(poet.generate(["ROMEO:"], max_tokens=20 if TINY else 300, temperature=0.7, seed=1)[0])
