"""A task of which a part is frozen stays so wherever it is saved, and loaded from."""

import copy

import keras
import pytest

from kerasrnn import zoo
from kerasrnn.layers.parts import parts_of
from tests.zoo.tiny_tasks import TASKS, tiny

MADE = {name: lambda name=name, **k: tiny(name, **k)[0] for name in TASKS} | {
    "spelling": lambda **k: tiny(
        "SequenceTagger", crf=True, spelling="rnn", character_units=4, cell="simple", **k
    )[0],
    "fixed words": lambda **k: tiny("SequenceTagger", train_words=False, **k)[0],
    "attention": lambda **k: tiny("TextClassifier", pooling="attention+max", **k)[0],
    "chords": lambda **k: tiny("MusicModel", outputs="nade", nade_units=4, **k)[0],
}


def flags(task):
    return {"": task.trainable, **{path: part.trainable for path, part in parts_of(task)}}


def learning(task):
    return [weight.trainable for weight in task.weights]


def recurrent(task):
    return next(part for path, part in parts_of(task) if path.endswith("rnn"))


FROZEN = {
    "all": lambda task: task,
    "network": lambda task: task.network,
    "recurrent layers": recurrent,
    "last": lambda task: [part for _, part in parts_of(task.network) if part.weights][-1],
}


# Every task with its network frozen, and one with each of its parts.
CASES = [(name, "network") for name in MADE] + [("spelling", w) for w in FROZEN if w != "network"]


@pytest.mark.parametrize(("name", "what"), CASES)
def test_every_way_back(name, what, tmp_path):
    task = MADE[name]()
    FROZEN[what](task).trainable = False
    task.save(tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    network = task.network
    copies = {
        "from_config": type(task).from_config(task.get_config()),
        "load_model": keras.saving.load_model(tmp_path / "task.keras"),
        "from_preset": type(task).from_preset(tmp_path / "preset"),
    }
    assert not all(learning(task))
    for way, found in copies.items():
        assert flags(found) == flags(task), way
        assert learning(found) == learning(task), way
    if what != "all":
        found = type(network).from_config(network.get_config())
        assert learning(found) == learning(network)


@pytest.mark.parametrize("name", MADE)
def test_flags_that_are_given_go_before_those_of_a_preset(name, tmp_path):
    task = MADE[name]()
    given = learning(task)
    task.network.trainable = False
    task.save_to_preset(tmp_path / "preset")
    assert learning(type(task).from_preset(tmp_path / "preset", trainable=True)) == given
    assert not any(learning(type(task).from_preset(tmp_path / "preset", trainable=False)))
    assert not any(learning(MADE[name](trainable=False)))


def test_a_preset_that_is_frozen_nowhere_says_nothing_of_it(tmp_path):
    task = MADE["fixed words"]()
    task.save_to_preset(tmp_path / "preset")
    assert "trainable]" not in (tmp_path / "preset" / "config.toml").read_text()
    assert "trainable_parts" not in task.get_config()


def test_a_preset_s_flags_are_checked(tmp_path):
    MADE["MemoryModel"]().save_to_preset(tmp_path / "preset")
    config = tmp_path / "preset" / "config.toml"
    text = config.read_text()
    for flags, named in (
        ("trainable_parts = 3", "trainable_parts"),
        ("frozen = true", "frozen"),
        ("trainable_parts = {network = 0}", "network"),
        ("trainable_parts = {net = false}", "net"),
        ('trainable = "no"', "trainable"),
    ):
        config.write_text(f"{text}\n[trainable]\n{flags}\n")
        with pytest.raises((ValueError, TypeError), match=named):
            zoo.MemoryModel.from_preset(tmp_path / "preset")


@pytest.mark.slow
def test_a_loaded_copy_trains_around_what_is_frozen():
    sentences, tags = [["In", "Paris"], ["Paris"]], [["O", "B-LOC"], ["B-LOC"]]
    task = MADE["spelling"]()
    task.network.trainable = False
    task = copy.deepcopy(task)
    before = [weight.numpy() for weight in task.weights]
    task.fit(sentences, tags, epochs=1, verbose=0)
    unmoved = [bool((a == b.numpy()).all()) for a, b in zip(before, task.weights, strict=True)]
    assert unmoved == [not learns for learns in learning(task)]
