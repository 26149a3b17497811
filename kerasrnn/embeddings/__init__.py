"""Word vectors: read from and written to the text formats of GloVe and word2vec."""

from kerasrnn.embeddings.vectors import Vectors, read_terms, read_vectors, write_vectors

__all__ = ["Vectors", "read_terms", "read_vectors", "write_vectors"]
