"""Word vectors: read from and written to the text formats of GloVe and word2vec, or installed."""

from kerasrnn.embeddings.lexicons import LexiconPackage
from kerasrnn.embeddings.packages import SUBWORD_PACKAGES, VECTOR_PACKAGES, VectorPackage
from kerasrnn.embeddings.subwords import SubwordPackage
from kerasrnn.embeddings.vectors import Vectors, read_terms, read_vectors, write_vectors

__all__ = [
    "SUBWORD_PACKAGES",
    "VECTOR_PACKAGES",
    "LexiconPackage",
    "SubwordPackage",
    "VectorPackage",
    "Vectors",
    "read_terms",
    "read_vectors",
    "write_vectors",
]
