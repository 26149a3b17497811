"""The embedding matrix: words, their vectors, and what can be asked of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.data.errors import DataError, check_strings, quote, shown, whole_number
from kerasrnn.data.files import source_name
from kerasrnn.embeddings import evaluation
from kerasrnn.embeddings.evaluation import AnalogyScores, WordPairScores
from kerasrnn.embeddings.nearest import largest, nearest, units_of
from kerasrnn.embeddings.progress import with_bar
from kerasrnn.embeddings.sources import source_of, warn_of_repeated
from kerasrnn.embeddings.spelling import UnknownTermError
from kerasrnn.embeddings.tables import Table, rows_at_once
from kerasrnn.embeddings.vectors import checked_matrix
from kerasrnn.embeddings.writing import write_file
from kerasrnn.extras import require
from kerasrnn.storage.term_files import FIRST_TERM_ID

# Beyond these lengths, products of float32 leave its range.
_SHORT, _LONG = 1e-15, 1e15


class EmbeddingMatrix:
    r"""Words and their vectors.

    With the lecture's :math:`E`, whose columns are the vectors, and the one-hot vector :math:`o_j`
    of word :math:`j`, the word's vector is

    .. math:: e_j = E\, o_j

    `matrix` holds :math:`E^\top`: a row for each word. How similar two words are is the cosine of
    the angle between their vectors,

    .. math:: \mathrm{sim}(u, v) = \frac{u^\top v}{|u|\,|v|}

    and an analogy, *man is to woman as king is to what?*, is answered by

    .. math:: \arg\max_w\ \mathrm{sim}(e_w,\ e_{king} - e_{man} + e_{woman})

    (Mikolov et al. 2013, "Linguistic Regularities in Continuous Space Word Representations").
    Methods have the names and the meanings of gensim's `KeyedVectors`: as there, the vectors of
    words are scaled to length 1 before they are added up. A vector of zeros has the similarity 0 to
    every other. Similarities are computed in float32.

    NumPy is all that is needed; TensorFlow and Keras are not loaded, but by `to_layer`.

    Args:
        terms: distinct strings that are not empty, the commonest first where `restrict` is to be
            of use.
        matrix: finite numbers `(terms, dimension)`. A float32 array is not copied, and must not be
            changed later.

    Raises:
        TypeError: a term is no string.
        ValueError: a term is empty or comes twice, or the matrix does not fit.

    Example:

    >>> from kerasrnn.embeddings import EmbeddingMatrix
    >>> words = ["man", "woman", "king", "queen", "apple"]
    >>> features = [[-1, 0], [1, 0], [-0.95, 0.93], [0.97, 0.95], [0, 0.01]]  # gender, royal
    >>> m = EmbeddingMatrix(words, features)
    >>> m
    EmbeddingMatrix(5 terms, dimension 2)
    >>> round(m.similarity("king", "queen"), 3)
    -0.021
    >>> m.analogy("man", "woman", "king")[0][0]
    'queen'
    >>> "king" in m, m["man"].tolist()
    (True, [-1.0, 0.0])
    """

    def __init__(self, terms: Iterable[str], matrix: Any) -> None:
        if isinstance(terms, Iterable) and not isinstance(terms, str):
            terms = list(terms)
        check_strings(terms, "terms")
        index: dict[str, int] = {}
        for row, term in enumerate(terms):
            if not term or index.setdefault(term, row) != row:
                what = f"{quote(term)} again, first at {index[term]}" if term else "an empty one"
                raise ValueError(
                    f"terms must be distinct and not empty, got {what}, at position {row}."
                )
        self._set(index, checked_matrix(list(index), matrix))

    def _set(self, index: dict[str, int], matrix: np.ndarray) -> None:
        self._index = index
        self._terms = tuple(index)
        self._matrix = matrix.view()
        self._matrix.flags.writeable = False
        self._directions: tuple[np.ndarray, np.ndarray] | None = None

    # === Files ===

    @classmethod
    def load(
        cls, source: str | os.PathLike[str], *, limit: int | None = None, progress: bool = False
    ) -> EmbeddingMatrix:
        """Read a matrix from a file, a preset or a package.

        Files are told apart by their content, not their names: the text of GloVe, word2vec and
        fastText (`.vec`), word2vec's binary format, each compressed with gzip or not, and
        safetensors (see `kerasrnn.embeddings.safetensors_format`). The matrix is in memory once.

        Args:
            source: the file; a preset, by its folder, a name such as `"ner_en_starter"` or
                `hf://owner/name`, for the embeddings of its words; a name of `VECTOR_PACKAGES`, for
                an installed package; or several names joined by `+`.
            limit: how many of the first rows to read, and nothing behind them; None for all.
            progress: whether a bar on the standard error stream shows how far it is.

        Returns:
            The matrix. A row without a term, or whose term an earlier row has, is left out; a
            warning says how many repeat one. Another warning names both numbers where a file's
            first line promises another number of rows than there are.

        Raises:
            DataError: the source cannot be read; the file, the line, what was expected and what
                came are named.
            ModuleNotFoundError: a package is not installed; the message says how to install it.

        Example:

        >>> import pathlib
        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> _ = pathlib.Path("vectors.txt").write_text("the 0.1 0.2\\nparis 0.5 -1.5\\n")
        >>> EmbeddingMatrix.load("vectors.txt", limit=1).terms
        ('the',)
        """
        if limit is not None:
            limit = whole_number(limit, "limit", 1)
        with source_of(source).opened(limit) as table:
            name = os.path.basename(os.path.normpath(source_name(source)))
            index, matrix, repeated = _collect(table, name if progress else None)
        warn_of_repeated(source, repeated)
        if not index:
            raise DataError.at(source, None, expected="rows with terms", got="none")
        made = cls.__new__(cls)
        made._set(index, matrix)
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the matrix to a file, which appears whole or not at all.

        Args:
            path: the file. Its end says in which format: `.txt` for GloVe's text, `.vec` for that
                of word2vec and fastText, with a first line of sizes, `.bin` for word2vec's binary
                format, each with `.gz` behind it to be compressed; `.safetensors`. In all of them
                `load` finds the same numbers.

        Raises:
            ValueError: the name ends otherwise, or a term cannot stand in such a file, such as one
                that ends in a number after a space in text. Only safetensors holds any term.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> EmbeddingMatrix(["tea", "cup"], [[0.1, 0.5], [1, -2]]).save("vectors.vec")
        >>> print(open("vectors.vec").read(), end="")
        2 2
        tea 0.1 0.5
        cup 1.0 -2.0
        """
        write_file(path, self._terms, self._matrix)

    # === What it holds ===

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms, in the order of the rows."""
        return self._terms

    @property
    def matrix(self) -> np.ndarray:
        """The vectors, float32 `(terms, dimension)`, not to be written to."""
        return self._matrix

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self._matrix.shape[1]

    def __len__(self) -> int:
        return len(self._terms)

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def __contains__(self, term: object) -> bool:
        return isinstance(term, str) and term in self._index

    def __getitem__(self, terms: str | Sequence[str]) -> np.ndarray:
        """The vector of a term `(dimension,)`, or those of a list of terms `(terms, dimension)`."""
        if isinstance(terms, str):
            return self.vector(terms)
        return self._matrix[[self.row(term) for term in terms]]

    def __repr__(self) -> str:
        return f"EmbeddingMatrix({len(self):,} terms, dimension {self.dimension})"

    def row(self, term: str) -> int:
        """The row of a term.

        Args:
            term: the term.

        Returns:
            Its place among `terms`.

        Raises:
            UnknownTermError: there is no such term. It is a `KeyError`.
            TypeError: it is no string.
        """
        if not isinstance(term, str):
            raise TypeError(f"A term must be a string, got {shown(term)} ({type(term).__name__}).")
        row = self._index.get(term)
        if row is None:
            raise UnknownTermError(term, self._terms)
        return row

    def vector(self, term: str) -> np.ndarray:
        r"""The vector of a term, :math:`e_j = E\, o_j`.

        Args:
            term: the term.

        Returns:
            float32 `(dimension,)`, not to be written to.

        Raises:
            UnknownTermError: there is no such term; the message names the nearest spellings.
        """
        return self._matrix[self.row(term)]

    # === Similarity ===

    def similarity(self, a: Any, b: Any) -> float:
        """The cosine of the angle between two vectors.

        Args:
            a: a term or a vector.
            b: another.

        Returns:
            A number from -1 to 1; 0 where one of the two is a vector of zeros.

        Raises:
            UnknownTermError: there is no such term.
            ValueError: a vector has another dimension.
        """
        return float(np.clip(_unit(self._vector(a)) @ _unit(self._vector(b)), -1, 1))

    def distance(self, a: Any, b: Any) -> float:
        """One minus the similarity.

        Args:
            a: a term or a vector.
            b: another.

        Returns:
            A number from 0 to 2.

        Raises:
            UnknownTermError, ValueError: as `similarity`.
        """
        return 1 - self.similarity(a, b)

    def most_similar(
        self,
        positive: Any = (),
        negative: Any = (),
        topn: int | None = 10,
        restrict: int | Iterable[str] | None = None,
    ) -> Any:
        r"""The terms whose vectors are most similar to a sum of vectors.

        .. math:: v = \sum_{p} w_p \frac{e_p}{|e_p|} - \sum_{n} \frac{e_n}{|e_n|}

        Args:
            positive: terms and vectors that are added, or one of them; `(term, weight)` for a
                weight other than 1. Vectors are taken as they are, those of terms with length 1.
            negative: terms and vectors that are subtracted; in `(term, weight)`, the weight has its
                own sign, as in gensim.
            topn: how many; None for the similarities of all.
            restrict: how many of the first terms are looked at, or which terms; None for all.

        Returns:
            `[(term, similarity), …]`, the most similar first, without the terms asked for; of equal
            ones the first first. With `topn=None` a float32 array of the similarities to all terms
            looked at, those asked for among them. With `topn` below 1 an empty list.

        Raises:
            UnknownTermError: there is no such term.
            ValueError: neither terms nor vectors are given, or a vector does not fit.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["tea", "cup", "pot"], [[1, 0.1], [1, 0.2], [0, 1]])
        >>> [(term, round(value, 2)) for term, value in m.most_similar("tea")]
        [('cup', 1.0), ('pot', 0.1)]
        """
        topn = None if topn is None else int(whole_number(topn, "topn", -(2**62)))
        direction, given = self._direction(positive, negative)
        rows = self._looked_at(restrict)
        if topn is not None and topn < 1:
            return []
        matrix, scale = self._units()
        similarities = matrix[rows] @ direction
        similarities *= scale[rows]
        if topn is None:
            return np.clip(similarities, -1, 1)
        places = largest(similarities, topn + len(given))
        return self._named(rows, places, similarities[places], given, topn)

    def most_similar_batch(
        self,
        positive: Sequence[Any] | np.ndarray,
        negative: Sequence[Any] | None = None,
        topn: int = 10,
        restrict: int | Iterable[str] | None = None,
    ) -> list[list[tuple[str, float]]]:
        """`most_similar` for many queries at once, as a product of matrices: much faster for each.

        Args:
            positive: for each query what `most_similar` takes as `positive`: a term, a vector, or a
                list of them. An array `(queries, dimension)` holds a vector for each.
            negative: for each query what it takes as `negative`, as many; None for nothing.
            topn: how many terms for each query.
            restrict: as in `most_similar`, the same for all queries.

        Returns:
            For each query what `most_similar` gives.

        Raises:
            UnknownTermError, ValueError: as `most_similar`; or `negative` has another length.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["tea", "cup", "pot"], [[1, 0.1], [1, 0.2], [0, 1]])
        >>> [found[0][0] for found in m.most_similar_batch(["tea", ["cup", "pot"]], topn=1)]
        ['cup', 'tea']
        """
        if isinstance(positive, str) or not isinstance(positive, Sequence | np.ndarray):
            raise TypeError(
                f"positive must be a list with an entry for each query, got {shown(positive)}."
            )
        others: Sequence[Any] = [()] * len(positive) if negative is None else negative
        if isinstance(others, str) or len(others) != len(positive):
            raise ValueError(
                f"negative must have an entry for each of the {len(positive)} queries, "
                f"got {shown(negative)}."
            )
        topn = int(whole_number(topn, "topn", -(2**62)))
        queries = [self._direction(*query) for query in zip(positive, others, strict=True)]
        looked_at = self._looked_at(restrict)
        if topn < 1 or not queries:
            return [[] for _ in queries]
        matrix, scale = self._units()
        directions = np.stack([direction for direction, _ in queries])
        count = topn + max(len(given) for _, given in queries)
        places, values = nearest(matrix[looked_at], scale[looked_at], directions, count)
        return [
            self._named(looked_at, found, similarities, given, topn)
            for found, similarities, (_, given) in zip(places, values, queries, strict=True)
        ]

    def analogy(
        self,
        a: str,
        b: str,
        c: str,
        topn: int = 1,
        restrict: int | Iterable[str] | None = None,
    ) -> list[tuple[str, float]]:
        r"""What completes an analogy: `a` is to `b` as `c` is to what?

        .. math:: \arg\max_w\ \mathrm{sim}(e_w,\ e_b - e_a + e_c)

        All vectors have length 1 here, and the three terms are no answers (Mikolov et al. 2013;
        "3CosAdd" of Levy and Goldberg 2014).

        Args:
            a: a term, such as `man`.
            b: what it is to, such as `woman`.
            c: another term, such as `king`.
            topn: how many answers.
            restrict: as in `most_similar`.

        Returns:
            `[(term, similarity), …]`, the best answer first.

        Raises:
            UnknownTermError: there is no such term.
        """
        return self.most_similar([b, c], [a], topn, restrict)

    def doesnt_match(self, words: Iterable[str]) -> str:
        """The term that goes with the others least: farthest from the mean of all.

        Args:
            words: the terms.

        Returns:
            One of them.

        Raises:
            UnknownTermError: there is no such term.
            ValueError: no term is given.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["tea", "cup", "pot"], [[1, 0.1], [1, 0.2], [0, 1]])
        >>> m.doesnt_match(["tea", "cup", "pot"])
        'pot'
        """
        if isinstance(words, str):
            raise TypeError(f"words must be a list of terms, got {quote(words)}.")
        words = list(words)
        if not words:
            raise ValueError("words must hold at least one term, got none.")
        units = np.stack([_unit(self.vector(word)) for word in words])
        with_mean = units @ _unit(units.mean(axis=0))
        return min(zip(with_mean.astype("float32").tolist(), words, strict=True))[1]

    def rank(self, a: str, b: str) -> int:
        """How near a term is to another, among all: 1 for the nearest.

        Args:
            a: the term from which similarities are taken.
            b: the term whose rank is asked for.

        Returns:
            One more than the number of terms, other than `a`, that are more similar to `a` than `b`
            is.

        Raises:
            UnknownTermError: there is no such term.
        """
        origin, row = self.row(a), self.row(b)
        matrix, scale = self._units()
        similarities = (matrix @ self._direction(a, ())[0]) * scale
        closer = similarities > similarities[row]
        closer[origin] = False
        return int(np.count_nonzero(closer)) + 1

    # === Evaluation ===

    def evaluate_analogies(
        self,
        path: str | os.PathLike[str],
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> AnalogyScores:
        """Answer the analogy questions of a file, such as word2vec's `questions-words.txt`.

        A question is answered rightly where the first of the five nearest terms that is none of its
        three words, in whatever case, is the fourth. gensim's `evaluate_word_analogies` counts the
        same.

        Args:
            path: a text file: four words on each line, sections begun by a line `: NAME`.
            restrict_vocab: how many of the first terms are known and looked at; None for all.
            case_insensitive: whether words are compared in capitals; of several terms that differ
                in case alone, the first is taken.
            dummy4unknown: whether a question with an unknown word counts as answered wrongly. It is
                skipped otherwise, and counted.

        Returns:
            `AnalogyScores`: `accuracy`, `asked`, `skipped`, and the same for each of `sections`,
            with the questions answered rightly and wrongly.

        Raises:
            DataError: the file cannot be read, or a line of it.

        Example:

        >>> import pathlib
        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> _ = pathlib.Path("questions.txt").write_text(
        ...     ": family\\nman woman king queen\\nman woman boy girl\\n"
        ... )
        >>> words = ["man", "woman", "king", "queen"]
        >>> m = EmbeddingMatrix(words, [[-1, 0], [1, 0], [-1, 1], [1, 1]])
        >>> print(m.evaluate_analogies("questions.txt"))
        family: 100.0% (1 of 1, 1 skipped)
        Total accuracy: 100.0% (1 of 1, 1 skipped)
        """
        form, names, known = self._known(restrict_vocab, case_insensitive)
        matrix, scale = self._units()
        count = len(names)

        def nearest_rows(rows: np.ndarray, number: int) -> np.ndarray:
            used, places = np.unique(rows, return_inverse=True)
            units = np.stack([_unit(self._matrix[row]) for row in used])
            a, b, c = (units[places.reshape(rows.shape)[:, i]] for i in range(3))
            directions = units_of(b - a + c).astype("float32")
            return nearest(matrix[:count], scale[:count], directions, number)[0]

        return evaluation.answer(
            evaluation.read_questions(path),
            known,
            names,
            nearest_rows,
            form=form,
            dummy4unknown=dummy4unknown,
        )

    def evaluate_word_pairs(
        self,
        path: str | os.PathLike[str],
        delimiter: str = "\t",
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> WordPairScores:
        """Compare similarities with those that people gave, such as in WordSim-353 and SimLex-999.

        Args:
            path: a text file: two words and a number on each line. Lines that begin with `#` are
                left out, and a first line of names of columns.
            delimiter: what stands between the three.
            restrict_vocab: how many of the first terms are known; None for all.
            case_insensitive: as in `evaluate_analogies`.
            dummy4unknown: whether a pair with an unknown word counts as one of similarity 0. It is
                left out otherwise, and counted.

        Returns:
            `WordPairScores`: `spearman`, `pearson`, `pairs` and `unknown`.

        Raises:
            DataError: the file cannot be read, or a line of it, or fewer than two of its pairs are
                known.

        Example:

        >>> import pathlib
        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> _ = pathlib.Path("pairs.tsv").write_text(
        ...     "tea\\tcup\\t8.5\\ntea\\tpot\\t5\\ntea\\tcar\\t1\\ncup\\tpot\\t6.5\\n"
        ... )
        >>> m = EmbeddingMatrix(["tea", "cup", "pot"], [[1, 0.1], [1, 0.2], [0, 1]])
        >>> print(m.evaluate_word_pairs("pairs.tsv"))
        Spearman 1.0000, Pearson 0.9418 of 3 pairs; 1 with an unknown word
        """
        form, _, known = self._known(restrict_vocab, case_insensitive)
        found: list[float] = []
        given: list[float] = []
        unknown = 0
        for first, second, score in evaluation.read_pairs(path, delimiter):
            rows = [known.get(form(word.strip())) for word in (first, second)]
            unknown += None in rows
            if None not in rows:
                found.append(self.similarity(*(self._matrix[row] for row in rows)))
            elif dummy4unknown:
                found.append(0.0)
            else:
                continue
            given.append(score)
        if len(found) < 2:
            raise DataError.at(
                path,
                None,
                expected="at least two pairs of known words",
                got=f"{len(found)}, and {unknown} with an unknown word",
            )
        x, y = np.array(given), np.array(found)
        spearman = evaluation.correlation(evaluation.ranks(x), evaluation.ranks(y))
        return WordPairScores(spearman, evaluation.correlation(x, y), len(found), unknown)

    def _known(self, restrict_vocab: int | None, case_insensitive: bool) -> Any:
        """What forms words have, those of the first terms, and the first row of each form."""
        if restrict_vocab is not None:
            restrict_vocab = whole_number(restrict_vocab, "restrict_vocab", 1)
        form = str.upper if case_insensitive else str
        names = [form(term) for term in self._terms[:restrict_vocab]]
        return form, names, {name: row for row, name in reversed(list(enumerate(names)))}

    # === Pictures ===

    def plot(self, words: Iterable[str] | None = None, **options: Any) -> Any:
        """Draw words as points; see `kerasrnn.embeddings.pictures.plot`.

        Args:
            words: the words to draw, besides those of groups and analogies.
            **options: its other arguments, such as `method`, `groups` and `analogies`.

        Returns:
            Matplotlib's axes.

        Raises:
            UnknownTermError: a word is none of the terms.
            ImportError: scikit-learn or textalloc is not installed.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["man", "woman", "king"], [[1, 0, 0], [1, 1, 0], [1, 0, 1]])
        >>> [text.get_text() for text in m.plot(method="pca").texts]
        ['man', 'woman', 'king']
        """
        from kerasrnn.embeddings.pictures import plot

        return plot(self, words, **options)

    def heat_map(self, words: Iterable[str], axes: Mapping[str, Any], **options: Any) -> Any:
        """Draw words against features; see `kerasrnn.embeddings.pictures.heat_map`.

        Args:
            words: the words, a column each.
            axes: for each feature its two ends, such as `{"gender": ("man", "woman")}`.
            **options: its other arguments, such as `title` and `ax`.

        Returns:
            Matplotlib's axes. The numbers alone are those of
            `kerasrnn.embeddings.pictures.axis_table`.

        Raises:
            UnknownTermError: a word is none of the terms.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["man", "woman", "king"], [[1, 0, 0], [0, 1, 0], [1, 0, 1]])
        >>> [text.get_text() for text in m.heat_map(["king"], {"gender": ("man", "woman")}).texts]
        ['−0.50']
        """
        from kerasrnn.embeddings.pictures import heat_map

        return heat_map(self, words, axes, **options)

    def to_projector(
        self,
        folder: str | os.PathLike[str],
        words: Iterable[str] | None = None,
        **options: Any,
    ) -> Path:
        """Write a folder for TensorBoard's Embedding Projector; see `projector.to_projector`.

        Args:
            folder: where to write; `tensorboard --logdir FOLDER` shows it.
            words: the words to show; None for all.
            **options: `groups` and `columns`: more to know of the words.

        Returns:
            The folder.

        Raises:
            UnknownTermError: a word is none of the terms.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["tea", "cup"], [[0.5, 1.0], [2.0, 0.0]])
        >>> sorted(path.name for path in m.to_projector("projector").iterdir())
        ['metadata.tsv', 'projector_config.pbtxt', 'tensors.tsv']
        """
        from kerasrnn.embeddings.projector import to_projector

        return to_projector(self, folder, words, **options)

    # === Other libraries ===

    def to_gensim(self) -> Any:
        """The same terms and vectors as gensim's `KeyedVectors`.

        Returns:
            They, with a copy of the vectors.

        Raises:
            ImportError: gensim is not installed.
        """
        vectors = require("gensim.models", "bench", "to_gensim").KeyedVectors(self.dimension)
        vectors.add_vectors(list(self._terms), self._matrix)
        return vectors

    @classmethod
    def from_gensim(cls, vectors: Any) -> EmbeddingMatrix:
        """The terms and vectors of gensim's `KeyedVectors`.

        Args:
            vectors: `KeyedVectors`, or a model that has some as `wv`.

        Returns:
            The matrix. float32 vectors are not copied.

        Raises:
            TypeError: it is none, or a key is no string.
            ValueError: a key is empty, or a vector not finite.
        """
        vectors = getattr(vectors, "wv", vectors)
        try:
            terms, matrix = vectors.index_to_key, vectors.vectors
        except AttributeError:
            raise TypeError(f"vectors must be KeyedVectors, got {shown(vectors)}.") from None
        return cls(terms, matrix)

    def to_layer(self, trainable: bool = True, **options: Any) -> Any:
        """A Keras embedding layer with these vectors, which any model can hold, save and export.

        Ids are those of `kerasrnn.text.Vocabulary(m.terms)`: row 0, padding, is zeros; row 1, the
        unknown term, is the mean of all vectors, a guess that is as near to them as one can be;
        the terms follow.

        Args:
            trainable: whether the vectors are trained further.
            **options: other arguments of `keras.layers.Embedding`, such as `name` and `mask_zero`.

        Returns:
            A `keras.layers.Embedding` that is built.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["tea", "cup"], [[1.0, 0.5], [0.0, 1.5]])
        >>> layer = m.to_layer(trainable=False)
        >>> layer(np.array([0, 1, 2, 3])).numpy().tolist()
        [[0.0, 0.0], [0.5, 1.0], [1.0, 0.5], [0.0, 1.5]]
        """
        import keras

        layer = keras.layers.Embedding(
            FIRST_TERM_ID + len(self), self.dimension, trainable=trainable, **options
        )
        layer.build((None, None))
        table = np.zeros((FIRST_TERM_ID + len(self), self.dimension), "float32")
        table[1] = self._matrix.mean(axis=0, dtype="float64")
        table[FIRST_TERM_ID:] = self._matrix
        layer.set_weights([table])
        return layer

    @classmethod
    def from_layer(cls, layer: Any, terms: Iterable[str]) -> EmbeddingMatrix:
        """The vectors of a Keras embedding layer, such as one that was trained.

        Args:
            layer: a `keras.layers.Embedding` that is built, whose first rows are padding and the
                unknown term.
            terms: the terms of the rows behind these two.

        Returns:
            The matrix, with a copy of the vectors.

        Raises:
            TypeError: it is no such layer.
            ValueError: it is not built, or has another number of rows.

        Example:

        >>> from kerasrnn.embeddings import EmbeddingMatrix
        >>> m = EmbeddingMatrix(["tea", "cup"], [[1.0, 0.5], [0.0, 1.5]])
        >>> EmbeddingMatrix.from_layer(m.to_layer(), m.terms).matrix.tolist()
        [[1.0, 0.5], [0.0, 1.5]]
        """
        import keras

        if not isinstance(layer, keras.layers.Embedding):
            raise TypeError(f"layer must be a keras.layers.Embedding, got {shown(layer)}.")
        if not layer.built:
            raise ValueError(f"layer {layer.name!r} must be built: call it, or load its weights.")
        terms = list(terms)
        table = keras.ops.convert_to_numpy(keras.ops.cast(layer.embeddings, "float32"))
        if len(table) != FIRST_TERM_ID + len(terms):
            raise ValueError(
                f"layer {layer.name!r} must have {FIRST_TERM_ID + len(terms)} rows: padding, the "
                f"unknown term and the {len(terms)} of `terms`. Received: {len(table)} rows."
            )
        return cls(terms, np.array(table[FIRST_TERM_ID:]))

    # === Queries ===

    def _vector(self, item: Any) -> np.ndarray:
        """The vector of a term, or one that is given as such."""
        if isinstance(item, str):
            return self.vector(item)
        try:
            vector = np.asarray(item, float)
        except (TypeError, ValueError):
            vector = np.zeros(0)
        if vector.shape != (self.dimension,) or not np.isfinite(vector).all():
            raise ValueError(
                f"A query must be a term or a vector of {self.dimension} finite numbers, "
                f"got {shown(item)}."
            )
        return vector

    def _direction(self, positive: Any, negative: Any) -> tuple[np.ndarray, set[int]]:
        """The sum of a query's vectors with length 1, float32, and the rows of its terms."""
        total = np.zeros(self.dimension)
        given: set[int] = set()
        items = [(item, 1.0) for item in _listed(positive)]
        items += [(item, -1.0) for item in _listed(negative)]
        if not items:
            raise ValueError("A query needs at least one term or vector, got none.")
        for item, weight in items:
            if isinstance(item, tuple) and len(item) == 2 and _is_query(item[0]):
                item, weight = item[0], _weight(item[1])
            vector = self._vector(item)
            if isinstance(item, str):
                given.add(self._index[item])
                vector = _unit(vector)
            total += weight * vector
        return _unit(total).astype("float32"), given

    def _looked_at(self, restrict: int | Iterable[str] | None) -> Any:
        """The rows that a query looks at: a slice of the first ones, or an array."""
        if restrict is None:
            return slice(None)
        if isinstance(restrict, str) or not isinstance(restrict, Iterable):
            return slice(whole_number(restrict, "restrict", 1))
        return np.array(list(dict.fromkeys(self.row(term) for term in restrict)), int)

    def _named(
        self, rows: Any, places: np.ndarray, values: np.ndarray, given: set[int], topn: int
    ) -> list[tuple[str, float]]:
        """Terms and similarities, without the terms of the query."""
        found = (places if isinstance(rows, slice) else rows[places]).tolist()
        similarities = np.clip(values, -1, 1).tolist()
        pairs = zip(found, similarities, strict=True)
        return [(self._terms[row], value) for row, value in pairs if row not in given][:topn]

    def _units(self) -> tuple[np.ndarray, np.ndarray]:
        """A matrix, and the factors of its rows that give them length 1, both float32.

        The matrix is this one, so that it is in memory once, but where lengths are extreme.
        """
        if self._directions is None:
            lengths = np.empty(len(self))
            step = rows_at_once(self.dimension)
            for start in range(0, len(self), step):
                part = self._matrix[start : start + step].astype("float64")
                lengths[start : start + step] = np.sqrt(np.einsum("ij,ij->i", part, part))
            positive = lengths[lengths > 0]
            if positive.size and (positive.min() < _SHORT or positive.max() > _LONG):
                units = units_of(self._matrix).astype("float32")
                self._directions = units, np.ones(len(self), "float32")
            else:
                factors = np.divide(1, lengths, out=np.zeros(len(self)), where=lengths > 0)
                self._directions = self._matrix, factors.astype("float32")
        return self._directions


