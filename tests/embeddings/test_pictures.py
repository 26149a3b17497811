"""Pictures of embeddings: what stands where, checked by the artists that were drawn."""

import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.embeddings.pictures import axis_table, heat_map, plot
from tests.embeddings.tiny import TinyMatrix, random_matrix

matplotlib.use("Agg")
pytest.importorskip("sklearn")
pytest.importorskip("textalloc")

from matplotlib import pyplot
from matplotlib.patches import FancyArrowPatch

# e_woman − e_man = e_queen − e_king, in any two components of these.
ROYAL = TinyMatrix(
    ["man", "woman", "king", "queen", "apple"],
    [[2, -1, 0, 0], [2, 1, 0, 0], [2, -1, 3, 0], [2, 1, 3, 0], [0, 0, 0, 2]],
)
ANALOGY = ("man", "woman", "king", "queen")
AXES = {"gender": ("man", "woman"), "royal": (["man", "woman"], ["king", "queen"])}


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def boxes(texts):
    return [text.get_window_extent() for text in texts]


def covering(texts):
    """Pairs of texts that cover each other, by matplotlib's own measure."""
    found = boxes(texts)
    return [
        (texts[i].get_text(), texts[j].get_text())
        for i in range(len(found))
        for j in range(i)
        if found[i].overlaps(found[j])
    ]


def places(axes):
    """The points in the order of the labels."""
    return np.concatenate([dots.get_offsets() for dots in axes.collections])


def arrows(axes):
    return [patch._posA_posB for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def written(axes):
    return [text.get_text() for text in axes.texts]


# === Labels ===


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_no_label_covers_another_nor_a_point(method):
    matrix = random_matrix([f"a long word {number}" for number in range(40)])
    axes = plot(matrix, method=method)
    assert sorted(written(axes)) == sorted(matrix.terms)
    axes.figure.canvas.draw()
    assert not covering(axes.texts)
    points = axes.transData.transform(places(axes))
    inside = axes.get_window_extent()
    for box in boxes(axes.texts):
        assert not any(box.contains(*point) for point in points)
        assert inside.contains(*box.min) and inside.contains(*box.max)


def test_labels_do_not_cover_arrows_in_another_resolution():
    words = [f"word {number}" for number in range(24)]
    analogies = [tuple(words[at : at + 4]) for at in range(0, 24, 4)]
    axes = plot(random_matrix(words), method="pca", analogies=analogies)
    axes.figure.set_dpi(200)
    axes.figure.canvas.draw()
    assert not covering(axes.texts)
    for start, end in arrows(axes):
        line = axes.transData.transform(np.linspace(start, end, 100))
        assert not any(box.contains(*point) for box in boxes(axes.texts) for point in line)


def test_the_picture_grows_until_there_is_room():
    same = TinyMatrix([f"the same vector {n}" for n in range(24)], np.ones((24, 4)))
    axes = plot(same)
    assert not covering(axes.texts)
    assert axes.figure.get_size_inches()[0] > plot(ROYAL).figure.get_size_inches()[0]


def test_in_given_axes_labels_become_smaller():
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(5, 2.5))
    matrix = random_matrix([f"number {n}" for n in range(25)])
    assert plot(matrix, ax=left) is left
    assert figure.get_size_inches().tolist() == [5, 2.5]
    assert not covering(left.texts)
    assert 4 <= left.texts[0].get_size() < 9
    plot(ROYAL, ax=right)
    assert right.texts[0].get_size() == 9


def test_labels_that_cannot_fit_are_drawn_with_a_warning():
    ax = pyplot.subplots(figsize=(1, 1))[1]
    matrix = random_matrix(["a very long word " * 3 + str(n) for n in range(30)])
    with pytest.warns(UserWarning, match="30 labels do not fit"):
        plot(matrix, ax=ax)
    assert len(ax.texts) == 30


