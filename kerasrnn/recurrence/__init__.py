"""The scan over time and its back-propagation: the only place with code for one backend."""

from kerasrnn.recurrence.bind import bind
from kerasrnn.recurrence.scan import product, scan
from kerasrnn.recurrence.segments import unfold_in_segments
from kerasrnn.recurrence.unfolding import (
    Unfolded,
    one_scan_is_faster,
    unfold,
    unfold_both,
    uses_step_gradient,
)

__all__ = [
    "Unfolded",
    "bind",
    "one_scan_is_faster",
    "product",
    "scan",
    "unfold",
    "unfold_both",
    "unfold_in_segments",
    "uses_step_gradient",
]
