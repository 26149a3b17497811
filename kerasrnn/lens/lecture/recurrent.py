"""The simple recurrent network: forwards, backwards, and what becomes of long products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.lens.lecture.drawing import LIGHT, finish, heat, lines, panels
from kerasrnn.lens.lecture.page import item
from kerasrnn.themes import LABEL_SIZE, is_dark

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@item(
    "The recurrent network, forwards",
    code=(
        "kerasrnn/cells/simple_rnn.py::SimpleRNNCell.gates",
        "kerasrnn/layers/simple_rnn.py::SimpleRNN",
    ),
    tests=(
        "tests/cells/test_equations.py::test_one_step_follows_the_equations",
        "tests/layers/test_against_oracle.py::test_every_option_under_every_mask",
    ),
)
def forward() -> Any:
    """The network reads one vector after the other, and hands on to itself what it made of them.

        a<0> = 0
        a<t> = g1(Wa [a<t-1>; x<t>] + ba)      g1 = tanh
        ŷ<t> = g2(Wya a<t> + by)               g2 = softmax

    Wa = [Waa, Wax] stands for Waa a<t-1> + Wax x<t>, and is the same at each step. Here with two
    inputs, three activations, two classes and random weights.
    """
    import numpy as np

    from kerasrnn.layers import SimpleRNN

    rng = np.random.default_rng(1)
    layer = SimpleRNN(3, return_sequences=True, dtype="float64")
    layer.build((None, None, 2))
    layer.set_weights([0.8 * rng.normal(size=w.shape) for w in layer.weights])
    Wax, Waa, ba = (w.numpy().T for w in layer.weights)
    Wya, by = 1.5 * rng.normal(size=(2, 3)), np.zeros(2)
    x = rng.normal(size=(4, 2))

    Wa = np.hstack([Waa, Wax])
    a, activations, outputs = np.zeros(3), [], []
    for t in range(4):
        a = np.tanh(Wa @ np.concatenate([a, x[t]]) + ba)
        scores = np.exp(Wya @ a + by)
        y = scores / scores.sum()
        activations.append(a)
        outputs.append(y)
        print(f"t = {t + 1}   a = {a.round(2)}   ŷ = {y.round(2)}")

    # The layer, which reads a batch of sequences at once, computes the same.
    assert np.allclose(layer(x[None])[0], activations, atol=1e-12)
    return x, np.array(activations), np.array(outputs)


@forward.picture(
    "The network unrolled: the same weights at each step, and what a<t> hands on. Each column is a "
    "vector, with the numbers of the output above."
)
def _(values: Any) -> Figure:
    x, a, y = values
    figure, [[ax]] = panels(inches=(6.4, 3.7))
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("", [LIGHT.low, LIGHT.middle, LIGHT.high])
    apart, wide, high = 2.6, 0.86, 0.42
    arrow = {"arrowstyle": "-|>", "color": LIGHT.quiet, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}

    def column(numbers: np.ndarray, middle: float, bottom: float, name: str) -> float:
        for row, number in enumerate(numbers):
            place = (middle - wide / 2, bottom + row * high)
            share = float(np.clip(number, -1.6, 1.6) / 3.2 + 0.5)
            ax.add_patch(
                _rectangle(place, wide, high, facecolor=ramp(share), edgecolor="white", lw=1)
            )
            ax.text(
                middle,
                bottom + (row + 0.5) * high,
                f"{number:.2f}".replace("-", "−"),
                ha="center",
                va="center",
                size=LABEL_SIZE,
                color="white" if is_dark(ramp(share)) else "black",
            )
        side = middle + wide / 2 + 0.08
        ax.text(side, bottom, name, ha="left", va="bottom", size=LABEL_SIZE + 1, color=LIGHT.text)
        return bottom + len(numbers) * high

    for t in range(len(x)):
        middle = apart * t
        top_x = column(x[t][::-1], middle, 0, f"x<{t + 1}>")
        top_a = column(a[t][::-1], middle, 1.6, f"a<{t + 1}>")
        column(y[t][::-1], middle, 3.62, f"ŷ<{t + 1}>")
        ax.annotate("", (middle, 1.6), (middle, top_x), arrowprops=arrow)
        ax.annotate("", (middle, 3.62), (middle, top_a), arrowprops=arrow)
        start = middle - apart + wide / 2 if t else middle - 1.35
        ax.annotate("", (middle - wide / 2, 2.45), (start, 2.45), arrowprops=arrow)
        label = {"size": LABEL_SIZE, "color": LIGHT.quiet}
        ax.text(middle + 0.08, 1.22, "Wax", va="center", **label)
        ax.text(middle + 0.08, 3.24, "Wya", va="center", **label)
        ax.text(middle - 0.92 + 0.06 * (not t), 2.52, "Waa", ha="center", va="bottom", **label)
    ax.text(-1.42, 2.45, "a<0> = 0", ha="right", va="center", size=LABEL_SIZE, color=LIGHT.text)
    ax.set(xlim=(-2.5, 3 * apart + 1.3), ylim=(-0.1, 4.55))
    ax.axis("off")
    return figure


def _rectangle(place: tuple[float, float], wide: float, high: float, **options: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(place, wide, high, **options)


@item(
    "Back-propagation through time, and its product",
    code=(
        "kerasrnn/cells/simple_rnn.py::SimpleRNNCell.step_gradient",
        "kerasrnn/recurrence/back_propagation.py::scan_with_step_gradient",
        "kerasrnn/lens/flow.py::gradient_flow",
    ),
    tests=(
        "tests/recurrence/test_gradients.py::test_exact_for_every_option",
        "tests/recurrence/test_gradients.py::test_agrees_with_finite_differences",
    ),
)
def through_time() -> Any:
    """The weights act at each step, so that the gradient is a sum over all steps k at which they
    act, for each step t whose loss that touches. From t back to k leads a product of as many
    matrices as there are steps in between.

        L = Σt L<t>(ŷ<t>, y<t>)

        ∂L        T   t   ∂L<t>  ⎛   t     ∂a<j>   ⎞  ∂a<k>
        ─────  =  Σ   Σ   ─────  ⎜   ∏    ──────── ⎟  ─────
        ∂Waa     t=1 k=1  ∂a<t>  ⎝ j=k+1  ∂a<j-1>  ⎠  ∂Waa

    where the last factor takes a<k-1> for given. Here with L<t> = ½ |a<t> − y<t>|², so that
    ∂L<t>/∂a<t> = a<t> − y<t>. The layer's gradient, which is derived by hand and needs no such
    double sum (`docs/backpropagation.md`), is the same.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from kerasrnn.layers import SimpleRNN
    from kerasrnn.lens import gradient_flow

    rng = np.random.default_rng(2)
    T, n = 8, 3
    layer = SimpleRNN(n, return_sequences=True, dtype="float64", name="rnn")
    model = keras.Sequential([keras.Input((T, 2), dtype="float64"), layer])
    layer.set_weights([0.6 * rng.normal(size=w.shape) for w in layer.weights])
    x, y = rng.normal(size=(1, T, 2)), rng.normal(size=(1, T, n))
    Waa = layer.cell.recurrent_kernel.numpy().T
    a = np.vstack([np.zeros((1, n)), layer(x)[0]])  # a<0> to a<T>
    y_of = np.vstack([np.zeros((1, n)), y[0]])

    dWaa, sizes, total = np.zeros((n, n)), np.full((T, T), np.nan), np.zeros((T + 1, n))
    for t in range(1, T + 1):
        back = a[t] - y_of[t]  # ∂L<t>/∂a<t>
        for k in range(t, 0, -1):
            sizes[t - 1, k - 1] = np.linalg.norm(back)
            total[k] += back
            dWaa += np.outer((1 - a[k] ** 2) * back, a[k - 1])
            back = Waa.T @ ((1 - a[k] ** 2) * back)  # one more factor ∂a<k>/∂a<k-1>
    print(f"L<{T}> reaches back: ", *(f"{size:.3f}" for size in sizes[-1, ::-1]))

    with tf.GradientTape() as tape:
        L = tf.reduce_sum((layer(x) - y) ** 2) / 2
    assert np.allclose(tape.gradient(L, layer.cell.recurrent_kernel), dWaa.T, atol=1e-12)

    # ∂L/∂a<k>, over all t, is what the lens measures in any model. A loss of Keras is a mean.
    flow = gradient_flow(model, x, y, loss=lambda y, a: tf.reduce_sum((a - y) ** 2, -1) / 2)
    norms = np.linalg.norm(total[1:], axis=-1)
    assert np.allclose(T * flow["rnn"].norms, norms, atol=1e-12)
    print("|∂L/∂a<k>|, all t:   ", *(f"{norm:.3f}" for norm in norms[::-1]))
    return sizes


