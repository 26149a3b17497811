"""An item of the lecture, and the page that is made of them."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import os
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasrnn
from kerasrnn.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What `check_packages` says they are for, and the extra that brings them.
_PACKAGES = {"babel": "training", "sklearn": "plots", "textalloc": "plots"}

_HEAD = """# The lecture, executed

<!-- Written by `python -m kerasrnn.lens lecture`. Change kerasrnn/lens/lecture/, not this page. -->

Every equation and example of the lecture, in its order and its letters: what it says, code that
shows it, what that code printed when this page was written, the function that computes it in this
package, and the test that proves it. `python -m kerasrnn.lens lecture` executes all of it again and
writes the page anew, in a few minutes on two cores and without a network;
`tests/lens/test_lecture.py` fails when page and code part. Outputs of trained models differ a
little from machine to machine.

| Letter | What it is |
|---|---|
| x<t>, y<t>, ŷ<t> | input, target and output at time t, from 1 to T |
| a<t>, c<t>, c̃<t> | activation, memory, and candidate for the memory |
| Γu, Γr, Γf, Γo | gates: update, relevance, forget, output; each between 0 and 1 |
| W, b | weights and biases: Waa takes a to a, Wax takes x to a, and Wa = [Waa, Wax] |
| [a; x] | the one vector above the other |
| σ, ∘, diag(v) | the sigmoid, the product of each component, the matrix with v on its diagonal |

The lecture writes vectors as columns. The layers compute with rows, many at once, so that a weight
of a layer is the lecture's matrix transposed: hence each `.T` below.
"""


@dataclass
class Item:
    """One item.

    Attributes:
        example: the function. Its docstring is the text; its body, but for what it returns, the
            code; what it prints, the output.
        title: the heading.
        code: what computes it in the package, such as `kerasrnn/cells/gru.py::GRUCell.gates`.
        tests: what proves it, such as `tests/text/test_tags.py::test_counts`
        within: by how much a printed number may differ on another machine; 0 where only the
            rounding of its last digit may.
        slow: whether it takes more than a few seconds.
        needs: packages of the extras.
        draw: makes a picture of what the function returns.
        caption: what stands below the picture.
    """

    example: Callable[[], Any]
    title: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    within: float = 0.0
    slow: bool = False
    needs: tuple[str, ...] = ()
    draw: Callable[[Any], Figure] | None = field(default=None, repr=False)
    caption: str = ""

    @property
    def name(self) -> str:
        """The name of the function, and of the file of the picture."""
        return self.example.__name__

    @property
    def picture_path(self) -> str:
        """Where the picture lies, from the folder of the page."""
        return f"lecture/{self.name}.png"

    @property
    def text(self) -> str:
        """The text, in Markdown."""
        return inspect.getdoc(self.example) or ""

    @property
    def source(self) -> str:
        """The code that is shown: the body without the docstring and the last `return`."""
        source = textwrap.dedent(inspect.getsource(self.example))
        [function] = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef)
        lines = source.splitlines()
        end = len(lines)
        if isinstance(function.body[-1], ast.Return):
            end = function.body[-1].lineno - 1
        # A comment above the first statement belongs to it.
        start = function.body[0].end_lineno
        return textwrap.dedent("\n".join(lines[start:end])).strip()

    def picture(self, caption: str) -> Callable[[Callable[[Any], Figure]], Callable[[Any], Figure]]:
        """Decorates the function that draws what `example` returns.

        Args:
            caption: what stands below the picture.
        """

        def of(draw: Callable[[Any], Figure]) -> Callable[[Any], Figure]:
            self.draw, self.caption = draw, caption
            return draw

        return of

    def drawn(self, values: Any) -> Figure | None:
        """The picture of what `example` returned; None for an item without one."""
        return None if self.draw is None else self.draw(values)

    def check_packages(self) -> None:
        """Raise an ImportError that says how to install what is missing."""
        for package in self.needs:
            require(package, _PACKAGES[package], f"The lecture's item {self.title!r}")


def item(title: str, **options: Any) -> Callable[[Callable[[], Any]], Item]:
    """Decorates a function that is an item.

    Args:
        title: the heading.
        **options: the other attributes of `Item`.
    """
    return lambda example: Item(example, title, **options)


def execute(item: Item) -> tuple[str, Any]:
    """Run the code of an item.

    Args:
        item: the item.

    Returns:
        What it printed, and what it returned.

    Raises:
        AssertionError: what the lecture says does not hold.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            values = item.example()
    except Exception as error:
        error.add_note(f"In the lecture's item {item.title!r}.")
        raise
    return printed.getvalue().rstrip(), values


# === The page ===


def checkout() -> Path | None:
    """The root of the checkout that this package lies in; None for one that is installed."""
    root = Path(kerasrnn.__file__).resolve().parents[1]
    return root if (root / "tests" / "lens").is_dir() and (root / "docs").is_dir() else None


def render(items: Sequence[Item], outputs: Mapping[str, str], folder: Path) -> str:
    """The page.

    Args:
        items: the items, in their order.
        outputs: what each printed, by its name.
        folder: where the page is to lie, for its links.

    Returns:
        Markdown. Files of the package and tests are links where they lie in a checkout.
    """
    contents = [
        f"{number}. [{item.title}](#{_anchor(f'{number}. {item.title}')})"
        for number, item in enumerate(items, start=1)
    ]
    parts = [_escaped(_HEAD), "\n".join(contents) + "\n"]
    root = checkout()
    for number, item in enumerate(items, start=1):
        parts.append(f"## {number}. {item.title}\n")
        parts.append(f"{_escaped(item.text)}\n")
        parts.append(f"```python\n{item.source}\n```\n")
        if outputs[item.name]:
            parts.append(f"```text\n{outputs[item.name]}\n```\n")
        if item.draw is not None:
            alt = re.sub(r"[\[\]*`]", "", re.split(r"[.:] ", item.caption)[0].rstrip("."))
            parts.append(f"![{_escaped(alt)}]({item.picture_path})\n")
            parts.append(f"*{_escaped(item.caption)}*\n")
        code = [_link(where, root, folder) for where in item.code]
        tests = [_link(where, root, folder) for where in item.tests]
        parts.append(f"Computed by {', '.join(code)}.\\\nProved by {', '.join(tests)}.\n")
    return "\n".join(parts)


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = ("L", "M", "Nd", "Pc")  # letters, marks, digits, the underscore
    return "".join(
        "-" if letter in " -" else letter if unicodedata.category(letter).startswith(kept) else ""
        for letter in heading.lower()
    )


def _escaped(text: str) -> str:
    """Markdown in which a<t> is none of HTML: outside of code, that is."""
    lines = []
    for line in text.split("\n"):
        if not line.startswith("    "):
            parts = line.split("`")
            parts[::2] = [re.sub(r"<(?=[A-Za-z])", r"\\<", part) for part in parts[::2]]
            line = "`".join(parts)
        lines.append(line)
    return "\n".join(lines)


def _link(where: str, root: Path | None, folder: Path) -> str:
    path, _, name = where.partition("::")
    if root is None or not (root / path).is_file():
        return f"`{where}`"
    to = Path(os.path.relpath(root / path, folder.resolve())).as_posix()
    return f"[`{path}`]({to})::`{name}`"
