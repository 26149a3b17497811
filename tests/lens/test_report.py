"""The page: all of it is there for every model, it is one file, and a browser has no complaint."""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import keras
import matplotlib
import numpy as np
import pytest
from keras import layers

from kerasrnn.data import adding
from kerasrnn.lens import gradient_flow, memory_horizon, report
from kerasrnn.lens.__main__ import main
from kerasrnn.lens.probing import probing, recurrent_layers
from kerasrnn.lens.report_page import table
from kerasrnn.lens.report_parts import Study, what_it_is
from kerasrnn.lens.report_sources import drawable, examples_of, opened, read_examples, spread
from kerasrnn.zoo import LanguageModel, MemoryModel, MusicModel, SequenceTagger, list_presets

matplotlib.use("Agg")

from matplotlib import pyplot

SECTIONS = ["model", "gradient", "step", "gates", "saturation", "weights", "data"]
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(3, 7, 4)).astype("float32"), RNG.normal(size=(3, 1)).astype("float32")


def model_of(*inner, shape=(7, 4), outputs=1):
    return keras.Sequential([keras.Input(shape), *inner, layers.Dense(outputs)])


class Page(HTMLParser):
    """What stands in a page: tags that were closed, ids, images, texts by tag."""

    VOID = ("meta", "link", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.images, self.links = [], [], [], []
        self.tags, self.headings, self.missing = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        if tag == "img":
            self.images.append(found)
        if tag not in self.VOID:
            self.open.append((tag, found))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, text):
        if not self.open:
            return
        tag, found = self.open[-1]
        if tag in ("h1", "h2"):
            self.headings.append(text)
        if found.get("class") == "missing":
            self.missing.append(text)


def check_whole(text, sections=SECTIONS):
    page = Page(text)
    assert page.missing == []
    assert [name for name in page.ids if name in sections] == sections
    assert "script" not in page.tags
    # Nothing comes from elsewhere.
    assert {link for link in page.links if link[0] != "#"} == {"data:,"}
    assert {link[1:] for link in page.links if link[0] == "#"} == set(page.ids)
    pairs = list(zip(page.images[::2], page.images[1::2], strict=True))
    assert len(pairs) > 4
    for light, dark in pairs:
        assert len(light["alt"]) > 20 and light["alt"] == dark["alt"]
        assert "light" in light["class"].split() and "dark" in dark["class"].split()
        assert light["src"] != dark["src"]
        for image in (light, dark):
            kind, _, coded = image["src"].partition(",")
            assert kind == "data:image/svg+xml;base64"
            assert b"<svg" in base64.b64decode(coded, validate=True)[:2000]
    assert pyplot.get_fignums() == []
    return page


# === What is on it ===


@pytest.fixture(scope="module")
def labelled():
    model = model_of(layers.GRU(5, return_sequences=True, name="low"), layers.LSTM(4, name="high"))
    return model, report(model, X, Y, loss="mse", title="A <model> & more")


def test_all_parts_are_there(labelled):
    model, text = labelled
    page = check_whole(text, ["model", "gradient", "loss", *SECTIONS[2:]])
    assert page.headings[0] == "A <model> & more"
    assert "<model>" not in text
    assert page.headings[1:3] == ["The model", "How far the gradient reaches"]
    for word in ("low", "high", "GRUCell", "LSTMCell", f"{model.count_params():,}"):
        assert word in text


def test_the_headline_is_the_horizon(labelled):
    model, text = labelled
    (found,) = re.findall(r"Memory horizon</p><strong>([^<]*)</strong>", text)
    assert html.unescape(found) == str(memory_horizon(model, X))


def test_figures_are_those_of_the_functions(labelled):
    model, text = labelled
    flow = gradient_flow(model, X, of="output")
    factor = f"{np.exp(flow['high'].growth):.4g}"
    assert f'<td class="number">{factor}</td>' in text
    assert f"{flow['low'].by_lag[0]:.4g} at lag 0" in html.unescape(text)


