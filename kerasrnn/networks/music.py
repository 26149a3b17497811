"""The network of the music model: piano rolls in, scores for the next chord's keys out.

It runs on any Keras backend.
"""

from __future__ import annotations

from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from kerasrnn.layers import DeepRNN
from kerasrnn.layers.parts import LayerOfLayers
from kerasrnn.networks.options import CellName, Count, Network, OneOf, Share

# The keys of a piano, from A0 to C8.
KEYS = 88
OUTPUTS = ("independent", "nade")

# How many chords stand for all chords where probabilities cannot be computed exactly.
_DRAWS = 32


@keras.saving.register_keras_serializable(package="kerasrnn")
class IndependentKeys(LayerOfLayers):
    r"""Each key of a chord sounds or not by itself, given what was played before.

    .. math::
        p(v_i = 1 | h) = σ(b_i + W_i h)

    for the keys v of the chord and the state h of the recurrent layers (Boulanger-Lewandowski et
    al. 2012, section 5; Chung et al. 2014).

    Args:
        keys: the number of keys.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden: states `(…, units)`.
        chords: 0 or 1 for each key, `(…, keys)`. They change nothing here.

    Returns:
        The scores (logits) of the keys, `(…, keys)`.
    """

    def __init__(self, keys: int = KEYS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keys = keys
        self.supports_masking = True
        self.key_scores = keras.layers.Dense(keys, dtype=self.dtype_policy, name="key_scores")

    def build(self, hidden_shape: Any, chords_shape: Any = None) -> None:
        self.key_scores.build(hidden_shape)
        self.built = True

    def call(self, hidden: Any, chords: Any = None) -> Any:
        return self.key_scores(hidden)

    def sample(self, hidden: Any, uniforms: Any, temperature: Any = 1.0) -> tuple[Any, Any]:
        """Draw a chord.

        Args:
            hidden: states `(…, units)`.
            uniforms: random numbers from [0, 1), one for each key, `(…, keys)`.
            temperature: scores are divided by it: below 1 for what is likely, above 1 for variety.

        Returns:
            The chords, 0 or 1, and the probabilities with which they were drawn, each
            `(…, keys)`.
        """
        probabilities = ops.sigmoid(self(hidden) / temperature)
        sounds = ops.cast(uniforms, probabilities.dtype) < probabilities
        return ops.cast(sounds, probabilities.dtype), probabilities

    def marginals(self, hidden: Any) -> Any:
        """The probability that each key sounds, whatever the others do.

        Args:
            hidden: states `(…, units)`.

        Returns:
            `(…, keys)`.
        """
        return ops.sigmoid(self(hidden))

    def compute_output_shape(self, hidden_shape: Any, chords_shape: Any = None) -> Any:
        return (*hidden_shape[:-1], self.keys)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keys": self.keys}


@keras.saving.register_keras_serializable(package="kerasrnn")
class NADE(LayerOfLayers):
    r"""The keys of a chord are chosen one after the other, from the lowest to the highest.

    The neural autoregressive distribution estimator (Larochelle & Murray 2011, "The Neural
    Autoregressive Distribution Estimator"), whose biases depend on the state h of the recurrent
    layers (RNN-NADE; Boulanger-Lewandowski et al. 2012, "Modeling Temporal Dependencies in
    High-Dimensional Sequences"):

    .. math::
        b &= b_v + W_b h, \qquad c = b_h + W_c h \\
        a_i &= σ(c + \sum_{j<i} W_j v_j) \\
        p(v_i = 1 | v_{<i}, h) &= σ(b_i + V_i a_i)

    so that :math:`p(v | h) = \prod_i p(v_i | v_{<i}, h)` is exact and sums to one over all chords.

    | Symbol | Weight | Shape |
    |---|---|---|
    | W | `note_kernel` | `(keys, units)` |
    | V | `score_kernel` | `(keys, units)` |
    | W_b, b_v | `key_scores` | `(hidden, keys)`, `(keys,)` |
    | W_c, b_h | `unit_scores` | `(hidden, units)`, `(units,)` |

    Args:
        units: the length of a.
        keys: the number of keys.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        hidden: states `(…, hidden)`.
        chords: 0 or 1 for each key, `(…, keys)`.

    Returns:
        The scores (logits) of the keys `(…, keys)`, each given the keys below it in `chords`.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.networks.music import NADE, chord_nll
    >>> layer = NADE(units=4, keys=3)
    >>> chords = np.array([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], "float32")
    >>> scores = layer(np.ones((8, 5), "float32"), chords)
    >>> round(float(np.exp(-np.array(chord_nll(scores, chords))).sum()), 4)
    1.0
    """

    def __init__(self, units: int = 64, keys: int = KEYS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.keys = keys
        self.supports_masking = True
        self.key_scores = keras.layers.Dense(keys, dtype=self.dtype_policy, name="key_scores")
        self.unit_scores = keras.layers.Dense(units, dtype=self.dtype_policy, name="unit_scores")

    def build(self, hidden_shape: Any, chords_shape: Any = None) -> None:
        self.key_scores.build(hidden_shape)
        self.unit_scores.build(hidden_shape)
        self.note_kernel = self.add_weight(
            shape=(self.keys, self.units), name="note_kernel", initializer="glorot_uniform"
        )
        self.score_kernel = self.add_weight(
            shape=(self.keys, self.units), name="score_kernel", initializer="glorot_uniform"
        )
        self.built = True

    def call(self, hidden: Any, chords: Any) -> Any:
        b = self.key_scores(hidden)  # (…, keys)
        c = self.unit_scores(hidden)  # (…, units)
        v = ops.cast(chords, b.dtype)
        # a changes only behind a key that sounds: a chord of n notes has n + 1 different a, and
        # a key's is that of the number of notes below it.
        below = ops.cumsum(v, axis=-1) - v  # (…, keys)
        number = ops.cast(ops.arange(self._most_notes(v) + 1), b.dtype)[:, None]  # (notes, 1)
        below = ops.expand_dims(below, -2)  # (…, 1, keys)
        first_notes = ops.expand_dims(v, -2) * ops.cast(below < number, b.dtype)
        # (…, notes, units)
        a = ops.sigmoid(ops.expand_dims(c, -2) + ops.matmul(first_notes, self.note_kernel))
        scores = ops.matmul(a, ops.transpose(self.score_kernel))  # (…, notes, keys)
        return b + ops.sum(scores * ops.cast(ops.equal(below, number), b.dtype), axis=-2)

    def _most_notes(self, chords: Any) -> Any:
        # JAX must know all shapes when it compiles: there every chord is taken for a full one.
        if keras.backend.backend() == "jax":
            return self.keys
        most = ops.cast(ops.max(ops.sum(chords, axis=-1), initial=0), "int32")
        return int(most) if keras.backend.backend() == "torch" else most

    def sample(self, hidden: Any, uniforms: Any, temperature: Any = 1.0) -> tuple[Any, Any]:
        """Draw a chord, key by key.

        A key sounds if its random number is below its probability. So the next key to sound is the
        first, above the last one, whose number is below its probability as things stand; what is
        drawn is what a walk over all keys would have drawn, in one round for each note.

        Args:
            hidden: states `(…, hidden)`.
            uniforms: random numbers from [0, 1), one for each key, `(…, keys)`.
            temperature: scores are divided by it: below 1 for what is likely, above 1 for variety.

        Returns:
            The chords, 0 or 1, and the probabilities with which each key was drawn, given those
            below it; each `(…, keys)`.
        """
        b, c = self.key_scores(hidden), self.unit_scores(hidden)
        uniforms = ops.cast(uniforms, b.dtype)
        places = ops.arange(self.keys)
        transposed = ops.transpose(self.score_kernel)

        def undecided(chords: Any, probabilities: Any, start: Any) -> Any:
            return ops.any(start < self.keys)

        def next_note(chords: Any, probabilities: Any, start: Any) -> tuple[Any, Any, Any]:
            a = ops.sigmoid(c + ops.matmul(chords, self.note_kernel))  # (…, units)
            p = ops.sigmoid((b + ops.matmul(a, transposed)) / temperature)  # (…, keys)
            sounds = ops.logical_and(uniforms < p, places >= start)
            found = ops.any(sounds, axis=-1, keepdims=True)  # (…, 1)
            first = ops.expand_dims(ops.argmax(ops.cast(sounds, "int32"), axis=-1), -1)
            end = ops.where(found, ops.cast(first, "int32"), self.keys)
            decided = ops.logical_and(places >= start, places <= end)
            chords = chords + ops.cast(places == end, b.dtype)
            return chords, ops.where(decided, p, probabilities), end + 1

        start = ops.zeros_like(b[..., :1], dtype="int32")
        zeros = ops.zeros_like(b)
        chords, probabilities, _ = ops.while_loop(undecided, next_note, (zeros, zeros, start))
        return chords, probabilities

    def marginals(self, hidden: Any) -> Any:
        """The probability that each key sounds, whatever the others do: an estimate.

        The exact one is a sum over all chords. This is the mean, over 32 chords drawn with random
        numbers that are always the same, of the probability with which the key was drawn; for each
        key these numbers are spread evenly over [0, 1). It is within about 0.05 of the exact one.

        Args:
            hidden: states `(…, hidden)`.

        Returns:
            `(…, keys)`.
        """
        uniforms = ops.convert_to_tensor(_even_numbers(_DRAWS, self.keys))  # (draws, keys)

        def add(draw: Any, total: Any) -> Any:
            numbers = ops.take(uniforms, draw, axis=0)
            return total + self.sample(hidden, numbers)[1]

        zeros = ops.zeros_like(self.key_scores(hidden))
        return ops.fori_loop(0, _DRAWS, add, zeros) / _DRAWS

    def compute_output_shape(self, hidden_shape: Any, chords_shape: Any = None) -> Any:
        return (*hidden_shape[:-1], self.keys)

    def compute_output_spec(self, hidden: Any, chords: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(hidden.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "keys": self.keys}


def _even_numbers(rows: int, columns: int) -> np.ndarray:
    """Random numbers of which each column has one in each of `rows` equal parts of [0, 1)."""
    rng = np.random.default_rng(2011)
    parts = np.stack([rng.permutation(rows) for _ in range(columns)], axis=1)
    return ((parts + rng.random(parts.shape)) / rows).astype("float32")  # (rows, columns)


def chord_nll(scores: Any, chords: Any) -> Any:
    """The negative log-likelihood of chords.

    Args:
        scores: the scores of the keys, `(…, keys)`, as an output layer returned them for `chords`.
        chords: 0 or 1 for each key, `(…, keys)`.

    Returns:
        `(…,)`, in nats, summed over the keys.
    """
    signs = 1.0 - 2.0 * ops.cast(chords, scores.dtype)  # -log σ(±score) = softplus(∓score)
    return ops.sum(ops.softplus(signs * scores), axis=-1)


@keras.saving.register_keras_serializable(package="kerasrnn")
class MusicNetwork(Network):
    r"""Scores for the keys of the next chord, from all chords before it.

    .. math::
        h^{<t>} = DeepRNN(x)^{<t>}, \qquad p(x^{<t+1>} | x^{<1>} … x^{<t>}) = head(h^{<t>})

    The head is `IndependentKeys` or `NADE`. After Boulanger-Lewandowski et al. (2012) and Chung et
    al. (2014), "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling".

    States go in and come out, so that a long piece can be read in parts.

    Args:
        keys: the number of keys.
        outputs: what the probability of a chord is made of: `nade`, which knows that keys sound
            together in harmonies, or `independent`, one probability for each key.
        cell: `simple`, `simplified_gru`, `gru` or `lstm`.
        units: the length of the recurrent state.
        depth: how many recurrent layers.
        nade_units: the length of the hidden layer of `nade`.
        input_dropout: the share of keys dropped from what the recurrent layers read.
        dropout: the share of components dropped behind each recurrent layer.
        recurrent_dropout: the share of the recurrent state dropped, one mask for a part of a piece.
        **kwargs: see `Network`.

    Call arguments:
        inputs: a dict of `rolls`, `(batch, time, keys)`, 0 or 1; `targets`, the chords to score at
            each time, shaped as `rolls`; `mask`, booleans `(batch, time)`, false for padding; and
            `states`, a list as `get_initial_state` gives it.

    Returns:
        A dict of `scores`, float32 `(batch, time, keys)`; `hidden`, `(batch, time, units)`, what
        the head sees; and `states`, those after the last frame.

    Example:

    >>> from keras import ops
    >>> from kerasrnn.networks import MusicNetwork
    >>> network = MusicNetwork(outputs="nade", units=8, nade_units=4)
    >>> rolls, mask = ops.zeros((2, 5, 88)), ops.ones((2, 5), "bool")
    >>> states = network.get_initial_state(2)
    >>> outputs = network({"rolls": rolls, "targets": rolls, "mask": mask, "states": states})
    >>> tuple(outputs["scores"].shape)
    (2, 5, 88)
    """

    def __init__(
        self,
        keys: int = KEYS,
        *,
        outputs: Annotated[str, OneOf(OUTPUTS)] = "nade",
        cell: CellName = "lstm",
        units: Count = 150,
        depth: Count = 1,
        nade_units: Count = 64,
        input_dropout: Share = 0.0,
        dropout: Share = 0.3,
        recurrent_dropout: Share = 0.0,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.pop("dtype", None)

        # === Layers ===
        rnn = DeepRNN(
            **self.recurrent_options,
            return_sequences=True,
            return_state=True,
            layer_dropout=dropout,
            dtype=dtype,
            name="rnn",
        )
        # A chord's probability is a product over 88 keys: always in full precision.
        head: IndependentKeys | NADE
        if outputs == "nade":
            head = NADE(nade_units, keys, dtype="float32", name="head")
        else:
            head = IndependentKeys(keys, dtype="float32", name="head")

        # === Functional model ===
        state_inputs = [
            keras.Input((units,), dtype=rnn.compute_dtype, name=f"state_{number}")
            for number in range(1, depth * rnn.states_per_layer + 1)
        ]
        inputs = {
            "rolls": keras.Input((None, keys), name="rolls"),
            "targets": keras.Input((None, keys), name="targets"),
            "mask": keras.Input((None,), dtype="bool", name="mask"),
            "states": state_inputs,
        }
        rolls = keras.layers.Dropout(input_dropout, dtype=dtype, name="input_dropout")(
            inputs["rolls"]
        )
        hidden, *states = rnn(
            rolls, initial_state=state_inputs, mask=inputs["mask"]
        )  # (batch, time, units)
        hidden = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")(hidden)
        scores = head(hidden, inputs["targets"])  # (batch, time, keys)
        super().__init__(
            inputs=inputs,
            outputs={"scores": scores, "hidden": hidden, "states": states},
            **kwargs,
        )

    @property
    def head(self) -> Any:
        """The output layer, `IndependentKeys` or `NADE`."""
        return self.get_layer("head")

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first frame: zeros.

        Args:
            batch_size: how many pieces.

        Returns:
            Tensors `(batch, units)`, one for each state of each layer, the bottom layer's first.
        """
        return self.get_layer("rnn").get_initial_state(batch_size)
