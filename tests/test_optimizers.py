"""The lazy Adam beside Keras's own, and beside the algorithm written for one row."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.optimizers import LazyAdam

pytestmark = pytest.mark.tensorflow

RATE = 0.01


def trained(optimizer, table: np.ndarray, batches) -> np.ndarray:
    """A table of embeddings after a step for each batch of `(ids, factors)`."""
    variable = keras.Variable(table)
    optimizer.build([variable])

    @tf.function(reduce_retracing=True)
    def step(ids, factors):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(tf.gather(variable.value, ids)) * factors)
        gradients = tape.gradient(loss, [variable.value])
        assert isinstance(gradients[0], tf.IndexedSlices)
        if type(optimizer) is keras.optimizers.Adam:
            # It takes the squares of a row that stands twice one by one, and not of their sum.
            gradients = [tf.convert_to_tensor(gradients[0])]
        optimizer.apply(gradients, [variable])

    for ids, factors in batches:
        step(tf.constant(ids), tf.constant(factors, tf.float32))
    return keras.ops.convert_to_numpy(variable)


@pytest.fixture
def table(rng) -> np.ndarray:
    return rng.normal(size=(6, 3)).astype("float32")


@pytest.mark.parametrize("clip", [None, 0.5])
def test_it_is_adam_where_each_step_reads_all_rows(rng, table, clip):
    # Some rows twice, in another order each time.
    batches = [(rng.permutation([0, 1, 2, 3, 4, 5, 2, 4]), rng.normal(size=(8, 3)))] * 5
    keras_own = trained(keras.optimizers.Adam(RATE, global_clipnorm=clip), table, batches)
    lazy = trained(LazyAdam(RATE, global_clipnorm=clip), table, batches)
    np.testing.assert_allclose(lazy, keras_own, atol=1e-6)
    assert np.abs(lazy - table).min() > 0.01


def test_each_row_has_its_own_means(rng, table):
    """Kingma and Ba's algorithm for one row, over the steps that read it."""
    batches = [(ids, rng.normal(size=(len(ids), 3))) for ids in ([0, 1], [1, 1, 2], [0], [2, 0])]
    expected = table.astype("float64")
    means, squares = np.zeros((6, 3)), np.zeros((6, 3))
    for number, (ids, factors) in enumerate(batches, start=1):
        gradient = np.zeros((6, 3))
        for row, factor in zip(ids, factors, strict=True):
            gradient[row] += np.cos(expected[row]) * factor
        for row in set(ids):
            means[row] = 0.9 * means[row] + 0.1 * gradient[row]
            squares[row] = 0.999 * squares[row] + 0.001 * gradient[row] ** 2
            mean, square = means[row] / (1 - 0.9**number), squares[row] / (1 - 0.999**number)
            expected[row] -= RATE * mean / np.sqrt(square)
    lazy = trained(LazyAdam(RATE, epsilon=1e-12), table, batches)
    np.testing.assert_allclose(lazy, expected, atol=1e-5)
    np.testing.assert_array_equal(lazy[3:], table[3:])  # never read


def test_other_weights_are_those_of_adam(rng):
    x, y = rng.normal(size=(32, 4)), rng.normal(size=(32, 1))
    weights = []
    for kind in (keras.optimizers.Adam, LazyAdam):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)])
        model.compile(kind(RATE, global_clipnorm=1.0), "mse")
        model.fit(x, y, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for adam, lazy in zip(*weights, strict=True):
        np.testing.assert_allclose(lazy, adam, atol=1e-6)


def test_it_is_stored_and_made_again():
    optimizer = LazyAdam(0.5, beta_1=0.8, global_clipnorm=2.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is LazyAdam
    assert again.get_config() == optimizer.get_config()


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="`amsgrad` must be False"):
        LazyAdam(amsgrad=True)
