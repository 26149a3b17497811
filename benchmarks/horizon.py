"""How far back the gradient of each cell reaches, and whether that is far enough to learn.

`python -m benchmarks.horizon` trains a simple RNN, a GRU and an LSTM on the adding task of
Hochreiter & Schmidhuber (1997): of 200 numbers, which two are marked, and what is their sum? It
measures each network's `kerasrnn.lens.memory_horizon` before and after, with three seeds, adds what
it finds to `benchmarks/results/horizon.json`, and draws `horizon.png` and writes `horizon.md`
beside it. What is there already is not done again.

All cells have the same data, size, optimizer and number of updates. The GRU and the LSTM have the
gates' biases spread over the length of the task (`Chrono`, Tallec & Ollivier 2018), which a cell
without gates cannot have.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.results import today
from kerasrnn.data import adding
from kerasrnn.lens import Horizon, gradient_flow
from kerasrnn.lens.flow import GradientFlow
from kerasrnn.storage.atomic import replacing_file
from kerasrnn.themes import COLOURS, style
from kerasrnn.zoo import MemoryModel
from training.fitting import set_seeds
from training.make_preset import hardware

RESULTS = Path(__file__).resolve().parent / "results" / "horizon.json"

CELLS = {"simple": "simple RNN", "gru": "GRU", "lstm": "LSTM"}
SEEDS = (1, 2, 3)
LENGTH, UNITS, BATCH = 200, 64, 32
SEQUENCES, EPOCHS = 6400, 10  # new sequences in each epoch
RATE = 0.01
MEASURED = 256  # sequences whose gradient is measured
TEST = 1000

# The variance of the answer is 1/6: what the mean of all answers is wrong by.
CHANCE = 1 / 6
SOLVED = 0.01


def run(cell: str, seed: int) -> dict[str, Any]:
    """Train one network, and measure it before and after.

    Args:
        cell: one of `CELLS`.
        seed: decides the weights and the data.

    Returns:
        `mse` on test data, the horizons and norms by lag `before` and `after`, and `seconds`.
    """
    set_seeds(seed)
    chrono = {} if cell == "simple" else {"chrono_length": LENGTH}
    measured = adding(MEASURED, length=LENGTH, seed=10_000 + seed)
    model = MemoryModel.from_examples(measured, cell=cell, units=UNITS, **chrono)
    steps = SEQUENCES // BATCH * EPOCHS
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0))
    before, began = reach(gradient_flow(model, measured.inputs)), time.process_time()
    for epoch in range(EPOCHS):
        examples = adding(SEQUENCES, length=LENGTH, seed=1000 * seed + epoch)
        model.fit(examples, batch_size=BATCH, epochs=1, seed=epoch, verbose=0)
    seconds = time.process_time() - began
    test = model.evaluate(adding(TEST, length=LENGTH, seed=20_000 + seed))
    return {
        "cell": cell,
        "seed": seed,
        "mse": float(test["mse"]),
        "before": before,
        "after": reach(gradient_flow(model, measured.inputs)),
        "parameters": model.count_params(),
        "seconds": round(seconds, 1),
    }


def reach(flow: GradientFlow) -> dict[str, Any]:
    """The horizon of a network, and the norms of its gradient by lag."""
    (memory,) = flow.memories
    return {
        "horizon": float(memory.horizon),
        "beyond": memory.horizon.at_least,
        "by_lag": [float(f"{norm:.4g}") for norm in memory.by_lag],
    }


# === Results ===


def _runs(results: Mapping[str, Any], cell: str) -> list[dict[str, Any]]:
    return [results[f"{cell}/{seed}"] for seed in SEEDS if f"{cell}/{seed}" in results]


def _horizons(runs: Sequence[Mapping[str, Any]], when: str) -> str:
    return ", ".join(str(Horizon(r[when]["horizon"], r[when]["beyond"])) for r in runs)


def render(results: Mapping[str, Any]) -> str:
    """The page of results."""
    lines = [
        "# How far back the gradient reaches",
        "",
        f"Adding two of {LENGTH} numbers (Hochreiter & Schmidhuber 1997): the answer needs numbers "
        f"that lie {LENGTH // 2} steps back on average, and up to {LENGTH - 1}. {UNITS} units, "
        f"{SEQUENCES * EPOCHS:,} sequences, Adam, seeds {', '.join(map(str, SEEDS))}. The horizon "
        "is the lag at which the gradient of the answer by the memory has fallen to a hundredth "
        "(`kerasrnn.lens.memory_horizon`); ≥ where it has not within the sequence. Squared errors "
        f"are on {TEST:,} test sequences: {CHANCE:.3f} is what the mean of all answers is wrong "
        f"by, and below {SOLVED:g} the task is solved. Written by `python -m benchmarks.horizon`.",
        "",
        "| Cell | Horizon before training | Horizon after | Squared error | Solved | Weights | "
        "Processor seconds |",
        "|---|---|---|---|---|--:|--:|",
    ]
    for cell, title in CELLS.items():
        runs = _runs(results, cell)
        if not runs:
            continue
        errors = ", ".join(f"{r['mse']:.2g}" for r in runs)
        solved = sum(r["mse"] < SOLVED for r in runs)
        lines.append(
            f"| {title} | {_horizons(runs, 'before')} | {_horizons(runs, 'after')} | {errors} | "
            f"{solved} of {len(runs)} | {runs[0]['parameters']:,} | "
            f"{statistics.fmean(r['seconds'] for r in runs):.0f} |"
        )
    machine = results.get("machine", "")
    lines += ["", "![The gradient by lag](horizon.png)", "", f"{machine}, {results['measured']}."]
    return "\n".join(lines) + "\n"


def draw(results: Mapping[str, Any], path: Path, theme: str = "light") -> None:
    """One picture: the gradient by lag of all cells, before and after, a line for each seed."""
    colours = COLOURS[theme]
    figure = Figure(figsize=(8.4, 3.8), layout="constrained", facecolor=colours.background)
    FigureCanvasAgg(figure)
    for axes, (when, title) in zip(
        figure.subplots(1, 2, sharey=True),
        {"before": "before training", "after": "after training"}.items(),
        strict=True,
    ):
        axes.set_facecolor(colours.background)
        for (cell, name), colour, dash in zip(
            CELLS.items(), colours.groups, ("-", "--", "-."), strict=False
        ):
            for number, each in enumerate(_runs(results, cell)):
                norms = np.array(each[when]["by_lag"])
                shares = np.maximum(norms / norms[0], 1e-18)
                label = None if number else name
                axes.plot(shares, color=colour, linestyle=dash, linewidth=1.2, label=label)
        axes.axhline(0.01, color=colours.quiet, linewidth=1)
        axes.text(LENGTH, 0.013, "1/100", ha="right", va="bottom", color=colours.text, fontsize=8)
        axes.set(yscale="log", xlabel="lag: steps back from the answer", title=title)
        axes.set_xlim(0, LENGTH)
        axes.set_ylim(1e-12, 1e3)
        axes.grid(alpha=0.25)
        style(axes, colours)
    figure.axes[0].set_ylabel("‖∂ŷ/∂c⟨t⟩‖, as a share of that at lag 0")
    figure.axes[0].legend(frameon=False, labelcolor=colours.text, fontsize=9, loc="lower left")
    with replacing_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.horizon", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of figures")
    options = parser.parse_args(arguments)
    path = options.results
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for seed in SEEDS:
        for cell, title in CELLS.items():
            key = f"{cell}/{seed}"
            if key in results:
                continue
            results[key] = found = run(cell, seed)
            results |= {"machine": hardware(), "measured": today()}
            with replacing_file(path) as temporary:
                temporary.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
            print(
                f"{title}, seed {seed}: squared error {found['mse']:.2g}, horizon "
                f"{_horizons([found], 'before')} before and {_horizons([found], 'after')} after, "
                f"{found['seconds']:.0f} s",
                flush=True,
            )
    draw(results, path.with_suffix(".png"))
    with replacing_file(path.with_suffix(".md")) as temporary:
        temporary.write_text(render(results), "utf-8")
    print(path.with_suffix(".md"))


if __name__ == "__main__":
    main()
