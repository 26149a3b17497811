"""Gives a preset to the Hugging Face hub."""

from __future__ import annotations

import fnmatch
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.storage.cards import URL, card_head, headline, read_metrics
from kerasrnn.storage.hub import HUB_PREFIX, HubName, client, speaking_plainly
from kerasrnn.storage.preset_folders import (
    CARD_FILE,
    CONFIG_FILE,
    HUB_FILES,
    METRICS_FILE,
    WEIGHTS_FILE,
    check_languages,
    check_licence,
    preset_file,
    preset_files,
    read_config,
    read_index,
    resolve_preset,
)
from kerasrnn.storage.term_files import read_terms
from kerasrnn.storage.weight_file import SCALES, opened_weights

_COMMIT = re.compile("[0-9a-f]{40}")


def upload_preset(
    preset: Any,
    target: str,
    *,
    revision: str | None = None,
    private: bool = False,
    message: str = "Upload a preset of kerasrnn",
    token: str | bool | None = None,
    licence: str | None = None,
    languages: Sequence[str] = (),
) -> str:
    """Give a preset to a repository of the Hugging Face hub, which is made where it is missing.

    What a preset consists of is uploaded, in one commit: `config.toml`, the weights, the
    vocabularies, `metrics.json` if there is one, and the card, `README.md`. Nothing else in the
    folder is; of an earlier preset in the repository, no file of these kinds stays. A card that
    lacks the head in YAML that the hub reads gets one, and where there is no card, a short one is
    written. The folder stays as it is.

    Args:
        preset: A folder or a name, as for `from_preset`, which needs no TensorFlow; or a model of
            the zoo, saved as by `save_to_preset`.
        target: `hf://owner/name`, or `hf://owner/name@branch`.
        revision: The branch, which is made from `main` where it is missing; None for the one that
            `target` names, else `main`.
        private: Whether a repository that is made is to be seen by its owner only.
        message: The commit's message.
        token: A token that may write; None for the one that `hf auth login` has kept or that
            `HF_TOKEN` holds.
        licence: The licence of the weights for the head of the card, an SPDX expression; None for
            that of the zoo's index, if the preset is from a zoo. A head that is there is kept.
        languages: Codes of ISO 639, likewise.

    Returns:
        `hf://owner/name@commit`, from which `from_preset` loads what was uploaded.

    Raises:
        ValueError: if an argument has another form, the weights are not finite, a file is a link
            or damaged, `revision` is a tag or a commit, or a private repository is asked for and
            the one that is there is public. Nothing is uploaded then.
        FileNotFoundError: if there is no preset, or not all of it.
        PermissionError: if there is no token, or one that may not write there.
        ConnectionError: if the hub cannot be reached. The repository holds what it held.
        ImportError: if `huggingface_hub` is not installed.

    Example:

    >>> from kerasrnn.zoo import upload_preset
    >>> upload_preset("runs/people/preset", "hf://me/people", private=True)  # doctest: +SKIP
    'hf://me/people@8d0b5d1f2b8c4c4a0f0d4f6d2a4f4a1a5a1c3e77'
    """
    name = _target(target, revision)
    if not isinstance(message, str) or not message.strip():
        raise ValueError(f"`message` must say what is uploaded. Received: {message!r}")
    check_licence(licence)
    check_languages(languages)
    if hasattr(preset, "save_to_preset"):
        with tempfile.TemporaryDirectory() as place:
            folder = preset.save_to_preset(Path(place) / "preset")
            return _upload(folder, name, private, message, token, licence, languages)
    if not isinstance(preset, str | os.PathLike):
        raise TypeError(
            "`preset` must be a folder, a name or a model of the zoo. "
            f"Received: {type(preset).__name__}"
        )
    folder = resolve_preset(preset)
    entry = _entry(folder)
    licence = entry.get("licence") if licence is None else licence
    languages = languages or entry.get("languages", ())
    return _upload(folder, name, private, message, token, licence, languages)


def _target(target: str, revision: str | None) -> HubName:
    name = HubName.parse(target, "`target`")
    if revision is not None:
        if name.revision not in (None, revision):
            raise ValueError(f"`target` and `revision` differ: {target!r} and {revision!r}.")
        name = HubName.parse(f"{HUB_PREFIX}{name.repository}@{revision}", "`revision`")
    if _COMMIT.fullmatch(name.revision or ""):
        raise ValueError(f"`revision` must be a branch. Received a commit: {name.revision!r}")
    return name


