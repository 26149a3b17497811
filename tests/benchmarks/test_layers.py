"""The benchmark's arithmetic, its bookkeeping, and that its peers compute the same."""

import json
import math
import sys

import numpy as np
import pytest

from benchmarks import contenders, layers, memory, worker
from benchmarks.cases import (
    BLOCKS,
    CELLS,
    EXPORT,
    FIRST_CALL,
    GRID,
    INFERENCE,
    MASKED,
    MEASURES,
    MEMORY,
    TRAINING,
    Case,
    Point,
    Weights,
    from_torch_layout,
    negate_update_gate,
    onnx_layout,
    skewed_lengths,
    torch_layout,
)
from benchmarks.contenders import KERAS, OURS, Contender, contenders_of, plan
from benchmarks.peers import open_peer
from benchmarks.plot import plot_ratios
from benchmarks.processes import PeerError, Worker
from benchmarks.ratios import AIMS, BEST, PYTORCH, outcome, ratio
from benchmarks.report import markdown
from benchmarks.results import Record, Results
from benchmarks.summary import (
    best,
    geometric_mean,
    largest_difference,
    paired_ratio,
    summarise,
)

SMALL = Point(3, 5, 4, 6)


def results_of(*records: Record) -> Results:
    machine = {"processor": "a CPU", "cores": 2, "system": "Linux", "python": "3.11"}
    settings = {"threads": 2, "rounds": 3, "slice": 0.1, "code": "abc"}
    return Results(
        machine,
        {"keras": "3.15"},
        settings,
        "python -m benchmarks.layers",
        "2026-01-01 00:00 UTC",
        records={record.case.key: record for record in records},
    )


def training_record(cell="lstm", point=GRID[0], **medians: float) -> Record:
    rounds = {
        name.replace("_", "-"): [value, 1.1 * value, 0.9 * value] for name, value in medians.items()
    }
    return Record(Case(TRAINING, cell, point), rounds)


# === Points and cases ===


def test_a_point_is_read_as_it_is_written():
    assert Point.parse("32,100,128,256") == Point(32, 100, 128, 256)
    assert Point.parse(str(GRID[5])) == GRID[5]


@pytest.mark.parametrize("text", ["32,100,128", "1,2,3,x", "", "1,2,3,0", "1,2,-3,4"])
def test_what_is_no_point_is_refused(text):
    with pytest.raises(ValueError, match=r"point.*Received"):
        Point.parse(text)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_have_the_shapes_of_the_layers(cell):
    case = Case(TRAINING, cell, SMALL)
    columns = BLOCKS[cell] * 6
    weights = case.weights()
    assert len(weights) == (2 if cell == "bidirectional" else 1)
    for direction in weights:
        assert [array.shape for array in direction] == [(4, columns), (6, columns), (columns,)]
        assert all(array.dtype == np.float32 for array in direction)


def test_all_measures_of_a_network_compute_with_the_same_numbers():
    training, inference = (Case(measure, "gru", SMALL) for measure in (TRAINING, INFERENCE))
    np.testing.assert_array_equal(training.data().inputs, inference.data().inputs)
    np.testing.assert_array_equal(training.weights()[0].kernel, inference.weights()[0].kernel)
    other = Case(TRAINING, "gru", SMALL._replace(units=7))
    assert not np.array_equal(training.data().inputs, other.data().inputs)


def test_directions_have_weights_of_their_own():
    forward, backward = Case(TRAINING, "bidirectional", SMALL).weights()
    assert not np.array_equal(forward.kernel, backward.kernel)


def test_masks_are_padded_right_and_only_where_asked_for():
    mask = Case(MASKED, "lstm", Point(8, 20, 4, 6)).data().mask
    assert mask is not None and mask.shape == (8, 20)
    assert (np.diff(mask.astype(int), axis=1) <= 0).all()
    assert Case(TRAINING, "lstm", SMALL).data().mask is None


def test_lengths_are_skewed():
    lengths = skewed_lengths(64, 400)
    assert lengths.min() >= 1 and lengths.max() == 400
    assert np.median(lengths) < lengths.mean() < 0.3 * 400


