"""An option that a model declares is a flag, a setting, an entry of presets, and is checked."""

import dataclasses
import json
import sys
import tomllib
from typing import Any

import keras
import numpy as np
import pytest

from kerasrnn.networks.options import Share, Terms
from kerasrnn.zoo import SequenceTagger
from tests.training.conftest import FLAGS
from training import (
    classifier,
    encoder_decoder,
    language_model,
    memory,
    music,
    tagger,
    word_vectors,
)
from training.flags import UsageError, flags_of, parse_config, with_options_of
from training.tagger import TaggerConfig, TaggerScript

SCRIPTS = [
    module.SCRIPT
    for module in (
        *(classifier, encoder_decoder, language_model, memory, music, tagger, word_vectors),
    )
]
SMALL = [*FLAGS, "--no-crf", "--epochs", "1"]


@keras.saving.register_keras_serializable(package="tests")
class LoudTagger(SequenceTagger):
    """A tagger with one option more.

    Args:
        words: as for `SequenceTagger`.
        tags: as for `SequenceTagger`.
        loudness: how loud an answer is. It changes none.
        **kwargs: as for `SequenceTagger`.
    """

    def __init__(self, words: Terms, tags: Terms, *, loudness: Share = 0.25, **kwargs: Any) -> None:
        super().__init__(words, tags, **kwargs)


@dataclasses.dataclass
@with_options_of(LoudTagger)
class LoudConfig(TaggerConfig):
    """The flags of a script for it."""


class LoudScript(TaggerScript):
    """A script for it."""

    name = "loud"
    config_class = LoudConfig
    task_class = LoudTagger


@pytest.mark.slow
def test_an_option_needs_no_other_edit(conll, tmp_path, no_export, capsys):
    script, run = LoudScript(), tmp_path / "run"
    with pytest.raises(SystemExit):
        script.main(["--help"])
    assert "--loudness X how loud an answer is (default: 0.25)" in " ".join(
        capsys.readouterr().out.split()
    )
    with pytest.raises(SystemExit):
        script.main(["--loudness", "1", "--out", str(run)])
    assert "--loudness must be at least 0 and below 1. Received: 1.0" in capsys.readouterr().err
    script.main([*SMALL, "--loudness", "0.5", "--data", str(conll), "--out", str(run)])
    for config, section in (("config.toml", "training"), ("preset/config.toml", "arguments")):
        assert tomllib.loads((run / config).read_text())[section]["loudness"] == 0.5
    assert LoudTagger.from_preset(run / "preset").settings["loudness"] == 0.5
    # A number is no size, and may be another for the weights of a preset; what it has is written.
    again = ["--preset", str(run / "preset"), "--data", str(conll), "--epochs", "1"]
    script.main([*again, "--loudness", "0.75", "--dropout", "0.1", "--out", str(tmp_path / "two")])
    settings = tomllib.loads((tmp_path / "two" / "config.toml").read_text())["training"]
    assert (settings["loudness"], settings["dropout"]) == (0.75, 0.1)
    assert (settings["units"], settings["crf"]) == (8, False)
    with pytest.raises(SystemExit):
        script.main([*again, "--spelling", "none"])
    assert "--preset brings its own network: --spelling cannot be set." in capsys.readouterr().err


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_has_the_flags_of_the_design_and_of_its_model(script):
    flags = flags_of(script.config_class)
    # Word vectors have no recurrent layers.
    recurrent = {"cell", "units", "depth", "bidirectional"}
    assert recurrent <= set(flags) or script is word_vectors.SCRIPT
    assert set(flags) >= {
        *("data", "validation", "test", "epochs"),
        *("batch_size", "learning_rate", "seed", "preset", "evaluate_only", "out", "resume"),
        *script.config_class.of_model,
    }
    for name in flags:
        assert flags[name].metadata["help"], name


@pytest.mark.parametrize("script", [language_model.SCRIPT, music.SCRIPT], ids=lambda s: s.name)
def test_what_cannot_read_both_ways_says_so(script):
    config = parse_config(script.config_class, ["--bidirectional"], name="x", description="")
    with pytest.raises(UsageError, match="--bidirectional"):
        script.load_data(config)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_other_precisions_train_too(precision, conll, tmp_path, no_export):
    flags = ["--precision", precision, "--lazy-embeddings", "--average-weights", "0.5"]
    tagger.main([*SMALL, *flags, "--data", str(conll), "--out", str(tmp_path / "run")])
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert np.isfinite(metrics["validation"]["loss"])
    model = SequenceTagger.from_preset(tmp_path / "run" / "preset")
    assert model.dtype_policy.name == "float32"
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}


@pytest.mark.slow
def test_tensorboard_sees_a_run_and_does_not_change_it(conll, tmp_path, no_export):
    pytest.importorskip("tensorboard")
    losses = []
    for name, more in (("plain", []), ("seen", ["--tensorboard"])):
        tagger.main([*SMALL, *more, "--data", str(conll), "--out", str(tmp_path / name)])
        metrics = json.loads((tmp_path / name / "metrics.json").read_text())
        losses.append(metrics["validation"]["loss"])
    assert losses[0] == losses[1]
    for part in ("train", "validation"):
        assert list((tmp_path / "seen" / "tensorboard" / part).glob("events.*"))
    assert not (tmp_path / "plain" / "tensorboard").exists()


def test_without_tensorboard_the_flag_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'kerasrnn\[tensorboard\]'"):
        parse_config(TaggerConfig, ["--tensorboard"], name="x", description="")