@through_time.picture(
    "|∂L<t>/∂a<k>|: how much the loss of step t depends on the activation of step k. Each step to "
    "the left is one more factor of the product."
)
def _(sizes: Any) -> Figure:
    figure, [[ax]] = panels(inches=(5.6, 3.7))
    from matplotlib.colors import Normalize

    ramp = ("#f7f7f7", LIGHT.high)
    heat(ax, sizes, ramp=ramp, norm=Normalize(0, np.nanmax(sizes)), form="{:.2f}")
    steps = range(len(sizes))
    ax.set_xticks(steps, [str(k + 1) for k in steps])
    ax.set_yticks(steps, [str(t + 1) for t in steps])
    finish(ax, x="activation of step k", y="loss of step t")
    return figure


@item(
    "The factor sech²",
    code=(
        "kerasrnn/cells/derivatives.py::derivative",
        "kerasrnn/cells/simple_rnn.py::SimpleRNNCell.step_gradient",
    ),
    tests=(
        "tests/lens/test_products.py::test_the_sech_squared_factor",
        "tests/recurrence/test_gradients.py::test_agrees_with_finite_differences",
    ),
)
def tanh_factor() -> Any:
    """One factor of the product is

        ∂a<t>                                 d tanh(z)
        ───────  =  diag(sech²(z<t>)) Waa     ───────── = sech²(z) = 1 − tanh²(z)
        ∂a<t-1>                                  dz

    with z<t> = Waa a<t-1> + Wax x<t> + ba. The diagonal is computed from the activation alone,
    1 − a<t>∘a<t>. It is 1 where z = 0 and less everywhere else: the nonlinearity can only shrink
    the gradient. Where a unit is saturated, as the first one is below, hardly anything is left.
    """
    import numpy as np

    from kerasrnn.cells import SimpleRNNCell

    for z in (0.0, 0.5, 1.0, 2.0, 4.0):
        print(f"z = {z}   tanh = {np.tanh(z):.3f}   sech² = {1 / np.cosh(z) ** 2:.3f}")

    rng = np.random.default_rng(3)
    n = 3
    cell = SimpleRNNCell(n, dtype="float64")
    cell.build((None, 2))
    cell.set_weights([rng.normal(size=w.shape) for w in cell.weights])
    x, a_before = rng.normal(size=(1, 2)), rng.normal(size=(1, n))

    def step(a):
        return cell(x, [a])[0].numpy()[0]

    a = step(a_before)
    jacobian = np.diag(1 - a**2) @ cell.recurrent_kernel.numpy().T
    ε = 1e-6
    nudges = ε * np.eye(n)[:, None]
    finite = np.transpose([(step(a_before + e) - step(a_before - e)) / (2 * ε) for e in nudges])
    assert np.allclose(jacobian, finite, atol=1e-8)
    print("a<t> =", a.round(3))
    print("diag(1 − a∘a) Waa, which is what finite differences give:")
    print(jacobian.round(3))


