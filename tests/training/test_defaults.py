"""What scripts choose where nothing is said, and what they say of it."""

import dataclasses
import io
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from kerasrnn.zoo import list_presets
from kerasrnn.zoo.language_model import NextToken
from kerasrnn.zoo.presets import read_config
from training import (
    classifier,
    encoder_decoder,
    language_model,
    make_preset,
    memory,
    music,
    plots,
    tagger,
    teacher,
    vectors_preset,
    word_vectors,
)
from training.endings import make_console
from training.flags import parse_config
from training.language_model import LanguageData, LanguageModelConfig

SCRIPTS = (classifier, encoder_decoder, language_model, memory, music, tagger, word_vectors)


def chosen(characters: int, **flags) -> LanguageModelConfig:
    source = flags.pop("source", "book.txt")
    data = LanguageData(["x" * characters], ["y"], [], source)
    return language_model.SCRIPT.with_defaults(LanguageModelConfig(**flags), data)


@pytest.mark.parametrize(
    ("characters", "flags", "expected"),
    [
        (235_000, {"level": "words"}, 8),  # a book of 47,000 words, less its last tenth
        (235_000, {}, 32),
        (1_000_000, {}, 64),  # as before
        (1_000_000, {"source": "builtin:python"}, 64),
        (5_000_000, {"level": "words"}, 64),
        (100, {}, 8),
        (235_000, {"level": "words", "batch_size": 64}, 64),
        (235_000, {"level": "words", "segment_length": 20}, 32),
        (235_000, {"level": "words", "carry": False}, 64),
    ],
)
def test_a_small_book_is_learnt_in_small_batches(characters, flags, expected):
    assert chosen(characters, **flags).batch_size == expected


def test_the_words_of_a_small_book_are_read_a_few_times_only():
    """With 15 epochs the best was the third of them: 201 on validation data, 162 with 5."""
    assert chosen(235_000, level="words").epochs == 5
    assert chosen(235_000, level="words", epochs=9).epochs == 9
    assert chosen(235_000).epochs == 15
    assert chosen(5_000_000, level="words").epochs == 3


def test_an_epoch_of_a_small_book_has_many_steps():
    config = chosen(235_000, level="words")
    words = 235_000 // 5.6
    assert words / (config.batch_size * config.segment_length) > 50


def test_the_help_of_limit_is_what_the_code_does():
    [field] = [f for f in dataclasses.fields(LanguageModelConfig) if f.name == "limit"]
    [number] = re.findall(r"[\d,]{5,}", field.metadata["help"])
    limit = chosen(10**7, source="builtin:python").limit
    assert int(number.replace(",", "")) == limit


ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.name)
def test_the_commands_of_a_card_can_be_parsed(preset, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = read_config(preset.path)
    script = make_preset.script_of(config["class"])
    card = (preset.path / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(?:KERASRNN_DATA=DIR )?python -m training\.(\w+) (.*)$", card, re.M)
    others = {"teacher": teacher, "vectors_preset": vectors_preset}
    made_by = {script.name}, {script.name, "teacher"}, {"vectors_preset"}
    assert {name for name, _ in commands} in made_by
    for name, flags in commands:
        if name in others:
            others[name].parser().parse_args(shlex.split(flags))
            continue
        parsed = parse_config(
            script.config_class, shlex.split(flags), name=name, description=script.description
        )
        # The command makes the model of the card: what it says of options is what the preset has.
        # A length of embeddings is that of their file.
        for option, value in parsed.options.items():
            if option in config["arguments"] and not option.endswith("_dimension"):
                assert config["arguments"][option] == value, option


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_no_help_names_a_number_that_is_another_default(script):
    """A default is added to each help by `parse_config`; a help that names one is of one mind."""
    for field in dataclasses.fields(script.SCRIPT.config_class):
        shown = field.metadata.get("help", "")
        for number in re.findall(r"(\d[\d,.]*\d|\d) by default", shown):
            assert field.default in (None, float(number.replace(",", "")))


def test_a_log_leaves_lines_as_they_are(capsys):
    console = make_console()
    assert not console.is_terminal
    line = "word " * 50 + "end"
    console.print(line)
    console.print("short")
    assert capsys.readouterr().out == f"{line}\nshort\n"


class Writer:
    """A language model that writes what it is told."""

    def __init__(self, text="", token=""):
        self.text, self.token = text, token
        self.settings = {"level": "characters"}

    def generate(self, prompts, **_):
        return [prompt + self.text for prompt in prompts]

    def predict(self, prompts):
        return [[NextToken(self.token, 0.5)] for _ in prompts]


def test_a_generated_text_reaches_a_file_with_its_own_line_breaks():
    text = "a\tb  \n\n" + "x" * 300 + "\n[bold]end"
    data = LanguageData(["a"], ["first line of a text\nand more"], [], "book.txt")
    file = io.StringIO()
    metrics = {"train": {}, "validation": {}, "test": {}, "seed": 1}
    language_model.SCRIPT.show(Console(file=file, width=110), Writer(text), data, metrics)
    assert file.getvalue().endswith(f"first line of a text\n{text}\n")


def test_an_end_of_text_has_a_name():
    rows = language_model.parse_grew_up_in("test")
    by_clauses = [next(row for row in rows if row.clauses == n) for n in (0, 1, 2, 4)]
    data = LanguageData([], [], [], "", {"test": by_clauses})
    metrics = {"test": {"distances": []}}
    file = io.StringIO()
    language_model.SCRIPT._show_sentences(Console(file=file, width=300), Writer(), data, metrics)
    assert file.getvalue().count("[end of text] (50%, ") == 4


@pytest.mark.parametrize(("epochs", "pictures"), [(1, 1), (2, 1), (5, 1), (6, 2), (12, 2)])
def test_curves_of_few_epochs_are_not_drawn_twice(epochs, pictures, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    history = [
        {"epoch": n + 1, "loss": 9 / (n + 1), "val_nll": 10 / (n + 1)} for n in range(epochs)
    ]
    music.draw_curves(tmp_path / "curves.png", history, best_epoch=epochs)
    axes = drawn[0].axes
    assert len(axes) == pictures
    seen = [tuple(line.get_xydata()[0]) for ax in axes for line in ax.get_lines()[:1]]
    assert len(set(seen)) == pictures
