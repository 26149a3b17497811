"""The music model: the next chord of a piece, from all chords before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasrnn.data import DataError, check_roll
from kerasrnn.data.errors import shown
from kerasrnn.networks.music import KEYS, MusicNetwork, chord_nll
from kerasrnn.networks.options import COUNT, Count, Number
from kerasrnn.serving import Signature
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.text.plain import items_of
from kerasrnn.zoo.batches import Encoded, EpochBatches, Ragged, Unlabelled, batches_of
from kerasrnn.zoo.decoding import random_numbers, seeds_of
from kerasrnn.zoo.inputs import rows_of, traced
from kerasrnn.zoo.long_sequences import CarriedStates, PieceBatches, part_of
from kerasrnn.zoo.task import Task
from kerasrnn.zoo.transfer import Head

# Pieces are read in parts of so many frames where nothing is learnt from them.
_PART = 256

_SEMITONES = Number(f"a number of semitones, from 0 to {KEYS - 1}", lambda n: 0 <= n < KEYS)
_TEMPERATURE = Number("above 0 and finite", lambda number: number > 0)


@keras.saving.register_keras_serializable(package="kerasrnn")
class MusicModel(Task):
    """Predicts, scores and continues polyphonic music.

    It takes piano rolls: for each frame of a piece, which of a piano's 88 keys sound. Its network
    is `MusicNetwork`, a deep recurrent layer that reads frame after frame; on it stands either one
    probability for each key (`independent`), or an autoregressive distribution over whole chords
    (`nade`), which knows that keys sound together in harmonies (Boulanger-Lewandowski et al. 2012,
    Chung et al. 2014). Both give exact likelihoods.

    What it says of a piece depends on no other piece: neither the size of a batch nor its padding
    changes it.

    It is trained (`fit`) and measured (`evaluate`) on piano rolls, arrays of 0 and 1 `(time, 88)`,
    each of at least two frames; or on a `tf.data.Dataset` of dicts with `roll`. `y` must be None:
    what is learnt is what comes next. A batch has as many pieces as `batch_size` says, read side by
    side. `fit` also takes

    - `chunk`: of how many frames a part is, 64 by default. The gradient reaches back through a part
      of a piece; the next part goes on with the state of the last;
    - `transpose`: by how many semitones a piece is moved up or down at most, drawn anew for each
      epoch; none without `shuffle`;
    - `key_prior`: whether the scores of an untrained model begin at the log-odds of each key in
      `x`, as they do by default. Of 88 keys some four sound; a model that has to learn this first
      is behind for many epochs (Lin et al. 2017, "Focal Loss for Dense Object Detection", section
      4.1, begin so where classes are rare).

    `evaluate` returns `nll`, the negative log-likelihood of a frame given all before it, in nats,
    summed over the 88 keys: the mean over all frames of all pieces together but for the first of
    each, which is not predicted, as in Bai et al. (2018); and `loss`, which is the same.

    Args:
        frames_per_beat: how many frames a quarter note has in the data; it changes no answer, and
            tells a user at which pace to play.
        **kwargs: the options of the network, such as `outputs`, `units` and `dropout`: see
            `MusicNetwork`; and `name`, `dtype` and `trainable`, as for `keras.Model`.

    Raises:
        ValueError: if an argument has a value that is not allowed; the message names it.

    Example:

    >>> from kerasrnn.data import load_piano_rolls
    >>> from kerasrnn.zoo import MusicModel
    >>> pieces = load_piano_rolls("builtin:counterpoint")[:4]
    >>> model = MusicModel(units=8, nade_units=4)
    >>> history = model.fit(pieces, epochs=2, validation_data=pieces, transpose=2, verbose=0)
    >>> sorted(history.history)
    ['loss', 'val_loss', 'val_nll']
    >>> model.generate(pieces[:1], frames=16, seed=1)[0].shape
    (16, 88)
    """

    network_class = MusicNetwork
    heads = (Head(layers=("network/head",)),)
    input_dtype = "float32"
    batch_size = 16
    answer_batch_size = 32

    _not_compiled = (
        "the states that go from part to part are of fewer pieces where some have ended, and XLA "
        "knows variables of one shape alone."
    )

    def __init__(self, *, frames_per_beat: Count = 2, **kwargs: Any) -> None:
        options = self.network_options(kwargs)
        super().__init__(**kwargs)

        # === Network ===
        self.network = MusicNetwork(dtype=self.dtype_policy, name="network", **options)
        self.built = True

        # In training, the states with which the next part of the pieces at hand begins.
        self._carried = CarriedStates(self.network.get_initial_state(1))

        roll = tf.TensorSpec((None, None, KEYS), tf.float32)
        mask = tf.TensorSpec((None, None), tf.bool)
        states = [
            tf.TensorSpec((None, state.shape[-1]), state.dtype)
            for state in self.network.get_initial_state(1)
        ]
        whole, number = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        seed, temperature = tf.TensorSpec((None,), tf.int64), tf.TensorSpec((), tf.float32)
        self._score_function = traced(self._score, roll, roll, mask, states)
        self._predict_function = traced(self._predict, roll, roll, mask, states)
        self._generate_function = traced(self._generate, roll, whole, number, seed, temperature)

    # === Network ===

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """The scores of the next frames for a part of some pieces; see `MusicNetwork`.

        Args:
            inputs: `rolls`, `targets` and `mask` of `MusicNetwork`; and `states`, or `start`,
                whether the pieces begin here or go on from the last call. With neither they begin
                here.
            training: whether dropout is on.

        Returns:
            `scores`, `hidden` and `states`. For whole pieces, see `predict`.
        """
        inputs = dict(inputs)
        carry, rows = "start" in inputs, ops.shape(inputs["rolls"])[0]
        if carry:
            inputs["states"] = self._carried.read(inputs.pop("start"), rows)
        elif "states" not in inputs:
            inputs["states"] = self.network.get_initial_state(rows)
        outputs = self.network(inputs, training=training)
        if carry:
            self._carried.write(outputs["states"])
        return outputs

    def loss_terms(self, x, y, outputs, weights=None, training=False):
        """The negative log-likelihood in nats a frame."""
        nll = chord_nll(outputs["scores"], y)  # (batch, time)
        present = ops.cast(x["mask"], nll.dtype)
        weighted = present if weights is None else present * weights[:, None]
        return [(ops.sum(nll * weighted), ops.sum(present))]

    # === Examples ===

    def read(self, x: Any, y: Any = None, argument: str = "x") -> list[np.ndarray]:
        """Piano rolls from whatever they come in; see `fit`."""
        if y is not None:
            raise ValueError("`y` must be None: which chord comes next stands in the pieces.")
        return _pieces(x, argument, shortest=2)

    def encode(self, examples: list[np.ndarray]) -> Encoded:
        """Whole pieces, each with the frame after each frame."""
        lengths = np.array([len(roll) - 1 for roll in examples], int)
        splits = np.cumsum([0, *lengths])
        keys = [np.zeros((0, KEYS), np.float32)]
        targets = Ragged(splits, np.concatenate([*keys, *(roll[1:] for roll in examples)]))
        inputs = {
            "rolls": Ragged(splits, np.concatenate([*keys, *(roll[:-1] for roll in examples)])),
            "targets": targets,
            "mask": Ragged(splits, np.ones(splits[-1], bool)),
        }
        return Encoded(inputs, targets, lengths)

    def unlabelled(self, x: Any) -> Unlabelled:
        """Pieces, and the numbers of their frames."""
        rolls = _pieces(x, "x", shortest=1)
        # With a frame more, the last one has one after it.
        encoded = self.encode([np.concatenate([roll, roll[-1:]]) for roll in rolls])
        return Unlabelled.of(encoded.inputs, [list(map(str, range(len(roll)))) for roll in rolls])

    def batches(
        self,
        examples: list[np.ndarray],
        batch_size: int,
        weights: np.ndarray | None = None,
        *,
        chunk: int = 64,
        transpose: int = 0,
        **options: Any,
    ) -> PieceBatches:
        """Parts of pieces; see `fit`."""
        COUNT.check("chunk", chunk, int)
        _SEMITONES.check("transpose", transpose, int)
        return PieceBatches(examples, batch_size, chunk, transpose, weights)

    def begin(self, batches: EpochBatches, *, key_prior: bool = True, **options: Any) -> None:
        """Set the scores of a model that has learnt nothing to how often keys sound."""
        bias = self.network.head.key_scores.bias
        if key_prior and not np.any(ops.convert_to_numpy(bias)):
            source: Any = batches.source
            moved = 0 if batches.seed is None else source.transpose
            bias.assign(key_log_odds(source.rolls, moved))

    # === Measuring ===

    def measure(self, examples: list[np.ndarray], batch_size: int) -> dict[str, float]:
        """The likelihood of pieces; see `evaluate`."""
        total = sum(float(nll.sum(dtype=np.float64)) for nll in self._nll(examples, batch_size))
        nll = total / sum(len(roll) - 1 for roll in examples)
        return {"loss": nll, "nll": nll}

    # === Prediction ===

    def nll(self, x: Any, batch_size: int | None = None) -> list[np.ndarray]:
        """How surprising each frame of some pieces is.

        Args:
            x: as for `fit`; a piece may have a single frame, and there may be none.
            batch_size: how many pieces are in a batch; it changes no answer.

        Returns:
            For each piece the negative log-likelihood of each frame but the first given all before
            it, in nats, float32 `(time - 1,)`.

        Raises:
            ValueError: as for `fit`.

        Example:

        >>> import numpy as np
        >>> from kerasrnn.zoo import MusicModel
        >>> [nll.shape for nll in MusicModel(units=8, nade_units=4).nll([np.zeros((5, 88))])]
        [(4,)]
        """
        batch_size = self._answer_batch_size(batch_size)
        found = self._nll(_pieces(x, "x", shortest=1), batch_size)
        self.check_answers(*found)
        return found

    def _nll(self, rolls: list[np.ndarray], batch_size: int) -> list[np.ndarray]:
        empty = np.zeros(0, np.float32)
        found = self._of_frames(self._score_function, rolls, batch_size)
        return [np.concatenate([empty, *parts]) for parts in found]

    def _of_frames(
        self,
        function: Any,
        rolls: list[np.ndarray],
        batch_size: int,
        verbose: str | int = 0,
    ) -> list[list[np.ndarray]]:
        """What a function says of each frame of each piece but the last, part by part."""
        found: list[list[np.ndarray]] = [[] for _ in rolls]
        lengths = np.array([len(roll) for roll in rolls], int)
        # A part bounds how much is read at once: no batch need be split.
        most = batch_size * max(lengths, default=0)
        for group in batches_of(lengths, batch_size, most, verbose=verbose):
            group = group[::-1]  # the longest first
            pieces, states = [rolls[i] for i in group], self.network.get_initial_state(len(group))
            for begin in range(0, lengths[group[0]] - 1, _PART):
                part = part_of(pieces, begin, _PART)
                rows = len(part["mask"])
                values, states = function(
                    *(tf.constant(part[name]) for name in ("rolls", "targets", "mask")),
                    [state[:rows] for state in states],
                )
                for index, row, present in zip(group, values.numpy(), part["mask"], strict=False):
                    found[index].append(row[present])
        return found

    def _score(
        self, rolls: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        inputs = {"rolls": rolls, "targets": targets, "mask": mask, "states": states}
        outputs = self.network(inputs, training=False)
        return chord_nll(outputs["scores"], targets), outputs["states"]

    def predict(
        self, x: Any, batch_size: int | None = None, verbose: str | int = 0
    ) -> list[np.ndarray]:
        """The probability of each key, after each frame, to sound in the frame that follows.

        Args:
            x: as for `fit`; a piece may have a single frame, and there may be none.
            batch_size: how many pieces are in a batch; it changes no answer, but for the rare chord
                of the estimate below that rounding tips over.
            verbose: 1 shows a progress bar.

        Returns:
            For each piece float32 `(time, 88)`; row t says what comes after the frames 0 … t. Exact
            for independent outputs; for `nade`, where whole chords have probabilities, an estimate
            by 32 chords (see `NADE.marginals`).

        Raises:
            ValueError: as for `fit`.

        Example:

        >>> import numpy as np
        >>> from kerasrnn.zoo import MusicModel
        >>> model = MusicModel(units=8, outputs="independent")
        >>> model.predict([np.zeros((5, 88))])[0].shape
        (5, 88)
        """
        batch_size = self._answer_batch_size(batch_size)
        # With a frame more, the last one has one after it.
        rolls = [np.concatenate([roll, roll[-1:]]) for roll in _pieces(x, "x", shortest=1)]
        found = self._of_frames(self._predict_function, rolls, batch_size, verbose)
        answers = [np.concatenate(parts) for parts in found]
        self.check_answers(*answers)
        return answers

    def _predict(
        self, rolls: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, states: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        outputs = self._read(rolls, mask, states)
        return self.network.head.marginals(outputs["hidden"]), outputs["states"]

    def _read(self, rolls: tf.Tensor, mask: tf.Tensor, states: list[tf.Tensor]) -> dict[str, Any]:
        # Nothing is scored: the targets may be any.
        inputs = {"rolls": rolls, "targets": tf.zeros_like(rolls), "mask": mask, "states": states}
        return self.network(inputs, training=False)

    # === Sampling ===

    def generate(
        self,
        x: Any = None,
        *,
        frames: int = 64,
        temperature: float = 1.0,
        seed: int | Sequence[int] | None = None,
    ) -> list[np.ndarray]:
        """Go on with pieces, frame by frame, each drawn from what the model expects.

        Args:
            x: how the pieces begin, as for `fit`, of any length; None for one piece out of silence.
            frames: how many frames to add.
            temperature: below 1 for what is likely, above 1 for variety; 1 is as learnt.
            seed: decides what is drawn: a number for each piece, or one that is counted up from
                piece to piece. None draws one from Keras's random seed. The same beginning and the
                same seed give the same music, alone or beside others.

        Returns:
            For each piece what was added, zeros and ones, uint8 `(frames, 88)`. `write_midi` of
            `kerasrnn.data` makes it heard.

        Raises:
            ValueError: if an argument has a value that is not allowed.

        Example:

        >>> from kerasrnn.data import write_midi
        >>> from kerasrnn.zoo import MusicModel
        >>> model = MusicModel(units=8, nade_units=4)
        >>> music = model.generate(frames=8, seed=1)
        >>> write_midi("music.mid", music[0], frames_per_beat=model.settings["frames_per_beat"])
        """
        COUNT.check("frames", frames, int)
        _TEMPERATURE.check("temperature", temperature, float)
        rolls = [np.zeros((0, KEYS), np.uint8)] if x is None else _pieces(x, "x", shortest=0)
        seeds = seeds_of(seed, len(rolls), "pieces")
        check_finite_weights(self)  # zeros and ones do not show it
        lengths = [len(roll) for roll in rolls]
        padded = np.zeros((len(rolls), max(lengths, default=0), KEYS), np.float32)
        for row, roll in enumerate(rolls):
            padded[row, : len(roll)] = roll
        drawn = self._generate_function(
            tf.constant(padded),
            tf.constant(lengths, tf.int32),
            tf.constant(frames, tf.int32),
            tf.constant(seeds, tf.int64),
            tf.constant(temperature, tf.float32),
        )
        return list(drawn.numpy().astype(np.uint8))

    def _generate(
        self,
        rolls: tf.Tensor,
        lengths: tf.Tensor,
        frames: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
    ) -> tf.Tensor:
        """Chords `(batch, frames, keys)` that follow on prompts `(batch, time, keys)`."""
        frames, temperature = tf.maximum(frames, 0), _positive(temperature)
        # A piece out of nothing begins behind one silent frame.
        rolls = tf.pad(rolls, [[0, 0], [0, 1], [0, 0]])
        mask = tf.sequence_mask(tf.maximum(lengths, 1), tf.shape(rolls)[1])  # (batch, time)
        rolls = tf.where(mask[..., None], rolls, 0.0)
        batch = tf.shape(rolls)[0]
        # Random numbers of a piece's own: what stands beside it changes nothing.
        uniforms = random_numbers(seed, frames, KEYS)
        read = self._read(rolls, mask, self.network.get_initial_state(batch))
        # A masked frame repeats the output before it: the last one is that of the prompt's end.
        hidden = read["hidden"][:, -1]  # (batch, units)
        # What is in front is dropped at the end: an array without any frame has no shape.
        chords = tf.TensorArray(tf.float32, size=frames + 1, element_shape=(None, KEYS))
        chords = chords.write(0, rolls[:, 0])

        def one_frame(frame: Any, hidden: Any, states: Any, chords: Any) -> Any:
            numbers = tf.gather(uniforms, frame, axis=1)
            chord, _ = self.network.head.sample(hidden, numbers, temperature)
            chord = tf.ensure_shape(chord, (None, KEYS))
            outputs = self._read(chord[:, None], tf.fill((batch, 1), True), states)
            return (
                frame + 1,
                outputs["hidden"][:, 0],
                outputs["states"],
                chords.write(frame + 1, chord),
            )

        units = self.settings["units"]
        states = [tf.ensure_shape(state, (None, units)) for state in read["states"]]
        _, _, _, chords = tf.while_loop(
            lambda frame, *_: frame < frames,
            one_frame,
            (tf.constant(0), hidden, states, chords),
            shape_invariants=(
                tf.TensorShape(()),
                tf.TensorShape((None, units)),
                [tf.TensorShape((None, units)) for _ in states],
                tf.TensorShape(None),
            ),
        )
        return tf.transpose(chords.stack()[1:], (1, 0, 2))

    # === Export ===

    def signatures(self) -> dict[str, Signature]:
        """`serving_default`, `step` and `generate`.

        Returns:
            Three signatures. Rolls are float32, 0 or 1; what is above 0.5 sounds.

            - `serving_default`: `rolls` `(batch, time, 88)` and `lengths`, int32 `(batch,)`, the
              frames that count, to `probabilities` `(batch, time, 88)`, those of the frame after
              each (see `predict`), and `nll` `(batch, time)`, in nats, that of each frame given
              those before it; 0 for the first frame and behind the end.
            - `step`: `frame` `(batch, 88)`, `state_1` … `(batch, units)`, zeros at the start of a
              piece, `seed`, int64 `(batch,)`, and `temperature`, one number (0, less or NaN: what
              is likeliest; infinite: each key as likely to sound as not), to `probabilities` and
              `chord`, drawn from them, `(batch, 88)`, and the new `state_1` …. Give another
              seed for each frame.
            - `generate`: `rolls`, `lengths`, `frames`, one int32, `seed` and `temperature` to
              `chords` `(batch, frames, 88)`, what follows on the rolls.
        """
        batch = tf.TensorSpec((None,), tf.int32)
        roll = tf.TensorSpec((None, None, KEYS), tf.float32)
        seed = tf.TensorSpec((None,), tf.int64)
        temperature = tf.TensorSpec((), tf.float32)
        units = self.settings["units"]
        states = {name: tf.TensorSpec((None, units), tf.float32) for name in self._state_names}
        return {
            "serving_default": Signature(self._serve, {"rolls": roll, "lengths": batch}),
            "step": Signature(
                self._serve_step,
                {
                    "frame": tf.TensorSpec((None, KEYS), tf.float32),
                    **states,
                    "seed": seed,
                    "temperature": temperature,
                },
            ),
            "generate": Signature(
                self._serve_generate,
                {
                    "rolls": roll,
                    "lengths": batch,
                    "frames": tf.TensorSpec((), tf.int32),
                    "seed": seed,
                    "temperature": temperature,
                },
            ),
        }

    @property
    def _state_names(self) -> list[str]:
        return [f"state_{i}" for i, _ in enumerate(self.network.get_initial_state(1), start=1)]

    def _serve(self, rolls: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        mask = tf.sequence_mask(lengths, tf.shape(rolls)[1])  # (batch, time)
        rolls = tf.where(mask[..., None], _sounding(rolls), 0.0)
        targets = tf.concat([rolls[:, 1:], tf.zeros_like(rolls[:, :1])], axis=1)
        outputs = self.network(
            {
                "rolls": rolls,
                "targets": targets,
                "mask": mask,
                "states": self.network.get_initial_state(tf.shape(rolls)[0]),
            },
            training=False,
        )
        nll = chord_nll(outputs["scores"], targets)  # (batch, time), of the frame after each
        nll = tf.concat([tf.zeros_like(nll[:, :1]), nll[:, :-1]], axis=1)
        probabilities = self.network.head.marginals(outputs["hidden"])
        return {
            "probabilities": tf.where(mask[..., None], probabilities, 0.0),
            "nll": tf.where(mask, nll, 0.0),
        }

    def _serve_step(
        self, frame: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, **states: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        dtypes = [state.dtype for state in self.network.get_initial_state(1)]
        old = [
            tf.cast(states[name], dtype)
            for name, dtype in zip(self._state_names, dtypes, strict=True)
        ]
        rolls = _sounding(frame)[:, None]
        outputs = self._read(rolls, tf.fill((tf.shape(frame)[0], 1), True), old)
        hidden = outputs["hidden"][:, 0]
        uniforms = random_numbers(seed, KEYS)
        chord, _ = self.network.head.sample(hidden, uniforms, _positive(temperature))
        new = [tf.cast(state, tf.float32) for state in outputs["states"]]
        return {
            "probabilities": self.network.head.marginals(hidden),
            "chord": chord,
            **dict(zip(self._state_names, new, strict=True)),
        }

    def _serve_generate(
        self,
        rolls: tf.Tensor,
        lengths: tf.Tensor,
        frames: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        return {"chords": self._generate(_sounding(rolls), lengths, frames, seed, temperature)}

    def samples(self) -> dict[str, dict[str, Any]]:
        """Requests with pieces of several lengths, an empty one among them.

        Returns:
            A batch for each signature.
        """
        rng = np.random.default_rng(88)
        rolls = (rng.random((3, 9, KEYS)) < 0.05).astype(np.float32)
        lengths = np.array([9, 4, 0], np.int32)
        seed = np.array([1, 2, 3], np.int64)
        units = self.settings["units"]
        states = {name: np.zeros((3, units), np.float32) for name in self._state_names}
        return {
            "serving_default": {"rolls": rolls, "lengths": lengths},
            "step": {"frame": rolls[:, 0], **states, "seed": seed, "temperature": np.float32(1.0)},
            "generate": {
                "rolls": rolls,
                "lengths": lengths,
                "frames": np.int32(5),
                "seed": seed,
                "temperature": np.float32(0.9),
            },
        }


def key_log_odds(rolls: Sequence[np.ndarray], transpose: int = 0) -> np.ndarray:
    """How much likelier each key is to sound than not, before anything is heard.

    Args:
        rolls: pieces `(time, keys)`, at least one.
        transpose: by how many semitones the pieces are moved up or down at most, each number of
            semitones as often.

    Returns:
        log(p / (1 - p)), float32 `(keys,)`, with p the share of frames in which the key sounds; one
        frame with each key and one without are added, so that no key is impossible.

    Example:

    >>> import numpy as np
    >>> from kerasrnn.zoo.music_model import key_log_odds
    >>> key_log_odds([np.array([[1, 0, 0], [1, 1, 0]])]).round(1)
    array([ 1.1,  0. , -1.1], dtype=float32)
    """
    frames = sum(len(roll) for roll in rolls)
    sounding = np.sum([roll.sum(axis=0, dtype=np.float64) for roll in rolls], axis=0)  # (keys,)
    padded = np.pad(sounding, transpose)
    shifted = [padded[i : i + len(sounding)] for i in range(2 * transpose + 1)]
    p = (np.mean(shifted, axis=0) + 1) / (frames + 2)
    return np.log(p / (1 - p)).astype(np.float32)


def _sounding(rolls: tf.Tensor) -> tf.Tensor:
    """Zeros and ones, whatever a client has sent."""
    return tf.cast(rolls > 0.5, tf.float32)


def _positive(temperature: tf.Tensor) -> tf.Tensor:
    """A temperature to divide by: for 0, less and NaN one that takes what is likeliest."""
    return tf.where(temperature >= 1e-6, temperature, 1e-6)


def _pieces(x: Any, argument: str, *, shortest: int) -> list[np.ndarray]:
    """Piano rolls, checked, from whatever they come in."""
    if isinstance(x, tf.data.Dataset):
        rows = list(rows_of(x, {"roll": 2}, argument))
        if not all(isinstance(row, dict) and "roll" in row for row in rows):
            raise ValueError(f"`{argument}` must be a dataset of dicts with `roll`.")
        x = [row["roll"] for row in rows]
    if getattr(x, "ndim", None) == 2:
        raise ValueError(f"`{argument}` must be a list of piano rolls. Received one: [roll].")
    pieces = []
    for number, roll in enumerate(items_of(x, argument, "piano rolls"), start=1):
        where = f"`{argument}`, piece {number}"
        try:
            length = len(roll)
        except TypeError:
            raise DataError(
                f"{where} must be an array (time, 88). Received: {shown(roll)}"
            ) from None
        if length < shortest:
            raise DataError(
                f"{where}: a piece must have at least {shortest} frames. Received: {length}"
            )
        pieces.append(check_roll(roll, where) if length else np.zeros((0, KEYS), np.uint8))
    if not pieces and shortest > 1:  # nothing to learn or to measure
        raise ValueError(f"`{argument}` must hold at least one piece. Received none.")
    return pieces
