"""Measures what it costs to look at the gradient while a model trains.

    python -m benchmarks.lens

Two trainings, each with `kerasrnn.lens.LensCallback` and without: a plain model of Keras that knows
nothing of this package (Embedding, LSTM, Dense), with the callback's own defaults; and
`python -m training.tagger` as it is by default, with `--lens`. Measured is the processor time of
`fit`, with all that it traces, and with the callback its picture; and of it, what the callback
spends in its own hooks, which tells more on a machine that others use as well. Every training runs
in a process of its own, the two of a round one right after the other, in turn the one and the other
first. The weights that come out must be the same, bit for bit. Writes `lens.json` after each
training, and goes on with it when it is started again; and `lens.md`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, environment
from benchmarks.results import check_counts, machine, today
from benchmarks.summary import paired_ratio, summarise
from kerasrnn.storage.atomic import replacing_file

CASES = {
    "keras": "keras.Sequential: Embedding(5000, 64), LSTM(64), Dense(1), 80 steps, batches of 32",
    "tagger": "python -m training.tagger, as it is by default, and with --lens",
}
WITHOUT, WITH = "without", "with"


# === In a process of its own ===


def _digest(weights: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for weight in weights:
        found.update(weight.numpy().tobytes())
    return found.hexdigest()[:16]


def train_keras(lens: bool, epochs: int | None, folder: Path) -> dict[str, Any]:
    """The plain model; `epochs` are 6 by default."""
    import keras
    import numpy as np

    from kerasrnn.lens import LensCallback

    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 5000, (9600, 80))
    y = (x[:, 40:41] / 5000).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((80,)),
            keras.layers.Embedding(5000, 64),
            keras.layers.LSTM(64),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    callback = LensCallback(picture=folder / "flow.png") if lens else None
    own = Own(callback)
    used = time.process_time()
    model.fit(x, y, epochs=epochs or 6, verbose=0, callbacks=[callback] if callback else [])
    return {
        "seconds": time.process_time() - used,
        "weights": _digest(model.weights),
        **_of(callback, own),
    }


def train_tagger(lens: bool, epochs: int | None, folder: Path) -> dict[str, Any]:
    """The script's training, from its compiling to its best weights."""
    from rich.console import Console

    from training.fitting import set_seeds
    from training.flags import parse_config
    from training.run_folder import RunFolder
    from training.tagger import SCRIPT

    flags = ["--out", str(folder / "run"), *(["--lens"] if lens else [])]
    flags += ["--epochs", str(epochs)] if epochs else []
    config = parse_config(SCRIPT.config_class, flags, name=SCRIPT.name, description="")
    set_seeds(config.seed)
    data = SCRIPT.load_data(config)
    config = SCRIPT.with_defaults(config, data)
    model = SCRIPT.make_model(config, data)
    with RunFolder(config.out or "", resume=False) as run, open(folder / "log", "w") as log:
        callback = SCRIPT.lens(config, run)
        own = Own(callback)
        used = time.process_time()
        SCRIPT.fit(config, data, model, run, Console(file=log), callback)
        if callback is not None:
            callback.figure().savefig(folder / "flow.png")
        seconds = time.process_time() - used
    return {"seconds": seconds, "weights": _digest(model.weights), **_of(callback, own)}


