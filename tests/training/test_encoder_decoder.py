"""`python -m training.encoder_decoder` from its flags to its folder."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.data import load_pairs, parse_dates
from kerasrnn.data.date_patterns import ISO_DATE
from kerasrnn.zoo import Alignment, EncoderDecoder
from tests.training.conftest import figures, killed_after
from tests.zoo.test_encoder_decoder import toy_pairs
from training import alignment_plot, encoder_decoder
from training.alignment_plot import attention_maps, label_of
from training.flags import UsageError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "translate"
FLAGS = [
    *("--source-level", "words", "--target-level", "characters", "--units", "8"),
    *("--source-dimension", "4", "--target-dimension", "4", "--batch-size", "16"),
    *("--learning-rate", "0.02", "--attention", "multiplicative"),
]


@pytest.fixture(scope="module")
def tsv(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "numbers.tsv"
    path.write_text("".join(f"{p.source}\t{p.target}\tby me\n" for p in toy_pairs()), "utf-8")
    return path


@pytest.fixture(scope="module")
def finished(tsv, tmp_path_factory) -> Path:
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    encoder_decoder.main([*FLAGS, "--data", str(tsv), "--epochs", "3", "--out", str(folder)])
    return folder


@pytest.mark.slow
def test_the_folder_is_as_designed(finished):
    for name in (
        "config.toml",
        "metrics.json",
        "plots/learning_curves.png",
        "plots/attention.png",
        "checkpoints/latest.npz",
        "preset/model.weights.h5",
        "preset/vocabulary/source_terms.txt",
        "savedmodel/1/saved_model.pb",
        "savedmodel/1/assets.extra/tf_serving_warmup_requests",
    ):
        assert (finished / name).is_file(), name
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["model"] == "EncoderDecoder"
    assert metrics["counted"] == "tokens"
    assert metrics["epochs"] == 3
    assert {"loss", "exact_match", "bleu"} == set(metrics["validation"])
    with open(finished / "history.csv") as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 3 and losses[-1] < losses[0]


@pytest.mark.slow
def test_preset_and_export_are_of_the_model_that_was_measured(finished, tsv):
    model = EncoderDecoder.from_preset(finished / "preset")
    metrics = json.loads((finished / "metrics.json").read_text())
    data = encoder_decoder.SCRIPT.load_data(encoder_decoder.EncoderDecoderConfig(data=str(tsv)))
    assert model.evaluate(data.validation)["loss"] == pytest.approx(metrics["validation"]["loss"])
    serve = tf.saved_model.load(str(finished / "savedmodel" / "1")).signatures["serving_default"]
    texts = [pair.source for pair in data.validation]
    served = [text.decode() for text in serve(text=tf.constant(texts))["text"].numpy()]
    assert served == model.predict(texts)
    requests = encoder_decoder.SCRIPT.requests(model, data)
    assert sum(len(request["text"]) for request in requests) == len(texts)
    assert max(len(request["text"]) for request in requests) <= 32


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_unbroken_one(finished, tsv, tmp_path, no_export):
    folder = tmp_path / "broken"
    flags = [*FLAGS, "--data", str(tsv), "--epochs", "3", "--out", str(folder)]
    with killed_after(1):
        encoder_decoder.main(flags)
    encoder_decoder.main(["--out", str(folder), "--resume"])
    assert figures(folder) == figures(finished)


def test_a_source_is_in_one_part_only(tmp_path):
    """Of a text with several translations, none is held out while another is trained on."""
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"s{i // 3}\tt{i}\n" for i in range(120)), "utf-8")
    data = encoder_decoder.SCRIPT.load_data(encoder_decoder.EncoderDecoderConfig(data=str(path)))
    train, validation = ({pair.source for pair in part} for part in (data.train, data.validation))
    assert len(validation) == 4 and not train & validation
    assert len(data.train) + len(data.validation) == 120
    assert data.sizes() == {"train_pairs": 108, "validation_pairs": 12, "test_pairs": 0}


@pytest.mark.slow
def test_default_data_has_its_own_splits():
    pytest.importorskip("babel")
    config = encoder_decoder.EncoderDecoderConfig(data="builtin:dates/en")
    data = encoder_decoder.SCRIPT.load_data(config)
    rows = parse_dates("test", locales=["en"], others=1000)
    assert [tuple(pair) for pair in data.test] == rows
    config = encoder_decoder.SCRIPT.with_defaults(config, data)
    # Dates, as the calendar has them, and nothing else: of the rest, nothing is learned.
    assert config.answer_pattern == ISO_DATE
    asked = encoder_decoder._asked(data.train, config.text_pattern)
    assert set(data.train[:40_000]) <= set(asked)
    assert len(asked) < 46_000 < len(data.train)
    with pytest.raises(UsageError, match=r"--text-pattern matches no text"):
        encoder_decoder._asked(data.train, "no such text")
    several = encoder_decoder.EncoderDecoderConfig(data="builtin:dates/de,fr")
    pattern = encoder_decoder.SCRIPT.with_defaults(several, replace(data, source=several.data))
    assert pattern.text_pattern != config.text_pattern
    assert config.target_level == "characters" and config.beam_size == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data", "a", "--target", "b", "--validation", "c"], "--validation needs --validation-"),
        (["--validation-target", "c"], "--validation-target needs --validation"),
        (["--data", "no.tsv"], "Unknown source 'no.tsv': no such file"),
        (["--attention", "dot"], "--attention must be one of none, additive, multiplicative"),
    ],
)
def test_flags_that_make_no_sense(flags, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        encoder_decoder.main([*flags, "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["columns", "line-aligned"])
def test_real_translations(kind, tmp_path, no_export):
    if kind == "columns":
        files = ["tatoeba-en-fr.tsv"]
    else:
        files = ["multi30k/val.en.gz", "--target", str(DATA / "multi30k" / "val.de.gz")]
    path = DATA / files[0]
    if not path.exists():
        pytest.skip(f"{path} is not there")
    folder = tmp_path / "run"
    flags = [*("--units", "16", "--epochs", "1", "--attention", "multiplicative")]
    encoder_decoder.main(["--data", str(path), *files[1:], *flags, "--out", str(folder)])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0 < metrics["validation"]["loss"] < 8
    again = EncoderDecoder.from_preset(folder / "preset")
    assert again.settings["target_level"] == "words"
    assert len(again.predict([pair.source for pair in load_pairs(path, *files[2:])[:3]])) == 3


# === The picture ===


def test_letters_without_a_font_have_their_code_point(tmp_path, monkeypatch, recwarn):
    def only_latin(character: str) -> str | None:
        return "DejaVu Sans" if ord(character) < 0x250 else None

    monkeypatch.setattr(alignment_plot, "font_with", only_latin)
    assert [label_of(piece) for piece in ("a", " ", "月", "\u200f", "￭.")] == [
        *("a", "␣", "U+6708", "U+200F", "."),
    ]
    weights = np.eye(3)
    alignments = [
        Alignment(["5", "月", " "], ["m", "a", "y"], weights),
        Alignment([], [], weights[:0]),
    ]
    attention_maps(tmp_path / "attention.png", alignments)
    assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert not [w for w in recwarn if "Glyph" in str(w.message)]
    attention_maps(tmp_path / "nothing.png", alignments[1:])
    assert not (tmp_path / "nothing.png").exists()


def test_a_font_is_found_for_each_letter_that_has_one():
    alignment_plot.font_with.cache_clear()
    assert alignment_plot.font_with("ж") == "DejaVu Sans"
    assert alignment_plot.font_with("\U0010fffd") is None
    assert label_of("\u0301") == "◌\u0301"
