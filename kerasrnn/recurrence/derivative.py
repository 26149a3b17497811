"""A function of nested tensors that brings its own derivative."""

from collections.abc import Callable, Iterable
from typing import Any

from keras import ops, tree

from kerasrnn.recurrence.scan import backend_module


def with_gradient(forward: Callable, backward: Callable, arguments: Any) -> Any:
    """What `forward(arguments)` outputs, differentiated by `backward`.

    Args:
        forward: takes nested tensors and returns two nests: the outputs, and what `backward` needs.
        backward: `backward(kept, d_outputs)` returns the gradients in the structure of `arguments`,
            with None for a tensor that needs none.
        arguments: nested tensors, all that `forward` uses: a backend differentiates no captured
            one. None may stand for a tensor, here and in what is returned.
    """
    present: dict[str, Any] = {"arguments": _is_present(arguments)}

    def flat_forward(*tensors):
        outputs, kept = forward(nested(present["arguments"], tensors))
        present["outputs"], present["kept"] = _is_present(outputs), _is_present(kept)
        return flat(outputs), flat(kept)

    def flat_backward(kept, d_outputs):
        gradients = backward(nested(present["kept"], kept), nested(present["outputs"], d_outputs))
        pairs = zip(tree.flatten(present["arguments"]), tree.flatten(gradients), strict=True)
        return tuple(gradient for is_there, gradient in pairs if is_there)

    function = backend_module().with_gradient(flat_forward, flat_backward)
    outputs = function(*map(ops.convert_to_tensor, flat(arguments)))
    return nested(present["outputs"], outputs)


def flat(structure: Any) -> tuple:
    """The tensors of a nest, in order, without None."""
    return tuple(x for x in tree.flatten(structure) if x is not None)


def nested(structure: Any, tensors: Iterable) -> Any:
    """A nest from what `flat` returned for one of the same structure.

    Where `structure` has None or False, the nest has None.
    """
    remaining = iter(tensors)
    return tree.map_structure(
        lambda x: None if x is None or x is False else next(remaining), structure
    )


def _is_present(structure):
    return tree.map_structure(lambda x: x is not None, structure)