def _entry(folder: Path) -> Mapping[str, Any]:
    """What the index beside a folder says of it, if there is one."""
    zoo = folder.resolve().parent
    if not (zoo / "index.toml").is_file():
        return {}
    return read_index(zoo).get(folder.resolve().name, {})


def _upload(
    folder: Path,
    name: HubName,
    private: bool,
    message: str,
    token: str | bool | None,
    licence: str | None,
    languages: Sequence[str],
) -> str:
    files = _checked_files(folder)
    card = _card(folder, name, licence, languages)
    api = client(name, token)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with speaking_plainly(name, "uploaded", api.endpoint):
        api.create_repo(name.repository, private=private, exist_ok=True)
        public = not api.repo_info(name.repository).private
        refs = api.list_repo_refs(name.repository)
    if private and public:
        raise ValueError(
            f"`private` is true, but {name.repository} on the hub is public. Nothing was uploaded."
        )
    branch = name.revision or "main"
    if branch in [tag.name for tag in refs.tags]:
        raise ValueError(
            f"`revision` must be a branch, but {branch!r} is a tag of {name.repository}, which "
            "stays what it is. Nothing was uploaded."
        )
    with speaking_plainly(name, "uploaded", api.endpoint):
        if name.revision and branch not in [each.name for each in refs.branches]:
            api.create_branch(name.repository, branch=branch, exist_ok=True)
        there = api.list_repo_files(name.repository, revision=branch)
        old = [
            file
            for file in there
            if file not in files and any(fnmatch.fnmatchcase(file, kind) for kind in HUB_FILES)
        ]
        commit = api.create_commit(
            name.repository,
            [
                *(CommitOperationAdd(file, path) for file, path in files.items()),
                CommitOperationAdd(CARD_FILE, card.encode()),
                *(CommitOperationDelete(file) for file in old),
            ],
            commit_message=message,
            revision=branch,
        )
    return str(HubName(name.repository, commit.oid))


def _checked_files(folder: Path) -> dict[str, Path]:
    """The files of a preset by their names in it, looked through as they are when it is loaded."""
    names = preset_files(folder)
    for file in names:
        if not any(fnmatch.fnmatchcase(file, kind) for kind in HUB_FILES):
            raise ValueError(
                f"{folder / CONFIG_FILE}: the vocabulary {file!r} could not be fetched from the "
                "hub. Expected one in the folder vocabulary, whose name ends with .txt."
            )
    files = {file: preset_file(folder, file) for file in names}
    with opened_weights(files[WEIGHTS_FILE]) as weights:
        for array, stored in weights.arrays.items():
            dtype = "float32" if f"{SCALES}/{array}" in weights.arrays else stored.dtype
            weights.read(array, np.empty(stored.shape, dtype))
        for file in names:
            if file not in (CONFIG_FILE, WEIGHTS_FILE):
                read_terms(files[file], most=weights.longest)
    if read_metrics(folder) is not None:
        files[METRICS_FILE] = folder / METRICS_FILE
    return files


def _card(folder: Path, name: HubName, licence: str | None, languages: Sequence[str]) -> str:
    """The card in a preset's folder, or a new one, with a head in either case."""
    try:
        text = preset_file(folder, CARD_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError as error:
        raise ValueError(f"{folder / CARD_FILE} is not UTF-8: {error}") from error
    if text.startswith("---"):
        return text
    config = read_config(folder)
    title = name.repository.partition("/")[2]
    head = card_head(title, config, read_metrics(folder), licence=licence, languages=languages)
    return f"{head}\n{text or _new_card(title, folder, config, name)}"


def _new_card(title: str, folder: Path, config: Mapping[str, Any], name: HubName) -> str:
    task = config["class"]
    texts = config.get("card")
    texts = texts if isinstance(texts, Mapping) else {}
    figure = headline(folder, task)
    lines = [
        f"# {title}",
        "",
        f"A `{task}` of [kerasrnn]({URL}), recurrent models for Keras 3. With "
        "`pip install 'kerasrnn[hub]'`:",
        "",
        "```python",
        f"from kerasrnn.zoo import {task}",
        "",
        f'model = {task}.from_preset("hf://{name.repository}")',
        "```",
    ]
    for key in ("data", "licence", "limits"):
        if key in texts:
            lines += ["", f"**{key.capitalize()}.** {texts[key]}"]
    if figure:
        lines += ["", f"**Figures.** {figure}"]
    return "\n".join(lines) + "\n"
