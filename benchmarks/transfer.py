"""What transfer is worth: a classifier and a tagger learn from few examples, from four starts.

`python -m benchmarks.transfer` trains on 100, on 1,000 and on all examples of a task, from

- `random`: word vectors that are drawn at random, and learn;
- `frozen`: the vectors of the preset `words_en`, which stay as they are;
- `tuned`: the same vectors, which learn with all else;
- `body`: the body of a preset of another task under a new head: at first the head learns alone,
  then all of it;

with three seeds, and adds each figure to `benchmarks/results/transfer.json`. What is there already
is not done again. Then it writes `transfer.md` and `transfer.png` beside it. A seed also decides
which examples are the few. The best epoch is chosen on validation data; test data is measured once.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kerasrnn.data import LabelledText, TaggedSentence, load_sentences, load_texts
from kerasrnn.data.conll import in_scheme
from kerasrnn.storage.atomic import replacing_file
from kerasrnn.zoo import SequenceTagger, Task, TextClassifier
from training.fitting import set_seeds
from training.make_preset import hardware
from training.pretrained_words import WordVectorConfig

RESULTS = Path(__file__).resolve().parent / "results" / "transfer.json"

VECTORS = "words_en"
STARTS = {
    "random": ("random vectors", "#6b7280", "o"),
    "frozen": ("frozen vectors", "#5b8c5a", "^"),
    "tuned": ("tuned vectors", "#2a6f97", "s"),
    "body": ("a preset's body", "#d1701f", "D"),
}
SIZES = (100, 1000, 0)  # 0: all
SEEDS = (1, 2, 3)

# Passes over few examples are short, and more of them are needed.
_EPOCHS = {100: 60, 1000: 20, 0: 8}
_BATCH_SIZE = {100: 8, 1000: 16, 0: 32}
# The same for every start: of 0.001 to 0.01, this was best on validation data for each of them.
_RATE = {100: 0.006, 1000: 0.006, 0: 0.003}
# The share of the epochs in which a new head learns alone, before the body learns with it.
_HEAD_ALONE = 0.3

_Parts = tuple[list[Any], list[Any], list[Any]]

LESSONS = """## What to learn from it

- With few examples a body that has learned another task is worth most: with 100, 11 points of
  accuracy and 16 of F1 above random vectors, with 1,000 still 9 and 7. The gap closes as examples
  are added: with 11,000 sentences of slots nothing is left of it.
- Part of that is what the bodies know of words. Both read more than the 50 numbers of `words_en`:
  parts of words, lexicons, capitals. So this is not the worth of the recurrent layers alone.
- Word vectors alone help less: 2 to 4 points with 100 examples and with 1,000, where they learn
  with all else.
- Frozen vectors are no gift. With 1,000 examples they are already behind random ones that learn,
  and with all far behind: 50 numbers made for other ends cannot be all that a model sees.
