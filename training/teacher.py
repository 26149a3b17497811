"""Has a pretrained transformer label texts, for a small recurrent network to learn from.

`python -m training.teacher tagger --data FILE --out FILE.npz` fine-tunes an encoder on labelled
data, and writes what it says of these texts, of altered copies of them and of further texts that
need no labels. `python -m training.tagger --soft-labels FILE.npz` learns from that: knowledge
distillation (Hinton, Vinyals and Dean 2015; Tang et al. 2019). It needs the extra
`kerasrnn[teacher]`; a GPU is used where PyTorch finds one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasrnn.data import load_sentences, load_texts
from kerasrnn.data.files import read_lines
from kerasrnn.embeddings import SUBWORD_PACKAGES, read_vectors
from kerasrnn.networks.options import NOT_NEGATIVE, SHARE
from kerasrnn.text import Capitals, Tokenizer
from kerasrnn.zoo.inputs import tokenize

from .altered_texts import altered, neighbours
from .classifier import SCRIPT as CLASSIFIER
from .data import data_path
from .endings import make_console, reporting_errors
from .flags import COUNT, POSITIVE, SEED, UsageError, check_range
from .script import Script
from .soft_labels import SoftLabels
from .tagger import SCRIPT as TAGGER

SCRIPTS: dict[str, Script[Any, Any]] = {"tagger": TAGGER, "classifier": CLASSIFIER}

# What the data says weighs as much as what the teacher says of it.
_SHARE_OF_DATA = 0.5

# Longer texts are few, and cost much.
_MOST_WORDS = 60
_FEWEST_WORDS = 3

_RANGES = {
    **dict.fromkeys(("replaced", "unknown", "cut", "word_dropout"), SHARE),
    **dict.fromkeys(("teachers", "epochs", "batch_size"), COUNT),
    **{"learning_rate": POSITIVE, "copies": NOT_NEGATIVE, "seed": SEED},
}


@dataclass(frozen=True)
class Lesson:
    """What a teacher learns, and what it is asked then.

    Attributes:
        texts: the training texts, each a list of words.
        targets: for each the number of its label, or of each word's.
        validation: other texts.
        validation_targets: their labels.
        labels: the names of the labels.
        others: texts without labels.
        forms: how each word is capitalised.
    """

    texts: list[list[str]]
    targets: list[Any]
    validation: list[list[str]]
    validation_targets: list[Any]
    labels: list[str]
    others: list[list[str]]
    forms: dict[str, int]


def prepare(options: argparse.Namespace) -> Lesson:
    """Read the data, and make the texts that the teacher is to label.

    Args:
        options: the command line.

    Returns:
        All that training a teacher takes.

    Raises:
        UsageError: if a flag makes no sense for the task.
    """
    script = SCRIPTS[options.task]
    settings = {"data": options.data, "validation": options.validation}
    if options.task == "tagger":
        settings["column"] = options.column
    elif options.column is not None:
        raise UsageError(f"--column is for taggers only. Received: {options.column!r}")
    data = script.load_data(script.config_class(**settings))
    parts, rows = {}, {}
    for part in ("train", "validation"):
        examples = getattr(data, part)
        if options.task == "tagger":
            parts[part] = [list(example.tokens) for example in examples]
            rows[part] = [list(example.tags) for example in examples]
        else:
            parts[part] = _words([example.text for example in examples])
            rows[part] = [example.label for example in examples]
    names = [[row] if isinstance(row, str) else row for row in rows["train"]]
    labels = sorted({name for row in names for name in row})
    numbers = {label: number for number, label in enumerate(labels)}
    targets = {
        part: [
            numbers[row] if isinstance(row, str) else [numbers[name] for name in row]
            for row in rows[part]
        ]
        for part in parts
    }
    further = [text for source in options.unlabelled for text in read_words(data_path(source))]
    further = [text for text in further if _FEWEST_WORDS <= len(text) <= _MOST_WORDS]
    similar = _similar(options.embeddings, [*parts["train"], *further])
    generator = np.random.default_rng(options.seed)
    copies = [
        text
        for _ in range(options.copies)
        for text in altered(
            parts["train"],
            similar,
            replaced=options.replaced,
            unknown=options.unknown,
            cut=options.cut,
            generator=generator,
        )
    ]
    words = {word for text in [*parts["train"], *parts["validation"], *further] for word in text}
    words |= {word for text in copies for word in text}
    ordered = sorted(words)
    forms = dict(zip(ordered, Capitals()(ordered).numpy().tolist(), strict=True))
    return Lesson(
        parts["train"],
        targets["train"],
        parts["validation"],
        targets["validation"],
        labels,
        further + copies,
        forms,
    )


def read_words(source: str) -> list[list[str]]:
    """The texts of a file, whatever labels it has, in words.

    Args:
        source: CoNLL or CoNLL-U columns; a `.csv` or `.tsv` table with a column `text`, or a
            `.tsv` table without, of whose first column each text is taken once; or one text a line.

    Returns:
        The words of each text.

    Raises:
        DataError: if the file cannot be read.
    """
    names = Path(source).name.split(".")[1:]
    if any(name.startswith("conll") for name in names):
        return [list(sentence.tokens) for sentence in load_sentences(source)]
    if "csv" in names:
        return _words([row.text for row in load_texts(source)])
    lines = read_lines(source)
    if "tsv" in names:
        if "text" in lines[0].split("\t"):
            return _words([row.text for row in load_texts(source)])
        lines = list(dict.fromkeys(line.split("\t")[0] for line in lines))
    return _words(lines)


def assemble(lesson: Lesson, said: Sequence[np.ndarray], said_of_others: Any) -> SoftLabels:
    """What a student learns from: the training texts twice, the others once.

    Args:
        lesson: the texts.
        said: the teacher's probabilities for the training texts.
        said_of_others: those for the others.

    Returns:
        Texts and probabilities. Those of the training texts are the mean of what the data says and
        what the teacher says.
    """
    certain = np.eye(len(lesson.labels), dtype=np.float32)
    mixed = [
        _SHARE_OF_DATA * certain[target] + (1 - _SHARE_OF_DATA) * row
        for target, row in zip(lesson.targets, said, strict=True)
    ]
    texts = [*lesson.texts, *lesson.texts, *lesson.others]
    return SoftLabels(texts, lesson.labels, [*mixed, *mixed, *said_of_others])


def accuracy(probabilities: Sequence[np.ndarray], targets: Sequence[Any]) -> float:
    """The share of labels that are right.

    Args:
        probabilities: for each text `(words, labels)` or `(labels,)`.
        targets: the numbers of the right ones.

    Returns:
        From 0 to 1, over all words or all texts.
    """
    answers = np.concatenate([np.atleast_1d(row.argmax(axis=-1)) for row in probabilities])
    return float(np.mean(answers == np.concatenate([np.atleast_1d(row) for row in targets])))


def _words(texts: Sequence[str]) -> list[list[str]]:
    return tokenize(Tokenizer(split_contractions=True), list(texts))[0]


def _similar(source: str, texts: Sequence[Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """Words that may stand for each other, by word vectors; each source weighs the same."""
    words = sorted({word for text in texts for word in text})
    parts, found = [], np.ones(len(words), bool)
    for part in source.split("+"):
        vectors = read_vectors(data_path(part), words)
        parts.append(vectors.matrix / max(1e-9, float(vectors.matrix.std())))
        found &= np.asarray(vectors.found, bool)
    return neighbours(words, np.concatenate(parts, axis=1), found)


def parser() -> argparse.ArgumentParser:
    """The flags of the command line."""
    flags = argparse.ArgumentParser(prog="python -m training.teacher", description=__doc__)
    flags.add_argument("task", choices=sorted(SCRIPTS), help="whose data it is")
    flags.add_argument("--data", required=True, help="training data, as for the task's script")
    flags.add_argument("--validation", help="validation data, only measured")
    flags.add_argument("--column", help="where the tags are, as for training.tagger")
    flags.add_argument(
        "--unlabelled", nargs="*", default=[], metavar="FILE", help="further texts to label"
    )
    flags.add_argument(
        "--encoder",
        default="minilm-l6",
        help="a package of word pieces, or a folder or name for transformers.AutoModel",
    )
    flags.add_argument(
        "--embeddings",
        default="words_en+minilm-l6",
        help="word vectors, that tell which words may replace each other",
    )
    flags.add_argument("--copies", type=int, default=3, help="altered copies of each text")
    flags.add_argument("--replaced", type=float, default=0.1, help="share of words replaced")
    flags.add_argument("--unknown", type=float, default=0.05, help="share of words made unknown")
    flags.add_argument("--cut", type=float, default=0.0, help="share of copies that lose an end")
    flags.add_argument("--teachers", type=int, default=2, help="how many to take the mean of")
    flags.add_argument("--epochs", type=int, default=4)
    flags.add_argument("--batch-size", type=int, default=32)
    flags.add_argument("--learning-rate", type=float, default=1e-4)
    flags.add_argument("--word-dropout", type=float, default=0.02)
    flags.add_argument("--seed", type=int, default=1)
    flags.add_argument("--out", required=True, metavar="FILE.npz")
    return flags


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the script.

    Args:
        arguments: the command line without the program's name; None for that of the process.
    """
    console = make_console()
    options = parser().parse_args(arguments)
    with reporting_errors(console, "python -m training.teacher", lambda: None):
        try:
            from . import teacher_network
        except ModuleNotFoundError as error:
            raise UsageError(
                f"A teacher needs {error.name}: pip install 'kerasrnn[teacher]'."
            ) from error
        for name, within in _RANGES.items():
            check_range(name, getattr(options, name), within)
        package = SUBWORD_PACKAGES.get(options.encoder)
        folder = options.encoder if package is None else package.encoder()
        teacher_network.check_encoder(folder)
        lesson = prepare(options)
        console.print(
            f"{options.data}: {len(lesson.texts)} texts to learn, {len(lesson.labels)} labels, "
            f"{len(lesson.others)} other texts to label",
            highlight=False,
        )
        networks = []
        for number in range(options.teachers):
            networks.append(
                teacher_network.fine_tune(
                    folder,
                    lesson.texts,
                    lesson.targets,
                    len(lesson.labels),
                    lesson.forms.__getitem__,
                    epochs=options.epochs,
                    learning_rate=options.learning_rate,
                    batch_size=options.batch_size,
                    word_dropout=options.word_dropout,
                    seed=options.seed + number,
                    report=lambda epoch, loss, number=number: console.print(
                        f"teacher {number + 1}, epoch {epoch}/{options.epochs}: loss {loss:.4f}",
                        highlight=False,
                    ),
                )
            )

        def ask(texts: Sequence[Sequence[str]]) -> list[np.ndarray]:
            return teacher_network.probabilities(networks, texts, lesson.forms.__getitem__)

        right = accuracy(ask(lesson.validation), lesson.validation_targets)
        console.print(f"teachers, validation: accuracy {100 * right:.2f} %", highlight=False)
        labelled = assemble(lesson, ask(lesson.texts), ask(lesson.others))
        labelled.save(options.out)
        console.print(f"{len(labelled.texts)} texts with soft labels: {options.out}")


if __name__ == "__main__":
    main()