def test_a_case_survives_json():
    case = Case(MEMORY, "gru", SMALL)
    assert Case.from_dict(json.loads(json.dumps(case.to_dict()))) == case
    assert case.key == "memory/gru/3x5x4x6"


# === Layouts ===


def test_only_the_columns_of_the_update_gate_change_their_sign():
    weights = Case(TRAINING, "gru", SMALL).weights()[0]
    negated = negate_update_gate(weights)
    for array, other in zip(weights, negated, strict=True):
        np.testing.assert_array_equal(other[..., :6], -array[..., :6])
        np.testing.assert_array_equal(other[..., 6:], array[..., 6:])


def test_pytorchs_layout_and_back():
    weights = Case(TRAINING, "lstm", SMALL).weights()[0]
    parameters = torch_layout(weights)
    assert [array.shape for array in parameters] == [(24, 4), (24, 6), (24,), (24,)]
    assert not parameters[3].any()
    for array, other in zip(weights, from_torch_layout(parameters), strict=True):
        np.testing.assert_array_equal(array, other)


def test_onnx_wants_the_rows_i_o_f_c():
    names = np.repeat([0.0, 1.0, 2.0, 3.0], 2).astype("float32")  # our i, f, c, o
    weights = Weights(np.tile(names, (3, 1)), np.tile(names, (2, 1)), names)
    W, R, B = onnx_layout("lstm", [weights])
    assert (W.shape, R.shape, B.shape) == ((1, 8, 3), (1, 8, 2), (1, 16))
    assert W[0, :, 0].tolist() == R[0, :, 0].tolist() == [0, 0, 3, 3, 1, 1, 2, 2]
    assert B[0].tolist() == [0, 0, 3, 3, 1, 1, 2, 2, *[0] * 8]


def test_onnx_keeps_the_old_value_where_z_is_1():
    weights = Weights(*(np.ones(shape, "float32") for shape in ((3, 6), (2, 6), (6,))))
    W, _, _ = onnx_layout("gru", [weights])
    assert W[0, :, 0].tolist() == [-1, -1, 1, 1, 1, 1]


# === Statistics ===


def test_summary_of_rounds():
    assert summarise([4.0, 1.0, 2.0, 3.0, 10.0]) == {"median": 3.0, "minimum": 1.0, "iqr": 2.0}


def test_ratios_are_taken_round_by_round():
    # The second round was disturbed for both; the ratio of the medians would be 2.2.
    assert paired_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]) == 2.0


