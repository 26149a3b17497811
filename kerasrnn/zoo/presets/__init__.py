"""Presets: where they are found, what they hold, how they are read and written."""

from kerasrnn.storage.preset_folders import (
    Preset,
    list_presets,
    read_config,
    read_index,
    resolve_preset,
    zoo_folders,
)
from kerasrnn.storage.uploads import upload_preset

__all__ = [
    "Preset",
    "list_presets",
    "read_config",
    "read_index",
    "resolve_preset",
    "upload_preset",
    "zoo_folders",
]