def test_words_are_written_as_they_are():
    terms = ["$a_{", "$x$", "_hidden", "tab\t", "a\nb", "\\alpha"]
    matrix = random_matrix(terms)
    axes = plot(matrix, terms, groups={"_$g_{": ["$x$"]}, analogies=[terms[:4]])
    axes.figure.canvas.draw()
    assert sorted(written(axes)) == sorted(
        ["$a_{", "$x$", "_hidden", r"tab\t", r"a\nb", r"\\alpha"]
    )
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["_$g_{", r"$a_{ → $x$, _hidden → tab\t"]
    table = heat_map(random_matrix(terms), terms[:2], {"_$": ("_hidden", "$x$")})
    table.figure.canvas.draw()
    assert [tick.get_text() for tick in table.get_xticklabels()] == ["$a_{", "$x$"]
    assert [tick.get_text() for tick in table.get_yticklabels()] == ["_$\n_hidden → $x$"]


# === Points ===


def test_principal_components_are_those_of_the_covariance():
    matrix = random_matrix([*"abcdefghij"])
    axes = plot(matrix, [*"abcdefgh"], method="pca")
    unit = matrix.matrix[:8] / np.linalg.norm(matrix.matrix[:8], axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(centred.T))
    expected = centred @ directions[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(places(axes)), np.abs(expected), atol=1e-5)
    shares = np.round(100 * values[[-1, -2]] / values.sum())
    assert axes.get_xlabel() == f"first component, {shares[0]:.0f} % of the variance"
    assert axes.get_ylabel() == f"second component, {shares[1]:.0f} % of the variance"


def test_tsne_keeps_groups_apart():
    rng = np.random.default_rng(2)
    centres = np.repeat(np.eye(3, 12), 10, axis=0)
    words = [f"{group}{n}" for group in "abc" for n in range(10)]
    axes = plot(TinyMatrix(words, centres + 0.05 * rng.normal(size=centres.shape)), words)
    points = places(axes).reshape(3, 10, 2)
    spread = np.linalg.norm(points - points.mean(axis=1, keepdims=True), axis=-1).max()
    middle = points.mean(axis=1)
    apart = min(np.linalg.norm(middle[i] - middle[j]) for i in range(3) for j in range(i))
    assert apart > 2 * spread


def test_lengths_of_vectors_do_not_count():
    matrix = random_matrix([*"abcdefgh"])
    # Powers of two: t-SNE makes other pictures of other roundings.
    longer = TinyMatrix(matrix.terms, matrix.matrix * 2.0 ** np.arange(8)[:, None])
    for method in ("pca", "tsne"):
        first, second = (places(plot(m, method=method)) for m in (matrix, longer))
        np.testing.assert_array_equal(first, second)


def test_a_seed_gives_the_same_picture_again():
    matrix = random_matrix([f"w{n}" for n in range(20)])
    first, again = (plot(matrix, seed=3) for _ in range(2))
    np.testing.assert_array_equal(places(first), places(again))
    assert [t.get_position() for t in first.texts] == [t.get_position() for t in again.texts]


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_few_words(method, count):
    axes = plot(random_matrix([f"word{n}" for n in range(count)]), method=method)
    points = places(axes)
    assert points.shape == (count, 2) and np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == count
    assert len(axes.texts) == count and not covering(axes.texts)


@pytest.mark.parametrize("method", ["tsne", "pca"])
@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((6, 3)),
        np.zeros((6, 3)),
        np.arange(1, 7)[:, None] * [[1.0, 0.0]],
        np.array([[1.0], [2], [-1], [0], [3], [-4]]),
        np.repeat(np.eye(2), 3, axis=0),
    ],
)
def test_words_with_the_same_direction_are_one_point(method, vectors):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        axes = plot(TinyMatrix([*"abcdef"], vectors), method=method)
    points = places(axes)
    assert np.isfinite(points).all()
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    for i in range(6):
        for j in range(6):
            same = np.allclose(directions[i], directions[j])
            assert np.allclose(points[i], points[j]) == same
    assert len(axes.texts) == 6 and not covering(axes.texts)


def test_repeated_words_are_drawn_once():
    assert written(plot(ROYAL, ["king", "man", "king"], groups={"r": ["king"]})) == ["king", "man"]


def test_without_words_the_first_hundred_are_drawn():
    matrix = random_matrix([f"{n}" for n in range(150)])
    assert written(plot(matrix, method="pca")) == list(matrix.terms[:100])
    assert written(plot(matrix, groups={"few": ["140", "7"]}, method="pca")) == ["140", "7"]


# === Groups, analogies, colours ===


