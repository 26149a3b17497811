"""Training scripts, one for each model of the zoo: `python -m training.tagger`. Not installed."""

import os

# TensorFlow reads it when it is imported: no messages about the machine, only warnings and errors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