def test_ratios_need_the_same_rounds():
    with pytest.raises(ValueError, match="Received 1 and 2"):
        paired_ratio([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="Received 0 and 0"):
        paired_ratio([], [])


def test_a_geometric_mean_of_ratios_can_be_turned_round():
    ratios = [0.5, 3.0, 8.0]
    assert math.isclose(geometric_mean(ratios), 12 ** (1 / 3))
    assert math.isclose(geometric_mean([1 / r for r in ratios]), 1 / geometric_mean(ratios))
    with pytest.raises(ValueError, match="at least one"):
        geometric_mean([])


def test_the_best_is_the_one_with_the_least_median():
    rounds = {"a": [1.0, 9.0, 9.0], "b": [5.0, 5.0, 5.0], "c": []}
    assert best(rounds, ("a", "b", "c", "d")) == "b"
    assert best(rounds, ("c", "d")) is None


def test_differences_are_relative_to_the_largest_value():
    expected = {"a": np.array([100.0, 1.0]), "b": np.array([0.5])}
    found = {"a": np.array([100.0, 2.0]), "b": np.array([0.5]), "c": np.zeros(3)}
    assert largest_difference(expected, found) == pytest.approx(0.01)
    assert largest_difference(expected, {"a": np.array([np.nan, 1.0])}) == math.inf
    with pytest.raises(ValueError, match="shape"):
        largest_difference(expected, {"a": np.zeros(3)})
    with pytest.raises(ValueError, match="Nothing to compare"):
        largest_difference(expected, {"z": np.zeros(3)})


# === The plan ===


def test_the_plan_covers_what_was_asked_for():
    cases = plan(MEASURES, CELLS)
    assert len({case.key for case in cases}) == len(cases)
    for cell in ("simple", "gru", "lstm"):
        for measure in (TRAINING, INFERENCE):
            assert {c.point for c in cases if (c.cell, c.measure) == (cell, measure)} == set(GRID)
    assert Case(EXPORT, "lstm", Point(1, 100, 128, 128)) in cases
    assert not [c for c in cases if c.measure == MASKED and c.cell == "simple"]
    # A cell's cases stand together: the processes are renewed between cells.
    order = [case.cell for case in cases]
    assert order == sorted(order, key=CELLS.index)


def test_points_can_be_chosen():
    assert plan([TRAINING], ["gru"], [SMALL]) == [Case(TRAINING, "gru", SMALL)]


def test_who_takes_part():
    modes = {
        "kerasrnn": ["graph", "xla", "graph-segments"],
        "keras": ["graph", "xla"],
        "torch": ["eager"],
        "onnxruntime": ["session"],
    }

    def names(*case):
        return [contender.name for contender in contenders_of(Case(*case), modes)]

    assert names(TRAINING, "lstm", GRID[0]) == [*OURS, *KERAS, "torch"]
    assert names(INFERENCE, "lstm", GRID[5]) == [*OURS, *KERAS, "torch", "onnxruntime"]
    assert names(MEMORY, "lstm", GRID[5]) == [*OURS, "kerasrnn-graph-segments", *KERAS, "torch"]
    assert names(FIRST_CALL, "lstm", GRID[0]) == [*OURS, *KERAS]
    assert names(TRAINING, "simplified_gru", GRID[0]) == list(OURS)
    assert [c for c in contenders_of(Case(TRAINING, "lstm", GRID[0]), {"torch": ["eager"]})] == [
        Contender("torch", "eager")
    ]


def test_larger_networks_are_expected_to_take_longer():
    def seconds(measure, point, rounds=7):
        return contenders.estimated_seconds(Case(measure, "lstm", point), 4, rounds, 0.12)

    assert seconds(TRAINING, GRID[1]) > seconds(TRAINING, GRID[0])
    assert seconds(TRAINING, GRID[1]) > seconds(INFERENCE, GRID[1])
    assert seconds(TRAINING, GRID[0], 14) > seconds(TRAINING, GRID[0])


# === Ratios and aims ===


def test_each_side_comes_with_its_faster_mode():
    record = training_record(kerasrnn_graph=4, kerasrnn_xla=2, keras_graph=6, keras_xla=8, torch=1)
    assert ratio(record, BEST) == pytest.approx(3.0)
    assert ratio(record, PYTORCH) == pytest.approx(0.5)
    assert ratio(training_record(kerasrnn_graph=4), BEST) is None


def test_an_aim_looks_at_the_mean_and_at_the_worst_case():
    aim = AIMS[0]
    fast = training_record(kerasrnn_graph=1, keras_graph=9)
    slow = training_record("gru", GRID[1], kerasrnn_graph=1, keras_graph=1)
    assert outcome(results_of(fast), aim).met is True
    found = outcome(results_of(fast, slow), aim)
    assert found.mean == pytest.approx(3.0) and found.worst == pytest.approx(1.0)
    assert found.worst_case.startswith("gru") and found.cases == 2
    assert found.met is False
    # A cell that is not shared does not count.
    other = training_record("bidirectional", kerasrnn_graph=9, keras_graph=1)
    assert outcome(results_of(fast, other), aim).met is True
    assert outcome(results_of(), aim).met is None


# === Results, table and plot ===


def test_results_survive_their_file(tmp_path):
    record = training_record(kerasrnn_graph=1, keras_graph=2)
    record.extra["keras-graph"] = {"calls": 5}
    record.differences["keras-graph"] = 1e-6
    record.notes.append("a note")
    results = results_of(record)
    results.note("once")
    results.note("once")
    results.save(tmp_path / "r.json")
    assert Results.load(tmp_path / "r.json") == results
    assert results.notes == ["once"]
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_resuming_takes_over_records_of_the_same_code_only():
    record = training_record(kerasrnn_graph=1)
    earlier, now = results_of(record), results_of()
    now.resume(earlier)
    assert list(now.records) == [record.case.key]
    changed = results_of()
    changed.settings["code"] = "def"
    with pytest.raises(ValueError, match=r"code \(abc, now def\).*--resume"):
        changed.resume(earlier)


def test_the_table_shows_times_ratios_and_means():
    text = markdown(
        results_of(
            training_record(kerasrnn_graph=2, keras_graph=8, torch=1),
            training_record(point=GRID[1], kerasrnn_graph=100, keras_graph=100),
        )
    )
    header = "| B, T, input, units | ours, graph (ms) | Keras, graph (ms) | PyTorch (ms) |"
    assert f"{header} Keras / ours | Keras, graph / ours | PyTorch / ours |" in text
    row = "| 32, 100, 128, 128 | 2.00 ± 0.20 | 8.00 ± 0.80 | 1.00 ± 0.10 | 4.00× | 4.00× | 0.50× |"
    assert row in text
    assert "| 32, 100, 512, 512 | 100 ± 10.0 | 100 ± 10.0 | – | 1.00× | 1.00× | – |" in text
    assert "| **mean** |  |  |  | **2.00×** | **2.00×** | **0.50×** |" in text
    assert "2.00× | 1.00× (lstm 32, 100, 512, 512) | no |" in text
    assert "not measured" in text


def test_the_table_shows_memory_with_the_first_call_in_brackets():
    record = Record(
        Case(MEMORY, "lstm", GRID[0]),
        {"kerasrnn-graph": [20.0]},
        {"kerasrnn-graph": {"with_first_call": 50.0}},
    )
    assert "| 32, 100, 128, 128 | 20.0 (50.0) |" in markdown(results_of(record))


def test_a_plot_is_drawn_where_there_is_something_to_compare(tmp_path):
    path = tmp_path / "plot.png"
    with pytest.raises(ValueError, match="Nothing to plot"):
        plot_ratios(results_of(training_record(kerasrnn_graph=1)), path)
    plot_ratios(results_of(training_record(kerasrnn_graph=1, keras_graph=2)), path)
    assert path.read_bytes().startswith(b"\x89PNG")


# === The command line ===


def test_quick_is_quick():
    given = layers._parse(["--quick", "--rounds", "9"])
    assert given.rounds == 2 and max(max(point) for point in given.points) <= 20


@pytest.mark.parametrize(
    "flags", [["--cells", "gru2"], ["--points", "1,2"], ["--rounds", "0"], ["--peers", "mxnet"]]
)
def test_wrong_flags_are_refused(flags, capsys):
    with pytest.raises(SystemExit):
        layers._parse(flags)
    assert flags[0] in capsys.readouterr().err


# === The peers compute the same ===


@pytest.fixture(scope="module")
def peers():
    """The peers of the Keras backend under test, all in this process."""
    pytest.importorskip("tensorflow")
    from benchmarks.peers.on_tensorflow import LayersOnTensorFlow

    # The threads of this process were set when TensorFlow started.
    opened = {
        name: LayersOnTensorFlow.__new__(LayersOnTensorFlow) for name in ("kerasrnn", "keras")
    }
    for name, peer in opened.items():
        peer.library = name
    return opened


@pytest.mark.tensorflow
@pytest.mark.parametrize("measure", [TRAINING, INFERENCE, MASKED])
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "bidirectional"])
@pytest.mark.slow
def test_keras_computes_the_same(peers, cell, measure):
    case = Case(measure, cell, SMALL)
    ours, theirs = (peer.runner(case, "graph").results() for peer in peers.values())
    assert set(ours) == set(theirs)
    assert ("output" in ours) == (measure == INFERENCE)
    assert largest_difference(ours, theirs) < 1e-5


