"""Measures three cells on the four data sets of polyphonic music of Chung et al. (2014).

`python -m benchmarks.music` trains one model with independent outputs for each data set, cell and
seed, as `python -m training.music` does with the same flags, and adds its metrics to
`benchmarks/results/music.json`. What is there already is not done again. `--outputs nade` trains
models whose keys are drawn one after the other; of JSB Chorales and Nottingham the zoo has such.

`python -m benchmarks.tables` writes the figures beside the published ones. Those are measured on
the test split, these on the validation split, by which the best epoch was chosen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasrnn.networks.music import OUTPUTS
from kerasrnn.storage.atomic import replacing_file
from training.endings import make_console
from training.fitting import parameters_of, set_seeds
from training.flags import parse_config
from training.make_preset import hardware
from training.music import SCRIPT, MusicConfig
from training.run_folder import RunFolder

RESULTS = Path(__file__).resolve().parent / "results" / "music.json"

DATASETS = ("JSB_Chorales", "Nottingham", "MuseData", "Piano_midi")
CELLS = ("simple", "gru", "lstm")

_BY_DATASET = {
    "JSB_Chorales": "--epochs 30 --batch-size 8 --chunk 64 --average-weights 0.99",
    "Nottingham": "--epochs 10 --batch-size 8 --chunk 32 --average-weights 0.997",
    "MuseData": "--epochs 10 --batch-size 8 --chunk 32 --average-weights 0.997",
    "Piano_midi": "--epochs 12 --batch-size 4 --chunk 64 --average-weights 0.99",
}
_DROPOUT = {"JSB_Chorales": 0.6, "Nottingham": 0.6, "MuseData": 0.5, "Piano_midi": 0.6}
# Simple cells have a quarter of the weights: of 500 pieces and more they learn less by heart.
_DROPOUT_OF_SIMPLE = _DROPOUT | {"Nottingham": 0.2, "MuseData": 0.2}
_RATES = {"simple": 0.002, "gru": 0.002, "lstm": 0.003}
# The chorales have 13,800 frames to train on, the others five to eighteen times as many.
_RATES_OF_FEW_FRAMES = {"simple": 0.002, "gru": 0.004, "lstm": 0.006}


def flags_of(dataset: str, cell: str, outputs: str, seed: int) -> list[str]:
    """The flags of `python -m training.music` for one figure.

    Args:
        dataset: one of `DATASETS`.
        cell: one of `CELLS`.
        outputs: one of `kerasrnn.networks.music.OUTPUTS`.
        seed: the seed.

    Returns:
        The command line.
    """
    rates = _RATES_OF_FEW_FRAMES if dataset == "JSB_Chorales" else _RATES
    dropout = (_DROPOUT_OF_SIMPLE if cell == "simple" else _DROPOUT)[dataset]
    flags = ["--outputs", outputs, "--cell", cell, "--units", "400", *_BY_DATASET[dataset].split()]
    flags += ["--dropout", str(dropout), "--learning-rate", str(rates[cell]), "--seed", str(seed)]
    return ["--data", f"music/{dataset}.mat", *flags]


def measure(dataset: str, cell: str, outputs: str, seed: int) -> dict[str, Any]:
    """Train one model and measure it; the figures are those of the command, without its export.

    Args:
        dataset: one of `DATASETS`.
        cell: one of `CELLS`.
        outputs: one of `kerasrnn.networks.music.OUTPUTS`.
        seed: the seed.

    Returns:
        What the command writes into `metrics.json`, and the `command`.
    """
    flags = flags_of(dataset, cell, outputs, seed)
    console = make_console()
    set_seeds(seed)
    with tempfile.TemporaryDirectory() as place:
        config = parse_config(
            MusicConfig, [*flags, "--out", place], name="music", description=SCRIPT.description
        )
        data = SCRIPT.load_data(config)
        config = SCRIPT.with_defaults(config, data)
        model = SCRIPT.make_model(config, data)
        _, run = SCRIPT.fit(config, data, model, RunFolder(place, resume=False), console)
        measured = SCRIPT.measure(model, data, config)
    return {
        "dataset": dataset,
        "cell": cell,
        "outputs": outputs,
        "seed": seed,
        "parameters": parameters_of(model),
        "epochs": len(run.history),
        "best_epoch": run.best_epoch,
        "seconds": round(run.seconds, 1),
        **measured,
        "command": "python -m training.music " + " ".join(flags),
    }


def read(path: Path = RESULTS) -> dict[str, Any]:
    """The file of results.

    Args:
        path: the file.

    Returns:
        `hardware`, `date`, `split` (the one that is measured) and `runs`, a list of what `measure`
        returns; no runs where there is no file.
    """
    if not path.exists():
        return {"hardware": hardware(), "date": "", "split": "validation", "runs": []}
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.music",
        description="Train the models of the table. KERASRNN_DATA names the folder of music/*.mat.",
    )
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    parser.add_argument("--outputs", choices=OUTPUTS, default="independent")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args(arguments)
    for seed in options.seeds:
        for dataset in options.datasets:
            for cell in options.cells:
                key = {
                    "dataset": dataset,
                    "cell": cell,
                    "outputs": options.outputs,
                    "seed": seed,
                }
                results = read(options.out)
                if any(key.items() <= run.items() for run in results["runs"]):
                    continue
                run = measure(**key)
                results = read(options.out)  # another process may have added to it
                results.update(hardware=hardware(), date=time.strftime("%Y-%m-%d"))
                results["runs"] = sorted(
                    [*results["runs"], run],
                    key=lambda run: (
                        DATASETS.index(run["dataset"]),
                        run["outputs"],
                        run["cell"],
                        run["seed"],
                    ),
                )
                options.out.parent.mkdir(parents=True, exist_ok=True)
                with replacing_file(options.out) as temporary:
                    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
                    temporary.write_text(text, encoding="utf-8")
                print(
                    f"{dataset}, {cell}, seed {seed}: {run['validation']['nll']:.2f} nats a frame"
                )


if __name__ == "__main__":
    main()
