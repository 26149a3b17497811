"""`--evaluate-only` measures what is named, to its end, and reads nothing else."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from kerasrnn.data import MemoryExamples, adding, parse_counterpoint, temporal_order
from kerasrnn.zoo import LanguageModel, MemoryModel, Task, list_presets
from training import (
    classifier,
    encoder_decoder,
    language_model,
    make_preset,
    memory,
    music,
    tagger,
    word_vectors,
)
from training.flags import UsageError

MODULES = {
    "tagger": tagger,
    "classifier": classifier,
    "language_model": language_model,
    "encoder_decoder": encoder_decoder,
    "music": music,
    "memory": memory,
    "word_vectors": word_vectors,
}


def measured(module, folder: Path, *flags: str) -> dict:
    module.main([*flags, "--evaluate-only", "--out", str(folder)])
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A small file for each script; tags and labels are filled in by `content`."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "pairs.tsv").write_text("5 May 2026\t2026-05-05\nMarch 3, 1999\t1999-03-03\n" * 3)
    (folder / "text.txt").write_text("First Citizen:\nHear me speak.\n" * 20)
    rolls = [roll[:24] for roll in parse_counterpoint(pieces=3)]
    pieces = [[(np.flatnonzero(frame) + 21).tolist() for frame in roll] for roll in rolls]
    (folder / "music.json").write_text(json.dumps({"test": pieces}))
    adding(7, length=6, seed=1).save(folder / "adding.npz")
    return {
        "encoder_decoder": folder / "pairs.tsv",
        "language_model": folder / "text.txt",
        "word_vectors": folder / "text.txt",
        "music": folder / "music.json",
        "memory": folder / "adding.npz",
        "tagger": folder / "words.conll",
        "classifier": folder / "texts.tsv",
    }


def content(task: Task, files: dict[str, Path]) -> Path:
    """A file that suits a preset: of its own tags or labels where it has some."""
    name = make_preset.SCRIPTS[type(task).__name__]
    if name == "tagger":
        tags = [tag for tag in task.inventory.tags if not tag.startswith("I-")]
        rows = "\n".join(f"Word{i}\t{tag}" for i, tag in enumerate(tags))
        head = f"# intent = {task.label_inventory.tags[0]}\n" if task.label_inventory else ""
        files[name].write_text(f"{head}{rows}\n\n{head}{rows}\n")
    elif name == "classifier":
        rows = "".join(f"some words {i}\t{label}\n" for i, label in enumerate(task.inventory.tags))
        files[name].write_text("text\tlabel\n" + rows)
    return files[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "flag"),
    [*((preset.name, "test") for preset in list_presets()), ("ner_en_starter", "validation")],
)
def test_every_preset_is_measured_on_a_file_of_ones_own(preset, flag, files, tmp_path, monkeypatch):
    task = Task.from_preset(preset)
    script = make_preset.script_of(type(task).__name__)
    monkeypatch.setattr(script.task_class, "from_preset", lambda name, **_: task)
    path = content(task, files)
    metrics = measured(
        MODULES[script.name], tmp_path / "out", "--preset", preset, f"--{flag}", str(path)
    )
    assert metrics["dataset"] == str(path)
    other = "validation" if flag == "test" else "test"
    assert metrics["train"] == metrics[other] == {}
    assert metrics[flag]
    # As one batch, which the script's own are not.
    config = script.for_preset(script.config_class(**{flag: str(path)}), task)
    config.evaluate_only = True
    examples = getattr(script.load_data(config, hold_out=False), flag)
    labels = task.inventory.size if script.name == "classifier" else 0
    sizes = {"language_model": 1, "music": 3, "encoder_decoder": 6, "tagger": 2}
    sizes["word_vectors"] = 40
    count = len(list(examples)) if script.name == "word_vectors" else len(examples)
    assert count == sizes.get(script.name, labels)
    options = {"beam_size": config.beam_size} if script.name == "encoder_decoder" else {}
    scores = task.evaluate(examples, batch_size=1, **options)
    for name, value in metrics[flag].items():
        if isinstance(value, float):
            assert value == pytest.approx(scores[name], rel=1e-4, abs=1e-6), name


# === Language models ===


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    """A model to which `c` and `d` are unlikely, whatever its weights."""
    model = LanguageModel("abcd \n", cell="simple", units=5, dimension=3)
    kernel, bias = model.network.unit_scores.get_weights()
    for character in "cd":
        bias[list(model.text_units.terms).index(character) + 2] -= 3
    model.network.unit_scores.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def long_text() -> str:
    """41,000 characters, of which the last thousand are of another kind."""
    rng = np.random.default_rng(3)
    begin = "".join(rng.choice(list("ab "), 40_000))
    return begin + "".join(rng.choice(list("cd"), 999)) + "\n"


def loss_by_hand(model: LanguageModel, text: str) -> float:
    """Nats a character: a<t> = tanh(x<t> W + a<t-1> U + b), character by character in NumPy."""
    matrix = np.asarray(model.network.embedding.embeddings)
    kernel, recurrent, bias = (np.asarray(w) for w in model.network.rnn.get_weights()[:3])
    out, out_bias = (np.asarray(w) for w in model.network.unit_scores.get_weights())
    known = {character: number + 2 for number, character in enumerate(model.text_units.terms)}
    ids = [0, *(known[character] for character in text)]
    state, total = np.zeros(5), 0.0
    for now, following in itertools.pairwise(ids):
        state = np.tanh(matrix[now] @ kernel + state @ recurrent + bias)
        scores = state @ out + out_bias
        total += np.log(np.exp(scores).sum()) - scores[following]
    return total / len(text)


@pytest.mark.parametrize("flag", ["--test", "--validation", "--data"])
def test_a_whole_file_is_measured(small, long_text, flag, tmp_path, monkeypatch):
    monkeypatch.setattr(LanguageModel, "from_preset", lambda name, **_: small)
    path = tmp_path / "long.txt"
    path.write_text(long_text)
    metrics = measured(
        *(language_model, tmp_path / "out", "--preset", "any", flag, str(path)),
        *("--limit", "1000"),  # of what is trained on
    )
    part = {"--data": "train"}.get(flag, flag[2:])
    expected = loss_by_hand(small, long_text)
    assert metrics[part]["loss"] == pytest.approx(expected, rel=1e-5)
    assert abs(loss_by_hand(small, long_text[:40_000]) - expected) > 1e-3
    assert [name for name in ("train", "validation", "test") if metrics[name]] == [part]


def test_what_grew_up_in_brings_itself_is_not_given():
    config = language_model.LanguageModelConfig(data="builtin:grew_up_in", test="my.txt")
    with pytest.raises(UsageError, match="--test goes with other data"):
        language_model.SCRIPT.load_data(config)


# === The other scripts ===


class Counting:
    """Stands for a model: says how many examples it was measured with."""

    def evaluate(self, examples, **_) -> dict:
        return {"nll": len(examples), "count": len(examples)}


# The others' data is read by their models.
@pytest.mark.parametrize("name", sorted(set(MODULES) - {"language_model", "word_vectors"}))
def test_all_of_the_data_is_measured(name, files, monkeypatch, tmp_path):
    """What is measured of training data to save time is not what a user asks for."""
    module = MODULES[name]
    for constant in vars(module):
        if constant.startswith("_TRAIN_"):
            monkeypatch.setattr(module, constant, 1)
    files = {
        **files,
        "tagger": tmp_path / "words.conll",
        "classifier": tmp_path / "texts.tsv",
        "music": tmp_path / "music.json",
    }
    files["tagger"].write_text("a\tO\nb\tB-X\n\n" * 5)
    files["classifier"].write_text("text\tlabel\n" + "one\tx\ntwo\ty\n" * 3)
    files["music"].write_text(json.dumps({"train": [[[60], [62]], [[60], [64]]]}))
    config = module.SCRIPT.config_class(
        data=str(files[name]), preset="any", evaluate_only=True, cell="gru"
    )
    if name == "encoder_decoder":
        config.beam_size = 1
    data = module.SCRIPT.load_data(config, hold_out=False)
    parts = module.SCRIPT.measure(Counting(), data, config)
    figure = "nll" if name == "music" else "count"
    assert parts["train"][figure] == len(data.train) > 1
    assert parts["validation"] == parts["test"] == {}


def test_a_memory_model_is_measured_on_a_file(files, tmp_path):
    examples = MemoryExamples.load(files["memory"])
    preset = MemoryModel.from_examples(examples, units=3).save_to_preset(tmp_path / "preset")
    flags = ["--preset", str(preset), "--test", str(files["memory"])]
    metrics = measured(memory, tmp_path / "out", *flags)
    scores = MemoryModel.from_preset(preset).evaluate(examples)
    assert metrics["test"]["mse"] == pytest.approx(scores["mse"])
    assert metrics["train"] == metrics["validation"] == {}


def test_a_class_that_a_file_has_once_is_trained_on(tmp_path):
    """The greatest label stands in one sequence; the model is as large as that."""
    examples = temporal_order(30, length=20, seed=2)
    targets = np.array(examples.targets % 3)
    targets[4] = 3
    path = tmp_path / "order.npz"
    MemoryExamples(examples.inputs, targets.astype(np.int32)).save(path)
    data = memory.SCRIPT.load_data(memory.MemoryConfig(data=str(path)))
    assert 3 in data.train.targets
    assert len(data.validation) == 3


def test_a_file_with_nothing_to_measure_is_named(tmp_path, capsys):
    path = tmp_path / "short.json"
    path.write_text(json.dumps({"test": [[[60]]]}))  # one frame
    with pytest.raises(SystemExit):
        measured(music, tmp_path / "out", "--preset", "music_jsb", "--test", str(path))
    assert "short.json has nothing that could be measured" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