class Own:
    """The processor time that a callback spends in what is called of it from outside.

    Args:
        callback: a `LensCallback`; None for nothing to be spent.
    """

    _called = (
        *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"),
        *("on_train_batch_begin", "on_train_batch_end", "_see", "figure"),
    )

    def __init__(self, callback: Any) -> None:
        self.seconds, self._inside = 0.0, False
        if callback is not None:
            for name in self._called:
                setattr(callback, name, self._timed(getattr(callback, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return method(*arguments, **options)
            self._inside, used = True, time.process_time()
            try:
                return method(*arguments, **options)
            finally:
                self._inside = False
                self.seconds += time.process_time() - used

        return timed


def _of(callback: Any, own: Own) -> dict[str, Any]:
    if callback is None:
        return {}
    return {
        "own": own.seconds,
        "measurements": len(callback.measurements),
        "horizon": callback.measurements[-1].logs["lens_horizon"],
    }


TRAIN: dict[str, Callable[[bool, int | None, Path], dict[str, Any]]] = {
    "keras": train_keras,
    "tagger": train_tagger,
}


def measure(case: str, lens: bool, epochs: int | None) -> dict[str, Any]:
    """One training."""
    import matplotlib.figure  # noqa: F401, its time to load is not a training's

    import kerasrnn.lens.callback
    import kerasrnn.lens.pictures  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        return TRAIN[case](lens, epochs, Path(folder))


# === The whole ===


def ask(case: str, which: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Let a new process train.

    Raises:
        RuntimeError: it failed; its last words are in the message.
    """
    asked = {"case": case, "lens": which == WITH, "epochs": settings["epochs"]}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.lens", "--worker", json.dumps(asked)],
        cwd=ROOT,
        env=environment(settings["threads"]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"The training of {case} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def markdown(results: Mapping[str, Any]) -> str:
    """The table of a run."""
    where = ", ".join(str(value) for value in results["machine"].values())
    threads = results["settings"]["threads"]
    lines = [
        "# What it costs to look at the gradient while a model trains",
        "",
        f"{where}; {threads} threads. {results['started']}. Processor seconds of `fit`, tracing "
        "and picture included, as medians ± the interquartile range over the rounds; the ratio is "
        "the median of those of the rounds. Own: the share of the training without that the "
        "callback spends in its own hooks, picture included. Written by "
        "`python -m benchmarks.lens`; all figures are in `lens.json`.",
        "",
        "| training | rounds | without | with LensCallback | ratio | least to greatest | own | "
        "measurements | same weights |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --- |",
    ]
    for case, title in CASES.items():
        rounds = [each for each in results["runs"].get(case, []) if len(each) == 2]
        if not rounds:
            continue
        times = {which: [each[which]["seconds"] for each in rounds] for which in (WITHOUT, WITH)}
        cells = []
        for values in times.values():
            found = summarise(values)
            cells.append(f"{found['median']:.1f} ± {found['iqr']:.1f}")
        ratios = [b / a for a, b in zip(times[WITHOUT], times[WITH], strict=True)]
        own = summarise([100 * each[WITH]["own"] / each[WITHOUT]["seconds"] for each in rounds])
        counts = sorted({each[WITH]["measurements"] for each in rounds})
        same = all(each[WITHOUT]["weights"] == each[WITH]["weights"] for each in rounds)
        lines.append(
            f"| {title} | {len(rounds)} | {' | '.join(cells)} | "
            f"{paired_ratio(times[WITH], times[WITHOUT]):.3f} | "
            f"{min(ratios):.3f} to {max(ratios):.3f} | "
            f"{own['median']:.1f} ± {own['iqr']:.1f} % | "
            f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} | "
            f"{'yes' if same else 'NO'} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The command line."""
    given = _parse(arguments)
    if given.worker:
        answer = measure(**json.loads(given.worker))
        print(json.dumps(answer))
        return answer
    settings = {"threads": given.threads, "epochs": given.epochs}
    out = Path(given.out) / "lens.json"
    results: dict[str, Any] = {"settings": settings, "runs": {}}
    if out.is_file():
        before = json.loads(out.read_text(encoding="utf-8"))
        if before["settings"] == settings:
            results = before
    results |= {"machine": machine(), "started": today()}
    for number in range(given.rounds):
        for case in given.cases:
            rounds = results["runs"].setdefault(case, [])
            if len(rounds) <= number:
                rounds.append({})
            for which in (WITHOUT, WITH) if number % 2 else (WITH, WITHOUT):
                if which not in rounds[number]:
                    rounds[number][which] = found = ask(case, which, settings)
                    print(f"{case}, round {number + 1}, {which}: {found}", flush=True)
                    _write(out, json.dumps(results, indent=1) + "\n")
    _write(out, json.dumps(results, indent=1) + "\n")
    _write(out.with_suffix(".md"), markdown(results))
    print(markdown(results))
    return results


def _write(path: Path, text: str) -> None:
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lens",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, help="by the training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results"), metavar="DIR")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    check_counts(parser, given, "rounds", "threads")
    if given.epochs is not None:
        check_counts(parser, given, "epochs")
    return given


if __name__ == "__main__":
    main()
