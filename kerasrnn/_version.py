"""The version of kerasrnn, alone in a file so that the build can read it without importing Keras."""

__version__ = "0.1.0"
