"""The network of word vectors against its equations, on any backend."""

import numpy as np
import pytest
from keras import ops

from kerasrnn.networks import SkipGramNetwork
from kerasrnn.networks.skip_gram import skip_gram_loss


def made(rng, size=9, dimension=4) -> SkipGramNetwork:
    network = SkipGramNetwork(size, dimension=dimension)
    network.set_weights([rng.normal(size=(size, dimension)) for _ in range(2)])
    return network


def test_a_score_is_a_product_of_two_vectors(rng):
    network = made(rng)
    words, contexts = network.get_weights()
    ids, around = np.array([3, 8]), np.array([[2, 2, 7], [5, 4, 8]])
    scores = ops.convert_to_numpy(network({"words": ids, "contexts": around}))
    for row in range(2):
        for place in range(3):
            expected = words[ids[row]] @ contexts[around[row, place]]
            assert scores[row, place] == pytest.approx(expected, abs=1e-5)


def test_the_loss_is_that_of_pairs_and_of_their_noise(rng):
    scores, noise = rng.normal(size=(2, 3)), rng.normal(size=(2, 5))
    counts, drawn = rng.integers(0, 3, (2, 3)), rng.random((2, 1))
    expected = 0.0
    for row in range(2):
        for place in range(3):
            expected -= counts[row, place] * np.log(1 / (1 + np.exp(-scores[row, place])))
        for place in range(5):
            expected -= drawn[row, 0] * np.log(1 / (1 + np.exp(noise[row, place])))
    assert float(skip_gram_loss(scores, noise, counts, drawn)) == pytest.approx(expected, rel=1e-5)


def test_it_begins_as_word2vec_does():
    network = SkipGramNetwork(200, dimension=10)
    words, contexts = network.get_weights()
    assert not words[:2].any() and not contexts.any()
    assert 0.045 < np.abs(words).max() <= 0.05
    assert abs(words[2:].mean()) < 0.005


def test_without_contexts_there_is_one_table_and_no_score():
    network = SkipGramNetwork(9, dimension=4, context=False)
    assert [tuple(weight.shape) for weight in network.weights] == [(9, 4)]
    with pytest.raises(ValueError, match="context=False has no scores"):
        network({"words": np.array([1]), "contexts": np.array([[2]])})


def test_it_comes_back_from_its_configuration(rng):
    network = made(rng)
    again = SkipGramNetwork.from_config(network.get_config())
    again.set_weights(network.get_weights())
    inputs = {"words": np.array([3]), "contexts": np.array([[4, 5]])}
    first, second = (ops.convert_to_numpy(each(inputs)) for each in (network, again))
    np.testing.assert_allclose(first, second)
