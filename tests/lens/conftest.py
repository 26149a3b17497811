"""What holds for all tests of the look inside."""

import pytest
from matplotlib import pyplot


@pytest.fixture(autouse=True)
def _no_figures_left():
    """Pictures of one test are not in the way of the next, nor in memory."""
    pyplot.close("all")
    yield
    pyplot.close("all")
