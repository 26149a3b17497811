# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Names in sentences
#
# A bidirectional LSTM with a conditional random field learns which words are names of persons,
# places and organisations. The corpus comes with the package.

# %%
import os

from kerasrnn.data import load_sentences
from kerasrnn.lens import gradient_flow, memory_horizon
from kerasrnn.zoo import SequenceTagger, display

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

sentences = load_sentences("builtin:entities")[: 40 if TINY else None]
held_out = load_sentences("builtin:entities", split="test")[: 20 if TINY else None]
print(len(sentences), "sentences, such as", " ".join(sentences[0].tokens))

# %% [markdown]
# The vocabulary and the tags are read off the sentences. What `fit` takes, it takes as Keras
# does.

# %%
tagger = SequenceTagger.from_sentences(sentences, units=8 if TINY else 100)
history = tagger.fit(sentences, epochs=1 if TINY else 12, batch_size=16, verbose=2)

# %%
figures = tagger.evaluate(held_out)
{name: round(figures[name], 3) for name in ("precision", "recall", "f1")}

# %% [markdown]
# It takes raw text. A trained one, from the zoo:

# %%
trained = SequenceTagger.from_preset("ner_en_starter")
text = "He said, Tesla is an electric automotive company that sells cars in France."
display(trained.predict([text])[0], text)

# %% [markdown]
# How many steps its gradient reaches back, and how it falls with the distance:

# %%
print("memory horizon:", memory_horizon(trained, [" ".join(s.tokens) for s in held_out[:8]]))
gradient_flow(trained, [" ".join(s.tokens) for s in held_out[:8]]).plot()

# %% [markdown]
# A SavedModel for TF Serving, which has been run without Python before it appears:

# %%
print(tagger.export("serving/tagger"))
