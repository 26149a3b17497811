"""Where presets are found: by name, in a folder, or on the Hugging Face hub."""

from __future__ import annotations

import os
import re
import reprlib
import shutil
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path, PurePosixPath
from typing import Any

from kerasrnn.command_line import close_to
from kerasrnn.storage.hub import HUB_PREFIX, HubName, fetched

CONFIG_FILE = "config.toml"
WEIGHTS_FILE = "model.weights.h5"
METRICS_FILE = "metrics.json"
CARD_FILE = "README.md"
ZOO_VARIABLE = "KERASRNN_ZOO"

# Where a configuration says which parts of a layer are frozen; see `kerasrnn.layers.parts`.
PARTS = "trainable_parts"

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

# The keys of an entry of index.toml.
_NEEDED = {"class", "summary"}
_ENTRY = _NEEDED | {"licence", "languages"}

# An SPDX licence expression, whose ids are not looked up; and codes of ISO 639-1, or of 639-3 where
# that has none.
_SPDX_ID = r"\(?[A-Za-z0-9][A-Za-z0-9.+-]*\)?"
_SPDX = re.compile(rf"{_SPDX_ID}(?: (?:AND|OR|WITH) {_SPDX_ID})*")
_LANGUAGE = re.compile("[a-z]{2,3}")

# What is fetched from the hub. A preset is data: nothing else is, whatever a repository holds.
HUB_FILES = (CONFIG_FILE, WEIGHTS_FILE, "vocabulary/*.txt", METRICS_FILE)

# No card is as long, and no key has as many parts. The memory that `tomllib` takes grows with the
# square of a key's parts: a key of 200 kB would take 40 GB.
_MOST_CONFIG_BYTES = 256 << 10
_MOST_KEY_PARTS = 16

