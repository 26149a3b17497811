"""A batch without rows gets an answer without rows, from every task and each of its signatures."""

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn import zoo
from kerasrnn.data import adding, embedded_reber
from kerasrnn.zoo import (
    EncoderDecoder,
    LanguageModel,
    MemoryModel,
    MusicModel,
    SequenceTagger,
    TextClassifier,
)
from kerasrnn.zoo.task import Task

PAIRS = [("one two", "1 2"), ("two", "2")]
TASKS = {
    "pairs": lambda: EncoderDecoder.from_pairs(PAIRS, units=4),
    "pairs without attention": lambda: EncoderDecoder.from_pairs(
        PAIRS, units=4, attention="none", cell="lstm"
    ),
    "language": lambda: LanguageModel.from_texts(["one two", "two"], units=4),
    "music": lambda: MusicModel(units=4, nade_units=4),
    "independent music": lambda: MusicModel(units=4, outputs="independent"),
    "tags": lambda: SequenceTagger(words=["in", "paris"], tags=["O", "B-LOC", "I-LOC"]),
    "labels": lambda: TextClassifier.from_texts(["good", "bad"], ["yes", "no"], units=4),
    "numbers": lambda: MemoryModel.from_examples(adding(4, length=6, seed=1), units=4),
    "symbols": lambda: MemoryModel.from_examples(embedded_reber(4, seed=1), units=4),
}


@pytest.fixture(scope="module", params=TASKS)
def task(request) -> Task:
    return TASKS[request.param]()


def test_every_task_is_here():
    public = [getattr(zoo, name) for name in zoo.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Task)} - {Task}
    assert {type(make()) for make in TASKS.values()} == kinds


def test_signatures_answer_a_batch_without_rows(task):
    for name, signature in task.signatures().items():
        function = tf.function(signature.function, autograph=False)
        function = function.get_concrete_function(**signature.input_specs)
        some, none = {}, {}
        for key, value in task.samples()[name].items():
            some[key] = tf.constant(value, signature.input_specs[key].dtype)
            none[key] = some[key][:0] if some[key].shape.rank else some[key]
        expected = function(**some)
        for key, output in function(**none).items():
            assert output.shape[0] == 0, (name, key)
            assert output.dtype == expected[key].dtype
            assert output.shape.rank == expected[key].shape.rank


def test_no_inputs_have_no_answers_and_no_figures(task):
    if isinstance(task, MemoryModel):
        nothing = np.zeros((0, 6, 2) if task.answers == "number" else (0, 6), "float32")
        with pytest.raises(ValueError, match=r"at least one sequence"):
            task.predict(nothing)
        return
    assert task.predict([]) == []
    if hasattr(task, "generate"):
        assert task.generate([]) == []
    for figures in (task.evaluate, task.fit):
        with pytest.raises(ValueError, match=r"`x` must hold at least one \w+. Received none"):
            figures([])
