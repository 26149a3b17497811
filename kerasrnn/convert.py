"""Layers and their weights, to and from those of Keras and PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasrnn.cells import Chrono
from kerasrnn.layers import GRU, LSTM, Bidirectional, DeepRNN, SimpleRNN, SimplifiedGRU

if TYPE_CHECKING:
    import torch

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]

_KERAS = {
    SimpleRNN: keras.layers.SimpleRNN,
    GRU: keras.layers.GRU,
    LSTM: keras.layers.LSTM,
}
_WEIGHTS = ("kernel", "recurrent_kernel", "bias")
# σ with σ(−x) = 1 − σ(x): for others, no weights make 1 − Γu out of Γu.
_SYMMETRIC = (keras.activations.sigmoid, keras.activations.hard_sigmoid)


def to_keras(layer: Any) -> keras.layers.Layer:
    """Keras's layer that computes the same as one of this package.

    The weights are copied if the layer has been built. A GRU's update gate changes its sign: Γu = 1
    takes the new value, where Keras's z = 1 keeps the old one, and 1 − σ(x) = σ(−x).

    What is the same is what the layer computes outside training. While training, Keras's recurrent
    dropout acts on all uses of the state, and that of this package on matrix products alone.

    Args:
        layer: a `SimpleRNN`, `GRU` or `LSTM`, or a `Bidirectional` of these.

    Returns:
        The layer of `keras.layers` of the same name and with the same arguments, but for a
        `bias_initializer` of `Chrono`, of which Keras has none.

    Raises:
        TypeError: Keras has no such layer.
        ValueError: a GRU whose recurrent activation is neither sigmoid nor hard_sigmoid, or with a
            constraint of `NonNeg`, which a change of sign would break.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.convert import to_keras
    >>> from kerasrnn.layers import GRU
    >>> layer, x = GRU(4), np.ones((2, 3, 5), "float32")
    >>> y = layer(x)
    >>> bool(np.allclose(to_keras(layer)(x), y, atol=1e-5))
    True
    """
    if isinstance(layer, Bidirectional):
        return _convert_bidirectional(layer, keras.layers.Bidirectional, to_keras)
    for ours, theirs in _KERAS.items():
        if isinstance(layer, ours):
            extra = {"reset_after": False} if ours is GRU else {}
            return _convert(layer, theirs, **extra)
    raise TypeError(
        "`to_keras` converts SimpleRNN, GRU, LSTM and Bidirectional of kerasrnn.layers, and so "
        f"each of a DeepRNN's `recurrent_layers`. Received: {_name(layer)}."
    )


def from_keras(keras_layer: keras.layers.Layer) -> Any:
    """The layer of this package that computes the same as one of Keras's.

    See `to_keras`, whose way back this is.

    Args:
        keras_layer: a `keras.layers.SimpleRNN`, `LSTM` or `GRU(reset_after=False)`, or a
            `keras.layers.Bidirectional` of these.

    Returns:
        The layer of `kerasrnn.layers` of the same name, arguments and, if built, weights.

    Raises:
        TypeError: this package has no such layer.
        ValueError: a GRU with `reset_after=True` (Keras's default), which is another cell; or one
            whose recurrent activation or constraints `to_keras` would refuse.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.convert import from_keras
    >>> layer, x = keras.layers.LSTM(4, return_sequences=True), np.ones((2, 3, 5), "float32")
    >>> y = layer(x)
    >>> bool(np.allclose(from_keras(layer)(x), y, atol=1e-5))
    True
    """
    if not isinstance(keras_layer, Bidirectional):
        if isinstance(keras_layer, keras.layers.Bidirectional):
            return _convert_bidirectional(keras_layer, Bidirectional, from_keras)
        for ours, theirs in _KERAS.items():
            if isinstance(keras_layer, theirs):
                if getattr(keras_layer, "reset_after", False):
                    raise ValueError(
                        f"keras.layers.GRU '{keras_layer.name}' has reset_after=True: it applies "
                        "the reset gate after the matrix product, which is another cell, and its "
                        "weights mean something else. Expected keras.layers.GRU(..., "
                        "reset_after=False)."
                    )
                return _convert(keras_layer, ours)
    raise TypeError(
        "`from_keras` converts SimpleRNN, GRU, LSTM and Bidirectional of keras.layers. "
        f"Received: {_name(keras_layer)}."
    )


def from_torch(module: torch.nn.Module, *, return_state: bool = False) -> DeepRNN:
    """The `DeepRNN` that computes the same as a `torch.nn.RNN` or `torch.nn.LSTM`.

    PyTorch's weights are transposed, and its two biases, which are only ever added, are one here.
    Its dropout between layers is `layer_dropout`.

    Args:
        module: a `torch.nn.RNN` (tanh or relu) or a `torch.nn.LSTM` without `proj_size`, with any
            number of layers and directions.
        return_state: whether to return the final states as well.

    Returns:
        A built `DeepRNN` that returns sequences. Its inputs are `(batch, time, input_dim)`,
        whatever the module's `batch_first` says.

    Raises:
        TypeError: another module. `torch.nn.GRU` applies the reset gate after the matrix product
            and so computes something that no weights of `GRU` do.
        ValueError: the module has a `proj_size`.

    Example:

    >>> import numpy as np, torch
    >>> from kerasrnn.convert import from_torch
    >>> module = torch.nn.LSTM(5, 4, num_layers=2, batch_first=True, bidirectional=True)
    >>> x = torch.ones((2, 3, 5))
    >>> y = from_torch(module)(x.numpy())
    >>> bool(np.allclose(y, module(x)[0].detach(), atol=1e-5))
    True
    """
    import torch

    if isinstance(module, torch.nn.GRU):
        raise TypeError(
            "torch.nn.GRU applies the reset gate after the matrix product, r∘(Wh + b): it is "
            "another cell than kerasrnn.layers.GRU, W(r∘h) + b, and its weights mean something "
            "else. Expected torch.nn.RNN or torch.nn.LSTM."
        )
    if not isinstance(module, (torch.nn.RNN, torch.nn.LSTM)):
        raise TypeError(
            f"`from_torch` converts torch.nn.RNN and torch.nn.LSTM. Received: {_name(module)}."
        )
    if module.proj_size:
        raise ValueError(
            "A torch.nn.LSTM with a projection of its output is another cell. Expected "
            f"proj_size=0. Received: proj_size={module.proj_size}."
        )
    arguments = {"activation": module.nonlinearity} if isinstance(module, torch.nn.RNN) else {}
    deep = DeepRNN(
        "lstm" if isinstance(module, torch.nn.LSTM) else "simple",
        units=module.hidden_size,
        depth=module.num_layers,
        bidirectional=module.bidirectional,
        layer_dropout=module.dropout,
        return_state=return_state,
        use_bias=module.bias,
        dtype=str(module.weight_ih_l0.dtype).removeprefix("torch."),
        **arguments,
    )
    deep.build((None, None, module.input_size))
    for depth, layer in enumerate(deep.recurrent_layers):
        for ours, suffix in zip(_directions(layer), ("", "_reverse"), strict=False):
            _weights_from_torch(module, f"l{depth}{suffix}", ours.cell)
    return deep


def to_torch(layers: Any, *, batch_first: bool = True) -> torch.nn.Module:
    """A `torch.nn.RNN` or `torch.nn.LSTM` that computes the same as layers of this package.

    The bias becomes PyTorch's `bias_ih`; `bias_hh` is zero. PyTorch's modules return all time
    steps, and know no masks: pack sequences of different lengths.

    Args:
        layers: a built `SimpleRNN` (tanh or relu) or `LSTM` with its usual activations, or a
            `Bidirectional` of one that concatenates its directions; or a `DeepRNN` or a list of
            such layers, all alike in kind and units, for a module of as many layers.
        batch_first: the module's.

    Returns:
        The module, in float32 (float64 for layers of float64 weights), on the CPU.

    Raises:
        TypeError: a layer of which PyTorch has no like, such as `GRU`.
        ValueError: a layer is not built, goes backwards, has other activations or merges its
            directions in another way, or the layers differ.

    Example:

    >>> import numpy as np, torch
    >>> from kerasrnn.convert import to_torch
    >>> from kerasrnn.layers import LSTM
    >>> layer, x = LSTM(4, return_sequences=True), np.ones((2, 3, 5), "float32")
    >>> y = layer(x)
    >>> module = to_torch(layer)
    >>> bool(np.allclose(module(torch.from_numpy(x))[0].detach(), y, atol=1e-5))
    True
    """
    import torch

    dropout = 0.0
    if isinstance(layers, DeepRNN):
        stack, dropout = list(layers.recurrent_layers), layers.layer_dropout
    else:
        stack = list(layers) if isinstance(layers, Sequence) else [layers]
    if not stack:
        raise ValueError("`layers` must hold at least one layer. Received none.")
    kinds = [_torch_kind(layer) for layer in stack]
    if len(set(kinds)) > 1:
        raise ValueError(
            "The layers of one PyTorch module must be alike in class, activation, units, use of a "
            f"bias and directions. Received: {', '.join(map(str, kinds))}."
        )
    name, activation, units, use_bias, bidirectional = kinds[0]
    directions = [_directions(layer) for layer in stack]
    input_dims = [ours[0].cell.kernel.shape[0] for ours in directions]
    width = units * (2 if bidirectional else 1)
    if any(dim != width for dim in input_dims[1:]):
        raise ValueError(
            f"Every layer but the first must take the {width} outputs of the one below. Received "
            f"input dimensions {input_dims}."
        )
    arguments = {"nonlinearity": activation} if name == "RNN" else {}
    module = getattr(torch.nn, name)(
        input_dims[0],
        units,
        num_layers=len(stack),
        bias=use_bias,
        batch_first=batch_first,
        dropout=dropout if len(stack) > 1 else 0.0,
        bidirectional=bidirectional,
        dtype=getattr(torch, keras.backend.standardize_dtype(directions[0][0].variable_dtype)),
        **arguments,
    )
    with torch.no_grad():
        for depth, ours in enumerate(directions):
            for layer, suffix in zip(ours, ("", "_reverse"), strict=False):
                _weights_into_torch(layer.cell, module, f"l{depth}{suffix}")
    return module


# === Keras ===


def _convert(layer, target, **extra):
    """A layer of class `target` with the configuration and weights of `layer`."""
    gated = isinstance(layer, (GRU, keras.layers.GRU))
    if gated:
        _check_update_gate(layer)
    # What only one of them has, such as `segment_length`, changes nothing that a layer computes.
    known = target(1).get_config()
    config = {k: v for k, v in {**layer.get_config(), **extra}.items() if k in known}
    if target not in _KERAS and isinstance(layer.cell.bias_initializer, Chrono):
        config["bias_initializer"] = "zeros"
    if target is keras.layers.SimpleRNN:
        # Keras leaves this one out of the configuration and takes it all the same.
        config["seed"] = layer.seed
    elif target is SimpleRNN:
        config["seed"] = layer.cell.seed
    converted = target.from_config(config)
    _copy_weights(layer, converted, negate=gated)
    return converted


def _check_update_gate(layer):
    cell = layer.cell
    if cell.recurrent_activation not in _SYMMETRIC:
        raise ValueError(
            f"The update gate of GRU '{layer.name}' points the other way in Keras, and only for "
            "σ(−x) = 1 − σ(x) do other weights make up for it. Expected recurrent_activation to be "
            "one of sigmoid, hard_sigmoid. Received: "
            f"{keras.activations.serialize(cell.recurrent_activation)!r}."
        )
    for name in ("kernel_constraint", "recurrent_constraint", "bias_constraint"):
        if isinstance(getattr(cell, name), keras.constraints.NonNeg):
            raise ValueError(
                f"GRU '{layer.name}' has `{name}` NonNeg, which the weights of the update gate "
                "break once their sign is changed."
            )


def _copy_weights(source, target, negate):
    if not source.cell.built:
        return
    batch = source.states[0].shape[0] if source.stateful and source.states else None
    if not target.built:
        target.build((batch, None, source.cell.kernel.shape[0]))
    for name in _WEIGHTS:
        weight = getattr(source.cell, name)
        if weight is None:
            continue
        value = keras.ops.convert_to_numpy(weight)
        if negate:
            sign = np.ones(value.shape[-1], value.dtype)
            sign[: source.cell.units] = -1  # the columns of z
            value = value * sign
        getattr(target.cell, name).assign(value)
    if batch is not None:
        for state, new in zip(source.states, target.states, strict=True):
            new.assign(keras.ops.convert_to_numpy(state))


def _convert_bidirectional(wrapper, target, convert):
    pair = [convert(layer) for layer in (wrapper.forward_layer, wrapper.backward_layer)]
    config = keras.layers.Layer.get_config(wrapper)
    converted = target(
        pair[0], merge_mode=wrapper.merge_mode, backward_layer=_unbuilt(pair[1]), **config
    )
    if wrapper.forward_layer.cell.built:
        layer = wrapper.forward_layer
        batch = layer.states[0].shape[0] if layer.stateful and layer.states else None
        converted.build((batch, None, layer.cell.kernel.shape[0]))
        # The wrapper made layers of its own.
        _copy_weights(pair[0], converted.forward_layer, negate=False)
        _copy_weights(pair[1], converted.backward_layer, negate=False)
    return converted


def _unbuilt(layer):
    return type(layer).from_config(layer.get_config())


# === PyTorch: the rows i, f, g, o of its LSTM are the columns i, f, c, o ===


def _weights_from_torch(module, suffix, cell):
    def weight(kind):
        return getattr(module, f"{kind}_{suffix}").detach().cpu().numpy()

    cell.kernel.assign(weight("weight_ih").T)
    cell.recurrent_kernel.assign(weight("weight_hh").T)
    if cell.bias is not None:
        cell.bias.assign(weight("bias_ih") + weight("bias_hh"))


def _weights_into_torch(cell, module, suffix):
    import torch

    def put(kind, variable, function: Callable = np.transpose):
        value = function(keras.ops.convert_to_numpy(variable))
        getattr(module, f"{kind}_{suffix}").copy_(torch.from_numpy(np.array(value)))

    put("weight_ih", cell.kernel)
    put("weight_hh", cell.recurrent_kernel)
    if cell.bias is not None:
        put("bias_ih", cell.bias)
        put("bias_hh", cell.bias, np.zeros_like)


def _torch_kind(layer):
    """What all layers of a PyTorch module share, or an error if it has no such thing."""
    directions = _directions(layer)
    for ours in directions:
        _check_torch(layer, ours)
    if len(directions) == 2 and layer.merge_mode != "concat":
        raise ValueError(
            "PyTorch concatenates the two directions. Expected merge_mode='concat'. Received: "
            f"merge_mode={layer.merge_mode!r}."
        )
    backwards = [ours.go_backwards for ours in directions]
    if backwards not in ([False], [False, True]):
        raise ValueError(
            f"PyTorch has no layer that only goes backwards. Received go_backwards={backwards}."
        )
    first, last = directions[0].cell, directions[-1].cell
    kinds = [
        (
            "LSTM" if isinstance(ours, LSTM) else "RNN",
            keras.activations.serialize(ours.cell.activation),
            ours.cell.units,
            ours.cell.use_bias,
        )
        for ours in directions
    ]
    if kinds[0] != kinds[-1]:
        raise ValueError(
            "The two directions of a PyTorch module must be alike in class, activation, units and "
            f"use of a bias. Received: {first.name} {kinds[0]} and {last.name} {kinds[-1]}."
        )
    return (*kinds[0], len(directions) == 2)


def _check_torch(outer, layer):
    if isinstance(layer, (GRU, SimplifiedGRU)):
        raise TypeError(
            f"PyTorch has no cell like {type(layer).__name__}: torch.nn.GRU applies its reset gate "
            "after the matrix product. Expected SimpleRNN or LSTM."
        )
    if not isinstance(layer, (SimpleRNN, LSTM)):
        raise TypeError(
            "`to_torch` converts SimpleRNN and LSTM of kerasrnn.layers, and Bidirectional of "
            f"these. Received: {_name(outer)}."
        )
    cell = layer.cell
    if not cell.built:
        raise ValueError(f"Layer '{layer.name}' has no weights yet. Call or build it first.")
    wanted = {"activation": ("tanh", "relu") if isinstance(layer, SimpleRNN) else ("tanh",)}
    if isinstance(layer, LSTM):
        wanted["recurrent_activation"] = ("sigmoid",)
    for argument, choices in wanted.items():
        received = keras.activations.serialize(getattr(cell, argument))
        if received not in choices:
            raise ValueError(
                f"PyTorch has no {type(layer).__name__} with {argument}={received!r}. Expected "
                f"one of {', '.join(choices)}."
            )


def _directions(layer) -> list[Any]:
    if isinstance(layer, Bidirectional):
        return [layer.forward_layer, layer.backward_layer]
    return [layer]


def _name(value):
    return f"{type(value).__module__}.{type(value).__name__}"
