"""What the layers of a single named cell share."""

import contextlib
from typing import Any, ClassVar

import keras

from kerasrnn.cells import Cell
from kerasrnn.cells.arguments import arguments_of, in_the_order_of
from kerasrnn.layers.rnn import RNN


class CellLayer(RNN):
    """An `RNN` that makes its own cell and takes the cell's arguments as its own.

    The cell's settings can be read from the layer: `layer.units`, `layer.dropout` and so on. A
    subclass says which cell and, in `argument_order`, in the order of which class of Keras
    arguments may come by position.

    Args:
        units: positive integer, the length of the output.
        activity_regularizer: regulariser of the output.
        **kwargs: the other arguments of the cell, which `Cell` explains; those of `RNN`, such as
            `return_sequences`; and those of `keras.layers.Layer`.
    """

    cell_class: ClassVar[type[Cell]]
    cell_name: ClassVar[str]
    argument_order: ClassVar[type]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "cell_class" in vars(cls):
            arguments = {**arguments_of(cls.cell_class.__init__), **arguments_of(RNN.__init__)}
            arguments |= {**arguments_of(CellLayer.__init__), **arguments_of(cls.__init__)}
            del arguments["cell"]
            cls.__init__ = in_the_order_of(  # type: ignore[method-assign]
                cls.argument_order, arguments, cls.__init__
            )
        super().__init_subclass__(**kwargs)

    def __init__(self, units: int, *, activity_regularizer: Any = None, **kwargs: Any) -> None:
        of_cell = kwargs.keys() & arguments_of(self.cell_class.__init__)
        cell = self.cell_class(
            units,
            **{name: kwargs.pop(name) for name in of_cell},
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name=self.cell_name,
        )
        super().__init__(cell, activity_regularizer=activity_regularizer, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def __getattr__(self, name: str) -> Any:
        # Reached only for names that the layer itself lacks. On PyTorch a layer is a module, which
        # keeps what it owns where only the base's `__getattr__` finds it.
        inherited = getattr(super(), "__getattr__", None)
        if inherited is not None:
            with contextlib.suppress(AttributeError):
                return inherited(name)
        if name != "cell" and not name.startswith("_"):
            cell = getattr(self, "cell", None)
            if cell is not None and name in _cell_settings(cell):
                return getattr(cell, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        config["activity_regularizer"] = keras.regularizers.serialize(self.activity_regularizer)
        own = {"name", "trainable", "dtype"}
        cell_config = self.cell.get_config()
        return {**config, **{k: v for k, v in cell_config.items() if k not in own}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CellLayer":
        return cls(**config)


def _cell_settings(cell):
    return {"has_step_gradient", *cell.get_config()} - {"name", "trainable", "dtype"}


def refuse_cudnn(use_cudnn: bool | str) -> None:
    """Raise unless `use_cudnn` is "auto" or False, the values with which Keras may do without."""
    if use_cudnn not in ("auto", False):
        raise ValueError(
            "`use_cudnn=True` cannot be had: this layer runs its own recurrence on every device. "
            f"Expected 'auto' or False. Received: use_cudnn={use_cudnn!r}"
        )
