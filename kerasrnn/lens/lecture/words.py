"""Words as numbers: the vocabulary, the embedding matrix, and what can be read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasrnn.lens.lecture.drawing import LIGHT, finish, panels, without_window
from kerasrnn.lens.lecture.page import item

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PEOPLE = (("king", "queen"), ("boy", "girl"), ("uncle", "aunt"))
_SIZES = (("tall", "taller"), ("small", "smaller"), ("strong", "stronger"))


@item(
    "The vocabulary",
    code=("kerasrnn/text/vocabulary.py::Vocabulary.call",),
    tests=(
        "tests/text/test_vocabulary.py::test_ids_are_padding_unknown_then_the_terms",
        "tests/text/test_vocabulary.py::test_from_counts_ranks_by_frequency_then_code",
    ),
)
def vocabulary() -> Any:
    """A word is its place j in a list of the known words, or the one-hot vector o_j, which is 1 in
    place j and 0 elsewhere. A word that is not in the list stands for the unknown one, <UNK>. In
    this package id 0 is for padding and 1 for <UNK>, so that the first word has the id 2.
    """
    import numpy as np

    from kerasrnn.embeddings import EmbeddingMatrix
    from kerasrnn.text import Vocabulary

    words = EmbeddingMatrix.load("words_en").terms  # the most frequent first
    vocabulary = Vocabulary(words, lowercase=True)
    print(f"{len(words):,} words and 2 more ids; the first are", ", ".join(words[:5]))

    sentence = "Harry Potter and Hermione Granger invented a new spell"
    ids = vocabulary(sentence.split()).numpy()
    for word, j in zip(sentence.split(), ids, strict=True):
        print(f"{word:9} {j:6,}" + ("  <UNK>" if j == 1 else ""))
    one_hot = np.zeros((len(ids), vocabulary.size))
    one_hot[np.arange(len(ids)), ids] = 1
    print("as one-hot vectors:", one_hot.shape, "with", int(one_hot.sum()), "ones")


@item(
    "The table of words and features",
    code=(
        "kerasrnn/embeddings/pictures.py::axis_table",
        "kerasrnn/embeddings/pictures.py::heat_map",
    ),
    tests=(
        "tests/embeddings/test_pictures.py::test_values_are_cosines_with_the_difference_of_the_ends",
        "tests/embeddings/test_pictures.py::test_the_heat_map_shows_the_table",
    ),
    within=0.01,
)
def word_table() -> Any:
    """One-hot vectors know of no likeness: o_i·o_j = 0 for any two words. A word's embedding e has
    features instead. The lecture's table has one in each row, such as gender, royal, age and food.
    In learned embeddings no single component means that, but directions do: a word's value is the
    cosine of its vector with the direction from man to woman, or from the mean of all words to
    *royal*.
    """
    from kerasrnn.embeddings import EmbeddingMatrix
    from kerasrnn.embeddings.pictures import axis_table

    m = EmbeddingMatrix.load("words_en")
    words = ["man", "woman", "king", "queen", "apple", "orange"]
    axes = {"gender": ("man", "woman"), "royal": "royal", "age": "age", "food": "food"}
    table = axis_table(m, words, axes)
    print(" " * 7, *(f"{word:>7}" for word in words))
    for name, row in zip(table.axes, table.values, strict=True):
        print(f"{name:7}", *(f"{value:7.2f}" for value in row))
    assert table.values[0, 2] < 0 < table.values[0, 3]  # king, queen
    assert table.values[1, 2:4].min() > table.values[1, 4:].max()
    assert table.values[3, 4:].min() > table.values[3, :4].max()
    return m.heat_map(words, axes, theme="light")


@word_table.picture(
    "The table as `m.heat_map(words, axes)` draws it: blue for one end of an axis, orange for the "
    "other."
)
def _(ax: Any) -> Figure:
    return without_window(ax)


@item(
    "t-SNE",
    code=("kerasrnn/embeddings/pictures.py::plot",),
    tests=(
        "tests/embeddings/test_pictures.py::test_tsne_keeps_groups_apart",
        "tests/embeddings/test_pictures.py::test_a_seed_gives_the_same_picture_again",
    ),
    within=10,
    needs=("sklearn", "textalloc"),
)
def t_sne() -> Any:
    """Fifty dimensions cannot be seen. t-SNE lays the words out in two, so that those near to each
    other stay so; how far apart groups lie, and in which direction, means nothing.
    """
    import numpy as np

    from kerasrnn.embeddings import EmbeddingMatrix

    m = EmbeddingMatrix.load("words_en")
    groups = {
        "people": ["man", "woman", "boy", "girl", "king", "queen"],
        "animals": ["dog", "cat", "fish", "horse", "bird"],
        "fruit": ["apple", "orange", "grape", "lemon", "banana"],
        "numbers": ["one", "two", "three", "four", "five"],
    }
    words = [word for group in groups.values() for word in group]
    group_of = {word: name for name, group in groups.items() for word in group}
    ax = m.plot(groups=groups, seed=1, theme="light")
    points = np.concatenate([dots.get_offsets() for dots in ax.collections])  # in their order
    apart = np.linalg.norm(points[:, None] - points, axis=-1) + np.diag(np.full(len(words), np.inf))
    nearest = {
        "50 dimensions": [m.most_similar(word, topn=1, restrict=words)[0][0] for word in words],
        "2 dimensions": [words[place] for place in apart.argmin(axis=1)],
    }
    for where, neighbours in nearest.items():
        same = [group_of[a] == group_of[b] for a, b in zip(words, neighbours, strict=True)]
        print(
            f"In {where} the nearest of {np.mean(same):.0%} of {len(words)} words is of its group."
        )
    return ax


@t_sne.picture("The words as `m.plot(groups=groups)` draws them.")
def _(ax: Any) -> Figure:
    return without_window(ax)


@item(
    "e_man − e_woman ≈ e_king − e_?",
    code=("kerasrnn/embeddings/matrix.py::EmbeddingMatrix.analogy",),
    tests=(
        "tests/embeddings/test_matrix.py::test_the_lecture_s_words",
        "tests/embeddings/test_pictures.py::test_arrows_of_an_analogy_are_parallel",
    ),
    within=0.01,
    needs=("textalloc",),
)
def analogy() -> Any:
    """Man is to woman as king is to what? The difference of the first two is, nearly, a vector from
    male to female, and so is that of the other two:

        e_man − e_woman  ≈  e_king − e_queen
    """
    import numpy as np

    from kerasrnn.embeddings import EmbeddingMatrix

    m = EmbeddingMatrix.load("words_en")
    unit = {word: m[word] / np.linalg.norm(m[word]) for word in m.terms}
    one = unit["man"] - unit["woman"]
    print("cosine of e_man − e_woman with")
    for word in ("queen", "prince", "throne", "apple"):
        print(f"    e_king − e_{word:7}{m.similarity(one, unit['king'] - unit[word]):6.2f}")
    for a, b, c in (
        ("man", "woman", "king"),
        ("germany", "berlin", "france"),
        ("go", "went", "take"),
        ("big", "bigger", "tall"),
    ):
        print(f"{a} : {b} = {c} : {m.analogy(a, b, c)[0][0]}")
    assert m.analogy("man", "woman", "king")[0][0] == "queen"
    return m


@analogy.picture(
    "Arrows from the male to the female word, and from a word to its comparative, in the plane of "
    "the first two principal components."
)
def _(m: Any) -> Figure:
    from kerasrnn.embeddings.pictures import plot

    figure, [[ax]] = panels(inches=(6.4, 4.4))
    people = [("man", "woman", *pair) for pair in _PEOPLE]
    sizes = [("big", "bigger", *pair) for pair in _SIZES]
    plot(m, method="pca", analogies=[*people, *sizes], ax=ax, theme="light")
    return figure


@item(
    "Similarity, and the argmax",
    code=(
        "kerasrnn/embeddings/matrix.py::EmbeddingMatrix.similarity",
        "kerasrnn/embeddings/matrix.py::EmbeddingMatrix.most_similar",
    ),
    tests=(
        "tests/embeddings/test_matrix.py::test_queries_are_the_equations",
        "tests/embeddings/test_evaluation.py::test_questions_are_counted_by_section",
    ),
    within=0.01,
)
def argmax() -> Any:
    """The word that is looked for is the one whose vector points most nearly where the sum of the
    three does. That is asked of all words but the three themselves.

                      uᵀv
        sim(u, v) = ─────────        arg max_w  sim(e_w, e_king − e_man + e_woman)
                     |u| |v|

    All vectors are scaled to length 1 first.
    """
    import numpy as np

    from kerasrnn.embeddings import EmbeddingMatrix

    m = EmbeddingMatrix.load("words_en")
    E = m.matrix.T / np.linalg.norm(m.matrix, axis=1)  # (50, words), as in the lecture
    j = {word: place for place, word in enumerate(m.terms)}
    v = E[:, j["king"]] - E[:, j["man"]] + E[:, j["woman"]]
    sim = E.T @ v / np.linalg.norm(v)
    sim[[j["king"], j["man"], j["woman"]]] = -1
    best = [(m.terms[w], sim[w]) for w in np.argsort(-sim)[:8]]
    for word, value in best:
        print(f"{word:10} {value:.3f}")

    found = m.analogy("man", "woman", "king", topn=8)
    assert [word for word, _ in best] == [word for word, _ in found]
    return best


@argmax.picture("The similarities of the first eight.")
def _(best: Any) -> Figure:
    figure, [[ax]] = panels(inches=(5.6, 2.6))
    words = [word for word, _ in best][::-1]
    bars = ax.barh(words, [value for _, value in best][::-1], color=LIGHT.groups[5])
    bars[-1].set_color(LIGHT.groups[1])
    ax.set_xlim(0, 1)
    finish(ax, x="sim(e_w, e_king − e_man + e_woman)")
    return figure


@item(
    "E·o_j",
    code=(
        "kerasrnn/embeddings/matrix.py::EmbeddingMatrix.vector",
        "kerasrnn/embeddings/matrix.py::EmbeddingMatrix.to_layer",
    ),
    tests=("tests/embeddings/test_matrix.py::test_the_layer_is_the_product_with_one_hot_vectors",),
    within=0.01,
)
def one_hot() -> Any:
    """The vectors of all words are the columns of one matrix E, and the product with a one-hot
    vector picks one of them:

        e_j = E o_j

    It would be a waste to compute it so, for all terms of the sum but one are zero: an embedding
    layer looks the column up.
    """
    import numpy as np

    from kerasrnn.embeddings import EmbeddingMatrix

    m = EmbeddingMatrix.load("words_en")
    E = m.matrix.T
    j = m.row("orange")
    o_j = np.zeros(len(m))
    o_j[j] = 1
    e_j = E @ o_j
    print("E", E.shape, "· o_j", o_j.shape, "= e_j", e_j.shape)
    print("e_orange begins with", e_j[:5].round(2))
    assert np.array_equal(e_j, m["orange"])
    # The layer has two rows more in front, for padding and <UNK>.
    assert np.array_equal(m.to_layer()(np.array([j + 2]))[0], e_j)
