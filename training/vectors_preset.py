"""Makes a preset of word vectors that somebody gives away.

`python -m training.vectors_preset NAME --vectors SOURCE --limit N --card FILE` takes the first N
words of a file or package of vectors (`kerasrnn.embeddings`), without vectors of contexts, and
measures them as they were and as they are in the preset. The card is a TOML file as for
`training.make_preset`; without `--card`, the preset of that name keeps its texts.
"""

from __future__ import annotations

import argparse
import datetime
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasrnn.embeddings import EmbeddingMatrix
from kerasrnn.storage.small_weights import WEIGHTS_DTYPES
from kerasrnn.zoo import WordVectors
from kerasrnn.zoo.presets import read_config, read_index

from . import zoo_readme
from .data import data_path
from .endings import make_console, reporting_errors
from .fitting import parameters_of
from .make_preset import (
    card_texts,
    enter_into_index,
    hardware,
    save_metrics,
    serving_speed,
)
from .word_vectors import SCRIPT, WordData

# Files of the data folder by the figures that they are for.
QUESTIONS = "embeddings/questions-words.txt"
PAIRS = {
    "spearman": "embeddings/EN-WS-353-ALL.txt",
    "spearman_simlex": "embeddings/EN-SIMLEX-999.txt",
}


def measure(matrix: EmbeddingMatrix) -> dict[str, Any]:
    """How good vectors are.

    Args:
        matrix: the vectors.

    Returns:
        `analogy_accuracy` of Google's questions whose words are all there, `spearman` of
        WordSim-353 and `spearman_simlex` of SimLex-999, and how many questions and pairs these are.

    Raises:
        ValueError: if one of the files is not there.
    """
    scores = matrix.evaluate_analogies(data_path(QUESTIONS))
    figures: dict[str, Any] = {"analogy_accuracy": scores.accuracy, "questions": scores.asked}
    for name, path in PAIRS.items():
        found = matrix.evaluate_word_pairs(data_path(path))
        figures |= {name: found.spearman, name.replace("spearman", "pairs"): found.pairs}
    return figures


def make(
    name: str,
    source: str,
    card: Mapping[str, Any],
    zoo: Path,
    *,
    limit: int | None = None,
    weights_dtype: str = "int8",
) -> Path:
    """Write a preset with its card and enter it into the index.

    Args:
        name: the preset's name, which says what it does.
        source: the vectors, as for `EmbeddingMatrix.load`.
        card: its texts; see `training.make_preset`.
        zoo: the folder with `index.toml`.
        limit: how many of the first words it gets; None for all.
        weights_dtype: as for `Task.save_to_preset`.

    Returns:
        The preset's folder.

    Raises:
        ValueError: if the card is not complete, or a file to measure with is not there.
    """
    texts = card_texts(card)
    matrix = EmbeddingMatrix.load(data_path(source), limit=limit)
    original = measure(matrix)
    model = WordVectors.from_matrix(matrix, context=False)
    model.save_to_preset(zoo / name, weights_dtype=weights_dtype, extra={"card": texts})
    enter_into_index(zoo, name, model, card)
    shipped = WordVectors.from_preset(zoo / name)
    requests = SCRIPT.requests(shipped, WordData(None, None, None, source, hold_out=False))
    metrics = {
        "model": "WordVectors",
        "dataset": source,
        "parameters": parameters_of(shipped),
        "hardware": hardware(),
        "date": datetime.date.today().isoformat(),
        "runs": [],
        "original": {"test": original},
        "shipped": {"test": measure(shipped.to_matrix())},
        "speed": {
            "counted": SCRIPT.counted,
            "serving": round(serving_speed(SCRIPT, shipped, requests)),
        },
    }
    save_metrics(zoo / name, metrics)
    zoo_readme.main(["--zoo", str(zoo)])
    return zoo / name


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m training.vectors_preset", description=__doc__)
    made.add_argument("name", help="the preset's name: what it does, never its size")
    made.add_argument("--vectors", required=True, metavar="SOURCE", help="a file or a package")
    made.add_argument("--limit", type=int, metavar="N", help="how many of the first words")
    made.add_argument("--card", type=Path, metavar="FILE")
    made.add_argument("--weights-dtype", choices=WEIGHTS_DTYPES, default="int8")
    made.add_argument("--zoo", type=Path, default=zoo_readme.ZOO, metavar="DIR")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    options = parser().parse_args(arguments)
    with reporting_errors(make_console(), "python -m training.vectors_preset", lambda: None):
        if options.card:
            card = tomllib.loads(options.card.read_text(encoding="utf-8"))
        else:
            card = {
                **read_config(options.zoo / options.name)["card"],
                "summary": read_index(options.zoo)[options.name]["summary"],
            }
        print(
            make(
                options.name,
                options.vectors,
                card,
                options.zoo,
                limit=options.limit,
                weights_dtype=options.weights_dtype,
            )
        )


if __name__ == "__main__":
    main()
