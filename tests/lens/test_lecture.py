"""The lecture's page is what the code does: its text, links, outputs and pictures."""

import ast
import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image, pyplot

from kerasrnn.lens.__main__ import main
from kerasrnn.lens.lecture import execute, items, page, render
from kerasrnn.lens.lecture.page import checkout
from tests.oracles import CELLS, random_weights

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGE = DOCS / "lecture.md"
ITEMS = items()
FAST = [item for item in ITEMS if not item.slow]
MOST_BYTES = 1_000_000

NUMBER = re.compile(r"[-−+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def sections(text):
    """For each item of a page its title, its code and what that printed."""
    found = []
    for part in re.split(r"^## \d+\. ", text, flags=re.MULTILINE)[1:]:
        code, *printed = re.findall(
            r"^```(?:python|text)\n(.*?)\n```$", part, re.MULTILINE | re.DOTALL
        )
        found.append((part.partition("\n")[0], code, "\n".join(printed)))
    return found


def outputs_of(text):
    return {item.name: out for item, (_, _, out) in zip(ITEMS, sections(text), strict=True)}


def differences(expected, printed, within):
    """What is printed and does not agree with the page, as strings.

    Where models are trained, numbers may be `within` of the page's, what a model answered, in “ ”,
    may be another, and a horizon may lie beyond the sequence or not. Else only the last digit.
    """
    if within:
        expected, printed = (re.sub(r"“.*?”|≥ ", "", text) for text in (expected, printed))
    words = [" ".join(NUMBER.sub("#", text).split()) for text in (expected, printed)]
    if words[0] != words[1]:
        return [f"{words[0]!r} is now {words[1]!r}"]
    wrong = []
    for one, other in zip(NUMBER.findall(expected), NUMBER.findall(printed), strict=True):
        page_value, value = (float(n.replace(",", "").replace("−", "-")) for n in (one, other))
        mantissa, _, exponent = one.partition("e")
        unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        if abs(page_value - value) > within + 1.001 * unit:
            wrong.append(f"{one} is now {other}")
    return wrong


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


# === The page ===


def test_the_page_is_what_the_command_writes():
    text = PAGE.read_text(encoding="utf-8")
    titles = [title for title, _, _ in sections(text)]
    assert titles == [item.title for item in ITEMS]
    expected = render(ITEMS, outputs_of(text), DOCS)
    assert text == expected, "run python -m kerasrnn.lens lecture"


@pytest.mark.parametrize("item", FAST, ids=lambda item: item.name)
def test_the_code_on_the_page_prints_what_the_page_says(item):
    """As a reader would run it: copied from the page, with nothing around it."""
    text = PAGE.read_text(encoding="utf-8")
    [(code, expected)] = [(c, out) for title, c, out in sections(text) if title == item.title]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, item.name, "exec"), {})
    assert not differences(expected, printed.getvalue().rstrip(), item.within)


@pytest.mark.slow
def test_what_is_trained_comes_out_as_on_the_page(tmp_path):
    """The whole command. The code of an item raises where what the lecture says does not hold."""
    assert main(["lecture", "--out", str(tmp_path)]) == 0
    written = (tmp_path / "lecture.md").read_text(encoding="utf-8")
    expected, outputs = outputs_of(PAGE.read_text(encoding="utf-8")), outputs_of(written)
    wrong = {i.name: differences(expected[i.name], outputs[i.name], i.within) for i in ITEMS}
    assert not {name: lines for name, lines in wrong.items() if lines}
    drawn = {path.name for path in (tmp_path / "lecture").iterdir()}
    assert drawn == {path.name for path in (DOCS / "lecture").iterdir()}


