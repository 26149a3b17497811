"""The command `kerasrnn`: train, evaluate, predict, export, presets, lens.

Help, and what goes wrong before a model is needed, come without TensorFlow.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import itertools
import json
import os
import queue
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasrnn._version import __version__
from kerasrnn.command_line import Parser, expected
from kerasrnn.extras import BackendError, require
from kerasrnn.storage.preset_folders import (
    HUB_PREFIX,
    list_presets,
    read_config,
    resolve_model,
    resolve_preset,
)

# TensorFlow reads it when it is imported. What it logs are messages about the machine; its errors
# come as exceptions, too.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_USAGE, _FAILURE, _INTERRUPTED = 2, 1, 130
_SHELLS = ("bash", "zsh", "tcsh")
_AT_ONCE = 64  # texts

_EXAMPLES = """examples:
  kerasrnn presets
  kerasrnn predict ner_en_wnut17 "I grew up in France."
  kerasrnn train tagger --data people.conll --out runs/people
  kerasrnn predict runs/people --file texts.txt --json
  kerasrnn export runs/people serving/people
"""


class UsageError(Exception):
    """A command that makes no sense. It is printed in a line, with exit status 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name; None for that of the process.

    Returns:
        0; or 2 for what makes no sense, 1 for what went wrong, 130 after an interrupt.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "keras" not in sys.modules:
        # Whatever is configured for other programs: models of tasks run on TensorFlow.
        os.environ["KERAS_BACKEND"] = "tensorflow"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the terminal's encoding lacks
    try:
        status = _run(given)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _complain(error, _USAGE)
    except KeyboardInterrupt:
        return _complain("stopped by SIGINT", _INTERRUPTED)
    except BrokenPipeError:
        # Who read has read enough. Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILURE
    except (ValueError, LookupError, FileNotFoundError, FileExistsError, ImportError) as error:
        return _complain(error, _USAGE)
    except (OSError, BackendError) as error:
        return _complain(error, _FAILURE)


def _complain(error: object, status: int) -> int:
    text = error
    if type(error) is KeyError and error.args:  # Python writes it as the key in quotes
        text = error.args[0]
    elif isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{error.filename}: "
        text = f"{place}{error.strerror}."
    with contextlib.suppress(OSError):
        print(f"kerasrnn: {' '.join(str(text).split())}", file=sys.stderr)
    return status


def _run(given: list[str]) -> int:
    if not given:
        make_parser().print_help()
        return _USAGE
    commands = _commands()
    if not given[0].startswith("-") and given[0] not in commands:
        raise UsageError(f"Unknown command {given[0]!r}.{expected(given[0], commands)}")
    # What follows is read by the scripts and by the lens themselves, their help too.
    if given[0] == "train":
        return _train(given[1:])
    if given[0] == "lens":
        return _lens(given[1:])
    if given[0] == "evaluate" and len(given) > 1 and not given[1].startswith("-"):
        return _evaluate(given[1], given[2:])
    options = make_parser().parse_args(given)
    if options.completion:
        return _complete(options.completion)
    return options.run(options)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog="kerasrnn",
        description="Recurrent models: train, load, look inside, serve.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"kerasrnn {__version__}")
    parser.add_argument(
        "--completion",
        choices=_SHELLS,
        help="print what the shell needs to complete commands; needs kerasrnn[completion]",
    )
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", parser_class=Parser
    )
    for name, (summary, describe) in _commands().items():
        command = subparsers.add_parser(name, help=summary, description=summary)
        describe(command)
    return parser