@pytest.mark.slow
def test_the_same_model_makes_the_same_page(labelled):
    model, text = labelled
    assert report(model, X, Y, loss="mse", title="A <model> & more") == text


def test_without_targets_there_is_no_loss():
    text = report(model_of(layers.SimpleRNN(3)), X)
    check_whole(text)
    assert "The gradient of the loss" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "inner",
    [
        lambda: [layers.Bidirectional(layers.LSTM(3, return_sequences=True))],
        lambda: [layers.RNN([layers.GRUCell(3), layers.LSTMCell(2)])],
        lambda: [layers.GRU(3, go_backwards=True, reset_after=False)],
    ],
    ids=["both directions", "a stack of cells", "from the end"],
)
def test_other_layers(inner):
    check_whole(report(model_of(*inner()), X))


def test_a_layer_that_reads_from_the_end_is_measured_at_the_start():
    model = model_of(layers.Bidirectional(layers.GRU(3, return_sequences=True)))
    text = report(model, X)
    assert "from the end at its first" in text
    rows = re.findall(r"backward_gru[^<]*</th><td>a</td><td class=\"number\">(\d+)</td>", text)
    assert rows == ["7"]


def test_a_sequence_of_one_step():
    check_whole(report(model_of(layers.GRU(3), shape=(1, 4)), X[:, :1]))


@pytest.mark.slow
def test_masked_steps():
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(20, 4, mask_zero=True),
            layers.LSTM(5),
            layers.Dense(2),
        ]
    )
    ids = RNG.integers(1, 20, (4, 9))
    ids[1:, 5:] = 0
    check_whole(report(model, ids))
    check_whole(report(model))  # of random ids, which the table has


def test_a_part_that_fails_says_why_and_the_rest_is_there():
    model = model_of(layers.GRU(4, name="gru"))
    model.layers[0].cell.kernel.assign(np.full((4, 12), np.nan))
    text = report(model, X)
    page = Page(text)
    assert set(SECTIONS) <= set(page.ids)
    assert any("is not finite" in reason for reason in page.missing)
    assert "GRUCell" in text


# === Runs and presets ===


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    tagger = SequenceTagger(["in", "paris", "lives"], ["O", "B-LOC", "I-LOC"], units=4)
    card = {"example": 'tagger.predict(["She lives in Paris"])\nimport os; os.abort()'}
    tagger.save_to_preset(folder / "preset", extra={"card": card, "training": {"data": "x.conll"}})
    figures = {"loss": 0.5, "f1": 0.25, "types": {"LOC": {"f1": 1.0}}}
    metrics = {"validation": figures, "test": {}, "best_epoch": 2}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "history.csv").write_text(
        "epoch,loss,val_loss,val_f1,learning_rate,seconds\n1,2.0,2.5,0.1,0.01,3\n2,1.0,1.5,,0.005,3\n"
    )
    return folder


def test_a_run(run):
    text = report(run)
    page = check_whole(text, [*SECTIONS[:-1], "learning", "data"])
    assert page.headings[0] == "first"
    assert '<td>f1</td><td class="number">0.25</td>' in text
    assert "trained on" in text and "x.conll" in text
    curves = next(image["alt"] for image in page.images if "Learning curves" in image["alt"])
    assert "loss: training, from 2 to 1." in curves
    assert "loss: validation, from 2.5 to 1.5." in curves


def test_a_cards_example_is_read_and_not_run(run):
    found = opened(run)
    assert examples_of(found, 8).x[0] == "She lives in Paris"


@pytest.mark.parametrize("damage", ["[", "[1]", '{"runs": [3, {"test": 4}], "shipped": []}'])
def test_damaged_figures_are_said_or_left_out(run, tmp_path, damage):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "metrics.json").write_text(damage)
    (copy / "history.csv").write_bytes(b"\xff\xfe")
    found = opened(copy)
    assert any("history.csv cannot be read" in note for note in found.notes)
    assert any("metrics.json" in note for note in found.notes) == (damage[0] == "[")
    text = "".join(what_it_is(Study(found, examples_of(found, 1))))
    assert "LSTMCell" in text and "Its figures" not in text


