"""Two directions, and several layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.lens.lecture.drawing import LIGHT, finish, heat, panels
from kerasrnn.lens.lecture.page import item

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@item(
    "Two directions",
    code=("kerasrnn/layers/bidirectional.py::Bidirectional.call",),
    tests=("tests/layers/test_bidirectional.py::test_merging_under_every_mask",),
)
def bidirectional() -> Any:
    """One network reads from the left and one from the right; the output at t sees both.

        aF<t> = the activation of the forward network, from x<1> … x<t>
        aB<t> = the activation of the backward network, from x<T> … x<t>
        ŷ<t>  = g(Wy [aF<t>; aB<t>] + by)

    The layer returns [aF; aB]; g(Wy · + by) is the dense layer behind it. What ŷ<t> knows can be
    told from its derivative by each input: zero where it cannot know.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from kerasrnn.layers import GRU, Bidirectional

    rng = np.random.default_rng(8)
    T, n = 6, 4
    both = Bidirectional(GRU(n, return_sequences=True, dtype="float64"), dtype="float64")
    dense = keras.layers.Dense(2, activation="softmax", dtype="float64")
    model = keras.Sequential([keras.Input((T, 3), dtype="float64"), both, dense])
    for layer in (both, dense):
        layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    x = rng.normal(size=(1, T, 3))

    aF = both.forward_layer(x)[0].numpy()
    aB = both.backward_layer(x)[0].numpy()[::-1]  # it returns what it read in its own order
    Wy, by = (w.numpy().T for w in dense.weights)
    for t in range(T):
        scores = np.exp(Wy @ np.concatenate([aF[t], aB[t]]) + by)
        y = scores / scores.sum()
        assert np.allclose(model(x)[0, t], y, atol=1e-12)
        print(f"t = {t + 1}   ŷ = {y.round(3)}")

    one = keras.Sequential([keras.Input((T, 3), dtype="float64"), both.forward_layer])
    knows = {}
    for name, network in {"one direction": one, "two directions": model}.items():
        inputs = tf.constant(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs = network(inputs)
        jacobian = tape.jacobian(outputs, inputs, experimental_use_pfor=False)[0, :, :, 0]
        knows[name] = np.linalg.norm(jacobian, axis=(1, 3))  # (t, s)
        share = np.mean(knows[name] > 0)
        print(f"{name}: {share:.0%} of the pairs of output and input depend on each other")
    return knows


@bidirectional.picture(
    "|∂ŷ<t>/∂x<s>|, each divided by the largest, and blank where it is zero: one direction knows "
    "nothing of what comes after t, two know all."
)
def _(knows: Any) -> Figure:
    from matplotlib.colors import Normalize

    figure, [axes] = panels(1, 2, inches=(7.0, 3.0), sharey=True)
    for ax, (name, sizes) in zip(axes, knows.items(), strict=True):
        ramp = ("#ffffff", LIGHT.low)
        shown = np.where(sizes > 0, sizes / sizes.max(), np.nan)
        heat(ax, shown, ramp=ramp, norm=Normalize(0, 1), form="{:.2f}", size=8)
        steps = range(len(sizes))
        ax.set_xticks(steps, [str(s + 1) for s in steps])
        ax.set_yticks(steps, [str(t + 1) for t in steps])
        finish(ax, title=name, x="input at s")
    axes[0].set_ylabel("output at t")
    return figure


@item(
    "Deep networks",
    code=(
        "kerasrnn/layers/deep_rnn.py::DeepRNN.call",
        "kerasrnn/lens/flow.py::gradient_flow",
    ),
    tests=(
        "tests/layers/test_deep_rnn.py::test_follows_the_equations",
        "tests/layers/test_deep_rnn.py::test_equals_layers_stacked_by_hand",
    ),
)
def deep() -> Any:
    """Each layer reads the activations of the one below, and has weights of its own.

        a[0]<t> = x<t>
        a[l]<t> = g(Wa[l] [a[l]<t-1>; a[l-1]<t>] + ba[l])

    The gradient now has two ways: back in time, and down through the layers.
    """
    import keras
    import numpy as np

    from kerasrnn.layers import DeepRNN
    from kerasrnn.lens import gradient_flow

    rng = np.random.default_rng(9)
    T, n, depth = 10, 5, 3
    stack = DeepRNN("simple", units=n, depth=depth, return_sequences=False, dtype="float64")
    model = keras.Sequential([keras.Input((T, 2), dtype="float64"), stack])
    stack.set_weights([rng.normal(size=w.shape) / n**0.5 for w in stack.weights])
    x = rng.normal(size=(1, T, 2))

    Wax, Waa, ba = ([w.numpy().T for w in stack.weights[k::3]] for k in range(3))
    a = np.zeros((depth + 1, T + 1, n))  # a[l]<t>; in a[0] only the first two are of use
    for t in range(1, T + 1):
        below = x[0, t - 1]  # a[0]<t>
        for level in range(1, depth + 1):
            Wa = np.hstack([Waa[level - 1], Wax[level - 1]])
            z = Wa @ np.concatenate([a[level, t - 1], below]) + ba[level - 1]
            below = a[level, t] = np.tanh(z)
    assert np.allclose(stack(x)[0], a[depth, T], atol=1e-12)
    print(f"a[{depth}]<{T}> = {a[depth, T].round(3)}")

    flow = gradient_flow(model, x)
    for level, layer in enumerate(flow.memories, start=1):
        print(f"|∂a[{depth}]<{T}>/∂a[{level}]<t>|, t = {T - 3} … {T}:", layer.norms[-4:].round(2))
    return flow


@deep.picture(
    "The network unrolled: in each box how much the output of the top layer at the last step "
    "depends on this activation. The middle of the sequence is left out."
)
def _(flow: Any) -> Figure:
    from kerasrnn.lens.unrolled import unrolled_network

    figure, [[ax]] = panels(inches=(7.2, 3.2))
    unrolled_network(flow, ax=ax, theme="light")
    return figure
