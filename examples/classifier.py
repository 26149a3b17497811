# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which language is it?
#
# A recurrent network reads a word or a short phrase character by character, and says in which of
# 37 languages it is. The data are names of languages and places, from CLDR.

# %%
import os

import matplotlib.pyplot as plt

from kerasrnn.data import load_texts
from kerasrnn.zoo import TextClassifier

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

texts = load_texts("builtin:languages")[:: 200 if TINY else 1]
held_out = load_texts("builtin:languages", split="test")[:: 200 if TINY else 1]
print(len(texts), "texts, such as", texts[0])

# %%
classifier = TextClassifier.from_texts(
    texts, level="characters", units=8 if TINY else 100, pooling="attention"
)
history = classifier.fit(texts, epochs=1 if TINY else 3, verbose=2)
print("accuracy:", round(classifier.evaluate(held_out)["accuracy"], 3))

# %% [markdown]
# A trained one, from the zoo:

# %%
trained = TextClassifier.from_preset("language_id_cldr")
trained.predict(["Südafrika", "Etelä-Afrikka", "Νότια Αφρική"])

# %% [markdown]
# One that looks at the words of a film review and tells how its attention was shared out:

# %%
critic = TextClassifier.from_preset("sentiment_en_sst2")
[answer] = critic.predict(["A moving film that is never dull."], explain=True)
plt.bar([token.text for token in answer.tokens], [token.weight for token in answer.tokens])
plt.title(f"{answer.label}, {answer.score:.0%}")
_ = plt.ylabel("share of attention")
