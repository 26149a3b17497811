"""Each check that holds for every task, with a tiny one of each."""

import pytest
import tensorflow as tf

from kerasrnn import zoo
from kerasrnn.zoo import Task
from tests.zoo.task_checks import CHECKS
from tests.zoo.tiny_tasks import TASKS


@pytest.fixture
def untraced():
    """Graphs are run operation by operation: to trace them takes most of a tiny model's time."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_every_task_is_here():
    public = [getattr(zoo, name) for name in zoo.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Task)} - {Task}
    assert {kind.__name__ for kind in kinds} == set(TASKS)


@pytest.mark.filterwarnings("ignore:.*run_functions_eagerly.*:UserWarning")
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", TASKS)
def test_a_task_does_what_every_task_does(name, check, untraced, tmp_path):
    CHECKS[check](name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("check", ["training", "weights_of_examples", "mixed_precision"])
@pytest.mark.parametrize("name", TASKS)
def test_a_task_does_so_in_graphs(name, check, tmp_path):
    CHECKS[check](name, tmp_path)
