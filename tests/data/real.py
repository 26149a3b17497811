"""Real data sets next to the checkout, where there are any."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


def real(name: str) -> Path:
    """The path of a real file, or a skipped test."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path
