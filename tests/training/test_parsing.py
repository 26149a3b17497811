"""The command line and files of settings, as all scripts read them."""

import dataclasses
import os

import pytest

from kerasrnn.zoo import SequenceTagger
from training.flags import TrainingConfig, UsageError, flag, parse_config, with_options_of
from training.run_folder import RunFolder


@dataclasses.dataclass
@with_options_of(SequenceTagger)
class Config(TrainingConfig):
    colour: str = flag("red", "a colour", choices=("red", "blue"))
    share: float = flag(0.5, "a share")
    column: str | None = flag(None, "a column")
    patience: int | None = flag(None, "a number")


def parse(*arguments: str) -> Config:
    return parse_config(Config, arguments, name="example", description="An example.")


def test_defaults_and_flags():
    config = parse("--units", "7", "--no-bidirectional", "--colour", "blue", "--share", "0.25")
    assert (config.colour, config.share) == ("blue", 0.25)
    assert config.options == {"units": 7, "bidirectional": False}
    assert (config.option("cell"), config.option("depth"), config.patience) == ("lstm", 1, None)
    assert config.out is not None
    assert config.out.startswith(os.path.join("runs", "example"))
    assert config.given == {"units", "bidirectional", "colour", "share"}


@pytest.mark.parametrize(
    "arguments",
    [["--unit", "7"], ["--frobnicate"], ["--cell", "gru2"], ["--units", "many"], ["stray"]],
)
def test_unknown_flags_and_values_fail(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_help_names_every_flag(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    for field in dataclasses.fields(Config):
        if field.name != "given":
            assert "--" + field.name.replace("_", "-") in text
    assert "(default: 0.5)" in text
    assert "the length of a word's embedding (default: 100)" in " ".join(text.split())
    assert "SUPPRESS" not in text


def test_settings_come_from_a_file_and_flags_win(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[training]\nunits = 9\ncolour = "blue"\n')
    config = parse("--config", str(file), "--units", "5")
    assert (config.units, config.colour) == (5, "blue")
    file.write_text("[training]\nunit = 9\n")
    with pytest.raises(UsageError, match="unknown setting 'unit'"):
        parse("--config", str(file))
    with pytest.raises(UsageError, match="There is no"):
        parse("--config", str(tmp_path / "missing.toml"))


def test_resume_takes_the_settings_of_the_run(tmp_path):
    folder = RunFolder(tmp_path / "run", resume=False)
    folder.write_config(parse("--units", "9", "--seed", "4"))
    config = parse("--out", str(tmp_path / "run"), "--resume")
    assert (config.units, config.seed) == (9, 4)
    assert parse("--out", str(tmp_path / "run"), "--resume", "--units", "9").units == 9
    with pytest.raises(UsageError, match="--units is 9 there and 8 here"):
        parse("--out", str(tmp_path / "run"), "--resume", "--units", "8")
    with pytest.raises(UsageError, match="--resume needs --out"):
        parse("--resume")


def test_evaluate_only_needs_a_preset():
    with pytest.raises(UsageError, match="--evaluate-only needs --preset"):
        parse("--evaluate-only")


@pytest.mark.parametrize("flag", ["units", "depth", "epochs", "batch-size"])
def test_numbers_must_be_positive(flag):
    with pytest.raises(UsageError, match=f"--{flag} must be at least 1. Received: 0"):
        parse(f"--{flag}", "0")
