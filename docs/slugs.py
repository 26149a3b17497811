"""Anchors of headings as GitHub makes them, so that links hold there and on the site."""

import unicodedata

_KEPT = ("L", "M", "Nd", "Pc")  # letters, marks, digits and low lines: no superscripts


def github_slug(title: str) -> str:
    """The anchor of a heading.

    Args:
        title: its text.

    Returns:
        Small letters, digits, hyphens and low lines.
    """
    kept = (
        c for c in title.strip().lower() if c in " -" or unicodedata.category(c).startswith(_KEPT)
    )
    return "".join(kept).replace(" ", "-")
