"""The version of kerasrnn, in a file of its own: the build reads it without importing Keras."""

__version__ = "0.1.0"
