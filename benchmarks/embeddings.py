"""Measures the embedding matrix side by side with gensim's `KeyedVectors`.

    python -m benchmarks.embeddings --data DIR

Both read the same vectors from the same files, in processes of their own; then both answer the same
queries in one process, turn by turn, so that noise of the machine hits both alike, and ratios are
taken within a round. Answers are compared before they are timed.

Measures: `load` the time to read a file and the memory that the process grew by at most; `one` a
query for the ten nearest words; `batch` 1,000 of them, which gensim answers one after the other;
`analogies` the Google analogy questions among the first words, and `pairs` two lists of
similarities that people gave, both with the figures that come out.

gensim comes with `pip install .[bench]`. The vectors are those of the package `glove-6b-50d` or of
`--vectors`; `--data` names the folder with `questions-words.txt`, `EN-WS-353-ALL.txt` and
`EN-SIMLEX-999.txt`. Writes `embeddings.json` and `embeddings.md`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import memory
from benchmarks.processes import ROOT, environment
from benchmarks.results import check_counts, machine, today
from benchmarks.summary import paired_ratio, summarise
from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.storage.atomic import replacing_file

OURS, GENSIM = "ours", "gensim"
CONTENDERS = (OURS, GENSIM)
FORMATS = {"text": "vectors.vec", "text, gzip": "vectors.vec.gz", "binary": "vectors.bin"}
PAIRS = {"WordSim-353": "EN-WS-353-ALL.txt", "SimLex-999": "EN-SIMLEX-999.txt"}
QUESTIONS = "questions-words.txt"
TOLERANCE = 1e-6
QUERIES, TOPN = 1000, 10
TIMED = {"one": "ms", "batch": "s"}


# === In a process of its own ===


def load(contender: str, path: str) -> Any:
    """Read a file of vectors as a contender does."""
    if contender == OURS:
        return EmbeddingMatrix.load(path)
    from gensim.models import KeyedVectors

    return KeyedVectors.load_word2vec_format(path, binary=path.endswith(".bin"))


def measure_load(contender: str, path: str) -> dict[str, float]:
    """Seconds to read a file, and by how many megabytes the process grew at most."""
    if contender == GENSIM:
        import gensim  # noqa: F401, its time to load is not a file's
    before = memory.resident()
    memory.reset_peak()
    begin = time.perf_counter()
    vectors = load(contender, path)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "megabytes": memory.peak() - before, "terms": len(vectors)}


def measure_queries(path: str, rounds: int, calls: int) -> dict[str, Any]:
    """Milliseconds of one query and seconds of many, round by round."""
    ours, theirs = load(OURS, path), load(GENSIM, path)
    drawn = np.random.default_rng(0).choice(min(30_000, len(ours)), QUERIES, replace=False)
    words = [ours.terms[row] for row in drawn]
    difference = 0.0
    batch = ours.most_similar_batch(words, topn=TOPN)
    for word, found in zip(words, batch, strict=True):
        expected = theirs.most_similar(word, topn=TOPN)
        one = ours.most_similar(word, topn=TOPN)
        for answers in (found, one):
            pairs = zip(answers, expected, strict=True)
            difference = max(difference, *(abs(a - b) for (_, a), (_, b) in pairs))
    turns: dict[str, dict[str, Callable[[], Any]]] = {
        "one": {
            OURS: lambda: [ours.most_similar(word, topn=TOPN) for word in words[:calls]],
            GENSIM: lambda: [theirs.most_similar(word, topn=TOPN) for word in words[:calls]],
        },
        "batch": {
            OURS: lambda: ours.most_similar_batch(words, topn=TOPN),
            GENSIM: lambda: [theirs.most_similar(word, topn=TOPN) for word in words],
        },
    }
    times: dict[str, dict[str, list[float]]] = {
        measure: {name: [] for name in CONTENDERS} for measure in turns
    }
    for turn in range(rounds):
        for measure, by_contender in turns.items():
            unit = 1e3 / calls if measure == "one" else 1.0
            for name in CONTENDERS if turn % 2 else CONTENDERS[::-1]:
                begin = time.perf_counter()
                by_contender[name]()
                times[measure][name].append(unit * (time.perf_counter() - begin))
    return {"rounds": times, "difference": difference}


def measure_quality(path: str, data: str, words: int) -> dict[str, Any]:
    """What both find of analogies and pairs, and the seconds they take for it."""
    logging.disable(logging.WARNING)
    ours = EmbeddingMatrix.load(path, limit=words)
    theirs = ours.to_gensim()
    questions = str(Path(data, QUESTIONS))
    begin = time.perf_counter()
    mine = ours.evaluate_analogies(questions)
    middle = time.perf_counter()
    accuracy, sections = theirs.evaluate_word_analogies(questions)
    seconds = {OURS: middle - begin, GENSIM: time.perf_counter() - middle}
    asked = len(sections[-1]["correct"]) + len(sections[-1]["incorrect"])
    figures: dict[str, Any] = {
        "Google analogies, accuracy in %": {
            OURS: 100 * mine.accuracy,
            GENSIM: 100 * accuracy,
            "asked": {OURS: mine.asked, GENSIM: asked},
            "unknown": mine.skipped,
        }
    }
    for title, name in PAIRS.items():
        scores = ours.evaluate_word_pairs(Path(data, name))
        _, spearman, _ = theirs.evaluate_word_pairs(str(Path(data, name)))
        figures[f"{title}, Spearman × 100"] = {
            OURS: 100 * scores.spearman,
            GENSIM: 100 * float(spearman[0]),
            "asked": {OURS: scores.pairs},
            "unknown": scores.unknown,
        }
    return {"figures": figures, "seconds": seconds}


def versions() -> dict[str, str]:
    """The versions of what is measured."""
    import importlib.metadata

    names = ("kerasrnn", "gensim", "numpy", "scipy")
    return {name: importlib.metadata.version(name) for name in names}


WORK: dict[str, Callable[..., Any]] = {
    "load": measure_load,
    "queries": measure_queries,
    "quality": measure_quality,
    "versions": versions,
}


# === The whole ===


def ask(threads: int, do: str, **arguments: Any) -> Any:
    """Let a new process measure something.

    Raises:
        RuntimeError: it failed; its last words are in the message.
    """
    command = [sys.executable, "-m", "benchmarks.embeddings", "--worker"]
    done = subprocess.run(
        [*command, json.dumps({"do": do, **arguments})],
        cwd=ROOT,
        env=environment(threads),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"Measuring {do} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All measures, of files written to a folder."""
    vectors = EmbeddingMatrix.load(given.vectors, progress=True)
    paths = {kind: folder / name for kind, name in FORMATS.items()}
    print("Writing the files", flush=True)
    vectors.save(paths["text"])
    vectors.save(paths["binary"])
    paths["text, gzip"].write_bytes(gzip.compress(paths["text"].read_bytes(), 1))
    results: dict[str, Any] = {
        "machine": machine(),
        "started": today(),
        "threads": given.threads,
        "rounds": given.rounds,
        "versions": ask(given.threads, "versions"),
        "vectors": {
            "source": Path(given.vectors).name,
            "terms": len(vectors),
            "dimension": vectors.dimension,
        },
        "matrix_megabytes": vectors.matrix.nbytes / memory.MEGABYTE,
        "load": {},
    }
    for kind, path in paths.items():
        found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for turn in range(given.load_rounds):
            for name in CONTENDERS if turn % 2 else CONTENDERS[::-1]:
                found[name].append(ask(given.threads, "load", contender=name, path=str(path)))
                print(f"load {kind}, {name}: {found[name][-1]}", flush=True)
        results["load"][kind] = found
    binary = str(paths["binary"])
    results["queries"] = ask(
        given.threads, "queries", path=binary, rounds=given.rounds, calls=given.calls
    )
    print({k: {n: min(v) for n, v in r.items()} for k, r in results["queries"]["rounds"].items()})
    if given.data:
        results["words"] = given.words
        results["quality"] = ask(
            given.threads, "quality", path=binary, data=str(given.data), words=given.words
        )
    return results