def _parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of a command by itself."""
    summary, describe = _commands()[name]
    parser = Parser(prog=f"kerasrnn {name}", description=summary)
    describe(parser)
    return parser


def _commands() -> dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]:
    return {
        "train": ("Train a model on your data.", _describe_train),
        "evaluate": ("Measure a preset or a run on your data.", _describe_evaluate),
        "predict": ("Ask a preset or a run.", _describe_predict),
        "export": ("Write a SavedModel that TensorFlow Serving runs.", _describe_export),
        "presets": ("List the pretrained models, or show the card of one.", _describe_presets),
        "lens": ("Look inside a model: gradients, gates, report, lecture.", _describe_lens),
    }


def _complete(shell: str) -> int:
    flags_of = _training("flag_table")
    shtab = require("shtab", "completion", "--completion")
    parser = Parser(prog="kerasrnn")
    subparsers = parser.add_subparsers(parser_class=Parser)
    for name, (summary, describe) in _commands().items():
        command = subparsers.add_parser(name, help=summary)
        if name != "train":
            describe(command)
            continue
        models = command.add_subparsers(parser_class=Parser)
        for script in flags_of.SCRIPTS:
            flags = flags_of.help_parser(script, f"kerasrnn train {script}")
            models.add_parser(script, parents=[flags], add_help=False, help=flags.description)
    print(shtab.complete(parser, shell=shell))
    return 0


# === train ===


def _describe_train(parser: argparse.ArgumentParser) -> None:
    scripts = _training("flag_table").SCRIPTS
    parser.usage = "kerasrnn train MODEL [flags]"
    parser.add_argument("model", metavar="MODEL", choices=scripts, help=", ".join(scripts))
    parser.epilog = (
        "kerasrnn train MODEL --help explains the flags of a model.\n\n"
        "example:\n  kerasrnn train tagger --data people.conll --out runs/people"
    )


def _train(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help"):
        _parser_of("train").print_help()
        return 0 if given else _USAGE
    name, *flags = given
    known = _training("flag_table")
    if name not in known.SCRIPTS:
        raise UsageError(f"Unknown model {name!r} to train.{expected(name, known.SCRIPTS)}")
    command = f"kerasrnn train {name}"
    if {"-h", "--help"} & set(flags):
        known.help_parser(name, command).print_help()
        return 0
    _script(name).main(flags, command)
    return 0


def _script(name: str) -> Any:
    with _starting_quietly():
        return _training(name).SCRIPT


def _training(name: str) -> Any:
    """A module of the training scripts: `kerasrnn.training`, or `training` of a bare checkout."""
    try:
        return importlib.import_module(f"kerasrnn.training.{name}")
    except ModuleNotFoundError as error:
        if error.name != "kerasrnn.training":
            raise
        return importlib.import_module(f"training.{name}")


# What TensorFlow says of the machine when it starts, whatever its level of messages is.
_GREETING = re.compile(
    rb"WARNING: All log messages before absl|[IWE]\d{4} .*"
    rb"(port|cudart_stub|cuda_platform|cuda_executor|cpu_feature_guard)\.cc:"
)


@contextlib.contextmanager
def _starting_quietly() -> Iterator[None]:
    """Import TensorFlow without its messages about the machine; all others are passed on."""
    try:
        descriptor = sys.stderr.fileno()
        kept = os.dup(descriptor)
    except (AttributeError, OSError, ValueError):  # no standard error, or none of the system's
        yield
        return
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), descriptor)
        try:
            yield
            import tensorflow as tf

            tf.zeros(())  # looks for a GPU
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)
            heard.seek(0)
            for line in heard:
                if not _GREETING.match(line):
                    os.write(descriptor, line)


# === evaluate ===


def _describe_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.usage = "kerasrnn evaluate PRESET|RUN [--data FILE] [flags] [--json]"
    parser.add_argument("preset", metavar="PRESET|RUN", help=_PRESET_HELP)
    parser.add_argument(
        "--data", metavar="FILE", help="what to measure it on; by default what comes with kerasrnn"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.epilog = (
        "Further flags are those of kerasrnn train of its model.\n\n"
        "example:\n  kerasrnn evaluate ner_en_starter --data people.conll"
    )


def _evaluate(name: str, flags: list[str]) -> int:
    command = f"kerasrnn evaluate {name}"
    if {"-h", "--help"} & set(flags):
        _parser_of("evaluate").print_help()
        return 0
    folder = _folder_of(name)
    script = _script_of(read_config(folder)["class"])
    as_json = "--json" in flags
    flags = [flag for flag in flags if flag != "--json"]
    preset = name if name.startswith(HUB_PREFIX) else str(folder)
    aside = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with aside:
        metrics = script.main(["--preset", preset, "--evaluate-only", *flags], command)
    if as_json:
        print(json.dumps(metrics, ensure_ascii=False))
    return 0


def _script_of(class_name: str) -> Any:
    for name, described in _training("flag_table").table().items():
        if described["class"] == class_name:
            return _script(name)
    raise UsageError(f"No command trains or measures a {class_name}.")


def _folder_of(model: str) -> Path:
    if not model.strip():
        raise UsageError("The name of a preset or of a run's folder must not be empty.")
    return resolve_model(model)


# === predict ===

_PRESET_HELP = "a preset's name, a folder, a run's folder, or hf://owner/name@revision"
_TEXT_HELP = (
    "what to read; for word vectors a word; for music chords, such as 'C4 E4 G4 | D4 F4 A4', or a "
    "MIDI file"
)


def _describe_predict(parser: argparse.ArgumentParser) -> None:
    parser.usage = "kerasrnn predict PRESET|RUN [TEXT …] [--file FILE] [--json]"
    parser.add_argument("preset", metavar="PRESET|RUN", help=_PRESET_HELP)
    parser.add_argument("texts", metavar="TEXT", nargs="*", default=[], help=_TEXT_HELP)
    parser.add_argument("--file", metavar="FILE", help="a text in each line; - for standard input")
    parser.add_argument("--json", action="store_true", help="an object of JSON for each text")
    parser.add_argument("--seed", metavar="N", type=int, help="for what is written by chance")
    parser.epilog = (
        "Without TEXT and --file, standard input is read.\n\n"
        'example:\n  kerasrnn predict ner_en_wnut17 "My sister works for Google in London."'
    )
    parser.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    if options.texts and options.file:
        raise UsageError("TEXT and --file cannot be given together.")
    folder = _folder_of(options.preset)
    kind = read_config(folder)["class"]
    if kind == "MemoryModel":
        raise UsageError(
            f"{options.preset} is a MemoryModel, which reads numbers and no text. In Python: "
            "from kerasrnn.zoo import MemoryModel."
        )
    texts: Iterator[str] = (text for text in options.texts if text.strip())
    if not options.texts:
        if options.file is None and sys.stdin is not None and sys.stdin.isatty():
            raise UsageError("There is no text: give TEXT, --file FILE, or standard input.")
        texts = _lines(options.file or "-")
    first = next(texts, None)
    if first is None:
        raise UsageError("There is no text to read.")
    answer = _answering(kind, folder, options.seed)
    console = None if options.json else _console()
    for part in _parts(itertools.chain([first], texts)):
        for found in answer(part):
            if console is None:
                print(json.dumps(found, ensure_ascii=False), flush=True)
            else:
                _print_answer(console, found)
    return 0


def _answering(kind: str, folder: Path, seed: int | None) -> Callable[[list[str]], Any]:
    if kind == "WordVectors":  # TensorFlow is not needed
        from kerasrnn.embeddings import EmbeddingMatrix

        matrix = EmbeddingMatrix.load(str(folder))
        return lambda words: (
            {"text": word, "similar": [list(pair) for pair in matrix.most_similar(word, topn=5)]}
            for word in words
        )
    with _starting_quietly():
        from kerasrnn import zoo
    task = zoo.Task.from_preset(folder)
    return lambda texts: zoo.answers(task, texts, seed=seed)


def _parts(texts: Iterator[str]) -> Iterator[list[str]]:
    """The texts that are there, some at once, so that a stream is answered while it is written."""
    waiting: queue.Queue[Any] = queue.Queue(maxsize=4 * _AT_ONCE)
    end = object()

    def read() -> None:
        try:
            for text in texts:
                waiting.put(text)
            waiting.put(end)
        except BaseException as error:  # is raised where it is read
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    last = None
    while last is None:
        part, item = [], waiting.get()
        while True:
            if item is end or isinstance(item, BaseException):
                last = item
                break
            part.append(item)
            if len(part) == _AT_ONCE or waiting.empty():
                break
            item = waiting.get()
        if part:
            yield part
    if isinstance(last, BaseException):
        raise last


def _lines(file: str) -> Iterator[str]:
    """The lines of a file or of standard input that have something in them."""
    name = "standard input" if file == "-" else file
    with contextlib.ExitStack() as stack:
        if file == "-":
            stream: Any = sys.stdin.buffer if sys.stdin is not None else ()
        else:
            path = Path(file)
            if path.is_dir():
                raise UsageError(f"--file must name a file. {file} is a folder.")
            stream = stack.enter_context(path.open("rb"))
        for number, line in enumerate(stream, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise UsageError(
                    f"{name}, line {number}: not UTF-8 (byte {error.object[error.start]:#04x} at "
                    f"{error.start}). Expected text in UTF-8, such as iconv -t UTF-8 makes."
                ) from error
            if text:
                yield text


def _console() -> Any:
    """Where answers are shown: in colour on a terminal, plain elsewhere and under `NO_COLOR`."""
    from rich.console import Console

    return Console(soft_wrap=True, highlight=False, markup=False, emoji=False)


_STYLES = ("bright_cyan", "bright_green", "bright_magenta", "bright_yellow", "bright_red")


def _print_answer(console: Any, found: dict[str, Any]) -> None:
    from rich.text import Text

    from kerasrnn.display import pieces_of

    line = Text()
    for text, label in pieces_of(found):
        if label == "written":
            line.append(text, style="bold")
        elif label:
            style = _STYLES[sum(map(ord, label)) % len(_STYLES)]
            line.append(f"[{text} {label}]", style=f"bold {style}")
        else:
            line.append(text)
    console.print(line)


# === export ===


def _describe_export(parser: argparse.ArgumentParser) -> None:
    parser.usage = "kerasrnn export PRESET|RUN FOLDER [--version N] [--overwrite]"
    parser.add_argument("preset", metavar="PRESET|RUN", help=_PRESET_HELP)
    parser.add_argument("folder", metavar="FOLDER", help="where FOLDER/VERSION is to appear")
    parser.add_argument("--version", metavar="N", type=int, default=1, help="1 by default")
    parser.add_argument("--overwrite", action="store_true", help="replace that version")
    parser.epilog = "example:\n  kerasrnn export ner_en_starter serving/tagger"
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    if options.version < 1:
        raise UsageError(f"--version must be 1 or more. Received: {options.version}")
    folder = _folder_of(options.preset)
    with _starting_quietly():
        from kerasrnn.serving import serving_command
        from kerasrnn.zoo import Task
    task = Task.from_preset(folder)
    report = task.export(options.folder, version=options.version, overwrite=options.overwrite)
    print(report)
    print()
    print(serving_command(options.folder, Path(options.folder).resolve().name))
    return 0


# === presets ===


def _describe_presets(parser: argparse.ArgumentParser) -> None:
    parser.usage = "kerasrnn presets [PRESET] [--json]"
    parser.add_argument("preset", metavar="PRESET", nargs="?", help="the one whose card to show")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "example:\n  kerasrnn presets words_en"
    parser.set_defaults(run=_presets)


def _presets(options: argparse.Namespace) -> int:
    from kerasrnn.storage.cards import headline, without_head

    presets = list_presets()
    if options.preset is not None:
        folder = resolve_preset(options.preset)
        presets = [preset for preset in presets if preset.path == folder]
        if not presets:
            raise UsageError(f"{options.preset} has no entry in an index of presets.")
    rows: list[dict[str, Any]] = [
        {
            "name": preset.name,
            "class": preset.task,
            "summary": preset.summary,
            "licence": preset.licence,
            "bytes": preset.bytes,
            "figure": headline(preset.path, preset.task),
        }
        for preset in presets
    ]
    if options.json:
        print(json.dumps(rows[0] if options.preset else rows, ensure_ascii=False, indent=1))
        return 0
    card = presets[0].path / "README.md" if options.preset else None
    if card is not None and card.is_file():
        print(without_head(card.read_text(encoding="utf-8")), end="")
        return 0
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("preset", "what it does", "figure", "licence"):
        table.add_column(title, overflow="fold")
    table.add_column("MB", justify="right")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}"
        table.add_row(row["name"], row["summary"], row["figure"], row["licence"] or "", size)
    from rich.console import Console

    console = Console(emoji=False, markup=False)
    if not console.is_terminal:
        console = Console(width=160, emoji=False, markup=False)
    console.print(table)
    return 0


# === lens ===


def _describe_lens(parser: argparse.ArgumentParser) -> None:
    from kerasrnn.lens.__main__ import add_commands

    add_commands(parser)
    parser.epilog = "example:\n  kerasrnn lens report ner_en_starter --out report.html"


def _lens(given: list[str]) -> int:
    parser = _parser_of("lens")
    options = parser.parse_args(given)
    if options.command is None:
        parser.print_help()
        return _USAGE
    if options.command == "report" and not options.model.endswith(".keras"):
        resolve_model(options.model)  # before TensorFlow is loaded
    with _starting_quietly():
        pass
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
