"""kerasrnn: recurrent models for Keras 3 on cells written as the textbook writes them."""

from kerasrnn._version import __version__

__all__ = ["__version__"]