def test_each_group_has_a_colour_and_a_marker():
    names = [f"group {n}" for n in range(9)]
    matrix = random_matrix([f"{name} {n}" for name in names for n in "ab"] + ["none"])
    groups = {name: [f"{name} a", f"{name} b"] for name in names}
    axes = plot(matrix, ["none"], groups=groups, method="pca")
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == names
    looks = {
        (tuple(dots.get_facecolor()[0]), dots.get_paths()[0].vertices.tobytes())
        for dots in axes.collections
    }
    assert len(looks) == 10
    axes.figure.canvas.draw()
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())


def test_arrows_of_an_analogy_are_parallel():
    axes = plot(ROYAL, method="pca", analogies=[ANALOGY])
    (a, b), (c, d) = arrows(axes)
    place = dict(zip(written(axes), places(axes), strict=True))
    for end, word in zip((a, b, c, d), ANALOGY, strict=True):
        np.testing.assert_array_equal(end, place[word])
    first, second = np.subtract(b, a), np.subtract(d, c)
    cosine = first @ second / (np.linalg.norm(first) * np.linalg.norm(second))
    assert cosine > 0.999


def test_analogies_that_share_an_arrow_have_one_colour():
    matrix = random_matrix([*"abcdefghij"])
    analogies = [[*"abcd"], [*"efgh"], [*"cdij"], [*"abcd"]]
    axes = plot(matrix, method="pca", analogies=analogies)
    patches = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(patches) == 5
    assert len({patch.get_edgecolor() for patch in patches}) == 2
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["e → f, g → h", "a → b, c → d, i → j"]


def test_an_arrow_between_words_of_the_same_vector_is_no_error():
    axes = plot(TinyMatrix([*"abcd"], np.ones((4, 3))), analogies=[[*"abcd"]])
    axes.figure.canvas.draw()
    assert written(axes) == [*"abcd"]