def test_a_page_that_parted_from_the_code_is_found():
    text = PAGE.read_text(encoding="utf-8")
    for part in ("a<0> = 0", "np.tanh(Wa @", "test_one_step_follows_the_equations", "lstm.png"):
        assert part in text
        changed = text.replace(part, part.upper(), 1)
        assert changed != render(ITEMS, outputs_of(changed), DOCS)
    assert differences("F1 0.31, “PER”", "F1 0.32, “PER”", 0) == []
    assert differences("F1 0.31", "F1 0.33", 0) == ["0.31 is now 0.33"]
    assert differences("F1 0.31, “PER”", "F1 0.40, “ORG”", 0.1) == []
    assert differences("F1 0.31", "F1 0.50", 0.1) == ["0.31 is now 0.50"]
    assert differences("x 1.58e-30", "x 1.60e-30", 0) == ["1.58e-30 is now 1.60e-30"]
    assert differences("c −0.97", "c 0.97", 0) == ["−0.97 is now 0.97"]
    assert differences("I speak French", "I speak Danish", 0)
    assert differences("a 1", "a 1 2", 0)


# === Links ===


def defined_in(path):
    """The functions, classes and methods of a file."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{m.name}" for m in node.body if isinstance(m, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_what_computes_and_what_proves_an_item_is_there(item):
    assert item.code and item.tests
    for where in (*item.code, *item.tests):
        path, _, name = where.partition("::")
        assert name in defined_in(ROOT / path), where
    for where in item.code:
        assert where.startswith("kerasrnn/")
    for where in item.tests:
        assert re.fullmatch(r"tests/[\w/]+\.py::test_\w+", where)


def test_links_lead_somewhere():
    text = PAGE.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    # As GitHub makes them: of letters, digits, underscores, hyphens, and spaces.
    anchors = {
        "".join(c for c in line[3:].lower() if c.isalpha() or c.isdecimal() or c in "_- ")
        for line in text.splitlines()
        if line.startswith("## ")
    }
    anchors = {anchor.replace(" ", "-") for anchor in anchors}
    assert len(targets) > 100 and len(anchors) == len(ITEMS)
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (DOCS / target).is_file(), target


def test_no_letter_is_taken_for_html():
    """Outside of code Markdown leaves out <t>, as a tag that it does not know."""
    text = PAGE.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```|^    .*?$|`.*?`|<!--.*?-->", "", text, flags=re.M | re.S)
    assert r"c\<t-1>" in text
    assert not re.findall(r"(?<!\\)<[A-Za-z/]", text)


# === Pictures ===


def test_pictures_are_those_of_the_page_and_small():
    linked = {item.picture_path for item in ITEMS if item.draw is not None}
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "lecture").iterdir()}
    assert linked == there
    assert sum((DOCS / path).stat().st_size for path in linked) < MOST_BYTES


@pytest.mark.parametrize("item", [i for i in FAST if i.draw is not None], ids=lambda i: i.name)
def test_a_picture_shows_what_the_code_returns(item, tmp_path):
    figure = item.drawn(execute(item)[1])
    figure.savefig(tmp_path / "new.png", dpi=110)
    old, new = image.imread(DOCS / item.picture_path), image.imread(tmp_path / "new.png")
    assert old.shape == new.shape
    if not item.within:
        assert np.abs(old - new).mean() < 0.01
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert ax.texts or ax.lines or ax.patches


# === The slide ===


@pytest.mark.parametrize("seed", range(5))
def test_each_slip_of_the_slide_is_far_from_finite_differences(seed):
    """With + in the third of the four terms, or a product with Wcx in the second."""
    oracle, rng, n, ε = CELLS["simplified_gru"], np.random.default_rng(seed), 4, 1e-6
    weights = random_weights(oracle, n, n, rng, dtype="float64", scale=1.0)
    x, c = rng.normal(size=(1, n)), rng.uniform(-1, 1, size=(1, n))

    def step(state):
        return oracle.step(x, [state], weights)[0][0]

    finite = np.empty((n, n))
    for j in range(n):
        e = np.zeros((1, n))
        e[0, j] = ε
        finite[:, j] = (step(c + e) - step(c - e)) / (2 * ε)

    kernel, recurrent_kernel, bias = weights
    z = (x @ kernel + c @ recurrent_kernel + bias)[0]
    gate, candidate = 1 / (1 + np.exp(-z[:n])), np.tanh(z[n:])
    Wuc, Wcc, Wcx = recurrent_kernel[:, :n].T, recurrent_kernel[:, n:].T, kernel[:, n:].T
    through_gate = (gate * (1 - gate))[:, None] * Wuc
    before_product = gate / np.cosh(z[n:]) ** 2

    def four(sign, second):
        first = candidate[:, None] * through_gate
        third = sign * c[0][:, None] * through_gate
        return first + before_product[:, None] * second + third + np.diag(1 - gate)

    assert np.abs(four(-1, Wcc) - finite).max() < 1e-8
    for sign, second in (
        (1, Wcc),
        (-1, Wcc @ Wcx),
        (-1, Wcc + Wcx),
        (1, Wcc @ Wcx),
        (1, Wcc + Wcx),
    ):
        assert np.abs(four(sign, second) - finite).max() > 0.01


# === The command ===


def example():
    """Twice two.

    And more.
    """
    # Why.
    number = 2 * 2
    print(number)
    return number


def picture(values):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, values])
    return figure


def tiny():
    made = page.item("Two", code=("a.py::b",), tests=("c.py::test_d",))(example)
    made.picture("A line. Straight.")(picture)
    return made


def test_an_item_is_its_function():
    item = tiny()
    assert item.text == "Twice two.\n\nAnd more."
    assert item.source == "# Why.\nnumber = 2 * 2\nprint(number)"
    assert execute(item) == ("4", 4)


def test_the_command_writes_page_and_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("kerasrnn.lens.lecture.items", lambda: [tiny()])
    folder = tmp_path / "new" / "folder"
    assert main(["lecture", "--out", str(folder)]) == 0
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == {
        "lecture.md",
        "lecture/example.png",
    }
    text = (folder / "lecture.md").read_text(encoding="utf-8")
    assert "1. [Two](#1-two)" in text and "\n```text\n4\n```\n" in text
    assert "![A line](lecture/example.png)" in text and "`a.py::b`" in text
    assert "Two" in capsys.readouterr().out


def test_links_are_relative_to_the_page(tmp_path):
    text = render(ITEMS, dict.fromkeys((i.name for i in ITEMS), ""), tmp_path / "a")
    [target] = set(re.findall(r"\((\S+/cells/gru\.py)\)", text))
    assert (tmp_path / "a" / target).resolve() == ROOT / "kerasrnn" / "cells" / "gru.py"


def test_an_installed_package_names_files_without_links(monkeypatch, tmp_path):
    monkeypatch.setattr(page.kerasrnn, "__file__", str(tmp_path / "kerasrnn" / "__init__.py"))
    assert checkout() is None
    text = render(ITEMS, dict.fromkeys((i.name for i in ITEMS), ""), tmp_path)
    assert "`kerasrnn/cells/gru.py::GRUCell.gates`" in text and "](../" not in text


def test_what_does_not_hold_stops_the_command_and_is_named(tmp_path, monkeypatch):
    def wrong():
        assert 2 * 2 == 5

    broken = page.Item(wrong, "Arithmetic", code=(), tests=())
    monkeypatch.setattr("kerasrnn.lens.lecture.items", lambda: [broken])
    with pytest.raises(AssertionError) as error:
        main(["lecture", "--out", str(tmp_path)])
    assert error.value.__notes__ == ["In the lecture's item 'Arithmetic'."]
    assert not (tmp_path / "lecture.md").exists()


def test_a_missing_package_is_named_before_anything_is_executed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "babel", None)
    assert main(["lecture", "--out", str(tmp_path / "out")]) == 1
    assert "pip install 'kerasrnn[training]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_none(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["lecture", "--out", str(tmp_path / "file")]) == 1
    assert "error: " in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == ""


def test_commands_that_are_none(capsys):
    for words in ([], ["lectures"], ["lecture", "--in", "x"]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("python -m kerasrnn.lens") and error.count("\n") == 1


def test_help_and_the_list_of_items_need_no_tensorflow():
    program = (
        "import sys\n"
        "from kerasrnn.lens.__main__ import main\n"
        "from kerasrnn.lens.lecture import items\n"
        "assert items()\n"
        "for words in (['--help'], ['lecture', '--help']):\n"
        "    try: main(words)\n"
        "    except SystemExit as end: assert not end.code\n"
        "assert not {'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert "Execute every equation and example" in done.stdout and "--out DIR" in done.stdout
