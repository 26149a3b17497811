"""Pictures of the gradient: what is drawn, checked by the artists."""

import math
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from kerasrnn.lens.flow import GradientFlow, LayerFlow
from kerasrnn.lens.pictures import plot_flows
from kerasrnn.themes import overlaps

matplotlib.use("Agg")

from matplotlib import pyplot


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def layer(name="lstm", rate=-0.3, time=20, *, state="a", backward=False, examples=2):
    """Norms that fall by e^rate with each step back."""
    rows = np.exp(rate * np.arange(time)) * np.linspace(0.5, 1.5, examples)[:, None]
    return LayerFlow(name, state, backward, True, rows if backward else rows[:, ::-1])


def flow_of(*layers, of="loss"):
    return GradientFlow(layers, of, "end")


def visible(ax):
    """All texts within an axis and beside it: ticks beyond its ends are not drawn."""
    texts = [text for text in (*ax.texts, ax.title) if text.get_text()]
    if not ax.axison:
        return texts
    texts += [text for text in (ax.xaxis.label, ax.yaxis.label) if text.get_text()]
    for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
        low, high = sorted(limits)
        ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        texts += [tick.label1 for tick in ticks if tick.label1.get_text()]
    return texts


def check_texts(ax, smallest=8):
    ax.figure.canvas.draw()
    texts = visible(ax)
    assert not overlaps(texts)
    assert all(text.get_fontsize() >= smallest for text in texts)
    width, height = ax.figure.get_size_inches() * ax.figure.dpi
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1


def written(ax):
    return [text.get_text() for text in ax.texts]


# === Over lag ===


def test_lines_are_norms_by_lag_with_their_horizon():
    slow, fast = layer(rate=-0.01, state="c"), layer(rate=-1.0, time=8)
    ax = plot_flows({"slow": slow, "fast": fast}, title="Two")
    first, second = (line.get_xydata() for line in ax.lines if len(line.get_xdata()) > 2)
    np.testing.assert_allclose(first[:, 1], slow.by_lag)
    np.testing.assert_allclose(second[:, 1], fast.by_lag)
    assert written(ax) == [f"slow\nhorizon {slow.horizon}", f"fast\n● horizon {fast.horizon}"]
    assert str(slow.horizon).startswith("≥")
    (dot,) = (line for line in ax.lines if line.get_marker() == "o")
    assert dot.get_xdata()[0] == pytest.approx(math.log(100))
    assert dot.get_ydata()[0] == pytest.approx(fast.by_lag[0] / 100)
    assert ax.get_yscale() == "log" and ax.get_title() == "Two"
    check_texts(ax)


def test_several_of_one_name_are_a_band_around_their_geometric_mean():
    seeds = [layer(rate=rate, time=time) for rate, time in ((-0.2, 30), (-0.3, 30), (-0.4, 20))]
    ax = plot_flows({"three": seeds})
    line = ax.lines[0].get_ydata()
    rows = [seed.by_lag for seed in seeds]
    np.testing.assert_allclose(line[:20], np.prod([row[:20] for row in rows], axis=0) ** (1 / 3))
    np.testing.assert_allclose(line[20:], np.sqrt(rows[0][20:] * rows[1][20:]))
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    for lag in (0, 10, 25):
        values = [row[lag] for row in rows if lag < len(row)]
        here = corners[corners[:, 0] == lag, 1]
        assert here.min() == pytest.approx(min(values)) and here.max() == pytest.approx(max(values))
    low, high = min(seed.horizon for seed in seeds), max(seed.horizon for seed in seeds)
    assert written(ax) == [f"three\n● horizon {low} to {high}"]
    norms = plot_flows({"three": np.stack([row[:20] for row in rows])})
    np.testing.assert_allclose(norms.lines[0].get_ydata(), line[:20])


