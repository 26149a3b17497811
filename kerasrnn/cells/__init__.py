"""The textbook's recurrent cells, one file for each set of equations."""

from kerasrnn.cells.cell import Cell
from kerasrnn.cells.chrono import Chrono
from kerasrnn.cells.gru import GRUCell
from kerasrnn.cells.lstm import LSTMCell
from kerasrnn.cells.simple_rnn import SimpleRNNCell
from kerasrnn.cells.simplified_gru import SimplifiedGRUCell

#: The cells by their names.
CELLS: dict[str, type[Cell]] = {
    "simple": SimpleRNNCell,
    "simplified_gru": SimplifiedGRUCell,
    "gru": GRUCell,
    "lstm": LSTMCell,
}


def cell_by_name(name: str) -> type[Cell]:
    """The cell's class for one of the names simple, simplified_gru, gru, lstm.

    Raises:
        ValueError: another name.

    Example:

    >>> from kerasrnn.cells import cell_by_name
    >>> cell_by_name("gru").__name__
    'GRUCell'
    """
    try:
        return CELLS[name]
    except (KeyError, TypeError):
        raise ValueError(f"Unknown cell {name!r}. Expected one of {', '.join(CELLS)}.") from None


__all__ = [
    "CELLS",
    "Cell",
    "Chrono",
    "GRUCell",
    "LSTMCell",
    "SimpleRNNCell",
    "SimplifiedGRUCell",
    "cell_by_name",
]
