"""The gated cells: both GRUs and the LSTM, and why their gradient does not vanish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.lens.lecture.drawing import LIGHT, finish, heat, panels
from kerasrnn.lens.lecture.page import item
from kerasrnn.themes import LABEL_SIZE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@item(
    "The simplified GRU",
    code=(
        "kerasrnn/cells/simplified_gru.py::SimplifiedGRUCell.gates",
        "kerasrnn/cells/simplified_gru.py::SimplifiedGRUCell.update",
    ),
    tests=(
        "tests/cells/test_equations.py::test_one_step_follows_the_equations",
        "tests/cells/test_equations.py::test_an_open_update_gate_takes_the_new_value",
    ),
)
def simplified_gru() -> Any:
    """A gate decides at each step, and for each unit, whether the memory takes a new value.

        c̃<t> = tanh(Wc [c<t-1>; x<t>] + bc)
        Γu   = σ(Wu [c<t-1>; x<t>] + bu)
        c<t> = Γu ∘ c̃<t> + (1 − Γu) ∘ c<t-1>
        a<t> = c<t>

    Γu = 1 takes the new value, Γu = 0 keeps the old one. Here one unit with weights set by hand:
    the gate opens at a noun, the candidate says whether that is singular or plural, and the verb
    can still tell at the end.
    """
    import numpy as np

    from kerasrnn.cells import SimplifiedGRUCell

    cell = SimplifiedGRUCell(1, dtype="float64")
    cell.build((None, 2))  # x<t>: whether the word is "cat", whether it is "cats"
    kernel, recurrent_kernel, bias = np.zeros((2, 2)), np.zeros((1, 2)), np.zeros(2)
    kernel[:, 0], bias[0] = 12, -6  # Wu opens the gate at both, bu closes it elsewhere
    kernel[:, 1] = -3, 3  # Wc
    cell.set_weights([kernel, recurrent_kernel, bias])

    seen = {}
    for sentence in (
        "The cat , which already ate a lot of fish , was full",
        "The cats , which already ate a lot of fish , were full",
    ):
        words = sentence.split()
        c, rows = np.zeros((1, 1)), []
        for word in words:
            x = np.array([[word == "cat", word == "cats"]], float)
            Γu = cell.gates(cell.project(x), [c]).update
            c = cell(x, [c])[0]
            rows.append([float(Γu[0, 0]), float(c[0, 0])])
        seen[sentence] = words, np.array(rows)
        print(f"{words[-2]:4}  c = {rows[-2][1]:+.2f}")
    return seen


@simplified_gru.picture(
    "The gate (bars) and the memory (line) over the words: the gate opens once, and c keeps what "
    "it took until the verb."
)
def _(seen: Any) -> Figure:
    figure, axes = panels(2, 1, inches=(7.6, 3.6), sharey=True)
    for [ax], (words, rows) in zip(axes, seen.values(), strict=True):
        steps = np.arange(len(words))
        ax.bar(steps, rows[:, 0], width=0.6, color=LIGHT.groups[5], label="Γu")
        ax.plot(steps, rows[:, 1], "o-", c=LIGHT.groups[1], ms=4, lw=1.6, label="c")
        ax.axhline(0, color=LIGHT.quiet, lw=0.6)
        ax.set_xticks(steps, words)
        ax.set_ylim(-1.25, 1.25)
        finish(ax)
    axes[0][0].legend(
        fontsize=LABEL_SIZE, frameon=False, loc="upper right", ncols=2, labelcolor=LIGHT.text
    )
    return figure


@item(
    "Its gradient, in four terms",
    code=(
        "kerasrnn/cells/simplified_gru.py::SimplifiedGRUCell.step_gradient",
        "kerasrnn/lens/jacobian.py::state_jacobian",
    ),
    tests=(
        "tests/recurrence/test_gradients.py::test_agrees_with_finite_differences",
        "tests/lens/test_jacobian.py::test_each_term_of_a_gru_is_what_flows_along_its_path",
        "tests/lens/test_lecture.py::test_each_slip_of_the_slide_is_far_from_finite_differences",
    ),
)
def four_terms() -> Any:
    """c<t-1> enters c<t> in four places: in the gate twice, in the candidate, and directly. The
    product rule gives a term for each. With Wuc and Wcc the parts of Wu and Wc that multiply
    c<t-1>, and Γu' = diag(Γu∘(1 − Γu)) Wuc the derivative of the gate,

         ∂c<t>
        ───────  =    diag(c̃<t>) Γu'               through the gate, on the candidate
        ∂c<t-1>    +  diag(Γu ∘ sech²(·)) Wcc      through the candidate
                   −  diag(c<t-1>) Γu'             through the gate, on the old value
                   +  diag(1 − Γu)                 directly

    with sech²(·) = 1 − c̃<t>∘c̃<t>. The last term has no matrix and no sech²: where Γu ≈ 0 the
    gradient passes as it is, however many steps there are.

    A slide in circulation has two slips here. It writes **+** for the third term; but the old value
    is weighed with 1 − Γu, and d(1 − Γu) = −dΓu. And it has a product with **Wcx** in the second;
    but Wcx multiplies x<t>, which does not depend on c<t-1>, and mostly its size would not even
    fit: here there are as many inputs as units, so that it does. Each slip alone, the second read
    both as a factor and as a summand, and both together, against finite differences:
    """
    import numpy as np

    from kerasrnn.cells import SimplifiedGRUCell
    from kerasrnn.layers import SimplifiedGRU
    from kerasrnn.lens import state_jacobian

    rng = np.random.default_rng(5)
    n = 4
    cell = SimplifiedGRUCell(n, dtype="float64")
    cell.build((None, n))
    cell.set_weights([rng.normal(size=w.shape) for w in cell.weights])
    _, Wcx = np.split(cell.kernel.numpy().T, 2)
    Wuc, Wcc = np.split(cell.recurrent_kernel.numpy().T, 2)
    x, c_before = rng.normal(size=(1, n)), rng.uniform(-1, 1, size=(1, n))

    Γu, c_tilde = (gate.numpy()[0] for gate in cell.gates(cell.project(x), [c_before]))
    dΓu = np.diag(Γu * (1 - Γu)) @ Wuc
    on_candidate = np.diag(c_tilde) @ dΓu
    candidate = np.diag(Γu * (1 - c_tilde**2)) @ Wcc
    on_old = -np.diag(c_before[0]) @ dΓu
    direct = np.diag(1 - Γu)
    derivative = on_candidate + candidate + on_old + direct

    def step(c):
        return cell(x, [c])[0].numpy()[0]

    ε = 1e-6
    nudges = ε * np.eye(n)[:, None]
    finite = np.transpose([(step(c_before + e) - step(c_before - e)) / (2 * ε) for e in nudges])

    plus = derivative - 2 * on_old
    factor = derivative - candidate + candidate @ Wcx
    summand = derivative + np.diag(Γu * (1 - c_tilde**2)) @ Wcx
    slide = plus - candidate + candidate @ Wcx
    errors = {
        "the four terms above": derivative,
        "slip 1: + in the third": plus,
        "slip 2: second term times Wcx": factor,
        "slip 2: Wcx added to Wcc": summand,
        "slips 1 and 2 (times)": slide,
        "slips 1 and 2 (added)": plus + summand - derivative,
    }
    errors = {name: np.abs(matrix - finite).max() for name, matrix in errors.items()}
    assert errors["the four terms above"] < 1e-8 and sorted(errors.values())[1] > 0.01
    for name, error in errors.items():
        print(f"{name:30}", f"off by up to {error:.2f}" if error > 1e-8 else "right, to 1e-8")

    # The lens has these terms of any GRU, and of the LSTM its own.
    layer = SimplifiedGRU(n, dtype="float64")
    layer.build((None, None, n))
    layer.set_weights(cell.get_weights())
    jacobian = state_jacobian(layer, x[:, None], initial_state=c_before)
    for name, term in {
        "gate · candidate": on_candidate,
        "candidate": candidate,
        "gate · old value": on_old,
        "direct": direct,
    }.items():
        assert np.allclose(jacobian.terms[name][0, 0], term, atol=1e-12)
    return {
        "through the gate,\non the candidate": on_candidate,
        "through the\ncandidate": candidate,
        "through the gate,\non the old value": on_old,
        "directly,\n1 − Γu": direct,
        "their sum": derivative,
        "finite differences": finite,
        "slips 1 and 2": slide,
        "slips 1 and 2:\nthe error": slide - finite,
    }


@four_terms.picture(
    "The four terms (above), their sum, the finite differences, which it equals, and what the "
    "slide's two slips make of it, the second read as a factor."
)
def _(matrices: Any) -> Figure:
    figure, axes = panels(2, 4, inches=(7.4, 4.3))
    limit = max(np.abs(matrix).max() for matrix in list(matrices.values())[:6])
    for ax, (name, matrix) in zip(axes.flat, matrices.items(), strict=True):
        heat(ax, matrix, limit=limit, form="{:.2f}", size=8)
        ax.set_xticks([])
        ax.set_yticks([])
        finish(ax, title=name)
    return figure


@item(
    "The full GRU",
    code=(
        "kerasrnn/cells/gru.py::GRUCell.gates",
        "kerasrnn/cells/gru.py::GRUCell.update",
        "kerasrnn/convert.py::to_keras",
    ),
    tests=(
        "tests/cells/test_equations.py::test_one_step_follows_the_equations",
        "tests/test_convert.py::test_the_update_gate_is_negated_and_nothing_else",
    ),
)
def full_gru() -> Any:
    """A second gate says how relevant the old memory is for the candidate.

        Γu   = σ(Wu [c<t-1>; x<t>] + bu)
        Γr   = σ(Wr [c<t-1>; x<t>] + br)
        c̃<t> = tanh(Wc [Γr ∘ c<t-1>; x<t>] + bc)
        c<t> = Γu ∘ c̃<t> + (1 − Γu) ∘ c<t-1>
        a<t> = c<t>

    With Γr = 1 it is the simplified GRU; with Γr = 0 the candidate begins anew from x<t>. Γr acts
    before the product with Wc, as in Cho et al. (2014). Keras's GRU does so with
    `reset_after=False`, and its z is the other gate, z = 1 − Γu.
    """
    import numpy as np

    from kerasrnn.convert import to_keras
    from kerasrnn.layers import GRU

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    rng = np.random.default_rng(6)
    layer = GRU(2, return_sequences=True, dtype="float64")
    layer.build((None, None, 2))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    kernel, recurrent_kernel, bias = (w.numpy().T for w in layer.weights)
    Wu, Wr, Wc = np.split(np.hstack([recurrent_kernel, kernel]), 3)
    bu, br, bc = np.split(bias, 3)
    x = rng.normal(size=(4, 2))

    c, memories = np.zeros(2), []
    for t in range(4):
        Γu = sigmoid(Wu @ np.concatenate([c, x[t]]) + bu)
        Γr = sigmoid(Wr @ np.concatenate([c, x[t]]) + br)
        c_tilde = np.tanh(Wc @ np.concatenate([Γr * c, x[t]]) + bc)
        c = Γu * c_tilde + (1 - Γu) * c
        memories.append(c)
        print(
            f"t = {t + 1}   Γu = {Γu.round(2)}   Γr = {Γr.round(2)}   c̃ = {c_tilde.round(2)}   "
            f"c = {c.round(2)}"
        )

    assert np.allclose(layer(x[None])[0], memories, atol=1e-12)
    assert np.allclose(to_keras(layer)(x[None])[0], memories, atol=1e-12)


@item(
    "The LSTM",
    code=(
        "kerasrnn/cells/lstm.py::LSTMCell.gates",
        "kerasrnn/cells/lstm.py::LSTMCell.update",
        "kerasrnn/lens/jacobian.py::state_jacobian",
        "kerasrnn/lens/flow.py::gradient_flow",
    ),
    tests=(
        "tests/lens/test_jacobian.py::test_each_term_of_an_lstm_is_what_flows_along_its_path",
        "tests/cells/test_equations.py::test_the_lstms_columns_are_update_forget_candidate_output",
        "tests/cells/test_equations.py::test_one_step_follows_the_equations",
    ),
)
def lstm() -> Any:
    """Three gates: how much of the new value is taken, how much of the old is kept, and how much of
    the memory is shown. Taking and keeping no longer exclude each other, and a<t> is not c<t>.

        c̃<t> = tanh(Wc [a<t-1>; x<t>] + bc)
        Γu   = σ(Wu [a<t-1>; x<t>] + bu)
        Γf   = σ(Wf [a<t-1>; x<t>] + bf)
        Γo   = σ(Wo [a<t-1>; x<t>] + bo)
        c<t> = Γu ∘ c̃<t> + Γf ∘ c<t-1>
        a<t> = Γo ∘ tanh(c<t>)

    The direct path of the gradient, from c<t> to c<t-1>, is diag(Γf), with no matrix in it. How
    long the memory lasts is a matter of Γf, thus at first of bf: 1 is what the layer begins with.
    """
    import keras
    import numpy as np

    from kerasrnn.layers import LSTM, SimpleRNN
    from kerasrnn.lens import gradient_flow, state_jacobian

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    rng = np.random.default_rng(7)
    layer = LSTM(2, return_sequences=True, dtype="float64")
    layer.build((None, None, 2))
    layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
    kernel, recurrent_kernel, bias = (w.numpy().T for w in layer.weights)
    Wu, Wf, Wc, Wo = np.split(np.hstack([recurrent_kernel, kernel]), 4)
    bu, bf, bc, bo = np.split(bias, 4)
    x = rng.normal(size=(4, 2))

    terms = state_jacobian(layer, x[None]).terms
    a, c, activations = np.zeros(2), np.zeros(2), []
    for t in range(4):
        both = np.concatenate([a, x[t]])
        c_tilde = np.tanh(Wc @ both + bc)
        Γu, Γf, Γo = sigmoid(Wu @ both + bu), sigmoid(Wf @ both + bf), sigmoid(Wo @ both + bo)
        c = Γu * c_tilde + Γf * c
        a = Γo * np.tanh(c)
        activations.append(a)
        assert np.allclose(terms["direct"][0, t], np.diag(Γf), atol=1e-12)
        print(
            f"t = {t + 1}   Γu = {Γu.round(2)}   Γf = {Γf.round(2)}   Γo = {Γo.round(2)}   "
            f"c = {c.round(2)}   a = {a.round(2)}"
        )
    assert np.allclose(layer(x[None])[0], activations, atol=1e-12)

    # How far back the gradient reaches, with random weights of the usual size.
    T, n = 100, 16
    x = rng.normal(size=(8, T, 4))
    flows = {}
    for name, kind, remember in (
        ("simple RNN", SimpleRNN, 0),
        ("LSTM, bf = 1", LSTM, 1),
        ("LSTM, bf = 3", LSTM, 3),
        ("LSTM, bf = 6", LSTM, 6),
    ):
        layer = kind(n, dtype="float64", name="rnn")
        model = keras.Sequential([keras.Input((T, 4), dtype="float64"), layer])
        Wx, Wa, b = (rng.normal(size=w.shape) / n**0.5 for w in layer.weights)
        b[:] = 0
        b[n : 2 * n] = remember  # the second block of an LSTM; a simple RNN has one block
        layer.set_weights([Wx, Wa, b])
        flows[name] = gradient_flow(model, x)["rnn"]
        print(f"{name:13} horizon: {flows[name].horizon} steps")
    return flows


@lstm.picture(
    "How much the last activation depends on the state of earlier steps, with random weights, "
    "divided by the value at the last step; the horizon is where a hundredth of it is left."
)
def _(flows: Any) -> Figure:
    from kerasrnn.lens.pictures import plot_flows

    figure, [[ax]] = panels(inches=(6.6, 3.6))
    plot_flows(flows, ax=ax, relative=True, of="output", theme="light")
    return figure