"""


@dataclass(frozen=True)
class Study:
    """A task to learn.

    Attributes:
        title: what is learned.
        preset: the one whose body is taken.
        task: the class.
        figure: the figure of `evaluate` that is reported.
        read: reads the examples to train on, to validate and to test with, from a folder of data.
        new: makes a model that knows the words of some examples and some more, with options.
        labels: the argument with all labels of some examples.
        dimension: the option that is the length of a word's vector.
        trained: the option that says whether word vectors learn.
    """

    title: str
    preset: str
    task: type[Task]
    figure: str
    read: Callable[[Path], _Parts]
    new: Callable[..., Task]
    labels: Callable[[Sequence[Any]], dict[str, list[str]]]
    dimension: str
    trained: str


def _questions(data: Path) -> _Parts:
    return _parts(load_texts(data / "classify" / "trec" / "train.tsv"), 300, 1000)


def _slots(data: Path) -> _Parts:
    path = data / "slots" / "snips" / "train.conll"
    rows = in_scheme(load_sentences(path), "BIO", None, path)
    return _parts([TaggedSentence(row.tokens, row.tags) for row in rows], 300, 2000)


def _parts(rows: Sequence[Any], validation: int, test: int) -> _Parts:
    """Parts of a data set that has one, the same in every run."""
    mixed = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    held_out = validation + test
    return mixed[held_out:], mixed[:validation], mixed[validation:held_out]


def _labels(texts: Sequence[LabelledText]) -> dict[str, list[str]]:
    return {"labels": sorted({text.label for text in texts})}


def _tags(sentences: Sequence[TaggedSentence]) -> dict[str, list[str]]:
    return {"tags": SequenceTagger.head_of(sentences)["tags"]}


def _new_classifier(texts: Sequence[LabelledText], words: Sequence[str], **options: Any) -> Task:
    return TextClassifier.from_texts(texts, extra_tokens=words, **options)


def _new_tagger(sentences: Sequence[TaggedSentence], words: Sequence[str], **options: Any) -> Task:
    return SequenceTagger.from_sentences(sentences, extra_words=words, **options)


STUDIES = {
    "questions": Study(
        title="types of questions (TREC)",
        preset="sentiment_en_sst2",
        task=TextClassifier,
        figure="accuracy",
        read=_questions,
        new=_new_classifier,
        labels=_labels,
        dimension="token_dimension",
        trained="train_tokens",
    ),
    "slots": Study(
        title="slots of commands (SNIPS)",
        preset="ner_en_wnut17",
        task=SequenceTagger,
        figure="f1",
        read=_slots,
        new=_new_tagger,
        labels=_tags,
        dimension="word_dimension",
        trained="train_words",
    ),
}


# === One run ===


def measure(name: str, kind: str, size: int, seed: int, data: Path) -> dict[str, Any]:
    """Train one model and measure it.

    Args:
        name: of a study.
        kind: one of `STARTS`.
        size: how many examples it sees; 0 for all.
        seed: the seed.
        data: the folder of data.

    Returns:
        The run: its settings, `validation` and `test`, the figure of the best epoch, `best_epoch`,
        `examples` and `seconds`.
    """
    study = STUDIES[name]
    train, validation, test = study.read(data)
    order = np.random.default_rng(seed).permutation(len(train))
    few = [train[i] for i in order[: size or None]]
    set_seeds(seed)
    began = time.perf_counter()
    model = _started(study, kind, few, train)
    best = _Best(f"val_{study.figure}")
    epochs = _EPOCHS[size]

    def fit(first: int, last: int) -> None:
        steps = (last - first) * -(-len(few) // _BATCH_SIZE[size])
        falling = keras.optimizers.schedules.CosineDecay(_RATE[size], steps)
        model.compile(keras.optimizers.Adam(falling, clipnorm=5.0))
        model.fit(
            few,
            validation_data=validation,
            batch_size=_BATCH_SIZE[size],
            initial_epoch=first,
            epochs=last,
            callbacks=[best],
            verbose=0,
            seed=seed,
        )

    if kind == "body":
        alone = round(epochs * _HEAD_ALONE)
        if alone:
            model.freeze("body")
            fit(0, alone)
            model.unfreeze("body")
        fit(alone, epochs)
    else:
        fit(0, epochs)
    model.set_weights(best.weights)
    keras.backend.clear_session()
    return {
        "study": name,
        "start": kind,
        "size": size,
        "seed": seed,
        "examples": len(few),
        "epochs": epochs,
        "best_epoch": best.epoch,
        "validation": best.figure,
        "test": model.evaluate(test, verbose=0, return_dict=True)[study.figure],
        "seconds": round(time.perf_counter() - began, 1),
    }


def _started(study: Study, kind: str, few: Sequence[Any], examples: Sequence[Any]) -> Any:
    """A model before its training. What has no label among the few is a label all the same."""
    labels = study.labels(examples)
    if kind == "body":
        return study.task.from_preset(study.preset, **labels)
    options: dict[str, Any] = {study.trained: kind != "frozen"}
    vectors = WordVectorConfig(embeddings=None if kind == "random" else VECTORS)
    words, length = vectors.known_vectors()
    if length:
        options[study.dimension] = length
    model: Any = study.new(few, words, normalize_digits=kind == "random", **options)
    vectors.set_vectors(model)
    return model.new_head(**labels)


class _Best(keras.callbacks.Callback):
    """Keeps the weights of the epoch whose figure is best."""

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.figure = -1.0
        self.epoch = 0
        self.weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figure = float((logs or {})[self.monitor])
        if figure > self.figure:
            self.figure, self.epoch, self.weights = figure, epoch + 1, self.model.get_weights()


# === Results ===


def read(path: Path = RESULTS) -> dict[str, Any]:
    """The file of results: `hardware`, `date`, and `runs`, a list of what `measure` returns.

    Args:
        path: the file; where there is none, there are no runs.
    """
    if not path.exists():
        return {"hardware": hardware(), "date": "", "runs": []}
    return json.loads(path.read_text(encoding="utf-8"))


def figures(results: dict[str, Any], study: str, kind: str, size: int) -> list[float]:
    """The test figures of all seeds, in per cent."""
    return [
        100 * run["test"]
        for run in results["runs"]
        if (run["study"], run["start"], run["size"]) == (study, kind, size)
    ]


def table(results: dict[str, Any]) -> str:
    """The results as a page of Markdown.

    Args:
        results: see `read`.

    Returns:
        The page.
    """
    lines = [
        "# What transfer is worth",
        "",
        f"{results['hardware']}, {results['date']}. `python -m benchmarks.transfer`",
        "",
        f"Test figures in per cent: mean ± standard deviation over {len(SEEDS)} seeds, each with "
        + "other examples; without ± of one seed. The best epoch was chosen on validation data.",
        "",
    ]
    for name, study in STUDIES.items():
        shown = {size: figures(results, name, "random", size) for size in SIZES}
        if not any(shown.values()):
            continue
        total = max(run["examples"] for run in results["runs"] if run["study"] == name)
        sizes = [f"{size or total:,} examples" for size in SIZES]
        lines += [
            f"## {study.title[0].upper()}{study.title[1:]}: {study.figure}",
            "",
            "| start | " + " | ".join(sizes) + " |",
            "|---|" + "--:|" * len(SIZES),
        ]
        for kind, (title, _, _) in STARTS.items():
            title = f"{title}, `{study.preset}`" if kind == "body" else title
            cells = [_spread(figures(results, name, kind, size)) for size in SIZES]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines) + "\n" + LESSONS


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def plot(results: dict[str, Any], path: Path) -> None:
    """The results as curves over the number of examples, a panel for each task.

    Args:
        results: see `read`.
        path: the PNG to write.
    """
    figure = Figure(figsize=(4.2 * len(STUDIES), 3.8), layout="constrained")
    for axes, (name, study) in zip(figure.subplots(1, len(STUDIES)), STUDIES.items(), strict=True):
        for kind, (title, colour, marker) in STARTS.items():
            runs = [r for r in results["runs"] if (r["study"], r["start"]) == (name, kind)]
            examples = sorted({run["examples"] for run in runs})
            values = [[100 * r["test"] for r in runs if r["examples"] == n] for n in examples]
            spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]
            axes.errorbar(
                examples,
                [statistics.mean(v) for v in values],
                spreads,
                label=title,
                color=colour,
                marker=marker,
                capsize=3,
            )
        axes.set_xscale("log")
        axes.set_title(study.title, fontsize=10)
        axes.set_xlabel("examples to train on")
        axes.set_ylabel(f"{study.figure} on test data (%)")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="lower right")
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transfer",
        description="Learn from few examples, from four starts. KERASRNN_DATA names the folder "
        "that holds classify/trec/ and slots/snips/.",
    )
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=SIZES)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("KERASRNN_DATA", "."))
    for size, seed, name, kind in itertools.product(
        options.sizes, options.seeds, options.studies, options.starts
    ):
        key = {"study": name, "start": kind, "size": size, "seed": seed}
        if any(key.items() <= run.items() for run in read(options.out)["runs"]):
            continue
        run = measure(name, kind, size, seed, data)
        print(f"{name}, {kind}, {size or 'all'}, seed {seed}: {run['test']:.4f}", flush=True)
        results = read(options.out)  # another process may have added to it
        results.update(hardware=hardware(), date=time.strftime("%Y-%m-%d"))
        results["runs"].append(run)
        results["runs"].sort(
            key=lambda run: (
                list(STUDIES).index(run["study"]),
                run["examples"],
                list(STARTS).index(run["start"]),
                run["seed"],
            )
        )
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(options.out) as temporary:
            text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
            temporary.write_text(text, encoding="utf-8")
    results = read(options.out)
    with replacing_file(options.out.with_suffix(".md")) as temporary:
        temporary.write_text(table(results), encoding="utf-8")
    with replacing_file(options.out.with_suffix(".png")) as temporary:
        plot(results, temporary)


if __name__ == "__main__":
    main()