def test_a_run_without_a_model(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(FileNotFoundError, match="has no model yet"):
        report(tmp_path)


def test_a_keras_file(tmp_path):
    model = model_of(layers.GRU(4))
    model.save(tmp_path / "small.keras")
    assert check_whole(report(tmp_path / "small.keras")).headings[0] == "small"
    with pytest.raises(FileNotFoundError, match="no file"):
        report(tmp_path / "other.keras")


@pytest.mark.slow
def test_music_and_memory_and_text():
    for model in (
        MusicModel(units=4, nade_units=3),
        MemoryModel.from_examples(adding(4, length=9, seed=1), units=4),
        LanguageModel("abc ", units=4, max_tokens=12),
    ):
        found = opened(model)
        examples = examples_of(found, 4)
        assert len(examples.x)
        text = report(model, examples.x)
        assert "could not be made" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", [p.name for p in list_presets() if p.task != "WordVectors"])
def test_every_preset(name):
    text = report(name, examples=8)
    page = Page(text)
    assert page.missing == [] and page.headings[0] == name
    assert len(text) < 8_000_000


# === Data ===


def test_data_of_a_tagger(run, tmp_path):
    tagger = opened(run).model
    lines = tmp_path / "lines.txt"
    lines.write_text("She lives in Paris\n\nIn Rome\n")
    found = read_examples(tagger, lines, 9)
    assert found.x == ["She lives in Paris", "In Rome"] and "without labels" in found.what
    columns = tmp_path / "columns.txt"
    columns.write_text("in O\nparis B-LOC\n\nlives O\n")
    assert [s.tokens for s in read_examples(tagger, columns, 9).x] == [("in", "paris"), ("lives",)]
    named = tmp_path / "wrong.conll"
    named.write_text("in X-Y\n")
    with pytest.raises(ValueError, match=r"wrong\.conll"):
        read_examples(tagger, named, 9)


def test_data_of_arrays(tmp_path):
    model = model_of(layers.GRU(4))
    np.savez(tmp_path / "xy.npz", x=X, y=Y)
    np.save(tmp_path / "x.npy", X)
    assert read_examples(model, tmp_path / "xy.npz", 2).y.shape == (2, 1)
    assert read_examples(model, tmp_path / "x.npy", 2).y is None
    np.savez(tmp_path / "z.npz", z=X)
    with pytest.raises(ValueError, match=r"must hold an array x\. It holds z"):
        read_examples(model, tmp_path / "z.npz", 2)
    with pytest.raises(ValueError, match=r"\.npy or \.npz"):
        read_examples(model, __file__, 2)


def test_data_of_a_language_model_is_a_text_in_pieces(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abc cab\n" * 101)
    found = read_examples(LanguageModel("abc \n", units=4), path, 3)
    assert [len(piece) for piece in found.x] == [200, 200, 200]


def test_spread():
    assert spread(list(range(10)), 3) == [0, 4, 9]
    assert spread([1, 2], 3) == [1, 2]


def test_drawable():
    assert drawable("Größe a\tb") and not drawable("名前") and not drawable("اسم")


# === Errors ===


def test_models_that_have_no_page(tmp_path):
    with pytest.raises(ValueError, match="must have a recurrent layer"):
        report(model_of(shape=(4,)))
    with pytest.raises(ValueError, match="must be built"):
        report(keras.Sequential([layers.GRU(3)]))
    with pytest.raises(ValueError, match="Did you mean 'ner_en_starter'"):
        report("ner_en_startr")
    with pytest.raises(ValueError, match="must have a recurrent layer"):
        report("words_en")
    with pytest.raises(TypeError, match="Received: int"):
        report(3)
    with pytest.raises(ValueError, match="`x` must be given with `y`"):
        report(model_of(layers.GRU(3)), None, Y)
    with pytest.raises(IsADirectoryError, match="must name a file"):
        report(model_of(layers.GRU(3)), X, path=tmp_path)


def test_which_derivative_is_chosen():
    model = model_of(layers.GRU(3))
    assert gradient_flow(model, X, Y, of="output").of == "output"
    assert gradient_flow(model, X, Y, of="loss", loss="mse").of == "loss"
    with pytest.raises(ValueError, match="'loss', 'output' or None"):
        gradient_flow(model, X, of="state")
    with pytest.raises(ValueError, match="`loss` must be None"):
        gradient_flow(model, X, of="output", loss="mse")
    with pytest.raises(ValueError, match="`y` must be given"):
        gradient_flow(model, X, of="loss", loss="mse")


def test_inputs_of_layers_are_kept():
    model = model_of(layers.GRU(3, return_sequences=True), layers.RNN([layers.LSTMCell(2)] * 1))
    with probing(model, recurrent_layers(model), keep=("inputs",)) as probe:
        model(X)
    first, second = probe.readings
    np.testing.assert_array_equal(np.swapaxes(first.inputs, 0, 1), X)
    np.testing.assert_allclose(
        np.swapaxes(second.inputs, 0, 1), model.layers[0](X).numpy(), atol=1e-6
    )


def test_cells_of_a_table():
    text = table(["a", "b<c"], [("x", 0.123456), ("y", None), ("<z>", float("nan"))], "a & b")
    assert text.startswith('<p class="quiet above">a &amp; b</p>')
    assert '<th scope="col" class="number">b&lt;c</th>' in text
    assert '<td class="number">0.1235</td>' in text and '<td class="number"></td>' in text
    assert '<th scope="row">&lt;z&gt;</th>' in text and '<td class="number">–</td>' in text


# === The command ===


def test_the_command(run, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    assert main(["report", str(run), "--out", str(out), "--examples", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    check_whole(out.read_text(), [*SECTIONS[:-1], "learning", "data"])


def test_the_command_says_what_is_wrong(run, tmp_path, capsys):
    kept = tmp_path / "page.html"
    kept.write_text("old")
    for words, message in (
        (["words_en"], "must have a recurrent layer"),
        ([str(run), "--data", "nowhere.txt"], "There is no file nowhere.txt"),
        ([str(run), "--examples", "0"], "--examples must be a positive integer"),
        (["nothing_like_it"], "Unknown preset"),
    ):
        assert main(["report", *words, "--out", str(kept)]) == 2
        assert message in capsys.readouterr().err
    assert kept.read_text() == "old"


def test_help_does_not_load_tensorflow():
    code = (
        "import sys\nfrom kerasrnn.lens.__main__ import main\n"
        "try:\n    main(['report', '--help'], prog='kerasrnn lens')\nexcept SystemExit: pass\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "usage: kerasrnn lens report" in done.stdout


# === In a browser ===

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


def browse(path, folder, *options):
    """What a browser without a network has to say of a page, and its picture."""
    picture = folder / "page.png"
    picture.unlink(missing_ok=True)
    done = subprocess.run(
        [
            BROWSER,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}"),
            *("--hide-scrollbars", "--window-size=1000,700", f"--screenshot={picture}", *options),
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(folder)},
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return complaints, pyplot.imread(picture)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_shows_it_without_a_complaint(labelled, tmp_path):
    # Of such a page it does complain.
    bad = tmp_path / "bad.html"
    bad.write_text("<script>console.error('so')</script><img src='http://example.org/a.png'>")
    assert browse(bad, tmp_path)[0]
    path = tmp_path / "page.html"
    path.write_text(labelled[1], encoding="utf-8")
    complaints, light = browse(path, tmp_path)
    assert complaints == []
    dark_options = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
    complaints, dark = browse(path, tmp_path, *dark_options)
    assert complaints == []
    assert light[3, 3, :3].mean() == 1 and dark[3, 3, :3].mean() < 0.2
