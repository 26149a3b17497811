"""Where the files of an installed package lie."""

import importlib.util
from pathlib import Path


def folder_of(module: str, *, missing: str) -> Path:
    """The folder of a module. It is not imported.

    Args:
        module: the module's name.
        missing: what to say where it is not installed.

    Returns:
        The folder.

    Raises:
        ModuleNotFoundError: the module is not installed.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(missing, name=module)
    return Path(spec.submodule_search_locations[0])
