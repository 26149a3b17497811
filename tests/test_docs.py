"""What the pages under docs/ say is so, and the site is made of them without a warning."""

import contextlib
import dataclasses
import functools
import http.server
import importlib
import re
import shlex
import shutil
import subprocess
import sys
import threading

import pytest

from tests.pages import ROOT, Page
from tests.shell import QUICK, check_command

pytestmark = pytest.mark.tensorflow

DOCS = ROOT / "docs"
# The lecture's code has a test of its own, in tests/lens.
PAGES = {path.stem: Page(path) for path in sorted(DOCS.glob("*.md")) if path.stem != "lecture"}
COMMANDS = sorted({command for page in PAGES.values() for command in page.commands()})
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
API = re.findall(r"^   (kerasrnn\.\w+)$", (DOCS / "api" / "index.md").read_text("utf-8"), re.M)

# === Pages ===


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if page.of("python")])
def test_the_python_of_a_page_runs_from_top_to_bottom(name, tmp_path):
    page = PAGES[name]
    names = page.run(tmp_path)
    if name == "serving":
        assert names["report"].verified
    for picture in re.findall(r"pictures/(\w+)_light\.png", page.text):
        assert (tmp_path / f"{picture}.png").is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_makes_sense(command):
    check_command(command)


@pytest.fixture(scope="module")
def folder_of_commands(tmp_path_factory):
    """A folder with the files that the pages show, and a run."""
    from kerasrnn.zoo import SequenceTagger

    folder = tmp_path_factory.mktemp("commands")
    for page in PAGES.values():
        page.write_files(folder)
    SequenceTagger.from_preset("ner_en_starter").save_to_preset(folder / "runs/people/preset")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command.split()[:2][-1] in QUICK]
)
def test_quick_commands_run(command, folder_of_commands, monkeypatch, capsys):
    cli = importlib.import_module("kerasrnn.cli")
    monkeypatch.chdir(folder_of_commands)
    assert cli.main(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    PAGES[page].check_links()


@pytest.mark.parametrize("page", PAGES)
def test_no_letter_of_an_equation_is_lost(page):
    assert PAGES[page].lost() == []


def test_every_flag_of_the_tagger_is_in_the_tables_and_no_other():
    from training.tagger import TaggerConfig

    section = PAGES["training"].text.split("Entities in English")[0]
    shown = set(re.findall(r"`(--[a-z-]+)`", section))
    fields = [f.name for f in dataclasses.fields(TaggerConfig) if "help" in f.metadata]
    flags = {"--" + name.replace("_", "-") for name in fields} | {"--config"}
    assert {flag for flag in shown if not flag.startswith("--no-")} == flags


def test_every_model_has_its_command():
    from training.make_preset import SCRIPTS

    trained = {c.split()[2] for c in COMMANDS if c.startswith("kerasrnn train ")}
    assert trained >= set(SCRIPTS.values()) - {"tagger"}  # that of the tagger is on the start page
    rows = re.findall(r"^\| `(\w+)` .*`kerasrnn train (\w+)`", PAGES["tasks"].text, re.M)
    assert dict(rows) == SCRIPTS


def test_every_extra_is_explained():
    from tests.test_house import setup

    explained = set(re.findall(r"`\.\[([\w-]+)\]`", PAGES["start"].text))
    assert explained == set(setup()["options.extras_require"])


def test_read_the_docs_installs_what_the_extra_does():
    from tests.test_house import lines, setup

    extra = lines(setup()["options.extras_require"]["docs"])
    installed = lines((DOCS / "requirements.txt").read_text("utf-8"))
    assert set(extra) - set(installed) == {"ipykernel", "kerasrnn[training]", "nbclient>=0.10"}
    assert set(installed) <= set(extra)


def test_the_table_of_the_lens_has_its_functions():
    from kerasrnn import lens

    functions = [name for name in lens.__all__ if name[0].islower() or name == "LensCallback"]
    shown = re.findall(r"^\| `(\w+)\(", PAGES["lens"].text, re.M)
    assert set(shown) == set(functions) - {"scaled_recurrent_kernel", "log_norms_of_products"}


# === The site ===


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, made with warnings as errors."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-E", "-q", DOCS, folder]
    made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.slow
def test_every_public_name_has_its_place_in_the_api(site):
    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    names = {name for kind, found in inventory.data.items() if kind[:3] == "py:" for name in found}
    missing = []
    for package in API:
        module = importlib.import_module(package)
        for name in module.__all__:
            home = getattr(getattr(module, name), "__module__", None) or package
            if f"{package}.{name}" not in names and f"{home}.{name}" not in names:
                missing.append(f"{package}.{name}")
    assert len(API) > 10
    assert not missing


@pytest.mark.slow
def test_every_preset_and_example_has_a_page(site):
    from kerasrnn.zoo import list_presets

    assert len(EXAMPLES) == 7
    pages = [f"presets/{preset.name}" for preset in list_presets()]
    pages += [f"examples/{path.stem}" for path in EXAMPLES]
    assert [page for page in pages if not (site / f"{page}.html").is_file()] == []


@pytest.mark.slow
def test_the_pages_fetch_nothing_from_elsewhere(site):
    fetching = re.compile(
        r"<(?:script|img|iframe)\b[^>]*\bsrc=\"((?:https?:)?//[^\"]+)|"
        r"<link\b[^>]*\brel=\"(?:stylesheet|preload|icon)\"[^>]*\bhref=\"((?:https?:)?//[^\"]+)"
    )
    for path in site.rglob("*.html"):
        assert not fetching.search(path.read_text("utf-8")), path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", path.read_text("utf-8")), path


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder):
    """The address under which a folder is served."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize(
    "page", ["index", "lens", "api/kerasrnn.cells.GRUCell", "presets/ner_en_wnut17"]
)
def test_a_browser_shows_a_page_without_a_network_or_an_error(site, page, tmp_path):
    with served(site) as address:
        browser = [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            # Any other host than this one is not found, and that is an error on the console.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            *("--enable-logging=stderr", f"--user-data-dir={tmp_path}", "--dump-dom"),
            *("--virtual-time-budget=10000", f"{address}/{page}.html"),
        ]
        shown = subprocess.run(browser, capture_output=True, text=True, timeout=120)
    assert not [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert shown.stdout.count("<h1>") == 1
    text = (site / f"{page}.html").read_text("utf-8")
    equations = len(re.findall(r'class="math notranslate', text))
    assert shown.stdout.count("<mjx-container") == equations
    assert "<mjx-merror" not in shown.stdout
    assert bool(equations) == (page in ("lens", "api/kerasrnn.cells.GRUCell"))


# === Example notebooks ===


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_notebook_runs(path, tmp_path, monkeypatch):
    jupytext = pytest.importorskip("jupytext")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("KERASRNN_EXAMPLES", "tiny")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = jupytext.read(path)
    nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=300,
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
