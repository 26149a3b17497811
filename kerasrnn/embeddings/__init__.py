"""Word vectors: the embedding matrix, the files it is read from and written to, and packages."""

from kerasrnn.embeddings.evaluation import AnalogyScores, AnalogySection, WordPairScores
from kerasrnn.embeddings.lexicons import LexiconPackage
from kerasrnn.embeddings.matrix import EmbeddingMatrix
from kerasrnn.embeddings.packages import SUBWORD_PACKAGES, VECTOR_PACKAGES, VectorPackage
from kerasrnn.embeddings.pieces import vectors_from_pieces
from kerasrnn.embeddings.spelling import UnknownTermError
from kerasrnn.embeddings.subwords import SubwordPackage
from kerasrnn.embeddings.vectors import Vectors, read_terms, read_vectors, write_vectors

__all__ = [
    "SUBWORD_PACKAGES",
    "VECTOR_PACKAGES",
    "AnalogyScores",
    "AnalogySection",
    "EmbeddingMatrix",
    "LexiconPackage",
    "SubwordPackage",
    "UnknownTermError",
    "VectorPackage",
    "Vectors",
    "WordPairScores",
    "read_terms",
    "read_vectors",
    "vectors_from_pieces",
    "write_vectors",
]
