"""Which parts of a layer are frozen, kept by its configuration."""

import collections
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from kerasrnn.storage.preset_folders import PARTS


class LayerOfLayers(keras.layers.Layer):
    """A layer that is made of layers, and stays frozen as it is wherever its configuration goes.

    In Keras a configuration has one flag for the whole layer, and the constructor makes the parts
    anew, trainable: what was frozen learns again in a copy or behind `load_model`. Here

    - `trainable=False` in the constructor freezes the parts too, as setting the flag does;
    - a configuration holds, in `trainable_parts`, the flags of the parts that differ from those of
      the whole or from those that the constructor sets, by path, such as
      `{"layer_1/gru_cell": False}`; the constructor takes it.
    """

    _frozen_when_made: frozenset[str] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _with_flags(vars(cls)["__init__"])  # type: ignore[method-assign]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **trainable_config(self)}


def trainable_config(layer: LayerOfLayers) -> dict[str, Any]:
    """What a configuration must say of a layer that is frozen as a whole or in part."""
    config: dict[str, Any] = {} if layer.trainable else {"trainable": False}
    parts = changed_parts(layer)
    return {**config, PARTS: parts} if parts else config


def changed_parts(layer: LayerOfLayers) -> dict[str, bool]:
    """The flags of the parts that follow neither from the whole's nor from the constructor."""
    changed: dict[str, bool] = {}
    # A flag that is set for a layer holds for its parts.
    implied: dict[str, bool | None] = {"": None if layer.trainable else False}
    for path, part in parts_of(layer):
        above = implied[path.rpartition("/")[0]]
        expected = path not in layer._frozen_when_made if above is None else above
        if part.trainable != expected:
            changed[path] = above = part.trainable
        implied[path] = above
    return changed


def parts_of(
    layer: keras.layers.Layer, path: str = "", seen: set[int] | None = None
) -> Iterator[tuple[str, keras.layers.Layer]]:
    """All layers that a layer is made of, by path, those above before those below."""
    seen = {id(layer)} if seen is None else seen
    names: collections.Counter[str] = collections.Counter()
    for part in layer._layers:
        if id(part) not in seen:
            seen.add(id(part))
            # Keras lets the cells of a stack share a name.
            name = f"{part.name}:{names[part.name]}" if names[part.name] else part.name
            names[part.name] += 1
            name = f"{path}/{name}" if path else name
            yield name, part
            yield from parts_of(part, name, seen)


def set_parts(layer: keras.layers.Layer, flags: Mapping[str, bool]) -> None:
    """Freeze parts, or let them learn, as `changed_parts` said."""
    parts = dict(parts_of(layer))
    for path, flag in flags.items():
        if path not in parts or not isinstance(flag, bool):
            raise ValueError(
                f"`{PARTS}` of {type(layer).__name__} must hold booleans by the paths of its "
                f"parts, {', '.join(parts)}. Received: {path!r}: {flag!r}"
            )
        parts[path].trainable = flag


def _with_flags(init: Callable) -> Callable:
    """A constructor that sets the flags of all parts once they are made."""

    @functools.wraps(init)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is not construct:  # of a base class: there is more to be made
            init(self, *args, **kwargs)
            return
        trainable, flags = kwargs.get("trainable", True), kwargs.pop(PARTS, None)
        if trainable is False:
            del kwargs["trainable"]
        init(self, *args, **kwargs)
        self._frozen_when_made = frozenset(p for p, part in parts_of(self) if not part.trainable)
        if trainable is False:
            self.trainable = False
        set_parts(self, flags or {})

    construct.__signature__ = inspect.signature(init)  # type: ignore[attr-defined]
    return construct