def test_relative_lines_begin_at_one():
    ax = plot_flows({"a": [5.0, 0.5, 0.04], "b": [1e-3, 1e-3, 1e-3]}, relative=True)
    lines = [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(lines, [[1, 0.1, 0.008], [1, 1, 1]])
    assert any(np.all(np.asarray(line.get_ydata()) == 0.01) for line in ax.lines)


def test_the_axis_says_what_the_norm_is_of():
    assert "partial L" in plot_flows({"x": layer()}).get_ylabel()
    output = flow_of(layer(state="c"), of="output").plot()
    assert r"\hat{y}" in output.get_ylabel() and "partial c" in output.get_ylabel()
    both = plot_flows({"x": layer(), "y": layer(state="c")}).get_ylabel()
    assert "partial a" in both and "LSTM" in both


@pytest.mark.parametrize(
    "norms",
    [
        [1.0, 0.1, 0.0, 0.0],
        [0.0, 0.0],
        [1.0, np.nan, 0.5],
        [np.nan, np.nan],
        [1.0, np.inf, np.inf],
        [np.inf],
        [0.5],
        [],
        [1e-320, 1e-322],
        [1e300, 1e308],
        np.exp(-1e-4 * np.arange(100_000)),
    ],
)
def test_norms_of_every_kind_can_be_drawn(norms):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for relative in (False, True):
            ax = plot_flows({"these": np.array(norms), "others": [1.0, 0.1]}, relative=relative)
            check_texts(ax)
        check_texts(plot_flows({"these": np.array(norms)}))
        rows = np.array([norms]) if len(norms) else np.full((1, 1), np.nan)
        flow = flow_of(LayerFlow("lstm", "a", False, True, rows))
        check_texts(flow.heat_map())
        check_texts(flow.unrolled())


def test_zeros_fall_out_of_the_picture_and_infinities_rise():
    ax = plot_flows({"x": [1.0, 0.0], "y": [1.0, np.inf]})
    low, high = ax.get_ylim()
    whole = [line.get_ydata() for line in ax.lines if list(line.get_xdata()) == [0, 1]]
    falls, rises = whole[:2]
    assert falls[1] < low and rises[1] > high


@pytest.mark.parametrize("inches", [None, (3.3, 2.4)])
@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_labels_of_lines_that_end_together_do_not_cover_each_other(count, inches):
    flows = {f"bidirectional/forward_{n}": layer(rate=-0.01 - n * 1e-4) for n in range(count)}
    ax = pyplot.subplots(figsize=inches, layout="constrained")[1] if inches else None
    if count == 20 and inches:
        with pytest.warns(UserWarning, match="20 labels do not fit"):
            plot_flows(flows, ax)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ax = plot_flows(flows, ax)
    check_texts(ax, 8 if inches is None else 4)
    assert sorted(name.split("\n")[0] for name in written(ax)) == sorted(flows)
    area = ax.get_window_extent()
    for text in ax.texts:
        assert area.contains(*text.get_window_extent().min)
        assert area.contains(*text.get_window_extent().max)


@pytest.mark.parametrize(
    ("flows", "options", "error", "message"),
    [
        ({}, {}, ValueError, "`flows` must hold at least one"),
        ([1.0], {}, TypeError, "`flows` must map names"),
        ({"x": "abc"}, {}, TypeError, r"flows\['x'\] must be a LayerFlow, norms by lag"),
        ({"x": 3}, {}, TypeError, r"flows\['x'\] must be a LayerFlow"),
        ({"x": [1.0]}, {"of": "state"}, ValueError, "`of` must be one of loss, output"),
        ({"x": [1.0]}, {"theme": "blue"}, ValueError, "`theme` must be one of light, dark"),
    ],
)
def test_what_is_wrong_with_flows_is_named(flows, options, error, message):
    with pytest.raises(error, match=message):
        plot_flows(flows, **options)
    assert not pyplot.get_fignums()


# === Over time and layers ===


def test_a_heat_map_has_a_row_for_each_layer():
    masked = layer("top", time=12)
    masked.per_example[:, 9:] = np.nan
    flow = flow_of(
        layer("both/forward", time=12), layer("both/backward", time=12, backward=True), masked
    )
    ax = flow.heat_map(title="Time")
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "→ both/forward",
        "← both/backward",
        "→ top",
    ]
    drawn = ax.images[0].get_array()
    np.testing.assert_allclose(drawn[0], flow.layers[0].norms)
    assert drawn.mask[2].tolist() == [False] * 9 + [True] * 3
    np.testing.assert_allclose(
        flow.heat_map(example=1).images[0].get_array()[1], flow.layers[1].per_example[1]
    )
    words = ["He", "said", ",", "Teddy", "Roosevelt", "was", "a", "$", "of", "great", "us", "."]
    ax = flow.heat_map(steps=words, theme="dark")
    assert [t.get_text() for t in ax.get_xticklabels()] == words
    check_texts(ax)
    assert ax.figure.get_facecolor()[:3] == matplotlib.colors.to_rgb("#14171c")


def test_masked_padding_needs_no_words():
    short = layer(time=6)
    short.per_example[0, 4:] = np.nan
    ax = flow_of(short).heat_map(example=0, steps=list("abcd"))
    assert [t.get_text() for t in ax.get_xticklabels()] == list("abcd")
    with pytest.raises(ValueError, match=r"`steps` must name each step: 6 of them. Received 4"):
        flow_of(short).heat_map(example=1, steps=list("abcd"))
    with pytest.raises(ValueError, match="`example` must be below 2"):
        flow_of(short).heat_map(example=2)


