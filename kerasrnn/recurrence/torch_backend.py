"""The scan over time and its gradient on PyTorch."""

import keras
import torch
from torch.autograd.function import once_differentiable


def scan(step, initial_states, inputs, *, reverse=False, outputs_like=None):
    length = next(x.shape[0] for x in keras.tree.flatten(inputs) if x is not None)
    states, outputs = initial_states, []
    # Slices of a tensor taken all at once cost less than one at a time.
    slices = [None if x is None else x.unbind(0) for x in keras.tree.flatten(inputs)]
    for t in reversed(range(length)) if reverse else range(length):
        xs = [None if x is None else x[t] for x in slices]
        states, outputs_t = step(states, keras.tree.pack_sequence_as(inputs, xs))
        outputs.append(outputs_t)
    if reverse:
        outputs.reverse()
    stacked = keras.tree.map_structure(
        lambda *xs: None if xs[0] is None else torch.stack(xs), *outputs
    )
    return states, stacked


def with_gradient(forward, backward):
    """A function that computes `forward(*arguments)[0]` and is differentiated by `backward`.

    `forward` returns `(outputs, kept)`; `backward(kept, d_outputs)` returns a gradient, or None,
    for each argument.
    """

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *arguments):
            outputs, kept = forward(*arguments)
            ctx.save_for_backward(*kept)
            return tuple(outputs)

        @staticmethod
        @once_differentiable
        def backward(ctx, *d_outputs):
            return tuple(backward(ctx.saved_tensors, d_outputs))

    return Function.apply


def tensor_of(variable):
    """A Keras variable's value as a tensor."""
    return variable.value


def vector_jacobian_product(function, arguments, d_outputs):
    """The gradient of each argument from those of the outputs of `function(*arguments)`."""
    with torch.enable_grad():
        arguments = [x.detach().requires_grad_() for x in arguments]
        outputs = function(*arguments)
        gradients = torch.autograd.grad(outputs, arguments, d_outputs, allow_unused=True)
    return [
        torch.zeros_like(x) if g is None else g for x, g in zip(arguments, gradients, strict=True)
    ]
