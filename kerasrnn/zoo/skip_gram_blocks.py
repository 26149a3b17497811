r"""Skip-grams of a stretch of text as products of matrices, and their gradient by hand.

A stretch of words is cut into blocks of :math:`b`. A block's words have vectors
:math:`U\ (b \times d)`, what stands around them as contexts :math:`V\ (b + 2r \times d)` for the
radius :math:`r` of the window, and :math:`N\ (K \times d)` are noise words that the block shares
(Ji et al. 2016, "Parallelizing Word2Vec in Shared and Distributed Memory"). Of all products
:math:`U V^\top` the mask :math:`M` leaves those inside of each word's window, a band of the matrix.
With :math:`n_t` contexts of word t and m noise words for each of them, each of the K counts
:math:`w_t = m\,n_t / K` times: in the mean the loss is that of noise words drawn for each pair.

.. math::
    G &= M \circ (\sigma(U V^\top) - 1) \qquad H_{tk} = w_t\, \sigma(U N^\top)_{tk} \\
    \frac{\partial L}{\partial U} &= G V + H N \qquad
    \frac{\partial L}{\partial V} = G^\top U \qquad
    \frac{\partial L}{\partial N} = H^\top U
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class BlockShape(NamedTuple):
    """How a stretch of words is cut.

    Attributes:
        words: how many words a stretch has; so many blocks times `block`.
        block: how many words a block has.
        window: how many words to either side a window has at most.
        noise: how many noise words a block has.
    """

    words: int
    block: int
    window: int
    noise: int

    @property
    def blocks(self) -> int:
        """How many blocks a stretch has."""
        return self.words // self.block

    @property
    def places(self) -> np.ndarray:
        """Where in a stretch, with a window at either end, the contexts of each block stand."""
        width = self.block + 2 * self.window
        return np.arange(self.blocks, dtype=np.int32)[:, None] * self.block + np.arange(
            width, dtype=np.int32
        )  # (blocks, block + 2 · window)

    @property
    def distances(self) -> np.ndarray:
        """How far right of a block's words its contexts stand."""
        width = np.arange(self.block + 2 * self.window, dtype=np.int32)
        own = np.arange(self.block, dtype=np.int32) + self.window
        return width - own[:, None]  # (block, block + 2 · window)


def windows(shape: BlockShape, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Which contexts stand in the window of which word.

    Args:
        shape: how a stretch is cut.
        left: integers `(words,)`, how many words to its left belong to a word's window.
        right: the same to its right.

    Returns:
        M, float32 `(blocks, block, block + 2 · window)` of zeros and ones.
    """
    distances = tf.constant(shape.distances)
    place = (shape.blocks, shape.block, 1)
    inside = (distances >= -tf.reshape(left, place)) & (distances <= tf.reshape(right, place))
    return tf.cast(inside & (distances != 0), tf.float32)


def noise_counts(shape: BlockShape, mask: tf.Tensor, negatives: int) -> tf.Tensor:
    """How often each noise word counts for each word: float32 `(blocks, block, 1)`.

    Args:
        shape: how a stretch is cut.
        mask: what `windows` returned.
        negatives: how many noise words there are for each pair.
    """
    return tf.reduce_sum(mask, axis=2, keepdims=True) * (negatives / shape.noise)


def block_scores(
    words: tf.Tensor, contexts: tf.Tensor, noise: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """All scores of the words of blocks, in float32.

    Args:
        words: U, `(blocks, block, dimension)`.
        contexts: V, `(blocks, block + 2 · window, dimension)`.
        noise: N, `(blocks, noise, dimension)`.

    Returns:
        :math:`U V^T` and :math:`U N^T`.
    """
    found = tf.matmul(words, contexts, transpose_b=True)
    drawn = tf.matmul(words, noise, transpose_b=True)
    return tf.cast(found, tf.float32), tf.cast(drawn, tf.float32)


def block_gradients(
    words: tf.Tensor, contexts: tf.Tensor, noise: tf.Tensor, mask: tf.Tensor, counts: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """What the pairs of blocks cost, and the derivatives of the loss.

    Args:
        words: U, `(blocks, block, dimension)`.
        contexts: V, `(blocks, block + 2 · window, dimension)`.
        noise: N, `(blocks, noise, dimension)`.
        mask: M, as `windows` returns it.
        counts: w, as `noise_counts` returns them.

    Returns:
        The loss in nats a pair, in which no probability is below 1e-7, of the first eighth of the
        blocks: logarithms take time. And the derivatives of the sum over all pairs by `words`,
        `contexts` and `noise`.
    """
    found, drawn = (tf.sigmoid(scores) for scores in block_scores(words, contexts, noise))
    some = max(1, words.shape[0] // 8)
    loss = -tf.reduce_sum(mask[:some] * tf.math.log(tf.maximum(found[:some], _LEAST)))
    loss -= tf.reduce_sum(counts[:some] * tf.math.log(tf.maximum(1 - drawn[:some], _LEAST)))
    loss = tf.math.divide_no_nan(loss, tf.reduce_sum(mask[:some]))
    g = tf.cast(mask * (found - 1), words.dtype)  # (blocks, block, block + 2 · window)
    h = tf.cast(counts * drawn, words.dtype)  # (blocks, block, noise)
    by_words = tf.matmul(g, contexts) + tf.matmul(h, noise)
    by_contexts = tf.matmul(g, words, transpose_a=True)
    by_noise = tf.matmul(h, words, transpose_a=True)
    return loss, by_words, by_contexts, by_noise


# Below it float32 does not tell one minus a probability from zero.
_LEAST = 1e-7
