"""Word vectors: read from and written to the text formats of GloVe and word2vec, or installed."""

from kerasrnn.embeddings.packages import VECTOR_PACKAGES, VectorPackage
from kerasrnn.embeddings.vectors import Vectors, read_terms, read_vectors, write_vectors

__all__ = [
    "VECTOR_PACKAGES",
    "VectorPackage",
    "Vectors",
    "read_terms",
    "read_vectors",
    "write_vectors",
]
