"""A page of HTML that is one file: its style and its pictures are in it, and it needs no script."""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from kerasrnn.themes import COLOURS

_LARGE = 520  # of these; a narrow window shows a part of what is wider, and scrolls
# A number as text, such as a share or a horizon.
_NUMBER = re.compile(r"(≥ )?−?[0-9][0-9.,]*( ?%)?")
_PIXELS = 96  # of CSS, to an inch

# A picture of any figure or axes in a theme, `"light"` or `"dark"`.
Draw = Callable[[str], Any]

_STYLE = """
:root {{
  color-scheme: light dark;
  --ground: {light.background}; --text: {light.text}; --quiet: #595959; --line: #d9d9d9;
  --accent: {light.groups[0]};
}}
.wide {{ overflow-x: auto; }}
.wide img {{ display: block; height: auto; max-width: 100%; }}
.wide img.dark {{ display: none; }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{
    --ground: {dark.background}; --text: {dark.text}; --quiet: #a8a8a8; --line: #3a3f47;
    --accent: {dark.groups[0]};
  }}
  .wide img.light {{ display: none; }}
  .wide img.dark {{ display: block; }}
}}
* {{ box-sizing: border-box; }}
body {{
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 66rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}}
h1 {{ font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }}
h2 {{ font-size: 1.35rem; margin: 2.6rem 0 .4rem; border-top: 1px solid var(--line);
  padding-top: 1.2rem; }}
h3 {{ font-size: 1.05rem; margin: 1.4rem 0 .2rem; }}
p {{ margin: .5rem 0; max-width: 46rem; }}
a {{ color: var(--accent); }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0; }}
.quiet, figcaption {{ color: var(--quiet); font-size: .9rem; }}
.headline {{ margin: 1.4rem 0; padding: 1rem 1.2rem; border-left: .35rem solid var(--accent); }}
.headline strong {{ font-size: 2.6rem; line-height: 1.1; }}
.headline p {{ margin: .2rem 0 0; }}
.pictures {{ display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: flex-start; }}
figure {{ margin: .8rem 0; max-width: 100%; break-inside: avoid; }}
table {{ border-collapse: collapse; margin: .8rem 0; font-size: .92rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
.above {{ margin: 1.2rem 0 -.5rem; }}
th, td {{ padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }}
thead th {{ vertical-align: bottom; }}
tbody th {{ font-weight: 600; }}
dl {{ columns: 17rem; column-gap: 2rem; font-size: .92rem; margin: .8rem 0; }}
dl div {{ display: flex; gap: 1rem; justify-content: space-between; padding: .25rem 0;
  border-bottom: 1px solid var(--line); break-inside: avoid; }}
dt {{ font-weight: 600; flex: none; }}
dd {{ margin: 0; text-align: right; }}
.number {{ text-align: right; white-space: nowrap; }}
.missing {{ border: 1px dashed var(--quiet); padding: .6rem .8rem; }}
@media screen and (max-width: 40rem) {{ .wide img.large {{ max-width: none; }} }}
@media print {{
  body {{ max-width: none; padding: 0; font-size: 10pt; }}
  nav {{ display: none; }}
  .wide {{ overflow: visible; }}
  table {{ font-size: 7.5pt; }}
  th, td {{ padding-right: .5rem; }}
  .pictures figure {{ flex: 1 1 40%; }}
  h2, h3 {{ break-after: avoid; }}
  tr {{ break-inside: avoid; }}
}}
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page.

    Args:
        title: its title, as text.
        body: what stands in it, as HTML.

    Returns:
        The HTML.
    """
    style = _STYLE.format(**COLOURS)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing is fetched, whatever the names and texts of a model are.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def definitions(pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and values, in as many columns as there is room for."""
    items = [
        f"<div><dt>{escape(name)}</dt><dd>{escape(number(value))}</dd></div>"
        for name, value in pairs
    ]
    return f"<dl>{''.join(items)}</dl>"


def pictures(*several: str) -> str:
    """Pictures beside each other, where there is room."""
    return f'<div class="pictures">{"".join(several)}</div>'


def picture(draw: Draw, alt: str, caption: str = "") -> str:
    """A picture in both themes; the reader's browser shows the one that suits it.

    Args:
        draw: returns the figure, or axes of it, in a theme.
        alt: what is to be seen, for those who do not see it.
        caption: what stands below.

    Returns:
        The HTML of a `figure`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        light, width = _svg(draw("light"))
        dark, _ = _svg(draw("dark"))
    large = ["large"] if width > _LARGE else []
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    # The style shows one of the two. A browser that chose between the sources of a `picture` would
    # print the dark one from a dark screen.
    both = "".join(
        f'<img{_class(" ".join([theme, *large]))} src="{address}" alt="{escape(alt)}" '
        f'style="width:{width}px">'
        for theme, address in (("light", light), ("dark", dark))
    )
    return f'<figure><div class="wide">{both}</div>{below}</figure>'


def _svg(drawn: Any) -> tuple[str, int]:
    """A figure as the address of an image, and its width on a page."""
    import matplotlib
    from matplotlib import pyplot

    figure = drawn.figure if hasattr(drawn, "figure") and drawn.figure is not None else drawn
    file = io.BytesIO()
    try:
        # The same figures make the same file.
        with matplotlib.rc_context({"svg.hashsalt": "kerasrnn", "svg.fonttype": "path"}):
            figure.savefig(file, format="svg", dpi=100, metadata={"Date": None})
        width = round(figure.get_size_inches()[0] * _PIXELS)
    finally:
        pyplot.close(figure)
    coded = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/svg+xml;base64,{coded}", width


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A table whose first column names the rows.

    Args:
        columns: their titles.
        rows: texts and numbers; None is an empty cell.
        caption: what stands above.

    Returns:
        The HTML.
    """
    rows = [list(row) for row in rows]
    numeric = [any(_is_number(row[i]) for row in rows) for i in range(len(columns))]
    kinds = ["number" if each else "" for each in numeric]
    heads = zip(columns, kinds, strict=True)
    head = "".join(f'<th scope="col"{_class(k)}>{escape(c)}</th>' for c, k in heads)
    lines = []
    for row in rows:
        cells = [f'<th scope="row">{escape(number(row[0]))}</th>']
        pairs = zip(row[1:], kinds[1:], strict=True)
        cells += [f"<td{_class(kind)}>{escape(number(value))}</td>" for value, kind in pairs]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    # Not in the table: a caption would be as wide as it is, and scroll away with it.
    above = paragraph(caption, "quiet above") if caption else ""
    label = f' aria-label="{escape(caption)}"' if caption else ""
    return (
        f'{above}<div class="wide"><table{label}><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def number(value: Any) -> str:
    """A value as it stands in a table or in a sentence."""
    if value is None:
        return ""
    if isinstance(value, bool | str) or not isinstance(value, int | float | np.number):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if type(value) is not float and not isinstance(value, np.floating):
        return str(value)  # such as a horizon
    if math.isnan(value):
        return "–"
    return f"{value:.4g}".replace("-", "−")


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
