"""What only some parts need: packages, the extras that bring them, and TensorFlow."""

import importlib
from types import ModuleType

# What is imported under another name than it is installed by.
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


class BackendError(RuntimeError):
    """Something that works on TensorFlow only, on another backend of Keras."""


def require_tensorflow(what: str) -> None:
    """Raise unless Keras runs on TensorFlow.

    Args:
        what: what needs it, as the beginning of a sentence.

    Raises:
        BackendError: it runs on another backend.

    Example:

    >>> from kerasrnn.extras import require_tensorflow
    >>> require_tensorflow("A SavedModel")
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise BackendError(
            f"{what} works on TensorFlow only. Expected KERAS_BACKEND=tensorflow in the "
            f"environment. Received: {keras.backend.backend()!r}"
        )


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a package that an extra of kerasrnn brings.

    Args:
        module: the module to import, such as `scipy.io`.
        extra: the extra that brings it, such as `training`.
        purpose: what it is needed for, as the beginning of a sentence.

    Returns:
        The module.

    Raises:
        ImportError: it is not installed; the message says how to install it.

    Example:

    >>> from kerasrnn.extras import require
    >>> require("json", "training", "Reading JSON").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != root:
            raise  # it is there, and lacks something itself
        package = _DISTRIBUTIONS.get(root, root)
        raise ImportError(
            f"{purpose} needs {package}. Install it: pip install 'kerasrnn[{extra}]' (in a clone, "
            f"pip install -e '.[{extra}]'), or pip install {package}."
        ) from error
