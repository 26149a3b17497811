"""Draws the pictures of docs/lens.md, on light and on dark ground, with the page's own code.

`python -m tests.make_pictures` writes them into docs/pictures.
"""

import tempfile
from pathlib import Path
from typing import Any

import matplotlib

from tests.pages import ROOT, Page


def main() -> None:
    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as folder:
        names = Page(ROOT / "docs" / "lens.md").run(Path(folder))
    for theme in ("light", "dark"):
        axes: dict[str, Any] = {
            "flow": names["plot_flows"](names["flows"], theme=theme),
            "gates": names["found"].plot(theme=theme),
            "products": names["products"].plot(theme=theme),
            "terms": names["jacobian"].plot_terms(theme=theme),
        }
        for name, drawn in axes.items():
            path = ROOT / "docs" / "pictures" / f"{name}_{theme}.png"
            drawn.figure.savefig(path, dpi=110, bbox_inches="tight")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