def contrast(colour, background):
    """The ratio of the Web Content Accessibility Guidelines, 1 to 21."""

    def light(of):
        part = np.array(matplotlib.colors.to_rgb(of))
        part = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(part @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([light(colour), light(background)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read_in_light_and_dark(theme):
    axes = plot(ROYAL, method="pca", theme=theme, title="Royal", analogies=[ANALOGY])
    background = axes.get_facecolor()
    assert axes.figure.get_facecolor() == background
    assert (sum(background[:3]) < 1.5) == (theme == "dark")
    texts = [*axes.texts, *axes.get_legend().get_texts(), axes.title, axes.xaxis.label]
    assert min(contrast(text.get_color(), background) for text in texts) > 7
    table = heat_map(ROYAL, ROYAL.terms, AXES, theme=theme)
    image = table.images[0]
    values = image.get_array()
    for text in table.texts:
        column, row = (round(at) for at in text.get_position())
        assert contrast(text.get_color(), image.cmap(image.norm(values[row, column]))[:3]) > 4.5
    for tick in [*table.get_xticklabels(), *table.get_yticklabels()]:
        assert contrast(tick.get_color(), table.figure.get_facecolor()) > 7


def test_the_theme_follows_the_figure():
    with pyplot.style.context("dark_background"):
        dark = plot(ROYAL, ["king", "queen"])
        table = heat_map(ROYAL, ["king", "queen"], AXES)
    light = plot(ROYAL, ["king", "queen"])
    assert contrast(dark.texts[0].get_color(), "black") > 7
    assert contrast(table.get_xticklabels()[0].get_color(), "black") > 7
    assert contrast(light.texts[0].get_color(), "white") > 7


# === Words against features ===


def test_values_are_cosines_with_the_difference_of_the_ends():
    matrix = random_matrix([*"abcdefgh"])
    table = axis_table(matrix, [*"fgf"], {"x": ("a", ["b", "c"]), "y": "d", "z": [["d", "e"]]})
    e = {term: row / np.linalg.norm(row) for term, row in zip(matrix.terms, matrix.matrix)}  # noqa: B905
    mean = np.mean([*e.values()], axis=0)
    directions = [(e["b"] + e["c"]) / 2 - e["a"], e["d"] - mean, (e["d"] + e["e"]) / 2 - mean]
    expected = [[e[w] @ d / np.linalg.norm(d) for w in "fg"] for d in directions]
    np.testing.assert_allclose(table.values, expected, atol=1e-6)
    assert table.axes == ("x", "y", "z") and table.words == ("f", "g")


def test_ends_of_an_axis_have_opposite_signs():
    table = axis_table(ROYAL, ["man", "woman", "king", "queen"], AXES)
    gender, royal = table.values
    assert gender[0] < 0 < gender[1] and gender[2] < 0 < gender[3]
    assert royal[0] == pytest.approx(royal[1]) and royal[2] == pytest.approx(royal[3])
    assert royal[0] < 0 < royal[2]


def test_a_vector_of_zeros_has_no_direction():
    matrix = TinyMatrix([*"abc"], [[0, 0], [1, 0], [0, 1]])
    assert axis_table(matrix, ["a"], {"x": ("b", "c")}).values.tolist() == [[0]]


def test_the_heat_map_shows_the_table():
    words = ["man", "woman", "king", "apple"]
    table = axis_table(ROYAL, words, AXES)
    axes = heat_map(ROYAL, words, AXES, title="Features")
    image = axes.images[0]
    np.testing.assert_array_equal(image.get_array(), table.values)
    low, high = image.get_clim()
    assert low == -high < 0  # 0 is in the middle of the colours
    assert written(axes) == [f"{v:.2f}".replace("-", "−") for v in table.values.ravel()]
    assert axes.get_title() == "Features"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == words
    names = ["gender\nman → woman", "royal\nman, woman → king, queen"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == names


def test_texts_of_a_heat_map_do_not_cover_each_other():
    words = [f"word number {n}" for n in range(12)]
    ax = pyplot.subplots(figsize=(4, 2))[1]
    for axes in (
        heat_map(random_matrix(words), words, {"x": (words[0], words[1])}),
        heat_map(random_matrix(words), words, {"x": (words[0], words[1])}, ax=ax),
    ):
        axes.figure.canvas.draw()
        assert not covering(axes.texts)
        turned = {tick.get_rotation() for tick in axes.get_xticklabels()}
        assert turned == {45}
    plain = heat_map(ROYAL, ["man", "king"], AXES)
    assert not covering(plain.get_xticklabels())
    assert {tick.get_rotation() for tick in plain.get_xticklabels()} == {0}


def test_values_of_zero_are_drawn():
    matrix = TinyMatrix([*"abc"], [[0, 0], [1, 0], [0, 1]])
    assert written(heat_map(matrix, ["a"], {"x": ("b", "c")})) == ["0.00"]


# === Bad input ===


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"words": ["king", "kin"]}, KeyError, "Unknown word 'kin'. Did you mean"),
        ({"words": []}, ValueError, "`words` is empty"),
        ({"words": "king"}, TypeError, "words must be a sequence of strings"),
        ({"method": "umap"}, ValueError, "`method` must be one of tsne, pca. Received: 'umap'"),
        ({"method": None}, ValueError, "`method` must be one of tsne, pca"),
        ({"theme": "blue"}, ValueError, "`theme` must be one of light, dark. Received: 'blue'"),
        ({"groups": {"a": ["kin"]}}, KeyError, "Unknown word 'kin'"),
        ({"groups": {"a": ["king"], "b": ["king"]}}, ValueError, "'king' is in 'a' and 'b'"),
        ({"groups": {"a": []}}, ValueError, "must hold words"),
        ({"groups": {"a": "king"}}, TypeError, r"groups\['a'\] must be a sequence"),
        ({"analogies": [("man", "woman", "king")]}, ValueError, r"analogies\[0\] must be four"),
        ({"analogies": ["mane"]}, TypeError, r"analogies\[0\] must be four words"),
        ({"analogies": "mane"}, TypeError, "`analogies` must hold four words each"),
        ({"analogies": [("man", "man", "king", "queen")]}, ValueError, "'man' to itself"),
        ({"analogies": [("man", "kin", "king", "queen")]}, KeyError, "Unknown word 'kin'"),
        ({"perplexity": 5}, ValueError, "`perplexity`.*vectors of their own, 5. Received: 5"),
        ({"perplexity": 0}, ValueError, "`perplexity`"),
        ({"perplexity": float("nan")}, ValueError, "`perplexity`"),
        ({"perplexity": "many"}, ValueError, "`perplexity`"),
        ({"seed": -1}, ValueError, "seed must be 0 or more"),
        ({"seed": 1.5}, ValueError, "seed must be"),
    ],
)
def test_what_is_wrong_with_a_plot_is_named(arguments, error, message):
    before = pyplot.get_fignums()
    with pytest.raises(error, match=message):
        plot(ROYAL, **arguments)
    assert pyplot.get_fignums() == before