def markdown(results: dict[str, Any]) -> str:
    """The tables of a run."""
    vectors = results["vectors"]
    known = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    where = ", ".join(str(value) for value in results["machine"].values())
    difference = results["queries"]["difference"]
    lines = [
        "# The embedding matrix and gensim, side by side",
        "",
        f"{where}; {results['threads']} threads. {results['started']}. {known}.",
        "",
        f"Vectors: {vectors['source']}, {vectors['terms']:,} × {vectors['dimension']}, of which "
        f"the matrix takes {results['matrix_megabytes']:.0f} MB. Made by `{results['command']}`; "
        "all figures are in `embeddings.json`.",
        "",
        "Times are medians, ± the interquartile range. A ratio is gensim's time by ours, the "
        "median of those of the rounds: above 1, ours is faster.",
        "",
        f"## Queries for the {TOPN} nearest words",
        "",
        f"Similarities differ by {difference:.1e} at most (allowed: {TOLERANCE:.0e}).",
        "",
        "| | ours | gensim | ratio |",
        "| --- | --: | --: | --: |",
    ]
    titles = {"one": "one query", "batch": f"{QUERIES:,} queries, for gensim one by one"}
    for name, rounds in results["queries"]["rounds"].items():
        cells = [_spread(rounds[contender], TIMED[name]) for contender in CONTENDERS]
        ratio = paired_ratio(rounds[GENSIM], rounds[OURS])
        lines.append(f"| {titles[name]} | {' | '.join(cells)} | {ratio:.2f} |")
    lines += [
        "",
        "## Reading a file",
        "",
        "| format | ours | gensim | ratio | memory, ours | memory, gensim |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for kind, found in results["load"].items():
        seconds = {name: [one["seconds"] for one in found[name]] for name in CONTENDERS}
        cells = [_spread(seconds[name], "s") for name in CONTENDERS]
        ratio = paired_ratio(seconds[GENSIM], seconds[OURS])
        grown = [f"{max(one['megabytes'] for one in found[name]):.0f} MB" for name in CONTENDERS]
        lines.append(f"| {kind} | {' | '.join(cells)} | {ratio:.1f} | {' | '.join(grown)} |")
    lines += ["", "Memory is what the process grew by at most, terms and indices included."]
    if "quality" in results:
        seconds = results["quality"]["seconds"]
        lines += [
            "",
            f"## What the first {results['words']:,} words know",
            "",
            "| | ours | gensim | asked | with unknown words |",
            "| --- | --: | --: | --: | --: |",
        ]
        for title, figure in results["quality"]["figures"].items():
            lines.append(
                f"| {title} | {figure[OURS]:.2f} | {figure[GENSIM]:.2f} | "
                f"{figure['asked'][OURS]:,} | {figure['unknown']:,} |"
            )
        lines += [
            "",
            f"The analogies took {seconds[OURS]:.1f} s, and {seconds[GENSIM]:.1f} s with gensim.",
        ]
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], unit: str) -> str:
    found = summarise(values)
    return f"{found['median']:.2f} ± {found['iqr']:.2f} {unit}"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The command line."""
    given = _parse(arguments)
    if given.worker:
        asked = json.loads(given.worker)
        answer = WORK[asked.pop("do")](**asked)
        print(json.dumps(answer))
        return answer
    with tempfile.TemporaryDirectory() as folder:
        results = measure(given, Path(folder))
    if not results["queries"]["difference"] <= TOLERANCE:
        raise SystemExit(f"Similarities differ by {results['queries']['difference']:.1e}.")
    # Where somebody keeps files says nothing to others.
    flags = arguments or sys.argv[1:]
    shown = ["DIR" if Path(a).is_dir() else Path(a).name if "/" in a else a for a in flags]
    results["command"] = shlex.join(["python", "-m", "benchmarks.embeddings", *shown])
    out = Path(given.out)
    with replacing_file(out / "embeddings.json") as path:
        path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with replacing_file(out / "embeddings.md") as path:
        path.write_text(markdown(results), "utf-8")
    print(markdown(results))
    return results


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.embeddings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--vectors", default="glove-6b-50d", help="any file, preset or package")
    parser.add_argument("--data", metavar="DIR", help="where questions and pairs lie")
    parser.add_argument("--words", type=int, default=30_000, help="how many words are evaluated")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--load-rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=50, help="queries in a turn of `one`")
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results"), metavar="DIR")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    check_counts(parser, given, "words", "threads", "rounds", "load_rounds", "calls")
    return given


if __name__ == "__main__":
    main()
