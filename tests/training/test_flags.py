"""Flags are checked at once, on the command line and in files of settings."""

import dataclasses
import typing
from functools import partial

import pytest
import tomlkit

from training import (
    classifier,
    encoder_decoder,
    language_model,
    memory,
    music,
    tagger,
    word_vectors,
)
from training.flags import COUNT, TrainingConfig, UsageError, flags_of, kind_of, parse_config

SCRIPTS = [
    module.SCRIPT
    for module in (
        *(classifier, encoder_decoder, language_model, memory, music, tagger, word_vectors),
    )
]


def numbers() -> list:
    """Every flag of every script that is a number, with its type."""
    found = []
    for script in SCRIPTS:
        hints = typing.get_type_hints(script.config_class)
        for name, field in flags_of(script.config_class).items():
            kind = kind_of(hints[name])
            if kind in (int, float):
                found.append(pytest.param(script, field, kind, id=f"{script.name}-{name}"))
    return found


def parse(script, *arguments: str):
    return parse_config(
        script.config_class, arguments, name=script.name, description=script.description
    )


@pytest.mark.parametrize(("script", "field", "kind"), numbers())
def test_no_number_is_taken_that_makes_no_sense(script, field, kind, tmp_path, capsys):
    flag = "--" + field.name.replace("_", "-")
    wrong: list[float] = [-1]
    if field.metadata["within"] is COUNT:
        wrong.append(0)
    if kind is float:
        wrong += [float("nan"), float("inf"), float("-inf")]
    settings = tmp_path / "config.toml"
    for number in wrong:
        expected = f"{flag} must be .*{field.metadata['within'].words}.*Received: {number}"
        with pytest.raises(UsageError, match=expected):
            parse(script, f"{flag}={number}")
        settings.write_text(tomlkit.dumps({"training": {field.name: number}}))
        with pytest.raises(UsageError, match=expected):
            parse(script, "--config", str(settings))
    for value in ("many", True, [1]):
        settings.write_text(tomlkit.dumps({"training": {field.name: value}}))
        with pytest.raises(UsageError, match=f"{flag} must be a (whole )?number"):
            parse(script, "--config", str(settings))
    with pytest.raises(SystemExit):
        parse(script, flag, "many")
    assert f"training.{script.name}: {flag} must be a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (tagger.SCRIPT, ["--learning-rate", "0"], "--learning-rate must be above 0. Received: 0.0"),
        (tagger.SCRIPT, ["--dropout", "1"], "--dropout must be at least 0 and below 1. Received"),
        (tagger.SCRIPT, ["--patience", "0"], "--patience must be at least 1. Received: 0"),
        (tagger.SCRIPT, ["--seed", "2147483648"], "--seed must be below 2³¹, at least 0 and below"),
        (
            tagger.SCRIPT,
            ["--units", "9" * 20],
            "--units must be below 2³¹, at least 1. Received: 9",
        ),
        (tagger.SCRIPT, ["--epochs", "9" * 400], "--epochs must be below .* of 1329 bits"),
        (
            memory.SCRIPT,
            ["--chrono-length", "2"],
            "--chrono-length must be 0, or at least 3. Received: 2",
        ),
        (memory.SCRIPT, ["--floor", "1.5"], "--floor must be from 0 to 1. Received: 1.5"),
        (music.SCRIPT, ["--transpose", "88"], "--transpose must be 0 or more, at most 87"),
        (classifier.SCRIPT, ["--pooling", "maxx"], "--pooling: Unknown value"),
    ],
)
def test_the_edges_of_what_is_taken(script, arguments, message):
    with pytest.raises(UsageError, match=message):
        parse(script, *arguments)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_a_script_writes_it_reads(script, tmp_path):
    """All defaults and the least values allowed are taken, from a file too."""
    config = parse(script, "--seed", "0", "--patience", "1", "--average-weights", "0")
    settings = {k: v for k, v in dataclasses.asdict(config).items() if v is not None}
    del settings["given"], settings["out"]
    file = tmp_path / "config.toml"
    file.write_text(tomlkit.dumps({"training": settings}))
    assert parse(script, "--config", str(file)).seed == 0