@pytest.mark.parametrize(
    ("words", "axes", "error", "message"),
    [
        (["king"], {}, ValueError, "`axes` must not be empty"),
        ([], AXES, ValueError, "`words` must not be empty"),
        (["kin"], AXES, KeyError, "Unknown word 'kin'"),
        ("king", AXES, TypeError, "words must be a sequence"),
        (["king"], ["man"], TypeError, "`axes` must map names to their ends"),
        (["king"], {"x": ("man", "kin")}, KeyError, "Unknown word 'kin'"),
        (["king"], {"x": ("man", "king", "queen")}, TypeError, r"axes\['x'\] must be two ends"),
        (["king"], {"x": 3}, TypeError, r"axes\['x'\] must be two ends"),
        (["king"], {"x": ("man", [])}, ValueError, r"axes\['x'\] must have words at each end"),
        (["king"], {"x": ("man", 3)}, TypeError, r"axes\['x'\] must be a sequence of strings"),
        (["king"], {"x": ("man", "man")}, ValueError, r"axes\['x'\].*different vectors"),
    ],
)
def test_what_is_wrong_with_axes_is_named(words, axes, error, message):
    for draw in (axis_table, heat_map):
        with pytest.raises(error, match=message):
            draw(ROYAL, words, axes)
    assert not pyplot.get_fignums()


def test_subfigures_are_refused():
    figure = pyplot.figure().subfigures(1, 2)[0]
    with pytest.raises(ValueError, match="not in one of its subfigures"):
        plot(ROYAL, ax=figure.subplots())


@pytest.mark.parametrize(
    ("module", "method", "package"),
    [("textalloc", "pca", "textalloc"), ("sklearn", "tsne", "scikit-learn")],
)
def test_what_is_not_installed_is_named_with_its_extra(monkeypatch, module, method, package):
    def missing(name):
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return __import__(name, fromlist=[""])

    monkeypatch.setattr("kerasrnn.extras.importlib.import_module", missing)
    message = rf"needs {package}. Install it: pip install 'kerasrnn\[plots\]'"
    with pytest.raises(ImportError, match=message):
        plot(ROYAL, method=method)
    assert not pyplot.get_fignums()
    heat_map(ROYAL, ["king"], AXES)  # needs neither


def test_pictures_need_no_display_and_load_nothing_before(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from kerasrnn.embeddings import pictures\n"
        "lazy = {'matplotlib', 'sklearn', 'textalloc', 'tensorflow', 'keras'}\n"
        "assert not lazy & set(sys.modules)\n"
        "from tests.embeddings.tiny import random_matrix\n"
        f"pictures.plot(random_matrix(['a', 'b'])).figure.savefig({str(tmp_path / 'a.png')!r})\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    environment = {"PATH": "", "MPLCONFIGDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


# === The matrix's own methods ===


def test_methods_of_the_matrix_draw_the_same(tmp_path):
    matrix = EmbeddingMatrix(ROYAL.terms, ROYAL.matrix)
    options = {"method": "pca", "analogies": [ANALOGY], "title": "Royal"}
    own, other = matrix.plot(["apple"], **options), plot(ROYAL, ["apple"], **options)
    np.testing.assert_array_equal(places(own), places(other))
    assert written(own) == written(other) == ["apple", *ANALOGY]
    assert written(matrix.heat_map(["king"], AXES)) == written(heat_map(ROYAL, ["king"], AXES))
    folder = matrix.to_projector(tmp_path / "logs", ["king"], groups={"royal": ["king"]})
    assert (folder / "metadata.tsv").read_text() == "word\tgroup\nking\troyal\n"
    for wrong in (
        lambda: matrix.plot(["king", "kong", "zebra"]),
        lambda: matrix.heat_map(["kong", "zebra"], AXES),
        lambda: matrix.to_projector(tmp_path / "none", ["kong", "zebra"]),
    ):
        with pytest.raises(KeyError, match=r"kong.*king") as caught:
            wrong()
        assert caught.value.__notes__ == ["Not in the matrix, of words: 'kong', 'zebra'"]
