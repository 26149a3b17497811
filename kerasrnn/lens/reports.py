"""Write a page of HTML with all that can be seen inside of a trained model."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

_EXAMPLES = 16


def report(
    model: Any,
    x: Any = None,
    y: Any = None,
    path: str | os.PathLike[str] | None = None,
    *,
    loss: Any = None,
    examples: int = _EXAMPLES,
    title: str | None = None,
) -> str:
    """A page with all that the lens shows of a model, in one file.

    What the model is, and its figures; its memory horizon; how the gradient flows back, by lag,
    over time and through the unrolled network; the singular values and the terms of the Jacobians
    of each layer's state, and its Lyapunov exponent; which gates open at which word; saturated and
    dead gates; the weights by gate, and their gradients where there are targets; and the learning
    curves of a run.

    The page needs no script and no network: style and pictures are in it, the pictures in a light
    and a dark form. A part that cannot be made for a model says why in its place.

    Args:
        model: a built Keras model with recurrent layers; a task of `kerasrnn.zoo`; or where one
            lies: the folder of a run, the name or the folder of a preset, or a `.keras` file.
        x: what the model reads, as `gradient_flow` takes it. None for what there is: of a task that
            was trained on data of the package those to test with, else the texts of its card and
            its sample requests, or what it writes itself; of another model random numbers.
        y: the targets, for the gradients of the loss; examples of a task have theirs.
        path: the file to write, whole or not at all; None for none.
        loss: a loss of Keras, for a model that is not compiled with one.
        examples: how many examples are read at most where `x` is None.
        title: what the model is called; None for its own name.

    Returns:
        The HTML.

    Raises:
        FileNotFoundError: there is no such run, preset or file.
        TypeError, ValueError: the model has no recurrent layer, or is not built; nobody knows what
            it reads; or it cannot be loaded.
        IsADirectoryError: `path` is a folder.

    Example:

    >>> import keras, numpy as np
    >>> from kerasrnn.lens import report
    >>> model = keras.Sequential([
    ...     keras.Input((5, 3)), keras.layers.GRU(4, name="gru"), keras.layers.Dense(1)])
    >>> html = report(model, np.ones((2, 5, 3)), np.ones((2, 1)), loss="mse")
    >>> html.startswith("<!DOCTYPE html>"), "Memory horizon" in html
    (True, True)
    """
    from kerasrnn.data.errors import whole_number
    from kerasrnn.lens.probing import recurrent_layers
    from kerasrnn.lens.report_sources import Examples, examples_of, opened

    _check_target(path)
    examples = whole_number(examples, "examples", 1)
    if x is None and y is not None:
        raise ValueError("`x` must be given with `y`.")
    found = opened(model)
    recurrent_layers(found.model)
    given = examples_of(found, examples) if x is None else Examples(x, y, "the data it was given")
    return _written(found, given, path, loss=loss, title=title)


def _written(
    found: Any, examples: Any, path: Any, *, loss: Any = None, title: str | None = None
) -> str:
    from dataclasses import replace

    from kerasrnn._version import __version__
    from kerasrnn.lens import report_parts as parts
    from kerasrnn.lens.report_page import page, paragraph
    from kerasrnn.storage.atomic import replacing_file

    found = found if title is None else replace(found, title=title)
    study = parts.Study(found, examples, loss)
    sections = [
        ("model", "The model", parts.what_it_is),
        ("gradient", "How far the gradient reaches", parts.flow),
    ]
    if study.is_labelled:
        sections.append(("loss", "The gradient of the loss", parts.loss))
    sections += [
        ("step", "One step of each layer", parts.jacobians),
        ("gates", "Gates over the words", parts.gates_over_words),
        ("saturation", "Saturated and dead gates", parts.saturation),
        ("weights", "Weights by gate", parts.weights),
    ]
    if found.history:
        sections.append(("learning", "Learning curves", parts.learning))
    sections.append(("data", "What was measured", parts.data))
    body = ["<header>", _heading(1, found.title)]
    if found.summary:
        body.append(paragraph(found.summary))
    body += [*_made(parts.horizon, study), "</header>"]
    links = "".join(f'<li><a href="#{name}">{head}</a></li>' for name, head, _ in sections)
    body += [f'<nav aria-label="Parts of this page"><ul>{links}</ul></nav>', "<main>"]
    for name, head, part in sections:
        body += [f'<section id="{name}">', _heading(2, head), *_made(part, study), "</section>"]
    body += [
        "</main>",
        f"<footer>{paragraph(f'Written by kerasrnn.lens {__version__}.', 'quiet')}</footer>",
    ]
    html = page(f"{found.title}: look inside", body)
    if path is not None:
        with replacing_file(path) as temporary:
            temporary.write_text(html, encoding="utf-8")
    return html


def _made(part: Any, study: Any) -> list[str]:
    """A part of the page; where it fails, what it has come to and why it went no further."""
    from kerasrnn.lens.report_page import paragraph

    done: list[str] = []
    try:
        for piece in part(study):
            done.append(piece)
    except Exception as error:  # one part of a strange model must not lose the rest of the page
        reason = str(error) or type(error).__name__
        done.append(paragraph(f"This part could not be made: {reason}", "missing"))
    return done


def _heading(level: int, text: str) -> str:
    from html import escape

    return f"<h{level}>{escape(text)}</h{level}>"


def _check_target(path: str | os.PathLike[str] | None) -> None:
    """Raise before the work is done where its result could not be written."""
    if path is None:
        return
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"`path` must name a file. Received the folder {target}.")
    parents = [parent for parent in target.absolute().parents if parent.exists()]
    if not parents[0].is_dir() or not os.access(parents[0], os.W_OK):
        raise PermissionError(f"`path` must name a file that can be written. Received: {target}")


# === Command ===


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's words.

    Args:
        parser: the parser of the command.
    """
    parser.add_argument(
        "model",
        metavar="RUN|PRESET",
        help="the folder of a run, the name or the folder of a preset, or a .keras file",
    )
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="what the model is to read: a file as its training script reads it, with which the "
        "gradients of the loss are shown too; a text file with a text in each line; or arrays "
        "(.npy, or .npz with x and y). By default data of the package, or samples of the model's "
        "own",
    )
    parser.add_argument(
        "--out", metavar="FILE", default="report.html", help="the page (default: %(default)s)"
    )
    parser.add_argument(
        "--examples",
        type=int,
        default=_EXAMPLES,
        metavar="N",
        help="how many examples are read at most (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page.

    Args:
        arguments: what `add_arguments` describes, read.

    Returns:
        0, or 2 where the model or the data cannot be read.
    """
    try:
        _check_target(arguments.out)
        import matplotlib

        matplotlib.use("agg")
        from kerasrnn.data.errors import whole_number
        from kerasrnn.lens.probing import recurrent_layers
        from kerasrnn.lens.report_sources import examples_of, opened, read_examples

        count = whole_number(arguments.examples, "--examples", 1)
        found = opened(arguments.model)
        recurrent_layers(found.model)
        if arguments.data is None:
            examples = examples_of(found, count)
        else:
            examples = read_examples(found.model, arguments.data, count)
        _written(found, examples, arguments.out)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"report: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(arguments.out)
    return 0
