"""Where presets are found: by name, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

from kerasrnn.layers.parts import PARTS

HUB_PREFIX = "hf://"
ZOO_VARIABLE = "KERASRNN_ZOO"

# The keys a preset's config.toml may hold. Anything else is a mistake and fails.
_SECTIONS = {
    "class",
    "arguments",
    "vocabulary",
    "input",
    "trainable",
    "versions",
    "training",
    "card",
}


@dataclass(frozen=True)
class Preset:
    """A preset that can be loaded by its name.

    Attributes:
        name: What `from_preset` takes.
        task: The name of the task class.
        summary: What it does, in a sentence.
        path: The preset's folder.
    """

    name: str
    task: str
    summary: str
    path: Path


def zoo_folders() -> list[Path]:
    """The folders in which presets are looked for by name, first the one that wins.

    They are the folder that the environment variable `KERASRNN_ZOO` names, `kerasrnn/zoo_data` of
    an installed package, and `zoo/` of a checkout. A folder counts when it holds an `index.toml`.

    Returns:
        The folders that exist, without repetition.

    Raises:
        FileNotFoundError: if `KERASRNN_ZOO` is set to a folder without an `index.toml`.
    """
    folders = []
    variable = os.environ.get(ZOO_VARIABLE)
    if variable:
        if not (Path(variable) / "index.toml").is_file():
            raise FileNotFoundError(
                f"{ZOO_VARIABLE} must name a folder that holds an index.toml. "
                f"Received: {ZOO_VARIABLE}={variable}"
            )
        folders.append(Path(variable))
    package = Path(__file__).resolve().parent.parent
    specification = util.find_spec("kerasrnn.zoo_data")
    if specification is not None and specification.submodule_search_locations:
        folders.extend(Path(place) for place in specification.submodule_search_locations)
    folders.append(package / "zoo_data")
    folders.append(package.parent / "zoo")
    found: dict[Path, None] = {}
    for folder in folders:
        if (folder / "index.toml").is_file():
            found[folder.resolve()] = None
    return list(found)


def read_index(folder: str | os.PathLike[str]) -> dict[str, dict[str, str]]:
    """Read the `index.toml` of a zoo folder.

    Args:
        folder: A folder that holds an `index.toml`.

    Returns:
        For each preset its `class` and `summary`.

    Raises:
        ValueError: if the file is not TOML or an entry lacks its class or its summary.
    """
    path = Path(folder) / "index.toml"
    index = _read_toml(path)
    for name, entry in index.items():
        if not isinstance(entry, dict) or set(entry) != {"class", "summary"}:
            raise ValueError(
                f"{path}: the entry {name!r} must be a table with the keys class and summary. "
                f"Received: {entry!r}"
            )
    return index


def list_presets(task: str | None = None) -> list[Preset]:
    """The presets that can be loaded by name, without a network.

    Args:
        task: Only presets of this task class, such as `"SequenceTagger"`.

    Returns:
        The presets, sorted by name.

    Example:

    >>> from kerasrnn.zoo import list_presets
    >>> "ner_en_starter" in [preset.name for preset in list_presets("SequenceTagger")]
    True
    """
    presets: dict[str, Preset] = {}
    for folder in zoo_folders():
        for name, entry in read_index(folder).items():
            if task in (None, entry["class"]):
                preset = Preset(name, entry["class"], entry["summary"], folder / name)
                presets.setdefault(name, preset)
    return [presets[name] for name in sorted(presets)]


def resolve_preset(preset: str | os.PathLike[str]) -> Path:
    """Find a preset's folder.

    Args:
        preset: A preset's name, a folder that holds a `config.toml`, or `hf://owner/name`. A
            folder is taken as such when it has a separator in it or exists; a name wins otherwise.

    Returns:
        The folder.

    Raises:
        ValueError: if there is no preset of that name.
        FileNotFoundError: if the folder is missing or holds no `config.toml`.
        ImportError: if a hub preset is asked for and `huggingface_hub` is not installed.
    """
    if isinstance(preset, str) and preset.startswith(HUB_PREFIX):
        return _download(preset)
    folder = Path(preset)
    if isinstance(preset, str) and not _looks_like_a_path(preset):
        known = {entry.name: entry.path for entry in list_presets()}
        if preset in known:
            folder = known[preset]
        elif not folder.is_dir():
            close = difflib.get_close_matches(preset, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"Unknown preset {preset!r}.{hint} Expected one of {', '.join(sorted(known))}, "
                "a folder, or hf://owner/name."
            )
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no preset folder {folder}.")
    if not (folder / "config.toml").is_file():
        raise FileNotFoundError(
            f"{folder} is not a preset: it holds no config.toml. "
            "A preset is a folder written by `save_to_preset`."
        )
    return folder


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check a preset's `config.toml`.

    Args:
        folder: The preset's folder.

    Returns:
        The file's content.

    Raises:
        ValueError: if the file is not TOML, lacks its class, or holds an unknown section.
    """
    path = Path(folder) / "config.toml"
    config = _read_toml(path)
    unknown = sorted(set(config) - _SECTIONS)
    if unknown:
        raise ValueError(
            f"{path}: unknown setting {unknown[0]!r}. "
            f"Expected one of {', '.join(sorted(_SECTIONS))}."
        )
    if not isinstance(config.get("class"), str):
        raise ValueError(f"{path}: `class` must name a task class. Got {config.get('class')!r}.")
    for section in ("arguments", "vocabulary", "trainable"):
        if not isinstance(config.setdefault(section, {}), Mapping):
            raise ValueError(f"{path}: `{section}` must be a table. Got {config[section]!r}.")
    flags = config["trainable"]
    if not set(flags) <= {"trainable", PARTS} or not isinstance(flags.get(PARTS, {}), Mapping):
        raise ValueError(
            f"{path}: `trainable` must hold nothing but `trainable`, a boolean, and `{PARTS}`, a "
            f"table of booleans. Got {flags!r}."
        )
    return config


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from error


def _looks_like_a_path(preset: str) -> bool:
    return os.sep in preset or preset in (".", "..") or bool(os.altsep and os.altsep in preset)


def _download(preset: str) -> Path:
    repository = preset.removeprefix(HUB_PREFIX).strip("/")
    if repository.count("/") != 1:
        raise ValueError(f"`preset` must have the form hf://owner/name. Received: {preset!r}")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ImportError(
            f"{preset!r} lies on the Hugging Face hub, which needs the package huggingface_hub: "
            "pip install huggingface_hub"
        ) from error
    # A preset is data: nothing else is fetched, whatever else the repository holds.
    folder = snapshot_download(
        repository,
        allow_patterns=["config.toml", "model.weights.h5", "vocabulary/*.txt", "metrics.json"],
    )
    return resolve_preset(Path(folder))