def _unit(vector: np.ndarray) -> np.ndarray:
    """A vector with length 1, float64; zeros stay what they are."""
    return units_of(np.asarray(vector)[None])[0]


def _is_query(item: Any) -> bool:
    return isinstance(item, str | np.ndarray | list)


def _listed(items: Any) -> list[Any]:
    """The items of a query; one by itself is a list of one."""
    if isinstance(items, str) or (isinstance(items, np.ndarray) and items.ndim == 1):
        return [items]
    if items is None:
        return []
    if not isinstance(items, Iterable):
        raise TypeError(f"A query must be a term, a vector or a list of them, got {shown(items)}.")
    return list(items)


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = np.nan
    if not np.isfinite(weight):
        raise ValueError(f"A term's weight must be a finite number, got {shown(value)}.")
    return weight


# === Reading ===


def _collect(table: Table, name: str | None) -> tuple[dict[str, int], np.ndarray, int]:
    """The terms of a table with their rows, the matrix, and how many rows were left out.

    The matrix grows in place, so that it is in memory once, and what was made room for in vain is
    given back.
    """
    index: dict[str, int] = {}
    repeated = 0
    matrix = np.empty((0, table.dimension), "float32")
    for block in table.blocks if name is None else with_bar(name, table):
        start = len(index)
        kept: list[int] = []
        for row, term in enumerate(block.terms):
            if index.setdefault(term, start + len(kept)) == start + len(kept):
                kept.append(row)
        repeated += len(block.terms) - len(kept)
        if kept and not len(matrix):  # not before there is a row: what it promises may be huge
            matrix = np.empty((max(len(index), table.rows), table.dimension), "float32")
        if len(index) > len(matrix):
            matrix.resize((max(len(index), len(matrix) * 5 // 4), table.dimension), refcheck=False)
        if kept:
            matrix[start : len(index)] = block.numbers(kept)
    matrix.resize((len(index), table.dimension), refcheck=False)
    return index, matrix, repeated
