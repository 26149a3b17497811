"""A small embedding matrix, and no more than pictures need of one."""

import numpy as np


class TinyMatrix:
    """Words and their vectors."""

    def __init__(self, terms, matrix):
        self.terms = tuple(terms)
        self.matrix = np.asarray(matrix, "float32")

    def vector(self, term):
        if term not in self:
            raise KeyError(f"Unknown word {term!r}. Did you mean {self.terms[0]!r}?")
        return self.matrix[self.terms.index(term)]

    def __contains__(self, term):
        return term in self.terms


def random_matrix(terms, dimension=8, seed=0):
    return TinyMatrix(terms, np.random.default_rng(seed).normal(size=(len(terms), dimension)))
