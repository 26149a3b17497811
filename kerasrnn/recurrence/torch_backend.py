"""The scan over time and its gradient on PyTorch."""

import keras
import torch

from kerasrnn.recurrence.stacked import (  # noqa: F401
    at_least_one,
    is_loose,
    one_scan_is_faster,
    product,
    stack,
    sum_of_outer_products,
    tensor_of,
)


def scan(step, initial_states, inputs, *, reverse=False, **hints):
    flat = keras.tree.flatten(inputs)
    length = next(x.shape[0] for x in flat if x is not None)
    states, outputs = initial_states, []
    # Slices of a tensor taken all at once cost less than one at a time.
    slices = [None if x is None else x.unbind(0) for x in flat]
    for t in reversed(range(length)) if reverse else range(length):
        xs = [None if x is None else x[t] for x in slices]
        states, outputs_t = step(states, keras.tree.pack_sequence_as(inputs, xs))
        outputs.append(outputs_t)
    if length == 0:
        empty = [None if x is None else x.new_zeros(x.shape[1:]) for x in flat]
        _, outputs_like = step(states, keras.tree.pack_sequence_as(inputs, empty))
        return states, keras.tree.map_structure(
            lambda y: None if y is None else y.new_zeros((0, *y.shape)), outputs_like
        )
    if reverse:
        outputs.reverse()
    stacked = keras.tree.map_structure(
        lambda *xs: None if xs[0] is None else torch.stack(xs), *outputs
    )
    return states, stacked


def stacks_lanes():
    """Whether lanes of one kind are faster as one with larger tensors: it halves the calls."""
    return True


def longest(mask):
    """How many steps of a mask `(time, batch)` the longest row needs, at least 1."""
    used = mask.any(dim=1).nonzero()
    return int(used[-1]) + 1 if len(used) else 1


def with_gradient(forward, backward):
    """A function that computes `forward(*arguments)[0]` and is differentiated by `backward`.

    `forward` returns `(outputs, kept)`; `backward(kept, d_outputs)` returns a gradient, or None,
    for each argument.
    """

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *arguments):
            outputs, kept = forward(*arguments)
            ctx.number_of_arguments = len(arguments)
            ctx.save_for_backward(*arguments, *kept)
            return tuple(outputs)

        @staticmethod
        def backward(ctx, *d_outputs):
            arguments = ctx.saved_tensors[: ctx.number_of_arguments]
            kept = ctx.saved_tensors[ctx.number_of_arguments :]
            if torch.is_grad_enabled():
                # A second derivative is asked for: what was kept must depend on the arguments.
                _, kept = forward(*arguments)
            return tuple(backward(kept, d_outputs))

    return Function.apply


def vector_jacobian_product(function, arguments, d_outputs):
    """The gradient of each argument from those of the outputs of `function(*arguments)`."""
    if torch.is_grad_enabled():
        raise NotImplementedError(
            "kerasrnn: a layer with `segment_length` has no second-order gradients on PyTorch."
        )
    with torch.enable_grad():
        arguments = [x.detach().requires_grad_() for x in arguments]
        outputs = function(*arguments)
        gradients = torch.autograd.grad(outputs, arguments, d_outputs, allow_unused=True)
    return [
        torch.zeros_like(x) if g is None else g for x, g in zip(arguments, gradients, strict=True)
    ]
