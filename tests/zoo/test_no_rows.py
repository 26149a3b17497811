"""A batch without rows gets an answer without rows, from every task and each of its signatures."""

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn import zoo
from kerasrnn.data import embedded_reber
from kerasrnn.zoo import Task
from tests.zoo.tiny_tasks import TASKS, tiny

MADE = {name: lambda name=name: tiny(name)[0] for name in TASKS} | {
    "pairs with attention": lambda: tiny("EncoderDecoder", attention="additive", cell="gru")[0],
    "chords": lambda: tiny("MusicModel", outputs="nade", nade_units=4)[0],
    "tags of a field": lambda: tiny("SequenceTagger", crf=True)[0],
    "labels by attention": lambda: tiny("TextClassifier", pooling="attention+max")[0],
    "symbols": lambda: zoo.MemoryModel.from_examples(embedded_reber(4, seed=1), units=4),
}


@pytest.fixture(scope="module", params=MADE)
def task(request) -> Task:
    return MADE[request.param]()


def test_every_task_is_here():
    public = [getattr(zoo, name) for name in zoo.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Task)} - {Task}
    assert set(TASKS) == {kind.__name__ for kind in kinds}


@pytest.mark.slow
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
    nothing = []
    if isinstance(task, zoo.MemoryModel):
        nothing = np.zeros((0, 6), "int32") if task.reads_symbols else np.zeros((0, 6, 2))
    assert len(task.predict(nothing)) == 0
    if hasattr(task, "generate"):
        assert task.generate([]) == []
    for figures in (task.evaluate, task.fit):
        with pytest.raises(ValueError, match=r"`x` must hold at least one \w+. Received none"):
            figures(nothing)
