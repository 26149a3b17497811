"""The scan over time and its back-propagation: the only place with code for one backend."""

from kerasrnn.recurrence.scan import scan

__all__ = ["scan"]
