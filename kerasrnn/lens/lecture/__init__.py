"""Execute every equation and example of the lecture, and write the page that shows them.

The page is `docs/lecture.md`, its pictures lie in `docs/lecture/`. An item of it is a function: its
docstring is the text, its body the code that is shown, and what it prints the output. What it
returns is drawn.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from kerasrnn.extras import require_tensorflow
from kerasrnn.lens.lecture.page import Item, checkout, execute, render
from kerasrnn.storage.atomic import replacing_file

PAGE = "lecture.md"


def items() -> list[Item]:
    """The items, in the order of the lecture.

    Returns:
        A list of them; nothing has been executed yet.

    Example:

    >>> from kerasrnn.lens.lecture import items
    >>> items()[0].title
    'The recurrent network, forwards'
    """
    from kerasrnn.lens.lecture import gated, recurrent, stacked, tasks, words

    return [
        recurrent.forward,
        recurrent.through_time,
        recurrent.tanh_factor,
        recurrent.products,
        gated.simplified_gru,
        gated.four_terms,
        gated.full_gru,
        gated.lstm,
        stacked.bidirectional,
        stacked.deep,
        words.vocabulary,
        words.word_table,
        words.t_sne,
        tasks.named_entities,
        tasks.transfer,
        words.analogy,
        words.argmax,
        words.one_hot,
        tasks.grew_up_in,
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags.

    Args:
        parser: the parser of the command.
    """
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"the folder for {PAGE} and, in lecture/, its pictures. Default: docs/ of a checkout, "
        "else the current folder",
    )


def run(arguments: argparse.Namespace) -> int:
    """Execute all items, one after the other, and write the page.

    Args:
        arguments: what `add_arguments` declared.

    Returns:
        The exit code: 0, or 1 where something that is needed is not there.
    """
    root = checkout()
    folder = arguments.out or (root / "docs" if root else Path())
    everything = items()
    try:
        for item in everything:
            item.check_packages()
        (folder / "lecture").mkdir(parents=True, exist_ok=True)
        require_tensorflow("The lecture")
    except (ImportError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    outputs = {}
    start = time.perf_counter()
    for number, item in enumerate(everything, start=1):
        began = time.perf_counter()
        print(f"{number:2}/{len(everything)} {item.title} … ", end="", flush=True)
        outputs[item.name], values = execute(item)
        picture = item.drawn(values)
        if picture is not None:
            with replacing_file(folder / item.picture_path) as path:
                picture.savefig(path, dpi=110)
        print(f"{time.perf_counter() - began:.1f} s", flush=True)
    with replacing_file(folder / PAGE) as path:
        path.write_text(render(everything, outputs, folder), encoding="utf-8")
    print(f"{folder / PAGE} in {time.perf_counter() - start:.0f} s")
    return 0
