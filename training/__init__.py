"""Training scripts, one for each model of the zoo.

In a checkout `python -m training.tagger`; where the package is installed, which has them as
`kerasrnn.training`, `kerasrnn train tagger`.
"""

import os

# TensorFlow reads it when it is imported: no messages about the machine, only warnings and errors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
