"""Figures and heads of cards, as the hub's own reader of YAML sees them."""

import json
import math

import pytest

from kerasrnn.storage.cards import card_head, headline, hub_licence, without_head

yaml = pytest.importorskip("yaml")

TAGGER = {"class": "SequenceTagger", "arguments": {"cell": "simplified_gru"}}


def head_of(*arguments, **options) -> dict:
    text = card_head(*arguments, **options)
    assert text.startswith("---\n") and text.endswith("\n---\n")
    return yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n"))


def test_a_head_without_figures():
    assert head_of("mine", {"class": "MusicModel"}, None) == {
        "library_name": "keras",
        "tags": ["kerasrnn"],
    }
    assert head_of("mine", TAGGER, None, licence="CC0-1.0", languages=["de"]) == {
        "license": "cc0-1.0",
        "language": ["de"],
        "library_name": "keras",
        "pipeline_tag": "token-classification",
        "tags": ["kerasrnn", "recurrent-neural-network", "simplified-gru"],
    }


@pytest.mark.parametrize(
    "text",
    [
        *("plain", "no", "y", "true", "Null", "1.0", "1e5", ".5", "0x1f", "2026-01-01", "a: b"),
        *("- a", "a #b", "#a", "'", '"', "\\", "a\nb", "{a}", "[a]", "*a", "&a", "!a", "|", "%"),
        *("ä", "日本", "😀", "\x7f", "\x85", "\u2028", "\ufeff", "~", "", " a ", "a:", "@a", "`a"),
    ],
)
def test_any_text_is_read_as_it_was(text):
    metrics = {"dataset": text, "test": {"f1": 0.5, "accuracy": 0.6}}
    (model,) = head_of(text, TAGGER, metrics, languages=["no", "on"])["model-index"]
    assert model["name"] == text
    assert model["results"][0]["dataset"]["name"] == (text or "not stated")


def test_figures_are_those_of_the_weights():
    runs = [{"seed": seed, "test": {"accuracy": 0.9 + seed / 100}} for seed in (1, 2)]
    shipped = {"seed": 1, "validation": {}, "test": {"accuracy": 0.904, "loss": 0.1}}
    metrics = {"dataset": "a.tsv", "runs": runs, "shipped": shipped}
    head = head_of("mine", {"class": "TextClassifier"}, metrics)
    assert head["metrics"] == ["accuracy"]
    assert head["model-index"] == [
        {
            "name": "mine",
            "results": [
                {
                    "task": {"type": "text-classification"},
                    "dataset": {"type": "a.tsv", "name": "a.tsv", "split": "test"},
                    "metrics": [
                        {"type": "accuracy", "value": 90.4, "name": "Accuracy in per cent"}
                    ],
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        *(("Apache-2.0", "apache-2.0"), ("MIT", "mit"), ("CC-BY-SA-4.0", "cc-by-sa-4.0")),
        *(("PDDL-1.0", "pddl"), ("ODbL-1.0", "odbl"), ("GPL-3.0-only", "gpl-3.0")),
        *(("LGPL-2.1-or-later", "lgpl-2.1"), ("AGPL-3.0", "agpl-3.0"), ("GPL-2.0+", "gpl-2.0")),
        *(("LicenseRef-own", "other"), ("MIT AND CC0-1.0", "other"), ("CC-BY-2.0-FR", "other")),
    ],
)
def test_licences_as_the_hub_has_them(licence, expected):
    assert hub_licence(licence) == expected
    head = head_of("mine", TAGGER, None, licence=licence)
    assert head["license"] == expected
    assert head.get("license_name") == (licence if expected == "other" else None)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (None, ""),
        ({}, ""),
        ({"runs": [{"train": {"f1": 1.0}}]}, ""),
        ({"test": {"loss": 1.0}}, ""),
        ({"validation": {"f1": 0.5, "accuracy": 0.6}}, "F1 50.0 (validation)"),
        ({"validation": {"f1": 0.5}, "test": {"f1": 0.4}}, "F1 40.0 (test)"),
        ({"test": {"f1": 0.5, "accuracy": 0.5}}, "accuracy 50.00 (test)"),
        (
            {"runs": [{"test": {"f1": value}} for value in (0.5, 0.52)]},
            f"F1 51.0 ± {math.sqrt(2):.1f} (test)",
        ),
        (
            {"runs": [], "original": {"test": {"f1": 0.5}}, "shipped": {"test": {"f1": 0.4}}},
            "F1 40.0 (test)",
        ),
    ],
)
def test_a_headline(tmp_path, metrics, expected):
    if metrics is not None:
        (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert headline(tmp_path, "SequenceTagger") == expected
    assert headline(tmp_path, "SomebodysTask") == ""


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "[" * 100_000, '{"runs": 3}', '{"runs": [1]}', '{"runs": []}'),
        *('{"test": 3}', '{"test": {"f1": "x"}}', '{"test": {"f1": null}}', '{"test": ["f1"]}'),
        '{"runs": [{"test": {"f1": 1}}, {}]}',
    ],
)
def test_figures_of_another_form_are_named(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json"):
        headline(tmp_path, "SequenceTagger")


@pytest.mark.parametrize(
    ("card", "text"),
    [
        ("# Mine\n", "# Mine\n"),
        ("---\nlicense: mit\n---\n\n# Mine\n---\nx\n", "# Mine\n---\nx\n"),
        ("---\r\nlicense: mit\r\n---\r\n# Mine\r\n", "# Mine\r\n"),
        ("---\n---\n# Mine\n", "# Mine\n"),
        ("---\nlicense: mit\n---", ""),
        ("---\nnever closed\n", "---\nnever closed\n"),
        ("a\n---\nb\n---\n", "a\n---\nb\n---\n"),
    ],
)
def test_the_text_of_a_card(card, text):
    assert without_head(card) == text