@tanh_factor.picture("tanh and its derivative, which is 1 at z = 0 only.")
def _(values: Any) -> Figure:
    figure, [[ax]] = panels(inches=(5.6, 2.8))
    z = np.linspace(-4, 4, 400)
    lines(ax, z, {"tanh(z)": np.tanh(z), "sech²(z)": 1 / np.cosh(z) ** 2}, lw=2)
    ax.axhline(0, color=LIGHT.quiet, lw=0.6)
    finish(ax, x="z", legend=True)
    return figure


@item(
    "Products that vanish and products that explode",
    code=(
        "kerasrnn/lens/products.py::scaled_recurrent_kernel",
        "kerasrnn/lens/jacobian.py::state_jacobian",
    ),
    tests=(
        "tests/lens/test_products.py::test_the_growth_of_a_scaled_rotation_is_its_singular_value",
        "tests/lens/test_products.py::test_the_growth_of_a_linear_recurrence_is_the_eigenvalue_asked_for",
        "tests/lens/test_jacobian.py::test_the_jacobian_is_the_automatic_one",
    ),
)
def products() -> Any:
    """With s the largest singular value of Waa, and because no entry of the diagonal is above 1,

        |   t     ∂a<j>   |
        |   ∏    ──────── |   ≤   sᵗ⁻ᵏ
        | j=k+1  ∂a<j-1>  |

    so that for s < 1 the gradient vanishes, and at least as fast as sᵗ⁻ᵏ. For s > 1 it may explode,
    and in a linear network whose singular values are all s it must: 1.1¹⁰⁰ is 13,781, and 0.9¹⁰⁰ is
    0.00003. (Where they differ, a linear network grows by its largest eigenvalue in the long run.)
    The tanh holds against it, since units saturate when activations grow.
    """
    import numpy as np

    from kerasrnn.layers import SimpleRNN
    from kerasrnn.lens import scaled_recurrent_kernel, state_jacobian

    n, T = 16, 100
    rng = np.random.default_rng(4)
    x = 0.1 * rng.normal(size=(T, n))
    norms = {}
    for s in (0.5, 0.9, 1.0, 1.1, 1.5):
        Waa = scaled_recurrent_kernel(n, singular_value=s).T
        for activation in ("linear", "tanh"):
            layer = SimpleRNN(n, activation=activation, return_sequences=True, dtype="float64")
            layer.build((None, None, n))
            layer.set_weights([np.eye(n), Waa.T, np.zeros(n)])
            a = layer(x[None])[0].numpy()
            product, row = np.eye(n), [1.0]
            for a_t in a[:0:-1]:  # from the last step back
                diagonal = 1 - a_t**2 if activation == "tanh" else np.ones(n)
                product = product @ (diagonal[:, None] * Waa)
                row.append(float(np.linalg.norm(product, 2)))
            norms[s, activation] = np.array(row)
            jacobian = state_jacobian(layer, x[None], lag=10)  # ∂a<t>/∂a<t-10>
            assert np.isclose(jacobian.singular_values[0, -1, 0], row[10])
        # Linear: exactly sᵗ⁻ᵏ. With tanh: never more.
        assert np.allclose(norms[s, "linear"], s ** np.arange(T), rtol=1e-9)
        assert np.all(norms[s, "tanh"] <= norms[s, "linear"] * (1 + 1e-9))
        print(
            f"s = {s}   10 steps back: {norms[s, 'linear'][10]:8.3g}, with tanh "
            f"{norms[s, 'tanh'][10]:8.3g}   99 steps: {norms[s, 'linear'][99]:8.3g}, with tanh "
            f"{norms[s, 'tanh'][99]:8.3g}"
        )
    return norms


@products.picture(
    "The norm of the product for largest singular values s of Waa: a straight line in a linear "
    "network; with tanh never above it."
)
def _(norms: Any) -> Figure:
    figure, [axes] = panels(1, 2, inches=(7.2, 3.2), sharey=True)
    for ax, activation in zip(axes, ("linear", "tanh"), strict=True):
        rows = {f"s = {s}": row for (s, name), row in norms.items() if name == activation}
        lines(ax, np.arange(len(next(iter(rows.values())))), rows, lw=1.8)
        ax.set_yscale("log")
        ax.set_ylim(1e-12, 1e12)
        finish(ax, title=f"g1 = {activation}", x="steps back, t − k")
    axes[0].set_ylabel("norm of the product")
    axes[1].legend(
        fontsize=LABEL_SIZE, frameon=False, loc="upper left", ncols=2, labelcolor=LIGHT.text
    )
    return figure
