# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Man is to woman as king is to …
#
# The embedding matrix E has a row for each word. `words_en` has the 20,000 most frequent English
# words of GloVe; the first half of this notebook needs no TensorFlow.

# %%
import os

from kerasrnn.embeddings import EmbeddingMatrix

# A test runs this notebook in seconds: with few data, and for a short time.
TINY = os.environ.get("KERASRNN_EXAMPLES") == "tiny"

matrix = EmbeddingMatrix.load("words_en")
matrix.analogy("man", "woman", "king", topn=3)

# %%
matrix.most_similar("france", topn=5)

# %% [markdown]
# The lecture's table of words against features:

# %%
matrix.heat_map(
    ["man", "woman", "king", "queen", "apple", "orange"],
    {"gender": ("man", "woman"), "royal": ("man", "king"), "food": ("chair", "apple")},
)

# %% [markdown]
# Vectors of one's own, by skip-grams with negative sampling:

# %%
from kerasrnn.data import load_running_texts
from kerasrnn.zoo import WordVectors

texts = load_running_texts("builtin:country_facts")
vectors = WordVectors.from_texts(texts, min_count=5, dimension=8 if TINY else 64)
vectors.fit(texts, epochs=1 if TINY else 10, verbose=0)
vectors.to_matrix().most_similar("france", topn=5)