@pytest.mark.tensorflow
@pytest.mark.parametrize("measure", [TRAINING, INFERENCE])
@pytest.mark.parametrize("cell", ["simple", "lstm", "bidirectional"])
def test_pytorch_computes_the_same(peers, cell, measure):
    pytest.importorskip("torch")
    from benchmarks.peers.on_torch import TorchRunner

    case = Case(measure, cell, SMALL)
    ours, theirs = peers["kerasrnn"].runner(case, "graph").results(), TorchRunner(case).results()
    assert set(ours) == set(theirs)
    assert largest_difference(ours, theirs) < 1e-5


@pytest.mark.tensorflow
@pytest.mark.parametrize("cell", ["simple", "gru", "lstm", "bidirectional"])
def test_onnxruntime_computes_the_same(peers, cell):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    case = Case(INFERENCE, cell, SMALL)
    theirs = open_peer("onnxruntime", 1).runner(case, "session").results()
    assert largest_difference(peers["kerasrnn"].runner(case, "graph").results(), theirs) < 1e-5


def test_an_unknown_peer_is_refused():
    with pytest.raises(ValueError, match="Unknown peer 'mxnet'"):
        open_peer("mxnet", 1)


# === Processes ===


class Counting:
    """A runner that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self):
        self.calls += 1

    def results(self):
        return {"output": np.arange(3)}


class CountingPeer:
    """A peer that computes nothing."""

    def __init__(self) -> None:
        self.last = Counting()

    def runner(self, case, mode):
        if mode == "broken":
            raise RuntimeError("no such luck")
        self.last = Counting()
        return self.last


@pytest.mark.slow
def test_a_session_prepares_measures_and_releases(tmp_path):
    peer = CountingPeer()
    session = worker.Session(peer)
    case = Case(TRAINING, "lstm", SMALL).to_dict()
    check = str(tmp_path / "check.npz")
    request = {"do": "prepare", "case": case, "mode": "m", "slice": 0.1, "check": check}
    assert worker.answer(session, request) == {"calls": worker.MAX_CALLS}
    np.testing.assert_array_equal(np.load(check)["output"], np.arange(3))
    before = peer.last.calls
    reply = worker.answer(session, {"do": "measure", "mode": "m", "calls": 4})
    assert reply["value"] >= 0 and peer.last.calls == before + 5
    worker.answer(session, {"do": "release"})
    assert "KeyError" in worker.answer(session, {"do": "measure", "mode": "m", "calls": 1})["error"]


def test_a_failure_becomes_a_reply(tmp_path, capsys):
    request = {"do": "prepare", "case": Case(TRAINING, "lstm", SMALL).to_dict(), "mode": "broken"}
    reply = worker.answer(worker.Session(CountingPeer()), {**request, "slice": 1, "check": "x"})
    assert reply == {"error": "RuntimeError: no such luck"}
    capsys.readouterr()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux resets the peak")
def test_the_peak_of_memory_can_be_reset():
    memory.reset_peak()
    before = memory.peak()
    block = bytearray(64 * 2**20)
    block[:: 2**12] = b"\x01" * len(block[:: 2**12])
    assert memory.peak() > before + 60
    del block
    memory.reset_peak()
    assert memory.peak() < before + 30


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_run_from_end_to_end(tmp_path):
    flags = ["--quick", "--points", "2,3,4,5", "--cells", "lstm", "--peers", "kerasrnn", "keras"]
    results = layers.main([*flags, "--measures", *MEASURES, "--out", str(tmp_path)])
    assert len(results.records) == len(MEASURES)
    for record in results.records.values():
        assert not record.notes
        assert len(record.rounds) == (2 if record.case.measure == EXPORT else 4)
        assert all(value > 0 for rounds in record.rounds.values() for value in rounds)
    for name in ("layers.json", "layers.md", "layers.png"):
        assert (tmp_path / name).stat().st_size > 0
    assert Results.load(tmp_path / "layers.json").records.keys() == results.records.keys()


@pytest.mark.slow
def test_a_worker_that_dies_says_so():
    peer = Worker("onnxruntime", 1)
    try:
        if "missing" not in peer.hello:
            peer._process.kill()
            peer._process.wait()
        with pytest.raises(PeerError):
            peer.ask("release")
    finally:
        peer.close()
