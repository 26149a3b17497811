"""The scan over time and its back-propagation: the only place with code for one backend."""

from kerasrnn.recurrence.bind import bind, bind_weights
from kerasrnn.recurrence.scan import at_least_one, product, scan, with_batch_size
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
    "at_least_one",
    "bind",
    "bind_weights",
    "one_scan_is_faster",
    "product",
    "scan",
    "unfold",
    "unfold_both",
    "unfold_in_segments",
    "uses_step_gradient",
    "with_batch_size",
]
