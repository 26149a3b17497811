"""How Sphinx makes the site: `sphinx-build -W --keep-going docs docs/_build/html`.

Nothing is fetched, neither here nor by who reads the pages: MathJax comes from a package.
"""

import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from sphinx.pycode import ModuleAnalyzer  # noqa: E402

from kerasrnn._version import __version__  # noqa: E402
from kerasrnn.storage.atomic import replacing_file  # noqa: E402
from kerasrnn.storage.cards import without_head  # noqa: E402

REPOSITORY = "https://github.com/kerasrnn/kerasrnn"

project = "kerasrnn"
author = "The kerasrnn authors"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "presets/table.md"]  # the table is a part of presets.md
templates_path = ["_templates"]

# === Docstrings ===

autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_inherit_docstrings = False  # Keras's are Markdown
# What says how a class is built.
autodoc_default_options = {
    "exclude-members": "argument_order, cell_class, gates_type, network_class"
}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Call arguments", "params_style")]
# What a package has from another one is explained there.
autosummary_context = {"elsewhere": {"kerasrnn.zoo": ["Entity"]}}
default_role = "py:obj"  # what stands in single backticks links to its page, where it has one

# === Pages ===

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
myst_heading_slug_func = "slugs.github_slug"
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"kerasrnn {__version__}"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "source_repository": f"{REPOSITORY}/",
    "source_branch": "main",
    "source_directory": "docs/",
}
pygments_style = "tango"
pygments_dark_style = "github-dark"


# === Pages that are made from other files ===


def preset_pages(zoo: Path = ROOT / "zoo") -> dict[str, str]:
    """A page for each preset, its card, and the zoo's table with links to them.

    Args:
        zoo: the folder with the presets.

    Returns:
        Texts by name: `table` and the presets' names.
    """
    cards = {path.parent.name: path.read_text("utf-8") for path in zoo.glob("*/README.md")}
    pages = {name: without_head(card) for name, card in cards.items()}
    table = (zoo / "README.md").read_text("utf-8").partition("\n")[2].strip()
    pages["table"] = re.sub(r"\]\((\w+)/README\.md\)", r"](presets/\1.md)", table) + "\n"
    return pages


def example_pages(examples: Path = ROOT / "examples") -> dict[str, str]:
    """A page for each example notebook: its text and its code.

    Args:
        examples: the folder with the notebooks.

    Returns:
        Texts by name.
    """
    import jupytext

    pages = {}
    for path in sorted(examples.glob("*.py")):
        notebook = jupytext.read(path)
        parts = [
            cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
            for cell in notebook.cells
        ]
        parts.append(
            f"The notebook: [examples/{path.name}]({REPOSITORY}/blob/main/examples/{path.name})."
        )
        pages[path.stem] = "\n\n".join(parts) + "\n"
    return pages


def write_pages(_: object = None) -> None:
    """Write what is made from other files, and remove what is there no more."""
    for folder, pages in (("presets", preset_pages()), ("examples", example_pages())):
        place = DOCS / folder
        place.mkdir(exist_ok=True)
        for path in place.glob("*.md"):
            if path.stem not in pages:
                path.unlink()
        for name, text in pages.items():
            path = place / f"{name}.md"
            if not path.is_file() or path.read_text("utf-8") != text:
                with replacing_file(path) as temporary:
                    Path(temporary).write_text(text, encoding="utf-8")


def explain_data(
    _: object, what: str, name: str, value: object, __: object, lines: list[str]
) -> None:
    """Explain what a package takes from one of its modules by the comment that stands there."""
    if what == "data":
        package, _, short = name.rpartition(".")
        modules = [module for module in sys.modules if f"{module}.".startswith(f"{package}.")]
        docs = (ModuleAnalyzer.for_module(module).find_attr_docs() for module in modules)
        lines[:] = next(found["", short] for found in docs if ("", short) in found)


def signature_of_class(
    _: object, what: str, name: str, value: Any, __: object, signature: str, ___: object
) -> tuple[str, None] | None:
    """Show what a class is made with: of Keras's, Sphinx sees `__new__`, which takes anything."""
    if what != "class" or not signature.startswith("(*args"):
        return None
    parameters = list(inspect.signature(value.__init__).parameters.values())[1:]
    plain = [p.replace(annotation=p.empty) for p in parameters]
    return str(inspect.Signature(plain)), None


def without_source(_: object, page: str, __: str, context: dict[str, Any], ___: object) -> None:
    """Show no link to the source of a page that is made, or has none in the repository."""
    if page.startswith(("presets/", "examples/", "api/kerasrnn.")):
        context["page_source_suffix"] = ""


def setup(app):  # type: ignore[no-untyped-def]
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", explain_data)
    app.connect("autodoc-process-signature", signature_of_class)
    app.connect("html-page-context", without_source)
