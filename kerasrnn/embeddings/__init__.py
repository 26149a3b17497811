"""Word vectors: read from and written to the text formats of GloVe and word2vec, or installed."""

from kerasrnn.embeddings.lexicons import LexiconPackage
from kerasrnn.embeddings.packages import PIECE_PACKAGES, VECTOR_PACKAGES, VectorPackage
from kerasrnn.embeddings.vectors import Vectors, read_terms, read_vectors, write_vectors
from kerasrnn.embeddings.word_pieces import WordPiecePackage

__all__ = [
    "PIECE_PACKAGES",
    "VECTOR_PACKAGES",
    "LexiconPackage",
    "VectorPackage",
    "Vectors",
    "WordPiecePackage",
    "read_terms",
    "read_vectors",
    "write_vectors",
]