def test_settings_of_a_file_are_of_the_right_kind(tmp_path):
    file = tmp_path / "config.toml"
    for text, message in (
        ('cell = "gru2"', "--cell must be one of .*Did you mean gru"),
        ("cell = 3", "--cell must be text. Received: 3"),
        ('bidirectional = "yes"', "--bidirectional must be true or false"),
        ("units = 9.0", "--units must be a whole number"),
        (f"learning_rate = {'9' * 400}", "--learning-rate must be below .* of 1329 bits"),
    ):
        file.write_text(f"[training]\n{text}\n")
        with pytest.raises(UsageError, match=message):
            parse(tagger.SCRIPT, "--config", str(file))
    file.write_text("training = 3\n")
    with pytest.raises(UsageError, match=r"\[training\] must be a table"):
        parse(tagger.SCRIPT, "--config", str(file))
    file.write_text("[training]\nlearning_rate = 1\n")  # a whole number is a number
    assert parse(tagger.SCRIPT, "--config", str(file)).learning_rate == 1


# === Names ===


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--unitz", "3"], ["Unknown flag --unitz. Did you mean --units?", "--word-dimension"]),
        (["--no-crfs"], ["Unknown flag --no-crfs. Did you mean --no-crf?"]),
        (["--frobnicate=3"], ["Unknown flag --frobnicate. Expected one of --average-weights"]),
        (["stray"], ["'stray' belongs to no flag"]),
        (["--units"], ["--units expected one argument"]),
        (["--data", ""], ["--data must not be empty. Leave it out for its default."]),
        (["--config", ""], ["--config must not be empty"]),
        (["--cell", "gru2"], ["--cell must be one of simple", "Did you mean gru?"]),
    ],
)
def test_an_unknown_flag_is_answered_in_a_line(arguments, parts, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(tagger.SCRIPT, *arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("training.tagger: ")
    assert error.count("\n") == 1 and "usage" not in error
    for part in parts:
        assert part in error


@pytest.mark.parametrize("script", [tagger.SCRIPT, classifier.SCRIPT])
def test_vectors_that_are_not_there_are_named_with_those_that_are(script, tmp_path):
    unknown = partial(parse, script, "--embeddings")
    with pytest.raises(
        UsageError, match=r"no package 'glove-7b'. Did you mean glove-6b-50d\?.*vad"
    ):
        unknown("glove-7b")
    with pytest.raises(UsageError, match=r"no package 'vadr'. Did you mean vader\?"):
        unknown("glove-6b-50d+vadr")
    with pytest.raises(UsageError, match=r"there is no file 'vectors\.txt'"):
        unknown("vectors.txt")
    (tmp_path / "a+b.txt").write_text("a 1\n")
    with pytest.raises(UsageError, match=r"no package 'ner_en_startr'. Did you mean ner_en_start"):
        unknown("ner_en_startr")
    with pytest.raises(UsageError, match=r"is not a preset: it holds no config\.toml"):
        unknown(str(tmp_path))
    for name in ("glove-6b-50d+vader", str(tmp_path / "a+b.txt"), "ner_en_starter+vader"):
        assert unknown(name).embeddings == name


@pytest.mark.parametrize("end", [".txt.gz", ".bin", ".vec", ".safetensors", "preset"])
def test_vectors_of_any_format_are_read(end, tmp_path):
    from kerasrnn.embeddings import EmbeddingMatrix

    source = "ner_en_starter"
    vectors = EmbeddingMatrix.load(source, limit=30)
    if end != "preset":
        source = str(tmp_path / f"vectors{end}")
        vectors.save(source)
    config = parse(tagger.SCRIPT, "--embeddings", source, "--vector-words", "20")
    assert config.known_vectors() == (list(vectors.terms[:20]), vectors.dimension)


def test_every_flag_that_is_a_number_says_which_numbers():
    assert len(numbers()) > 70
    for case in numbers():
        assert case.values[1].metadata["within"] is not None, case.id
    assert flags_of(TrainingConfig)