# What in TOML is no key: comments and strings. Dots in quoted keys do not count. As in TOML, up to
# two quotes more may end a long string. What is never closed is an error there, and skipped here
# rather than looked for again from its next character.
_NO_KEYS = re.compile(
    r"""#[^\n]*"""
    r"""|\"{3}(?:\\.|[^\\])*?(?:\"{3,5}|\\?\Z)|'{3}.*?(?:'{3,5}|\Z)"""
    r"""|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Preset:
    """A preset that can be loaded by its name.

    Attributes:
        name: What `from_preset` takes.
        task: The name of the task class.
        summary: What it does, in a sentence.
        path: The preset's folder.
        licence: The licence of its weights, an SPDX expression; None where its zoo does not say.
        languages: The languages that it knows, by ISO 639; none for music, say.

    Example:

    >>> from kerasrnn.zoo import list_presets
    >>> pos = next(preset for preset in list_presets() if preset.name == "pos_en_ewt")
    >>> pos.licence, pos.languages
    ('CC-BY-SA-4.0', ('en',))
    """

    name: str
    task: str
    summary: str
    path: Path
    licence: str | None = None
    languages: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The size on disk of its weights and vocabularies, in bytes."""
        return preset_bytes(self.path)


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
    folders.extend(_shipped_folders())
    found: dict[Path, None] = {}
    for folder in folders:
        if (folder / "index.toml").is_file():
            found[folder.resolve()] = None
    return list(found)


def _shipped_folders() -> list[Path]:
    """Where the presets of this package may lie."""
    folders: list[Path] = []
    package = Path(__file__).resolve().parents[1]
    specification = util.find_spec("kerasrnn.zoo_data")
    if specification is not None and specification.submodule_search_locations:
        folders.extend(Path(place) for place in specification.submodule_search_locations)
    return [*folders, package / "zoo_data", package.parent / "zoo"]


def read_index(folder: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read the `index.toml` of a zoo folder.

    Args:
        folder: A folder that holds an `index.toml`.

    Returns:
        For each preset its `class` and `summary`, and where they are given its `licence`, an SPDX
        expression, and `languages`, a list of codes of ISO 639.

    Raises:
        ValueError: if the file is not TOML, or an entry lacks its class or its summary, has
            something else besides, or a value of another form.
    """
    path = Path(folder) / "index.toml"
    index = _read_toml(path)
    for name, entry in index.items():
        if not isinstance(entry, dict) or not _NEEDED <= set(entry) <= _ENTRY:
            raise ValueError(
                f"{path}: the entry {name!r} must be a table with the keys class and summary, and "
                f"may have licence and languages. Received: {reprlib.repr(entry)}"
            )
        for key in _NEEDED:
            if not isinstance(entry[key], str):
                raise ValueError(
                    f"{path}: `{key}` of {name!r} must be a text. "
                    f"Received: {reprlib.repr(entry[key])}"
                )
        check_licence(entry.get("licence"), f"{path}: `licence` of {name!r}")
        check_languages(entry.get("languages", []), f"{path}: `languages` of {name!r}")
    return index


def check_licence(licence: Any, name: str = "`licence`") -> None:
    """Raise a ValueError unless a licence has the form of an SPDX expression, or is None."""
    if licence is not None and not (isinstance(licence, str) and _SPDX.fullmatch(licence)):
        raise ValueError(
            f"{name} must be an SPDX licence expression, such as 'Apache-2.0' or 'CC-BY-4.0'. "
            f"Received: {reprlib.repr(licence)}"
        )


def check_languages(languages: Any, name: str = "`languages`") -> None:
    """Raise a ValueError unless languages are a list or tuple of codes of ISO 639, each once."""
    good = isinstance(languages, list | tuple) and all(
        isinstance(code, str) and _LANGUAGE.fullmatch(code) for code in languages
    )
    if not good or len(set(languages)) < len(languages):
        raise ValueError(
            f"{name} must be a list of codes of ISO 639 in small letters, each once, such as "
            f"['en', 'de']. Received: {reprlib.repr(languages)}"
        )


def preset_bytes(folder: str | os.PathLike[str]) -> int:
    """The size on disk of a preset's weights and vocabularies, in bytes; what is missing has none.

    Args:
        folder: the preset's folder.
    """
    files = [Path(folder) / WEIGHTS_FILE, *(Path(folder) / "vocabulary").glob("*.txt")]
    return sum(file.stat().st_size for file in files if file.is_file())


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
                preset = Preset(
                    name,
                    entry["class"],
                    entry["summary"],
                    folder / name,
                    entry.get("licence"),
                    tuple(entry.get("languages", ())),
                )
                presets.setdefault(name, preset)
    return [presets[name] for name in sorted(presets)]


def resolve_preset(preset: str | os.PathLike[str]) -> Path:
    """Find a preset's folder.

    Args:
        preset: A preset's name; a folder that holds a `config.toml`; or `hf://owner/name` for a
            repository on the Hugging Face hub, or `hf://owner/name@revision` for its state in a
            branch, at a tag or a commit. A folder is taken as such when it has a separator in it
            or exists; a name wins otherwise.

    Returns:
        The folder.

    Raises:
        ValueError: if there is no preset of that name, or it has another form.
        FileNotFoundError: if the folder is missing or holds no `config.toml`; or if the hub has no
            such repository or revision, or no preset in it.
        PermissionError: if the hub wants a token, or another one.
        ConnectionError: if the hub cannot be reached, and the cache of its client lacks the preset.
        ImportError: if a hub preset is asked for and `huggingface_hub` is not installed.
    """
    if isinstance(preset, str) and preset.startswith(HUB_PREFIX):
        return _downloaded(HubName.parse(preset))
    folder = Path(preset)
    if isinstance(preset, str) and not _looks_like_a_path(preset):
        known = {entry.name: entry.path for entry in list_presets()}
        if preset in known:
            folder = known[preset]
        elif not folder.is_dir():
            raise ValueError(
                f"Unknown preset {preset!r}.{close_to(preset, known, repr)} Expected one of "
                f"{', '.join(sorted(known))}, a folder, hf://owner/name, or "
                "hf://owner/name@revision."
            )
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no preset folder {folder}.")
    if not (folder / CONFIG_FILE).is_file():
        raise FileNotFoundError(
            f"{folder} is not a preset: it holds no config.toml. "
            "A preset is a folder written by `save_to_preset`."
        )
    return folder


def resolve_model(name: str | os.PathLike[str]) -> Path:
    """Find the folder of a preset, or of the preset that a training run has left.

    Args:
        name: the folder of a run, or what `resolve_preset` takes.

    Returns:
        The preset's folder.

    Raises:
        FileNotFoundError: the run has no model yet; or as for `resolve_preset`.
        ValueError: as for `resolve_preset`.
    """
    run = Path(name)
    if (run / "preset" / CONFIG_FILE).is_file():
        return run / "preset"
    if (run / "checkpoints").is_dir() or (run / "history.csv").is_file():
        raise FileNotFoundError(
            f"{run} is the folder of a run that has no model yet: there is no {run / 'preset'}. "
            "Let it end, or go on with it (--resume)."
        )
    return resolve_preset(name)


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check a preset's `config.toml`.

    Args:
        folder: The preset's folder.

    Returns:
        The file's content.

    Raises:
        ValueError: if the file is not TOML, is larger than 256 KiB, lacks its class, or holds an
            unknown section.
        FileNotFoundError: if there is none.
    """
    path = preset_file(Path(folder), CONFIG_FILE)
    size = path.stat().st_size
    if size > _MOST_CONFIG_BYTES:
        raise ValueError(
            f"{path} has {size:,} bytes. A preset's may have {_MOST_CONFIG_BYTES:,} at most."
        )
    config = _read_toml(path)
    unknown = sorted(set(config) - _SECTIONS)
    if unknown:
        raise ValueError(
            f"{path}: unknown setting {unknown[0]!r}. "
            f"Expected one of {', '.join(sorted(_SECTIONS))}."
        )
    if not isinstance(config.get("class"), str):
        got = reprlib.repr(config.get("class"))
        raise ValueError(f"{path}: `class` must name a task class. Got {got}.")
    for section in ("arguments", "vocabulary", "trainable"):
        if not isinstance(config.setdefault(section, {}), Mapping):
            got = reprlib.repr(config[section])
            raise ValueError(f"{path}: `{section}` must be a table. Got {got}.")
    flags = dict(config["trainable"])
    parts = flags.pop(PARTS, {})
    values = [*flags.values(), *(parts.values() if isinstance(parts, Mapping) else [None])]
    if not set(flags) <= {"trainable"} or not all(isinstance(value, bool) for value in values):
        raise ValueError(
            f"{path}: `trainable` must hold nothing but `trainable`, a boolean, and `{PARTS}`, a "
            f"table of booleans. Got {reprlib.repr(config['trainable'])}."
        )
    return config


def preset_file(folder: Path, name: Any) -> Path:
    """A file of a preset: a regular one in its folder, which no link leads to.

    The links that the hub's client makes are allowed: those from a snapshot of a repository to the
    repository's blobs. So are links of this package's own presets, which an installer may make.

    Args:
        folder: the preset's folder.
        name: the file's name in it, with `/` between the parts.

    Returns:
        The file's path.

    Raises:
        ValueError: if it lies elsewhere, a link leads to it, or it is no regular file.
        FileNotFoundError: if it is not there.
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or ".." in parts or Path(*parts).is_absolute():
        raise ValueError(f"{folder}: {reprlib.repr(name)} lies outside of the preset.")
    path = folder.joinpath(*parts)
    steps = [folder.joinpath(*parts[: end + 1]) for end in range(len(parts))]
    links = [step for step in steps if step.is_symlink()]
    if links and not (links == [path] and _is_blob(folder, path)) and not _is_shipped(folder):
        raise ValueError(
            f"{links[0]} is a link, and may lead outside of the preset. "
            "A preset's files may be no links: copy what it leads to."
        )
    if not path.exists():
        raise FileNotFoundError(f"The preset {folder} lacks its {name}.")
    if not path.is_file():
        raise ValueError(f"{path} must be a regular file.")
    return path


def preset_files(folder: Path) -> list[str]:
    """The files without which a preset cannot be loaded, by their names in its folder."""
    names = read_config(folder)["vocabulary"].values()
    return list(dict.fromkeys([CONFIG_FILE, WEIGHTS_FILE, *map(str, names)]))


def preset_target(folder: str | os.PathLike[str], classes: Collection[str]) -> Path:
    """The folder in which a preset is to be written, if nothing is lost by it.

    Args:
        folder: its name. A link to a folder is followed.
        classes: the names of the classes that presets have.

    Returns:
        A folder that is not there, is empty, or holds a preset.

    Raises:
        FileExistsError: if there is a file, a link that leads nowhere, or a folder that holds
            something else.
        ValueError: if the process works in the folder or below it: it would stand in one that is
            gone.
    """
    path = Path(folder)
    if path.is_symlink() and not path.exists():
        raise FileExistsError(f"`folder` is a link that leads nowhere: {path}. Remove it first.")
    target = path.resolve()
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"`folder` must name a folder, but {path} is a file.")
    if not target.is_dir():
        return target
    here = Path.cwd()
    if target in (here, *here.parents):
        raise ValueError(
            f"`folder` cannot be {str(folder)!r}: the process works there ({here}), and the folder "
            "is replaced as a whole. Give the name of another folder, such as one inside of it."
        )
    if any(target.iterdir()) and not _holds_preset(target, classes):
        raise FileExistsError(
            f"`folder` must be new, empty or hold a preset, but {path} holds something else. "
            "Nothing in it was touched. Give another name, or remove it first."
        )
    return target


def _holds_preset(folder: Path, classes: Collection[str]) -> bool:
    try:
        return read_config(folder)["class"] in classes and (folder / WEIGHTS_FILE).is_file()
    except (OSError, ValueError):
        return False


def keep_other_files(old: Path, new: Path) -> None:
    """Give the successor of a preset's folder what lies there and is not the preset's own.

    Args:
        old: the folder of a preset. It stays as it is.
        new: the folder that is to take its place. Files that it has are its own.
    """
    own = set(preset_files(old))
    for place, folders, files in os.walk(old):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        for source in (here / name for name in [*files, *links]):
            relative = source.relative_to(old)
            target = new / relative
            if relative.as_posix() in own or os.path.lexists(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target, follow_symlinks=False)
            except OSError:  # a file system without hard links, or a file of someone else
                shutil.copy2(source, target, follow_symlinks=False)


def _is_blob(folder: Path, path: Path) -> bool:
    """Whether the hub's client keeps what a link leads to: `snapshots/REVISION/` to `blobs/`."""
    snapshot = folder.resolve()
    blobs = snapshot.parent.parent / "blobs"
    return (
        snapshot.parent.name == "snapshots"
        and not blobs.is_symlink()
        and path.resolve().parent == blobs
    )


def _is_shipped(folder: Path) -> bool:
    return folder.resolve().parent in [shipped.resolve() for shipped in _shipped_folders()]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        keys = re.split(r"[=\[\]{},\n]", _NO_KEYS.sub("", text))
        if max(key.count(".") for key in keys) >= _MOST_KEY_PARTS:
            raise ValueError(f"a key has more than {_MOST_KEY_PARTS} parts")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also not UTF-8, an endless number, deep nesting
        raise ValueError(f"{path} is not a TOML file: {error}") from error


def _looks_like_a_path(preset: str) -> bool:
    return os.sep in preset or preset in (".", "..") or bool(os.altsep and os.altsep in preset)


def _downloaded(name: HubName) -> Path:
    """The folder in the cache of the hub's client that holds a preset, fetched where needed."""
    folder = fetched(name, HUB_FILES)
    if not (folder / CONFIG_FILE).is_file():
        raise FileNotFoundError(f"{name} holds no preset: it has no {CONFIG_FILE}.")
    for file in preset_files(folder):
        if not os.path.lexists(folder / file):
            raise FileNotFoundError(
                f"{name} holds no whole preset, or was not fetched whole: it has no {file}."
            )
    return folder
