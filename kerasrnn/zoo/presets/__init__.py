"""Presets: where they are found, what they hold, how they are read and written."""

from kerasrnn.storage.preset_folders import (
    Preset,
    list_presets,
    read_config,
    read_index,
    resolve_preset,
    zoo_folders,
)

__all__ = [
    "Preset",
    "list_presets",
    "read_config",
    "read_index",
    "resolve_preset",
    "zoo_folders",
]