@pytest.mark.parametrize("count", [1, 7, 100, pytest.param(2000, marks=pytest.mark.slow)])
def test_words_under_a_heat_map_do_not_cover_each_other(count):
    words = [["a", "president", "Roosevelt"][n % 3] for n in range(count)]
    flow = flow_of(*(layer(f"layer_{n}", -0.001, count) for n in range(4)))
    check_texts(flow.heat_map(steps=words))
    check_texts(flow.heat_map())
    ax = pyplot.subplots(figsize=(3.3, 2.4), layout="constrained")[1]
    check_texts(flow.heat_map(ax, steps=words))


# === The unrolled network ===


def boxes(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def arrows(ax):
    found = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    return [patch._posA_posB for patch in found]


def test_every_step_has_a_box_with_its_norm():
    one = layer("gru", rate=-0.5, time=4)
    ax = flow_of(one).unrolled()
    numbers = [text.split("\n")[1] for text in written(ax) if "\n" in text]
    assert numbers == ["0.22", "0.37", "0.61", "1.0"]
    assert len(boxes(ax)) == 4
    along = [pair for pair in arrows(ax) if pair[0][1] == pair[1][1]]
    assert len(along) == 3 and all(start[0] < end[0] for start, end in along)
    assert len(arrows(ax)) == 3 + 4
    check_texts(ax)


def test_both_directions_read_what_is_below_and_are_read_by_what_is_above():
    flow = flow_of(
        layer("both/forward", time=3),
        layer("both/backward", time=3, backward=True),
        layer("top", time=3),
    )
    ax = flow.unrolled(steps=["He", "said", "$"])
    along = [pair for pair in arrows(ax) if pair[0][1] == pair[1][1]]
    assert [start[0] < end[0] for start, end in along] == [True, True, False, False, True, True]
    up = [pair for pair in arrows(ax) if pair[0][1] != pair[1][1]]
    # From each input to two, and from two to each of the top.
    assert len(up) == 3 * 4
    assert {"He", "said", "$", "top", "both/\nforward", "both/\nbackward"} <= set(written(ax))
    check_texts(ax)


@pytest.mark.parametrize(
    ("time", "most", "drawn"), [(50, None, 6), (50, 3, 3), (5, None, 5), (5, 2, 2)]
)
def test_the_middle_of_a_long_sequence_is_left_out(time, most, drawn):
    ax = flow_of(layer("lstm", time=time, state="c")).unrolled(most=most)
    assert len(boxes(ax)) == drawn
    assert ("⋯" in written(ax)) == (drawn < time)
    assert any(rf"c^{{\langle {time}\rangle}}" in text for text in written(ax))
    check_texts(ax)


def test_a_decoder_stands_on_inputs_of_its_own():
    ax = flow_of(layer("encoder", time=5), layer("decoder", time=3)).unrolled()
    inputs = [text for text in written(ax) if text.startswith("$x")]
    assert len(inputs) == 5 + 3 and len(boxes(ax)) == 5 + 3
    up = [pair for pair in arrows(ax) if pair[0][1] != pair[1][1]]
    assert len(up) == 5 + 3
    check_texts(ax)


def test_an_example_has_its_own_steps():
    short = layer(time=6)
    short.per_example[0, 4:] = np.nan
    ax = flow_of(short).unrolled(example=0, most=10)
    assert len(boxes(ax)) == 4
    assert any("example 0" in text for text in written(ax))
    with pytest.raises(ValueError, match="`example` must be below 2"):
        flow_of(short).unrolled(example=2)
    with pytest.raises(ValueError, match="most must be"):
        flow_of(short).unrolled(most=1)


@pytest.mark.parametrize("inches", [(3.3, 2.4), (2.0, 1.0), (9.0, 4.0)])
def test_an_unrolled_network_fits_into_axes_of_a_user(inches):
    ax = pyplot.subplots(figsize=inches, layout="constrained")[1]
    flow = flow_of(
        layer("bidirectional/forward_lstm", state="c"),
        layer("bidirectional/backward_lstm", backward=True),
    )
    check_texts(flow.unrolled(ax, theme="dark"), 4)


def test_names_of_rows_leave_room_in_narrow_axes():
    flow = flow_of(layer("bidirectional/forward_lstm"), layer("bidirectional/backward_lstm"))
    ax = flow.heat_map(pyplot.subplots(figsize=(3.3, 2.4), layout="constrained")[1])
    check_texts(ax)
    assert ax.get_yticklabels()[0].get_text() == "→ bidirectional/\nforward_lstm"
    assert ax.get_window_extent().width > 0.25 * ax.figure.bbox.width


def test_layers_with_very_long_names_have_them_cut():
    ax = flow_of(layer("a_name_" * 20)).unrolled()
    check_texts(ax)
    assert any("…" in text for text in written(ax))
    check_texts(flow_of(layer("a_name_" * 20)).heat_map())
    check_texts(plot_flows({"a_name_" * 20: layer()}))
